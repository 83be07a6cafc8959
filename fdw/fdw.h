/*
 * The callbacks of the wrapper, grouped by the file they live in, and what those files
 * share.  m3db_fdw.c puts them into the FdwRoutine.
 */
#ifndef M3DB_FDW_H
#define M3DB_FDW_H

#include "access/parallel.h"
#include "access/xact.h"
#include "foreign/fdwapi.h"
#include "fdw/table.h"
#include "storage/m3.h"

/* in estimate.c, paths.c, plan.c and aggregate_paths.c */
extern void m3db_GetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern void m3db_GetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern ForeignScan *m3db_GetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid relid,
										ForeignPath *best_path, List *tlist,
										List *scan_clauses, Plan *outer_plan);
extern void m3db_GetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
									  RelOptInfo *input_rel, RelOptInfo *output_rel,
									  void *extra);

/* in scan.c */
extern void m3db_BeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *m3db_IterateForeignScan(ForeignScanState *node);
extern void m3db_ReScanForeignScan(ForeignScanState *node);
extern void m3db_EndForeignScan(ForeignScanState *node);

/* in share.c */
extern bool m3db_IsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel,
										   RangeTblEntry *rte);
extern Size m3db_EstimateDSMForeignScan(ForeignScanState *node, ParallelContext *context);
extern void m3db_InitializeDSMForeignScan(ForeignScanState *node, ParallelContext *context,
										  void *coordinate);
extern void m3db_ReInitializeDSMForeignScan(ForeignScanState *node,
											ParallelContext *context, void *coordinate);
extern void m3db_InitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc,
											 void *coordinate);

/* in explain.c */
extern void m3db_ExplainForeignScan(ForeignScanState *node, struct ExplainState *es);

/* in analyze.c */
extern bool m3db_AnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
									 BlockNumber *total_pages);

/* in modify.c */
extern int	m3db_IsForeignRelUpdatable(Relation rel);
extern void m3db_AddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
										 RangeTblEntry *target_rte,
										 Relation target_relation);
extern List *m3db_PlanForeignModify(PlannerInfo *root, ModifyTable *plan,
									Index resultRelation, int subplan_index);
extern void m3db_BeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
									List *fdw_private, int subplan_index, int eflags);
extern TupleTableSlot *m3db_ExecForeignInsert(EState *estate, ResultRelInfo *rinfo,
											  TupleTableSlot *slot,
											  TupleTableSlot *planSlot);
extern void m3db_EndForeignModify(EState *estate, ResultRelInfo *rinfo);
extern void m3db_BeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo);
extern void m3db_EndForeignInsert(EState *estate, ResultRelInfo *rinfo);

/* in xact.c: one storage transaction per PostgreSQL transaction, made at its first write */
extern void m3db_xact_init(void);	/* registers the callbacks, once per backend */
extern M3Txn *m3db_xact_txn(void);	/* begun if need be, marks the current subtransaction */
extern M3Txn *m3db_xact_txn_or_null(void);	/* NULL while nothing was written */

/* in snapshot.c: the storage snapshot that belongs to a PostgreSQL snapshot.  All scans of a
 * statement (and of a REPEATABLE READ transaction) get the same one; it is
 * released by itself when the query, or the transaction, ends. */
extern const M3Snapshot *m3db_snapshot_for(EState *estate, M3Database *db);
extern void m3db_snapshot_at_xact_end(void);	/* called by xact.c */

/*
 * in source.c: the database that holds a table's points, the embedded engine's or a mount's.
 * A mount is brought up to date by the way.  _if_ready for the planner: NULL instead of an
 * error, and instead of waiting for the embedded engine.
 */
extern M3Database *m3db_database_of_server(Oid server_id);
extern M3Database *m3db_database_of_table(const M3dbTable *table);
extern M3Database *m3db_database_of_table_if_ready(const M3dbTable *table);
extern bool m3db_is_mounted(Oid relid);
/* Raises an error if it is no foreign table of this wrapper; its name. */
extern const char *m3db_require_table(Oid relid);
/* Raises an error for a table of a mount; verb as in "cannot truncate". */
extern void m3db_refuse_mount(Oid relid, const char *verb);

/* in import.c */
extern List *m3db_ImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server_id);

/* in options.c */
extern Datum m3db_fdw_validator(PG_FUNCTION_ARGS);

#endif							/* M3DB_FDW_H */
