#include "storage/db/scan.h"

#include <string.h>

#include "storage/db/scan_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series matched between two looks for an interrupt. */
#define YIELD_EVERY 4096u

static M3Status
add_series(M3Scan *scan, M3Ref ref, M3OwnSeries *own, M3Error *err)
{
	if (scan->series_count == scan->series_capacity)
	{
		size_t		capacity = scan->series_capacity == 0 ? 64 : scan->series_capacity * 2;
		M3ScanSeries *series = m3_resize(scan->memory, scan->series, capacity * sizeof(*series));

		if (series == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %zu series", capacity);
		scan->series = series;
		scan->series_capacity = capacity;
	}
	scan->series[scan->series_count].ref = ref;
	scan->series[scan->series_count].own = own;
	scan->series_count++;
	if (own != NULL)
		own->taken = 1;
	return M3_OK;
}

static M3Status
consider_shared(M3Scan *scan, M3Ref ref, M3Error *err)
{
	const M3Series *series = m3_arena_at(scan->db->arena, ref);

	if (ref == 0)
		return M3_OK;			/* a hole in the list */
	scan->stats.series_examined++;
	if (!m3i_matches(&scan->matching, m3_series_id(series), m3_series_tags(series)))
		return M3_OK;
	return add_series(scan, ref, m3i_own_of_ref(&scan->own, ref), err);
}

/* ROOT_NAMES held. */
static void
copy_chunks(const M3Database *db, const M3NamespaceShared *ns, M3Ref *list)
{
	for (uint32_t first = 0; first < ns->series_count; first += M3_SERIES_CHUNK)
	{
		uint32_t	left = ns->series_count - first;

		memcpy(list + first, m3i_series_entry(db, ns, first),
			   (left < M3_SERIES_CHUNK ? left : M3_SERIES_CHUNK) * sizeof(M3Ref));
	}
}

/* A copy of the namespace's list of series. */
static M3Status
copy_list(M3Scan *scan, const M3NamespaceShared *ns, M3Ref **list, uint32_t *count, M3Error *err)
{
	M3Env	   *env = scan->db->env;
	uint32_t	capacity = 0;

	*list = NULL;
	for (;;)
	{
		bool		done;

		env->lock(env, m3i_lock_names(scan->db), M3_LOCK_SHARED);
		*count = ns->series_count;
		done = *count <= capacity;
		if (done)
			copy_chunks(scan->db, ns, *list);
		env->unlock(env, m3i_lock_names(scan->db));
		if (done)
			return M3_OK;
		m3_free(scan->memory, *list);
		capacity = *count + *count / 8;
		*list = m3_alloc(scan->memory, capacity * sizeof(M3Ref));
		if (*list == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %u series", capacity);
	}
}

static M3Status
find_in_list(M3Scan *scan, const M3NamespaceShared *ns, M3Error *err)
{
	M3Ref	   *list;
	uint32_t	count;
	M3Status	status = copy_list(scan, ns, &list, &count, err);

	for (uint32_t i = 0; i < count && status == M3_OK; i++)
	{
		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			scan->db->env->yield(scan->db->env);
		status = consider_shared(scan, list[i], err);
	}
	m3_free(scan->memory, list);
	return status;
}

/* Of candidates that the index gave, which are matched only as far as it could not tell. */
static M3Status
take_candidates(M3Scan *scan, const M3Candidates *candidates, M3Error *err)
{
	bool		is_settled = m3i_is_settled(&scan->matching);

	for (size_t i = 0; i < candidates->count; i++)
	{
		M3Ref		ref = candidates->list[i];
		const M3Series *series = m3_arena_at(scan->db->arena, ref);

		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			scan->db->env->yield(scan->db->env);
		if (is_settled || m3i_matches_rest(&scan->matching, m3_series_id(series),
										   m3_series_tags(series)))
			M3_TRY(add_series(scan, ref, m3i_own_of_ref(&scan->own, ref), err));
	}
	scan->stats.series_examined += candidates->count;
	return M3_OK;
}

static M3Status
find_by_tags(M3Scan *scan, const M3ScanOptions *options, const M3NamespaceShared *ns,
			 M3Error *err)
{
	M3Candidates candidates;
	M3Status	status;

	if (options->matcher_count == 0 || options->without_index)
		return find_in_list(scan, ns, err);
	M3_TRY(m3i_candidates_find(scan->db, ns, &scan->matching, &candidates, err));
	if (candidates.all)
		return find_in_list(scan, ns, err);
	status = take_candidates(scan, &candidates, err);
	m3_free(scan->memory, candidates.list);
	return status;
}

/* The ids are given: look them up. */
static M3Status
find_by_id(M3Scan *scan, const M3Matcher *ids, M3Ref namespace_ref, M3Error *err)
{
	M3Database *db = scan->db;

	for (size_t i = 0; i < ids->value_count; i++)
	{
		uint32_t	hash = m3_series_hash(namespace_ref, ids->values[i]);
		uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(hash);
		bool		repeated = false;
		M3Ref		ref;

		for (size_t j = 0; j < i && !repeated; j++)
			repeated = m3_slice_equal(ids->values[j], ids->values[i]);
		if (repeated)
			continue;
		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		ref = m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref, ids->values[i], hash);
		db->env->unlock(db->env, lock);
		if (ref != 0)
			M3_TRY(consider_shared(scan, ref, err));
	}
	return M3_OK;
}

static uint32_t
shard_of(const M3Scan *scan, const M3ScanSeries *entry)
{
	const M3Series *series = m3_arena_at(scan->db->arena, entry->ref);

	return series->shard % scan->shard_count;
}

/*
 * Puts series of one shard next to each other, else in the order they are in: each shard has
 * files of its own, and only so many are kept open.
 */
static M3Status
group_by_shard(M3Scan *scan, M3Error *err)
{
	uint32_t	shards = scan->shard_count;
	size_t	   *next = m3_alloc(scan->memory, (shards + 1) * sizeof(*next));
	M3ScanSeries *grouped = m3_alloc(scan->memory, scan->series_capacity * sizeof(*grouped));

	if (next == NULL || grouped == NULL)
	{
		m3_free(scan->memory, next);
		m3_free(scan->memory, grouped);
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu series", scan->series_count);
	}
	memset(next, 0, (shards + 1) * sizeof(*next));
	for (size_t i = 0; i < scan->series_count; i++)
		next[shard_of(scan, &scan->series[i]) + 1]++;
	for (uint32_t s = 0; s < shards; s++)
		next[s + 1] += next[s];
	for (size_t i = 0; i < scan->series_count; i++)
		grouped[next[shard_of(scan, &scan->series[i])]++] = scan->series[i];
	m3_free(scan->memory, next);
	m3_free(scan->memory, scan->series);
	scan->series = grouped;
	return M3_OK;
}

static M3Status
find_in_namespace(M3Scan *scan, const M3ScanOptions *options, M3Error *err)
{
	const M3NamespaceShared *ns = m3_arena_at(scan->db->arena, scan->namespace_ref);

	for (size_t i = 0; i < options->matcher_count; i++)
	{
		if (options->matchers[i].kind == M3_MATCH_ID)
			return find_by_id(scan, &options->matchers[i], scan->namespace_ref, err);
	}
	M3_TRY(find_by_tags(scan, options, ns, err));
	if (scan->series_count > 1 && __atomic_load_n(&ns->file_count, __ATOMIC_RELAXED) > 0)
		return group_by_shard(scan, err);
	return M3_OK;
}

/* Series that only the transaction knows, or that were made after the list was copied. */
static M3Status
find_own(M3Scan *scan, M3Error *err)
{
	for (size_t i = 0; i < scan->own.series_count; i++)
	{
		M3OwnSeries *own = &scan->own.series[i];
		const M3TxnSeries *series = &scan->own.txn->series[own->number];

		if (own->taken)
			continue;
		scan->stats.series_examined++;
		if (m3i_matches(&scan->matching, m3i_txn_series_id(series),
						m3i_txn_series_tags(series)))
			M3_TRY(add_series(scan, own->ref, own, err));
	}
	return M3_OK;
}

static void
set_limits(M3Scan *scan, const M3NamespaceOptions *options)
{
	int64_t		now_ns = scan->db->env->now_ns(scan->db->env);

	scan->block_size_ns = options->block_size_ns;
	scan->cache_policy = options->cache_policy;
	if (options->retention_period_ns != 0)
	{
		/* by whole blocks, as data leaves */
		int64_t		first_ns = m3_block_start(now_ns - options->retention_period_ns,
											  options->block_size_ns);

		if (scan->start_ns < first_ns)
			scan->start_ns = first_ns;
	}
}

static M3Status
open_namespace(M3Scan *scan, M3Slice name, const M3ScanOptions *options, M3Error *err)
{
	M3Database *db = scan->db;
	M3Ref		ref = m3i_namespace_find(db, name);
	M3NamespaceOptions ns_options;
	uint32_t	own_number = options->own == NULL ? UINT32_MAX :
		m3i_txn_find_namespace(options->own, name);

	if (ref != 0)
	{
		db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
		ns_options = ((M3NamespaceShared *) m3_arena_at(db->arena, ref))->options;
		scan->shard_count = db->root->options.shard_count;
		db->env->unlock(db->env, m3i_lock_names(db));
	}
	else if (own_number != UINT32_MAX)
		ns_options = options->own->namespaces[own_number].options;
	else
		return M3_OK;
	scan->namespace_ref = ref;
	set_limits(scan, &ns_options);
	if (own_number != UINT32_MAX)
	{
		scan->shared_hidden = m3i_txn_hides_shared(options->own, own_number,
												   options->own_command);
		M3_TRY(m3i_own_collect(&scan->own, options->own, name, ref, scan->start_ns,
							   scan->end_ns, options->own_command, scan->memory, err));
	}
	if (ref != 0 && !scan->shared_hidden)
		M3_TRY(find_in_namespace(scan, options, err));
	return find_own(scan, err);
}

M3Status
m3_scan_open(M3Database *db, M3Slice namespace_name, const M3ScanOptions *options,
			 M3Memory *memory, M3Scan **result, M3Error *err)
{
	M3Scan	   *scan;
	M3Status	status;

	M3_TRY(m3i_require_ready(db, err));
	scan = m3_alloc(memory, sizeof(*scan));
	if (scan == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(scan, 0, sizeof(*scan));
	scan->db = db;
	scan->memory = memory;
	scan->start_ns = options->start_ns;
	scan->end_ns = options->end_ns;
	scan->snapshot = options->snapshot;
	scan->with_units = options->with_units;
	scan->with_annotations = options->with_annotations;
	scan->without_statistics = options->without_statistics;
	scan->has_matchers = options->matcher_count > 0;
	status = m3i_matching_init(&scan->matching, options->matchers, options->matcher_count, memory,
							   err);
	if (status == M3_OK && scan->start_ns < scan->end_ns)
		status = open_namespace(scan, namespace_name, options, err);
	m3i_matching_free(&scan->matching);
	if (status != M3_OK)
	{
		m3_scan_close(scan);
		return status;
	}
	scan->stats.series_matched = scan->series_count;
	*result = scan;
	return M3_OK;
}

void
m3_scan_close(M3Scan *scan)
{
	if (scan == NULL)
		return;
	m3i_own_free(&scan->own, scan->memory);
	for (uint32_t s = 0; scan->block_lists != NULL && s < scan->shard_count; s++)
		m3_free(scan->memory, scan->block_lists[s].blocks);
	m3_free(scan->memory, scan->block_lists);
	m3_free(scan->memory, scan->series);
	m3_free(scan->memory, scan);
}

size_t
m3_scan_series_count(const M3Scan *scan)
{
	return scan->series_count;
}

void
m3_scan_series(const M3Scan *scan, size_t index, M3Slice *id, M3Slice *tags)
{
	const M3ScanSeries *entry = &scan->series[index];

	if (entry->ref != 0)
	{
		const M3Series *series = m3_arena_at(scan->db->arena, entry->ref);

		*id = m3_series_id(series);
		*tags = m3_series_tags(series);
	}
	else
	{
		const M3TxnSeries *series = &scan->own.txn->series[entry->own->number];

		*id = m3i_txn_series_id(series);
		*tags = m3i_txn_series_tags(series);
	}
}

uint32_t
m3_scan_series_hash(const M3Scan *scan, size_t index)
{
	const M3ScanSeries *entry = &scan->series[index];

	if (entry->ref != 0)
	{
		const M3Series *series = m3_arena_at(scan->db->arena, entry->ref);

		return (uint32_t) (((uint64_t) shard_of(scan, entry) << 32 | series->hash) /
						   scan->shard_count);
	}
	return m3_series_hash(scan->namespace_ref,
						  m3i_txn_series_id(&scan->own.txn->series[entry->own->number]));
}

void
m3_scan_stats(const M3Scan *scan, M3ScanStats *stats)
{
	*stats = scan->stats;
}
