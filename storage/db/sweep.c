#include "storage/db/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* --- one job ------------------------------------------------------------ */

void
m3i_sweep_begin(M3Sweep *sweep, const char *subject)
{
	if (!sweep->begun)
		m3i_job_begin(sweep->db, sweep->job);
	sweep->begun = true;
	m3i_job_step(sweep->db, subject, sweep->filesets, 0, sweep->bytes);
}

M3Status
m3i_sweep_end(M3Sweep *sweep, M3Status status, const M3Error *err)
{
	if (status != M3_OK && !sweep->begun)
		m3i_sweep_begin(sweep, "");
	if (sweep->begun)
		m3i_job_end(sweep->db, sweep->job, status, err);
	__atomic_fetch_add(&sweep->db->root->jobs.filesets_removed, sweep->filesets,
					   __ATOMIC_RELAXED);
	return status;
}

/* --- files -------------------------------------------------------------- */

uint64_t
m3i_file_bytes(M3Database *db, const char *path)
{
	M3Env	   *env = db->env;
	uint64_t	size = 0;
	M3File	   *file;

	if (env->open(env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return 0;
	if (env->size(env, file, &size, NULL) != M3_OK)
		size = 0;
	env->close(env, file);
	return size;
}

uint64_t
m3i_fileset_bytes(M3Database *db, const char *directory, const M3FilesetListed *listed)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint64_t	bytes = 0;

	for (int i = 0; i < M3_FILESET_ALL_COUNT; i++)
	{
		if (m3_fileset_listed_has(listed, (M3FilesetFile) i) &&
			m3_fileset_path(path, directory, &listed->name, (M3FilesetFile) i, NULL) == M3_OK)
			bytes += m3i_file_bytes(db, path);
	}
	return bytes;
}

M3Status
m3i_remove_directory(M3Database *db, const char *path, bool *kept, M3Error *err)
{
	M3Error		own = {0};
	M3Status	status = db->env->remove_directory(db->env, path, &own);

	*kept = status == M3_IO && (own.sys_errno == ENOTEMPTY || own.sys_errno == EEXIST);
	if (status == M3_OK || status == M3_NOT_FOUND || *kept)
		return M3_OK;
	*kept = true;
	if (err != NULL)
		*err = own;
	return status;
}

/* --- shards ------------------------------------------------------------- */

/* Names of a shard's filesets that are to go; *names is the caller's to free. */
static M3Status
choose(M3Sweep *sweep, const M3SweepShard *shard, M3SweepFn fn, void *context,
	   M3FilesetName **names, size_t *count, uint64_t *bytes, M3Error *err)
{
	M3Database *db = sweep->db;
	M3Memory   *memory = db->engine->memory;
	M3FilesetList list;
	M3Status	first = M3_OK;

	M3_TRY(m3_fileset_list(db->env, memory, shard->directory, &list, err));
	if (list.count > 0)
		*names = m3_alloc(memory, list.count * sizeof(**names));
	if (list.count > 0 && *names == NULL)
		first = m3_error(err, M3_NO_MEMORY, "out of memory");
	for (size_t i = 0; *names != NULL && i < list.count; i++)
	{
		bool		gone = false;
		M3Status	status = fn(context, shard, &list.filesets[i], &gone,
								m3i_first_error(first, err));

		if (first == M3_OK)
			first = status;
		if (status != M3_OK || !gone)
			continue;
		(*names)[(*count)++] = list.filesets[i].name;
		*bytes += m3i_fileset_bytes(db, shard->directory, &list.filesets[i]);
	}
	m3_fileset_list_free(&list);
	return first;
}

/* Makes the names that were removed from a directory so, or removes itself. */
static M3Status
finish_directory(M3Sweep *sweep, const char *directory, bool changed, M3Error *err)
{
	M3Env	   *env = sweep->db->env;
	bool		kept;

	if (!sweep->remove_directories)
		return M3_OK;
	M3_TRY(m3i_remove_directory(sweep->db, directory, &kept, err));
	return kept && changed ? env->sync_directory(env, directory, err) : M3_OK;
}

static M3Status
sweep_shard(M3Sweep *sweep, const M3SweepShard *shard, const char *subject, M3SweepFn fn,
			void *context, M3Error *err)
{
	M3Database *db = sweep->db;
	M3FilesetName *names = NULL;
	size_t		count = 0;
	uint64_t	bytes = 0;
	M3Status	first;
	M3Status	status = M3_OK;

	first = choose(sweep, shard, fn, context, &names, &count, &bytes, err);
	if (count > 0)
	{
		m3i_sweep_begin(sweep, subject);
		status = m3_fileset_remove(db->env, shard->directory, names, count,
								   m3i_first_error(first, err));
		if (status == M3_OK)
		{
			sweep->filesets += count;
			sweep->bytes += bytes;
		}
	}
	m3_free(db->engine->memory, names);
	if (first == M3_OK)
		first = status;
	status = finish_directory(sweep, shard->directory, count > 0, m3i_first_error(first, err));
	return first == M3_OK ? status : first;
}

static void
copy_subject(char *subject, size_t size, M3Slice name)
{
	size_t		length = name.size < size ? name.size : size - 1;

	memcpy(subject, name.data, length);
	subject[length] = '\0';
}

M3Status
m3i_sweep_namespace(M3Sweep *sweep, M3FilesetKind kind, M3Slice name, M3SweepShardFn shard_fn,
					M3SweepFn fn, void *context, M3Error *err)
{
	M3Database *db = sweep->db;
	char		directory[M3_FILESET_PATH_SIZE];
	char		subject[M3_JOB_ERROR_SIZE];
	uint32_t   *shards;
	size_t		count;
	M3Status	first = M3_OK;
	M3Status	status;

	copy_subject(subject, sizeof(subject), name);
	M3_TRY(m3_fileset_list_shards(db->env, db->engine->memory, db->path, kind, name, &shards,
								  &count, err));
	for (size_t i = 0; i < count; i++)
	{
		M3SweepShard shard = {kind, shards[i], directory};

		db->env->yield(db->env);
		status = m3_fileset_shard_directory(directory, db->path, kind, name, shards[i],
											m3i_first_error(first, err));
		if (status == M3_OK && shard_fn != NULL)
			status = shard_fn(context, &shard, m3i_first_error(first, err));
		if (status == M3_OK)
			status = sweep_shard(sweep, &shard, subject, fn, context, m3i_first_error(first, err));
		if (first == M3_OK)
			first = status;
	}
	m3_free(db->engine->memory, shards);
	if (!sweep->remove_directories)
		return first;
	M3_TRY(m3_fileset_namespace_directory(directory, db->path, kind, name,
										  m3i_first_error(first, err)));
	status = finish_directory(sweep, directory, count > 0, m3i_first_error(first, err));
	return first == M3_OK ? status : first;
}
