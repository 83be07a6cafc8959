/*
 * The live log on a disk that fails at every call and forgets what was not synced:
 * after any crash every acknowledged group is there, whole and in order; no
 * group is torn; what was refused does not come back.
 */
#include "check.h"
#include "log_fixture.h"

#include "storage/base/locks.h"
#include "storage/log/commitlog.h"
#include "test/support/env_fault.h"

#define WRITE M3_LOCK_ROOT_WRITE
#define FLUSH M3_LOCK_ROOT_FLUSH
#define NOW INT64_C(1700000000123456789)
#define WINDOW (900 * M3_NS_PER_SECOND)
#define ROOT "data/5"
#define ARENA_SIZE (1280 * 1024)
#define MAX_GROUPS 64

typedef enum Fate
{
	FATE_NONE,					/* never tried */
	FATE_REFUSED,				/* append failed: must not be seen */
	FATE_OPEN,					/* appended, not acknowledged */
	FATE_DURABLE				/* acknowledged */
} Fate;

typedef struct World
{
	M3Env	   *env;
	M3CommitLogShared shared;
	M3Arena    *arena;
	M3CommitLog *log;
	M3LogGroup	group;
	uint64_t	number;			/* groups tried so far */
	Fate		fates[MAX_GROUPS];
	uint64_t	sizes[MAX_GROUPS];
} World;

static M3CommitLogSettings settings = {.window_ns = WINDOW, .preallocate_size = 3000};
static void *arena_memory;

/* A new life of shared memory. */
static void
world_boot(World *world)
{
	M3Error		err;

	memset(arena_memory, 0, ARENA_SIZE);
	world->arena = m3_arena_create(arena_memory, ARENA_SIZE);
	memset(&world->shared, 0, sizeof(world->shared));
	CHECK_OK(m3_commitlog_shared_init(&world->shared, world->arena, world->env,
									  M3_COMMITLOG_RING_MIN_SIZE, &err));
	CHECK_OK(m3_commitlog_attach(&world->shared, world->arena, world->env, &m3_memory_malloc,
								 ROOT, WRITE, FLUSH, &settings, &world->log, &err));
	m3_log_group_init(&world->group, &m3_memory_malloc);
}

static void
world_die(World *world)
{
	m3_commitlog_detach(world->log);
	world->log = NULL;
	m3_log_group_free(&world->group);
}

/* Scan, repair, start, as a bootstrap does. */
static M3Status
world_start(World *world)
{
	M3LogSet   *set;
	M3Status	status;
	uint64_t	cut;
	uint64_t	next = 0;

	M3_TRY(m3_log_set_open(world->env, &m3_memory_malloc, ROOT, &set, NULL));
	status = m3_log_set_check(set, NULL, NULL, NULL);
	for (size_t i = 0; i < m3_log_set_count(set) && status == M3_OK; i++)
	{
		status = m3_log_set_repair(set, i, &cut, NULL);
		if (status == M3_OK && m3_log_set_file(set, i)->is_blank)
			status = m3_log_set_remove_blank(set, i, NULL);
	}
	next = m3_log_set_next_index(set, 0);
	m3_log_set_close(set);
	M3_TRY(status);
	world->env->lock(world->env, WRITE, M3_LOCK_EXCLUSIVE);
	status = m3_commitlog_start(world->log, next, NOW, NULL);
	world->env->unlock(world->env, WRITE);
	return status;
}

static M3Status
add_entries(World *world, uint64_t number, uint64_t count)
{
	M3LogSeriesMetadata metadata = {.id = m3_slice_cstr("id"), .namespace = m3_slice_cstr("n")};

	for (uint64_t i = 0; i < count; i++)
		M3_TRY(m3_log_group_add(&world->group, 1, NOW, (double) (number * 100000 + i),
								M3_UNIT_NANOSECOND, m3_slice(NULL, 0), i == 0 ? &metadata : NULL,
								NULL));
	return M3_OK;
}

