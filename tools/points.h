/*
 * Every point of a root as a reader sees it after recovery.
 *
 * Precedence: a log over a snapshot over a data fileset, a later log entry over an
 * earlier one.  Of data filesets the highest complete volume of a block counts, of
 * snapshots the highest that is sound; above it, what is sound of damaged ones.
 * Nothing expires.  What cannot be read is left out, with a warning; nothing is
 * made up for it.
 *
 * Everything goes through one external sort, so memory is bounded: by the
 * sorter's, the largest block of a single series, and the log being read.
 */
#ifndef M3DUMP_POINTS_H
#define M3DUMP_POINTS_H

#include <stdio.h>

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "tools/sorter.h"

typedef enum PointsFormat
{
	POINTS_CSV,
	POINTS_JSONL
} PointsFormat;

/*
 * M3 turns log entries into streams when it starts, and a stream leaves an annotation out
 * that equals the one before (spec/m3tsz.md 5.3, 9.2); m3db_fdw keeps them all.
 */
typedef enum PointsAnnotations
{
	POINTS_ANNOTATIONS_AUTO,	/* all, if the root has a registry */
	POINTS_ANNOTATIONS_ALL,
	POINTS_ANNOTATIONS_M3
} PointsAnnotations;

/* Block size of a namespace of which only logs tell. */
typedef struct PointsBlockSize
{
	const char *name;			/* of the namespace; NULL: any */
	int64_t		block_size_ns;
} PointsBlockSize;

#define POINTS_DEFAULT_BLOCK_SIZE_NS INT64_C(7200000000000)

typedef struct PointsOptions
{
	const char *root;
	const char *namespace_name; /* NULL: all of the registry; all, without one */
	PointsFormat format;
	PointsAnnotations annotations;
	int64_t		from_ns;		/* [from, to) */
	int64_t		to_ns;
	uint64_t	memory_size;
	const PointsBlockSize *block_sizes;
	size_t		block_size_count;
} PointsOptions;

/* file may be empty, offset -1. */
typedef void (*PointsWarnFn) (void *context, const char *file, int64_t offset,
							  const char *message);

typedef struct PointsReport
{
	uint64_t	series;
	uint64_t	points;
	uint64_t	warnings;
	SorterStats sort;
} PointsReport;

extern void points_options_default(PointsOptions *options);

/* Errors are such that nothing useful can be said: not a root (M3_NOT_FOUND), a directory
 * that cannot be read, no memory, out cannot be written. */
extern M3Status points_write(M3Env *env, M3Memory *memory, const PointsOptions *options,
							 FILE *out, PointsWarnFn warn, void *warn_context,
							 PointsReport *report, M3Error *err);

#endif							/* M3DUMP_POINTS_H */
