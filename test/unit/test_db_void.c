/*
 * TRUNCATE, DROP and ALTER: transactions that empty or change namespaces.
 */
#include <setjmp.h>

#include "storage/db/db_private.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define ALL_START (T0 - 1000000 * S)
#define ALL_END (T0 + 1000000 * S)

static const M3CommitOptions synchronous = {.synchronous = true};

static M3Error err;
static M3Env *env;
static uint64_t log_max_size;

static void
open_engine_with(TestEngine *engine, const M3BootstrapHooks *hooks)
{
	test_engine_open(engine, env, "/data", 16 << 20, 3);
	if (log_max_size != 0)
		engine->settings.log_max_size = log_max_size;
	CHECK_OK(test_engine_bootstrap(engine, hooks, &err));
}

static void
start(TestEngine *engine)
{
	if (env != NULL)
		env_fault_destroy(env);
	env = env_fault_create();
	open_engine_with(engine, NULL);
}

static void
restart(TestEngine *engine)
{
	test_engine_crash(engine);
	open_engine_with(engine, NULL);
}

static M3Txn *
begin(TestEngine *engine, uint32_t handle)
{
	M3Txn	   *txn = NULL;

	CHECK_OK(m3_txn_begin(engine->dbs[handle], &engine->heaps[handle].memory, &txn, &err));
	return txn;
}

static void
put(M3Txn *txn, const char *ns, const M3NamespaceOptions *options, const char *name,
	int64_t time_ns, double value)
{
	CHECK_OK(m3_txn_write(txn, test_series(txn, ns, options, name), time_ns, value, M3_UNIT_NONE,
						  m3_slice(NULL, 0), 0, &err));
}

static void
empty(M3Txn *txn, const char *ns, bool dropped)
{
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr(ns), dropped, &err));
}

static void
finish(M3Txn *txn)
{
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

static void
empty_at_once(TestEngine *engine, uint32_t handle, const char *ns, bool dropped)
{
	M3Txn	   *txn = begin(engine, handle);

	empty(txn, ns, dropped);
	finish(txn);
}

/* One point, for everybody. */
static void
put_at_once(TestEngine *engine, const char *ns, const M3NamespaceOptions *options,
			const char *name, int64_t time_ns, double value)
{
	CHECK_OK(test_write(engine, 0, ns, options, name, time_ns, value, &err));
}

static size_t
count(TestEngine *engine, const char *ns, const char *name)
{
	TestPoint	points[1];

	return test_read(engine, 2, ns, name, ALL_START, ALL_END, NULL, NULL, 0, points, 1);
}

static size_t
own_count(TestEngine *engine, M3Txn *txn, const char *ns, const char *name)
{
	TestPoint	points[1];

	return test_read(engine, 0, ns, name, ALL_START, ALL_END, NULL, txn, 10, points, 1);
}

static double
value_at(TestEngine *engine, const char *ns, const char *name, int64_t time_ns)
{
	TestPoint	point;

	return test_read(engine, 2, ns, name, time_ns, time_ns + 1, NULL, NULL, 0, &point, 1) == 1 ?
		point.value : -1.0;
}

static M3NamespaceShared *
shared(TestEngine *engine, const char *ns)
{
	M3Ref		ref = m3i_namespace_find(engine->dbs[0], m3_slice_cstr(ns));

	return ref == 0 ? NULL : m3_arena_at(engine->dbs[0]->arena, ref);
}

/* A namespace that exists and has no pending voids. */
static void
check_quiet(TestEngine *engine, const char *ns)
{
	M3NamespaceShared *at = shared(engine, ns);

	CHECK(at != NULL && at->voids_pending == 0);
}

static void
test_truncate(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3Snapshot *snapshot;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	put_at_once(&engine, "ns", &options, "b", T0 + 90000 * S, 1);
	put_at_once(&engine, "other", &options, "a", T0, 7);

	txn = begin(&engine, 0);
	CHECK(!m3_txn_has_work(txn));
	empty(txn, "ns", false);
	CHECK(m3_txn_has_work(txn));
	CHECK_INT(m3_txn_count(txn), 0);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 0);
	CHECK_INT(own_count(&engine, txn, "other", "a"), 1);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK_INT(shared(&engine, "ns")->voids_pending, 1);
	m3_txn_publish(txn);
	m3_txn_free(txn);
	check_quiet(&engine, "ns");
	CHECK_INT(count(&engine, "ns", "a"), 0);
	CHECK_INT(count(&engine, "ns", "b"), 0);
	CHECK_INT(count(&engine, "other", "a"), 1);

	put_at_once(&engine, "ns", &options, "a", T0 + S, 2);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	restart(&engine);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK(value_at(&engine, "ns", "a", T0 + S) == 2.0);
	CHECK_INT(count(&engine, "ns", "b"), 0);
	CHECK_INT(count(&engine, "other", "a"), 1);

	/* a snapshot that is held keeps nothing back, and comes to no harm */
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &snapshot, &err));
	put_at_once(&engine, "ns", &options, "a", T0 + 2 * S, 3);
	empty_at_once(&engine, 0, "ns", false);
	put_at_once(&engine, "ns", &options, "a", T0 + 3 * S, 4);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	{
		TestPoint	points[4];

		CHECK_INT(test_read(&engine, 1, "ns", "a", ALL_START, ALL_END, snapshot, NULL, 0, points,
							4), 0);
	}
	m3_snapshot_release(snapshot);
	test_engine_crash(&engine);
}

