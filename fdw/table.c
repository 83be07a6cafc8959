/*
 * Definitions of foreign tables, read from the catalogs and cached.
 *
 * Any change to a foreign table, a server or a schema makes all cached
 * definitions stale: options of one table count for others of its namespace,
 * and such changes are rare.  A stale definition is replaced at its next use and freed when the
 * transaction ends, since a running statement may still hold it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/mapping.h"
#include "fdw/options.h"

#define EPOCH_OFFSET_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef struct CacheEntry
{
	Oid			relid;			/* key */
	uint64		generation;		/* of the catalogs the table was read from */
	M3dbTable  *table;
	MemoryContext context;		/* of the table; NULL: none */
} CacheEntry;

static HTAB *cache = NULL;
static uint64 generation = 1;
static MemoryContext superseded = NULL;

/* ---- time ---- */

int64
m3db_time_to_ns(TimestampTz time)
{
	int64		time_us;
	int64		time_ns;

	if (TIMESTAMP_NOT_FINITE(time) ||
		pg_add_s64_overflow(time, EPOCH_OFFSET_US, &time_us) ||
		pg_mul_s64_overflow(time_us, 1000, &time_ns))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range for a datapoint: \"%s\"",
						timestamptz_to_str(time)),
				 errdetail("Times of datapoints are nanoseconds after 1970-01-01 in 64 bits: up "
						   "to the year 2262.")));
	return time_ns;
}

TimestampTz
m3db_time_from_ns(int64 time_ns)
{
	int64		time_us = time_ns / 1000;

	if (time_ns % 1000 < 0)
		time_us--;
	return time_us - EPOCH_OFFSET_US;
}

/* ---- columns ---- */

/* What is being read; for messages. */
typedef struct Builder
{
	Relation	relation;
	M3dbTable  *table;
	MemoryContext context;		/* of the table */
} Builder;

static _Noreturn void
refuse_column(const Builder *builder, const M3dbColumn *column, const char *rule,
			  const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("column \"%s\" of foreign table \"%s\" cannot have type %s", column->name,
					RelationGetRelationName(builder->relation),
					format_type_be(column->type_id)),
			 errdetail("%s", rule),
			 errhint("%s", hint)));
	pg_unreachable();
}

