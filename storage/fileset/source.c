#include "storage/fileset/fileset_private.h"

#include <stdio.h>
#include <string.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3i_fileset_reserve(M3Memory *memory, void **array, size_t *capacity, size_t need,
					size_t element_size, M3Error *err)
{
	size_t		wanted = *capacity < 16 ? 16 : *capacity;
	size_t		bytes;
	void	   *grown;

	if (need <= *capacity)
		return M3_OK;
	while (wanted < need)
	{
		if (wanted > SIZE_MAX / 2)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		wanted *= 2;
	}
	if (__builtin_mul_overflow(wanted, element_size, &bytes))
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	grown = m3_resize(memory, *array, bytes);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	*array = grown;
	*capacity = wanted;
	return M3_OK;
}

M3Status
m3i_fileset_locate_error(M3Status status, M3Error *err, const char *path, int64_t offset)
{
	if (status != M3_OK && err != NULL && err->file[0] == '\0')
	{
		size_t		size = strlen(path);

		if (size >= sizeof(err->file))
			size = sizeof(err->file) - 1;
		memcpy(err->file, path, size);
		err->file[size] = '\0';
		err->offset = offset;
	}
	return status;
}

bool
m3i_fileset_parent_directory(char *path)
{
	size_t		size = strlen(path);

	while (size > 1 && path[size - 1] == '/')
		size--;
	while (size > 0 && path[size - 1] != '/')
		size--;
	while (size > 1 && path[size - 1] == '/')
		size--;
	if (size == 0 || (size == 1 && path[1] == '\0'))
		return false;
	path[size] = '\0';
	return true;
}

M3Status
m3i_fileset_open_sized(M3Env *env, const char *path, M3File **file, uint64_t *size, M3Error *err)
{
	M3Status	status;

	M3_TRY(env->open(env, path, M3_OPEN_READ, file, err));
	status = env->size(env, *file, size, err);
	if (status != M3_OK)
	{
		env->close(env, *file);
		*file = NULL;
	}
	return status;
}

M3Status
m3i_fileset_read_small(M3Env *env, const char *path, uint8_t *buffer, size_t capacity,
					   uint64_t *size, M3Error *err)
{
	M3File	   *file;
	size_t		wanted;
	size_t		got = 0;
	M3Status	status;

	M3_TRY(m3i_fileset_open_sized(env, path, &file, size, err));
	wanted = *size < capacity ? (size_t) *size : capacity;
	status = env->read(env, file, buffer, wanted, 0, &got, err);
	env->close(env, file);
	if (status == M3_OK && got < wanted)
		status = m3_error_corrupt(err, path, (int64_t) got, "file became shorter");
	return status;
}

M3Status
m3i_fileset_source_open(M3Source *source, M3Env *env, M3Memory *memory, const char *path,
						bool use_map, M3Error *err)
{
	M3Status	status;
	size_t		path_size = strlen(path) + 1;

	memset(source, 0, sizeof(*source));
	source->env = env;
	source->memory = memory;
	source->path = m3_alloc(memory, path_size);
	if (source->path == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memcpy(source->path, path, path_size);
	M3_GOTO(m3i_fileset_open_sized(env, path, &source->file, &source->size, err));
	if (source->size > INT64_MAX)
		M3_GOTO(m3_error_corrupt(err, path, -1, "file is too large"));
	if (use_map && source->size > 0)
	{
		size_t		mapped_size;

		M3_GOTO(env->map(env, source->file, &source->map, &mapped_size, err));
		source->size = mapped_size;
	}

done:
	if (status != M3_OK)
		m3i_fileset_source_close(source);
	return status;
}

void
m3i_fileset_source_close(M3Source *source)
{
	if (source->env == NULL)
		return;
	if (source->map != NULL)
		source->env->unmap(source->env, source->map, (size_t) source->size);
	source->env->close(source->env, source->file);
	m3_free(source->memory, source->window);
	m3_free(source->memory, source->path);
	memset(source, 0, sizeof(*source));
}

void
m3i_fileset_source_shrink(M3Source *source)
{
	m3_free(source->memory, source->window);
	source->window = NULL;
	source->window_capacity = 0;
	source->window_size = 0;
}

static M3Status
fill_window(M3Source *source, uint64_t offset, size_t size, M3Error *err)
{
	size_t		got = 0;

	source->window_size = 0;
	if (size > source->window_capacity)
	{
		uint8_t    *grown;

		/* exactly: a window may be one large payload */
		m3_free(source->memory, source->window);
		source->window = NULL;
		source->window_capacity = 0;
		grown = m3_alloc(source->memory, size);
		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		source->window = grown;
		source->window_capacity = size;
	}
	M3_TRY(source->env->read(source->env, source->file, source->window, size, offset,
							 &got, err));
	if (got < size)
		return m3_error_corrupt(err, source->path, (int64_t) (offset + got),
								"file became shorter while it was read");
	source->window_offset = offset;
	source->window_size = size;
	return M3_OK;
}

M3Status
m3i_fileset_source_peek(M3Source *source, uint64_t offset, size_t need, size_t ahead,
						M3Slice *bytes, M3Error *err)
{
	uint64_t	left;

	if (offset > source->size)
		return m3_error_corrupt(err, source->path, (int64_t) source->size,
								"position beyond the end of the file");
	left = source->size - offset;
	if (need > left)
		need = (size_t) left;
	if (need == 0)
	{
		*bytes = m3_slice("", 0);
		return M3_OK;
	}
	if (source->map != NULL)
	{
		*bytes = m3_slice(source->map + offset, (size_t) left);
		return M3_OK;
	}
	if (offset < source->window_offset || source->window_size < need ||
		offset - source->window_offset > source->window_size - need)
	{
		size_t		size = ahead > need ? ahead : need;

		if (size > left)
			size = (size_t) left;
		M3_TRY(fill_window(source, offset, size, err));
	}
	*bytes = m3_slice(source->window + (offset - source->window_offset),
					  source->window_size - (size_t) (offset - source->window_offset));
	return M3_OK;
}

M3Status
m3i_fileset_source_checksum(M3Source *source, uint32_t *checksum, M3Error *err)
{
	uint64_t	offset = 0;

	*checksum = M3_ADLER32_INIT;
	while (offset < source->size)
	{
		M3Slice		bytes;

		M3_TRY(m3i_fileset_source_peek(source, offset, M3I_SCAN_AHEAD, M3I_SCAN_AHEAD,
									   &bytes, err));
		*checksum = m3_adler32(*checksum, bytes.data, bytes.size);
		offset += bytes.size;
	}
	return M3_OK;
}

M3Status
m3i_fileset_source_entry(M3Source *source, uint64_t offset, size_t ahead, bool need_checksum,
						 M3FilesetEntry *entry, size_t *entry_size, M3Error *err)
{
	size_t		need = 512;

	for (;;)
	{
		M3Slice		bytes;
		bool		truncated;
		bool		whole;
		M3Status	status;

		M3_TRY(m3i_fileset_source_peek(source, offset, need, ahead, &bytes, err));
		whole = bytes.size == source->size - offset ||
			bytes.size >= M3_FILESET_ENTRY_MAX_SIZE;
		if (bytes.size > M3_FILESET_ENTRY_MAX_SIZE)
			bytes.size = M3_FILESET_ENTRY_MAX_SIZE;
		status = m3_fileset_entry_decode(bytes, need_checksum, entry, entry_size,
										 &truncated, err);
		if (status == M3_OK || !truncated || whole)
			return m3i_fileset_locate_error(status, err, source->path, (int64_t) offset);
		need = bytes.size * 2;
	}
}
