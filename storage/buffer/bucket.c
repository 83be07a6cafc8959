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

/* The tick writes a stream again only if that moves or drops at least this part of it, so that a
 * late point now and then does not cost a whole block each time; or if there are more
 * streams than that. */
#define TICK_SIZE_RATIO 8u

/* Some streams of a bucket, one behind the other. */
typedef struct Group
{
	M3Stream   *before;			/* the one before them, or NULL */
	M3Ref		first;
	uint32_t	count;
} Group;

void
m3i_bucket_add_stream(const M3Arena *arena, M3Bucket *bucket, M3Ref ref)
{
	if (bucket->last_stream != 0)
		((M3Stream *) m3_arena_at(arena, bucket->last_stream))->next = ref;
	else
		bucket->first_stream = ref;
	bucket->last_stream = ref;
	bucket->stream_count++;
}

/* Puts a stream (0: none) in place of a group, which is freed. */
static void
replace_group(M3Arena *arena, M3Env *env, M3Bucket *bucket, const Group *group, M3Ref replacement)
{
	M3Ref		behind = group->first;
	M3Ref		last = replacement;

	for (uint32_t i = 0; i < group->count; i++)
	{
		M3Ref		next = ((M3Stream *) m3_arena_at(arena, behind))->next;

		m3_stream_free(arena, env, behind);
		behind = next;
	}
	if (replacement != 0)
		((M3Stream *) m3_arena_at(arena, replacement))->next = behind;
	else
		replacement = behind;
	if (group->before != NULL)
		group->before->next = replacement;
	else
		bucket->first_stream = replacement;
	bucket->stream_count -= group->count;
	if (last != 0)
		bucket->stream_count++;
	if (behind == 0 && last == 0 && group->before != NULL)
		last = (M3Ref) ((char *) group->before - (char *) arena);
	if (behind == 0)
		bucket->last_stream = last;
}

void
m3i_bucket_free_stream(M3Arena *arena, M3Env *env, M3Bucket *bucket, M3Stream *before)
{
	const Group one = {before, before != NULL ? before->next : bucket->first_stream, 1};

	replace_group(arena, env, bucket, &one, 0);
}

void
m3i_bucket_free_streams(M3Arena *arena, M3Env *env, M3Bucket *bucket)
{
	const Group all = {NULL, bucket->first_stream, bucket->stream_count};

	replace_group(arena, env, bucket, &all, 0);
	bucket->frozen = 0;
}

bool
m3i_bucket_settle(const M3Arena *arena, const M3Bucket *bucket, uint64_t horizon)
{
	bool		all = true;

	for (M3Ref ref = bucket->first_stream; ref != 0;)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		if (!m3_stream_settle(arena, stream, horizon))
			all = false;
		ref = stream->next;
	}
	return all;
}

/* --- merging ------------------------------------------------------------ */

/* The streams of a group, settled, as one ascending set.  Annotations stay
 * in one, which therefore is not cleared between the streams. */
static M3Status
read_settled(M3Arena *arena, const Group *group, M3Points *all, M3Points *one, M3Points *merged,
			 M3Memory *memory, M3Error *err)
{
	M3Ref		ref = group->first;

	for (uint32_t i = 0; i < group->count; i++)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);
		uint8_t    *copy = m3_alloc(memory, m3_stream_copy_size(stream));
		uint32_t   *flips = m3_alloc(memory, ((size_t) stream->run_count + 2) *
										   sizeof(uint32_t));
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

/*
 * Makes one stream of a group, dropping dead points, if all runs are settled below horizon;
 * M3_NOT_FOUND if they are not.  M3_FULL and M3_NO_MEMORY leave the bucket as it was.
 */
