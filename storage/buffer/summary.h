/*
 * What a stretch of a series' points comes to: count, first and last, least and greatest
 * value, sum and spread.  Statistics of blocks on disk are made with it as well as
 * aggregates, so both say the same.
 *
 * Values are compared as PostgreSQL compares float8: NaN equals NaN and is greater than all
 * others, -0 equals 0.  Sums are of IEEE arithmetic, in an order of our own.
 */
#ifndef M3_BUFFER_SUMMARY_H
#define M3_BUFFER_SUMMARY_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct M3Summary
{
	uint64_t	count;			/* 0: nothing else is set */
	int64_t		first_ns;		/* times of the first and the last point */
	int64_t		last_ns;
	double		first;			/* ... and their values */
	double		last;
	double		min;
	double		max;
	double		sum;
	double		squares;		/* sum of squared distances from the mean */
} M3Summary;

/* Which fields are wanted; count, times, first and last always are. */
typedef enum M3SummaryFields
{
	M3_SUMMARY_RANGE = 1 << 0,	/* min, max */
	M3_SUMMARY_SUM = 1 << 1,	/* sum; min and max too, see m3_summary_overflowed */
	M3_SUMMARY_SQUARES = 1 << 2 /* squares; sum, min and max too */
} M3SummaryFields;

#define M3_SUMMARY_ALL (M3_SUMMARY_RANGE | M3_SUMMARY_SUM | M3_SUMMARY_SQUARES)

/* Adds points, ascending, count > 0.  fields must be the same in all calls for a summary;
 * fields not wanted are unspecified. */
extern void m3_summary_add(M3Summary *summary, unsigned fields, const int64_t *times_ns,
						   const double *values, size_t count);

/* Adds another one, of points that need not lie behind.  Of equal first (last) times, the one
 * that was there stays. */
extern void m3_summary_merge(M3Summary *summary, unsigned fields, const M3Summary *other);

/* Finite values whose sum (or squares, if those were asked for) is not: PostgreSQL's own
 * aggregates raise an error then.  Needs M3_SUMMARY_SUM. */
extern bool m3_summary_overflowed(const M3Summary *summary, unsigned fields);

#endif							/* M3_BUFFER_SUMMARY_H */
