#include "test/unit/check.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/base/locks.h"
#include "storage/base/time.h"
#include "test/support/env_fault.h"

static M3Error err;

static void
put(M3Env *env, const char *path, const char *text, bool sync)
{
	M3File	   *file;

	CHECK_OK(env->open(env, path, M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->write(env, file, text, strlen(text), 0, &err));
	if (sync)
		CHECK_OK(env->sync(env, file, &err));
	env->close(env, file);
}

/* The text of a file, or NULL if there is none. */
static const char *
get(M3Env *env, const char *path)
{
	static char text[4096];
	M3File	   *file;
	size_t		got;

	if (env->open(env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return NULL;
	CHECK_OK(env->read(env, file, text, sizeof(text) - 1, 0, &got, &err));
	text[got] = '\0';
	env->close(env, file);
	return text;
}

static bool
holds(M3Env *env, const char *path, const char *expected)
{
	const char *text = get(env, path);

	return expected == NULL ? text == NULL : text != NULL && strcmp(text, expected) == 0;
}

static M3Status
count_entry(void *context, const char *name, bool is_directory)
{
	unsigned   *counts = context;

	(void) name;
	counts[is_directory]++;
	return M3_OK;
}

static void
test_files(M3Env *env)
{
	M3File	   *file;
	M3File	   *other;
	char		buffer[32];
	size_t		got;
	uint64_t	size;
	const uint8_t *base;

	CHECK_STATUS(env->open(env, "/a", M3_OPEN_READ, &file, &err), M3_NOT_FOUND);
	CHECK_STATUS(env->open(env, "/no/a", M3_OPEN_CREATE, &file, &err), M3_NOT_FOUND);
	CHECK_OK(env->open(env, "/a", M3_OPEN_CREATE_NEW, &file, &err));
	CHECK_STATUS(env->open(env, "a", M3_OPEN_CREATE_NEW, &other, &err), M3_CONFLICT);
	CHECK_OK(env->map(env, file, &base, &size, &err));
	CHECK(base == NULL && size == 0);
	CHECK_OK(env->write(env, file, "hello", 5, 2, &err));
	CHECK_OK(env->size(env, file, &size, &err));
	CHECK_INT(size, 7);
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_BYTES(buffer, got, "\0\0hello", 7);
	CHECK_OK(env->read(env, file, buffer, 2, 6, &got, &err));
	CHECK_BYTES(buffer, got, "o", 1);
	CHECK_OK(env->read(env, file, buffer, 2, 7, &got, &err));
	CHECK_INT(got, 0);
	CHECK_OK(env->map(env, file, &base, &size, &err));
	CHECK_BYTES(base, size, "\0\0hello", 7);
	CHECK_INT(env_fault_open_maps(env), 1);
	env->unmap(env, base, size);
	env->unmap(env, NULL, 0);
	CHECK_INT(env_fault_open_maps(env), 0);
	CHECK_OK(env->truncate(env, file, 3, &err));
	CHECK_OK(env->truncate(env, file, 5, &err));
	CHECK_OK(env->read(env, file, buffer, sizeof(buffer), 0, &got, &err));
	CHECK_BYTES(buffer, got, "\0\0h\0\0", 5);
	CHECK_STATUS(env->write(env, file, "x", 1, UINT64_MAX, &err), M3_IO);
	CHECK_INT(err.sys_errno, EFBIG);

	/* a name gone, the open file stays */
	CHECK_OK(env->open(env, "/a", M3_OPEN_READ, &other, &err));
	CHECK_STATUS(env->write(env, other, "x", 1, 0, &err), M3_IO);
	CHECK_INT(err.sys_errno, EBADF);
	CHECK_OK(env->unlink(env, "/a", &err));
	CHECK_STATUS(env->unlink(env, "/a", &err), M3_NOT_FOUND);
	CHECK_OK(env->write(env, file, "x", 1, 0, &err));
	CHECK_OK(env->read(env, other, buffer, 1, 0, &got, &err));
	CHECK_BYTES(buffer, got, "x", 1);
	CHECK_INT(env_fault_open_files(env), 2);
	env->close(env, file);
	env->close(env, other);
	env->close(env, NULL);
	CHECK_INT(env_fault_open_files(env), 0);
	CHECK_INT(env_fault_used(env), 0);

	CHECK_OK(env->open_temporary(env, &file, &err));
	CHECK_OK(env->write(env, file, "spill", 5, 0, &err));
	CHECK_INT(env_fault_used(env), 5);
	env->close(env, file);
	CHECK_INT(env_fault_used(env), 0);
}

static void
test_names(M3Env *env)
{
	unsigned	counts[2] = {0, 0};
	M3File	   *file;

	CHECK_OK(env->make_directory(env, "/d/e", &err));
	CHECK_OK(env->make_directory(env, "/d/e/", &err));
	put(env, "/d/one", "1", false);
	put(env, "/d/two", "2", false);
	CHECK_STATUS(env->make_directory(env, "/d/one", &err), M3_CONFLICT);
	CHECK_STATUS(env->make_directory(env, "/d/one/x", &err), M3_CONFLICT);
	CHECK_STATUS(env->open(env, "/d/one/x", M3_OPEN_CREATE, &file, &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOTDIR);
	CHECK_STATUS(env->open(env, "/d/e", M3_OPEN_READ, &file, &err), M3_IO);
	CHECK_INT(err.sys_errno, EISDIR);
	CHECK_OK(env->list(env, "d", count_entry, counts, &err));
	CHECK(counts[0] == 2 && counts[1] == 1);
	CHECK_STATUS(env->list(env, "/none", count_entry, counts, &err), M3_NOT_FOUND);
	CHECK_OK(env->rename(env, "/d/one", "/d/two", &err));
	CHECK(holds(env, "/d/one", NULL) && holds(env, "/d/two", "1"));
	CHECK_STATUS(env->rename(env, "/d/one", "/d/two", &err), M3_NOT_FOUND);
	CHECK_OK(env->rename(env, "/d/two", "/d/e/two", &err));
	CHECK(holds(env, "./d//e/./two", "1"));
	CHECK_STATUS(env->remove_directory(env, "/d/e", &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOTEMPTY);
	CHECK_OK(env->unlink(env, "/d/e/two", &err));
	CHECK_OK(env->remove_directory(env, "/d/e", &err));
	CHECK_OK(env->remove_directory(env, "/d", &err));
	CHECK_STATUS(env->sync_directory(env, "/d", &err), M3_NOT_FOUND);
	CHECK_OK(env->sync_directory(env, "/", &err));
}

/* What was promised survives, what was not does not. */
static void
test_crash_drop(void)
{
	M3Env	   *env = env_fault_create();
	M3File	   *file;
	char		byte;
	size_t		got;

	put(env, "/named_not_synced", "a", false);
	CHECK_OK(env->sync_directory(env, "/", &err));
	put(env, "/synced_not_named", "b", true);
	CHECK_OK(env->make_directory(env, "/d/e", &err));
	put(env, "/d/e/deep", "c", true);
	CHECK_OK(env->sync_directory(env, "/d/e", &err));
	CHECK_OK(env->open(env, "/d/e/deep", M3_OPEN_READ, &file, &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/named_not_synced", ""));
	CHECK(holds(env, "/synced_not_named", NULL));
	CHECK(holds(env, "/d/e/deep", NULL));	/* its parents have no names */
	CHECK_STATUS(env->read(env, file, &byte, 1, 0, &got, &err), M3_IO);
	CHECK_INT(err.sys_errno, EBADF);
	CHECK_STATUS(env->sync(env, file, &err), M3_IO);
	env->close(env, file);

	CHECK_OK(env->make_directory(env, "/d/e", &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	CHECK_OK(env->sync_directory(env, "/d", &err));
	put(env, "/d/e/deep", "c", true);
	CHECK_OK(env->sync_directory(env, "/d/e", &err));
	CHECK_OK(env->open(env, "/d/e/deep", M3_OPEN_WRITE, &file, &err));
	CHECK_OK(env->write(env, file, "XYZ", 3, 0, &err));
	CHECK_OK(env->truncate(env, file, 2, &err));
	env->close(env, file);
	CHECK(holds(env, "/d/e/deep", "XY"));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/d/e/deep", "c"));

	/* create truncates, which is a change like any other */
	put(env, "/d/e/deep", "new", false);
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/d/e/deep", "c"));
	env_fault_destroy(env);
}

static void
test_crash_names(void)
{
	M3Env	   *env = env_fault_create();

	put(env, "/old", "old", true);
	put(env, "/new", "new", true);
	CHECK_OK(env->sync_directory(env, "/", &err));

	/* a removal and a rename come undone */
	CHECK_OK(env->rename(env, "/new", "/old", &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/old", "old") && holds(env, "/new", "new"));
	CHECK_OK(env->unlink(env, "/old", &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/old", "old"));

	/* and stay once synced */
	CHECK_OK(env->rename(env, "/new", "/old", &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/old", "new") && holds(env, "/new", NULL));

	/* a rename is kept whole or not at all, whatever is kept */
	for (uint64_t seed = 0; seed < 20; seed++)
	{
		bool		kept;

		put(env, "/next", "next", true);
		CHECK_OK(env->sync_directory(env, "/", &err));
		CHECK_OK(env->rename(env, "/next", "/old", &err));
		env_fault_crash(env, ENV_FAULT_PREFIX, seed);
		kept = holds(env, "/old", "next");
		CHECK(holds(env, "/next", kept ? NULL : "next"));
		CHECK(kept || holds(env, "/old", "new"));
		put(env, "/old", "new", true);
		CHECK_OK(env->sync_directory(env, "/", &err));
	}

	/* between directories, either sync will do */
	CHECK_OK(env->make_directory(env, "/a", &err));
	CHECK_OK(env->make_directory(env, "/b", &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	for (unsigned round = 0; round < 2; round++)
	{
		put(env, "/a/x", "x", true);
		CHECK_OK(env->sync_directory(env, "/a", &err));
		CHECK_OK(env->rename(env, "/a/x", "/b/x", &err));
		CHECK_OK(env->sync_directory(env, round == 0 ? "/a" : "/b", &err));
		env_fault_crash(env, ENV_FAULT_DROP, 0);
		CHECK(holds(env, "/a/x", NULL) && holds(env, "/b/x", "x"));
	}

	/* a directory removed without sync comes back with what it held */
	CHECK_OK(env->unlink(env, "/b/x", &err));
	CHECK_OK(env->remove_directory(env, "/b", &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/b/x", "x"));
	env_fault_destroy(env);
}

/* Ten writes of one letter each after two that were synced. */
static void
write_letters(M3Env *env)
{
	M3File	   *file;

	CHECK_OK(env->open(env, "/log", M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->write(env, file, "aabb", 4, 0, &err));
	CHECK_OK(env->sync(env, file, &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	for (unsigned i = 0; i < 10; i++)
	{
		char		pair[2] = {(char) ('c' + i), (char) ('c' + i)};

		CHECK_OK(env->write(env, file, pair, 2, 4 + 2 * i, &err));
	}
	env->close(env, file);
}

static void
test_crash_modes(void)
{
	static const char whole[] = "aabbccddeeffgghhiijjkkll";
	unsigned	lengths[25] = {0};
	unsigned	torn = 0;
	unsigned	holes = 0;

	for (unsigned i = 0; i < 5 * 100; i++)
	{
		EnvFaultCrash mode = i % 5;
		M3Env	   *env = env_fault_create();
		M3File	   *file;
		char		text[32];
		size_t		size;
		bool		is_prefix;

		write_letters(env);
		env_fault_crash(env, mode, i);
		CHECK_OK(env->open(env, "/log", M3_OPEN_READ, &file, &err));
		CHECK_OK(env->read(env, file, text, sizeof(text), 0, &size, &err));
		env->close(env, file);
		is_prefix = size <= 24 && memcmp(text, whole, size) == 0;
		CHECK(size >= 4 && size <= 24 && memcmp(text, "aabb", 4) == 0);
		if (mode == ENV_FAULT_DROP)
			CHECK(size == 4);
		else if (mode == ENV_FAULT_KEEP)
			CHECK(size == 24 && is_prefix);
		else if (mode == ENV_FAULT_SUBSET)
			holes += !is_prefix;
		else
			CHECK(is_prefix);
		if (mode == ENV_FAULT_PREFIX)
			CHECK(size % 2 == 0);
		if (mode == ENV_FAULT_PREFIX)
			lengths[size]++;
		if (mode == ENV_FAULT_TEAR)
			torn += size % 2;
		env_fault_destroy(env);
	}
	CHECK(torn > 20 && torn < 80);
	CHECK(holes > 50);
	for (unsigned size = 4; size <= 24; size += 2)
		CHECK(lengths[size] > 0);
}

static void
test_same_seed(void)
{
	char		first[32];

	for (unsigned round = 0; round < 2; round++)
	{
		M3Env	   *env = env_fault_create();

		write_letters(env);
		env_fault_crash(env, ENV_FAULT_PREFIX, 12345);
		if (round == 0)
			snprintf(first, sizeof(first), "%s", get(env, "/log"));
		else
			CHECK(holds(env, "/log", first));
		env_fault_destroy(env);
	}
}

static void
test_failures(void)
{
	M3Env	   *env = env_fault_create();
	M3File	   *file;
	uint64_t	calls = env_fault_calls(env);
	EnvFaultPlan once = {.at = 3, .sys_errno = ENOSPC};
	EnvFaultPlan ever = {.at = 1, .for_ever = true};
	EnvFaultPlan tear = {.at = 1, .tear = true};
	EnvFaultPlan reads = {.read_at = 2, .sys_errno = EMFILE};

	env_fault_fail(env, &once);
	CHECK_OK(env->open(env, "/f", M3_OPEN_CREATE, &file, &err));
	CHECK_OK(env->write(env, file, "1234", 4, 0, &err));
	CHECK(holds(env, "/f", "1234"));	/* reads do not count */
	CHECK(!env_fault_has_failed(env));
	CHECK_STATUS(env->write(env, file, "abcd", 4, 0, &err), M3_IO);
	CHECK(err.sys_errno == ENOSPC && strcmp(err.file, "/f") == 0);
	CHECK(env_fault_has_failed(env));
	CHECK(holds(env, "/f", "1234"));
	CHECK_OK(env->write(env, file, "5", 1, 4, &err));
	CHECK_INT(env_fault_calls(env) - calls, 4);

	env_fault_fail(env, &tear);
	CHECK_STATUS(env->write(env, file, "abcd", 4, 0, &err), M3_IO);
	CHECK_INT(err.sys_errno, EIO);
	CHECK(holds(env, "/f", "ab345"));

	env_fault_fail(env, &ever);
	for (unsigned i = 0; i < 3; i++)
	{
		CHECK_STATUS(env->truncate(env, file, 0, &err), M3_IO);
		CHECK_STATUS(env->rename(env, "/f", "/g", &err), M3_IO);
		CHECK_STATUS(env->unlink(env, "/f", &err), M3_IO);
		CHECK_STATUS(env->make_directory(env, "/d", &err), M3_IO);
		CHECK_STATUS(env->sync_directory(env, "/", &err), M3_IO);
	}
	CHECK(holds(env, "/f", "ab345"));
	env_fault_fail(env, &reads);
	CHECK_OK(env->size(env, file, &calls, &err));
	CHECK(get(env, "/f") == NULL);
	CHECK(holds(env, "/f", "ab345"));
	env_fault_fail(env, NULL);
	CHECK_OK(env->sync_directory(env, "/", &err));

	/* a failed sync loses its data for good; what comes after is kept */
	env_fault_fail(env, &(EnvFaultPlan) {.at = 1});
	CHECK_STATUS(env->sync(env, file, &err), M3_IO);
	CHECK_OK(env->sync(env, file, &err));
	CHECK_OK(env->write(env, file, "Z", 1, 5, &err));
	CHECK_OK(env->sync(env, file, &err));
	CHECK(holds(env, "/f", "ab345Z"));
	env->close(env, file);
	env_fault_crash(env, ENV_FAULT_KEEP, 0);
	CHECK_OK(env->open(env, "/f", M3_OPEN_READ, &file, &err));
	{
		char		text[8];
		size_t		got;

		CHECK_OK(env->read(env, file, text, sizeof(text), 0, &got, &err));
		CHECK_BYTES(text, got, "\0\0\0\0\0Z", 6);
	}
	env->close(env, file);
	env_fault_destroy(env);
}

static void
test_limit(void)
{
	M3Env	   *env = env_fault_create();
	M3File	   *file;

	put(env, "/a", "12345", false);
	CHECK_OK(env->open(env, "/b", M3_OPEN_CREATE, &file, &err));
	env_fault_limit(env, 10);
	CHECK_OK(env->write(env, file, "1234", 4, 0, &err));
	CHECK_STATUS(env->write(env, file, "56", 2, 4, &err), M3_IO);
	CHECK_INT(err.sys_errno, ENOSPC);
	CHECK(holds(env, "/b", "1234"));
	CHECK_STATUS(env->truncate(env, file, 6, &err), M3_IO);
	CHECK_OK(env->write(env, file, "5", 1, 4, &err));
	CHECK_OK(env->write(env, file, "54321", 5, 0, &err));	/* in place */
	CHECK_INT(env_fault_used(env), 10);
	CHECK_OK(env->unlink(env, "/a", &err));
	CHECK_OK(env->write(env, file, "678", 3, 5, &err));
	env_fault_limit(env, UINT64_MAX);
	CHECK_OK(env->truncate(env, file, 1000, &err));
	CHECK_INT(env_fault_used(env), 1000);
	env->close(env, file);
	env_fault_destroy(env);
}

/* Whether a breach of the lock rules ends the process. */
static bool
locking_aborts(const uint32_t *ids, unsigned count, bool and_yield)
{
	pid_t		child = fork();
	int			result;

	if (child == 0)
	{
		M3Env	   *env = env_fault_create();

		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(3);
		for (unsigned i = 0; i < count; i++)
			env->lock(env, ids[i], M3_LOCK_SHARED);
		if (and_yield)
			env->yield(env);
		_exit(0);
	}
	waitpid(child, &result, 0);
	return WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT;
}

static void
test_locks(M3Env *env)
{
	const uint32_t good[] = {M3_LOCK_ENGINE, M3_LOCK_ROOT_WRITE + 3, M3_LOCK_ROOT_FLUSH,
		M3_LOCK_STRIPE + 5, M3_LOCK_ARENA_CLASS + 1, M3_LOCK_ARENA_PAGES};

	CHECK(!locking_aborts(good, 6, false));
	CHECK(!locking_aborts(good, 0, true));
	CHECK(locking_aborts(good, 1, true));
	CHECK(locking_aborts((uint32_t[]) {3, 3}, 2, false));
	CHECK(locking_aborts((uint32_t[]) {4, 3}, 2, false));
	CHECK(locking_aborts((uint32_t[]) {M3_LOCK_STRIPE, M3_LOCK_STRIPE + 1}, 2, false));
	CHECK(locking_aborts((uint32_t[]) {M3_LOCK_COUNT}, 1, false));

	/* released in any order */
	env->lock(env, 1, M3_LOCK_SHARED);
	CHECK(env->lock_or_wait(env, 2));
	env->lock(env, 3, M3_LOCK_EXCLUSIVE);
	env->unlock(env, 2);
	CHECK_INT(env_fault_held_locks(env), 2);
	env->unlock(env, 3);
	env->lock(env, 2, M3_LOCK_EXCLUSIVE);
	env_fault_crash(env, ENV_FAULT_KEEP, 0);
	CHECK_INT(env_fault_held_locks(env), 0);
	env->lock(env, 1, M3_LOCK_EXCLUSIVE);
	env->unlock(env, 1);
	env->yield(env);
}

static void
test_panic_and_clock(M3Env *env)
{
	jmp_buf		jump;
	M3Error		caught = {0};

	if (setjmp(jump) == 0)
	{
		env_fault_catch_panic(env, &jump, &caught);
		m3_error_io(&err, EIO, "/log", "could not sync");
		env->panic(env, &err);
	}
	CHECK(caught.status == M3_IO && caught.sys_errno == EIO);
	CHECK(strcmp(caught.file, "/log") == 0);

	CHECK_INT(env->now_ns(env), INT64_C(1704067200) * M3_NS_PER_SECOND);
	env_fault_set_clock(env, -5);
	CHECK_INT(env->now_ns(env), -5);
}

/* The pattern of the header: whatever call fails, and whatever the crash
 * leaves, the file is the old one or the new one, once said to be done the new. */
static void
replace_file(M3Env *env, bool *done)
{
	M3File	   *file;
	M3Status	status;

	*done = false;
	if (env->open(env, "/d/file.new", M3_OPEN_CREATE, &file, NULL) != M3_OK)
		return;
	status = env->write(env, file, "new ", 4, 0, NULL);
	if (status == M3_OK)
		status = env->write(env, file, "text", 4, 4, NULL);
	if (status == M3_OK)
		status = env->sync(env, file, NULL);
	env->close(env, file);
	*done = status == M3_OK &&
		env->rename(env, "/d/file.new", "/d/file", NULL) == M3_OK &&
		env->sync_directory(env, "/d", NULL) == M3_OK;
}

static void
test_replacement(void)
{
	unsigned	kept_old = 0;
	unsigned	kept_new = 0;
	uint64_t	last = 1;

	for (uint64_t n = 1; n <= last; n++)
	{
		for (unsigned i = 0; i < 10 * ENV_FAULT_CRASH_MODES; i++)
		{
			M3Env	   *env = env_fault_create();
			bool		done;
			bool		is_new;

			CHECK_OK(env->make_directory(env, "/d", &err));
			put(env, "/d/file", "old text", true);
			CHECK_OK(env->sync_directory(env, "/", &err));
			CHECK_OK(env->sync_directory(env, "/d", &err));
			env_fault_fail(env, &(EnvFaultPlan) {.at = n, .for_ever = true, .tear = true});
			replace_file(env, &done);
			if (!done)
				last = n + 1;
			CHECK(done == !env_fault_has_failed(env));
			env_fault_crash(env, i % ENV_FAULT_CRASH_MODES, i);
			is_new = holds(env, "/d/file", "new text");
			CHECK(is_new || (!done && holds(env, "/d/file", "old text")));
			kept_new += is_new;
			kept_old += !is_new;
			env_fault_destroy(env);
		}
	}
	CHECK_INT(last, 7);			/* six calls, and once undisturbed */
	CHECK(kept_old > 0 && kept_new > 0);
}

/* Nodes nobody can reach any more are given back, the others are not. */
static void
test_garbage(M3Env *env)
{
	CHECK_OK(env->make_directory(env, "/g", &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	put(env, "/g/kept", "kept", true);
	CHECK_OK(env->sync_directory(env, "/g", &err));
	for (unsigned i = 0; i < 3000; i++)
	{
		put(env, "/g/x", "x", false);
		CHECK_OK(env->unlink(env, "/g/x", &err));
		if (i % 7 == 0)
			CHECK_OK(env->sync_directory(env, "/g", &err));
	}
	CHECK_OK(env->unlink(env, "/g/kept", &err));
	env_fault_crash(env, ENV_FAULT_DROP, 0);
	CHECK(holds(env, "/g/kept", "kept"));
}

int
main(void)
{
	M3Env	   *env = env_fault_create();
	M3File	   *left_open;

	test_files(env);
	test_names(env);
	test_locks(env);
	test_panic_and_clock(env);
	test_garbage(env);
	CHECK_OK(env->open(env, "/g/kept", M3_OPEN_READ, &left_open, &err));
	env_fault_destroy(env);		/* closes it */
	test_crash_drop();
	test_crash_names();
	test_crash_modes();
	test_same_seed();
	test_failures();
	test_limit();
	test_replacement();
	return check_report();
}
