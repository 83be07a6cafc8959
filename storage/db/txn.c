#include "storage/db/txn.h"

#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/db/txn_private.h"
#include "storage/ident/tags.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_TABLE_CAPACITY 64u

M3Status
m3_txn_begin(M3Database *db, M3Memory *memory, M3Txn **result, M3Error *err)
{
	M3Txn	   *txn;

	M3_TRY(m3i_require_ready(db, err));
	txn = m3_alloc(memory, sizeof(*txn));
	if (txn == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(txn, 0, sizeof(*txn));
	txn->db = db;
	txn->memory = memory;
	txn->pending = m3i_pending_create(db->env, memory,
									  db->engine->settings->txn_memory_size);
	if (txn->pending == NULL)
	{
		m3_free(memory, txn);
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	m3i_txn_enter(db);
	*result = txn;
	return M3_OK;
}

/* Lets others free what this transaction, or one before it, has unlinked. */
static void
leave(M3Txn *txn)
{
	M3Database *db = txn->db;

	m3i_txn_forget_series(txn);
	m3i_txn_leave(db);
	if (__atomic_load_n(&db->root->first_unlinked, __ATOMIC_RELAXED) == 0)
		return;
	db->env->lock(db->env, m3i_lock_write(db), M3_LOCK_EXCLUSIVE);
	m3i_series_reclaim(db);
	db->env->unlock(db->env, m3i_lock_write(db));
}

void
m3_txn_free(M3Txn *txn)
{
	if (txn == NULL)
		return;
	if (txn->staged)
		(void) m3_txn_abort(txn);
	leave(txn);
	m3i_pending_free(txn->pending);
	for (uint32_t i = 0; i < txn->series_count; i++)
		m3_free(txn->memory, txn->series[i].bytes);
	m3_free(txn->memory, txn->series);
	m3_free(txn->memory, txn->table);
	m3_free(txn->memory, txn->namespaces);
	m3_free(txn->memory, txn->changes);
	m3_free(txn->memory, txn);
}

/* --- namespaces --------------------------------------------------------- */

uint32_t
m3i_txn_find_namespace(const M3Txn *txn, M3Slice name)
{
	for (uint32_t i = 0; i < txn->namespace_count; i++)
	{
		const M3TxnNamespace *ns = &txn->namespaces[i];

		if (m3_slice_equal(m3_slice(ns->name, ns->name_size), name))
			return i;
	}
	return UINT32_MAX;
}

static M3Status
change_options(M3Txn *txn, uint32_t number, const M3NamespaceOptions *options, M3Error *err)
{
	M3NamespaceOptions *old = &txn->namespaces[number].options;

	if (m3i_options_equal(old, options))
		return M3_OK;
	if (txn->change_count == txn->change_capacity)
	{
		uint32_t	capacity = txn->change_capacity == 0 ? 4 : txn->change_capacity * 2;
		M3TxnChange *changes = m3_resize(txn->memory, txn->changes, capacity * sizeof(*changes));

		if (changes == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		txn->changes = changes;
		txn->change_capacity = capacity;
	}
	txn->changes[txn->change_count].namespace_number = number;
	txn->changes[txn->change_count].options = *old;
	txn->change_count++;
	*old = *options;
	return M3_OK;
}

bool
m3_txn_block_size(M3Txn *txn, M3Slice name, int64_t *block_size_ns)
{
	uint32_t	number = m3i_txn_find_namespace(txn, name);
	M3Database *db = txn->db;
	M3Ref		ref = m3i_namespace_find(db, name);

	if (ref != 0)
		*block_size_ns = ((M3NamespaceShared *) m3_arena_at(db->arena, ref))->options.block_size_ns;
	else if (number != UINT32_MAX)
		*block_size_ns = txn->namespaces[number].options.block_size_ns;
	return ref != 0 || number != UINT32_MAX;
}

M3Status
m3_txn_namespace(M3Txn *txn, M3Slice name, const M3NamespaceOptions *options,
				 const M3RootOptions *root_options, uint32_t *number, M3Error *err)
{
	uint32_t	found = m3i_txn_find_namespace(txn, name);
	M3TxnNamespace *ns;

	M3_TRY(m3i_namespace_check(txn->db, name, options, root_options, err));
	if (found != UINT32_MAX)
	{
		ns = &txn->namespaces[found];
		if (ns->options.block_size_ns != options->block_size_ns)
			return m3_error(err, M3_CONFLICT, "block_size of namespace \"%.*s\" cannot be changed",
							(int) name.size, (const char *) name.data);
		*number = found;
		return change_options(txn, found, options, err);
	}
	if (txn->namespace_count == txn->namespace_capacity)
	{
		uint32_t	capacity = txn->namespace_capacity == 0 ? 4 : txn->namespace_capacity * 2;

		ns = m3_resize(txn->memory, txn->namespaces, capacity * sizeof(*ns));
		if (ns == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		txn->namespaces = ns;
		txn->namespace_capacity = capacity;
	}
	ns = &txn->namespaces[txn->namespace_count];
	memset(ns, 0, sizeof(*ns));
	ns->options = *options;
	ns->root_options = *root_options;
	ns->min_ns = INT64_MAX;
	ns->max_ns = INT64_MIN;
	ns->name_size = (uint32_t) name.size;
	memcpy(ns->name, name.data, name.size);
	*number = txn->namespace_count++;
	return M3_OK;
}

/* --- series ------------------------------------------------------------- */

static uint32_t
name_hash(uint32_t namespace_number, M3Slice id)
{
	uint64_t	hash = m3_xxh64(id.data, id.size) + namespace_number * UINT64_C(0x9E3779B97F4A7C15);

	return (uint32_t) (hash ^ hash >> 32);
}

static uint32_t
find_series(const M3Txn *txn, uint32_t namespace_number, M3Slice id, uint32_t hash)
{
	uint32_t	mask = txn->table_capacity - 1;

	if (txn->table_capacity == 0)
		return UINT32_MAX;
	for (uint32_t i = hash & mask; txn->table[i] != 0; i = (i + 1) & mask)
	{
		const M3TxnSeries *series = &txn->series[txn->table[i] - 1];

		if (series->name_hash == hash && series->namespace_number == namespace_number &&
			m3_slice_equal(m3i_txn_series_id(series), id))
			return txn->table[i] - 1;
	}
	return UINT32_MAX;
}

static void
put_in_table(uint32_t *table, uint32_t capacity, uint32_t hash, uint32_t number)
{
	uint32_t	i = hash & (capacity - 1);

	while (table[i] != 0)
		i = (i + 1) & (capacity - 1);
	table[i] = number + 1;
}

/* Room for one more series in the array and the table. */
static M3Status
reserve_series(M3Txn *txn, M3Error *err)
{
	if (txn->series_count == txn->series_capacity)
	{
		uint32_t	capacity = txn->series_capacity == 0 ? 16 : txn->series_capacity * 2;
		M3TxnSeries *series = m3_resize(txn->memory, txn->series, capacity * sizeof(*series));

		if (series == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %u series", capacity);
		txn->series = series;
		txn->series_capacity = capacity;
	}
	if ((txn->series_count + 1) * 2 > txn->table_capacity)
	{
		uint32_t	capacity = txn->table_capacity == 0 ? FIRST_TABLE_CAPACITY :
			txn->table_capacity * 2;
		uint32_t   *table = m3_alloc(txn->memory, capacity * sizeof(*table));

		if (table == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %u series", capacity);
		memset(table, 0, capacity * sizeof(*table));
		for (uint32_t i = 0; i < txn->series_count; i++)
			put_in_table(table, capacity, txn->series[i].name_hash, i);
		m3_free(txn->memory, txn->table);
		txn->table = table;
		txn->table_capacity = capacity;
	}
	return M3_OK;
}

/* The series in the database, if it is there: its ref, and its tags compared. */
static M3Status
look_up_shared(M3Txn *txn, uint32_t namespace_number, M3Slice id, M3Slice tags,
			   M3Ref *ref, M3Error *err)
{
	M3TxnNamespace *ns = &txn->namespaces[namespace_number];
	M3Database *db = txn->db;
	M3Ref		namespace_ref = ns->ref;
	uint32_t	hash;

	*ref = 0;
	if (namespace_ref == 0)
		namespace_ref = m3i_namespace_find(db, m3_slice(ns->name, ns->name_size));
	if (namespace_ref == 0)
		return M3_OK;
	ns->ref = namespace_ref;
	hash = m3_series_hash(namespace_ref, id);
	db->env->lock(db->env, M3_LOCK_STRIPE + m3_series_stripe(hash), M3_LOCK_SHARED);
	*ref = m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref, id, hash);
	db->env->unlock(db->env, M3_LOCK_STRIPE + m3_series_stripe(hash));
	if (*ref == 0)
		return M3_OK;
	return m3i_series_check_tags(id, m3_series_tags(m3_arena_at(db->arena, *ref)), tags, err);
}

M3Status
m3_txn_series(M3Txn *txn, uint32_t namespace_number, M3Slice id, M3Slice tags,
			  uint32_t *number, M3Error *err)
{
	uint32_t	hash = name_hash(namespace_number, id);
	uint32_t	found = find_series(txn, namespace_number, id, hash);
	M3TxnSeries *series;
	M3Ref		ref;

	if (found != UINT32_MAX)
	{
		*number = found;
		return m3i_series_check_tags(id, m3i_txn_series_tags(&txn->series[found]), tags, err);
	}
	if (id.size > UINT32_MAX / 4 || tags.size > UINT32_MAX / 4)
		return m3_error(err, M3_INVALID, "a series id of %zu bytes is too long", id.size);
	M3_TRY(look_up_shared(txn, namespace_number, id, tags, &ref, err));
	M3_TRY(reserve_series(txn, err));
	series = &txn->series[txn->series_count];
	memset(series, 0, sizeof(*series));
	series->bytes = m3_alloc(txn->memory, id.size + tags.size);
	if (series->bytes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	if (id.size > 0)
		memcpy(series->bytes, id.data, id.size);
	if (tags.size > 0)
		memcpy(series->bytes + id.size, tags.data, tags.size);
	series->id_size = (uint32_t) id.size;
	series->tags_size = (uint32_t) tags.size;
	series->name_hash = hash;
	series->namespace_number = namespace_number;
	series->ref = ref;
	put_in_table(txn->table, txn->table_capacity, hash, txn->series_count);
	*number = txn->series_count++;
	return M3_OK;
}

/* --- points ------------------------------------------------------------- */

void
m3_time_range(int64_t block_size_ns, int64_t *min_ns, int64_t *end_ns)
{
	/* M3 cannot list files of blocks that start at or before 1970-01-01 */
	*min_ns = m3_block_start(block_size_ns, block_size_ns);
	if (*min_ns <= 0)
		*min_ns += block_size_ns;
	/* the end of the last block must be a time, too */
	*end_ns = m3_block_start(INT64_MAX - 2 * block_size_ns, block_size_ns);
}

static M3Status
refuse_time(const M3TxnNamespace *ns, int64_t time_ns, int64_t min_ns, int64_t end_ns,
			M3Error *err)
{
	char		text[M3_TIME_TEXT_SIZE];
	char		min_text[M3_TIME_TEXT_SIZE];
	char		end_text[M3_TIME_TEXT_SIZE];

	(void) m3_error(err, M3_INVALID, "time %s is out of range", m3_time_text(time_ns, text));
	m3_error_detail(err, "Blocks of namespace \"%.*s\" hold times from %s up to, "
					"not including, %s.",
					(int) (ns->name_size > 80 ? 80 : ns->name_size), (const char *) ns->name,
					m3_time_text(min_ns, min_text), m3_time_text(end_ns, end_text));
	return M3_INVALID;
}

M3Status
m3_txn_write(M3Txn *txn, uint32_t series, int64_t time_ns, double value, M3TimeUnit unit,
			 M3Slice annotation, uint32_t command, M3Error *err)
{
	M3TxnNamespace *ns = &txn->namespaces[txn->series[series].namespace_number];
	M3PendingPoint point;

	if (time_ns < ns->min_ns || time_ns > ns->max_ns)
	{
		int64_t		min_ns;
		int64_t		end_ns;

		m3_time_range(ns->options.block_size_ns, &min_ns, &end_ns);
		if (time_ns < min_ns || time_ns >= end_ns)
		{
			return refuse_time(ns, time_ns, min_ns, end_ns, err);
		}
	}
	if (unit != M3_UNIT_NONE)
	{
		if (!m3_unit_is_valid((unsigned) unit) || time_ns % m3_unit_ns((unsigned) unit) != 0)
		{
			char		text[M3_TIME_TEXT_SIZE];

			return m3_error(err, M3_INVALID, "time %s is not a whole number of unit \"%s\"",
							m3_time_text(time_ns, text), m3_unit_name((unsigned) unit));
		}
	}
	if (annotation.size > M3_ANNOTATION_MAX_SIZE)
	{
		(void) m3_error(err, M3_INVALID, "an annotation of %zu bytes is too long", annotation.size);
		m3_error_detail(err, "The limit is %d bytes.", M3_ANNOTATION_MAX_SIZE);
		return M3_INVALID;
	}
	point.time_ns = time_ns;
	point.value = value;
	point.annotation = 0;
	point.series = series;
	point.command = (command > M3I_PENDING_MAX_COMMAND ? M3I_PENDING_MAX_COMMAND : command) &
		M3I_PENDING_MAX_COMMAND;
	point.unit = (unsigned) unit & 7u;
	M3_TRY(m3i_pending_add(txn->pending, &point, annotation, err));
	if (time_ns < ns->min_ns)
		ns->min_ns = time_ns;
	if (time_ns > ns->max_ns)
		ns->max_ns = time_ns;
	ns->points++;
	txn->series[series].written = true;
	return M3_OK;
}

uint64_t
m3_txn_count(const M3Txn *txn)
{
	return m3i_pending_count(txn->pending);
}

M3TxnMark
m3_txn_mark(const M3Txn *txn)
{
	M3TxnMark	mark = {
		.points = m3i_pending_count(txn->pending),
		.series = txn->series_count,
		.namespaces = txn->namespace_count,
		.changes = txn->change_count
	};

	return mark;
}

/* The latest series leaves.  Nothing was put into the table after it, so no other
 * entry was moved on by its slot, which can simply be emptied. */
static void
forget_last_series(M3Txn *txn)
{
	uint32_t	number = txn->series_count - 1;
	uint32_t	i = txn->series[number].name_hash & (txn->table_capacity - 1);

	while (txn->table[i] != number + 1)
		i = (i + 1) & (txn->table_capacity - 1);
	txn->table[i] = 0;
	m3_free(txn->memory, txn->series[number].bytes);
	txn->series_count--;
}

void
m3_txn_rollback_to(M3Txn *txn, const M3TxnMark *mark)
{
	if (mark->points < m3i_pending_count(txn->pending))
		txn->rolled_back = true;
	m3i_pending_truncate(txn->pending, mark->points);
	while (txn->series_count > mark->series)
		forget_last_series(txn);
	while (txn->change_count > mark->changes)
	{
		const M3TxnChange *change = &txn->changes[--txn->change_count];

		txn->namespaces[change->namespace_number].options = change->options;
	}
	txn->namespace_count = mark->namespaces;
}

/* --- order -------------------------------------------------------------- */

typedef struct OrderKey
{
	int64_t		time_ns;
	uint32_t	position;
} OrderKey;

static int
compare_keys(const void *a, const void *b)
{
	const OrderKey *x = a;
	const OrderKey *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->position < y->position ? -1 : x->position > y->position;
}

/* Sorts one series' stretch by time, if it is not in order already. */
static M3Status
order_by_time(const M3PendingPoint *points, uint32_t *order, uint32_t count,
			  M3Memory *memory, M3Error *err)
{
	OrderKey   *keys;
	uint32_t	i;

	for (i = 1; i < count; i++)
	{
		if (points[order[i]].time_ns < points[order[i - 1]].time_ns)
			break;
	}
	if (i >= count)
		return M3_OK;
	keys = m3_alloc(memory, count * sizeof(*keys));
	if (keys == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %u points", count);
	for (i = 0; i < count; i++)
	{
		keys[i].time_ns = points[order[i]].time_ns;
		keys[i].position = order[i];
	}
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (i = 0; i < count; i++)
		order[i] = keys[i].position;
	m3_free(memory, keys);
	return M3_OK;
}

M3Status
m3i_order_points(const M3PendingPoint *points, size_t count, uint32_t series_count,
				 uint32_t *order, uint32_t *starts, M3Memory *memory, M3Error *err)
{
	memset(starts, 0, (series_count + 1) * sizeof(*starts));
	for (size_t i = 0; i < count; i++)
		starts[points[i].series + 1]++;
	for (uint32_t s = 0; s < series_count; s++)
		starts[s + 1] += starts[s];
	/* fill from the front, which moves each start to its end ... */
	for (size_t i = 0; i < count; i++)
		order[starts[points[i].series]++] = (uint32_t) i;
	/* ... and put them back */
	memmove(starts + 1, starts, series_count * sizeof(*starts));
	starts[0] = 0;
	for (uint32_t s = 0; s < series_count; s++)
	{
		if (starts[s + 1] - starts[s] > 1)
			M3_TRY(order_by_time(points, order + starts[s], starts[s + 1] - starts[s], memory,
								 err));
	}
	return M3_OK;
}
