/*
 * Storage values to Datums.
 *
 * Tags are UTF-8 and may come from elsewhere, so they are checked and converted to the
 * database's encoding.  A tag column of another type than text accepts a
 * tag only if it is the text the type itself would write: then equal values are
 * equal bytes, which is what lets fdw/quals.c compare bytes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/matcher.h"
#include "fdw/project.h"

static void
set_role(M3dbProjection *projection, const M3dbColumn *column)
{
	switch (column->role)
	{
		case M3DB_ROLE_TIME:
			projection->time_attnum = column->attnum;
			break;
		case M3DB_ROLE_TIME_NS:
			projection->time_ns_attnum = column->attnum;
			break;
		case M3DB_ROLE_VALUE:
			projection->value_attnum = column->attnum;
			break;
		case M3DB_ROLE_ID:
			projection->id_attnum = column->attnum;
			break;
		case M3DB_ROLE_TAGS:
			projection->tags_attnum = column->attnum;
			break;
		case M3DB_ROLE_ANNOTATION:
			projection->annotation_attnum = column->attnum;
			break;
		case M3DB_ROLE_UNIT:
			projection->unit_attnum = column->attnum;
			break;
		case M3DB_ROLE_TAG:
		case M3DB_ROLE_NONE:
			break;
	}
}

M3dbProjection *
m3db_projection_create(const M3dbTable *table, List *attnums, int attribute_count)
{
	M3dbProjection *projection = palloc0(sizeof(M3dbProjection));
	ListCell   *lc;

	projection->table = table;
	projection->series_context = AllocSetContextCreate(CurrentMemoryContext,
													   "m3db series",
													   ALLOCSET_SMALL_SIZES);
	projection->attribute_count = attribute_count;
	projection->values = palloc0(sizeof(Datum) * (attribute_count + 1));
	projection->nulls = palloc(sizeof(bool) * (attribute_count + 1));
	memset(projection->nulls, true, sizeof(bool) * (attribute_count + 1));
	projection->is_used = palloc0(sizeof(bool) * (attribute_count + 1));
	projection->used = palloc(sizeof(AttrNumber) * (list_length(attnums) + 1));
	projection->tag_attnums = palloc(sizeof(AttrNumber) * (table->tag_count + 1));

	foreach(lc, attnums)
	{
		AttrNumber	attnum = (AttrNumber) lfirst_int(lc);

		if (attnum > table->column_count || attnum > attribute_count)
			elog(ERROR, "invalid attribute number %d", attnum);
		projection->used[projection->used_count++] = attnum;
		projection->is_used[attnum - 1] = true;
		set_role(projection, &table->columns[attnum - 1]);
	}
	for (int i = 0; i < table->tag_count; i++)
	{
		if (projection->is_used[table->tag_attnums[i] - 1])
			projection->tag_attnums[projection->tag_count++] = table->tag_attnums[i];
	}
	for (unsigned unit = M3_UNIT_SECOND; unit <= M3_UNIT_NANOSECOND; unit++)
		projection->unit_texts[unit] = CStringGetTextDatum(m3_unit_name(unit));
	return projection;
}

/* ---- tags ---- */

typedef struct TagContext
{
	const M3dbColumn *column;
	M3Slice		value;
	M3Slice		id;
} TagContext;

/* Bytes for a message: what is not plain ASCII may not be in the right encoding. */
static char *
printable(M3Slice bytes)
{
	size_t		size = Min(bytes.size, 200);
	char	   *text = palloc(size + 4);

	for (size_t i = 0; i < size; i++)
		text[i] = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f ?
			(char) bytes.data[i] : '?';
	strcpy(text + size, size < bytes.size ? "..." : "");
	return text;
}

static void
tag_error_context(void *arg)
{
	const TagContext *context = arg;

	errcontext("tag \"%s\" with value \"%s\" of series \"%s\", column \"%s\"",
			   printable(context->column->tag), printable(context->value),
			   printable(context->id), context->column->name);
}

/* Bytes as text in the database's encoding; the result may be the slice itself. */
static M3Slice
server_text(M3Slice bytes)
{
	char	   *converted = pg_any_to_server((const char *) bytes.data,
											 (int) bytes.size, PG_UTF8);

	if (converted == (const char *) bytes.data)
		return bytes;
	return m3_slice_cstr(converted);
}

static Datum
text_datum(M3Slice bytes)
{
	M3Slice		text = server_text(bytes);

	return PointerGetDatum(cstring_to_text_with_len((const char *) text.data,
													(int) text.size));
}

