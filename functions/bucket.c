/*
 * Buckets: the arithmetic.
 *
 * Months are numbered from January of the year 0 of the astronomers, 1 BC, so that
 * months, too, are floored like any other number.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "functions/bucket.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define DEFAULT_ORIGIN (2 * USECS_PER_DAY)	/* Monday 2000-01-03 */
#define DEFAULT_ORIGIN_MONTH (INT64CONST(2000) * MONTHS_PER_YEAR)

static void
out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("timestamp out of range")));
}

Timestamp
m3db_check_timestamp(Timestamp value)
{
	if (!IS_VALID_TIMESTAMP(value))
		out_of_range();
	return value;
}

static int64
modulo(int64 value, int64 width)
{
	int64		rest = value % width;

	return rest < 0 ? rest + width : rest;
}

bool
m3db_floor_to(int64 value, int64 width, int64 origin, int64 *start)
{
	int64		above = modulo(value, width) - modulo(origin, width);

	if (above < 0)
		above += width;
	return !pg_sub_s64_overflow(value, above, start);
}

static Timestamp
floor_time(Timestamp time, int64 width_us, Timestamp origin)
{
	int64		start;

	if (!m3db_floor_to(time, width_us, origin, &start))
		out_of_range();
	return start;
}

static int64
month_of(Timestamp time)
{
	int64		days = floor_time(m3db_check_timestamp(time), USECS_PER_DAY, 0) / USECS_PER_DAY;
	int			year;
	int			month;
	int			day;

	j2date((int) (days + POSTGRES_EPOCH_JDATE), &year, &month, &day);
	return (int64) year * MONTHS_PER_YEAR + month - 1;
}

static Timestamp
start_of_month(int64 month)
{
	int			month_of_year = (int) modulo(month, MONTHS_PER_YEAR) + 1;
	int64		year = (month - month_of_year + 1) / MONTHS_PER_YEAR;
	int64		days;
	Timestamp	start;

	if (!IS_VALID_JULIAN(year, month_of_year, 1))
		out_of_range();
	days = (int64) date2j((int) year, month_of_year, 1) - POSTGRES_EPOCH_JDATE;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &start))
		out_of_range();
	return start;
}

/* The days and the time of an interval as one span. */
static int64
span_us(const Interval *interval, const char *what)
{
	int64		span;

	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &span) ||
		pg_add_s64_overflow(span, interval->time, &span))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s out of range", what)));
	return span;
}

static void
init_months(M3dbBuckets *buckets, const Interval *width, const Timestamp *origin,
			const Interval *offset)
{
	if (width->day != 0 || width->time != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("bucket width must not combine months with days or time"),
				 errdetail("Months differ in length.")));
	buckets->months = width->month;
	buckets->origin_month = origin == NULL ? DEFAULT_ORIGIN_MONTH : month_of(*origin);
	if (offset != NULL)
	{
		buckets->origin_month += offset->month;
		buckets->shift_us = span_us(offset, "offset");
	}
}

/* The origin, moved by a span: a boundary near it, so that nothing overflows. */
static Timestamp
move_origin(Timestamp origin, int64 shift_us, int64 width_us)
{
	int64		rest = modulo(origin, width_us);
	int64		room = width_us - modulo(shift_us, width_us);

	return rest >= room ? rest - room : rest + (width_us - room);
}

static void
init_span(M3dbBuckets *buckets, const Interval *width, const Timestamp *origin,
		  const Interval *offset)
{
	buckets->width_us = span_us(width, "bucket width");
	buckets->origin = origin == NULL ? DEFAULT_ORIGIN : *origin;
	if (buckets->width_us <= 0 || offset == NULL)
		return;
	if (offset->month == 0)
		buckets->origin = move_origin(buckets->origin, span_us(offset, "offset"),
									  buckets->width_us);
	else
		buckets->origin = m3db_check_timestamp(DatumGetTimestamp(
			DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(buckets->origin),
								IntervalPGetDatum(offset))));
}

void
m3db_buckets_init(M3dbBuckets *buckets, const Interval *width, const Timestamp *origin,
				  const Interval *offset)
{
	memset(buckets, 0, sizeof(*buckets));
	if (origin != NULL && TIMESTAMP_NOT_FINITE(*origin))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("origin out of range")));
	if (width->month != 0)
		init_months(buckets, width, origin, offset);
	else
		init_span(buckets, width, origin, offset);
	if (buckets->months < 0 || (buckets->months == 0 && buckets->width_us <= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bucket width must be greater than zero")));
}

bool
m3db_buckets_below_day(const M3dbBuckets *buckets)
{
	return buckets->months == 0 && buckets->width_us < USECS_PER_DAY;
}

static Timestamp
add(Timestamp time, int64 span)
{
	Timestamp	sum;

	if (pg_add_s64_overflow(time, span, &sum))
		out_of_range();
	return m3db_check_timestamp(sum);
}

Timestamp
m3db_bucket_start(const M3dbBuckets *buckets, Timestamp time)
{
	Timestamp	in_month;
	int64		month;

	if (buckets->months == 0)
		return m3db_check_timestamp(floor_time(time, buckets->width_us, buckets->origin));
	if (pg_sub_s64_overflow(time, buckets->shift_us, &in_month) ||
		!m3db_floor_to(month_of(in_month), buckets->months, buckets->origin_month, &month))
		out_of_range();
	return add(start_of_month(month), buckets->shift_us);
}

Timestamp
m3db_bucket_next(const M3dbBuckets *buckets, Timestamp start)
{
	if (buckets->months == 0)
		return add(start, buckets->width_us);
	/* Still the start of a month, but for the shift. */
	return add(start_of_month(month_of(start - buckets->shift_us) + buckets->months),
			   buckets->shift_us);
}
