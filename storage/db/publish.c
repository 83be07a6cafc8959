/*
 * What becomes of a batch that is staged and logged: published or taken back.
 *
 *   publish   void and alter namespaces, under WRITE and only if it must; then let
 *             everybody see the points
 *   abort     kill the points, log an ABORT marker
 */
#include "storage/db/commit_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Dead points are not counted, though they take room until a merge. */
static void
uncount(M3Database *db, const M3Series *series, uint64_t points)
{
	M3NamespaceShared *ns = m3_arena_at(db->arena, series->namespace_ref);

	__atomic_fetch_sub(&ns->point_count, points, __ATOMIC_RELAXED);
}

void
m3i_batch_for_each_series(M3Txn *txn, bool take_back)
{
	M3Database *db = txn->db;

	for (uint32_t s = 0; s < txn->series_count; s++)
	{
		M3Series   *series;
		uint32_t	lock;

		if (!txn->series[s].in_batch || txn->series[s].ref == 0)
			continue;
		series = m3_arena_at(db->arena, txn->series[s].ref);
		lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
		db->env->lock(db->env, lock, M3_LOCK_EXCLUSIVE);
		if (take_back)
			(void) m3_series_take_back(db->arena, db->env, series, txn->sequence,
									   txn->memory, NULL);
		else
			uncount(db, series, m3_series_kill(db->arena, series, txn->sequence));
		db->env->unlock(db->env, lock);
	}
}

void
m3i_batch_retract_voids(M3Txn *txn)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];

		if (ns->batch_voids)
			((M3NamespaceShared *) m3_arena_at(txn->db->arena, ns->ref))->voids_pending--;
	}
}

void
m3i_batch_count(M3Txn *txn, const M3TxnNamespace *ns, const M3WriteEffect *effect)
{
	int64_t		size = ns->options.block_size_ns;

	m3i_namespace_count_write(txn->db, m3_arena_at(txn->db->arena, ns->ref), effect,
							  m3_block_start(ns->batch_min_ns, size),
							  m3_block_start(ns->batch_max_ns, size) + size);
}

/* Whether the batch changes namespaces, not only what is in them. */
static bool
changes_namespaces(const M3Txn *txn, bool voids_only)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		if (txn->namespaces[i].batch_voids ||
			(txn->namespaces[i].batch_alters && !voids_only))
			return true;
	}
	return false;
}

/* ROOT_WRITE held exclusive. */
static void
void_namespace(M3Txn *txn, const M3TxnNamespace *ns, bool is_dropped)
{
	static const M3WriteEffect nothing;
	M3NamespaceShared *shared = m3_arena_at(txn->db->arena, ns->ref);
	M3LogPlace	place = {txn->log_index, txn->log_offset};

	/* groups are not published in their order: a later void may be done already */
	if (m3i_place_before(place, shared->purge))
		place = shared->purge;
	m3i_namespace_void(txn->db, ns->ref, txn->sequence, place, ns->batch_drops || is_dropped);
	/* what is in the buffers now is of this batch, or of later ones */
	if (ns->batch_min_ns <= ns->batch_max_ns)
		m3i_batch_count(txn, ns, &nothing);
	if (m3i_namespace_has_data(txn->db, ns->ref))
		shared->unflushed_log = txn->log_index;
}

static void
change_namespaces(M3Txn *txn)
{
	M3Database *db = txn->db;
	M3Env	   *env = db->env;

	env->lock(env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];
		bool		is_dropped;

		if (!ns->batch_voids && !ns->batch_alters)
			continue;
		env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
		is_dropped = ((const M3NamespaceShared *) m3_arena_at(db->arena, ns->ref))->dropped;
		env->unlock(env, m3i_lock_names(db));
		if (ns->batch_voids)
			void_namespace(txn, ns, is_dropped);
		if (ns->batch_alters && !is_dropped)
			m3i_namespace_alter(db, ns->ref, &ns->options);
	}
	m3i_batch_retract_voids(txn);
	env->unlock(env, m3i_lock_write(db));
}

void
m3_txn_publish(M3Txn *txn)
{
	if (!txn->staged)
		return;
	/* first, so that nobody sees the batch beside what it takes away */
	if (changes_namespaces(txn, false))
		change_namespaces(txn);
	if (txn->sequence != 0)
	{
		m3i_batch_end(txn->db);
		__atomic_fetch_add(&txn->db->root->batches_committed, 1, __ATOMIC_RELAXED);
	}
	txn->staged = false;
	for (uint32_t s = 0; s < txn->series_count; s++)
		txn->series[s].created = false;
}

/* Tells a later bootstrap that the group did not commit. */
static bool
log_abort(M3Txn *txn)
{
	M3Database *db = txn->db;
	M3Env	   *env = db->env;
	M3LogMarker marker = {.kind = M3_LOG_MARKER_ABORT, .log_index = txn->log_index,
	.offset = txn->log_offset};
	uint64_t	lsn;
	M3CommitLog *log;
	M3Status	status;

	if (m3i_log_handle(db, &log, NULL) != M3_OK)
		return false;
	env->lock(env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = m3i_log_marker(db, log, &marker, &lsn, NULL);
	env->unlock(env, m3i_lock_write(db));
	if (status == M3_OK && txn->synchronous)
		status = m3_commitlog_sync(log, lsn, NULL);
	return status == M3_OK;
}

bool
m3_txn_abort(M3Txn *txn)
{
	M3Env	   *env = txn->db->env;
	bool		logged = true;

	if (!txn->staged)
		return true;
	if (txn->sequence == 0)
	{
		txn->staged = false;
		return true;
	}
	m3i_batch_for_each_series(txn, false);
	if (changes_namespaces(txn, true))
	{
		env->lock(env, m3i_lock_write(txn->db), M3_LOCK_EXCLUSIVE);
		m3i_batch_retract_voids(txn);
		env->unlock(env, m3i_lock_write(txn->db));
	}
	if (txn->logged)
		logged = log_abort(txn);
	m3i_batch_end(txn->db);
	__atomic_fetch_add(&txn->db->root->batches_aborted, 1, __ATOMIC_RELAXED);
	txn->staged = false;
	return logged;
}
