#include "storage/log/format.h"

#include "storage/base/hash.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define ENVELOPE_SIZE 4u
#define TYPE_LOG_INFO 7u
#define TYPE_LOG_ENTRY 8u
#define TYPE_LOG_METADATA 9u
#define FIELD_MAX_SIZE ((size_t) 1 << 30)

/* What follows the index in an entry without metadata and annotation whose
 * times are of our age. */
#define POINT_REST_SIZE 30u

/* Version 1, two root elements, the type, its fields. */
static uint8_t *
put_envelope(uint8_t *out, uint8_t type, uint8_t field_count)
{
	out[0] = 1;
	out[1] = 0x92;
	out[2] = type;
	out[3] = (uint8_t) (0x90 + field_count);
	return out + ENVELOPE_SIZE;
}

static size_t
uint_size(uint64_t value)
{
	if (value < 0x80)
		return 1;
	if (value <= UINT8_MAX)
		return 2;
	if (value <= UINT16_MAX)
		return 3;
	return value <= UINT32_MAX ? 5 : 9;
}

static size_t
int_size(int64_t value)
{
	if (value >= 0)
		return uint_size((uint64_t) value);
	if (value >= -32)
		return 1;
	if (value >= INT8_MIN)
		return 2;
	if (value >= INT16_MIN)
		return 3;
	return value >= INT32_MIN ? 5 : 9;
}

static size_t
bytes_header_size(size_t size)
{
	if (size <= UINT8_MAX)
		return 2;
	return size <= UINT16_MAX ? 3 : 5;
}

static size_t
bytes_size(M3Slice bytes)
{
	return bytes.data == NULL ? 1 : bytes_header_size(bytes.size) + bytes.size;
}

static size_t
uvarint_size(uint64_t value)
{
	size_t		size = 1;

	while (value >= 0x80)
	{
		value >>= 7;
		size++;
	}
	return size;
}

static size_t
metadata_size(const M3LogSeriesMetadata *metadata)
{
	return ENVELOPE_SIZE + bytes_size(metadata->id) +
		bytes_size(metadata->namespace) + uint_size(metadata->shard) +
		bytes_size(metadata->tags);
}

static size_t
body_size(const M3LogEntry *entry)
{
	size_t		size = ENVELOPE_SIZE + uint_size(entry->unique_index) +
		int_size(entry->create_ns) + int_size(entry->time_ns) + 9 +
		uint_size(entry->unit) + bytes_size(entry->annotation);

	if (entry->has_metadata)
	{
		size_t		inner = metadata_size(&entry->metadata);

		return size + bytes_header_size(inner) + inner;
	}
	return size + 1;
}

size_t
m3_log_entry_size(const M3LogEntry *entry)
{
	size_t		size;

	if (entry->annotation.size >= FIELD_MAX_SIZE ||
		(entry->has_metadata && (entry->metadata.id.size >= FIELD_MAX_SIZE / 4 ||
								 entry->metadata.namespace.size >= FIELD_MAX_SIZE / 4 ||
								 entry->metadata.tags.size >= FIELD_MAX_SIZE / 4)))
		return SIZE_MAX;
	size = body_size(entry);
	return uvarint_size(size) + size;
}

static uint8_t *
put_metadata(uint8_t *out, const M3LogSeriesMetadata *metadata)
{
	size_t		size = metadata_size(metadata);

	/* the header of a byte string of that size; its contents follow */
	if (size <= UINT8_MAX)
	{
		*out++ = 0xc4;
		*out++ = (uint8_t) size;
	}
	else if (size <= UINT16_MAX)
	{
		*out++ = 0xc5;
		m3_store_be16(out, (uint16_t) size);
		out += 2;
	}
	else
	{
		*out++ = 0xc6;
		m3_store_be32(out, (uint32_t) size);
		out += 4;
	}

	/* three fields announced, four written: M3 does, and reads it so */
	out = put_envelope(out, TYPE_LOG_METADATA, 3);
	out = m3_msgpack_put_bytes(out, metadata->id);
	out = m3_msgpack_put_bytes(out, metadata->namespace);
	out = m3_msgpack_put_uint(out, metadata->shard);
	return m3_msgpack_put_bytes(out, metadata->tags);
}

uint8_t *
m3_log_put_info(uint8_t *out, const M3LogInfo *info)
{
	uint8_t    *p = put_envelope(out + 1, TYPE_LOG_INFO, 3);

	p = m3_msgpack_put_int(p, info->start_ns);
	p = m3_msgpack_put_int(p, info->duration_ns);
	p = m3_msgpack_put_int(p, info->index);
	out[0] = (uint8_t) (p - out - 1);
	return p;
}

uint8_t *
m3_log_put_entry(uint8_t *out, const M3LogEntry *entry)
{
	out += m3_put_uvarint(out, body_size(entry));
	out = put_envelope(out, TYPE_LOG_ENTRY, 7);
	out = m3_msgpack_put_uint(out, entry->unique_index);
	out = m3_msgpack_put_int(out, entry->create_ns);
	if (entry->has_metadata)
		out = put_metadata(out, &entry->metadata);
	else
		out = m3_msgpack_put_bytes(out, m3_slice(NULL, 0));
	out = m3_msgpack_put_int(out, entry->time_ns);
	out = m3_msgpack_put_double(out, entry->value);
	out = m3_msgpack_put_uint(out, entry->unit);
	return m3_msgpack_put_bytes(out, entry->annotation);
}

void
m3_log_stamp_init(M3LogStamp *stamp, int64_t create_ns)
{
	uint8_t    *p;

	memset(stamp, 0, sizeof(*stamp));
	p = m3_msgpack_put_int(stamp->bytes, create_ns);
	p = m3_msgpack_put_bytes(p, m3_slice(NULL, 0));
	stamp->size = (size_t) (p - stamp->bytes);
}

