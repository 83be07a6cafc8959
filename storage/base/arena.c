#include "storage/base/arena_private.h"

#include <assert.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* With AddressSanitizer, which sees one allocation only, a use after free at
 * least reads garbage. */
#if defined(__SANITIZE_ADDRESS__)
#define CLOBBER(pointer, size) memset((pointer), 0x7e, (size))
#else
#define CLOBBER(pointer, size) ((void) 0)
#endif

static uint32_t
class_of_size(size_t size)
{
	unsigned	log2;

	if (size <= 16)
		return 0;
	if (size <= 128)
		return (uint32_t) (size - 1) / 16;
	log2 = 31u - (unsigned) __builtin_clz((unsigned) size - 1);
	return (log2 - 7) * 8 + ((uint32_t) (size - 1) >> (log2 - 3));
}

static uint32_t
size_of_class(uint32_t class)
{
	uint32_t	doubling;

	if (class < 8)
		return (class + 1) * 16;
	doubling = class / 8 - 1;
	return (128u << doubling) + (class % 8 + 1) * (16u << doubling);
}

/* The least number of pages that leaves no more than a sixteenth unused. */
static uint32_t
span_pages_of_size(uint32_t size)
{
	uint32_t	pages = 1;

	while (pages < M3I_ARENA_SPAN_MAX_PAGES &&
		   pages * M3_ARENA_PAGE_SIZE % size > pages * M3_ARENA_PAGE_SIZE / 16)
		pages++;
	return pages;
}

M3Arena *
m3_arena_create(void *base, size_t size)
{
	M3Arena    *arena = base;
	size_t		page_count = size / M3_ARENA_PAGE_SIZE;
	size_t		own_size;

	assert(size >= M3_ARENA_MIN_SIZE);
	assert((uintptr_t) base % 64 == 0);
	if (page_count > UINT32_MAX)
		page_count = UINT32_MAX;	/* 32 TiB */
	own_size = sizeof(M3Arena) + page_count * sizeof(M3ArenaPage);
	arena->size = size;
	arena->first_page = (uint32_t) ((own_size + M3_ARENA_PAGE_SIZE - 1) / M3_ARENA_PAGE_SIZE);
	arena->end_page = (uint32_t) page_count;
	for (uint32_t i = 0; i < M3I_ARENA_CLASSES; i++)
	{
		M3ArenaClass *class = &arena->classes[i];

		class->size = size_of_class(i);
		class->reciprocal = (uint32_t) (((UINT64_C(1) << 32) + class->size - 1) / class->size);
		class->span_pages = span_pages_of_size(class->size);
	}
	m3i_arena_init_pages(arena);
	return arena;
}

size_t
m3_arena_rounded_size(size_t size)
{
	if (size <= M3I_ARENA_SMALL_MAX)
		return size_of_class(class_of_size(size));
	if (size > SIZE_MAX - M3_ARENA_PAGE_SIZE)
		return SIZE_MAX;
	return (size + M3_ARENA_PAGE_SIZE - 1) / M3_ARENA_PAGE_SIZE * M3_ARENA_PAGE_SIZE;
}

/* Spans */

static void
link_partial(M3Arena *arena, M3ArenaClass *class, uint32_t page)
{
	arena->pages[page].previous = 0;
	arena->pages[page].next = class->partial;
	if (class->partial != 0)
		arena->pages[class->partial].previous = page;
	class->partial = page;
}

static void
unlink_partial(M3Arena *arena, M3ArenaClass *class, uint32_t page)
{
	const M3ArenaPage *span = &arena->pages[page];

	if (span->previous != 0)
		arena->pages[span->previous].next = span->next;
	else
		class->partial = span->next;
	if (span->next != 0)
		arena->pages[span->next].previous = span->previous;
}

/* A span without objects for the class, or 0.  When memory is short or in small
 * pieces, one page will do: every small object fits it. */
