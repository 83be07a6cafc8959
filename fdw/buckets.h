/*
 * Which bucket a time lies in, for a bucket that is any function of the time column's value.
 *
 * The function is evaluated at times of points only, and between two of them, so it raises no
 * error that evaluating it for each row would not raise.  It is not evaluated for each, though:
 * it does not fall while the time rises, so what lies between two times of the same bucket is in
 * that bucket, too.  Such spans of time are remembered, for all series.  Where clocks are
 * set forward or back, the function may fall: no span reaches over that.
 */
#ifndef M3DB_BUCKETS_H
#define M3DB_BUCKETS_H

#include "fdw/table.h"
#include "nodes/execnodes.h"

typedef struct M3dbBucketMap M3dbBucketMap;

/*
 * state: the function compiled, with the time as case value; expr: the same, of a type with
 * hashing.  zone: as in M3dbAggregateBucket.  Allocated in a memory context below the current one.
 */
extern M3dbBucketMap *m3db_buckets_create(ExprState *state, const Expr *expr,
										  ExprContext *econtext, M3dbRole time_role,
										  const char *zone);

/* Number of the bucket of the point at *position, and moves *position past the points that
 * follow in the same one. */
extern uint32 m3db_buckets_next(M3dbBucketMap *map, const int64 *times_ns, size_t count,
								size_t *position);

/* Whether all between two points lies in one bucket, and which that is. */
extern bool m3db_buckets_is_one(M3dbBucketMap *map, int64 first_ns, int64 last_ns,
								uint32 *bucket);

/* Whether more than one bucket is known to begin within a range.  Evaluates nothing. */
extern bool m3db_buckets_is_split(M3dbBucketMap *map, int64 first_ns, int64 last_ns);

/*
 * Calls back for each bucket between two times, the first and last included; false if it cannot
 * be told which they are, or when the callback says so.
 */
typedef bool (*M3dbBucketFn) (void *context, uint32 bucket);
extern bool m3db_buckets_all_between(M3dbBucketMap *map, int64 first_ns, int64 last_ns,
									 M3dbBucketFn holds, void *context);

/* What the function gives for a bucket; valid as long as the map. */
extern Datum m3db_buckets_value(const M3dbBucketMap *map, uint32 bucket, bool *is_null);

#endif							/* M3DB_BUCKETS_H */
