#include "storage/db/block_cache.h"

#include <string.h>

#include "storage/db/db_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_CAPACITY 64u
#define MAX_FRACTION 4u			/* of a part, that one entry or its table may take */

/* In the arena. */
typedef struct CacheEntry
{
	M3Ref		chain;			/* next in its slot */
	M3Ref		newer;
	M3Ref		older;
	M3CacheKey	key;
	int64_t		used_ns;		/* last */
	uint32_t	size;
	uint8_t		root;			/* number: series and generations are a root's own */
	uint8_t		list;			/* M3CacheListKind */
	uint8_t		payload[];
} CacheEntry;

_Static_assert(M3_MAX_ROOTS <= UINT8_MAX, "number of a root in an entry");

/* A part while its lock is held. */
typedef struct Part
{
	M3CachePart *shared;
	M3Arena    *arena;
	M3Env	   *env;
	uint32_t	lock;
} Part;

static CacheEntry *
entry_at(const Part *part, M3Ref ref)
{
	return m3_arena_at(part->arena, ref);
}

static M3Ref *
slot_of(const Part *part, uint64_t hash)
{
	M3Ref	   *slots = m3_arena_at(part->arena, part->shared->slots);

	return &slots[hash & (part->shared->capacity - 1)];
}

static uint64_t
hash_of(uint32_t root, const M3CacheKey *key)
{
	uint64_t	hash = key->series ^ (uint64_t) root << 56;

	hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	hash ^= (uint64_t) key->start_ns;
	hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ hash >> 32;
}

static uint64_t
entry_size(size_t payload_size)
{
	return m3_arena_rounded_size(sizeof(CacheEntry) + payload_size);
}

static Part
part_of_number(const M3Engine *engine, uint32_t number)
{
	Part		part = {
		.shared = &engine->shared->cache.parts[number],
		.arena = engine->arena,
		.env = engine->env,
		.lock = M3_LOCK_CACHE + number
	};

	return part;
}

static Part
part_of(const M3Database *db, uint64_t hash)
{
	return part_of_number(db->engine, (uint32_t) (hash >> 48) % M3_CACHE_LOCK_COUNT);
}

static void
lock_part(const Part *part)
{
	part->env->lock(part->env, part->lock, M3_LOCK_EXCLUSIVE);
}

static void
unlock_part(const Part *part)
{
	part->env->unlock(part->env, part->lock);
}

/* What one part may take. */
static uint64_t
share(const M3Engine *engine)
{
	return engine->settings->cache_size / M3_CACHE_LOCK_COUNT;
}

/* --- lists and slots; all with the part's lock held ---------------------- */

static void
link_newest(const Part *part, M3Ref ref)
{
	CacheEntry *entry = entry_at(part, ref);
	M3CacheList *list = &part->shared->lists[entry->list];

	entry->newer = 0;
	entry->older = list->newest;
	if (list->newest != 0)
		entry_at(part, list->newest)->newer = ref;
	else
		list->oldest = ref;
	list->newest = ref;
}

static void
unlink_entry(const Part *part, M3Ref ref)
{
	const CacheEntry *entry = entry_at(part, ref);
	M3CacheList *list = &part->shared->lists[entry->list];

	if (entry->newer != 0)
		entry_at(part, entry->newer)->older = entry->older;
	else
		list->newest = entry->older;
	if (entry->older != 0)
		entry_at(part, entry->older)->newer = entry->newer;
	else
		list->oldest = entry->newer;
}

/* The entry of a series' block, whatever its volume; 0 if there is none. */
static M3Ref
find_entry(const Part *part, uint64_t hash, uint32_t root, const M3CacheKey *key)
{
	M3Ref		ref = part->shared->capacity == 0 ? 0 : *slot_of(part, hash);

	while (ref != 0)
	{
		const CacheEntry *entry = entry_at(part, ref);

		if (entry->key.series == key->series && entry->key.start_ns == key->start_ns &&
			entry->root == root)
			break;
		ref = entry->chain;
	}
	return ref;
}

/* Takes an entry out and frees it; returns the bytes given back. */
static uint64_t
evict(const Part *part, M3Ref ref)
{
	const CacheEntry *entry = entry_at(part, ref);
	M3Ref	   *link = slot_of(part, hash_of(entry->root, &entry->key));
	uint64_t	size = entry_size(entry->size);

	while (*link != ref)
		link = &entry_at(part, *link)->chain;
	*link = entry->chain;
	unlink_entry(part, ref);
	m3_arena_free(part->arena, part->env, ref);
	part->shared->count--;
	part->shared->bytes -= size;
	part->shared->evicted++;
	return size;
}

