/*
 * Jobs that backends ask the background worker for, and holds on its removal of
 * files.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/database.h"
#include "server/requests.h"
#include "server/rows.h"
#include "server/server.h"
#include "server/shmem.h"

#define SLEEP_MS 1000
#define WORKER_MISSING_MS 20000	/* longer than the postmaster takes to start it again */

PG_FUNCTION_INFO_V1(m3db_flush);
PG_FUNCTION_INFO_V1(m3db_snapshot);
PG_FUNCTION_INFO_V1(m3db_tick);
PG_FUNCTION_INFO_V1(m3db_cleanup);
PG_FUNCTION_INFO_V1(m3db_hold_cleanup);
PG_FUNCTION_INFO_V1(m3db_release_cleanup);

static uint32 wait_job = 0;

/* ---- asking ---- */

/* A place for the root's request, or NULL while it has one.  There are as many as roots. */
static M3dbRequest *
try_take(uint32_t root_id)
{
	M3dbRequest *result = NULL;

	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS; i++)
	{
		M3dbRequest *request = &m3db_control->requests[i];

		if (request->state == M3DB_REQUEST_FREE)
		{
			if (result == NULL)
				result = request;
		}
		else if (request->root_id == root_id)
		{
			result = NULL;
			break;
		}
	}
	if (result != NULL)
	{
		result->root_id = root_id;
		result->state = M3DB_REQUEST_TAKEN;
		result->abandoned = false;
	}
	SpinLockRelease(&m3db_control->mutex);
	return result;
}

static M3dbRequestState
state_of(const M3dbRequest *request)
{
	M3dbRequestState state;

	SpinLockAcquire(&m3db_control->mutex);
	state = request->state;
	SpinLockRelease(&m3db_control->mutex);
	return state;
}

static void
set_state(M3dbRequest *request, M3dbRequestState state)
{
	SpinLockAcquire(&m3db_control->mutex);
	request->state = state;
	SpinLockRelease(&m3db_control->mutex);
	ConditionVariableBroadcast(&m3db_control->request_changed);
}

/* The backend loses interest: an error, a cancel, its end. */
static void
abandon(int code, Datum arg)
{
	M3dbRequest *request = (M3dbRequest *) DatumGetPointer(arg);

	ConditionVariableCancelSleep();
	SpinLockAcquire(&m3db_control->mutex);
	if (request->state == M3DB_REQUEST_RUNNING)
		request->abandoned = true;
	else
		request->state = M3DB_REQUEST_FREE;
	SpinLockRelease(&m3db_control->mutex);
	ConditionVariableBroadcast(&m3db_control->request_changed);
}

/* Sleeps a while; an error if there has been no worker for long. */
static void
sleep_for_worker(TimestampTz *seen_at)
{
	TimestampTz now = GetCurrentTimestamp();

	if (m3db_worker_is_running())
		*seen_at = now;
	else if (TimestampDifferenceExceeds(*seen_at, now, WORKER_MISSING_MS))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker of m3db_fdw is not running"),
				 errhint("See the server log; \"max_worker_processes\" may be too low.")));
	ConditionVariableTimedSleep(&m3db_control->request_changed, SLEEP_MS, wait_job);
}

static M3dbRequest *
take(uint32_t root_id)
{
	TimestampTz seen_at = GetCurrentTimestamp();
	M3dbRequest *request;

	ConditionVariablePrepareToSleep(&m3db_control->request_changed);
	while ((request = try_take(root_id)) == NULL)
		sleep_for_worker(&seen_at);
	ConditionVariableCancelSleep();
	return request;
}

static void
wait_until_done(M3dbRequest *request)
{
	TimestampTz seen_at = GetCurrentTimestamp();

	ConditionVariablePrepareToSleep(&m3db_control->request_changed);
	while (state_of(request) != M3DB_REQUEST_DONE)
	{
		m3db_worker_wake();
		sleep_for_worker(&seen_at);
	}
	ConditionVariableCancelSleep();
}

