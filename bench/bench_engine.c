/*
 * The engine without PostgreSQL: ns per point to collect, to commit and to
 * read; seconds per million points to bootstrap from the log and from a snapshot, and
 * the time per fileset and per series of its index.
 *
 *   make -C test bench && build/plain/bench_engine [points [series]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/db/jobs.h"
#include "test/support/engine.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
check(M3Status status, const M3Error *err)
{
	if (status != M3_OK)
	{
		fprintf(stderr, "%s\n", err->message);
		exit(1);
	}
}

/* Points as they arrive from a poll: every series in turn, 10 s apart, two decimals. */
static void
collect(M3Txn *txn, const uint32_t *series, size_t series_count, size_t points)
{
	uint32_t	seed = 1;
	M3Error		err;

	for (size_t i = 0; i < points; i++)
	{
		seed = seed * 1664525u + 1013904223u;
		check(m3_txn_write(txn, series[i % series_count],
						   T0 + (int64_t) (i / series_count) * 10 * S,
						   (double) (5000 + (seed >> 24)) / 100.0, M3_UNIT_NONE,
						   m3_slice(NULL, 0), 0, &err), &err);
	}
}

static double
read_all(TestEngine *engine, size_t *count)
{
	M3ScanOptions options = {.start_ns = 0,.end_ns = INT64_MAX};
	M3Snapshot *snapshot;
	M3Scan	   *scan;
	M3Reader   *reader;
	M3PointBatch batch;
	M3Error		err;
	double		sum = 0;

	check(m3_snapshot_take(engine->dbs[0], &snapshot, &err), &err);
	options.snapshot = snapshot;
	check(m3_scan_open(engine->dbs[0], m3_slice_cstr("ns"), &options, &m3_memory_malloc, &scan,
					   &err), &err);
	check(m3_reader_create(scan, &reader, &err), &err);
	*count = 0;
	for (size_t s = 0; s < m3_scan_series_count(scan); s++)
	{
		check(m3_reader_open(reader, s, &err), &err);
		while (m3_reader_next(reader, &batch, &err) == M3_OK)
		{
			for (size_t i = 0; i < batch.count; i++)
				sum += batch.values[i];
			*count += batch.count;
		}
	}
	m3_reader_free(reader);
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
	return sum;
}

static double
bootstrap(TestEngine *engine, M3Env *env, const char *directory)
{
	M3Error		err;
	double		start;

	test_engine_open(engine, env, directory, (size_t) 1 << 30, 1);
	start = now();
	check(test_engine_bootstrap(engine, NULL, &err), &err);
	return now() - start;
}

static void
snapshot_and_clean(TestEngine *engine)
{
	M3SnapshotOptions options = {.force = true};
	M3SnapshotResult taken;
	M3CleanupResult cleaned;
	M3Error		err;

	check(m3_snapshot_run(engine->dbs[0], &options, &taken, &err), &err);
	check(m3_cleanup_run(engine->dbs[0], &cleaned, &err), &err);
}

/* The same points from the log, from a snapshot, from filesets; the engine is left open. */
static void
measure_bootstraps(TestEngine *engine, M3Env *env, const char *directory, size_t points)
{
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	M3NamespaceInfo info;
	M3Error		err;
	double		seconds;

	seconds = bootstrap(engine, env, directory);
	printf("bootstrap from log %7.3f s per million points\n", seconds / (double) points * 1e6);
	snapshot_and_clean(engine);
	test_engine_crash(engine);

	seconds = bootstrap(engine, env, directory);
	printf("   from a snapshot %7.3f s per million points\n", seconds / (double) points * 1e6);
	check(m3_flush_run(engine->dbs[0], &flush, &flushed, &err), &err);
	snapshot_and_clean(engine);
	test_engine_crash(engine);

	seconds = bootstrap(engine, env, directory);
	check(m3_namespace_info(engine->dbs[0], m3_slice_cstr("ns"), &info, &err), &err);
	printf("     from filesets %7.1f us each, %.0f ns per index entry (%llu, %llu entries)\n",
		   seconds / (double) info.file_count * 1e6, seconds / (double) info.file_series * 1e9,
		   (unsigned long long) info.file_count, (unsigned long long) info.file_series);
}

int
main(int argc, char **argv)
{
	size_t		points = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000000;
	size_t		series_count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	uint32_t   *series = malloc(series_count * sizeof(*series));
	M3Env	   *env = m3_env_posix_create(0);
	char		directory[64];
	char		command[128];
	TestEngine	engine;
	M3NamespaceInfo info;
	M3Error		err;
	M3Txn	   *txn;
	size_t		count;
	double		start;
	double		collected;
	double		committed;
	double		sum;

	snprintf(directory, sizeof(directory), "/tmp/m3_bench_%d", (int) getpid());
	test_engine_open(&engine, env, directory, (size_t) 1 << 30, 1);
	engine.settings.txn_memory_size = 4 << 20;
	engine.settings.log_max_size = 256 << 20;
	engine.settings.log_preallocate_size = 4 << 20;
	check(test_engine_bootstrap(&engine, NULL, &err), &err);

	check(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err), &err);
	for (size_t s = 0; s < series_count; s++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "host-%zu", s);
		series[s] = test_series(txn, "ns", &options, name);
	}
	start = now();
	collect(txn, series, series_count, points);
	collected = now();
	check(m3_txn_prepare(txn, &commit, &err), &err);
	m3_txn_publish(txn);
	committed = now();
	m3_txn_free(txn);
	printf("%zu points, %zu series\n", points, series_count);
	printf("collect            %7.1f ns/point\n", (collected - start) / (double) points * 1e9);
	printf("commit, durable    %7.1f ns/point\n", (committed - collected) / (double) points * 1e9);
	check(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err), &err);
	printf("buffers            %7.2f B/point\n", (double) info.buffer_size / (double) points);

	for (int round = 0; round < 3; round++)
	{
		start = now();
		sum = read_all(&engine, &count);
		printf("read and sum       %7.1f ns/point (%zu points, sum %.2f)\n",
			   (now() - start) / (double) count * 1e9, count, sum);
	}
	test_engine_crash(&engine);

	measure_bootstraps(&engine, env, directory, points);
	sum = read_all(&engine, &count);
	printf("after it           %zu points, sum %.2f\n", count, sum);
	test_engine_crash(&engine);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		return 1;
	free(series);
	m3_env_posix_destroy(env);
	return 0;
}
