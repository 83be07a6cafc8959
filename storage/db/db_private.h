/*
 * Shared memory of the engine, and the handles of its processes.  For
 * storage/db only.
 *
 *   M3EngineShared   at the base: stripes, roots, then process slots
 *   the arena        behind it: namespaces, series, buffers, log queues
 *
 * Which lock guards a field is said at the field; "atomic" means plain loads
 * and stores through __atomic.
 */
#ifndef M3_DB_PRIVATE_H
#define M3_DB_PRIVATE_H

#include "storage/base/locks.h"
#include "storage/buffer/series.h"
#include "storage/db/engine.h"
#include "storage/db/maintain.h"
#include "storage/db/namespace.h"
#include "storage/log/commitlog.h"

/* A namespace, in the arena.  Name and creation order never change. */
typedef struct M3NamespaceShared
{
	M3Ref		next;			/* of its root, in order of creation; ROOT_NAMES */
	M3NamespaceOptions options; /* ROOT_NAMES */
	M3Ref		series;			/* array of refs by ordinal, 0 for holes; ROOT_NAMES */
	uint32_t	series_count;	/* holes included; ROOT_NAMES */
	uint32_t	series_holes;	/* ROOT_NAMES */
	uint32_t	series_capacity;	/* ROOT_NAMES */
	int64_t		first_block_ns; /* of points ever buffered; atomic */
	int64_t		end_ns;			/* end of the last such block; atomic */
	uint64_t	point_count;	/* in buffers; atomic */
	uint64_t	buffer_size;	/* bytes; atomic */
	uint64_t	block_count;	/* atomic */
	uint32_t	name_size;
	uint8_t		name[M3_NAMESPACE_NAME_MAX_SIZE + 1];
} M3NamespaceShared;

typedef struct M3RootShared
{
	uint32_t	id;				/* ENGINE; fixed once in use */
	uint32_t	state;			/* M3RootState; atomic, changed under ENGINE */
	M3RootProgress progress;	/* changed by the bootstrapping process, under ENGINE */
	M3RootOptions options;		/* ROOT_NAMES */
	bool		has_options;	/* ROOT_NAMES */
	M3Ref		first_namespace;	/* ROOT_NAMES */
	M3Ref		last_namespace; /* ROOT_NAMES */
	uint64_t	next_unique_index;	/* ROOT_NAMES */
	M3Ref		first_unlinked; /* series waiting to be freed; ROOT_WRITE */
	uint64_t	next_sequence;	/* ROOT_SEQUENCE; 0 is never given out */
	uint64_t	batches_committed;	/* atomic */
	uint64_t	batches_aborted;	/* atomic */
	uint64_t	next_log_index; /* of the first log to open; set by bootstrap */
	M3CommitLogShared log;
} M3RootShared;

/* What one process is doing, with one root at a time.  Written by that process
 * only, holding ROOT_SEQUENCE in some mode; atomic. */
typedef struct M3ProcessSlot
{
	uint32_t	root;			/* number of the root the rest refers to */
	uint32_t	padding;
	uint64_t	batch_sequence; /* of the batch staged and not published; 0 none */
	uint64_t	batch_log_index;	/* the log that holds it */
	uint64_t	snapshot_floor; /* no snapshot held hides a smaller sequence; 0 none */
	uint64_t	txn_floor;		/* next sequence when its oldest transaction began; 0 none */
} M3ProcessSlot;

typedef struct M3EngineShared
{
	uint64_t	magic;
	M3EngineConfig config;
	uint64_t	arena_offset;
	uint32_t	root_count;		/* ENGINE, and atomic */
	M3Stripe	stripes[M3_STRIPE_COUNT];
	M3RootShared roots[M3_MAX_ROOTS];
	M3ProcessSlot slots[];
} M3EngineShared;

struct M3Engine
{
	M3EngineShared *shared;
	M3Arena    *arena;
	M3Env	   *env;
	M3Memory   *memory;
	const M3EngineSettings *settings;
	char	   *data_directory;
	uint32_t	slot;
	M3Database *databases[M3_MAX_ROOTS];
};

struct M3Database
{
	M3Engine   *engine;
	M3Env	   *env;
	M3Arena    *arena;
	M3RootShared *root;
	uint32_t	number;			/* of the root */
	char	   *path;
	M3CommitLog *log;			/* handle, made at first use */
	M3CommitLogSettings log_settings;	/* what it reads */
	struct M3Snapshot *snapshots;	/* held by this process */
	uint32_t	txn_count;		/* open in this process */
};

static inline uint32_t
m3i_lock_write(const M3Database *db)
{
	return M3_LOCK_ROOT_WRITE + db->number;
}

static inline uint32_t
m3i_lock_flush(const M3Database *db)
{
	return M3_LOCK_ROOT_FLUSH + db->number;
}

