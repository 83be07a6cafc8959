/*
 * IMPORT FOREIGN SCHEMA: statements that create a table for each namespace, or each metric,
 * of a server's root.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/catalog.h"
#include "fdw/fdw.h"
#include "fdw/import_survey.h"
#include "fdw/options.h"
#include "server/server.h"

#define REMOTE_SCHEMA "m3db"
#define DEFAULT_MAX_TAGS 100
#define MAX_TAGS 1500			/* a table has at most 1600 columns */

typedef struct ImportOptions
{
	bool		by_metric;
	bool		nanoseconds;
	bool		id;
	bool		tags;
	bool		annotations;
	bool		units;
	int			max_tags;
	M3Slice		namespace_name; /* the only one; empty: all */
} ImportOptions;

typedef struct Import
{
	ImportForeignSchemaStmt *stmt;
	const char *server_name;
	bool		embedded;
	ImportOptions options;
	M3dbImportSurvey survey;
	List	   *mapped;			/* M3dbCatalogTable *, of the embedded engine */
	List	   *table_names;	/* char *, given so far */
	List	   *commands;
} Import;

/* ---- options ---- */

static _Noreturn void
refuse_value(const DefElem *def, const char *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", def->defname,
					defGetString(unconstify(DefElem *, def))),
			 errdetail("%s", rule)));
	pg_unreachable();
}

/* Is it the second of two words?  An error if it is neither. */
static bool
is_second(const DefElem *def, const char *first, const char *second)
{
	const char *value = defGetString(unconstify(DefElem *, def));

	if (pg_strcasecmp(value, second) == 0)
		return true;
	if (pg_strcasecmp(value, first) != 0)
		refuse_value(def, psprintf("It must be %s or %s.", first, second));
	return false;
}

static bool
parse_boolean(const DefElem *def)
{
	bool		result;

	if (!parse_bool(defGetString(unconstify(DefElem *, def)), &result))
		refuse_value(def, "It must be a boolean: true or false.");
	return result;
}

static int
parse_max_tags(const DefElem *def)
{
	int			result;

	if (!parse_int(defGetString(unconstify(DefElem *, def)), &result, 0, NULL) ||
		result < 0 || result > MAX_TAGS)
		refuse_value(def, psprintf("It must be an integer between 0 and %d.", MAX_TAGS));
	return result;
}

static M3Slice
utf8_slice(const char *text)
{
	return m3_slice_cstr(pg_server_to_any(text, (int) strlen(text), PG_UTF8));
}

static void
parse_option(const DefElem *def, ImportOptions *options)
{
	const char *name = def->defname;

	if (strcmp(name, "tables") == 0)
		options->by_metric = is_second(def, "namespace", "metric");
	else if (strcmp(name, "time") == 0)
		options->nanoseconds = is_second(def, "timestamptz", "ns");
	else if (strcmp(name, "id") == 0)
		options->id = parse_boolean(def);
	else if (strcmp(name, "tags") == 0)
		options->tags = parse_boolean(def);
	else if (strcmp(name, "annotations") == 0)
		options->annotations = parse_boolean(def);
	else if (strcmp(name, "units") == 0)
		options->units = parse_boolean(def);
	else if (strcmp(name, "max_tags") == 0)
		options->max_tags = parse_max_tags(def);
	else if (strcmp(name, "namespace") == 0)
		options->namespace_name = utf8_slice(defGetString(unconstify(DefElem *, def)));
	else
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", name),
				 errhint("Valid options of IMPORT FOREIGN SCHEMA are: tables, namespace, time, id, "
						 "tags, max_tags, annotations, units.")));
}

static void
parse_options(List *defs, ImportOptions *options)
{
	ListCell   *cell;

	memset(options, 0, sizeof(*options));
	options->max_tags = DEFAULT_MAX_TAGS;
	options->namespace_name = m3_slice("", 0);
	foreach(cell, defs)
		parse_option(lfirst_node(DefElem, cell), options);
}

/* ---- names ---- */

