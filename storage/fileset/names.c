#include "storage/fileset/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define PREFIX "fileset-"
#define STATISTICS "statistics"

static const char *const suffixes[M3_FILESET_ALL_COUNT] = {
	"info", "index", "summaries", "bloomfilter", "data", "digest", "checkpoint", STATISTICS
};

const char *
m3_fileset_suffix(M3FilesetFile file)
{
	return suffixes[file];
}

static M3Status
check_length(int length, const char *what, M3Error *err)
{
	if (length < 0 || length >= M3_FILESET_PATH_SIZE)
		return m3_error(err, M3_INVALID, "path of %s is too long", what);
	return M3_OK;
}

M3Status
m3_fileset_kind_directory(char *out, const char *root, M3FilesetKind kind, M3Error *err)
{
	const char *name = kind == M3_FILESET_KIND_DATA ? "data" : "snapshots";

	return check_length(snprintf(out, M3_FILESET_PATH_SIZE, "%s/%s", root, name),
						"the root", err);
}

M3Status
m3_fileset_namespace_directory(char *out, const char *root, M3FilesetKind kind,
							   M3Slice name, M3Error *err)
{
	size_t		used;

	M3_TRY(m3_fileset_kind_directory(out, root, kind, err));
	used = strlen(out);
	if (name.size == 0 || memchr(name.data, '/', name.size) != NULL ||
		memchr(name.data, 0, name.size) != NULL ||
		m3_slice_equal(name, m3_slice_cstr(".")) ||
		m3_slice_equal(name, m3_slice_cstr("..")))
		return m3_error(err, M3_INVALID, "namespace name cannot be a directory");
	if (name.size >= M3_FILESET_PATH_SIZE - used - 1)
		return m3_error(err, M3_INVALID, "path of the namespace is too long");
	out[used] = '/';
	memcpy(out + used + 1, name.data, name.size);
	out[used + 1 + name.size] = '\0';
	return M3_OK;
}

M3Status
m3_fileset_shard_directory(char *out, const char *root, M3FilesetKind kind,
						   M3Slice name, uint32_t shard, M3Error *err)
{
	size_t		used;
	int			added;

	M3_TRY(m3_fileset_namespace_directory(out, root, kind, name, err));
	used = strlen(out);
	added = snprintf(out + used, M3_FILESET_PATH_SIZE - used, "/%" PRIu32, shard);
	return check_length(added + (int) used, "the shard", err);
}

M3Status
m3_fileset_path(char *out, const char *directory, const M3FilesetName *name,
				M3FilesetFile file, M3Error *err)
{
	int			length;

	if (file == M3_FILESET_STATISTICS)
		length = snprintf(out, M3_FILESET_PATH_SIZE,
						  "%s/" STATISTICS "-%" PRId64 "-%" PRId64 ".db", directory,
						  name->block_start_ns, name->volume);
	else if (name->legacy)
		length = snprintf(out, M3_FILESET_PATH_SIZE, "%s/" PREFIX "%" PRId64 "-%s.db",
						  directory, name->block_start_ns, suffixes[file]);
	else
		length = snprintf(out, M3_FILESET_PATH_SIZE,
						  "%s/" PREFIX "%" PRId64 "-%" PRId64 "-%s.db", directory,
						  name->block_start_ns, name->volume, suffixes[file]);
	return check_length(length, "the fileset", err);
}

bool
m3_fileset_parse_decimal(const char *text, const char **end, int64_t *value)
{
	int64_t		result = 0;
	const char *p = text;

	if (*p < '0' || *p > '9')
		return false;
	if (*p == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		int			digit = *p - '0';

		if (result > (INT64_MAX - digit) / 10)
			return false;
		result = result * 10 + digit;
	}
	*end = p;
	*value = result;
	return true;
}

static bool
parse_suffix(const char *text, M3FilesetFile *file)
{
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		size_t		length = strlen(suffixes[i]);

		if (strncmp(text, suffixes[i], length) == 0 &&
			strcmp(text + length, ".db") == 0)
		{
			*file = (M3FilesetFile) i;
			return true;
		}
	}
	return false;
}

/* A decimal with a sign; minus zero is none. */
static bool
parse_start(const char *text, const char **end, int64_t *value)
{
	bool		negative = *text == '-';

	if (!m3_fileset_parse_decimal(text + negative, end, value) || (negative && *value == 0))
		return false;
	if (negative)
		*value = -*value;
	return true;
}

static bool
parse_statistics_name(const char *text, M3FilesetName *name, M3FilesetFile *file)
{
	const char *p = text + strlen(STATISTICS "-");

	*file = M3_FILESET_STATISTICS;
	name->legacy = false;
	return parse_start(p, &p, &name->block_start_ns) && *p++ == '-' &&
		m3_fileset_parse_decimal(p, &p, &name->volume) && strcmp(p, ".db") == 0;
}

bool
m3_fileset_parse_name(const char *text, M3FilesetName *name, M3FilesetFile *file)
{
	const char *p = text;

	if (strncmp(p, STATISTICS "-", strlen(STATISTICS "-")) == 0)
		return parse_statistics_name(text, name, file);
	if (strncmp(p, PREFIX, strlen(PREFIX)) != 0)
		return false;
	p += strlen(PREFIX);
	if (!parse_start(p, &p, &name->block_start_ns) || *p++ != '-')
		return false;
	name->legacy = !(*p >= '0' && *p <= '9');
	name->volume = 0;
	if (!name->legacy &&
		(!m3_fileset_parse_decimal(p, &p, &name->volume) || *p++ != '-'))
		return false;
	return parse_suffix(p, file);
}

bool
m3_fileset_parse_shard(const char *text, uint32_t *shard)
{
	const char *end;
	int64_t		value;

	if (!m3_fileset_parse_decimal(text, &end, &value) || *end != '\0' ||
		value > UINT32_MAX)
		return false;
	*shard = (uint32_t) value;
	return true;
}

int
m3_fileset_name_compare(const M3FilesetName *a, const M3FilesetName *b)
{
	if (a->block_start_ns != b->block_start_ns)
		return a->block_start_ns < b->block_start_ns ? -1 : 1;
	if (a->volume != b->volume)
		return a->volume < b->volume ? -1 : 1;
	return (int) b->legacy - (int) a->legacy;
}
