/*
 * M3Env over PostgreSQL.
 *
 * Files are virtual file descriptors, so they count towards the server's limit
 * and may be many.  They are opened as permanent ones: a transaction's end does
 * not close them.  The storage engine holds locks while it calls these functions, so
 * none of them jumps: the few calls of fd.c that may raise an ERROR (out of memory,
 * temp_file_limit) are wrapped, and the interrupt holdoff counts that
 * an ERROR resets are put back.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "compat.h"
#include "server/env_pg.h"
#include "server/server.h"
#include "server/shmem.h"

#define MAX_TRANSFER ((size_t) 1 << 30) /* bytes per call; the server's limit is an int */

struct M3File
{
	File		vfd;
	bool		temporary;		/* its writes are subject to temp_file_limit */
	char		path[FLEXIBLE_ARRAY_MEMBER];
};

void		(*m3db_env_yield_hook) (void) = NULL;

static MemoryContext file_context = NULL;
static uint32 wait_read = PG_WAIT_EXTENSION;
static uint32 wait_write = PG_WAIT_EXTENSION;
static uint32 wait_sync = PG_WAIT_EXTENSION;

/* ---- errors ---- */

/* A failed system call: errno decides between the statuses the contract names. */
static M3Status
report_errno(M3Error *err, const char *path, const char *what)
{
	int			sys_errno = errno;
	M3Status	status = M3_IO;

	m3_error_io(err, sys_errno, path, "could not %s", what);
	if (sys_errno == ENOENT || sys_errno == ENOTDIR)
		status = M3_NOT_FOUND;
	else if (sys_errno == EEXIST)
		status = M3_CONFLICT;
	if (err != NULL)
		err->status = status;
	return status;
}

/* The same where "not found" and "exists" are failures like any other. */
static M3Status
report_io(M3Error *err, const char *path, const char *what)
{
	return m3_error_io(err, errno, path, "could not %s", what);
}

typedef struct Guard
{
	MemoryContext context;
	uint32		interrupt_holdoff;
	uint32		cancel_holdoff;
} Guard;

static inline Guard
guard_begin(void)
{
	Guard		guard = {CurrentMemoryContext, InterruptHoldoffCount, QueryCancelHoldoffCount};

	return guard;
}

