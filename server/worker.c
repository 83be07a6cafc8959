/*
 * The background worker: loads each database's M3DB data, writes out the
 * commit log bytes nobody waits for, rotates the logs; and does the jobs of jobs.c.
 *
 * It has no database connection, so it never stands in the way of DROP
 * DATABASE or CREATE DATABASE.  It never exits with 0, which would tell the
 * postmaster not to start it again, not even after a crash of a backend.
 *
 * When it is told to end it closes the logs cleanly if all others have let go
 * of the engine.  Nothing depends on that: an unclosed log is cut and replayed.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "storage/procsignal.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/drop.h"
#include "server/env_pg.h"
#include "server/guc.h"
#include "server/requests.h"
#include "server/server.h"
#include "server/shmem.h"
#include "server/worker.h"

#define RESTART_SECONDS 5
#define IDLE_SLEEP_MS 10000
#define BACKOFF_MIN_MS 5000
#define BACKOFF_MAX_MS 300000
#define CLOSE_WAIT_MS 5000		/* for backends to end before the logs are closed */

PGDLLEXPORT void m3db_worker_main(Datum main_arg);

M3dbWorkerRoot m3db_worker_roots[M3_MAX_ROOTS];
size_t		m3db_worker_root_count = 0;

static M3Engine *engine;
static uint32 wait_main = 0;
static bool yielding = false;	/* in the hook: what it calls may yield */
static TimestampTz yield_looked_at = 0;

static void close_logs(void);

void
m3db_worker_register(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "m3db_fdw");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name),
			 "m3db_worker_main");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "m3db worker");
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "m3db worker");
	RegisterBackgroundWorker(&worker);
}

/* ---- being found by the others ---- */

static void
set_latch_pointer(Latch *latch)
{
	SpinLockAcquire(&m3db_control->mutex);
	m3db_control->worker_latch = latch;
	m3db_control->worker_pid = latch != NULL ? MyProcPid : 0;
	SpinLockRelease(&m3db_control->mutex);
}

static void
forget_latch(int code, Datum arg)
{
	set_latch_pointer(NULL);
	pg_atomic_write_u32(&m3db_control->worker_idle, 0);
}

void
m3db_worker_wake(void)
{
	Latch	   *latch;

	SpinLockAcquire(&m3db_control->mutex);
	latch = m3db_control->worker_latch;
	SpinLockRelease(&m3db_control->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

bool
m3db_worker_is_running(void)
{
	bool		running;

	SpinLockAcquire(&m3db_control->mutex);
	running = m3db_control->worker_latch != NULL;
	SpinLockRelease(&m3db_control->mutex);
	return running;
}

/* Only the first writer after a quiet time pays for waking it. */
void
m3db_log_waiting(void)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&m3db_control->worker_idle) != 0 &&
		pg_atomic_exchange_u32(&m3db_control->worker_idle, 0) != 0)
		m3db_worker_wake();
}

/* ---- the log ---- */

void
m3db_retry_later(M3dbRetry *retry)
{
	retry->backoff_ms = retry->backoff_ms == 0 ? BACKOFF_MIN_MS :
		Min(retry->backoff_ms * 2, BACKOFF_MAX_MS);
	retry->at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), retry->backoff_ms);
}

static bool
has_unsynced(const M3dbWorkerRoot *root)
{
	M3LogStats	stats;

	m3_log_stats(root->db, &stats);
	return stats.unsynced_size > 0;
}

static void
flush_log(M3dbWorkerRoot *root, TimestampTz now, bool rotate)
{
	M3Error		err = {0};
	M3Status	status = m3_log_flush(root->db, &err);

	root->flushed_at = now;
	if (status == M3_OK && rotate)
		status = m3_log_rotate(root->db, false, &err);
	if (status == M3_OK)
	{
		memset(&root->retry, 0, sizeof(root->retry));
		return;
	}
	m3db_retry_later(&root->retry);
	m3db_report(LOG, &err);
}

/*
 * Long work, a bootstrap or a job, must not keep the server from stopping, nor
 * log bytes from being written out in time.
 */
static void
yield(void)
{
	TimestampTz now;

	if (yielding)
		return;
	if (ShutdownRequestPending)
	{
		yielding = true;
		close_logs();
		proc_exit(1);
	}
	/* a new postmaster cannot start before all of the old one's children have gone */
	if (!PostmasterIsAlive())
		proc_exit(1);
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(yield_looked_at, now, m3db_commitlog_flush_interval / 4))
		return;
	yield_looked_at = now;
	yielding = true;
	for (size_t i = 0; i < m3db_worker_root_count; i++)
	{
		M3dbWorkerRoot *root = &m3db_worker_roots[i];

		if (m3_database_state(root->db) == M3_ROOT_READY && now >= root->retry.at &&
			TimestampDifferenceExceeds(root->flushed_at, now, m3db_commitlog_flush_interval) &&
			has_unsynced(root))
			flush_log(root, now, false);
	}
	yielding = false;
}

