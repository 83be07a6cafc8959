/*
 * Where a table's points are: in the embedded engine of the current database, or in a
 * directory that its server mounts.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/options.h"
#include "server/mount.h"
#include "server/server.h"

static M3dbMountSource
source_of_table(const M3dbTable *table)
{
	M3dbMountSource source = {table->server_id, table->directory, table->memory_size};

	return source;
}

M3Database *
m3db_database_of_server(Oid server_id)
{
	ForeignServer *server = GetForeignServer(server_id);
	M3dbServerOptions options;
	M3dbMountSource source;

	m3db_options_of_server(server->options, &options);
	if (options.data_directory == NULL)
		return m3db_database();
	source.server_id = server_id;
	source.directory = options.data_directory;
	source.memory_size = options.memory_size;
	return m3db_mount_database(&source);
}

M3Database *
m3db_database_of_table(const M3dbTable *table)
{
	M3dbMountSource source = source_of_table(table);

	return table->directory == NULL ? m3db_database() : m3db_mount_database(&source);
}

M3Database *
m3db_database_of_table_if_ready(const M3dbTable *table)
{
	M3dbMountSource source = source_of_table(table);

	return table->directory == NULL ? m3db_database_if_ready() :
		m3db_mount_database_or_null(&source);
}

/* Works for tables, too, whose definition makes no sense. */
bool
m3db_is_mounted(Oid relid)
{
	return m3db_options_name_mount(GetForeignServer(GetForeignTable(relid)->serverid)->options);
}

const char *
m3db_require_table(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE ||
		GetFdwRoutineByRelId(relid)->BeginForeignScan != m3db_BeginForeignScan)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table of m3db_fdw", name)));
	return name;
}

void
m3db_refuse_mount(Oid relid, const char *verb)
{
	if (!m3db_is_mounted(relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot %s foreign table \"%s\"", verb, get_rel_name(relid)),
			 errdetail("Server \"%s\" is a read-only mount of an M3DB directory.",
					   GetForeignServer(GetForeignTable(relid)->serverid)->servername)));
}
