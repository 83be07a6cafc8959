#include "storage/buffer/copy.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

void
m3_copy_init(M3Copy *copy, M3Memory *memory, bool with_annotations)
{
	memset(copy, 0, sizeof(*copy));
	copy->memory = memory;
	m3_points_init(&copy->one, memory, with_annotations);
	m3_points_init(&copy->merged, memory, with_annotations);
	m3_points_init(&copy->kept, memory, with_annotations);
}

void
m3_copy_free(M3Copy *copy)
{
	m3_free(copy->memory, copy->bytes);
	m3_free(copy->memory, copy->streams);
	m3_free(copy->memory, copy->flips);
	m3_points_free(&copy->one);
	m3_points_free(&copy->merged);
	m3_points_free(&copy->kept);
	m3_copy_init(copy, copy->memory, copy->one.with_annotations);
}

static void
forget_streams(M3Copy *copy)
{
	copy->stream_count = 0;
	copy->bytes_used = 0;
	copy->whole = false;
}

void
m3_copy_clear(M3Copy *copy)
{
	forget_streams(copy);
	m3_points_clear(&copy->one);
	m3_points_clear(&copy->merged);
	m3_points_clear(&copy->kept);
}

/* --- under the lock ----------------------------------------------------- */

static void
measure(M3Copy *copy, const M3Arena *arena, const M3Bucket *bucket, uint32_t stream_limit)
{
	M3Ref		ref = bucket == NULL ? 0 : bucket->first_stream;

	copy->need_bytes = 0;
	copy->need_streams = 0;
	copy->need_flips = 0;
	while (ref != 0 && copy->need_streams < stream_limit)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);

		copy->need_bytes += m3_stream_copy_size(stream);
		copy->need_flips += (size_t) stream->run_count + 2;
		copy->need_streams++;
		ref = stream->next;
	}
}

bool
m3_copy_take(M3Copy *copy, const M3Arena *arena, const M3Bucket *bucket, uint32_t stream_limit,
			 M3SeesFn sees, const void *context)
{
	size_t		flip = 0;
	M3Ref		ref = bucket == NULL ? 0 : bucket->first_stream;

	forget_streams(copy);
	measure(copy, arena, bucket, stream_limit);
	if (copy->need_bytes > copy->bytes_capacity || copy->need_streams > copy->stream_capacity ||
		copy->need_flips > copy->flip_capacity)
		return false;

	for (size_t i = 0; i < copy->need_streams; i++)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);
		M3CopiedStream *copied = &copy->streams[copy->stream_count];

		ref = stream->next;
		copied->first_flip = flip;
		copied->flip_count = m3_stream_flips(arena, stream, sees, context, copy->flips + flip,
											 &copied->limit);
		if (copied->limit == 0)
			continue;
		copied->offset = copy->bytes_used;
		copied->size = m3_stream_copy(arena, stream, copy->bytes + copy->bytes_used);
		copy->bytes_used += copied->size;
		flip += copied->flip_count;
		copy->whole = copy->stream_count == 0 && copied->flip_count == 0;
		copy->stream_count++;
	}
	return true;
}

/* --- without it --------------------------------------------------------- */

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

M3Status
m3_copy_grow(M3Copy *copy, M3Error *err)
{
	M3_TRY(grow(copy->memory, (void **) &copy->bytes, &copy->bytes_capacity, copy->need_bytes,
				1, err));
	M3_TRY(grow(copy->memory, (void **) &copy->streams, &copy->stream_capacity,
				copy->need_streams, sizeof(M3CopiedStream), err));
	return grow(copy->memory, (void **) &copy->flips, &copy->flip_capacity, copy->need_flips,
				sizeof(uint32_t), err);
}

bool
m3_copy_whole(const M3Copy *copy, M3Slice *bytes)
{
	if (!copy->whole)
		return false;
	*bytes = m3_slice(copy->bytes + copy->streams[0].offset, copy->streams[0].size);
	return true;
}

static void
swap_points(M3Points *a, M3Points *b)
{
	M3Points	swap = *a;

	*a = *b;
	*b = swap;
}

/* Merges what is in one over the result. */
static M3Status
overlay(M3Copy *copy, M3Points *result, M3Error *err)
{
	m3_points_move_pieces(&copy->kept, &copy->one);
	m3_points_move_pieces(&copy->kept, result);
	if (copy->one.count == 0)
		return M3_OK;
	if (result->count == 0)
		swap_points(result, &copy->one);
	else
	{
		M3_TRY(m3_points_merge(&copy->merged, result, &copy->one, err));
		swap_points(result, &copy->merged);
	}
	return M3_OK;
}

/* What came from a file was not written by us: makes its times ascend. */
static M3Status
check_times(M3Points *points, M3Error *err)
{
	size_t		n = points->count;
	size_t		first = 1;
	size_t		out;

	while (first < n && points->times_ns[first - 1] < points->times_ns[first])
		first++;
	if (first >= n)
		return M3_OK;
	out = first;
	for (size_t i = first; i < n; i++)
	{
		if (points->times_ns[i] < points->times_ns[out - 1])
			return m3_error(err, M3_CORRUPT, "a stream goes back in time at point %zu", i);
		if (points->times_ns[i] == points->times_ns[out - 1])
			continue;
		points->times_ns[out] = points->times_ns[i];
		points->values[out] = points->values[i];
		points->units[out] = points->units[i];
		if (points->with_annotations)
			points->annotations[out] = points->annotations[i];
		out++;
	}
	points->count = out;
	return M3_OK;
}

static M3Status
merge_stream(M3Copy *copy, const uint8_t *data, const M3CopiedStream *stream, M3Points *result,
			 uint64_t *points_decoded, M3Error *err)
{
	const uint32_t *flips = stream->flip_count == 0 ? NULL : copy->flips + stream->first_flip;

	copy->one.count = 0;
	M3_TRY(m3_points_decode(&copy->one, data, stream->size, stream->limit, flips,
							stream->flip_count, err));
	if (points_decoded != NULL)
		*points_decoded += stream->limit == UINT32_MAX ? copy->one.count : stream->limit;
	if (stream->limit == UINT32_MAX)
		M3_TRY(check_times(&copy->one, err));
	return overlay(copy, result, err);
}

M3Status
m3_copy_merge(M3Copy *copy, M3Points *result, uint64_t *points_decoded, M3Error *err)
{
	for (size_t i = 0; i < copy->stream_count; i++)
		M3_TRY(merge_stream(copy, copy->bytes + copy->streams[i].offset, &copy->streams[i],
							result, points_decoded, err));
	return M3_OK;
}

M3Status
m3_copy_merge_payload(M3Copy *copy, M3Slice payload, M3Points *result, uint64_t *points_decoded,
					  M3Error *err)
{
	const M3CopiedStream stream = {.size = payload.size, .limit = UINT32_MAX};

	if (payload.size == 0)
		return M3_OK;
	return merge_stream(copy, payload.data, &stream, result, points_decoded, err);
}
