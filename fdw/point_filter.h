/*
 * Conditions on points, evaluated on columns of them: what WHERE leaves to aggregates, and
 * their FILTERs.
 *
 * Conditions on tags are asked once a series, bounds on the time once a batch, and values are
 * compared as PostgreSQL compares float8: NaN equals NaN and is greater than all others.
 */
#ifndef M3DB_POINT_FILTER_H
#define M3DB_POINT_FILTER_H

#include "fdw/aggregate.h"
#include "fdw/quals.h"

typedef struct M3dbPoints
{
	size_t		count;
	const int64 *times_ns;		/* ascending */
	const double *values;
} M3dbPoints;

/* Expressions of a filter, ready to be evaluated. */
typedef struct M3dbPointFilterState
{
	const M3dbAggregateFilter *filter;
	M3dbQualStates quals;
	ExprState **values;			/* one a value qual */
} M3dbPointFilterState;

typedef struct M3dbValueCondition
{
	StrategyNumber strategy;
	double		value;
} M3dbValueCondition;

typedef struct M3dbPointFilter
{
	M3dbConditions conditions;	/* nothing: also for values */
	int			value_count;
	M3dbValueCondition *values;
	/* scratch: points that fulfil those */
	MemoryContext context;
	size_t		capacity;
	int64	   *times_ns;
	double	   *kept;
} M3dbPointFilter;

extern void m3db_point_filter_init(M3dbPointFilterState *state,
								   const M3dbAggregateFilter *filter, PlanState *parent);

/* What it says now; allocated in the current memory context. */
extern void m3db_point_filter_evaluate(const M3dbTable *table,
									   const M3dbPointFilterState *state,
									   ExprContext *econtext, M3dbPointFilter *filter);

/* Whether it lets points of a series through, as far as tags can tell. */
extern bool m3db_point_filter_takes_series(const M3dbPointFilter *filter, M3Slice id,
										   M3Slice tags);

/* Leaves those points that fulfil it, in the filter's memory unless they are side by side. */
extern void m3db_point_filter_apply(M3dbPointFilter *filter, M3dbPoints *points);

/* Whether bounds on the time treat all points between two alike, and how. */
extern bool m3db_point_filter_is_whole(const M3dbPointFilter *filter, int64 first_ns,
									   int64 last_ns, bool *is_taken);

/* Number of points before a time. */
static inline size_t
m3db_points_before(const int64 *times_ns, size_t count, int64 time_ns)
{
	size_t		low = 0;

	if (count == 0 || times_ns[0] >= time_ns)
		return 0;
	if (times_ns[count - 1] < time_ns)
		return count;
	while (low < count)
	{
		size_t		middle = low + (count - low) / 2;

		if (times_ns[middle] < time_ns)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

#endif							/* M3DB_POINT_FILTER_H */
