/*
 * The engine: transactions, visibility, order of writes, bootstrap.
 */
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/bytes.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define ALL_START (T0 - 1000000 * S)
#define ALL_END (T0 + 1000000 * S)

static M3Error err;
static M3Env *env;
static char directory[128];

static void
open_engine(TestEngine *engine, size_t arena_size)
{
	test_engine_open(engine, env, directory, arena_size, 3);
	CHECK_OK(test_engine_bootstrap(engine, NULL, &err));
}

static void
clean_directory(void)
{
	char		command[512];

	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
}

static size_t
count_of(TestEngine *engine, uint32_t handle, const char *name, const M3Snapshot *snapshot)
{
	TestPoint	points[16];

	return test_read(engine, handle, "ns", name, ALL_START, ALL_END, snapshot, NULL, 0, points, 16);
}

static double
value_at(TestEngine *engine, const char *name, int64_t time_ns)
{
	TestPoint	point;
	size_t		n = test_read(engine, 0, "ns", name, time_ns, time_ns + 1, NULL, NULL, 0,
							  &point, 1);

	return n == 1 ? point.value : -12345.0;
}

static M3Txn *
begin(TestEngine *engine, uint32_t handle)
{
	M3Txn	   *txn = NULL;

	CHECK_OK(m3_txn_begin(engine->dbs[handle], &m3_memory_malloc, &txn, &err));
	return txn;
}

static void
write_point(M3Txn *txn, const M3NamespaceOptions *options, const char *name, int64_t time_ns,
			double value)
{
	CHECK_OK(m3_txn_write(txn, test_series(txn, "ns", options, name), time_ns, value,
						  M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err));
}

/* Commits and frees. */
static void
finish(M3Txn *txn, const M3CommitOptions *commit)
{
	CHECK_OK(m3_txn_prepare(txn, commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

static void
test_last_write_wins(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	const double values[] = {1, 2, 1};

	clean_directory();
	open_engine(&engine, 4 << 20);
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, values[i], &err));
	CHECK(value_at(&engine, "a", T0) == 1.0);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 - 5 * S, 7, &err));
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 - 5 * S, 8, &err));
	CHECK(value_at(&engine, "a", T0 - 5 * S) == 8.0);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 2);
	test_engine_crash(&engine);

	open_engine(&engine, 4 << 20);
	CHECK(value_at(&engine, "a", T0) == 1.0);
	CHECK(value_at(&engine, "a", T0 - 5 * S) == 8.0);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 2);
	test_engine_crash(&engine);
}

/* 1 000 points backwards: more streams than a bucket keeps, one set of points. */
static void
test_reverse_order(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestPoint	points[1001];
	TestEngine	engine;
	size_t		n;

	clean_directory();
	open_engine(&engine, 8 << 20);
	for (int i = 999; i >= 0; i--)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + i * S, i, &err));
	n = test_read(&engine, 0, "ns", "a", T0, T0 + 2000 * S, NULL, NULL, 0, points, 1001);
	CHECK_INT(n, 1000);
	for (size_t i = 0; i < n && i < 1000; i++)
		CHECK(points[i].time_ns == T0 + (int64_t) i * S && points[i].value == (double) i);
	n = test_read(&engine, 0, "ns", "a", T0 + 30 * S, T0 + 60 * S, NULL, NULL, 0, points, 1001);
	CHECK_INT(n, 30);
	CHECK(points[0].value == 30.0);
	test_engine_crash(&engine);
}

