/*
 * The cache of blocks: what it finds, what makes room for what, how much it takes; and several
 * processes at once.
 */
#include <pthread.h>

#include "storage/base/env_posix.h"
#include "storage/db/db_private.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define PROCESSES 4
#define PAYLOAD 400				/* bytes, of most entries here */

static M3EngineShared *shared;
static M3Env *env;
static M3EngineSettings settings;
static M3Engine engines[PROCESSES];
static M3Database dbs[PROCESSES];
static uint64_t idle_bytes;		/* of the arena without a cache */
static M3Memory *memory = &m3_memory_malloc;

/* --- fixture ------------------------------------------------------------ */

static M3ArenaStats
arena_stats(void)
{
	M3ArenaStats stats;

	m3_arena_stats(engines[0].arena, env, &stats);
	return stats;
}

static void
begin(M3Env *of, size_t arena_size, uint64_t cache_size)
{
	size_t		header = sizeof(M3EngineShared) + PROCESSES * sizeof(M3ProcessSlot);

	header = (header + 63) / 64 * 64;
	env = of;
	shared = aligned_alloc(64, header + arena_size);
	memset(shared, 0, header + arena_size);
	shared->arena_offset = header;
	memset(&settings, 0, sizeof(settings));
	settings.cache_size = cache_size;
	for (uint32_t i = 0; i < PROCESSES; i++)
	{
		memset(&engines[i], 0, sizeof(engines[i]));
		memset(&dbs[i], 0, sizeof(dbs[i]));
		engines[i].shared = shared;
		engines[i].arena = i > 0 ? engines[0].arena :
			m3_arena_create((char *) shared + header, arena_size);
		engines[i].env = env;
		engines[i].memory = memory;
		engines[i].settings = &settings;
		engines[i].slot = i;
		dbs[i].engine = &engines[i];
		dbs[i].env = env;
		dbs[i].arena = engines[i].arena;
		dbs[i].root = &shared->roots[0];
	}
	idle_bytes = arena_stats().bytes_used;
}

static M3CacheStats
cache_stats(void)
{
	M3CacheStats stats;

	m3_cache_stats(&engines[0], &stats);
	return stats;
}

/* What the cache says it takes is what the arena lacks, and no more than allowed. */
static bool
is_exact(void)
{
	M3CacheStats stats = cache_stats();

	return stats.bytes == arena_stats().bytes_used - idle_bytes &&
		stats.bytes <= settings.cache_size &&
		stats.inserted - stats.evicted == stats.entries;
}

static void
end(void)
{
	const char *reason = "";

	CHECK(is_exact());
	m3i_cache_shrink(&dbs[0], SIZE_MAX);
	CHECK_INT(cache_stats().entries, 0);
	CHECK_INT(cache_stats().bytes, 0);
	CHECK_INT(arena_stats().bytes_used, idle_bytes);
	CHECK(m3_arena_check(engines[0].arena, env, &reason));
	free(shared);
}

static M3CacheKey
key_of(uint64_t number)
{
	M3CacheKey	key = {
		.series = 16 * (number + 1),.generation = 1,.start_ns = T0 + (int64_t) (number % 7) * S,
		.volume = 0
	};

	return key;
}

/* Bytes that tell key and volume. */
static M3Slice
payload_of(const M3CacheKey *key, size_t size, uint8_t *room)
{
	for (size_t i = 0; i < size; i++)
		room[i] = (uint8_t) (key->series / 16 + (uint64_t) key->volume * 101 + i * 7 +
							 key->generation);
	return m3_slice(room, size);
}

static void
put(const M3CacheKey *key, uint8_t policy, size_t size)
{
	uint8_t    *room = malloc(size + 1);

	m3i_cache_put(&dbs[0], key, policy, payload_of(key, size, room));
	free(room);
}

/* Whether it is there; that it is right as well is checked. */
static bool
get_as(M3Database *db, const M3CacheKey *key, size_t size)
{
	uint8_t    *buffer = NULL;
	size_t		capacity = 0;
	uint8_t    *room = malloc(size + 1);
	M3Slice		payload;
	bool		found = m3i_cache_get(db, key, memory, &buffer, &capacity, &payload);

	if (found)
	{
		M3Slice		expected = payload_of(key, size, room);

		CHECK(m3_slice_equal(payload, expected) && capacity >= payload.size);
	}
	free(room);
	free(buffer);
	return found;
}

static bool
get(const M3CacheKey *key)
{
	return get_as(&dbs[0], key, PAYLOAD);
}

/* The first count keys that go to one part. */
static void
keys_of_a_part(M3CacheKey *keys, size_t count)
{
	size_t		found = 0;

	for (uint64_t i = 0; found < count; i++)
	{
		M3CacheKey	key = key_of(i);

		put(&key, M3_CACHE_LRU, 1);
		if (shared->cache.parts[3].count == 1)
			keys[found++] = key;
		m3i_cache_shrink(&dbs[0], SIZE_MAX);
	}
}

