/*
 * One fileset of a flush: a block of a shard, from buffers to disk.
 *
 *   freeze    the settled streams of each series
 *   write     merged over the volume there is, as the next one, with its statistics
 *   publish   the files, then the block table
 *   evict     what was frozen; or thaw it, if anything failed
 */
#include <string.h>

#include "storage/db/flush_private.h"
#include "storage/fileset/list.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/writer.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series written between two looks for an interrupt. */
#define YIELD_EVERY 256u

/* A fileset that already has the id, complete, is passed over so often. */
#define MAX_VOLUME_TRIES 3

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
	M3FlushStatistics statistics;
} Group;

static M3Series *
series_of(const M3FlushWork *f, const M3BucketRef *ref)
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
under_stripe(M3FlushWork *f, const M3BucketRef *ref, StripeAction action, uint64_t horizon,
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
freeze_group(M3FlushWork *f, const Group *g)
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
thaw_group(M3FlushWork *f, const Group *g)
{
	for (size_t i = 0; i < g->count; i++)
		(void) under_stripe(f, &g->refs[i], THAW, 0, NULL);
}

static void
evict_group(M3FlushWork *f, const Group *g)
{
	M3WriteEffect effect = {0};

	for (size_t i = 0; i < g->count; i++)
		(void) under_stripe(f, &g->refs[i], EVICT, 0, &effect);
	m3i_namespace_count_write(f->db, g->ns, &effect, INT64_MAX, INT64_MIN);
	f->result->points += (uint64_t) -(effect.points + effect.merged_points);
}

/* --- the files ---------------------------------------------------------- */

static M3Status
open_before(const M3FlushWork *f, Group *g, M3Error *err)
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
create_writer(const M3FlushWork *f, Group *g, M3Error *err)
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

static void
begin_statistics(M3FlushWork *f, Group *g)
{
	M3FilesetName name = {g->refs[0].start_ns, g->volume, false};
	M3FilesetName before = {g->before.start_ns, g->before.volume, false};

	m3i_flush_statistics_begin(&g->statistics, f->db, &f->decoding, g->directory, &name,
							   g->block_size_ns, &before, g->reader);
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
	M3_TRY(m3_fileset_writer_add(g->writer, g->entry.id, g->entry.tags, &payload, 1, err));
	m3i_flush_statistics_carry(&g->statistics, payload, &g->entry);
	return M3_OK;
}

/* A series of the buffers, which the volume before may have as well. */
static M3Status
write_series(M3FlushWork *f, Group *g, const M3BucketRef *ref, M3Error *err)
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
		m3i_flush_statistics_add(&g->statistics, bytes,
								 f->payload.has_points ? &f->payload.points : NULL);
		f->result->series++;
	}
	return in_both ? next_entry(g, err) : M3_OK;
}

/* Both sides ascend by id. */
static M3Status
write_group(M3FlushWork *f, Group *g, M3Error *err)
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
	M3_TRY(m3_fileset_writer_finish(g->writer, err));
	m3i_flush_statistics_finish(&g->statistics, m3_fileset_writer_header(g->writer));
	return M3_OK;
}

/* Makes the volume count, on disk and then for readers. */
static M3Status
publish_group(M3FlushWork *f, Group *g, M3Error *err)
{
	const uint64_t *sizes = m3_fileset_writer_sizes(g->writer);
	M3BlockShared block = {
		.start_ns = g->refs[0].start_ns,
		.volume = g->volume,
		.data_size = sizes[M3_FILESET_DATA],
		.index_size = sizes[M3_FILESET_INDEX],
		.series_count = m3_fileset_writer_count(g->writer),
		.points = g->statistics.is_exact ? g->statistics.points : M3_POINTS_UNKNOWN
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
	f->result->bytes += g->statistics.size;
	return M3_OK;
}

static M3Status
run_group(M3FlushWork *f, Group *g, M3Error *err)
{
	M3Database *db = f->db;
	M3Slice		name = m3_slice(g->ns->name, g->ns->name_size);
	M3Status	status = M3_OK;

	M3_GOTO(m3_fileset_shard_directory(g->directory, db->path, M3_FILESET_KIND_DATA, name,
									   g->refs[0].shard, err));
	M3_GOTO(m3i_blocks_reserve(db, g->ns, g->refs[0].shard, err));
	M3_GOTO(open_before(f, g, err));
	M3_GOTO(create_writer(f, g, err));
	begin_statistics(f, g);
	M3_GOTO(write_group(f, g, err));
	M3_GOTO(publish_group(f, g, err));
done:
	m3i_flush_statistics_end(&g->statistics);
	m3_fileset_scan_close(g->scan);
	m3_fileset_reader_close(g->reader);
	m3_fileset_writer_free(g->writer);
	return status;
}

M3Status
m3i_flush_group(M3FlushWork *f, M3Ref namespace_ref, const M3BucketRef *refs, size_t count,
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
