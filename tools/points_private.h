/*
 * What the collecting and the printing half of points share: the sorted records.
 *
 * Key: namespace and id, each with 00 as 00 ff and ended by 00 00; then the
 * block's start, the kind (one byte) and a number, big-endian, so that memcmp is
 * the order in which they are wanted.
 */
#ifndef M3DUMP_POINTS_PRIVATE_H
#define M3DUMP_POINTS_PRIVATE_H

#include "storage/fileset/list.h"
#include "tools/points.h"
#include "tools/registry.h"
#include "tools/text.h"

typedef enum RecordKind
{
	RECORD_TAGS,				/* block INT64_MIN; value: encoded tags; the first counts */
	RECORD_DATA,				/* value: a stream; number: the volume */
	RECORD_DATA_POINT,			/* value: a point */
	RECORD_SNAPSHOT,
	RECORD_SNAPSHOT_POINT,
	RECORD_LOG					/* value: a point; number: position in the logs */
} RecordKind;

#define RECORD_KEY_TAIL 17		/* block, kind, number */
#define RECORD_POINT_SIZE 17	/* time, value's bits, unit; then the annotation */

typedef struct PointsNamespace
{
	uint8_t    *name;
	size_t		name_size;
	int64_t		block_size_ns;	/* 0: not known yet */
	bool		is_wanted;
} PointsNamespace;

typedef struct PointsRun
{
	M3Env	   *env;
	M3Memory   *memory;
	const PointsOptions *options;
	PointsWarnFn warn;
	void	   *warn_context;
	PointsReport *report;
	bool		has_registry;
	Registry	registry;
	bool		as_m3;			/* annotations of log entries */
	PointsNamespace *namespaces;
	size_t		namespace_count;
	Sorter	   *sorter;
	uint64_t	number;			/* of the next log entry, or tags */
	Text		key;
	Text		value;
	Text		entry;			/* id and tags of the series being read */
} PointsRun;

extern void points_warn(PointsRun *run, const char *file, int64_t offset,
						const char *format,...) __attribute__((format(printf, 4, 5)));

/* Finds or adds it; its address changes with the next one added.  NULL: no memory. */
extern PointsNamespace *points_namespace(PointsRun *run, M3Slice name);

/* Fills the sorter. */
extern M3Status points_collect_filesets(PointsRun *run, M3FilesetKind kind, M3Error *err);
extern M3Status points_collect_logs(PointsRun *run, M3Error *err);

/* Writes the rows of a sorter that is finished. */
extern M3Status points_print(PointsRun *run, FILE *out, M3Error *err);

#endif							/* M3DUMP_POINTS_PRIVATE_H */
