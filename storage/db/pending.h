/*
 * The points of one transaction, in the order they were written, in private
 * memory and beyond a limit in a temporary file.  For storage/db only.
 */
#ifndef M3_DB_PENDING_H
#define M3_DB_PENDING_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/base/time.h"

typedef struct M3Pending M3Pending;

typedef struct M3PendingPoint
{
	int64_t		time_ns;
	double		value;
	uint64_t	annotation;		/* position + 1 in the annotations; 0 none */
	uint32_t	series;
	uint32_t	command : 29;	/* saturates, see m3i_pending_add */
	uint32_t	unit : 3;
} M3PendingPoint;

/* Commands are compared with "below"; this one is never below a real one. */
#define M3I_PENDING_MAX_COMMAND ((1u << 29) - 1)

extern M3Pending *m3i_pending_create(M3Env *env, M3Memory *memory, uint64_t limit_size);
extern void m3i_pending_free(M3Pending *pending);

extern uint64_t m3i_pending_count(const M3Pending *pending);
extern M3Status m3i_pending_add(M3Pending *pending, const M3PendingPoint *point,
								M3Slice annotation, M3Error *err);
/* Forgets all points from count on. */
extern void m3i_pending_truncate(M3Pending *pending, uint64_t count);

/* Valid until the next change. */
extern M3Slice m3i_pending_annotation(const M3Pending *pending, const M3PendingPoint *point);

/*
 * The points piece by piece: *points is valid until the next call, *count 0 at
 * the end.  *position begins at 0 and is moved on.  Pieces are not larger than what a
 * transaction keeps in memory.
 */
extern M3Status m3i_pending_read(M3Pending *pending, uint64_t *position,
								 const M3PendingPoint **points, size_t *count,
								 M3Error *err);

#endif							/* M3_DB_PENDING_H */
