#include <inttypes.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/fileset_private.h"
#include "storage/fileset/statistics.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define READ_AHEAD 4096

typedef struct Place
{
	uint64_t	offset;			/* in the file */
	uint64_t	hash;
	uint32_t	size;
} Place;

struct M3StatisticsReader
{
	M3Memory   *memory;
	M3StatisticsHeader header;
	uint64_t	group_count;
	Place	   *places;			/* one more than groups: the end */
	uint8_t    *whole;			/* the file, every group checked; NULL: it is too large */
	size_t		whole_size;
	M3Source	source;			/* then */
};

/* Whether the statistics are of the fileset. */
static M3Status
check_fileset(const M3StatisticsHeader *own, const M3FilesetName *name,
			  const M3FilesetHeader *header, M3Error *err)
{
	if (own->block_start_ns != name->block_start_ns || own->volume != name->volume ||
		own->entries != (uint64_t) header->info.entry_count ||
		own->fileset != m3_statistics_fileset(header))
		return m3_error(err, M3_CORRUPT, "statistics are of another fileset");
	return M3_OK;
}

static M3Status
statistics_path(char *path, const char *directory, const M3FilesetName *name, M3Error *err)
{
	/* M3's of old have none, and no name for them */
	if (name->legacy)
		return m3_error(err, M3_NOT_FOUND, "there are no statistics");
	return m3_fileset_path(path, directory, name, M3_FILESET_STATISTICS, err);
}

M3Status
m3_statistics_read_points(M3Env *env, const char *directory, const M3FilesetName *name,
						  const M3FilesetHeader *header, uint64_t *points, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		bytes[M3_STATISTICS_HEADER_SIZE];
	M3StatisticsHeader own;
	M3File	   *file;
	size_t		got = 0;
	M3Status	status;

	M3_TRY(statistics_path(path, directory, name, err));
	M3_TRY(env->open(env, path, M3_OPEN_READ, &file, err));
	status = env->read(env, file, bytes, sizeof(bytes), 0, &got, err);
	env->close(env, file);
	M3_TRY(status);
	status = m3_statistics_header_decode(m3_slice(bytes, got), &own, err);
	if (status == M3_OK)
		status = check_fileset(&own, name, header, err);
	M3_TRY(m3i_fileset_locate_error(status, err, path, -1));
	*points = own.points;
	return M3_OK;
}

/* --- opening ------------------------------------------------------------ */

