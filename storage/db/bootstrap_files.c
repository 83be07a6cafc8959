/*
 * Data filesets on the way into memory: which block has which volume, and the series
 * each of them holds.  No point is read.
 *
 * The series of a shard repeat from block to block, and every index is in the order of
 * ids.  So the series of the blocks before are kept in that order, and each index is walked
 * beside them: a series that is known costs a comparison, no hashing and no lock.
 */
#include "storage/db/bootstrap_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/jobs_private.h"
#include "storage/fileset/statistics.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* --- what is there ------------------------------------------------------ */

static M3NamespaceShared *
namespace_at(const M3Bootstrap *b, M3Ref ref)
{
	return m3_arena_at(b->db->arena, ref);
}

static M3Slice
namespace_name(const M3NamespaceShared *ns)
{
	return m3_slice(ns->name, ns->name_size);
}

M3Status
m3i_bootstrap_shard_directory(const M3Bootstrap *b, const M3BootstrapShard *shard, char *directory,
							  M3Error *err)
{
	return m3_fileset_shard_directory(directory, b->db->path, shard->kind,
									  namespace_name(namespace_at(b, shard->namespace_ref)),
									  shard->shard, err);
}

size_t
m3i_bootstrap_group_end(const M3FilesetList *list, size_t first)
{
	size_t		end = first + 1;

	while (end < list->count && list->filesets[end].name.block_start_ns ==
		   list->filesets[first].name.block_start_ns)
		end++;
	return end;
}

bool
m3i_bootstrap_wants(const M3Bootstrap *b, int64_t start_ns)
{
	return start_ns >= b->first_retained_ns;
}

M3BootstrapShard *
m3i_bootstrap_add_shard(M3Bootstrap *b, M3Error *err)
{
	if (b->shard_count == b->shard_capacity)
	{
		size_t		capacity = b->shard_capacity == 0 ? 64 : b->shard_capacity * 2;
		M3BootstrapShard *grown = m3_resize(b->memory, b->shards, capacity * sizeof(*grown));

		if (grown == NULL)
		{
			(void) m3_error(err, M3_NO_MEMORY, "out of memory");
			return NULL;
		}
		b->shards = grown;
		b->shard_capacity = capacity;
	}
	memset(&b->shards[b->shard_count], 0, sizeof(M3BootstrapShard));
	return &b->shards[b->shard_count++];
}

static M3Status
list_shard(M3Bootstrap *b, M3FilesetKind kind, M3Ref namespace_ref, uint32_t number, M3Error *err)
{
	M3BootstrapShard *shard = m3i_bootstrap_add_shard(b, err);
	char		directory[M3_FILESET_PATH_SIZE];

	if (shard == NULL)
		return M3_NO_MEMORY;
	shard->kind = kind;
	shard->namespace_ref = namespace_ref;
	shard->shard = number;
	M3_TRY(m3i_bootstrap_shard_directory(b, shard, directory, err));
	return m3_fileset_list(b->db->env, b->memory, directory, &shard->list, err);
}

/* Blocks of a shard that will be loaded. */
static uint32_t
count_blocks(const M3Bootstrap *b, const M3FilesetList *list)
{
	uint32_t	blocks = 0;

	for (size_t i = 0; i < list->count; i = m3i_bootstrap_group_end(list, i))
	{
		if (m3i_bootstrap_wants(b, list->filesets[i].name.block_start_ns))
			blocks++;
	}
	return blocks;
}

