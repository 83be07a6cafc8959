#include "storage/fileset/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/fileset/list.h"
#include "storage/fileset/reader_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* An index position is read at random when the data's order differs. */
#define RANDOM_AHEAD 4096
/* No entry is shorter: root header, five one-byte fields. */
#define ENTRY_MIN_SIZE 9

M3Status
m3_fileset_reader_open(M3Env *env, M3Memory *memory, const char *directory,
					   const M3FilesetName *name, const M3FilesetReaderOptions *options,
					   M3FilesetReader **reader, M3Error *err)
{
	M3FilesetReader *r;
	M3Status	status;

	if (strlen(directory) >= M3_FILESET_PATH_SIZE)
		return m3_error(err, M3_INVALID, "path of the shard is too long");
	r = m3_alloc(memory, sizeof(*r));
	if (r == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(r, 0, sizeof(*r));
	r->env = env;
	r->memory = memory;
	r->name = *name;
	r->data_ahead = options != NULL && options->data_ahead != 0 ? options->data_ahead :
		M3I_SCAN_AHEAD;
	r->use_map = options != NULL && options->access == M3_FILESET_MAP;
	memcpy(r->directory, directory, strlen(directory) + 1);
	if (options != NULL && options->header != NULL)
		r->header = *options->header;
	else
		M3_GOTO(m3_fileset_read_header(env, directory, name, &r->header, err));
	r->index_checked = m3_fileset_has_entry_checksums(&r->header.info);
	if (options != NULL && options->validate)
		M3_GOTO(m3_fileset_reader_validate(r, err));
	status = M3_OK;

done:
	if (status != M3_OK)
	{
		m3_fileset_reader_close(r);
		return status;
	}
	*reader = r;
	return M3_OK;
}

void
m3_fileset_reader_close(M3FilesetReader *reader)
{
	if (reader == NULL)
		return;
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		m3i_fileset_source_close(&reader->sources[i]);
	m3_free(reader->memory, reader->summaries);
	m3_free(reader->memory, reader->places);
	m3_free(reader->memory, reader->scratch);
	m3_free(reader->memory, reader);
}

const M3FilesetHeader *
m3_fileset_reader_header(const M3FilesetReader *reader)
{
	return &reader->header;
}

M3Status
m3i_fileset_reader_source(M3FilesetReader *reader, M3FilesetFile file, M3Source **source,
						  M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;
	bool		complete;

	*source = &reader->sources[file];
	if ((*source)->file != NULL)
		return M3_OK;
	M3_TRY(m3_fileset_path(path, reader->directory, &reader->name, file, err));
	status = m3i_fileset_source_open(*source, reader->env, reader->memory, path, reader->use_map,
									 err);
	if (status != M3_NOT_FOUND)
		return status;
	M3_TRY(m3_fileset_is_complete(reader->env, reader->directory, &reader->name, &complete,
								  err));
	if (complete)
		return m3_error_corrupt(err, path, -1, "file of a complete fileset is missing");
	return m3_error(err, M3_NOT_FOUND, "fileset was removed");
}

M3Status
m3_fileset_reader_open_files(M3FilesetReader *reader, M3Error *err)
{
	M3Source   *source;

	for (int i = M3_FILESET_INDEX; i < M3_FILESET_DIGESTED_COUNT; i++)
		M3_TRY(m3i_fileset_reader_source(reader, (M3FilesetFile) i, &source, err));
	return M3_OK;
}

size_t
m3_fileset_reader_memory(const M3FilesetReader *reader)
{
	size_t		size = sizeof(*reader) + reader->scratch_capacity;

	if (reader->summaries_loaded)
		size += reader->summary_count * sizeof(uint32_t);
	size += reader->place_count * sizeof(M3Place);
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		size += reader->sources[i].window_capacity;
	return size;
}

void
m3_fileset_reader_shrink(M3FilesetReader *reader)
{
	m3i_fileset_source_shrink(&reader->sources[M3_FILESET_INDEX]);
	m3i_fileset_source_shrink(&reader->sources[M3_FILESET_DATA]);
}

M3Status
m3i_fileset_reader_check(M3FilesetReader *reader, M3FilesetFile file, M3Error *err)
{
	M3Source   *source;
	uint32_t	checksum;

	M3_TRY(m3i_fileset_reader_source(reader, file, &source, err));
	M3_TRY(m3i_fileset_source_checksum(source, &checksum, err));
	if (checksum != reader->header.digests[file])
		return m3_error_corrupt(err, source->path, -1, "%s file fails its checksum",
								m3_fileset_suffix(file));
	return M3_OK;
}

M3Status
m3i_fileset_reader_index(M3FilesetReader *reader, M3Source **source, M3Error *err)
{
	if (!reader->index_checked)
	{
		M3_TRY(m3i_fileset_reader_check(reader, M3_FILESET_INDEX, err));
		reader->index_checked = true;
		reader->index_checked_whole = true;
	}
	return m3i_fileset_reader_source(reader, M3_FILESET_INDEX, source, err);
}

M3Status
m3_fileset_reader_data(M3FilesetReader *reader, const M3FilesetEntry *entry,
					   M3Slice *payload, M3Error *err)
{
	M3Source   *data;
	uint64_t	offset = (uint64_t) entry->offset;
	size_t		ahead;

	M3_TRY(m3i_fileset_reader_source(reader, M3_FILESET_DATA, &data, err));
	if (entry->offset < 0 || entry->size > data->size || offset > data->size - entry->size)
		return m3_error_corrupt(err, data->path, entry->offset,
								"payload lies beyond the end of the file");
	/* one payload after the other: a scan; else a lookup, which wants no more */
	ahead = offset == reader->data_end ? reader->data_ahead : entry->size;
	reader->data_end = offset + entry->size;
	M3_TRY(m3i_fileset_source_peek(data, offset, entry->size, ahead, payload, err));
	payload->size = entry->size;
	if (m3_adler32(M3_ADLER32_INIT, payload->data, payload->size) != entry->checksum)
		return m3_error_corrupt(err, data->path, entry->offset,
								"payload fails its checksum");
	return M3_OK;
}

/* Scans */

typedef struct Position
{
	uint64_t	data_offset;
	uint64_t	index_offset;
} Position;

struct M3FilesetScan
{
	M3FilesetReader *reader;
	int64_t		next;			/* number of the next entry */
	uint64_t	index_offset;	/* of it, going by id */
	uint8_t    *last_id;
	size_t		last_id_size;
	size_t		last_id_capacity;
	Position   *positions;		/* if the orders differ */
};

/* The next entry by id. */
static M3Status
next_by_id(M3FilesetScan *scan, M3FilesetEntry *entry, M3Error *err)
{
	M3FilesetReader *reader = scan->reader;
	const M3FilesetInfo *info = &reader->header.info;
	M3Source   *index;
	size_t		size;

	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	if (scan->next == info->entry_count)
	{
		if (scan->index_offset != index->size)
			return m3_error_corrupt(err, index->path, (int64_t) scan->index_offset,
									"index goes on after its last entry");
		return M3_NOT_FOUND;
	}
	M3_TRY(m3i_fileset_source_entry(index, scan->index_offset, M3I_SCAN_AHEAD,
									m3_fileset_has_entry_checksums(info), entry, &size, err));
	if (scan->next > 0 &&
		m3_slice_compare(m3_slice(scan->last_id, scan->last_id_size), entry->id) >= 0)
		return m3_error_corrupt(err, index->path, (int64_t) scan->index_offset,
								"index is not in order of ids");
	M3_TRY(m3i_fileset_reserve(reader->memory, (void **) &scan->last_id, &scan->last_id_capacity,
							   entry->id.size, 1, err));
	if (entry->id.size > 0)
		memcpy(scan->last_id, entry->id.data, entry->id.size);
	scan->last_id_size = entry->id.size;
	scan->index_offset += size;
	scan->next++;
	return M3_OK;
}

static int
compare_positions(const void *a, const void *b)
{
	const Position *x = a;
	const Position *y = b;

	if (x->data_offset != y->data_offset)
		return x->data_offset < y->data_offset ? -1 : 1;
	return (x->index_offset > y->index_offset) - (x->index_offset < y->index_offset);
}

/* Finds all entries; drops the result again if ids and data have one order. */
static M3Status
sort_by_data(M3FilesetScan *scan, M3Error *err)
{
	M3FilesetReader *reader = scan->reader;
	size_t		capacity = 0;
	size_t		count = 0;
	uint64_t	last = 0;
	bool		same = true;
	M3Status	status;

	for (;;)
	{
		M3FilesetEntry entry;
		Position	position = {.index_offset = scan->index_offset};

		status = next_by_id(scan, &entry, err);
		if (status != M3_OK)
			break;
		position.data_offset = (uint64_t) entry.offset;
		same = same && position.data_offset >= last;
		last = position.data_offset;
		M3_TRY(m3i_fileset_reserve(reader->memory, (void **) &scan->positions, &capacity,
								   count + 1, sizeof(Position), err));
		scan->positions[count++] = position;
	}
	if (status != M3_NOT_FOUND)
		return status;
	scan->next = 0;
	scan->index_offset = 0;
	if (same)
	{
		m3_free(reader->memory, scan->positions);
		scan->positions = NULL;
	}
	else
		qsort(scan->positions, count, sizeof(Position), compare_positions);
	return M3_OK;
}

M3Status
m3_fileset_scan_open(M3FilesetReader *reader, M3FilesetOrder order, M3FilesetScan **scan,
					 M3Error *err)
{
	M3FilesetScan *s = m3_alloc(reader->memory, sizeof(*s));
	M3Status	status = M3_OK;

	if (s == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(s, 0, sizeof(*s));
	s->reader = reader;
	if (order == M3_FILESET_BY_DATA)
		status = sort_by_data(s, err);
	if (status != M3_OK)
	{
		m3_fileset_scan_close(s);
		return status;
	}
	*scan = s;
	return M3_OK;
}

M3Status
m3_fileset_scan_next(M3FilesetScan *scan, M3FilesetEntry *entry, M3Error *err)
{
	M3FilesetReader *reader = scan->reader;
	M3Source   *index;
	size_t		size;

	if (scan->positions == NULL)
		return next_by_id(scan, entry, err);
	if (scan->next == reader->header.info.entry_count)
		return M3_NOT_FOUND;
	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	M3_TRY(m3i_fileset_source_entry(index, scan->positions[scan->next].index_offset, RANDOM_AHEAD,
									m3_fileset_has_entry_checksums(&reader->header.info), entry,
									&size, err));
	scan->next++;
	return M3_OK;
}

uint64_t
m3i_fileset_scan_offset(const M3FilesetScan *scan)
{
	return scan->index_offset;
}

void
m3_fileset_scan_close(M3FilesetScan *scan)
{
	if (scan == NULL)
		return;
	m3_free(scan->reader->memory, scan->last_id);
	m3_free(scan->reader->memory, scan->positions);
	m3_free(scan->reader->memory, scan);
}

/* Validation */

/*
 * Whether the entries add up: each within the data, together all of it.
 * (Overlaps would take payloads of equal checksums, and harm nobody.)
 */
static M3Status
validate_entries(M3FilesetReader *reader, M3Error *err)
{
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Source   *data;
	uint64_t	total = 0;
	M3Status	status;

	M3_TRY(m3i_fileset_reader_source(reader, M3_FILESET_DATA, &data, err));
	M3_TRY(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, err));
	while ((status = m3_fileset_scan_next(scan, &entry, err)) == M3_OK)
	{
		if (entry.size > data->size || (uint64_t) entry.offset > data->size - entry.size)
			M3_GOTO(m3_error_corrupt(err, data->path, entry.offset,
									 "payload lies beyond the end of the file"));
		total += entry.size;
	}
	if (status != M3_NOT_FOUND)
		goto done;
	status = M3_OK;
	if (total != data->size)
		M3_GOTO(m3_error_corrupt(err, data->path, -1,
								 "payloads have %" PRIu64 " bytes, the file %" PRIu64,
								 total, data->size));

done:
	m3_fileset_scan_close(scan);
	return status;
}

/* Whether each summary points at the entry that it names. */
static M3Status
validate_summaries(M3FilesetReader *reader, M3Error *err)
{
	M3Source   *index;

	M3_TRY(m3i_fileset_reader_load_summaries(reader, err));
	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	for (size_t i = 0; i < reader->summary_count; i++)
	{
		M3FilesetSummary summary;
		M3FilesetEntry entry;
		size_t		size;

		M3_TRY(m3i_fileset_reader_summary(reader, i, &summary, err));
		M3_TRY(m3i_fileset_source_entry(index, (uint64_t) summary.index_offset, RANDOM_AHEAD,
										m3_fileset_has_entry_checksums(&reader->header.info),
										&entry, &size, err));
		if (!m3_slice_equal(entry.id, summary.id))
			return m3_error_corrupt(err, index->path, summary.index_offset,
									"summary does not match the index");
	}
	return M3_OK;
}

M3Status
m3_fileset_reader_validate(M3FilesetReader *reader, M3Error *err)
{
	M3Source   *index;

	for (int i = M3_FILESET_INDEX; i < M3_FILESET_DIGESTED_COUNT; i++)
		M3_TRY(m3i_fileset_reader_check(reader, (M3FilesetFile) i, err));
	reader->index_checked = true;
	reader->index_checked_whole = true;
	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	if ((uint64_t) reader->header.info.entry_count > index->size / ENTRY_MIN_SIZE)
		return m3_error_corrupt(err, index->path, -1, "index is too short for %" PRId64
								" entries", reader->header.info.entry_count);
	M3_TRY(validate_entries(reader, err));
	return validate_summaries(reader, err);
}
