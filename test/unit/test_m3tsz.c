/*
 * M3TSZ against M3's own streams, against the examples of the specification,
 * and against itself: lossless round trips, prefixes, damage.
 */
#include "storage/codec/m3tsz.h"

#include "storage/base/bytes.h"
#include "storage/base/memory.h"
#include "test/support/jsonl.h"
#include "test/unit/check.h"

#define S INT64_C(1427162400)
#define SECONDS(n) (INT64_C(1000000000) * (n))

static M3Error err;

/*
 * Sequences and streams.
 */

typedef struct Points
{
	M3Point    *at;
	size_t		count;
	size_t		room;
} Points;

typedef struct Bytes
{
	uint8_t    *data;
	size_t		size;
	size_t		room;
} Bytes;

static M3Slice
copy_slice(M3Slice slice)
{
	uint8_t    *copy;

	if (slice.size == 0)
		return m3_slice(NULL, 0);
	copy = malloc(slice.size);
	memcpy(copy, slice.data, slice.size);
	return m3_slice(copy, slice.size);
}

static void
add_point(Points *points, M3Point point)
{
	if (points->count == points->room)
	{
		points->room = points->room * 2 + 16;
		points->at = realloc(points->at, points->room * sizeof(M3Point));
	}
	point.annotation = copy_slice(point.annotation);
	points->at[points->count++] = point;
}

static void
free_points(Points *points)
{
	for (size_t i = 0; i < points->count; i++)
		free((void *) (uintptr_t) points->at[i].annotation.data);
	free(points->at);
	memset(points, 0, sizeof(*points));
}

static bool
append(M3Encoder *encoder, Bytes *bytes, const M3Point *point)
{
	size_t		needed = bytes->size + M3_ENCODER_MAX_RECORD + point->annotation.size;
	size_t		written;

	if (bytes->room < needed)
	{
		bytes->room = needed * 2;
		bytes->data = realloc(bytes->data, bytes->room);
	}
	if (m3_encoder_append(encoder, point, bytes->data + bytes->size, &written, &err) != M3_OK)
		return false;
	bytes->size += written;
	return true;
}

/* Copies bytes and tail to memory of exactly their size, for the sanitizer. */
static Bytes
finish(const M3Encoder *encoder, const Bytes *bytes)
{
	uint8_t		tail[M3_ENCODER_MAX_TAIL];
	size_t		tail_size = m3_encoder_tail(encoder, tail);
	Bytes		stream = {NULL, bytes->size + tail_size, 0};

	stream.data = malloc(stream.size + (stream.size == 0));
	if (bytes->size != 0)
		memcpy(stream.data, bytes->data, bytes->size);
	memcpy(stream.data + bytes->size, tail, tail_size);
	return stream;
}

static Bytes
encode(const Points *points, int64_t start_ns, M3EncoderMode mode, M3TimeUnit default_unit)
{
	M3Encoder	encoder;
	Bytes		bytes = {NULL, 0, 0};
	Bytes		stream;

	m3_encoder_init(&encoder, start_ns, mode, default_unit);
	for (size_t i = 0; i < points->count; i++)
		CHECK(append(&encoder, &bytes, &points->at[i]));
	CHECK_INT(encoder.emitted, bytes.size);
	CHECK_INT(encoder.count, points->count);
	stream = finish(&encoder, &bytes);
	free(bytes.data);
	return stream;
}

/* Decodes at most limit points one by one. */
static M3Status
decode_each(const uint8_t *data, size_t size, bool int_optimized, M3TimeUnit default_unit,
			size_t limit, Points *points)
{
	M3Decoder	decoder;
	M3Point		point;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	M3Status	status = M3_OK;

	m3_decoder_init(&decoder, data, size, int_optimized, default_unit);
	while (points->count < limit)
	{
		status = m3_decoder_next(&decoder, &point, &m3_memory_malloc, &scratch,
								 &scratch_size, &err);
		if (status != M3_OK)
			break;
		add_point(points, point);
	}
	free(scratch);
	return status;
}

/* Decodes by arrays of step points and compares with what came one by one. */
static void
check_arrays(const uint8_t *data, size_t size, bool int_optimized, M3TimeUnit default_unit,
			 size_t step, const Points *points, M3Status expected)
{
	M3Decoder	decoder;
	int64_t		times[64];
	double		values[64];
	uint8_t		units[64];
	size_t		total = 0;
	size_t		count;
	M3Status	status;
	bool		equal = true;

	m3_decoder_init(&decoder, data, size, int_optimized, default_unit);
	do
	{
		status = m3_decoder_next_values(&decoder, times, values, units, step, &count, &err);
		for (size_t i = 0; i < count && total < points->count; i++, total++)
			equal = equal && times[i] == points->at[total].time_ns &&
				m3_double_bits(values[i]) == m3_double_bits(points->at[total].value) &&
				units[i] == points->at[total].unit;
	} while (status == M3_OK && count == step && total < points->count + 1 && equal);
	CHECK(equal);
	CHECK_INT(total, points->count);
	CHECK_STATUS(status, expected == M3_NOT_FOUND ? M3_OK : expected);
	CHECK_STATUS(m3_decoder_next_values(&decoder, times, values, NULL, 1, &count, &err),
				 expected == M3_NOT_FOUND ? M3_OK : expected);
	CHECK_INT(count, 0);
}

