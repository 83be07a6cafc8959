/*
 * What of the points aggregate calls need.
 *
 * A view is what one FILTER lets through; the first view has none.  In each, points of a column
 * are summed up in a slot, rows of all columns in another.  Calls that need the same share it.
 */
#ifndef M3DB_VIEWS_H
#define M3DB_VIEWS_H

#include "fdw/point_filter.h"

#define M3DB_NO_SLOT (-1)

typedef struct M3dbView
{
	int			number;			/* of the FILTER, or -1 */
	M3dbPointFilter *filter;	/* NULL: none */
	AttrNumber	tag_attnum;		/* tag that series must have, or 0 */
	int		   *slots;			/* by column */
	int			rows_slot;		/* if it is not that of the only column */

	/* while a series is read */
	bool		is_open;		/* its tags are let through */
	bool		is_reached;		/* it had points */
} M3dbView;

typedef struct M3dbCallSlots
{
	int			value;			/* M3DB_NO_SLOT if not needed */
	int			rows;
} M3dbCallSlots;

typedef struct M3dbViews
{
	int			column_count;
	AttrNumber *attnums;		/* columns whose points make rows */
	int			count;
	M3dbView   *views;
	int			slot_count;
	unsigned   *fields;			/* M3SummaryFields of each slot */
	M3dbCallSlots *calls;

	bool		is_aligned;		/* rows of several columns are counted */
	bool		only_first;		/* what is asked of points is which is the first, */
	bool		only_last;		/* ... the last, or both */
} M3dbViews;

/* Allocated in the current memory context.  filters are the spec's, evaluated. */
extern M3dbViews *m3db_views_create(const M3dbReading *reading, const M3dbAggregateSpec *spec,
									M3dbPointFilter *filters);

/* Finds out which views take points of a series. */
extern void m3db_views_open(M3dbViews *views, const M3dbTable *table, M3Slice id,
							M3Slice tags);

#endif							/* M3DB_VIEWS_H */
