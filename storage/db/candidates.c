/*
 * Which series might match, by the index: what it can name, and at what price.
 *
 * Each matcher that names values is turned into terms, whose postings say how many series
 * it leaves; EITHER can be listed if all its parts can, ALL if one can.  The one that leaves
 * fewest is where candidates come from; others take away from them where that is cheaper than a
 * look at each candidate (candidates_list.c).  To go through all values of a name is worth it
 * only if they are fewer than the candidates there are otherwise.
 *
 * All of this is done under ROOT_NAMES at one go, so that it is of one moment.  Filters are
 * the exception: they are asked about copies of values while no lock is held, and then terms are
 * looked up anew.  A value that came between is of series that no snapshot taken before can
 * see, or that the transaction itself made, which are matched apart.
 */
#include "storage/db/candidates_private.h"

#include <stdlib.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Values lie about in memory, series in the list's order mostly do not. */
#define VALUE_COST 2u

#define IMPOSSIBLE UINT64_MAX

/* --- terms -------------------------------------------------------------- */

static M3Status
add_term(M3Search *s, M3Clue *clue, M3Ref term, M3Error *err)
{
	if (clue->term_count == clue->term_capacity)
	{
		size_t		capacity = clue->term_capacity * 2 + 16;
		M3Ref	   *terms = m3_resize(s->memory, clue->terms, capacity * sizeof(*terms));

		if (terms == NULL)
			return m3i_search_memory(err);
		clue->terms = terms;
		clue->term_capacity = capacity;
	}
	clue->terms[clue->term_count++] = term;
	clue->bound += m3_index_count(s->db->arena, term);
	return M3_OK;
}

static void
start_terms(M3Clue *clue)
{
	clue->term_count = 0;
	clue->bound = 0;
}

static int
compare_refs(const void *a, const void *b)
{
	M3Ref		x = *(const M3Ref *) a;
	M3Ref		y = *(const M3Ref *) b;

	return (x > y) - (x < y);
}

/* A value may be named twice. */
static void
remove_repeated(M3Search *s, M3Clue *clue)
{
	size_t		kept = 0;

	if (clue->term_count < 2)
		return;
	qsort(clue->terms, clue->term_count, sizeof(*clue->terms), compare_refs);
	clue->bound = 0;
	for (size_t i = 0; i < clue->term_count; i++)
	{
		if (i > 0 && clue->terms[i] == clue->terms[i - 1])
			continue;
		clue->terms[kept++] = clue->terms[i];
		clue->bound += m3_index_count(s->db->arena, clue->terms[i]);
	}
	clue->term_count = kept;
}

static M3Status
find_values(M3Search *s, size_t number, M3Error *err)
{
	const M3Matcher *matcher = s->matching->nodes[number].matcher;
	M3Clue	   *clue = &s->clues[number];

	start_terms(clue);
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		M3Ref		term = m3_index_term(s->db->arena, clue->name, matcher->values[i]);

		if (term != 0)
			M3_TRY(add_term(s, clue, term, err));
	}
	remove_repeated(s, clue);
	clue->is_listed = true;
	return M3_OK;
}

/* Goes through all values of the name. */
static M3Status
choose_values(M3Search *s, size_t number, M3Error *err)
{
	const M3Matcher *matcher = s->matching->nodes[number].matcher;
	M3Clue	   *clue = &s->clues[number];
	M3TermCursor cursor;
	M3Ref		term;

	start_terms(clue);
	m3_index_terms(s->db->arena, clue->name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		if (m3i_matches_value(matcher, m3_index_value(s->db->arena, term)))
			M3_TRY(add_term(s, clue, term, err));
	}
	clue->is_listed = true;
	return M3_OK;
}

static M3Status
find_accepted(M3Search *s, size_t number, M3Error *err)
{
	const M3Verdicts *verdicts = &s->matching->nodes[number].verdicts;
	M3Clue	   *clue = &s->clues[number];

	start_terms(clue);
	for (uint32_t i = 0; i < verdicts->count; i++)
	{
		M3Ref		term;

		if (!verdicts->list[i].is_accepted)
			continue;
		term = m3_index_term(s->db->arena, clue->name, verdicts->list[i].value);
		if (term != 0)
			M3_TRY(add_term(s, clue, term, err));
	}
	clue->is_listed = true;
	return M3_OK;
}

/* --- the plan ----------------------------------------------------------- */

/* What costs next to nothing: names, and values given or asked about. */
static M3Status
look_up_leaf(M3Search *s, size_t number, M3Error *err)
{
	M3MatchNode *node = &s->matching->nodes[number];
	M3MatchKind kind = node->matcher->kind;
	M3Clue	   *clue = &s->clues[number];

	if (kind == M3_MATCH_ID)
		return M3_OK;
	clue->name = m3_index_name(s->db->arena, &s->ns->index, node->matcher->name);
	if (clue->name == 0)
	{
		/* nobody has it: all match, or none */
		node->settled = kind == M3_MATCH_ABSENT;
		clue->is_listed = kind != M3_MATCH_ABSENT;
		clue->bound = kind == M3_MATCH_ABSENT ? s->total : 0;
		return M3_OK;
	}
	if (kind == M3_MATCH_ABSENT)
		return M3_OK;
	clue->bound = m3_index_series_count(s->db->arena, clue->name);
	if (kind == M3_MATCH_PRESENT && clue->bound == s->total)
		node->settled = true;
	if (kind == M3_MATCH_ANY_OF)
		return find_values(s, number, err);
	if (kind == M3_MATCH_FILTER && node->verdicts.is_complete)
		return find_accepted(s, number, err);
	return M3_OK;
}

