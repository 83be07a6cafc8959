/*
 * The numbers of the engine's locks, and their order.
 *
 * A lock is taken only while holding locks that stand before it here:
 *
 *   M3_LOCK_ENGINE      the table of roots; snapshots and batches of processes
 *   M3_LOCK_ROOT_WRITE  one per root: sequence numbers, staging, log appends
 *   M3_LOCK_ROOT_FLUSH  one per root: writing and syncing the commit log
 *   M3_LOCK_ROOT_SEQUENCE  one per root: what is published, read with the
 *                       process slots; publication and snapshots
 *   M3_LOCK_ROOT_NAMES  one per root: its namespaces and their series lists
 *   M3_LOCK_ROOT_BLOCKS one per root: which blocks have which volume on disk
 *   M3_LOCK_STRIPE      series and their buffers, by hash of the series
 *   M3_LOCK_CACHE       blocks kept in memory after they were read from disk
 *   M3_LOCK_ARENA_*     leaves, see arena.h
 *
 * At most one stripe, and one lock of the cache, is held at a time.
 */
#ifndef M3_BASE_LOCKS_H
#define M3_BASE_LOCKS_H

#include "storage/base/arena.h"

#define M3_MAX_ROOTS 64u
#define M3_STRIPE_COUNT 128u
#define M3_CACHE_LOCK_COUNT 16u

enum
{
	M3_LOCK_ENGINE = 0,
	M3_LOCK_ROOT_WRITE = M3_LOCK_ENGINE + 1,
	M3_LOCK_ROOT_FLUSH = M3_LOCK_ROOT_WRITE + M3_MAX_ROOTS,
	M3_LOCK_ROOT_SEQUENCE = M3_LOCK_ROOT_FLUSH + M3_MAX_ROOTS,
	M3_LOCK_ROOT_NAMES = M3_LOCK_ROOT_SEQUENCE + M3_MAX_ROOTS,
	M3_LOCK_ROOT_BLOCKS = M3_LOCK_ROOT_NAMES + M3_MAX_ROOTS,
	M3_LOCK_STRIPE = M3_LOCK_ROOT_BLOCKS + M3_MAX_ROOTS,
	M3_LOCK_CACHE = M3_LOCK_STRIPE + M3_STRIPE_COUNT,
	M3_LOCK_ARENA_CLASS = M3_LOCK_CACHE + M3_CACHE_LOCK_COUNT,
	M3_LOCK_ARENA_PAGES = M3_LOCK_ARENA_CLASS + M3_ARENA_CLASS_COUNT,
	M3_LOCK_COUNT = M3_LOCK_ARENA_PAGES + 1
};

#endif							/* M3_BASE_LOCKS_H */
