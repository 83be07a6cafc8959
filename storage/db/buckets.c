/*
 * Which buckets of a namespace hold anything, in the order files want them.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static uint32_t
capped(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t) value;
}

static void
measure(const M3Arena *arena, const M3Bucket *bucket, M3BucketRef *ref)
{
	uint64_t	bytes = 0;
	uint64_t	points = 0;

	for (M3Ref at = bucket->first_stream; at != 0;)
	{
		const M3Stream *stream = m3_arena_at(arena, at);

		bytes += m3_stream_size(stream);
		points += m3_stream_points(stream);
		at = stream->next;
	}
	ref->bytes = capped(bytes);
	ref->points = capped(points);
}

/* Stripe lock held.  False if there is no room for all buckets, *need more. */
static bool
add_buckets(const M3Database *db, M3Ref series_ref, const M3Series *series, int64_t first_ns,
			int64_t end_ns, M3BucketRefs *refs, size_t *need)
{
	const M3Bucket *buckets = m3_series_buckets(db->arena, series);

	*need = series->bucket_count;
	if (refs->capacity - refs->count < series->bucket_count)
		return false;
	for (uint32_t i = 0; i < series->bucket_count; i++)
	{
		M3BucketRef *ref = &refs->refs[refs->count];

		if (buckets[i].first_stream == 0 || buckets[i].start_ns < first_ns ||
			buckets[i].start_ns >= end_ns)
			continue;
		ref->series = series_ref;
		ref->shard = series->shard;
		ref->start_ns = buckets[i].start_ns;
		measure(db->arena, &buckets[i], ref);
		refs->count++;
	}
	return true;
}

static M3Status
visit_series(M3Database *db, M3Ref ref, int64_t first_ns, int64_t end_ns, M3BucketRefs *refs,
			 M3Error *err)
{
	const M3Series *series = m3_arena_at(db->arena, ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);

	for (;;)
	{
		M3BucketRef *grown;
		size_t		need;
		size_t		capacity;
		bool		done;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		done = add_buckets(db, ref, series, first_ns, end_ns, refs, &need);
		db->env->unlock(db->env, lock);
		if (done)
			return M3_OK;
		capacity = refs->count + need + refs->count / 2 + 256;
		grown = m3_resize(db->engine->memory, refs->refs, capacity * sizeof(*grown));
		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for a list of %zu blocks", capacity);
		refs->refs = grown;
		refs->capacity = capacity;
	}
}

static int
compare_refs(const void *left, const void *right, void *context)
{
	const M3BucketRef *a = left;
	const M3BucketRef *b = right;
	const M3Arena *arena = context;

	if (a->shard != b->shard)
		return a->shard < b->shard ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return m3_slice_compare(m3_series_id(m3_arena_at(arena, a->series)),
							m3_series_id(m3_arena_at(arena, b->series)));
}

M3Status
m3i_buckets_collect(M3Database *db, M3Ref namespace_ref, int64_t first_ns, int64_t end_ns,
					M3BucketRefs *refs, M3Error *err)
{
	const M3NamespaceShared *ns = m3_arena_at(db->arena, namespace_ref);
	M3Ref		list[M3_SERIES_CHUNK];
	uint32_t	first = 0;
	uint32_t	count;

	refs->count = 0;
	while ((count = m3i_series_chunk(db, ns, first, list)) > 0)
	{
		for (uint32_t i = 0; i < count; i++)
		{
			if (list[i] != 0)
				M3_TRY(visit_series(db, list[i], first_ns, end_ns, refs, err));
		}
		first += count;
		db->env->yield(db->env);
	}
	if (refs->count > 1)
		qsort_r(refs->refs, refs->count, sizeof(*refs->refs), compare_refs, db->arena);
	return M3_OK;
}

void
m3i_buckets_free(M3Database *db, M3BucketRefs *refs)
{
	m3_free(db->engine->memory, refs->refs);
	memset(refs, 0, sizeof(*refs));
}

size_t
m3i_buckets_group_end(const M3BucketRefs *refs, size_t first)
{
	size_t		end = first;

	while (end < refs->count && refs->refs[end].shard == refs->refs[first].shard &&
		   refs->refs[end].start_ns == refs->refs[first].start_ns)
		end++;
	return end;
}
