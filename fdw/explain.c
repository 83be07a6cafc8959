/*
 * What EXPLAIN says about a foreign scan.
 *
 * The conditions the scan evaluates itself are shown as an index scan shows its own: the
 * column first, and parameters as what they stand for.  Once they were evaluated, the
 * time range is shown as it was.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/order.h"
#include "fdw/plan.h"
#include "fdw/scan.h"

/* A search for the nodes above a plan, the nearest first, as deparsing wants them. */
typedef struct PlanSearch
{
	const PlannedStmt *statement;
	const Plan *wanted;
	List	   *ancestors;		/* of the node searched now, or of the one found */
} PlanSearch;

static bool find_plan(Plan *plan, PlanSearch *search);

static bool
find_in_plans(List *plans, PlanSearch *search)
{
	ListCell   *plan;

	foreach(plan, plans)
	{
		if (find_plan(lfirst(plan), search))
			return true;
	}
	return false;
}

static bool
find_in_expression(Node *node, PlanSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
	{
		int			number = ((SubPlan *) node)->plan_id - 1;

		search->ancestors = lcons(node, search->ancestors);
		if (find_plan(list_nth(search->statement->subplans, number), search))
			return true;
		search->ancestors = list_delete_first(search->ancestors);
	}
	return expression_tree_walker(node, find_in_expression, search);
}

static bool
find_below(Plan *plan, PlanSearch *search)
{
	if (find_plan(outerPlan(plan), search) || find_plan(innerPlan(plan), search) ||
		find_in_expression((Node *) plan->initPlan, search) ||
		find_in_expression((Node *) plan->targetlist, search) ||
		find_in_expression((Node *) plan->qual, search))
		return true;
	switch (nodeTag(plan))
	{
		case T_Append:
			return find_in_plans(((Append *) plan)->appendplans, search);
		case T_MergeAppend:
			return find_in_plans(((MergeAppend *) plan)->mergeplans, search);
		case T_SubqueryScan:
			return find_plan(((SubqueryScan *) plan)->subplan, search);
		case T_CustomScan:
			return find_in_plans(((CustomScan *) plan)->custom_plans, search);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return find_in_expression((Node *) ((Join *) plan)->joinqual, search);
		case T_Result:
			return find_in_expression(((Result *) plan)->resconstantqual, search);
		default:
			return false;
	}
}

static bool
find_plan(Plan *plan, PlanSearch *search)
{
	if (plan == NULL)
		return false;
	if (plan == search->wanted)
		return true;
	check_stack_depth();
	search->ancestors = lcons(plan, search->ancestors);
	if (find_below(plan, search))
		return true;
	search->ancestors = list_delete_first(search->ancestors);
	return false;
}

/*
 * What the scan's parameters may come from.  PostgreSQL keeps it to itself; where it is
 * not found, a parameter is shown by its number.
 */
static List *
ancestors_of(Plan *plan, const ExplainState *es)
{
	PlanSearch	search = {.statement = es->pstmt, .wanted = plan};

	if (bms_is_empty(plan->extParam))
		return NIL;
	(void) find_plan(es->pstmt->planTree, &search);
	return search.ancestors;
}

/* The planner makes "parameter = column" as readily as "column = parameter". */
static Node *
column_first(Node *clause)
{
	OpExpr	   *operation = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || list_length(operation->args) != 2 ||
		contain_var_clause(linitial(operation->args)) ||
		!contain_var_clause(lsecond(operation->args)) ||
		!OidIsValid(get_commutator(operation->opno)))
		return clause;
	operation = copyObject(operation);
	CommuteOpExpr(operation);
	return (Node *) operation;
}

static bool
gives_aggregates(const ForeignScan *plan)
{
	return plan->scan.scanrelid == 0;
}

/* Clauses kept for us, of the columns of the statement's table as it is numbered now. */
static List *
kept_clauses(const ForeignScan *plan, int which)
{
	List	   *conditions = list_nth(plan->fdw_private, M3DB_SCAN_CONDITIONS);
	List	   *numbers = list_nth(conditions, M3DB_CONDITIONS_NUMBERS);
	List	   *clauses = copyObject(list_nth(conditions, which));

	ChangeVarNodes((Node *) clauses, linitial_int(numbers),
				   bms_next_member(m3db_scan_relids(plan), -1), 0);
	return clauses;
}

/* The clauses the scan evaluates: those on the time, or the others. */
static List *
clauses_of_kind(const ForeignScan *plan, bool time)
{
	List	   *quals = list_nth(plan->fdw_private, M3DB_SCAN_QUALS);
	List	   *pushed = gives_aggregates(plan) ?
		kept_clauses(plan, M3DB_CONDITIONS_QUALS) : plan->fdw_recheck_quals;
	List	   *clauses = NIL;
	ListCell   *clause;
	ListCell   *qual;

	forboth(clause, pushed, qual, quals)
	{
		if ((linitial_int((List *) lfirst(qual)) == M3DB_QUAL_TIME) == time)
			clauses = lappend(clauses, column_first(lfirst(clause)));
	}
	return clauses;
}

