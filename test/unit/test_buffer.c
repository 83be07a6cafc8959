/*
 * The buffers of one series against a model of them: who sees what while streams are
 * written, killed, merged, frozen, evicted, loaded and voided at random, and that the
 * counters and the arena are back where they began when all is gone.
 */
#include "test/unit/buffer_model.h"

static uint64_t random_state;

static uint32_t
random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t) ((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static void
check_all(World *w)
{
	Snapshot	now = take_snapshot(w);

	for (int block = 0; block < BLOCKS; block++)
	{
		check_read(w, block, &now);
		for (int i = 0; i < w->snapshot_count; i++)
			check_read(w, block, &w->snapshots[i]);
	}
}

/* --- doing -------------------------------------------------------------- */

static M3Point
random_point(int block, int slot, uint8_t *annotation, uint8_t bytes[3])
{
	M3Point		point = {.time_ns = time_of(block, slot), .value = random_below(4) * 1.25,
	.unit = M3_UNIT_NONE};

	*annotation = random_below(8) == 0 ? (uint8_t) (1 + random_below(200)) : 0;
	memset(bytes, *annotation, 3);
	if (*annotation > 0)
		point.annotation = m3_slice(bytes, 3);
	return point;
}

static uint32_t
count_sealed(const World *w)
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < w->series->bucket_count; i++)
	{
		for (M3Ref ref = m3_series_buckets(arena, w->series)[i].first_stream; ref != 0;)
		{
			const M3Stream *stream = m3_arena_at(arena, ref);

			count += stream->sealed;
			ref = stream->next;
		}
	}
	return count;
}

static void
do_write(World *w, uint64_t sequence, int block, int slot, M3WriteEffect *effect)
{
	uint8_t		bytes[3];
	uint8_t		annotation;
	M3Point		point = random_point(block, slot, &annotation, bytes);
	int64_t		before = effect->points;

	CHECK_OK(m3_series_write(arena, env, w->series, block_start(block), &point, sequence,
							 horizon_of(w), &memory, effect, &err));
	if (effect->points > before)
		w->versions[w->version_count++] = (Version)
		{
			sequence, block, slot, point.value, annotation
		};
}

static void
do_batch(World *w)
{
	M3WriteEffect effect = {0};
	uint64_t	sequence = w->next_sequence++;
	uint32_t	sealed = count_sealed(w);
	int			n = 1 + (int) random_below(12);
	int			block = (int) random_below(BLOCKS);
	int			slot = (int) random_below(TIMES);
	bool		in_order = random_below(2) == 0;

	w->open[w->open_count++] = sequence;
	for (int i = 0; i < n; i++)
	{
		do_write(w, sequence, block, slot, &effect);
		slot = in_order ? slot + 1 : (int) random_below(TIMES);
		if (slot == TIMES)
			break;
		if (random_below(10) == 0)
			block = (int) random_below(BLOCKS);
	}
	CHECK_INT(count_sealed(w), sealed);
	if (random_below(8) == 0)
	{
		CHECK_OK(m3_series_take_back(arena, env, w->series, sequence, &memory, &err));
		drop_versions(w, is_of_batch, sequence);
		effect.points = 0;
		effect.bytes = 0;
		w->open_count--;
	}
	count_effect(w, &effect);
}

/* Publishes or aborts one of the open batches. */
static void
do_end(World *w)
{
	int			i = (int) random_below((uint32_t) w->open_count);
	uint64_t	sequence = w->open[i];

	if (random_below(3) == 0)
	{
		uint64_t	killed = m3_series_kill(arena, w->series, sequence);

		CHECK_INT(killed, drop_versions(w, is_of_batch, sequence));
		w->points -= (int64_t) killed;
	}
	w->open[i] = w->open[--w->open_count];
}

static void
do_snapshot(World *w)
{
	if (w->snapshot_count < MAX_SNAPSHOTS && random_below(2) == 0)
		w->snapshots[w->snapshot_count++] = take_snapshot(w);
	else if (w->snapshot_count > 0)
	{
		int			i = (int) random_below((uint32_t) w->snapshot_count);

		w->snapshots[i] = w->snapshots[--w->snapshot_count];
	}
}

