/*
 * Flushing: buffers to data filesets (spec/engine.md 8.1, 8.4, 8.5, with OURS).
 *
 * Warm, cold and early flushes are the same thing: the settled streams of a block are
 * frozen, merged over the volume there is, written as the next volume, published
 * in the block table, and only then taken out of the buffers.  Points that a snapshot
 * may still not see stay behind.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db/jobs_private.h"
#include "storage/fileset/list.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/writer.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series written between two looks for an interrupt. */
#define YIELD_EVERY 256u
#define NO_VOLUME INT64_C(-1)

/* A volume is written again when its time has come if that brings in an eighth of it, for less
 * only each tenth time. */
#define COLD_SHARE 8u
#define COLD_PATIENCE 10

/* A fileset that already has the id, complete, is passed over so often. */
#define MAX_VOLUME_TRIES 3

typedef struct Flush
{
	M3Database *db;
	const M3FlushOptions *options;
	M3FlushResult *result;
	int64_t		now_ns;
	bool		cold_due;		/* blocks with a volume may be written again if that is ... */
	bool		all_cold_due;	/* ... worth it, or in any case */
	M3Payload	payload;
	M3BucketRefs refs;
	uint64_t	done;			/* groups, for the progress */
	uint64_t	total;
} Flush;

/* One (shard, block) at work. */
typedef struct Group
{
	M3NamespaceShared *ns;
	const M3BucketRef *refs;
	size_t		count;
	int64_t		block_size_ns;
	uint64_t	generation;
	bool		has_volume;
	M3BlockShared before;		/* if it has */
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetReader *reader;	/* of the volume before */
	M3FilesetScan *scan;
	bool		has_entry;		/* entry is the next of the scan */
	M3FilesetEntry entry;
	M3FilesetWriter *writer;
	int64_t		volume;
} Group;

static M3Series *
series_of(const Flush *f, const M3BucketRef *ref)
{
	return m3_arena_at(f->db->arena, ref->series);
}

/* --- freezing and evicting ---------------------------------------------- */

typedef enum StripeAction
{
	FREEZE,
	THAW,
	EVICT,
	EXTEND						/* the series will be on disk in this block */
} StripeAction;