/* What the transaction wrote before is gone, what it writes later stays. */
static void
test_in_one_transaction(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	put(txn, "ns", &options, "a", T0 + S, 2);
	put(txn, "ns", &options, "c", T0 + S, 2);
	put(txn, "other", &options, "a", T0 + S, 2);
	empty(txn, "ns", false);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 0);
	CHECK_INT(own_count(&engine, txn, "other", "a"), 1);
	put(txn, "ns", &options, "a", T0 + 2 * S, 3);
	put(txn, "ns", &options, "b", T0 + 2 * S, 3);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 1);
	CHECK_INT(own_count(&engine, txn, "ns", "c"), 0);
	finish(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK(value_at(&engine, "ns", "a", T0 + 2 * S) == 3.0);
		CHECK_INT(count(&engine, "ns", "b"), 1);
		CHECK_INT(count(&engine, "ns", "c"), 0);
		CHECK_INT(count(&engine, "other", "a"), 1);
		CHECK_INT(shared(&engine, "ns")->point_count, 2);
		CHECK(shared(&engine, "ns")->end_ns > T0 && shared(&engine, "ns")->first_block_ns <= T0);
		CHECK(shared(&engine, "ns")->unflushed_log != M3_COMMITLOG_NO_INDEX);
		restart(&engine);
	}

	/* a namespace that only this transaction knows: nothing remains, nothing is made */
	txn = begin(&engine, 0);
	put(txn, "new", &options, "a", T0, 1);
	empty(txn, "new", true);
	CHECK_INT(own_count(&engine, txn, "new", "a"), 0);
	finish(txn);
	CHECK(shared(&engine, "new") == NULL);
	txn = begin(&engine, 0);
	empty(txn, "nobody's", true);
	CHECK(!m3_txn_has_work(txn));
	CHECK_INT(own_count(&engine, txn, "nobody's", "a"), 0);
	finish(txn);
	test_engine_crash(&engine);
}

static void
test_savepoints(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3TxnMark	mark;
	M3TxnMark	inner;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	put(txn, "ns", &options, "a", T0 + S, 2);
	mark = m3_txn_mark(txn);
	empty(txn, "ns", true);
	put(txn, "ns", &options, "a", T0 + 2 * S, 3);
	inner = m3_txn_mark(txn);
	empty(txn, "ns", false);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 0);
	m3_txn_rollback_to(txn, &inner);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 1);
	m3_txn_rollback_to(txn, &mark);
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 2);
	put(txn, "ns", &options, "b", T0, 4);
	finish(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 2);
		CHECK_INT(count(&engine, "ns", "b"), 1);
		restart(&engine);
	}

	/* the entry that a void made for its namespace goes with it */
	txn = begin(&engine, 0);
	mark = m3_txn_mark(txn);
	empty(txn, "ns", false);
	m3_txn_rollback_to(txn, &mark);
	CHECK(!m3_txn_has_work(txn));
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 2);
	put(txn, "ns", &options, "c", T0, 5);
	empty(txn, "ns", false);
	mark = m3_txn_mark(txn);
	put(txn, "ns", &options, "d", T0, 5);
	m3_txn_rollback_to(txn, &mark);
	finish(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 0);
		CHECK_INT(count(&engine, "ns", "c"), 0);
		CHECK_INT(count(&engine, "ns", "d"), 0);
		restart(&engine);
	}
	test_engine_crash(&engine);
}

