/*
 * Counting rows of several columns: a row is a time at which any of them has a point.
 *
 * As a rule all columns have points at the same times; then one comparison of two arrays
 * tells so.  Where statistics do, only one of the columns of which nothing else is wanted is
 * decoded for a block, and none at all if the block is of one bucket.
 *
 * For that, such columns wait where their next block begins until all rows before it are counted.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/fold.h"
#include "server/server.h"

typedef struct Column
{
	int			number;
	M3Reader   *reader;
	bool		is_wanted;		/* its points, besides their times */
	bool		waits;			/* before its next block, which begins at bound_ns */
	bool		waited;			/* when rows were counted last */
	bool		is_open;		/* not at its end */
	int64		bound_ns;
	size_t		count;			/* times not counted yet */
	const int64 *times_ns;
	const int64 *read_ns;		/* the first of those read last; NULL: none */
	size_t		taken;			/* of these, those in the stretch counted next */
} Column;

/* Reads the column's next points; false at the end. */
static bool
refill(M3dbFold *fold, Column *column)
{
	M3PointBatch batch;

	column->read_ns = NULL;
	if (m3db_read_next(fold->reading->damage, column->reader, &batch) != M3_OK)
		return false;
	m3db_fold_points(fold, column->number, &batch);
	column->waits = false;
	column->count = batch.count;
	column->times_ns = batch.times_ns;
	column->read_ns = batch.times_ns;
	return true;
}

/* False at the end. */
static bool
wait(Column *column)
{
	int64		end_ns;

	column->waits = m3_reader_peek(column->reader, false, &column->bound_ns, &end_ns);
	return column->waits;
}

/* Goes on with a column that has nothing left to be counted; false at the end. */
static bool
go_on(M3dbFold *fold, Column *column)
{
	return column->is_wanted ? refill(fold, column) : wait(column);
}

/* ---- what is known without decoding ---- */

static bool
have_same_times(M3Reader *reader, const M3Reader *other)
{
	bool		same;
	M3Error		err = {0};

	m3db_check(m3_reader_same_times(reader, false, other, &same, &err), &err);
	return same;
}

/* Others with which a block is compared before it is read. */
#define MAX_COMPARED 4

/* Whether the column's next block, which begins at start_ns in the range, has the times of one that
 * another column has read last.  If it turns out to have no points it is not the next one after. */
static bool
has_known_times(const Column *column, const Column *columns, int column_count, int64 start_ns,
				int64 end_ns)
{
	int64		next_ns;
	int			compared = 0;

	for (int i = 0; i < column_count && compared < MAX_COMPARED; i++)
	{
		const Column *other = &columns[i];
		bool		same;

		if (other == column || other->read_ns == NULL || *other->read_ns < start_ns ||
			*other->read_ns >= end_ns)
			continue;
		same = have_same_times(column->reader, other->reader);
		if (!m3_reader_peek(column->reader, false, &next_ns, &end_ns) || next_ns != start_ns)
			return false;
		if (same)
			return true;
		compared++;
	}
	return false;
}

/* Goes on with a column that waits, all rows before its next block being counted. */
static bool
stop_waiting(M3dbFold *fold, Column *column, const Column *columns, int column_count)
{
	int64		start_ns;
	int64		end_ns;
	int64		next_ns;

	if (!m3_reader_peek(column->reader, false, &start_ns, &end_ns))
		return false;
	if (has_known_times(column, columns, column_count, start_ns, end_ns))
		m3_reader_skip(column->reader, false);
	else if (m3_reader_peek(column->reader, false, &next_ns, &end_ns) && next_ns == start_ns)
		return refill(fold, column);
	return wait(column);
}

/* Blocks without points may have been passed over. */
static bool
is_at_block_of(const M3Reader *reader, const M3Reader *other)
{
	int64		starts_ns[2];
	int64		end_ns;

	return m3_reader_peek(reader, false, &starts_ns[0], &end_ns) &&
		m3_reader_peek(other, false, &starts_ns[1], &end_ns) && starts_ns[0] == starts_ns[1];
}

/* Counts the next block of all columns by its statistics, if they all wait for the same one and
 * have the same times in it. */
static bool
pass_block(M3dbFold *fold, Column *columns, int column_count)
{
	M3Summary	summary;
	uint32		bucket = 0;
	M3Status	status;
	M3Error		err = {0};

	for (int i = 0; i < column_count; i++)
	{
		if (!columns[i].waits || columns[i].bound_ns != columns[0].bound_ns)
			return false;
	}
	status = m3_reader_summary(columns[0].reader, false, &summary, &err);
	if (status == M3_NOT_FOUND)
		return false;
	m3db_check(status, &err);
	if ((fold->buckets != NULL &&
		 !m3db_buckets_is_one(fold->buckets, summary.first_ns, summary.last_ns, &bucket)) ||
		!m3db_fold_can_summarize(fold, -1, &summary))
		return false;
	for (int i = 1; i < column_count; i++)
	{
		if (!have_same_times(columns[i].reader, columns[0].reader) ||
			!is_at_block_of(columns[i].reader, columns[0].reader))
			return false;
	}
	m3db_fold_summary(fold, -1, &summary, bucket);
	for (int i = 0; i < column_count; i++)
		m3_reader_skip(columns[i].reader, false);
	return true;
}

