/*
 * WHERE and join clauses become a time range and tag matchers.
 *
 * Why these are exact, so that the clause need not be checked again:
 *
 * A timestamptz column shows the microsecond in which a point's nanosecond lies, so
 * a bound on what is shown is a bound at a whole microsecond on what is
 * stored.  Comparisons with date and timestamp convert the other side to
 * timestamptz, as the operators themselves do.
 *
 * A tag is stored as its type's canonical text and read back only if it is that
 * (fdw/project.c), so equal values are equal bytes and the other way round
 * for the types accepted here.  Text compares by bytes under every
 * deterministic collation; clauses under another one are left alone.
 *
 * A pattern is evaluated by its operator's own function (fdw/pattern.c), which can fail on
 * a value; so it is taken only if no clause of a lower security level must be
 * evaluated before.  The levels of other clauses do not matter: they cannot fail on, or tell
 * anything about, a row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/pattern.h"
#include "fdw/quals.h"

#define UNIX_TO_POSTGRES_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define UNIX_TO_POSTGRES_US (UNIX_TO_POSTGRES_DAYS * INT64CONST(86400000000))

/* ---- plan time: recognizing clauses ---- */

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

AttrNumber
m3db_qual_column(const RelOptInfo *rel, const M3dbTable *table, Node *expr)
{
	Var		   *var = (Var *) strip_relabel(expr);

	if (var == NULL || !IsA(var, Var) || var->varno != (int) rel->relid ||
		var->varlevelsup != 0 || var->varattno <= 0 ||
		var->varattno > table->column_count)
		return InvalidAttrNumber;
	return var->varattno;
}

/* May expr be evaluated once per scan of rel? */
static bool
is_fixed_during_scan(PlannerInfo *root, const RelOptInfo *rel, Expr *expr)
{
	Relids		varnos = pull_varnos(root, (Node *) expr);
	bool		depends = bms_is_member(rel->relid, varnos);

	bms_free(varnos);
	return !depends && !contain_subplans((Node *) expr) &&
		!contain_volatile_functions((Node *) expr);
}

/* Types whose equal values have equal output, and none other has. */
static bool
has_canonical_text(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case BOOLOID:
			return true;
		default:
			return type_is_enum(type);
	}
}

/* Can a value of type be compared with a tag of tag_type by their texts? */
static bool
text_comparable(Oid tag_type, Oid type)
{
	switch (tag_type)
	{
		case TEXTOID:
		case VARCHAROID:
			return type == TEXTOID || type == VARCHAROID || type == NAMEOID;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return type == INT2OID || type == INT4OID || type == INT8OID;
		default:
			return type == tag_type;
	}
}