static bool
same_points(const Points *a, const Points *b, bool units)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
	{
		if (a->at[i].time_ns != b->at[i].time_ns ||
			m3_double_bits(a->at[i].value) != m3_double_bits(b->at[i].value) ||
			!m3_slice_equal(a->at[i].annotation, b->at[i].annotation) ||
			(units && a->at[i].unit != b->at[i].unit))
			return false;
	}
	return true;
}

static void
check_stream(const Bytes *stream, bool int_optimized, M3TimeUnit default_unit,
			 const Points *expected, const char *name)
{
	Points		points = {NULL, 0, 0};
	M3Status	status;

	status = decode_each(stream->data, stream->size, int_optimized, default_unit,
						 SIZE_MAX, &points);
	CHECK_STATUS(status, M3_NOT_FOUND);
	if (!CHECK(same_points(&points, expected, true)))
		fprintf(stderr, "    in %s\n", name);
	check_arrays(stream->data, stream->size, int_optimized, default_unit, 1, &points, status);
	check_arrays(stream->data, stream->size, int_optimized, default_unit, 7, &points, status);
	check_arrays(stream->data, stream->size, int_optimized, default_unit, 64, &points, status);
	free_points(&points);
}

/*
 * Golden files.
 */

static Points
read_points(const Json *array)
{
	Points		points = {NULL, 0, 0};

	for (const Json *p = array->first; p != NULL; p = p->next)
	{
		const Json *annotation = json_at(p, 3);
		const Json *bits = json_at(p, 4);
		M3Point		point = {json_int(json_at(p, 0)), 0, M3_UNIT_NONE, {NULL, 0}};
		uint8_t    *data = NULL;

		point.value = bits != NULL ? m3_double_from_bits(strtoull(bits->text, NULL, 16)) :
			strtod(json_at(p, 1)->text, NULL);
		point.unit = m3_unit_from_name(json_at(p, 2)->text);
		if (annotation->type == JSON_STRING)
		{
			data = base64_decode(annotation->text, &point.annotation.size);
			point.annotation.data = data;
		}
		add_point(&points, point);
		free(data);
	}
	return points;
}

static void
check_golden_stream(const Json *json)
{
	const char *name = json_text(json, "name");
	bool		int_optimized = json_bool(json, "int_optimized");
	M3EncoderMode mode = int_optimized ? M3_ENCODER_AS_M3 : M3_ENCODER_AS_M3_FLOAT;
	const Json *input_json = json_get(json, "input");
	const Json *start_json = json_get(json, "start_nanos");
	M3TimeUnit	unit = json_get(json, "default_time_unit") == NULL ? M3_UNIT_SECOND :
		m3_unit_from_name(json_text(json, "default_time_unit"));
	Points		points = read_points(json_get(json, "points"));
	Points		input = read_points(input_json != NULL ? input_json : json_get(json, "points"));
	Bytes		golden = {NULL, 0, 0};
	Bytes		stream;
	Bytes		lossless;
	int64_t		start_ns;

	golden.data = base64_decode(json_text(json, "base64"), &golden.size);
	golden.data = realloc(golden.data, golden.size);
	start_ns = start_json != NULL ? json_int(start_json) : (int64_t) m3_load_be64(golden.data);
	stream = encode(&input, start_ns, mode, unit);
	if (!CHECK(stream.size == golden.size &&
			   memcmp(stream.data, golden.data, golden.size) == 0))
		fprintf(stderr, "    in %s\n", name);
	check_stream(&golden, int_optimized, unit, &points, name);
	if (int_optimized)
	{
		Points		back = {NULL, 0, 0};

		lossless = encode(&input, start_ns, M3_ENCODER_LOSSLESS, unit);
		CHECK_STATUS(decode_each(lossless.data, lossless.size, true, unit, SIZE_MAX, &back),
					 M3_NOT_FOUND);
		if (!CHECK(same_points(&back, &input, false)))
			fprintf(stderr, "    in %s, lossless\n", name);
		if (same_points(&points, &input, true) && same_points(&back, &input, true) &&
			!CHECK(lossless.size == golden.size &&
				   memcmp(lossless.data, golden.data, golden.size) == 0))
			fprintf(stderr, "    in %s, lossless\n", name);
		free_points(&back);
		free(lossless.data);
	}
	free(golden.data);
	free(stream.data);
	free_points(&points);
	free_points(&input);
}

