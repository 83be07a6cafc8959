/*
 * Filesets, snapshots and logs, in all combinations and damaged, come back as the points
 * that were last written (spec/lifecycle.md 7, 13, with OURS).
 */
#include <setjmp.h>

#include "storage/db/blocks.h"
#include "storage/fileset/metadata.h"
#include "test/support/engine.h"
#include "test/unit/fileset_fixture.h"

#define S M3_NS_PER_SECOND
#define SIZE (7200 * S)
#define T0 (INT64_C(1700006400) * S)	/* a block's start */
#define ARENA ((size_t) 16 << 20)
#define SHARDS 4u

static TestEngine engine;
static M3NamespaceOptions options;
static char reports[16][1024];
static size_t report_count;

/* --- fixture ------------------------------------------------------------ */

static void
on_report(void *context, const char *message)
{
	(void) context;
	if (report_count < 16)
		snprintf(reports[report_count], sizeof(reports[0]), "%s", message);
	report_count++;
}

static bool
reported(const char *text)
{
	for (size_t i = 0; i < report_count && i < 16; i++)
	{
		if (strstr(reports[i], text) != NULL)
			return true;
	}
	return false;
}

static M3Status
start_sized(size_t arena_size)
{
	M3BootstrapHooks hooks = {.report = on_report};

	report_count = 0;
	test_engine_open(&engine, env, scratch, arena_size, 1);
	return test_engine_bootstrap(&engine, &hooks, &err);
}

static void
start(void)
{
	CHECK_OK(start_sized(ARENA));
}

static void
stop(void)
{
	const char *reason = "";

	if (!CHECK(m3_arena_check(engine.dbs[0]->arena, env, &reason)))
		fprintf(stderr, "    %s\n", reason);
	test_engine_crash(&engine);
}

/* A root with one namespace and nothing in it. */
static void
fresh(void)
{
	static const M3RootOptions root = {.shard_count = SHARDS};
	M3Ref		ref;

	fixture_remove(scratch);
	mkdir(scratch, 0700);
	options = test_options(SIZE / S);
	start();
	CHECK_OK(m3i_namespace_ensure(engine.dbs[0], m3_slice_cstr("ns"), &options, &root, &ref,
								  &err));
	stop();
}

static void
put_point(const char *name, int64_t time_ns, double value)
{
	CHECK_OK(test_write(&engine, 0, "ns", &options, name, time_ns, value, &err));
}

/* Writes one point to a log of its own; returns the log's index. */
static uint64_t
log_point(const char *name, int64_t time_ns, double value)
{
	uint64_t	index;

	start();
	put_point(name, time_ns, value);
	index = engine.dbs[0]->root->log.active_index;
	stop();
	return index;
}

static uint32_t
shard_of(const char *name)
{
	return m3_shard_of_id(m3_slice_cstr(name), 0, SHARDS);
}

typedef struct Volume
{
	M3FilesetKind kind;
	const char *name;			/* of the only series */
	int64_t		start_ns;
	int64_t		volume;
	int64_t		size_ns;		/* 0: SIZE */
	uint8_t		run;			/* snapshots: every byte of the id */
} Volume;

static void
volume_directory(const Volume *v, char *directory)
{
	CHECK_OK(m3_fileset_shard_directory(directory, in_scratch("%u", TEST_ROOT_ID), v->kind,
										m3_slice_cstr("ns"), shard_of(v->name), &err));
}

/* A fileset of one point at the given offset from the block's start. */
static void
write_volume(const Volume *v, int64_t offset_ns, double value)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions writer_options = {
		.directory = directory,
		.block_start_ns = v->start_ns,
		.block_size_ns = v->size_ns == 0 ? SIZE : v->size_ns,
		.volume = v->volume,
		.sorted = true,
		.is_snapshot = v->kind == M3_FILESET_KIND_SNAPSHOT,
		.snapshot_time_ns = T0 + SIZE / 2 + v->run
	};
	M3Point		point = {.time_ns = v->start_ns + offset_ns,.value = value,.unit = M3_UNIT_SECOND};
	M3Tag		tag = {m3_slice_cstr("host"), m3_slice_cstr(v->name)};
	uint8_t		tags[256];
	uint8_t    *bytes = NULL;
	size_t		capacity = 0;
	M3Slice		part;
	M3Points	points;
	M3FilesetWriter *writer;

	volume_directory(v, directory);
	memset(writer_options.snapshot_id, v->run, M3_FILESET_UUID_SIZE);
	m3_tags_encode(&tag, 1, tags);
	m3_points_init(&points, &m3_memory_malloc, false);
	CHECK_OK(m3_points_add(&points, &point, &err));
	CHECK_OK(m3_points_encode(&points, v->start_ns, &m3_memory_malloc, &bytes, &capacity,
							  &part.size, &err));
	part.data = bytes;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &writer_options, &writer, &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(v->name),
								   m3_slice(tags, m3_tags_encoded_size(&tag, 1)), &part, 1, &err));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
	m3_points_free(&points);
	free(bytes);
}

