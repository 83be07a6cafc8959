/*
 * Rows of a wide table: the series that share their tags but for __name__, put side
 * by side and aligned by time, group after group.
 *
 * Where two series claim the same column of the same tags (ids made by somebody else),
 * their rows stand apart.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "fdw/align.h"
#include "fdw/producer.h"

typedef struct M3dbWide
{
	M3dbProducer producer;
	M3dbReading reading;
	M3dbTurns	turns;			/* over groups of series */
	M3dbAligner *aligner;
} M3dbWide;

static bool
wide_next(M3dbProducer *producer, TupleTableSlot *slot)
{
	static const M3dbAlignRange all = M3DB_ALIGN_ALL;
	M3dbWide   *wide = (M3dbWide *) producer;
	M3dbAligner *aligner = wide->aligner;
	M3dbProjection *projection = wide->reading.projection;
	bool		is_new = false;
	size_t		group;

	while (!m3db_aligner_next(aligner))
	{
		CHECK_FOR_INTERRUPTS();
		if (!m3db_turns_next(&wide->turns, &group))
			return false;
		m3db_aligner_open(aligner, group, &all);
		is_new = true;
	}
	/* groups without points in the range cost no conversion */
	if (is_new)
		m3db_aligner_set_unit(aligner, group, projection);
	m3db_projection_set_row(projection, aligner->time_ns, aligner->unit, aligner->annotation);
	m3db_projection_store(projection, slot);
	return true;
}

static void
wide_rewind(M3dbProducer *producer)
{
	M3dbWide   *wide = (M3dbWide *) producer;

	m3db_turns_rewind(&wide->turns);
	m3db_aligner_reset(wide->aligner);
}

static void
wide_close(M3dbProducer *producer)
{
	m3db_aligner_close(((M3dbWide *) producer)->aligner);
}

M3dbProducer *
m3db_wide_create(const M3dbReading *reading)
{
	M3dbWide   *wide = palloc0(sizeof(M3dbWide));

	wide->producer.next = wide_next;
	wide->producer.rewind = wide_rewind;
	wide->producer.close = wide_close;
	wide->reading = *reading;
	wide->aligner = m3db_aligner_create(reading);
	m3db_turns_init(&wide->turns, reading->share, wide->aligner->unit_count,
					m3db_aligner_unit_hash, wide->aligner);
	return &wide->producer;
}
