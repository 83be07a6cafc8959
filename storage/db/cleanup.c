/*
 * Cleanup: removes what nobody needs any more (spec/lifecycle.md 6, with OURS).
 *
 *   snapshots  filesets of other runs than the newest published one's, or unreadable
 *   metadata   of other runs
 *   logs       below the first one that the newest run does not cover
 *   data       filesets out of retention, volumes that were replaced
 *
 * The first three go in that order, each only if the one before it has gone: a snapshot that
 * outlives the logs behind it could bring old values back.  A run that a bootstrap found
 * damaged covers nothing; the logs stay until there is another.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/db/jobs_private.h"
#include "storage/db/sweep.h"
#include "storage/fileset/metadata.h"
#include "storage/log/scan.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

typedef struct Cleanup
{
	M3Sweep		sweep;
	M3CleanupResult *result;
	const M3SnapshotMetadataEntry *snapshot;	/* the newest */
	uint64_t	first_kept;		/* log */
	/* the namespace at work */
	M3NamespaceShared *ns;
	int64_t		first_retained_ns;
	M3BlockList blocks;			/* of the shard at work */
} Cleanup;

/* Directories with other numbers are none of ours. */
static bool
is_our_shard(const Cleanup *c, const M3SweepShard *shard)
{
	return shard->shard < c->sweep.db->root->options.shard_count;
}

/* --- snapshots ---------------------------------------------------------- */

static M3Status
is_other_run(void *context, const M3SweepShard *shard, const M3FilesetListed *listed, bool *gone,
			 M3Error *err)
{
	const Cleanup *c = context;
	M3FilesetHeader header;
	M3Status	status;

	if (!is_our_shard(c, shard))
		return M3_OK;
	status = m3_fileset_read_header(c->sweep.db->env, shard->directory, &listed->name, &header,
									err);
	if (status == M3_IO || status == M3_NO_MEMORY)
		return status;
	*gone = status != M3_OK || !header.info.has_snapshot_id ||
		memcmp(header.info.snapshot_id, c->snapshot->name.uuid, M3_FILESET_UUID_SIZE) != 0;
	return M3_OK;
}

static M3Status
clean_snapshots(Cleanup *c, M3Error *err)
{
	M3Database *db = c->sweep.db;
	uint64_t	before = c->sweep.filesets;
	M3Ref	   *refs;
	size_t		count;
	M3Status	first = M3_OK;

	M3_TRY(m3i_namespace_refs(db, false, &refs, &count, err));
	for (size_t i = 0; i < count; i++)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, refs[i]);
		M3Status	status = m3i_sweep_namespace(&c->sweep, M3_FILESET_KIND_SNAPSHOT,
												 m3_slice(ns->name, ns->name_size), NULL,
												 is_other_run, c, m3i_first_error(first, err));

		if (first == M3_OK)
			first = status;
	}
	m3_free(db->engine->memory, refs);
	c->result->snapshots = c->sweep.filesets - before;
	return first;
}

/* --- metadata ----------------------------------------------------------- */

static M3Status
clean_metadata(Cleanup *c, const M3SnapshotMetadataList *list, M3Error *err)
{
	M3Database *db = c->sweep.db;
	M3SnapshotMetadataName *names;
	size_t		count = 0;
	M3Status	status;

	if (list->count < 2)
		return M3_OK;
	names = m3_alloc(db->engine->memory, list->count * sizeof(*names));
	if (names == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < list->count; i++)
	{
		if (&list->entries[i] != c->snapshot)
			names[count++] = list->entries[i].name;
	}
	m3i_sweep_begin(&c->sweep, "");
	status = m3_snapshot_metadata_remove(db->env, db->path, names, count, err);
	if (status == M3_OK)
		c->result->metadata = count;
	m3_free(db->engine->memory, names);
	return status;
}

/* --- logs --------------------------------------------------------------- */

/* The number in a log's name; false if it has none that says anything. */
static bool
number_of_name(const char *name, uint64_t *number)
{
	static const char prefix[] = "commitlog-0-";
	const char *end;
	int64_t		value;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 ||
		!m3_fileset_parse_decimal(name + sizeof(prefix) - 1, &end, &value) ||
		strcmp(end, ".db") != 0)
		return false;
	*number = (uint64_t) value;
	return true;
}

/* One whose header cannot be read may be a log that is just being opened; these have
 * numbers from the active one's on.  *index is what counts as the log's. */
static bool
is_old_log(const Cleanup *c, const M3LogFile *file, uint64_t active, uint64_t *index)
{
	*index = file->has_info ? (uint64_t) file->info.index : UINT64_MAX;
	if (!file->has_info && !number_of_name(file->name, index))
		return false;
	if (*index >= active)
		return false;
	return *index < c->first_kept || (!file->has_info && file->is_blank);
}

