/*
 * Orders a scan can give its rows in, for the planner (order_paths.c), EXPLAIN and the executor
 * (sorted.c).
 *
 * Rows are ordered by columns that belong to their series, then by the time or not.  The
 * order by time is by nanoseconds, also if microseconds are shown.
 */
#ifndef M3DB_ORDER_H
#define M3DB_ORDER_H

#include "fdw/producer.h"

typedef struct M3dbOrderKey
{
	AttrNumber	attnum;			/* a tag column, or the id of a narrow table */
	Oid			sort_operator;	/* < or > of the type's order */
	Oid			collation;
	bool		is_descending;
	bool		nulls_first;
} M3dbOrderKey;

typedef enum M3dbTimeOrder
{
	M3DB_TIME_UNORDERED,
	M3DB_TIME_ASCENDING,
	M3DB_TIME_DESCENDING
} M3dbTimeOrder;

typedef struct M3dbOrder
{
	int			key_count;
	M3dbOrderKey *keys;
	M3dbTimeOrder time;
	int			first_of;		/* only the first row of each value of so many keys;
								 * M3DB_ALL_ROWS: all rows */
} M3dbOrder;

#define M3DB_ALL_ROWS (-1)

/* ---- in order.c ---- */

/* An order as lists of nodes, and back; never NIL. */
extern List *m3db_order_write(const M3dbOrder *order);
extern M3dbOrder *m3db_order_read(List *written);

/* As ORDER BY would say it, and the keys of first_of alone; palloc'd. */
extern char *m3db_order_text(const M3dbTable *table, const M3dbOrder *order);
extern char *m3db_order_first_text(const M3dbTable *table, const M3dbOrder *order);

/* ---- in sorted.c ---- */

/* Rows in the order written in a path's private list (m3db_path_order, not NIL). */
extern M3dbProducer *m3db_sorted_create(const M3dbReading *reading, List *order);

#endif							/* M3DB_ORDER_H */
