#include "storage/db/fileset_cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/statistics.h"
#include "storage/fileset/lookup.h"
#include "storage/fileset/statistics.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define SLOT_COUNT 1024u

/*
 * What is read ahead in a data file.  A scan goes through the blocks of one series before those
 * of the next one, so that as many windows are in use as there are blocks.
 */
#define DATA_AHEAD (32u * 1024)

typedef struct Entry
{
	struct Entry *next;			/* in its slot */
	struct Entry *older;		/* by last use */
	struct Entry *newer;
	M3FilesetKey key;
	M3FilesetReader *reader;
	M3StatisticsReader *statistics; /* NULL: none that can be believed */
	size_t		memory;
} Entry;

struct M3FilesetCache
{
	M3Memory   *memory;
	Entry	   *oldest;
	Entry	   *newest;
	size_t		max_readers;
	size_t		max_memory;
	M3FilesetCacheStats stats;
	Entry	   *slots[SLOT_COUNT];
};

/* The process's cache of the root, made at first use; NULL when memory is exhausted. */
static M3FilesetCache *
cache_of(M3Database *db)
{
	if (db->filesets == NULL)
	{
		M3FilesetCache *cache = m3_alloc(db->engine->memory, sizeof(*cache));

		if (cache == NULL)
			return NULL;
		memset(cache, 0, sizeof(*cache));
		cache->memory = db->engine->memory;
		cache->max_readers = M3_FILESET_CACHE_MAX_READERS;
		cache->max_memory = M3_FILESET_CACHE_MAX_MEMORY;
		db->filesets = cache;
	}
	return db->filesets;
}

/* The volume does not count: a newer one takes the place of the one before. */
static Entry **
slot_of(M3FilesetCache *cache, const M3FilesetKey *key)
{
	uint64_t	words[3] = {key->generation, key->shard, (uint64_t) key->start_ns};

	return &cache->slots[m3_xxh64(words, sizeof(words)) % SLOT_COUNT];
}

static Entry *
find(M3FilesetCache *cache, const M3FilesetKey *key)
{
	Entry	   *entry = *slot_of(cache, key);

	while (entry != NULL && (entry->key.start_ns != key->start_ns ||
							 entry->key.shard != key->shard ||
							 entry->key.generation != key->generation))
		entry = entry->next;
	return entry;
}

static void
link_newest(M3FilesetCache *cache, Entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	if (cache->newest != NULL)
		cache->newest->newer = entry;
	else
		cache->oldest = entry;
	cache->newest = entry;
}

static void
unlink_use(M3FilesetCache *cache, Entry *entry)
{
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		cache->oldest = entry->newer;
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		cache->newest = entry->older;
}

static void
drop(M3FilesetCache *cache, Entry *entry)
{
	Entry	  **link = slot_of(cache, &entry->key);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	unlink_use(cache, entry);
	cache->stats.readers--;
	cache->stats.memory -= entry->memory;
	cache->stats.closed++;
	m3_fileset_reader_close(entry->reader);
	m3_statistics_close(entry->statistics);
	m3_free(cache->memory, entry);
}

static void
count_memory(M3FilesetCache *cache, Entry *entry)
{
	size_t		memory = sizeof(*entry) + m3_fileset_reader_memory(entry->reader);

	if (entry->statistics != NULL)
		memory += m3_statistics_memory(entry->statistics);
	cache->stats.memory += memory - entry->memory;
	entry->memory = memory;
}

/*
 * Comes down to the limits, sparing the newest.  Windows go first, as they cost one read to get
 * back.  A quarter is freed at once, so that not each call walks the list.
 */