static void
volume_path(const Volume *v, M3FilesetFile file, char *path)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetName name = {v->start_ns, v->volume, false};

	volume_directory(v, directory);
	CHECK_OK(m3_fileset_path(path, directory, &name, file, &err));
}

static void
remove_file(const Volume *v, M3FilesetFile file)
{
	char		path[M3_FILESET_PATH_SIZE];

	volume_path(v, file, path);
	CHECK(unlink(path) == 0);
}

/* Flips a bit in the middle, or cuts the last byte. */
static void
damage_file(const Volume *v, M3FilesetFile file, bool cut)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	uint8_t    *bytes;

	volume_path(v, file, path);
	bytes = slurp(path, &size);
	if (CHECK(bytes != NULL && size > 0))
	{
		bytes[size / 2] ^= cut ? 0 : 4;
		spew(path, bytes, size - cut);
	}
	free(bytes);
}

static void
write_metadata(int64_t index, uint8_t run, int64_t log_index)
{
	M3SnapshotMetadata metadata = {.index = index,.log_index = log_index};

	memset(metadata.uuid, run, sizeof(metadata.uuid));
	metadata.log_path = m3_slice_cstr("/var/lib/m3db/commitlogs/commitlog-0-1.db");
	CHECK_OK(m3_snapshot_metadata_write(env, in_scratch("%u", TEST_ROOT_ID), &metadata, &err));
}

static void
remove_log(uint64_t index)
{
	CHECK(unlink(in_scratch("%u/commitlogs/commitlog-0-%" PRIu64 ".db", TEST_ROOT_ID, index)) == 0);
}

static size_t
count_points(const char *name)
{
	return test_read(&engine, 0, "ns", name, 0, INT64_MAX, NULL, NULL, 0, NULL, 0);
}

/* The value at a time; NAN if there is none. */
static double
value_at(const char *name, int64_t time_ns)
{
	TestPoint	point = {0, NAN};

	if (test_read(&engine, 0, "ns", name, time_ns, time_ns + 1, NULL, NULL, 0, &point, 1) != 1)
		return NAN;
	return point.value;
}

#define CHECK_VALUE(name, time_ns, expected) \
	do { \
		double		value_ = value_at((name), (time_ns)); \
		if (!CHECK(value_ == (expected))) \
			fprintf(stderr, "    is %g, not %g\n", value_, (double) (expected)); \
	} while (0)

static M3NamespaceShared *
shared_namespace(void)
{
	return m3_arena_at(engine.dbs[0]->arena,
					   m3i_namespace_find(engine.dbs[0], m3_slice_cstr("ns")));
}

/* The volume of a block readers are told; -1 for none. */
static int64_t
table_volume(const char *name, int64_t start_ns, M3BlockShared *block)
{
	M3BlockShared own;

	block = block == NULL ? &own : block;
	return m3i_blocks_find(engine.dbs[0], shared_namespace(), shard_of(name), start_ns, block) ?
		block->volume : -1;
}

static const M3Series *
find_series(const char *name)
{
	M3Database *db = engine.dbs[0];
	M3Ref		ns = m3i_namespace_find(db, m3_slice_cstr("ns"));
	M3Slice		id = m3_slice_cstr(name);
	uint32_t	hash = m3_series_hash(ns, id);
	M3Ref		ref = m3_series_find(db->arena, m3i_stripe(db, hash), ns, id, hash);

	return ref == 0 ? NULL : m3_arena_at(db->arena, ref);
}

/* --- filesets ----------------------------------------------------------- */

