/*
 * Shared memory: the engine's arena, its locks, and the control structure.
 *
 * The arena is part of the main shared memory segment.  When a backend crashes, the
 * postmaster makes the segment anew and the startup hook formats an empty
 * engine; the worker then loads the data again.  Nothing is read from disk in the hook,
 * which runs in the postmaster.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "postmaster/postmaster.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "compat.h"
#include "server/env_pg.h"
#include "server/guc.h"
#include "server/server.h"
#include "server/shmem.h"

#define LOCK_TRANCHE "m3db"
#define ARENA_ALIGNMENT 64

M3dbControl *m3db_control = NULL;
LWLockPadded *m3db_locks = NULL;
M3EngineSettings m3db_engine_settings;

static void *arena_base = NULL;
static M3Engine *engine = NULL;

#ifdef M3DB_HAVE_SHMEM_REQUEST_HOOK
static shmem_request_hook_type previous_request_hook = NULL;
#endif
static shmem_startup_hook_type previous_startup_hook = NULL;

static Size
arena_size(void)
{
	return (Size) m3db_buffer_size_kb * 1024;
}

/* Every process with a PGPROC of its own has a slot: backends, workers, auxiliaries. */
static uint32
slot_count(void)
{
	return (uint32) m3db_max_backends() + NUM_AUXILIARY_PROCS;
}

static void
request_shmem(void)
{
#ifdef M3DB_HAVE_SHMEM_REQUEST_HOOK
	if (previous_request_hook)
		previous_request_hook();
#endif
	RequestAddinShmemSpace(add_size(arena_size(), ARENA_ALIGNMENT));
	RequestAddinShmemSpace(MAXALIGN(sizeof(M3dbControl)));
	RequestNamedLWLockTranche(LOCK_TRANCHE, M3_LOCK_COUNT);
}

static void
init_control(M3dbControl *control)
{
	memset(control, 0, sizeof(*control));
	SpinLockInit(&control->mutex);
	pg_atomic_init_u32(&control->worker_idle, 0);
	pg_atomic_init_u32(&control->attached_count, 0);
	pg_atomic_init_u32(&control->closing, 0);
	pg_atomic_init_u32(&control->space_waiters, 0);
	pg_atomic_init_u32(&control->cleanup_holds, 0);
	pg_atomic_init_u32(&control->removing, 0);
	ConditionVariableInit(&control->root_changed);
	ConditionVariableInit(&control->space_freed);
	ConditionVariableInit(&control->request_changed);
}

static void
format_arena(void)
{
	M3EngineConfig config = {0};
	M3Error		err = {0};

	config.process_count = slot_count();
	config.log_ring_size = (uint64_t) m3db_commitlog_queue_size_kb * 1024;
	if (m3_engine_format(arena_base, arena_size(), m3db_env(), &config, &err) != M3_OK)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not set up m3db's shared memory: %s", err.message),
				 errhint("Enlarge \"m3db.buffer_size\", or reduce "
						 "\"m3db.commitlog_queue_size\" or \"max_connections\".")));
}

static void
startup_shmem(void)
{
	void	   *arena;
	bool		arena_found;
	bool		control_found;

	if (previous_startup_hook)
		previous_startup_hook();

	/* After a crash the pointers of the lost segment must not be used. */
	m3db_control = NULL;
	arena_base = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	arena = ShmemInitStruct("m3db arena", arena_size() + ARENA_ALIGNMENT, &arena_found);
	arena_base = (void *) TYPEALIGN(ARENA_ALIGNMENT, arena);
	m3db_locks = GetNamedLWLockTranche(LOCK_TRANCHE);
	m3db_control = ShmemInitStruct("m3db control", sizeof(M3dbControl), &control_found);
	if (!control_found)
		init_control(m3db_control);
	if (!arena_found)
		format_arena();
	LWLockRelease(AddinShmemInitLock);
}

void
m3db_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
#ifdef M3DB_HAVE_SHMEM_REQUEST_HOOK
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
#else
	request_shmem();
#endif
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

/*
 * Let go of the engine.  This runs before the transaction of an exiting
 * backend is aborted, whose callbacks need the engine: so abort it first.
 */
static void
detach(int code, Datum counted)
{
	if (engine == NULL)
		return;
	if (OidIsValid(MyDatabaseId))
		AbortOutOfAnyTransaction();
	LWLockReleaseAll();
	m3_engine_detach(engine);
	engine = NULL;
	if (DatumGetBool(counted))
	{
		pg_atomic_fetch_sub_u32(&m3db_control->attached_count, 1);
		m3db_space_was_freed();
	}
}

static M3Engine *
attach(bool counted)
{
	uint32		slot = m3db_my_proc_number();
	M3Memory   *memory;
	M3Error		err = {0};
	M3Status	status;

	Assert(m3db_control != NULL && engine == NULL);
	if (slot >= slot_count())
		elog(ERROR, "process number %u is out of range", slot);

	m3db_env_init();
	m3db_settings_update(&m3db_engine_settings);
	memory = m3db_memory(AllocSetContextCreate(TopMemoryContext, "m3db engine",
											   ALLOCSET_DEFAULT_SIZES));
	status = m3_engine_attach(arena_base, m3db_env(), memory, slot,
							  m3db_data_directory, &m3db_engine_settings,
							  &engine, &err);
	if (status != M3_OK)
	{
		engine = NULL;
		MemoryContextDelete(memory->context);
		m3db_check(status, &err);
	}
	before_shmem_exit(detach, BoolGetDatum(counted));
	return engine;
}

/*
 * Count this process as attached, unless the worker is closing the logs.  The
 * worker sets closing and then looks at the count; the counter and then the
 * flag are looked at in the opposite order here, so one of both sees the other.
 */
static bool
try_count(void)
{
	pg_atomic_fetch_add_u32(&m3db_control->attached_count, 1);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&m3db_control->closing) == 0)
		return true;
	pg_atomic_fetch_sub_u32(&m3db_control->attached_count, 1);
	return false;
}

M3Engine *
m3db_engine(void)
{
	if (likely(engine != NULL))
		return engine;

	if (!try_count())
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("m3db is closing its commit logs"),
				 errhint("Try again in a few seconds.")));
	PG_TRY();
	{
		attach(true);
	}
	PG_CATCH();
	{
		if (engine == NULL)
			pg_atomic_fetch_sub_u32(&m3db_control->attached_count, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return engine;
}

M3Engine *
m3db_engine_attach_worker(void)
{
	return attach(false);
}
