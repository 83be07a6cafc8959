/*
 * What a batch will touch, found out before the root's WRITE lock is taken: its
 * times checked, its namespaces registered, its series made.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/db/commit_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series made between two looks for an interrupt. */
#define YIELD_EVERY 4096u

/* What was noted while the points were written is right if none was rolled back or voided. */
static void
survey_notes(M3Commit *commit)
{
	M3Txn	   *txn = commit->txn;

	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];

		ns->batch_min_ns = ns->min_ns;
		ns->batch_max_ns = ns->max_ns;
		if (ns->options.writes_to_commitlog)
			commit->logged_count += ns->points;
	}
	for (uint32_t i = 0; i < txn->series_count; i++)
		txn->series[i].in_batch = txn->series[i].written;
}

static M3Status
survey_points(M3Commit *commit, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	uint64_t	position = 0;

	for (;;)
	{
		const M3PendingPoint *points;
		uint64_t	first = position;
		size_t		count;

		/* a jump leaves only memory of the transaction behind */
		commit->db->env->yield(commit->db->env);
		M3_TRY(m3i_pending_read(txn->pending, &position, &points, &count, err));
		if (count == 0)
			return M3_OK;
		for (size_t i = 0; i < count; i++)
		{
			M3TxnSeries *series = &txn->series[points[i].series];
			M3TxnNamespace *ns = &txn->namespaces[series->namespace_number];

			if (m3i_txn_point_is_void(txn, &points[i], first + i))
				continue;
			series->in_batch = true;
			if (points[i].time_ns < ns->batch_min_ns)
				ns->batch_min_ns = points[i].time_ns;
			if (points[i].time_ns > ns->batch_max_ns)
				ns->batch_max_ns = points[i].time_ns;
			commit->logged_count += ns->options.writes_to_commitlog;
		}
	}
}

static M3Status
survey(M3Commit *commit, M3Error *err)
{
	M3Txn	   *txn = commit->txn;

	commit->logged_count = 0;
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		txn->namespaces[i].batch_min_ns = INT64_MAX;
		txn->namespaces[i].batch_max_ns = INT64_MIN;
		memset(&txn->namespaces[i].effect, 0, sizeof(M3WriteEffect));
	}
	for (uint32_t i = 0; i < txn->series_count; i++)
	{
		txn->series[i].in_batch = false;
		txn->series[i].introduced = false;
	}
	if (txn->rolled_back || txn->void_count > 0)
		return survey_points(commit, err);
	commit->db->env->yield(commit->db->env);
	survey_notes(commit);
	return M3_OK;
}

static int64_t
to_second(int64_t time_ns)
{
	return time_ns - ((time_ns % M3_NS_PER_SECOND) + M3_NS_PER_SECOND) % M3_NS_PER_SECOND;
}

static M3Status
refuse_time(const M3TxnNamespace *ns, int64_t time_ns, int64_t limit_ns, const char *why,
			M3Error *err)
{
	char		time_text[M3_TIME_TEXT_SIZE];
	char		limit_text[M3_TIME_TEXT_SIZE];

	(void) m3_error(err, M3_INVALID, "time %s is %s of namespace \"%.*s\"",
					m3_time_text(time_ns, time_text), why, (int) ns->name_size,
					(const char *) ns->name);
	m3_error_detail(err, "The limit is %s, %lld seconds away.",
					m3_time_text(limit_ns, limit_text),
					llabs((long long) (time_ns - limit_ns)) / M3_NS_PER_SECOND);
	return M3_INVALID;
}

/* spec/engine.md 4.3, but that times ahead of the clock are only refused where
 * cold writes are off. */
static M3Status
check_times(const M3TxnNamespace *ns, int64_t now_ns, M3Error *err)
{
	const M3NamespaceOptions *options = &ns->options;
	int64_t		past_ns = to_second(now_ns - options->buffer_past_ns);
	int64_t		future_ns = to_second(now_ns + options->buffer_future_ns);

	if (options->retention_period_ns != 0 &&
		ns->batch_min_ns < now_ns - options->retention_period_ns)
		return refuse_time(ns, ns->batch_min_ns, now_ns - options->retention_period_ns,
						   "out of the retention period", err);
	if (options->cold_writes_enabled)
		return M3_OK;
	if (ns->batch_min_ns < past_ns)
		return refuse_time(ns, ns->batch_min_ns, past_ns,
						   "too far in the past for the warm window", err);
	if (ns->batch_max_ns >= future_ns)
		return refuse_time(ns, ns->batch_max_ns, future_ns,
						   "too far in the future for the warm window", err);
	return M3_OK;
}

static bool
is_in_batch(const M3TxnNamespace *ns)
{
	return ns->batch_min_ns <= ns->batch_max_ns;
}

/* Series found in what is not the namespace any more are to be found again. */
static void
forget_refs(M3Txn *txn, uint32_t number)
{
	txn->namespaces[number].ref = 0;
	for (uint32_t s = 0; s < txn->series_count; s++)
	{
		if (txn->series[s].namespace_number != number)
			continue;
		txn->series[s].ref = 0;
		txn->series[s].created = false;
	}
}

/* It has no data, and must not get any meanwhile. */
static M3Status
change_block_size(M3Commit *commit, const M3TxnNamespace *ns, M3Ref *ref, M3Error *err)
{
	M3Database *db = commit->db;
	M3Status	status;

	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = m3i_namespace_ensure(db, m3_slice(ns->name, ns->name_size), &ns->options,
								  &ns->root_options, ref, err);
	db->env->unlock(db->env, m3i_lock_write(db));
	return status;
}

