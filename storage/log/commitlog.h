/*
 * The live commit log of one root, shared by all processes that write to it.
 *
 * Groups (group.h) are copied into a ring in shared memory; whoever needs his
 * bytes durable writes and syncs everything inserted so far, for all that
 * wait (leader and followers).  The active file is filled with zeros
 * ahead of the writers, so that a commit does not change its size.
 *
 * Positions ("lsn") count bytes ever appended, over all files, from the moment
 * the shared part was initialised:
 *
 *   flushed <= written <= inserted       durable, in the file, in the ring or file
 *
 * Locks: the root's WRITE lock is held exclusively by the caller wherever this says so;
 * FLUSH is taken here, after WRITE or without it.  Never call these with
 * FLUSH or a lock behind it held.
 *
 * A write or sync that fails after bytes have been accepted ends in env->panic:
 * nothing later could be acknowledged honestly.
 *
 * Metadata once per file.  Keep a log index with each series, UINT64_MAX at first.
 * Under WRITE, or before with a re-check under WRITE that the active index is still
 * the same: pass metadata to m3_log_group_add where that index is not
 * m3_commitlog_active_index().  When append (or stream_finish) has succeeded,
 * set it to position.log_index.  Metadata twice is harmless, metadata missing makes
 * the file unreadable from there; so never set it earlier, and build anew when the
 * log was rotated in between.
 */
#ifndef M3_LOG_COMMITLOG_H
#define M3_LOG_COMMITLOG_H

#include "storage/base/arena.h"
#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/log/group.h"
#include "storage/log/scan.h"

#define M3_COMMITLOG_NO_INDEX UINT64_MAX
#define M3_COMMITLOG_RING_MIN_SIZE 4096u

/*
 * In shared memory, zeroed before init.  Members are this module's; those
 * marked (a) are read without a lock, atomically.
 */
typedef struct M3CommitLogShared
{
	M3Ref		ring;
	uint64_t	ring_size;

	/* changed under WRITE and FLUSH */
	uint64_t	active_index;	/* (a) M3_COMMITLOG_NO_INDEX: not started */
	uint64_t	base_lsn;		/* lsn of byte 0 of the active file */
	int64_t		window_start_ns;
	int64_t		window_end_ns;	/* (a) */
	uint64_t	rotations;		/* (a) */

	/* changed under WRITE */
	uint64_t	inserted;		/* (a) */
	uint64_t	active_groups;	/* (a) */
	uint64_t	groups;			/* (a) */
	uint64_t	entries;		/* (a) */

	/* changed under FLUSH */
	uint64_t	written;		/* (a) */
	uint64_t	flushed;		/* (a) */
	uint64_t	allocated_size; /* (a) of the active file, zeros included */
	uint64_t	syncs;			/* (a) */
	uint64_t	sync_ns;		/* (a) */
} M3CommitLogShared;

/* Read at each use, so the process may change them while attached. */
typedef struct M3CommitLogSettings
{
	int64_t		window_ns;		/* whole seconds, positive */
	uint64_t	max_size;		/* a log of this size is rotated; 0: no limit */
	uint64_t	preallocate_size;	/* zeros at the start, and step of growth; 0: as needed */
} M3CommitLogSettings;

typedef struct M3CommitLog M3CommitLog; /* of one process */

typedef struct M3LogPosition
{
	uint64_t	log_index;
	uint64_t	offset;			/* of the group's first chunk in that log */
	uint64_t	lsn;			/* durable once m3_commitlog_sync(lsn) returns */
} M3LogPosition;

typedef struct M3CommitLogStats
{
	uint64_t	active_index;	/* M3_COMMITLOG_NO_INDEX: not started */
	uint64_t	active_size;	/* without preallocation */
	uint64_t	allocated_size; /* with it */
	uint64_t	appended_bytes; /* headers of files included */
	uint64_t	entries;
	uint64_t	groups;
	uint64_t	unsynced_size;
	uint64_t	unwritten_size; /* in the ring only */
	uint64_t	ring_size;
	uint64_t	syncs;
	uint64_t	sync_ns;
	uint64_t	rotations;
} M3CommitLogStats;

/* Takes the ring from the arena; M3_FULL if it does not fit, M3_INVALID if
 * ring_size < M3_COMMITLOG_RING_MIN_SIZE.  Once, before anybody attaches. */
extern M3Status m3_commitlog_shared_init(M3CommitLogShared *shared, M3Arena *arena,
										 M3Env *env, uint64_t ring_size, M3Error *err);
/* Gives the ring back; nobody is attached. */
extern void m3_commitlog_shared_free(M3CommitLogShared *shared, M3Arena *arena, M3Env *env);

