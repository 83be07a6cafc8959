#include "storage/fileset/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/fileset/fileset_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Far more than an info file needs, so that one with trailing bytes is seen whole. */
#define INFO_READ_SIZE 4096

typedef struct ListContext
{
	M3Memory   *memory;
	M3Error    *err;
	void	   *array;
	size_t		count;
	size_t		capacity;
} ListContext;

static M3Status
collect_file(void *context, const char *text, bool is_directory)
{
	ListContext *c = context;
	M3FilesetListed listed;
	M3FilesetFile file;

	if (is_directory || !m3_fileset_parse_name(text, &listed.name, &file))
		return M3_OK;
	listed.files = 1u << file;
	M3_TRY(m3i_fileset_reserve(c->memory, &c->array, &c->capacity, c->count + 1, sizeof(listed),
							   c->err));
	((M3FilesetListed *) c->array)[c->count++] = listed;
	return M3_OK;
}

static int
compare_listed(const void *a, const void *b)
{
	return m3_fileset_name_compare(&((const M3FilesetListed *) a)->name,
								   &((const M3FilesetListed *) b)->name);
}

/* Lists a directory; a missing one has no entries. */
static M3Status
list_directory(M3Env *env, const char *path, M3ListFn fn, ListContext *context,
			   M3Error *err)
{
	M3Status	status = env->list(env, path, fn, context, err);

	return status == M3_NOT_FOUND ? M3_OK : status;
}

M3Status
m3_fileset_list(M3Env *env, M3Memory *memory, const char *directory,
				M3FilesetList *list, M3Error *err)
{
	ListContext context = {.memory = memory,.err = err};
	M3FilesetListed *filesets;
	M3Status	status;
	size_t		kept = 0;

	memset(list, 0, sizeof(*list));
	status = list_directory(env, directory, collect_file, &context, err);
	filesets = context.array;
	if (status != M3_OK)
	{
		m3_free(memory, filesets);
		return status;
	}
	if (context.count > 1)
		qsort(filesets, context.count, sizeof(*filesets), compare_listed);
	for (size_t i = 0; i < context.count; i++)
	{
		if (kept > 0 && compare_listed(&filesets[kept - 1], &filesets[i]) == 0)
			filesets[kept - 1].files |= filesets[i].files;
		else
			filesets[kept++] = filesets[i];
	}
	list->memory = memory;
	list->filesets = filesets;
	list->count = kept;
	return M3_OK;
}

void
m3_fileset_list_free(M3FilesetList *list)
{
	if (list->memory != NULL)
		m3_free(list->memory, list->filesets);
	memset(list, 0, sizeof(*list));
}

M3Status
m3_fileset_is_complete(M3Env *env, const char *directory, const M3FilesetName *name,
					   bool *complete, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *file;
	uint64_t	size;
	M3Status	status;

	*complete = false;
	M3_TRY(m3_fileset_path(path, directory, name, M3_FILESET_CHECKPOINT, err));
	status = m3i_fileset_open_sized(env, path, &file, &size, err);
	if (status == M3_NOT_FOUND)
		return M3_OK;
	M3_TRY(status);
	env->close(env, file);
	*complete = size == M3_FILESET_CHECKPOINT_SIZE;
	return M3_OK;
}

/* A file is missing: either the fileset is being removed, or it is damaged. */
static M3Status
missing_file(M3Env *env, const char *directory, const M3FilesetName *name,
			 const char *path, M3Error *err)
{
	bool		complete;

	M3_TRY(m3_fileset_is_complete(env, directory, name, &complete, err));
	if (complete)
		return m3_error_corrupt(err, path, -1, "file of a complete fileset is missing");
	return m3_error(err, M3_NOT_FOUND, "fileset was removed");
}

static M3Status
check_info(const M3FilesetHeader *header, M3Slice bytes, const M3FilesetName *name,
		   M3Error *err)
{
	if (m3_adler32(M3_ADLER32_INIT, bytes.data, bytes.size) !=
		header->digests[M3_FILESET_INFO])
		return m3_error(err, M3_CORRUPT, "info file fails its checksum");
	if (header->info.block_start_ns != name->block_start_ns ||
		header->info.volume != name->volume)
		return m3_error(err, M3_CORRUPT, "info file is of another block or volume");
	return M3_OK;
}

