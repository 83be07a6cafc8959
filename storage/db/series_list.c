/*
 * The series of a namespace: a list, in chunks so that it needs no large piece of
 * memory, and the index of their tags, beside the table that finds them by id, which all
 * namespaces share.
 */
#include <string.h>

#include "storage/db/db_private.h"
#include "storage/ident/id.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_CHUNK_CAPACITY 2u

M3Status
m3i_series_check_tags(M3Slice id, M3Slice stored, M3Slice wanted, M3Error *err)
{
	if (m3_slice_equal(stored, wanted))
		return M3_OK;
	(void) m3_error(err, M3_CONFLICT, "series \"%.*s\" has other tags",
					(int) (id.size > 120 ? 120 : id.size), (const char *) id.data);
	m3_error_detail(err, "A series is identified by its id, and keeps the tags it was "
					"first written with.");
	return M3_CONFLICT;
}

/* ROOT_NAMES held exclusive: one more chunk at the end of the list. */
static bool
add_chunk(M3Database *db, M3NamespaceShared *ns)
{
	M3Ref		chunk = m3_arena_alloc(db->arena, db->env, M3_SERIES_CHUNK * sizeof(M3Ref));

	if (chunk == 0)
		return false;
	if (ns->chunk_count == ns->chunk_capacity)
	{
		uint32_t	capacity = ns->chunk_capacity * 2 + FIRST_CHUNK_CAPACITY;
		M3Ref		chunks = m3_arena_alloc(db->arena, db->env, capacity * sizeof(M3Ref));

		if (chunks == 0)
		{
			m3_arena_free(db->arena, db->env, chunk);
			return false;
		}
		if (ns->chunk_count > 0)
			memcpy(m3_arena_at(db->arena, chunks), m3_arena_at(db->arena, ns->series_chunks),
				   ns->chunk_count * sizeof(M3Ref));
		m3_arena_free(db->arena, db->env, ns->series_chunks);
		ns->series_chunks = chunks;
		ns->chunk_capacity = capacity;
	}
	((M3Ref *) m3_arena_at(db->arena, ns->series_chunks))[ns->chunk_count++] = chunk;
	return true;
}

/* ROOT_NAMES held exclusive: makes sure there is a place for one more series. */
static bool
reserve_entry(M3Database *db, M3NamespaceShared *ns)
{
	return ns->series_holes > 0 || ns->series_count < ns->chunk_count * M3_SERIES_CHUNK ||
		add_chunk(db, ns);
}

/* ROOT_NAMES held exclusive, a place reserved: the first hole, or the end. */
static uint32_t
add_entry(M3Database *db, M3NamespaceShared *ns, M3Ref ref)
{
	uint32_t	ordinal = ns->series_count;

	if (ns->series_holes > 0)
	{
		for (ordinal = ns->first_hole; *m3i_series_entry(db, ns, ordinal) != 0;)
			ordinal++;
		ns->first_hole = ordinal + 1;
		ns->series_holes--;
	}
	else
		__atomic_store_n(&ns->series_count, ns->series_count + 1, __ATOMIC_RELAXED);
	*m3i_series_entry(db, ns, ordinal) = ref;
	return ordinal;
}

void
m3i_series_list_free(M3Database *db, M3NamespaceShared *ns)
{
	for (uint32_t i = 0; i < ns->chunk_count; i++)
		m3_arena_free(db->arena, db->env,
					  ((M3Ref *) m3_arena_at(db->arena, ns->series_chunks))[i]);
	m3_arena_free(db->arena, db->env, ns->series_chunks);
	ns->series_chunks = 0;
	ns->chunk_count = 0;
	ns->chunk_capacity = 0;
	ns->series_count = 0;
	ns->series_holes = 0;
	m3_index_free(db->arena, db->env, &ns->index);
}

/* ROOT_NAMES held exclusive: the list's entry becomes a hole, or the list shorter. */
static void
remove_entry(M3Database *db, M3NamespaceShared *ns, const M3Series *series)
{
	if (ns->series_holes == 0 || series->ordinal < ns->first_hole)
		ns->first_hole = series->ordinal;
	*m3i_series_entry(db, ns, series->ordinal) = 0;
	ns->series_holes++;
	while (ns->series_count > 0 && *m3i_series_entry(db, ns, ns->series_count - 1) == 0)
	{
		__atomic_store_n(&ns->series_count, ns->series_count - 1, __ATOMIC_RELAXED);
		ns->series_holes--;
	}
}