/* Commits group of count entries; streamed and short by "missing" ones if so. */
static M3Status
commit(World *world, uint64_t count, bool streamed, uint64_t missing, bool synced)
{
	M3Env	   *env = world->env;
	uint64_t	number = world->number++;
	M3LogPosition position;
	M3Slice		bytes;
	M3Status	status;

	if (number >= MAX_GROUPS)
		abort();
	world->sizes[number] = count;
	world->fates[number] = FATE_REFUSED;
	env->lock(env, WRITE, M3_LOCK_EXCLUSIVE);
	status = m3_commitlog_ready(world->log, NOW, NULL);
	if (status == M3_OK && !streamed)
	{
		status = m3_log_group_begin(&world->group, 0, NOW, NULL);
		if (status == M3_OK)
			status = add_entries(world, number, count);
		if (status == M3_OK)
			status = m3_log_group_finish(&world->group, &bytes, NULL);
		if (status == M3_OK)
			status = m3_commitlog_append(world->log, bytes, count, &position, NULL);
	}
	else if (status == M3_OK)
	{
		status = m3_commitlog_stream_begin(world->log, NULL);
		if (status == M3_OK)
			status = m3_log_group_begin_stream(&world->group, 0, NOW, count,
											   m3_commitlog_stream_sink, world->log, NULL);
		if (status == M3_OK)
			status = add_entries(world, number, count - missing);
		if (status == M3_OK)
			status = m3_log_group_finish(&world->group, &bytes, NULL);
		if (status == M3_OK)
			status = m3_commitlog_stream_finish(world->log, count, &position, NULL);
		if (status != M3_OK)
			m3_commitlog_stream_rewind(world->log);
	}
	env->unlock(env, WRITE);
	M3_TRY(status);
	world->fates[number] = FATE_OPEN;
	if (!synced)
		return M3_OK;
	M3_TRY(m3_commitlog_sync(world->log, position.lsn, NULL));
	/* everything up to this one is durable */
	for (uint64_t i = 0; i <= number; i++)
		if (world->fates[i] == FATE_OPEN)
			world->fates[i] = FATE_DURABLE;
	return M3_OK;
}

static M3Status
rotate(World *world)
{
	M3Status	status;

	world->env->lock(world->env, WRITE, M3_LOCK_EXCLUSIVE);
	status = m3_commitlog_rotate(world->log, NOW, NULL, NULL);
	world->env->unlock(world->env, WRITE);
	return status;
}

/* Goes on after errors, as a server does. */
static void
run_workload(World *world)
{
	if (world_start(world) != M3_OK)
		return;
	commit(world, 1, false, 0, true);
	commit(world, 3, false, 0, false);
	commit(world, 2, false, 0, true);
	commit(world, 60, false, 0, true);	/* extends the file */
	commit(world, 4000, true, 0, true); /* three chunks, streamed */
	commit(world, 1, false, 0, false);
	commit(world, 4000, true, 1, true); /* fails: the count is wrong */
	commit(world, 2, false, 0, true);
	rotate(world);
	commit(world, 200, false, 0, false);	/* larger than the ring */
	for (int i = 0; i < 4; i++)
		commit(world, 40, false, 0, false);
	(void) m3_commitlog_write_out(world->log, false, NULL);
	commit(world, 1, false, 0, false);
	(void) m3_commitlog_extend_ahead(world->log, NULL);
	commit(world, 2, false, 0, true);
	rotate(world);
	commit(world, 5, false, 0, true);
	commit(world, 5, false, 0, false);
	world->env->lock(world->env, WRITE, M3_LOCK_EXCLUSIVE);
	(void) m3_commitlog_stop(world->log, NULL);
	world->env->unlock(world->env, WRITE);
}

typedef struct Check
{
	World	   *world;
	bool		seen[MAX_GROUPS];
	int64_t		last;
	uint64_t	entries;
	bool		good;
} Check;

static M3Status
check_entry(void *context, const M3LogGroupInfo *info, const M3LogRecord *record, M3Error *err)
{
	Check	   *check = context;
	int64_t		number = (int64_t) record->value / 100000;

	(void) info;
	(void) err;
	if (check->entries == 0)
	{
		check->good = check->good && number > check->last &&
			number < (int64_t) check->world->number;
		check->last = number;
	}
	check->good = check->good && check->last == number && number < MAX_GROUPS &&
		(uint64_t) record->value % 100000 == check->entries;
	check->entries++;
	return M3_OK;
}

