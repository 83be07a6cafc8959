/*
 * A series' buffers beside a model of them: every version ever written that is not dead, who
 * sees which, the files that were written, and the counters a namespace would keep.
 */
#ifndef M3_TEST_BUFFER_MODEL_H
#define M3_TEST_BUFFER_MODEL_H

#include "test/unit/check.h"

#include "storage/base/env_posix.h"
#include "storage/buffer/copy.h"
#include "storage/buffer/series.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700006400) * S)	/* aligned to blocks */
#define BLOCK_SIZE (7200 * S)
#define BLOCKS 3
#define TIMES 24				/* times in a block, to collide often */
#define MAX_VERSIONS 16384
#define MAX_OPEN 4
#define MAX_SNAPSHOTS 3

static M3Error err;
static M3Env *env;
static M3Arena *arena;
static void *arena_memory;

static inline uint64_t
bytes_used(void)
{
	M3ArenaStats stats;

	m3_arena_stats(arena, env, &stats);
	return stats.bytes_used;
}

static inline void
check_arena(void)
{
	const char *reason = "";

	if (!CHECK(m3_arena_check(arena, env, &reason)))
		fprintf(stderr, "    %s\n", reason);
}

/* --- memory that ends --------------------------------------------------- */

static int64_t allocations_left;	/* below 0: no end */

static inline void *
limited_alloc(M3Memory *self, size_t size)
{
	(void) self;
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return malloc(size == 0 ? 1 : size);
}

static inline void *
limited_resize(M3Memory *self, void *old, size_t size)
{
	(void) self;
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return realloc(old, size == 0 ? 1 : size);
}

static inline void
limited_free(M3Memory *self, void *pointer)
{
	(void) self;
	free(pointer);
}

static M3Memory memory = {limited_alloc, limited_resize, limited_free, NULL};

/* --- the model ---------------------------------------------------------- */

typedef struct Version
{
	uint64_t	sequence;		/* 0: loaded */
	int			block;
	int			slot;			/* of TIMES */
	double		value;
	uint8_t		annotation;		/* 0: none */
} Version;

typedef struct Snapshot
{
	uint64_t	floor;			/* hides nothing below */
	uint64_t	next;			/* hides all from here on */
	uint64_t	hidden[MAX_OPEN];
	int			hidden_count;
} Snapshot;

typedef struct File
{
	uint8_t    *data;
	size_t		capacity;
	size_t		size;
} File;

typedef struct World
{
	M3Stripe	stripe;
	M3Ref		ref;
	M3Series   *series;
	int64_t		points;			/* counters, as a namespace keeps them */
	int64_t		bytes;
	uint64_t	buckets;

	Version		versions[MAX_VERSIONS];	/* in order of writing; dead ones are taken out */
	size_t		version_count;
	uint64_t	next_sequence;
	uint64_t	open[MAX_OPEN];	/* staged, neither published nor aborted */
	int			open_count;
	Snapshot	snapshots[MAX_SNAPSHOTS];
	int			snapshot_count;
	File		files[BLOCKS];
	M3Copy		copy;
} World;

static inline int64_t
block_start(int block)
{
	return T0 + block * BLOCK_SIZE;
}

static inline int64_t
time_of(int block, int slot)
{
	/* not all in whole seconds */
	return block_start(block) + slot * 10 * S + (slot % 5 == 4 ? 1000000 : 0);
}

static inline uint64_t
oldest_open(const World *w)
{
	uint64_t	oldest = w->next_sequence;

	for (int i = 0; i < w->open_count; i++)
	{
		if (w->open[i] < oldest)
			oldest = w->open[i];
	}
	return oldest;
}

static inline uint64_t
horizon_of(const World *w)
{
	uint64_t	horizon = oldest_open(w);

	for (int i = 0; i < w->snapshot_count; i++)
	{
		if (w->snapshots[i].floor < horizon)
			horizon = w->snapshots[i].floor;
	}
	return horizon;
}

static inline Snapshot
take_snapshot(const World *w)
{
	Snapshot	snapshot = {.floor = oldest_open(w), .next = w->next_sequence,
	.hidden_count = w->open_count};

	memcpy(snapshot.hidden, w->open, sizeof(w->open));
	return snapshot;
}

static inline bool
sees(const void *context, uint64_t sequence)
{
	const Snapshot *snapshot = context;

	if (sequence >= snapshot->next)
		return false;
	for (int i = 0; i < snapshot->hidden_count; i++)
	{
		if (snapshot->hidden[i] == sequence)
			return false;
	}
	return true;
}

typedef bool (*DropFn) (const World *w, const Version *version, uint64_t argument);

static inline size_t
drop_versions(World *w, DropFn drop, uint64_t argument)
{
	size_t		kept = 0;
	size_t		dropped;

	for (size_t i = 0; i < w->version_count; i++)
	{
		if (!drop(w, &w->versions[i], argument))
			w->versions[kept++] = w->versions[i];
	}
	dropped = w->version_count - kept;
	w->version_count = kept;
	return dropped;
}

static inline bool
is_of_batch(const World *w, const Version *version, uint64_t sequence)
{
	(void) w;
	return version->sequence == sequence;
}

static inline bool
is_before(const World *w, const Version *version, uint64_t sequence)
{
	(void) w;
	return version->sequence < sequence;
}

