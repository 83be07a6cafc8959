#include "tools/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"

#define MAX_SIZE (UINT64_C(64) << 20)
#define CHECKSUM_WORD "checksum "

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Undoes %XX in place; false if that is not well-formed. */
static bool
decode_name(char *text, M3Slice *name)
{
	char	   *out = text;
	const char *p = text;

	while (*p != '\0')
	{
		if (*p == '%')
		{
			int			high = hex_digit(p[1]);
			int			low = high < 0 ? -1 : hex_digit(p[2]);

			if (low < 0)
				return false;
			*out++ = (char) (high << 4 | low);
			p += 3;
		}
		else
			*out++ = *p++;
	}
	*name = m3_slice(text, (size_t) (out - text));
	return name->size > 0;
}

/* The number after "name=" in a list of fields. */
static bool
find_number(const char *fields, const char *name, int64_t *value)
{
	size_t		size = strlen(name);

	for (const char *p = fields; p != NULL && *p != '\0'; p = strchr(p, ' '))
	{
		char	   *end;

		p += *p == ' ';
		if (strncmp(p, name, size) != 0 || p[size] != '=')
			continue;
		*value = strtoll(p + size + 1, &end, 10);
		return end != p + size + 1 && (*end == '\0' || *end == ' ');
	}
	return false;
}

static M3Status
add_namespace(Registry *registry, char *fields, M3Error *err)
{
	RegistryNamespace *grown;
	RegistryNamespace *ns;
	char	   *name = fields;
	char	   *end;

	/* the engine writes the name first */
	if (strncmp(name, "name=", 5) != 0)
		return m3_error(err, M3_CORRUPT, "namespace without a name in the registry");
	name += 5;
	end = name + strcspn(name, " ");
	grown = m3_resize(registry->memory, registry->namespaces,
					  (registry->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	registry->namespaces = grown;
	ns = &grown[registry->count];
	memset(ns, 0, sizeof(*ns));
	ns->fields = *end == '\0' ? end : end + 1;
	*end = '\0';
	if (!decode_name(name, &ns->name))
		return m3_error(err, M3_CORRUPT, "name of a namespace in the registry is malformed");
	(void) find_number(ns->fields, "block_size_ns", &ns->block_size_ns);
	(void) find_number(ns->fields, "retention_period_ns", &ns->retention_period_ns);
	if (ns->block_size_ns < 0 || ns->block_size_ns % INT64_C(1000000000) != 0)
		return m3_error(err, M3_CORRUPT, "block size in the registry is not whole seconds");
	registry->count++;
	return M3_OK;
}

static M3Status
read_line(Registry *registry, char *line, M3Error *err)
{
	int64_t		shards;
	int64_t		seed;

	if (strncmp(line, "namespace ", 10) == 0)
		return add_namespace(registry, line + 10, err);
	if (strncmp(line, "root ", 5) != 0)
		return m3_error(err, M3_CORRUPT, "unknown line in the registry");
	if (!find_number(line + 5, "shards", &shards) || shards < 1 || shards > INT32_MAX ||
		!find_number(line + 5, "hash_seed", &seed) || seed < 0 || seed > UINT32_MAX)
		return m3_error(err, M3_CORRUPT, "shards or hash seed in the registry are not numbers");
	registry->has_root = true;
	registry->shard_count = (uint32_t) shards;
	registry->hash_seed = (uint32_t) seed;
	return M3_OK;
}

static M3Status
parse(Registry *registry, size_t size, M3Error *err)
{
	char	   *text = registry->text;
	char	   *checksum = NULL;
	char	   *rest;
	char	   *line;

	if (strlen(text) != size)
		return m3_error(err, M3_CORRUPT, "the registry holds a zero byte");
	for (line = text; line != NULL; line = strchr(line, '\n'))
	{
		line += *line == '\n';
		if (strncmp(line, CHECKSUM_WORD, strlen(CHECKSUM_WORD)) == 0)
			checksum = line;
	}
	if (checksum == NULL ||
		strtoul(checksum + strlen(CHECKSUM_WORD), NULL, 16) !=
		m3_adler32(M3_ADLER32_INIT, text, (size_t) (checksum - text)))
		return m3_error(err, M3_CORRUPT, "the registry fails its checksum");
	*checksum = '\0';
	line = strtok_r(text, "\n", &rest);
	if (line == NULL || strcmp(line, REGISTRY_TITLE) != 0)
		return m3_error(err, M3_UNSUPPORTED, "the registry is of another version");
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
		M3_TRY(read_line(registry, line, err));
	return M3_OK;
}

M3Status
registry_read(M3Env *env, M3Memory *memory, const char *path, Registry *registry,
			  M3Error *err)
{
	M3File	   *file;
	uint64_t	size;
	size_t		got = 0;
	M3Status	status;

	memset(registry, 0, sizeof(*registry));
	registry->memory = memory;
	M3_TRY(env->open(env, path, M3_OPEN_READ, &file, err));
	M3_GOTO(env->size(env, file, &size, err));
	if (size > MAX_SIZE)
		M3_GOTO(m3_error_corrupt(err, path, -1, "the registry is too large"));
	registry->text = m3_alloc(memory, (size_t) size + 1);
	if (registry->text == NULL)
		M3_GOTO(m3_error(err, M3_NO_MEMORY, "out of memory"));
	M3_GOTO(env->read(env, file, registry->text, (size_t) size, 0, &got, err));
	registry->text[got] = '\0';
	status = parse(registry, got, err);
	if (status != M3_OK && err != NULL)
		snprintf(err->file, sizeof(err->file), "%s", path);
done:
	env->close(env, file);
	if (status != M3_OK)
		registry_free(registry);
	return status;
}

void
registry_free(Registry *registry)
{
	if (registry->memory == NULL)
		return;
	m3_free(registry->memory, registry->namespaces);
	m3_free(registry->memory, registry->text);
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
