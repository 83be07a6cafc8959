/*
 * A batch on its way: shared by survey.c and commit.c.
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
	uint64_t	logged_count;	/* points that go to the log */
	uint64_t	horizon;
	int64_t		now_ns;
} M3Commit;

/*
 * Fills what the transaction knows of the batch: which series have points, the bounds of
 * their times, how many go to the log; then the refs of namespaces and series.
 * Takes no lock of the root but ROOT_NAMES, for moments; calls env->yield.
 */
extern M3Status m3i_commit_survey(M3Commit *commit, M3Error *err);

/* Whether all series of the batch are still what the survey found; those that were
 * unlinked meanwhile are to be surveyed again.  ROOT_WRITE held. */
extern bool m3i_commit_is_current(M3Commit *commit);

#endif							/* M3_DB_COMMIT_PRIVATE_H */