static const Volume data0 = {.kind = M3_FILESET_KIND_DATA,.name = "a",.start_ns = T0};
static const Volume data1 = {
	.kind = M3_FILESET_KIND_DATA,.name = "a",.start_ns = T0,.volume = 1
};
static const Volume later = {.kind = M3_FILESET_KIND_DATA,.name = "a",.start_ns = T0 + SIZE};
static const Volume other = {.kind = M3_FILESET_KIND_DATA,.name = "b",.start_ns = T0};

static void
test_filesets(void)
{
	M3RootProgress progress;
	M3NamespaceInfo info;
	M3BlockShared block;
	const M3Series *series;

	fresh();
	write_volume(&data0, S, 1);
	write_volume(&data1, S, 2);
	write_volume(&later, S, 3);
	write_volume(&other, S, 4);
	start();
	CHECK_INT(report_count, 0);
	CHECK_INT(table_volume("a", T0, &block), 1);
	CHECK_INT(block.series_count, 1);
	CHECK(block.data_size > 0 && block.index_size > block.data_size);
	CHECK_INT(table_volume("a", T0 + SIZE, NULL), 0);
	CHECK_INT(table_volume("b", T0, NULL), shard_of("a") == shard_of("b") ? 1 : 0);
	series = find_series("a");
	if (CHECK(series != NULL))
	{
		CHECK_INT(series->first_file_ns, T0);
		CHECK_INT(series->last_file_ns, T0 + SIZE);
		CHECK_INT(series->bucket_count, 0);
		CHECK_INT(series->tags_size > 0, 1);
	}
	CHECK_INT(shared_namespace()->first_block_ns, T0);
	CHECK_INT(shared_namespace()->end_ns, T0 + 2 * SIZE);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.series_count, 2);
	CHECK_INT(info.point_count, 0);
	CHECK_INT(info.file_count, 3);
	CHECK_VALUE("a", T0 + S, 2);
	CHECK_VALUE("a", T0 + SIZE + S, 3);
	CHECK_VALUE("b", T0 + S, 4);
	m3_database_progress(engine.dbs[0], &progress);
	CHECK_INT(progress.files_total, 3);
	CHECK_INT(progress.files_done, 3);
	CHECK(progress.total_bytes > 0 && progress.done_bytes == progress.total_bytes);
	stop();
}

/* Each kind of damage to the highest volume brings back the one below, and one line. */
static void
test_damaged_filesets(void)
{
	static const struct
	{
		M3FilesetFile file;
		bool		cut;
		size_t		reports;
	}			cases[] = {
		{M3_FILESET_INFO, false, 1},
		{M3_FILESET_DIGEST, false, 1},
		{M3_FILESET_INDEX, false, 1},
		{M3_FILESET_INDEX, true, 1},
		{M3_FILESET_DATA, true, 1},
		{M3_FILESET_CHECKPOINT, true, 0}	/* never finished */
	};
	char		path[M3_FILESET_PATH_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		fresh();
		write_volume(&data0, S, 1);
		write_volume(&data1, S, 2);
		damage_file(&data1, cases[i].file, cases[i].cut);
		start();
		CHECK_INT(report_count, cases[i].reports);
		CHECK_INT(table_volume("a", T0, NULL), 0);
		CHECK_VALUE("a", T0 + S, 1);
		stop();
	}
	/* a file that cannot be read at all */
	fresh();
	write_volume(&data0, S, 1);
	write_volume(&data1, S, 2);
	volume_path(&data1, M3_FILESET_INDEX, path);
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
	start();
	CHECK_INT(report_count, 1);
	CHECK_INT(table_volume("a", T0, NULL), 0);
	stop();

	fresh();
	write_volume(&data0, S, 1);
	write_volume(&later, S, 3);
	remove_file(&data0, M3_FILESET_DATA);
	start();
	CHECK_INT(report_count, 1);
	CHECK(reported("data.db"));
	CHECK_INT(table_volume("a", T0, NULL), -1);
	CHECK_VALUE("a", T0 + SIZE + S, 3);
	stop();

	/* no better one: what is left of it can be read, the rest is an error */
	fresh();
	write_volume(&data0, S, 1);
	write_volume(&later, S, 3);
	damage_file(&data0, M3_FILESET_DATA, true);
	start();
	CHECK_INT(report_count, 2);
	CHECK_INT(table_volume("a", T0, NULL), 0);
	CHECK_VALUE("a", T0 + SIZE + S, 3);
	stop();
}

