/*
 * Differences between PostgreSQL 14 and 18, all of them in this one place.
 *
 * Included by fdw/, functions/ and server/ only, after postgres.h and the server's own
 * headers.  Macros take their arguments in the order of the newest version, so the
 * caller reads like code for it; those an older server lacks are dropped.
 */
#ifndef M3DB_COMPAT_H
#define M3DB_COMPAT_H

#include "storage/fd.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 140000
#error "m3db_fdw needs PostgreSQL 14 or newer"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* ---- module and start-up ---- */

#if PG_VERSION_NUM >= 180000
#define M3DB_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = module_name, .version = module_version)
#else
#define M3DB_MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* Shared memory is requested from a hook of its own, or (14) while loading. */
#if PG_VERSION_NUM >= 150000
#define M3DB_HAVE_SHMEM_REQUEST_HOOK 1
#endif

/* Processes that may have a PGPROC, with MaxBackends as it is or (14, while
 * loading) as it will be. */
#if PG_VERSION_NUM >= 150000
#define m3db_max_backends() MaxBackends
#else
#define m3db_max_backends() \
	(MaxBackends > 0 ? MaxBackends : \
	 MaxConnections + autovacuum_max_workers + 1 + max_worker_processes + \
	 max_wal_senders)
#endif

/* ---- processes, transactions, WAL ---- */

#if PG_VERSION_NUM >= 170000
#define m3db_my_proc_number() ((uint32) MyProcNumber)
#define m3db_oldest_clog_xid() (TransamVariables->oldestClogXid)
#else
#define m3db_my_proc_number() ((uint32) MyProc->pgprocno)
#define m3db_oldest_clog_xid() (ShmemVariableCache->oldestClogXid)
#endif

/* LogLogicalMessage(prefix, message, size, transactional, flush) */
#if PG_VERSION_NUM >= 170000
#define LogLogicalMessage_compat(prefix, message, size, transactional, flush) \
	LogLogicalMessage(prefix, message, size, transactional, flush)
#else
#define LogLogicalMessage_compat(prefix, message, size, transactional, flush) \
	LogLogicalMessage(prefix, message, size, transactional)
#endif

/* A named wait event (17+), else the one all extensions share.  Call it once per
 * process and event: it takes a lock. */
#if PG_VERSION_NUM >= 170000
#define m3db_wait_event_new(name) WaitEventExtensionNew(name)
#else
#define m3db_wait_event_new(name) ((uint32) PG_WAIT_EXTENSION)
#endif

/* What other processes say of themselves, by index from 1. */
#if PG_VERSION_NUM >= 160000
#define m3db_local_backend_status(index) pgstat_get_local_beentry_by_index(index)
#else
#define m3db_local_backend_status(index) pgstat_fetch_stat_local_beentry(index)
#endif

/* ---- files and memory ---- */

#if PG_VERSION_NUM >= 160000
#define FileRead_compat(file, buffer, size, offset, wait_event) \
	FileRead(file, buffer, size, offset, wait_event)
#define FileWrite_compat(file, data, size, offset, wait_event) \
	FileWrite(file, data, size, offset, wait_event)
#else
#define FileRead_compat(file, buffer, size, offset, wait_event) \
	FileRead(file, (char *) (buffer), (int) (size), offset, wait_event)
#define FileWrite_compat(file, data, size, offset, wait_event) \
	FileWrite(file, unconstify(char *, (const char *) (data)), (int) (size), \
			  offset, wait_event)
#endif

#if PG_VERSION_NUM >= 160000
#define M3DB_HAVE_REPALLOC_EXTENDED 1
#endif

/* ---- privileges ---- */

#if PG_VERSION_NUM >= 160000
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"

#define m3db_foreign_server_aclcheck(server_id, role, mode) \
	object_aclcheck(ForeignServerRelationId, server_id, role, mode)
#define m3db_foreign_server_ownercheck(server_id, role) \
	object_ownercheck(ForeignServerRelationId, server_id, role)
#define m3db_relation_ownercheck(relid, role) \
	object_ownercheck(RelationRelationId, relid, role)
#else
#define m3db_foreign_server_aclcheck(server_id, role, mode) \
	pg_foreign_server_aclcheck(server_id, role, mode)
