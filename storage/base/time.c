#include "storage/base/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Seconds from 0001-01-01 to 1970-01-01. */
#define SECONDS_BEFORE_1970 INT64_C(62135596800)

const char *
m3_unit_name(unsigned unit)
{
	static const char *const names[] = {"", "s", "ms", "us", "ns"};

	return unit <= M3_UNIT_NANOSECOND ? names[unit] : "";
}

M3TimeUnit
m3_unit_from_name(const char *name)
{
	for (unsigned unit = M3_UNIT_SECOND; unit <= M3_UNIT_NANOSECOND; unit++)
	{
		if (strcmp(name, m3_unit_name(unit)) == 0)
			return (M3TimeUnit) unit;
	}
	return M3_UNIT_NONE;
}

const char *
m3_time_text(int64_t time_ns, char out[M3_TIME_TEXT_SIZE])
{
	int64_t		fraction = time_ns % M3_NS_PER_SECOND;
	time_t		seconds = (time_t) (time_ns / M3_NS_PER_SECOND);
	struct tm	parts;
	size_t		size;

	if (fraction < 0)
	{
		fraction += M3_NS_PER_SECOND;
		seconds--;
	}
	/* an int64 of nanoseconds is within the years 1677 to 2262 */
	if (gmtime_r(&seconds, &parts) == NULL)
		memset(&parts, 0, sizeof(parts));
	size = strftime(out, M3_TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
	if (fraction != 0)
	{
		size += (size_t) snprintf(out + size, M3_TIME_TEXT_SIZE - size, ".%09d", (int) fraction);
		while (out[size - 1] == '0')
			size--;
	}
	snprintf(out + size, M3_TIME_TEXT_SIZE - size, " UTC");
	return out;
}

int64_t
m3_block_start(int64_t time_ns, int64_t block_size_ns)
{
	int64_t		size = block_size_ns / M3_NS_PER_SECOND;
	int64_t		seconds = time_ns / M3_NS_PER_SECOND;
	int64_t		phase;

	if (time_ns % M3_NS_PER_SECOND < 0)
		seconds--;				/* floor, also before 1970 */
	phase = (seconds + SECONDS_BEFORE_1970) % size;
	if (phase < 0)
		phase += size;
	return (seconds - phase) * M3_NS_PER_SECOND;
}
