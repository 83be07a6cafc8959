/*
 * The tick: merges streams, drops what has left retention, frees series that hold
 * nothing (spec/engine.md 7, with OURS: buffers leave retention too).
 */
#include <string.h>

#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

typedef struct Tick
{
	M3Database *db;
	M3TickResult *result;
	int64_t		now_ns;
	uint64_t	horizon;
	uint64_t	total;
} Tick;

/* Under its stripe: true if the series seems to be gone for good. */
static bool
visit(Tick *t, M3Ref ref, int64_t first_retained_ns, M3WriteEffect *effect)
{
	M3Database *db = t->db;
	M3Series   *series = m3_arena_at(db->arena, ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	uint32_t	before;
	bool		is_empty;

	db->env->lock(db->env, lock, M3_LOCK_EXCLUSIVE);
	before = series->bucket_count;
	if (first_retained_ns != INT64_MIN)
		m3_series_expire(db->arena, db->env, series, first_retained_ns, t->horizon, effect);
	t->result->expired_blocks += before - series->bucket_count;
	t->result->merged_blocks += m3_series_merge(db->arena, db->env, series, t->horizon,
												db->engine->memory, effect);
	is_empty = m3_series_is_empty(db->arena, series) &&
		(series->last_file_ns == INT64_MIN || series->last_file_ns < first_retained_ns);
	db->env->unlock(db->env, lock);
	t->result->series++;
	return is_empty;
}

/* Takes those that are still empty out of the namespace. */
static void
purge(Tick *t, const M3Ref *refs, uint32_t count, int64_t first_retained_ns)
{
	M3Database *db = t->db;

	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	for (uint32_t i = 0; i < count; i++)
	{
		if (m3i_series_unlink_expired(db, refs[i], first_retained_ns))
			t->result->purged_series++;
	}
	db->env->unlock(db->env, m3i_lock_write(db));
}

static void
tick_namespace(Tick *t, M3Ref namespace_ref)
{
	M3Database *db = t->db;
	M3NamespaceShared *ns = m3_arena_at(db->arena, namespace_ref);
	M3NamespaceOptions options = m3i_namespace_options(db, namespace_ref);
	int64_t		first_retained_ns = m3i_first_retained_ns(&options, t->now_ns);
	M3Ref		list[M3_SERIES_CHUNK];
	uint32_t	first = 0;
	uint32_t	count;

	if (first_retained_ns != INT64_MIN)
		t->result->expired_blocks += m3i_blocks_expire(db, ns, first_retained_ns);
	while ((count = m3i_series_chunk(db, ns, first, list)) > 0)
	{
		M3WriteEffect effect = {0};
		uint32_t	gone = 0;

		first += count;
		for (uint32_t i = 0; i < count; i++)
		{
			if (list[i] != 0 && visit(t, list[i], first_retained_ns, &effect))
				list[gone++] = list[i];
		}
		m3i_namespace_count_write(db, ns, &effect, INT64_MAX, INT64_MIN);
		t->result->freed_bytes += (uint64_t) -(effect.bytes + effect.merged_bytes);
		if (gone > 0)
			purge(t, list, gone, first_retained_ns);
		m3i_job_step(db, (const char *) ns->name, t->result->series, t->total, 0);
		db->env->yield(db->env);
	}
}

static M3Status
tick_all(Tick *t, M3Error *err)
{
	M3Database *db = t->db;
	M3Ref	   *refs;
	size_t		count;

	M3_TRY(m3i_namespace_refs(db, true, &refs, &count, err));
	for (size_t i = 0; i < count; i++)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, refs[i]);

		t->total += __atomic_load_n(&ns->series_count, __ATOMIC_RELAXED);
	}
	for (size_t i = 0; i < count; i++)
		tick_namespace(t, refs[i]);
	m3_free(db->engine->memory, refs);
	return M3_OK;
}

static void
reclaim(M3Database *db)
{
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	m3i_series_reclaim(db);
	db->env->unlock(db->env, m3i_lock_write(db));
}

static bool
did_something(const M3TickResult *result)
{
	return result->merged_blocks + result->expired_blocks + result->purged_series > 0;
}

M3Status
m3_tick_run(M3Database *db, M3TickResult *result, M3Error *err)
{
	Tick		t = {.db = db, .result = result, .now_ns = db->env->now_ns(db->env)};
	M3Error		own_error = {0};
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	memset(result, 0, sizeof(*result));
	M3_TRY(m3i_require_ready(db, err));
	m3i_job_begin(db, M3_JOB_TICK);
	t.horizon = m3i_horizon(db);
	/* series that are found here are not freed before the end */
	m3i_txn_enter(db);
	status = tick_all(&t, err);
	m3i_txn_leave(db);
	reclaim(db);
	m3i_cache_tick(db, t.now_ns);
	if (status == M3_OK && !did_something(result))
		m3i_job_drop(db);
	else
		m3i_job_end(db, M3_JOB_TICK, status, err);
	return status;
}
