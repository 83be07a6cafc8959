/*
 * Writing what a scan sees as a directory that M3DB bootstraps from: data filesets of volume 0,
 * one per shard and block, nothing else (spec/fileset.md 14, lifecycle.md 11).
 */
#ifndef M3_DB_EXPORT_H
#define M3_DB_EXPORT_H

#include "storage/base/env.h"
#include "storage/base/slice.h"
#include "storage/db/engine.h"
#include "storage/db/snapshot.h"

typedef struct M3ExportOptions
{
	M3Slice		namespace_name;	/* what to export ... */
	M3Slice		target_name;	/* ... and its name there; empty: the same */
	const char *directory;		/* the prefix: gets data/<name>/<shard>/...; made if missing */
	int64_t		start_ns;		/* points in [start, end) */
	int64_t		end_ns;
	uint32_t	shard_count;	/* of the M3DB that is to read it */
	uint32_t	hash_seed;
	int64_t		block_size_ns;	/* 0: the namespace's own */
	const M3Snapshot *snapshot;
	M3Env	   *env;			/* for what is written; NULL: the database's */
} M3ExportOptions;

typedef struct M3ExportResult
{
	uint64_t	filesets;
	uint64_t	series;			/* distinct */
	uint64_t	points;
	uint64_t	bytes;
	int64_t		end_ns;			/* of the last block; INT64_MIN without filesets */
} M3ExportResult;

/*
 * M3_CONFLICT if a complete fileset of the namespace is there already for a block to be
 * written; those written before it stay.  The same, with nothing written, if there is an index of
 * the namespace: M3DB would go by it and not find what is new.  M3_INVALID for a name or block size
 * M3DB cannot have, or if a block would begin before 1970.
 *
 * Encodes as M3's readers expect (lossless, the units of the points); memory is bounded by one
 * block of one series and the list of series.  Points of transactions that have not
 * committed are left out, the caller's too.
 *
 * Calls env->yield; where that may jump, use the three below.
 */
extern M3Status m3_export(M3Database *db, const M3ExportOptions *options, M3Memory *memory,
						  M3ExportResult *result, M3Error *err);

/*
 * The same in steps.  options, and what it points to, stay until free, which also removes the
 * fileset that a jump out of run left unfinished.  Whatever happens to be left of one (the
 * process died) has no checkpoint: nobody takes it for a fileset, and the next export replaces it.
 */
typedef struct M3Export M3Export;

extern M3Status m3_export_create(M3Database *db, const M3ExportOptions *options,
								 M3Memory *memory, M3Export **export, M3Error *err);
extern M3Status m3_export_run(M3Export *export, M3ExportResult *result, M3Error *err);
extern void m3_export_free(M3Export *export);	/* NULL allowed */

#endif							/* M3_DB_EXPORT_H */
