/*
 * Size, paths and plan of a foreign scan.
 *
 * Clauses the scan evaluates exactly (fdw/quals.c) leave PostgreSQL's hands; all
 * others are its filter.  A path makes no promise of order.
 *
 * Costs are in PostgreSQL's units, where a heap row of about 25 ns is
 * 0.01 (cpu_tuple_cost): nothing here waits for a disk as a rule, a row costs a little
 * less than a heap row, a series as much as some rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/scan.h"
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

/* fdw_private of the RelOptInfo */
typedef struct M3dbRelInfo
{
	const M3dbTable *table;
	double		series;			/* of the namespace */
	double		points;
	int64		first_ns;		/* what it spans; equal when not known */
	int64		end_ns;
	int64		block_size_ns;
	M3Database *db;				/* NULL: tag values are not to be looked at */
	double		matched_series; /* by baserestrictinfo, pushed quals only */
	double		scanned_rows;
} M3dbRelInfo;

/* ---- size ---- */

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

/* The part of the series that a clause keeps whose value can be told now, or -1: as
 * the index has it.  Never nothing, since there may be more when a cached plan runs. */
static double
counted_selectivity(PlannerInfo *root, const M3dbRelInfo *info, const M3dbQual *qual)
{
	Const	   *constant = NULL;
	MemoryContext context;
	MemoryContext old_context;
	M3Matcher	matcher;
	M3Estimate	estimate = {0};
	M3Status	status = M3_OK;

	if (info->db == NULL)
		return -1;
	if (qual->expr != NULL)
	{
		constant = (Const *) estimate_expression_value(root, (Node *) qual->expr);
		if (!IsA(constant, Const) || constant->constisnull)
			return -1;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "m3db estimate",
									ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	if (m3db_qual_matcher(info->table, qual, constant != NULL ? constant->constvalue : 0,
						  &matcher))
		status = m3_scan_estimate_matching(info->db, info->table->namespace_name,
										   &matcher, 1, &estimate, NULL);
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
	double		counted;

	if (table->columns[qual->attnum - 1].role == M3DB_ROLE_ID)
	{
		double		count = qual->kind == M3DB_QUAL_ANY ?
			element_count(qual->expr) : 1.0;

		return Min(1.0, count / info->series);
	}
	counted = counted_selectivity(root, info, qual);
	if (counted >= 0)
		return counted;
	if (has_statistics(table, qual->attnum))
		return -1;
	if (qual->kind == M3DB_QUAL_EQUAL)
		return tag_selectivity(info);
	if (qual->kind == M3DB_QUAL_ANY)
		return Min(1.0, tag_selectivity(info) * element_count(qual->expr));
	return -1;
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

/*
 * Selectivity of restriction clauses.  *pushed is that of the clauses the scan evaluates,
 * *tags that of the tag conditions among these.
 */
static double
clauses_selectivity(PlannerInfo *root, RelOptInfo *rel, const M3dbRelInfo *info,
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
	selectivity = clauses_selectivity(root, baserel, info, baserel->baserestrictinfo,
									  &pushed, &tags);
	info->matched_series = info->series * tags;
	info->scanned_rows = baserel->tuples * pushed;
	baserel->rows = clamp_row_est(baserel->tuples * selectivity);
	baserel->fdw_private = info;
}

/* ---- paths ---- */

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

static void
add_scan_path(PlannerInfo *root, RelOptInfo *rel, double rows, double scanned_rows,
			  double series, QualCost filter_cost, Relids required_outer)
{
	const M3dbRelInfo *info = rel->fdw_private;
	double		points = scanned_rows *
		(info->table->wide ? info->table->value_count : 1);
	Cost		startup = SCAN_STARTUP_COST + filter_cost.startup +
		rel->reltarget->cost.startup;
	Cost		run = series * SERIES_COST +
		decoded_points(info, series, points) * cpu_tuple_cost * DECODE_COST_FACTOR +
		scanned_rows * cpu_tuple_cost * ROW_COST_FACTOR +
		scanned_rows * filter_cost.per_tuple +
		rows * rel->reltarget->cost.per_tuple;

	add_path(rel, (Path *)
			 create_foreignscan_path_compat(root, rel, NULL, rows, 0, startup,
											startup + run, NIL, required_outer,
											NULL, NIL, NIL));
}

/* The cost of the clauses that remain PostgreSQL's. */
static QualCost
filter_cost(PlannerInfo *root, RelOptInfo *rel, List *clauses)
{
	const M3dbRelInfo *info = rel->fdw_private;
	List	   *rest = NIL;
	QualCost	cost;
	M3dbQual	qual;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!m3db_qual_match(root, rel, info->table, rinfo, &qual))
			rest = lappend(rest, rinfo);
	}
	cost_qual_eval(&cost, rest, root);
	return cost;
}