static void
trim(M3FilesetCache *cache)
{
	size_t		target = cache->max_memory / 4 * 3;

	while (cache->stats.readers > cache->max_readers && cache->oldest != cache->newest)
		drop(cache, cache->oldest);
	if (cache->stats.memory <= cache->max_memory)
		return;
	for (Entry *entry = cache->oldest; entry != cache->newest && cache->stats.memory > target;
		 entry = entry->newer)
	{
		m3_fileset_reader_shrink(entry->reader);
		count_memory(cache, entry);
	}
	while (cache->stats.memory > target && cache->oldest != cache->newest)
		drop(cache, cache->oldest);
}

/* All files of a volume, so that its removal meanwhile does no harm. */
static M3Status
open_files(M3FilesetCache *cache, M3Database *db, const M3NamespaceShared *ns, Entry *entry,
		   M3Error *err)
{
	const M3FilesetKey *key = &entry->key;
	M3FilesetReader **reader = &entry->reader;
	M3FilesetReaderOptions options = {.access = M3_FILESET_PREAD,.data_ahead = DATA_AHEAD};
	M3FilesetName name = {.block_start_ns = key->start_ns,.volume = key->volume};
	char		directory[M3_FILESET_PATH_SIZE];
	M3Status	status;

	M3_TRY(m3_fileset_shard_directory(directory, db->path, M3_FILESET_KIND_DATA,
									  m3_slice(ns->name, ns->name_size), key->shard, err));
	status = m3_fileset_reader_open(db->env, cache->memory, directory, &name, &options, reader,
									err);
	if (status == M3_NOT_FOUND && key->volume == 0)
	{
		/* the first volume of an old M3DB has no number in its name */
		name.legacy = true;
		status = m3_fileset_reader_open(db->env, cache->memory, directory, &name, &options,
										reader, err);
	}
	M3_TRY(status);
	/* all at once: if files went one by one, a lookup could not tell what is missing */
	status = m3_fileset_reader_open_files(*reader, err);
	if (status != M3_OK)
	{
		m3_fileset_reader_close(*reader);
		return status;
	}
	/* whatever keeps them from being read, it can be done without */
	if (m3_statistics_open(db->env, cache->memory, directory, &name,
						   m3_fileset_reader_header(*reader), &entry->statistics, NULL) != M3_OK)
		entry->statistics = NULL;
	return M3_OK;
}

