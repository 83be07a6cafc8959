/*
 * Months in the life of a database, on a simulated clock: writes near and far from now,
 * overwrites, aborted batches, snapshots held, TRUNCATE and DROP, all jobs in any order,
 * crashes - against a model that is a plain array.  In the end memory, logs and files must be
 * as small as what is left.
 */
#include "storage/db/db_private.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 (INT64_C(1704067200) * S)

#define NAMESPACES 3
#define SERIES 4
#define DAYS 70
#define BEFORE_DAYS 5			/* of points older than the first day */
#define MINUTES ((DAYS + BEFORE_DAYS) * 1440)
#define ARENA_SIZE (6u << 20)

static M3Error err;
static uint64_t random_state;

static uint32_t
random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((random_state >> 33) % limit);
}

/* --- the model ---------------------------------------------------------- */

typedef struct Undo
{
	uint32_t	cell;
	double		before;
} Undo;

static const char *const names[NAMESPACES] = {"short", "long", "quiet"};

/* Value of each (namespace, series, minute); NaN: none. */
static double *model;
static M3NamespaceOptions options[NAMESPACES];
static M3Env *env;
static TestEngine engine;
static int64_t now_ns;
static double next_value;

/* A snapshot held over several steps, and what was overwritten since. */
static M3Snapshot *held;
static Undo *undo;
static size_t undo_count;
static size_t undo_capacity;

static uint32_t
cell_of(int ns, int series, int64_t time_ns)
{
	return (uint32_t) ((ns * SERIES + series) * MINUTES +
					   (time_ns - (T0 - BEFORE_DAYS * DAY)) / MINUTE);
}

static void
set_cell(uint32_t cell, double value)
{
	if (held != NULL)
	{
		if (undo_count == undo_capacity)
		{
			undo_capacity = undo_capacity * 2 + 64;
			undo = realloc(undo, undo_capacity * sizeof(*undo));
		}
		undo[undo_count++] = (Undo) {cell, model[cell]};
	}
	model[cell] = value;
}

static void
release_held(void)
{
	m3_snapshot_release(held);
	held = NULL;
	undo_count = 0;
}

/* Swaps the model for the one the held snapshot sees; again swaps back. */
static void
rewind_model(bool back)
{
	for (size_t n = 0; n < undo_count; n++)
	{
		size_t		i = back ? n : undo_count - 1 - n;
		double		value = model[undo[i].cell];

		model[undo[i].cell] = undo[i].before;
		undo[i].before = value;
	}
}

static int64_t
first_retained_ns(int ns)
{
	if (options[ns].retention_period_ns == 0)
		return INT64_MIN;
	return m3_block_start(now_ns - options[ns].retention_period_ns, options[ns].block_size_ns);
}

/* --- comparing ---------------------------------------------------------- */

static void
compare_series(int ns, int series, const M3Snapshot *snapshot, TestPoint *points)
{
	char		name[16];
	size_t		count;
	size_t		at = 0;
	bool		same = true;

	snprintf(name, sizeof(name), "s%d", series);
	count = test_read(&engine, 1, names[ns], name, T0 - 100 * DAY, T0 + 1000 * DAY, snapshot, NULL,
					  0, points, MINUTES);
	CHECK(count <= MINUTES);
	if (count > MINUTES)
		return;
	for (int64_t m = 0; m < MINUTES && same; m++)
	{
		int64_t		time_ns = T0 - BEFORE_DAYS * DAY + m * MINUTE;
		double		value = model[cell_of(ns, series, time_ns)];

		if (isnan(value) || time_ns < first_retained_ns(ns))
			continue;
		same = at < count && points[at].time_ns == time_ns && points[at].value == value;
		if (!same)
			fprintf(stderr, "    %s.%s at minute %lld: is %s%g (minute %lld), not %g\n", names[ns],
					name, (long long) m, at < count ? "" : "none ",
					at < count ? points[at].value : 0.0,
					at < count ? (long long) ((points[at].time_ns - T0) / MINUTE + BEFORE_DAYS *
											  1440) : -1, value);
		at++;
	}
	CHECK(same && at == count);
}

static void
compare_all(void)
{
	TestPoint  *points = malloc(MINUTES * sizeof(*points));

	for (int ns = 0; ns < NAMESPACES; ns++)
	{
		for (int series = 0; series < SERIES; series++)
			compare_series(ns, series, NULL, points);
	}
	if (held != NULL)
	{
		int			ns = (int) random_below(NAMESPACES);

		rewind_model(false);
		compare_series(ns, (int) random_below(SERIES), held, points);
		rewind_model(true);
	}
	free(points);
}

/* --- steps -------------------------------------------------------------- */

