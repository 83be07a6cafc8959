/*
 * What identifies a row's series: its tags, and its id.
 */
#ifndef M3DB_ROW_TAGS_H
#define M3DB_ROW_TAGS_H

#include "executor/tuptable.h"
#include "fdw/table.h"

/*
 * The tags of a row whose attributes are all deformed, of tag columns and of the jsonb
 * column, unsorted; a series' __name__ is not among them.  Allocated in
 * the current context, and partly the slot's.  Raises 22023 for jsonb that is no set of tags.
 */
extern M3Tag *m3db_row_tags(const M3dbTable *table, const TupleTableSlot *slot, size_t *count);

/*
 * Names the series of one value column of the row to the transaction.  Leaves
 * garbage in the current context.  The id column, if there is one, must not be NULL.
 */
extern uint32 m3db_row_series(M3Txn *txn, uint32 namespace_number, const M3dbTable *table,
							  const TupleTableSlot *slot, const M3dbColumn *column,
							  const M3Tag *row_tags, size_t row_count);

#endif							/* M3DB_ROW_TAGS_H */