static M3Status
list_namespace(M3Bootstrap *b, M3FilesetKind kind, M3Ref ref, M3Error *err)
{
	M3Database *db = b->db;
	M3Slice		name = namespace_name(namespace_at(b, ref));
	uint32_t   *shards = NULL;
	size_t		count = 0;
	uint32_t	blocks = 0;
	M3Status	status;

	m3i_bootstrap_enter(b, namespace_at(b, ref));
	M3_TRY(m3_fileset_list_shards(db->env, b->memory, db->path, kind, name, &shards, &count, err));
	for (size_t i = 0; i < count; i++)
	{
		if (shards[i] >= db->root->options.shard_count)
		{
			m3i_bootstrap_report(b, "namespace \"%.*s\" has a directory for shard %" PRIu32
								 ", of %" PRIu32 " shards; it is left alone",
								 (int) name.size, (const char *) name.data, shards[i],
								 db->root->options.shard_count);
			continue;
		}
		M3_GOTO(list_shard(b, kind, ref, shards[i], err));
		blocks += count_blocks(b, &b->shards[b->shard_count - 1].list);
	}
	status = M3_OK;
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	db->root->progress.files_total += blocks;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
done:
	m3_free(b->memory, shards);
	return status;
}

M3Status
m3i_bootstrap_list(M3Bootstrap *b, M3Error *err)
{
	static const M3FilesetKind kinds[] = {M3_FILESET_KIND_DATA, M3_FILESET_KIND_SNAPSHOT};
	M3Ref	   *refs = NULL;
	size_t		count = 0;
	M3Status	status = m3i_namespace_refs(b->db, false, &refs, &count, err);

	for (size_t k = 0; status == M3_OK && k < sizeof(kinds) / sizeof(kinds[0]); k++)
	{
		for (size_t i = 0; status == M3_OK && i < count; i++)
			status = list_namespace(b, kinds[k], refs[i], err);
	}
	m3_free(b->memory, refs);
	return status;
}

void
m3i_bootstrap_free_lists(M3Bootstrap *b)
{
	for (size_t i = 0; i < b->shard_count; i++)
	{
		if (!b->shards[i].borrowed)
			m3_fileset_list_free(&b->shards[i].list);
	}
	m3_free(b->memory, b->shards);
	b->shards = NULL;
	b->shard_count = b->shard_capacity = 0;
	m3_free(b->memory, b->known.series);
	m3_free(b->memory, b->next_known.series);
	memset(&b->known, 0, sizeof(b->known));
	memset(&b->next_known, 0, sizeof(b->next_known));
}

/* --- what is wrong ------------------------------------------------------ */

bool
m3i_bootstrap_is_damage(M3Status status)
{
	return status == M3_NOT_FOUND || status == M3_CORRUPT || status == M3_UNSUPPORTED ||
		status == M3_INVALID || status == M3_IO;
}

void
m3i_bootstrap_report_fileset(const M3Bootstrap *b, const char *directory, const M3FilesetName *name,
							 const M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];

	if (err->file[0] != '\0')
		snprintf(path, sizeof(path), "%s", err->file);
	else if (m3_fileset_path(path, directory, name, M3_FILESET_CHECKPOINT, NULL) != M3_OK)
		path[0] = '\0';
	m3i_bootstrap_report(b, "volume %" PRId64 " of block %" PRId64 " is not used: %s: \"%s\"",
						 name->volume, name->block_start_ns, err->message, path);
}

M3Status
m3i_bootstrap_check_block(const M3Bootstrap *b, const M3FilesetHeader *header, M3Error *err)
{
	int64_t		size_ns = b->ns->options.block_size_ns;
	int64_t		start_ns = header->info.block_start_ns;

	if (header->info.block_size_ns != size_ns)
		return m3_error(err, M3_INVALID, "it has blocks of %" PRId64 " seconds, its namespace of %"
						PRId64, header->info.block_size_ns / M3_NS_PER_SECOND,
						size_ns / M3_NS_PER_SECOND);
	if (start_ns < b->min_time_ns || start_ns >= b->end_time_ns ||
		m3_block_start(start_ns, size_ns) != start_ns)
		return m3_error(err, M3_INVALID, "no block of its namespace starts then");
	return M3_OK;
}

/* --- series ------------------------------------------------------------- */

