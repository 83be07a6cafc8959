/*
 * The current database's root: whether it can be used, and waiting for it.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/database.h"
#include "server/guc.h"
#include "server/server.h"
#include "server/shmem.h"

/* How long a sleep lasts at most before the state is looked at again, ms. */
#define SLEEP_MAX 1000
#define SPACE_SLEEP_MAX 200

static M3Database *current = NULL;
static uint32 wait_bootstrap = 0;
static uint32 wait_space = 0;

void
m3db_require_engine(void)
{
	if (IsBinaryUpgrade)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("m3db cannot be used during pg_upgrade")));
	if (m3db_control == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("m3db_fdw must be loaded via \"shared_preload_libraries\""),
				 errhint("Add m3db_fdw to \"shared_preload_libraries\" in "
						 "postgresql.conf and restart the server.")));
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("m3db cannot be used in single-user mode"),
				 errhint("Start the server normally.")));
}

static void
require_primary(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("m3db cannot be used during recovery"),
				 errdetail("M3DB data is not part of the write-ahead log, so a standby "
						   "has no current copy of it."),
				 errhint("Connect to the primary server.")));
}

/* Milliseconds left of timeout_ms (-1: for ever) since started; 0 when it is over. */
static long
remaining_ms(TimestampTz started, int timeout_ms)
{
	long		elapsed;

	if (timeout_ms < 0)
		return LONG_MAX;
	elapsed = TimestampDifferenceMilliseconds(started, GetCurrentTimestamp());
	return elapsed < timeout_ms ? timeout_ms - elapsed : 0;
}

static void
report_not_ready(const M3RootProgress *progress)
{
	if (!m3db_worker_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("m3db data of this database is not loaded yet"),
				 errdetail("The background worker of m3db_fdw is not running."),
				 errhint("See the server log; \"max_worker_processes\" may be too low.")));
	ereport(ERROR,
			(errcode(ERRCODE_CANNOT_CONNECT_NOW),
			 errmsg("m3db data of this database is still being loaded"),
			 progress->total_bytes > 0 ?
			 errdetail("%s: %llu of %llu bytes done.",
					   progress->phase[0] != '\0' ? progress->phase : "bootstrap",
					   (unsigned long long) progress->done_bytes,
					   (unsigned long long) progress->total_bytes) :
			 errdetail("The background worker has not begun with it, or is finding out "
					   "how much there is."),
			 errhint("Try again later, or raise \"m3db.bootstrap_wait_timeout\"; see "
					 "\"m3db.stat_bootstrap\" for progress.")));
}

static void
report_failed(const M3RootProgress *progress)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("m3db data of this database could not be loaded"),
			 progress->message[0] != '\0' ?
			 errdetail("The last attempt failed: %s.", progress->message) : 0,
			 errhint("See the server log.  The background worker tries again by itself.")));
}

static void
wait_until_ready(M3Database *db)
{
	TimestampTz started = GetCurrentTimestamp();

	if (wait_bootstrap == 0)
		wait_bootstrap = m3db_wait_event_new("M3dbBootstrap");

	ConditionVariablePrepareToSleep(&m3db_control->root_changed);
	for (;;)
	{
		M3RootState state = m3_database_state(db);
		M3RootProgress progress;
		long		remaining;

		if (state == M3_ROOT_READY)
			break;
		remaining = remaining_ms(started, m3db_bootstrap_wait_timeout);
		if (state == M3_ROOT_FAILED || remaining == 0)
		{
			ConditionVariableCancelSleep();
			m3_database_progress(db, &progress);
			if (state == M3_ROOT_FAILED)
				report_failed(&progress);
			report_not_ready(&progress);
		}
		if (state == M3_ROOT_NEW)
			m3db_worker_wake();
		ConditionVariableTimedSleep(&m3db_control->root_changed,
									Min(remaining, SLEEP_MAX), wait_bootstrap);
	}
	ConditionVariableCancelSleep();
}

