/*
 * Expressions of the time column that do not fall when the time rises.
 *
 * Each function on the way from the column to the result must have that property of its own;
 * then the whole has it, too.  Rounding, of floating-point numbers or to a scale, keeps it.
 *
 * What reckons with clocks keeps it only while they are not set back, so between two
 * changes of its zone's offset from UTC; and to know when these are, it must see the
 * column itself.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/scansup.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/bucket_expr.h"
#include "fdw/bucket_functions.h"
#include "fdw/value_quals.h"

typedef struct DateUnit
{
	const char *name;
	double		width_us;
} DateUnit;

/* The shortest of them first. */
static const DateUnit date_units[] = {
	{"microseconds", 1},
	{"milliseconds", 1000},
	{"second", USECS_PER_SEC},
	{"minute", USECS_PER_MINUTE},
	{"hour", USECS_PER_HOUR},
	{"day", USECS_PER_DAY},
	{"week", 7.0 * USECS_PER_DAY},
	{"month", 30.0 * USECS_PER_DAY},
	{"quarter", 91.0 * USECS_PER_DAY},
	{"year", 365.0 * USECS_PER_DAY},
	{"decade", 3652.0 * USECS_PER_DAY},
	{"century", 36524.0 * USECS_PER_DAY},
	{"millennium", 365242.0 * USECS_PER_DAY}
};

/* What is known of an expression. */
typedef struct Progress
{
	PlannerInfo *root;
	const RelOptInfo *rel;
	const M3dbTable *table;
	bool		is_column;		/* the time itself */
	bool		is_midnight;	/* starts of days; of a timestamptz, by the session's clocks */
	bool		has_steps;		/* many times have one value */
	double		width_us;		/* of the widest steps, 0 if that is not known */
	double		units_per_us;	/* how much it rises in a microsecond */
	char	   *zone;
} Progress;

static void
add_steps(Progress *progress, double width_us)
{
	progress->has_steps = true;
	progress->width_us = Max(progress->width_us, width_us);
}

/* ---- arguments ---- */

/* A value that is known and will not change, or NULL. */
static const Const *
known_value(Node *node)
{
	const Const *value = (const Const *) node;

	return IsA(node, Const) && !value->constisnull ? value : NULL;
}

static double
number_of(const Const *value)
{
	switch (value->consttype)
	{
		case INT2OID:
			return DatumGetInt16(value->constvalue);
		case INT4OID:
			return DatumGetInt32(value->constvalue);
		case INT8OID:
			return (double) DatumGetInt64(value->constvalue);
		case FLOAT8OID:
			return DatumGetFloat8(value->constvalue);
		case NUMERICOID:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
													  value->constvalue));
		default:
			return 0;
	}
}

static bool
positive_number(Node *node, double *number)
{
	const Const *value = known_value(node);

	*number = value == NULL ? 0 : number_of(value);
	return *number > 0 && !isinf(*number);
}

static char *
known_text(Node *node)
{
	const Const *value = known_value(node);

	return value == NULL || value->consttype != TEXTOID ? NULL :
		TextDatumGetCString(value->constvalue);
}

static char *
known_keyword(Node *node)
{
	char	   *text = known_text(node);

	return text == NULL ? NULL :
		downcase_truncate_identifier(text, (int) strlen(text), false);
}

/* The width of buckets in microseconds, as far as it can be told when planning. */
static double
guess_width(const Progress *progress, Node *width)
{
	const Const *value = known_value(estimate_expression_value(progress->root, width));
	const Interval *interval;

	if (value == NULL)
		return 0;
	if (value->consttype != INTERVALOID)
		return Max(number_of(value) / progress->units_per_us, 0);
	interval = DatumGetIntervalP(value->constvalue);
	return Max((double) interval->time + (double) USECS_PER_DAY *
			   (interval->day + 30.0 * interval->month), 0);
}

/* ---- time zones ---- */

/*
 * What a zone of that name means to the expression: false if it cannot be told, as of
 * abbreviations that meant different offsets over time.  *changes unless it always
 * has the same offset.
 */
