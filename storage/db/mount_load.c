/*
 * A mounted directory on the way into memory, whole or what has changed of it.
 */
#include "storage/db/mount_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/fileset_cache.h"
#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Filesets looked at for a namespace's block size, should they be damaged. */
#define MAX_HEADERS 16

/* --- namespaces --------------------------------------------------------- */

/* The newest complete fileset of a namespace before another one; NULL if there is none. */
static const M3FilesetListed *
newest_before(const M3MountView *view, const char *name, const M3FilesetName *before,
			  const M3MountShard **holder)
{
	const M3FilesetListed *newest = NULL;

	for (size_t i = 0; i < view->shard_count; i++)
	{
		const M3MountShard *shard = &view->shards[i];

		if (strcmp(shard->namespace_name, name) != 0)
			continue;
		for (size_t j = shard->list.count; j > 0; j--)
		{
			const M3FilesetListed *listed = &shard->list.filesets[j - 1];

			if (newest != NULL && m3_fileset_name_compare(&listed->name, &newest->name) <= 0)
				break;
			if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT) ||
				(before != NULL && m3_fileset_name_compare(&listed->name, before) >= 0))
				continue;
			newest = listed;
			*holder = shard;
			break;
		}
	}
	return newest;
}

static bool
is_block_size(int64_t size_ns)
{
	M3NamespaceOptions options;

	m3_namespace_options_default(&options);
	options.block_size_ns = size_ns;
	options.buffer_past_ns = options.buffer_future_ns = 0;
	return m3_namespace_options_validate(&options, NULL) == M3_OK;
}

/* That of the newest sound fileset; 0 if there is none. */
static int64_t
find_block_size(const M3Mount *mount, const M3MountView *view, const char *name)
{
	const M3MountShard *shard = NULL;
	const M3FilesetListed *listed = NULL;

	for (int i = 0; i < MAX_HEADERS; i++)
	{
		M3Env	   *env = mount->db->env;
		char		directory[M3_FILESET_PATH_SIZE];
		M3FilesetHeader header;

		listed = newest_before(view, name, listed == NULL ? NULL : &listed->name, &shard);
		if (listed == NULL)
			return 0;
		if (m3_fileset_shard_directory(directory, mount->db->path, shard->kind,
									   m3_slice_cstr(name), shard->shard, NULL) == M3_OK &&
			m3_fileset_read_header(env, directory, &listed->name, &header, NULL) == M3_OK &&
			is_block_size(header.info.block_size_ns))
			return header.info.block_size_ns;
	}
	return 0;
}

/* A registry of ours, if there is a sound one. */
static M3Status
read_registry(M3Mount *mount, M3Error *err)
{
	M3Database *db = mount->db;
	M3Status	status = m3i_registry_read(db, err);

	mount->registered = 0;
	if (status == M3_CORRUPT || status == M3_UNSUPPORTED || status == M3_INVALID)
	{
		m3i_bootstrap_report(&mount->bootstrap, "the registry of namespaces is not used: %s",
							 err->message);
		m3i_namespaces_drop(db);
		status = M3_OK;
	}
	M3_TRY(status);
	for (M3Ref ref = db->root->first_namespace; ref != 0; mount->registered++)
	{
		M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		ns->options.retention_period_ns = 0;
		ns->options.cache_policy = M3_CACHE_NONE;
		ref = ns->next;
	}
	if (!db->root->has_options)
		db->root->options = (M3RootOptions) {.shard_count = 1};
	db->root->has_options = true;
	return M3_OK;
}

static M3Status
add_namespaces(M3Mount *mount, const M3MountView *view, M3Error *err)
{
	for (int kind = 0; kind < 2; kind++)
	{
		for (size_t i = 0; i < view->names[kind].count; i++)
		{
			const char *name = view->names[kind].names[i];
			int64_t		size_ns;
			M3Ref		ref;

			if (m3i_bootstrap_find_namespace(&mount->bootstrap, m3_slice_cstr(name)) != 0)
				continue;
			size_ns = find_block_size(mount, view, name);
			M3_TRY(m3i_bootstrap_namespace(&mount->bootstrap, m3_slice_cstr(name),
										   size_ns == 0 ? M3_MOUNT_BLOCK_SIZE_NS : size_ns, &ref,
										   err));
		}
	}
	return M3_OK;
}

bool
m3i_mount_is_resized(M3Mount *mount, const M3MountView *view)
{
	M3Database *db = mount->db;
	uint32_t	number = 0;

	for (M3Ref ref = db->root->first_namespace; ref != 0; number++)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
		int64_t		size_ns = number < mount->registered ? 0 :
			find_block_size(mount, view, (const char *) ns->name);

		if (size_ns != 0 && size_ns != ns->options.block_size_ns)
			return true;
		ref = ns->next;
	}
	return false;
}

