/*
 * Purging: the files of truncated and dropped namespaces.
 *
 *   files      of all shards, gone for good, then empty directories
 *   registry   only then: the namespace's floor, below which the logs say nothing about it
 *
 * Until the registry has the floor, the VOID marker in the log does the same after
 * a crash: cleanup keeps that log, and flush and snapshot leave the namespace alone.
 */
#include <string.h>

#include "storage/db/jobs_private.h"
#include "storage/db/sweep.h"
#include "storage/fileset/metadata.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* A namespace whose files go. */
typedef struct Victim
{
	M3Ref		ref;
	M3LogPlace	purge;			/* as it was before the files went */
	M3LogPlace	floor;			/* before */
	bool		done;			/* the files are gone */
	bool		told;			/* the floor is raised */
} Victim;

typedef struct Purge
{
	M3Sweep		sweep;
	M3PurgeResult *result;
	Victim	   *victims;
	size_t		count;
	const M3SnapshotMetadataEntry *snapshot;	/* the newest; NULL: none */
	const Victim *victim;		/* at work */
} Purge;

static M3NamespaceShared *
namespace_at(const Purge *p, M3Ref ref)
{
	return m3_arena_at(p->sweep.db->arena, ref);
}

/* --- files -------------------------------------------------------------- */

/* Whether a snapshot fileset was written after the namespace was voided. */
static M3Status
is_of_later_snapshot(const Purge *p, const M3SweepShard *shard, const M3FilesetName *name,
					 bool *later, M3Error *err)
{
	const M3SnapshotMetadataEntry *snapshot = p->snapshot;
	M3FilesetHeader header;
	M3Status	status;

	*later = false;
	if (snapshot == NULL || snapshot->log_index < 0 ||
		(uint64_t) snapshot->log_index <= p->victim->purge.log_index)
		return M3_OK;
	status = m3_fileset_read_header(p->sweep.db->env, shard->directory, name, &header, err);
	if (status == M3_IO || status == M3_NO_MEMORY)
		return status;
	*later = status == M3_OK && header.info.has_snapshot_id &&
		memcmp(header.info.snapshot_id, snapshot->name.uuid, M3_FILESET_UUID_SIZE) == 0;
	return M3_OK;
}

/* All go, but what readers believe in and what replaces logs: both are of later. */
static M3Status
is_void(void *context, const M3SweepShard *shard, const M3FilesetListed *listed, bool *gone,
		M3Error *err)
{
	Purge	   *p = context;
	bool		later = false;

	if (shard->kind == M3_FILESET_KIND_SNAPSHOT)
		M3_TRY(is_of_later_snapshot(p, shard, &listed->name, &later, err));
	else
	{
		M3BlockShared block;

		later = m3i_blocks_find(p->sweep.db, namespace_at(p, p->victim->ref), shard->shard,
								listed->name.block_start_ns, &block) &&
			block.volume == listed->name.volume;
	}
	*gone = !later;
	return M3_OK;
}

static M3Status
remove_files(Purge *p, M3Error *err)
{
	static const M3FilesetKind kinds[] = {M3_FILESET_KIND_DATA, M3_FILESET_KIND_SNAPSHOT};
	M3Database *db = p->sweep.db;
	const M3NamespaceShared *ns = namespace_at(p, p->victim->ref);
	M3Slice		name = m3_slice(ns->name, ns->name_size);
	char		directory[M3_FILESET_PATH_SIZE];
	M3Status	first = M3_OK;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		M3Status	status = m3i_sweep_namespace(&p->sweep, kinds[i], name, NULL, is_void, p,
												 m3i_first_error(first, err));

		if (status == M3_OK)
			status = m3_fileset_kind_directory(directory, db->path, kinds[i],
											   m3i_first_error(first, err));
		if (status == M3_OK)
			status = db->env->sync_directory(db->env, directory, m3i_first_error(first, err));
		/* nothing was ever written */
		if (status == M3_NOT_FOUND)
			status = M3_OK;
		if (first == M3_OK)
			first = status;
	}
	return first;
}

/* --- the registry ------------------------------------------------------- */

