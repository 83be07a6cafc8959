/*
 * The registry of a root: the file "namespaces" beside M3DB's directories.
 *
 *   m3db_fdw namespaces 1
 *   root shards=16 hash_seed=0
 *   namespace name=public.cpu block_size_ns=... retention_period_ns=...
 *   checksum 1a2b3c4d
 *
 * A line each, fields in any order, unknown fields refused; bytes of a name that are not
 * letters, digits, '.', '_' or '-' stand as %XX.  The checksum is the Adler-32 of all
 * lines before its own.  The file is replaced whole, by a rename.
 */
#include "storage/db/db_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define REGISTRY_TITLE "m3db_fdw namespaces 1"
#define REGISTRY_MAX_SIZE (UINT64_C(64) << 20)
#define NAMESPACE_LINE_SIZE (M3_NAMESPACE_NAME_MAX_SIZE * 3 + 512)

typedef struct Field
{
	const char *name;
	size_t		offset;
	bool		is_flag;		/* bool, else int64 */
} Field;

#define DURATION(member) {#member, offsetof(M3NamespaceOptions, member), false}
#define FLAG(member) {#member, offsetof(M3NamespaceOptions, member), true}

static const Field fields[] = {
	DURATION(retention_period_ns),
	DURATION(block_size_ns),
	DURATION(buffer_past_ns),
	DURATION(buffer_future_ns),
	FLAG(cold_writes_enabled),
	FLAG(writes_to_commitlog),
	FLAG(snapshot_enabled),
	FLAG(flush_enabled),
	FLAG(cleanup_enabled)
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static char *
registry_path(const M3Database *db, const char *suffix)
{
	size_t		size = strlen(db->path) + strlen(suffix) + sizeof("/namespaces");
	char	   *path = m3_alloc(db->engine->memory, size);

	if (path != NULL)
		snprintf(path, size, "%s/namespaces%s", db->path, suffix);
	return path;
}

/* --- writing ------------------------------------------------------------ */

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
	for (size_t i = 0; i < FIELD_COUNT; i++)
	{
		const char *at = (const char *) &ns->options + fields[i].offset;
		int64_t		value = 0;
		bool		flag = false;

		if (fields[i].is_flag)
			memcpy(&flag, at, sizeof(flag));
		else
			memcpy(&value, at, sizeof(value));
		n += (size_t) snprintf(out + n, room - n, " %s=%" PRId64, fields[i].name,
							   fields[i].is_flag ? (int64_t) flag : value);
	}
	n += (size_t) snprintf(out + n, room - n, " cache_policy=%u\n",
						   (unsigned) ns->options.cache_policy);
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
	n = (size_t) snprintf(text, room, REGISTRY_TITLE "\nroot shards=%u hash_seed=%u\n",
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

/* --- reading ------------------------------------------------------------ */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Undoes put_name; the size, or SIZE_MAX if the text is no name. */
static size_t
get_name(const char *text, uint8_t name[M3_NAMESPACE_NAME_MAX_SIZE])
{
	size_t		n = 0;

	for (; *text != '\0'; n++)
	{
		if (n == M3_NAMESPACE_NAME_MAX_SIZE)
			return SIZE_MAX;
		if (*text == '%')
		{
			int			high = hex_digit(text[1]);
			int			low = high < 0 ? -1 : hex_digit(text[2]);

			if (low < 0)
				return SIZE_MAX;
			name[n] = (uint8_t) (high << 4 | low);
			text += 3;
		}
		else
			name[n] = (uint8_t) *text++;
	}
	return n;
}

static bool
get_number(const char *text, int64_t min, int64_t max, int64_t *value)
{
	char	   *end;
	long long	number = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number < min || number > max)
		return false;
	*value = number;
	return true;
}

static bool
set_field(M3NamespaceOptions *options, const char *name, const char *text)
{
	int64_t		value;

	if (strcmp(name, "cache_policy") == 0)
	{
		if (!get_number(text, 0, M3_CACHE_LRU, &value))
			return false;
		options->cache_policy = (uint8_t) value;
		return true;
	}
	for (size_t i = 0; i < FIELD_COUNT; i++)
	{
		char	   *at = (char *) options + fields[i].offset;
		bool		flag;

		if (strcmp(name, fields[i].name) != 0)
			continue;
		if (!get_number(text, 0, fields[i].is_flag ? 1 : INT64_MAX, &value))
			return false;
		flag = value != 0;
		if (fields[i].is_flag)
			memcpy(at, &flag, sizeof(flag));
		else
			memcpy(at, &value, sizeof(value));
		return true;
	}
	return false;
}

/* One line, without its line end; taken apart in place. */
static M3Status
read_line(M3Database *db, char *line, M3Error *err)
{
	char	   *rest;
	char	   *kind = strtok_r(line, " ", &rest);
	bool		is_root = kind != NULL && strcmp(kind, "root") == 0;
	M3NamespaceOptions options;
	uint8_t		name[M3_NAMESPACE_NAME_MAX_SIZE];
	size_t		name_size = SIZE_MAX;
	M3Ref		ref;

	if (!is_root && (kind == NULL || strcmp(kind, "namespace") != 0))
		return m3_error(err, M3_CORRUPT, "unknown line in the registry of namespaces");
	m3_namespace_options_default(&options);
	for (char *field = strtok_r(NULL, " ", &rest); field != NULL;
		 field = strtok_r(NULL, " ", &rest))
	{
		char	   *value = strchr(field, '=');
		int64_t		number;
		bool		ok = false;

		if (value == NULL)
			return m3_error(err, M3_CORRUPT, "field \"%s\" has no value", field);
		*value++ = '\0';
		if (is_root && strcmp(field, "shards") == 0 && get_number(value, 1, INT32_MAX, &number))
		{
			db->root->options.shard_count = (uint32_t) number;
			ok = true;
		}
		else if (is_root && strcmp(field, "hash_seed") == 0 &&
				 get_number(value, 0, UINT32_MAX, &number))
		{
			db->root->options.hash_seed = (uint32_t) number;
			ok = true;
		}
		else if (!is_root && strcmp(field, "name") == 0)
		{
			name_size = get_name(value, name);
			ok = name_size != SIZE_MAX;
		}
		else if (!is_root)
			ok = set_field(&options, field, value);
		if (!ok)
			return m3_error(err, M3_CORRUPT, "field \"%s\" of the registry has value \"%s\"",
							field, value);
	}
	if (is_root)
	{
		db->root->has_options = true;
		return M3_OK;
	}
	M3_TRY(m3_namespace_name_validate(m3_slice(name, name_size == SIZE_MAX ? 0 : name_size), err));
	M3_TRY(m3_namespace_options_validate(&options, err));
	return m3i_namespace_add(db, m3_slice(name, name_size), &options, &ref, err);
}

static M3Status
read_text(M3Database *db, char *text, size_t size, M3Error *err)
{
	char	   *checksum = size == 0 ? NULL : strstr(text, "checksum ");
	char	   *line;
	char	   *rest;

	while (checksum != NULL && checksum != text && checksum[-1] != '\n')
		checksum = strstr(checksum + 1, "checksum ");
	if (checksum == NULL || strlen(text) != size ||
		strtoul(checksum + strlen("checksum "), NULL, 16) !=
		m3_adler32(M3_ADLER32_INIT, text, (size_t) (checksum - text)))
		return m3_error(err, M3_CORRUPT, "the registry of namespaces fails its checksum");
	*checksum = '\0';
	line = strtok_r(text, "\n", &rest);
	if (line == NULL || strcmp(line, REGISTRY_TITLE) != 0)
		return m3_error(err, M3_UNSUPPORTED, "the registry of namespaces is of another version");
	for (line = strtok_r(NULL, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		M3_TRY(read_line(db, line, err));
	return M3_OK;
}

M3Status
m3i_registry_read(M3Database *db, M3Error *err)
{
	M3Env	   *env = db->env;
	M3Memory   *memory = db->engine->memory;
	M3Status	status;
	M3File	   *file = NULL;
	uint64_t	size;
	size_t		got;
	char	   *text = NULL;
	char	   *path = registry_path(db, "");

	if (path == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	status = env->open(env, path, M3_OPEN_READ, &file, err);
	if (status == M3_NOT_FOUND)
	{
		status = M3_OK;
		goto done;
	}
	M3_GOTO(status);
	M3_GOTO(env->size(env, file, &size, err));
	if (size > REGISTRY_MAX_SIZE)
	{
		status = m3_error_corrupt(err, path, 0, "the registry of namespaces is too large");
		goto done;
	}
	text = m3_alloc(memory, (size_t) size + 1);
	if (text == NULL)
	{
		status = m3_error(err, M3_NO_MEMORY, "out of memory");
		goto done;
	}
	M3_GOTO(env->read(env, file, text, (size_t) size, 0, &got, err));
	text[got] = '\0';
	status = read_text(db, text, got, err);
	if (status != M3_OK && err != NULL)
		snprintf(err->file, sizeof(err->file), "%s", path);
done:
	env->close(env, file);
	m3_free(memory, text);
	m3_free(memory, path);
	return status;
}
