/*
 * What one kind of filesets of a root there is, in memory: namespaces, shards, blocks,
 * volumes, with their info and sizes.
 *
 * A refresh lists directories and opens only what is new: three small files of each new
 * fileset, and two to learn their sizes.  A fileset that was removed and
 * written again under the same name between two refreshes is noticed if checkpoints are
 * compared, which reads four bytes of each.
 *
 * A manifest belongs to one thread; what it hands out is valid until the next
 * refresh of the same namespace.
 */
#ifndef M3_FILESET_MANIFEST_H
#define M3_FILESET_MANIFEST_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"

typedef struct M3ManifestFileset
{
	M3FilesetName name;
	/* M3_OK: usable.  M3_NOT_FOUND: not complete.  Else the header is
	 * damaged, and looked at again by every refresh. */
	M3Status	status;
	M3FilesetHeader header;		/* if usable */
	uint64_t	index_size;		/* if usable; 0 if a file is missing */
	uint64_t	data_size;
} M3ManifestFileset;

typedef struct M3ManifestShard
{
	uint32_t	shard;
	M3ManifestFileset *filesets;	/* by m3_fileset_name_compare */
	size_t		count;
	bool		seen;			/* by the refresh at work */
} M3ManifestShard;

typedef struct M3ManifestNamespace
{
	char	   *name;
	M3ManifestShard *shards;	/* ascending */
	size_t		count;
	size_t		capacity;
	bool		seen;
} M3ManifestNamespace;

typedef struct M3Manifest
{
	M3Env	   *env;
	M3Memory   *memory;
	char	   *root;
	M3FilesetKind kind;
	M3ManifestNamespace *namespaces;	/* by name */
	size_t		count;
	size_t		capacity;
	uint64_t	headers_read;	/* by all refreshes */
} M3Manifest;

/* Empty until the first refresh. */
extern M3Status m3_manifest_create(M3Env *env, M3Memory *memory, const char *root,
								   M3FilesetKind kind, M3Manifest **manifest,
								   M3Error *err);
extern void m3_manifest_free(M3Manifest *manifest); /* NULL allowed */

/*
 * Brings everything up to date; after a failure what was reached is, and the
 * rest is as it was.
 */
extern M3Status m3_manifest_refresh(M3Manifest *manifest, bool compare_checkpoints,
									M3Error *err);

/* The same for one shard, whether it was known or not. */
extern M3Status m3_manifest_refresh_shard(M3Manifest *manifest, M3Slice namespace_name,
										  uint32_t shard, bool compare_checkpoints,
										  M3Error *err);

/* NULL if there is none. */
extern const M3ManifestNamespace *m3_manifest_namespace(const M3Manifest *manifest,
														M3Slice name);
extern const M3ManifestShard *m3_manifest_shard(const M3ManifestNamespace *ns,
												uint32_t shard);

/*
 * The fileset that holds a block: its highest usable volume; NULL if none.
 */
extern const M3ManifestFileset *m3_manifest_block(const M3ManifestShard *shard,
												  int64_t block_start_ns);

/*
 * Walks the blocks that have a usable fileset and overlap [start_ns, end_ns),
 * ascending, each by its winning volume.  *position starts at 0; NULL at the end.
 */
extern const M3ManifestFileset *m3_manifest_next_block(const M3ManifestShard *shard,
													   int64_t start_ns, int64_t end_ns,
													   size_t *position);

typedef struct M3ManifestTotals
{
	uint64_t	filesets;		/* usable, superseded ones as well */
	uint64_t	blocks;			/* (shard, block) pairs */
	uint64_t	series_blocks;	/* entries of the winning volumes */
	uint64_t	data_bytes;		/* of the winning volumes */
	uint64_t	index_bytes;
	uint64_t	superseded;
	uint64_t	damaged;
	uint64_t	incomplete;
	int64_t		first_ns;		/* INT64_MAX / INT64_MIN when there is no block */
	int64_t		end_ns;
} M3ManifestTotals;

extern void m3_manifest_totals(const M3ManifestNamespace *ns, M3ManifestTotals *totals);

#endif							/* M3_FILESET_MANIFEST_H */
