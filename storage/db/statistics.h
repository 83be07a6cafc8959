/*
 * Statistics of series in filesets: made by a flush, as the summaries that readers want.  For
 * storage/db only.
 */
#ifndef M3_DB_STATISTICS_H
#define M3_DB_STATISTICS_H

#include "storage/buffer/copy.h"
#include "storage/buffer/summary.h"
#include "storage/db/db_private.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/statistics.h"

/* Of statistics that are known. */
extern void m3i_summary_from_statistics(const M3SeriesStatistics *statistics, M3Summary *summary);

/* What a payload decodes to, as every reader of it does; used for one after the other. */
typedef struct M3Decoding
{
	M3Copy		copy;
	M3Points	points;
} M3Decoding;

extern void m3i_decoding_init(M3Decoding *decoding, M3Memory *memory);
extern void m3i_decoding_free(M3Decoding *decoding);

/* M3_CORRUPT: it does not decode, or goes back in time. */
extern M3Status m3i_decoding_run(M3Decoding *decoding, M3Slice payload, M3Error *err);

/*
 * Statistics of one fileset while it is flushed.  Nothing here fails a flush: after a failure
 * there are none, and calls do nothing.  Zero it first.
 */
typedef struct M3FlushStatistics
{
	M3Decoding *decoding;
	int64_t		start_ns;		/* of the block */
	int64_t		end_ns;
	M3StatisticsReader *before; /* of the volume before; NULL: none */
	M3StatisticsWriter *writer; /* NULL: no file will be written */
	bool		is_exact;		/* points are those of all series so far */
	uint64_t	points;
	uint64_t	size;			/* of the file, once it is finished */
} M3FlushStatistics;

/* before: the reader of the volume before, NULL if there is none. */
extern void m3i_flush_statistics_begin(M3FlushStatistics *statistics, M3Database *db,
									   M3Decoding *decoding, const char *directory,
									   const M3FilesetName *name, int64_t block_size_ns,
									   const M3FilesetName *before_name,
									   const M3FilesetReader *before);

/* The next series: its payload, and its points if they are at hand decoded (else NULL). */
extern void m3i_flush_statistics_add(M3FlushStatistics *statistics, M3Slice payload,
									 const M3Points *points);

/* The next series, whose payload is that of an entry of the volume before. */
extern void m3i_flush_statistics_carry(M3FlushStatistics *statistics, M3Slice payload,
									   const M3FilesetEntry *entry);

/* Before the fileset, which is finished, is published. */
extern void m3i_flush_statistics_finish(M3FlushStatistics *statistics,
										const M3FilesetHeader *header);

/* Removes what was not finished. */
extern void m3i_flush_statistics_end(M3FlushStatistics *statistics);

#endif							/* M3_DB_STATISTICS_H */
