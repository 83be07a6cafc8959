#include "storage/db/match.h"

#include <string.h>

#include "storage/base/hash.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define TEXT_SIZE 16384u
#define YIELD_EVERY 1024u

/* Where copies of values lie. */
typedef struct M3VerdictText
{
	struct M3VerdictText *next;
	size_t		used;
	size_t		size;
	uint8_t		bytes[];
} M3VerdictText;

M3Status
m3i_matching_init(M3Matching *matching, const M3Matcher *matchers, size_t count,
				  M3Memory *memory, M3Error *err)
{
	memset(matching, 0, sizeof(*matching));
	matching->memory = memory;
	matching->matchers = matchers;
	matching->count = count;
	if (count == 0)
		return M3_OK;
	matching->verdicts = m3_alloc(memory, count * sizeof(*matching->verdicts));
	matching->settled = m3_alloc(memory, count * sizeof(*matching->settled));
	if (matching->verdicts != NULL)
		memset(matching->verdicts, 0, count * sizeof(*matching->verdicts));
	if (matching->settled != NULL)
		memset(matching->settled, 0, count * sizeof(*matching->settled));
	if (matching->verdicts == NULL || matching->settled == NULL)
	{
		m3i_matching_free(matching);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	return M3_OK;
}

void
m3i_matching_free(M3Matching *matching)
{
	for (size_t i = 0; matching->verdicts != NULL && i < matching->count; i++)
	{
		M3Verdicts *verdicts = &matching->verdicts[i];

		m3_free(matching->memory, verdicts->list);
		m3_free(matching->memory, verdicts->slots);
		while (verdicts->texts != NULL)
		{
			M3VerdictText *text = verdicts->texts;

			verdicts->texts = text->next;
			m3_free(matching->memory, text);
		}
	}
	m3_free(matching->memory, matching->verdicts);
	m3_free(matching->memory, matching->settled);
	matching->verdicts = NULL;
	matching->settled = NULL;
}

/* --- what filters said -------------------------------------------------- */

/* The slot of a value, or the free one where it belongs; there is one. */
static uint32_t *
find_slot(const M3Verdicts *verdicts, M3Slice value, uint32_t hash)
{
	uint32_t	mask = verdicts->slot_count - 1;

	for (uint32_t at = hash & mask;; at = (at + 1) & mask)
	{
		uint32_t   *slot = &verdicts->slots[at];

		if (*slot == 0 || (verdicts->list[*slot - 1].hash == hash &&
						   m3_slice_equal(verdicts->list[*slot - 1].value, value)))
			return slot;
	}
}

static bool
grow(M3Verdicts *verdicts, M3Memory *memory)
{
	uint32_t	capacity = verdicts->capacity == 0 ? 64 : verdicts->capacity * 2;
	M3Verdict  *list;
	uint32_t   *slots;

	if (capacity > UINT32_MAX / 4)
		return false;
	list = m3_resize(memory, verdicts->list, capacity * sizeof(*list));
	if (list == NULL)
		return false;
	verdicts->list = list;
	slots = m3_alloc(memory, capacity * 2 * sizeof(*slots));
	if (slots == NULL)
		return false;
	memset(slots, 0, capacity * 2 * sizeof(*slots));
	m3_free(memory, verdicts->slots);
	verdicts->slots = slots;
	verdicts->slot_count = capacity * 2;
	verdicts->capacity = capacity;
	for (uint32_t i = 0; i < verdicts->count; i++)
		*find_slot(verdicts, list[i].value, list[i].hash) = i + 1;
	return true;
}

static const uint8_t *
copy_text(M3Verdicts *verdicts, M3Memory *memory, M3Slice value)
{
	M3VerdictText *text = verdicts->texts;
	uint8_t    *copy;

	if (text == NULL || text->size - text->used < value.size)
	{
		size_t		size = value.size > TEXT_SIZE ? value.size : TEXT_SIZE;

		text = m3_alloc(memory, sizeof(*text) + size);
		if (text == NULL)
			return NULL;
		text->next = verdicts->texts;
		text->used = 0;
		text->size = size;
		verdicts->texts = text;
	}
	copy = text->bytes + text->used;
	if (value.size > 0)
		memcpy(copy, value.data, value.size);
	text->used += value.size;
	return copy;
}

M3Verdict *
m3i_verdict(M3Matching *matching, size_t matcher, M3Slice value)
{
	M3Verdicts *verdicts = &matching->verdicts[matcher];
	uint32_t	hash = (uint32_t) m3_xxh64(value.data, value.size);
	M3Verdict  *verdict;
	uint32_t   *slot;

	if (verdicts->count == verdicts->capacity && !grow(verdicts, matching->memory))
		return NULL;
	slot = find_slot(verdicts, value, hash);
	if (*slot != 0)
		return &verdicts->list[*slot - 1];
	verdict = &verdicts->list[verdicts->count];
	verdict->value = m3_slice(copy_text(verdicts, matching->memory, value), value.size);
	if (verdict->value.data == NULL)
		return NULL;
	verdict->hash = hash;
	verdict->is_known = false;
	verdict->is_accepted = false;
	*slot = ++verdicts->count;
	return verdict;
}

void
m3i_verdicts_ask(M3Matching *matching, size_t matcher, M3Env *env)
{
	M3Verdicts *verdicts = &matching->verdicts[matcher];
	const M3Matcher *filter = &matching->matchers[matcher];

	for (uint32_t i = 0; i < verdicts->count; i++)
	{
		M3Verdict  *verdict = &verdicts->list[i];

		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			env->yield(env);
		if (!verdict->is_known)
			verdict->is_accepted = filter->accepts(filter->context, verdict->value);
		verdict->is_known = true;
	}
}

static bool
is_accepted(M3Matching *matching, size_t matcher, M3Slice value)
{
	const M3Matcher *filter = &matching->matchers[matcher];
	M3Verdict  *verdict = m3i_verdict(matching, matcher, value);

	if (verdict == NULL)
		return filter->accepts(filter->context, value);
	if (!verdict->is_known)
		verdict->is_accepted = filter->accepts(filter->context, verdict->value);
	verdict->is_known = true;
	return verdict->is_accepted;
}

/* --- matchers ----------------------------------------------------------- */

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
			break;
	}
	return false;
}

