/*
 * Where the rows of an open scan come from.
 *
 *   narrow.c     series by series, points as they are stored
 *   wide.c       series that share their tags side by side
 *   sorted.c     either, merged into an order
 *   aggregate.c  what groups of points come to
 *
 * A producer is made when a scan is opened, in the scan's memory context, and goes with it.
 */
#ifndef M3DB_PRODUCER_H
#define M3DB_PRODUCER_H

#include "executor/tuptable.h"
#include "fdw/damage.h"
#include "fdw/project.h"
#include "fdw/quals.h"
#include "fdw/turns.h"

/* What producers work with; the scan's own. */
typedef struct M3dbReading
{
	const M3dbTable *table;
	M3Scan	   *scan;
	M3dbDamage *damage;
	M3dbProjection *projection;
	List	   *value_attnums;	/* wide tables: the columns that make rows */
	const M3dbConditions *conditions;
	struct M3dbShare *share;	/* NULL: this process reads all of it */
} M3dbReading;

typedef struct M3dbProducer M3dbProducer;

/* The first member of each producer's own struct. */
struct M3dbProducer
{
	/* Stores the next row in the slot; false, and nothing stored, at the end and from then on.
	 * Called in a short-lived memory context. */
	bool		(*next) (M3dbProducer *producer, TupleTableSlot *slot);
	/* Back to the first row. */
	void		(*rewind) (M3dbProducer *producer);
	/* Gives back what is not in the memory context. */
	void		(*close) (M3dbProducer *producer);
};

extern M3dbProducer *m3db_narrow_create(const M3dbReading *reading);
extern M3dbProducer *m3db_wide_create(const M3dbReading *reading);

#endif							/* M3DB_PRODUCER_H */
