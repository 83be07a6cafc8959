/*
 * SQL functions that need to know foreign tables, or how tags look in SQL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/mapping.h"
#include "server/requests.h"
#include "server/rows.h"
#include "server/server.h"

PG_FUNCTION_INFO_V1(m3db_flush_table);
PG_FUNCTION_INFO_V1(m3db_series);

/* ---- flush of a table ---- */

/* Its namespace; an error if it is no table of the embedded engine. */
static M3Slice
namespace_of_table(Oid relid)
{
	const char *name = m3db_require_table(relid);

	if (!m3db_relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, name);
	m3db_refuse_mount(relid, "flush");
	return m3db_mapping(relid)->namespace_name;
}

Datum
m3db_flush_table(PG_FUNCTION_ARGS)
{
	M3dbJobResult result;

	m3db_request(M3_JOB_FLUSH, namespace_of_table(PG_GETARG_OID(0)), &result);
	return m3db_flush_datum(fcinfo, &result.flush);
}

/* ---- series ---- */

static void
set_string(JsonbValue *value, M3Slice bytes)
{
	char	   *text = pg_any_to_server((const char *) bytes.data, (int) bytes.size, PG_UTF8);

	value->type = jbvString;
	value->val.string.val = text;
	value->val.string.len = text == (const char *) bytes.data ? (int) bytes.size :
		(int) strlen(text);
}

/* All tags of a series as an object. */
static Datum
tags_datum(M3Slice tags)
{
	JsonbParseState *state = NULL;
	M3TagIterator iterator;
	M3Tag		tag;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	m3_tag_iterator_init_trusted(&iterator, tags);
	while (m3_tag_next(&iterator, &tag))
	{
		JsonbValue	string;

		set_string(&string, tag.name);
		pushJsonbValue(&state, WJB_KEY, &string);
		set_string(&string, tag.value);
		pushJsonbValue(&state, WJB_VALUE, &string);
	}
	return PointerGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* context: the name of the only namespace wanted, or NULL. */
static void
fill_series(M3dbRow *row, const void *info, void *context)
{
	const M3SeriesInfo *series = info;

	if (context != NULL && strcmp(series->namespace_name, context) != 0)
		return;
	m3db_put_utf8(row, m3_slice_cstr(series->namespace_name));
	m3db_put_utf8(row, series->id);
	m3db_put(row, tags_datum(series->tags));
	m3db_put(row, Int32GetDatum((int32) series->shard));
	m3db_put_count(row, series->buffered_blocks);
	m3db_put_count(row, series->buffered_points);
	m3db_put_count(row, series->buffered_bytes);
	m3db_put_time(row, series->first_block_ns);
	m3db_put_time(row, series->last_block_ns);
}

static M3Status
list_series(void *context, const M3SeriesInfo *series)
{
	return m3db_listing_row(context, fill_series, series);
}

Datum
m3db_series(PG_FUNCTION_ARGS)
{
	M3Database *db = m3db_database();
	char	   *wanted = NULL;
	M3dbListing listing;
	M3Status	status;
	M3Error		err = {0};

	if (!PG_ARGISNULL(0))
	{
		char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

		wanted = pg_server_to_any(name, (int) strlen(name), PG_UTF8);
	}
	InitMaterializedSRF(fcinfo, 0);
	m3db_listing_begin(&listing, fcinfo, wanted);
	status = m3_series_list(db, list_series, &listing, &err);
	m3db_listing_end(&listing, status, &err);
	return (Datum) 0;
}
