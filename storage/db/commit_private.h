/*
 * A batch on its way: shared by survey.c, commit.c and publish.c.
 */
#ifndef M3_DB_COMMIT_PRIVATE_H
#define M3_DB_COMMIT_PRIVATE_H

#include "storage/db/txn_private.h"

typedef struct M3Commit
{
	M3Txn	   *txn;
	M3Database *db;
	M3CommitLog *log;
	M3LogGroup	group;
	const M3CommitOptions *options;
	uint32_t   *order;
	uint32_t   *starts;
	size_t		order_capacity;
	M3PendingPoint *kept;		/* a piece without its void points */
	size_t		kept_capacity;
	uint64_t	logged_count;	/* points and voids that go to the log */
	bool		is_empty;		/* neither points nor voids */
	uint64_t	horizon;
	int64_t		now_ns;
} M3Commit;

/*
 * Fills what the transaction knows of the batch: which series have points, the bounds of
 * their times, how many go to the log; then the refs of namespaces and series, and which namespaces
 * are voided and altered.
 * Takes no lock of the root but ROOT_NAMES, for moments; calls env->yield.
 */
extern M3Status m3i_commit_survey(M3Commit *commit, M3Error *err);

/* Whether all namespaces and series of the batch are still what the survey found; those that
 * were dropped or unlinked meanwhile are to be surveyed again.  ROOT_WRITE held. */
extern bool m3i_commit_is_current(M3Commit *commit);

/* in publish.c */

/* Visits the series of the batch under their stripe locks: takes its points off them, as if
 * never staged, or kills them. */
extern void m3i_batch_for_each_series(M3Txn *txn, bool take_back);

/* The batch voids nothing any more, or has done so.  ROOT_WRITE held. */
extern void m3i_batch_retract_voids(M3Txn *txn);

/* Adds an effect to the counters of a namespace of the batch, and the bounds of its times. */
extern void m3i_batch_count(M3Txn *txn, const M3TxnNamespace *ns, const M3WriteEffect *effect);

#endif							/* M3_DB_COMMIT_PRIVATE_H */