/*
 * Finds a namespace of the batch, or one to be voided or altered.  Only what is
 * written to is made, at once; options of one that exists wait for the publication, unless
 * it is about the block size, which must be right for staging (it has no data then).
 */
static M3Status
resolve_namespace(M3Commit *commit, uint32_t number, M3Error *err)
{
	M3Database *db = commit->db;
	M3TxnNamespace *ns = &commit->txn->namespaces[number];
	M3Slice		name = m3_slice(ns->name, ns->name_size);
	M3Ref		before = ns->ref;
	M3Ref		ref = m3i_namespace_find(db, name);
	M3NamespaceOptions options = {0};
	bool		exists = ref != 0;

	if (exists)
	{
		db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
		options = ((const M3NamespaceShared *) m3_arena_at(db->arena, ref))->options;
		db->env->unlock(db->env, m3i_lock_names(db));
	}
	if (is_in_batch(ns))
	{
		M3_TRY(check_times(ns, commit->now_ns, err));
		M3_TRY(m3i_namespace_check(db, name, &ns->options, &ns->root_options, err));
		if (!exists)
			M3_TRY(m3i_namespace_ensure(db, name, &ns->options, &ns->root_options, &ref, err));
		else if (options.block_size_ns != ns->options.block_size_ns)
			M3_TRY(change_block_size(commit, ns, &ref, err));
	}
	if (before != 0 && before != ref)
		forget_refs(commit->txn, number);
	ns->ref = ref;
	ns->batch_voids = exists && ns->emptied.voided;
	ns->batch_drops = ns->batch_voids && ns->emptied.dropped && !is_in_batch(ns);
	ns->batch_alters = exists && !ns->batch_drops && !m3i_options_equal(&options, &ns->options);
	return M3_OK;
}

static M3Status
resolve_namespaces(M3Commit *commit, M3Error *err)
{
	M3Txn	   *txn = commit->txn;

	commit->is_empty = true;
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];

		ns->batch_voids = false;
		ns->batch_drops = false;
		ns->batch_alters = false;
		if (!is_in_batch(ns) && !ns->emptied.voided && !ns->altered)
			continue;
		M3_TRY(resolve_namespace(commit, i, err));
		commit->logged_count += ns->batch_voids;
		if (is_in_batch(ns) || ns->batch_voids)
			commit->is_empty = false;
	}
	return M3_OK;
}

static M3Status
resolve_series(M3Commit *commit, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	M3Status	status;

	for (uint32_t i = 0; i < txn->series_count; i++)
	{
		M3TxnSeries *series = &txn->series[i];
		M3Ref		namespace_ref = txn->namespaces[series->namespace_number].ref;

		if (!series->in_batch || series->ref != 0)
			continue;
		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			commit->db->env->yield(commit->db->env);
		status = m3i_series_ensure(commit->db, namespace_ref, m3i_txn_series_id(series),
								   m3i_txn_series_tags(series),
								   m3_series_hash(namespace_ref, m3i_txn_series_id(series)),
								   &series->ref, &series->created, err);
		if (status != M3_OK)
		{
			series->ref = 0;
			return status;
		}
	}
	return M3_OK;
}

M3Status
m3i_commit_survey(M3Commit *commit, M3Error *err)
{
	M3_TRY(survey(commit, err));
	M3_TRY(resolve_namespaces(commit, err));
	return resolve_series(commit, err);
}

/* ROOT_NAMES held: they may come back to life meanwhile. */
static bool
namespaces_are_current(M3Commit *commit)
{
	M3Txn	   *txn = commit->txn;
	bool		current = true;

	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];
		const M3NamespaceShared *shared;

		if (ns->ref == 0)
			continue;
		shared = m3_arena_at(commit->db->arena, ns->ref);
		if (shared->dropped)
		{
			current = current && !is_in_batch(ns) && !ns->batch_voids;
			ns->batch_alters = false;
			forget_refs(txn, i);
		}
		else if (is_in_batch(ns) && shared->options.block_size_ns != ns->options.block_size_ns)
			current = false;
	}
	return current;
}

bool
m3i_commit_is_current(M3Commit *commit)
{
	M3Txn	   *txn = commit->txn;
	M3Env	   *env = commit->db->env;
	bool		current;

	env->lock(env, m3i_lock_names(commit->db), M3_LOCK_SHARED);
	current = namespaces_are_current(commit);
	env->unlock(env, m3i_lock_names(commit->db));
	for (uint32_t i = 0; i < txn->series_count; i++)
	{
		M3TxnSeries *series = &txn->series[i];

		if (series->ref != 0 &&
			((M3Series *) m3_arena_at(commit->db->arena, series->ref))->unlinked)
		{
			series->ref = 0;
			series->created = false;
			current = current && !series->in_batch;
		}
	}
	return current;
}

void
m3i_txn_forget_series(M3Txn *txn)
{
	M3Database *db = txn->db;
	bool		locked = false;

	for (uint32_t i = 0; i < txn->series_count; i++)
	{
		M3TxnSeries *series = &txn->series[i];

		if (!series->created)
			continue;
		if (!locked)
		{
			db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
			locked = true;
		}
		if (!((M3Series *) m3_arena_at(db->arena, series->ref))->unlinked)
			(void) m3i_series_unlink_empty(db, series->ref);
		series->created = false;
	}
	if (!locked)
		return;
	/* the transaction may go on and try again: it must not keep them from being freed */
	for (uint32_t i = 0; i < txn->series_count; i++)
		txn->series[i].ref = 0;
	for (uint32_t i = 0; i < txn->namespace_count; i++)
		txn->namespaces[i].ref = 0;
	m3i_txn_renew(db);
	m3i_series_reclaim(db);
	db->env->unlock(db->env, m3i_lock_write(db));
}
