/*
 * What a transaction has written to one namespace and may read back itself:
 * sorted by series and time, one point per time.  For storage/db only.
 */
#ifndef M3_DB_OWN_POINTS_H
#define M3_DB_OWN_POINTS_H

#include "storage/buffer/points.h"
#include "storage/db/txn_private.h"

/* One series' stretch of the points. */
typedef struct M3OwnSeries
{
	M3Ref		ref;			/* of the shared series, 0 if there is none */
	uint32_t	number;			/* in the transaction */
	uint32_t	taken;			/* set by the scan once it has a place for it */
	size_t		first;
	size_t		end;
} M3OwnSeries;

typedef struct M3OwnPoints
{
	M3Txn	   *txn;
	M3PendingPoint *points;
	size_t		count;
	size_t		capacity;
	M3OwnSeries *series;		/* ascending by ref, those without a shared series first */
	size_t		series_count;
} M3OwnPoints;

/* Collects the points of the namespace in [start, end) written by commands below
 * command.  Free also after a failure. */
extern M3Status m3i_own_collect(M3OwnPoints *own, M3Txn *txn, M3Slice namespace_name,
								M3Ref namespace_ref, int64_t start_ns, int64_t end_ns,
								uint32_t command, M3Memory *memory, M3Error *err);
extern void m3i_own_free(M3OwnPoints *own, M3Memory *memory);

/* The stretch of a shared series, or NULL. */
extern M3OwnSeries *m3i_own_of_ref(const M3OwnPoints *own, M3Ref ref);

/* Appends the points of a stretch with start <= time < end. */
extern M3Status m3i_own_read(const M3OwnPoints *own, const M3OwnSeries *series,
							 int64_t start_ns, int64_t end_ns, M3Points *points,
							 M3Error *err);

#endif							/* M3_DB_OWN_POINTS_H */