/* Does something to the bucket of a ref under its stripe's lock; the streams frozen. */
static uint32_t
under_stripe(Flush *f, const M3BucketRef *ref, StripeAction action, uint64_t horizon,
			 M3WriteEffect *effect)
{
	M3Env	   *env = f->db->env;
	M3Arena    *arena = f->db->arena;
	M3Series   *series = series_of(f, ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	uint32_t	frozen = 0;

	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	switch (action)
	{
		case FREEZE:
			frozen = m3_series_freeze(arena, series, ref->start_ns, horizon);
			break;
		case THAW:
			m3_series_thaw(arena, series, ref->start_ns);
			break;
		case EVICT:
			m3_series_evict(arena, env, series, ref->start_ns, effect);
			break;
		case EXTEND:
			if (ref->start_ns < series->first_file_ns)
				series->first_file_ns = ref->start_ns;
			if (ref->start_ns > series->last_file_ns)
				series->last_file_ns = ref->start_ns;
			break;
	}
	env->unlock(env, lock);
	return frozen;
}

/* The number of series with something to flush. */
static size_t
freeze_group(Flush *f, const Group *g)
{
	uint64_t	horizon = m3i_horizon(f->db);
	size_t		frozen = 0;

	for (size_t i = 0; i < g->count; i++)
	{
		if (under_stripe(f, &g->refs[i], FREEZE, horizon, NULL) > 0)
			frozen++;
		else
			f->result->held_series++;
	}
	return frozen;
}

static void
thaw_group(Flush *f, const Group *g)
{
	for (size_t i = 0; i < g->count; i++)
		(void) under_stripe(f, &g->refs[i], THAW, 0, NULL);
}

static void
evict_group(Flush *f, const Group *g)
{
	M3WriteEffect effect = {0};

	for (size_t i = 0; i < g->count; i++)
		(void) under_stripe(f, &g->refs[i], EVICT, 0, &effect);
	m3i_namespace_count_write(f->db, g->ns, &effect, INT64_MAX, INT64_MIN);
	f->result->points += (uint64_t) -(effect.points + effect.merged_points);
}

/* --- the files ---------------------------------------------------------- */

static M3Status
open_before(const Flush *f, Group *g, M3Error *err)
{
	M3FilesetName name = {g->before.start_ns, g->before.volume, false};
	M3Memory   *memory = f->db->engine->memory;

	if (!g->has_volume)
		return M3_OK;
	M3_TRY(m3_fileset_reader_open(f->db->env, memory, g->directory, &name, NULL, &g->reader, err));
	return m3_fileset_scan_open(g->reader, M3_FILESET_BY_ID, &g->scan, err);
}

/* The volume to write: the one after that in the table, or, if leftovers of it are complete,
 * one above all there are. */
static M3Status
create_writer(const Flush *f, Group *g, M3Error *err)
{
	M3FilesetWriterOptions options = {
		.directory = g->directory,
		.block_start_ns = g->refs[0].start_ns,
		.block_size_ns = g->block_size_ns,
		.volume = g->has_volume ? g->before.volume + 1 : 0,
		.sorted = true
	};
	M3Memory   *memory = f->db->engine->memory;
	M3FilesetList list;
	M3Status	status;

	for (int i = 0;; i++)
	{
		status = m3_fileset_writer_create(f->db->env, memory, &options, &g->writer, err);
		g->volume = options.volume;
		if (status != M3_CONFLICT || i == MAX_VOLUME_TRIES)
			return status;
		M3_TRY(m3_fileset_list(f->db->env, memory, g->directory, &list, err));
		status = m3_fileset_next_volume(f->db->env, g->directory, &list, options.block_start_ns,
										&options.volume, err);
		m3_fileset_list_free(&list);
		M3_TRY(status);
	}
}

static M3Status
next_entry(Group *g, M3Error *err)
{
	M3Status	status = g->scan == NULL ? M3_NOT_FOUND :
		m3_fileset_scan_next(g->scan, &g->entry, err);

	g->has_entry = status == M3_OK;
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* A series that only the volume before has. */
static M3Status
copy_entry(Group *g, M3Error *err)
{
	M3Slice		payload;

	M3_TRY(m3_fileset_reader_data(g->reader, &g->entry, &payload, err));
	return m3_fileset_writer_add(g->writer, g->entry.id, g->entry.tags, &payload, 1, err);
}

/* A series of the buffers, which the volume before may have as well. */
static M3Status
write_series(Flush *f, Group *g, const M3BucketRef *ref, M3Error *err)
{
	const M3Series *series = series_of(f, ref);
	M3Slice		older = m3_slice(NULL, 0);
	M3Slice		bytes;
	bool		in_both = g->has_entry && m3_slice_equal(g->entry.id, m3_series_id(series));

	if (in_both)
		M3_TRY(m3_fileset_reader_data(g->reader, &g->entry, &older, err));
	M3_TRY(m3i_payload_make(&f->payload, ref, true, NULL, NULL, older, &bytes, err));
	if (bytes.size > 0)
	{
		(void) under_stripe(f, ref, EXTEND, 0, NULL);
		M3_TRY(m3_fileset_writer_add(g->writer, m3_series_id(series), m3_series_tags(series),
									 &bytes, 1, err));
		f->result->series++;
	}
	return in_both ? next_entry(g, err) : M3_OK;
}

/* Both sides ascend by id. */
static M3Status
write_group(Flush *f, Group *g, M3Error *err)
{
	size_t		at = 0;

	M3_TRY(next_entry(g, err));
	for (uint64_t n = 1; at < g->count || g->has_entry; n++)
	{
		/* what a jump leaves is an unfinished fileset, and streams frozen for nothing */
		if (n % YIELD_EVERY == 0)
			f->db->env->yield(f->db->env);
		if (at == g->count ||
			(g->has_entry && m3_slice_compare(g->entry.id,
											  m3_series_id(series_of(f, &g->refs[at]))) < 0))
		{
			M3_TRY(copy_entry(g, err));
			M3_TRY(next_entry(g, err));
		}
		else
			M3_TRY(write_series(f, g, &g->refs[at++], err));
	}
	return m3_fileset_writer_finish(g->writer, err);
}

/* Makes the volume count, on disk and then for readers. */
static M3Status
publish_group(Flush *f, Group *g, M3Error *err)
{
	const uint64_t *sizes = m3_fileset_writer_sizes(g->writer);
	M3BlockShared block = {
		.start_ns = g->refs[0].start_ns,
		.volume = g->volume,
		.data_size = sizes[M3_FILESET_DATA],
		.index_size = sizes[M3_FILESET_INDEX],
		.series_count = m3_fileset_writer_count(g->writer)
	};
	M3FilesetName name = {block.start_ns, block.volume, false};

	/* all frozen points were dead: nothing to write, all to evict */
	if (block.series_count == 0)
		return M3_OK;
	M3_TRY(m3_fileset_writer_publish(g->writer, err));
	if (!m3i_blocks_put(f->db, g->ns, g->refs[0].shard, &block, g->generation))
		return m3_fileset_remove(f->db->env, g->directory, &name, 1, err);
	f->result->filesets++;
	f->result->cold_filesets += g->has_volume;
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
		f->result->bytes += sizes[i];
	return M3_OK;
}

static M3Status
run_group(Flush *f, Group *g, M3Error *err)
{
	M3Database *db = f->db;
	M3Slice		name = m3_slice(g->ns->name, g->ns->name_size);
	M3Status	status = M3_OK;

	M3_GOTO(m3_fileset_shard_directory(g->directory, db->path, M3_FILESET_KIND_DATA, name,
									   g->refs[0].shard, err));
	M3_GOTO(m3i_blocks_reserve(db, g->ns, g->refs[0].shard, err));
	M3_GOTO(open_before(f, g, err));
	M3_GOTO(create_writer(f, g, err));
	M3_GOTO(write_group(f, g, err));
	M3_GOTO(publish_group(f, g, err));
done:
	m3_fileset_scan_close(g->scan);
	m3_fileset_reader_close(g->reader);
	m3_fileset_writer_free(g->writer);
	return status;
}

static M3Status
flush_group(Flush *f, M3Ref namespace_ref, const M3BucketRef *refs, size_t count,
			int64_t block_size_ns, M3Error *err)
{
	M3NamespaceShared *ns = m3_arena_at(f->db->arena, namespace_ref);
	Group		g = {.ns = ns, .refs = refs, .count = count, .block_size_ns = block_size_ns};
	M3Status	status;

	g.generation = m3i_generation(ns);
	g.has_volume = m3i_blocks_find(f->db, ns, refs[0].shard, refs[0].start_ns, &g.before);
	if (freeze_group(f, &g) == 0)
		return M3_OK;
	status = run_group(f, &g, err);
	if (status == M3_OK)
		evict_group(f, &g);
	else
		thaw_group(f, &g);
	return status;
}

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
		!m3i_blocks_find(f->db, ns, ref->shard, ref->start_ns, &block) ||
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
			grown = m3_resize(f->db->engine->memory, *candidates, capacity * sizeof(*grown));
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
	m3_arena_stats(f->db->arena, f->db->env, &stats);
	return stats.pages_used <= f->options->target_used;
}

/* What was logged before start is in files if all was flushed that there was. */
static void
note_flushed(Flush *f, M3NamespaceShared *ns, bool all, uint64_t start_log)
{
	M3Database *db = f->db;

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
	M3NamespaceShared *ns = m3_arena_at(f->db->arena, ref);
	M3Status	result = M3_OK;

	f->total += count;
	for (size_t i = 0; i < count && !is_over(f); i++)
	{
		const Candidate *c = &candidates[i];
		M3Status	status;

		m3i_job_step(f->db, (const char *) ns->name, f->done++, f->total, f->result->bytes);
		f->db->env->yield(f->db->env);
		status = flush_group(f, ref, &f->refs.refs[c->first], c->end - c->first,
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
	M3Database *db = f->db;
	M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
	M3NamespaceOptions options = m3i_namespace_options(db, ref);
	uint64_t	start_log = __atomic_load_n(&db->root->log.active_index, __ATOMIC_ACQUIRE);
	uint64_t	held = f->result->held_series;
	Candidate  *candidates = NULL;
	size_t		count = 0;
	M3Status	status = M3_OK;

	if (!may_flush(db, ref, &options))
		return M3_OK;
	M3_GOTO(m3i_buckets_collect(db, ref, m3i_first_retained_ns(&options, f->now_ns), INT64_MAX,
								&f->refs, err));
	M3_GOTO(find_candidates(f, ns, &options, &candidates, &count, err));
	M3_GOTO(flush_candidates(f, ref, &options, candidates, count, err));
	note_flushed(f, ns, f->options->reason == M3_FLUSH_ALL && held == f->result->held_series &&
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

	M3_TRY(m3i_namespace_refs(f->db, false, &refs, &count, err));
	for (size_t i = 0; i < count && !is_over(f); i++)
	{
		M3Status	status;

		if (!is_wanted(f, m3_arena_at(f->db->arena, refs[i])))
			continue;
		status = flush_namespace(f, refs[i], result == M3_OK ? err : NULL);
		if (result == M3_OK)
			result = status;
	}
	m3_free(f->db->engine->memory, refs);
	return result;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
run(M3Database *db, const M3FlushOptions *options, M3FlushResult *result, M3Error *err)
{
	M3RootJobs *jobs = &db->root->jobs;
	Flush		f = {
		.db = db,
		.options = options,
		.result = result,
		.now_ns = db->env->now_ns(db->env)
	};
	M3Status	status;

	memset(result, 0, sizeof(*result));
	f.cold_due = options->reason == M3_FLUSH_DUE &&
		f.now_ns - jobs->last_cold_flush_ns >= options->cold_interval_ns;
	f.all_cold_due = options->reason == M3_FLUSH_DUE &&
		f.now_ns - jobs->last_full_cold_flush_ns >= COLD_PATIENCE * options->cold_interval_ns;
	m3i_payload_init(&f.payload, db);
	/* series that are found here are not freed before the end */
	m3i_txn_enter(db);
	status = flush_all(&f, err);
	m3i_txn_leave(db);
	m3i_payload_free(&f.payload);
	m3i_buckets_free(db, &f.refs);
	if (f.cold_due)
		jobs->last_cold_flush_ns = f.now_ns;
	if (f.all_cold_due)
		jobs->last_full_cold_flush_ns = f.now_ns;
	__atomic_fetch_add(&jobs->filesets_written, result->filesets, __ATOMIC_RELAXED);
	__atomic_fetch_add(&jobs->fileset_bytes_written, result->bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&jobs->points_flushed, result->points, __ATOMIC_RELAXED);
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
