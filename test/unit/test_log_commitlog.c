/*
 * The live log over real files: appending, rotation, streaming, and threads
 * that commit at once.
 */
#include "check.h"
#include "log_fixture.h"

#include <pthread.h>

#include "storage/base/locks.h"
#include "storage/log/commitlog.h"

#define WRITE M3_LOCK_ROOT_WRITE
#define FLUSH M3_LOCK_ROOT_FLUSH
#define NOW INT64_C(1700000000123456789)
#define WINDOW (900 * M3_NS_PER_SECOND)

static M3Env *env;
static char root[256];
static M3CommitLogShared shared;
static M3Arena *arena;
static void *arena_memory;
static M3CommitLogSettings settings;

static void
setup(uint64_t ring_size)
{
	M3Error		err;

	arena_memory = aligned_alloc(64, 4 * 1024 * 1024);
	memset(arena_memory, 0, 4 * 1024 * 1024);
	arena = m3_arena_create(arena_memory, 4 * 1024 * 1024);
	fixture_root(env, root, sizeof(root));
	settings = (M3CommitLogSettings) {.window_ns = WINDOW, .preallocate_size = 8192};
	memset(&shared, 0, sizeof(shared));
	CHECK_OK(m3_commitlog_shared_init(&shared, arena, env, ring_size, &err));
}

static void
teardown(void)
{
	m3_commitlog_shared_free(&shared, arena, env);
	free(arena_memory);
	fixture_remove_root(env, root);
}

static M3CommitLog *
attach(void)
{
	M3CommitLog *log;
	M3Error		err;

	CHECK_OK(m3_commitlog_attach(&shared, arena, env, &m3_memory_malloc, root, WRITE, FLUSH,
								 &settings, &log, &err));
	return log;
}

/* Builds a group of count points of one series, with metadata. */
static M3Slice
build(M3LogGroup *group, uint64_t series, uint64_t count, double first)
{
	M3LogSeriesMetadata metadata = {.id = m3_slice_cstr("id"), .namespace = m3_slice_cstr("n")};
	M3Slice		bytes;
	M3Error		err;

	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	for (uint64_t i = 0; i < count; i++)
		CHECK(m3_log_group_add(group, series, NOW, first + (double) i, M3_UNIT_NANOSECOND,
							   m3_slice(NULL, 0), i == 0 ? &metadata : NULL, &err) == M3_OK);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	return bytes;
}

static M3LogPosition
append(M3CommitLog *log, M3LogGroup *group, uint64_t series, uint64_t count, double first)
{
	M3LogPosition position;
	M3Slice		bytes = build(group, series, count, first);
	M3Error		err;

	memset(&position, 0, sizeof(position));
	env->lock(env, WRITE, M3_LOCK_EXCLUSIVE);
	CHECK_OK(m3_commitlog_append(log, bytes, count, &position, &err));
	env->unlock(env, WRITE);
	return position;
}

/* All points in the logs, in order. */
typedef struct Found
{
	size_t		count;
	size_t		groups;
	double	   *values;
	uint64_t   *series;
	size_t		files;
	bool		all_clean;
} Found;

static M3Status
found_begin(void *context, const M3LogGroupInfo *info, bool *apply, M3Error *err)
{
	(void) info;
	(void) apply;
	(void) err;
	((Found *) context)->groups++;
	return M3_OK;
}

static M3Status
found_entry(void *context, const M3LogGroupInfo *info, const M3LogRecord *record, M3Error *err)
{
	Found	   *found = context;

	(void) info;
	(void) err;
	if ((found->count & (found->count - 1)) == 0)
	{
		size_t		capacity = found->count == 0 ? 1 : found->count * 2;

		found->values = realloc(found->values, capacity * sizeof(double));
		found->series = realloc(found->series, capacity * sizeof(uint64_t));
	}
	found->values[found->count] = record->value;
	found->series[found->count] = record->series->unique_index;
	found->count++;
	return M3_OK;
}