#define m3db_foreign_server_ownercheck(server_id, role) \
	pg_foreign_server_ownercheck(server_id, role)
#define m3db_relation_ownercheck(relid, role) \
	pg_class_ownercheck(relid, role)
#endif

/* Whose rights count for a base relation of a plan. */
#if PG_VERSION_NUM >= 160000
#define m3db_rel_userid(rel, rte) \
	(OidIsValid((rel)->userid) ? (rel)->userid : GetUserId())
#else
#define m3db_rel_userid(rel, rte) \
	(OidIsValid((rte)->checkAsUser) ? (rte)->checkAsUser : GetUserId())
#endif

/* ---- planner and executor ---- */

#if PG_VERSION_NUM >= 180000
#define create_foreignscan_path_compat(root, rel, target, rows, disabled_nodes, \
									   startup_cost, total_cost, pathkeys, \
									   required_outer, outerpath, restrictinfo, \
									   private) \
	create_foreignscan_path(root, rel, target, rows, disabled_nodes, \
							startup_cost, total_cost, pathkeys, \
							required_outer, outerpath, restrictinfo, private)
#define create_foreign_upper_path_compat(root, rel, target, rows, disabled_nodes, \
										 startup_cost, total_cost, pathkeys, \
										 outerpath, restrictinfo, private) \
	create_foreign_upper_path(root, rel, target, rows, disabled_nodes, \
							  startup_cost, total_cost, pathkeys, \
							  outerpath, restrictinfo, private)
#elif PG_VERSION_NUM >= 170000
#define create_foreignscan_path_compat(root, rel, target, rows, disabled_nodes, \
									   startup_cost, total_cost, pathkeys, \
									   required_outer, outerpath, restrictinfo, \
									   private) \
	create_foreignscan_path(root, rel, target, rows, \
							startup_cost, total_cost, pathkeys, \
							required_outer, outerpath, restrictinfo, private)
#define create_foreign_upper_path_compat(root, rel, target, rows, disabled_nodes, \
										 startup_cost, total_cost, pathkeys, \
										 outerpath, restrictinfo, private) \
	create_foreign_upper_path(root, rel, target, rows, \
							  startup_cost, total_cost, pathkeys, \
							  outerpath, restrictinfo, private)
#else
#define create_foreignscan_path_compat(root, rel, target, rows, disabled_nodes, \
									   startup_cost, total_cost, pathkeys, \
									   required_outer, outerpath, restrictinfo, \
									   private) \
	create_foreignscan_path(root, rel, target, rows, \
							startup_cost, total_cost, pathkeys, \
							required_outer, outerpath, private)
#define create_foreign_upper_path_compat(root, rel, target, rows, disabled_nodes, \
										 startup_cost, total_cost, pathkeys, \
										 outerpath, restrictinfo, private) \
	create_foreign_upper_path(root, rel, target, rows, \
							  startup_cost, total_cost, pathkeys, \
							  outerpath, private)
#endif

/* The direction of a pathkey, and of one to be made by make_canonical_pathkey. */
#if PG_VERSION_NUM >= 180000
#define m3db_pathkey_is_ascending(pathkey) ((pathkey)->pk_cmptype == COMPARE_LT)
#define M3DB_PATHKEY_ASCENDING COMPARE_LT
#define M3DB_PATHKEY_DESCENDING COMPARE_GT
#else
#define m3db_pathkey_is_ascending(pathkey) \
	((pathkey)->pk_strategy == BTLessStrategyNumber)
#define M3DB_PATHKEY_ASCENDING BTLessStrategyNumber
#define M3DB_PATHKEY_DESCENDING BTGreaterStrategyNumber
#endif

/*
 * The members of an equivalence class that may be of a relation (relids), those of partitions
 * among them.
 *
 *   M3dbMemberIterator it;
 *   m3db_members_begin(&it, ec, relids);
 *   while ((member = m3db_members_next(&it)) != NULL)
 */
