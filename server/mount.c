/*
 * Mounts of this backend.
 *
 * The storage engine calls back to report damage, and must not be left by a jump then;
 * so reports are kept until it has returned.  An interrupt may end a load anywhere, though: the
 * mount is closed then, and made anew when it is asked for again.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/ilist.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "server/env_pg.h"
#include "server/mount.h"
#include "server/server.h"

#define LOOK_AGAIN_US (1000 * 1000)
#define ACTIVE_LOG_S 5			/* since the last write */
#define MAX_REPORTS 100			/* remembered, and so shown, of a mount */

typedef struct Mount
{
	dlist_node	node;			/* in mounts */
	Oid			server_id;
	uint32		server_hash;	/* of the server in its syscache */
	uint64		memory_size;
	void	   *base;			/* of that memory; NULL while mount is */
	M3Mount    *mount;			/* NULL: not yet, or it failed */
	int			holds;
	bool		is_stale;		/* the server has changed */
	bool		is_loaded;
	TimestampTz loaded_at;
	MemoryContext context;		/* of this and all it points to */
	char	   *reports[MAX_REPORTS];
	int			report_count;
	int			shown_count;
	uint64		unkept_count;	/* of reports there was no place for */
	char		directory[FLEXIBLE_ARRAY_MEMBER];
} Mount;

static dlist_head mounts = DLIST_STATIC_INIT(mounts);
static bool registered = false;

/* ---- life ---- */

static void
release_memory(Mount *mount)
{
	if (mount->base != NULL)
		munmap(mount->base, mount->memory_size);
	mount->base = NULL;
}

static void
close_mount(Mount *mount)
{
	dlist_delete(&mount->node);
	m3_mount_close(mount->mount);
	release_memory(mount);
	MemoryContextDelete(mount->context);
}

/* Cache resets tell of no server in particular: mounts stay, for their options are compared
 * whenever they are used. */
static void
server_changed(Datum arg, int cache_id, uint32 hash_value)
{
	dlist_iter	iter;

	dlist_foreach(iter, &mounts)
	{
		Mount	   *mount = dlist_container(Mount, node, iter.cur);

		if (mount->server_hash == hash_value)
			mount->is_stale = true;
	}
}

/* A log that somebody writes right now may end in half a chunk, which is no damage. */
static bool
is_about_active_log(const Mount *mount, const char *report)
{
	static const char prefix[] = "commit log \"";
	const char *name = report + sizeof(prefix) - 1;
	const char *end;
	char		path[MAXPGPATH];
	struct stat status;

	if (strncmp(report, prefix, sizeof(prefix) - 1) != 0 || (end = strchr(name, '"')) == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/commitlogs/%.*s", mount->directory, (int) (end - name),
			 name);
	return stat(path, &status) == 0 && time(NULL) - status.st_mtime < ACTIVE_LOG_S;
}

/* Counts at the beginning grow with a directory that is written to. */
static bool
is_same_report(const char *a, const char *b)
{
	return strcmp(a + strspn(a, "0123456789"), b + strspn(b, "0123456789")) == 0;
}

/* Called while the engine holds things that a jump would leave behind. */
static void
keep_report(void *context, const char *message)
{
	Mount	   *mount = context;
	size_t		size = strlen(message) + 1;
	char	   *copy;

	for (int i = 0; i < mount->report_count; i++)
	{
		if (is_same_report(mount->reports[i], message))
			return;
	}
	if (is_about_active_log(mount, message))
		return;
	copy = mount->report_count == MAX_REPORTS ? NULL :
		MemoryContextAllocExtended(mount->context, size, MCXT_ALLOC_NO_OOM);
	if (copy == NULL)
	{
		mount->unkept_count++;
		return;
	}
	memcpy(copy, message, size);
	mount->reports[mount->report_count++] = copy;
}

/* The list knows it from the start, so that whatever fails, it is closed some time. */
static Mount *
make_mount(const M3dbMountSource *source)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "m3db mount",
												  ALLOCSET_DEFAULT_SIZES);
	size_t		size = strlen(source->directory) + 1;
	Mount	   *mount = MemoryContextAllocZero(context, offsetof(Mount, directory) + size);

	if (!registered)
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, server_changed, (Datum) 0);
	registered = true;
	mount->server_id = source->server_id;
	mount->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID,
											   ObjectIdGetDatum(source->server_id));
	mount->memory_size = source->memory_size;
	mount->context = context;
	memcpy(mount->directory, source->directory, size);
	dlist_push_head(&mounts, &mount->node);
	return mount;
}

static bool
has_directory(const Mount *mount, const char *name)
{
	char	   *path = psprintf("%s/%s", mount->directory, name);
	struct stat status;
	bool		result = stat(path, &status) == 0 && S_ISDIR(status.st_mode);

	pfree(path);
	return result;
}

/* One that was given by mistake would look like an empty one. */
static M3Status
check_directory(const Mount *mount, M3Error *err)
{
	struct stat status;

	if (stat(mount->directory, &status) != 0)
		return m3_error_io(err, errno, mount->directory, "could not open M3DB directory");
	if (has_directory(mount, "data") || has_directory(mount, "snapshots") ||
		has_directory(mount, "commitlogs"))
		return M3_OK;
	m3_error(err, M3_NOT_FOUND, "\"%s\" is no M3DB directory", mount->directory);
	m3_error_detail(err, "It has neither \"data\" nor \"snapshots\" nor \"commitlogs\".");
	return M3_NOT_FOUND;
}

