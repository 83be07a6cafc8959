/*
 * Commit logs on the way into the buffers: checked, repaired, replayed in order, and
 * the fates of their transactions written down.
 */
#include "storage/db/bootstrap_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/*
 * What a log's series record is mapped to while its file is replayed: the
 * series, or until it is needed its namespace with the lowest bit set.
 */
#define USER_UNKNOWN 0
#define USER_SKIP 1				/* namespace not in the registry */
#define USER_NAMESPACE 1

static M3Status
on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	M3Bootstrap *b = context;
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	progress->done_bytes = b->total_bytes + done_bytes;
	progress->total_bytes = b->total_bytes + total_bytes;
	progress->entries = b->entries;
	progress->skipped_groups = b->dropped_count;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return M3_OK;
}

/* --- logs: what is there ------------------------------------------------ */

static void
report_file(const M3Bootstrap *b, const M3LogFile *file)
{
	if (!file->has_info)
		m3i_bootstrap_report(b, "commit log \"%s\" (%" PRIu64 " bytes) has no readable header and "
							 "is left out: %s", file->name, file->size, file->reason);
	else if (file->end.kind == M3_LOG_END_TORN || file->end.kind == M3_LOG_END_HOLE ||
			 file->end.kind == M3_LOG_END_CORRUPT)
		m3i_bootstrap_report(b, "commit log \"%s\" is %s at byte %" PRIu64 " of %" PRIu64 " (%s): "
							 "%" PRIu64 " points before byte %" PRIu64
							 " are kept, what follows in this file is not",
							 file->name, m3_log_end_name(file->end.kind), file->end.offset,
							 file->end.file_size, file->end.reason, file->end.entries,
							 file->end.valid_size);
}

static M3Status
repair_logs(M3Bootstrap *b, M3Error *err)
{
	for (size_t i = 0; i < m3_log_set_count(b->set); i++)
	{
		const M3LogFile *file = m3_log_set_file(b->set, i);
		uint64_t	cut;

		if (file->has_info && (uint64_t) file->info.index > b->highest_index)
			b->highest_index = (uint64_t) file->info.index;
		if (file->is_blank && b->db->read_only)
			continue;
		if (file->is_blank)
		{
			M3_TRY(m3_log_set_remove_blank(b->set, i, err));
			continue;
		}
		report_file(b, file);
		if (!b->db->read_only && m3_log_set_needs_repair(b->set, i))
			M3_TRY(m3_log_set_repair(b->set, i, &cut, err));
	}
	return M3_OK;
}

/* --- logs: replay ------------------------------------------------------- */

