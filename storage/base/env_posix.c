#include "storage/base/env_posix.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/*
 * A read-write lock, and who waits for it to become free without wanting it.
 * exclusive is written by its exclusive holder only, so a holder of either
 * kind may read it; free_count changes under mutex.
 */
typedef struct Lock
{
	_Alignas(64) pthread_rwlock_t rwlock;
	bool		exclusive;
	atomic_uint sharers;
	atomic_uint waiters;
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	uint64_t	free_count;
} Lock;

typedef struct PosixEnv
{
	M3Env		base;
	_Atomic int64_t clock_ns;	/* INT64_MIN: the system's */
	uint32_t	lock_count;
	Lock	   *locks;
} PosixEnv;

struct M3File
{
	int			fd;
	char		path[];
};

/* Describes a failed system call; errno decides the status, and is kept as a
 * number: whoever shows the error says it in words. */
static M3Status
fail(M3Error *err, int sys_errno, const char *path, const char *what)
{
	M3Status	status = M3_IO;

	if (sys_errno == ENOENT)
		status = M3_NOT_FOUND;
	else if (sys_errno == EEXIST)
		status = M3_CONFLICT;
	m3_error_io(err, sys_errno, path, "could not %s", what);
	if (err != NULL && status != M3_IO)
	{
		err->status = status;
		err->sys_errno = 0;
	}
	return status;
}

/* Files */

static M3Status
file_of_fd(int fd, const char *path, M3File **file, M3Error *err)
{
	size_t		path_size = strlen(path) + 1;
	M3File	   *opened = malloc(sizeof(*opened) + path_size);

	if (opened == NULL)
	{
		close(fd);
		return m3_error(err, M3_NO_MEMORY, "out of memory opening a file");
	}
	opened->fd = fd;
	memcpy(opened->path, path, path_size);
	*file = opened;
	return M3_OK;
}

static M3Status
posix_open(M3Env *self, const char *path, M3OpenMode mode, M3File **file,
		   M3Error *err)
{
	int			flags = O_CLOEXEC;
	int			fd;

	(void) self;
	*file = NULL;
	switch (mode)
	{
		case M3_OPEN_READ:
			flags |= O_RDONLY;
			break;
		case M3_OPEN_WRITE:
			flags |= O_RDWR;
			break;
		case M3_OPEN_CREATE:
			flags |= O_RDWR | O_CREAT | O_TRUNC;
			break;
		case M3_OPEN_CREATE_NEW:
			flags |= O_RDWR | O_CREAT | O_EXCL;
			break;
	}
	do
		fd = open(path, flags, 0666);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return fail(err, errno, path, "open file");
	return file_of_fd(fd, path, file, err);
}

static M3Status
posix_open_temporary(M3Env *self, M3File **file, M3Error *err)
{
	const char *directory = getenv("TMPDIR");
	char		path[PATH_MAX];
	int			fd;

	(void) self;
	*file = NULL;
	if (directory == NULL || *directory == '\0')
		directory = "/tmp";
	if (snprintf(path, sizeof(path), "%s/m3tmp-XXXXXX", directory) >= (int) sizeof(path))
		return fail(err, ENAMETOOLONG, directory, "create temporary file");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return fail(err, errno, path, "create temporary file");
	if (unlink(path) != 0)
	{
		int			unlink_errno = errno;

		close(fd);
		return fail(err, unlink_errno, path, "remove name of temporary file");
	}
	return file_of_fd(fd, path, file, err);
}

static void
posix_close(M3Env *self, M3File *file)
{
	(void) self;
	if (file == NULL)
		return;
	close(file->fd);
	free(file);
}