/* ROOT_NAMES held exclusive, a place reserved, and the lock of the stripe, which has no such
 * series.  M3_FULL leaves nothing behind. */
static M3Status
create_in_stripe(M3Database *db, M3Ref namespace_ref, M3Slice id, M3Slice tags, uint32_t hash,
				 M3Ref *result, M3Error *err)
{
	M3NamespaceShared *ns = m3_arena_at(db->arena, namespace_ref);
	M3Ref		ref = m3_series_create(db->arena, db->env, m3i_stripe(db, hash), namespace_ref, id,
									   tags, hash);
	M3Series   *series;
	M3Status	status;

	if (ref == 0)
		return m3_error(err, M3_FULL, "no room for series in the buffer arena");
	series = m3_arena_at(db->arena, ref);
	series->ordinal = add_entry(db, ns, ref);
	status = m3_index_add(db->arena, db->env, &ns->index, tags, series->ordinal, err);
	if (status != M3_OK)
	{
		remove_entry(db, ns, series);
		m3_series_unlink(db->arena, db->env, m3i_stripe(db, hash), ref);
		m3_arena_free(db->arena, db->env, ref);
		return status;
	}
	series->unique_index = db->root->next_unique_index++;
	series->shard = m3_shard_of_id(id, db->root->options.hash_seed,
								   db->root->options.shard_count);
	*result = ref;
	return M3_OK;
}

/* ROOT_NAMES held exclusive. */
static M3Status
create_locked(M3Database *db, M3Ref namespace_ref, M3Slice id, M3Slice tags, uint32_t hash,
			  M3Ref *result, bool *created, M3Error *err)
{
	M3NamespaceShared *ns = m3_arena_at(db->arena, namespace_ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(hash);
	M3Env	   *env = db->env;
	M3Status	status = M3_OK;

	if (!reserve_entry(db, ns))
		return m3_error(err, M3_FULL, "no room for series in the buffer arena");
	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	*result = m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref, id, hash);
	if (*result == 0)
	{
		status = create_in_stripe(db, namespace_ref, id, tags, hash, result, err);
		*created = status == M3_OK;
	}
	env->unlock(env, lock);
	return status;
}

uint32_t
m3i_series_chunk(M3Database *db, const M3NamespaceShared *ns, uint32_t first,
				 M3Ref list[M3_SERIES_CHUNK])
{
	uint32_t	count;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	count = first < ns->series_count ? ns->series_count - first : 0;
	if (count > M3_SERIES_CHUNK - first % M3_SERIES_CHUNK)
		count = M3_SERIES_CHUNK - first % M3_SERIES_CHUNK;
	if (count > 0)
		memcpy(list, m3i_series_entry(db, ns, first), count * sizeof(M3Ref));
	db->env->unlock(db->env, m3i_lock_names(db));
	return count;
}

/* --- away with it ------------------------------------------------------- */