/* A worker that was told to end closes the logs; its successor opens them again. */
static void
wait_while_closing(void)
{
	TimestampTz started = GetCurrentTimestamp();

	if (pg_atomic_read_u32(&m3db_control->closing) == 0)
		return;
	if (wait_bootstrap == 0)
		wait_bootstrap = m3db_wait_event_new("M3dbBootstrap");
	ConditionVariablePrepareToSleep(&m3db_control->root_changed);
	while (pg_atomic_read_u32(&m3db_control->closing) != 0)
	{
		long		remaining = remaining_ms(started, m3db_bootstrap_wait_timeout);

		if (remaining == 0)
			break;
		ConditionVariableTimedSleep(&m3db_control->root_changed,
									Min(remaining, SLEEP_MAX), wait_bootstrap);
	}
	ConditionVariableCancelSleep();
}

static M3Database *
open_current(void)
{
	M3Error		err = {0};
	M3Database *db;

	m3db_check(m3_database_open(m3db_engine(), MyDatabaseId, &db, &err), &err);
	return db;
}

M3Database *
m3db_database(void)
{
	if (unlikely(current == NULL))
	{
		m3db_require_engine();
		require_primary();
		wait_while_closing();
		current = open_current();
	}
	m3db_settings_update(&m3db_engine_settings);
	if (unlikely(m3_database_state(current) != M3_ROOT_READY))
		wait_until_ready(current);
	return current;
}

M3Database *
m3db_database_if_ready(void)
{
	M3Database *db;

	if (current == NULL)
	{
		if (m3db_control == NULL || !IsUnderPostmaster || IsBinaryUpgrade ||
			RecoveryInProgress() ||
			pg_atomic_read_u32(&m3db_control->closing) != 0)
			return NULL;
		if (m3_database_open(m3db_engine(), MyDatabaseId, &db, NULL) != M3_OK)
			return NULL;
		current = db;
	}
	if (m3_database_state(current) == M3_ROOT_NEW)
		m3db_worker_wake();
	m3db_settings_update(&m3db_engine_settings);
	return m3_database_state(current) == M3_ROOT_READY ? current : NULL;
}

M3Database *
m3db_database_any_state(void)
{
	m3db_require_engine();
	if (current == NULL && !RecoveryInProgress())
	{
		current = open_current();
		m3db_worker_wake();
	}
	return current;
}

bool
m3db_wait_for_space(TimestampTz started, int timeout_ms)
{
	long		remaining = remaining_ms(started, timeout_ms);

	if (remaining == 0)
		return false;
	if (wait_space == 0)
		wait_space = m3db_wait_event_new("M3dbBufferSpace");

	/* without this, the first call of the sleep returns at once */
	ConditionVariablePrepareToSleep(&m3db_control->space_freed);
	pg_atomic_fetch_add_u32(&m3db_control->space_waiters, 1);
	/* The worker is the one who can free some, and looks whether anybody waits. */
	m3db_worker_wake();
	PG_TRY();
	{
		ConditionVariableTimedSleep(&m3db_control->space_freed,
									Min(remaining, SPACE_SLEEP_MAX), wait_space);
	}
	PG_FINALLY();
	{
		ConditionVariableCancelSleep();
		pg_atomic_fetch_sub_u32(&m3db_control->space_waiters, 1);
	}
	PG_END_TRY();
	return true;
}

void
m3db_space_was_freed(void)
{
	if (m3db_control != NULL &&
		pg_atomic_read_u32(&m3db_control->space_waiters) > 0)
		ConditionVariableBroadcast(&m3db_control->space_freed);
}

bool
m3db_commit_is_synchronous(void)
{
	return m3db_commitlog_strategy == M3DB_STRATEGY_SYNCHRONOUS &&
		synchronous_commit > SYNCHRONOUS_COMMIT_OFF;
}
