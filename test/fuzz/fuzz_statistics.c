/*
 * Statistics: entries one after the other, which encode and decode to the same; and the input as
 * a file, first as it is, then with every hash made right, so that nothing but the sense
 * of what it says keeps it from being believed.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/statistics.h"
#include "test/support/env_fault.h"

#define START INT64_C(1704067200000000000)
#define MAX_SIZE 8192

static const M3FilesetName name = {START, 0, false};

static void
check_again(const M3SeriesStatistics *statistics)
{
	uint8_t		bytes[M3_STATISTICS_ENTRY_MAX_SIZE];
	M3SeriesStatistics again;
	size_t		size = m3_statistics_entry_encode(statistics, START, SIZE_MAX, bytes);

	if (size > sizeof(bytes) ||
		m3_statistics_entry_decode(m3_slice(bytes, size), START, &again) != size ||
		again.count != statistics->count)
		abort();
	/* times before the block can be read, though nobody writes them */
	if (again.is_known && memcmp(&again, statistics, sizeof(again)) != 0)
		abort();
	if (statistics->is_known && !again.is_known)
		abort();
}

static void
read_entries(M3Slice bytes)
{
	while (bytes.size > 0)
	{
		M3SeriesStatistics statistics;
		size_t		used = m3_statistics_entry_decode(bytes, START, &statistics);

		if (used == 0)
			return;
		if (used > bytes.size)
			abort();
		check_again(&statistics);
		bytes.data += used;
		bytes.size -= used;
	}
}

static void
read_file(const uint8_t *data, size_t size, const M3FilesetHeader *header)
{
	M3Env	   *env = env_fault_create();
	M3StatisticsReader *reader;
	M3File	   *file;
	uint64_t	points;

	if (env->make_directory(env, "/s", NULL) != M3_OK ||
		env->open(env, "/s/statistics-1704067200000000000-0.db", M3_OPEN_CREATE, &file,
				  NULL) != M3_OK ||
		env->write(env, file, data, size, 0, NULL) != M3_OK)
		abort();
	env->close(env, file);
	(void) m3_statistics_read_points(env, "/s", &name, header, &points, NULL);
	if (m3_statistics_open(env, &m3_memory_malloc, "/s", &name, header, &reader, NULL) == M3_OK)
	{
		for (int64_t i = -1; i <= header->info.entry_count; i++)
		{
			M3SeriesStatistics statistics;

			if (m3_statistics_get(reader, i, &statistics, NULL) == M3_OK)
				check_again(&statistics);
		}
		m3_statistics_close(reader);
	}
	env_fault_destroy(env);
}

/* Puts right what hashes are over, from the groups up. */
static void
repair(uint8_t *bytes, size_t size, const M3FilesetHeader *fileset)
{
	size_t		count = ((size_t) fileset->info.entry_count + M3_STATISTICS_GROUP - 1) /
		M3_STATISTICS_GROUP;
	size_t		left = size - M3_STATISTICS_HEADER_SIZE;
	M3StatisticsHeader header = {
		.block_start_ns = START,
		.fileset = m3_statistics_fileset(fileset),
		.entries = (uint64_t) fileset->info.entry_count,
		.points = m3_load_le64(bytes + 48),
		.groups_size = m3_load_le64(bytes + 56)
	};

	if (left >= count * M3_STATISTICS_PLACE)
	{
		uint8_t    *directory = bytes + size - count * M3_STATISTICS_PLACE;
		size_t		at = M3_STATISTICS_HEADER_SIZE;

		header.groups_size = left - count * M3_STATISTICS_PLACE;
		for (size_t i = 0; i < count; i++)
		{
			uint8_t    *place = directory + i * M3_STATISTICS_PLACE;
			size_t		room = (size_t) (directory - bytes) - at;
			size_t		group = m3_load_le32(place) & 0x7ff;

			if (i == count - 1 || group > room)
				group = room;
			m3_store_le32(place, (uint32_t) group);
			m3_store_le64(place + 4, m3_xxh64(bytes + at, group));
			at += group;
		}
		header.directory = m3_xxh64(directory, count * M3_STATISTICS_PLACE);
	}
	m3_statistics_header_encode(&header, bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3FilesetHeader header;
	uint8_t    *copy;

	if (size > MAX_SIZE)
		return 0;
	read_entries(m3_slice(data, size));
	memset(&header, 0, sizeof(header));
	header.info.entry_count = size < M3_STATISTICS_HEADER_SIZE ? 1 : data[40];
	read_file(data, size, &header);
	if (size < M3_STATISTICS_HEADER_SIZE)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	repair(copy, size, &header);
	read_file(copy, size, &header);
	free(copy);
	return 0;
}
