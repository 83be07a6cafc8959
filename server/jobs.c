/*
 * What the background worker does for a root that is READY: rounds of purge, tick, flush,
 * snapshot and cleanup, and what backends ask for.
 *
 * Each job fails, and is tried again, for itself.  Files are not removed while a base
 * backup may want to read them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/guc.h"
#include "server/requests.h"
#include "server/server.h"
#include "server/shmem.h"
#include "server/worker.h"

#define IDLE_ROUND_MS 60000		/* blocks end and leave retention without being written to */
#define BUSY_SLEEP_MS 2000

typedef struct JobOptions
{
	M3FlushOptions flush;
	M3SnapshotOptions snapshot;
} JobOptions;

/* ---- one job ---- */

static M3Status
call_job(M3Database *db, M3Job job, const JobOptions *options, M3dbJobResult *result,
		 M3Error *err)
{
	switch (job)
	{
		case M3_JOB_NONE:
			break;
		case M3_JOB_PURGE:
			return m3_purge_run(db, &result->purge, err);
		case M3_JOB_TICK:
			return m3_tick_run(db, &result->tick, err);
		case M3_JOB_FLUSH:
			return m3_flush_run(db, &options->flush, &result->flush, err);
		case M3_JOB_SNAPSHOT:
			return m3_snapshot_run(db, &options->snapshot, &result->snapshot, err);
		case M3_JOB_CLEANUP:
			return m3_cleanup_run(db, &result->cleanup, err);
	}
	return m3_error(err, M3_UNSUPPORTED, "unknown job");
}

/* The same where an ERROR of the server's own is a failure like any other. */
static M3Status
call_job_guarded(M3Database *db, M3Job job, const JobOptions *options, M3dbJobResult *result,
				 M3Error *err)
{
	MemoryContext context = CurrentMemoryContext;
	volatile M3Status status = M3_OK;

	PG_TRY();
	{
		status = call_job(db, job, options, result, err);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		m3db_worker_recover(context);
		status = m3_error(err, error->sqlerrcode == ERRCODE_OUT_OF_MEMORY ? M3_NO_MEMORY :
						  M3_IO, "%s", error->message != NULL ? error->message : "");
		FreeErrorData(error);
	}
	PG_END_TRY();
	return status;
}

/* Bytes as people read them. */
typedef struct SizeText
{
	char		text[32];
} SizeText;

static SizeText
size_text(uint64 bytes)
{
	SizeText	result;

	if (bytes < 1024)
		snprintf(result.text, sizeof(result.text), "%u bytes", (unsigned) bytes);
	else if (bytes < 1024 * 1024)
		snprintf(result.text, sizeof(result.text), "%.1f kB", (double) bytes / 1024);
	else if (bytes < 1024 * 1024 * 1024)
		snprintf(result.text, sizeof(result.text), "%.1f MB", (double) bytes / (1024 * 1024));
	else
		snprintf(result.text, sizeof(result.text), "%.1f GB",
				 (double) bytes / (1024 * 1024 * 1024));
	return result;
}

/* Writes what a job has done to text; false if that was nothing. */
static bool
describe(M3Job job, const M3dbJobResult *result, char *text, size_t size)
{
	switch (job)
	{
		case M3_JOB_NONE:
			break;
		case M3_JOB_PURGE:
			snprintf(text, size, "%llu namespaces, %llu filesets removed",
					 (unsigned long long) result->purge.namespaces,
					 (unsigned long long) result->purge.files);
			return result->purge.namespaces > 0 || result->purge.files > 0;
		case M3_JOB_TICK:
			snprintf(text, size, "%llu series, %llu blocks merged, %llu expired, %llu series "
					 "purged, %s freed", (unsigned long long) result->tick.series,
					 (unsigned long long) result->tick.merged_blocks,
					 (unsigned long long) result->tick.expired_blocks,
					 (unsigned long long) result->tick.purged_series,
					 size_text(result->tick.freed_bytes).text);
			return result->tick.merged_blocks > 0 || result->tick.expired_blocks > 0 ||
				result->tick.purged_series > 0;
		case M3_JOB_FLUSH:
			snprintf(text, size, "%llu filesets (%llu cold), %llu series, %s",
					 (unsigned long long) result->flush.filesets,
					 (unsigned long long) result->flush.cold_filesets,
					 (unsigned long long) result->flush.series,
					 size_text(result->flush.bytes).text);
			return result->flush.filesets > 0;
		case M3_JOB_SNAPSHOT:
			snprintf(text, size, "%llu filesets, %llu series, %s, commit logs from %llu on kept",
					 (unsigned long long) result->snapshot.filesets,
					 (unsigned long long) result->snapshot.series,
					 size_text(result->snapshot.bytes).text,
					 (unsigned long long) result->snapshot.log_index);
			return result->snapshot.taken;
		case M3_JOB_CLEANUP:
			snprintf(text, size, "%llu filesets, %llu snapshot filesets, %llu commit logs, %s "
					 "removed", (unsigned long long) result->cleanup.filesets,
					 (unsigned long long) result->cleanup.snapshots,
					 (unsigned long long) result->cleanup.logs,
					 size_text(result->cleanup.bytes).text);
			return result->cleanup.filesets > 0 || result->cleanup.snapshots > 0 ||
				result->cleanup.metadata > 0 || result->cleanup.logs > 0;
	}
	return false;
}

