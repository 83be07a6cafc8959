/*
 * Which committed batches a reader sees (design.md 5.6).
 *
 * Batches are numbered in the order of the commit log.  A snapshot is the next number
 * at the moment it was taken, and the few below it that were not published.
 * While it is held, buffers keep apart what it must not see.
 */
#ifndef M3_DB_SNAPSHOT_H
#define M3_DB_SNAPSHOT_H

#include "storage/db/engine.h"

typedef struct M3Snapshot M3Snapshot;

/* Memory from the engine handle. */
extern M3Status m3_snapshot_take(M3Database *db, M3Snapshot **snapshot, M3Error *err);
/* NULL allowed.  Cannot fail. */
extern void m3_snapshot_release(M3Snapshot *snapshot);

extern bool m3_snapshot_sees(const M3Snapshot *snapshot, uint64_t sequence);

#endif							/* M3_DB_SNAPSHOT_H */