static void
check_merge_case(const Json *json)
{
	M3EncoderMode mode = json_bool(json, "int_optimized") ? M3_ENCODER_AS_M3 :
		M3_ENCODER_AS_M3_FLOAT;
	const Json *merged = json_get(json, "merged_base64");
	Points		points = read_points(json_get(json, "points"));
	Bytes		stream;
	size_t		golden_size;
	uint8_t    *golden;

	for (const Json *s = json_get(json, "streams")->first; s != NULL; s = s->next)
	{
		Points		back = {NULL, 0, 0};
		size_t		size;
		uint8_t    *data = base64_decode(s->text, &size);

		CHECK_STATUS(decode_each(data, size, mode == M3_ENCODER_AS_M3, M3_UNIT_SECOND,
								 SIZE_MAX, &back), M3_NOT_FOUND);
		CHECK(size == 0 || back.count > 0);
		free_points(&back);
		free(data);
	}
	if (merged != NULL && merged->type == JSON_STRING)
	{
		golden = base64_decode(merged->text, &golden_size);
		stream = encode(&points, json_int(json_get(json, "start_nanos")), mode, M3_UNIT_SECOND);
		CHECK_BYTES(stream.data, stream.size, golden, golden_size);
		free(stream.data);
		free(golden);
	}
	free_points(&points);
}

static FILE *
open_data(const char *variable, const char *name)
{
	const char *directory = getenv(variable);
	char		path[4096];

	if (directory == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return fopen(path, "r");
}

static void
test_golden(const char *variable, const char *name, size_t expected, void (*check) (const Json *))
{
	FILE	   *file = open_data(variable, name);
	Json	   *json;
	size_t		lines = 0;

	if (file == NULL)
	{
		/* what lies in the repository must be there */
		CHECK(strcmp(variable, "M3_TEST_DATA") != 0);
		fprintf(stderr, "SKIPPED: no %s/%s\n", variable, name);
		return;
	}
	while ((json = json_next_line(file)) != NULL)
	{
		check(json);
		json_free(json);
		lines++;
	}
	CHECK_INT(lines, expected);
	fclose(file);
}

/*
 * Examples of spec 12 and fragments of 14.1.
 */

typedef struct Example
{
	const char *hex;
	int64_t		start_ns;
	M3EncoderMode mode;
	M3TimeUnit	unit;
	size_t		count;
	struct
	{
		int64_t		time_ms;	/* from S */
		double		value;
	}			at[8];
	const char *annotation;
} Example;

static const Example examples[] = {
	{"13ce4ca430cb40008530dc2ce0a31a7ba000", SECONDS(S), M3_ENCODER_AS_M3, M3_UNIT_SECOND, 4,
	{{10000, 12}, {20000, 12}, {30000, 15}, {45000, 12.5}}, NULL},
	{"13ce4ca430cb4000301c28bffc000000000000170baffc487ed5110b46082000", SECONDS(S),
		M3_ENCODER_AS_M3, M3_UNIT_SECOND, 5,
	{{0, 1}, {10000, NAN}, {20000, NAN}, {30000, 3.141592653589793}, {40000, 1}}, NULL},
	{"13ce4ca430cb400080200db00808000000 0165a0bc0078fa1800", SECONDS(S), M3_ENCODER_AS_M3,
	M3_UNIT_MILLISECOND, 2, {{1500, 0}, {2500, 0}}, "m"},
	{"13ce4ca430cb40009f20140000000000005f8cb03000", SECONDS(S), M3_ENCODER_AS_M3_FLOAT,
	M3_UNIT_SECOND, 3, {{62000, 12}, {122000, 12}, {182000, 24}}, NULL},
	{"13ce4ca430cb4000308b3c192fdac01600b005802180de0000", SECONDS(S), M3_ENCODER_AS_M3,
		M3_UNIT_SECOND, 8, {{0, -5}, {60000, 1000}, {120000, 1001}, {180000, 1002},
		{240000, 1003}, {300000, 1004}, {360000, 1005}, {420000, 1006}}, NULL},
	{"13ce4ca430cb40018040200000 00165a0bbfec27c000", SECONDS(S) + 1, M3_ENCODER_AS_M3,
	M3_UNIT_SECOND, 1, {{3000, 7}}, NULL},
};

static Bytes
from_hex(const char *hex)
{
	Bytes		bytes = {malloc(strlen(hex) + 1), 0, 0};
	unsigned	byte;

	for (; *hex != '\0'; hex += 2)
	{
		while (*hex == ' ')
			hex++;
		if (sscanf(hex, "%2x", &byte) != 1)
			abort();
		bytes.data[bytes.size++] = (uint8_t) byte;
	}
	return bytes;
}

static void
test_examples(void)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
	{
		const Example *e = &examples[i];
		Points		points = {NULL, 0, 0};
		Bytes		expected = from_hex(e->hex);
		Bytes		stream;

		for (size_t j = 0; j < e->count; j++)
		{
			double		value = e->at[j].value;
			M3Point		point = {SECONDS(S) + e->at[j].time_ms * 1000000, value, e->unit,
			{NULL, 0}};

			if (isnan(value))
				point.value = m3_double_from_bits(UINT64_C(0x7ff8000000000000));
			if (e->annotation != NULL)
				point.annotation = m3_slice_cstr(e->annotation);
			add_point(&points, point);
		}
		stream = encode(&points, e->start_ns, e->mode, M3_UNIT_SECOND);
		CHECK_BYTES(stream.data, stream.size, expected.data, expected.size);
		if (e->annotation != NULL)
		{
			free((void *) (uintptr_t) points.at[1].annotation.data);
			points.at[1].annotation = m3_slice(NULL, 0);	/* M3 writes it once */
		}
		check_stream(&stream, e->mode == M3_ENCODER_AS_M3, M3_UNIT_SECOND, &points, e->hex);
		free(stream.data);
		free(expected.data);
		free_points(&points);
	}
}

