/*
 * Tags from columns and jsonb, in UTF-8 whatever the server's encoding, and ids made of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/row_tags.h"
#include "server/server.h"

static M3Slice
utf8_slice(const char *text, Size size)
{
	const char *utf8 = pg_server_to_any(text, (int) size, PG_UTF8);

	return m3_slice(utf8, utf8 == text ? size : strlen(utf8));
}

/* The text of a tag column that is not NULL; in the current context. */
static M3Slice
tag_text(const M3dbColumn *column, Datum value)
{
	char	   *text;

	if (column->type_id == TEXTOID || column->type_id == VARCHAROID)
	{
		struct varlena *bytes = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

		return utf8_slice(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	text = OutputFunctionCall(unconstify(FmgrInfo *, &column->output), value);
	return utf8_slice(text, strlen(text));
}

static _Noreturn void
refuse_tags(const M3dbTable *table, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid tags in column \"%s\" of foreign table \"%s\"",
					table->columns[table->tags_attnum - 1].name, get_rel_name(table->relid)),
			 errdetail("%s", detail)));
	pg_unreachable();
}

static const char *
json_kind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a boolean";
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object";
		default:
			return "something else";
	}
}

/* Does the table give the tag in another way than by the jsonb column? */
static const char *
owner_of_tag(const M3dbTable *table, M3Slice name)
{
	const M3dbColumn *value = &table->columns[table->value_attnums[0] - 1];

	for (int i = 0; i < table->tag_count; i++)
	{
		const M3dbColumn *column = &table->columns[table->tag_attnums[i] - 1];

		if (m3_slice_equal(column->tag, name))
			return column->name;
	}
	if (value->tag.size > 0 && m3_slice_equal(name, m3_slice_cstr(M3_TAG_METRIC_NAME)))
		return value->name;
	return NULL;
}

/* One key of the object.  NULL: the tag is absent. */
static void
add_json_tag(const M3dbTable *table, const JsonbValue *key, const JsonbValue *value,
			 M3Tag *tags, size_t *count)
{
	M3Slice		name = utf8_slice(key->val.string.val, key->val.string.len);
	const char *owner;

	if (value->type == jbvNull)
		return;
	if (value->type != jbvString)
		refuse_tags(table,
					psprintf("The value of \"%s\" is %s; tags are strings, or null for none.",
							 pnstrdup(key->val.string.val, key->val.string.len),
							 json_kind(value)));
	owner = owner_of_tag(table, name);
	if (owner != NULL)
		refuse_tags(table,
					psprintf("Tag \"%s\" comes from column \"%s\".",
							 pnstrdup(key->val.string.val, key->val.string.len), owner));
	tags[*count].name = name;
	tags[*count].value = utf8_slice(value->val.string.val, value->val.string.len);
	(*count)++;
}

static void
add_json_tags(const M3dbTable *table, Jsonb *object, M3Tag *tags, size_t *count)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		add_json_tag(table, &key, &value, tags, count);
	}
}

M3Tag *
m3db_row_tags(const M3dbTable *table, const TupleTableSlot *slot, size_t *count)
{
	AttrNumber	tags_attnum = table->tags_attnum;
	Jsonb	   *object = NULL;
	Size		room = table->tag_count;
	M3Tag	   *tags;

	if (tags_attnum != InvalidAttrNumber && !slot->tts_isnull[tags_attnum - 1])
	{
		object = DatumGetJsonbP(slot->tts_values[tags_attnum - 1]);
		if (!JB_ROOT_IS_OBJECT(object))
			refuse_tags(table, "It must be an object, such as {\"host\": \"web-1\"}.");
		room += JB_ROOT_COUNT(object);
	}
	tags = palloc(Max(room, 1) * sizeof(M3Tag));
	*count = 0;
	for (int i = 0; i < table->tag_count; i++)
	{
		const M3dbColumn *column = &table->columns[table->tag_attnums[i] - 1];

		if (slot->tts_isnull[column->attnum - 1])
			continue;
		tags[*count].name = column->tag;
		tags[*count].value = tag_text(column, slot->tts_values[column->attnum - 1]);
		(*count)++;
	}
	if (object != NULL)
		add_json_tags(table, object, tags, count);
	return tags;
}

/* ---- series ---- */

/* The given id, or the one made of the tags; in the current context. */
static M3Slice
series_id(const M3dbTable *table, const TupleTableSlot *slot, const M3Tag *tags, size_t count)
{
	AttrNumber	attnum = table->id_attnum;
	uint8_t    *id = NULL;
	size_t		capacity = 0;
	size_t		size = 0;
	M3Error		err = {0};

	if (attnum != InvalidAttrNumber)
		return tag_text(&table->columns[attnum - 1], slot->tts_values[attnum - 1]);
	m3db_check(m3_id_quoted(tags, count, m3db_memory(CurrentMemoryContext), &id, &capacity,
							&size, &err),
			   &err);
	return m3_slice(id, size);
}

uint32
m3db_row_series(M3Txn *txn, uint32 namespace_number, const M3dbTable *table,
				const TupleTableSlot *slot, const M3dbColumn *column,
				const M3Tag *row_tags, size_t row_count)
{
	size_t		count = row_count;
	M3Tag	   *tags = palloc((row_count + 1) * sizeof(M3Tag));
	uint8_t    *encoded;
	size_t		size;
	M3Slice		id;
	uint32_t	series;
	M3Error		err = {0};

	memcpy(tags, row_tags, row_count * sizeof(M3Tag));
	if (column->tag.size > 0)
	{
		tags[count].name = m3_slice_cstr(M3_TAG_METRIC_NAME);
		tags[count].value = column->tag;
		count++;
	}
	m3_tags_sort(tags, count);
	m3db_check(m3_tags_validate(tags, count, &err), &err);
	id = series_id(table, slot, tags, count);
	size = m3_tags_encoded_size(tags, count);
	encoded = palloc(Max(size, 1));
	m3_tags_encode(tags, count, encoded);
	m3db_check(m3_txn_series(txn, namespace_number, id, m3_slice(encoded, size), &series, &err),
			   &err);
	return series;
}
