/*
 * Reads the points of one series, block by block: what the buffers hold, over what the block's
 * fileset holds, under the transaction's own.
 *
 * Under the stripe's lock a reader only copies: the list of block starts when a
 * series is opened (reader_blocks.c), and a block's compressed streams with what it may see of
 * them when its turn comes.
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

/* --- buffers ------------------------------------------------------------ */

static bool
sees(const void *snapshot, uint64_t sequence)
{
	return m3_snapshot_sees(snapshot, sequence);
}

/* *found: the buffers know the block, whether or not there is anything to be seen. */
static M3Status
copy_buffers(M3Reader *reader, int64_t start_ns, M3FileRange *files, bool *found, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = m3i_stripe_lock(series);

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
	M3FileRange	files;

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
						m3i_scan_block_end(scan, start_ns), &reader->own, err));
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

/* *found: there are points in the range. */
static M3Status
read_into(M3Reader *reader, int64_t start_ns, M3PointBatch *batch, bool *found, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	const M3Points *points = &reader->result;
	size_t		first;
	size_t		end;

	scan->db->env->yield(scan->db->env);
	M3_TRY(read_block(reader, start_ns, err));
	m3_points_range(points, reader->start_ns, reader->end_ns, &first, &end);
	*found = first < end;
	if (!*found)
		return M3_OK;
	batch->count = end - first;
	batch->times_ns = points->times_ns + first;
	batch->values = points->values + first;
	batch->units = scan->with_units ? points->units + first : NULL;
	batch->annotations = scan->with_annotations ? points->annotations + first : NULL;
	return M3_OK;
}

M3Status
m3_reader_next(M3Reader *reader, M3PointBatch *batch, M3Error *err)
{
	bool		found = false;

	while (reader->next_block < reader->end_block)
	{
		M3_TRY(read_into(reader, reader->blocks[reader->next_block++], batch, &found, err));
		if (found)
			return M3_OK;
	}
	return M3_NOT_FOUND;
}

M3Status
m3_reader_previous(M3Reader *reader, M3PointBatch *batch, M3Error *err)
{
	bool		found = false;

	while (reader->next_block < reader->end_block)
	{
		M3_TRY(read_into(reader, reader->blocks[--reader->end_block], batch, &found, err));
		if (found)
			return M3_OK;
	}
	return M3_NOT_FOUND;
}
