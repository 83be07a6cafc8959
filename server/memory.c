/*
 * Storage memory inside a memory context.
 *
 * An error elsewhere frees it with its context, and exhaustion is reported
 * by NULL instead of an ERROR.  Chunks begin with their size, since an
 * allocation that may not fail with an ERROR cannot be resized in place
 * before PostgreSQL 16, and the copy must know how much to copy.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "server/server.h"

#define HEADER_SIZE MAXALIGN(sizeof(Size))
#define ALLOC_FLAGS (MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM)

static inline char *
chunk_of(void *pointer)
{
	return (char *) pointer - HEADER_SIZE;
}

static inline void *
finish_chunk(char *chunk, Size size)
{
	if (chunk == NULL)
		return NULL;
	*(Size *) chunk = size;
	return chunk + HEADER_SIZE;
}

static void *
context_alloc(M3Memory *self, size_t size)
{
	if (size > MaxAllocHugeSize - HEADER_SIZE)
		return NULL;
	return finish_chunk(MemoryContextAllocExtended(self->context, size + HEADER_SIZE,
												   ALLOC_FLAGS),
						size);
}

static void
context_free(M3Memory *self, void *pointer)
{
	if (pointer != NULL)
		pfree(chunk_of(pointer));
}

static void *
context_resize(M3Memory *self, void *old, size_t size)
{
#ifndef M3DB_HAVE_REPALLOC_EXTENDED
	void	   *new;
	Size		old_size;
#endif

	if (old == NULL)
		return context_alloc(self, size);
	if (size > MaxAllocHugeSize - HEADER_SIZE)
		return NULL;
#ifdef M3DB_HAVE_REPALLOC_EXTENDED
	return finish_chunk(repalloc_extended(chunk_of(old), size + HEADER_SIZE, ALLOC_FLAGS),
						size);
#else
	new = context_alloc(self, size);
	if (new == NULL)
		return NULL;
	old_size = *(Size *) chunk_of(old);
	memcpy(new, old, Min(old_size, size));
	context_free(self, old);
	return new;
#endif
}

M3Memory *
m3db_memory(MemoryContext context)
{
	M3Memory   *memory = MemoryContextAlloc(context, sizeof(M3Memory));

	memory->alloc = context_alloc;
	memory->resize = context_resize;
	memory->free = context_free;
	memory->context = context;
	return memory;
}
