/*
 * Running a foreign scan.
 *
 * What the statement may see is fixed when the node begins; what it looks for
 * when the first row is asked for, and again after a rescan with changed
 * parameters.  Where rows come from, and in which order, is a producer's affair.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "compat.h"
#include "fdw/aggregate.h"
#include "fdw/fdw.h"
#include "fdw/order.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "server/server.h"

/*
 * The planner gives workers shared scans only; but a function that is wrongly marked safe may run
 * in one, without the transaction's own points and its snapshot.
 */
static _Noreturn void
refuse_parallel_worker(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
			 errmsg("cannot read foreign table \"%s\" in a parallel worker", name),
			 errhint("Mark the function that reads it as PARALLEL RESTRICTED.")));
	pg_unreachable();
}

/* One that is not in a mounted directory is a misspelled name rather than one without data. */
static void
require_namespace(const M3dbScanState *state)
{
	const M3dbTable *table = state->table;
	M3NamespaceInfo info;
	M3Error		err = {0};
	M3Status	status = m3_namespace_info(state->db, table->namespace_name, &info, &err);

	if (status == M3_NOT_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no namespace \"%s\" in M3DB directory \"%s\"",
						pg_any_to_server((const char *) table->namespace_name.data,
										 (int) table->namespace_name.size, PG_UTF8),
						table->directory)));
	m3db_check(status, &err);
}

Oid
m3db_scan_relid(const ForeignScan *plan)
{
	return linitial_oid(list_nth(plan->fdw_private, M3DB_SCAN_RELATION));
}

void
m3db_BeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	List	   *path_private = list_nth(plan->fdw_private, M3DB_SCAN_PATH);
	List	   *exprs = plan->fdw_exprs;
	M3dbScanState *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state = palloc0(sizeof(M3dbScanState));
	state->table = m3db_table(m3db_scan_relid(plan));
	if (IsParallelWorker() && !plan->scan.plan.parallel_aware)
		refuse_parallel_worker(get_rel_name(state->table->relid));
	state->db = m3db_database_of_table(state->table);
	if (state->table->directory != NULL)
		require_namespace(state);
	/* a worker's comes from the leader, once it has begun */
	if (!IsParallelWorker())
		state->snapshot = m3db_snapshot_for(estate, state->db);
	state->own_command = estate->es_snapshot->curcid;
	state->order = m3db_path_order(path_private);
	if (m3db_path_aggregate(path_private) != NIL)
	{
		const M3dbAggregateSpec *spec =
			m3db_aggregate_read(m3db_path_aggregate(path_private), &exprs);

		state->aggregation = m3db_aggregation_init(state->table, spec, &node->ss.ps);
	}
	else
		state->projection =
			m3db_projection_create(state->table,
								   list_nth(plan->fdw_private, M3DB_SCAN_COLUMNS),
								   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor->natts);
	m3db_quals_init(list_nth(plan->fdw_private, M3DB_SCAN_QUALS), exprs, &node->ss.ps,
					&state->quals);
	state->value_attnums = list_nth(plan->fdw_private, M3DB_SCAN_VALUE_COLUMNS);
	state->context = AllocSetContextCreate(estate->es_query_cxt, "m3db scan",
										   ALLOCSET_DEFAULT_SIZES);
	state->damage.table = state->table;
	state->damage.context = estate->es_query_cxt;
	node->fdw_state = state;
}

/* ---- opening and closing ---- */

/* Restricts the scan to the series the table's value columns can show.  No
 * restriction where one of them takes series without __name__. */
static void
add_metric_matcher(const M3dbScanState *state, M3dbConditions *conditions)
{
	const M3dbTable *table = state->table;
	int			count = table->wide ? list_length(state->value_attnums) : 1;
	M3Slice    *metrics = palloc(sizeof(M3Slice) * (size_t) count);
	M3Matcher  *matcher;

	for (int i = 0; i < count; i++)
	{
		AttrNumber	attnum = table->wide ?
			(AttrNumber) list_nth_int(state->value_attnums, i) : table->value_attnums[0];

		metrics[i] = table->columns[attnum - 1].tag;
		if (metrics[i].size == 0)
			return;
	}
	matcher = &conditions->matchers[conditions->matcher_count++];
	matcher->kind = M3_MATCH_ANY_OF;
	matcher->name = m3_slice_cstr(M3_TAG_METRIC_NAME);
	matcher->values = metrics;
	matcher->value_count = (size_t) count;
}

