/*
 * first(value, time) and last(value, time): the value at the least or the greatest time.
 *
 * Values and times are of any type; times need a btree order.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(m3db_first_trans);
PG_FUNCTION_INFO_V1(m3db_last_trans);
PG_FUNCTION_INFO_V1(m3db_first_combine);
PG_FUNCTION_INFO_V1(m3db_last_combine);
PG_FUNCTION_INFO_V1(m3db_first_last_serialize);
PG_FUNCTION_INFO_V1(m3db_first_last_deserialize);
PG_FUNCTION_INFO_V1(m3db_first_last_final);

typedef struct TypedDatum
{
	Oid			type;
	int16		size;
	bool		by_value;
	bool		is_null;
	Datum		datum;			/* if by reference, allocated with the state */
} TypedDatum;

typedef struct State
{
	TypedDatum		value;
	TypedDatum		time;			/* not NULL */
	Oid			collation;
} State;

/* In fn_extra: what else a call needs to know of the type of times. */
typedef struct Order
{
	Oid			type;
	FmgrInfo	compare;
} Order;

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (AggCheckCallContext(fcinfo, &context) == 0)
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

static void
item_init(TypedDatum *item, Oid type)
{
	item->type = type;
	get_typlenbyval(type, &item->size, &item->by_value);
	item->is_null = true;
	item->datum = (Datum) 0;
}

/* Copies a datum into an item, in the current memory context. */
static void
item_set(TypedDatum *item, Datum datum, bool is_null)
{
	if (!item->is_null && !item->by_value)
		pfree(DatumGetPointer(item->datum));
	item->is_null = is_null;
	item->datum = is_null ? (Datum) 0 : datumCopy(datum, item->by_value, item->size);
}

static Order *
order_of(FunctionCallInfo fcinfo, Oid type)
{
	Order	   *order = fcinfo->flinfo->fn_extra;
	TypeCacheEntry *entry;

	if (order != NULL && order->type == type)
		return order;
	entry = lookup_type_cache(type, TYPECACHE_CMP_PROC);
	if (!OidIsValid(entry->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a comparison function for type %s",
						format_type_be(type))));
	order = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(*order));
	fmgr_info_cxt(entry->cmp_proc, &order->compare, fcinfo->flinfo->fn_mcxt);
	order->type = type;
	fcinfo->flinfo->fn_extra = order;
	return order;
}

/* direction: -1 keeps the least time, 1 the greatest. */
static void
offer(FunctionCallInfo fcinfo, MemoryContext context, State *state, int direction,
	  Datum value, bool value_is_null, Datum time)
{
	Order	   *order = order_of(fcinfo, state->time.type);
	MemoryContext old_context;

	if (!state->time.is_null &&
		DatumGetInt32(FunctionCall2Coll(&order->compare, state->collation, time,
										state->time.datum)) * direction <= 0)
		return;
	old_context = MemoryContextSwitchTo(context);
	item_set(&state->value, value, value_is_null);
	item_set(&state->time, time, false);
	MemoryContextSwitchTo(old_context);
}

static Datum
transition(FunctionCallInfo fcinfo, int direction)
{
	MemoryContext context = aggregate_context(fcinfo);
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(*state));
		item_init(&state->value, get_fn_expr_argtype(fcinfo->flinfo, 1));
		item_init(&state->time, get_fn_expr_argtype(fcinfo->flinfo, 2));
		state->collation = PG_GET_COLLATION();
	}
	offer(fcinfo, context, state, direction, PG_GETARG_DATUM(1), PG_ARGISNULL(1),
		  PG_GETARG_DATUM(2));
	PG_RETURN_POINTER(state);
}

Datum
m3db_first_trans(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, -1);
}

Datum
m3db_last_trans(PG_FUNCTION_ARGS)
{
	return transition(fcinfo, 1);
}

/* Both states may be NULL; the second one must stay as it is. */
static Datum
combine(FunctionCallInfo fcinfo, int direction)
{
	MemoryContext context = aggregate_context(fcinfo);
	State	   *state = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	const State *other = PG_ARGISNULL(1) ? NULL : (const State *) PG_GETARG_POINTER(1);

	if (other == NULL && state == NULL)
		PG_RETURN_NULL();
	if (other == NULL)
		PG_RETURN_POINTER(state);
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(*state));
		item_init(&state->value, other->value.type);
		item_init(&state->time, other->time.type);
		state->collation = other->collation;
	}
	offer(fcinfo, context, state, direction, other->value.datum, other->value.is_null,
		  other->time.datum);
	PG_RETURN_POINTER(state);
}

Datum
m3db_first_combine(PG_FUNCTION_ARGS)
{
	return combine(fcinfo, -1);
}

Datum
m3db_last_combine(PG_FUNCTION_ARGS)
{
	return combine(fcinfo, 1);
}

/* ---- between processes: the collation, then type and datum of value and time ---- */

static void
write_item(StringInfo out, const TypedDatum *item)
{
	Size		size = datumEstimateSpace(item->datum, item->is_null, item->by_value,
										  item->size);
	char	   *at;

	appendBinaryStringInfo(out, (const char *) &item->type, sizeof(item->type));
	enlargeStringInfo(out, (int) size);
	at = out->data + out->len;
	datumSerialize(item->datum, item->is_null, item->by_value, item->size, &at);
	out->len = (int) (at - out->data);
}

static void
read_item(TypedDatum *item, char **at)
{
	Oid			type;

	memcpy(&type, *at, sizeof(type));
	*at += sizeof(type);
	item_init(item, type);
	item->datum = datumRestore(at, &item->is_null);
}

Datum
m3db_first_last_serialize(PG_FUNCTION_ARGS)
{
	const State *state = (const State *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) aggregate_context(fcinfo);
	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendBinaryStringInfo(&out, (const char *) &state->collation, sizeof(state->collation));
	write_item(&out, &state->value);
	write_item(&out, &state->time);
	SET_VARSIZE(out.data, out.len);
	PG_RETURN_BYTEA_P(out.data);
}

Datum
m3db_first_last_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	char	   *at = VARDATA_ANY(in);
	State	   *state = palloc0(sizeof(*state));

	(void) aggregate_context(fcinfo);
	memcpy(&state->collation, at, sizeof(state->collation));
	at += sizeof(state->collation);
	read_item(&state->value, &at);
	read_item(&state->time, &at);
	PG_RETURN_POINTER(state);
}

/* The arguments after the state are only there to give the result its type. */
Datum
m3db_first_last_final(PG_FUNCTION_ARGS)
{
	const State *state = PG_ARGISNULL(0) ? NULL : (const State *) PG_GETARG_POINTER(0);

	(void) aggregate_context(fcinfo);
	if (state == NULL || state->value.is_null)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(state->value.datum);
}
