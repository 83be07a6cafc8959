#include "storage/db/blocks.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_BLOCK_CAPACITY 4u

/* ROOT_BLOCKS held.  NULL while the namespace has no file. */
static M3ShardShared *
shard_at(const M3Database *db, const M3NamespaceShared *ns, uint32_t shard)
{
	if (ns->shards == 0 || shard >= db->root->options.shard_count)
		return NULL;
	return (M3ShardShared *) m3_arena_at(db->arena, ns->shards) + shard;
}

static M3BlockShared *
blocks_of(const M3Database *db, const M3ShardShared *shard)
{
	return shard->blocks == 0 ? NULL : (M3BlockShared *) m3_arena_at(db->arena, shard->blocks);
}

/* Number of the first block that starts at or after start_ns. */
static uint32_t
lower_bound(const M3BlockShared *blocks, uint32_t count, int64_t start_ns)
{
	uint32_t	low = 0;
	uint32_t	high = count;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (blocks[middle].start_ns < start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* How many blocks of a shard start from first_ns to last_ns, and the number of the first one.
 * ROOT_BLOCKS held. */
static size_t
count_between(const M3Database *db, const M3ShardShared *shard, int64_t first_ns, int64_t last_ns,
			  size_t *first)
{
	const M3BlockShared *blocks;
	uint32_t	end;

	*first = 0;
	if (shard == NULL || shard->count == 0 || first_ns > last_ns)
		return 0;
	blocks = blocks_of(db, shard);
	*first = lower_bound(blocks, shard->count, first_ns);
	end = last_ns == INT64_MAX ? shard->count : lower_bound(blocks, shard->count, last_ns + 1);
	return end - *first;
}

/* ROOT_BLOCKS held exclusive. */
static void
count_block(M3NamespaceShared *ns, const M3BlockShared *block, bool added)
{
	uint64_t	size = block->data_size + block->index_size;
	uint64_t	series = block->series_count;
	bool		counted = block->points != M3_POINTS_UNKNOWN;
	uint64_t	points = counted ? block->points : 0;
	uint64_t	uncounted = counted ? 0 : block->data_size;

	/* unsigned arithmetic: adding the negative is subtracting */
	__atomic_fetch_add(&ns->file_count, added ? 1 : UINT64_MAX, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->file_size, added ? size : 0 - size, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->file_series, added ? series : 0 - series, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->file_points, added ? points : 0 - points, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->uncounted_size, added ? uncounted : 0 - uncounted, __ATOMIC_RELAXED);
}

static void
new_version(M3NamespaceShared *ns)
{
	__atomic_fetch_add(&ns->blocks_version, 1, __ATOMIC_RELEASE);
}

bool
m3i_blocks_find(M3Database *db, M3NamespaceShared *ns, uint32_t number, int64_t start_ns,
				M3BlockShared *block)
{
	const M3ShardShared *shard;
	bool		found = false;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_SHARED);
	shard = shard_at(db, ns, number);
	if (shard != NULL && shard->count > 0)
	{
		const M3BlockShared *blocks = blocks_of(db, shard);
		uint32_t	at = lower_bound(blocks, shard->count, start_ns);

		found = at < shard->count && blocks[at].start_ns == start_ns;
		if (found)
			*block = blocks[at];
	}
	db->env->unlock(db->env, m3i_lock_blocks(db));
	return found;
}

M3Status
m3i_blocks_list_range(M3Database *db, M3NamespaceShared *ns, uint32_t number, int64_t first_ns,
					  int64_t last_ns, M3Memory *memory, M3BlockList *list, M3Error *err)
{
	M3Env	   *env = db->env;

	while (list->version != m3i_blocks_version(ns))
	{
		const M3ShardShared *shard;
		M3BlockShared *grown;
		size_t		first;
		size_t		count;
		bool		fits;

		env->lock(env, m3i_lock_blocks(db), M3_LOCK_SHARED);
		shard = shard_at(db, ns, number);
		count = count_between(db, shard, first_ns, last_ns, &first);
		fits = count <= list->capacity;
		if (fits)
		{
			if (count > 0)
				memcpy(list->blocks, blocks_of(db, shard) + first, count * sizeof(M3BlockShared));
			list->count = count;
			list->version = m3i_blocks_version(ns);
		}
		env->unlock(env, m3i_lock_blocks(db));
		if (fits)
			return M3_OK;
		grown = m3_resize(memory, list->blocks, (count + count / 8 + 4) * sizeof(*grown));
		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for a list of %zu blocks", count);
		list->blocks = grown;
		list->capacity = count + count / 8 + 4;
	}
	return M3_OK;
}

M3Status
m3i_blocks_list(M3Database *db, M3NamespaceShared *ns, uint32_t number, M3Memory *memory,
				M3BlockList *list, M3Error *err)
{
	return m3i_blocks_list_range(db, ns, number, INT64_MIN, INT64_MAX, memory, list, err);
}

size_t
m3i_blocks_count(M3Database *db, M3NamespaceShared *ns, uint32_t number, int64_t first_ns,
				 int64_t last_ns)
{
	size_t		first;
	size_t		count;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_SHARED);
	count = count_between(db, shard_at(db, ns, number), first_ns, last_ns, &first);
	db->env->unlock(db->env, m3i_lock_blocks(db));
	return count;
}

