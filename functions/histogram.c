/*
 * histogram(value, min, max, nbuckets): how many values lie in each of nbuckets equal
 * parts of [min, max), with those below first and those above last.
 *
 * The state is the array that is the result.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(m3db_histogram_trans);
PG_FUNCTION_INFO_V1(m3db_histogram_combine);

#define MAX_BUCKETS 100000

/* Else the array that is changed might be somebody's. */
static void
require_aggregate(FunctionCallInfo fcinfo)
{
	if (AggCheckCallContext(fcinfo, NULL) == 0)
		elog(ERROR, "aggregate function called in non-aggregate context");
}

static void
invalid(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION),
			 errmsg("%s", what)));
}

static ArrayType *
counts_new(int count)
{
	Datum	   *zeros = palloc(count * sizeof(Datum));
	ArrayType  *counts;

	for (int i = 0; i < count; i++)
		zeros[i] = Int64GetDatum(0);
	counts = construct_array(zeros, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
							 TYPALIGN_DOUBLE);
	pfree(zeros);
	return counts;
}

static int64 *
counts_of(ArrayType *counts, int *count)
{
	*count = ArrayGetNItems(ARR_NDIM(counts), ARR_DIMS(counts));
	return (int64 *) ARR_DATA_PTR(counts);
}

/* 0 is below min, nbuckets + 1 at or above max; NaN is above everything, as in any order. */
static int
bucket_of(float8 value, float8 min, float8 max, int nbuckets)
{
	float8		part;

	if (value < min)
		return 0;
	if (!(value < max))
		return nbuckets + 1;
	/* Halved, so that no difference overflows. */
	part = (value / 2 - min / 2) / (max / 2 - min / 2);
	return Min((int) (part * nbuckets), nbuckets - 1) + 1;
}

/* (state, value, min, max, nbuckets) */
Datum
m3db_histogram_trans(PG_FUNCTION_ARGS)
{
	float8		min;
	float8		max;
	int			nbuckets;
	ArrayType  *counts = PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0);
	int			count;
	int64	   *cells;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		invalid("bounds and number of buckets must not be NULL");
	min = PG_GETARG_FLOAT8(2);
	max = PG_GETARG_FLOAT8(3);
	nbuckets = PG_GETARG_INT32(4);
	if (isnan(min) || isnan(max) || isinf(min) || isinf(max) || min >= max)
		invalid("lower bound must be less than upper bound, and both finite");
	if (nbuckets < 1 || nbuckets > MAX_BUCKETS)
		invalid("number of buckets must be between 1 and 100000");
	if (counts == NULL)
		counts = counts_new(nbuckets + 2);
	cells = counts_of(counts, &count);
	if (count != nbuckets + 2)
		invalid("number of buckets must not change between rows");
	if (!PG_ARGISNULL(1))
		cells[bucket_of(PG_GETARG_FLOAT8(1), min, max, nbuckets)]++;
	PG_RETURN_ARRAYTYPE_P(counts);
}

Datum
m3db_histogram_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *counts;
	int			count;
	int			other_count;
	int64	   *cells;
	const int64 *others;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	others = counts_of(PG_GETARG_ARRAYTYPE_P(1), &other_count);
	counts = PG_ARGISNULL(0) ? counts_new(other_count) : PG_GETARG_ARRAYTYPE_P(0);
	cells = counts_of(counts, &count);
	if (count != other_count)
		invalid("number of buckets must not change between rows");
	for (int i = 0; i < count; i++)
		cells[i] += others[i];
	PG_RETURN_ARRAYTYPE_P(counts);
}
