#include "storage/db/statistics.h"

#include <string.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* --- records and summaries ---------------------------------------------- */

void
m3i_summary_from_statistics(const M3SeriesStatistics *statistics, M3Summary *summary)
{
	summary->count = statistics->count;
	summary->first_ns = statistics->first_ns;
	summary->last_ns = statistics->last_ns;
	summary->first = statistics->first;
	summary->last = statistics->last;
	summary->min = statistics->min;
	summary->max = statistics->max;
	summary->sum = statistics->sum;
	summary->squares = statistics->squares;
}

static void
statistics_from_points(const M3Points *points, M3SeriesStatistics *statistics)
{
	M3Summary	summary = {.count = 0};

	memset(statistics, 0, sizeof(*statistics));
	statistics->is_known = true;
	if (points->count == 0)
		return;
	m3_summary_add(&summary, M3_SUMMARY_ALL, points->times_ns, points->values, points->count);
	statistics->count = summary.count;
	statistics->first_ns = summary.first_ns;
	statistics->last_ns = summary.last_ns;
	m3_xxh3_128_le64(points->times_ns, points->count, statistics->times);
	statistics->first = summary.first;
	statistics->last = summary.last;
	statistics->min = summary.min;
	statistics->max = summary.max;
	statistics->sum = summary.sum;
	statistics->squares = summary.squares;
}

/* --- decoding ----------------------------------------------------------- */

void
m3i_decoding_init(M3Decoding *decoding, M3Memory *memory)
{
	m3_copy_init(&decoding->copy, memory, false);
	m3_points_init(&decoding->points, memory, false);
}

void
m3i_decoding_free(M3Decoding *decoding)
{
	m3_points_free(&decoding->points);
	m3_copy_free(&decoding->copy);
}

M3Status
m3i_decoding_run(M3Decoding *decoding, M3Slice payload, M3Error *err)
{
	m3_copy_clear(&decoding->copy);
	m3_points_clear(&decoding->points);
	return m3_copy_merge_payload(&decoding->copy, payload, &decoding->points, NULL, err);
}

/* --- flushing ----------------------------------------------------------- */

/* A series about which nothing is known ends it all: entries are found by their number. */
static void
give_up(M3FlushStatistics *statistics)
{
	m3_statistics_writer_free(statistics->writer);
	statistics->writer = NULL;
	statistics->is_exact = false;
}

void
m3i_flush_statistics_begin(M3FlushStatistics *statistics, M3Database *db, M3Decoding *decoding,
						   const char *directory, const M3FilesetName *name,
						   int64_t block_size_ns, const M3FilesetName *before_name,
						   const M3FilesetReader *before)
{
	M3Memory   *memory = db->engine->memory;

	statistics->decoding = decoding;
	statistics->start_ns = name->block_start_ns;
	statistics->end_ns = name->block_start_ns + block_size_ns;
	statistics->is_exact = true;
	if (before != NULL &&
		m3_statistics_open(db->env, memory, directory, before_name,
						   m3_fileset_reader_header(before), &statistics->before, NULL) != M3_OK)
		statistics->before = NULL;
	if (m3_statistics_writer_create(db->env, memory, directory, name, &statistics->writer,
									NULL) != M3_OK)
		statistics->writer = NULL;
}

/* Readers look for points of a block within it only, and want them in order. */
static bool
are_readable(const M3FlushStatistics *statistics, const M3Points *points)
{
	const int64_t *times_ns = points->times_ns;
	bool		ascend = true;

	if (points->count == 0)
		return true;
	for (size_t i = 1; i < points->count; i++)
		ascend = ascend && times_ns[i - 1] < times_ns[i];
	return ascend && times_ns[0] >= statistics->start_ns &&
		times_ns[points->count - 1] < statistics->end_ns;
}

static void
add_record(M3FlushStatistics *statistics, const M3SeriesStatistics *record, size_t payload_size)
{
	statistics->points += record->count;
	if (statistics->writer != NULL &&
		m3_statistics_writer_add(statistics->writer, record, payload_size, NULL) != M3_OK)
	{
		m3_statistics_writer_free(statistics->writer);
		statistics->writer = NULL;
	}
}

void
m3i_flush_statistics_add(M3FlushStatistics *statistics, M3Slice payload, const M3Points *points)
{
	M3SeriesStatistics record;

	if (!statistics->is_exact || payload.size == 0)
		return;
	if (points == NULL && m3i_decoding_run(statistics->decoding, payload, NULL) == M3_OK)
		points = &statistics->decoding->points;
	if (points == NULL || !are_readable(statistics, points))
	{
		give_up(statistics);
		return;
	}
	statistics_from_points(points, &record);
	add_record(statistics, &record, payload.size);
}

void
m3i_flush_statistics_carry(M3FlushStatistics *statistics, M3Slice payload,
						   const M3FilesetEntry *entry)
{
	M3SeriesStatistics record;

	if (!statistics->is_exact || payload.size == 0)
		return;
	if (statistics->before != NULL &&
		m3_statistics_get(statistics->before, entry->ordinal, &record, NULL) == M3_OK)
		add_record(statistics, &record, payload.size);
	else
		m3i_flush_statistics_add(statistics, payload, NULL);
}

void
m3i_flush_statistics_finish(M3FlushStatistics *statistics, const M3FilesetHeader *header)
{
	if (statistics->writer == NULL)
		return;
	if (m3_statistics_writer_finish(statistics->writer, header, &statistics->size, NULL) != M3_OK)
		statistics->size = 0;
	m3_statistics_writer_free(statistics->writer);
	statistics->writer = NULL;
}

void
m3i_flush_statistics_end(M3FlushStatistics *statistics)
{
	m3_statistics_writer_free(statistics->writer);
	m3_statistics_close(statistics->before);
	memset(statistics, 0, sizeof(*statistics));
}
