/*
 * Inside of the arena: what its pages, its classes and its checker share.
 *
 * The memory, in pages of M3_ARENA_PAGE_SIZE counted from the base (so page 0
 * is never handed out and means "none"):
 *
 *   M3Arena | one M3ArenaPage per page, our own included | pad | pages...
 *
 * A page belongs to a run: free, a span of small objects of one class, or one
 * large object.  The first page's descriptor describes the run; the others say
 * that they are inner pages, so that no descriptor is ever stale.  The
 * last page of a free run repeats its length, for the run behind to find.
 *
 * kind, length and head change under M3_LOCK_ARENA_PAGES; the rest under it
 * while the run is free, under the class's lock while it is a span.  kind, class
 * and head of a live object's page do not change, and are read without lock.
 */
#ifndef M3_BASE_ARENA_PRIVATE_H
#define M3_BASE_ARENA_PRIVATE_H

#include "storage/base/arena.h"
#include "storage/base/locks.h"

/* 16 to 128 by 16, then eight steps for each doubling, up to 15/16 of a page. */
#define M3I_ARENA_CLASSES 55u
#define M3I_ARENA_SMALL_MAX 7680u
#define M3I_ARENA_SPAN_MAX_PAGES 8u

/* Free runs by length: below 64 exactly, then eight steps for each doubling. */
#define M3I_ARENA_EXACT_BINS 64u
#define M3I_ARENA_BINS (M3I_ARENA_EXACT_BINS + (32u - 6u) * 8u)
#define M3I_ARENA_BIN_WORDS ((M3I_ARENA_BINS + 63u) / 64u)

typedef enum M3ArenaPageKind
{
	M3_PAGE_FREE_INNER = 0,		/* so zeroed descriptors need no visit */
	M3_PAGE_FREE,
	M3_PAGE_FREE_LAST,			/* of a run of two or more */
	M3_PAGE_SPAN,
	M3_PAGE_SPAN_INNER,
	M3_PAGE_LARGE,
	M3_PAGE_LARGE_INNER
} M3ArenaPageKind;

typedef struct M3ArenaPage
{
	uint8_t		kind;			/* M3ArenaPageKind */
	uint8_t		class;			/* of a span, on all its pages */
	uint16_t	capacity;		/* objects of a span */
	uint16_t	used;			/* of them, live */
	uint16_t	fresh;			/* of them, ever handed out: those in front */
	uint16_t	free;			/* 1 + index of the first freed one; 0 is none */
	uint16_t	unused;
	uint32_t	length;			/* pages of the run */
	uint32_t	head;			/* inner pages: the run's first */
	uint32_t	previous;		/* in the list of a bin or of a class */
	uint32_t	next;
} M3ArenaPage;

/* A freed small object.  The key tells it from a live one with little doubt;
 * the doubt costs a walk. */
typedef struct M3ArenaFreed
{
	uint64_t	next;			/* 1 + index; 0 is none */
	uint64_t	key;			/* M3I_ARENA_KEY ^ ref */
} M3ArenaFreed;

#define M3I_ARENA_KEY UINT64_C(0xf4eed0bec7a5e11d)

typedef struct M3ArenaClass
{
	_Alignas(64) uint32_t size;
	uint32_t	reciprocal;		/* 2^32 / size, rounded up */
	uint32_t	span_pages;		/* preferred */
	uint32_t	partial;		/* spans neither full nor empty */
	uint32_t	empty;			/* one kept span without objects */
	uint64_t	used;			/* objects */
} M3ArenaClass;

struct M3Arena
{
	uint64_t	size;
	uint32_t	first_page;		/* behind our own */
	uint32_t	end_page;
	M3ArenaClass classes[M3I_ARENA_CLASSES];

	/* under M3_LOCK_ARENA_PAGES */
	_Alignas(64) uint64_t used_pages;
	uint64_t	large_pages;	/* of them, in large objects */
	uint64_t	bins_filled[M3I_ARENA_BIN_WORDS];	/* a bit for each bin */
	uint32_t	bins[M3I_ARENA_BINS];	/* first free run */

	M3ArenaPage pages[];
};

_Static_assert(sizeof(M3ArenaPage) == 28, "a descriptor has no padding");
_Static_assert(sizeof(M3ArenaFreed) <= 16, "fits the smallest class");
_Static_assert(M3I_ARENA_SPAN_MAX_PAGES * M3_ARENA_PAGE_SIZE <= 65536,
			   "the reciprocal divides exactly below 2^16");

static inline M3Ref
m3i_arena_ref_of_page(uint32_t page)
{
	return (M3Ref) page * M3_ARENA_PAGE_SIZE;
}

static inline uint32_t
m3i_arena_lock_of_class(uint32_t class)
{
	return M3_LOCK_ARENA_CLASS + class % M3_ARENA_CLASS_COUNT;
}

/* The bin where a free run of that many pages is kept. */
extern uint32_t m3i_arena_bin(uint32_t length);

/* Makes all of the arena's pages one free run. */
extern void m3i_arena_init_pages(M3Arena *arena);

/* A run of that kind (span or large), or 0; takes the lock of pages. */
extern uint32_t m3i_arena_take_pages(M3Arena *arena, M3Env *env, uint32_t length,
									 M3ArenaPageKind kind, uint32_t class);

/* Gives a span or a large run back; takes the lock of pages. */
extern void m3i_arena_return_pages(M3Arena *arena, M3Env *env, uint32_t page);

#endif							/* M3_BASE_ARENA_PRIVATE_H */