static M3Status
add_known(M3Bootstrap *b, M3BootstrapKnown *known, const M3BootstrapSeries *series, M3Error *err)
{
	if (known->count == known->capacity)
	{
		size_t		capacity = known->capacity == 0 ? 256 : known->capacity * 2;
		M3BootstrapSeries *grown = m3_resize(b->memory, known->series, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		known->series = grown;
		known->capacity = capacity;
	}
	known->series[known->count++] = *series;
	return M3_OK;
}

/* How the id of a known series compares. */
static int
compare_known(const M3Bootstrap *b, const M3BootstrapSeries *known, M3Slice id)
{
	return m3_slice_compare(m3_series_id(m3_arena_at(b->db->arena, known->ref)), id);
}

static M3Status
make_series(M3Bootstrap *b, const M3BootstrapShard *shard, const M3FilesetEntry *entry,
			M3BootstrapSeries *made, uint64_t *strangers, M3Error *err)
{
	M3TagIterator tags;
	const M3Series *series;

	if (m3_tag_iterator_init(&tags, entry->tags, err) != M3_OK)
		return m3_error(err, M3_CORRUPT, "tags of a series are malformed");
	M3_TRY(m3i_bootstrap_series(b, shard->namespace_ref, entry->id, entry->tags,
								shard->shard, &made->ref, err));
	series = m3_arena_at(b->db->arena, made->ref);
	/* readers look for a series in the shard of its id only */
	if (series->shard != shard->shard)
		(*strangers)++;
	made->first_file_ns = INT64_MAX;
	made->last_file_ns = INT64_MIN;
	return M3_OK;
}

/* A known series may have been without tags so far. */
static M3Status
add_tags(M3Bootstrap *b, const M3BootstrapShard *shard, const M3FilesetEntry *entry,
		 M3BootstrapSeries *known, M3Error *err)
{
	const M3Series *series = m3_arena_at(b->db->arena, known->ref);

	if (series->tags_size >= entry->tags.size ||
		m3i_bootstrap_has_tags(m3_series_tags(series)))
		return M3_OK;
	return m3i_bootstrap_series(b, shard->namespace_ref, entry->id, entry->tags, shard->shard,
								&known->ref, err);
}

/* Walks an index beside the known series; *data_end is where its last payload ends. */
static M3Status
walk_index(M3Bootstrap *b, const M3BootstrapShard *shard, int64_t start_ns, M3FilesetScan *scan,
		   uint64_t *data_end, uint64_t *strangers, M3Error *err)
{
	const M3BootstrapKnown *known = &b->known;
	size_t		at = 0;
	M3Status	status;
	M3FilesetEntry entry;

	b->next_known.count = 0;
	while ((status = m3_fileset_scan_next(scan, &entry, err)) == M3_OK)
	{
		M3BootstrapSeries series;
		int			order = 1;

		for (; at < known->count; at++)
		{
			order = compare_known(b, &known->series[at], entry.id);
			if (order >= 0)
				break;
			M3_TRY(add_known(b, &b->next_known, &known->series[at], err));
		}
		if (at < known->count && order == 0)
		{
			series = known->series[at++];
			M3_TRY(add_tags(b, shard, &entry, &series, err));
		}
		else
			M3_TRY(make_series(b, shard, &entry, &series, strangers, err));
		if (start_ns < series.first_file_ns)
			series.first_file_ns = start_ns;
		if (start_ns > series.last_file_ns)
			series.last_file_ns = start_ns;
		M3_TRY(add_known(b, &b->next_known, &series, err));
		if ((uint64_t) entry.offset + entry.size > *data_end)
			*data_end = (uint64_t) entry.offset + entry.size;
	}
	if (status != M3_NOT_FOUND)
		return status;
	for (; at < known->count; at++)
		M3_TRY(add_known(b, &b->next_known, &known->series[at], err));
	return M3_OK;
}

static void
swap_known(M3Bootstrap *b)
{
	M3BootstrapKnown known = b->known;

	b->known = b->next_known;
	b->next_known = known;
}

/* Tells the series of a shard in which blocks they may be. */
static void
finish_shard(M3Bootstrap *b)
{
	M3Database *db = b->db;
	M3Env	   *env = db->env;

	for (size_t i = 0; i < b->known.count; i++)
	{
		const M3BootstrapSeries *known = &b->known.series[i];
		M3Series   *series = m3_arena_at(db->arena, known->ref);
		uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);

		env->lock(env, lock, M3_LOCK_EXCLUSIVE);
		if (known->first_file_ns < series->first_file_ns)
			series->first_file_ns = known->first_file_ns;
		if (known->last_file_ns > series->last_file_ns)
			series->last_file_ns = known->last_file_ns;
		env->unlock(env, lock);
	}
	b->known.count = 0;
}

