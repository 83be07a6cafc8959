/*
 * Storage snapshots that go with PostgreSQL's.
 *
 * All scans of a statement share one storage snapshot: those of one EState, and
 * those of functions that run with the caller's snapshot, for they have the same
 * Snapshot pointer.  A pointer identifies a snapshot only while somebody has
 * it registered, so an entry lives as long as queries that used it do: each use is a
 * reference, given back when the memory of its query goes.
 *
 * With transaction isolation there is one for all of the transaction, taken
 * when the first of its statements that reads from us begins.
 *
 * A mount with a snapshot is held: it is not brought up to date until the last one goes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/snapshot.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "server/mount.h"
#include "server/server.h"

typedef struct SnapshotEntry
{
	dlist_node	node;			/* in entries, while storage is not NULL */
	Snapshot	key;			/* NULL: the whole transaction's */
	M3Database *db;
	M3Snapshot *storage;		/* NULL after the end of the transaction */
	int			references;
} SnapshotEntry;

static dlist_head entries = DLIST_STATIC_INIT(entries);

static SnapshotEntry *
find_entry(Snapshot key, const M3Database *db)
{
	dlist_iter	iter;

	dlist_foreach(iter, &entries)
	{
		SnapshotEntry *entry = dlist_container(SnapshotEntry, node, iter.cur);

		if (entry->key == key && entry->db == db)
			return entry;
	}
	return NULL;
}

static SnapshotEntry *
make_entry(Snapshot key, M3Database *db)
{
	SnapshotEntry *entry = MemoryContextAllocZero(TopMemoryContext,
												  sizeof(SnapshotEntry));
	M3Error		err;
	M3Status	status = m3_snapshot_take(db, &entry->storage, &err);

	if (status != M3_OK)
	{
		pfree(entry);
		m3db_check(status, &err);
	}
	entry->key = key;
	entry->db = db;
	m3db_mount_hold(db);
	dlist_push_head(&entries, &entry->node);
	return entry;
}

static void
release_storage(SnapshotEntry *entry)
{
	dlist_delete(&entry->node);
	m3_snapshot_release(entry->storage);
	m3db_mount_release(entry->db);
	entry->storage = NULL;
}

/* The memory of a query that used the entry goes. */
static void
release_reference(void *arg)
{
	SnapshotEntry *entry = arg;

	if (--entry->references > 0)
		return;
	if (entry->storage != NULL)
		release_storage(entry);
	pfree(entry);
}

const M3Snapshot *
m3db_snapshot_for(EState *estate, M3Database *db)
{
	bool		per_transaction = IsolationUsesXactSnapshot();
	Snapshot	key = per_transaction ? NULL : estate->es_snapshot;
	SnapshotEntry *entry = find_entry(key, db);
	MemoryContextCallback *callback;

	callback = MemoryContextAllocZero(estate->es_query_cxt, sizeof(MemoryContextCallback));
	if (entry == NULL)
	{
		entry = make_entry(key, db);
		/* the transaction's own reference, until it ends */
		if (per_transaction)
			entry->references = 1;
	}
	entry->references++;
	callback->func = release_reference;
	callback->arg = entry;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	return entry->storage;
}

/*
 * Portals that failed are cleaned up after the transaction's callbacks ran, so
 * entries may still be referenced; they give up their snapshots now.
 */
void
m3db_snapshot_at_xact_end(void)
{
	while (!dlist_is_empty(&entries))
	{
		SnapshotEntry *entry = dlist_container(SnapshotEntry, node,
											   dlist_head_node(&entries));
		bool		is_unused = entry->key == NULL && --entry->references == 0;

		release_storage(entry);
		if (is_unused)
			pfree(entry);
	}
}