size_t
m3i_block_list_lower_bound(const M3BlockList *list, int64_t start_ns)
{
	return lower_bound(list->blocks, (uint32_t) list->count, start_ns);
}

const M3BlockShared *
m3i_block_list_find(const M3BlockList *list, int64_t start_ns)
{
	size_t		at = m3i_block_list_lower_bound(list, start_ns);

	return at < list->count && list->blocks[at].start_ns == start_ns ? &list->blocks[at] : NULL;
}

/* ROOT_BLOCKS held exclusive. */
static bool
reserve_locked(M3Database *db, M3NamespaceShared *ns, uint32_t number)
{
	M3ShardShared *shard;
	uint32_t	capacity;
	M3Ref		ref;

	if (ns->shards == 0)
		ns->shards = m3_arena_alloc(db->arena, db->env, db->root->options.shard_count *
									sizeof(M3ShardShared));
	shard = shard_at(db, ns, number);
	if (shard == NULL)
		return false;
	if (shard->count < shard->capacity)
		return true;
	capacity = shard->capacity == 0 ? FIRST_BLOCK_CAPACITY : shard->capacity * 2;
	ref = m3_arena_alloc(db->arena, db->env, capacity * sizeof(M3BlockShared));
	if (ref == 0)
		return false;
	if (shard->count > 0)
		memcpy(m3_arena_at(db->arena, ref), blocks_of(db, shard),
			   shard->count * sizeof(M3BlockShared));
	m3_arena_free(db->arena, db->env, shard->blocks);
	shard->blocks = ref;
	shard->capacity = capacity;
	return true;
}

M3Status
m3i_blocks_reserve(M3Database *db, M3NamespaceShared *ns, uint32_t number, M3Error *err)
{
	bool		reserved;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	reserved = reserve_locked(db, ns, number);
	db->env->unlock(db->env, m3i_lock_blocks(db));
	return reserved ? M3_OK :
		m3_error(err, M3_FULL, "no room for the list of blocks in the buffer arena");
}

/* ROOT_BLOCKS held exclusive, room reserved. */
static void
put_locked(M3Database *db, M3NamespaceShared *ns, M3ShardShared *shard, const M3BlockShared *block)
{
	M3BlockShared *blocks = blocks_of(db, shard);
	uint32_t	at = lower_bound(blocks, shard->count, block->start_ns);

	if (at < shard->count && blocks[at].start_ns == block->start_ns)
		count_block(ns, &blocks[at], false);
	else
	{
		memmove(&blocks[at + 1], &blocks[at], (shard->count - at) * sizeof(*blocks));
		shard->count++;
	}
	blocks[at] = *block;
	count_block(ns, block, true);
	new_version(ns);
}

bool
m3i_blocks_put(M3Database *db, M3NamespaceShared *ns, uint32_t number,
			   const M3BlockShared *block, uint64_t generation)
{
	bool		current;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	current = m3i_generation(ns) == generation;
	if (current)
		put_locked(db, ns, shard_at(db, ns, number), block);
	db->env->unlock(db->env, m3i_lock_blocks(db));
	return current;
}