static void
test_snapshots(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	TestEngine	engine;
	M3Snapshot *before;
	M3Snapshot *during;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 4 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &before, &err));

	txn = begin(&engine, 0);
	write_point(txn, &options, "a", T0, 2);
	write_point(txn, &options, "b", T0, 2);
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &during, &err));
	/* staged, not published: nobody sees it, and another batch may come after it */
	CHECK_INT(count_of(&engine, 2, "b", NULL), 0);
	CHECK_OK(test_write(&engine, 2, "ns", &options, "b", T0 + S, 3, &err));
	CHECK_INT(count_of(&engine, 2, "b", NULL), 1);
	m3_txn_publish(txn);
	m3_txn_free(txn);

	CHECK_INT(count_of(&engine, 2, "b", NULL), 2);
	CHECK(value_at(&engine, "a", T0) == 2.0);
	CHECK_INT(count_of(&engine, 1, "b", before), 0);
	CHECK_INT(count_of(&engine, 1, "b", during), 0);
	for (int i = 0; i < 40; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + (i % 7) * S, 10 + i, &err));
	{
		TestPoint	point;

		CHECK_INT(test_read(&engine, 1, "ns", "a", ALL_START, ALL_END, before, NULL, 0,
							&point, 1), 1);
		CHECK(point.value == 1.0);
		CHECK_INT(test_read(&engine, 1, "ns", "a", ALL_START, ALL_END, during, NULL, 0,
							&point, 1), 1);
		CHECK(point.value == 1.0);
	}
	m3_snapshot_release(before);
	m3_snapshot_release(during);
	test_engine_crash(&engine);
}

static void
test_abort(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	TestEngine	engine;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 4 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	txn = begin(&engine, 0);
	for (int i = 0; i < 10; i++)
		write_point(txn, &options, "a", T0 + i * S, 99);
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	CHECK_OK(test_write(&engine, 1, "ns", &options, "a", T0 + 20 * S, 5, &err));
	CHECK(m3_txn_abort(txn));
	m3_txn_free(txn);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 2);
	CHECK(value_at(&engine, "a", T0) == 1.0);
	/* a merge that drops the dead points must keep the live ones */
	for (int i = 0; i < 50; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + (i % 3) * S, 100 + i, &err));
	CHECK_INT(count_of(&engine, 0, "a", NULL), 4);
	CHECK(value_at(&engine, "a", T0 + S) == 149.0);
	test_engine_crash(&engine);

	/* the abort entry outlives the crash */
	open_engine(&engine, 4 << 20);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 4);
	CHECK(value_at(&engine, "a", T0 + 20 * S) == 5.0);
	test_engine_crash(&engine);
}

static M3TransactionFate
fate_by_number(void *context, uint64_t full_xid)
{
	++*(int *) context;
	return full_xid == 7 ? M3_FATE_COMMITTED : full_xid == 8 ? M3_FATE_ABORTED : M3_FATE_UNKNOWN;
}

static void
test_fates(void)
{
	M3NamespaceOptions options = test_options(7200);
	int			asked = 0;
	M3BootstrapHooks hooks = {.fate = fate_by_number,.context = &asked};
	TestEngine	engine;

	clean_directory();
	open_engine(&engine, 4 << 20);
	for (uint64_t xid = 7; xid <= 8; xid++)
	{
		M3CommitOptions commit = {.synchronous = true,.full_xid = xid};
		M3Txn	   *txn;

		txn = begin(&engine, 0);
		write_point(txn, &options, "a", T0 + (int64_t) xid * S, 1);
		finish(txn, &commit);
	}
	test_engine_crash(&engine);

	test_engine_open(&engine, env, directory, 4 << 20, 3);
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
	CHECK_INT(asked, 2);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 1);
	CHECK(value_at(&engine, "a", T0 + 7 * S) == 1.0);
	test_engine_crash(&engine);

	/* settled for good: nobody is asked again, even where nobody can tell any more */
	asked = 0;
	test_engine_open(&engine, env, directory, 4 << 20, 3);
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
	CHECK_INT(asked, 0);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 1);
	test_engine_crash(&engine);
}