static int64_t
some_time(int ns)
{
	uint32_t	kind = random_below(100);
	int64_t		time_ns = now_ns / MINUTE * MINUTE;

	if (kind < 60)
		time_ns -= random_below(10) * MINUTE;
	else if (kind < 90)
		time_ns -= random_below(1600) * MINUTE;
	else if (kind < 95)
		time_ns += random_below(90) * MINUTE;
	else if (options[ns].retention_period_ns == 0)
		time_ns = T0 + random_below((uint32_t) ((now_ns - T0) / MINUTE) + 1) * MINUTE;
	return time_ns;
}

typedef struct Batch
{
	M3Txn	   *txn;
	uint32_t	cells[24];
	double		values[24];
	int			count;
} Batch;

static void
write_batch(Batch *batch)
{
	batch->count = 0;
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &batch->txn, &err));
	for (uint32_t left = 1 + random_below(24); left > 0; left--)
	{
		int			ns = (int) random_below(NAMESPACES);
		int			series = (int) random_below(SERIES);
		int64_t		time_ns = some_time(ns);
		char		name[16];

		snprintf(name, sizeof(name), "s%d", series);
		next_value += 0.25;
		CHECK_OK(m3_txn_write(batch->txn, test_series(batch->txn, names[ns], &options[ns], name),
							  time_ns, next_value, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err));
		batch->cells[batch->count] = cell_of(ns, series, time_ns);
		batch->values[batch->count] = next_value;
		batch->count++;
	}
}

static void
end_batch(Batch *batch, bool publish)
{
	if (publish)
	{
		for (int i = 0; i < batch->count; i++)
			set_cell(batch->cells[i], batch->values[i]);
		m3_txn_publish(batch->txn);
	}
	else
		CHECK(m3_txn_abort(batch->txn));
	m3_txn_free(batch->txn);
	batch->txn = NULL;
}

static void
run_job(M3Database *db, uint32_t which)
{
	M3FlushOptions flush = {.reason = M3_FLUSH_DUE,.cold_interval_ns = HOUR};
	M3SnapshotOptions snapshot = {.force = true};
	M3FlushResult flushed;
	M3SnapshotResult taken;
	M3PurgeResult purged;
	M3TickResult ticked;
	M3CleanupResult cleaned;

	switch (which)
	{
		case 0:
			CHECK_OK(m3_tick_run(db, &ticked, &err));
			break;
		case 1:
			CHECK_OK(m3_flush_run(db, &flush, &flushed, &err));
			break;
		case 2:
			flush.reason = random_below(2) == 0 ? M3_FLUSH_ALL : M3_FLUSH_PRESSURE;
			CHECK_OK(m3_flush_run(db, &flush, &flushed, &err));
			break;
		case 3:
			CHECK_OK(m3_snapshot_run(db, &snapshot, &taken, &err));
			CHECK(taken.taken);
			break;
		case 4:
			CHECK_OK(m3_cleanup_run(db, &cleaned, &err));
			break;
		case 5:
			CHECK_OK(m3_purge_run(db, &purged, &err));
			break;
		default:
			CHECK_OK(m3_log_rotate(db, true, &err));
			break;
	}
}

/* Jobs run by handle 2, as the worker's; batches by handle 0, readers by handle 1. */
static void
some_jobs(void)
{
	for (uint32_t left = random_below(4); left > 0; left--)
		run_job(engine.dbs[2], random_below(7));
}

static void
void_namespace(bool dropped)
{
	int			ns = (int) random_below(NAMESPACES);
	M3CommitOptions commit = {.synchronous = true};
	bool		publish = random_below(4) != 0;
	M3Txn	   *txn;

	release_held();
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr(names[ns]), dropped, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	some_jobs();
	if (publish)
	{
		m3_txn_publish(txn);
		for (uint32_t c = 0; c < SERIES * MINUTES; c++)
			model[(uint32_t) ns * SERIES * MINUTES + c] = NAN;
	}
	else
		CHECK(m3_txn_abort(txn));
	m3_txn_free(txn);
}