static uint32_t
make_span(M3Arena *arena, M3Env *env, const M3ArenaClass *class, uint32_t class_id)
{
	uint32_t	page = m3i_arena_take_pages(arena, env, class->span_pages,
											M3_PAGE_SPAN, class_id);
	M3ArenaPage *span;

	if (page == 0 && class->span_pages > 1)
		page = m3i_arena_take_pages(arena, env, 1, M3_PAGE_SPAN, class_id);
	if (page == 0)
		return 0;
	span = &arena->pages[page];
	span->capacity = (uint16_t) (span->length * M3_ARENA_PAGE_SIZE / class->size);
	span->used = 0;
	span->fresh = 0;
	span->free = 0;
	return page;
}

static M3ArenaFreed *
freed_at(const M3Arena *arena, const M3ArenaClass *class, uint32_t page, uint32_t number)
{
	return m3_arena_at(arena, m3i_arena_ref_of_page(page) +
					   (uint64_t) (number - 1) * class->size);
}

static M3Ref
alloc_small(M3Arena *arena, M3Env *env, uint32_t class_id)
{
	M3ArenaClass *class = &arena->classes[class_id];
	uint32_t	lock = m3i_arena_lock_of_class(class_id);
	uint32_t	page;
	M3ArenaPage *span;
	uint32_t	number;

	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	page = class->partial;
	if (page == 0)
	{
		page = class->empty;
		class->empty = 0;
		if (page == 0)
			page = make_span(arena, env, class, class_id);
		if (page == 0)
		{
			env->unlock(env, lock);
			return 0;
		}
		link_partial(arena, class, page);
	}
	span = &arena->pages[page];
	number = span->free;
	if (number != 0)
		span->free = (uint16_t) freed_at(arena, class, page, number)->next;
	else
		number = ++span->fresh;
	if (++span->used == span->capacity)
		unlink_partial(arena, class, page);
	class->used++;
	env->unlock(env, lock);
	return m3i_arena_ref_of_page(page) + (uint64_t) (number - 1) * class->size;
}

static M3Ref
alloc_large(M3Arena *arena, M3Env *env, size_t size)
{
	size_t		pages = m3_arena_rounded_size(size) / M3_ARENA_PAGE_SIZE;

	if (pages > arena->end_page - arena->first_page)
		return 0;
	return m3i_arena_ref_of_page(m3i_arena_take_pages(arena, env, (uint32_t) pages,
													  M3_PAGE_LARGE, 0));
}

/* Returns the empty spans the classes keep; whether there were any. */
static bool
return_empty_spans(M3Arena *arena, M3Env *env)
{
	bool		any = false;

	for (uint32_t i = 0; i < M3I_ARENA_CLASSES; i++)
	{
		uint32_t	lock = m3i_arena_lock_of_class(i);
		uint32_t	page;

		env->lock(env, lock, M3_LOCK_EXCLUSIVE);
		page = arena->classes[i].empty;
		arena->classes[i].empty = 0;
		if (page != 0)
			m3i_arena_return_pages(arena, env, page);
		env->unlock(env, lock);
		any |= page != 0;
	}
	return any;
}

M3Ref
m3_arena_alloc(M3Arena *arena, M3Env *env, size_t size)
{
	bool		is_small = size <= M3I_ARENA_SMALL_MAX;
	uint32_t	class_id = is_small ? class_of_size(size) : 0;
	M3Ref		ref = is_small ? alloc_small(arena, env, class_id) :
		alloc_large(arena, env, size);

	if (ref == 0 && size < arena->size && return_empty_spans(arena, env))
		ref = is_small ? alloc_small(arena, env, class_id) :
			alloc_large(arena, env, size);
	if (ref != 0)
		memset(m3_arena_at(arena, ref), 0,
			   is_small ? arena->classes[class_id].size : m3_arena_rounded_size(size));
	return ref;
}