static Found
find_all(void)
{
	Found		found;
	M3LogSet   *set;
	M3Error		err;
	M3LogReplay replay = {.begin = found_begin, .entry = found_entry, .context = &found};

	memset(&found, 0, sizeof(found));
	found.all_clean = true;
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, root, &set, &err));
	CHECK_OK(m3_log_set_check(set, NULL, NULL, &err));
	CHECK_OK(m3_log_set_replay(set, &replay, &err));
	found.files = m3_log_set_count(set);
	for (size_t i = 0; i < found.files; i++)
		found.all_clean = found.all_clean &&
			m3_log_set_file(set, i)->end.kind == M3_LOG_END_CLEAN;
	m3_log_set_close(set);
	return found;
}

static void
found_free(Found *found)
{
	free(found->values);
	free(found->series);
}

static void
check_start(M3CommitLog *log, M3CommitLog *other, M3LogGroup *group)
{
	M3LogPosition first;
	M3Error		err;
	char		path[600];
	M3Slice		bytes;

	CHECK_STATUS(m3_commitlog_ready(log, NOW, &err), M3_NOT_READY);
	CHECK_INT(m3_commitlog_active_index(log), M3_COMMITLOG_NO_INDEX);
	bytes = build(group, 1, 1, 0);
	CHECK_STATUS(m3_commitlog_append(log, bytes, 1, &first, &err), M3_NOT_READY);
	/* leftovers of a crash go, taken names are passed over */
	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-6.db.new", root);
	fixture_write(env, path, "x", 1);
	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-7.db", root);
	fixture_write(env, path, "", 0);
	CHECK_OK(m3_commitlog_start(log, 7, NOW, &err));
	CHECK_INT(m3_commitlog_active_index(other), 8);
	CHECK_STATUS(m3_commitlog_start(log, 7, NOW, &err), M3_CONFLICT);
	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-6.db.new", root);
	CHECK(access(path, F_OK) != 0);
}

static void
check_sync(M3CommitLog *log, M3CommitLog *other, M3LogGroup *group)
{
	M3CommitLogStats stats;
	M3LogPosition first;
	M3LogPosition second;
	M3LogSet   *set;
	M3Error		err;

	first = append(log, group, 1, 1, 1);
	CHECK_INT(first.log_index, 8);
	CHECK(m3_commitlog_flushed(log) < first.lsn);
	second = append(other, group, 2, 3, 2);
	CHECK(second.offset > first.offset);
	CHECK_OK(m3_commitlog_sync(other, second.lsn, &err));
	CHECK(m3_commitlog_flushed(log) >= second.lsn);
	CHECK_OK(m3_commitlog_sync(log, first.lsn, &err));
	m3_commitlog_stats(log, &stats);
	CHECK_INT(stats.syncs, 1);
	CHECK_INT(stats.entries, 4);
	CHECK_INT(stats.groups, 2);
	CHECK_INT(stats.unsynced_size, 0);
	CHECK_INT(stats.active_size, second.lsn);
	CHECK(stats.allocated_size >= 8192);

	/* header: the aligned window */
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, root, &set, &err));
	CHECK_INT(m3_log_set_file(set, 0)->info.start_ns, m3_block_start(NOW, WINDOW));
	CHECK_INT(m3_log_set_file(set, 0)->info.duration_ns, WINDOW);
	CHECK_INT(m3_log_set_file(set, 0)->info.index, 8);
	m3_log_set_close(set);
}

