/*
 * A cursor per series, the nearest next time makes the row.  There are few columns, so the
 * nearest is found by looking at all of them.
 *
 * A cursor that has come to the end of what is decoded moves on when the next row is asked
 * for, not before: that may be never.
 *
 * Columns that nobody asked for are read only to learn where rows are.  As a rule that is where the
 * others have them.  So their cursors wait where their next block begins until a row could be
 * there; if by then another column has read that block, and both are known to have the same
 * times in it, the block is skipped.
 */
#include "postgres.h"

#include "compat.h"
#include "fdw/align.h"
#include "server/server.h"

/* Others with which a block is compared before it is read. */
#define MAX_COMPARED 4

struct M3dbAlignCursor
{
	M3Reader   *reader;
	M3PointBatch batch;
	size_t		position;		/* out of the batch: at its end, whatever the direction */
	int			column;
	bool		is_asked;		/* what the points are matters, not only where */
	bool		unread;			/* the next point is not known */
	bool		waits;			/* ... nor is it looked for yet */
	bool		summarized;		/* ... is known from statistics, not read yet */
	int64		time_ns;		/* of a summarized point */
	double		value;
};

/* ---- making ---- */

static M3dbGroups *
group_series(const M3dbAligner *aligner)
{
	const M3dbTable *table = aligner->reading.table;
	M3Slice    *metrics = palloc(sizeof(M3Slice) * (aligner->column_count + 1));
	const M3dbGroupSpec spec = {
		.columns = metrics,
		.column_count = (size_t) aligner->column_count
	};

	for (int i = 0; i < aligner->column_count; i++)
		metrics[i] = table->columns[aligner->attnums[i] - 1].tag;
	return m3db_groups_create(aligner->reading.scan, &spec);
}

M3dbAligner *
m3db_aligner_create(const M3dbReading *reading)
{
	const M3dbTable *table = reading->table;
	M3dbAligner *aligner = palloc0(sizeof(M3dbAligner));
	int			count = table->wide ? list_length(reading->value_attnums) : 1;

	aligner->reading = *reading;
	aligner->attnums = palloc(sizeof(AttrNumber) * (count + 1));
	aligner->column_count = count;
	for (int i = 0; i < count; i++)
		aligner->attnums[i] = table->wide ?
			(AttrNumber) list_nth_int(reading->value_attnums, i) : table->value_attnums[0];
	aligner->readers = palloc0(sizeof(M3Reader *) * (count + 1));
	aligner->sorted = palloc(sizeof(M3dbGroupMember *) * (count + 1));
	aligner->cursors = palloc0(sizeof(M3dbAlignCursor) * (count + 1));
	aligner->next_times = palloc(sizeof(int64) * (count + 1));
	aligner->groups = table->wide ? group_series(aligner) : NULL;
	aligner->unit_count = table->wide ? aligner->groups->count :
		m3_scan_series_count(reading->scan);
	return aligner;
}

void
m3db_aligner_close(M3dbAligner *aligner)
{
	m3db_aligner_reset(aligner);
	for (int i = 0; i < aligner->column_count; i++)
	{
		m3_reader_free(aligner->readers[i]);
		aligner->readers[i] = NULL;
	}
}

uint32
m3db_aligner_unit_hash(void *aligner, size_t unit)
{
	const M3dbAligner *self = aligner;

	return self->groups != NULL ? self->groups->hashes[unit] :
		m3_scan_series_hash(self->reading.scan, unit);
}

/* One of the unit's series. */
static size_t
series_of_unit(const M3dbAligner *aligner, size_t unit)
{
	const M3dbGroups *groups = aligner->groups;

	return groups != NULL ? groups->members[groups->first[unit]].series : unit;
}

void
m3db_aligner_set_unit(const M3dbAligner *aligner, size_t unit, M3dbProjection *projection)
{
	M3Slice		id;
	M3Slice		tags;

	m3_scan_series(aligner->reading.scan, series_of_unit(aligner, unit), &id, &tags);
	m3db_projection_set_series(projection, id, tags);
}

/* ---- opening ---- */

static bool
is_before(const M3dbAligner *aligner, int64 a, int64 b)
{
	return aligner->backward ? a > b : a < b;
}

