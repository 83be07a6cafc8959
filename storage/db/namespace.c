#include "storage/db/namespace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/blocks.h"
#include "storage/ident/tags.h"
#include "storage/log/group.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define SECOND M3_NS_PER_SECOND
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

int64_t
m3_recommended_block_size_ns(int64_t retention_period_ns)
{
	if (retention_period_ns == 0)
		return DAY;
	if (retention_period_ns <= 12 * HOUR)
		return 30 * MINUTE;
	if (retention_period_ns <= DAY)
		return HOUR;
	if (retention_period_ns <= 7 * DAY)
		return 2 * HOUR;
	if (retention_period_ns <= 30 * DAY)
		return 12 * HOUR;
	return DAY;
}

void
m3_namespace_options_default(M3NamespaceOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->block_size_ns = m3_recommended_block_size_ns(0);
	options->buffer_past_ns = 10 * MINUTE;
	options->buffer_future_ns = 2 * MINUTE;
	options->cold_writes_enabled = true;
	options->writes_to_commitlog = true;
	options->snapshot_enabled = true;
	options->flush_enabled = true;
	options->cleanup_enabled = true;
	options->cache_policy = M3_CACHE_LRU;
}

M3Status
m3_namespace_options_validate(const M3NamespaceOptions *options, M3Error *err)
{
	if (options->buffer_future_ns < 0)
		return m3_error(err, M3_INVALID, "buffer_future must not be negative");
	if (options->buffer_past_ns < 0)
		return m3_error(err, M3_INVALID, "buffer_past must not be negative");
	if (options->block_size_ns <= 0 || options->block_size_ns % SECOND != 0)
		return m3_error(err, M3_INVALID, "block_size must be a positive number of whole seconds");
	if (options->block_size_ns > 366 * DAY)
		return m3_error(err, M3_INVALID, "block_size must not exceed 366 days");
	if (options->buffer_future_ns >= options->block_size_ns)
		return m3_error(err, M3_INVALID, "buffer_future must be smaller than block_size");
	if (options->buffer_past_ns >= options->block_size_ns)
		return m3_error(err, M3_INVALID, "buffer_past must be smaller than block_size");
	if (options->retention_period_ns < 0)
		return m3_error(err, M3_INVALID, "retention_period must not be negative");
	if (options->retention_period_ns != 0 &&
		options->retention_period_ns < options->block_size_ns)
		return m3_error(err, M3_INVALID, "retention_period must not be smaller than block_size");
	return M3_OK;
}

M3Status
m3_namespace_name_validate(M3Slice name, M3Error *err)
{
	static const char *const unwise[] = {"checkpoint", "snapshots"};

	if (name.size == 0)
		return m3_error(err, M3_INVALID, "a namespace must have a name");
	if (name.size > M3_NAMESPACE_NAME_MAX_SIZE)
		return m3_error(err, M3_INVALID, "namespace \"%.*s...\" is longer than %d bytes", 40,
						(const char *) name.data, M3_NAMESPACE_NAME_MAX_SIZE);
	if (!m3_utf8_is_valid(name))
		return m3_error(err, M3_INVALID, "the name of a namespace must be valid UTF-8");
	if (m3_slice_equal(name, m3_slice_cstr(".")) || m3_slice_equal(name, m3_slice_cstr("..")) ||
		m3_slice_equal(name, m3_slice_cstr(M3_LOG_MARKER_NAMESPACE)))
		return m3_error(err, M3_INVALID, "namespace \"%.*s\" has a reserved name",
						(int) name.size, (const char *) name.data);
	for (size_t i = 0; i < name.size; i++)
	{
		if (name.data[i] < 0x20 || strchr("/\\*?[]", name.data[i]) != NULL)
		{
			(void) m3_error(err, M3_INVALID,
							"namespace \"%.*s\" holds a character that cannot be used",
							(int) name.size, (const char *) name.data);
			m3_error_detail(err, "The name is that of a directory; control characters and "
							"/ \\ * ? [ ] are not allowed.");
			return M3_INVALID;
		}
	}
	for (size_t i = 0; i < sizeof(unwise) / sizeof(unwise[0]); i++)
	{
		if (memmem(name.data, name.size, unwise[i], strlen(unwise[i])) != NULL)
		{
			(void) m3_error(err, M3_INVALID, "namespace \"%.*s\" holds \"%s\"",
							(int) name.size, (const char *) name.data, unwise[i]);
			m3_error_detail(err, "M3DB looks for this word in paths and would take the "
							"directory for another.");
			return M3_INVALID;
		}
	}
	return M3_OK;
}

