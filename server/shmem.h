/*
 * What the processes of the server share besides the engine's arena, and this process's
 * handle on the engine.
 */
#ifndef M3DB_SHMEM_H
#define M3DB_SHMEM_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "server/requests.h"
#include "storage/m3.h"

typedef struct M3dbControl
{
	slock_t		mutex;			/* guards the worker's latch and pid, states of requests */
	Latch	   *worker_latch;	/* NULL while no worker runs */
	pid_t		worker_pid;

	/* Nonzero while the worker sleeps with nothing to write out. */
	pg_atomic_uint32 worker_idle;

	/* Processes with an engine handle, the worker not counted. */
	pg_atomic_uint32 attached_count;

	/* Set while the worker closes the logs: nobody may attach. */
	pg_atomic_uint32 closing;

	/* A root changed its state, or closing was reset. */
	ConditionVariable root_changed;

	/* Arena space was freed; processes that wait for it. */
	ConditionVariable space_freed;
	pg_atomic_uint32 space_waiters;

	/* What backends want the worker to do, at most one for a root. */
	M3dbRequest requests[M3_MAX_ROOTS];

	/* Roots of dropped databases, for the worker to remove; 0: a free place; mutex */
	Oid			drops[M3_MAX_ROOTS];

	/* A request changed its state, or removing was reset. */
	ConditionVariable request_changed;

	/* Sessions that hold the removal of files back, and whether the worker is at it. */
	pg_atomic_uint32 cleanup_holds;
	pg_atomic_uint32 removing;
} M3dbControl;

extern M3dbControl *m3db_control;	/* NULL when the library was not preloaded */
extern LWLockPadded *m3db_locks;	/* M3_LOCK_COUNT of them */

/* This process's handle, attached at the first call; raises an ERROR if that
 * fails.  The library is preloaded. */
extern M3Engine *m3db_engine(void);

/* Settings of the handle; see m3db_settings_update. */
extern M3EngineSettings m3db_engine_settings;

/* Wakes the worker; does nothing when there is none. */
extern void m3db_worker_wake(void);
extern bool m3db_worker_is_running(void);

/* The worker's attachment, which does not count in attached_count. */
extern M3Engine *m3db_engine_attach_worker(void);

#endif							/* M3DB_SHMEM_H */