static bool
known_zone(const char *name, bool *changes)
{
	int			offset;
	pg_tz	   *tz;

	/* an unknown name is an error of the function's, if it is ever called */
	if (pg_tzset(name) == NULL)
		return false;
	switch (DecodeTimezoneName(name, &offset, &tz))
	{
		case TZNAME_FIXED_OFFSET:
			*changes = false;
			return true;
		case TZNAME_ZONE:
			*changes = true;
			return true;
		default:
			return false;
	}
}

/* Takes a function that reckons by the clocks of a zone, "" being the session's. */
static bool
enter_zone(Progress *progress, const char *name)
{
	bool		changes = true;

	if (name == NULL || (name[0] != '\0' && !known_zone(name, &changes)))
		return false;
	if (!changes)
		return true;
	if (!progress->is_column)
		return false;
	progress->zone = pstrdup(name);
	return true;
}

/* ---- rules ---- */

static bool
apply_trunc(Progress *progress, List *args)
{
	const char *name = known_keyword(linitial(args));
	const char *zone = list_length(args) > 2 ? known_text(lthird(args)) : "";
	const DateUnit *unit = NULL;
	bool		session_zone = zone != NULL && zone[0] == '\0';

	for (int i = 0; name != NULL && i < lengthof(date_units); i++)
	{
		if (strcmp(date_units[i].name, name) == 0)
			unit = &date_units[i];
	}
	if (unit == NULL)
		return false;
	/* offsets are whole seconds; a timestamp without time zone has none */
	if ((unit->width_us > USECS_PER_SEC || !session_zone) &&
		exprType(lsecond(args)) == TIMESTAMPTZOID && !enter_zone(progress, zone))
		return false;
	add_steps(progress, unit->width_us);
	progress->is_midnight = session_zone && unit->width_us >= USECS_PER_DAY;
	return true;
}

static bool
apply_date(Progress *progress, bool in_zone)
{
	if (in_zone && !progress->is_midnight && !enter_zone(progress, ""))
		return false;
	progress->units_per_us /= USECS_PER_DAY;
	add_steps(progress, USECS_PER_DAY);
	return true;
}

/* Times of a day that clocks skip are an hour late; two days are always in order. */
static bool
apply_moment(Progress *progress, Node *zone)
{
	const char *name = known_text(zone);
	bool		changes;

	return name != NULL && known_zone(name, &changes) &&
		(progress->is_midnight || !changes);
}

static bool
apply_interval(Node *node)
{
	const Const *value = known_value(node);
	const Interval *interval;

	if (value == NULL || value->consttype != INTERVALOID)
		return false;
	interval = DatumGetIntervalP(value->constvalue);
	return interval->month == 0 && interval->day == 0;
}

static bool
apply_epoch(Progress *progress, Node *field)
{
	const char *name = known_keyword(field);

	progress->units_per_us /= USECS_PER_SEC;
	return name != NULL && strcmp(name, "epoch") == 0;
}

static bool
apply_round_scale(Progress *progress, Node *digits)
{
	const Const *value = known_value(digits);

	if (value == NULL)
		return false;
	add_steps(progress, pow(10, -number_of(value)) / progress->units_per_us);
	return true;
}

