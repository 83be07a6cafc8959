/*
 * What a mounted directory looks like, and how that differs from what is loaded.
 *
 * Filesets are told by their names, as a complete one never changes.  Logs grow, so each is
 * opened: what was not there when it was loaded shows behind the last whole group.
 */
#include "storage/db/mount_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/registry.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define PIECE_SIZE 65536u
/* Where a log went on, a chunk's header is not zeros in as many bytes. */
#define PROBE_SIZE 64u
/* Of damaged ends, so many pieces are compared. */
#define TAIL_PIECES 16u

/* --- listing: registry and metadata ------------------------------------- */

static uint64_t
add_hash(uint64_t hash, const void *bytes, size_t size)
{
	uint64_t	words[2] = {hash, m3_xxh64(bytes, size)};

	return m3_xxh64(words, sizeof(words));
}

static M3Status
hash_file(M3Env *env, M3File *file, uint64_t offset, uint32_t pieces, uint8_t *buffer,
		  uint64_t *hash, M3Error *err)
{
	size_t		got = PIECE_SIZE;

	*hash = 1;
	for (uint32_t i = 0; i < pieces && got == PIECE_SIZE; i++, offset += PIECE_SIZE)
	{
		M3_TRY(env->read(env, file, buffer, PIECE_SIZE, offset, &got, err));
		*hash = add_hash(*hash, buffer, got);
	}
	return M3_OK;
}

static M3Status
view_registry(M3Env *env, const char *root, uint8_t *buffer, M3MountView *view, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *file;
	M3Status	status;

	snprintf(path, sizeof(path), "%s/" M3_REGISTRY_FILE, root);
	status = env->open(env, path, M3_OPEN_READ, &file, err);
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	status = hash_file(env, file, 0, UINT32_MAX, buffer, &view->registry, err);
	env->close(env, file);
	return status;
}

static M3Status
view_metadata_name(void *context, const char *name, bool is_directory)
{
	uint64_t   *sum = context;

	/* in no order */
	if (!is_directory)
		*sum += m3_xxh64(name, strlen(name));
	return M3_OK;
}