/* The entry of a volume, the newest from now on. */
static M3Status
find_or_open(M3FilesetCache *cache, M3Database *db, const M3NamespaceShared *ns,
			 const M3FilesetKey *key, Entry **result, M3Error *err)
{
	Entry	   *entry = find(cache, key);
	Entry	  **slot;
	M3Status	status;

	if (entry != NULL && entry->key.volume == key->volume)
	{
		unlink_use(cache, entry);
		link_newest(cache, entry);
		*result = entry;
		return M3_OK;
	}
	if (entry != NULL)
		drop(cache, entry);
	entry = m3_alloc(cache->memory, sizeof(*entry));
	if (entry == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(entry, 0, sizeof(*entry));
	entry->key = *key;
	status = open_files(cache, db, ns, entry, err);
	if (status != M3_OK)
	{
		m3_free(cache->memory, entry);
		return status;
	}
	slot = slot_of(cache, key);
	entry->next = *slot;
	*slot = entry;
	link_newest(cache, entry);
	cache->stats.readers++;
	cache->stats.opened++;
	*result = entry;
	return M3_OK;
}

static M3Status
read_payload(M3FilesetReader *reader, M3Slice id, M3Slice *payload, M3Error *err)
{
	M3FilesetEntry entry;
	M3Status	status = m3_fileset_lookup(reader, id, false, &entry, err);

	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	return m3_fileset_reader_data(reader, &entry, payload, err);
}

M3Status
m3i_fileset_read(M3Database *db, const M3NamespaceShared *ns, const M3FilesetKey *key,
				 M3Slice id, M3Slice *payload, M3Error *err)
{
	M3FilesetCache *cache = cache_of(db);
	Entry	   *entry = NULL;
	M3Error		failure = {.offset = -1};
	M3Status	status;

	*payload = m3_slice(NULL, 0);
	if (cache == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	status = find_or_open(cache, db, ns, key, &entry, &failure);
	if (status == M3_OK)
		status = read_payload(entry->reader, id, payload, &failure);
	if (status == M3_OK)
	{
		count_memory(cache, entry);
		trim(cache);
		return M3_OK;
	}
	*payload = m3_slice(NULL, 0);
	if (entry != NULL)
		drop(cache, entry);
	/* the server may close a file behind our back and open it again by its name */
	if (status == M3_IO && failure.sys_errno == ENOENT)
		status = failure.status = M3_NOT_FOUND;
	if (err != NULL)
		*err = failure;
	return status;
}

static M3Status
read_statistics(Entry *entry, M3Slice id, M3SeriesStatistics *statistics, M3Error *err)
{
	M3FilesetEntry found;
	M3Status	status;

	if (entry->statistics == NULL)
		return M3_NOT_FOUND;
	status = m3_fileset_lookup(entry->reader, id, false, &found, err);
	if (status == M3_NOT_FOUND)
	{
		statistics->count = 0;
		return M3_OK;
	}
	M3_TRY(status);
	if (m3_statistics_get(entry->statistics, found.ordinal, statistics, NULL) != M3_OK)
	{
		m3_statistics_close(entry->statistics);
		entry->statistics = NULL;
		return M3_NOT_FOUND;
	}
	return statistics->is_known ? M3_OK : M3_NOT_FOUND;
}

M3Status
m3i_fileset_statistics(M3Database *db, const M3NamespaceShared *ns, const M3FilesetKey *key,
					   M3Slice id, M3SeriesStatistics *statistics, M3Error *err)
{
	M3FilesetCache *cache = cache_of(db);
	Entry	   *entry = NULL;
	M3Status	status;

	if (cache == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	status = find_or_open(cache, db, ns, key, &entry, err);
	if (status == M3_OK)
		status = read_statistics(entry, id, statistics, err);
	if (status == M3_OK || status == M3_NOT_FOUND)
	{
		if (entry != NULL)
			count_memory(cache, entry);
		trim(cache);
		return status;
	}
	/* opened anew by who reads it, and reports what is wrong */
	if (entry != NULL)
		drop(cache, entry);
	return status == M3_NO_MEMORY ? status : M3_NOT_FOUND;
}

void
m3i_fileset_name_error(const M3Database *db, const M3NamespaceShared *ns,
					   const M3FilesetKey *key, M3FilesetFile file, M3Error *err)
{
	M3FilesetName name = {.block_start_ns = key->start_ns,.volume = key->volume};
	char		directory[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];

	if (err == NULL || err->file[0] != '\0' ||
		m3_fileset_shard_directory(directory, db->path, M3_FILESET_KIND_DATA,
								   m3_slice(ns->name, ns->name_size), key->shard,
								   NULL) != M3_OK ||
		m3_fileset_path(path, directory, &name, file, NULL) != M3_OK)
		return;
	snprintf(err->file, sizeof(err->file), "%.*s", (int) sizeof(err->file) - 1, path);
}

M3Status
m3i_fileset_cache_limit(M3Database *db, size_t max_readers, size_t max_memory, M3Error *err)
{
	M3FilesetCache *cache = cache_of(db);

	if (cache == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	cache->max_readers = max_readers == 0 ? 1 : max_readers;
	cache->max_memory = max_memory;
	trim(cache);
	return M3_OK;
}

void
m3i_fileset_cache_stats(const M3Database *db, M3FilesetCacheStats *stats)
{
	if (db->filesets != NULL)
		*stats = db->filesets->stats;
	else
		memset(stats, 0, sizeof(*stats));
}

void
m3i_fileset_cache_free(M3FilesetCache *cache)
{
	if (cache == NULL)
		return;
	while (cache->oldest != NULL)
		drop(cache, cache->oldest);
	m3_free(cache->memory, cache);
}
