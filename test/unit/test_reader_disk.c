/*
 * Reading what lies in filesets, in buffers and in the transaction itself at once, while
 * volumes come and go.
 */
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/db/blocks.h"
#include "storage/db/db_private.h"
#include "storage/db/fileset_cache.h"
#include "storage/fileset/list.h"
#include "storage/fileset/writer.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define BLOCK (3600 * S)
#define B0 (INT64_C(1700000000) * S / BLOCK * BLOCK)
#define ALL_START (B0 - 1000 * BLOCK)
#define ALL_END (B0 + 1000 * BLOCK)
#define NS m3_slice_cstr("ns")

static M3Error err;
static M3Env *env;
static M3Status (*open_file) (M3Env *self, const char *path, M3OpenMode mode, M3File **file,
							  M3Error *err);
static char directory[128];
static TestEngine engine;
static M3Database *db;
static M3NamespaceOptions options;
static M3ScanStats stats;		/* of the last read */

static M3NamespaceShared *
ns(void)
{
	return m3_arena_at(db->arena, m3i_namespace_find(db, NS));
}

static M3Ref
series_ref(const char *name)
{
	M3Ref		namespace_ref = m3i_namespace_find(db, NS);
	uint32_t	hash = m3_series_hash(namespace_ref, m3_slice_cstr(name));

	return m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref, m3_slice_cstr(name),
						  hash);
}

static M3Series *
series(const char *name)
{
	return m3_arena_at(db->arena, series_ref(name));
}

static void
begin(void)
{
	char		command[512];

	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
	options = test_options(BLOCK / S);
	test_engine_open(&engine, env, directory, 8 * 1024 * 1024, 2);
	engine.settings.cache_size = 1024 * 1024;
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	db = engine.dbs[0];
}

static void
end(void)
{
	test_engine_crash(&engine);
}

static void
put(const char *name, int64_t time_ns, double value)
{
	CHECK_OK(test_write(&engine, 0, "ns", &options, name, time_ns, value, &err));
}

/* --- filesets ----------------------------------------------------------- */

typedef struct FilePoint
{
	int64_t		time_ns;
	double		value;
	const char *annotation;
} FilePoint;

static void
shard_directory(uint32_t shard, char *path)
{
	CHECK_OK(m3_fileset_shard_directory(path, db->path, M3_FILESET_KIND_DATA, NS, shard, &err));
}

/* A fileset of one series with this payload, and in the table. */
static void
put_payload(const char *name, int64_t start_ns, int64_t volume, M3Slice payload)
{
	M3Series   *s = series(name);
	M3BlockShared block = {
		.start_ns = start_ns,.volume = volume,.series_count = 1,.points = M3_POINTS_UNKNOWN
	};
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions writer_options = {
		.directory = path,.block_start_ns = start_ns,.block_size_ns = BLOCK,
		.volume = volume,.no_sync = true
	};
	M3FilesetWriter *writer;

	shard_directory(s->shard, path);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &writer_options, &writer, &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(name), m3_slice(NULL, 0), &payload, 1,
								   &err));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	block.data_size = m3_fileset_writer_sizes(writer)[M3_FILESET_DATA];
	block.index_size = m3_fileset_writer_sizes(writer)[M3_FILESET_INDEX];
	m3_fileset_writer_free(writer);
	CHECK_OK(m3i_blocks_reserve(db, ns(), s->shard, &err));
	if (start_ns < s->first_file_ns)
		s->first_file_ns = start_ns;
	if (start_ns > s->last_file_ns)
		s->last_file_ns = start_ns;
	CHECK(m3i_blocks_put(db, ns(), s->shard, &block, m3i_generation(ns())));
}