static void
do_load(World *w)
{
	M3WriteEffect effect = {0};
	int			block = (int) random_below(BLOCKS);
	uint8_t		bytes[TIMES][3];
	uint8_t    *payload = NULL;
	size_t		capacity = 0;
	size_t		size;
	M3Points	points;

	m3_points_init(&points, &memory, true);
	for (int slot = (int) random_below(TIMES); slot < TIMES; slot += 1 + (int) random_below(4))
	{
		uint8_t		annotation;
		M3Point		point = random_point(block, slot, &annotation, bytes[slot]);

		CHECK_OK(m3_points_add(&points, &point, &err));
		w->versions[w->version_count++] = (Version)
		{
			0, block, slot, point.value, annotation
		};
	}
	CHECK_OK(m3_points_encode(&points, block_start(block), &memory, &payload, &capacity, &size,
							  &err));
	CHECK_OK(m3_series_load(arena, env, w->series, block_start(block), m3_slice(payload, size),
							&effect, &err));
	CHECK(effect.points > 0 && effect.bytes == (int64_t) size);
	count_effect(w, &effect);
	free(payload);
	m3_points_free(&points);
}

/* What a flush writes: the frozen streams over the old file. */
static void
write_file(World *w, int block, uint32_t frozen, File *file)
{
	const File *old = &w->files[block];
	M3Points	result;
	M3Slice		whole;

	m3_points_init(&result, &memory, w->copy.one.with_annotations);
	m3_copy_clear(&w->copy);
	take(w, block, frozen, NULL, NULL);
	if (old->size == 0 && m3_copy_whole(&w->copy, &whole))
	{
		file->data = malloc(whole.size);
		memcpy(file->data, whole.data, whole.size);
		file->size = whole.size;
	}
	else
	{
		CHECK_OK(m3_copy_merge_payload(&w->copy, m3_slice(old->data, old->size), &result, NULL,
									   &err));
		CHECK_OK(m3_copy_merge(&w->copy, &result, NULL, &err));
		CHECK_OK(m3_points_encode(&result, block_start(block), &memory, &file->data,
								  &file->capacity, &file->size, &err));
	}
	m3_points_free(&result);
}

static void
do_flush(World *w)
{
	M3WriteEffect effect = {0};
	int			block = (int) random_below(BLOCKS);
	File		file = {0};
	uint32_t	frozen;

	frozen = m3_series_freeze(arena, w->series, block_start(block), horizon_of(w));
	if (frozen == 0)
		return;
	write_file(w, block, frozen, &file);
	for (uint32_t i = random_below(4); i > 0; i--)
	{
		if (w->open_count < MAX_OPEN)
			do_batch(w);
		if (w->open_count > 0)
			do_end(w);
	}
	if (random_below(4) == 0)
	{
		CHECK(m3_series_merge(arena, env, w->series, horizon_of(w), &memory, &effect) <=
			  BLOCKS);
	}
	check_all(w);
	if (random_below(3) == 0)
	{
		/* failed */
		free(file.data);
		m3_series_thaw(arena, w->series, block_start(block));
	}
	else
	{
		free(w->files[block].data);
		w->files[block] = file;
		m3_series_evict(arena, env, w->series, block_start(block), &effect);
		CHECK(effect.points <= 0 && effect.bytes <= 0);
	}
	count_effect(w, &effect);
}

static void
do_void(World *w, uint64_t sequence)
{
	M3WriteEffect effect = {0};

	/* also in the midst of a flush */
	if (random_below(2) == 0)
		m3_series_freeze(arena, w->series, block_start(1), horizon_of(w));
	m3_series_void(arena, env, w->series, sequence, &effect);
	drop_versions(w, is_before, sequence);
	remove_files(w, 0, BLOCKS);
	m3_series_evict(arena, env, w->series, block_start(1), &effect);
	count_effect(w, &effect);
	/* what is left is counted one by one, repeats too */
	CHECK_INT(w->points, w->version_count);
}

