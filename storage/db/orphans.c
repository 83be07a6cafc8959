/*
 * What lies in a root and belongs to nobody, or cannot be used: shown, and removed only
 * when asked for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/db/jobs_private.h"
#include "storage/db/sweep.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static const M3FilesetKind kinds[] = {M3_FILESET_KIND_DATA, M3_FILESET_KIND_SNAPSHOT};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* --- what is known ------------------------------------------------------ */

/* ROOT_NAMES held.  A dropped one is known as long as the purge of its files is to come. */
static bool
is_known_locked(const M3Database *db, M3Slice name)
{
	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name) &&
			(!ns->dropped || ns->purge_pending))
			return true;
		ref = ns->next;
	}
	return false;
}

static bool
is_known(M3Database *db, M3Slice name)
{
	bool		known;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	known = is_known_locked(db, name);
	db->env->unlock(db->env, m3i_lock_names(db));
	return known;
}

/* --- entries of a directory --------------------------------------------- */

/* Files, or directories, below a directory; free with m3_fileset_names_free. */
typedef struct Entries
{
	M3FilesetNames names;
	bool		directories;
	M3Error    *err;
} Entries;

static M3Status
collect(void *context, const char *name, bool is_directory)
{
	Entries    *entries = context;
	M3FilesetNames *names = &entries->names;

	if (is_directory != entries->directories)
		return M3_OK;
	if (names->count == names->capacity)
	{
		size_t		capacity = names->capacity == 0 ? 16 : names->capacity * 2;
		char	  **grown = m3_resize(names->memory, names->names, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(entries->err, M3_NO_MEMORY, "out of memory");
		names->names = grown;
		names->capacity = capacity;
	}
	names->names[names->count] = m3_copy_string(names->memory, name);
	if (names->names[names->count] == NULL)
		return m3_error(entries->err, M3_NO_MEMORY, "out of memory");
	names->count++;
	return M3_OK;
}

/* On failure there is nothing to free. */
static M3Status
list_entries(M3Database *db, const char *directory, bool directories, M3FilesetNames *names,
			 M3Error *err)
{
	Entries		entries = {.directories = directories,.err = err};
	M3Status	status;

	entries.names.memory = db->engine->memory;
	status = db->env->list(db->env, directory, collect, &entries, err);
	if (status != M3_OK)
		m3_fileset_names_free(&entries.names);
	*names = entries.names;
	return status;
}

static M3Status
join(char *path, const char *directory, const char *name, M3Error *err)
{
	int			length = snprintf(path, M3_FILESET_PATH_SIZE, "%s/%s", directory, name);

	if (length < 0 || length >= M3_FILESET_PATH_SIZE)
		return m3_error(err, M3_INVALID, "a path below \"%.200s\" is too long", directory);
	return M3_OK;
}

/* --- showing ------------------------------------------------------------ */

typedef struct OrphanWalk
{
	M3Database *db;
	M3OrphanFn	fn;
	void	   *context;
} OrphanWalk;

static const char *
below_root(const M3Database *db, const char *path)
{
	size_t		size = strlen(db->path);

	return strncmp(path, db->path, size) == 0 && path[size] == '/' ? path + size + 1 : path;
}

static M3Status
measure_files(M3Database *db, const char *directory, uint64_t *files, uint64_t *bytes,
			  M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetNames names;
	M3Status	status;

	M3_TRY(list_entries(db, directory, false, &names, err));
	for (size_t i = 0; i < names.count; i++)
	{
		M3_GOTO(join(path, directory, names.names[i], err));
		(*files)++;
		*bytes += m3i_file_bytes(db, path);
	}
	status = M3_OK;
done:
	m3_fileset_names_free(&names);
	return status;
}

/* Files in a directory and in those right below it. */
static M3Status
show_directory(const OrphanWalk *walk, const char *directory, const char *reason, M3Error *err)
{
	M3OrphanInfo info = {.path = below_root(walk->db, directory),.reason = reason};
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetNames names;
	M3Status	status;

	M3_TRY(list_entries(walk->db, directory, true, &names, err));
	M3_GOTO(measure_files(walk->db, directory, &info.files, &info.bytes, err));
	for (size_t i = 0; i < names.count; i++)
	{
		M3_GOTO(join(path, directory, names.names[i], err));
		M3_GOTO(measure_files(walk->db, path, &info.files, &info.bytes, err));
	}
	status = walk->fn(walk->context, &info);
done:
	m3_fileset_names_free(&names);
	/* gone meanwhile */
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* A fileset that is complete and whose header cannot be read. */
static M3Status
show_if_damaged(const OrphanWalk *walk, const char *directory, const M3FilesetListed *listed,
				M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetHeader header;
	M3OrphanInfo info = {.path = NULL};
	M3Error		damage = {0};
	M3Status	status;

	if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT))
		return M3_OK;
	status = m3_fileset_read_header(walk->db->env, directory, &listed->name, &header, &damage);
	if (status == M3_OK || status == M3_NOT_FOUND)
		return M3_OK;
	if (status == M3_NO_MEMORY)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	M3_TRY(m3_fileset_path(path, directory, &listed->name, M3_FILESET_CHECKPOINT, err));
	info.path = below_root(walk->db, path);
	info.reason = damage.message;
	for (int i = 0; i < M3_FILESET_ALL_COUNT; i++)
		info.files += m3_fileset_listed_has(listed, (M3FilesetFile) i);
	info.bytes = m3i_fileset_bytes(walk->db, directory, listed);
	return walk->fn(walk->context, &info);
}

