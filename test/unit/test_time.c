/*
 * Blocks, units and the text of times.
 */
#include "storage/base/time.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND

static void
check_text(int64_t time_ns, const char *expected)
{
	char		text[M3_TIME_TEXT_SIZE];

	if (!CHECK(strcmp(m3_time_text(time_ns, text), expected) == 0))
		fprintf(stderr, "    is \"%s\", not \"%s\"\n", text, expected);
}

int
main(void)
{
	const int64_t t = INT64_C(1704085200) * S;	/* 2024-01-01 05:00:00 */

	/* spec/engine.md 2: counted from year 1, not from 1970 */
	CHECK_INT(m3_block_start(t, 2 * 3600 * S), (INT64_C(1704085200) - 3600) * S);
	CHECK_INT(m3_block_start(t, 7 * 3600 * S), INT64_C(1704067200) * S);
	CHECK_INT(m3_block_start(t, 36 * 3600 * S), INT64_C(1704067200) * S);
	CHECK_INT(m3_block_start(t, 7 * 86400 * S), INT64_C(1704067200) * S);
	/* spec/fileset.md 13 */
	CHECK_INT(m3_block_start(INT64_C(1600000000) * S, 604800 * S), INT64_C(1599436800) * S);
	CHECK_INT(m3_block_start(INT64_C(1600000000) * S, 7200 * S), INT64_C(1599998400) * S);
	/* a true floor before 1970, also within a second */
	CHECK_INT(m3_block_start(-1, 7200 * S), -7200 * S);
	CHECK_INT(m3_block_start(0, 7200 * S), 0);
	for (int64_t i = -1000; i < 1000; i++)
	{
		int64_t		time_ns = i * 7919 * S + i * 13;
		int64_t		start = m3_block_start(time_ns, 3600 * S);

		CHECK(start <= time_ns && time_ns - start < 3600 * S && start % (3600 * S) == 0);
	}

	CHECK_INT(m3_unit_of_time(t), M3_UNIT_SECOND);
	CHECK_INT(m3_unit_of_time(t + 1000000), M3_UNIT_MILLISECOND);
	CHECK_INT(m3_unit_of_time(t + 1000), M3_UNIT_MICROSECOND);
	CHECK_INT(m3_unit_of_time(-1), M3_UNIT_NANOSECOND);
	CHECK_INT(m3_unit_from_name("us"), M3_UNIT_MICROSECOND);
	CHECK_INT(m3_unit_from_name("m"), M3_UNIT_NONE);
	CHECK_INT(m3_unit_from_name(""), M3_UNIT_NONE);
	CHECK(!m3_unit_is_valid(0) && m3_unit_is_valid(4) && !m3_unit_is_valid(5));

	check_text(t, "2024-01-01 05:00:00 UTC");
	check_text(t + 1, "2024-01-01 05:00:00.000000001 UTC");
	check_text(t + 120000000, "2024-01-01 05:00:00.12 UTC");
	check_text(-1, "1969-12-31 23:59:59.999999999 UTC");
	check_text(INT64_MAX, "2262-04-11 23:47:16.854775807 UTC");
	check_text(INT64_MIN, "1677-09-21 00:12:43.145224192 UTC");
	return check_report();
}
