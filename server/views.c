/*
 * The functions behind the views of schema m3db, and those that act.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "m3db_fdw.h"
#include "server/database.h"
#include "server/rows.h"
#include "server/server.h"
#include "server/shmem.h"

PG_FUNCTION_INFO_V1(m3db_version);
PG_FUNCTION_INFO_V1(m3db_check_preloaded);
PG_FUNCTION_INFO_V1(m3db_stat_bootstrap);
PG_FUNCTION_INFO_V1(m3db_namespaces);
PG_FUNCTION_INFO_V1(m3db_stat_commitlog);
PG_FUNCTION_INFO_V1(m3db_stat_engine);
PG_FUNCTION_INFO_V1(m3db_stat_jobs);
PG_FUNCTION_INFO_V1(m3db_stat_progress);
PG_FUNCTION_INFO_V1(m3db_rotate_commitlog);
PG_FUNCTION_INFO_V1(m3db_flush_commitlog);

/* ---- functions that say something ---- */

Datum
m3db_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(M3DB_VERSION));
}

/* Called by the extension's script, so that CREATE EXTENSION fails clearly. */
Datum
m3db_check_preloaded(PG_FUNCTION_ARGS)
{
	if (!IsBinaryUpgrade)
		m3db_require_engine();
	PG_RETURN_VOID();
}

static const char *
state_name(M3RootState state)
{
	switch (state)
	{
		case M3_ROOT_NEW:
			return "waiting";
		case M3_ROOT_BOOTSTRAPPING:
			return "loading";
		case M3_ROOT_READY:
			return "ready";
		case M3_ROOT_FAILED:
			return "failed";
	}
	return "unknown";
}

static void
emit_bootstrap(FunctionCallInfo fcinfo, M3Database *db)
{
	M3RootProgress progress;
	M3dbRow		row = {0};

	m3_database_progress(db, &progress);
	m3db_put(&row, ObjectIdGetDatum(m3_database_id(db)));
	m3db_put_text(&row, state_name(progress.state));
	m3db_put_text(&row, progress.phase);
	m3db_put_count(&row, progress.done_bytes);
	m3db_put_count(&row, progress.total_bytes);
	m3db_put_count(&row, progress.entries);
	m3db_put_count(&row, progress.skipped_groups);
	m3db_put(&row, Int32GetDatum((int32) progress.files_done));
	m3db_put(&row, Int32GetDatum((int32) progress.files_total));
	m3db_put_time(&row, progress.started_ns);
	m3db_put_time(&row, progress.finished_ns);
	m3db_put_text(&row, progress.message);
	m3db_emit(fcinfo, &row);
}

/* Rows of all databases the engine knows; on a standby there are none. */
static void
for_all_roots(FunctionCallInfo fcinfo, void (*emit) (FunctionCallInfo fcinfo, M3Database *db))
{
	uint32_t	ids[M3_MAX_ROOTS];
	size_t		count;

	count = m3_engine_roots(m3db_engine(), ids, M3_MAX_ROOTS);
	for (size_t i = 0; i < Min(count, M3_MAX_ROOTS); i++)
	{
		M3Database *db;
		M3Error		err = {0};

		M3Status	status = m3_database_find(m3db_engine(), ids[i], &db, &err);

		/* dropped since */
		if (status == M3_NOT_FOUND)
			continue;
		m3db_check(status, &err);
		emit(fcinfo, db);
	}
}