static void
check_rotation(M3CommitLog *log, M3CommitLog *other, M3LogGroup *group)
{
	M3LogPosition first;
	M3LogPosition second;
	M3LogSet   *set;
	M3Error		err;
	uint64_t	index = 0;

	/* rotation by window, on demand, seen by the other handle */
	CHECK(!m3_commitlog_rotation_due(log, NOW));
	CHECK(m3_commitlog_rotation_due(log, NOW + WINDOW));
	CHECK_OK(m3_commitlog_ready(log, NOW + WINDOW, &err));
	CHECK_INT(m3_commitlog_active_index(log), 9);
	CHECK(!m3_commitlog_rotation_due(log, NOW + 9 * WINDOW));	/* no groups yet */
	CHECK_OK(m3_commitlog_ready(other, NOW + 9 * WINDOW, &err));
	CHECK_INT(m3_commitlog_active_index(log), 9);
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, root, &set, &err));
	CHECK_INT(m3_log_set_file(set, 1)->info.start_ns,
			  m3_block_start(NOW + 9 * WINDOW, WINDOW));
	m3_log_set_close(set);
	append(other, group, 1, 1, 5);
	env->lock(env, WRITE, M3_LOCK_EXCLUSIVE);
	CHECK_OK(m3_commitlog_rotate(log, NOW, &index, &err));
	env->unlock(env, WRITE);
	CHECK_INT(index, 10);
	CHECK_INT(m3_commitlog_flushed(log), m3_commitlog_inserted(log));

	/* by size, larger than the ring */
	settings.max_size = 20000;
	first = append(other, group, 1, 1, 6);
	second = append(log, group, 1, 900, 7);
	CHECK(second.lsn - first.lsn > M3_COMMITLOG_RING_MIN_SIZE);
	CHECK(m3_commitlog_rotation_due(log, NOW));
	CHECK_OK(m3_commitlog_sync(other, second.lsn, &err));
	CHECK_OK(m3_commitlog_ready(log, NOW, &err));
	CHECK_INT(m3_commitlog_active_index(log), 11);
	settings.max_size = 0;
}

static void
check_end(M3CommitLog *log, M3CommitLog *other, M3LogGroup *group)
{
	M3CommitLogStats stats;
	M3Error		err;

	/* unsynced: many groups through a small ring */
	for (int i = 0; i < 500; i++)
		append(i % 2 ? log : other, group, 1, 1, 907 + i);
	CHECK_OK(m3_commitlog_write_out(log, false, &err));
	m3_commitlog_stats(log, &stats);
	CHECK_INT(stats.unwritten_size, 0);
	CHECK(stats.unsynced_size > 0);
	CHECK_OK(m3_commitlog_extend_ahead(log, &err));
	m3_commitlog_stats(log, &stats);
	CHECK(stats.allocated_size - stats.active_size >= 4096);
	CHECK_OK(m3_commitlog_write_out(log, true, &err));
	CHECK_OK(m3_commitlog_stop(log, &err));
	CHECK_OK(m3_commitlog_stop(log, &err));
	CHECK_INT(m3_commitlog_active_index(other), M3_COMMITLOG_NO_INDEX);

	/* and it can be started again: positions go on */
	CHECK_OK(m3_commitlog_start(log, 12, NOW, &err));
	append(other, group, 1, 1, 1407);
	CHECK_OK(m3_commitlog_write_out(other, true, &err));
	CHECK_OK(m3_commitlog_stop(other, &err));
}

static void
test_life(void)
{
	M3CommitLog *log;
	M3CommitLog *other;
	M3LogGroup	group;
	Found		found;

	setup(M3_COMMITLOG_RING_MIN_SIZE);
	m3_log_group_init(&group, &m3_memory_malloc);
	log = attach();
	other = attach();
	check_start(log, other, &group);
	check_sync(log, other, &group);
	check_rotation(log, other, &group);
	check_end(log, other, &group);
	found = find_all();
	CHECK_INT(found.files, 6);
	CHECK_INT(found.count, 1407);
	for (size_t i = 0; i < found.count; i++)
		CHECK(found.values[i] == (double) i + 1);
	found_free(&found);
	m3_commitlog_detach(log);
	m3_commitlog_detach(other);
	m3_log_group_free(&group);
	teardown();
}