/* ---- bootstrap ---- */

/*
 * What became of a transaction whose group is in a log.  An unreadable pg_xact
 * raises an ERROR, which ends this attempt; see serve_guarded.
 */
static M3TransactionFate
fate_of_transaction(void *context, uint64_t full_xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint64		oldest;
	M3TransactionFate fate;

	if (full_xid >= next)
		return M3_FATE_ABORTED;
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	oldest = next - (uint32) ((uint32) next - m3db_oldest_clog_xid());
	if (full_xid < oldest)
		fate = M3_FATE_UNKNOWN;
	else if (TransactionIdDidCommit((TransactionId) full_xid))
		fate = M3_FATE_COMMITTED;
	else
		fate = M3_FATE_ABORTED;
	LWLockRelease(XactTruncationLock);
	return fate;
}

static void
report_damage(void *context, const char *message)
{
	const M3dbWorkerRoot *root = context;

	ereport(LOG,
			(errmsg("m3db data of database %u: %s", root->id, message)));
}

static void
log_bootstrap(const M3dbWorkerRoot *root)
{
	M3RootProgress progress;

	m3_database_progress(root->db, &progress);
	ereport(progress.files_total > 0 ? LOG : DEBUG1,
			(errmsg("m3db data of database %u loaded: %llu points, %llu bytes in %u "
					"files, %llu transactions dropped, %.3f s",
					root->id, (unsigned long long) progress.entries,
					(unsigned long long) progress.done_bytes, progress.files_done,
					(unsigned long long) progress.skipped_groups,
					(double) (progress.finished_ns - progress.started_ns) / 1e9)));
}

static void
bootstrap(M3dbWorkerRoot *root)
{
	M3BootstrapHooks hooks = {fate_of_transaction, report_damage, root};
	M3Error		err = {0};
	M3Status	status;
	char		activity[64];

	snprintf(activity, sizeof(activity), "loading data of database %u", root->id);
	set_ps_display(activity);
	status = m3_bootstrap_run(root->db, &hooks, &err);
	set_ps_display("");
	ConditionVariableBroadcast(&m3db_control->root_changed);

	if (status == M3_OK)
	{
		memset(&root->retry, 0, sizeof(root->retry));
		log_bootstrap(root);
	}
	else
	{
		m3db_retry_later(&root->retry);
		ereport(LOG,
				(errmsg("could not load m3db data of database %u, will try again in %d s",
						root->id, root->retry.backoff_ms / 1000)));
		m3db_report(LOG, &err);
	}
}

/* ---- the rounds ---- */

static void
serve(M3dbWorkerRoot *root)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < root->retry.at)
		return;
	switch (m3_database_state(root->db))
	{
		case M3_ROOT_NEW:
		case M3_ROOT_FAILED:
			bootstrap(root);
			break;
		case M3_ROOT_BOOTSTRAPPING:
			/* Only this process bootstraps, and it is not at it: an attempt was cut short. */
			m3_bootstrap_reset(root->db);
			ConditionVariableBroadcast(&m3db_control->root_changed);
			bootstrap(root);
			break;
		case M3_ROOT_READY:
			if (TimestampDifferenceExceeds(root->flushed_at, now,
										   m3db_commitlog_flush_interval))
				flush_log(root, now, true);
			break;
	}
}

/* A log that cannot be written out is tried again later, like a bootstrap; jobs are for
 * themselves. */
static void
serve_root(M3dbWorkerRoot *root)
{
	serve(root);
	if (m3_database_state(root->db) == M3_ROOT_READY && !ShutdownRequestPending)
		m3db_jobs_serve(root);
}

void
m3db_worker_recover(MemoryContext context)
{
	HOLD_INTERRUPTS();
	yielding = false;
	EmitErrorReport();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	AtEOXact_Files(false);
	MemoryContextSwitchTo(context);
	FlushErrorState();
	RESUME_INTERRUPTS();
}

/* One root's trouble must not keep the others waiting. */
static void
serve_guarded(M3dbWorkerRoot *root)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		serve_root(root);
	}
	PG_CATCH();
	{
		m3db_worker_recover(context);
		m3db_requests_restart();
		m3db_retry_later(&root->retry);
		if (m3_database_state(root->db) == M3_ROOT_BOOTSTRAPPING)
			m3_bootstrap_reset(root->db);
	}
	PG_END_TRY();
	MemoryContextReset(context);
}

/* Where a root is among those served; m3db_worker_root_count if it is not. */
static size_t
place_of_root(uint32_t id)
{
	size_t		place = 0;

	while (place < m3db_worker_root_count && m3db_worker_roots[place].id != id)
		place++;
	return place;
}

