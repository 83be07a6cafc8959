/*
 * Inside of a transaction, shared by txn*.c (what it collects), commit.c and those
 * around it (how it commits) and scan.c (how it reads its own points).  For storage/db only.
 */
#ifndef M3_DB_TXN_PRIVATE_H
#define M3_DB_TXN_PRIVATE_H

#include "storage/db/db_private.h"
#include "storage/db/pending.h"
#include "storage/db/txn.h"

/* What TRUNCATE and DROP have left of a namespace; all zero: everything. */
typedef struct M3TxnVoid
{
	bool		voided;
	bool		dropped;		/* by any of them */
	uint64_t	position;		/* points of the transaction before it are gone */
	uint64_t	points;			/* of the namespace, written before it */
} M3TxnVoid;

typedef struct M3TxnNamespace
{
	M3NamespaceOptions options;
	M3RootOptions root_options;
	M3Ref		ref;			/* 0 until prepare */
	M3TxnVoid	emptied;
	bool		altered;		/* its options are to be in force, points or not */
	int64_t		min_ns;			/* of the times written; rolled back ones count too */
	int64_t		max_ns;
	uint64_t	points;			/* written; rolled back ones count too */
	/* of the batch being prepared */
	int64_t		batch_min_ns;
	int64_t		batch_max_ns;
	M3WriteEffect effect;
	bool		batch_voids;	/* the batch empties what is in the database */
	bool		batch_drops;	/* ... and writes nothing to it: no namespace is left */
	bool		batch_alters;	/* options differ from those in force */
	uint64_t	horizon;		/* for staging; 0 while the namespace may be emptied */
	uint32_t	name_size;
	uint8_t		name[M3_NAMESPACE_NAME_MAX_SIZE + 1];
} M3TxnNamespace;

typedef struct M3TxnSeries
{
	M3Ref		ref;			/* of the shared series; 0 until it is known */
	uint8_t    *bytes;			/* id, then tags */
	uint32_t	id_size;
	uint32_t	tags_size;
	uint32_t	name_hash;		/* of namespace number and id, for the table */
	uint32_t	namespace_number;
	bool		written;		/* has points, perhaps rolled back ones only */
	bool		in_batch;		/* has points in the batch being prepared */
	bool		introduced;		/* its metadata is in the batch's log group */
	bool		created;		/* made for this transaction, which has not committed */
} M3TxnSeries;

/* Options a namespace had before they were replaced. */
typedef struct M3TxnChange
{
	uint32_t	namespace_number;
	M3NamespaceOptions options;
} M3TxnChange;

/* What a namespace was before it was voided, or altered. */
typedef struct M3TxnVoided
{
	uint32_t	namespace_number;
	M3TxnVoid	before;
} M3TxnVoided;

typedef struct M3TxnAltered
{
	uint32_t	namespace_number;
	bool		before;
} M3TxnAltered;

struct M3Txn
{
	M3Database *db;
	M3Memory   *memory;
	M3TxnNamespace *namespaces;
	uint32_t	namespace_count;
	uint32_t	namespace_capacity;
	M3TxnChange *changes;		/* in order, for rolling back */
	uint32_t	change_count;
	uint32_t	change_capacity;
	M3TxnVoided *voids;			/* in order, for rolling back */
	uint32_t	void_count;
	uint32_t	void_capacity;
	M3TxnAltered *alters;		/* in order, for rolling back */
	uint32_t	alter_count;
	uint32_t	alter_capacity;
	M3TxnSeries *series;
	uint32_t	series_count;
	uint32_t	series_capacity;
	uint32_t   *table;			/* open addressing: series number + 1 */
	uint32_t	table_capacity; /* power of two */
	M3Pending  *pending;
	bool		rolled_back;	/* what was noted of points is not right any more */
	/* of the batch, once prepared */
	bool		staged;
	bool		logged;
	bool		synchronous;
	uint64_t	sequence;		/* 0: it has neither points nor voids, only options */
	uint64_t	log_index;		/* where its group is, if logged */
	uint64_t	log_offset;
};

static inline M3Slice
m3i_txn_series_id(const M3TxnSeries *series)
{
	return m3_slice(series->bytes, series->id_size);
}

static inline M3Slice
m3i_txn_series_tags(const M3TxnSeries *series)
{
	return m3_slice(series->bytes + series->id_size, series->tags_size);
}

/* Whether the namespace was voided after the point at position was written. */
static inline bool
m3i_txn_point_is_void(const M3Txn *txn, const M3PendingPoint *point, uint64_t position)
{
	const M3TxnSeries *series = &txn->series[point->series];

	return position < txn->namespaces[series->namespace_number].emptied.position;
}

/* Whether the transaction's own reads do not see what others have written to the namespace
 * (UINT32_MAX: one it does not know): it was voided, which counts for all commands. */
static inline bool
m3i_txn_hides_shared(const M3Txn *txn, uint32_t namespace_number, uint32_t own_command)
{
	(void) own_command;
	return namespace_number < txn->namespace_count &&
		txn->namespaces[namespace_number].emptied.voided;
}

/* in survey.c: unlinks the series made for the transaction that hold nothing.  No lock held. */
extern void m3i_txn_forget_series(M3Txn *txn);

/* in txn_namespace.c */
/* The number of a namespace the transaction knows; UINT32_MAX if it does not. */
extern uint32_t m3i_txn_find_namespace(const M3Txn *txn, M3Slice name);
extern void m3i_txn_set_options(M3Txn *txn, M3TxnNamespace *ns,
								const M3NamespaceOptions *options);

/* in order.c */
/*
 * Positions of points ordered by series, within a series by time, equal times in the order
 * written.  Series n has order[starts[n] .. starts[n + 1]); starts has series_count + 1 entries.
 */
extern M3Status m3i_order_points(const M3PendingPoint *points, size_t count,
								 uint32_t series_count, uint32_t *order,
								 uint32_t *starts, M3Memory *memory, M3Error *err);

#endif							/* M3_DB_TXN_PRIVATE_H */
