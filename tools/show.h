/*
 * One file of a root for people to read: recognised by its name, else by its
 * first bytes; shown as far as it can be decoded, damaged or not.
 */
#ifndef M3DUMP_SHOW_H
#define M3DUMP_SHOW_H

#include <stdio.h>

#include "storage/base/env.h"
#include "storage/base/memory.h"

#define SHOW_DEFAULT_LIMIT 20

typedef struct ShowOptions
{
	uint64_t	limit;			/* entries, series, ids; points of each series; 0: all */
} ShowOptions;

/*
 * M3_OK: shown, and sound as far as could be seen.  M3_CORRUPT: shown up to some damage,
 * which is described.  M3_UNSUPPORTED: not a file of M3DB or m3db_fdw.
 */
extern M3Status show_file(M3Env *env, M3Memory *memory, const char *path,
						  const ShowOptions *options, FILE *out, M3Error *err);

#endif							/* M3DUMP_SHOW_H */