/* Never waits: it is what one looks at while waiting. */
Datum
m3db_stat_bootstrap(PG_FUNCTION_ARGS)
{
	M3Database *current = m3db_database_any_state();

	InitMaterializedSRF(fcinfo, 0);
	if (current == NULL)
		return (Datum) 0;
	if (has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		for_all_roots(fcinfo, emit_bootstrap);
	else
		emit_bootstrap(fcinfo, current);
	return (Datum) 0;
}

static const char *
cache_policy_name(uint8 policy)
{
	switch ((M3CachePolicy) policy)
	{
		case M3_CACHE_NONE:
			return "none";
		case M3_CACHE_ALL:
			return "all";
		case M3_CACHE_RECENTLY_READ:
			return "recently_read";
		case M3_CACHE_LRU:
			return "lru";
	}
	return "unknown";
}

static void
emit_namespace(void *context, const M3NamespaceInfo *info)
{
	const M3NamespaceOptions *options = &info->options;
	M3dbRow		row = {0};

	m3db_put_utf8(&row, m3_slice_cstr(info->name));
	m3db_put_duration(&row, options->retention_period_ns, true);
	m3db_put_duration(&row, options->block_size_ns, false);
	m3db_put_duration(&row, options->buffer_past_ns, false);
	m3db_put_duration(&row, options->buffer_future_ns, false);
	m3db_put(&row, BoolGetDatum(options->cold_writes_enabled));
	m3db_put(&row, BoolGetDatum(options->writes_to_commitlog));
	m3db_put(&row, BoolGetDatum(options->snapshot_enabled));
	m3db_put(&row, BoolGetDatum(options->flush_enabled));
	m3db_put(&row, BoolGetDatum(options->cleanup_enabled));
	m3db_put_text(&row, cache_policy_name(options->cache_policy));
	m3db_put_count(&row, info->series_count);
	m3db_put_count(&row, info->block_count);
	m3db_put_count(&row, info->point_count);
	m3db_put_count(&row, info->buffer_size);
	m3db_put_count(&row, info->file_count);
	m3db_put_count(&row, info->file_size);
	m3db_put_count(&row, info->file_series);
	m3db_emit(context, &row);
}

Datum
m3db_namespaces(PG_FUNCTION_ARGS)
{
	M3Error		err = {0};

	InitMaterializedSRF(fcinfo, 0);
	m3db_check(m3_namespaces(m3db_database(), emit_namespace, fcinfo, &err), &err);
	return (Datum) 0;
}

Datum
m3db_stat_commitlog(PG_FUNCTION_ARGS)
{
	M3LogStats	stats;
	M3dbRow		row = {0};

	InitMaterializedSRF(fcinfo, 0);
	m3_log_stats(m3db_database(), &stats);
	if (stats.active_index <= PG_INT64_MAX)
		m3db_put_count(&row, stats.active_index);
	else
		m3db_put_null(&row);			/* no log is open */
	m3db_put_count(&row, stats.active_size);
	m3db_put_count(&row, stats.groups);
	m3db_put_count(&row, stats.entries);
	m3db_put_count(&row, stats.bytes);
	m3db_put_count(&row, stats.syncs);
	m3db_put(&row, Float8GetDatum((double) stats.sync_ns / 1e6));
	m3db_put_count(&row, stats.rotations);
	m3db_put_count(&row, stats.unsynced_size);
	m3db_put_count(&row, stats.queue_size);
	m3db_put_count(&row, stats.batches_committed);
	m3db_put_count(&row, stats.batches_aborted);
	m3db_emit(fcinfo, &row);
	return (Datum) 0;
}

Datum
m3db_stat_engine(PG_FUNCTION_ARGS)
{
	M3ArenaStats stats;
	M3CacheStats cache;
	pid_t		worker_pid;
	M3dbRow		row = {0};

	m3db_require_engine();
	InitMaterializedSRF(fcinfo, 0);
	m3_engine_arena_stats(m3db_engine(), &stats);
	m3_cache_stats(m3db_engine(), &cache);
	SpinLockAcquire(&m3db_control->mutex);
	worker_pid = m3db_control->worker_pid;
	SpinLockRelease(&m3db_control->mutex);

	m3db_put_count(&row, stats.size);
	m3db_put_count(&row, stats.overhead);
	m3db_put_count(&row, stats.pages_used);
	m3db_put_count(&row, stats.bytes_used);
	m3db_put(&row, Int32GetDatum((int32) m3_engine_roots(m3db_engine(), NULL, 0)));
	if (worker_pid != 0)
		m3db_put(&row, Int32GetDatum((int32) worker_pid));
	else
		m3db_put_null(&row);
	m3db_put(&row, Int32GetDatum((int32) pg_atomic_read_u32(&m3db_control->space_waiters)));
	m3db_put(&row, Int32GetDatum((int32) pg_atomic_read_u32(&m3db_control->cleanup_holds)));
	m3db_put_count(&row, cache.entries);
	m3db_put_count(&row, cache.bytes);
	m3db_put_count(&row, cache.hits);
	m3db_put_count(&row, cache.misses);
	m3db_put_count(&row, cache.inserted);
	m3db_put_count(&row, cache.evicted);
	m3db_emit(fcinfo, &row);
	return (Datum) 0;
}

/* ---- jobs ---- */

static void
emit_jobs(FunctionCallInfo fcinfo, M3Database *db)
{
	M3RootJobs	jobs;

	m3_root_jobs(db, &jobs);
	for (int job = M3_JOB_NONE + 1; job < M3_JOB_COUNT; job++)
	{
		const M3JobStats *stats = &jobs.stats[job];
		M3dbRow		row = {0};

		m3db_put(&row, ObjectIdGetDatum(m3_database_id(db)));
		m3db_put_text(&row, m3_job_name((M3Job) job));
		m3db_put_count(&row, stats->runs);
		m3db_put_count(&row, stats->failures);
		m3db_put_time(&row, stats->last_start_ns);
		if (stats->last_start_ns != 0)
			m3db_put(&row, Float8GetDatum((double) stats->last_duration_ns / 1e6));
		else
			m3db_put_null(&row);
		m3db_put_time(&row, stats->last_failure_ns);
		if (stats->last_error[0] != '\0')
			m3db_put_utf8(&row, m3_slice_cstr(stats->last_error));
		else
			m3db_put_null(&row);
		m3db_emit(fcinfo, &row);
	}
}

Datum
m3db_stat_jobs(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	if (m3db_database_any_state() != NULL)
		for_all_roots(fcinfo, emit_jobs);
	return (Datum) 0;
}

static void
emit_bootstrap_progress(FunctionCallInfo fcinfo, M3Database *db)
{
	M3RootProgress progress;
	M3dbRow		row = {0};

	m3_database_progress(db, &progress);
	if (progress.state != M3_ROOT_BOOTSTRAPPING)
		return;
	m3db_put(&row, ObjectIdGetDatum(m3_database_id(db)));
	m3db_put_text(&row, "bootstrap");
	m3db_put_text(&row, progress.phase);
	m3db_put_count(&row, progress.files_done);
	m3db_put_count(&row, progress.files_total);
	m3db_put_count(&row, progress.done_bytes);
	m3db_put_time(&row, progress.started_ns);
	m3db_emit(fcinfo, &row);
}

static void
emit_job_progress(FunctionCallInfo fcinfo, M3Database *db)
{
	M3RootJobs	jobs;
	M3dbRow		row = {0};

	m3_root_jobs(db, &jobs);
	if (jobs.progress.job == M3_JOB_NONE)
		return;
	m3db_put(&row, ObjectIdGetDatum(m3_database_id(db)));
	m3db_put_text(&row, m3_job_name(jobs.progress.job));
	if (jobs.progress.subject[0] != '\0')
		m3db_put_utf8(&row, m3_slice_cstr(jobs.progress.subject));
	else
		m3db_put_null(&row);
	m3db_put_count(&row, jobs.progress.done);
	m3db_put_count(&row, jobs.progress.total);
	m3db_put_count(&row, jobs.progress.bytes);
	m3db_put_time(&row, jobs.progress.started_ns);
	m3db_emit(fcinfo, &row);
}

static void
emit_progress(FunctionCallInfo fcinfo, M3Database *db)
{
	emit_bootstrap_progress(fcinfo, db);
	emit_job_progress(fcinfo, db);
}

Datum
m3db_stat_progress(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	if (m3db_database_any_state() != NULL)
		for_all_roots(fcinfo, emit_progress);
	return (Datum) 0;
}

/* ---- functions that do something ---- */

Datum
m3db_rotate_commitlog(PG_FUNCTION_ARGS)
{
	M3Error		err = {0};

	m3db_check(m3_log_rotate(m3db_database(), true, &err), &err);
	PG_RETURN_VOID();
}

Datum
m3db_flush_commitlog(PG_FUNCTION_ARGS)
{
	M3Error		err = {0};

	m3db_check(m3_log_flush(m3db_database(), &err), &err);
	PG_RETURN_VOID();
}
