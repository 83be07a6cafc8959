/*
 * time_bucket(): the start of the bucket that a value lies in.
 *
 * Without a time zone, buckets of a timestamptz are those of UTC, offsets included, so that
 * no result depends on a setting.
 */
#include "postgres.h"

#include "fmgr.h"
#include "functions/bucket.h"
#include "functions/zone.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(m3db_time_bucket_timestamp);
PG_FUNCTION_INFO_V1(m3db_time_bucket_timestamp_offset);
PG_FUNCTION_INFO_V1(m3db_time_bucket_zone);
PG_FUNCTION_INFO_V1(m3db_time_bucket_date);
PG_FUNCTION_INFO_V1(m3db_time_bucket_date_offset);
PG_FUNCTION_INFO_V1(m3db_time_bucket_int2);
PG_FUNCTION_INFO_V1(m3db_time_bucket_int4);
PG_FUNCTION_INFO_V1(m3db_time_bucket_int8);

/* ---- timestamp, and timestamptz in UTC ---- */

static Timestamp
bucket_of(const Interval *width, Timestamp time, const Timestamp *origin,
		  const Interval *offset)
{
	M3dbBuckets buckets;

	m3db_buckets_init(&buckets, width, origin, offset);
	return TIMESTAMP_NOT_FINITE(time) ? time : m3db_bucket_start(&buckets, time);
}

/* (width, time [, origin]) */
Datum
m3db_time_bucket_timestamp(PG_FUNCTION_ARGS)
{
	Timestamp	origin = PG_NARGS() > 2 ? PG_GETARG_TIMESTAMP(2) : 0;

	PG_RETURN_TIMESTAMP(bucket_of(PG_GETARG_INTERVAL_P(0), PG_GETARG_TIMESTAMP(1),
								  PG_NARGS() > 2 ? &origin : NULL, NULL));
}

/* (width, time, offset) */
Datum
m3db_time_bucket_timestamp_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMP(bucket_of(PG_GETARG_INTERVAL_P(0), PG_GETARG_TIMESTAMP(1), NULL,
								  PG_GETARG_INTERVAL_P(2)));
}

/* ---- timestamptz in a time zone ---- */

/* (width, time, zone, origin or NULL, offset or NULL) */
Datum
m3db_time_bucket_zone(PG_FUNCTION_ARGS)
{
	const Interval *width = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);
	const Interval *offset = PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4);
	Timestamp	origin = PG_ARGISNULL(3) ? 0 : PG_GETARG_TIMESTAMPTZ(3);
	TimestampTz time;
	M3dbZone   *zone;
	M3dbBuckets buckets;

	if (width == NULL || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	time = PG_GETARG_TIMESTAMPTZ(1);
	zone = m3db_zone_of_call(fcinfo, PG_GETARG_TEXT_PP(2),
							 TIMESTAMP_NOT_FINITE(time) ? 0 : time);
	if (!PG_ARGISNULL(3) && !TIMESTAMP_NOT_FINITE(origin))
		origin = m3db_zone_local(zone, origin);
	m3db_buckets_init(&buckets, width, PG_ARGISNULL(3) ? NULL : &origin, offset);
	if (TIMESTAMP_NOT_FINITE(time))
		PG_RETURN_TIMESTAMPTZ(time);
	PG_RETURN_TIMESTAMPTZ(m3db_zone_bucket_start(zone, &buckets, time));
}

/* ---- date ---- */

static Timestamp
midnight(DateADT date)
{
	return DatumGetTimestamp(DirectFunctionCall1(date_timestamp, DateADTGetDatum(date)));
}

static DateADT
date_bucket(const Interval *width, DateADT date, const Timestamp *origin,
			const Interval *offset)
{
	if (width->month == 0 && width->time % USECS_PER_DAY != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bucket width of dates must be whole days or months")));
	if (offset != NULL && offset->time % USECS_PER_DAY != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("offset of dates must be whole days or months")));
	return DatumGetDateADT(DirectFunctionCall1(timestamp_date, TimestampGetDatum(
		bucket_of(width, midnight(date), origin, offset))));
}

/* (width, date [, origin]) */
Datum
m3db_time_bucket_date(PG_FUNCTION_ARGS)
{
	Timestamp	origin = PG_NARGS() > 2 ? midnight(PG_GETARG_DATEADT(2)) : 0;

	PG_RETURN_DATEADT(date_bucket(PG_GETARG_INTERVAL_P(0), PG_GETARG_DATEADT(1),
								  PG_NARGS() > 2 ? &origin : NULL, NULL));
}

/* (width, date, offset) */
Datum
m3db_time_bucket_date_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(date_bucket(PG_GETARG_INTERVAL_P(0), PG_GETARG_DATEADT(1), NULL,
								  PG_GETARG_INTERVAL_P(2)));
}

/* ---- integers ---- */

static int64
integer_bucket(int64 width, int64 value, int64 offset, int64 minimum, const char *type)
{
	int64		start;

	if (width <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bucket width must be greater than zero")));
	if (!m3db_floor_to(value, width, offset, &start) || start < minimum)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s out of range", type)));
	return start;
}

/* (width, value [, offset]) */
Datum
m3db_time_bucket_int2(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16((int16) integer_bucket(PG_GETARG_INT16(0), PG_GETARG_INT16(1),
										   PG_NARGS() > 2 ? PG_GETARG_INT16(2) : 0,
										   PG_INT16_MIN, "smallint"));
}

Datum
m3db_time_bucket_int4(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) integer_bucket(PG_GETARG_INT32(0), PG_GETARG_INT32(1),
										   PG_NARGS() > 2 ? PG_GETARG_INT32(2) : 0,
										   PG_INT32_MIN, "integer"));
}

Datum
m3db_time_bucket_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(integer_bucket(PG_GETARG_INT64(0), PG_GETARG_INT64(1),
								   PG_NARGS() > 2 ? PG_GETARG_INT64(2) : 0,
								   PG_INT64_MIN, "bigint"));
}