static M3Status
drop_group(M3Bootstrap *b, const M3LogGroupInfo *group, M3Error *err)
{
	if (b->dropped_count == b->dropped_capacity)
	{
		size_t		capacity = b->dropped_capacity == 0 ? 16 : b->dropped_capacity * 2;
		M3BootstrapGroupName *grown = m3_resize(b->memory, b->dropped, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		b->dropped = grown;
		b->dropped_capacity = capacity;
	}
	b->dropped[b->dropped_count].log_index = group->log_index;
	b->dropped[b->dropped_count].offset = group->offset;
	b->dropped_count++;
	return M3_OK;
}

/* Whether an earlier load of a mount has replayed the group. */
static bool
is_replayed(const M3Bootstrap *b, const M3LogGroupInfo *group)
{
	for (size_t i = 0; i < b->replayed_count; i++)
	{
		if (b->replayed[i].log_index == group->log_index)
			return group->offset < b->replayed[i].valid_size;
	}
	return false;
}

static M3Status
on_group(void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err)
{
	M3Bootstrap *b = context;
	M3TransactionFate fate = M3_FATE_COMMITTED;

	if (b->db->read_only)
	{
		*apply = b->replayed == NULL || !is_replayed(b, group);
		if (b->replayed == NULL || !*apply)
			b->groups++;
		else
			b->new_groups++;
		/* its server alone could say */
		if (*apply && group->xid != 0 && !group->is_resolved)
			b->unresolved++;
		return M3_OK;
	}
	if (group->xid != 0 && !group->is_resolved && b->hooks != NULL && b->hooks->fate != NULL)
	{
		b->asked = true;
		fate = b->hooks->fate(b->hooks->context, group->xid);
	}
	*apply = fate == M3_FATE_COMMITTED;
	if (fate == M3_FATE_UNKNOWN)
	{
		(void) m3_error(err, M3_UNSUPPORTED,
						"transaction %" PRIu64 " of commit log %" PRIu64
						" is too old to tell whether it committed",
						group->xid, group->log_index);
		m3_error_detail(err, "Its group begins at byte %" PRIu64 ".", group->offset);
		return M3_UNSUPPORTED;
	}
	return *apply ? M3_OK : drop_group(b, group, err);
}

/*
 * Whether entries of a group go to the namespace.  One that the registry calls alive and that
 * was dropped in the course of the replay was made anew before it was written to
 * again: the registry is written first.
 */
static bool
takes_entries(const M3Bootstrap *b, M3NamespaceShared *ns, const M3LogGroupInfo *group)
{
	M3LogPlace	place = {group->log_index, group->offset};
	M3Database *db = b->db;

	if (m3i_place_before(place, ns->floor))
		return false;
	if (!ns->dropped)
		return true;
	if (!ns->purge_pending)
		return false;
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	ns->dropped = false;
	db->env->unlock(db->env, m3i_lock_names(db));
	return true;
}

static M3Status
write_point(M3Bootstrap *b, M3Series *series, int64_t start_ns, const M3Point *point, M3Error *err)
{
	M3Database *db = b->db;
	M3Status	status;

	status = m3_series_write(db->arena, db->env, series, start_ns, point, 0, 0, b->memory,
							 &b->effect, err);
	if (status != M3_FULL)
		return status;
	M3_TRY(m3i_bootstrap_make_room(b, err));
	return m3_series_write(db->arena, db->env, series, start_ns, point, 0, 0, b->memory,
						   &b->effect, err);
}

static M3Status
apply_point(M3Bootstrap *b, M3NamespaceShared *ns, const M3LogGroupInfo *group,
			const M3LogRecord *record, M3Error *err)
{
	M3Series   *series = m3_arena_at(b->db->arena, record->series->user);
	int64_t		start_ns;
	M3Point		point = {
		.time_ns = record->time_ns,
		.value = record->value,
		.unit = m3_unit_is_valid(record->unit) ? (M3TimeUnit) record->unit : M3_UNIT_NONE,
		.annotation = record->annotation
	};

	if (ns != b->ns)
		m3i_bootstrap_enter(b, ns);
	if (record->time_ns < b->min_time_ns || record->time_ns >= b->end_time_ns)
	{
		b->unplaced++;
		return M3_OK;
	}
	start_ns = m3_block_start(record->time_ns, ns->options.block_size_ns);
	if (!m3i_bootstrap_wants(b, start_ns))
		return M3_OK;
	M3_TRY(write_point(b, series, start_ns, &point, err));
	m3i_bootstrap_count_block(b, start_ns);
	if (ns->unflushed_log == M3_COMMITLOG_NO_INDEX)
		ns->unflushed_log = group->log_index;
	return M3_OK;
}

/* Notes the namespace; the series is made when it is needed. */
static M3Status
map_namespace(M3Bootstrap *b, M3LogSeries *record, M3Error *err)
{
	M3Slice		name = record->metadata.namespace;
	M3Ref		ref = 0;

	if (!b->db->read_only)
		ref = m3i_bootstrap_find_namespace(b, name);
	else if (record->metadata.shard < M3_MOUNT_MAX_SHARDS)
		M3_TRY(m3i_bootstrap_namespace(b, name, M3_MOUNT_BLOCK_SIZE_NS, &ref, err));
	record->user = ref == 0 ? USER_SKIP : ref | USER_NAMESPACE;
	return M3_OK;
}

static M3Status
on_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	M3Bootstrap *b = context;
	M3LogSeries *mapped = record->series;
	M3Arena    *arena = b->db->arena;
	bool		is_series;
	M3Ref		namespace_ref;

	if (mapped->user == USER_UNKNOWN)
		M3_TRY(map_namespace(b, mapped, err));
	if (mapped->user == USER_SKIP)
	{
		b->unplaced++;
		return M3_OK;
	}
	is_series = (mapped->user & USER_NAMESPACE) == 0;
	namespace_ref = is_series ?
		((const M3Series *) m3_arena_at(arena, mapped->user))->namespace_ref :
		mapped->user & ~(M3Ref) USER_NAMESPACE;
	if (!takes_entries(b, m3_arena_at(arena, namespace_ref), group))
		return M3_OK;
	/* unlinked: another entry of the log had tags for it */
	if (!is_series || ((const M3Series *) m3_arena_at(arena, mapped->user))->unlinked)
		M3_TRY(m3i_bootstrap_series(b, namespace_ref, mapped->metadata.id, mapped->metadata.tags,
									mapped->metadata.shard, &mapped->user, err));
	b->entries++;
	return apply_point(b, m3_arena_at(arena, namespace_ref), group, record, err);
}

/*
 * TRUNCATE or DROP.  All that was loaded is from before it, or comes again from this log and
 * those after it; not so for a namespace that does not write to logs, which loses what it
 * got since.  A marker at the floor itself has had its effect: its files went before
 * the registry got the floor, and what is there now is newer.
 */
