/*
 * Dropping: locks on the names of namespaces; roots of databases that are dropped or do not
 * exist, which the worker is asked to remove.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_table.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "server/database.h"
#include "server/drop.h"
#include "server/guc.h"
#include "server/server.h"
#include "server/shmem.h"

#define SLEEP_MS 1000

PG_FUNCTION_INFO_V1(m3db_root_directories);
PG_FUNCTION_INFO_V1(m3db_drop_orphan_root);

/* ---- namespaces ---- */

/* The lock is on an object that no catalog has. */
void
m3db_lock_namespace(M3Slice name, bool exclusive)
{
	LockDatabaseObject(ForeignTableRelationId,
					   (Oid) hash_bytes(name.data, (int) name.size), 0,
					   exclusive ? ExclusiveLock : ShareLock);
	InvalidateCatalogSnapshot();
}

/* ---- asking ---- */

bool
m3db_engine_is_usable(void)
{
	return m3db_control != NULL && IsUnderPostmaster && !IsBinaryUpgrade &&
		!RecoveryInProgress();
}

bool
m3db_drop_request(Oid database)
{
	int			place = -1;

	if (m3db_control == NULL)
		return false;
	SpinLockAcquire(&m3db_control->mutex);
	for (int i = (int) M3_MAX_ROOTS - 1; i >= 0; i--)
	{
		if (m3db_control->drops[i] == 0)
			place = i;
		else if (m3db_control->drops[i] == database)
		{
			place = i;
			break;
		}
	}
	if (place >= 0)
		m3db_control->drops[place] = database;
	SpinLockRelease(&m3db_control->mutex);
	m3db_worker_wake();
	return place >= 0;
}

static bool
is_pending(Oid database)
{
	bool		result = false;

	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS; i++)
		result = result || m3db_control->drops[i] == database;
	SpinLockRelease(&m3db_control->mutex);
	return result;
}

static void
wait_until_dropped(Oid database)
{
	uint32		wait_event = m3db_wait_event_new("M3dbRootDrop");

	ConditionVariablePrepareToSleep(&m3db_control->root_changed);
	while (is_pending(database))
	{
		if (!m3db_worker_is_running())
		{
			ConditionVariableCancelSleep();
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the background worker of m3db_fdw is not running"),
					 errdetail("It will remove the data of database %u when it is.", database)));
		}
		ConditionVariableTimedSleep(&m3db_control->root_changed, SLEEP_MS, wait_event);
	}
	ConditionVariableCancelSleep();
}

/* ---- the worker ---- */

uint32_t
m3db_drop_next(void)
{
	uint32_t	result = 0;

	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS && result == 0; i++)
		result = m3db_control->drops[i];
	SpinLockRelease(&m3db_control->mutex);
	return result;
}

static void
end_request(uint32_t root_id)
{
	SpinLockAcquire(&m3db_control->mutex);
	for (size_t i = 0; i < M3_MAX_ROOTS; i++)
	{
		M3dbRequest *request = &m3db_control->requests[i];

		if (m3db_control->drops[i] == root_id)
			m3db_control->drops[i] = 0;
		/* the place for what its backends asked for: there are none left */
		if (request->root_id == root_id && request->state == M3DB_REQUEST_FREE)
			request->root_id = 0;
	}
	SpinLockRelease(&m3db_control->mutex);
	ConditionVariableBroadcast(&m3db_control->root_changed);
}

void
m3db_drop_run(M3Engine *engine, uint32_t root_id)
{
	M3Error		err = {0};

	/* what could not be removed is an orphan, or is swept at the next start */
	if (m3_root_drop(engine, root_id, &err) == M3_OK)
		ereport(LOG, (errmsg("m3db data of dropped database %u removed", root_id)));
	else
	{
		ereport(LOG,
				(errmsg("could not remove m3db data of dropped database %u", root_id)));
		m3db_report(LOG, &err);
	}
	end_request(root_id);
	m3db_space_was_freed();
}

/* ---- SQL ---- */

/* Directories of roots, and the OIDs they are named by. */
Datum
m3db_root_directories(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DIR		   *directory;
	struct dirent *entry;

	InitMaterializedSRF(fcinfo, 0);
	directory = AllocateDir(m3db_data_directory);
	if (directory == NULL && errno == ENOENT)
		return (Datum) 0;
	while ((entry = ReadDir(directory, m3db_data_directory)) != NULL)
	{
		char	   *end;
		unsigned long id = strtoul(entry->d_name, &end, 10);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || *end != '\0' ||
			id > PG_UINT32_MAX)
			continue;
		values[0] = ObjectIdGetDatum((Oid) id);
		values[1] = CStringGetTextDatum(psprintf("%s/%s", m3db_data_directory, entry->d_name));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	FreeDir(directory);
	return (Datum) 0;
}

static bool
has_directory(Oid database)
{
	char		path[MAXPGPATH];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%u", m3db_data_directory, database);
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

Datum
m3db_drop_orphan_root(PG_FUNCTION_ARGS)
{
	Oid			database = PG_GETARG_OID(0);

	m3db_require_engine();
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to remove data of a database that does not exist")));
	/* nobody can make a database of that OID while we look */
	LockSharedObject(DatabaseRelationId, database, 0, AccessExclusiveLock);
	if (SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database %u exists", database),
				 errhint("DROP DATABASE removes its data, too.")));
	if (!has_directory(database))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no m3db data of a database %u", database)));
	if (!m3db_drop_request(database))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many databases wait for their data to be removed")));
	wait_until_dropped(database);
	if (has_directory(database))
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not remove m3db data of database %u", database),
				 errhint("See the server log.")));
	PG_RETURN_VOID();
}
