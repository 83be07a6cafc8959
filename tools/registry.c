#include "tools/registry.h"

#include <string.h>

static M3Status
visit_root(void *context, const M3RootOptions *options, M3Error *err)
{
	Registry   *registry = context;

	(void) err;
	registry->has_root = true;
	registry->shard_count = options->shard_count;
	registry->hash_seed = options->hash_seed;
	return M3_OK;
}

static M3Status
visit_namespace(void *context, M3Slice name, const M3NamespaceOptions *options, M3Error *err)
{
	Registry   *registry = context;
	RegistryNamespace *grown;
	RegistryNamespace *ns;

	grown = m3_resize(registry->memory, registry->namespaces,
					  (registry->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	registry->namespaces = grown;
	ns = &grown[registry->count];
	ns->name_bytes = m3_alloc(registry->memory, name.size);
	if (ns->name_bytes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memcpy(ns->name_bytes, name.data, name.size);
	ns->name = m3_slice(ns->name_bytes, name.size);
	ns->options = *options;
	registry->count++;
	return M3_OK;
}

M3Status
registry_read(M3Env *env, M3Memory *memory, const char *path, Registry *registry,
			  M3Error *err)
{
	M3RegistryVisitor visitor = {visit_root, visit_namespace, registry, NULL};
	M3Status	status;

	memset(registry, 0, sizeof(*registry));
	registry->memory = memory;
	status = m3_registry_read(env, memory, path, &visitor, err);
	if (status != M3_OK)
		registry_free(registry);
	return status;
}

void
registry_free(Registry *registry)
{
	if (registry->memory == NULL)
		return;
	for (size_t i = 0; i < registry->count; i++)
		m3_free(registry->memory, registry->namespaces[i].name_bytes);
	m3_free(registry->memory, registry->namespaces);
	memset(registry, 0, sizeof(*registry));
}

const RegistryNamespace *
registry_find(const Registry *registry, M3Slice name)
{
	for (size_t i = 0; i < registry->count; i++)
	{
		if (m3_slice_equal(registry->namespaces[i].name, name))
			return &registry->namespaces[i];
	}
	return NULL;
}