/* Who is the next to make room; 0 if there is none. */
static M3Ref
oldest_entry(const Part *part, bool all_too)
{
	M3Ref		lru = part->shared->lists[M3_CACHE_LIST_LRU].oldest;
	M3Ref		recent = part->shared->lists[M3_CACHE_LIST_RECENT].oldest;

	if (lru != 0 && recent != 0)
		return entry_at(part, lru)->used_ns <= entry_at(part, recent)->used_ns ? lru : recent;
	if (lru != 0 || recent != 0)
		return lru != 0 ? lru : recent;
	return all_too ? part->shared->lists[M3_CACHE_LIST_ALL].oldest : 0;
}

/* Evicts until size bytes are given back, or nothing is left. */
static uint64_t
evict_oldest(const Part *part, uint64_t size, bool all_too)
{
	uint64_t	freed = 0;

	while (freed < size)
	{
		M3Ref		ref = oldest_entry(part, all_too);

		if (ref == 0)
			break;
		freed += evict(part, ref);
	}
	return freed;
}

/* The table goes with the last entry. */
static uint64_t
free_slots_if_empty(const Part *part)
{
	M3CachePart *shared = part->shared;
	uint64_t	size;

	if (shared->count > 0 || shared->capacity == 0)
		return 0;
	size = m3_arena_rounded_size(shared->capacity * sizeof(M3Ref));
	m3_arena_free(part->arena, part->env, shared->slots);
	shared->slots = 0;
	shared->capacity = 0;
	shared->bytes -= size;
	return size;
}

/* Doubles the table when it is full, at the cost of old entries if need be.  Only without
 * any table is the failure to get one a reason not to go on. */
static bool
reserve_slot(const Part *part, uint64_t limit)
{
	M3CachePart *shared = part->shared;
	uint32_t	had = shared->capacity;
	uint32_t	capacity = had == 0 ? FIRST_CAPACITY : had * 2;
	uint64_t	size = m3_arena_rounded_size(capacity * sizeof(M3Ref));
	M3Ref		old = shared->slots;
	M3Ref		ref;

	if (shared->count < had || capacity < had)
		return true;
	if (size > limit / MAX_FRACTION)
		return had > 0;
	if (shared->bytes + size > limit)
		evict_oldest(part, shared->bytes + size - limit, true);
	ref = m3_arena_alloc(part->arena, part->env, capacity * sizeof(M3Ref));
	if (ref == 0)
		return had > 0;
	shared->slots = ref;
	shared->capacity = capacity;
	shared->bytes += size;
	for (uint32_t i = 0; i < had; i++)
	{
		M3Ref		next = ((M3Ref *) m3_arena_at(part->arena, old))[i];

		while (next != 0)
		{
			CacheEntry *entry = entry_at(part, next);
			M3Ref	   *slot = slot_of(part, hash_of(entry->root, &entry->key));
			M3Ref		moved = next;

			next = entry->chain;
			entry->chain = *slot;
			*slot = moved;
		}
	}
	if (had > 0)
	{
		shared->bytes -= m3_arena_rounded_size(had * sizeof(M3Ref));
		m3_arena_free(part->arena, part->env, old);
	}
	return true;
}

/* --- get and put -------------------------------------------------------- */

typedef enum LookUp
{
	FOUND,
	MISSED,
	TOO_SMALL					/* the buffer: *need says for what */
} LookUp;

static LookUp
look_up(const Part *part, uint64_t hash, uint32_t root, const M3CacheKey *key, int64_t now_ns,
		uint8_t *buffer, size_t capacity, size_t *need)
{
	M3Ref		ref = find_entry(part, hash, root, key);
	CacheEntry *entry = ref == 0 ? NULL : entry_at(part, ref);

	if (entry == NULL || entry->key.generation != key->generation ||
		entry->key.volume != key->volume)
		return MISSED;
	*need = entry->size;
	if (entry->size > capacity)
		return TOO_SMALL;
	if (entry->size > 0)
		memcpy(buffer, entry->payload, entry->size);
	unlink_entry(part, ref);
	link_newest(part, ref);
	if (now_ns > entry->used_ns)
		entry->used_ns = now_ns;
	return FOUND;
}

bool
m3i_cache_get(M3Database *db, const M3CacheKey *key, M3Memory *memory, uint8_t **buffer,
			  size_t *capacity, M3Slice *payload)
{
	uint64_t	hash = hash_of(db->number, key);
	Part		part = part_of(db, hash);
	int64_t		now_ns = db->env->now_ns(db->env);

	for (;;)
	{
		size_t		need = 0;
		uint8_t    *grown;
		LookUp		result;

		lock_part(&part);
		result = look_up(&part, hash, db->number, key, now_ns, *buffer, *capacity, &need);
		if (result == FOUND)
			part.shared->hits++;
		else if (result == MISSED)
			part.shared->misses++;
		unlock_part(&part);
		if (result == FOUND)
			*payload = m3_slice(*buffer, need);
		if (result != TOO_SMALL)
			return result == FOUND;
		grown = m3_resize(memory, *buffer, need + need / 4);
		if (grown == NULL)
			return false;
		*buffer = grown;
		*capacity = need + need / 4;
	}
}

