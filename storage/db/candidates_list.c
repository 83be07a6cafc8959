/*
 * The series that the index names for a node of a search.
 *
 * Few ordinals are put together and sorted; many are marked in a bitmap of all series.
 */
#include "storage/db/candidates_private.h"

#include <stdlib.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* So many terms are asked one by one whether a candidate is in them. */
#define FEW_TERMS 4u

/* Looking at a bit is so many times cheaper than at a series; ordinals are sorted if they are
 * fewer than such a part of all. */
#define SERIES_COST 8u
#define SPARSE 512u

/* --- bitmaps and sorted lists ------------------------------------------- */

static uint64_t *
no_bits(const M3Search *s)
{
	size_t		size = ((size_t) s->ns->series_count + 63) / 64 * sizeof(uint64_t);
	uint64_t   *bits = m3_alloc(s->memory, size);

	if (bits != NULL)
		memset(bits, 0, size);
	return bits;
}

static void
mark_terms(const M3Search *s, const M3Clue *clue, uint64_t *bits)
{
	for (size_t i = 0; i < clue->term_count; i++)
		m3_index_mark(s->db->arena, clue->terms[i], bits);
}

/* ordinals has room. */
static size_t
list_bits(const M3Search *s, const uint64_t *bits, uint32_t *ordinals)
{
	uint32_t   *at = ordinals;

	for (uint32_t word = 0; word <= (s->ns->series_count - 1) / 64; word++)
	{
		for (uint64_t left = bits[word]; left != 0; left &= left - 1)
			*at++ = word * 64 + (uint32_t) __builtin_ctzll(left);
	}
	return (size_t) (at - ordinals);
}

