/*
 * Messages are parsed where they lie, in the window on the file or, when one
 * straddles chunks, in the carry: the unread rest of the chunks before, and the
 * payload of the newest.
 */
#include "storage/log/reader_private.h"

#include <stdio.h>

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* The group being read. */
typedef struct GroupState
{
	bool		open;
	bool		announced;		/* a GROUP marker says how many entries follow */
	uint64_t	offset;
	uint64_t	xid;
	uint64_t	left;			/* of those announced */
	uint64_t	entries;
	uint64_t	voids;			/* of them */
} GroupState;

struct M3LogReader
{
	M3Env	   *env;
	M3Memory   *memory;
	char	   *path;
	M3LogWindow window;
	uint64_t	limit;			/* reading ends there */
	bool		trusted;
	M3LogInfo	info;

	const uint8_t *position;	/* unread bytes of chunks loaded */
	const uint8_t *end;
	uint64_t	message_chunk;	/* where the chunk of position starts */
	uint64_t	chunk_offset;	/* the newest chunk loaded */
	uint64_t	next_offset;	/* the chunk after it */
	bool		in_carry;		/* position lies in the carry */
	uint8_t    *carry;
	size_t		carry_capacity;

	M3LogSeriesTable table;
	GroupState	group;
	bool		ended;
	M3LogEnd	result;
};

static void
finish(M3LogReader *reader, M3LogEndKind kind, uint64_t offset, const char *reason)
{
	reader->ended = true;
	reader->result.kind = kind;
	reader->result.offset = offset;
	snprintf(reader->result.reason, sizeof(reader->result.reason), "%.127s", reason);
}

static M3Status
finish_damaged(M3LogReader *reader, uint64_t chunk_end, const char *reason, M3Error *err)
{
	M3LogEndKind kind;

	M3_TRY(m3i_log_classify_damage(&reader->window, reader->next_offset, chunk_end,
								   &kind, err));
	/* zeros end a file, but not in the middle of a group */
	if (kind == M3_LOG_END_ZEROS)
	{
		bool		torn = reader->group.open || reader->position < reader->end;

		finish(reader, torn ? M3_LOG_END_TORN : kind, reader->next_offset,
			   torn ? "a group ends in zeros" : "the rest is zeros");
	}
	else
		finish(reader, kind, reader->next_offset, reason);
	return M3_OK;
}

static M3Status
finish_at_limit(M3LogReader *reader, M3Error *err)
{
	uint64_t	left = reader->limit - reader->next_offset;

	if (left > 0)
		return finish_damaged(reader, reader->limit, "chunk header is cut short", err);
	if (reader->position < reader->end)
		finish(reader, M3_LOG_END_TORN, reader->message_chunk, "message is cut short");
	else if (reader->group.open)
		finish(reader, M3_LOG_END_TORN, reader->group.offset, "group is cut short");
	else
		finish(reader, M3_LOG_END_CLEAN, reader->next_offset, "");
	return M3_OK;
}

/* Adds a payload to the unread rest, which is not empty. */
static M3Status
carry_over(M3LogReader *reader, uint64_t payload_offset, size_t size, M3Error *err)
{
	size_t		rest = (size_t) (reader->end - reader->position);
	size_t		skipped = reader->in_carry ? (size_t) (reader->position - reader->carry) : 0;
	const uint8_t *payload;

	/* both counts are of bytes that lie in the file */
	if (rest + size > reader->carry_capacity)
	{
		size_t		capacity = rest + size + (rest + size) / 2;
		uint8_t    *grown = m3_resize(reader->memory, reader->carry, capacity);

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		reader->carry = grown;
		reader->carry_capacity = capacity;
		if (reader->in_carry)
			reader->position = grown + skipped;
	}
	memmove(reader->carry, reader->position, rest);
	reader->in_carry = true;
	reader->position = reader->carry;
	reader->end = reader->carry + rest;
	if (size == 0)
		return M3_OK;
	M3_TRY(m3i_log_window_get(&reader->window, payload_offset, size, &payload, err));
	memcpy(reader->carry + rest, payload, size);
	reader->end += size;
	return M3_OK;
}

