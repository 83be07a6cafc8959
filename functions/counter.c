/*
 * increase(), delta() and rate(): how much samples grow over time.
 *
 * The state collects the samples; the order they come in does not matter, the final
 * functions put them in order of time.  As window aggregates with a moving frame they
 * forget what has left the frame: always the sample that came first.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(m3db_samples_trans);
PG_FUNCTION_INFO_V1(m3db_samples_inverse);
PG_FUNCTION_INFO_V1(m3db_samples_combine);
PG_FUNCTION_INFO_V1(m3db_samples_serialize);
PG_FUNCTION_INFO_V1(m3db_samples_deserialize);
PG_FUNCTION_INFO_V1(m3db_increase_final);
PG_FUNCTION_INFO_V1(m3db_delta_final);
PG_FUNCTION_INFO_V1(m3db_rate_final);

typedef struct Sample
{
	TimestampTz time;			/* finite */
	float8		value;
} Sample;

typedef struct Samples
{
	Sample	   *samples;		/* [first, end) of them, as they came */
	int64		first;
	int64		end;
	int64		capacity;
	bool		in_order;		/* of time; may be false when it is in order */
} Samples;

static int
aggregate_context(FunctionCallInfo fcinfo, MemoryContext *context)
{
	int			kind = AggCheckCallContext(fcinfo, context);

	if (kind == 0)
		elog(ERROR, "aggregate function called in non-aggregate context");
	return kind;
}

static Samples *
samples_new(MemoryContext context, int64 capacity)
{
	Samples    *samples = MemoryContextAllocZero(context, sizeof(*samples));

	samples->capacity = capacity;
	samples->samples = MemoryContextAllocHuge(context, capacity * sizeof(Sample));
	samples->in_order = true;
	return samples;
}

/* The order of the result does not depend on the order of the rows: ties go by value. */
static int
compare_samples(const void *left, const void *right)
{
	const Sample *a = left;
	const Sample *b = right;

	CHECK_FOR_INTERRUPTS();
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return float8_cmp_internal(a->value, b->value);
}

static void
samples_add(Samples *samples, Sample sample)
{
	if (samples->end == samples->capacity)
	{
		int64		count = samples->end - samples->first;

		/* Either half of the space is of samples that are gone, or there must be more. */
		if (count > samples->capacity / 2)
		{
			samples->capacity *= 2;
			samples->samples = repalloc_huge(samples->samples,
											 samples->capacity * sizeof(Sample));
		}
		memmove(samples->samples, samples->samples + samples->first, count * sizeof(Sample));
		samples->first = 0;
		samples->end = count;
	}
	if (samples->end == samples->first)
		samples->in_order = true;
	else if (samples->in_order)
		samples->in_order = compare_samples(&samples->samples[samples->end - 1], &sample) <= 0;
	samples->samples[samples->end++] = sample;
}

/* (state, time, value); without one of them it is no sample. */
Datum
m3db_samples_trans(PG_FUNCTION_ARGS)
{
	Samples    *samples = PG_ARGISNULL(0) ? NULL : (Samples *) PG_GETARG_POINTER(0);
	MemoryContext context;
	Sample		sample;

	aggregate_context(fcinfo, &context);
	if (samples == NULL)
		samples = samples_new(context, 8);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(samples);
	sample.time = PG_GETARG_TIMESTAMPTZ(1);
	sample.value = PG_GETARG_FLOAT8(2);
	if (TIMESTAMP_NOT_FINITE(sample.time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a sample must be finite")));
	samples_add(samples, sample);
	PG_RETURN_POINTER(samples);
}

/* Undoes the call that came first. */
Datum
m3db_samples_inverse(PG_FUNCTION_ARGS)
{
	Samples    *samples = (Samples *) PG_GETARG_POINTER(0);
	MemoryContext context;

	aggregate_context(fcinfo, &context);
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		samples->first++;
	PG_RETURN_POINTER(samples);
}

Datum
m3db_samples_combine(PG_FUNCTION_ARGS)
{
	Samples    *samples = PG_ARGISNULL(0) ? NULL : (Samples *) PG_GETARG_POINTER(0);
	const Samples *others = PG_ARGISNULL(1) ? NULL : (const Samples *) PG_GETARG_POINTER(1);
	MemoryContext context;

	aggregate_context(fcinfo, &context);
	if (others == NULL && samples == NULL)
		PG_RETURN_NULL();
	if (samples == NULL)
		samples = samples_new(context, Max(8, others->end - others->first));
	if (others != NULL)
		for (int64 i = others->first; i < others->end; i++)
			samples_add(samples, others->samples[i]);
	PG_RETURN_POINTER(samples);
}

/* ---- between processes: the samples as they are ---- */

Datum
m3db_samples_serialize(PG_FUNCTION_ARGS)
{
	const Samples *samples = (const Samples *) PG_GETARG_POINTER(0);
	int64		count = samples->end - samples->first;
	MemoryContext context;
	bytea	   *out;

	aggregate_context(fcinfo, &context);
	if (count > (int64) ((MaxAllocSize - VARHDRSZ) / sizeof(Sample)))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many samples in one group"),
				 errhint("Set max_parallel_workers_per_gather to 0.")));
	out = palloc(VARHDRSZ + count * sizeof(Sample));
	SET_VARSIZE(out, VARHDRSZ + count * sizeof(Sample));
	memcpy(VARDATA(out), samples->samples + samples->first, count * sizeof(Sample));
	PG_RETURN_BYTEA_P(out);
}