size_t
m3i_blocks_expire(M3Database *db, M3NamespaceShared *ns, int64_t before_ns)
{
	size_t		removed = 0;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	for (uint32_t s = 0; ns->shards != 0 && s < db->root->options.shard_count; s++)
	{
		M3ShardShared *shard = shard_at(db, ns, s);
		M3BlockShared *blocks = blocks_of(db, shard);
		uint32_t	expired = shard->count == 0 ? 0 :
			lower_bound(blocks, shard->count, before_ns);

		if (expired == 0)
			continue;
		for (uint32_t i = 0; i < expired; i++)
			count_block(ns, &blocks[i], false);
		memmove(blocks, &blocks[expired], (shard->count - expired) * sizeof(*blocks));
		shard->count -= expired;
		removed += expired;
	}
	if (removed > 0)
		new_version(ns);
	db->env->unlock(db->env, m3i_lock_blocks(db));
	return removed;
}

void
m3i_blocks_remove(M3Database *db, M3NamespaceShared *ns, uint32_t number, int64_t start_ns)
{
	M3ShardShared *shard;

	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	shard = shard_at(db, ns, number);
	if (shard != NULL && shard->count > 0)
	{
		M3BlockShared *blocks = blocks_of(db, shard);
		uint32_t	at = lower_bound(blocks, shard->count, start_ns);

		if (at < shard->count && blocks[at].start_ns == start_ns)
		{
			count_block(ns, &blocks[at], false);
			memmove(&blocks[at], &blocks[at + 1], (shard->count - at - 1) * sizeof(*blocks));
			shard->count--;
			new_version(ns);
			__atomic_store_n(&ns->generation, m3i_new_generation(db), __ATOMIC_RELEASE);
		}
	}
	db->env->unlock(db->env, m3i_lock_blocks(db));
}

/* ROOT_BLOCKS held exclusive. */
static bool
grow_locked(M3Database *db, M3NamespaceShared *ns, uint32_t count)
{
	M3Ref		ref;

	if (ns->shards == 0)
		return true;
	ref = m3_arena_alloc(db->arena, db->env, count * sizeof(M3ShardShared));
	if (ref == 0)
		return false;
	memcpy(m3_arena_at(db->arena, ref), m3_arena_at(db->arena, ns->shards),
		   db->root->options.shard_count * sizeof(M3ShardShared));
	m3_arena_free(db->arena, db->env, ns->shards);
	ns->shards = ref;
	return true;
}

M3Status
m3i_blocks_set_shard_count(M3Database *db, uint32_t count, M3Error *err)
{
	M3RootShared *root = db->root;
	bool		grown = true;

	if (count <= root->options.shard_count)
		return M3_OK;
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	/* a table that is larger than it need be, should another one fail, is fine */
	for (M3Ref ref = root->first_namespace; ref != 0 && grown;)
	{
		M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		grown = grow_locked(db, ns, count);
		ref = ns->next;
	}
	if (grown)
		root->options.shard_count = count;
	db->env->unlock(db->env, m3i_lock_blocks(db));
	db->env->unlock(db->env, m3i_lock_names(db));
	return grown ? M3_OK :
		m3_error(err, M3_FULL, "no room for the list of blocks in the buffer arena");
}

/* ROOT_BLOCKS held exclusive, or nobody else there. */
static void
free_locked(M3Database *db, M3NamespaceShared *ns)
{
	for (uint32_t s = 0; ns->shards != 0 && s < db->root->options.shard_count; s++)
		m3_arena_free(db->arena, db->env, shard_at(db, ns, s)->blocks);
	m3_arena_free(db->arena, db->env, ns->shards);
	ns->shards = 0;
	__atomic_store_n(&ns->file_count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ns->file_size, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ns->file_series, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ns->file_points, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ns->uncounted_size, 0, __ATOMIC_RELAXED);
	new_version(ns);
}

void
m3i_blocks_void(M3Database *db, M3NamespaceShared *ns)
{
	db->env->lock(db->env, m3i_lock_blocks(db), M3_LOCK_EXCLUSIVE);
	free_locked(db, ns);
	__atomic_store_n(&ns->generation, m3i_new_generation(db), __ATOMIC_RELEASE);
	db->env->unlock(db->env, m3i_lock_blocks(db));
}

void
m3i_blocks_free(M3Database *db, M3NamespaceShared *ns)
{
	free_locked(db, ns);
}
