/*
 * Which volume of a block counts, and what a damaged one means.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/fileset/reader.h"
#include "tools/verify_private.h"

#define HELD_ELSEWHERE "nothing: a lower volume and the logs after it hold the same points"

/* All volumes of one block in one shard, ascending. */
typedef struct Block
{
	M3FilesetKind kind;
	const char *namespace_name;
	uint32_t	shard;
	const char *directory;
	const M3FilesetListed *volumes;
	size_t		count;
} Block;

/* Info as it stands, whether the fileset is complete or not; false if it is unreadable. */
static bool
peek_info(Verify *v, const Block *block, const M3FilesetName *name, M3FilesetInfo *info)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		bytes[M3_FILESET_INFO_MAX_SIZE];
	M3File	   *file;
	size_t		got = 0;
	bool		ok;

	if (m3_fileset_path(path, block->directory, name, M3_FILESET_INFO, NULL) != M3_OK ||
		v->env->open(v->env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return false;
	ok = v->env->read(v->env, file, bytes, sizeof(bytes), 0, &got, NULL) == M3_OK &&
		m3_fileset_info_decode(m3_slice(bytes, got), info, NULL) == M3_OK;
	v->env->close(v->env, file);
	return ok;
}

static bool
is_empty_file(Verify *v, const Block *block, const M3FilesetName *name, M3FilesetFile which)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3File	   *file;
	uint64_t	size = 1;

	if (m3_fileset_path(path, block->directory, name, which, NULL) != M3_OK ||
		v->env->open(v->env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return false;
	if (v->env->size(v->env, file, &size, NULL) != M3_OK)
		size = 1;
	v->env->close(v->env, file);
	return size == 0;
}

/* Whether a fileset that is not sound holds no series: three files agree. */
static bool
is_without_series(Verify *v, const Block *block, const M3FilesetName *name)
{
	M3FilesetInfo info;

	return peek_info(v, block, name, &info) && info.entry_count == 0 &&
		is_empty_file(v, block, name, M3_FILESET_INDEX) &&
		is_empty_file(v, block, name, M3_FILESET_DATA);
}

/* Whether the logs that a snapshot run needs after it are there: they go in ascending
 * order, so the first one is enough. */
static bool
has_logs_after(Verify *v, const uint8_t *snapshot_id)
{
	for (size_t i = 0; i < v->metadata.count; i++)
	{
		const M3SnapshotMetadataEntry *entry = &v->metadata.entries[i];

		if (!entry->valid ||
			memcmp(entry->name.uuid, snapshot_id, M3_FILESET_UUID_SIZE) != 0)
			continue;
		for (size_t j = 0; j < m3_log_set_count(v->logs); j++)
		{
			const M3LogFile *file = m3_log_set_file(v->logs, j);

			if (file->has_info && !file->is_legacy && file->info.index == entry->log_index)
				return true;
		}
	}
	return false;
}

/* Whether a snapshot volume below number holds, with the logs, all that it did. */
static bool
is_held_below(Verify *v, const Block *block, size_t number)
{
	M3FilesetReaderOptions options = {.validate = true};

	if (block->kind == M3_FILESET_KIND_DATA)
		return false;
	while (number-- > 0)
	{
		M3FilesetReader *reader;
		bool		held;

		if (m3_fileset_reader_open(v->env, v->memory, block->directory,
								   &block->volumes[number].name, &options, &reader,
								   NULL) != M3_OK)
			continue;
		held = has_logs_after(v, m3_fileset_reader_header(reader)->info.snapshot_id);
		m3_fileset_reader_close(reader);
		return held;
	}
	return false;
}

static M3Status
defer_incomplete(Verify *v, const Block *block, const M3FilesetName *name, const char *path,
				 M3Error *err)
{
	VerifyIncomplete *grown;
	VerifyIncomplete *fileset;
	M3FilesetInfo info;
	size_t		size = strlen(block->namespace_name) + 1;

	grown = m3_resize(v->memory, v->incomplete, (v->incomplete_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	v->incomplete = grown;
	fileset = &grown[v->incomplete_count];
	memset(fileset, 0, sizeof(*fileset));
	fileset->namespace_name = m3_alloc(v->memory, size);
	if (fileset->namespace_name == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memcpy(fileset->namespace_name, block->namespace_name, size);
	v->incomplete_count++;
	snprintf(fileset->path, sizeof(fileset->path), "%s", path);
	fileset->shard = block->shard;
	fileset->start_ns = name->block_start_ns;
	if (peek_info(v, block, name, &info))
		fileset->size_ns = info.block_size_ns;
	fileset->is_empty = is_without_series(v, block, name);
	return M3_OK;
}

static M3Status
check_incomplete(Verify *v, const Block *block, size_t number, bool other_counts, M3Error *err)
{
	const M3FilesetName *name = &block->volumes[number].name;
	M3FilesetInfo info;
	char		path[M3_FILESET_PATH_SIZE];

	M3_TRY(m3_fileset_path(path, block->directory, name, M3_FILESET_CHECKPOINT, err));
	if (block->kind == M3_FILESET_KIND_DATA && !other_counts)
		return defer_incomplete(v, block, name, path, err);
	if (block->kind == M3_FILESET_KIND_SNAPSHOT && v->newest != NULL &&
		peek_info(v, block, name, &info) && info.has_snapshot_id && info.entry_count > 0 &&
		memcmp(info.snapshot_id, v->newest->name.uuid, M3_FILESET_UUID_SIZE) == 0)
	{
		bool		held = is_held_below(v, block, number);

		verify_finding(v, held ? VERIFY_NOTE : VERIFY_DAMAGE, path, -1, held ? HELD_ELSEWHERE :
					   "what only this snapshot held is lost: its run is published",
					   "snapshot of the newest run without a whole checkpoint");
		return M3_OK;
	}
	verify_finding(v, VERIFY_NOTE, path, -1, "nothing: it was never finished, and others count",
				   "fileset without a whole checkpoint");
	return M3_OK;
}

static void
check_snapshot_info(Verify *v, const char *path, const M3FilesetInfo *info)
{
	bool		published = false;

	if (!info->has_snapshot_id)
	{
		verify_finding(v, VERIFY_NOTE, path, -1, "cleanup takes it for another run's",
					   "snapshot without an id");
		return;
	}
	for (size_t i = 0; i < v->metadata.count && !published; i++)
		published = v->metadata.entries[i].valid &&
			memcmp(v->metadata.entries[i].name.uuid, info->snapshot_id,
				   M3_FILESET_UUID_SIZE) == 0;
	if (!published)
		verify_finding(v, VERIFY_NOTE, path, -1,
					   "nothing: recovery uses it all the same, cleanup removes it",
					   "orphan snapshot: no valid metadata is of its run");
	if (info->snapshot_time_ns == 0)
		verify_finding(v, VERIFY_NOTE, path, -1, "M3DB's bootstrap fails on it",
					   "snapshot time is 0");
	else if (info->snapshot_time_ns == info->block_start_ns)
		verify_finding(v, VERIFY_NOTE, path, -1, "M3DB ignores this snapshot",
					   "snapshot time is the block's start");
}

static void
check_info(Verify *v, const Block *block, const char *path, const M3FilesetInfo *info)
{
	const RegistryNamespace *ns = registry_find(&v->registry,
												m3_slice_cstr(block->namespace_name));

	if (block->kind == M3_FILESET_KIND_SNAPSHOT)
		check_snapshot_info(v, path, info);
	else if (info->has_snapshot_id)
		verify_finding(v, VERIFY_NOTE, path, -1, "none", "data fileset with a snapshot id");
	if (info->block_start_ns <= 0)
		verify_finding(v, VERIFY_DAMAGE, path, -1, "M3DB never lists it",
					   "block starts at or before 1970");
	if (info->block_size_ns < INT64_C(1000000000) ||
		info->block_size_ns % INT64_C(1000000000) != 0 ||
		m3_block_start(info->block_start_ns, info->block_size_ns) != info->block_start_ns)
		verify_finding(v, VERIFY_NOTE, path, -1, "queries may look for its points elsewhere",
					   "block start %" PRId64 " is not aligned to block size %" PRId64,
					   info->block_start_ns, info->block_size_ns);
	if (ns != NULL && ns->options.block_size_ns != info->block_size_ns)
		verify_finding(v, VERIFY_NOTE, path, -1, "queries may look for its points elsewhere",
					   "block size is %" PRId64 " ns, in the registry %" PRId64,
					   info->block_size_ns, ns->options.block_size_ns);
}

/* A header that fails its checks. */
static void
report_header(Verify *v, const Block *block, size_t number, bool superseded, bool lower,
			  const M3Error *reason)
{
	char		path[M3_FILESET_PATH_SIZE];
	bool		held = !superseded && is_held_below(v, block, number);
	bool		empty = is_without_series(v, block, &block->volumes[number].name);
	const char *consequence;

	if (m3_fileset_path(path, block->directory, &block->volumes[number].name, M3_FILESET_INFO,
						NULL) != M3_OK)
		path[0] = '\0';
	if (superseded)
		consequence = "nothing: a higher volume counts";
	else if (held)
		consequence = HELD_ELSEWHERE;
	else if (empty)
		consequence = VERIFY_NO_SERIES;
	else if (lower)
		consequence = "a lower volume counts; what this one had beyond it is lost";
	else
		consequence = "the fileset counts as absent; what snapshots and logs do not hold is lost";
	verify_finding(v, superseded || held || empty ? VERIFY_NOTE : VERIFY_DAMAGE,
				   reason->file[0] == '\0' ? path : reason->file, reason->offset, consequence,
				   "%s", reason->message);
}

static M3Status
check_block(Verify *v, const Block *block, M3Error *err)
{
	bool		counted = false;	/* a higher volume's header is sound */

	for (size_t i = block->count; i-- > 0;)
	{
		const M3FilesetName *name = &block->volumes[i].name;
		M3FilesetHeader header;
		M3Error		reason;
		M3Status	status;
		char		path[M3_FILESET_PATH_SIZE];
		bool		lower = false;

		if (block->volumes[i].files == 1u << M3_FILESET_STATISTICS)
		{
			M3_TRY(m3_fileset_path(path, block->directory, name, M3_FILESET_STATISTICS, err));
			verify_finding(v, VERIFY_NOTE, path, -1, "nothing: nobody looks for them",
						   "statistics without a fileset");
			continue;
		}
		v->report->filesets++;
		memset(&reason, 0, sizeof(reason));
		status = m3_fileset_read_header(v->env, block->directory, name, &header, &reason);
		for (size_t j = i; j-- > 0 && status != M3_OK && !lower;)
		{
			M3FilesetHeader other;

			lower = m3_fileset_read_header(v->env, block->directory, &block->volumes[j].name,
										   &other, NULL) == M3_OK;
		}
		if (status == M3_NOT_FOUND)
			M3_TRY(check_incomplete(v, block, i, counted || lower, err));
		else if (verify_is_damage(status))
			report_header(v, block, i, counted, lower, &reason);
		else if (status != M3_OK)
		{
			if (err != NULL)
				*err = reason;
			return status;
		}
		else
		{
			bool		harmless = counted || header.info.entry_count == 0;

			M3_TRY(m3_fileset_path(path, block->directory, name, M3_FILESET_INFO, err));
			check_info(v, block, path, &header.info);
			if (!harmless && block->kind == M3_FILESET_KIND_SNAPSHOT)
				harmless = is_held_below(v, block, i);
			M3_TRY(verify_volume(v, block->shard, block->directory, name, &header,
								 harmless ? VERIFY_NOTE : VERIFY_DAMAGE, err));
			counted = true;
		}
	}
	return M3_OK;
}

typedef struct StrayContext
{
	Verify	   *v;
	const char *directory;
} StrayContext;

/* Names that M3DB's pattern finds and its parser refuses. */
static M3Status
check_stray(void *context, const char *name, bool is_directory)
{
	StrayContext *stray = context;
	M3FilesetName parsed;
	M3FilesetFile file;
	char		path[M3_FILESET_PATH_SIZE + 256];
	size_t		size = strlen(name);

	if (is_directory || strncmp(name, "fileset-", 8) != 0 || name[8] < '0' || name[8] > '9' ||
		size < 3 || strcmp(name + size - 3, ".db") != 0 ||
		m3_fileset_parse_name(name, &parsed, &file))
		return M3_OK;
	snprintf(path, sizeof(path), "%s/%s", stray->directory, name);
	verify_finding(stray->v, VERIFY_NOTE, path, -1, "M3DB may fail to list the whole shard",
				   "file looks like a fileset's but is none");
	return M3_OK;
}

static M3Status
check_shard(Verify *v, M3FilesetKind kind, const char *namespace_name, uint32_t shard,
			M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	StrayContext stray = {v, directory};
	M3FilesetList list;
	M3Status	status;
	size_t		first = 0;

	M3_TRY(m3_fileset_shard_directory(directory, v->options->root, kind,
									  m3_slice_cstr(namespace_name), shard, err));
	if (v->shard_count != 0 && shard >= v->shard_count)
		verify_finding(v, VERIFY_DAMAGE, directory, -1, "queries do not look there",
					   "shard of a root with %u shards", v->shard_count);
	status = v->env->list(v->env, directory, check_stray, &stray, err);
	if (status != M3_OK && status != M3_NOT_FOUND)
		return status;
	M3_TRY(m3_fileset_list(v->env, v->memory, directory, &list, err));
	status = M3_OK;
	while (first < list.count && status == M3_OK)
	{
		Block		block = {kind, namespace_name, shard, directory, list.filesets + first, 1};

		while (first + block.count < list.count &&
			   list.filesets[first + block.count].name.block_start_ns ==
			   list.filesets[first].name.block_start_ns)
			block.count++;
		status = check_block(v, &block, err);
		first += block.count;
	}
	m3_fileset_list_free(&list);
	return status;
}

static M3Status
check_namespace(Verify *v, M3FilesetKind kind, const char *name, M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	uint32_t   *shards;
	size_t		count;
	M3Status	status = M3_OK;

	if (v->has_registry && registry_find(&v->registry, m3_slice_cstr(name)) == NULL)
	{
		M3_TRY(m3_fileset_namespace_directory(directory, v->options->root, kind,
											  m3_slice_cstr(name), err));
		verify_finding(v, VERIFY_NOTE, directory, -1, "no table shows it",
					   "namespace is not in the registry");
	}
	M3_TRY(m3_fileset_list_shards(v->env, v->memory, v->options->root, kind,
								  m3_slice_cstr(name), &shards, &count, err));
	for (size_t i = 0; i < count && status == M3_OK; i++)
		status = check_shard(v, kind, name, shards[i], err);
	m3_free(v->memory, shards);
	return status;
}

/* A snapshot of the block stands for an unfinished flush of it. */
static void
cover_by_snapshots(Verify *v)
{
	for (size_t i = 0; i < v->incomplete_count; i++)
	{
		VerifyIncomplete *fileset = &v->incomplete[i];
		char		directory[M3_FILESET_PATH_SIZE];
		M3FilesetList list;
		M3FilesetName name;
		M3FilesetHeader header;

		if (m3_fileset_shard_directory(directory, v->options->root, M3_FILESET_KIND_SNAPSHOT,
									   m3_slice_cstr(fileset->namespace_name), fileset->shard,
									   NULL) != M3_OK ||
			m3_fileset_list(v->env, v->memory, directory, &list, NULL) != M3_OK)
			continue;
		fileset->is_covered = m3_fileset_choose(v->env, directory, &list, fileset->start_ns,
												&name, &header, NULL, NULL) == M3_OK;
		m3_fileset_list_free(&list);
	}
}

M3Status
verify_filesets(Verify *v, M3FilesetKind kind, M3Error *err)
{
	M3FilesetNames names;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list_namespaces(v->env, v->memory, v->options->root, kind, &names, err));
	for (size_t i = 0; i < names.count && status == M3_OK; i++)
		status = check_namespace(v, kind, names.names[i], err);
	m3_fileset_names_free(&names);
	if (status == M3_OK && kind == M3_FILESET_KIND_SNAPSHOT)
		cover_by_snapshots(v);
	return status;
}
