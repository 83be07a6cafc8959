/*
 * How a transaction's points become a batch (design.md 5).
 *
 *   survey    which series and namespaces have points; times checked; namespaces
 *             registered and series made; all without the root's WRITE lock
 *   build     the group of log chunks, if it is small, also without it
 *   WRITE     number the batch, stage it in the buffers, append its group
 *   sync      wait until the group is durable, after WRITE
 *
 * Staging and appending under one lock make the order of sequence numbers, of
 * buffers and of the log the same, which is what "the last write wins" rests on.
 * Staging comes first, since it can fail and be taken back: nobody
 * has written after it.
 */
#include <string.h>

#include "storage/db/commit_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Larger batches are written to the log while it is locked, piece by piece. */
#define BUILD_AHEAD_MAX_POINTS 200000u

typedef M3Status (*PieceFn) (M3Commit *commit, const M3PendingPoint *points, M3Error *err);

static M3Series *
shared_series(const M3Commit *commit, uint32_t number)
{
	return m3_arena_at(commit->db->arena, commit->txn->series[number].ref);
}

/* --- pieces ------------------------------------------------------------- */

static M3Status
reserve_order(M3Commit *commit, size_t count, M3Error *err)
{
	M3Memory   *memory = commit->txn->memory;

	if (commit->starts == NULL)
		commit->starts = m3_alloc(memory, ((size_t) commit->txn->series_count + 1) *
								  sizeof(uint32_t));
	if (count > commit->order_capacity)
	{
		m3_free(memory, commit->order);
		commit->order = m3_alloc(memory, count * sizeof(uint32_t));
		commit->order_capacity = commit->order == NULL ? 0 : count;
	}
	if (commit->starts == NULL || commit->order == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory to order %zu points", count);
	return M3_OK;
}

/* Leaves out the points that a void of their namespace has taken. */
static M3Status
drop_void_points(M3Commit *commit, uint64_t first, const M3PendingPoint **points,
				 size_t *count, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	size_t		kept = 0;

	if (*count > commit->kept_capacity)
	{
		m3_free(txn->memory, commit->kept);
		commit->kept = m3_alloc(txn->memory, *count * sizeof(*commit->kept));
		commit->kept_capacity = commit->kept == NULL ? 0 : *count;
		if (commit->kept == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", *count);
	}
	for (size_t i = 0; i < *count; i++)
	{
		if (!m3i_txn_point_is_void(txn, &(*points)[i], first + i))
			commit->kept[kept++] = (*points)[i];
	}
	*points = commit->kept;
	*count = kept;
	return M3_OK;
}

/* Calls fn for each piece of the points, in order, with order and starts made. */
static M3Status
for_each_piece(M3Commit *commit, PieceFn first, PieceFn second, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	uint64_t	position = 0;

	for (;;)
	{
		const M3PendingPoint *points;
		uint64_t	before = position;
		size_t		count;

		M3_TRY(m3i_pending_read(txn->pending, &position, &points, &count, err));
		if (count == 0)
			return M3_OK;
		if (txn->void_count > 0)
			M3_TRY(drop_void_points(commit, before, &points, &count, err));
		if (count == 0)
			continue;
		M3_TRY(reserve_order(commit, count, err));
		M3_TRY(m3i_order_points(points, count, txn->series_count, commit->order,
								commit->starts, txn->memory, err));
		M3_TRY(first(commit, points, err));
		if (second != NULL)
			M3_TRY(second(commit, points, err));
	}
}

/* The coarsest unit that is exact, unless the writer asked for a finer one. */
static M3TimeUnit
unit_of(const M3PendingPoint *point)
{
	return point->unit != M3_UNIT_NONE ? (M3TimeUnit) point->unit : m3_unit_of_time(point->time_ns);
}

static M3Status
log_voids(M3Commit *commit, M3Error *err)
{
	const M3Txn *txn = commit->txn;

	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];

		if (ns->batch_voids)
			M3_TRY(m3_log_group_add_void(&commit->group, m3_slice(ns->name, ns->name_size),
										 ns->batch_drops, err));
	}
	return M3_OK;
}

