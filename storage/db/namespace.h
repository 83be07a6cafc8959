/*
 * Namespaces of a root: their options and the registry that keeps them.
 *
 * The registry is the file "namespaces" of the root, beside M3DB's own
 * directories; a namespace is in it before its first point is logged.
 */
#ifndef M3_DB_NAMESPACE_H
#define M3_DB_NAMESPACE_H

#include "storage/base/slice.h"
#include "storage/db/engine.h"

#define M3_NAMESPACE_NAME_MAX_SIZE 200	/* bytes; it is a directory's name */

typedef enum M3CachePolicy
{
	M3_CACHE_NONE,
	M3_CACHE_ALL,
	M3_CACHE_RECENTLY_READ,
	M3_CACHE_LRU
} M3CachePolicy;

/* All durations are nanoseconds. */
typedef struct M3NamespaceOptions
{
	int64_t		retention_period_ns;	/* 0: unlimited */
	int64_t		block_size_ns;	/* whole seconds; fixed once there is data */
	int64_t		buffer_past_ns;
	int64_t		buffer_future_ns;
	bool		cold_writes_enabled;
	bool		writes_to_commitlog;
	bool		snapshot_enabled;
	bool		flush_enabled;
	bool		cleanup_enabled;
	uint8_t		cache_policy;	/* M3CachePolicy */
} M3NamespaceOptions;

/* Fixed for a root once it has a namespace. */
typedef struct M3RootOptions
{
	uint32_t	shard_count;
	uint32_t	hash_seed;
} M3RootOptions;

#define M3_DEFAULT_SHARD_COUNT 16u

/* The defaults of design.md 1; block size as recommended for the retention. */
extern void m3_namespace_options_default(M3NamespaceOptions *options);

/* M3's recommendation: 30 min up to 12 h of retention, 1 h up to 24 h, 2 h up to 7 d,
 * 12 h up to 30 d, 24 h beyond; 0 (unlimited) is beyond. */
extern int64_t m3_recommended_block_size_ns(int64_t retention_period_ns);

/* The rules of spec/engine.md 3.2: M3_INVALID with the rule as message,
 * naming options as SQL spells them. */
extern M3Status m3_namespace_options_validate(const M3NamespaceOptions *options,
											  M3Error *err);

/* Not empty, at most M3_NAMESPACE_NAME_MAX_SIZE bytes, valid UTF-8, one path element,
 * none of the substrings and characters M3 cannot list (spec/fileset.md 1),
 * not the reserved name of the log's markers. */
extern M3Status m3_namespace_name_validate(M3Slice name, M3Error *err);

typedef struct M3NamespaceInfo
{
	char		name[M3_NAMESPACE_NAME_MAX_SIZE + 1];
	M3NamespaceOptions options;
	uint64_t	series_count;
	uint64_t	point_count;	/* in buffers, before merging duplicates */
	uint64_t	buffer_size;	/* bytes of compressed points in buffers */
	uint64_t	block_count;	/* (series, block start) pairs in buffers */
	uint64_t	file_count;		/* (shard, block start) pairs on disk */
	uint64_t	file_size;		/* bytes of their data and index */
	uint64_t	file_series;	/* their series, added up */
} M3NamespaceInfo;

/* M3_NOT_FOUND when nothing was ever written to it.  Counts are current. */
extern M3Status m3_namespace_info(M3Database *db, M3Slice name,
								  M3NamespaceInfo *info, M3Error *err);

/* The options a root was given with its first namespace; false while it has none. */
extern bool m3_root_options(M3Database *db, M3RootOptions *options);

/* All of them, one call each, in order of creation, no lock held during the call. */
typedef void (*M3NamespaceFn) (void *context, const M3NamespaceInfo *info);
extern M3Status m3_namespaces(M3Database *db, M3NamespaceFn fn, void *context,
							  M3Error *err);

#endif							/* M3_DB_NAMESPACE_H */
