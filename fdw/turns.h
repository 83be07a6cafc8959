/*
 * Which of a list of things (series, or groups of them) a process is to read: all of them,
 * or, in a shared scan, those of the units it claims.
 *
 * A thing belongs to a unit by a hash that is the same in all processes, so that their lists
 * need not be: a series that one of them does not have has no point that the
 * statement sees.
 */
#ifndef M3DB_TURNS_H
#define M3DB_TURNS_H

#include "storage/m3.h"

struct M3dbShare;				/* share.h; NULL: the process is alone */

typedef struct M3dbTurns
{
	struct M3dbShare *share;
	size_t		count;
	size_t		next;			/* alone: of the list; shared: of order */
	size_t		end;			/* shared: of the unit claimed */
	uint32	   *order;			/* shared: things by unit */
	uint32	   *unit_ends;		/* ... and where each unit ends */
} M3dbTurns;

/* Spread evenly over all numbers; units are ranges of them, claimed in ascending order. */
typedef uint32 (*M3dbHashFn) (void *context, size_t thing);

/* Makes turns over count things, in the current memory context. */
extern void m3db_turns_init(M3dbTurns *turns, struct M3dbShare *share, size_t count,
							M3dbHashFn hash, void *context);

/* The next thing of this process; false when there are no more. */
extern bool m3db_turns_next(M3dbTurns *turns, size_t *thing);

/* From the beginning.  What is shared is rewound by its owner (share.h). */
extern void m3db_turns_rewind(M3dbTurns *turns);

#endif							/* M3DB_TURNS_H */
