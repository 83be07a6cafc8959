/*
 * Groups of points instead of points: the producer of aggregates.
 *
 * Series are grouped by the tags asked for, then group after group is read and its rows go out,
 * so that memory is needed for one group at a time.  In a shared scan a process takes
 * series as they come, and keeps all groups it meets until there is no memory left: what goes
 * out then are parts of groups, which PostgreSQL combines.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/aggregate.h"
#include "fdw/aggregate_result.h"
#include "fdw/fold.h"
#include "fdw/groups.h"
#include "server/server.h"

struct M3dbAggregation
{
	const M3dbTable *table;
	const M3dbAggregateSpec *spec;
	ExprContext *econtext;		/* of filters */
	M3dbPointFilterState where;
	M3dbPointFilterState *filters;
	ExprContext *bucket_econtext;
	ExprState  *bucket;
};

/* An item is what is read at once: a series, or those that make rows of a wide table together. */
typedef struct Aggregate
{
	M3dbProducer producer;
	M3dbReading reading;
	M3dbAggregation *aggregation;
	M3dbPointFilter where;
	M3dbPointFilter *filters;
	M3dbViews  *views;
	M3dbFold	fold;
	M3dbProjection *projection; /* of the tags it is grouped by */

	/* NULL without a scan, and where nothing is to be grouped */
	M3dbGroups *rows;			/* series by item; NULL: each is one */
	M3dbGroups *groups;			/* items by tags; NULL: all are of one group */
	uint32	   *group_of_item;	/* shared scans */
	M3dbFoldMember *members;	/* scratch: of an item */
	bool		by_group;		/* turns are over groups, else over items */
	M3dbTurns	turns;
	uint64		settled;		/* rows counted without reading */

	/* cells not gone out yet */
	MemoryContext context;
	M3dbCells **cells;			/* by group, NULL: none */
	uint32	   *open_groups;	/* those that have cells */
	uint32		open_count;
	uint32		next_group;		/* of these, the one that goes out next */
	uint32		next_cell;		/* ... and its cell */
	bool		is_finished;	/* there is no more to read */
} Aggregate;

M3dbAggregation *
m3db_aggregation_init(const M3dbTable *table, const M3dbAggregateSpec *spec,
					  PlanState *parent)
{
	M3dbAggregation *aggregation = palloc0(sizeof(M3dbAggregation));

	aggregation->table = table;
	aggregation->spec = spec;
	aggregation->econtext = parent->ps_ExprContext;
	m3db_point_filter_init(&aggregation->where, &spec->where, parent);
	aggregation->filters = palloc0(sizeof(M3dbPointFilterState) * (spec->filter_count + 1));
	for (int i = 0; i < spec->filter_count; i++)
		m3db_point_filter_init(&aggregation->filters[i], &spec->filters[i], parent);
	if (spec->bucket.expr != NULL)
	{
		aggregation->bucket = ExecInitExpr(spec->bucket.expr, parent);
		/* its own: many are evaluated for one row that comes out */
		aggregation->bucket_econtext = CreateExprContext(parent->state);
	}
	return aggregation;
}

/* ---- what goes together ---- */

/* Items of several series, and series that are of no column. */
static void
group_rows(Aggregate *aggregate)
{
	const M3dbTable *table = aggregate->reading.table;
	const M3dbViews *views = aggregate->views;
	M3Slice    *metrics = palloc(sizeof(M3Slice) * views->column_count);
	const M3dbGroupSpec spec = {.columns = metrics, .column_count = views->column_count};

	for (int i = 0; i < views->column_count; i++)
		metrics[i] = table->columns[views->attnums[i] - 1].tag;
	aggregate->rows = m3db_groups_create(aggregate->reading.scan, &spec);
	pfree(metrics);
}

static size_t
item_count(const Aggregate *aggregate)
{
	return aggregate->rows != NULL ? aggregate->rows->count :
		m3_scan_series_count(aggregate->reading.scan);
}

static size_t
series_of_item(const Aggregate *aggregate, size_t item)
{
	const M3dbGroups *rows = aggregate->rows;

	return rows != NULL ? rows->members[rows->first[item]].series : item;
}

