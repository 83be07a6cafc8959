/*
 * What is on disk: namespaces and shards of a root, filesets of a shard; which
 * of them count, and how they go (spec/fileset.md 1, 6, 7; lifecycle.md 6).
 */
#ifndef M3_FILESET_LIST_H
#define M3_FILESET_LIST_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"

/* One fileset's files, as far as names tell. */
typedef struct M3FilesetListed
{
	M3FilesetName name;
	uint32_t	files;			/* bit 1 << M3FilesetFile for each that is there */
} M3FilesetListed;

typedef struct M3FilesetList
{
	M3Memory   *memory;
	M3FilesetListed *filesets;	/* by m3_fileset_name_compare */
	size_t		count;
} M3FilesetList;

/* Reads names only.  A missing directory is an empty list; names that are not
 * of a fileset are passed over.  Statistics alone are listed like any leftover of a fileset. */
extern M3Status m3_fileset_list(M3Env *env, M3Memory *memory, const char *directory,
								M3FilesetList *list, M3Error *err);
extern void m3_fileset_list_free(M3FilesetList *list);

static inline bool
m3_fileset_listed_has(const M3FilesetListed *listed, M3FilesetFile file)
{
	return (listed->files >> file & 1) != 0;
}

/* Whether there is a checkpoint of the right size. */
extern M3Status m3_fileset_is_complete(M3Env *env, const char *directory,
									   const M3FilesetName *name, bool *complete,
									   M3Error *err);

/*
 * Reads and checks checkpoint, digest and info.  M3_NOT_FOUND if the fileset is
 * not complete, or vanished meanwhile; M3_CORRUPT also when info contradicts the name.
 */
extern M3Status m3_fileset_read_header(M3Env *env, const char *directory,
									   const M3FilesetName *name,
									   M3FilesetHeader *header, M3Error *err);

/*
 * The volume that holds a block: the highest complete one whose header passes.
 * M3_NOT_FOUND if there is none.  *skipped (may be NULL) counts complete
 * volumes above it that did not pass: for snapshots M3 would stop there and
 * see none.
 */
extern M3Status m3_fileset_choose(M3Env *env, const char *directory,
								  const M3FilesetList *list, int64_t block_start_ns,
								  M3FilesetName *name, M3FilesetHeader *header,
								  size_t *skipped, M3Error *err);

/* One above the highest complete volume of the block, sound or not; 0 if none. */
extern M3Status m3_fileset_next_volume(M3Env *env, const char *directory,
									   const M3FilesetList *list,
									   int64_t block_start_ns, int64_t *volume,
									   M3Error *err);

/*
 * Removes filesets: all checkpoints, then (the directory synced) everything
 * else.  Names that are not there do not matter.  Goes on after a failure and reports
 * the first.  If a checkpoint could not be removed for good, nothing else is.
 */
extern M3Status m3_fileset_remove(M3Env *env, const char *directory,
								  const M3FilesetName *names, size_t count,
								  M3Error *err);

/* Names of directories, sorted; free with m3_fileset_names_free. */
typedef struct M3FilesetNames
{
	M3Memory   *memory;
	char	  **names;
	size_t		count;
	size_t		capacity;
} M3FilesetNames;

extern M3Status m3_fileset_list_namespaces(M3Env *env, M3Memory *memory, const char *root,
										   M3FilesetKind kind, M3FilesetNames *names,
										   M3Error *err);
extern void m3_fileset_names_free(M3FilesetNames *names);

/* Shard numbers of a namespace, ascending; *shards is the caller's to free. */
extern M3Status m3_fileset_list_shards(M3Env *env, M3Memory *memory, const char *root,
									   M3FilesetKind kind, M3Slice namespace_name,
									   uint32_t **shards, size_t *count, M3Error *err);

#endif							/* M3_FILESET_LIST_H */
