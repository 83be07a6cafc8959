/*
 * How many series, points and rows a scan finds, and what that costs.
 *
 * Costs are in PostgreSQL's units, where a heap row of about 25 ns is
 * 0.01 (cpu_tuple_cost): nothing here waits for a disk as a rule, a row costs a little
 * less than a heap row, a series as much as some rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/plan.h"
#include "fdw/quals.h"
#include "server/server.h"

#define SCAN_STARTUP_COST 5.0
#define SERIES_COST 0.5
#define ROW_COST_FACTOR 0.6		/* of cpu_tuple_cost: 15 ns */
#define DECODE_COST_FACTOR 0.2	/* of cpu_tuple_cost: 5 ns a point */

/* When nothing is known, and for an empty namespace, which may be filled before a
 * cached plan runs again. */
#define DEFAULT_SERIES 100.0
#define DEFAULT_POINTS 10000.0
#define DEFAULT_DISTINCT 200.0
#define DEFAULT_ELEMENTS 10.0

/* ---- how much there is ---- */

/* What it is mounted with; the table does not say. */
static int64
mounted_block_size(M3Database *db, const M3dbTable *table)
{
	M3NamespaceInfo namespace_info;

	if (m3_namespace_info(db, table->namespace_name, &namespace_info, NULL) != M3_OK)
		return 0;
	return namespace_info.options.block_size_ns;
}

static void
estimate_namespace(RelOptInfo *baserel, M3dbRelInfo *info, bool may_read)
{
	M3Database *db = m3db_database_of_table_if_ready(info->table);
	M3Estimate	estimate;

	info->block_size_ns = info->table->options.block_size_ns;
	info->series = DEFAULT_SERIES;
	info->points = baserel->tuples > 0 ? baserel->tuples : DEFAULT_POINTS;
	if (db == NULL ||
		m3_scan_estimate(db, info->table->namespace_name, &estimate, NULL) != M3_OK ||
		estimate.points == 0)
		return;

	if (may_read)
		info->db = db;
	info->series = Max((double) estimate.series, 1.0);
	info->points = (double) estimate.points;
	info->summarized = (double) estimate.summarized_points / (double) estimate.points;
	if (estimate.first_block_ns < estimate.end_ns)
	{
		info->first_ns = estimate.first_block_ns;
		info->end_ns = estimate.end_ns;
	}
	if (info->table->directory != NULL)
		info->block_size_ns = mounted_block_size(db, info->table);
}

static bool
has_statistics(const M3dbTable *table, AttrNumber attnum)
{
	return SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(table->relid),
								 Int16GetDatum(attnum), BoolGetDatum(false));
}

/* The part of the series a tag comparison with one value keeps. */
static double
tag_selectivity(const M3dbRelInfo *info)
{
	double		distinct = pow(info->series, 1.0 / Max(info->table->tag_count, 1));

	return 1.0 / Max(distinct, Min(info->series, DEFAULT_DISTINCT));
}

static double
element_count(const Expr *array)
{
	const Const *constant = (const Const *) array;

	if (IsA(array, ArrayExpr))
		return list_length(((const ArrayExpr *) array)->elements);
	if (IsA(array, Const) && !constant->constisnull)
	{
		ArrayType  *value = DatumGetArrayTypeP(constant->constvalue);

		return ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value));
	}
	return DEFAULT_ELEMENTS;
}

/* The part of the series that a clause keeps as the index has it, or -1.  Never nothing,
 * since there may be more when a cached plan runs. */
