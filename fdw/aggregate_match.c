/*
 * Recognizing aggregate queries.
 *
 * A narrow table's row is a point, so any condition on its value keeps or drops points.  A wide
 * table's row has points of several columns; dropping rows by the value of one would drop points of
 * others, which would have to be decoded side by side.  So there, a condition on a column's
 * value is taken only where no other column is concerned: then a row is as much
 * as a point of that column.
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/aggregate_match.h"
#include "fdw/bucket_expr.h"
#include "fdw/own_function.h"
#include "fdw/plan.h"
#include "fdw/quals.h"
#include "fdw/value_quals.h"

typedef struct Matching
{
	const M3dbAggregateQuery *query;
	const M3dbTable *table;
	M3dbAggregateMatch *match;
	AttrNumber	where_column;	/* a wide table's, whose value WHERE is about, or 0 */
	List	   *group_exprs;	/* in the order of spec.groups */
	List	   *constant_exprs; /* it is grouped by, too, but they are the same everywhere */
	List	   *aggrefs;		/* in the order of spec.calls */
	List	   *filter_exprs;	/* in the order of spec.filters */
} Matching;

/* ---- columns ---- */

static const M3dbColumn *
column_of(const Matching *matching, const Node *node)
{
	return m3db_bare_column(matching->query->rel, matching->table, node);
}

static const M3dbColumn *
value_column_of(const Matching *matching, const Node *node)
{
	return m3db_bare_value_column(matching->query->rel, matching->table, node);
}

static bool
is_time_column(const Matching *matching, const Node *node)
{
	const M3dbColumn *column = column_of(matching, node);

	return column != NULL && column->attnum == matching->table->time_attnum;
}

/* ---- WHERE ---- */

/* WHERE, as far as the scan's quals leave something over. */
static bool
match_where(Matching *matching)
{
	RelOptInfo *rel = matching->query->rel;
	M3dbAggregateMatch *match = matching->match;
	M3dbAggregateFilter *where = &match->spec.where;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		M3dbQual	qual;
		M3dbValueQual value_qual;

		/* a one-time filter goes above a scan of the relation, and there will be none */
		if (rinfo->pseudoconstant)
			return false;
		if (m3db_qual_match(matching->query->root, rel, matching->table, rinfo, &qual))
			continue;
		if (!m3db_value_qual_match(rel, matching->table, (Node *) rinfo->clause, &value_qual))
			return false;
		/* one that is NULL is not read, if this is the only one that is */
		if (value_qual.expr != NULL)
			m3db_filter_add(matching->table, where, &value_qual);
		columns = list_append_unique_int(columns, value_qual.attnum);
		match->value_clauses = lappend(match->value_clauses, rinfo->clause);
	}
	if (matching->table->wide && columns != NIL)
		matching->where_column = (AttrNumber) linitial_int(columns);
	return !matching->table->wide || list_length(columns) <= 1;
}

/* ---- filters ---- */

/* The number of a FILTER among those seen, -1 if all pass it; false if it cannot be taken. */
static bool
match_filter(Matching *matching, Expr *condition, int *number)
{
	M3dbAggregateSpec *spec = &matching->match->spec;
	M3dbAggregateFilter filter = {0};
	ListCell   *lc;

	foreach(lc, matching->filter_exprs)
	{
		if (equal(lfirst(lc), condition))
		{
			*number = foreach_current_index(lc);
			return true;
		}
	}
	if (!m3db_filter_match(matching->query->root, matching->query->rel, matching->table,
						   condition, &filter))
		return false;
	if (filter.quals == NIL && filter.value_qual_count == 0)
	{
		*number = -1;
		return true;
	}
	*number = spec->filter_count;
	spec->filters[spec->filter_count++] = filter;
	matching->filter_exprs = lappend(matching->filter_exprs, condition);
	return true;
}

/* ---- aggregates ---- */

