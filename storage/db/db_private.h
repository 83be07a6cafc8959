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
#include "storage/db/block_cache.h"
#include "storage/db/engine.h"
#include "storage/db/jobs.h"
#include "storage/db/maintain.h"
#include "storage/db/namespace.h"
#include "storage/index/index.h"
#include "storage/log/commitlog.h"

/* A place in the commit logs. */
typedef struct M3LogPlace
{
	uint64_t	log_index;
	uint64_t	offset;			/* of a group's first chunk */
} M3LogPlace;

static inline bool
m3i_place_before(M3LogPlace a, M3LogPlace b)
{
	return a.log_index != b.log_index ? a.log_index < b.log_index : a.offset < b.offset;
}

/* Series of a namespace's list that lie together. */
#define M3_SERIES_CHUNK 512u

/*
 * A namespace, in the arena.  Name and creation order never change.
 *
 * TRUNCATE and DROP void it: what was written before the place "purge" of the log is gone
 * from memory at once, its files are removed by m3_purge_run, and then
 * the registry says so ("floor").  A dropped one stays as a tombstone until the log of its
 * floor has gone, so that no replay of that log can bring old files back; it may come
 * back to life as another namespace of its name.
 */
typedef struct M3NamespaceShared
{
	M3Ref		next;			/* of its root, in order of creation; ROOT_NAMES */
	M3NamespaceOptions options; /* ROOT_NAMES */
	M3Ref		series_chunks;	/* array of refs of arrays of M3_SERIES_CHUNK refs of series,
								 * by ordinal, 0 for holes; ROOT_NAMES */
	uint32_t	series_count;	/* holes included; ROOT_NAMES */
	uint32_t	series_holes;	/* ROOT_NAMES */
	uint32_t	first_hole;		/* there is none before it; ROOT_NAMES */
	uint32_t	chunk_count;	/* ROOT_NAMES */
	uint32_t	chunk_capacity; /* ROOT_NAMES */
	M3Index		index;			/* of the series in the list, by ordinal; ROOT_NAMES */
	int64_t		first_block_ns; /* of points ever buffered; atomic */
	int64_t		end_ns;			/* end of the last such block; atomic */
	uint64_t	point_count;	/* in buffers; atomic */
	uint64_t	buffer_size;	/* bytes; atomic */
	uint64_t	block_count;	/* (series, block start) pairs in buffers; atomic */
	M3Ref		shards;			/* array of M3ShardShared by shard; ROOT_BLOCKS */
	uint64_t	blocks_version; /* changes with every change of shards; ROOT_BLOCKS, atomic */
	uint64_t	cleaned_version;	/* of the blocks that cleanup saw last, and how far
									 * retention reached then; the maintaining process */
	int64_t		cleaned_before_ns;
	uint64_t	file_count;		/* blocks with a fileset; ROOT_BLOCKS, atomic */
	uint64_t	file_size;		/* their bytes of data and index; ROOT_BLOCKS, atomic */
	uint64_t	file_series;	/* their series, added up; ROOT_BLOCKS, atomic */
	uint64_t	file_points;	/* their points, where these are known; ROOT_BLOCKS, atomic */
	uint64_t	uncounted_size; /* data bytes of those where not; ROOT_BLOCKS, atomic */
	uint64_t	generation;		/* unlike any other's, also before TRUNCATE; ROOT_BLOCKS, atomic */
	bool		dropped;		/* ROOT_NAMES, exclusive with ROOT_WRITE to change */
	bool		purge_pending;	/* files from before purge are still there; ROOT_NAMES */
	M3LogPlace	purge;			/* ROOT_NAMES */
	M3LogPlace	floor;			/* entries of logs before it are void; ROOT_NAMES */
	bool		in_snapshot;	/* the newest snapshot may hold what is in no fileset; the
								 * maintaining process */
	uint32_t	voids_pending;	/* batches prepared and not published that void it; ROOT_WRITE */
	uint64_t	unflushed_log;	/* the first log that holds points which are in no fileset;
								 * M3_COMMITLOG_NO_INDEX: none; ROOT_WRITE */
	uint64_t	buried_mark;	/* once out of the list: when that was, see m3i_mark() */
	uint32_t	name_size;
	uint8_t		name[M3_NAMESPACE_NAME_MAX_SIZE + 1];
} M3NamespaceShared;