static void
test_unknown_fate_fails(void)
{
	M3NamespaceOptions options = test_options(7200);
	int			asked = 0;
	M3BootstrapHooks hooks = {.fate = fate_by_number,.context = &asked};
	M3CommitOptions commit = {.synchronous = true,.full_xid = 3};
	TestEngine	engine;
	M3RootProgress progress;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 4 << 20);
	txn = begin(&engine, 0);
	write_point(txn, &options, "a", T0, 1);
	finish(txn, &commit);
	test_engine_crash(&engine);

	test_engine_open(&engine, env, directory, 4 << 20, 1);
	CHECK_STATUS(test_engine_bootstrap(&engine, &hooks, &err), M3_UNSUPPORTED);
	CHECK_INT(m3_database_state(engine.dbs[0]), M3_ROOT_FAILED);
	m3_database_progress(engine.dbs[0], &progress);
	CHECK(strstr(progress.message, "transaction 3") != NULL);
	CHECK_STATUS(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err), M3_NOT_READY);
	/* once the operator has decided, it comes up */
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	CHECK_INT(count_of(&engine, 0, "a", NULL), 1);
	test_engine_crash(&engine);
}

static void
test_own_points(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestPoint	points[8];
	TestEngine	engine;
	M3TxnMark	mark;
	M3TxnMark	nothing = {0};
	uint32_t	a;
	uint32_t	b;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 4 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	txn = begin(&engine, 0);
	a = test_series(txn, "ns", &options, "a");
	b = test_series(txn, "ns", &options, "b");
	CHECK_OK(m3_txn_write(txn, a, T0, 2, M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
	CHECK_OK(m3_txn_write(txn, b, T0 - 100000 * S, 3, M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
	mark = m3_txn_mark(txn);
	CHECK_OK(m3_txn_write(txn, a, T0 + S, 4, M3_UNIT_NONE, m3_slice(NULL, 0), 2, &err));

	/* a command does not see its own points */
	CHECK_INT(test_read(&engine, 0, "ns", "a", ALL_START, ALL_END, NULL, txn, 1, points, 8), 1);
	CHECK(points[0].value == 1.0);
	CHECK_INT(test_read(&engine, 0, "ns", "a", ALL_START, ALL_END, NULL, txn, 2, points, 8), 1);
	CHECK(points[0].value == 2.0);
	CHECK_INT(test_read(&engine, 0, "ns", "a", ALL_START, ALL_END, NULL, txn, 3, points, 8), 2);
	CHECK_INT(test_read(&engine, 0, "ns", "b", ALL_START, ALL_END, NULL, txn, 3, points, 8), 1);
	CHECK_INT(test_read(&engine, 0, "ns", "b", T0, ALL_END, NULL, txn, 3, points, 8), 0);
	m3_txn_rollback_to(txn, &mark);
	CHECK_INT(test_read(&engine, 0, "ns", "a", ALL_START, ALL_END, NULL, txn, 3, points, 8), 1);
	m3_txn_rollback_to(txn, &nothing);
	CHECK_INT(test_read(&engine, 0, "ns", "b", ALL_START, ALL_END, NULL, txn, 3, points, 8), 0);
	m3_txn_free(txn);
	CHECK_INT(count_of(&engine, 0, "b", NULL), 0);
	test_engine_crash(&engine);
}

/* A batch of so many series that they do not fit; their number is in the names. */
static M3Status
write_many_series(TestEngine *engine, M3Txn *txn, int first, int count)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};

	(void) engine;
	for (int i = first; i < first + count; i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "many-%d", i);
		write_point(txn, &options, name, T0, i);
	}
	return m3_txn_prepare(txn, &commit, &err);
}

/* Rolling back to a mark forgets everything that was said after it. */
static void
test_marks(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions other = test_options(3600);
	M3NamespaceOptions short_lived = test_options(7200);
	M3RootOptions root = {.shard_count = 4};
	M3CommitOptions commit = {.synchronous = true};
	M3Tag		tag = {m3_slice_cstr("host"), m3_slice_cstr("elsewhere")};
	uint8_t		tags[64];
	TestEngine	engine;
	M3TxnMark	mark;
	M3Txn	   *txn;
	uint32_t	number;
	uint32_t	series;
	int64_t		size_ns;

	short_lived.retention_period_ns = 86400 * S;
	m3_tags_encode(&tag, 1, tags);
	clean_directory();
	open_engine(&engine, 4 << 20);
	txn = begin(&engine, 0);
	write_point(txn, &options, "a", T0, 1);
	mark = m3_txn_mark(txn);
	for (int i = 0; i < 200; i++)
	{
		char		name[16];

		snprintf(name, sizeof(name), "s%d", i);
		(void) test_series(txn, "ns", &options, name);
	}
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("ns"), &short_lived, &root, &number, &err));
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("new"), &other, &root, &number, &err));
	CHECK(m3_txn_block_size(txn, m3_slice_cstr("new"), &size_ns) && size_ns == 3600 * S);
	m3_txn_rollback_to(txn, &mark);
	CHECK(!m3_txn_block_size(txn, m3_slice_cstr("new"), &size_ns));
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("new"), &options, &root, &number, &err));
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("ns"), &options, &root, &number, &err));
	for (int i = 0; i < 200; i++)
	{
		char		name[16];

		snprintf(name, sizeof(name), "s%d", i);
		CHECK_OK(m3_txn_series(txn, number, m3_slice_cstr(name),
							   m3_slice(tags, m3_tags_encoded_size(&tag, 1)), &series, &err));
		CHECK_INT(series, i + 1);
	}
	CHECK_INT(test_series(txn, "ns", &options, "a"), 0);
	/* the old time is fine again, now that the retention is unlimited again */
	finish(txn, &commit);
	CHECK(value_at(&engine, "a", T0) == 1.0);
	test_engine_crash(&engine);
}

