/*
 * Snapshot metadata: the pair of files that publishes one snapshot run
 * (spec/fileset.md 9, spec/commitlog.md 12, spec/lifecycle.md 5.3, 6).
 *
 *   <root>/snapshots/snapshot-<32 hex digits>-<index>-metadata.db
 *   <root>/snapshots/snapshot-<32 hex digits>-<index>-metadata-checkpoint.db
 */
#ifndef M3_FILESET_METADATA_H
#define M3_FILESET_METADATA_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/fileset/format.h"

/* Longer bodies than that are not read. */
#define M3_SNAPSHOT_METADATA_MAX_SIZE 8192
#define M3_UUID_TEXT_SIZE 36

typedef struct M3SnapshotMetadata
{
	int64_t		index;
	uint8_t		uuid[M3_FILESET_UUID_SIZE];
	/* everything in logs below this one is in the run's filesets */
	int64_t		log_index;
	M3Slice		log_path;		/* of that log; says nothing */
} M3SnapshotMetadata;

/* What a pair is called. */
typedef struct M3SnapshotMetadataName
{
	int64_t		index;
	uint8_t		uuid[M3_FILESET_UUID_SIZE];
} M3SnapshotMetadataName;

extern void m3_uuid_format(const uint8_t *uuid, char out[M3_UUID_TEXT_SIZE + 1]);
/* Lower or upper case, with dashes at their places. */
extern bool m3_uuid_parse(M3Slice text, uint8_t *uuid);

extern M3Status m3_snapshot_metadata_path(char *out, const char *root,
										  const M3SnapshotMetadataName *name,
										  bool checkpoint, M3Error *err);
extern bool m3_snapshot_metadata_parse_name(const char *text,
											M3SnapshotMetadataName *name,
											bool *checkpoint);

/* The body; M3_INVALID if it would be longer than the limit. */
extern M3Status m3_snapshot_metadata_encode(const M3SnapshotMetadata *metadata,
											uint8_t *out, size_t *size, M3Error *err);
/* log_path points into bytes. */
extern M3Status m3_snapshot_metadata_decode(M3Slice bytes, M3SnapshotMetadata *metadata,
											M3Error *err);

/*
 * Publishes a run whose filesets are all durable.  On success the pair is
 * durable; on failure there is no checkpoint, or (if it could not be removed) it may
 * reappear whole after a crash.
 */
extern M3Status m3_snapshot_metadata_write(M3Env *env, const char *root,
										   const M3SnapshotMetadata *metadata,
										   M3Error *err);

/*
 * Reads a pair and checks it against its checkpoint and name.  M3_NOT_FOUND
 * without a checkpoint of the right size.  log_path points into buffer, which
 * has M3_SNAPSHOT_METADATA_MAX_SIZE bytes.
 */
extern M3Status m3_snapshot_metadata_read(M3Env *env, const char *root,
										  const M3SnapshotMetadataName *name,
										  uint8_t *buffer, M3SnapshotMetadata *metadata,
										  M3Error *err);

/* Checkpoint first; files that are not there do not matter. */
extern M3Status m3_snapshot_metadata_remove(M3Env *env, const char *root,
											const M3SnapshotMetadataName *names,
											size_t count, M3Error *err);

typedef struct M3SnapshotMetadataEntry
{
	M3SnapshotMetadataName name;
	bool		valid;
	int64_t		log_index;		/* if valid */
} M3SnapshotMetadataEntry;

typedef struct M3SnapshotMetadataList
{
	M3Memory   *memory;
	M3SnapshotMetadataEntry *entries;	/* by index, then uuid */
	size_t		count;
} M3SnapshotMetadataList;

/* Every pair there is, also halves, each read and checked. */
extern M3Status m3_snapshot_metadata_list(M3Env *env, M3Memory *memory, const char *root,
										  M3SnapshotMetadataList *list, M3Error *err);
extern void m3_snapshot_metadata_list_free(M3SnapshotMetadataList *list);

/* The valid entry of the highest index, or NULL. */
extern const M3SnapshotMetadataEntry *
m3_snapshot_metadata_newest(const M3SnapshotMetadataList *list);

/* Whether two valid ones share an index: M3's cleanup then does nothing. */
extern bool m3_snapshot_metadata_ambiguous(const M3SnapshotMetadataList *list);

/* For the next run: one above the newest valid one's index, from 0.  M3_FULL
 * if there is no number left. */
extern M3Status m3_snapshot_metadata_next_index(const M3SnapshotMetadataList *list,
												int64_t *index, M3Error *err);

#endif							/* M3_FILESET_METADATA_H */
