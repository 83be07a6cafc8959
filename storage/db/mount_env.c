/*
 * An M3Env over another one that locks nothing and refuses to change what is on disk.
 */
#include "storage/db/mount_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static M3Env *
original_of(M3Env *self)
{
	return self->context;
}

static M3Status
refuse(M3Error *err)
{
	return m3_error(err, M3_UNSUPPORTED, "the directory is mounted read-only");
}

/* --- reading ------------------------------------------------------------ */

static M3Status
mount_open(M3Env *self, const char *path, M3OpenMode mode, M3File **file, M3Error *err)
{
	M3Env	   *original = original_of(self);

	return mode == M3_OPEN_READ ? original->open(original, path, mode, file, err) : refuse(err);
}

static void
mount_close(M3Env *self, M3File *file)
{
	original_of(self)->close(original_of(self), file);
}

static M3Status
mount_read(M3Env *self, M3File *file, void *buffer, size_t size, uint64_t offset, size_t *got,
		   M3Error *err)
{
	return original_of(self)->read(original_of(self), file, buffer, size, offset, got, err);
}

static M3Status
mount_size(M3Env *self, M3File *file, uint64_t *size, M3Error *err)
{
	return original_of(self)->size(original_of(self), file, size, err);
}

static M3Status
mount_map(M3Env *self, M3File *file, const uint8_t **base, size_t *size, M3Error *err)
{
	return original_of(self)->map(original_of(self), file, base, size, err);
}

static void
mount_unmap(M3Env *self, const uint8_t *base, size_t size)
{
	original_of(self)->unmap(original_of(self), base, size);
}

static M3Status
mount_list(M3Env *self, const char *path, M3ListFn fn, void *context, M3Error *err)
{
	return original_of(self)->list(original_of(self), path, fn, context, err);
}

/* --- changing ----------------------------------------------------------- */

static M3Status
mount_open_temporary(M3Env *self, M3File **file, M3Error *err)
{
	(void) self;
	(void) file;
	return refuse(err);
}

static M3Status
mount_write(M3Env *self, M3File *file, const void *data, size_t size, uint64_t offset, M3Error *err)
{
	(void) self;
	(void) file;
	(void) data;
	(void) size;
	(void) offset;
	return refuse(err);
}

static M3Status
mount_sync(M3Env *self, M3File *file, M3Error *err)
{
	(void) self;
	(void) file;
	return refuse(err);
}

static M3Status
mount_truncate(M3Env *self, M3File *file, uint64_t size, M3Error *err)
{
	(void) self;
	(void) file;
	(void) size;
	return refuse(err);
}

static M3Status
mount_rename(M3Env *self, const char *from, const char *to, M3Error *err)
{
	(void) self;
	(void) from;
	(void) to;
	return refuse(err);
}

static M3Status
mount_change_name(M3Env *self, const char *path, M3Error *err)
{
	(void) self;
	(void) path;
	return refuse(err);
}

/* --- the rest ----------------------------------------------------------- */

static int64_t
mount_now_ns(M3Env *self)
{
	return original_of(self)->now_ns(original_of(self));
}

static void
mount_yield(M3Env *self)
{
	original_of(self)->yield(original_of(self));
}

static void
mount_lock(M3Env *self, uint32_t id, M3LockMode mode)
{
	(void) self;
	(void) id;
	(void) mode;
}

static void
mount_unlock(M3Env *self, uint32_t id)
{
	(void) self;
	(void) id;
}

static bool
mount_lock_or_wait(M3Env *self, uint32_t id)
{
	(void) self;
	(void) id;
	return true;
}

static void __attribute__((noreturn))
mount_panic(M3Env *self, const M3Error *err)
{
	original_of(self)->panic(original_of(self), err);
}

void
m3i_mount_env(M3Env *env, M3Env *original)
{
	*env = (M3Env) {
		.open = mount_open,
		.open_temporary = mount_open_temporary,
		.close = mount_close,
		.read = mount_read,
		.write = mount_write,
		.sync = mount_sync,
		.truncate = mount_truncate,
		.size = mount_size,
		.map = mount_map,
		.unmap = mount_unmap,
		.rename = mount_rename,
		.unlink = mount_change_name,
		.make_directory = mount_change_name,
		.remove_directory = mount_change_name,
		.sync_directory = mount_change_name,
		.list = mount_list,
		.now_ns = mount_now_ns,
		.yield = mount_yield,
		.lock = mount_lock,
		.unlock = mount_unlock,
		.lock_or_wait = mount_lock_or_wait,
		.panic = mount_panic,
		.context = original
	};
}