static M3Status
stream_group(M3CommitLog *log, M3LogGroup *group, uint64_t count, uint64_t given,
			 M3LogPosition *position)
{
	M3LogSeriesMetadata metadata = {.id = m3_slice_cstr("id"), .namespace = m3_slice_cstr("n")};
	M3Slice		bytes;
	M3Error		err;
	M3Status	status = m3_commitlog_stream_begin(log, &err);

	if (status == M3_OK)
		status = m3_log_group_begin_stream(group, 0, NOW, count, m3_commitlog_stream_sink, log,
										   &err);
	for (uint64_t i = 0; i < given && status == M3_OK; i++)
		status = m3_log_group_add(group, 1, NOW, (double) i, M3_UNIT_NANOSECOND, m3_slice(NULL, 0),
								  i == 0 ? &metadata : NULL, &err);
	if (status == M3_OK)
		status = m3_log_group_finish(group, &bytes, &err);
	if (status == M3_OK)
		status = m3_commitlog_stream_finish(log, count, position, &err);
	if (status != M3_OK)
		m3_commitlog_stream_rewind(log);
	return status;
}

static void
test_streams(void)
{
	M3CommitLog *log;
	M3LogGroup	group;
	M3LogPosition position;
	M3Error		err;
	Found		found;

	setup(M3_COMMITLOG_RING_MIN_SIZE);
	m3_log_group_init(&group, &m3_memory_malloc);
	log = attach();
	CHECK_OK(m3_commitlog_start(log, 0, NOW, &err));
	append(log, &group, 1, 1, 0);
	CHECK_STATUS(stream_group(log, &group, 20000, 19999, &position), M3_INVALID);
	append(log, &group, 1, 2, 1);
	CHECK_STATUS(stream_group(log, &group, 20000, 20000, &position), M3_OK);
	append(log, &group, 1, 1, 3);
	CHECK_OK(m3_commitlog_write_out(log, true, &err));
	CHECK_STATUS(stream_group(log, &group, 20000, 5000, &position), M3_INVALID);
	found = find_all();
	CHECK_INT(found.count, 20004);
	CHECK_INT(found.groups, 4);
	CHECK(found.all_clean);		/* the rewind has cut the zeros off */
	found_free(&found);
	append(log, &group, 1, 1, 9);
	CHECK_OK(m3_commitlog_stop(log, &err));
	found = find_all();
	CHECK_INT(found.count, 20005);
	CHECK(found.all_clean);
	found_free(&found);
	m3_commitlog_detach(log);
	m3_log_group_free(&group);
	teardown();
}

/* Threads that commit, while one rotates and one writes out and extends. */
#define THREADS 6
#define COMMITS 300

typedef struct Writer
{
	pthread_t	thread;
	uint64_t	number;
	uint64_t	failures;
} Writer;

static bool writers_done;

static void *
write_commits(void *argument)
{
	Writer	   *writer = argument;
	M3LogSeriesMetadata metadata = {.id = m3_slice_cstr("id"), .namespace = m3_slice_cstr("n")};
	M3CommitLog *log;
	M3LogGroup	group;
	uint64_t	metadata_index = M3_COMMITLOG_NO_INDEX;

	writer->failures += m3_commitlog_attach(&shared, arena, env, &m3_memory_malloc, root, WRITE,
											FLUSH, &settings, &log, NULL) != M3_OK;
	m3_log_group_init(&group, &m3_memory_malloc);
	for (uint64_t i = 0; i < COMMITS; i++)
	{
		uint64_t	count = 1 + i % 5;
		M3LogPosition position;
		M3Slice		bytes;
		M3Status	status;

		env->lock(env, WRITE, M3_LOCK_EXCLUSIVE);
		status = m3_commitlog_ready(log, NOW, NULL);
		if (status == M3_OK)
			status = m3_log_group_begin(&group, 0, NOW, NULL);
		for (uint64_t e = 0; e < count && status == M3_OK; e++)
			status = m3_log_group_add(&group, writer->number, NOW, (double) (i * 10 + e),
									  M3_UNIT_SECOND, m3_slice(NULL, 0),
									  e == 0 && metadata_index != m3_commitlog_active_index(log) ?
									  &metadata : NULL, NULL);
		if (status == M3_OK)
			status = m3_log_group_finish(&group, &bytes, NULL);
		if (status == M3_OK)
			status = m3_commitlog_append(log, bytes, count, &position, NULL);
		if (status == M3_OK)
			metadata_index = position.log_index;
		env->unlock(env, WRITE);
		if (status == M3_OK && i % 3 == 0)
			status = m3_commitlog_write_out(log, false, NULL);
		if (status == M3_OK)
			status = m3_commitlog_sync(log, position.lsn, NULL);
		writer->failures += status != M3_OK || m3_commitlog_flushed(log) < position.lsn;
	}
	m3_log_group_free(&group);
	m3_commitlog_detach(log);
	return NULL;
}

