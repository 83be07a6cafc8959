/*
 * Times are int64 nanoseconds since 1970 UTC, ranges are half-open.
 * Units and truncation as spec/engine.md 2 and spec/m3tsz.md 1.1 have them.
 */
#ifndef M3_BASE_TIME_H
#define M3_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define M3_NS_PER_SECOND INT64_C(1000000000)

/* The numbers are those written in streams and logs. */
typedef enum M3TimeUnit
{
	M3_UNIT_NONE = 0,
	M3_UNIT_SECOND = 1,
	M3_UNIT_MILLISECOND = 2,
	M3_UNIT_MICROSECOND = 3,
	M3_UNIT_NANOSECOND = 4
} M3TimeUnit;

static inline bool
m3_unit_is_valid(unsigned unit)
{
	return unit >= M3_UNIT_SECOND && unit <= M3_UNIT_NANOSECOND;
}

/* Nanoseconds of a valid unit; 0 for any other. */
static inline int64_t
m3_unit_ns(unsigned unit)
{
	static const int64_t ns[] = {0, 1000000000, 1000000, 1000, 1};

	return unit <= M3_UNIT_NANOSECOND ? ns[unit] : 0;
}

/* The coarsest unit that holds time_ns without loss. */
static inline M3TimeUnit
m3_unit_of_time(int64_t time_ns)
{
	if (time_ns % 1000 != 0)
		return M3_UNIT_NANOSECOND;
	if (time_ns % 1000000 != 0)
		return M3_UNIT_MICROSECOND;
	if (time_ns % 1000000000 != 0)
		return M3_UNIT_MILLISECOND;
	return M3_UNIT_SECOND;
}

/* "s", "ms", "us", "ns"; "" for any other. */
extern const char *m3_unit_name(unsigned unit);

/* The unit of that name, or M3_UNIT_NONE. */
extern M3TimeUnit m3_unit_from_name(const char *name);

#define M3_TIME_TEXT_SIZE 40

/* "2024-01-01 05:00:00.000000001 UTC", without a fraction if there is none.
 * Returns out. */
extern const char *m3_time_text(int64_t time_ns, char out[M3_TIME_TEXT_SIZE]);

/*
 * Start of the block of block_size_ns that holds time_ns, counted from
 * 0001-01-01 UTC.  block_size_ns is a positive number of whole seconds.
 */
extern int64_t m3_block_start(int64_t time_ns, int64_t block_size_ns);

#endif							/* M3_BASE_TIME_H */
