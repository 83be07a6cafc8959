/*
 * What the tests of cleanup and purge share: an engine on a disk in memory, filesets, metadata
 * and logs as somebody else would have left them.
 */
#ifndef M3_TEST_CLEANUP_FIXTURE_H
#define M3_TEST_CLEANUP_FIXTURE_H

#include "storage/db/jobs_private.h"
#include "storage/fileset/list.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/writer.h"
#include "storage/log/scan.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define HOUR (3600 * S)
#define NOW (INT64_C(1704067200) * S)	/* a multiple of all block sizes here */
#define ROOT "/d/5"
#define BLOCK(n) (NOW - (n) * 2 * HOUR) /* the block n blocks ago */

static M3Error err;
static M3Env *env;
static TestEngine engine;
static M3Database *db;
static M3NamespaceOptions options;
static bool was_killed;			/* files it had open stay so */

/* --- fixture ------------------------------------------------------------ */

static inline void
start_engine(void)
{
	test_engine_open(&engine, env, "/d", 8 << 20, 2);
	engine.settings.cache_size = 1 << 20;
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	db = engine.dbs[0];
}

static inline void
begin(void)
{
	env = env_fault_create();
	env_fault_set_clock(env, NOW + HOUR);
	options = test_options(7200);
	was_killed = false;
	start_engine();
}

static inline void
kill_engine(EnvFaultCrash mode, uint64_t seed)
{
	test_engine_kill(&engine);
	env_fault_crash(env, mode, seed);
	was_killed = true;
}

static inline void
end(void)
{
	test_engine_crash(&engine);
	CHECK(was_killed || env_fault_open_files(env) == 0);
	CHECK_INT(env_fault_held_locks(env), 0);
	env_fault_destroy(env);
}

static inline void
write_point(const char *ns, double value)
{
	CHECK_OK(test_write(&engine, 0, ns, &options, "x", NOW + (int64_t) value * S, value, &err));
}

static inline M3NamespaceShared *
namespace_of(const char *name)
{
	M3Ref		ref = m3i_namespace_find(db, m3_slice_cstr(name));

	return ref == 0 ? NULL : m3_arena_at(db->arena, ref);
}

