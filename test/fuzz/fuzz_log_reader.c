/*
 * A directory with one commit log of any bytes: check, replay, repair.
 *
 * The first byte says how the rest is meant: even, it is the file; odd, it is
 * payloads, a little-endian uint16 of size before each, that get sound chunk
 * headers, since nobody guesses checksums.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/base/memory.h"
#include "storage/log/scan.h"
#include "test/support/env_fault.h"

#define ROOT "root"
#define PATH ROOT "/" M3_LOG_DIRECTORY "/commitlog-0-1.db"

typedef struct Seen
{
	uint64_t	entries;
	uint64_t	shown;
	uint64_t	bytes;
} Seen;

static M3Status
see_begin(void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err)
{
	(void) context;
	(void) err;
	*apply = group->offset % 3 != 0;
	return M3_OK;
}

static M3Status
see_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	Seen	   *seen = context;
	const M3LogSeriesMetadata *metadata = &record->series->metadata;

	(void) err;
	if (record->group_offset != group->offset || record->is_marker)
		abort();
	seen->shown++;
	for (size_t i = 0; i < record->annotation.size; i++)
		seen->bytes += record->annotation.data[i];
	for (size_t i = 0; i < metadata->id.size; i++)
		seen->bytes += metadata->id.data[i];
	for (size_t i = 0; i < metadata->namespace.size; i++)
		seen->bytes += metadata->namespace.data[i];
	for (size_t i = 0; i < metadata->tags.size; i++)
		seen->bytes += metadata->tags.data[i];
	return M3_OK;
}

static M3Status
see_voided(void *context, const M3LogGroupInfo *group, const M3LogMarker *marker, M3Error *err)
{
	Seen	   *seen = context;

	(void) err;
	(void) group;
	if (marker->kind != M3_LOG_MARKER_VOID || marker->name.size == 0 ||
		marker->name.size > M3_LOG_MARKER_NAME_MAX_SIZE)
		abort();
	seen->shown++;
	for (size_t i = 0; i < marker->name.size; i++)
		seen->bytes += marker->name.data[i];
	return M3_OK;
}

static void
write_file(M3Env *env, const uint8_t *data, size_t size)
{
	M3File	   *file;

	if (env->make_directory(env, ROOT "/" M3_LOG_DIRECTORY, NULL) != M3_OK ||
		env->open(env, PATH, M3_OPEN_CREATE, &file, NULL) != M3_OK ||
		(size > 0 && env->write(env, file, data, size, 0, NULL) != M3_OK))
		abort();
	env->close(env, file);
}

static uint8_t *
frame(const uint8_t *data, size_t size, size_t *framed_size)
{
	uint8_t    *out = malloc(size * 13 + 16);
	uint8_t    *p = out;

	while (size >= 2)
	{
		size_t		payload = m3_load_le16(data);

		data += 2;
		size -= 2;
		if (payload > size)
			payload = size;
		if (payload > 0)
			memcpy(p + 12, data, payload);
		m3_log_put_chunk_header(p, p + 12, payload);
		p += 12 + payload;
		data += payload;
		size -= payload;
	}
	*framed_size = (size_t) (p - out);
	return out;
}

static void
check_set(M3Env *env)
{
	M3LogSet   *set;
	Seen		seen = {0, 0, 0};
	M3LogReplay replay = {
		.begin = see_begin, .entry = see_entry, .voided = see_voided, .context = &seen
	};
	const M3LogFile *file;
	uint64_t	entries;
	uint64_t	cut;
	bool		repairs;

	if (m3_log_set_open(env, &m3_memory_malloc, ROOT, &set, NULL) != M3_OK ||
		m3_log_set_check(set, NULL, NULL, NULL) != M3_OK ||
		m3_log_set_replay(set, &replay, NULL) != M3_OK)
		abort();
	file = m3_log_set_file(set, 0);
	entries = file->end.entries;
	if (seen.shown > entries || file->end.valid_size > file->end.file_size ||
		(file->has_info && (file->end.kind == M3_LOG_END_CLEAN) !=
		 (file->end.valid_size == file->end.file_size)))
		abort();
	repairs = m3_log_set_needs_repair(set, 0) && file->end.valid_size > 0;
	if (m3_log_set_repair(set, 0, &cut, NULL) != M3_OK)
		abort();
	m3_log_set_close(set);
	if (!repairs)
		return;
	if (m3_log_set_open(env, &m3_memory_malloc, ROOT, &set, NULL) != M3_OK ||
		m3_log_set_check(set, NULL, NULL, NULL) != M3_OK)
		abort();
	file = m3_log_set_file(set, 0);
	if (file->end.kind != M3_LOG_END_CLEAN || file->end.entries != entries)
		abort();
	m3_log_set_close(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3Env	   *env;
	uint8_t    *framed = NULL;
	size_t		framed_size;

	if (size == 0)
		return 0;
	env = env_fault_create();
	if (data[0] % 2 == 1)
	{
		framed = frame(data + 1, size - 1, &framed_size);
		write_file(env, framed, framed_size);
	}
	else
		write_file(env, data + 1, size - 1);
	free(framed);
	check_set(env);
	if (env_fault_open_files(env) != 0)
		abort();
	env_fault_destroy(env);
	return 0;
}