bool
m3i_options_equal(const M3NamespaceOptions *a, const M3NamespaceOptions *b)
{
	return a->retention_period_ns == b->retention_period_ns &&
		a->block_size_ns == b->block_size_ns &&
		a->buffer_past_ns == b->buffer_past_ns &&
		a->buffer_future_ns == b->buffer_future_ns &&
		a->cold_writes_enabled == b->cold_writes_enabled &&
		a->writes_to_commitlog == b->writes_to_commitlog &&
		a->snapshot_enabled == b->snapshot_enabled &&
		a->flush_enabled == b->flush_enabled &&
		a->cleanup_enabled == b->cleanup_enabled &&
		a->cache_policy == b->cache_policy;
}

static M3NamespaceShared *
namespace_at(const M3Database *db, M3Ref ref)
{
	return m3_arena_at(db->arena, ref);
}

/* ROOT_NAMES held.  Finds dropped ones as well. */
static M3Ref
find_locked(const M3Database *db, M3Slice name)
{
	for (M3Ref ref = db->root->first_namespace; ref != 0; ref = namespace_at(db, ref)->next)
	{
		const M3NamespaceShared *ns = namespace_at(db, ref);

		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name))
			return ref;
	}
	return 0;
}

M3Ref
m3i_namespace_find(M3Database *db, M3Slice name)
{
	M3Ref		ref;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	ref = find_locked(db, name);
	if (ref != 0 && namespace_at(db, ref)->dropped)
		ref = 0;
	db->env->unlock(db->env, m3i_lock_names(db));
	return ref;
}

/* ROOT_NAMES held. */
static M3Status
check_locked(const M3Database *db, M3Slice name, M3Ref ref, const M3NamespaceOptions *options,
			 const M3RootOptions *root_options, M3Error *err)
{
	const M3RootShared *root = db->root;

	if (root->has_options && memcmp(&root->options, root_options, sizeof(*root_options)) != 0)
	{
		(void) m3_error(err, M3_CONFLICT, "server options contradict the data of this database");
		m3_error_detail(err, "The data has shards %u and hash_seed %u; the server says %u and %u.",
						root->options.shard_count, root->options.hash_seed,
						root_options->shard_count, root_options->hash_seed);
		return M3_CONFLICT;
	}
	if (ref != 0 && namespace_at(db, ref)->options.block_size_ns != options->block_size_ns &&
		m3i_namespace_has_data(db, ref))
	{
		(void) m3_error(err, M3_CONFLICT, "block_size of namespace \"%.*s\" cannot be changed",
						(int) name.size, (const char *) name.data);
		m3_error_detail(err, "It has data in blocks of %" PRId64 " seconds; the table says %"
						PRId64 ".",
						namespace_at(db, ref)->options.block_size_ns / SECOND,
						options->block_size_ns / SECOND);
		return M3_CONFLICT;
	}
	return M3_OK;
}

M3Status
m3i_namespace_check(M3Database *db, M3Slice name, const M3NamespaceOptions *options,
					const M3RootOptions *root_options, M3Error *err)
{
	M3Status	status;

	M3_TRY(m3_namespace_name_validate(name, err));
	M3_TRY(m3_namespace_options_validate(options, err));
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	status = check_locked(db, name, find_locked(db, name), options, root_options, err);
	db->env->unlock(db->env, m3i_lock_names(db));
	return status;
}

M3Status
m3i_namespace_add(M3Database *db, M3Slice name, const M3NamespaceOptions *options,
				  M3Ref *result, M3Error *err)
{
	M3Ref		ref = m3_arena_alloc(db->arena, db->env, sizeof(M3NamespaceShared));
	M3NamespaceShared *ns;

	if (ref == 0)
		return m3_error(err, M3_FULL, "no room for a namespace in the buffer arena");
	ns = namespace_at(db, ref);
	ns->options = *options;
	ns->first_block_ns = INT64_MAX;
	ns->end_ns = INT64_MIN;
	ns->generation = m3i_new_generation(db);
	ns->unflushed_log = M3_COMMITLOG_NO_INDEX;
	ns->name_size = (uint32_t) name.size;
	memcpy(ns->name, name.data, name.size);
	if (db->root->last_namespace != 0)
		namespace_at(db, db->root->last_namespace)->next = ref;
	else
		db->root->first_namespace = ref;
	db->root->last_namespace = ref;
	*result = ref;
	return M3_OK;
}

