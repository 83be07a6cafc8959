/*
 * Single cases of streams, points and buckets.
 */
#include "test/unit/buffer_model.h"

static void
void_all(World *w)
{
	M3WriteEffect effect = {0};

	m3_series_void(arena, env, w->series, UINT64_MAX, &effect);
	count_effect(w, &effect);
	w->version_count = 0;
	CHECK(w->points == 0 && w->bytes == 0 && w->buckets == 0);
	CHECK(w->series->bucket_count == 0);
}

static void
append(M3Stream *stream, int64_t time_ns, uint64_t sequence)
{
	M3Point		point = {.time_ns = time_ns, .value = 1, .unit = M3_UNIT_NONE};

	CHECK_OK(m3_stream_append(arena, env, stream, &point, sequence, 0, &err));
}

static void
test_flips(void)
{
	M3Ref		ref = m3_stream_create(arena, env, T0);
	M3Stream   *stream = m3_arena_at(arena, ref);
	const Snapshot before_7 = {.next = 7};
	uint32_t	flips[8];
	uint32_t	limit;

	CHECK_INT(m3_stream_flips(arena, stream, NULL, NULL, flips, &limit), 0);
	CHECK_INT(limit, 0);
	for (int i = 0; i < 6; i++)
		append(stream, T0 + i * S, i < 3 ? 0 : i < 5 ? 5 : 7);
	CHECK_INT(m3_stream_void(arena, stream, 5), 3);
	CHECK_INT(m3_stream_flips(arena, stream, NULL, NULL, flips, &limit), 2);
	CHECK(flips[0] == 0 && flips[1] == 3 && limit == 6);
	CHECK_INT(m3_stream_flips(arena, stream, sees, &before_7, flips, &limit), 3);
	CHECK(flips[2] == 5 && limit == 5);
	CHECK_INT(m3_stream_live_points(arena, stream), 3);
	CHECK_INT(m3_stream_kill(arena, stream, 5), 2);
	CHECK_INT(m3_stream_kill(arena, stream, 5), 0);
	CHECK_INT(m3_stream_flips(arena, stream, NULL, NULL, flips, &limit), 2);
	CHECK(flips[0] == 0 && flips[1] == 5 && limit == 6);
	CHECK_INT(m3_stream_flips(arena, stream, sees, &before_7, flips, &limit), 1);
	CHECK(flips[0] == 0 && limit == 0);
	/* settled behind what was voided */
	CHECK(m3_stream_settle(arena, stream, 100));
	CHECK_INT(m3_stream_live_points(arena, stream), 1);
	CHECK_INT(m3_stream_void(arena, stream, 100), 1);
	CHECK_INT(m3_stream_live_points(arena, stream), 0);
	m3_stream_free(arena, env, ref);

	stream = m3_arena_at(arena, ref = m3_stream_load(arena, env, T0, m3_slice("abcdefg", 7)));
	CHECK_INT(m3_stream_flips(arena, stream, NULL, NULL, flips, &limit), 0);
	CHECK(limit == UINT32_MAX && m3_stream_count(stream) == 0);
	CHECK_INT(m3_stream_points(stream), 4);
	CHECK_INT(m3_stream_size(stream), 7);
	CHECK(m3_stream_settle(arena, stream, 0));
	m3_stream_free(arena, env, ref);
}

/* A long payload comes back whole. */
static void
test_load_long(void)
{
	const size_t sizes[] = {1, 47, 48, 495, 496, 497, 992, 100000};
	static uint8_t bytes[100000];
	static uint8_t back[100000 + M3_ENCODER_MAX_TAIL];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) (i * 7 + i / 251);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		M3Ref		ref = m3_stream_load(arena, env, T0, m3_slice(bytes, sizes[i]));
		const M3Stream *stream = m3_arena_at(arena, ref);

		CHECK(m3_stream_copy_size(stream) >= sizes[i]);
		CHECK_BYTES(back, m3_stream_copy(arena, stream, back), bytes, sizes[i]);
		m3_stream_free(arena, env, ref);
	}
	check_arena();
}

static void
test_full(void)
{
	static World w;
	static const uint8_t bytes[30000];
	M3WriteEffect effect = {0};
	M3Status	status = M3_OK;
	uint64_t	used = 0;
	int			loaded = 0;

	open_world(&w, true);
	for (int i = 0; status == M3_OK; i++)
	{
		used = bytes_used();
		count_effect(&w, &effect);
		memset(&effect, 0, sizeof(effect));
		status = m3_series_load(arena, env, w.series, T0 + i % 50 * BLOCK_SIZE,
								m3_slice(bytes, sizeof(bytes)), &effect, &err);
		loaded++;
	}
	CHECK_STATUS(status, M3_FULL);
	CHECK(loaded > 10);
	CHECK_INT(bytes_used(), used);
	CHECK(effect.points == 0 && effect.bytes == 0 && effect.new_buckets == 0);
	check_counters(&w);
	CHECK_OK(m3_series_load(arena, env, w.series, T0, m3_slice(NULL, 0), &effect, &err));
	void_all(&w);
	close_world(&w);
	check_arena();
}