static M3Status
merge_group(M3Arena *arena, M3Env *env, M3Bucket *bucket, const Group *group, uint64_t horizon,
			M3Memory *memory, M3Ref *result, M3Error *err)
{
	M3Status	status = M3_OK;
	M3Points	all;
	M3Points	one;
	M3Points	merged;
	M3Stream   *last = NULL;
	M3Stream   *new_stream;
	M3Ref		ref = group->first;
	int64_t		last_ns = INT64_MIN;

	for (uint32_t i = 0; i < group->count; i++)
	{
		last = m3_arena_at(arena, ref);
		if (!m3_stream_settle(arena, last, horizon))
			return m3_error(err, M3_NOT_FOUND, "a snapshot still needs the streams apart");
		if (last->closed)
			last_ns = INT64_MAX;
		else if (last->last_ns > last_ns)
			last_ns = last->last_ns;
		ref = last->next;
	}
	m3_points_init(&all, memory, true);
	m3_points_init(&one, memory, true);
	m3_points_init(&merged, memory, true);

	ref = 0;
	M3_GOTO(read_settled(arena, group, &all, &one, &merged, memory, err));
	ref = m3_stream_create(arena, env, bucket->start_ns);
	if (ref == 0)
	{
		status = m3_error(err, M3_FULL, "no room for points in the buffer arena");
		goto done;
	}
	M3_GOTO(write_settled(arena, env, ref, &all, err));
	/* what is behind it may end where the group did, dead points included, but no later
	 * if all were open */
	new_stream = m3_arena_at(arena, ref);
	new_stream->closed = last->next != 0 && new_stream->last_ns < last_ns;
	replace_group(arena, env, bucket, group, ref);
	*result = ref;
	ref = 0;
done:
	if (ref != 0)
		m3_stream_free(arena, env, ref);
	m3_points_free(&all);
	m3_points_free(&one);
	m3_points_free(&merged);
	return status;
}

/* Live points, and bytes. */
static void
measure(const M3Arena *arena, const Group *group, int64_t *points, int64_t *bytes)
{
	M3Ref		ref = group->first;

	*points = 0;
	*bytes = 0;
	for (uint32_t i = 0; i < group->count; i++)
	{
		const M3Stream *stream = m3_arena_at(arena, ref);

		*points += m3_stream_live_points(arena, stream);
		*bytes += (int64_t) m3_stream_size(stream);
		ref = stream->next;
	}
}

/* Merges, and counts what that changed.  The stream made of the group, or NULL if it stays. */
static M3Stream *
merge_counted(M3Arena *arena, M3Env *env, M3Bucket *bucket, const Group *group, uint64_t horizon,
			  M3Memory *memory, M3WriteEffect *effect)
{
	Group		merged = {group->before, 0, 1};
	int64_t		points;
	int64_t		bytes;
	int64_t		points_left;
	int64_t		bytes_left;

	measure(arena, group, &points, &bytes);
	if (merge_group(arena, env, bucket, group, horizon, memory, &merged.first, NULL) != M3_OK)
		return NULL;
	measure(arena, &merged, &points_left, &bytes_left);
	effect->merged_points += points_left - points;
	effect->merged_bytes += bytes_left - bytes;
	return m3_arena_at(arena, merged.first);
}

/* The last streams of a bucket that are small enough to be merged. */
static Group
find_small(const M3Arena *arena, const M3Bucket *bucket)
{
	Group		group = {NULL, bucket->first_stream, bucket->stream_count};
	M3Stream   *stream;
	uint64_t	after = 0;		/* points in streams not yet passed */
	uint32_t	number = 0;

	for (M3Ref ref = bucket->first_stream; ref != 0; ref = stream->next)
	{
		stream = m3_arena_at(arena, ref);
		after += m3_stream_count(stream);
	}
	for (M3Ref ref = bucket->first_stream; ref != 0; ref = stream->next)
	{
		stream = m3_arena_at(arena, ref);
		after -= m3_stream_count(stream);
		number++;
		/* too large to be written again for those behind it, or to be left alone? */
		if (stream->sealed || number <= bucket->frozen ||
			(after > 0 && m3_stream_count(stream) > MERGE_SIZE_RATIO * after))
			group = (Group) {stream, stream->next, bucket->stream_count - number};
	}
	return group;
}

