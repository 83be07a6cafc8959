/*
 * Writing the registry of a root, and reading it into the engine.
 */
#include "storage/db/db_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/registry.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define NAMESPACE_LINE_SIZE (M3_NAMESPACE_NAME_MAX_SIZE * 3 + 512)

static char *
registry_path(const M3Database *db, const char *suffix)
{
	size_t		size = strlen(db->path) + strlen(suffix) + sizeof("/" M3_REGISTRY_FILE);
	char	   *path = m3_alloc(db->engine->memory, size);

	if (path != NULL)
		snprintf(path, size, "%s/" M3_REGISTRY_FILE "%s", db->path, suffix);
	return path;
}

static size_t
put_name(char *out, M3Slice name)
{
	static const char hex[] = "0123456789ABCDEF";
	char	   *p = out;

	for (size_t i = 0; i < name.size; i++)
	{
		uint8_t		c = name.data[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')
			*p++ = (char) c;
		else
		{
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	return (size_t) (p - out);
}

static size_t
put_namespace(char *out, size_t room, const M3NamespaceShared *ns)
{
	size_t		n = (size_t) snprintf(out, room, "namespace name=");

	n += put_name(out + n, m3_slice(ns->name, ns->name_size));
	n += m3_registry_put_options(out + n, room - n, &ns->options);
	/* a drop that is not purged yet is the log's to remember */
	if (ns->dropped && !ns->purge_pending)
		n += (size_t) snprintf(out + n, room - n, " dropped=1");
	if (ns->floor.log_index != 0 || ns->floor.offset != 0)
		n += (size_t) snprintf(out + n, room - n, " floor_log=%" PRIu64 " floor_offset=%" PRIu64,
							   ns->floor.log_index, ns->floor.offset);
	n += (size_t) snprintf(out + n, room - n, "\n");
	return n;
}

/* The whole registry as text; *size is its length. */
static char *
compose(M3Database *db, size_t *size)
{
	size_t		room = 256;
	size_t		n;
	char	   *text;

	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		room += NAMESPACE_LINE_SIZE;
		ref = ((M3NamespaceShared *) m3_arena_at(db->arena, ref))->next;
	}
	text = m3_alloc(db->engine->memory, room);
	if (text == NULL)
		return NULL;
	n = (size_t) snprintf(text, room, M3_REGISTRY_TITLE "\nroot shards=%u hash_seed=%u\n",
						  db->root->options.shard_count, db->root->options.hash_seed);
	for (M3Ref ref = db->root->first_namespace; ref != 0;)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		n += put_namespace(text + n, room - n, ns);
		ref = ns->next;
	}
	n += (size_t) snprintf(text + n, room - n, "checksum %08x\n",
						   m3_adler32(M3_ADLER32_INIT, text, n));
	*size = n;
	return text;
}

/* The root's directory, and the names that lead to it from one level above the
 * data directory, durable. */
static M3Status
make_root(M3Database *db, M3Error *err)
{
	M3Env	   *env = db->env;
	const char *data_directory = db->engine->data_directory;
	const char *slash = strrchr(data_directory, '/');
	char	   *above;
	M3Status	status;

	M3_TRY(env->make_directory(env, db->path, err));
	M3_TRY(env->sync_directory(env, data_directory, err));
	if (slash == NULL)
		return env->sync_directory(env, ".", err);
	if (slash == data_directory)
		return env->sync_directory(env, "/", err);
	above = m3_alloc(db->engine->memory, (size_t) (slash - data_directory) + 1);
	if (above == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memcpy(above, data_directory, (size_t) (slash - data_directory));
	above[slash - data_directory] = '\0';
	status = env->sync_directory(env, above, err);
	m3_free(db->engine->memory, above);
	return status;
}

M3Status
m3i_registry_write(M3Database *db, M3Error *err)
{
	M3Env	   *env = db->env;
	M3Memory   *memory = db->engine->memory;
	M3Status	status = M3_OK;
	M3File	   *file = NULL;
	size_t		size = 0;
	char	   *path = registry_path(db, "");
	char	   *temporary = registry_path(db, ".new");
	char	   *text = compose(db, &size);

	if (path == NULL || temporary == NULL || text == NULL)
	{
		status = m3_error(err, M3_NO_MEMORY, "out of memory");
		goto done;
	}
	M3_GOTO(make_root(db, err));
	M3_GOTO(env->open(env, temporary, M3_OPEN_CREATE, &file, err));
	M3_GOTO(env->write(env, file, text, size, 0, err));
	M3_GOTO(env->sync(env, file, err));
	env->close(env, file);
	file = NULL;
	M3_GOTO(env->rename(env, temporary, path, err));
	M3_GOTO(env->sync_directory(env, db->path, err));
done:
	env->close(env, file);
	m3_free(memory, path);
	m3_free(memory, temporary);
	m3_free(memory, text);
	return status;
}

/* --- into the engine ---------------------------------------------------- */

static M3Status
visit_root(void *context, const M3RootOptions *options, M3Error *err)
{
	M3Database *db = context;

	(void) err;
	db->root->options = *options;
	db->root->has_options = true;
	return M3_OK;
}

static M3Status
visit_namespace(void *context, M3Slice name, const M3NamespaceOptions *options, M3Error *err)
{
	M3Ref		ref;

	return m3i_namespace_add(context, name, options, &ref, err);
}

static M3Status
visit_floor(void *context, M3Slice name, const M3RegistryFloor *floor, M3Error *err)
{
	M3Database *db = context;
	M3NamespaceShared *ns = m3_arena_at(db->arena, db->root->last_namespace);

	(void) name;				/* the one just added */
	(void) err;
	ns->dropped = floor->dropped;
	ns->floor.log_index = floor->log_index;
	ns->floor.offset = floor->offset;
	return M3_OK;
}

M3Status
m3i_registry_read(M3Database *db, M3Error *err)
{
	M3RegistryVisitor visitor = {visit_root, visit_namespace, db, visit_floor};
	char	   *path = registry_path(db, "");
	M3Status	status;

	if (path == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	status = m3_registry_read(db->env, db->engine->memory, path, &visitor, err);
	m3_free(db->engine->memory, path);
	return status == M3_NOT_FOUND ? M3_OK : status;
}
