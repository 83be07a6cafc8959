#include "postgres.h"

#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/merge.h"

#define WINDOW_FIRST 16			/* rows of a unit's first window */
#define WINDOW_GROWTH 16
#define WINDOW_LAST 16384

/* Rows that are decoded, a column each; those not asked for are NULL. */
typedef struct Window
{
	uint32		capacity;
	uint32		count;
	uint32		position;
	int64	   *times_ns;
	double	   *values;			/* row by row */
	bool	   *nulls;			/* ... */
	uint8	   *units;
	M3Slice    *annotations;	/* a chunk each, or size 0 */
	bool		is_last;		/* there are no rows behind it */
	int64		rest;			/* a bound for their key */
} Window;

typedef struct MergeUnit
{
	uint32		number;			/* of the aligner's units */
	Window	   *window;			/* NULL before the first row */
	Datum	   *tags;			/* what belongs to the series, NULL: not kept */
	bool	   *tag_nulls;
} MergeUnit;

/* Times are ordered as keys, in both directions. */
typedef struct MergeEntry
{
	int64		key;			/* of the next row, or a bound for it */
	uint32		unit;			/* index in units */
	bool		is_exact;		/* the window has the row */
} MergeEntry;

/* What of a row belongs to its series. */
typedef struct SeriesColumn
{
	int			attribute;
	int16		length;
	bool		by_value;
} SeriesColumn;

struct M3dbMerge
{
	M3dbAligner *aligner;
	M3dbProjection *projection;
	bool		backward;
	bool		with_units;
	bool		with_annotations;
	int			series_column_count;
	SeriesColumn *series_columns;

	MemoryContext context;		/* of what follows, reset when others are merged */
	MergeUnit  *units;
	MergeEntry *heap;			/* the least key first */
	size_t		heap_count;
	uint32		window_limit;
	size_t		tags_left;		/* bytes to keep tags in */
	const MergeUnit *current;	/* whose tags the projection has */
};

/* ---- making ---- */

static void
add_series_column(M3dbMerge *merge, const M3dbTable *table, AttrNumber attnum)
{
	SeriesColumn *column;

	if (attnum == InvalidAttrNumber)
		return;
	column = &merge->series_columns[merge->series_column_count++];
	column->attribute = attnum - 1;
	get_typlenbyval(table->columns[attnum - 1].type_id, &column->length, &column->by_value);
}

M3dbMerge *
m3db_merge_create(M3dbAligner *aligner, bool backward)
{
	M3dbMerge  *merge = palloc0(sizeof(M3dbMerge));
	M3dbProjection *projection = aligner->reading.projection;

	merge->aligner = aligner;
	merge->projection = projection;
	merge->backward = backward;
	merge->with_units = projection->unit_attnum != InvalidAttrNumber;
	merge->with_annotations = projection->annotation_attnum != InvalidAttrNumber;
	merge->series_columns = palloc(sizeof(SeriesColumn) * (projection->tag_count + 2));
	for (int i = 0; i < projection->tag_count; i++)
		add_series_column(merge, projection->table, projection->tag_attnums[i]);
	add_series_column(merge, projection->table, projection->id_attnum);
	add_series_column(merge, projection->table, projection->tags_attnum);
	merge->context = AllocSetContextCreate(CurrentMemoryContext, "m3db merge",
										   ALLOCSET_DEFAULT_SIZES);
	return merge;
}

/* ---- keys ---- */

static inline int64
key_of_time(const M3dbMerge *merge, int64 time_ns)
{
	return merge->backward ? ~time_ns : time_ns;
}

/* One that is known comes before one that may be as near. */
static inline bool
is_before(const MergeEntry *a, const MergeEntry *b)
{
	return a->key < b->key || (a->key == b->key && a->is_exact && !b->is_exact);
}

/* Puts the entry at index where it belongs below. */
static void
sift_down(M3dbMerge *merge, size_t index)
{
	MergeEntry *heap = merge->heap;
	const MergeEntry entry = heap[index];

	for (;;)
	{
		size_t		child = 2 * index + 1;

		if (child >= merge->heap_count)
			break;
		if (child + 1 < merge->heap_count && is_before(&heap[child + 1], &heap[child]))
			child++;
		if (!is_before(&heap[child], &entry))
			break;
		heap[index] = heap[child];
		index = child;
	}
	heap[index] = entry;
}

static void
remove_first(M3dbMerge *merge)
{
	merge->heap[0] = merge->heap[--merge->heap_count];
	if (merge->heap_count > 0)
		sift_down(merge, 0);
}

/* ---- windows ---- */

double
m3db_merge_window(double units, int columns)
{
	double		row_size = sizeof(int64) + columns * (sizeof(double) + sizeof(bool));
	double		rows = (double) work_mem * 1024.0 / units / row_size;

	return Min(Max(rows, WINDOW_FIRST), WINDOW_LAST);
}