static void
put_file(const char *name, int64_t start_ns, int64_t volume, const FilePoint *points, size_t n)
{
	M3Points	columns;
	uint8_t    *bytes = NULL;
	size_t		capacity = 0;
	size_t		size;

	m3_points_init(&columns, &m3_memory_malloc, true);
	for (size_t i = 0; i < n; i++)
	{
		M3Point		point = {
			.time_ns = points[i].time_ns,.value = points[i].value,.unit = M3_UNIT_SECOND
		};

		if (points[i].annotation != NULL)
			point.annotation = m3_slice_cstr(points[i].annotation);
		CHECK_OK(m3_points_add(&columns, &point, &err));
	}
	CHECK_OK(m3_points_encode(&columns, start_ns, &m3_memory_malloc, &bytes, &capacity, &size,
							  &err));
	put_payload(name, start_ns, volume, m3_slice(bytes, size));
	free(bytes);
	m3_points_free(&columns);
}

static void
put_one(const char *name, int64_t time_ns, int64_t volume, double value)
{
	FilePoint	point = {time_ns, value, NULL};

	put_file(name, m3_block_start(time_ns, BLOCK), volume, &point, 1);
}

static void
remove_file(const char *name, int64_t start_ns, int64_t volume)
{
	M3FilesetName file = {.block_start_ns = start_ns,.volume = volume};
	char		path[M3_FILESET_PATH_SIZE];

	shard_directory(series(name)->shard, path);
	CHECK_OK(m3_fileset_remove(env, path, &file, 1, &err));
}

/* As a flush does when its files are there: takes a block out of the buffers. */
static void
evict(const char *name, int64_t start_ns)
{
	M3WriteEffect effect = {0};

	CHECK(m3_series_freeze(db->arena, series(name), start_ns, m3i_horizon(db)) > 0);
	m3_series_evict(db->arena, db->env, series(name), start_ns, &effect);
	CHECK(m3_series_bucket(db->arena, series(name), start_ns) == NULL);
}

/* What happens when the first checkpoint is about to be opened. */
static void (*on_open) (void);

static M3Status
open_hooked(M3Env *self, const char *path, M3OpenMode mode, M3File **file, M3Error *error)
{
	if (on_open != NULL && strstr(path, "/data/") != NULL &&
		strstr(path, "checkpoint") != NULL)
	{
		void		(*happen) (void) = on_open;

		on_open = NULL;
		happen();
	}
	return open_file(self, path, mode, file, error);
}

/* --- reading ------------------------------------------------------------ */

typedef struct Read
{
	M3Snapshot *snapshot;
	M3Scan	   *scan;
	M3Reader   *reader;
} Read;

static void
read_begin(Read *read, const char *name, int64_t start_ns, int64_t end_ns, M3Txn *txn,
		   bool with_annotations)
{
	M3Slice		value = m3_slice_cstr(name);
	M3Matcher	matcher = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,.value_count = 1
	};
	M3ScanOptions scan_options = {
		.start_ns = start_ns,.end_ns = end_ns,.matchers = &matcher,.matcher_count = 1,
		.own = txn,.own_command = 10,.with_annotations = with_annotations
	};

	CHECK_OK(m3_snapshot_take(db, &read->snapshot, &err));
	scan_options.snapshot = read->snapshot;
	CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &read->scan, &err));
	CHECK_INT(m3_scan_series_count(read->scan), 1);
	CHECK_OK(m3_reader_create(read->scan, &read->reader, &err));
	CHECK_OK(m3_reader_open(read->reader, 0, &err));
}

static void
read_end(Read *read)
{
	m3_scan_stats(read->scan, &stats);
	m3_reader_free(read->reader);
	m3_scan_close(read->scan);
	m3_snapshot_release(read->snapshot);
}

static void
next_is(Read *read, const TestPoint *expected, size_t n)
{
	M3PointBatch batch;
	size_t		seen = 0;
	M3Status	status;

	while ((status = m3_reader_next(read->reader, &batch, &err)) == M3_OK)
	{
		for (size_t i = 0; i < batch.count; i++, seen++)
		{
			if (seen >= n)
				continue;
			CHECK_INT(batch.times_ns[i] - B0, expected[seen].time_ns - B0);
			CHECK_INT(batch.values[i], expected[seen].value);
		}
	}
	CHECK_STATUS(status, M3_NOT_FOUND);
	CHECK_INT(seen, n);
}

