#include "storage/buffer/stream.h"

#include <assert.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Chunks double from the first size to the last: short streams waste little,
 * long ones are made of few pieces. */
#define CHUNK_FIRST_SIZE 64u
#define CHUNK_LAST_SIZE 512u

/* For the guess how many points there are in bytes nobody decoded. */
#define SEALED_BYTES_OF_TWO_POINTS 3u

typedef struct Chunk
{
	M3Ref		next;
	uint32_t	capacity;		/* bytes of data */
	uint32_t	used;
	uint8_t		data[];
} Chunk;

static Chunk *
chunk_at(const M3Arena *arena, M3Ref ref)
{
	return ref == 0 ? NULL : (Chunk *) m3_arena_at(arena, ref);
}

static void
free_chunks(M3Arena *arena, M3Env *env, M3Ref ref)
{
	while (ref != 0)
	{
		M3Ref		next = chunk_at(arena, ref)->next;

		m3_arena_free(arena, env, ref);
		ref = next;
	}
}

/* Adds a chunk with room for size bytes, and for more if more will follow, at the end
 * of the chain. */
static Chunk *
add_chunk(M3Arena *arena, M3Env *env, M3Stream *stream, size_t size, bool more)
{
	Chunk	   *last = chunk_at(arena, stream->last_chunk);
	size_t		total = more ? CHUNK_FIRST_SIZE : 0;
	M3Ref		ref;
	Chunk	   *chunk;

	if (more && last != NULL)
		total = (last->capacity + sizeof(Chunk)) * 2;
	if (total > CHUNK_LAST_SIZE)
		total = CHUNK_LAST_SIZE;
	if (total < size + sizeof(Chunk))
		total = size + sizeof(Chunk);
	total = m3_arena_rounded_size(total);
	ref = m3_arena_alloc(arena, env, total);
	if (ref == 0)
		return NULL;
	chunk = chunk_at(arena, ref);
	chunk->capacity = (uint32_t) (total - sizeof(Chunk));
	if (last != NULL)
		last->next = ref;
	else
		stream->first_chunk = ref;
	stream->last_chunk = ref;
	return chunk;
}

M3Ref
m3_stream_create(M3Arena *arena, M3Env *env, int64_t block_start_ns)
{
	M3Ref		ref = m3_arena_alloc(arena, env, sizeof(M3Stream));

	if (ref != 0)
	{
		M3Stream   *stream = m3_arena_at(arena, ref);

		m3_encoder_init(&stream->encoder, block_start_ns, M3_ENCODER_LOSSLESS,
						M3_UNIT_SECOND);
		stream->last_ns = INT64_MIN;
	}
	return ref;
}

void
m3_stream_free(M3Arena *arena, M3Env *env, M3Ref ref)
{
	M3Stream   *stream = m3_arena_at(arena, ref);

	free_chunks(arena, env, stream->first_chunk);
	m3_arena_free(arena, env, stream->more_runs);
	m3_arena_free(arena, env, ref);
}

M3Ref
m3_stream_load(M3Arena *arena, M3Env *env, int64_t block_start_ns, M3Slice bytes)
{
	M3Ref		ref = m3_stream_create(arena, env, block_start_ns);
	const size_t most = CHUNK_LAST_SIZE - sizeof(Chunk);
	M3Stream   *stream;

	if (ref == 0)
		return 0;
	stream = m3_arena_at(arena, ref);
	stream->last_ns = INT64_MAX;
	stream->sealed = true;
	stream->closed = true;
	for (size_t done = 0; done < bytes.size;)
	{
		size_t		n = bytes.size - done < most ? bytes.size - done : most;
		Chunk	   *chunk = add_chunk(arena, env, stream, n, false);

		if (chunk == NULL)
		{
			m3_stream_free(arena, env, ref);
			return 0;
		}
		memcpy(chunk->data, bytes.data + done, n);
		chunk->used = (uint32_t) n;
		done += n;
	}
	stream->encoder.emitted = bytes.size;
	return ref;
}

uint32_t
m3_stream_points(const M3Stream *stream)
{
	uint64_t	guess;

	if (!stream->sealed)
		return m3_stream_count(stream);
	guess = stream->encoder.emitted * 2 / SEALED_BYTES_OF_TWO_POINTS;
	if (guess == 0)
		return 1;
	return guess < UINT32_MAX ? (uint32_t) guess : UINT32_MAX;
}

