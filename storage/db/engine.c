#include "storage/db/db_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db/fileset_cache.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define ENGINE_MAGIC UINT64_C(0x4d3344424649)
#define ALIGNMENT 64u

static size_t
header_size(const M3EngineConfig *config)
{
	size_t		size = sizeof(M3EngineShared) +
		config->process_count * sizeof(M3ProcessSlot);

	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t
m3_engine_base_size(const M3EngineConfig *config)
{
	return header_size(config) + config->log_ring_size;
}

M3Status
m3_engine_format(void *base, size_t size, M3Env *env, const M3EngineConfig *config,
				 M3Error *err)
{
	M3EngineShared *shared = base;
	size_t		need = m3_engine_base_size(config) + M3_ARENA_MIN_SIZE;

	(void) env;
	if (size < need)
		return m3_error(err, M3_FULL, "%zu bytes are too few for the engine, it needs %zu",
						size, need);
	memset(shared, 0, header_size(config));
	shared->config = *config;
	shared->arena_offset = header_size(config);
	m3_arena_create((char *) base + shared->arena_offset, size - shared->arena_offset);
	shared->magic = ENGINE_MAGIC;
	return M3_OK;
}

M3Status
m3_engine_attach(void *base, M3Env *env, M3Memory *memory, uint32_t slot,
				 const char *data_directory, const M3EngineSettings *settings,
				 M3Engine **result, M3Error *err)
{
	M3EngineShared *shared = base;
	M3Engine   *engine;

	if (shared->magic != ENGINE_MAGIC)
		return m3_error(err, M3_INVALID, "the engine's memory is not formatted");
	if (slot >= shared->config.process_count)
		return m3_error(err, M3_INVALID, "process slot %u of %u", slot,
						shared->config.process_count);
	engine = m3_alloc(memory, sizeof(*engine));
	if (engine == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(engine, 0, sizeof(*engine));
	engine->shared = shared;
	engine->arena = (M3Arena *) ((char *) base + shared->arena_offset);
	engine->env = env;
	engine->memory = memory;
	engine->settings = settings;
	engine->slot = slot;
	engine->data_directory = m3_copy_string(memory, data_directory);
	if (engine->data_directory == NULL)
	{
		m3_free(memory, engine);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	memset(&shared->slots[slot], 0, sizeof(M3ProcessSlot));
	*result = engine;
	return M3_OK;
}

static void
close_database(M3Database *db)
{
	M3Memory   *memory = db->engine->memory;

	m3i_snapshots_drop(db);
	m3i_fileset_cache_free(db->filesets);
	if (db->log != NULL)
		m3_commitlog_detach(db->log);
	m3_free(memory, db->path);
	m3_free(memory, db);
}

void
m3_engine_detach(M3Engine *engine)
{
	M3Memory   *memory = engine->memory;

	for (uint32_t i = 0; i < M3_MAX_ROOTS; i++)
	{
		if (engine->databases[i] != NULL)
			close_database(engine->databases[i]);
	}
	m3_free(memory, engine->data_directory);
	m3_free(memory, engine);
}

void
m3_engine_arena_stats(M3Engine *engine, M3ArenaStats *stats)
{
	m3_arena_stats(engine->arena, engine->env, stats);
}

/* The number of a root; M3_MAX_ROOTS if it is not known. */
static uint32_t
find_root(M3Engine *engine, uint32_t root_id)
{
	M3EngineShared *shared = engine->shared;
	uint32_t	count = __atomic_load_n(&shared->root_count, __ATOMIC_ACQUIRE);

	for (uint32_t number = 0; number < count; number++)
	{
		if (__atomic_load_n(&shared->roots[number].id, __ATOMIC_ACQUIRE) == root_id)
			return number;
	}
	return M3_MAX_ROOTS;
}

/* Generations go on counting, for the cache may still hold blocks of the root that was
 * there before. */
static void
init_root(M3RootShared *root, uint32_t root_id)
{
	uint64_t	generations = root->generations;

	memset(root, 0, sizeof(*root));
	root->generations = generations;
	root->state = M3_ROOT_NEW;
	root->next_sequence = 1;
	root->next_unique_index = 1;
	__atomic_store_n(&root->id, root_id, __ATOMIC_RELEASE);
}

/* The number of a root, made known if it was not.  M3_MAX_ROOTS when full. */
static uint32_t
find_or_add_root(M3Engine *engine, uint32_t root_id)
{
	M3EngineShared *shared = engine->shared;
	M3Env	   *env = engine->env;
	uint32_t	number;

	number = find_root(engine, root_id);
	if (number < M3_MAX_ROOTS)
		return number;
	env->lock(env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	number = find_root(engine, root_id);
	if (number == M3_MAX_ROOTS)
	{
		/* 0 is a place that was given up */
		for (number = 0; number < shared->root_count; number++)
		{
			if (shared->roots[number].id == 0)
				break;
		}
		if (number < M3_MAX_ROOTS)
			init_root(&shared->roots[number], root_id);
		if (number == shared->root_count && number < M3_MAX_ROOTS)
			__atomic_store_n(&shared->root_count, number + 1, __ATOMIC_RELEASE);
	}
	env->unlock(env, M3_LOCK_ENGINE);
	return number;
}

void
m3i_database_close(M3Engine *engine, uint32_t number)
{
	if (engine->databases[number] != NULL)
		close_database(engine->databases[number]);
	engine->databases[number] = NULL;
}

/* This process's handle on the root with that number. */
static M3Status
make_handle(M3Engine *engine, uint32_t number, uint32_t root_id, M3Database **result,
			M3Error *err)
{
	size_t		path_size = strlen(engine->data_directory) + 16;
	M3Database *db = engine->databases[number];

	if (db != NULL && db->id == root_id)
	{
		*result = db;
		return M3_OK;
	}
	/* of a root that was dropped */
	m3i_database_close(engine, number);
	db = m3_alloc(engine->memory, sizeof(*db));
	if (db == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(db, 0, sizeof(*db));
	db->engine = engine;
	db->env = engine->env;
	db->arena = engine->arena;
	db->id = root_id;
	db->number = number;
	db->root = &engine->shared->roots[number];
	db->path = m3_alloc(engine->memory, path_size);
	if (db->path == NULL)
	{
		m3_free(engine->memory, db);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	snprintf(db->path, path_size, "%s/%u", engine->data_directory, root_id);
	engine->databases[number] = db;
	*result = db;
	return M3_OK;
}

M3Status
m3_database_open(M3Engine *engine, uint32_t root_id, M3Database **result, M3Error *err)
{
	uint32_t	number = root_id == 0 ? M3_MAX_ROOTS : find_or_add_root(engine, root_id);

	if (number == M3_MAX_ROOTS)
		return m3_error(err, M3_UNSUPPORTED, "the engine already serves %u databases, its limit",
						M3_MAX_ROOTS);
	return make_handle(engine, number, root_id, result, err);
}

M3Status
m3_database_find(M3Engine *engine, uint32_t root_id, M3Database **result, M3Error *err)
{
	uint32_t	number = root_id == 0 ? M3_MAX_ROOTS : find_root(engine, root_id);

	if (number == M3_MAX_ROOTS)
		return m3_error(err, M3_NOT_FOUND, "database %u is not known", root_id);
	return make_handle(engine, number, root_id, result, err);
}

M3RootState
m3_database_state(const M3Database *db)
{
	return (M3RootState) __atomic_load_n(&db->root->state, __ATOMIC_ACQUIRE);
}

M3Status
m3i_require_ready(const M3Database *db, M3Error *err)
{
	if (m3_database_state(db) == M3_ROOT_READY)
		return M3_OK;
	return m3_error(err, M3_NOT_READY, "database %u is still bootstrapping", db->root->id);
}

void
m3i_root_set_state(M3Database *db, M3RootState state)
{
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	__atomic_store_n(&db->root->state, (uint32_t) state, __ATOMIC_RELEASE);
	db->root->progress.state = state;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3_database_progress(const M3Database *db, M3RootProgress *progress)
{
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_SHARED);
	*progress = db->root->progress;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	progress->state = m3_database_state(db);
}

uint32_t
m3_database_id(const M3Database *db)
{
	return db->id;
}

bool
m3_root_options(M3Database *db, M3RootOptions *options)
{
	M3Env	   *env = db->env;
	bool		has_options;

	env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
	has_options = db->root->has_options;
	if (has_options)
		*options = db->root->options;
	env->unlock(env, m3i_lock_names(db));
	return has_options;
}

size_t
m3_engine_roots(M3Engine *engine, uint32_t *root_ids, size_t capacity)
{
	uint32_t	count = __atomic_load_n(&engine->shared->root_count, __ATOMIC_ACQUIRE);
	size_t		found = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t	id = __atomic_load_n(&engine->shared->roots[i].id, __ATOMIC_ACQUIRE);

		if (id == 0)
			continue;
		if (found < capacity)
			root_ids[found] = id;
		found++;
	}
	return found;
}

static M3Status
discover_one(void *context, const char *name, bool is_directory)
{
	M3Engine   *engine = context;
	char	   *end;
	unsigned long id;

	if (!is_directory || name[0] < '1' || name[0] > '9')
		return M3_OK;
	id = strtoul(name, &end, 10);
	if (*end == '\0' && id <= UINT32_MAX &&
		find_or_add_root(engine, (uint32_t) id) == M3_MAX_ROOTS)
		return M3_UNSUPPORTED;
	return M3_OK;
}

M3Status
m3_engine_discover(M3Engine *engine, M3Error *err)
{
	M3Status	status = engine->env->list(engine->env, engine->data_directory,
										   discover_one, engine, err);

	if (status == M3_UNSUPPORTED)
		return m3_error(err, M3_UNSUPPORTED, "more than %u databases under \"%s\"",
						M3_MAX_ROOTS, engine->data_directory);
	return status == M3_NOT_FOUND ? M3_OK : status;
}
