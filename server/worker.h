/*
 * What the background worker's parts share: the main loop (worker.c), the jobs it
 * does for each root (jobs.c), and making room in the arena (relief.c).  Nobody else includes this.
 */
#ifndef M3DB_WORKER_H
#define M3DB_WORKER_H

#include "datatype/timestamp.h"

#include "storage/m3.h"

/* When what failed is tried again. */
typedef struct M3dbRetry
{
	TimestampTz at;				/* not before this time; 0: at once */
	int			backoff_ms;		/* that was added to the last failure's time */
} M3dbRetry;

/* Puts the next attempt off, longer each time. */
extern void m3db_retry_later(M3dbRetry *retry);

/* What the worker remembers of a root. */
typedef struct M3dbWorkerRoot
{
	uint32_t	id;
	M3Database *db;
	M3dbRetry	retry;			/* of the bootstrap, or of writing out the log */
	TimestampTz flushed_at;		/* the log */

	/* rounds; see jobs.c */
	M3dbRetry	job_retry[M3_JOB_COUNT];
	TimestampTz looked_at;		/* when it was last considered whether to do a round */
	TimestampTz round_at;		/* when the last round began; 0: never */
	uint64_t	committed;		/* batches, when it began */
	uint64_t	aborted;
	bool		unfinished;		/* it did something, so there may be more to do */
} M3dbWorkerRoot;

extern M3dbWorkerRoot m3db_worker_roots[M3_MAX_ROOTS];
extern size_t m3db_worker_root_count;

/*
 * Ends what an ERROR left behind in this process, which has no transactions, after
 * writing it to the log.  For use in PG_CATCH.
 */
extern void m3db_worker_recover(MemoryContext context);

/* Serves what backends asked for, and does a round if it is time for one.  The root is
 * READY.  Raises no error. */
extern void m3db_jobs_serve(M3dbWorkerRoot *root);

/* Milliseconds after which it should be called again. */
extern long m3db_jobs_sleep(const M3dbWorkerRoot *root, TimestampTz now);

/* A flush of what is largest, until target_used bytes of the arena are in use: filesets
 * written; *held grows by the series that were left.  And a tick. */
extern uint64 m3db_jobs_flush_early(M3dbWorkerRoot *root, uint64 target_used, uint64 *held);
extern void m3db_jobs_tick(M3dbWorkerRoot *root);

/* Flushes early, in any root, if the arena is nearly full or somebody waits for space. */
extern void m3db_relieve(void);
extern long m3db_relieve_sleep(TimestampTz now);

/* Somebody waits for space, and it is time to do something about it. */
extern bool m3db_relief_is_wanted(void);

#endif							/* M3DB_WORKER_H */
