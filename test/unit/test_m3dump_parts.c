/*
 * What m3dump is made of besides its commands: the external sort, text.
 */
#include "test/unit/check.h"

#include "storage/base/bytes.h"
#include "storage/base/env_posix.h"
#include "storage/base/time.h"
#include "tools/sorter.h"
#include "tools/text.h"

#define S M3_NS_PER_SECOND

static M3Error err;
static M3Env *env;

/* Sorting */

static void
sort_numbers(uint64_t memory_size, size_t count, size_t large)
{
	Sorter	   *sorter;
	SorterStats stats;
	M3Slice		key;
	M3Slice		value;
	uint32_t	seed = 7;
	uint64_t	sum = 0;
	uint64_t	checked = 0;
	uint64_t	seen = 0;
	uint64_t	last = 0;
	bool		ordered = true;
	uint8_t    *big = calloc(1, large + 8);
	uint8_t		bytes[8];

	CHECK_OK(sorter_create(env, &m3_memory_malloc, memory_size, &sorter, &err));
	for (size_t i = 0; i < count; i++)
	{
		seed = seed * 1664525u + 1013904223u;
		m3_store_be64(bytes, seed >> 8);
		memcpy(big, bytes, 8);
		sum += seed >> 8;
		if (sorter_add(sorter, m3_slice(bytes, 8),
					   m3_slice(big, i % 1000 == 500 ? large : i % 50), &err) != M3_OK)
			CHECK(false);
	}
	CHECK_OK(sorter_finish(sorter, &err));
	while (sorter_next(sorter, &key, &value, &err) == M3_OK)
	{
		uint64_t	number = m3_load_be64(key.data);

		ordered = ordered && number >= last &&
			(value.size < 8 || m3_load_be64(value.data) == number);
		last = number;
		checked += number;
		seen++;
	}
	CHECK(ordered);
	CHECK_INT(seen, count);
	CHECK_INT(checked, sum);
	sorter_stats(sorter, &stats);
	CHECK_INT(stats.records, count);
	CHECK((stats.runs > 0) == (count > 10000));
	CHECK(stats.passes >= (count > 10000 ? 2 : 0));
	sorter_free(sorter);
	free(big);
}

static void
test_sorter(void)
{
	sort_numbers(UINT64_C(64) << 20, 5000, 100);
	sort_numbers(0, 60000, 300000);	/* records larger than the memory */
	sort_numbers(0, 0, 0);
	sort_numbers(0, 1, 0);
}

/* Text */

static void
check_text(Text *text, const char *expected)
{
	CHECK_BYTES(text->data, text->size, expected, strlen(expected));
	text_clear(text);
}

static void
test_text(void)
{
	Text		text;
	char		time[TEXT_TIME_SIZE];
	uint64_t	size;
	int64_t		ns;

	text_init(&text, &m3_memory_malloc);
	text_add_csv(&text, m3_slice_cstr("plain"));
	text_add_csv(&text, m3_slice_cstr(" a\"b,c"));
	check_text(&text, "plain\" a\"\"b,c\"");
	text_add_json(&text, m3_slice_cstr("\"\\\n\x01\xc3\xa9\xff\xed\xa0\x80"));
	check_text(&text, "\"\\\"\\\\\\n\\u0001\xc3\xa9\\udcff\\udced\\udca0\\udc80\"");
	text_add_base64(&text, m3_slice_cstr("n"));
	text_add_base64(&text, m3_slice_cstr("no"));
	text_add_base64(&text, m3_slice_cstr("not\xff"));
	check_text(&text, "bg==bm8=bm90/w==");
	text_add_value(&text, -INFINITY);
	text_add_value(&text, 0.1);
	text_add_value(&text, -0.0);
	check_text(&text, "-Inf0.10000000000000001-0");
	text_add_readable(&text, m3_slice_cstr("a\tb\xff" "cdef"), 5);
	check_text(&text, "a\\x09b\\xffc... (8 bytes)");
	text_free(&text);

	CHECK(strcmp(text_time(INT64_C(1709596800500000000), time), "2024-03-05T00:00:00.5Z") == 0);
	CHECK(strcmp(text_time(-1, time), "1969-12-31T23:59:59.999999999Z") == 0);
	CHECK(strcmp(text_duration(90 * S, time), "1m30s") == 0);
	CHECK(text_parse_size("64kB", &size) && size == 65536);
	CHECK(!text_parse_size("64k", &size) && !text_parse_size("", &size) &&
		  !text_parse_size("99999999999999GB", &size));
	CHECK(text_parse_duration("1h30m", &ns) && ns == 5400 * S);
	CHECK(text_parse_duration("250ms", &ns) && ns == S / 4);
	CHECK(!text_parse_duration("h", &ns) && !text_parse_duration("5x", &ns));
	CHECK(text_parse_time("1709596800000000000", &ns) && ns == INT64_C(1709596800000000000));
	CHECK(text_parse_time("2024-03-05", &ns) && ns == INT64_C(1709596800000000000));
	CHECK(text_parse_time("2024-03-05T00:00:01.25Z", &ns) &&
		  ns == INT64_C(1709596801250000000));
	CHECK(!text_parse_time("2024-03", &ns) && !text_parse_time("yesterday", &ns) &&
		  !text_parse_time("9999-01-01", &ns));
}

int
main(void)
{
	env = m3_env_posix_create(0);
	test_sorter();
	test_text();
	m3_env_posix_destroy(env);
	return check_report();
}
