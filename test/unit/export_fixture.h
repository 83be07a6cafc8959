/*
 * What the tests of exports share: rows of a namespace, engines on directories, the export and
 * what m3dump thinks of it.
 */
#ifndef M3_TEST_EXPORT_FIXTURE_H
#define M3_TEST_EXPORT_FIXTURE_H

#include "storage/db/db_private.h"
#include "storage/db/export.h"
#include "test/support/engine.h"
#include "test/unit/fileset_fixture.h"
#include "tools/verify.h"

#define ARENA_SIZE ((size_t) 32 << 20)

/* --- points as an engine has them --------------------------------------- */

typedef struct Row
{
	char		id[224];
	uint64_t	tags_hash;
	int64_t		time_ns;
	uint64_t	bits;
	uint64_t	annotation_hash;	/* 0: none */
	uint8_t		unit;
} Row;

typedef struct Rows
{
	Row		   *rows;
	size_t		count;
	size_t		capacity;
} Rows;

static TestEngine engine;
static char out[M3_FILESET_PATH_SIZE];	/* where exports go */
static size_t reports;
static size_t read_errors;

static inline uint64_t
hash_bytes(M3Slice bytes)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
	return bytes.size == 0 ? 0 : hash;
}

static inline Row *
add_row(Rows *rows)
{
	if (rows->count == rows->capacity)
	{
		rows->capacity = rows->capacity * 2 + 1024;
		rows->rows = realloc(rows->rows, rows->capacity * sizeof(Row));
		if (rows->rows == NULL)
			abort();
	}
	memset(&rows->rows[rows->count], 0, sizeof(Row));
	return &rows->rows[rows->count++];
}

