/*
 * The engine: everything in one arena, shared by the processes of a server.
 *
 * An engine holds roots (one M3DB directory each, one per database of the server), their
 * namespaces, series and buffers, and what each process is doing: the batch it
 * is committing and the oldest snapshot it reads with.  A unit test or a tool
 * makes an engine in private memory and is its only process.
 *
 *   M3Engine     a process's handle on the shared engine
 *   M3Database   a process's handle on one root
 *
 * Handles are not shared and not locked: one process (or thread) each.
 */
#ifndef M3_DB_ENGINE_H
#define M3_DB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/arena.h"
#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/status.h"

typedef struct M3Engine M3Engine;
typedef struct M3Database M3Database;

/* Fixed when the arena is formatted. */
typedef struct M3EngineConfig
{
	uint32_t	process_count;	/* slots: 0 .. process_count - 1 */
	uint64_t	log_ring_size;	/* bytes of commit-log queue per root */
} M3EngineConfig;

/* May change while the engine lives; each process passes its current view. */
typedef struct M3EngineSettings
{
	int64_t		log_window_ns;	/* whole seconds; a log covers one window */
	uint64_t	log_max_size;	/* bytes after which a log is rotated */
	uint64_t	log_preallocate_size;	/* bytes of zeros ahead of the writers */
	uint64_t	txn_memory_size;	/* bytes a transaction keeps before it spills */
	uint64_t	cache_size;		/* bytes of arena the block cache may take; 0: none */
} M3EngineSettings;

/* Bytes of arena an engine needs before it holds anything. */
extern size_t m3_engine_base_size(const M3EngineConfig *config);

/* Formats memory (zeroed, aligned to 64) as an engine; once, by one process.
 * M3_FULL when size is below m3_engine_base_size() + M3_ARENA_MIN_SIZE. */
extern M3Status m3_engine_format(void *base, size_t size, M3Env *env,
								 const M3EngineConfig *config, M3Error *err);

/*
 * A handle for this process.  data_directory holds the roots, one directory
 * per root id; the string is copied.  slot is this process's own, below
 * process_count.  env, memory and settings must outlive the handle.
 */
extern M3Status m3_engine_attach(void *base, M3Env *env, M3Memory *memory,
								 uint32_t slot, const char *data_directory,
								 const M3EngineSettings *settings,
								 M3Engine **engine, M3Error *err);

/* Lets go of everything this process holds: its databases, its snapshots, its
 * batch (aborted if it was not published).  For the exit of a process. */
extern void m3_engine_detach(M3Engine *engine);

extern void m3_engine_arena_stats(M3Engine *engine, M3ArenaStats *stats);

/* The cache of blocks read from filesets, of all roots; counts since the start. */
typedef struct M3CacheStats
{
	uint64_t	entries;
	uint64_t	bytes;			/* of arena */
	uint64_t	hits;
	uint64_t	misses;
	uint64_t	inserted;
	uint64_t	evicted;		/* to make room, for age, or replaced by another volume */
} M3CacheStats;

extern void m3_cache_stats(M3Engine *engine, M3CacheStats *stats);
/* Drops entries until size bytes of arena are given back or nothing is left; returns how many. */
extern uint64_t m3_cache_shrink(M3Engine *engine, uint64_t size);

typedef enum M3RootState
{
	M3_ROOT_NEW,				/* known, not bootstrapped yet */
	M3_ROOT_BOOTSTRAPPING,
	M3_ROOT_READY,
	M3_ROOT_FAILED				/* bootstrap failed; see the progress message */
} M3RootState;

/* How far a bootstrap is; figures grow, the totals are known after its first pass. */
typedef struct M3RootProgress
{
	M3RootState state;
	char		phase[32];		/* "reading logs", ... or "" */
	uint64_t	done_bytes;
	uint64_t	total_bytes;
	uint64_t	entries;		/* points applied */
	uint64_t	skipped_groups; /* transactions that did not commit */
	uint32_t	files_done;
	uint32_t	files_total;
	int64_t		started_ns;
	int64_t		finished_ns;	/* 0 while running */
	char		message[1024];	/* the failure, or the last damage found, or "" */
} M3RootProgress;

/*
 * A handle on a root, which is made known to the engine (state NEW) if it is
 * not yet.  Nothing is read or written.  M3_UNSUPPORTED when the engine already has
 * M3_MAX_ROOTS.  Handles are cached by the engine handle: the same root
 * gives the same handle, freed by m3_engine_detach.
 */
extern M3Status m3_database_open(M3Engine *engine, uint32_t root_id,
								 M3Database **db, M3Error *err);

/* The same, but M3_NOT_FOUND for a root the engine does not know. */
extern M3Status m3_database_find(M3Engine *engine, uint32_t root_id,
								 M3Database **db, M3Error *err);

extern M3RootState m3_database_state(const M3Database *db);
extern void m3_database_progress(const M3Database *db, M3RootProgress *progress);
extern uint32_t m3_database_id(const M3Database *db);

/*
 * Forgets a root and removes its files.  By the process that maintains it, when
 * nobody else uses it; its own handle on the root is void afterwards, others' are as soon as
 * their place is given to another root.  The directory is renamed first, so that a crash leaves
 * all of it or none; m3_engine_sweep removes what was left of it.  Fine if there is no such root.
 */
extern M3Status m3_root_drop(M3Engine *engine, uint32_t root_id, M3Error *err);

/* Removes what m3_root_drop did not finish.  At the start of the process that maintains
 * the roots. */
extern M3Status m3_engine_sweep(M3Engine *engine, M3Error *err);

/* Ids of the roots known, up to capacity; returns how many there are. */
extern size_t m3_engine_roots(M3Engine *engine, uint32_t *root_ids, size_t capacity);

/* Makes known every root found under the data directory (names of digits
 * only).  A missing data directory is no error. */
extern M3Status m3_engine_discover(M3Engine *engine, M3Error *err);

#endif							/* M3_DB_ENGINE_H */
