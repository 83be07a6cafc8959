/*
 * What a scan will find, for the planner: from counters and from the index, without a look
 * at any series.
 */
#include <string.h>

#include "storage/db/match.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Bytes of a point in a fileset as long as buffers hold too few to tell. */
#define DEFAULT_POINT_SIZE 1.6
#define MIN_OBSERVED_POINTS 1000u

/* Values of a name looked at for a prefix; copied for a filter, in as much space. */
#define SAMPLED_TERMS 1024u
#define SAMPLED_VALUES 64u
#define SAMPLE_SIZE 4096u

/* The share of series that a filter accepts about which nothing is known. */
#define DEFAULT_SHARE 0.1

/* --- everything --------------------------------------------------------- */

/* Points in size bytes of filesets without statistics; buffers tell how well they compress. */
static uint64_t
guess_points(uint64_t size, uint64_t buffer_size, uint64_t buffer_points)
{
	double		point_size = DEFAULT_POINT_SIZE;

	if (buffer_points >= MIN_OBSERVED_POINTS && buffer_size > 0)
		point_size = (double) buffer_size / (double) buffer_points;
	return (uint64_t) ((double) size / point_size);
}

static void
estimate_all(M3Database *db, const M3NamespaceShared *ns, M3Estimate *estimate)
{
	uint64_t	points = __atomic_load_n(&ns->point_count, __ATOMIC_RELAXED);
	uint64_t	buffer_size = __atomic_load_n(&ns->buffer_size, __ATOMIC_RELAXED);
	uint64_t	file_size = __atomic_load_n(&ns->file_size, __ATOMIC_RELAXED);

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	estimate->series = ns->series_count - ns->series_holes;
	db->env->unlock(db->env, m3i_lock_names(db));
	estimate->summarized_points = __atomic_load_n(&ns->file_points, __ATOMIC_RELAXED);
	estimate->points = points + estimate->summarized_points +
		guess_points(__atomic_load_n(&ns->uncounted_size, __ATOMIC_RELAXED), buffer_size, points);
	estimate->bytes = buffer_size + file_size;
	/* of all points there ever were, so of those in files too */
	estimate->first_block_ns = __atomic_load_n(&ns->first_block_ns, __ATOMIC_RELAXED);
	estimate->end_ns = __atomic_load_n(&ns->end_ns, __ATOMIC_RELAXED);
}

M3Status
m3_scan_estimate(M3Database *db, M3Slice namespace_name, M3Estimate *estimate, M3Error *err)
{
	return m3_scan_estimate_matching(db, namespace_name, NULL, 0, estimate, err);
}

/* --- matchers ----------------------------------------------------------- */

/* Some values of a name, with the series they have. */
typedef struct Sample
{
	uint32_t	count;
	size_t		used;
	M3Slice		values[SAMPLED_VALUES];
	uint32_t	series[SAMPLED_VALUES];
	uint8_t		bytes[SAMPLE_SIZE];
} Sample;

typedef struct Estimator
{
	M3Database *db;
	const M3NamespaceShared *ns;
	double		total;			/* series */
	Sample		sample;
} Estimator;

/* Series that have one of the values; of values not known, as many as others have. */
static double
count_any_of(const Estimator *e, const M3Matcher *matcher, M3Ref name, double present)
{
	double		count = 0;

	if (matcher->values == NULL)
		count = present * (double) matcher->value_count /
			m3_index_value_count(e->db->arena, name);
	for (size_t i = 0; matcher->values != NULL && i < matcher->value_count; i++)
	{
		M3Ref		term = m3_index_term(e->db->arena, name, matcher->values[i]);

		if (term != 0)
			count += m3_index_count(e->db->arena, term);
	}
	return count < present ? count : present;
}

/* Of a sample; among the others there may well be some that do, and some that do not. */
static double
extrapolate(double matched, double seen, double present)
{
	if (matched < 0.5)
		matched = 0.5;
	if (matched > seen - 0.5)
		matched = seen - 0.5;
	return matched / seen * present;
}

/* Series whose value begins so, judged by the first terms, which are as good as any. */
static double
count_prefixed(const Estimator *e, const M3Matcher *matcher, M3Ref name, double present)
{
	M3Matcher	prefix = *matcher;
	double		seen = 0;
	double		matched = 0;
	M3TermCursor cursor;
	M3Ref		term;
	uint32_t	left = SAMPLED_TERMS;

	if (matcher->values == NULL)
		return DEFAULT_SHARE * present;
	prefix.kind = M3_MATCH_PREFIX;
	m3_index_terms(e->db->arena, name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		uint32_t	count = m3_index_count(e->db->arena, term);

		if (left-- == 0)
			return extrapolate(matched, seen, present);
		seen += count;
		if (m3i_matches_value(&prefix, m3_index_value(e->db->arena, term)))
			matched += count;
	}
	return matched;
}

/* ROOT_NAMES held.  Returns whether these are all the values there are. */
static bool
take_sample(Estimator *e, M3Ref name)
{
	Sample	   *sample = &e->sample;
	M3TermCursor cursor;
	M3Ref		term;

	sample->count = 0;
	sample->used = 0;
	m3_index_terms(e->db->arena, name, &cursor);
	while ((term = m3_index_next_term(&cursor)) != 0)
	{
		M3Slice		value = m3_index_value(e->db->arena, term);
		uint8_t    *copy = sample->bytes + sample->used;

		if (sample->count == SAMPLED_VALUES || sizeof(sample->bytes) - sample->used < value.size)
			return false;
		if (value.size > 0)
			memcpy(copy, value.data, value.size);
		sample->used += value.size;
		sample->values[sample->count] = m3_slice(copy, value.size);
		sample->series[sample->count++] = m3_index_count(e->db->arena, term);
	}
	return true;
}

