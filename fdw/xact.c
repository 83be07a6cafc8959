/*
 * The storage transaction of the current PostgreSQL transaction.
 *
 * Everything that can fail happens before PostgreSQL commits, in PRE_COMMIT;
 * the COMMIT callback only makes the batch visible.  A transaction that also has an
 * xid is PostgreSQL's to decide: the log group carries the xid, and
 * recovery drops it if that did not commit.  For this the xid must never be given out
 * again, so a WAL record bearing it is flushed before the group is written.
 *
 * Subtransactions are marks in the storage transaction, made at a subtransaction's
 * first write.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/ddl.h"
#include "fdw/fdw.h"
#include "server/mount.h"
#include "server/server.h"

#define FIRST_MARK_CAPACITY 8

typedef struct Mark
{
	int			nest_level;
	M3TxnMark	before;			/* its state before this level's first write */
} Mark;

static M3Txn *txn = NULL;
static MemoryContext txn_context = NULL;
static bool prepared = false;	/* publish or abort must follow */
static bool synchronous = false;	/* how it was prepared */
static Mark *marks = NULL;		/* levels ascending, level 1 has none */
static int	mark_count = 0;
static int	mark_capacity = 0;

/* ---- the transaction ---- */

/* Lets go of the transaction, whatever became of it.  Cannot fail. */
static void
end_txn(void)
{
	MemoryContext context = txn_context;

	if (context == NULL)
		return;
	m3_txn_free(txn);
	txn = NULL;
	txn_context = NULL;
	prepared = false;
	marks = NULL;
	mark_count = 0;
	mark_capacity = 0;
	MemoryContextDelete(context);
}

static void
begin_txn(void)
{
	M3Database *db = m3db_database();
	M3Error		err = {0};

	m3db_xact_init();
	/* one that could not be begun, in a subtransaction that was rolled back */
	end_txn();
	txn_context = AllocSetContextCreate(TopTransactionContext, "m3db transaction",
										ALLOCSET_DEFAULT_SIZES);
	marks = MemoryContextAlloc(txn_context, FIRST_MARK_CAPACITY * sizeof(Mark));
	mark_capacity = FIRST_MARK_CAPACITY;
	mark_count = 0;
	prepared = false;
	m3db_check(m3_txn_begin(db, m3db_memory(txn_context), &txn, &err), &err);
}

static void
push_mark(int nest_level)
{
	if (mark_count == mark_capacity)
	{
		marks = repalloc(marks, 2 * mark_capacity * sizeof(Mark));
		mark_capacity *= 2;
	}
	marks[mark_count].nest_level = nest_level;
	marks[mark_count].before = m3_txn_mark(txn);
	mark_count++;
}

M3Txn *
m3db_xact_txn(void)
{
	int			nest_level = GetCurrentTransactionNestLevel();

	if (txn == NULL)
		begin_txn();
	if (unlikely(prepared))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot write to m3db_fdw foreign tables while the transaction is "
						"committing")));
	if (nest_level > 1 &&
		(mark_count == 0 || marks[mark_count - 1].nest_level < nest_level))
		push_mark(nest_level);
	return txn;
}

M3Txn *
m3db_xact_txn_or_null(void)
{
	return txn;
}

/* ---- commit and abort ---- */

/* The full xid the batch depends on, or 0 if the log alone decides. */
static uint64
decide_xid(void)
{
	FullTransactionId xid = GetTopFullTransactionIdIfAny();
	XLogRecPtr	position;

	/* a serializable transaction can still fail after this */
	if (!FullTransactionIdIsValid(xid) && IsolationIsSerializable())
		xid = GetTopFullTransactionId();
	if (!FullTransactionIdIsValid(xid))
		return 0;
	position = LogLogicalMessage_compat("m3db", "", 0, true, true);
	XLogFlush(position);
	if (synchronous)
		ForceSyncCommit();
	return U64FromFullTransactionId(xid);
}

static void
pre_commit(void)
{
	M3CommitOptions options;
	TimestampTz started = 0;
	M3Status	status;
	M3Error		err = {0};

	m3db_ddl_pre_commit();
	if (txn == NULL || !m3_txn_has_work(txn))
		return;
	synchronous = m3db_commit_is_synchronous() || m3db_ddl_must_be_durable();
	options.synchronous = synchronous;
	options.full_xid = decide_xid();
	for (;;)
	{
		status = m3_txn_prepare(txn, &options, &err);
		if (status != M3_FULL)
			break;
		if (started == 0)
			started = GetCurrentTimestamp();
		if (!m3db_wait_for_space(started, m3db_write_wait_timeout))
			break;
	}
	m3db_check(status, &err);
	prepared = true;
}

static void
at_commit(void)
{
	if (prepared)
	{
		m3_txn_publish(txn);
		if (!synchronous)
			m3db_log_waiting();
	}
	end_txn();
	m3db_ddl_at_commit();
}

static void
at_abort(void)
{
	bool		was_prepared = prepared;

	m3db_ddl_at_abort();

	if (was_prepared && !m3_txn_abort(txn))
		ereport(WARNING,
				(errmsg("could not log that a transaction's datapoints were rolled back"),
				 errdetail("They are not visible, but would be after a crash of the server.")));
	end_txn();
	if (was_prepared)
		m3db_space_was_freed();
}

static void
pre_prepare(void)
{
	m3db_ddl_pre_commit();
	if (txn != NULL && m3_txn_has_work(txn))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has written to m3db_fdw foreign "
						"tables"),
				 m3_txn_count(txn) == 0 ?
				 errdetail("It has truncated, dropped or altered one that has data.") : 0));
}

static void
at_end(void)
{
	m3db_snapshot_at_xact_end();
	m3db_mount_at_xact_end();
	m3db_table_at_xact_end();
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			pre_commit();
			break;
		case XACT_EVENT_COMMIT:
			at_commit();
			at_end();
			break;
		case XACT_EVENT_ABORT:
			at_abort();
			at_end();
			break;
		case XACT_EVENT_PRE_PREPARE:
			pre_prepare();
			break;
		case XACT_EVENT_PREPARE:
			/* without work, see pre_prepare */
			end_txn();
			m3db_ddl_at_abort();
			at_end();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			at_end();
			break;
	}
}

/* ---- subtransactions ---- */

/* The committing level's points are its parent's from now on. */
static void
hand_to_parent(int nest_level)
{
	Mark	   *top = &marks[mark_count - 1];
	int			parent = nest_level - 1;

	if (parent <= 1 || (mark_count > 1 && top[-1].nest_level == parent))
		mark_count--;
	else
		top->nest_level = parent;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid, SubTransactionId parent_subid,
				 void *arg)
{
	int			nest_level = GetCurrentTransactionNestLevel();

	m3db_ddl_at_subxact(event, nest_level);
	if (txn == NULL || mark_count == 0 || marks[mark_count - 1].nest_level < nest_level)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_to_parent(nest_level);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		m3_txn_rollback_to(txn, &marks[--mark_count].before);
}

void
m3db_xact_init(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	registered = true;
}
