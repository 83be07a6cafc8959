/*
 * What encoder and decoder of M3TSZ share: constants of spec/m3tsz.md 1.2 and
 * the bit arithmetic that C leaves undefined where the format needs it.
 */
#ifndef M3_CODEC_M3TSZ_PRIVATE_H
#define M3_CODEC_M3TSZ_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/base/time.h"

#define M3I_MARKER_OPCODE 0x100u	/* 9 bits; two more say which marker */
#define M3I_MARKER_BITS 11u
#define M3I_MARKER_END 0u
#define M3I_MARKER_ANNOTATION 1u
#define M3I_MARKER_UNIT 2u

#define M3I_MAX_MULTIPLIER 6u
#define M3I_TWO_63 9223372036854775808.0

/* For what must be inlined, so that state passed by pointer stays in registers. */
#define M3I_INLINE static inline __attribute__((always_inline))

static const double m3i_power_of_10[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};

/* Leading and trailing zero bits, with clz(0) = 64 and ctz(0) = 0. */
static inline unsigned
m3i_clz(uint64_t x)
{
	return x == 0 ? 64u : (unsigned) __builtin_clzll(x);
}

static inline unsigned
m3i_ctz(uint64_t x)
{
	return x == 0 ? 0u : (unsigned) __builtin_ctzll(x);
}

/* Times wrap, as M3's do. */
static inline int64_t
m3i_wrapping_add(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a + (uint64_t) b);
}

static inline int64_t
m3i_wrapping_sub(int64_t a, int64_t b)
{
	return (int64_t) ((uint64_t) a - (uint64_t) b);
}

static inline uint8_t
m3i_initial_unit(int64_t start_ns, unsigned default_unit)
{
	if (m3_unit_is_valid(default_unit) && start_ns % m3_unit_ns(default_unit) == 0)
		return (uint8_t) default_unit;
	return M3_UNIT_NONE;
}

/* In these units a delta of deltas has 32 bits at most. */
static inline bool
m3i_unit_is_32_bit(unsigned unit)
{
	return unit <= M3_UNIT_MILLISECOND;
}

#endif							/* M3_CODEC_M3TSZ_PRIVATE_H */
