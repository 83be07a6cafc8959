/*
 * Rows of several units of a scan, merged by time.
 *
 * A unit waits with a bound for its next time, and is decoded when its turn comes.
 * Of what was decoded a unit keeps a window of rows: all of them share the readers, and a
 * block longer than its unit's window is decoded again.  Windows grow as they are used up, and
 * together have work_mem, but at least a few rows each.
 */
#ifndef M3DB_MERGE_H
#define M3DB_MERGE_H

#include "fdw/align.h"

typedef struct M3dbMerge M3dbMerge;

/* Made in the current memory context. */
extern M3dbMerge *m3db_merge_create(M3dbAligner *aligner, bool backward);

/* Begins with units, given by their numbers; what was merged before is forgotten. */
extern void m3db_merge_open(M3dbMerge *merge, const uint32 *units, size_t count);

/* Sets the reading's projection to the next row; false at the end.  Called in a
 * short-lived memory context. */
extern bool m3db_merge_next(M3dbMerge *merge);

/* Rows a unit's window may come to hold if there are so many units of so many columns. */
extern double m3db_merge_window(double units, int columns);

#endif							/* M3DB_MERGE_H */
