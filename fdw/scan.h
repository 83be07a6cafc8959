/*
 * What plan.c tells scan.c, and what scan.c tells explain.c.
 */
#ifndef M3DB_SCAN_H
#define M3DB_SCAN_H

#include "fdw/damage.h"
#include "fdw/project.h"
#include "fdw/quals.h"
#include "fdw/table.h"
#include "fdw/wide.h"
#include "nodes/execnodes.h"

/*
 * fdw_private of a ForeignScan: a list of these.  fdw_exprs are the expressions of the
 * quals that have one, fdw_recheck_quals the clauses the quals were made from,
 * one each, in the same order.
 */
enum
{
	M3DB_SCAN_QUALS,			/* list of m3db_qual_serialize() */
	M3DB_SCAN_COLUMNS,			/* attnums to fill, ascending */
	M3DB_SCAN_VALUE_COLUMNS		/* wide tables: attnums that make rows */
};

typedef struct M3dbScanState
{
	const M3dbTable *table;
	M3Database *db;
	const M3Snapshot *snapshot;
	uint32		own_command;
	M3dbQualStates quals;
	List	   *value_attnums;	/* wide tables */
	M3dbProjection *projection;
	M3dbDamage	damage;

	/* from the first row on until expressions may have changed */
	bool		opened;
	MemoryContext context;		/* of what follows, reset when it goes */
	M3dbConditions conditions;
	M3Scan	   *scan;			/* NULL if conditions.nothing */
	M3dbWide   *wide;			/* wide tables */
	M3Reader   *reader;			/* others */
	M3PointBatch batch;
	size_t		position;
	size_t		next_series;

	M3ScanStats finished;		/* of scans closed before */
} M3dbScanState;

/* Counts of all scans this node has made. */
extern void m3db_scan_totals(const M3dbScanState *state, M3ScanStats *stats);

#endif							/* M3DB_SCAN_H */