static bool
range_is_valid(uint64_t offset, size_t size)
{
	return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

static M3Status
posix_read(M3Env *self, M3File *file, void *buffer, size_t size,
		   uint64_t offset, size_t *got, M3Error *err)
{
	(void) self;
	*got = 0;
	if (!range_is_valid(offset, size))
		return fail(err, EINVAL, file->path, "read file");
	while (*got < size)
	{
		ssize_t		n = pread(file->fd, (char *) buffer + *got, size - *got,
							  (off_t) (offset + *got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, errno, file->path, "read file");
		if (n == 0)
			break;
		*got += (size_t) n;
	}
	return M3_OK;
}

static M3Status
posix_write(M3Env *self, M3File *file, const void *data, size_t size,
			uint64_t offset, M3Error *err)
{
	size_t		done = 0;

	(void) self;
	if (!range_is_valid(offset, size))
		return fail(err, EFBIG, file->path, "write file");
	while (done < size)
	{
		ssize_t		n = pwrite(file->fd, (const char *) data + done, size - done,
							   (off_t) (offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)				/* nothing written and no reason: no space */
			return fail(err, n < 0 ? errno : ENOSPC, file->path, "write file");
		done += (size_t) n;
	}
	return M3_OK;
}

static M3Status
posix_sync(M3Env *self, M3File *file, M3Error *err)
{
	/* Never retried: after a failure the pages may be gone, but clean.
	 * fdatasync covers the size as well, leaving out only the times. */
	(void) self;
	if (fdatasync(file->fd) != 0)
		return fail(err, errno, file->path, "synchronize file");
	return M3_OK;
}

static M3Status
posix_truncate(M3Env *self, M3File *file, uint64_t size, M3Error *err)
{
	int			result;

	(void) self;
	if (!range_is_valid(size, 0))
		return fail(err, EFBIG, file->path, "set size of file");
	do
		result = ftruncate(file->fd, (off_t) size);
	while (result != 0 && errno == EINTR);
	if (result != 0)
		return fail(err, errno, file->path, "set size of file");
	return M3_OK;
}

static M3Status
posix_size(M3Env *self, M3File *file, uint64_t *size, M3Error *err)
{
	struct stat st;

	(void) self;
	*size = 0;
	if (fstat(file->fd, &st) != 0)
		return fail(err, errno, file->path, "get size of file");
	*size = (uint64_t) st.st_size;
	return M3_OK;
}

static M3Status
posix_map(M3Env *self, M3File *file, const uint8_t **base, size_t *size,
		  M3Error *err)
{
	uint64_t	file_size;
	void	   *mapped;

	*base = NULL;
	*size = 0;
	M3_TRY(posix_size(self, file, &file_size, err));
	if (file_size == 0)
		return M3_OK;
	if (file_size > SIZE_MAX)
		return fail(err, ENOMEM, file->path, "map file");
	mapped = mmap(NULL, (size_t) file_size, PROT_READ, MAP_SHARED, file->fd, 0);
	if (mapped == MAP_FAILED)
		return fail(err, errno, file->path, "map file");
	*base = mapped;
	*size = (size_t) file_size;
	return M3_OK;
}

static void
posix_unmap(M3Env *self, const uint8_t *base, size_t size)
{
	(void) self;
	if (base != NULL)
		munmap((void *) (uintptr_t) base, size);
}

/* Names */

static M3Status
posix_rename(M3Env *self, const char *from, const char *to, M3Error *err)
{
	(void) self;
	if (rename(from, to) != 0)
		return fail(err, errno, from, "rename file");
	return M3_OK;
}

static M3Status
posix_unlink(M3Env *self, const char *path, M3Error *err)
{
	(void) self;
	if (unlink(path) != 0)
		return fail(err, errno, path, "remove file");
	return M3_OK;
}

static M3Status
make_one_directory(const char *path, M3Error *err)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return M3_OK;
	if (errno != EEXIST)
		return fail(err, errno, path, "create directory");
	if (stat(path, &st) != 0)
		return fail(err, errno, path, "look at directory");
	if (!S_ISDIR(st.st_mode))
		return fail(err, EEXIST, path, "create directory");
	return M3_OK;
}

static M3Status
posix_make_directory(M3Env *self, const char *path, M3Error *err)
{
	char		parent[PATH_MAX];
	size_t		size = strlen(path);

	(void) self;
	if (size >= sizeof(parent))
		return fail(err, ENAMETOOLONG, path, "create directory");
	memcpy(parent, path, size + 1);
	for (size_t i = 1; i < size; i++)
	{
		if (parent[i] != '/')
			continue;
		parent[i] = '\0';
		M3_TRY(make_one_directory(parent, err));
		parent[i] = '/';
	}
	return make_one_directory(path, err);
}

static M3Status
posix_remove_directory(M3Env *self, const char *path, M3Error *err)
{
	(void) self;
	if (rmdir(path) != 0)
		return fail(err, errno, path, "remove directory");
	return M3_OK;
}

static M3Status
posix_sync_directory(M3Env *self, const char *path, M3Error *err)
{
	int			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int			sync_errno = 0;

	(void) self;
	if (fd < 0)
		return fail(err, errno, path, "open directory");
	if (fsync(fd) != 0)
		sync_errno = errno;
	close(fd);
	if (sync_errno != 0)
		return fail(err, sync_errno, path, "synchronize directory");
	return M3_OK;
}

static bool
entry_is_directory(DIR *directory, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type == DT_DIR)
		return true;
	if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
		return false;
	return fstatat(dirfd(directory), entry->d_name, &st, 0) == 0 &&
		S_ISDIR(st.st_mode);
}

static M3Status
posix_list(M3Env *self, const char *path, M3ListFn fn, void *context, M3Error *err)
{
	DIR		   *directory = opendir(path);
	M3Status	status = M3_OK;

	(void) self;
	if (directory == NULL)
		return fail(err, errno, path, "open directory");
	while (status == M3_OK)
	{
		struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
		{
			if (errno != 0)
				status = fail(err, errno, path, "read directory");
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		status = fn(context, entry->d_name, entry_is_directory(directory, entry));
	}
	closedir(directory);
	return status;
}

/* Time and interrupts */

static int64_t
posix_now_ns(M3Env *self)
{
	int64_t		fixed = atomic_load_explicit(&((PosixEnv *) self)->clock_ns,
											 memory_order_relaxed);
	struct timespec now;

	if (fixed != INT64_MIN)
		return fixed;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
posix_yield(M3Env *self)
{
	(void) self;				/* nothing interrupts a tool */
}

/* Locks */

static void
check_result(int result)
{
	assert(result == 0);
	(void) result;
}

static Lock *
lock_of_id(M3Env *self, uint32_t id)
{
	PosixEnv   *env = (PosixEnv *) self;

	assert(id < env->lock_count);
	return &env->locks[id];
}

static void
posix_lock(M3Env *self, uint32_t id, M3LockMode mode)
{
	Lock	   *lock = lock_of_id(self, id);

	if (mode == M3_LOCK_SHARED)
	{
		check_result(pthread_rwlock_rdlock(&lock->rwlock));
		atomic_fetch_add_explicit(&lock->sharers, 1, memory_order_relaxed);
	}
	else
	{
		check_result(pthread_rwlock_wrlock(&lock->rwlock));
		lock->exclusive = true;
	}
}

/*
 * Adding nothing to waiters orders this after the release: either a waiter
 * counted before is seen here, or his second try sees the lock released.
 */
static void
posix_unlock(M3Env *self, uint32_t id)
{
	Lock	   *lock = lock_of_id(self, id);
	bool		becomes_free = true;

	if (lock->exclusive)
		lock->exclusive = false;
	else
	{
		unsigned	sharers = atomic_fetch_sub_explicit(&lock->sharers, 1,
														memory_order_acq_rel);

		assert(sharers > 0);
		becomes_free = sharers == 1;
	}
	check_result(pthread_rwlock_unlock(&lock->rwlock));
	if (becomes_free &&
		atomic_fetch_add_explicit(&lock->waiters, 0, memory_order_acq_rel) > 0)
	{
		pthread_mutex_lock(&lock->mutex);
		lock->free_count++;
		pthread_cond_broadcast(&lock->freed);
		pthread_mutex_unlock(&lock->mutex);
	}
}

static bool
posix_lock_or_wait(M3Env *self, uint32_t id)
{
	Lock	   *lock = lock_of_id(self, id);
	uint64_t	seen;
	bool		acquired = pthread_rwlock_trywrlock(&lock->rwlock) == 0;

	if (!acquired)
	{
		pthread_mutex_lock(&lock->mutex);
		seen = lock->free_count;
		atomic_fetch_add_explicit(&lock->waiters, 1, memory_order_acq_rel);
		acquired = pthread_rwlock_trywrlock(&lock->rwlock) == 0;
		while (!acquired && lock->free_count == seen)
			pthread_cond_wait(&lock->freed, &lock->mutex);
		atomic_fetch_sub_explicit(&lock->waiters, 1, memory_order_acq_rel);
		pthread_mutex_unlock(&lock->mutex);
	}
	if (acquired)
		lock->exclusive = true;
	return acquired;
}

static void
no_lock(M3Env *self, uint32_t id, M3LockMode mode)
{
	(void) self;
	(void) id;
	(void) mode;
}

static void
no_unlock(M3Env *self, uint32_t id)
{
	(void) self;
	(void) id;
}

static bool
no_lock_or_wait(M3Env *self, uint32_t id)
{
	(void) self;
	(void) id;
	return true;
}

static void __attribute__((noreturn))
posix_panic(M3Env *self, const M3Error *err)
{
	(void) self;
	fprintf(stderr, "panic: %s%s%s%s%s", err->message,
			err->file[0] ? " in " : "", err->file,
			err->detail[0] ? ": " : "", err->detail);
	if (err->sys_errno != 0)
		fprintf(stderr, " (%s)", strerror(err->sys_errno));
	fputc('\n', stderr);
	abort();
}

/* The env */

static const M3Env posix_base = {
	.open = posix_open,
	.open_temporary = posix_open_temporary,
	.close = posix_close,
	.read = posix_read,
	.write = posix_write,
	.sync = posix_sync,
	.truncate = posix_truncate,
	.size = posix_size,
	.map = posix_map,
	.unmap = posix_unmap,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.make_directory = posix_make_directory,
	.remove_directory = posix_remove_directory,
	.sync_directory = posix_sync_directory,
	.list = posix_list,
	.now_ns = posix_now_ns,
	.yield = posix_yield,
	.lock = no_lock,
	.unlock = no_unlock,
	.lock_or_wait = no_lock_or_wait,
	.panic = posix_panic,
};

static void
init_lock(Lock *lock)
{
	memset(lock, 0, sizeof(*lock));
	check_result(pthread_rwlock_init(&lock->rwlock, NULL));
	check_result(pthread_mutex_init(&lock->mutex, NULL));
	check_result(pthread_cond_init(&lock->freed, NULL));
	atomic_init(&lock->sharers, 0);
	atomic_init(&lock->waiters, 0);
}

M3Env *
m3_env_posix_create(uint32_t lock_count)
{
	PosixEnv   *env = calloc(1, sizeof(*env));

	if (env == NULL)
		return NULL;
	env->base = posix_base;
	atomic_init(&env->clock_ns, INT64_MIN);
	if (lock_count == 0)
		return &env->base;
	env->locks = aligned_alloc(_Alignof(Lock), (size_t) lock_count * sizeof(Lock));
	if (env->locks == NULL)
	{
		free(env);
		return NULL;
	}
	for (uint32_t i = 0; i < lock_count; i++)
		init_lock(&env->locks[i]);
	env->lock_count = lock_count;
	env->base.lock = posix_lock;
	env->base.unlock = posix_unlock;
	env->base.lock_or_wait = posix_lock_or_wait;
	return &env->base;
}

void
m3_env_posix_destroy(M3Env *env)
{
	PosixEnv   *posix = (PosixEnv *) env;

	if (env == NULL)
		return;
	for (uint32_t i = 0; i < posix->lock_count; i++)
	{
		check_result(pthread_rwlock_destroy(&posix->locks[i].rwlock));
		check_result(pthread_mutex_destroy(&posix->locks[i].mutex));
		check_result(pthread_cond_destroy(&posix->locks[i].freed));
	}
	free(posix->locks);
	free(posix);
}

void
m3_env_posix_set_clock(M3Env *env, int64_t now_ns)
{
	atomic_store_explicit(&((PosixEnv *) env)->clock_ns, now_ns,
						  memory_order_relaxed);
}