static void
find_roots(void)
{
	uint32_t	ids[M3_MAX_ROOTS];
	size_t		count = m3_engine_roots(engine, ids, M3_MAX_ROOTS);

	for (size_t i = 0; i < Min(count, M3_MAX_ROOTS); i++)
	{
		M3dbWorkerRoot *root = &m3db_worker_roots[m3db_worker_root_count];
		M3Error		err = {0};

		if (place_of_root(ids[i]) < m3db_worker_root_count)
			continue;
		memset(root, 0, sizeof(*root));
		root->id = ids[i];
		m3db_check(m3_database_open(engine, root->id, &root->db, &err), &err);
		m3db_worker_root_count++;
	}
}

/* Roots of databases that were dropped go, from memory and from disk. */
static void
drop_roots(void)
{
	uint32_t	id;

	while (!ShutdownRequestPending && (id = m3db_drop_next()) != 0)
	{
		size_t		place = place_of_root(id);

		if (place < m3db_worker_root_count)
			m3db_worker_roots[place] = m3db_worker_roots[--m3db_worker_root_count];
		m3db_drop_run(engine, id);
	}
}

static long
time_to_flush(const M3dbWorkerRoot *root, TimestampTz now)
{
	long		passed = TimestampDifferenceMilliseconds(root->flushed_at, now);

	return passed < m3db_commitlog_flush_interval ?
		m3db_commitlog_flush_interval - passed : 0;
}

/* Milliseconds to sleep; says to the others whether they must wake the worker. */
static long
time_to_sleep(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		sleep_ms = IDLE_SLEEP_MS;
	bool		unsynced = false;

	pg_atomic_write_u32(&m3db_control->worker_idle, 1);
	pg_memory_barrier();
	for (size_t i = 0; i < m3db_worker_root_count; i++)
	{
		const M3dbWorkerRoot *root = &m3db_worker_roots[i];

		bool		ready = m3_database_state(root->db) == M3_ROOT_READY;

		if (ready)
			sleep_ms = Min(sleep_ms, m3db_jobs_sleep(root, now));
		if (root->retry.at > now)
			sleep_ms = Min(sleep_ms,
						   TimestampDifferenceMilliseconds(now, root->retry.at) + 1);
		else if (ready && has_unsynced(root))
		{
			unsynced = true;
			sleep_ms = Min(sleep_ms, time_to_flush(root, now));
		}
	}
	if (unsynced)
		pg_atomic_write_u32(&m3db_control->worker_idle, 0);
	return Min(sleep_ms, m3db_relieve_sleep(now));
}

/* ---- the end ---- */

static bool
others_are_gone(void)
{
	for (int waited = 0; waited < CLOSE_WAIT_MS; waited += 10)
	{
		if (pg_atomic_read_u32(&m3db_control->attached_count) == 0)
			return true;
		pg_usleep(10 * 1000L);
	}
	return false;
}

/*
 * Close the logs if nobody uses the engine any more.  In a fast shutdown the backends are told
 * to end at the same moment as the worker, so they get a little time.
 */
static void
close_logs(void)
{
	if (!others_are_gone())
		return;
	pg_atomic_write_u32(&m3db_control->closing, 1);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&m3db_control->attached_count) != 0)
	{
		pg_atomic_write_u32(&m3db_control->closing, 0);
		ConditionVariableBroadcast(&m3db_control->root_changed);
		return;
	}
	for (size_t i = 0; i < m3db_worker_root_count; i++)
	{
		M3Error		err = {0};

		if (m3_database_state(m3db_worker_roots[i].db) != M3_ROOT_READY)
			continue;
		if (m3_log_shutdown(m3db_worker_roots[i].db, &err) != M3_OK)
			m3db_report(LOG, &err);
	}
}

static void
discover(void)
{
	M3Error		err = {0};

	/* An unreadable directory is reported; databases in use are found anyway. */
	if (m3_engine_sweep(engine, &err) != M3_OK || m3_engine_discover(engine, &err) != M3_OK)
		m3db_report(LOG, &err);
}

void
m3db_worker_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();

	engine = m3db_engine_attach_worker();
	before_shmem_exit(forget_latch, (Datum) 0);
	set_latch_pointer(MyLatch);
	pg_atomic_write_u32(&m3db_control->closing, 0);
	ConditionVariableBroadcast(&m3db_control->root_changed);
	m3db_requests_restart();
	m3db_env_yield_hook = yield;
	wait_main = m3db_wait_event_new("M3dbWorkerMain");
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "m3db worker",
												ALLOCSET_DEFAULT_SIZES));
	discover();

	while (!ShutdownRequestPending)
	{
		drop_roots();
		find_roots();
		for (size_t i = 0; i < m3db_worker_root_count && !ShutdownRequestPending; i++)
			serve_guarded(&m3db_worker_roots[i]);
		if (!ShutdownRequestPending)
			m3db_relieve();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 ShutdownRequestPending ? 0 : time_to_sleep(),
						 wait_main);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			m3db_settings_update(&m3db_engine_settings);
		}
	}
	yielding = true;
	close_logs();
	proc_exit(1);
}