static M3Status
on_void(void *context, const M3LogGroupInfo *group, const M3LogMarker *marker, M3Error *err)
{
	M3Bootstrap *b = context;
	M3Database *db = b->db;
	M3LogPlace	place = {group->log_index, group->offset};
	M3Ref		ref = m3i_bootstrap_find_namespace(b, marker->name);
	M3NamespaceShared *ns;

	(void) err;
	if (ref == 0)
		return M3_OK;
	ns = m3_arena_at(db->arena, ref);
	if (!m3i_place_before(ns->floor, place))
		return M3_OK;
	b->voids++;
	m3i_bootstrap_enter(b, NULL);
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	m3i_namespace_void(db, ref, UINT64_MAX, place, marker->dropped);
	db->env->unlock(db->env, m3i_lock_write(db));
	return M3_OK;
}

static M3Status
on_file(void *context, const M3LogFile *file, M3Error *err)
{
	(void) file;
	(void) err;
	m3i_bootstrap_file_done(context);
	return M3_OK;
}

static M3Status
replay_logs(M3Bootstrap *b, M3Error *err)
{
	M3LogReplay replay = {
		.begin = on_group,
		.entry = on_entry,
		.voided = on_void,
		.file = on_file,
		.progress = on_progress,
		.context = b,
		.first_index = b->first_log
	};

	M3_TRY(m3_log_set_replay(b->set, &replay, err));
	m3i_bootstrap_enter(b, NULL);
	if (b->unplaced > 0)
		m3i_bootstrap_report(b, "%" PRIu64 " points in the commit logs belong to no known "
							 "namespace or block; they stay in the logs", b->unplaced);
	if (b->unresolved > 0)
		m3i_bootstrap_report(b, "%" PRIu64 " transactions in the commit logs are taken for "
							 "committed, though only the server that wrote them knows",
							 b->unresolved);
	return M3_OK;
}

/* --- what must not be forgotten ----------------------------------------- */

/* The fates just found out go to the new log: the host's record of
 * transactions will not last as long as the logs. */
static M3Status
record_fates(M3Bootstrap *b, M3CommitLog *log, M3Error *err)
{
	M3LogMarker marker = {.kind = M3_LOG_MARKER_ABORT};
	uint64_t	lsn = 0;

	M3_TRY(m3i_log_ready(b->db, log, err));
	for (size_t i = 0; i < b->dropped_count; i++)
	{
		marker.log_index = b->dropped[i].log_index;
		marker.offset = b->dropped[i].offset;
		M3_TRY(m3i_log_marker(b->db, log, &marker, &lsn, err));
	}
	/* only once the aborts are durable may the others be called committed */
	M3_TRY(m3_commitlog_sync(log, lsn, err));
	marker.kind = M3_LOG_MARKER_RESOLVED;
	marker.log_index = b->highest_index;
	marker.offset = 0;
	M3_TRY(m3i_log_marker(b->db, log, &marker, &lsn, err));
	return m3_commitlog_sync(log, lsn, err);
}

static M3Status
finish_logs(M3Bootstrap *b, M3Error *err)
{
	M3Database *db = b->db;
	M3CommitLog *log;
	M3Status	status;

	db->root->next_log_index = m3_log_set_next_index(b->set, b->log_floor);
	/* their points are to leave the logs as soon as may be */
	if (b->dropped_count > 0)
		__atomic_store_n(&db->root->jobs.snapshot_wanted, true, __ATOMIC_RELAXED);
	if (!b->asked)
		return M3_OK;
	M3_TRY(m3i_log_handle(db, &log, err));
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = record_fates(b, log, err);
	db->env->unlock(db->env, m3i_lock_write(db));
	return status;
}

/* --- in order ----------------------------------------------------------- */

M3Status
m3i_bootstrap_open_logs(M3Bootstrap *b, M3Error *err)
{
	M3Database *db = b->db;

	M3_TRY(m3_log_set_open(db->env, b->memory, db->path, &b->set, err));
	for (size_t i = 0; i < m3_log_set_count(b->set); i++)
		b->log_bytes += m3_log_set_file(b->set, i)->size;
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	db->root->progress.files_total += (uint32_t) m3_log_set_count(b->set);
	db->root->progress.total_bytes = b->log_bytes;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return M3_OK;
}

M3Status
m3i_bootstrap_check_logs(M3Bootstrap *b, M3Error *err)
{
	M3_TRY(m3_log_set_check(b->set, on_progress, b, err));
	return repair_logs(b, err);
}

M3Status
m3i_bootstrap_replay_logs(M3Bootstrap *b, M3Error *err)
{
	M3_TRY(replay_logs(b, err));
	return b->db->read_only ? M3_OK : finish_logs(b, err);
}
