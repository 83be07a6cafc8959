#include "storage/db/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/db_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define REGISTRY_MAX_SIZE (UINT64_C(64) << 20)

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

size_t
m3_registry_put_options(char *out, size_t room, const M3NamespaceOptions *options)
{
	size_t		n = 0;

	for (size_t i = 0; i < FIELD_COUNT; i++)
	{
		const char *at = (const char *) options + fields[i].offset;
		int64_t		value = 0;
		bool		flag = false;

		if (fields[i].is_flag)
			memcpy(&flag, at, sizeof(flag));
		else
			memcpy(&value, at, sizeof(value));
		n += (size_t) snprintf(out + n, room - n, " %s=%" PRId64, fields[i].name,
							   fields[i].is_flag ? (int64_t) flag : value);
	}
	return n + (size_t) snprintf(out + n, room - n, " cache_policy=%u",
								 (unsigned) options->cache_policy);
}

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

static bool
set_floor(M3RegistryFloor *floor, const char *name, const char *text)
{
	int64_t		value;

	if (strcmp(name, "dropped") == 0 && get_number(text, 0, 1, &value))
		floor->dropped = value != 0;
	else if (strcmp(name, "floor_log") == 0 && get_number(text, 0, INT64_MAX, &value))
		floor->log_index = (uint64_t) value;
	else if (strcmp(name, "floor_offset") == 0 && get_number(text, 0, INT64_MAX, &value))
		floor->offset = (uint64_t) value;
	else
		return false;
	return true;
}

/* One line, without its line end; taken apart in place. */
static M3Status
read_line(const M3RegistryVisitor *visitor, char *line, M3Error *err)
{
	char	   *rest;
	char	   *kind = strtok_r(line, " ", &rest);
	bool		is_root = kind != NULL && strcmp(kind, "root") == 0;
	M3NamespaceOptions options;
	M3RootOptions root = {0, 0};
	M3RegistryFloor floor = {false, 0, 0};
	uint8_t		name[M3_NAMESPACE_NAME_MAX_SIZE];
	size_t		name_size = SIZE_MAX;

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
			root.shard_count = (uint32_t) number;
			ok = true;
		}
		else if (is_root && strcmp(field, "hash_seed") == 0 &&
				 get_number(value, 0, UINT32_MAX, &number))
		{
			root.hash_seed = (uint32_t) number;
			ok = true;
		}
		else if (!is_root && strcmp(field, "name") == 0)
		{
			name_size = get_name(value, name);
			ok = name_size != SIZE_MAX;
		}
		else if (!is_root)
			ok = set_floor(&floor, field, value) || set_field(&options, field, value);
		if (!ok)
			return m3_error(err, M3_CORRUPT, "field \"%s\" of the registry has value \"%s\"",
							field, value);
	}
	if (is_root && root.shard_count == 0)
		return m3_error(err, M3_CORRUPT, "the registry does not say how many shards there are");
	if (is_root)
		return visitor->root(visitor->context, &root, err);
	M3_TRY(m3_namespace_name_validate(m3_slice(name, name_size == SIZE_MAX ? 0 : name_size), err));
	M3_TRY(m3_namespace_options_validate(&options, err));
	M3_TRY(visitor->namespace(visitor->context, m3_slice(name, name_size), &options, err));
	if (visitor->floor == NULL || (!floor.dropped && floor.log_index == 0 && floor.offset == 0))
		return M3_OK;
	return visitor->floor(visitor->context, m3_slice(name, name_size), &floor, err);
}

static M3Status
read_text(const M3RegistryVisitor *visitor, char *text, size_t size, M3Error *err)
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
	if (line == NULL || strcmp(line, M3_REGISTRY_TITLE) != 0)
		return m3_error(err, M3_UNSUPPORTED, "the registry of namespaces is of another version");
	for (line = strtok_r(NULL, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		M3_TRY(read_line(visitor, line, err));
	return M3_OK;
}

M3Status
m3_registry_read(M3Env *env, M3Memory *memory, const char *path,
				 const M3RegistryVisitor *visitor, M3Error *err)
{
	M3Status	status;
	M3File	   *file = NULL;
	uint64_t	size;
	size_t		got;
	char	   *text = NULL;

	M3_TRY(env->open(env, path, M3_OPEN_READ, &file, err));
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
	status = read_text(visitor, text, got, err);
	if (status != M3_OK && err != NULL)
		snprintf(err->file, sizeof(err->file), "%s", path);
done:
	env->close(env, file);
	m3_free(memory, text);
	return status;
}