/* Loads the next chunk behind what is unread, or ends the file. */
static M3Status
load_chunk(M3LogReader *reader, M3Error *err)
{
	uint64_t	offset = reader->next_offset;
	uint64_t	left = reader->limit - offset;
	bool		has_rest = reader->position < reader->end;
	const uint8_t *bytes;
	uint32_t	size;
	uint32_t	checksum;

	if (left < M3_LOG_CHUNK_HEADER_SIZE)
		return finish_at_limit(reader, err);

	/* the window moves: what is unread and lies there is saved first */
	if (has_rest)
		M3_TRY(carry_over(reader, offset, 0, err));
	M3_TRY(m3i_log_window_get(&reader->window, offset, M3_LOG_CHUNK_HEADER_SIZE, &bytes, err));
	if (!m3_log_get_chunk_header(bytes, &size, &checksum))
		return finish_damaged(reader, 0, "chunk size checksum is wrong", err);
	if (size > left - M3_LOG_CHUNK_HEADER_SIZE)
		return finish_damaged(reader, reader->limit, "chunk is cut short", err);
	M3_TRY(m3i_log_window_get(&reader->window, offset, M3_LOG_CHUNK_HEADER_SIZE + size,
							  &bytes, err));
	bytes += M3_LOG_CHUNK_HEADER_SIZE;
	if (!reader->trusted && m3_adler32(M3_ADLER32_INIT, bytes, size) != checksum)
		return finish_damaged(reader, offset + M3_LOG_CHUNK_HEADER_SIZE + size,
							  "chunk data checksum is wrong", err);

	reader->chunk_offset = offset;
	reader->next_offset = offset + M3_LOG_CHUNK_HEADER_SIZE + size;
	if (has_rest)
		return carry_over(reader, offset + M3_LOG_CHUNK_HEADER_SIZE, size, err);
	reader->message_chunk = offset;
	reader->in_carry = false;
	reader->position = bytes;
	reader->end = bytes + size;
	/* chunks of nothing between groups are part of what is valid */
	if (size == 0 && !reader->group.open)
		reader->result.valid_size = reader->next_offset;
	return M3_OK;
}

/* The body of the next message.  Without one the file has ended. */
static M3Status
next_message(M3LogReader *reader, M3Slice *body, M3Error *err)
{
	while (!reader->ended)
	{
		size_t		available = (size_t) (reader->end - reader->position);
		uint64_t	length = 0;
		size_t		prefix;

		if (available == 0)
		{
			M3_TRY(load_chunk(reader, err));
			continue;
		}
		prefix = m3_get_uvarint(reader->position, available, &length);
		if (prefix == SIZE_MAX)
		{
			finish(reader, M3_LOG_END_CORRUPT, reader->message_chunk,
				   "message length is over 64 bits");
			break;
		}
		if (prefix != 0 && length <= available - prefix)
		{
			*body = m3_slice(reader->position + prefix, (size_t) length);
			return M3_OK;
		}
		if (prefix != 0 &&
			length - (available - prefix) > reader->limit - reader->next_offset)
		{
			finish(reader, M3_LOG_END_TORN, reader->message_chunk,
				   "message is longer than the file");
			break;
		}
		M3_TRY(load_chunk(reader, err));
	}
	return M3_OK;
}

/* Moves over the message whose body was given, and ends the group if it is whole. */
static void
consume(M3LogReader *reader, M3Slice body)
{
	GroupState *group = &reader->group;

	reader->position = body.data + body.size;
	/* the next message starts in the newest chunk, whatever this one came from */
	reader->message_chunk = reader->chunk_offset;
	if (reader->position < reader->end || (group->announced && group->left > 0))
		return;
	reader->result.valid_size = reader->next_offset;
	reader->result.entries += group->entries;
	reader->result.groups += group->entries > 0;
	group->open = false;
}

static void
open_group(M3LogReader *reader)
{
	memset(&reader->group, 0, sizeof(reader->group));
	reader->group.open = true;
	reader->group.offset = reader->message_chunk;
}

static M3Status
read_info(M3LogReader *reader, M3Error *err)
{
	M3Slice		body;
	M3Error		reason;

	/* nothing is valid without it */
	reader->group.open = true;
	M3_TRY(next_message(reader, &body, err));
	if (reader->ended)
		return m3_error_corrupt(err, reader->path, (int64_t) reader->result.offset,
								"no log info: %s", reader->result.kind == M3_LOG_END_CLEAN ?
								"the file is empty" : reader->result.reason);
	if (m3_log_decode_info(body, &reader->info, &reason) != M3_OK)
		return m3_error_corrupt(err, reader->path, 0, "%s", reason.message);
	open_group(reader);
	consume(reader, body);
	return M3_OK;
}

