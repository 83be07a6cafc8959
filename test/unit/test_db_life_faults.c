/*
 * Every job over a disk that fails and forgets: whichever call of flush, cold flush,
 * snapshot, cleanup, TRUNCATE or bootstrap fails, wherever the machine stops, what was
 * acknowledged is there, once, with the last value, and what was voided is not.
 */
#include <errno.h>
#include <setjmp.h>

#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define HOUR (3600 * S)
#define T0 (INT64_C(1704067200) * S)
#define MAX_STEPS 40
#define WIDTH 3					/* series of a batch */
#define SHARED_TIME (T0 + 1800 * S)	/* each batch overwrites it */

static M3Error err;

typedef enum Outcome
{
	NOT_BEGUN,
	UNKNOWN,					/* no answer: whole or not at all */
	ACKNOWLEDGED,
	REFUSED						/* an error, or rolled back: never there */
} Outcome;

typedef enum Kind
{
	WRITE,						/* a batch near the clock */
	LATE,						/* a batch for the first block, long after it */
	ABORT,						/* a batch rolled back after it was prepared */
	VOID,						/* TRUNCATE of the namespace */
	FLUSH,
	FLUSH_ALL,
	SNAPSHOT,
	CLEANUP,
	PURGE,
	TICK,
	LATER						/* the clock goes on by two hours */
} Kind;

static const Kind script[] = {
	WRITE, WRITE, SNAPSHOT, WRITE, LATER, FLUSH, WRITE, CLEANUP, LATE, LATE, ABORT, FLUSH,
	SNAPSHOT, CLEANUP, WRITE, TICK, FLUSH_ALL, SNAPSHOT, CLEANUP, WRITE, LATE, VOID, WRITE, PURGE,
	LATE, FLUSH_ALL, SNAPSHOT, CLEANUP, WRITE, LATER, FLUSH, CLEANUP, LATE
};

#define STEPS ((int) (sizeof(script) / sizeof(script[0])))

typedef struct Life
{
	M3Env	   *env;
	TestEngine	engine;
	int64_t		now_ns;
	int64_t		times_ns[MAX_STEPS];	/* of each batch */
	Outcome		outcomes[MAX_STEPS];
} Life;

static M3NamespaceOptions
life_options(void)
{
	return test_options(3600);
}

/* --- the script --------------------------------------------------------- */

static void
run_batch(Life *life, int step)
{
	M3NamespaceOptions options = life_options();
	M3CommitOptions commit = {.synchronous = true};
	TestEngine *engine = &life->engine;
	M3Error		error;
	M3Txn	   *txn;

	life->times_ns[step] = (script[step] == LATE ? T0 : life->now_ns) + step * S;
	life->outcomes[step] = REFUSED;
	if (m3_txn_begin(engine->dbs[0], &engine->heaps[0].memory, &txn, &error) != M3_OK)
		return;
	for (int i = 0; i < WIDTH && script[step] != VOID; i++)
	{
		char		name[16];
		uint32_t	series;

		snprintf(name, sizeof(name), "s%d", i);
		series = test_series(txn, "ns", &options, name);
		(void) m3_txn_write(txn, series, life->times_ns[step], step, M3_UNIT_NONE,
							m3_slice(NULL, 0), 0, &error);
		(void) m3_txn_write(txn, series, SHARED_TIME, step, M3_UNIT_NONE, m3_slice(NULL, 0), 0,
							&error);
	}
	if (script[step] == VOID)
		(void) m3_txn_void(txn, m3_slice_cstr("ns"), false, &error);
	life->outcomes[step] = UNKNOWN;
	if (m3_txn_prepare(txn, &commit, &error) != M3_OK)
		life->outcomes[step] = REFUSED;
	else if (script[step] == ABORT)
		life->outcomes[step] = m3_txn_abort(txn) ? REFUSED : UNKNOWN;
	else
	{
		m3_txn_publish(txn);
		life->outcomes[step] = ACKNOWLEDGED;
	}
	m3_txn_free(txn);
}