/* No lock held. */
static double
count_accepted(Estimator *e, const M3Matcher *matcher, bool is_whole, double present)
{
	double		seen = 0;
	double		matched = 0;

	for (uint32_t i = 0; i < e->sample.count; i++)
	{
		seen += e->sample.series[i];
		if (matcher->accepts(matcher->context, e->sample.values[i]))
			matched += e->sample.series[i];
	}
	if (is_whole)
		return matched;
	if (seen == 0)
		return DEFAULT_SHARE * present;
	return extrapolate(matched, seen, present);
}

/* ROOT_NAMES held, unless it is a filter's. */
static double
count_matching(const Estimator *e, const M3Matcher *matcher, M3Ref name, double present)
{
	switch (matcher->kind)
	{
		case M3_MATCH_ANY_OF:
			return count_any_of(e, matcher, name, present);
		case M3_MATCH_NONE_OF:
			return present - count_any_of(e, matcher, name, present);
		case M3_MATCH_PREFIX:
			return count_prefixed(e, matcher, name, present);
		case M3_MATCH_NOT_PREFIX:
			return present - count_prefixed(e, matcher, name, present);
		case M3_MATCH_ABSENT:
			return e->total - present;
		case M3_MATCH_PRESENT:
		case M3_MATCH_ID:
		case M3_MATCH_FILTER:
		case M3_MATCH_NOT_FILTER:
		case M3_MATCH_ALL:
		case M3_MATCH_EITHER:
			break;
	}
	return present;
}

/* Series that a matcher without parts leaves, if it is the only one. */
static double
count_series(Estimator *e, const M3Matcher *matcher)
{
	bool		is_filter = matcher->kind == M3_MATCH_FILTER ||
		matcher->kind == M3_MATCH_NOT_FILTER;
	double		present = 0;
	double		count = 0;
	bool		is_whole = true;
	M3Env	   *env = e->db->env;
	M3Ref		name;

	if (matcher->kind == M3_MATCH_ID)
		return (double) matcher->value_count;
	if (is_filter && matcher->accepts == NULL && matcher->name.size == 0)
		return (matcher->kind == M3_MATCH_FILTER ? DEFAULT_SHARE : 1 - DEFAULT_SHARE) * e->total;
	env->lock(env, m3i_lock_names(e->db), M3_LOCK_SHARED);
	name = m3_index_name(e->db->arena, &e->ns->index, matcher->name);
	if (name != 0)
	{
		present = m3_index_series_count(e->db->arena, name);
		if (is_filter)
			is_whole = take_sample(e, name);
		else
			count = count_matching(e, matcher, name, present);
	}
	else if (matcher->kind == M3_MATCH_ABSENT)
		count = e->total;
	env->unlock(env, m3i_lock_names(e->db));
	if (!is_filter || name == 0)
		return count;
	count = matcher->accepts == NULL ? DEFAULT_SHARE * present :
		count_accepted(e, matcher, is_whole, present);
	return matcher->kind == M3_MATCH_FILTER ? count : present - count;
}

/* The part of all series, 0 to 1.  As deep as matchers are nested. */
static double
share_of(Estimator *e, const M3Matcher *matcher)
{
	bool		is_either = matcher->kind == M3_MATCH_EITHER;
	double		share = 1;

	if (!m3i_is_tree(matcher))
	{
		share = count_series(e, matcher) / e->total;
		/* series come and go meanwhile */
		return share < 0 ? 0 : share > 1 ? 1 : share;
	}
	/* of EITHER: those that fulfil none */
	for (size_t i = 0; i < matcher->part_count && share > 0; i++)
	{
		double		part = share_of(e, &matcher->parts[i]);

		share *= is_either ? 1 - part : part;
	}
	return is_either ? 1 - share : share;
}

M3Status
m3_scan_estimate_matching(M3Database *db, M3Slice namespace_name, const M3Matcher *matchers,
						  size_t matcher_count, M3Estimate *estimate, M3Error *err)
{
	Estimator	e = {.db = db};
	double		share = 1;
	M3Ref		ref;

	memset(estimate, 0, sizeof(*estimate));
	estimate->first_block_ns = INT64_MAX;
	estimate->end_ns = INT64_MIN;
	M3_TRY(m3i_require_ready(db, err));
	ref = m3i_namespace_find(db, namespace_name);
	if (ref == 0)
		return M3_OK;
	e.ns = m3_arena_at(db->arena, ref);
	estimate_all(db, e.ns, estimate);
	e.total = (double) estimate->series;
	for (size_t i = 0; i < matcher_count && e.total > 0 && share > 0; i++)
		share *= share_of(&e, &matchers[i]);
	if (share < 1)
	{
		uint64_t	series = (uint64_t) (share * e.total + 0.5);

		if (series == 0 && share > 0)
			series = 1;
		share = (double) series / e.total;
		estimate->points = (uint64_t) ((double) estimate->points * share);
		estimate->summarized_points = (uint64_t) ((double) estimate->summarized_points * share);
		estimate->bytes = (uint64_t) ((double) estimate->bytes * share);
		estimate->series = series;
	}
	return M3_OK;
}
