/*
 * Reads the points of one series, block by block.
 *
 * Under the stripe's lock a reader only copies: the list of block starts when a
 * series is opened, and a block's compressed streams with what it may see of them
 * when its turn comes.  Room is made before the lock is taken; if the block has
 * grown meanwhile, once more.
 */
#include <string.h>

#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A copied stream: where its bytes and flips lie in the reader's buffers. */
typedef struct CopiedStream
{
	size_t		offset;
	size_t		size;
	uint32_t	limit;			/* points to decode */
	size_t		first_flip;
	size_t		flip_count;
} CopiedStream;

struct M3Reader
{
	M3Scan	   *scan;
	const M3ScanSeries *series;
	int64_t    *blocks;			/* starts, ascending */
	size_t		block_count;
	size_t		block_capacity;
	size_t		next_block;

	uint8_t    *bytes;
	size_t		bytes_capacity;
	CopiedStream *streams;
	size_t		stream_count;
	size_t		stream_capacity;
	uint32_t   *flips;
	size_t		flip_capacity;

	M3Points	result;
	M3Points	one;
	M3Points	merged;
	M3Points	kept;			/* holds annotations until the next block */
};

M3Status
m3_reader_create(M3Scan *scan, M3Reader **result, M3Error *err)
{
	M3Reader   *reader = m3_alloc(scan->memory, sizeof(*reader));

	if (reader == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(reader, 0, sizeof(*reader));
	reader->scan = scan;
	m3_points_init(&reader->result, scan->memory, scan->with_annotations);
	m3_points_init(&reader->one, scan->memory, scan->with_annotations);
	m3_points_init(&reader->merged, scan->memory, scan->with_annotations);
	m3_points_init(&reader->kept, scan->memory, scan->with_annotations);
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
	m3_points_free(&reader->result);
	m3_points_free(&reader->one);
	m3_points_free(&reader->merged);
	m3_points_free(&reader->kept);
	m3_free(memory, reader->blocks);
	m3_free(memory, reader->bytes);
	m3_free(memory, reader->streams);
	m3_free(memory, reader->flips);
	m3_free(memory, reader);
}

static M3Status
grow(M3Memory *memory, void **array, size_t *capacity, size_t need, size_t width, M3Error *err)
{
	void	   *grown;

	if (need <= *capacity)
		return M3_OK;
	need += need / 4 + 16;
	grown = m3_resize(memory, *array, need * width);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory to read a block");
	*array = grown;
	*capacity = need;
	return M3_OK;
}

/* --- which blocks ------------------------------------------------------- */

static M3Status
list_shared_blocks(M3Reader *reader, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = m3_arena_at(db->arena, reader->series->ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	int64_t		first_ns = scan->start_ns > INT64_MIN + scan->block_size_ns ?
		scan->start_ns - scan->block_size_ns : INT64_MIN;

	for (;;)
	{
		const M3Bucket *buckets;
		uint32_t	first;
		uint32_t	end;
		size_t		count;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		buckets = m3_series_buckets(db->arena, series);
		/* the block that holds start begins after start - block size */
		first = m3_series_lower_bound(db->arena, series, first_ns);
		if (first < series->bucket_count && buckets[first].start_ns == first_ns &&
			first_ns != INT64_MIN)
			first++;
		end = m3_series_lower_bound(db->arena, series, scan->end_ns);
		count = end > first ? end - first : 0;
		if (count <= reader->block_capacity)
		{
			for (size_t i = 0; i < count; i++)
				reader->blocks[i] = buckets[first + i].start_ns;
			reader->block_count = count;
			scan->stats.blocks_skipped += series->bucket_count - count;
			db->env->unlock(db->env, lock);
			return M3_OK;
		}
		db->env->unlock(db->env, lock);
		M3_TRY(grow(scan->memory, (void **) &reader->blocks, &reader->block_capacity, count,
					sizeof(int64_t), err));
	}
}

/* Adds the blocks that only the transaction has written to; both lists ascend. */
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
		while (at < reader->block_count && reader->blocks[at] < start_ns)
			at++;
		if (at < reader->block_count && reader->blocks[at] == start_ns)
			continue;
		M3_TRY(grow(scan->memory, (void **) &reader->blocks, &reader->block_capacity,
					reader->block_count + 1, sizeof(int64_t), err));
		memmove(&reader->blocks[at + 1], &reader->blocks[at],
				(reader->block_count - at) * sizeof(int64_t));
		reader->blocks[at] = start_ns;
		reader->block_count++;
	}
	return M3_OK;
}

M3Status
m3_reader_open(M3Reader *reader, size_t series_index, M3Error *err)
{
	reader->series = &reader->scan->series[series_index];
	reader->block_count = 0;
	reader->next_block = 0;
	if (reader->series->ref != 0)
		M3_TRY(list_shared_blocks(reader, err));
	if (reader->series->own != NULL)
		M3_TRY(add_own_blocks(reader, err));
	return M3_OK;
}

