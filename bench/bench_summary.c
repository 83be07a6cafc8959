/*
 * What answering without decoding costs: summing up points, passing over blocks by their
 * statistics, and counting whole shards.
 *
 *   bench_summary [series] [blocks]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/locks.h"
#include "storage/buffer/summary.h"
#include "test/support/engine.h"

#define S M3_NS_PER_SECOND
#define BLOCK (7200 * S)
#define B0 (INT64_C(1700000000) * S / BLOCK * BLOCK)
#define POINTS 720

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static void
check(M3Status status, const M3Error *err)
{
	if (status == M3_OK)
		return;
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static void
add_up(const char *what, unsigned fields, const int64_t *times_ns, const double *values,
	   size_t batch)
{
	const size_t rounds = 50000000 / batch;
	M3Summary	summary = {0};
	double		start = now();

	for (size_t i = 0; i < rounds; i++)
		m3_summary_add(&summary, fields, times_ns, values, batch);
	printf("  %-24s %4zu points a batch %8.2f ns a point\n", what, batch,
		   (now() - start) / (double) (rounds * batch));
}

static void
kernel(void)
{
	static int64_t times_ns[POINTS];
	static double values[POINTS];
	static const size_t batches[] = {POINTS, 60, 6, 1};

	for (int i = 0; i < POINTS; i++)
	{
		times_ns[i] = B0 + i;
		values[i] = drand48() * 1e6;
	}
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
	{
		add_up("count, first, last", 0, times_ns, values, batches[i]);
		add_up("with range", M3_SUMMARY_RANGE, times_ns, values, batches[i]);
		add_up("with range, sum", M3_SUMMARY_RANGE | M3_SUMMARY_SUM, times_ns, values,
			   batches[i]);
		add_up("with all", M3_SUMMARY_ALL, times_ns, values, batches[i]);
	}
}

/* --- blocks ------------------------------------------------------------- */

static M3Env *env;
static TestEngine engine;
static M3Error err;

static void
write_all(size_t series_count, size_t blocks)
{
	M3NamespaceOptions options = test_options(BLOCK / S);
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3CommitOptions commit = {.synchronous = false};
	M3FlushResult flushed;

	for (size_t b = 0; b < blocks; b++)
	{
		M3Txn	   *txn;

		check(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err), &err);
		for (size_t s = 0; s < series_count; s++)
		{
			char		name[32];
			uint32_t	series;

			snprintf(name, sizeof(name), "host-%zu", s);
			series = test_series(txn, "ns", &options, name);
			for (int i = 0; i < POINTS; i++)
				check(m3_txn_write(txn, series, B0 + (int64_t) b * BLOCK + i * 10 * S,
								   drand48() * 100, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err),
					  &err);
		}
		check(m3_txn_prepare(txn, &commit, &err), &err);
		m3_txn_publish(txn);
		m3_txn_free(txn);
		check(m3_flush_run(engine.dbs[0], &flush, &flushed, &err), &err);
	}
}

/* Also the best of several. */
static void
read_all(const char *what, const M3Snapshot *snapshot, bool decodes)
{
	M3ScanOptions options = {
		.start_ns = INT64_MIN,.end_ns = INT64_MAX,.snapshot = snapshot,
		.without_statistics = decodes
	};
	double		best_open = 1e18;
	double		best = 1e18;
	M3ScanStats stats;
	M3Reader   *reader;
	M3Scan	   *scan;

	check(m3_scan_open(engine.dbs[0], m3_slice_cstr("ns"), &options, &m3_memory_malloc, &scan,
					   &err), &err);
	check(m3_reader_create(scan, &reader, &err), &err);
	for (int round = 0; round < 5; round++)
	{
		M3Summary	total = {0};
		double		start = now();
		double		opened;

		for (size_t s = 0; s < m3_scan_series_count(scan); s++)
			check(m3_reader_open(reader, s, &err), &err);
		opened = now() - start;
		best_open = opened < best_open ? opened : best_open;
		start = now();
		for (size_t s = 0; s < m3_scan_series_count(scan); s++)
		{
			M3PointBatch batch;
			M3Summary	block;

			check(m3_reader_open(reader, s, &err), &err);
			for (;;)
			{
				if (m3_reader_summary(reader, false, &block, &err) == M3_OK)
				{
					m3_reader_skip(reader, false);
					m3_summary_merge(&total, M3_SUMMARY_SUM, &block);
				}
				else if (m3_reader_next(reader, &batch, &err) == M3_OK)
					m3_summary_add(&total, M3_SUMMARY_SUM, batch.times_ns, batch.values,
								   batch.count);
				else
					break;
			}
		}
		best = now() - start < best ? now() - start : best;
	}
	m3_scan_stats(scan, &stats);
	printf("  %-24s %8.0f ns a block, %6.0f ns to open a series (%.0f blocks of 5 rounds "
		   "summarized, %.0f read)\n", what,
		   (best - best_open) * 5 / (double) (stats.blocks_summarized + stats.blocks_read),
		   best_open / (double) m3_scan_series_count(scan), (double) stats.blocks_summarized,
		   (double) stats.blocks_read);
	m3_reader_free(reader);
	m3_scan_close(scan);
}

static void
count_settled(const M3Snapshot *snapshot)
{
	M3ScanOptions options = {
		.start_ns = INT64_MIN,.end_ns = INT64_MAX,.snapshot = snapshot
	};
	double		best = 1e18;
	double		best_open = 1e18;
	uint64_t	count = 0;
	M3ScanStats stats;

	for (int round = 0; round < 20; round++)
	{
		double		start = now();
		double		opened;
		M3Scan	   *scan;

		check(m3_scan_open(engine.dbs[0], m3_slice_cstr("ns"), &options, &m3_memory_malloc,
						   &scan, &err), &err);
		opened = now();
		count = 0;
		check(m3_scan_count_settled(scan, &count, &err), &err);
		best = now() - opened < best ? now() - opened : best;
		best_open = opened - start < best_open ? opened - start : best_open;
		m3_scan_stats(scan, &stats);
		m3_scan_close(scan);
	}
	printf("  count of %.0f points in %.0f filesets: %.1f us, after %.1f us to open the scan\n",
		   (double) count, (double) stats.blocks_summarized, best / 1e3, best_open / 1e3);
}

int
main(int argc, char **argv)
{
	size_t		series_count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	size_t		blocks = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
	M3Snapshot *snapshot;
	char		directory[64];
	char		command[128];

	printf("points in memory\n");
	kernel();
	snprintf(directory, sizeof(directory), "/tmp/m3_bench_summary_%d", (int) getpid());
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_engine_open(&engine, env, directory, (size_t) 512 << 20, 1);
	engine.settings.log_max_size = 256 << 20;
	engine.settings.log_preallocate_size = 4 << 20;
	check(test_engine_bootstrap(&engine, NULL, &err), &err);
	write_all(series_count, blocks);
	printf("%zu series, %zu blocks of %d points\n", series_count, blocks, POINTS);
	check(m3_snapshot_take(engine.dbs[0], &snapshot, &err), &err);
	count_settled(snapshot);
	read_all("by statistics", snapshot, false);
	read_all("by decoding", snapshot, true);
	m3_snapshot_release(snapshot);
	test_engine_crash(&engine);
	m3_env_posix_destroy(env);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) == 0 ? 0 : 1;
}
