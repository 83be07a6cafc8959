#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/fileset_private.h"
#include "storage/fileset/statistics.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define BUFFER_SIZE (16 * 1024)

struct M3StatisticsWriter
{
	M3Env	   *env;
	M3Memory   *memory;
	M3Output	output;
	M3StatisticsHeader header;
	bool		finished;
	uint8_t    *directory;
	size_t		group_count;
	size_t		group_capacity;
	uint32_t	in_group;		/* entries */
	size_t		group_size;
	uint8_t		group[M3_STATISTICS_GROUP * M3_STATISTICS_ENTRY_MAX_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
};

M3Status
m3_statistics_writer_create(M3Env *env, M3Memory *memory, const char *directory,
							const M3FilesetName *name, M3StatisticsWriter **writer, M3Error *err)
{
	static const uint8_t no_header[M3_STATISTICS_HEADER_SIZE];
	M3StatisticsWriter *w = m3_alloc(memory, sizeof(*w));
	M3Status	status;

	if (w == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(w, 0, sizeof(*w));
	w->env = env;
	w->memory = memory;
	w->header.block_start_ns = name->block_start_ns;
	w->header.volume = name->volume;
	M3_GOTO(m3_fileset_path(w->path, directory, name, M3_FILESET_STATISTICS, err));
	M3_GOTO(m3i_fileset_output_open(&w->output, env, memory, w->path, BUFFER_SIZE, err));
	/* nobody believes it before the end */
	M3_GOTO(m3i_fileset_output_put(&w->output, m3_slice(no_header, sizeof(no_header)), err));
	*writer = w;
	return M3_OK;

done:
	m3_statistics_writer_free(w);
	return status;
}

static M3Status
end_group(M3StatisticsWriter *writer, M3Error *err)
{
	M3Slice		group = m3_slice(writer->group, writer->group_size);
	uint8_t    *place;

	if (writer->in_group == 0)
		return M3_OK;
	M3_TRY(m3i_fileset_reserve(writer->memory, (void **) &writer->directory,
							   &writer->group_capacity, writer->group_count + 1,
							   M3_STATISTICS_PLACE, err));
	place = writer->directory + writer->group_count++ * M3_STATISTICS_PLACE;
	m3_store_le32(place, (uint32_t) group.size);
	m3_store_le64(place + 4, m3_xxh64(group.data, group.size));
	writer->header.groups_size += group.size;
	writer->in_group = 0;
	writer->group_size = 0;
	return m3i_fileset_output_put(&writer->output, group, err);
}

M3Status
m3_statistics_writer_add(M3StatisticsWriter *writer, const M3SeriesStatistics *statistics,
						 size_t payload_size, M3Error *err)
{
	writer->group_size += m3_statistics_entry_encode(statistics, writer->header.block_start_ns,
													 payload_size,
													 writer->group + writer->group_size);
	writer->header.entries++;
	writer->header.points += statistics->count;
	if (++writer->in_group < M3_STATISTICS_GROUP)
		return M3_OK;
	return end_group(writer, err);
}

M3Status
m3_statistics_writer_finish(M3StatisticsWriter *writer, const M3FilesetHeader *header,
							uint64_t *size, M3Error *err)
{
	M3Slice		directory;
	uint8_t		bytes[M3_STATISTICS_HEADER_SIZE];

	if (header->info.entry_count < 0 ||
		writer->header.entries != (uint64_t) header->info.entry_count)
		return m3_error(err, M3_INVALID, "statistics are of another number of series");
	M3_TRY(end_group(writer, err));
	directory = m3_slice(writer->directory, writer->group_count * M3_STATISTICS_PLACE);
	writer->header.directory = m3_xxh64(directory.data, directory.size);
	writer->header.fileset = m3_statistics_fileset(header);
	M3_TRY(m3i_fileset_output_put(&writer->output, directory, err));
	M3_TRY(m3i_fileset_output_flush(&writer->output, err));
	m3_statistics_header_encode(&writer->header, bytes);
	M3_TRY(writer->env->write(writer->env, writer->output.file, bytes, sizeof(bytes), 0, err));
	*size = writer->output.offset;
	writer->finished = true;
	return M3_OK;
}

void
m3_statistics_writer_free(M3StatisticsWriter *writer)
{
	bool		created;

	if (writer == NULL)
		return;
	created = writer->output.file != NULL;
	m3i_fileset_output_close(&writer->output, writer->memory);
	if (created && !writer->finished)
		(void) writer->env->unlink(writer->env, writer->path, NULL);
	m3_free(writer->memory, writer->directory);
	m3_free(writer->memory, writer);
}