static double
counted_selectivity(PlannerInfo *root, const M3dbRelInfo *info, const M3dbQual *qual)
{
	MemoryContext context;
	MemoryContext old_context;
	M3Matcher	matcher;
	M3Estimate	estimate;
	M3Status	status;

	if (info->db == NULL)
		return -1;
	context = AllocSetContextCreate(CurrentMemoryContext, "m3db estimate",
									ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	m3db_qual_guess(root, info->table, qual, &matcher);
	status = m3_scan_estimate_matching(info->db, info->table->namespace_name, &matcher, 1,
									   &estimate, NULL);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	if (status != M3_OK)
		return -1;
	return Min(Max((double) estimate.series, 1.0) / info->series, 1.0);
}

/*
 * The selectivity of a clause we evaluate, or -1 if PostgreSQL's own estimate is as good:
 * where it has statistics, and where it needs none.
 */
static double
qual_selectivity(PlannerInfo *root, const M3dbRelInfo *info, const M3dbQual *qual)
{
	const M3dbTable *table = info->table;
	double		counted = counted_selectivity(root, info, qual);
	double		one;

	if (counted >= 0)
		return counted;
	if (qual->kind != M3DB_QUAL_EQUAL && qual->kind != M3DB_QUAL_ANY)
		return -1;
	if (table->columns[qual->attnum - 1].role == M3DB_ROLE_ID)
		one = 1.0 / info->series;
	else if (qual->key == NULL && !has_statistics(table, qual->attnum))
		one = tag_selectivity(info);
	else
		return -1;
	return qual->kind == M3DB_QUAL_EQUAL ? one : Min(1.0, one * element_count(qual->expr));
}

/* Narrows a range by a time qual whose value can be told now; false if it cannot. */
static bool
estimate_bound(PlannerInfo *root, const M3dbTable *table, const M3dbQual *qual,
			   int64 *start_ns, int64 *end_ns)
{
	Node	   *value = estimate_expression_value(root, (Node *) qual->expr);

	if (!IsA(value, Const) || ((Const *) value)->constisnull)
		return false;
	m3db_qual_narrow(table->columns[qual->attnum - 1].role, qual->strategy,
					 m3db_qual_time_value(((Const *) value)->constvalue,
										  qual->value_type),
					 start_ns, end_ns);
	return true;
}

/* The part of the points in a range.  Series tend to have their points at the same
 * times, so a range that is not empty is taken to hold one of each. */
static double
range_fraction(const M3dbRelInfo *info, int64 start_ns, int64 end_ns)
{
	double		span = (double) info->end_ns - (double) info->first_ns;
	double		overlap = (double) Min(end_ns, info->end_ns) -
		(double) Max(start_ns, info->first_ns);

	if (overlap <= 0)
		return 0;
	return Min(Max(overlap / span, info->series / info->points), 1.0);
}

double
m3db_clauses_selectivity(PlannerInfo *root, RelOptInfo *rel, const M3dbRelInfo *info,
						 List *clauses, double *pushed, double *tags)
{
	int64		start_ns = info->first_ns;
	int64		end_ns = info->end_ns;
	List	   *time_rest = NIL;
	List	   *rest = NIL;
	ListCell   *lc;

	*pushed = 1.0;
	*tags = 1.0;
	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		M3dbQual	qual;
		double		selectivity;

		if (!m3db_qual_match(root, rel, info->table, rinfo, &qual))
			rest = lappend(rest, rinfo);
		else if (qual.kind == M3DB_QUAL_TIME)
		{
			if (info->first_ns == info->end_ns ||
				!estimate_bound(root, info->table, &qual, &start_ns, &end_ns))
				time_rest = lappend(time_rest, rinfo);
		}
		else
		{
			selectivity = qual_selectivity(root, info, &qual);
			if (selectivity < 0)
				selectivity = clause_selectivity(root, (Node *) rinfo, (int) rel->relid,
												 JOIN_INNER, NULL);
			*tags *= selectivity;
		}
	}
	if (info->first_ns < info->end_ns)
		*pushed = range_fraction(info, start_ns, end_ns);
	*pushed *= *tags * clauselist_selectivity(root, time_rest, (int) rel->relid,
											  JOIN_INNER, NULL);
	return *pushed * clauselist_selectivity(root, rest, (int) rel->relid,
											JOIN_INNER, NULL);
}

void
m3db_GetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	M3dbRelInfo *info = palloc0(sizeof(M3dbRelInfo));
	bool		may_read;
	double		selectivity;
	double		pushed;
	double		tags;

	info->table = m3db_table(relid);
	/* estimates tell of values: only to those who may see them, as with statistics */
	may_read = pg_class_aclcheck(relid, m3db_rel_userid(baserel,
														 planner_rt_fetch(baserel->relid, root)),
								 ACL_SELECT) == ACLCHECK_OK;
	estimate_namespace(baserel, info, may_read);
	baserel->tuples = info->table->wide ?
		info->points / info->table->value_count : info->points;
	selectivity = m3db_clauses_selectivity(root, baserel, info,
										   baserel->baserestrictinfo, &pushed, &tags);
	info->size.series = info->series * tags;
	info->size.scanned_rows = baserel->tuples * pushed;
	baserel->rows = clamp_row_est(baserel->tuples * selectivity);
	info->size.rows = baserel->rows;
	baserel->fdw_private = info;
}

/* ---- costs ---- */

/* Blocks are decoded from their start: points of the range, and those of a
 * block's length more for each series, but not more than there are. */
static double
decoded_points(const M3dbRelInfo *info, double series, double points)
{
	double		span = (double) info->end_ns - (double) info->first_ns;
	double		per_series = info->points / info->series;
	double		per_block = per_series;

	if (span > 0)
		per_block *= Min((double) info->block_size_ns / span, 1.0);
	return Min(points + series * per_block, Max(points, series * per_series));
}

void
m3db_scan_cost(const M3dbRelInfo *info, const M3dbScanSize *size, Cost *startup, Cost *run)
{
	*startup = SCAN_STARTUP_COST;
	*run = m3db_decode_cost(info, size) +
		size->scanned_rows * cpu_tuple_cost * ROW_COST_FACTOR;
}

Cost
m3db_decode_cost(const M3dbRelInfo *info, const M3dbScanSize *size)
{
	double		points = size->scanned_rows *
		(info->table->wide ? info->table->value_count : 1);

	return size->series * SERIES_COST +
		decoded_points(info, size->series, points) * cpu_tuple_cost * DECODE_COST_FACTOR;
}
