#include "storage/fileset/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/bloom.h"
#include "storage/fileset/fileset_private.h"
#include "storage/fileset/list.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define DATA_BUFFER_SIZE (256 * 1024)
#define INDEX_BUFFER_SIZE (64 * 1024)
#define SMALL_BUFFER_SIZE (8 * 1024)
#define SORT_MEMORY_SIZE (4 * 1024 * 1024)
/* <root>/<kind>/<namespace>/<shard>: so many parents may be new. */
#define PARENT_DEPTH 3

typedef enum WriterState
{
	STATE_ADDING,
	STATE_FINISHED,
	STATE_PUBLISHED,
	STATE_FAILED
} WriterState;

struct M3FilesetWriter
{
	M3Env	   *env;
	M3Memory   *memory;
	M3FilesetName name;
	WriterState state;
	bool		sorted;
	bool		no_sync;
	bool		created;		/* files may exist */
	double		false_positive;
	M3FilesetHeader header;
	uint64_t	sizes[M3_FILESET_FILE_COUNT];
	M3Output	outputs[M3_FILESET_DIGEST + 1];
	M3Spool    *spool;			/* unless sorted */
	uint64_t	count;
	int64_t		indexed;		/* entries in the index so far */
	uint8_t    *last_id;		/* of the index; also scratch of the bloom filter */
	size_t		last_id_size;
	size_t		last_id_capacity;
	uint8_t    *scratch;		/* one encoded entry or summary */
	size_t		scratch_capacity;
	char		directory[M3_FILESET_PATH_SIZE];
};

static M3Status
validate_options(const M3FilesetWriterOptions *options, M3Error *err)
{
	int64_t		end;

	if (strlen(options->directory) >= M3_FILESET_PATH_SIZE)
		return m3_error(err, M3_INVALID, "path of the shard is too long");
	if (options->block_size_ns <= 0 || options->volume < 0 ||
		__builtin_add_overflow(options->block_start_ns, options->block_size_ns, &end))
		return m3_error(err, M3_INVALID, "block start, size or volume cannot be stored");
	if (options->is_snapshot &&
		(options->snapshot_time_ns == 0 ||
		 options->snapshot_time_ns == options->block_start_ns))
		return m3_error(err, M3_INVALID, "a snapshot's time must not be 0 or its block's start");
	if (options->bloom_false_positive != 0 &&
		!(options->bloom_false_positive > 0 && options->bloom_false_positive < 1))
		return m3_error(err, M3_INVALID, "false-positive rate must be between 0 and 1");
	return M3_OK;
}

static M3Status
writer_path(const M3FilesetWriter *writer, M3FilesetFile file, char *path, M3Error *err)
{
	return m3_fileset_path(path, writer->directory, &writer->name, file, err);
}

/* Refuses to touch a fileset that exists; removes a checkpoint that never became whole. */
static M3Status
clear_checkpoint(M3FilesetWriter *writer, M3Error *err)
{
	M3FilesetName legacy = writer->name;
	char		path[M3_FILESET_PATH_SIZE];
	bool		complete;
	M3Status	status;

	M3_TRY(m3_fileset_is_complete(writer->env, writer->directory, &writer->name,
								  &complete, err));
	legacy.legacy = true;
	if (!complete && legacy.volume == 0)
		M3_TRY(m3_fileset_is_complete(writer->env, writer->directory, &legacy, &complete,
									  err));
	if (complete)
		return m3_error(err, M3_CONFLICT,
						"fileset %" PRId64 " volume %" PRId64 " exists already",
						writer->name.block_start_ns, writer->name.volume);
	M3_TRY(writer_path(writer, M3_FILESET_CHECKPOINT, path, err));
	status = writer->env->unlink(writer->env, path, err);
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	return writer->no_sync ? M3_OK :
		writer->env->sync_directory(writer->env, writer->directory, err);
}

