/*
 * Counting the points of whole shards from the block table alone.
 *
 * What a scan without conditions and without own points reads of a shard is, for each of its
 * series, what the buffers show of each block in the range, over the block's volume.  If a
 * series has no bucket in the range, that is its part of the volumes; if none has, all of
 * the volumes, for whoever is in a volume is in the scan's list:
 *
 *   - A volume holds settled points only, so every snapshot held sees them.  Their series were
 *     made before the points, hence before the snapshot, and the list is copied after it.
 *   - A series leaves the list of its namespace only when nothing of it is on disk, or when
 *     all that is has left retention and, before that, the table.
 *
 * Each series' buckets are looked at first, under its stripe's lock, the shard's table after
 * all of them, in one piece under its own.  A point that the snapshot sees was in a bucket or in
 * the table's volume all the time: a flush changes the table before it evicts, so what was
 * gone from a bucket is in the table when that is copied.  Whatever is written, flushed or merged
 * in between is of no interest: what the snapshot does not see is not settled while it is
 * held, and what is no longer in a bucket cannot come back to one.  The counts are part of the
 * table, so that no volume has to be still there.
 *
 * TRUNCATE empties the table before it empties buckets.  If it comes before the table is copied,
 * the shard counts nothing, as it would if it were read now.  The same goes for retention.
 *
 * A mount's table follows files that others write, without regard to snapshots and with series
 * the list does not have: nothing is settled there.
 */
#include <string.h>

#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series looked at between two looks for an interrupt. */
#define YIELD_EVERY 4096u

typedef enum ShardState
{
	NO_SERIES,
	ONLY_FILES,					/* none of its series has buckets in the range */
	UNSETTLED,
	COUNTED
} ShardState;

static bool
has_buckets(const M3Scan *scan, const M3Series *series)
{
	M3Database *db = scan->db;
	uint32_t	lock = m3i_stripe_lock(series);
	uint32_t	first;
	bool		found;

	db->env->lock(db->env, lock, M3_LOCK_SHARED);
	first = m3_series_lower_bound(db->arena, series, m3i_scan_first_block(scan, scan->start_ns));
	found = first < series->bucket_count &&
		m3_series_buckets(db->arena, series)[first].start_ns < scan->end_ns;
	db->env->unlock(db->env, lock);
	return found;
}

static void
look_at_buckets(const M3Scan *scan, uint8_t *states)
{
	for (size_t i = 0; i < scan->series_count; i++)
	{
		const M3Series *series = m3_arena_at(scan->db->arena, scan->series[i].ref);

		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			scan->db->env->yield(scan->db->env);
		if (states[series->shard] != UNSETTLED)
			states[series->shard] = has_buckets(scan, series) ? UNSETTLED : ONLY_FILES;
	}
}

/* False if that cannot be told from the table. */
static bool
count_blocks(const M3Scan *scan, const M3BlockList *list, uint64_t *points)
{
	*points = 0;
	for (size_t i = 0; i < list->count; i++)
	{
		const M3BlockShared *block = &list->blocks[i];

		if (block->points == M3_POINTS_UNKNOWN || block->start_ns < scan->start_ns ||
			m3i_scan_block_end(scan, block->start_ns) > scan->end_ns)
			return false;
		*points += block->points;
	}
	return true;
}

static void
remove_counted(M3Scan *scan, const uint8_t *states)
{
	size_t		kept = 0;

	for (size_t i = 0; i < scan->series_count; i++)
	{
		const M3Series *series = m3_arena_at(scan->db->arena, scan->series[i].ref);

		if (states[series->shard] != COUNTED)
			scan->series[kept++] = scan->series[i];
	}
	scan->series_count = kept;
}

static M3Status
count_shards(M3Scan *scan, uint8_t *states, uint64_t *count, M3Error *err)
{
	for (uint32_t s = 0; s < scan->shard_count; s++)
	{
		const M3BlockList *list;
		uint64_t	points;

		if (states[s] != ONLY_FILES)
			continue;
		M3_TRY(m3i_scan_blocks(scan, s, &list, err));
		if (!count_blocks(scan, list, &points))
			continue;
		*count += points;
		scan->stats.blocks_summarized += list->count;
		states[s] = COUNTED;
	}
	return M3_OK;
}

M3Status
m3_scan_count_settled(M3Scan *scan, uint64_t *count, M3Error *err)
{
	uint64_t	counted = 0;
	uint8_t    *states;
	M3Status	status;

	/* without own points, the series that there are are the namespace's, all of them */
	if (scan->has_matchers || scan->without_statistics || scan->own.count > 0 ||
		scan->db->read_only || scan->series_count == 0)
		return M3_OK;
	states = m3_alloc(scan->memory, scan->shard_count);
	if (states == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(states, NO_SERIES, scan->shard_count);
	look_at_buckets(scan, states);
	status = count_shards(scan, states, &counted, err);
	if (status == M3_OK)
	{
		remove_counted(scan, states);
		*count += counted;
	}
	m3_free(scan->memory, states);
	return status;
}