static void
group_items(Aggregate *aggregate)
{
	const M3dbAggregateSpec *spec = aggregate->aggregation->spec;
	const M3dbTable *table = aggregate->reading.table;
	size_t		count = item_count(aggregate);
	M3Slice    *tags = palloc(sizeof(M3Slice) * (spec->group_count + 1));
	uint32	   *series = NULL;
	M3dbGroupSpec group_spec = {.tags = tags};
	List	   *attnums = NIL;

	for (int i = 0; i < spec->group_count; i++)
	{
		AttrNumber	attnum = spec->groups[i].attnum;

		if (attnum == InvalidAttrNumber || list_member_int(attnums, attnum))
			continue;
		attnums = lappend_int(attnums, attnum);
		tags[group_spec.tag_count++] = table->columns[attnum - 1].tag;
	}
	if (attnums == NIL)
		return;
	aggregate->projection = m3db_projection_create(table, attnums, table->column_count);
	if (aggregate->rows != NULL)
	{
		series = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * (count + 1));
		for (size_t i = 0; i < count; i++)
			series[i] = (uint32) series_of_item(aggregate, i);
		group_spec.series = series;
		group_spec.series_count = count;
	}
	aggregate->groups = m3db_groups_create(aggregate->reading.scan, &group_spec);
	if (series != NULL)
		pfree(series);
	pfree(tags);
}

/* Members of groups are items, in their order. */
static void
list_groups_of_items(Aggregate *aggregate)
{
	const M3dbGroups *groups = aggregate->groups;

	aggregate->group_of_item = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) *
													  (groups->member_count + 1));
	for (size_t i = 0; i < groups->count; i++)
	{
		for (uint32 m = groups->first[i]; m != M3DB_GROUPS_END; m = groups->members[m].next)
			aggregate->group_of_item[m] = (uint32) i;
	}
}

static uint32
item_hash(void *context, size_t thing)
{
	const Aggregate *aggregate = context;

	return aggregate->rows != NULL ? aggregate->rows->hashes[thing] :
		m3_scan_series_hash(aggregate->reading.scan, thing);
}

static void
arrange(Aggregate *aggregate)
{
	struct M3dbShare *share = aggregate->reading.share;

	if (aggregate->reading.table->wide)
		group_rows(aggregate);
	group_items(aggregate);
	aggregate->members = palloc(sizeof(M3dbFoldMember) * aggregate->views->column_count);
	aggregate->by_group = aggregate->groups != NULL && share == NULL;
	if (aggregate->by_group)
		m3db_turns_init(&aggregate->turns, NULL, aggregate->groups->count, NULL, NULL);
	else
		m3db_turns_init(&aggregate->turns, share, item_count(aggregate), item_hash,
						aggregate);
	if (aggregate->groups != NULL && !aggregate->by_group)
		list_groups_of_items(aggregate);
}

/* ---- reading ---- */

/* Points to the cells of a group as those that are summed up in. */
static void
open_group(Aggregate *aggregate, uint32 group)
{
	M3dbCells **cells = &aggregate->cells[group];

	if (*cells == NULL)
	{
		*cells = m3db_cells_create(aggregate->context, Max(aggregate->views->slot_count, 1));
		aggregate->open_groups[aggregate->open_count++] = group;
	}
	aggregate->fold.cells = *cells;
}

static void
read_item(Aggregate *aggregate, size_t item)
{
	const M3dbGroups *rows = aggregate->rows;
	int			count = 0;

	if (rows == NULL)
	{
		aggregate->members[count++] = (M3dbFoldMember) {.series = item};
	}
	else
	{
		for (uint32 m = rows->first[item]; m != M3DB_GROUPS_END; m = rows->members[m].next)
			aggregate->members[count++] = (M3dbFoldMember) {
				.series = rows->members[m].series,
				.column = (int) rows->members[m].column
			};
	}
	m3db_fold_series(&aggregate->fold, aggregate->members, count);
}

/* The next group; false if there are no more. */
static bool
read_group(Aggregate *aggregate)
{
	const M3dbGroups *groups = aggregate->groups;
	size_t		group;

	if (!m3db_turns_next(&aggregate->turns, &group))
		return false;
	open_group(aggregate, (uint32) group);
	for (uint32 m = groups->first[group]; m != M3DB_GROUPS_END; m = groups->members[m].next)
		read_item(aggregate, m);
	return true;
}

static bool
is_memory_full(const Aggregate *aggregate)
{
	return MemoryContextMemAllocated(aggregate->context, true) > (Size) work_mem * 1024;
}

