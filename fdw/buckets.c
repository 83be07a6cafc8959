#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/bucket_values.h"
#include "fdw/buckets.h"
#include "fdw/spans.h"

struct M3dbBucketMap
{
	MemoryContext context;
	ExprState  *state;
	ExprContext *econtext;
	M3dbRole	time_role;
	int64		unit_ns;		/* in which the function sees times */

	/* zone whose clocks are changed; zone_name until it is looked up */
	const char *zone_name;
	pg_tz	   *zone;
	bool		has_zone;
	pg_time_t	steady_from;	/* [from, until): no change */
	pg_time_t	steady_until;

	M3dbBucketValues values;
	M3dbSpans	spans;
	size_t		run;			/* points of the bucket before: a guess for the next */
};

M3dbBucketMap *
m3db_buckets_create(ExprState *state, const Expr *expr, ExprContext *econtext,
					M3dbRole time_role, const char *zone)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "m3db buckets",
												  ALLOCSET_DEFAULT_SIZES);
	M3dbBucketMap *map = MemoryContextAllocZero(context, sizeof(M3dbBucketMap));

	map->context = context;
	map->state = state;
	map->econtext = econtext;
	map->time_role = time_role;
	map->unit_ns = time_role == M3DB_ROLE_TIME ? 1000 : 1;
	map->has_zone = zone != NULL;
	if (zone != NULL && zone[0] != '\0')
		map->zone_name = zone;

	m3db_bucket_values_init(&map->values, expr, context);
	m3db_spans_init(&map->spans, context);
	return map;
}

/* ---- evaluating ---- */

Datum
m3db_buckets_value(const M3dbBucketMap *map, uint32 bucket, bool *is_null)
{
	*is_null = map->values.nulls[bucket];
	return map->values.values[bucket];
}

static uint32
evaluate(M3dbBucketMap *map, int64 time_ns)
{
	ExprContext *econtext = map->econtext;
	Datum		value;
	bool		is_null;
	uint32		bucket;

	CHECK_FOR_INTERRUPTS();
	econtext->caseValue_datum = map->time_role == M3DB_ROLE_TIME ?
		TimestampTzGetDatum(m3db_time_from_ns(time_ns)) : Int64GetDatum(time_ns);
	econtext->caseValue_isNull = false;
	value = ExecEvalExprSwitchContext(map->state, econtext, &is_null);
	bucket = m3db_bucket_of_value(&map->values, value, is_null);
	ResetExprContext(econtext);
	return bucket;
}

/* ---- times ---- */

/* The first and the last nanosecond that the function takes for the same as a time. */
static int64
first_of_unit(const M3dbBucketMap *map, int64 time_ns)
{
	int64		rest = time_ns % map->unit_ns;

	if (rest < 0)
		rest += map->unit_ns;
	return time_ns < PG_INT64_MIN + rest ? PG_INT64_MIN : time_ns - rest;
}

static int64
last_of_unit(const M3dbBucketMap *map, int64 time_ns)
{
	int64		first_ns = first_of_unit(map, time_ns);

	return first_ns > PG_INT64_MAX - map->unit_ns ? PG_INT64_MAX :
		first_ns + (map->unit_ns - 1);
}

static pg_time_t
unix_second(int64 time_ns)
{
	int64		second = time_ns / M3_NS_PER_SECOND;

	return (pg_time_t) (time_ns % M3_NS_PER_SECOND < 0 ? second - 1 : second);
}

static void
look_up_zone(M3dbBucketMap *map)
{
	MemoryContext old_context = MemoryContextSwitchTo(map->context);
	int			offset;

	/* of an abbreviation whose offset changes, all changes of the zone it belongs to */
	if (DecodeTimezoneName(map->zone_name, &offset, &map->zone) == TZNAME_FIXED_OFFSET)
		map->has_zone = false;
	map->zone_name = NULL;
	MemoryContextSwitchTo(old_context);
}

/* Are the clocks left alone from a time to a later one, that included?  The function is known
 * to be evaluated without error at one of them. */
static bool
is_steady(M3dbBucketMap *map, int64 from_ns, int64 to_ns)
{
	pg_time_t	from;
	pg_time_t	to = unix_second(to_ns);
	long		gmtoff_before;
	long		gmtoff_after;
	int			is_dst_before;
	int			is_dst_after;
	int			result;

	if (map->has_zone && map->zone_name != NULL)
		look_up_zone(map);
	if (!map->has_zone)
		return true;
	from = unix_second(from_ns);
	if (map->steady_from <= from && to < map->steady_until)
		return true;
	map->steady_from = from;
	result = pg_next_dst_boundary(&from, &gmtoff_before, &is_dst_before, &map->steady_until,
								  &gmtoff_after, &is_dst_after,
								  map->zone != NULL ? map->zone : session_timezone);
	if (result == 0)
		map->steady_until = PG_INT64_MAX;
	else if (result < 0)
		map->steady_until = from;
	return to < map->steady_until;
}

