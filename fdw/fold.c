/*
 * A batch is cut where buckets begin, and each piece goes into its cell's summaries whole.
 *
 * Where a row makes a cell, points that nobody asks for matter, too, be it those of other columns
 * or those that no FILTER lets through; but only until the cell is there.  So the columns
 * asked for come first, and a block of others is left alone if all of its cells are there.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "fdw/fold.h"
#include "server/server.h"

void
m3db_fold_init(M3dbFold *fold, const M3dbReading *reading, M3dbViews *views)
{
	memset(fold, 0, sizeof(*fold));
	fold->reading = reading;
	fold->context = CurrentMemoryContext;
	fold->views = views;
	fold->readers = palloc0(sizeof(M3Reader *) * views->column_count);
}

void
m3db_fold_close(M3dbFold *fold)
{
	for (int i = 0; i < fold->views->column_count; i++)
		m3_reader_free(fold->readers[i]);
}

M3Reader *
m3db_fold_open(M3dbFold *fold, const M3dbFoldMember *member)
{
	M3Reader  **reader = &fold->readers[member->column];
	M3Error		err;

	if (*reader == NULL)
		m3db_check(m3_reader_create(fold->reading->scan, reader, &err), &err);
	m3db_check(m3_reader_open(*reader, member->series, &err), &err);
	return *reader;
}

/* ---- what is wanted of a series ---- */

typedef enum Wanted
{
	WANTED_NOTHING,
	WANTED_CELLS,				/* that there are points */
	WANTED_POINTS
} Wanted;

/* Rows that are counted come by themselves; column -1: these. */
static bool
view_wants(const M3dbFold *fold, const M3dbView *view, int column)
{
	return view->is_open &&
		((column >= 0 && view->slots[column] != M3DB_NO_SLOT) ||
		 (view->rows_slot != M3DB_NO_SLOT && (column < 0 || !fold->views->is_aligned)));
}

bool
m3db_fold_wants(const M3dbFold *fold, int column)
{
	for (int i = 0; i < fold->views->count; i++)
	{
		if (view_wants(fold, &fold->views->views[i], column))
			return true;
	}
	return false;
}

static Wanted
wanted_of_column(const M3dbFold *fold, int column)
{
	if (m3db_fold_wants(fold, column))
		return WANTED_POINTS;
	return fold->makes_cells ? WANTED_CELLS : WANTED_NOTHING;
}

/* The first view also makes cells. */
static bool
view_takes(const M3dbFold *fold, int number, int column)
{
	return (number == 0 && fold->makes_cells && (column < 0 || !fold->views->is_aligned)) ||
		view_wants(fold, &fold->views->views[number], column);
}

/* ---- points ---- */

/* Rows at times[0] up to times[count - 1]. */
static void
add_rows(M3Summary *summary, int64 first_ns, int64 last_ns, size_t count)
{
	if (summary->count == 0 || first_ns < summary->first_ns)
		summary->first_ns = first_ns;
	if (summary->count == 0 || last_ns > summary->last_ns)
		summary->last_ns = last_ns;
	summary->count += count;
}

/* Points of one bucket.  column -1: rows. */
static inline void
add_to_cell(const M3dbFold *fold, const M3dbView *view, int column, M3Summary *summaries,
			const int64 *times_ns, const double *values, size_t count)
{
	int			slot = column < 0 ? M3DB_NO_SLOT : view->slots[column];

	if (slot != M3DB_NO_SLOT)
		m3_summary_add(&summaries[slot], fold->views->fields[slot], times_ns, values, count);
	if (view->rows_slot != M3DB_NO_SLOT && (column < 0 || !fold->views->is_aligned))
		add_rows(&summaries[view->rows_slot], times_ns[0], times_ns[count - 1], count);
}

/* Points that a view takes. */
static void
add_to_view(M3dbFold *fold, M3dbView *view, int column, M3dbPoints points)
{
	if (view->filter != NULL)
		m3db_point_filter_apply(view->filter, &points);
	if (points.count == 0)
		return;
	view->is_reached = true;
	if (fold->buckets == NULL)
	{
		add_to_cell(fold, view, column, m3db_cells_get(fold->cells, 0), points.times_ns,
					points.values, points.count);
		return;
	}
	for (size_t start = 0, end = 0; start < points.count; start = end)
	{
		uint32		bucket = m3db_buckets_next(fold->buckets, points.times_ns, points.count,
											   &end);

		add_to_cell(fold, view, column, m3db_cells_get(fold->cells, bucket),
					points.times_ns + start,
					points.values == NULL ? NULL : points.values + start, end - start);
	}
}