/* First bits after the start of a stream, for a first time of value 0. */
static void
check_first_bits(int64_t start_ns, int64_t time_ns, M3TimeUnit unit, M3TimeUnit default_unit,
				 const char *annotation, const char *hex, unsigned bits)
{
	M3Encoder	encoder;
	Bytes		expected = from_hex(hex);
	Bytes		bytes = {NULL, 0, 0};
	Bytes		stream;
	M3Point		point = {time_ns, 0, unit, {NULL, 0}};

	if (annotation != NULL)
		point.annotation = m3_slice_cstr(annotation);
	m3_encoder_init(&encoder, start_ns, M3_ENCODER_AS_M3, default_unit);
	CHECK(append(&encoder, &bytes, &point));
	stream = finish(&encoder, &bytes);
	CHECK(stream.size > 8 + bits / 8 + 1);
	CHECK(memcmp(stream.data + 8, expected.data, bits / 8) == 0);
	if (bits % 8 != 0)
		CHECK((stream.data[8 + bits / 8] ^ expected.data[bits / 8]) >> (8 - bits % 8) == 0);
	free(stream.data);
	free(bytes.data);
	free(expected.data);
}

static void
test_fragments(void)
{
	const M3TimeUnit s = M3_UNIT_SECOND;
	const M3TimeUnit ns = M3_UNIT_NANOSECOND;

	check_first_bits(0, 0, s, s, NULL, "00", 1);
	check_first_bits(0, SECONDS(32), s, s, NULL, "9000", 9);
	check_first_bits(0, SECONDS(-63), s, s, NULL, "a080", 9);
	check_first_bits(0, SECONDS(-128), s, s, NULL, "d800", 12);
	check_first_bits(0, SECONDS(255), s, s, NULL, "cff0", 12);
	check_first_bits(0, SECONDS(-2048), s, s, NULL, "e800", 16);
	check_first_bits(0, SECONDS(2047), s, s, NULL, "e7ff", 16);
	check_first_bits(0, SECONDS(4096), s, s, NULL, "f000010000", 36);
	check_first_bits(0, SECONDS(-4096), s, s, NULL, "ffffff0000", 36);
	check_first_bits(0, SECONDS(4096), ns, ns, NULL, "f000003b9aca000000", 68);
	check_first_bits(0, SECONDS(-4096), ns, ns, NULL, "ffffffc46536000000", 68);
	check_first_bits(0, 32000000, M3_UNIT_MILLISECOND, s, NULL,
					 "804040000000003d090000", 83);
	check_first_bits(0, 0, s, s, "\x01\x02", "8020402040", 35);
	check_first_bits(0, 0, s, s, "\xff\xff\xff\xff\xff\xff\xff\xff",
					 "8021dfffffffffffffffe0", 83);
	check_first_bits(1, SECONDS(1), s, s, NULL, "804020", 19);
}

/*
 * Random sequences.
 */

static uint64_t random_state;

