/*
 * What becomes of data when tables are created, altered, renamed, truncated and dropped.
 *
 * PostgreSQL tells a wrapper nothing about this but TRUNCATE; the rest is seen through
 * object_access_hook.  Data follows the catalogs at commit, never before: whatever is done
 * here is part of the storage transaction, or of the catalogs.
 */
#ifndef M3DB_DDL_H
#define M3DB_DDL_H

#include "access/xact.h"
#include "foreign/fdwapi.h"

/* Installs the hook; once, from _PG_init. */
extern void m3db_ddl_init(void);

extern void m3db_ExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs);

/* Called by xact.c. */
extern void m3db_ddl_pre_commit(void);	/* before PREPARE TRANSACTION, too; can fail */
/* Whether the storage transaction must be as durable as the catalogs: if a table is gone and
 * its data is not, the next one of its name has it. */
extern bool m3db_ddl_must_be_durable(void);
extern void m3db_ddl_at_commit(void);	/* cannot fail */
extern void m3db_ddl_at_abort(void);
extern void m3db_ddl_at_subxact(SubXactEvent event, int nest_level);

#endif							/* M3DB_DDL_H */