void
m3db_fold_points(M3dbFold *fold, int column, const M3PointBatch *batch)
{
	M3dbPoints	points = {
		.count = batch->count,
		.times_ns = batch->times_ns,
		.values = batch->values
	};

	if (fold->where != NULL)
		m3db_point_filter_apply(fold->where, &points);
	if (points.count == 0)
		return;
	for (int i = 0; i < fold->views->count; i++)
	{
		if (view_takes(fold, i, column))
			add_to_view(fold, &fold->views->views[i], column, points);
	}
}

void
m3db_fold_times(M3dbFold *fold, const int64 *times_ns, size_t count)
{
	const M3dbPoints points = {.count = count, .times_ns = times_ns};

	for (int i = 0; i < fold->views->count; i++)
	{
		if (view_takes(fold, i, -1))
			add_to_view(fold, &fold->views->views[i], -1, points);
	}
}

/* ---- statistics ---- */

/* Does no condition on values stand between statistics and what is wanted of a column? */
static bool
can_use_statistics(const M3dbFold *fold, int column)
{
	if (fold->where != NULL)
		return false;
	for (int i = 0; i < fold->views->count; i++)
	{
		const M3dbView *view = &fold->views->views[i];

		if (view_wants(fold, view, column) && view->filter != NULL && view->filter->value_count > 0)
			return false;
	}
	return true;
}

bool
m3db_fold_can_summarize(const M3dbFold *fold, int column, const M3Summary *summary)
{
	bool		is_taken;

	if (!can_use_statistics(fold, column))
		return false;
	for (int i = 0; i < fold->views->count; i++)
	{
		const M3dbView *view = &fold->views->views[i];

		if (view_wants(fold, view, column) && view->filter != NULL &&
			!m3db_point_filter_is_whole(view->filter, summary->first_ns, summary->last_ns,
										&is_taken))
			return false;
	}
	return true;
}

void
m3db_fold_summary(M3dbFold *fold, int column, const M3Summary *summary, uint32 bucket)
{
	M3Summary  *summaries = m3db_cells_get(fold->cells, bucket);
	bool		is_taken = true;

	for (int i = 0; i < fold->views->count; i++)
	{
		M3dbView   *view = &fold->views->views[i];
		int			slot = column < 0 ? M3DB_NO_SLOT : view->slots[column];

		if (!view_takes(fold, i, column) ||
			(view->filter != NULL &&
			 m3db_point_filter_is_whole(view->filter, summary->first_ns, summary->last_ns,
										&is_taken) && !is_taken))
			continue;
		view->is_reached = true;
		if (slot != M3DB_NO_SLOT)
			m3_summary_merge(&summaries[slot], fold->views->fields[slot], summary);
		if (view->rows_slot != M3DB_NO_SLOT && (column < 0 || !fold->views->is_aligned))
			add_rows(&summaries[view->rows_slot], summary->first_ns, summary->last_ns,
					 summary->count);
	}
}

static bool
has_cell(void *cells, uint32 bucket)
{
	return m3db_cells_has(cells, bucket);
}

/* Is there a cell wherever between two times a point could be? */
static bool
has_cells(M3dbFold *fold, int64 first_ns, int64 last_ns)
{
	if (fold->buckets == NULL)
		return m3db_cells_has(fold->cells, 0);
	return m3db_buckets_all_between(fold->buckets, first_ns, last_ns, has_cell, fold->cells);
}

/* Is the next block known to have the rows of one whose cells are there? */
static bool
has_known_rows(const M3dbFold *fold, M3Reader *reader, bool from_end)
{
	bool		same;
	M3Error		err;

	if (fold->whole == NULL)
		return false;
	m3db_check(m3_reader_same_times(reader, from_end, fold->whole, &same, &err), &err);
	return same;
}

/* Does without decoding the next block of the reader, if possible. */
static bool
pass_block(M3dbFold *fold, M3Reader *reader, int column, Wanted wanted, bool from_end)
{
	int64		start_ns;
	int64		end_ns;
	uint32		bucket = 0;
	M3Summary	summary;
	M3Status	status;
	M3Error		err;
	bool		is_passed;

	if (!m3_reader_peek(reader, from_end, &start_ns, &end_ns))
		return false;
	is_passed = wanted == WANTED_CELLS &&
		(has_cells(fold, start_ns, end_ns - 1) || has_known_rows(fold, reader, from_end));
	if (!is_passed)
	{
		if (wanted == WANTED_POINTS && fold->buckets != NULL &&
			m3db_buckets_is_split(fold->buckets, start_ns, end_ns - 1))
			return false;
		status = m3_reader_summary(reader, from_end, &summary, &err);
		if (status == M3_NOT_FOUND)
			return false;
		m3db_check(status, &err);
		is_passed = wanted == WANTED_CELLS &&
			has_cells(fold, summary.first_ns, summary.last_ns);
		if (!is_passed &&
			(fold->buckets == NULL ||
			 m3db_buckets_is_one(fold->buckets, summary.first_ns, summary.last_ns, &bucket)) &&
			m3db_fold_can_summarize(fold, column, &summary))
		{
			m3db_fold_summary(fold, column, &summary, bucket);
			is_passed = true;
		}
	}
	if (is_passed)
		m3_reader_skip(reader, from_end);
	return is_passed;
}

