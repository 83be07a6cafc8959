/*
 * What conditions say when a scan starts: a time range and tag matchers.
 *
 * Conditions are combined as if each were true or not: one whose expression is NULL is never
 * true, and so is one on a tag that is not there.  That is exact since there is no NOT above
 * them; fdw/quals.c saw to that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/matcher.h"
#include "fdw/pattern.h"
#include "fdw/quals.h"

#define UNIX_TO_POSTGRES_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define UNIX_TO_POSTGRES_US (UNIX_TO_POSTGRES_DAYS * INT64CONST(86400000000))

/* ---- from plan to scan ---- */

List *
m3db_qual_exprs(const M3dbQual *qual)
{
	List	   *exprs = NIL;
	ListCell   *lc;

	if (qual->key != NULL)
		exprs = lappend(exprs, qual->key);
	if (qual->expr != NULL)
		exprs = lappend(exprs, qual->expr);
	foreach(lc, qual->parts)
		exprs = list_concat(exprs, m3db_qual_exprs(lfirst(lc)));
	return exprs;
}

List *
m3db_qual_serialize(const M3dbQual *qual)
{
	List	   *list = list_make3_int((int) qual->kind, qual->attnum,
									  qual->strategy);
	ListCell   *lc;

	list = lappend_int(list, (int) qual->value_type);
	list = lappend_int(list, (int) qual->function);
	list = lappend_int(list, (int) qual->collation);
	list = lappend_int(list, qual->negated);
	list = lappend_int(list, qual->key != NULL);
	list = lappend_int(list, qual->expr != NULL);
	list = lappend_int(list, list_length(qual->parts));
	foreach(lc, qual->parts)
		list = list_concat(list, m3db_qual_serialize(lfirst(lc)));
	return list;
}

static bool
is_json(M3dbQualKind kind)
{
	return kind == M3DB_QUAL_JSON_EQUAL || kind == M3DB_QUAL_CONTAINS ||
		kind == M3DB_QUAL_HAS_KEY || kind == M3DB_QUAL_HAS_ANY_KEY ||
		kind == M3DB_QUAL_HAS_ALL_KEYS;
}

static void
init_value_type(M3dbQualState *item)
{
	Oid			type = item->qual.value_type;
	Oid			output;
	bool		is_varlena;

	if (item->qual.kind == M3DB_QUAL_TIME || is_json(item->qual.kind))
		return;
	item->value_is_text = type == TEXTOID || type == VARCHAROID;
	if (!item->value_is_text)
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info(output, &item->output);
	}
	get_typlenbyvalalign(type, &item->value_length, &item->value_by_value,
						 &item->value_align);
}

M3Slice
m3db_qual_key(const Const *key)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(key->constvalue);

	return m3db_tag_bytes(VARDATA_ANY(text), (int) VARSIZE_ANY_EXHDR(text));
}

/* Reads one qual, with its parts; *at and *expr are where they are in their lists. */
static void
init_item(List *numbers, int *at, List *exprs, int *expr, PlanState *parent,
		  M3dbQualState *item)
{
	M3dbQual   *qual = &item->qual;

	memset(item, 0, sizeof(*item));
	qual->kind = (M3dbQualKind) list_nth_int(numbers, (*at)++);
	qual->attnum = (AttrNumber) list_nth_int(numbers, (*at)++);
	qual->strategy = (StrategyNumber) list_nth_int(numbers, (*at)++);
	qual->value_type = (Oid) list_nth_int(numbers, (*at)++);
	qual->function = (Oid) list_nth_int(numbers, (*at)++);
	qual->collation = (Oid) list_nth_int(numbers, (*at)++);
	qual->negated = list_nth_int(numbers, (*at)++) != 0;
	if (list_nth_int(numbers, (*at)++) != 0)
		item->key = m3db_qual_key(list_nth_node(Const, exprs, (*expr)++));
	if (list_nth_int(numbers, (*at)++) != 0)
	{
		item->state = ExecInitExpr(list_nth(exprs, (*expr)++), parent);
		init_value_type(item);
	}
	item->part_count = list_nth_int(numbers, (*at)++);
	if (item->part_count > 0)
		item->parts = palloc(sizeof(M3dbQualState) * item->part_count);
	for (int i = 0; i < item->part_count; i++)
		init_item(numbers, at, exprs, expr, parent, &item->parts[i]);
}

void
m3db_quals_init(List *serialized, List *exprs, PlanState *parent,
				M3dbQualStates *quals)
{
	ListCell   *lc;
	int			expr = 0;

	quals->count = 0;
	quals->items = palloc(sizeof(M3dbQualState) * (list_length(serialized) + 1));
	foreach(lc, serialized)
	{
		int			at = 0;

		init_item(lfirst(lc), &at, exprs, &expr, parent, &quals->items[quals->count++]);
	}
}

/* ---- bounds ---- */

static int64
add_saturated(int64 a, int64 b)
{
	int64		sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? PG_INT64_MAX : PG_INT64_MIN;
	return sum;
}

