/*
 * The plan of a foreign scan: which conditions and columns it gets.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/plan.h"
#include "fdw/quals.h"
#include "fdw/scan.h"

List *
m3db_used_columns(RelOptInfo *rel, const M3dbTable *table, List *expressions)
{
	Bitmapset  *attrs = NULL;
	List	   *attnums = NIL;
	bool		whole_row;

	pull_varattnos((Node *) expressions, rel->relid, &attrs);
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

List *
m3db_value_columns(const RelOptInfo *rel, const M3dbTable *table, List *local_clauses,
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

bool
m3db_pushed_add(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
				RestrictInfo *rinfo, M3dbPushed *pushed)
{
	M3dbQual	qual;

	if (!m3db_qual_match(root, rel, table, rinfo, &qual))
		return false;
	pushed->quals = lappend(pushed->quals, m3db_qual_serialize(&qual));
	pushed->exprs = list_concat(pushed->exprs, m3db_qual_exprs(&qual));
	pushed->clauses = lappend(pushed->clauses, rinfo->clause);
	return true;
}

List *
m3db_scan_private(const M3dbTable *table, List *quals, List *columns,
				  List *value_columns, List *path_private)
{
	return list_make5(list_make1_oid(table->relid), quals, columns, value_columns,
					  path_private);
}

ForeignScan *
m3db_GetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
					ForeignPath *best_path, List *tlist, List *scan_clauses,
					Plan *outer_plan)
{
	const M3dbTable *table;
	M3dbPushed	pushed = {0};
	List	   *local_clauses = NIL;
	List	   *columns;
	ListCell   *lc;

	if (IS_UPPER_REL(baserel))
		return m3db_aggregate_plan(root, baserel, best_path, tlist, outer_plan);

	table = ((M3dbRelInfo *) baserel->fdw_private)->table;
	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!rinfo->pseudoconstant &&
			!m3db_pushed_add(root, baserel, table, rinfo, &pushed))
			local_clauses = lappend(local_clauses, rinfo->clause);
	}

	columns = m3db_used_columns(baserel, table,
								list_concat_copy(baserel->reltarget->exprs,
												 local_clauses));
	return make_foreignscan(tlist, local_clauses, baserel->relid, pushed.exprs,
							m3db_scan_private(table, pushed.quals, columns,
											  m3db_value_columns(baserel, table,
																 local_clauses, columns),
											  best_path->fdw_private),
							NIL, pushed.clauses, outer_plan);
}
