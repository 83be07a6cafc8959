#include "storage/buffer/series.h"

#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/buffer/buffer_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A slot of a stripe holds the upper bits of the hash above the ref, so that
 * most look-ups touch one series only. */
#define SLOT_REF_BITS 40
#define SLOT_REF_MASK ((UINT64_C(1) << SLOT_REF_BITS) - 1)
#define STRIPE_FIRST_CAPACITY 8u

uint32_t
m3_series_hash(M3Ref namespace_ref, M3Slice id)
{
	uint64_t	hash = m3_xxh64(id.data, id.size);

	hash ^= namespace_ref * UINT64_C(0x9E3779B97F4A7C15);
	return (uint32_t) (hash ^ hash >> 32);
}

static uint64_t
make_slot(uint32_t hash, M3Ref ref)
{
	return (uint64_t) (hash >> 8) << SLOT_REF_BITS | ref;
}

/* Where probing starts: bits the stripe number does not use up. */
static uint32_t
first_probe(uint32_t hash, uint32_t capacity)
{
	return (hash / M3_STRIPE_COUNT) & (capacity - 1);
}

M3Ref
m3_series_find(const M3Arena *arena, const M3Stripe *stripe, M3Ref namespace_ref,
			   M3Slice id, uint32_t hash)
{
	const uint64_t *slots;

	if (stripe->count == 0)
		return 0;
	slots = m3_arena_at(arena, stripe->slots);
	for (uint32_t i = first_probe(hash, stripe->capacity);; i = (i + 1) & (stripe->capacity - 1))
	{
		const M3Series *series;

		if (slots[i] == 0)
			return 0;
		if (slots[i] >> SLOT_REF_BITS != hash >> 8)
			continue;
		series = m3_arena_at(arena, slots[i] & SLOT_REF_MASK);
		if (series->hash == hash && series->namespace_ref == namespace_ref &&
			m3_slice_equal(m3_series_id(series), id))
			return slots[i] & SLOT_REF_MASK;
	}
}

static void
put_slot(uint64_t *slots, uint32_t capacity, uint32_t hash, uint64_t slot)
{
	uint32_t	i = first_probe(hash, capacity);

	while (slots[i] != 0)
		i = (i + 1) & (capacity - 1);
	slots[i] = slot;
}

/* Room for one more series, at most three quarters full. */
static bool
grow_stripe(M3Arena *arena, M3Env *env, M3Stripe *stripe)
{
	uint32_t	capacity = stripe->capacity == 0 ? STRIPE_FIRST_CAPACITY : stripe->capacity * 2;
	M3Ref		ref;
	uint64_t   *slots;

	if (stripe->capacity != 0 && (stripe->count + 1) * 4 <= stripe->capacity * 3)
		return true;
	ref = m3_arena_alloc(arena, env, capacity * sizeof(uint64_t));
	if (ref == 0)
		return false;
	slots = m3_arena_at(arena, ref);
	if (stripe->capacity != 0)
	{
		const uint64_t *old = m3_arena_at(arena, stripe->slots);

		for (uint32_t i = 0; i < stripe->capacity; i++)
		{
			if (old[i] != 0)
			{
				const M3Series *series = m3_arena_at(arena, old[i] & SLOT_REF_MASK);

				put_slot(slots, capacity, series->hash, old[i]);
			}
		}
		m3_arena_free(arena, env, stripe->slots);
	}
	stripe->slots = ref;
	stripe->capacity = capacity;
	return true;
}

M3Ref
m3_series_create(M3Arena *arena, M3Env *env, M3Stripe *stripe, M3Ref namespace_ref,
				 M3Slice id, M3Slice tags, uint32_t hash)
{
	M3Ref		ref;
	M3Series   *series;

	if (!grow_stripe(arena, env, stripe))
		return 0;
	ref = m3_arena_alloc(arena, env, sizeof(M3Series) + id.size + tags.size);
	if (ref == 0)
		return 0;
	series = m3_arena_at(arena, ref);
	series->namespace_ref = namespace_ref;
	series->hash = hash;
	series->id_size = (uint32_t) id.size;
	series->tags_size = (uint32_t) tags.size;
	series->first_file_ns = INT64_MAX;
	series->last_file_ns = INT64_MIN;
	if (id.size > 0)
		memcpy(series->bytes, id.data, id.size);
	if (tags.size > 0)
		memcpy(series->bytes + id.size, tags.data, tags.size);
	put_slot(m3_arena_at(arena, stripe->slots), stripe->capacity, hash,
			 make_slot(hash, ref));
	stripe->count++;
	return ref;
}

