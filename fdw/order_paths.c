/*
 * Paths that give rows in an order: for ORDER BY, DISTINCT and GROUP BY, for merge joins, and for
 * the MergeAppend above partitions.
 *
 * An order that can be given only in part is still worth giving: PostgreSQL sorts the rest
 * incrementally.  Costs are what the order adds to those of a scan without one.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/merge.h"
#include "fdw/order.h"
#include "fdw/plan.h"
#include "fdw/quals.h"
#include "server/server.h"

#define KEY_COST_FACTOR 8.0		/* of cpu_tuple_cost: converting a unit's key, 200 ns */
#define COMPARE_COST_FACTOR 4.0 /* of cpu_operator_cost: comparing two keys */
#define MERGE_ROW_COST_FACTOR 0.8	/* of cpu_tuple_cost: a row through a window */
#define MERGE_STEP_COST_FACTOR 1.0	/* of cpu_operator_cost: one level of the heap */

/* ---- orders for pathkeys ---- */

/* The column of rel that an equivalence class is about, or 0. */
static AttrNumber
column_of_class(RelOptInfo *rel, const M3dbTable *table, EquivalenceClass *ec)
{
	M3dbMemberIterator it;
	EquivalenceMember *member;

	if (ec->ec_has_volatile)
		return InvalidAttrNumber;
	m3db_members_begin(&it, ec, rel->relids);
	while ((member = m3db_members_next(&it)) != NULL)
	{
		AttrNumber	attnum = InvalidAttrNumber;

		if (bms_equal(member->em_relids, rel->relids))
			attnum = m3db_qual_column(rel, table, (Node *) member->em_expr);
		if (attnum != InvalidAttrNumber)
			return attnum;
	}
	return InvalidAttrNumber;
}

static bool
is_time(const M3dbColumn *column)
{
	return column->role == M3DB_ROLE_TIME || column->role == M3DB_ROLE_TIME_NS;
}

/* Columns that belong to a unit. */
static bool
is_key(const M3dbTable *table, const M3dbColumn *column)
{
	return column->role == M3DB_ROLE_TAG || (column->role == M3DB_ROLE_ID && !table->wide);
}

/* The order of a pathkey must be that of the type. */
static bool
find_operator(const M3dbColumn *column, const PathKey *pathkey, Oid *operator)
{
	TypeCacheEntry *type = lookup_type_cache(column->type_id, TYPECACHE_BTREE_OPFAMILY);

	if (!OidIsValid(type->btree_opf) || pathkey->pk_opfamily != type->btree_opf)
		return false;
	*operator = get_opfamily_member(type->btree_opf, type->btree_opintype,
									type->btree_opintype,
									m3db_pathkey_is_ascending(pathkey) ?
									BTLessStrategyNumber : BTGreaterStrategyNumber);
	return OidIsValid(*operator);
}

/* The order that gives as many of the pathkeys as possible, and how many it gives. */
static int
order_for_pathkeys(RelOptInfo *rel, List *pathkeys, M3dbOrder *order)
{
	const M3dbTable *table = ((M3dbRelInfo *) rel->fdw_private)->table;
	int			given = 0;
	ListCell   *lc;

	memset(order, 0, sizeof(*order));
	order->first_of = M3DB_ALL_ROWS;
	order->keys = palloc(sizeof(M3dbOrderKey) * (list_length(pathkeys) + 1));
	foreach(lc, pathkeys)
	{
		PathKey    *pathkey = lfirst_node(PathKey, lc);
		AttrNumber	attnum = column_of_class(rel, table, pathkey->pk_eclass);
		const M3dbColumn *column = &table->columns[attnum - 1];
		M3dbOrderKey *key = &order->keys[order->key_count];

		if (attnum == InvalidAttrNumber || order->time != M3DB_TIME_UNORDERED ||
			!(is_time(column) || is_key(table, column)) ||
			!find_operator(column, pathkey, &key->sort_operator))
			break;
		given++;
		if (is_time(column))
		{
			order->time = m3db_pathkey_is_ascending(pathkey) ? M3DB_TIME_ASCENDING :
				M3DB_TIME_DESCENDING;
			continue;
		}
		key->attnum = attnum;
		key->collation = pathkey->pk_eclass->ec_collation;
		key->is_descending = !m3db_pathkey_is_ascending(pathkey);
		key->nulls_first = pathkey->pk_nulls_first;
		order->key_count++;
	}
	return given;
}

/* ---- which pathkeys ---- */

/* Classes by which rel may be joined: those of plain equalities, and those of outer
 * joins' conditions. */
