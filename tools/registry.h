/*
 * The registry of a root (storage/db/registry.h) as a list.  M3DB itself has none.
 */
#ifndef M3DUMP_REGISTRY_H
#define M3DUMP_REGISTRY_H

#include "storage/db/registry.h"

typedef struct RegistryNamespace
{
	char	   *name_bytes;
	M3Slice		name;
	M3NamespaceOptions options;
} RegistryNamespace;

typedef struct Registry
{
	M3Memory   *memory;
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