/* The value of a column whose type is not plain text. */
static Datum
typed_datum(const M3dbColumn *column, M3Slice bytes)
{
	M3Slice		text = server_text(bytes);
	char	   *string = pnstrdup((const char *) text.data, text.size);
	Datum		datum;

	datum = InputFunctionCall((FmgrInfo *) &column->input, string,
							  column->input_param, column->type_modifier);
	if (strcmp(OutputFunctionCall((FmgrInfo *) &column->output, datum), string) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("\"%s\" is not the canonical text of a value of type %s",
						string, format_type_be(column->type_id)),
				 errhint("Map the tag to a column of type text.")));
	return datum;
}

static Datum
tag_datum(const M3dbColumn *column, M3Slice value, M3Slice id)
{
	TagContext	context = {column, value, id};
	ErrorContextCallback callback;
	Datum		datum;

	callback.callback = tag_error_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (column->type_id == TEXTOID)
		datum = text_datum(value);
	else
		datum = typed_datum(column, value);
	error_context_stack = callback.previous;
	return datum;
}

/* Tags and tag columns are both sorted by name, as a rule. */
static void
set_tag_columns(M3dbProjection *projection, M3Slice id, M3Slice tags)
{
	for (int i = 0; i < projection->tag_count; i++)
	{
		AttrNumber	attnum = projection->tag_attnums[i];
		const M3dbColumn *column = &projection->table->columns[attnum - 1];
		M3Slice		value;

		projection->nulls[attnum - 1] = !m3_tags_find(tags, column->tag, &value);
		if (!projection->nulls[attnum - 1])
			projection->values[attnum - 1] = tag_datum(column, value, id);
	}
}

static void
set_json_string(JsonbValue *value, M3Slice bytes)
{
	M3Slice		text = server_text(bytes);

	value->type = jbvString;
	value->val.string.val = (char *) text.data;
	value->val.string.len = (int) text.size;
}

/* All tags without a column of their own; {} if there are none. */
static Datum
tags_datum(const M3dbTable *table, M3Slice tags)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	M3TagIterator iterator;
	M3Tag		tag;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	m3_tag_iterator_init_trusted(&iterator, tags);
	while (m3_tag_next(&iterator, &tag))
	{
		JsonbValue	string;
		M3Slice		first;

		/* of a tag that a foreign series has twice, conditions see the first, too */
		if (!m3db_json_shows(table, tag.name) ||
			!m3_tags_find(tags, tag.name, &first) || first.data != tag.value.data)
			continue;
		set_json_string(&string, tag.name);
		pushJsonbValue(&state, WJB_KEY, &string);
		set_json_string(&string, tag.value);
		pushJsonbValue(&state, WJB_VALUE, &string);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return PointerGetDatum(JsonbValueToJsonb(object));
}

void
m3db_projection_set_series(M3dbProjection *projection, M3Slice id, M3Slice tags)
{
	MemoryContext old_context;

	MemoryContextReset(projection->series_context);
	old_context = MemoryContextSwitchTo(projection->series_context);
	set_tag_columns(projection, id, tags);
	if (projection->id_attnum != InvalidAttrNumber)
	{
		projection->values[projection->id_attnum - 1] = text_datum(id);
		projection->nulls[projection->id_attnum - 1] = false;
	}
	if (projection->tags_attnum != InvalidAttrNumber)
	{
		projection->values[projection->tags_attnum - 1] =
			tags_datum(projection->table, tags);
		projection->nulls[projection->tags_attnum - 1] = false;
	}
	MemoryContextSwitchTo(old_context);
}

/* ---- points ---- */

void
m3db_projection_set_time(M3dbProjection *projection, int64 time_ns)
{
	if (projection->time_attnum != InvalidAttrNumber)
	{
		projection->values[projection->time_attnum - 1] =
			TimestampTzGetDatum(m3db_time_from_ns(time_ns));
		projection->nulls[projection->time_attnum - 1] = false;
	}
	if (projection->time_ns_attnum != InvalidAttrNumber)
	{
		projection->values[projection->time_ns_attnum - 1] = Int64GetDatum(time_ns);
		projection->nulls[projection->time_ns_attnum - 1] = false;
	}
}

void
m3db_projection_set_unit(M3dbProjection *projection, unsigned unit)
{
	AttrNumber	attnum = projection->unit_attnum;

	if (attnum == InvalidAttrNumber)
		return;
	projection->nulls[attnum - 1] = !m3_unit_is_valid(unit);
	if (m3_unit_is_valid(unit))
		projection->values[attnum - 1] = projection->unit_texts[unit];
}

void
m3db_projection_set_annotation(M3dbProjection *projection, M3Slice annotation)
{
	AttrNumber	attnum = projection->annotation_attnum;

	if (attnum == InvalidAttrNumber)
		return;
	projection->nulls[attnum - 1] = annotation.size == 0;
	if (annotation.size > 0)
		projection->values[attnum - 1] =
			PointerGetDatum(cstring_to_text_with_len((const char *) annotation.data,
													 (int) annotation.size));
}