/* Does a job, shows that it is at work, and says what it did. */
static M3Status
do_job(M3dbWorkerRoot *root, M3Job job, const JobOptions *options, M3dbJobResult *result,
	   bool *worked, M3Error *err)
{
	TimestampTz started = GetCurrentTimestamp();
	char		text[256];
	M3Status	status;

	memset(result, 0, sizeof(*result));
	snprintf(text, sizeof(text), "%s of database %u", m3_job_name(job), root->id);
	set_ps_display(text);
	status = call_job_guarded(root->db, job, options, result, err);
	set_ps_display("");

	*worked = describe(job, result, text, sizeof(text));
	/* those who are woken for nothing try in vain, which costs them a batch */
	if (*worked)
		m3db_space_was_freed();
	if (*worked)
		ereport(job == M3_JOB_TICK ? DEBUG1 : LOG,
				(errmsg("m3db %s of database %u: %s, %.3f s", m3_job_name(job), root->id, text,
						(double) (GetCurrentTimestamp() - started) / USECS_PER_SEC)));
	return status;
}

static JobOptions
default_options(void)
{
	JobOptions	options = {0};

	options.flush.reason = M3_FLUSH_DUE;
	options.flush.namespace_name = m3_slice("", 0);
	options.flush.stop = m3db_relief_is_wanted;
	options.flush.cold_interval_ns = (int64_t) m3db_cold_flush_interval * M3_NS_PER_SECOND;
	options.snapshot.interval_ns = (int64_t) m3db_snapshot_interval * M3_NS_PER_SECOND;
	options.snapshot.min_log_size = (uint64_t) m3db_snapshot_min_log_size_kb * 1024;
	return options;
}

/* Does a job if its last failure was long enough ago. */
static void
try_job(M3dbWorkerRoot *root, M3Job job, const JobOptions *options, M3dbJobResult *result)
{
	M3dbRetry  *retry = &root->job_retry[job];
	M3Error		err = {0};
	bool		worked = false;

	memset(result, 0, sizeof(*result));
	if (GetCurrentTimestamp() < retry->at)
	{
		root->unfinished = true;
		return;
	}
	if (do_job(root, job, options, result, &worked, &err) == M3_OK)
	{
		memset(retry, 0, sizeof(*retry));
		root->unfinished |= worked;
		return;
	}
	root->unfinished = true;
	m3db_retry_later(retry);
	ereport(LOG,
			(errmsg("m3db %s of database %u failed, will try again in %d s",
					m3_job_name(job), root->id, retry->backoff_ms / 1000)));
	m3db_report(LOG, &err);
}

/* The same for a job that removes files. */
static void
try_removal(M3dbWorkerRoot *root, M3Job job, const JobOptions *options)
{
	M3dbJobResult result;

	if (!m3db_removal_begin())
	{
		root->unfinished = true;
		return;
	}
	try_job(root, job, options, &result);
	m3db_removal_end();
}

uint64
m3db_jobs_flush_early(M3dbWorkerRoot *root, uint64 target_used, uint64 *held)
{
	JobOptions	options = default_options();
	M3dbJobResult result;

	options.flush.reason = M3_FLUSH_PRESSURE;
	options.flush.target_used = target_used;
	try_job(root, M3_JOB_FLUSH, &options, &result);
	*held += result.flush.held_series;
	return result.flush.filesets;
}