static _Noreturn void
refuse_table(const Builder *builder, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("foreign table \"%s\" %s", RelationGetRelationName(builder->relation),
					message),
			 hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/* Text in the server's encoding as UTF-8, in the table's memory. */
static M3Slice
utf8_text(const Builder *builder, const char *text)
{
	const char *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
	char	   *copy = MemoryContextStrdup(builder->context, utf8);

	return m3_slice_cstr(copy);
}

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

static bool
can_be_tag(Oid type)
{
	return is_text(type) || type == INT2OID || type == INT4OID || type == INT8OID ||
		type == UUIDOID || type == BOOLOID || type_is_enum(type);
}

/* The role of a column without options; NONE if it can have none. */
static M3dbRole
infer_role(const char *name, Oid type)
{
	if (type == TIMESTAMPTZOID)
		return M3DB_ROLE_TIME;
	if (type == FLOAT8OID)
		return M3DB_ROLE_VALUE;
	if (type == JSONBOID && strcmp(name, "tags") == 0)
		return M3DB_ROLE_TAGS;
	if (type == BYTEAOID && strcmp(name, "annotation") == 0)
		return M3DB_ROLE_ANNOTATION;
	if (is_text(type) && strcmp(name, "id") == 0)
		return M3DB_ROLE_ID;
	if (is_text(type) && strcmp(name, "unit") == 0)
		return M3DB_ROLE_UNIT;
	if (can_be_tag(type))
		return M3DB_ROLE_TAG;
	return M3DB_ROLE_NONE;
}

static bool
role_fits(M3dbRole role, Oid type)
{
	switch (role)
	{
		case M3DB_ROLE_NONE:
			return true;
		case M3DB_ROLE_TIME:
			return type == TIMESTAMPTZOID;
		case M3DB_ROLE_TIME_NS:
			return type == INT8OID;
		case M3DB_ROLE_VALUE:
			return type == FLOAT8OID;
		case M3DB_ROLE_TAG:
			return can_be_tag(type);
		case M3DB_ROLE_ID:
		case M3DB_ROLE_UNIT:
			return is_text(type);
		case M3DB_ROLE_TAGS:
			return type == JSONBOID;
		case M3DB_ROLE_ANNOTATION:
			return type == BYTEAOID;
	}
	return false;
}

static const char *
role_types(M3dbRole role)
{
	switch (role)
	{
		case M3DB_ROLE_NONE:
			break;
		case M3DB_ROLE_TIME:
			return "timestamp with time zone";
		case M3DB_ROLE_TIME_NS:
			return "bigint";
		case M3DB_ROLE_VALUE:
			return "double precision";
		case M3DB_ROLE_TAG:
			return "text, varchar, smallint, integer, bigint, uuid, boolean or an enum";
		case M3DB_ROLE_ID:
		case M3DB_ROLE_UNIT:
			return "text or varchar";
		case M3DB_ROLE_TAGS:
			return "jsonb";
		case M3DB_ROLE_ANNOTATION:
			return "bytea";
	}
	return "";
}

/* A type without a role, and no role was given. */
static _Noreturn void
refuse_type(const Builder *builder, const M3dbColumn *column)
{
	const char *rule = "A column is a time, a value, a tag, or one of id, tags, annotation and "
					   "unit.";

	switch (column->type_id)
	{
		case TIMESTAMPOID:
		case DATEOID:
			refuse_column(builder, column, "A datapoint's time is a point in time, which needs "
										   "a time zone to be known.",
						  "Use timestamp with time zone.");
		case FLOAT4OID:
		case NUMERICOID:
			refuse_column(builder, column, "Values are double precision.",
						  "Use double precision.");
		case BPCHAROID:
			refuse_column(builder, column, rule, "Use text or varchar.");
		case JSONOID:
		case JSONBOID:
			refuse_column(builder, column, rule,
						  "A jsonb column that holds tags is named \"tags\" or has option role "
						  "'tags'.");
		case BYTEAOID:
			refuse_column(builder, column, rule,
						  "A bytea column that holds annotations is named \"annotation\" or has "
						  "option role 'annotation'.");
		default:
			refuse_column(builder, column, rule,
						  "Use double precision for a value, text for a tag.");
	}
}

static void
set_role(const Builder *builder, M3dbColumn *column, const M3dbColumnOptions *options)
{
	column->role = options->has_role ? options->role :
		infer_role(column->name, column->type_id);
	if (column->role == M3DB_ROLE_NONE)
		refuse_type(builder, column);
	if (!role_fits(column->role, column->type_id))
		refuse_column(builder, column,
					  psprintf("A column of role \"%s\" must have type %s.",
							   m3db_role_name(column->role), role_types(column->role)),
					  "Change the column's type, or its option \"role\".");
}

static void
set_tag(const Builder *builder, M3dbColumn *column, const M3dbColumnOptions *options)
{
	Oid			function;
	bool		is_varlena;
	MemoryContext context = builder->context;

	column->tag = utf8_text(builder, options->tag != NULL ? options->tag : column->name);
	if (m3_slice_equal(column->tag, m3_slice_cstr(M3_TAG_RESERVED_NAME)))
		refuse_table(builder, psprintf("cannot have a tag named \"%s\"", M3_TAG_RESERVED_NAME),
					 "Give the column another name, or option \"tag\".");
	getTypeOutputInfo(column->type_id, &function, &is_varlena);
	fmgr_info_cxt(function, &column->output, context);
	getTypeInputInfo(column->type_id, &function, &column->input_param);
	fmgr_info_cxt(function, &column->input, context);
}

static void
read_column(Builder *builder, Form_pg_attribute attribute)
{
	M3dbColumn *column = &builder->table->columns[attribute->attnum - 1];
	M3dbColumnOptions options;

	column->role = M3DB_ROLE_NONE;
	column->attnum = attribute->attnum;
	column->name = MemoryContextStrdup(builder->context, NameStr(attribute->attname));
	column->tag = m3_slice("", 0);
	/* a generated column that is not stored is computed by whoever reads it */
	if (attribute->attisdropped ||
		(attribute->attgenerated != '\0' &&
		 attribute->attgenerated != ATTRIBUTE_GENERATED_STORED))
		return;
	column->type_modifier = attribute->atttypmod;
	column->type_id = getBaseTypeAndTypmod(attribute->atttypid, &column->type_modifier);
	column->collation = attribute->attcollation;
	m3db_options_of_column(GetForeignColumnOptions(RelationGetRelid(builder->relation),
												   attribute->attnum),
						   &options);
	set_role(builder, column, &options);
	if (column->role == M3DB_ROLE_TAG)
		set_tag(builder, column, &options);
	else if (column->role == M3DB_ROLE_VALUE && options.metric != NULL)
		column->tag = utf8_text(builder, options.metric);
}

/* ---- tables ---- */

static void
set_only(const Builder *builder, AttrNumber *attnum, const M3dbColumn *column)
{
	const M3dbTable *table = builder->table;

	if (*attnum != InvalidAttrNumber)
		refuse_table(builder,
					 psprintf("has two columns of one role: \"%s\" (%s) and \"%s\" (%s)",
							  table->columns[*attnum - 1].name,
							  m3db_role_name(table->columns[*attnum - 1].role),
							  column->name, m3db_role_name(column->role)),
					 "Give one of them another role by its option \"role\", or leave it out.");
	*attnum = column->attnum;
}

/* Sorts columns into their roles. */
static void
collect_columns(Builder *builder)
{
	M3dbTable  *table = builder->table;

	for (int i = 0; i < table->column_count; i++)
	{
		const M3dbColumn *column = &table->columns[i];

		switch (column->role)
		{
			case M3DB_ROLE_NONE:
				break;
			case M3DB_ROLE_TIME:
			case M3DB_ROLE_TIME_NS:
				set_only(builder, &table->time_attnum, column);
				break;
			case M3DB_ROLE_VALUE:
				table->value_attnums[table->value_count++] = column->attnum;
				break;
			case M3DB_ROLE_TAG:
				table->tag_attnums[table->tag_count++] = column->attnum;
				break;
			case M3DB_ROLE_ID:
				set_only(builder, &table->id_attnum, column);
				break;
			case M3DB_ROLE_TAGS:
				set_only(builder, &table->tags_attnum, column);
				break;
			case M3DB_ROLE_ANNOTATION:
				set_only(builder, &table->annotation_attnum, column);
				break;
			case M3DB_ROLE_UNIT:
				set_only(builder, &table->unit_attnum, column);
				break;
		}
	}
}

static int
compare_tag_columns(const void *a, const void *b, void *arg)
{
	const M3dbTable *table = arg;

	return m3_slice_compare(table->columns[*(const AttrNumber *) a - 1].tag,
							table->columns[*(const AttrNumber *) b - 1].tag);
}

static void
check_tags(const Builder *builder)
{
	const M3dbTable *table = builder->table;
	bool		has_metric = table->columns[table->value_attnums[0] - 1].tag.size > 0;

	for (int i = 0; i < table->tag_count; i++)
	{
		const M3dbColumn *column = &table->columns[table->tag_attnums[i] - 1];

		if (has_metric &&
			m3_slice_equal(column->tag, m3_slice_cstr(M3_TAG_METRIC_NAME)))
			refuse_table(builder,
						 psprintf("has a column \"%s\" for tag \"%s\", which its value columns "
								  "give",
								  column->name, M3_TAG_METRIC_NAME),
						 "Drop the column; the tag holds the value column's name or its option "
						 "\"metric\".");
		if (i > 0 && compare_tag_columns(&table->tag_attnums[i - 1], &table->tag_attnums[i],
										 builder->table) == 0)
			refuse_table(builder,
						 psprintf("has two columns for one tag: \"%s\" and \"%s\"",
								  table->columns[table->tag_attnums[i - 1] - 1].name,
								  column->name),
						 "Give one of them another name by its option \"tag\".");
	}
}

/* Several value columns: each is a series by __name__. */
static void
set_metrics(const Builder *builder)
{
	M3dbTable  *table = builder->table;

	for (int i = 0; i < table->value_count; i++)
	{
		M3dbColumn *column = &table->columns[table->value_attnums[i] - 1];

		if (column->tag.size == 0)
			column->tag = utf8_text(builder, column->name);
		for (int j = 0; j < i; j++)
		{
			const M3dbColumn *other = &table->columns[table->value_attnums[j] - 1];

			if (m3_slice_equal(column->tag, other->tag))
				refuse_table(builder,
							 psprintf("has two value columns for one metric: \"%s\" and \"%s\"",
									  other->name, column->name),
							 "Give one of them another name by its option \"metric\".");
		}
	}
}

static void
check_columns(const Builder *builder)
{
	M3dbTable  *table = builder->table;

	if (table->time_attnum == InvalidAttrNumber)
		refuse_table(builder, "has no time column",
					 "Add a column of type timestamp with time zone, or a bigint column with "
					 "option role 'time_ns'.");
	if (table->value_count == 0)
		refuse_table(builder, "has no value column",
					 "Add a column of type double precision.");
	table->wide = table->value_count > 1;
	if (table->wide && table->id_attnum != InvalidAttrNumber)
		refuse_table(builder,
					 psprintf("has an id column \"%s\" and several value columns",
							  table->columns[table->id_attnum - 1].name),
					 "Each value column is a series of its own, and a series id names one "
					 "series only.  Give the column option role 'tag', or make a table for each "
					 "value.");
	if (table->wide)
		set_metrics(builder);
	qsort_arg(table->tag_attnums, table->tag_count, sizeof(AttrNumber),
			  compare_tag_columns, table);
	check_tags(builder);
}

static void
set_namespace(const Builder *builder, M3Slice name)
{
	M3Error		err = {0};

	if (m3_namespace_name_validate(name, &err) != M3_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("%s", err.message),
				 err.detail[0] != '\0' ? errdetail("%s", err.detail) : 0,
				 errhint("Name the namespace of foreign table \"%s\" by its option \"namespace\".",
						 RelationGetRelationName(builder->relation))));
	builder->table->namespace_name =
		m3_slice(MemoryContextStrdup(builder->context, (const char *) name.data), name.size);
}

