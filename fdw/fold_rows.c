/*
 * Counting rows of several columns: a row is a time at which any of them has a point.
 *
 * As a rule all columns have points at the same times; then one comparison of two arrays
 * tells so.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/fold.h"

typedef struct Column
{
	int			number;
	M3Reader   *reader;
	size_t		count;			/* times not counted yet */
	const int64 *times_ns;
	size_t		taken;			/* of these, those in the stretch counted next */
} Column;

/* Reads the column's next points; false at the end. */
static bool
refill(M3dbFold *fold, Column *column)
{
	M3PointBatch batch;

	if (m3db_read_next(fold->reading->damage, column->reader, &batch) != M3_OK)
		return false;
	m3db_fold_points(fold, column->number, &batch);
	column->count = batch.count;
	column->times_ns = batch.times_ns;
	return true;
}

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
	const int64 *times_ns = columns[0].times_ns;
	size_t		count = columns[0].taken;
	int			merged = 0;

	for (int i = 1; i < column_count; i++)
	{
		const Column *column = &columns[i];
		int64	   *out;

		if (column->taken == 0 ||
			(column->taken == count &&
			 memcmp(column->times_ns, times_ns, sizeof(int64) * count) == 0))
			continue;
		out = reserve(fold, &fold->rows[merged], count + column->taken);
		count = merge(times_ns, count, column->times_ns, column->taken, out);
		times_ns = out;
		merged = 1 - merged;
	}
	m3db_fold_times(fold, times_ns, count);
}

/* Up to where all columns are known, which is where one of them must be read on. */
static int64
known_until(const Column *columns, int column_count)
{
	int64		last_ns = PG_INT64_MAX;

	for (int i = 0; i < column_count; i++)
		last_ns = Min(last_ns, columns[i].times_ns[columns[i].count - 1]);
	return last_ns;
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
		if (refill(fold, column))
			column_count++;
	}
	while (column_count > 0)
	{
		int64		last_ns = known_until(columns, column_count);
		int			kept = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < column_count; i++)
			columns[i].taken = last_ns == PG_INT64_MAX ? columns[i].count :
				m3db_points_before(columns[i].times_ns, columns[i].count, last_ns + 1);
		count_rows(fold, columns, column_count);
		for (int i = 0; i < column_count; i++)
		{
			Column		column = columns[i];

			column.times_ns += column.taken;
			column.count -= column.taken;
			if (column.count > 0 || refill(fold, &column))
				columns[kept++] = column;
		}
		column_count = kept;
	}
	pfree(columns);
}
