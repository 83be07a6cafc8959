/*
 * What the files of storage/buffer share.
 */
#ifndef M3_BUFFER_PRIVATE_H
#define M3_BUFFER_PRIVATE_H

#include "storage/buffer/series.h"

/* in bucket.c */

/* Frees a stream and all after it; 0 is none. */
extern void m3i_bucket_free_streams(M3Arena *arena, M3Env *env, M3Ref ref);

/*
 * Before a stream is added: merges the last ones, if they are of like size and
 * nobody needs them apart; if that is not possible, they stay as they are.
 * Stripe lock held exclusive.
 */
extern void m3i_bucket_merge_last(M3Arena *arena, M3Env *env, M3Bucket *bucket,
								  uint64_t horizon, M3Memory *memory,
								  M3WriteEffect *effect);

#endif							/* M3_BUFFER_PRIVATE_H */