static void
test_drop(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceInfo info;
	TestEngine	engine;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	empty_at_once(&engine, 0, "ns", true);
	CHECK_STATUS(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err), M3_NOT_FOUND);
	CHECK_INT(count(&engine, "ns", "a"), 0);
	restart(&engine);
	CHECK_STATUS(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err), M3_NOT_FOUND);
	CHECK_INT(count(&engine, "ns", "a"), 0);

	/* comes back to life, with another block size */
	options = test_options(3600);
	put_at_once(&engine, "ns", &options, "a", T0 + S, 2);
	for (int round = 0; round < 2; round++)
	{
		CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
		CHECK_INT(info.options.block_size_ns, 3600 * S);
		CHECK_INT(count(&engine, "ns", "a"), 1);
		restart(&engine);
	}

	/* dropped by another between the first row and the commit */
	txn = begin(&engine, 0);
	put(txn, "ns", &options, "a", T0 + 5 * S, 9);
	put(txn, "ns", &options, "b", T0 + 5 * S, 9);
	empty_at_once(&engine, 1, "ns", true);
	finish(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK(value_at(&engine, "ns", "a", T0 + 5 * S) == 9.0);
		CHECK_INT(count(&engine, "ns", "b"), 1);
		restart(&engine);
	}

	/* voided by two, dropped by one of them first */
	txn = begin(&engine, 0);
	empty(txn, "ns", false);
	empty_at_once(&engine, 1, "ns", true);
	finish(txn);
	CHECK_STATUS(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err), M3_NOT_FOUND);
	test_engine_crash(&engine);
}

/* DROP TABLE; CREATE TABLE; INSERT in one transaction. */
static void
test_recreate(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions newer = test_options(7200);
	M3NamespaceOptions smaller = test_options(3600);
	M3RootOptions root_options = {.shard_count = 4};
	M3NamespaceInfo info;
	TestEngine	engine;
	M3Txn	   *txn;
	uint32_t	number;

	newer.retention_period_ns = INT64_C(20) * 366 * 86400 * S;
	newer.snapshot_enabled = false;
	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	put(txn, "ns", &options, "a", T0 + S, 1);
	empty(txn, "ns", true);
	put(txn, "ns", &newer, "a", T0 + 2 * S, 2);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK(info.options.snapshot_enabled);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK(info.options.snapshot_enabled);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK(value_at(&engine, "ns", "a", T0) == 1.0);
	m3_txn_publish(txn);
	m3_txn_free(txn);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK(!info.options.snapshot_enabled);
	CHECK_INT(info.options.retention_period_ns, newer.retention_period_ns);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK(value_at(&engine, "ns", "a", T0 + 2 * S) == 2.0);
		check_quiet(&engine, "ns");
		restart(&engine);
	}

	/* blocks of another size would lie beside the old ones until the commit */
	txn = begin(&engine, 0);
	empty(txn, "ns", true);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr("ns"), &smaller, &root_options, &number,
								  &err), M3_CONFLICT);
	CHECK(strstr(err.detail, "until this transaction commits") != NULL);
	finish(txn);
	txn = begin(&engine, 0);
	put(txn, "ns", &smaller, "a", T0, 3);
	finish(txn);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK_INT(shared(&engine, "ns")->options.block_size_ns, 3600 * S);

	/* of a namespace that never was, any */
	txn = begin(&engine, 0);
	put(txn, "new", &options, "a", T0, 4);
	CHECK_STATUS(m3_txn_namespace(txn, m3_slice_cstr("new"), &smaller, &root_options, &number,
								  &err), M3_CONFLICT);
	empty(txn, "new", true);
	put(txn, "new", &smaller, "a", T0 + S, 5);
	CHECK_INT(own_count(&engine, txn, "new", "a"), 1);
	finish(txn);
	CHECK_INT(count(&engine, "new", "a"), 1);
	CHECK_INT(shared(&engine, "new")->options.block_size_ns, 3600 * S);
	test_engine_crash(&engine);
}

static void
test_abort(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions narrow = test_options(7200);
	TestEngine	engine;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	empty(txn, "ns", true);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	CHECK(m3_txn_abort(txn));
	check_quiet(&engine, "ns");
	m3_txn_free(txn);
	txn = begin(&engine, 0);
	put(txn, "ns", &options, "b", T0, 1);
	empty(txn, "ns", false);
	put(txn, "ns", &options, "c", T0, 1);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	m3_txn_free(txn);
	check_quiet(&engine, "ns");
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK_INT(count(&engine, "ns", "b"), 0);
		CHECK_INT(count(&engine, "ns", "c"), 0);
		restart(&engine);
	}

	/* a prepare that fails leaves nothing, and can be tried again */
	narrow.retention_period_ns = 7200 * S;
	txn = begin(&engine, 0);
	empty(txn, "ns", false);
	put(txn, "ns", &narrow, "b", T0, 1);
	CHECK_STATUS(m3_txn_prepare(txn, &synchronous, &err), M3_INVALID);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	check_quiet(&engine, "ns");
	CHECK_INT(shared(&engine, "ns")->options.retention_period_ns, 0);
	put(txn, "ns", &options, "b", T0, 1);
	finish(txn);
	CHECK_INT(count(&engine, "ns", "a"), 0);
	CHECK_INT(count(&engine, "ns", "b"), 1);
	test_engine_crash(&engine);
}

