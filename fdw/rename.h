/*
 * Renaming keeps data where it is: what was named after a table or a column is written down
 * as an option before the name changes.
 *
 * To be called from object_access_hook, while the catalogs still show the old names.
 */
#ifndef M3DB_RENAME_H
#define M3DB_RENAME_H

#include "access/attnum.h"

#include "fdw/catalog.h"

/* Does the change made by the current command give the table another default namespace? */
extern bool m3db_rename_concerns(const M3dbCatalogTable *before,
								 const M3dbCatalogTable *after);

/* Makes the namespace a table has by default its option "namespace". */
extern void m3db_rename_keep_namespace(const M3dbCatalogTable *table);

/* The same for all tables of a schema that is renamed. */
extern void m3db_rename_schema(Oid schema);

/* A column was altered, perhaps renamed; makes the change visible if so. */
extern void m3db_rename_column(Oid relid, AttrNumber attnum);

#endif							/* M3DB_RENAME_H */