/* --- filesets ----------------------------------------------------------- */

static M3Status
put_shard(M3Mount *mount, const M3MountShard *shard, bool is_gone, const M3FilesetList *before,
		  M3Error *err)
{
	M3Bootstrap *b = &mount->bootstrap;
	M3Database *db = b->db;
	M3Ref		ref = m3i_bootstrap_find_namespace(b, m3_slice_cstr(shard->namespace_name));
	M3BootstrapShard *put;

	if (ref == 0 || ((M3NamespaceShared *) m3_arena_at(db->arena, ref))->dropped)
		return M3_OK;
	if (shard->shard >= M3_MOUNT_MAX_SHARDS)
	{
		m3i_bootstrap_report(b, "shard %" PRIu32 " of namespace \"%s\" is left out: there cannot "
							 "be so many", shard->shard, shard->namespace_name);
		return M3_OK;
	}
	M3_TRY(m3i_blocks_set_shard_count(db, shard->shard + 1, err));
	put = m3i_bootstrap_add_shard(b, err);
	if (put == NULL)
		return M3_NO_MEMORY;
	put->kind = shard->kind;
	put->namespace_ref = ref;
	put->shard = shard->shard;
	put->borrowed = true;
	put->before = before;
	if (!is_gone)
		put->list = shard->list;
	return M3_OK;
}

/* What m3i_bootstrap_list does for other roots. */
static M3Status
put_shards(M3Mount *mount, const M3MountView *loaded, const M3MountView *view, M3MountPlan plan,
		   M3Error *err)
{
	bool		is_whole = (plan & M3_MOUNT_ALL) != 0;

	for (size_t i = 0; i < view->shard_count; i++)
	{
		const M3MountShard *shard = &view->shards[i];
		const M3MountShard *was = is_whole || shard->kind != M3_FILESET_KIND_DATA ? NULL :
			m3i_mount_shard(loaded, shard->kind, shard->namespace_name, shard->shard);

		M3_TRY(put_shard(mount, shard, false, was == NULL ? NULL : &was->list, err));
	}
	for (size_t i = 0; i < loaded->shard_count && !is_whole; i++)
	{
		const M3MountShard *was = &loaded->shards[i];

		if (was->kind == M3_FILESET_KIND_DATA &&
			m3i_mount_shard(view, was->kind, was->namespace_name, was->shard) == NULL)
			M3_TRY(put_shard(mount, was, true, &was->list, err));
	}
	return M3_OK;
}

M3Status
m3i_mount_look_again(M3Database *db, M3NamespaceShared *ns, uint32_t shard, int64_t start_ns,
					 M3Error *err)
{
	M3Memory   *memory = db->engine->memory;
	char		directory[M3_FILESET_PATH_SIZE];
	/* without a look at its index: there may be series in it that are not known yet */
	M3BlockShared block = {.start_ns = start_ns,.points = M3_POINTS_UNKNOWN};
	M3FilesetHeader header;
	M3FilesetName name;
	M3FilesetList list;
	M3Status	status;

	M3_TRY(m3_fileset_shard_directory(directory, db->path, M3_FILESET_KIND_DATA,
									  m3_slice(ns->name, ns->name_size), shard, err));
	M3_TRY(m3_fileset_list(db->env, memory, directory, &list, err));
	status = m3_fileset_choose(db->env, directory, &list, start_ns, &name, &header, NULL, err);
	m3_fileset_list_free(&list);
	if (status == M3_NOT_FOUND ||
		(status == M3_OK && header.info.block_size_ns != ns->options.block_size_ns))
	{
		m3i_blocks_remove(db, ns, shard, start_ns);
		return M3_OK;
	}
	M3_TRY(status);
	block.volume = name.volume;
	block.series_count = (uint64_t) header.info.entry_count;
	M3_TRY(m3i_blocks_reserve(db, ns, shard, err));
	(void) m3i_blocks_put(db, ns, shard, &block, m3i_generation(ns));
	return M3_OK;
}

/* --- buffers ------------------------------------------------------------ */

static void
empty_series(M3Database *db, M3Ref ref, M3WriteEffect *effect)
{
	M3Series   *series = m3_arena_at(db->arena, ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);

	db->env->lock(db->env, lock, M3_LOCK_EXCLUSIVE);
	m3_series_void(db->arena, db->env, series, UINT64_MAX, effect);
	db->env->unlock(db->env, lock);
}

