#include "storage/db/bootstrap.h"
#include "storage/db/db_private.h"

#include <stdio.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define DROPPED_SUFFIX ".dropped"
#define PATH_CAPACITY 4096u
/* snapshots/<namespace>/<shard>/<file>, and some to spare */
#define MAX_DEPTH 8

typedef struct Removal
{
	M3Env	   *env;
	M3Error    *err;
	int			depth;
	size_t		size;			/* of the path so far */
	char		path[PATH_CAPACITY];
} Removal;

static M3Status remove_directory(Removal *r);

static M3Status
remove_entry(void *context, const char *name, bool is_directory)
{
	Removal    *r = context;
	size_t		size = r->size;
	int			added = snprintf(r->path + size, sizeof(r->path) - size, "/%s", name);
	M3Status	status;

	if (added < 0 || (size_t) added >= sizeof(r->path) - size)
		return m3_error(r->err, M3_UNSUPPORTED, "a path below \"%.200s\" is too long", r->path);
	r->size = size + (size_t) added;
	status = is_directory ? remove_directory(r) : r->env->unlink(r->env, r->path, r->err);
	r->size = size;
	r->path[size] = '\0';
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* The directory r->path and all that is in it. */
static M3Status
remove_directory(Removal *r)
{
	M3Status	status;

	if (r->depth == MAX_DEPTH)
		return m3_error(r->err, M3_UNSUPPORTED, "directories below \"%.200s\" are too deep",
						r->path);
	r->depth++;
	status = r->env->list(r->env, r->path, remove_entry, r, r->err);
	r->depth--;
	if (status != M3_OK)
		return status;
	return r->env->remove_directory(r->env, r->path, r->err);
}

static M3Status
remove_tree(M3Engine *engine, const char *path, M3Error *err)
{
	Removal		r = {.env = engine->env, .err = err};
	size_t		size = strlen(path);
	M3Status	status;

	if (size >= sizeof(r.path))
		return m3_error(err, M3_UNSUPPORTED, "path \"%.200s\" is too long", path);
	memcpy(r.path, path, size + 1);
	r.size = size;
	status = remove_directory(&r);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* Gives the root's memory back, and its place to whoever comes next. */
static M3Status
forget_root(M3Engine *engine, uint32_t root_id, M3Error *err)
{
	M3Env	   *env = engine->env;
	M3Database *db;
	M3RootShared *root;
	uint32_t	number;
	M3Status	status = m3_database_find(engine, root_id, &db, err);

	if (status != M3_OK)
		return status == M3_NOT_FOUND ? M3_OK : status;
	number = db->number;
	root = db->root;
	m3_bootstrap_reset(db);
	m3i_database_close(engine, number);
	env->lock(env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	__atomic_store_n(&root->id, 0, __ATOMIC_RELEASE);
	env->unlock(env, M3_LOCK_ENGINE);
	return M3_OK;
}

M3Status
m3_root_drop(M3Engine *engine, uint32_t root_id, M3Error *err)
{
	M3Env	   *env = engine->env;
	char		path[PATH_CAPACITY];
	char		dropped[PATH_CAPACITY];
	M3Status	status;

	if (snprintf(dropped, sizeof(dropped), "%s/%u" DROPPED_SUFFIX, engine->data_directory,
				 root_id) >= (int) sizeof(dropped))
		return m3_error(err, M3_UNSUPPORTED, "path \"%.200s\" is too long",
						engine->data_directory);
	snprintf(path, sizeof(path), "%s/%u", engine->data_directory, root_id);
	/* of an earlier attempt, which would be in the way */
	M3_TRY(remove_tree(engine, dropped, err));
	status = env->rename(env, path, dropped, err);
	if (status != M3_OK && status != M3_NOT_FOUND)
		return status;
	if (status == M3_OK)
		M3_TRY(env->sync_directory(env, engine->data_directory, err));
	M3_TRY(forget_root(engine, root_id, err));
	return remove_tree(engine, dropped, err);
}

typedef struct Sweep
{
	M3Engine   *engine;
	M3Error    *err;
} Sweep;

static M3Status
sweep_one(void *context, const char *name, bool is_directory)
{
	Sweep	   *sweep = context;
	size_t		digits = strspn(name, "0123456789");
	char		path[PATH_CAPACITY];
	int			size;

	if (!is_directory || digits == 0 || strcmp(name + digits, DROPPED_SUFFIX) != 0)
		return M3_OK;
	size = snprintf(path, sizeof(path), "%s/%s", sweep->engine->data_directory, name);
	if (size < 0 || (size_t) size >= sizeof(path))
		return M3_OK;
	return remove_tree(sweep->engine, path, sweep->err);
}

M3Status
m3_engine_sweep(M3Engine *engine, M3Error *err)
{
	Sweep		sweep = {engine, err};
	M3Status	status = engine->env->list(engine->env, engine->data_directory, sweep_one,
										   &sweep, err);

	return status == M3_NOT_FOUND ? M3_OK : status;
}