/* Snapshots of one namespace go on and off. */
static void
alter_namespace(void)
{
	M3CommitOptions commit = {.synchronous = true};
	M3NamespaceOptions altered = options[2];
	M3Txn	   *txn;

	altered.snapshot_enabled = !altered.snapshot_enabled;
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_alter(txn, m3_slice_cstr(names[2]), &altered, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	some_jobs();
	if (random_below(4) == 0)
		CHECK(m3_txn_abort(txn));
	else
	{
		m3_txn_publish(txn);
		options[2] = altered;
	}
	m3_txn_free(txn);
}

static void
restart(void)
{
	release_held();
	test_engine_kill(&engine);
	env_fault_crash(env, random_below(2) == 0 ? ENV_FAULT_DROP : ENV_FAULT_KEEP,
					random_below(1000));
	test_engine_open(&engine, env, "/data", ARENA_SIZE, 3);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
}

static void
step(void)
{
	M3CommitOptions commit = {.synchronous = true};
	Batch		batch;

	now_ns += random_below(60) * MINUTE;
	env_fault_set_clock(env, now_ns);
	if (random_below(12) == 0 && held == NULL)
		CHECK_OK(m3_snapshot_take(engine.dbs[1], &held, &err));
	else if (random_below(6) == 0)
		release_held();
	write_batch(&batch);
	CHECK_OK(m3_txn_prepare(batch.txn, &commit, &err));
	some_jobs();
	end_batch(&batch, random_below(10) != 0);
	some_jobs();
	if (random_below(150) == 0)
		void_namespace(random_below(2) == 0);
	if (random_below(25) == 0)
		alter_namespace();
	if (random_below(60) == 0)
		restart();
}

/* --- the end ------------------------------------------------------------ */

/* Everything flushed, superseded and cleaned up: what remains is series and block tables. */
static void
check_small(void)
{
	M3ArenaStats stats;
	M3NamespaceInfo info;
	const char *reason = "";

	release_held();
	for (int round = 0; round < 3; round++)
	{
		M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
		M3FlushResult flushed;

		run_job(engine.dbs[2], 5);
		run_job(engine.dbs[2], 0);
		CHECK_OK(m3_flush_run(engine.dbs[2], &flush, &flushed, &err));
		CHECK_INT(flushed.held_series, 0);
		run_job(engine.dbs[2], 3);
		run_job(engine.dbs[2], 4);
	}
	for (int ns = 0; ns < NAMESPACES; ns++)
	{
		if (m3_namespace_info(engine.dbs[1], m3_slice_cstr(names[ns]), &info, &err) != M3_OK)
			continue;			/* dropped */
		CHECK_INT(info.point_count, 0);
		CHECK_INT(info.buffer_size, 0);
		CHECK_INT(info.block_count, 0);
	}
	m3_engine_arena_stats(engine.engines[1], &stats);
	CHECK(stats.bytes_used < 512 * 1024);
	CHECK(m3_arena_check(engine.dbs[1]->arena, env, &reason));
}

static void
test_life(uint64_t seed, uint32_t steps)
{
	random_state = seed;
	next_value = 0;
	now_ns = T0;
	env = env_fault_create();
	env_fault_set_clock(env, now_ns);
	for (uint32_t c = 0; c < NAMESPACES * SERIES * MINUTES; c++)
		model[c] = NAN;
	for (int ns = 0; ns < NAMESPACES; ns++)
		options[ns] = test_options(7200);
	options[0].retention_period_ns = 2 * DAY;
	options[1].block_size_ns = DAY;
	options[2].snapshot_enabled = false;
	test_engine_open(&engine, env, "/data", ARENA_SIZE, 3);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	for (uint32_t i = 0; i < steps && now_ns < T0 + (DAYS - 1) * DAY && checks_failed < 5; i++)
	{
		step();
		if (i % 16 == 0)
			compare_all();
	}
	compare_all();
	check_small();
	compare_all();
	restart();
	compare_all();
	release_held();
	test_engine_crash(&engine);
	CHECK_INT(env_fault_held_locks(env), 0);
	env_fault_destroy(env);
	if (checks_failed > 0)
		fprintf(stderr, "    seed %llu\n", (unsigned long long) seed);
}

/* Series that live for a day each: memory follows those that are alive. */
static void
test_churn(void)
{
	M3NamespaceOptions churning = test_options(7200);
	uint64_t	used[60];
	M3ArenaStats stats;
	M3NamespaceInfo info;

	churning.retention_period_ns = DAY;
	now_ns = T0;
	env = env_fault_create();
	env_fault_set_clock(env, now_ns);
	test_engine_open(&engine, env, "/data", ARENA_SIZE, 3);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	for (int day = 0; day < 60; day++)
	{
		for (int i = 0; i < 700; i++)
		{
			char		name[64];

			snprintf(name, sizeof(name), "container-%d-%d", day, i);
			CHECK_OK(test_write(&engine, 0, "churn", &churning, name, now_ns, i, &err));
		}
		for (uint32_t job = 0; job < 6; job++)
			run_job(engine.dbs[2], job);
		now_ns += DAY + 2 * HOUR;
		env_fault_set_clock(env, now_ns);
		run_job(engine.dbs[2], 0);
		run_job(engine.dbs[2], 0);
		m3_engine_arena_stats(engine.engines[1], &stats);
		used[day] = stats.bytes_used;
	}
	CHECK_OK(m3_namespace_info(engine.dbs[1], m3_slice_cstr("churn"), &info, &err));
	CHECK_INT(info.series_count, 0);
	CHECK(used[59] <= used[9] + 16384);
	test_engine_crash(&engine);
	env_fault_destroy(env);
}

int
main(void)
{
	const char *seeds = getenv("M3_LIFE_SEEDS");
	uint64_t	count = seeds == NULL ? 2 : strtoull(seeds, NULL, 10);

	model = malloc(sizeof(double) * NAMESPACES * SERIES * MINUTES);
	for (uint64_t seed = 1; seed <= count && checks_failed == 0; seed++)
		test_life(seed, 3000);
	test_churn();
	free(model);
	free(undo);
	return check_report();
}
