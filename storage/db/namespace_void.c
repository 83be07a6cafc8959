/*
 * Namespaces that lose their data: TRUNCATE and DROP, and ALTER at commit.
 */
#include "storage/db/blocks.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static M3NamespaceShared *
namespace_at(const M3Database *db, M3Ref ref)
{
	return m3_arena_at(db->arena, ref);
}

/* ROOT_WRITE held, so no series is added but by those who only survey; these hold nothing. */
static void
void_series(M3Database *db, M3NamespaceShared *ns, uint64_t sequence)
{
	M3Env	   *env = db->env;
	M3WriteEffect effect = {0};

	env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
	for (uint32_t i = 0; i < ns->series_count; i++)
	{
		M3Ref		ref = *m3i_series_entry(db, ns, i);
		M3Series   *series;
		uint32_t	lock;

		if (ref == 0)
			continue;
		series = m3_arena_at(db->arena, ref);
		lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
		env->lock(env, lock, M3_LOCK_EXCLUSIVE);
		m3_series_void(db->arena, env, series, sequence, &effect);
		series->first_file_ns = INT64_MAX;
		series->last_file_ns = INT64_MIN;
		env->unlock(env, lock);
	}
	env->unlock(env, m3i_lock_names(db));
	m3i_namespace_count_write(db, ns, &effect, INT64_MAX, INT64_MIN);
}

void
m3i_namespace_void(M3Database *db, M3Ref ref, uint64_t sequence, M3LogPlace place, bool dropped)
{
	M3NamespaceShared *ns = namespace_at(db, ref);
	M3Env	   *env = db->env;

	/* first the files, lest a flush at work publishes what was voided */
	m3i_blocks_void(db, ns);
	void_series(db, ns, sequence);
	env->lock(env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	ns->purge = place;
	ns->purge_pending = true;
	ns->dropped = dropped;
	ns->unflushed_log = M3_COMMITLOG_NO_INDEX;
	__atomic_store_n(&ns->first_block_ns, INT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&ns->end_ns, INT64_MIN, __ATOMIC_RELAXED);
	env->unlock(env, m3i_lock_names(db));
}

bool
m3i_namespace_has_data(const M3Database *db, M3Ref ref)
{
	const M3NamespaceShared *ns = namespace_at(db, ref);

	return __atomic_load_n(&ns->block_count, __ATOMIC_RELAXED) > 0 ||
		__atomic_load_n(&ns->file_count, __ATOMIC_RELAXED) > 0;
}

void
m3i_namespace_alter(M3Database *db, M3Ref ref, const M3NamespaceOptions *options)
{
	M3NamespaceShared *ns = namespace_at(db, ref);
	int64_t		block_size_ns;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	block_size_ns = m3i_namespace_has_data(db, ref) ? ns->options.block_size_ns :
		options->block_size_ns;
	if (!m3i_options_equal(&ns->options, options))
	{
		ns->options = *options;
		ns->options.block_size_ns = block_size_ns;
		db->root->registry_dirty = true;
	}
	db->env->unlock(db->env, m3i_lock_names(db));
}

/* --- tombstones --------------------------------------------------------- */

/* Frees those buried that nobody can have found.  By the process that maintains the root. */
static void
free_buried(M3Database *db, uint64_t oldest)
{
	M3Ref	   *link = &db->root->first_buried;

	while (*link != 0)
	{
		M3Ref		ref = *link;

		if (namespace_at(db, ref)->buried_mark >= oldest)
			link = &namespace_at(db, ref)->next;
		else
		{
			*link = namespace_at(db, ref)->next;
			m3i_series_list_free(db, namespace_at(db, ref));
			m3_arena_free(db->arena, db->env, ref);
		}
	}
}

static bool
may_be_buried(const M3NamespaceShared *ns, uint64_t first_log)
{
	return ns->dropped && !ns->purge_pending && ns->floor.log_index < first_log &&
		ns->series_count == ns->series_holes;
}

/* ROOT_NAMES held.  Whether there is anything to do. */
static bool
any_to_bury(const M3Database *db, uint64_t first_log)
{
	for (M3Ref ref = db->root->first_namespace; ref != 0; ref = namespace_at(db, ref)->next)
	{
		if (may_be_buried(namespace_at(db, ref), first_log))
			return true;
	}
	return false;
}

/* ROOT_NAMES held exclusive.  Moves them from the list to the buried ones. */
static void
bury_locked(M3Database *db, uint64_t first_log, uint64_t mark)
{
	M3RootShared *root = db->root;
	M3Ref	   *link = &root->first_namespace;
	M3Ref		last = 0;

	while (*link != 0)
	{
		M3Ref		ref = *link;
		M3NamespaceShared *ns = namespace_at(db, ref);

		if (!may_be_buried(ns, first_log))
		{
			last = ref;
			link = &ns->next;
			continue;
		}
		*link = ns->next;
		ns->next = root->first_buried;
		ns->buried_mark = mark;
		root->first_buried = ref;
	}
	root->last_namespace = last;
}

M3Status
m3i_namespaces_bury(M3Database *db, uint64_t first_log, M3Error *err)
{
	M3Env	   *env = db->env;
	M3Status	status = M3_OK;
	uint64_t	mark;
	bool		any;

	env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
	any = any_to_bury(db, first_log);
	env->unlock(env, m3i_lock_names(db));
	if (!any && db->root->first_buried == 0)
		return M3_OK;

	mark = any ? m3i_mark(db) : 0;
	free_buried(db, m3i_oldest(db));
	if (!any)
		return M3_OK;
	env->lock(env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	bury_locked(db, first_log, mark);
	/* should this fail, the registry keeps tombstones that no log speaks of: harmless */
	status = m3i_registry_write(db, err);
	env->unlock(env, m3i_lock_names(db));
	return status;
}