/* The first or the last point that the reader would give, without reading; M3_NOT_FOUND if it is
 * not known. */
static M3Status
know_end(M3Reader *reader, bool backward, int64 *time_ns, double *value, M3Error *err)
{
	M3Summary	summary;
	M3Status	status;

	if (backward)
		return m3_reader_last(reader, time_ns, value, err);
	status = m3_reader_summary(reader, false, &summary, err);
	if (status == M3_OK)
	{
		*time_ns = summary.first_ns;
		*value = summary.first;
	}
	return status;
}

/* Units and annotations are in no statistics, and any column may give the row's. */
static bool
asks_for_all(const M3dbProjection *projection)
{
	return projection->unit_attnum != InvalidAttrNumber ||
		projection->annotation_attnum != InvalidAttrNumber;
}

/* Takes the first point of the cursor without reading; false if it is not known. */
static bool
summarize(const M3dbAligner *aligner, M3dbAlignCursor *cursor, int64 *time_ns)
{
	M3Error		err = {0};
	M3Status	status;

	if (asks_for_all(aligner->reading.projection))
		return false;
	status = know_end(cursor->reader, aligner->backward, time_ns, &cursor->value, &err);
	if (status == M3_NOT_FOUND)
		return false;
	m3db_check(status, &err);
	return true;
}

static void
open_cursor(M3dbAligner *aligner, size_t series, int column, const M3dbAlignRange *range)
{
	const M3dbProjection *projection = aligner->reading.projection;
	M3dbAlignCursor *cursor = &aligner->cursors[aligner->cursor_count];
	M3Reader  **reader = &aligner->readers[column];
	int64		start_ns;
	int64		end_ns;
	M3Error		err;

	if (*reader == NULL)
		m3db_check(m3_reader_create(aligner->reading.scan, reader, &err), &err);
	m3db_check(m3_reader_open_range(*reader, series, range->start_ns, range->end_ns, &err), &err);
	cursor->reader = *reader;
	cursor->column = column;
	cursor->is_asked = aligner->column_count == 1 || asks_for_all(projection) ||
		projection->is_used[aligner->attnums[column] - 1];
	cursor->batch.count = 0;
	cursor->position = 0;
	cursor->waits = false;
	cursor->summarized = range->lazy &&
		summarize(aligner, cursor, &aligner->next_times[aligner->cursor_count]);
	cursor->unread = !cursor->summarized;
	cursor->time_ns = aligner->next_times[aligner->cursor_count];
	if (!m3_reader_peek(*reader, range->backward, &start_ns, &end_ns))
		return;
	aligner->cursor_count++;
	aligner->unread_count += cursor->unread;
}

static void
open_group(M3dbAligner *aligner, size_t group, const M3dbAlignRange *range)
{
	const M3dbGroups *groups = aligner->groups;
	const M3dbGroupMember *member;

	memset(aligner->sorted, 0, sizeof(M3dbGroupMember *) * (size_t) aligner->column_count);
	for (uint32 i = groups->first[group]; i != M3DB_GROUPS_END; i = member->next)
	{
		member = &groups->members[i];
		aligner->sorted[member->column] = member;
	}
	for (int i = 0; i < aligner->column_count; i++)
	{
		if (aligner->sorted[i] != NULL)
			open_cursor(aligner, aligner->sorted[i]->series, i, range);
	}
}

void
m3db_aligner_open(M3dbAligner *aligner, size_t unit, const M3dbAlignRange *range)
{
	m3db_aligner_reset(aligner);
	aligner->backward = range->backward;
	if (aligner->groups != NULL)
		open_group(aligner, unit, range);
	else
		open_cursor(aligner, unit, 0, range);
}

bool
m3db_aligner_bound(const M3dbAligner *aligner, int64 *time_ns)
{
	bool		found = false;

	for (int i = 0; i < aligner->cursor_count; i++)
	{
		const M3dbAlignCursor *cursor = &aligner->cursors[i];
		int64		bound_ns = aligner->next_times[i];
		int64		start_ns;
		int64		end_ns;

		if (cursor->unread)
		{
			if (!m3_reader_peek(cursor->reader, aligner->backward, &start_ns, &end_ns))
				continue;
			bound_ns = aligner->backward ? end_ns - 1 : start_ns;
		}
		if (!found || is_before(aligner, bound_ns, *time_ns))
			*time_ns = bound_ns;
		found = true;
	}
	return found;
}