static void
free_window_rows(Window *window)
{
	if (window->capacity == 0)
		return;
	pfree(window->times_ns);
	pfree(window->values);
	pfree(window->nulls);
	if (window->units != NULL)
		pfree(window->units);
	if (window->annotations != NULL)
		pfree(window->annotations);
}

static void
grow_window(const M3dbMerge *merge, Window *window)
{
	uint32		capacity = Max(window->capacity * WINDOW_GROWTH, WINDOW_FIRST);
	size_t		cells;

	capacity = Min(capacity, merge->window_limit);
	if (capacity <= window->capacity)
		return;
	free_window_rows(window);
	cells = (size_t) capacity * (size_t) merge->aligner->column_count;
	window->times_ns = MemoryContextAlloc(merge->context, sizeof(int64) * capacity);
	window->values = MemoryContextAllocHuge(merge->context, sizeof(double) * cells);
	window->nulls = MemoryContextAllocHuge(merge->context, sizeof(bool) * cells);
	if (merge->with_units)
		window->units = MemoryContextAlloc(merge->context, sizeof(uint8) * capacity);
	if (merge->with_annotations)
		window->annotations = MemoryContextAlloc(merge->context, sizeof(M3Slice) * capacity);
	window->capacity = capacity;
}

static void
clear_window(Window *window)
{
	for (uint32 i = 0; window->annotations != NULL && i < window->count; i++)
	{
		if (window->annotations[i].size > 0)
			pfree((void *) window->annotations[i].data);
	}
	window->count = 0;
	window->position = 0;
}

static M3Slice
copy_bytes(MemoryContext context, M3Slice bytes)
{
	uint8	   *copy;

	if (bytes.size == 0)
		return m3_slice(NULL, 0);
	copy = MemoryContextAlloc(context, bytes.size);
	memcpy(copy, bytes.data, bytes.size);
	return m3_slice(copy, bytes.size);
}

/* Copies the row at hand behind the window's. */
static void
keep_row(const M3dbMerge *merge, Window *window)
{
	const M3dbAligner *aligner = merge->aligner;
	const M3dbProjection *projection = merge->projection;
	uint32		row = window->count++;
	size_t		cell = (size_t) row * (size_t) aligner->column_count;

	window->times_ns[row] = aligner->time_ns;
	for (int i = 0; i < aligner->column_count; i++, cell++)
	{
		int			attribute = aligner->attnums[i] - 1;

		window->nulls[cell] = projection->nulls[attribute];
		if (!projection->nulls[attribute])
			window->values[cell] = DatumGetFloat8(projection->values[attribute]);
	}
	if (window->units != NULL)
		window->units[row] = (uint8) aligner->unit;
	if (window->annotations != NULL)
		window->annotations[row] = copy_bytes(merge->context, aligner->annotation);
}

/* Where the rows behind the window begin: at the next row or block, as the aligner has it. */
static void
find_rest(const M3dbMerge *merge, Window *window)
{
	int64		last = key_of_time(merge, window->times_ns[window->count - 1]);
	int64		bound_ns;

	window->is_last = last == PG_INT64_MAX ||
		!m3db_aligner_bound(merge->aligner, &bound_ns);
	if (!window->is_last)
		window->rest = Max(last + 1, key_of_time(merge, bound_ns));
}

/*
 * Fills the window with rows from key on, but only those that one reading gives; false if
 * there are none.
 */
static bool
fill_window(M3dbMerge *merge, MergeUnit *unit, int64 key)
{
	M3dbAligner *aligner = merge->aligner;
	M3dbAlignRange range = M3DB_ALIGN_ALL;

	range.backward = merge->backward;
	range.lazy = unit->window == NULL;
	if (merge->backward)
		range.end_ns = ~key + 1;
	else
		range.start_ns = key;
	m3db_aligner_open(aligner, unit->number, &range);
	if (!m3db_aligner_next(aligner))
		return false;

	if (unit->window == NULL)
		unit->window = MemoryContextAllocZero(merge->context, sizeof(Window));
	clear_window(unit->window);
	grow_window(merge, unit->window);
	do
		keep_row(merge, unit->window);
	while (unit->window->count < unit->window->capacity &&
		   m3db_aligner_is_ready(aligner) && m3db_aligner_next(aligner));
	find_rest(merge, unit->window);
	return true;
}

/* ---- rows ---- */