static M3TransactionFate
say_fate(void *context, uint64_t full_xid)
{
	CHECK_INT(full_xid, 4711);
	return *(M3TransactionFate *) context;
}

/* A crash between prepare and publish: the host knows what became of the transaction. */
static void
test_fate(bool dropped, M3TransactionFate fate)
{
	M3CommitOptions options_xid = {.synchronous = true, .full_xid = 4711};
	M3BootstrapHooks hooks = {.context = &fate, .fate = say_fate};
	M3NamespaceOptions options = test_options(7200);
	bool		committed = fate == M3_FATE_COMMITTED;
	TestEngine	engine;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	put_at_once(&engine, "other", &options, "a", T0, 1);
	txn = begin(&engine, 1);
	empty(txn, "ns", dropped);
	if (!dropped)
		put(txn, "ns", &options, "b", T0, 2);
	CHECK_OK(m3_txn_prepare(txn, &options_xid, &err));
	/* later in the log */
	put_at_once(&engine, "other", &options, "b", T0, 3);
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	test_engine_kill(&engine);
	open_engine_with(&engine, &hooks);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), committed ? 0 : 1);
		CHECK_INT(count(&engine, "ns", "b"), committed && !dropped ? 1 : 0);
		CHECK((shared(&engine, "ns") == NULL) == (committed && dropped));
		CHECK_INT(count(&engine, "other", "a"), 1);
		CHECK_INT(count(&engine, "other", "b"), 1);
		restart(&engine);
	}
	test_engine_crash(&engine);
}

/* Many logs; voids and writes take turns, and the last word is the log's order. */
static void
test_replay_order(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;

	log_max_size = 600;
	start(&engine);
	for (int i = 0; i < 60; i++)
	{
		put_at_once(&engine, "ns", &options, "a", T0 + i * S, i);
		put_at_once(&engine, "other", &options, "a", T0 + i * S, i);
		if (i % 20 == 19 && i < 50)
			empty_at_once(&engine, 1, i < 30 ? "ns" : "other", i == 39);
	}
	CHECK(engine.dbs[0]->root->log.active_index > 10);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 40);
		CHECK_INT(count(&engine, "other", "a"), 20);
		CHECK(value_at(&engine, "other", "a", T0 + 40 * S) == 40.0);
		restart(&engine);
	}
	test_engine_crash(&engine);
	log_max_size = 0;
}

/* Batches prepared before, between and after voids, published in other orders. */
static void
test_interleaved(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3Txn	   *first;
	M3Txn	   *second;
	M3LogPlace	place;

	/* what was staged later than the void stays */
	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	first = begin(&engine, 0);
	empty(first, "ns", false);
	CHECK_OK(m3_txn_prepare(first, &synchronous, &err));
	second = begin(&engine, 1);
	put(second, "ns", &options, "a", T0 + S, 2);
	finish(second);
	m3_txn_publish(first);
	m3_txn_free(first);
	CHECK_INT(count(&engine, "ns", "a"), 1);
	CHECK(value_at(&engine, "ns", "a", T0 + S) == 2.0);
	CHECK(shared(&engine, "ns")->unflushed_log != M3_COMMITLOG_NO_INDEX);
	restart(&engine);
	CHECK_INT(count(&engine, "ns", "a"), 1);

	/* two voids: the later place counts, whoever is published last */
	first = begin(&engine, 0);
	empty(first, "ns", false);
	put(first, "ns", &options, "a", T0 + 2 * S, 3);
	CHECK_OK(m3_txn_prepare(first, &synchronous, &err));
	second = begin(&engine, 1);
	empty(second, "ns", false);
	put(second, "ns", &options, "a", T0 + 3 * S, 4);
	finish(second);
	place = shared(&engine, "ns")->purge;
	CHECK_INT(shared(&engine, "ns")->voids_pending, 1);
	m3_txn_publish(first);
	m3_txn_free(first);
	CHECK(memcmp(&place, &shared(&engine, "ns")->purge, sizeof(place)) == 0);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK(value_at(&engine, "ns", "a", T0 + 3 * S) == 4.0);
		check_quiet(&engine, "ns");
		restart(&engine);
	}
	test_engine_crash(&engine);
}

