/*
 * What the parts of a bootstrap share: its state, and saying how far it is.
 * For storage/db only.
 *
 *   bootstrap.c            the order of things, and what all of it needs
 *   bootstrap_logs.c       commit logs: repair, replay, fates
 *   bootstrap_files.c      what is on disk; data filesets
 *   bootstrap_snapshots.c  snapshot filesets
 *
 * A mount (mount.c) is loaded by the same parts; db->read_only tells them.
 *
 * One process bootstraps a root, and until the root is READY nobody else looks at its
 * namespaces and series; locks are taken for what roots share.
 */
#ifndef M3_DB_BOOTSTRAP_PRIVATE_H
#define M3_DB_BOOTSTRAP_PRIVATE_H

#include "storage/db/blocks.h"
#include "storage/db/bootstrap.h"
#include "storage/db/db_private.h"
#include "storage/fileset/list.h"
#include "storage/fileset/reader.h"
#include "storage/log/scan.h"

/* Block size of a namespace that only logs speak of. */
#define M3_MOUNT_BLOCK_SIZE_NS (INT64_C(7200) * 1000 * 1000 * 1000)
/* Shards beyond are taken for damage. */
#define M3_MOUNT_MAX_SHARDS 65536u

typedef struct M3BootstrapGroupName
{
	uint64_t	log_index;
	uint64_t	offset;
} M3BootstrapGroupName;

/* The filesets of one shard of a namespace, as far as names tell. */
typedef struct M3BootstrapShard
{
	M3FilesetKind kind;
	M3Ref		namespace_ref;
	uint32_t	shard;
	bool		borrowed;		/* the list is somebody else's */
	M3FilesetList list;
	const M3FilesetList *before;	/* data: what is loaded already; NULL: nothing */
} M3BootstrapShard;

/* A series of the shard at work, so that the next block finds it without hashing. */
typedef struct M3BootstrapSeries
{
	M3Ref		ref;
	int64_t		first_file_ns;
	int64_t		last_file_ns;
} M3BootstrapSeries;

typedef struct M3BootstrapKnown
{
	M3BootstrapSeries *series;	/* ascending by id */
	size_t		count;
	size_t		capacity;
} M3BootstrapKnown;

/* How far a log was replayed by an earlier load. */
typedef struct M3BootstrapLogEnd
{
	uint64_t	log_index;
	uint64_t	valid_size;
} M3BootstrapLogEnd;

typedef struct M3Bootstrap
{
	M3Database *db;
	M3Memory   *memory;
	const M3BootstrapHooks *hooks;
	M3LogSet   *set;
	int64_t		now_ns;
	/* what is on disk: data first, then snapshots */
	M3BootstrapShard *shards;
	size_t		shard_count;
	size_t		shard_capacity;
	/* series of the shard at work, and the list that will replace it */
	M3BootstrapKnown known;
	M3BootstrapKnown next_known;
	bool		accept_short;	/* also volumes whose data file was cut */
	bool		is_short;		/* the last volume was refused for that alone */
	/* the first log to replay, 0 for all; one above the newest snapshot's, or 0 */
	uint64_t	first_log;
	uint64_t	log_floor;
	/* groups whose transactions did not commit */
	M3BootstrapGroupName *dropped;
	size_t		dropped_count;
	size_t		dropped_capacity;
	bool		asked;			/* some fate was asked for: worth remembering */
	uint64_t	highest_index;	/* of the logs there are */
	/* counters of the namespace written last, not yet added to it */
	M3NamespaceShared *ns;
	M3WriteEffect effect;
	int64_t		first_block_ns;
	int64_t		end_ns;
	/* times it can hold, and the start of its first block within retention */
	int64_t		min_time_ns;
	int64_t		end_time_ns;
	int64_t		first_retained_ns;
	uint64_t	done_bytes;		/* of filesets */
	uint64_t	total_bytes;	/* of filesets, as far as they were looked at */
	uint64_t	log_bytes;		/* of all logs there are */
	uint64_t	entries;
	uint64_t	unplaced;		/* entries of unknown namespaces */
	bool		bad_tags;		/* some were malformed, and it was said */
	/* mounts only: groups that are taken for committed for want of an answer, VOID markers,
	 * and what need not be replayed because it was */
	uint64_t	unresolved;
	uint64_t	voids;
	const M3BootstrapLogEnd *replayed;
	size_t		replayed_count;
	uint64_t	groups;			/* of these parts of logs; of all, if there are none */
	uint64_t	new_groups;
} M3Bootstrap;

/* in bootstrap.c */

/* Makes a root in state NEW or FAILED BOOTSTRAPPING; M3_CONFLICT if it is in another.  After
 * M3_OK m3i_bootstrap_finish has to be called. */
extern M3Status m3i_bootstrap_start(M3Bootstrap *b, M3Database *db,
									const M3BootstrapHooks *hooks, M3Error *err);