void
m3i_bucket_merge_last(M3Arena *arena, M3Env *env, M3Bucket *bucket, uint64_t horizon,
					  M3Memory *memory, M3WriteEffect *effect)
{
	Group		group;

	if (bucket->stream_count < 2)
		return;
	group = find_small(arena, bucket);
	if (group.count >= 2)
		(void) merge_counted(arena, env, bucket, &group, horizon, memory, effect);
}

/* --- the tick ----------------------------------------------------------- */

/* Frees the streams that nobody will ever read again. */
static bool
drop_dead(M3Arena *arena, M3Env *env, M3Bucket *bucket, M3WriteEffect *effect)
{
	M3Stream   *before = NULL;
	uint32_t	number = 0;
	bool		dropped = false;

	for (M3Ref ref = bucket->first_stream; ref != 0;)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		ref = stream->next;
		if (number < bucket->frozen || m3_stream_live_points(arena, stream) > 0)
		{
			before = stream;
			number++;
			continue;
		}
		effect->merged_bytes -= (int64_t) m3_stream_size(stream);
		m3i_bucket_free_stream(arena, env, bucket, before);
		dropped = true;
	}
	return dropped;
}

/* The streams from before on (NULL: from the first) that may become one; *worth says whether
 * that would drop enough of them, or of their points. */
static Group
find_group(const M3Arena *arena, const M3Bucket *bucket, M3Stream *before, uint64_t horizon,
		   bool *worth)
{
	Group		group = {before, before != NULL ? before->next : bucket->first_stream, 0};
	uint64_t	total = 0;
	uint64_t	dead = 0;
	uint32_t	largest = 0;

	for (M3Ref ref = group.first; ref != 0;)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		if (stream->sealed || !m3_stream_settle(arena, stream, horizon))
			break;
		group.count++;
		total += m3_stream_count(stream);
		dead += m3_stream_count(stream) - m3_stream_live_points(arena, stream);
		if (m3_stream_count(stream) > largest)
			largest = m3_stream_count(stream);
		ref = stream->next;
	}
	*worth = (dead > 0 && dead * TICK_SIZE_RATIO >= total) ||
		(group.count >= 2 && (group.count > TICK_SIZE_RATIO ||
							  (total - largest) * TICK_SIZE_RATIO >= total));
	return group;
}

static bool
merge_bucket(M3Arena *arena, M3Env *env, M3Bucket *bucket, uint64_t horizon, M3Memory *memory,
			 M3WriteEffect *effect)
{
	bool		changed = drop_dead(arena, env, bucket, effect);
	M3Stream   *before = NULL;
	M3Ref		ref = bucket->first_stream;

	for (uint32_t number = 0; number < bucket->frozen; number++)
	{
		before = m3_arena_at(arena, ref);
		ref = before->next;
	}
	while (ref != 0)
	{
		bool		worth;
		Group		group = find_group(arena, bucket, before, horizon, &worth);
		M3Stream   *merged = NULL;

		if (worth)
			merged = merge_counted(arena, env, bucket, &group, horizon, memory, effect);
		if (merged != NULL)
		{
			changed = true;
			before = merged;
		}
		else
		{
			/* past the group, or the one that stopped it */
			for (uint32_t i = 0; i < group.count || i == 0; i++)
			{
				before = m3_arena_at(arena, ref);
				ref = before->next;
			}
		}
		ref = before->next;
	}
	return changed;
}

uint32_t
m3_series_merge(M3Arena *arena, M3Env *env, M3Series *series, uint64_t horizon, M3Memory *memory,
				M3WriteEffect *effect)
{
	uint32_t	merged = 0;

	for (uint32_t i = series->bucket_count; i-- > 0;)
	{
		M3Bucket   *bucket = &m3_series_buckets(arena, series)[i];

		if (merge_bucket(arena, env, bucket, horizon, memory, effect))
			merged++;
		if (bucket->stream_count == 0)
			m3i_series_remove_bucket(arena, env, series, i, effect);
	}
	return merged;
}
