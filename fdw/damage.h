/*
 * Reading on past damage.
 *
 * The embedded engine's files are our own: what cannot be read there is an error.  A mount is what
 * somebody else left, perhaps all that is left: the rest is worth having.
 */
#ifndef M3DB_DAMAGE_H
#define M3DB_DAMAGE_H

#include "fdw/table.h"
#include "nodes/pg_list.h"

/* Of one scan. */
typedef struct M3dbDamage
{
	const M3dbTable *table;
	MemoryContext context;		/* of the list */
	List	   *files;			/* char *, warned of */
} M3dbDamage;

/*
 * m3_reader_next (m3_reader_previous, if from_end) for a scan: M3_OK or M3_NOT_FOUND, else an
 * error is raised.  What is damaged in a mount is left out, a block of the series at a time, with a
 * warning for each file.
 */
extern M3Status m3db_read_batch(M3dbDamage *damage, M3Reader *reader, bool from_end,
								M3PointBatch *batch);

static inline M3Status
m3db_read_next(M3dbDamage *damage, M3Reader *reader, M3PointBatch *batch)
{
	return m3db_read_batch(damage, reader, false, batch);
}

#endif							/* M3DB_DAMAGE_H */
