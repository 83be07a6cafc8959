/*
 * What a root holds, for views: its blocks and its series.
 */
#include <string.h>

#include "storage/db/jobs_private.h"
#include "storage/db/snapshot.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* --- blocks ------------------------------------------------------------- */

typedef struct BlockWalk
{
	M3Database *db;
	M3BlockFn	fn;
	void	   *context;
	M3BucketRefs refs;
	M3BlockList list;			/* of the shard at work */
	M3BlockInfo info;
} BlockWalk;

static void
set_buffered(M3BlockInfo *info, const M3BucketRef *refs, size_t count)
{
	info->buffered_series = count;
	info->buffered_bytes = 0;
	info->buffered_points = 0;
	for (size_t i = 0; i < count; i++)
	{
		info->buffered_bytes += refs[i].bytes;
		info->buffered_points += refs[i].points;
	}
}

static void
set_file(M3BlockInfo *info, const M3BlockShared *block)
{
	info->volume = block == NULL ? -1 : block->volume;
	info->data_size = block == NULL ? 0 : block->data_size;
	info->index_size = block == NULL ? 0 : block->index_size;
	info->file_series = block == NULL ? 0 : block->series_count;
}

/* A shard's blocks, those on disk and those in buffers, ascending; *first moves on. */
static M3Status
walk_shard(BlockWalk *walk, size_t *first)
{
	const M3BucketRef *refs = walk->refs.refs;
	size_t		at = 0;

	while (at < walk->list.count ||
		   (*first < walk->refs.count && refs[*first].shard == walk->info.shard))
	{
		bool		buffered = *first < walk->refs.count && refs[*first].shard == walk->info.shard;
		const M3BlockShared *block = at < walk->list.count ? &walk->list.blocks[at] : NULL;
		size_t		end = *first;

		walk->info.start_ns = buffered ? refs[*first].start_ns : block->start_ns;
		if (buffered && block != NULL && block->start_ns < walk->info.start_ns)
		{
			walk->info.start_ns = block->start_ns;
			buffered = false;
		}
		if (block != NULL && block->start_ns == walk->info.start_ns)
			at++;
		else
			block = NULL;
		if (buffered)
			end = m3i_buckets_group_end(&walk->refs, *first);
		set_file(&walk->info, block);
		set_buffered(&walk->info, refs + *first, end - *first);
		*first = end;
		M3_TRY(walk->fn(walk->context, &walk->info));
	}
	return M3_OK;
}

static M3Status
walk_namespace(BlockWalk *walk, M3Ref ref, M3Error *err)
{
	M3Database *db = walk->db;
	M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
	size_t		first = 0;

	M3_TRY(m3i_buckets_collect(db, ref, INT64_MIN, INT64_MAX, &walk->refs, err));
	walk->info.namespace_name = (const char *) ns->name;
	walk->info.size_ns = m3i_namespace_options(db, ref).block_size_ns;
	for (uint32_t shard = 0; shard < db->root->options.shard_count; shard++)
	{
		walk->info.shard = shard;
		walk->list.version = 0;
		M3_TRY(m3i_blocks_list(db, ns, shard, db->engine->memory, &walk->list, err));
		M3_TRY(walk_shard(walk, &first));
	}
	return M3_OK;
}

M3Status
m3_blocks(M3Database *db, M3BlockFn fn, void *context, M3Error *err)
{
	BlockWalk	walk = {.db = db, .fn = fn, .context = context};
	M3Snapshot *snapshot;
	M3Ref	   *refs = NULL;
	size_t		count;
	M3Status	status;

	M3_TRY(m3i_require_ready(db, err));
	/* keeps what is found from being freed */
	M3_TRY(m3_snapshot_take(db, &snapshot, err));
	status = m3i_namespace_refs(db, false, &refs, &count, err);
	for (size_t i = 0; status == M3_OK && i < count; i++)
		status = walk_namespace(&walk, refs[i], err);
	m3_snapshot_release(snapshot);
	m3_free(db->engine->memory, refs);
	m3_free(db->engine->memory, walk.list.blocks);
	m3i_buckets_free(db, &walk.refs);
	return status;
}

/* --- series ------------------------------------------------------------- */

static void
describe(M3Database *db, const M3Series *series, M3SeriesInfo *info)
{
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	const M3Bucket *buckets;

	info->id = m3_series_id(series);
	info->tags = m3_series_tags(series);
	info->shard = series->shard;
	info->buffered_points = 0;
	info->buffered_bytes = 0;
	db->env->lock(db->env, lock, M3_LOCK_SHARED);
	buckets = m3_series_buckets(db->arena, series);
	info->buffered_blocks = series->bucket_count;
	info->first_block_ns = series->first_file_ns;
	info->last_block_ns = series->last_file_ns;
	for (uint32_t i = 0; i < series->bucket_count; i++)
	{
		if (buckets[i].start_ns < info->first_block_ns)
			info->first_block_ns = buckets[i].start_ns;
		if (buckets[i].start_ns > info->last_block_ns)
			info->last_block_ns = buckets[i].start_ns;
		for (M3Ref ref = buckets[i].first_stream; ref != 0;)
		{
			const M3Stream *stream = m3_arena_at(db->arena, ref);

			info->buffered_points += m3_stream_points(stream);
			info->buffered_bytes += m3_stream_size(stream);
			ref = stream->next;
		}
	}
	db->env->unlock(db->env, lock);
}

static M3Status
list_namespace(M3Database *db, M3Ref namespace_ref, M3SeriesFn fn, void *context)
{
	const M3NamespaceShared *ns = m3_arena_at(db->arena, namespace_ref);
	M3SeriesInfo info = {.namespace_name = (const char *) ns->name};
	M3Ref		list[M3_SERIES_CHUNK];
	uint32_t	first = 0;
	uint32_t	count;

	while ((count = m3i_series_chunk(db, ns, first, list)) > 0)
	{
		first += count;
		for (uint32_t i = 0; i < count; i++)
		{
			if (list[i] == 0)
				continue;
			describe(db, m3_arena_at(db->arena, list[i]), &info);
			M3_TRY(fn(context, &info));
		}
	}
	return M3_OK;
}

M3Status
m3_series_list(M3Database *db, M3SeriesFn fn, void *context, M3Error *err)
{
	M3Snapshot *snapshot;
	M3Ref	   *refs = NULL;
	size_t		count;
	M3Status	status;

	M3_TRY(m3i_require_ready(db, err));
	M3_TRY(m3_snapshot_take(db, &snapshot, err));
	status = m3i_namespace_refs(db, false, &refs, &count, err);
	for (size_t i = 0; status == M3_OK && i < count; i++)
		status = list_namespace(db, refs[i], fn, context);
	m3_snapshot_release(snapshot);
	m3_free(db->engine->memory, refs);
	return status;
}
