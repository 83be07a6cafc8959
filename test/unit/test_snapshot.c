/*
 * Snapshots lent to other processes: they see what the original sees, for as long as that is held.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) / 7200 * 7200 * S)

static M3Error err;
static M3Env *env;
static TestEngine engine;
static char directory[128];
static M3NamespaceOptions options;

static int
remove_directory(void)
{
	char		command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

static void
open_engine(void)
{
	if (remove_directory() != 0 || mkdir(directory, 0700) != 0)
		abort();
	test_engine_open(&engine, env, directory, 4 << 20, 4);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	options = test_options(7200);
}

static void
write_one(const char *name, int64_t time_ns, double value)
{
	CHECK_OK(test_write(&engine, 0, "ns", &options, name, time_ns, value, &err));
}

/* The sum of a series' values, as a process sees them with a snapshot. */
static double
sum_of(uint32_t handle, const char *name, const M3Snapshot *snapshot)
{
	TestPoint	points[64];
	size_t		count = test_read(&engine, handle, "ns", name, T0, T0 + 7200 * S, snapshot, NULL, 0,
								  points, 64);
	double		sum = 0;

	CHECK(count <= 64);
	for (size_t i = 0; i < count; i++)
		sum += points[i].value;
	return sum;
}

/* Staged by process 0 and left so. */
static M3Txn *
stage(const char *name, double value)
{
	const M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_write(txn, test_series(txn, "ns", &options, name), T0, value, M3_UNIT_NONE,
						  m3_slice(NULL, 0), 1, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	return txn;
}

static uint64_t
flush(void)
{
	const M3FlushOptions everything = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	M3TickResult ticked;

	CHECK_OK(m3_tick_run(engine.dbs[0], &ticked, &err));
	CHECK_OK(m3_flush_run(engine.dbs[0], &everything, &flushed, &err));
	return flushed.held_series;
}

static void
borrow(uint32_t handle, const void *bytes, size_t size, M3Snapshot **snapshot)
{
	CHECK_OK(m3_snapshot_borrow(engine.dbs[handle], bytes, size, &m3_memory_malloc, snapshot,
								&err));
}

static void
test_borrowed(void)
{
	M3Txn	   *txn;
	M3Snapshot *lent;
	M3Snapshot *first;
	M3Snapshot *second;
	uint8_t    *bytes;
	size_t		size;

	open_engine();
	write_one("a", T0, 1);
	txn = stage("a", 100);
	CHECK_OK(test_write(&engine, 1, "ns", &options, "a", T0 + S, 2, &err));
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &lent, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);

	/* not aligned as a struct would be */
	size = m3_snapshot_size(lent);
	bytes = malloc(size + 1);
	m3_snapshot_write(lent, bytes + 1);
	write_one("a", T0 + 2 * S, 1000);
	write_one("new", T0, 7);
	borrow(2, bytes + 1, size, &first);
	borrow(3, bytes + 1, size, &second);
	free(bytes);
	CHECK(sum_of(1, "a", lent) == 3);
	CHECK(sum_of(2, "a", first) == 3);
	CHECK(sum_of(2, "new", first) == 0);
	CHECK(sum_of(3, "a", second) == 3);
	CHECK(sum_of(3, "a", NULL) == 1102);

	/* one that is given back takes nothing from the others */
	m3_snapshot_release(second);
	CHECK(flush() > 0);
	CHECK(sum_of(2, "a", first) == 3);
	CHECK(sum_of(2, "new", first) == 0);
	CHECK(sum_of(1, "a", lent) == 3);
	m3_snapshot_release(first);
	CHECK(flush() > 0);
	CHECK(sum_of(1, "a", lent) == 3);

	/* what was borrowed holds nothing */
	m3_snapshot_release(lent);
	CHECK_INT(flush(), 0);
	CHECK(sum_of(1, "a", NULL) == 1102);
	test_engine_crash(&engine);
}

static void
test_refused(void)
{
	M3Database *other;
	M3Snapshot *lent;
	M3Snapshot *borrowed;
	uint8_t		bytes[4096];
	size_t		size;

	open_engine();
	CHECK_OK(m3_database_open(engine.engines[0], TEST_ROOT_ID + 1, &other, &err));
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &lent, &err));
	size = m3_snapshot_size(lent);
	CHECK(size <= sizeof(bytes) - 8);
	memset(bytes, 0, sizeof(bytes));
	m3_snapshot_write(lent, bytes);
	for (size_t wrong = 0; wrong <= size + 8; wrong++)
	{
		if (wrong != size)
			CHECK(m3_snapshot_borrow(engine.dbs[0], bytes, wrong, &m3_memory_malloc, &borrowed,
									 &err) == M3_INVALID);
	}
	CHECK(m3_snapshot_borrow(other, bytes, size, &m3_memory_malloc, &borrowed,
							 &err) == M3_INVALID);
	m3_snapshot_release(lent);
	test_engine_crash(&engine);
}

int
main(void)
{
	snprintf(directory, sizeof(directory), "/tmp/m3_test_snapshot_%d", (int) getpid());
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_borrowed();
	test_refused();
	if (remove_directory() != 0)
		abort();
	m3_env_posix_destroy(env);
	return check_report();
}
