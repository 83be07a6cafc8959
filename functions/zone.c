/*
 * Buckets of a time zone.
 *
 * A zone is known by periods of one offset from UTC each.  Those last used are kept: the
 * times of a query are near each other, and looking up a period is what costs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "functions/zone.h"

/* More than clocks are ever moved by, less than the time between two such moves. */
#define NEAR (25 * USECS_PER_HOUR)

#define PERIODS 4

typedef struct Period
{
	TimestampTz from;			/* or later than its real start */
	TimestampTz to;				/* its real end, exclusive */
	int64		offset_us;		/* what clocks show, less UTC */
} Period;

struct M3dbZone
{
	pg_tz	   *tz;				/* NULL: one offset, that of periods[0] */
	bool		depends_on_time;	/* an abbreviation: one offset, but not for all times */
	Period		periods[PERIODS];
	int			next;			/* to be replaced */
	int			name_size;
	char		name[FLEXIBLE_ARRAY_MEMBER];
};

static void
set_offset(M3dbZone *zone, int64 offset_s)
{
	zone->periods[0].from = PG_INT64_MIN;
	zone->periods[0].to = PG_INT64_MAX;
	zone->periods[0].offset_us = offset_s * USECS_PER_SEC;
}

M3dbZone *
m3db_zone_open(const text *name, TimestampTz time)
{
	int			size = name == NULL ? 0 : (int) VARSIZE_ANY_EXHDR(name);
	M3dbZone   *zone = palloc0(offsetof(M3dbZone, name) + size);
	char	   *zone_name;
	pg_tz	   *tz;
	int			offset;
	int			is_dst;

	zone->name_size = size;
	if (name == NULL)
	{
		set_offset(zone, 0);
		return zone;
	}
	memcpy(zone->name, VARDATA_ANY(name), size);
	zone_name = text_to_cstring(name);
	switch (DecodeTimezoneName(zone_name, &offset, &tz))
	{
		case TZNAME_FIXED_OFFSET:
			set_offset(zone, offset);
			break;
		case TZNAME_DYNTZ:
			zone->depends_on_time = true;
			set_offset(zone, -DetermineTimeZoneAbbrevOffsetTS(time, zone_name, tz, &is_dst));
			break;
		default:
			zone->tz = tz;
	}
	pfree(zone_name);
	return zone;
}

M3dbZone *
m3db_zone_of_call(FunctionCallInfo fcinfo, const text *name, TimestampTz time)
{
	M3dbZone   *zone = fcinfo->flinfo->fn_extra;
	MemoryContext old_context;

	if (zone != NULL && !zone->depends_on_time &&
		zone->name_size == (int) VARSIZE_ANY_EXHDR(name) &&
		memcmp(zone->name, VARDATA_ANY(name), zone->name_size) == 0)
		return zone;
	old_context = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = m3db_zone_open(name, time);
	MemoryContextSwitchTo(old_context);
	if (zone != NULL)
		pfree(zone);
	return fcinfo->flinfo->fn_extra;
}

/* ---- periods ---- */

static Period
look_up_period(const M3dbZone *zone, TimestampTz time)
{
	pg_time_t	seconds = timestamptz_to_time_t(time);
	pg_time_t	boundary;
	long		before;
	long		after;
	int			before_is_dst;
	int			after_is_dst;
	Period		period;
	int			found;

	/* It rounds towards 2000, we need the second that time is in. */
	if (time_t_to_timestamptz(seconds) > time)
		seconds--;
	found = pg_next_dst_boundary(&seconds, &before, &before_is_dst, &boundary, &after,
								 &after_is_dst, zone->tz);
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	period.from = time;
	period.to = found == 0 ? PG_INT64_MAX : time_t_to_timestamptz(boundary);
	period.offset_us = before * USECS_PER_SEC;
	return period;
}

static Period
period_at(M3dbZone *zone, TimestampTz time)
{
	Period		period;

	if (zone->tz == NULL)
		return zone->periods[0];
	for (int i = 0; i < PERIODS; i++)
		if (time >= zone->periods[i].from && time < zone->periods[i].to)
			return zone->periods[i];
	period = look_up_period(zone, time);
	for (int i = 0; i < PERIODS; i++)
	{
		Period	   *known = &zone->periods[i];

		/* The same one, entered earlier than before. */
		if (known->from < known->to && known->to == period.to)
		{
			known->from = Min(known->from, time);
			return *known;
		}
	}
	zone->periods[zone->next] = period;
	zone->next = (zone->next + 1) % PERIODS;
	return period;
}

Timestamp
m3db_zone_local(M3dbZone *zone, TimestampTz time)
{
	/* No timestamp is near enough the ends of an int64 for an overflow. */
	return m3db_check_timestamp(time + period_at(zone, time).offset_us);
}

/*
 * The instant at which clocks show local: if they do so twice, the last one that is not
 * after latest, or the first; if they never do, that at which they jump over it.
 */
static TimestampTz
instant_of(M3dbZone *zone, Timestamp local, bool want_first, TimestampTz latest)
{
	Period		before = period_at(zone, local - NEAR);
	Period		after = period_at(zone, local + NEAR);
	TimestampTz early = local - before.offset_us;
	TimestampTz late = local - after.offset_us;

	if (before.offset_us != after.offset_us)
	{
		bool		early_is = period_at(zone, early).offset_us == before.offset_us;
		bool		late_is = period_at(zone, late).offset_us == after.offset_us;

		if (early_is && late_is)
			early = want_first || late > latest ? early : late;
		else if (late_is)
			early = late;
		else if (!early_is)
			early = before.to;
	}
	return m3db_check_timestamp(early);
}

/* ---- buckets ---- */

static TimestampTz
start_before(M3dbZone *zone, const M3dbBuckets *buckets, TimestampTz time)
{
	Timestamp	local = m3db_bucket_start(buckets, m3db_zone_local(zone, time));

	if (zone->tz == NULL)
		return m3db_check_timestamp(local - zone->periods[0].offset_us);
	return instant_of(zone, local, !m3db_buckets_below_day(buckets), time);
}

TimestampTz
m3db_zone_bucket_start(M3dbZone *zone, const M3dbBuckets *buckets, TimestampTz time)
{
	TimestampTz start = start_before(zone, buckets, time);

	/* A clock set back may have passed a boundary that it is before again now. */
	if (zone->tz != NULL)
	{
		Period		earlier = period_at(zone, time - NEAR);

		if (earlier.to <= time && start < earlier.to &&
			earlier.offset_us > period_at(zone, time).offset_us)
			start = Max(start, start_before(zone, buckets, earlier.to - 1));
	}
	return start;
}

TimestampTz
m3db_zone_bucket_next(M3dbZone *zone, const M3dbBuckets *buckets, TimestampTz start)
{
	Timestamp	local = m3db_bucket_start(buckets, m3db_zone_local(zone, start));
	TimestampTz low = start;
	TimestampTz high = instant_of(zone, m3db_bucket_next(buckets, local), false, PG_INT64_MAX);

	if (high <= start)
		elog(ERROR, "no bucket after " INT64_FORMAT, start);
	/* Is there a boundary between them, because of a clock set back? */
	if (m3db_zone_bucket_start(zone, buckets, high - 1) == start)
		return high;
	while (high - low > 1)
	{
		TimestampTz middle = low + (high - low) / 2;

		if (m3db_zone_bucket_start(zone, buckets, middle) > start)
			high = middle;
		else
			low = middle;
	}
	return high;
}
