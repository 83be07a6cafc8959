/*
 * Removing the filesets of a namespace that a job finds superfluous, shard by shard, and
 * measuring files.  For the jobs of storage/db.
 *
 * A failure does not keep the rest from being tried; the first one is what is
 * reported.
 */
#ifndef M3_DB_SWEEP_H
#define M3_DB_SWEEP_H

#include "storage/db/db_private.h"
#include "storage/fileset/list.h"
#include "storage/fileset/names.h"

/* A shard's directory on disk. */
typedef struct M3SweepShard
{
	M3FilesetKind kind;
	uint32_t	shard;
	const char *directory;
} M3SweepShard;

/* Says whether a fileset is to go.  A failure counts as no. */
typedef M3Status (*M3SweepFn) (void *context, const M3SweepShard *shard,
							   const M3FilesetListed *listed, bool *gone, M3Error *err);

/* Called for each shard's directory before its filesets; NULL: not wanted.
 * After a failure the shard is passed over. */
typedef M3Status (*M3SweepShardFn) (void *context, const M3SweepShard *shard, M3Error *err);

/* One job's removals; zero but for the first lines. */
typedef struct M3Sweep
{
	M3Database *db;
	M3Job		job;			/* begun when there is something to remove */
	bool		remove_directories; /* of shards, and of the namespace, if they are empty then */
	bool		begun;
	uint64_t	filesets;
	uint64_t	bytes;			/* of them, and what the job adds */
} M3Sweep;

/*
 * Goes through the shards on disk of a namespace of that kind.  A fileset that is gone does not
 * come back, though, unless directories are removed as well, some of its files may.  The
 * name of the namespace's directory is the caller's to sync.  Calls env->yield between shards.
 */
extern M3Status m3i_sweep_namespace(M3Sweep *sweep, M3FilesetKind kind, M3Slice name,
									M3SweepShardFn shard_fn, M3SweepFn fn, void *context,
									M3Error *err);

/* Tells that the job has something to do; again for each piece of it. */
extern void m3i_sweep_begin(M3Sweep *sweep, const char *subject);

/* Ends the job if it was begun, or has failed; returns status. */
extern M3Status m3i_sweep_end(M3Sweep *sweep, M3Status status, const M3Error *err);

/* Keeps the first failure: returns the err to pass to the next attempt. */
static inline M3Error *
m3i_first_error(M3Status first, M3Error *err)
{
	return first == M3_OK ? err : NULL;
}

/* Bytes of a fileset's files; what cannot be looked at counts nothing. */
extern uint64_t m3i_fileset_bytes(M3Database *db, const char *directory,
								  const M3FilesetListed *listed);

/* Size of a file; 0 if it cannot be looked at. */
extern uint64_t m3i_file_bytes(M3Database *db, const char *path);

/* Removes a directory; *kept says that something is still in it, which is no failure.
 * One that is not there is fine. */
extern M3Status m3i_remove_directory(M3Database *db, const char *path, bool *kept, M3Error *err);

#endif							/* M3_DB_SWEEP_H */
