#include "storage/log/commitlog_private.h"

#include <assert.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3_commitlog_shared_init(M3CommitLogShared *shared, M3Arena *arena, M3Env *env,
						 uint64_t ring_size, M3Error *err)
{
	if (ring_size < M3_COMMITLOG_RING_MIN_SIZE)
		return m3_error(err, M3_INVALID, "commit log queue is too small");
	memset(shared, 0, sizeof(*shared));
	shared->active_index = M3_COMMITLOG_NO_INDEX;
	shared->ring = m3_arena_alloc(arena, env, ring_size);
	if (shared->ring == 0)
		return m3_error(err, M3_FULL, "no memory left for the commit log queue");
	shared->ring_size = ring_size;
	return M3_OK;
}

void
m3_commitlog_shared_free(M3CommitLogShared *shared, M3Arena *arena, M3Env *env)
{
	m3_arena_free(arena, env, shared->ring);
	shared->ring = 0;
	shared->active_index = M3_COMMITLOG_NO_INDEX;
}

M3Status
m3_commitlog_attach(M3CommitLogShared *shared, M3Arena *arena, M3Env *env,
					M3Memory *memory, const char *root_path, uint32_t write_lock,
					uint32_t flush_lock, const M3CommitLogSettings *settings,
					M3CommitLog **result, M3Error *err)
{
	M3CommitLog *log;
	size_t		path_size = strlen(root_path) + 1;

	*result = NULL;
	if (path_size > sizeof(log->root_path))
		return m3_error(err, M3_INVALID, "path of the commit log is too long");
	log = m3_alloc(memory, sizeof(*log));
	if (log == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(log, 0, sizeof(*log));
	log->shared = shared;
	log->arena = arena;
	log->env = env;
	log->memory = memory;
	log->write_lock = write_lock;
	log->flush_lock = flush_lock;
	log->settings = settings;
	memcpy(log->root_path, root_path, path_size);
	*result = log;
	return M3_OK;
}

void
m3_commitlog_detach(M3CommitLog *log)
{
	if (log == NULL)
		return;
	log->env->close(log->env, log->file);
	m3_free(log->memory, log);
}

/* From the ring to the disk */

void
m3i_commitlog_drain(M3CommitLog *log)
{
	M3CommitLogShared *shared = log->shared;
	const uint8_t *ring = m3_arena_at(log->arena, shared->ring);
	uint64_t	inserted = m3i_load(&shared->inserted);
	uint64_t	written = shared->written;
	M3Error		err;

	assert(log->file != NULL && log->file_index == shared->active_index);
	if (written == inserted)
		return;
	while (written < inserted)
	{
		uint64_t	start = written % shared->ring_size;
		uint64_t	size = inserted - written;

		if (size > shared->ring_size - start)
			size = shared->ring_size - start;
		if (log->env->write(log->env, log->file, ring + start, (size_t) size,
							written - shared->base_lsn, &err) != M3_OK)
			log->env->panic(log->env, &err);
		written += size;
	}
	m3i_store(&shared->written, written);
}

void
m3i_commitlog_sync_file(M3CommitLog *log)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	int64_t		started_ns = env->now_ns(env);
	int64_t		elapsed_ns;
	M3Error		err;

	if (env->sync(env, log->file, &err) != M3_OK)
		env->panic(env, &err);
	elapsed_ns = env->now_ns(env) - started_ns;
	m3i_store(&shared->flushed, shared->written);
	m3i_add(&shared->syncs, 1);
	m3i_add(&shared->sync_ns, elapsed_ns > 0 ? (uint64_t) elapsed_ns : 0);
}

M3Status
m3_commitlog_sync(M3CommitLog *log, uint64_t lsn, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;

	while (m3i_load(&shared->flushed) < lsn)
	{
		M3Status	status = M3_OK;

		/* whoever has the lock may well be syncing our bytes, too */
		if (!env->lock_or_wait(env, log->flush_lock))
			continue;
		if (shared->flushed < lsn)
		{
			status = m3i_commitlog_open_file(log, err);
			if (status == M3_OK)
			{
				m3i_commitlog_drain(log);
				m3i_commitlog_sync_file(log);
			}
		}
		env->unlock(env, log->flush_lock);
		M3_TRY(status);
	}
	return M3_OK;
}

M3Status
m3_commitlog_write_out(M3CommitLog *log, bool sync, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	uint64_t	inserted = m3i_load(&shared->inserted);
	M3Status	status;

	if (sync)
		return m3_commitlog_sync(log, inserted, err);
	if (m3i_load(&shared->written) >= inserted)
		return M3_OK;
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	/* the log may have been rotated, or even stopped, while we waited */
	status = M3_OK;
	if (shared->written < inserted)
	{
		status = m3i_commitlog_open_file(log, err);
		if (status == M3_OK)
			m3i_commitlog_drain(log);
	}
	env->unlock(env, log->flush_lock);
	return status;
}

/* Appending */

/* Accounts for what was appended up to end, an lsn. */
static void
accept(M3CommitLog *log, uint64_t start, uint64_t end, uint64_t entry_count,
	   M3LogPosition *position)
{
	M3CommitLogShared *shared = log->shared;

	position->log_index = shared->active_index;
	position->offset = start - shared->base_lsn;
	position->lsn = end;
	m3i_add(&shared->active_groups, 1);
	m3i_add(&shared->groups, entry_count > 0);
	m3i_add(&shared->entries, entry_count);
	m3i_store(&shared->inserted, end);
}

