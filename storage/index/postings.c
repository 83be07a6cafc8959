#include "storage/index/index_private.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Most ordinals of a flat list, all but a page of them; far fewer make it flat again. */
#define FLAT_MAX 1792u
#define FLAT_AGAIN 512u

static uint32_t *
flat_of(const M3Arena *arena, const M3Postings *postings)
{
	return m3_arena_at(arena, postings->list);
}

uint32_t
m3i_postings_grown(uint32_t count, size_t item_size, uint32_t max)
{
	size_t		capacity = m3_arena_rounded_size((count + count / 2 + 1) * item_size) / item_size;

	return capacity > max ? max : (uint32_t) capacity;
}

/* --- arrays ------------------------------------------------------------- */

/* Number of the first one not below value. */
static uint32_t
lower_bound32(const uint32_t *list, uint32_t count, uint32_t value)
{
	uint32_t	low = 0;

	if (count > 0 && list[count - 1] < value)
		return count;
	while (low < count)
	{
		uint32_t	middle = low + (count - low) / 2;

		if (list[middle] < value)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

static void
insert32(uint32_t *list, uint32_t count, uint32_t value)
{
	uint32_t	at = lower_bound32(list, count, value);

	memmove(list + at + 1, list + at, (count - at) * sizeof(*list));
	list[at] = value;
}

static bool
remove32(uint32_t *list, uint32_t count, uint32_t value)
{
	uint32_t	at = lower_bound32(list, count, value);

	if (at == count || list[at] != value)
		return false;
	memmove(list + at, list + at + 1, (count - at - 1) * sizeof(*list));
	return true;
}

M3Ref
m3i_postings_moved(M3Arena *arena, M3Env *env, M3Ref ref, size_t used, size_t size)
{
	M3Ref		copy = m3_arena_alloc(arena, env, size);

	if (copy != 0)
	{
		memcpy(m3_arena_at(arena, copy), m3_arena_at(arena, ref), used);
		m3_arena_free(arena, env, ref);
	}
	return copy;
}

/* --- other forms -------------------------------------------------------- */

static bool
make_wide(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	const uint32_t *flat = flat_of(arena, postings);
	M3Postings	made;

	if (!m3i_wide_create(arena, env, &made))
		return false;
	for (uint32_t i = 0; i < postings->count; i++)
	{
		if (!m3i_wide_add(arena, env, &made, flat[i]))
		{
			m3i_wide_free(arena, env, &made);
			return false;
		}
	}
	m3_arena_free(arena, env, postings->list);
	*postings = made;
	return true;
}

/* Few enough for a list; stays as it is if there is no memory for it. */
static void
make_flat(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	M3Postings	made = {.count = postings->count};

	if (made.count > M3_POSTINGS_FEW)
	{
		made.capacity = m3i_postings_grown(made.count, sizeof(uint32_t), FLAT_MAX);
		made.list = m3_arena_alloc(arena, env, made.capacity * sizeof(uint32_t));
		if (made.list == 0)
			return;
		m3i_postings_copy(arena, postings, flat_of(arena, &made));
	}
	else
		m3i_postings_copy(arena, postings, made.few);
	m3i_wide_free(arena, env, postings);
	*postings = made;
}

/* --- few and flat ------------------------------------------------------- */

/* Room for one more in the list, which few become. */
static bool
reserve_flat(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	uint32_t	capacity = m3i_postings_grown(postings->count, sizeof(uint32_t), FLAT_MAX);
	M3Ref		list;

	if (postings->capacity > 0)
		list = m3i_postings_moved(arena, env, postings->list,
								  postings->count * sizeof(uint32_t),
								  capacity * sizeof(uint32_t));
	else
	{
		list = m3_arena_alloc(arena, env, capacity * sizeof(uint32_t));
		if (list != 0)
			memcpy(m3_arena_at(arena, list), postings->few, sizeof(postings->few));
	}
	if (list == 0)
		return false;
	postings->list = list;
	postings->capacity = capacity;
	return true;
}

bool
m3i_postings_add(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal)
{
	if (postings->capacity == 0 && postings->count < M3_POSTINGS_FEW)
	{
		insert32(postings->few, postings->count++, ordinal);
		return true;
	}
	if (postings->capacity != M3_POSTINGS_WIDE && postings->count == FLAT_MAX &&
		!make_wide(arena, env, postings))
		return false;
	if (postings->capacity == M3_POSTINGS_WIDE)
		return m3i_wide_add(arena, env, postings, ordinal);
	if ((postings->capacity == 0 || postings->count == postings->capacity) &&
		!reserve_flat(arena, env, postings))
		return false;
	insert32(flat_of(arena, postings), postings->count++, ordinal);
	return true;
}

static void
shrink_flat(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	if (postings->count <= M3_POSTINGS_FEW)
	{
		M3Ref		list = postings->list;

		memcpy(postings->few, m3_arena_at(arena, list), postings->count * sizeof(uint32_t));
		postings->capacity = 0;
		m3_arena_free(arena, env, list);
	}
	else if (postings->count < postings->capacity / 4)
		(void) reserve_flat(arena, env, postings);
}

void
m3i_postings_remove(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal)
{
	if (postings->capacity == M3_POSTINGS_WIDE)
	{
		m3i_wide_remove(arena, env, postings, ordinal);
		if (postings->count < FLAT_AGAIN)
			make_flat(arena, env, postings);
	}
	else if (postings->capacity == 0)
	{
		if (remove32(postings->few, postings->count, ordinal))
			postings->count--;
	}
	else if (remove32(flat_of(arena, postings), postings->count, ordinal))
	{
		postings->count--;
		shrink_flat(arena, env, postings);
	}
}

void
m3i_postings_free(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	if (postings->capacity == M3_POSTINGS_WIDE)
		m3i_wide_free(arena, env, postings);
	else if (postings->capacity > 0)
		m3_arena_free(arena, env, postings->list);
	memset(postings, 0, sizeof(*postings));
}

/* --- reading ------------------------------------------------------------ */

static const uint32_t *
list_of(const M3Arena *arena, const M3Postings *postings)
{
	return postings->capacity == 0 ? postings->few : flat_of(arena, postings);
}

bool
m3i_postings_contain(const M3Arena *arena, const M3Postings *postings, uint32_t ordinal)
{
	const uint32_t *list;
	uint32_t	at;

	if (postings->capacity == M3_POSTINGS_WIDE)
		return m3i_wide_contain(arena, postings, ordinal);
	list = list_of(arena, postings);
	at = lower_bound32(list, postings->count, ordinal);
	return at < postings->count && list[at] == ordinal;
}

void
m3i_postings_copy(const M3Arena *arena, const M3Postings *postings, uint32_t *ordinals)
{
	if (postings->capacity == M3_POSTINGS_WIDE)
		m3i_wide_copy(arena, postings, ordinals);
	else
		memcpy(ordinals, list_of(arena, postings), postings->count * sizeof(*ordinals));
}

void
m3i_postings_mark(const M3Arena *arena, const M3Postings *postings, uint64_t *bits)
{
	const uint32_t *list;

	if (postings->capacity == M3_POSTINGS_WIDE)
	{
		m3i_wide_mark(arena, postings, bits);
		return;
	}
	list = list_of(arena, postings);
	for (uint32_t i = 0; i < postings->count; i++)
		bits[list[i] / 64] |= UINT64_C(1) << list[i] % 64;
}