static M3Status
open_outputs(M3FilesetWriter *writer, M3Error *err)
{
	static const size_t buffer_sizes[M3_FILESET_DIGEST + 1] = {
		SMALL_BUFFER_SIZE, INDEX_BUFFER_SIZE, SMALL_BUFFER_SIZE, SMALL_BUFFER_SIZE,
		DATA_BUFFER_SIZE, SMALL_BUFFER_SIZE
	};

	for (int i = 0; i <= M3_FILESET_DIGEST; i++)
	{
		char		path[M3_FILESET_PATH_SIZE];

		M3_TRY(writer_path(writer, (M3FilesetFile) i, path, err));
		M3_TRY(m3i_fileset_output_open(&writer->outputs[i], writer->env, writer->memory, path,
									   buffer_sizes[i], err));
	}
	return M3_OK;
}

M3Status
m3_fileset_writer_create(M3Env *env, M3Memory *memory,
						 const M3FilesetWriterOptions *options,
						 M3FilesetWriter **writer, M3Error *err)
{
	M3FilesetWriter *w;
	M3FilesetInfo *info;
	M3Status	status;

	M3_TRY(validate_options(options, err));
	w = m3_alloc(memory, sizeof(*w));
	if (w == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(w, 0, sizeof(*w));
	w->env = env;
	w->memory = memory;
	w->name.block_start_ns = options->block_start_ns;
	w->name.volume = options->volume;
	w->sorted = options->sorted;
	w->no_sync = options->no_sync;
	w->false_positive = options->bloom_false_positive != 0 ?
		options->bloom_false_positive : M3_BLOOM_FALSE_POSITIVE;
	memcpy(w->directory, options->directory, strlen(options->directory) + 1);
	info = &w->header.info;
	info->block_start_ns = options->block_start_ns;
	info->block_size_ns = options->block_size_ns;
	info->volume = options->volume;
	info->major_version = 1;
	info->minor_version = 1;
	info->field_count = 11;
	if (options->is_snapshot)
	{
		info->snapshot_time_ns = options->snapshot_time_ns;
		info->has_snapshot_id = true;
		memcpy(info->snapshot_id, options->snapshot_id, M3_FILESET_UUID_SIZE);
	}

	M3_GOTO(env->make_directory(env, w->directory, err));
	M3_GOTO(clear_checkpoint(w, err));
	w->created = true;
	M3_GOTO(open_outputs(w, err));
	if (!w->sorted)
		M3_GOTO(m3i_fileset_spool_create(env, memory, options->sort_memory_size != 0 ?
										 options->sort_memory_size : SORT_MEMORY_SIZE,
										 &w->spool, err));

done:
	if (status != M3_OK)
	{
		m3_fileset_writer_free(w);
		return status;
	}
	*writer = w;
	return M3_OK;
}

/* Remembers the index's last id, and checks that the next one is greater. */
static M3Status
check_order(M3FilesetWriter *writer, M3Slice id, M3Error *err)
{
	if (writer->indexed > 0)
	{
		int			order = m3_slice_compare(m3_slice(writer->last_id,
													  writer->last_id_size), id);

		if (order == 0)
			return m3_error(err, M3_CONFLICT, "series was added twice");
		if (order > 0)
			return m3_error(err, M3_INVALID, "series is out of order");
	}
	M3_TRY(m3i_fileset_reserve(writer->memory, (void **) &writer->last_id,
							   &writer->last_id_capacity, id.size + 1, 1, err));
	if (id.size > 0)
		memcpy(writer->last_id, id.data, id.size);
	writer->last_id_size = id.size;
	return M3_OK;
}

/* Appends an encoded entry to the index, and its summary if it is its turn. */
static M3Status
write_entry(M3FilesetWriter *writer, M3Slice bytes, M3Slice id, int64_t ordinal,
			M3Error *err)
{
	M3Output   *index = &writer->outputs[M3_FILESET_INDEX];
	uint64_t	offset = m3i_fileset_output_size(index);

	M3_TRY(check_order(writer, id, err));
	M3_TRY(m3i_fileset_output_put(index, bytes, err));
	if (writer->indexed++ % M3_FILESET_SUMMARY_STEP == 0)
	{
		M3FilesetSummary summary = {
			.id = m3_slice(writer->last_id, writer->last_id_size),
			.ordinal = ordinal,
			.index_offset = (int64_t) offset
		};
		size_t		size;

		M3_TRY(m3i_fileset_reserve(writer->memory, (void **) &writer->scratch,
								   &writer->scratch_capacity,
								   id.size + M3_FILESET_ENTRY_OVERHEAD, 1, err));
		size = m3_fileset_summary_encode(&summary, writer->scratch);
		M3_TRY(m3i_fileset_output_put(&writer->outputs[M3_FILESET_SUMMARIES],
									  m3_slice(writer->scratch, size), err));
		writer->header.info.summary_count++;
	}
	return M3_OK;
}

static M3Status
add_sorted(M3FilesetWriter *writer, const M3FilesetEntry *entry, M3Error *err)
{
	size_t		size;
	size_t		id_position;

	M3_TRY(m3i_fileset_reserve(writer->memory, (void **) &writer->scratch,
							   &writer->scratch_capacity,
							   entry->id.size + entry->tags.size + M3_FILESET_ENTRY_OVERHEAD, 1,
							   err));
	size = m3_fileset_entry_encode(entry, writer->scratch, &id_position);
	return write_entry(writer, m3_slice(writer->scratch, size), entry->id,
					   entry->ordinal, err);
}

static M3Status
add(M3FilesetWriter *writer, M3Slice id, M3Slice tags, const M3Slice *parts,
	size_t part_count, M3Error *err)
{
	M3Output   *data = &writer->outputs[M3_FILESET_DATA];
	M3FilesetEntry entry = {.id = id,.tags = tags};
	M3TagIterator iterator;
	uint64_t	size = 0;

	if (id.size > M3_FILESET_ENTRY_MAX_SIZE / 2 ||
		tags.size > M3_FILESET_ENTRY_MAX_SIZE / 2 - M3_FILESET_ENTRY_OVERHEAD)
		return m3_error(err, M3_INVALID, "id or tags of a series are too long");
	if (m3_tag_iterator_init(&iterator, tags, err) != M3_OK)
		return m3_error(err, M3_INVALID, "tags of a series are malformed");
	for (size_t i = 0; i < part_count; i++)
		size += parts[i].size;
	if (size == 0)
		return M3_OK;
	if (size > M3_FILESET_PAYLOAD_MAX_SIZE)
		return m3_error(err, M3_INVALID, "a series' block is larger than 4 GB");

	entry.ordinal = (int64_t) writer->count;
	entry.offset = (int64_t) m3i_fileset_output_size(data);
	entry.size = (uint32_t) size;
	entry.checksum = M3_ADLER32_INIT;
	for (size_t i = 0; i < part_count; i++)
	{
		if (parts[i].size == 0)
			continue;
		entry.checksum = m3_adler32(entry.checksum, parts[i].data, parts[i].size);
		M3_TRY(m3i_fileset_output_put(data, parts[i], err));
	}
	writer->count++;
	return writer->sorted ? add_sorted(writer, &entry, err) :
		m3i_fileset_spool_add(writer->spool, &entry, err);
}

M3Status
m3_fileset_writer_add(M3FilesetWriter *writer, M3Slice id, M3Slice tags,
					  const M3Slice *parts, size_t part_count, M3Error *err)
{
	M3Status	status;

	if (writer->state != STATE_ADDING)
		return m3_error(err, M3_INVALID, "fileset writer is not open");
	status = add(writer, id, tags, parts, part_count, err);
	if (status != M3_OK)
		writer->state = STATE_FAILED;
	return status;
}

/* Writes the index from the sorted spool. */
static M3Status
write_index(M3FilesetWriter *writer, M3Error *err)
{
	M3Status	status;

	M3_TRY(m3i_fileset_spool_sort(writer->spool, err));
	for (;;)
	{
		M3FilesetEntry entry;
		M3Slice		bytes;
		M3Slice		id;
		size_t		used;

		status = m3i_fileset_spool_next(writer->spool, &bytes, &id, err);
		if (status != M3_OK)
			break;
		M3_TRY(m3_fileset_entry_decode(bytes, true, &entry, &used, NULL, err));
		M3_TRY(write_entry(writer, bytes, id, entry.ordinal, err));
	}
	m3i_fileset_spool_free(writer->spool);
	writer->spool = NULL;
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/*
 * The filter's size follows from the number of series, which only the end
 * knows: the ids are read back from the index just written.
 */
static M3Status
fill_bloom(M3FilesetWriter *writer, uint8_t *filter, M3Error *err)
{
	const M3FilesetInfo *info = &writer->header.info;
	M3Output   *index = &writer->outputs[M3_FILESET_INDEX];
	M3Source	source;
	char		path[M3_FILESET_PATH_SIZE];
	uint64_t	offset = 0;
	M3Status	status = M3_OK;

	M3_TRY(m3i_fileset_output_flush(index, err));
	M3_TRY(writer_path(writer, M3_FILESET_INDEX, path, err));
	M3_TRY(m3i_fileset_source_open(&source, writer->env, writer->memory, path, false, err));
	for (int64_t i = 0; i < info->entry_count; i++)
	{
		M3FilesetEntry entry;
		size_t		size;
		uint64_t	words[4];

		M3_GOTO(m3i_fileset_source_entry(&source, offset, M3I_SCAN_AHEAD, true, &entry,
										 &size, err));
		M3_GOTO(m3i_fileset_reserve(writer->memory, (void **) &writer->scratch,
									&writer->scratch_capacity, entry.id.size + 1, 1, err));
		m3_bloom_hash(entry.id, writer->scratch, words);
		m3_bloom_add(filter, info->bloom_bits, info->bloom_hashes, words);
		offset += size;
	}

done:
	m3i_fileset_source_close(&source);
	return status;
}

static M3Status
write_bloom(M3FilesetWriter *writer, M3Error *err)
{
	M3FilesetInfo *info = &writer->header.info;
	uint64_t	size;
	uint8_t    *filter;
	M3Status	status;

	m3_bloom_parameters(writer->count, writer->false_positive, &info->bloom_bits,
						&info->bloom_hashes);
	size = m3_bloom_size(info->bloom_bits);
	filter = size <= SIZE_MAX ? m3_alloc(writer->memory, (size_t) size) : NULL;
	if (filter == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(filter, 0, (size_t) size);
	M3_GOTO(fill_bloom(writer, filter, err));
	M3_GOTO(m3i_fileset_output_put(&writer->outputs[M3_FILESET_BLOOM],
								   m3_slice(filter, (size_t) size), err));

done:
	m3_free(writer->memory, filter);
	return status;
}

static M3Status
write_digest(M3FilesetWriter *writer, M3Error *err)
{
	uint8_t		digest[M3_FILESET_DIGEST_SIZE];

	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		writer->header.digests[i] = writer->outputs[i].checksum;
	m3_fileset_digest_encode(writer->header.digests, digest);
	M3_TRY(m3i_fileset_output_put(&writer->outputs[M3_FILESET_DIGEST],
								  m3_slice(digest, sizeof(digest)), err));
	writer->header.checkpoint = writer->outputs[M3_FILESET_DIGEST].checksum;
	return M3_OK;
}

/* The shard's directory, and the ones above that may be as new as it is. */
static M3Status
sync_directories(M3FilesetWriter *writer, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];

	memcpy(path, writer->directory, sizeof(path));
	for (int i = 0; i <= PARENT_DEPTH; i++)
	{
		M3_TRY(writer->env->sync_directory(writer->env, path, err));
		if (!m3i_fileset_parent_directory(path))
			break;
	}
	return M3_OK;
}

static M3Status
finish(M3FilesetWriter *writer, M3Error *err)
{
	uint8_t		info[M3_FILESET_INFO_MAX_SIZE];
	size_t		info_size;

	if (!writer->sorted)
		M3_TRY(write_index(writer, err));
	writer->header.info.entry_count = (int64_t) writer->count;
	M3_TRY(write_bloom(writer, err));
	info_size = m3_fileset_info_encode(&writer->header.info, info);
	M3_TRY(m3i_fileset_output_put(&writer->outputs[M3_FILESET_INFO],
								  m3_slice(info, info_size), err));
	M3_TRY(write_digest(writer, err));
	for (int i = 0; i <= M3_FILESET_DIGEST; i++)
	{
		M3Output   *output = &writer->outputs[i];

		M3_TRY(m3i_fileset_output_flush(output, err));
		if (!writer->no_sync)
			M3_TRY(writer->env->sync(writer->env, output->file, err));
		writer->sizes[i] = output->offset;
		m3i_fileset_output_close(output, writer->memory);
	}
	writer->sizes[M3_FILESET_CHECKPOINT] = M3_FILESET_CHECKPOINT_SIZE;
	return writer->no_sync ? M3_OK : sync_directories(writer, err);
}

M3Status
m3_fileset_writer_finish(M3FilesetWriter *writer, M3Error *err)
{
	M3Status	status;

	if (writer->state != STATE_ADDING)
		return m3_error(err, M3_INVALID, "fileset writer is not open");
	status = finish(writer, err);
	writer->state = status == M3_OK ? STATE_FINISHED : STATE_FAILED;
	return status;
}

/*
 * A name that readers do not look for is written first, so that a checkpoint
 * of the right size but the wrong content cannot be left by a crash.
 */
static M3Status
write_checkpoint(M3FilesetWriter *writer, M3Error *err)
{
	uint8_t		bytes[M3_FILESET_CHECKPOINT_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	char		temporary[M3_FILESET_PATH_SIZE];
	M3Env	   *env = writer->env;

	M3_TRY(writer_path(writer, M3_FILESET_CHECKPOINT, path, err));
	if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int) sizeof(temporary))
		return m3_error(err, M3_INVALID, "path of the fileset is too long");
	m3_store_le32(bytes, writer->header.checkpoint);
	if (writer->no_sync)
	{
		M3File	   *file;
		M3Status	status;

		M3_TRY(env->open(env, path, M3_OPEN_CREATE, &file, err));
		status = env->write(env, file, bytes, sizeof(bytes), 0, err);
		env->close(env, file);
		return status;
	}
	M3_TRY(m3i_fileset_write_small(env, temporary, m3_slice(bytes, sizeof(bytes)), err));
	M3_TRY(env->rename(env, temporary, path, err));
	return env->sync_directory(env, writer->directory, err);
}

static void
close_outputs(M3FilesetWriter *writer)
{
	for (int i = 0; i <= M3_FILESET_DIGEST; i++)
		m3i_fileset_output_close(&writer->outputs[i], writer->memory);
}

/* The error that led here is the one to report. */
static void
remove_files(M3FilesetWriter *writer)
{
	close_outputs(writer);
	if (writer->created)
		(void) m3_fileset_remove(writer->env, writer->directory, &writer->name, 1, NULL);
	writer->created = false;
}

M3Status
m3_fileset_writer_publish(M3FilesetWriter *writer, M3Error *err)
{
	M3Status	status;

	if (writer->state != STATE_FINISHED)
		return m3_error(err, M3_INVALID, "fileset writer has not finished");
	status = write_checkpoint(writer, err);
	writer->state = status == M3_OK ? STATE_PUBLISHED : STATE_FAILED;
	if (status != M3_OK)
		remove_files(writer);
	return status;
}

const M3FilesetHeader *
m3_fileset_writer_header(const M3FilesetWriter *writer)
{
	return &writer->header;
}

const uint64_t *
m3_fileset_writer_sizes(const M3FilesetWriter *writer)
{
	return writer->sizes;
}

uint64_t
m3_fileset_writer_count(const M3FilesetWriter *writer)
{
	return writer->count;
}

void
m3_fileset_writer_free(M3FilesetWriter *writer)
{
	if (writer == NULL)
		return;
	if (writer->state == STATE_PUBLISHED)
		close_outputs(writer);
	else
		remove_files(writer);
	m3i_fileset_spool_free(writer->spool);
	m3_free(writer->memory, writer->last_id);
	m3_free(writer->memory, writer->scratch);
	m3_free(writer->memory, writer);
}
