/*
 * Without a sink all chunks lie one after the other in the buffer:
 *
 *   header | room for the marker | messages | header | messages | ...
 *
 * Only finish knows the count, and whether the GROUP marker is needed at all.  If not,
 * the bytes start behind the room, with the header moved there; so the
 * first chunk's header is always filled last.
 */
#include "storage/log/group.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_CAPACITY 4096u

void
m3_log_group_init(M3LogGroup *group, M3Memory *memory)
{
	memset(group, 0, sizeof(*group));
	group->memory = memory;
}

void
m3_log_group_free(M3LogGroup *group)
{
	m3_free(group->memory, group->buffer);
	m3_log_group_init(group, group->memory);
}

/* Makes room for size bytes behind those used, and a chunk header before them. */
static M3Status
reserve(M3LogGroup *group, size_t size, M3Error *err)
{
	size_t		needed = group->used + M3_LOG_CHUNK_HEADER_SIZE + size + M3_LOG_POINT_ROOM;
	size_t		capacity = group->capacity == 0 ? FIRST_CAPACITY : group->capacity;
	uint8_t    *grown;

	if (needed < size || needed > SIZE_MAX / 4)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	if (needed <= group->capacity)
		return M3_OK;
	while (capacity < needed)
		capacity *= 2;
	grown = m3_resize(group->memory, group->buffer, capacity);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	group->buffer = grown;
	group->capacity = capacity;
	return M3_OK;
}

static uint8_t *
put_group_marker(M3LogGroup *group, uint8_t *out, uint64_t count)
{
	M3LogMarker marker = {.kind = M3_LOG_MARKER_GROUP, .xid = group->xid, .count = count};

	return m3_log_put_marker(out, &marker, group->create_ns);
}

static M3Status
begin(M3LogGroup *group, uint64_t xid, int64_t create_ns, M3Error *err)
{
	uint8_t		marker[M3_LOG_MARKER_MAX_SIZE];

	group->xid = xid;
	group->create_ns = create_ns;
	group->count = 0;
	group->voids = 0;
	group->announced = 0;
	group->first_chunk = true;
	group->first_size = 0;
	group->sink = NULL;
	group->sink_context = NULL;
	m3_log_stamp_init(&group->stamp, create_ns);
	group->marker_size = (size_t) (put_group_marker(group, marker, 0) - marker);
	group->payload_start = M3_LOG_CHUNK_HEADER_SIZE;
	group->used = M3_LOG_CHUNK_HEADER_SIZE + group->marker_size;
	return reserve(group, 0, err);
}

M3Status
m3_log_group_begin(M3LogGroup *group, uint64_t xid, int64_t create_ns, M3Error *err)
{
	return begin(group, xid, create_ns, err);
}

M3Status
m3_log_group_begin_stream(M3LogGroup *group, uint64_t xid, int64_t create_ns,
						  uint64_t count, M3LogSinkFn sink, void *context, M3Error *err)
{
	M3_TRY(begin(group, xid, create_ns, err));
	group->announced = count;
	group->sink = sink;
	group->sink_context = context;
	put_group_marker(group, group->buffer + M3_LOG_CHUNK_HEADER_SIZE, count);
	return M3_OK;
}

static void
fill_header(M3LogGroup *group, size_t payload_start, size_t size)
{
	uint8_t    *payload = group->buffer + payload_start;

	m3_log_put_chunk_header(payload - M3_LOG_CHUNK_HEADER_SIZE, payload, size);
}

/* Ends the open chunk and opens the next; room for its header is reserved. */
static M3Status
close_chunk(M3LogGroup *group, M3Error *err)
{
	size_t		size = group->used - group->payload_start;

	if (group->sink != NULL)
	{
		fill_header(group, group->payload_start, size);
		M3_TRY(group->sink(group->sink_context, m3_slice(group->buffer, group->used), err));
		group->used = M3_LOG_CHUNK_HEADER_SIZE;
	}
	else
	{
		if (group->first_chunk)
			group->first_size = size;
		else
			fill_header(group, group->payload_start, size);
		group->used += M3_LOG_CHUNK_HEADER_SIZE;
	}
	group->first_chunk = false;
	group->payload_start = group->used;
	return M3_OK;
}

