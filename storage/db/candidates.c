/*
 * Which series might match, by the index.
 *
 * Each matcher that names values is turned into terms, whose postings say how many series
 * it leaves.  The one that leaves fewest is where candidates come from; others take away from
 * them where that is cheaper than a look at each candidate.  To go through all values
 * of a name is worth it only if they are fewer than the candidates there are otherwise.
 *
 * All of this is done under ROOT_NAMES at one go, so that it is of one moment.  Filters are
 * the exception: they are asked about copies of values while no lock is held, and then terms are
 * looked up anew.  A value that came between is of series that no snapshot taken before can
 * see, or that the transaction itself made, which are matched apart.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/db/match.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* So many terms are asked one by one whether a candidate is in them. */
#define FEW_TERMS 4u

/* Looking at a bit is so many times cheaper than at a series; ordinals are sorted if they are
 * fewer than such a part of all. */
#define SERIES_COST 8u
#define SPARSE 512u

/* Values lie about in memory, series in the list's order mostly do not. */
#define VALUE_COST 2u

/* What the index knows of a matcher. */
typedef struct Clue
{
	M3Ref		name;			/* 0: not looked up, or nobody has it */
	uint64_t	bound;			/* it leaves no more series */
	bool		is_exact;		/* it leaves those of the terms */
	M3Ref	   *terms;
	size_t		term_count;
	size_t		term_capacity;
} Clue;

typedef struct Search
{
	M3Database *db;
	const M3NamespaceShared *ns;
	M3Matching *matching;
	M3Memory   *memory;
	Clue	   *clues;
	uint64_t	total;			/* series there are */
	uint64_t	best;			/* the smallest bound of exact clues */
	bool		is_empty;		/* nothing can match */
	bool		must_ask;		/* filters, before it can go on */
} Search;

static M3Status
out_of_memory(M3Error *err)
{
	return m3_error(err, M3_NO_MEMORY, "out of memory");
}

/* --- terms -------------------------------------------------------------- */

static M3Status
add_term(Search *s, Clue *clue, M3Ref term, M3Error *err)
{
	if (clue->term_count == clue->term_capacity)
	{
		size_t		capacity = clue->term_capacity * 2 + 16;
		M3Ref	   *terms = m3_resize(s->memory, clue->terms, capacity * sizeof(*terms));

		if (terms == NULL)
			return out_of_memory(err);
		clue->terms = terms;
		clue->term_capacity = capacity;
	}
	clue->terms[clue->term_count++] = term;
	clue->bound += m3_index_count(s->db->arena, term);
	return M3_OK;
}

static void
start_terms(Clue *clue)
{
	clue->term_count = 0;
	clue->bound = 0;
}

static void
end_terms(Search *s, Clue *clue)
{
	clue->is_exact = true;
	if (clue->bound < s->best)
		s->best = clue->bound;
	if (clue->bound == 0)
		s->is_empty = true;
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
remove_repeated(Search *s, Clue *clue)
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
find_values(Search *s, size_t number, M3Error *err)
{
	const M3Matcher *matcher = &s->matching->matchers[number];
	Clue	   *clue = &s->clues[number];

	start_terms(clue);
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		M3Ref		term = m3_index_term(s->db->arena, clue->name, matcher->values[i]);

		if (term != 0)
			M3_TRY(add_term(s, clue, term, err));
	}
	remove_repeated(s, clue);
	end_terms(s, clue);
	return M3_OK;
}

/* Goes through all values of the name. */
static M3Status
choose_values(Search *s, size_t number, M3Error *err)
{
	const M3Matcher *matcher = &s->matching->matchers[number];
	Clue	   *clue = &s->clues[number];
	M3TermCursor cursor;
	M3Ref		term;

	start_terms(clue);
	m3_index_terms(s->db->arena, clue->name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		if (m3i_matches_value(matcher, m3_index_value(s->db->arena, term)))
			M3_TRY(add_term(s, clue, term, err));
	}
	end_terms(s, clue);
	return M3_OK;
}

static M3Status
find_accepted(Search *s, size_t number, M3Error *err)
{
	const M3Verdicts *verdicts = &s->matching->verdicts[number];
	Clue	   *clue = &s->clues[number];

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
	end_terms(s, clue);
	return M3_OK;
}

/* --- the plan ----------------------------------------------------------- */

/* What costs next to nothing: names, and values given. */
static M3Status
look_up(Search *s, size_t number, M3Error *err)
{
	const M3Matcher *matcher = &s->matching->matchers[number];
	Clue	   *clue = &s->clues[number];

	clue->is_exact = false;
	clue->term_count = 0;
	clue->name = 0;
	clue->bound = s->total;
	s->matching->settled[number] = false;
	if (matcher->kind == M3_MATCH_ID)
		return M3_OK;
	clue->name = m3_index_name(s->db->arena, &s->ns->index, matcher->name);
	if (clue->name == 0)
	{
		s->matching->settled[number] = matcher->kind == M3_MATCH_ABSENT;
		s->is_empty |= matcher->kind != M3_MATCH_ABSENT;
		return M3_OK;
	}
	if (matcher->kind == M3_MATCH_ABSENT)
		return M3_OK;
	clue->bound = m3_index_series_count(s->db->arena, clue->name);
	if (matcher->kind == M3_MATCH_PRESENT && clue->bound == s->total)
		s->matching->settled[number] = true;
	if (matcher->kind == M3_MATCH_ANY_OF)
		return find_values(s, number, err);
	return M3_OK;
}