/* Whether size more bytes leave the arena its last quarter. */
static bool
arena_has_room(const M3Database *db, uint64_t size)
{
	uint64_t	limit = m3_arena_size(db->arena) / 4 * 3;
	uint64_t	used = m3_arena_pages_used(db->arena, db->env);

	return used < limit && size <= limit - used;
}

static uint8_t
list_of_policy(uint8_t policy)
{
	if (policy == M3_CACHE_ALL)
		return M3_CACHE_LIST_ALL;
	return policy == M3_CACHE_RECENTLY_READ ? M3_CACHE_LIST_RECENT : M3_CACHE_LIST_LRU;
}

static void
insert(const Part *part, uint64_t hash, M3Ref ref)
{
	CacheEntry *entry = entry_at(part, ref);
	M3Ref	   *slot = slot_of(part, hash);

	entry->chain = *slot;
	*slot = ref;
	link_newest(part, ref);
	part->shared->count++;
	part->shared->bytes += entry_size(entry->size);
	part->shared->inserted++;
}

void
m3i_cache_put(M3Database *db, const M3CacheKey *key, uint8_t policy, M3Slice payload)
{
	uint64_t	limit = share(db->engine);
	uint64_t	hash = hash_of(db->number, key);
	Part		part = part_of(db, hash);
	uint64_t	size;
	CacheEntry *entry;
	M3Ref		old;
	M3Ref		ref;
	bool		fits;

	if (policy == M3_CACHE_NONE || payload.size > UINT32_MAX || payload.size > limit)
		return;
	size = entry_size(payload.size);
	if (size > limit / MAX_FRACTION || !arena_has_room(db, size))
		return;
	ref = m3_arena_alloc(db->arena, db->env, sizeof(CacheEntry) + payload.size);
	if (ref == 0)
		return;
	entry = m3_arena_at(db->arena, ref);
	entry->key = *key;
	entry->used_ns = db->env->now_ns(db->env);
	entry->size = (uint32_t) payload.size;
	entry->root = (uint8_t) db->number;
	entry->list = list_of_policy(policy);
	if (payload.size > 0)
		memcpy(entry->payload, payload.data, payload.size);

	lock_part(&part);
	old = find_entry(&part, hash, db->number, key);
	if (old != 0)
		evict(&part, old);
	fits = reserve_slot(&part, limit);
	if (fits && part.shared->bytes + size > limit)
		evict_oldest(&part, part.shared->bytes + size - limit, true);
	fits = fits && part.shared->bytes + size <= limit;
	if (fits)
		insert(&part, hash, ref);
	unlock_part(&part);
	if (!fits)
		m3_arena_free(db->arena, db->env, ref);
}

/* --- giving back -------------------------------------------------------- */

uint64_t
m3_cache_shrink(M3Engine *engine, uint64_t size)
{
	uint64_t	freed = 0;

	/* from all parts alike first, then wherever there is something */
	for (int pass = 0; pass < 4 && freed < size; pass++)
	{
		bool		all_too = pass >= 2;
		uint64_t	each = (size - freed) / M3_CACHE_LOCK_COUNT + 1;

		for (uint32_t i = 0; i < M3_CACHE_LOCK_COUNT && freed < size; i++)
		{
			Part		part = part_of_number(engine, i);
			uint64_t	wanted = pass % 2 == 0 && each < size - freed ? each : size - freed;

			lock_part(&part);
			freed += evict_oldest(&part, wanted, all_too);
			freed += free_slots_if_empty(&part);
			unlock_part(&part);
		}
	}
	return freed;
}

uint64_t
m3i_cache_shrink(M3Database *db, uint64_t size)
{
	return m3_cache_shrink(db->engine, size);
}

void
m3i_cache_tick(M3Database *db, int64_t now_ns)
{
	uint64_t	limit = share(db->engine);

	for (uint32_t i = 0; i < M3_CACHE_LOCK_COUNT; i++)
	{
		Part		part = part_of_number(db->engine, i);
		const M3CacheList *recent = &part.shared->lists[M3_CACHE_LIST_RECENT];

		lock_part(&part);
		while (recent->oldest != 0 &&
			   now_ns - entry_at(&part, recent->oldest)->used_ns > M3_CACHE_RECENT_NS)
			evict(&part, recent->oldest);
		if (part.shared->bytes > limit)
			evict_oldest(&part, part.shared->bytes - limit, true);
		free_slots_if_empty(&part);
		unlock_part(&part);
	}
}

void
m3_cache_stats(M3Engine *engine, M3CacheStats *stats)
{
	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; i < M3_CACHE_LOCK_COUNT; i++)
	{
		Part		part = part_of_number(engine, i);

		lock_part(&part);
		stats->entries += part.shared->count;
		stats->bytes += part.shared->bytes;
		stats->hits += part.shared->hits;
		stats->misses += part.shared->misses;
		stats->inserted += part.shared->inserted;
		stats->evicted += part.shared->evicted;
		unlock_part(&part);
	}
}