static M3Status
show_shard(const OrphanWalk *walk, const char *directory, M3Error *err)
{
	M3FilesetList list;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list(walk->db->env, walk->db->engine->memory, directory, &list, err));
	for (size_t i = 0; status == M3_OK && i < list.count; i++)
		status = show_if_damaged(walk, directory, &list.filesets[i], err);
	m3_fileset_list_free(&list);
	return status;
}

static M3Status
show_known(const OrphanWalk *walk, M3FilesetKind kind, M3Slice name, M3Error *err)
{
	M3Database *db = walk->db;
	char		directory[M3_FILESET_PATH_SIZE];
	uint32_t   *shards;
	size_t		count;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list_shards(db->env, db->engine->memory, db->path, kind, name, &shards,
								  &count, err));
	for (size_t i = 0; status == M3_OK && i < count; i++)
	{
		db->env->yield(db->env);
		status = m3_fileset_shard_directory(directory, db->path, kind, name, shards[i], err);
		if (status == M3_OK && shards[i] < db->root->options.shard_count)
			status = show_shard(walk, directory, err);
		else if (status == M3_OK)
			status = show_directory(walk, directory, "the database has no such shard", err);
	}
	m3_free(db->engine->memory, shards);
	return status;
}

static M3Status
show_kind(const OrphanWalk *walk, M3FilesetKind kind, M3Error *err)
{
	M3Database *db = walk->db;
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetNames names;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list_namespaces(db->env, db->engine->memory, db->path, kind, &names, err));
	for (size_t i = 0; status == M3_OK && i < names.count; i++)
	{
		M3Slice		name = m3_slice_cstr(names.names[i]);

		if (is_known(db, name))
		{
			status = show_known(walk, kind, name, err);
			continue;
		}
		status = m3_fileset_namespace_directory(directory, db->path, kind, name, err);
		if (status == M3_OK)
			status = show_directory(walk, directory, "no namespace of that name is known", err);
	}
	m3_fileset_names_free(&names);
	return status;
}

M3Status
m3_orphans(M3Database *db, M3OrphanFn fn, void *context, M3Error *err)
{
	OrphanWalk	walk = {db, fn, context};

	M3_TRY(m3i_require_ready(db, err));
	for (size_t k = 0; k < KIND_COUNT; k++)
		M3_TRY(show_kind(&walk, kinds[k], err));
	return M3_OK;
}

/* --- removing ----------------------------------------------------------- */