static void
test_strange_filesets(void)
{
	Volume		size = data0;
	Volume		shifted = later;

	fresh();
	size.size_ns = SIZE / 2;
	shifted.start_ns += 60 * S;
	write_volume(&size, S, 1);
	write_volume(&shifted, S, 2);
	mkdir(in_scratch("%u/data/ns/17", TEST_ROOT_ID), 0700);
	mkdir(in_scratch("%u/data/unknown", TEST_ROOT_ID), 0700);
	start();
	CHECK_INT(report_count, 3);
	CHECK(reported("blocks of 3600 seconds"));
	CHECK(reported("no block of its namespace starts then"));
	CHECK(reported("shard 17"));
	CHECK_INT(shared_namespace()->file_count, 0);
	CHECK(exists(in_scratch("%u/data/unknown", TEST_ROOT_ID)));
	stop();
}

/* Blocks before the limit are not read, and neither are their snapshots. */
static void
test_retention(void)
{
	int64_t		now_ns = env->now_ns(env);
	int64_t		first_ns = m3_block_start(now_ns - 10 * SIZE, SIZE);
	Volume		volume = data0;
	static const M3RootOptions root = {.shard_count = SHARDS};
	M3Ref		ref;

	fresh();
	options.retention_period_ns = 10 * SIZE;
	start();
	CHECK_OK(m3i_namespace_ensure(engine.dbs[0], m3_slice_cstr("ns"), &options, &root, &ref,
								  &err));
	stop();
	for (int kind = M3_FILESET_KIND_DATA; kind <= M3_FILESET_KIND_SNAPSHOT; kind++)
	{
		volume.kind = (M3FilesetKind) kind;
		volume.run = 1;
		volume.name = kind == M3_FILESET_KIND_DATA ? "a" : "b";
		volume.start_ns = first_ns;
		write_volume(&volume, S, 1);
		volume.start_ns = first_ns - SIZE;
		write_volume(&volume, S, 2);
	}
	write_metadata(0, 1, 5);
	start();
	CHECK_INT(table_volume("a", first_ns, NULL), 0);
	CHECK_INT(table_volume("a", first_ns - SIZE, NULL), -1);
	CHECK_INT(shared_namespace()->first_block_ns, first_ns);
	CHECK_INT(count_points("b"), 1);
	CHECK_VALUE("b", first_ns + S, 1);
	stop();
}

/* --- snapshots and logs ------------------------------------------------- */

static const Volume snap0 = {
	.kind = M3_FILESET_KIND_SNAPSHOT,.name = "a",.start_ns = T0,.run = 1
};
static const Volume snap1 = {
	.kind = M3_FILESET_KIND_SNAPSHOT,.name = "a",.start_ns = T0,.volume = 1,.run = 2
};

/* Logs below K are not read though they are there; those from K on win. */
static void
test_snapshot_and_logs(void)
{
	M3RootJobs	jobs;
	uint64_t	first;
	uint64_t	second;

	for (int remove_covered = 0; remove_covered < 2; remove_covered++)
	{
		fresh();
		first = log_point("a", T0 + 7 * S, 70);
		second = log_point("a", T0 + 2 * S, 22);
		write_volume(&snap0, S, 1);
		write_metadata(0, 1, (int64_t) second);
		if (remove_covered)
			remove_log(first);
		start();
		CHECK_INT(report_count, 0);
		CHECK_VALUE("a", T0 + S, 1);
		CHECK_VALUE("a", T0 + 2 * S, 22);
		CHECK_INT(count_points("a"), 2);	/* not the one of the covered log */
		CHECK_INT(shared_namespace()->unflushed_log, second);
		CHECK(shared_namespace()->in_snapshot);
		m3_root_jobs(engine.dbs[0], &jobs);
		CHECK_INT(jobs.snapshot_log_index, second);
		CHECK_INT(jobs.last_snapshot_ns, T0 + SIZE / 2 + 1);
		CHECK(!jobs.snapshot_wanted);
		stop();
	}
}

/* The same time everywhere: log over snapshot over fileset. */
static void
test_precedence(void)
{
	uint64_t	index;

	fresh();
	write_volume(&data0, S, 1);
	start();
	CHECK_VALUE("a", T0 + S, 1);
	stop();
	write_volume(&snap0, S, 2);
	write_metadata(0, 1, 0);
	start();
	CHECK_VALUE("a", T0 + S, 2);
	stop();
	index = log_point("a", T0 + S, 3);
	start();
	CHECK_VALUE("a", T0 + S, 3);
	put_point("a", T0 + S, 4);
	CHECK_VALUE("a", T0 + S, 4);
	stop();
	start();
	CHECK_VALUE("a", T0 + S, 4);
	CHECK_INT(count_points("a"), 1);
	CHECK_INT(shared_namespace()->unflushed_log, index);
	stop();
}

