/*
 * What IMPORT FOREIGN SCHEMA has to know of a root: its namespaces, or the metrics in them,
 * and the tags that their series have.
 */
#ifndef M3DB_IMPORT_SURVEY_H
#define M3DB_IMPORT_SURVEY_H

#include "nodes/pg_list.h"
#include "storage/m3.h"

typedef struct M3dbImportTag
{
	M3Slice		name;
	uint64		series;			/* that have it */
} M3dbImportTag;

/* What becomes a table. */
typedef struct M3dbImportGroup
{
	M3Slice		namespace_name;
	M3Slice		metric;			/* value of __name__, which is no tag then; size 0: any */
	const M3NamespaceOptions *options;
	uint64		series;
	int			tag_count;
	M3dbImportTag *tags;		/* by name */
} M3dbImportGroup;

typedef struct M3dbImportSurvey
{
	List	   *groups;			/* M3dbImportGroup *, by namespace and metric */
	uint64		unnamed_series; /* by metric only: those without __name__ */
	uint64		unusable_tags;	/* left out: names no column and no option can have */
} M3dbImportSurvey;

/* Of one namespace, or of all (empty name).  All memory is the current context's.  A namespace
 * without series is a group without tags, unless groups are metrics. */
extern void m3db_import_survey(M3Database *db, M3Slice namespace_name, bool by_metric,
							   M3dbImportSurvey *survey);

#endif							/* M3DB_IMPORT_SURVEY_H */