/* --- copying ------------------------------------------------------------ */

typedef struct Need
{
	size_t		bytes;
	size_t		streams;
	size_t		flips;
} Need;

static Need
measure(const M3Arena *arena, const M3Bucket *bucket)
{
	Need		need = {0, 0, 0};

	for (M3Ref ref = bucket->first_stream; ref != 0;)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);

		need.bytes += m3_stream_copy_size(stream);
		need.flips += stream->run_count + 1;
		need.streams++;
		ref = stream->next;
	}
	return need;
}

static bool
sees(const void *snapshot, uint64_t sequence)
{
	return m3_snapshot_sees(snapshot, sequence);
}

static void
copy_bucket(M3Reader *reader, const M3Bucket *bucket)
{
	const M3Arena *arena = reader->scan->db->arena;
	size_t		offset = 0;
	size_t		flip = 0;

	for (M3Ref ref = bucket->first_stream; ref != 0;)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);
		CopiedStream *copied = &reader->streams[reader->stream_count];

		copied->first_flip = flip;
		copied->flip_count = m3_stream_flips(arena, stream, sees, reader->scan->snapshot,
											 reader->flips + flip, &copied->limit);
		if (copied->limit > 0)
		{
			copied->offset = offset;
			copied->size = m3_stream_copy(arena, stream, reader->bytes + offset);
			offset += copied->size;
			flip += copied->flip_count;
			reader->stream_count++;
		}
		ref = stream->next;
	}
	reader->scan->stats.bytes_read += offset;
}

static M3Status
copy_block(M3Reader *reader, int64_t start_ns, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = m3_arena_at(db->arena, reader->series->ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);

	for (;;)
	{
		const M3Bucket *buckets;
		uint32_t	at;
		Need		need = {0, 0, 0};
		bool		fits;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		buckets = m3_series_buckets(db->arena, series);
		at = m3_series_lower_bound(db->arena, series, start_ns);
		if (at < series->bucket_count && buckets[at].start_ns == start_ns)
			need = measure(db->arena, &buckets[at]);
		fits = need.bytes <= reader->bytes_capacity &&
			need.streams <= reader->stream_capacity && need.flips <= reader->flip_capacity;
		if (fits && need.streams > 0)
			copy_bucket(reader, &buckets[at]);
		db->env->unlock(db->env, lock);
		if (fits)
			return M3_OK;
		M3_TRY(grow(scan->memory, (void **) &reader->bytes, &reader->bytes_capacity,
					need.bytes, 1, err));
		M3_TRY(grow(scan->memory, (void **) &reader->streams, &reader->stream_capacity,
					need.streams, sizeof(CopiedStream), err));
		M3_TRY(grow(scan->memory, (void **) &reader->flips, &reader->flip_capacity,
					need.flips, sizeof(uint32_t), err));
	}
}

/* --- merging ------------------------------------------------------------ */

/* Merges what is in one over the result. */
static M3Status
overlay(M3Reader *reader, M3Error *err)
{
	M3Points	swap;

	m3_points_move_pieces(&reader->kept, &reader->one);
	if (reader->one.count == 0)
		return M3_OK;
	if (reader->result.count == 0)
	{
		swap = reader->result;
		reader->result = reader->one;
		reader->one = swap;
		return M3_OK;
	}
	M3_TRY(m3_points_merge(&reader->merged, &reader->result, &reader->one, err));
	swap = reader->result;
	reader->result = reader->merged;
	reader->merged = swap;
	return M3_OK;
}

static M3Status
read_block(M3Reader *reader, int64_t start_ns, M3Error *err)
{
	M3Scan	   *scan = reader->scan;

	m3_points_clear(&reader->result);
	m3_points_clear(&reader->kept);
	reader->stream_count = 0;
	if (reader->series->ref != 0)
		M3_TRY(copy_block(reader, start_ns, err));
	scan->stats.blocks_read++;
	for (size_t i = 0; i < reader->stream_count; i++)
	{
		const CopiedStream *copied = &reader->streams[i];

		reader->one.count = 0;
		M3_TRY(m3_points_decode(&reader->one, reader->bytes + copied->offset, copied->size,
								copied->limit, reader->flips + copied->first_flip,
								copied->flip_count, err));
		scan->stats.points_decoded += copied->limit;
		M3_TRY(overlay(reader, err));
	}
	if (reader->series->own != NULL)
	{
		reader->one.count = 0;
		M3_TRY(m3i_own_read(&scan->own, reader->series->own, start_ns,
							start_ns + scan->block_size_ns, &reader->one, err));
		M3_TRY(overlay(reader, err));
	}
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