/* Goes from an argument, of which *progress is known, to the function's value. */
static bool
apply(Progress *progress, M3dbBucketRule rule, List *args, int time_arg)
{
	Node	   *other = list_length(args) > 1 ? list_nth(args, 1 - Min(time_arg, 1)) : NULL;
	double		number;

	switch (rule)
	{
		case M3DB_RULE_SAME:
		case M3DB_RULE_SHIFT:
			return true;
		case M3DB_RULE_SHIFT_TIME:
			return apply_interval(other);
		case M3DB_RULE_MULTIPLY:
			if (!positive_number(other, &number))
				return false;
			progress->units_per_us *= number;
			return true;
		case M3DB_RULE_DIVIDE:
		case M3DB_RULE_DIVIDE_INTEGER:
			if (!positive_number(other, &number))
				return false;
			progress->units_per_us /= number;
			if (rule == M3DB_RULE_DIVIDE_INTEGER)
				add_steps(progress, 1 / progress->units_per_us);
			return true;
		case M3DB_RULE_ROUND:
			add_steps(progress, 1 / progress->units_per_us);
			return true;
		case M3DB_RULE_ROUND_SCALE:
			return apply_round_scale(progress, other);
		case M3DB_RULE_EPOCH:
			return apply_epoch(progress, other);
		case M3DB_RULE_TIME:
			progress->units_per_us *= USECS_PER_SEC;
			return true;
		case M3DB_RULE_TRUNC:
			return apply_trunc(progress, args);
		case M3DB_RULE_CLOCKS:
			return enter_zone(progress, known_text(other));
		case M3DB_RULE_SESSION_CLOCKS:
			return enter_zone(progress, "");
		case M3DB_RULE_MOMENT:
			return apply_moment(progress, other);
		case M3DB_RULE_DATE:
			return apply_date(progress, false);
		case M3DB_RULE_DATE_IN_ZONE:
			return apply_date(progress, true);
		case M3DB_RULE_BUCKET_IN_ZONE:
			if (!enter_zone(progress, known_text(lthird(args))))
				return false;
			/* FALLTHROUGH */
		case M3DB_RULE_BUCKET:
			add_steps(progress, guess_width(progress, linitial(args)));
			return true;
	}
	return false;
}

/* ---- expressions ---- */

/* The argument that is not fixed; -1 if there are several, or none. */
static int
find_time_argument(List *args)
{
	int			found = -1;

	for (int i = 0; i < list_length(args); i++)
	{
		if (m3db_is_fixed(list_nth(args, i)))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

static bool
is_time_column(const Progress *progress, const Node *node)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varno == (int) progress->rel->relid &&
		var->varlevelsup == 0 && var->varattno == progress->table->time_attnum &&
		var->vartype == progress->table->columns[var->varattno - 1].type_id;
}

static bool
follow(Progress *progress, Node *node)
{
	Oid			function = InvalidOid;
	List	   *args = NIL;
	M3dbBucketFunction known;
	int			time_arg;

	check_stack_depth();
	if (is_time_column(progress, node))
	{
		progress->is_column = true;
		progress->units_per_us =
			progress->table->columns[progress->table->time_attnum - 1].role ==
			M3DB_ROLE_TIME ? 1 : 1000;
		return true;
	}
	if (IsA(node, FuncExpr))
	{
		function = ((FuncExpr *) node)->funcid;
		args = ((FuncExpr *) node)->args;
	}
	else if (IsA(node, OpExpr))
	{
		function = get_opcode(((OpExpr *) node)->opno);
		args = ((OpExpr *) node)->args;
	}
	time_arg = find_time_argument(args);
	if (time_arg < 0 || !m3db_bucket_function(function, &known) ||
		(known.time_arg >= 0 && known.time_arg != time_arg) ||
		!follow(progress, list_nth(args, time_arg)) ||
		!apply(progress, known.rule, args, time_arg))
		return false;
	progress->is_column = false;
	if (known.rule != M3DB_RULE_TRUNC)
		progress->is_midnight = false;
	return true;
}

static Node *
replace_column(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (is_time_column(context, node))
	{
		CaseTestExpr *time = makeNode(CaseTestExpr);

		time->typeId = ((Var *) node)->vartype;
		time->typeMod = ((Var *) node)->vartypmod;
		return (Node *) time;
	}
	return expression_tree_mutator(node, replace_column, context);
}

bool
m3db_bucket_match(PlannerInfo *root, const RelOptInfo *rel, const M3dbTable *table,
				  Expr *expr, M3dbBucketMatch *match)
{
	Progress	progress = {.root = root, .rel = rel, .table = table};

	/* without steps there would be a group for each point */
	if (!follow(&progress, (Node *) expr) || !progress.has_steps)
		return false;
	match->expr = (Expr *) replace_column((Node *) expr, &progress);
	match->zone = progress.zone;
	match->width_us = progress.width_us;
	return true;
}