typedef struct M3RootShared
{
	uint32_t	id;				/* ENGINE, and atomic; 0: free, its root was dropped */
	uint32_t	state;			/* M3RootState; atomic, changed under ENGINE */
	M3RootProgress progress;	/* changed by the bootstrapping process, under ENGINE */
	M3RootOptions options;		/* ROOT_NAMES */
	bool		has_options;	/* ROOT_NAMES */
	M3Ref		first_namespace;	/* ROOT_NAMES */
	M3Ref		last_namespace; /* ROOT_NAMES */
	M3Ref		first_buried;	/* namespaces waiting to be freed; the maintaining process */
	uint64_t	next_unique_index;	/* ROOT_NAMES */
	M3Ref		first_unlinked; /* series waiting to be freed; ROOT_WRITE */
	uint64_t	next_sequence;	/* ROOT_SEQUENCE; 0 is never given out */
	uint64_t	batches_committed;	/* atomic */
	uint64_t	batches_aborted;	/* atomic */
	uint64_t	next_log_index; /* of the first log to open; set by bootstrap */
	M3Ref		spare;			/* arena memory a bootstrap keeps back for a flush */
	uint64_t	generations;	/* given out; atomic */
	uint64_t	cleaned_snapshots;	/* taken when snapshots and logs were cleaned, plus 1; 0:
									 * never; the maintaining process, as the next two */
	uint64_t	cleaned_log_index;	/* the first log kept then */
	uint64_t	first_log;		/* no log below it is left, as far as is known */
	bool		registry_dirty; /* options changed that the registry has not; ROOT_NAMES */
	M3RootJobs	jobs;			/* of the process that maintains the root; atomic */
	M3CommitLogShared log;
} M3RootShared;

/* What one process is doing, with one root at a time.  Written by that process
 * only, holding ROOT_SEQUENCE in some mode; atomic. */
typedef struct M3ProcessSlot
{
	uint32_t	root;			/* number of the root the rest refers to */
	uint32_t	padding;
	uint64_t	batch_sequence; /* of the batch staged and not published; 0 none */
	uint64_t	batch_log_index;	/* the log that holds it; UINT64_MAX: none */
	uint64_t	snapshot_floor; /* no snapshot held hides a smaller sequence; 0 none */
	uint64_t	txn_floor;		/* next sequence when its oldest transaction began; 0 none */
} M3ProcessSlot;