M3Status
m3_log_reader_open(M3Env *env, M3Memory *memory, const char *path,
				   const M3LogReaderOptions *options, M3LogReader **result, M3Error *err)
{
	M3LogReader *reader = m3_alloc(memory, sizeof(*reader));
	M3LogWindow *window;
	M3Status	status;

	*result = NULL;
	if (reader == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(reader, 0, sizeof(*reader));
	reader->env = env;
	reader->memory = memory;
	reader->table.memory = memory;
	window = &reader->window;
	window->env = env;
	window->memory = memory;
	reader->path = m3_copy_string(memory, path);
	window->path = reader->path;
	if (reader->path == NULL)
		status = m3_error(err, M3_NO_MEMORY, "out of memory");
	else
		status = env->open(env, path, M3_OPEN_READ, &window->file, err);
	if (status == M3_OK)
		status = env->size(env, window->file, &window->file_size, err);
	if (status == M3_OK)
	{
		reader->limit = window->file_size;
		if (options != NULL && options->limit > 0 && options->limit < reader->limit)
			reader->limit = options->limit;
		reader->trusted = options != NULL && options->trusted;
		reader->result.file_size = window->file_size;
		status = read_info(reader, err);
	}
	if (status != M3_OK)
		m3_log_reader_close(reader);
	else
		*result = reader;
	return status;
}

void
m3_log_reader_close(M3LogReader *reader)
{
	if (reader == NULL)
		return;
	m3i_log_window_free(&reader->window);
	m3i_log_series_free(&reader->table);
	m3_free(reader->memory, reader->carry);
	m3_free(reader->memory, reader->path);
	m3_free(reader->memory, reader);
}

/*
 * Counts an entry, a point or VOID marker, into its group.  Returns a reason if it cannot
 * be there.
 */
static const char *
count_entry(GroupState *group, bool is_void)
{
	if (is_void && !group->announced)
		return "namespace is voided outside of a group";
	if (is_void && group->entries != group->voids)
		return "namespace is voided behind points";
	if (group->announced && group->left == 0)
		return "group has more entries than announced";
	group->left -= group->announced;
	group->entries++;
	group->voids += is_void;
	return NULL;
}

/* The same for any record, other markers too. */
static const char *
count_into_group(GroupState *group, const M3LogRecord *record)
{
	if (m3_log_is_entry(record))
		return count_entry(group, record->is_marker);
	if (record->marker.kind != M3_LOG_MARKER_GROUP)
		return group->announced ? "marker within a group" : NULL;
	if (group->entries > 0 || group->announced)
		return "group begins within a group";
	group->announced = true;
	group->left = record->marker.count;
	group->xid = record->marker.xid;
	return NULL;
}

/* Series and marker of an entry.  A reason in *reason if the file cannot be so. */
static M3Status
resolve(M3LogReader *reader, const M3LogEntry *entry, M3LogRecord *record,
		const char **reason, M3Error *err)
{
	M3LogSeries *series = m3i_log_series_find(&reader->table, entry->unique_index);

	*reason = NULL;
	if (series == NULL)
	{
		if (!entry->has_metadata)
		{
			*reason = "entry of a series without metadata";
			return M3_OK;
		}
		series = m3i_log_series_add(&reader->table, entry->unique_index, &entry->metadata);
		if (series == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	record->series = series;
	record->is_marker = series->is_marker;
	if (series->is_marker &&
		m3_log_decode_marker(entry->annotation, &record->marker, NULL) != M3_OK)
		*reason = "marker that is not understood";
	return M3_OK;
}

M3Status
m3_log_reader_next(M3LogReader *reader, M3LogRecord *record, M3Error *err)
{
	M3LogEntry	entry;
	M3Slice		body;
	M3Error		decode_error;
	const char *reason = NULL;

	if (reader->ended)
		return M3_NOT_FOUND;
	M3_TRY(next_message(reader, &body, err));
	if (reader->ended)
		return M3_NOT_FOUND;
	if (!reader->group.open)
		open_group(reader);
	if (m3_log_decode_entry(body, &entry, &decode_error) != M3_OK)
		reason = decode_error.message;
	else
		M3_TRY(resolve(reader, &entry, record, &reason, err));
	if (reason == NULL)
		reason = count_into_group(&reader->group, record);
	if (reason != NULL)
	{
		finish(reader, M3_LOG_END_CORRUPT, reader->message_chunk, reason);
		return M3_NOT_FOUND;
	}

	record->create_ns = entry.create_ns;
	record->time_ns = entry.time_ns;
	record->value = entry.value;
	record->unit = entry.unit;
	record->annotation = entry.annotation;
	record->chunk_offset = reader->message_chunk;
	record->group_offset = reader->group.offset;
	record->group_xid = reader->group.xid;
	if (entry.unique_index > reader->result.max_unique_index)
		reader->result.max_unique_index = entry.unique_index;
	consume(reader, body);
	return M3_OK;
}

void
m3_log_reader_end(const M3LogReader *reader, M3LogEnd *end)
{
	*end = reader->result;
}

const M3LogInfo *
m3_log_reader_info(const M3LogReader *reader)
{
	return &reader->info;
}

uint64_t
m3_log_reader_offset(const M3LogReader *reader)
{
	return reader->next_offset;
}

void
m3_log_reader_release_file(M3LogReader *reader)
{
	m3i_log_window_release(&reader->window);
}

const char *
m3_log_end_name(M3LogEndKind kind)
{
	switch (kind)
	{
		case M3_LOG_END_CLEAN:
			return "clean";
		case M3_LOG_END_ZEROS:
			return "zeros";
		case M3_LOG_END_TORN:
			return "torn";
		case M3_LOG_END_HOLE:
			return "hole";
		case M3_LOG_END_CORRUPT:
			return "corrupt";
	}
	return "unknown";
}