Datum
m3db_samples_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	int64		count = VARSIZE_ANY_EXHDR(in) / sizeof(Sample);
	MemoryContext context;
	Samples    *samples;

	aggregate_context(fcinfo, &context);
	samples = samples_new(CurrentMemoryContext, Max(8, count));
	memcpy(samples->samples, VARDATA_ANY(in), count * sizeof(Sample));
	samples->end = count;
	PG_RETURN_POINTER(samples);
}

/* ---- results ---- */

/* The samples in order of time; NULL if there are fewer than two. */
static const Sample *
ordered(FunctionCallInfo fcinfo, int64 *count)
{
	Samples    *samples = PG_ARGISNULL(0) ? NULL : (Samples *) PG_GETARG_POINTER(0);
	MemoryContext context;
	int			kind = aggregate_context(fcinfo, &context);
	Sample	   *from;

	if (samples == NULL || samples->end - samples->first < 2)
		return NULL;
	*count = samples->end - samples->first;
	from = samples->samples + samples->first;
	if (samples->in_order)
		return from;
	if (kind == AGG_CONTEXT_WINDOW)
	{
		/* Samples will leave in the order they came. */
		Sample	   *copy = MemoryContextAllocHuge(CurrentMemoryContext,
												  *count * sizeof(Sample));

		memcpy(copy, from, *count * sizeof(Sample));
		from = copy;
	}
	else
		samples->in_order = true;
	qsort(from, *count, sizeof(Sample), compare_samples);
	return from;
}

/* What a counter has counted: it never falls, but may begin again at zero. */
static float8
increase(const Sample *samples, int64 count)
{
	float8		sum = 0;

	for (int64 i = 1; i < count; i++)
	{
		float8		before = samples[i - 1].value;
		float8		value = samples[i].value;

		sum = float8_pl(sum, value < before ? value : float8_mi(value, before));
	}
	return sum;
}

Datum
m3db_increase_final(PG_FUNCTION_ARGS)
{
	int64		count;
	const Sample *samples = ordered(fcinfo, &count);

	if (samples == NULL)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(increase(samples, count));
}

Datum
m3db_delta_final(PG_FUNCTION_ARGS)
{
	int64		count;
	const Sample *samples = ordered(fcinfo, &count);

	if (samples == NULL)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(float8_mi(samples[count - 1].value, samples[0].value));
}

/* Per second; NULL if there is no time between the first and the last sample. */
Datum
m3db_rate_final(PG_FUNCTION_ARGS)
{
	int64		count;
	const Sample *samples = ordered(fcinfo, &count);
	float8		seconds;

	if (samples == NULL || samples[0].time == samples[count - 1].time)
		PG_RETURN_NULL();
	/* Unsigned, since the earliest and the latest timestamp are that far apart. */
	seconds = (float8) ((uint64) samples[count - 1].time - (uint64) samples[0].time) /
		USECS_PER_SEC;
	PG_RETURN_FLOAT8(float8_div(increase(samples, count), seconds));
}
