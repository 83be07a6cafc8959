/*
 * Reading a block without decoding it: what its fileset's statistics say, where nothing
 * else counts; and its last point, which open streams know as well.
 *
 * The order is that of reading (reader.c): the buffers first, the table of blocks after them.
 * What the buffers do not show then is in the volume the table names, if at all; and what a
 * later volume has beyond that, the snapshot either sees, and would have been found in
 * the buffers, or does not, and then it is no settled point and in no volume.
 */
#include <string.h>

#include "storage/db/scan_private.h"
#include "storage/db/statistics.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static bool
sees_any_of(const M3Scan *scan, const M3Stream *stream)
{
	const M3Run *runs = m3_stream_runs(scan->db->arena, stream);

	if (stream->sealed || stream->settled > stream->voided)
		return true;
	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		if (!runs[i].dead &&
			(runs[i].sequence == 0 || m3_snapshot_sees(scan->snapshot, runs[i].sequence)))
			return true;
	}
	return false;
}

/* Whether the buffers show anything of a block, and the blocks that may be in files. */
static bool
is_buffered(const M3Reader *reader, int64_t start_ns, M3FileRange *files)
{
	const M3Scan *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = m3i_stripe_lock(series);
	const M3Bucket *bucket;
	bool		found = false;

	db->env->lock(db->env, lock, M3_LOCK_SHARED);
	bucket = m3_series_bucket(db->arena, series, start_ns);
	for (M3Ref ref = bucket == NULL ? 0 : bucket->first_stream; ref != 0 && !found;)
	{
		const M3Stream *stream = m3_arena_at(db->arena, ref);

		found = sees_any_of(scan, stream);
		ref = stream->next;
	}
	files->first_ns = series->first_file_ns;
	files->last_ns = series->last_file_ns;
	db->env->unlock(db->env, lock);
	return found;
}

/* Of one block without own points in the range; nothing else is set if it has none at all. */
static M3Status
summarize(const M3Reader *reader, int64_t start_ns, M3SeriesStatistics *statistics, M3Error *err)
{
	M3FileRange files;

	statistics->count = 0;
	if (reader->shared == NULL)
		return M3_OK;
	if (is_buffered(reader, start_ns, &files))
		return M3_NOT_FOUND;
	if (start_ns < files.first_ns || start_ns > files.last_ns)
		return M3_OK;
	return m3i_scan_file_statistics(reader->scan, reader->series->ref, start_ns, statistics, err);
}

static bool
has_own(const M3Reader *reader, int64_t start_ns, int64_t end_ns)
{
	const M3OwnPoints *own = &reader->scan->own;
	const M3OwnSeries *series = reader->series->own;

	return series != NULL && m3i_own_lower_bound(own, series, start_ns) <
		m3i_own_lower_bound(own, series, end_ns);
}

/* What is known of one block of the series, wherever the reader stands. */
static M3Status
know_block(const M3Reader *reader, int64_t block_ns, M3SeriesStatistics *statistics, M3Error *err)
{
	int64_t		start_ns = block_ns > reader->start_ns ? block_ns : reader->start_ns;
	int64_t		end_ns = m3i_scan_block_end(reader->scan, block_ns);

	if (reader->end_ns < end_ns)
		end_ns = reader->end_ns;
	/* own points out of the range do not change what is in it */
	if (has_own(reader, start_ns, end_ns))
		return M3_NOT_FOUND;
	return summarize(reader, block_ns, statistics, err);
}

/* What is known of the next block that has points. */
static M3Status
know_next(M3Reader *reader, bool from_end, int64_t *block_ns, M3SeriesStatistics *statistics,
		  M3Error *err)
{
	const M3Scan *scan = reader->scan;

	while (!scan->without_statistics && reader->next_block < reader->end_block)
	{
		*block_ns = reader->blocks[from_end ? reader->end_block - 1 : reader->next_block];
		scan->db->env->yield(scan->db->env);
		M3_TRY(know_block(reader, *block_ns, statistics, err));
		if (statistics->count > 0)
			return M3_OK;
		m3i_reader_pass(reader, from_end);
	}
	return M3_NOT_FOUND;
}

M3Status
m3_reader_summary(M3Reader *reader, bool from_end, M3Summary *summary, M3Error *err)
{
	M3SeriesStatistics statistics;
	int64_t		block_ns;

	M3_TRY(know_next(reader, from_end, &block_ns, &statistics, err));
	if (statistics.first_ns < reader->start_ns || statistics.last_ns >= reader->end_ns)
		return M3_NOT_FOUND;
	m3i_summary_from_statistics(&statistics, summary);
	return M3_OK;
}

