/*
 * What the points of each series in a data fileset come to: a file of our own beside its seven,
 * so that whole blocks are answered without their streams.
 *
 *   header       80 bytes, little-endian words of eight:
 *                "M3DBSTAT", version, block start, volume, XXH64 of the digest file,
 *                entries, points, bytes of all groups, XXH64 of the directory, XXH64 of the above
 *   groups       32 entries each, in the order in which the fileset was written
 *   directory    of each group its bytes (4) and its XXH64 (8)
 *
 * An entry is a varint of twice its number of points, plus 1 if a record follows; that is a byte
 * with the record's size, and the record:
 *
 *   head         3 bytes: bits 0-1 unit of times (ns, us, ms, s), then three bits for each value:
 *                7 a float8 of eight bytes, else a decimal with so many digits after its point
 *   times        16 bytes: XXH3 of all times in order, 128 bits, its lower half first; then
 *                varints: the first one since the block's start, the last one since the first
 *   values       first, last, min, max, sum, squares; decimals as varints, zigzag
 *
 * Records are written of series to whose payload they add little.
 *
 * Statistics only save time, so they are neither synced nor missed.  They are believed if every
 * hash holds from the header down to what is read, and the header is of the very fileset
 * that they lie beside; else there are none.
 */
#ifndef M3_FILESET_STATISTICS_H
#define M3_FILESET_STATISTICS_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"

/* A record takes at most such a part of the payload it stands for: a point each ten seconds of two
 * hours still has one. */
#define M3_STATISTICS_SHARE 14u
/* Statistics as large are kept in memory whole by whoever opens them. */
#define M3_STATISTICS_SMALL (64 * 1024)

/* Of one series.  Values as in M3Summary, which this module does not know. */
typedef struct M3SeriesStatistics
{
	uint64_t	count;
	bool		is_known;		/* the rest, too; always if count is 0, and then nothing is set */
	int64_t		first_ns;
	int64_t		last_ns;
	uint64_t	times[2];		/* m3_xxh3_128_le64() of the times of all points */
	double		first;
	double		last;
	double		min;
	double		max;
	double		sum;
	double		squares;
} M3SeriesStatistics;

/* --- writing ------------------------------------------------------------ */

typedef struct M3StatisticsWriter M3StatisticsWriter;

/* Replaces what is there.  directory is the shard's, and exists.  Memory is half a byte per
 * series. */
extern M3Status m3_statistics_writer_create(M3Env *env, M3Memory *memory, const char *directory,
											const M3FilesetName *name,
											M3StatisticsWriter **writer, M3Error *err);

/* The next series of the fileset, in order of writing, with the size of its payload. */
extern M3Status m3_statistics_writer_add(M3StatisticsWriter *writer,
										 const M3SeriesStatistics *statistics,
										 size_t payload_size, M3Error *err);

/* header is that of the finished fileset; M3_INVALID if it does not have as many series. */
extern M3Status m3_statistics_writer_finish(M3StatisticsWriter *writer,
											const M3FilesetHeader *header, uint64_t *size,
											M3Error *err);

/* NULL allowed.  Removes the file unless it was finished. */
extern void m3_statistics_writer_free(M3StatisticsWriter *writer);

/* --- reading ------------------------------------------------------------ */

typedef struct M3StatisticsReader M3StatisticsReader;

/*
 * Statistics of the fileset that has this header.  M3_NOT_FOUND: there are none.  M3_CORRUPT,
 * M3_UNSUPPORTED: they are not to be believed, err says why.
 */
extern M3Status m3_statistics_open(M3Env *env, M3Memory *memory, const char *directory,
								   const M3FilesetName *name, const M3FilesetHeader *header,
								   M3StatisticsReader **reader, M3Error *err);
extern void m3_statistics_close(M3StatisticsReader *reader);	/* NULL allowed */

/* The points of all series; errors as above.  Reads nothing else. */
extern M3Status m3_statistics_read_points(M3Env *env, const char *directory,
										  const M3FilesetName *name,
										  const M3FilesetHeader *header, uint64_t *points,
										  M3Error *err);

extern uint64_t m3_statistics_points(const M3StatisticsReader *reader);

/* Bytes it keeps. */
extern size_t m3_statistics_memory(const M3StatisticsReader *reader);

/* Of the entry with that ordinal; M3_CORRUPT if there is none, or it is damaged. */
extern M3Status m3_statistics_get(M3StatisticsReader *reader, int64_t ordinal,
								  M3SeriesStatistics *statistics, M3Error *err);

/* --- single bytes, for tools and tests ---------------------------------- */

#define M3_STATISTICS_MAGIC "M3DBSTAT"
#define M3_STATISTICS_HEADER_SIZE 80
#define M3_STATISTICS_GROUP 32u	/* entries */
#define M3_STATISTICS_PLACE 12	/* bytes of a group in the directory */
#define M3_STATISTICS_ENTRY_MAX_SIZE (10 + 1 + 3 + 16 + 2 * 10 + 6 * 8)

typedef struct M3StatisticsHeader
{
	int64_t		block_start_ns;
	int64_t		volume;
	uint64_t	fileset;		/* XXH64 of its digest file */
	uint64_t	entries;
	uint64_t	points;
	uint64_t	groups_size;
	uint64_t	directory;		/* XXH64 */
} M3StatisticsHeader;

extern void m3_statistics_header_encode(const M3StatisticsHeader *header, uint8_t *out);
extern M3Status m3_statistics_header_decode(M3Slice bytes, M3StatisticsHeader *header,
											M3Error *err);

/* What M3StatisticsHeader.fileset has to be. */
extern uint64_t m3_statistics_fileset(const M3FilesetHeader *header);

/* Returns the size, at most M3_STATISTICS_ENTRY_MAX_SIZE.  The record is left out if the payload
 * is too small for it, or its times are not at or after the block's start, in order. */
extern size_t m3_statistics_entry_encode(const M3SeriesStatistics *statistics,
										 int64_t block_start_ns, size_t payload_size,
										 uint8_t *out);
/* Any statistics (NULL: not wanted) from the beginning of bytes; the size, or 0: malformed. */
extern size_t m3_statistics_entry_decode(M3Slice bytes, int64_t block_start_ns,
										 M3SeriesStatistics *statistics);

#endif							/* M3_FILESET_STATISTICS_H */