static int
compare_ordinals(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

static size_t
sort_unique(uint32_t *ordinals, size_t count)
{
	size_t		kept = 0;

	qsort(ordinals, count, sizeof(*ordinals), compare_ordinals);
	for (size_t i = 0; i < count; i++)
	{
		if (kept == 0 || ordinals[kept - 1] != ordinals[i])
			ordinals[kept++] = ordinals[i];
	}
	return kept;
}

static bool
is_sparse(const M3Search *s, const M3Clue *clue)
{
	return clue->bound < s->ns->series_count / SPARSE;
}

/* --- leaves ------------------------------------------------------------- */

/* A series is in one term of a name at most. */
static M3Status
list_leaf(const M3Search *s, const M3Clue *clue, M3Ordinals *ordinals, M3Error *err)
{
	uint64_t   *bits;

	if (clue->term_count <= 1 || is_sparse(s, clue))
	{
		for (size_t i = 0; i < clue->term_count; i++)
		{
			m3_index_copy(s->db->arena, clue->terms[i], ordinals->list + ordinals->count);
			ordinals->count += m3_index_count(s->db->arena, clue->terms[i]);
		}
		if (clue->term_count > 1)
			qsort(ordinals->list, ordinals->count, sizeof(*ordinals->list), compare_ordinals);
		return M3_OK;
	}
	bits = no_bits(s);
	if (bits == NULL)
		return m3i_search_memory(err);
	mark_terms(s, clue, bits);
	ordinals->count = list_bits(s, bits, ordinals->list);
	m3_free(s->memory, bits);
	return M3_OK;
}

static bool
is_in_terms(const M3Search *s, const M3Clue *clue, uint32_t ordinal)
{
	for (size_t i = 0; i < clue->term_count; i++)
	{
		if (m3_index_contains(s->db->arena, clue->terms[i], ordinal))
			return true;
	}
	return false;
}

/* --- EITHER ------------------------------------------------------------- */

static M3Status
append_part(M3Search *s, size_t part, M3Ordinals *ordinals, M3Error *err)
{
	M3Ordinals	some;

	M3_TRY(m3i_list_candidates(s, part, &some, err));
	if (some.count > 0)
		memcpy(ordinals->list + ordinals->count, some.list, some.count * sizeof(*some.list));
	ordinals->count += some.count;
	ordinals->is_exact &= some.is_exact;
	m3_free(s->memory, some.list);
	return M3_OK;
}

static M3Status
mark_part(M3Search *s, size_t part, uint64_t *bits, M3Ordinals *ordinals, M3Error *err)
{
	M3Ordinals	some;

	if (!m3i_is_tree(s->matching->nodes[part].matcher))
	{
		mark_terms(s, &s->clues[part], bits);
		return M3_OK;
	}
	M3_TRY(m3i_list_candidates(s, part, &some, err));
	for (size_t i = 0; i < some.count; i++)
		bits[some.list[i] / 64] |= UINT64_C(1) << some.list[i] % 64;
	ordinals->is_exact &= some.is_exact;
	m3_free(s->memory, some.list);
	return M3_OK;
}

static M3Status
list_either(M3Search *s, size_t number, M3Ordinals *ordinals, M3Error *err)
{
	const M3MatchNode *node = &s->matching->nodes[number];
	bool		sparse = is_sparse(s, &s->clues[number]);
	uint64_t   *bits = sparse ? NULL : no_bits(s);
	M3Status	status = M3_OK;

	if (!sparse && bits == NULL)
		return m3i_search_memory(err);
	for (size_t i = 0; i < node->matcher->part_count && status == M3_OK; i++)
	{
		if (sparse)
			status = append_part(s, node->first_part + i, ordinals, err);
		else
			status = mark_part(s, node->first_part + i, bits, ordinals, err);
	}
	ordinals->count = sparse ? sort_unique(ordinals->list, ordinals->count) :
		list_bits(s, bits, ordinals->list);
	m3_free(s->memory, bits);
	return status;
}

/* --- ALL ---------------------------------------------------------------- */

/* Leaves those that are in a leaf's terms; false, and nothing done, if that is not cheap. */
static M3Status
keep_leaf(const M3Search *s, const M3Clue *clue, M3Ordinals *ordinals, bool *done, M3Error *err)
{
	uint64_t   *bits = NULL;
	size_t		kept = 0;

	*done = clue->term_count <= FEW_TERMS ||
		(clue->bound + s->ns->series_count / 64) / SERIES_COST <= ordinals->count;
	if (!*done)
		return M3_OK;
	if (clue->term_count > FEW_TERMS)
	{
		bits = no_bits(s);
		if (bits == NULL)
			return m3i_search_memory(err);
		mark_terms(s, clue, bits);
	}
	for (size_t i = 0; i < ordinals->count; i++)
	{
		uint32_t	ordinal = ordinals->list[i];

		if (bits != NULL ? (bits[ordinal / 64] >> ordinal % 64 & 1) != 0 :
			is_in_terms(s, clue, ordinal))
			ordinals->list[kept++] = ordinal;
	}
	m3_free(s->memory, bits);
	ordinals->count = kept;
	return M3_OK;
}

/* The same of a tree's candidates; not exact if these are not. */
static M3Status
keep_tree(M3Search *s, size_t part, M3Ordinals *ordinals, bool *done, M3Error *err)
{
	M3Ordinals	some;
	size_t		kept = 0;
	size_t		at = 0;

	*done = (s->clues[part].bound + s->ns->series_count / 64) / SERIES_COST <= ordinals->count;
	if (!*done)
		return M3_OK;
	M3_TRY(m3i_list_candidates(s, part, &some, err));
	for (size_t i = 0; i < ordinals->count; i++)
	{
		uint32_t	ordinal = ordinals->list[i];

		while (at < some.count && some.list[at] < ordinal)
			at++;
		if (at < some.count && some.list[at] == ordinal)
			ordinals->list[kept++] = ordinal;
	}
	*done = some.is_exact;
	m3_free(s->memory, some.list);
	ordinals->count = kept;
	return M3_OK;
}

/* The part that leaves fewest. */
static size_t
base_of(const M3Search *s, const M3MatchNode *node)
{
	size_t		base = SIZE_MAX;

	for (size_t i = node->first_part; i < node->first_part + node->matcher->part_count; i++)
	{
		if (s->clues[i].is_listed && (base == SIZE_MAX || s->clues[i].bound < s->clues[base].bound))
			base = i;
	}
	return base;
}

static M3Status
list_all(M3Search *s, size_t number, M3Ordinals *ordinals, M3Error *err)
{
	const M3MatchNode *node = &s->matching->nodes[number];
	size_t		base = base_of(s, node);

	M3_TRY(append_part(s, base, ordinals, err));
	if (number == 0)
		s->matching->nodes[base].settled = ordinals->is_exact;
	for (size_t i = node->first_part; i < node->first_part + node->matcher->part_count; i++)
	{
		bool		done = false;

		if (i == base)
			continue;
		if (s->clues[i].is_listed && ordinals->count > 0)
		{
			if (m3i_is_tree(s->matching->nodes[i].matcher))
				M3_TRY(keep_tree(s, i, ordinals, &done, err));
			else
				M3_TRY(keep_leaf(s, &s->clues[i], ordinals, &done, err));
		}
		ordinals->is_exact &= done;
		if (number == 0)
			s->matching->nodes[i].settled |= done;
	}
	return M3_OK;
}

/* As deep as nodes are nested. */
M3Status
m3i_list_candidates(M3Search *s, size_t number, M3Ordinals *ordinals, M3Error *err)
{
	const M3Clue *clue = &s->clues[number];
	const M3Matcher *matcher = s->matching->nodes[number].matcher;
	M3Status	status;

	ordinals->count = 0;
	ordinals->is_exact = true;
	ordinals->list = m3_alloc(s->memory, (clue->bound + 1) * sizeof(*ordinals->list));
	if (ordinals->list == NULL)
		return m3i_search_memory(err);
	if (!m3i_is_tree(matcher))
		status = list_leaf(s, clue, ordinals, err);
	else if (matcher->kind == M3_MATCH_EITHER)
		status = list_either(s, number, ordinals, err);
	else
		status = list_all(s, number, ordinals, err);
	if (status != M3_OK)
	{
		m3_free(s->memory, ordinals->list);
		ordinals->list = NULL;
	}
	return status;
}
