/*
 * The index of tags: what it costs to make a series of five tags known, in time and memory,
 * and how long it takes to find some of them.
 *
 *   make -C test bench && build/plain/bench_index [series]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/locks.h"
#include "storage/index/index.h"
#include "test/support/engine.h"

#define T0 (INT64_C(1700000000) * M3_NS_PER_SECOND)

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

/* One unique tag, one of a thousand, one of ten, one of three, one that all share. */
static M3Slice
tags_of(size_t number, uint8_t *out)
{
	char		texts[5][32];
	const char *names[] = {"app", "host", "rack", "region", "zone"};
	M3Tag		tags[5];

	snprintf(texts[0], 32, "frontend");
	snprintf(texts[1], 32, "host-%07zu", number);
	snprintf(texts[2], 32, "rack-%zu", number * 2654435761u % 1000);
	snprintf(texts[3], 32, "region-%zu", number / 1000 % 10);
	snprintf(texts[4], 32, "zone-%zu", number % 3);
	for (int i = 0; i < 5; i++)
		tags[i] = (M3Tag) {m3_slice_cstr(names[i]), m3_slice_cstr(texts[i])};
	m3_tags_encode(tags, 5, out);
	return m3_slice(out, m3_tags_encoded_size(tags, 5));
}

static void
measure(TestEngine *engine, const char *what, M3Matcher *matchers, size_t count,
		bool without_index, int rounds)
{
	M3ScanOptions options = {
		.start_ns = 0,.end_ns = INT64_MAX,.matchers = matchers,.matcher_count = count,
		.without_index = without_index
	};
	M3Snapshot *snapshot;
	M3Error		err;
	size_t		found = 0;
	double		start;

	check(m3_snapshot_take(engine->dbs[0], &snapshot, &err), &err);
	options.snapshot = snapshot;
	start = now();
	for (int i = 0; i < rounds; i++)
	{
		M3Scan	   *scan;

		check(m3_scan_open(engine->dbs[0], m3_slice_cstr("ns"), &options, &m3_memory_malloc,
						   &scan, &err), &err);
		found = m3_scan_series_count(scan);
		m3_scan_close(scan);
	}
	printf("%-24s %12.2f us  (%zu series%s)\n", what, (now() - start) / rounds * 1e6, found,
		   without_index ? ", without index" : "");
	m3_snapshot_release(snapshot);
}

static bool
ends_in_seven(void *context, M3Slice value)
{
	(void) context;
	return value.size > 0 && value.data[value.size - 1] == '7';
}

static void
measure_all(TestEngine *engine, size_t series)
{
	char		texts[100][32];
	M3Slice		hosts[100];
	M3Slice		region = m3_slice_cstr("region-3");
	M3Slice		prefix = m3_slice_cstr("host-00012");
	M3Matcher	host = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = hosts,.value_count = 1
	};
	M3Matcher	both[2];

	for (size_t i = 0; i < 100; i++)
	{
		snprintf(texts[i], 32, "host-%07zu", i * 7919 % series);
		hosts[i] = m3_slice_cstr(texts[i]);
	}
	measure(engine, "one host", &host, 1, false, 20000);
	measure(engine, "one host", &host, 1, true, 5);
	host.value_count = 100;
	measure(engine, "100 hosts", &host, 1, false, 2000);
	both[0] = (M3Matcher) {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("region"),.values = &region,.value_count = 1
	};
	measure(engine, "1 of 10 regions", both, 1, false, 50);
	measure(engine, "1 of 10 regions", both, 1, true, 5);
	both[1] = host;
	measure(engine, "region, 100 hosts", both, 2, false, 2000);
	both[1] = (M3Matcher) {
		.kind = M3_MATCH_FILTER,.name = m3_slice_cstr("rack"),.accepts = ends_in_seven
	};
	measure(engine, "region, filter of racks", both, 2, false, 50);
	measure(engine, "region, filter of racks", both, 2, true, 5);
	host.kind = M3_MATCH_PREFIX;
	host.values = &prefix;
	host.value_count = 1;
	measure(engine, "prefix of hosts", &host, 1, false, 20);
	measure(engine, "prefix of hosts", &host, 1, true, 5);
	host.kind = M3_MATCH_FILTER;
	host.accepts = ends_in_seven;
	measure(engine, "filter of hosts", &host, 1, false, 5);
	measure(engine, "filter of hosts", &host, 1, true, 5);
}