static inline bool
is_of_block(const World *w, const Version *version, uint64_t block)
{
	(void) w;
	return version->block == (int) block;
}

static inline void
count_effect(World *w, const M3WriteEffect *effect)
{
	w->points += effect->points + effect->merged_points;
	w->bytes += effect->bytes + effect->merged_bytes;
	w->buckets += effect->new_buckets;
}

/* --- reading ------------------------------------------------------------ */

static inline void
take(World *w, int block, uint32_t stream_limit, M3SeesFn fn, const Snapshot *snapshot)
{
	const M3Bucket *bucket = m3_series_bucket(arena, w->series, block_start(block));

	while (!m3_copy_take(&w->copy, arena, bucket, stream_limit, fn, snapshot))
		CHECK_OK(m3_copy_grow(&w->copy, &err));
}

/* What is on disk and in memory, later over earlier. */
static inline void
check_read(World *w, int block, const Snapshot *snapshot)
{
	const Version *expected[TIMES] = {NULL};
	const File *file = &w->files[block];
	uint64_t	decoded = 0;
	M3Points	result;
	size_t		n = 0;
	bool		same = true;

	for (size_t i = 0; i < w->version_count; i++)
	{
		const Version *version = &w->versions[i];

		if (version->block == block &&
			(version->sequence == 0 || sees(snapshot, version->sequence)))
			expected[version->slot] = version;
	}
	m3_points_init(&result, &memory, w->copy.one.with_annotations);
	m3_copy_clear(&w->copy);
	take(w, block, UINT32_MAX, sees, snapshot);
	CHECK_OK(m3_copy_merge_payload(&w->copy, m3_slice(file->data, file->size), &result, &decoded,
								   &err));
	CHECK_OK(m3_copy_merge(&w->copy, &result, &decoded, &err));
	CHECK(decoded >= result.count);
	for (int slot = 0; slot < TIMES; slot++)
	{
		const Version *version = expected[slot];

		if (version == NULL)
			continue;
		same = same && n < result.count && result.times_ns[n] == time_of(block, slot) &&
			result.values[n] == version->value;
		if (same && result.with_annotations)
			same = result.annotations[n].size == (version->annotation > 0 ? 3 : 0) &&
				(version->annotation == 0 ||
				 (result.annotations[n].data[0] == version->annotation &&
				  result.annotations[n].data[2] == version->annotation));
		n++;
	}
	CHECK(same && n == result.count);
	m3_points_free(&result);
}

/* --- beginning and end -------------------------------------------------- */

static inline void
remove_files(World *w, int first, int end)
{
	for (int block = first; block < end; block++)
	{
		free(w->files[block].data);
		memset(&w->files[block], 0, sizeof(File));
	}
}

/* The counters are what is really there. */
static inline void
check_counters(const World *w)
{
	int64_t		points = 0;
	int64_t		bytes = 0;

	for (uint32_t i = 0; i < w->series->bucket_count; i++)
	{
		const M3Bucket *bucket = &m3_series_buckets(arena, w->series)[i];
		uint32_t	streams = 0;
		M3Ref		last = 0;

		for (M3Ref ref = bucket->first_stream; ref != 0; streams++)
		{
			const M3Stream *stream = m3_arena_at(arena, ref);

			points += m3_stream_live_points(arena, stream);
			bytes += (int64_t) m3_stream_size(stream);
			last = ref;
			ref = stream->next;
		}
		CHECK_INT(streams, bucket->stream_count);
		CHECK(last == bucket->last_stream);
		CHECK(bucket->frozen <= streams);
	}
	CHECK_INT(w->points, points);
	CHECK_INT(w->bytes, bytes);
	CHECK_INT(w->buckets, w->series->bucket_count);
}

static inline void
open_world(World *w, bool with_annotations)
{
	M3Slice		id = m3_slice_cstr("series");
	uint32_t	hash = m3_series_hash(16, id);

	memset(w, 0, sizeof(*w));
	w->next_sequence = 1;
	w->ref = m3_series_create(arena, env, &w->stripe, 16, id, m3_slice(NULL, 0), hash);
	w->series = m3_arena_at(arena, w->ref);
	CHECK(w->series->first_file_ns == INT64_MAX && w->series->last_file_ns == INT64_MIN);
	m3_copy_init(&w->copy, &memory, with_annotations);
}

static inline void
close_world(World *w)
{
	m3_series_unlink(arena, env, &w->stripe, w->ref);
	m3_arena_free(arena, env, w->ref);
	m3_arena_free(arena, env, w->stripe.slots);
	m3_copy_free(&w->copy);
	remove_files(w, 0, BLOCKS);
}

/* Memory for all of it; ends with close_arena. */
static inline void
open_arena(void)
{
	const size_t size = 4 << 20;

	arena_memory = aligned_alloc(64, size);
	if (arena_memory == NULL)
		abort();
	memset(arena_memory, 0, size);
	allocations_left = -1;
	env = m3_env_posix_create(0);
	arena = m3_arena_create(arena_memory, size);
}

static inline void
close_arena(void)
{
	check_arena();
	m3_env_posix_destroy(env);
	free(arena_memory);
}

#endif							/* M3_TEST_BUFFER_MODEL_H */