static inline uint32_t
m3i_lock_sequence(const M3Database *db)
{
	return M3_LOCK_ROOT_SEQUENCE + db->number;
}

static inline uint32_t
m3i_lock_names(const M3Database *db)
{
	return M3_LOCK_ROOT_NAMES + db->number;
}

static inline M3ProcessSlot *
m3i_slot(const M3Database *db)
{
	return &db->engine->shared->slots[db->engine->slot];
}

static inline M3Stripe *
m3i_stripe(const M3Database *db, uint32_t hash)
{
	return &db->engine->shared->stripes[m3_series_stripe(hash)];
}

/* in engine.c */
extern void m3i_root_set_state(M3Database *db, M3RootState state);
extern M3Status m3i_require_ready(const M3Database *db, M3Error *err);

/* in snapshot.c */
/* Everything below is published, or dead, for every snapshot there is or will be. */
extern uint64_t m3i_horizon(M3Database *db);
/* Starts this process's batch: its number, in order of the calls.  ROOT_WRITE held. */
extern uint64_t m3i_batch_start(M3Database *db);
/* Ends it: from here on everybody may see it (or nobody, if it was killed). */
extern void m3i_batch_end(M3Database *db);
extern void m3i_snapshots_drop(M3Database *db);
/* A transaction of this process begins, or ends: while one is open, series it has found
 * are not freed. */
extern void m3i_txn_enter(M3Database *db);
extern void m3i_txn_leave(M3Database *db);
/* The only transaction of the process has forgotten all series it had found. */
extern void m3i_txn_renew(M3Database *db);
/* A number of the sequence that is no batch's; and whether all snapshots and
 * transactions that are open began after it was taken. */
extern uint64_t m3i_mark(M3Database *db);
extern uint64_t m3i_oldest(M3Database *db);

/* in namespace.c */
extern bool m3i_options_equal(const M3NamespaceOptions *a, const M3NamespaceOptions *b);
extern M3Ref m3i_namespace_find(M3Database *db, M3Slice name);	/* takes ROOT_NAMES */
extern M3Status m3i_namespace_ensure(M3Database *db, M3Slice name,
									 const M3NamespaceOptions *options,
									 const M3RootOptions *root_options,
									 M3Ref *ref, M3Error *err);
extern M3Status m3i_namespace_check(M3Database *db, M3Slice name,
									const M3NamespaceOptions *options,
									const M3RootOptions *root_options, M3Error *err);
/* Adds one read from the registry; bootstrap only. */
extern M3Status m3i_namespace_add(M3Database *db, M3Slice name,
								  const M3NamespaceOptions *options, M3Ref *ref,
								  M3Error *err);
extern void m3i_namespace_count_write(M3Database *db, M3NamespaceShared *ns,
									  const M3WriteEffect *effect,
									  int64_t first_block_ns, int64_t end_ns);
extern void m3i_namespaces_drop(M3Database *db);

/* in series_list.c */
/* The series, made if need be, with its number and place in the namespace's list.
 * M3_CONFLICT if it has other tags; *created says whether it is new. */
extern M3Status m3i_series_ensure(M3Database *db, M3Ref namespace_ref, M3Slice id,
								  M3Slice tags, uint32_t hash, M3Ref *ref, bool *created,
								  M3Error *err);
extern M3Status m3i_series_check_tags(M3Slice id, M3Slice stored, M3Slice wanted,
									  M3Error *err);
/*
 * Takes a series that holds nothing out of its namespace; false if it holds something.
 * Its memory stays until m3i_series_reclaim finds that everybody who may have found the series
 * is done, that is, began after mark (m3i_mark()).  ROOT_WRITE held.
 */
extern bool m3i_series_unlink_empty(M3Database *db, M3Ref ref, uint64_t mark);
extern void m3i_series_reclaim(M3Database *db);

/* in registry.c */
/* Adds what the registry holds to the root; no registry is an empty one. */
extern M3Status m3i_registry_read(M3Database *db, M3Error *err);
/* Replaces the registry, durably; M3_OK means the new one is what a crash leaves.
 * ROOT_NAMES held exclusive. */
extern M3Status m3i_registry_write(M3Database *db, M3Error *err);

/* in maintain.c */
extern M3Status m3i_log_handle(M3Database *db, M3CommitLog **log, M3Error *err);
/* An active log, started or rotated if need be.  ROOT_WRITE held. */
extern M3Status m3i_log_ready(M3Database *db, M3CommitLog *log, M3Error *err);
/* Appends a marker in a chunk of its own; *lsn is what to wait for.  ROOT_WRITE held. */
extern M3Status m3i_log_marker(M3Database *db, M3CommitLog *log, const M3LogMarker *marker,
							   uint64_t *lsn, M3Error *err);

#endif							/* M3_DB_PRIVATE_H */
