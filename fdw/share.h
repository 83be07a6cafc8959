/*
 * A scan shared by several processes: what lies in the parallel query's shared memory, and
 * this process's hold on it.
 *
 * The leader puts its storage snapshot there and holds it as long as workers run.  Work is
 * claimed in units (turns.h).  Workers leave there what they counted, for the leader's EXPLAIN.
 *
 * A transaction with points of its own does without workers, also where a plan made before asks
 * for some: its points are in the memory of its process.  It cannot write any more once workers
 * may run, for PostgreSQL lets nobody write in parallel mode.
 */
#ifndef M3DB_SHARE_H
#define M3DB_SHARE_H

#include "port/atomics.h"
#include "storage/m3.h"

/* Few series should not meet in one of them, and the last ones claimed be short; to claim one
 * costs next to nothing. */
#define M3DB_SHARE_UNITS 1024

typedef struct M3dbShared
{
	pg_atomic_uint32 next_unit;
	int			worker_count;
	Size		snapshot_size;	/* of m3_snapshot_write(), behind the array */
	M3ScanStats stats[FLEXIBLE_ARRAY_MEMBER];	/* of workers that are done, by their number */
} M3dbShared;

typedef struct M3dbShare
{
	M3dbShared *shared;
	M3Snapshot *snapshot;		/* a worker's, borrowed */
	bool		has_first;		/* claimed the first unit, now or before a rescan */
	M3ScanStats of_workers;		/* the leader's copy of what they counted, once they are gone */
} M3dbShare;

/* The next unit for this process; false when none is left. */
extern bool m3db_share_claim(M3dbShare *share, uint32 *unit);

/*
 * What a process has counted, as its part of the sum: all of them list the same series, which
 * the one that claimed the first unit reports.
 */
extern void m3db_share_part(const M3dbShare *share, M3ScanStats *stats);

/* A worker is done, and has counted that. */
extern void m3db_share_report(M3dbShare *share, const M3ScanStats *stats);

#endif							/* M3DB_SHARE_H */