/* What a run left behind for a block that it does not hold any more is not loaded. */
static void
test_superseded_snapshot(void)
{
	fresh();
	write_volume(&data1, S, 2);
	write_volume(&snap0, S, 1);
	write_metadata(0, 1, 0);
	write_metadata(1, 2, 0);
	start();
	CHECK_VALUE("a", T0 + S, 2);
	CHECK_INT(report_count, 0);
	stop();
}

/* The newest snapshot's fileset cannot be used: the volume below, and all logs. */
static void
test_damaged_snapshot(void)
{
	static const M3FilesetFile files[] = {
		M3_FILESET_INFO, M3_FILESET_INDEX, M3_FILESET_SUMMARIES, M3_FILESET_BLOOM, M3_FILESET_DATA,
		M3_FILESET_DIGEST, M3_FILESET_CHECKPOINT
	};
	M3RootJobs	jobs;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		for (int missing = 0; missing < 2; missing++)
		{
			uint64_t	first;
			uint64_t	second;

			fresh();
			first = log_point("a", T0 + 7 * S, 70);
			second = log_point("a", T0 + 2 * S, 22);
			write_volume(&snap0, 3 * S, 30);
			write_volume(&snap1, 4 * S, 40);
			write_metadata(0, 1, (int64_t) first);
			write_metadata(1, 2, (int64_t) second);
			if (missing)
				remove_file(&snap1, files[i]);
			else
				damage_file(&snap1, files[i], files[i] == M3_FILESET_CHECKPOINT);
			start();
			CHECK(reported("all commit logs are replayed"));
			CHECK_VALUE("a", T0 + 7 * S, 70);
			CHECK_VALUE("a", T0 + 2 * S, 22);
			CHECK_VALUE("a", T0 + 3 * S, 30);
			CHECK_INT(count_points("a"), 3);
			m3_root_jobs(engine.dbs[0], &jobs);
			CHECK_INT(jobs.snapshot_log_index, UINT64_MAX);
			CHECK(jobs.snapshot_wanted);
			CHECK(engine.dbs[0]->root->next_log_index > second);
			stop();
		}
	}
}

/* A run that was never published counts as far as it got, and all logs are replayed. */
static void
test_no_metadata(void)
{
	uint64_t	index;

	fresh();
	index = log_point("a", T0 + 7 * S, 70);
	write_volume(&snap0, 3 * S, 30);
	write_metadata(0, 1, (int64_t) index + 1);
	CHECK(unlink(in_scratch("%u/snapshots/snapshot-01010101010101010101010101010101-0"
							"-metadata-checkpoint.db", TEST_ROOT_ID)) == 0);
	start();
	CHECK_VALUE("a", T0 + 7 * S, 70);
	CHECK_VALUE("a", T0 + 3 * S, 30);
	CHECK_INT(engine.dbs[0]->root->jobs.snapshot_log_index, UINT64_MAX);
	stop();

	/* a later run without metadata does not come before the one with */
	write_metadata(0, 1, (int64_t) index + 1);
	write_volume(&snap1, 4 * S, 40);
	start();
	CHECK_VALUE("a", T0 + 3 * S, 30);
	CHECK_INT(count_points("a"), 1);
	stop();
}

static void
test_log_numbers(void)
{
	uint64_t	index;

	fresh();
	write_metadata(0, 1, 50);
	start();
	put_point("a", T0, 1);
	index = engine.dbs[0]->root->log.active_index;
	CHECK(index >= 50);
	stop();
	start();
	CHECK_VALUE("a", T0, 1);
	stop();

	/* a log in the middle has gone */
	fresh();
	(void) log_point("a", T0, 1);
	index = log_point("a", T0 + S, 2);
	(void) log_point("a", T0 + 2 * S, 3);
	remove_log(index);
	start();
	CHECK_VALUE("a", T0, 1);
	CHECK_VALUE("a", T0 + 2 * S, 3);
	CHECK_INT(count_points("a"), 2);
	stop();
}

/* --- again, and short of memory ----------------------------------------- */