/* A batch that was staged and aborted takes its new series with it. */
static void
test_aborted_series(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3ArenaStats before;
	M3ArenaStats after;
	M3NamespaceInfo info;
	TestEngine	engine;

	clean_directory();
	open_engine(&engine, 4 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	for (int round = 0; round < 20; round++)
	{
		M3Txn	   *txn;

		txn = begin(&engine, 0);
		CHECK_OK(write_many_series(&engine, txn, round * 1000, 1000));
		CHECK(m3_txn_abort(txn));
		m3_txn_free(txn);
		m3_engine_arena_stats(engine.engines[0], round == 0 ? &before : &after);
	}
	CHECK(after.bytes_used <= before.bytes_used + 65536);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.series_count, 1);
	CHECK_INT(info.point_count, 1);
	test_engine_crash(&engine);
}

/* More points than a transaction keeps in memory, over several series and blocks. */
static void
test_spill(void)
{
	M3NamespaceOptions options = test_options(3600);
	M3CommitOptions commit = {.synchronous = true};
	const int64_t count = 250000;
	const char *names[] = {"a", "b", "c"};
	TestPoint  *points = malloc((size_t) count * sizeof(TestPoint));
	TestEngine	engine;
	uint32_t	series[3];
	M3TxnMark	mark = {0};
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 32 << 20);
	txn = begin(&engine, 0);
	for (int s = 0; s < 3; s++)
		series[s] = test_series(txn, "ns", &options, names[s]);
	for (int64_t i = 0; i < count; i++)
	{
		if (i == count / 3)
			mark = m3_txn_mark(txn);
		if (m3_txn_write(txn, series[i % 3], T0 + i * S, (double) i, M3_UNIT_NONE,
						 m3_slice(NULL, 0), 1, &err) != M3_OK)
			abort();
	}
	CHECK_INT(m3_txn_count(txn), count);
	CHECK_INT(test_read(&engine, 0, "ns", "b", ALL_START, ALL_END, NULL, txn, 2, points,
						(size_t) count), (count + 1) / 3);
	m3_txn_rollback_to(txn, &mark);
	for (int64_t i = count / 3; i < count; i++)
	{
		if (m3_txn_write(txn, series[i % 3], T0 + i * S, (double) -i, M3_UNIT_NONE,
						 m3_slice(NULL, 0), 1, &err) != M3_OK)
			abort();
	}
	finish(txn, &commit);
	for (int round = 0; round < 2; round++)
	{
		size_t		total = 0;
		bool		right = true;

		for (int s = 0; s < 3; s++)
		{
			size_t		n = test_read(&engine, 0, "ns", names[s], ALL_START, ALL_END, NULL, NULL, 0,
									  points, (size_t) count);

			total += n;
			for (size_t i = 0; i < n; i++)
			{
				int64_t		number = (points[i].time_ns - T0) / S;

				right = right && number == (int64_t) i * 3 + s &&
					points[i].value == (double) (number < count / 3 ? number : -number);
			}
		}
		CHECK_INT(total, count);
		CHECK(right);
		test_engine_crash(&engine);
		open_engine(&engine, 32 << 20);
	}
	test_engine_crash(&engine);
	free(points);
}

