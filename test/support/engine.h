/*
 * An engine in private memory for tests: one or more "processes" (handles)
 * on a root under a directory of any M3Env.
 */
#ifndef M3_TEST_ENGINE_H
#define M3_TEST_ENGINE_H

#include "storage/m3.h"

#define TEST_ROOT_ID 5u

/* Memory that is freed all at once, as a process's is when it dies. */
typedef struct TestHeap
{
	M3Memory	memory;
	struct TestHeapBlock *blocks;
} TestHeap;

extern void test_heap_init(TestHeap *heap);
extern void test_heap_free_all(TestHeap *heap);

typedef struct TestEngine
{
	M3Env	   *env;
	TestHeap	heaps[8];		/* one a handle, also for its transactions */
	void	   *base;
	M3EngineSettings settings;
	M3Engine   *engines[8];
	M3Database *dbs[8];
	uint32_t	handle_count;
	char		directory[256];
} TestEngine;

/* Formats the memory and attaches handle_count handles; no bootstrap yet. */
extern void test_engine_open(TestEngine *engine, M3Env *env, const char *directory,
							 size_t arena_size, uint32_t handle_count);
/* Bootstraps through handle 0. */
extern M3Status test_engine_bootstrap(TestEngine *engine, const M3BootstrapHooks *hooks,
									  M3Error *err);
/* As if all processes ended: memory is gone, files are as they are. */
extern void test_engine_crash(TestEngine *engine);
/* The same without a last word to anybody: no file is closed. */
extern void test_engine_kill(TestEngine *engine);

/* Default options with blocks of block_seconds. */
extern M3NamespaceOptions test_options(int64_t block_seconds);

/* A series "name" with one tag host=name; its number in the transaction. */
extern uint32_t test_series(M3Txn *txn, const char *namespace_name,
							const M3NamespaceOptions *options, const char *name);

/* Writes one point and commits it, synchronously. */
extern M3Status test_write(TestEngine *engine, uint32_t handle, const char *namespace_name,
						   const M3NamespaceOptions *options, const char *name,
						   int64_t time_ns, double value, M3Error *err);

typedef struct TestPoint
{
	int64_t		time_ns;
	double		value;
} TestPoint;

/*
 * The points of one series in [start, end) with a snapshot (NULL: a fresh one) and the
 * own points of txn (NULL: none) below command.  Returns their number, up to capacity are
 * stored; SIZE_MAX after a failure.
 */
extern size_t test_read(TestEngine *engine, uint32_t handle, const char *namespace_name,
						const char *name, int64_t start_ns, int64_t end_ns,
						const M3Snapshot *snapshot, M3Txn *txn, uint32_t command,
						TestPoint *points, size_t capacity);

#endif							/* M3_TEST_ENGINE_H */