/* ---- reading ---- */

static inline size_t
step(const M3dbAligner *aligner, size_t position)
{
	return aligner->backward ? position - 1 : position + 1;
}

/* Reads on until there is a next point; false at the end of the series. */
static bool
read_batch(const M3dbAligner *aligner, M3dbAlignCursor *cursor, int64 *next_time)
{
	M3PointBatch *batch = &cursor->batch;

	while (cursor->position >= batch->count)
	{
		if (m3db_read_batch(aligner->reading.damage, cursor->reader, aligner->backward,
							batch) == M3_NOT_FOUND)
			return false;
		cursor->position = aligner->backward ? batch->count - 1 : 0;
		/* the row that statistics gave is among them, unless the block is damaged */
		while (cursor->summarized && cursor->position < batch->count &&
			   !is_before(aligner, cursor->time_ns, batch->times_ns[cursor->position]))
			cursor->position = step(aligner, cursor->position);
		cursor->summarized = false;
	}
	*next_time = batch->times_ns[cursor->position];
	return true;
}

/* Has the cursor wait for rows to come near its next block; false at the end of the series. */
static bool
wait(M3dbAligner *aligner, int index)
{
	M3dbAlignCursor *cursor = &aligner->cursors[index];
	int64		start_ns;
	int64		end_ns;

	if (!m3_reader_peek(cursor->reader, aligner->backward, &start_ns, &end_ns))
		return false;
	aligner->next_times[index] = aligner->backward ? end_ns - 1 : start_ns;
	cursor->waits = true;
	aligner->waiting_count++;
	return true;
}

/* Whether the cursor's next block, which begins at start_ns in the range, has the times of one that
 * another cursor has read last.  If it turns out to have no points it is not the next one after. */
static bool
has_known_times(const M3dbAligner *aligner, const M3dbAlignCursor *cursor, int64 start_ns,
				int64 end_ns)
{
	int			compared = 0;

	for (int i = 0; i < aligner->cursor_count && compared < MAX_COMPARED; i++)
	{
		const M3dbAlignCursor *other = &aligner->cursors[i];
		int64		next_ns;
		bool		same;
		M3Error		err = {0};

		if (other == cursor || other->batch.count == 0 || other->batch.times_ns[0] < start_ns ||
			other->batch.times_ns[0] >= end_ns)
			continue;
		m3db_check(m3_reader_same_times(cursor->reader, aligner->backward, other->reader, &same,
										&err), &err);
		if (!m3_reader_peek(cursor->reader, aligner->backward, &next_ns, &end_ns) ||
			next_ns != start_ns)
			return false;
		if (same)
			return true;
		compared++;
	}
	return false;
}

/* Finds out about the next block of a cursor that waits; false at the end of the series. */
static bool
stop_waiting(M3dbAligner *aligner, int index)
{
	M3dbAlignCursor *cursor = &aligner->cursors[index];
	int64		start_ns;
	int64		end_ns;
	int64		next_ns;

	cursor->waits = false;
	aligner->waiting_count--;
	if (!m3_reader_peek(cursor->reader, aligner->backward, &start_ns, &end_ns))
		return false;
	if (has_known_times(aligner, cursor, start_ns, end_ns))
	{
		m3_reader_skip(cursor->reader, aligner->backward);
		cursor->batch.count = 0;
		cursor->position = 0;
		cursor->summarized = false;
	}
	else if (m3_reader_peek(cursor->reader, aligner->backward, &next_ns, &end_ns) &&
			 next_ns == start_ns)
		return read_batch(aligner, cursor, &aligner->next_times[index]);
	return wait(aligner, index);
}

static void
remove_cursor(M3dbAligner *aligner, int index)
{
	int			after = aligner->cursor_count - index - 1;

	memmove(&aligner->cursors[index], &aligner->cursors[index + 1],
			sizeof(M3dbAlignCursor) * (size_t) after);
	memmove(&aligner->next_times[index], &aligner->next_times[index + 1],
			sizeof(int64) * (size_t) after);
	aligner->cursor_count--;
}

