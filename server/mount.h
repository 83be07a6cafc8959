/*
 * Mounts: M3DB directories that foreign servers name, read into memory of this backend.
 *
 * They need nothing of what the library's preloading makes.  A mount stays for the
 * backend's life, or until its server is altered or dropped.
 */
#ifndef M3DB_MOUNT_H
#define M3DB_MOUNT_H

#include "storage/m3.h"

#define M3DB_MOUNT_DEFAULT_SIZE ((uint64) 256 * 1024 * 1024)
#define M3DB_MOUNT_MIN_SIZE ((uint64) 8 * 1024 * 1024)

typedef struct M3dbMountSource
{
	Oid			server_id;
	const char *directory;		/* absolute, canonical; NULL: this is no mount */
	uint64		memory_size;	/* bytes */
} M3dbMountSource;

/*
 * The database of a mount, as the directory is now: it is looked at again, unless the
 * database is held or was looked at a moment ago.  What is damaged is reported as
 * warnings, each once.  Raises an error if the directory cannot be read.
 */
extern M3Database *m3db_mount_database(const M3dbMountSource *source);

/* The same, NULL instead of an error, which the next call of the other one raises. */
extern M3Database *m3db_mount_database_or_null(const M3dbMountSource *source);

/* From hold to release, as often as held, a mount stays as it is.  Nothing happens if the
 * database is not a mount's. */
extern void m3db_mount_hold(M3Database *db);
extern void m3db_mount_release(M3Database *db);

/* Closes mounts whose servers have changed.  Nobody holds any.  Cannot fail. */
extern void m3db_mount_at_xact_end(void);

#endif							/* M3DB_MOUNT_H */
