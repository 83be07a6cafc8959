#include "storage/base/memory.h"

#include <stdlib.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static void *
malloc_alloc(M3Memory *self, size_t size)
{
	(void) self;
	return malloc(size == 0 ? 1 : size);
}

static void *
malloc_resize(M3Memory *self, void *old, size_t size)
{
	(void) self;
	return realloc(old, size == 0 ? 1 : size);
}

static void
malloc_free(M3Memory *self, void *pointer)
{
	(void) self;
	free(pointer);
}

M3Memory	m3_memory_malloc = {malloc_alloc, malloc_resize, malloc_free, NULL};