/* --- one process -------------------------------------------------------- */

static void
test_keys(void)
{
	M3CacheKey	key = key_of(1);
	M3CacheKey	other;

	begin(env_fault_create(), 1 << 20, 1 << 18);
	CHECK(!get(&key));
	put(&key, M3_CACHE_LRU, PAYLOAD);
	CHECK(get(&key));
	other = key;
	other.volume++;
	CHECK(!get(&other));
	other = key;
	other.generation++;
	CHECK(!get(&other));
	other = key;
	other.start_ns += S;
	CHECK(!get(&other));
	other = key;
	other.series += 16;
	CHECK(!get(&other));
	dbs[1].number = 1;			/* another root's series at the same place */
	CHECK(!get_as(&dbs[1], &key, PAYLOAD));
	CHECK(get(&key));
	CHECK_INT(cache_stats().hits, 2);
	CHECK_INT(cache_stats().misses, 6);

	other = key_of(2);
	put(&other, M3_CACHE_LRU, 0);	/* a series that has nothing in the block */
	CHECK(get_as(&dbs[0], &other, 0));
	CHECK_INT(cache_stats().entries, 2);
	CHECK(is_exact());
	end();
	env_fault_destroy(env);
}

static void
test_replace(void)
{
	M3CacheKey	key = key_of(5);
	M3CacheKey	next = key;

	begin(env_fault_create(), 1 << 20, 1 << 18);
	put(&key, M3_CACHE_LRU, PAYLOAD);
	next.volume = 3;
	put(&next, M3_CACHE_ALL, 2 * PAYLOAD);
	CHECK(!get(&key));
	CHECK(get_as(&dbs[0], &next, 2 * PAYLOAD));
	CHECK_INT(cache_stats().entries, 1);
	CHECK_INT(cache_stats().evicted, 1);
	CHECK(is_exact());
	put(&next, M3_CACHE_LRU, PAYLOAD);	/* the same once more, read by two */
	CHECK(get(&next));
	key.generation = 2;
	put(&key, M3_CACHE_RECENTLY_READ, PAYLOAD);
	CHECK(!get(&next));
	CHECK(get(&key));
	CHECK_INT(cache_stats().entries, 1);
	end();
	env_fault_destroy(env);
}

static void *
no_resize(M3Memory *self, void *old, size_t size)
{
	(void) self;
	(void) old;
	(void) size;
	return NULL;
}

static void
test_buffer(void)
{
	M3Memory	none = {.resize = no_resize};
	M3CacheKey	small = key_of(1);
	M3CacheKey	large = key_of(2);
	uint8_t    *buffer = NULL;
	uint8_t    *had;
	size_t		capacity = 0;
	M3Slice		payload;

	begin(env_fault_create(), 1 << 20, 1 << 20);
	put(&small, M3_CACHE_LRU, 10);
	put(&large, M3_CACHE_LRU, 9000);
	CHECK(!m3i_cache_get(&dbs[0], &large, &none, &buffer, &capacity, &payload));
	CHECK(buffer == NULL && capacity == 0);
	CHECK(m3i_cache_get(&dbs[0], &small, memory, &buffer, &capacity, &payload));
	CHECK(m3i_cache_get(&dbs[0], &large, memory, &buffer, &capacity, &payload));
	CHECK_INT(payload.size, 9000);
	had = buffer;
	CHECK(m3i_cache_get(&dbs[0], &small, &none, &buffer, &capacity, &payload));
	CHECK(buffer == had && payload.size == 10 && payload.data == buffer);
	free(buffer);
	end();
	env_fault_destroy(env);
}

