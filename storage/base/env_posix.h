/*
 * M3Env over POSIX: tools, tests and benchmarks.
 *
 * With locks it uses pthread read-write locks, so that ThreadSanitizer sees
 * what the server's LWLocks would protect; without, locking is a no-op.
 */
#ifndef M3_BASE_ENV_POSIX_H
#define M3_BASE_ENV_POSIX_H

#include "storage/base/env.h"

/* NULL when memory is short.  lock_count 0: single-threaded use. */
extern M3Env *m3_env_posix_create(uint32_t lock_count);
extern void m3_env_posix_destroy(M3Env *env);

/* Fixes the clock of an env from m3_env_posix_create; INT64_MIN frees it. */
extern void m3_env_posix_set_clock(M3Env *env, int64_t now_ns);

#endif							/* M3_BASE_ENV_POSIX_H */
