/*
 * Paths of a foreign scan: plain ones, and those a nested loop gives values to.
 *
 * Clauses the scan evaluates exactly (fdw/quals.c) leave PostgreSQL's hands; all
 * others are its filter.
 */
#include "postgres.h"

#include "optimizer/cost.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/plan.h"
#include "fdw/quals.h"
#include "server/server.h"

List *
m3db_path_private(List *order, List *aggregate)
{
	return list_make2(order, aggregate);
}

/* The clauses that the scan does not evaluate. */
static List *
local_clauses(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table, List *clauses)
{
	List	   *local = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		M3dbQual	qual;

		if (!m3db_qual_match(root, rel, table, rinfo, &qual))
			local = lappend(local, rinfo);
	}
	return local;
}

void
m3db_basis_init(PlannerInfo *root, RelOptInfo *rel, const M3dbScanSize *size,
				List *clauses, Relids required_outer, M3dbPathBasis *basis)
{
	const M3dbRelInfo *info = rel->fdw_private;

	basis->size = *size;
	basis->local_clauses = local_clauses(root, rel, info->table, clauses);
	cost_qual_eval(&basis->filter_cost, basis->local_clauses, root);
	basis->required_outer = required_outer;
}

void
m3db_basis_cost(RelOptInfo *rel, const M3dbPathBasis *basis, Cost *startup, Cost *total)
{
	Cost		run;

	m3db_scan_cost(rel->fdw_private, &basis->size, startup, &run);
	*startup += basis->filter_cost.startup + rel->reltarget->cost.startup;
	*total = *startup + run +
		basis->size.scanned_rows * basis->filter_cost.per_tuple +
		basis->size.rows * rel->reltarget->cost.per_tuple;
}

/* All paths of one parameterization. */
static void
add_paths(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis)
{
	Cost		startup;
	Cost		total;
	ForeignPath *path;

	m3db_basis_cost(rel, basis, &startup, &total);
	path = create_foreignscan_path_compat(root, rel, NULL, basis->size.rows, 0, startup,
										  total, NIL, basis->required_outer, NULL, NIL,
										  NIL);
	m3db_keep_from_workers(&path->path);
	add_path(rel, (Path *) path);
	if (m3db_enable_sorted_scan)
		m3db_add_sorted_paths(root, rel, basis);
	if (rel->consider_parallel && bms_is_empty(basis->required_outer))
		m3db_add_partial_path(root, rel, basis);
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

	return m3db_qual_operand(rel, match->table, (Node *) em->em_expr) == match->attnum;
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
			case M3DB_ROLE_TAGS:
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
	M3dbScanSize size;
	M3dbPathBasis basis;

	m3db_clauses_selectivity(root, rel, info, clauses, &pushed, &tags);
	size.rows = param_info->ppi_rows;
	size.scanned_rows = Max(rel->tuples * pushed, Min(size.rows, 1.0));
	size.series = Max(info->series * tags, 1.0);
	m3db_basis_init(root, rel, &size, clauses, param_info->ppi_req_outer, &basis);
	add_paths(root, rel, &basis);
}

void
m3db_GetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	const M3dbRelInfo *info = baserel->fdw_private;
	M3dbPathBasis basis;
	List	   *collected;
	ListCell   *lc;

	m3db_basis_init(root, baserel, &info->size, baserel->baserestrictinfo,
					baserel->lateral_relids, &basis);
	add_paths(root, baserel, &basis);

	collected = collect_outer_rels(root, baserel, baserel->joininfo, NIL);
	collected = collect_equivalences(root, baserel, collected);
	foreach(lc, collected)
		add_parameterized_path(root, baserel, lfirst(lc));
}
