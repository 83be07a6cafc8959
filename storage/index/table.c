/*
 * Hash tables by linear hashing: a bucket more is a chain split, a bucket less two chains
 * joined, so no call rebuilds the table and no large piece of memory is needed.
 *
 * Segments 0 to 8 hold 1, 2, 4 ... 256 buckets, from bucket 1 on; the others 512 each.
 */
#include "storage/index/index_private.h"

#include <string.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define SEGMENT_BUCKETS 512u
#define SMALL_SEGMENTS 9u

/* Chains are split one after the other: so many splits ahead a node is asked for. */
#define PREFETCH_SPLITS 4u

uint32_t
m3i_index_hash(M3Slice key)
{
	return (uint32_t) m3_xxh64(key.data, key.size);
}

static M3IndexNode *
node_at(const M3Arena *arena, M3Ref ref)
{
	return m3_arena_at(arena, ref);
}

static uint32_t
log2_of(uint32_t number)
{
	return 31u - (uint32_t) __builtin_clz(number);
}

/* The smallest 2^n - 1 that is not below number. */
static uint32_t
mask_of(uint32_t number)
{
	return number == 0 ? 0 : UINT32_MAX >> __builtin_clz(number);
}

static bool
starts_segment(uint32_t bucket)
{
	return bucket < SEGMENT_BUCKETS ? (bucket & (bucket - 1)) == 0 :
		bucket % SEGMENT_BUCKETS == 0;
}

static M3Ref *
chain_at(const M3Arena *arena, const M3IndexTable *table, uint32_t bucket)
{
	const M3Ref *segments;
	uint32_t	segment;
	uint32_t	first;

	if (bucket == 0)
		return (M3Ref *) &table->first;
	segments = m3_arena_at(arena, table->segments);
	if (bucket < SEGMENT_BUCKETS)
	{
		segment = log2_of(bucket);
		first = 1u << segment;
	}
	else
	{
		segment = SMALL_SEGMENTS + bucket / SEGMENT_BUCKETS - 1;
		first = bucket - bucket % SEGMENT_BUCKETS;
	}
	return (M3Ref *) m3_arena_at(arena, segments[segment]) + (bucket - first);
}

M3Ref
m3i_table_chain(const M3Arena *arena, const M3IndexTable *table, uint32_t bucket)
{
	return *chain_at(arena, table, bucket);
}

static M3Ref *
chain_of(const M3Arena *arena, const M3IndexTable *table, uint32_t hash)
{
	uint32_t	mask = mask_of(table->last_bucket);
	uint32_t	bucket = hash & mask;

	if (bucket > table->last_bucket)
		bucket &= mask >> 1;
	return chain_at(arena, table, bucket);
}

M3Ref
m3i_table_find(const M3Arena *arena, const M3IndexTable *table, M3Slice key, uint32_t hash)
{
	M3Ref		ref = *chain_of(arena, table, hash);

	while (ref != 0)
	{
		const M3IndexNode *node = node_at(arena, ref);

		if (node->hash == hash && m3_slice_equal(m3i_index_key(node), key))
			return ref;
		ref = node->next;
	}
	return 0;
}

/* Another array of refs of segments; false if there is no memory. */
static bool
set_capacity(M3Arena *arena, M3Env *env, M3IndexTable *table, uint32_t capacity)
{
	M3Ref		segments = m3_arena_alloc(arena, env, capacity * sizeof(M3Ref));

	if (segments == 0)
		return false;
	if (table->segment_count > 0)
		memcpy(m3_arena_at(arena, segments), m3_arena_at(arena, table->segments),
			   table->segment_count * sizeof(M3Ref));
	m3_arena_free(arena, env, table->segments);
	table->segments = segments;
	table->segment_capacity = capacity;
	return true;
}