static inline int
compare_rows(const void *left, const void *right)
{
	const Row  *a = left;
	const Row  *b = right;
	int			order = memcmp(a->id, b->id, sizeof(a->id));

	return order != 0 ? order : (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

static inline void
read_series(M3Scan *scan, M3Reader *reader, size_t number, Rows *rows)
{
	M3PointBatch batch;
	M3Status	status;
	M3Slice		id;
	M3Slice		tags;

	m3_scan_series(scan, number, &id, &tags);
	status = m3_reader_open(reader, number, &err);
	while (status == M3_OK && (status = m3_reader_next(reader, &batch, &err)) == M3_OK)
	{
		for (size_t i = 0; i < batch.count; i++)
		{
			Row		   *row = add_row(rows);

			memcpy(row->id, id.data, id.size < sizeof(row->id) ? id.size : sizeof(row->id) - 1);
			row->tags_hash = hash_bytes(tags);
			row->time_ns = batch.times_ns[i];
			memcpy(&row->bits, &batch.values[i], sizeof(row->bits));
			row->annotation_hash = hash_bytes(batch.annotations[i]);
			row->unit = batch.units[i];
		}
	}
	read_errors += status != M3_NOT_FOUND;
}

static inline Rows
read_namespace(const char *ns, int64_t start_ns, int64_t end_ns)
{
	M3ScanOptions options = {
		.start_ns = start_ns,.end_ns = end_ns,.with_units = true,.with_annotations = true
	};
	M3Snapshot *snapshot = NULL;
	M3Scan	   *scan = NULL;
	M3Reader   *reader = NULL;
	Rows		rows = {0};

	CHECK_OK(m3_snapshot_take(engine.dbs[0], &snapshot, &err));
	options.snapshot = snapshot;
	CHECK_OK(m3_scan_open(engine.dbs[0], m3_slice_cstr(ns), &options, &m3_memory_malloc, &scan,
						  &err));
	CHECK_OK(m3_reader_create(scan, &reader, &err));
	for (size_t s = 0; s < m3_scan_series_count(scan); s++)
		read_series(scan, reader, s, &rows);
	m3_reader_free(reader);
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
	if (rows.count > 0)
		qsort(rows.rows, rows.count, sizeof(Row), compare_rows);
	return rows;
}

/* A unit may get finer on the way, never coarser. */
static inline void
check_same_rows(const Rows *a, const Rows *b)
{
	size_t		differ = 0;

	CHECK_INT(b->count, a->count);
	for (size_t i = 0; i < a->count && i < b->count; i++)
	{
		const Row  *x = &a->rows[i];
		const Row  *y = &b->rows[i];

		differ += compare_rows(x, y) != 0 || x->bits != y->bits || y->unit < x->unit ||
			x->annotation_hash != y->annotation_hash || x->tags_hash != y->tags_hash;
	}
	CHECK_INT(differ, 0);
}

/* --- engines on directories --------------------------------------------- */

static inline void
on_report(void *context, const char *message)
{
	(void) context;
	(void) message;
	reports++;
}

static inline void
open_engine(const char *directory)
{
	M3BootstrapHooks hooks = {.report = on_report};

	test_engine_open(&engine, env, directory, ARENA_SIZE, 1);
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
}

/* A directory with an M3DB's prefix, copied, as its root; the registry says what there is. */
static inline void
open_copy(const char *prefix, const char *into, const char *const *names, uint32_t shards,
		  uint32_t seed, int64_t block_size_ns)
{
	M3RootOptions root = {.shard_count = shards,.hash_seed = seed};
	char		command[M3_FILESET_PATH_SIZE * 3];
	M3Ref		ref;

	mkdir(into, 0700);
	snprintf(command, sizeof(command), "cp -r '%s' '%s/%u'", prefix, into, TEST_ROOT_ID);
	if (system(command) != 0)
		abort();
	test_engine_open(&engine, env, into, ARENA_SIZE, 1);
	for (int i = 0; names[i] != NULL; i++)
	{
		M3NamespaceOptions options = test_options(block_size_ns / M3_NS_PER_SECOND);

		CHECK_OK(m3i_namespace_ensure(engine.dbs[0], m3_slice_cstr(names[i]), &options, &root,
									  &ref, &err));
	}
	test_engine_kill(&engine);
	open_engine(into);
}

static inline M3ExportOptions
export_options(const char *ns, const char *directory, uint32_t shards, uint32_t seed)
{
	M3ExportOptions options = {
		.namespace_name = m3_slice_cstr(ns),
		.directory = directory,
		.start_ns = INT64_MIN,
		.end_ns = INT64_MAX,
		.shard_count = shards,
		.hash_seed = seed
	};

	return options;
}

/* With a snapshot of now unless there is one. */
static inline M3Status
run_export(const M3ExportOptions *options, M3ExportResult *result)
{
	M3ExportOptions with_snapshot = *options;
	M3Snapshot *snapshot = NULL;
	M3Status	status;

	if (options->snapshot == NULL)
		CHECK_OK(m3_snapshot_take(engine.dbs[0], &snapshot, &err));
	if (options->snapshot == NULL)
		with_snapshot.snapshot = snapshot;
	memset(result, 0, sizeof(*result));
	status = m3_export(engine.dbs[0], &with_snapshot, &engine.heaps[0].memory, result, &err);
	m3_snapshot_release(snapshot);
	return status;
}

/* --- what is in an export ----------------------------------------------- */

static inline void
on_finding(void *context, VerifySeverity severity, const char *file, int64_t offset,
		   const char *what, const char *consequence)
{
	(void) context;
	fprintf(stderr, "    %d %s @%" PRId64 ": %s; %s\n", (int) severity, file, offset, what,
			consequence);
}

static inline VerifyReport
check_sound(const char *directory, uint32_t shards, uint32_t seed)
{
	VerifyOptions options;
	VerifyReport report = {0};

	verify_options_default(&options);
	options.root = directory;
	options.has_shards = true;
	options.shard_count = shards;
	options.hash_seed = seed;
	CHECK_OK(verify_root(env, &m3_memory_malloc, &options, on_finding, NULL, &report, &err));
	CHECK_INT(verify_exit_code(&report), 0);
	CHECK_INT(report.logs + report.entries + report.metadata, 0);
	return report;
}

static inline void
export_begin(void)
{
	fixture_begin();
	snprintf(out, sizeof(out), "%s", in_scratch("out"));
}

/* The engine and all files go. */
static inline void
close_and_clean(void)
{
	test_engine_crash(&engine);
	fixture_remove(scratch);
	mkdir(scratch, 0700);
}

#endif							/* M3_TEST_EXPORT_FIXTURE_H */