static M3Status
remove_log(Cleanup *c, const M3LogFile *file, M3Error *err)
{
	M3Database *db = c->sweep.db;
	char		path[M3_LOG_PATH_SIZE];
	int			length = snprintf(path, sizeof(path), "%s/" M3_LOG_DIRECTORY "/%s", db->path,
								  file->name);
	M3Status	status;

	if (length < 0 || (size_t) length >= sizeof(path))
		return m3_error(err, M3_INVALID, "path of the commit log is too long");
	m3i_sweep_begin(&c->sweep, file->name);
	status = db->env->unlink(db->env, path, err);
	if (status != M3_OK && status != M3_NOT_FOUND)
		return status;
	c->result->logs++;
	c->sweep.bytes += file->size;
	return M3_OK;
}

/* In their order, and none after one that could not be: what is left is the end of it. */
static M3Status
remove_logs(Cleanup *c, const M3LogSet *set, uint64_t active, uint64_t *lowest, M3Error *err)
{
	M3Status	status = M3_OK;

	*lowest = active;
	for (size_t i = 0; i < m3_log_set_count(set); i++)
	{
		const M3LogFile *file = m3_log_set_file(set, i);
		uint64_t	index;
		bool		old = is_old_log(c, file, active, &index);

		if (old && status == M3_OK)
			status = remove_log(c, file, err);
		if ((!old || status != M3_OK) && index < *lowest)
			*lowest = index;
	}
	return status;
}

static M3Status
clean_logs(Cleanup *c, M3Error *err)
{
	M3Database *db = c->sweep.db;
	char		directory[M3_LOG_PATH_SIZE];
	uint64_t	active;
	uint64_t	lowest;
	M3LogSet   *set;
	M3Status	status;

	M3_TRY(m3_log_set_open(db->env, db->engine->memory, db->path, &set, err));
	/* asked for after the files, and it only grows: a file below it is not active */
	active = __atomic_load_n(&db->root->log.active_index, __ATOMIC_ACQUIRE);
	if (active == M3_COMMITLOG_NO_INDEX)
		active = db->root->next_log_index;
	status = remove_logs(c, set, active, &lowest, err);
	m3_log_set_close(set);
	if (c->result->logs > 0)
	{
		M3Status	synced;

		snprintf(directory, sizeof(directory), "%s/" M3_LOG_DIRECTORY, db->path);
		synced = db->env->sync_directory(db->env, directory, m3i_first_error(status, err));
		if (status == M3_OK)
			status = synced;
	}
	if (status == M3_OK)
		db->root->first_log = lowest;
	__atomic_fetch_add(&db->root->jobs.logs_removed, c->result->logs, __ATOMIC_RELAXED);
	return status;
}

/* --- what the newest snapshot covers ------------------------------------ */

/*
 * The first log that is needed: the newest run's, unless an earlier one holds a batch that
 * is not published, or says of files that are still there that they are void.  The run
 * has seen to that itself; this is for what came since.
 */
static uint64_t
first_needed_log(const Cleanup *c)
{
	M3Database *db = c->sweep.db;
	uint64_t	first = (uint64_t) c->snapshot->log_index;
	/* asked for first: a void is pending before its batch is published */
	uint64_t	unpublished = m3i_first_unpublished_log(db);

	if (unpublished < first)
		first = unpublished;
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		if (ns->purge_pending && ns->purge.log_index < first)
			first = ns->purge.log_index;
		ref = ns->next;
	}
	db->env->unlock(db->env, m3i_lock_names(db));
	return first;
}

static M3Status
clean_covered(Cleanup *c, const M3SnapshotMetadataList *list, M3Error *err)
{
	M3_TRY(clean_snapshots(c, err));
	M3_TRY(clean_metadata(c, list, err));
	c->sweep.db->env->yield(c->sweep.db->env);
	return clean_logs(c, err);
}

/* The snapshot to go by; NULL if there is none that may be relied on. */
static const M3SnapshotMetadataEntry *
usable_snapshot(const M3Database *db, const M3SnapshotMetadataList *list)
{
	const M3SnapshotMetadataEntry *newest = m3_snapshot_metadata_newest(list);
	uint64_t	known = __atomic_load_n(&db->root->jobs.snapshot_log_index, __ATOMIC_RELAXED);

	if (newest == NULL || m3_snapshot_metadata_ambiguous(list) || newest->log_index < 0 ||
		(uint64_t) newest->log_index != known)
		return NULL;
	return newest;
}

static M3Status
clean_by_snapshot(Cleanup *c, M3Error *err)
{
	M3Database *db = c->sweep.db;
	M3RootShared *root = db->root;
	uint64_t	taken = __atomic_load_n(&root->jobs.snapshots_taken, __ATOMIC_RELAXED) + 1;
	uint64_t	known = __atomic_load_n(&root->jobs.snapshot_log_index, __ATOMIC_RELAXED);
	M3SnapshotMetadataList list;
	M3Status	status = M3_OK;

	/* all that was there to be done has been done */
	if (known == UINT64_MAX ||
		(root->cleaned_snapshots == taken && root->cleaned_log_index == known))
		return M3_OK;
	M3_TRY(m3_snapshot_metadata_list(db->env, db->engine->memory, db->path, &list, err));
	c->snapshot = usable_snapshot(db, &list);
	if (c->snapshot != NULL)
	{
		c->first_kept = first_needed_log(c);
		status = clean_covered(c, &list, err);
	}
	if (c->snapshot != NULL && status == M3_OK)
	{
		root->cleaned_snapshots = taken;
		root->cleaned_log_index = c->first_kept;
	}
	m3_snapshot_metadata_list_free(&list);
	return status;
}

