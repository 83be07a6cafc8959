/*
 * What points were summed up to: for each bucket in which a group of series has any, a cell with
 * a summary for each slot.
 */
#ifndef M3DB_CELLS_H
#define M3DB_CELLS_H

#include "storage/m3.h"

typedef struct M3dbCells
{
	MemoryContext context;
	int			slot_count;		/* at least 1 */
	uint32		count;
	uint32		capacity;
	uint32	   *buckets;		/* of each cell */
	M3Summary  *summaries;		/* slot_count of each */

	/* 1 + number of the cell, by bucket - first_bucket; 0: none */
	uint32	   *numbers;
	uint32		first_bucket;
	uint32		bucket_capacity;
} M3dbCells;

/* No cells; memory comes from context, and goes with it. */
extern M3dbCells *m3db_cells_create(MemoryContext context, int slot_count);

/* Makes a cell that is not there, empty. */
extern M3Summary *m3db_cells_add(M3dbCells *cells, uint32 bucket);

static inline bool
m3db_cells_has(const M3dbCells *cells, uint32 bucket)
{
	uint32		at = bucket - cells->first_bucket;

	return at < cells->bucket_capacity && cells->numbers[at] != 0;
}

/* The summaries of a bucket's cell, made if need be; valid until the next cell is made. */
static inline M3Summary *
m3db_cells_get(M3dbCells *cells, uint32 bucket)
{
	if (!m3db_cells_has(cells, bucket))
		return m3db_cells_add(cells, bucket);
	return cells->summaries +
		(size_t) (cells->numbers[bucket - cells->first_bucket] - 1) * cells->slot_count;
}

#endif							/* M3DB_CELLS_H */
