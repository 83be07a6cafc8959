#include "postgres.h"

#include "mb/pg_wchar.h"

#include "compat.h"
#include "fdw/matcher.h"

M3Slice
m3db_tag_bytes(const char *text, int size)
{
	char	   *copy = pnstrdup(text, (Size) size);
	char	   *utf8 = pg_server_to_any(copy, size, PG_UTF8);

	return m3_slice(utf8, utf8 == copy ? (size_t) size : strlen(utf8));
}

static int
compare_slices(const void *a, const void *b)
{
	return m3_slice_compare(*(const M3Slice *) a, *(const M3Slice *) b);
}

size_t
m3db_sort_unique(M3Slice *values, size_t count)
{
	size_t		kept = 0;

	qsort(values, count, sizeof(M3Slice), compare_slices);
	for (size_t i = 0; i < count; i++)
	{
		if (kept == 0 || !m3_slice_equal(values[kept - 1], values[i]))
			values[kept++] = values[i];
	}
	return kept;
}

void
m3db_matcher_constant(bool always, M3Matcher *matcher)
{
	memset(matcher, 0, sizeof(*matcher));
	matcher->kind = always ? M3_MATCH_ALL : M3_MATCH_EITHER;
}

bool
m3db_matcher_is_constant(const M3Matcher *matcher, bool always)
{
	return matcher->kind == (always ? M3_MATCH_ALL : M3_MATCH_EITHER) &&
		matcher->part_count == 0;
}

void
m3db_matcher_tag(M3MatchKind kind, M3Slice name, const M3Slice *values, size_t value_count,
				 M3Matcher *matcher)
{
	memset(matcher, 0, sizeof(*matcher));
	matcher->kind = kind;
	matcher->name = name;
	matcher->values = values;
	matcher->value_count = value_count;
}

/* ---- trees ---- */

/* Two that are one if either may hold: the values of both. */
static bool
is_same_question(const M3Matcher *a, const M3Matcher *b)
{
	return a->kind == b->kind && a->values != NULL && b->values != NULL &&
		(a->kind == M3_MATCH_ID ||
		 ((a->kind == M3_MATCH_ANY_OF || a->kind == M3_MATCH_PREFIX) &&
		  m3_slice_equal(a->name, b->name)));
}

static void
add_values(M3Matcher *matcher, const M3Matcher *other)
{
	size_t		count = matcher->value_count + other->value_count;
	M3Slice    *values = palloc(sizeof(M3Slice) * (count + 1));

	if (matcher->value_count > 0)
		memcpy(values, matcher->values, sizeof(M3Slice) * matcher->value_count);
	if (other->value_count > 0)
		memcpy(values + matcher->value_count, other->values,
			   sizeof(M3Slice) * other->value_count);
	matcher->values = values;
	matcher->value_count = m3db_sort_unique(values, count);
}

static bool
merge_into(M3Matcher *parts, size_t count, const M3Matcher *part)
{
	for (size_t i = 0; i < count; i++)
	{
		if (is_same_question(&parts[i], part))
		{
			add_values(&parts[i], part);
			return true;
		}
	}
	return false;
}

void
m3db_matcher_tree(M3MatchKind kind, M3Matcher *parts, size_t count, M3Matcher *matcher)
{
	bool		is_either = kind == M3_MATCH_EITHER;
	size_t		kept = 0;

	for (size_t i = 0; i < count; i++)
	{
		if (m3db_matcher_is_constant(&parts[i], is_either))
		{
			m3db_matcher_constant(is_either, matcher);
			return;
		}
		if (!m3db_matcher_is_constant(&parts[i], !is_either) &&
			!(is_either && merge_into(parts, kept, &parts[i])))
			parts[kept++] = parts[i];
	}
	if (kept == 1)
	{
		*matcher = parts[0];
		return;
	}
	memset(matcher, 0, sizeof(*matcher));
	matcher->kind = kind;
	matcher->parts = parts;
	matcher->part_count = kept;
}
