/*
 * The registry of a root, without an engine: the file "namespaces" beside
 * M3DB's directories, which keeps the options of namespaces.
 *
 *   m3db_fdw namespaces 1
 *   root shards=16 hash_seed=0
 *   namespace name=public.cpu block_size_ns=... retention_period_ns=...
 *   namespace name=public.old ... dropped=1 floor_log=12 floor_offset=8192
 *   checksum 1a2b3c4d
 *
 * A line each, fields in any order, unknown fields refused; bytes of a name that are not
 * letters, digits, '.', '_' or '-' stand as %XX.  The checksum is the Adler-32 of all
 * lines before its own.  The file is replaced whole, by a rename.
 */
#ifndef M3_DB_REGISTRY_H
#define M3_DB_REGISTRY_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/db/namespace.h"

#define M3_REGISTRY_FILE "namespaces"
#define M3_REGISTRY_TITLE "m3db_fdw namespaces 1"	/* the first line */

/* What TRUNCATE and DROP left: log entries of the namespace before the place are void. */
typedef struct M3RegistryFloor
{
	bool		dropped;		/* a tombstone: there is no such namespace */
	uint64_t	log_index;
	uint64_t	offset;
} M3RegistryFloor;

/* Called for each line, valid options and names only; any status but M3_OK ends the reading. */
typedef struct M3RegistryVisitor
{
	M3Status	(*root) (void *context, const M3RootOptions *options, M3Error *err);
	M3Status	(*namespace) (void *context, M3Slice name,
							  const M3NamespaceOptions *options, M3Error *err);
	void	   *context;
	/* after namespace, if it was ever voided; NULL: not wanted */
	M3Status	(*floor) (void *context, M3Slice name, const M3RegistryFloor *floor,
						  M3Error *err);
} M3RegistryVisitor;

/* M3_NOT_FOUND: there is none.  M3_CORRUPT, M3_UNSUPPORTED: err says what and where;
 * nothing is visited unless the checksum of the whole is right. */
extern M3Status m3_registry_read(M3Env *env, M3Memory *memory, const char *path,
								 const M3RegistryVisitor *visitor, M3Error *err);

/* The fields of options as the registry spells them, " name=value" each; returns the size. */
#define M3_REGISTRY_OPTIONS_SIZE 512
extern size_t m3_registry_put_options(char *out, size_t room, const M3NamespaceOptions *options);

#endif							/* M3_DB_REGISTRY_H */