static void
expect_own(const char *name, int64_t start_ns, int64_t end_ns, M3Txn *txn,
		   const TestPoint *expected, size_t n)
{
	Read		read;

	read_begin(&read, name, start_ns, end_ns, txn, false);
	next_is(&read, expected, n);
	read_end(&read);
}

#define EXPECT(name, ...) \
	do { \
		const TestPoint expected_[] = {__VA_ARGS__}; \
		expect_own(name, ALL_START, ALL_END, NULL, expected_, \
				   sizeof(expected_) / sizeof(expected_[0])); \
	} while (0)

static void
merges(void)
{
	const FilePoint file[] = {{B0 + S, 1, NULL}, {B0 + 2 * S, 2, NULL}, {B0 + 4 * S, 4, NULL}};
	const TestPoint own[] = {
		{B0 + S, 1}, {B0 + 2 * S, 200}, {B0 + 3 * S, 300}, {B0 + 4 * S, 400}, {B0 + BLOCK, 500}
	};
	M3Txn	   *txn;
	uint32_t	number;

	begin();
	put("a", B0 + 3 * S, 30);
	put("a", B0 + 2 * S, 20);
	put_file("a", B0, 0, file, 3);
	EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 20}, {B0 + 3 * S, 30}, {B0 + 4 * S, 4});
	CHECK_INT(stats.blocks_read, 1);
	CHECK_INT(stats.blocks_from_disk, 1);
	CHECK(stats.disk_bytes_read > 0);
	CHECK(stats.bytes_read > stats.disk_bytes_read);
	CHECK_INT(stats.points_decoded, 5);

	CHECK_OK(m3_txn_begin(db, &m3_memory_malloc, &txn, &err));
	number = test_series(txn, "ns", &options, "a");
	for (size_t i = 1; i < 5; i++)
		CHECK_OK(m3_txn_write(txn, number, own[i].time_ns, own[i].value, M3_UNIT_NONE,
							  m3_slice(NULL, 0), 1, &err));
	expect_own("a", ALL_START, ALL_END, txn, own, 5);
	expect_own("a", B0 + 2 * S, B0 + 4 * S, txn, own + 1, 2);
	m3_txn_free(txn);
	EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 20}, {B0 + 3 * S, 30}, {B0 + 4 * S, 4});
	end();
}

/* Blocks in files, in buffers and in both; ranges that cut them. */
static void
lists_blocks(void)
{
	TestPoint	all[12];
	Read		read;

	begin();
	for (int i = 0; i < 12; i++)
	{
		all[i].time_ns = B0 + i * BLOCK + 10 * S;
		all[i].value = i;
		if (i % 3 != 0)
			put("a", all[i].time_ns, i);
		if (i % 3 == 0)
		{
			if (i == 0)
				put("a", B0 + 100 * BLOCK, 0);
			put_one("a", all[i].time_ns, i, i);
		}
	}
	for (int first = 0; first < 12; first++)
	{
		for (int last = first + 1; last <= 12; last++)
		{
			expect_own("a", B0 + first * BLOCK, B0 + last * BLOCK, NULL, all + first,
					   (size_t) (last - first));
			CHECK_INT(stats.blocks_read, last - first);
			CHECK_INT(stats.blocks_skipped, 13 - (last - first));
		}
	}
	/* the time itself, and a nanosecond beside */
	expect_own("a", all[3].time_ns, all[3].time_ns + 1, NULL, all + 3, 1);
	expect_own("a", all[3].time_ns + 1, all[3].time_ns + BLOCK, NULL, all + 4, 0);
	expect_own("a", all[3].time_ns + 1, all[3].time_ns + BLOCK + 1, NULL, all + 4, 1);
	expect_own("a", B0 + 3 * BLOCK, all[3].time_ns, NULL, NULL, 0);
	/* a block of the shard in which the series is not, and one its bounds exclude */
	for (int i = 0; i < 40; i++)
	{
		char		name[16];

		snprintf(name, sizeof(name), "b%d", i);
		put(name, B0, 1);
		if (series(name)->shard != series("a")->shard)
			continue;
		put_one(name, B0 + 5 * BLOCK, 0, 9);
		put_one(name, B0 - 5 * BLOCK, 0, 9);
		break;
	}
	read_begin(&read, "a", ALL_START, B0 + 12 * BLOCK, NULL, false);
	next_is(&read, all, 12);
	read_end(&read);
	CHECK_INT(stats.blocks_read, 12);
	CHECK_INT(stats.cache_hits + stats.blocks_from_disk, 4);
	end();
}