static M3Status
view_metadata(M3Env *env, const char *root, M3MountView *view, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;

	M3_TRY(m3_fileset_kind_directory(path, root, M3_FILESET_KIND_SNAPSHOT, err));
	status = env->list(env, path, view_metadata_name, &view->metadata, err);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* --- listing: logs ------------------------------------------------------ */

typedef struct LogListing
{
	M3Memory   *memory;
	M3MountView *view;
} LogListing;

static M3MountLog *
add_log(M3Memory *memory, M3MountView *view, const char *name)
{
	M3MountLog *log;

	if (view->log_count == view->log_capacity)
	{
		size_t		capacity = view->log_capacity * 2 + 16;
		M3MountLog *grown = m3_resize(memory, view->logs, capacity * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		view->logs = grown;
		view->log_capacity = capacity;
	}
	log = &view->logs[view->log_count++];
	memset(log, 0, sizeof(*log));
	memcpy(log->name, name, strlen(name) + 1);
	return log;
}

static M3Status
view_log_name(void *context, const char *name, bool is_directory)
{
	LogListing *listing = context;

	if (is_directory || strlen(name) >= sizeof(listing->view->logs->name))
		return M3_OK;
	return add_log(listing->memory, listing->view, name) == NULL ? M3_NO_MEMORY : M3_OK;
}

static M3MountLog *
find_log(const M3MountView *view, const char *name)
{
	for (size_t i = 0; i < view->log_count; i++)
	{
		if (strcmp(view->logs[i].name, name) == 0)
			return &view->logs[i];
	}
	return NULL;
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Compares a log with what was loaded of it, which is in *log. */
static M3Status
probe_file(M3Env *env, M3File *file, uint8_t *buffer, M3MountLog *log, M3Error *err)
{
	bool		had_tail = log->has_tail;
	uint64_t	had = log->tail;
	uint64_t	size;
	size_t		got;

	M3_TRY(env->size(env, file, &size, err));
	if (log->end == M3_LOG_END_CLEAN || log->end == M3_LOG_END_ZEROS)
	{
		M3_TRY(env->read(env, file, buffer, PROBE_SIZE, log->valid_size, &got, err));
		log->is_changed = size < log->valid_size || !is_zero(buffer, got);
		return M3_OK;
	}
	M3_TRY(hash_file(env, file, log->valid_size, TAIL_PIECES, buffer, &log->tail, err));
	log->has_tail = true;
	log->is_changed = size != log->size || !had_tail || log->tail != had;
	log->size = size;
	return M3_OK;
}

static M3Status
probe_log(M3Env *env, const char *directory, uint8_t *buffer, M3MountLog *log, M3Error *err)
{
	char		path[M3_LOG_PATH_SIZE + sizeof(log->name)];
	M3File	   *file;
	M3Status	status;

	snprintf(path, sizeof(path), "%s/%s", directory, log->name);
	status = env->open(env, path, M3_OPEN_READ, &file, err);
	log->is_changed = status == M3_NOT_FOUND;
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	status = probe_file(env, file, buffer, log, err);
	env->close(env, file);
	return status;
}

static M3Status
view_logs(M3Env *env, M3Memory *memory, const char *root, const M3MountView *loaded,
		  uint8_t *buffer, M3MountView *view, M3Error *err)
{
	LogListing	listing = {memory, view};
	char		directory[M3_LOG_PATH_SIZE];
	M3Status	status;

	snprintf(directory, sizeof(directory), "%s/" M3_LOG_DIRECTORY, root);
	status = env->list(env, directory, view_log_name, &listing, err);
	if (status == M3_NO_MEMORY)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	if (status != M3_OK && status != M3_NOT_FOUND)
		return status;
	for (size_t i = 0; i < view->log_count; i++)
	{
		M3MountLog *log = &view->logs[i];
		const M3MountLog *was = find_log(loaded, log->name);

		if (was != NULL)
			*log = *was;
		log->is_changed = !log->is_loaded;
		if (log->is_loaded && !log->is_ignored)
			M3_TRY(probe_log(env, directory, buffer, log, err));
	}
	return M3_OK;
}

/* --- listing: filesets -------------------------------------------------- */

static M3Status
view_shard(M3Env *env, M3Memory *memory, const char *root, M3FilesetKind kind, const char *name,
		   uint32_t number, M3MountView *view, M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3MountShard *shard;

	if (view->shard_count == view->shard_capacity)
	{
		size_t		capacity = view->shard_capacity * 2 + 64;
		M3MountShard *grown = m3_resize(memory, view->shards, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		view->shards = grown;
		view->shard_capacity = capacity;
	}
	shard = &view->shards[view->shard_count];
	memset(shard, 0, sizeof(*shard));
	shard->kind = kind;
	shard->namespace_name = name;
	shard->shard = number;
	M3_TRY(m3_fileset_shard_directory(directory, root, kind, m3_slice_cstr(name), number, err));
	M3_TRY(m3_fileset_list(env, memory, directory, &shard->list, err));
	view->shard_count++;
	return M3_OK;
}

static M3Status
view_filesets(M3Env *env, M3Memory *memory, const char *root, M3FilesetKind kind,
			  M3MountView *view, M3Error *err)
{
	M3FilesetNames *names = &view->names[kind];

	M3_TRY(m3_fileset_list_namespaces(env, memory, root, kind, names, err));
	for (size_t i = 0; i < names->count; i++)
	{
		uint32_t   *shards = NULL;
		size_t		count = 0;
		M3Status	status;

		M3_GOTO(m3_fileset_list_shards(env, memory, root, kind, m3_slice_cstr(names->names[i]),
									   &shards, &count, err));
		for (size_t s = 0; s < count; s++)
			M3_GOTO(view_shard(env, memory, root, kind, names->names[i], shards[s], view, err));
done:
		m3_free(memory, shards);
		M3_TRY(status);
	}
	return M3_OK;
}

static int
compare_shards(const M3MountShard *shard, M3FilesetKind kind, const char *name, uint32_t number)
{
	int			order = (shard->kind > kind) - (shard->kind < kind);

	if (order == 0)
		order = strcmp(shard->namespace_name, name);
	if (order == 0)
		order = (shard->shard > number) - (shard->shard < number);
	return order;
}

static int
compare_for_sort(const void *left, const void *right)
{
	const M3MountShard *b = right;

	return compare_shards(left, b->kind, b->namespace_name, b->shard);
}

M3Status
m3i_mount_view(M3Env *env, M3Memory *memory, const char *root, const M3MountView *loaded,
			   M3MountView *view, M3Error *err)
{
	uint8_t    *buffer = m3_alloc(memory, PIECE_SIZE);
	M3Status	status;

	memset(view, 0, sizeof(*view));
	if (buffer == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	/* from where points come to where they go */
	M3_GOTO(view_registry(env, root, buffer, view, err));
	M3_GOTO(view_metadata(env, root, view, err));
	M3_GOTO(view_logs(env, memory, root, loaded, buffer, view, err));
	M3_GOTO(view_filesets(env, memory, root, M3_FILESET_KIND_SNAPSHOT, view, err));
	M3_GOTO(view_filesets(env, memory, root, M3_FILESET_KIND_DATA, view, err));
	if (view->shard_count > 1)
		qsort(view->shards, view->shard_count, sizeof(*view->shards), compare_for_sort);
done:
	m3_free(memory, buffer);
	return status;
}

void
m3i_mount_view_free(M3Memory *memory, M3MountView *view)
{
	for (size_t i = 0; i < view->shard_count; i++)
		m3_fileset_list_free(&view->shards[i].list);
	m3_free(memory, view->shards);
	m3_free(memory, view->logs);
	m3_fileset_names_free(&view->names[M3_FILESET_KIND_DATA]);
	m3_fileset_names_free(&view->names[M3_FILESET_KIND_SNAPSHOT]);
	memset(view, 0, sizeof(*view));
}

const M3MountShard *
m3i_mount_shard(const M3MountView *view, M3FilesetKind kind, const char *name, uint32_t number)
{
	size_t		low = 0;
	size_t		high = view->shard_count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = compare_shards(&view->shards[middle], kind, name, number);

		if (order == 0)
			return &view->shards[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* --- comparing ---------------------------------------------------------- */

/* Whether both have the same complete filesets. */
static bool
same_list(const M3FilesetList *a, const M3FilesetList *b)
{
	size_t		i = 0;
	size_t		j = 0;

	for (;; i++, j++)
	{
		while (i < a->count && !m3_fileset_listed_has(&a->filesets[i], M3_FILESET_CHECKPOINT))
			i++;
		while (j < b->count && !m3_fileset_listed_has(&b->filesets[j], M3_FILESET_CHECKPOINT))
			j++;
		if (i == a->count || j == b->count)
			return i == a->count && j == b->count;
		if (m3_fileset_name_compare(&a->filesets[i].name, &b->filesets[j].name) != 0)
			return false;
	}
}

static bool
same_filesets(const M3MountView *a, const M3MountView *b, M3FilesetKind kind)
{
	size_t		counts[2] = {0, 0};

	for (size_t i = 0; i < b->shard_count; i++)
		counts[1] += b->shards[i].kind == kind;
	for (size_t i = 0; i < a->shard_count; i++)
	{
		const M3MountShard *shard = &a->shards[i];
		const M3MountShard *other;

		if (shard->kind != kind)
			continue;
		counts[0]++;
		other = m3i_mount_shard(b, kind, shard->namespace_name, shard->shard);
		if (other == NULL || !same_list(&shard->list, &other->list))
			return false;
	}
	return counts[0] == counts[1];
}

static bool
has_name(const M3FilesetNames *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
	{
		if (strcmp(names->names[i], name) == 0)
			return true;
	}
	return false;
}

static bool
any_namespace_gone(const M3MountView *loaded, const M3MountView *view)
{
	for (int kind = 0; kind < 2; kind++)
	{
		for (size_t i = 0; i < loaded->names[kind].count; i++)
		{
			const char *name = loaded->names[kind].names[i];

			if (!has_name(&view->names[0], name) && !has_name(&view->names[1], name))
				return true;
		}
	}
	return false;
}

/* Of the namespaces, whether any is new. */
static bool
any_namespace_new(const M3MountView *loaded, const M3MountView *view)
{
	for (int kind = 0; kind < 2; kind++)
	{
		for (size_t i = 0; i < view->names[kind].count; i++)
		{
			if (!has_name(&loaded->names[kind], view->names[kind].names[i]))
				return true;
		}
	}
	return false;
}

static M3MountPlan
compare_logs(const M3MountView *loaded, const M3MountView *view)
{
	M3MountPlan plan = M3_MOUNT_NOTHING;
	bool		in_order = true;

	for (size_t i = 0; i < loaded->log_count; i++)
	{
		const M3MountLog *log = &loaded->logs[i];

		if (log->is_ignored)
			continue;
		if (find_log(view, log->name) == NULL)
			return M3_MOUNT_BUFFERS;
		/* blank ones may become logs */
		in_order = in_order && (log->has_index || log->end == M3_LOG_END_ZEROS);
	}
	for (size_t i = 0; i < view->log_count; i++)
	{
		const M3MountLog *log = &view->logs[i];

		if (log->is_changed && log->is_loaded &&
			log->end != M3_LOG_END_CLEAN && log->end != M3_LOG_END_ZEROS &&
			log->end != M3_LOG_END_TORN)
			in_order = false;
		if (log->is_changed)
			plan = M3_MOUNT_TAILS;
	}
	return plan == M3_MOUNT_TAILS && !in_order ? M3_MOUNT_BUFFERS : plan;
}

M3MountPlan
m3i_mount_compare(const M3MountView *loaded, const M3MountView *view)
{
	M3MountPlan plan;

	if (loaded->registry != view->registry || any_namespace_gone(loaded, view))
		return M3_MOUNT_ALL;
	plan = compare_logs(loaded, view);
	if (loaded->metadata != view->metadata ||
		!same_filesets(loaded, view, M3_FILESET_KIND_SNAPSHOT))
		plan = M3_MOUNT_BUFFERS;
	if (!same_filesets(loaded, view, M3_FILESET_KIND_DATA) || any_namespace_new(loaded, view))
		plan |= M3_MOUNT_FILES;
	return plan;
}

/* --- after a load ------------------------------------------------------- */

M3Status
m3i_mount_note_logs(M3MountView *view, M3Memory *memory, const M3LogSet *set, M3Error *err)
{
	for (size_t i = 0; i < view->log_count; i++)
		view->logs[i].is_ignored = true;
	for (size_t i = 0; i < m3_log_set_count(set); i++)
	{
		const M3LogFile *file = m3_log_set_file(set, i);
		M3MountLog *log = find_log(view, file->name);
		uint64_t	valid_size = file->is_checked ? file->end.valid_size : 0;
		M3LogEndKind end = file->is_checked ? file->end.kind :
			file->is_blank ? M3_LOG_END_ZEROS : M3_LOG_END_CORRUPT;

		if (log == NULL)
			log = add_log(memory, view, file->name);
		if (log == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		/* the hash is from before the load, so it counts only if that found the same */
		log->has_tail = log->has_tail && log->is_loaded && log->end == end &&
			log->valid_size == valid_size && log->size == file->size;
		log->is_ignored = false;
		log->has_index = file->has_info && !file->is_legacy;
		log->log_index = (uint64_t) file->info.index;
		log->end = end;
		log->valid_size = valid_size;
		log->size = file->size;
	}
	for (size_t i = 0; i < view->log_count; i++)
	{
		view->logs[i].is_loaded = true;
		view->logs[i].is_changed = false;
	}
	return M3_OK;
}
