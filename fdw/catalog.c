#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "fdw/catalog.h"
#include "fdw/options.h"

/* ---- reading ---- */

/* The row with this OID, copied; NULL if there is none. */
static HeapTuple
find_row(Oid catalog_id, Oid index_id, AttrNumber key, int cache_id, Oid oid,
		 Snapshot snapshot)
{
	Relation	catalog;
	ScanKeyData keys[1];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (snapshot == NULL)
		return SearchSysCacheCopy1(cache_id, ObjectIdGetDatum(oid));
	catalog = table_open(catalog_id, AccessShareLock);
	ScanKeyInit(&keys[0], key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(catalog, index_id, true, snapshot, 1, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tuple;
}

/* A column of options in a row of a catalog. */
static List *
options_of(Oid catalog_id, HeapTuple tuple, AttrNumber attnum)
{
	Relation	catalog = table_open(catalog_id, AccessShareLock);
	bool		isnull;
	Datum		options = heap_getattr(tuple, attnum, RelationGetDescr(catalog), &isnull);
	List	   *defs = isnull ? NIL : untransformRelOptions(options);

	table_close(catalog, AccessShareLock);
	return defs;
}

/* Is the wrapper made with our handler?  There may be several. */
static bool
is_our_wrapper(Oid wrapper_id)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapperExtended(wrapper_id, FDW_MISSING_OK);
	HeapTuple	tuple;
	Datum		symbol;
	bool		isnull;
	bool		result;

	if (wrapper == NULL || !OidIsValid(wrapper->fdwhandler))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(wrapper->fdwhandler));
	if (!HeapTupleIsValid(tuple))
		return false;
	symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	result = !isnull && strcmp(TextDatumGetCString(symbol), "m3db_fdw_handler") == 0;
	ReleaseSysCache(tuple);
	return result;
}

bool
m3db_catalog_server(Oid server_id, Snapshot snapshot, List **options)
{
	HeapTuple	tuple = find_row(ForeignServerRelationId, ForeignServerOidIndexId,
								 Anum_pg_foreign_server_oid, FOREIGNSERVEROID, server_id,
								 snapshot);

	if (!HeapTupleIsValid(tuple) ||
		!is_our_wrapper(((Form_pg_foreign_server) GETSTRUCT(tuple))->srvfdw))
		return false;
	*options = options_of(ForeignServerRelationId, tuple, Anum_pg_foreign_server_srvoptions);
	return true;
}

static const char *
value_of(const List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

/* Is it a server of this wrapper, and is it a mount? */
static bool
is_our_server(Oid server_id, Snapshot snapshot, bool *mounted)
{
	List	   *options;

	if (!m3db_catalog_server(server_id, snapshot, &options))
		return false;
	*mounted = m3db_options_name_mount(options);
	return true;
}

/* Fills in which namespace a table maps; false if the relation is not there. */
static bool
name_namespace(M3dbCatalogTable *table, Snapshot snapshot)
{
	HeapTuple	class = find_row(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
								 RELOID, table->relid, snapshot);
	HeapTuple	schema;
	char	   *utf8;

	if (!HeapTupleIsValid(class))
		return false;
	table->schema = ((Form_pg_class) GETSTRUCT(class))->relnamespace;
	table->name = value_of(table->options, "namespace");
	table->implied = table->name == NULL;
	if (table->implied)
	{
		schema = find_row(NamespaceRelationId, NamespaceOidIndexId, Anum_pg_namespace_oid,
						  NAMESPACEOID, table->schema, snapshot);
		if (!HeapTupleIsValid(schema))
			return false;
		table->name = psprintf("%s.%s",
							   NameStr(((Form_pg_namespace) GETSTRUCT(schema))->nspname),
							   NameStr(((Form_pg_class) GETSTRUCT(class))->relname));
	}
	utf8 = pg_server_to_any(table->name, (int) strlen(table->name), PG_UTF8);
	table->namespace_name = m3_slice_cstr(utf8);
	return true;
}

bool
m3db_catalog_table(Oid relid, Snapshot snapshot, M3dbCatalogTable *table)
{
	HeapTuple	tuple = find_row(ForeignTableRelationId, ForeignTableRelidIndexId,
								 Anum_pg_foreign_table_ftrelid, FOREIGNTABLEREL, relid,
								 snapshot);

	if (!HeapTupleIsValid(tuple))
		return false;
	table->relid = relid;
	table->server_id = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver;
	table->options = options_of(ForeignTableRelationId, tuple,
								Anum_pg_foreign_table_ftoptions);
	return is_our_server(table->server_id, snapshot, &table->mounted) &&
		name_namespace(table, snapshot);
}

static int
compare_tables(const ListCell *a, const ListCell *b)
{
	Oid			x = ((const M3dbCatalogTable *) lfirst(a))->relid;
	Oid			y = ((const M3dbCatalogTable *) lfirst(b))->relid;

	return x < y ? -1 : x > y;
}

List *
m3db_catalog_tables(Snapshot snapshot, bool with_mounted)
{
	Relation	catalog = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	Oid			server_id = InvalidOid;
	bool		wanted = false;
	bool		mounted = false;
	List	   *tables = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);
		M3dbCatalogTable *table;
		Datum		options;
		bool		isnull;

		if (form->ftserver != server_id)
		{
			server_id = form->ftserver;
			wanted = is_our_server(server_id, snapshot, &mounted) &&
				(with_mounted || !mounted);
		}
		if (!wanted)
			continue;
		options = heap_getattr(tuple, Anum_pg_foreign_table_ftoptions,
							   RelationGetDescr(catalog), &isnull);
		table = palloc0(sizeof(*table));
		table->relid = form->ftrelid;
		table->server_id = server_id;
		table->mounted = mounted;
		table->options = isnull ? NIL : untransformRelOptions(options);
		if (name_namespace(table, snapshot))
			tables = lappend(tables, table);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	list_sort(tables, compare_tables);
	return tables;
}

