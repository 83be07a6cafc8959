/*
 * The settings of m3db_fdw, all under the reserved prefix "m3db".
 *
 * Those fixed at server start exist only when the library was preloaded: they
 * could not be defined later, and nothing would use them.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "compat.h"
#include "server/guc.h"
#include "server/server.h"

int			m3db_commitlog_strategy = M3DB_STRATEGY_SYNCHRONOUS;
int			m3db_write_wait_timeout = 10 * 1000;
int			m3db_bootstrap_wait_timeout = 60 * 1000;
bool		m3db_enable_filter_pushdown = true;
bool		m3db_enable_tag_index = true;
bool		m3db_enable_statistics = true;
bool		m3db_enable_sorted_scan = true;
bool		m3db_enable_distinct_pushdown = true;
bool		m3db_enable_aggregate_pushdown = true;
bool		m3db_enable_parallel_scan = true;

int			m3db_buffer_size_kb = 256 * 1024;
char	   *m3db_data_directory = NULL;
int			m3db_commitlog_flush_interval = 1000;
int			m3db_commitlog_window = 15 * 60;
int			m3db_commitlog_queue_size_kb = 1024;
int			m3db_buffer_flush_threshold = 70;
int			m3db_tick_interval = 10;
int			m3db_cold_flush_interval = 60;
int			m3db_snapshot_interval = 5 * 60;
int			m3db_snapshot_min_log_size_kb = 64 * 1024;

static int	commitlog_max_size_kb = 256 * 1024;
static int	commitlog_preallocate_size_kb = 4 * 1024;
static int	cache_size_kb = -1;

static const struct config_enum_entry strategy_values[] = {
	{"synchronous", M3DB_STRATEGY_SYNCHRONOUS, false},
	{"behind", M3DB_STRATEGY_BEHIND, false},
	{NULL, 0, false}
};

static bool
check_data_directory(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || (*newval)[0] == '\0')
	{
		GUC_check_errdetail("The data directory must not be empty.");
		return false;
	}
	/* Room for what the engine appends: root id, namespace, shard, file name. */
	if (strlen(*newval) >= MAXPGPATH / 2)
	{
		GUC_check_errdetail("The data directory must be shorter than %d bytes.",
							MAXPGPATH / 2);
		return false;
	}
	canonicalize_path(*newval);
	return true;
}

