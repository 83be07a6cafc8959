/*
 * Snapshots: all published points of the buffers to snapshot filesets, so that older
 * logs need not be kept (spec/lifecycle.md 5, with OURS).
 *
 *   rotate     under WRITE; the new log is the first one not covered, unless an older one is
 *              still needed
 *   view       taken after it: every batch of the logs below is published by then
 *   filesets   of every namespace, all durable
 *   metadata   only then, and only if nothing failed
 */
#include <stdio.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/jobs_private.h"
#include "storage/db/snapshot.h"
#include "storage/fileset/list.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/writer.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define YIELD_EVERY 256u
/* 1582-10-15 to 1970-01-01, in units of 100 ns: the epoch of version-1 UUIDs. */
#define UUID_EPOCH_OFFSET UINT64_C(0x01B21DD213814000)

typedef struct SnapshotRun
{
	M3Database *db;
	M3SnapshotResult *result;
	int64_t		now_ns;
	uint8_t		uuid[M3_FILESET_UUID_SIZE];
	uint64_t	log_index;		/* first not covered */
	uint64_t	lsn;			/* log bytes appended when it was rotated */
	M3Snapshot *view;
	M3Payload	payload;
	M3BucketRefs refs;
	M3FilesetList list;			/* of the shard at work */
} SnapshotRun;

/* --- which logs it replaces --------------------------------------------- */

/*
 * ROOT_WRITE and ROOT_NAMES held.  Decides once for the run whether it writes a namespace,
 * since options may change meanwhile.  One without snapshots is still in them while the one
 * before may hold the only copy of what it has.
 */
static bool
include(M3NamespaceShared *ns)
{
	bool		has_buckets = __atomic_load_n(&ns->block_count, __ATOMIC_RELAXED) > 0;

	if (ns->dropped || ns->purge_pending)
		return false;
	if (has_buckets && ns->options.snapshot_enabled)
		ns->in_snapshot = true;
	return ns->in_snapshot || !has_buckets;
}

/* ROOT_WRITE held: the first log that holds what this run does not write. */
static uint64_t
first_needed_log(M3Database *db)
{
	uint64_t	first = m3i_first_unpublished_log(db);

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		/* the log says that the files are void until the registry does */
		if (ns->purge_pending && ns->purge.log_index < first)
			first = ns->purge.log_index;
		if (!include(ns) && ns->unflushed_log < first)
			first = ns->unflushed_log;
		ref = ns->next;
	}
	db->env->unlock(db->env, m3i_lock_names(db));
	return first;
}

/* ROOT_WRITE held. */
static M3Status
rotate_locked(SnapshotRun *run, M3CommitLog *log, M3Error *err)
{
	M3Database *db = run->db;
	uint64_t	needed;

	if (m3_commitlog_active_index(log) == M3_COMMITLOG_NO_INDEX)
		run->log_index = db->root->next_log_index;
	else if (__atomic_load_n(&db->root->log.active_groups, __ATOMIC_RELAXED) == 0)
		run->log_index = m3_commitlog_active_index(log);	/* nothing in it to be closed */
	else
		M3_TRY(m3_commitlog_rotate(log, run->now_ns, &run->log_index, err));
	needed = first_needed_log(db);
	if (needed < run->log_index)
		run->log_index = needed;
	run->lsn = __atomic_load_n(&db->root->log.inserted, __ATOMIC_RELAXED);
	return M3_OK;
}

static M3Status
rotate(SnapshotRun *run, M3Error *err)
{
	M3Database *db = run->db;
	M3CommitLog *log;
	M3Status	status;

	M3_TRY(m3i_log_handle(db, &log, err));
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = rotate_locked(run, log, err);
	db->env->unlock(db->env, m3i_lock_write(db));
	return status;
}

/* --- filesets ----------------------------------------------------------- */

static bool
sees(const void *view, uint64_t sequence)
{
	return m3_snapshot_sees(view, sequence);
}

static M3Status
write_series(SnapshotRun *run, M3FilesetWriter *writer, const M3BucketRef *refs, size_t count,
			 M3Error *err)
{
	M3Database *db = run->db;

	for (size_t i = 0; i < count; i++)
	{
		const M3Series *series = m3_arena_at(db->arena, refs[i].series);
		M3Slice		bytes;

		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			db->env->yield(db->env);
		M3_TRY(m3i_payload_make(&run->payload, &refs[i], false, sees, run->view,
								m3_slice(NULL, 0), &bytes, err));
		if (bytes.size > 0)
			M3_TRY(m3_fileset_writer_add(writer, m3_series_id(series), m3_series_tags(series),
										 &bytes, 1, err));
	}
	return m3_fileset_writer_finish(writer, err);
}

