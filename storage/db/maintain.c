#include "storage/db/maintain.h"

#include <string.h>

#include "storage/db/db_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* The log module's view of the process's settings, which may change. */
static M3CommitLogSettings
log_settings(const M3Database *db)
{
	const M3EngineSettings *settings = db->engine->settings;
	M3CommitLogSettings log = {
		.window_ns = settings->log_window_ns,
		.max_size = settings->log_max_size,
		.preallocate_size = settings->log_preallocate_size
	};

	return log;
}

M3Status
m3i_log_handle(M3Database *db, M3CommitLog **log, M3Error *err)
{
	db->log_settings = log_settings(db);
	if (db->log == NULL)
		M3_TRY(m3_commitlog_attach(&db->root->log, db->arena, db->env, db->engine->memory,
								   db->path, m3i_lock_write(db), m3i_lock_flush(db),
								   &db->log_settings, &db->log, err));
	*log = db->log;
	return M3_OK;
}

M3Status
m3i_log_ready(M3Database *db, M3CommitLog *log, M3Error *err)
{
	int64_t		now_ns = db->env->now_ns(db->env);

	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		return m3_commitlog_start(log, db->root->next_log_index, now_ns, err);
	return m3_commitlog_ready(log, now_ns, err);
}

M3Status
m3i_log_marker(M3Database *db, M3CommitLog *log, const M3LogMarker *marker, uint64_t *lsn,
			   M3Error *err)
{
	uint8_t		chunk[M3_LOG_MARKER_MAX_SIZE];
	size_t		size = m3_log_marker_chunk(chunk, marker, db->env->now_ns(db->env));
	M3LogPosition position;

	M3_TRY(m3_commitlog_append(log, m3_slice(chunk, size), 0, &position, err));
	*lsn = position.lsn;
	return M3_OK;
}

M3Status
m3_log_flush(M3Database *db, M3Error *err)
{
	M3CommitLog *log;

	if (m3_database_state(db) != M3_ROOT_READY)
		return M3_OK;
	M3_TRY(m3i_log_handle(db, &log, err));
	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		return M3_OK;
	M3_TRY(m3_commitlog_write_out(log, true, err));
	return m3_commitlog_extend_ahead(log, err);
}

M3Status
m3_log_rotate(M3Database *db, bool force, M3Error *err)
{
	M3Env	   *env = db->env;
	int64_t		now_ns = env->now_ns(env);
	M3CommitLog *log;
	M3Status	status = M3_OK;

	if (m3_database_state(db) != M3_ROOT_READY)
		return M3_OK;
	M3_TRY(m3i_log_handle(db, &log, err));
	if (!force && !m3_commitlog_rotation_due(log, now_ns))
		return M3_OK;
	env->lock(env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	if (m3_commitlog_active_index(log) != M3_COMMITLOG_NO_INDEX &&
		(force || m3_commitlog_rotation_due(log, now_ns)))
		status = m3_commitlog_rotate(log, now_ns, NULL, err);
	env->unlock(env, m3i_lock_write(db));
	return status;
}

M3Status
m3_log_shutdown(M3Database *db, M3Error *err)
{
	M3Env	   *env = db->env;
	M3CommitLog *log;
	M3Status	status;

	if (m3_database_state(db) != M3_ROOT_READY)
		return M3_OK;
	M3_TRY(m3i_log_handle(db, &log, err));
	env->lock(env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = m3_commitlog_stop(log, err);
	env->unlock(env, m3i_lock_write(db));
	return status;
}

void
m3_log_stats(M3Database *db, M3LogStats *stats)
{
	M3CommitLogStats log_stats;
	M3CommitLog *log;

	memset(stats, 0, sizeof(*stats));
	stats->active_index = M3_COMMITLOG_NO_INDEX;
	if (m3_database_state(db) != M3_ROOT_READY || m3i_log_handle(db, &log, NULL) != M3_OK)
		return;
	m3_commitlog_stats(log, &log_stats);
	stats->active_index = log_stats.active_index;
	stats->active_size = log_stats.active_size;
	stats->groups = log_stats.groups;
	stats->entries = log_stats.entries;
	stats->bytes = log_stats.appended_bytes;
	stats->syncs = log_stats.syncs;
	stats->sync_ns = log_stats.sync_ns;
	stats->rotations = log_stats.rotations;
	stats->unsynced_size = log_stats.unsynced_size;
	stats->queue_size = log_stats.ring_size;
	stats->batches_committed = __atomic_load_n(&db->root->batches_committed, __ATOMIC_RELAXED);
	stats->batches_aborted = __atomic_load_n(&db->root->batches_aborted, __ATOMIC_RELAXED);
}