/* ---- spans ---- */

/* The time of a point lies in a bucket: lets a neighbouring span reach as far, or makes one.
 * before is the last span that begins before, or NULL. */
static M3dbSpanPlace
add_time(M3dbBucketMap *map, const M3dbSpanPlace *before, int64 time_ns, uint32 bucket)
{
	M3dbSpans  *spans = &map->spans;
	M3dbSpan   *previous = before == NULL ? NULL : m3db_span(spans, *before);
	M3dbSpanPlace next_place = {0, 0};
	M3dbSpan   *next;
	M3dbSpan	span = {.bucket = bucket};

	if (previous != NULL && previous->bucket == bucket &&
		is_steady(map, previous->last_ns, time_ns))
	{
		previous->last_ns = last_of_unit(map, time_ns);
		return *before;
	}
	if (before != NULL)
		next = m3db_spans_after(spans, *before, &next_place);
	else
		next = spans->piece_count == 0 ? NULL : m3db_span(spans, next_place);
	if (next != NULL && next->bucket == bucket && is_steady(map, time_ns, next->first_ns))
	{
		next->first_ns = first_of_unit(map, time_ns);
		spans->hint = next_place;
		return next_place;
	}
	if (previous != NULL)
		previous->has_gap = false;
	span.first_ns = first_of_unit(map, time_ns);
	span.last_ns = last_of_unit(map, time_ns);
	return m3db_spans_insert(spans, before, &span);
}

/* The span that holds the time of a point. */
static M3dbSpanPlace
span_of_time(M3dbBucketMap *map, int64 time_ns)
{
	M3dbSpanPlace place;
	bool		found = m3db_spans_find(&map->spans, time_ns, &place);

	if (found && time_ns <= m3db_span(&map->spans, place)->last_ns)
		return place;
	return add_time(map, found ? &place : NULL, time_ns, evaluate(map, time_ns));
}

/* The first of the points after a time; that at low is not, the last one is. */
static size_t
first_after(const int64 *times_ns, size_t low, size_t count, size_t guess, int64 time_ns)
{
	size_t		high = count - 1;

	if (guess > low && guess <= high)
	{
		if (times_ns[guess - 1] > time_ns)
			high = guess - 1;
		else if (times_ns[guess] > time_ns)
			return guess;
		else
			low = guess;
	}
	while (low + 1 < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (times_ns[middle] > time_ns)
			high = middle;
		else
			low = middle;
	}
	return high;
}

/* A search for the end of a bucket among points between known spans. */
typedef struct Search
{
	const int64 *times_ns;
	int64		known_ns;		/* a time of the bucket */
	uint32		bucket;
	size_t		low;			/* a point of the bucket */
	size_t		high;			/* one beyond it */
	uint32		bucket_of_high;
	bool		is_high_known;
} Search;

static void
probe(M3dbBucketMap *map, Search *search, size_t position)
{
	int64		time_ns = search->times_ns[position];
	bool		is_known = is_steady(map, search->known_ns, time_ns);
	uint32		bucket = is_known ? evaluate(map, time_ns) : 0;

	if (is_known && bucket == search->bucket)
		search->low = position;
	else
	{
		search->high = position;
		search->bucket_of_high = bucket;
		search->is_high_known = is_known;
	}
}

/* Of the points from low on, of which the first is in the bucket, the number of the first that is
 * not, or end.  The guess should be right, or cost little. */
static void
search_end(M3dbBucketMap *map, Search *search, size_t end, size_t guess)
{
	search->high = end;
	search->is_high_known = false;
	if (guess > search->low + 1 && guess < end)
		probe(map, search, guess - 1);
	if (search->low + 1 < search->high)
		probe(map, search, search->low + 1);
	if (search->low + 1 < search->high)
		probe(map, search, search->high - 1);
	while (search->low + 1 < search->high)
		probe(map, search, search->low + (search->high - search->low) / 2);
}

/* Lets a span that ends before the point at first reach as far as points show, at most to the next
 * span; the first point it does not reach. */
static size_t
extend(M3dbBucketMap *map, M3dbSpanPlace place, const int64 *times_ns, size_t first,
	   size_t count, size_t guess)
{
	M3dbSpanPlace next_place;
	const M3dbSpan *next = m3db_spans_after(&map->spans, place, &next_place);
	M3dbSpan   *span = m3db_span(&map->spans, place);
	size_t		end = count;
	Search		search = {
		.times_ns = times_ns,
		.known_ns = span->last_ns,
		.bucket = span->bucket,
		.low = first - 1
	};

	if (next != NULL && times_ns[count - 1] >= next->first_ns)
		end = first_after(times_ns, first - 1, count, guess, next->first_ns - 1);
	search_end(map, &search, end, guess);
	if (search.low >= first)
		span->last_ns = last_of_unit(map, times_ns[search.low]);
	if (search.is_high_known)
		add_time(map, &place, times_ns[search.high], search.bucket_of_high);
	return search.high;
}

