/*
 * The current database's root: whether it can be used, and waiting for it.
 */
#ifndef M3DB_DATABASE_H
#define M3DB_DATABASE_H

#include "storage/m3.h"

/* Raises an error unless this process can use the engine at all: not when the library
 * was not preloaded, in single-user mode, or during pg_upgrade. */
extern void m3db_require_engine(void);

/* The current database's root in whatever state, made known if need be; NULL on a
 * standby.  The engine can be used. */
extern M3Database *m3db_database_any_state(void);

#endif							/* M3DB_DATABASE_H */
