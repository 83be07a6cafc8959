/*
 * The engine over a disk that fails and forgets: whatever call fails, wherever the
 * machine stops, acknowledged transactions are there whole, others whole or not at all,
 * and aborted ones never.
 */
#include <setjmp.h>

#include "storage/base/bytes.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1704067200) * S)
#define STEPS 14
#define WIDTH 5					/* points of a transaction, one per series */

static M3Error err;

/* What the client of each step knows. */
typedef enum Outcome
{
	UNKNOWN,					/* no answer: whole or not at all */
	ACKNOWLEDGED,
	REFUSED						/* an error, or rolled back: never there */
} Outcome;

static uint32_t
wide_series(M3Txn *txn, const M3NamespaceOptions *options, int number)
{
	char		name[16];

	snprintf(name, sizeof(name), "s%d", number);
	return test_series(txn, "ns", options, name);
}

static Outcome
commit_step(TestEngine *engine, int step, Outcome *outcome)
{
	M3NamespaceOptions options = test_options(3600);
	M3CommitOptions commit = {.synchronous = true};
	M3Error		error;
	M3Txn	   *txn;

	if (m3_txn_begin(engine->dbs[0], &engine->heaps[0].memory, &txn, &error) != M3_OK)
		return *outcome = REFUSED;
	for (int i = 0; i < WIDTH; i++)
		m3_txn_write(txn, wide_series(txn, &options, i), T0 + step * 600 * S, step, M3_UNIT_NONE,
					 m3_slice(NULL, 0), 0, &error);
	*outcome = UNKNOWN;
	if (m3_txn_prepare(txn, &commit, &error) != M3_OK)
		*outcome = REFUSED;
	else if (step % 5 == 3)
		*outcome = m3_txn_abort(txn) ? REFUSED : UNKNOWN;
	else
	{
		m3_txn_publish(txn);
		*outcome = ACKNOWLEDGED;
	}
	m3_txn_free(txn);
	return *outcome;
}

static void
run_workload(TestEngine *engine, Outcome *outcomes)
{
	if (test_engine_bootstrap(engine, NULL, &err) != M3_OK)
		return;
	for (int step = 0; step < STEPS; step++)
	{
		commit_step(engine, step, &outcomes[step]);
		if (step % 4 == 2)
			(void) m3_log_rotate(engine->dbs[0], true, &err);
		if (step == 9)
			(void) m3_log_shutdown(engine->dbs[0], &err);
	}
}

/* How many of a step's points are there; -1 if one has another value. */
static int
points_of_step(TestEngine *engine, int step)
{
	int			count = 0;

	for (int i = 0; i < WIDTH; i++)
	{
		char		name[16];
		TestPoint	point;
		int64_t		time_ns = T0 + step * 600 * S;
		size_t		n;

		snprintf(name, sizeof(name), "s%d", i);
		n = test_read(engine, 0, "ns", name, time_ns, time_ns + 1, NULL, NULL, 0, &point, 1);
		if (n > 1 || (n == 1 && point.value != step))
			return -1;
		count += (int) n;
	}
	return count;
}

static bool
is_right(TestEngine *engine, const Outcome *outcomes)
{
	for (int step = 0; step < STEPS; step++)
	{
		int			count = points_of_step(engine, step);

		bool		ok = count == 0 ? outcomes[step] != ACKNOWLEDGED :
			count == WIDTH && outcomes[step] != REFUSED;

		if (!ok)
		{
			fprintf(stderr, "    step %d: %d points, outcome %d\n", step, count,
					(int) outcomes[step]);
			return false;
		}
	}
	return true;
}

/* One life: the n-th call fails (0: none), then a crash of that mode, then two more lives. */
static void
live(uint64_t at, int sys_errno, bool for_ever, EnvFaultCrash mode, uint64_t *calls)
{
	M3Env	   *env = env_fault_create();
	EnvFaultPlan plan = {.at = at,.sys_errno = sys_errno,.for_ever = for_ever,.tear = at % 2 == 1};
	Outcome		outcomes[STEPS] = {UNKNOWN};
	TestEngine	engine;
	jmp_buf		jump;
	bool		ok;

	for (int step = 0; step < STEPS; step++)
		outcomes[step] = REFUSED;	/* not begun */
	test_engine_open(&engine, env, "/data", 2 << 20, 1);
	engine.settings.log_preallocate_size = 8192;
	env_fault_fail(env, &plan);
	env_fault_catch_panic(env, &jump, &err);
	if (setjmp(jump) == 0)
		run_workload(&engine, outcomes);
	*calls = env_fault_calls(env);
	env_fault_crash(env, mode, at);
	test_engine_kill(&engine);

	for (int round = 0; round < 2; round++)
	{
		M3Status	status;

		test_engine_open(&engine, env, "/data", 2 << 20, 1);
		engine.settings.log_preallocate_size = 8192;
		status = test_engine_bootstrap(&engine, NULL, &err);
		ok = status == M3_OK && is_right(&engine, outcomes);
		if (!CHECK(ok))
			fprintf(stderr, "    call %d, errno %d, for ever %d, crash %d, round %d: %s\n",
					(int) at, sys_errno, for_ever, (int) mode, round,
					status == M3_OK ? "wrong points" : err.message);
		/* it takes writes again */
		if (status == M3_OK)
		{
			M3NamespaceOptions options = test_options(3600);

			CHECK_OK(test_write(&engine, 0, "ns", &options, "x", T0, 1, &err));
		}
		test_engine_crash(&engine);
		env_fault_crash(env, mode, at + 1000);
	}
	env_fault_destroy(env);
}

int
main(void)
{
	static const int errors[] = {5 /* EIO */ , 28 /* ENOSPC */ };
	uint64_t	calls;
	uint64_t	total;

	live(0, 0, false, ENV_FAULT_DROP, &total);
	for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
	{
		for (uint64_t at = 1; at <= total; at++)
		{
			for (int e = 0; e < 2; e++)
			{
				live(at, errors[e], true, (EnvFaultCrash) mode, &calls);
				live(at, errors[e], false, (EnvFaultCrash) mode, &calls);
			}
		}
	}
	printf("%d mutating calls; ", (int) total);
	return check_report();
}
