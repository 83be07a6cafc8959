/*
 * Making rows of a table out of what the storage holds: tags, times and values
 * become Datums of the columns asked for.
 *
 * Everything that belongs to the series is converted once per series and
 * shared by its rows.
 */
#ifndef M3DB_PROJECT_H
#define M3DB_PROJECT_H

#include "executor/tuptable.h"
#include "fdw/table.h"
#include "nodes/pg_list.h"

typedef struct M3dbProjection
{
	const M3dbTable *table;
	MemoryContext series_context;	/* reset with each series */

	int			attribute_count;
	Datum	   *values;			/* the row, all attributes */
	bool	   *nulls;
	int			used_count;		/* attributes asked for, ascending */
	AttrNumber *used;
	bool	   *is_used;		/* by attnum - 1 */

	int			tag_count;		/* tag columns asked for, sorted by tag name */
	AttrNumber *tag_attnums;

	/* 0 unless asked for */
	AttrNumber	time_attnum;
	AttrNumber	time_ns_attnum;
	AttrNumber	id_attnum;
	AttrNumber	tags_attnum;
	AttrNumber	annotation_attnum;
	AttrNumber	unit_attnum;
	AttrNumber	value_attnum;	/* narrow tables */

	Datum		unit_texts[M3_UNIT_NANOSECOND + 1];
} M3dbProjection;

/*
 * A projection on the columns of the table listed (attnums), for tuples of
 * attribute_count attributes, made in the current memory context.
 */
extern M3dbProjection *m3db_projection_create(const M3dbTable *table, List *attnums,
											  int attribute_count);

/*
 * Sets what belongs to a series.  Raises an error that names column and series
 * if a tag is not the canonical text of a value of its column's type.
 */
extern void m3db_projection_set_series(M3dbProjection *projection, M3Slice id,
									   M3Slice tags);

/* Sets the time columns. */
extern void m3db_projection_set_time(M3dbProjection *projection, int64 time_ns);

/* Sets the unit column, M3_UNIT_NONE being NULL, and the annotation column, size 0
 * being NULL; memory is taken from the current context. */
extern void m3db_projection_set_unit(M3dbProjection *projection, unsigned unit);
extern void m3db_projection_set_annotation(M3dbProjection *projection,
										   M3Slice annotation);

/* Makes the slot ready for rows of the projection. */
static inline void
m3db_projection_prepare_slot(const M3dbProjection *projection, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * (size_t) projection->attribute_count);
}

/*
 * Stores the row as a virtual tuple.  All used attributes are set anew each time, not
 * only those that changed: if the slot was materialized, its arrays point into
 * a copy that is freed here.  Those not used stay NULL whatever happens.
 */
static inline void
m3db_projection_store(const M3dbProjection *projection, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	for (int i = 0; i < projection->used_count; i++)
	{
		int			attribute = projection->used[i] - 1;

		slot->tts_values[attribute] = projection->values[attribute];
		slot->tts_isnull[attribute] = projection->nulls[attribute];
	}
	ExecStoreVirtualTuple(slot);
}

#endif							/* M3DB_PROJECT_H */