typedef struct M3EngineShared
{
	uint64_t	magic;
	M3EngineConfig config;
	uint64_t	arena_offset;
	M3CacheShared cache;
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
	uint32_t	id;				/* of the root, which may have been dropped since */
	uint32_t	number;			/* of the root */
	char	   *path;
	M3CommitLog *log;			/* handle, made at first use */
	M3CommitLogSettings log_settings;	/* what it reads */
	struct M3FilesetCache *filesets;	/* open in this process, made at first use */
	struct M3Snapshot *snapshots;	/* held by this process */
	uint32_t	txn_count;		/* open in this process */
	bool		read_only;		/* of a mount: nothing on disk is changed */
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

static inline uint32_t
m3i_lock_blocks(const M3Database *db)
{
	return M3_LOCK_ROOT_BLOCKS + db->number;
}

static inline M3ProcessSlot *
m3i_slot(const M3Database *db)
{
	return &db->engine->shared->slots[db->engine->slot];
}

static inline uint64_t
m3i_new_generation(const M3Database *db)
{
	return __atomic_add_fetch(&db->root->generations, 1, __ATOMIC_RELAXED);
}

static inline M3Stripe *
m3i_stripe(const M3Database *db, uint32_t hash)
{
	return &db->engine->shared->stripes[m3_series_stripe(hash)];
}

/* in engine.c */
extern void m3i_root_set_state(M3Database *db, M3RootState state);
extern M3Status m3i_require_ready(const M3Database *db, M3Error *err);
extern void m3i_database_close(M3Engine *engine, uint32_t number);	/* this process's handle */

/* in snapshot.c */
/* Everything below is published, or dead, for every snapshot there is or will be. */
extern uint64_t m3i_horizon(M3Database *db);
/* Starts this process's batch: its number, in order of the calls.  ROOT_WRITE held. */
extern uint64_t m3i_batch_start(M3Database *db);
/* Ends it: from here on everybody may see it (or nobody, if it was killed). */
extern void m3i_batch_end(M3Database *db);
/* The first log that a batch not published yet is in; UINT64_MAX: none.  Exact under ROOT_WRITE. */
extern uint64_t m3i_first_unpublished_log(M3Database *db);
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
extern M3Ref m3i_namespace_find(M3Database *db, M3Slice name);	/* takes ROOT_NAMES; dropped
																 * ones are not found */
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

/* in namespace_void.c */
/*
 * TRUNCATE or DROP at commit: all points of batches below sequence, and all blocks on disk, are
 * gone for everybody at once; files go later, see M3NamespaceShared.  place is
 * that of the group that says so.  A dropped namespace is not found any more.
 * ROOT_WRITE held exclusive.  Cannot fail.
 */
extern void m3i_namespace_void(M3Database *db, M3Ref ref, uint64_t sequence,
							   M3LogPlace place, bool dropped);
/* ALTER at commit: new options in force, the registry to be written by m3_purge_run.  The block
 * size is left as it is if the namespace has data.  Cannot fail. */
extern void m3i_namespace_alter(M3Database *db, M3Ref ref, const M3NamespaceOptions *options);
/* Whether it has points in buffers or blocks on disk. */
extern bool m3i_namespace_has_data(const M3Database *db, M3Ref ref);
/* Takes dropped namespaces whose files are gone and whose floor is below first_log (the first
 * log there is) out of the list and the registry, to be freed when nobody can know them any
 * more.  No lock held; by the process that maintains the root. */
extern M3Status m3i_namespaces_bury(M3Database *db, uint64_t first_log, M3Error *err);

/* in series_list.c */
/* The series, made if need be, with its number and place in the namespace's list.
 * M3_CONFLICT if it has other tags; *created says whether it is new. */
extern M3Status m3i_series_ensure(M3Database *db, M3Ref namespace_ref, M3Slice id,
								  M3Slice tags, uint32_t hash, M3Ref *ref, bool *created,
								  M3Error *err);
extern M3Status m3i_series_check_tags(M3Slice id, M3Slice stored, M3Slice wanted,
									  M3Error *err);
/* The place of a series in the namespace's list; ordinal < series_count.  ROOT_NAMES held. */
static inline M3Ref *
m3i_series_entry(const M3Database *db, const M3NamespaceShared *ns, uint32_t ordinal)
{
	const M3Ref *chunks = m3_arena_at(db->arena, ns->series_chunks);

	return (M3Ref *) m3_arena_at(db->arena, chunks[ordinal / M3_SERIES_CHUNK]) +
		ordinal % M3_SERIES_CHUNK;
}

/* Copies the rest of a chunk of the namespace's list of series, holes included, from first on;
 * 0 at the list's end, which may have moved on when it is called again. */
extern uint32_t m3i_series_chunk(M3Database *db, const M3NamespaceShared *ns, uint32_t first,
								 M3Ref list[M3_SERIES_CHUNK]);
/* Frees the list and the index, not the series.  Nobody uses the namespace any more. */
extern void m3i_series_list_free(M3Database *db, M3NamespaceShared *ns);
/*
 * Takes a series that holds nothing, and is in no fileset, out of its namespace; false if not.
 * Its memory stays until m3i_series_reclaim finds that everybody who may have found the series
 * is done, that is, all that is open began after it was out (m3i_mark()).  ROOT_WRITE held.
 */
extern bool m3i_series_unlink_empty(M3Database *db, M3Ref ref);
/* The same for one that may be in filesets of blocks that start before first_retained_ns only. */
extern bool m3i_series_unlink_expired(M3Database *db, M3Ref ref, int64_t first_retained_ns);
extern void m3i_series_reclaim(M3Database *db);
/*
 * For bootstrap: puts another series with the same id and these tags in the place of *ref, which
 * has no tags, with all that it holds.  The old one is unlinked, its memory stays for the time
 * being.  M3_FULL.
 */
extern M3Status m3i_series_retag(M3Database *db, M3Ref *ref, M3Slice tags, M3Error *err);

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