/* Are span and next next to each other, perhaps after finding out where one begins? */
static bool
close_gap(M3dbBucketMap *map, M3dbSpan *span, M3dbSpan *next)
{
	int64		low_ns;			/* in the one, the first of its unit */
	int64		high_ns;		/* not in it, likewise */
	uint32		bucket = next == NULL ? 0 : next->bucket;

	if (next == NULL || span->has_gap)
		return false;
	if (span->last_ns == next->first_ns - 1)
		return true;
	if (!is_steady(map, span->last_ns, next->first_ns))
		return false;
	low_ns = first_of_unit(map, span->last_ns);
	high_ns = next->first_ns;
	while (high_ns - low_ns > map->unit_ns)
	{
		int64		middle_ns = low_ns + (high_ns - low_ns) / map->unit_ns / 2 * map->unit_ns;
		uint32		middle_bucket = evaluate(map, middle_ns);

		if (middle_bucket == span->bucket)
			low_ns = middle_ns;
		else
		{
			high_ns = middle_ns;
			bucket = middle_bucket;
		}
	}
	span->last_ns = last_of_unit(map, low_ns);
	if (bucket == next->bucket)
		next->first_ns = high_ns;
	else
		span->has_gap = true;
	return !span->has_gap;
}

/* ---- what others ask ---- */

uint32
m3db_buckets_next(M3dbBucketMap *map, const int64 *times_ns, size_t count, size_t *position)
{
	size_t		start = *position;
	size_t		guess = start + map->run;
	M3dbSpanPlace place = span_of_time(map, times_ns[start]);
	const M3dbSpan *span = m3db_span(&map->spans, place);
	uint32		bucket = span->bucket;
	M3dbSpanPlace next_place;
	const M3dbSpan *next;
	size_t		end;

	if (times_ns[count - 1] <= span->last_ns)
	{
		*position = count;
		return bucket;
	}
	end = first_after(times_ns, start, count, guess, span->last_ns);
	next = m3db_spans_after(&map->spans, place, &next_place);
	if (next == NULL || times_ns[end] < next->first_ns)
		end = extend(map, place, times_ns, end, count, guess);
	else
		map->spans.hint = next_place;
	map->run = end - start;
	*position = end;
	return bucket;
}

bool
m3db_buckets_is_one(M3dbBucketMap *map, int64 first_ns, int64 last_ns, uint32 *bucket)
{
	M3dbSpanPlace place = span_of_time(map, first_ns);
	M3dbSpan   *span = m3db_span(&map->spans, place);
	M3dbSpanPlace next_place;
	const M3dbSpan *next = m3db_spans_after(&map->spans, place, &next_place);
	uint32		last_bucket;

	*bucket = span->bucket;
	if (last_ns <= span->last_ns)
		return true;
	if ((next != NULL && last_ns >= next->first_ns) ||
		!is_steady(map, span->last_ns, last_ns))
		return false;
	last_bucket = evaluate(map, last_ns);
	add_time(map, &place, last_ns, last_bucket);
	return last_bucket == *bucket;
}

bool
m3db_buckets_is_split(M3dbBucketMap *map, int64 first_ns, int64 last_ns)
{
	M3dbSpanPlace place;
	const M3dbSpan *previous;

	if (!m3db_spans_find(&map->spans, last_ns, &place))
		return false;
	previous = m3db_spans_before(&map->spans, place, &place);
	return previous != NULL && previous->last_ns >= first_ns;
}

bool
m3db_buckets_all_between(M3dbBucketMap *map, int64 first_ns, int64 last_ns,
						 M3dbBucketFn holds, void *context)
{
	M3dbSpanPlace place;
	M3dbSpanPlace next_place;
	M3dbSpan   *span;

	if (!m3db_spans_find(&map->spans, first_ns, &place))
		return false;
	span = m3db_span(&map->spans, place);
	if (first_ns > span->last_ns)
	{
		if (!close_gap(map, span, m3db_spans_after(&map->spans, place, &next_place)))
			return false;
		(void) m3db_spans_find(&map->spans, first_ns, &place);
		span = m3db_span(&map->spans, place);
	}
	while (holds(context, span->bucket))
	{
		M3dbSpan   *next;

		if (last_ns <= span->last_ns)
			return true;
		next = m3db_spans_after(&map->spans, place, &place);
		if (!close_gap(map, span, next))
			return false;
		span = next;
	}
	return false;
}