/* A point that is there already, to the bit, is not left out if that one is about to go. */
static void
test_repeats(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3Txn	   *txn;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	put_at_once(&engine, "ns", &options, "b", T0, 1);
	restart(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	CHECK_INT(shared(&engine, "ns")->point_count, 2);
	txn = begin(&engine, 0);
	empty(txn, "ns", false);
	put(txn, "ns", &options, "a", T0, 1);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	CHECK_OK(test_write(&engine, 1, "ns", &options, "b", T0, 1, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 1);
		CHECK_INT(count(&engine, "ns", "b"), 1);
		restart(&engine);
	}
	test_engine_crash(&engine);
}

/* Too many points to build the group ahead, and some of them spilled to a file. */
static void
test_large(void)
{
	M3NamespaceOptions options = test_options(86400);
	TestEngine	engine;
	M3Txn	   *txn;
	uint32_t	series;

	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	for (int part = 0; part < 2; part++)
	{
		series = test_series(txn, "ns", &options, part == 0 ? "old" : "a");
		for (int i = 0; i < 150000; i++)
		{
			if (m3_txn_write(txn, series, T0 + (1 + i) * S, i, M3_UNIT_NONE, m3_slice(NULL, 0), 0,
							 &err) != M3_OK)
				abort();
		}
		if (part == 0)
			empty(txn, "ns", false);
	}
	CHECK_INT(own_count(&engine, txn, "ns", "a"), 150000);
	CHECK_INT(own_count(&engine, txn, "ns", "old"), 0);
	finish(txn);
	for (int round = 0; round < 2; round++)
	{
		CHECK_INT(count(&engine, "ns", "a"), 150000);
		CHECK_INT(count(&engine, "ns", "old"), 0);
		CHECK(value_at(&engine, "ns", "a", T0) == -1.0);
		restart(&engine);
	}
	test_engine_crash(&engine);
}

/* Voids are logged whatever becomes of the namespace's points. */
static void
test_without_log(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions unlogged = test_options(7200);
	TestEngine	engine;
	M3Txn	   *txn;

	unlogged.writes_to_commitlog = false;
	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);
	txn = begin(&engine, 0);
	put(txn, "ns", &unlogged, "a", T0 + S, 2);
	empty(txn, "ns", false);
	put(txn, "ns", &unlogged, "b", T0 + S, 2);
	finish(txn);
	CHECK_INT(count(&engine, "ns", "a"), 0);
	CHECK_INT(count(&engine, "ns", "b"), 1);
	restart(&engine);
	CHECK_INT(count(&engine, "ns", "a"), 0);
	CHECK_INT(count(&engine, "ns", "b"), 0);
	test_engine_crash(&engine);
}

static void
alter(M3Txn *txn, const char *ns, const M3NamespaceOptions *options)
{
	CHECK_OK(m3_txn_alter(txn, m3_slice_cstr(ns), options, &err));
}

