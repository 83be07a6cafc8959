/*
 * What the parts of a mount share.  For storage/db only.
 *
 *   mount.c        its life, and what a refresh has to do
 *   mount_env.c    an M3Env that changes nothing on disk
 *   mount_view.c   what the directory looks like: names, and how far logs reach
 *   mount_load.c   bringing what it holds into memory
 *
 * A live M3DB moves points from logs to snapshots to data filesets, and removes what it
 * moved them from.  So names are listed in that order before anything is read, and again
 * afterwards: if nothing went or came meanwhile, no point was missed.
 */
#ifndef M3_DB_MOUNT_PRIVATE_H
#define M3_DB_MOUNT_PRIVATE_H

#include "storage/db/bootstrap_private.h"
#include "storage/db/mount.h"

typedef struct M3MountShard
{
	M3FilesetKind kind;
	const char *namespace_name; /* of the view's names */
	uint32_t	shard;
	M3FilesetList list;
} M3MountShard;

typedef struct M3MountLog
{
	char		name[256];
	bool		is_changed;		/* since it was loaded, or it never was */
	/* what the last load found; nothing yet: all zero */
	bool		is_loaded;
	bool		is_ignored;		/* no commit log, by its name */
	bool		has_index;		/* not so: header unreadable, or name of M3 <= 0.6.1 */
	uint64_t	log_index;
	M3LogEndKind end;
	uint64_t	valid_size;
	uint64_t	size;
	/* hash of what follows valid_size, if it is neither zeros nor nothing: as it was before
	 * a load that could do nothing with it */
	bool		has_tail;
	uint64_t	tail;
} M3MountLog;

typedef struct M3MountView
{
	uint64_t	registry;		/* hash of our registry; 0: there is none */
	uint64_t	metadata;		/* hash of the names of snapshot metadata */
	M3MountLog *logs;
	size_t		log_count;
	size_t		log_capacity;
	M3FilesetNames names[2];	/* of namespaces, by M3FilesetKind */
	M3MountShard *shards;		/* data first; by name and number */
	size_t		shard_count;
	size_t		shard_capacity;
} M3MountView;

/* What has to be loaded; bits. */
typedef enum M3MountPlan
{
	M3_MOUNT_NOTHING = 0,
	M3_MOUNT_ALL = 1,
	M3_MOUNT_FILES = 2,			/* data filesets that are new or gone */
	M3_MOUNT_BUFFERS = 4,		/* snapshots and logs */
	M3_MOUNT_TAILS = 8			/* what was added to logs */
} M3MountPlan;

struct M3Mount
{
	M3Env		env;			/* of the engine: nothing is written */
	M3Memory   *memory;
	M3EngineSettings settings;
	M3BootstrapHooks hooks;
	M3Engine   *engine;
	M3Database *db;
	M3MountView views[2];		/* what is loaded, and the next one */
	uint32_t	current;
	bool		is_loaded;		/* views[current] is what is in memory */
	bool		is_loading;		/* left true by a jump */
	bool		buffers_wanted; /* what is in buffers was taken back since */
	M3Bootstrap bootstrap;
	/* of the last load */
	uint32_t	registered;		/* namespaces of the registry: the first ones */
	uint64_t	first_log;
	uint64_t	groups;			/* in logs, replayed */
	uint64_t	voids;
};

/* in mount_env.c */
extern void m3i_mount_env(M3Env *env, M3Env *original);

/* in mount_view.c */
/* Lists the directory into an empty view; loaded (an empty one at first) is what logs are
 * compared with. */
extern M3Status m3i_mount_view(M3Env *env, M3Memory *memory, const char *root,
							   const M3MountView *loaded, M3MountView *view, M3Error *err);
extern void m3i_mount_view_free(M3Memory *memory, M3MountView *view);
/* NULL if there is none. */
extern const M3MountShard *m3i_mount_shard(const M3MountView *view, M3FilesetKind kind,
										   const char *namespace_name, uint32_t shard);
/* What is to be done to get from what is loaded to the view. */
extern M3MountPlan m3i_mount_compare(const M3MountView *loaded, const M3MountView *view);
/* Notes what a load found out about logs. */
extern M3Status m3i_mount_note_logs(M3MountView *view, M3Memory *memory, const M3LogSet *set,
									M3Error *err);

/* in mount_load.c */
extern M3Status m3i_mount_load(M3Mount *mount, const M3MountView *loaded, M3MountView *view,
							   M3MountPlan plan, M3Error *err);
/* Whether a namespace has another block size than it was loaded with. */
extern bool m3i_mount_is_resized(M3Mount *mount, const M3MountView *view);

/*
 * For a scan that finds the volume of a block gone: brings that block's entry of the table up to
 * date.  Nobody else does so while a scan of a mount is open.
 */
extern M3Status m3i_mount_look_again(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
									 int64_t start_ns, M3Error *err);

#endif							/* M3_DB_MOUNT_PRIVATE_H */
