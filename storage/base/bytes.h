/*
 * Numbers to and from bytes, one explicit byte order each; no struct is ever
 * cast onto file contents.
 */
#ifndef M3_BASE_BYTES_H
#define M3_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
m3_byteswap64(uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(x);
#else
	return x;
#endif
}

static inline uint64_t
m3_load_be64(const void *p)
{
	uint64_t	x;

	memcpy(&x, p, sizeof(x));
	return m3_byteswap64(x);
}

static inline void
m3_store_be64(void *p, uint64_t x)
{
	x = m3_byteswap64(x);
	memcpy(p, &x, sizeof(x));
}

static inline uint32_t
m3_load_be32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 |
		(uint32_t) b[2] << 8 | (uint32_t) b[3];
}

static inline void
m3_store_be32(void *p, uint32_t x)
{
	uint8_t    *b = p;

	b[0] = (uint8_t) (x >> 24);
	b[1] = (uint8_t) (x >> 16);
	b[2] = (uint8_t) (x >> 8);
	b[3] = (uint8_t) x;
}

static inline uint16_t
m3_load_be16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t) (b[0] << 8 | b[1]);
}

static inline void
m3_store_be16(void *p, uint16_t x)
{
	uint8_t    *b = p;

	b[0] = (uint8_t) (x >> 8);
	b[1] = (uint8_t) x;
}

static inline uint16_t
m3_load_le16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t) (b[0] | b[1] << 8);
}

static inline void
m3_store_le16(void *p, uint16_t x)
{
	uint8_t    *b = p;

	b[0] = (uint8_t) x;
	b[1] = (uint8_t) (x >> 8);
}

static inline uint32_t
m3_load_le32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t) b[0] | (uint32_t) b[1] << 8 |
		(uint32_t) b[2] << 16 | (uint32_t) b[3] << 24;
}

static inline void
m3_store_le32(void *p, uint32_t x)
{
	uint8_t    *b = p;

	b[0] = (uint8_t) x;
	b[1] = (uint8_t) (x >> 8);
	b[2] = (uint8_t) (x >> 16);
	b[3] = (uint8_t) (x >> 24);
}

static inline uint64_t
m3_load_le64(const void *p)
{
	const uint8_t *b = p;

	return (uint64_t) m3_load_le32(b) | (uint64_t) m3_load_le32(b + 4) << 32;
}

static inline void
m3_store_le64(void *p, uint64_t x)
{
	uint8_t    *b = p;

	m3_store_le32(b, (uint32_t) x);
	m3_store_le32(b + 4, (uint32_t) (x >> 32));
}

/* The bit pattern of a double, and back; never through arithmetic. */
static inline uint64_t
m3_double_bits(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double
m3_double_from_bits(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

#define M3_UVARINT_MAX_SIZE 10

/* Unsigned LEB128; returns the bytes written, at most M3_UVARINT_MAX_SIZE. */
static inline size_t
m3_put_uvarint(uint8_t *out, uint64_t x)
{
	size_t		n = 0;

	while (x >= 0x80)
	{
		out[n++] = (uint8_t) (x | 0x80);
		x >>= 7;
	}
	out[n++] = (uint8_t) x;
	return n;
}

/* Returns the bytes read; 0 if size is too short; SIZE_MAX if over 64 bits. */
static inline size_t
m3_get_uvarint(const uint8_t *data, size_t size, uint64_t *x)
{
	uint64_t	value = 0;

	for (size_t i = 0; i < M3_UVARINT_MAX_SIZE; i++)
	{
		if (i == size)
			return 0;
		if (i == M3_UVARINT_MAX_SIZE - 1 && data[i] > 1)
			return SIZE_MAX;
		value |= (uint64_t) (data[i] & 0x7f) << (7 * i);
		if (data[i] < 0x80)
		{
			*x = value;
			return i + 1;
		}
	}
	return SIZE_MAX;
}

#endif							/* M3_BASE_BYTES_H */