static bool
is_deterministic(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/* Is opno the "=" that belongs to the type's order? */
static bool
is_equality(Oid opno, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	return OidIsValid(entry->btree_opf) &&
		get_op_opfamily_strategy(opno, entry->btree_opf) == BTEqualStrategyNumber;
}

static bool
match_time(const M3dbColumn *column, Oid opno, Expr *expr, M3dbQual *qual)
{
	Oid			type = column->role == M3DB_ROLE_TIME ? TIMESTAMPTZOID : INT8OID;
	TypeCacheEntry *entry;
	int			strategy;
	Oid			left_type;
	Oid			right_type;

	if (column->type_id != type)
		return false;
	entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	if (!OidIsValid(entry->btree_opf) ||
		get_op_opfamily_strategy(opno, entry->btree_opf) == 0)
		return false;
	get_op_opfamily_properties(opno, entry->btree_opf, false, &strategy,
							   &left_type, &right_type);
	if (left_type != type)
		return false;
	switch (right_type)
	{
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
		case DATEOID:
		case INT8OID:
		case INT4OID:
		case INT2OID:
			break;
		default:
			return false;
	}

	qual->kind = M3DB_QUAL_TIME;
	qual->strategy = (StrategyNumber) strategy;
	qual->value_type = right_type;
	qual->expr = expr;
	return true;
}

/* tag op expr, for = and <> */
static bool
match_tag(const M3dbTable *table, const M3dbColumn *column, Oid opno,
		  Oid collation, Expr *expr, M3dbQual *qual)
{
	Oid			type = column->type_id;

	if (!has_canonical_text(type) || !is_deterministic(collation))
		return false;
	if (is_equality(opno, type))
		qual->kind = M3DB_QUAL_EQUAL;
	else if (column->role == M3DB_ROLE_TAG &&
			 is_equality(get_negator(opno), type))
		qual->kind = M3DB_QUAL_NOT_EQUAL;
	else
		return false;

	qual->value_type = getBaseType(exprType((Node *) expr));
	qual->expr = expr;
	return text_comparable(type, qual->value_type);
}

/* function(tag, expr) */
static bool
match_pattern(const M3dbColumn *column, Oid function, Oid collation, Expr *expr,
			  M3dbQual *qual)
{
	Oid			type = getBaseType(exprType((Node *) expr));

	if (column->role != M3DB_ROLE_TAG ||
		(column->type_id != TEXTOID && column->type_id != VARCHAROID) ||
		(type != TEXTOID && type != VARCHAROID) ||
		!m3db_pattern_is_function(function))
		return false;
	/* without a collation, the function has its own error to tell */
	if (!OidIsValid(collation) || !is_deterministic(collation))
		return false;
	qual->kind = M3DB_QUAL_PATTERN;
	qual->value_type = type;
	qual->function = function;
	qual->collation = collation;
	qual->expr = expr;
	return true;
}

/* An id stands for one series, so not in a wide table, where a row has several. */
static bool
is_matchable(const M3dbTable *table, const M3dbColumn *column)
{
	return column->role == M3DB_ROLE_TAG ||
		(column->role == M3DB_ROLE_ID && !table->wide);
}

static bool
match_operator(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
			   OpExpr *clause, M3dbQual *qual)
{
	Oid			opno = clause->opno;
	Expr	   *expr;
	const M3dbColumn *column;

	if (list_length(clause->args) != 2)
		return false;
	qual->attnum = m3db_qual_column(rel, table, linitial(clause->args));
	expr = lsecond(clause->args);
	if (qual->attnum == InvalidAttrNumber)
	{
		qual->attnum = m3db_qual_column(rel, table, lsecond(clause->args));
		expr = linitial(clause->args);
		opno = get_commutator(opno);
		if (qual->attnum == InvalidAttrNumber || !OidIsValid(opno))
			return false;
	}
	if (!is_fixed_during_scan(root, rel, expr))
		return false;

	column = &table->columns[qual->attnum - 1];
	if (column->role == M3DB_ROLE_TIME || column->role == M3DB_ROLE_TIME_NS)
		return match_time(column, opno, expr, qual);
	if (!is_matchable(table, column))
		return false;
	return match_tag(table, column, opno, clause->inputcollid, expr, qual) ||
		match_pattern(column, get_opcode(opno), clause->inputcollid, expr, qual);
}

/* starts_with(tag, expr); its operator comes as match_operator's. */
static bool
match_function(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
			   FuncExpr *clause, M3dbQual *qual)
{
	if (list_length(clause->args) != 2)
		return false;
	qual->attnum = m3db_qual_column(rel, table, linitial(clause->args));
	return qual->attnum != InvalidAttrNumber &&
		is_fixed_during_scan(root, rel, lsecond(clause->args)) &&
		match_pattern(&table->columns[qual->attnum - 1], clause->funcid,
					  clause->inputcollid, lsecond(clause->args), qual);
}

static bool
match_array(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
			ScalarArrayOpExpr *clause, M3dbQual *qual)
{
	Expr	   *expr = lsecond(clause->args);
	const M3dbColumn *column;
	Oid			type;

	qual->attnum = m3db_qual_column(rel, table, linitial(clause->args));
	if (qual->attnum == InvalidAttrNumber || !clause->useOr)
		return false;
	column = &table->columns[qual->attnum - 1];
	type = column->type_id;
	if (!is_matchable(table, column) || !has_canonical_text(type) ||
		!is_deterministic(clause->inputcollid) ||
		!is_equality(clause->opno, type) || !is_fixed_during_scan(root, rel, expr))
		return false;

	qual->kind = M3DB_QUAL_ANY;
	qual->value_type = get_base_element_type(exprType((Node *) expr));
	if (!OidIsValid(qual->value_type))
		return false;
	qual->value_type = getBaseType(qual->value_type);
	qual->expr = expr;
	return text_comparable(type, qual->value_type);
}

static bool
match_null_test(RelOptInfo *rel, const M3dbTable *table, NullTest *clause,
				M3dbQual *qual)
{
	qual->attnum = m3db_qual_column(rel, table, (Node *) clause->arg);
	if (qual->attnum == InvalidAttrNumber || clause->argisrow ||
		table->columns[qual->attnum - 1].role != M3DB_ROLE_TAG)
		return false;
	qual->kind = clause->nulltesttype == IS_NULL ?
		M3DB_QUAL_IS_NULL : M3DB_QUAL_IS_NOT_NULL;
	return true;
}

/* "flag" and "NOT flag", which is what the planner makes of flag = true. */
static bool
match_boolean(RelOptInfo *rel, const M3dbTable *table, Node *node, bool value,
			  M3dbQual *qual)
{
	qual->attnum = m3db_qual_column(rel, table, node);
	if (qual->attnum == InvalidAttrNumber ||
		table->columns[qual->attnum - 1].role != M3DB_ROLE_TAG)
		return false;
	qual->kind = M3DB_QUAL_EQUAL;
	qual->value_type = BOOLOID;
	qual->expr = (Expr *) makeBoolConst(value, false);
	return true;
}

static bool match_clause(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
						 Expr *clause, M3dbQual *qual);

/* "NOT flag", and of patterns those whose operator has no negator. */
static bool
match_negation(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
			   Expr *arg, M3dbQual *qual)
{
	if (match_boolean(rel, table, (Node *) arg, false, qual))
		return true;
	if (!(IsA(arg, OpExpr) || IsA(arg, FuncExpr)) ||
		!match_clause(root, rel, table, arg, qual) || qual->kind != M3DB_QUAL_PATTERN)
		return false;
	qual->negated = true;
	return true;
}

static bool
match_clause(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
			 Expr *clause, M3dbQual *qual)
{
	memset(qual, 0, sizeof(*qual));
	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return match_operator(root, rel, table, (OpExpr *) clause, qual);
		case T_FuncExpr:
			return match_function(root, rel, table, (FuncExpr *) clause, qual);
		case T_ScalarArrayOpExpr:
			return match_array(root, rel, table, (ScalarArrayOpExpr *) clause, qual);
		case T_NullTest:
			return match_null_test(rel, table, (NullTest *) clause, qual);
		case T_Var:
			return match_boolean(rel, table, (Node *) clause, true, qual);
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop != NOT_EXPR)
				return false;
			return match_negation(root, rel, table,
								  linitial(((BoolExpr *) clause)->args), qual);
		default:
			return false;
	}
}