/* --- filesets ----------------------------------------------------------- */

M3Status
m3i_bootstrap_file_size(const M3Bootstrap *b, const char *directory, const M3FilesetName *name,
						M3FilesetFile which, uint64_t *size, M3Error *err)
{
	M3Env	   *env = b->db->env;
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *file;
	M3Status	status;

	M3_TRY(m3_fileset_path(path, directory, name, which, err));
	M3_TRY(env->open(env, path, M3_OPEN_READ, &file, err));
	status = env->size(env, file, size, err);
	env->close(env, file);
	return status;
}

/* Points are unknown if readers will not find all of them. */
static M3Status
read_index(M3Bootstrap *b, const M3BootstrapShard *shard, const char *directory,
		   const M3FilesetName *name, const M3FilesetHeader *header, M3BlockShared *block,
		   M3Error *err)
{
	M3FilesetReaderOptions options = {.header = header};
	M3FilesetReader *reader = NULL;
	M3FilesetScan *scan = NULL;
	uint64_t	data_end = 0;
	uint64_t	strangers = 0;
	M3Status	status;

	M3_GOTO(m3_fileset_reader_open(b->db->env, b->memory, directory, name, &options, &reader,
								   err));
	M3_GOTO(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, err));
	M3_GOTO(walk_index(b, shard, block->start_ns, scan, &data_end, &strangers, err));
	b->is_short = data_end > block->data_size;
	if (b->is_short || strangers > 0)
		block->points = M3_POINTS_UNKNOWN;
	if (b->is_short && !b->accept_short)
		status = m3_error(err, M3_CORRUPT, "its data ends at byte %" PRIu64 ", its index speaks of "
						  "%" PRIu64, block->data_size, data_end);
done:
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
	if (status == M3_OK && strangers > 0)
		m3i_bootstrap_report(b, "%" PRIu64 " series in \"%s\" belong to other shards and are "
							 "not found there", strangers, directory);
	return status;
}

/* Points of a volume, as its statistics have them. */
static uint64_t
count_points(const M3Bootstrap *b, const char *directory, const M3FilesetListed *listed,
			 const M3FilesetHeader *header)
{
	uint64_t	points;

	if (!m3_fileset_listed_has(listed, M3_FILESET_STATISTICS) ||
		m3_statistics_read_points(b->db->env, directory, &listed->name, header, &points,
								  NULL) != M3_OK)
		return M3_POINTS_UNKNOWN;
	return points;
}

/* One volume, whose header passed. */
static M3Status
load_volume(M3Bootstrap *b, const M3BootstrapShard *shard, const char *directory,
			const M3FilesetListed *listed, const M3FilesetHeader *header, M3Error *err)
{
	const M3FilesetName *name = &listed->name;
	M3Database *db = b->db;
	M3BlockShared block = {
		.start_ns = name->block_start_ns,
		.volume = name->volume,
		.series_count = (uint64_t) header->info.entry_count,
		.points = count_points(b, directory, listed, header)
	};

	M3_TRY(m3i_bootstrap_check_block(b, header, err));
	M3_TRY(m3i_bootstrap_file_size(b, directory, name, M3_FILESET_DATA, &block.data_size, err));
	M3_TRY(m3i_bootstrap_file_size(b, directory, name, M3_FILESET_INDEX, &block.index_size, err));
	m3i_bootstrap_expect(b, block.index_size);
	M3_TRY(read_index(b, shard, directory, name, header, &block, err));
	M3_TRY(m3i_blocks_reserve(db, b->ns, shard->shard, err));
	(void) m3i_blocks_put(db, b->ns, shard->shard, &block, m3i_generation(b->ns));
	swap_known(b);
	m3i_bootstrap_count_block(b, block.start_ns);
	return M3_OK;
}

