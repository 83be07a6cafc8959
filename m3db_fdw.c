/*
 * The module's entry points.
 *
 * Without preloading, the library can be loaded and its SQL objects created (a
 * restored dump needs that), but any use of the engine raises an error.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"

#include "compat.h"
#include "fdw/ddl.h"
#include "fdw/fdw.h"
#include "m3db_fdw.h"
#include "server/server.h"

M3DB_MODULE_MAGIC("m3db_fdw", M3DB_VERSION);

PG_FUNCTION_INFO_V1(m3db_fdw_handler);

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	m3db_guc_init();
	m3db_shmem_init();
	m3db_worker_register();

	/* Transaction callbacks run last registered first.  Ours should come last: after it the
	 * points are durable, and others may still raise errors.  Backends inherit
	 * what the postmaster registers. */
	m3db_xact_init();
	m3db_ddl_init();
}

Datum
m3db_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = m3db_GetForeignRelSize;
	routine->GetForeignPaths = m3db_GetForeignPaths;
	routine->GetForeignPlan = m3db_GetForeignPlan;
	routine->GetForeignUpperPaths = m3db_GetForeignUpperPaths;

	routine->BeginForeignScan = m3db_BeginForeignScan;
	routine->IterateForeignScan = m3db_IterateForeignScan;
	routine->ReScanForeignScan = m3db_ReScanForeignScan;
	routine->EndForeignScan = m3db_EndForeignScan;
	routine->IsForeignScanParallelSafe = m3db_IsForeignScanParallelSafe;
	routine->EstimateDSMForeignScan = m3db_EstimateDSMForeignScan;
	routine->InitializeDSMForeignScan = m3db_InitializeDSMForeignScan;
	routine->ReInitializeDSMForeignScan = m3db_ReInitializeDSMForeignScan;
	routine->InitializeWorkerForeignScan = m3db_InitializeWorkerForeignScan;
	routine->ExplainForeignScan = m3db_ExplainForeignScan;
	routine->AnalyzeForeignTable = m3db_AnalyzeForeignTable;

	routine->IsForeignRelUpdatable = m3db_IsForeignRelUpdatable;
	routine->AddForeignUpdateTargets = m3db_AddForeignUpdateTargets;
	routine->PlanForeignModify = m3db_PlanForeignModify;
	routine->BeginForeignModify = m3db_BeginForeignModify;
	routine->ExecForeignInsert = m3db_ExecForeignInsert;
	routine->EndForeignModify = m3db_EndForeignModify;
	routine->BeginForeignInsert = m3db_BeginForeignInsert;
	routine->EndForeignInsert = m3db_EndForeignInsert;

	routine->ExecForeignTruncate = m3db_ExecForeignTruncate;

	routine->ImportForeignSchema = m3db_ImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