bool
m3db_qual_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
				RestrictInfo *rinfo, M3dbQual *qual)
{
	return match_clause(root, rel, table, rinfo->clause, qual) &&
		(qual->kind != M3DB_QUAL_PATTERN ||
		 restriction_is_securely_promotable(rinfo, rel));
}

/* ---- the way from plan to scan ---- */

List *
m3db_qual_serialize(const M3dbQual *qual)
{
	List	   *list = list_make3_int((int) qual->kind, qual->attnum,
									  qual->strategy);

	list = lappend_int(list, (int) qual->value_type);
	list = lappend_int(list, qual->expr != NULL);
	list = lappend_int(list, (int) qual->function);
	list = lappend_int(list, (int) qual->collation);
	return lappend_int(list, qual->negated);
}

static void
init_value_type(M3dbQualState *item)
{
	Oid			type = item->qual.value_type;
	Oid			output;
	bool		is_varlena;

	item->value_is_text = type == TEXTOID || type == VARCHAROID;
	if (!item->value_is_text)
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info(output, &item->output);
	}
	get_typlenbyvalalign(type, &item->value_length, &item->value_by_value,
						 &item->value_align);
}

void
m3db_quals_init(List *serialized, List *exprs, PlanState *parent,
				M3dbQualStates *quals)
{
	ListCell   *lc;
	ListCell   *next_expr = list_head(exprs);

	quals->count = 0;
	quals->items = palloc0(sizeof(M3dbQualState) * (list_length(serialized) + 1));
	foreach(lc, serialized)
	{
		List	   *list = lfirst(lc);
		M3dbQualState *item = &quals->items[quals->count++];

		item->qual.kind = (M3dbQualKind) linitial_int(list);
		item->qual.attnum = (AttrNumber) lsecond_int(list);
		item->qual.strategy = (StrategyNumber) lthird_int(list);
		item->qual.value_type = (Oid) lfourth_int(list);
		item->qual.function = (Oid) list_nth_int(list, 5);
		item->qual.collation = (Oid) list_nth_int(list, 6);
		item->qual.negated = list_nth_int(list, 7) != 0;
		if (list_nth_int(list, 4) == 0)
			continue;
		Assert(next_expr != NULL);
		item->state = ExecInitExpr(lfirst(next_expr), parent);
		next_expr = lnext(exprs, next_expr);
		if (item->qual.kind != M3DB_QUAL_TIME)
			init_value_type(item);
	}
}

