/*
 * Aggregates inside the scan: what the planner's half (aggregate_paths.c, aggregate_match.c)
 * tells the executor's (aggregate.c).
 *
 * Points are summed up by cells: the series that have the same values in the grouping
 * tags, and, if it is grouped by time, the points of one bucket.
 *
 * A wide table's row is one (tags, time) with a point in any of its columns.  A cell exists when
 * it has a row, also if none of the columns asked for has a point in it; value conditions count
 * as part of what makes a row.
 */
#ifndef M3DB_AGGREGATE_H
#define M3DB_AGGREGATE_H

#include "fdw/producer.h"
#include "nodes/execnodes.h"

typedef enum M3dbAggregateKind
{
	M3DB_AGGREGATE_COUNT,		/* of rows, or of those with the column not NULL */
	M3DB_AGGREGATE_SUM,
	M3DB_AGGREGATE_AVG,
	M3DB_AGGREGATE_MIN,
	M3DB_AGGREGATE_MAX,
	M3DB_AGGREGATE_VAR_POP,
	M3DB_AGGREGATE_VAR_SAMP,
	M3DB_AGGREGATE_STDDEV_POP,
	M3DB_AGGREGATE_STDDEV_SAMP,
	M3DB_AGGREGATE_FIRST,		/* m3db.first(value, time): NULL if the first row has none */
	M3DB_AGGREGATE_LAST,
	M3DB_AGGREGATE_FIRST_TIME,	/* min(time) */
	M3DB_AGGREGATE_LAST_TIME	/* max(time) */
} M3dbAggregateKind;

/* One aggregate call. */
typedef struct M3dbAggregateCall
{
	M3dbAggregateKind kind;
	AttrNumber	attnum;			/* a value column, of COUNT also a tag column; 0: rows */
	int			filter;			/* number of its FILTER, or -1 */
} M3dbAggregateCall;

/* One thing it is grouped by. */
typedef struct M3dbAggregateGroup
{
	AttrNumber	attnum;			/* a tag column; 0: the bucket */
} M3dbAggregateGroup;

/*
 * What the points are grouped by in time.  A function of the time column's value, written as an
 * expression on a CaseTestExpr, that does not fall when the time rises, between two changes of
 * the zone's offset.
 */
typedef struct M3dbAggregateBucket
{
	Expr	   *expr;			/* NULL: not grouped by time */
	char	   *zone;			/* time zone it depends on, "" the session's; NULL: none, or one
								 * that always has the same offset */
} M3dbAggregateBucket;

/* column op value, of float8; NULL keeps nothing. */
typedef struct M3dbValueQual
{
	AttrNumber	attnum;
	StrategyNumber strategy;	/* of btree, the column on the left; 0 is <> */
	Expr	   *expr;			/* fixed during the scan */
} M3dbValueQual;

/*
 * Conditions, all of which must hold.  In a wide table those on values are about one column, in a
 * FILTER that of the call: its rows are that column's points then, so a call of FIRST or LAST has
 * some only if no other column is read.
 */
typedef struct M3dbAggregateFilter
{
	List	   *quals;			/* m3db_qual_serialize(): on tags and time */
	List	   *qual_exprs;		/* their expressions */
	int			value_qual_count;
	M3dbValueQual *value_quals;
} M3dbAggregateFilter;

typedef struct M3dbAggregateSpec
{
	bool		is_grouped;		/* false: one row, whatever there is */
	bool		is_partial;		/* results are transition states, for core to combine */
	int			group_count;
	M3dbAggregateGroup *groups;
	M3dbAggregateBucket bucket;
	int			call_count;
	M3dbAggregateCall *calls;
	int			filter_count;
	M3dbAggregateFilter *filters;
	M3dbAggregateFilter where;	/* of WHERE, only value conditions: what is left of the
								 * scan's quals; NULL lists if there are none */
} M3dbAggregateSpec;

/*
 * Rows that come out (fdw_scan_tlist of the plan): the groups in their order, then the calls in
 * theirs.
 */

/* ---- in aggregate_spec.c ---- */

/* A spec as lists of nodes without expressions, which go to *exprs (for fdw_exprs). */
extern List *m3db_aggregate_write(const M3dbAggregateSpec *spec, List **exprs);

/* The other way round; *exprs are the plan's fdw_exprs, the last of which are the spec's: these
 * are taken off a copy of the list. */
extern M3dbAggregateSpec *m3db_aggregate_read(List *written, List **exprs);

/* ---- in aggregate.c ---- */

typedef struct M3dbAggregation M3dbAggregation;

/* Makes a spec ready for execution, in the current memory context, for as long as parent. */
extern M3dbAggregation *m3db_aggregation_init(const M3dbTable *table,
											  const M3dbAggregateSpec *spec,
											  PlanState *parent);

/* reading->scan is NULL if no series can qualify; reading->projection is not set. */
extern M3dbProducer *m3db_aggregate_create(const M3dbReading *reading,
										   M3dbAggregation *aggregation);

#endif							/* M3DB_AGGREGATE_H */
