/*
 * Locks: a namespace has a lock of its own, on an object that no catalog has, held to the
 * end of the transaction.  DROP and ALTER take it exclusive, for they look at all tables that map
 * the namespace; a transaction that made a table, or gave one another namespace, takes it
 * shared before it commits.  So no table can come to map a namespace that is being dropped.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "fdw/catalog.h"
#include "fdw/ddl.h"
#include "fdw/fdw.h"
#include "fdw/options.h"
#include "fdw/rename.h"
#include "server/server.h"

PG_FUNCTION_INFO_V1(m3db_drop_namespace);
PG_FUNCTION_INFO_V1(m3db_tables);

typedef enum EventKind
{
	EVENT_TABLE_MAPPED,			/* a table made, or given another namespace */
	EVENT_DATABASE_DROPPED
} EventKind;

typedef struct Event
{
	EventKind	kind;
	Oid			oid;
	int			nest_level;
} Event;

static object_access_hook_type previous_hook = NULL;

/* What the transaction did that matters when it commits; in TopTransactionContext. */
static List *events = NIL;
static bool has_voided = false; /* perhaps in a subtransaction that was rolled back */

static void
remember(EventKind kind, Oid oid)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);
	Event	   *event = palloc(sizeof(Event));

	event->kind = kind;
	event->oid = oid;
	event->nest_level = GetCurrentTransactionNestLevel();
	events = lappend(events, event);
	MemoryContextSwitchTo(old_context);
}

/* ---- TRUNCATE and DROP ---- */

/* Nothing is to be done for a namespace that nobody has written to. */
static void
void_namespace(M3Slice name, bool dropped)
{
	M3Txn	   *txn = m3db_xact_txn();
	int64_t		block_size_ns;
	M3Error		err = {0};

	if (!m3_txn_block_size(txn, name, &block_size_ns))
		return;
	m3db_check(m3_txn_void(txn, name, dropped, &err), &err);
	has_voided = true;
}

bool
m3db_ddl_must_be_durable(void)
{
	return has_voided;
}

void
m3db_ExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	ListCell   *cell;

	foreach(cell, rels)
	{
		Oid			relid = RelationGetRelid((Relation) lfirst(cell));
		const M3dbTable *table = m3db_table(relid);

		m3db_refuse_mount(relid, "truncate");
		void_namespace(table->namespace_name, false);
	}
}

/* A table that maps the namespace, other than the one given; or InvalidOid. */
static Oid
table_of(M3Slice namespace_name, Oid except)
{
	List	   *tables = m3db_catalog_tables(NULL, false);
	ListCell   *cell;

	foreach(cell, tables)
	{
		const M3dbCatalogTable *table = lfirst(cell);

		if (table->relid != except && m3_slice_equal(table->namespace_name, namespace_name))
			return table->relid;
	}
	return InvalidOid;
}

/* Of several tables that are dropped by one command, each sees the earlier ones gone. */
static void
table_is_dropped(Oid relid)
{
	M3dbCatalogTable table;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE ||
		!m3db_catalog_table(relid, NULL, &table) || table.mounted)
		return;
	if (!m3db_engine_is_usable())
	{
		ereport(WARNING,
				(errmsg("data of namespace \"%s\" is not removed", table.name),
				 errdetail("Foreign table \"%s\" is dropped while the engine cannot be used.",
						   get_rel_name(relid)),
				 errhint("A table that maps the namespace later has the data again.")));
		return;
	}
	m3db_lock_namespace(table.namespace_name, true);
	if (!OidIsValid(table_of(table.namespace_name, relid)))
		void_namespace(table.namespace_name, true);
}

/* SQL: for what was left by a change of option "namespace". */
Datum
m3db_drop_namespace(PG_FUNCTION_ARGS)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	M3Slice		utf8 = m3_slice_cstr(pg_server_to_any(name, (int) strlen(name), PG_UTF8));
	int64_t		block_size_ns;
	Oid			relid;

	PreventCommandIfReadOnly("m3db.drop_namespace()");
	m3db_lock_namespace(utf8, true);
	relid = table_of(utf8, InvalidOid);
	if (OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("namespace \"%s\" is mapped by foreign table \"%s\"", name,
						get_rel_name(relid)),
				 errhint("Drop the table; the last one takes the data with it.")));
	if (!m3_txn_block_size(m3db_xact_txn(), utf8, &block_size_ns))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no namespace \"%s\"", name)));
	void_namespace(utf8, true);
	PG_RETURN_VOID();
}