static void
test_alter(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3NamespaceOptions newer = test_options(7200);
	M3NamespaceOptions smaller = test_options(3600);
	M3NamespaceOptions wrong = test_options(7200);
	TestEngine	engine;
	M3TxnMark	mark;
	M3Txn	   *txn;

	newer.snapshot_enabled = false;
	wrong.buffer_past_ns = -1;
	start(&engine);
	put_at_once(&engine, "ns", &options, "a", T0, 1);

	txn = begin(&engine, 0);
	alter(txn, "nobody's", &newer);
	CHECK(!m3_txn_has_work(txn));
	CHECK_STATUS(m3_txn_alter(txn, m3_slice_cstr("ns"), &wrong, &err), M3_INVALID);
	CHECK_STATUS(m3_txn_alter(txn, m3_slice_cstr("ns"), &smaller, &err), M3_CONFLICT);
	mark = m3_txn_mark(txn);
	alter(txn, "ns", &newer);
	CHECK(m3_txn_has_work(txn));
	m3_txn_rollback_to(txn, &mark);
	CHECK(!m3_txn_has_work(txn));
	put(txn, "ns", &options, "a", T0 + S, 2);
	finish(txn);
	CHECK(shared(&engine, "ns")->options.snapshot_enabled);

	txn = begin(&engine, 0);
	alter(txn, "ns", &newer);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	CHECK(shared(&engine, "ns")->options.snapshot_enabled);
	CHECK(m3_txn_abort(txn));
	CHECK(shared(&engine, "ns")->options.snapshot_enabled);
	CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	CHECK(!shared(&engine, "ns")->options.snapshot_enabled);
	CHECK(engine.dbs[0]->root->registry_dirty);
	CHECK_INT(count(&engine, "ns", "a"), 2);

	/* INSERT, then ALTER: the last word is ALTER's */
	txn = begin(&engine, 0);
	put(txn, "ns", &newer, "a", T0 + 2 * S, 2);
	alter(txn, "ns", &options);
	finish(txn);
	CHECK(shared(&engine, "ns")->options.snapshot_enabled);
	CHECK_INT(count(&engine, "ns", "a"), 3);

	/* TRUNCATE, then another block size */
	txn = begin(&engine, 0);
	empty(txn, "ns", false);
	alter(txn, "ns", &smaller);
	finish(txn);
	CHECK_INT(shared(&engine, "ns")->options.block_size_ns, 3600 * S);
	put_at_once(&engine, "ns", &smaller, "a", T0, 1);
	CHECK_INT(count(&engine, "ns", "a"), 1);

	/* ALTER of an empty one and INSERT at once; of one with own points it is refused */
	empty_at_once(&engine, 0, "ns", false);
	txn = begin(&engine, 0);
	alter(txn, "ns", &options);
	put(txn, "ns", &options, "a", T0, 6);
	CHECK_STATUS(m3_txn_alter(txn, m3_slice_cstr("ns"), &smaller, &err), M3_CONFLICT);
	finish(txn);
	CHECK_INT(shared(&engine, "ns")->options.block_size_ns, 7200 * S);
	CHECK_INT(count(&engine, "ns", "a"), 1);

	/* DROP and ALTER: dropped */
	txn = begin(&engine, 0);
	alter(txn, "ns", &newer);
	empty(txn, "ns", true);
	finish(txn);
	CHECK(shared(&engine, "ns") == NULL);
	test_engine_crash(&engine);
}

/* Voids of what is in files, through the worker's jobs and restarts. */
static void
test_files(void)
{
	M3FlushOptions all = {.reason = M3_FLUSH_ALL};
	M3NamespaceOptions options = test_options(7200);
	M3FlushResult flushed;
	M3PurgeResult purged;
	TestEngine	engine;
	M3Txn	   *txn;

	for (int variant = 0; variant < 8; variant++)
	{
		start(&engine);
		put_at_once(&engine, "ns", &options, "a", T0, 1);
		put_at_once(&engine, "ns", &options, "b", T0, 1);
		put_at_once(&engine, "other", &options, "a", T0, 1);
		CHECK_OK(m3_flush_run(engine.dbs[0], &all, &flushed, &err));
		CHECK(flushed.filesets > 0);
		if (variant & 1)
			restart(&engine);
		put_at_once(&engine, "ns", &options, "b", T0 + S, 1);
		txn = begin(&engine, 0);
		empty(txn, "ns", (variant & 4) != 0);
		put(txn, "ns", &options, "a", T0 + S, 2);
		CHECK_INT(own_count(&engine, txn, "ns", "a"), 1);
		CHECK_INT(own_count(&engine, txn, "ns", "b"), 0);
		finish(txn);
		for (int step = 0; step < 6; step++)
		{
			CHECK_INT(count(&engine, "ns", "a"), 1);
			CHECK(value_at(&engine, "ns", "a", T0 + S) == 2.0);
			CHECK_INT(count(&engine, "ns", "b"), 0);
			CHECK_INT(count(&engine, "other", "a"), 1);
			if (step == 1)
			{
				CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
				CHECK_INT(purged.namespaces, 1);
			}
			else if (step == 3)
				CHECK_OK(m3_flush_run(engine.dbs[0], &all, &flushed, &err));
			else if (step != 0 || (variant & 2))
				restart(&engine);
		}
		test_engine_crash(&engine);
	}
}

/* All jobs of the worker, in their order. */
static void
do_jobs(M3Database *db)
{
	M3FlushOptions all = {.reason = M3_FLUSH_ALL};
	M3SnapshotOptions force = {.force = true};
	M3PurgeResult purged;
	M3TickResult ticked;
	M3FlushResult flushed;
	M3SnapshotResult taken;
	M3CleanupResult cleaned;

	CHECK_OK(m3_purge_run(db, &purged, &err));
	CHECK_OK(m3_tick_run(db, &ticked, &err));
	CHECK_OK(m3_flush_run(db, &all, &flushed, &err));
	CHECK_OK(m3_snapshot_run(db, &force, &taken, &err));
	CHECK_OK(m3_cleanup_run(db, &cleaned, &err));
}