static uint64_t
random_bits(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
random_below(uint64_t n)
{
	return random_bits() % n;
}

static double
random_value(unsigned kind, double previous)
{
	static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
	static const double nasty[] = {
		0.0, -0.0, 4.9e-324, -4.9e-324, 2.2250738585072014e-308, INFINITY, -INFINITY, 1e13,
		1e13 - 1, 1e13 + 1, -1e13, 9223372036854775808.0, -9223372036854775808.0,
		-9223372036854777856.0, 9223372036854774784.0, 1152921504606847232.0, 1, 3, 4, -1e300,
		1e300, 9007199254740992.0, 9007199254740994.0, 9007199254740993.0, 1.5, -0.1,
		0.1 + 0.2, 46.000000000000007, 0.30000000000000004, 1e-6, 1e-7, 999999.999999,
		1.7976931348623157e308, -102.4, 15, 1e12, 999999999999.9
	};
	/* drawn one after the other: operands have no order of evaluation */
	uint64_t	a = random_bits();
	uint64_t	b = random_bits();
	double		decimal;

	switch (kind)
	{
		case 0:
			return nasty[a % (sizeof(nasty) / sizeof(nasty[0]))];
		case 1:
			return m3_double_from_bits(a);
		case 2:
			return (double) (int64_t) (a % 100000) - 50000;
		case 3:
			return (double) ((int64_t) (a % 2000001) - 1000000) / powers[b % 8];
		case 4:
			decimal = (double) (a % 1000000) / powers[b % 7];
			return m3_double_from_bits(m3_double_bits(decimal) + (b >> 8) % 5 - 2);
		case 5:
			return previous;
		case 6:
			return (double) (int64_t) (a >> b % 64);
		case 7:
			return -(double) (a >> b % 64);
		case 8:
			return m3_double_from_bits(UINT64_C(0x7ff0000000000001) | a % 4 << 50 | b % 2 << 63);
		case 9:
			return m3_double_from_bits(m3_double_bits(previous) + 1);
		default:
			return (double) (a % 100) / 10;
	}
}

static int64_t
random_step(unsigned kind, int64_t unit_ns)
{
	uint64_t	a = random_bits();
	uint64_t	b = random_bits();

	switch (kind)
	{
		case 0:
		case 1:
		case 2:
			return 10 * unit_ns;
		case 3:
			return (int64_t) (a % 60) * unit_ns;
		case 4:
			return ((int64_t) (a % 600) - 300) * unit_ns;
		case 5:
			return ((int64_t) (a % 10000) - 5000) * unit_ns;
		case 6:
			return (int64_t) (a >> (30 + b % 34));
		case 7:
			return (int64_t) (a % (1u << 31)) * unit_ns * (b % 2 ? 1 : -1);
		default:
			return unit_ns;
	}
}

typedef struct Recipe
{
	int64_t		start_ns;
	uint32_t	value_kinds;	/* as a set */
	uint32_t	step_kinds;
	bool		annotations;
	M3TimeUnit	unit;			/* of steps */
	bool		wishes;
} Recipe;

static unsigned
random_member(uint32_t set)
{
	unsigned	member;

	do
		member = (unsigned) random_below(32);
	while ((set >> member & 1) == 0);
	return member;
}

static Points
random_points(const Recipe *recipe, size_t count)
{
	static const char *const notes[] = {"a", "bb", "a longer annotation, not to be repeated"};
	Points		points = {NULL, 0, 0};
	int64_t		time_ns = recipe->start_ns;
	double		value = 0;

	for (size_t i = 0; i < count; i++)
	{
		M3Point		point = {0, 0, M3_UNIT_NONE, {NULL, 0}};

		unsigned	kind = random_member(recipe->step_kinds);
		int64_t		step = random_step(kind, m3_unit_ns(recipe->unit));

		time_ns = (int64_t) ((uint64_t) time_ns + (uint64_t) step);
		kind = random_member(recipe->value_kinds);
		value = random_value(kind, value);
		point.time_ns = time_ns;
		point.value = value;
		if (recipe->wishes)
			point.unit = recipe->unit;
		if (recipe->annotations && random_below(3) == 0)
			point.annotation = m3_slice_cstr(notes[random_below(3)]);
		add_point(&points, point);
	}
	return points;
}

static Recipe
random_recipe(void)
{
	Recipe		recipe = {SECONDS(S), 0, 0, random_below(4) == 0, M3_UNIT_SECOND, false};

	recipe.unit = (M3TimeUnit) (1 + random_below(4));
	recipe.wishes = random_below(2) == 0;
	recipe.value_kinds = 1u << random_below(12);
	recipe.value_kinds |= (uint32_t) (random_bits() & random_bits() & 0xfff);
	recipe.step_kinds = random_below(2) ? 7 : (uint32_t) (random_bits() & 0x1ff) | 1;
	if (random_below(8) == 0)
		recipe.start_ns = -SECONDS(10);		/* crosses the time zero */
	else if (random_below(8) == 0)
		recipe.start_ns = (int64_t) random_bits() >> 2;
	return recipe;
}

/* Notes stay within one stream's repetition rules, and units with M3's. */
static bool
m3_loses_nothing(const Points *input, int64_t start_ns, M3TimeUnit default_unit, Bytes *stream)
{
	M3Encoder	encoder;
	Bytes		bytes = {NULL, 0, 0};
	Points		back = {NULL, 0, 0};
	bool		ok = true;
	int64_t		previous = start_ns;

	m3_encoder_init(&encoder, start_ns, M3_ENCODER_AS_M3, default_unit);
	for (size_t i = 0; i < input->count && ok; i++)
	{
		/* M3 can name a unit that only its raw first time fits */
		ok = (input->at[i].time_ns - previous) % m3_unit_ns(input->at[i].unit) == 0 &&
			append(&encoder, &bytes, &input->at[i]);
		previous = input->at[i].time_ns;
	}
	if (ok)
	{
		*stream = finish(&encoder, &bytes);
		ok = decode_each(stream->data, stream->size, true, default_unit, SIZE_MAX, &back) ==
			M3_NOT_FOUND && same_points(&back, input, true);
		if (!ok)
			free(stream->data);
	}
	free_points(&back);
	free(bytes.data);
	return ok;
}

static void
test_lossless(unsigned rounds)
{
	unsigned	comparable = 0;

	for (unsigned round = 0; round < rounds; round++)
	{
		Recipe		recipe = random_recipe();
		Points		points = random_points(&recipe, 1 + random_below(60));
		Points		back = {NULL, 0, 0};
		Bytes		stream = encode(&points, recipe.start_ns, M3_ENCODER_LOSSLESS,
									M3_UNIT_SECOND);
		Bytes		m3;

		CHECK_STATUS(decode_each(stream.data, stream.size, true, M3_UNIT_SECOND, SIZE_MAX, &back),
					 M3_NOT_FOUND);
		if (!CHECK(same_points(&points, &back, false)))
			fprintf(stderr, "    in round %u\n", round);
		check_arrays(stream.data, stream.size, true, M3_UNIT_SECOND, 1 + random_below(64), &back,
					 M3_NOT_FOUND);
		for (size_t i = 1; i < back.count; i++)
			CHECK(back.at[i].unit >= back.at[i - 1].unit);
		if (recipe.wishes && m3_loses_nothing(&points, recipe.start_ns, M3_UNIT_SECOND, &m3))
		{
			comparable++;
			CHECK_BYTES(stream.data, stream.size, m3.data, m3.size);
			free(m3.data);
		}
		free(stream.data);
		free_points(&back);
		free_points(&points);
	}
	CHECK(comparable > rounds / 20);
}

/*
 * After each append the stream so far reads back; the bytes so far and the
 * partial byte alone, without an end, give the first points.
 */
static void
test_prefixes(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++)
	{
		Recipe		recipe = random_recipe();
		Points		points = random_points(&recipe, 20);
		Points		back = {NULL, 0, 0};
		M3Encoder	encoder;
		Bytes		bytes = {NULL, 0, 0};
		Bytes		whole = encode(&points, recipe.start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);

		m3_encoder_init(&encoder, recipe.start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
		for (size_t i = 0; i < points.count; i++)
		{
			Points		so_far = {points.at, i + 1, 0};
			Bytes		stream;

			CHECK(append(&encoder, &bytes, &points.at[i]));
			stream = finish(&encoder, &bytes);
			CHECK_STATUS(decode_each(stream.data, stream.size, true, M3_UNIT_SECOND, SIZE_MAX,
									 &back), M3_NOT_FOUND);
			CHECK(same_points(&back, &so_far, false));
			free_points(&back);
			/* without end: just the bytes that have bits of points */
			stream.size = bytes.size + (encoder.bit_count != 0);
			stream.data = realloc(stream.data, stream.size);
			CHECK_STATUS(decode_each(stream.data, stream.size, true, M3_UNIT_SECOND, i + 1,
									 &back), M3_OK);
			CHECK(same_points(&back, &so_far, false));
			free_points(&back);
			CHECK_STATUS(decode_each(whole.data, whole.size, true, M3_UNIT_SECOND, i + 1, &back),
						 M3_OK);
			CHECK(same_points(&back, &so_far, false));
			free_points(&back);
			free(stream.data);
		}
		free(bytes.data);
		free(whole.data);
		free_points(&points);
	}
}

static void
check_both_ways(const uint8_t *data, size_t size, bool int_optimized, bool may_be_whole)
{
	Points		points = {NULL, 0, 0};
	M3Status	status = decode_each(data, size, int_optimized, M3_UNIT_SECOND, 500, &points);

	if (status != M3_OK)
	{
		CHECK(status == M3_CORRUPT || (may_be_whole && status == M3_NOT_FOUND));
		check_arrays(data, size, int_optimized, M3_UNIT_SECOND, 5, &points, status);
	}
	free_points(&points);
}

/* Any truncation is corrupt; a flipped bit gives corruption or other points. */
static void
test_damage(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++)
	{
		bool		int_optimized = round % 4 != 0;
		Recipe		recipe = random_recipe();
		Points		points;
		Bytes		stream;

		recipe.wishes = true;
		recipe.step_kinds &= 0x3f;
		points = random_points(&recipe, 12);
		stream = encode(&points, recipe.start_ns, int_optimized ? M3_ENCODER_LOSSLESS :
						M3_ENCODER_AS_M3_FLOAT, M3_UNIT_SECOND);
		for (size_t size = 1; size < stream.size; size++)
		{
			uint8_t    *cut = malloc(size);

			memcpy(cut, stream.data, size);
			check_both_ways(cut, size, int_optimized, false);
			free(cut);
		}
		for (size_t bit = 0; bit < stream.size * 8; bit++)
		{
			uint8_t		mask = (uint8_t) (0x80 >> bit % 8);

			stream.data[bit / 8] ^= mask;
			check_both_ways(stream.data, stream.size, int_optimized, true);
			stream.data[bit / 8] ^= mask;
		}
		free(stream.data);
		free_points(&points);
	}
}