/* Ends an ERROR caught while locks may be held, and says what it was. */
static M3Status
guard_caught(const Guard *guard, M3Error *err, const char *path, const char *what)
{
	int			code = geterrcode();

	MemoryContextSwitchTo(guard->context);
	FlushErrorState();
	InterruptHoldoffCount = guard->interrupt_holdoff;
	QueryCancelHoldoffCount = guard->cancel_holdoff;

	if (code == ERRCODE_OUT_OF_MEMORY)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	if (code == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
		return m3_error_io(err, EDQUOT, NULL,
						   "temporary file size exceeds \"temp_file_limit\"");
	return m3_error_io(err, errno != 0 ? errno : EIO, path, "could not %s", what);
}

/* ---- files ---- */

static M3File *
make_file(const char *path, M3Error *err)
{
	size_t		size = strlen(path) + 1;
	M3File	   *file = MemoryContextAllocExtended(file_context,
												  offsetof(M3File, path) + size,
												  MCXT_ALLOC_NO_OOM);

	if (file == NULL)
	{
		m3_error(err, M3_NO_MEMORY, "out of memory");
		return NULL;
	}
	file->vfd = -1;
	file->temporary = false;
	memcpy(file->path, path, size);
	return file;
}

static M3Status
env_open(M3Env *self, const char *path, M3OpenMode mode, M3File **result, M3Error *err)
{
	static const int flags[] = {
		[M3_OPEN_READ] = O_RDONLY,
		[M3_OPEN_WRITE] = O_RDWR,
		[M3_OPEN_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
		[M3_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL
	};
	M3File	   *file = make_file(path, err);
	volatile M3Status status = M3_OK;
	Guard		guard = guard_begin();

	if (file == NULL)
		return M3_NO_MEMORY;
	PG_TRY();
	{
		file->vfd = PathNameOpenFilePerm(path, flags[mode] | PG_BINARY,
										 pg_file_create_mode);
		if (file->vfd < 0)
			status = report_errno(err, path, "open file");
	}
	PG_CATCH();
	{
		status = guard_caught(&guard, err, path, "open file");
	}
	PG_END_TRY();
	if (status != M3_OK)
	{
		pfree(file);
		return status;
	}
	*result = file;
	return M3_OK;
}

static M3Status
env_open_temporary(M3Env *self, M3File **result, M3Error *err)
{
	M3File	   *file = make_file("temporary file", err);
	volatile M3Status status = M3_OK;
	Guard		guard = guard_begin();

	if (file == NULL)
		return M3_NO_MEMORY;
	PG_TRY();
	{
		file->vfd = OpenTemporaryFile(true);
		file->temporary = true;
	}
	PG_CATCH();
	{
		status = guard_caught(&guard, err, file->path, "create file");
	}
	PG_END_TRY();
	if (status != M3_OK)
	{
		pfree(file);
		return status;
	}
	*result = file;
	return M3_OK;
}

static void
env_close(M3Env *self, M3File *file)
{
	if (file == NULL)
		return;
	FileClose(file->vfd);
	pfree(file);
}

static M3Status
env_read(M3Env *self, M3File *file, void *buffer, size_t size, uint64_t offset,
		 size_t *got, M3Error *err)
{
	size_t		done = 0;

	*got = 0;
	while (done < size)
	{
		int			count = FileRead_compat(file->vfd, (char *) buffer + done,
											Min(size - done, MAX_TRANSFER),
											(off_t) (offset + done), wait_read);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return report_io(err, file->path, "read file");
		if (count == 0)
			break;
		done += (size_t) count;
	}
	*got = done;
	return M3_OK;
}

static M3Status
write_all(M3File *file, const char *data, size_t size, uint64_t offset, M3Error *err)
{
	size_t		done = 0;

	while (done < size)
	{
		int			count;

		errno = 0;
		count = FileWrite_compat(file->vfd, data + done,
								 Min(size - done, MAX_TRANSFER),
								 (off_t) (offset + done), wait_write);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			return report_io(err, file->path, "write file");
		}
		done += (size_t) count;
	}
	return M3_OK;
}

static M3Status
env_write(M3Env *self, M3File *file, const void *data, size_t size,
		  uint64_t offset, M3Error *err)
{
	volatile M3Status status = M3_OK;
	Guard		guard;

	if (!file->temporary)
		return write_all(file, data, size, offset, err);

	guard = guard_begin();
	PG_TRY();
	{
		status = write_all(file, data, size, offset, err);
	}
	PG_CATCH();
	{
		status = guard_caught(&guard, err, file->path, "write file");
	}
	PG_END_TRY();
	return status;
}

/*
 * FileSync would sync metadata too, which costs a commit a journal write for
 * nothing.  FileSize opens the file again if it was closed for want of descriptors.
 */
static M3Status
env_sync(M3Env *self, M3File *file, M3Error *err)
{
	int			result;

	if (FileSize(file->vfd) < 0)
		return report_io(err, file->path, "open file");
	pgstat_report_wait_start(wait_sync);
	do
	{
		result = pg_fdatasync(FileGetRawDesc(file->vfd));
	} while (result != 0 && errno == EINTR);
	pgstat_report_wait_end();
	if (result != 0)
		return report_io(err, file->path, "sync file");
	return M3_OK;
}

static M3Status
env_truncate(M3Env *self, M3File *file, uint64_t size, M3Error *err)
{
	if (FileTruncate(file->vfd, (off_t) size, wait_write) < 0)
		return report_io(err, file->path, "truncate file");
	return M3_OK;
}

static M3Status
env_size(M3Env *self, M3File *file, uint64_t *size, M3Error *err)
{
	off_t		result = FileSize(file->vfd);

	if (result < 0)
		return report_io(err, file->path, "find the size of file");
	*size = (uint64_t) result;
	return M3_OK;
}

/* A mapping outlives its descriptor, so it needs none of the server's for long. */
static M3Status
env_map(M3Env *self, M3File *file, const uint8_t **base, size_t *size, M3Error *err)
{
	const char *path = file->temporary ? FilePathName(file->vfd) : file->path;
	struct stat status;
	void	   *mapped;
	int			fd;

	*base = NULL;
	*size = 0;
	fd = BasicOpenFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return report_io(err, path, "open file");
	if (fstat(fd, &status) != 0)
	{
		report_io(err, path, "find the size of file");
		close(fd);
		return M3_IO;
	}
	if (status.st_size > 0)
	{
		mapped = mmap(NULL, (size_t) status.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (mapped == MAP_FAILED)
		{
			report_io(err, path, "map file");
			close(fd);
			return M3_IO;
		}
		*base = mapped;
		*size = (size_t) status.st_size;
	}
	close(fd);
	return M3_OK;
}

static void
env_unmap(M3Env *self, const uint8_t *base, size_t size)
{
	if (base != NULL)
		munmap(unconstify(uint8_t *, base), size);
}

/* ---- names ---- */

static M3Status
env_rename(M3Env *self, const char *from, const char *to, M3Error *err)
{
	if (rename(from, to) != 0)
		return report_errno(err, from, "rename file");
	return M3_OK;
}

static M3Status
env_unlink(M3Env *self, const char *path, M3Error *err)
{
	if (unlink(path) != 0)
		return report_errno(err, path, "remove file");
	return M3_OK;
}

static M3Status
env_make_directory(M3Env *self, const char *path, M3Error *err)
{
	char		part[MAXPGPATH];
	size_t		size = strlen(path);

	if (size >= sizeof(part))
	{
		errno = ENAMETOOLONG;
		return report_io(err, path, "create directory");
	}
	for (size_t i = 1; i <= size; i++)
	{
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (MakePGDirectory(part) != 0 && errno != EEXIST)
			return report_io(err, part, "create directory");
	}
	return M3_OK;
}

static M3Status
env_remove_directory(M3Env *self, const char *path, M3Error *err)
{
	if (rmdir(path) != 0)
		return report_errno(err, path, "remove directory");
	return M3_OK;
}

static M3Status
env_sync_directory(M3Env *self, const char *path, M3Error *err)
{
	int			fd = BasicOpenFile(path, O_RDONLY | PG_BINARY);
	int			result;
	int			sys_errno;

	if (fd < 0)
		return report_errno(err, path, "open directory");
	pgstat_report_wait_start(wait_sync);
	result = pg_fsync(fd);
	sys_errno = errno;
	pgstat_report_wait_end();
	close(fd);
	/* Some file systems cannot sync directories, and need not. */
	if (result != 0 && sys_errno != EBADF && sys_errno != EINVAL)
	{
		errno = sys_errno;
		return report_io(err, path, "sync directory");
	}
	return M3_OK;
}

static bool
is_directory(const char *parent, const struct dirent *entry)
{
	char		path[MAXPGPATH * 2];
	struct stat status;

	if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
		return entry->d_type == DT_DIR;
	snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name);
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Plain opendir: AllocateDir raises errors, and the descriptor is short-lived. */
static M3Status
env_list(M3Env *self, const char *path, M3ListFn fn, void *context, M3Error *err)
{
	DIR		   *directory = opendir(path);
	struct dirent *entry;
	M3Status	status = M3_OK;

	if (directory == NULL)
		return report_errno(err, path, "open directory");
	while (status == M3_OK && (errno = 0, entry = readdir(directory)) != NULL)
	{
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		status = fn(context, entry->d_name, is_directory(path, entry));
	}
	if (status == M3_OK && errno != 0)
		status = report_io(err, path, "read directory");
	closedir(directory);
	return status;
}

/* ---- time, interrupts, locks ---- */

static int64_t
env_now_ns(M3Env *self)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * M3_NS_PER_SECOND + now.tv_nsec;
}

static void
env_yield(M3Env *self)
{
	CHECK_FOR_INTERRUPTS();
	if (m3db_env_yield_hook != NULL)
		m3db_env_yield_hook();
}

static void
env_lock(M3Env *self, uint32_t id, M3LockMode mode)
{
	Assert(id < M3_LOCK_COUNT);
	LWLockAcquire(&m3db_locks[id].lock,
				  mode == M3_LOCK_EXCLUSIVE ? LW_EXCLUSIVE : LW_SHARED);
}

static void
env_unlock(M3Env *self, uint32_t id)
{
	LWLockRelease(&m3db_locks[id].lock);
}

static bool
env_lock_or_wait(M3Env *self, uint32_t id)
{
	return LWLockAcquireOrWait(&m3db_locks[id].lock, LW_EXCLUSIVE);
}

static void env_panic(M3Env *self, const M3Error *err) __attribute__((noreturn));

static void
env_panic(M3Env *self, const M3Error *err)
{
	m3db_report(PANIC, err);
	abort();
}

static M3Env env = {
	.open = env_open,
	.open_temporary = env_open_temporary,
	.close = env_close,
	.read = env_read,
	.write = env_write,
	.sync = env_sync,
	.truncate = env_truncate,
	.size = env_size,
	.map = env_map,
	.unmap = env_unmap,
	.rename = env_rename,
	.unlink = env_unlink,
	.make_directory = env_make_directory,
	.remove_directory = env_remove_directory,
	.sync_directory = env_sync_directory,
	.list = env_list,
	.now_ns = env_now_ns,
	.yield = env_yield,
	.lock = env_lock,
	.unlock = env_unlock,
	.lock_or_wait = env_lock_or_wait,
	.panic = env_panic
};

M3Env *
m3db_env(void)
{
	return &env;
}

void
m3db_env_init(void)
{
	if (file_context != NULL)
		return;
	wait_read = m3db_wait_event_new("M3dbFileRead");
	wait_write = m3db_wait_event_new("M3dbFileWrite");
	wait_sync = m3db_wait_event_new("M3dbFileSync");
	file_context = AllocSetContextCreate(TopMemoryContext, "m3db files",
										 ALLOCSET_SMALL_SIZES);
}
