/*
 * Inside of a scan, shared by scan*.c and reader*.c.
 */
#ifndef M3_DB_SCAN_PRIVATE_H
#define M3_DB_SCAN_PRIVATE_H

#include "storage/buffer/copy.h"
#include "storage/db/blocks.h"
#include "storage/db/db_private.h"
#include "storage/db/fileset_cache.h"
#include "storage/db/match.h"
#include "storage/db/own_points.h"
#include "storage/db/scan.h"

typedef struct M3ScanSeries
{
	M3Ref		ref;			/* 0: only the transaction has it */
	const M3OwnSeries *own;		/* NULL: the transaction wrote nothing to it */
} M3ScanSeries;

struct M3Scan
{
	M3Database *db;
	M3Memory   *memory;
	M3Ref		namespace_ref;	/* 0: only the transaction has it */
	int64_t		start_ns;		/* clamped to what can be read */
	int64_t		end_ns;
	int64_t		block_size_ns;
	const M3Snapshot *snapshot;
	bool		shared_hidden;	/* the transaction voided the namespace: own points only */
	uint8_t		cache_policy;	/* M3CachePolicy */
	uint32_t	shard_count;
	M3BlockList *block_lists;	/* by shard, filled as needed; NULL: none needed yet */
	bool		with_units;
	bool		with_annotations;
	bool		without_statistics;
	bool		has_matchers;
	M3Matching	matching;		/* while it is opened */
	M3OwnPoints own;
	M3ScanSeries *series;
	size_t		series_count;
	size_t		series_capacity;
	M3ScanStats stats;
};

static inline M3NamespaceShared *
m3i_scan_namespace(const M3Scan *scan)
{
	return m3_arena_at(scan->db->arena, scan->namespace_ref);
}

/* Where a block ends, at the latest that can be told. */
static inline int64_t
m3i_scan_block_end(const M3Scan *scan, int64_t start_ns)
{
	return start_ns < INT64_MAX - scan->block_size_ns ? start_ns + scan->block_size_ns :
		INT64_MAX;
}

/* No block that starts before this one reaches beyond start_ns. */
static inline int64_t
m3i_scan_first_block(const M3Scan *scan, int64_t start_ns)
{
	return start_ns > INT64_MIN + scan->block_size_ns ? start_ns - scan->block_size_ns + 1 :
		INT64_MIN;
}

static inline uint32_t
m3i_stripe_lock(const M3Series *series)
{
	return M3_LOCK_STRIPE + m3_series_stripe(series->hash);
}

/* What a fileset holds of a series.  Zero it first. */
typedef struct M3FileBlock
{
	M3FilesetKey key;			/* the volume that payload is from */
	M3Slice		payload;		/* valid until the next read by anybody in the process */
	uint8_t    *cached;			/* the scan's memory, to be freed with the rest */
	size_t		cached_capacity;
} M3FileBlock;

/* The blocks whose fileset may hold a series; none if first is above last. */
typedef struct M3FileRange
{
	int64_t		first_ns;
	int64_t		last_ns;
} M3FileRange;

struct M3Reader
{
	M3Scan	   *scan;
	const M3ScanSeries *series;
	const M3Series *shared;		/* NULL: own points only */
	int64_t		start_ns;		/* the range, within the scan's */
	int64_t		end_ns;
	int64_t    *blocks;			/* starts, ascending; all reach into the range */
	size_t		block_count;
	size_t		block_capacity;
	size_t		next_block;		/* those from here to end_block are still to be read */
	size_t		end_block;

	M3Copy		copy;
	M3FileBlock file;

	M3Points	result;
	M3Points	own;
	M3Points	merged;
};

/* in reader_blocks.c */

/* Starts of the blocks that may hold points of the open series in its range, ascending;
 * valid until the reader's next call. */
extern void m3i_reader_blocks(const M3Reader *reader, const int64_t **starts_ns, size_t *count);

/* Passes over the block at that end; there is one. */
extern void m3i_reader_pass(M3Reader *reader, bool from_end);

/* Number of the first own point of a series at or after time_ns. */
extern size_t m3i_own_lower_bound(const M3OwnPoints *own, const M3OwnSeries *series,
								  int64_t time_ns);

/* in scan_files.c */

/* The blocks of a shard that reach into the scan's range, as the table names them now; valid until
 * the next call. */
extern M3Status m3i_scan_blocks(M3Scan *scan, uint32_t shard, const M3BlockList **list,
								M3Error *err);

/* The payload of a series in a block's volume as the table names it now, size 0 if there is none.
 * M3_CORRUPT if files that should be there are not. */
extern M3Status m3i_scan_read_file(M3Scan *scan, M3Ref series, int64_t start_ns,
								   M3FileBlock *file, M3Error *err);

/* What statistics say of that payload; count 0 if there is none, M3_NOT_FOUND if it must be read
 * to know. */
extern M3Status m3i_scan_file_statistics(M3Scan *scan, M3Ref series, int64_t start_ns,
										 M3SeriesStatistics *statistics, M3Error *err);

#endif							/* M3_DB_SCAN_PRIVATE_H */