static void
test_twice(void)
{
	M3BootstrapHooks hooks = {.report = on_report};
	M3ArenaStats before;
	M3ArenaStats empty;
	M3ArenaStats after;

	fresh();
	write_volume(&data0, S, 1);
	write_volume(&other, S, 4);
	write_volume(&snap0, 2 * S, 2);
	write_metadata(0, 1, 0);
	(void) log_point("a", T0 + 3 * S, 3);
	start();
	m3_engine_arena_stats(engine.engines[0], &before);
	CHECK_INT(count_points("a"), 3);
	m3_bootstrap_reset(engine.dbs[0]);
	m3_engine_arena_stats(engine.engines[0], &empty);
	CHECK(empty.bytes_used < 1024);	/* of the table of series, which all roots share */
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
	m3_engine_arena_stats(engine.engines[0], &after);
	CHECK_INT(after.bytes_used, before.bytes_used);
	CHECK_INT(count_points("a"), 3);
	CHECK_INT(count_points("b"), 1);
	m3_bootstrap_reset(engine.dbs[0]);
	m3_engine_arena_stats(engine.engines[0], &after);
	CHECK_INT(after.bytes_used, empty.bytes_used);
	stop();
}

static jmp_buf jump;
static int	yields_left;

static void
yield_and_jump(M3Env *self)
{
	(void) self;
	if (yields_left-- == 0)
		longjmp(jump, 1);
}

/* An interrupt wherever one may come: reset and bootstrap, and all is as if it had not been. */
static void
test_interrupted(void)
{
	void		(*yield) (M3Env *) = env->yield;
	volatile int count = 0;
	volatile uint64_t expected;
	M3ArenaStats stats;

	fresh();
	write_volume(&data0, S, 1);
	write_volume(&later, S, 1);
	write_volume(&other, S, 4);
	write_volume(&snap0, 2 * S, 2);
	write_metadata(0, 1, 0);
	(void) log_point("a", T0 + 3 * S, 3);
	start();
	m3_engine_arena_stats(engine.engines[0], &stats);
	expected = stats.bytes_used;
	stop();
	for (;; count++)
	{
		volatile bool finished = false;

		test_engine_open(&engine, env, scratch, ARENA, 1);
		yields_left = count;
		env->yield = yield_and_jump;
		if (setjmp(jump) == 0)
		{
			CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
			finished = true;
		}
		env->yield = yield;
		if (finished)
			break;
		CHECK_INT(m3_database_state(engine.dbs[0]), M3_ROOT_BOOTSTRAPPING);
		m3_bootstrap_reset(engine.dbs[0]);
		CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
		m3_engine_arena_stats(engine.engines[0], &stats);
		CHECK_INT(stats.bytes_used, expected);
		CHECK_INT(count_points("a"), 4);
		m3_engine_detach(engine.engines[0]);
		test_engine_kill(&engine);
	}
	CHECK(count >= 4);			/* a block each, at least */
	stop();
}

#define CROWD 4000
#define CROWD_BLOCKS 6

/* Points that do not fit go to filesets while the logs are read. */
static void
test_small_arena(void)
{
	M3CommitOptions commit = {.synchronous = true};
	uint32_t	state = 1;
	size_t		found = 0;
	M3Txn	   *txn;

	fresh();
	CHECK_OK(start_sized((size_t) 64 << 20));
	for (int block = 0; block < CROWD_BLOCKS; block++)
	{
		CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
		for (int i = 0; i < CROWD; i++)
		{
			char		name[32];
			uint32_t	series;

			snprintf(name, sizeof(name), "series-%d", i);
			series = test_series(txn, "ns", &options, name);
			state = state * 1664525u + 1013904223u;
			CHECK_OK(m3_txn_write(txn, series, T0 + block * SIZE + i % 100 * S, state,
								  M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err));
		}
		CHECK_OK(m3_txn_prepare(txn, &commit, &err));
		m3_txn_publish(txn);
		m3_txn_free(txn);
	}
	stop();

	CHECK_OK(start_sized((size_t) 3 << 20));
	CHECK(shared_namespace()->file_count > 0);
	for (int i = 0; i < CROWD; i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "series-%d", i);
		found += count_points(name);
	}
	CHECK_INT(found, CROWD * CROWD_BLOCKS);
	stop();

	/* nothing helps if the series alone are too many; that fails and says so */
	test_engine_open(&engine, env, scratch, (size_t) 1 << 20, 1);
	CHECK(m3_arena_alloc(engine.dbs[0]->arena, env, (size_t) 512 << 10) != 0);
	CHECK_STATUS(test_engine_bootstrap(&engine, NULL, &err), M3_FULL);
	CHECK(strstr(err.detail, "does not fit") != NULL);
	CHECK_INT(m3_database_state(engine.dbs[0]), M3_ROOT_FAILED);
	stop();
}

