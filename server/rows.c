/*
 * Rows of the functions behind views.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "server/rows.h"
#include "server/server.h"

/* ---- values ---- */

void
m3db_put(M3dbRow *row, Datum value)
{
	Assert(row->count < M3DB_MAX_COLUMNS);
	row->values[row->count] = value;
	row->nulls[row->count] = false;
	row->count++;
}

void
m3db_put_null(M3dbRow *row)
{
	Assert(row->count < M3DB_MAX_COLUMNS);
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count] = true;
	row->count++;
}

void
m3db_put_count(M3dbRow *row, uint64 count)
{
	m3db_put(row, Int64GetDatum((int64) count));
}

void
m3db_put_text(M3dbRow *row, const char *text)
{
	if (text[0] != '\0')
		m3db_put(row, CStringGetTextDatum(text));
	else
		m3db_put_null(row);
}

/* Foreign bytes must not keep the rest of a view from being looked at. */
static char *
readable(M3Slice text)
{
	char	   *copy = palloc(text.size + 1);

	for (size_t i = 0; i < text.size; i++)
		copy[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? (char) text.data[i] : '?';
	copy[text.size] = '\0';
	return copy;
}

void
m3db_put_utf8(M3dbRow *row, M3Slice text)
{
	const char *converted;

	if (!m3_utf8_is_valid(text) || (text.size > 0 && memchr(text.data, 0, text.size) != NULL))
	{
		m3db_put(row, CStringGetTextDatum(readable(text)));
		return;
	}
	converted = pg_any_to_server((const char *) text.data, (int) text.size, PG_UTF8);
	if (converted == (const char *) text.data)
		m3db_put(row, PointerGetDatum(cstring_to_text_with_len(converted, (int) text.size)));
	else
		m3db_put(row, CStringGetTextDatum(converted));
}

void
m3db_put_time(M3dbRow *row, int64 time_ns)
{
	if (time_ns != 0 && time_ns != PG_INT64_MAX && time_ns != PG_INT64_MIN)
		m3db_put(row, TimestampTzGetDatum(time_ns / 1000 -
										  (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
										  USECS_PER_DAY));
	else
		m3db_put_null(row);
}

void
m3db_put_duration(M3dbRow *row, int64 duration_ns, bool zero_is_null)
{
	const int64 day_ns = USECS_PER_DAY * INT64CONST(1000);
	Interval   *interval;

	if (duration_ns == 0 && zero_is_null)
	{
		m3db_put_null(row);
		return;
	}
	interval = palloc0(sizeof(Interval));
	interval->day = (int32) (duration_ns / day_ns);
	interval->time = duration_ns % day_ns / 1000;
	m3db_put(row, IntervalPGetDatum(interval));
}

/* ---- rows ---- */

void
m3db_emit(FunctionCallInfo fcinfo, M3dbRow *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
}

Datum
m3db_row_datum(FunctionCallInfo fcinfo, M3dbRow *row)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(row->count == desc->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), row->values, row->nulls));
}

/* ---- lists ---- */

void
m3db_listing_begin(M3dbListing *listing, FunctionCallInfo fcinfo, void *context)
{
	memset(listing, 0, sizeof(*listing));
	listing->fcinfo = fcinfo;
	listing->context = context;
	listing->row_context = AllocSetContextCreate(CurrentMemoryContext, "m3db row",
												 ALLOCSET_DEFAULT_SIZES);
	HOLD_INTERRUPTS();
}

M3Status
m3db_listing_row(M3dbListing *listing, M3dbFillRow fill, const void *info)
{
	MemoryContext old_context = MemoryContextSwitchTo(listing->row_context);
	uint32		holdoff = InterruptHoldoffCount;
	M3dbRow		row = {0};

	listing->cancelled = QueryCancelPending || ProcDiePending;
	if (!listing->cancelled)
	{
		PG_TRY();
		{
			fill(&row, info, listing->context);
			if (row.count > 0)
				m3db_emit(listing->fcinfo, &row);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(old_context);
			listing->error = CopyErrorData();
			FlushErrorState();
			InterruptHoldoffCount = holdoff;
		}
		PG_END_TRY();
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(listing->row_context);
	return listing->cancelled || listing->error != NULL ? M3_INVALID : M3_OK;
}

void
m3db_listing_end(M3dbListing *listing, M3Status status, const M3Error *err)
{
	RESUME_INTERRUPTS();
	MemoryContextDelete(listing->row_context);
	if (listing->error != NULL)
		ReThrowError(listing->error);
	CHECK_FOR_INTERRUPTS();
	if (listing->cancelled)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling statement due to user request")));
	m3db_check(status, err);
}