static char *
server_name_of(M3Slice utf8)
{
	char	   *text = pnstrdup((const char *) utf8.data, utf8.size);

	return pg_any_to_server(text, (int) utf8.size, PG_UTF8);
}

static bool
is_taken(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (pg_strcasecmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * The name, cut to what an identifier can have and with something appended if it is taken: names
 * that differ in case only are a nuisance wherever one forgets to quote.
 */
static char *
unique_name(List **names, const char *wanted, const char *suffix)
{
	char		tail[32] = "";
	char	   *name;

	for (int number = 1;; number++)
	{
		int			room = NAMEDATALEN - 1 - (int) strlen(tail);
		int			size = pg_mbcliplen(wanted, (int) strlen(wanted), room);

		name = psprintf("%.*s%s", size, wanted, tail);
		if (!is_taken(*names, name))
			break;
		if (number == 1)
			snprintf(tail, sizeof(tail), "%s", suffix);
		else
			snprintf(tail, sizeof(tail), "%s%d", suffix, number);
	}
	*names = lappend(*names, name);
	return name;
}

/* ---- columns ---- */

typedef struct Columns
{
	StringInfo	out;
	List	   *names;			/* char *, used */
} Columns;

static void
add_column(Columns *columns, const char *name, const char *type, const char *option,
		   const char *value)
{
	StringInfo	out = columns->out;

	if (out->data[out->len - 1] != '(')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\n  %s %s", quote_identifier(name), type);
	if (option != NULL)
		appendStringInfo(out, " OPTIONS (%s %s)", option, quote_literal_cstr(value));
}

/* A name would be understood as another role than a tag's, or is not the tag's own. */
static bool
needs_tag_option(const char *column, const char *tag)
{
	return strcmp(column, tag) != 0 || strcmp(tag, "id") == 0 || strcmp(tag, "unit") == 0;
}

static int
compare_by_series(const void *a, const void *b)
{
	const M3dbImportTag *x = *(M3dbImportTag *const *) a;
	const M3dbImportTag *y = *(M3dbImportTag *const *) b;

	if (x->series != y->series)
		return x->series > y->series ? -1 : 1;
	return m3_slice_compare(x->name, y->name);
}

static int
compare_by_name(const void *a, const void *b)
{
	const M3dbImportTag *x = *(M3dbImportTag *const *) a;
	const M3dbImportTag *y = *(M3dbImportTag *const *) b;

	return m3_slice_compare(x->name, y->name);
}

/* The tags that get columns: those most series have, in order of their names. */
static M3dbImportTag **
choose_tags(const M3dbImportGroup *group, int max, int *count)
{
	M3dbImportTag **tags = palloc(sizeof(M3dbImportTag *) * (group->tag_count + 1));

	for (int i = 0; i < group->tag_count; i++)
		tags[i] = &group->tags[i];
	*count = Min(group->tag_count, max);
	if (*count < group->tag_count)
	{
		qsort(tags, group->tag_count, sizeof(M3dbImportTag *), compare_by_series);
		qsort(tags, *count, sizeof(M3dbImportTag *), compare_by_name);
	}
	return tags;
}

/* Of names that differ in case only, the one that need not be quoted stays as it is. */
static void
add_tag_columns(Columns *columns, M3dbImportTag **tags, int count)
{
	const char **names = palloc0(sizeof(char *) * (count + 1));

	for (int quoted = 0; quoted <= 1; quoted++)
	{
		for (int i = 0; i < count; i++)
		{
			const char *tag = server_name_of(tags[i]->name);

			if ((quote_identifier(tag) != tag) == (quoted == 1))
				names[i] = unique_name(&columns->names, tag, "_tag");
		}
	}
	for (int i = 0; i < count; i++)
	{
		const char *tag = server_name_of(tags[i]->name);

		add_column(columns, names[i], "pg_catalog.text",
				   needs_tag_option(names[i], tag) ? "tag" : NULL, tag);
	}
}

/* Names that tags must not take: those of the other columns, and of system columns. */
static List *
reserved_names(const ImportOptions *options, bool with_tags)
{
	List	   *names = list_make2(options->nanoseconds ? "t" : "ts", "value");
	static const char *const system_names[] = {
		"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"
	};

	if (options->id)
		names = lappend(names, "id");
	if (with_tags)
		names = lappend(names, "tags");
	if (options->annotations)
		names = lappend(names, "annotation");
	if (options->units)
		names = lappend(names, "unit");
	for (size_t i = 0; i < lengthof(system_names); i++)
		names = lappend(names, unconstify(char *, system_names[i]));
	return names;
}

static void
add_columns(const Import *import, const M3dbImportGroup *group, StringInfo out)
{
	const ImportOptions *options = &import->options;
	int			count;
	M3dbImportTag **tags = choose_tags(group, options->max_tags, &count);
	bool		with_tags = options->tags || count < group->tag_count;
	Columns		columns = {out, reserved_names(options, with_tags)};

	if (options->nanoseconds)
		add_column(&columns, "t", "pg_catalog.int8", "role", "time_ns");
	else
		add_column(&columns, "ts", "pg_catalog.timestamptz", NULL, NULL);
	appendStringInfoString(out, " NOT NULL");
	if (options->id)
		add_column(&columns, "id", "pg_catalog.text", NULL, NULL);
	add_tag_columns(&columns, tags, count);
	if (with_tags)
		add_column(&columns, "tags", "pg_catalog.jsonb", NULL, NULL);
	add_column(&columns, "value", "pg_catalog.float8",
			   group->metric.size > 0 ? "metric" : NULL,
			   group->metric.size > 0 ? server_name_of(group->metric) : NULL);
	if (options->annotations)
		add_column(&columns, "annotation", "pg_catalog.bytea", NULL, NULL);
	if (options->units)
		add_column(&columns, "unit", "pg_catalog.text", NULL, NULL);
}

/* ---- options of tables ---- */

static const char *
duration_text(int64 duration_ns)
{
	int64		seconds = duration_ns / M3_NS_PER_SECOND;
	int			us = (int) (duration_ns % M3_NS_PER_SECOND / 1000);

	if (us != 0)
		return psprintf(INT64_FORMAT ".%06d s", seconds, us);
	if (seconds % SECS_PER_DAY == 0)
		return psprintf(INT64_FORMAT " days", seconds / SECS_PER_DAY);
	if (seconds % SECS_PER_HOUR == 0)
		return psprintf(INT64_FORMAT " hours", seconds / SECS_PER_HOUR);
	if (seconds % SECS_PER_MINUTE == 0)
		return psprintf(INT64_FORMAT " min", seconds / SECS_PER_MINUTE);
	return psprintf(INT64_FORMAT " s", seconds);
}

static const char *
setting_text(const M3dbSetting *setting, const M3NamespaceOptions *options)
{
	const char *field = (const char *) options + setting->offset;

	switch (setting->kind)
	{
		case M3DB_SETTING_RETENTION:
		case M3DB_SETTING_BLOCK_SIZE:
		case M3DB_SETTING_DURATION:
			return duration_text(*(const int64_t *) field);
		case M3DB_SETTING_BOOL:
			return *(const bool *) field ? "true" : "false";
		case M3DB_SETTING_CACHE_POLICY:
			return m3db_cache_policy_name(*(const uint8_t *) field);
	}
	return "";
}

/* What the namespace has and a table would not get by itself. */
static void
add_settings(const M3NamespaceOptions *has, StringInfo out)
{
	uint32		given = 1 << M3DB_SETTING_NUMBER_BLOCK_SIZE;
	M3NamespaceOptions otherwise;

	m3db_settings_complete(has, given, &otherwise);
	for (int i = 0; i < M3DB_SETTING_COUNT; i++)
	{
		const M3dbSetting *setting = &m3db_settings[i];

		if (i == M3DB_SETTING_NUMBER_BLOCK_SIZE ||
			m3db_setting_differs(setting, has, &otherwise))
			appendStringInfo(out, ", %s %s", setting->name,
							 quote_literal_cstr(setting_text(setting, has)));
	}
}

/* ---- tables ---- */

/* Whether another namespace has a metric of that name. */
static bool
is_ambiguous(const Import *import, const M3dbImportGroup *group)
{
	ListCell   *cell;

	foreach(cell, import->survey.groups)
	{
		const M3dbImportGroup *other = lfirst(cell);

		if (other != group && m3_slice_equal(other->metric, group->metric))
			return true;
	}
	return false;
}

/*
 * A namespace whose name begins with the local schema and a dot, as those of tables do that
 * gave none, is named by the rest.
 */
static const char *
wanted_name(const Import *import, const M3dbImportGroup *group)
{
	const char *ns = server_name_of(group->namespace_name);
	const char *schema = import->stmt->local_schema;
	size_t		prefix = strlen(schema);

	if (group->metric.size > 0 && is_ambiguous(import, group))
		return psprintf("%s.%s", ns, server_name_of(group->metric));
	if (group->metric.size > 0)
		return server_name_of(group->metric);
	if (strncmp(ns, schema, prefix) == 0 && ns[prefix] == '.' && ns[prefix + 1] != '\0')
		return ns + prefix + 1;
	return ns;
}

/* A table of the embedded engine that maps the group's namespace, or NULL. */
static const M3dbCatalogTable *
mapping_table(const Import *import, const M3dbImportGroup *group)
{
	ListCell   *cell;

	foreach(cell, import->mapped)
	{
		const M3dbCatalogTable *table = lfirst(cell);

		if (m3_slice_equal(table->namespace_name, group->namespace_name))
			return table;
	}
	return NULL;
}

static void
import_group(Import *import, const M3dbImportGroup *group)
{
	char	   *name = unique_name(&import->table_names, wanted_name(import, group), "_2");
	const M3dbCatalogTable *mapped = mapping_table(import, group);
	StringInfoData out;

	if (!IsImportableForeignTable(name, import->stmt))
		return;
	if (mapped != NULL)
	{
		ereport(NOTICE,
				(errmsg("namespace \"%s\" is mapped by foreign table \"%s\" already, skipping",
						server_name_of(group->namespace_name), get_rel_name(mapped->relid))));
		return;
	}
	initStringInfo(&out);
	appendStringInfo(&out, "CREATE FOREIGN TABLE %s (", quote_identifier(name));
	add_columns(import, group, &out);
	appendStringInfo(&out, "\n) SERVER %s OPTIONS (namespace %s",
					 quote_identifier(import->server_name),
					 quote_literal_cstr(server_name_of(group->namespace_name)));
	if (import->embedded)
		add_settings(group->options, &out);
	appendStringInfoChar(&out, ')');
	import->commands = lappend(import->commands, out.data);
}

static void
report_left_out(const Import *import)
{
	const M3dbImportSurvey *survey = &import->survey;

	if (survey->unnamed_series > 0)
		ereport(NOTICE,
				(errmsg("%llu series without tag \"%s\" are in none of the tables",
						(unsigned long long) survey->unnamed_series, M3_TAG_METRIC_NAME)));
	if (survey->unusable_tags > 0)
		ereport(NOTICE,
				(errmsg("%llu tags have no column, for their names are not text",
						(unsigned long long) survey->unusable_tags)));
}

List *
m3db_ImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server_id)
{
	ForeignServer *server = GetForeignServer(server_id);
	Import		import = {stmt, server->servername};
	M3Database *db;
	ListCell   *cell;

	parse_options(stmt->options, &import.options);
	if (strcmp(stmt->remote_schema, REMOTE_SCHEMA) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("schema \"%s\" is not present on foreign server \"%s\"",
						stmt->remote_schema, server->servername),
				 errhint("The only schema there is \"%s\".", REMOTE_SCHEMA)));
	db = m3db_database_of_server(server_id);
	import.embedded = !m3db_options_name_mount(server->options);
	if (import.embedded)
		import.mapped = m3db_catalog_tables(NULL, false);
	m3db_import_survey(db, import.options.namespace_name, import.options.by_metric,
					   &import.survey);
	foreach(cell, import.survey.groups)
		import_group(&import, lfirst(cell));
	report_left_out(&import);
	return import.commands;
}
