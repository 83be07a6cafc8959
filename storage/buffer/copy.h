/*
 * A bucket's streams copied to private memory, to be decoded without a lock.
 *
 *   lock stripe; fits = m3_copy_take(...); unlock
 *   until it fits: m3_copy_grow, and again
 *   m3_copy_merge, or m3_copy_whole
 *
 * Results have the copy's memory and with_annotations; their arrays are swapped with the
 * copy's, and the memory behind their annotations becomes the copy's.
 */
#ifndef M3_BUFFER_COPY_H
#define M3_BUFFER_COPY_H

#include "storage/buffer/points.h"
#include "storage/buffer/series.h"

typedef struct M3CopiedStream
{
	size_t		offset;			/* in bytes */
	size_t		size;
	uint32_t	limit;			/* points to decode; UINT32_MAX: all */
	size_t		first_flip;
	size_t		flip_count;
} M3CopiedStream;

typedef struct M3Copy
{
	M3Memory   *memory;
	uint8_t    *bytes;
	size_t		bytes_capacity;
	M3CopiedStream *streams;
	size_t		stream_count;
	size_t		stream_capacity;
	uint32_t   *flips;
	size_t		flip_capacity;
	size_t		bytes_used;
	size_t		need_bytes;		/* of the last take */
	size_t		need_streams;
	size_t		need_flips;
	bool		whole;			/* one stream, every point of it seen */
	M3Points	one;			/* scratch */
	M3Points	merged;
	M3Points	kept;			/* memory behind annotations, until the next clear */
} M3Copy;

extern void m3_copy_init(M3Copy *copy, M3Memory *memory, bool with_annotations);
extern void m3_copy_free(M3Copy *copy);

/* Forgets what was copied, and the annotations of results merged so far. */
extern void m3_copy_clear(M3Copy *copy);

/*
 * Copies the first stream_limit streams of a bucket (NULL: none) that hold anything to be
 * seen (see m3_stream_flips), in place of what was copied before.  Stripe lock held.
 * False: there is no room, call m3_copy_grow without the lock and take again.
 */
extern bool m3_copy_take(M3Copy *copy, const M3Arena *arena, const M3Bucket *bucket,
						 uint32_t stream_limit, M3SeesFn sees, const void *context);
extern M3Status m3_copy_grow(M3Copy *copy, M3Error *err);

/* True if what was copied is one stream, all of whose points are seen: its bytes are what a
 * file would hold. */
extern bool m3_copy_whole(const M3Copy *copy, M3Slice *bytes);

/* Merges what was copied over *result, later streams winning; *points_decoded is added to
 * (NULL allowed).  Annotations live until the next clear. */
extern M3Status m3_copy_merge(M3Copy *copy, M3Points *result, uint64_t *points_decoded,
							  M3Error *err);

/* The same for a payload from a file.  Of equal times in it the first one wins; M3_CORRUPT if
 * it goes back in time. */
extern M3Status m3_copy_merge_payload(M3Copy *copy, M3Slice payload, M3Points *result,
									  uint64_t *points_decoded, M3Error *err);

#endif							/* M3_BUFFER_COPY_H */