#if PG_VERSION_NUM >= 180000
#define M3dbMemberIterator EquivalenceMemberIterator
#define m3db_members_begin(it, ec, relids) setup_eclass_member_iterator(it, ec, relids)
#define m3db_members_next(it) eclass_member_iterator_next(it)
#else
typedef struct M3dbMemberIterator
{
	const struct List *members;
	int			next;
} M3dbMemberIterator;
#define m3db_members_begin(it, ec, relids) \
	(*(it) = (M3dbMemberIterator) {(ec)->ec_members, 0})
#define m3db_members_next(it) \
	((it)->next < list_length((it)->members) ? \
	 (EquivalenceMember *) list_nth((it)->members, (it)->next++) : NULL)
#endif

/* Booleans in fdw_private. */
#if PG_VERSION_NUM < 150000
#define makeBoolean(value) makeInteger((value) ? 1 : 0)
#define boolVal(node) (intVal(node) != 0)
#endif

/* Relations of the explained statement: with more than one, columns are qualified. */
#if PG_VERSION_NUM >= 180000
#define m3db_explain_relations(es) ((es)->rtable_size)
#else
#define m3db_explain_relations(es) list_length((es)->rtable)
#endif

/* The base relations a foreign scan stands for. */
#if PG_VERSION_NUM >= 160000
#define m3db_scan_relids(plan) ((plan)->fs_base_relids)
#else
#define m3db_scan_relids(plan) ((plan)->fs_relids)
#endif

/* ---- ANALYZE ---- */

#if PG_VERSION_NUM >= 180000
#define vacuum_delay_point_compat(is_analyze) vacuum_delay_point(is_analyze)
#else
#define vacuum_delay_point_compat(is_analyze) vacuum_delay_point()
#endif

/* A random fraction from a ReservoirStateData's generator. */
#if PG_VERSION_NUM >= 150000
#define m3db_reservoir_random_fract(reservoir) \
	sampler_random_fract(&(reservoir)->randstate)
#else
#define m3db_reservoir_random_fract(reservoir) \
	sampler_random_fract((reservoir)->randstate)
#endif

/* ---- set-returning functions ---- */

#if PG_VERSION_NUM < 150000
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"

/* Materialize mode with the declared row type; flags are not supported. */
static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old_context;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));

	old_context = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rsinfo->setDesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap(true, false, work_mem);
	MemoryContextSwitchTo(old_context);
}
#endif

/* ---- time zones ---- */

#if PG_VERSION_NUM < 160000
#include "parser/scansup.h"
#include "pgtime.h"
#include "utils/datetime.h"

#define TZNAME_FIXED_OFFSET 0
#define TZNAME_DYNTZ 1
#define TZNAME_ZONE 2

static inline int
DecodeTimezoneName(const char *tzname, int *offset, pg_tz **tz)
{
	char	   *lower = downcase_truncate_identifier(tzname, (int) strlen(tzname), false);
	int			type = DecodeTimezoneAbbrev(0, lower, offset, tz);

	if (type == TZ || type == DTZ)
		return TZNAME_FIXED_OFFSET;
	if (type == DYNTZ)
		return TZNAME_DYNTZ;
	*tz = pg_tzset(tzname);
	if (*tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", tzname)));
	return TZNAME_ZONE;
}
#endif

/* ---- "Perhaps you meant" ---- */

#if PG_VERSION_NUM < 160000
typedef struct ClosestMatchState
{
	const char *source;
	const char *match;
	int			distance;		/* of match, or the most that is accepted */
} ClosestMatchState;

static inline void
initClosestMatch(ClosestMatchState *state, const char *source, int max_d)
{
	state->source = source;
	state->match = NULL;
	state->distance = max_d + 1;
}

static inline void
updateClosestMatch(ClosestMatchState *state, const char *candidate)
{
	int			source_size = (int) strlen(state->source);
	int			candidate_size = (int) strlen(candidate);
	int			distance;

	if (source_size == 0 || source_size > 255 || candidate_size > 255)
		return;
	distance = varstr_levenshtein(state->source, source_size, candidate,
								  candidate_size, 1, 1, 1, true);
	if (distance < state->distance && distance <= source_size / 2)
	{
		state->distance = distance;
		state->match = candidate;
	}
}

static inline const char *
getClosestMatch(ClosestMatchState *state)
{
	return state->match;
}
#endif

#endif							/* M3DB_COMPAT_H */