/* kind(value column) */
static bool
kind_of_value(Oid function, M3dbAggregateKind *kind)
{
	switch (function)
	{
		case F_SUM_FLOAT8:
			*kind = M3DB_AGGREGATE_SUM;
			return true;
		case F_AVG_FLOAT8:
			*kind = M3DB_AGGREGATE_AVG;
			return true;
		case F_MIN_FLOAT8:
			*kind = M3DB_AGGREGATE_MIN;
			return true;
		case F_MAX_FLOAT8:
			*kind = M3DB_AGGREGATE_MAX;
			return true;
		case F_VAR_POP_FLOAT8:
			*kind = M3DB_AGGREGATE_VAR_POP;
			return true;
		case F_VAR_SAMP_FLOAT8:
		case F_VARIANCE_FLOAT8:
			*kind = M3DB_AGGREGATE_VAR_SAMP;
			return true;
		case F_STDDEV_POP_FLOAT8:
			*kind = M3DB_AGGREGATE_STDDEV_POP;
			return true;
		case F_STDDEV_SAMP_FLOAT8:
		case F_STDDEV_FLOAT8:
			*kind = M3DB_AGGREGATE_STDDEV_SAMP;
			return true;
		default:
			return false;
	}
}

/* kind(time column) */
static bool
kind_of_time(Oid function, M3dbAggregateKind *kind)
{
	switch (function)
	{
		case F_MIN_TIMESTAMPTZ:
		case F_MIN_INT8:
			*kind = M3DB_AGGREGATE_FIRST_TIME;
			return true;
		case F_MAX_TIMESTAMPTZ:
		case F_MAX_INT8:
			*kind = M3DB_AGGREGATE_LAST_TIME;
			return true;
		default:
			return false;
	}
}

/* Nobody would notice that a tag is not of its column's type, if it is only counted. */
static bool
is_always_valid(const M3dbColumn *column)
{
	return column->role == M3DB_ROLE_VALUE ||
		(column->role == M3DB_ROLE_TAG && column->type_modifier < 0 &&
		 (column->type_id == TEXTOID || column->type_id == VARCHAROID));
}

static bool
match_count(const Matching *matching, const Node *argument, M3dbAggregateCall *call)
{
	const M3dbColumn *column = column_of(matching, argument);

	call->kind = M3DB_AGGREGATE_COUNT;
	if (is_time_column(matching, argument) ||
		(IsA(argument, Const) && !((const Const *) argument)->constisnull))
		return true;
	if (column == NULL || !is_always_valid(column))
		return false;
	call->attnum = column->attnum;
	return true;
}

/* kind(value column, time column) of ours */
static bool
match_own(const Matching *matching, const Aggref *aggref, const Node *value,
		  const Node *time, M3dbAggregateCall *call)
{
	const M3dbColumn *column = value_column_of(matching, value);
	const char *symbol;

	if (column == NULL || !is_time_column(matching, time))
		return false;
	symbol = m3db_own_aggregate(aggref->aggfnoid);
	if (symbol == NULL)
		return false;
	call->attnum = column->attnum;
	call->kind = M3DB_AGGREGATE_FIRST;
	if (strcmp(symbol, "m3db_first_trans") == 0)
		return true;
	call->kind = M3DB_AGGREGATE_LAST;
	return strcmp(symbol, "m3db_last_trans") == 0;
}

/* Which aggregate of what, apart from its FILTER. */
static bool
match_function(const Matching *matching, const Aggref *aggref, M3dbAggregateCall *call)
{
	const Node *argument = NULL;
	const M3dbColumn *column;

	call->attnum = InvalidAttrNumber;
	if (list_length(aggref->args) == 2)
		return match_own(matching, aggref,
						 (Node *) linitial_node(TargetEntry, aggref->args)->expr,
						 (Node *) lsecond_node(TargetEntry, aggref->args)->expr, call);
	if (aggref->aggfnoid == F_COUNT_)
	{
		call->kind = M3DB_AGGREGATE_COUNT;
		return true;
	}
	if (list_length(aggref->args) != 1)
		return false;
	argument = (Node *) linitial_node(TargetEntry, aggref->args)->expr;
	if (aggref->aggfnoid == F_COUNT_ANY)
		return match_count(matching, argument, call);
	if (kind_of_time(aggref->aggfnoid, &call->kind))
		return is_time_column(matching, argument);
	column = value_column_of(matching, argument);
	if (column == NULL)
		return false;
	call->attnum = column->attnum;
	return kind_of_value(aggref->aggfnoid, &call->kind);
}