/* A batch that does not fit leaves no trace, and smaller ones go on. */
static void
test_full_arena(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	M3ArenaStats before;
	M3ArenaStats after;
	TestEngine	engine;
	M3Txn	   *txn;
	uint32_t	a;
	uint64_t	seed = 1;

	clean_directory();
	open_engine(&engine, 1 << 20);
	for (int i = 0; i < 10; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + i * S, i + 0.1, &err));
	m3_engine_arena_stats(engine.engines[0], &before);

	txn = begin(&engine, 0);
	a = test_series(txn, "ns", &options, "a");
	for (int i = 0; i < 400000; i++)
	{
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (m3_txn_write(txn, a, T0 + (5 + i) * S, m3_double_from_bits(seed >> 2), M3_UNIT_NONE,
						 m3_slice(NULL, 0), 0, &err) != M3_OK)
			abort();
	}
	CHECK_STATUS(m3_txn_prepare(txn, &commit, &err), M3_FULL);
	CHECK_STATUS(m3_txn_prepare(txn, &commit, &err), M3_FULL);
	m3_txn_free(txn);
	m3_engine_arena_stats(engine.engines[0], &after);
	CHECK(after.bytes_used < before.bytes_used + 16384);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 10);
	CHECK(value_at(&engine, "a", T0 + 7 * S) == 7.1);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + 5 * S, 50, &err));
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + 11 * S, 11, &err));
	CHECK(value_at(&engine, "a", T0 + 5 * S) == 50.0);
	test_engine_crash(&engine);
	open_engine(&engine, 1 << 20);
	CHECK_INT(count_of(&engine, 0, "a", NULL), 11);
	CHECK(value_at(&engine, "a", T0 + 5 * S) == 50.0);
	test_engine_crash(&engine);
}

/* Series made for a batch that failed are gone, however others use them meanwhile. */
static void
test_failed_series(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	M3ArenaStats before;
	M3ArenaStats after;
	M3NamespaceInfo info;
	TestEngine	engine;
	M3Snapshot *snapshot;
	M3Txn	   *other;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 2 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	m3_engine_arena_stats(engine.engines[0], &before);

	txn = begin(&engine, 0);
	CHECK_STATUS(write_many_series(&engine, txn, 0, 20000), M3_FULL);
	/* others can write at once, although the transaction has not ended */
	CHECK_OK(test_write(&engine, 1, "ns", &options, "many-1", T0, 1, &err));
	CHECK_STATUS(m3_txn_prepare(txn, &commit, &err), M3_FULL);
	CHECK_OK(test_write(&engine, 1, "ns", &options, "many-2", T0, 2, &err));
	CHECK_INT(count_of(&engine, 1, "many-3", NULL), 0);
	m3_txn_free(txn);
	m3_engine_arena_stats(engine.engines[0], &after);
	/* what stays is the room of tables that had grown: some 24 bytes a series */
	CHECK(after.bytes_used < before.bytes_used + 640 * 1024);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.series_count, 3);

	/* a snapshot, and a transaction that has found such a series, outlive its unlinking */
	other = begin(&engine, 2);
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &snapshot, &err));
	txn = begin(&engine, 0);
	CHECK_OK(write_many_series(&engine, txn, 100, 5));
	write_point(other, &options, "many-102", T0, 7);
	CHECK(m3_txn_abort(txn));
	m3_txn_free(txn);
	finish(other, &commit);
	CHECK(value_at(&engine, "many-102", T0) == 7.0);
	CHECK_INT(count_of(&engine, 1, "many-102", snapshot), 0);
	CHECK_INT(count_of(&engine, 1, "many-101", NULL), 0);
	m3_snapshot_release(snapshot);
	test_engine_crash(&engine);
}

