/*
 * What the files of storage/buffer share.  The stripe lock is held exclusive.
 *
 * A new point goes to the first stream that is open (neither closed nor frozen) and ends before
 * it, so no stream behind an open one ends later than that one, and of equal
 * times the later stream's point is the later written.
 */
#ifndef M3_BUFFER_PRIVATE_H
#define M3_BUFFER_PRIVATE_H

#include "storage/buffer/series.h"

/* in series.c */

/* The bucket of a block, made if need be; NULL when the arena is full. */
extern M3Bucket *m3i_series_add_bucket(M3Arena *arena, M3Env *env, M3Series *series,
									   int64_t start_ns, M3WriteEffect *effect);

/* Takes out a bucket without streams, and counts that into effect. */
extern void m3i_series_remove_bucket(M3Arena *arena, M3Env *env, M3Series *series,
									 uint32_t number, M3WriteEffect *effect);

/* in bucket.c */

/* Puts a stream at the end. */
extern void m3i_bucket_add_stream(const M3Arena *arena, M3Bucket *bucket, M3Ref ref);

/* Takes out and frees the first one, or the one after before.  frozen is the caller's affair. */
extern void m3i_bucket_free_stream(M3Arena *arena, M3Env *env, M3Bucket *bucket,
								   M3Stream *before);

/* All of them. */
extern void m3i_bucket_free_streams(M3Arena *arena, M3Env *env, M3Bucket *bucket);

/* Settles all streams; true if nobody sees less of them than others do. */
extern bool m3i_bucket_settle(const M3Arena *arena, const M3Bucket *bucket, uint64_t horizon);

/*
 * Before a stream is added: merges the last ones, if they are of like size and
 * nobody needs them apart; if that is not possible, they stay as they are.
 */
extern void m3i_bucket_merge_last(M3Arena *arena, M3Env *env, M3Bucket *bucket,
								  uint64_t horizon, M3Memory *memory,
								  M3WriteEffect *effect);

#endif							/* M3_BUFFER_PRIVATE_H */
