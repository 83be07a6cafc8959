#include "postgres.h"

#include <math.h>

#include "executor/executor.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/point_filter.h"

void
m3db_point_filter_init(M3dbPointFilterState *state, const M3dbAggregateFilter *filter,
					   PlanState *parent)
{
	state->filter = filter;
	m3db_quals_init(filter->quals, filter->qual_exprs, parent, &state->quals);
	state->values = palloc(sizeof(ExprState *) * (filter->value_qual_count + 1));
	for (int i = 0; i < filter->value_qual_count; i++)
		state->values[i] = ExecInitExpr(filter->value_quals[i].expr, parent);
}

void
m3db_point_filter_evaluate(const M3dbTable *table, const M3dbPointFilterState *state,
						   ExprContext *econtext, M3dbPointFilter *filter)
{
	memset(filter, 0, sizeof(*filter));
	m3db_quals_evaluate(table, &state->quals, econtext, &filter->conditions);
	filter->context = CurrentMemoryContext;
	filter->value_count = state->filter->value_qual_count;
	filter->values = palloc(sizeof(M3dbValueCondition) * (filter->value_count + 1));
	for (int i = 0; i < filter->value_count; i++)
	{
		bool		is_null;
		Datum		value = ExecEvalExprSwitchContext(state->values[i], econtext, &is_null);

		/* comparisons are strict */
		if (is_null)
			filter->conditions.nothing = true;
		else
			filter->values[i].value = DatumGetFloat8(value);
		filter->values[i].strategy = state->filter->value_quals[i].strategy;
	}
}

bool
m3db_point_filter_takes_series(const M3dbPointFilter *filter, M3Slice id, M3Slice tags)
{
	const M3dbConditions *conditions = &filter->conditions;

	return !conditions->nothing &&
		m3_matchers_hold(conditions->matchers, conditions->matcher_count, id, tags);
}

bool
m3db_point_filter_is_whole(const M3dbPointFilter *filter, int64 first_ns, int64 last_ns,
						   bool *is_taken)
{
	const M3dbConditions *conditions = &filter->conditions;

	*is_taken = first_ns >= conditions->start_ns && last_ns < conditions->end_ns;
	return *is_taken || last_ns < conditions->start_ns || first_ns >= conditions->end_ns;
}

/* ---- values ---- */

/* One comparison over all points, without a branch; from and to may be the same. */
#define KEEP(condition) \
	for (size_t i = 0; i < count; i++) \
	{ \
		double		v = values[i]; \
		int64		t = times_ns[i]; \
\
		kept[n] = v; \
		kept_times_ns[n] = t; \
		n += (condition) ? 1 : 0; \
	} \
	return n

static size_t
keep_nan(const int64 *times_ns, const double *values, size_t count, bool is_wanted,
		 int64 *kept_times_ns, double *kept)
{
	size_t		n = 0;

	KEEP(isnan(v) == is_wanted);
}

/* Comparisons with NaN on the right: it is the greatest of all. */
static size_t
keep_by_nan(const int64 *times_ns, const double *values, size_t count,
			StrategyNumber strategy, int64 *kept_times_ns, double *kept)
{
	size_t		n = 0;

	switch (strategy)
	{
		case BTEqualStrategyNumber:
		case BTGreaterEqualStrategyNumber:
			return keep_nan(times_ns, values, count, true, kept_times_ns, kept);
		case BTLessEqualStrategyNumber:
			KEEP(true);
		case BTGreaterStrategyNumber:
			return 0;
		default:
			return keep_nan(times_ns, values, count, false, kept_times_ns, kept);
	}
}

/* Those points whose value op right holds; their number. */
static size_t
keep(const int64 *times_ns, const double *values, size_t count, StrategyNumber strategy,
	 double right, int64 *kept_times_ns, double *kept)
{
	size_t		n = 0;

	if (isnan(right))
		return keep_by_nan(times_ns, values, count, strategy, kept_times_ns, kept);
	switch (strategy)
	{
		case BTLessStrategyNumber:
			KEEP(v < right);
		case BTLessEqualStrategyNumber:
			KEEP(v <= right);
		case BTEqualStrategyNumber:
			KEEP(v == right);
		case BTGreaterEqualStrategyNumber:
			KEEP(!(v < right));
		case BTGreaterStrategyNumber:
			KEEP(!(v <= right));
		default:
			KEEP(v != right);
	}
}

static void
reserve(M3dbPointFilter *filter, size_t count)
{
	if (count <= filter->capacity)
		return;
	if (filter->times_ns != NULL)
	{
		pfree(filter->times_ns);
		pfree(filter->kept);
		filter->times_ns = NULL;
	}
	filter->kept = MemoryContextAllocHuge(filter->context, sizeof(double) * count);
	filter->times_ns = MemoryContextAllocHuge(filter->context, sizeof(int64) * count);
	filter->capacity = count;
}

void
m3db_point_filter_apply(M3dbPointFilter *filter, M3dbPoints *points)
{
	const M3dbConditions *conditions = &filter->conditions;
	size_t		first;

	if (conditions->nothing)
	{
		points->count = 0;
		return;
	}
	first = m3db_points_before(points->times_ns, points->count, conditions->start_ns);
	points->count = m3db_points_before(points->times_ns, points->count, conditions->end_ns);
	points->count = points->count > first ? points->count - first : 0;
	points->times_ns += first;
	if (points->values != NULL)
		points->values += first;
	for (int i = 0; i < filter->value_count && points->count > 0; i++)
	{
		reserve(filter, points->count);
		points->count = keep(points->times_ns, points->values, points->count,
							 filter->values[i].strategy, filter->values[i].value,
							 filter->times_ns, filter->kept);
		points->times_ns = filter->times_ns;
		points->values = filter->kept;
	}
}