/* Items as they come; false if there are no more.  Only parts of groups may go out early. */
static bool
read_items(Aggregate *aggregate)
{
	bool		may_stop = aggregate->aggregation->spec->is_partial;
	size_t		item;

	while (m3db_turns_next(&aggregate->turns, &item))
	{
		open_group(aggregate, aggregate->group_of_item == NULL ? 0 :
				   aggregate->group_of_item[item]);
		read_item(aggregate, item);
		if (may_stop && is_memory_full(aggregate))
			return true;
	}
	return false;
}

/* The one row there is without grouping, whatever was found. */
static void
make_only_cell(Aggregate *aggregate)
{
	M3Summary  *summaries;

	open_group(aggregate, 0);
	summaries = m3db_cells_get(aggregate->fold.cells, 0);
	for (int i = 0; i < aggregate->views->slot_count; i++)
		summaries[i].count += aggregate->settled;
}

static void
read_more(Aggregate *aggregate)
{
	bool		is_grouped = aggregate->aggregation->spec->is_grouped;
	bool		has_more = false;

	MemoryContextReset(aggregate->context);
	for (uint32 i = 0; i < aggregate->open_count; i++)
		aggregate->cells[aggregate->open_groups[i]] = NULL;
	aggregate->open_count = 0;
	aggregate->next_group = 0;
	aggregate->next_cell = 0;
	if (!is_grouped)
		make_only_cell(aggregate);
	if (aggregate->reading.scan != NULL)
		has_more = aggregate->by_group ? read_group(aggregate) : read_items(aggregate);
	aggregate->is_finished = !has_more;
}

/* ---- rows ---- */

/* The next cell that goes out, and its group; false if all have. */
static bool
next_cell(Aggregate *aggregate, const M3dbCells **cells, uint32 *cell)
{
	while (aggregate->next_group < aggregate->open_count)
	{
		uint32		group = aggregate->open_groups[aggregate->next_group];

		*cells = aggregate->cells[group];
		*cell = aggregate->next_cell++;
		if (*cell == 0 && (*cells)->count > 0 && aggregate->groups != NULL)
		{
			const M3dbGroups *groups = aggregate->groups;
			M3Slice		id;
			M3Slice		tags;

			m3_scan_series(aggregate->reading.scan,
						   groups->members[groups->first[group]].series, &id, &tags);
			m3db_projection_set_series(aggregate->projection, id, tags);
		}
		if (*cell < (*cells)->count)
			return true;
		aggregate->next_group++;
		aggregate->next_cell = 0;
	}
	return false;
}

static const M3Summary *
summary_of(const M3Summary *summaries, int slot)
{
	return slot == M3DB_NO_SLOT ? NULL : &summaries[slot];
}

static void
store_cell(const Aggregate *aggregate, const M3dbCells *cells, uint32 cell,
		   TupleTableSlot *slot)
{
	const M3dbAggregateSpec *spec = aggregate->aggregation->spec;
	const M3Summary *summaries = cells->summaries + (size_t) cell * cells->slot_count;
	int			column = 0;

	ExecClearTuple(slot);
	for (int i = 0; i < spec->group_count; i++, column++)
	{
		AttrNumber	attnum = spec->groups[i].attnum;

		if (attnum == InvalidAttrNumber)
			slot->tts_values[column] = m3db_buckets_value(aggregate->fold.buckets,
														  cells->buckets[cell],
														  &slot->tts_isnull[column]);
		else
		{
			slot->tts_values[column] = aggregate->projection->values[attnum - 1];
			slot->tts_isnull[column] = aggregate->projection->nulls[attnum - 1];
		}
	}
	for (int i = 0; i < spec->call_count; i++, column++)
	{
		const M3dbCallSlots *slots = &aggregate->views->calls[i];

		slot->tts_values[column] =
			m3db_aggregate_result(aggregate->reading.table, spec->calls[i].kind,
								  spec->is_partial, summary_of(summaries, slots->value),
								  summary_of(summaries, slots->rows),
								  &slot->tts_isnull[column]);
	}
	ExecStoreVirtualTuple(slot);
}

static bool
aggregate_next(M3dbProducer *producer, TupleTableSlot *slot)
{
	Aggregate  *aggregate = (Aggregate *) producer;
	const M3dbCells *cells;
	uint32		cell;

	while (!next_cell(aggregate, &cells, &cell))
	{
		CHECK_FOR_INTERRUPTS();
		if (aggregate->is_finished)
			return false;
		read_more(aggregate);
	}
	store_cell(aggregate, cells, cell, slot);
	return true;
}