static void
move_on(void)
{
	put_one("a", B0 + S, 1, 11);
	remove_file("a", B0, 0);
}

static void
lose(void)
{
	remove_file("a", B0, 0);
}

static void
leave_retention(void)
{
	CHECK_INT(m3i_blocks_expire(db, ns(), B0 + BLOCK), 1);
	remove_file("a", B0, 0);
}

static void
truncate_and_write(void)
{
	m3i_blocks_void(db, ns());
	remove_file("a", B0, 0);
	put_one("a", B0 + S, 0, 77);
}

static void
survives_vanishing_volumes(void)
{
	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	on_open = move_on;
	EXPECT("a", {B0 + S, 11}, {B0 + 2 * S, 2});
	CHECK(on_open == NULL);
	end();

	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	on_open = leave_retention;
	EXPECT("a", {B0 + 2 * S, 2});
	CHECK(on_open == NULL);
	end();

	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	on_open = truncate_and_write;
	EXPECT("a", {B0 + S, 77}, {B0 + 2 * S, 2});
	CHECK(on_open == NULL);
	EXPECT("a", {B0 + S, 77}, {B0 + 2 * S, 2});
	end();
}

static void
reports_missing_files(void)
{
	M3PointBatch batch;
	Read		read;

	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	on_open = lose;
	read_begin(&read, "a", ALL_START, ALL_END, NULL, false);
	memset(&err, 0, sizeof(err));
	CHECK_STATUS(m3_reader_next(read.reader, &batch, &err), M3_CORRUPT);
	CHECK(strstr(err.message, "is missing") != NULL);
	CHECK(strstr(err.file, "checkpoint") != NULL);
	CHECK(on_open == NULL);
	read_end(&read);
	/* back again: nothing is remembered of the failure */
	put_one("a", B0 + S, 0, 1);
	EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 2});
	end();
}

static void
reports_damaged_streams(void)
{
	M3PointBatch batch;
	Read		read;

	begin();
	put("a", B0 + 2 * S, 2);
	put_payload("a", B0, 0, m3_slice("\x01\x02\x03", 3));
	read_begin(&read, "a", ALL_START, ALL_END, NULL, false);
	memset(&err, 0, sizeof(err));
	CHECK_STATUS(m3_reader_next(read.reader, &batch, &err), M3_CORRUPT);
	CHECK(strstr(err.file, "-data.db") != NULL);
	read_end(&read);
	end();
}

/* A new volume, or a new life of the namespace, is not answered from what was kept. */
static void
keeps_nothing_stale(void)
{
	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	for (int i = 0; i < 3; i++)
	{
		EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 2});
		CHECK_INT(stats.cache_hits, i > 0);
		CHECK_INT(stats.cache_misses, i == 0);
		CHECK_INT(stats.blocks_from_disk, i == 0);
	}
	put_one("a", B0 + S, 1, 10);
	EXPECT("a", {B0 + S, 10}, {B0 + 2 * S, 2});
	CHECK_INT(stats.blocks_from_disk, 1);
	m3i_blocks_void(db, ns());
	remove_file("a", B0, 0);
	remove_file("a", B0, 1);
	EXPECT("a", {B0 + 2 * S, 2});
	/* the same number as the volume that was read last */
	put_one("a", B0 + S, 1, 5);
	EXPECT("a", {B0 + S, 5}, {B0 + 2 * S, 2});
	put_one("a", B0 + S, 2, 6);
	EXPECT("a", {B0 + S, 6}, {B0 + 2 * S, 2});
	end();

	begin();
	options.cache_policy = M3_CACHE_NONE;
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	for (int i = 0; i < 2; i++)
	{
		EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 2});
		CHECK_INT(stats.cache_hits + stats.cache_misses, 0);
		CHECK_INT(stats.blocks_from_disk, 1);
	}
	end();
}

