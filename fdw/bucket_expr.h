/*
 * What a query may be grouped by in time: expressions of the time column whose values do not fall
 * when the time rises.
 *
 *   m3db.time_bucket(), date_bin(), date_trunc(), ts::date
 *   floor(extract(epoch FROM ts) / 60) * 60 and its kin
 *   ts_ns / 60000000000, of a column of nanoseconds
 *
 * What is added, where buckets begin and how wide they are may be parameters or now(); what is
 * multiplied or divided by must be known, as its sign decides.
 */
#ifndef M3DB_BUCKET_EXPR_H
#define M3DB_BUCKET_EXPR_H

#include "fdw/table.h"
#include "nodes/pathnodes.h"

typedef struct M3dbBucketMatch
{
	Expr	   *expr;			/* the expression, of a CaseTestExpr instead of the column */
	char	   *zone;			/* see M3dbAggregateBucket */
	double		width_us;		/* about; 0: not known */
} M3dbBucketMatch;

extern bool m3db_bucket_match(PlannerInfo *root, const RelOptInfo *rel,
							  const M3dbTable *table, Expr *expr, M3dbBucketMatch *match);

#endif							/* M3DB_BUCKET_EXPR_H */
