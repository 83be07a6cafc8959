/*
 * What the files of the reader share: the window on the file, and the series.
 */
#ifndef M3_LOG_READER_PRIVATE_H
#define M3_LOG_READER_PRIVATE_H

#include "storage/log/reader.h"

/* A stretch of the file in memory, moved forward as it is read. */
typedef struct M3LogWindow
{
	M3Env	   *env;
	M3Memory   *memory;
	const char *path;
	M3File	   *file;			/* NULL: opened when needed */
	uint64_t	file_size;
	uint64_t	offset;			/* of bytes[0] */
	size_t		size;
	size_t		capacity;
	uint8_t    *bytes;
} M3LogWindow;

/*
 * Makes size bytes at offset (all within file_size) available at *bytes, valid
 * until the next call.
 */
extern M3Status m3i_log_window_get(M3LogWindow *window, uint64_t offset, size_t size,
								   const uint8_t **bytes, M3Error *err);
extern void m3i_log_window_release(M3LogWindow *window);
extern void m3i_log_window_free(M3LogWindow *window);

/* Whether all bytes from start to end are zero. */
extern M3Status m3i_log_window_is_zero(M3LogWindow *window, uint64_t start, uint64_t end,
									   bool *is_zero, M3Error *err);

/*
 * What stands behind unreadable bytes at offset, whose chunk ends at chunk_end
 * (0: not known): says in *kind which end that makes.
 */
extern M3Status m3i_log_classify_damage(M3LogWindow *window, uint64_t offset,
										uint64_t chunk_end, M3LogEndKind *kind,
										M3Error *err);

/* Series by unique index. */
typedef struct M3LogSeriesTable
{
	M3Memory   *memory;
	M3LogSeries **slots;		/* a power of two, at most half of them used */
	size_t		slot_count;
	size_t		count;
	struct M3LogBlock *blocks;	/* series and their bytes lie in these */
	size_t		block_left;
	M3LogSeries *newest;
} M3LogSeriesTable;

extern M3LogSeries *m3i_log_series_find(const M3LogSeriesTable *table, uint64_t unique_index);

/* Copies metadata; the index is not in the table yet.  NULL when memory is exhausted. */
extern M3LogSeries *m3i_log_series_add(M3LogSeriesTable *table, uint64_t unique_index,
									   const M3LogSeriesMetadata *metadata);
extern void m3i_log_series_free(M3LogSeriesTable *table);

#endif							/* M3_LOG_READER_PRIVATE_H */
