/*
 * The commit log: ns an entry to encode, frame, read back; durable commits a
 * second by threads.  The directory for files is $TMPDIR or the argument.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/hash.h"
#include "storage/base/locks.h"
#include "storage/log/commitlog.h"

#define NOW INT64_C(1700000000123456789)
#define ENTRIES 1000000
#define SERIES 10000
#define REPEATS 5
#define COMMITS 3000

static M3Env *env;
static char root[512];

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	fprintf(stderr, "bench_log: %s failed\n", what);
	exit(1);
}

static M3LogSeriesMetadata
metadata_of(uint64_t series, char *id, size_t size)
{
	static const uint8_t tags[] = "\x75\x27\x01\x00\x04\x00host\x05\x00web-1";
	M3LogSeriesMetadata metadata = {
		.namespace = m3_slice_cstr("public.cpu"), .tags = m3_slice(tags, sizeof(tags) - 1),
		.shard = (uint32_t) series % 16
	};

	snprintf(id, size, "{host=\"web-%llu\"}", (unsigned long long) series);
	metadata.id = m3_slice_cstr(id);
	return metadata;
}

static M3Slice
build(M3LogGroup *group, uint64_t count, bool all_metadata, bool any_metadata)
{
	M3Slice		bytes;
	char		id[64];

	if (m3_log_group_begin(group, 0, NOW, NULL) != M3_OK)
		die("begin");
	for (uint64_t i = 0; i < count; i++)
	{
		M3LogSeriesMetadata metadata;
		bool		with = all_metadata || (any_metadata && i < SERIES);

		if (with)
			metadata = metadata_of(i % SERIES, id, sizeof(id));
		if (m3_log_group_add(group, 1 + i % SERIES, NOW + (int64_t) i * 1000000, (double) i,
							 M3_UNIT_MILLISECOND, m3_slice(NULL, 0), with ? &metadata : NULL,
							 NULL) != M3_OK)
			die("add");
	}
	if (m3_log_group_finish(group, &bytes, NULL) != M3_OK)
		die("finish");
	return bytes;
}

static void
bench_building(M3LogGroup *group)
{
	static const char *const names[] = {"points", "with metadata"};
	double		best[2] = {1e9, 1e9};
	double		put = 1e9;
	double		checksum = 1e9;
	uint8_t    *buffer = malloc((size_t) ENTRIES * M3_LOG_POINT_MAX_SIZE + M3_LOG_POINT_ROOM);
	volatile uint32_t sink = 0;
	size_t		size = 0;

	for (int r = 0; r < REPEATS; r++)
	{
		M3LogStamp	stamp;
		uint8_t    *p = buffer;
		double		start = seconds();

		m3_log_stamp_init(&stamp, NOW);
		for (uint64_t i = 0; i < ENTRIES; i++)
			p = m3_log_put_point(p, &stamp, 1 + i % SERIES, NOW + (int64_t) i, (double) i, 2);
		if (seconds() - start < put)
			put = seconds() - start;
		size = (size_t) (p - buffer);
		start = seconds();
		for (size_t at = 0; at < size; at += 65536)
			sink += m3_adler32(M3_ADLER32_INIT, buffer + at, size - at < 65536 ? size - at : 65536);
		if (seconds() - start < checksum)
			checksum = seconds() - start;
		for (int with = 0; with < 2; with++)
		{
			start = seconds();
			build(group, ENTRIES, with == 1, false);
			if (seconds() - start < best[with])
				best[with] = seconds() - start;
		}
	}
	(void) sink;
	printf("encode a point alone       %6.1f ns\n", put * 1e9 / ENTRIES);
	printf("checksum of a point        %6.1f ns\n", checksum * 1e9 / ENTRIES);
	for (int with = 0; with < 2; with++)
		printf("group of 1 M, %-13s%6.1f ns an entry, encoded, framed, summed\n", names[with],
			   best[with] * 1e9 / ENTRIES);
	free(buffer);
}

static M3Status
take_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	(void) group;
	(void) err;
	*(double *) context += record->value + (double) record->series->unique_index;
	return M3_OK;
}

static void
clear_logs(void)
{
	char		command[700];

	snprintf(command, sizeof(command), "rm -rf '%s/" M3_LOG_DIRECTORY "'", root);
	if (system(command) != 0)
		die("rm");
}

static void
bench_replay(M3LogGroup *group, M3CommitLog *log)
{
	M3LogPosition position;
	M3LogSet   *set;
	M3Slice		bytes;
	double		check = 1e9;
	double		replay_time = 1e9;
	double		sum = 0;

	if (m3_commitlog_start(log, 0, NOW, NULL) != M3_OK)
		die("start");
	bytes = build(group, ENTRIES, false, true);
	if (m3_commitlog_append(log, bytes, ENTRIES, &position, NULL) != M3_OK ||
		m3_commitlog_stop(log, NULL) != M3_OK)
		die("append");
	for (int r = 0; r < REPEATS; r++)
	{
		M3LogReplay replay = {.entry = take_entry, .context = &sum};
		double		start = seconds();

		if (m3_log_set_open(env, &m3_memory_malloc, root, &set, NULL) != M3_OK ||
			m3_log_set_check(set, NULL, NULL, NULL) != M3_OK)
			die("check");
		if (seconds() - start < check)
			check = seconds() - start;
		start = seconds();
		if (m3_log_set_replay(set, &replay, NULL) != M3_OK)
			die("replay");
		if (seconds() - start < replay_time)
			replay_time = seconds() - start;
		if (m3_log_set_entries(set) != ENTRIES)
			die("count");
		m3_log_set_close(set);
	}
	printf("first pass (verify)        %6.1f ns an entry, %.1f bytes each\n",
		   check * 1e9 / ENTRIES, (double) bytes.size / ENTRIES);
	printf("second pass (replay)       %6.1f ns an entry\n", replay_time * 1e9 / ENTRIES);
	clear_logs();
}

/* Commits */