bool
m3i_series_unlink_expired(M3Database *db, M3Ref ref, int64_t first_retained_ns)
{
	M3Series   *series = m3_arena_at(db->arena, ref);
	M3NamespaceShared *ns = m3_arena_at(db->arena, series->namespace_ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);
	M3Env	   *env = db->env;
	bool		empty;

	env->lock(env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	/* somebody else may have been faster; a flush says where a series will be on disk before it
	 * takes it out of the buffers */
	empty = !series->unlinked && m3_series_is_empty(db->arena, series) &&
		(series->last_file_ns == INT64_MIN || series->last_file_ns < first_retained_ns);
	if (empty)
	{
		M3WriteEffect effect = {0};

		/* what is left are points taken back, which count as bytes */
		m3_series_void(db->arena, env, series, UINT64_MAX, &effect);
		m3i_namespace_count_write(db, ns, &effect, INT64_MAX, INT64_MIN);
		m3_series_unlink(db->arena, env, m3i_stripe(db, series->hash), ref);
		m3_index_remove(db->arena, env, &ns->index, m3_series_tags(series), series->ordinal);
		remove_entry(db, ns, series);
		/* a commit that is prepared looks at it without a lock, and then again */
		__atomic_store_n(&series->metadata_log_index, db->root->first_unlinked, __ATOMIC_RELAXED);
		__atomic_store_n(&db->root->first_unlinked, ref, __ATOMIC_RELAXED);
	}
	env->unlock(env, lock);
	env->unlock(env, m3i_lock_names(db));
	/* only now: whoever began before this mark may have found it */
	if (empty)
		__atomic_store_n(&series->unique_index, m3i_mark(db), __ATOMIC_RELAXED);
	return empty;
}

bool
m3i_series_unlink_empty(M3Database *db, M3Ref ref)
{
	return m3i_series_unlink_expired(db, ref, INT64_MIN);
}

void
m3i_series_reclaim(M3Database *db)
{
	M3Ref	   *link = &db->root->first_unlinked;
	uint64_t	oldest;

	if (*link == 0)
		return;
	oldest = m3i_oldest(db);
	while (*link != 0)
	{
		M3Ref		ref = *link;
		M3Series   *series = m3_arena_at(db->arena, ref);

		if (series->unique_index >= oldest)
			link = &series->metadata_log_index;
		else
		{
			__atomic_store_n(link, series->metadata_log_index, __ATOMIC_RELAXED);
			m3_arena_free(db->arena, db->env, ref);
		}
	}
}

/* --- other tags --------------------------------------------------------- */

M3Status
m3i_series_retag(M3Database *db, M3Ref *ref, M3Slice tags, M3Error *err)
{
	M3Env	   *env = db->env;
	M3Series   *old = m3_arena_at(db->arena, *ref);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(old->hash);
	M3NamespaceShared *ns = m3_arena_at(db->arena, old->namespace_ref);
	M3Ref		made;
	M3Status	status = M3_OK;

	env->lock(env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	made = m3_series_create(db->arena, env, m3i_stripe(db, old->hash), old->namespace_ref,
							m3_series_id(old), tags, old->hash);
	if (made == 0)
		status = m3_error(err, M3_FULL, "no room for series in the buffer arena");
	else
		status = m3_index_add(db->arena, env, &ns->index, tags, old->ordinal, err);
	if (status == M3_OK)
	{
		M3Series   *series = m3_arena_at(db->arena, made);
		uint32_t	tags_size = series->tags_size;

		memcpy(series, old, offsetof(M3Series, bytes));
		series->tags_size = tags_size;
		*m3i_series_entry(db, ns, series->ordinal) = made;
		old->buckets = 0;
		old->bucket_count = old->bucket_capacity = 0;
		m3_series_unlink(db->arena, env, m3i_stripe(db, old->hash), *ref);
		old->unique_index = 0;	/* nobody outside of the bootstrap knows it */
		old->metadata_log_index = db->root->first_unlinked;
		db->root->first_unlinked = *ref;
		*ref = made;
	}
	else if (made != 0)
	{
		m3_series_unlink(db->arena, env, m3i_stripe(db, old->hash), made);
		m3_arena_free(db->arena, env, made);
	}
	env->unlock(env, lock);
	env->unlock(env, m3i_lock_names(db));
	return status;
}

/* --- finding and making ------------------------------------------------- */

M3Status
m3i_series_ensure(M3Database *db, M3Ref namespace_ref, M3Slice id, M3Slice tags, uint32_t hash,
				  M3Ref *ref, bool *created, M3Error *err)
{
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(hash);
	M3Env	   *env = db->env;

	*created = false;
	env->lock(env, lock, M3_LOCK_SHARED);
	*ref = m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref, id, hash);
	env->unlock(env, lock);
	if (*ref == 0)
	{
		M3Status	status;

		env->lock(env, m3i_lock_names(db), M3_LOCK_EXCLUSIVE);
		status = create_locked(db, namespace_ref, id, tags, hash, ref, created, err);
		env->unlock(env, m3i_lock_names(db));
		M3_TRY(status);
	}
	return m3i_series_check_tags(id, m3_series_tags(m3_arena_at(db->arena, *ref)), tags, err);
}
