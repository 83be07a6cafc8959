/*
 * Snapshot filesets on the way into the buffers (spec/lifecycle.md 7.2, 7.5, 7.6 with OURS).
 *
 * The newest valid metadata names a run, and its filesets hold every point of the
 * logs below K that is in no data fileset.  If each of them is sound, these logs
 * are left out of the replay.  If one is not, whatever stands in for it may be older or
 * missing, so every log there is gets replayed.  Filesets of other runs are then taken for
 * that block only: what superseded runs left for other blocks is on disk since,
 * and would hide newer points there.
 *
 * A namespace that does not write to the log has nothing that puts later points over
 * a snapshot's, so between a snapshot and a crash an older value may come back for it.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/bootstrap_private.h"
#include "storage/fileset/metadata.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

typedef struct Snapshots
{
	M3Bootstrap *b;
	bool		has_run;		/* which the metadata names */
	uint8_t		run[M3_FILESET_UUID_SIZE];
	uint64_t	log_index;		/* K of the run */
	bool		is_sound;		/* so far */
	int64_t		time_ns;		/* of the run, as its filesets tell; 0 if there are none */
} Snapshots;

/* The filesets of a block. */
typedef struct BlockGroup
{
	const M3BootstrapShard *shard;
	const char *directory;
	size_t		first;
	size_t		end;
	bool		used;			/* one of them is in memory now */
	bool		is_damaged;		/* one that may be of the run cannot be used */
} BlockGroup;

static bool
is_of_run(const Snapshots *s, const M3FilesetInfo *info)
{
	return info->has_snapshot_id && memcmp(info->snapshot_id, s->run, sizeof(s->run)) == 0;
}

/* --- one fileset -------------------------------------------------------- */

static M3Status
load_payload(M3Bootstrap *b, M3Ref ref, int64_t start_ns, M3Slice payload, M3Error *err)
{
	M3Database *db = b->db;
	M3Env	   *env = db->env;
	M3Series   *series = m3_arena_at(db->arena, ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	M3Status	status;

	for (int attempt = 0;; attempt++)
	{
		env->lock(env, lock, M3_LOCK_EXCLUSIVE);
		status = m3_series_load(db->arena, env, series, start_ns, payload, &b->effect, err);
		env->unlock(env, lock);
		if (status != M3_FULL || attempt > 0)
			return status;
		M3_TRY(m3i_bootstrap_make_room(b, err));
	}
}

static M3Status
load_series(M3Bootstrap *b, const M3BootstrapShard *shard, int64_t start_ns,
			M3FilesetReader *reader, M3Error *err)
{
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Slice		payload;
	M3Status	status;
	M3Ref		ref;

	M3_TRY(m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, err));
	while ((status = m3_fileset_scan_next(scan, &entry, err)) == M3_OK)
	{
		/* the id is gone once the payload is read */
		M3_GOTO(m3i_bootstrap_series(b, shard->namespace_ref, entry.id, entry.tags,
									 shard->shard, &ref, err));
		M3_GOTO(m3_fileset_reader_data(reader, &entry, &payload, err));
		M3_GOTO(load_payload(b, ref, start_ns, payload, err));
		/* after each: a flush for want of memory says that it is not */
		b->ns->in_snapshot = true;
	}
	if (status == M3_NOT_FOUND)
		status = M3_OK;
done:
	m3_fileset_scan_close(scan);
	return status;
}

/* Everything that can be wrong with a fileset is found here, before any of it is loaded. */
static M3Status
open_sound(M3Bootstrap *b, const char *directory, const M3FilesetName *name,
		   const M3FilesetHeader *header, M3FilesetReader **reader, M3Error *err)
{
	M3FilesetReaderOptions options = {.validate = true,.header = header};

	if (header->info.snapshot_time_ns == 0)
		return m3_error(err, M3_CORRUPT, "it does not say when the snapshot was taken");
	M3_TRY(m3i_bootstrap_check_block(b, header, err));
	return m3_fileset_reader_open(b->db->env, b->memory, directory, name, &options, reader, err);
}

static void
expect_bytes(M3Bootstrap *b, const char *directory, const M3FilesetName *name)
{
	uint64_t	size;

	if (m3i_bootstrap_file_size(b, directory, name, M3_FILESET_DATA, &size, NULL) == M3_OK)
		m3i_bootstrap_expect(b, size);
}

