#include "postgres.h"

#include "compat.h"
#include "fdw/share.h"
#include "fdw/turns.h"

/* Things by unit, keeping their order within it. */
static void
sort_by_unit(M3dbTurns *turns, M3dbHashFn hash, void *context)
{
	uint32	   *units = MemoryContextAllocHuge(CurrentMemoryContext,
											   sizeof(uint32) * (turns->count + 1));
	uint32	   *starts = palloc0(sizeof(uint32) * (M3DB_SHARE_UNITS + 1));

	turns->order = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(uint32) * (turns->count + 1));
	turns->unit_ends = palloc(sizeof(uint32) * M3DB_SHARE_UNITS);
	for (size_t i = 0; i < turns->count; i++)
	{
		units[i] = (uint32) ((uint64) hash(context, i) * M3DB_SHARE_UNITS >> 32);
		starts[units[i] + 1]++;
	}
	for (uint32 u = 0; u < M3DB_SHARE_UNITS; u++)
	{
		starts[u + 1] += starts[u];
		turns->unit_ends[u] = starts[u + 1];
	}
	for (size_t i = 0; i < turns->count; i++)
		turns->order[starts[units[i]]++] = (uint32) i;
	pfree(units);
	pfree(starts);
}

void
m3db_turns_init(M3dbTurns *turns, M3dbShare *share, size_t count, M3dbHashFn hash,
				void *context)
{
	memset(turns, 0, sizeof(*turns));
	turns->share = share;
	turns->count = count;
	if (count >= PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many series for one scan")));
	if (share != NULL)
		sort_by_unit(turns, hash, context);
}

bool
m3db_turns_next(M3dbTurns *turns, size_t *thing)
{
	uint32		unit;

	if (turns->share == NULL)
	{
		if (turns->next >= turns->count)
			return false;
		*thing = turns->next++;
		return true;
	}
	while (turns->next >= turns->end)
	{
		if (!m3db_share_claim(turns->share, &unit))
			return false;
		turns->next = unit == 0 ? 0 : turns->unit_ends[unit - 1];
		turns->end = turns->unit_ends[unit];
	}
	*thing = turns->order[turns->next++];
	return true;
}

void
m3db_turns_rewind(M3dbTurns *turns)
{
	turns->next = 0;
	turns->end = 0;
}