static inline bool
exists(const char *path)
{
	M3File	   *file;

	if (env->open(env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return false;
	env->close(env, file);
	return true;
}

static inline M3Status
see_entry(void *context, const char *name, bool is_directory)
{
	(void) name;
	(void) is_directory;
	(*(int *) context)++;
	return M3_OK;
}

/* Entries of a directory; -1: there is none. */
static inline int
count_entries(const char *path)
{
	int			count = 0;

	return env->list(env, path, see_entry, &count, NULL) == M3_OK ? count : -1;
}

static inline void
make_file(const char *path, const void *bytes, size_t size)
{
	M3File	   *file;

	CHECK_OK(env->open(env, path, M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->write(env, file, bytes, size, 0, &err));
	env->close(env, file);
}

static inline const char *
shard_directory(M3FilesetKind kind, const char *ns, uint32_t shard)
{
	static char paths[4][M3_FILESET_PATH_SIZE];
	static int	next;
	char	   *path = paths[next++ % 4];

	CHECK_OK(m3_fileset_shard_directory(path, ROOT, kind, m3_slice_cstr(ns), shard, &err));
	return path;
}

static inline const char *
file_of(const char *directory, int64_t start_ns, int64_t volume, M3FilesetFile file)
{
	static char paths[4][M3_FILESET_PATH_SIZE];
	static int	next;
	char	   *path = paths[next++ % 4];
	M3FilesetName name = {start_ns, volume, false};

	CHECK_OK(m3_fileset_path(path, directory, &name, file, &err));
	return path;
}

/* A fileset with one series; run says of which snapshot, 0: data. */
static inline void
make_fileset(const char *ns, uint32_t shard, int64_t start_ns, int64_t volume, uint8_t run)
{
	M3FilesetKind kind = run == 0 ? M3_FILESET_KIND_DATA : M3_FILESET_KIND_SNAPSHOT;
	M3FilesetWriterOptions o = {
		.directory = shard_directory(kind, ns, shard),.block_start_ns = start_ns,
		.block_size_ns = 2 * HOUR,.volume = volume,.is_snapshot = run != 0,
		.snapshot_time_ns = start_ns + 1
	};
	M3Slice		payload = m3_slice_cstr("payload");
	M3FilesetWriter *writer;

	memset(o.snapshot_id, run, sizeof(o.snapshot_id));
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &o, &writer, &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr("s"), m3_slice(NULL, 0), &payload, 1,
								   &err));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

/* How many of a fileset's files are there. */
static inline int
files_of(M3FilesetKind kind, const char *ns, uint32_t shard, int64_t start_ns, int64_t volume)
{
	const char *directory = shard_directory(kind, ns, shard);
	int			count = 0;

	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
		count += exists(file_of(directory, start_ns, volume, (M3FilesetFile) i));
	return count;
}

#define DATA_FILES(ns, shard, start, volume) \
	files_of(M3_FILESET_KIND_DATA, ns, shard, start, volume)
#define SNAPSHOT_FILES(ns, shard, start, volume) \
	files_of(M3_FILESET_KIND_SNAPSHOT, ns, shard, start, volume)

static inline void
put_block(const char *ns, uint32_t shard, int64_t start_ns, int64_t volume)
{
	M3BlockShared block = {
		.start_ns = start_ns,.volume = volume,.series_count = 1,.points = M3_POINTS_UNKNOWN
	};

	CHECK_OK(m3i_blocks_reserve(db, namespace_of(ns), shard, &err));
	CHECK(m3i_blocks_put(db, namespace_of(ns), shard, &block, m3i_generation(namespace_of(ns))));
}

static inline void
make_metadata(int64_t index, uint8_t run, uint64_t log_index)
{
	M3SnapshotMetadata metadata = {.index = index,.log_index = (int64_t) log_index};

	memset(metadata.uuid, run, sizeof(metadata.uuid));
	CHECK_OK(m3_snapshot_metadata_write(env, ROOT, &metadata, &err));
}

/* As m3_snapshot_run does when it has published a run. */
static inline void
know_snapshot(uint64_t log_index)
{
	db->root->jobs.snapshot_log_index = log_index;
	db->root->jobs.snapshots_taken++;
}

static inline size_t
count_metadata(void)
{
	M3SnapshotMetadataList list;
	size_t		count;

	CHECK_OK(m3_snapshot_metadata_list(env, &m3_memory_malloc, ROOT, &list, &err));
	count = list.count;
	m3_snapshot_metadata_list_free(&list);
	return count;
}

static inline const char *
log_path(uint64_t index)
{
	static char paths[4][M3_LOG_PATH_SIZE];
	static int	next;
	char	   *path = paths[next++ % 4];

	CHECK_OK(m3_log_path(path, M3_LOG_PATH_SIZE, ROOT, index, &err));
	return path;
}

static inline uint64_t
active_log(void)
{
	M3LogStats	stats;

	m3_log_stats(db, &stats);
	return stats.active_index;
}

/* Writes a point and closes the log it is in; returns that log's index. */
static inline uint64_t
write_log(const char *ns, double value)
{
	uint64_t	index;

	write_point(ns, value);
	index = active_log();
	CHECK_OK(m3_log_rotate(db, true, &err));
	CHECK(active_log() > index && exists(log_path(index)));
	return index;
}

static inline M3CleanupResult
clean(void)
{
	M3CleanupResult result;

	CHECK_OK(m3_cleanup_run(db, &result, &err));
	return result;
}

static inline bool
is_nothing(M3CleanupResult result)
{
	static const M3CleanupResult nothing;

	return memcmp(&result, &nothing, sizeof(result)) == 0;
}

static inline void
void_namespace(const char *ns, bool dropped)
{
	M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(db, &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr(ns), dropped, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

#endif							/* M3_TEST_CLEANUP_FIXTURE_H */