/* bytes: the directory, whose hash was checked. */
static M3Status
find_places(M3StatisticsReader *reader, M3Slice bytes, M3Error *err)
{
	uint64_t	offset = M3_STATISTICS_HEADER_SIZE;

	reader->places = m3_alloc(reader->memory, (reader->group_count + 1) * sizeof(Place));
	if (reader->places == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	for (uint64_t i = 0; i < reader->group_count; i++)
	{
		const uint8_t *p = bytes.data + i * M3_STATISTICS_PLACE;
		Place	   *place = &reader->places[i];

		place->offset = offset;
		place->size = m3_load_le32(p);
		place->hash = m3_load_le64(p + 4);
		offset += place->size;
	}
	if (offset != M3_STATISTICS_HEADER_SIZE + reader->header.groups_size)
		return m3_error(err, M3_CORRUPT, "groups of statistics do not add up");
	return M3_OK;
}

static M3Status
check_group(const Place *place, M3Slice bytes, M3Error *err)
{
	if (bytes.size < place->size || m3_xxh64(bytes.data, place->size) != place->hash)
		return m3_error(err, M3_CORRUPT, "a group of statistics fails its checksum");
	return M3_OK;
}

/* Reads a stretch of the file, all of it or M3_CORRUPT. */
static M3Status
read_exactly(M3StatisticsReader *reader, uint64_t offset, uint64_t size, uint8_t **bytes,
			 M3Error *err)
{
	M3Source   *source = &reader->source;
	size_t		got = 0;

	if (offset > source->size || size > source->size - offset)
		return m3_error(err, M3_CORRUPT, "statistics were cut short");
	*bytes = size < SIZE_MAX ? m3_alloc(reader->memory, (size_t) size + 1) : NULL;
	if (*bytes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	M3_TRY(source->env->read(source->env, source->file, *bytes, (size_t) size, offset, &got, err));
	if (got < size)
		return m3_error(err, M3_CORRUPT, "statistics were cut short");
	return M3_OK;
}

/* The number of groups, and where the directory begins; the file has room for both. */
static M3Status
measure(M3StatisticsReader *reader, uint64_t *directory_at, M3Error *err)
{
	const M3StatisticsHeader *header = &reader->header;
	uint64_t	size = reader->source.size;

	reader->group_count = header->entries / M3_STATISTICS_GROUP +
		(header->entries % M3_STATISTICS_GROUP != 0);
	if (size < M3_STATISTICS_HEADER_SIZE || header->groups_size > size - M3_STATISTICS_HEADER_SIZE)
		return m3_error(err, M3_CORRUPT, "statistics were cut short");
	*directory_at = M3_STATISTICS_HEADER_SIZE + header->groups_size;
	if (reader->group_count > (size - *directory_at) / M3_STATISTICS_PLACE)
		return m3_error(err, M3_CORRUPT, "statistics were cut short");
	return M3_OK;
}

/* What follows the header: the directory, and of a small file all groups. */
static M3Status
load(M3StatisticsReader *reader, M3Error *err)
{
	uint8_t    *own = NULL;
	uint8_t    *bytes;
	uint64_t	at = 0;
	size_t		size;
	M3Status	status = M3_OK;

	M3_TRY(measure(reader, &at, err));
	size = (size_t) reader->group_count * M3_STATISTICS_PLACE;
	if (reader->whole == NULL)
		M3_GOTO(read_exactly(reader, at, size, &own, err));
	bytes = reader->whole != NULL ? reader->whole + at : own;
	if (m3_xxh64(bytes, size) != reader->header.directory)
		M3_GOTO(m3_error(err, M3_CORRUPT, "directory of statistics fails its checksum"));
	M3_GOTO(find_places(reader, m3_slice(bytes, size), err));
	for (uint64_t i = 0; reader->whole != NULL && i < reader->group_count; i++)
	{
		const Place *place = &reader->places[i];

		M3_GOTO(check_group(place, m3_slice(reader->whole + place->offset, place->size), err));
	}
done:
	m3_free(reader->memory, own);
	return status;
}

static M3Status
open_file(M3StatisticsReader *reader, M3Env *env, const char *path, const M3FilesetName *name,
		  const M3FilesetHeader *header, M3Error *err)
{
	M3Source   *source = &reader->source;
	uint8_t		head[M3_STATISTICS_HEADER_SIZE];
	M3Slice		bytes = m3_slice(head, sizeof(head));

	M3_TRY(m3i_fileset_source_open(source, env, reader->memory, path, false, err));
	if (source->size <= M3_STATISTICS_SMALL)
	{
		reader->whole_size = (size_t) source->size;
		M3_TRY(read_exactly(reader, 0, source->size, &reader->whole, err));
		bytes = m3_slice(reader->whole, reader->whole_size);
	}
	else
		M3_TRY(env->read(env, source->file, head, sizeof(head), 0, &bytes.size, err));
	M3_TRY(m3_statistics_header_decode(bytes, &reader->header, err));
	M3_TRY(check_fileset(&reader->header, name, header, err));
	M3_TRY(load(reader, err));
	if (reader->whole != NULL)
		m3i_fileset_source_close(source);
	return M3_OK;
}

M3Status
m3_statistics_open(M3Env *env, M3Memory *memory, const char *directory, const M3FilesetName *name,
				   const M3FilesetHeader *header, M3StatisticsReader **reader, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3StatisticsReader *r;
	M3Status	status;

	M3_TRY(statistics_path(path, directory, name, err));
	r = m3_alloc(memory, sizeof(*r));
	if (r == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(r, 0, sizeof(*r));
	r->memory = memory;
	status = open_file(r, env, path, name, header, err);
	if (status != M3_OK)
	{
		m3_statistics_close(r);
		return m3i_fileset_locate_error(status, err, path, -1);
	}
	*reader = r;
	return M3_OK;
}

void
m3_statistics_close(M3StatisticsReader *reader)
{
	if (reader == NULL)
		return;
	m3i_fileset_source_close(&reader->source);
	m3_free(reader->memory, reader->whole);
	m3_free(reader->memory, reader->places);
	m3_free(reader->memory, reader);
}

/* --- asking ------------------------------------------------------------- */

uint64_t
m3_statistics_points(const M3StatisticsReader *reader)
{
	return reader->header.points;
}

size_t
m3_statistics_memory(const M3StatisticsReader *reader)
{
	return sizeof(*reader) + (reader->group_count + 1) * sizeof(Place) + reader->whole_size +
		reader->source.window_capacity;
}

static M3Status
group_bytes(M3StatisticsReader *reader, const Place *place, M3Slice *bytes, M3Error *err)
{
	if (reader->whole != NULL)
		*bytes = m3_slice(reader->whole + place->offset, place->size);
	else
	{
		M3_TRY(m3i_fileset_source_peek(&reader->source, place->offset, place->size, READ_AHEAD,
									   bytes, err));
		M3_TRY(check_group(place, *bytes, err));
		bytes->size = place->size;
	}
	return M3_OK;
}

M3Status
m3_statistics_get(M3StatisticsReader *reader, int64_t ordinal, M3SeriesStatistics *statistics,
				  M3Error *err)
{
	uint64_t	number = (uint64_t) ordinal;
	M3Slice		bytes;
	size_t		used;

	if (ordinal < 0 || number >= reader->header.entries)
		return m3_error(err, M3_CORRUPT, "statistics have no entry %" PRId64, ordinal);
	M3_TRY(group_bytes(reader, &reader->places[number / M3_STATISTICS_GROUP], &bytes, err));
	for (uint64_t i = number % M3_STATISTICS_GROUP;; i--)
	{
		used = m3_statistics_entry_decode(bytes, reader->header.block_start_ns,
										  i == 0 ? statistics : NULL);
		if (used == 0)
			return m3_error(err, M3_CORRUPT, "an entry of statistics is malformed");
		if (i == 0)
			return M3_OK;
		bytes.data += used;
		bytes.size -= used;
	}
}