static void
fill(M3dbRequest *request, M3Job job, M3Slice namespace_name)
{
	request->job = job;
	if (namespace_name.size > 0)
		memcpy(request->namespace_name, namespace_name.data, namespace_name.size);
	request->namespace_name[namespace_name.size] = '\0';
	request->held_back = false;
	memset(&request->result, 0, sizeof(request->result));
	memset(&request->error, 0, sizeof(request->error));
	request->status = M3_OK;
}

static void
post_and_wait(M3dbRequest *request)
{
	PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(request));
	{
		set_state(request, M3DB_REQUEST_POSTED);
		wait_until_done(request);
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(request));
}

void
m3db_request(M3Job job, M3Slice namespace_name, M3dbJobResult *result)
{
	uint32_t	root_id = m3_database_id(m3db_database());
	M3dbRequest *request;
	M3Status	status;
	M3Error		err;
	bool		held_back;

	if (namespace_name.size > M3_NAMESPACE_NAME_MAX_SIZE)
		elog(ERROR, "name of a namespace is too long");
	if (wait_job == 0)
		wait_job = m3db_wait_event_new("M3dbJob");

	request = take(root_id);
	fill(request, job, namespace_name);
	post_and_wait(request);
	*result = request->result;
	status = request->status;
	err = request->error;
	held_back = request->held_back;
	set_state(request, M3DB_REQUEST_FREE);

	if (held_back)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("m3db removes no files while a base backup runs or cleanup is held"),
				 errhint("See \"cleanup_holds\" in m3db.stat_engine, and "
						 "pg_stat_progress_basebackup.")));
	m3db_check(status, &err);
}

/* ---- doing ---- */

M3dbRequest *
m3db_request_begin(uint32_t root_id)
{
	M3dbRequest *result = NULL;

	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS; i++)
	{
		M3dbRequest *request = &m3db_control->requests[i];

		if (request->root_id != root_id || request->state != M3DB_REQUEST_POSTED)
			continue;
		request->state = M3DB_REQUEST_RUNNING;
		result = request;
		break;
	}
	SpinLockRelease(&m3db_control->mutex);
	return result;
}

void
m3db_request_end(M3dbRequest *request)
{
	SpinLockAcquire(&m3db_control->mutex);
	request->state = request->abandoned ? M3DB_REQUEST_FREE : M3DB_REQUEST_DONE;
	SpinLockRelease(&m3db_control->mutex);
	ConditionVariableBroadcast(&m3db_control->request_changed);
}

void
m3db_requests_restart(void)
{
	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS; i++)
	{
		M3dbRequest *request = &m3db_control->requests[i];

		if (request->state == M3DB_REQUEST_RUNNING)
			request->state = request->abandoned ? M3DB_REQUEST_FREE : M3DB_REQUEST_POSTED;
	}
	SpinLockRelease(&m3db_control->mutex);
	ConditionVariableBroadcast(&m3db_control->request_changed);
	m3db_removal_end();
}

/* ---- holding the removal of files back ---- */

static bool holding = false;

/*
 * Does the server send a base backup?  What backends report of their progress is the only
 * trace of it that others see.
 */
static bool
base_backup_runs(void)
{
	int			count = pgstat_fetch_stat_numbackends();
	bool		found = false;

	for (int i = 1; i <= count && !found; i++)
	{
		const LocalPgBackendStatus *entry = m3db_local_backend_status(i);

		found = entry != NULL &&
			entry->backendStatus.st_progress_command == PROGRESS_COMMAND_BASEBACKUP;
	}
	pgstat_clear_backend_activity_snapshot();
	return found;
}

/*
 * The worker says that it removes and then looks for holds; who holds looks in the
 * opposite order, so one of both sees the other.
 */
bool
m3db_removal_begin(void)
{
	pg_atomic_write_u32(&m3db_control->removing, 1);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&m3db_control->cleanup_holds) == 0 && !base_backup_runs())
		return true;
	m3db_removal_end();
	return false;
}

