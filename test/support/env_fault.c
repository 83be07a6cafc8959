#include "test/support/env_fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/locks.h"
#include "test/support/fault_disk.h"

#define MAX_HELD 64
#define MAX_FILE_SIZE (UINT64_C(1) << 30)
#define FIRST_CLOCK_NS INT64_C(1704067200000000000)

typedef struct Map
{
	struct Map *next;
	uint8_t    *base;
} Map;

typedef struct FaultEnv
{
	M3Env		base;
	Disk	   *disk;
	M3File	   *files;
	Map		   *maps;
	uint64_t	generation;		/* crashes so far */
	uint64_t	calls;
	uint64_t	limit;
	int64_t		now_ns;

	EnvFaultPlan plan;
	uint64_t	left;			/* mutating calls before the one that fails */
	uint64_t	reads_left;
	bool		has_failed;
	bool		trace;

	uint32_t	held[MAX_HELD];
	unsigned	held_count;

	jmp_buf    *jump;
	M3Error    *panic_err;
} FaultEnv;

struct M3File
{
	M3File	   *next;			/* of all open files */
	Node	   *node;			/* dangling once the generation is past */
	uint64_t	generation;
	bool		can_write;
	char		path[];
};

static FaultEnv *
of(M3Env *env)
{
	return (FaultEnv *) env;
}

static M3Status
fail(M3Error *err, int sys_errno, const char *path, const char *what)
{
	M3Status	status = sys_errno == ENOENT ? M3_NOT_FOUND :
		sys_errno == EEXIST ? M3_CONFLICT : M3_IO;

	m3_error_io(err, sys_errno, path, "could not %s", what);
	if (err != NULL && status != M3_IO)
	{
		err->status = status;
		err->sys_errno = 0;
	}
	return status;
}

static M3Status
result_of(int sys_errno, M3Error *err, const char *path, const char *what)
{
	return sys_errno == 0 ? M3_OK : fail(err, sys_errno, path, what);
}

/* Counts a call of one kind down; whether it is to fail. */
static bool
is_due(FaultEnv *env, uint64_t *left)
{
	if (*left == 0 || --*left > 0)
		return false;
	if (env->plan.for_ever)
		*left = 1;
	env->has_failed = true;
	return true;
}

static int
planned_errno(const FaultEnv *env)
{
	return env->plan.sys_errno != 0 ? env->plan.sys_errno : EIO;
}

/* The errno of a mutating call that is to fail, or 0. */
static int
mutate(FaultEnv *env, const char *what, const char *path)
{
	bool		is_failing;

	env->calls++;
	is_failing = is_due(env, &env->left);
	if (env->trace)
		fprintf(stderr, "%llu: %s %s%s\n", (unsigned long long) env->calls, what, path,
				is_failing ? ": fails" : "");
	return is_failing ? planned_errno(env) : 0;
}

static int
observe(FaultEnv *env)
{
	return is_due(env, &env->reads_left) ? planned_errno(env) : 0;
}

static bool
is_stale(const FaultEnv *env, const M3File *file)
{
	return file->generation != env->generation;
}

/* Whether the disk has room when a file of that size gets another one. */
static bool
has_room(FaultEnv *env, uint64_t old_size, uint64_t new_size)
{
	if (env->limit == UINT64_MAX || new_size <= old_size)
		return true;
	return disk_used(env->disk) + (new_size - old_size) <= env->limit;
}

/* Files */

static M3File *
add_file(FaultEnv *env, Node *node, const char *path, bool can_write)
{
	M3File	   *file = calloc(1, sizeof(*file) + strlen(path) + 1);

	if (file == NULL)
		abort();
	file->node = node;
	file->generation = env->generation;
	file->can_write = can_write;
	strcpy(file->path, path);
	file->next = env->files;
	env->files = file;
	node->handles++;
	return file;
}

static int
find_or_make(FaultEnv *env, const char *path, M3OpenMode mode, Node **node)
{
	int			result = disk_find(env->disk, path, node);

	if (result == 0 && mode == M3_OPEN_CREATE_NEW)
		return EEXIST;
	if (result == 0 && (*node)->is_directory)
		return EISDIR;
	if (mode == M3_OPEN_READ || mode == M3_OPEN_WRITE)
		return result;
	if (result == ENOENT)
		return disk_make(env->disk, path, false, node);
	if (result == 0)
		disk_truncate(*node, 0);
	return result;
}

static M3Status
fault_open(M3Env *self, const char *path, M3OpenMode mode, M3File **file, M3Error *err)
{
	FaultEnv   *env = of(self);
	bool		is_mutating = mode == M3_OPEN_CREATE || mode == M3_OPEN_CREATE_NEW;
	int			result = is_mutating ? mutate(env, "create", path) : observe(env);
	Node	   *node;

	*file = NULL;
	if (result == 0)
		result = find_or_make(env, path, mode, &node);
	if (result != 0)
		return fail(err, result, path, "open file");
	*file = add_file(env, node, path, mode != M3_OPEN_READ);
	return M3_OK;
}