static void *
look_after(void *argument)
{
	Writer	   *writer = argument;
	M3CommitLog *log;

	writer->failures += m3_commitlog_attach(&shared, arena, env, &m3_memory_malloc, root, WRITE,
											FLUSH, &settings, &log, NULL) != M3_OK;
	for (int i = 0; !__atomic_load_n(&writers_done, __ATOMIC_ACQUIRE); i++)
	{
		M3CommitLogStats stats;

		writer->failures += m3_commitlog_extend_ahead(log, NULL) != M3_OK;
		writer->failures += m3_commitlog_write_out(log, i % 2 == 0, NULL) != M3_OK;
		m3_commitlog_stats(log, &stats);
		writer->failures += stats.unsynced_size > 1 << 20;
		(void) m3_commitlog_rotation_due(log, NOW);
		if (i % 10 == 9)
		{
			env->lock(env, WRITE, M3_LOCK_EXCLUSIVE);
			writer->failures += m3_commitlog_rotate(log, NOW, NULL, NULL) != M3_OK;
			env->unlock(env, WRITE);
		}
		usleep(200);
	}
	m3_commitlog_detach(log);
	return NULL;
}

static void
test_threads(void)
{
	Writer		writers[THREADS + 1];
	M3CommitLog *log;
	M3CommitLogStats stats;
	M3Error		err;
	Found		found;
	uint64_t	next[THREADS + 1];
	uint64_t	entry[THREADS + 1];

	setup(M3_COMMITLOG_RING_MIN_SIZE);
	settings.max_size = 30000;
	log = attach();
	CHECK_OK(m3_commitlog_start(log, 0, NOW, &err));
	memset(writers, 0, sizeof(writers));
	writers_done = false;
	for (uint64_t i = 0; i <= THREADS; i++)
	{
		writers[i].number = i + 1;
		pthread_create(&writers[i].thread, NULL, i < THREADS ? write_commits : look_after,
					   &writers[i]);
	}
	for (int i = 0; i <= THREADS; i++)
	{
		if (i == THREADS)
			__atomic_store_n(&writers_done, true, __ATOMIC_RELEASE);
		pthread_join(writers[i].thread, NULL);
		CHECK_INT(writers[i].failures, 0);
	}
	m3_commitlog_stats(log, &stats);
	CHECK_INT(stats.groups, THREADS * COMMITS);
	CHECK(stats.rotations >= 1);

	/* as a crash would leave it: zeros behind the last log only */
	found = find_all();
	CHECK_INT(found.groups, THREADS * COMMITS);
	CHECK_INT(found.count, THREADS * COMMITS * 3);
	memset(next, 0, sizeof(next));
	memset(entry, 0, sizeof(entry));
	for (size_t i = 0; i < found.count; i++)
	{
		uint64_t	n = found.series[i] - 1;

		CHECK(n < THREADS && found.values[i] == (double) (next[n] * 10 + entry[n]));
		if (++entry[n] == 1 + next[n] % 5)
		{
			entry[n] = 0;
			next[n]++;
		}
	}
	found_free(&found);
	CHECK_OK(m3_commitlog_stop(log, &err));
	found = find_all();
	CHECK(found.all_clean);
	CHECK_INT(found.groups, THREADS * COMMITS);
	found_free(&found);
	m3_commitlog_detach(log);
	teardown();
}

int
main(void)
{
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_life();
	test_streams();
	test_threads();
	m3_env_posix_destroy(env);
	return check_report();
}
