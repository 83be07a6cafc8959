/*
 * Buckets of a time zone: their boundaries are those of its clocks.
 *
 * Clocks are set forward and back.  A boundary that is skipped is at the moment the clock
 * jumps over it.  Of one that comes twice, both are boundaries if buckets are shorter than
 * a day, else the first.  So the buckets cut real time, too, into stretches that follow each
 * other, and each time lies at or after the start of its bucket.
 */
#ifndef M3DB_ZONE_H
#define M3DB_ZONE_H

#include "fmgr.h"
#include "functions/bucket.h"

typedef struct M3dbZone M3dbZone;

/*
 * The zone of a name, as AT TIME ZONE knows it; 22023 if it does not.  Kept in fn_extra,
 * which must be used for nothing else.  A name of several offsets (MSK) is taken for
 * the one it has at a finite time.
 */
extern M3dbZone *m3db_zone_of_call(FunctionCallInfo fcinfo, const text *name,
								   TimestampTz time);

/* The same, allocated in the current memory context; UTC if name is NULL. */
extern M3dbZone *m3db_zone_open(const text *name, TimestampTz time);

/* What the zone's clocks show at a finite time. */
extern Timestamp m3db_zone_local(M3dbZone *zone, TimestampTz time);

/* The start of the bucket that a finite time lies in. */
extern TimestampTz m3db_zone_bucket_start(M3dbZone *zone, const M3dbBuckets *buckets,
										  TimestampTz time);

/* The start of the bucket after the one that begins at start. */
extern TimestampTz m3db_zone_bucket_next(M3dbZone *zone, const M3dbBuckets *buckets,
										 TimestampTz start);

#endif							/* M3DB_ZONE_H */