static M3Status
fault_open_temporary(M3Env *self, M3File **file, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "create temporary file", "");

	*file = NULL;
	if (result != 0)
		return fail(err, result, "", "create temporary file");
	*file = add_file(env, disk_make_unnamed(env->disk), "temporary file", true);
	return M3_OK;
}

static void
fault_close(M3Env *self, M3File *file)
{
	FaultEnv   *env = of(self);

	if (file == NULL)
		return;
	for (M3File **link = &env->files; *link != NULL; link = &(*link)->next)
	{
		if (*link != file)
			continue;
		*link = file->next;
		if (!is_stale(env, file))
			file->node->handles--;
		free(file);
		return;
	}
	fprintf(stderr, "env_fault: closed a file that is not open\n");
	abort();
}

static M3Status
fault_read(M3Env *self, M3File *file, void *buffer, size_t size, uint64_t offset,
		   size_t *got, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = observe(env);

	*got = 0;
	if (result == 0 && is_stale(env, file))
		result = EBADF;
	if (result == 0 && offset > INT64_MAX)
		result = EINVAL;
	if (result != 0)
		return fail(err, result, file->path, "read file");
	if (offset < file->node->now.size)
	{
		*got = file->node->now.size - (size_t) offset;
		if (*got > size)
			*got = size;
		memcpy(buffer, file->node->now.data + offset, *got);
	}
	return M3_OK;
}

static int
check_writable(const FaultEnv *env, const M3File *file, uint64_t offset, size_t size)
{
	if (is_stale(env, file) || !file->can_write)
		return EBADF;
	return offset > MAX_FILE_SIZE || size > MAX_FILE_SIZE - offset ? EFBIG : 0;
}

static M3Status
fault_write(M3Env *self, M3File *file, const void *data, size_t size, uint64_t offset,
			M3Error *err)
{
	FaultEnv   *env = of(self);
	int			planned = mutate(env, "write", file->path);
	int			result = check_writable(env, file, offset, size);
	uint64_t	end = offset + size;

	if (result == 0 && size > 0 && !has_room(env, file->node->now.size, end))
		result = ENOSPC;
	if (result == 0 && planned != 0 && env->plan.tear)
		disk_write(file->node, data, size / 2, offset);
	if (result == 0)
		result = planned;
	if (result != 0)
		return fail(err, result, file->path, "write file");
	disk_write(file->node, data, size, offset);
	return M3_OK;
}

static M3Status
fault_sync(M3Env *self, M3File *file, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "sync", file->path);

	if (is_stale(env, file))
		result = EBADF;
	else if (result != 0)
		disk_lose(file->node);
	if (result != 0)
		return fail(err, result, file->path, "synchronize file");
	disk_sync(file->node);
	return M3_OK;
}

static M3Status
fault_truncate(M3Env *self, M3File *file, uint64_t size, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "truncate", file->path);

	if (result == 0)
		result = check_writable(env, file, size, 0);
	if (result == 0 && !has_room(env, file->node->now.size, size))
		result = ENOSPC;
	if (result != 0)
		return fail(err, result, file->path, "set size of file");
	disk_truncate(file->node, size);
	return M3_OK;
}

static M3Status
fault_size(M3Env *self, M3File *file, uint64_t *size, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = observe(env);

	*size = 0;
	if (result == 0 && is_stale(env, file))
		result = EBADF;
	if (result != 0)
		return fail(err, result, file->path, "get size of file");
	*size = file->node->now.size;
	return M3_OK;
}

static M3Status
fault_map(M3Env *self, M3File *file, const uint8_t **base, size_t *size, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = observe(env);
	Map		   *map;

	*base = NULL;
	*size = 0;
	if (result == 0 && is_stale(env, file))
		result = EBADF;
	if (result != 0)
		return fail(err, result, file->path, "map file");
	if (file->node->now.size == 0)
		return M3_OK;
	map = malloc(sizeof(*map));
	if (map == NULL || (map->base = malloc(file->node->now.size)) == NULL)
		abort();
	map->next = env->maps;
	env->maps = map;
	*size = file->node->now.size;
	memcpy(map->base, file->node->now.data, *size);
	*base = map->base;
	return M3_OK;
}

static void
fault_unmap(M3Env *self, const uint8_t *base, size_t size)
{
	FaultEnv   *env = of(self);

	(void) size;
	if (base == NULL)
		return;
	for (Map **link = &env->maps; *link != NULL; link = &(*link)->next)
	{
		Map		   *map = *link;

		if (map->base != base)
			continue;
		*link = map->next;
		free(map->base);
		free(map);
		return;
	}
	fprintf(stderr, "env_fault: unmapped what is not mapped\n");
	abort();
}

