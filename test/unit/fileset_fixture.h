/*
 * What the fileset tests share: a scratch directory, whole files in and out,
 * a walk over the golden directories, one small fileset.
 */
#ifndef M3_TEST_FILESET_FIXTURE_H
#define M3_TEST_FILESET_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/memory.h"
#include "storage/fileset/list.h"
#include "storage/fileset/lookup.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/writer.h"
#include "storage/ident/tags.h"
#include "test/unit/check.h"

#define FIXTURE_START INT64_C(1599998400000000000)
#define FIXTURE_SIZE INT64_C(7200000000000)

static M3Error err;
static M3Env *env;
static char scratch[64];

static int
fixture_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void) st;
	(void) flag;
	(void) ftw;
	return remove(path);
}

static inline void
fixture_remove(const char *path)
{
	nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
fixture_begin(void)
{
	strcpy(scratch, "/tmp/m3fileset-XXXXXX");
	if (mkdtemp(scratch) == NULL)
		abort();
	env = m3_env_posix_create(0);
}

static inline int
fixture_end(void)
{
	fixture_remove(scratch);
	m3_env_posix_destroy(env);
	return check_report();
}

/* A path below the scratch directory; good until the fourth call from now. */
static inline const char *
in_scratch(const char *format,...)
{
	static char paths[4][M3_FILESET_PATH_SIZE];
	static int	next;
	char	   *path = paths[next++ % 4];
	va_list		args;
	int			used = snprintf(path, M3_FILESET_PATH_SIZE, "%s/", scratch);

	va_start(args, format);
	vsnprintf(path + used, (size_t) (M3_FILESET_PATH_SIZE - used), format, args);
	va_end(args);
	return path;
}

static inline uint8_t *
slurp(const char *path, size_t *size)
{
	FILE	   *f = fopen(path, "rb");
	uint8_t    *bytes = NULL;
	long		length;

	*size = 0;
	if (f == NULL)
		return NULL;
	fseek(f, 0, SEEK_END);
	length = ftell(f);
	rewind(f);
	bytes = malloc((size_t) length + 1);
	if (fread(bytes, 1, (size_t) length, f) != (size_t) length)
		abort();
	bytes[length] = 0;
	*size = (size_t) length;
	fclose(f);
	return bytes;
}

static inline void
spew(const char *path, const void *bytes, size_t size)
{
	FILE	   *f = fopen(path, "wb");

	if (f == NULL || (size > 0 && fwrite(bytes, 1, size, f) != size))
		abort();
	fclose(f);
}

static inline bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static inline size_t
from_hex(const char *text, uint8_t *out)
{
	size_t		size = 0;

	for (; *text; text++)
	{
		unsigned	byte;

		if (*text == ' ' || *text == '\n')
			continue;
		if (sscanf(text, "%2x", &byte) != 1)
			abort();
		out[size++] = (uint8_t) byte;
		text++;
	}
	return size;
}

/* Compares a file with bytes in hex. */
#define CHECK_FILE_HEX(path, text) \
	do { \
		uint8_t		expected_[4096]; \
		size_t		expected_size_ = from_hex((text), expected_); \
		size_t		size_; \
		uint8_t    *bytes_ = slurp((path), &size_); \
		if (CHECK(bytes_ != NULL)) \
			CHECK_BYTES(bytes_, size_, expected_, expected_size_); \
		free(bytes_); \
	} while (0)

typedef void (*FixtureFn) (const char *directory, const M3FilesetListed *listed,
						   bool snapshot);

/* Calls fn for every fileset below a root. */
static inline void
each_fileset(const char *root, FixtureFn fn)
{
	for (int kind = M3_FILESET_KIND_DATA; kind <= M3_FILESET_KIND_SNAPSHOT; kind++)
	{
		M3FilesetNames names;

		CHECK_OK(m3_fileset_list_namespaces(env, &m3_memory_malloc, root,
											(M3FilesetKind) kind, &names, &err));
		for (size_t n = 0; n < names.count; n++)
		{
			uint32_t   *shards;
			size_t		count;
			M3Slice		ns = m3_slice_cstr(names.names[n]);

			CHECK_OK(m3_fileset_list_shards(env, &m3_memory_malloc, root,
											(M3FilesetKind) kind, ns, &shards, &count,
											&err));
			for (size_t s = 0; s < count; s++)
			{
				char		directory[M3_FILESET_PATH_SIZE];
				M3FilesetList list;

				CHECK_OK(m3_fileset_shard_directory(directory, root, (M3FilesetKind) kind,
													ns, shards[s], &err));
				CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
				for (size_t i = 0; i < list.count; i++)
					fn(directory, &list.filesets[i], kind == M3_FILESET_KIND_SNAPSHOT);
				m3_fileset_list_free(&list);
			}
			free(shards);
		}
		m3_fileset_names_free(&names);
	}
}

static inline const char *
test_data(void)
{
	const char *path = getenv("M3_TEST_DATA");

	return path != NULL ? path : "test/data";
}

/* Calls fn for every golden root: the folders, and the variants of damaged/. */
static inline int
each_golden_root(void (*fn) (const char *root, const char *name, bool damaged))
{
	static const char *const folders[] = {"warm", "cold", "commitlog", "mixed", "prom"};
	char		path[M3_FILESET_PATH_SIZE];
	DIR		   *dir;
	struct dirent *entry;
	int			found = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
	{
		snprintf(path, sizeof(path), "%s/m3db/%s", test_data(), folders[i]);
		if (exists(path))
		{
			fn(path, folders[i], false);
			found++;
		}
	}
	snprintf(path, sizeof(path), "%s/m3db/damaged", test_data());
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		struct stat st;

		snprintf(path, sizeof(path), "%s/m3db/damaged/%s", test_data(), entry->d_name);
		if (entry->d_name[0] != '.' && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		{
			fn(path, entry->d_name, true);
			found++;
		}
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static inline M3FilesetWriterOptions
fixture_options(const char *directory)
{
	M3FilesetWriterOptions options = {
		.directory = directory,
		.block_start_ns = FIXTURE_START,
		.block_size_ns = FIXTURE_SIZE,
		.no_sync = true
	};

	return options;
}

static inline M3Status
add_text(M3FilesetWriter *writer, const char *id, const char *payload)
{
	M3Slice		part = m3_slice_cstr(payload);

	return m3_fileset_writer_add(writer, m3_slice_cstr(id), m3_slice(NULL, 0), &part, 1, &err);
}

/* Series number i of the generated filesets: id, tags and payload in buffers of
 * at least 256 bytes. */
static inline void
make_series(int i, char *id, uint8_t *tags, size_t *tags_size, char *payload)
{
	char		value[32];
	M3Tag		tag = {m3_slice_cstr("n"), {NULL, 0}};

	snprintf(id, 256, "series.%06d.%.*s", i, i % 40, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
	snprintf(value, sizeof(value), "%d", i);
	tag.value = m3_slice_cstr(value);
	*tags_size = i % 3 == 0 ? 0 : m3_tags_encoded_size(&tag, 1);
	if (*tags_size > 0)
		m3_tags_encode(&tag, 1, tags);
	snprintf(payload, 256, "payload-%d-%.*s", i, i % 29, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static inline M3Status
add_series(M3FilesetWriter *writer, int i)
{
	char		id[256];
	char		payload[256];
	uint8_t		tags[256];
	size_t		tags_size;
	M3Slice		parts[3];

	make_series(i, id, tags, &tags_size, payload);
	parts[0] = m3_slice(payload, 5);
	parts[1] = m3_slice(NULL, 0);
	parts[2] = m3_slice(payload + 5, strlen(payload) - 5);
	return m3_fileset_writer_add(writer, m3_slice_cstr(id), m3_slice(tags, tags_size), parts,
								 3, &err);
}

/* Compares all seven files of two filesets. */
static inline bool
same_files(const char *directory_a, const M3FilesetName *a, const char *directory_b,
		   const M3FilesetName *b)
{
	bool		same = true;

	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		size_t		size_a;
		size_t		size_b;
		uint8_t    *bytes_a;
		uint8_t    *bytes_b;

		CHECK_OK(m3_fileset_path(path, directory_a, a, (M3FilesetFile) i, &err));
		bytes_a = slurp(path, &size_a);
		CHECK_OK(m3_fileset_path(path, directory_b, b, (M3FilesetFile) i, &err));
		bytes_b = slurp(path, &size_b);
		if (bytes_a == NULL || bytes_b == NULL || size_a != size_b ||
			memcmp(bytes_a, bytes_b, size_a) != 0)
		{
			fprintf(stderr, "    %s differs\n", path);
			same = false;
		}
		free(bytes_a);
		free(bytes_b);
	}
	return same;
}

#endif							/* M3_TEST_FILESET_FIXTURE_H */
