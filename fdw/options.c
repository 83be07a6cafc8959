/*
 * Options: one table of what there is, a parser for each kind, and the validator.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/options.h"
#include "server/mount.h"
#include "server/server.h"

#define SHARDS_MAX 65535

typedef enum OptionKind
{
	OPTION_SHARDS,
	OPTION_HASH_SEED,
	OPTION_DATA_DIRECTORY,
	OPTION_MEMORY,
	OPTION_NAMESPACE,
	OPTION_SETTING,				/* of a namespace: in m3db_settings */
	OPTION_ROLE,
	OPTION_TAG,
	OPTION_METRIC
} OptionKind;

typedef struct OptionDef
{
	const char *name;
	Oid			catalog;
	OptionKind	kind;
} OptionDef;

static const OptionDef option_defs[] = {
	{"shards", ForeignServerRelationId, OPTION_SHARDS},
	{"hash_seed", ForeignServerRelationId, OPTION_HASH_SEED},
	{"data_directory", ForeignServerRelationId, OPTION_DATA_DIRECTORY},
	{"memory", ForeignServerRelationId, OPTION_MEMORY},
	{"namespace", ForeignTableRelationId, OPTION_NAMESPACE},
	{"retention_period", ForeignTableRelationId, OPTION_SETTING},
	{"block_size", ForeignTableRelationId, OPTION_SETTING},
	{"buffer_past", ForeignTableRelationId, OPTION_SETTING},
	{"buffer_future", ForeignTableRelationId, OPTION_SETTING},
	{"cold_writes_enabled", ForeignTableRelationId, OPTION_SETTING},
	{"writes_to_commitlog", ForeignTableRelationId, OPTION_SETTING},
	{"snapshot_enabled", ForeignTableRelationId, OPTION_SETTING},
	{"flush_enabled", ForeignTableRelationId, OPTION_SETTING},
	{"cleanup_enabled", ForeignTableRelationId, OPTION_SETTING},
	{"cache_policy", ForeignTableRelationId, OPTION_SETTING},
	{"role", AttributeRelationId, OPTION_ROLE},
	{"tag", AttributeRelationId, OPTION_TAG},
	{"metric", AttributeRelationId, OPTION_METRIC}
};

#define SETTING(field, kind) {#field, kind, offsetof(M3NamespaceOptions, field)}
#define DURATION(field, kind) {#field, kind, offsetof(M3NamespaceOptions, field##_ns)}

const M3dbSetting m3db_settings[M3DB_SETTING_COUNT] = {
	DURATION(retention_period, M3DB_SETTING_RETENTION),
	DURATION(block_size, M3DB_SETTING_BLOCK_SIZE),
	DURATION(buffer_past, M3DB_SETTING_DURATION),
	DURATION(buffer_future, M3DB_SETTING_DURATION),
	SETTING(cold_writes_enabled, M3DB_SETTING_BOOL),
	SETTING(writes_to_commitlog, M3DB_SETTING_BOOL),
	SETTING(snapshot_enabled, M3DB_SETTING_BOOL),
	SETTING(flush_enabled, M3DB_SETTING_BOOL),
	SETTING(cleanup_enabled, M3DB_SETTING_BOOL),
	SETTING(cache_policy, M3DB_SETTING_CACHE_POLICY)
};

static const char *const cache_policies[] = {
	[M3_CACHE_NONE] = "none",
	[M3_CACHE_ALL] = "all",
	[M3_CACHE_RECENTLY_READ] = "recently_read",
	[M3_CACHE_LRU] = "lru"
};

static const char *const role_names[] = {
	[M3DB_ROLE_NONE] = "none",
	[M3DB_ROLE_TIME] = "time",
	[M3DB_ROLE_TIME_NS] = "time_ns",
	[M3DB_ROLE_VALUE] = "value",
	[M3DB_ROLE_TAG] = "tag",
	[M3DB_ROLE_ID] = "id",
	[M3DB_ROLE_TAGS] = "tags",
	[M3DB_ROLE_ANNOTATION] = "annotation",
	[M3DB_ROLE_UNIT] = "unit"
};

