#include "storage/base/hash.h"

#include <libdeflate.h>
#define XXH_STATIC_LINKING_ONLY	/* the size of a state */
#include <xxhash.h>

#include "storage/base/bytes.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static inline uint32_t
rotate_left32(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

static inline uint64_t
rotate_left64(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

uint32_t
m3_adler32(uint32_t checksum, const void *data, size_t size)
{
	/* libdeflate answers a NULL buffer with the initial value */
	if (size == 0)
		return checksum;
	return libdeflate_adler32(checksum, data, size);
}

uint64_t
m3_xxh64(const void *data, size_t size)
{
	return XXH64(data, size, 0);
}

void
m3_xxh3_128_le64(const int64_t *numbers, size_t count, uint64_t out[2])
{
	uint8_t		bytes[128 * 8];
	XXH3_state_t state;
	XXH128_hash_t hash;
	size_t		in_bytes = 0;

	XXH3_128bits_reset(&state);
	for (size_t i = 0; i < count; i++)
	{
		m3_store_le64(bytes + in_bytes, (uint64_t) numbers[i]);
		in_bytes += 8;
		if (in_bytes == sizeof(bytes) || i + 1 == count)
		{
			XXH3_128bits_update(&state, bytes, in_bytes);
			in_bytes = 0;
		}
	}
	hash = XXH3_128bits_digest(&state);
	out[0] = hash.low64;
	out[1] = hash.high64;
}

static inline uint32_t
murmur32_word(uint32_t k)
{
	return rotate_left32(k * UINT32_C(0xcc9e2d51), 15) * UINT32_C(0x1b873593);
}

uint32_t
m3_murmur3_32(const void *data, size_t size, uint32_t seed)
{
	const uint8_t *bytes = data;
	size_t		body = size & ~(size_t) 3;
	uint32_t	h = seed;
	uint32_t	tail = 0;

	for (size_t i = 0; i < body; i += 4)
	{
		h ^= murmur32_word(m3_load_le32(bytes + i));
		h = rotate_left32(h, 13) * 5 + UINT32_C(0xe6546b64);
	}
	for (size_t i = size; i > body; i--)
		tail = tail << 8 | bytes[i - 1];
	h ^= murmur32_word(tail);	/* nothing for an empty tail */

	h ^= (uint32_t) size;
	h = (h ^ h >> 16) * UINT32_C(0x85ebca6b);
	h = (h ^ h >> 13) * UINT32_C(0xc2b2ae35);
	return h ^ h >> 16;
}

#define MURMUR128_C1 UINT64_C(0x87c37b91114253d5)
#define MURMUR128_C2 UINT64_C(0x4cf5ad432745937f)

static inline uint64_t
murmur128_word1(uint64_t k)
{
	return rotate_left64(k * MURMUR128_C1, 31) * MURMUR128_C2;
}

static inline uint64_t
murmur128_word2(uint64_t k)
{
	return rotate_left64(k * MURMUR128_C2, 33) * MURMUR128_C1;
}

static inline uint64_t
murmur128_finish(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

void
m3_murmur3_128(const void *data, size_t size, uint64_t out[2])
{
	const uint8_t *bytes = data;
	size_t		body = size & ~(size_t) 15;
	uint64_t	h1 = 0;
	uint64_t	h2 = 0;
	uint64_t	tail[2] = {0, 0};

	for (size_t i = 0; i < body; i += 16)
	{
		h1 ^= murmur128_word1(m3_load_le64(bytes + i));
		h1 = (rotate_left64(h1, 27) + h2) * 5 + UINT64_C(0x52dce729);
		h2 ^= murmur128_word2(m3_load_le64(bytes + i + 8));
		h2 = (rotate_left64(h2, 31) + h1) * 5 + UINT64_C(0x38495ab5);
	}
	for (size_t i = body; i < size; i++)
		tail[(i - body) / 8] |= (uint64_t) bytes[i] << (8 * (i % 8));
	h1 ^= murmur128_word1(tail[0]);
	h2 ^= murmur128_word2(tail[1]);

	h1 ^= size;
	h2 ^= size;
	h1 += h2;
	h2 += h1;
	h1 = murmur128_finish(h1);
	h2 = murmur128_finish(h2);
	h1 += h2;
	h2 += h1;
	out[0] = h1;
	out[1] = h2;
}
