/*
 * Filesets open in this process, so that a reader need not open one for each series.
 *
 * One volume a block, as many blocks and as much memory as the limits allow: what was used
 * longest ago is closed.  An open fileset outlives the removal of its files; one not
 * opened yet that was removed is M3_NOT_FOUND, and its reader looks up the
 * block's volume again.  Statistics are opened with their fileset, and are as good as absent if
 * they cannot be.
 */
#ifndef M3_DB_FILESET_CACHE_H
#define M3_DB_FILESET_CACHE_H

#include "storage/db/db_private.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/statistics.h"

#define M3_FILESET_CACHE_MAX_READERS 1024u
#define M3_FILESET_CACHE_MAX_MEMORY (32u * 1024 * 1024)

typedef struct M3FilesetCache M3FilesetCache;

/* A volume, as the table of blocks names it. */
typedef struct M3FilesetKey
{
	uint64_t	generation;		/* of the namespace when the table said so */
	uint32_t	shard;
	int64_t		start_ns;
	int64_t		volume;
} M3FilesetKey;

/*
 * A series' payload in a volume: M3_OK, and *payload valid until the next call; size 0 if
 * the series has none there.  M3_NOT_FOUND: that volume is not on disk (any more).
 * M3_CORRUPT names the file.  After any failure the fileset is opened anew when asked for again.
 */
extern M3Status m3i_fileset_read(M3Database *db, const M3NamespaceShared *ns,
								 const M3FilesetKey *key, M3Slice id, M3Slice *payload,
								 M3Error *err);

/*
 * What the volume's statistics say of a series' payload, with a record.  Count 0: the series has no
 * points there.  M3_NOT_FOUND: not known (no statistics, none of this series, or no such volume
 * any more), so read it.  No other error but M3_NO_MEMORY.
 */
extern M3Status m3i_fileset_statistics(M3Database *db, const M3NamespaceShared *ns,
									   const M3FilesetKey *key, M3Slice id,
									   M3SeriesStatistics *statistics, M3Error *err);

/* Names a file of a volume in an error that names none. */
extern void m3i_fileset_name_error(const M3Database *db, const M3NamespaceShared *ns,
								   const M3FilesetKey *key, M3FilesetFile file, M3Error *err);

/* Other limits than the ones above, for tests; at least one reader. */
extern M3Status m3i_fileset_cache_limit(M3Database *db, size_t max_readers,
										size_t max_memory, M3Error *err);

typedef struct M3FilesetCacheStats
{
	size_t		readers;
	size_t		memory;			/* bytes */
	uint64_t	opened;			/* since the cache was made */
	uint64_t	closed;
} M3FilesetCacheStats;

extern void m3i_fileset_cache_stats(const M3Database *db, M3FilesetCacheStats *stats);

/* Closes all; NULL allowed. */
extern void m3i_fileset_cache_free(M3FilesetCache *cache);

#endif							/* M3_DB_FILESET_CACHE_H */