const char *
m3db_role_name(M3dbRole role)
{
	return role_names[role];
}

const char *
m3db_cache_policy_name(uint8 policy)
{
	return policy < lengthof(cache_policies) ? cache_policies[policy] : "unknown";
}

/* ---- values ---- */

static _Noreturn void
refuse_value(const DefElem *def, const char *value, const char *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", def->defname, value),
			 errdetail("%s", rule)));
	pg_unreachable();
}

static uint32
parse_uint32(const DefElem *def, uint32 min, uint32 max)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	char	   *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(value, &end, 10);
	/* strtoull takes signs and blanks; we do not */
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 ||
		number < min || number > max)
		refuse_value(def, value,
					 psprintf("It must be an integer between %u and %u.", min, max));
	return (uint32) number;
}

static bool
parse_boolean(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	bool		result;

	if (!parse_bool(value, &result))
		refuse_value(def, value, "It must be a boolean: true or false.");
	return result;
}

static uint8
parse_cache_policy(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));

	for (size_t i = 0; i < lengthof(cache_policies); i++)
	{
		if (pg_strcasecmp(value, cache_policies[i]) == 0)
			return (uint8) i;
	}
	refuse_value(def, value, "It must be one of none, all, recently_read, lru.");
}

/* An interval as interval's input function has it; NULL if that refuses it. */
static Interval *
read_interval(const char *value)
{
	MemoryContext context = CurrentMemoryContext;
	Interval   *volatile result = NULL;

	PG_TRY();
	{
		result = DatumGetIntervalP(DirectFunctionCall3(interval_in,
													   CStringGetDatum(value),
													   ObjectIdGetDatum(InvalidOid),
													   Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		FreeErrorData(error);
	}
	PG_END_TRY();
	return result;
}

/* Nanoseconds, not negative.  A day is 24 hours. */
static int64
parse_duration(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	const Interval *interval = read_interval(value);
	int64		duration_ns;
	int64		days_ns;

	if (interval == NULL)
		refuse_value(def, value,
					 "It must be a duration in interval syntax, such as 30 days, 12 hours or 90 "
					 "s.");
	if (interval->month == PG_INT32_MAX || interval->month == PG_INT32_MIN)
		refuse_value(def, value, "A duration must be finite.");
	if (interval->month != 0)
		refuse_value(def, value,
					 "A duration cannot have months or years, whose lengths differ; give it in "
					 "days.");
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY * 1000, &days_ns) ||
		pg_mul_s64_overflow(interval->time, 1000, &duration_ns) ||
		pg_add_s64_overflow(duration_ns, days_ns, &duration_ns))
		refuse_value(def, value, "A duration must be shorter than 292 years.");
	if (duration_ns < 0)
		refuse_value(def, value, "A duration must not be negative.");
	return duration_ns;
}

static int64
parse_retention(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	int64		retention_ns;

	if (pg_strcasecmp(value, "unlimited") == 0)
		return 0;
	retention_ns = parse_duration(def);
	if (retention_ns == 0)
		refuse_value(def, value,
					 "It must be above zero; write unlimited to keep datapoints for ever.");
	return retention_ns;
}

static int64
parse_block_size(const DefElem *def)
{
	int64		block_size_ns = parse_duration(def);

	if (block_size_ns == 0 || block_size_ns % M3_NS_PER_SECOND != 0)
		refuse_value(def, defGetString(unconstify(DefElem *, def)),
					 "It must be a whole number of seconds, at least one.");
	return block_size_ns;
}

static void
parse_setting(const DefElem *def, M3dbTableOptions *options)
{
	int			number = 0;
	char	   *field;

	while (strcmp(m3db_settings[number].name, def->defname) != 0)
		number++;
	field = (char *) &options->settings + m3db_settings[number].offset;
	switch (m3db_settings[number].kind)
	{
		case M3DB_SETTING_RETENTION:
			*(int64_t *) field = parse_retention(def);
			break;
		case M3DB_SETTING_BLOCK_SIZE:
			*(int64_t *) field = parse_block_size(def);
			break;
		case M3DB_SETTING_DURATION:
			*(int64_t *) field = parse_duration(def);
			break;
		case M3DB_SETTING_BOOL:
			*(bool *) field = parse_boolean(def);
			break;
		case M3DB_SETTING_CACHE_POLICY:
			*(uint8_t *) field = parse_cache_policy(def);
			break;
	}
	options->given |= (uint32) 1 << number;
}