typedef struct OrphanRemoval
{
	M3Database *db;
	M3Slice		name;
	uint64_t	files;
	bool		found;			/* a directory of that name */
} OrphanRemoval;

static M3Status
remove_filesets(OrphanRemoval *r, const char *directory, M3Error *err)
{
	M3Memory   *memory = r->db->engine->memory;
	M3FilesetName *names;
	M3FilesetList list;
	M3Status	status;

	M3_TRY(m3_fileset_list(r->db->env, memory, directory, &list, err));
	names = m3_alloc(memory, (list.count + 1) * sizeof(*names));
	for (size_t i = 0; names != NULL && i < list.count; i++)
		names[i] = list.filesets[i].name;
	status = names == NULL ? m3_error(err, M3_NO_MEMORY, "out of memory") :
		m3_fileset_remove(r->db->env, directory, names, list.count, err);
	m3_free(memory, names);
	m3_fileset_list_free(&list);
	return status;
}

/* Filesets by their checkpoints first, then whatever else is a file, then itself. */
static M3Status
remove_directory_locked(OrphanRemoval *r, const char *directory, M3Error *err)
{
	M3Env	   *env = r->db->env;
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetNames names;
	M3Status	status;

	M3_TRY(list_entries(r->db, directory, false, &names, err));
	M3_GOTO(remove_filesets(r, directory, err));
	for (size_t i = 0; i < names.count; i++)
	{
		M3_GOTO(join(path, directory, names.names[i], err));
		status = env->unlink(env, path, err);
		if (status != M3_OK && status != M3_NOT_FOUND)
			goto done;
		r->files++;
	}
	status = env->remove_directory(env, directory, err);
done:
	m3_fileset_names_free(&names);
	return status;
}

/* One directory at a time: meanwhile no namespace can be created, so none loses files. */
static M3Status
remove_unless_known(OrphanRemoval *r, const char *directory, M3Error *err)
{
	M3Database *db = r->db;
	M3Status	status;

	db->env->yield(db->env);
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	if (is_known_locked(db, r->name))
		status = m3_error(err, M3_CONFLICT, "namespace \"%.*s\" exists", (int) r->name.size,
						  (const char *) r->name.data);
	else
		status = remove_directory_locked(r, directory, err);
	db->env->unlock(db->env, m3i_lock_names(db));
	return status;
}

static M3Status
remove_kind(OrphanRemoval *r, M3FilesetKind kind, M3Error *err)
{
	M3Database *db = r->db;
	char		directory[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetNames names;
	M3Status	status;

	M3_TRY(m3_fileset_namespace_directory(directory, db->path, kind, r->name, err));
	status = list_entries(db, directory, true, &names, err);
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	r->found = true;
	for (size_t i = 0; i < names.count; i++)
	{
		M3_GOTO(join(path, directory, names.names[i], err));
		M3_GOTO(remove_unless_known(r, path, err));
	}
	M3_GOTO(remove_unless_known(r, directory, err));
	M3_GOTO(m3_fileset_kind_directory(directory, db->path, kind, err));
	status = db->env->sync_directory(db->env, directory, err);
done:
	m3_fileset_names_free(&names);
	return status;
}

M3Status
m3_orphan_remove(M3Database *db, M3Slice namespace_name, uint64_t *files, M3Error *err)
{
	OrphanRemoval r = {.db = db,.name = namespace_name};
	M3Status	status = M3_OK;

	*files = 0;
	M3_TRY(m3i_require_ready(db, err));
	if (is_known(db, namespace_name))
		return m3_error(err, M3_CONFLICT, "namespace \"%.*s\" exists",
						(int) namespace_name.size, (const char *) namespace_name.data);
	for (size_t k = 0; status == M3_OK && k < KIND_COUNT; k++)
		status = remove_kind(&r, kinds[k], err);
	*files = r.files;
	if (status == M3_OK && !r.found)
		status = m3_error(err, M3_NOT_FOUND, "there are no files of a namespace \"%.*s\"",
						  (int) namespace_name.size, (const char *) namespace_name.data);
	return status;
}