uint64_t
m3_stream_size(const M3Stream *stream)
{
	return stream->encoder.emitted;
}

/* Makes sure one more run fits. */
static bool
reserve_run(M3Arena *arena, M3Env *env, M3Stream *stream)
{
	uint32_t	capacity = stream->more_runs != 0 ? stream->run_capacity :
		M3_STREAM_INLINE_RUNS;
	uint32_t	wanted;
	M3Ref		ref;

	if (stream->run_count < capacity)
		return true;
	wanted = capacity * 2;
	ref = m3_arena_alloc(arena, env, wanted * sizeof(M3Run));
	if (ref == 0)
		return false;
	memcpy(m3_arena_at(arena, ref), m3_stream_runs(arena, stream),
		   stream->run_count * sizeof(M3Run));
	m3_arena_free(arena, env, stream->more_runs);
	stream->more_runs = ref;
	stream->run_capacity = wanted;
	return true;
}

/* Notes that the last point belongs to sequence; room was reserved. */
static void
count_point(const M3Arena *arena, M3Stream *stream, uint64_t sequence)
{
	M3Run	   *runs = m3_stream_runs(arena, stream);
	M3Run	   *last = stream->run_count > 0 ? &runs[stream->run_count - 1] : NULL;
	uint32_t	count = m3_stream_count(stream);

	if (last == NULL && sequence == 0)
		stream->settled = count;
	else if (last != NULL && !last->dead && last->sequence == sequence)
		last->end = count;
	else
	{
		runs[stream->run_count].sequence = sequence;
		runs[stream->run_count].end = count;
		runs[stream->run_count].dead = 0;
		stream->run_count++;
	}
}

/* The slow way: the record may not fit what is left of the last chunk. */
static M3Status
append_across_chunks(M3Arena *arena, M3Env *env, M3Stream *stream,
					 const M3Point *point, uint8_t *scratch, M3Error *err)
{
	M3Encoder	encoder = stream->encoder;
	Chunk	   *last = chunk_at(arena, stream->last_chunk);
	size_t		room = last == NULL ? 0 : last->capacity - last->used;
	size_t		written;
	size_t		first;

	M3_TRY(m3_encoder_append(&encoder, point, scratch, &written, err));
	first = written < room ? written : room;
	if (written > first)
	{
		Chunk	   *chunk = add_chunk(arena, env, stream, written - first, true);

		if (chunk == NULL)
			return m3_error(err, M3_FULL, "no room for points in the buffer arena");
		memcpy(chunk->data, scratch + first, written - first);
		chunk->used = (uint32_t) (written - first);
	}
	if (first > 0)
	{
		memcpy(last->data + last->used, scratch, first);
		last->used += (uint32_t) first;
	}
	stream->encoder = encoder;
	return M3_OK;
}

static M3Status
append_bytes(M3Arena *arena, M3Env *env, M3Stream *stream, const M3Point *point,
			 M3Error *err)
{
	Chunk	   *last = chunk_at(arena, stream->last_chunk);
	size_t		need = M3_ENCODER_MAX_RECORD + point->annotation.size;
	uint8_t		scratch[M3_ENCODER_MAX_RECORD];

	if (last != NULL && last->capacity - last->used >= need)
	{
		size_t		written;

		M3_TRY(m3_encoder_append(&stream->encoder, point,
								 last->data + last->used, &written, err));
		last->used += (uint32_t) written;
		return M3_OK;
	}
	if (point->annotation.size == 0)
		return append_across_chunks(arena, env, stream, point, scratch, err);

	/* a long record goes through a piece of the arena, or a fresh chunk */
	{
		M3Ref		ref = m3_arena_alloc(arena, env, need);
		M3Status	status;

		if (ref == 0)
			return m3_error(err, M3_FULL, "no room for points in the buffer arena");
		status = append_across_chunks(arena, env, stream, point,
									  m3_arena_at(arena, ref), err);
		m3_arena_free(arena, env, ref);
		return status;
	}
}

