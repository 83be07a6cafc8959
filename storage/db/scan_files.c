/*
 * What a scan takes from filesets: which blocks there are, a series' payload in one, and what
 * statistics say of that.
 */
#include <string.h>

#include "storage/db/mount_private.h"
#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3i_scan_blocks(M3Scan *scan, uint32_t shard, const M3BlockList **result, M3Error *err)
{
	if (scan->block_lists == NULL)
	{
		size_t		size = scan->shard_count * sizeof(M3BlockList);

		scan->block_lists = m3_alloc(scan->memory, size);
		if (scan->block_lists == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		memset(scan->block_lists, 0, size);
	}
	*result = &scan->block_lists[shard];
	return m3i_blocks_list_range(scan->db, m3i_scan_namespace(scan), shard,
								 m3i_scan_first_block(scan, scan->start_ns), scan->end_ns - 1,
								 scan->memory, &scan->block_lists[shard], err);
}

/* How often a mount looks for another volume in place of one that vanished. */
#define MAX_LOOKS 8

/* The volume that holds a block now; false if the table has none. */
static bool
find_volume(const M3Scan *scan, uint32_t shard, int64_t start_ns, M3FilesetKey *key)
{
	M3NamespaceShared *ns = m3i_scan_namespace(scan);
	const M3BlockList *list = scan->block_lists == NULL ? NULL : &scan->block_lists[shard];
	bool		found;

	key->shard = shard;
	key->start_ns = start_ns;
	/* volumes begin anew with a generation: this one's must not be taken for another's */
	do
	{
		M3BlockShared looked_up;
		const M3BlockShared *block;

		key->generation = m3i_generation(ns);
		if (list != NULL && list->version == m3i_blocks_version(ns))
			block = m3i_block_list_find(list, start_ns);
		else
			block = m3i_blocks_find(scan->db, ns, shard, start_ns, &looked_up) ? &looked_up : NULL;
		found = block != NULL;
		if (found)
			key->volume = block->volume;
	} while (key->generation != m3i_generation(ns));
	return found;
}

/* The series' payload of a volume, from the cache or from its file; M3_NOT_FOUND if
 * the volume is not there any more. */
static M3Status
read_volume(M3Scan *scan, M3Ref series, M3FileBlock *file, M3Error *err)
{
	const M3Series *shared = m3_arena_at(scan->db->arena, series);
	M3CacheKey	cache_key = {
		.series = series,
		.generation = file->key.generation,
		.start_ns = file->key.start_ns,
		.volume = file->key.volume
	};

	if (scan->cache_policy != M3_CACHE_NONE)
	{
		if (m3i_cache_get(scan->db, &cache_key, scan->memory, &file->cached,
						  &file->cached_capacity, &file->payload))
		{
			scan->stats.cache_hits++;
			return M3_OK;
		}
		scan->stats.cache_misses++;
	}
	M3_TRY(m3i_fileset_read(scan->db, m3i_scan_namespace(scan), &file->key, m3_series_id(shared),
							&file->payload, err));
	if (file->payload.size == 0)
		return M3_OK;
	scan->stats.blocks_from_disk++;
	scan->stats.disk_bytes_read += file->payload.size;
	if (scan->cache_policy != M3_CACHE_NONE)
		m3i_cache_put(scan->db, &cache_key, scan->cache_policy, file->payload);
	return M3_OK;
}

static M3Status
report_missing(const M3Scan *scan, const M3FilesetKey *key, M3Error *err)
{
	const M3NamespaceShared *ns = m3i_scan_namespace(scan);

	(void) m3_error(err, M3_CORRUPT, "fileset of namespace \"%.*s\" is missing",
					(int) ns->name_size, (const char *) ns->name);
	m3i_fileset_name_error(scan->db, ns, key, M3_FILESET_CHECKPOINT, err);
	return M3_CORRUPT;
}

/*
 * A volume may be superseded and removed between the look at the table and that at the files.
 * Then the table names another by now, or none.
 */
M3Status
m3i_scan_read_file(M3Scan *scan, M3Ref series, int64_t start_ns, M3FileBlock *file, M3Error *err)
{
	uint32_t	shard = ((const M3Series *) m3_arena_at(scan->db->arena, series))->shard;
	M3FilesetKey last = {0};
	bool		vanished = false;
	int			looks = 0;

	file->payload = m3_slice(NULL, 0);
	while (find_volume(scan, shard, start_ns, &file->key))
	{
		M3Status	status;

		if (vanished && file->key.generation == last.generation &&
			file->key.volume == last.volume)
		{
			if (!scan->db->read_only || looks++ == MAX_LOOKS)
				return report_missing(scan, &last, err);
			/* nobody tells a mount what its server removes */
			M3_TRY(m3i_mount_look_again(scan->db, m3i_scan_namespace(scan), shard, start_ns,
										err));
			vanished = false;
			continue;
		}
		status = read_volume(scan, series, file, err);
		if (status != M3_NOT_FOUND)
			return status;
		vanished = true;
		last = file->key;
	}
	return M3_OK;
}

M3Status
m3i_scan_file_statistics(M3Scan *scan, M3Ref series, int64_t start_ns,
						 M3SeriesStatistics *statistics, M3Error *err)
{
	const M3Series *shared = m3_arena_at(scan->db->arena, series);
	M3FilesetKey key;

	statistics->count = 0;
	if (!find_volume(scan, shared->shard, start_ns, &key))
		return M3_OK;
	return m3i_fileset_statistics(scan->db, m3i_scan_namespace(scan), &key, m3_series_id(shared),
								  statistics, err);
}