static void
aggregate_rewind(M3dbProducer *producer)
{
	Aggregate  *aggregate = (Aggregate *) producer;

	if (aggregate->reading.scan != NULL)
		m3db_turns_rewind(&aggregate->turns);
	aggregate->next_group = aggregate->open_count;
	aggregate->is_finished = false;
}

static void
aggregate_close(M3dbProducer *producer)
{
	Aggregate  *aggregate = (Aggregate *) producer;

	if (aggregate->reading.scan != NULL)
		m3db_fold_close(&aggregate->fold);
}

/* ---- making it ---- */

/* Are rows counted and nothing else, all of them and without distinction? */
static bool
only_counts(const Aggregate *aggregate)
{
	const M3dbAggregateSpec *spec = aggregate->aggregation->spec;

	if (spec->is_grouped || spec->where.value_qual_count > 0 ||
		aggregate->views->column_count > 1 || aggregate->views->count > 1)
		return false;
	for (int i = 0; i < spec->call_count; i++)
	{
		if (spec->calls[i].kind != M3DB_AGGREGATE_COUNT)
			return false;
	}
	return true;
}

static void
evaluate_filters(Aggregate *aggregate)
{
	const M3dbAggregation *aggregation = aggregate->aggregation;
	int			count = aggregation->spec->filter_count;

	m3db_point_filter_evaluate(aggregation->table, &aggregation->where,
							   aggregation->econtext, &aggregate->where);
	aggregate->filters = palloc(sizeof(M3dbPointFilter) * (count + 1));
	for (int i = 0; i < count; i++)
		m3db_point_filter_evaluate(aggregation->table, &aggregation->filters[i],
								   aggregation->econtext, &aggregate->filters[i]);
}

static void
create_fold(Aggregate *aggregate)
{
	const M3dbAggregation *aggregation = aggregate->aggregation;
	const M3dbAggregateSpec *spec = aggregation->spec;
	const M3dbTable *table = aggregation->table;
	M3dbFold   *fold = &aggregate->fold;

	m3db_fold_init(fold, &aggregate->reading, aggregate->views);
	if (spec->where.value_qual_count > 0)
		fold->where = &aggregate->where;
	fold->makes_cells = spec->is_grouped;
	if (spec->bucket.expr != NULL)
		fold->buckets = m3db_buckets_create(aggregation->bucket, spec->bucket.expr,
											aggregation->bucket_econtext,
											table->columns[table->time_attnum - 1].role,
											spec->bucket.zone);
}

M3dbProducer *
m3db_aggregate_create(const M3dbReading *reading, M3dbAggregation *aggregation)
{
	Aggregate  *aggregate = palloc0(sizeof(Aggregate));
	size_t		group_count;
	M3Error		err;

	aggregate->producer.next = aggregate_next;
	aggregate->producer.rewind = aggregate_rewind;
	aggregate->producer.close = aggregate_close;
	aggregate->reading = *reading;
	aggregate->aggregation = aggregation;
	aggregate->context = AllocSetContextCreate(CurrentMemoryContext, "m3db cells",
											   ALLOCSET_DEFAULT_SIZES);
	if (reading->scan != NULL)
		evaluate_filters(aggregate);
	else
		aggregate->filters = palloc0(sizeof(M3dbPointFilter) *
									 (aggregation->spec->filter_count + 1));
	aggregate->views = m3db_views_create(&aggregate->reading, aggregation->spec,
										 aggregate->filters);
	if (reading->scan != NULL)
	{
		if (only_counts(aggregate) && reading->share == NULL)
			m3db_check(m3_scan_count_settled(reading->scan, &aggregate->settled, &err), &err);
		create_fold(aggregate);
		arrange(aggregate);
	}
	group_count = aggregate->groups == NULL ? 1 : aggregate->groups->count;
	aggregate->cells = MemoryContextAllocExtended(CurrentMemoryContext,
												  sizeof(M3dbCells *) * (group_count + 1),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	aggregate->open_groups = MemoryContextAllocHuge(CurrentMemoryContext,
													sizeof(uint32) * (group_count + 1));
	return &aggregate->producer;
}
