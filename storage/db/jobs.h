/*
 * What keeps a root alive: tick, flush, snapshot, cleanup, retention
 * (spec/engine.md 7, 8; spec/lifecycle.md 3 .. 6, with OURS).
 *
 * All of these are called by one process at a time for a root (the background
 * worker; a test), which is READY; nothing in them waits for anybody but for locks.
 * They call env->yield where no lock, file or memory would be left behind but what the
 * process's M3Memory loses with it; a jump from there loses no point.
 *
 * A round is: purge, tick, flush, snapshot, cleanup.  A step that fails does not keep the
 * others from being tried; each leaves everything as it was as far as it failed.
 */
#ifndef M3_DB_JOBS_H
#define M3_DB_JOBS_H

#include "storage/base/slice.h"
#include "storage/db/engine.h"

typedef enum M3Job
{
	M3_JOB_NONE,
	M3_JOB_PURGE,
	M3_JOB_TICK,
	M3_JOB_FLUSH,
	M3_JOB_SNAPSHOT,
	M3_JOB_CLEANUP
} M3Job;

#define M3_JOB_COUNT 6
#define M3_JOB_ERROR_SIZE 800
#define M3_JOB_SUBJECT_SIZE 208

extern const char *m3_job_name(M3Job job);	/* "flush", ...; "" for none */

/* What is known of one kind of job since the server started. */
typedef struct M3JobStats
{
	uint64_t	runs;			/* that had something to do */
	uint64_t	failures;
	int64_t		last_start_ns;	/* 0: never */
	int64_t		last_duration_ns;
	int64_t		last_failure_ns;	/* 0: never */
	char		last_error[M3_JOB_ERROR_SIZE];	/* of that failure; "" if none */
} M3JobStats;

/* How far the job at work is; done == total when the total is not known yet is 0. */
typedef struct M3JobProgress
{
	M3Job		job;			/* NONE: nothing is at work */
	int64_t		started_ns;
	uint64_t	done;			/* filesets written, files removed, series visited */
	uint64_t	total;
	uint64_t	bytes;			/* written or removed */
	char		subject[M3_JOB_SUBJECT_SIZE];	/* the namespace at work */
} M3JobProgress;

/* In shared memory, part of a root; written by the maintaining process under ENGINE. */
typedef struct M3RootJobs
{
	M3JobProgress progress;
	M3JobStats	stats[M3_JOB_COUNT];
	uint64_t	filesets_removed;	/* since the start; atomic, as the next two */
	uint64_t	logs_removed;
	uint64_t	snapshots_taken;
	int64_t		last_snapshot_ns;	/* when the newest complete one began; 0: none */
	uint64_t	snapshot_log_index; /* its first log not covered; UINT64_MAX: none */
	uint64_t	snapshot_lsn;	/* log bytes appended when it began */
	int64_t		last_cold_flush_ns;
	int64_t		last_full_cold_flush_ns;
	bool		snapshot_wanted;	/* a bootstrap dropped transactions: their groups are to leave
									 * the logs before anybody else reads them */
} M3RootJobs;

extern void m3_root_jobs(M3Database *db, M3RootJobs *jobs);

/* --- purge -------------------------------------------------------------- */

typedef struct M3PurgeResult
{
	uint64_t	namespaces;		/* truncated or dropped ones whose files are gone now */
	uint64_t	files;			/* filesets removed */
} M3PurgeResult;

/* Removes the files of truncated and dropped namespaces and writes the registry
 * if it is not up to date. */
extern M3Status m3_purge_run(M3Database *db, M3PurgeResult *result, M3Error *err);

/* --- tick --------------------------------------------------------------- */

typedef struct M3TickResult
{
	uint64_t	series;			/* visited */
	uint64_t	merged_blocks;	/* buckets whose streams became one */
	uint64_t	expired_blocks; /* buckets, and blocks with a fileset, out of retention */
	uint64_t	purged_series;
	uint64_t	freed_bytes;	/* of the arena, as far as counted */
} M3TickResult;

/* Merges streams, drops what has left retention, frees series that hold nothing any more. */
extern M3Status m3_tick_run(M3Database *db, M3TickResult *result, M3Error *err);

/* --- flush -------------------------------------------------------------- */

typedef enum M3FlushReason
{
	M3_FLUSH_DUE,				/* blocks whose time has come (spec/engine.md 8.1, 8.4) */
	M3_FLUSH_PRESSURE,			/* the largest first, until the arena is down to target_used */
	M3_FLUSH_ALL				/* whatever can be: open blocks too */
} M3FlushReason;

