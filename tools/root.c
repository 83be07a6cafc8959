#include "tools/root.h"

#include <string.h>

#include "storage/log/scan.h"
#include "tools/registry.h"

static M3Status
note_name(void *context, const char *name, bool is_directory)
{
	bool	   *found = context;

	if (is_directory ? strcmp(name, "data") == 0 || strcmp(name, "snapshots") == 0 ||
		strcmp(name, M3_LOG_DIRECTORY) == 0 : strcmp(name, M3_REGISTRY_FILE) == 0)
		*found = true;
	return M3_OK;
}

M3Status
root_check(M3Env *env, const char *root, M3Error *err)
{
	bool		found = false;

	M3_TRY(env->list(env, root, note_name, &found, err));
	if (!found)
		return m3_error(err, M3_NOT_FOUND, "no data, snapshots or commitlogs in \"%s\"", root);
	return M3_OK;
}