/* ---- rows ---- */

/* All times of two ascending arrays, each once. */
static size_t
merge(const int64 *a, size_t a_count, const int64 *b, size_t b_count, int64 *out)
{
	size_t		i = 0;
	size_t		j = 0;
	size_t		n = 0;

	while (i < a_count && j < b_count)
	{
		int64		x = a[i];
		int64		y = b[j];

		out[n++] = Min(x, y);
		i += x <= y;
		j += y <= x;
	}
	memcpy(out + n, a + i, sizeof(int64) * (a_count - i));
	n += a_count - i;
	memcpy(out + n, b + j, sizeof(int64) * (b_count - j));
	return n + b_count - j;
}

static int64 *
reserve(M3dbFold *fold, M3dbRowTimes *rows, size_t count)
{
	if (count > rows->capacity)
	{
		if (rows->times_ns != NULL)
			pfree(rows->times_ns);
		rows->times_ns = NULL;
		rows->times_ns = MemoryContextAllocHuge(fold->context, sizeof(int64) * count);
		rows->capacity = count;
	}
	return rows->times_ns;
}

/* Counts the rows of what is taken of each column. */
static void
count_rows(M3dbFold *fold, const Column *columns, int column_count)
{
	const int64 *times_ns = NULL;
	size_t		count = 0;
	int			merged = 0;

	for (int i = 0; i < column_count; i++)
	{
		const Column *column = &columns[i];
		int64	   *out;

		if (column->taken == 0 ||
			(column->taken == count &&
			 memcmp(column->times_ns, times_ns, sizeof(int64) * count) == 0))
			continue;
		if (count == 0)
		{
			times_ns = column->times_ns;
			count = column->taken;
			continue;
		}
		out = reserve(fold, &fold->rows[merged], count + column->taken);
		count = merge(times_ns, count, column->times_ns, column->taken, out);
		times_ns = out;
		merged = 1 - merged;
	}
	if (count > 0)
		m3db_fold_times(fold, times_ns, count);
}

/* Up to where all columns are known, which is where one of them must go on. */
static int64
known_until(const Column *columns, int column_count)
{
	int64		last_ns = PG_INT64_MAX;

	for (int i = 0; i < column_count; i++)
		last_ns = Min(last_ns, columns[i].waits ? columns[i].bound_ns - 1 :
					  columns[i].times_ns[columns[i].count - 1]);
	return last_ns;
}

/* Goes on with a column after all rows up to last_ns are counted; false at its end. */
static bool
leave_behind(M3dbFold *fold, Column *column, int64 last_ns, const Column *columns,
			 int column_count)
{
	if (column->waits)
		return column->bound_ns - 1 > last_ns ||
			stop_waiting(fold, column, columns, column_count);
	column->times_ns += column->taken;
	column->count -= column->taken;
	column->taken = 0;
	return column->count > 0 || go_on(fold, column);
}

/* Removes columns that are at their end; how many are left. */
static int
keep_open(Column *columns, int column_count)
{
	int			kept = 0;

	for (int i = 0; i < column_count; i++)
	{
		if (columns[i].is_open)
			columns[kept++] = columns[i];
	}
	return kept;
}

/* Those that were read go first: the others are compared with them. */
static void
go_on_all(M3dbFold *fold, Column *columns, int column_count, int64 last_ns)
{
	for (int waits = 0; waits <= 1; waits++)
	{
		for (int i = 0; i < column_count; i++)
		{
			if (columns[i].waited == (waits == 1))
				columns[i].is_open = leave_behind(fold, &columns[i], last_ns, columns,
												  column_count);
		}
	}
}

void
m3db_fold_rows(M3dbFold *fold, const M3dbFoldMember *members, int count)
{
	Column	   *columns = palloc0(sizeof(Column) * count);
	int			column_count = 0;

	for (int i = 0; i < count; i++)
	{
		Column	   *column = &columns[column_count];

		column->number = members[i].column;
		column->reader = m3db_fold_open(fold, &members[i]);
		column->is_wanted = m3db_fold_wants(fold, column->number);
		if (go_on(fold, column))
			column_count++;
	}
	while (column_count > 0)
	{
		int64		last_ns;

		CHECK_FOR_INTERRUPTS();
		if (pass_block(fold, columns, column_count))
		{
			for (int i = 0; i < column_count; i++)
				columns[i].is_open = wait(&columns[i]);
			column_count = keep_open(columns, column_count);
			continue;
		}
		last_ns = known_until(columns, column_count);
		for (int i = 0; i < column_count; i++)
		{
			columns[i].waited = columns[i].waits;
			columns[i].taken = columns[i].waits ? 0 :
				last_ns == PG_INT64_MAX ? columns[i].count :
				m3db_points_before(columns[i].times_ns, columns[i].count, last_ns + 1);
		}
		count_rows(fold, columns, column_count);
		go_on_all(fold, columns, column_count, last_ns);
		column_count = keep_open(columns, column_count);
	}
	pfree(columns);
}
