/*
 * Blocks of single series, compressed, kept in the arena after they were read from a
 * fileset (spec/engine.md 9, with HOST: sized in bytes).
 *
 * One cache for all roots: a table by (root, series, block start), in parts with a lock each.
 * An entry belongs to one volume and is worth nothing for another.  What stays how long is the
 * namespace's cache_policy:
 *
 *   none           nothing is kept
 *   lru            until the least recently used of the part have to make room
 *   recently_read  the same, and at most M3_CACHE_RECENT_NS after the last use
 *   all            the last to make room
 *
 * All of it has at most settings.cache_size bytes, each part its even share, a single entry
 * at most a quarter of that; and it never takes the arena's last quarter: putting is
 * refused then.
 *
 * Locks: one of M3_LOCK_CACHE, taken inside.
 */
#ifndef M3_DB_BLOCK_CACHE_H
#define M3_DB_BLOCK_CACHE_H

#include "storage/base/arena.h"
#include "storage/base/locks.h"
#include "storage/base/memory.h"
#include "storage/base/slice.h"

#define M3_CACHE_RECENT_NS (INT64_C(300) * 1000 * 1000 * 1000)

/* Which of a part's lists an entry is in. */
typedef enum M3CacheListKind
{
	M3_CACHE_LIST_LRU,
	M3_CACHE_LIST_RECENT,
	M3_CACHE_LIST_ALL
} M3CacheListKind;

#define M3_CACHE_LIST_COUNT 3

/* Entries by last use. */
typedef struct M3CacheList
{
	M3Ref		newest;
	M3Ref		oldest;
} M3CacheList;

typedef struct M3CachePart
{
	_Alignas(64) M3Ref slots;	/* hash table of refs of entries, chained */
	uint32_t	capacity;		/* power of two, or 0 */
	uint32_t	count;
	M3CacheList lists[M3_CACHE_LIST_COUNT];
	uint64_t	bytes;			/* of entries and slots, rounded as the arena does */
	uint64_t	hits;			/* since the server started */
	uint64_t	misses;
	uint64_t	inserted;
	uint64_t	evicted;
} M3CachePart;

/* In shared memory, zero when empty. */
typedef struct M3CacheShared
{
	M3CachePart parts[M3_CACHE_LOCK_COUNT];
} M3CacheShared;

struct M3Database;

typedef struct M3CacheKey
{
	M3Ref		series;
	uint64_t	generation;		/* of its namespace: volumes begin anew with it */
	int64_t		start_ns;
	int64_t		volume;
} M3CacheKey;

/*
 * True: *payload is a copy in *buffer, which is grown from memory as needed (*capacity).
 * False: not there, or no memory for the copy.
 */
extern bool m3i_cache_get(struct M3Database *db, const M3CacheKey *key, M3Memory *memory,
						  uint8_t **buffer, size_t *capacity, M3Slice *payload);

/* Keeps a copy, if policy (M3CachePolicy) and room allow.  Replaces another volume's, or
 * another generation's. */
extern void m3i_cache_put(struct M3Database *db, const M3CacheKey *key, uint8_t policy,
						  M3Slice payload);

/* Drops entries until size bytes are given back or nothing is left; returns how many were.
 * SIZE_MAX: all. */
extern uint64_t m3i_cache_shrink(struct M3Database *db, uint64_t size);

/* Drops what policy recently_read keeps no longer, and what is above a limit that has
 * become smaller. */
extern void m3i_cache_tick(struct M3Database *db, int64_t now_ns);

#endif							/* M3_DB_BLOCK_CACHE_H */
