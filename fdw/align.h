/*
 * Rows of series side by side, unit by unit: a unit is a group of series of a wide table,
 * aligned by time, or a series of a narrow one.
 *
 * A row exists at each time where one of the columns read has a point; points that
 * differ by a nanosecond are different rows.  The unit of a row is that of its first value
 * column, in the table's order; its annotation is the first there is in that order.
 */
#ifndef M3DB_ALIGN_H
#define M3DB_ALIGN_H

#include "fdw/groups.h"
#include "fdw/producer.h"

typedef struct M3dbAlignCursor M3dbAlignCursor;

typedef struct M3dbAligner
{
	M3dbReading reading;
	int			column_count;	/* columns read; of a narrow table one */
	AttrNumber *attnums;
	M3dbGroups *groups;			/* of a wide table */
	size_t		unit_count;
	M3Reader  **readers;		/* one per column, made when needed */
	const M3dbGroupMember **sorted; /* scratch: members by column */

	/* what is open */
	bool		backward;
	int			cursor_count;	/* series not at their end, by column */
	int			unread_count;	/* of these, those to be read before the next row is known */
	int			waiting_count;	/* ... and those not to be read unless a row comes near */
	M3dbAlignCursor *cursors;
	int64	   *next_times;		/* of the cursors; of those that wait no later than it (backward:
								 * no earlier) */

	/* the row, besides its values */
	int64		time_ns;
	bool		has_unit;
	unsigned	unit;			/* M3_UNIT_NONE: unknown, or not asked for */
	M3Slice		annotation;		/* size 0: none, or not asked for; valid until the next call */
} M3dbAligner;

/* Which rows, and how. */
typedef struct M3dbAlignRange
{
	int64		start_ns;		/* [start, end), within the scan's range */
	int64		end_ns;
	bool		backward;		/* the latest first */
	bool		lazy;			/* the first row from statistics, where these have it */
} M3dbAlignRange;

/* All of a unit, forward. */
#define M3DB_ALIGN_ALL {.start_ns = PG_INT64_MIN, .end_ns = PG_INT64_MAX}

/* Made in the current memory context. */
extern M3dbAligner *m3db_aligner_create(const M3dbReading *reading);
/* Gives back what is not in the memory context. */
extern void m3db_aligner_close(M3dbAligner *aligner);

/* A number that depends on the unit alone, and is the same in all processes; a M3dbHashFn. */
extern uint32 m3db_aligner_unit_hash(void *aligner, size_t unit);

/* Sets what belongs to the unit in a projection. */
extern void m3db_aligner_set_unit(const M3dbAligner *aligner, size_t unit,
								  M3dbProjection *projection);

/* Opens a unit; nothing is decoded yet. */
extern void m3db_aligner_open(M3dbAligner *aligner, size_t unit, const M3dbAlignRange *range);

/* Closes what is open: there is no next row then. */
static inline void
m3db_aligner_reset(M3dbAligner *aligner)
{
	aligner->cursor_count = 0;
	aligner->unread_count = 0;
	aligner->waiting_count = 0;
}

/*
 * The next row: its values go into the reading's projection, the rest into the aligner.  False
 * at the end, and from then on.
 */
extern bool m3db_aligner_next(M3dbAligner *aligner);

/* Whether there is a next row, known without decoding. */
extern bool m3db_aligner_is_ready(const M3dbAligner *aligner);

/* No next row is before this time (backward: after it); false if there is none at all. */
extern bool m3db_aligner_bound(const M3dbAligner *aligner, int64 *time_ns);

/* Puts time, unit and annotation of a row into the projection, the annotation in the current
 * memory context. */
static inline void
m3db_projection_set_row(M3dbProjection *projection, int64 time_ns, unsigned unit,
						M3Slice annotation)
{
	m3db_projection_set_time(projection, time_ns);
	m3db_projection_set_unit(projection, unit);
	m3db_projection_set_annotation(projection, annotation);
}

#endif							/* M3DB_ALIGN_H */