static uint64_t
count_values(const Search *s, size_t number)
{
	return m3_index_value_count(s->db->arena, s->clues[number].name);
}

static M3Status
note_values(Search *s, size_t number, M3Error *err)
{
	M3TermCursor cursor;
	M3Ref		term;

	m3_index_terms(s->db->arena, s->clues[number].name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		if (m3i_verdict(s->matching, number, m3_index_value(s->db->arena, term)) == NULL)
			return out_of_memory(err);
	}
	s->must_ask = true;
	s->matching->verdicts[number].is_complete = true;
	return M3_OK;
}

/* Of the filters not asked yet, the one with the fewest values; count if there is none. */
static size_t
next_filter(const Search *s)
{
	size_t		best = s->matching->count;

	for (size_t i = 0; i < s->matching->count; i++)
	{
		if (s->matching->matchers[i].kind == M3_MATCH_FILTER &&
			!s->matching->verdicts[i].is_complete &&
			(best == s->matching->count || count_values(s, i) < count_values(s, best)))
			best = i;
	}
	return best;
}

/* Prefixes, then filters, one after the other: these cost more, and are left out once few
 * series are left. */
static M3Status
enumerate(Search *s, M3Error *err)
{
	size_t		filter;

	for (size_t i = 0; i < s->matching->count && !s->is_empty; i++)
	{
		if (s->matching->matchers[i].kind == M3_MATCH_PREFIX &&
			count_values(s, i) * VALUE_COST <= s->best)
			M3_TRY(choose_values(s, i, err));
	}
	for (size_t i = 0; i < s->matching->count && !s->is_empty; i++)
	{
		if (s->matching->matchers[i].kind == M3_MATCH_FILTER &&
			s->matching->verdicts[i].is_complete)
			M3_TRY(find_accepted(s, i, err));
	}
	if (s->is_empty)
		return M3_OK;
	filter = next_filter(s);
	if (filter < s->matching->count && count_values(s, filter) <= s->best)
		return note_values(s, filter, err);
	return M3_OK;
}

/* A name that few series have serves, whatever is asked of its value. */
static M3Status
use_rare_name(Search *s, M3Error *err)
{
	for (size_t i = 0; i < s->matching->count && !s->is_empty; i++)
	{
		M3MatchKind kind = s->matching->matchers[i].kind;

		if (s->clues[i].is_exact || s->clues[i].bound >= s->best / 2)
			continue;
		if (kind == M3_MATCH_PRESENT || kind == M3_MATCH_NONE_OF || kind == M3_MATCH_NOT_PREFIX)
			M3_TRY(choose_values(s, i, err));
	}
	return M3_OK;
}

/* ROOT_NAMES held. */
static M3Status
plan(Search *s, M3Error *err)
{
	s->total = s->ns->series_count - s->ns->series_holes;
	s->best = s->total;
	s->must_ask = false;
	s->is_empty = s->total == 0;
	for (size_t i = 0; i < s->matching->count && !s->is_empty; i++)
		M3_TRY(look_up(s, i, err));
	M3_TRY(enumerate(s, err));
	return s->must_ask ? M3_OK : use_rare_name(s, err);
}

/* --- ordinals ----------------------------------------------------------- */

static uint64_t *
mark_terms(const Search *s, const Clue *clue)
{
	size_t		size = ((size_t) s->ns->series_count + 63) / 64 * sizeof(uint64_t);
	uint64_t   *bits = m3_alloc(s->memory, size);

	if (bits == NULL)
		return NULL;
	memset(bits, 0, size);
	for (size_t i = 0; i < clue->term_count; i++)
		m3_index_mark(s->db->arena, clue->terms[i], bits);
	return bits;
}