/* Names */

static M3Status
fault_rename(M3Env *self, const char *from, const char *to, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "rename", from);

	if (result == 0)
		result = disk_rename(env->disk, from, to);
	return result_of(result, err, from, "rename file");
}

static M3Status
fault_unlink(M3Env *self, const char *path, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "unlink", path);

	if (result == 0)
		result = disk_remove(env->disk, path, false);
	return result_of(result, err, path, "remove file");
}

static M3Status
make_one_directory(FaultEnv *env, const char *path, M3Error *err)
{
	Node	   *node;
	int			result = disk_make(env->disk, path, true, &node);

	if (result == EEXIST && disk_find(env->disk, path, &node) == 0 && node->is_directory)
		result = 0;
	return result_of(result, err, path, "create directory");
}

static M3Status
fault_make_directory(M3Env *self, const char *path, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "make directory", path);
	size_t		size = strlen(path);
	char		parent[1024];

	if (result == 0 && size >= sizeof(parent))
		result = ENAMETOOLONG;
	if (result != 0)
		return fail(err, result, path, "create directory");
	for (size_t i = 1; i < size; i++)
	{
		if (path[i] != '/')
			continue;
		memcpy(parent, path, i);
		parent[i] = '\0';
		M3_TRY(make_one_directory(env, parent, err));
	}
	return make_one_directory(env, path, err);
}

static M3Status
fault_remove_directory(M3Env *self, const char *path, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "remove directory", path);

	if (result == 0)
		result = disk_remove(env->disk, path, true);
	return result_of(result, err, path, "remove directory");
}

static int
find_directory(FaultEnv *env, const char *path, Node **node)
{
	int			result = disk_find(env->disk, path, node);

	return result == 0 && !(*node)->is_directory ? ENOTDIR : result;
}

static M3Status
fault_sync_directory(M3Env *self, const char *path, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = mutate(env, "sync directory", path);
	Node	   *node;

	if (result == 0)
		result = find_directory(env, path, &node);
	if (result != 0)
		return fail(err, result, path, "synchronize directory");
	disk_sync_names(env->disk, node);
	return M3_OK;
}

typedef struct Listed
{
	char	   *name;
	bool		is_directory;
} Listed;

/* Lists a copy: fn may change the directory. */
static M3Status
fault_list(M3Env *self, const char *path, M3ListFn fn, void *context, M3Error *err)
{
	FaultEnv   *env = of(self);
	int			result = observe(env);
	Node	   *node;
	Listed	   *listed;
	size_t		count = 0;
	M3Status	status = M3_OK;

	if (result == 0)
		result = find_directory(env, path, &node);
	if (result != 0)
		return fail(err, result, path, "open directory");
	listed = malloc((node->entry_count + 1) * sizeof(*listed));
	if (listed == NULL)
		abort();
	for (size_t i = 0; i < node->entry_count; i++)
	{
		const Entry *entry = &node->entries[i];

		if (entry->now != NULL)
			listed[count++] = (Listed) {strdup(entry->name), entry->now->is_directory};
	}
	for (size_t i = 0; i < count; i++)
	{
		if (status == M3_OK)
			status = fn(context, listed[i].name, listed[i].is_directory);
		free(listed[i].name);
	}
	free(listed);
	return status;
}

/* Time, locks, the end */

static int64_t
fault_now_ns(M3Env *self)
{
	return of(self)->now_ns;
}

static void
breach(const FaultEnv *env, const char *what, uint32_t id)
{
	fprintf(stderr, "env_fault: %s lock %u; held:", what, id);
	for (unsigned i = 0; i < env->held_count; i++)
		fprintf(stderr, " %u", env->held[i]);
	fprintf(stderr, "\n");
	abort();
}

static void
fault_yield(M3Env *self)
{
	if (of(self)->held_count > 0)
		breach(of(self), "yield with a", 0);
}

static bool
is_stripe(uint32_t id)
{
	return id >= M3_LOCK_STRIPE && id < M3_LOCK_STRIPE + M3_STRIPE_COUNT;
}

static void
fault_lock(M3Env *self, uint32_t id, M3LockMode mode)
{
	FaultEnv   *env = of(self);

	(void) mode;
	if (id >= M3_LOCK_COUNT)
		breach(env, "no such", id);
	for (unsigned i = 0; i < env->held_count; i++)
	{
		if (env->held[i] == id)
			breach(env, "taken twice:", id);
		if (env->held[i] > id)
			breach(env, "out of order:", id);
		if (is_stripe(env->held[i]) && is_stripe(id))
			breach(env, "a second stripe:", id);
	}
	if (env->held_count == MAX_HELD)
		breach(env, "too many: another", id);
	env->held[env->held_count++] = id;
}

