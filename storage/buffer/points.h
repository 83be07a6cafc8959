/*
 * Decoded points in private memory, column-wise, and merging them.
 */
#ifndef M3_BUFFER_POINTS_H
#define M3_BUFFER_POINTS_H

#include "storage/base/memory.h"
#include "storage/codec/m3tsz.h"

/* Arrays grow together.  Annotations point into bytes kept by the caller, or into
 * pieces held here. */
typedef struct M3Points
{
	M3Memory   *memory;
	size_t		count;
	size_t		capacity;
	int64_t    *times_ns;
	double	   *values;
	uint8_t    *units;
	M3Slice    *annotations;	/* NULL unless with_annotations */
	bool		with_annotations;
	struct M3PointsPiece *pieces;	/* memory behind annotations */
} M3Points;

extern void m3_points_init(M3Points *points, M3Memory *memory, bool with_annotations);
extern void m3_points_free(M3Points *points);
/* Forgets the points, keeps the arrays. */
extern void m3_points_clear(M3Points *points);
/* Hands the memory behind annotations over, which so lives as long as to does. */
extern void m3_points_move_pieces(M3Points *to, M3Points *from);
extern M3Status m3_points_reserve(M3Points *points, size_t capacity, M3Error *err);
/* Copies the annotation, if kept. */
extern M3Status m3_points_add(M3Points *points, const M3Point *point, M3Error *err);

/*
 * Appends the points of a stream that lie in the stretches shown, given as the point numbers
 * at which visibility flips, beginning with visible: {10} shows the
 * first ten, {0, 5, 8, 9} shows 5 .. 7 and 9 on.  limit points are decoded; a stream
 * that ends before is M3_CORRUPT, unless limit is UINT32_MAX, which is all there are.
 * A failure appends nothing.
 */
extern M3Status m3_points_decode(M3Points *points, const uint8_t *data, size_t size,
								 uint32_t limit, const uint32_t *flips,
								 size_t flip_count, M3Error *err);

/*
 * Into out (cleared first): the union of two ascending sets, newer winning where
 * times are equal.  older and newer must outlive out's annotations.
 */
extern M3Status m3_points_merge(M3Points *out, const M3Points *older,
								const M3Points *newer, M3Error *err);

/*
 * The points as one ended stream, lossless, into *out (*capacity bytes; grown from memory).
 * *size is 0 if there are none.
 */
extern M3Status m3_points_encode(const M3Points *points, int64_t block_start_ns,
								 M3Memory *memory, uint8_t **out, size_t *capacity,
								 size_t *size, M3Error *err);

/* The points with start <= time < end: first and one past the last. */
extern void m3_points_range(const M3Points *points, int64_t start_ns, int64_t end_ns,
							size_t *first, size_t *end);

#endif							/* M3_BUFFER_POINTS_H */
