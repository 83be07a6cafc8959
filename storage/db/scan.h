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
#include "storage/buffer/summary.h"
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
	M3_MATCH_NOT_FILTER,		/* tag present, accepts() says no */
	M3_MATCH_ALL,				/* all parts hold; always, if there are none */
	M3_MATCH_EITHER				/* at least one part holds; never, if there are none */
} M3MatchKind;

/* So deep may parts be nested: a matcher without parts is 1 deep. */
#define M3_MATCH_MAX_DEPTH 16

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
	const struct M3Matcher *parts;	/* of ALL and EITHER, which use nothing else */
	size_t		part_count;
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
	bool		without_statistics; /* decode what statistics could tell */
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
	uint64_t	blocks_summarized;	/* of a series, answered by statistics alone */
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

/* A number that depends on the series alone, and is the same in all processes for a series
 * that is not only the transaction's own.  Spread evenly over all there are; those of
 * one shard lie together, for its files' sake. */
extern uint32_t m3_scan_series_hash(const M3Scan *scan, size_t index);

/* Whether matchers hold for a series of given id and tags, as a scan would decide. */
extern bool m3_matchers_hold(const M3Matcher *matchers, size_t matcher_count, M3Slice id,
							 M3Slice tags);

/*
 * Counts points without touching their series, where that is exact: for whole shards that have
 * nothing in buffers and whose filesets in the range have their counts at hand.  Adds to
 * *count, and takes the series of those shards out of the scan, which numbers the others
 * anew.  Only sensible before any reader was opened; needs no matchers to have been given, else
 * it counts nothing.
 */
extern M3Status m3_scan_count_settled(M3Scan *scan, uint64_t *count, M3Error *err);

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

/* The same for a part of the scan's range: no point outside [start, end) comes out. */
extern M3Status m3_reader_open_range(M3Reader *reader, size_t series_index, int64_t start_ns,
									 int64_t end_ns, M3Error *err);

/*
 * The next block's points of the open series, ascending; M3_NOT_FOUND when there are no
 * more.  Never an empty batch.  Calls env->yield between blocks.  After M3_CORRUPT the next
 * call goes on with the next block.
 */
extern M3Status m3_reader_next(M3Reader *reader, M3PointBatch *batch, M3Error *err);

/* The same from the other end: the last block that neither call has read yet.  Its points
 * ascend, too. */
extern M3Status m3_reader_previous(M3Reader *reader, M3PointBatch *batch, M3Error *err);

/*
 * What m3_reader_next (or _previous, if from_end) would read, known without decoding it:
 * M3_OK if statistics of exactly its points, all fields, are at hand, and all of these lie in
 * the range; m3_reader_skip then passes over the block.  Otherwise, or at the end,
 * M3_NOT_FOUND: read it.  Blocks that turn out to have no points are passed over by the way.
 * Never M3_CORRUPT: what is damaged is found out by reading.  Calls env->yield.
 */
extern M3Status m3_reader_summary(M3Reader *reader, bool from_end, M3Summary *summary,
								  M3Error *err);
extern void m3_reader_skip(M3Reader *reader, bool from_end);

/*
 * Whether the block that m3_reader_next (or _previous, if from_end) would read has, in the range,
 * points at exactly the times at which the other reader's series has some in that block.  The
 * other reader is one of the same scan, open for the same range; how far it has read does not
 * matter.  *same is false if it is not known without decoding, which needs statistics of both
 * blocks, and nothing of either in buffers, nor own points in the range.  Blocks that turn out to
 * have no points are passed over by the way.  Never M3_CORRUPT.  Calls env->yield.
 */
extern M3Status m3_reader_same_times(M3Reader *reader, bool from_end, const M3Reader *other,
									 bool *same, M3Error *err);

/*
 * The last point that m3_reader_previous would give next, known without decoding it: by the ends
 * of open streams and by statistics.  M3_NOT_FOUND: read it.  Blocks without points are
 * passed over, the point's is not.  Calls env->yield.
 */
extern M3Status m3_reader_last(M3Reader *reader, int64_t *time_ns, double *value,
							   M3Error *err);

/*
 * The part of the range that m3_reader_next (or _previous, if from_end) would read points from
 * next: within one block, not empty.  False at the end.  Costs nothing.
 */
extern bool m3_reader_peek(const M3Reader *reader, bool from_end, int64_t *start_ns,
						   int64_t *end_ns);

/* Counts for the planner, buffers and filesets: cheap, approximate, without a snapshot. */
typedef struct M3Estimate
{
	uint64_t	series;
	uint64_t	points;
	uint64_t	summarized_points;	/* of these, in blocks on disk that have statistics */
	uint64_t	bytes;
	int64_t		first_block_ns; /* INT64_MAX / INT64_MIN when empty */
	int64_t		end_ns;
} M3Estimate;

extern M3Status m3_scan_estimate(M3Database *db, M3Slice namespace_name,
								 M3Estimate *estimate, M3Error *err);

/*
 * The same for the series that match: as if tags were independent of each other, points
 * and bytes in proportion to series.  Filters are asked about some values.  Values must not be
 * repeated.  series is 0 only if there is none indeed.
 *
 * What is not known yet is guessed: values, if the array is NULL but the count is not 0, are as
 * frequent as others are on average; for a filter without accepts() a share of the series with
 * the tag is assumed, of all if there is no name either.
 */
extern M3Status m3_scan_estimate_matching(M3Database *db, M3Slice namespace_name,
										  const M3Matcher *matchers, size_t matcher_count,
										  M3Estimate *estimate, M3Error *err);

#endif							/* M3_DB_SCAN_H */
