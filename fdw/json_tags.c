/*
 * Conditions on the column of role TAGS, which shows all tags without a column of their own as
 * an object of strings, {} if there are none, and is never NULL.
 *
 * What such an object contains, PostgreSQL says: another object if it has each of its keys with
 * the same value.  So only strings can be found in it, and no array and no scalar.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "fdw/matcher.h"

bool
m3db_json_shows(const M3dbTable *table, M3Slice name)
{
	for (int i = 0; i < table->tag_count; i++)
	{
		if (m3_slice_equal(table->columns[table->tag_attnums[i] - 1].tag, name))
			return false;
	}
	return !(table->wide || table->columns[table->value_attnums[0] - 1].tag.size > 0) ||
		!m3_slice_equal(name, m3_slice_cstr(M3_TAG_METRIC_NAME));
}

bool
m3db_json_string(Datum value, M3Slice *bytes)
{
	Jsonb	   *json = DatumGetJsonbP(value);
	JsonbValue	string;

	if (!JB_ROOT_IS_SCALAR(json) || !JsonbExtractScalar(&json->root, &string) ||
		string.type != jbvString)
		return false;
	*bytes = m3db_tag_bytes(string.val.string.val, string.val.string.len);
	return true;
}

static M3Slice
text_bytes(Datum value)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

	return m3db_tag_bytes(VARDATA_ANY(text), (int) VARSIZE_ANY_EXHDR(text));
}

/* The tag is there, or not; with that value, if one is given. */
static void
set_tag(const M3dbTable *table, bool negated, M3Slice name, const M3Slice *value,
		M3Matcher *matcher)
{
	M3Matcher  *parts;

	if (!m3db_json_shows(table, name))
		m3db_matcher_constant(negated, matcher);
	else if (value == NULL)
		m3db_matcher_tag(negated ? M3_MATCH_ABSENT : M3_MATCH_PRESENT, name, NULL, 0, matcher);
	else if (!negated)
		m3db_matcher_tag(M3_MATCH_ANY_OF, name, value, 1, matcher);
	else
	{
		parts = palloc(sizeof(M3Matcher) * 2);
		m3db_matcher_tag(M3_MATCH_ABSENT, name, NULL, 0, &parts[0]);
		m3db_matcher_tag(M3_MATCH_NONE_OF, name, value, 1, &parts[1]);
		m3db_matcher_tree(M3_MATCH_EITHER, parts, 2, matcher);
	}
}

static void
set_contains(const M3dbTable *table, bool negated, Jsonb *json, M3Matcher *matcher)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	M3Slice		name = {0};
	M3Matcher  *parts;
	size_t		count = 0;

	if (!JB_ROOT_IS_OBJECT(json))
	{
		m3db_matcher_constant(negated, matcher);
		return;
	}
	parts = palloc(sizeof(M3Matcher) * (JB_ROOT_COUNT(json) + 1));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		M3Slice    *value;

		if (token == WJB_KEY)
			name = m3db_tag_bytes(item.val.string.val, item.val.string.len);
		if (token != WJB_VALUE)
			continue;
		if (item.type == jbvString)
		{
			value = palloc(sizeof(M3Slice));
			*value = m3db_tag_bytes(item.val.string.val, item.val.string.len);
			set_tag(table, negated, name, value, &parts[count++]);
		}
		else
			m3db_matcher_constant(negated, &parts[count++]);
	}
	m3db_matcher_tree(negated ? M3_MATCH_EITHER : M3_MATCH_ALL, parts, count, matcher);
}

/* NULLs among the keys are passed over, as PostgreSQL does. */
static void
set_keys(const M3dbTable *table, M3dbQualKind kind, bool negated, ArrayType *keys,
		 M3Matcher *matcher)
{
	bool		any = kind == M3DB_QUAL_HAS_ANY_KEY;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	M3Matcher  *parts;
	size_t		used = 0;

	deconstruct_array(keys, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	parts = palloc(sizeof(M3Matcher) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			set_tag(table, negated, text_bytes(elements[i]), NULL, &parts[used++]);
	}
	m3db_matcher_tree(any != negated ? M3_MATCH_EITHER : M3_MATCH_ALL, parts, used, matcher);
}

void
m3db_json_matcher(const M3dbTable *table, M3dbQualKind kind, bool negated, Datum value,
				  M3Matcher *matcher)
{
	switch (kind)
	{
		case M3DB_QUAL_CONTAINS:
			set_contains(table, negated, DatumGetJsonbP(value), matcher);
			break;
		case M3DB_QUAL_HAS_KEY:
			set_tag(table, negated, text_bytes(value), NULL, matcher);
			break;
		default:
			set_keys(table, kind, negated, DatumGetArrayTypeP(value), matcher);
			break;
	}
}
