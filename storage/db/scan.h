/*
 * Reading: the series of a namespace that match, and their points in a range.
 *
 * A scan fixes its list of series when it is opened and copies compressed
 * bytes when it reads, so no lock is held between calls and a scan may be left
 * open for hours.  Points come merged: one per time, ascending, the last write winning,
 * those of buffers over those of filesets, the transaction's own over all.
 */
#ifndef M3_DB_SCAN_H
#define M3_DB_SCAN_H

#include "storage/base/slice.h"
#include "storage/db/engine.h"
#include "storage/db/namespace.h"
#include "storage/db/snapshot.h"
#include "storage/db/txn.h"

typedef enum M3MatchKind
{
	M3_MATCH_ANY_OF,			/* tag present with one of the values */
	M3_MATCH_NONE_OF,			/* tag present with none of the values */
	M3_MATCH_PRESENT,
	M3_MATCH_ABSENT,
	M3_MATCH_ID,				/* the id is one of the values; name unused */
	M3_MATCH_PREFIX,			/* tag present, value begins with one of the values */
	M3_MATCH_NOT_PREFIX,		/* tag present, value begins with none of them */
	M3_MATCH_FILTER,			/* tag present, accepts() says yes */
	M3_MATCH_NOT_FILTER			/* tag present, accepts() says no */
} M3MatchKind;

/* Must answer the same for the same value.  Called with no lock held; it may jump if all
 * memory of the scan goes then. */
typedef bool (*M3AcceptFn) (void *context, M3Slice value);

/* All matchers of a scan must hold. */
typedef struct M3Matcher
{
	M3MatchKind kind;
	M3Slice		name;
	const M3Slice *values;
	size_t		value_count;
	M3AcceptFn	accepts;		/* of filters; asked about once for each distinct value */
	void	   *context;
} M3Matcher;

typedef struct M3ScanOptions
{
	int64_t		start_ns;		/* [start, end) */
	int64_t		end_ns;
	const M3Matcher *matchers;
	size_t		matcher_count;
	const M3Snapshot *snapshot;
	M3Txn	   *own;			/* NULL, or the transaction whose points are seen ... */
	uint32_t	own_command;	/* ... if written by a command below this one */
	bool		with_units;
	bool		with_annotations;
	bool		without_index;	/* look at all series; the answer is the same */
} M3ScanOptions;

typedef struct M3ScanStats
{
	uint64_t	series_matched;
	uint64_t	series_examined;
	uint64_t	blocks_read;	/* of a series, that held anything */
	uint64_t	blocks_skipped; /* of a series, out of the range */
	uint64_t	blocks_from_disk;	/* of those read, partly or wholly from a fileset's file */
	uint64_t	cache_hits;		/* ... or from a fileset's block kept in memory */
	uint64_t	cache_misses;	/* looked for in the cache in vain, also where no file had any */
	uint64_t	bytes_read;		/* compressed points, wherever from */
	uint64_t	disk_bytes_read;	/* of these, from files */
	uint64_t	points_decoded;
} M3ScanStats;

typedef struct M3Scan M3Scan;

/*
 * Opens a scan of a namespace; one that was never written to is empty but for
 * own points.  options (but not what it points to, except snapshot and own) may go
 * afterwards.  All memory comes from memory.  Calls env->yield, and filters.
 */
extern M3Status m3_scan_open(M3Database *db, M3Slice namespace_name,
							 const M3ScanOptions *options, M3Memory *memory,
							 M3Scan **scan, M3Error *err);
extern void m3_scan_close(M3Scan *scan);

/* Series found, numbered from 0, in no order to rely on.  They need not have points in
 * the range. */
extern size_t m3_scan_series_count(const M3Scan *scan);

/* Valid until the scan is closed. */
extern void m3_scan_series(const M3Scan *scan, size_t index, M3Slice *id, M3Slice *tags);

extern void m3_scan_stats(const M3Scan *scan, M3ScanStats *stats);

/* Points, column-wise; arrays belong to the reader and are valid until its next call. */
typedef struct M3PointBatch
{
	size_t		count;
	const int64_t *times_ns;
	const double *values;
	const uint8_t *units;		/* NULL unless asked for */
	const M3Slice *annotations; /* NULL unless asked for */
} M3PointBatch;

typedef struct M3Reader M3Reader;

/* A reader may be opened for many series one after the other; several may be open at once. */
extern M3Status m3_reader_create(M3Scan *scan, M3Reader **reader, M3Error *err);
extern void m3_reader_free(M3Reader *reader);
extern M3Status m3_reader_open(M3Reader *reader, size_t series_index, M3Error *err);

/*
 * The next block's points of the open series, ascending; M3_NOT_FOUND when there are no
 * more.  Never an empty batch.  Calls env->yield between blocks.  After M3_CORRUPT the next
 * call goes on with the next block.
 */
extern M3Status m3_reader_next(M3Reader *reader, M3PointBatch *batch, M3Error *err);

/* Counts for the planner, buffers and filesets: cheap, approximate, without a snapshot. */
typedef struct M3Estimate
{
	uint64_t	series;
	uint64_t	points;
	uint64_t	bytes;
	int64_t		first_block_ns; /* INT64_MAX / INT64_MIN when empty */
	int64_t		end_ns;
} M3Estimate;

extern M3Status m3_scan_estimate(M3Database *db, M3Slice namespace_name,
								 M3Estimate *estimate, M3Error *err);

/*
 * The same for the series that match: as if tags were independent of each other, points
 * and bytes in proportion to series.  Filters are asked about some values; without
 * accepts() a share is assumed.  Values must not be repeated.  series is 0 only if there is
 * none indeed.
 */
extern M3Status m3_scan_estimate_matching(M3Database *db, M3Slice namespace_name,
										  const M3Matcher *matchers, size_t matcher_count,
										  M3Estimate *estimate, M3Error *err);

#endif							/* M3_DB_SCAN_H */