static List *
classes_for_joins(PlannerInfo *root, RelOptInfo *rel)
{
	Relids		relids = IS_OTHER_REL(rel) ? rel->top_parent_relids : rel->relids;
	List	   *classes = NIL;
	ListCell   *lc;

	if (rel->has_eclass_joins)
	{
		foreach(lc, root->eq_classes)
		{
			EquivalenceClass *ec = lfirst(lc);

			if (eclass_useful_for_merging(root, ec, rel))
				classes = lappend(classes, ec);
		}
	}
	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->mergeopfamilies == NIL)
			continue;
		update_mergeclause_eclasses(root, rinfo);
		if (bms_is_subset(rinfo->left_relids, relids))
			classes = list_append_unique_ptr(classes, rinfo->left_ec);
		else if (bms_is_subset(rinfo->right_relids, relids))
			classes = list_append_unique_ptr(classes, rinfo->right_ec);
	}
	return classes;
}

static PathKey *
ascending_pathkey(PlannerInfo *root, EquivalenceClass *ec)
{
	return make_canonical_pathkey(root, ec, linitial_oid(ec->ec_opfamilies),
								  M3DB_PATHKEY_ASCENDING, false);
}

/*
 * Orders to merge by: each column of ours by which rel may be joined, and all of them
 * together, tags before the time.  The other side, if it is ours, puts them into the same order:
 * that of the classes.
 */
static List *
pathkeys_for_joins(PlannerInfo *root, RelOptInfo *rel)
{
	const M3dbTable *table = ((M3dbRelInfo *) rel->fdw_private)->table;
	List	   *result = NIL;
	List	   *tags = NIL;
	List	   *times = NIL;
	ListCell   *lc;

	if (!enable_mergejoin)
		return NIL;
	foreach(lc, classes_for_joins(root, rel))
	{
		EquivalenceClass *ec = lfirst(lc);
		AttrNumber	attnum = column_of_class(rel, table, ec);
		PathKey    *pathkey;

		if (attnum == InvalidAttrNumber || ec->ec_has_const)
			continue;
		pathkey = ascending_pathkey(root, ec);
		result = lappend(result, list_make1(pathkey));
		if (is_time(&table->columns[attnum - 1]))
			times = lappend(times, pathkey);
		else if (is_key(table, &table->columns[attnum - 1]))
			tags = lappend(tags, pathkey);
	}
	if (list_length(tags) + list_length(times) > 1)
		result = lappend(result, list_concat(tags, times));
	return result;
}

/* ---- costs ---- */

/* What the order is made of: series, or groups of series. */
static double
count_units(const M3dbRelInfo *info, const M3dbScanSize *size)
{
	return Max(size->series / (info->table->wide ? info->table->value_count : 1), 1.0);
}

/* Different values of the first so many keys. */
static double
count_values(PlannerInfo *root, RelOptInfo *rel, const M3dbScanSize *size,
			 const M3dbOrder *order, int key_count)
{
	const M3dbRelInfo *info = rel->fdw_private;
	double		units = count_units(info, size);
	List	   *vars = NIL;

	if (key_count == 0)
		return 1.0;
	for (int i = 0; i < key_count; i++)
	{
		const M3dbColumn *column = &info->table->columns[order->keys[i].attnum - 1];

		vars = lappend(vars, makeVar((int) rel->relid, column->attnum, column->type_id,
									 column->type_modifier, column->collation, 0));
	}
	return Min(units, estimate_num_groups(root, vars, Max(size->rows, 1.0), NULL, NULL));
}

/* Series of so many units. */
static double
series_of_units(const M3dbRelInfo *info, const M3dbScanSize *size, double units)
{
	return Min(units * (info->table->wide ? info->table->value_count : 1), size->series);
}

/* Until the first points of so many units are decoded. */
static Cost
first_block_cost(const M3dbRelInfo *info, const M3dbScanSize *size, double units)
{
	const M3dbScanSize first = {.series = series_of_units(info, size, units)};

	return m3db_decode_cost(info, &first);
}

static Cost
sort_cost(double units, const M3dbOrder *order)
{
	if (order->key_count == 0 || units <= 1)
		return 0;
	return units * order->key_count * cpu_tuple_cost * KEY_COST_FACTOR +
		units * log2(units) * cpu_operator_cost * COMPARE_COST_FACTOR;
}

/* What merging the rows of runs of so many units adds. */
static Cost
merge_cost(const M3dbRelInfo *info, const M3dbScanSize *size, double run_units)
{
	int			columns = info->table->wide ? info->table->value_count : 1;
	double		span = (double) info->end_ns - (double) info->first_ns;
	double		block_rows = info->points / info->series;
	double		again;

	if (run_units <= 1)
		return 0;
	if (span > 0)
		block_rows *= Min((double) info->block_size_ns / span, 1.0);
	/* blocks longer than windows are decoded that many times */
	again = block_rows / m3db_merge_window(run_units, columns) - 1;
	return size->scanned_rows * (cpu_tuple_cost * MERGE_ROW_COST_FACTOR +
								 log2(run_units) * cpu_operator_cost *
								 MERGE_STEP_COST_FACTOR) +
		Max(again, 0) * m3db_decode_cost(info, size);
}