/* The first nanosecond of a PostgreSQL microsecond. */
static int64
first_ns(TimestampTz time)
{
	int64		unix_us = add_saturated(time, UNIX_TO_POSTGRES_US);
	int64		ns;

	if (__builtin_mul_overflow(unix_us, INT64CONST(1000), &ns))
		return unix_us > 0 ? PG_INT64_MAX : PG_INT64_MIN;
	return ns;
}

int64
m3db_qual_time_value(Datum value, Oid value_type)
{
	int			overflow;

	switch (value_type)
	{
		case TIMESTAMPOID:
			return timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value),
													  &overflow);
		case DATEOID:
			return date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
		case INT4OID:
			return DatumGetInt32(value);
		case INT2OID:
			return DatumGetInt16(value);
		default:
			return DatumGetInt64(value);	/* TIMESTAMPTZOID, INT8OID */
	}
}

void
m3db_qual_narrow(M3dbRole role, StrategyNumber strategy, int64 value,
				 int64 *start_ns, int64 *end_ns)
{
	int64		after = add_saturated(value, 1);
	int64		value_ns = role == M3DB_ROLE_TIME ? first_ns(value) : value;
	int64		after_ns = role == M3DB_ROLE_TIME ? first_ns(after) : after;

	switch (strategy)
	{
		case BTLessStrategyNumber:
			*end_ns = Min(*end_ns, value_ns);
			break;
		case BTLessEqualStrategyNumber:
			*end_ns = Min(*end_ns, after_ns);
			break;
		case BTEqualStrategyNumber:
			*start_ns = Max(*start_ns, value_ns);
			*end_ns = Min(*end_ns, after_ns);
			break;
		case BTGreaterEqualStrategyNumber:
			*start_ns = Max(*start_ns, value_ns);
			break;
		case BTGreaterStrategyNumber:
			*start_ns = Max(*start_ns, after_ns);
			break;
		default:
			elog(ERROR, "unexpected strategy number: %d", strategy);
	}
}

/* ---- matchers ---- */

/* A value as the bytes of a tag, in the current memory context. */
static M3Slice
tag_bytes(const M3dbQualState *item, Datum value)
{
	struct varlena *varlena;
	char	   *text;

	if (item->value_is_text)
	{
		varlena = PG_DETOAST_DATUM_PACKED(value);
		return m3db_tag_bytes(VARDATA_ANY(varlena), (int) VARSIZE_ANY_EXHDR(varlena));
	}
	text = OutputFunctionCall((FmgrInfo *) &item->output, value);
	return m3db_tag_bytes(text, (int) strlen(text));
}

static void
set_single_value(M3MatchKind kind, M3Slice name, M3Slice bytes, M3Matcher *matcher)
{
	M3Slice    *value = palloc(sizeof(M3Slice));

	*value = bytes;
	m3db_matcher_tag(kind, name, value, 1, matcher);
}

/* kind is that of a comparison with any element, or with none: for that, NULL is enough not to
 * be true, and it needs no tag if there are no elements. */
static void
set_array_values(const M3dbQualState *item, M3MatchKind kind, M3Slice name, Datum array,
				 M3Matcher *matcher)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	size_t		used = 0;
	M3Slice    *values;

	deconstruct_array(DatumGetArrayTypeP(array), item->qual.value_type,
					  item->value_length, item->value_by_value, item->value_align,
					  &elements, &nulls, &count);
	values = palloc(sizeof(M3Slice) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			values[used++] = tag_bytes(item, elements[i]);
	}
	if (kind != M3_MATCH_NONE_OF ? used == 0 : used < count)
		m3db_matcher_constant(false, matcher);
	else if (used == 0)
		m3db_matcher_constant(true, matcher);
	else
		m3db_matcher_tag(kind, name, values, m3db_sort_unique(values, used), matcher);
}

/* A tag that is never there, since it is shown by a column of its own. */
static void
set_missing(const M3dbQualState *item, Datum value, M3Matcher *matcher)
{
	bool		always = item->qual.kind == M3DB_QUAL_IS_NULL;

	/* compared with no element at all */
	if (item->qual.kind == M3DB_QUAL_NONE)
		always = ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(value)),
								ARR_DIMS(DatumGetArrayTypeP(value))) == 0;
	m3db_matcher_constant(always, matcher);
}

