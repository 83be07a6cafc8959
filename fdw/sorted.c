/*
 * Rows in an order.
 *
 * A series, or a group of series of a wide table, is a unit: what the order's keys are
 * made of belongs to it.  Units are sorted by the keys once; those that come out
 * equal are a run.  A run's rows are merged by time; where it is one unit, or where
 * the time does not matter, unit after unit is read.
 *
 * If only the first row of each value of the leading keys is asked for, the rest of the run
 * and the runs with the same value are passed over, without having been opened.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"

#include "compat.h"
#include "fdw/merge.h"
#include "fdw/order.h"

/* A unit compared with the one before. */
#define STARTS_RUN 1			/* differs in a key */
#define STARTS_FIRST 2			/* differs in one of the keys of first_of */

typedef struct M3dbSorted
{
	M3dbProducer producer;
	MemoryContext context;		/* the scan's */
	M3dbReading reading;
	M3dbOrder  *order;
	M3dbAligner *aligner;
	uint32	   *units;			/* sorted */
	uint8	   *starts;			/* flags of each */
	size_t		next;			/* the first unit not opened yet */
	bool		is_merging;		/* several units are open, or else at most one */
	bool		is_new;			/* the projection does not have the unit that is open yet */
	M3dbMerge  *merge;			/* made when needed */
} M3dbSorted;

/* ---- sorting ---- */

typedef struct SortColumn
{
	int			attribute;
	int16		length;
	bool		by_value;
	SortSupportData support;
} SortColumn;

typedef struct Sorting
{
	MemoryContext context;
	int			column_count;
	SortColumn *columns;
	Datum	   *values;			/* by unit, a column each */
	bool	   *nulls;
} Sorting;

static void
init_columns(Sorting *sorting, const M3dbSorted *sorted)
{
	const M3dbOrder *order = sorted->order;

	sorting->column_count = order->key_count;
	sorting->columns = palloc0(sizeof(SortColumn) * order->key_count);
	for (int i = 0; i < order->key_count; i++)
	{
		const M3dbOrderKey *key = &order->keys[i];
		SortColumn *column = &sorting->columns[i];

		column->attribute = key->attnum - 1;
		get_typlenbyval(sorted->reading.table->columns[column->attribute].type_id,
						&column->length, &column->by_value);
		column->support.ssup_cxt = CurrentMemoryContext;
		column->support.ssup_collation = key->collation;
		column->support.ssup_nulls_first = key->nulls_first;
		PrepareSortSupportFromOrderingOp(key->sort_operator, &column->support);
	}
}

/* The keys of all units. */
static void
convert_units(Sorting *sorting, const M3dbSorted *sorted)
{
	const M3dbTable *table = sorted->reading.table;
	size_t		count = sorted->aligner->unit_count;
	size_t		cells = count * (size_t) sorting->column_count;
	List	   *attnums = NIL;
	M3dbProjection *projection;

	for (int i = 0; i < sorting->column_count; i++)
		attnums = list_append_unique_int(attnums, sorting->columns[i].attribute + 1);
	projection = m3db_projection_create(table, attnums, table->column_count);
	sorting->values = MemoryContextAllocHuge(sorting->context, sizeof(Datum) * cells);
	sorting->nulls = MemoryContextAllocHuge(sorting->context, sizeof(bool) * cells);
	for (size_t unit = 0; unit < count; unit++)
	{
		CHECK_FOR_INTERRUPTS();
		m3db_aligner_set_unit(sorted->aligner, unit, projection);
		for (int i = 0; i < sorting->column_count; i++)
		{
			const SortColumn *column = &sorting->columns[i];
			size_t		cell = unit * (size_t) sorting->column_count + (size_t) i;

			sorting->nulls[cell] = projection->nulls[column->attribute];
			if (!sorting->nulls[cell])
				sorting->values[cell] = datumCopy(projection->values[column->attribute],
												  column->by_value, column->length);
		}
	}
}

/* Compares two units; *column is the first that differs. */
static int
compare_units(Sorting *sorting, uint32 a, uint32 b, int *column)
{
	size_t		cell_a = (size_t) a * (size_t) sorting->column_count;
	size_t		cell_b = (size_t) b * (size_t) sorting->column_count;

	for (*column = 0; *column < sorting->column_count; (*column)++)
	{
		int			result = ApplySortComparator(sorting->values[cell_a + *column],
												 sorting->nulls[cell_a + *column],
												 sorting->values[cell_b + *column],
												 sorting->nulls[cell_b + *column],
												 &sorting->columns[*column].support);

		if (result != 0)
			return result;
	}
	return 0;
}

static int
compare_for_sort(const void *a, const void *b, void *sorting)
{
	int			column;

	CHECK_FOR_INTERRUPTS();
	return compare_units(sorting, *(const uint32 *) a, *(const uint32 *) b, &column);
}

