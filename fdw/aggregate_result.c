#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/float.h"

#include "compat.h"
#include "fdw/aggregate_result.h"

static bool
has_only_finite(const M3Summary *summary)
{
	return isfinite(summary->min) && isfinite(summary->max);
}

static double
sum_of(const M3Summary *summary)
{
	if (m3_summary_overflowed(summary, M3_SUMMARY_SUM))
		float_overflow_error();
	return summary->sum;
}

/* Without squares having been asked for.  PostgreSQL sums them up for an average, too, and fails
 * if they are too large. */
static double
average_of(const M3Summary *summary)
{
	double		range = summary->max - summary->min;

	if (has_only_finite(summary) && isinf(range * range))
		float_overflow_error();
	return sum_of(summary) / (double) summary->count;
}

/* NaN if any value was infinite or no number. */
static double
squares_of(const M3Summary *summary)
{
	if (m3_summary_overflowed(summary, M3_SUMMARY_SUM | M3_SUMMARY_SQUARES))
		float_overflow_error();
	return has_only_finite(summary) ? summary->squares : get_float8_nan();
}

/* What float8_accum() makes: count, sum, sum of squared distances from the mean. */
static Datum
transition_state(const M3Summary *summary)
{
	Datum		fields[3] = {0};

	for (int i = 0; i < 3; i++)
		fields[i] = Float8GetDatum(0);
	if (summary->count > 0)
	{
		fields[0] = Float8GetDatum((double) summary->count);
		fields[1] = Float8GetDatum(sum_of(summary));
		fields[2] = Float8GetDatum(squares_of(summary));
	}
	return PointerGetDatum(construct_array(fields, 3, FLOAT8OID, sizeof(float8),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static Datum
time_datum(const M3dbTable *table, int64 time_ns)
{
	if (table->columns[table->time_attnum - 1].role == M3DB_ROLE_TIME)
		return TimestampTzGetDatum(m3db_time_from_ns(time_ns));
	return Int64GetDatum(time_ns);
}

static uint64
least_count(M3dbAggregateKind kind)
{
	return kind == M3DB_AGGREGATE_VAR_SAMP || kind == M3DB_AGGREGATE_STDDEV_SAMP ? 2 : 1;
}

/* Of a column that has enough points. */
static double
value_of(M3dbAggregateKind kind, const M3Summary *summary)
{
	double		count = (double) summary->count;

	switch (kind)
	{
		case M3DB_AGGREGATE_SUM:
			return sum_of(summary);
		case M3DB_AGGREGATE_AVG:
			return average_of(summary);
		case M3DB_AGGREGATE_MIN:
			return summary->min;
		case M3DB_AGGREGATE_MAX:
			return summary->max;
		case M3DB_AGGREGATE_VAR_POP:
			return squares_of(summary) / count;
		case M3DB_AGGREGATE_VAR_SAMP:
			return squares_of(summary) / (count - 1);
		case M3DB_AGGREGATE_STDDEV_POP:
			return sqrt(squares_of(summary) / count);
		case M3DB_AGGREGATE_STDDEV_SAMP:
			return sqrt(squares_of(summary) / (count - 1));
		case M3DB_AGGREGATE_FIRST:
			return summary->first;
		case M3DB_AGGREGATE_LAST:
			return summary->last;
		case M3DB_AGGREGATE_COUNT:
		case M3DB_AGGREGATE_FIRST_TIME:
		case M3DB_AGGREGATE_LAST_TIME:
			break;
	}
	pg_unreachable();
}

static bool
has_transition_state(M3dbAggregateKind kind)
{
	switch (kind)
	{
		case M3DB_AGGREGATE_AVG:
		case M3DB_AGGREGATE_VAR_POP:
		case M3DB_AGGREGATE_VAR_SAMP:
		case M3DB_AGGREGATE_STDDEV_POP:
		case M3DB_AGGREGATE_STDDEV_SAMP:
			return true;
		default:
			return false;
	}
}

Datum
m3db_aggregate_result(const M3dbTable *table, M3dbAggregateKind kind, bool is_partial,
					  const M3Summary *values, const M3Summary *rows, bool *is_null)
{
	*is_null = false;
	if (kind == M3DB_AGGREGATE_COUNT)
		return Int64GetDatum((int64) (values != NULL ? values : rows)->count);
	if (is_partial && has_transition_state(kind))
		return transition_state(values);

	*is_null = (values != NULL && values->count < least_count(kind)) ||
		(rows != NULL && rows->count == 0);
	if (*is_null)
		return (Datum) 0;
	if (kind == M3DB_AGGREGATE_FIRST_TIME)
		return time_datum(table, rows->first_ns);
	if (kind == M3DB_AGGREGATE_LAST_TIME)
		return time_datum(table, rows->last_ns);
	/* the first row may be one without a value */
	*is_null = (kind == M3DB_AGGREGATE_FIRST && values->first_ns != rows->first_ns) ||
		(kind == M3DB_AGGREGATE_LAST && values->last_ns != rows->last_ns);
	return *is_null ? (Datum) 0 : Float8GetDatum(value_of(kind, values));
}