static M3Status
open_mount(Mount *mount, M3Error *err)
{
	M3MountOptions options = {0};
	M3Status	status;

	if (mount->mount != NULL)
		return M3_OK;
	mount->base = mmap(NULL, mount->memory_size, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mount->base == MAP_FAILED)
	{
		mount->base = NULL;
		return m3_error(err, M3_NO_MEMORY, "could not reserve %llu MB of memory",
						(unsigned long long) (mount->memory_size / (1024 * 1024)));
	}
	m3db_env_init();
	options.base = mount->base;
	options.size = mount->memory_size;
	options.hooks.report = keep_report;
	options.hooks.context = mount;
	status = m3_mount_create(m3db_env(), m3db_memory(mount->context), mount->directory,
							 &options, &mount->mount, err);
	if (status != M3_OK)
		release_memory(mount);
	return status;
}

static bool
is_for(const Mount *mount, const M3dbMountSource *source)
{
	return mount->server_id == source->server_id &&
		mount->memory_size == source->memory_size &&
		strcmp(mount->directory, source->directory) == 0;
}

/* The mount of a server, which others of the same server are no more. */
static Mount *
find_mount(const M3dbMountSource *source)
{
	dlist_mutable_iter iter;
	Mount	   *found = NULL;

	dlist_foreach_modify(iter, &mounts)
	{
		Mount	   *mount = dlist_container(Mount, node, iter.cur);

		if (is_for(mount, source))
			found = mount;
		else if (mount->server_id == source->server_id && mount->holds == 0)
			close_mount(mount);
	}
	if (found == NULL)
		return make_mount(source);
	found->is_stale = false;
	return found;
}

/* ---- loading ---- */

static void
show_reports(Mount *mount)
{
	uint64		unkept_count = mount->unkept_count;

	mount->unkept_count = 0;
	while (mount->shown_count < mount->report_count)
	{
		const char *message = mount->reports[mount->shown_count++];

		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("M3DB directory \"%s\": %s", mount->directory, message)));
	}
	if (unkept_count > 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("M3DB directory \"%s\": %llu more reports are not shown",
						mount->directory, (unsigned long long) unkept_count)));
}

static bool
is_recent(const Mount *mount)
{
	TimestampTz now = GetCurrentTimestamp();

	return mount->is_loaded && now >= mount->loaded_at &&
		now - mount->loaded_at < LOOK_AGAIN_US;
}

static M3Status
load(Mount *mount, M3Error *err)
{
	volatile M3Status status = M3_OK;

	if (mount->holds > 0 || is_recent(mount))
		return M3_OK;
	mount->is_loaded = false;
	PG_TRY();
	{
		status = check_directory(mount, err);
		if (status == M3_OK)
			status = open_mount(mount, err);
		if (status == M3_OK)
			status = m3_mount_refresh(mount->mount, NULL, err);
	}
	PG_CATCH();
	{
		close_mount(mount);
		PG_RE_THROW();
	}
	PG_END_TRY();
	mount->is_loaded = status == M3_OK;
	mount->loaded_at = GetCurrentTimestamp();
	show_reports(mount);
	return status;
}

static _Noreturn void
refuse_full(const Mount *mount)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("M3DB directory \"%s\" needs more memory than the %llu MB its server may use",
					mount->directory,
					(unsigned long long) (mount->memory_size / (1024 * 1024))),
			 errhint("Set option \"memory\" of the server to a larger size.")));
	pg_unreachable();
}

M3Database *
m3db_mount_database(const M3dbMountSource *source)
{
	Mount	   *mount = find_mount(source);
	M3Error		err = {0};
	M3Status	status = load(mount, &err);

	if (status == M3_FULL)
		refuse_full(mount);
	m3db_check(status, &err);
	return m3_mount_database(mount->mount);
}

M3Database *
m3db_mount_database_or_null(const M3dbMountSource *source)
{
	Mount	   *mount = find_mount(source);

	return load(mount, NULL) == M3_OK ? m3_mount_database(mount->mount) : NULL;
}

/* ---- use ---- */

static Mount *
mount_of(const M3Database *db)
{
	dlist_iter	iter;

	dlist_foreach(iter, &mounts)
	{
		Mount	   *mount = dlist_container(Mount, node, iter.cur);

		if (mount->mount != NULL && m3_mount_database(mount->mount) == db)
			return mount;
	}
	return NULL;
}

void
m3db_mount_hold(M3Database *db)
{
	Mount	   *mount = mount_of(db);

	if (mount != NULL)
		mount->holds++;
}

void
m3db_mount_release(M3Database *db)
{
	Mount	   *mount = mount_of(db);

	if (mount != NULL)
		mount->holds--;
}

void
m3db_mount_at_xact_end(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &mounts)
	{
		Mount	   *mount = dlist_container(Mount, node, iter.cur);

		if (mount->is_stale && mount->holds == 0)
			close_mount(mount);
	}
}