static void
do_expire(World *w)
{
	M3WriteEffect effect = {0};
	int			end = 1 + (int) random_below(BLOCKS);
	uint64_t	before = w->buckets;

	m3_series_expire(arena, env, w->series, block_start(end), horizon_of(w), &effect);
	count_effect(w, &effect);
	CHECK(w->buckets <= before);
	for (int block = 0; block < end; block++)
	{
		bool		unsettled = false;

		for (size_t i = 0; i < w->version_count; i++)
			unsettled = unsettled || (w->versions[i].block == block &&
									  w->versions[i].sequence >= horizon_of(w));
		CHECK(unsettled == (m3_series_bucket(arena, w->series, block_start(block)) != NULL));
		if (unsettled)
			continue;
		drop_versions(w, is_of_block, (uint64_t) block);
		remove_files(w, block, block + 1);
	}
}

static void
do_merge(World *w, bool fail)
{
	M3WriteEffect effect = {0};
	uint32_t	sealed = count_sealed(w);

	if (fail)
		allocations_left = random_below(6);
	m3_series_merge(arena, env, w->series, horizon_of(w), &memory, &effect);
	allocations_left = -1;
	CHECK(effect.points == 0 && effect.bytes == 0);
	CHECK_INT(count_sealed(w), sealed);
	count_effect(w, &effect);
	for (uint32_t i = 0; i < w->series->bucket_count; i++)
		CHECK(m3_series_buckets(arena, w->series)[i].stream_count > 0);
}

static void
step(World *w)
{
	switch (random_below(24))
	{
		case 0:
		case 1:
			do_flush(w);
			break;
		case 2:
			do_load(w);
			break;
		case 3:
			do_expire(w);
			break;
		case 4:
			if (random_below(3) == 0)
			{
				uint64_t	horizon = horizon_of(w);

				do_void(w, horizon + random_below((uint32_t) (w->next_sequence - horizon) + 1));
			}
			break;
		case 5:
		case 6:
			do_merge(w, random_below(4) == 0);
			break;
		case 7:
		case 8:
			do_snapshot(w);
			break;
		default:
			if (w->open_count < MAX_OPEN && random_below(2) == 0)
				do_batch(w);
			else if (w->open_count > 0)
				do_end(w);
	}
}

/* Empties the series, by eviction or at one blow. */
static void
finish(World *w, bool evict)
{
	M3WriteEffect effect = {0};

	w->snapshot_count = 0;
	while (w->open_count > 0)
		do_end(w);
	for (int block = 0; evict && block < BLOCKS; block++)
	{
		m3_series_freeze(arena, w->series, block_start(block), w->next_sequence);
		m3_series_evict(arena, env, w->series, block_start(block), &effect);
	}
	if (!evict)
		m3_series_void(arena, env, w->series, UINT64_MAX, &effect);
	count_effect(w, &effect);
	CHECK_INT(w->points, 0);
	CHECK_INT(w->bytes, 0);
	CHECK_INT(w->buckets, 0);
	CHECK(m3_series_is_empty(arena, w->series));
	CHECK_INT(w->series->buckets, 0);
}

static void
test_random(uint64_t seed, int steps)
{
	static World w;
	uint64_t	used = bytes_used();
	int			failed = checks_failed;

	random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	open_world(&w, seed % 3 != 0);
	for (int i = 0; i < steps && failed == checks_failed && w.version_count < MAX_VERSIONS / 2; i++)
	{
		step(&w);
		check_counters(&w);
		if (i % 4 == 0)
			check_all(&w);
	}
	if (seed % 4 != 0)
		finish(&w, seed % 2 == 0);
	close_world(&w);
	check_arena();
	CHECK_INT(bytes_used(), used);
	if (failed != checks_failed)
		fprintf(stderr, "    with seed %" PRIu64 "\n", seed);
}

int
main(int argc, char **argv)
{
	uint64_t	rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 150;

	open_arena();
	for (uint64_t seed = 1; seed <= rounds; seed++)
		test_random(seed, 400);
	close_arena();
	return check_report();
}
