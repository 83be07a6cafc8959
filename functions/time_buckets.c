/*
 * time_buckets(): the starts of all buckets that a range of time touches.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "functions/bucket.h"
#include "functions/zone.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(m3db_time_buckets);

typedef struct Listing
{
	M3dbZone   *zone;
	M3dbBuckets buckets;
	TimestampTz next;			/* a start */
	TimestampTz finish;
} Listing;

static void
begin(Listing *listing, FunctionCallInfo fcinfo)
{
	bool		in_zone = PG_NARGS() > 3;
	TimestampTz start = PG_GETARG_TIMESTAMPTZ(1);
	Timestamp	origin = 0;
	bool		have_origin = in_zone && !PG_ARGISNULL(4);
	bool		have_offset = in_zone && !PG_ARGISNULL(5);

	listing->finish = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(start) || TIMESTAMP_NOT_FINITE(listing->finish))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("buckets can be listed between finite times only")));
	listing->zone = m3db_zone_open(in_zone ? PG_GETARG_TEXT_PP(3) : NULL, start);
	if (have_origin)
	{
		origin = PG_GETARG_TIMESTAMPTZ(4);
		if (!TIMESTAMP_NOT_FINITE(origin))
			origin = m3db_zone_local(listing->zone, origin);
	}
	m3db_buckets_init(&listing->buckets, PG_GETARG_INTERVAL_P(0),
					  have_origin ? &origin : NULL,
					  have_offset ? PG_GETARG_INTERVAL_P(5) : NULL);
	listing->next = m3db_zone_bucket_start(listing->zone, &listing->buckets, start);
	if (start >= listing->finish)
		listing->next = listing->finish;
}

/* (width, start, finish [, zone, origin or NULL, offset or NULL]) */
Datum
m3db_time_buckets(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	Listing    *listing;
	TimestampTz start;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old_context;

		context = SRF_FIRSTCALL_INIT();
		old_context = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && !PG_ARGISNULL(2) &&
			(PG_NARGS() == 3 || !PG_ARGISNULL(3)))
		{
			context->user_fctx = palloc(sizeof(Listing));
			begin(context->user_fctx, fcinfo);
		}
		MemoryContextSwitchTo(old_context);
	}
	context = SRF_PERCALL_SETUP();
	listing = context->user_fctx;
	if (listing == NULL || listing->next >= listing->finish)
		SRF_RETURN_DONE(context);
	start = listing->next;
	listing->next = m3db_zone_bucket_next(listing->zone, &listing->buckets, start);
	SRF_RETURN_NEXT(context, TimestampTzGetDatum(start));
}
