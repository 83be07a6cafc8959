/*
 * Conditions of aggregate queries, when planning: on values, and FILTERs.
 */
#ifndef M3DB_VALUE_QUALS_H
#define M3DB_VALUE_QUALS_H

#include "fdw/aggregate.h"
#include "nodes/pathnodes.h"

/* The column that node is, with nothing around it, or NULL. */
extern const M3dbColumn *m3db_bare_column(const RelOptInfo *rel, const M3dbTable *table,
										  const Node *node);

/* The value column that node is, or NULL. */
extern const M3dbColumn *m3db_bare_value_column(const RelOptInfo *rel,
												const M3dbTable *table,
												const Node *node);

/* The same during one execution, and whatever the row. */
extern bool m3db_is_fixed(const Node *node);

/* A condition on the value of a column: without expr, that it is not NULL. */
extern bool m3db_value_qual_match(const RelOptInfo *rel, const M3dbTable *table,
								  const Node *clause, M3dbValueQual *qual);

/* One more condition that must hold. */
extern void m3db_filter_add(const M3dbTable *table, M3dbAggregateFilter *filter,
							const M3dbValueQual *qual);

/* Adds what a condition asks for; false if a part of it is not ours. */
extern bool m3db_filter_match(PlannerInfo *root, RelOptInfo *rel, const M3dbTable *table,
							  Expr *condition, M3dbAggregateFilter *filter);

/* The column all conditions on values are about: 0 if there are none, -1 if several. */
extern AttrNumber m3db_filter_column(const M3dbAggregateFilter *filter);

#endif							/* M3DB_VALUE_QUALS_H */
