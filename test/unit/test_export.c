/*
 * Exports hold what a scan sees: they pass m3dump's checks and are bootstrapped to the same points,
 * in other blocks and shards, for parts of time, and whatever goes wrong meanwhile.
 */
#include "test/unit/export_fixture.h"

#include <setjmp.h>

#include "test/support/env_fault.h"

#define HOUR (3600 * M3_NS_PER_SECOND)
#define DAY (24 * HOUR)
#define T0 INT64_C(1709596800000000000) /* 2024-03-05 00:00 UTC, a Tuesday */
#define SERIES 20
#define STEP (37 * 60 * M3_NS_PER_SECOND)

static double
value_of(int series, int k)
{
	static const uint64_t specials[] = {
		UINT64_C(0x8000000000000000), UINT64_C(0x7ff8000000000001), UINT64_C(0xfff0000000000000),
		1, UINT64_C(0x3fb999999999999a)
	};
	double		value;

	if ((series + k) % 7 >= 5)
		return series * 1000 + k * 0.25;
	memcpy(&value, &specials[(series + k) % 5], sizeof(value));
	return value;
}

/* Points number first .. end - 1, each so many, of all series. */
static void
write_points(int first, int end, int step, double add)
{
	M3CommitOptions commit = {.synchronous = true};
	M3NamespaceOptions options = test_options(7200);
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	for (int s = 0; s < SERIES; s++)
	{
		char		name[16];
		uint32_t	series;

		snprintf(name, sizeof(name), "s%d", s);
		series = test_series(txn, "src", &options, name);
		for (int k = first; k < end; k += step)
		{
			/* series use their own units, and live at times of their own */
			int64_t		odd = s % 4 == 3 ? 1 : s % 4 == 2 ? 1000 : s % 4 == 1 ? 1000000 : 0;
			int64_t		time_ns = T0 + s * HOUR + k * STEP + odd * k;
			M3Slice		annotation = k % 10 == 3 ? m3_slice(name, strlen(name)) :
				m3_slice(NULL, 0);

			CHECK_OK(m3_txn_write(txn, series, time_ns, value_of(s, k) + add, M3_UNIT_NONE,
								  annotation, 0, &err));
		}
	}
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

/* Some in files only, some in buffers only, some in both. */
static void
fill(void)
{
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;

	open_engine(in_scratch("roots"));
	write_points(0, 100, 1, 0);
	CHECK_OK(m3_flush_run(engine.dbs[0], &flush, &flushed, &err));
	CHECK(flushed.filesets > 0);
	write_points(0, 100, 5, 0.5);
	write_points(100, 110, 1, 0);
}

/* Verify found as much as the export said. */
static void
check_counts(const char *directory, const M3ExportOptions *options, const M3ExportResult *result)
{
	VerifyReport report = check_sound(directory, options->shard_count, options->hash_seed);

	CHECK_INT(report.filesets, result->filesets);
	CHECK_INT(report.points, result->points);
}

/* Bootstraps an export instead of the engine there is, to the rows expected. */
static void
check_read_back(const char *directory, const char *ns, uint32_t shards, uint32_t seed,
				int64_t block_size_ns, const Rows *expected)
{
	const char *names[] = {ns, NULL};
	TestEngine	keep = engine;
	Rows		rows;

	reports = read_errors = 0;
	open_copy(directory, in_scratch("again"), names, shards, seed, block_size_ns);
	rows = read_namespace(ns, 0, INT64_MAX);
	check_same_rows(expected, &rows);
	CHECK_INT(reports + read_errors, 0);
	free(rows.rows);
	test_engine_crash(&engine);
	fixture_remove(in_scratch("again"));
	engine = keep;
}

static void
test_sizes_and_shards(void)
{
	static const int64_t sizes[] = {0, HOUR, 36 * HOUR, 7 * DAY, 5 * HOUR};
	static const uint32_t shards[] = {4, 1, 7, 64, 3};
	static const uint32_t seeds[] = {0, 0, 42, 0, UINT32_MAX};
	Rows		rows;

	fill();
	rows = read_namespace("src", 0, INT64_MAX);
	CHECK_INT(rows.count, SERIES * 110);
	for (int i = 0; i < 5; i++)
	{
		M3ExportOptions options = export_options("src", out, shards[i], seeds[i]);
		M3ExportResult result;

		options.block_size_ns = sizes[i];
		CHECK_OK(run_export(&options, &result));
		CHECK_INT(result.points, rows.count);
		CHECK_INT(result.series, SERIES);
		CHECK(result.bytes > result.points);
		CHECK(result.end_ns > rows.rows[0].time_ns);
		check_counts(out, &options, &result);
		check_read_back(out, "src", shards[i], seeds[i], sizes[i] != 0 ? sizes[i] : 2 * HOUR,
						&rows);
		fixture_remove(out);
	}
	free(rows.rows);
	close_and_clean();
}

/* Ends of the range inside of blocks; a name of its own. */
static void
test_range(void)
{
	M3ExportOptions options;
	M3ExportResult result;
	Rows		rows;

	fill();
	options = export_options("src", out, 4, 0);
	options.target_name = m3_slice_cstr("elsewhere");
	options.start_ns = T0 + 5 * HOUR + 1;
	options.end_ns = T0 + 26 * HOUR + STEP;
	rows = read_namespace("src", options.start_ns, options.end_ns);
	CHECK_OK(run_export(&options, &result));
	CHECK_INT(result.points, rows.count);
	CHECK_INT(result.end_ns, T0 + 28 * HOUR);
	check_counts(out, &options, &result);
	check_read_back(out, "elsewhere", 4, 0, 2 * HOUR, &rows);
	CHECK(!exists(in_scratch("out/data/src")));
	free(rows.rows);

	/* nothing there, nothing made */
	options.directory = in_scratch("nothing");
	options.start_ns = T0 + 100 * DAY;
	options.end_ns = INT64_MAX;
	CHECK_OK(run_export(&options, &result));
	CHECK_INT(result.filesets + result.series + result.points + result.bytes, 0);
	CHECK_INT(result.end_ns, INT64_MIN);
	options = export_options("unknown", in_scratch("nothing"), 4, 0);
	CHECK_OK(run_export(&options, &result));
	CHECK_INT(result.filesets, 0);
	CHECK(!exists(in_scratch("nothing")));
	close_and_clean();
}

/* What comes after the snapshot is not there, though it may have been flushed meanwhile. */
static void
test_snapshot(void)
{
	M3ExportOptions options;
	M3ExportResult result;
	M3Snapshot *snapshot = NULL;
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	Rows		rows;

	fill();
	rows = read_namespace("src", 0, INT64_MAX);
	CHECK_OK(m3_snapshot_take(engine.dbs[0], &snapshot, &err));
	write_points(50, 130, 3, 7);
	CHECK_OK(m3_flush_run(engine.dbs[0], &flush, &flushed, &err));
	options = export_options("src", out, 4, 0);
	options.snapshot = snapshot;
	CHECK_OK(run_export(&options, &result));
	CHECK_INT(result.points, rows.count);
	m3_snapshot_release(snapshot);
	check_counts(out, &options, &result);
	check_read_back(out, "src", 4, 0, 2 * HOUR, &rows);
	free(rows.rows);
	close_and_clean();
}

/* The checkpoint of some fileset of the block that has all series. */
static char some_checkpoint[M3_FILESET_PATH_SIZE];

static void
note_checkpoint(const char *directory, const M3FilesetListed *listed, bool snapshot)
{
	(void) snapshot;
	CHECK_INT(listed->name.volume, 0);
	if (listed->name.block_start_ns != T0 + 30 * HOUR)
		return;
	CHECK_OK(m3_fileset_path(some_checkpoint, directory, &listed->name, M3_FILESET_CHECKPOINT,
							 &err));
}

/* Nothing that is complete is touched; what is not is replaced; no index is believed. */
static void
test_conflicts(void)
{
	M3ExportOptions options;
	M3ExportResult result;
	M3ExportResult again;
	char		path[M3_FILESET_PATH_SIZE];

	fill();
	options = export_options("src", out, 4, 0);
	CHECK_OK(run_export(&options, &result));
	CHECK_STATUS(run_export(&options, &again), M3_CONFLICT);
	check_counts(out, &options, &result);

	/* one that somebody did not finish, with more behind it than will be written */
	each_fileset(out, note_checkpoint);
	snprintf(path, sizeof(path), "%s", some_checkpoint);
	CHECK(remove(path) == 0);
	memcpy(strstr(path, "checkpoint"), "data.db", 8);
	spew(path, in_scratch(""), 40);
	options.start_ns = strtoll(strrchr(path, '/') + 9, NULL, 10);
	options.end_ns = options.start_ns + 2 * HOUR;
	/* others of that block are there */
	CHECK_STATUS(run_export(&options, &again), M3_CONFLICT);
	fixture_remove(in_scratch("out/data/src"));
	CHECK_OK(run_export(&options, &again));
	check_counts(out, &options, &again);

	mkdir(in_scratch("indexed"), 0700);
	mkdir(in_scratch("indexed/index"), 0700);
	mkdir(in_scratch("indexed/index/data"), 0700);
	mkdir(in_scratch("indexed/index/data/src"), 0700);
	options = export_options("src", in_scratch("indexed"), 4, 0);
	spew(in_scratch("indexed/index/data/src/fileset-0-0-info.db"), "x", 1);
	CHECK_STATUS(run_export(&options, &result), M3_CONFLICT);
	CHECK(!exists(in_scratch("indexed/data")));
	CHECK(remove(in_scratch("indexed/index/data/src/fileset-0-0-info.db")) == 0);
	CHECK_OK(run_export(&options, &result));
	close_and_clean();
}

static void
check_refused(M3ExportOptions options)
{
	M3ExportResult result;

	CHECK_STATUS(run_export(&options, &result), M3_INVALID);
	CHECK(!exists(in_scratch("out/data")));
}

static void
test_invalid(void)
{
	M3ExportOptions good;
	M3ExportOptions options;

	fill();
	good = export_options("src", out, 4, 0);
	options = good;
	options.shard_count = 0;
	check_refused(options);
	options = good;
	options.block_size_ns = HOUR + 1;
	check_refused(options);
	options.block_size_ns = -HOUR;
	check_refused(options);
	options.block_size_ns = 70000 * DAY;	/* begins before 1970 */
	check_refused(options);
	options = good;
	options.target_name = m3_slice_cstr("../up");
	check_refused(options);
	options = good;
	options.directory = "";
	check_refused(options);
	close_and_clean();
}

/* --- jumps, failures, power cuts ---------------------------------------- */

static jmp_buf jump;
static long yields_left;
static void (*posix_yield) (M3Env *self);

static void
jumping_yield(M3Env *self)
{
	if (yields_left-- == 0)
		longjmp(jump, 1);
	posix_yield(self);
}

/* Exports with a jump out of the n-th yield; false if there were fewer. */
static bool
export_with_jump(const M3ExportOptions *options, long n)
{
	TestHeap	heap;
	M3Export   *volatile export = NULL;
	M3Export   *created = NULL;
	M3ExportResult result;
	volatile bool jumped = true;

	test_heap_init(&heap);
	CHECK_OK(m3_export_create(engine.dbs[0], options, &heap.memory, &created, &err));
	export = created;
	yields_left = n;
	posix_yield = env->yield;
	env->yield = jumping_yield;
	if (setjmp(jump) == 0)
	{
		CHECK_OK(m3_export_run(export, &result, &err));
		jumped = false;
	}
	env->yield = posix_yield;
	m3_export_free(export);
	test_heap_free_all(&heap);
	return jumped;
}

/* Whatever is left of an export that was left is sound, and finished. */
static void
test_jumps(void)
{
	M3ExportOptions options;
	M3Snapshot *snapshot = NULL;
	M3ExportResult result;
	bool		jumped = true;

	fill();
	CHECK_OK(m3_snapshot_take(engine.dbs[0], &snapshot, &err));
	options = export_options("src", out, 4, 0);
	options.block_size_ns = DAY;
	options.snapshot = snapshot;
	for (long n = 0; jumped; n = n < 4 ? n + 1 : n * 3 / 2)
	{
		jumped = export_with_jump(&options, n);
		if (exists(in_scratch("out/data")))
			(void) check_sound(out, 4, 0);
		fixture_remove(out);
		CHECK(n < 1000000);
	}
	CHECK_OK(run_export(&options, &result));
	check_counts(out, &options, &result);
	m3_snapshot_release(snapshot);
	close_and_clean();
}

/* Leftovers are no filesets, and all that may be wrong. */
static void
on_leftover(void *context, VerifySeverity severity, const char *file, int64_t offset,
			const char *what, const char *consequence)
{
	if (strstr(what, "without a whole checkpoint") == NULL)
		on_finding(context, severity, file, offset, what, consequence);
	if (strstr(what, "without a whole checkpoint") == NULL)
		*(bool *) context = true;
}

/* Exports to a disk whose n-th call fails, which then loses power; false if none failed. */
static bool
export_to_bad_disk(const M3ExportOptions *options, uint64_t n, uint64_t all_filesets)
{
	M3Env	   *disk = env_fault_create();
	EnvFaultPlan plan = {.at = n,.sys_errno = ENOSPC,.for_ever = n % 2 == 0};
	M3ExportOptions with_disk = *options;
	VerifyOptions verify;
	VerifyReport report = {0};
	M3ExportResult result;
	M3Status	status;
	bool		unsound = false;

	with_disk.env = disk;
	env_fault_fail(disk, &plan);
	status = run_export(&with_disk, &result);
	CHECK_INT(env_fault_open_files(disk) + env_fault_open_maps(disk), 0);
	CHECK(status == M3_OK || status == M3_IO);
	env_fault_crash(disk, (EnvFaultCrash) (n % ENV_FAULT_CRASH_MODES), n);

	verify_options_default(&verify);
	verify.root = options->directory;
	verify.has_shards = true;
	verify.shard_count = options->shard_count;
	if (verify_root(disk, &m3_memory_malloc, &verify, on_leftover, &unsound, &report,
					&err) == M3_OK)
	{
		CHECK(!unsound);
		CHECK(status != M3_OK || (report.filesets == all_filesets &&
								  verify_exit_code(&report) == 0));
	}
	else
		CHECK(status != M3_OK);
	env_fault_destroy(disk);
	return status != M3_OK;
}

static void
test_faults(void)
{
	M3ExportOptions options;
	M3ExportResult result;
	bool		failed = true;

	fill();
	options = export_options("src", out, 4, 0);
	options.block_size_ns = 4 * DAY;
	CHECK_OK(run_export(&options, &result));
	for (uint64_t n = 1; failed; n++)
		failed = export_to_bad_disk(&options, n, result.filesets);
	close_and_clean();
}

int
main(void)
{
	export_begin();
	test_sizes_and_shards();
	test_range();
	test_snapshot();
	test_conflicts();
	test_invalid();
	test_jumps();
	test_faults();
	return fixture_end();
}
