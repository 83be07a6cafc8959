/*
 * Which blocks of a namespace are on disk: the volume of each (shard, block start), in
 * shared memory.  The table is what readers believe; files that are not in it do not exist
 * for them.
 *
 * A flush publishes a volume here after its files are durable and before it evicts
 * what they hold from the buffers.  A reader therefore copies a series' buffers
 * first and looks here afterwards: it may see a point twice, which is the same
 * point, and never misses one.
 *
 * Lock: ROOT_BLOCKS, taken inside; none behind it may be held.
 */
#ifndef M3_DB_BLOCKS_H
#define M3_DB_BLOCKS_H

#include "storage/db/db_private.h"

#define M3_POINTS_UNKNOWN UINT64_MAX

typedef struct M3BlockShared
{
	int64_t		start_ns;
	int64_t		volume;
	uint64_t	data_size;		/* bytes */
	uint64_t	index_size;
	uint64_t	series_count;
	uint64_t	points;			/* exactly; M3_POINTS_UNKNOWN without statistics */
} M3BlockShared;

typedef struct M3ShardShared
{
	M3Ref		blocks;			/* array of M3BlockShared, ascending by start */
	uint32_t	count;
	uint32_t	capacity;
} M3ShardShared;

/* A private copy of a shard's blocks, or of those in a range.  Zero it first; free with
 * m3_free(blocks). */
typedef struct M3BlockList
{
	M3BlockShared *blocks;		/* ascending */
	size_t		count;
	size_t		capacity;
	uint64_t	version;		/* of the namespace when it was made; 0: never */
} M3BlockList;

/* As long as it does not change, neither does any block of the namespace.  Never 0. */
static inline uint64_t
m3i_blocks_version(const M3NamespaceShared *ns)
{
	return __atomic_load_n(&ns->blocks_version, __ATOMIC_ACQUIRE) + 1;
}

static inline uint64_t
m3i_generation(const M3NamespaceShared *ns)
{
	return __atomic_load_n(&ns->generation, __ATOMIC_ACQUIRE);
}

extern bool m3i_blocks_find(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
							int64_t start_ns, M3BlockShared *block);

/* All blocks of a shard; nothing happens if the list is of the current version. */
extern M3Status m3i_blocks_list(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
								M3Memory *memory, M3BlockList *list, M3Error *err);

/* Those that start from first_ns to last_ns; the same range in all calls for a list. */
extern M3Status m3i_blocks_list_range(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
									  int64_t first_ns, int64_t last_ns, M3Memory *memory,
									  M3BlockList *list, M3Error *err);

/* How many blocks of a shard start from first_ns to last_ns. */
extern size_t m3i_blocks_count(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
							   int64_t first_ns, int64_t last_ns);

/* Number of the first block of a list that starts at or after start_ns. */
extern size_t m3i_block_list_lower_bound(const M3BlockList *list, int64_t start_ns);

/* The block of a list that starts then, or NULL. */
extern const M3BlockShared *m3i_block_list_find(const M3BlockList *list, int64_t start_ns);

/* Room for one more block of the shard, so that m3i_blocks_put cannot fail.  M3_FULL.
 * Blocks are put by one process only. */
extern M3Status m3i_blocks_reserve(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
								   M3Error *err);

/* Adds a block, or replaces its volume; false, and nothing done, if the namespace was
 * voided since generation. */
extern bool m3i_blocks_put(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
						   const M3BlockShared *block, uint64_t generation);

/* Takes out blocks that start before before_ns; returns how many. */
extern size_t m3i_blocks_expire(M3Database *db, M3NamespaceShared *ns, int64_t before_ns);

/* Takes a block out, if it is there, and starts a new generation: the volume may come back
 * with other content. */
extern void m3i_blocks_remove(M3Database *db, M3NamespaceShared *ns, uint32_t shard,
							  int64_t start_ns);

/* The root has so many shards from now on, no fewer than before.  While nobody scans.
 * M3_FULL. */
extern M3Status m3i_blocks_set_shard_count(M3Database *db, uint32_t count, M3Error *err);

/* Empties the table and starts a new generation. */
extern void m3i_blocks_void(M3Database *db, M3NamespaceShared *ns);

/* Gives the memory back; nobody uses the namespace any more. */
extern void m3i_blocks_free(M3Database *db, M3NamespaceShared *ns);

#endif							/* M3_DB_BLOCKS_H */
