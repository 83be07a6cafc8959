/*
 * Running a foreign scan.
 *
 * What the statement may see is fixed when the node begins; what it looks for
 * when the first row is asked for, and again after a rescan with changed
 * parameters.  Rows come series by series, each in time order.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/scan.h"
#include "server/server.h"

/*
 * The planner gives us no worker, see m3db_IsForeignScanParallelSafe; but a function that
 * is wrongly marked safe may run in one, without the transaction's own points and
 * its snapshot.
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

void
m3db_BeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	Relation	relation = node->ss.ss_currentRelation;
	M3dbScanState *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	if (IsParallelWorker())
		refuse_parallel_worker(RelationGetRelationName(relation));

	state = palloc0(sizeof(M3dbScanState));
	state->table = m3db_table(RelationGetRelid(relation));
	state->db = m3db_database_of_table(state->table);
	if (state->table->directory != NULL)
		require_namespace(state);
	state->snapshot = m3db_snapshot_for(estate, state->db);
	state->own_command = estate->es_snapshot->curcid;
	m3db_quals_init(list_nth(plan->fdw_private, M3DB_SCAN_QUALS), plan->fdw_exprs,
					&node->ss.ps, &state->quals);
	state->value_attnums = list_nth(plan->fdw_private, M3DB_SCAN_VALUE_COLUMNS);
	state->projection =
		m3db_projection_create(state->table,
							   list_nth(plan->fdw_private, M3DB_SCAN_COLUMNS),
							   RelationGetDescr(relation)->natts);
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
	options.with_units = projection->unit_attnum != InvalidAttrNumber;
	options.with_annotations = projection->annotation_attnum != InvalidAttrNumber;
	m3db_check(m3_scan_open(state->db, state->table->namespace_name, &options,
							m3db_memory(state->context), &state->scan, &err), &err);

	if (state->table->wide)
		state->wide = m3db_wide_create(state->table, state->value_attnums,
									   state->scan, &state->damage);
	else
		m3db_check(m3_reader_create(state->scan, &state->reader, &err), &err);
}

static void
rewind_scan(M3dbScanState *state)
{
	state->next_series = 0;
	state->position = 0;
	state->batch.count = 0;
	if (state->wide != NULL)
		m3db_wide_rewind(state->wide);
}

static void
open_scan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;
	MemoryContext old_context = MemoryContextSwitchTo(state->context);

	m3db_projection_prepare_slot(state->projection, node->ss.ss_ScanTupleSlot);
	m3db_quals_evaluate(state->table, &state->quals, node->ss.ps.ps_ExprContext,
						&state->conditions);
	if (!state->conditions.nothing)
		open_storage(state);
	rewind_scan(state);
	state->opened = true;
	MemoryContextSwitchTo(old_context);
}

static void
close_scan(M3dbScanState *state)
{
	m3db_scan_totals(state, &state->finished);
	if (state->wide != NULL)
		m3db_wide_close(state->wide);
	if (state->reader != NULL)
		m3_reader_free(state->reader);
	if (state->scan != NULL)
		m3_scan_close(state->scan);
	state->wide = NULL;
	state->reader = NULL;
	state->scan = NULL;
	state->opened = false;
	MemoryContextReset(state->context);
}

void
m3db_scan_totals(const M3dbScanState *state, M3ScanStats *stats)
{
	M3ScanStats current = {0};

	if (state->scan != NULL)
		m3_scan_stats(state->scan, &current);
	current.series_matched += state->finished.series_matched;
	current.series_examined += state->finished.series_examined;
	current.blocks_read += state->finished.blocks_read;
	current.blocks_skipped += state->finished.blocks_skipped;
	current.blocks_from_disk += state->finished.blocks_from_disk;
	current.cache_hits += state->finished.cache_hits;
	current.cache_misses += state->finished.cache_misses;
	current.bytes_read += state->finished.bytes_read;
	current.disk_bytes_read += state->finished.disk_bytes_read;
	current.points_decoded += state->finished.points_decoded;
	*stats = current;
}

/* ---- rows ---- */

/* Moves on to the next points of a narrow table; false at the end. */
static bool
next_batch(M3dbScanState *state)
{
	M3Error		err;
	bool		is_new = false;

	for (;;)
	{
		M3Status	status = M3_NOT_FOUND;

		if (state->next_series > 0)
			status = m3db_read_next(&state->damage, state->reader, &state->batch);
		if (status == M3_OK)
			break;

		CHECK_FOR_INTERRUPTS();
		if (state->next_series >= m3_scan_series_count(state->scan))
			return false;
		m3db_check(m3_reader_open(state->reader, state->next_series++, &err), &err);
		is_new = true;
	}
	state->position = 0;
	/* series without points in the range cost no conversion */
	if (is_new)
	{
		M3Slice		id;
		M3Slice		tags;

		m3_scan_series(state->scan, state->next_series - 1, &id, &tags);
		m3db_projection_set_series(state->projection, id, tags);
	}
	return true;
}

static bool
next_narrow_row(M3dbScanState *state)
{
	M3dbProjection *projection = state->projection;
	const M3PointBatch *batch = &state->batch;
	size_t		position;

	if (state->position >= batch->count && !next_batch(state))
	{
		/* stay at the end however often asked */
		state->batch.count = 0;
		return false;
	}
	position = state->position++;
	m3db_projection_set_time(projection, batch->times_ns[position]);
	if (projection->value_attnum != InvalidAttrNumber)
	{
		projection->values[projection->value_attnum - 1] =
			Float8GetDatum(batch->values[position]);
		projection->nulls[projection->value_attnum - 1] = false;
	}
	if (batch->units != NULL)
		m3db_projection_set_unit(projection, batch->units[position]);
	if (batch->annotations != NULL)
		m3db_projection_set_annotation(projection, batch->annotations[position]);
	return true;
}

TupleTableSlot *
m3db_IterateForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	bool		found;

	if (!state->opened)
		open_scan(node);
	if (state->conditions.nothing)
		found = false;
	else if (state->wide != NULL)
		found = m3db_wide_next(state->wide, state->projection);
	else
		found = next_narrow_row(state);

	if (!found)
		return ExecClearTuple(slot);
	m3db_projection_store(state->projection, slot);
	return slot;
}

void
m3db_ReScanForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;

	if (!state->opened)
		return;
	if (node->ss.ps.chgParam != NULL && state->quals.count > 0)
		close_scan(state);
	else
		rewind_scan(state);
}

void
m3db_EndForeignScan(ForeignScanState *node)
{
	M3dbScanState *state = node->fdw_state;

	/* NULL for EXPLAIN without ANALYZE */
	if (state == NULL)
		return;
	close_scan(state);
	MemoryContextDelete(state->context);
	node->fdw_state = NULL;
}

/* Points not committed yet are in this backend's memory, where a worker would
 * not see them, so scans are not offered to workers. */
bool
m3db_IsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return false;
}