/* What a tree's parts say of it. */
static void
sum_up(M3Search *s, size_t number)
{
	const M3MatchNode *node = &s->matching->nodes[number];
	M3Clue	   *clue = &s->clues[number];
	bool		is_either = node->matcher->kind == M3_MATCH_EITHER;

	clue->is_listed = is_either;
	clue->bound = is_either ? 0 : s->total;
	for (size_t i = 0; i < node->matcher->part_count; i++)
	{
		const M3Clue *part = &s->clues[node->first_part + i];

		if (is_either)
		{
			clue->is_listed &= part->is_listed;
			clue->bound += part->bound;
		}
		else if (part->is_listed)
		{
			clue->is_listed = true;
			if (part->bound < clue->bound)
				clue->bound = part->bound;
		}
	}
}

static void
sum_up_all(M3Search *s)
{
	for (size_t i = s->matching->node_count; i-- > 0;)
	{
		if (m3i_is_tree(s->matching->nodes[i].matcher))
			sum_up(s, i);
	}
	s->is_empty = s->clues[0].bound == 0;
}

static M3Status
look_up(M3Search *s, M3Error *err)
{
	for (size_t i = 0; i < s->matching->node_count; i++)
	{
		M3Clue	   *clue = &s->clues[i];

		clue->is_listed = false;
		clue->term_count = 0;
		clue->name = 0;
		clue->bound = s->total;
		s->matching->nodes[i].settled = false;
		if (!m3i_is_tree(s->matching->nodes[i].matcher))
			M3_TRY(look_up_leaf(s, i, err));
	}
	sum_up_all(s);
	return M3_OK;
}

/* What it takes until the node's candidates can be listed, in series looked at. */
static uint64_t
price_of_leaf(const M3Search *s, size_t number)
{
	const M3Clue *clue = &s->clues[number];

	switch (s->matching->nodes[number].matcher->kind)
	{
		case M3_MATCH_PREFIX:
			return (uint64_t) m3_index_value_count(s->db->arena, clue->name) * VALUE_COST;
		case M3_MATCH_FILTER:
			return m3_index_value_count(s->db->arena, clue->name);
		case M3_MATCH_PRESENT:
		case M3_MATCH_NONE_OF:
		case M3_MATCH_NOT_PREFIX:
			/* a name that few series have serves, whatever is asked of its value */
			return (clue->bound + 1) * 2;
		case M3_MATCH_ANY_OF:
		case M3_MATCH_ABSENT:
		case M3_MATCH_ID:
		case M3_MATCH_NOT_FILTER:
		case M3_MATCH_ALL:
		case M3_MATCH_EITHER:
			break;
	}
	return IMPOSSIBLE;
}

/* As deep as nodes are nested. */
static uint64_t
price(const M3Search *s, size_t number)
{
	const M3MatchNode *node = &s->matching->nodes[number];
	bool		is_either = node->matcher->kind == M3_MATCH_EITHER;
	uint64_t	result = is_either ? 0 : IMPOSSIBLE;

	if (s->clues[number].is_listed)
		return 0;
	if (!m3i_is_tree(node->matcher))
		return price_of_leaf(s, number);
	for (size_t i = 0; i < node->matcher->part_count; i++)
	{
		uint64_t	part = price(s, node->first_part + i);

		if (!is_either)
			result = part < result ? part : result;
		else if (result > IMPOSSIBLE - part)
			return IMPOSSIBLE;
		else
			result += part;
	}
	return result;
}

static M3Status
note_values(M3Search *s, size_t number, M3Error *err)
{
	M3TermCursor cursor;
	M3Ref		term;

	m3_index_terms(s->db->arena, s->clues[number].name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		if (m3i_verdict(s->matching, number, m3_index_value(s->db->arena, term)) == NULL)
			return m3i_search_memory(err);
	}
	s->must_ask = true;
	s->matching->nodes[number].verdicts.is_complete = true;
	return M3_OK;
}

