/*
 * Window functions that fill gaps: locf() with the value before, interpolate() with one on
 * the line between the value before and the value after.
 *
 * Both go by the partition, whatever the frame.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "windowapi.h"

PG_FUNCTION_INFO_V1(m3db_locf);
PG_FUNCTION_INFO_V1(m3db_interpolate);

/* In fn_extra: the last value, which outlives its row. */
typedef struct Carried
{
	int16		size;
	bool		by_value;
	bool		allocated;
	Datum		datum;
} Carried;

static Carried *
carried_of_call(FunctionCallInfo fcinfo)
{
	Carried    *carried = fcinfo->flinfo->fn_extra;

	if (carried == NULL)
	{
		carried = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(*carried));
		get_typlenbyval(get_fn_expr_argtype(fcinfo->flinfo, 0), &carried->size,
						&carried->by_value);
		fcinfo->flinfo->fn_extra = carried;
	}
	return carried;
}

static void
carry(Carried *carried, Datum datum, MemoryContext context)
{
	MemoryContext old_context = MemoryContextSwitchTo(context);

	if (carried->allocated)
		pfree(DatumGetPointer(carried->datum));
	carried->allocated = false;
	carried->datum = datumCopy(datum, carried->by_value, carried->size);
	carried->allocated = !carried->by_value;
	MemoryContextSwitchTo(old_context);
}

Datum
m3db_locf(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	bool	   *have_value = WinGetPartitionLocalMemory(window, sizeof(*have_value));
	Carried    *carried = carried_of_call(fcinfo);
	bool		is_null;
	Datum		datum = WinGetFuncArgCurrent(window, 0, &is_null);

	/* No earlier row is needed again. */
	WinSetMarkPosition(window, WinGetCurrentPosition(window));
	if (!is_null)
	{
		carry(carried, datum, fcinfo->flinfo->fn_mcxt);
		*have_value = true;
	}
	if (!*have_value)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(carried->datum);
}

/* ---- interpolate ---- */

typedef struct Point
{
	int64		row;			/* -1: there is none */
	TimestampTz time;
	float8		value;
} Point;

/* Of a partition; zero at its start. */
typedef struct Neighbours
{
	bool		started;
	Point		before;
	Point		after;			/* at or before the current row: not looked for yet */
	bool		at_end;			/* there is none after */
} Neighbours;

/* The point of a row: false if it has no value, or no finite time. */
static bool
point_of_row(WindowObject window, int64 row, Point *point, bool *is_out)
{
	bool		is_null;
	bool		time_is_null;
	int			offset = (int) (row - WinGetCurrentPosition(window));
	Datum		value = WinGetFuncArgInPartition(window, 0, offset, WINDOW_SEEK_CURRENT, false,
												 &is_null, is_out);
	Datum		time;

	if (*is_out || is_null)
		return false;
	point->value = DatumGetFloat8(value);
	time = WinGetFuncArgInPartition(window, 1, offset, WINDOW_SEEK_CURRENT, false,
									&time_is_null, is_out);
	if (time_is_null)
		return false;
	point->row = row;
	point->time = DatumGetTimestampTz(time);
	return !TIMESTAMP_NOT_FINITE(point->time);
}

static void
find_after(WindowObject window, Neighbours *near, int64 row)
{
	bool		is_out = false;

	while (!is_out)
	{
		CHECK_FOR_INTERRUPTS();
		if (point_of_row(window, ++row, &near->after, &is_out))
			return;
	}
	near->at_end = true;
}

static float8
value_between(const Point *before, const Point *after, TimestampTz time)
{
	float8		span = (float8) after->time - (float8) before->time;
	float8		part = span == 0 ? 0 : ((float8) time - (float8) before->time) / span;
	float8		difference = after->value - before->value;

	if (isinf(difference))
		return before->value * (1 - part) + after->value * part;
	return before->value + difference * part;
}

Datum
m3db_interpolate(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	Neighbours *near = WinGetPartitionLocalMemory(window, sizeof(*near));
	int64		row = WinGetCurrentPosition(window);
	bool		is_null;
	bool		time_is_null;
	Datum		value = WinGetFuncArgCurrent(window, 0, &is_null);
	TimestampTz time = DatumGetTimestampTz(WinGetFuncArgCurrent(window, 1, &time_is_null));

	WinSetMarkPosition(window, row);
	if (!near->started)
	{
		near->started = true;
		near->before.row = near->after.row = -1;
	}
	if (!is_null)
	{
		if (!time_is_null && !TIMESTAMP_NOT_FINITE(time))
		{
			near->before.row = row;
			near->before.time = time;
			near->before.value = DatumGetFloat8(value);
		}
		PG_RETURN_DATUM(value);
	}
	if (near->before.row < 0 || time_is_null || TIMESTAMP_NOT_FINITE(time))
		PG_RETURN_NULL();
	if (near->after.row < row && !near->at_end)
		find_after(window, near, row);
	if (near->after.row < row)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value_between(&near->before, &near->after, time));
}
