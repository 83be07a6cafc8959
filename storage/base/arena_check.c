/*
 * The arena's checker: walks the pages from front to end, then the lists, and
 * compares what the two say.
 */
#include "storage/base/arena_private.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* What the walk over the pages found. */
typedef struct Found
{
	uint64_t	used_pages;
	uint64_t	large_pages;
	uint64_t	free_runs;
	uint64_t	used[M3I_ARENA_CLASSES];	/* objects */
	uint32_t	partial[M3I_ARENA_CLASSES]; /* spans */
	uint32_t	empty[M3I_ARENA_CLASSES];	/* spans */
} Found;

/* Each check returns NULL, or what is wrong. */
#define CHECK_THAT(condition, reason) \
	do { \
		if (!(condition)) \
			return (reason); \
	} while (0)
#define CHECK_PART(expr) \
	do { \
		const char *reason_ = (expr); \
		if (reason_ != NULL) \
			return reason_; \
	} while (0)

static const char *
check_free_run(const M3Arena *arena, uint32_t page)
{
	uint32_t	length = arena->pages[page].length;
	const M3ArenaPage *last = &arena->pages[page + length - 1];

	for (uint32_t i = 1; i + 1 < length; i++)
		CHECK_THAT(arena->pages[page + i].kind == M3_PAGE_FREE_INNER,
				   "inner page of a free run is not free");
	CHECK_THAT(length == 1 || (last->kind == M3_PAGE_FREE_LAST && last->length == length),
			   "free run does not end in its length");
	CHECK_THAT(page + length == arena->end_page ||
			   arena->pages[page + length].kind != M3_PAGE_FREE,
			   "two free runs touch");
	return NULL;
}

static const char *
check_used_run(const M3Arena *arena, uint32_t page)
{
	const M3ArenaPage *first = &arena->pages[page];

	for (uint32_t i = 0; i < first->length; i++)
	{
		const M3ArenaPage *inner = &arena->pages[page + i];

		CHECK_THAT(inner->head == page, "page does not know its run");
		CHECK_THAT(inner->class == first->class, "pages of a span differ in class");
		CHECK_THAT(i == 0 || inner->kind == first->kind + 1,
				   "inner page of a run is of another kind");
	}
	return NULL;
}

static const char *
check_span(const M3Arena *arena, uint32_t page, Found *found)
{
	const M3ArenaPage *span = &arena->pages[page];
	const M3ArenaClass *class;
	uint32_t	number = span->free;
	uint32_t	freed_count = 0;

	CHECK_THAT(span->class < M3I_ARENA_CLASSES, "span of an unknown class");
	class = &arena->classes[span->class];
	CHECK_THAT(span->length <= M3I_ARENA_SPAN_MAX_PAGES &&
			   span->capacity == span->length * M3_ARENA_PAGE_SIZE / class->size,
			   "capacity of a span does not agree with its length");
	CHECK_THAT(span->used <= span->fresh && span->fresh <= span->capacity,
			   "span uses more than it has");
	while (number != 0)
	{
		M3Ref		ref;
		const M3ArenaFreed *freed;

		CHECK_THAT(number <= span->fresh, "freed object was never handed out");
		CHECK_THAT(freed_count++ < span->fresh, "free list of a span runs in a circle");
		ref = m3i_arena_ref_of_page(page) + (uint64_t) (number - 1) * class->size;
		freed = m3_arena_at(arena, ref);
		CHECK_THAT(freed->key == (M3I_ARENA_KEY ^ ref), "freed object was written to");
		CHECK_THAT(freed->next <= span->fresh, "freed object was written to");
		number = (uint32_t) freed->next;
	}
	CHECK_THAT(freed_count == (uint32_t) span->fresh - span->used,
			   "free list of a span has another length");
	found->used[span->class] += span->used;
	found->empty[span->class] += span->used == 0;
	found->partial[span->class] += span->used > 0 && span->used < span->capacity;
	return NULL;
}

