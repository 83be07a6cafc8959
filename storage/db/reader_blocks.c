/*
 * Which blocks of a series a reader goes through, and which it would read next from either end.
 */
#include <string.h>

#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static M3Status
reserve_blocks(M3Reader *reader, size_t need, M3Error *err)
{
	int64_t    *grown;

	if (need <= reader->block_capacity)
		return M3_OK;
	need += need / 4 + 16;
	grown = m3_resize(reader->scan->memory, reader->blocks, need * sizeof(*grown));
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for a list of %zu blocks", need);
	reader->blocks = grown;
	reader->block_capacity = need;
	return M3_OK;
}

static M3Status
list_buckets(M3Reader *reader, M3FileRange *files, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = m3i_stripe_lock(series);
	int64_t		first_ns = m3i_scan_first_block(scan, reader->start_ns);

	for (;;)
	{
		const M3Bucket *buckets;
		uint32_t	first;
		uint32_t	end;
		size_t		count;
		bool		fits;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		buckets = m3_series_buckets(db->arena, series);
		first = m3_series_lower_bound(db->arena, series, first_ns);
		end = m3_series_lower_bound(db->arena, series, reader->end_ns);
		count = end > first ? end - first : 0;
		fits = count <= reader->block_capacity;
		if (fits)
		{
			for (size_t i = 0; i < count; i++)
				reader->blocks[i] = buckets[first + i].start_ns;
			reader->block_count = count;
			scan->stats.blocks_skipped += series->bucket_count - count;
			files->first_ns = series->first_file_ns;
			files->last_ns = series->last_file_ns;
		}
		db->env->unlock(db->env, lock);
		if (fits)
			return M3_OK;
		M3_TRY(reserve_blocks(reader, count, err));
	}
}

/* Adds a block unless it is there.  *at is 0 before the first of several, which ascend. */
static M3Status
add_block(M3Reader *reader, int64_t start_ns, size_t *at, M3Error *err)
{
	while (*at < reader->block_count && reader->blocks[*at] < start_ns)
		(*at)++;
	if (*at < reader->block_count && reader->blocks[*at] == start_ns)
		return M3_OK;
	M3_TRY(reserve_blocks(reader, reader->block_count + 1, err));
	memmove(&reader->blocks[*at + 1], &reader->blocks[*at],
			(reader->block_count - *at) * sizeof(int64_t));
	reader->blocks[*at] = start_ns;
	reader->block_count++;
	return M3_OK;
}

/* How many blocks have a fileset that may hold the series, in the range or not. */
static size_t
count_files(const M3Reader *reader, const M3BlockList *list, const M3FileRange *files)
{
	const M3Scan *scan = reader->scan;

	/* the list has those in the scan's range */
	if (files->first_ns < m3i_scan_first_block(scan, scan->start_ns) ||
		files->last_ns >= scan->end_ns)
		return m3i_blocks_count(scan->db, m3i_scan_namespace(scan), reader->shared->shard,
								files->first_ns, files->last_ns);
	return m3i_block_list_lower_bound(list, files->last_ns + 1) -
		m3i_block_list_lower_bound(list, files->first_ns);
}

static M3Status
add_file_blocks(M3Reader *reader, const M3FileRange *files, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	int64_t		first_ns = m3i_scan_first_block(scan, reader->start_ns);
	int64_t		end_ns = reader->end_ns;
	const M3BlockList *list = NULL;
	size_t		first;
	size_t		end;
	size_t		at = 0;

	if (files->first_ns > files->last_ns)
		return M3_OK;
	M3_TRY(m3i_scan_blocks(scan, reader->shared->shard, &list, err));
	/* of those that may hold the series, those in the range */
	if (first_ns < files->first_ns)
		first_ns = files->first_ns;
	if (end_ns > files->last_ns)
		end_ns = files->last_ns + 1;
	first = m3i_block_list_lower_bound(list, first_ns);
	end = first_ns < end_ns ? m3i_block_list_lower_bound(list, end_ns) : first;
	scan->stats.blocks_skipped += count_files(reader, list, files) - (end - first);
	for (size_t i = first; i < end; i++)
		M3_TRY(add_block(reader, list->blocks[i].start_ns, &at, err));
	return M3_OK;
}