/*
 * Particular cases.
 */

static void
expect_corrupt(const char *hex, bool int_optimized, size_t good)
{
	Bytes		bytes = from_hex(hex);
	Points		points = {NULL, 0, 0};

	CHECK_STATUS(decode_each(bytes.data, bytes.size, int_optimized, M3_UNIT_SECOND, SIZE_MAX,
							 &points), M3_CORRUPT);
	CHECK_INT(points.count, good);
	check_arrays(bytes.data, bytes.size, int_optimized, M3_UNIT_SECOND, 3, &points, M3_CORRUPT);
	free_points(&points);
	free(bytes.data);
}

static void
test_corrupt(void)
{
	Points		points = {NULL, 0, 0};
	uint8_t		end_only[10] = {0x13, 0xce, 0x4c, 0xa4, 0x30, 0xcb, 0x40, 0, 0x80, 0};

	/* start 0; time 0; int; no widths; multiplier 7 */
	expect_corrupt("0000000000000000 1f80 0000000000", true, 0);
	/* the unit byte 0, 5 and 9 */
	expect_corrupt("0000000000000000 804000 0000000000000000 00000000", true, 0);
	expect_corrupt("0000000000000000 8040a0 0000000000000000 00000000", true, 0);
	expect_corrupt("0000000000000000 804120 0000000000000000 00000000", true, 0);
	/* annotation: of negative length, longer than the stream, of a bad varint */
	expect_corrupt("0000000000000000 802020 0000000000000000 00000000", true, 0);
	expect_corrupt("0000000000000000 802fdf e000000000000000 00000000", true, 0);
	expect_corrupt("0000000000000000 803fff ffffffffffffffff ffffffffff", true, 0);
	/* no unit: the start is no whole second */
	expect_corrupt("0000000000000001 00 0000000000000000 00000000", true, 0);
	/* float-only: first value 0; then leading 63 and width 2 */
	expect_corrupt("0000000000000000 0000000000000000 3fc1 8000000000", false, 1);
	CHECK_STATUS(decode_each(end_only, 10, true, M3_UNIT_SECOND, SIZE_MAX, &points),
				 M3_NOT_FOUND);
	CHECK_STATUS(decode_each(end_only, 0, true, M3_UNIT_SECOND, SIZE_MAX, &points),
				 M3_NOT_FOUND);
	CHECK_STATUS(decode_each(end_only, 8, true, M3_UNIT_SECOND, SIZE_MAX, &points), M3_CORRUPT);
	CHECK_INT(points.count, 0);
	free_points(&points);
}

