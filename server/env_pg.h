/*
 * M3Env over PostgreSQL: virtual file descriptors, LWLocks, interrupts.
 */
#ifndef M3DB_ENV_PG_H
#define M3DB_ENV_PG_H

#include "storage/m3.h"

/* The process's environment.  Formatting the arena works before m3db_env_init. */
extern M3Env *m3db_env(void);

/* Prepares this process for file access; once is enough, more does no harm. */
extern void m3db_env_init(void);

/*
 * Called at each yield besides the check for interrupts, if not NULL; may jump or exit.
 * The worker uses it to leave long work when the server stops.
 */
extern void (*m3db_env_yield_hook) (void);

#endif							/* M3DB_ENV_PG_H */