void
m3_log_put_chunk_header(uint8_t *header, const uint8_t *payload, size_t size)
{
	m3_store_le32(header, (uint32_t) size);
	m3_store_le32(header + 4, m3_adler32(M3_ADLER32_INIT, header, 4));
	m3_store_le32(header + 8, m3_adler32(M3_ADLER32_INIT, payload, size));
}

bool
m3_log_get_chunk_header(const uint8_t *header, uint32_t *size, uint32_t *data_sum)
{
	/* Adler-32 of four bytes; the sums are too small to need its modulus */
	uint32_t	low = 1u + header[0] + header[1] + header[2] + header[3];
	uint32_t	high = 4u + 4u * header[0] + 3u * header[1] + 2u * header[2] + header[3];

	*size = m3_load_le32(header);
	*data_sum = m3_load_le32(header + 8);
	return m3_load_le32(header + 4) == (high << 16 | low);
}

M3Status
m3_log_decode_info(M3Slice body, M3LogInfo *info, M3Error *err)
{
	M3MsgpackReader reader;
	int64_t		version;
	int64_t		type;
	uint32_t	root_count;
	uint32_t	field_count;

	m3_msgpack_init(&reader, body.data, body.size);
	version = m3_msgpack_get_int(&reader);
	root_count = m3_msgpack_get_array(&reader);
	type = m3_msgpack_get_int(&reader);
	field_count = m3_msgpack_get_array(&reader);
	if (reader.failed || version > 1 || root_count < 2 ||
		type != TYPE_LOG_INFO || field_count < 3)
		return m3_error(err, M3_CORRUPT, "first message is no log info");
	info->start_ns = m3_msgpack_get_int(&reader);
	info->duration_ns = m3_msgpack_get_int(&reader);
	info->index = m3_msgpack_get_int(&reader);
	if (reader.failed)
		return m3_error(err, M3_CORRUPT, "log info is cut short");
	if (info->index < 0)
		return m3_error(err, M3_CORRUPT, "log info has a negative index");
	return M3_OK;
}

static M3Status
decode_metadata(M3Slice bytes, M3LogSeriesMetadata *metadata, M3Error *err)
{
	M3MsgpackReader reader;

	if (bytes.size < ENVELOPE_SIZE || bytes.data[2] != TYPE_LOG_METADATA)
		return m3_error(err, M3_CORRUPT, "series metadata is of another type");
	m3_msgpack_init(&reader, bytes.data + ENVELOPE_SIZE, bytes.size - ENVELOPE_SIZE);
	metadata->id = m3_msgpack_get_bytes(&reader);
	metadata->namespace = m3_msgpack_get_bytes(&reader);
	metadata->shard = (uint32_t) m3_msgpack_get_uint(&reader);
	metadata->tags = m3_slice(NULL, 0);
	/* logs from before May 2018 end here */
	if (!reader.failed && reader.position < reader.end)
		metadata->tags = m3_msgpack_get_bytes(&reader);
	if (reader.failed)
		return m3_error(err, M3_CORRUPT, "series metadata cannot be decoded");
	return M3_OK;
}

/* The shape nearly all entries have; false leaves them to the general way. */
static bool
decode_point(M3Slice body, M3LogEntry *entry)
{
	const uint8_t *p = body.data + ENVELOPE_SIZE;
	size_t		index_size = body.size - ENVELOPE_SIZE - POINT_REST_SIZE;

	if (index_size == 1 && *p < 0x80)
		entry->unique_index = *p;
	else if (index_size == 3 && *p == 0xcd)
		entry->unique_index = m3_load_be16(p + 1);
	else if (index_size == 5 && *p == 0xce)
		entry->unique_index = m3_load_be32(p + 1);
	else
		return false;
	p += index_size;
	if (p[0] != 0xcf || p[9] != 0xc0 || p[10] != 0xcf || p[19] != 0xcb ||
		p[28] >= 0x80 || p[29] != 0xc0)
		return false;
	entry->create_ns = (int64_t) m3_load_be64(p + 1);
	entry->has_metadata = false;
	entry->time_ns = (int64_t) m3_load_be64(p + 11);
	entry->value = m3_double_from_bits(m3_load_be64(p + 20));
	entry->unit = p[28];
	entry->annotation = m3_slice(NULL, 0);
	return true;
}

M3Status
m3_log_decode_entry(M3Slice body, M3LogEntry *entry, M3Error *err)
{
	M3MsgpackReader reader;
	M3Slice		metadata;

	/* M3 does not look at the envelope, but never writes another type either */
	if (body.size < ENVELOPE_SIZE || body.data[2] != TYPE_LOG_ENTRY)
		return m3_error(err, M3_CORRUPT, "message is no log entry");
	if (body.size > ENVELOPE_SIZE + POINT_REST_SIZE && decode_point(body, entry))
		return M3_OK;

	m3_msgpack_init(&reader, body.data + ENVELOPE_SIZE, body.size - ENVELOPE_SIZE);
	entry->unique_index = m3_msgpack_get_uint(&reader);
	entry->create_ns = m3_msgpack_get_int(&reader);
	metadata = m3_msgpack_get_bytes(&reader);
	entry->time_ns = m3_msgpack_get_int(&reader);
	entry->value = m3_msgpack_get_double(&reader);
	entry->unit = (uint16_t) m3_msgpack_get_uint(&reader);
	entry->annotation = m3_msgpack_get_bytes(&reader);
	if (reader.failed)
		return m3_error(err, M3_CORRUPT, "log entry cannot be decoded");
	entry->has_metadata = metadata.size > 0;
	return entry->has_metadata ? decode_metadata(metadata, &entry->metadata, err) : M3_OK;
}
