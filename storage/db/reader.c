/*
 * Reads the points of one series, block by block: what the buffers hold, over what the block's
 * fileset holds, under the transaction's own.
 *
 * Under the stripe's lock a reader only copies: the list of block starts when a
 * series is opened, and a block's compressed streams with what it may see of them
 * when its turn comes.
 *
 * Buffers come first and the table of blocks after them, for the list as well as for a block.  A
 * flush goes the other way: it puts a volume into the table before it takes what the volume holds
 * out of the buffers.  So what the reader no longer found in a buffer it finds in the
 * table, and what it meets twice is the same point.
 *
 * Files hold settled points only: those which every snapshot sees.  So what a volume has beyond an
 * earlier one was in the buffers, and seen, as long as it was not in the table; the
 * copy of the buffers stays good however often the volume is looked up again, and it may always
 * go over the volume.
 */
#include <string.h>

#include "storage/buffer/copy.h"
#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

struct M3Reader
{
	M3Scan	   *scan;
	const M3ScanSeries *series;
	const M3Series *shared;		/* NULL: own points only */
	int64_t    *blocks;			/* starts, ascending */
	size_t		block_count;
	size_t		block_capacity;
	size_t		next_block;

	M3Copy		copy;
	M3FileBlock file;

	M3Points	result;
	M3Points	own;
	M3Points	merged;
};

/* The blocks whose fileset may hold the series; none if first is above last. */
typedef struct FileRange
{
	int64_t		first_ns;
	int64_t		last_ns;
} FileRange;

