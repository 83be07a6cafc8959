/*
 * Series in the arena, their buckets by block start, and the table that
 * finds a series by namespace and id (spec/engine.md 5, with ours).
 *
 * A bucket is a list of streams in order of creation.  A point goes to the first
 * open stream that ends before it, so of two points with equal times the one in the
 * later stream was written later.  Batches are staged in the order of their
 * sequence numbers, so "later" is the order of commit.
 *
 * Locks: everything about a series, but its id and tags (which never change),
 * is read and changed under the lock of its stripe.
 */
#ifndef M3_BUFFER_SERIES_H
#define M3_BUFFER_SERIES_H

#include "storage/base/arena.h"
#include "storage/base/locks.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/buffer/points.h"
#include "storage/buffer/stream.h"

typedef struct M3Bucket
{
	int64_t		start_ns;
	M3Ref		first_stream;
	M3Ref		last_stream;
	uint32_t	stream_count;
	uint32_t	frozen;			/* so many of the first streams are on their way to a
								 * file: neither written to nor merged */
} M3Bucket;

/*
 * Once unlinked, a series is in no table and no list and holds no buckets; it only keeps its
 * id and tags for those who found it before, until nobody can have (db/series_list.c).
 */
typedef struct M3Series
{
	M3Ref		namespace_ref;	/* of its namespace; opaque here */
	uint64_t	unique_index;	/* its number in commit logs; unlinked: when that was */
	uint64_t	metadata_log_index; /* the log that holds its metadata, + 1; 0 none;
									 * unlinked: the next such series */
	M3Ref		buckets;		/* array of M3Bucket, ascending by start */
	uint32_t	bucket_count;
	uint32_t	bucket_capacity;
	uint32_t	hash;
	uint32_t	shard;
	uint32_t	ordinal;		/* position in its namespace's list */
	uint32_t	id_size;
	uint32_t	tags_size;
	uint32_t	unlinked;
	int64_t		first_file_ns;	/* starts of the first and the last block whose fileset ... */
	int64_t		last_file_ns;	/* ... may hold it; INT64_MAX and INT64_MIN: none does */
	uint8_t		bytes[];		/* id, then encoded tags */
} M3Series;

static inline M3Slice
m3_series_id(const M3Series *series)
{
	return m3_slice(series->bytes, series->id_size);
}

static inline M3Slice
m3_series_tags(const M3Series *series)
{
	return m3_slice(series->bytes + series->id_size, series->tags_size);
}

/* One stripe of the table; lies in shared memory, zero when empty. */
typedef struct M3Stripe
{
	M3Ref		slots;			/* array of uint64: hash bits and ref */
	uint32_t	capacity;		/* power of two, or 0 */
	uint32_t	count;
} M3Stripe;

extern uint32_t m3_series_hash(M3Ref namespace_ref, M3Slice id);

static inline uint32_t
m3_series_stripe(uint32_t hash)
{
	return hash % M3_STRIPE_COUNT;
}

/* Stripe lock held, shared or exclusive.  0 when there is none. */
extern M3Ref m3_series_find(const M3Arena *arena, const M3Stripe *stripe,
							M3Ref namespace_ref, M3Slice id, uint32_t hash);

/* Stripe lock held exclusive, the series not there yet.  0 when the arena is full. */
extern M3Ref m3_series_create(M3Arena *arena, M3Env *env, M3Stripe *stripe,
							  M3Ref namespace_ref, M3Slice id, M3Slice tags,
							  uint32_t hash);

/* Whether it holds no point that anybody sees or will see.  Stripe lock held. */
extern bool m3_series_is_empty(const M3Arena *arena, const M3Series *series);

/* Stripe lock held exclusive: takes it out of the table and frees what it holds, but
 * not the series itself, which is m3_arena_free's.  What it held is not counted: for that call
 * m3_series_void with UINT64_MAX before. */
extern void m3_series_unlink(M3Arena *arena, M3Env *env, M3Stripe *stripe, M3Ref ref);

static inline M3Bucket *
m3_series_buckets(const M3Arena *arena, const M3Series *series)
{
	return series->buckets == 0 ? NULL : (M3Bucket *) m3_arena_at(arena, series->buckets);
}

/* Number of the first bucket that starts at or after start_ns. */
extern uint32_t m3_series_lower_bound(const M3Arena *arena, const M3Series *series,
									  int64_t start_ns);