typedef struct Committer
{
	pthread_t	thread;
	M3CommitLogShared *shared;
	M3Arena    *arena;
	const M3CommitLogSettings *settings;
	uint64_t	points;
	bool		synchronous;
} Committer;

static void *
commit_all(void *argument)
{
	Committer  *committer = argument;
	M3CommitLog *log;
	M3LogGroup	group;
	M3LogPosition position;
	char		id[64];
	M3LogSeriesMetadata metadata = metadata_of(1, id, sizeof(id));
	uint64_t	known = M3_COMMITLOG_NO_INDEX;

	if (m3_commitlog_attach(committer->shared, committer->arena, env, &m3_memory_malloc, root,
							M3_LOCK_ROOT_WRITE, M3_LOCK_ROOT_FLUSH, committer->settings, &log,
							NULL) != M3_OK)
		die("attach");
	m3_log_group_init(&group, &m3_memory_malloc);
	for (int i = 0; i < COMMITS; i++)
	{
		M3Slice		bytes;
		uint64_t	index = m3_commitlog_active_index(log);

		if (m3_log_group_begin(&group, 0, NOW, NULL) != M3_OK)
			die("begin");
		for (uint64_t p = 0; p < committer->points; p++)
			m3_log_group_add(&group, 1, NOW + i, i, M3_UNIT_NANOSECOND, m3_slice(NULL, 0),
							 p == 0 && known != index ? &metadata : NULL, NULL);
		if (m3_log_group_finish(&group, &bytes, NULL) != M3_OK)
			die("finish");
		env->lock(env, M3_LOCK_ROOT_WRITE, M3_LOCK_EXCLUSIVE);
		if (m3_commitlog_append(log, bytes, committer->points, &position, NULL) != M3_OK)
			die("append");
		env->unlock(env, M3_LOCK_ROOT_WRITE);
		known = position.log_index;
		if (committer->synchronous && m3_commitlog_sync(log, position.lsn, NULL) != M3_OK)
			die("sync");
	}
	m3_log_group_free(&group);
	m3_commitlog_detach(log);
	return NULL;
}

static void
bench_commits(M3CommitLog *log, M3CommitLogShared *shared, M3Arena *arena,
			  const M3CommitLogSettings *settings, int threads, uint64_t points, bool synchronous)
{
	Committer	committers[8];
	M3CommitLogStats before;
	M3CommitLogStats after;
	double		start;
	double		syncs;

	if (m3_commitlog_start(log, 0, NOW, NULL) != M3_OK)
		die("start");
	m3_commitlog_stats(log, &before);
	start = seconds();
	for (int i = 0; i < threads; i++)
	{
		committers[i] = (Committer) {.shared = shared, .arena = arena, .settings = settings,
			.points = points, .synchronous = synchronous};
		pthread_create(&committers[i].thread, NULL, commit_all, &committers[i]);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(committers[i].thread, NULL);
	start = seconds() - start;
	m3_commitlog_stats(log, &after);
	syncs = (double) (after.syncs - before.syncs);
	printf("%-7s %d threads, %4llu points: %8.0f commits/s", synchronous ? "durable" : "behind",
		   threads, (unsigned long long) points, threads * COMMITS / start);
	if (syncs > 0)
		printf(", %5.2f commits a sync, %4.0f us a sync", threads * COMMITS / syncs,
			   (double) (after.sync_ns - before.sync_ns) / 1e3 / syncs);
	printf("\n");
	if (m3_commitlog_stop(log, NULL) != M3_OK)
		die("stop");
	clear_logs();
}

int
main(int argc, char **argv)
{
	M3CommitLogSettings settings = {
		.window_ns = 900 * M3_NS_PER_SECOND, .preallocate_size = 4 * 1024 * 1024
	};
	M3CommitLogShared shared;
	M3CommitLog *log;
	M3LogGroup	group;
	M3Arena    *arena;
	void	   *memory = aligned_alloc(64, 8 * 1024 * 1024);

	snprintf(root, sizeof(root), "%s/m3bench-XXXXXX",
			 argc > 1 ? argv[1] : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	env = m3_env_posix_create(M3_LOCK_COUNT);
	if (memory == NULL || mkdtemp(root) == NULL)
		die("setup");
	memset(memory, 0, 8 * 1024 * 1024);
	arena = m3_arena_create(memory, 8 * 1024 * 1024);
	memset(&shared, 0, sizeof(shared));
	if (m3_commitlog_shared_init(&shared, arena, env, 1024 * 1024, NULL) != M3_OK ||
		m3_commitlog_attach(&shared, arena, env, &m3_memory_malloc, root, M3_LOCK_ROOT_WRITE,
							M3_LOCK_ROOT_FLUSH, &settings, &log, NULL) != M3_OK)
		die("setup");
	m3_log_group_init(&group, &m3_memory_malloc);
	bench_building(&group);
	bench_replay(&group, log);
	for (int threads = 1; threads <= 8; threads *= threads == 1 ? 2 : 4)
		bench_commits(log, &shared, arena, &settings, threads, 1, true);
	bench_commits(log, &shared, arena, &settings, 8, 1000, true);
	bench_commits(log, &shared, arena, &settings, 1, 1, false);
	m3_log_group_free(&group);
	m3_commitlog_detach(log);
	m3_commitlog_shared_free(&shared, arena, env);
	free(memory);
	rmdir(root);
	m3_env_posix_destroy(env);
	return 0;
}