/* A handle for this process; does no I/O.  root_path is copied, all else outlives it. */
extern M3Status m3_commitlog_attach(M3CommitLogShared *shared, M3Arena *arena,
									M3Env *env, M3Memory *memory, const char *root_path,
									uint32_t write_lock, uint32_t flush_lock,
									const M3CommitLogSettings *settings,
									M3CommitLog **log, M3Error *err);
extern void m3_commitlog_detach(M3CommitLog *log);	/* NULL allowed */

/*
 * WRITE held.  Opens the first active log, of index next_index (or the next free
 * above it), creating the directory.  The file and its name are durable
 * on return.  M3_CONFLICT if one is active already.
 */
extern M3Status m3_commitlog_start(M3CommitLog *log, uint64_t next_index, int64_t now_ns,
								   M3Error *err);

/*
 * WRITE held.  For a clean stop: drains, syncs, cuts the zeros off; no log is
 * active afterwards.  Fine if none was.
 */
extern M3Status m3_commitlog_stop(M3CommitLog *log, M3Error *err);

/* Index of the active log, or M3_COMMITLOG_NO_INDEX.  No lock; stable under WRITE. */
extern uint64_t m3_commitlog_active_index(const M3CommitLog *log);

/* Whether the active log should be rotated: it holds groups, and its window
 * has passed or its size is reached.  No lock, a hint; exact under WRITE. */
extern bool m3_commitlog_rotation_due(const M3CommitLog *log, int64_t now_ns);

/*
 * WRITE held.  Closes the active log (drained, synced, zeros cut off) and opens the next one.
 * *new_index (NULL allowed) is the one opened: every group appended so far
 * is in a log below it.  On failure the old log stays active.
 */
extern M3Status m3_commitlog_rotate(M3CommitLog *log, int64_t now_ns,
									uint64_t *new_index, M3Error *err);

/*
 * WRITE held, before a group is built and appended: rotates if due, and gives a log
 * without groups the window of now.  M3_NOT_READY if none is active.
 */
extern M3Status m3_commitlog_ready(M3CommitLog *log, int64_t now_ns, M3Error *err);

/*
 * WRITE held.  Appends a finished group; entry_count is for the statistics, 0
 * for markers.  On M3_IO (no space to extend the file) and any other error
 * nothing has been appended.  Does not wait for durability; a full ring is
 * written out first, without sync.
 */
extern M3Status m3_commitlog_append(M3CommitLog *log, M3Slice group, uint64_t entry_count,
									M3LogPosition *position, M3Error *err);

/*
 * WRITE held from begin to finish or rewind, with nothing else in between.  The same
 * for a group that is written as it is built:
 *
 *   m3_commitlog_stream_begin(log)
 *   m3_log_group_begin_stream(group, xid, now, count, m3_commitlog_stream_sink, log)
 *   m3_log_group_add ... m3_log_group_finish
 *   m3_commitlog_stream_finish(log), or on any failure m3_commitlog_stream_rewind(log)
 *
 * rewind leaves the log as it was before begin; it cannot fail but by panic.
 */
extern M3Status m3_commitlog_stream_begin(M3CommitLog *log, M3Error *err);
extern M3Status m3_commitlog_stream_sink(void *log, M3Slice chunks, M3Error *err);
extern M3Status m3_commitlog_stream_finish(M3CommitLog *log, uint64_t entry_count,
										   M3LogPosition *position, M3Error *err);
extern void m3_commitlog_stream_rewind(M3CommitLog *log);

/*
 * No lock held but, if need be, WRITE.  Returns when everything up to lsn is
 * durable.  M3_IO only if this process cannot open the active file: then nothing
 * is known to be durable and nobody was acknowledged.
 */
extern M3Status m3_commitlog_sync(M3CommitLog *log, uint64_t lsn, M3Error *err);

/* The same for all inserted so far; without sync it is only handed to the
 * operating system.  Cheap when there is nothing to do. */
extern M3Status m3_commitlog_write_out(M3CommitLog *log, bool sync, M3Error *err);

/*
 * No lock held.  Extends the zeros, in small pieces, when less than half a step of them
 * is left, so that appends find room; for the background worker.  Cheap
 * when there is enough; M3_IO is harmless here.
 */
extern M3Status m3_commitlog_extend_ahead(M3CommitLog *log, M3Error *err);

/* lsn of everything inserted, and what is durable.  No lock. */
extern uint64_t m3_commitlog_inserted(const M3CommitLog *log);
extern uint64_t m3_commitlog_flushed(const M3CommitLog *log);

extern void m3_commitlog_stats(const M3CommitLog *log, M3CommitLogStats *stats);

#endif							/* M3_LOG_COMMITLOG_H */
