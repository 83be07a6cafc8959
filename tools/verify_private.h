/*
 * What the parts of verify share.
 */
#ifndef M3DUMP_VERIFY_PRIVATE_H
#define M3DUMP_VERIFY_PRIVATE_H

#include "storage/fileset/list.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/statistics.h"
#include "storage/log/scan.h"
#include "tools/registry.h"
#include "tools/text.h"
#include "tools/verify.h"

#define VERIFY_NOT_BELIEVED "nothing: nobody believes them, points are read instead"
#define VERIFY_NO_SERIES "nothing: the fileset holds no series"

/* A data fileset without checkpoint that no other fileset of its block stands for: a
 * leftover, if logs hold the block, else a loss. */
typedef struct VerifyIncomplete
{
	char		path[M3_FILESET_PATH_SIZE];
	char	   *namespace_name;
	uint32_t	shard;
	int64_t		start_ns;
	int64_t		size_ns;		/* 0: not known */
	bool		is_empty;		/* its info says that there are no series */
	bool		is_covered;
} VerifyIncomplete;

typedef struct Verify
{
	M3Env	   *env;
	M3Memory   *memory;
	const VerifyOptions *options;
	VerifyFindingFn finding;
	void	   *context;
	VerifyReport *report;
	bool		has_registry;
	Registry	registry;
	uint32_t	shard_count;	/* 0: not known */
	uint32_t	hash_seed;
	M3SnapshotMetadataList metadata;
	const M3SnapshotMetadataEntry *newest;	/* NULL: none is valid */
	M3LogSet   *logs;
	VerifyIncomplete *incomplete;
	size_t		incomplete_count;
	Text		entry;			/* id and tags of the series being checked */
} Verify;

extern void verify_finding(Verify *v, VerifySeverity severity, const char *file,
						   int64_t offset, const char *consequence,
						   const char *format,...) __attribute__((format(printf, 6, 7)));

/* Whether an error speaks of the files; any other ends the verification. */
static inline bool
verify_is_damage(M3Status status)
{
	return status == M3_CORRUPT || status == M3_UNSUPPORTED || status == M3_NOT_FOUND;
}

extern M3Status verify_filesets(Verify *v, M3FilesetKind kind, M3Error *err);

/* One volume whose header is sound; severity: of what hides points of it. */
extern M3Status verify_volume(Verify *v, uint32_t shard, const char *directory,
							  const M3FilesetName *name, const M3FilesetHeader *header,
							  VerifySeverity severity, M3Error *err);

/* *reader is NULL if there are none, or none that would be believed, which is reported. */
extern M3Status verify_statistics_open(Verify *v, const char *directory,
									   const M3FilesetName *name,
									   const M3FilesetHeader *header,
									   M3StatisticsReader **reader, M3Error *err);
/* What is wrong with those of a series in *what, NULL: nothing; its points added to *points.
 * M3_CORRUPT: these would not be believed. */
extern M3Status verify_statistics_entry(Verify *v, M3StatisticsReader *reader,
										const M3FilesetEntry *entry, M3Slice payload,
										uint64_t *points, const char **what, M3Error *err);

extern M3Status verify_logs(Verify *v, M3Error *err);

#endif							/* M3DUMP_VERIFY_PRIVATE_H */