M3Status
m3_fileset_read_header(M3Env *env, const char *directory, const M3FilesetName *name,
					   M3FilesetHeader *header, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		checkpoint[M3_FILESET_CHECKPOINT_SIZE];
	uint8_t		digest[M3_FILESET_DIGEST_SIZE];
	uint8_t		info[INFO_READ_SIZE];
	uint64_t	size;
	uint64_t	digest_size;
	M3Status	status;

	memset(header, 0, sizeof(*header));
	M3_TRY(m3_fileset_path(path, directory, name, M3_FILESET_CHECKPOINT, err));
	M3_TRY(m3i_fileset_read_small(env, path, checkpoint, sizeof(checkpoint), &size, err));
	if (size != sizeof(checkpoint))
		return m3_error(err, M3_NOT_FOUND, "fileset is not complete");

	M3_TRY(m3_fileset_path(path, directory, name, M3_FILESET_DIGEST, err));
	status = m3i_fileset_read_small(env, path, digest, sizeof(digest), &digest_size, err);
	if (status == M3_NOT_FOUND)
		return missing_file(env, directory, name, path, err);
	M3_TRY(status);
	status = m3_fileset_digest_decode(m3_slice(digest, (size_t) digest_size),
									  m3_slice(checkpoint, sizeof(checkpoint)), header,
									  err);
	M3_TRY(m3i_fileset_locate_error(status, err, path, -1));

	M3_TRY(m3_fileset_path(path, directory, name, M3_FILESET_INFO, err));
	status = m3i_fileset_read_small(env, path, info, sizeof(info), &size, err);
	if (status == M3_NOT_FOUND)
		return missing_file(env, directory, name, path, err);
	M3_TRY(status);
	if (size > sizeof(info))
		return m3_error_corrupt(err, path, -1, "info file has %" PRIu64 " bytes", size);
	status = m3_fileset_info_decode(m3_slice(info, (size_t) size), &header->info, err);
	if (status == M3_OK)
		status = check_info(header, m3_slice(info, (size_t) size), name, err);
	return m3i_fileset_locate_error(status, err, path, -1);
}

/* End of the block's run in the list, and its length. */
static size_t
find_block(const M3FilesetList *list, int64_t block_start_ns, size_t *count)
{
	size_t		end = list->count;

	*count = 0;
	while (end > 0 && list->filesets[end - 1].name.block_start_ns > block_start_ns)
		end--;
	while (*count < end &&
		   list->filesets[end - 1 - *count].name.block_start_ns == block_start_ns)
		(*count)++;
	return end;
}

M3Status
m3_fileset_choose(M3Env *env, const char *directory, const M3FilesetList *list,
				  int64_t block_start_ns, M3FilesetName *name,
				  M3FilesetHeader *header, size_t *skipped, M3Error *err)
{
	size_t		count;
	size_t		end = find_block(list, block_start_ns, &count);

	if (skipped != NULL)
		*skipped = 0;
	for (size_t i = 0; i < count; i++)
	{
		const M3FilesetListed *listed = &list->filesets[end - 1 - i];
		M3Status	status;

		if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT))
			continue;
		status = m3_fileset_read_header(env, directory, &listed->name, header, err);
		if (status == M3_OK)
		{
			*name = listed->name;
			return M3_OK;
		}
		if (status == M3_IO || status == M3_NO_MEMORY)
			return status;
		if (status != M3_NOT_FOUND && skipped != NULL)
			(*skipped)++;
	}
	return m3_error(err, M3_NOT_FOUND, "block has no fileset");
}

M3Status
m3_fileset_next_volume(M3Env *env, const char *directory, const M3FilesetList *list,
					   int64_t block_start_ns, int64_t *volume, M3Error *err)
{
	size_t		count;
	size_t		end = find_block(list, block_start_ns, &count);

	*volume = 0;
	for (size_t i = 0; i < count; i++)
	{
		const M3FilesetListed *listed = &list->filesets[end - 1 - i];
		bool		complete;

		if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT))
			continue;
		M3_TRY(m3_fileset_is_complete(env, directory, &listed->name, &complete, err));
		if (!complete)
			continue;
		if (listed->name.volume == INT64_MAX)
			return m3_error(err, M3_FULL, "no volume number is left");
		*volume = listed->name.volume + 1;
		break;
	}
	return M3_OK;
}

/* Remembers the first failure; a file that is not there is none. */
static M3Status
unlink_file(M3Env *env, const char *path, M3Status *first, M3Error *err)
{
	M3Status	status = env->unlink(env, path, *first == M3_OK ? err : NULL);

	if (status != M3_OK && status != M3_NOT_FOUND && *first == M3_OK)
		*first = status;
	return status;
}

