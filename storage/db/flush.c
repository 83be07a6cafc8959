/*
 * Which blocks are flushed to data filesets, and when (spec/engine.md 8.1, 8.4, 8.5, with OURS).
 *
 * Warm, cold and early flushes are the same thing: the settled streams of a block are
 * frozen, merged over the volume there is, written as the next volume, published
 * in the block table, and only then taken out of the buffers.  Points that a snapshot
 * may still not see stay behind.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/db/flush_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A volume is written again when its time has come if that brings in an eighth of it, for less
 * only each tenth time. */
#define COLD_SHARE 8u
#define COLD_PATIENCE 10

typedef struct Flush
{
	M3FlushWork work;
	const M3FlushOptions *options;
	int64_t		now_ns;
	bool		cold_due;		/* blocks with a volume may be written again if that is ... */
	bool		all_cold_due;	/* ... worth it, or in any case */
	M3BucketRefs refs;
	uint64_t	done;			/* groups, for the progress */
	uint64_t	total;
} Flush;

/* --- which groups ------------------------------------------------------- */

/* A stretch of refs, with what it takes of memory. */
typedef struct Candidate
{
	size_t		first;
	size_t		end;
	uint64_t	bytes;
} Candidate;

/* Whether a group's time has come; bytes is what it has in the buffers. */
static bool
is_due(const Flush *f, M3NamespaceShared *ns, const M3NamespaceOptions *options,
	   const M3BucketRef *ref, uint64_t bytes)
{
	M3BlockShared block;

	if (f->options->reason != M3_FLUSH_DUE)
		return true;
	if (ref->start_ns > f->now_ns - options->block_size_ns - options->buffer_past_ns)
		return false;
	return f->all_cold_due ||
		!m3i_blocks_find(f->work.db, ns, ref->shard, ref->start_ns, &block) ||
		(f->cold_due && bytes * COLD_SHARE >= block.data_size);
}