static M3Status
run_job(Life *life, Kind kind)
{
	M3Database *db = life->engine.dbs[0];
	M3FlushOptions flush = {.reason = kind == FLUSH ? M3_FLUSH_DUE : M3_FLUSH_ALL};
	M3SnapshotOptions snapshot = {.force = true};
	M3FlushResult flushed;
	M3SnapshotResult taken;
	M3PurgeResult purged;
	M3TickResult ticked;
	M3CleanupResult cleaned;

	switch (kind)
	{
		case FLUSH:
		case FLUSH_ALL:
			return m3_flush_run(db, &flush, &flushed, &err);
		case SNAPSHOT:
			return m3_snapshot_run(db, &snapshot, &taken, &err);
		case CLEANUP:
			return m3_cleanup_run(db, &cleaned, &err);
		case PURGE:
			return m3_purge_run(db, &purged, &err);
		case TICK:
			return m3_tick_run(db, &ticked, &err);
		case LATER:
			life->now_ns += 2 * HOUR;
			env_fault_set_clock(life->env, life->now_ns);
			return M3_OK;
		default:
			return M3_OK;
	}
}

static void
run_script(Life *life)
{
	if (test_engine_bootstrap(&life->engine, NULL, &err) != M3_OK)
		return;
	for (int step = 0; step < STEPS; step++)
	{
		if (script[step] <= VOID)
			run_batch(life, step);
		else
			(void) run_job(life, script[step]);
	}
}

/* --- what must be there ------------------------------------------------- */

/* How many of a batch's points are there; -1 if one has another value. */
static int
points_of_step(Life *life, int step)
{
	int			count = 0;

	for (int i = 0; i < WIDTH; i++)
	{
		char		name[16];
		TestPoint	point;
		int64_t		time_ns = life->times_ns[step];
		size_t		n;

		snprintf(name, sizeof(name), "s%d", i);
		n = test_read(&life->engine, 0, "ns", name, time_ns, time_ns + 1, NULL, NULL, 0, &point, 1);
		if (n > 1 || (n == 1 && point.value != step))
			return -1;
		count += (int) n;
	}
	return count;
}

/* Whether the batches before the TRUNCATE (last_void: which, or -1) are as they should be
 * if it committed, or did not. */
static bool
steps_are_right(Life *life, int last_void, bool voided)
{
	bool		right = true;

	for (int step = 0; step < STEPS; step++)
	{
		Outcome		outcome = life->outcomes[step];
		int			count;

		if (script[step] >= VOID || outcome == NOT_BEGUN)
			continue;
		count = points_of_step(life, step);
		if (voided && step < last_void)
			right = right && count == 0;
		else if (count == 0)
			right = right && outcome != ACKNOWLEDGED;
		else
			right = right && count == WIDTH && outcome != REFUSED;
	}
	return right;
}

/* The point that all batches overwrite has the value of the last one. */
static bool
shared_is_right(Life *life, int last_void, bool voided)
{
	bool		right = true;

	for (int i = 0; i < WIDTH; i++)
	{
		char		name[16];
		TestPoint	point = {0, -1};
		int			last = -1;	/* acknowledged */
		size_t		n;

		snprintf(name, sizeof(name), "s%d", i);
		n = test_read(&life->engine, 0, "ns", name, SHARED_TIME, SHARED_TIME + 1, NULL, NULL, 0,
					  &point, 1);
		for (int step = voided ? last_void : 0; step < STEPS; step++)
		{
			if (script[step] < VOID && life->outcomes[step] == ACKNOWLEDGED)
				last = step;
		}
		if (n == 0)
			right = right && last == -1;
		else
			right = right && n == 1 && (int) point.value >= last &&
				life->outcomes[(int) point.value] != REFUSED;
	}
	return right;
}