static bool
matches_one(M3Matching *matching, size_t number, M3Slice id, M3Slice tags)
{
	const M3Matcher *matcher = &matching->matchers[number];
	M3Slice		value;

	if (matcher->kind == M3_MATCH_ID)
		return is_one_of(matcher, id);
	if (!m3_tags_find(tags, matcher->name, &value))
		return matcher->kind == M3_MATCH_ABSENT;
	if (matcher->kind == M3_MATCH_FILTER)
		return is_accepted(matching, number, value);
	if (matcher->kind == M3_MATCH_NOT_FILTER)
		return !is_accepted(matching, number, value);
	return m3i_matches_value(matcher, value);
}

/* Filters last: they cost most. */
static bool
matches(M3Matching *matching, M3Slice id, M3Slice tags, bool only_rest)
{
	for (int pass = 0; pass < 2; pass++)
	{
		for (size_t i = 0; i < matching->count; i++)
		{
			M3MatchKind kind = matching->matchers[i].kind;
			bool		is_filter = kind == M3_MATCH_FILTER || kind == M3_MATCH_NOT_FILTER;

			if (is_filter == (pass == 1) && !(only_rest && matching->settled[i]) &&
				!matches_one(matching, i, id, tags))
				return false;
		}
	}
	return true;
}

bool
m3i_matches(M3Matching *matching, M3Slice id, M3Slice tags)
{
	return matches(matching, id, tags, false);
}

bool
m3i_matches_rest(M3Matching *matching, M3Slice id, M3Slice tags)
{
	return matches(matching, id, tags, true);
}

bool
m3i_is_settled(const M3Matching *matching)
{
	for (size_t i = 0; i < matching->count; i++)
	{
		if (!matching->settled[i])
			return false;
	}
	return true;
}