M3Status
m3_stream_append(M3Arena *arena, M3Env *env, M3Stream *stream,
				 const M3Point *point, uint64_t sequence, uint64_t horizon,
				 M3Error *err)
{
	assert(!stream->sealed);
	if (stream->run_count > 0)
	{
		M3Run	   *runs = m3_stream_runs(arena, stream);

		/* runs are in order: if the first cannot be settled, none can */
		if (runs[stream->run_count - 1].sequence != sequence &&
			(runs[0].dead || runs[0].sequence < horizon))
			(void) m3_stream_settle(arena, stream, horizon);
	}
	if (!reserve_run(arena, env, stream))
		return m3_error(err, M3_FULL, "no room for points in the buffer arena");
	M3_TRY(append_bytes(arena, env, stream, point, err));
	stream->last_ns = point->time_ns;
	stream->last_annotated = point->annotation.size > 0;
	count_point(arena, stream, sequence);
	return M3_OK;
}

size_t
m3_stream_copy_size(const M3Stream *stream)
{
	return (size_t) stream->encoder.emitted + M3_ENCODER_MAX_TAIL;
}

size_t
m3_stream_copy(const M3Arena *arena, const M3Stream *stream, uint8_t *out)
{
	size_t		size = 0;

	for (const Chunk *chunk = chunk_at(arena, stream->first_chunk); chunk != NULL;
		 chunk = chunk_at(arena, chunk->next))
	{
		memcpy(out + size, chunk->data, chunk->used);
		size += chunk->used;
	}
	if (stream->sealed)
		return size;
	return size + m3_encoder_tail(&stream->encoder, out + size);
}

/* Drops all chunk bytes from size on. */
static void
cut_chunks(M3Arena *arena, M3Env *env, M3Stream *stream, uint64_t size)
{
	Chunk	   *chunk = chunk_at(arena, stream->first_chunk);
	M3Ref		ref = stream->first_chunk;

	if (chunk == NULL)
		return;
	while (size > chunk->used && chunk->next != 0)
	{
		size -= chunk->used;
		ref = chunk->next;
		chunk = chunk_at(arena, ref);
	}
	chunk->used = (uint32_t) size;
	free_chunks(arena, env, chunk->next);
	chunk->next = 0;
	stream->last_chunk = ref;
}

/* The encoder as it was after the first count points of an ended copy.  The
 * codec is deterministic, so the bytes before are those already there. */
static M3Status
replay(const M3Stream *stream, const uint8_t *copy, size_t copy_size,
	   uint32_t count, M3Memory *memory, M3Encoder *encoder, M3Point *last,
	   M3Error *err)
{
	M3Status	status = M3_OK;
	M3Decoder	decoder;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	uint8_t    *out = m3_alloc(memory, M3_ENCODER_MAX_RECORD + M3_ANNOTATION_MAX_SIZE);

	if (out == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	m3_encoder_init(encoder, stream->encoder.start_ns, M3_ENCODER_LOSSLESS,
					M3_UNIT_SECOND);
	m3_decoder_init(&decoder, copy, copy_size, true, M3_UNIT_SECOND);
	for (uint32_t i = 0; i < count; i++)
	{
		size_t		written;

		M3_GOTO(m3_decoder_next(&decoder, last, memory, &scratch,
								&scratch_size, err));
		M3_GOTO(m3_encoder_append(encoder, last, out, &written, err));
	}
done:
	m3_free(memory, scratch);
	m3_free(memory, out);
	return status;
}

M3Status
m3_stream_take_back(M3Arena *arena, M3Env *env, M3Stream *stream,
					uint64_t sequence, M3Memory *memory, M3Error *err)
{
	M3Run	   *runs = m3_stream_runs(arena, stream);
	M3Status	status;
	M3Encoder	encoder;
	M3Point		last = {.time_ns = INT64_MIN};
	uint32_t	keep;
	uint8_t    *copy;

	if (stream->run_count == 0 ||
		runs[stream->run_count - 1].sequence != sequence)
		return M3_OK;
	runs[stream->run_count - 1].dead = 1;
	keep = stream->run_count > 1 ? runs[stream->run_count - 2].end : stream->settled;

	copy = m3_alloc(memory, m3_stream_copy_size(stream));
	if (copy == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	status = replay(stream, copy, m3_stream_copy(arena, stream, copy), keep,
					memory, &encoder, &last, err);
	m3_free(memory, copy);
	if (status != M3_OK)
		return status;

	cut_chunks(arena, env, stream, encoder.emitted);
	stream->encoder = encoder;
	stream->last_ns = last.time_ns;
	stream->last_annotated = last.annotation.size > 0;
	stream->run_count--;
	return M3_OK;
}