/* --- truncated, dropped, undone ----------------------------------------- */

static void
void_namespace(bool dropped)
{
	M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr("ns"), dropped, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

/* Files and points from before TRUNCATE stay away, before the purge and after it. */
static void
test_truncated(void)
{
	M3PurgeResult purged;

	fresh();
	write_volume(&data0, S, 1);
	write_volume(&snap0, 2 * S, 2);
	write_metadata(0, 1, 0);
	start();
	put_point("a", T0 + 3 * S, 3);
	CHECK_INT(count_points("a"), 3);
	void_namespace(false);
	put_point("a", T0 + 4 * S, 4);
	CHECK_INT(count_points("a"), 1);
	stop();
	for (int round = 0; round < 3; round++)
	{
		start();
		CHECK_INT(count_points("a"), 1);
		CHECK_VALUE("a", T0 + 4 * S, 4);
		CHECK_INT(shared_namespace()->purge_pending, round < 2);
		if (round == 1)
		{
			CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
			CHECK_INT(purged.files, 2);
		}
		stop();
	}
	/* what is flushed after the purge is not voided by the marker that is still in the log */
	write_volume(&later, S, 5);
	start();
	CHECK_VALUE("a", T0 + SIZE + S, 5);
	CHECK_INT(count_points("a"), 2);
	stop();
	/* but a snapshot that began before TRUNCATE is void */
	write_volume(&snap0, 2 * S, 2);
	start();
	CHECK_INT(count_points("a"), 2);
	stop();
}

/* Gone, also after a crash; and back to life under the same name. */
static void
test_dropped(void)
{
	M3PurgeResult purged;

	fresh();
	write_volume(&data0, S, 1);
	start();
	put_point("a", T0 + 3 * S, 3);
	void_namespace(true);
	stop();
	for (int round = 0; round < 3; round++)
	{
		start();
		CHECK_INT(m3i_namespace_find(engine.dbs[0], m3_slice_cstr("ns")), 0);
		if (round == 1)
			CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
		stop();
	}
	CHECK(!exists(in_scratch("%u/data/ns", TEST_ROOT_ID)));
	(void) log_point("a", T0 + 4 * S, 4);
	start();
	CHECK_INT(count_points("a"), 1);
	CHECK_VALUE("a", T0 + 4 * S, 4);
	/* dropped and made anew with no purge between */
	void_namespace(true);
	put_point("a", T0 + 5 * S, 5);
	stop();
	start();
	CHECK_INT(count_points("a"), 1);
	CHECK_VALUE("a", T0 + 5 * S, 5);
	stop();
}

static M3TransactionFate
all_aborted(void *context, uint64_t full_xid)
{
	(void) context;
	(void) full_xid;
	return M3_FATE_ABORTED;
}

/* A group that did not commit, a TRUNCATE even, has no effect and asks for a snapshot. */
static void
test_undone(void)
{
	M3BootstrapHooks hooks = {.fate = all_aborted,.report = on_report};
	M3CommitOptions commit = {.synchronous = true,.full_xid = 77};
	M3Txn	   *txn;

	fresh();
	(void) log_point("a", T0, 1);
	start();
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr("ns"), false, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	stop();
	test_engine_open(&engine, env, scratch, ARENA, 1);
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
	CHECK_INT(count_points("a"), 1);
	CHECK(engine.dbs[0]->root->jobs.snapshot_wanted);
	stop();
	start();
	CHECK_INT(count_points("a"), 1);
	CHECK(!engine.dbs[0]->root->jobs.snapshot_wanted);
	stop();
}

int
main(void)
{
	fixture_begin();
	test_filesets();
	test_damaged_filesets();
	test_strange_filesets();
	test_retention();
	test_snapshot_and_logs();
	test_precedence();
	test_superseded_snapshot();
	test_damaged_snapshot();
	test_no_metadata();
	test_log_numbers();
	test_twice();
	test_interrupted();
	test_small_arena();
	test_truncated();
	test_dropped();
	test_undone();
	return fixture_end();
}
