/*
 * Sorts more records than memory holds: runs in a temporary file, merged.
 *
 * A record is a key and a value, both bytes; keys go by memcmp, shorter first.
 * Records of equal keys come in no particular order.  Memory is the size asked for at
 * creation, and what the largest record needs beyond it.  Temporary files have no name: they
 * are gone with the sorter, or with the process.
 */
#ifndef M3DUMP_SORTER_H
#define M3DUMP_SORTER_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"

typedef struct Sorter Sorter;

/* Less than this is rounded up. */
#define SORTER_MIN_MEMORY (UINT64_C(16) * 1024)

extern M3Status sorter_create(M3Env *env, M3Memory *memory, uint64_t memory_size,
							  Sorter **sorter, M3Error *err);
extern void sorter_free(Sorter *sorter);	/* NULL allowed */

/* Copies the record.  M3_INVALID for a key or value of 4 GiB or more. */
extern M3Status sorter_add(Sorter *sorter, M3Slice key, M3Slice value, M3Error *err);

/* No more records; call once, before the first next. */
extern M3Status sorter_finish(Sorter *sorter, M3Error *err);

/* The next record in order, valid until the next call; M3_NOT_FOUND at the end. */
extern M3Status sorter_next(Sorter *sorter, M3Slice *key, M3Slice *value, M3Error *err);

typedef struct SorterStats
{
	uint64_t	records;
	uint64_t	runs;			/* written while adding; 0: all was held in memory */
	uint64_t	passes;			/* over the runs before the last merge */
	uint64_t	spilled_bytes;
} SorterStats;

extern void sorter_stats(const Sorter *sorter, SorterStats *stats);

#endif							/* M3DUMP_SORTER_H */
