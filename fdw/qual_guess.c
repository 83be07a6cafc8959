/*
 * Matchers for estimates: of conditions whose values may not be known yet, which the storage
 * engine guesses about.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "fdw/matcher.h"
#include "fdw/pattern.h"
#include "fdw/quals.h"

/* Elements of an array that is not known yet. */
#define DEFAULT_ELEMENTS 10

static size_t
guess_element_count(Node *array)
{
	if (IsA(array, ArrayExpr))
		return (size_t) list_length(((ArrayExpr *) array)->elements);
	return DEFAULT_ELEMENTS;
}

/* Of a qual whose value is not known yet. */
static void
guess_matcher(const M3dbTable *table, const M3dbQual *qual, Node *value, M3Matcher *matcher)
{
	const M3dbColumn *column = &table->columns[qual->attnum - 1];
	M3MatchKind equal = column->role == M3DB_ROLE_ID ? M3_MATCH_ID : M3_MATCH_ANY_OF;
	M3Slice		name = qual->key != NULL ? m3db_qual_key(qual->key) : column->tag;

	switch (qual->kind)
	{
		case M3DB_QUAL_EQUAL:
			m3db_matcher_tag(equal, name, NULL, 1, matcher);
			break;
		case M3DB_QUAL_JSON_EQUAL:
			m3db_matcher_tag(qual->negated ? M3_MATCH_NONE_OF : M3_MATCH_ANY_OF, name, NULL, 1,
							 matcher);
			break;
		case M3DB_QUAL_NOT_EQUAL:
			m3db_matcher_tag(M3_MATCH_NONE_OF, name, NULL, 1, matcher);
			break;
		case M3DB_QUAL_ANY:
			m3db_matcher_tag(equal, name, NULL, guess_element_count(value), matcher);
			break;
		case M3DB_QUAL_NONE:
			m3db_matcher_tag(M3_MATCH_NONE_OF, name, NULL, guess_element_count(value), matcher);
			break;
		case M3DB_QUAL_PATTERN:
			m3db_matcher_tag(qual->negated != m3db_pattern_is_negative(qual->function) ?
							 M3_MATCH_NOT_FILTER : M3_MATCH_FILTER, name, NULL, 0, matcher);
			break;
		default:
			/* some tags, of any name */
			m3db_matcher_tag(qual->negated ? M3_MATCH_NOT_FILTER : M3_MATCH_FILTER,
							 m3_slice(NULL, 0), NULL, 0, matcher);
			break;
	}
}

void
m3db_qual_guess(PlannerInfo *root, const M3dbTable *table, const M3dbQual *qual,
				M3Matcher *matcher)
{
	M3Matcher  *parts = palloc(sizeof(M3Matcher) * (list_length(qual->parts) + 1));
	size_t		part_count = 0;
	Node	   *value;
	ListCell   *lc;

	foreach(lc, qual->parts)
		m3db_qual_guess(root, table, lfirst(lc), &parts[part_count++]);
	if (part_count > 0)
	{
		m3db_matcher_tree(qual->kind == M3DB_QUAL_AND ? M3_MATCH_ALL : M3_MATCH_EITHER, parts,
						  part_count, matcher);
		return;
	}
	if (qual->expr == NULL)
	{
		m3db_qual_matcher(table, qual, (Datum) 0, matcher);
		return;
	}
	value = estimate_expression_value(root, (Node *) qual->expr);
	if (!IsA(value, Const))
		guess_matcher(table, qual, value, matcher);
	else if (((Const *) value)->constisnull)
		m3db_matcher_constant(false, matcher);
	else
		m3db_qual_matcher(table, qual, ((Const *) value)->constvalue, matcher);
}
