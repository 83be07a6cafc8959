/*
 * What is stored: blocks in buffers and on disk, and what lies in the directories besides.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "server/rows.h"
#include "server/server.h"

PG_FUNCTION_INFO_V1(m3db_blocks);
PG_FUNCTION_INFO_V1(m3db_orphans);
PG_FUNCTION_INFO_V1(m3db_drop_orphan);

static void
fill_block(M3dbRow *row, const void *info, void *context)
{
	const M3BlockInfo *block = info;
	bool		on_disk = block->volume >= 0;

	m3db_put_utf8(row, m3_slice_cstr(block->namespace_name));
	m3db_put(row, Int32GetDatum((int32) block->shard));
	m3db_put_time(row, block->start_ns);
	m3db_put_time(row, block->start_ns + block->size_ns);
	m3db_put_count(row, block->buffered_series);
	m3db_put_count(row, block->buffered_points);
	m3db_put_count(row, block->buffered_bytes);
	if (on_disk)
	{
		m3db_put_count(row, (uint64) block->volume);
		m3db_put_count(row, block->file_series);
		m3db_put_count(row, block->data_size);
		m3db_put_count(row, block->index_size);
		return;
	}
	for (int i = 0; i < 4; i++)
		m3db_put_null(row);
}

static M3Status
list_block(void *context, const M3BlockInfo *block)
{
	return m3db_listing_row(context, fill_block, block);
}

Datum
m3db_blocks(PG_FUNCTION_ARGS)
{
	M3Database *db = m3db_database();
	M3dbListing listing;
	M3Status	status;
	M3Error		err = {0};

	InitMaterializedSRF(fcinfo, 0);
	m3db_listing_begin(&listing, fcinfo, NULL);
	status = m3_blocks(db, list_block, &listing, &err);
	m3db_listing_end(&listing, status, &err);
	return (Datum) 0;
}

static void
fill_orphan(M3dbRow *row, const void *info, void *context)
{
	const M3OrphanInfo *orphan = info;

	m3db_put_utf8(row, m3_slice_cstr(orphan->path));
	m3db_put_text(row, orphan->reason);
	m3db_put_count(row, orphan->files);
	m3db_put_count(row, orphan->bytes);
}

static M3Status
list_orphan(void *context, const M3OrphanInfo *orphan)
{
	return m3db_listing_row(context, fill_orphan, orphan);
}

Datum
m3db_orphans(PG_FUNCTION_ARGS)
{
	M3Database *db = m3db_database();
	M3dbListing listing;
	M3Status	status;
	M3Error		err = {0};

	InitMaterializedSRF(fcinfo, 0);
	m3db_listing_begin(&listing, fcinfo, NULL);
	status = m3_orphans(db, list_orphan, &listing, &err);
	m3db_listing_end(&listing, status, &err);
	return (Datum) 0;
}

/* Whatever GRANT says: it removes data no table guards. */
Datum
m3db_drop_orphan(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *utf8 = pg_server_to_any(name, (int) strlen(name), PG_UTF8);
	uint64_t	files = 0;
	M3Error		err = {0};

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to remove files that belong to no namespace")));
	m3db_check(m3_orphan_remove(m3db_database(), m3_slice_cstr(utf8), &files, &err), &err);
	PG_RETURN_INT64((int64) files);
}
