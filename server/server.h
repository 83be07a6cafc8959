/*
 * What server/ offers to fdw/ and to the module's entry point.
 *
 * server/ gives the storage engine its life inside PostgreSQL: shared memory,
 * locks, files, the background worker, settings, errors and views.  fdw/ uses
 * the engine's API (storage/m3.h) on the handles it gets here.
 */
#ifndef M3DB_SERVER_H
#define M3DB_SERVER_H

#include "storage/m3.h"

/* settings (guc.c) */
typedef enum M3dbStrategy
{
	M3DB_STRATEGY_SYNCHRONOUS,
	M3DB_STRATEGY_BEHIND
} M3dbStrategy;

extern int	m3db_commitlog_strategy;	/* m3db.commitlog_strategy */
extern int	m3db_write_wait_timeout;	/* m3db.write_wait_timeout, ms */
extern int	m3db_bootstrap_wait_timeout;	/* m3db.bootstrap_wait_timeout, ms */

/* m3db.enable_*: each turns one optimization off; answers are the same. */
extern bool m3db_enable_filter_pushdown;
extern bool m3db_enable_tag_index;
extern bool m3db_enable_statistics;
extern bool m3db_enable_sorted_scan;
extern bool m3db_enable_distinct_pushdown;
extern bool m3db_enable_aggregate_pushdown;
extern bool m3db_enable_parallel_scan;

extern void m3db_guc_init(void);
extern void m3db_shmem_init(void);
extern void m3db_worker_register(void);

/*
 * The current database's root, ready for use.  Raises a clear error when the
 * library was not preloaded (55000), on a standby or in recovery (25006), in
 * single-user mode (0A000), during pg_upgrade (0A000); waits for a
 * bootstrap that is under way up to m3db.bootstrap_wait_timeout, then 57P03 with how
 * far it is.  Cheap once the root is ready.  Never call it at plan time of
 * EXPLAIN-only paths that can do without: see m3db_database_if_ready.
 */
extern M3Database *m3db_database(void);

/* The same, or NULL without waiting and without an error. */
extern M3Database *m3db_database_if_ready(void);

/* Whether m3db_database() can work here at all, now or after waiting. */
extern bool m3db_engine_is_usable(void);

/*
 * Takes a lock on a namespace's name, to the end of the transaction: exclusive to look at
 * all tables that map it, shared to commit one more.  What others committed meanwhile is seen
 * in the catalogs afterwards.
 */
extern void m3db_lock_namespace(M3Slice name, bool exclusive);

/* Has the worker remove all data of a database that does not exist any more.  False if there
 * is no room for the request, or no engine; cannot fail otherwise. */
extern bool m3db_drop_request(Oid database);

/* Storage memory that lives in a memory context, allocated in it. */
extern M3Memory *m3db_memory(MemoryContext context);

/* Raises an ERROR unless status is M3_OK; never returns otherwise. */
extern void m3db_check(M3Status status, const M3Error *err);

/* The same for an error that concerns a foreign table: adds a CONTEXT-free
 * DETAIL/HINT suited to writes (which option or setting to look at). */
extern void m3db_report(int elevel, const M3Error *err);

/*
 * Waits, interruptibly, until arena space was freed or timeout_ms passed since
 * started; false when there is nothing left to wait for.  For M3_FULL.
 */
extern bool m3db_wait_for_space(TimestampTz started, int timeout_ms);

/* Wakes those who wait for space; cheap when nobody does.  After whatever may
 * have freed some: an abort, a flush, a dropped namespace. */
extern void m3db_space_was_freed(void);

/* Tells the worker that log bytes wait to be written which nobody syncs: after
 * a commit that was not synchronous.  Cheap; cannot fail. */
extern void m3db_log_waiting(void);

/* The commit strategy in force: m3db.commitlog_strategy and synchronous_commit. */
extern bool m3db_commit_is_synchronous(void);

#endif							/* M3DB_SERVER_H */