size_t
m3i_own_lower_bound(const M3OwnPoints *own, const M3OwnSeries *series, int64_t time_ns)
{
	size_t		low = series->first;
	size_t		high = series->end;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (own->points[middle].time_ns < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Adds the blocks that only the transaction has written to. */
static M3Status
add_own_blocks(M3Reader *reader, M3Error *err)
{
	const M3Scan *scan = reader->scan;
	const M3OwnSeries *own = reader->series->own;
	size_t		first = m3i_own_lower_bound(&scan->own, own, reader->start_ns);
	size_t		end = m3i_own_lower_bound(&scan->own, own, reader->end_ns);
	int64_t		last_ns = INT64_MIN;
	size_t		at = 0;

	for (size_t i = first; i < end; i++)
	{
		int64_t		start_ns = m3_block_start(scan->own.points[i].time_ns, scan->block_size_ns);

		if (start_ns == last_ns)
			continue;
		last_ns = start_ns;
		M3_TRY(add_block(reader, start_ns, &at, err));
	}
	return M3_OK;
}

static M3Status
list_blocks(M3Reader *reader, M3Error *err)
{
	if (reader->shared != NULL)
	{
		M3FileRange files;

		M3_TRY(list_buckets(reader, &files, err));
		M3_TRY(add_file_blocks(reader, &files, err));
	}
	if (reader->series->own != NULL)
		M3_TRY(add_own_blocks(reader, err));
	return M3_OK;
}

M3Status
m3_reader_open_range(M3Reader *reader, size_t series_index, int64_t start_ns, int64_t end_ns,
					 M3Error *err)
{
	const M3Scan *scan = reader->scan;
	M3Status	status = M3_OK;

	reader->series = &scan->series[series_index];
	reader->shared = reader->series->ref == 0 || scan->shared_hidden ? NULL :
		m3_arena_at(scan->db->arena, reader->series->ref);
	reader->start_ns = start_ns > scan->start_ns ? start_ns : scan->start_ns;
	reader->end_ns = end_ns < scan->end_ns ? end_ns : scan->end_ns;
	reader->block_count = 0;
	if (reader->start_ns < reader->end_ns)
		status = list_blocks(reader, err);
	reader->next_block = 0;
	reader->end_block = status == M3_OK ? reader->block_count : 0;
	return status;
}

M3Status
m3_reader_open(M3Reader *reader, size_t series_index, M3Error *err)
{
	const M3Scan *scan = reader->scan;

	return m3_reader_open_range(reader, series_index, scan->start_ns, scan->end_ns, err);
}

void
m3i_reader_blocks(const M3Reader *reader, const int64_t **starts_ns, size_t *count)
{
	*starts_ns = reader->blocks;
	*count = reader->block_count;
}

bool
m3_reader_peek(const M3Reader *reader, bool from_end, int64_t *start_ns, int64_t *end_ns)
{
	int64_t		block_ns;
	int64_t		block_end_ns;

	if (reader->next_block == reader->end_block)
		return false;
	block_ns = reader->blocks[from_end ? reader->end_block - 1 : reader->next_block];
	block_end_ns = m3i_scan_block_end(reader->scan, block_ns);
	*start_ns = block_ns > reader->start_ns ? block_ns : reader->start_ns;
	*end_ns = block_end_ns < reader->end_ns ? block_end_ns : reader->end_ns;
	return true;
}

void
m3i_reader_pass(M3Reader *reader, bool from_end)
{
	if (from_end)
		reader->end_block--;
	else
		reader->next_block++;
}