static M3Status
check_end(void *context, const M3LogGroupInfo *info, M3Error *err)
{
	Check	   *check = context;

	(void) info;
	(void) err;
	check->good = check->good && check->entries == check->world->sizes[check->last];
	check->seen[check->last] = true;
	check->entries = 0;
	return M3_OK;
}

/* Reads all, without changing anything. */
static bool
check_world(World *world)
{
	Check		check = {.world = world, .last = -1, .good = true};
	M3LogSet   *set;
	M3Error		err;
	M3LogReplay replay = {.entry = check_entry, .end = check_end, .context = &check};

	CHECK_OK(m3_log_set_open(world->env, &m3_memory_malloc, ROOT, &set, &err));
	CHECK_OK(m3_log_set_check(set, NULL, NULL, &err));
	CHECK_OK(m3_log_set_replay(set, &replay, &err));
	m3_log_set_close(set);
	for (uint64_t i = 0; i < world->number; i++)
	{
		if (world->fates[i] == FATE_DURABLE && !check.seen[i])
			check.good = false;
		if (world->fates[i] == FATE_REFUSED && check.seen[i])
			check.good = false;
		/* from now on what is there must stay */
		if (world->fates[i] == FATE_OPEN)
			world->fates[i] = check.seen[i] ? FATE_OPEN : FATE_REFUSED;
	}
	return CHECK(check.good);
}

static void
run_until_panic(World *world, bool *panicked)
{
	jmp_buf		jump;
	M3Error		err;

	*panicked = false;
	env_fault_catch_panic(world->env, &jump, &err);
	if (setjmp(jump) == 0)
		run_workload(world);
	else
		*panicked = true;
	env_fault_catch_panic(world->env, NULL, NULL);
}

/* No log but the newest ends other than cleanly: M3 would stop at it. */
static bool
check_repaired(World *world)
{
	M3LogSet   *set;
	M3Error		err;
	bool		clean = true;

	CHECK_OK(m3_log_set_open(world->env, &m3_memory_malloc, ROOT, &set, &err));
	CHECK_OK(m3_log_set_check(set, NULL, NULL, &err));
	for (size_t i = 0; i + 1 < m3_log_set_count(set); i++)
		clean = clean && m3_log_set_file(set, i)->end.kind == M3_LOG_END_CLEAN;
	m3_log_set_close(set);
	return CHECK(clean);
}

/* After a crash: all is there, a repaired log goes on, and crashes again. */
static bool
check_recovery(World *world, EnvFaultCrash mode, uint64_t seed)
{
	bool		good = check_world(world);

	world_boot(world);
	good = CHECK(world_start(world) == M3_OK) && good;
	good = check_world(world) && good;
	for (int i = 0; i < 3; i++)
		good = CHECK(commit(world, 2, false, 0, i != 1) == M3_OK) && good;
	world_die(world);
	env_fault_crash(world->env, mode, seed + 1);
	good = check_world(world) && good;
	good = check_repaired(world) && good;
	good = CHECK(env_fault_open_files(world->env) == 0) && good;
	return good;
}

static bool
run_case(const EnvFaultPlan *plan, EnvFaultCrash mode, uint64_t seed)
{
	World		world;
	bool		panicked;
	bool		good;

	memset(&world, 0, sizeof(world));
	world.env = env_fault_create();
	CHECK_STATUS(world.env->make_directory(world.env, ROOT, NULL), M3_OK);
	CHECK_STATUS(world.env->sync_directory(world.env, "data", NULL), M3_OK);
	CHECK_STATUS(world.env->sync_directory(world.env, ".", NULL), M3_OK);
	env_fault_fail(world.env, plan);
	world_boot(&world);
	run_until_panic(&world, &panicked);
	world_die(&world);
	env_fault_crash(world.env, mode, seed);
	good = check_recovery(&world, mode, seed);
	env_fault_destroy(world.env);
	if (!good)
		fprintf(stderr, "    failing call %llu (for ever %d, tear %d, errno %d), crash mode %d, "
				"panicked %d\n", (unsigned long long) plan->at, plan->for_ever, plan->tear,
				plan->sys_errno, (int) mode, panicked);
	return good;
}