/* Takes back what m3i_namespace_add just did; before was the last then. */
static void
remove_last(M3Database *db, M3Ref before)
{
	m3_arena_free(db->arena, db->env, db->root->last_namespace);
	db->root->last_namespace = before;
	if (before != 0)
		namespace_at(db, before)->next = 0;
	else
		db->root->first_namespace = 0;
}

/* Whether the namespace is there and has these options. */
static bool
is_current(const M3NamespaceShared *ns, const M3NamespaceOptions *options)
{
	return !ns->dropped && m3i_options_equal(&ns->options, options);
}

/* ROOT_NAMES held exclusive.  A dropped namespace comes back to life, empty. */
static M3Status
ensure_locked(M3Database *db, M3Slice name, const M3NamespaceOptions *options,
			  const M3RootOptions *root_options, M3Ref *result, M3Error *err)
{
	M3RootShared *root = db->root;
	M3Ref		last = root->last_namespace;
	M3RootOptions had_root = root->options;
	bool		had_options = root->has_options;
	M3NamespaceOptions had;
	bool		was_dropped;
	M3Ref		ref = find_locked(db, name);
	bool		added = ref == 0;
	M3Status	status;

	M3_TRY(check_locked(db, name, ref, options, root_options, err));
	*result = ref;
	if (!added && is_current(namespace_at(db, ref), options))
		return M3_OK;

	root->options = *root_options;
	root->has_options = true;
	if (added)
		M3_TRY(m3i_namespace_add(db, name, options, &ref, err));
	had = namespace_at(db, ref)->options;
	was_dropped = namespace_at(db, ref)->dropped;
	namespace_at(db, ref)->options = *options;
	namespace_at(db, ref)->dropped = false;
	status = m3i_registry_write(db, err);
	if (status == M3_OK)
		*result = ref;
	else
	{
		if (added)
			remove_last(db, last);
		else
		{
			namespace_at(db, ref)->options = had;
			namespace_at(db, ref)->dropped = was_dropped;
		}
		root->options = had_root;
		root->has_options = had_options;
	}
	return status;
}

M3Status
m3i_namespace_ensure(M3Database *db, M3Slice name, const M3NamespaceOptions *options,
					 const M3RootOptions *root_options, M3Ref *ref, M3Error *err)
{
	M3Status	status;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	*ref = find_locked(db, name);
	status = check_locked(db, name, *ref, options, root_options, err);
	if (status == M3_OK && *ref != 0 && is_current(namespace_at(db, *ref), options))
	{
		db->env->unlock(db->env, m3i_lock_names(db));
		return M3_OK;
	}
	db->env->unlock(db->env, m3i_lock_names(db));
	M3_TRY(status);

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	status = ensure_locked(db, name, options, root_options, ref, err);
	db->env->unlock(db->env, m3i_lock_names(db));
	return status;
}

