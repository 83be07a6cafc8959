/*
 * A whole fileset: the input is five little-endian 16-bit sizes and the files
 * info, index, summaries, bloomfilter and data; digests are made to fit, so that
 * what they guard is reached.  Opened, validated, scanned both ways, looked up
 * by its own ids and others.  If it passes validation, every entry is found.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/memory.h"
#include "storage/fileset/list.h"
#include "storage/fileset/lookup.h"
#include "storage/fileset/reader.h"
#include "test/support/env_fault.h"

#define DIRECTORY "/s"

static void
put_file(M3Env *env, const M3FilesetName *name, M3FilesetFile file, M3Slice bytes)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *opened;

	if (m3_fileset_path(path, DIRECTORY, name, file, NULL) != M3_OK ||
		env->open(env, path, M3_OPEN_CREATE, &opened, NULL) != M3_OK ||
		(bytes.size > 0 && env->write(env, opened, bytes.data, bytes.size, 0, NULL) != M3_OK))
		abort();
	env->close(env, opened);
}

static void
scan(M3FilesetReader *reader, M3FilesetOrder order, bool must_find)
{
	M3FilesetScan *s;
	M3FilesetEntry entry;
	M3Error		err;

	if (m3_fileset_scan_open(reader, order, &s, &err) != M3_OK)
		return;
	while (m3_fileset_scan_next(s, &entry, &err) == M3_OK)
	{
		uint8_t    *id = malloc(entry.id.size + 1);
		size_t		size = entry.id.size;
		M3FilesetEntry found;
		M3Slice		payload;
		volatile uint8_t sink = 0;

		if (size > 0)
			memcpy(id, entry.id.data, size);
		id[size] = 0;
		if (m3_fileset_reader_data(reader, &entry, &payload, &err) == M3_OK)
		{
			for (size_t i = 0; i < payload.size; i++)
				sink = (uint8_t) (sink ^ payload.data[i]);
			(void) sink;
		}
		(void) m3_fileset_lookup(reader, m3_slice(id, size), false, &found, &err);
		if (m3_fileset_lookup(reader, m3_slice(id, size), true, &found, &err) != M3_OK &&
			must_find)
			abort();
		(void) m3_fileset_lookup(reader, m3_slice(id, size + 1), true, &found, &err);
		free(id);
	}
	m3_fileset_scan_close(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3Env	   *env;
	M3FilesetInfo info;
	M3FilesetName name = {0, 0, false};
	M3Slice		files[M3_FILESET_DIGESTED_COUNT];
	uint32_t	digests[M3_FILESET_DIGESTED_COUNT];
	uint8_t		digest[M3_FILESET_DIGEST_SIZE];
	uint8_t		checkpoint[M3_FILESET_CHECKPOINT_SIZE];
	size_t		offset = 2 * M3_FILESET_DIGESTED_COUNT;
	M3Error		err;

	if (size < offset)
		return 0;
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
	{
		size_t		wanted = m3_load_le16(data + 2 * i);

		if (wanted > size - offset)
			wanted = size - offset;
		files[i] = m3_slice(data + offset, wanted);
		digests[i] = m3_adler32(M3_ADLER32_INIT, files[i].data, wanted);
		offset += wanted;
	}
	if (m3_fileset_info_decode(files[M3_FILESET_INFO], &info, &err) != M3_OK)
		return 0;
	name.block_start_ns = info.block_start_ns;
	name.volume = info.volume;
	m3_fileset_digest_encode(digests, digest);
	m3_store_le32(checkpoint, m3_adler32(M3_ADLER32_INIT, digest, sizeof(digest)));

	env = env_fault_create();
	if (env->make_directory(env, DIRECTORY, &err) != M3_OK)
		abort();
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		put_file(env, &name, (M3FilesetFile) i, files[i]);
	put_file(env, &name, M3_FILESET_DIGEST, m3_slice(digest, sizeof(digest)));
	put_file(env, &name, M3_FILESET_CHECKPOINT, m3_slice(checkpoint, sizeof(checkpoint)));
	for (int access = M3_FILESET_PREAD; access <= M3_FILESET_MAP; access++)
	{
		M3FilesetReaderOptions options = {.access = (M3FilesetAccess) access};
		M3FilesetReader *reader;
		bool		valid;

		if (m3_fileset_reader_open(env, &m3_memory_malloc, DIRECTORY, &name, &options, &reader,
								   &err) != M3_OK)
			abort();
		scan(reader, M3_FILESET_BY_ID, false);
		valid = m3_fileset_reader_validate(reader, &err) == M3_OK;
		scan(reader, M3_FILESET_BY_DATA, valid);
		m3_fileset_reader_close(reader);
	}
	if (env_fault_open_files(env) != 0 || env_fault_open_maps(env) != 0)
		abort();
	env_fault_destroy(env);
	return 0;
}