static uint64_t
count_calls(void)
{
	World		world;
	uint64_t	before;
	uint64_t	calls;
	bool		panicked;

	memset(&world, 0, sizeof(world));
	world.env = env_fault_create();
	CHECK_STATUS(world.env->make_directory(world.env, ROOT, NULL), M3_OK);
	before = env_fault_calls(world.env);
	world_boot(&world);
	run_until_panic(&world, &panicked);
	CHECK(!panicked);
	calls = env_fault_calls(world.env) - before;
	for (uint64_t i = 0; i < world.number; i++)
		CHECK_INT(world.fates[i] == FATE_REFUSED, i == 6);
	check_world(&world);
	world_die(&world);
	CHECK_INT(env_fault_open_files(world.env), 0);
	env_fault_destroy(world.env);
	return calls;
}

static void
test_failures(uint64_t calls)
{
	int			broken = 0;

	for (uint64_t at = 1; at <= calls + 1 && broken < 5; at++)
		for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
			for (int kind = 0; kind < 3; kind++)
			{
				EnvFaultPlan plan = {
					.at = at, .for_ever = kind == 1, .tear = kind == 2,
					.sys_errno = kind == 2 ? 28 : 5
				};

				broken += !run_case(&plan, (EnvFaultCrash) mode, at * 31 + (uint64_t) kind);
			}
}

static void
run_full_disk(World *world, uint64_t limit)
{
	CHECK_STATUS(world_start(world), M3_OK);
	CHECK_STATUS(commit(world, 1, false, 0, true), M3_OK);
	env_fault_limit(world->env, limit);
	for (int i = 0; i < 20; i++)
		commit(world, 10 + (uint64_t) i % 3, i % 5 == 4, 0, i % 2 == 0);
	CHECK_STATUS(commit(world, 400, false, 0, true), M3_IO);
	env_fault_limit(world->env, UINT64_MAX);
	CHECK_STATUS(commit(world, 400, false, 0, true), M3_OK);
}

/* A full disk is an error of the append, no panic (which would abort here);
 * commits that fit go on. */
static void
test_full_disk(void)
{
	for (uint64_t limit = 3100; limit < 9000; limit += 211)
	{
		World		world;

		memset(&world, 0, sizeof(world));
		world.env = env_fault_create();
		CHECK_STATUS(world.env->make_directory(world.env, ROOT, NULL), M3_OK);
		CHECK_STATUS(world.env->sync_directory(world.env, "data", NULL), M3_OK);
		CHECK_STATUS(world.env->sync_directory(world.env, ".", NULL), M3_OK);
		world_boot(&world);
		run_full_disk(&world, limit);
		world_die(&world);
		env_fault_crash(world.env, ENV_FAULT_SUBSET, limit);
		check_world(&world);
		env_fault_destroy(world.env);
	}
}

/* A failed sync ends the process; nobody was told that his group is safe. */
static void
test_failed_sync(void)
{
	World		world;
	jmp_buf		jump;
	M3Error		err;

	memset(&world, 0, sizeof(world));
	world.env = env_fault_create();
	CHECK_STATUS(world.env->make_directory(world.env, ROOT, NULL), M3_OK);
	world_boot(&world);
	CHECK_STATUS(world_start(&world), M3_OK);
	CHECK_STATUS(commit(&world, 1, false, 0, true), M3_OK);
	CHECK_STATUS(commit(&world, 1, false, 0, false), M3_OK);
	env_fault_fail(world.env, &(EnvFaultPlan) {.at = 2});	/* 1: the write */
	env_fault_catch_panic(world.env, &jump, &err);
	if (setjmp(jump) == 0)
	{
		commit(&world, 1, false, 0, true);
		CHECK(!"no panic");
	}
	CHECK_INT(err.sys_errno, 5);
	CHECK_INT(world.fates[1], FATE_OPEN);
	CHECK_INT(world.fates[2], FATE_OPEN);
	world_die(&world);
	env_fault_destroy(world.env);
}

int
main(void)
{
	uint64_t	calls;

	arena_memory = aligned_alloc(64, ARENA_SIZE);
	calls = count_calls();
	CHECK(calls > 30);
	test_failures(calls);
	test_full_disk();
	test_failed_sync();
	free(arena_memory);
	return check_report();
}
