/*
 * The bloom filter over a fileset's ids (spec/fileset.md 4.4).
 *
 * Bit i is bit i & 7 of byte i >> 3; the file is the bits and nothing else.
 */
#ifndef M3_FILESET_BLOOM_H
#define M3_FILESET_BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/slice.h"

#define M3_BLOOM_FALSE_POSITIVE 0.02

/* Bits and hash functions for count ids; 0 < false_positive < 1. */
extern void m3_bloom_parameters(uint64_t count, double false_positive,
								uint64_t *bits, uint32_t *hashes);

/* Bytes of a filter of so many bits. */
extern uint64_t m3_bloom_size(uint64_t bits);

/* An id's four words; scratch has room for the id and one byte. */
extern void m3_bloom_hash(M3Slice id, uint8_t *scratch, uint64_t words[4]);

extern void m3_bloom_add(uint8_t *filter, uint64_t bits, uint32_t hashes,
						 const uint64_t words[4]);

/* Bits beyond the filter's bytes count as clear, as in M3.  bits > 0. */
extern bool m3_bloom_may_contain(M3Slice filter, uint64_t bits, uint32_t hashes,
								 const uint64_t words[4]);

#endif							/* M3_FILESET_BLOOM_H */