/* Loads a volume if it can be used; damage is reported, and no error. */
static M3Status
try_volume(M3Bootstrap *b, const M3BootstrapShard *shard, const char *directory,
		   const M3FilesetListed *listed, bool *used, M3Error *err)
{
	const M3FilesetName *name = &listed->name;
	M3FilesetHeader header;
	M3Error		own;
	M3Status	status;

	*used = b->is_short = false;
	own.file[0] = '\0';
	status = m3_fileset_read_header(b->db->env, directory, name, &header, &own);
	if (status == M3_NOT_FOUND)
		return M3_OK;			/* never finished */
	if (status == M3_OK)
		status = load_volume(b, shard, directory, listed, &header, &own);
	*used = status == M3_OK;
	/* on a mount: gone meanwhile, which its next look at the directory tells */
	if (status == M3_OK || (status == M3_NOT_FOUND && b->db->read_only))
		return M3_OK;
	if (!m3i_bootstrap_is_damage(status))
	{
		if (err != NULL)
			*err = own;
		return status;
	}
	m3i_bootstrap_report_fileset(b, directory, name, &own);
	return M3_OK;
}

/*
 * The highest volume of a block that can be used; none is no error.  If there is no whole
 * one, a volume that lacks the end of its data is better than nothing: what it has
 * is read, and what it has not is an error when it is asked for.
 */
static M3Status
load_block(M3Bootstrap *b, const M3BootstrapShard *shard, const char *directory, size_t first,
		   size_t end, bool *result, M3Error *err)
{
	const M3FilesetListed *cut = NULL;
	bool		used = false;
	M3Status	status;

	*result = false;
	for (size_t i = end; i > first && !used; i--)
	{
		const M3FilesetListed *listed = &shard->list.filesets[i - 1];

		if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT))
			continue;
		M3_TRY(try_volume(b, shard, directory, listed, &used, err));
		if (!used && b->is_short && cut == NULL)
			cut = listed;
	}
	*result = used;
	if (used || cut == NULL)
		return M3_OK;
	b->accept_short = true;
	status = try_volume(b, shard, directory, cut, &used, err);
	b->accept_short = false;
	*result = used;
	if (used)
		m3i_bootstrap_report(b, "volume %" PRId64 " of block %" PRId64 " in \"%s\" is used all the "
							 "same, for want of a better one", cut->name.volume,
							 cut->name.block_start_ns, directory);
	return status;
}

/* The next fileset from there on that has a checkpoint; end if there is none. */
static size_t
next_complete(const M3FilesetList *list, size_t at, size_t end)
{
	while (at < end && !m3_fileset_listed_has(&list->filesets[at], M3_FILESET_CHECKPOINT))
		at++;
	return at;
}

