#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "fdw/catalog.h"
#include "fdw/rename.h"
#include "fdw/table.h"

bool
m3db_rename_concerns(const M3dbCatalogTable *before, const M3dbCatalogTable *after)
{
	return before->implied && after->implied &&
		!m3_slice_equal(before->namespace_name, after->namespace_name);
}

void
m3db_rename_keep_namespace(const M3dbCatalogTable *table)
{
	/* one that could not be used has no data */
	if (m3_namespace_name_validate(table->namespace_name, NULL) == M3_OK)
		m3db_catalog_add_table_option(table->relid, "namespace", table->name);
}

void
m3db_rename_schema(Oid schema)
{
	List	   *tables = m3db_catalog_tables(NULL, true);
	ListCell   *cell;

	foreach(cell, tables)
	{
		const M3dbCatalogTable *before = lfirst(cell);
		M3dbCatalogTable after;

		if (before->schema == schema && before->implied &&
			m3db_catalog_table(before->relid, SnapshotSelf, &after) &&
			m3db_rename_concerns(before, &after))
			m3db_rename_keep_namespace(before);
	}
}

void
m3db_rename_column(Oid relid, AttrNumber attnum)
{
	const char *before = m3db_catalog_column_name(relid, attnum, NULL);
	const char *after = m3db_catalog_column_name(relid, attnum, SnapshotSelf);
	const char *option;
	const char *value;

	if (before == NULL || after == NULL || strcmp(before, after) == 0)
		return;
	m3db_column_pin(relid, attnum, after, &option, &value);
	if (option == NULL)
		return;
	/* the row of the column was changed by this command already */
	CommandCounterIncrement();
	m3db_catalog_add_column_option(relid, attnum, option, value);
}
