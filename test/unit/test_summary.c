/*
 * Summaries of points against what is computed one by one, whatever the values, and however the
 * points are split and put together again.
 */
#include "storage/base/time.h"
#include "storage/buffer/summary.h"
#include "test/unit/check.h"

#define MAX_POINTS 300

static uint64_t random_state = 88172645463325252u;

static uint32_t
random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t) ((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

typedef struct Points
{
	int64_t		times_ns[MAX_POINTS];
	double		values[MAX_POINTS];
	size_t		count;
} Points;

typedef enum Kind
{
	ORDINARY,
	FAR_FROM_ZERO,
	CONSTANT,
	ZEROS,
	HUGE_ONES,
	WITH_NAN,
	ONLY_NAN,
	WITH_INFINITY,
	WITH_BOTH,
	KINDS
} Kind;

static double
random_value(Kind kind)
{
	double		ordinary = (random_below(2000001) - 1000000.0) / 997;

	switch (kind)
	{
		case FAR_FROM_ZERO:
			return 1e9 + ordinary / 1e3;
		case CONSTANT:
			return 1e9 + 0.1;
		case ZEROS:
			return random_below(2) == 0 ? -0.0 : 0.0;
		case HUGE_ONES:
			return ordinary * 1e303;
		case WITH_NAN:
			return random_below(10) == 0 ? NAN : ordinary;
		case ONLY_NAN:
			return NAN;
		case WITH_INFINITY:
			return random_below(10) == 0 ? INFINITY : ordinary;
		case WITH_BOTH:
			return random_below(20) == 0 ? NAN : random_below(10) != 0 ? ordinary :
				random_below(2) == 0 ? INFINITY : -INFINITY;
		default:
			return ordinary;
	}
}

static void
make_points(Points *points, Kind kind, size_t count)
{
	int64_t		time_ns = -(int64_t) random_below(1000);

	points->count = count;
	for (size_t i = 0; i < count; i++)
	{
		time_ns += 1 + random_below(5);
		points->times_ns[i] = time_ns;
		points->values[i] = random_value(kind);
	}
}

/* As PostgreSQL has it: -1, 0 or 1. */
static int
compare(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b);
	return (a > b) - (a < b);
}

/* Both of them not finite, of one kind; or nearly equal. */
static bool
is_near(double actual, double expected, double tolerance)
{
	if (!isfinite(expected))
		return isnan(expected) ? isnan(actual) : actual == expected;
	return fabs(actual - expected) <= tolerance;
}

static void
check_summary(const M3Summary *s, unsigned fields, const Points *p)
{
	double		min = p->values[0];
	double		max = p->values[0];
	long double sum = -0.0L;
	long double size = 0;
	long double squares = 0;

	for (size_t i = 0; i < p->count; i++)
	{
		if (compare(p->values[i], min) < 0)
			min = p->values[i];
		if (compare(p->values[i], max) > 0)
			max = p->values[i];
		sum += p->values[i];
		size += fabsl(p->values[i]);
	}
	for (size_t i = 0; i < p->count; i++)
	{
		long double distance = p->values[i] - sum / p->count;

		squares += distance * distance;
	}
	CHECK_INT(s->count, p->count);
	CHECK_INT(s->first_ns, p->times_ns[0]);
	CHECK_INT(s->last_ns, p->times_ns[p->count - 1]);
	CHECK(compare(s->first, p->values[0]) == 0);
	CHECK(compare(s->last, p->values[p->count - 1]) == 0);
	if (fields != 0)
	{
		CHECK(compare(s->min, min) == 0);
		CHECK(compare(s->max, max) == 0);
	}
	if ((fields & (M3_SUMMARY_SUM | M3_SUMMARY_SQUARES)) != 0)
	{
		CHECK(is_near(s->sum, (double) sum, (double) size * 1e-14));
		CHECK(!m3_summary_overflowed(s, M3_SUMMARY_SUM));
	}
	if ((fields & M3_SUMMARY_SQUARES) != 0)
	{
		if (!isfinite(min) || !isfinite(max))
			CHECK(isnan(s->squares));
		else if (min == max)
			CHECK(s->squares == 0);
		else
		{
			/* a mean is not known better than the values are */
			double		blur = (double) size / (double) p->count * 1e-15;
			double		blurs = sqrt((double) squares * (double) p->count) * blur;

			CHECK(is_near(s->squares, (double) squares, (double) squares * 1e-12 + blurs * 10));
		}
	}
}

static void
add(M3Summary *s, unsigned fields, const Points *p, size_t first, size_t end)
{
	m3_summary_add(s, fields, p->times_ns + first, p->values + first, end - first);
}

static void
whole(Kind kind, size_t count)
{
	static const unsigned choices[] = {
		0, M3_SUMMARY_RANGE, M3_SUMMARY_SUM, M3_SUMMARY_SQUARES,
		M3_SUMMARY_RANGE | M3_SUMMARY_SUM, M3_SUMMARY_ALL
	};
	Points		p;

	make_points(&p, kind, count);
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
	{
		M3Summary	s = {0};

		/* of huge values the squares are beyond all that can be told */
		if (kind == HUGE_ONES && (choices[i] & M3_SUMMARY_SQUARES) != 0)
			continue;
		add(&s, choices[i], &p, 0, p.count);
		check_summary(&s, choices[i], &p);
	}
}

/* In pieces, ascending or not. */
static void
in_pieces(Kind kind, size_t count)
{
	unsigned	fields = kind == HUGE_ONES ? M3_SUMMARY_SUM : M3_SUMMARY_ALL;
	M3Summary	pieces[MAX_POINTS];
	size_t		ends[MAX_POINTS];
	M3Summary	added = {0};
	M3Summary	merged = {0};
	M3Summary	shuffled = {0};
	M3Summary	none = {0};
	size_t		n = 0;
	Points		p;

	make_points(&p, kind, count);
	for (size_t first = 0; first < count;)
	{
		size_t		end = first + 1 + random_below((uint32_t) (count - first));

		memset(&pieces[n], 0, sizeof(pieces[n]));
		add(&pieces[n], fields, &p, first, end);
		add(&added, fields, &p, first, end);
		m3_summary_merge(&merged, fields, &pieces[n]);
		m3_summary_merge(&merged, fields, &none);
		ends[n++] = end;
		first = end;
	}
	CHECK_INT(ends[n - 1], count);
	check_summary(&added, fields, &p);
	/* what was added before and merged is the same to the bit */
	CHECK(memcmp(&added.sum, &merged.sum, sizeof(double)) == 0 || isnan(added.sum));
	CHECK(memcmp(&added.squares, &merged.squares, sizeof(double)) == 0 || isnan(added.squares));
	check_summary(&merged, fields, &p);
	while (n > 0)
	{
		size_t		i = random_below((uint32_t) n);

		m3_summary_merge(&shuffled, fields, &pieces[i]);
		pieces[i] = pieces[--n];
	}
	check_summary(&shuffled, fields, &p);
}

static M3Summary
summary_of(unsigned fields, const double *values, size_t count)
{
	int64_t		times_ns[16];
	M3Summary	s = {0};

	for (size_t i = 0; i < count; i++)
		times_ns[i] = (int64_t) i;
	m3_summary_add(&s, fields, times_ns, values, count);
	return s;
}

#define OF(fields, ...) \
	summary_of(fields, (const double[]) {__VA_ARGS__}, \
			   sizeof((const double[]) {__VA_ARGS__}) / sizeof(double))

static void
overflows(void)
{
	const unsigned all = M3_SUMMARY_ALL;
	M3Summary	s;

	s = OF(all, 1e308, 1e308);
	CHECK(m3_summary_overflowed(&s, M3_SUMMARY_SUM));
	s = OF(all, -1e308, -1e308, 1);
	CHECK(m3_summary_overflowed(&s, M3_SUMMARY_SUM));
	/* only in another order than that of the points */
	s = OF(all, 1e308, -1e308, 0, 0, 1e308, -1e308, 0, 0);
	CHECK(!m3_summary_overflowed(&s, M3_SUMMARY_SUM));
	CHECK(s.sum == 0);
	/* the sum fits, the squares do not */
	s = OF(all, 1e200, -1e200);
	CHECK(!m3_summary_overflowed(&s, M3_SUMMARY_SUM));
	CHECK(m3_summary_overflowed(&s, all));
	/* what is not finite was not from the beginning */
	s = OF(all, INFINITY, 1e308, 1e308);
	CHECK(!m3_summary_overflowed(&s, all));
	CHECK(s.sum == INFINITY);
	s = OF(all, INFINITY, -INFINITY);
	CHECK(!m3_summary_overflowed(&s, all));
	CHECK(isnan(s.sum));
	s = OF(all, 1, NAN);
	CHECK(!m3_summary_overflowed(&s, all));
	memset(&s, 0, sizeof(s));
	CHECK(!m3_summary_overflowed(&s, all));
	/* from one summary to the other */
	s = OF(all, 1.5e308);
	m3_summary_merge(&s, all, &s);
	CHECK(m3_summary_overflowed(&s, M3_SUMMARY_SUM));
}

static void
special_values(void)
{
	M3Summary	s;
	M3Summary	nan;

	s = OF(M3_SUMMARY_ALL, -0.0, -0.0, -0.0, -0.0, -0.0);
	CHECK(s.sum == 0 && signbit(s.sum));
	s = OF(M3_SUMMARY_ALL, 0.0, -0.0);
	CHECK(s.sum == 0 && !signbit(s.sum));
	nan = OF(M3_SUMMARY_ALL, NAN);
	CHECK(isnan(nan.min) && isnan(nan.max) && isnan(nan.sum) && isnan(nan.squares));
	s = OF(M3_SUMMARY_ALL, INFINITY, NAN);
	CHECK(s.min == INFINITY && isnan(s.max));
	s = OF(M3_SUMMARY_ALL, 3, 4);
	m3_summary_merge(&s, M3_SUMMARY_ALL, &nan);
	CHECK(s.min == 3 && isnan(s.max) && isnan(s.sum));
	s = OF(M3_SUMMARY_ALL, 3, 4);
	m3_summary_merge(&nan, M3_SUMMARY_ALL, &s);
	CHECK(nan.min == 3 && isnan(nan.max));
	/* of equal times the one that was there stays */
	s = OF(M3_SUMMARY_ALL, 3, 4);
	nan = OF(M3_SUMMARY_ALL, 7, 8);
	m3_summary_merge(&s, M3_SUMMARY_ALL, &nan);
	CHECK(s.first == 3 && s.last == 4 && s.count == 4 && s.min == 3 && s.max == 8);
	CHECK(s.sum == 22 && s.squares == 17);
}

int
main(void)
{
	for (Kind kind = 0; kind < KINDS; kind++)
	{
		for (size_t count = 1; count <= 40; count++)
		{
			whole(kind, count);
			in_pieces(kind, count);
		}
		for (int i = 0; i < 100; i++)
		{
			whole(kind, 1 + random_below(MAX_POINTS));
			in_pieces(kind, 1 + random_below(MAX_POINTS));
		}
	}
	overflows();
	special_values();
	return check_report();
}