static bool
is_right(Life *life)
{
	int			last_void = -1;

	for (int step = 0; step < STEPS; step++)
	{
		if (script[step] == VOID && (life->outcomes[step] == ACKNOWLEDGED ||
									 life->outcomes[step] == UNKNOWN))
			last_void = step;
	}
	if (last_void >= 0 && steps_are_right(life, last_void, true) &&
		shared_is_right(life, last_void, true))
		return true;
	if (last_void >= 0 && life->outcomes[last_void] == ACKNOWLEDGED)
		return false;
	return steps_are_right(life, last_void, false) && shared_is_right(life, last_void, false);
}

/* --- lives -------------------------------------------------------------- */

static bool
reopen(Life *life, EnvFaultCrash mode, uint64_t seed)
{
	test_engine_kill(&life->engine);
	env_fault_crash(life->env, mode, seed);
	test_engine_open(&life->engine, life->env, "/data", 2 << 20, 1);
	life->engine.settings.log_preallocate_size = 8192;
	return test_engine_bootstrap(&life->engine, NULL, &err) == M3_OK;
}

static bool
jobs_work(Life *life)
{
	static const Kind jobs[] = {PURGE, TICK, FLUSH_ALL, SNAPSHOT, CLEANUP};

	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
	{
		if (run_job(life, jobs[i]) != M3_OK)
			return false;
	}
	return true;
}

/* The n-th call fails (0: none), then a crash of that mode, then two more lives. */
static void
live(uint64_t at, int sys_errno, bool for_ever, EnvFaultCrash mode, uint64_t *calls)
{
	EnvFaultPlan plan = {.at = at,.sys_errno = sys_errno,.for_ever = for_ever,.tear = at % 2 == 1};
	Life	   *life = calloc(1, sizeof(*life));
	jmp_buf		jump;
	bool		ok;

	life->env = env_fault_create();
	life->now_ns = T0 + 10 * 60 * S;
	env_fault_set_clock(life->env, life->now_ns);
	test_engine_open(&life->engine, life->env, "/data", 2 << 20, 1);
	life->engine.settings.log_preallocate_size = 8192;
	env_fault_fail(life->env, &plan);
	env_fault_catch_panic(life->env, &jump, &err);
	if (setjmp(jump) == 0)
		run_script(life);
	*calls = env_fault_calls(life->env);
	env_fault_catch_panic(life->env, NULL, NULL);

	ok = CHECK(reopen(life, mode, at)) && CHECK(is_right(life)) &&
		CHECK(jobs_work(life)) && CHECK(is_right(life)) &&
		CHECK(reopen(life, ENV_FAULT_DROP, at + 1)) && CHECK(is_right(life));
	if (!ok)
		fprintf(stderr, "    call %llu, errno %d, for ever %d, mode %d: %s %s\n",
				(unsigned long long) at, sys_errno, for_ever, (int) mode, err.message, err.file);
	test_engine_kill(&life->engine);
	env_fault_destroy(life->env);
	free(life);
}

int
main(void)
{
	const char *stride_text = getenv("M3_LIFE_STRIDE");
	uint64_t	stride = stride_text == NULL ? 7 : strtoull(stride_text, NULL, 10);
	uint64_t	calls;
	uint64_t	ignored;

	live(0, 0, false, ENV_FAULT_DROP, &calls);
	for (uint64_t at = 1; at <= calls && checks_failed < 5; at += stride)
	{
		EnvFaultCrash mode = (EnvFaultCrash) (at / stride % ENV_FAULT_CRASH_MODES);

		live(at, EIO, false, mode, &ignored);
		live(at, ENOSPC, at % 2 == 0, mode, &ignored);
		live(at, EIO, true, (EnvFaultCrash) ((mode + 2) % ENV_FAULT_CRASH_MODES), &ignored);
	}
	printf("    %llu mutating calls\n", (unsigned long long) calls);
	return check_report();
}