/* Empties the slot of ref and closes the gap in its probe sequence. */
static void
remove_slot(M3Arena *arena, M3Stripe *stripe, uint32_t hash, M3Ref ref)
{
	uint64_t   *slots = m3_arena_at(arena, stripe->slots);
	uint32_t	mask = stripe->capacity - 1;
	uint32_t	gap = first_probe(hash, stripe->capacity);

	while ((slots[gap] & SLOT_REF_MASK) != ref)
		gap = (gap + 1) & mask;
	for (uint32_t i = (gap + 1) & mask; slots[i] != 0; i = (i + 1) & mask)
	{
		const M3Series *series = m3_arena_at(arena, slots[i] & SLOT_REF_MASK);
		uint32_t	home = first_probe(series->hash, stripe->capacity);

		/* may move into the gap unless its home lies after it */
		if (((i - home) & mask) >= ((i - gap) & mask))
		{
			slots[gap] = slots[i];
			gap = i;
		}
	}
	slots[gap] = 0;
	stripe->count--;
}

bool
m3_series_is_empty(const M3Arena *arena, const M3Series *series)
{
	const M3Bucket *buckets = m3_series_buckets(arena, series);

	for (uint32_t i = 0; i < series->bucket_count; i++)
	{
		for (M3Ref ref = buckets[i].first_stream; ref != 0;)
		{
			const M3Stream *stream = m3_arena_at(arena, ref);

			if (m3_stream_live_points(arena, stream) > 0)
				return false;
			ref = stream->next;
		}
	}
	return true;
}

void
m3_series_unlink(M3Arena *arena, M3Env *env, M3Stripe *stripe, M3Ref ref)
{
	M3Series   *series = m3_arena_at(arena, ref);
	M3Bucket   *buckets = m3_series_buckets(arena, series);

	remove_slot(arena, stripe, series->hash, ref);
	for (uint32_t i = 0; i < series->bucket_count; i++)
		m3i_bucket_free_streams(arena, env, &buckets[i]);
	m3_arena_free(arena, env, series->buckets);
	series->buckets = 0;
	series->bucket_count = 0;
	series->bucket_capacity = 0;
	series->unlinked = 1;
}

