#include "storage/db/mount.h"

#include <string.h>

#include "storage/db/mount_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define MOUNT_ROOT_ID 1u
/* How often a directory that changes while it is read is looked at again. */
#define MAX_ATTEMPTS 8
/* ... and one that cannot be read. */
#define MAX_FAILURES 3

/* --- opening and closing ------------------------------------------------ */

static M3Status
open_database(M3Mount *mount, const char *directory, const M3MountOptions *options, M3Error *err)
{
	M3EngineConfig config = {.process_count = 1};
	char	   *path;

	M3_TRY(m3_engine_format(options->base, options->size, &mount->env, &config, err));
	M3_TRY(m3_engine_attach(options->base, &mount->env, mount->memory, 0, directory,
							&mount->settings, &mount->engine, err));
	M3_TRY(m3_database_open(mount->engine, MOUNT_ROOT_ID, &mount->db, err));
	path = m3_copy_string(mount->memory, directory);
	if (path == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	/* a root is a directory in the engine's; this one is the directory itself */
	m3_free(mount->memory, mount->db->path);
	mount->db->path = path;
	mount->db->read_only = true;
	return M3_OK;
}

M3Status
m3_mount_create(M3Env *env, M3Memory *memory, const char *directory,
				const M3MountOptions *options, M3Mount **result, M3Error *err)
{
	M3Mount    *mount = m3_alloc(memory, sizeof(*mount));
	M3Status	status;

	if (mount == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(mount, 0, sizeof(*mount));
	mount->memory = memory;
	mount->hooks = options->hooks;
	mount->hooks.fate = NULL;
	m3i_mount_env(&mount->env, env);
	status = open_database(mount, directory, options, err);
	if (status != M3_OK)
	{
		m3_mount_close(mount);
		return status;
	}
	*result = mount;
	return M3_OK;
}

/* What a jump out of env->yield left of a load. */
static void
abandon_load(M3Mount *mount)
{
	M3Bootstrap *b = &mount->bootstrap;

	if (!mount->is_loading)
		return;
	if (b->memory != NULL)
	{
		m3_log_set_close(b->set);
		b->set = NULL;
		m3i_bootstrap_free_lists(b);
	}
	mount->is_loading = false;
	m3_bootstrap_reset(mount->db);
}

void
m3_mount_close(M3Mount *mount)
{
	if (mount == NULL)
		return;
	abandon_load(mount);
	m3i_mount_view_free(mount->memory, &mount->views[0]);
	m3i_mount_view_free(mount->memory, &mount->views[1]);
	if (mount->engine != NULL)
		m3_engine_detach(mount->engine);
	m3_free(mount->memory, mount);
}

M3Database *
m3_mount_database(M3Mount *mount)
{
	return mount->db;
}

/* --- refreshing --------------------------------------------------------- */

static M3MountPlan
make_plan(M3Mount *mount, const M3MountView *view)
{
	M3MountPlan plan;

	if (!mount->is_loaded)
		return M3_MOUNT_ALL;
	plan = m3i_mount_compare(&mount->views[mount->current], view);
	if (mount->buffers_wanted)
		plan = (plan & ~(unsigned) M3_MOUNT_TAILS) | M3_MOUNT_BUFFERS;
	/* a TRUNCATE that is not in the registry yet speaks of files, too */
	if (plan != M3_MOUNT_NOTHING && mount->voids > 0)
		return M3_MOUNT_ALL;
	if ((plan & (M3_MOUNT_FILES | M3_MOUNT_BUFFERS)) != 0 && m3i_mount_is_resized(mount, view))
		return M3_MOUNT_ALL;
	return plan;
}

/* One look at the directory, and what follows from it.  *done: nothing is left to do. */
static M3Status
refresh_once(M3Mount *mount, bool first, bool *done, M3Error *err)
{
	const M3MountView *loaded = &mount->views[mount->current];
	M3MountView *view = &mount->views[1 - mount->current];
	M3MountPlan plan;

	m3i_mount_view_free(mount->memory, view);
	M3_TRY(m3i_mount_view(&mount->env, mount->memory, mount->db->path, loaded, view, err));
	plan = make_plan(mount, view);
	/* logs may grow without end; what they had when all began is in */
	*done = plan == M3_MOUNT_NOTHING || (plan == M3_MOUNT_TAILS && !first);
	if (*done)
		return M3_OK;
	M3_TRY(m3i_mount_load(mount, loaded, view, plan, err));
	mount->current = 1 - mount->current;
	return M3_OK;
}

M3Status
m3_mount_refresh(M3Mount *mount, bool *changed, M3Error *err)
{
	M3Error		own;
	M3Status	status = M3_OK;
	bool		done = false;
	int			failures = 0;

	if (err == NULL)
		err = &own;
	if (changed != NULL)
		*changed = false;
	abandon_load(mount);
	for (int attempt = 0; attempt < MAX_ATTEMPTS && !done; attempt++)
	{
		bool		was_loaded = mount->is_loaded;

		status = refresh_once(mount, attempt == 0 || failures > 0, &done, err);
		if (changed != NULL && !(status == M3_OK && done))
			*changed = true;
		if (status == M3_OK)
			continue;
		mount->is_loading = false;
		/* files may have vanished under the load; or old series fill the memory */
		if (status == M3_NO_MEMORY || (status == M3_FULL && !was_loaded) ||
			++failures >= MAX_FAILURES)
			break;
	}
	return status;
}
