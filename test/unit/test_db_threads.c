/*
 * Several writers and readers at once, and all jobs beside them: batches are seen whole or not
 * at all, in one order for everybody, wherever their points are, and a restart gives the same
 * answer.
 */
#include <pthread.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/locks.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define WRITERS 3
#define READERS 2
#define HANDLES (WRITERS + READERS + 1)	/* the last one runs jobs */
#define ROUNDS 150
#define SERIES 3
#define SLOTS 16				/* times written again and again */
#define SLOT_NS (1000 * S)		/* between them: several blocks */

static M3Error err;
static M3Env *env;
static TestEngine engine;
static char directory[128];
static const char *const names[SERIES] = {"x", "y", "z"};
static int	writers_left = WRITERS;

typedef struct Worker
{
	pthread_t	thread;
	uint32_t	handle;
	int			failures;
	int			reads;
} Worker;

/* One batch: the same value in every series at the same time. */
static bool
write_batch(uint32_t handle, int round, bool publish)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = round % 4 != 0};
	double		value = handle * 1000000.0 + round;
	M3Error		error;
	M3Txn	   *txn;
	bool		ok = m3_txn_begin(engine.dbs[handle], &m3_memory_malloc, &txn, &error) == M3_OK;

	for (int s = 0; ok && s < SERIES; s++)
		ok = m3_txn_write(txn, test_series(txn, "ns", &options, names[s]),
						  T0 + (round % SLOTS) * SLOT_NS, value, M3_UNIT_NONE, m3_slice(NULL, 0),
						  0, &error) == M3_OK;
	ok = ok && m3_txn_prepare(txn, &commit, &error) == M3_OK;
	if (ok && publish)
		m3_txn_publish(txn);
	else if (ok)
		ok = m3_txn_abort(txn);
	if (ok)
		m3_txn_free(txn);
	return ok;
}

static void *
run_writer(void *argument)
{
	Worker	   *worker = argument;

	for (int round = 0; round < ROUNDS; round++)
	{
		if (!write_batch(worker->handle, round, round % 5 != 3))
			worker->failures++;
		if (round % 40 == 39 && m3_log_rotate(engine.dbs[worker->handle], true, NULL) != M3_OK)
			worker->failures++;
	}
	__atomic_fetch_sub(&writers_left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Whether all series hold the same in one snapshot, and no aborted value. */
static bool
is_consistent(uint32_t handle)
{
	TestPoint	points[SERIES][SLOTS + 1];
	size_t		counts[SERIES];
	M3Snapshot *snapshot;
	M3Error		error;
	bool		ok = m3_snapshot_take(engine.dbs[handle], &snapshot, &error) == M3_OK;

	for (int s = 0; ok && s < SERIES; s++)
	{
		counts[s] = test_read(&engine, handle, "ns", names[s], T0, T0 + SLOTS * SLOT_NS, snapshot,
							  NULL, 0, points[s], SLOTS + 1);
		ok = counts[s] == counts[0] && counts[s] <= SLOTS;
		for (size_t i = 0; ok && i < counts[s]; i++)
			ok = points[s][i].time_ns == points[0][i].time_ns &&
				points[s][i].value == points[0][i].value &&
				(int) points[s][i].value % 1000000 % 5 != 3;
	}
	m3_snapshot_release(snapshot);
	return ok;
}

static void *
run_reader(void *argument)
{
	Worker	   *worker = argument;

	while (__atomic_load_n(&writers_left, __ATOMIC_SEQ_CST) > 0)
	{
		if (!is_consistent(worker->handle))
			worker->failures++;
		worker->reads++;
	}
	return NULL;
}

static bool
run_job(M3Database *db, int round)
{
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3SnapshotOptions snapshot = {.force = true};
	M3FlushResult flushed;
	M3SnapshotResult taken;
	M3PurgeResult purged;
	M3TickResult ticked;
	M3CleanupResult cleaned;
	M3Error		error;

	switch (round % 5)
	{
		case 0:
			return m3_purge_run(db, &purged, &error) == M3_OK;
		case 1:
			return m3_tick_run(db, &ticked, &error) == M3_OK;
		case 2:
			return m3_flush_run(db, &flush, &flushed, &error) == M3_OK;
		case 3:
			return m3_snapshot_run(db, &snapshot, &taken, &error) == M3_OK;
		default:
			return m3_cleanup_run(db, &cleaned, &error) == M3_OK;
	}
}

static void *
run_jobs(void *argument)
{
	Worker	   *worker = argument;

	while (__atomic_load_n(&writers_left, __ATOMIC_SEQ_CST) > 0)
	{
		if (!run_job(engine.dbs[worker->handle], worker->reads++))
			worker->failures++;
	}
	return NULL;
}

typedef void *(*RunFn) (void *argument);

static RunFn
role_of(uint32_t handle)
{
	if (handle < WRITERS)
		return run_writer;
	return handle < WRITERS + READERS ? run_reader : run_jobs;
}

int
main(void)
{
	Worker		workers[HANDLES];
	TestPoint	before[SERIES][SLOTS];
	TestPoint	after[SERIES][SLOTS];
	char		command[512];

	snprintf(directory, sizeof(directory), "/tmp/m3_test_db_threads_%d", (int) getpid());
	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_engine_open(&engine, env, directory, 8 << 20, HANDLES);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));

	for (uint32_t i = 0; i < HANDLES; i++)
	{
		memset(&workers[i], 0, sizeof(workers[i]));
		workers[i].handle = i;
		if (pthread_create(&workers[i].thread, NULL, role_of(i), &workers[i]) != 0)
			abort();
	}
	for (int i = 0; i < HANDLES; i++)
	{
		pthread_join(workers[i].thread, NULL);
		CHECK_INT(workers[i].failures, 0);
	}
	CHECK(workers[WRITERS].reads + workers[WRITERS + 1].reads > 0);
	CHECK(workers[HANDLES - 1].reads > 5);
	CHECK(is_consistent(0));
	for (int s = 0; s < SERIES; s++)
		CHECK_INT(test_read(&engine, 0, "ns", names[s], T0, T0 + SLOTS * SLOT_NS, NULL, NULL, 0,
							before[s], SLOTS), SLOTS);
	CHECK_OK(m3_log_flush(engine.dbs[0], &err));
	test_engine_crash(&engine);

	test_engine_open(&engine, env, directory, 8 << 20, 1);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	for (int s = 0; s < SERIES; s++)
	{
		CHECK_INT(test_read(&engine, 0, "ns", names[s], T0, T0 + SLOTS * SLOT_NS, NULL, NULL, 0,
							after[s], SLOTS), SLOTS);
		CHECK_BYTES(after[s], sizeof(after[s]), before[s], sizeof(before[s]));
	}
	test_engine_crash(&engine);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		abort();
	m3_env_posix_destroy(env);
	return check_report();
}
