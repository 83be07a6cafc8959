#include "storage/db/txn.h"

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
	m3_free(txn->memory, txn->voids);
	m3_free(txn->memory, txn->alters);
	m3_free(txn->memory, txn);
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

bool
m3_txn_has_work(const M3Txn *txn)
{
	return m3i_pending_count(txn->pending) > 0 || txn->void_count > 0 || txn->alter_count > 0;
}

M3TxnMark
m3_txn_mark(const M3Txn *txn)
{
	M3TxnMark	mark = {
		.points = m3i_pending_count(txn->pending),
		.series = txn->series_count,
		.namespaces = txn->namespace_count,
		.changes = txn->change_count,
		.voids = txn->void_count,
		.alters = txn->alter_count
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

		m3i_txn_set_options(txn, &txn->namespaces[change->namespace_number], &change->options);
	}
	while (txn->void_count > mark->voids)
	{
		const M3TxnVoided *voided = &txn->voids[--txn->void_count];

		txn->namespaces[voided->namespace_number].emptied = voided->before;
	}
	while (txn->alter_count > mark->alters)
	{
		const M3TxnAltered *altered = &txn->alters[--txn->alter_count];

		txn->namespaces[altered->namespace_number].altered = altered->before;
	}
	txn->namespace_count = mark->namespaces;
}
