/*
 * m3db.export(): a table's namespace as files that an M3DB can bootstrap from.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "common/int.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "server/env_pg.h"
#include "server/guc.h"
#include "server/rows.h"
#include "server/server.h"

PG_FUNCTION_INFO_V1(m3db_export);

#define EPOCH_OFFSET_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* ---- the table ---- */

static void
require_select(Oid relid)
{
	const char *name = m3db_require_table(relid);
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_TABLE, name);
}

/* Points that may yet be rolled back have no place in files that somebody else will read. */
static void
refuse_own_writes(void)
{
	M3Txn	   *txn = m3db_xact_txn_or_null();

	if (txn != NULL && m3_txn_has_work(txn))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot export in a transaction that has written to foreign tables"),
				 errhint("Commit first.")));
}

/* ---- the directory ---- */

static bool
has_parent_reference(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")) != NULL; p += 2)
	{
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return false;
}

/* The path without symbolic links, as far as it exists already. */
static char *
resolve(const char *path)
{
	char	   *existing = pstrdup(path);
	char	   *resolved;

	while ((resolved = realpath(existing, NULL)) == NULL && errno == ENOENT &&
		   strcmp(existing, "/") != 0)
		get_parent_directory(existing);
	if (resolved == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not resolve path \"%s\": %m", existing)));
	existing = psprintf("%s%s", strcmp(resolved, "/") == 0 ? "" : resolved,
						path + (strcmp(existing, "/") == 0 ? 0 : strlen(existing)));
	free(resolved);
	return existing;
}

static void
refuse_inside(const char *path, const char *directory, const char *what)
{
	char	   *real_directory = resolve(directory);

	canonicalize_path(real_directory);
	if (path_is_prefix_of_path(real_directory, path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("directory must not be inside %s \"%s\"", what, directory)));
}

static char *
directory_arg(text *arg, const M3dbTable *table)
{
	char	   *path = text_to_cstring(arg);
	char	   *resolved;

	if (!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write files of the server"),
				 errdetail("Only roles with privileges of the \"%s\" role may export.",
						   "pg_write_server_files")));
	if (!is_absolute_path(path) || has_parent_reference(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("directory must be an absolute path without \"..\"")));
	canonicalize_path(path);
	resolved = resolve(path);
	canonicalize_path(resolved);
	refuse_inside(resolved, DataDir, "the server's data directory");
	refuse_inside(resolved, is_absolute_path(m3db_data_directory) ? m3db_data_directory :
				  psprintf("%s/%s", DataDir, m3db_data_directory), "m3db.data_directory");
	if (table->directory != NULL)
		refuse_inside(resolved, table->directory, "the mounted directory");
	return path;
}

/* ---- the other arguments ---- */

/* What lies beyond the times there are is cut off: nothing is there. */
static int64
time_arg(TimestampTz time)
{
	int64		time_us;
	int64		time_ns;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return PG_INT64_MIN;
	if (TIMESTAMP_IS_NOEND(time))
		return PG_INT64_MAX;
	if (!pg_add_s64_overflow(time, EPOCH_OFFSET_US, &time_us) &&
		!pg_mul_s64_overflow(time_us, 1000, &time_ns))
		return time_ns;
	return time < 0 ? PG_INT64_MIN : PG_INT64_MAX;
}

static int64
block_size_arg(const Interval *interval)
{
	int64		size_us;
	int64		size_ns;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("block_size must not contain months or years")));
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &size_us) ||
		pg_add_s64_overflow(size_us, interval->time, &size_us) ||
		pg_mul_s64_overflow(size_us, 1000, &size_ns) ||
		size_us <= 0 || size_us % USECS_PER_SEC != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("block_size must be a positive number of whole seconds")));
	return size_ns;
}

static M3Slice
name_arg(text *arg)
{
	char	   *name = text_to_cstring(arg);

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("namespace must not be empty")));
	return m3_slice_cstr(pg_server_to_any(name, (int) strlen(name), PG_UTF8));
}

static uint32
number_arg(int32 number, int32 min, const char *name)
{
	if (number < min)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be at least %d", name, min)));
	return (uint32) number;
}

static void
read_arguments(FunctionCallInfo fcinfo, const M3dbTable *table, M3ExportOptions *options)
{
	options->directory = directory_arg(PG_GETARG_TEXT_PP(1), table);
	options->namespace_name = table->namespace_name;
	/* how many shards a mounted directory was made for does not show in it */
	if (table->directory != NULL && PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("shards must be given to export a mounted table"),
				 errhint("Give the number of shards of the M3DB that is to read the files.")));
	options->start_ns = PG_ARGISNULL(2) ? PG_INT64_MIN : time_arg(PG_GETARG_TIMESTAMPTZ(2));
	options->end_ns = PG_ARGISNULL(3) ? PG_INT64_MAX : time_arg(PG_GETARG_TIMESTAMPTZ(3));
	options->shard_count = PG_ARGISNULL(4) ? table->root_options.shard_count :
		number_arg(PG_GETARG_INT32(4), 1, "shards");
	options->hash_seed = PG_ARGISNULL(5) ? table->root_options.hash_seed :
		number_arg(PG_GETARG_INT32(5), 0, "hash_seed");
	if (!PG_ARGISNULL(6))
		options->target_name = name_arg(PG_GETARG_TEXT_PP(6));
	if (!PG_ARGISNULL(7))
		options->block_size_ns = block_size_arg(PG_GETARG_INTERVAL_P(7));
	options->env = m3db_env();
}

/* ---- the export ---- */

/* Reads with the snapshot of the statement that calls. */
static void
run(M3Database *db, M3ExportOptions *options, M3ExportResult *result)
{
	EState	   *estate = CreateExecutorState();
	M3Memory   *memory = m3db_memory(estate->es_query_cxt);
	M3Export   *export;
	M3Error		err = {0};

	estate->es_snapshot = GetActiveSnapshot();
	options->snapshot = m3db_snapshot_for(estate, db);
	m3db_check(m3_export_create(db, options, memory, &export, &err), &err);
	PG_TRY();
	{
		m3db_check(m3_export_run(export, result, &err), &err);
	}
	PG_FINALLY();
	{
		m3_export_free(export);
	}
	PG_END_TRY();
	FreeExecutorState(estate);
}

/* M3DB does not read a fileset of a block it still keeps in memory. */
static void
warn_of_open_block(const M3ExportResult *result)
{
	M3Env	   *env = m3db_env();

	if (result->end_ns > env->now_ns(env))
		ereport(WARNING,
				(errmsg("the last block exported has not ended yet"),
				 errdetail("M3DB reads filesets of blocks that have ended, and does not flush "
						   "others over them."),
				 errhint("Start M3DB with these files after %s and its buffer_past, or export "
						 "with a \"to\" at the start of the block.",
						 timestamptz_to_str(m3db_time_from_ns(result->end_ns)))));
}

Datum
m3db_export(PG_FUNCTION_ARGS)
{
	M3ExportOptions options = {0};
	M3ExportResult result = {0};
	M3dbRow		row = {0};
	const M3dbTable *table;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "table" : "directory")));
	require_select(PG_GETARG_OID(0));
	table = m3db_table(PG_GETARG_OID(0));
	read_arguments(fcinfo, table, &options);
	refuse_own_writes();
	run(m3db_database_of_table(table), &options, &result);
	warn_of_open_block(&result);

	m3db_put_count(&row, result.filesets);
	m3db_put_count(&row, result.series);
	m3db_put_count(&row, result.points);
	m3db_put_count(&row, result.bytes);
	return m3db_row_datum(fcinfo, &row);
}