static void
count_fileset(SnapshotRun *run, const M3FilesetWriter *writer)
{
	const uint64_t *sizes = m3_fileset_writer_sizes(writer);

	run->result->filesets++;
	run->result->series += m3_fileset_writer_count(writer);
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
		run->result->bytes += sizes[i];
}

static M3Status
write_group(SnapshotRun *run, const char *directory, int64_t block_size_ns,
			const M3BucketRef *refs, size_t count, M3Error *err)
{
	M3Memory   *memory = run->db->engine->memory;
	M3FilesetWriterOptions options = {
		.directory = directory,
		.block_start_ns = refs[0].start_ns,
		.block_size_ns = block_size_ns,
		.sorted = true,
		.is_snapshot = true,
		.snapshot_time_ns = run->now_ns + (run->now_ns == refs[0].start_ns)
	};
	M3FilesetWriter *writer = NULL;
	M3Status	status;

	memcpy(options.snapshot_id, run->uuid, sizeof(run->uuid));
	M3_GOTO(m3_fileset_next_volume(run->db->env, directory, &run->list, refs[0].start_ns,
								   &options.volume, err));
	M3_GOTO(m3_fileset_writer_create(run->db->env, memory, &options, &writer, err));
	M3_GOTO(write_series(run, writer, refs, count, err));
	if (m3_fileset_writer_count(writer) > 0)
	{
		M3_GOTO(m3_fileset_writer_publish(writer, err));
		count_fileset(run, writer);
	}
done:
	m3_fileset_writer_free(writer);
	return status;
}

static M3Status
write_groups(SnapshotRun *run, const M3NamespaceShared *ns, int64_t block_size_ns, M3Error *err)
{
	M3Database *db = run->db;
	M3Memory   *memory = db->engine->memory;
	char		directory[M3_FILESET_PATH_SIZE];
	uint32_t	shard = UINT32_MAX;

	for (size_t first = 0; first < run->refs.count;)
	{
		const M3BucketRef *ref = &run->refs.refs[first];
		size_t		end = m3i_buckets_group_end(&run->refs, first);

		m3i_job_step(db, (const char *) ns->name, first, run->refs.count, run->result->bytes);
		db->env->yield(db->env);
		if (ref->shard != shard)
		{
			shard = ref->shard;
			M3_TRY(m3_fileset_shard_directory(directory, db->path, M3_FILESET_KIND_SNAPSHOT,
											  m3_slice(ns->name, ns->name_size), shard, err));
			m3_fileset_list_free(&run->list);
			M3_TRY(m3_fileset_list(db->env, memory, directory, &run->list, err));
		}
		M3_TRY(write_group(run, directory, block_size_ns, ref, end - first, err));
		first = end;
	}
	return M3_OK;
}

static M3Status
write_namespaces(SnapshotRun *run, M3Error *err)
{
	M3Database *db = run->db;
	M3Ref	   *refs;
	size_t		count;
	M3Status	status = M3_OK;

	M3_TRY(m3i_namespace_refs(db, false, &refs, &count, err));
	for (size_t i = 0; i < count && status == M3_OK; i++)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, refs[i]);
		M3NamespaceOptions options = m3i_namespace_options(db, refs[i]);

		if (m3i_namespace_is_void(db, refs[i]) || !ns->in_snapshot)
			continue;
		status = m3i_buckets_collect(db, refs[i], m3i_first_retained_ns(&options, run->now_ns),
									 INT64_MAX, &run->refs, err);
		if (status == M3_OK)
			status = write_groups(run, ns, options.block_size_ns, err);
	}
	m3_free(db->engine->memory, refs);
	return status;
}

/* --- metadata ----------------------------------------------------------- */