static M3Status
log_series(M3Commit *commit, const M3PendingPoint *points, uint32_t number, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	M3TxnSeries *own = &txn->series[number];
	const M3TxnNamespace *ns = &txn->namespaces[own->namespace_number];
	M3Series   *series = shared_series(commit, number);
	uint64_t	active = m3_commitlog_active_index(commit->log);
	M3LogSeriesMetadata metadata;
	bool		introduce = !own->introduced &&
		__atomic_load_n(&series->metadata_log_index, __ATOMIC_RELAXED) != active + 1;

	if (introduce)
	{
		metadata.id = m3_series_id(series);
		metadata.namespace = m3_slice(ns->name, ns->name_size);
		metadata.shard = series->shard;
		metadata.tags = m3_series_tags(series);
		own->introduced = true;
	}
	for (uint32_t i = commit->starts[number]; i < commit->starts[number + 1]; i++)
	{
		const M3PendingPoint *point = &points[commit->order[i]];

		M3_TRY(m3_log_group_add(&commit->group,
								__atomic_load_n(&series->unique_index, __ATOMIC_RELAXED),
								point->time_ns,
								point->value, unit_of(point),
								m3i_pending_annotation(txn->pending, point),
								introduce ? &metadata : NULL, err));
		introduce = false;
	}
	return M3_OK;
}

static M3Status
log_piece(M3Commit *commit, const M3PendingPoint *points, M3Error *err)
{
	const M3Txn *txn = commit->txn;

	for (uint32_t s = 0; s < txn->series_count; s++)
	{
		if (commit->starts[s] != commit->starts[s + 1] &&
			txn->namespaces[txn->series[s].namespace_number].options.writes_to_commitlog)
			M3_TRY(log_series(commit, points, s, err));
	}
	return M3_OK;
}

static M3Status
stage_series(M3Commit *commit, const M3PendingPoint *points, uint32_t number, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	M3Database *db = commit->db;
	M3TxnNamespace *ns = &txn->namespaces[txn->series[number].namespace_number];
	M3Series   *series = shared_series(commit, number);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	uint32_t	end = commit->starts[number + 1];
	int64_t		block_size_ns = ns->options.block_size_ns;
	int64_t		block_start_ns = 0;
	int64_t		block_end_ns = INT64_MIN;
	M3Status	status = M3_OK;

	db->env->lock(db->env, lock, M3_LOCK_EXCLUSIVE);
	for (uint32_t i = commit->starts[number]; i < end && status == M3_OK; i++)
	{
		const M3PendingPoint *own = &points[commit->order[i]];
		M3Point		point = {
			.time_ns = own->time_ns,
			.value = own->value,
			.unit = unit_of(own),
			.annotation = m3i_pending_annotation(txn->pending, own)
		};

		if (i + 1 < end && points[commit->order[i + 1]].time_ns == own->time_ns)
			continue;			/* replaced within the transaction */
		if (own->time_ns >= block_end_ns)
		{
			block_start_ns = m3_block_start(own->time_ns, block_size_ns);
			block_end_ns = block_start_ns + block_size_ns;
		}
		status = m3_series_write(db->arena, db->env, series, block_start_ns, &point,
								 txn->sequence, ns->horizon, txn->memory, &ns->effect, err);
	}
	db->env->unlock(db->env, lock);
	return status;
}

static M3Status
stage_piece(M3Commit *commit, const M3PendingPoint *points, M3Error *err)
{
	for (uint32_t s = 0; s < commit->txn->series_count; s++)
	{
		if (commit->starts[s] != commit->starts[s + 1])
			M3_TRY(stage_series(commit, points, s, err));
	}
	return M3_OK;
}

/* --- under the root's WRITE lock ---------------------------------------- */

static bool
fits_ahead(const M3Commit *commit)
{
	return m3i_pending_count(commit->txn->pending) <= BUILD_AHEAD_MAX_POINTS;
}

