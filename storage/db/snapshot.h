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

/*
 * Lending a snapshot to other processes of the engine, as bytes of their shared memory.
 *
 * The borrowed one sees what the original sees.  The horizon knows only of the original, whose
 * floor the lender's slot shows: for its sake buffers keep apart what both must not see, and
 * series stay that either may find.  So the lender holds it until all who borrowed have closed
 * their scans, however they end.
 */
extern size_t m3_snapshot_size(const M3Snapshot *snapshot);
extern void m3_snapshot_write(const M3Snapshot *snapshot, void *bytes);

/* size bytes as written.  Memory from memory; to be released before that goes, or to go with it.
 * M3_INVALID: no such bytes, or of another root. */
extern M3Status m3_snapshot_borrow(M3Database *db, const void *bytes, size_t size,
								   M3Memory *memory, M3Snapshot **snapshot, M3Error *err);

#endif							/* M3_DB_SNAPSHOT_H */
