/*
 * What the files of the live log share.
 */
#ifndef M3_LOG_COMMITLOG_PRIVATE_H
#define M3_LOG_COMMITLOG_PRIVATE_H

#include "storage/log/commitlog.h"

struct M3CommitLog
{
	M3CommitLogShared *shared;
	M3Arena    *arena;
	M3Env	   *env;
	M3Memory   *memory;
	uint32_t	write_lock;		/* held by callers, never taken here */
	uint32_t	flush_lock;
	const M3CommitLogSettings *settings;
	M3File	   *file;			/* NULL, or of log file_index */
	uint64_t	file_index;
	uint64_t	stream_end;		/* file offset, while streaming */
	char		root_path[M3_LOG_PATH_SIZE];
};

/* Counters that others read without a lock. */
static inline uint64_t
m3i_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static inline void
m3i_store(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

/* The one writer of a counter (its lock is held) adds to it. */
static inline void
m3i_add(uint64_t *counter, uint64_t value)
{
	m3i_store(counter, *counter + value);
}

/* WRITE or FLUSH held: opens the active file in this process. */
extern M3Status m3i_commitlog_open_file(M3CommitLog *log, M3Error *err);

/* FLUSH held, file open: brings the ring's bytes into the file. */
extern void m3i_commitlog_drain(M3CommitLog *log);

/* FLUSH held, file open: makes all that was drained durable. */
extern void m3i_commitlog_sync_file(M3CommitLog *log);

/* FLUSH held, file open: zeros up to at least end, a step ahead if possible. */
extern M3Status m3i_commitlog_extend(M3CommitLog *log, uint64_t end, M3Error *err);

#endif							/* M3_LOG_COMMITLOG_PRIVATE_H */