M3Status
m3_reader_create(M3Scan *scan, M3Reader **result, M3Error *err)
{
	M3Reader   *reader = m3_alloc(scan->memory, sizeof(*reader));

	if (reader == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(reader, 0, sizeof(*reader));
	reader->scan = scan;
	m3_copy_init(&reader->copy, scan->memory, scan->with_annotations);
	m3_points_init(&reader->result, scan->memory, scan->with_annotations);
	m3_points_init(&reader->own, scan->memory, scan->with_annotations);
	m3_points_init(&reader->merged, scan->memory, scan->with_annotations);
	*result = reader;
	return M3_OK;
}

void
m3_reader_free(M3Reader *reader)
{
	M3Memory   *memory;

	if (reader == NULL)
		return;
	memory = reader->scan->memory;
	m3_copy_free(&reader->copy);
	m3_points_free(&reader->result);
	m3_points_free(&reader->own);
	m3_points_free(&reader->merged);
	m3_free(memory, reader->blocks);
	m3_free(memory, reader->file.cached);
	m3_free(memory, reader);
}

static uint32_t
stripe_lock(const M3Series *series)
{
	return M3_LOCK_STRIPE + m3_series_stripe(series->hash);
}

/* --- which blocks ------------------------------------------------------- */

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

/* No block that starts before it reaches into the range: that which holds the range's start
 * begins after start - block size. */
static int64_t
first_start_ns(const M3Scan *scan)
{
	return scan->start_ns > INT64_MIN + scan->block_size_ns ?
		scan->start_ns - scan->block_size_ns + 1 : INT64_MIN;
}

static M3Status
list_buckets(M3Reader *reader, FileRange *files, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = stripe_lock(series);

	for (;;)
	{
		const M3Bucket *buckets;
		uint32_t	first;
		uint32_t	end;
		size_t		count;
		bool		fits;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		buckets = m3_series_buckets(db->arena, series);
		first = m3_series_lower_bound(db->arena, series, first_start_ns(scan));
		end = m3_series_lower_bound(db->arena, series, scan->end_ns);
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

static M3Status
add_file_blocks(M3Reader *reader, const FileRange *files, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	int64_t		first_ns = first_start_ns(scan);
	const M3BlockList *list = NULL;
	size_t		first;
	size_t		end;
	size_t		in_files;
	size_t		at = 0;

	if (files->first_ns > files->last_ns)
		return M3_OK;
	M3_TRY(m3i_scan_blocks(scan, reader->shared->shard, &list, err));
	first = m3i_block_list_lower_bound(list, files->first_ns);
	end = m3i_block_list_lower_bound(list, files->last_ns + 1);
	in_files = end - first;
	/* of those that may hold the series, those in the scan's range */
	if (first_ns > files->first_ns)
		first = m3i_block_list_lower_bound(list, first_ns);
	if (scan->end_ns <= files->last_ns)
		end = m3i_block_list_lower_bound(list, scan->end_ns);
	scan->stats.blocks_skipped += in_files - (end > first ? end - first : 0);
	for (size_t i = first; i < end; i++)
		M3_TRY(add_block(reader, list->blocks[i].start_ns, &at, err));
	return M3_OK;
}

/* Adds the blocks that only the transaction has written to. */
static M3Status
add_own_blocks(M3Reader *reader, M3Error *err)
{
	const M3Scan *scan = reader->scan;
	const M3OwnSeries *own = reader->series->own;
	int64_t		last_ns = INT64_MIN;
	size_t		at = 0;

	for (size_t i = own->first; i < own->end; i++)
	{
		int64_t		start_ns = m3_block_start(scan->own.points[i].time_ns, scan->block_size_ns);

		if (start_ns == last_ns)
			continue;
		last_ns = start_ns;
		M3_TRY(add_block(reader, start_ns, &at, err));
	}
	return M3_OK;
}

M3Status
m3_reader_open(M3Reader *reader, size_t series_index, M3Error *err)
{
	const M3Scan *scan = reader->scan;

	reader->series = &scan->series[series_index];
	reader->shared = reader->series->ref == 0 || scan->shared_hidden ? NULL :
		m3_arena_at(scan->db->arena, reader->series->ref);
	reader->block_count = 0;
	reader->next_block = 0;
	if (reader->shared != NULL)
	{
		FileRange	files;

		M3_TRY(list_buckets(reader, &files, err));
		M3_TRY(add_file_blocks(reader, &files, err));
	}
	if (reader->series->own != NULL)
		M3_TRY(add_own_blocks(reader, err));
	return M3_OK;
}

void
m3i_reader_blocks(const M3Reader *reader, const int64_t **starts_ns, size_t *count)
{
	*starts_ns = reader->blocks;
	*count = reader->block_count;
}

/* --- buffers ------------------------------------------------------------ */

static bool
sees(const void *snapshot, uint64_t sequence)
{
	return m3_snapshot_sees(snapshot, sequence);
}

/* *found: the buffers know the block, whether or not there is anything to be seen. */
static M3Status
copy_buffers(M3Reader *reader, int64_t start_ns, FileRange *files, bool *found, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = stripe_lock(series);

	for (;;)
	{
		const M3Bucket *bucket;
		bool		fits;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		bucket = m3_series_bucket(db->arena, series, start_ns);
		*found = bucket != NULL;
		fits = m3_copy_take(&reader->copy, db->arena, bucket, UINT32_MAX, sees,
							scan->snapshot);
		/* read anew: the block may have gone to a file since the series was opened */
		files->first_ns = series->first_file_ns;
		files->last_ns = series->last_file_ns;
		db->env->unlock(db->env, lock);
		if (fits)
			break;
		M3_TRY(m3_copy_grow(&reader->copy, err));
	}
	scan->stats.bytes_read += reader->copy.bytes_used;
	return M3_OK;
}

/* --- a block ------------------------------------------------------------ */

/* Merges what the block's fileset holds over the result, which is empty. */
static M3Status
merge_file(M3Reader *reader, int64_t start_ns, bool *found, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3FileBlock *file = &reader->file;
	M3Status	status;

	M3_TRY(m3i_scan_read_file(scan, reader->series->ref, start_ns, file, err));
	if (file->payload.size == 0)
		return M3_OK;
	*found = true;
	scan->stats.bytes_read += file->payload.size;
	status = m3_copy_merge_payload(&reader->copy, file->payload, &reader->result,
								   &scan->stats.points_decoded, err);
	if (status == M3_CORRUPT)
		m3i_fileset_name_error(scan->db, m3i_scan_namespace(scan), &file->key, M3_FILESET_DATA,
							   err);
	return status;
}

static M3Status
read_shared(M3Reader *reader, int64_t start_ns, bool *found, M3Error *err)
{
	FileRange	files;

	M3_TRY(copy_buffers(reader, start_ns, &files, found, err));
	if (start_ns >= files.first_ns && start_ns <= files.last_ns)
		M3_TRY(merge_file(reader, start_ns, found, err));
	return m3_copy_merge(&reader->copy, &reader->result, &reader->scan->stats.points_decoded,
						 err);
}

/* Merges the transaction's own points over the result. */
static M3Status
merge_own(M3Reader *reader, int64_t start_ns, bool *found, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Points   *newer = &reader->own;
	M3Points	swap = reader->result;

	M3_TRY(m3i_own_read(&scan->own, reader->series->own, start_ns,
						start_ns + scan->block_size_ns, &reader->own, err));
	if (reader->own.count == 0)
		return M3_OK;
	*found = true;
	if (reader->result.count > 0)
	{
		M3_TRY(m3_points_merge(&reader->merged, &reader->result, &reader->own, err));
		newer = &reader->merged;
	}
	reader->result = *newer;
	*newer = swap;
	return M3_OK;
}

static M3Status
read_block(M3Reader *reader, int64_t start_ns, M3Error *err)
{
	bool		found = false;

	m3_copy_clear(&reader->copy);
	m3_points_clear(&reader->result);
	m3_points_clear(&reader->own);
	m3_points_clear(&reader->merged);
	if (reader->shared != NULL)
		M3_TRY(read_shared(reader, start_ns, &found, err));
	if (reader->series->own != NULL)
		M3_TRY(merge_own(reader, start_ns, &found, err));
	if (found)
		reader->scan->stats.blocks_read++;
	return M3_OK;
}

M3Status
m3_reader_next(M3Reader *reader, M3PointBatch *batch, M3Error *err)
{
	M3Scan	   *scan = reader->scan;

	while (reader->next_block < reader->block_count)
	{
		const M3Points *points = &reader->result;
		size_t		first;
		size_t		end;

		scan->db->env->yield(scan->db->env);
		M3_TRY(read_block(reader, reader->blocks[reader->next_block++], err));
		m3_points_range(points, scan->start_ns, scan->end_ns, &first, &end);
		if (first == end)
			continue;
		batch->count = end - first;
		batch->times_ns = points->times_ns + first;
		batch->values = points->values + first;
		batch->units = scan->with_units ? points->units + first : NULL;
		batch->annotations = scan->with_annotations ? points->annotations + first : NULL;
		return M3_OK;
	}
	return M3_NOT_FOUND;
}
