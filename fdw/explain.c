/*
 * What EXPLAIN says about a foreign scan.
 *
 * The conditions the scan evaluates itself are shown as written, and, once they
 * were evaluated, the time range as it was.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/scan.h"

/* The clauses the scan evaluates: those on the time, or the others. */
static List *
clauses_of_kind(const ForeignScan *plan, bool time)
{
	List	   *quals = list_nth(plan->fdw_private, M3DB_SCAN_QUALS);
	List	   *clauses = NIL;
	ListCell   *clause;
	ListCell   *qual;

	forboth(clause, plan->fdw_recheck_quals, qual, quals)
	{
		if ((linitial_int((List *) lfirst(qual)) == M3DB_QUAL_TIME) == time)
			clauses = lappend(clauses, lfirst(clause));
	}
	return clauses;
}

static void
show_clauses(const char *label, List *clauses, ForeignScanState *node, ExplainState *es)
{
	List	   *context;
	bool		prefix = list_length(es->rtable) > 1 || es->verbose;
	Node	   *expression;

	if (clauses == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
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
show_counters(const M3dbScanState *state, ExplainState *es)
{
	M3ScanStats stats;

	m3db_scan_totals(state, &stats);
	ExplainPropertyUInteger("Series Matched", NULL, stats.series_matched, es);
	ExplainPropertyUInteger("Series Examined", NULL, stats.series_examined, es);
	ExplainPropertyUInteger("Blocks Read", NULL, stats.blocks_read, es);
	ExplainPropertyUInteger("Blocks Skipped", NULL, stats.blocks_skipped, es);
	ExplainPropertyUInteger("Bytes Read", NULL, stats.bytes_read, es);
	ExplainPropertyUInteger("Points Decoded", NULL, stats.points_decoded, es);
}

void
m3db_ExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	const M3dbScanState *state = node->fdw_state;
	const M3dbTable *table = m3db_table(RelationGetRelid(node->ss.ss_currentRelation));

	ExplainPropertyText("Namespace", (const char *) table->namespace_name.data, es);
	show_time_range(node, state, es);
	show_clauses("Tag Filter",
				 clauses_of_kind((ForeignScan *) node->ss.ps.plan, false), node, es);
	if (es->analyze && state != NULL)
		show_counters(state, es);
}