/* Blocks that go to files while a reader is under way. */
static void
follows_a_flush(void)
{
	const TestPoint expected[] = {{B0 + S, 1}, {B0 + BLOCK + S, 2}, {B0 + 2 * BLOCK + S, 3}};
	M3PointBatch batch;
	Read		read;

	begin();
	for (int i = 0; i < 3; i++)
		put("a", expected[i].time_ns, expected[i].value);
	read_begin(&read, "a", ALL_START, ALL_END, NULL, false);
	CHECK_OK(m3_reader_next(read.reader, &batch, &err));
	CHECK_INT(batch.values[0], 1);
	/* listed as a bucket of a series without files, read from one */
	put_one("a", B0 + BLOCK + S, 0, 2);
	evict("a", B0 + BLOCK);
	CHECK_OK(m3_reader_next(read.reader, &batch, &err));
	CHECK_INT(batch.count, 1);
	CHECK_INT(batch.values[0], 2);
	/* in the file and not out of the buffers yet */
	put_one("a", B0 + 2 * BLOCK + S, 0, 3);
	CHECK_OK(m3_reader_next(read.reader, &batch, &err));
	CHECK_INT(batch.count, 1);
	CHECK_INT(batch.values[0], 3);
	CHECK_STATUS(m3_reader_next(read.reader, &batch, &err), M3_NOT_FOUND);
	read_end(&read);
	evict("a", B0 + 2 * BLOCK);
	expect_own("a", ALL_START, ALL_END, NULL, expected, 3);
	/* written again after the flush: wins over the file, and an older reader does not see it */
	read_begin(&read, "a", ALL_START, ALL_END, NULL, false);
	put("a", expected[1].time_ns, 22);
	next_is(&read, expected, 3);
	read_end(&read);
	EXPECT("a", expected[0], {B0 + BLOCK + S, 22}, expected[2]);
	end();
}

static void
keeps_annotations(void)
{
	const FilePoint first[] = {{B0 + S, 1, "from the file"}, {B0 + 2 * S, 2, "older"}};
	const FilePoint second[] = {{B0 + S, 1, "another"}};
	Read		a;
	Read		b;
	M3PointBatch batch_a;
	M3PointBatch batch_b;

	begin();
	options.cache_policy = M3_CACHE_NONE;
	put("a", B0 + 2 * S, 3);
	put("b", B0 + 9 * S, 3);
	put_file("a", B0, 0, first, 2);
	put_file("b", B0 + BLOCK, 0, second, 1);
	evict("b", B0);
	read_begin(&a, "a", ALL_START, ALL_END, NULL, true);
	read_begin(&b, "b", ALL_START, ALL_END, NULL, true);
	CHECK_OK(m3_reader_next(a.reader, &batch_a, &err));
	/* what one reader was given stays while another reads, and files are closed */
	CHECK_OK(m3_reader_next(b.reader, &batch_b, &err));
	m3i_fileset_cache_free(db->filesets);
	db->filesets = NULL;
	CHECK_INT(batch_a.count, 2);
	CHECK(m3_slice_equal(batch_a.annotations[0], m3_slice_cstr("from the file")));
	CHECK_INT(batch_a.annotations[1].size, 0);
	CHECK(m3_slice_equal(batch_b.annotations[0], m3_slice_cstr("another")));
	read_end(&a);
	read_end(&b);
	end();
}

