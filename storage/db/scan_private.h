/*
 * Inside of a scan, shared by scan.c and reader.c.
 */
#ifndef M3_DB_SCAN_PRIVATE_H
#define M3_DB_SCAN_PRIVATE_H

#include "storage/db/db_private.h"
#include "storage/db/own_points.h"
#include "storage/db/scan.h"

typedef struct M3ScanSeries
{
	M3Ref		ref;			/* 0: only the transaction has it */
	const M3OwnSeries *own;		/* NULL: the transaction wrote nothing to it */
} M3ScanSeries;

struct M3Scan
{
	M3Database *db;
	M3Memory   *memory;
	int64_t		start_ns;		/* clamped to what can be read */
	int64_t		end_ns;
	int64_t		block_size_ns;
	const M3Snapshot *snapshot;
	bool		with_units;
	bool		with_annotations;
	M3OwnPoints own;
	M3ScanSeries *series;
	size_t		series_count;
	size_t		series_capacity;
	M3ScanStats stats;
};

#endif							/* M3_DB_SCAN_PRIVATE_H */