static void
mark_starts(M3dbSorted *sorted, Sorting *sorting)
{
	for (size_t i = 1; i < sorted->aligner->unit_count; i++)
	{
		int			column;

		if (compare_units(sorting, sorted->units[i - 1], sorted->units[i], &column) == 0)
			continue;
		sorted->starts[i] = STARTS_RUN;
		if (column < sorted->order->first_of)
			sorted->starts[i] |= STARTS_FIRST;
	}
}

static void
sort_units(M3dbSorted *sorted)
{
	Sorting		sorting = {0};
	MemoryContext old_context;

	sorting.context = AllocSetContextCreate(CurrentMemoryContext, "m3db sort",
											ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(sorting.context);
	init_columns(&sorting, sorted);
	convert_units(&sorting, sorted);
	qsort_arg(sorted->units, sorted->aligner->unit_count, sizeof(uint32), compare_for_sort,
			  &sorting);
	mark_starts(sorted, &sorting);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(sorting.context);
}

/* ---- rows ---- */

/* Where any row will do, the latest is the cheapest to have. */
static bool
is_backward(const M3dbOrder *order)
{
	return order->time == M3DB_TIME_DESCENDING ||
		(order->time == M3DB_TIME_UNORDERED && order->first_of != M3DB_ALL_ROWS);
}

/* Opens the next run, or the next unit where that will do. */
static void
open_next(M3dbSorted *sorted)
{
	M3dbAlignRange range = M3DB_ALIGN_ALL;
	size_t		first = sorted->next++;

	range.backward = is_backward(sorted->order);
	range.lazy = true;
	while (sorted->order->time != M3DB_TIME_UNORDERED &&
		   sorted->next < sorted->aligner->unit_count &&
		   sorted->starts[sorted->next] == 0)
		sorted->next++;
	sorted->is_merging = sorted->next - first > 1;
	sorted->is_new = true;
	if (!sorted->is_merging)
	{
		m3db_aligner_open(sorted->aligner, sorted->units[first], &range);
		return;
	}
	if (sorted->merge == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(sorted->context);

		sorted->merge = m3db_merge_create(sorted->aligner, range.backward);
		MemoryContextSwitchTo(old_context);
	}
	m3db_merge_open(sorted->merge, &sorted->units[first], sorted->next - first);
}

/* The next row of what is open; false at its end. */
static bool
next_open_row(M3dbSorted *sorted)
{
	M3dbAligner *aligner = sorted->aligner;
	M3dbProjection *projection = sorted->reading.projection;

	if (sorted->is_merging)
		return m3db_merge_next(sorted->merge);
	if (!m3db_aligner_next(aligner))
		return false;
	/* units without points in the range cost no conversion */
	if (sorted->is_new)
		m3db_aligner_set_unit(aligner, sorted->units[sorted->next - 1], projection);
	sorted->is_new = false;
	m3db_projection_set_row(projection, aligner->time_ns, aligner->unit, aligner->annotation);
	return true;
}

static void
close_open(M3dbSorted *sorted)
{
	sorted->is_merging = false;
	m3db_aligner_reset(sorted->aligner);
}

/* Goes on to the next value of the keys of which only the first row is wanted. */
static void
pass_over_rest(M3dbSorted *sorted)
{
	close_open(sorted);
	while (sorted->next < sorted->aligner->unit_count &&
		   (sorted->starts[sorted->next] & STARTS_FIRST) == 0)
		sorted->next++;
}

static bool
sorted_next(M3dbProducer *producer, TupleTableSlot *slot)
{
	M3dbSorted *sorted = (M3dbSorted *) producer;

	while (!next_open_row(sorted))
	{
		CHECK_FOR_INTERRUPTS();
		close_open(sorted);
		if (sorted->next >= sorted->aligner->unit_count)
			return false;
		open_next(sorted);
	}
	m3db_projection_store(sorted->reading.projection, slot);
	if (sorted->order->first_of != M3DB_ALL_ROWS)
		pass_over_rest(sorted);
	return true;
}

static void
sorted_rewind(M3dbProducer *producer)
{
	M3dbSorted *sorted = (M3dbSorted *) producer;

	close_open(sorted);
	sorted->next = 0;
}

static void
sorted_close(M3dbProducer *producer)
{
	m3db_aligner_close(((M3dbSorted *) producer)->aligner);
}

M3dbProducer *
m3db_sorted_create(const M3dbReading *reading, List *order)
{
	M3dbSorted *sorted = palloc0(sizeof(M3dbSorted));
	size_t		count;

	sorted->producer.next = sorted_next;
	sorted->producer.rewind = sorted_rewind;
	sorted->producer.close = sorted_close;
	sorted->context = CurrentMemoryContext;
	sorted->reading = *reading;
	sorted->order = m3db_order_read(order);
	sorted->aligner = m3db_aligner_create(reading);
	count = sorted->aligner->unit_count;
	sorted->units = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * (count + 1));
	sorted->starts = MemoryContextAllocHuge(CurrentMemoryContext, count + 1);
	memset(sorted->starts, 0, count + 1);
	for (size_t i = 0; i < count; i++)
		sorted->units[i] = (uint32) i;
	if (sorted->order->key_count > 0 && count > 1)
		sort_units(sorted);
	return &sorted->producer;
}
