/*
 * Rows of a narrow table: series by series, a row a point.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "fdw/producer.h"
#include "server/server.h"

typedef struct M3dbNarrow
{
	M3dbProducer producer;
	M3dbReading reading;
	M3dbTurns	turns;
	M3Reader   *reader;
	bool		is_open;		/* the reader has a series */
	M3PointBatch batch;
	size_t		position;		/* in the batch */
} M3dbNarrow;

/* Opens the next series; its number, or false at the end. */
static bool
next_series(M3dbNarrow *narrow, size_t *series)
{
	M3Error		err;

	if (!m3db_turns_next(&narrow->turns, series))
		return false;
	m3db_check(m3_reader_open(narrow->reader, *series, &err), &err);
	narrow->is_open = true;
	return true;
}

/* Moves on to the next points; false at the end. */
static bool
next_batch(M3dbNarrow *narrow)
{
	const M3dbReading *reading = &narrow->reading;
	size_t		series;
	bool		is_new = false;

	while (!narrow->is_open ||
		   m3db_read_next(reading->damage, narrow->reader, &narrow->batch) != M3_OK)
	{
		CHECK_FOR_INTERRUPTS();
		narrow->is_open = false;
		if (!next_series(narrow, &series))
			return false;
		is_new = true;
	}
	narrow->position = 0;
	/* series without points in the range cost no conversion */
	if (is_new)
	{
		M3Slice		id;
		M3Slice		tags;

		m3_scan_series(reading->scan, series, &id, &tags);
		m3db_projection_set_series(reading->projection, id, tags);
	}
	return true;
}

static bool
narrow_next(M3dbProducer *producer, TupleTableSlot *slot)
{
	M3dbNarrow *narrow = (M3dbNarrow *) producer;
	M3dbProjection *projection = narrow->reading.projection;
	const M3PointBatch *batch = &narrow->batch;
	size_t		position;

	if (narrow->position >= batch->count && !next_batch(narrow))
	{
		/* stay at the end however often asked */
		narrow->batch.count = 0;
		return false;
	}
	position = narrow->position++;
	m3db_projection_set_time(projection, batch->times_ns[position]);
	if (projection->value_attnum != InvalidAttrNumber)
	{
		projection->values[projection->value_attnum - 1] =
			Float8GetDatum(batch->values[position]);
		projection->nulls[projection->value_attnum - 1] = false;
	}
	if (batch->units != NULL)
		m3db_projection_set_unit(projection, batch->units[position]);
	if (batch->annotations != NULL)
		m3db_projection_set_annotation(projection, batch->annotations[position]);
	m3db_projection_store(projection, slot);
	return true;
}

static void
narrow_rewind(M3dbProducer *producer)
{
	M3dbNarrow *narrow = (M3dbNarrow *) producer;

	m3db_turns_rewind(&narrow->turns);
	narrow->is_open = false;
	narrow->batch.count = 0;
	narrow->position = 0;
}

static void
narrow_close(M3dbProducer *producer)
{
	m3_reader_free(((M3dbNarrow *) producer)->reader);
}

static uint32
series_hash(void *context, size_t thing)
{
	return m3_scan_series_hash(context, thing);
}

M3dbProducer *
m3db_narrow_create(const M3dbReading *reading)
{
	M3dbNarrow *narrow = palloc0(sizeof(M3dbNarrow));
	M3Error		err;

	narrow->producer.next = narrow_next;
	narrow->producer.rewind = narrow_rewind;
	narrow->producer.close = narrow_close;
	narrow->reading = *reading;
	m3db_turns_init(&narrow->turns, reading->share, m3_scan_series_count(reading->scan),
					series_hash, reading->scan);
	m3db_check(m3_reader_create(reading->scan, &narrow->reader, &err), &err);
	return &narrow->producer;
}
