/*
 * Paths that give aggregates instead of rows, and their plans.
 *
 * They are worth it whenever they are possible: points are decoded in either case, and then
 * summed up where they are.  What speaks against them is only memory, as an aggregate of
 * PostgreSQL's can spill to disk and ours cannot.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "utils/selfuncs.h"

#include "compat.h"
#include "fdw/aggregate_match.h"
#include "fdw/fdw.h"
#include "fdw/plan.h"
#include "server/server.h"

#define FOLD_COST_FACTOR 0.05	/* of cpu_tuple_cost: 1 ns a point and aggregate */
#define SUMMARY_COST_FACTOR 4.0 /* ... a block that its statistics answer for */

#define DEFAULT_BUCKETS 100.0	/* when their width is not known */
#define CELL_SIZE 64.0
#define CALL_SIZE 48.0			/* of each aggregate of a cell */

/* fdw_private of the relation that our path is for. */
typedef struct AggregateRel
{
	RelOptInfo *input;
	M3dbAggregateMatch match;
	List	   *having;
} AggregateRel;

/* ---- estimates ---- */

typedef struct AggregateSize
{
	double		tag_groups;
	double		buckets;		/* of each of them */
	double		groups;
	double		expected_groups;	/* what PostgreSQL makes of it, without knowing of buckets */
	M3dbScanSize scan;			/* what is decoded */
} AggregateSize;

/* How long the range is that the scan's conditions leave of what there is; 0: not known. */
static double
scanned_us(const RelOptInfo *input, const M3dbRelInfo *info)
{
	double		span_us = ((double) info->end_ns - (double) info->first_ns) / 1000;
	double		rows = input->tuples * info->size.series / info->series;

	return span_us * (rows > 0 ? Min(info->size.scanned_rows / rows, 1.0) : 1.0);
}

static double
estimate_buckets(const AggregateRel *aggregate)
{
	const M3dbRelInfo *info = aggregate->input->fdw_private;
	double		range_us = scanned_us(aggregate->input, info);

	if (aggregate->match.spec.bucket.expr == NULL)
		return 1.0;
	if (aggregate->match.bucket_width_us <= 0 || range_us <= 0)
		return DEFAULT_BUCKETS;
	return Max(range_us / aggregate->match.bucket_width_us, 1.0);
}

static void
estimate_size(PlannerInfo *root, const AggregateRel *aggregate, AggregateSize *size)
{
	const M3dbRelInfo *info = aggregate->input->fdw_private;
	const M3dbAggregateSpec *spec = &aggregate->match.spec;
	double		rows = Max(info->size.rows, 1.0);
	List	   *keys = NIL;
	List	   *tags = NIL;

	for (int i = 0; i < spec->group_count; i++)
	{
		Expr	   *expr = list_nth_node(TargetEntry, aggregate->match.scan_tlist, i)->expr;

		keys = lappend(keys, expr);
		if (spec->groups[i].attnum != InvalidAttrNumber)
			tags = lappend(tags, expr);
	}
	size->tag_groups = tags == NIL ? 1.0 :
		Min(estimate_num_groups(root, tags, rows, NULL, NULL), Max(info->size.series, 1.0));
	size->buckets = Min(estimate_buckets(aggregate), Max(info->size.scanned_rows, 1.0));
	size->groups = clamp_row_est(Min(size->tag_groups * size->buckets, rows));
	size->expected_groups = keys == NIL ? 1.0 :
		estimate_num_groups(root, keys, rows, NULL, NULL);
	size->scan = info->size;
	if (info->table->wide)
		size->scan.scanned_rows *=
			(double) list_length(aggregate->match.value_columns) / info->table->value_count;
}

/* Whether the cells of a group of tags, which are kept together, fit into memory. */
static bool
fits_memory(const AggregateRel *aggregate, const AggregateSize *size)
{
	double		limit = work_mem * 1024.0 * hash_mem_multiplier;

	return size->buckets *
		(CELL_SIZE + CALL_SIZE * aggregate->match.spec.call_count) <= limit;
}

