/*
 * Recognizing WHERE and join clauses that a scan can evaluate exactly.
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
 * deterministic collation; clauses under another one are left alone.  Strings in a jsonb
 * always compare by bytes.
 *
 * AND and OR are exact if their parts are: what is NULL is not true, and that is all
 * a scan needs to know.  NOT is another matter; the planner turns it into the opposite
 * operators, and what it cannot turn is either recognized as a whole or left alone.
 *
 * A pattern is evaluated by its operator's own function (fdw/pattern.c), which can fail on
 * a value; so it is taken only if no clause of a lower security level must be
 * evaluated before.  The levels of other clauses do not matter: they cannot fail on, or tell
 * anything about, a row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/pattern.h"
#include "fdw/quals.h"
#include "server/server.h"

/* AND and OR may be nested so deep; each condition can be a tree of matchers itself. */
#define MAX_DEPTH (M3_MATCH_MAX_DEPTH - 6)

/* What clauses are matched with. */
typedef struct Target
{
	PlannerInfo *root;
	const RelOptInfo *rel;
	const M3dbTable *table;
} Target;

/* ---- operands ---- */

/* What of a row a condition is about. */
typedef struct Operand
{
	const M3dbColumn *column;
	Const	   *key;			/* of the column of role TAGS, or NULL */
	bool		is_tag;
	bool		is_json;		/* a tag as a jsonb */
	Oid			type;
} Operand;

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

/* The column of role TAGS. */
static const M3dbColumn *
tags_column(const Target *target, Node *node)
{
	AttrNumber	attnum = m3db_qual_column(target->rel, target->table, node);
	const M3dbColumn *column;

	if (attnum == InvalidAttrNumber)
		return NULL;
	column = &target->table->columns[attnum - 1];
	return column->role == M3DB_ROLE_TAGS && column->type_id == JSONBOID ? column : NULL;
}

/* tags ->> 'key' or tags -> 'key' */
static bool
find_tag_operand(const Target *target, Node *node, Operand *operand)
{
	OpExpr	   *expr = (OpExpr *) strip_relabel(node);
	Const	   *key;
	Oid			function;

	if (expr == NULL || !IsA(expr, OpExpr) || list_length(expr->args) != 2)
		return false;
	function = get_opcode(expr->opno);
	key = (Const *) strip_relabel(lsecond(expr->args));
	operand->column = tags_column(target, linitial(expr->args));
	if ((function != F_JSONB_OBJECT_FIELD && function != F_JSONB_OBJECT_FIELD_TEXT) ||
		operand->column == NULL || !IsA(key, Const) || key->constisnull)
		return false;
	operand->key = key;
	operand->is_tag = true;
	operand->is_json = function == F_JSONB_OBJECT_FIELD;
	operand->type = operand->is_json ? JSONBOID : TEXTOID;
	return true;
}

static bool
find_operand(const Target *target, Node *node, Operand *operand)
{
	AttrNumber	attnum = m3db_qual_column(target->rel, target->table, node);

	memset(operand, 0, sizeof(*operand));
	if (attnum == InvalidAttrNumber)
		return find_tag_operand(target, node, operand);
	operand->column = &target->table->columns[attnum - 1];
	operand->is_tag = operand->column->role == M3DB_ROLE_TAG;
	operand->type = operand->column->type_id;
	return true;
}

AttrNumber
m3db_qual_operand(const RelOptInfo *rel, const M3dbTable *table, Node *expr)
{
	const Target target = {NULL, rel, table};
	Operand		operand;

	return find_operand(&target, expr, &operand) ? operand.column->attnum :
		InvalidAttrNumber;
}

static void
set_operand(const Operand *operand, M3dbQual *qual)
{
	qual->attnum = operand->column->attnum;
	qual->key = operand->key;
}

/* An id stands for one series, so not in a wide table, where a row has several. */
static bool
is_comparable(const Target *target, const Operand *operand)
{
	return !operand->is_json &&
		(operand->is_tag ||
		 (operand->column->role == M3DB_ROLE_ID && !target->table->wide));
}

/* May expr be evaluated once per scan of rel? */
static bool
is_fixed_during_scan(const Target *target, Expr *expr)
{
	Relids		varnos = pull_varnos(target->root, (Node *) expr);
	bool		depends = bms_is_member(target->rel->relid, varnos);

	bms_free(varnos);
	return !depends && !contain_subplans((Node *) expr) &&
		!contain_volatile_functions((Node *) expr);
}

/* ---- comparisons ---- */

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

	return OidIsValid(opno) && OidIsValid(entry->btree_opf) &&
		get_op_opfamily_strategy(opno, entry->btree_opf) == BTEqualStrategyNumber;
}