/* Loads one volume whose header passed.  Damage is reported, and group->is_damaged set. */
static M3Status
use_volume(Snapshots *s, BlockGroup *group, const M3FilesetName *name,
		   const M3FilesetHeader *header, M3Error *err)
{
	M3Bootstrap *b = s->b;
	M3FilesetReader *reader = NULL;
	M3Error		own;
	M3Status	status;

	/* M3 takes such a fileset for no snapshot at all */
	if (header->info.snapshot_time_ns == name->block_start_ns)
	{
		group->used = true;
		return M3_OK;
	}
	own.file[0] = '\0';
	expect_bytes(b, group->directory, name);
	status = open_sound(b, group->directory, name, header, &reader, &own);
	if (status == M3_OK)
	{
		/* no second choice once some of it is loaded: it would hide newer points */
		group->used = true;
		m3i_bootstrap_count_block(b, name->block_start_ns);
		status = load_series(b, group->shard, name->block_start_ns, reader, &own);
	}
	m3_fileset_reader_close(reader);
	if (status == M3_OK)
	{
		if (s->has_run && is_of_run(s, &header->info) &&
			header->info.snapshot_time_ns > s->time_ns)
			s->time_ns = header->info.snapshot_time_ns;
		return M3_OK;
	}
	if (!m3i_bootstrap_is_damage(status))
	{
		if (err != NULL)
			*err = own;
		return status;
	}
	m3i_bootstrap_report_fileset(b, group->directory, name, &own);
	group->is_damaged = true;
	s->is_sound = false;
	return M3_OK;
}

/* --- one block ---------------------------------------------------------- */

