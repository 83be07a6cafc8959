/*
 * What plan.c tells scan.c, and what scan.c tells explain.c.
 */
#ifndef M3DB_SCAN_H
#define M3DB_SCAN_H

#include "fdw/damage.h"
#include "fdw/producer.h"
#include "fdw/project.h"
#include "fdw/quals.h"
#include "fdw/share.h"
#include "fdw/table.h"
#include "nodes/execnodes.h"

/*
 * fdw_private of a ForeignScan: a list of these.  fdw_exprs are the expressions of the quals,
 * then those of aggregates.  fdw_recheck_quals of a scan of a relation are the
 * clauses the quals were made from, one each, in the same order.
 */
enum
{
	M3DB_SCAN_RELATION,			/* oid of the table, list of one */
	M3DB_SCAN_QUALS,			/* list of m3db_qual_serialize() */
	M3DB_SCAN_COLUMNS,			/* attnums to fill, ascending */
	M3DB_SCAN_VALUE_COLUMNS,	/* wide tables: attnums that make rows */
	M3DB_SCAN_PATH,				/* m3db_path_private() */
	M3DB_SCAN_CONDITIONS		/* of aggregates only: what EXPLAIN shows, see below */
};

/*
 * A scan for aggregates has no fdw_recheck_quals, and its fdw_scan_tlist nothing of what WHERE is
 * about.  So the clauses are kept here, as the planner saw them.
 */
enum
{
	M3DB_CONDITIONS_NUMBERS,	/* varno of the table in the clauses, number of groups */
	M3DB_CONDITIONS_QUALS,		/* the clauses the quals were made from, one each */
	M3DB_CONDITIONS_VALUES		/* those that concern values */
};

typedef struct M3dbScanState
{
	const M3dbTable *table;
	M3Database *db;
	const M3Snapshot *snapshot;
	uint32		own_command;
	M3dbQualStates quals;
	List	   *value_attnums;	/* wide tables */
	List	   *order;			/* see order.h; NIL: rows come as they are */
	struct M3dbAggregation *aggregation;	/* see aggregate.h; NULL: rows */
	M3dbProjection *projection; /* NULL with aggregation */
	M3dbShare  *share;			/* NULL: not shared with other processes */
	M3dbDamage	damage;

	/* from the first row on until expressions may have changed */
	bool		opened;
	MemoryContext context;		/* of what follows, reset when it goes */
	M3dbConditions conditions;
	M3Scan	   *scan;			/* NULL if conditions.nothing */
	M3dbProducer *producer;

	M3ScanStats finished;		/* of scans closed before */
} M3dbScanState;

/* Counts of all scans this node has made, in all processes as far as they are done. */
extern void m3db_scan_totals(const M3dbScanState *state, M3ScanStats *stats);

extern void m3db_stats_add(M3ScanStats *sum, const M3ScanStats *stats);

/* The table that a plan of ours scans. */
extern Oid m3db_scan_relid(const ForeignScan *plan);

#endif							/* M3DB_SCAN_H */
