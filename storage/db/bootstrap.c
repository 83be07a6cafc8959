#include "storage/db/bootstrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/db/db_private.h"
#include "storage/db/txn.h"
#include "storage/log/scan.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* What a log's series record is mapped to while its file is replayed. */
#define USER_UNKNOWN 0
#define USER_SKIP 1				/* namespace not in the registry */

typedef struct GroupName
{
	uint64_t	log_index;
	uint64_t	offset;
} GroupName;

typedef struct Bootstrap
{
	M3Database *db;
	M3Memory   *memory;
	const M3BootstrapHooks *hooks;
	M3LogSet   *set;
	int64_t		now_ns;
	/* groups whose transactions did not commit */
	GroupName  *dropped;
	size_t		dropped_count;
	size_t		dropped_capacity;
	bool		asked;			/* some fate was asked for: worth remembering */
	uint64_t	highest_index;	/* of the logs read */
	/* counters of the namespace written last, not yet added to it */
	M3NamespaceShared *ns;
	M3WriteEffect effect;
	int64_t		first_block_ns;
	int64_t		end_ns;
	/* times it can hold, and the start of its first block within retention */
	int64_t		min_time_ns;
	int64_t		end_time_ns;
	int64_t		first_retained_ns;
	uint64_t	entries;
	uint64_t	unplaced;		/* entries of unknown namespaces */
} Bootstrap;

static void
report(const Bootstrap *b, const char *message)
{
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	snprintf(progress->message, sizeof(progress->message), "%s", message);
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	if (b->hooks != NULL && b->hooks->report != NULL)
		b->hooks->report(b->hooks->context, message);
}

static void
set_phase(Bootstrap *b, const char *phase)
{
	M3Database *db = b->db;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	snprintf(db->root->progress.phase, sizeof(db->root->progress.phase), "%s", phase);
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

static M3Status
on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	Bootstrap  *b = context;
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	progress->done_bytes = done_bytes;
	progress->total_bytes = total_bytes;
	progress->entries = b->entries;
	progress->skipped_groups = b->dropped_count;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return M3_OK;
}

/* --- logs: what is there ------------------------------------------------ */

static void
report_file(const Bootstrap *b, const M3LogFile *file)
{
	char		message[512];

	if (!file->has_info)
		snprintf(message, sizeof(message),
				 "commit log \"%s\" (%" PRIu64 " bytes) has no readable header and is left out: %s",
				 file->name, file->size, file->reason);
	else if (file->end.kind == M3_LOG_END_TORN || file->end.kind == M3_LOG_END_HOLE ||
			 file->end.kind == M3_LOG_END_CORRUPT)
		snprintf(message, sizeof(message),
				 "commit log \"%s\" is %s at byte %" PRIu64 " of %" PRIu64 " (%s): "
				 "%" PRIu64 " points before byte %" PRIu64
				 " are kept, what follows in this file is not",
				 file->name, m3_log_end_name(file->end.kind), file->end.offset,
				 file->end.file_size, file->end.reason, file->end.entries, file->end.valid_size);
	else
		return;
	report(b, message);
}

static M3Status
repair_logs(Bootstrap *b, M3Error *err)
{
	for (size_t i = 0; i < m3_log_set_count(b->set); i++)
	{
		const M3LogFile *file = m3_log_set_file(b->set, i);
		uint64_t	cut;

		if (file->has_info && (uint64_t) file->info.index > b->highest_index)
			b->highest_index = (uint64_t) file->info.index;
		if (file->is_blank)
		{
			M3_TRY(m3_log_set_remove_blank(b->set, i, err));
			continue;
		}
		report_file(b, file);
		if (m3_log_set_needs_repair(b->set, i))
			M3_TRY(m3_log_set_repair(b->set, i, &cut, err));
	}
	return M3_OK;
}

/* --- logs: replay ------------------------------------------------------- */