static void
set_matcher(const M3dbTable *table, const M3dbQualState *item, Datum value,
			M3Matcher *matcher)
{
	const M3dbColumn *column = &table->columns[item->qual.attnum - 1];
	M3MatchKind equal = column->role == M3DB_ROLE_ID ? M3_MATCH_ID : M3_MATCH_ANY_OF;
	M3Slice		name = item->key.data != NULL ? item->key : column->tag;
	M3Slice		bytes;

	if (item->key.data != NULL && !m3db_json_shows(table, name))
	{
		set_missing(item, value, matcher);
		return;
	}
	switch (item->qual.kind)
	{
		case M3DB_QUAL_EQUAL:
			set_single_value(equal, name, tag_bytes(item, value), matcher);
			break;
		case M3DB_QUAL_NOT_EQUAL:
			set_single_value(M3_MATCH_NONE_OF, name, tag_bytes(item, value), matcher);
			break;
		case M3DB_QUAL_ANY:
			set_array_values(item, equal, name, value, matcher);
			break;
		case M3DB_QUAL_NONE:
			set_array_values(item, M3_MATCH_NONE_OF, name, value, matcher);
			break;
		case M3DB_QUAL_PATTERN:
			m3db_matcher_tag(M3_MATCH_FILTER, name, NULL, 0, matcher);
			m3db_pattern_matcher(item->qual.function, item->qual.collation,
								 item->qual.negated, value, matcher);
			break;
		case M3DB_QUAL_IS_NULL:
			m3db_matcher_tag(M3_MATCH_ABSENT, name, NULL, 0, matcher);
			break;
		case M3DB_QUAL_IS_NOT_NULL:
			m3db_matcher_tag(M3_MATCH_PRESENT, name, NULL, 0, matcher);
			break;
		case M3DB_QUAL_JSON_EQUAL:
			if (m3db_json_string(value, &bytes))
				set_single_value(item->qual.negated ? M3_MATCH_NONE_OF : M3_MATCH_ANY_OF, name,
								 bytes, matcher);
			else if (item->qual.negated)
				m3db_matcher_tag(M3_MATCH_PRESENT, name, NULL, 0, matcher);
			else
				m3db_matcher_constant(false, matcher);
			break;
		case M3DB_QUAL_CONTAINS:
		case M3DB_QUAL_HAS_KEY:
		case M3DB_QUAL_HAS_ANY_KEY:
		case M3DB_QUAL_HAS_ALL_KEYS:
			m3db_json_matcher(table, item->qual.kind, item->qual.negated, value, matcher);
			break;
		case M3DB_QUAL_TIME:
		case M3DB_QUAL_AND:
		case M3DB_QUAL_OR:
			pg_unreachable();
	}
}

void
m3db_qual_matcher(const M3dbTable *table, const M3dbQual *qual, Datum value,
				  M3Matcher *matcher)
{
	M3dbQualState item = {.qual = *qual};

	if (qual->key != NULL)
		item.key = m3db_qual_key(qual->key);
	if (qual->expr != NULL)
		init_value_type(&item);
	set_matcher(table, &item, value, matcher);
}

/* ---- the whole ---- */

static void
evaluate_item(const M3dbTable *table, const M3dbQualState *item, ExprContext *econtext,
			  M3Matcher *matcher)
{
	Datum		value = (Datum) 0;
	bool		is_null = false;
	M3Matcher  *parts;

	if (item->part_count > 0)
	{
		parts = palloc(sizeof(M3Matcher) * item->part_count);
		for (int i = 0; i < item->part_count; i++)
			evaluate_item(table, &item->parts[i], econtext, &parts[i]);
		m3db_matcher_tree(item->qual.kind == M3DB_QUAL_AND ? M3_MATCH_ALL : M3_MATCH_EITHER,
						  parts, (size_t) item->part_count, matcher);
		return;
	}
	/* every operator accepted is strict: NULL keeps no row */
	if (item->state != NULL)
		value = ExecEvalExprSwitchContext(item->state, econtext, &is_null);
	if (is_null)
		m3db_matcher_constant(false, matcher);
	else
		set_matcher(table, item, value, matcher);
}

static void
evaluate_time(const M3dbTable *table, const M3dbQualState *item, ExprContext *econtext,
			  M3dbConditions *conditions)
{
	bool		is_null;
	Datum		value = ExecEvalExprSwitchContext(item->state, econtext, &is_null);

	if (is_null)
		conditions->nothing = true;
	else
		m3db_qual_narrow(table->columns[item->qual.attnum - 1].role, item->qual.strategy,
						 m3db_qual_time_value(value, item->qual.value_type),
						 &conditions->start_ns, &conditions->end_ns);
}

void
m3db_quals_evaluate(const M3dbTable *table, const M3dbQualStates *quals,
					ExprContext *econtext, M3dbConditions *conditions)
{
	conditions->nothing = false;
	conditions->start_ns = PG_INT64_MIN;
	conditions->end_ns = PG_INT64_MAX;
	conditions->matchers = palloc(sizeof(M3Matcher) * (quals->count + 1));
	conditions->matcher_count = 0;

	for (int i = 0; i < quals->count && !conditions->nothing; i++)
	{
		const M3dbQualState *item = &quals->items[i];
		M3Matcher  *matcher = &conditions->matchers[conditions->matcher_count];

		if (item->qual.kind == M3DB_QUAL_TIME)
		{
			evaluate_time(table, item, econtext, conditions);
			continue;
		}
		evaluate_item(table, item, econtext, matcher);
		if (m3db_matcher_is_constant(matcher, false))
			conditions->nothing = true;
		else if (!m3db_matcher_is_constant(matcher, true))
			conditions->matcher_count++;
	}
	if (conditions->start_ns >= conditions->end_ns)
		conditions->nothing = true;
}