/* Two transactions name a series; the one that made it fails before the other commits. */
static void
test_series_unlinked_meanwhile(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	TestEngine	engine;
	M3Txn	   *maker;
	M3Txn	   *user;
	uint64_t	seed = 1;
	uint32_t	series;

	clean_directory();
	open_engine(&engine, 1 << 20);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	maker = begin(&engine, 0);
	series = test_series(maker, "ns", &options, "shared");
	for (int i = 0; i < 300000; i++)
	{
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (m3_txn_write(maker, series, T0 + i * S, m3_double_from_bits(seed >> 2),
						 M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err) != M3_OK)
			abort();
	}
	CHECK_STATUS(m3_txn_prepare(maker, &commit, &err), M3_FULL);
	user = begin(&engine, 1);
	write_point(user, &options, "shared", T0, 5);
	CHECK_STATUS(m3_txn_prepare(maker, &commit, &err), M3_FULL);
	finish(user, &commit);
	CHECK_STATUS(m3_txn_prepare(maker, &commit, &err), M3_FULL);
	m3_txn_free(maker);
	CHECK(value_at(&engine, "shared", T0) == 5.0);
	CHECK_INT(count_of(&engine, 0, "shared", NULL), 1);
	test_engine_crash(&engine);
	open_engine(&engine, 1 << 20);
	CHECK(value_at(&engine, "shared", T0) == 5.0);
	CHECK_INT(count_of(&engine, 0, "shared", NULL), 1);
	test_engine_crash(&engine);
}

static uint64_t
counted(TestEngine *engine)
{
	M3NamespaceInfo info;

	return m3_namespace_info(engine->dbs[0], m3_slice_cstr("ns"), &info, &err) == M3_OK ?
		info.point_count : UINT64_MAX;
}

/* The counters follow merges, aborts and batches that did not fit. */
static void
test_counters(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	TestEngine	engine;
	M3Txn	   *txn;

	clean_directory();
	open_engine(&engine, 4 << 20);
	for (int i = 0; i < 100; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0 + i * S, i, &err));
	CHECK_INT(counted(&engine), 100);
	txn = begin(&engine, 0);
	for (int i = 50; i < 150; i++)
		write_point(txn, &options, "a", T0 + i * S, 7);
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	CHECK_INT(counted(&engine), 200);
	CHECK(m3_txn_abort(txn));
	m3_txn_free(txn);
	CHECK_INT(counted(&engine), 100);
	/* overwriting everything again and again is merged, so that it does not pile up */
	for (int round = 0; round < 30; round++)
	{
		txn = begin(&engine, 0);
		for (int i = 0; i < 100; i++)
			write_point(txn, &options, "a", T0 + i * S, round);
		finish(txn, &commit);
		CHECK(counted(&engine) >= 100 && counted(&engine) <= 400);
	}
	CHECK_INT(count_of(&engine, 0, "a", NULL), 100);
	CHECK(value_at(&engine, "a", T0 + 50 * S) == 29.0);
	test_engine_crash(&engine);
}

