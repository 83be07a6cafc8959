/*
 * What leaves a series' buckets as a whole, on the way to a file or for ever, and
 * what comes back.
 */
#include "storage/buffer/buffer_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3_series_load(M3Arena *arena, M3Env *env, M3Series *series, int64_t block_start_ns,
			   M3Slice payload, M3WriteEffect *effect, M3Error *err)
{
	M3Bucket   *bucket = NULL;
	M3Ref		loaded;

	if (payload.size == 0)
		return M3_OK;
	loaded = m3_stream_load(arena, env, block_start_ns, payload);
	if (loaded != 0)
		bucket = m3i_series_add_bucket(arena, env, series, block_start_ns, effect);
	if (bucket == NULL)
	{
		if (loaded != 0)
			m3_stream_free(arena, env, loaded);
		return m3_error(err, M3_FULL, "no room in the buffer arena for a stream of %zu bytes",
						payload.size);
	}
	/* nothing is written before it any more */
	for (M3Ref ref = bucket->first_stream; ref != 0;)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		stream->closed = true;
		ref = stream->next;
	}
	m3i_bucket_add_stream(arena, bucket, loaded);
	effect->points += m3_stream_points(m3_arena_at(arena, loaded));
	effect->bytes += (int64_t) m3_stream_size(m3_arena_at(arena, loaded));
	return M3_OK;
}

/* Points written meanwhile may be later than the ends of what was frozen: it stays closed
 * then. */
static void
thaw(const M3Arena *arena, M3Bucket *bucket)
{
	M3Ref		ref = bucket->first_stream;

	for (uint32_t i = 0; i < bucket->frozen; i++)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		if (bucket->frozen < bucket->stream_count)
			stream->closed = true;
		ref = stream->next;
	}
	bucket->frozen = 0;
}

uint32_t
m3_series_freeze(const M3Arena *arena, M3Series *series, int64_t start_ns, uint64_t horizon)
{
	M3Bucket   *bucket = m3_series_bucket(arena, series, start_ns);

	if (bucket == NULL)
		return 0;
	thaw(arena, bucket);
	for (M3Ref ref = bucket->first_stream; ref != 0; bucket->frozen++)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		if (!m3_stream_settle(arena, stream, horizon))
			break;
		ref = stream->next;
	}
	return bucket->frozen;
}

void
m3_series_thaw(const M3Arena *arena, M3Series *series, int64_t start_ns)
{
	M3Bucket   *bucket = m3_series_bucket(arena, series, start_ns);

	if (bucket != NULL)
		thaw(arena, bucket);
}

/* Frees the stream after before, which counts live points. */
static void
free_stream(M3Arena *arena, M3Env *env, M3Bucket *bucket, M3Stream *before, M3WriteEffect *effect)
{
	const M3Stream *stream = m3_arena_at(arena, before != NULL ? before->next :
										 bucket->first_stream);

	effect->points -= m3_stream_live_points(arena, stream);
	effect->bytes -= (int64_t) m3_stream_size(stream);
	m3i_bucket_free_stream(arena, env, bucket, before);
}

void
m3_series_evict(M3Arena *arena, M3Env *env, M3Series *series, int64_t start_ns,
				M3WriteEffect *effect)
{
	M3Bucket   *bucket = m3_series_bucket(arena, series, start_ns);

	if (bucket == NULL)
		return;
	for (; bucket->frozen > 0; bucket->frozen--)
		free_stream(arena, env, bucket, NULL, effect);
	if (bucket->stream_count == 0)
		m3i_series_remove_bucket(arena, env, series,
								 m3_series_lower_bound(arena, series, start_ns), effect);
}

void
m3_series_expire(M3Arena *arena, M3Env *env, M3Series *series, int64_t before_ns,
				 uint64_t horizon, M3WriteEffect *effect)
{
	for (uint32_t i = m3_series_lower_bound(arena, series, before_ns); i-- > 0;)
	{
		M3Bucket   *bucket = &m3_series_buckets(arena, series)[i];

		if (!m3i_bucket_settle(arena, bucket, horizon))
			continue;
		bucket->frozen = 0;
		while (bucket->stream_count > 0)
			free_stream(arena, env, bucket, NULL, effect);
		m3i_series_remove_bucket(arena, env, series, i, effect);
	}
}

/* Whether a batch from sequence on has points there. */
static bool
is_needed(const M3Arena *arena, const M3Stream *stream, uint64_t sequence)
{
	const M3Run *runs = m3_stream_runs(arena, stream);

	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		if (!runs[i].dead && runs[i].sequence >= sequence)
			return true;
	}
	return false;
}

void
m3_series_void(M3Arena *arena, M3Env *env, M3Series *series, uint64_t sequence,
			   M3WriteEffect *effect)
{
	for (uint32_t i = series->bucket_count; i-- > 0;)
	{
		M3Bucket   *bucket = &m3_series_buckets(arena, series)[i];
		M3Stream   *before = NULL;

		bucket->frozen = 0;
		for (M3Ref ref = bucket->first_stream; ref != 0;)
		{
			M3Stream   *stream = m3_arena_at(arena, ref);

			ref = stream->next;
			if (is_needed(arena, stream, sequence))
			{
				effect->points -= m3_stream_void(arena, stream, sequence);
				before = stream;
			}
			else
				free_stream(arena, env, bucket, before, effect);
		}
		if (bucket->stream_count == 0)
			m3i_series_remove_bucket(arena, env, series, i, effect);
	}
}