static void
expect_invalid(M3Encoder *encoder, M3Point point)
{
	M3Encoder	before = *encoder;
	Bytes		bytes = {NULL, 0, 0};

	CHECK(!append(encoder, &bytes, &point));
	CHECK_STATUS(err.status, M3_INVALID);
	CHECK(memcmp(&before, encoder, sizeof(before)) == 0);
	CHECK_INT(bytes.size, 0);
	free(bytes.data);
}

static void
test_refusals(void)
{
	static const uint8_t long_annotation[M3_ANNOTATION_MAX_SIZE + 1];
	uint8_t		tail[M3_ENCODER_MAX_TAIL];
	M3Encoder	encoder;
	M3Point		point = {0, 1, M3_UNIT_SECOND, {NULL, 0}};
	M3Point		bad;

	for (int mode = M3_ENCODER_LOSSLESS; mode <= M3_ENCODER_AS_M3_FLOAT; mode++)
	{
		Bytes		bytes = {NULL, 0, 0};

		m3_encoder_init(&encoder, 0, (M3EncoderMode) mode, M3_UNIT_SECOND);
		CHECK_INT(m3_encoder_tail(&encoder, tail), 0);
		for (int round = 0; round < 2; round++)
		{
			bad = point;
			bad.unit = (M3TimeUnit) 5;
			expect_invalid(&encoder, bad);
			bad = point;
			bad.annotation = m3_slice(long_annotation, M3_ANNOTATION_MAX_SIZE + 1);
			expect_invalid(&encoder, bad);
			bad = point;
			bad.time_ns = INT64_MIN;
			bad.unit = M3_UNIT_MILLISECOND;
			expect_invalid(&encoder, bad);
			if (mode != M3_ENCODER_LOSSLESS)
			{
				bad.unit = M3_UNIT_NONE;
				expect_invalid(&encoder, bad);
				bad.unit = M3_UNIT_SECOND;
				bad.time_ns = SECONDS(INT64_C(0x80000000));
				expect_invalid(&encoder, bad);
			}
			CHECK(append(&encoder, &bytes, &point));
		}
		bad = point;
		bad.annotation = m3_slice(long_annotation, M3_ANNOTATION_MAX_SIZE);
		CHECK(append(&encoder, &bytes, &bad));
		free(bytes.data);
	}
}