static bool
counts_rows(const M3dbAggregateSpec *spec)
{
	for (int i = 0; i < spec->call_count; i++)
	{
		if (spec->calls[i].kind == M3DB_AGGREGATE_COUNT &&
			spec->calls[i].attnum == InvalidAttrNumber)
			return true;
	}
	return false;
}

/* The part of the points that need not be decoded, since blocks lie wholly in buckets and
 * their statistics are enough. */
static double
summarized_fraction(const AggregateRel *aggregate)
{
	const M3dbRelInfo *info = aggregate->input->fdw_private;
	const M3dbAggregateSpec *spec = &aggregate->match.spec;
	double		block_us = (double) info->block_size_ns / 1000;
	double		span_us = ((double) info->end_ns - (double) info->first_ns) / 1000;
	double		width_us = scanned_us(aggregate->input, info);

	if (!m3db_enable_statistics || spec->where.value_qual_count > 0 ||
		spec->filter_count > 0 || (info->table->wide && counts_rows(spec)))
		return 0;
	/* all there is cuts no block */
	if (spec->bucket.expr == NULL && width_us >= span_us)
		return info->summarized;
	if (spec->bucket.expr != NULL)
		width_us = Min(width_us, aggregate->match.bucket_width_us);
	return width_us <= 0 ? 0 : info->summarized * Max(0, 1.0 - block_us / width_us);
}

/* Per group, all paths must reckon with as many, or the one that knows better would lose. */
static void
estimate_cost(const RelOptInfo *rel, const AggregateRel *aggregate,
			  const AggregateSize *size, Cost *startup, Cost *run)
{
	const M3dbRelInfo *info = aggregate->input->fdw_private;
	const M3dbAggregateSpec *spec = &aggregate->match.spec;
	double		points = size->scan.scanned_rows *
		(info->table->wide ? info->table->value_count : 1);
	double		block_us = (double) info->block_size_ns / 1000;
	double		blocks = block_us > 0 ?
		size->scan.series * scanned_us(aggregate->input, info) / block_us : points;
	double		folded = points + info->size.scanned_rows *
		(spec->call_count + spec->where.value_qual_count);	/* each of one column */
	Cost		decoding = m3db_decode_cost(info, &size->scan) +
		folded * cpu_tuple_cost * FOLD_COST_FACTOR;
	Cost		summing = Min(blocks * cpu_tuple_cost * SUMMARY_COST_FACTOR, decoding);
	double		summarized = summarized_fraction(aggregate);
	double		groups = Min(size->groups, size->expected_groups);
	Cost		rows_run;

	m3db_scan_cost(info, &size->scan, startup, &rows_run);
	*run = (1.0 - summarized) * decoding + summarized * summing +
		groups * cpu_tuple_cost;
	*startup += rel->reltarget->cost.startup;
	*run += groups * rel->reltarget->cost.per_tuple;
}

/* ---- paths ---- */

static ForeignPath *
make_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost run)
{
	return create_foreign_upper_path_compat(root, rel, rel->reltarget, clamp_row_est(rows), 0,
											startup, startup + run, NIL, NULL, NIL, NIL);
}

/* A path of one process. */
static void
add_whole_path(PlannerInfo *root, RelOptInfo *rel, const AggregateRel *aggregate,
			   const AggregateSize *size)
{
	double		rows = size->groups;
	Cost		startup;
	Cost		run;
	QualCost	having;
	ForeignPath *path;

	estimate_cost(rel, aggregate, size, &startup, &run);
	if (aggregate->having != NIL)
	{
		cost_qual_eval(&having, aggregate->having, root);
		startup += having.startup;
		run += Min(rows, size->expected_groups) * having.per_tuple;
		rows *= clauselist_selectivity(root, aggregate->having, 0, JOIN_INNER, NULL);
	}
	path = make_path(root, rel, rows, startup, run);
	m3db_keep_from_workers(&path->path);
	add_path(rel, &path->path);
}

