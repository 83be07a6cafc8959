#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "fdw/cells.h"

M3dbCells *
m3db_cells_create(MemoryContext context, int slot_count)
{
	M3dbCells  *cells = MemoryContextAllocZero(context, sizeof(M3dbCells));

	cells->context = context;
	cells->slot_count = slot_count;
	return cells;
}

static void *
grow(const M3dbCells *cells, void *old, size_t size)
{
	return old == NULL ? MemoryContextAllocHuge(cells->context, size) :
		repalloc_huge(old, size);
}

/* Makes room for the number of a bucket's cell. */
static void
reach_bucket(M3dbCells *cells, uint32 bucket)
{
	uint32		old_capacity = cells->bucket_capacity;
	uint32		first;
	uint64		capacity;
	uint32		shift;

	if (old_capacity == 0)
		cells->first_bucket = bucket;
	first = Min(cells->first_bucket, bucket);
	shift = cells->first_bucket - first;
	/* buckets are numbered as they are found, so as a rule it grows at the end */
	capacity = Max((uint64) old_capacity + shift, (uint64) bucket - first + 1);
	if (bucket >= cells->first_bucket)
		capacity += capacity / 2 + 4;
	capacity = Min(capacity, PG_UINT32_MAX);
	cells->numbers = grow(cells, cells->numbers, sizeof(uint32) * (Size) capacity);
	memmove(cells->numbers + shift, cells->numbers, sizeof(uint32) * old_capacity);
	memset(cells->numbers, 0, sizeof(uint32) * shift);
	memset(cells->numbers + shift + old_capacity, 0,
		   sizeof(uint32) * ((Size) capacity - shift - old_capacity));
	cells->first_bucket = first;
	cells->bucket_capacity = (uint32) capacity;
}

M3Summary *
m3db_cells_add(M3dbCells *cells, uint32 bucket)
{
	M3Summary  *summaries;

	if (bucket - cells->first_bucket >= cells->bucket_capacity)
		reach_bucket(cells, bucket);
	if (cells->count == cells->capacity)
	{
		uint32		capacity = cells->capacity == 0 ? 4 : cells->capacity * 2;

		cells->buckets = grow(cells, cells->buckets, sizeof(uint32) * (Size) capacity);
		cells->summaries = grow(cells, cells->summaries,
								sizeof(M3Summary) * (Size) capacity * cells->slot_count);
		cells->capacity = capacity;
	}
	summaries = cells->summaries + (size_t) cells->count * cells->slot_count;
	memset(summaries, 0, sizeof(M3Summary) * cells->slot_count);
	cells->buckets[cells->count] = bucket;
	cells->numbers[bucket - cells->first_bucket] = ++cells->count;
	return summaries;
}
