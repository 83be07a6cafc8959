/*
 * Values are compared as PostgreSQL does, by the btree order of float8.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/quals.h"
#include "fdw/value_quals.h"

/* ---- columns ---- */

const M3dbColumn *
m3db_bare_column(const RelOptInfo *rel, const M3dbTable *table, const Node *node)
{
	const Var  *var = (const Var *) node;

	if (!IsA(node, Var) || var->varno != (int) rel->relid ||
		var->varlevelsup != 0 || var->varattno <= 0 ||
		var->varattno > table->column_count)
		return NULL;
	return &table->columns[var->varattno - 1];
}

const M3dbColumn *
m3db_bare_value_column(const RelOptInfo *rel, const M3dbTable *table, const Node *node)
{
	const M3dbColumn *column = m3db_bare_column(rel, table, node);

	return column != NULL && column->role == M3DB_ROLE_VALUE &&
		((const Var *) node)->vartype == FLOAT8OID ? column : NULL;
}

bool
m3db_is_fixed(const Node *node)
{
	return !contain_var_clause((Node *) node) && !contain_agg_clause((Node *) node) &&
		!contain_subplans((Node *) node) && !contain_volatile_functions((Node *) node);
}

/* ---- conditions on values ---- */

/* column op value, either way round */
static bool
match_comparison(const RelOptInfo *rel, const M3dbTable *table, const OpExpr *clause,
				 M3dbValueQual *qual)
{
	Oid			opno = clause->opno;
	Oid			family = lookup_type_cache(FLOAT8OID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	const M3dbColumn *column;
	Expr	   *expr;

	if (list_length(clause->args) != 2)
		return false;
	column = m3db_bare_value_column(rel, table, linitial(clause->args));
	expr = lsecond(clause->args);
	if (column == NULL)
	{
		column = m3db_bare_value_column(rel, table, lsecond(clause->args));
		expr = linitial(clause->args);
		opno = get_commutator(opno);
	}
	if (column == NULL || !OidIsValid(opno) || exprType((Node *) expr) != FLOAT8OID ||
		!m3db_is_fixed((Node *) expr))
		return false;

	qual->attnum = column->attnum;
	qual->expr = expr;
	qual->strategy = (StrategyNumber) get_op_opfamily_strategy(opno, family);
	return qual->strategy != InvalidStrategy ||
		get_op_opfamily_strategy(get_negator(opno), family) == BTEqualStrategyNumber;
}

bool
m3db_value_qual_match(const RelOptInfo *rel, const M3dbTable *table, const Node *clause,
					  M3dbValueQual *qual)
{
	const NullTest *test = (const NullTest *) clause;
	const M3dbColumn *column;

	if (IsA(clause, OpExpr))
		return match_comparison(rel, table, (const OpExpr *) clause, qual);
	if (!IsA(clause, NullTest) || test->nulltesttype != IS_NOT_NULL)
		return false;
	column = m3db_bare_value_column(rel, table, (const Node *) test->arg);
	if (column == NULL)
		return false;
	qual->attnum = column->attnum;
	qual->expr = NULL;
	return true;
}

/* That a column is not NULL is said as "not less than -infinity", which NaN is not, either; a
 * narrow table's never is. */
void
m3db_filter_add(const M3dbTable *table, M3dbAggregateFilter *filter,
				const M3dbValueQual *qual)
{
	Size		size = sizeof(M3dbValueQual) * (Size) (filter->value_qual_count + 1);
	M3dbValueQual *added;

	if (qual->expr == NULL && !table->wide)
		return;
	filter->value_quals = filter->value_quals == NULL ? palloc(size) :
		repalloc(filter->value_quals, size);
	added = &filter->value_quals[filter->value_qual_count++];
	*added = *qual;
	if (qual->expr != NULL)
		return;
	added->strategy = BTGreaterEqualStrategyNumber;
	added->expr = (Expr *) makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8),
									 Float8GetDatum(-get_float8_infinity()), false,
									 FLOAT8PASSBYVAL);
}

AttrNumber
m3db_filter_column(const M3dbAggregateFilter *filter)
{
	AttrNumber	attnum = 0;

	for (int i = 0; i < filter->value_qual_count; i++)
	{
		if (attnum != 0 && filter->value_quals[i].attnum != attnum)
			return -1;
		attnum = filter->value_quals[i].attnum;
	}
	return attnum;
}

/* ---- filters ---- */

bool
m3db_filter_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
				  Expr *condition, M3dbAggregateFilter *filter)
{
	M3dbQual	qual;
	M3dbValueQual value_qual;
	ListCell   *lc;

	if (IsA(condition, Const) && !((Const *) condition)->constisnull &&
		DatumGetBool(((Const *) condition)->constvalue))
		return true;
	if (is_andclause(condition))
	{
		foreach(lc, ((BoolExpr *) condition)->args)
		{
			if (!m3db_filter_match(root, rel, table, lfirst(lc), filter))
				return false;
		}
		return true;
	}
	if (m3db_value_qual_match(rel, table, (Node *) condition, &value_qual))
	{
		m3db_filter_add(table, filter, &value_qual);
		return true;
	}
	if (!m3db_qual_match_expr(root, rel, table, condition, &qual))
		return false;
	filter->quals = lappend(filter->quals, m3db_qual_serialize(&qual));
	filter->qual_exprs = list_concat(filter->qual_exprs, m3db_qual_exprs(&qual));
	return true;
}