/* ---- run time: bounds ---- */

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

/* ---- run time: matchers ---- */

/* A value as the bytes of a tag, in the current memory context. */
static M3Slice
tag_bytes(const M3dbQualState *item, Datum value)
{
	char	   *text;
	char	   *utf8;
	int			size;

	if (item->value_is_text)
	{
		struct varlena *varlena = PG_DETOAST_DATUM_PACKED(value);

		size = (int) VARSIZE_ANY_EXHDR(varlena);
		text = pnstrdup(VARDATA_ANY(varlena), size);
	}
	else
	{
		text = OutputFunctionCall((FmgrInfo *) &item->output, value);
		size = (int) strlen(text);
	}
	utf8 = pg_server_to_any(text, size, PG_UTF8);
	if (utf8 != text)
		size = (int) strlen(utf8);
	return m3_slice(utf8, size);
}

static int
compare_slices(const void *a, const void *b)
{
	return m3_slice_compare(*(const M3Slice *) a, *(const M3Slice *) b);
}

static size_t
sort_unique(M3Slice *values, size_t count)
{
	size_t		kept = 0;

	qsort(values, count, sizeof(M3Slice), compare_slices);
	for (size_t i = 0; i < count; i++)
	{
		if (kept == 0 || !m3_slice_equal(values[kept - 1], values[i]))
			values[kept++] = values[i];
	}
	return kept;
}

static void
set_array_values(const M3dbQualState *item, Datum array, M3Matcher *matcher)
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
	matcher->values = values;
	matcher->value_count = sort_unique(values, used);
}

static void
set_single_value(const M3dbQualState *item, Datum datum, M3Matcher *matcher)
{
	M3Slice    *value = palloc(sizeof(M3Slice));

	*value = tag_bytes(item, datum);
	matcher->values = value;
	matcher->value_count = 1;
}

/* False if the qual cannot be fulfilled. */
static bool
set_matcher(const M3dbTable *table, const M3dbQualState *item, Datum value,
			M3Matcher *matcher)
{
	const M3dbColumn *column = &table->columns[item->qual.attnum - 1];

	memset(matcher, 0, sizeof(*matcher));
	matcher->name = column->tag;
	matcher->kind = column->role == M3DB_ROLE_ID ? M3_MATCH_ID : M3_MATCH_ANY_OF;
	switch (item->qual.kind)
	{
		case M3DB_QUAL_EQUAL:
			set_single_value(item, value, matcher);
			break;
		case M3DB_QUAL_NOT_EQUAL:
			matcher->kind = M3_MATCH_NONE_OF;
			set_single_value(item, value, matcher);
			break;
		case M3DB_QUAL_ANY:
			set_array_values(item, value, matcher);
			return matcher->value_count > 0;
		case M3DB_QUAL_PATTERN:
			m3db_pattern_matcher(item->qual.function, item->qual.collation,
								 item->qual.negated, value, matcher);
			break;
		case M3DB_QUAL_IS_NULL:
			matcher->kind = M3_MATCH_ABSENT;
			break;
		case M3DB_QUAL_IS_NOT_NULL:
			matcher->kind = M3_MATCH_PRESENT;
			break;
		case M3DB_QUAL_TIME:
			pg_unreachable();
	}
	return true;
}

bool
m3db_qual_matcher(const M3dbTable *table, const M3dbQual *qual, Datum value,
				  M3Matcher *matcher)
{
	M3dbQualState item = {.qual = *qual};

	if (qual->expr != NULL)
		init_value_type(&item);
	return set_matcher(table, &item, value, matcher);
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
		Datum		value = (Datum) 0;
		bool		is_null = false;

		/* every operator accepted is strict: NULL keeps no row */
		if (item->state != NULL)
			value = ExecEvalExprSwitchContext(item->state, econtext, &is_null);
		if (is_null)
			conditions->nothing = true;
		else if (item->qual.kind == M3DB_QUAL_TIME)
			m3db_qual_narrow(table->columns[item->qual.attnum - 1].role,
							 item->qual.strategy,
							 m3db_qual_time_value(value, item->qual.value_type),
							 &conditions->start_ns, &conditions->end_ns);
		else if (!set_matcher(table, item, value,
							  &conditions->matchers[conditions->matcher_count++]))
			conditions->nothing = true;
	}
	if (conditions->start_ns >= conditions->end_ns)
		conditions->nothing = true;
}
