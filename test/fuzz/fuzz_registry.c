/*
 * The registry of namespaces.  The first byte says whether the checksum is mended, so that
 * what lies behind it is reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/registry.h"
#include "test/support/env_fault.h"

static M3Status
visit_root(void *context, const M3RootOptions *options, M3Error *err)
{
	(void) context;
	(void) err;
	if (options->shard_count == 0)
		abort();
	return M3_OK;
}

static M3Status
visit_namespace(void *context, M3Slice name, const M3NamespaceOptions *options, M3Error *err)
{
	(void) context;
	if (m3_namespace_name_validate(name, err) != M3_OK ||
		m3_namespace_options_validate(options, err) != M3_OK)
		abort();
	return M3_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3RegistryVisitor visitor = {visit_root, visit_namespace, NULL, NULL};
	M3Env	   *env;
	M3File	   *file;
	M3Error		err;
	char		checksum[32];
	size_t		checksum_size = 0;

	if (size == 0)
		return 0;
	env = env_fault_create();
	if (env->open(env, "namespaces", M3_OPEN_CREATE, &file, &err) != M3_OK ||
		env->write(env, file, data + 1, size - 1, 0, &err) != M3_OK)
		abort();
	if (data[0] != 0)
		checksum_size = (size_t) snprintf(checksum, sizeof(checksum), "checksum %08x\n",
										  m3_adler32(M3_ADLER32_INIT, data + 1, size - 1));
	if (env->write(env, file, checksum, checksum_size, size - 1, &err) != M3_OK)
		abort();
	env->close(env, file);
	(void) m3_registry_read(env, &m3_memory_malloc, "namespaces", &visitor, &err);
	if (env_fault_open_files(env) != 0)
		abort();
	env_fault_destroy(env);
	return 0;
}
