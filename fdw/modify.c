/*
 * INSERT and COPY FROM; why there is no UPDATE and DELETE.
 *
 * Core leaves it to the wrapper to enforce NOT NULL and CHECK constraints and partition bounds.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/pathnodes.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/row.h"

/* Of one result relation of a statement; ri_FdwState. */
typedef struct ModifyState
{
	M3dbRowWriter *writer;
	bool		check_constraints;
	bool		check_partition;
} ModifyState;

int
m3db_IsForeignRelUpdatable(Relation rel)
{
	return m3db_is_mounted(RelationGetRelid(rel)) ? 0 : 1 << CMD_INSERT;
}

/* Called when a table is about to be planned as the target of anything but INSERT. */
void
m3db_AddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *target_rte,
							 Relation target_relation)
{
	const char *name = RelationGetRelationName(target_relation);

	m3db_refuse_mount(RelationGetRelid(target_relation),
					  root->parse->commandType == CMD_DELETE ? "delete from" : "update");
	if (root->parse->commandType == CMD_DELETE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete from foreign table \"%s\"", name),
				 errdetail("M3DB removes whole blocks of datapoints, when their retention "
						   "period is over."),
				 errhint("Set the table's option \"retention_period\" to have old datapoints "
						 "removed.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot update foreign table \"%s\"", name),
			 errdetail("A datapoint's series and time cannot be changed, and its value is "
					   "replaced by writing it again."),
			 errhint("INSERT a row with the same tags and time and the new value.")));
}

static void
refuse_on_conflict(OnConflictAction action, const char *name)
{
	if (action == ONCONFLICT_NONE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" does not support ON CONFLICT", name),
			 errdetail("A second datapoint for the same series and time is no conflict: it "
					   "replaces the first."),
			 errhint("Leave out the ON CONFLICT clause to replace; to keep what exists, insert "
					 "only rows for which NOT EXISTS finds none.")));
}

List *
m3db_PlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index resultRelation,
					   int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(resultRelation, root);

	/* a definition that makes no sense is an error in EXPLAIN, too */
	(void) m3db_table(rte->relid);
	m3db_refuse_mount(rte->relid, "insert into");
	if (plan->operation == CMD_INSERT)
		refuse_on_conflict(plan->onConflictAction, get_rel_name(rte->relid));
	return NIL;
}

static void
begin_insert(EState *estate, ResultRelInfo *rinfo)
{
	Relation	relation = rinfo->ri_RelationDesc;
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	ModifyState *state = palloc(sizeof(ModifyState));

	state->check_constraints = constraints != NULL &&
		(constraints->has_not_null || constraints->num_check > 0);
	/* tuple routing has checked the bound already, unless a trigger changed the row since */
	state->check_partition = relation->rd_rel->relispartition &&
		(rinfo->ri_RootResultRelInfo == NULL ||
		 (rinfo->ri_TrigDesc != NULL && rinfo->ri_TrigDesc->trig_insert_before_row));
	state->writer = m3db_row_writer_create(m3db_table(RelationGetRelid(relation)));
	rinfo->ri_FdwState = state;
	MemoryContextSwitchTo(old_context);
}

static void
end_insert(ResultRelInfo *rinfo)
{
	ModifyState *state = rinfo->ri_FdwState;

	if (state == NULL)
		return;
	m3db_row_writer_free(state->writer);
	pfree(state);
	rinfo->ri_FdwState = NULL;
}

void
m3db_BeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *fdw_private,
						int subplan_index, int eflags)
{
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	begin_insert(mtstate->ps.state, rinfo);
}

/* COPY, and rows routed to a partition. */
void
m3db_BeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	const ModifyTable *plan = (const ModifyTable *) mtstate->ps.plan;

	if (plan != NULL && plan->operation == CMD_INSERT)
		refuse_on_conflict(plan->onConflictAction,
						   RelationGetRelationName(rinfo->ri_RelationDesc));
	begin_insert(mtstate->ps.state, rinfo);
}

TupleTableSlot *
m3db_ExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
					   TupleTableSlot *planSlot)
{
	ModifyState *state = rinfo->ri_FdwState;

	if (state->check_constraints)
		ExecConstraints(rinfo, slot, estate);
	if (state->check_partition)
		(void) ExecPartitionCheck(rinfo, slot, estate, true);
	m3db_row_write(state->writer, slot);
	return slot;
}

void
m3db_EndForeignModify(EState *estate, ResultRelInfo *rinfo)
{
	end_insert(rinfo);
}

void
m3db_EndForeignInsert(EState *estate, ResultRelInfo *rinfo)
{
	end_insert(rinfo);
}
