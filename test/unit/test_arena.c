#include "test/unit/check.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/arena.h"
#include "storage/base/env_posix.h"
#include "storage/base/locks.h"

#define MIB ((size_t) 1024 * 1024)

/* ThreadSanitizer is there for the threads; the rest is slow under it. */
#if defined(__SANITIZE_THREAD__)
#define ROUNDS(n) ((n) / 20)
#else
#define ROUNDS(n) (n)
#endif

static M3Env *env;				/* without locks */

typedef struct Object
{
	M3Ref		ref;
	size_t		size;
	uint8_t		fill;
} Object;

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void *
map_memory(size_t size)
{
	void	   *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static void
check_sound(M3Arena *arena)
{
	const char *reason;

	if (!CHECK(m3_arena_check(arena, env, &reason)))
		fprintf(stderr, "    %s\n", reason);
}

static M3ArenaStats
stats_of(M3Arena *arena)
{
	M3ArenaStats stats;

	m3_arena_stats(arena, env, &stats);
	return stats;
}

/* Mostly small, all class borders, some runs of pages. */
static size_t
random_size(uint64_t *state)
{
	uint64_t	r = next_random(state);

	switch (r % 16)
	{
		case 0:
			return r >> 32 & 0xfff;
		case 1:
			return (r >> 32) % 9000;
		case 2:
			return (r >> 32) % 60000;
		default:
			return (r >> 32) % 300;
	}
}

static bool
is_filled(const uint8_t *bytes, size_t size, uint8_t fill)
{
	for (size_t i = 0; i < size; i++)
	{
		if (bytes[i] != fill)
			return false;
	}
	return true;
}

static bool
make_object(M3Arena *arena, M3Env *e, size_t size, uint8_t fill, Object *object)
{
	uint8_t    *bytes;

	object->size = size;
	object->fill = fill;
	object->ref = m3_arena_alloc(arena, e, size);
	if (object->ref == 0)
		return false;
	bytes = m3_arena_at(arena, object->ref);
	if (object->ref % 16 != 0 || !is_filled(bytes, m3_arena_rounded_size(size), 0))
		return false;
	memset(bytes, fill, m3_arena_rounded_size(size));
	return true;
}

static bool
drop_object(M3Arena *arena, M3Env *e, Object *object)
{
	bool		intact = is_filled(m3_arena_at(arena, object->ref),
								   m3_arena_rounded_size(object->size), object->fill);

	m3_arena_free(arena, e, object->ref);
	object->ref = 0;
	return intact;
}

static void
test_sizes(void)
{
	size_t		previous = 0;

	CHECK_INT(m3_arena_rounded_size(0), 16);
	for (size_t size = 1; size < 40000; size++)
	{
		size_t		rounded = m3_arena_rounded_size(size);

		if (rounded < size || rounded < previous || rounded % 16 != 0 ||
			m3_arena_rounded_size(rounded) != rounded ||
			(size <= 128 && rounded - size >= 16) ||
			(size > 128 && size <= 7680 && (rounded - size) * 8 >= size) ||
			(size > 7680 && (rounded % M3_ARENA_PAGE_SIZE != 0 ||
							 rounded - size >= M3_ARENA_PAGE_SIZE)))
		{
			CHECK(false);
			fprintf(stderr, "    size %zu rounded to %zu\n", size, rounded);
			return;
		}
		previous = rounded;
	}
	CHECK(m3_arena_rounded_size(SIZE_MAX) == SIZE_MAX);
}

/* Random life against a model: contents kept, zeroed when new, counts agree. */
static void
test_model(uint64_t seed, size_t size, size_t object_count, unsigned rounds)
{
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	Object	   *objects = calloc(object_count, sizeof(*objects));
	uint64_t	used = 0;
	unsigned	refused = 0;
	unsigned	bad = 0;

	CHECK((void *) arena == memory);
	for (unsigned i = 0; i < rounds; i++)
	{
		Object	   *object = &objects[next_random(&seed) % object_count];

		if (object->ref != 0)
		{
			used -= m3_arena_rounded_size(object->size);
			bad += !drop_object(arena, env, object);
		}
		else if (make_object(arena, env, random_size(&seed), (uint8_t) (i | 1), object))
			used += m3_arena_rounded_size(object->size);
		else
		{
			bad += object->ref != 0;
			object->ref = 0;
			refused++;
		}
		if (i % (rounds / 16) == 0)
		{
			check_sound(arena);
			CHECK_INT(stats_of(arena).bytes_used, used);
			CHECK(stats_of(arena).pages_used >= used);
		}
	}
	CHECK_INT(bad, 0);
	CHECK(refused < rounds);
	check_sound(arena);
	for (size_t i = 0; i < object_count; i++)
	{
		if (objects[i].ref != 0)
			bad += !drop_object(arena, env, &objects[i]);
	}
	CHECK_INT(bad, 0);
	CHECK_INT(stats_of(arena).bytes_used, 0);
	check_sound(arena);
	free(objects);
	munmap(memory, size);
}

/* What is left when nothing is in use can be had in one piece. */
static void
check_recovered(M3Arena *arena)
{
	M3ArenaStats stats = stats_of(arena);
	size_t		all = (size_t) (stats.size - stats.overhead);
	M3Ref		ref;

	CHECK_INT(stats.bytes_used, 0);
	CHECK_INT(m3_arena_alloc(arena, env, all + 1), 0);
	ref = m3_arena_alloc(arena, env, all);
	CHECK(ref != 0 && ref + all <= stats.size);
	CHECK_INT(stats_of(arena).pages_used, all);
	CHECK_INT(m3_arena_alloc(arena, env, 1), 0);
	check_sound(arena);
	m3_arena_free(arena, env, ref);
	CHECK_INT(stats_of(arena).pages_used, 0);
	check_sound(arena);
}

/* Fills the arena with objects of one size, frees them in some order. */
static void
test_exhaustion(size_t arena_size, size_t object_size)
{
	void	   *memory = map_memory(arena_size);
	M3Arena    *arena = m3_arena_create(memory, arena_size);
	size_t		capacity = arena_size / object_size + 1;
	M3Ref	   *refs = malloc(capacity * sizeof(*refs));
	size_t		count = 0;
	size_t		usable = (size_t) (stats_of(arena).size - stats_of(arena).overhead);
	size_t		rounded = m3_arena_rounded_size(object_size);

	for (unsigned round = 0; round < 3; round++)
	{
		size_t		step = round == 0 ? 1 : round == 1 ? 7 : 2;
		M3ArenaStats before;

		count = 0;
		while (count < capacity && (refs[count] = m3_arena_alloc(arena, env, object_size)) != 0)
			count++;
		before = stats_of(arena);
		CHECK_INT(before.bytes_used, count * rounded);
		CHECK(usable - before.bytes_used < usable / 8 + rounded);
		CHECK_INT(m3_arena_alloc(arena, env, object_size), 0);
		CHECK_INT(stats_of(arena).pages_used, before.pages_used);
		check_sound(arena);

		/* one free makes room for exactly one */
		m3_arena_free(arena, env, refs[count / 2]);
		refs[count / 2] = m3_arena_alloc(arena, env, object_size);
		CHECK(refs[count / 2] != 0);
		CHECK_INT(m3_arena_alloc(arena, env, object_size), 0);

		for (size_t first = 0; first < step; first++)
		{
			for (size_t i = first; i < count; i += step)
				m3_arena_free(arena, env, refs[i]);
			check_sound(arena);
		}
		check_recovered(arena);
	}
	free(refs);
	munmap(memory, arena_size);
}

/* A mixed filling must be able to use each page that is left. */
static void
test_last_page(void)
{
	size_t		size = M3_ARENA_MIN_SIZE;
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	M3ArenaStats stats = stats_of(arena);
	size_t		pages = (size_t) (stats.size - stats.overhead) / M3_ARENA_PAGE_SIZE;
	M3Ref		refs[128];

	CHECK(stats.overhead < size / 32);	/* of the smallest arena */
	for (size_t i = 0; i < pages; i++)
		refs[i] = m3_arena_alloc(arena, env, M3_ARENA_PAGE_SIZE);
	CHECK_INT(m3_arena_alloc(arena, env, 1), 0);
	for (size_t i = 0; i < pages; i += 2)
		m3_arena_free(arena, env, refs[i]);
	CHECK_INT(m3_arena_alloc(arena, env, 2 * M3_ARENA_PAGE_SIZE), 0);

	/* spans that prefer several pages make do with single ones */
	for (size_t i = 0; i < pages; i += 2)
	{
		refs[i] = m3_arena_alloc(arena, env, 7168);
		CHECK(refs[i] != 0);
	}
	CHECK_INT(m3_arena_alloc(arena, env, 7168), 0);
	CHECK_INT(m3_arena_alloc(arena, env, 16), 0);
	check_sound(arena);

	/* an empty span kept by one class serves another when all else is gone */
	m3_arena_free(arena, env, refs[0]);
	refs[0] = m3_arena_alloc(arena, env, 16);
	CHECK(refs[0] != 0);
	m3_arena_free(arena, env, refs[0]);
	refs[0] = m3_arena_alloc(arena, env, M3_ARENA_PAGE_SIZE);
	CHECK(refs[0] != 0);
	check_sound(arena);
	for (size_t i = 0; i < pages; i++)
		m3_arena_free(arena, env, refs[i]);
	check_recovered(arena);
	munmap(memory, size);
}

/* Runs of all lengths, freed in an order that merges with either neighbour. */
static void
test_runs(void)
{
	size_t		size = 64 * MIB;
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	uint64_t	seed = 99;
	M3Ref		refs[300];
	M3Ref		hole;
	M3Ref		again;

	for (unsigned round = 0; round < 20; round++)
	{
		for (size_t i = 0; i < 300; i++)
			refs[i] = m3_arena_alloc(arena, env, 1 + next_random(&seed) % (40 * 8192));
		check_sound(arena);
		for (size_t i = 0; i < 300; i++)
		{
			size_t		j = i + next_random(&seed) % (300 - i);
			M3Ref		swap = refs[i];

			refs[i] = refs[j];
			refs[j] = swap;
			CHECK(refs[i] != 0);
			m3_arena_free(arena, env, refs[i]);
		}
		check_sound(arena);
		check_recovered(arena);
	}

	/* the hole that fits is taken again */
	refs[0] = m3_arena_alloc(arena, env, 10 * 8192);
	hole = m3_arena_alloc(arena, env, 3 * 8192);
	refs[1] = m3_arena_alloc(arena, env, 10 * 8192);
	m3_arena_free(arena, env, hole);
	again = m3_arena_alloc(arena, env, 3 * 8192);
	CHECK(again == hole);
	m3_arena_free(arena, env, again);
	m3_arena_free(arena, env, refs[0]);
	m3_arena_free(arena, env, refs[1]);
	m3_arena_free(arena, env, 0);
	check_recovered(arena);
	munmap(memory, size);
}

/* All runs left share one bin, and only the one at the list's end fits. */
static void
test_deep_bin(void)
{
	size_t		size = 64 * MIB;
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	M3Ref		holes[40];
	M3Ref		walls[40];
	M3Ref		rest[8];
	size_t		rest_count = 0;

	for (size_t i = 0; i < 40; i++)
	{
		holes[i] = m3_arena_alloc(arena, env, (i == 0 ? 71u : 64u) * 8192u);
		walls[i] = m3_arena_alloc(arena, env, 8192);
	}
	for (size_t pages = 4096; pages > 0; pages /= 2)
	{
		while ((rest[rest_count] = m3_arena_alloc(arena, env, pages * 8192)) != 0)
			rest_count++;
	}
	for (size_t i = 0; i < 40; i++)
		m3_arena_free(arena, env, holes[i]);	/* the longest goes in first */
	CHECK(m3_arena_alloc(arena, env, 71 * 8192) == holes[0]);
	CHECK_INT(m3_arena_alloc(arena, env, 65 * 8192), 0);
	check_sound(arena);
	m3_arena_free(arena, env, holes[0]);
	for (size_t i = 0; i < 40; i++)
		m3_arena_free(arena, env, walls[i]);
	for (size_t i = 0; i < rest_count; i++)
		m3_arena_free(arena, env, rest[i]);
	check_recovered(arena);
	munmap(memory, size);
}

/* The checker sees what it is there to see. */
static void
test_checker(void)
{
	void	   *memory = map_memory(M3_ARENA_MIN_SIZE);
	M3Arena    *arena = m3_arena_create(memory, M3_ARENA_MIN_SIZE);
	M3Ref		a = m3_arena_alloc(arena, env, 64);
	M3Ref		b = m3_arena_alloc(arena, env, 64);
	uint64_t	kept[2];
	const char *reason;

	m3_arena_free(arena, env, a);
	check_sound(arena);
	memcpy(kept, m3_arena_at(arena, a), sizeof(kept));
	memset(m3_arena_at(arena, a), 1, 16);	/* use after free */
	CHECK(!m3_arena_check(arena, env, &reason) && reason != NULL);
	memcpy(m3_arena_at(arena, a), kept, sizeof(kept));
	check_sound(arena);
	m3_arena_free(arena, env, b);
	munmap(memory, M3_ARENA_MIN_SIZE);
}

/* Whether freeing that ref twice, or at all, ends the process. */
static bool
free_aborts(M3Arena *arena, M3Ref ref, unsigned times)
{
	pid_t		child = fork();
	int			result;

	if (child == 0)
	{
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(3);
		for (unsigned i = 0; i < times; i++)
			m3_arena_free(arena, env, ref);
		_exit(0);
	}
	waitpid(child, &result, 0);
	return WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT;
}

static void
test_bad_frees(void)
{
	void	   *memory = map_memory(M3_ARENA_MIN_SIZE);
	M3Arena    *arena = m3_arena_create(memory, M3_ARENA_MIN_SIZE);
	M3Ref		keep = m3_arena_alloc(arena, env, 100);
	M3Ref		small = m3_arena_alloc(arena, env, 100);
	M3Ref		large = m3_arena_alloc(arena, env, 30000);

	CHECK(keep != 0);
	CHECK(!free_aborts(arena, small, 1));
	CHECK(free_aborts(arena, small, 2));
	CHECK(free_aborts(arena, small + 16, 1));
	CHECK(free_aborts(arena, small + m3_arena_rounded_size(100), 1));
	CHECK(!free_aborts(arena, large, 1));
	CHECK(free_aborts(arena, large, 2));
	CHECK(free_aborts(arena, large + 16, 1));
	CHECK(free_aborts(arena, large + M3_ARENA_PAGE_SIZE, 1));
	CHECK(free_aborts(arena, 64, 1));
	CHECK(free_aborts(arena, M3_ARENA_MIN_SIZE, 1));
	CHECK(free_aborts(arena, M3_ARENA_MIN_SIZE - M3_ARENA_PAGE_SIZE, 1));
	munmap(memory, M3_ARENA_MIN_SIZE);
}

/* A million pages: descriptors in proportion, no walk over them. */
static void
test_huge(void)
{
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	size_t		size = 8192 * MIB;
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	M3ArenaStats stats = stats_of(arena);
	M3Ref		refs[64];

	CHECK(stats.overhead < size / 256);
	for (size_t i = 0; i < 64; i++)
	{
		refs[i] = m3_arena_alloc(arena, env, i % 2 == 0 ? 100 : 100000);
		CHECK(refs[i] != 0);
	}
	check_sound(arena);
	for (size_t i = 0; i < 64; i++)
		m3_arena_free(arena, env, refs[i]);
	check_sound(arena);
	munmap(memory, size);
#endif
}

/* Threads: each has its own objects, and hands some to the next. */

#define THREADS 4
#define SLOTS 64

typedef struct Worker
{
	M3Arena    *arena;
	M3Env	   *env;
	uint64_t	seed;
	unsigned	rounds;
	unsigned	bad;
	Object	   *mailbox;		/* one for all, under lock M3_LOCK_ENGINE */
} Worker;

static void *
work(void *context)
{
	Worker	   *worker = context;
	Object		objects[SLOTS];

	memset(objects, 0, sizeof(objects));
	for (unsigned i = 0; i < worker->rounds; i++)
	{
		Object	   *object = &objects[next_random(&worker->seed) % SLOTS];

		if (object->ref == 0)
		{
			bool		made = make_object(worker->arena, worker->env,
										   random_size(&worker->seed),
										   (uint8_t) (i | 1), object);

			worker->bad += !made && object->ref != 0;
		}
		else if (i % 4 == 0)
		{
			Object		swap = *object;

			worker->env->lock(worker->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
			*object = *worker->mailbox;
			*worker->mailbox = swap;
			worker->env->unlock(worker->env, M3_LOCK_ENGINE);
		}
		else
			worker->bad += !drop_object(worker->arena, worker->env, object);
		if (i % (worker->rounds / 4) == 17)
		{
			M3ArenaStats stats;
			const char *reason;

			m3_arena_stats(worker->arena, worker->env, &stats);
			worker->bad += stats.pages_used > stats.size;
			worker->bad += !m3_arena_check(worker->arena, worker->env, &reason);
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
	{
		if (objects[i].ref != 0)
			worker->bad += !drop_object(worker->arena, worker->env, &objects[i]);
	}
	return NULL;
}

static void
test_threads(size_t size, unsigned rounds)
{
	void	   *memory = map_memory(size);
	M3Env	   *locking = m3_env_posix_create(M3_LOCK_COUNT);
	M3Arena    *arena = m3_arena_create(memory, size);
	Object		mailbox = {0, 0, 0};
	Worker		workers[THREADS];
	pthread_t	threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
	{
		workers[i] = (Worker) {arena, locking, 1000 + i, rounds, 0, &mailbox};
		CHECK_INT(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
	{
		CHECK_INT(pthread_join(threads[i], NULL), 0);
		CHECK_INT(workers[i].bad, 0);
	}
	if (mailbox.ref != 0)
		CHECK(drop_object(arena, locking, &mailbox));
	check_sound(arena);
	check_recovered(arena);
	m3_env_posix_destroy(locking);
	munmap(memory, size);
}

/* Printed with M3_BENCH set: nanoseconds for a pair of alloc and free. */
static void
measure(void)
{
	size_t		size = 256 * MIB;
	void	   *memory = map_memory(size);
	M3Arena    *arena = m3_arena_create(memory, size);
	M3Env	   *locking = m3_env_posix_create(M3_LOCK_COUNT);
	static M3Ref refs[100000];
	const size_t sizes[] = {16, 64, 200, 512, 4096};

	for (unsigned i = 0; i < 10; i++)
	{
		M3Env	   *e = i < 5 ? env : locking;
		struct timespec start;
		struct timespec end;

		for (unsigned round = 0; round < 11; round++)
		{
			if (round == 1)
				clock_gettime(CLOCK_MONOTONIC, &start);
			for (size_t j = 0; j < 20000; j++)
				refs[j] = m3_arena_alloc(arena, e, sizes[i % 5]);
			for (size_t j = 0; j < 20000; j++)
				m3_arena_free(arena, e, refs[j]);
		}
		clock_gettime(CLOCK_MONOTONIC, &end);
		printf("%zu bytes, %s locks: alloc and free %.1f ns\n", sizes[i % 5],
			   i < 5 ? "no" : "with",
			   ((double) (end.tv_sec - start.tv_sec) * 1e9 +
				(double) (end.tv_nsec - start.tv_nsec)) / 200000);
	}
	m3_env_posix_destroy(locking);
	munmap(memory, size);
}

int
main(void)
{
	env = m3_env_posix_create(0);
	test_sizes();
	test_model(1, 16 * MIB, 4000, ROUNDS(200000));
	test_model(2, M3_ARENA_MIN_SIZE, 1000, ROUNDS(100000));
	test_model(3, M3_ARENA_MIN_SIZE + 12345, 3000, ROUNDS(100000));
	test_exhaustion(M3_ARENA_MIN_SIZE, 1);
	test_exhaustion(M3_ARENA_MIN_SIZE, 100);
	test_exhaustion(M3_ARENA_MIN_SIZE, 7168);
	test_exhaustion(4 * MIB + 4096, 577);
	test_exhaustion(4 * MIB, 8192);
	test_last_page();
	test_runs();
	test_deep_bin();
	test_checker();
	test_bad_frees();
	test_huge();
	test_threads(M3_ARENA_MIN_SIZE, 20000);
	test_threads(64 * MIB, 40000);
	if (getenv("M3_BENCH") != NULL)
		measure();
	m3_env_posix_destroy(env);
	return check_report();
}
