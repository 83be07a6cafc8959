#include "storage/fileset/lookup.h"

#include <inttypes.h>
#include <string.h>

#include "storage/fileset/bloom.h"
#include "storage/fileset/reader_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* When the summaries do not tell where to stop reading. */
#define DEFAULT_AHEAD 4096
/* A step of the index that is read in one go at most. */
#define MAX_AHEAD (128 * 1024)
/* Root header and three one-byte fields. */
#define SUMMARY_MIN_SIZE 7

/* The whole of a small file: mapped, or one window that stays. */
static M3Status
whole_source(M3FilesetReader *reader, M3FilesetFile file, M3Slice *bytes, M3Error *err)
{
	M3Source   *source;

	M3_TRY(m3i_fileset_reader_source(reader, file, &source, err));
	if (source->size > SIZE_MAX)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	return m3i_fileset_source_peek(source, 0, (size_t) source->size, (size_t) source->size, bytes,
								   err);
}

/* Walks the summaries once; *positions is the caller's to free, also on failure. */
static M3Status
find_summaries(M3FilesetReader *reader, M3Slice bytes, uint32_t **positions, M3Error *err)
{
	uint64_t	count = (uint64_t) reader->header.info.summary_count;
	M3Slice		last = {NULL, 0};
	size_t		offset = 0;

	if (count > bytes.size / SUMMARY_MIN_SIZE)
		return m3_error(err, M3_CORRUPT, "summaries file is too short");
	*positions = m3_alloc(reader->memory, (count + 1) * sizeof(uint32_t));
	if (*positions == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	for (uint64_t i = 0; i < count; i++)
	{
		M3FilesetSummary summary;
		size_t		used;

		M3_TRY(m3_fileset_summary_decode(m3_slice(bytes.data + offset,
												  bytes.size - offset),
										 &summary, &used, err));
		if (i > 0 && m3_slice_compare(last, summary.id) >= 0)
			return m3_error(err, M3_CORRUPT, "summaries are not in order of ids");
		last = summary.id;
		(*positions)[i] = (uint32_t) offset;
		offset += used;
	}
	if (offset != bytes.size)
		return m3_error(err, M3_CORRUPT, "summaries go on after the last one");
	return M3_OK;
}

M3Status
m3i_fileset_reader_load_summaries(M3FilesetReader *reader, M3Error *err)
{
	M3Slice		bytes;
	uint32_t   *positions = NULL;
	M3Status	status;

	if (reader->summaries_loaded)
		return M3_OK;
	/* the whole file first, so that the checksum runs over what stays */
	M3_TRY(whole_source(reader, M3_FILESET_SUMMARIES, &bytes, err));
	M3_TRY(m3i_fileset_reader_check(reader, M3_FILESET_SUMMARIES, err));
	if (bytes.size > UINT32_MAX)
		return m3_error(err, M3_UNSUPPORTED, "summaries file is larger than 4 GB");
	status = find_summaries(reader, bytes, &positions, err);
	if (status != M3_OK)
	{
		m3_free(reader->memory, positions);
		return m3i_fileset_locate_error(status, err,
										reader->sources[M3_FILESET_SUMMARIES].path, -1);
	}
	reader->summaries = positions;
	reader->summary_count = (size_t) reader->header.info.summary_count;
	reader->summaries_loaded = true;
	return M3_OK;
}

M3Status
m3i_fileset_reader_summary(M3FilesetReader *reader, size_t at, M3FilesetSummary *summary,
						   M3Error *err)
{
	M3Slice		bytes;
	size_t		used;

	M3_TRY(whole_source(reader, M3_FILESET_SUMMARIES, &bytes, err));
	bytes.data += reader->summaries[at];
	bytes.size -= reader->summaries[at];
	return m3_fileset_summary_decode(bytes, summary, &used, err);
}

M3Status
m3_fileset_may_contain(M3FilesetReader *reader, M3Slice id, bool *maybe, M3Error *err)
{
	const M3FilesetInfo *info = &reader->header.info;
	M3Slice		filter;
	uint64_t	words[4];

	M3_TRY(whole_source(reader, M3_FILESET_BLOOM, &filter, err));
	if (!reader->bloom_checked)
	{
		M3_TRY(m3i_fileset_reader_check(reader, M3_FILESET_BLOOM, err));
		reader->bloom_checked = true;
	}
	M3_TRY(m3i_fileset_reserve(reader->memory, (void **) &reader->scratch,
							   &reader->scratch_capacity, id.size + 1, 1, err));
	m3_bloom_hash(id, reader->scratch, words);
	*maybe = m3_bloom_may_contain(filter, info->bloom_bits, info->bloom_hashes, words);
	return M3_OK;
}

/*
 * Where in the index to begin: at the entry of the greatest summary whose id
 * is not above id.  *ahead is how far it is to the next one's.
 */
static M3Status
find_step(M3FilesetReader *reader, M3Slice id, uint64_t *offset, size_t *ahead,
		  M3Error *err)
{
	size_t		low = 0;
	size_t		high;
	M3FilesetSummary summary;
	uint64_t	end = UINT64_MAX;

	M3_TRY(m3i_fileset_reader_load_summaries(reader, err));
	*offset = 0;
	*ahead = DEFAULT_AHEAD;
	high = reader->summary_count;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		M3_TRY(m3i_fileset_reader_summary(reader, middle, &summary, err));
		if (m3_slice_compare(summary.id, id) <= 0)
		{
			low = middle + 1;
			*offset = (uint64_t) summary.index_offset;
		}
		else
		{
			high = middle;
			end = (uint64_t) summary.index_offset;
		}
	}
	if (end != UINT64_MAX && end > *offset)
		*ahead = end - *offset > MAX_AHEAD ? MAX_AHEAD : (size_t) (end - *offset);
	return M3_OK;
}

