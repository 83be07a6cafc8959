/*
 * The registry of a root, the text file "namespaces" that m3db_fdw keeps beside
 * M3DB's directories; M3DB itself has none.  Its layout is that of storage/db/registry.c, read
 * here without an engine.
 */
#ifndef M3DUMP_REGISTRY_H
#define M3DUMP_REGISTRY_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"

#define REGISTRY_FILE "namespaces"
#define REGISTRY_TITLE "m3db_fdw namespaces 1"

typedef struct RegistryNamespace
{
	M3Slice		name;			/* decoded */
	const char *fields;			/* what follows the name, as written */
	int64_t		block_size_ns;	/* 0: not said */
	int64_t		retention_period_ns;	/* 0: unlimited */
} RegistryNamespace;

typedef struct Registry
{
	M3Memory   *memory;
	char	   *text;			/* all slices and strings lie in it */
	bool		has_root;		/* then: */
	uint32_t	shard_count;
	uint32_t	hash_seed;
	RegistryNamespace *namespaces;
	size_t		count;
} Registry;

/* M3_NOT_FOUND: there is none.  M3_CORRUPT, M3_UNSUPPORTED: err says where.
 * On failure there is nothing to free. */
extern M3Status registry_read(M3Env *env, M3Memory *memory, const char *path,
							  Registry *registry, M3Error *err);
extern void registry_free(Registry *registry);	/* also of one that is all zeros */

/* NULL if the namespace is not in it. */
extern const RegistryNamespace *registry_find(const Registry *registry, M3Slice name);

#endif							/* M3DUMP_REGISTRY_H */