/* What a write did, for counters. */
typedef struct M3WriteEffect
{
	int64_t		points;			/* added, before merging */
	int64_t		bytes;
	uint64_t	new_buckets;
	/* of merges on the way, which stay even if the batch is taken back; negative */
	int64_t		merged_points;
	int64_t		merged_bytes;
} M3WriteEffect;

/*
 * Writes one point into the bucket of block_start_ns, as part of batch sequence (0:
 * settled at once).  An exact repeat of the only, settled stream's last point
 * is dropped, unless horizon is 0 in a batch: then that point may be on its way out.  Too
 * many streams are merged if nobody needs them apart; memory is for that.
 * Stripe lock held exclusive.  M3_FULL leaves the series as it was.
 */
extern M3Status m3_series_write(M3Arena *arena, M3Env *env, M3Series *series,
								int64_t block_start_ns, const M3Point *point,
								uint64_t sequence, uint64_t horizon,
								M3Memory *memory, M3WriteEffect *effect, M3Error *err);

/* The runs of a batch, wherever they are in the series: dead, or taken back
 * (see stream.h).  Killing returns how many points were alive until then; those that
 * m3_series_void took are not.  Stripe lock held exclusive. */
extern uint64_t m3_series_kill(const M3Arena *arena, M3Series *series, uint64_t sequence);
extern M3Status m3_series_take_back(M3Arena *arena, M3Env *env, M3Series *series,
									uint64_t sequence, M3Memory *memory, M3Error *err);

/* --- on the way to files, and back -------------------------------------- */

/* The bucket of a block, or NULL.  Stripe lock held. */
extern M3Bucket *m3_series_bucket(const M3Arena *arena, const M3Series *series,
								  int64_t start_ns);

/*
 * Adds a whole encoded stream, as a file holds it, at the end of a bucket: it is read as it
 * is, settled, and never appended to.  Not decoded, so its points are counted by a guess.
 * The payload is copied; an empty one does nothing.  Stripe lock held exclusive.
 * M3_FULL leaves the series as it was.
 */
extern M3Status m3_series_load(M3Arena *arena, M3Env *env, M3Series *series,
							   int64_t block_start_ns, M3Slice payload,
							   M3WriteEffect *effect, M3Error *err);

/*
 * Freezes the first streams of a bucket, as many as are settled below horizon (dead points do
 * not matter); writes go to other streams from then on.  Returns their number, 0 if there
 * are none.  An earlier freeze is forgotten.  Stripe lock held exclusive.
 */
extern uint32_t m3_series_freeze(const M3Arena *arena, M3Series *series, int64_t start_ns,
								 uint64_t horizon);

/* What was frozen is as it was before.  Stripe lock held exclusive. */
extern void m3_series_thaw(const M3Arena *arena, M3Series *series, int64_t start_ns);

/*
 * Frees what is frozen, and the bucket if nothing is left in it.  Into effect, all negative:
 * points, bytes, and the number of buckets that went (as a wrapped new_buckets).
 * Stripe lock held exclusive.
 */
extern void m3_series_evict(M3Arena *arena, M3Env *env, M3Series *series, int64_t start_ns,
							M3WriteEffect *effect);

/* Frees the buckets that start before before_ns, but for those with unsettled points.
 * Effect as m3_series_evict.  Stripe lock held exclusive. */
extern void m3_series_expire(M3Arena *arena, M3Env *env, M3Series *series, int64_t before_ns,
							 uint64_t horizon, M3WriteEffect *effect);

/*
 * For TRUNCATE: every settled point and those of batches below sequence are gone for
 * everybody; freed where a stream holds nothing else, else never seen again.  Nothing
 * stays frozen.  Cannot fail.  Effect as m3_series_evict.  Stripe lock held exclusive.
 */
extern void m3_series_void(M3Arena *arena, M3Env *env, M3Series *series, uint64_t sequence,
						   M3WriteEffect *effect);

/*
 * For the tick: makes one stream of each bucket's streams where that drops enough streams or
 * dead points to be worth it and nobody needs them apart (frozen and sealed ones stay as they
 * are), frees buckets without live points.  Returns the number of buckets merged; those
 * that could not be are left as they were.  Stripe lock held exclusive.
 */
extern uint32_t m3_series_merge(M3Arena *arena, M3Env *env, M3Series *series,
								uint64_t horizon, M3Memory *memory, M3WriteEffect *effect);

#endif							/* M3_BUFFER_SERIES_H */