static HeapTuple
find_column(Oid relid, AttrNumber attnum, Snapshot snapshot)
{
	Relation	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(attnum));
	scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true, snapshot, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tuple;
}

char *
m3db_catalog_column_name(Oid relid, AttrNumber attnum, Snapshot snapshot)
{
	HeapTuple	tuple = find_column(relid, attnum, snapshot);

	if (!HeapTupleIsValid(tuple))
		return NULL;
	return pstrdup(NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname));
}

bool
m3db_catalog_is_foreign(Oid relid)
{
	HeapTuple	class = find_row(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, RELOID,
								 relid, SnapshotSelf);

	return HeapTupleIsValid(class) &&
		((Form_pg_class) GETSTRUCT(class))->relkind == RELKIND_FOREIGN_TABLE;
}

/* ---- writing ---- */

/* Replaces a column of options by itself with one more. */
static void
add_option(Relation catalog, HeapTuple tuple, AttrNumber attnum, const char *option,
		   const char *value)
{
	TupleDesc	desc = RelationGetDescr(catalog);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc0(desc->natts * sizeof(bool));
	bool	   *replace = palloc0(desc->natts * sizeof(bool));
	DefElem    *def = makeDefElemExtended(NULL, pstrdup(option),
										  (Node *) makeString(pstrdup(value)),
										  DEFELEM_ADD, -1);
	bool		isnull;
	Datum		old = heap_getattr(tuple, attnum, desc, &isnull);

	values[attnum - 1] = transformGenericOptions(RelationGetRelid(catalog),
												 isnull ? PointerGetDatum(NULL) : old,
												 list_make1(def), InvalidOid);
	replace[attnum - 1] = true;
	tuple = heap_modify_tuple(tuple, desc, values, nulls, replace);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
}

void
m3db_catalog_add_table_option(Oid relid, const char *option, const char *value)
{
	Relation	catalog = table_open(ForeignTableRelationId, RowExclusiveLock);
	HeapTuple	tuple = find_row(ForeignTableRelationId, ForeignTableRelidIndexId,
								 Anum_pg_foreign_table_ftrelid, FOREIGNTABLEREL, relid,
								 NULL);

	if (HeapTupleIsValid(tuple))
	{
		add_option(catalog, tuple, Anum_pg_foreign_table_ftoptions, option, value);
		CacheInvalidateRelcacheByRelid(relid);
	}
	table_close(catalog, RowExclusiveLock);
}

void
m3db_catalog_add_column_option(Oid relid, AttrNumber attnum, const char *option,
							   const char *value)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	tuple = find_column(relid, attnum, NULL);

	if (HeapTupleIsValid(tuple))
	{
		add_option(catalog, tuple, Anum_pg_attribute_attfdwoptions, option, value);
		CacheInvalidateRelcacheByRelid(relid);
	}
	table_close(catalog, RowExclusiveLock);
}
