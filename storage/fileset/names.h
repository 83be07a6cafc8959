/*
 * Names in a root: directories of namespaces and shards, the seven files of a
 * fileset (spec/fileset.md 1), and our own one beside them.
 */
#ifndef M3_FILESET_NAMES_H
#define M3_FILESET_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/slice.h"
#include "storage/base/status.h"

/* Longest path handled, with its NUL. */
#define M3_FILESET_PATH_SIZE 1024

/* The first five in the order of their checksums in the digest file; the last one is ours, and
 * M3 passes it over: statistics-<start>-<volume>.db (statistics.h). */
typedef enum M3FilesetFile
{
	M3_FILESET_INFO,
	M3_FILESET_INDEX,
	M3_FILESET_SUMMARIES,
	M3_FILESET_BLOOM,
	M3_FILESET_DATA,
	M3_FILESET_DIGEST,
	M3_FILESET_CHECKPOINT,
	M3_FILESET_STATISTICS
} M3FilesetFile;

#define M3_FILESET_DIGESTED_COUNT 5
#define M3_FILESET_FILE_COUNT 7	/* M3's */
#define M3_FILESET_ALL_COUNT 8

typedef enum M3FilesetKind
{
	M3_FILESET_KIND_DATA,		/* <root>/data */
	M3_FILESET_KIND_SNAPSHOT	/* <root>/snapshots */
} M3FilesetKind;

/* A fileset within its shard's directory. */
typedef struct M3FilesetName
{
	int64_t		block_start_ns;
	int64_t		volume;
	bool		legacy;			/* a name without volume, which is then 0 */
} M3FilesetName;

/* "info", "index", ..., "statistics" */
extern const char *m3_fileset_suffix(M3FilesetFile file);

/* All of these write a NUL-terminated path of at most M3_FILESET_PATH_SIZE;
 * M3_INVALID if it would be longer or a name is empty, "." or "..", or holds
 * a '/' or NUL. */
extern M3Status m3_fileset_kind_directory(char *out, const char *root,
										  M3FilesetKind kind, M3Error *err);
extern M3Status m3_fileset_namespace_directory(char *out, const char *root,
											   M3FilesetKind kind, M3Slice name,
											   M3Error *err);
extern M3Status m3_fileset_shard_directory(char *out, const char *root,
										   M3FilesetKind kind, M3Slice name,
										   uint32_t shard, M3Error *err);
extern M3Status m3_fileset_path(char *out, const char *directory,
								const M3FilesetName *name, M3FilesetFile file,
								M3Error *err);

/*
 * Takes a directory entry apart; false if it is not a file of a fileset, or statistics of one.
 * Starts before 1970 are understood, though M3 never lists them.
 */
extern bool m3_fileset_parse_name(const char *text, M3FilesetName *name,
								  M3FilesetFile *file);

/* The number of a shard's directory; false for any other entry. */
extern bool m3_fileset_parse_shard(const char *text, uint32_t *shard);

/* By start, then volume, then the legacy name first. */
extern int	m3_fileset_name_compare(const M3FilesetName *a, const M3FilesetName *b);

/* Decimal digits, no sign, no padding, up to INT64_MAX; *end after them. */
extern bool m3_fileset_parse_decimal(const char *text, const char **end, int64_t *value);

#endif							/* M3_FILESET_NAMES_H */