static void
test_eviction_order(void)
{
	M3CacheKey	keys[40];
	size_t		cost = m3_arena_rounded_size(72 + PAYLOAD);
	size_t		room = 8;		/* entries in a part */

	begin(env_fault_create(), 4 << 20, 1 << 20);
	keys_of_a_part(keys, 40);
	settings.cache_size = M3_CACHE_LOCK_COUNT * (room * cost + m3_arena_rounded_size(64 * 8));

	for (int i = 0; i < 8; i++)
		put(&keys[i], M3_CACHE_LRU, PAYLOAD);
	CHECK_INT(cache_stats().entries, room);
	CHECK(get(&keys[0]));		/* now 1 is the oldest */
	put(&keys[8], M3_CACHE_LRU, PAYLOAD);
	CHECK(!get(&keys[1]));
	CHECK(get(&keys[0]) && get(&keys[2]));
	put(&keys[9], M3_CACHE_LRU, PAYLOAD);
	CHECK(!get(&keys[3]));
	CHECK(is_exact());

	/* kept whole, what is read without end makes room for itself only */
	m3i_cache_shrink(&dbs[0], SIZE_MAX);
	for (int i = 0; i < 3; i++)
		put(&keys[i], M3_CACHE_ALL, PAYLOAD);
	for (int i = 3; i < 40; i++)
	{
		env_fault_set_clock(env, T0 + i * S);
		put(&keys[i], i % 2 ? M3_CACHE_LRU : M3_CACHE_RECENTLY_READ, PAYLOAD);
	}
	for (int i = 0; i < 40; i++)
		CHECK(get(&keys[i]) == (i < 3 || i >= 35));
	CHECK(is_exact());

	/* of both kinds the one used longest ago goes */
	env_fault_set_clock(env, T0);
	m3i_cache_shrink(&dbs[0], SIZE_MAX);
	for (int i = 0; i < 8; i++)
	{
		env_fault_set_clock(env, T0 + i * S);
		put(&keys[i], i < 4 ? M3_CACHE_RECENTLY_READ : M3_CACHE_LRU, PAYLOAD);
	}
	env_fault_set_clock(env, T0 + 10 * S);
	CHECK(get(&keys[0]) && get(&keys[1]));
	for (int i = 8; i < 12; i++)
		put(&keys[i], M3_CACHE_LRU, PAYLOAD);
	for (int i = 0; i < 12; i++)
		CHECK(get(&keys[i]) == (i < 2 || i >= 6));

	/* more of "all" than there is room for: the oldest of them goes at last */
	m3i_cache_shrink(&dbs[0], SIZE_MAX);
	for (int i = 0; i < 10; i++)
		put(&keys[i], M3_CACHE_ALL, PAYLOAD);
	for (int i = 0; i < 10; i++)
		CHECK(get(&keys[i]) == (i >= 2));

	/* what is too large to be worth the others does not drive them out */
	put(&keys[20], M3_CACHE_ALL, room * cost / 4 + 200);
	CHECK_INT(cache_stats().entries, room);
	CHECK(is_exact());
	end();
	env_fault_destroy(env);
}

static void
test_policies(void)
{
	M3CacheKey	none = key_of(0);
	M3CacheKey	lru = key_of(1);
	M3CacheKey	recent = key_of(2);
	M3CacheKey	read_again = key_of(3);
	M3CacheKey	all = key_of(4);

	begin(env_fault_create(), 1 << 20, 1 << 18);
	env_fault_set_clock(env, T0);
	put(&none, M3_CACHE_NONE, PAYLOAD);
	CHECK_INT(cache_stats().inserted, 0);
	put(&lru, M3_CACHE_LRU, PAYLOAD);
	put(&recent, M3_CACHE_RECENTLY_READ, PAYLOAD);
	put(&read_again, M3_CACHE_RECENTLY_READ, PAYLOAD);
	put(&all, M3_CACHE_ALL, PAYLOAD);
	env_fault_set_clock(env, T0 + 200 * S);
	CHECK(get(&read_again));
	m3i_cache_tick(&dbs[0], T0 + M3_CACHE_RECENT_NS);
	CHECK_INT(cache_stats().entries, 4);
	m3i_cache_tick(&dbs[0], T0 + M3_CACHE_RECENT_NS + 1);
	CHECK_INT(cache_stats().entries, 3);
	CHECK(!get(&recent));
	m3i_cache_tick(&dbs[0], T0 + 200 * S + M3_CACHE_RECENT_NS + 1);
	CHECK(!get(&read_again));
	m3i_cache_tick(&dbs[0], T0 + 1000000 * S);
	CHECK(get(&lru) && get(&all) && !get(&none));
	CHECK(is_exact());
	end();
	env_fault_destroy(env);
}

static void
test_many(void)
{
	uint64_t	all = 3000;
	uint64_t	found = 0;
	uint64_t	before;
	uint64_t	freed;

	begin(env_fault_create(), 4 << 20, 2400 << 10);
	for (uint64_t i = 0; i < all; i++)
	{
		M3CacheKey	key = key_of(i);

		put(&key, M3_CACHE_LRU, PAYLOAD);
		if (i % 97 == 0)
			CHECK(is_exact());
	}
	CHECK_INT(cache_stats().entries, all);
	for (uint64_t i = 0; i < all; i++)
	{
		M3CacheKey	key = key_of(i);

		found += get(&key);
	}
	CHECK_INT(found, all);

	/* what is given back is what is said to be, and from everywhere */
	before = cache_stats().bytes;
	freed = m3i_cache_shrink(&dbs[0], 200000);
	CHECK(freed >= 200000 && freed < 200000 + 16 * 600);
	CHECK_INT(cache_stats().bytes, before - freed);
	for (uint32_t p = 0; p < M3_CACHE_LOCK_COUNT; p++)
		CHECK(shared->cache.parts[p].count > 100 && shared->cache.parts[p].evicted > 0);
	CHECK_INT(m3i_cache_shrink(&dbs[0], 0), 0);
	CHECK(is_exact());

	/* a limit that has become smaller */
	settings.cache_size = 400 << 10;
	m3i_cache_tick(&dbs[0], T0);
	CHECK(is_exact());
	CHECK(cache_stats().bytes > 300 << 10);
	settings.cache_size = 0;
	for (uint64_t i = 0; i < 10; i++)
	{
		M3CacheKey	key = key_of(all + i);

		put(&key, M3_CACHE_ALL, 0);
	}
	m3i_cache_tick(&dbs[0], T0);
	CHECK_INT(cache_stats().bytes, 0);
	end();
	env_fault_destroy(env);
}