/* Keeps what the projection has of the series, if there is room. */
static void
keep_tags(M3dbMerge *merge, MergeUnit *unit)
{
	const M3dbProjection *projection = merge->projection;
	size_t		count = (size_t) merge->series_column_count;
	size_t		size = (sizeof(Datum) + sizeof(bool)) * count;
	MemoryContext old_context;

	for (size_t i = 0; i < count; i++)
	{
		const SeriesColumn *column = &merge->series_columns[i];

		if (!projection->nulls[column->attribute] && !column->by_value)
			size += datumGetSize(projection->values[column->attribute], false, column->length);
	}
	if (size > merge->tags_left)
		return;
	merge->tags_left -= size;
	old_context = MemoryContextSwitchTo(merge->context);
	unit->tags = palloc(sizeof(Datum) * count);
	unit->tag_nulls = palloc(sizeof(bool) * count);
	for (size_t i = 0; i < count; i++)
	{
		const SeriesColumn *column = &merge->series_columns[i];

		unit->tag_nulls[i] = projection->nulls[column->attribute];
		if (!unit->tag_nulls[i])
			unit->tags[i] = datumCopy(projection->values[column->attribute],
									  column->by_value, column->length);
	}
	MemoryContextSwitchTo(old_context);
}

/* Sets what belongs to the series. */
static void
set_tags(M3dbMerge *merge, MergeUnit *unit)
{
	M3dbProjection *projection = merge->projection;

	if (merge->current == unit || merge->series_column_count == 0)
		return;
	merge->current = unit;
	if (unit->tags == NULL)
	{
		m3db_aligner_set_unit(merge->aligner, unit->number, projection);
		keep_tags(merge, unit);
		return;
	}
	for (int i = 0; i < merge->series_column_count; i++)
	{
		int			attribute = merge->series_columns[i].attribute;

		projection->values[attribute] = unit->tags[i];
		projection->nulls[attribute] = unit->tag_nulls[i];
	}
}

/* Sets the row of the window's position. */
static void
set_row(const M3dbMerge *merge, const Window *window)
{
	const M3dbAligner *aligner = merge->aligner;
	M3dbProjection *projection = merge->projection;
	uint32		row = window->position;
	size_t		cell = (size_t) row * (size_t) aligner->column_count;

	for (int i = 0; i < aligner->column_count; i++, cell++)
	{
		int			attribute = aligner->attnums[i] - 1;

		projection->nulls[attribute] = window->nulls[cell];
		if (!window->nulls[cell])
			projection->values[attribute] = Float8GetDatum(window->values[cell]);
	}
	m3db_projection_set_row(projection, window->times_ns[row],
							window->units != NULL ? window->units[row] : M3_UNIT_NONE,
							window->annotations != NULL ? window->annotations[row] :
							m3_slice(NULL, 0));
}

/* Moves the first unit on past its row. */
static void
advance(M3dbMerge *merge, Window *window)
{
	MergeEntry *first = &merge->heap[0];

	window->position++;
	if (window->position == window->count && window->is_last)
	{
		remove_first(merge);
		return;
	}
	first->is_exact = window->position < window->count;
	first->key = first->is_exact ?
		key_of_time(merge, window->times_ns[window->position]) : window->rest;
	sift_down(merge, 0);
}

bool
m3db_merge_next(M3dbMerge *merge)
{
	MergeUnit  *unit;

	while (merge->heap_count > 0 && !merge->heap[0].is_exact)
	{
		MergeEntry *first = &merge->heap[0];

		CHECK_FOR_INTERRUPTS();
		unit = &merge->units[first->unit];
		if (!fill_window(merge, unit, first->key))
		{
			remove_first(merge);
			continue;
		}
		first->key = key_of_time(merge, unit->window->times_ns[0]);
		first->is_exact = true;
		sift_down(merge, 0);
	}
	if (merge->heap_count == 0)
		return false;
	unit = &merge->units[merge->heap[0].unit];
	set_tags(merge, unit);
	set_row(merge, unit->window);
	advance(merge, unit->window);
	return true;
}

void
m3db_merge_open(M3dbMerge *merge, const uint32 *units, size_t count)
{
	M3dbAlignRange range = M3DB_ALIGN_ALL;

	MemoryContextReset(merge->context);
	merge->heap_count = 0;
	merge->current = NULL;
	merge->tags_left = (size_t) work_mem * 1024 / 4;
	merge->window_limit =
		(uint32) m3db_merge_window((double) count, merge->aligner->column_count);
	merge->units = MemoryContextAllocHuge(merge->context, sizeof(MergeUnit) * count);
	merge->heap = MemoryContextAllocHuge(merge->context, sizeof(MergeEntry) * count);
	range.backward = merge->backward;
	for (size_t i = 0; i < count; i++)
	{
		MergeEntry *entry = &merge->heap[merge->heap_count];
		int64		bound_ns;

		CHECK_FOR_INTERRUPTS();
		merge->units[i] = (MergeUnit) {.number = units[i]};
		m3db_aligner_open(merge->aligner, units[i], &range);
		if (!m3db_aligner_bound(merge->aligner, &bound_ns))
			continue;
		entry->key = key_of_time(merge, bound_ns);
		entry->unit = (uint32) i;
		entry->is_exact = false;
		merge->heap_count++;
	}
	for (size_t i = merge->heap_count / 2; i-- > 0;)
		sift_down(merge, i);
}