/* What a namespace of a mount is like is in its files, so a table says its name only. */
static void
set_mount(const Builder *builder, const ForeignServer *server,
		  const M3dbServerOptions *server_options)
{
	M3dbTable  *table = builder->table;
	M3dbTableOptions options;

	m3db_options_of_table(GetForeignTable(table->relid)->options, &options);
	for (int i = 0; i < M3DB_SETTING_COUNT; i++)
	{
		if ((options.given & ((uint32) 1 << i)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" of foreign table \"%s\" means nothing",
							m3db_settings[i].name, RelationGetRelationName(builder->relation)),
					 errdetail("Server \"%s\" is a read-only mount, which shows what its "
							   "directory holds.", server->servername),
					 errhint("Drop the option.")));
	}
	set_namespace(builder, m3db_mapping_namespace(table->relid, &options));
	table->directory = MemoryContextStrdup(builder->context, server_options->data_directory);
	table->memory_size = server_options->memory_size;
}

static void
set_options(const Builder *builder)
{
	M3dbTable  *table = builder->table;
	ForeignServer *server = GetForeignServer(table->server_id);
	M3dbServerOptions server_options;
	const M3dbMapping *mapping;
	M3Error		err = {0};

	m3db_options_of_server(server->options, &server_options);
	if (server_options.data_directory != NULL)
	{
		set_mount(builder, server, &server_options);
		return;
	}
	table->root_options = server_options.root;

	mapping = m3db_mapping(table->relid);
	set_namespace(builder, mapping->namespace_name);
	m3db_settings_complete(&mapping->options.settings, mapping->options.given,
						   &table->options);
	table->block_size_given =
		(mapping->options.given & (1 << M3DB_SETTING_NUMBER_BLOCK_SIZE)) != 0;
	if (m3_namespace_options_validate(&table->options, &err) != M3_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of namespace \"%s\" do not fit together: %s",
						(const char *) table->namespace_name.data, err.message),
				 errhint("Tables that map one namespace share its options.")));
}

