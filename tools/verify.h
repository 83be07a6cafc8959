/*
 * Checks everything under a root: registry, data filesets, snapshots with their
 * metadata, commit logs; every checksum, every entry, every stream.
 *
 * Reads only.  A root in use may show findings that are gone a moment later.
 */
#ifndef M3DUMP_VERIFY_H
#define M3DUMP_VERIFY_H

#include <stdbool.h>

#include "storage/base/env.h"
#include "storage/base/memory.h"

typedef enum VerifySeverity
{
	VERIFY_NOTE = 1,			/* loses nothing */
	VERIFY_DAMAGE = 2			/* points are lost, or hidden from queries */
} VerifySeverity;

typedef struct VerifyOptions
{
	const char *root;
	bool		has_shards;		/* then these instead of the registry's */
	uint32_t	shard_count;
	uint32_t	hash_seed;
	size_t		limit;			/* series shown of one file; 0: all */
} VerifyOptions;

/* file is never NULL; offset -1: none. */
typedef void (*VerifyFindingFn) (void *context, VerifySeverity severity, const char *file,
								 int64_t offset, const char *what, const char *consequence);

typedef struct VerifyReport
{
	uint64_t	filesets;		/* of both kinds */
	uint64_t	series;			/* index entries */
	uint64_t	points;			/* decoded */
	uint64_t	metadata;
	uint64_t	logs;
	uint64_t	entries;
	uint64_t	notes;
	uint64_t	damages;
} VerifyReport;

extern void verify_options_default(VerifyOptions *options);

/* M3_OK whatever was found; M3_NOT_FOUND: not a root.  Other errors: it could not be read. */
extern M3Status verify_root(M3Env *env, M3Memory *memory, const VerifyOptions *options,
							VerifyFindingFn finding, void *context, VerifyReport *report,
							M3Error *err);

/* 0, 1 or 2: what m3dump verify exits with. */
extern int	verify_exit_code(const VerifyReport *report);

#endif							/* M3DUMP_VERIFY_H */