static void
read_unread(M3dbAligner *aligner)
{
	int			index = 0;

	while (index < aligner->cursor_count)
	{
		M3dbAlignCursor *cursor = &aligner->cursors[index];

		if (!cursor->unread ||
			(cursor->is_asked ? read_batch(aligner, cursor, &aligner->next_times[index]) :
			 wait(aligner, index)))
		{
			cursor->unread = false;
			index++;
		}
		else
			remove_cursor(aligner, index);
	}
	aligner->unread_count = 0;
}

static int64
nearest_time(const M3dbAligner *aligner)
{
	int64		nearest = aligner->next_times[0];

	for (int i = 1; i < aligner->cursor_count; i++)
		nearest = aligner->backward ? Max(nearest, aligner->next_times[i]) :
			Min(nearest, aligner->next_times[i]);
	return nearest;
}

/* A cursor that waits though the row may come from it; cursor_count if there is none. */
static int
find_waiting(const M3dbAligner *aligner, int64 nearest)
{
	for (int i = 0; aligner->waiting_count > 0 && i < aligner->cursor_count; i++)
	{
		if (aligner->next_times[i] == nearest && aligner->cursors[i].waits)
			return i;
	}
	return aligner->cursor_count;
}

bool
m3db_aligner_is_ready(const M3dbAligner *aligner)
{
	return aligner->cursor_count > 0 && aligner->unread_count == 0 &&
		find_waiting(aligner, nearest_time(aligner)) == aligner->cursor_count;
}

/* Puts the cursor's point into the row. */
static void
set_point(M3dbAligner *aligner, const M3dbAlignCursor *cursor)
{
	M3dbProjection *projection = aligner->reading.projection;
	const M3PointBatch *batch = &cursor->batch;
	int			attribute = aligner->attnums[cursor->column] - 1;

	projection->nulls[attribute] = !projection->is_used[attribute];
	if (cursor->summarized)
	{
		projection->values[attribute] = Float8GetDatum(cursor->value);
		return;
	}
	projection->values[attribute] = Float8GetDatum(batch->values[cursor->position]);
	if (batch->units != NULL && !aligner->has_unit)
	{
		aligner->unit = batch->units[cursor->position];
		aligner->has_unit = true;
	}
	if (batch->annotations != NULL && aligner->annotation.size == 0)
		aligner->annotation = batch->annotations[cursor->position];
}

/* Moves on past the point at hand. */
static void
advance(M3dbAligner *aligner, int index)
{
	M3dbAlignCursor *cursor = &aligner->cursors[index];

	if (!cursor->summarized)
	{
		cursor->position = step(aligner, cursor->position);
		if (cursor->position < cursor->batch.count)
		{
			aligner->next_times[index] = cursor->batch.times_ns[cursor->position];
			return;
		}
	}
	cursor->unread = true;
	aligner->unread_count++;
}

bool
m3db_aligner_next(M3dbAligner *aligner)
{
	M3dbProjection *projection = aligner->reading.projection;

	if (aligner->unread_count > 0)
		read_unread(aligner);
	for (;;)
	{
		int			waiting;

		if (aligner->cursor_count == 0)
			return false;
		aligner->time_ns = nearest_time(aligner);
		waiting = find_waiting(aligner, aligner->time_ns);
		if (waiting == aligner->cursor_count)
			break;
		if (!stop_waiting(aligner, waiting))
			remove_cursor(aligner, waiting);
	}
	aligner->has_unit = false;
	aligner->unit = M3_UNIT_NONE;
	aligner->annotation = m3_slice(NULL, 0);
	for (int i = 0; i < aligner->column_count; i++)
		projection->nulls[aligner->attnums[i] - 1] = true;
	for (int i = 0; i < aligner->cursor_count; i++)
	{
		if (aligner->next_times[i] == aligner->time_ns)
		{
			set_point(aligner, &aligner->cursors[i]);
			advance(aligner, i);
		}
	}
	return true;
}