static M3dbTable *
read_table(Relation relation, MemoryContext context)
{
	TupleDesc	desc = RelationGetDescr(relation);
	M3dbTable  *table = MemoryContextAllocZero(context, sizeof(M3dbTable));
	Size		size = (Size) Max(desc->natts, 1);
	Builder		builder = {relation, table, context};

	table->relid = RelationGetRelid(relation);
	table->server_id = GetForeignTable(table->relid)->serverid;
	set_options(&builder);
	table->column_count = desc->natts;
	table->columns = MemoryContextAllocZero(context, size * sizeof(M3dbColumn));
	table->value_attnums = MemoryContextAllocZero(context, size * sizeof(AttrNumber));
	table->tag_attnums = MemoryContextAllocZero(context, size * sizeof(AttrNumber));
	for (int i = 0; i < desc->natts; i++)
		read_column(&builder, TupleDescAttr(desc, i));
	collect_columns(&builder);
	check_columns(&builder);
	return table;
}

/* ---- names that columns go by ---- */

/* The role of a column as of now, and its options; a column that is read by nobody has none. */
static M3dbRole
role_of(Oid relid, Form_pg_attribute attribute, const char *name, M3dbColumnOptions *options)
{
	memset(options, 0, sizeof(*options));
	if (attribute->attisdropped)
		return M3DB_ROLE_NONE;
	m3db_options_of_column(GetForeignColumnOptions(relid, attribute->attnum), options);
	return options->has_role ? options->role :
		infer_role(name, getBaseType(attribute->atttypid));
}

