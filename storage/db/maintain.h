/*
 * What the background worker does for a root that is READY.
 */
#ifndef M3_DB_MAINTAIN_H
#define M3_DB_MAINTAIN_H

#include "storage/db/engine.h"

/* Writes out and syncs log bytes that nobody waits for (level "behind").
 * Does nothing, cheaply, when there are none. */
extern M3Status m3_log_flush(M3Database *db, M3Error *err);

/* Rotates the log if its window has passed and it holds entries, or if forced. */
extern M3Status m3_log_rotate(M3Database *db, bool force, M3Error *err);

/* Drains, syncs and truncates the log for a clean stop.  A later write would start a new one.
 */
extern M3Status m3_log_shutdown(M3Database *db, M3Error *err);

typedef struct M3LogStats
{
	uint64_t	active_index;
	uint64_t	active_size;	/* bytes of the active log, without preallocation */
	uint64_t	groups;
	uint64_t	entries;
	uint64_t	bytes;
	uint64_t	syncs;
	uint64_t	sync_ns;
	uint64_t	rotations;
	uint64_t	unsynced_size;	/* bytes accepted and not yet durable */
	uint64_t	queue_size;		/* capacity */
	uint64_t	batches_committed;
	uint64_t	batches_aborted;
} M3LogStats;

extern void m3_log_stats(M3Database *db, M3LogStats *stats);

#endif							/* M3_DB_MAINTAIN_H */