typedef struct M3FlushOptions
{
	M3FlushReason reason;
	M3Slice		namespace_name; /* ALL: only this one; empty: all */
	int64_t		cold_interval_ns;	/* DUE: blocks that have a volume already are written
									 * again no more often than that, and ten times less often
									 * for less than an eighth of the volume */
	uint64_t	target_used;	/* PRESSURE: bytes of arena pages in use to come down to */
	bool		(*stop) (void);	/* DUE: true ends it after the fileset at work; NULL: never */
} M3FlushOptions;

typedef struct M3FlushResult
{
	uint64_t	filesets;
	uint64_t	cold_filesets;	/* of them, those with a volume above 0 */
	uint64_t	series;			/* whose buffers went to a file, once per block */
	uint64_t	bytes;			/* written */
	uint64_t	points;			/* that left the buffers, as counted there */
	uint64_t	held_series;	/* left, because a snapshot or a batch still needs them */
} M3FlushResult;

extern M3Status m3_flush_run(M3Database *db, const M3FlushOptions *options,
							 M3FlushResult *result, M3Error *err);

/* --- snapshot ----------------------------------------------------------- */

typedef struct M3SnapshotOptions
{
	bool		force;			/* else only if due */
	int64_t		interval_ns;	/* due: so long after the one before */
	uint64_t	min_log_size;	/* ... and so many bytes of log since it */
} M3SnapshotOptions;

typedef struct M3SnapshotResult
{
	bool		taken;
	uint64_t	filesets;
	uint64_t	series;
	uint64_t	bytes;
	uint64_t	log_index;		/* first log not covered */
} M3SnapshotResult;

/* Rotates the log, writes every point of the buffers that is published to snapshot filesets, and
 * the metadata last (spec/lifecycle.md 5). */
extern M3Status m3_snapshot_run(M3Database *db, const M3SnapshotOptions *options,
								M3SnapshotResult *result, M3Error *err);

/* --- cleanup ------------------------------------------------------------ */

typedef struct M3CleanupResult
{
	uint64_t	filesets;		/* superseded, expired and unfinished ones */
	uint64_t	snapshots;		/* snapshot filesets */
	uint64_t	metadata;
	uint64_t	logs;
	uint64_t	bytes;			/* of logs and filesets, as far as known */
} M3CleanupResult;

/* Removes what is not needed any more (spec/lifecycle.md 6). */
extern M3Status m3_cleanup_run(M3Database *db, M3CleanupResult *result, M3Error *err);

/* --- what is there ------------------------------------------------------ */

typedef struct M3BlockInfo
{
	const char *namespace_name;
	uint32_t	shard;
	int64_t		start_ns;
	int64_t		size_ns;
	int64_t		volume;			/* -1: nothing on disk */
	uint64_t	data_size;
	uint64_t	index_size;
	uint64_t	file_series;
	uint64_t	buffered_series;
	uint64_t	buffered_bytes;
	uint64_t	buffered_points;
} M3BlockInfo;

/* Every (namespace, shard, block) on disk or in buffers, no lock held during the call. */
typedef M3Status (*M3BlockFn) (void *context, const M3BlockInfo *block);
extern M3Status m3_blocks(M3Database *db, M3BlockFn fn, void *context, M3Error *err);

typedef struct M3SeriesInfo
{
	const char *namespace_name;
	M3Slice		id;
	M3Slice		tags;
	uint32_t	shard;
	uint64_t	buffered_blocks;
	uint64_t	buffered_points;
	uint64_t	buffered_bytes;
	int64_t		first_block_ns; /* on disk or buffered; INT64_MAX: none */
	int64_t		last_block_ns;	/* INT64_MIN: none */
} M3SeriesInfo;

/* Every series; a snapshot is held meanwhile, no lock during the call. */
typedef M3Status (*M3SeriesFn) (void *context, const M3SeriesInfo *series);
extern M3Status m3_series_list(M3Database *db, M3SeriesFn fn, void *context, M3Error *err);

/* Directories below data/ and snapshots/ that belong to no namespace, and filesets there
 * that cannot be used.  Never removed by themselves. */
typedef struct M3OrphanInfo
{
	const char *path;			/* below the root */
	const char *reason;
	uint64_t	files;
	uint64_t	bytes;
} M3OrphanInfo;

typedef M3Status (*M3OrphanFn) (void *context, const M3OrphanInfo *orphan);
extern M3Status m3_orphans(M3Database *db, M3OrphanFn fn, void *context, M3Error *err);

/* Removes the directories of a namespace's name under data/ and snapshots/, if no namespace
 * of that name is known; M3_CONFLICT if one is, M3_NOT_FOUND if there is nothing. */
extern M3Status m3_orphan_remove(M3Database *db, M3Slice namespace_name, uint64_t *files,
								 M3Error *err);

#endif							/* M3_DB_JOBS_H */
