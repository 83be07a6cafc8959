/*
 * Rows of a wide table: the series that share their tags but for __name__, put side
 * by side and aligned by time.
 *
 * A row exists at each (tags, time) where one of the columns read has a point; points
 * that differ by a nanosecond are different rows.  Where two series claim the same
 * column of the same tags (ids made by somebody else), their rows stand apart.
 */
#ifndef M3DB_WIDE_H
#define M3DB_WIDE_H

#include "fdw/damage.h"
#include "fdw/project.h"
#include "fdw/table.h"

typedef struct M3dbWide M3dbWide;

/*
 * Groups the series of scan by their tags.  read_attnums lists the value columns
 * that make rows.  Memory comes from the current context, readers from the scan; damage is
 * the scan's.
 */
extern M3dbWide *m3db_wide_create(const M3dbTable *table, List *read_attnums,
								  M3Scan *scan, M3dbDamage *damage);

/* Back to the first row. */
extern void m3db_wide_rewind(M3dbWide *wide);

/* Puts the next row into projection; false at the end. */
extern bool m3db_wide_next(M3dbWide *wide, M3dbProjection *projection);

/* Frees the readers; the rest goes with its memory context. */
extern void m3db_wide_close(M3dbWide *wide);

#endif							/* M3DB_WIDE_H */
