/*
 * Inside of a scan, shared by scan.c, reader.c and scan_files.c.
 */
#ifndef M3_DB_SCAN_PRIVATE_H
#define M3_DB_SCAN_PRIVATE_H

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

/* in reader.c */

/* Starts of the blocks that may hold points of the open series in the scan's range, ascending;
 * valid until the reader's next call. */
extern void m3i_reader_blocks(const M3Reader *reader, const int64_t **starts_ns, size_t *count);

/* in scan_files.c */

/* The blocks of a shard as the table names them now; valid until the next call. */
extern M3Status m3i_scan_blocks(M3Scan *scan, uint32_t shard, const M3BlockList **list,
								M3Error *err);

/* What a fileset holds of a series.  Zero it first. */
typedef struct M3FileBlock
{
	M3FilesetKey key;			/* the volume that payload is from */
	M3Slice		payload;		/* valid until the next read by anybody in the process */
	uint8_t    *cached;			/* the scan's memory, to be freed with the rest */
	size_t		cached_capacity;
} M3FileBlock;

/* The payload of a series in a block's volume as the table names it now, size 0 if there is none.
 * M3_CORRUPT if files that should be there are not. */
extern M3Status m3i_scan_read_file(M3Scan *scan, M3Ref series, int64_t start_ns,
								   M3FileBlock *file, M3Error *err);

#endif							/* M3_DB_SCAN_PRIVATE_H */