static M3Status
drop_group(Bootstrap *b, const M3LogGroupInfo *group, M3Error *err)
{
	if (b->dropped_count == b->dropped_capacity)
	{
		size_t		capacity = b->dropped_capacity == 0 ? 16 : b->dropped_capacity * 2;
		GroupName  *grown = m3_resize(b->memory, b->dropped, capacity * sizeof(*grown));

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

static M3Status
on_group(void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err)
{
	Bootstrap  *b = context;
	M3TransactionFate fate = M3_FATE_COMMITTED;

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

static void
add_counts(Bootstrap *b)
{
	if (b->ns != NULL)
		m3i_namespace_count_write(b->db, b->ns, &b->effect, b->first_block_ns, b->end_ns);
	memset(&b->effect, 0, sizeof(b->effect));
	b->first_block_ns = INT64_MAX;
	b->end_ns = INT64_MIN;
}

/* Turns to another namespace: adds up what the last one got, works out the limits. */
static void
enter_namespace(Bootstrap *b, M3NamespaceShared *ns)
{
	int64_t		retention_ns = ns->options.retention_period_ns;
	int64_t		size_ns = ns->options.block_size_ns;

	add_counts(b);
	b->ns = ns;
	m3_time_range(size_ns, &b->min_time_ns, &b->end_time_ns);
	b->first_retained_ns = retention_ns == 0 ? INT64_MIN :
		m3_block_start(b->now_ns - retention_ns, size_ns);
}

/* Finds or makes the series a log's record stands for. */
static M3Status
map_series(Bootstrap *b, M3LogSeries *record, M3Error *err)
{
	M3Database *db = b->db;
	M3Ref		namespace_ref = m3i_namespace_find(db, record->metadata.namespace);
	M3Slice		id = record->metadata.id;
	M3Ref		ref = 0;
	bool		created;
	M3Status	status;

	record->user = USER_SKIP;
	if (namespace_ref == 0)
		return M3_OK;
	status = m3i_series_ensure(db, namespace_ref, id, record->metadata.tags,
							   m3_series_hash(namespace_ref, id), &ref, &created, err);
	/* other tags than those known: the points belong to the id all the same */
	if (status != M3_OK && (status != M3_CONFLICT || ref == 0))
		return status;
	record->user = ref;
	return M3_OK;
}

static M3Status
apply_point(Bootstrap *b, const M3LogRecord *record, M3Error *err)
{
	M3Database *db = b->db;
	M3Series   *series = m3_arena_at(db->arena, record->series->user);
	M3NamespaceShared *ns = m3_arena_at(db->arena, series->namespace_ref);
	int64_t		size_ns = ns->options.block_size_ns;
	int64_t		start_ns;
	M3Point		point = {
		.time_ns = record->time_ns,
		.value = record->value,
		.unit = m3_unit_is_valid(record->unit) ? (M3TimeUnit) record->unit : M3_UNIT_NONE,
		.annotation = record->annotation
	};

	if (ns != b->ns)
		enter_namespace(b, ns);
	if (record->time_ns < b->min_time_ns || record->time_ns >= b->end_time_ns)
	{
		b->unplaced++;
		return M3_OK;
	}
	start_ns = m3_block_start(record->time_ns, size_ns);
	if (start_ns < b->first_retained_ns)
		return M3_OK;
	M3_TRY(m3_series_write(db->arena, db->env, series, start_ns, &point, 0, 0, b->memory,
						   &b->effect, err));
	if (start_ns < b->first_block_ns)
		b->first_block_ns = start_ns;
	if (start_ns + size_ns > b->end_ns)
		b->end_ns = start_ns + size_ns;
	return M3_OK;
}

static M3Status
on_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	Bootstrap  *b = context;
	M3Status	status;

	(void) group;
	if (record->is_marker)
		return M3_OK;
	if (record->series->user == USER_UNKNOWN)
		M3_TRY(map_series(b, record->series, err));
	if (record->series->user == USER_SKIP)
	{
		b->unplaced++;
		return M3_OK;
	}
	b->entries++;
	status = apply_point(b, record, err);
	if (status == M3_FULL && err != NULL)
		m3_error_detail(err, "The points in the commit logs do not fit into the buffer arena.");
	return status;
}

static M3Status
on_file(void *context, const M3LogFile *file, M3Error *err)
{
	Bootstrap  *b = context;
	M3Database *db = b->db;

	(void) file;
	(void) err;
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	db->root->progress.files_done++;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return M3_OK;
}

static M3Status
replay_logs(Bootstrap *b, M3Error *err)
{
	M3LogReplay replay = {
		.begin = on_group,
		.entry = on_entry,
		.file = on_file,
		.progress = on_progress,
		.context = b
	};
	char		message[256];

	M3_TRY(m3_log_set_replay(b->set, &replay, err));
	add_counts(b);
	if (b->unplaced > 0)
	{
		snprintf(message, sizeof(message),
				 "%" PRIu64 " points in the commit logs belong to no known namespace or block; "
				 "they stay in the logs",
				 b->unplaced);
		report(b, message);
	}
	return M3_OK;
}

/* --- what must not be forgotten ----------------------------------------- */

/* The fates just found out go to the new log: the host's record of
 * transactions will not last as long as the logs. */
static M3Status
record_fates(Bootstrap *b, M3CommitLog *log, M3Error *err)
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
finish_logs(Bootstrap *b, M3Error *err)
{
	M3Database *db = b->db;
	M3CommitLog *log;
	M3Status	status;

	db->root->next_log_index = m3_log_set_next_index(b->set, 0);
	if (!b->asked)
		return M3_OK;
	M3_TRY(m3i_log_handle(db, &log, err));
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	status = record_fates(b, log, err);
	db->env->unlock(db->env, m3i_lock_write(db));
	return status;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
load(Bootstrap *b, M3Error *err)
{
	M3Database *db = b->db;

	set_phase(b, "reading namespaces");
	M3_TRY(m3_commitlog_shared_init(&db->root->log, db->arena, db->env,
									db->engine->shared->config.log_ring_size, err));
	M3_TRY(m3i_registry_read(db, err));

	set_phase(b, "checking logs");
	M3_TRY(m3_log_set_open(db->env, b->memory, db->path, &b->set, err));
	db->root->progress.files_total = (uint32_t) m3_log_set_count(b->set);
	M3_TRY(m3_log_set_check(b->set, on_progress, b, err));
	M3_TRY(repair_logs(b, err));

	set_phase(b, "replaying logs");
	M3_TRY(replay_logs(b, err));
	return finish_logs(b, err);
}

/* Forgets what was loaded. */
static void
unload(M3Database *db)
{
	m3i_namespaces_drop(db);
	if (db->log != NULL)
		m3_commitlog_detach(db->log);
	db->log = NULL;
	if (db->root->log.ring != 0)
		m3_commitlog_shared_free(&db->root->log, db->arena, db->env);
	memset(&db->root->log, 0, sizeof(db->root->log));
	while (db->root->first_unlinked != 0)
	{
		M3Ref		ref = db->root->first_unlinked;

		db->root->first_unlinked = ((M3Series *) m3_arena_at(db->arena, ref))->metadata_log_index;
		m3_arena_free(db->arena, db->env, ref);
	}
	db->root->next_unique_index = 1;
}

static M3Status
claim(M3Database *db, M3Error *err)
{
	M3RootShared *root = db->root;
	M3Status	status = M3_OK;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	if (root->state == M3_ROOT_BOOTSTRAPPING || root->state == M3_ROOT_READY)
		status = m3_error(err, M3_CONFLICT, "database %u is being bootstrapped, or is ready",
						  root->id);
	else
	{
		memset(&root->progress, 0, sizeof(root->progress));
		root->progress.started_ns = db->env->now_ns(db->env);
		root->progress.state = M3_ROOT_BOOTSTRAPPING;
		__atomic_store_n(&root->state, M3_ROOT_BOOTSTRAPPING, __ATOMIC_RELEASE);
	}
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	return status;
}

static void
conclude(Bootstrap *b, M3Status status, const M3Error *err)
{
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	progress->entries = b->entries;
	progress->skipped_groups = b->dropped_count;
	progress->finished_ns = db->env->now_ns(db->env);
	progress->phase[0] = '\0';
	if (status != M3_OK)
		snprintf(progress->message, sizeof(progress->message), "%s%s%s", err->message,
				 err->file[0] == '\0' ? "" : ": ", err->file);
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	m3i_root_set_state(db, status == M3_OK ? M3_ROOT_READY : M3_ROOT_FAILED);
}

M3Status
m3_bootstrap_run(M3Database *db, const M3BootstrapHooks *hooks, M3Error *err)
{
	Bootstrap	b = {
		.db = db,
		.memory = db->engine->memory,
		.hooks = hooks,
		.now_ns = db->env->now_ns(db->env),
		.first_block_ns = INT64_MAX,
		.end_ns = INT64_MIN
	};
	M3Error		own_error;
	M3Status	status;

	if (err == NULL)
		err = &own_error;
	M3_TRY(claim(db, err));
	unload(db);
	status = load(&b, err);
	m3_log_set_close(b.set);
	m3_free(b.memory, b.dropped);
	if (status != M3_OK)
		unload(db);
	conclude(&b, status, err);
	return status;
}

void
m3_bootstrap_reset(M3Database *db)
{
	unload(db);
	m3i_root_set_state(db, M3_ROOT_NEW);
}