/* SQL: which table maps which namespace. */
Datum
m3db_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *tables;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	tables = m3db_catalog_tables(NULL, false);
	foreach(cell, tables)
	{
		const M3dbCatalogTable *table = lfirst(cell);
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		values[0] = ObjectIdGetDatum(table->relid);
		values[1] = CStringGetTextDatum(table->name);
		values[2] = BoolGetDatum(table->implied);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- ALTER ---- */

/* What all tables of a namespace say about it; of two that contradict each other, the older
 * one is right. */
static void
collect_settings(M3Slice namespace_name, M3dbTableOptions *collected)
{
	List	   *tables = m3db_catalog_tables(SnapshotSelf, false);
	ListCell   *cell;

	memset(collected, 0, sizeof(*collected));
	foreach(cell, tables)
	{
		const M3dbCatalogTable *table = lfirst(cell);
		M3dbTableOptions options;
		uint32		news;

		if (!m3_slice_equal(table->namespace_name, namespace_name))
			continue;
		m3db_options_of_table(table->options, &options);
		news = options.given & ~collected->given;
		for (int i = 0; i < M3DB_SETTING_COUNT; i++)
		{
			if ((news & ((uint32) 1 << i)) != 0)
				m3db_setting_copy(&m3db_settings[i], &collected->settings, &options.settings);
		}
		collected->given |= news;
	}
}

static _Noreturn void
refuse_block_size(const M3dbCatalogTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot change option \"block_size\" of foreign table \"%s\"",
					get_rel_name(table->relid)),
			 errdetail("Namespace \"%s\" has data, whose blocks have another size.",
					   table->name),
			 errhint("TRUNCATE it first, or give the table another namespace and copy the "
					 "data.")));
	pg_unreachable();
}

/* New options are in force for everybody from the commit on. */
static void
options_changed(const M3dbCatalogTable *table)
{
	M3dbTableOptions collected;
	M3NamespaceOptions options;
	M3Txn	   *txn;
	int64_t		has_size_ns;
	M3Status	status;
	M3Error		err = {0};

	m3db_lock_namespace(table->namespace_name, true);
	txn = m3db_xact_txn();
	if (!m3_txn_block_size(txn, table->namespace_name, &has_size_ns))
		return;
	collect_settings(table->namespace_name, &collected);
	m3db_settings_complete(&collected.settings, collected.given, &options);
	/* a namespace keeps its block size when no table asks for one */
	if ((collected.given & (1 << M3DB_SETTING_NUMBER_BLOCK_SIZE)) == 0 &&
		options.block_size_ns != has_size_ns)
	{
		options.block_size_ns = has_size_ns;
		options.buffer_past_ns = Min(options.buffer_past_ns, has_size_ns / 2);
		options.buffer_future_ns = Min(options.buffer_future_ns, has_size_ns / 2);
	}
	/* what does not fit together is an error when a table is used, and may be mended until then */
	if (m3_namespace_options_validate(&options, NULL) != M3_OK)
		return;
	status = m3_txn_alter(txn, table->namespace_name, &options, &err);
	if (status == M3_CONFLICT)
		refuse_block_size(table);
	m3db_check(status, &err);
}

static void
table_is_altered(Oid relid, AttrNumber attnum)
{
	M3dbCatalogTable before;
	M3dbCatalogTable after;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE ||
		!m3db_catalog_table(relid, NULL, &before) ||
		!m3db_catalog_table(relid, SnapshotSelf, &after))
		return;
	if (attnum != 0)
		m3db_rename_column(relid, attnum);
	else if (m3db_rename_concerns(&before, &after))
		m3db_rename_keep_namespace(&before);
	else if (!after.mounted && !equal(before.options, after.options))
	{
		remember(EVENT_TABLE_MAPPED, relid);
		if (m3db_engine_is_usable())
			options_changed(&after);
	}
}

/* Tables of the embedded engine hold data, those of a mount show some: they cannot become
 * each other. */
static void
check_kind(Oid server_id, bool mounted)
{
	List	   *tables = m3db_catalog_tables(NULL, true);
	ListCell   *cell;

	foreach(cell, tables)
	{
		const M3dbCatalogTable *table = lfirst(cell);

		if (table->server_id == server_id && table->mounted != mounted)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot %s option \"data_directory\" of a server that has tables",
							mounted ? "add" : "drop"),
					 errdetail("Foreign table \"%s\" uses it.", get_rel_name(table->relid)),
					 errhint("Create another server.")));
	}
}

static void
server_is_altered(Oid server_id)
{
	List	   *defs;
	M3dbServerOptions options;
	M3RootOptions has;

	if (!m3db_catalog_server(server_id, SnapshotSelf, &defs))
		return;
	check_kind(server_id, m3db_options_name_mount(defs));
	if (!m3db_engine_is_usable())
		return;
	m3db_options_of_server(defs, &options);
	if (options.data_directory != NULL || !m3_root_options(m3db_database(), &has) ||
		(has.shard_count == options.root.shard_count &&
		 has.hash_seed == options.root.hash_seed))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("options \"shards\" and \"hash_seed\" cannot be changed any more"),
			 errdetail("The database has data with %u shards and hash seed %u.",
					   has.shard_count, has.hash_seed)));
}

