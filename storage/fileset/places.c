/*
 * Where all entries of an index are, for a reader that is asked for many: a table by hash of
 * their ids, eight bytes each, half full at most.  What it points at is decoded and compared,
 * so a hash may lie.
 */
#include <string.h>

#include "storage/base/hash.h"
#include "storage/fileset/reader_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A lookup without the table costs as much as so many entries of it. */
#define ENTRIES_PER_LOOKUP 16u

/* An index as small is read whole; of a larger one, so much for an entry. */
#define SMALL_INDEX (64 * 1024)
#define ENTRY_AHEAD 4096

#define NO_OFFSET UINT32_MAX

static M3Status
make_table(M3FilesetReader *reader, uint64_t entry_count, M3Error *err)
{
	size_t		count = 16;

	while (count / 2 < entry_count)
		count *= 2;
	reader->places = m3_alloc(reader->memory, count * sizeof(M3Place));
	if (reader->places == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(reader->places, 0xff, count * sizeof(M3Place));
	reader->place_count = count;
	return M3_OK;
}

static void
add_place(M3FilesetReader *reader, M3Slice id, uint32_t offset)
{
	uint64_t	hash = m3_xxh64(id.data, id.size);
	size_t		at = hash & (reader->place_count - 1);

	while (reader->places[at].offset != NO_OFFSET)
		at = (at + 1) & (reader->place_count - 1);
	reader->places[at].hash = (uint32_t) (hash >> 32);
	reader->places[at].offset = offset;
}

static M3Status
fill_table(M3FilesetReader *reader, M3Error *err)
{
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	uint64_t	offset;
	M3Status	status;

	M3_TRY(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, err));
	do
	{
		offset = m3i_fileset_scan_offset(scan);
		status = m3_fileset_scan_next(scan, &entry, err);
		if (status == M3_OK)
			add_place(reader, entry.id, (uint32_t) offset);
	} while (status == M3_OK);
	m3_fileset_scan_close(scan);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

M3Status
m3i_fileset_reader_make_places(M3FilesetReader *reader, M3Error *err)
{
	uint64_t	entries = (uint64_t) reader->header.info.entry_count;
	M3Source   *index;
	M3Status	status;

	if (reader->places != NULL || reader->no_places ||
		reader->lookups == 0 || reader->lookups * ENTRIES_PER_LOOKUP < entries)
		return M3_OK;
	reader->no_places = true;
	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	/* an entry has some bytes, so the count is no lie either */
	if (index->size >= NO_OFFSET || entries > index->size)
		return M3_OK;
	status = make_table(reader, entries, err);
	if (status == M3_OK)
		status = fill_table(reader, err);
	m3i_fileset_source_shrink(index);
	if (status == M3_OK)
		return M3_OK;
	m3_free(reader->memory, reader->places);
	reader->places = NULL;
	reader->place_count = 0;
	/* it can be done without; who comes upon damage reports it */
	return status == M3_IO ? status : M3_OK;
}

M3Status
m3i_fileset_reader_find(M3FilesetReader *reader, M3Slice id, M3FilesetEntry *entry, M3Error *err)
{
	uint64_t	hash = m3_xxh64(id.data, id.size);
	size_t		at = hash & (reader->place_count - 1);
	bool		need_checksum = m3_fileset_has_entry_checksums(&reader->header.info);
	M3Source   *index;

	M3_TRY(m3i_fileset_reader_index(reader, &index, err));
	for (; reader->places[at].offset != NO_OFFSET; at = (at + 1) & (reader->place_count - 1))
	{
		const M3Place *place = &reader->places[at];
		size_t		size;

		if (place->hash != (uint32_t) (hash >> 32))
			continue;
		M3_TRY(m3i_fileset_source_entry(index, place->offset, index->size <= SMALL_INDEX ?
										SMALL_INDEX : ENTRY_AHEAD, need_checksum, entry, &size,
										err));
		if (m3_slice_equal(entry->id, id))
			return M3_OK;
	}
	return M3_NOT_FOUND;
}
