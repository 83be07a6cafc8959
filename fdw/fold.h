/*
 * Summing up the points of series into cells, batch by batch as they are decoded, or block by
 * block as statistics know them.
 *
 *   fold.c       series, one after the other
 *   fold_rows.c  series side by side, where rows of several columns are counted
 */
#ifndef M3DB_FOLD_H
#define M3DB_FOLD_H

#include "fdw/buckets.h"
#include "fdw/cells.h"
#include "fdw/views.h"

/* One series, and the column it belongs to. */
typedef struct M3dbFoldMember
{
	size_t		series;
	int			column;
} M3dbFoldMember;

typedef struct M3dbRowTimes
{
	size_t		capacity;
	int64	   *times_ns;
} M3dbRowTimes;

typedef struct M3dbFold
{
	const M3dbReading *reading;
	MemoryContext context;		/* of scratch memory */
	M3dbViews  *views;
	M3dbPointFilter *where;		/* NULL: all points */
	M3dbBucketMap *buckets;		/* NULL: all is bucket 0 */
	bool		makes_cells;	/* a cell is there where rows are, else it is there anyway */
	M3Reader  **readers;		/* by column, made when needed */
	M3dbRowTimes rows[2];		/* scratch: times of rows */
	const M3Reader *whole;		/* of the series read first, all of whose rows have their cells;
								 * NULL: none, or not all */

	M3dbCells  *cells;			/* of the series to be read */
} M3dbFold;

/* reading->scan must not be NULL.  Readers go with it, or with m3db_fold_close. */
extern void m3db_fold_init(M3dbFold *fold, const M3dbReading *reading, M3dbViews *views);
extern void m3db_fold_close(M3dbFold *fold);

/* Reads all series of a row, at most one a column, and sums them up in fold->cells. */
extern void m3db_fold_series(M3dbFold *fold, const M3dbFoldMember *members, int count);

/* ---- between fold.c and fold_rows.c ---- */

/* Opens the column's reader on the series. */
extern M3Reader *m3db_fold_open(M3dbFold *fold, const M3dbFoldMember *member);

/* Sums up points of a column. */
extern void m3db_fold_points(M3dbFold *fold, int column, const M3PointBatch *batch);

/* Sums up rows: those at the given times, ascending. */
extern void m3db_fold_times(M3dbFold *fold, const int64 *times_ns, size_t count);

/* Whether points of the column are wanted, besides that there are rows. */
extern bool m3db_fold_wants(const M3dbFold *fold, int column);

/* Whether no condition but on the time stands between statistics and what is wanted; what a
 * summary of rows (column -1: those at its times) or of a column's points, which lie in one bucket,
 * says is to be taken as a whole then; and takes it. */
extern bool m3db_fold_can_summarize(const M3dbFold *fold, int column, const M3Summary *summary);
extern void m3db_fold_summary(M3dbFold *fold, int column, const M3Summary *summary,
							  uint32 bucket);

/* Reads series side by side. */
extern void m3db_fold_rows(M3dbFold *fold, const M3dbFoldMember *members, int count);

#endif							/* M3DB_FOLD_H */
