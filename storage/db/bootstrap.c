#include "storage/db/bootstrap.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/bootstrap_private.h"
#include "storage/db/jobs_private.h"
#include "storage/db/txn.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Bytes of arena a flush may need, at most. */
#define SPARE_MAX_SIZE (512u * 1024u)

/* --- saying how far it is ----------------------------------------------- */

void
m3i_bootstrap_report(const M3Bootstrap *b, const char *format,...)
{
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;
	char		message[sizeof(progress->message)];
	va_list		args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	memcpy(progress->message, message, sizeof(message));
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	if (b->hooks != NULL && b->hooks->report != NULL)
		b->hooks->report(b->hooks->context, message);
}

void
m3i_bootstrap_phase(M3Bootstrap *b, const char *phase)
{
	M3Database *db = b->db;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	snprintf(db->root->progress.phase, sizeof(db->root->progress.phase), "%s", phase);
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3i_bootstrap_expect(M3Bootstrap *b, uint64_t size)
{
	M3Database *db = b->db;

	b->total_bytes += size;
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	db->root->progress.total_bytes = b->total_bytes + b->log_bytes;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3i_bootstrap_file_done(M3Bootstrap *b)
{
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	if (progress->done_bytes < b->total_bytes)
		progress->done_bytes = b->total_bytes;
	progress->files_done++;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

/* --- what all parts need ------------------------------------------------ */

static void
add_counts(M3Bootstrap *b)
{
	if (b->ns != NULL)
		m3i_namespace_count_write(b->db, b->ns, &b->effect, b->first_block_ns, b->end_ns);
	memset(&b->effect, 0, sizeof(b->effect));
	b->first_block_ns = INT64_MAX;
	b->end_ns = INT64_MIN;
}

void
m3i_bootstrap_enter(M3Bootstrap *b, M3NamespaceShared *ns)
{
	add_counts(b);
	b->ns = ns;
	if (ns == NULL)
		return;
	m3_time_range(ns->options.block_size_ns, &b->min_time_ns, &b->end_time_ns);
	b->first_retained_ns = m3i_first_retained_ns(&ns->options, b->now_ns);
}

void
m3i_bootstrap_count_block(M3Bootstrap *b, int64_t start_ns)
{
	int64_t		size_ns = b->ns->options.block_size_ns;

	if (start_ns < b->first_block_ns)
		b->first_block_ns = start_ns;
	if (start_ns + size_ns > b->end_ns)
		b->end_ns = start_ns + size_ns;
}

/* Keeps back what a flush takes from the arena before it gives anything back; none is fine. */
static void
keep_spare(M3Bootstrap *b)
{
	M3Database *db = b->db;
	uint64_t	size = m3_arena_size(db->arena) / 64;

	if (db->root->spare == 0 && !db->read_only)
		db->root->spare = m3_arena_alloc(db->arena, db->env,
										 size > SPARE_MAX_SIZE ? SPARE_MAX_SIZE : (size_t) size);
}

static void
free_spare(M3Database *db)
{
	m3_arena_free(db->arena, db->env, db->root->spare);
	db->root->spare = 0;
}

M3Status
m3i_bootstrap_make_room(M3Bootstrap *b, M3Error *err)
{
	M3Status	status;

	add_counts(b);
	if (b->db->read_only)
		return m3_error(err, M3_FULL, "out of memory");
	free_spare(b->db);
	status = m3i_flush_loaded(b->db, err);
	keep_spare(b);
	return status;
}

bool
m3i_bootstrap_has_tags(M3Slice tags)
{
	M3TagIterator it;

	return m3_tag_iterator_init(&it, tags, NULL) == M3_OK && it.left > 0;
}

/* A series that was found without tags gets them (spec/lifecycle.md 11.2). */
static M3Status
prefer_tagged(M3Bootstrap *b, M3Slice tags, M3Ref *ref, M3Error *err)
{
	M3Status	status;

	if (m3i_bootstrap_has_tags(m3_series_tags(m3_arena_at(b->db->arena, *ref))) ||
		!m3i_bootstrap_has_tags(tags))
		return M3_OK;
	status = m3i_series_retag(b->db, ref, tags, err);
	if (status != M3_FULL)
		return status;
	M3_TRY(m3i_bootstrap_make_room(b, err));
	return m3i_series_retag(b->db, ref, tags, err);
}

M3Status
m3i_bootstrap_series(M3Bootstrap *b, M3Ref namespace_ref, M3Slice id, M3Slice tags,
					 uint32_t shard, M3Ref *result, M3Error *err)
{
	M3TagIterator it;
	uint32_t	hash = m3_series_hash(namespace_ref, id);
	M3Status	status;
	M3Ref		ref;
	bool		created;

	if (m3_tag_iterator_init(&it, tags, NULL) != M3_OK)
	{
		/* who reads them later does not look again */
		if (!b->bad_tags)
			m3i_bootstrap_report(b, "tags of a series are malformed; it is loaded without, and "
								 "others like it");
		b->bad_tags = true;
		tags = m3_slice(NULL, 0);
	}
	if (b->db->read_only)
		M3_TRY(m3i_blocks_set_shard_count(b->db, shard + 1, err));

	for (int attempt = 0;; attempt++)
	{
		ref = 0;
		status = m3i_series_ensure(b->db, namespace_ref, id, tags, hash, &ref, &created, err);
		if (status != M3_FULL || attempt > 0)
			break;
		M3_TRY(m3i_bootstrap_make_room(b, err));
	}
	/* other tags than those known: what it holds belongs to the id all the same */
	if (status != M3_OK && (status != M3_CONFLICT || ref == 0))
		return status;
	if (status == M3_CONFLICT)
		M3_TRY(prefer_tagged(b, tags, &ref, err));
	if (created && b->db->read_only)
		((M3Series *) m3_arena_at(b->db->arena, ref))->shard = shard;
	*result = ref;
	return M3_OK;
}

M3Ref
m3i_bootstrap_find_namespace(M3Bootstrap *b, M3Slice name)
{
	M3Database *db = b->db;
	M3Env	   *env = db->env;
	M3Ref		ref;

	env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
	for (ref = db->root->first_namespace; ref != 0;)
	{
		const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name))
			break;
		ref = ns->next;
	}
	env->unlock(env, m3i_lock_names(db));
	return ref;
}

/* Looser than what CREATE allows: it only has to be a directory's name, and text. */
static bool
can_be_mounted(M3Slice name)
{
	char		path[M3_FILESET_PATH_SIZE];

	return name.size <= M3_NAMESPACE_NAME_MAX_SIZE && m3_utf8_is_valid(name) &&
		m3_fileset_namespace_directory(path, "", M3_FILESET_KIND_DATA, name, NULL) == M3_OK;
}

M3Status
m3i_bootstrap_namespace(M3Bootstrap *b, M3Slice name, int64_t block_size_ns, M3Ref *ref,
						M3Error *err)
{
	M3Database *db = b->db;
	M3NamespaceOptions options;
	M3Status	status;

	*ref = m3i_bootstrap_find_namespace(b, name);
	if (*ref != 0)
		return M3_OK;
	if (!can_be_mounted(name))
	{
		/* as text only if it is any */
		bool		is_text = name.size <= M3_NAMESPACE_NAME_MAX_SIZE && m3_utf8_is_valid(name);

		m3i_bootstrap_report(b, "namespace \"%.*s\" is left out: its name, of %zu bytes, cannot be "
							 "used", is_text ? (int) name.size : 0, (const char *) name.data,
							 name.size);
		return M3_OK;
	}
	m3_namespace_options_default(&options);
	options.block_size_ns = block_size_ns;
	options.cache_policy = M3_CACHE_NONE;
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	status = m3i_namespace_add(db, name, &options, ref, err);
	db->env->unlock(db->env, m3i_lock_names(db));
	return status;
}

/* --- the whole ---------------------------------------------------------- */

static M3Status
load(M3Bootstrap *b, M3Error *err)
{
	M3Database *db = b->db;

	m3i_bootstrap_phase(b, "reading namespaces");
	M3_TRY(m3_commitlog_shared_init(&db->root->log, db->arena, db->env,
									db->engine->shared->config.log_ring_size, err));
	M3_TRY(m3i_registry_read(db, err));
	M3_TRY(m3i_bootstrap_open_logs(b, err));
	M3_TRY(m3i_bootstrap_list(b, err));
	keep_spare(b);

	m3i_bootstrap_phase(b, "reading filesets");
	M3_TRY(m3i_bootstrap_filesets(b, err));

	m3i_bootstrap_phase(b, "reading snapshots");
	M3_TRY(m3i_bootstrap_snapshots(b, err));

	m3i_bootstrap_phase(b, "checking logs");
	M3_TRY(m3i_bootstrap_check_logs(b, err));

	m3i_bootstrap_phase(b, "replaying logs");
	return m3i_bootstrap_replay_logs(b, err);
}

/* No snapshot is known yet. */
static void
reset_jobs(M3Database *db)
{
	M3RootJobs *jobs = &db->root->jobs;

	__atomic_store_n(&jobs->snapshot_log_index, UINT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&jobs->last_snapshot_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&jobs->snapshot_lsn, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&jobs->snapshot_wanted, false, __ATOMIC_RELAXED);
}

/* Forgets what was loaded. */
static void
unload(M3Database *db)
{
	m3i_namespaces_drop(db);
	free_spare(db);
	reset_jobs(db);
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
conclude(M3Bootstrap *b, M3Status status, const M3Error *err)
{
	M3Database *db = b->db;
	M3RootProgress *progress = &db->root->progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	progress->entries = b->entries;
	progress->skipped_groups = b->dropped_count;
	progress->finished_ns = db->env->now_ns(db->env);
	progress->phase[0] = '\0';
	if (status == M3_OK)
	{
		/* logs that were left out are done with, too */
		progress->files_done = progress->files_total;
		progress->done_bytes = progress->total_bytes;
	}
	else
		snprintf(progress->message, sizeof(progress->message), "%s%s%s", err->message,
				 err->file[0] == '\0' ? "" : ": ", err->file);
	db->env->unlock(db->env, M3_LOCK_ENGINE);
	m3i_root_set_state(db, status == M3_OK ? M3_ROOT_READY : M3_ROOT_FAILED);
}

static void
init(M3Bootstrap *b, M3Database *db, const M3BootstrapHooks *hooks)
{
	*b = (M3Bootstrap) {
		.db = db,
		.memory = db->engine->memory,
		.hooks = hooks,
		.now_ns = db->env->now_ns(db->env),
		.first_block_ns = INT64_MAX,
		.end_ns = INT64_MIN
	};
}

M3Status
m3i_bootstrap_start(M3Bootstrap *b, M3Database *db, const M3BootstrapHooks *hooks, M3Error *err)
{
	init(b, db, hooks);
	M3_TRY(claim(db, err));
	unload(db);
	return M3_OK;
}

void
m3i_bootstrap_continue(M3Bootstrap *b, M3Database *db, const M3BootstrapHooks *hooks)
{
	init(b, db, hooks);
	m3i_root_set_state(db, M3_ROOT_BOOTSTRAPPING);
}

M3Status
m3i_bootstrap_finish(M3Bootstrap *b, M3Status status, M3Error *err)
{
	M3Database *db = b->db;

	m3_log_set_close(b->set);
	b->set = NULL;
	m3i_bootstrap_free_lists(b);
	m3_free(b->memory, b->dropped);
	b->dropped = NULL;
	free_spare(db);
	if (status == M3_FULL && db->read_only)
		(void) m3_error(err, M3_FULL, "directory \"%s\" does not fit into the memory for mounts",
						db->path);
	if (status == M3_FULL)
		m3_error_detail(err, db->read_only ?
						"The series of all filesets, and what snapshots and commit logs hold, "
						"have to be in memory; the mount needs more of it." :
						"What snapshots and commit logs hold does not fit into the buffer "
						"arena, not even after blocks were written to disk.");
	if (status != M3_OK)
		unload(db);
	conclude(b, status, err);
	return status;
}

M3Status
m3_bootstrap_run(M3Database *db, const M3BootstrapHooks *hooks, M3Error *err)
{
	M3Bootstrap b;
	M3Error		own_error;

	if (err == NULL)
		err = &own_error;
	M3_TRY(m3i_bootstrap_start(&b, db, hooks, err));
	return m3i_bootstrap_finish(&b, load(&b, err), err);
}

void
m3_bootstrap_reset(M3Database *db)
{
	unload(db);
	m3i_root_set_state(db, M3_ROOT_NEW);
}
