/*
 * A specification on its way from plan to execution: numbers go into the plan's private list,
 * expressions into its fdw_exprs, in the order in which they are met here.
 */
#include "postgres.h"

#include "nodes/value.h"

#include "compat.h"
#include "fdw/aggregate.h"

/* What is written is a list of these. */
enum
{
	SPEC_NUMBERS,				/* grouped, partial, has a bucket, expressions */
	SPEC_GROUPS,				/* attnums */
	SPEC_ZONE,					/* list of a string, or NIL */
	SPEC_CALLS,					/* kind, attnum, filter of each */
	SPEC_FILTERS,				/* write_filter() of each */
	SPEC_WHERE					/* write_filter() */
};

/* ---- from the plan ---- */

/* (quals, numbers): how many expressions the quals have, then attnum and strategy of each
 * value qual. */
static List *
write_filter(const M3dbAggregateFilter *filter, List **exprs)
{
	List	   *numbers = list_make1_int(list_length(filter->qual_exprs));

	*exprs = list_concat(*exprs, filter->qual_exprs);
	for (int i = 0; i < filter->value_qual_count; i++)
	{
		const M3dbValueQual *qual = &filter->value_quals[i];

		numbers = lappend_int(numbers, qual->attnum);
		numbers = lappend_int(numbers, qual->strategy);
		*exprs = lappend(*exprs, qual->expr);
	}
	return list_make2(filter->quals, numbers);
}

List *
m3db_aggregate_write(const M3dbAggregateSpec *spec, List **exprs)
{
	List	   *groups = NIL;
	List	   *calls = NIL;
	List	   *filters = NIL;
	List	   *zone = NIL;
	List	   *where;
	List	   *numbers;
	int			expr_count = list_length(*exprs);

	for (int i = 0; i < spec->group_count; i++)
		groups = lappend_int(groups, spec->groups[i].attnum);
	if (spec->bucket.expr != NULL)
		*exprs = lappend(*exprs, spec->bucket.expr);
	if (spec->bucket.zone != NULL)
		zone = list_make1(makeString(spec->bucket.zone));
	for (int i = 0; i < spec->call_count; i++)
	{
		calls = lappend_int(calls, (int) spec->calls[i].kind);
		calls = lappend_int(calls, spec->calls[i].attnum);
		calls = lappend_int(calls, spec->calls[i].filter);
	}
	for (int i = 0; i < spec->filter_count; i++)
		filters = lappend(filters, write_filter(&spec->filters[i], exprs));
	where = write_filter(&spec->where, exprs);

	numbers = list_make4_int(spec->is_grouped, spec->is_partial, spec->bucket.expr != NULL,
							 list_length(*exprs) - expr_count);
	return lappend(list_make5(numbers, groups, zone, calls, filters), where);
}

/* ---- to execution ---- */

static void
read_filter(List *written, List *exprs, int *next_expr, M3dbAggregateFilter *filter)
{
	List	   *numbers = lsecond(written);
	int			qual_expr_count = linitial_int(numbers);

	filter->quals = linitial(written);
	filter->qual_exprs = NIL;
	for (int i = 0; i < qual_expr_count; i++)
		filter->qual_exprs = lappend(filter->qual_exprs, list_nth(exprs, (*next_expr)++));
	filter->value_qual_count = (list_length(numbers) - 1) / 2;
	filter->value_quals = palloc(sizeof(M3dbValueQual) * (Size) Max(filter->value_qual_count, 1));
	for (int i = 0; i < filter->value_qual_count; i++)
	{
		filter->value_quals[i].attnum = (AttrNumber) list_nth_int(numbers, 1 + 2 * i);
		filter->value_quals[i].strategy = (StrategyNumber) list_nth_int(numbers, 2 + 2 * i);
		filter->value_quals[i].expr = list_nth(exprs, (*next_expr)++);
	}
}

static void
read_calls(const List *written, M3dbAggregateSpec *spec)
{
	spec->call_count = list_length(written) / 3;
	spec->calls = palloc(sizeof(M3dbAggregateCall) * (Size) Max(spec->call_count, 1));
	for (int i = 0; i < spec->call_count; i++)
	{
		spec->calls[i].kind = (M3dbAggregateKind) list_nth_int(written, 3 * i);
		spec->calls[i].attnum = (AttrNumber) list_nth_int(written, 3 * i + 1);
		spec->calls[i].filter = list_nth_int(written, 3 * i + 2);
	}
}

M3dbAggregateSpec *
m3db_aggregate_read(List *written, List **exprs)
{
	M3dbAggregateSpec *spec = palloc0(sizeof(M3dbAggregateSpec));
	const List *numbers = list_nth(written, SPEC_NUMBERS);
	const List *groups = list_nth(written, SPEC_GROUPS);
	const List *zone = list_nth(written, SPEC_ZONE);
	const List *filters = list_nth(written, SPEC_FILTERS);
	List	   *all_exprs = *exprs;
	int			first_expr = list_length(all_exprs) - lfourth_int(numbers);
	int			next_expr = first_expr;

	spec->is_grouped = linitial_int(numbers) != 0;
	spec->is_partial = lsecond_int(numbers) != 0;
	if (lthird_int(numbers) != 0)
		spec->bucket.expr = list_nth(all_exprs, next_expr++);
	if (zone != NIL)
		spec->bucket.zone = strVal(linitial(zone));

	spec->group_count = list_length(groups);
	spec->groups = palloc(sizeof(M3dbAggregateGroup) * (Size) Max(spec->group_count, 1));
	for (int i = 0; i < spec->group_count; i++)
		spec->groups[i].attnum = (AttrNumber) list_nth_int(groups, i);
	read_calls(list_nth(written, SPEC_CALLS), spec);

	spec->filter_count = list_length(filters);
	spec->filters = palloc(sizeof(M3dbAggregateFilter) * (Size) Max(spec->filter_count, 1));
	for (int i = 0; i < spec->filter_count; i++)
		read_filter(list_nth(filters, i), all_exprs, &next_expr, &spec->filters[i]);
	read_filter(list_nth(written, SPEC_WHERE), all_exprs, &next_expr, &spec->where);

	*exprs = list_truncate(list_copy(all_exprs), first_expr);
	return spec;
}