/* Pays the price; a filter has to be asked first. */
static M3Status
make_listed(M3Search *s, size_t number, M3Error *err)
{
	const M3MatchNode *node = &s->matching->nodes[number];
	size_t		cheapest = 0;

	if (s->clues[number].is_listed)
		return M3_OK;
	if (node->matcher->kind == M3_MATCH_FILTER)
		return note_values(s, number, err);
	if (!m3i_is_tree(node->matcher))
		return choose_values(s, number, err);
	for (size_t i = 0; i < node->matcher->part_count; i++)
	{
		if (node->matcher->kind == M3_MATCH_EITHER)
			M3_TRY(make_listed(s, node->first_part + i, err));
		else if (price(s, node->first_part + i) < price(s, node->first_part + cheapest))
			cheapest = i;
	}
	if (node->matcher->kind == M3_MATCH_ALL)
		return make_listed(s, node->first_part + cheapest, err);
	return M3_OK;
}

typedef enum Turn
{
	TURN_VALUES,				/* values of names are looked at */
	TURN_FILTERS,				/* filters are asked */
	TURN_RARE_NAMES				/* all series of a name are taken */
} Turn;

static Turn
turn_of(const M3MatchNode *node)
{
	M3MatchKind kind = node->matcher->kind;

	if (node->asks)
		return TURN_FILTERS;
	return kind == M3_MATCH_PREFIX || m3i_is_tree(node->matcher) ? TURN_VALUES : TURN_RARE_NAMES;
}

/* The cheapest of the matchers that are not listed and worth it; 0 if there is none. */
static size_t
next_of_turn(const M3Search *s, Turn turn)
{
	uint64_t	limit = s->clues[0].bound;
	size_t		best = 0;

	for (size_t i = 1; i <= s->matching->all.part_count; i++)
	{
		uint64_t	cost;

		if (s->clues[i].is_listed || turn_of(&s->matching->nodes[i]) != turn)
			continue;
		cost = price(s, i);
		if (cost < limit || (cost == limit && best == 0))
		{
			best = i;
			limit = cost;
		}
	}
	return best;
}

/* One after the other: these cost more, and are left out once few series are left. */
static M3Status
enumerate(M3Search *s, M3Error *err)
{
	for (Turn turn = TURN_VALUES; turn <= TURN_RARE_NAMES && !s->must_ask; turn++)
	{
		size_t		next;

		while (!s->is_empty && !s->must_ask && (next = next_of_turn(s, turn)) != 0)
		{
			M3_TRY(make_listed(s, next, err));
			sum_up_all(s);
		}
	}
	return M3_OK;
}

/* ROOT_NAMES held. */
static M3Status
plan(M3Search *s, M3Error *err)
{
	s->total = s->ns->series_count - s->ns->series_holes;
	s->must_ask = false;
	M3_TRY(look_up(s, err));
	return enumerate(s, err);
}

/* --- the whole ---------------------------------------------------------- */

/* ROOT_NAMES held. */
static M3Status
collect(M3Search *s, M3Candidates *candidates, M3Error *err)
{
	M3Ordinals	ordinals;

	if (!s->clues[0].is_listed)
	{
		candidates->all = true;
		return M3_OK;
	}
	M3_TRY(m3i_list_candidates(s, 0, &ordinals, err));
	candidates->count = ordinals.count;
	candidates->list = m3_alloc(s->memory, (ordinals.count + 1) * sizeof(*candidates->list));
	for (size_t i = 0; i < ordinals.count && candidates->list != NULL; i++)
		candidates->list[i] = *m3i_series_entry(s->db, s->ns, ordinals.list[i]);
	m3_free(s->memory, ordinals.list);
	return candidates->list == NULL ? m3i_search_memory(err) : M3_OK;
}

static M3Status
plan_and_collect(M3Search *s, M3Candidates *candidates, M3Error *err)
{
	M3Env	   *env = s->db->env;
	M3Status	status;

	env->lock(env, m3i_lock_names(s->db), M3_LOCK_SHARED);
	status = plan(s, err);
	if (status == M3_OK && !s->must_ask && !s->is_empty)
		status = collect(s, candidates, err);
	env->unlock(env, m3i_lock_names(s->db));
	return status;
}

static M3Status
search(M3Search *s, M3Candidates *candidates, M3Error *err)
{
	do
	{
		M3_TRY(plan_and_collect(s, candidates, err));
		for (size_t i = 0; s->must_ask && i < s->matching->node_count; i++)
		{
			if (s->matching->nodes[i].verdicts.is_complete)
				m3i_verdicts_ask(s->matching, i, s->db->env);
		}
	} while (s->must_ask);
	return M3_OK;
}

M3Status
m3i_candidates_find(M3Database *db, const M3NamespaceShared *ns, M3Matching *matching,
					M3Candidates *candidates, M3Error *err)
{
	M3Search	s = {.db = db,.ns = ns,.matching = matching,.memory = matching->memory};
	M3Status	status;

	memset(candidates, 0, sizeof(*candidates));
	s.clues = m3_alloc(s.memory, matching->node_count * sizeof(*s.clues));
	if (s.clues == NULL)
		return m3i_search_memory(err);
	memset(s.clues, 0, matching->node_count * sizeof(*s.clues));
	status = search(&s, candidates, err);
	for (size_t i = 0; i < matching->node_count; i++)
		m3_free(s.memory, s.clues[i].terms);
	m3_free(s.memory, s.clues);
	return status;
}