/* ROOT_NAMES held exclusive.  One voided again meanwhile has files to go once more. */
static size_t
raise_floors(Purge *p)
{
	size_t		raised = 0;

	for (size_t i = 0; i < p->count; i++)
	{
		Victim	   *victim = &p->victims[i];
		M3NamespaceShared *ns = namespace_at(p, victim->ref);

		if (!victim->done || ns->purge.log_index != victim->purge.log_index ||
			ns->purge.offset != victim->purge.offset)
			continue;
		victim->floor = ns->floor;
		victim->told = true;
		ns->floor = victim->purge;
		ns->purge_pending = false;
		raised++;
	}
	return raised;
}

/* ROOT_NAMES held exclusive. */
static void
lower_floors(Purge *p)
{
	for (size_t i = 0; i < p->count; i++)
	{
		const Victim *victim = &p->victims[i];

		if (!victim->told)
			continue;
		namespace_at(p, victim->ref)->floor = victim->floor;
		namespace_at(p, victim->ref)->purge_pending = true;
	}
}

static M3Status
write_registry(Purge *p, M3Error *err)
{
	M3Database *db = p->sweep.db;
	M3Status	status = M3_OK;
	size_t		raised;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	raised = raise_floors(p);
	if (raised > 0 || db->root->registry_dirty)
		status = m3i_registry_write(db, err);
	if (status == M3_OK)
		db->root->registry_dirty = false;
	else
		lower_floors(p);
	db->env->unlock(db->env, m3i_lock_names(db));
	if (status == M3_OK)
		p->result->namespaces += raised;
	return status;
}

/* --- the whole ---------------------------------------------------------- */

/* Namespaces whose files are to go; *dirty: the registry is to be written anyway. */
static M3Status
find_victims(Purge *p, bool *dirty, M3Error *err)
{
	M3Database *db = p->sweep.db;
	M3Memory   *memory = db->engine->memory;
	M3Ref	   *refs;
	size_t		count;

	M3_TRY(m3i_namespace_refs(db, true, &refs, &count, err));
	p->victims = count == 0 ? NULL : m3_alloc(memory, count * sizeof(*p->victims));
	if (count > 0 && p->victims == NULL)
	{
		m3_free(memory, refs);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	*dirty = db->root->registry_dirty;
	for (size_t i = 0; i < count; i++)
	{
		const M3NamespaceShared *ns = namespace_at(p, refs[i]);

		if (ns->purge_pending)
			p->victims[p->count++] = (Victim) {.ref = refs[i],.purge = ns->purge};
	}
	db->env->unlock(db->env, m3i_lock_names(db));
	m3_free(memory, refs);
	return M3_OK;
}

static M3Status
purge_victims(Purge *p, M3Error *err)
{
	M3Database *db = p->sweep.db;
	M3SnapshotMetadataList snapshots = {0};
	M3Status	first = M3_OK;

	if (p->count > 0)
		M3_TRY(m3_snapshot_metadata_list(db->env, db->engine->memory, db->path, &snapshots, err));
	if (!m3_snapshot_metadata_ambiguous(&snapshots))
		p->snapshot = m3_snapshot_metadata_newest(&snapshots);
	for (size_t i = 0; i < p->count; i++)
	{
		M3Status	status;

		p->victim = &p->victims[i];
		m3i_sweep_begin(&p->sweep, (const char *) namespace_at(p, p->victim->ref)->name);
		status = remove_files(p, m3i_first_error(first, err));
		p->victims[i].done = status == M3_OK;
		if (first == M3_OK)
			first = status;
	}
	m3_snapshot_metadata_list_free(&snapshots);
	return first;
}

static M3Status
run(Purge *p, M3Error *err)
{
	bool		dirty = false;
	M3Status	first;
	M3Status	status = M3_OK;

	M3_TRY(find_victims(p, &dirty, err));
	if (p->count == 0 && !dirty)
		return M3_OK;
	m3i_sweep_begin(&p->sweep, "");
	first = purge_victims(p, err);
	status = write_registry(p, m3i_first_error(first, err));
	return first == M3_OK ? status : first;
}

M3Status
m3_purge_run(M3Database *db, M3PurgeResult *result, M3Error *err)
{
	Purge		p = {
		.sweep = {.db = db,.job = M3_JOB_PURGE,.remove_directories = true},
		.result = result
	};
	M3Error		own_error = {0};
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	memset(result, 0, sizeof(*result));
	M3_TRY(m3i_require_ready(db, err));
	status = run(&p, err);
	m3_free(db->engine->memory, p.victims);
	result->files = p.sweep.filesets;
	return m3i_sweep_end(&p.sweep, status, err);
}
