/*
 * Patterns are PostgreSQL's own affair: a filter calls the operator's function, with the
 * collation of the clause, on each distinct value of the tag.
 *
 * A LIKE pattern without wildcards, or with % at its end only, compares bytes, as starts_with
 * does; that much is told to the storage engine in its own terms, so that it need not ask
 * about values one by one.  Other encodings than UTF-8 have characters that become several of
 * UTF-8, where a part of the text is no part of the tag; there it always asks.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/pattern.h"

typedef struct Filter
{
	FmgrInfo	function;
	Oid			collation;
	Datum		pattern;
	bool		unreadable;		/* the answer for what is no text */
	MemoryContext scratch;
} Filter;

bool
m3db_pattern_is_negative(Oid function)
{
	return function == F_TEXTNLIKE || function == F_TEXTICNLIKE ||
		function == F_TEXTREGEXNE || function == F_TEXTICREGEXNE;
}

bool
m3db_pattern_is_function(Oid function)
{
	switch (function)
	{
		case F_TEXTLIKE:
		case F_TEXTNLIKE:
		case F_TEXTICLIKE:
		case F_TEXTICNLIKE:
		case F_TEXTREGEXEQ:
		case F_TEXTREGEXNE:
		case F_TEXTICREGEXEQ:
		case F_TEXTICREGEXNE:
		case F_STARTS_WITH:
			return true;
		default:
			return false;
	}
}

/* ---- filters ---- */

/* What is no valid text matches nothing; it is an error where it is shown. */
static bool
is_text(M3Slice value)
{
	return m3_utf8_is_valid(value) &&
		(value.size == 0 || memchr(value.data, 0, value.size) == NULL);
}

/* M3AcceptFn */
static bool
accepts(void *arg, M3Slice value)
{
	Filter	   *filter = arg;
	MemoryContext old_context;
	const char *bytes = (const char *) value.data;
	const char *converted;
	Size		size = value.size;
	Datum		result;

	if (!is_text(value))
		return filter->unreadable;
	old_context = MemoryContextSwitchTo(filter->scratch);
	converted = pg_any_to_server(bytes, (int) size, PG_UTF8);
	if (converted != bytes)
		size = strlen(converted);
	result = FunctionCall2Coll(&filter->function, filter->collation,
							   PointerGetDatum(cstring_to_text_with_len(converted, (int) size)),
							   filter->pattern);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(filter->scratch);
	return DatumGetBool(result);
}

static void
set_filter(Oid function, Oid collation, bool negated, Datum pattern, M3Matcher *matcher)
{
	Filter	   *filter = palloc(sizeof(Filter));

	fmgr_info(function, &filter->function);
	filter->collation = collation;
	filter->pattern = PointerGetDatum(PG_DETOAST_DATUM_COPY(pattern));
	filter->unreadable = m3db_pattern_is_negative(function);
	filter->scratch = AllocSetContextCreate(CurrentMemoryContext, "m3db pattern",
											ALLOCSET_SMALL_SIZES);
	matcher->kind = negated ? M3_MATCH_NOT_FILTER : M3_MATCH_FILTER;
	matcher->accepts = accepts;
	matcher->context = filter;
}

/* ---- literals ---- */

/*
 * Is a LIKE pattern a literal, but for % at its end?  literal has room for the pattern.
 * A backslash at the end is an error only for values that get there, so it is none.
 */
static bool
parse_like(const char *pattern, Size size, char *literal, Size *literal_size, bool *is_prefix)
{
	Size		at = 0;

	*literal_size = 0;
	while (at < size && pattern[at] != '%')
	{
		if (pattern[at] == '_')
			return false;
		if (pattern[at] == '\\' && ++at == size)
			return false;
		literal[(*literal_size)++] = pattern[at++];
	}
	*is_prefix = at < size;
	while (at < size && pattern[at] == '%')
		at++;
	return at == size;
}

/* False if the pattern does not boil down to a comparison of bytes. */
static bool
set_literal(Oid function, bool negated, Datum pattern, M3Matcher *matcher)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(pattern);
	const char *bytes = VARDATA_ANY(text);
	Size		size = VARSIZE_ANY_EXHDR(text);
	char	   *literal;
	M3Slice    *value;
	bool		is_prefix = true;

	if (GetDatabaseEncoding() != PG_UTF8)
		return false;
	literal = palloc(size + 1);
	if (function == F_STARTS_WITH)
		memcpy(literal, bytes, size);
	else if ((function != F_TEXTLIKE && function != F_TEXTNLIKE) ||
			 !parse_like(bytes, size, literal, &size, &is_prefix))
		return false;

	value = palloc(sizeof(M3Slice));
	*value = m3_slice(literal, size);
	matcher->values = value;
	matcher->value_count = 1;
	if (negated != m3db_pattern_is_negative(function))
		matcher->kind = is_prefix ? M3_MATCH_NOT_PREFIX : M3_MATCH_NONE_OF;
	else
		matcher->kind = is_prefix ? M3_MATCH_PREFIX : M3_MATCH_ANY_OF;
	return true;
}

void
m3db_pattern_matcher(Oid function, Oid collation, bool negated, Datum pattern,
					 M3Matcher *matcher)
{
	if (!set_literal(function, negated, pattern, matcher))
		set_filter(function, collation, negated, pattern, matcher);
}