void
m3db_jobs_tick(M3dbWorkerRoot *root)
{
	JobOptions	options = default_options();
	M3dbJobResult result;

	try_job(root, M3_JOB_TICK, &options, &result);
}

/* ---- rounds ---- */

static void
do_round(M3dbWorkerRoot *root)
{
	JobOptions	options = default_options();
	M3dbJobResult result;

	try_removal(root, M3_JOB_PURGE, &options);
	try_job(root, M3_JOB_TICK, &options, &result);
	m3db_relieve();
	try_job(root, M3_JOB_FLUSH, &options, &result);
	/* it may have been stopped for this */
	m3db_relieve();
	try_job(root, M3_JOB_SNAPSHOT, &options, &result);
	m3db_relieve();
	try_removal(root, M3_JOB_CLEANUP, &options);
}

/*
 * A root nobody writes to, and whose last round found nothing to do, needs one
 * only for what time brings about.
 */
static bool
needs_round(const M3dbWorkerRoot *root, const M3LogStats *stats, TimestampTz now)
{
	return root->unfinished || root->round_at == 0 ||
		stats->batches_committed != root->committed ||
		stats->batches_aborted != root->aborted ||
		TimestampDifferenceExceeds(root->round_at, now, IDLE_ROUND_MS);
}

static void
round_if_due(M3dbWorkerRoot *root)
{
	TimestampTz now = GetCurrentTimestamp();
	M3LogStats	stats;

	if (root->looked_at != 0 &&
		!TimestampDifferenceExceeds(root->looked_at, now, m3db_tick_interval * 1000))
		return;
	root->looked_at = now;
	m3_log_stats(root->db, &stats);
	if (!needs_round(root, &stats, now))
		return;
	root->round_at = now;
	root->committed = stats.batches_committed;
	root->aborted = stats.batches_aborted;
	root->unfinished = false;
	do_round(root);
}

/* Until then, a crash would have to find out again what a bootstrap found out. */
static void
snapshot_if_wanted(M3dbWorkerRoot *root)
{
	JobOptions	options = default_options();
	M3dbJobResult result;
	M3RootJobs	jobs;

	if (GetCurrentTimestamp() < root->job_retry[M3_JOB_SNAPSHOT].at)
		return;
	m3_root_jobs(root->db, &jobs);
	if (!jobs.snapshot_wanted)
		return;
	options.snapshot.force = true;
	try_job(root, M3_JOB_SNAPSHOT, &options, &result);
}

/* ---- requests ---- */

static void
do_request(M3dbWorkerRoot *root, M3dbRequest *request)
{
	JobOptions	options = default_options();
	bool		removes = request->job == M3_JOB_CLEANUP;
	bool		worked = false;

	options.flush.reason = M3_FLUSH_ALL;
	options.flush.namespace_name = m3_slice_cstr(request->namespace_name);
	options.snapshot.force = true;
	if (removes && !m3db_removal_begin())
	{
		request->held_back = true;
		return;
	}
	/* what TRUNCATE and DROP left is to be cleaned up as well */
	if (removes)
		request->status = do_job(root, M3_JOB_PURGE, &options, &request->result, &worked,
								 &request->error);
	if (request->status == M3_OK)
		request->status = do_job(root, request->job, &options, &request->result, &worked,
								 &request->error);
	if (removes)
		m3db_removal_end();
	/* a flush leaves files for cleanup to remove, a snapshot logs */
	root->unfinished |= worked;
}

static void
serve_requests(M3dbWorkerRoot *root)
{
	M3dbRequest *request = m3db_request_begin(root->id);

	if (request == NULL)
		return;
	do_request(root, request);
	m3db_request_end(request);
}

void
m3db_jobs_serve(M3dbWorkerRoot *root)
{
	snapshot_if_wanted(root);
	serve_requests(root);
	round_if_due(root);
}

long
m3db_jobs_sleep(const M3dbWorkerRoot *root, TimestampTz now)
{
	long		passed = TimestampDifferenceMilliseconds(root->looked_at, now);
	long		interval = m3db_tick_interval * 1000L;
	long		left = passed < interval ? interval - passed + 1 : 0;
	M3LogStats	stats;

	/* those who write need the arena to be looked at more often */
	m3_log_stats(root->db, &stats);
	return stats.batches_committed != root->committed ? Min(left, BUSY_SLEEP_MS) : left;
}
