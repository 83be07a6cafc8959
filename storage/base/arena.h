/*
 * One fixed piece of memory, shared by processes, handed out in parts.
 *
 * Addresses are offsets from its base (M3Ref), since it may be mapped anywhere;
 * 0 is "none".  The size is a hard limit: an allocation that does not fit
 * returns 0, and nothing is changed by the attempt.
 *
 * Small objects come from size classes: 16 bytes apart up to 128, then with less
 * than 12.5 % slack, up to most of a page; each class has its lock (distant ones
 * share) and its spans of pages.  Larger ones are runs of pages.
 * Spans without objects go back to the pages, but for one kept in each class,
 * which goes back when memory is short.
 *
 * Locks: one of M3_LOCK_ARENA_CLASS, then M3_LOCK_ARENA_PAGES; they are leaves, taken
 * with any other lock held.  A crash of a process that holds one ends all
 * sharers, so no state is kept for recovery.
 */
#ifndef M3_BASE_ARENA_H
#define M3_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/env.h"

typedef uint64_t M3Ref;			/* offset in the arena; 0 is none */

#define M3_ARENA_PAGE_SIZE 8192u
#define M3_ARENA_CLASS_COUNT 32u	/* locks for classes */
#define M3_ARENA_MIN_SIZE (1024u * 1024u)

typedef struct M3Arena M3Arena; /* lies at the base of its own memory */

typedef struct M3ArenaStats
{
	uint64_t	size;			/* all of it */
	uint64_t	overhead;		/* its own descriptors */
	uint64_t	pages_used;		/* bytes in pages that are handed out */
	uint64_t	bytes_used;		/* bytes of objects, rounded to their class */
} M3ArenaStats;

/* Formats size bytes at base (aligned to 64) as an empty arena.
 * size >= M3_ARENA_MIN_SIZE; the memory is taken to be zeroed. */
extern M3Arena *m3_arena_create(void *base, size_t size);

/* Zeroed memory aligned to 16, or 0 when there is none. */
extern M3Ref m3_arena_alloc(M3Arena *arena, M3Env *env, size_t size);

/* What m3_arena_alloc would really reserve for size. */
extern size_t m3_arena_rounded_size(size_t size);

/* ref is 0 or came from m3_arena_alloc and was not freed since. */
extern void m3_arena_free(M3Arena *arena, M3Env *env, M3Ref ref);

extern void m3_arena_stats(M3Arena *arena, M3Env *env, M3ArenaStats *stats);

/* pages_used alone, for the price of one lock. */
extern uint64_t m3_arena_pages_used(M3Arena *arena, M3Env *env);
/* The size it was created with. */
extern uint64_t m3_arena_size(const M3Arena *arena);

/* Walks all descriptors and free lists; false (and a reason) if they contradict
 * each other.  For tests; takes every arena lock. */
extern bool m3_arena_check(M3Arena *arena, M3Env *env, const char **reason);

/* Valid for a ref other than 0. */
static inline void *
m3_arena_at(const M3Arena *arena, M3Ref ref)
{
	return (char *) (uintptr_t) arena + ref;
}

#endif							/* M3_BASE_ARENA_H */
