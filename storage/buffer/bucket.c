/*
 * Merging the streams of a bucket.
 */
#include "storage/buffer/buffer_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A bucket's last streams are merged while it is written as soon as the one before them
 * is at most so many times larger: a point is then merged about log(points) times,
 * and there are about log(points) streams, however late points arrive. */
#define MERGE_SIZE_RATIO 2u

void
m3i_bucket_free_streams(M3Arena *arena, M3Env *env, M3Ref ref)
{
	while (ref != 0)
	{
		M3Ref		next = ((M3Stream *) m3_arena_at(arena, ref))->next;

		m3_stream_free(arena, env, ref);
		ref = next;
	}
}

/* The streams from first on, settled, as one ascending set.  Annotations stay
 * in one, which therefore is not cleared between the streams. */
static M3Status
read_settled(M3Arena *arena, M3Ref first, M3Points *all, M3Points *one, M3Points *merged,
			 M3Memory *memory, M3Error *err)
{
	for (M3Ref ref = first; ref != 0;)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);
		uint8_t    *copy = m3_alloc(memory, m3_stream_copy_size(stream));
		uint32_t   *flips = m3_alloc(memory, (stream->run_count + 1) * sizeof(uint32_t));
		M3Status	status = M3_OK;
		M3Points	swap;

		one->count = 0;
		if (copy == NULL || flips == NULL)
			status = m3_error(err, M3_NO_MEMORY, "out of memory");
		else
		{
			uint32_t	limit;
			size_t		flip_count = m3_stream_flips(arena, stream, NULL, NULL, flips, &limit);

			status = m3_points_decode(one, copy, m3_stream_copy(arena, stream, copy), limit,
									  flips, flip_count, err);
		}
		m3_free(memory, copy);
		m3_free(memory, flips);
		M3_TRY(status);
		M3_TRY(m3_points_merge(merged, all, one, err));
		swap = *all;
		*all = *merged;
		*merged = swap;
		ref = stream->next;
	}
	return M3_OK;
}

static M3Status
write_settled(M3Arena *arena, M3Env *env, M3Ref ref, const M3Points *points, M3Error *err)
{
	M3Stream   *stream = m3_arena_at(arena, ref);

	for (size_t i = 0; i < points->count; i++)
	{
		M3Point		point = {
			.time_ns = points->times_ns[i],
			.value = points->values[i],
			.unit = (M3TimeUnit) points->units[i],
			.annotation = points->annotations[i]
		};

		M3_TRY(m3_stream_append(arena, env, stream, &point, 0, 0, err));
	}
	return M3_OK;
}

/* Puts a new stream in place of those from first on; before is the one before them, or NULL. */
static void
replace_streams(M3Arena *arena, M3Env *env, M3Bucket *bucket, M3Stream *before, M3Ref first,
				M3Ref replacement)
{
	uint32_t	kept = 0;

	for (M3Ref ref = bucket->first_stream; ref != first; kept++)
		ref = ((M3Stream *) m3_arena_at(arena, ref))->next;
	m3i_bucket_free_streams(arena, env, first);
	if (before != NULL)
		before->next = replacement;
	else
		bucket->first_stream = replacement;
	bucket->last_stream = replacement;
	bucket->stream_count = kept + 1;
}

/*
 * Merges the streams after before (NULL: all) into one, dropping dead points, if all runs are
 * settled below horizon; M3_NOT_FOUND if they are not.  M3_FULL and M3_NO_MEMORY
 * leave the bucket as it was.
 */
static M3Status
merge_after(M3Arena *arena, M3Env *env, M3Bucket *bucket, M3Stream *before, uint64_t horizon,
			M3Memory *memory, M3Error *err)
{
	M3Ref		first = before != NULL ? before->next : bucket->first_stream;
	M3Status	status = M3_OK;
	M3Points	all;
	M3Points	one;
	M3Points	merged;
	M3Ref		ref = 0;

	for (M3Ref next = first; next != 0;)
	{
		M3Stream   *stream = m3_arena_at(arena, next);

		if (!m3_stream_settle(arena, stream, horizon))
			return m3_error(err, M3_NOT_FOUND, "a snapshot still needs the streams apart");
		next = stream->next;
	}
	m3_points_init(&all, memory, true);
	m3_points_init(&one, memory, true);
	m3_points_init(&merged, memory, true);

	M3_GOTO(read_settled(arena, first, &all, &one, &merged, memory, err));
	ref = m3_stream_create(arena, env, bucket->start_ns);
	if (ref == 0)
	{
		status = m3_error(err, M3_FULL, "no room for points in the buffer arena");
		goto done;
	}
	M3_GOTO(write_settled(arena, env, ref, &all, err));
	replace_streams(arena, env, bucket, before, first, ref);
	ref = 0;
done:
	if (ref != 0)
		m3_stream_free(arena, env, ref);
	m3_points_free(&all);
	m3_points_free(&one);
	m3_points_free(&merged);
	return status;
}

/* The stream after which the last ones are small enough to be merged; NULL: all are. */
static M3Stream *
find_small(const M3Arena *arena, const M3Bucket *bucket)
{
	M3Stream   *before = NULL;
	M3Stream   *stream;
	uint64_t	after = 0;		/* points in streams not yet passed */

	for (M3Ref ref = bucket->first_stream; ref != 0; ref = stream->next)
	{
		stream = m3_arena_at(arena, ref);
		after += m3_stream_count(stream);
	}
	for (M3Ref ref = bucket->first_stream; ref != 0; ref = stream->next)
	{
		stream = m3_arena_at(arena, ref);
		after -= m3_stream_count(stream);
		/* too large to be written again for those behind it? */
		if (after > 0 && m3_stream_count(stream) > MERGE_SIZE_RATIO * after)
			before = stream;
	}
	return before;
}

/* Live points, and bytes, in the streams after before (NULL: all). */
static void
measure(const M3Arena *arena, const M3Bucket *bucket, const M3Stream *before, int64_t *points,
		int64_t *bytes)
{
	*points = 0;
	*bytes = 0;
	for (M3Ref ref = before != NULL ? before->next : bucket->first_stream; ref != 0;)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);
		const M3Run *runs = m3_stream_runs(arena, stream);

		*points += m3_stream_count(stream);
		*bytes += (int64_t) stream->encoder.emitted;
		for (uint32_t i = 0; i < stream->run_count; i++)
		{
			if (runs[i].dead)
				*points -= runs[i].end - (i == 0 ? stream->settled : runs[i - 1].end);
		}
		ref = stream->next;
	}
}

void
m3i_bucket_merge_last(M3Arena *arena, M3Env *env, M3Bucket *bucket, uint64_t horizon,
					  M3Memory *memory, M3WriteEffect *effect)
{
	M3Stream   *before;
	int64_t		points;
	int64_t		bytes;
	int64_t		points_left;
	int64_t		bytes_left;

	if (bucket->stream_count < 2)
		return;
	before = find_small(arena, bucket);
	if (before != NULL && before->next == bucket->last_stream)
		return;					/* one alone */
	measure(arena, bucket, before, &points, &bytes);
	if (merge_after(arena, env, bucket, before, horizon, memory, NULL) != M3_OK)
		return;
	measure(arena, bucket, before, &points_left, &bytes_left);
	effect->merged_points += points_left - points;
	effect->merged_bytes += bytes_left - bytes;
}
