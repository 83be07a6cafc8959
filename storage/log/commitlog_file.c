/*
 * The file under the live log: creating, extending, rotating, closing.
 *
 * A file is made under another name and renamed when its header and first zeros are
 * durable, so a crash leaves no half-made log.
 */
#include "storage/log/commitlog_private.h"

#include <stdio.h>

#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define ZEROS_SIZE ((size_t) 64 * 1024)
#define NEW_SUFFIX ".new"

static const uint8_t zeros[ZEROS_SIZE];

/* What a new file will be. */
typedef struct NewFile
{
	uint64_t	index;
	M3LogInfo	info;
	uint64_t	size;			/* with the zeros */
	size_t		header_size;
	uint8_t		header[M3_LOG_CHUNK_HEADER_SIZE + M3_LOG_INFO_MAX_SIZE];
	char		path[M3_LOG_PATH_SIZE];
	char		new_path[M3_LOG_PATH_SIZE + sizeof(NEW_SUFFIX)];
} NewFile;

M3Status
m3i_commitlog_open_file(M3CommitLog *log, M3Error *err)
{
	M3Env	   *env = log->env;
	uint64_t	index = m3i_load(&log->shared->active_index);
	char		path[M3_LOG_PATH_SIZE];

	if (index == M3_COMMITLOG_NO_INDEX)
		return m3_error(err, M3_NOT_READY, "no commit log is active");
	if (log->file != NULL && log->file_index == index)
		return M3_OK;
	env->close(env, log->file);
	log->file = NULL;
	M3_TRY(m3_log_path(path, sizeof(path), log->root_path, index, err));
	M3_TRY(env->open(env, path, M3_OPEN_WRITE, &log->file, err));
	log->file_index = index;
	return M3_OK;
}

static M3Status
write_zeros(M3Env *env, M3File *file, uint64_t start, uint64_t end, M3Error *err)
{
	while (start < end)
	{
		size_t		size = end - start < ZEROS_SIZE ? (size_t) (end - start) : ZEROS_SIZE;

		M3_TRY(env->write(env, file, zeros, size, start, err));
		start += size;
	}
	return M3_OK;
}

M3Status
m3i_commitlog_extend(M3CommitLog *log, uint64_t end, M3Error *err)
{
	M3Env	   *env = log->env;
	uint64_t	allocated = log->shared->allocated_size;
	uint64_t	ahead = end + log->settings->preallocate_size;
	M3Status	status = write_zeros(env, log->file, allocated, ahead, err);

	if (status != M3_OK && ahead > end)
	{
		ahead = end;
		status = write_zeros(env, log->file, allocated, ahead, err);
	}
	if (status == M3_OK)
		m3i_store(&log->shared->allocated_size, ahead);
	else
		/* others may be glad of the space; zeros there do no harm */
		(void) env->truncate(env, log->file, allocated, NULL);
	return status;
}

M3Status
m3_commitlog_extend_ahead(M3CommitLog *log, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	uint64_t	step = log->settings->preallocate_size;
	uint64_t	target = 0;
	M3Status	status = M3_OK;
	bool		more = true;

	while (more && status == M3_OK)
	{
		uint64_t	used;
		uint64_t	piece;

		more = false;
		env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
		used = m3i_load(&shared->inserted) - shared->base_lsn;
		if (target == 0 && shared->allocated_size - used < step / 2)
			target = used + step;
		if (shared->active_index != M3_COMMITLOG_NO_INDEX &&
			shared->allocated_size < target && target - used <= step)
			status = m3i_commitlog_open_file(log, err);
		else
			target = 0;
		if (target != 0 && status == M3_OK)
		{
			piece = target - shared->allocated_size;
			if (piece > 4 * ZEROS_SIZE)
				piece = 4 * ZEROS_SIZE;
			status = write_zeros(env, log->file, shared->allocated_size,
								 shared->allocated_size + piece, err);
			if (status == M3_OK)
				m3i_store(&shared->allocated_size, shared->allocated_size + piece);
			more = true;
		}
		env->unlock(env, log->flush_lock);
	}
	return status;
}

/* Headers */

static void
describe_window(M3LogInfo *info, uint64_t index, int64_t now_ns, int64_t window_ns)
{
	info->start_ns = m3_block_start(now_ns, window_ns);
	info->duration_ns = window_ns;
	info->index = (int64_t) index;
}

static size_t
put_header(uint8_t *out, const M3LogInfo *info)
{
	uint8_t    *payload = out + M3_LOG_CHUNK_HEADER_SIZE;
	size_t		size = (size_t) (m3_log_put_info(payload, info) - payload);

	m3_log_put_chunk_header(out, payload, size);
	return M3_LOG_CHUNK_HEADER_SIZE + size;
}

/* Creation */

