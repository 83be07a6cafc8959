/*
 * What filters said of values: each is asked about a value once.
 */
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/match.h"

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

void
m3i_verdicts_free(M3Verdicts *verdicts, M3Memory *memory)
{
	m3_free(memory, verdicts->list);
	m3_free(memory, verdicts->slots);
	while (verdicts->texts != NULL)
	{
		M3VerdictText *text = verdicts->texts;

		verdicts->texts = text->next;
		m3_free(memory, text);
	}
}

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
m3i_verdict(M3Matching *matching, size_t node, M3Slice value)
{
	M3Verdicts *verdicts = &matching->nodes[node].verdicts;
	/* not the half the index orders its values by: they come in that order, and would crowd */
	uint32_t	hash = (uint32_t) (m3_xxh64(value.data, value.size) >> 32);
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
m3i_verdicts_ask(M3Matching *matching, size_t node, M3Env *env)
{
	M3Verdicts *verdicts = &matching->nodes[node].verdicts;
	const M3Matcher *filter = matching->nodes[node].matcher;

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

bool
m3i_is_accepted(M3Matching *matching, size_t node, M3Slice value)
{
	const M3Matcher *filter = matching->nodes[node].matcher;
	M3Verdict  *verdict = m3i_verdict(matching, node, value);

	if (verdict == NULL)
		return filter->accepts(filter->context, value);
	if (!verdict->is_known)
		verdict->is_accepted = filter->accepts(filter->context, verdict->value);
	verdict->is_known = true;
	return verdict->is_accepted;
}
