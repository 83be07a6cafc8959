/*
 * All foreign tables of the embedded engine, by OID, read in one pass over
 * pg_foreign_table and kept until one of them changes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_table.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "fdw/mapping.h"

static MemoryContext context = NULL;
static M3dbMapping *mappings;
static int	mapping_count;
static Oid	mapping_wrapper;	/* whose tables they are */
static bool mapping_valid = false;

void
m3db_mapping_invalidate(void)
{
	mapping_valid = false;
}

static int
compare_mappings(const void *a, const void *b)
{
	Oid			x = ((const M3dbMapping *) a)->relid;
	Oid			y = ((const M3dbMapping *) b)->relid;

	return x < y ? -1 : x > y;
}

static M3dbMapping *
find_mapping(Oid relid)
{
	M3dbMapping key;

	if (mapping_count == 0)
		return NULL;
	key.relid = relid;
	return bsearch(&key, mappings, mapping_count, sizeof(M3dbMapping), compare_mappings);
}

bool
m3db_mapping_has(Oid relid)
{
	return context != NULL && find_mapping(relid) != NULL;
}

M3Slice
m3db_mapping_namespace(Oid relid, const M3dbTableOptions *options)
{
	const char *name = options->namespace_name;
	char	   *utf8;

	if (name == NULL)
	{
		char	   *schema = get_namespace_name(get_rel_namespace(relid));
		char	   *relation = get_rel_name(relid);

		if (schema == NULL || relation == NULL)
			return m3_slice("", 0);
		name = psprintf("%s.%s", schema, relation);
	}
	utf8 = pg_server_to_any(name, (int) strlen(name), PG_UTF8);
	return m3_slice_cstr(utf8 == name ? pstrdup(name) : utf8);
}

/* Is it a server of the wrapper that uses the embedded engine? */
static bool
is_embedded(Oid server_id, Oid wrapper)
{
	const ForeignServer *server = GetForeignServerExtended(server_id, FSV_MISSING_OK);

	return server != NULL && server->fdwid == wrapper &&
		!m3db_options_name_mount(server->options);
}

static void
add_mapping(HeapTuple tuple, TupleDesc desc, int *capacity)
{
	Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);
	M3dbMapping *mapping;
	bool		isnull;
	Datum		options = heap_getattr(tuple, Anum_pg_foreign_table_ftoptions, desc, &isnull);

	if (mapping_count == *capacity)
	{
		*capacity = Max(16, *capacity * 2);
		mappings = mappings == NULL ? palloc(*capacity * sizeof(M3dbMapping)) :
			repalloc(mappings, *capacity * sizeof(M3dbMapping));
	}
	mapping = &mappings[mapping_count];
	mapping->relid = form->ftrelid;
	mapping->server_id = form->ftserver;
	m3db_options_of_table(isnull ? NIL : untransformRelOptions(options), &mapping->options);
	mapping->namespace_name = m3db_mapping_namespace(form->ftrelid, &mapping->options);
	mapping_count++;
}

static void
read_catalog(Oid wrapper)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;
	MemoryContext old_context;
	Oid			server_id = InvalidOid;
	bool		embedded = false;
	int			capacity = 0;

	mapping_count = 0;
	mappings = NULL;
	if (context == NULL)
		context = AllocSetContextCreate(CacheMemoryContext, "m3db mappings",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	mapping_wrapper = wrapper;
	/* what happens from here on makes it invalid again */
	mapping_valid = true;

	catalog = table_open(ForeignTableRelationId, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	old_context = MemoryContextSwitchTo(context);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);

		if (form->ftserver != server_id)
		{
			server_id = form->ftserver;
			embedded = is_embedded(server_id, wrapper);
		}
		if (embedded)
			add_mapping(tuple, RelationGetDescr(catalog), &capacity);
	}
	MemoryContextSwitchTo(old_context);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (mapping_count > 1)
		qsort(mappings, mapping_count, sizeof(M3dbMapping), compare_mappings);
}

static void
ensure_catalog(Oid wrapper)
{
	if (mapping_valid && mapping_wrapper == wrapper)
		return;
	PG_TRY();
	{
		read_catalog(wrapper);
	}
	PG_CATCH();
	{
		mapping_valid = false;
		mapping_count = 0;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static _Noreturn void
refuse_contradiction(const M3dbMapping *mapping, Oid other, const char *option)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("foreign tables \"%s\" and \"%s\" contradict each other in option \"%s\"",
					get_rel_name(mapping->relid), get_rel_name(other), option),
			 errdetail("Both map namespace \"%s\", which has one set of options.",
					   (const char *) mapping->namespace_name.data),
			 errhint("Alter foreign table \"%s\": drop the option, or give it the same value.",
					 get_rel_name(mapping->relid))));
	pg_unreachable();
}

const M3dbMapping *
m3db_mapping(Oid relid)
{
	static M3dbMapping result;
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);
	Oid			givers[M3DB_SETTING_COUNT] = {0};
	const M3dbMapping *mapping;

	ensure_catalog(server->fdwid);
	mapping = find_mapping(relid);
	if (mapping == NULL)
		elog(ERROR, "foreign table %u is not one of the embedded engine", relid);
	result = *mapping;
	result.options.given = 0;
	for (int m = 0; m < mapping_count; m++)
	{
		const M3dbMapping *other = &mappings[m];

		if (!m3_slice_equal(other->namespace_name, result.namespace_name))
			continue;
		for (int i = 0; i < M3DB_SETTING_COUNT; i++)
		{
			const M3dbSetting *setting = &m3db_settings[i];

			if ((other->options.given & ((uint32) 1 << i)) == 0)
				continue;
			if (givers[i] == InvalidOid)
			{
				givers[i] = other->relid;
				result.options.given |= (uint32) 1 << i;
				m3db_setting_copy(setting, &result.options.settings,
								  &other->options.settings);
			}
			else if (other->relid == relid &&
					 m3db_setting_differs(setting, &result.options.settings,
										  &other->options.settings))
				refuse_contradiction(mapping, givers[i], setting->name);
		}
	}
	return &result;
}
