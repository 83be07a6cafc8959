/*
 * Helpers of the commit-log tests: files in memory and back.
 */
#ifndef M3_TEST_LOG_FIXTURE_H
#define M3_TEST_LOG_FIXTURE_H

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/memory.h"
#include "storage/base/time.h"
#include "storage/log/scan.h"
#include "storage/log/writer.h"

typedef struct FileBytes
{
	uint8_t    *data;
	size_t		size;
} FileBytes;

static inline FileBytes
fixture_read(M3Env *env, const char *path)
{
	FileBytes	bytes = {NULL, 0};
	M3File	   *file;
	uint64_t	size = 0;

	if (env->open(env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return bytes;
	env->size(env, file, &size, NULL);
	bytes.data = malloc(size + 1);
	env->read(env, file, bytes.data, size, 0, &bytes.size, NULL);
	env->close(env, file);
	return bytes;
}

static inline void
fixture_write(M3Env *env, const char *path, const void *data, size_t size)
{
	M3File	   *file;

	if (env->open(env, path, M3_OPEN_CREATE, &file, NULL) != M3_OK)
		abort();
	if (size > 0 && env->write(env, file, data, size, 0, NULL) != M3_OK)
		abort();
	env->close(env, file);
}

/* A new directory <tmp>/m3log-XXXXXX with a commitlogs directory in it. */
static inline void
fixture_root(M3Env *env, char *root, size_t size)
{
	char		logs[600];

	snprintf(root, size, "%s/m3log-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(root) == NULL)
		abort();
	snprintf(logs, sizeof(logs), "%s/" M3_LOG_DIRECTORY, root);
	if (env->make_directory(env, logs, NULL) != M3_OK)
		abort();
}

static inline M3Status
fixture_unlink(void *context, const char *name, bool is_directory)
{
	char		path[1200];

	snprintf(path, sizeof(path), "%s/%s", (const char *) context, name);
	if (!is_directory)
		unlink(path);
	return M3_OK;
}

static inline void
fixture_remove_root(M3Env *env, const char *root)
{
	char		logs[600];

	snprintf(logs, sizeof(logs), "%s/" M3_LOG_DIRECTORY, root);
	env->list(env, logs, fixture_unlink, logs, NULL);
	rmdir(logs);
	rmdir(root);
}

static inline M3LogEntry
fixture_entry(uint64_t unique_index, int64_t create_ns, int64_t time_ns, double value,
			  uint32_t unit)
{
	M3LogEntry	entry;

	memset(&entry, 0, sizeof(entry));
	entry.unique_index = unique_index;
	entry.create_ns = create_ns;
	entry.time_ns = time_ns;
	entry.value = value;
	entry.unit = unit;
	return entry;
}

static inline void
fixture_describe(M3LogEntry *entry, const char *id, const char *namespace, uint32_t shard,
				 M3Slice tags)
{
	entry->has_metadata = true;
	entry->metadata.id = m3_slice_cstr(id);
	entry->metadata.namespace = m3_slice_cstr(namespace);
	entry->metadata.shard = shard;
	entry->metadata.tags = tags;
}

/* The three entries of spec/commitlog.md 11. */
static inline void
fixture_example(M3LogEntry entries[3])
{
	static const uint8_t tags[] = {0x75, 0x27, 1, 0, 4, 0, 'h', 'o', 's', 't', 1, 0, 'a'};
	int64_t		now = INT64_C(1700000000123456789);

	entries[0] = fixture_entry(1, now, INT64_C(1700000000000000000), 42.5, 1);
	fixture_describe(&entries[0], "cpu", "m", 7, m3_slice(tags, sizeof(tags)));
	entries[1] = fixture_entry(2, now, INT64_C(1700000000500000000), -1.0, 2);
	fixture_describe(&entries[1], "mem", "m", 300, m3_slice(NULL, 0));
	entries[1].annotation = m3_slice("hi", 2);
	entries[2] = fixture_entry(1, now, INT64_C(1700000010000000000), 43.0, 1);
}

#endif							/* M3_TEST_LOG_FIXTURE_H */