/* Is it about rows, whatever their values? */
static bool
is_of_rows(const Matching *matching, const M3dbAggregateCall *call)
{
	return call->attnum == InvalidAttrNumber ||
		matching->table->columns[call->attnum - 1].role == M3DB_ROLE_TAG;
}

/*
 * The rule for wide tables: with conditions on the value of a column, it is about that column's
 * points.
 */
static bool
fit_to_wide(const Matching *matching, M3dbAggregateCall *call)
{
	AttrNumber	where_column = matching->where_column;
	AttrNumber	column = call->filter < 0 ? 0 :
		m3db_filter_column(&matching->match->spec.filters[call->filter]);

	if (where_column != 0)
		return (is_of_rows(matching, call) || call->attnum == where_column) &&
			(column == 0 || column == where_column);
	if (column <= 0)
		return column == 0;
	if (call->kind == M3DB_AGGREGATE_COUNT && call->attnum == InvalidAttrNumber)
		call->attnum = column;
	return call->attnum == column;
}

static bool
match_call(Matching *matching, const Aggref *aggref, M3dbAggregateCall *call)
{
	bool		is_partial = matching->query->is_partial;

	if (aggref->agglevelsup != 0 || aggref->aggkind != AGGKIND_NORMAL ||
		aggref->aggorder != NIL || aggref->aggdistinct != NIL ||
		aggref->aggsplit != (is_partial ? AGGSPLIT_INITIAL_SERIAL : AGGSPLIT_SIMPLE) ||
		!match_function(matching, aggref, call))
		return false;
	/* theirs is an internal state, which nobody else can make */
	if (is_partial &&
		(call->kind == M3DB_AGGREGATE_FIRST || call->kind == M3DB_AGGREGATE_LAST))
		return false;
	call->filter = -1;
	if (aggref->aggfilter != NULL &&
		!match_filter(matching, aggref->aggfilter, &call->filter))
		return false;
	return !matching->table->wide || fit_to_wide(matching, call);
}

/* ---- groups ---- */

/* A tag column whose equal values are equal texts, as those of all its types are. */
static const M3dbColumn *
match_tag_group(const Matching *matching, const Node *expr)
{
	const M3dbColumn *column = column_of(matching, expr);
	Oid			collation;

	if (column == NULL || column->role != M3DB_ROLE_TAG)
		return NULL;
	collation = exprCollation((Node *) expr);
	return !OidIsValid(collation) || get_collation_isdeterministic(collation) ?
		column : NULL;
}

static bool
match_group(Matching *matching, Expr *expr)
{
	M3dbAggregateMatch *match = matching->match;
	M3dbAggregateSpec *spec = &match->spec;
	const M3dbColumn *tag = match_tag_group(matching, (Node *) expr);
	M3dbBucketMatch bucket;

	if (list_member(matching->group_exprs, expr))
		return true;
	if (m3db_is_fixed((Node *) expr))
	{
		matching->constant_exprs = lappend(matching->constant_exprs, expr);
		return true;
	}
	spec->groups[spec->group_count].attnum = InvalidAttrNumber;
	if (tag != NULL)
		spec->groups[spec->group_count].attnum = tag->attnum;
	else
	{
		if (spec->bucket.expr != NULL ||
			!m3db_bucket_match(matching->query->root, matching->query->rel,
							   matching->table, expr, &bucket))
			return false;
		spec->bucket.expr = bucket.expr;
		spec->bucket.zone = bucket.zone;
		match->bucket_width_us = bucket.width_us;
	}
	spec->group_count++;
	matching->group_exprs = lappend(matching->group_exprs, expr);
	return true;
}

static bool
match_groups(Matching *matching)
{
	List	   *clauses = matching->query->root->parse->groupClause;
	M3dbAggregateSpec *spec = &matching->match->spec;
	ListCell   *lc;

	spec->is_grouped = clauses != NIL;
	spec->groups = palloc(sizeof(M3dbAggregateGroup) * (Size) Max(list_length(clauses), 1));
	foreach(lc, clauses)
	{
		if (!match_group(matching,
						 get_sortgroupclause_tle(lfirst(lc),
												 matching->query->target_list)->expr))
			return false;
	}
	return true;
}