static const char *
parse_namespace(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	const char *utf8 = pg_server_to_any(value, (int) strlen(value), PG_UTF8);
	M3Error		err = {0};

	if (m3_namespace_name_validate(m3_slice_cstr(utf8), &err) != M3_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": %s", def->defname, err.message),
				 err.detail[0] != '\0' ? errdetail("%s", err.detail) : 0));
	return value;
}

static bool
has_parent_reference(const char *path)
{
	for (const char *part = path; part != NULL; part = strchr(part, '/'))
	{
		if (*part == '/')
			part++;
		if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

static const char *
parse_data_directory(const DefElem *def)
{
	char	   *value = pstrdup(defGetString(unconstify(DefElem *, def)));

	if (!is_absolute_path(value))
		refuse_value(def, value, "It must be an absolute path.");
	if (has_parent_reference(value))
		refuse_value(def, value, "It must not contain \"..\".");
	/* room for what is appended: directory, namespace, shard, file */
	if (strlen(value) >= MAXPGPATH / 2)
		refuse_value(def, value,
					 psprintf("It must be shorter than %d bytes.", MAXPGPATH / 2));
	canonicalize_path(value);
	return value;
}

static uint64
parse_memory(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	const char *hint = NULL;
	int			size_kb;

	if (!parse_int(value, &size_kb, GUC_UNIT_KB, &hint) ||
		size_kb < (int) (M3DB_MOUNT_MIN_SIZE / 1024))
		refuse_value(def, value,
					 psprintf("It must be a size with its unit, such as 512MB or 4GB, and at least "
							  "%dMB.", (int) (M3DB_MOUNT_MIN_SIZE / 1024 / 1024)));
	return (uint64) size_kb * 1024;
}

/* As file_fdw does, this is asked for when the option is set, not when it is used: whoever owns
 * the server or may use it has been given what the directory holds. */
static void
check_directory_privilege(const DefElem *def)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->defname),
				 errdetail("Only superusers and members of role pg_read_server_files may name a "
						   "directory of the server.")));
}

static M3dbRole
parse_role(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));

	for (int role = M3DB_ROLE_NONE + 1; role < (int) lengthof(role_names); role++)
	{
		if (pg_strcasecmp(value, role_names[role]) == 0)
			return (M3dbRole) role;
	}
	refuse_value(def, value,
				 "It must be one of time, time_ns, value, tag, id, tags, annotation, unit.");
}

/* Name of a tag, or value of __name__. */
static const char *
parse_tag_text(const DefElem *def)
{
	const char *value = defGetString(unconstify(DefElem *, def));
	const char *utf8 = pg_server_to_any(value, (int) strlen(value), PG_UTF8);
	size_t		size = strlen(utf8);

	if (size == 0 || size > M3_TAG_MAX_SIZE)
		refuse_value(def, value,
					 psprintf("It must have between 1 and %d bytes.", M3_TAG_MAX_SIZE));
	if (strcmp(utf8, M3_TAG_RESERVED_NAME) == 0)
		refuse_value(def, value, "M3DB keeps this name for itself.");
	return value;
}

/* ---- option lists ---- */

