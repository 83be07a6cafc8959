/*
 * The background worker: loads each database's M3DB data, writes out the
 * commit log bytes nobody waits for, rotates the logs.
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
#include "storage/procsignal.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/env_pg.h"
#include "server/guc.h"
#include "server/server.h"
#include "server/shmem.h"

#define RESTART_SECONDS 5
#define IDLE_SLEEP_MS 10000
#define BACKOFF_MIN_MS 5000
#define BACKOFF_MAX_MS 300000
#define CLOSE_WAIT_MS 5000		/* for backends to end before the logs are closed */

/* What the worker remembers of a root. */
typedef struct WorkerRoot
{
	uint32_t	id;
	M3Database *db;
	TimestampTz retry_at;		/* not before this time; 0: at once */
	int			backoff_ms;		/* until the next attempt after that */
	TimestampTz flushed_at;
} WorkerRoot;

PGDLLEXPORT void m3db_worker_main(Datum main_arg);

static M3Engine *engine;
static WorkerRoot roots[M3_MAX_ROOTS];
static size_t root_count = 0;

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

/* Only the first writer after a quiet time pays for waking it. */
void
m3db_log_waiting(void)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&m3db_control->worker_idle) != 0 &&
		pg_atomic_exchange_u32(&m3db_control->worker_idle, 0) != 0)
		m3db_worker_wake();
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
	const WorkerRoot *root = context;

	ereport(LOG,
			(errmsg("m3db data of database %u: %s", root->id, message)));
}

/* A bootstrap may take minutes; the server must not wait for it to stop. */
static void
exit_if_stopping(void)
{
	if (ShutdownRequestPending)
		proc_exit(1);
}

static void
log_bootstrap(const WorkerRoot *root)
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
back_off(WorkerRoot *root)
{
	root->backoff_ms = root->backoff_ms == 0 ? BACKOFF_MIN_MS :
		Min(root->backoff_ms * 2, BACKOFF_MAX_MS);
	root->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), root->backoff_ms);
}

static void
bootstrap(WorkerRoot *root)
{
	M3BootstrapHooks hooks = {fate_of_transaction, report_damage, root};
	M3Error		err = {0};
	M3Status	status;
	char		activity[64];

	snprintf(activity, sizeof(activity), "loading data of database %u", root->id);
	set_ps_display(activity);
	m3db_env_yield_hook = exit_if_stopping;
	status = m3_bootstrap_run(root->db, &hooks, &err);
	m3db_env_yield_hook = NULL;
	set_ps_display("");
	ConditionVariableBroadcast(&m3db_control->root_changed);

	if (status == M3_OK)
	{
		root->retry_at = 0;
		root->backoff_ms = 0;
		log_bootstrap(root);
	}
	else
	{
		back_off(root);
		ereport(LOG,
				(errmsg("could not load m3db data of database %u, will try again in %d s",
						root->id, root->backoff_ms / 1000)));
		m3db_report(LOG, &err);
	}
}

/* ---- the rounds ---- */

static void
flush(WorkerRoot *root, TimestampTz now)
{
	M3Error		err = {0};
	M3Status	status = m3_log_flush(root->db, &err);

	root->flushed_at = now;
	if (status == M3_OK)
		status = m3_log_rotate(root->db, false, &err);
	if (status == M3_OK)
	{
		root->retry_at = 0;
		root->backoff_ms = 0;
		return;
	}
	back_off(root);
	m3db_report(LOG, &err);
}

static bool
has_unsynced(const WorkerRoot *root)
{
	M3LogStats	stats;

	m3_log_stats(root->db, &stats);
	return stats.unsynced_size > 0;
}

static void
serve(WorkerRoot *root)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < root->retry_at)
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
				flush(root, now);
			break;
	}
}

/* What an ERROR leaves behind in a process without transactions. */
static void
recover_from_error(MemoryContext context)
{
	HOLD_INTERRUPTS();
	m3db_env_yield_hook = NULL;
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
serve_guarded(WorkerRoot *root)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		serve(root);
	}
	PG_CATCH();
	{
		recover_from_error(context);
		back_off(root);
		if (m3_database_state(root->db) == M3_ROOT_BOOTSTRAPPING)
			m3_bootstrap_reset(root->db);
	}
	PG_END_TRY();
	MemoryContextReset(context);
}

/* Roots are only ever added, so those known keep their places. */
static void
find_roots(void)
{
	uint32_t	ids[M3_MAX_ROOTS];
	size_t		count = m3_engine_roots(engine, ids, M3_MAX_ROOTS);

	for (; root_count < Min(count, M3_MAX_ROOTS); root_count++)
	{
		WorkerRoot *root = &roots[root_count];
		M3Error		err = {0};

		memset(root, 0, sizeof(*root));
		root->id = ids[root_count];
		m3db_check(m3_database_open(engine, root->id, &root->db, &err), &err);
	}
}

static long
time_to_flush(const WorkerRoot *root, TimestampTz now)
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
	for (size_t i = 0; i < root_count; i++)
	{
		const WorkerRoot *root = &roots[i];

		if (root->retry_at > now)
			sleep_ms = Min(sleep_ms,
						   TimestampDifferenceMilliseconds(now, root->retry_at) + 1);
		else if (m3_database_state(root->db) == M3_ROOT_READY && has_unsynced(root))
		{
			unsynced = true;
			sleep_ms = Min(sleep_ms, time_to_flush(root, now));
		}
	}
	if (unsynced)
		pg_atomic_write_u32(&m3db_control->worker_idle, 0);
	return sleep_ms;
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
	for (size_t i = 0; i < root_count; i++)
	{
		M3Error		err = {0};

		if (m3_database_state(roots[i].db) != M3_ROOT_READY)
			continue;
		if (m3_log_shutdown(roots[i].db, &err) != M3_OK)
			m3db_report(LOG, &err);
	}
}

static void
discover(void)
{
	M3Error		err = {0};

	/* An unreadable directory is reported; databases in use are found anyway. */
	if (m3_engine_discover(engine, &err) != M3_OK)
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
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "m3db worker",
												ALLOCSET_DEFAULT_SIZES));
	discover();

	while (!ShutdownRequestPending)
	{
		find_roots();
		for (size_t i = 0; i < root_count && !ShutdownRequestPending; i++)
			serve_guarded(&roots[i]);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 ShutdownRequestPending ? 0 : time_to_sleep(),
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			m3db_settings_update(&m3db_engine_settings);
		}
	}
	close_logs();
	proc_exit(1);
}
