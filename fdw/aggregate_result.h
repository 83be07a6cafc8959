/*
 * From summaries to the results of aggregate calls.
 */
#ifndef M3DB_AGGREGATE_RESULT_H
#define M3DB_AGGREGATE_RESULT_H

#include "fdw/aggregate.h"

/*
 * The result of a call, or its transition state, made of the summaries of its column's points
 * and of rows, either NULL if not needed.  Allocated in the current memory context.  Raises
 * 22003 where PostgreSQL's own aggregates do.
 */
extern Datum m3db_aggregate_result(const M3dbTable *table, M3dbAggregateKind kind,
								   bool is_partial, const M3Summary *values,
								   const M3Summary *rows, bool *is_null);

#endif							/* M3DB_AGGREGATE_RESULT_H */