static int
compare_ordinals(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* The ordinals of a clue's terms, ascending.  A series is in one term of a name at most. */
static M3Status
gather(const Search *s, const Clue *clue, uint32_t *ordinals, M3Error *err)
{
	uint64_t   *bits;

	if (clue->term_count == 1 || clue->bound < s->ns->series_count / SPARSE)
	{
		uint32_t   *at = ordinals;

		for (size_t i = 0; i < clue->term_count; i++)
		{
			m3_index_copy(s->db->arena, clue->terms[i], at);
			at += m3_index_count(s->db->arena, clue->terms[i]);
		}
		if (clue->term_count > 1)
			qsort(ordinals, clue->bound, sizeof(*ordinals), compare_ordinals);
		return M3_OK;
	}
	bits = mark_terms(s, clue);
	if (bits == NULL)
		return out_of_memory(err);
	for (uint32_t word = 0; word <= (s->ns->series_count - 1) / 64; word++)
	{
		for (uint64_t left = bits[word]; left != 0; left &= left - 1)
			*ordinals++ = word * 64 + (uint32_t) __builtin_ctzll(left);
	}
	m3_free(s->memory, bits);
	return M3_OK;
}

static bool
is_in_terms(const Search *s, const Clue *clue, uint32_t ordinal)
{
	for (size_t i = 0; i < clue->term_count; i++)
	{
		if (m3_index_contains(s->db->arena, clue->terms[i], ordinal))
			return true;
	}
	return false;
}

/* Leaves the ordinals that are in another clue's terms too, if that is cheap. */
static M3Status
intersect(const Search *s, size_t number, uint32_t *ordinals, size_t *count, M3Error *err)
{
	const Clue *clue = &s->clues[number];
	uint64_t   *bits = NULL;
	size_t		kept = 0;

	if (clue->term_count > FEW_TERMS)
	{
		if ((clue->bound + s->ns->series_count / 64) / SERIES_COST > *count)
			return M3_OK;
		bits = mark_terms(s, clue);
		if (bits == NULL)
			return out_of_memory(err);
	}
	for (size_t i = 0; i < *count; i++)
	{
		uint32_t	ordinal = ordinals[i];

		if (bits != NULL ? (bits[ordinal / 64] >> ordinal % 64 & 1) != 0 :
			is_in_terms(s, clue, ordinal))
			ordinals[kept++] = ordinal;
	}
	m3_free(s->memory, bits);
	*count = kept;
	s->matching->settled[number] = true;
	return M3_OK;
}

/* ordinals has room for those of the base. */
static M3Status
collect_from(Search *s, size_t base, uint32_t *ordinals, M3Candidates *candidates, M3Error *err)
{
	size_t		count = s->clues[base].bound;

	M3_TRY(gather(s, &s->clues[base], ordinals, err));
	s->matching->settled[base] = true;
	for (size_t i = 0; i < s->matching->count && count > 0; i++)
	{
		if (i != base && s->clues[i].is_exact)
			M3_TRY(intersect(s, i, ordinals, &count, err));
	}
	if (count == 0)
		return M3_OK;
	candidates->list = m3_alloc(s->memory, count * sizeof(*candidates->list));
	if (candidates->list == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++)
		candidates->list[i] = *m3i_series_entry(s->db, s->ns, ordinals[i]);
	candidates->count = count;
	return M3_OK;
}

/* ROOT_NAMES held: the candidates, from the clue that leaves fewest. */
static M3Status
collect(Search *s, M3Candidates *candidates, M3Error *err)
{
	size_t		base = s->matching->count;
	uint32_t   *ordinals;
	M3Status	status;

	for (size_t i = 0; i < s->matching->count; i++)
	{
		if (s->clues[i].is_exact &&
			(base == s->matching->count || s->clues[i].bound < s->clues[base].bound))
			base = i;
	}
	if (base == s->matching->count)
	{
		/* what is settled now need not be when the list is walked */
		memset(s->matching->settled, 0, s->matching->count * sizeof(bool));
		candidates->all = true;
		return M3_OK;
	}
	ordinals = m3_alloc(s->memory, s->clues[base].bound * sizeof(*ordinals));
	if (ordinals == NULL)
		return out_of_memory(err);
	status = collect_from(s, base, ordinals, candidates, err);
	m3_free(s->memory, ordinals);
	return status;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
plan_and_collect(Search *s, M3Candidates *candidates, M3Error *err)
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
search(Search *s, M3Candidates *candidates, M3Error *err)
{
	do
	{
		M3_TRY(plan_and_collect(s, candidates, err));
		for (size_t i = 0; s->must_ask && i < s->matching->count; i++)
		{
			if (s->matching->verdicts[i].is_complete)
				m3i_verdicts_ask(s->matching, i, s->db->env);
		}
	} while (s->must_ask);
	return M3_OK;
}

M3Status
m3i_candidates_find(M3Database *db, const M3NamespaceShared *ns, M3Matching *matching,
					M3Candidates *candidates, M3Error *err)
{
	Search		s = {.db = db,.ns = ns,.matching = matching,.memory = matching->memory};
	M3Status	status;

	memset(candidates, 0, sizeof(*candidates));
	s.clues = m3_alloc(s.memory, matching->count * sizeof(*s.clues));
	if (s.clues == NULL)
		return out_of_memory(err);
	memset(s.clues, 0, matching->count * sizeof(*s.clues));
	status = search(&s, candidates, err);
	for (size_t i = 0; i < matching->count; i++)
		m3_free(s.memory, s.clues[i].terms);
	m3_free(s.memory, s.clues);
	return status;
}
