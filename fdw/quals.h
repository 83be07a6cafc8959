/*
 * Conditions a scan evaluates itself: bounds on the time, comparisons of tags and ids,
 * patterns, and AND, OR and NOT of conditions on tags.
 *
 * At plan time a clause is recognized as "operand op expression", where the
 * expression does not depend on the scanned row.  Its value is found when the scan
 * starts, so that constants, now(), parameters and the outer side of a nested
 * loop are all the same to us.  Every clause recognized here is evaluated
 * exactly: the scan returns the rows PostgreSQL would keep, no more and no less.
 *
 * The operand is a column, or one tag of the column of role TAGS: tags ->> 'key'.
 */
#ifndef M3DB_QUALS_H
#define M3DB_QUALS_H

#include "access/stratnum.h"
#include "fdw/table.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

typedef enum M3dbQualKind
{
	M3DB_QUAL_TIME,				/* column op expr, a btree comparison; never a part */
	M3DB_QUAL_EQUAL,			/* tag or id = expr */
	M3DB_QUAL_NOT_EQUAL,		/* tag <> expr */
	M3DB_QUAL_ANY,				/* tag or id = ANY (expr) */
	M3DB_QUAL_NONE,				/* tag <> ALL (expr) */
	M3DB_QUAL_PATTERN,			/* function(tag, expr), see fdw/pattern.h */
	M3DB_QUAL_IS_NULL,			/* tag IS NULL; no expr */
	M3DB_QUAL_IS_NOT_NULL,		/* tag IS NOT NULL; no expr */
	M3DB_QUAL_JSON_EQUAL,		/* tags -> key = expr, a jsonb; negated: <> */
	M3DB_QUAL_CONTAINS,			/* tags @> expr */
	M3DB_QUAL_HAS_KEY,			/* tags ? expr */
	M3DB_QUAL_HAS_ANY_KEY,		/* tags ?| expr */
	M3DB_QUAL_HAS_ALL_KEYS,		/* tags ?& expr */
	M3DB_QUAL_AND,				/* all parts hold; neither operand nor expr */
	M3DB_QUAL_OR				/* one of the parts holds */
} M3dbQualKind;

typedef struct M3dbQual
{
	M3dbQualKind kind;
	AttrNumber	attnum;			/* 0: AND, OR */
	Const	   *key;			/* a text: one tag of the column of role TAGS; or NULL */
	StrategyNumber strategy;	/* TIME: the column is on the left */
	Oid			value_type;		/* of expr, or of its elements (ANY, NONE) */
	Oid			function;		/* PATTERN */
	Oid			collation;
	bool		negated;		/* PATTERN, CONTAINS, HAS_*: the operator says no */
	Expr	   *expr;			/* NULL for the NULL tests */
	List	   *parts;			/* of M3dbQual *: AND, OR */
} M3dbQual;

/* ---- plan time: quals.c ---- */

/*
 * Whether the scan of rel can evaluate the clause, and as what.  Expressions are not
 * copied.  Vars of other relations may be in it (join clauses).
 */
extern bool m3db_qual_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
							RestrictInfo *rinfo, M3dbQual *qual);

/* The same of a condition that is no clause of WHERE or ON, but evaluated after all of these:
 * an aggregate's FILTER. */
extern bool m3db_qual_match_expr(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
								 Expr *clause, M3dbQual *qual);

/* The column of the table that expr is, without relabelling, or 0. */
extern AttrNumber m3db_qual_column(const RelOptInfo *rel, const M3dbTable *table,
								   Node *expr);

/* The same, or the column of role TAGS if expr is one of its tags: what joins may compare. */
extern AttrNumber m3db_qual_operand(const RelOptInfo *rel, const M3dbTable *table,
									Node *expr);

/* ---- plan time: qual_guess.c ---- */

/*
 * For m3_scan_estimate_matching: the matcher of a qual, not of TIME, with the values that can
 * be told when planning.  Allocated in the current memory context.
 */
extern void m3db_qual_guess(PlannerInfo *root, const M3dbTable *table, const M3dbQual *qual,
							M3Matcher *matcher);

/* ---- run time, and the way there: conditions.c ---- */

/* What of a qual goes into fdw_private, a list of integers that begins with its kind; and its
 * expressions, which go into fdw_exprs. */
extern List *m3db_qual_serialize(const M3dbQual *qual);
extern List *m3db_qual_exprs(const M3dbQual *qual);

typedef struct M3dbQualState
{
	M3dbQual	qual;			/* key, expr and parts are not set */
	M3Slice		key;			/* data is NULL if there is none */
	ExprState  *state;			/* NULL without expr */
	bool		value_is_text;	/* a varlena whose payload is the text */
	FmgrInfo	output;			/* of value_type unless value_is_text */
	int16		value_length;
	bool		value_by_value;
	char		value_align;
	int			part_count;
	struct M3dbQualState *parts;
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
 * The matcher of a qual, not TIME, AND or OR, whose expr, if any, has the given value, not NULL.
 * Allocated in the current memory context.
 */
extern void m3db_qual_matcher(const M3dbTable *table, const M3dbQual *qual, Datum value,
							  M3Matcher *matcher);

/* The tag that a key of the column of role TAGS stands for, in UTF-8. */
extern M3Slice m3db_qual_key(const Const *key);

/* Narrows [*start_ns, *end_ns) by "column strategy value" for a column of the given role.
 * TIME: value is a TimestampTz, and bounds are those of the microsecond shown. */
extern void m3db_qual_narrow(M3dbRole role, StrategyNumber strategy, int64 value,
							 int64 *start_ns, int64 *end_ns);

/* A time constant as the int64 m3db_qual_narrow takes. */
extern int64 m3db_qual_time_value(Datum value, Oid value_type);

#endif							/* M3DB_QUALS_H */