static M3Status
build(M3Commit *commit, M3Slice *bytes, M3Error *err)
{
	for (uint32_t s = 0; s < commit->txn->series_count; s++)
		commit->txn->series[s].introduced = false;
	M3_TRY(m3_log_group_begin(&commit->group, commit->options->full_xid, commit->now_ns, err));
	M3_TRY(log_voids(commit, err));
	M3_TRY(for_each_piece(commit, log_piece, NULL, err));
	return m3_log_group_finish(&commit->group, bytes, err);
}

/* Stages and logs piece by piece, each read and ordered once. */
static M3Status
stage_and_stream(M3Commit *commit, M3LogPosition *position, M3Error *err)
{
	M3Status	status;
	M3Slice		none;

	M3_TRY(m3_commitlog_stream_begin(commit->log, err));
	status = m3_log_group_begin_stream(&commit->group, commit->options->full_xid,
									   commit->now_ns, commit->logged_count,
									   m3_commitlog_stream_sink, commit->log, err);
	if (status == M3_OK)
		status = log_voids(commit, err);
	if (status == M3_OK)
		status = for_each_piece(commit, stage_piece, log_piece, err);
	if (status == M3_OK)
		status = m3_log_group_finish(&commit->group, &none, err);
	if (status == M3_OK)
		status = m3_commitlog_stream_finish(commit->log, commit->logged_count, position, err);
	if (status != M3_OK)
		m3_commitlog_stream_rewind(commit->log);
	return status;
}

static M3Status
stage_and_log(M3Commit *commit, M3Slice *bytes, uint64_t built_for, M3LogPosition *position,
			  M3Error *err)
{
	if (commit->logged_count == 0)
		return for_each_piece(commit, stage_piece, NULL, err);
	if (!fits_ahead(commit))
		return stage_and_stream(commit, position, err);
	if (built_for != m3_commitlog_active_index(commit->log))
		M3_TRY(build(commit, bytes, err));
	M3_TRY(for_each_piece(commit, stage_piece, NULL, err));
	return m3_commitlog_append(commit->log, *bytes, commit->logged_count, position, err);
}

/* ROOT_WRITE held. */
static void
note_unflushed(const M3Txn *txn, const M3TxnNamespace *ns)
{
	M3NamespaceShared *shared = m3_arena_at(txn->db->arena, ns->ref);

	if (shared->unflushed_log == M3_COMMITLOG_NO_INDEX)
		shared->unflushed_log = txn->log_index;
}

static void
note_logged(M3Commit *commit, const M3LogPosition *position)
{
	M3Txn	   *txn = commit->txn;

	txn->logged = true;
	txn->log_index = position->log_index;
	txn->log_offset = position->offset;
	__atomic_store_n(&m3i_slot(commit->db)->batch_log_index, position->log_index,
					 __ATOMIC_RELAXED);
	for (uint32_t s = 0; s < txn->series_count; s++)
	{
		if (txn->series[s].introduced)
			__atomic_store_n(&shared_series(commit, s)->metadata_log_index,
							 position->log_index + 1, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];

		if (ns->batch_min_ns <= ns->batch_max_ns && ns->options.writes_to_commitlog)
			note_unflushed(txn, ns);
	}
}

/* What remains of a batch that was taken back. */
static void
count_merges(M3Txn *txn)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];

		ns->effect.points = 0;
		ns->effect.bytes = 0;
		if (ns->ref != 0)
			m3i_namespace_count_write(txn->db, m3_arena_at(txn->db->arena, ns->ref), &ns->effect,
									  INT64_MAX, INT64_MIN);
		memset(&ns->effect, 0, sizeof(ns->effect));
	}
}

/*
 * From here until the batch is published, or given up, what is settled of the namespaces it
 * voids may go: nobody may leave out a point because the same is there already, nor
 * the batch itself.  ROOT_WRITE held.
 */
static void
announce_voids(M3Commit *commit)
{
	M3Txn	   *txn = commit->txn;

	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];
		M3NamespaceShared *shared = ns->ref == 0 ? NULL : m3_arena_at(txn->db->arena, ns->ref);

		if (shared == NULL)
			continue;
		shared->voids_pending += ns->batch_voids;
		ns->horizon = shared->voids_pending > 0 ? 0 : commit->horizon;
	}
}