/* Room for a message of that size, in a new chunk if it would not fit. */
static M3Status
open_message(M3LogGroup *group, size_t size, M3Error *err)
{
	size_t		payload = group->used - group->payload_start;
	/* nothing but a marker that may turn out not to be needed */
	bool		holds_nothing = group->first_chunk && group->count == 0 &&
		group->xid == 0 && group->sink == NULL;

	M3_TRY(reserve(group, size, err));
	if (payload > 0 && !holds_nothing &&
		(payload > M3_LOG_GROUP_PAYLOAD_SIZE || size > M3_LOG_GROUP_PAYLOAD_SIZE - payload))
		return close_chunk(group, err);
	return M3_OK;
}

M3Status
m3_log_group_add(M3LogGroup *group, uint64_t unique_index, int64_t time_ns,
				 double value, M3TimeUnit unit, M3Slice annotation,
				 const M3LogSeriesMetadata *metadata, M3Error *err)
{
	uint8_t    *end;

	if (!m3_unit_is_valid((unsigned) unit) || unique_index == M3_LOG_MARKER_UNIQUE_INDEX)
		return m3_error(err, M3_INVALID, "entry of series %llu with unit %u cannot be logged",
						(unsigned long long) unique_index, (unsigned) unit);
	if (metadata == NULL && annotation.data == NULL)
	{
		if (group->used - group->payload_start >
			M3_LOG_GROUP_PAYLOAD_SIZE - M3_LOG_POINT_MAX_SIZE ||
			group->capacity - group->used < M3_LOG_POINT_ROOM)
			M3_TRY(open_message(group, M3_LOG_POINT_MAX_SIZE, err));
		end = m3_log_put_point(group->buffer + group->used, &group->stamp, unique_index,
							   time_ns, value, (uint32_t) unit);
	}
	else
	{
		M3LogEntry	entry = {
			.unique_index = unique_index,
			.create_ns = group->create_ns,
			.has_metadata = metadata != NULL,
			.time_ns = time_ns,
			.value = value,
			.unit = (uint32_t) unit,
			.annotation = annotation
		};
		size_t		size;

		if (metadata != NULL)
			entry.metadata = *metadata;
		size = m3_log_entry_size(&entry);
		if (size == SIZE_MAX)
			return m3_error(err, M3_INVALID, "log entry is too large");
		M3_TRY(open_message(group, size, err));
		end = m3_log_put_entry(group->buffer + group->used, &entry);
	}
	group->used = (size_t) (end - group->buffer);
	group->count++;
	return M3_OK;
}

M3Status
m3_log_group_add_void(M3LogGroup *group, M3Slice namespace_name, bool dropped, M3Error *err)
{
	M3LogMarker marker = {.kind = M3_LOG_MARKER_VOID, .dropped = dropped, .name = namespace_name};
	uint8_t		message[M3_LOG_MARKER_MAX_SIZE];
	size_t		size;

	if (namespace_name.size == 0 || namespace_name.size > M3_LOG_MARKER_NAME_MAX_SIZE)
		return m3_error(err, M3_INVALID, "a namespace's name of %zu bytes cannot be logged",
						namespace_name.size);
	if (group->count != group->voids)
		return m3_error(err, M3_INVALID, "a namespace is voided behind points");
	size = (size_t) (m3_log_put_marker(message, &marker, group->create_ns) - message);
	M3_TRY(open_message(group, size, err));
	memcpy(group->buffer + group->used, message, size);
	group->used += size;
	group->count++;
	group->voids++;
	return M3_OK;
}

M3Status
m3_log_group_finish(M3LogGroup *group, M3Slice *bytes, M3Error *err)
{
	size_t		start = 0;

	*bytes = m3_slice(NULL, 0);
	if (group->sink != NULL)
	{
		if (group->count != group->announced)
			return m3_error(err, M3_INVALID, "group has %llu entries, not %llu",
							(unsigned long long) group->count,
							(unsigned long long) group->announced);
		return group->used > group->payload_start ? close_chunk(group, err) : M3_OK;
	}
	if (group->count == 0 && group->xid == 0)
		return M3_OK;
	if (group->first_chunk && group->xid == 0 && group->voids == 0)
	{
		size_t		payload_start = group->payload_start + group->marker_size;

		fill_header(group, payload_start, group->used - payload_start);
		start = group->marker_size;
	}
	else
	{
		put_group_marker(group, group->buffer + M3_LOG_CHUNK_HEADER_SIZE, group->count);
		if (group->first_chunk)
			group->first_size = group->used - group->payload_start;
		else
			fill_header(group, group->payload_start, group->used - group->payload_start);
		fill_header(group, M3_LOG_CHUNK_HEADER_SIZE, group->first_size);
	}
	*bytes = m3_slice(group->buffer + start, group->used - start);
	return M3_OK;
}