static const char *
check_pages(const M3Arena *arena, Found *found)
{
	uint32_t	page = arena->first_page;

	while (page < arena->end_page)
	{
		const M3ArenaPage *first = &arena->pages[page];

		CHECK_THAT(first->length > 0 && first->length <= arena->end_page - page,
				   "run has an impossible length");
		if (first->kind == M3_PAGE_FREE)
		{
			CHECK_PART(check_free_run(arena, page));
			found->free_runs++;
		}
		else
		{
			CHECK_THAT(first->kind == M3_PAGE_SPAN || first->kind == M3_PAGE_LARGE,
					   "run begins with an inner page");
			CHECK_PART(check_used_run(arena, page));
			found->used_pages += first->length;
			if (first->kind == M3_PAGE_LARGE)
				found->large_pages += first->length;
			else
				CHECK_PART(check_span(arena, page, found));
		}
		page += first->length;
	}
	CHECK_THAT(found->used_pages == arena->used_pages, "count of used pages is wrong");
	CHECK_THAT(found->large_pages == arena->large_pages, "count of large pages is wrong");
	return NULL;
}

static const char *
check_bins(const M3Arena *arena, const Found *found)
{
	uint64_t	left = found->free_runs;

	for (uint32_t bin = 0; bin < M3I_ARENA_BINS; bin++)
	{
		bool		filled = (arena->bins_filled[bin / 64] >> (bin % 64) & 1) != 0;
		uint32_t	previous = 0;

		CHECK_THAT(filled == (arena->bins[bin] != 0), "bit of a bin is wrong");
		for (uint32_t page = arena->bins[bin]; page != 0;
			 page = arena->pages[page].next)
		{
			CHECK_THAT(page >= arena->first_page && page < arena->end_page,
					   "list of a bin leaves the arena");
			CHECK_THAT(left-- > 0, "bins have more runs than there are");
			CHECK_THAT(arena->pages[page].kind == M3_PAGE_FREE, "bin has a run in use");
			CHECK_THAT(m3i_arena_bin(arena->pages[page].length) == bin,
					   "run is in the wrong bin");
			CHECK_THAT(arena->pages[page].previous == previous,
					   "list of a bin does not lead back");
			previous = page;
		}
	}
	CHECK_THAT(left == 0, "free run is in no bin");
	return NULL;
}

static const char *
check_class(const M3Arena *arena, uint32_t id, const Found *found)
{
	const M3ArenaClass *class = &arena->classes[id];
	uint32_t	left = found->partial[id];
	uint32_t	previous = 0;

	CHECK_THAT(class->used == found->used[id], "count of a class's objects is wrong");
	for (uint32_t page = class->partial; page != 0; page = arena->pages[page].next)
	{
		const M3ArenaPage *span = &arena->pages[page];

		CHECK_THAT(page >= arena->first_page && page < arena->end_page,
				   "list of spans leaves the arena");
		CHECK_THAT(left-- > 0, "list of spans is longer than there are");
		CHECK_THAT(span->kind == M3_PAGE_SPAN && span->class == id &&
				   span->used > 0 && span->used < span->capacity,
				   "list of spans has one that does not belong there");
		CHECK_THAT(span->previous == previous, "list of spans does not lead back");
		previous = page;
	}
	CHECK_THAT(left == 0, "span with room is in no list");
	if (class->empty == 0)
	{
		CHECK_THAT(found->empty[id] == 0, "empty span is lost");
		return NULL;
	}
	CHECK_THAT(class->empty >= arena->first_page && class->empty < arena->end_page,
			   "empty span is outside");
	CHECK_THAT(found->empty[id] == 1 && arena->pages[class->empty].kind == M3_PAGE_SPAN &&
			   arena->pages[class->empty].class == id &&
			   arena->pages[class->empty].used == 0,
			   "kept empty span is not the empty one");
	return NULL;
}

static const char *
check_all(const M3Arena *arena)
{
	Found		found;

	memset(&found, 0, sizeof(found));
	CHECK_PART(check_pages(arena, &found));
	CHECK_PART(check_bins(arena, &found));
	for (uint32_t i = 0; i < M3I_ARENA_CLASSES; i++)
		CHECK_PART(check_class(arena, i, &found));
	return NULL;
}

bool
m3_arena_check(M3Arena *arena, M3Env *env, const char **reason)
{
	for (uint32_t i = 0; i < M3_ARENA_CLASS_COUNT; i++)
		env->lock(env, M3_LOCK_ARENA_CLASS + i, M3_LOCK_SHARED);
	env->lock(env, M3_LOCK_ARENA_PAGES, M3_LOCK_SHARED);
	*reason = check_all(arena);
	env->unlock(env, M3_LOCK_ARENA_PAGES);
	for (uint32_t i = M3_ARENA_CLASS_COUNT; i > 0; i--)
		env->unlock(env, M3_LOCK_ARENA_CLASS + i - 1);
	return *reason == NULL;
}
