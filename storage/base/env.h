/*
 * The one door from storage/ to the world: files, clock, locks, interrupts.
 *
 * The server implements it over PostgreSQL (fd.c, LWLocks, latches), tools
 * and tests over POSIX, the fault tests over a disk that forgets what was not
 * synced.  None of these functions jump, except yield, which may in the
 * server: call it only where no lock is held and nothing would leak.
 *
 * Paths are absolute, or relative to the process's directory; they end in a
 * NUL.  Sizes and offsets are bytes.
 */
#ifndef M3_BASE_ENV_H
#define M3_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/status.h"

typedef struct M3Env M3Env;
typedef struct M3File M3File;	/* of one process; never in shared memory */

typedef enum M3OpenMode
{
	M3_OPEN_READ,				/* must exist; M3_NOT_FOUND otherwise */
	M3_OPEN_WRITE,				/* must exist; read and write */
	M3_OPEN_CREATE,				/* create or truncate; read and write */
	M3_OPEN_CREATE_NEW			/* M3_CONFLICT if it exists; read and write */
} M3OpenMode;

typedef enum M3LockMode
{
	M3_LOCK_SHARED,
	M3_LOCK_EXCLUSIVE
} M3LockMode;

/* One directory entry; name is valid during the call only.
 * Any status but M3_OK ends the listing and is returned by it. */
typedef M3Status (*M3ListFn) (void *context, const char *name, bool is_directory);

struct M3Env
{
	/* files */
	M3Status	(*open) (M3Env *self, const char *path, M3OpenMode mode,
						 M3File **file, M3Error *err);
	/* an unnamed file that vanishes when closed, or with the process */
	M3Status	(*open_temporary) (M3Env *self, M3File **file, M3Error *err);
	void		(*close) (M3Env *self, M3File *file);	/* NULL allowed */
	/* reads up to size bytes; *got < size only at the end of the file */
	M3Status	(*read) (M3Env *self, M3File *file, void *buffer, size_t size,
						 uint64_t offset, size_t *got, M3Error *err);
	/* writes all of it or fails */
	M3Status	(*write) (M3Env *self, M3File *file, const void *data,
						  size_t size, uint64_t offset, M3Error *err);
	/* data, and the size needed to read it back, are on stable storage */
	M3Status	(*sync) (M3Env *self, M3File *file, M3Error *err);
	M3Status	(*truncate) (M3Env *self, M3File *file, uint64_t size, M3Error *err);
	M3Status	(*size) (M3Env *self, M3File *file, uint64_t *size, M3Error *err);
	/* read-only view of the whole file; NULL for an empty one */
	M3Status	(*map) (M3Env *self, M3File *file, const uint8_t **base,
						size_t *size, M3Error *err);
	void		(*unmap) (M3Env *self, const uint8_t *base, size_t size);

	/* names */
	M3Status	(*rename) (M3Env *self, const char *from, const char *to, M3Error *err);
	M3Status	(*unlink) (M3Env *self, const char *path, M3Error *err);
	/* with parents; fine if it exists */
	M3Status	(*make_directory) (M3Env *self, const char *path, M3Error *err);
	M3Status	(*remove_directory) (M3Env *self, const char *path, M3Error *err);
	M3Status	(*sync_directory) (M3Env *self, const char *path, M3Error *err);
	/* unordered; "." and ".." left out; M3_NOT_FOUND if there is no such directory */
	M3Status	(*list) (M3Env *self, const char *path, M3ListFn fn,
						 void *context, M3Error *err);

	/* time: nanoseconds since 1970 UTC */
	int64_t		(*now_ns) (M3Env *self);

	/* interrupts: see above */
	void		(*yield) (M3Env *self);

	/* locks, by number (storage/base/locks.h); not recursive */
	void		(*lock) (M3Env *self, uint32_t id, M3LockMode mode);
	void		(*unlock) (M3Env *self, uint32_t id);
	/* true: acquired exclusive; false: somebody had it and has released it,
	 * the caller does not hold it and looks again whether his work is done */
	bool		(*lock_or_wait) (M3Env *self, uint32_t id);

	/* a failure after which no answer can be trusted (a failed sync of the
	 * commit log): ends the process, and with it shared memory */
	void		(*panic) (M3Env *self, const M3Error *err) __attribute__((noreturn));

	void	   *context;
};

#endif							/* M3_BASE_ENV_H */