static M3Status
look_up(M3FilesetReader *reader, M3Slice id, bool skip_bloom, M3FilesetEntry *entry, M3Error *err)
{
	const M3FilesetInfo *info = &reader->header.info;
	M3Source   *index;
	uint64_t	offset;
	size_t		ahead;
	bool		maybe;

	if (!skip_bloom)
	{
		M3_TRY(m3_fileset_may_contain(reader, id, &maybe, err));
		if (!maybe)
			return M3_NOT_FOUND;
	}
	M3_TRY(find_step(reader, id, &offset, &ahead, err));
	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	while (offset < index->size)
	{
		size_t		size;
		int			order;

		M3_TRY(m3i_fileset_source_entry(index, offset, ahead, m3_fileset_has_entry_checksums(info),
										entry, &size, err));
		order = m3_slice_compare(entry->id, id);
		if (order == 0)
			return M3_OK;
		if (order > 0)
			return M3_NOT_FOUND;
		offset += size;
	}
	if (offset > index->size)
		return m3_error_corrupt(err, index->path, (int64_t) index->size,
								"summary points beyond the end of the index");
	/* nothing but its digest tells that an index was not cut between entries */
	if (!reader->index_checked_whole)
		M3_TRY(m3i_fileset_reader_check(reader, M3_FILESET_INDEX, err));
	reader->index_checked_whole = true;
	return M3_NOT_FOUND;
}

M3Status
m3_fileset_lookup(M3FilesetReader *reader, M3Slice id, bool skip_bloom,
				  M3FilesetEntry *entry, M3Error *err)
{
	M3Status	status;

	/* before, as what it reads takes the place of what was handed out */
	M3_TRY(m3i_fileset_reader_make_places(reader, err));
	if (reader->places != NULL)
		return m3i_fileset_reader_find(reader, id, entry, err);
	status = look_up(reader, id, skip_bloom, entry, err);
	if (status == M3_OK || status == M3_NOT_FOUND)
		reader->lookups++;
	return status;
}