/* The same for a mount that is loaded already, and stays so. */
extern void m3i_bootstrap_continue(M3Bootstrap *b, M3Database *db, const M3BootstrapHooks *hooks);
/* The root is READY, or, with any other status, empty and FAILED; frees what b holds.  Returns
 * the status, err with advice added. */
extern M3Status m3i_bootstrap_finish(M3Bootstrap *b, M3Status status, M3Error *err);

/* A line about damage, for the progress and the server's log.  No lock held. */
extern void m3i_bootstrap_report(const M3Bootstrap *b, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern void m3i_bootstrap_phase(M3Bootstrap *b, const char *phase);
/* So many bytes more are about to be read; the block they belong to is done. */
extern void m3i_bootstrap_expect(M3Bootstrap *b, uint64_t size);
extern void m3i_bootstrap_file_done(M3Bootstrap *b);

/* Turns to a namespace (NULL: none): adds up what the last one got, works out the limits. */
extern void m3i_bootstrap_enter(M3Bootstrap *b, M3NamespaceShared *ns);
/* Points were put into a block of the namespace entered. */
extern void m3i_bootstrap_count_block(M3Bootstrap *b, int64_t start_ns);
/* The arena is full: flushes what is loaded, so that it can be tried once more. */
extern M3Status m3i_bootstrap_make_room(M3Bootstrap *b, M3Error *err);
/*
 * m3i_series_ensure with room made if need be; a series with other tags is fine, and one
 * without any is unlinked and made anew with these.  On a mount a new series is of the shard it
 * was found in, whatever its id says.
 */
extern M3Status m3i_bootstrap_series(M3Bootstrap *b, M3Ref namespace_ref, M3Slice id,
									 M3Slice tags, uint32_t shard, M3Ref *ref, M3Error *err);
/* Whether there is at least one. */
extern bool m3i_bootstrap_has_tags(M3Slice tags);
/* Mounts: a namespace that files speak of, made if it can be one; *ref 0 if not.  Dropped ones
 * are found. */
extern M3Status m3i_bootstrap_namespace(M3Bootstrap *b, M3Slice name, int64_t block_size_ns,
										M3Ref *ref, M3Error *err);
/* Dropped ones are found as well. */
extern M3Ref m3i_bootstrap_find_namespace(M3Bootstrap *b, M3Slice name);

/* in bootstrap_logs.c */

/* Lists the logs. */
extern M3Status m3i_bootstrap_open_logs(M3Bootstrap *b, M3Error *err);
/* Checks and repairs them. */
extern M3Status m3i_bootstrap_check_logs(M3Bootstrap *b, M3Error *err);
/* Replays them, and makes known what was found out. */
extern M3Status m3i_bootstrap_replay_logs(M3Bootstrap *b, M3Error *err);

/* in bootstrap_files.c */

/* Lists the filesets of all namespaces that are not dropped; sets the totals. */
extern M3Status m3i_bootstrap_list(M3Bootstrap *b, M3Error *err);
/* One more shard, zeroed, for the caller to fill; NULL without memory. */
extern M3BootstrapShard *m3i_bootstrap_add_shard(M3Bootstrap *b, M3Error *err);
extern void m3i_bootstrap_free_lists(M3Bootstrap *b);
/* One past the last fileset of the block that begins at first. */
extern size_t m3i_bootstrap_group_end(const M3FilesetList *list, size_t first);
/* Whether both have the same complete filesets of a block. */
extern bool m3i_bootstrap_same_block(const M3FilesetList *a, const M3FilesetList *b,
									 int64_t start_ns);
/* Whether blocks that start then are to be loaded: in retention of the namespace entered. */
extern bool m3i_bootstrap_wants(const M3Bootstrap *b, int64_t start_ns);
/* Whether a failure is that of one fileset, which is then done without. */
extern bool m3i_bootstrap_is_damage(M3Status status);
/* Reports a fileset that is not used. */
extern void m3i_bootstrap_report_fileset(const M3Bootstrap *b, const char *directory,
										 const M3FilesetName *name, const M3Error *err);
/* M3_INVALID if the fileset's block is none of the namespace entered. */
extern M3Status m3i_bootstrap_check_block(const M3Bootstrap *b, const M3FilesetHeader *header,
										  M3Error *err);
extern M3Status m3i_bootstrap_shard_directory(const M3Bootstrap *b, const M3BootstrapShard *shard,
											  char *directory, M3Error *err);
extern M3Status m3i_bootstrap_file_size(const M3Bootstrap *b, const char *directory,
										const M3FilesetName *name, M3FilesetFile file,
										uint64_t *size, M3Error *err);
/* Into the block table, with all series; blocks that were loaded before and are not in the
 * list any more go out of it. */
extern M3Status m3i_bootstrap_filesets(M3Bootstrap *b, M3Error *err);

/* in bootstrap_snapshots.c */

/* Into the buffers; decides which logs need not be replayed. */
extern M3Status m3i_bootstrap_snapshots(M3Bootstrap *b, M3Error *err);

#endif							/* M3_DB_BOOTSTRAP_PRIVATE_H */
