/*
 * Statistics of a fileset.  Those that would not be believed are shown as far as they go.
 */
#include <inttypes.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/list.h"
#include "storage/fileset/statistics.h"
#include "tools/show_private.h"

static void
show_number(Show *show, const char *label, double value)
{
	text_clear(&show->line);
	text_add_value(&show->line, value);
	fprintf(show->out, "%s%.*s", label, (int) show->line.size, show->line.data);
}

static void
show_record(Show *show, uint64_t ordinal, const M3SeriesStatistics *s)
{
	char		first[TEXT_TIME_SIZE];
	char		last[TEXT_TIME_SIZE];

	fprintf(show->out, "%8" PRIu64 "  %" PRIu64 " points", ordinal, s->count);
	if (s->is_known && s->count > 0)
	{
		fprintf(show->out, ", %s .. %s", text_time(s->first_ns, first),
				text_time(s->last_ns, last));
		show_number(show, ", first ", s->first);
		show_number(show, ", last ", s->last);
		show_number(show, ", min ", s->min);
		show_number(show, ", max ", s->max);
		show_number(show, ", sum ", s->sum);
		show_number(show, ", squares ", s->squares);
	}
	fputc('\n', show->out);
}

/* The fileset beside it; *result is what is wrong. */
static void
show_fileset(Show *show, const M3FilesetName *name, const M3StatisticsHeader *header,
			 M3Status *result, M3Error *err)
{
	M3FilesetHeader fileset;

	fprintf(show->out, "fileset        %016" PRIx64, header->fileset);
	if (name == NULL)
		fputc('\n', show->out);
	else if (m3_fileset_read_header(show->env, show->directory, name, &fileset, NULL) != M3_OK)
		fputs("  (cannot be read)\n", show->out);
	else if (name->block_start_ns == header->block_start_ns && name->volume == header->volume &&
			 header->fileset == m3_statistics_fileset(&fileset))
		fputs("  ok\n", show->out);
	else
	{
		fputs("  another one lies beside it\n", show->out);
		*result = m3_error(err, M3_CORRUPT, "statistics are of another fileset");
	}
}

/* One group; false: it is malformed. */
static bool
show_group(Show *show, const M3StatisticsHeader *header, M3Slice group, uint64_t *ordinal)
{
	uint64_t	end = *ordinal + M3_STATISTICS_GROUP;

	if (end > header->entries)
		end = header->entries;
	for (; *ordinal < end; (*ordinal)++)
	{
		M3SeriesStatistics statistics;
		size_t		used = m3_statistics_entry_decode(group, header->block_start_ns, &statistics);

		if (used == 0)
			return false;
		if (show_has_room(show, *ordinal))
			show_record(show, *ordinal, &statistics);
		group.data += used;
		group.size -= used;
	}
	return group.size == 0;
}

static M3Status
show_groups(Show *show, const M3StatisticsHeader *header, M3Slice bytes, M3Error *err)
{
	uint64_t	count = header->entries / M3_STATISTICS_GROUP +
		(header->entries % M3_STATISTICS_GROUP != 0);
	uint64_t	left = bytes.size - M3_STATISTICS_HEADER_SIZE;
	uint64_t	at = M3_STATISTICS_HEADER_SIZE;
	uint64_t	ordinal = 0;
	const uint8_t *directory;
	M3Status	result = M3_OK;

	if (header->groups_size > left || count > (left - header->groups_size) / M3_STATISTICS_PLACE)
		return m3_error_corrupt(err, show->path, (int64_t) bytes.size,
								"statistics were cut short");
	directory = bytes.data + at + header->groups_size;
	if (m3_xxh64(directory, (size_t) count * M3_STATISTICS_PLACE) != header->directory)
		result = m3_error_corrupt(err, show->path, directory - bytes.data,
								  "directory of statistics fails its checksum");
	for (uint64_t i = 0; i < count; i++, directory += M3_STATISTICS_PLACE)
	{
		uint32_t	size = m3_load_le32(directory);

		if (size > bytes.size - at)
			return m3_error_corrupt(err, show->path, (int64_t) at, "a group is cut off");
		if (m3_xxh64(bytes.data + at, size) != m3_load_le64(directory + 4))
			result = m3_error_corrupt(err, show->path, (int64_t) at,
									  "a group of statistics fails its checksum");
		if (!show_group(show, header, m3_slice(bytes.data + at, size), &ordinal))
			return m3_error_corrupt(err, show->path, (int64_t) at, "a group is malformed");
		at += size;
	}
	show_rest(show, header->entries, header->entries, "series");
	return result;
}

M3Status
show_statistics(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	M3StatisticsHeader header;
	M3Status	result = M3_OK;
	M3Status	status;
	char		time[TEXT_TIME_SIZE];

	fprintf(show->out, "statistics of a fileset, %zu bytes; series in the order of writing\n",
			bytes.size);
	M3_TRY(m3_statistics_header_decode(bytes, &header, err));
	fprintf(show->out, "block start    %" PRId64 "  %s\n", header.block_start_ns,
			text_time(header.block_start_ns, time));
	fprintf(show->out, "volume         %" PRId64 "\n", header.volume);
	fprintf(show->out, "series         %" PRIu64 "\n", header.entries);
	fprintf(show->out, "points         %" PRIu64 "\n", header.points);
	show_fileset(show, name, &header, &result, err);
	status = show_groups(show, &header, bytes, result == M3_OK ? err : NULL);
	return result == M3_OK ? status : result;
}