static void
groups_series_by_shard(void)
{
	M3ScanOptions scan_options = {.start_ns = ALL_START,.end_ns = ALL_END};
	bool		left[4] = {false};
	uint32_t	shard = UINT32_MAX;
	uint32_t	ordinal = 0;
	M3Snapshot *snapshot;
	M3Scan	   *scan;

	begin();
	for (int i = 0; i < 60; i++)
	{
		char		name[16];

		snprintf(name, sizeof(name), "s%d", i);
		put(name, B0, 1);
	}
	put_one("s7", B0, 0, 1);
	CHECK_OK(m3_snapshot_take(db, &snapshot, &err));
	scan_options.snapshot = snapshot;
	CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &scan, &err));
	CHECK_INT(m3_scan_series_count(scan), 60);
	for (size_t i = 0; i < m3_scan_series_count(scan); i++)
	{
		char		name[16] = {0};
		M3Slice		id;
		M3Slice		tags;

		m3_scan_series(scan, i, &id, &tags);
		memcpy(name, id.data, id.size);
		if (series(name)->shard != shard)
		{
			if (shard != UINT32_MAX)
				left[shard] = true;
			shard = series(name)->shard;
			ordinal = 0;
			CHECK(!left[shard]);
		}
		CHECK(series(name)->ordinal >= ordinal);
		ordinal = series(name)->ordinal;
	}
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
	end();
}

static void
estimates(void)
{
	M3Estimate	before;
	M3Estimate	after;
	FilePoint	file[500];

	begin();
	put("a", B0 + BLOCK, 1);
	CHECK_OK(m3_scan_estimate(db, NS, &before, &err));
	CHECK_INT(before.points, 1);
	for (int i = 0; i < 500; i++)
		file[i] = (FilePoint) {B0 + i * S, i * 7 % 50, NULL};
	put_file("a", B0, 0, file, 500);
	CHECK_OK(m3_scan_estimate(db, NS, &after, &err));
	CHECK_INT(after.series, 1);
	CHECK(after.points > 250 && after.points < 1500);
	CHECK(after.bytes > before.bytes + 400);
	end();
}

/* After its own TRUNCATE a transaction sees what it wrote since, and nobody else notices. */
static void
hides_what_was_truncated(void)
{
	const TestPoint own[] = {{B0 + 3 * S, 300}};
	M3Txn	   *txn;
	uint32_t	number;

	begin();
	put("a", B0 + 2 * S, 2);
	put_one("a", B0 + S, 0, 1);
	CHECK_OK(m3_txn_begin(db, &m3_memory_malloc, &txn, &err));
	number = test_series(txn, "ns", &options, "a");
	CHECK_OK(m3_txn_write(txn, number, B0 + 4 * S, 4, M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
	CHECK_OK(m3_txn_void(txn, NS, false, &err));
	number = test_series(txn, "ns", &options, "a");
	CHECK_OK(m3_txn_write(txn, number, B0 + 3 * S, 300, M3_UNIT_NONE, m3_slice(NULL, 0), 1,
						  &err));
	expect_own("a", ALL_START, ALL_END, txn, own, 1);
	CHECK_INT(stats.blocks_from_disk, 0);
	EXPECT("a", {B0 + S, 1}, {B0 + 2 * S, 2});
	m3_txn_free(txn);
	end();
}

int
main(void)
{
	char		command[512];

	snprintf(directory, sizeof(directory), "/tmp/m3reader-%d", (int) getpid());
	env = m3_env_posix_create(0);
	open_file = env->open;
	env->open = open_hooked;
	merges();
	lists_blocks();
	survives_vanishing_volumes();
	reports_missing_files();
	reports_damaged_streams();
	keeps_nothing_stale();
	follows_a_flush();
	keeps_annotations();
	groups_series_by_shard();
	estimates();
	hides_what_was_truncated();
	m3_env_posix_destroy(env);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		return 1;
	return check_report();
}
