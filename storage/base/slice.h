/*
 * A borrowed run of bytes.  Whoever hands one out says how long it stays valid.
 */
#ifndef M3_BASE_SLICE_H
#define M3_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct M3Slice
{
	const uint8_t *data;
	size_t		size;
} M3Slice;

static inline M3Slice
m3_slice(const void *data, size_t size)
{
	M3Slice		slice = {(const uint8_t *) data, size};

	return slice;
}

static inline M3Slice
m3_slice_cstr(const char *text)
{
	return m3_slice(text, strlen(text));
}

static inline bool
m3_slice_equal(M3Slice a, M3Slice b)
{
	return a.size == b.size &&
		(a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* memcmp order, shorter first: the order of ids in a fileset. */
static inline int
m3_slice_compare(M3Slice a, M3Slice b)
{
	size_t		common = a.size < b.size ? a.size : b.size;
	int			order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

#endif							/* M3_BASE_SLICE_H */
