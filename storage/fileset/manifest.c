#include "storage/fileset/manifest.h"

#include <string.h>

#include "storage/base/bytes.h"
#include "storage/fileset/fileset_private.h"
#include "storage/fileset/list.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3_manifest_create(M3Env *env, M3Memory *memory, const char *root, M3FilesetKind kind,
				   M3Manifest **manifest, M3Error *err)
{
	M3Manifest *m = m3_alloc(memory, sizeof(*m));
	size_t		root_size = strlen(root) + 1;

	if (m == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(m, 0, sizeof(*m));
	m->env = env;
	m->memory = memory;
	m->kind = kind;
	m->root = m3_alloc(memory, root_size);
	if (m->root == NULL)
	{
		m3_free(memory, m);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	memcpy(m->root, root, root_size);
	*manifest = m;
	return M3_OK;
}

static void
free_namespace(M3Manifest *manifest, M3ManifestNamespace *ns)
{
	for (size_t i = 0; i < ns->count; i++)
		m3_free(manifest->memory, ns->shards[i].filesets);
	m3_free(manifest->memory, ns->shards);
	m3_free(manifest->memory, ns->name);
}

void
m3_manifest_free(M3Manifest *manifest)
{
	if (manifest == NULL)
		return;
	for (size_t i = 0; i < manifest->count; i++)
		free_namespace(manifest, &manifest->namespaces[i]);
	m3_free(manifest->memory, manifest->namespaces);
	m3_free(manifest->memory, manifest->root);
	m3_free(manifest->memory, manifest);
}

/* Where a name is, or belongs. */
static bool
search_namespace(const M3Manifest *manifest, M3Slice name, size_t *at)
{
	size_t		low = 0;
	size_t		high = manifest->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = m3_slice_compare(m3_slice_cstr(manifest->namespaces[middle].name),
											 name);

		if (order == 0)
		{
			*at = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*at = low;
	return false;
}

static bool
search_shard(const M3ManifestNamespace *ns, uint32_t shard, size_t *at)
{
	size_t		low = 0;
	size_t		high = ns->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (ns->shards[middle].shard < shard)
			low = middle + 1;
		else
			high = middle;
	}
	*at = low;
	return low < ns->count && ns->shards[low].shard == shard;
}

static M3Status
intern_namespace(M3Manifest *manifest, M3Slice name, M3ManifestNamespace **ns, M3Error *err)
{
	size_t		at;
	char	   *copy;

	if (!search_namespace(manifest, name, &at))
	{
		M3_TRY(m3i_fileset_reserve(manifest->memory, (void **) &manifest->namespaces,
								   &manifest->capacity, manifest->count + 1,
								   sizeof(M3ManifestNamespace), err));
		copy = m3_alloc(manifest->memory, name.size + 1);
		if (copy == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		memcpy(copy, name.data, name.size);
		copy[name.size] = '\0';
		memmove(&manifest->namespaces[at + 1], &manifest->namespaces[at],
				(manifest->count - at) * sizeof(M3ManifestNamespace));
		memset(&manifest->namespaces[at], 0, sizeof(M3ManifestNamespace));
		manifest->namespaces[at].name = copy;
		manifest->count++;
	}
	*ns = &manifest->namespaces[at];
	return M3_OK;
}

static M3Status
intern_shard(M3Manifest *manifest, M3ManifestNamespace *ns, uint32_t number,
			 M3ManifestShard **shard, M3Error *err)
{
	size_t		at;

	if (!search_shard(ns, number, &at))
	{
		M3_TRY(m3i_fileset_reserve(manifest->memory, (void **) &ns->shards, &ns->capacity,
								   ns->count + 1, sizeof(M3ManifestShard), err));
		memmove(&ns->shards[at + 1], &ns->shards[at],
				(ns->count - at) * sizeof(M3ManifestShard));
		memset(&ns->shards[at], 0, sizeof(M3ManifestShard));
		ns->shards[at].shard = number;
		ns->count++;
	}
	*shard = &ns->shards[at];
	return M3_OK;
}

static const M3ManifestFileset *
find_known(const M3ManifestShard *shard, const M3FilesetName *name)
{
	size_t		low = 0;
	size_t		high = shard->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = m3_fileset_name_compare(&shard->filesets[middle].name, name);

		if (order == 0)
			return &shard->filesets[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Whether a usable fileset is still the one that was read. */
static M3Status
is_unchanged(M3Env *env, const char *directory, const M3ManifestFileset *known,
			 bool *unchanged, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		bytes[M3_FILESET_CHECKPOINT_SIZE];
	uint64_t	size;
	M3Status	status;

	*unchanged = false;
	M3_TRY(m3_fileset_path(path, directory, &known->name, M3_FILESET_CHECKPOINT, err));
	status = m3i_fileset_read_small(env, path, bytes, sizeof(bytes), &size, err);
	if (status == M3_IO || status == M3_NO_MEMORY)
		return status;
	*unchanged = status == M3_OK && size == sizeof(bytes) &&
		m3_load_le32(bytes) == known->header.checkpoint;
	return M3_OK;
}

static M3Status
file_size(M3Env *env, const char *directory, const M3FilesetName *name,
		  M3FilesetFile file, uint64_t *size, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *opened;
	M3Status	status;

	*size = 0;
	M3_TRY(m3_fileset_path(path, directory, name, file, err));
	status = m3i_fileset_open_sized(env, path, &opened, size, err);
	if (status == M3_OK)
		env->close(env, opened);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

static M3Status
read_fileset(M3Manifest *manifest, const char *directory, const M3FilesetListed *listed,
			 M3ManifestFileset *fileset, M3Error *err)
{
	M3Env	   *env = manifest->env;

	memset(fileset, 0, sizeof(*fileset));
	fileset->name = listed->name;
	fileset->status = M3_NOT_FOUND;
	if (!m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT))
		return M3_OK;
	manifest->headers_read++;
	fileset->status = m3_fileset_read_header(env, directory, &listed->name,
											 &fileset->header, err);
	if (fileset->status == M3_IO || fileset->status == M3_NO_MEMORY)
		return fileset->status;
	if (fileset->status != M3_OK)
		return M3_OK;
	M3_TRY(file_size(env, directory, &listed->name, M3_FILESET_INDEX,
					 &fileset->index_size, err));
	return file_size(env, directory, &listed->name, M3_FILESET_DATA, &fileset->data_size,
					 err);
}

/* Makes the new state of a shard from its listing and the old state. */
static M3Status
rebuild(M3Manifest *manifest, const char *directory, const M3FilesetList *list,
		const M3ManifestShard *old, bool compare, M3ManifestFileset *filesets,
		M3Error *err)
{
	for (size_t i = 0; i < list->count; i++)
	{
		const M3FilesetListed *listed = &list->filesets[i];
		const M3ManifestFileset *known = find_known(old, &listed->name);
		bool		keep = known != NULL && known->status == M3_OK &&
			m3_fileset_listed_has(listed, M3_FILESET_CHECKPOINT);

		if (keep && compare)
			M3_TRY(is_unchanged(manifest->env, directory, known, &keep, err));
		if (keep)
			filesets[i] = *known;
		else
			M3_TRY(read_fileset(manifest, directory, listed, &filesets[i], err));
	}
	return M3_OK;
}

static M3Status
refresh_shard(M3Manifest *manifest, M3ManifestNamespace *ns, uint32_t number, bool compare,
			  M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetList list;
	M3ManifestShard *shard;
	M3ManifestFileset *filesets = NULL;
	M3Status	status;

	M3_TRY(m3_fileset_shard_directory(directory, manifest->root, manifest->kind,
									  m3_slice_cstr(ns->name), number, err));
	M3_TRY(intern_shard(manifest, ns, number, &shard, err));
	M3_TRY(m3_fileset_list(manifest->env, manifest->memory, directory, &list, err));
	if (list.count > 0)
	{
		filesets = m3_alloc(manifest->memory, list.count * sizeof(M3ManifestFileset));
		if (filesets == NULL)
			M3_GOTO(m3_error(err, M3_NO_MEMORY, "out of memory"));
	}
	M3_GOTO(rebuild(manifest, directory, &list, shard, compare, filesets, err));
	m3_free(manifest->memory, shard->filesets);
	shard->filesets = filesets;
	shard->count = list.count;
	shard->seen = true;
	filesets = NULL;

done:
	m3_free(manifest->memory, filesets);
	m3_fileset_list_free(&list);
	return status;
}

/* Drops the shards that a complete listing did not find. */
static void
drop_unseen_shards(M3Manifest *manifest, M3ManifestNamespace *ns)
{
	size_t		kept = 0;

	for (size_t i = 0; i < ns->count; i++)
	{
		if (ns->shards[i].seen)
			ns->shards[kept++] = ns->shards[i];
		else
			m3_free(manifest->memory, ns->shards[i].filesets);
	}
	ns->count = kept;
}

static M3Status
refresh_namespace(M3Manifest *manifest, const char *name, bool compare, M3Error *err)
{
	M3ManifestNamespace *ns;
	uint32_t   *shards;
	size_t		count;
	M3Status	status = M3_OK;

	M3_TRY(intern_namespace(manifest, m3_slice_cstr(name), &ns, err));
	M3_TRY(m3_fileset_list_shards(manifest->env, manifest->memory, manifest->root,
								  manifest->kind, m3_slice_cstr(name), &shards, &count,
								  err));
	for (size_t i = 0; i < ns->count; i++)
		ns->shards[i].seen = false;
	for (size_t i = 0; i < count && status == M3_OK; i++)
		status = refresh_shard(manifest, ns, shards[i], compare, err);
	m3_free(manifest->memory, shards);
	M3_TRY(status);
	drop_unseen_shards(manifest, ns);
	ns->seen = true;
	return M3_OK;
}

M3Status
m3_manifest_refresh(M3Manifest *manifest, bool compare_checkpoints, M3Error *err)
{
	M3FilesetNames names;
	size_t		kept = 0;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list_namespaces(manifest->env, manifest->memory, manifest->root,
									  manifest->kind, &names, err));
	for (size_t i = 0; i < manifest->count; i++)
		manifest->namespaces[i].seen = false;
	for (size_t i = 0; i < names.count && status == M3_OK; i++)
		status = refresh_namespace(manifest, names.names[i], compare_checkpoints, err);
	m3_fileset_names_free(&names);
	M3_TRY(status);
	for (size_t i = 0; i < manifest->count; i++)
	{
		if (manifest->namespaces[i].seen)
			manifest->namespaces[kept++] = manifest->namespaces[i];
		else
			free_namespace(manifest, &manifest->namespaces[i]);
	}
	manifest->count = kept;
	return M3_OK;
}

M3Status
m3_manifest_refresh_shard(M3Manifest *manifest, M3Slice namespace_name, uint32_t shard,
						  bool compare_checkpoints, M3Error *err)
{
	M3ManifestNamespace *ns;

	M3_TRY(intern_namespace(manifest, namespace_name, &ns, err));
	return refresh_shard(manifest, ns, shard, compare_checkpoints, err);
}

const M3ManifestNamespace *
m3_manifest_namespace(const M3Manifest *manifest, M3Slice name)
{
	size_t		at;

	return search_namespace(manifest, name, &at) ? &manifest->namespaces[at] : NULL;
}

const M3ManifestShard *
m3_manifest_shard(const M3ManifestNamespace *ns, uint32_t shard)
{
	size_t		at;

	return search_shard(ns, shard, &at) ? &ns->shards[at] : NULL;
}

/* First fileset of a block start not below the one given. */
static size_t
lower_bound(const M3ManifestShard *shard, int64_t block_start_ns)
{
	size_t		low = 0;
	size_t		high = shard->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (shard->filesets[middle].name.block_start_ns < block_start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The winner of the block whose filesets begin at *at, which moves past them. */
static const M3ManifestFileset *
winner(const M3ManifestShard *shard, size_t *at)
{
	const M3ManifestFileset *best = NULL;
	int64_t		start = shard->filesets[*at].name.block_start_ns;

	for (; *at < shard->count && shard->filesets[*at].name.block_start_ns == start; (*at)++)
	{
		if (shard->filesets[*at].status == M3_OK)
			best = &shard->filesets[*at];
	}
	return best;
}

const M3ManifestFileset *
m3_manifest_block(const M3ManifestShard *shard, int64_t block_start_ns)
{
	size_t		at = lower_bound(shard, block_start_ns);

	if (at == shard->count || shard->filesets[at].name.block_start_ns != block_start_ns)
		return NULL;
	return winner(shard, &at);
}

const M3ManifestFileset *
m3_manifest_next_block(const M3ManifestShard *shard, int64_t start_ns, int64_t end_ns,
					   size_t *position)
{
	while (*position < shard->count)
	{
		const M3ManifestFileset *fileset = winner(shard, position);
		const M3FilesetInfo *info;

		if (fileset == NULL)
			continue;
		info = &fileset->header.info;
		if (info->block_start_ns >= end_ns)
		{
			*position = shard->count;
			return NULL;
		}
		if (info->block_start_ns + info->block_size_ns > start_ns)
			return fileset;
	}
	return NULL;
}

static void
count_block(const M3ManifestFileset *fileset, M3ManifestTotals *totals)
{
	const M3FilesetInfo *info = &fileset->header.info;
	int64_t		end_ns = info->block_start_ns + info->block_size_ns;

	totals->blocks++;
	totals->series_blocks += (uint64_t) info->entry_count;
	totals->data_bytes += fileset->data_size;
	totals->index_bytes += fileset->index_size;
	if (info->entry_count == 0)
		return;
	if (info->block_start_ns < totals->first_ns)
		totals->first_ns = info->block_start_ns;
	if (end_ns > totals->end_ns)
		totals->end_ns = end_ns;
}

void
m3_manifest_totals(const M3ManifestNamespace *ns, M3ManifestTotals *totals)
{
	memset(totals, 0, sizeof(*totals));
	totals->first_ns = INT64_MAX;
	totals->end_ns = INT64_MIN;
	for (size_t i = 0; i < ns->count; i++)
	{
		const M3ManifestShard *shard = &ns->shards[i];
		const M3ManifestFileset *fileset;
		size_t		position = 0;

		for (size_t j = 0; j < shard->count; j++)
		{
			switch (shard->filesets[j].status)
			{
				case M3_OK:
					totals->filesets++;
					break;
				case M3_NOT_FOUND:
					totals->incomplete++;
					break;
				default:
					totals->damaged++;
			}
		}
		while ((fileset = m3_manifest_next_block(shard, INT64_MIN, INT64_MAX,
												 &position)) != NULL)
			count_block(fileset, totals);
	}
	totals->superseded = totals->filesets - totals->blocks;
}
