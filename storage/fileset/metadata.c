#include "storage/fileset/metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/fileset_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define PREFIX "snapshot-"
#define BODY_SUFFIX "-metadata.db"
#define CHECKPOINT_SUFFIX "-metadata-checkpoint.db"
#define HEX_SIZE (2 * M3_FILESET_UUID_SIZE)

/* Protobuf wire types. */
#define WIRE_VARINT 0
#define WIRE_FIXED64 1
#define WIRE_BYTES 2
#define WIRE_FIXED32 5

#define FIELD_INDEX 1
#define FIELD_UUID 2
#define FIELD_LOG 3
#define FIELD_LOG_PATH 1
#define FIELD_LOG_INDEX 2

static bool
dash_follows(int byte)
{
	return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

static void
format_hex(const uint8_t *uuid, bool dashes, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < M3_FILESET_UUID_SIZE; i++)
	{
		*out++ = digits[uuid[i] >> 4];
		*out++ = digits[uuid[i] & 15];
		if (dashes && dash_follows(i))
			*out++ = '-';
	}
	*out = '\0';
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
parse_hex(M3Slice text, bool dashes, uint8_t *uuid)
{
	const uint8_t *p = text.data;

	if (text.size != (dashes ? M3_UUID_TEXT_SIZE : HEX_SIZE))
		return false;
	for (int i = 0; i < M3_FILESET_UUID_SIZE; i++)
	{
		int			high = hex_value(p[0]);
		int			low = hex_value(p[1]);

		if (high < 0 || low < 0)
			return false;
		uuid[i] = (uint8_t) (high << 4 | low);
		p += 2;
		if (dashes && dash_follows(i) && *p++ != '-')
			return false;
	}
	return true;
}

void
m3_uuid_format(const uint8_t *uuid, char out[M3_UUID_TEXT_SIZE + 1])
{
	format_hex(uuid, true, out);
}

bool
m3_uuid_parse(M3Slice text, uint8_t *uuid)
{
	return parse_hex(text, true, uuid);
}

M3Status
m3_snapshot_metadata_path(char *out, const char *root, const M3SnapshotMetadataName *name,
						  bool checkpoint, M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	char		hex[HEX_SIZE + 1];
	int			length;

	M3_TRY(m3_fileset_kind_directory(directory, root, M3_FILESET_KIND_SNAPSHOT, err));
	format_hex(name->uuid, false, hex);
	length = snprintf(out, M3_FILESET_PATH_SIZE, "%s/" PREFIX "%s-%" PRId64 "%s", directory,
					  hex, name->index, checkpoint ? CHECKPOINT_SUFFIX : BODY_SUFFIX);
	if (length < 0 || length >= M3_FILESET_PATH_SIZE)
		return m3_error(err, M3_INVALID, "path of the snapshot metadata is too long");
	return M3_OK;
}

bool
m3_snapshot_metadata_parse_name(const char *text, M3SnapshotMetadataName *name,
								bool *checkpoint)
{
	size_t		prefix = strlen(PREFIX);
	const char *p = text + prefix;

	if (strncmp(text, PREFIX, prefix) != 0 || strlen(p) < HEX_SIZE + 2 ||
		!parse_hex(m3_slice(p, HEX_SIZE), false, name->uuid) || p[HEX_SIZE] != '-' ||
		!m3_fileset_parse_decimal(p + HEX_SIZE + 1, &p, &name->index))
		return false;
	*checkpoint = strcmp(p, CHECKPOINT_SUFFIX) == 0;
	return *checkpoint || strcmp(p, BODY_SUFFIX) == 0;
}

/* Bytes of a number field with its tag; zero is left out. */
static size_t
put_number(uint8_t *out, unsigned field, int64_t value)
{
	if (value == 0)
		return 0;
	out[0] = (uint8_t) (field << 3 | WIRE_VARINT);
	return 1 + m3_put_uvarint(out + 1, (uint64_t) value);
}

static size_t
put_header(uint8_t *out, unsigned field, size_t size)
{
	out[0] = (uint8_t) (field << 3 | WIRE_BYTES);
	return 1 + m3_put_uvarint(out + 1, size);
}

M3Status
m3_snapshot_metadata_encode(const M3SnapshotMetadata *metadata, uint8_t *out, size_t *size,
							M3Error *err)
{
	uint8_t		log[2 * (1 + M3_UVARINT_MAX_SIZE)];
	char		uuid[M3_UUID_TEXT_SIZE + 1];
	size_t		path_header = 0;
	size_t		log_index;
	uint8_t    *p = out;

	if (metadata->index < 0 || metadata->log_index < 0)
		return m3_error(err, M3_INVALID, "snapshot metadata cannot hold negative numbers");
	if (metadata->log_path.size > M3_SNAPSHOT_METADATA_MAX_SIZE / 2)
		return m3_error(err, M3_INVALID, "path of a commit log is too long");
	m3_uuid_format(metadata->uuid, uuid);
	p += put_number(p, FIELD_INDEX, metadata->index);
	p += put_header(p, FIELD_UUID, M3_UUID_TEXT_SIZE);
	memcpy(p, uuid, M3_UUID_TEXT_SIZE);
	p += M3_UUID_TEXT_SIZE;

	/* the log is written even if all of it is left out: M3 follows it unchecked */
	if (metadata->log_path.size > 0)
		path_header = put_header(log, FIELD_LOG_PATH, metadata->log_path.size);
	log_index = put_number(log + path_header, FIELD_LOG_INDEX, metadata->log_index);
	p += put_header(p, FIELD_LOG, path_header + metadata->log_path.size + log_index);
	memcpy(p, log, path_header);
	p += path_header;
	if (metadata->log_path.size > 0)
		memcpy(p, metadata->log_path.data, metadata->log_path.size);
	p += metadata->log_path.size;
	memcpy(p, log + path_header, log_index);
	p += log_index;
	*size = (size_t) (p - out);
	return M3_OK;
}

/* One protobuf field. */
typedef struct Field
{
	uint64_t	number;
	unsigned	wire;
	uint64_t	value;
	M3Slice		bytes;
} Field;

static bool
get_varint(M3Slice *input, uint64_t *value)
{
	size_t		used = m3_get_uvarint(input->data, input->size, value);

	if (used == 0 || used == SIZE_MAX)
		return false;
	input->data += used;
	input->size -= used;
	return true;
}

static bool
get_bytes(M3Slice *input, uint64_t size, M3Slice *bytes)
{
	if (size > input->size)
		return false;
	*bytes = m3_slice(input->data, (size_t) size);
	input->data += size;
	input->size -= (size_t) size;
	return true;
}

static bool
get_field(M3Slice *input, Field *field)
{
	uint64_t	tag;
	uint64_t	size;

	if (!get_varint(input, &tag))
		return false;
	field->number = tag >> 3;
	field->wire = (unsigned) (tag & 7);
	if (field->number == 0)
		return false;
	switch (field->wire)
	{
		case WIRE_VARINT:
			return get_varint(input, &field->value);
		case WIRE_FIXED64:
			return get_bytes(input, 8, &field->bytes);
		case WIRE_BYTES:
			return get_varint(input, &size) && get_bytes(input, size, &field->bytes);
		case WIRE_FIXED32:
			return get_bytes(input, 4, &field->bytes);
		default:
			return false;
	}
}

static bool
decode_log(M3Slice input, M3SnapshotMetadata *metadata)
{
	while (input.size > 0)
	{
		Field		field;

		if (!get_field(&input, &field))
			return false;
		if (field.number == FIELD_LOG_PATH && field.wire == WIRE_BYTES)
			metadata->log_path = field.bytes;
		else if (field.number == FIELD_LOG_INDEX && field.wire == WIRE_VARINT)
			metadata->log_index = (int64_t) field.value;
		else if (field.number == FIELD_LOG_PATH || field.number == FIELD_LOG_INDEX)
			return false;
	}
	return true;
}

M3Status
m3_snapshot_metadata_decode(M3Slice bytes, M3SnapshotMetadata *metadata, M3Error *err)
{
	bool		has_log = false;
	bool		has_uuid = false;

	memset(metadata, 0, sizeof(*metadata));
	while (bytes.size > 0)
	{
		Field		field;
		bool		ok = get_field(&bytes, &field);

		if (ok && field.number == FIELD_INDEX)
		{
			ok = field.wire == WIRE_VARINT;
			metadata->index = (int64_t) (ok ? field.value : 0);
		}
		else if (ok && field.number == FIELD_UUID)
			ok = has_uuid = field.wire == WIRE_BYTES &&
				m3_uuid_parse(field.bytes, metadata->uuid);
		else if (ok && field.number == FIELD_LOG)
			ok = has_log = field.wire == WIRE_BYTES && decode_log(field.bytes, metadata);
		if (!ok)
			return m3_error(err, M3_CORRUPT, "snapshot metadata cannot be decoded");
	}
	if (!has_log || !has_uuid || metadata->index < 0 || metadata->log_index < 0)
		return m3_error(err, M3_CORRUPT, "snapshot metadata is not complete");
	return M3_OK;
}

static M3Status
write_pair(M3Env *env, const char *root, const M3SnapshotMetadataName *name, M3Slice body,
		   M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	char		parent[M3_FILESET_PATH_SIZE];
	uint8_t		checkpoint[M3_FILESET_CHECKPOINT_SIZE];

	M3_TRY(m3_fileset_kind_directory(directory, root, M3_FILESET_KIND_SNAPSHOT, err));
	M3_TRY(env->make_directory(env, directory, err));
	M3_TRY(m3_snapshot_metadata_path(path, root, name, false, err));
	M3_TRY(m3i_fileset_write_small(env, path, body, err));
	M3_TRY(env->sync_directory(env, directory, err));
	memcpy(parent, directory, sizeof(parent));
	if (m3i_fileset_parent_directory(parent))
		M3_TRY(env->sync_directory(env, parent, err));

	M3_TRY(m3_snapshot_metadata_path(path, root, name, true, err));
	m3_store_le32(checkpoint, m3_adler32(M3_ADLER32_INIT, body.data, body.size));
	M3_TRY(m3i_fileset_write_small(env, path, m3_slice(checkpoint, sizeof(checkpoint)), err));
	return env->sync_directory(env, directory, err);
}

M3Status
m3_snapshot_metadata_write(M3Env *env, const char *root,
						   const M3SnapshotMetadata *metadata, M3Error *err)
{
	uint8_t		body[M3_SNAPSHOT_METADATA_MAX_SIZE];
	M3SnapshotMetadataName name = {.index = metadata->index};
	M3SnapshotMetadata old;
	size_t		size;
	M3Status	status;

	memcpy(name.uuid, metadata->uuid, M3_FILESET_UUID_SIZE);
	status = m3_snapshot_metadata_read(env, root, &name, body, &old, err);
	if (status == M3_OK)
		return m3_error(err, M3_CONFLICT, "snapshot metadata %" PRId64 " exists already",
						metadata->index);
	if (status == M3_IO || status == M3_NO_MEMORY)
		return status;
	if (status != M3_NOT_FOUND)
		M3_TRY(m3_snapshot_metadata_remove(env, root, &name, 1, err));
	M3_TRY(m3_snapshot_metadata_encode(metadata, body, &size, err));
	status = write_pair(env, root, &name, m3_slice(body, size), err);
	if (status != M3_OK)
		(void) m3_snapshot_metadata_remove(env, root, &name, 1, NULL);
	return status;
}

M3Status
m3_snapshot_metadata_read(M3Env *env, const char *root, const M3SnapshotMetadataName *name,
						  uint8_t *buffer, M3SnapshotMetadata *metadata, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t		checkpoint[M3_FILESET_CHECKPOINT_SIZE];
	uint64_t	size;
	M3Status	status;

	M3_TRY(m3_snapshot_metadata_path(path, root, name, true, err));
	M3_TRY(m3i_fileset_read_small(env, path, checkpoint, sizeof(checkpoint), &size, err));
	if (size != sizeof(checkpoint))
		return m3_error(err, M3_NOT_FOUND, "snapshot metadata is not complete");
	M3_TRY(m3_snapshot_metadata_path(path, root, name, false, err));
	status = m3i_fileset_read_small(env, path, buffer, M3_SNAPSHOT_METADATA_MAX_SIZE, &size, err);
	if (status == M3_NOT_FOUND)
		return m3_error_corrupt(err, path, -1, "snapshot metadata is missing");
	M3_TRY(status);
	if (size > M3_SNAPSHOT_METADATA_MAX_SIZE ||
		m3_adler32(M3_ADLER32_INIT, buffer, (size_t) size) != m3_load_le32(checkpoint))
		return m3_error_corrupt(err, path, -1, "snapshot metadata fails its checksum");
	status = m3_snapshot_metadata_decode(m3_slice(buffer, (size_t) size), metadata, err);
	if (status == M3_OK &&
		(metadata->index != name->index ||
		 memcmp(metadata->uuid, name->uuid, M3_FILESET_UUID_SIZE) != 0))
		status = m3_error(err, M3_CORRUPT, "snapshot metadata contradicts its name");
	return m3i_fileset_locate_error(status, err, path, -1);
}

M3Status
m3_snapshot_metadata_remove(M3Env *env, const char *root,
							const M3SnapshotMetadataName *names, size_t count,
							M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	first = M3_OK;

	for (int pass = 0; pass < 2 && first == M3_OK; pass++)
	{
		bool		removed = false;

		for (size_t i = 0; i < count; i++)
		{
			M3Status	status;

			M3_TRY(m3_snapshot_metadata_path(path, root, &names[i], pass == 0, err));
			status = env->unlink(env, path, first == M3_OK ? err : NULL);
			removed = removed || status == M3_OK;
			if (status != M3_OK && status != M3_NOT_FOUND && first == M3_OK)
				first = status;
		}
		if (pass == 0 && removed && first == M3_OK)
		{
			M3_TRY(m3_fileset_kind_directory(path, root, M3_FILESET_KIND_SNAPSHOT, err));
			first = env->sync_directory(env, path, err);
		}
	}
	return first;
}

typedef struct ListContext
{
	M3Memory   *memory;
	M3Error    *err;
	M3SnapshotMetadataEntry *entries;
	size_t		count;
	size_t		capacity;
} ListContext;

static M3Status
collect(void *context, const char *text, bool is_directory)
{
	ListContext *c = context;
	M3SnapshotMetadataEntry entry = {.valid = false};
	bool		checkpoint;

	if (is_directory || !m3_snapshot_metadata_parse_name(text, &entry.name, &checkpoint))
		return M3_OK;
	M3_TRY(m3i_fileset_reserve(c->memory, (void **) &c->entries, &c->capacity, c->count + 1,
							   sizeof(entry), c->err));
	c->entries[c->count++] = entry;
	return M3_OK;
}

static int
compare_entries(const void *a, const void *b)
{
	const M3SnapshotMetadataName *x = &((const M3SnapshotMetadataEntry *) a)->name;
	const M3SnapshotMetadataName *y = &((const M3SnapshotMetadataEntry *) b)->name;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return memcmp(x->uuid, y->uuid, M3_FILESET_UUID_SIZE);
}

/* Sorts, drops the second name of each pair, and reads the pairs. */
static M3Status
read_entries(M3Env *env, const char *root, ListContext *c, M3Error *err)
{
	uint8_t		buffer[M3_SNAPSHOT_METADATA_MAX_SIZE];
	size_t		kept = 0;

	if (c->count > 1)
		qsort(c->entries, c->count, sizeof(*c->entries), compare_entries);
	for (size_t i = 0; i < c->count; i++)
	{
		M3SnapshotMetadataEntry *entry = &c->entries[kept];
		M3SnapshotMetadata metadata;
		M3Status	status;

		if (kept > 0 && compare_entries(entry - 1, &c->entries[i]) == 0)
			continue;
		*entry = c->entries[i];
		kept++;
		status = m3_snapshot_metadata_read(env, root, &entry->name, buffer, &metadata, err);
		if (status == M3_IO || status == M3_NO_MEMORY)
			return status;
		entry->valid = status == M3_OK;
		if (entry->valid)
			entry->log_index = metadata.log_index;
	}
	c->count = kept;
	return M3_OK;
}

M3Status
m3_snapshot_metadata_list(M3Env *env, M3Memory *memory, const char *root,
						  M3SnapshotMetadataList *list, M3Error *err)
{
	ListContext context = {.memory = memory,.err = err};
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;

	memset(list, 0, sizeof(*list));
	M3_TRY(m3_fileset_kind_directory(path, root, M3_FILESET_KIND_SNAPSHOT, err));
	status = env->list(env, path, collect, &context, err);
	if (status == M3_NOT_FOUND)
		status = M3_OK;
	if (status == M3_OK)
		status = read_entries(env, root, &context, err);
	if (status != M3_OK)
	{
		m3_free(memory, context.entries);
		return status;
	}
	list->memory = memory;
	list->entries = context.entries;
	list->count = context.count;
	return M3_OK;
}

void
m3_snapshot_metadata_list_free(M3SnapshotMetadataList *list)
{
	if (list->memory != NULL)
		m3_free(list->memory, list->entries);
	memset(list, 0, sizeof(*list));
}

const M3SnapshotMetadataEntry *
m3_snapshot_metadata_newest(const M3SnapshotMetadataList *list)
{
	for (size_t i = list->count; i-- > 0;)
	{
		if (list->entries[i].valid)
			return &list->entries[i];
	}
	return NULL;
}

bool
m3_snapshot_metadata_ambiguous(const M3SnapshotMetadataList *list)
{
	const M3SnapshotMetadataEntry *last = NULL;

	for (size_t i = 0; i < list->count; i++)
	{
		if (!list->entries[i].valid)
			continue;
		if (last != NULL && last->name.index == list->entries[i].name.index)
			return true;
		last = &list->entries[i];
	}
	return false;
}

M3Status
m3_snapshot_metadata_next_index(const M3SnapshotMetadataList *list, int64_t *index,
								M3Error *err)
{
	const M3SnapshotMetadataEntry *newest = m3_snapshot_metadata_newest(list);

	if (newest != NULL && newest->name.index == INT64_MAX)
		return m3_error(err, M3_FULL, "no number is left for snapshot metadata");
	*index = newest == NULL ? 0 : newest->name.index + 1;
	return M3_OK;
}
