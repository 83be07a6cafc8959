/*
 * Private memory: where a storage function gets the memory it returns or
 * works in.  In the server a handle stands for a memory context, so that an
 * error elsewhere frees what was taken; in tools and tests for malloc.
 *
 * None of these jump: NULL means exhausted, and callers report M3_NO_MEMORY.
 */
#ifndef M3_BASE_MEMORY_H
#define M3_BASE_MEMORY_H

#include <stddef.h>
#include <string.h>

typedef struct M3Memory M3Memory;

struct M3Memory
{
	void	   *(*alloc) (M3Memory *self, size_t size);
	/* old may be NULL; old contents up to the smaller size are kept */
	void	   *(*resize) (M3Memory *self, void *old, size_t size);
	void		(*free) (M3Memory *self, void *pointer);	/* NULL allowed */
	void	   *context;
};

/* Memory from malloc, for tools and tests. */
extern M3Memory m3_memory_malloc;

static inline void *
m3_alloc(M3Memory *memory, size_t size)
{
	return memory->alloc(memory, size);
}

static inline void *
m3_resize(M3Memory *memory, void *old, size_t size)
{
	return memory->resize(memory, old, size);
}

static inline void
m3_free(M3Memory *memory, void *pointer)
{
	if (pointer != NULL)
		memory->free(memory, pointer);
}

/* A copy of a string with its NUL; NULL when memory is exhausted. */
static inline char *
m3_copy_string(M3Memory *memory, const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *copy = m3_alloc(memory, size);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

#endif							/* M3_BASE_MEMORY_H */