static int
larger_first(const void *left, const void *right)
{
	const Candidate *a = left;
	const Candidate *b = right;

	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

static M3Status
find_candidates(Flush *f, M3NamespaceShared *ns, const M3NamespaceOptions *options,
				Candidate **candidates, size_t *count, M3Error *err)
{
	size_t		capacity = 0;

	*candidates = NULL;
	*count = 0;
	for (size_t i = 0; i < f->refs.count;)
	{
		Candidate	c = {i, m3i_buckets_group_end(&f->refs, i), 0};

		for (; i < c.end; i++)
			c.bytes += f->refs.refs[i].bytes;
		if (!is_due(f, ns, options, &f->refs.refs[c.first], c.bytes))
			continue;
		if (*count == capacity)
		{
			Candidate  *grown;

			capacity = capacity * 2 + 64;
			grown = m3_resize(f->work.db->engine->memory, *candidates, capacity * sizeof(*grown));
			if (grown == NULL)
				return m3_error(err, M3_NO_MEMORY, "out of memory");
			*candidates = grown;
		}
		(*candidates)[(*count)++] = c;
	}
	if (f->options->reason == M3_FLUSH_PRESSURE && *count > 1)
		qsort(*candidates, *count, sizeof(**candidates), larger_first);
	return M3_OK;
}

static bool
is_over(const Flush *f)
{
	M3ArenaStats stats;

	if (f->options->reason == M3_FLUSH_DUE && f->options->stop != NULL)
		return f->options->stop();
	if (f->options->reason != M3_FLUSH_PRESSURE)
		return false;
	m3_arena_stats(f->work.db->arena, f->work.db->env, &stats);
	return stats.pages_used <= f->options->target_used;
}

/* What was logged before start is in files if all was flushed that there was. */
static void
note_flushed(Flush *f, M3NamespaceShared *ns, bool all, uint64_t start_log)
{
	M3Database *db = f->work.db;

	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	if (__atomic_load_n(&ns->block_count, __ATOMIC_RELAXED) == 0)
	{
		ns->unflushed_log = M3_COMMITLOG_NO_INDEX;
		ns->in_snapshot = false;
	}
	else if (all && ns->unflushed_log < start_log)
	{
		ns->unflushed_log = start_log;
		ns->in_snapshot = false;
	}
	db->env->unlock(db->env, m3i_lock_write(db));
}

static M3Status
flush_candidates(Flush *f, M3Ref ref, const M3NamespaceOptions *options,
				 const Candidate *candidates, size_t count, M3Error *err)
{
	M3NamespaceShared *ns = m3_arena_at(f->work.db->arena, ref);
	M3Status	result = M3_OK;

	f->total += count;
	for (size_t i = 0; i < count && !is_over(f); i++)
	{
		const Candidate *c = &candidates[i];
		M3Status	status;

		m3i_job_step(f->work.db, (const char *) ns->name, f->done++, f->total,
					 f->work.result->bytes);
		f->work.db->env->yield(f->work.db->env);
		status = m3i_flush_group(&f->work, ref, &f->refs.refs[c->first], c->end - c->first,
							 options->block_size_ns, result == M3_OK ? err : NULL);
		if (result == M3_OK)
			result = status;
	}
	return result;
}

static bool
may_flush(M3Database *db, M3Ref ref, const M3NamespaceOptions *options)
{
	const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

	/* files of before a TRUNCATE are to go first: the purge removes whatever is there */
	return options->flush_enabled && !m3i_namespace_is_void(db, ref) &&
		__atomic_load_n(&ns->block_count, __ATOMIC_RELAXED) > 0;
}

static M3Status
flush_namespace(Flush *f, M3Ref ref, M3Error *err)
{
	M3Database *db = f->work.db;
	M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
	M3NamespaceOptions options = m3i_namespace_options(db, ref);
	uint64_t	start_log = __atomic_load_n(&db->root->log.active_index, __ATOMIC_ACQUIRE);
	uint64_t	held = f->work.result->held_series;
	Candidate  *candidates = NULL;
	size_t		count = 0;
	M3Status	status = M3_OK;

	if (!may_flush(db, ref, &options))
		return M3_OK;
	M3_GOTO(m3i_buckets_collect(db, ref, m3i_first_retained_ns(&options, f->now_ns), INT64_MAX,
								&f->refs, err));
	M3_GOTO(find_candidates(f, ns, &options, &candidates, &count, err));
	M3_GOTO(flush_candidates(f, ref, &options, candidates, count, err));
	note_flushed(f, ns, f->options->reason == M3_FLUSH_ALL && held == f->work.result->held_series &&
				 start_log != M3_COMMITLOG_NO_INDEX, start_log);
done:
	m3_free(db->engine->memory, candidates);
	return status;
}

static bool
is_wanted(const Flush *f, const M3NamespaceShared *ns)
{
	M3Slice		wanted = f->options->namespace_name;

	return wanted.size == 0 || m3_slice_equal(wanted, m3_slice(ns->name, ns->name_size));
}

static M3Status
flush_all(Flush *f, M3Error *err)
{
	M3Ref	   *refs;
	size_t		count;
	M3Status	result = M3_OK;

	M3_TRY(m3i_namespace_refs(f->work.db, false, &refs, &count, err));
	for (size_t i = 0; i < count && !is_over(f); i++)
	{
		M3Status	status;

		if (!is_wanted(f, m3_arena_at(f->work.db->arena, refs[i])))
			continue;
		status = flush_namespace(f, refs[i], result == M3_OK ? err : NULL);
		if (result == M3_OK)
			result = status;
	}
	m3_free(f->work.db->engine->memory, refs);
	return result;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
run(M3Database *db, const M3FlushOptions *options, M3FlushResult *result, M3Error *err)
{
	M3RootJobs *jobs = &db->root->jobs;
	Flush		f = {
		.work = {.db = db, .result = result},
		.options = options,
		.now_ns = db->env->now_ns(db->env)
	};
	M3Status	status;

	memset(result, 0, sizeof(*result));
	f.cold_due = options->reason == M3_FLUSH_DUE &&
		f.now_ns - jobs->last_cold_flush_ns >= options->cold_interval_ns;
	f.all_cold_due = options->reason == M3_FLUSH_DUE &&
		f.now_ns - jobs->last_full_cold_flush_ns >= COLD_PATIENCE * options->cold_interval_ns;
	m3i_payload_init(&f.work.payload, db);
	m3i_decoding_init(&f.work.decoding, db->engine->memory);
	/* series that are found here are not freed before the end */
	m3i_txn_enter(db);
	status = flush_all(&f, err);
	m3i_txn_leave(db);
	m3i_payload_free(&f.work.payload);
	m3i_decoding_free(&f.work.decoding);
	m3i_buckets_free(db, &f.refs);
	if (f.cold_due)
		jobs->last_cold_flush_ns = f.now_ns;
	if (f.all_cold_due)
		jobs->last_full_cold_flush_ns = f.now_ns;
	return status;
}

M3Status
m3i_flush_loaded(M3Database *db, M3Error *err)
{
	M3FlushOptions options = {.reason = M3_FLUSH_ALL};
	M3FlushResult result;

	return run(db, &options, &result, err);
}

M3Status
m3_flush_run(M3Database *db, const M3FlushOptions *options, M3FlushResult *result, M3Error *err)
{
	M3Error		own_error = {0};
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	M3_TRY(m3i_require_ready(db, err));
	m3i_job_begin(db, M3_JOB_FLUSH);
	status = run(db, options, result, err);
	if (status == M3_OK && result->filesets == 0 && result->points == 0)
		m3i_job_drop(db);
	else
		m3i_job_end(db, M3_JOB_FLUSH, status, err);
	return status;
}