/* A stream of these times, a second apart each; -1 ends them. */
static size_t
encode_times(const int *times, M3Points *points, uint8_t **payload, size_t *capacity)
{
	size_t		size;

	m3_points_clear(points);
	for (size_t i = 0; times[i] >= 0; i++)
	{
		M3Point		point = {.time_ns = T0 + times[i] * S, .value = (double) i,
		.unit = M3_UNIT_NONE};

		CHECK_OK(m3_points_add(points, &point, &err));
	}
	CHECK_OK(m3_points_encode(points, T0, &memory, payload, capacity, &size, &err));
	return size;
}

static void
test_payloads(bool with_annotations)
{
	const int	repeated[] = {1, 2, 2, 2, 5, 5, -1};
	const int	backwards[] = {1, 2, 3, 2, -1};
	const int	nothing[] = {-1};
	const uint32_t middle[] = {0, 1, 3};
	uint8_t    *payload = NULL;
	size_t		capacity = 0;
	size_t		size;
	M3Points	points;
	M3Points	result;
	M3Copy		copy;

	m3_points_init(&points, &memory, with_annotations);
	m3_points_init(&result, &memory, with_annotations);
	m3_copy_init(&copy, &memory, with_annotations);

	CHECK_INT(encode_times(nothing, &points, &payload, &capacity), 0);
	CHECK_OK(m3_copy_merge_payload(&copy, m3_slice(payload, 0), &result, NULL, &err));
	CHECK_INT(result.count, 0);

	size = encode_times(repeated, &points, &payload, &capacity);
	CHECK_OK(m3_copy_merge_payload(&copy, m3_slice(payload, size), &result, NULL, &err));
	CHECK(result.count == 3 && result.values[0] == 0 && result.values[1] == 1 &&
		  result.values[2] == 4);
	m3_points_clear(&result);
	CHECK_OK(m3_points_decode(&result, payload, size, UINT32_MAX, middle, 3, &err));
	CHECK(result.count == 2 && result.values[0] == 1 && result.values[1] == 2);
	CHECK_STATUS(m3_points_decode(&result, payload, size, 7, NULL, 0, &err), M3_CORRUPT);
	CHECK_INT(result.count, 2);
	CHECK_STATUS(m3_points_decode(&result, payload, size - 2, UINT32_MAX, NULL, 0, &err),
				 M3_CORRUPT);
	CHECK_INT(result.count, 2);

	size = encode_times(backwards, &points, &payload, &capacity);
	CHECK_STATUS(m3_copy_merge_payload(&copy, m3_slice(payload, size), &result, NULL, &err),
				 M3_CORRUPT);

	/* more than any guess, and again without memory */
	m3_points_clear(&points);
	for (int i = 0; i < 20000; i++)
	{
		M3Point		point = {.time_ns = T0 + i * S, .value = 1, .unit = M3_UNIT_NONE};

		CHECK_OK(m3_points_add(&points, &point, &err));
	}
	CHECK_OK(m3_points_encode(&points, T0, &memory, &payload, &capacity, &size, &err));
	m3_points_clear(&result);
	CHECK_OK(m3_points_decode(&result, payload, size, UINT32_MAX, NULL, 0, &err));
	CHECK(result.count == 20000 && result.times_ns[19999] == T0 + 19999 * S);
	for (int n = 0; n < 3; n++)
	{
		M3Points	empty;

		m3_points_init(&empty, &memory, with_annotations);
		allocations_left = n;
		CHECK_STATUS(m3_points_decode(&empty, payload, size, UINT32_MAX, NULL, 0, &err),
					 M3_NO_MEMORY);
		CHECK_INT(empty.count, 0);
		allocations_left = -1;
		m3_points_free(&empty);
	}

	m3_points_free(&points);
	m3_points_free(&result);
	m3_copy_free(&copy);
	free(payload);
}

/* Later points of a thawed, a loaded and a merged bucket do not slip under earlier ones. */
static void
write_value(World *w, int slot, uint64_t sequence, double value)
{
	M3WriteEffect effect = {0};
	M3Point		point = {.time_ns = time_of(0, slot), .value = value, .unit = M3_UNIT_NONE};

	CHECK_OK(m3_series_write(arena, env, w->series, T0, &point, sequence, 0, &memory, &effect,
							 &err));
	count_effect(w, &effect);
	w->versions[w->version_count++] = (Version) {sequence, 0, slot, value, 0};
	w->next_sequence = sequence + 1;
}