/* The index alone. */
static void
measure_index(M3Env *env, size_t series)
{
	size_t		size = series * 200 + (16u << 20);
	void	   *base = aligned_alloc(64, size / 64 * 64);
	M3Arena    *arena;
	M3Index		index = {0};
	M3ArenaStats before;
	M3ArenaStats after;
	uint8_t		bytes[256];
	M3Error		err;
	double		start;
	double		built;

	memset(base, 0, size / 64 * 64);
	arena = m3_arena_create(base, size / 64 * 64);
	m3_arena_stats(arena, env, &before);
	start = now();
	for (size_t i = 0; i < series; i++)
		check(m3_index_add(arena, env, &index, tags_of(i, bytes), (uint32_t) i, &err), &err);
	built = now();
	m3_arena_stats(arena, env, &after);
	for (size_t i = 0; i < series; i++)
		(void) tags_of(i, bytes);
	start += now() - built;		/* without making tags */
	printf("index alone              %12.1f ns/series, %.1f bytes/series (%.1f per tag)\n",
		   (built - start) / (double) series * 1e9,
		   (double) (after.bytes_used - before.bytes_used) / (double) series,
		   (double) (after.bytes_used - before.bytes_used) / (double) series / 5);
	start = now();
	for (size_t i = 0; i < series; i++)
		m3_index_remove(arena, env, &index, tags_of(i, bytes), (uint32_t) i);
	printf("removed                  %12.1f ns/series\n", (now() - start) / (double) series * 1e9);
	free(base);
}

/* One point each, in batches. */
static void
write_all(TestEngine *engine, size_t series)
{
	M3NamespaceOptions options = test_options(7200);
	M3RootOptions root_options = {.shard_count = 4};
	M3CommitOptions commit = {.synchronous = false};
	M3Error		err;

	for (size_t first = 0; first < series; first += 10000)
	{
		uint32_t	ns;
		M3Txn	   *txn;

		check(m3_txn_begin(engine->dbs[0], &m3_memory_malloc, &txn, &err), &err);
		check(m3_txn_namespace(txn, m3_slice_cstr("ns"), &options, &root_options, &ns, &err), &err);
		for (size_t i = first; i < series && i < first + 10000; i++)
		{
			uint8_t		bytes[256];
			char		id[48];
			uint32_t	number;

			snprintf(id, sizeof(id), "series-of-host-%07zu", i);
			check(m3_txn_series(txn, ns, m3_slice_cstr(id), tags_of(i, bytes), &number, &err),
				  &err);
			check(m3_txn_write(txn, number, T0, 1, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err),
				  &err);
		}
		check(m3_txn_prepare(txn, &commit, &err), &err);
		m3_txn_publish(txn);
		m3_txn_free(txn);
	}
}

static void
open_engine(TestEngine *engine, M3Env *env, const char *directory, size_t series)
{
	M3Error		err;
	double		start;

	test_engine_open(engine, env, directory, series * 700 + (64u << 20), 1);
	engine->settings.txn_memory_size = 16 << 20;
	engine->settings.log_max_size = 256 << 20;
	start = now();
	check(test_engine_bootstrap(engine, NULL, &err), &err);
	printf("bootstrap                %12.1f ns/series\n", (now() - start) / (double) series * 1e9);
}

int
main(int argc, char **argv)
{
	size_t		series = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	M3Env	   *env = m3_env_posix_create(M3_LOCK_COUNT);
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	M3SnapshotOptions snapshot = {.force = true};
	M3SnapshotResult taken;
	M3CleanupResult cleaned;
	char		directory[64];
	char		command[128];
	TestEngine	engine;
	M3Error		err;
	double		start;

	printf("%zu series of 5 tags\n", series);
	measure_index(env, series);
	snprintf(directory, sizeof(directory), "/tmp/m3_bench_%d", (int) getpid());
	open_engine(&engine, env, directory, series);
	start = now();
	write_all(&engine, series);
	printf("written, a point each    %12.1f ns/series\n", (now() - start) / (double) series * 1e9);
	measure_all(&engine, series);
	test_engine_crash(&engine);

	open_engine(&engine, env, directory, series);	/* from the log */
	check(m3_flush_run(engine.dbs[0], &flush, &flushed, &err), &err);
	check(m3_snapshot_run(engine.dbs[0], &snapshot, &taken, &err), &err);
	check(m3_cleanup_run(engine.dbs[0], &cleaned, &err), &err);
	test_engine_crash(&engine);
	open_engine(&engine, env, directory, series);	/* from filesets */
	test_engine_crash(&engine);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		return 1;
	m3_env_posix_destroy(env);
	return 0;
}