/* What rows are grouped by, and what comes of the groups. */
static void
show_groups(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan,
												   ancestors_of(&plan->scan.plan, es));
	bool		prefix = m3db_explain_relations(es) > 1 || es->verbose;
	List	   *numbers = list_nth(list_nth(plan->fdw_private, M3DB_SCAN_CONDITIONS),
								   M3DB_CONDITIONS_NUMBERS);
	List	   *keys = NIL;
	List	   *aggregates = NIL;
	ListCell   *lc;

	foreach(lc, plan->fdw_scan_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		char	   *text = deparse_expression((Node *) entry->expr, context, prefix, false);

		if (entry->resno <= lsecond_int(numbers))
			keys = lappend(keys, text);
		else
			aggregates = lappend(aggregates, text);
	}
	if (keys != NIL)
		ExplainPropertyList("Group Key", keys, es);
	if (aggregates != NIL)
		ExplainPropertyList("Aggregates", aggregates, es);
}

static void
show_clauses(const char *label, List *clauses, ForeignScanState *node, ExplainState *es)
{
	Plan	   *plan = node->ss.ps.plan;
	List	   *context;
	bool		prefix = m3db_explain_relations(es) > 1 || es->verbose;
	Node	   *expression;

	if (clauses == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, plan, ancestors_of(plan, es));
	expression = (Node *) make_ands_explicit(clauses);
	ExplainPropertyText(label, deparse_expression(expression, context, prefix, false),
						es);
}

static char *
time_text(int64 time_ns)
{
	if (time_ns == PG_INT64_MIN)
		return "-infinity";
	if (time_ns == PG_INT64_MAX)
		return "infinity";
	return DatumGetCString(DirectFunctionCall1(timestamptz_out,
											   TimestampTzGetDatum(m3db_time_from_ns(time_ns))));
}

static void
show_time_range(ForeignScanState *node, const M3dbScanState *state, ExplainState *es)
{
	const M3dbConditions *conditions;
	List	   *clauses = clauses_of_kind((ForeignScan *) node->ss.ps.plan, true);

	if (clauses == NIL)
		return;
	if (!es->analyze || state == NULL || !state->opened)
	{
		show_clauses("Time Range", clauses, node, es);
		return;
	}
	conditions = &state->conditions;
	if (conditions->nothing)
		ExplainPropertyText("Time Range", "empty", es);
	else
		ExplainPropertyText("Time Range",
							psprintf("[%s, %s)", time_text(conditions->start_ns),
									 time_text(conditions->end_ns)),
							es);
}

static void
show_order(const ForeignScan *plan, const M3dbTable *table, ExplainState *es)
{
	List	   *written = m3db_path_order(list_nth_node(List, plan->fdw_private,
														M3DB_SCAN_PATH));
	const M3dbOrder *order;

	if (written == NIL)
		return;
	order = m3db_order_read(written);
	if (order->key_count > 0 || order->time != M3DB_TIME_UNORDERED)
		ExplainPropertyText("Order", m3db_order_text(table, order), es);
	if (order->first_of == 0)
		ExplainPropertyText("First Row Of", "all", es);
	else if (order->first_of != M3DB_ALL_ROWS)
		ExplainPropertyText("First Row Of", m3db_order_first_text(table, order), es);
}

/* One that is mostly 0, so text leaves it out then. */
static void
show_rare_counter(const char *label, uint64 count, ExplainState *es)
{
	if (count > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyUInteger(label, NULL, count, es);
}

static void
show_counters(const M3dbScanState *state, ExplainState *es)
{
	M3ScanStats stats;

	m3db_scan_totals(state, &stats);
	ExplainPropertyUInteger("Series Matched", NULL, stats.series_matched, es);
	ExplainPropertyUInteger("Series Examined", NULL, stats.series_examined, es);
	ExplainPropertyUInteger("Blocks Read", NULL, stats.blocks_read, es);
	ExplainPropertyUInteger("Blocks Skipped", NULL, stats.blocks_skipped, es);
	show_rare_counter("Blocks from Disk", stats.blocks_from_disk, es);
	show_rare_counter("Cache Hits", stats.cache_hits, es);
	ExplainPropertyUInteger("Bytes Read", NULL, stats.bytes_read, es);
	show_rare_counter("Disk Bytes Read", stats.disk_bytes_read, es);
	show_rare_counter("Blocks Summarized", stats.blocks_summarized, es);
	ExplainPropertyUInteger("Points Decoded", NULL, stats.points_decoded, es);
}

void
m3db_ExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	const M3dbScanState *state = node->fdw_state;
	const M3dbTable *table = m3db_table(m3db_scan_relid((ForeignScan *) node->ss.ps.plan));

	ExplainPropertyText("Namespace",
						pg_any_to_server((const char *) table->namespace_name.data,
										 (int) table->namespace_name.size, PG_UTF8),
						es);
	if (es->verbose && table->directory != NULL)
		ExplainPropertyText("M3DB Directory", table->directory, es);
	if (gives_aggregates((ForeignScan *) node->ss.ps.plan))
		show_groups(node, es);
	show_time_range(node, state, es);
	show_clauses("Tag Filter",
				 clauses_of_kind((ForeignScan *) node->ss.ps.plan, false), node, es);
	if (gives_aggregates((ForeignScan *) node->ss.ps.plan))
		show_clauses("Value Filter",
					 kept_clauses((ForeignScan *) node->ss.ps.plan, M3DB_CONDITIONS_VALUES),
					 node, es);
	show_order((ForeignScan *) node->ss.ps.plan, table, es);
	if (es->analyze && state != NULL)
		show_counters(state, es);
}
