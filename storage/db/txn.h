/*
 * The points a transaction has written and not yet committed, and their way
 * to the log and the buffers (design.md 5).
 *
 *   write ... mark ... rollback_to ... write      private, may spill to disk
 *   prepare     validate, stage unpublished, log, wait until durable; can fail
 *   publish     make visible: cannot fail
 *   abort       at any time before publish: cannot fail
 *
 * Points are kept in the order they were written; of two for one series and
 * time the later wins.
 */
#ifndef M3_DB_TXN_H
#define M3_DB_TXN_H

#include "storage/base/slice.h"
#include "storage/base/time.h"
#include "storage/codec/m3tsz.h"
#include "storage/db/engine.h"
#include "storage/db/namespace.h"

typedef struct M3Txn M3Txn;

/* memory lives at least as long as the transaction. */
extern M3Status m3_txn_begin(M3Database *db, M3Memory *memory, M3Txn **txn, M3Error *err);

/*
 * Names a namespace the transaction writes to; *number is small and valid for
 * this transaction, the same for the same name.  Nothing is created before prepare.
 * M3_CONFLICT if the namespace has data in blocks of another size (also if this
 * transaction voids it), or the root other root options.  Other options replace those of
 * an existing namespace when the transaction that wrote to it is published.
 */
extern M3Status m3_txn_namespace(M3Txn *txn, M3Slice name,
								 const M3NamespaceOptions *options,
								 const M3RootOptions *root_options,
								 uint32_t *number, M3Error *err);

/* The block size a namespace has, in the database or in this transaction; false if it has
 * none yet. */
extern bool m3_txn_block_size(M3Txn *txn, M3Slice name, int64_t *block_size_ns);

/*
 * Names a series; *series is valid for this transaction.  tags is an encoded
 * block, sorted by name, or empty.  Both are copied.  M3_CONFLICT if the id has
 * other tags, here or in the database (an id stored without tags accepts
 * none but empty ones).  Costs a look-up: callers cache the number by their own key.
 */
extern M3Status m3_txn_series(M3Txn *txn, uint32_t namespace_number, M3Slice id,
							  M3Slice tags, uint32_t *series, M3Error *err);

/*
 * Adds a point.  unit M3_UNIT_NONE: the coarsest that is exact; a unit too coarse for the
 * time is M3_INVALID.  command: see M3ScanOptions.  M3_INVALID
 * for a time outside m3_time_min_ns .. m3_time_max_ns.  Retention is
 * checked at prepare, against one clock reading.
 */
extern M3Status m3_txn_write(M3Txn *txn, uint32_t series, int64_t time_ns,
							 double value, M3TimeUnit unit, M3Slice annotation,
							 uint32_t command, M3Error *err);

/* Times a root can hold: blocks start after 1970-01-01, and nothing
 * overflows at the other end.  Half-open, for any block size allowed. */
extern void m3_time_range(int64_t block_size_ns, int64_t *min_ns, int64_t *end_ns);

extern uint64_t m3_txn_count(const M3Txn *txn); /* points held */

/*
 * TRUNCATE (or DROP, if dropped) of a namespace: what was committed before, and what the
 * transaction wrote to it before, is gone once it commits; until then only its own
 * reads find it empty.  What it writes later stays.  Undone by m3_txn_rollback_to.  A namespace
 * that does not exist is fine; one that was dropped and then written to is truncated.
 */
extern M3Status m3_txn_void(M3Txn *txn, M3Slice namespace_name, bool dropped, M3Error *err);

/* Whether there is anything to commit: points, or a namespace to void or alter. */
extern bool m3_txn_has_work(const M3Txn *txn);

/*
 * New options of a namespace (ALTER), in force for everybody as soon as the transaction is
 * published, undone with it or by m3_txn_rollback_to.  Does nothing to one that does not
 * exist.  M3_CONFLICT if the block size differs and it has data that the transaction does not
 * void; should it get data meanwhile, it keeps its block size.
 */
extern M3Status m3_txn_alter(M3Txn *txn, M3Slice namespace_name,
							 const M3NamespaceOptions *options, M3Error *err);

/* Subtransactions: a mark, and forgetting all that came after it: points, series,
 * namespaces and options.  Numbers given out since are void. */
typedef struct M3TxnMark
{
	uint64_t	points;
	uint32_t	series;
	uint32_t	namespaces;
	uint32_t	changes;		/* of options */
	uint32_t	voids;			/* namespaces voided */
	uint32_t	alters;
} M3TxnMark;

extern M3TxnMark m3_txn_mark(const M3Txn *txn);
extern void m3_txn_rollback_to(M3Txn *txn, const M3TxnMark *mark);

typedef struct M3CommitOptions
{
	bool		synchronous;	/* durable before prepare returns */
	uint64_t	full_xid;		/* of the host's transaction, 0: the log alone decides */
} M3CommitOptions;

/*
 * Everything that can fail.  On success the batch is staged and, if synchronous,
 * durable; publish or abort must follow.  On failure nothing remains of
 * it outside the transaction, which may be prepared again or aborted:
 *   M3_FULL      the arena is exhausted (worth waiting for space and trying again)
 *   M3_INVALID   a time outside retention or the accepted window
 *   M3_CONFLICT  as above, found late
 *   M3_IO        the log cannot be extended
 * Without work it does nothing.  Calls env->yield before it takes a lock.
 */
extern M3Status m3_txn_prepare(M3Txn *txn, const M3CommitOptions *options, M3Error *err);

/* Makes a prepared batch visible, all at once.  Frees nothing. */
extern void m3_txn_publish(M3Txn *txn);

/* Takes a prepared batch back (an abort entry is logged, best effort: false
 * if that failed and the batch could reappear after a crash). */
extern bool m3_txn_abort(M3Txn *txn);

/* Frees it; aborts it first if it was prepared and not published. */
extern void m3_txn_free(M3Txn *txn);

#endif							/* M3_DB_TXN_H */
