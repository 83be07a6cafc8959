/*
 * Checksums and hashes of M3's formats (spec/fileset.md 2, spec/m3tsz.md 5.3), and of ours.
 * Adler-32 is libdeflate's, XXH64 and XXH3 are libxxhash's.
 */
#ifndef M3_BASE_HASH_H
#define M3_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define M3_ADLER32_INIT 1u

/* Continues a checksum that began with M3_ADLER32_INIT. */
extern uint32_t m3_adler32(uint32_t checksum, const void *data, size_t size);

extern uint32_t m3_murmur3_32(const void *data, size_t size, uint32_t seed);

/* MurmurHash3 x64 128, seed 0: out[0] is h1, out[1] is h2. */
extern void m3_murmur3_128(const void *data, size_t size, uint64_t out[2]);

/* Seed 0. */
extern uint64_t m3_xxh64(const void *data, size_t size);

/* XXH3 128 bits, seed 0, of the numbers as little-endian words: out[0] is its lower half. */
extern void m3_xxh3_128_le64(const int64_t *numbers, size_t count, uint64_t out[2]);

#endif							/* M3_BASE_HASH_H */