#ifndef NDEBUG
/* Whether the freed object is in its span's list: it is freed twice. */
static bool
is_free_already(const M3Arena *arena, const M3ArenaClass *class, uint32_t page,
				uint32_t wanted)
{
	uint32_t	number = arena->pages[page].free;

	while (number != 0)
	{
		if (number == wanted)
			return true;
		number = (uint32_t) freed_at(arena, class, page, number)->next;
	}
	return false;
}
#endif

static void
free_small(M3Arena *arena, M3Env *env, uint32_t page, M3Ref ref)
{
	M3ArenaPage *span = &arena->pages[page];
	uint32_t	class_id = span->class;
	uint32_t	lock = m3i_arena_lock_of_class(class_id);
	M3ArenaClass *class = &arena->classes[class_id];
	uint64_t	offset = ref - m3i_arena_ref_of_page(page);
	uint32_t	index = (uint32_t) (offset * class->reciprocal >> 32);
	M3ArenaFreed *freed = m3_arena_at(arena, ref);

	assert((uint64_t) index * class->size == offset);
	env->lock(env, lock, M3_LOCK_EXCLUSIVE);
	assert(span->used > 0 && index < span->fresh);
	assert(freed->key != (M3I_ARENA_KEY ^ ref) ||
		   !is_free_already(arena, class, page, index + 1));
	CLOBBER(freed, class->size);
	freed->next = span->free;
	freed->key = M3I_ARENA_KEY ^ ref;
	span->free = (uint16_t) (index + 1);
	class->used--;
	if (span->used-- == span->capacity)
		link_partial(arena, class, page);
	if (span->used == 0)
	{
		unlink_partial(arena, class, page);
		if (class->empty == 0)
		{
			class->empty = page;
			span->fresh = 0;
			span->free = 0;
		}
		else
			m3i_arena_return_pages(arena, env, page);
	}
	env->unlock(env, lock);
}

void
m3_arena_free(M3Arena *arena, M3Env *env, M3Ref ref)
{
	uint64_t	page = ref / M3_ARENA_PAGE_SIZE;
	uint8_t		kind;

	if (ref == 0)
		return;
	assert(page >= arena->first_page && page < arena->end_page);
	kind = arena->pages[page].kind;
	if (kind == M3_PAGE_SPAN || kind == M3_PAGE_SPAN_INNER)
		free_small(arena, env, arena->pages[page].head, ref);
	else
	{
		assert(kind == M3_PAGE_LARGE && ref % M3_ARENA_PAGE_SIZE == 0);
		CLOBBER(m3_arena_at(arena, ref), M3_ARENA_PAGE_SIZE);
		m3i_arena_return_pages(arena, env, (uint32_t) page);
	}
}

void
m3_arena_stats(M3Arena *arena, M3Env *env, M3ArenaStats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->size = arena->size;
	stats->overhead = arena->size -
		(uint64_t) (arena->end_page - arena->first_page) * M3_ARENA_PAGE_SIZE;
	for (uint32_t i = 0; i < M3I_ARENA_CLASSES; i++)
	{
		uint32_t	lock = m3i_arena_lock_of_class(i);

		env->lock(env, lock, M3_LOCK_SHARED);
		stats->bytes_used += arena->classes[i].used * arena->classes[i].size;
		env->unlock(env, lock);
	}
	env->lock(env, M3_LOCK_ARENA_PAGES, M3_LOCK_SHARED);
	stats->pages_used = arena->used_pages * M3_ARENA_PAGE_SIZE;
	stats->bytes_used += arena->large_pages * M3_ARENA_PAGE_SIZE;
	env->unlock(env, M3_LOCK_ARENA_PAGES);
}

uint64_t
m3_arena_pages_used(M3Arena *arena, M3Env *env)
{
	uint64_t	used;

	env->lock(env, M3_LOCK_ARENA_PAGES, M3_LOCK_SHARED);
	used = arena->used_pages * M3_ARENA_PAGE_SIZE;
	env->unlock(env, M3_LOCK_ARENA_PAGES);
	return used;
}

uint64_t
m3_arena_size(const M3Arena *arena)
{
	return arena->size;
}
