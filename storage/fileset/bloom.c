#include "storage/fileset/bloom.h"

#include <math.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

void
m3_bloom_parameters(uint64_t count, double false_positive, uint64_t *bits,
					uint32_t *hashes)
{
	double		n = count == 0 ? 1.0 : (double) count;
	double		m = ((-1.0 * n) * log(false_positive)) / pow(log(2.0), 2.0);

	*bits = (uint64_t) ceil(m);
	*hashes = (uint32_t) ceil((m / n) * log(2.0));
}

uint64_t
m3_bloom_size(uint64_t bits)
{
	return 8 * (bits / 64 + 1);
}

void
m3_bloom_hash(M3Slice id, uint8_t *scratch, uint64_t words[4])
{
	if (id.size > 0)
		memcpy(scratch, id.data, id.size);
	scratch[id.size] = 0x01;
	m3_murmur3_128(scratch, id.size, words);
	m3_murmur3_128(scratch, id.size + 1, words + 2);
}

static uint64_t
bit_of(uint32_t i, uint64_t bits, const uint64_t words[4])
{
	return (words[i & 1] + i * words[2 + (((i + (i & 1)) & 3) >> 1)]) % bits;
}

void
m3_bloom_add(uint8_t *filter, uint64_t bits, uint32_t hashes, const uint64_t words[4])
{
	for (uint32_t i = 0; i < hashes; i++)
	{
		uint64_t	bit = bit_of(i, bits, words);

		filter[bit >> 3] |= (uint8_t) (1u << (bit & 7));
	}
}

bool
m3_bloom_may_contain(M3Slice filter, uint64_t bits, uint32_t hashes,
					 const uint64_t words[4])
{
	for (uint32_t i = 0; i < hashes; i++)
	{
		uint64_t	bit = bit_of(i, bits, words);

		if (bit >> 3 >= filter.size || (filter.data[bit >> 3] >> (bit & 7) & 1) == 0)
			return false;
	}
	return true;
}
