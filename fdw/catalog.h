/*
 * Foreign tables of this wrapper as the catalogs have them, read without any cache: for
 * those who look at definitions while they are being changed.
 *
 * Every function takes a snapshot: NULL for what the current command began with,
 * SnapshotSelf for what it has done so far as well.  Results live in the current memory
 * context.
 */
#ifndef M3DB_CATALOG_H
#define M3DB_CATALOG_H

#include "nodes/pg_list.h"
#include "storage/m3.h"
#include "utils/snapshot.h"

typedef struct M3dbCatalogTable
{
	Oid			relid;
	Oid			server_id;
	Oid			schema;
	List	   *options;		/* DefElems */
	bool		mounted;		/* of a mount, which has nothing of the database's data */
	bool		implied;		/* the namespace is not given: it is schema.table */
	const char *name;			/* of the namespace, in the server's encoding */
	M3Slice		namespace_name; /* the same in UTF-8, followed by a NUL */
} M3dbCatalogTable;

/* False if there is no such relation, or it is no foreign table of this wrapper. */
extern bool m3db_catalog_table(Oid relid, Snapshot snapshot, M3dbCatalogTable *table);

/* All of them, or those of the embedded engine, as M3dbCatalogTable *, in order of creation
 * (by OID). */
extern List *m3db_catalog_tables(Snapshot snapshot, bool with_mounted);

/* Options of a server, as DefElems.  False if it is not one of this wrapper. */
extern bool m3db_catalog_server(Oid server_id, Snapshot snapshot, List **options);

/* The name of a column, NULL if there is none. */
extern char *m3db_catalog_column_name(Oid relid, AttrNumber attnum, Snapshot snapshot);

/* Is the relation, which may have been made by the current command, a foreign table? */
extern bool m3db_catalog_is_foreign(Oid relid);

/* Adds an option to a table, or to one of its columns, that does not have it. */
extern void m3db_catalog_add_table_option(Oid relid, const char *option, const char *value);
extern void m3db_catalog_add_column_option(Oid relid, AttrNumber attnum, const char *option,
										   const char *value);

#endif							/* M3DB_CATALOG_H */