static void
test_last_quarter(void)
{
	M3Ref		fill[64];
	size_t		count = 0;
	uint64_t	size;
	uint64_t	entries;
	M3CacheKey	key;

	begin(env_fault_create(), 2 << 20, 2 << 20);
	size = arena_stats().size;
	for (uint64_t i = 0; i < 8000; i++)
	{
		key = key_of(i);
		put(&key, M3_CACHE_LRU, PAYLOAD);
	}
	/* tables grow behind the check of the payload's own size: by a page or so each */
	CHECK(arena_stats().pages_used <= size / 4 * 3 + 16 * M3_ARENA_PAGE_SIZE);
	CHECK(arena_stats().pages_used > size / 8 * 5);
	m3i_cache_shrink(&dbs[0], SIZE_MAX);

	while (count < 64 && arena_stats().pages_used < size / 4 * 3)
		fill[count++] = m3_arena_alloc(engines[0].arena, env, 50000);
	entries = cache_stats().inserted;
	key = key_of(1);
	put(&key, M3_CACHE_ALL, PAYLOAD);
	CHECK_INT(cache_stats().inserted, entries);
	m3_arena_free(engines[0].arena, env, fill[--count]);
	m3_arena_free(engines[0].arena, env, fill[--count]);
	put(&key, M3_CACHE_ALL, PAYLOAD);
	CHECK(get(&key));
	while (count > 0)
		m3_arena_free(engines[0].arena, env, fill[--count]);
	end();
	env_fault_destroy(env);
}

/* --- several ------------------------------------------------------------ */

#define ROUNDS 6000
#define KEYS 300

typedef struct Worker
{
	pthread_t	thread;
	M3Database *db;
	uint64_t	seed;
	uint64_t	hits;
	uint64_t	wrong;
} Worker;

static void
work_once(Worker *worker, uint64_t random, uint8_t **buffer, size_t *capacity)
{
	M3CacheKey	key = key_of(random % KEYS);
	size_t		size = 1 + (key.series * 37) % 2000;
	uint8_t		room[2048];
	M3Slice		payload;

	key.volume = (int64_t) (random >> 20) % 3;
	if (m3i_cache_get(worker->db, &key, memory, buffer, capacity, &payload))
	{
		worker->hits++;
		worker->wrong += !m3_slice_equal(payload, payload_of(&key, size, room));
	}
	else
		m3i_cache_put(worker->db, &key, (uint8_t) (random >> 30 & 3),
					  payload_of(&key, size, room));
	if (random % 1009 == 0)
		m3i_cache_shrink(worker->db, random % 100000);
	if (random % 503 == 0)
		m3i_cache_tick(worker->db, env->now_ns(env));
}

static void *
run_worker(void *argument)
{
	Worker	   *worker = argument;
	uint8_t    *buffer = NULL;
	size_t		capacity = 0;
	uint64_t	random = worker->seed;

	for (int i = 0; i < ROUNDS; i++)
	{
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		work_once(worker, random >> 16, &buffer, &capacity);
	}
	free(buffer);
	return NULL;
}

static void
test_processes(void)
{
	Worker		workers[PROCESSES];

	begin(m3_env_posix_create(M3_LOCK_COUNT), 1 << 20, 200 << 10);
	for (uint32_t i = 0; i < PROCESSES; i++)
	{
		workers[i] = (Worker) {.db = &dbs[i],.seed = i + 1};
		if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0)
			abort();
	}
	for (uint32_t i = 0; i < PROCESSES; i++)
	{
		pthread_join(workers[i].thread, NULL);
		CHECK_INT(workers[i].wrong, 0);
		CHECK(workers[i].hits > 0);
	}
	CHECK(is_exact());
	end();
	m3_env_posix_destroy(env);
}

int
main(void)
{
	test_keys();
	test_replace();
	test_buffer();
	test_eviction_order();
	test_policies();
	test_many();
	test_last_quarter();
	test_processes();
	return check_report();
}