/* ---- series ---- */

static void
read_all(M3dbFold *fold, const M3dbFoldMember *member, Wanted wanted)
{
	M3Reader   *reader = m3db_fold_open(fold, member);
	bool		can_pass = can_use_statistics(fold, member->column);
	M3PointBatch batch;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (can_pass && pass_block(fold, reader, member->column, wanted, false))
			continue;
		if (m3db_read_next(fold->reading->damage, reader, &batch) != M3_OK)
			break;
		m3db_fold_points(fold, member->column, &batch);
	}
	/* what is damaged was left out, and may be sound in another column */
	if (fold->whole == NULL && fold->reading->damage->files == NIL)
		fold->whole = reader;
}

static bool
are_reached(const M3dbFold *fold, int column)
{
	for (int i = 0; i < fold->views->count; i++)
	{
		if (view_takes(fold, i, column) && !fold->views->views[i].is_reached)
			return false;
	}
	return true;
}

/* Adds the last point of the series if it is known without reading; whether that was all. */
static bool
add_known_last(M3dbFold *fold, M3Reader *reader, int column)
{
	int64		time_ns;
	double		value;
	const M3PointBatch batch = {.count = 1, .times_ns = &time_ns, .values = &value};
	M3Error		err;
	M3Status	status = m3_reader_last(reader, &time_ns, &value, &err);

	if (status == M3_NOT_FOUND)
		return false;
	m3db_check(status, &err);
	m3db_fold_points(fold, column, &batch);
	return are_reached(fold, column);
}

/* Reads from one end until all views that take points of the series have some. */
static void
read_end(M3dbFold *fold, M3Reader *reader, int column, Wanted wanted, bool from_end)
{
	bool		can_pass = can_use_statistics(fold, column);
	M3PointBatch batch;

	for (int i = 0; i < fold->views->count; i++)
		fold->views->views[i].is_reached = false;
	if (from_end && add_known_last(fold, reader, column))
		return;
	while (!are_reached(fold, column))
	{
		CHECK_FOR_INTERRUPTS();
		if (can_pass && pass_block(fold, reader, column, wanted, from_end))
			continue;
		if (m3db_read_batch(fold->reading->damage, reader, from_end, &batch) != M3_OK)
			return;
		m3db_fold_points(fold, column, &batch);
	}
}

static void
read_ends(M3dbFold *fold, const M3dbFoldMember *member, Wanted wanted)
{
	M3Reader   *reader = m3db_fold_open(fold, member);

	if (fold->views->only_first)
		read_end(fold, reader, member->column, wanted, false);
	if (fold->views->only_last)
		read_end(fold, reader, member->column, wanted, true);
}

static void
read_series(M3dbFold *fold, const M3dbFoldMember *member, Wanted wanted)
{
	/* without buckets there is one cell */
	if (wanted == WANTED_CELLS && fold->buckets == NULL && m3db_cells_has(fold->cells, 0))
		return;
	if (fold->views->only_first || fold->views->only_last)
		read_ends(fold, member, wanted);
	else
		read_all(fold, member, wanted);
}

void
m3db_fold_series(M3dbFold *fold, const M3dbFoldMember *members, int count)
{
	M3dbViews  *views = fold->views;
	M3Slice		id;
	M3Slice		tags;

	/* what conditions on tags see is the same in all of them */
	m3_scan_series(fold->reading->scan, members[0].series, &id, &tags);
	m3db_views_open(views, fold->reading->table, id, tags);
	if (views->is_aligned)
	{
		m3db_fold_rows(fold, members, count);
		return;
	}
	fold->whole = NULL;
	for (Wanted wanted = WANTED_POINTS; wanted > WANTED_NOTHING; wanted--)
	{
		for (int i = 0; i < count; i++)
		{
			if (wanted_of_column(fold, members[i].column) == wanted)
				read_series(fold, &members[i], wanted);
		}
	}
}