/* The worker is at work between prepare and publish, and dies or not before it is again. */
static void
test_jobs_meanwhile(void)
{
	M3NamespaceOptions options = test_options(7200);
	TestEngine	engine;
	M3Txn	   *txn;

	for (int variant = 0; variant < 4; variant++)
	{
		start(&engine);
		put_at_once(&engine, "ns", &options, "a", T0, 1);
		put_at_once(&engine, "ns", &options, "b", T0, 1);
		put_at_once(&engine, "other", &options, "a", T0, 1);
		txn = begin(&engine, 0);
		empty(txn, "ns", false);
		put(txn, "ns", &options, "a", T0 + S, 2);
		CHECK_OK(m3_txn_prepare(txn, &synchronous, &err));
		do_jobs(engine.dbs[1]);
		CHECK_OK(test_write(&engine, 1, "ns", &options, "c", T0, 3, &err));
		do_jobs(engine.dbs[1]);
		CHECK_INT(count(&engine, "ns", "b"), 1);
		if (variant & 1)
		{
			CHECK(m3_txn_abort(txn));
			m3_txn_free(txn);
		}
		else
		{
			m3_txn_publish(txn);
			m3_txn_free(txn);
		}
		for (int step = 0; step < 5; step++)
		{
			CHECK_INT(count(&engine, "ns", "a"), 1);
			CHECK(value_at(&engine, "ns", "a", T0 + (variant & 1 ? 0 : S)) ==
				  (variant & 1 ? 1.0 : 2.0));
			CHECK_INT(count(&engine, "ns", "b"), variant & 1);
			CHECK_INT(count(&engine, "ns", "c"), 1);
			CHECK_INT(count(&engine, "other", "a"), 1);
			if (step == 0 && (variant & 2))
				restart(&engine);
			else if (step % 2 == 0)
				do_jobs(engine.dbs[1]);
			else
				restart(&engine);
		}
		test_engine_crash(&engine);
	}
}

/* --- a disk that fails and forgets --------------------------------------- */

#define STEPS 12
#define MAX_STATES 64

/* What may be there, as sets of steps whose point is. */
typedef struct States
{
	uint32_t	sets[MAX_STATES];
	size_t		count;
} States;

/* Every third step empties the namespace, every sixth drops it, before its point is written. */
static uint32_t
apply_step(uint32_t set, int step)
{
	return (step % 3 == 2 ? 0 : set) | UINT32_C(1) << step;
}

/* The step happened, or nobody knows. */
static void
follow(States *states, int step, bool happened)
{
	size_t		n = states->count;

	for (size_t i = 0; i < n; i++)
	{
		uint32_t	after = apply_step(states->sets[i], step);

		if (happened)
			states->sets[i] = after;
		else if (states->count < MAX_STATES)
			states->sets[states->count++] = after;
	}
}

static void
fault_step(TestEngine *engine, int step, States *states, volatile bool *in_doubt)
{
	M3NamespaceOptions options = test_options(7200);
	M3Error		error;
	M3Txn	   *txn;
	M3Status	status;

	if (m3_txn_begin(engine->dbs[0], &engine->heaps[0].memory, &txn, &error) != M3_OK)
		return;
	*in_doubt = true;
	if (step % 3 == 2)
	{
		(void) m3_txn_write(txn, test_series(txn, "ns", &options, "a"), T0 + 100 * S, 1,
							M3_UNIT_NONE, m3_slice(NULL, 0), 0, &error);
		(void) m3_txn_void(txn, m3_slice_cstr("ns"), step % 6 == 5, &error);
	}
	(void) m3_txn_write(txn, test_series(txn, "ns", &options, "a"), T0 + step * S, step,
						M3_UNIT_NONE, m3_slice(NULL, 0), 0, &error);
	status = m3_txn_prepare(txn, &synchronous, &error);
	if (status == M3_OK && step % 4 == 1)
	{
		if (!m3_txn_abort(txn))
			follow(states, step, false);
	}
	else if (status == M3_OK)
	{
		m3_txn_publish(txn);
		follow(states, step, true);
	}
	*in_doubt = false;
	m3_txn_free(txn);
	if (shared(engine, "ns") != NULL && shared(engine, "ns")->voids_pending != 0)
		CHECK(!"a void is left pending");
}

