/*
 * Conditions a scan evaluates itself: bounds on the time, tag and id
 * comparisons, and patterns for tags.
 *
 * At plan time a clause is recognized as "column op expression", where the
 * expression does not depend on the scanned row.  Its value is found when the scan
 * starts, so that constants, now(), parameters and the outer side of a nested
 * loop are all the same to us.  Every clause recognized here is evaluated
 * exactly: the scan returns the rows PostgreSQL would keep, no more and no less.
 */
#ifndef M3DB_QUALS_H
#define M3DB_QUALS_H

#include "access/stratnum.h"
#include "fdw/table.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

typedef enum M3dbQualKind
{
	M3DB_QUAL_TIME,				/* column op expr, a btree comparison */
	M3DB_QUAL_EQUAL,			/* tag or id = expr */
	M3DB_QUAL_NOT_EQUAL,		/* tag <> expr */
	M3DB_QUAL_ANY,				/* tag or id = ANY (expr) */
	M3DB_QUAL_PATTERN,			/* function(tag, expr), see fdw/pattern.h */
	M3DB_QUAL_IS_NULL,			/* tag IS NULL; no expr */
	M3DB_QUAL_IS_NOT_NULL		/* tag IS NOT NULL; no expr */
} M3dbQualKind;

typedef struct M3dbQual
{
	M3dbQualKind kind;
	AttrNumber	attnum;
	StrategyNumber strategy;	/* QUAL_TIME: the column is on the left */
	Oid			value_type;		/* of expr, or of its elements (QUAL_ANY) */
	Oid			function;		/* QUAL_PATTERN */
	Oid			collation;
	bool		negated;
	Expr	   *expr;			/* NULL for the NULL tests */
} M3dbQual;

/*
 * Whether the scan of rel can evaluate the clause, and as what.  The expression is not
 * copied.  Vars of other relations may be in it (join clauses).
 */
extern bool m3db_qual_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
							RestrictInfo *rinfo, M3dbQual *qual);

/* The column of the table that expr is, without relabelling, or 0. */
extern AttrNumber m3db_qual_column(const RelOptInfo *rel, const M3dbTable *table,
								   Node *expr);

/* What of a qual goes into fdw_private; its expr, if any, goes into fdw_exprs. */
extern List *m3db_qual_serialize(const M3dbQual *qual);

typedef struct M3dbQualState
{
	M3dbQual	qual;			/* expr is not set */
	ExprState  *state;			/* NULL for the NULL tests */
	bool		value_is_text;	/* a varlena whose payload is the text */
	FmgrInfo	output;			/* of value_type unless value_is_text */
	int16		value_length;
	bool		value_by_value;
	char		value_align;
} M3dbQualState;

typedef struct M3dbQualStates
{
	int			count;
	M3dbQualState *items;
} M3dbQualStates;

/* Makes the quals of a plan ready, in the current memory context. */
extern void m3db_quals_init(List *serialized, List *exprs, PlanState *parent,
							M3dbQualStates *quals);

/* What the quals say now. */
typedef struct M3dbConditions
{
	bool		nothing;		/* no row can qualify; the rest is not set */
	int64		start_ns;		/* [start, end) */
	int64		end_ns;
	M3Matcher  *matchers;
	size_t		matcher_count;
} M3dbConditions;

/*
 * Evaluates the expressions and sums up.  Room is left for one more matcher.
 * The result is allocated in the current memory context, expressions are
 * evaluated in econtext's short-lived one.
 */
extern void m3db_quals_evaluate(const M3dbTable *table, const M3dbQualStates *quals,
								ExprContext *econtext, M3dbConditions *conditions);

/*
 * The matcher of a qual on a tag or id whose expr, if any, has the given value, not NULL.
 * False if nothing fulfils it.  Allocated in the current memory context.
 */
extern bool m3db_qual_matcher(const M3dbTable *table, const M3dbQual *qual, Datum value,
							  M3Matcher *matcher);

/* Narrows [*start_ns, *end_ns) by "column strategy value" for a column of the given role.
 * TIME: value is a TimestampTz, and bounds are those of the microsecond shown. */
extern void m3db_qual_narrow(M3dbRole role, StrategyNumber strategy, int64 value,
							 int64 *start_ns, int64 *end_ns);

/* A time constant as the int64 m3db_qual_narrow takes. */
extern int64 m3db_qual_time_value(Datum value, Oid value_type);

#endif							/* M3DB_QUALS_H */