/* A group the ring cannot hold. */
static M3Status
append_directly(M3CommitLog *log, M3Slice group, uint64_t entry_count,
				M3LogPosition *position, M3Error *err)
{
	M3Status	status = m3_commitlog_stream_begin(log, err);

	if (status != M3_OK)
		return status;
	status = m3_commitlog_stream_sink(log, group, err);
	if (status == M3_OK)
		status = m3_commitlog_stream_finish(log, entry_count, position, err);
	if (status != M3_OK)
		m3_commitlog_stream_rewind(log);
	return status;
}

static M3Status
make_room_in_file(M3CommitLog *log, uint64_t end, M3Error *err)
{
	M3Env	   *env = log->env;
	M3Status	status = M3_OK;

	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	if (end > log->shared->allocated_size)
		status = m3i_commitlog_extend(log, end, err);
	env->unlock(env, log->flush_lock);
	return status;
}

M3Status
m3_commitlog_append(M3CommitLog *log, M3Slice group, uint64_t entry_count,
					M3LogPosition *position, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	uint64_t	inserted = shared->inserted;
	uint64_t	end = inserted + group.size;
	uint64_t	start;
	uint8_t    *ring;
	size_t		first;

	M3_TRY(m3i_commitlog_open_file(log, err));
	if (group.size > shared->ring_size)
		return append_directly(log, group, entry_count, position, err);
	if (end - shared->base_lsn > m3i_load(&shared->allocated_size))
		M3_TRY(make_room_in_file(log, end - shared->base_lsn, err));
	if (end - m3i_load(&shared->written) > shared->ring_size)
		M3_TRY(m3_commitlog_write_out(log, false, err));

	ring = m3_arena_at(log->arena, shared->ring);
	start = inserted % shared->ring_size;
	first = group.size;
	if (first > shared->ring_size - start)
		first = (size_t) (shared->ring_size - start);
	if (group.size > 0)
	{
		memcpy(ring + start, group.data, first);
		memcpy(ring, group.data + first, group.size - first);
	}
	accept(log, inserted, end, entry_count, position);
	return M3_OK;
}

M3Status
m3_commitlog_stream_begin(M3CommitLog *log, M3Error *err)
{
	M3_TRY(m3i_commitlog_open_file(log, err));
	log->stream_end = log->shared->inserted - log->shared->base_lsn;
	return M3_OK;
}

M3Status
m3_commitlog_stream_sink(void *context, M3Slice chunks, M3Error *err)
{
	M3CommitLog *log = context;
	M3Env	   *env = log->env;
	uint64_t	start = log->stream_end;
	uint64_t	end = start + chunks.size;

	/* claimed, lest somebody extends the file over it; writing zeros first
	 * would be for nothing, since an error can still be returned */
	if (end > m3i_load(&log->shared->allocated_size))
	{
		env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
		if (end > log->shared->allocated_size)
			m3i_store(&log->shared->allocated_size, end);
		env->unlock(env, log->flush_lock);
	}
	M3_TRY(env->write(env, log->file, chunks.data, chunks.size, start, err));
	log->stream_end = end;
	return M3_OK;
}

M3Status
m3_commitlog_stream_finish(M3CommitLog *log, uint64_t entry_count,
						   M3LogPosition *position, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	uint64_t	end = shared->base_lsn + log->stream_end;

	(void) err;
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	m3i_commitlog_drain(log);
	accept(log, shared->inserted, end, entry_count, position);
	m3i_store(&shared->written, end);
	env->unlock(env, log->flush_lock);
	return M3_OK;
}

void
m3_commitlog_stream_rewind(M3CommitLog *log)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	uint64_t	size = shared->inserted - shared->base_lsn;
	M3Error		err;

	/* begin could not open it: nothing was written */
	if (log->file == NULL || log->file_index != shared->active_index)
		return;

	/* what was streamed must not be seen again behind a group written over its
	 * start, not even after a crash; zeros come with the next extension */
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	if (env->truncate(env, log->file, size, &err) != M3_OK ||
		env->sync(env, log->file, &err) != M3_OK)
		env->panic(env, &err);
	m3i_store(&shared->allocated_size, size);
	env->unlock(env, log->flush_lock);
}

/* Looking */

uint64_t
m3_commitlog_active_index(const M3CommitLog *log)
{
	return m3i_load(&log->shared->active_index);
}

uint64_t
m3_commitlog_inserted(const M3CommitLog *log)
{
	return m3i_load(&log->shared->inserted);
}

uint64_t
m3_commitlog_flushed(const M3CommitLog *log)
{
	return m3i_load(&log->shared->flushed);
}

/* Counters move while they are read: in this order no difference is negative. */
void
m3_commitlog_stats(const M3CommitLog *log, M3CommitLogStats *stats)
{
	const M3CommitLogShared *shared = log->shared;
	uint64_t	flushed = m3i_load(&shared->flushed);
	uint64_t	written = m3i_load(&shared->written);
	uint64_t	base = m3i_load(&shared->base_lsn);
	uint64_t	inserted = m3i_load(&shared->inserted);

	memset(stats, 0, sizeof(*stats));
	stats->active_index = m3i_load(&shared->active_index);
	if (stats->active_index != M3_COMMITLOG_NO_INDEX)
	{
		stats->active_size = inserted - base;
		stats->allocated_size = m3i_load(&shared->allocated_size);
	}
	stats->appended_bytes = inserted;
	stats->entries = m3i_load(&shared->entries);
	stats->groups = m3i_load(&shared->groups);
	stats->unsynced_size = inserted - flushed;
	stats->unwritten_size = inserted - written;
	stats->ring_size = shared->ring_size;
	stats->syncs = m3i_load(&shared->syncs);
	stats->sync_ns = m3i_load(&shared->sync_ns);
	stats->rotations = m3i_load(&shared->rotations);
}
