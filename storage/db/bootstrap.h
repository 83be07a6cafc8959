/*
 * Bringing a root's files back to memory (spec/lifecycle.md 7, with OURS).
 */
#ifndef M3_DB_BOOTSTRAP_H
#define M3_DB_BOOTSTRAP_H

#include "storage/db/engine.h"

typedef enum M3TransactionFate
{
	M3_FATE_COMMITTED,
	M3_FATE_ABORTED,			/* or never committed, and never will */
	M3_FATE_UNKNOWN				/* too old to tell: bootstrap fails, an operator decides */
} M3TransactionFate;

typedef struct M3BootstrapHooks
{
	/* what became of the host's transaction; NULL: all committed */
	M3TransactionFate (*fate) (void *context, uint64_t full_xid);
	/* something worth a line in the server's log: damage and what it means */
	void		(*report) (void *context, const char *message);
	void	   *context;
} M3BootstrapHooks;

/*
 * Bootstraps a root in state NEW or FAILED, to READY or FAILED.  One process at a
 * time; M3_CONFLICT if another one is at it.  Calls env->yield where no lock is
 * held; if that jumps, the root stays BOOTSTRAPPING until m3_bootstrap_reset, and files
 * may be left open if it was short of memory.
 *
 *   filesets   the volume of each block, and every series they hold; no point is read
 *   snapshots  of the newest run, as compressed bytes
 *   logs       from the first one that the snapshot does not cover; all if it is not whole
 *
 * Only what is within retention.  Damage costs what is damaged, is reported, and never ends
 * a bootstrap; an arena too small does, M3_FULL, after blocks were flushed to make room.
 * A TRUNCATE or DROP in a log voids what came before it, files too: m3_purge_run removes them.
 *
 * Torn and zero-filled log tails are cut; whole groups of transactions that did
 * not commit are dropped and recorded as such before the root is READY; then a new log is opened.
 */
extern M3Status m3_bootstrap_run(M3Database *db, const M3BootstrapHooks *hooks,
								 M3Error *err);

/* Puts a root left BOOTSTRAPPING by a dead process back to NEW, dropping what
 * was loaded.  The caller knows that nobody bootstraps it. */
extern void m3_bootstrap_reset(M3Database *db);

#endif							/* M3_DB_BOOTSTRAP_H */