static void
open_storage(M3dbScanState *state)
{
	const M3dbProjection *projection = state->projection;
	M3ScanOptions options = {0};
	M3Error		err;

	add_metric_matcher(state, &state->conditions);
	options.start_ns = state->conditions.start_ns;
	options.end_ns = state->conditions.end_ns;
	options.matchers = state->conditions.matchers;
	options.matcher_count = state->conditions.matcher_count;
	options.snapshot = state->snapshot;
	/* what is written goes to the embedded engine */
	options.own = state->table->directory == NULL ? m3db_xact_txn_or_null() : NULL;
	options.own_command = state->own_command;
	options.without_index = !m3db_enable_tag_index;
	options.without_statistics = !m3db_enable_statistics;
	if (projection != NULL)
	{
		options.with_units = projection->unit_attnum != InvalidAttrNumber;
		options.with_annotations = projection->annotation_attnum != InvalidAttrNumber;
	}
	m3db_check(m3_scan_open(state->db, state->table->namespace_name, &options,
							m3db_memory(state->context), &state->scan, &err), &err);
}

static M3dbProducer *
create_producer(M3dbScanState *state)
{
	const M3dbReading reading = {
		.table = state->table,
		.scan = state->scan,
		.damage = &state->damage,
		.projection = state->projection,
		.value_attnums = state->value_attnums,
		.conditions = &state->conditions,
		.share = state->share
	};

	if (state->aggregation != NULL)
		return m3db_aggregate_create(&reading, state->aggregation);
	if (state->scan == NULL)
		return NULL;
	if (state->order != NIL)
		return m3db_sorted_create(&reading, state->order);
	return state->table->wide ? m3db_wide_create(&reading) : m3db_narrow_create(&reading);
}

static void
open_scan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;
	MemoryContext old_context = MemoryContextSwitchTo(state->context);

	if (state->projection != NULL)
		m3db_projection_prepare_slot(state->projection, node->ss.ss_ScanTupleSlot);
	m3db_quals_evaluate(state->table, &state->quals, node->ss.ps.ps_ExprContext,
						&state->conditions);
	if (!state->conditions.nothing)
		open_storage(state);
	state->producer = create_producer(state);
	state->opened = true;
	MemoryContextSwitchTo(old_context);
}

/* Counts of the scans of this process. */
static void
count_own(const M3dbScanState *state, M3ScanStats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (state->scan != NULL)
		m3_scan_stats(state->scan, stats);
	m3db_stats_add(stats, &state->finished);
}

static void
close_scan(M3dbScanState *state)
{
	M3ScanStats stats;

	count_own(state, &stats);
	state->finished = stats;
	if (state->producer != NULL)
		state->producer->close(state->producer);
	if (state->scan != NULL)
		m3_scan_close(state->scan);
	state->producer = NULL;
	state->scan = NULL;
	state->opened = false;
	MemoryContextReset(state->context);
}

void
m3db_scan_totals(const M3dbScanState *state, M3ScanStats *stats)
{
	count_own(state, stats);
	if (state->share == NULL)
		return;
	m3db_share_part(state->share, stats);
	m3db_stats_add(stats, &state->share->of_workers);
}

void
m3db_stats_add(M3ScanStats *sum, const M3ScanStats *stats)
{
	sum->series_matched += stats->series_matched;
	sum->series_examined += stats->series_examined;
	sum->blocks_read += stats->blocks_read;
	sum->blocks_skipped += stats->blocks_skipped;
	sum->blocks_from_disk += stats->blocks_from_disk;
	sum->cache_hits += stats->cache_hits;
	sum->cache_misses += stats->cache_misses;
	sum->bytes_read += stats->bytes_read;
	sum->disk_bytes_read += stats->disk_bytes_read;
	sum->points_decoded += stats->points_decoded;
	sum->blocks_summarized += stats->blocks_summarized;
}

/* ---- rows ---- */

TupleTableSlot *
m3db_IterateForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (!state->opened)
		open_scan(node);
	if (state->producer == NULL || !state->producer->next(state->producer, slot))
		return ExecClearTuple(slot);
	return slot;
}

void
m3db_ReScanForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;

	if (!state->opened)
		return;
	if (node->ss.ps.chgParam != NULL && ((ForeignScan *) node->ss.ps.plan)->fdw_exprs != NIL)
		close_scan(state);
	else if (state->producer != NULL)
		state->producer->rewind(state->producer);
}

void
m3db_EndForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;

	/* NULL for EXPLAIN without ANALYZE */
	if (state == NULL)
		return;
	close_scan(state);
	if (IsParallelWorker())
	{
		M3ScanStats stats;

		m3db_scan_totals(state, &stats);
		m3db_share_report(state->share, &stats);
		m3_snapshot_release(state->share->snapshot);
	}
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}