/* ---- paths ---- */

static void
add_sorted_path(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis,
				List *pathkeys)
{
	const M3dbRelInfo *info = rel->fdw_private;
	const M3dbScanSize *size = &basis->size;
	double		units = count_units(info, size);
	double		run_units = 1.0;
	M3dbOrder	order;
	int			given = order_for_pathkeys(rel, pathkeys, &order);
	Cost		startup;
	Cost		total;
	Cost		ordering;
	ForeignPath *path;

	if (given == 0)
		return;
	if (order.time != M3DB_TIME_UNORDERED)
		run_units = units / count_values(root, rel, size, &order, order.key_count);
	m3db_basis_cost(rel, basis, &startup, &total);
	ordering = sort_cost(units, &order);
	total += ordering + merge_cost(info, size, run_units);
	startup += ordering + first_block_cost(info, size, run_units);
	path = create_foreignscan_path_compat(root, rel, NULL, size->rows, 0,
										  Min(startup, total), total,
										  list_truncate(list_copy(pathkeys), given),
										  basis->required_outer, NULL, NIL,
										  m3db_path_private(m3db_order_write(&order), NIL));
	m3db_keep_from_workers(&path->path);
	add_path(rel, (Path *) path);
}

/* ---- DISTINCT ---- */

/* Whether all that happens to the rows of rel is DISTINCT on columns that belong to units. */
static bool
is_only_distinct(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis)
{
	const Query *parse = root->parse;
	const M3dbTable *table = ((M3dbRelInfo *) rel->fdw_private)->table;
	ListCell   *lc;

	if (parse->distinctClause == NIL || !grouping_is_sortable(parse->distinctClause) ||
		parse->hasAggs || parse->groupClause != NIL || parse->groupingSets != NIL ||
		parse->havingQual != NULL || parse->hasWindowFuncs || parse->hasTargetSRFs ||
		parse->setOperations != NULL || parse->rowMarks != NIL ||
		parse->commandType != CMD_SELECT ||
		contain_volatile_functions((Node *) parse->targetList))
		return false;
	if (rel->reloptkind != RELOPT_BASEREL || !bms_equal(root->all_baserels, rel->relids) ||
		basis->local_clauses != NIL)
		return false;
	foreach(lc, parse->distinctClause)
	{
		AttrNumber	attnum = m3db_qual_column(rel, table,
											  get_sortgroupclause_expr(lfirst(lc),
																	   parse->targetList));

		if (attnum == InvalidAttrNumber || !is_key(table, &table->columns[attnum - 1]))
			return false;
	}
	return true;
}

/*
 * A path that gives the first row of each value of the DISTINCT columns, in the order that
 * decides which one is first.
 */
static void
add_distinct_path(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis)
{
	const M3dbRelInfo *info = rel->fdw_private;
	const M3dbScanSize *size = &basis->size;
	double		units = count_units(info, size);
	List	   *pathkeys = root->distinct_pathkeys;
	double		rows;
	M3dbOrder	order;
	Cost		startup;
	Cost		total;
	ForeignPath *path;

	if (!is_only_distinct(root, rel, basis))
		return;
	if (root->parse->hasDistinctOn &&
		list_length(root->sort_pathkeys) > list_length(pathkeys))
		pathkeys = root->sort_pathkeys;
	if (!pathkeys_contained_in(root->distinct_pathkeys, pathkeys) ||
		order_for_pathkeys(rel, pathkeys, &order) != list_length(pathkeys) ||
		order.key_count < list_length(root->distinct_pathkeys))
		return;

	order.first_of = list_length(root->distinct_pathkeys);
	rows = count_values(root, rel, size, &order, order.first_of);
	m3db_basis_cost(rel, basis, &startup, &total);
	startup += sort_cost(units, &order);
	total = startup + rows * (cpu_tuple_cost + rel->reltarget->cost.per_tuple) +
		first_block_cost(info, size, order.time == M3DB_TIME_UNORDERED ? rows : units);
	path = create_foreignscan_path_compat(root, rel, NULL, clamp_row_est(rows), 0, startup,
										  total, pathkeys, NULL, NULL, NIL,
										  m3db_path_private(m3db_order_write(&order), NIL));
	m3db_keep_from_workers(&path->path);
	add_path(rel, (Path *) path);
}

void
m3db_add_sorted_paths(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis)
{
	ListCell   *lc;

	/* nobody looks at the order of a parameterized path */
	if (!bms_is_empty(basis->required_outer))
		return;
	add_sorted_path(root, rel, basis, root->query_pathkeys);
	foreach(lc, pathkeys_for_joins(root, rel))
		add_sorted_path(root, rel, basis, lfirst(lc));
	if (m3db_enable_distinct_pushdown)
		add_distinct_path(root, rel, basis);
}
