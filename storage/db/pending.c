#include "storage/db/pending.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_CAPACITY 64u
#define MIN_LIMIT_POINTS 1024u
#define MAX_LIMIT_POINTS (1u << 26) /* positions within a piece fit 32 bits */

struct M3Pending
{
	M3Env	   *env;
	M3Memory   *memory;
	M3PendingPoint *points;		/* the latest, after those in the file */
	size_t		count;
	size_t		capacity;
	size_t		limit;			/* points in memory before they go to the file */
	M3PendingPoint *piece;		/* read back from the file; limit of them */
	M3File	   *file;
	uint64_t	filed;			/* points in the file */
	uint8_t    *annotations;	/* native size_t, then the bytes; one after the other */
	size_t		annotations_size;
	size_t		annotations_capacity;
};

M3Pending *
m3i_pending_create(M3Env *env, M3Memory *memory, uint64_t limit_size)
{
	M3Pending  *pending = m3_alloc(memory, sizeof(*pending));

	if (pending == NULL)
		return NULL;
	memset(pending, 0, sizeof(*pending));
	pending->env = env;
	pending->memory = memory;
	pending->limit = (size_t) (limit_size / sizeof(M3PendingPoint));
	if (pending->limit < MIN_LIMIT_POINTS)
		pending->limit = MIN_LIMIT_POINTS;
	if (pending->limit > MAX_LIMIT_POINTS)
		pending->limit = MAX_LIMIT_POINTS;
	return pending;
}

void
m3i_pending_free(M3Pending *pending)
{
	if (pending == NULL)
		return;
	if (pending->file != NULL)
		pending->env->close(pending->env, pending->file);
	m3_free(pending->memory, pending->points);
	m3_free(pending->memory, pending->piece);
	m3_free(pending->memory, pending->annotations);
	m3_free(pending->memory, pending);
}

uint64_t
m3i_pending_count(const M3Pending *pending)
{
	return pending->filed + pending->count;
}

/* Moves the points in memory to the end of the file. */
static M3Status
spill(M3Pending *pending, M3Error *err)
{
	M3Env	   *env = pending->env;

	if (pending->file == NULL)
		M3_TRY(env->open_temporary(env, &pending->file, err));
	M3_TRY(env->write(env, pending->file, pending->points,
					  pending->count * sizeof(M3PendingPoint),
					  pending->filed * sizeof(M3PendingPoint), err));
	pending->filed += pending->count;
	pending->count = 0;
	return M3_OK;
}

static M3Status
make_room(M3Pending *pending, M3Error *err)
{
	size_t		capacity = pending->capacity == 0 ? FIRST_CAPACITY : pending->capacity * 2;
	M3PendingPoint *points;

	if (pending->count < pending->capacity)
		return M3_OK;
	if (pending->count == pending->limit)
		return spill(pending, err);
	if (capacity > pending->limit)
		capacity = pending->limit;
	points = m3_resize(pending->memory, pending->points, capacity * sizeof(*points));
	if (points == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", capacity);
	pending->points = points;
	pending->capacity = capacity;
	return M3_OK;
}

static M3Status
keep_annotation(M3Pending *pending, M3Slice annotation, M3Error *err)
{
	size_t		need = pending->annotations_size + sizeof(size_t) + annotation.size;

	if (need > pending->annotations_capacity)
	{
		size_t		capacity = need * 2;
		uint8_t    *grown = m3_resize(pending->memory, pending->annotations, capacity);

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for annotations");
		pending->annotations = grown;
		pending->annotations_capacity = capacity;
	}
	memcpy(pending->annotations + pending->annotations_size, &annotation.size, sizeof(size_t));
	memcpy(pending->annotations + pending->annotations_size + sizeof(size_t),
		   annotation.data, annotation.size);
	pending->annotations_size = need;
	return M3_OK;
}

M3Status
m3i_pending_add(M3Pending *pending, const M3PendingPoint *point, M3Slice annotation,
				M3Error *err)
{
	uint64_t	position = 0;

	M3_TRY(make_room(pending, err));
	if (annotation.size > 0)
	{
		position = pending->annotations_size + 1;
		M3_TRY(keep_annotation(pending, annotation, err));
	}
	pending->points[pending->count] = *point;
	pending->points[pending->count].annotation = position;
	pending->count++;
	return M3_OK;
}

void
m3i_pending_truncate(M3Pending *pending, uint64_t count)
{
	if (count < pending->filed)
	{
		pending->filed = count;
		pending->count = 0;
	}
	else if (count - pending->filed < pending->count)
		pending->count = (size_t) (count - pending->filed);
}

M3Slice
m3i_pending_annotation(const M3Pending *pending, const M3PendingPoint *point)
{
	size_t		size;

	if (point->annotation == 0)
		return m3_slice(NULL, 0);
	memcpy(&size, pending->annotations + point->annotation - 1, sizeof(size));
	return m3_slice(pending->annotations + point->annotation - 1 + sizeof(size), size);
}

M3Status
m3i_pending_read(M3Pending *pending, uint64_t *position, const M3PendingPoint **points,
				 size_t *count, M3Error *err)
{
	M3Env	   *env = pending->env;
	uint64_t	left;
	size_t		got;

	if (*position >= pending->filed)
	{
		size_t		first = (size_t) (*position - pending->filed);

		*points = pending->points == NULL ? NULL : pending->points + first;
		*count = pending->count - first;
		*position += *count;
		return M3_OK;
	}
	left = pending->filed - *position;
	if (pending->piece == NULL)
	{
		pending->piece = m3_alloc(pending->memory, pending->limit * sizeof(M3PendingPoint));
		if (pending->piece == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", pending->limit);
	}
	*count = left < pending->limit ? (size_t) left : pending->limit;
	M3_TRY(env->read(env, pending->file, pending->piece, *count * sizeof(M3PendingPoint),
					 *position * sizeof(M3PendingPoint), &got, err));
	if (got != *count * sizeof(M3PendingPoint))
		return m3_error(err, M3_IO, "a temporary file ended early");
	*points = pending->piece;
	*position += *count;
	return M3_OK;
}
