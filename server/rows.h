/*
 * Rows of the functions behind views: values from left to right, and lists the
 * engine reads out row by row.
 */
#ifndef M3DB_ROWS_H
#define M3DB_ROWS_H

#include "fmgr.h"

#include "storage/m3.h"

#define M3DB_MAX_COLUMNS 24

/* Zeroed before the first value is put. */
typedef struct M3dbRow
{
	int			count;
	Datum		values[M3DB_MAX_COLUMNS];
	bool		nulls[M3DB_MAX_COLUMNS];
} M3dbRow;

extern void m3db_put(M3dbRow *row, Datum value);
extern void m3db_put_null(M3dbRow *row);
extern void m3db_put_count(M3dbRow *row, uint64 count);

/* Text of a C string in the database's encoding, or ASCII; NULL when it is empty. */
extern void m3db_put_text(M3dbRow *row, const char *text);

/* Text of UTF-8 from the engine, never NULL.  What is not valid is shown as
 * question marks. */
extern void m3db_put_utf8(M3dbRow *row, M3Slice text);

/* A time of the engine; NULL for 0 and for what no timestamptz can hold: "never". */
extern void m3db_put_time(M3dbRow *row, int64 time_ns);

/* Whole days are days, as in the option that set it; NULL for 0 if asked for. */
extern void m3db_put_duration(M3dbRow *row, int64 duration_ns, bool zero_is_null);

/* One more row of a set-returning function (after InitMaterializedSRF). */
extern void m3db_emit(FunctionCallInfo fcinfo, M3dbRow *row);

/* The result of a function that returns one row. */
extern Datum m3db_row_datum(FunctionCallInfo fcinfo, M3dbRow *row);

/*
 * A list the engine calls back for, which may hold something meanwhile that a jump
 * would leave behind: so errors and interrupts wait until the call has returned.
 *
 *   m3db_listing_begin(&listing, fcinfo);
 *   status = m3_blocks(db, fn, &listing, &err);     fn: return m3db_listing_row(...)
 *   m3db_listing_end(&listing, status, &err);
 */
typedef void (*M3dbFillRow) (M3dbRow *row, const void *info, void *context);

typedef struct M3dbListing
{
	FunctionCallInfo fcinfo;
	void	   *context;		/* for the function that fills rows */
	MemoryContext row_context;
	ErrorData  *error;			/* what a row raised, or NULL */
	bool		cancelled;
} M3dbListing;

extern void m3db_listing_begin(M3dbListing *listing, FunctionCallInfo fcinfo, void *context);
/* Anything but M3_OK must end the list.  A row without values is left out. */
extern M3Status m3db_listing_row(M3dbListing *listing, M3dbFillRow fill, const void *info);
extern void m3db_listing_end(M3dbListing *listing, M3Status status, const M3Error *err);

#endif							/* M3DB_ROWS_H */