/* Of all times of a block the same are in any range, so it does not matter where they lie. */
M3Status
m3_reader_same_times(M3Reader *reader, bool from_end, const M3Reader *other, bool *same,
					 M3Error *err)
{
	M3SeriesStatistics own;
	M3SeriesStatistics others;
	int64_t		block_ns;
	M3Status	status;

	*same = false;
	status = know_next(reader, from_end, &block_ns, &own, err);
	if (status == M3_OK && reader->start_ns == other->start_ns && reader->end_ns == other->end_ns)
		status = know_block(other, block_ns, &others, err);
	else if (status == M3_OK)
		status = M3_NOT_FOUND;
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	*same = own.count == others.count && own.first_ns == others.first_ns &&
		own.last_ns == others.last_ns && own.times[0] == others.times[0] &&
		own.times[1] == others.times[1];
	return M3_OK;
}

void
m3_reader_skip(M3Reader *reader, bool from_end)
{
	m3i_reader_pass(reader, from_end);
	reader->scan->stats.blocks_summarized++;
}

/* --- the last point ----------------------------------------------------- */

typedef struct LastPoint
{
	bool		found;
	int64_t		time_ns;
	uint64_t	value_bits;
} LastPoint;

/* Whether the last point of a stream is among those that the scan sees. */
static bool
sees_last_of(const M3Scan *scan, const M3Stream *stream)
{
	const M3Run *run;

	if (stream->sealed)
		return false;
	if (stream->run_count == 0)
		return stream->settled == m3_stream_count(stream);
	run = &m3_stream_runs(scan->db->arena, stream)[stream->run_count - 1];
	return !run->dead && (run->sequence == 0 || m3_snapshot_sees(scan->snapshot, run->sequence));
}

/* The last point the buffers show of a block; false if they show points of which it is not known.
 * Of equal times that of the later stream counts. */
static bool
last_of_buffers(const M3Reader *reader, int64_t start_ns, M3FileRange *files, LastPoint *last)
{
	const M3Scan *scan = reader->scan;
	M3Database *db = scan->db;
	const M3Series *series = reader->shared;
	uint32_t	lock = m3i_stripe_lock(series);
	const M3Bucket *bucket;
	bool		is_known = true;

	db->env->lock(db->env, lock, M3_LOCK_SHARED);
	bucket = m3_series_bucket(db->arena, series, start_ns);
	for (M3Ref ref = bucket == NULL ? 0 : bucket->first_stream; ref != 0 && is_known;)
	{
		const M3Stream *stream = m3_arena_at(db->arena, ref);

		ref = stream->next;
		if (!sees_any_of(scan, stream))
			continue;
		is_known = sees_last_of(scan, stream);
		if (last->found && stream->last_ns < last->time_ns)
			continue;
		last->found = true;
		last->time_ns = stream->last_ns;
		last->value_bits = stream->encoder.last_value_bits;
	}
	files->first_ns = series->first_file_ns;
	files->last_ns = series->last_file_ns;
	db->env->unlock(db->env, lock);
	return is_known;
}

/* That of buffers and files, in the order of reading. */
static M3Status
find_last(const M3Reader *reader, int64_t start_ns, LastPoint *last, M3Error *err)
{
	M3FileRange files;
	M3SeriesStatistics statistics;

	last->found = false;
	if (reader->shared == NULL)
		return M3_OK;
	if (!last_of_buffers(reader, start_ns, &files, last))
		return M3_NOT_FOUND;
	if (start_ns < files.first_ns || start_ns > files.last_ns)
		return M3_OK;
	M3_TRY(m3i_scan_file_statistics(reader->scan, reader->series->ref, start_ns, &statistics, err));
	if (statistics.count == 0 || (last->found && statistics.last_ns <= last->time_ns))
		return M3_OK;
	last->found = true;
	last->time_ns = statistics.last_ns;
	memcpy(&last->value_bits, &statistics.last, sizeof(last->value_bits));
	return M3_OK;
}

M3Status
m3_reader_last(M3Reader *reader, int64_t *time_ns, double *value, M3Error *err)
{
	M3Scan	   *scan = reader->scan;
	int64_t		start_ns;
	int64_t		end_ns;
	LastPoint	last = {0};

	while (!scan->without_statistics && m3_reader_peek(reader, true, &start_ns, &end_ns))
	{
		scan->db->env->yield(scan->db->env);
		if (has_own(reader, start_ns, end_ns))
			return M3_NOT_FOUND;
		M3_TRY(find_last(reader, reader->blocks[reader->end_block - 1], &last, err));
		if (last.found)
		{
			if (last.time_ns < reader->start_ns || last.time_ns >= reader->end_ns)
				return M3_NOT_FOUND;
			*time_ns = last.time_ns;
			memcpy(value, &last.value_bits, sizeof(*value));
			return M3_OK;
		}
		m3i_reader_pass(reader, true);
	}
	return M3_NOT_FOUND;
}
