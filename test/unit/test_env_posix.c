#include "test/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/time.h"

static M3Error err;
static char root[256];

/* A path below the test's own directory; a few are valid at once. */
static const char *
under(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char	   *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* Whether all descriptors of that file are; there must be one. */
static bool
is_closed_on_exec(const char *path)
{
	struct stat wanted;
	struct stat st;
	bool		any = false;

	if (stat(path, &wanted) != 0)
		return false;
	for (int fd = 0; fd < 64; fd++)
	{
		if (fstat(fd, &st) != 0 || st.st_ino != wanted.st_ino || st.st_dev != wanted.st_dev)
			continue;
		any = true;
		if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			return false;
	}
	return any;
}

static void
test_open_modes(M3Env *env)
{
	M3File	   *file;
	uint64_t	size;

	CHECK_STATUS(env->open(env, under("a"), M3_OPEN_READ, &file, &err), M3_NOT_FOUND);
	CHECK(file == NULL && err.sys_errno == 0 && strcmp(err.file, under("a")) == 0);
	CHECK_STATUS(env->open(env, under("a"), M3_OPEN_WRITE, &file, NULL), M3_NOT_FOUND);
	CHECK_STATUS(env->open(env, under("no/a"), M3_OPEN_CREATE, &file, &err), M3_NOT_FOUND);

	CHECK_OK(env->open(env, under("a"), M3_OPEN_CREATE_NEW, &file, &err));
	CHECK_OK(env->write(env, file, "hello", 5, 0, &err));
	env->close(env, file);
	CHECK_STATUS(env->open(env, under("a"), M3_OPEN_CREATE_NEW, &file, &err), M3_CONFLICT);

	CHECK_OK(env->open(env, under("a"), M3_OPEN_READ, &file, &err));
	CHECK(is_closed_on_exec(under("a")));
	CHECK_STATUS(env->write(env, file, "x", 1, 0, &err), M3_IO);
	CHECK_INT(err.sys_errno, EBADF);
	CHECK_INT(err.status, M3_IO);
	env->close(env, file);

	CHECK_OK(env->open(env, under("a"), M3_OPEN_WRITE, &file, &err));
	CHECK_OK(env->size(env, file, &size, &err));
	CHECK_INT(size, 5);
	env->close(env, file);

	CHECK_OK(env->open(env, under("a"), M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->size(env, file, &size, &err));
	CHECK_INT(size, 0);
	env->close(env, file);
	env->close(env, NULL);
	CHECK_STATUS(env->open(env, under("a/b"), M3_OPEN_READ, &file, &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOTDIR);
	CHECK_OK(env->unlink(env, under("a"), &err));
	CHECK_STATUS(env->unlink(env, under("a"), &err), M3_NOT_FOUND);
}

static void
test_read_write(M3Env *env)
{
	M3File	   *file;
	char		buffer[64];
	size_t		got;
	uint64_t	size;
	const uint8_t *base;
	size_t		mapped;

	CHECK_OK(env->open(env, under("f"), M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->map(env, file, &base, &mapped, &err));
	CHECK(base == NULL && mapped == 0);
	env->unmap(env, base, mapped);
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_INT(got, 0);

	CHECK_OK(env->write(env, file, "0123456789", 10, 5, &err));
	CHECK_OK(env->write(env, file, "", 0, 100, &err));
	CHECK_OK(env->size(env, file, &size, &err));
	CHECK_INT(size, 15);
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_BYTES(buffer, got, "\0\0\0\0\0" "0123456789", 15);
	CHECK_OK(env->read(env, file, buffer, 4, 8, &got, &err));
	CHECK_BYTES(buffer, got, "3456", 4);
	CHECK_OK(env->read(env, file, buffer, 4, 13, &got, &err));
	CHECK_BYTES(buffer, got, "89", 2);
	CHECK_OK(env->read(env, file, buffer, 4, 15, &got, &err));
	CHECK_INT(got, 0);
	CHECK_OK(env->read(env, file, buffer, 4, 1000, &got, &err));
	CHECK_INT(got, 0);

	CHECK_STATUS(env->read(env, file, buffer, 4, UINT64_MAX, &got, &err), M3_IO);
	CHECK_STATUS(env->write(env, file, buffer, 4, (uint64_t) INT64_MAX - 1, &err), M3_IO);
	CHECK_INT(err.sys_errno, EFBIG);
	CHECK_STATUS(env->truncate(env, file, UINT64_MAX, &err), M3_IO);

	CHECK_OK(env->truncate(env, file, 7, &err));
	CHECK_OK(env->sync(env, file, &err));
	CHECK_OK(env->map(env, file, &base, &mapped, &err));
	CHECK_BYTES(base, mapped, "\0\0\0\0\0" "01", 7);
	env->unmap(env, base, mapped);
	CHECK_OK(env->truncate(env, file, 9, &err));
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_BYTES(buffer, got, "\0\0\0\0\0" "01\0\0", 9);
	env->close(env, file);
	CHECK_OK(env->unlink(env, under("f"), &err));

	CHECK_OK(env->open_temporary(env, &file, &err));
	CHECK_OK(env->write(env, file, "spill", 5, 0, &err));
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_BYTES(buffer, got, "spill", 5);
	env->close(env, file);

	/* the device that is always full */
	CHECK_OK(env->open(env, "/dev/full", M3_OPEN_WRITE, &file, &err));
	CHECK_STATUS(env->write(env, file, "x", 1, 0, &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOSPC);
	CHECK(strcmp(err.file, "/dev/full") == 0);
	env->close(env, file);
}

typedef struct Listing
{
	unsigned	files;
	unsigned	directories;
	bool		dots;
	unsigned	stop_after;
} Listing;

static M3Status
count_entry(void *context, const char *name, bool is_directory)
{
	Listing    *listing = context;

	listing->dots |= name[0] == '.';
	if (is_directory)
		listing->directories++;
	else
		listing->files++;
	return listing->files + listing->directories == listing->stop_after ?
		M3_FULL : M3_OK;
}

static void
make_file(M3Env *env, const char *path)
{
	M3File	   *file;

	CHECK_OK(env->open(env, path, M3_OPEN_CREATE, &file, &err));
	env->close(env, file);
}

static void
test_names(M3Env *env)
{
	struct stat st;
	Listing		listing = {0, 0, false, 0};
	Listing		stopped = {0, 0, false, 2};
	mode_t		mask = umask(022);

	CHECK_OK(env->make_directory(env, under("d/e/f"), &err));
	CHECK_OK(env->make_directory(env, under("d/e/f"), &err));
	CHECK_OK(env->make_directory(env, under("d/e/f/"), &err));
	CHECK(stat(under("d/e"), &st) == 0 && (st.st_mode & 07777) == 0755);
	make_file(env, under("d/one"));
	CHECK(stat(under("d/one"), &st) == 0 && (st.st_mode & 07777) == 0644);
	umask(mask);
	make_file(env, under("d/two"));
	CHECK_STATUS(env->make_directory(env, under("d/one"), &err), M3_CONFLICT);
	CHECK_STATUS(env->make_directory(env, under("d/one/x"), &err), M3_CONFLICT);

	CHECK_OK(env->list(env, under("d"), count_entry, &listing, &err));
	CHECK(listing.files == 2 && listing.directories == 1 && !listing.dots);
	CHECK_STATUS(env->list(env, under("d"), count_entry, &stopped, &err), M3_FULL);
	CHECK_INT(stopped.files + stopped.directories, 2);
	CHECK_STATUS(env->list(env, under("none"), count_entry, &listing, &err), M3_NOT_FOUND);
	CHECK_STATUS(env->list(env, under("d/one"), count_entry, &listing, &err), M3_IO);

	CHECK_OK(env->rename(env, under("d/one"), under("d/two"), &err));
	CHECK_STATUS(env->rename(env, under("d/one"), under("d/two"), &err), M3_NOT_FOUND);
	CHECK_OK(env->sync_directory(env, under("d"), &err));
	CHECK_STATUS(env->sync_directory(env, under("none"), &err), M3_NOT_FOUND);
	CHECK_STATUS(env->remove_directory(env, under("d"), &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOTEMPTY);
	CHECK_OK(env->unlink(env, under("d/two"), &err));
	CHECK_OK(env->remove_directory(env, under("d/e/f"), &err));
	CHECK_OK(env->remove_directory(env, under("d/e"), &err));
	CHECK_OK(env->remove_directory(env, under("d"), &err));
	CHECK_STATUS(env->remove_directory(env, under("d"), &err), M3_NOT_FOUND);
}

static void
test_clock(M3Env *env)
{
	int64_t		now = env->now_ns(env);

	CHECK(now > INT64_C(1600000000) * M3_NS_PER_SECOND);
	CHECK(env->now_ns(env) - now < 60 * M3_NS_PER_SECOND);
	m3_env_posix_set_clock(env, 123456789);
	CHECK_INT(env->now_ns(env), 123456789);
	m3_env_posix_set_clock(env, INT64_MIN);
	CHECK(env->now_ns(env) >= now);
}

static void
test_panic(M3Env *env)
{
	pid_t		child = fork();
	int			result;

	if (child == 0)
	{
		M3Error		panic_err;

		m3_error_io(&panic_err, EIO, "log", "could not sync");
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(3);
		env->panic(env, &panic_err);
	}
	CHECK(waitpid(child, &result, 0) == child);
	CHECK(WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT);
}

/* Locks */

#define THREADS 4
#define ROUNDS 20000

typedef struct Shared
{
	M3Env	   *env;
	uint64_t	counter;		/* under lock 0 */
	uint64_t	flushed;		/* under lock 1 */
	uint64_t	led;			/* under lock 1 */
	int			holding;		/* a step counter, __atomic */
	unsigned	hold_us;
} Shared;

static void *
count_under_lock(void *context)
{
	Shared	   *shared = context;
	M3Env	   *env = shared->env;

	for (unsigned i = 0; i < ROUNDS; i++)
	{
		env->lock(env, 0, M3_LOCK_EXCLUSIVE);
		shared->counter++;
		env->unlock(env, 0);
		env->lock(env, 0, M3_LOCK_SHARED);
		if (shared->counter == 0)
			abort();
		env->unlock(env, 0);
	}
	return NULL;
}

/* The group commit pattern: somebody flushes what everybody wants flushed. */
static void *
flush_by_leader(void *context)
{
	Shared	   *shared = context;
	M3Env	   *env = shared->env;

	for (unsigned i = 0; i < ROUNDS / 10; i++)
	{
		uint64_t	wanted;

		env->lock(env, 0, M3_LOCK_EXCLUSIVE);
		wanted = ++shared->counter;
		env->unlock(env, 0);
		for (;;)
		{
			bool		done;

			env->lock(env, 2, M3_LOCK_SHARED);
			done = shared->flushed >= wanted;
			env->unlock(env, 2);
			if (done)
				break;
			if (!env->lock_or_wait(env, 1))
				continue;
			env->lock(env, 0, M3_LOCK_SHARED);
			wanted = shared->counter > wanted ? shared->counter : wanted;
			env->unlock(env, 0);
			env->lock(env, 2, M3_LOCK_EXCLUSIVE);
			shared->flushed = wanted;
			env->unlock(env, 2);
			shared->led++;
			env->unlock(env, 1);
		}
	}
	return NULL;
}

static void *
hold_for_a_while(void *context)
{
	Shared	   *shared = context;
	M3Env	   *env = shared->env;
	M3LockMode	mode = shared->led == 0 ? M3_LOCK_EXCLUSIVE : M3_LOCK_SHARED;

	env->lock(env, 3, mode);
	__atomic_store_n(&shared->holding, 1, __ATOMIC_SEQ_CST);
	usleep(shared->hold_us);
	__atomic_store_n(&shared->holding, 2, __ATOMIC_SEQ_CST);
	env->unlock(env, 3);
	return NULL;
}

static void
run_threads(void *(*body) (void *), Shared *shared)
{
	pthread_t	threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, body, shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
}

static void
test_lock_or_wait(Shared *shared)
{
	M3Env	   *env = shared->env;
	pthread_t	holder;

	CHECK(env->lock_or_wait(env, 3));	/* free: acquired */
	env->unlock(env, 3);
	for (unsigned round = 0; round < 2; round++)
	{
		shared->holding = 0;
		shared->led = round;	/* held exclusively, then shared */
		CHECK_INT(pthread_create(&holder, NULL, hold_for_a_while, shared), 0);
		while (__atomic_load_n(&shared->holding, __ATOMIC_SEQ_CST) == 0)
			usleep(100);
		CHECK(!env->lock_or_wait(env, 3));	/* held: waits, does not acquire */
		CHECK_INT(__atomic_load_n(&shared->holding, __ATOMIC_SEQ_CST), 2);
		CHECK(env->lock_or_wait(env, 3));	/* so it is free now */
		env->unlock(env, 3);
		pthread_join(holder, NULL);
	}
}

/* Two share: one of them leaving is not yet a release. */
static void
test_wait_for_both_sharers(Shared *shared)
{
	M3Env	   *env = shared->env;
	pthread_t	first;

	shared->led = 1;
	shared->holding = 0;
	CHECK_INT(pthread_create(&first, NULL, hold_for_a_while, shared), 0);
	while (__atomic_load_n(&shared->holding, __ATOMIC_SEQ_CST) == 0)
		usleep(100);
	{
		Shared		other = {env, 0, 0, 1, 0, 600000};
		pthread_t	second;

		CHECK_INT(pthread_create(&second, NULL, hold_for_a_while, &other), 0);
		while (__atomic_load_n(&other.holding, __ATOMIC_SEQ_CST) == 0)
			usleep(100);
		CHECK(!env->lock_or_wait(env, 3));
		CHECK_INT(__atomic_load_n(&other.holding, __ATOMIC_SEQ_CST), 2);
		CHECK_INT(__atomic_load_n(&shared->holding, __ATOMIC_SEQ_CST), 2);
		pthread_join(second, NULL);
	}
	pthread_join(first, NULL);
}

static void
test_locks(void)
{
	Shared		shared = {m3_env_posix_create(4), 0, 0, 0, 0, 200000};

	run_threads(count_under_lock, &shared);
	CHECK_INT(shared.counter, (int64_t) THREADS * ROUNDS);
	shared.counter = 0;
	run_threads(flush_by_leader, &shared);
	CHECK_INT(shared.counter, (int64_t) THREADS * (ROUNDS / 10));
	CHECK_INT(shared.flushed, shared.counter);
	CHECK(shared.led > 0);
	test_lock_or_wait(&shared);
	test_wait_for_both_sharers(&shared);
	m3_env_posix_destroy(shared.env);
}

int
main(void)
{
	M3Env	   *env = m3_env_posix_create(0);
	const char *directory = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%s/test_env_posix-XXXXXX",
			 directory != NULL ? directory : "/tmp");
	if (env == NULL || mkdtemp(root) == NULL)
		return 1;
	test_open_modes(env);
	test_read_write(env);
	test_names(env);
	test_clock(env);
	test_panic(env);
	env->lock(env, 7, M3_LOCK_EXCLUSIVE);	/* no-ops without locks */
	CHECK(env->lock_or_wait(env, 7));
	env->unlock(env, 7);
	test_locks();
	CHECK(rmdir(root) == 0);
	m3_env_posix_destroy(env);
	m3_env_posix_destroy(NULL);
	return check_report();
}