/* A version-1 UUID: the time, and instead of a network card what tells roots and runs apart. */
static void
make_uuid(const M3Database *db, int64_t now_ns, int64_t index, uint8_t uuid[M3_FILESET_UUID_SIZE])
{
	uint64_t	ticks = (uint64_t) now_ns / 100 + UUID_EPOCH_OFFSET;
	uint64_t	node = m3_xxh64(db->path, strlen(db->path)) ^
		(uint64_t) index * UINT64_C(0x9E3779B97F4A7C15);

	for (int i = 0; i < 4; i++)
		uuid[i] = (uint8_t) (ticks >> (8 * (3 - i)));
	for (int i = 0; i < 2; i++)
		uuid[4 + i] = (uint8_t) (ticks >> (32 + 8 * (1 - i)));
	uuid[6] = (uint8_t) ((ticks >> 56 & 0x0f) | 0x10);
	uuid[7] = (uint8_t) (ticks >> 48);
	for (int i = 0; i < 8; i++)
		uuid[8 + i] = (uint8_t) (node >> (8 * i));
	uuid[8] = (uint8_t) ((uuid[8] & 0x3f) | 0x80);
	uuid[10] |= 1;				/* multicast: no card's address */
}

static M3Status
next_metadata_index(M3Database *db, int64_t *index, M3Error *err)
{
	M3SnapshotMetadataList list;
	M3Status	status;

	M3_TRY(m3_snapshot_metadata_list(db->env, db->engine->memory, db->path, &list, err));
	status = m3_snapshot_metadata_next_index(&list, index, err);
	m3_snapshot_metadata_list_free(&list);
	return status;
}

static M3Status
write_metadata(const SnapshotRun *run, int64_t index, M3Error *err)
{
	char		path[M3_LOG_PATH_SIZE];
	M3SnapshotMetadata metadata = {.index = index, .log_index = (int64_t) run->log_index};

	M3_TRY(m3_log_path(path, sizeof(path), run->db->path, run->log_index, err));
	memcpy(metadata.uuid, run->uuid, sizeof(run->uuid));
	metadata.log_path = m3_slice_cstr(path);
	return m3_snapshot_metadata_write(run->db->env, run->db->path, &metadata, err);
}

/* --- the whole ---------------------------------------------------------- */

static bool
is_due(const M3Database *db, const M3SnapshotOptions *options, int64_t now_ns)
{
	const M3RootJobs *jobs = &db->root->jobs;
	uint64_t	log_size = __atomic_load_n(&db->root->log.inserted, __ATOMIC_RELAXED) -
		jobs->snapshot_lsn;

	return options->force ||
		(log_size > 0 && log_size >= options->min_log_size &&
		 now_ns - jobs->last_snapshot_ns >= options->interval_ns);
}

static M3Status
take(SnapshotRun *run, M3Error *err)
{
	M3Database *db = run->db;
	M3RootJobs *jobs = &db->root->jobs;
	int64_t		index;

	M3_TRY(next_metadata_index(db, &index, err));
	make_uuid(db, run->now_ns, index, run->uuid);
	M3_TRY(rotate(run, err));
	M3_TRY(m3_snapshot_take(db, &run->view, err));
	M3_TRY(write_namespaces(run, err));
	M3_TRY(write_metadata(run, index, err));

	run->result->taken = true;
	run->result->log_index = run->log_index;
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	jobs->last_snapshot_ns = run->now_ns;
	jobs->snapshot_log_index = run->log_index;
	jobs->snapshot_lsn = run->lsn;
	jobs->snapshot_wanted = false;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return M3_OK;
}

M3Status
m3_snapshot_run(M3Database *db, const M3SnapshotOptions *options, M3SnapshotResult *result,
				M3Error *err)
{
	SnapshotRun run = {.db = db, .result = result, .now_ns = db->env->now_ns(db->env)};
	M3Error		own_error = {0};
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	memset(result, 0, sizeof(*result));
	M3_TRY(m3i_require_ready(db, err));
	if (!is_due(db, options, run.now_ns))
		return M3_OK;
	m3i_job_begin(db, M3_JOB_SNAPSHOT);
	m3i_payload_init(&run.payload, db);
	m3i_txn_enter(db);
	status = take(&run, err);
	m3_snapshot_release(run.view);
	m3i_txn_leave(db);
	m3i_payload_free(&run.payload);
	m3i_buckets_free(db, &run.refs);
	m3_fileset_list_free(&run.list);
	__atomic_fetch_add(&db->root->jobs.snapshots_taken, result->taken, __ATOMIC_RELAXED);
	m3i_job_end(db, M3_JOB_SNAPSHOT, status, err);
	return status;
}
