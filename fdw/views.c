#include "postgres.h"

#include "compat.h"
#include "fdw/views.h"

/* ---- making them ---- */

static void
set_columns(M3dbViews *views, const M3dbReading *reading)
{
	const M3dbTable *table = reading->table;
	ListCell   *lc;

	if (!table->wide)
	{
		views->attnums = palloc(sizeof(AttrNumber));
		views->attnums[views->column_count++] = table->value_attnums[0];
		return;
	}
	views->attnums = palloc(sizeof(AttrNumber) * (list_length(reading->value_attnums) + 1));
	foreach(lc, reading->value_attnums)
		views->attnums[views->column_count++] = (AttrNumber) lfirst_int(lc);
}

static int
column_of(const M3dbViews *views, AttrNumber attnum)
{
	for (int i = 0; i < views->column_count; i++)
	{
		if (views->attnums[i] == attnum)
			return i;
	}
	elog(ERROR, "value column %d is not read", attnum);
}

/* The view of a FILTER, and of the series that have a tag. */
static M3dbView *
find_view(M3dbViews *views, int number, AttrNumber tag_attnum, M3dbPointFilter *filters)
{
	M3dbView   *view;

	for (int i = 0; i < views->count; i++)
	{
		view = &views->views[i];
		if (view->number == number && view->tag_attnum == tag_attnum)
			return view;
	}
	view = &views->views[views->count++];
	memset(view, 0, sizeof(*view));
	view->number = number;
	view->filter = number < 0 ? NULL : &filters[number];
	view->tag_attnum = tag_attnum;
	view->slots = palloc(sizeof(int) * views->column_count);
	for (int i = 0; i < views->column_count; i++)
		view->slots[i] = M3DB_NO_SLOT;
	view->rows_slot = M3DB_NO_SLOT;
	return view;
}

static int
need_slot(M3dbViews *views, int *slot, unsigned fields)
{
	if (*slot == M3DB_NO_SLOT)
		*slot = views->slot_count++;
	views->fields[*slot] |= fields;
	return *slot;
}

static int
need_rows(M3dbViews *views, M3dbView *view)
{
	return need_slot(views, views->column_count == 1 ? &view->slots[0] : &view->rows_slot, 0);
}

/* What of a summary a call is made from. */
static unsigned
fields_of(M3dbAggregateKind kind, bool is_partial)
{
	switch (kind)
	{
		case M3DB_AGGREGATE_MIN:
		case M3DB_AGGREGATE_MAX:
			return M3_SUMMARY_RANGE;
		case M3DB_AGGREGATE_SUM:
			return M3_SUMMARY_SUM;
		case M3DB_AGGREGATE_AVG:
			/* PostgreSQL may use its transition state for the variance, too */
			return is_partial ? M3_SUMMARY_SUM | M3_SUMMARY_SQUARES : M3_SUMMARY_SUM;
		case M3DB_AGGREGATE_VAR_POP:
		case M3DB_AGGREGATE_VAR_SAMP:
		case M3DB_AGGREGATE_STDDEV_POP:
		case M3DB_AGGREGATE_STDDEV_SAMP:
			return M3_SUMMARY_SUM | M3_SUMMARY_SQUARES;
		case M3DB_AGGREGATE_COUNT:
		case M3DB_AGGREGATE_FIRST:
		case M3DB_AGGREGATE_LAST:
		case M3DB_AGGREGATE_FIRST_TIME:
		case M3DB_AGGREGATE_LAST_TIME:
			break;
	}
	return 0;
}

static bool
is_first(M3dbAggregateKind kind)
{
	return kind == M3DB_AGGREGATE_FIRST || kind == M3DB_AGGREGATE_FIRST_TIME;
}

static bool
is_last(M3dbAggregateKind kind)
{
	return kind == M3DB_AGGREGATE_LAST || kind == M3DB_AGGREGATE_LAST_TIME;
}

/* Rows that fulfil a condition on values have a point in the call's column, which it is about. */
static bool
has_rows_of_column(const M3dbAggregateSpec *spec, const M3dbAggregateCall *call)
{
	return call->filter >= 0 && spec->filters[call->filter].value_qual_count > 0;
}

static void
add_call(M3dbViews *views, const M3dbTable *table, const M3dbAggregateSpec *spec,
		 const M3dbAggregateCall *call, M3dbPointFilter *filters, M3dbCallSlots *slots)
{
	bool		has_value = call->attnum != InvalidAttrNumber &&
		table->columns[call->attnum - 1].role == M3DB_ROLE_VALUE;
	bool		counts_tags = call->kind == M3DB_AGGREGATE_COUNT &&
		call->attnum != InvalidAttrNumber && !has_value;
	bool		counts_rows = call->kind == M3DB_AGGREGATE_COUNT && !has_value;
	M3dbView   *view = find_view(views, call->filter, counts_tags ? call->attnum : 0, filters);

	slots->value = slots->rows = M3DB_NO_SLOT;
	if (has_value)
		slots->value = need_slot(views, &view->slots[column_of(views, call->attnum)],
								 fields_of(call->kind, spec->is_partial));
	if (has_value && has_rows_of_column(spec, call))
		slots->rows = slots->value;
	else if (counts_rows || is_first(call->kind) || is_last(call->kind))
		slots->rows = need_rows(views, view);
	views->is_aligned |= counts_rows && views->column_count > 1;
}

M3dbViews *
m3db_views_create(const M3dbReading *reading, const M3dbAggregateSpec *spec,
				  M3dbPointFilter *filters)
{
	M3dbViews  *views = palloc0(sizeof(M3dbViews));
	bool		only_ends = spec->bucket.expr == NULL && spec->call_count > 0;

	set_columns(views, reading);
	views->views = palloc(sizeof(M3dbView) * (spec->call_count + 1));
	views->fields = palloc0(sizeof(unsigned) * (2 * spec->call_count + 1));
	views->calls = palloc(sizeof(M3dbCallSlots) * (spec->call_count + 1));
	(void) find_view(views, -1, 0, filters);
	for (int i = 0; i < spec->call_count; i++)
	{
		M3dbAggregateKind kind = spec->calls[i].kind;

		add_call(views, reading->table, spec, &spec->calls[i], filters, &views->calls[i]);
		only_ends &= is_first(kind) || is_last(kind);
		views->only_first |= is_first(kind);
		views->only_last |= is_last(kind);
	}
	views->only_first &= only_ends;
	views->only_last &= only_ends;
	return views;
}

/* ---- using them ---- */

void
m3db_views_open(M3dbViews *views, const M3dbTable *table, M3Slice id, M3Slice tags)
{
	for (int i = 0; i < views->count; i++)
	{
		M3dbView   *view = &views->views[i];
		M3Slice		value;

		view->is_open = (view->filter == NULL ||
						 m3db_point_filter_takes_series(view->filter, id, tags)) &&
			(view->tag_attnum == InvalidAttrNumber ||
			 m3_tags_find(tags, table->columns[view->tag_attnum - 1].tag, &value));
	}
}