static void
test_order(void)
{
	static World w;
	M3WriteEffect effect = {0};
	Snapshot	all = {.next = 1000};

	open_world(&w, true);
	write_value(&w, 3, 0, 1);
	CHECK_INT(m3_series_freeze(arena, w.series, T0, 1), 1);
	write_value(&w, 5, 1, 2);
	write_value(&w, 3, 1, 3);
	m3_series_thaw(arena, w.series, T0);
	write_value(&w, 5, 2, 4);
	check_read(&w, 0, &all);
	void_all(&w);

	/* a dead point ended the first stream; what is behind it ends later than what is left */
	write_value(&w, 1, 0, 1);
	write_value(&w, 9, 4, 1);
	write_value(&w, 6, 5, 2);
	w.points -= (int64_t) m3_series_kill(arena, w.series, 4);
	drop_versions(&w, is_of_batch, 4);
	CHECK_INT(m3_series_merge(arena, env, w.series, 5, &memory, &effect), 1);
	count_effect(&w, &effect);
	write_value(&w, 6, 6, 3);
	check_read(&w, 0, &all);
	check_counters(&w);
	void_all(&w);

	/* two closed ones become an open one when a later point comes */
	write_value(&w, 5, 0, 1);
	write_value(&w, 4, 0, 1);
	CHECK_INT(m3_series_freeze(arena, w.series, T0, 10), 2);
	write_value(&w, 3, 10, 1);
	m3_series_thaw(arena, w.series, T0);
	w.points -= (int64_t) m3_series_kill(arena, w.series, 10);
	drop_versions(&w, is_of_batch, 10);
	allocations_left = 0;
	memset(&effect, 0, sizeof(effect));
	m3_series_merge(arena, env, w.series, 100, &memory, &effect);
	allocations_left = -1;
	count_effect(&w, &effect);
	CHECK_INT(m3_series_bucket(arena, w.series, T0)->stream_count, 2);
	write_value(&w, 7, 13, 2);
	CHECK_INT(m3_series_bucket(arena, w.series, T0)->stream_count, 1);
	write_value(&w, 7, 14, 3);
	check_read(&w, 0, &all);
	check_counters(&w);
	void_all(&w);

	/* a repeat of a voided value is none */
	write_value(&w, 1, 0, 7);
	write_value(&w, 2, 20, 7);
	memset(&effect, 0, sizeof(effect));
	m3_series_void(arena, env, w.series, 20, &effect);
	count_effect(&w, &effect);
	CHECK_INT(w.points, 1);
	drop_versions(&w, is_before, 20);
	CHECK_OK(m3_series_take_back(arena, env, w.series, 20, &memory, &err));
	drop_versions(&w, is_of_batch, 20);
	CHECK(m3_series_is_empty(arena, w.series));
	write_value(&w, 1, 21, 7);
	check_read(&w, 0, &all);
	close_world(&w);
}

/* A point that is there already takes no room, unless it may be about to go. */
static void
test_repeats(void)
{
	static World w;
	M3WriteEffect effect = {0};
	M3Point		point = {.time_ns = T0, .value = 5, .unit = M3_UNIT_NONE};
	const uint64_t horizons[] = {3, 0, 3};
	const int64_t points[] = {1, 2, 3};

	open_world(&w, true);
	CHECK_OK(m3_series_write(arena, env, w.series, T0, &point, 0, 0, &memory, &effect, &err));
	CHECK_OK(m3_series_write(arena, env, w.series, T0, &point, 0, 0, &memory, &effect, &err));
	for (int i = 0; i < 3; i++)
	{
		CHECK_OK(m3_series_write(arena, env, w.series, T0, &point, 3, horizons[i], &memory,
								 &effect, &err));
		CHECK_INT(effect.points, points[i]);
	}
	memset(&effect, 0, sizeof(effect));
	CHECK(m3_series_kill(arena, w.series, 3) == 2);
	CHECK_INT(m3_series_merge(arena, env, w.series, 4, &memory, &effect), 1);
	/* neither is it repeated by what is frozen */
	CHECK_INT(m3_series_freeze(arena, w.series, T0, 4), 1);
	memset(&effect, 0, sizeof(effect));
	CHECK_OK(m3_series_write(arena, env, w.series, T0, &point, 4, 4, &memory, &effect, &err));
	CHECK_INT(effect.points, 1);
	close_world(&w);
}

int
main(void)
{
	uint64_t	used;

	open_arena();
	used = bytes_used();
	test_flips();
	test_load_long();
	test_full();
	test_payloads(true);
	test_payloads(false);
	test_order();
	test_repeats();
	CHECK_INT(bytes_used(), used);
	close_arena();
	return check_report();
}