static void
fault_unlock(M3Env *self, uint32_t id)
{
	FaultEnv   *env = of(self);
	unsigned	i = 0;

	while (i < env->held_count && env->held[i] != id)
		i++;
	if (i == env->held_count)
		breach(env, "released but not held:", id);
	env->held_count--;
	memmove(&env->held[i], &env->held[i + 1], (env->held_count - i) * sizeof(env->held[0]));
}

static bool
fault_lock_or_wait(M3Env *self, uint32_t id)
{
	fault_lock(self, id, M3_LOCK_EXCLUSIVE);
	return true;
}

static void __attribute__((noreturn))
fault_panic(M3Env *self, const M3Error *panic_err)
{
	FaultEnv   *env = of(self);

	if (env->trace || env->jump == NULL)
		fprintf(stderr, "panic: %s %s\n", panic_err->message, panic_err->file);
	if (env->jump == NULL)
		abort();
	if (env->panic_err != NULL)
		*env->panic_err = *panic_err;
	longjmp(*env->jump, 1);
}

/* Control */

static const M3Env fault_base = {
	.open = fault_open,
	.open_temporary = fault_open_temporary,
	.close = fault_close,
	.read = fault_read,
	.write = fault_write,
	.sync = fault_sync,
	.truncate = fault_truncate,
	.size = fault_size,
	.map = fault_map,
	.unmap = fault_unmap,
	.rename = fault_rename,
	.unlink = fault_unlink,
	.make_directory = fault_make_directory,
	.remove_directory = fault_remove_directory,
	.sync_directory = fault_sync_directory,
	.list = fault_list,
	.now_ns = fault_now_ns,
	.yield = fault_yield,
	.lock = fault_lock,
	.unlock = fault_unlock,
	.lock_or_wait = fault_lock_or_wait,
	.panic = fault_panic,
};

M3Env *
env_fault_create(void)
{
	FaultEnv   *env = calloc(1, sizeof(*env));

	if (env == NULL)
		abort();
	env->base = fault_base;
	env->disk = disk_create();
	env->limit = UINT64_MAX;
	env->now_ns = FIRST_CLOCK_NS;
	return &env->base;
}

void
env_fault_destroy(M3Env *self)
{
	FaultEnv   *env = of(self);

	while (env->files != NULL)
		fault_close(self, env->files);
	while (env->maps != NULL)
		fault_unmap(self, env->maps->base, 0);
	disk_destroy(env->disk);
	free(env);
}

void
env_fault_fail(M3Env *self, const EnvFaultPlan *plan)
{
	FaultEnv   *env = of(self);

	env->plan = plan != NULL ? *plan : (EnvFaultPlan) {0};
	env->left = env->plan.at;
	env->reads_left = env->plan.read_at;
	env->has_failed = false;
}

bool
env_fault_has_failed(const M3Env *self)
{
	return ((const FaultEnv *) self)->has_failed;
}

uint64_t
env_fault_calls(const M3Env *self)
{
	return ((const FaultEnv *) self)->calls;
}

void
env_fault_crash(M3Env *self, EnvFaultCrash mode, uint64_t seed)
{
	FaultEnv   *env = of(self);

	if (env->trace)
		fprintf(stderr, "crash\n");
	env->generation++;
	env->held_count = 0;
	env->left = 0;
	env->reads_left = 0;
	disk_crash(env->disk, mode, seed);
}

void
env_fault_limit(M3Env *self, uint64_t size)
{
	of(self)->limit = size;
}

uint64_t
env_fault_used(M3Env *self)
{
	return disk_used(of(self)->disk);
}

void
env_fault_set_clock(M3Env *self, int64_t now_ns)
{
	of(self)->now_ns = now_ns;
}

void
env_fault_catch_panic(M3Env *self, jmp_buf *jump, M3Error *err)
{
	of(self)->jump = jump;
	of(self)->panic_err = err;
}

unsigned
env_fault_open_files(const M3Env *self)
{
	unsigned	count = 0;

	for (const M3File *file = ((const FaultEnv *) self)->files; file != NULL; file = file->next)
		count++;
	return count;
}

unsigned
env_fault_open_maps(const M3Env *self)
{
	unsigned	count = 0;

	for (const Map *map = ((const FaultEnv *) self)->maps; map != NULL; map = map->next)
		count++;
	return count;
}

unsigned
env_fault_held_locks(const M3Env *self)
{
	return ((const FaultEnv *) self)->held_count;
}

void
env_fault_trace(M3Env *self, bool on)
{
	of(self)->trace = on;
}