static void
count_batch(M3Txn *txn)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		M3TxnNamespace *ns = &txn->namespaces[i];

		if (ns->batch_min_ns <= ns->batch_max_ns)
			m3i_batch_count(txn, ns, &ns->effect);
	}
}

static M3Status
commit_locked(M3Commit *commit, M3Slice *bytes, uint64_t built_for, M3LogPosition *position,
			  M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	M3Status	status;

	if (commit->logged_count > 0)
		M3_TRY(m3i_log_ready(commit->db, commit->log, err));
	txn->sequence = m3i_batch_start(commit->db);
	commit->horizon = m3i_horizon(commit->db);
	announce_voids(commit);
	status = stage_and_log(commit, bytes, built_for, position, err);
	if (status != M3_OK)
	{
		m3i_batch_for_each_series(txn, true);
		m3i_batch_retract_voids(txn);
		m3i_batch_end(commit->db);
		count_merges(txn);
		return status;
	}
	txn->staged = true;
	txn->logged = false;
	if (commit->logged_count > 0)
		note_logged(commit, position);
	count_batch(txn);
	return M3_OK;
}

/* Survey, build, commit; false in *done if a namespace or series has gone meanwhile. */
static M3Status
attempt(M3Commit *commit, M3LogPosition *position, bool *done, M3Error *err)
{
	M3Env	   *env = commit->db->env;
	M3Slice		bytes = m3_slice(NULL, 0);
	uint64_t	built_for;
	M3Status	status = M3_OK;

	M3_TRY(m3i_commit_survey(commit, err));
	if (commit->is_empty)
	{
		commit->txn->sequence = 0;
		commit->txn->staged = true;
		commit->txn->logged = false;
		*done = true;
		return M3_OK;
	}
	M3_TRY(m3i_log_handle(commit->db, &commit->log, err));
	built_for = m3_commitlog_active_index(commit->log);
	if (commit->logged_count > 0 && fits_ahead(commit))
		M3_TRY(build(commit, &bytes, err));

	env->lock(env, m3i_lock_write(commit->db), M3_LOCK_EXCLUSIVE);
	m3i_series_reclaim(commit->db);
	*done = m3i_commit_is_current(commit);
	if (*done)
		status = commit_locked(commit, &bytes, built_for, position, err);
	env->unlock(env, m3i_lock_write(commit->db));
	return status;
}

static M3Status
run(M3Commit *commit, M3Error *err)
{
	M3Txn	   *txn = commit->txn;
	M3LogPosition position = {0};
	M3Status	status;
	bool		done = false;

	while (!done)
		M3_TRY(attempt(commit, &position, &done, err));

	if (txn->logged && commit->options->synchronous)
	{
		status = m3_commitlog_sync(commit->log, position.lsn, err);
		if (status != M3_OK)
		{
			(void) m3_txn_abort(txn);
			return status;
		}
	}
	return M3_OK;
}

M3Status
m3_txn_prepare(M3Txn *txn, const M3CommitOptions *options, M3Error *err)
{
	M3Commit	commit = {.txn = txn, .db = txn->db, .options = options};
	M3Status	status;

	if (txn->staged)
		return m3_error(err, M3_INVALID, "the batch is prepared already");
	if (!m3_txn_has_work(txn))
		return M3_OK;
	M3_TRY(m3i_require_ready(txn->db, err));
	commit.now_ns = txn->db->env->now_ns(txn->db->env);
	txn->synchronous = options->synchronous;
	m3_log_group_init(&commit.group, txn->memory);
	status = run(&commit, err);
	if (status != M3_OK)
		m3i_txn_forget_series(txn);
	m3_log_group_free(&commit.group);
	m3_free(txn->memory, commit.order);
	m3_free(txn->memory, commit.starts);
	m3_free(txn->memory, commit.kept);
	return status;
}