static void
define_start_settings(void)
{
	DefineCustomIntVariable("m3db.buffer_size",
							"Sets the shared memory for series, their buffers and the "
							"commit log queues.",
							"This is a hard limit: when it is used up, writers wait for "
							"m3db.write_wait_timeout and then fail.",
							&m3db_buffer_size_kb,
							256 * 1024, 8 * 1024, INT_MAX,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomStringVariable("m3db.data_directory",
							   "Sets the directory that holds one M3DB root per database.",
							   "A relative path starts at the server's data directory.",
							   &m3db_data_directory,
							   "m3db",
							   PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
							   check_data_directory, NULL, NULL);

	DefineCustomIntVariable("m3db.commitlog_queue_size",
							"Sets the size of the queue of commit log entries, for each "
							"database.",
							NULL,
							&m3db_commitlog_queue_size_kb,
							1024, 64, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

static void
define_log_settings(void)
{
	DefineCustomIntVariable("m3db.commitlog_flush_interval",
							"Sets the time between writes of commit log entries that no "
							"transaction waits for.",
							"It bounds what a crash can lose of transactions committed "
							"with the strategy \"behind\".",
							&m3db_commitlog_flush_interval,
							1000, 1, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.commitlog_window",
							"Sets the length of the time window one commit log file covers.",
							NULL,
							&m3db_commitlog_window,
							15 * 60, 1, 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.commitlog_max_size",
							"Sets the size at which a new commit log file is started.",
							NULL,
							&commitlog_max_size_kb,
							256 * 1024, 64, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.commitlog_preallocate_size",
							"Sets how much of the commit log file is filled with zeros "
							"ahead of the writers.",
							"A commit that does not extend the file is synced faster.  "
							"Zero turns this off.",
							&commitlog_preallocate_size_kb,
							4 * 1024, 0, 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

/* What the background worker does, and when. */
static void
define_job_settings(void)
{
	DefineCustomIntVariable("m3db.tick_interval",
							"Sets the time between rounds of the background worker.",
							"A round merges buffers, flushes blocks that are due, and removes "
							"what is not needed any more.",
							&m3db_tick_interval,
							10, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.cold_flush_interval",
							"Sets the least time between flushes of blocks that have files "
							"already.",
							"Each of them writes the whole block anew.",
							&m3db_cold_flush_interval,
							60, 0, 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.snapshot_interval",
							"Sets the least time between snapshots of what is not flushed yet.",
							"A snapshot makes commit logs superfluous, so that a restart "
							"has less to read.",
							&m3db_snapshot_interval,
							5 * 60, 1, 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.snapshot_min_log_size",
							"Sets how much must have been written to the commit log since the "
							"last snapshot for another one.",
							NULL,
							&m3db_snapshot_min_log_size_kb,
							64 * 1024, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

static void
define_memory_settings(void)
{
	DefineCustomIntVariable("m3db.buffer_flush_threshold",
							"Sets the percentage of m3db.buffer_size in use from which blocks "
							"are flushed early.",
							NULL,
							&m3db_buffer_flush_threshold,
							70, 10, 95,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.cache_size",
							"Sets how much of m3db.buffer_size may hold blocks read from files.",
							"-1 means an eighth of m3db.buffer_size, 0 no cache.",
							&cache_size_kb,
							-1, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

static void
define_session_settings(void)
{
	DefineCustomEnumVariable("m3db.commitlog_strategy",
							 "Sets whether a commit waits until its datapoints are on "
							 "stable storage.",
							 "With \"behind\", or with synchronous_commit off, a crash "
							 "may lose the last m3db.commitlog_flush_interval.",
							 &m3db_commitlog_strategy,
							 M3DB_STRATEGY_SYNCHRONOUS, strategy_values,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.write_wait_timeout",
							"Sets how long a write waits for space in m3db.buffer_size.",
							NULL,
							&m3db_write_wait_timeout,
							10 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("m3db.bootstrap_wait_timeout",
							"Sets how long a statement waits for the database's M3DB "
							"data to be loaded.",
							"-1 waits for ever.",
							&m3db_bootstrap_wait_timeout,
							60 * 1000, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static void
define_switch(const char *name, const char *what, const char *otherwise, bool *value)
{
	DefineCustomBoolVariable(name, what, otherwise, value, true, PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
}

static void
define_switches(void)
{
	define_switch("m3db.enable_filter_pushdown",
				  "Lets scans evaluate conditions on time, tags and id.",
				  "Otherwise scans read everything and PostgreSQL filters.",
				  &m3db_enable_filter_pushdown);
	define_switch("m3db.enable_tag_index",
				  "Lets scans find series by the index of their tags.",
				  "Otherwise they look at all series of the namespace.",
				  &m3db_enable_tag_index);
	define_switch("m3db.enable_statistics",
				  "Lets scans use the statistics kept beside filesets.",
				  "Otherwise they decode the points.",
				  &m3db_enable_statistics);
	define_switch("m3db.enable_sorted_scan",
				  "Enables the planner's use of scans that give rows in an order.",
				  "Otherwise PostgreSQL sorts.",
				  &m3db_enable_sorted_scan);
	define_switch("m3db.enable_distinct_pushdown",
				  "Enables the planner's use of scans that stop at the first row of each "
				  "series, for DISTINCT and DISTINCT ON.",
				  "Otherwise PostgreSQL reads all rows and drops repeats.",
				  &m3db_enable_distinct_pushdown);
	define_switch("m3db.enable_aggregate_pushdown",
				  "Enables the planner's use of aggregates inside scans.",
				  "Otherwise PostgreSQL aggregates rows.",
				  &m3db_enable_aggregate_pushdown);
	define_switch("m3db.enable_parallel_scan",
				  "Enables the planner's use of scans shared by several processes.",
				  "Otherwise a scan runs in one process.",
				  &m3db_enable_parallel_scan);
}

void
m3db_guc_init(void)
{
	define_session_settings();
	define_switches();
	define_log_settings();
	define_job_settings();
	define_memory_settings();
	if (process_shared_preload_libraries_in_progress)
	{
		define_start_settings();
		MarkGUCPrefixReserved("m3db");
	}
}

void
m3db_settings_update(M3EngineSettings *settings)
{
	settings->log_window_ns = (int64_t) m3db_commitlog_window * M3_NS_PER_SECOND;
	settings->log_max_size = (uint64_t) commitlog_max_size_kb * 1024;
	settings->log_preallocate_size = (uint64_t) commitlog_preallocate_size_kb * 1024;
	settings->txn_memory_size = (uint64_t) work_mem * 1024;
	settings->cache_size = (uint64_t) (cache_size_kb >= 0 ? cache_size_kb :
									   m3db_buffer_size_kb / 8) * 1024;
}