/* Remembers the parameterization a join clause would need, once each. */
static List *
collect_outer_rels(PlannerInfo *root, RelOptInfo *rel, List *clauses, List *collected)
{
	const M3dbRelInfo *info = rel->fdw_private;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		ParamPathInfo *param_info;
		Relids		required_outer;
		M3dbQual	qual;

		if (!join_clause_is_movable_to(rinfo, rel) ||
			!m3db_qual_match(root, rel, info->table, rinfo, &qual))
			continue;
		required_outer = bms_union(rinfo->clause_relids, rel->lateral_relids);
		required_outer = bms_del_member(required_outer, (int) rel->relid);
		if (bms_is_empty(required_outer))
			continue;
		param_info = get_baserel_parampathinfo(root, rel, required_outer);
		collected = list_append_unique_ptr(collected, param_info);
	}
	return collected;
}

typedef struct ColumnMatch
{
	const M3dbTable *table;
	AttrNumber	attnum;
} ColumnMatch;

static bool
member_is_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
				 EquivalenceMember *em, void *arg)
{
	const ColumnMatch *match = arg;

	return m3db_qual_column(rel, match->table, (Node *) em->em_expr) == match->attnum;
}

/* Join clauses the equivalence classes can make for our tag, id and time columns. */
static List *
collect_equivalences(PlannerInfo *root, RelOptInfo *rel, List *collected)
{
	const M3dbTable *table = ((M3dbRelInfo *) rel->fdw_private)->table;

	if (!rel->has_eclass_joins)
		return collected;
	for (int i = 0; i < table->column_count; i++)
	{
		ColumnMatch match = {table, (AttrNumber) (i + 1)};
		List	   *clauses;

		switch (table->columns[i].role)
		{
			case M3DB_ROLE_TAG:
			case M3DB_ROLE_ID:
			case M3DB_ROLE_TIME:
			case M3DB_ROLE_TIME_NS:
				break;
			default:
				continue;
		}
		clauses = generate_implied_equalities_for_column(root, rel, member_is_column,
														 &match, rel->lateral_referencers);
		collected = collect_outer_rels(root, rel, clauses, collected);
	}
	return collected;
}

/*
 * A parameterized path.  The number of rows must be PostgreSQL's own estimate for the
 * parameterization; what we scan is guessed from ours.
 */
static void
add_parameterized_path(PlannerInfo *root, RelOptInfo *rel, ParamPathInfo *param_info)
{
	const M3dbRelInfo *info = rel->fdw_private;
	List	   *clauses = list_concat_copy(param_info->ppi_clauses,
										   rel->baserestrictinfo);
	double		pushed;
	double		tags;
	double		rows = param_info->ppi_rows;

	clauses_selectivity(root, rel, info, clauses, &pushed, &tags);
	add_scan_path(root, rel, rows, Max(rel->tuples * pushed, Min(rows, 1.0)),
				  Max(info->series * tags, 1.0), filter_cost(root, rel, clauses),
				  param_info->ppi_req_outer);
}

void
m3db_GetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	const M3dbRelInfo *info = baserel->fdw_private;
	List	   *collected;
	ListCell   *lc;

	add_scan_path(root, baserel, baserel->rows, info->scanned_rows,
				  info->matched_series,
				  filter_cost(root, baserel, baserel->baserestrictinfo),
				  baserel->lateral_relids);

	collected = collect_outer_rels(root, baserel, baserel->joininfo, NIL);
	collected = collect_equivalences(root, baserel, collected);
	foreach(lc, collected)
		add_parameterized_path(root, baserel, lfirst(lc));
}