/* The first index from index on whose name is free. */
static M3Status
choose_name(M3CommitLog *log, uint64_t index, NewFile *file, M3Error *err)
{
	M3Env	   *env = log->env;

	for (;; index++)
	{
		M3File	   *existing = NULL;
		M3Status	status;

		if (index > INT64_MAX)
			return m3_error(err, M3_FULL, "no commit log index is left");
		M3_TRY(m3_log_path(file->path, sizeof(file->path), log->root_path, index, err));
		status = env->open(env, file->path, M3_OPEN_READ, &existing, err);
		if (status == M3_NOT_FOUND)
			break;
		M3_TRY(status);
		env->close(env, existing);
	}
	file->index = index;
	snprintf(file->new_path, sizeof(file->new_path), "%s" NEW_SUFFIX, file->path);
	return M3_OK;
}

static M3Status
fill_new_file(M3CommitLog *log, const NewFile *file, M3Error *err)
{
	M3Env	   *env = log->env;
	M3File	   *handle;
	M3Status	status;

	M3_TRY(env->open(env, file->new_path, M3_OPEN_CREATE, &handle, err));
	status = env->write(env, handle, file->header, file->header_size, 0, err);
	if (status == M3_OK)
		status = write_zeros(env, handle, file->header_size, file->size, err);
	if (status == M3_OK)
		status = env->sync(env, handle, err);
	env->close(env, handle);
	return status;
}

static M3Status
sync_log_directory(M3CommitLog *log, M3Error *err)
{
	char		directory[M3_LOG_PATH_SIZE];

	snprintf(directory, sizeof(directory), "%.*s/" M3_LOG_DIRECTORY,
			 (int) (sizeof(directory) - sizeof(M3_LOG_DIRECTORY) - 1), log->root_path);
	return log->env->sync_directory(log->env, directory, err);
}

/* Makes a log of index or the next free one, durably; nothing remains if it fails. */
static M3Status
create_file(M3CommitLog *log, uint64_t index, int64_t now_ns, NewFile *file, M3Error *err)
{
	M3Env	   *env = log->env;
	M3Status	status;

	M3_TRY(choose_name(log, index, file, err));
	describe_window(&file->info, file->index, now_ns, log->settings->window_ns);
	file->header_size = put_header(file->header, &file->info);
	file->size = file->header_size + log->settings->preallocate_size;
	status = fill_new_file(log, file, err);
	if (status == M3_OK)
		status = env->rename(env, file->new_path, file->path, err);
	if (status != M3_OK)
	{
		(void) env->unlink(env, file->new_path, NULL);
		return status;
	}
	status = sync_log_directory(log, err);
	if (status != M3_OK)
		(void) env->unlink(env, file->path, NULL);
	return status;
}

/* FLUSH held, everything drained and durable: appends go to file from now on. */
static void
activate(M3CommitLog *log, const NewFile *file)
{
	M3CommitLogShared *shared = log->shared;
	uint64_t	base = shared->inserted;

	m3i_store(&shared->base_lsn, base);
	shared->window_start_ns = file->info.start_ns;
	m3i_store((uint64_t *) &shared->window_end_ns,
			  (uint64_t) (file->info.start_ns + file->info.duration_ns));
	m3i_store(&shared->allocated_size, file->size);
	m3i_store(&shared->active_groups, 0);
	m3i_store(&shared->inserted, base + file->header_size);
	m3i_store(&shared->written, base + file->header_size);
	m3i_store(&shared->flushed, base + file->header_size);
	m3i_store(&shared->active_index, file->index);
}

/* Remembers one file that a crash left half-made. */
static M3Status
find_half_made(void *context, const char *name, bool is_directory)
{
	char	   *found = context;
	size_t		length = strlen(name);
	size_t		suffix = strlen(".db" NEW_SUFFIX);

	if (!is_directory && length > suffix && length < M3_LOG_PATH_SIZE &&
		strcmp(name + length - suffix, ".db" NEW_SUFFIX) == 0)
		memcpy(found, name, length + 1);
	return M3_OK;
}

static M3Status
remove_half_made(M3CommitLog *log, const char *directory, M3Error *err)
{
	M3Env	   *env = log->env;
	char		name[M3_LOG_PATH_SIZE];
	char		path[2 * M3_LOG_PATH_SIZE];

	for (;;)
	{
		name[0] = '\0';
		M3_TRY(env->list(env, directory, find_half_made, name, err));
		if (name[0] == '\0')
			return M3_OK;
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		M3_TRY(env->unlink(env, path, err));
	}
}

static M3Status
make_directory(M3CommitLog *log, M3Error *err)
{
	M3Env	   *env = log->env;
	char		path[M3_LOG_PATH_SIZE];
	int			length = snprintf(path, sizeof(path), "%s/" M3_LOG_DIRECTORY, log->root_path);

	if (length < 0 || (size_t) length >= sizeof(path))
		return m3_error(err, M3_INVALID, "path of the commit log is too long");
	M3_TRY(env->make_directory(env, path, err));
	M3_TRY(remove_half_made(log, path, err));
	return env->sync_directory(env, log->root_path, err);
}