void
m3i_namespace_count_write(M3Database *db, M3NamespaceShared *ns, const M3WriteEffect *effect,
						  int64_t first_block_ns, int64_t end_ns)
{
	int64_t		seen = __atomic_load_n(&ns->first_block_ns, __ATOMIC_RELAXED);

	(void) db;
	__atomic_fetch_add(&ns->point_count, (uint64_t) (effect->points + effect->merged_points),
					   __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->buffer_size, (uint64_t) (effect->bytes + effect->merged_bytes),
					   __ATOMIC_RELAXED);
	__atomic_fetch_add(&ns->block_count, effect->new_buckets, __ATOMIC_RELAXED);
	while (first_block_ns < seen &&
		   !__atomic_compare_exchange_n(&ns->first_block_ns, &seen, first_block_ns, false,
										__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	seen = __atomic_load_n(&ns->end_ns, __ATOMIC_RELAXED);
	while (end_ns > seen &&
		   !__atomic_compare_exchange_n(&ns->end_ns, &seen, end_ns, false,
										__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void
m3i_namespaces_drop(M3Database *db)
{
	M3RootShared *root = db->root;
	M3Env	   *env = db->env;

	while (root->first_namespace != 0)
	{
		M3Ref		ref = root->first_namespace;
		M3NamespaceShared *ns = namespace_at(db, ref);

		for (uint32_t i = 0; i < ns->series_count; i++)
		{
			M3Ref		series = *m3i_series_entry(db, ns, i);
			uint32_t	hash;
			uint32_t	lock;

			if (series == 0)
				continue;
			hash = ((M3Series *) m3_arena_at(db->arena, series))->hash;
			lock = M3_LOCK_STRIPE + m3_series_stripe(hash);
			env->lock(env, lock, M3_LOCK_EXCLUSIVE);
			m3_series_unlink(db->arena, env, m3i_stripe(db, hash), series);
			env->unlock(env, lock);
			m3_arena_free(db->arena, env, series);
		}
		m3i_series_list_free(db, ns);
		m3i_blocks_free(db, ns);
		root->first_namespace = ns->next;
		m3_arena_free(db->arena, env, ref);
	}
	root->last_namespace = 0;
	while (root->first_buried != 0)
	{
		M3Ref		ref = root->first_buried;

		root->first_buried = namespace_at(db, ref)->next;
		m3i_series_list_free(db, namespace_at(db, ref));
		m3_arena_free(db->arena, env, ref);
	}
	root->has_options = false;
}

/* --- information -------------------------------------------------------- */

/* ROOT_NAMES held. */
static void
fill_info(const M3NamespaceShared *ns, M3NamespaceInfo *info)
{
	memset(info, 0, sizeof(*info));
	memcpy(info->name, ns->name, ns->name_size);
	info->options = ns->options;
	info->series_count = ns->series_count - ns->series_holes;
	info->point_count = __atomic_load_n(&ns->point_count, __ATOMIC_RELAXED);
	info->buffer_size = __atomic_load_n(&ns->buffer_size, __ATOMIC_RELAXED);
	info->block_count = __atomic_load_n(&ns->block_count, __ATOMIC_RELAXED);
	info->file_count = __atomic_load_n(&ns->file_count, __ATOMIC_RELAXED);
	info->file_size = __atomic_load_n(&ns->file_size, __ATOMIC_RELAXED);
	info->file_series = __atomic_load_n(&ns->file_series, __ATOMIC_RELAXED);
}

M3Status
m3_namespace_info(M3Database *db, M3Slice name, M3NamespaceInfo *info, M3Error *err)
{
	M3Ref		ref;

	M3_TRY(m3i_require_ready(db, err));
	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	ref = find_locked(db, name);
	if (ref != 0 && namespace_at(db, ref)->dropped)
		ref = 0;
	if (ref != 0)
		fill_info(namespace_at(db, ref), info);
	db->env->unlock(db->env, m3i_lock_names(db));
	if (ref == 0)
		return m3_error(err, M3_NOT_FOUND, "namespace \"%.*s\" does not exist",
						(int) name.size, (const char *) name.data);
	return M3_OK;
}

M3Status
m3_namespaces(M3Database *db, M3NamespaceFn fn, void *context, M3Error *err)
{
	M3Memory   *memory = db->engine->memory;
	M3NamespaceInfo *infos = NULL;
	size_t		capacity = 0;
	size_t		count;

	M3_TRY(m3i_require_ready(db, err));
	do
	{
		m3_free(memory, infos);
		capacity = capacity == 0 ? 64 : capacity * 2;
		infos = m3_alloc(memory, capacity * sizeof(*infos));
		if (infos == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		count = 0;
		db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
		for (M3Ref ref = db->root->first_namespace; ref != 0; ref = namespace_at(db, ref)->next)
		{
			if (namespace_at(db, ref)->dropped)
				continue;
			if (count < capacity)
				fill_info(namespace_at(db, ref), &infos[count]);
			count++;
		}
		db->env->unlock(db->env, m3i_lock_names(db));
	} while (count > capacity);
	for (size_t i = 0; i < count; i++)
		fn(context, &infos[i]);
	m3_free(memory, infos);
	return M3_OK;
}