/* Raises the error for an option that does not exist at this level. */
static _Noreturn void
refuse_option(const char *name, Oid catalog)
{
	ClosestMatchState match;
	const char *closest;
	bool		has_options = false;

	initClosestMatch(&match, name, 4);
	closest = NULL;
	for (size_t i = 0; i < lengthof(option_defs); i++)
	{
		if (option_defs[i].catalog != catalog)
			continue;
		has_options = true;
		updateClosestMatch(&match, option_defs[i].name);
		/* a beginning is near enough, whatever the distance */
		if (strlen(name) >= 3 && strncmp(option_defs[i].name, name, strlen(name)) == 0)
			closest = option_defs[i].name;
	}
	if (closest == NULL)
		closest = getClosestMatch(&match);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 !has_options ? errhint("There are no valid options in this context.") :
			 closest != NULL ? errhint("Perhaps you meant the option \"%s\".", closest) : 0));
	pg_unreachable();
}

static OptionKind
option_kind(const DefElem *def, Oid catalog)
{
	for (size_t i = 0; i < lengthof(option_defs); i++)
	{
		if (option_defs[i].catalog == catalog &&
			strcmp(option_defs[i].name, def->defname) == 0)
			return option_defs[i].kind;
	}
	refuse_option(def->defname, catalog);
}

void
m3db_options_of_server(List *defs, M3dbServerOptions *options)
{
	ListCell   *cell;

	memset(options, 0, sizeof(*options));
	options->root.shard_count = M3_DEFAULT_SHARD_COUNT;
	options->memory_size = M3DB_MOUNT_DEFAULT_SIZE;
	foreach(cell, defs)
	{
		const DefElem *def = lfirst_node(DefElem, cell);
		OptionKind	kind = option_kind(def, ForeignServerRelationId);

		if (kind == OPTION_SHARDS)
			options->root.shard_count = parse_uint32(def, 1, SHARDS_MAX);
		else if (kind == OPTION_HASH_SEED)
			options->root.hash_seed = parse_uint32(def, 0, PG_UINT32_MAX);
		else if (kind == OPTION_MEMORY)
			options->memory_size = parse_memory(def);
		else
			options->data_directory = parse_data_directory(def);
	}
}

bool
m3db_options_name_mount(List *defs)
{
	ListCell   *cell;

	foreach(cell, defs)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "data_directory") == 0)
			return true;
	}
	return false;
}

void
m3db_options_of_table(List *defs, M3dbTableOptions *options)
{
	ListCell   *cell;

	memset(options, 0, sizeof(*options));
	foreach(cell, defs)
	{
		const DefElem *def = lfirst_node(DefElem, cell);

		if (option_kind(def, ForeignTableRelationId) == OPTION_NAMESPACE)
			options->namespace_name = parse_namespace(def);
		else
			parse_setting(def, options);
	}
}

static void
imply_role(M3dbColumnOptions *options, M3dbRole role, const char *option)
{
	if (options->has_role && options->role != role)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" does not fit a column of role \"%s\"",
						option, m3db_role_name(options->role)),
				 errdetail("It is for columns of role \"%s\".", m3db_role_name(role))));
	options->has_role = true;
	options->role = role;
}

void
m3db_options_of_column(List *defs, M3dbColumnOptions *options)
{
	ListCell   *cell;

	memset(options, 0, sizeof(*options));
	foreach(cell, defs)
	{
		const DefElem *def = lfirst_node(DefElem, cell);
		OptionKind	kind = option_kind(def, AttributeRelationId);

		if (kind == OPTION_ROLE)
		{
			options->role = parse_role(def);
			options->has_role = true;
		}
		else if (kind == OPTION_TAG)
			options->tag = parse_tag_text(def);
		else
			options->metric = parse_tag_text(def);
	}
	if (options->tag != NULL)
		imply_role(options, M3DB_ROLE_TAG, "tag");
	if (options->metric != NULL)
		imply_role(options, M3DB_ROLE_VALUE, "metric");
}

/* ---- settings ---- */

bool
m3db_setting_differs(const M3dbSetting *setting, const M3NamespaceOptions *a,
					 const M3NamespaceOptions *b)
{
	const char *of_a = (const char *) a + setting->offset;
	const char *of_b = (const char *) b + setting->offset;

	switch (setting->kind)
	{
		case M3DB_SETTING_RETENTION:
		case M3DB_SETTING_BLOCK_SIZE:
		case M3DB_SETTING_DURATION:
			return *(const int64_t *) of_a != *(const int64_t *) of_b;
		case M3DB_SETTING_BOOL:
			return *(const bool *) of_a != *(const bool *) of_b;
		case M3DB_SETTING_CACHE_POLICY:
			return *(const uint8_t *) of_a != *(const uint8_t *) of_b;
	}
	return true;
}