static void
test_refusals(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions other = test_options(3600);
	M3RootOptions root = {.shard_count = 4};
	M3RootOptions other_root = {.shard_count = 8};
	M3Tag		tag = {m3_slice_cstr("host"), m3_slice_cstr("elsewhere")};
	uint8_t		tags[64];
	TestEngine	engine;
	M3Txn	   *txn;
	uint32_t	number;
	uint32_t	series;

	clean_directory();
	open_engine(&engine, 4 << 20);
	env->now_ns(env);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", T0, 1, &err));
	txn = begin(&engine, 0);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr("ns"), &other, &root, &number, &err),
				 M3_CONFLICT);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr("ns"), &options, &other_root, &number, &err),
				 M3_CONFLICT);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr("a/b"), &options, &root, &number, &err),
				 M3_INVALID);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr(".."), &options, &root, &number, &err),
				 M3_INVALID);
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("ns"), &options, &root, &number, &err));
	m3_tags_encode(&tag, 1, tags);
	CHECK_STATUS(m3_txn_series(txn, number, m3_slice_cstr("a"),
							   m3_slice(tags, m3_tags_encoded_size(&tag, 1)), &series, &err),
				 M3_CONFLICT);
	series = test_series(txn, "ns", &options, "a");
	CHECK_STATUS(m3_txn_write(txn, series, -1, 1, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err),
				 M3_INVALID);
	CHECK_STATUS(m3_txn_write(txn, series, INT64_MAX, 1, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err),
				 M3_INVALID);
	CHECK_STATUS(m3_txn_write(txn, series, T0 + 1, 1, M3_UNIT_SECOND, m3_slice(NULL, 0), 0, &err),
				 M3_INVALID);
	CHECK_INT(m3_txn_count(txn), 0);
	m3_txn_free(txn);
	test_engine_crash(&engine);
}

/* spec/engine.md 18.1 with cold writes off, and the retention limit with them on. */
static void
test_windows(void)
{
	M3NamespaceOptions options = test_options(7200);
	int64_t		now = INT64_C(1704085200) * S;	/* 2024-01-01 05:00:00Z */
	TestEngine	engine;

	clean_directory();
	open_engine(&engine, 4 << 20);
	m3_env_posix_set_clock(env, now + 700000000);
	options.retention_period_ns = 48 * 3600 * S;
	options.cold_writes_enabled = false;
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", now - 600 * S, 1, &err));
	CHECK_STATUS(test_write(&engine, 0, "ns", &options, "a", now - 600 * S - 1, 1, &err),
				 M3_INVALID);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", now + 119 * S + 999000000, 1, &err));
	CHECK_STATUS(test_write(&engine, 0, "ns", &options, "a", now + 120 * S, 1, &err), M3_INVALID);
	CHECK(strncmp(err.message, "time ", 5) == 0);
	m3_env_posix_set_clock(env, now);
	options.cold_writes_enabled = true;
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", now - 48 * 3600 * S, 1, &err));
	CHECK_STATUS(test_write(&engine, 0, "ns", &options, "a", now - 48 * 3600 * S - 1, 1, &err),
				 M3_INVALID);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "a", now + 86400 * S, 1, &err));
	/* out of retention by whole blocks: gone for readers, and after a restart */
	m3_env_posix_set_clock(env, now + 4 * 3600 * S);
	{
		TestPoint	points[8];

		CHECK_INT(test_read(&engine, 0, "ns", "a", 0, INT64_MAX, NULL, NULL, 0, points, 8), 3);
		test_engine_crash(&engine);
		open_engine(&engine, 4 << 20);
		CHECK_INT(test_read(&engine, 0, "ns", "a", 0, INT64_MAX, NULL, NULL, 0, points, 8), 3);
	}
	m3_env_posix_set_clock(env, INT64_MIN);
	test_engine_crash(&engine);
}

int
main(void)
{
	snprintf(directory, sizeof(directory), "/tmp/m3_test_db_%d", (int) getpid());
	env = m3_env_posix_create(0);
	test_last_write_wins();
	test_reverse_order();
	test_snapshots();
	test_abort();
	test_fates();
	test_unknown_fate_fails();
	test_own_points();
	test_marks();
	test_aborted_series();
	test_spill();
	test_full_arena();
	test_failed_series();
	test_series_unlinked_meanwhile();
	test_counters();
	test_refusals();
	test_windows();
	clean_directory();
	rmdir(directory);
	m3_env_posix_destroy(env);
	return check_report();
}