/* ---- plan ---- */

static List *
used_columns(RelOptInfo *rel, const M3dbTable *table, List *local_clauses)
{
	Bitmapset  *attrs = NULL;
	List	   *attnums = NIL;
	bool		whole_row;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attrs);
	pull_varattnos((Node *) local_clauses, rel->relid, &attrs);
	whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, attrs);
	for (int attnum = 1; attnum <= table->column_count; attnum++)
	{
		if (table->columns[attnum - 1].role != M3DB_ROLE_NONE &&
			(whole_row ||
			 bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, attrs)))
			attnums = lappend_int(attnums, attnum);
	}
	return attnums;
}

/* The value column that must not be NULL for clause to hold, or 0. */
static AttrNumber
required_value_column(const RelOptInfo *rel, const M3dbTable *table, Node *clause)
{
	List	   *args = NIL;
	ListCell   *lc;

	if (IsA(clause, NullTest) && ((NullTest *) clause)->nulltesttype == IS_NOT_NULL)
		args = list_make1(((NullTest *) clause)->arg);
	else if (IsA(clause, OpExpr) && op_strict(((OpExpr *) clause)->opno))
		args = ((OpExpr *) clause)->args;

	foreach(lc, args)
	{
		AttrNumber	attnum = m3db_qual_column(rel, table, lfirst(lc));

		if (attnum != InvalidAttrNumber &&
			table->columns[attnum - 1].role == M3DB_ROLE_VALUE)
			return attnum;
	}
	return InvalidAttrNumber;
}

/*
 * The value columns of a wide table that must be read.  A point of any column makes a row,
 * also one that shows NULLs only, so all of them; unless the filter asks for one to be not
 * NULL: then rows without it are of no interest, and the columns used will do, that one
 * being among them.  A row's unit and annotation may come from any column.
 */
static List *
value_columns(const RelOptInfo *rel, const M3dbTable *table, List *local_clauses,
			  List *used)
{
	bool		only_used = false;
	List	   *attnums = NIL;
	ListCell   *lc;

	if (!table->wide)
		return NIL;
	foreach(lc, local_clauses)
		only_used |= required_value_column(rel, table, lfirst(lc)) != InvalidAttrNumber;
	if (list_member_int(used, table->unit_attnum) ||
		list_member_int(used, table->annotation_attnum))
		only_used = false;

	for (int i = 0; i < table->value_count; i++)
	{
		if (!only_used || list_member_int(used, table->value_attnums[i]))
			attnums = lappend_int(attnums, table->value_attnums[i]);
	}
	return attnums;
}

ForeignScan *
m3db_GetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
					ForeignPath *best_path, List *tlist, List *scan_clauses,
					Plan *outer_plan)
{
	const M3dbTable *table = ((M3dbRelInfo *) baserel->fdw_private)->table;
	List	   *quals = NIL;
	List	   *exprs = NIL;
	List	   *pushed_clauses = NIL;
	List	   *local_clauses = NIL;
	List	   *columns;
	ListCell   *lc;

	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		M3dbQual	qual;

		if (rinfo->pseudoconstant)
			continue;
		if (!m3db_qual_match(root, baserel, table, rinfo, &qual))
		{
			local_clauses = lappend(local_clauses, rinfo->clause);
			continue;
		}
		quals = lappend(quals, m3db_qual_serialize(&qual));
		if (qual.expr != NULL)
			exprs = lappend(exprs, qual.expr);
		pushed_clauses = lappend(pushed_clauses, rinfo->clause);
	}

	columns = used_columns(baserel, table, local_clauses);
	return make_foreignscan(tlist, local_clauses, baserel->relid, exprs,
							list_make3(quals, columns,
									   value_columns(baserel, table, local_clauses,
													 columns)),
							NIL, pushed_clauses, outer_plan);
}
