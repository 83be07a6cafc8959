/*
 * Jobs that backends ask the background worker for, and holds on its removal of
 * files.
 *
 * A root has one request at a time; others who want something wait for it to be done.
 * What a request holds belongs to the backend until it is POSTED, to the worker while
 * it is RUNNING, and to the backend again when it is DONE.
 */
#ifndef M3DB_REQUESTS_H
#define M3DB_REQUESTS_H

#include "fmgr.h"

#include "storage/m3.h"

typedef enum M3dbRequestState
{
	M3DB_REQUEST_FREE,
	M3DB_REQUEST_TAKEN,			/* by a backend, which fills it in */
	M3DB_REQUEST_POSTED,
	M3DB_REQUEST_RUNNING,
	M3DB_REQUEST_DONE
} M3dbRequestState;

typedef union M3dbJobResult
{
	M3PurgeResult purge;
	M3TickResult tick;
	M3FlushResult flush;
	M3SnapshotResult snapshot;
	M3CleanupResult cleanup;
} M3dbJobResult;

/* In shared memory; all fields but those of the first paragraph follow the state. */
typedef struct M3dbRequest
{
	/* M3dbControl.mutex */
	uint32_t	root_id;		/* unless FREE */
	M3dbRequestState state;
	bool		abandoned;		/* RUNNING, and nobody waits for it any more */

	M3Job		job;
	char		namespace_name[M3_NAMESPACE_NAME_MAX_SIZE + 1]; /* flush; "": all */
	bool		held_back;		/* cleanup: not done, a backup needs the files */
	M3Status	status;
	M3Error		error;
	M3dbJobResult result;
} M3dbRequest;

/* --- backends ----------------------------------------------------------- */

/*
 * Has the worker do a job for the current database and waits for it, interruptibly.
 * Raises what it failed with.  namespace_name: of a flush, UTF-8; empty: all.
 */
extern void m3db_request(M3Job job, M3Slice namespace_name, M3dbJobResult *result);

/* The row m3db.flush() returns. */
extern Datum m3db_flush_datum(FunctionCallInfo fcinfo, const M3FlushResult *result);

/* --- the worker --------------------------------------------------------- */

/* The request posted for a root, RUNNING from now on; or NULL. */
extern M3dbRequest *m3db_request_begin(uint32_t root_id);
extern void m3db_request_end(M3dbRequest *request);

/* At the start: what the worker before was at is to be done again. */
extern void m3db_requests_restart(void);

/* Whether files may be removed now.  If so, backends that hold removal back wait until
 * m3db_removal_end(). */
extern bool m3db_removal_begin(void);
extern void m3db_removal_end(void);

#endif							/* M3DB_REQUESTS_H */