void
m3db_removal_end(void)
{
	pg_atomic_write_u32(&m3db_control->removing, 0);
	ConditionVariableBroadcast(&m3db_control->request_changed);
}

static void
release_hold(int code, Datum arg)
{
	if (holding)
		pg_atomic_fetch_sub_u32(&m3db_control->cleanup_holds, 1);
	holding = false;
}

static void
wait_for_removal(void)
{
	if (wait_job == 0)
		wait_job = m3db_wait_event_new("M3dbJob");
	ConditionVariablePrepareToSleep(&m3db_control->request_changed);
	while (pg_atomic_read_u32(&m3db_control->removing) != 0 && m3db_worker_is_running())
		ConditionVariableTimedSleep(&m3db_control->request_changed, SLEEP_MS, wait_job);
	ConditionVariableCancelSleep();
}

Datum
m3db_hold_cleanup(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	m3db_require_engine();
	if (!registered)
	{
		before_shmem_exit(release_hold, (Datum) 0);
		registered = true;
	}
	if (!holding)
	{
		pg_atomic_fetch_add_u32(&m3db_control->cleanup_holds, 1);
		holding = true;
		pg_memory_barrier();
	}
	wait_for_removal();
	PG_RETURN_VOID();
}

Datum
m3db_release_cleanup(PG_FUNCTION_ARGS)
{
	bool		held = holding;

	m3db_require_engine();
	release_hold(0, (Datum) 0);
	m3db_worker_wake();
	PG_RETURN_BOOL(held);
}

/* ---- functions ---- */

Datum
m3db_flush_datum(FunctionCallInfo fcinfo, const M3FlushResult *result)
{
	M3dbRow		row = {0};

	m3db_put_count(&row, result->filesets);
	m3db_put_count(&row, result->series);
	m3db_put_count(&row, result->points);
	m3db_put_count(&row, result->bytes);
	m3db_put_count(&row, result->held_series);
	return m3db_row_datum(fcinfo, &row);
}

Datum
m3db_flush(PG_FUNCTION_ARGS)
{
	M3dbJobResult result;

	m3db_request(M3_JOB_FLUSH, m3_slice("", 0), &result);
	return m3db_flush_datum(fcinfo, &result.flush);
}

Datum
m3db_snapshot(PG_FUNCTION_ARGS)
{
	M3dbJobResult result;
	M3dbRow		row = {0};

	m3db_request(M3_JOB_SNAPSHOT, m3_slice("", 0), &result);
	m3db_put_count(&row, result.snapshot.filesets);
	m3db_put_count(&row, result.snapshot.series);
	m3db_put_count(&row, result.snapshot.bytes);
	if (result.snapshot.taken)
		m3db_put_count(&row, result.snapshot.log_index);
	else
		m3db_put_null(&row);
	return m3db_row_datum(fcinfo, &row);
}

Datum
m3db_tick(PG_FUNCTION_ARGS)
{
	M3dbJobResult result;
	M3dbRow		row = {0};

	m3db_request(M3_JOB_TICK, m3_slice("", 0), &result);
	m3db_put_count(&row, result.tick.series);
	m3db_put_count(&row, result.tick.merged_blocks);
	m3db_put_count(&row, result.tick.expired_blocks);
	m3db_put_count(&row, result.tick.purged_series);
	m3db_put_count(&row, result.tick.freed_bytes);
	return m3db_row_datum(fcinfo, &row);
}

Datum
m3db_cleanup(PG_FUNCTION_ARGS)
{
	M3dbJobResult result;
	M3dbRow		row = {0};

	m3db_request(M3_JOB_CLEANUP, m3_slice("", 0), &result);
	m3db_put_count(&row, result.cleanup.filesets);
	m3db_put_count(&row, result.cleanup.snapshots);
	m3db_put_count(&row, result.cleanup.metadata);
	m3db_put_count(&row, result.cleanup.logs);
	m3db_put_count(&row, result.cleanup.bytes);
	return m3db_row_datum(fcinfo, &row);
}