M3Status
m3_fileset_remove(M3Env *env, const char *directory, const M3FilesetName *names,
				  size_t count, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	first = M3_OK;
	bool		removed = false;

	for (size_t i = 0; i < count; i++)
	{
		M3_TRY(m3_fileset_path(path, directory, &names[i], M3_FILESET_CHECKPOINT, err));
		if (unlink_file(env, path, &first, err) == M3_OK)
			removed = true;
	}
	/* a checkpoint that came back after a crash must find its files */
	if (first == M3_OK && removed)
		first = env->sync_directory(env, directory, err);
	if (first != M3_OK)
		return first;
	for (size_t i = 0; i < count; i++)
	{
		for (int file = M3_FILESET_ALL_COUNT - 1; file >= 0; file--)
		{
			/* a legacy name has no statistics, only another fileset might */
			if (file == M3_FILESET_CHECKPOINT ||
				(file == M3_FILESET_STATISTICS && names[i].legacy))
				continue;
			M3_TRY(m3_fileset_path(path, directory, &names[i], (M3FilesetFile) file, err));
			(void) unlink_file(env, path, &first, err);
		}
		M3_TRY(m3_fileset_path(path, directory, &names[i], M3_FILESET_CHECKPOINT, err));
		if (strlen(path) + sizeof(".tmp") <= sizeof(path))
		{
			memcpy(path + strlen(path), ".tmp", sizeof(".tmp"));
			(void) unlink_file(env, path, &first, err);
		}
	}
	return first;
}

static M3Status
collect_name(void *context, const char *text, bool is_directory)
{
	ListContext *c = context;
	char	   *copy;

	if (!is_directory)
		return M3_OK;
	M3_TRY(m3i_fileset_reserve(c->memory, &c->array, &c->capacity, c->count + 1, sizeof(char *),
							   c->err));
	copy = m3_copy_string(c->memory, text);
	if (copy == NULL)
		return m3_error(c->err, M3_NO_MEMORY, "out of memory");
	((char **) c->array)[c->count++] = copy;
	return M3_OK;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

M3Status
m3_fileset_list_namespaces(M3Env *env, M3Memory *memory, const char *root,
						   M3FilesetKind kind, M3FilesetNames *names, M3Error *err)
{
	ListContext context = {.memory = memory,.err = err};
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;

	memset(names, 0, sizeof(*names));
	M3_TRY(m3_fileset_kind_directory(path, root, kind, err));
	status = list_directory(env, path, collect_name, &context, err);
	names->memory = memory;
	names->names = context.array;
	names->count = context.count;
	names->capacity = context.capacity;
	if (status != M3_OK)
		m3_fileset_names_free(names);
	else if (names->count > 1)
		qsort(names->names, names->count, sizeof(char *), compare_texts);
	return status;
}

void
m3_fileset_names_free(M3FilesetNames *names)
{
	if (names->memory == NULL)
		return;
	for (size_t i = 0; i < names->count; i++)
		m3_free(names->memory, names->names[i]);
	m3_free(names->memory, names->names);
	memset(names, 0, sizeof(*names));
}

static M3Status
collect_shard(void *context, const char *text, bool is_directory)
{
	ListContext *c = context;
	uint32_t	shard;

	if (!is_directory || !m3_fileset_parse_shard(text, &shard))
		return M3_OK;
	M3_TRY(m3i_fileset_reserve(c->memory, &c->array, &c->capacity, c->count + 1, sizeof(shard),
							   c->err));
	((uint32_t *) c->array)[c->count++] = shard;
	return M3_OK;
}

static int
compare_shards(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

M3Status
m3_fileset_list_shards(M3Env *env, M3Memory *memory, const char *root,
					   M3FilesetKind kind, M3Slice namespace_name, uint32_t **shards,
					   size_t *count, M3Error *err)
{
	ListContext context = {.memory = memory,.err = err};
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;

	*shards = NULL;
	*count = 0;
	M3_TRY(m3_fileset_namespace_directory(path, root, kind, namespace_name, err));
	status = list_directory(env, path, collect_shard, &context, err);
	if (status != M3_OK)
	{
		m3_free(memory, context.array);
		return status;
	}
	if (context.count > 1)
		qsort(context.array, context.count, sizeof(uint32_t), compare_shards);
	*shards = context.array;
	*count = context.count;
	return M3_OK;
}
