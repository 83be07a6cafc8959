/*
 * Rows on their way in: from a tuple's datums to series and datapoints of the
 * transaction.
 */
#ifndef M3DB_ROW_H
#define M3DB_ROW_H

#include "executor/tuptable.h"
#include "fdw/table.h"

typedef struct M3dbRowWriter M3dbRowWriter;

/*
 * A writer for one statement, with memory of its own below the current context.
 * Begins the storage transaction if need be, which waits for the engine.
 */
extern M3dbRowWriter *m3db_row_writer_create(const M3dbTable *table);

/*
 * Writes the datapoints of a row.  Raises 23502 for a row without time, id or
 * any value, 22008 for a time out of range, 22023 for tags, units and
 * annotations that cannot be stored.  Keeps nothing of the slot.
 */
extern void m3db_row_write(M3dbRowWriter *writer, TupleTableSlot *slot);

extern void m3db_row_writer_free(M3dbRowWriter *writer);

#endif							/* M3DB_ROW_H */