/* Everything that came from snapshots and logs is gone; series stay. */
static void
empty_buffers(M3Database *db)
{
	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
		M3WriteEffect effect = {0};
		M3Ref		list[M3_SERIES_CHUNK];
		uint32_t	count;

		for (uint32_t first = 0; (count = m3i_series_chunk(db, ns, first, list)) > 0;
			 first += count)
		{
			for (uint32_t i = 0; i < count; i++)
			{
				if (list[i] != 0)
					empty_series(db, list[i], &effect);
			}
		}
		m3i_namespace_count_write(db, ns, &effect, INT64_MAX, INT64_MIN);
		ref = ns->next;
	}
}

static M3Status
replay_all(M3Mount *mount, bool is_whole, M3Error *err)
{
	M3Bootstrap *b = &mount->bootstrap;

	if (!is_whole)
		empty_buffers(b->db);
	m3i_bootstrap_phase(b, "reading snapshots");
	M3_TRY(m3i_bootstrap_snapshots(b, err));
	m3i_bootstrap_phase(b, "checking logs");
	M3_TRY(m3i_bootstrap_check_logs(b, err));
	m3i_bootstrap_phase(b, "replaying logs");
	M3_TRY(m3i_bootstrap_replay_logs(b, err));
	mount->first_log = b->first_log;
	mount->groups = b->groups;
	mount->voids = b->voids;
	return M3_OK;
}

/* Only groups behind what was replayed.  If some before that were taken back since, all of
 * it has to be done again. */
static M3Status
replay_tails(M3Mount *mount, const M3MountView *loaded, M3Error *err)
{
	M3Bootstrap *b = &mount->bootstrap;
	M3BootstrapLogEnd *ends = m3_alloc(b->memory, (loaded->log_count + 1) * sizeof(*ends));
	size_t		count = 0;
	M3Status	status;

	if (ends == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < loaded->log_count; i++)
	{
		const M3MountLog *log = &loaded->logs[i];

		if (log->has_index)
			ends[count++] = (M3BootstrapLogEnd) {log->log_index, log->valid_size};
	}
	b->replayed = ends;
	b->replayed_count = count;
	b->first_log = mount->first_log;
	M3_GOTO(m3i_bootstrap_check_logs(b, err));
	M3_GOTO(m3i_bootstrap_replay_logs(b, err));
	mount->buffers_wanted = b->groups != mount->groups;
	mount->groups = b->groups + b->new_groups;
	mount->voids += b->voids;
done:
	m3_free(b->memory, ends);
	b->replayed = NULL;
	return status;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
load(M3Mount *mount, const M3MountView *loaded, M3MountView *view, M3MountPlan plan, M3Error *err)
{
	M3Bootstrap *b = &mount->bootstrap;
	bool		is_whole = (plan & M3_MOUNT_ALL) != 0;
	bool		with_logs = plan != M3_MOUNT_FILES;

	if (is_whole)
		M3_TRY(read_registry(mount, err));
	M3_TRY(add_namespaces(mount, view, err));
	if (with_logs)
		M3_TRY(m3i_bootstrap_open_logs(b, err));
	M3_TRY(put_shards(mount, loaded, view, plan, err));
	if ((plan & (M3_MOUNT_ALL | M3_MOUNT_FILES)) != 0)
	{
		m3i_bootstrap_phase(b, "reading filesets");
		M3_TRY(m3i_bootstrap_filesets(b, err));
	}
	if (!with_logs)
		return M3_OK;
	if ((plan & (M3_MOUNT_ALL | M3_MOUNT_BUFFERS)) != 0)
		M3_TRY(replay_all(mount, is_whole, err));
	else
		M3_TRY(replay_tails(mount, loaded, err));
	return m3i_mount_note_logs(view, mount->memory, b->set, err);
}

M3Status
m3i_mount_load(M3Mount *mount, const M3MountView *loaded, M3MountView *view, M3MountPlan plan,
			   M3Error *err)
{
	M3Database *db = mount->db;
	M3Bootstrap *b = &mount->bootstrap;

	mount->is_loading = true;
	mount->is_loaded = false;
	mount->buffers_wanted = false;
	if ((plan & M3_MOUNT_ALL) != 0)
	{
		m3_bootstrap_reset(db);
		m3i_fileset_cache_free(db->filesets);
		db->filesets = NULL;
		M3_TRY(m3i_bootstrap_start(b, db, &mount->hooks, err));
	}
	else
		m3i_bootstrap_continue(b, db, &mount->hooks);
	M3_TRY(m3i_bootstrap_finish(b, load(mount, loaded, view, plan, err), err));
	mount->is_loading = false;
	mount->is_loaded = true;
	return M3_OK;
}