static int
count_values(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	M3dbColumnOptions options;
	int			count = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (role_of(RelationGetRelid(relation), attribute, NameStr(attribute->attname),
					&options) == M3DB_ROLE_VALUE)
			count++;
	}
	return count;
}

void
m3db_column_pin(Oid relid, AttrNumber attnum, const char *new_name, const char **option,
				const char **value)
{
	Relation	relation = relation_open(relid, AccessShareLock);
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
	const char *old_name = pstrdup(NameStr(attribute->attname));
	M3dbColumnOptions options;
	M3dbRole	role = role_of(relid, attribute, old_name, &options);

	*option = NULL;
	*value = NULL;
	if (role == M3DB_ROLE_TAG && options.tag == NULL)
	{
		/* a table with such a tag cannot be used, and renaming is the way out */
		if (strcmp(old_name, M3_TAG_RESERVED_NAME) != 0)
			*option = "tag";
		*value = old_name;
	}
	else if (role == M3DB_ROLE_VALUE && options.metric == NULL && count_values(relation) > 1)
	{
		*option = "metric";
		*value = old_name;
	}
	else if (role != M3DB_ROLE_NONE &&
			 role_of(relid, attribute, new_name, &options) != role)
	{
		*option = "role";
		*value = m3db_role_name(role);
	}
	if (*option == NULL)
		*value = NULL;
	relation_close(relation, AccessShareLock);
}

/* ---- cache ---- */

static void
invalidate_all(void)
{
	generation++;
	m3db_mapping_invalidate();
}

static void
relcache_callback(Datum arg, Oid relid)
{
	if (relid == InvalidOid || m3db_mapping_has(relid) ||
		hash_search(cache, &relid, HASH_FIND, NULL) != NULL)
		invalidate_all();
}

static void
syscache_callback(Datum arg, int cache_id, uint32 hash_value)
{
	invalidate_all();
}

static void
create_cache(void)
{
	HASHCTL		control = {0};

	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = CacheMemoryContext;
	cache = hash_create("m3db tables", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNTABLEREL, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_callback, (Datum) 0);
}

/* Keeps the old definition of an entry until the transaction ends. */
static void
supersede(CacheEntry *entry)
{
	MemoryContext old = entry->context;

	entry->context = NULL;
	entry->table = NULL;
	if (old == NULL)
		return;
	if (superseded == NULL)
		superseded = AllocSetContextCreate(TopMemoryContext, "m3db superseded tables",
										   ALLOCSET_SMALL_SIZES);
	MemoryContextSetParent(old, superseded);
}

void
m3db_table_at_xact_end(void)
{
	if (superseded != NULL)
		MemoryContextDelete(superseded);
	superseded = NULL;
}

/* Lets go of what a change made stale; nobody would ask for tables that are dropped. */
static void
supersede_stale(void)
{
	static uint64 swept_generation = 0;
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (swept_generation == generation)
		return;
	swept_generation = generation;
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->generation == generation)
			continue;
		supersede(entry);
		(void) hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

static M3dbTable *
load(Oid relid)
{
	uint64		read_generation;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "m3db table",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "m3db table scratch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(scratch);
	Relation	relation = relation_open(relid, AccessShareLock);
	M3dbTable  *table;
	CacheEntry *entry;
	bool		found;

	/* a change that is heard of from here on makes what we read stale */
	read_generation = generation;
	table = read_table(relation, context);
	relation_close(relation, AccessShareLock);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(scratch);

	supersede_stale();
	entry = hash_search(cache, &relid, HASH_ENTER, &found);
	if (!found)
		entry->context = NULL;
	supersede(entry);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->context = context;
	entry->table = table;
	entry->generation = read_generation;
	return table;
}

const M3dbTable *
m3db_table(Oid relid)
{
	CacheEntry *entry;

	if (unlikely(cache == NULL))
	{
		m3db_xact_init();
		create_cache();
	}
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (likely(entry != NULL && entry->context != NULL && entry->generation == generation))
		return entry->table;
	return load(relid);
}
