#include "storage/log/writer.h"

#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

struct M3LogWriter
{
	M3Env	   *env;
	M3Memory   *memory;
	M3File	   *file;
	uint64_t	offset;			/* end of the file */
	size_t		flush_size;
	size_t		used;			/* payload bytes buffered */
	uint8_t    *buffer;			/* chunk header, then flush_size bytes */
	uint8_t    *message;		/* room to encode one entry */
	size_t		message_capacity;
};

M3Status
m3_log_writer_open(M3Env *env, M3Memory *memory, const char *path,
				   const M3LogInfo *info, size_t flush_size,
				   M3LogWriter **result, M3Error *err)
{
	M3LogWriter *writer;
	uint8_t		message[M3_LOG_INFO_MAX_SIZE];
	const uint8_t *end = m3_log_put_info(message, info);
	M3Status	status;

	*result = NULL;
	if (flush_size == 0)
		flush_size = M3_LOG_DEFAULT_FLUSH_SIZE;
	if (flush_size > UINT32_MAX)
		return m3_error(err, M3_INVALID, "flush size is too large");
	writer = m3_alloc(memory, sizeof(*writer));
	if (writer == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(writer, 0, sizeof(*writer));
	writer->env = env;
	writer->memory = memory;
	writer->flush_size = flush_size;
	writer->buffer = m3_alloc(memory, M3_LOG_CHUNK_HEADER_SIZE + flush_size);
	if (writer->buffer == NULL)
		status = m3_error(err, M3_NO_MEMORY, "out of memory");
	else
		status = env->open(env, path, M3_OPEN_CREATE, &writer->file, err);
	if (status == M3_OK)
		status = m3_log_writer_add_message(writer, m3_slice(message, (size_t) (end - message)),
										   err);
	if (status != M3_OK)
		m3_log_writer_abandon(writer);
	else
		*result = writer;
	return status;
}

/* Writes the buffer as one chunk. */
static M3Status
emit_buffer(M3LogWriter *writer, M3Error *err)
{
	size_t		size = M3_LOG_CHUNK_HEADER_SIZE + writer->used;

	m3_log_put_chunk_header(writer->buffer, writer->buffer + M3_LOG_CHUNK_HEADER_SIZE,
							writer->used);
	M3_TRY(writer->env->write(writer->env, writer->file, writer->buffer, size,
							  writer->offset, err));
	writer->offset += size;
	writer->used = 0;
	return M3_OK;
}

/* Writes bytes larger than the buffer as one chunk. */
static M3Status
emit_directly(M3LogWriter *writer, const uint8_t *data, size_t size, M3Error *err)
{
	uint8_t		header[M3_LOG_CHUNK_HEADER_SIZE];

	m3_log_put_chunk_header(header, data, size);
	M3_TRY(writer->env->write(writer->env, writer->file, header, sizeof(header),
							  writer->offset, err));
	M3_TRY(writer->env->write(writer->env, writer->file, data, size,
							  writer->offset + sizeof(header), err));
	writer->offset += sizeof(header) + size;
	return M3_OK;
}

/* M3's rule for what does not fit: top the buffer up, the rest may go alone. */
static M3Status
append_part(M3LogWriter *writer, const uint8_t *data, size_t size, M3Error *err)
{
	while (size > writer->flush_size - writer->used)
	{
		size_t		part = writer->flush_size - writer->used;

		if (writer->used == 0)
			return emit_directly(writer, data, size, err);
		memcpy(writer->buffer + M3_LOG_CHUNK_HEADER_SIZE + writer->used, data, part);
		writer->used += part;
		M3_TRY(emit_buffer(writer, err));
		data += part;
		size -= part;
	}
	memcpy(writer->buffer + M3_LOG_CHUNK_HEADER_SIZE + writer->used, data, size);
	writer->used += size;
	return M3_OK;
}

M3Status
m3_log_writer_add_message(M3LogWriter *writer, M3Slice message, M3Error *err)
{
	uint64_t	length = 0;
	size_t		prefix = m3_get_uvarint(message.data, message.size, &length);

	if (prefix == 0 || prefix == SIZE_MAX || length != message.size - prefix)
		return m3_error(err, M3_INVALID, "message has a wrong length prefix");
	if (writer->used > 0 && message.size > writer->flush_size - writer->used)
		M3_TRY(emit_buffer(writer, err));
	/* M3 appends prefix and body one after the other, which decides the cuts */
	M3_TRY(append_part(writer, message.data, prefix, err));
	return append_part(writer, message.data + prefix, message.size - prefix, err);
}

M3Status
m3_log_writer_add(M3LogWriter *writer, const M3LogEntry *entry, M3Error *err)
{
	size_t		size = m3_log_entry_size(entry);

	if (!m3_unit_is_valid(entry->unit))
		return m3_error(err, M3_INVALID, "time unit %u cannot be logged",
						(unsigned) entry->unit);
	if (size == SIZE_MAX)
		return m3_error(err, M3_INVALID, "log entry is too large");
	if (size > writer->message_capacity)
	{
		size_t		capacity = size + size / 2 + 256;
		uint8_t    *grown = m3_resize(writer->memory, writer->message, capacity);

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		writer->message = grown;
		writer->message_capacity = capacity;
	}
	m3_log_put_entry(writer->message, entry);
	return m3_log_writer_add_message(writer, m3_slice(writer->message, size), err);
}

M3Status
m3_log_writer_flush(M3LogWriter *writer, bool sync, M3Error *err)
{
	if (writer->used > 0)
		M3_TRY(emit_buffer(writer, err));
	return sync ? writer->env->sync(writer->env, writer->file, err) : M3_OK;
}

M3Status
m3_log_writer_close(M3LogWriter *writer, M3Error *err)
{
	M3Status	status = m3_log_writer_flush(writer, true, err);

	m3_log_writer_abandon(writer);
	return status;
}

void
m3_log_writer_abandon(M3LogWriter *writer)
{
	if (writer == NULL)
		return;
	writer->env->close(writer->env, writer->file);
	m3_free(writer->memory, writer->message);
	m3_free(writer->memory, writer->buffer);
	m3_free(writer->memory, writer);
}