uint32_t
m3_series_lower_bound(const M3Arena *arena, const M3Series *series, int64_t start_ns)
{
	const M3Bucket *buckets = m3_series_buckets(arena, series);
	uint32_t	low = 0;
	uint32_t	high = series->bucket_count;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (buckets[middle].start_ns < start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

M3Bucket *
m3_series_bucket(const M3Arena *arena, const M3Series *series, int64_t start_ns)
{
	M3Bucket   *buckets = m3_series_buckets(arena, series);
	uint32_t	at = m3_series_lower_bound(arena, series, start_ns);

	return at < series->bucket_count && buckets[at].start_ns == start_ns ? &buckets[at] : NULL;
}

M3Bucket *
m3i_series_add_bucket(M3Arena *arena, M3Env *env, M3Series *series, int64_t start_ns,
					  M3WriteEffect *effect)
{
	M3Bucket   *buckets = m3_series_buckets(arena, series);
	uint32_t	n = series->bucket_count;
	uint32_t	at;

	if (n > 0 && buckets[n - 1].start_ns == start_ns)
		return &buckets[n - 1];
	at = m3_series_lower_bound(arena, series, start_ns);
	if (at < n && buckets[at].start_ns == start_ns)
		return &buckets[at];

	if (n == series->bucket_capacity)
	{
		uint32_t	capacity = n == 0 ? 1 : n * 2;
		M3Ref		ref = m3_arena_alloc(arena, env, capacity * sizeof(M3Bucket));

		if (ref == 0)
			return NULL;
		if (n > 0)
			memcpy(m3_arena_at(arena, ref), buckets, n * sizeof(M3Bucket));
		m3_arena_free(arena, env, series->buckets);
		series->buckets = ref;
		series->bucket_capacity = capacity;
		buckets = m3_arena_at(arena, ref);
	}
	memmove(&buckets[at + 1], &buckets[at], (n - at) * sizeof(M3Bucket));
	memset(&buckets[at], 0, sizeof(M3Bucket));
	buckets[at].start_ns = start_ns;
	series->bucket_count = n + 1;
	effect->new_buckets++;
	return &buckets[at];
}

void
m3i_series_remove_bucket(M3Arena *arena, M3Env *env, M3Series *series, uint32_t number,
						 M3WriteEffect *effect)
{
	M3Bucket   *buckets = m3_series_buckets(arena, series);

	series->bucket_count--;
	memmove(&buckets[number], &buckets[number + 1],
			(series->bucket_count - number) * sizeof(M3Bucket));
	effect->new_buckets--;
	if (series->bucket_count == 0)
	{
		m3_arena_free(arena, env, series->buckets);
		series->buckets = 0;
		series->bucket_capacity = 0;
	}
}

/* Whether the point is, to the bit, what everybody reads at that time already. */
static bool
is_settled_repeat(const M3Bucket *bucket, const M3Stream *stream, const M3Point *point)
{
	return bucket->stream_count == 1 &&
		stream->last_ns == point->time_ns &&
		stream->run_count == 0 &&
		stream->voided < stream->settled &&
		point->annotation.size == 0 && !stream->last_annotated &&
		stream->encoder.unit >= point->unit &&
		stream->encoder.last_value_bits == m3_double_bits(point->value);
}

/* The stream a point goes to, or NULL; *repeat: to none, it is there already. */
static M3Stream *
find_stream(const M3Arena *arena, const M3Bucket *bucket, const M3Point *point,
			bool drops_repeats, bool *repeat)
{
	uint32_t	number = 0;

	*repeat = false;
	for (M3Ref ref = bucket->first_stream; ref != 0; number++)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		ref = stream->next;
		if (number < bucket->frozen || stream->closed)
			continue;
		if (point->time_ns > stream->last_ns)
			return stream;
		*repeat = drops_repeats && is_settled_repeat(bucket, stream, point);
		if (*repeat)
			return NULL;
	}
	return NULL;
}

M3Status
m3_series_write(M3Arena *arena, M3Env *env, M3Series *series, int64_t block_start_ns,
				const M3Point *point, uint64_t sequence, uint64_t horizon,
				M3Memory *memory, M3WriteEffect *effect, M3Error *err)
{
	M3Bucket   *bucket = m3i_series_add_bucket(arena, env, series, block_start_ns, effect);
	M3Stream   *stream;
	uint64_t	before;
	bool		drops_repeats = horizon > 0 || sequence == 0;
	bool		repeat;

	if (bucket == NULL)
		return m3_error(err, M3_FULL, "no room for points in the buffer arena");

	stream = find_stream(arena, bucket, point, drops_repeats, &repeat);
	if (repeat)
		return M3_OK;
	if (stream == NULL)
	{
		m3i_bucket_merge_last(arena, env, bucket, horizon, memory, effect);
		/* of closed ones an open one may have come that ends before the point */
		stream = find_stream(arena, bucket, point, drops_repeats, &repeat);
		if (repeat)
			return M3_OK;
	}
	if (stream == NULL)
	{
		M3Ref		ref = m3_stream_create(arena, env, bucket->start_ns);

		if (ref == 0)
			return m3_error(err, M3_FULL, "no room for points in the buffer arena");
		m3i_bucket_add_stream(arena, bucket, ref);
		stream = m3_arena_at(arena, ref);
	}
	before = stream->encoder.emitted;
	M3_TRY(m3_stream_append(arena, env, stream, point, sequence, horizon, err));
	effect->points++;
	effect->bytes += (int64_t) (stream->encoder.emitted - before);
	return M3_OK;
}

uint64_t
m3_series_kill(const M3Arena *arena, M3Series *series, uint64_t sequence)
{
	M3Bucket   *buckets = m3_series_buckets(arena, series);
	uint64_t	killed = 0;

	for (uint32_t i = 0; i < series->bucket_count; i++)
	{
		for (M3Ref ref = buckets[i].first_stream; ref != 0;)
		{
			M3Stream   *stream = m3_arena_at(arena, ref);

			killed += m3_stream_kill(arena, stream, sequence);
			ref = stream->next;
		}
	}
	return killed;
}

M3Status
m3_series_take_back(M3Arena *arena, M3Env *env, M3Series *series, uint64_t sequence,
					M3Memory *memory, M3Error *err)
{
	M3Bucket   *buckets = m3_series_buckets(arena, series);
	M3Status	result = M3_OK;

	for (uint32_t i = 0; i < series->bucket_count; i++)
	{
		for (M3Ref ref = buckets[i].first_stream; ref != 0;)
		{
			M3Stream   *stream = m3_arena_at(arena, ref);
			M3Status	status = m3_stream_take_back(arena, env, stream, sequence, memory, err);

			if (status != M3_OK)
				result = status;
			ref = stream->next;
		}
	}
	return result;
}