/* --- data --------------------------------------------------------------- */

static M3Status
list_blocks(void *context, const M3SweepShard *shard, M3Error *err)
{
	Cleanup    *c = context;
	M3Database *db = c->sweep.db;

	c->blocks.version = 0;
	return m3i_blocks_list(db, c->ns, shard->shard, db->engine->memory, &c->blocks, err);
}

/* The block's volume in the table; -1 if it has none. */
static int64_t
current_volume(const M3BlockList *list, int64_t start_ns)
{
	const M3BlockShared *block = m3i_block_list_find(list, start_ns);

	return block == NULL ? -1 : block->volume;
}

/*
 * Out of retention, or below the volume that counts, whether finished or not.  A volume that
 * was replaced while it could not be read is left for somebody to look at.
 */
static M3Status
is_superfluous(void *context, const M3SweepShard *shard, const M3FilesetListed *listed,
			   bool *gone, M3Error *err)
{
	const Cleanup *c = context;
	M3FilesetHeader header;
	M3Status	status;

	*gone = is_our_shard(c, shard) && listed->name.block_start_ns < c->first_retained_ns;
	if (*gone || listed->name.volume >= current_volume(&c->blocks, listed->name.block_start_ns))
		return M3_OK;
	status = m3_fileset_read_header(c->sweep.db->env, shard->directory, &listed->name, &header,
									err);
	if (status == M3_IO || status == M3_NO_MEMORY)
		return status;
	*gone = status == M3_OK || status == M3_NOT_FOUND;
	return M3_OK;
}

static bool
is_being_purged(M3Database *db, const M3NamespaceShared *ns)
{
	bool		pending;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	pending = ns->purge_pending;
	db->env->unlock(db->env, m3i_lock_names(db));
	return pending;
}

static M3Status
clean_namespace(Cleanup *c, M3Ref ref, int64_t now_ns, M3Error *err)
{
	M3Database *db = c->sweep.db;
	M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
	M3NamespaceOptions options = m3i_namespace_options(db, ref);
	uint64_t	version;
	M3Status	status;

	if (!options.cleanup_enabled || is_being_purged(db, ns))
		return M3_OK;
	c->ns = ns;
	c->first_retained_ns = m3i_first_retained_ns(&options, now_ns);
	/* first, so that no reader believes in what goes */
	if (c->first_retained_ns != INT64_MIN)
		(void) m3i_blocks_expire(db, ns, c->first_retained_ns);
	version = m3i_blocks_version(ns);
	if (ns->cleaned_version == version && ns->cleaned_before_ns == c->first_retained_ns)
		return M3_OK;
	status = m3i_sweep_namespace(&c->sweep, M3_FILESET_KIND_DATA,
								 m3_slice(ns->name, ns->name_size), list_blocks,
								 is_superfluous, c, err);
	if (status == M3_OK)
	{
		ns->cleaned_version = version;
		ns->cleaned_before_ns = c->first_retained_ns;
	}
	return status;
}

static M3Status
clean_data(Cleanup *c, M3Error *err)
{
	M3Database *db = c->sweep.db;
	int64_t		now_ns = db->env->now_ns(db->env);
	uint64_t	before = c->sweep.filesets;
	M3Ref	   *refs;
	size_t		count;
	M3Status	first = M3_OK;

	M3_TRY(m3i_namespace_refs(db, false, &refs, &count, err));
	for (size_t i = 0; i < count; i++)
	{
		M3Status	status = clean_namespace(c, refs[i], now_ns, m3i_first_error(first, err));

		if (first == M3_OK)
			first = status;
	}
	m3_free(db->engine->memory, refs);
	m3_free(db->engine->memory, c->blocks.blocks);
	c->result->filesets = c->sweep.filesets - before;
	return first;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
run(Cleanup *c, M3Error *err)
{
	M3Database *db = c->sweep.db;
	M3Status	first = clean_by_snapshot(c, err);
	M3Status	status = clean_data(c, m3i_first_error(first, err));

	if (first == M3_OK)
		first = status;
	status = m3i_namespaces_bury(db, db->root->first_log, m3i_first_error(first, err));
	return first == M3_OK ? status : first;
}

M3Status
m3_cleanup_run(M3Database *db, M3CleanupResult *result, M3Error *err)
{
	Cleanup		c = {.sweep = {.db = db,.job = M3_JOB_CLEANUP},.result = result};
	M3Error		own_error = {0};
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	memset(result, 0, sizeof(*result));
	M3_TRY(m3i_require_ready(db, err));
	status = run(&c, err);
	result->bytes = c.sweep.bytes;
	return m3i_sweep_end(&c.sweep, status, err);
}