static void
run_faulty(TestEngine *engine, States *states, volatile int *step, volatile bool *in_doubt)
{
	M3FlushOptions all = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	M3PurgeResult purged;
	M3CleanupResult cleaned;

	if (test_engine_bootstrap(engine, NULL, &err) != M3_OK)
		return;
	for (*step = 0; *step < STEPS; ++*step)
	{
		fault_step(engine, *step, states, in_doubt);
		if (*step % 4 == 3)
			(void) m3_purge_run(engine->dbs[0], &purged, &err);
		if (*step % 5 == 2)
			(void) m3_log_rotate(engine->dbs[0], true, &err);
		if (*step % 5 == 3)
			(void) m3_flush_run(engine->dbs[0], &all, &flushed, &err);
		if (*step % 5 == 4)
			(void) m3_cleanup_run(engine->dbs[0], &cleaned, &err);
	}
}

static bool
is_possible(TestEngine *engine, const States *states)
{
	TestPoint	points[STEPS + 1];
	uint32_t	set = 0;
	size_t		n = test_read(engine, 0, "ns", "a", ALL_START, ALL_END, NULL, NULL, 0, points,
							  STEPS + 1);

	for (size_t i = 0; i < n && i <= STEPS; i++)
	{
		int			step = (int) ((points[i].time_ns - T0) / S);

		if (step >= STEPS || points[i].value != step)
			return false;
		set |= UINT32_C(1) << step;
	}
	for (size_t i = 0; i < states->count; i++)
	{
		if (states->sets[i] == set)
			return true;
	}
	fprintf(stderr, "    points %03x, not %03x or %zu others\n", set, states->sets[0],
			states->count - 1);
	return false;
}

/* What is known when the machine has stopped, or all is done. */
static void
run_until_panic(M3Env *fault_env, TestEngine *engine, States *states)
{
	volatile bool in_doubt = false;
	volatile int step = 0;
	jmp_buf		jump;

	env_fault_catch_panic(fault_env, &jump, &err);
	if (setjmp(jump) == 0)
		run_faulty(engine, states, &step, &in_doubt);
	else if (in_doubt)
		follow(states, step, false);
}

/* One life whose call "at" fails (0: none), a crash, then two more. */
static uint64_t
live(uint64_t at, bool for_ever, EnvFaultCrash mode)
{
	EnvFaultPlan plan = {.at = at, .for_ever = for_ever, .tear = at % 2 == 1};
	M3Env	   *fault_env = env_fault_create();
	States		states = {.count = 1};
	TestEngine	engine;
	uint64_t	calls;

	test_engine_open(&engine, fault_env, "/data", 4 << 20, 1);
	engine.settings.log_preallocate_size = 8192;
	env_fault_fail(fault_env, &plan);
	run_until_panic(fault_env, &engine, &states);
	calls = env_fault_calls(fault_env);
	env_fault_crash(fault_env, mode, at);
	test_engine_kill(&engine);
	for (int round = 0; round < 2; round++)
	{
		M3Status	status;

		test_engine_open(&engine, fault_env, "/data", 4 << 20, 1);
		engine.settings.log_preallocate_size = 8192;
		status = test_engine_bootstrap(&engine, NULL, &err);
		if (!CHECK(status == M3_OK && is_possible(&engine, &states)))
			fprintf(stderr, "    call %d, for ever %d, crash %d, round %d: %s\n", (int) at,
					for_ever, (int) mode, round, status == M3_OK ? "wrong points" : err.message);
		test_engine_crash(&engine);
		env_fault_crash(fault_env, mode, at + 1000);
	}
	env_fault_destroy(fault_env);
	return calls;
}

static void
test_faults(void)
{
	uint64_t	total = live(0, false, ENV_FAULT_DROP);

	for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
	{
		for (uint64_t at = 1; at <= total; at++)
		{
			(void) live(at, true, (EnvFaultCrash) mode);
			(void) live(at, false, (EnvFaultCrash) mode);
		}
	}
}

int
main(void)
{
	test_truncate();
	test_in_one_transaction();
	test_savepoints();
	test_drop();
	test_recreate();
	test_abort();
	test_fate(false, M3_FATE_COMMITTED);
	test_fate(false, M3_FATE_ABORTED);
	test_fate(true, M3_FATE_COMMITTED);
	test_fate(true, M3_FATE_ABORTED);
	test_replay_order();
	test_interleaved();
	test_repeats();
	test_large();
	test_without_log();
	test_alter();
	test_files();
	test_jobs_meanwhile();
	test_faults();
	env_fault_destroy(env);
	return check_report();
}