/* Records of every size that the header promises to hold. */
static void
test_longest_record(void)
{
	uint8_t		out[M3_ENCODER_MAX_RECORD + 1];
	M3Encoder	encoder;
	M3Point		point = {1, 0.1234567890123, M3_UNIT_NANOSECOND, {NULL, 0}};
	size_t		written;

	out[M3_ENCODER_MAX_RECORD] = 0x5a;
	point.annotation = m3_slice_cstr("x");
	m3_encoder_init(&encoder, 0, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	for (int i = 0; i < 100; i++)
	{
		out[M3_ENCODER_MAX_RECORD] = 0x5a;
		out[M3_ENCODER_MAX_RECORD - 1] = 0x5a;
		point.time_ns = (int64_t) random_bits() >> 3;
		point.value = random_value((unsigned) random_below(8), 0);
		CHECK_OK(m3_encoder_append(&encoder, &point, out, &written, &err));
		CHECK(written <= M3_ENCODER_MAX_RECORD + 1);
		CHECK_INT(out[M3_ENCODER_MAX_RECORD], 0x5a);
	}
}

/* A unit only becomes finer, and as late as it can. */
static void
test_units(void)
{
	static const struct
	{
		int64_t		time_ns;
		M3TimeUnit	wish;
		M3TimeUnit	unit;
	}			steps[] = {
		{SECONDS(S) + SECONDS(10), M3_UNIT_NONE, M3_UNIT_SECOND},
		{SECONDS(S) + SECONDS(20) + 500000000, M3_UNIT_NONE, M3_UNIT_MILLISECOND},
		{SECONDS(S) + SECONDS(30), M3_UNIT_SECOND, M3_UNIT_MILLISECOND},
		{SECONDS(S) + SECONDS(60 * 86400), M3_UNIT_NONE, M3_UNIT_MICROSECOND},
		{SECONDS(S) + SECONDS(60 * 86400) + 1000, M3_UNIT_NONE, M3_UNIT_MICROSECOND},
		{SECONDS(S) + SECONDS(60 * 86400) + 1001, M3_UNIT_NONE, M3_UNIT_NANOSECOND},
		{0, M3_UNIT_MILLISECOND, M3_UNIT_NANOSECOND},
		{1, M3_UNIT_NONE, M3_UNIT_NANOSECOND},
	};
	Points		points = {NULL, 0, 0};
	Points		back = {NULL, 0, 0};
	Bytes		stream;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		add_point(&points, (M3Point) {steps[i].time_ns, 1, steps[i].wish, {NULL, 0}});
	stream = encode(&points, SECONDS(S), M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	CHECK_STATUS(decode_each(stream.data, stream.size, true, M3_UNIT_SECOND, SIZE_MAX, &back),
				 M3_NOT_FOUND);
	CHECK(same_points(&points, &back, false));
	for (size_t i = 0; i < back.count; i++)
		CHECK_INT(back.at[i].unit, steps[i].unit);
	free(stream.data);
	free_points(&points);
	free_points(&back);
}

/* The hot path writes what the general one does. */
static void
test_append_value(void)
{
	Recipe		recipe = {SECONDS(S), 0xfff, 0x1ff, false, M3_UNIT_MILLISECOND, false};
	Points		points = random_points(&recipe, 3000);
	Bytes		stream = encode(&points, recipe.start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	uint8_t    *out = malloc(points.count * M3_ENCODER_MAX_RECORD);
	size_t		size = 0;
	size_t		written;
	M3Encoder	encoder;

	m3_encoder_init(&encoder, recipe.start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	for (size_t i = 0; i < points.count; i++)
	{
		CHECK_OK(m3_encoder_append_value(&encoder, points.at[i].time_ns, points.at[i].value,
										 out + size, &written, &err));
		CHECK(m3_double_bits(points.at[i].value) == encoder.last_value_bits);
		size += written;
	}
	size += m3_encoder_tail(&encoder, out + size);
	CHECK_BYTES(out, size, stream.data, stream.size);
	free(out);
	free(stream.data);
	free_points(&points);
}

int
main(void)
{
	random_state = 42;
	test_golden("M3_SHARED", "golden/m3tsz/samples.jsonl", 15, check_golden_stream);
	test_golden("M3_TEST_DATA", "m3tsz/edge_cases.jsonl", 174, check_golden_stream);
	test_golden("M3_TEST_DATA", "m3tsz/merge_cases.jsonl", 11, check_merge_case);
	test_examples();
	test_fragments();
	test_units();
	test_refusals();
	test_longest_record();
	test_append_value();
	test_corrupt();
	test_lossless(3000);
	test_prefixes(60);
	test_damage(24);
	return check_report();
}
