/*
 * Is a directory the root of an engine?
 */
#ifndef M3DUMP_ROOT_H
#define M3DUMP_ROOT_H

#include "storage/base/env.h"

/* M3_NOT_FOUND if it does not exist, or holds neither data, snapshots, commitlogs nor a
 * registry. */
extern M3Status root_check(M3Env *env, const char *root, M3Error *err);

#endif							/* M3DUMP_ROOT_H */