/* ---- what comes out ---- */

/*
 * Collects the aggregates of an expression; true, to end the walk, if it has something
 * that is neither of groups nor of aggregates.
 */
static bool
collect_aggregates(Node *node, void *context)
{
	Matching   *matching = context;

	if (node == NULL || list_member(matching->group_exprs, node) ||
		list_member(matching->constant_exprs, node))
		return false;
	switch (nodeTag(node))
	{
		case T_Aggref:
			matching->aggrefs = list_append_unique(matching->aggrefs, node);
			return false;
		case T_Var:
		case T_GroupingFunc:
		case T_PlaceHolderVar:
			return true;
		default:
			return expression_tree_walker(node, collect_aggregates, context);
	}
}

static bool
match_calls(Matching *matching)
{
	M3dbAggregateSpec *spec = &matching->match->spec;
	Size		count;
	ListCell   *lc;

	if (collect_aggregates((Node *) matching->query->target->exprs, matching) ||
		collect_aggregates((Node *) matching->query->having, matching))
		return false;
	count = (Size) Max(list_length(matching->aggrefs), 1);
	spec->calls = palloc(sizeof(M3dbAggregateCall) * count);
	spec->filters = palloc(sizeof(M3dbAggregateFilter) * count);
	foreach(lc, matching->aggrefs)
	{
		if (!match_call(matching, lfirst(lc), &spec->calls[spec->call_count]))
			return false;
		spec->call_count++;
	}
	return true;
}

static List *
make_scan_tlist(const Matching *matching)
{
	List	   *exprs = list_concat_copy(matching->group_exprs, matching->aggrefs);
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, exprs)
		tlist = lappend(tlist, makeTargetEntry(lfirst(lc), (AttrNumber) (list_length(tlist) + 1),
											   NULL, false));
	return tlist;
}

/* Is it the first or the last of rows in which the column need not have a point? */
static bool
is_end_of_rows(const M3dbAggregateSpec *spec, const M3dbAggregateCall *call)
{
	return (call->kind == M3DB_AGGREGATE_FIRST || call->kind == M3DB_AGGREGATE_LAST) &&
		(call->filter < 0 || spec->filters[call->filter].value_qual_count == 0);
}

/* The columns of a wide table that are to be read: one that a condition picked, or all if it
 * matters which rows there are, else those of the calls. */
static void
find_columns_to_read(Matching *matching)
{
	const M3dbTable *table = matching->table;
	M3dbAggregateMatch *match = matching->match;
	const M3dbAggregateSpec *spec = &match->spec;
	bool		all = spec->is_grouped || spec->call_count == 0;
	List	   *called = NIL;

	if (matching->where_column != 0)
	{
		match->value_columns = list_make1_int(matching->where_column);
		return;
	}
	for (int i = 0; i < spec->call_count; i++)
	{
		all |= is_of_rows(matching, &spec->calls[i]) || is_end_of_rows(spec, &spec->calls[i]);
		called = lappend_int(called, spec->calls[i].attnum);
	}
	for (int i = 0; i < table->value_count; i++)
	{
		if (all || list_member_int(called, table->value_attnums[i]))
			match->value_columns = lappend_int(match->value_columns,
											   table->value_attnums[i]);
	}
}

bool
m3db_aggregate_match(const M3dbAggregateQuery *query, M3dbAggregateMatch *match)
{
	Matching	matching = {
		.query = query,
		.table = ((const M3dbRelInfo *) query->rel->fdw_private)->table,
		.match = match
	};

	memset(match, 0, sizeof(*match));
	match->spec.is_partial = query->is_partial;
	if (!match_where(&matching) || !match_groups(&matching) || !match_calls(&matching))
		return false;
	match->scan_tlist = make_scan_tlist(&matching);
	if (matching.table->wide)
		find_columns_to_read(&matching);
	return true;
}
