/*
 * A mount: an existing M3DB directory, read only, in memory of this process.
 *
 * It is an engine of its own with one root, loaded by the same bootstrap, so everything that
 * reads a root reads a mount.  Nothing in the directory is ever written, locked, repaired or
 * removed; a live M3DB may write and delete there meanwhile.  What the files hold is
 * shown, whatever the clock says about retention.
 *
 *   filesets     by name; shards as the directories are numbered, whatever hash made them
 *   snapshots    of the newest valid metadata, else the highest sound volume of each block
 *   commit logs  all there are (spec/lifecycle.md 7.3), torn tails left out
 *
 * Damage is reported and left out; the rest is readable.
 */
#ifndef M3_DB_MOUNT_H
#define M3_DB_MOUNT_H

#include "storage/db/bootstrap.h"
#include "storage/db/engine.h"

typedef struct M3Mount M3Mount;

typedef struct M3MountOptions
{
	void	   *base;			/* zeroed, aligned to 64, stays until the mount is closed; only
								 * pages that are needed are touched */
	size_t		size;			/* bytes; M3_FULL when what has to be in memory does not fit */
	M3BootstrapHooks hooks;		/* report only */
} M3MountOptions;

/*
 * Looks at nothing yet; directory is copied.  env's locks are not used: a mount belongs to
 * this process.  env and memory outlive the mount.
 */
extern M3Status m3_mount_create(M3Env *env, M3Memory *memory, const char *directory,
								const M3MountOptions *options, M3Mount **mount, M3Error *err);
extern void m3_mount_close(M3Mount *mount);	/* NULL allowed; no scan is open */

/*
 * Loads the directory, or what has changed in it since; *changed (NULL allowed) tells whether
 * anything did.  Cheap if nothing did: directories are listed, and the ends of commit logs looked
 * at.  New filesets cost their indexes, growing logs are read once more but only what is new in
 * them is loaded, other changes of snapshots and logs load all of these.  All that was
 * in the directory when it began is shown, whatever a live server moves or removes meanwhile.
 *
 * No scan is open.  After a failure the mount can be refreshed again and shows nothing
 * until then.  Calls env->yield; should that jump, the same holds.
 */
extern M3Status m3_mount_refresh(M3Mount *mount, bool *changed, M3Error *err);

/* For scans; the same until the mount is closed.  READY after the first refresh.  Its
 * snapshots are taken as those of any root. */
extern M3Database *m3_mount_database(M3Mount *mount);

#endif							/* M3_DB_MOUNT_H */
