#include "storage/fileset/fileset_private.h"

#include <string.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Status
m3i_fileset_output_open(M3Output *output, M3Env *env, M3Memory *memory, const char *path,
						size_t buffer_size, M3Error *err)
{
	memset(output, 0, sizeof(*output));
	output->env = env;
	output->checksum = M3_ADLER32_INIT;
	output->buffer = m3_alloc(memory, buffer_size);
	if (output->buffer == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	output->capacity = buffer_size;
	return env->open(env, path, M3_OPEN_CREATE, &output->file, err);
}

M3Status
m3i_fileset_output_flush(M3Output *output, M3Error *err)
{
	if (output->used == 0)
		return M3_OK;
	M3_TRY(output->env->write(output->env, output->file, output->buffer, output->used,
							  output->offset, err));
	output->offset += output->used;
	output->used = 0;
	return M3_OK;
}

M3Status
m3i_fileset_output_put(M3Output *output, M3Slice bytes, M3Error *err)
{
	if (bytes.size == 0)
		return M3_OK;
	output->checksum = m3_adler32(output->checksum, bytes.data, bytes.size);
	if (bytes.size > output->capacity - output->used)
		M3_TRY(m3i_fileset_output_flush(output, err));
	if (bytes.size >= output->capacity)
	{
		M3_TRY(output->env->write(output->env, output->file, bytes.data, bytes.size,
								  output->offset, err));
		output->offset += bytes.size;
		return M3_OK;
	}
	memcpy(output->buffer + output->used, bytes.data, bytes.size);
	output->used += bytes.size;
	return M3_OK;
}

void
m3i_fileset_output_close(M3Output *output, M3Memory *memory)
{
	m3_free(memory, output->buffer);
	output->buffer = NULL;
	output->capacity = 0;
	if (output->file != NULL)
		output->env->close(output->env, output->file);
	output->file = NULL;
}

M3Status
m3i_fileset_write_small(M3Env *env, const char *path, M3Slice bytes, M3Error *err)
{
	M3File	   *file;
	M3Status	status;

	M3_TRY(env->open(env, path, M3_OPEN_CREATE, &file, err));
	M3_GOTO(env->write(env, file, bytes.data, bytes.size, 0, err));
	M3_GOTO(env->sync(env, file, err));

done:
	env->close(env, file);
	return status;
}
