#include "storage/log/reader_private.h"

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define WINDOW_SIZE ((size_t) 256 * 1024)
#define PIECE_SIZE ((size_t) 64 * 1024)

/* What a disk writes whole: a lost write leaves such a piece as it was. */
#define SECTOR_SIZE 512u

static size_t
smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t) b;
}

/* Room for size bytes, contents kept. */
static M3Status
grow(M3LogWindow *window, size_t size, M3Error *err)
{
	size_t		capacity = smaller(WINDOW_SIZE, window->file_size);
	uint8_t    *bytes;

	if (size <= window->capacity)
		return M3_OK;
	if (capacity < size)
		capacity = size;
	bytes = m3_resize(window->memory, window->bytes, capacity);
	if (bytes == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	window->bytes = bytes;
	window->capacity = capacity;
	return M3_OK;
}

M3Status
m3i_log_window_get(M3LogWindow *window, uint64_t offset, size_t size,
				   const uint8_t **bytes, M3Error *err)
{
	M3Env	   *env = window->env;
	size_t		kept = 0;
	size_t		wanted;
	size_t		got;

	if (offset >= window->offset && offset - window->offset <= window->size &&
		size <= window->size - (size_t) (offset - window->offset))
	{
		*bytes = window->bytes + (offset - window->offset);
		return M3_OK;
	}
	if (window->file == NULL)
		M3_TRY(env->open(env, window->path, M3_OPEN_READ, &window->file, err));
	M3_TRY(grow(window, size > 0 ? size : 1, err));
	if (offset >= window->offset && offset - window->offset < window->size)
	{
		kept = window->size - (size_t) (offset - window->offset);
		memmove(window->bytes, window->bytes + (offset - window->offset), kept);
	}
	window->offset = offset;
	window->size = kept;
	wanted = smaller(window->capacity - kept, window->file_size - offset - kept);
	M3_TRY(env->read(env, window->file, window->bytes + kept, wanted, offset + kept,
					 &got, err));
	window->size += got;
	if (window->size < size)
		return m3_error_io(err, 0, window->path, "file became shorter while it was read");
	*bytes = window->bytes;
	return M3_OK;
}

void
m3i_log_window_release(M3LogWindow *window)
{
	window->env->close(window->env, window->file);
	window->file = NULL;
}

void
m3i_log_window_free(M3LogWindow *window)
{
	m3i_log_window_release(window);
	m3_free(window->memory, window->bytes);
	window->bytes = NULL;
	window->capacity = 0;
	window->size = 0;
}

M3Status
m3i_log_window_is_zero(M3LogWindow *window, uint64_t start, uint64_t end,
					   bool *is_zero, M3Error *err)
{
	*is_zero = true;
	while (start < end)
	{
		size_t		size = smaller(PIECE_SIZE, end - start);
		const uint8_t *bytes;

		M3_TRY(m3i_log_window_get(window, start, size, &bytes, err));
		if (bytes[0] != 0 || memcmp(bytes, bytes + 1, size - 1) != 0)
		{
			*is_zero = false;
			return M3_OK;
		}
		start += size;
	}
	return M3_OK;
}

/* Whether a sector (or the part of one) between start and end is all zeros. */
static M3Status
has_hole(M3LogWindow *window, uint64_t start, uint64_t end, bool *found, M3Error *err)
{
	*found = false;
	while (start < end && !*found)
	{
		uint64_t	next = (start / SECTOR_SIZE + 1) * SECTOR_SIZE;

		if (next > end)
			next = end;
		/* a few zeros may well be meant */
		if (next - start >= 8)
			M3_TRY(m3i_log_window_is_zero(window, start, next, found, err));
		start = next;
	}
	return M3_OK;
}

static M3Status
payload_matches(M3LogWindow *window, uint64_t offset, uint32_t size, uint32_t expected,
				bool *matches, M3Error *err)
{
	uint32_t	checksum = M3_ADLER32_INIT;

	while (size > 0)
	{
		size_t		piece = smaller(PIECE_SIZE, size);
		const uint8_t *bytes;

		M3_TRY(m3i_log_window_get(window, offset, piece, &bytes, err));
		checksum = m3_adler32(checksum, bytes, piece);
		offset += piece;
		size -= (uint32_t) piece;
	}
	*matches = checksum == expected;
	return M3_OK;
}

/*
 * Looks for a sound chunk at any byte from offset on.  Headers that look sound
 * cost their payload: after twice the file's size in these, one that was made to
 * look so is taken for sound.
 */
static M3Status
find_chunk(M3LogWindow *window, uint64_t offset, bool *found, M3Error *err)
{
	uint64_t	budget = 2 * window->file_size;

	*found = false;
	while (offset + M3_LOG_CHUNK_HEADER_SIZE < window->file_size)
	{
		size_t		size = smaller(PIECE_SIZE, window->file_size - offset);
		size_t		count = size - M3_LOG_CHUNK_HEADER_SIZE + 1;
		size_t		i = 0;
		uint32_t	payload_size = 0;
		uint32_t	checksum = 0;
		const uint8_t *bytes;

		M3_TRY(m3i_log_window_get(window, offset, size, &bytes, err));
		while (i < count &&
			   (!m3_log_get_chunk_header(bytes + i, &payload_size, &checksum) ||
				payload_size == 0 ||
				payload_size > window->file_size - offset - i - M3_LOG_CHUNK_HEADER_SIZE))
			i++;
		offset += i;
		if (i == count)
			continue;
		*found = payload_size > budget;
		if (!*found)
			M3_TRY(payload_matches(window, offset + M3_LOG_CHUNK_HEADER_SIZE, payload_size,
								   checksum, found, err));
		if (*found)
			return M3_OK;
		budget -= payload_size;
		offset++;
	}
	return M3_OK;
}

M3Status
m3i_log_classify_damage(M3LogWindow *window, uint64_t offset, uint64_t chunk_end,
						M3LogEndKind *kind, M3Error *err)
{
	bool		is_zero;
	bool		found;
	bool		hole;

	M3_TRY(m3i_log_window_is_zero(window, offset, window->file_size, &is_zero, err));
	if (is_zero)
	{
		*kind = M3_LOG_END_ZEROS;
		return M3_OK;
	}
	M3_TRY(find_chunk(window, chunk_end == 0 ? offset + 1 : chunk_end, &found, err));
	if (!found)
	{
		*kind = M3_LOG_END_TORN;
		return M3_OK;
	}
	M3_TRY(has_hole(window, offset,
					chunk_end == 0 ? offset + M3_LOG_CHUNK_HEADER_SIZE : chunk_end,
					&hole, err));
	*kind = hole ? M3_LOG_END_HOLE : M3_LOG_END_CORRUPT;
	return M3_OK;
}
