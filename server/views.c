/*
 * The functions behind the views of schema m3db, and those that act.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "m3db_fdw.h"
#include "server/database.h"
#include "server/server.h"
#include "server/shmem.h"

PG_FUNCTION_INFO_V1(m3db_version);
PG_FUNCTION_INFO_V1(m3db_check_preloaded);
PG_FUNCTION_INFO_V1(m3db_stat_bootstrap);
PG_FUNCTION_INFO_V1(m3db_namespaces);
PG_FUNCTION_INFO_V1(m3db_stat_commitlog);
PG_FUNCTION_INFO_V1(m3db_stat_engine);
PG_FUNCTION_INFO_V1(m3db_rotate_commitlog);
PG_FUNCTION_INFO_V1(m3db_flush_commitlog);

/* Values of one row, filled from left to right. */
#define MAX_COLUMNS 16

typedef struct Row
{
	int			count;
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];
} Row;

static void
put(Row *row, Datum value)
{
	Assert(row->count < MAX_COLUMNS);
	row->values[row->count] = value;
	row->nulls[row->count] = false;
	row->count++;
}

static void
put_null(Row *row)
{
	Assert(row->count < MAX_COLUMNS);
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count] = true;
	row->count++;
}

static void
put_count(Row *row, uint64 count)
{
	put(row, Int64GetDatum((int64) count));
}

/* Text of a C string; NULL when it is empty. */
static void
put_text(Row *row, const char *text)
{
	if (text[0] != '\0')
		put(row, CStringGetTextDatum(text));
	else
		put_null(row);
}

/* A time of the engine; NULL for 0, which is "not yet". */
static void
put_time(Row *row, int64 time_ns)
{
	if (time_ns != 0)
		put(row, TimestampTzGetDatum(time_ns / 1000 -
									 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
									 USECS_PER_DAY));
	else
		put_null(row);
}

/* Whole days are days, as in the option that set it; NULL for 0, which is "unlimited". */
static void
put_duration(Row *row, int64 duration_ns, bool zero_is_null)
{
	const int64 day_ns = USECS_PER_DAY * INT64CONST(1000);
	Interval   *interval;

	if (duration_ns == 0 && zero_is_null)
	{
		put_null(row);
		return;
	}
	interval = palloc0(sizeof(Interval));
	interval->day = (int32) (duration_ns / day_ns);
	interval->time = duration_ns % day_ns / 1000;
	put(row, IntervalPGetDatum(interval));
}

static void
emit(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
}

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
	Row			row = {0};

	m3_database_progress(db, &progress);
	put(&row, ObjectIdGetDatum(m3_database_id(db)));
	put_text(&row, state_name(progress.state));
	put_text(&row, progress.phase);
	put_count(&row, progress.done_bytes);
	put_count(&row, progress.total_bytes);
	put_count(&row, progress.entries);
	put_count(&row, progress.skipped_groups);
	put(&row, Int32GetDatum((int32) progress.files_done));
	put(&row, Int32GetDatum((int32) progress.files_total));
	put_time(&row, progress.started_ns);
	put_time(&row, progress.finished_ns);
	put_text(&row, progress.message);
	emit(fcinfo, &row);
}

/* Never waits: it is what one looks at while waiting. */
Datum
m3db_stat_bootstrap(PG_FUNCTION_ARGS)
{
	M3Database *current = m3db_database_any_state();
	uint32_t	ids[M3_MAX_ROOTS];
	size_t		count;

	InitMaterializedSRF(fcinfo, 0);
	if (current == NULL)
		return (Datum) 0;
	if (!has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
	{
		emit_bootstrap(fcinfo, current);
		return (Datum) 0;
	}
	count = m3_engine_roots(m3db_engine(), ids, M3_MAX_ROOTS);
	for (size_t i = 0; i < Min(count, M3_MAX_ROOTS); i++)
	{
		M3Database *db;
		M3Error		err = {0};

		m3db_check(m3_database_open(m3db_engine(), ids[i], &db, &err), &err);
		emit_bootstrap(fcinfo, db);
	}
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
	Row			row = {0};

	/* names are UTF-8 on disk, whatever the database's encoding */
	put_text(&row, pg_any_to_server(info->name, strlen(info->name), PG_UTF8));
	put_duration(&row, options->retention_period_ns, true);
	put_duration(&row, options->block_size_ns, false);
	put_duration(&row, options->buffer_past_ns, false);
	put_duration(&row, options->buffer_future_ns, false);
	put(&row, BoolGetDatum(options->cold_writes_enabled));
	put(&row, BoolGetDatum(options->writes_to_commitlog));
	put(&row, BoolGetDatum(options->snapshot_enabled));
	put(&row, BoolGetDatum(options->flush_enabled));
	put(&row, BoolGetDatum(options->cleanup_enabled));
	put_text(&row, cache_policy_name(options->cache_policy));
	put_count(&row, info->series_count);
	put_count(&row, info->block_count);
	put_count(&row, info->point_count);
	put_count(&row, info->buffer_size);
	emit(context, &row);
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
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	m3_log_stats(m3db_database(), &stats);
	if (stats.active_index <= PG_INT64_MAX)
		put_count(&row, stats.active_index);
	else
		put_null(&row);			/* no log is open */
	put_count(&row, stats.active_size);
	put_count(&row, stats.groups);
	put_count(&row, stats.entries);
	put_count(&row, stats.bytes);
	put_count(&row, stats.syncs);
	put(&row, Float8GetDatum((double) stats.sync_ns / 1e6));
	put_count(&row, stats.rotations);
	put_count(&row, stats.unsynced_size);
	put_count(&row, stats.queue_size);
	put_count(&row, stats.batches_committed);
	put_count(&row, stats.batches_aborted);
	emit(fcinfo, &row);
	return (Datum) 0;
}

Datum
m3db_stat_engine(PG_FUNCTION_ARGS)
{
	M3ArenaStats stats;
	pid_t		worker_pid;
	Row			row = {0};

	m3db_require_engine();
	InitMaterializedSRF(fcinfo, 0);
	m3_engine_arena_stats(m3db_engine(), &stats);
	SpinLockAcquire(&m3db_control->mutex);
	worker_pid = m3db_control->worker_pid;
	SpinLockRelease(&m3db_control->mutex);

	put_count(&row, stats.size);
	put_count(&row, stats.overhead);
	put_count(&row, stats.pages_used);
	put_count(&row, stats.bytes_used);
	put(&row, Int32GetDatum((int32) m3_engine_roots(m3db_engine(), NULL, 0)));
	if (worker_pid != 0)
		put(&row, Int32GetDatum((int32) worker_pid));
	else
		put_null(&row);
	emit(fcinfo, &row);
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
