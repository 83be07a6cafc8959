/*
 * What the worker does for databases that were dropped.
 */
#ifndef M3DB_DROP_H
#define M3DB_DROP_H

#include "storage/m3.h"

/* A root that is to be dropped, or 0.  It stays the next one until m3db_drop_run. */
extern uint32_t m3db_drop_next(void);

/* Drops a root, to which the worker itself has no reference left.  Raises no error. */
extern void m3db_drop_run(M3Engine *engine, uint32_t root_id);

#endif							/* M3DB_DROP_H */