/* A path whose work several processes share, as they do that of the rows. */
static void
add_shared_path(PlannerInfo *root, RelOptInfo *rel, const AggregateRel *aggregate,
				const AggregateSize *size)
{
	const RelOptInfo *input = aggregate->input;
	const Path *of_rows;
	double		processes;
	double		rows = size->groups;
	Cost		startup;
	Cost		run;
	ForeignPath *path;

	if (!rel->consider_parallel || input->partial_pathlist == NIL)
		return;
	of_rows = linitial(input->partial_pathlist);
	if (of_rows->parallel_workers <= 0)
		return;
	processes = Min(Max(input->rows / of_rows->rows, 1.0), of_rows->parallel_workers + 1.0);
	/* each may meet points of any bucket */
	if (size->tag_groups > 1)
		rows /= processes;
	estimate_cost(rel, aggregate, size, &startup, &run);
	path = make_path(root, rel, rows, startup, run / processes);
	path->path.parallel_aware = true;
	path->path.parallel_safe = true;
	path->path.parallel_workers = of_rows->parallel_workers;
	add_partial_path(rel, &path->path);
}

/* A relation whose scan depends on nothing else of its query. */
static bool
is_scanned_alone(RelOptInfo *input)
{
	return IS_SIMPLE_REL(input) && input->fdw_private != NULL && !IS_DUMMY_REL(input) &&
		bms_is_empty(input->lateral_relids);
}

void
m3db_GetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						  RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	bool		is_partial = stage == UPPERREL_PARTIAL_GROUP_AGG;
	const GroupPathExtraData *grouping = extra;
	M3dbAggregateQuery query;
	AggregateRel *aggregate;
	AggregateSize size;

	if (!m3db_enable_aggregate_pushdown ||
		(stage != UPPERREL_GROUP_AGG && !is_partial) || !is_scanned_alone(input_rel) ||
		root->parse->groupingSets != NIL)
		return;

	aggregate = palloc(sizeof(AggregateRel));
	aggregate->input = input_rel;
	/* of partial groups, those who put them together look at the condition */
	aggregate->having = is_partial ? NIL : (List *) grouping->havingQual;
	query.root = root;
	query.rel = input_rel;
	query.target = output_rel->reltarget;
	query.target_list = grouping->targetList;
	query.having = aggregate->having;
	query.is_partial = is_partial;
	if (!m3db_aggregate_match(&query, &aggregate->match))
		return;
	estimate_size(root, aggregate, &size);
	if (!fits_memory(aggregate, &size))
		return;

	output_rel->fdw_private = aggregate;
	if (!is_partial || grouping->patype == PARTITIONWISE_AGGREGATE_PARTIAL)
		add_whole_path(root, output_rel, aggregate, &size);
	if (is_partial)
		add_shared_path(root, output_rel, aggregate, &size);
}

/* ---- the plan ---- */

ForeignScan *
m3db_aggregate_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist,
					Plan *outer_plan)
{
	const AggregateRel *aggregate = rel->fdw_private;
	const M3dbAggregateMatch *match = &aggregate->match;
	RelOptInfo *input = aggregate->input;
	const M3dbTable *table = ((const M3dbRelInfo *) input->fdw_private)->table;
	M3dbPushed	pushed = {0};
	List	   *spec;
	List	   *conditions;
	List	   *private;
	ListCell   *lc;

	/* what is not the scan's to evaluate is in the match */
	foreach(lc, input->baserestrictinfo)
		(void) m3db_pushed_add(root, input, table, lfirst_node(RestrictInfo, lc), &pushed);

	spec = m3db_aggregate_write(&match->spec, &pushed.exprs);
	private = m3db_scan_private(table, pushed.quals, NIL, match->value_columns,
								m3db_path_private(NIL, spec));
	conditions = list_make3(list_make2_int((int) input->relid, match->spec.group_count),
							pushed.clauses, match->value_clauses);
	return make_foreignscan(tlist, aggregate->having, 0, pushed.exprs,
							lappend(private, conditions), match->scan_tlist, NIL,
							outer_plan);
}