static bool
add_segment(M3Arena *arena, M3Env *env, M3IndexTable *table, uint32_t bucket)
{
	uint32_t	buckets = bucket < SEGMENT_BUCKETS ? bucket : SEGMENT_BUCKETS;
	M3Ref		segment;

	if (table->segment_count == table->segment_capacity &&
		!set_capacity(arena, env, table, table->segment_capacity * 2 + 2))
		return false;
	segment = m3_arena_alloc(arena, env, buckets * sizeof(M3Ref));
	if (segment == 0)
	{
		if (table->segment_count == 0)
		{
			m3_arena_free(arena, env, table->segments);
			table->segments = 0;
			table->segment_capacity = 0;
		}
		return false;
	}
	((M3Ref *) m3_arena_at(arena, table->segments))[table->segment_count++] = segment;
	return true;
}

static void
remove_segment(M3Arena *arena, M3Env *env, M3IndexTable *table)
{
	M3Ref	   *segments = m3_arena_at(arena, table->segments);

	m3_arena_free(arena, env, segments[--table->segment_count]);
	if (table->segment_count == 0)
	{
		m3_arena_free(arena, env, table->segments);
		table->segments = 0;
		table->segment_capacity = 0;
	}
	else if (table->segment_count < table->segment_capacity / 4)
		(void) set_capacity(arena, env, table, table->segment_capacity / 2);
}

/* One bucket more, from half of another's chain; false if there is no memory. */
static bool
split(M3Arena *arena, M3Env *env, M3IndexTable *table)
{
	uint32_t	bucket = table->last_bucket + 1;
	uint32_t	mask = mask_of(bucket);
	uint32_t	source = bucket & mask >> 1;
	M3Ref	   *link;
	M3Ref	   *chain;

	if (starts_segment(bucket) && !add_segment(arena, env, table, bucket))
		return false;
	table->last_bucket = bucket;
	chain = chain_at(arena, table, bucket);
	link = chain_at(arena, table, source);
	if (source + PREFETCH_SPLITS <= mask >> 1)
		__builtin_prefetch(m3_arena_at(arena, *chain_at(arena, table, source + PREFETCH_SPLITS)));
	while (*link != 0)
	{
		M3Ref		ref = *link;
		M3IndexNode *node = node_at(arena, ref);

		if ((node->hash & mask) != bucket)
			link = &node->next;
		else
		{
			*link = node->next;
			node->next = *chain;
			*chain = ref;
		}
	}
	return true;
}

/* One bucket less. */
static void
join(M3Arena *arena, M3Env *env, M3IndexTable *table)
{
	uint32_t	bucket = table->last_bucket;
	M3Ref	   *chain = chain_at(arena, table, bucket);
	M3Ref	   *link = chain_at(arena, table, bucket & mask_of(bucket) >> 1);

	while (*link != 0)
		link = &node_at(arena, *link)->next;
	*link = *chain;
	*chain = 0;
	table->last_bucket--;
	if (starts_segment(bucket))
		remove_segment(arena, env, table);
}

void
m3i_table_add(M3Arena *arena, M3Env *env, M3IndexTable *table, M3Ref ref)
{
	M3IndexNode *node = node_at(arena, ref);
	M3Ref	   *chain;

	/* two, to catch up after memory was short */
	for (int i = 0; i < 2 && table->count > table->last_bucket; i++)
	{
		if (!split(arena, env, table))
			break;
	}
	chain = chain_of(arena, table, node->hash);
	node->next = *chain;
	*chain = ref;
	table->count++;
}

void
m3i_table_remove(M3Arena *arena, M3Env *env, M3IndexTable *table, M3Ref ref)
{
	M3IndexNode *node = node_at(arena, ref);
	M3Ref	   *link = chain_of(arena, table, node->hash);

	while (*link != ref)
		link = &node_at(arena, *link)->next;
	*link = node->next;
	table->count--;
	/* two for each node that goes, so that an empty table has none; one more to catch up */
	for (int i = 0; i < 3 && table->last_bucket > 0 && table->count <= table->last_bucket / 2; i++)
		join(arena, env, table);
}

void
m3i_table_free(M3Arena *arena, M3Env *env, M3IndexTable *table)
{
	while (table->segment_count > 0)
		remove_segment(arena, env, table);
	memset(table, 0, sizeof(*table));
}
