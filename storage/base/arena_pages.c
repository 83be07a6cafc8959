/*
 * Runs of pages.  Free ones are kept in lists by length and are merged with
 * their free neighbours at once, so that two free runs never touch.
 */
#include "storage/base/arena_private.h"

#include <assert.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Runs of the asked length's own bin to look at before a longer one is cut. */
#define OWN_BIN_TRIES 16u

uint32_t
m3i_arena_bin(uint32_t length)
{
	unsigned	log2;

	if (length < M3I_ARENA_EXACT_BINS)
		return length;
	log2 = 31u - (unsigned) __builtin_clz(length);
	return M3I_ARENA_EXACT_BINS + (log2 - 6) * 8 + ((length >> (log2 - 3)) & 7);
}

static void
insert_free(M3Arena *arena, uint32_t page, uint32_t length)
{
	M3ArenaPage *first = &arena->pages[page];
	M3ArenaPage *last = &arena->pages[page + length - 1];
	uint32_t	bin = m3i_arena_bin(length);

	if (length > 1)
	{
		last->kind = M3_PAGE_FREE_LAST;
		last->length = length;
	}
	first->kind = M3_PAGE_FREE;
	first->length = length;
	first->previous = 0;
	first->next = arena->bins[bin];
	if (first->next != 0)
		arena->pages[first->next].previous = page;
	arena->bins[bin] = page;
	arena->bins_filled[bin / 64] |= UINT64_C(1) << (bin % 64);
}

/* The run's ends become inner pages; the caller makes it something else. */
static void
remove_free(M3Arena *arena, uint32_t page)
{
	M3ArenaPage *first = &arena->pages[page];
	uint32_t	bin = m3i_arena_bin(first->length);

	if (first->previous != 0)
		arena->pages[first->previous].next = first->next;
	else
		arena->bins[bin] = first->next;
	if (first->next != 0)
		arena->pages[first->next].previous = first->previous;
	if (arena->bins[bin] == 0)
		arena->bins_filled[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
	arena->pages[page + first->length - 1].kind = M3_PAGE_FREE_INNER;
	first->kind = M3_PAGE_FREE_INNER;
}

/* A run of the bin that is long enough, or 0. */
static uint32_t
search_bin(const M3Arena *arena, uint32_t bin, uint32_t length, uint32_t tries)
{
	uint32_t	page = arena->bins[bin];

	while (page != 0 && tries-- > 0)
	{
		if (arena->pages[page].length >= length)
			return page;
		page = arena->pages[page].next;
	}
	return 0;
}

/* The first run of any bin from that one on; all of them are long enough. */
static uint32_t
search_longer(const M3Arena *arena, uint32_t bin)
{
	uint32_t	word = bin / 64;
	uint64_t	filled;

	if (bin >= M3I_ARENA_BINS)
		return 0;
	filled = arena->bins_filled[word] & (UINT64_MAX << (bin % 64));
	while (filled == 0)
	{
		if (++word == M3I_ARENA_BIN_WORDS)
			return 0;
		filled = arena->bins_filled[word];
	}
	return arena->bins[word * 64 + (unsigned) __builtin_ctzll(filled)];
}

static uint32_t
search(const M3Arena *arena, uint32_t length)
{
	uint32_t	bin = m3i_arena_bin(length);
	uint32_t	page = search_bin(arena, bin, length, OWN_BIN_TRIES);

	if (page == 0)
		page = search_longer(arena, bin + 1);
	if (page == 0 && bin >= M3I_ARENA_EXACT_BINS)
		page = search_bin(arena, bin, length, UINT32_MAX);
	return page;
}

static void
mark_run(M3Arena *arena, uint32_t page, uint32_t length, M3ArenaPageKind kind,
		 uint32_t class)
{
	for (uint32_t i = 0; i < length; i++)
	{
		M3ArenaPage *inner = &arena->pages[page + i];

		inner->kind = (uint8_t) (i == 0 ? kind : kind + 1);
		inner->class = (uint8_t) class;
		inner->head = page;
	}
	arena->pages[page].length = length;
}

uint32_t
m3i_arena_take_pages(M3Arena *arena, M3Env *env, uint32_t length,
					 M3ArenaPageKind kind, uint32_t class)
{
	uint32_t	page;

	assert(kind == M3_PAGE_SPAN || kind == M3_PAGE_LARGE);
	env->lock(env, M3_LOCK_ARENA_PAGES, M3_LOCK_EXCLUSIVE);
	page = search(arena, length);
	if (page != 0)
	{
		uint32_t	found = arena->pages[page].length;

		remove_free(arena, page);
		if (found > length)
			insert_free(arena, page + length, found - length);
		mark_run(arena, page, length, kind, class);
		arena->used_pages += length;
		if (kind == M3_PAGE_LARGE)
			arena->large_pages += length;
	}
	env->unlock(env, M3_LOCK_ARENA_PAGES);
	return page;
}

/* First page of the free run that ends before page, or 0. */
static uint32_t
free_run_before(const M3Arena *arena, uint32_t page)
{
	const M3ArenaPage *before = &arena->pages[page - 1];

	if (page == arena->first_page)
		return 0;
	if (before->kind == M3_PAGE_FREE)
		return page - 1;
	return before->kind == M3_PAGE_FREE_LAST ? page - before->length : 0;
}

void
m3i_arena_return_pages(M3Arena *arena, M3Env *env, uint32_t page)
{
	uint32_t	length;
	uint32_t	before;
	uint32_t	behind;

	env->lock(env, M3_LOCK_ARENA_PAGES, M3_LOCK_EXCLUSIVE);
	length = arena->pages[page].length;
	assert(length > 0 && length <= arena->end_page - page);
	arena->used_pages -= length;
	if (arena->pages[page].kind == M3_PAGE_LARGE)
		arena->large_pages -= length;
	for (uint32_t i = 0; i < length; i++)
		arena->pages[page + i].kind = M3_PAGE_FREE_INNER;

	before = free_run_before(arena, page);
	behind = page + length;
	if (behind < arena->end_page && arena->pages[behind].kind == M3_PAGE_FREE)
	{
		length += arena->pages[behind].length;
		remove_free(arena, behind);
	}
	if (before != 0)
	{
		length += page - before;
		remove_free(arena, before);
		page = before;
	}
	insert_free(arena, page, length);
	env->unlock(env, M3_LOCK_ARENA_PAGES);
}

void
m3i_arena_init_pages(M3Arena *arena)
{
	insert_free(arena, arena->first_page, arena->end_page - arena->first_page);
}