/* Whether a fileset without checkpoint is of the run: its checkpoint was there once. */
static bool
was_of_run(const Snapshots *s, const BlockGroup *group, const M3FilesetListed *listed)
{
	M3Env	   *env = s->b->db->env;
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		bytes[1024];
	M3FilesetInfo info;
	M3File	   *file;
	size_t		got = 0;
	M3Status	status;

	if (!m3_fileset_listed_has(listed, M3_FILESET_INFO) ||
		m3_fileset_path(path, group->directory, &listed->name, M3_FILESET_INFO, NULL) != M3_OK ||
		env->open(env, path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return false;
	status = env->read(env, file, bytes, sizeof(bytes), 0, &got, NULL);
	env->close(env, file);
	return status == M3_OK && got < sizeof(bytes) &&
		m3_fileset_info_decode(m3_slice(bytes, got), &info, NULL) == M3_OK &&
		is_of_run(s, &info);
}

/* The fileset of the run, if the block has one. */
static M3Status
use_run(Snapshots *s, BlockGroup *group, M3Error *err)
{
	for (size_t i = group->end; i > group->first && !group->used; i--)
	{
		const M3FilesetListed *listed = &group->shard->list.filesets[i - 1];
		M3FilesetHeader header;
		M3Error		own;
		M3Status	status;

		own.file[0] = '\0';
		status = m3_fileset_read_header(s->b->db->env, group->directory, &listed->name, &header,
										&own);
		if (status == M3_OK)
		{
			if (is_of_run(s, &header.info))
				M3_TRY(use_volume(s, group, &listed->name, &header, err));
		}
		else if (status == M3_NOT_FOUND)
		{
			if (was_of_run(s, group, listed))
				group->is_damaged = true;
		}
		else if (!m3i_bootstrap_is_damage(status))
		{
			if (err != NULL)
				*err = own;
			return status;
		}
		else
		{
			m3i_bootstrap_report_fileset(s->b, group->directory, &listed->name, &own);
			group->is_damaged = true;
		}
	}
	return M3_OK;
}

/* The highest volume of another run that is sound; of any run if the metadata names none. */
static M3Status
use_highest(Snapshots *s, BlockGroup *group, M3Error *err)
{
	for (size_t i = group->end; i > group->first && !group->used; i--)
	{
		const M3FilesetName *name = &group->shard->list.filesets[i - 1].name;
		M3FilesetHeader header;
		M3Error		own;
		M3Status	status;

		own.file[0] = '\0';
		status = m3_fileset_read_header(s->b->db->env, group->directory, name, &header, &own);
		if (status == M3_OK)
		{
			if (!s->has_run || !is_of_run(s, &header.info))
				M3_TRY(use_volume(s, group, name, &header, err));
		}
		else if (!m3i_bootstrap_is_damage(status))
		{
			if (err != NULL)
				*err = own;
			return status;
		}
		else if (status != M3_NOT_FOUND && !s->has_run)
			m3i_bootstrap_report_fileset(s->b, group->directory, name, &own);
	}
	return M3_OK;
}

static M3Status
load_group(Snapshots *s, BlockGroup *group, M3Error *err)
{
	if (s->has_run)
	{
		M3_TRY(use_run(s, group, err));
		if (group->used || !group->is_damaged)
			return M3_OK;
		s->is_sound = false;
	}
	return use_highest(s, group, err);
}

static M3Status
load_shard(Snapshots *s, const M3BootstrapShard *shard, M3Error *err)
{
	M3Bootstrap *b = s->b;
	const M3FilesetList *list = &shard->list;
	char		directory[M3_FILESET_PATH_SIZE];
	size_t		end;

	M3_TRY(m3i_bootstrap_shard_directory(b, shard, directory, err));
	for (size_t i = 0; i < list->count; i = end)
	{
		BlockGroup	group = {.shard = shard,.directory = directory,.first = i};

		end = group.end = m3i_bootstrap_group_end(list, i);
		if (!m3i_bootstrap_wants(b, list->filesets[i].name.block_start_ns))
			continue;
		b->db->env->yield(b->db->env);
		M3_TRY(load_group(s, &group, err));
		m3i_bootstrap_file_done(b);
	}
	return M3_OK;
}

/* --- all of them -------------------------------------------------------- */

/*
 * Whether the namespace was voided after the run began: what the run's filesets hold
 * is void, or is in the logs that are replayed.
 */
static bool
is_void(const Snapshots *s, const M3NamespaceShared *ns)
{
	return s->has_run && ns->floor.log_index >= s->log_index &&
		(ns->floor.log_index != 0 || ns->floor.offset != 0);
}

static M3Status
find_run(Snapshots *s, M3Error *err)
{
	M3Bootstrap *b = s->b;
	M3SnapshotMetadataList list = {0};
	const M3SnapshotMetadataEntry *newest;

	M3_TRY(m3_snapshot_metadata_list(b->db->env, b->memory, b->db->path, &list, err));
	for (size_t i = 0; i < list.count; i++)
	{
		const M3SnapshotMetadataEntry *entry = &list.entries[i];

		if (entry->valid && entry->log_index >= 0 &&
			(uint64_t) entry->log_index + 1 > b->log_floor)
			b->log_floor = (uint64_t) entry->log_index + 1;
	}
	newest = m3_snapshot_metadata_newest(&list);
	if (newest != NULL && m3_snapshot_metadata_ambiguous(&list))
		m3i_bootstrap_report(b, "two snapshots have the same number; all commit logs are replayed");
	else if (newest != NULL && newest->log_index < 0)
		m3i_bootstrap_report(b, "snapshot %" PRId64 " names no commit log; all are replayed",
							 newest->name.index);
	else if (newest != NULL)
	{
		s->has_run = s->is_sound = true;
		memcpy(s->run, newest->name.uuid, sizeof(s->run));
		s->log_index = (uint64_t) newest->log_index;
	}
	m3_snapshot_metadata_list_free(&list);
	return M3_OK;
}

/* What the jobs go by; a snapshot that is not whole is none. */
static void
set_jobs(const Snapshots *s)
{
	M3RootJobs *jobs = &s->b->db->root->jobs;
	bool		whole = s->has_run && s->is_sound;

	__atomic_store_n(&jobs->snapshot_log_index, whole ? s->log_index : UINT64_MAX,
					 __ATOMIC_RELAXED);
	__atomic_store_n(&jobs->last_snapshot_ns, whole ? s->time_ns : 0, __ATOMIC_RELAXED);
	if (s->has_run && !whole)
		__atomic_store_n(&jobs->snapshot_wanted, true, __ATOMIC_RELAXED);
}

M3Status
m3i_bootstrap_snapshots(M3Bootstrap *b, M3Error *err)
{
	Snapshots	s = {.b = b};

	M3_TRY(find_run(&s, err));
	for (size_t i = 0; i < b->shard_count; i++)
	{
		const M3BootstrapShard *shard = &b->shards[i];
		M3NamespaceShared *ns = m3_arena_at(b->db->arena, shard->namespace_ref);

		if (shard->kind != M3_FILESET_KIND_SNAPSHOT || is_void(&s, ns))
			continue;
		if (ns != b->ns)
			m3i_bootstrap_enter(b, ns);
		M3_TRY(load_shard(&s, shard, err));
	}
	m3i_bootstrap_enter(b, NULL);
	if (s.has_run && s.is_sound)
		b->first_log = s.log_index;
	else if (s.has_run)
		m3i_bootstrap_report(b, "the newest snapshot is not whole; all commit logs are replayed, "
							 "and what was in none of them may be missing");
	set_jobs(&s);
	return M3_OK;
}
