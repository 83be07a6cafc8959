/*
 * Early flushes: when the arena is nearly full, or when a writer waits for room in it.
 *
 * The block cache gives way first; then the largest blocks are flushed, root by root; and if
 * no flush helps, ticks may.  An open transaction can hold everything back: then
 * the writers' own timeouts end the wait, and the log says why.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "compat.h"
#include "server/guc.h"
#include "server/server.h"
#include "server/shmem.h"
#include "server/worker.h"

#define RELIEF_SHARE 20			/* percent of the arena to free below the threshold */
#define RELIEF_WAITED_MS 200	/* between attempts while writers wait */
#define RELIEF_MIN_MS 1000		/* and while nobody does */
#define RELIEF_MAX_MS 300000
#define RELIEF_TICK_MS 5000
#define RELIEF_REPORT_MS 30000

typedef struct Relief
{
	uint64		target;			/* bytes of arena in use to come down to */
	uint64		flushed;		/* filesets */
	uint64		held;			/* series left because somebody may still need them */
} Relief;

static TimestampTz relief_retry_at = 0;
static int	relief_pause_ms = 0;
static TimestampTz relief_ticked_at = 0;
static TimestampTz relief_reported_at = 0;

static bool
somebody_waits(void)
{
	return pg_atomic_read_u32(&m3db_control->space_waiters) > 0;
}

bool
m3db_relief_is_wanted(void)
{
	return somebody_waits() && (relief_pause_ms > RELIEF_WAITED_MS ||
								GetCurrentTimestamp() >= relief_retry_at);
}

static uint64
arena_used(M3Engine *engine, uint64 *size)
{
	M3ArenaStats stats;

	m3_engine_arena_stats(engine, &stats);
	*size = stats.size;
	return stats.pages_used;
}

static void
flush_early(M3Engine *engine, Relief *relief)
{
	uint64		size;

	for (size_t i = 0; i < m3db_worker_root_count; i++)
	{
		M3dbWorkerRoot *root = &m3db_worker_roots[i];

		if (arena_used(engine, &size) <= relief->target)
			break;
		if (m3_database_state(root->db) != M3_ROOT_READY)
			continue;
		relief->flushed += m3db_jobs_flush_early(root, relief->target, &relief->held);
	}
}

/* When no flush helps: merging, and forgetting what has left retention. */
static void
tick_early(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(relief_ticked_at, now, RELIEF_TICK_MS))
		return;
	for (size_t i = 0; i < m3db_worker_root_count; i++)
	{
		M3dbWorkerRoot *root = &m3db_worker_roots[i];

		if (m3_database_state(root->db) == M3_ROOT_READY)
			m3db_jobs_tick(root);
	}
	relief_ticked_at = GetCurrentTimestamp();
}

static void
report_stuck(const Relief *relief)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(relief_reported_at, now, RELIEF_REPORT_MS))
		return;
	relief_reported_at = now;
	ereport(LOG,
			(errmsg("m3db writers wait for space in \"m3db.buffer_size\", and nothing can be "
					"flushed to make some"),
			 relief->held > 0 ?
			 errdetail("Buffers of %llu series hold points that open transactions may not see "
					   "yet, or that are being written.", (unsigned long long) relief->held) : 0,
			 errhint("End transactions that have been open for long, or enlarge "
					 "\"m3db.buffer_size\".")));
}

/*
 * Attempts that free nothing come at ever longer intervals as long as nobody waits for them:
 * what else is in the arena may exceed the threshold for good.
 */
static void
pace(bool waited, bool relieved)
{
	if (waited)
		relief_pause_ms = RELIEF_WAITED_MS;
	else if (relieved)
		relief_pause_ms = Max(RELIEF_MIN_MS, m3db_tick_interval * 1000);
	else
		relief_pause_ms = Min(Max(relief_pause_ms * 2, m3db_tick_interval * 1000),
							  RELIEF_MAX_MS);
	relief_retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), relief_pause_ms);
}

void
m3db_relieve(void)
{
	M3Engine   *engine = m3db_engine();
	bool		waited = somebody_waits();
	Relief		relief = {0};
	uint64		size;
	uint64		before = arena_used(engine, &size);
	uint64		threshold = size / 100 * (uint64) m3db_buffer_flush_threshold;
	uint64		used;

	if (!waited && before <= threshold)
		return;
	/* a pause made while nobody waited is not for those who do */
	if (!m3db_relief_is_wanted() && GetCurrentTimestamp() < relief_retry_at)
		return;

	relief.target = threshold - size / 100 * Min(RELIEF_SHARE, m3db_buffer_flush_threshold / 2);
	if (waited)
		relief.target = Min(relief.target, before / 4 * 3);
	if (before > relief.target && m3_cache_shrink(engine, before - relief.target) > 0)
		m3db_space_was_freed();
	flush_early(engine, &relief);
	used = arena_used(engine, &size);
	if (relief.flushed == 0 && used > relief.target)
	{
		tick_early();
		used = arena_used(engine, &size);
		if (waited)
			report_stuck(&relief);
	}
	pace(waited, used < before && used <= threshold);
}

long
m3db_relieve_sleep(TimestampTz now)
{
	uint64		size;
	uint64		used;

	if (somebody_waits())
		return relief_retry_at > now && relief_pause_ms <= RELIEF_WAITED_MS ?
			TimestampDifferenceMilliseconds(now, relief_retry_at) + 1 : 0;
	used = arena_used(m3db_engine(), &size);
	if (used <= size / 100 * (uint64) m3db_buffer_flush_threshold)
		return PG_INT32_MAX;
	return relief_retry_at > now ?
		TimestampDifferenceMilliseconds(now, relief_retry_at) + 1 : 0;
}
