/*
 * Large sets: blocks by the upper 16 bits of ordinals.
 */
#include "storage/index/index_private.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define BLOCK_BITS 65536u
#define BITMAP_SIZE (BLOCK_BITS / 8)

/* Most ordinals of the array of a block, which is no larger than its bitmap; so few make a bitmap
 * an array again. */
#define ARRAY_MAX 3840u
#define ARRAY_AGAIN 2560u

/* Of a new list. */
#define FIRST_BLOCKS 2u

typedef struct Block
{
	M3Ref		ref;			/* array of uint16, or bitmap */
	uint32_t	count;
	uint16_t	key;			/* upper 16 bits */
	uint16_t	capacity;		/* of the array; 0: bitmap */
} Block;

typedef struct M3PostingsWide
{
	uint32_t	count;
	uint32_t	capacity;
	Block		blocks[];		/* ascending by key */
} M3PostingsWide;

static M3PostingsWide *
wide_of(const M3Arena *arena, const M3Postings *postings)
{
	return m3_arena_at(arena, postings->list);
}

static uint32_t
lower_bound16(const uint16_t *list, uint32_t count, uint16_t value)
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

/* --- blocks ------------------------------------------------------------- */

static uint32_t
block_number(const M3PostingsWide *wide, uint16_t key)
{
	uint32_t	low = 0;
	uint32_t	high = wide->count;

	if (high > 0 && wide->blocks[high - 1].key <= key)
		return wide->blocks[high - 1].key == key ? high - 1 : high;
	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (wide->blocks[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t
wide_size(uint32_t capacity)
{
	return sizeof(M3PostingsWide) + capacity * sizeof(Block);
}

static void
set_bit(uint64_t *bits, uint32_t bit)
{
	bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool
has_bit(const uint64_t *bits, uint32_t bit)
{
	return (bits[bit / 64] >> bit % 64 & 1) != 0;
}

/* An array that is as long as one may be becomes a bitmap. */
static bool
make_bitmap(M3Arena *arena, M3Env *env, Block *block)
{
	M3Ref		ref = m3_arena_alloc(arena, env, BITMAP_SIZE);
	const uint16_t *array = m3_arena_at(arena, block->ref);

	if (ref == 0)
		return false;
	for (uint32_t i = 0; i < block->count; i++)
		set_bit(m3_arena_at(arena, ref), array[i]);
	m3_arena_free(arena, env, block->ref);
	block->ref = ref;
	block->capacity = 0;
	return true;
}

/* Writes base + the number of each bit, ascending; returns how many. */
static uint32_t
list_bits(const uint64_t *bits, uint32_t base, uint32_t *list)
{
	uint32_t	count = 0;

	for (uint32_t word = 0; word < BLOCK_BITS / 64; word++)
	{
		for (uint64_t left = bits[word]; left != 0; left &= left - 1)
			list[count++] = base + word * 64 + (uint32_t) __builtin_ctzll(left);
	}
	return count;
}

static void
make_array(M3Arena *arena, M3Env *env, Block *block)
{
	uint32_t	capacity = m3i_postings_grown(block->count, sizeof(uint16_t), ARRAY_MAX);
	M3Ref		ref = m3_arena_alloc(arena, env, capacity * sizeof(uint16_t));
	const uint64_t *bits = m3_arena_at(arena, block->ref);
	uint32_t	count = 0;
	uint16_t   *array;

	if (ref == 0)
		return;					/* a bitmap will do */
	array = m3_arena_at(arena, ref);
	for (uint32_t word = 0; word < BLOCK_BITS / 64; word++)
	{
		for (uint64_t left = bits[word]; left != 0; left &= left - 1)
			array[count++] = (uint16_t) (word * 64 + (uint32_t) __builtin_ctzll(left));
	}
	m3_arena_free(arena, env, block->ref);
	block->ref = ref;
	block->capacity = (uint16_t) capacity;
}

static bool
block_add(M3Arena *arena, M3Env *env, Block *block, uint16_t low)
{
	uint16_t   *array;
	uint32_t	at;

	if (block->capacity > 0 && block->count == ARRAY_MAX && !make_bitmap(arena, env, block))
		return false;
	if (block->capacity == 0)
	{
		set_bit(m3_arena_at(arena, block->ref), low);
		block->count++;
		return true;
	}
	if (block->count == block->capacity)
	{
		uint32_t	capacity = m3i_postings_grown(block->count, sizeof(*array), ARRAY_MAX);
		M3Ref		ref = m3i_postings_moved(arena, env, block->ref,
											 block->count * sizeof(*array),
											 capacity * sizeof(*array));

		if (ref == 0)
			return false;
		block->ref = ref;
		block->capacity = (uint16_t) capacity;
	}
	array = m3_arena_at(arena, block->ref);
	at = lower_bound16(array, block->count, low);
	memmove(array + at + 1, array + at, (block->count - at) * sizeof(*array));
	array[at] = low;
	block->count++;
	return true;
}

static bool
block_contains(const M3Arena *arena, const Block *block, uint16_t low)
{
	const uint16_t *array = m3_arena_at(arena, block->ref);
	uint32_t	at;

	if (block->capacity == 0)
		return has_bit(m3_arena_at(arena, block->ref), low);
	at = lower_bound16(array, block->count, low);
	return at < block->count && array[at] == low;
}

static void
block_remove(M3Arena *arena, M3Env *env, Block *block, uint16_t low)
{
	uint16_t   *array = m3_arena_at(arena, block->ref);
	uint32_t	at;

	if (block->capacity == 0)
	{
		((uint64_t *) m3_arena_at(arena, block->ref))[low / 64] &= ~(UINT64_C(1) << low % 64);
		if (--block->count < ARRAY_AGAIN)
			make_array(arena, env, block);
		return;
	}
	at = lower_bound16(array, block->count, low);
	memmove(array + at, array + at + 1, (block->count - at - 1) * sizeof(*array));
	block->count--;
	if (block->count > 0 && block->count < block->capacity / 4u)
	{
		uint32_t	capacity = m3i_postings_grown(block->count, sizeof(*array), ARRAY_MAX);
		M3Ref		ref = m3i_postings_moved(arena, env, block->ref,
											 block->count * sizeof(*array),
											 capacity * sizeof(*array));

		if (ref != 0)
		{
			block->ref = ref;
			block->capacity = (uint16_t) capacity;
		}
	}
}

/* --- wide --------------------------------------------------------------- */

/* An empty block in place at of the list. */
static bool
add_block(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t at, uint16_t key)
{
	M3PostingsWide *wide = wide_of(arena, postings);
	uint32_t	capacity = (uint32_t) (m3_arena_rounded_size(1) / sizeof(uint16_t));
	M3Ref		array;

	if (wide->count == wide->capacity)
	{
		uint32_t	more = wide->capacity + wide->capacity / 2 + 2;
		M3Ref		list = m3i_postings_moved(arena, env, postings->list,
											  wide_size(wide->count), wide_size(more));

		if (list == 0)
			return false;
		postings->list = list;
		wide = wide_of(arena, postings);
		wide->capacity = more;
	}
	array = m3_arena_alloc(arena, env, capacity * sizeof(uint16_t));
	if (array == 0)
		return false;
	memmove(&wide->blocks[at + 1], &wide->blocks[at], (wide->count - at) * sizeof(Block));
	wide->blocks[at] = (Block) {.ref = array,.key = key,.capacity = (uint16_t) capacity};
	wide->count++;
	return true;
}

static void
remove_block(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t at)
{
	M3PostingsWide *wide = wide_of(arena, postings);

	m3_arena_free(arena, env, wide->blocks[at].ref);
	wide->count--;
	memmove(&wide->blocks[at], &wide->blocks[at + 1], (wide->count - at) * sizeof(Block));
	if (wide->count < wide->capacity / 4)
	{
		uint32_t	less = wide->capacity / 2;
		M3Ref		list = m3i_postings_moved(arena, env, postings->list,
											  wide_size(wide->count), wide_size(less));

		if (list != 0)
		{
			postings->list = list;
			wide_of(arena, postings)->capacity = less;
		}
	}
}

bool
m3i_wide_add(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal)
{
	M3PostingsWide *wide = wide_of(arena, postings);
	uint16_t	key = (uint16_t) (ordinal >> 16);
	uint32_t	at = block_number(wide, key);
	bool		is_new = at == wide->count || wide->blocks[at].key != key;

	if (is_new && !add_block(arena, env, postings, at, key))
		return false;
	/* a new one has room */
	if (!block_add(arena, env, &wide_of(arena, postings)->blocks[at], (uint16_t) ordinal))
		return false;
	postings->count++;
	return true;
}

bool
m3i_wide_create(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	memset(postings, 0, sizeof(*postings));
	postings->capacity = M3_POSTINGS_WIDE;
	postings->list = m3_arena_alloc(arena, env, wide_size(FIRST_BLOCKS));
	if (postings->list != 0)
		wide_of(arena, postings)->capacity = FIRST_BLOCKS;
	return postings->list != 0;
}

void
m3i_wide_free(M3Arena *arena, M3Env *env, M3Postings *postings)
{
	const M3PostingsWide *wide = wide_of(arena, postings);

	for (uint32_t i = 0; i < wide->count; i++)
		m3_arena_free(arena, env, wide->blocks[i].ref);
	m3_arena_free(arena, env, postings->list);
}

void
m3i_wide_remove(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal)
{
	M3PostingsWide *wide = wide_of(arena, postings);
	uint16_t	key = (uint16_t) (ordinal >> 16);
	uint32_t	at = block_number(wide, key);

	if (at == wide->count || wide->blocks[at].key != key ||
		!block_contains(arena, &wide->blocks[at], (uint16_t) ordinal))
		return;
	block_remove(arena, env, &wide->blocks[at], (uint16_t) ordinal);
	if (wide->blocks[at].count == 0)
		remove_block(arena, env, postings, at);
	postings->count--;
}

/* --- reading ------------------------------------------------------------ */

bool
m3i_wide_contain(const M3Arena *arena, const M3Postings *postings, uint32_t ordinal)
{
	const M3PostingsWide *wide = wide_of(arena, postings);
	uint32_t	at = block_number(wide, (uint16_t) (ordinal >> 16));

	return at < wide->count && wide->blocks[at].key == ordinal >> 16 &&
		block_contains(arena, &wide->blocks[at], (uint16_t) ordinal);
}

void
m3i_wide_copy(const M3Arena *arena, const M3Postings *postings, uint32_t *ordinals)
{
	const M3PostingsWide *wide = wide_of(arena, postings);

	for (uint32_t i = 0; i < wide->count; i++)
	{
		const Block *block = &wide->blocks[i];
		const uint16_t *array = m3_arena_at(arena, block->ref);
		uint32_t	base = (uint32_t) block->key << 16;

		if (block->capacity == 0)
			ordinals += list_bits(m3_arena_at(arena, block->ref), base, ordinals);
		else
		{
			for (uint32_t j = 0; j < block->count; j++)
				*ordinals++ = base + array[j];
		}
	}
}

static void
mark_bitmap(const uint64_t *bitmap, uint64_t *bits)
{
	/* the last block of all may reach beyond the end of bits: its last words are 0 */
	for (uint32_t word = 0; word < BLOCK_BITS / 64; word++)
	{
		if (bitmap[word] != 0)
			bits[word] |= bitmap[word];
	}
}

void
m3i_wide_mark(const M3Arena *arena, const M3Postings *postings, uint64_t *bits)
{
	const M3PostingsWide *wide = wide_of(arena, postings);

	for (uint32_t i = 0; i < wide->count; i++)
	{
		const Block *block = &wide->blocks[i];
		const uint16_t *array = m3_arena_at(arena, block->ref);
		uint64_t   *base = bits + (size_t) block->key * (BLOCK_BITS / 64);

		if (block->capacity == 0)
			mark_bitmap(m3_arena_at(arena, block->ref), base);
		else
		{
			for (uint32_t j = 0; j < block->count; j++)
				set_bit(base, array[j]);
		}
	}
}