static bool
match_time(const Operand *operand, Oid opno, Expr *expr, M3dbQual *qual)
{
	Oid			type = operand->column->role == M3DB_ROLE_TIME ? TIMESTAMPTZOID : INT8OID;
	TypeCacheEntry *entry;
	int			strategy;
	Oid			left_type;
	Oid			right_type;

	if (operand->type != type)
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
match_tag(const Operand *operand, Oid opno, Oid collation, Expr *expr, M3dbQual *qual)
{
	if (!has_canonical_text(operand->type) || !is_deterministic(collation))
		return false;
	if (is_equality(opno, operand->type))
		qual->kind = M3DB_QUAL_EQUAL;
	else if (operand->is_tag && is_equality(get_negator(opno), operand->type))
		qual->kind = M3DB_QUAL_NOT_EQUAL;
	else
		return false;

	qual->value_type = getBaseType(exprType((Node *) expr));
	qual->expr = expr;
	return text_comparable(operand->type, qual->value_type);
}

/* function(tag, expr) */
static bool
match_pattern(const Operand *operand, Oid function, Oid collation, Expr *expr,
			  M3dbQual *qual)
{
	Oid			type = getBaseType(exprType((Node *) expr));

	if (!operand->is_tag ||
		(operand->type != TEXTOID && operand->type != VARCHAROID) ||
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

/* tags op expr, or tags -> key op expr, for = and <> */
static bool
match_json(const Target *target, const Operand *operand, Oid opno, Expr *expr, M3dbQual *qual)
{
	qual->value_type = getBaseType(exprType((Node *) expr));
	qual->expr = expr;
	if (operand->is_json)
	{
		qual->kind = M3DB_QUAL_JSON_EQUAL;
		qual->negated = !is_equality(opno, JSONBOID);
		return (!qual->negated || is_equality(get_negator(opno), JSONBOID)) &&
			qual->value_type == JSONBOID;
	}
	switch (get_opcode(opno))
	{
		case F_JSONB_CONTAINS:
			qual->kind = M3DB_QUAL_CONTAINS;
			return qual->value_type == JSONBOID;
		case F_JSONB_EXISTS:
			qual->kind = M3DB_QUAL_HAS_KEY;
			return qual->value_type == TEXTOID || qual->value_type == VARCHAROID;
		case F_JSONB_EXISTS_ANY:
			qual->kind = M3DB_QUAL_HAS_ANY_KEY;
			break;
		case F_JSONB_EXISTS_ALL:
			qual->kind = M3DB_QUAL_HAS_ALL_KEYS;
			break;
		default:
			return false;
	}
	return qual->value_type == TEXTARRAYOID;
}

/* ---- clauses ---- */

static bool
match_operator(const Target *target, OpExpr *clause, M3dbQual *qual)
{
	Oid			opno = clause->opno;
	Expr	   *expr;
	Operand		operand;

	if (list_length(clause->args) != 2)
		return false;
	expr = lsecond(clause->args);
	if (!find_operand(target, linitial(clause->args), &operand))
	{
		expr = linitial(clause->args);
		opno = get_commutator(opno);
		if (!find_operand(target, lsecond(clause->args), &operand) || !OidIsValid(opno))
			return false;
	}
	if (!is_fixed_during_scan(target, expr))
		return false;

	set_operand(&operand, qual);
	if (operand.column->role == M3DB_ROLE_TIME || operand.column->role == M3DB_ROLE_TIME_NS)
		return match_time(&operand, opno, expr, qual);
	if (operand.is_json ||
		(operand.column->role == M3DB_ROLE_TAGS && operand.key == NULL))
		return match_json(target, &operand, opno, expr, qual);
	if (!is_comparable(target, &operand))
		return false;
	return match_tag(&operand, opno, clause->inputcollid, expr, qual) ||
		match_pattern(&operand, get_opcode(opno), clause->inputcollid, expr, qual);
}

/* starts_with(tag, expr); its operator comes as match_operator's. */
static bool
match_function(const Target *target, FuncExpr *clause, M3dbQual *qual)
{
	Operand		operand;

	if (list_length(clause->args) != 2 ||
		!find_operand(target, linitial(clause->args), &operand) ||
		!is_fixed_during_scan(target, lsecond(clause->args)))
		return false;
	set_operand(&operand, qual);
	return match_pattern(&operand, clause->funcid, clause->inputcollid,
						 lsecond(clause->args), qual);
}

/* tag = ANY (expr), and its opposite tag <> ALL (expr) */
static bool
match_array(const Target *target, ScalarArrayOpExpr *clause, M3dbQual *qual)
{
	Expr	   *expr = lsecond(clause->args);
	Operand		operand;
	Oid			equality = clause->useOr ? clause->opno : get_negator(clause->opno);

	if (!find_operand(target, linitial(clause->args), &operand) ||
		!is_comparable(target, &operand) || !(clause->useOr || operand.is_tag) ||
		!has_canonical_text(operand.type) || !is_deterministic(clause->inputcollid) ||
		!is_equality(equality, operand.type) || !is_fixed_during_scan(target, expr))
		return false;

	set_operand(&operand, qual);
	qual->kind = clause->useOr ? M3DB_QUAL_ANY : M3DB_QUAL_NONE;
	qual->value_type = get_base_element_type(exprType((Node *) expr));
	if (!OidIsValid(qual->value_type))
		return false;
	qual->value_type = getBaseType(qual->value_type);
	qual->expr = expr;
	return text_comparable(operand.type, qual->value_type);
}

static bool
match_null_test(const Target *target, NullTest *clause, M3dbQual *qual)
{
	Operand		operand;

	if (!find_operand(target, (Node *) clause->arg, &operand) || clause->argisrow ||
		!operand.is_tag)
		return false;
	set_operand(&operand, qual);
	qual->kind = clause->nulltesttype == IS_NULL ?
		M3DB_QUAL_IS_NULL : M3DB_QUAL_IS_NOT_NULL;
	return true;
}

/* "flag" and "NOT flag", which is what the planner makes of flag = true. */
static bool
match_boolean(const Target *target, Node *node, bool value, M3dbQual *qual)
{
	qual->attnum = m3db_qual_column(target->rel, target->table, node);
	if (qual->attnum == InvalidAttrNumber ||
		target->table->columns[qual->attnum - 1].role != M3DB_ROLE_TAG)
		return false;
	qual->kind = M3DB_QUAL_EQUAL;
	qual->value_type = BOOLOID;
	qual->expr = (Expr *) makeBoolConst(value, false);
	return true;
}

static bool match_clause(const Target *target, Expr *clause, int depth, M3dbQual *qual);

/* "NOT flag", and of those whose operator has no negator such as can tell false from NULL. */
static bool
match_negation(const Target *target, Expr *arg, int depth, M3dbQual *qual)
{
	if (match_boolean(target, (Node *) arg, false, qual))
		return true;
	if (!(IsA(arg, OpExpr) || IsA(arg, FuncExpr)) ||
		!match_clause(target, arg, depth, qual))
		return false;
	switch (qual->kind)
	{
		case M3DB_QUAL_PATTERN:
		case M3DB_QUAL_CONTAINS:
		case M3DB_QUAL_HAS_KEY:
		case M3DB_QUAL_HAS_ANY_KEY:
		case M3DB_QUAL_HAS_ALL_KEYS:
			qual->negated = true;
			return true;
		default:
			return false;
	}
}

/* AND and OR of conditions on what a series is, so not on the time. */
static bool
match_parts(const Target *target, BoolExpr *clause, int depth, M3dbQual *qual)
{
	ListCell   *lc;

	if (depth >= MAX_DEPTH)
		return false;
	qual->kind = clause->boolop == AND_EXPR ? M3DB_QUAL_AND : M3DB_QUAL_OR;
	foreach(lc, clause->args)
	{
		M3dbQual   *part = palloc(sizeof(M3dbQual));

		if (!match_clause(target, lfirst(lc), depth + 1, part) ||
			part->kind == M3DB_QUAL_TIME)
			return false;
		qual->parts = lappend(qual->parts, part);
	}
	return true;
}

static bool
match_clause(const Target *target, Expr *clause, int depth, M3dbQual *qual)
{
	memset(qual, 0, sizeof(*qual));
	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return match_operator(target, (OpExpr *) clause, qual);
		case T_FuncExpr:
			return match_function(target, (FuncExpr *) clause, qual);
		case T_ScalarArrayOpExpr:
			return match_array(target, (ScalarArrayOpExpr *) clause, qual);
		case T_NullTest:
			return match_null_test(target, (NullTest *) clause, qual);
		case T_Var:
			return match_boolean(target, (Node *) clause, true, qual);
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop != NOT_EXPR)
				return match_parts(target, (BoolExpr *) clause, depth, qual);
			return match_negation(target, linitial(((BoolExpr *) clause)->args), depth, qual);
		default:
			return false;
	}
}

static bool
has_pattern(const M3dbQual *qual)
{
	ListCell   *lc;

	foreach(lc, qual->parts)
	{
		if (has_pattern(lfirst(lc)))
			return true;
	}
	return qual->kind == M3DB_QUAL_PATTERN;
}

bool
m3db_qual_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
				RestrictInfo *rinfo, M3dbQual *qual)
{
	const Target target = {root, rel, table};

	return m3db_enable_filter_pushdown &&
		match_clause(&target, rinfo->clause, 0, qual) &&
		(!has_pattern(qual) || restriction_is_securely_promotable(rinfo, rel));
}

bool
m3db_qual_match_expr(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
					 Expr *clause, M3dbQual *qual)
{
	const Target target = {root, rel, table};

	return m3db_enable_filter_pushdown &&
		match_clause(&target, clause, 0, qual) &&
		(!has_pattern(qual) || root->qual_security_level == 0);
}