void
m3db_setting_copy(const M3dbSetting *setting, M3NamespaceOptions *to,
				  const M3NamespaceOptions *from)
{
	size_t		size = 0;

	switch (setting->kind)
	{
		case M3DB_SETTING_RETENTION:
		case M3DB_SETTING_BLOCK_SIZE:
		case M3DB_SETTING_DURATION:
			size = sizeof(int64_t);
			break;
		case M3DB_SETTING_BOOL:
			size = sizeof(bool);
			break;
		case M3DB_SETTING_CACHE_POLICY:
			size = sizeof(uint8_t);
			break;
	}
	memcpy((char *) to + setting->offset, (const char *) from + setting->offset, size);
}

/* The default block size must fit into a short retention period. */
static int64
default_block_size(int64 retention_ns)
{
	int64		block_size_ns = m3_recommended_block_size_ns(retention_ns);

	if (retention_ns == 0 || retention_ns >= block_size_ns)
		return block_size_ns;
	return Max(retention_ns - retention_ns % M3_NS_PER_SECOND, M3_NS_PER_SECOND);
}

void
m3db_settings_complete(const M3NamespaceOptions *settings, uint32 given,
					   M3NamespaceOptions *complete)
{
	m3_namespace_options_default(complete);
	/* so that the buffers' defaults fit into any block size */
	if ((given & (1 << M3DB_SETTING_NUMBER_BLOCK_SIZE)) != 0)
		complete->block_size_ns = settings->block_size_ns;
	else
		complete->block_size_ns =
			default_block_size((given & 1) != 0 ? settings->retention_period_ns : 0);
	complete->buffer_past_ns = Min(complete->buffer_past_ns, complete->block_size_ns / 2);
	complete->buffer_future_ns = Min(complete->buffer_future_ns, complete->block_size_ns / 2);
	for (int i = 0; i < M3DB_SETTING_COUNT; i++)
	{
		if ((given & ((uint32) 1 << i)) != 0)
			m3db_setting_copy(&m3db_settings[i], complete, settings);
	}
}

/* ---- validator ---- */

static void
validate_server(List *defs)
{
	M3dbServerOptions options;
	bool		is_mount = m3db_options_name_mount(defs);
	ListCell   *cell;

	foreach(cell, defs)
	{
		const DefElem *def = lfirst_node(DefElem, cell);
		OptionKind	kind = option_kind(def, ForeignServerRelationId);

		if (kind == OPTION_DATA_DIRECTORY)
			check_directory_privilege(def);
		else if ((kind == OPTION_MEMORY) != is_mount)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname),
					 is_mount ?
					 errdetail("A server with option \"data_directory\" is a read-only mount, "
							   "which takes it from the directory.") :
					 errdetail("It is for servers with option \"data_directory\".")));
	}
	m3db_options_of_server(defs, &options);
}

static void
validate_table(List *defs)
{
	M3dbTableOptions options;
	M3NamespaceOptions complete;
	M3Error		err = {0};

	m3db_options_of_table(defs, &options);
	m3db_settings_complete(&options.settings, options.given, &complete);
	m3db_check(m3_namespace_options_validate(&complete, &err), &err);
}

PG_FUNCTION_INFO_V1(m3db_fdw_validator);

Datum
m3db_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *defs = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);

	if (catalog == ForeignServerRelationId)
		validate_server(defs);
	else if (catalog == ForeignTableRelationId)
		validate_table(defs);
	else if (catalog == AttributeRelationId)
	{
		M3dbColumnOptions options;

		m3db_options_of_column(defs, &options);
	}
	else if (defs != NIL)
		refuse_option(linitial_node(DefElem, defs)->defname, catalog);
	PG_RETURN_VOID();
}
