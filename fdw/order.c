/*
 * Orders as a plan keeps them, and as EXPLAIN shows them.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/order.h"

/* An order is a list of these; the first three have an element a key. */
enum
{
	WRITTEN_ATTNUMS,
	WRITTEN_OPERATORS,
	WRITTEN_COLLATIONS,
	WRITTEN_FLAGS,
	WRITTEN_REST				/* time, first_of */
};

#define FLAG_DESCENDING 1
#define FLAG_NULLS_FIRST 2

List *
m3db_order_write(const M3dbOrder *order)
{
	List	   *attnums = NIL;
	List	   *operators = NIL;
	List	   *collations = NIL;
	List	   *flags = NIL;

	for (int i = 0; i < order->key_count; i++)
	{
		const M3dbOrderKey *key = &order->keys[i];

		attnums = lappend_int(attnums, key->attnum);
		operators = lappend_oid(operators, key->sort_operator);
		collations = lappend_oid(collations, key->collation);
		flags = lappend_int(flags, (key->is_descending ? FLAG_DESCENDING : 0) |
							(key->nulls_first ? FLAG_NULLS_FIRST : 0));
	}
	return list_make5(attnums, operators, collations, flags,
					  list_make2_int(order->time, order->first_of));
}

M3dbOrder *
m3db_order_read(List *written)
{
	M3dbOrder  *order = palloc0(sizeof(M3dbOrder));
	List	   *attnums = list_nth(written, WRITTEN_ATTNUMS);
	List	   *rest = list_nth(written, WRITTEN_REST);

	order->key_count = list_length(attnums);
	order->keys = palloc(sizeof(M3dbOrderKey) * (order->key_count + 1));
	for (int i = 0; i < order->key_count; i++)
	{
		M3dbOrderKey *key = &order->keys[i];
		int			flags = list_nth_int(list_nth(written, WRITTEN_FLAGS), i);

		key->attnum = (AttrNumber) list_nth_int(attnums, i);
		key->sort_operator = list_nth_oid(list_nth(written, WRITTEN_OPERATORS), i);
		key->collation = list_nth_oid(list_nth(written, WRITTEN_COLLATIONS), i);
		key->is_descending = (flags & FLAG_DESCENDING) != 0;
		key->nulls_first = (flags & FLAG_NULLS_FIRST) != 0;
	}
	order->time = (M3dbTimeOrder) linitial_int(rest);
	order->first_of = lsecond_int(rest);
	return order;
}

static const char *
separator(const StringInfo text)
{
	return text->len > 0 ? ", " : "";
}

static void
append_key(StringInfo text, const M3dbTable *table, const M3dbOrderKey *key)
{
	const M3dbColumn *column = &table->columns[key->attnum - 1];

	appendStringInfo(text, "%s%s", separator(text), quote_identifier(column->name));
	if (key->collation != column->collation && OidIsValid(key->collation))
		appendStringInfo(text, " COLLATE %s",
						 quote_identifier(get_collation_name(key->collation)));
	if (key->is_descending)
		appendStringInfoString(text, " DESC");
	if (key->nulls_first != key->is_descending)
		appendStringInfoString(text, key->nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

char *
m3db_order_text(const M3dbTable *table, const M3dbOrder *order)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < order->key_count; i++)
		append_key(&text, table, &order->keys[i]);
	if (order->time != M3DB_TIME_UNORDERED)
		appendStringInfo(&text, "%s%s%s", separator(&text),
						 quote_identifier(table->columns[table->time_attnum - 1].name),
						 order->time == M3DB_TIME_DESCENDING ? " DESC" : "");
	return text.data;
}

char *
m3db_order_first_text(const M3dbTable *table, const M3dbOrder *order)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < order->first_of; i++)
		appendStringInfo(&text, "%s%s", separator(&text),
						 quote_identifier(table->columns[order->keys[i].attnum - 1].name));
	return text.data;
}