M3Status
m3_commitlog_start(M3CommitLog *log, uint64_t next_index, int64_t now_ns, M3Error *err)
{
	M3Env	   *env = log->env;
	NewFile		file;

	if (m3_commitlog_active_index(log) != M3_COMMITLOG_NO_INDEX)
		return m3_error(err, M3_CONFLICT, "a commit log is active already");
	M3_TRY(make_directory(log, err));
	M3_TRY(create_file(log, next_index, now_ns, &file, err));
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	activate(log, &file);
	env->unlock(env, log->flush_lock);
	return M3_OK;
}

/* Rotation and end */

/* FLUSH held: everything into the file and durable, and no zeros behind it. */
static M3Status
finish_file(M3CommitLog *log, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	uint64_t	size;

	M3_TRY(m3i_commitlog_open_file(log, err));
	m3i_commitlog_drain(log);
	size = shared->inserted - shared->base_lsn;
	M3_TRY(env->truncate(env, log->file, size, err));
	m3i_store(&shared->allocated_size, size);
	m3i_commitlog_sync_file(log);
	return M3_OK;
}

M3Status
m3_commitlog_rotate(M3CommitLog *log, int64_t now_ns, uint64_t *new_index, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	M3Status	status;
	NewFile		file;

	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		return m3_error(err, M3_NOT_READY, "no commit log is active");
	M3_TRY(create_file(log, shared->active_index + 1, now_ns, &file, err));
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	status = finish_file(log, err);
	if (status == M3_OK)
	{
		activate(log, &file);
		m3i_add(&shared->rotations, 1);
	}
	env->unlock(env, log->flush_lock);
	if (status != M3_OK)
	{
		/* a log that holds its header only does no harm either */
		(void) env->unlink(env, file.path, NULL);
		return status;
	}
	if (new_index != NULL)
		*new_index = file.index;
	return M3_OK;
}

M3Status
m3_commitlog_stop(M3CommitLog *log, M3Error *err)
{
	M3Env	   *env = log->env;
	M3Status	status = M3_OK;

	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		return M3_OK;
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	status = finish_file(log, err);
	if (status == M3_OK)
		m3i_store(&log->shared->active_index, M3_COMMITLOG_NO_INDEX);
	env->unlock(env, log->flush_lock);
	if (status == M3_OK)
	{
		env->close(env, log->file);
		log->file = NULL;
	}
	return status;
}

static bool
window_has_passed(const M3CommitLog *log, int64_t now_ns)
{
	return now_ns >= (int64_t) m3i_load((const uint64_t *) &log->shared->window_end_ns);
}

bool
m3_commitlog_rotation_due(const M3CommitLog *log, int64_t now_ns)
{
	const M3CommitLogShared *shared = log->shared;
	uint64_t	max_size = log->settings->max_size;
	uint64_t	base;

	if (m3i_load(&shared->active_index) == M3_COMMITLOG_NO_INDEX ||
		m3i_load(&shared->active_groups) == 0)
		return false;
	base = m3i_load(&shared->base_lsn);
	return window_has_passed(log, now_ns) ||
		(max_size > 0 && m3i_load(&shared->inserted) - base >= max_size);
}

/* A log that waited for its first group over the end of its window: the
 * header is written again in place, durable with that group. */
static M3Status
stamp_again(M3CommitLog *log, int64_t now_ns, M3Error *err)
{
	M3CommitLogShared *shared = log->shared;
	M3Env	   *env = log->env;
	M3LogInfo	info;
	uint8_t		header[M3_LOG_CHUNK_HEADER_SIZE + M3_LOG_INFO_MAX_SIZE];
	size_t		size;
	M3Status	status;

	describe_window(&info, shared->active_index, now_ns, log->settings->window_ns);
	size = put_header(header, &info);
	if (size != shared->inserted - shared->base_lsn)
		return m3_commitlog_rotate(log, now_ns, NULL, err);
	env->lock(env, log->flush_lock, M3_LOCK_EXCLUSIVE);
	status = m3i_commitlog_open_file(log, err);
	if (status == M3_OK)
		status = env->write(env, log->file, header, size, 0, err);
	if (status == M3_OK)
	{
		shared->window_start_ns = info.start_ns;
		m3i_store((uint64_t *) &shared->window_end_ns,
				  (uint64_t) (info.start_ns + info.duration_ns));
	}
	env->unlock(env, log->flush_lock);
	return status;
}

M3Status
m3_commitlog_ready(M3CommitLog *log, int64_t now_ns, M3Error *err)
{
	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		return m3_error(err, M3_NOT_READY, "no commit log is active");
	if (m3_commitlog_rotation_due(log, now_ns))
		return m3_commitlog_rotate(log, now_ns, NULL, err);
	if (log->shared->active_groups == 0 && window_has_passed(log, now_ns))
		return stamp_again(log, now_ns, err);
	return M3_OK;
}
