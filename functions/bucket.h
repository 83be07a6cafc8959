/*
 * Buckets: the time axis cut into stretches of equal width.
 *
 * A width is either a span of time, where a day counts 24 hours, or a number of months.
 * Everything here reckons with clock times; which instants these are is for zone.h.
 * Results that no timestamp can show are an error (22008).
 */
#ifndef M3DB_BUCKET_H
#define M3DB_BUCKET_H

#include "datatype/timestamp.h"

typedef struct M3dbBuckets
{
	int32		months;			/* the width, or 0 */
	int64		width_us;		/* the width if not of months */
	Timestamp	origin;			/* a boundary, unless the width is of months */
	int64		origin_month;	/* a month with a boundary */
	int64		shift_us;		/* from the start of a month to the boundary */
} M3dbBuckets;

/*
 * Buckets of a width, which must be positive, and months alone (22023, 0A000).  They begin
 * at origin, or if that is NULL on Monday 2000-01-03 or, months, on 2000-01-01; of the origin
 * of months only its month counts.  offset, unless NULL, moves them.
 */
extern void m3db_buckets_init(M3dbBuckets *buckets, const Interval *width,
							  const Timestamp *origin, const Interval *offset);

/* The start of the bucket that a finite time lies in. */
extern Timestamp m3db_bucket_start(const M3dbBuckets *buckets, Timestamp time);

/* The start of the bucket after the one that begins at start. */
extern Timestamp m3db_bucket_next(const M3dbBuckets *buckets, Timestamp start);

/* Whether a bucket is shorter than a day. */
extern bool m3db_buckets_below_day(const M3dbBuckets *buckets);

/*
 * The largest origin + n * width that is not above value, for a positive width.  False
 * if that is no int64.
 */
extern bool m3db_floor_to(int64 value, int64 width, int64 origin, int64 *start);

/* value, if it is a timestamp; else the error. */
extern Timestamp m3db_check_timestamp(Timestamp value);

#endif							/* M3DB_BUCKET_H */