/* ---- what is looked at before the commit ---- */

/*
 * A table whose namespace was not given must not find itself on another's data by
 * accident: after a table was renamed, another one may get its old name.  Sharing is what
 * the option is for.  A table that shares with one whose namespace was not given makes it
 * given there, so that a dump can be restored in any order.
 */
static void
check_sharing(const M3dbCatalogTable *table)
{
	List	   *tables = m3db_catalog_tables(NULL, false);
	ListCell   *cell;

	foreach(cell, tables)
	{
		const M3dbCatalogTable *other = lfirst(cell);

		if (other->relid == table->relid ||
			!m3_slice_equal(other->namespace_name, table->namespace_name))
			continue;
		if (table->implied)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("namespace \"%s\" is mapped by foreign table \"%s\" already",
							table->name, get_rel_name(other->relid)),
					 errdetail("It is the default for foreign table \"%s\", which does not say "
							   "which namespace it maps.",
							   get_rel_name(table->relid)),
					 errhint("Give the table option \"namespace\": another name for data of "
							 "its own, this name to share the data.")));
		if (other->implied)
			m3db_catalog_add_table_option(other->relid, "namespace", other->name);
	}
}

static void
check_mapped(Oid relid)
{
	M3dbCatalogTable table;

	if (!m3db_catalog_table(relid, NULL, &table) || table.mounted)
		return;
	m3db_lock_namespace(table.namespace_name, false);
	check_sharing(&table);
	CommandCounterIncrement();
}

static MemoryContext
make_scratch(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "m3db definitions",
								 ALLOCSET_DEFAULT_SIZES);
}

void
m3db_ddl_pre_commit(void)
{
	MemoryContext scratch;
	MemoryContext old_context;
	ListCell   *cell;

	if (events == NIL)
		return;
	scratch = make_scratch();
	old_context = MemoryContextSwitchTo(scratch);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(cell, events)
	{
		const Event *event = lfirst(cell);

		if (event->kind == EVENT_TABLE_MAPPED)
			check_mapped(event->oid);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);
}

void
m3db_ddl_at_commit(void)
{
	ListCell   *cell;

	foreach(cell, events)
	{
		const Event *event = lfirst(cell);

		if (event->kind == EVENT_DATABASE_DROPPED)
			m3db_drop_request(event->oid);
	}
	m3db_ddl_at_abort();
}

void
m3db_ddl_at_abort(void)
{
	events = NIL;
	has_voided = false;
}

void
m3db_ddl_at_subxact(SubXactEvent type, int nest_level)
{
	ListCell   *cell;

	foreach(cell, events)
	{
		Event	   *event = lfirst(cell);

		if (event->nest_level < nest_level)
			continue;
		if (type == SUBXACT_EVENT_COMMIT_SUB)
			event->nest_level = nest_level - 1;
		else if (type == SUBXACT_EVENT_ABORT_SUB)
			events = foreach_delete_current(events, cell);
	}
}

/* ---- the hook ---- */

static void
dispatch(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id)
{
	if (class_id == RelationRelationId)
	{
		if (access == OAT_DROP && sub_id == 0)
			table_is_dropped(object_id);
		else if (access == OAT_POST_ALTER)
			table_is_altered(object_id, (AttrNumber) sub_id);
		else if (access == OAT_POST_CREATE && sub_id == 0 &&
				 m3db_catalog_is_foreign(object_id))
			remember(EVENT_TABLE_MAPPED, object_id);
	}
	else if (class_id == ForeignTableRelationId && access == OAT_POST_ALTER)
		table_is_altered(object_id, 0);
	else if (class_id == NamespaceRelationId && access == OAT_POST_ALTER)
		m3db_rename_schema(object_id);
	else if (class_id == ForeignServerRelationId && access == OAT_POST_ALTER)
		server_is_altered(object_id);
	else if (class_id == DatabaseRelationId && access == OAT_DROP)
		remember(EVENT_DATABASE_DROPPED, object_id);
}

static void
on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	MemoryContext scratch;
	MemoryContext old_context;

	if (previous_hook != NULL)
		previous_hook(access, class_id, object_id, sub_id, arg);
	if ((access != OAT_DROP && access != OAT_POST_ALTER && access != OAT_POST_CREATE) ||
		IsBinaryUpgrade || !IsNormalProcessingMode() || !IsTransactionState())
		return;
	if (class_id != RelationRelationId && class_id != ForeignTableRelationId &&
		class_id != NamespaceRelationId && class_id != ForeignServerRelationId &&
		class_id != DatabaseRelationId)
		return;
	scratch = make_scratch();
	old_context = MemoryContextSwitchTo(scratch);
	dispatch(access, class_id, object_id, sub_id);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);
}

void
m3db_ddl_init(void)
{
	previous_hook = object_access_hook;
	object_access_hook = on_access;
}