/* The first fileset that starts at or after start_ns. */
static size_t
find_start(const M3FilesetList *list, int64_t start_ns)
{
	size_t		low = 0;
	size_t		high = list->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (list->filesets[middle].name.block_start_ns < start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
m3i_bootstrap_same_block(const M3FilesetList *a, const M3FilesetList *b, int64_t start_ns)
{
	size_t		i = find_start(a, start_ns);
	size_t		j = find_start(b, start_ns);
	size_t		i_end = i;
	size_t		j_end = j;

	if (i < a->count && a->filesets[i].name.block_start_ns == start_ns)
		i_end = m3i_bootstrap_group_end(a, i);
	if (j < b->count && b->filesets[j].name.block_start_ns == start_ns)
		j_end = m3i_bootstrap_group_end(b, j);
	for (;; i++, j++)
	{
		i = next_complete(a, i, i_end);
		j = next_complete(b, j, j_end);
		if (i == i_end || j == j_end)
			return i == i_end && j == j_end;
		if (m3_fileset_name_compare(&a->filesets[i].name, &b->filesets[j].name) != 0)
			return false;
	}
}

/* Takes out blocks that were loaded and of which no fileset is left. */
static void
forget_vanished(M3Bootstrap *b, const M3BootstrapShard *shard)
{
	const M3FilesetList *before = shard->before;
	size_t		end;

	for (size_t i = 0; i < before->count; i = end)
	{
		int64_t		start_ns = before->filesets[i].name.block_start_ns;
		size_t		at = find_start(&shard->list, start_ns);

		end = m3i_bootstrap_group_end(before, i);
		if (at == shard->list.count || shard->list.filesets[at].name.block_start_ns != start_ns)
			m3i_blocks_remove(b->db, b->ns, shard->shard, start_ns);
	}
}

/* Loads a block anew of which a part was loaded before. */
static M3Status
reload_block(M3Bootstrap *b, const M3BootstrapShard *shard, const char *directory, size_t first,
			 size_t end, M3Error *err)
{
	int64_t		start_ns = shard->list.filesets[first].name.block_start_ns;
	M3BlockShared block;
	M3BlockShared was;
	bool		known = m3i_blocks_find(b->db, b->ns, shard->shard, start_ns, &was);
	bool		used;

	M3_TRY(load_block(b, shard, directory, first, end, &used, err));
	if (!known)
		return M3_OK;
	if (!used)
		m3i_blocks_remove(b->db, b->ns, shard->shard, start_ns);
	else if (m3i_blocks_find(b->db, b->ns, shard->shard, start_ns, &block) &&
			 block.volume < was.volume)
	{
		/* numbers are used again: what was read of them before is void */
		m3i_blocks_remove(b->db, b->ns, shard->shard, start_ns);
		M3_TRY(m3i_blocks_reserve(b->db, b->ns, shard->shard, err));
		(void) m3i_blocks_put(b->db, b->ns, shard->shard, &block, m3i_generation(b->ns));
	}
	return M3_OK;
}

static M3Status
load_shard(M3Bootstrap *b, const M3BootstrapShard *shard, M3Error *err)
{
	const M3FilesetList *list = &shard->list;
	char		directory[M3_FILESET_PATH_SIZE];
	bool		used;
	size_t		end;

	M3_TRY(m3i_bootstrap_shard_directory(b, shard, directory, err));
	for (size_t i = 0; i < list->count; i = end)
	{
		int64_t		start_ns = list->filesets[i].name.block_start_ns;

		end = m3i_bootstrap_group_end(list, i);
		if (!m3i_bootstrap_wants(b, start_ns) ||
			(shard->before != NULL && m3i_bootstrap_same_block(list, shard->before, start_ns)))
			continue;
		b->db->env->yield(b->db->env);
		if (shard->before != NULL)
			M3_TRY(reload_block(b, shard, directory, i, end, err));
		else
			M3_TRY(load_block(b, shard, directory, i, end, &used, err));
		m3i_bootstrap_file_done(b);
	}
	if (shard->before != NULL)
		forget_vanished(b, shard);
	finish_shard(b);
	return M3_OK;
}

M3Status
m3i_bootstrap_filesets(M3Bootstrap *b, M3Error *err)
{
	for (size_t i = 0; i < b->shard_count; i++)
	{
		const M3BootstrapShard *shard = &b->shards[i];
		M3NamespaceShared *ns = namespace_at(b, shard->namespace_ref);

		if (shard->kind != M3_FILESET_KIND_DATA)
			continue;
		if (ns != b->ns)
			m3i_bootstrap_enter(b, ns);
		M3_TRY(load_shard(b, shard, err));
	}
	return M3_OK;
}
