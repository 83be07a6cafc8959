/*
 * What the files of the planner share.
 *
 *   estimate.c         how much there is, and what reading it costs
 *   paths.c            paths of a base relation
 *   order_paths.c      ... in an order
 *   share.c            ... for several processes
 *   aggregate_paths.c  aggregates in the scan
 *   plan.c             the plan of a path
 *
 * A relation's fdw_private is its M3dbRelInfo, also that of a partition.  Joins have none; what
 * an upper relation has is aggregate_paths.c's alone.
 */
#ifndef M3DB_PLAN_H
#define M3DB_PLAN_H

#include "fdw/table.h"
#include "nodes/pathnodes.h"

/* What a scan will have to do. */
typedef struct M3dbScanSize
{
	double		series;			/* matched */
	double		scanned_rows;	/* before PostgreSQL's filter */
	double		rows;			/* after it */
} M3dbScanSize;

typedef struct M3dbRelInfo
{
	const M3dbTable *table;
	double		series;			/* of the namespace */
	double		points;
	double		summarized;		/* the part of these that statistics know of */
	int64		first_ns;		/* what it spans; equal when not known */
	int64		end_ns;
	int64		block_size_ns;
	M3Database *db;				/* NULL: tag values are not to be looked at */
	M3dbScanSize size;			/* with baserestrictinfo */
} M3dbRelInfo;

/* ---- in estimate.c ---- */

/*
 * Selectivity of restriction clauses.  *pushed is that of the clauses the scan evaluates,
 * *tags that of the tag conditions among these.
 */
extern double m3db_clauses_selectivity(PlannerInfo *root, RelOptInfo *rel,
									   const M3dbRelInfo *info, List *clauses,
									   double *pushed, double *tags);

/* What it costs to get size->scanned_rows rows out of the storage: *startup before the
 * first row, *run for all of them.  Without filters and target lists. */
extern void m3db_scan_cost(const M3dbRelInfo *info, const M3dbScanSize *size,
						   Cost *startup, Cost *run);

/* The part of *run that is finding and decoding, without making rows. */
extern Cost m3db_decode_cost(const M3dbRelInfo *info, const M3dbScanSize *size);

/* ---- in paths.c ---- */

/* What all paths of one parameterization have in common. */
typedef struct M3dbPathBasis
{
	M3dbScanSize size;
	List	   *local_clauses;	/* RestrictInfos that PostgreSQL evaluates */
	QualCost	filter_cost;	/* of these */
	Relids		required_outer;
} M3dbPathBasis;

extern void m3db_basis_init(PlannerInfo *root, RelOptInfo *rel, const M3dbScanSize *size,
							List *clauses, Relids required_outer, M3dbPathBasis *basis);

/* Costs of the plain path: rows in no order. */
extern void m3db_basis_cost(RelOptInfo *rel, const M3dbPathBasis *basis, Cost *startup,
							Cost *total);

/*
 * fdw_private of a ForeignPath: what the scan does besides giving rows as they come, each
 * NIL if not.  The list becomes element M3DB_SCAN_PATH of the plan's.
 */
extern List *m3db_path_private(List *order, List *aggregate);
#define m3db_path_order(path_private) \
	((path_private) == NIL ? NIL : (List *) linitial(path_private))
#define m3db_path_aggregate(path_private) \
	((path_private) == NIL ? NIL : (List *) lsecond(path_private))

/* ---- in order_paths.c ---- */

/* Adds paths that give rows in an order somebody asked for, or only the rows that DISTINCT
 * will keep. */
extern void m3db_add_sorted_paths(PlannerInfo *root, RelOptInfo *rel,
								  const M3dbPathBasis *basis);

/* ---- in share.c ---- */

/* A path that is not shared out must run in the leader: workers have neither the
 * statement's snapshot nor its transaction's points. */
extern void m3db_keep_from_workers(Path *path);

/* Adds a path for several processes; of a relation that may be read in parallel, and not a
 * parameterized one. */
extern void m3db_add_partial_path(PlannerInfo *root, RelOptInfo *rel,
								  const M3dbPathBasis *basis);

/* ---- in aggregate_paths.c ---- */

extern ForeignScan *m3db_aggregate_plan(PlannerInfo *root, RelOptInfo *rel,
										ForeignPath *path, List *tlist,
										Plan *outer_plan);

/* ---- in plan.c ---- */

/* Clauses that the scan evaluates, ready for a plan; begins zeroed. */
typedef struct M3dbPushed
{
	List	   *quals;			/* m3db_qual_serialize() */
	List	   *exprs;			/* for fdw_exprs */
	List	   *clauses;		/* one a qual */
} M3dbPushed;

/* False if the clause is not the scan's to evaluate. */
extern bool m3db_pushed_add(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
							RestrictInfo *rinfo, M3dbPushed *pushed);

/* Columns of the table that expressions refer to, ascending attnums. */
extern List *m3db_used_columns(RelOptInfo *rel, const M3dbTable *table,
							   List *expressions);

/*
 * The value columns of a wide table that must be read, NIL for a narrow one.  A point of
 * any column makes a row, also one that shows NULLs only, so all of them; unless a local clause
 * (an expression) asks for one to be not NULL: then rows without it are of no interest, and
 * the columns used will do, that one being among them.  A row's unit and annotation may
 * come from any column.
 */
extern List *m3db_value_columns(const RelOptInfo *rel, const M3dbTable *table,
								List *local_clauses, List *used);

/* fdw_private of a ForeignScan, see scan.h. */
extern List *m3db_scan_private(const M3dbTable *table, List *quals, List *columns,
							   List *value_columns, List *path_private);

#endif							/* M3DB_PLAN_H */
