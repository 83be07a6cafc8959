#include "storage/buffer/summary.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/*
 * Four of each, as one would wait for itself.  In this form a comparison with NaN keeps what
 * there is, and is one machine instruction.
 */
#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define GREATER(a, b) ((a) > (b) ? (a) : (b))

/* min and max but for NaN, which is only to be found in the sum then.  Sums begin with what changes
 * nothing: 0 would make 0 of -0. */
static void
add_up(M3Summary *batch, const double *values, size_t count)
{
	double		min0 = INFINITY;
	double		min1 = INFINITY;
	double		min2 = INFINITY;
	double		min3 = INFINITY;
	double		max0 = -INFINITY;
	double		max1 = -INFINITY;
	double		max2 = -INFINITY;
	double		max3 = -INFINITY;
	double		sum0 = -0.0;
	double		sum1 = -0.0;
	double		sum2 = -0.0;
	double		sum3 = -0.0;
	size_t		i = 0;

	for (; i + 4 <= count; i += 4)
	{
		double		v0 = values[i];
		double		v1 = values[i + 1];
		double		v2 = values[i + 2];
		double		v3 = values[i + 3];

		min0 = LESSER(v0, min0);
		min1 = LESSER(v1, min1);
		min2 = LESSER(v2, min2);
		min3 = LESSER(v3, min3);
		max0 = GREATER(v0, max0);
		max1 = GREATER(v1, max1);
		max2 = GREATER(v2, max2);
		max3 = GREATER(v3, max3);
		sum0 += v0;
		sum1 += v1;
		sum2 += v2;
		sum3 += v3;
	}
	for (; i < count; i++)
	{
		min0 = LESSER(values[i], min0);
		max0 = GREATER(values[i], max0);
		sum0 += values[i];
	}
	min0 = LESSER(min1, min0);
	min2 = LESSER(min3, min2);
	max0 = GREATER(max1, max0);
	max2 = GREATER(max3, max2);
	batch->min = LESSER(min2, min0);
	batch->max = GREATER(max2, max0);
	batch->sum = (sum0 + sum1) + (sum2 + sum3);
}

/* After a sum that is not finite: there is NaN among the values, or infinity, or the sum went
 * beyond what a double holds; perhaps only in our order, then not in that of the points. */
static void
add_up_slowly(M3Summary *batch, const double *values, size_t count)
{
	size_t		nans = 0;
	double		sum = -0.0;

	for (size_t i = 0; i < count; i++)
	{
		nans += isnan(values[i]) ? 1 : 0;
		sum += values[i];
	}
	batch->sum = sum;
	if (nans > 0)
		batch->max = NAN;
	if (nans == count)
		batch->min = NAN;
}

static double
squared_distances(const double *values, size_t count, double mean)
{
	double		sum0 = 0;
	double		sum1 = 0;
	double		sum2 = 0;
	double		sum3 = 0;
	size_t		i = 0;

	for (; i + 4 <= count; i += 4)
	{
		double		d0 = values[i] - mean;
		double		d1 = values[i + 1] - mean;
		double		d2 = values[i + 2] - mean;
		double		d3 = values[i + 3] - mean;

		sum0 += d0 * d0;
		sum1 += d1 * d1;
		sum2 += d2 * d2;
		sum3 += d3 * d3;
	}
	for (; i < count; i++)
		sum0 += (values[i] - mean) * (values[i] - mean);
	return (sum0 + sum1) + (sum2 + sum3);
}

/* Equal values have no distance, however their mean was rounded. */
static bool
is_constant(const M3Summary *summary)
{
	return summary->min == summary->max && isfinite(summary->min);
}

void
m3_summary_add(M3Summary *summary, unsigned fields, const int64_t *times_ns,
			   const double *values, size_t count)
{
	M3Summary	batch;

	/* made whole before it is merged: so it comes to the same if it is read or known from
	 * statistics */
	batch.count = count;
	batch.first_ns = times_ns[0];
	batch.last_ns = times_ns[count - 1];
	batch.first = values[0];
	batch.last = values[count - 1];
	batch.min = batch.max = batch.sum = batch.squares = 0;
	if (fields != 0)
	{
		add_up(&batch, values, count);
		if (!isfinite(batch.sum))
			add_up_slowly(&batch, values, count);
	}
	if ((fields & M3_SUMMARY_SQUARES) != 0 && !is_constant(&batch))
		batch.squares = squared_distances(values, count, batch.sum / (double) count);
	m3_summary_merge(summary, fields, &batch);
}

/* NaN is the greatest of all. */
static void
merge_range(M3Summary *summary, const M3Summary *other)
{
	if (isnan(summary->min) || other->min < summary->min)
		summary->min = other->min;
	if (isnan(other->max) || other->max > summary->max)
		summary->max = other->max;
}

/* By Chan, Golub and LeVeque.  Before the sum and the count are merged, after the range. */
static void
merge_squares(M3Summary *summary, const M3Summary *other)
{
	double		count = (double) summary->count;
	double		more = (double) other->count;
	double		distance = other->sum / more - summary->sum / count;

	summary->squares += other->squares + distance * distance * (count * more / (count + more));
	if (is_constant(summary))
		summary->squares = 0;
}

void
m3_summary_merge(M3Summary *summary, unsigned fields, const M3Summary *other)
{
	if (other->count == 0)
		return;
	if (summary->count == 0)
	{
		*summary = *other;
		return;
	}
	if (other->first_ns < summary->first_ns)
	{
		summary->first_ns = other->first_ns;
		summary->first = other->first;
	}
	if (other->last_ns > summary->last_ns)
	{
		summary->last_ns = other->last_ns;
		summary->last = other->last;
	}
	if (fields != 0)
		merge_range(summary, other);
	if ((fields & M3_SUMMARY_SQUARES) != 0)
		merge_squares(summary, other);
	if ((fields & (M3_SUMMARY_SUM | M3_SUMMARY_SQUARES)) != 0)
		summary->sum += other->sum;
	summary->count += other->count;
}

bool
m3_summary_overflowed(const M3Summary *summary, unsigned fields)
{
	if (summary->count == 0 || !isfinite(summary->min) || !isfinite(summary->max))
		return false;
	return !isfinite(summary->sum) ||
		((fields & M3_SUMMARY_SQUARES) != 0 && !isfinite(summary->squares));
}
