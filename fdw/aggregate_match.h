/*
 * Which aggregate queries the scan can answer: recognizing groups, aggregates and conditions.
 *
 * All or nothing: a query is taken if whatever it asks of the table's rows can be told from
 * cells, exactly.  What it makes of the results is PostgreSQL's affair.
 */
#ifndef M3DB_AGGREGATE_MATCH_H
#define M3DB_AGGREGATE_MATCH_H

#include "fdw/aggregate.h"
#include "nodes/pathnodes.h"

/* What is asked for. */
typedef struct M3dbAggregateQuery
{
	PlannerInfo *root;
	RelOptInfo *rel;			/* with an M3dbRelInfo */
	const PathTarget *target;	/* what is to come out */
	List	   *target_list;	/* has what it is grouped by; of rel's columns */
	List	   *having;
	bool		is_partial;		/* the target's aggregates are partial */
} M3dbAggregateQuery;

typedef struct M3dbAggregateMatch
{
	M3dbAggregateSpec spec;
	List	   *scan_tlist;		/* TargetEntries: groups, then calls */
	List	   *value_columns;	/* attnums to be read; of a wide table */
	List	   *value_clauses;	/* of WHERE, those that concern values */
	double		bucket_width_us;	/* about; 0: not known */
} M3dbAggregateMatch;

/* False if the scan cannot answer it. */
extern bool m3db_aggregate_match(const M3dbAggregateQuery *query, M3dbAggregateMatch *match);

#endif							/* M3DB_AGGREGATE_MATCH_H */
