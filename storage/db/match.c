#include "storage/db/match.h"

#include <string.h>

#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* --- nodes -------------------------------------------------------------- */

static M3Status
add_parts(M3Matching *matching, size_t number, M3Error *err)
{
	const M3Matcher *matcher = matching->nodes[number].matcher;
	unsigned	depth = matching->nodes[number].depth + 1;
	size_t		count = matching->node_count + matcher->part_count;
	M3MatchNode *nodes;

	if (matcher->part_count == 0)
		return M3_OK;
	if (depth > M3_MATCH_MAX_DEPTH)
		return m3_error(err, M3_INVALID, "conditions are nested more than %d deep",
						M3_MATCH_MAX_DEPTH);
	nodes = m3_resize(matching->memory, matching->nodes, count * sizeof(*nodes));
	if (nodes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(nodes + matching->node_count, 0, matcher->part_count * sizeof(*nodes));
	nodes[number].first_part = matching->node_count;
	for (size_t i = 0; i < matcher->part_count; i++)
	{
		nodes[matching->node_count + i].matcher = &matcher->parts[i];
		nodes[matching->node_count + i].depth = depth;
	}
	matching->nodes = nodes;
	matching->node_count = count;
	return M3_OK;
}

/* Parts lie behind what they are parts of. */
static void
find_those_that_ask(M3Matching *matching)
{
	for (size_t i = matching->node_count; i-- > 0;)
	{
		M3MatchNode *node = &matching->nodes[i];
		const M3Matcher *matcher = node->matcher;

		node->asks = matcher->kind == M3_MATCH_FILTER || matcher->kind == M3_MATCH_NOT_FILTER;
		for (size_t part = 0; m3i_is_tree(matcher) && part < matcher->part_count; part++)
			node->asks |= matching->nodes[node->first_part + part].asks;
	}
}

M3Status
m3i_matching_init(M3Matching *matching, const M3Matcher *matchers, size_t count,
				  M3Memory *memory, M3Error *err)
{
	M3Status	status = M3_OK;

	memset(matching, 0, sizeof(*matching));
	matching->memory = memory;
	matching->all.kind = M3_MATCH_ALL;
	matching->all.parts = matchers;
	matching->all.part_count = count;
	matching->nodes = m3_alloc(memory, sizeof(*matching->nodes));
	if (matching->nodes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(matching->nodes, 0, sizeof(*matching->nodes));
	matching->nodes[0].matcher = &matching->all;
	matching->node_count = 1;
	for (size_t i = 0; i < matching->node_count && status == M3_OK; i++)
	{
		if (m3i_is_tree(matching->nodes[i].matcher))
			status = add_parts(matching, i, err);
	}
	if (status != M3_OK)
		m3i_matching_free(matching);
	else
		find_those_that_ask(matching);
	return status;
}

void
m3i_matching_free(M3Matching *matching)
{
	for (size_t i = 0; i < matching->node_count; i++)
		m3i_verdicts_free(&matching->nodes[i].verdicts, matching->memory);
	m3_free(matching->memory, matching->nodes);
	matching->nodes = NULL;
	matching->node_count = 0;
}

/* --- leaves ------------------------------------------------------------- */

static bool
is_one_of(const M3Matcher *matcher, M3Slice value)
{
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		if (m3_slice_equal(matcher->values[i], value))
			return true;
	}
	return false;
}

static bool
has_prefix(const M3Matcher *matcher, M3Slice value)
{
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		M3Slice		prefix = matcher->values[i];

		if (prefix.size <= value.size &&
			m3_slice_equal(m3_slice(value.data, prefix.size), prefix))
			return true;
	}
	return false;
}

bool
m3i_matches_value(const M3Matcher *matcher, M3Slice value)
{
	switch (matcher->kind)
	{
		case M3_MATCH_ANY_OF:
			return is_one_of(matcher, value);
		case M3_MATCH_NONE_OF:
			return !is_one_of(matcher, value);
		case M3_MATCH_PRESENT:
			return true;
		case M3_MATCH_PREFIX:
			return has_prefix(matcher, value);
		case M3_MATCH_NOT_PREFIX:
			return !has_prefix(matcher, value);
		case M3_MATCH_ABSENT:
		case M3_MATCH_ID:
		case M3_MATCH_FILTER:
		case M3_MATCH_NOT_FILTER:
		case M3_MATCH_ALL:
		case M3_MATCH_EITHER:
			break;
	}
	return false;
}

/* Whether a matcher without parts holds; matching is NULL to ask its filter afresh. */
static bool
leaf_matches(M3Matching *matching, size_t number, const M3Matcher *matcher, M3Slice id,
			 M3Slice tags)
{
	M3Slice		value;
	bool		accepted;

	if (matcher->kind == M3_MATCH_ID)
		return is_one_of(matcher, id);
	if (!m3_tags_find(tags, matcher->name, &value))
		return matcher->kind == M3_MATCH_ABSENT;
	if (matcher->kind != M3_MATCH_FILTER && matcher->kind != M3_MATCH_NOT_FILTER)
		return m3i_matches_value(matcher, value);
	accepted = matching != NULL ? m3i_is_accepted(matching, number, value) :
		matcher->accepts(matcher->context, value);
	return accepted == (matcher->kind == M3_MATCH_FILTER);
}

/* --- trees -------------------------------------------------------------- */

/* As deep as nodes are nested.  Filters last: they cost most. */
static bool
node_matches(M3Matching *matching, size_t number, M3Slice id, M3Slice tags, bool only_rest)
{
	const M3MatchNode *node = &matching->nodes[number];
	bool		decisive = node->matcher->kind == M3_MATCH_EITHER;

	if (!m3i_is_tree(node->matcher))
		return leaf_matches(matching, number, node->matcher, id, tags);
	for (int pass = 0; pass < 2; pass++)
	{
		for (size_t i = 0; i < node->matcher->part_count; i++)
		{
			const M3MatchNode *part = &matching->nodes[node->first_part + i];

			if (part->asks == (pass == 1) && !(only_rest && part->settled) &&
				node_matches(matching, node->first_part + i, id, tags, false) == decisive)
				return decisive;
		}
	}
	return !decisive;
}

bool
m3i_matches(M3Matching *matching, M3Slice id, M3Slice tags)
{
	return node_matches(matching, 0, id, tags, false);
}

bool
m3i_matches_rest(M3Matching *matching, M3Slice id, M3Slice tags)
{
	return node_matches(matching, 0, id, tags, true);
}

bool
m3i_is_settled(const M3Matching *matching)
{
	for (size_t i = 0; i < matching->all.part_count; i++)
	{
		if (!matching->nodes[1 + i].settled)
			return false;
	}
	return true;
}

/* As deep as matchers are nested. */
static bool
holds(const M3Matcher *matcher, M3Slice id, M3Slice tags)
{
	bool		decisive = matcher->kind == M3_MATCH_EITHER;

	if (!m3i_is_tree(matcher))
		return leaf_matches(NULL, 0, matcher, id, tags);
	for (size_t i = 0; i < matcher->part_count; i++)
	{
		if (holds(&matcher->parts[i], id, tags) == decisive)
			return decisive;
	}
	return !decisive;
}

bool
m3_matchers_hold(const M3Matcher *matchers, size_t matcher_count, M3Slice id, M3Slice tags)
{
	for (size_t i = 0; i < matcher_count; i++)
	{
		if (!holds(&matchers[i], id, tags))
			return false;
	}
	return true;
}
