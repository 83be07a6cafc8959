#include "storage/db/snapshot.h"

#include <string.h>

#include "storage/db/db_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

struct M3Snapshot
{
	M3Database *db;				/* NULL: borrowed, held by another process */
	M3Memory   *memory;
	M3Snapshot *next;			/* of the snapshots this process holds */
	uint64_t	next_sequence;	/* this and later ones are not seen */
	uint64_t	floor;			/* all below is seen */
	size_t		hidden_count;	/* of earlier ones, those not published */
	uint64_t	hidden[];
};

/* A lent snapshot, before its hidden numbers. */
typedef struct LentSnapshot
{
	uint64_t	root_id;
	uint64_t	next_sequence;
	uint64_t	floor;
	uint64_t	hidden_count;
} LentSnapshot;

/* The smallest sequence any snapshot held here may hide; 0 if none is held. */
static uint64_t
held_floor(const M3Database *db)
{
	uint64_t	floor = 0;

	for (const M3Snapshot *s = db->snapshots; s != NULL; s = s->next)
	{
		if (floor == 0 || s->floor < floor)
			floor = s->floor;
	}
	return floor;
}

M3Status
m3_snapshot_take(M3Database *db, M3Snapshot **result, M3Error *err)
{
	M3EngineShared *shared = db->engine->shared;
	M3Env	   *env = db->env;
	uint32_t	processes = shared->config.process_count;
	M3ProcessSlot *slot = m3i_slot(db);
	M3Snapshot *snapshot = m3_alloc(db->engine->memory,
									sizeof(*snapshot) + processes * sizeof(uint64_t));

	if (snapshot == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->db = db;
	snapshot->memory = db->engine->memory;

	env->lock(env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	snapshot->next_sequence = db->root->next_sequence;
	snapshot->floor = snapshot->next_sequence;
	for (uint32_t i = 0; i < processes; i++)
	{
		const M3ProcessSlot *other = &shared->slots[i];
		uint64_t	sequence = __atomic_load_n(&other->batch_sequence, __ATOMIC_RELAXED);

		if (sequence == 0 ||
			__atomic_load_n(&other->root, __ATOMIC_RELAXED) != db->number)
			continue;
		snapshot->hidden[snapshot->hidden_count++] = sequence;
		if (sequence < snapshot->floor)
			snapshot->floor = sequence;
	}
	snapshot->next = db->snapshots;
	db->snapshots = snapshot;
	__atomic_store_n(&slot->root, db->number, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->snapshot_floor, held_floor(db), __ATOMIC_RELEASE);
	env->unlock(env, m3i_lock_sequence(db));
	*result = snapshot;
	return M3_OK;
}

void
m3_snapshot_release(M3Snapshot *snapshot)
{
	M3Snapshot **link;
	M3Database *db;

	if (snapshot == NULL)
		return;
	db = snapshot->db;
	if (db != NULL)
	{
		for (link = &db->snapshots; *link != snapshot; link = &(*link)->next)
			;
		*link = snapshot->next;
		__atomic_store_n(&m3i_slot(db)->snapshot_floor, held_floor(db), __ATOMIC_RELEASE);
	}
	m3_free(snapshot->memory, snapshot);
}

size_t
m3_snapshot_size(const M3Snapshot *snapshot)
{
	return sizeof(LentSnapshot) + snapshot->hidden_count * sizeof(uint64_t);
}

void
m3_snapshot_write(const M3Snapshot *snapshot, void *bytes)
{
	LentSnapshot lent = {
		.root_id = snapshot->db->id,
		.next_sequence = snapshot->next_sequence,
		.floor = snapshot->floor,
		.hidden_count = snapshot->hidden_count
	};

	memcpy(bytes, &lent, sizeof(lent));
	memcpy((uint8_t *) bytes + sizeof(lent), snapshot->hidden,
		   snapshot->hidden_count * sizeof(uint64_t));
}

M3Status
m3_snapshot_borrow(M3Database *db, const void *bytes, size_t size, M3Memory *memory,
				   M3Snapshot **result, M3Error *err)
{
	LentSnapshot lent = {0};
	M3Snapshot *snapshot;

	if (size >= sizeof(lent))
		memcpy(&lent, bytes, sizeof(lent));
	if (size < sizeof(lent) || size % sizeof(uint64_t) != 0 ||
		lent.hidden_count != (size - sizeof(lent)) / sizeof(uint64_t) ||
		lent.root_id != db->id)
		return m3_error(err, M3_INVALID, "no snapshot of this root was lent");
	snapshot = m3_alloc(memory, sizeof(*snapshot) + lent.hidden_count * sizeof(uint64_t));
	if (snapshot == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->memory = memory;
	snapshot->next_sequence = lent.next_sequence;
	snapshot->floor = lent.floor;
	snapshot->hidden_count = lent.hidden_count;
	memcpy(snapshot->hidden, (const uint8_t *) bytes + sizeof(lent),
		   lent.hidden_count * sizeof(uint64_t));
	*result = snapshot;
	return M3_OK;
}

void
m3i_snapshots_drop(M3Database *db)
{
	while (db->snapshots != NULL)
		m3_snapshot_release(db->snapshots);
}

bool
m3_snapshot_sees(const M3Snapshot *snapshot, uint64_t sequence)
{
	if (sequence < snapshot->floor)
		return true;
	if (sequence >= snapshot->next_sequence)
		return false;
	for (size_t i = 0; i < snapshot->hidden_count; i++)
	{
		if (snapshot->hidden[i] == sequence)
			return false;
	}
	return true;
}

/* ROOT_SEQUENCE held. */
static uint64_t
horizon_locked(M3Database *db)
{
	const M3EngineShared *shared = db->engine->shared;
	uint64_t	horizon = db->root->next_sequence;

	for (uint32_t i = 0; i < shared->config.process_count; i++)
	{
		const M3ProcessSlot *slot = &shared->slots[i];
		uint64_t	batch = __atomic_load_n(&slot->batch_sequence, __ATOMIC_RELAXED);
		uint64_t	floor = __atomic_load_n(&slot->snapshot_floor, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&slot->root, __ATOMIC_RELAXED) != db->number)
			continue;
		if (batch != 0 && batch < horizon)
			horizon = batch;
		if (floor != 0 && floor < horizon)
			horizon = floor;
	}
	return horizon;
}

uint64_t
m3i_horizon(M3Database *db)
{
	uint64_t	horizon;

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	horizon = horizon_locked(db);
	db->env->unlock(db->env, m3i_lock_sequence(db));
	return horizon;
}

void
m3i_txn_enter(M3Database *db)
{
	M3ProcessSlot *slot = m3i_slot(db);

	if (db->txn_count++ > 0)
		return;
	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	__atomic_store_n(&slot->root, db->number, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->txn_floor, db->root->next_sequence, __ATOMIC_RELEASE);
	db->env->unlock(db->env, m3i_lock_sequence(db));
}

void
m3i_txn_renew(M3Database *db)
{
	if (db->txn_count != 1)
		return;
	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	__atomic_store_n(&m3i_slot(db)->txn_floor, db->root->next_sequence, __ATOMIC_RELEASE);
	db->env->unlock(db->env, m3i_lock_sequence(db));
}

void
m3i_txn_leave(M3Database *db)
{
	if (--db->txn_count == 0)
		__atomic_store_n(&m3i_slot(db)->txn_floor, 0, __ATOMIC_RELEASE);
}

uint64_t
m3i_mark(M3Database *db)
{
	uint64_t	mark;

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_EXCLUSIVE);
	mark = db->root->next_sequence++;
	db->env->unlock(db->env, m3i_lock_sequence(db));
	return mark;
}

uint64_t
m3i_oldest(M3Database *db)
{
	const M3EngineShared *shared = db->engine->shared;
	uint64_t	oldest;

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	oldest = horizon_locked(db);
	for (uint32_t i = 0; i < shared->config.process_count; i++)
	{
		const M3ProcessSlot *slot = &shared->slots[i];
		uint64_t	floor = __atomic_load_n(&slot->txn_floor, __ATOMIC_ACQUIRE);

		if (floor != 0 && floor < oldest &&
			__atomic_load_n(&slot->root, __ATOMIC_RELAXED) == db->number)
			oldest = floor;
	}
	db->env->unlock(db->env, m3i_lock_sequence(db));
	return oldest;
}

uint64_t
m3i_first_unpublished_log(M3Database *db)
{
	const M3EngineShared *shared = db->engine->shared;
	uint64_t	first = UINT64_MAX;

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_SHARED);
	for (uint32_t i = 0; i < shared->config.process_count; i++)
	{
		const M3ProcessSlot *slot = &shared->slots[i];
		uint64_t	index = __atomic_load_n(&slot->batch_log_index, __ATOMIC_RELAXED);

		if (__atomic_load_n(&slot->root, __ATOMIC_RELAXED) == db->number &&
			__atomic_load_n(&slot->batch_sequence, __ATOMIC_RELAXED) != 0 && index < first)
			first = index;
	}
	db->env->unlock(db->env, m3i_lock_sequence(db));
	return first;
}

uint64_t
m3i_batch_start(M3Database *db)
{
	M3ProcessSlot *slot = m3i_slot(db);
	uint64_t	sequence;

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_EXCLUSIVE);
	sequence = db->root->next_sequence++;
	__atomic_store_n(&slot->root, db->number, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->batch_log_index, UINT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->batch_sequence, sequence, __ATOMIC_RELAXED);
	db->env->unlock(db->env, m3i_lock_sequence(db));
	return sequence;
}

void
m3i_batch_end(M3Database *db)
{
	M3ProcessSlot *slot = m3i_slot(db);

	db->env->lock(db->env, m3i_lock_sequence(db), M3_LOCK_EXCLUSIVE);
	__atomic_store_n(&slot->batch_sequence, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->batch_log_index, UINT64_MAX, __ATOMIC_RELAXED);
	db->env->unlock(db->env, m3i_lock_sequence(db));
}
