/*
 * Scans shared by several processes: their paths, and what happens in shared memory.
 */
#include "postgres.h"

#include <math.h>

#include "access/parallel.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "fdw/share.h"
#include "server/server.h"

/* Points that are as much work as a page of a heap, for settings that count pages. */
#define POINTS_PER_PAGE 100.0

/* What a leader spends on each worker's rows, as part of what it could do otherwise. */
#define LEADER_SHARE_PER_WORKER 0.3

/* ---- paths ---- */

/* A mount is the private memory of one process, and so are points not committed yet.  With a
 * plan that is kept, somebody may write some before it runs: see share.h. */
bool
m3db_IsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return m3db_enable_parallel_scan && m3db_xact_txn_or_null() == NULL &&
		m3db_table(rte->relid)->directory == NULL;
}

void
m3db_keep_from_workers(Path *path)
{
	path->parallel_safe = false;
}

/* As many as PostgreSQL gives a heap of that many rows, but none without a series to read. */
static int
worker_count(RelOptInfo *rel, const M3dbPathBasis *basis)
{
	const M3dbTable *table = ((M3dbRelInfo *) rel->fdw_private)->table;
	double		points = basis->size.scanned_rows *
		(table->wide ? table->value_count : 1);
	int			workers = compute_parallel_worker(rel, ceil(points / POINTS_PER_PAGE), -1,
												  max_parallel_workers_per_gather);
	double		most = ceil(basis->size.series) - (parallel_leader_participation ? 1 : 0);

	return (int) Max(Min(workers, most), 0);
}

/* How many processes' work gets done: the leader helps when workers leave it time. */
static double
processes_at_work(int workers)
{
	double		of_leader = parallel_leader_participation ?
		1.0 - workers * LEADER_SHARE_PER_WORKER : 0;

	return workers + Max(of_leader, 0);
}

void
m3db_add_partial_path(PlannerInfo *root, RelOptInfo *rel, const M3dbPathBasis *basis)
{
	int			workers;
	double		processes;
	Cost		startup;
	Cost		total;
	ForeignPath *path;

	workers = worker_count(rel, basis);
	if (workers == 0)
		return;
	processes = processes_at_work(workers);
	m3db_basis_cost(rel, basis, &startup, &total);
	path = create_foreignscan_path_compat(root, rel, NULL,
										  clamp_row_est(basis->size.rows / processes), 0,
										  startup, startup + (total - startup) / processes,
										  NIL, NULL, NULL, NIL, NIL);
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(rel, (Path *) path);
}

/* ---- units and counts ---- */

bool
m3db_share_claim(M3dbShare *share, uint32 *unit)
{
	*unit = pg_atomic_fetch_add_u32(&share->shared->next_unit, 1);
	if (*unit == 0)
		share->has_first = true;
	return *unit < M3DB_SHARE_UNITS;
}

void
m3db_share_part(const M3dbShare *share, M3ScanStats *stats)
{
	if (share->has_first)
		return;
	stats->series_matched = 0;
	stats->series_examined = 0;
}

void
m3db_share_report(M3dbShare *share, const M3ScanStats *stats)
{
	/* those who had the number before a rescan are gone */
	m3db_stats_add(&share->shared->stats[ParallelWorkerNumber], stats);
}

/* ---- shared memory ---- */

static void *
snapshot_bytes(M3dbShared *shared)
{
	return &shared->stats[shared->worker_count];
}

Size
m3db_EstimateDSMForeignScan(ForeignScanState *node, ParallelContext *context)
{
	const M3dbScanState *state = node->fdw_state;

	return offsetof(M3dbShared, stats) + context->nworkers * sizeof(M3ScanStats) +
		m3_snapshot_size(state->snapshot);
}

/* All workers are done when the leader lets go of the segment, however the query ended;
 * a LIMIT stops them later than the leader's own part of the scan. */
static void
collect_counts(dsm_segment *segment, Datum share_datum)
{
	M3dbShare  *share = (M3dbShare *) DatumGetPointer(share_datum);

	for (int i = 0; i < share->shared->worker_count; i++)
		m3db_stats_add(&share->of_workers, &share->shared->stats[i]);
	share->shared = NULL;
}

void
m3db_InitializeDSMForeignScan(ForeignScanState *node, ParallelContext *context,
							  void *coordinate)
{
	M3dbScanState *state = node->fdw_state;
	M3dbShared *shared = coordinate;

	/* workers would miss what it has written; then the leader reads all, also if it is not to */
	if (m3db_xact_txn_or_null() != NULL)
		context->nworkers_to_launch = 0;
	pg_atomic_init_u32(&shared->next_unit, 0);
	/* as many as estimated, or none if there is no segment for them */
	shared->worker_count = context->nworkers;
	memset(shared->stats, 0, shared->worker_count * sizeof(M3ScanStats));
	shared->snapshot_size = m3_snapshot_size(state->snapshot);
	m3_snapshot_write(state->snapshot, snapshot_bytes(shared));

	/* again, with another segment, after a LIMIT below a nested loop */
	if (state->share == NULL)
		state->share = MemoryContextAllocZero(node->ss.ps.state->es_query_cxt,
											  sizeof(M3dbShare));
	state->share->shared = shared;
	/* none: there was no room for it, and there will be no workers */
	if (context->seg != NULL)
		on_dsm_detach(context->seg, collect_counts, PointerGetDatum(state->share));
}

/* Before the leader's own rescan, with all workers gone. */
void
m3db_ReInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *context,
								void *coordinate)
{
	M3dbShared *shared = coordinate;

	pg_atomic_write_u32(&shared->next_unit, 0);
}

void
m3db_InitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	M3dbScanState *state = node->fdw_state;
	M3dbShared *shared = coordinate;
	MemoryContext context = node->ss.ps.state->es_query_cxt;
	M3Error		err;

	state->share = MemoryContextAllocZero(context, sizeof(M3dbShare));
	state->share->shared = shared;
	m3db_check(m3_snapshot_borrow(state->db, snapshot_bytes(shared), shared->snapshot_size,
								  m3db_memory(context), &state->share->snapshot, &err), &err);
	state->snapshot = state->share->snapshot;
}
