#include "storage/fileset/format.h"

#include <inttypes.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/msgpack.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define OBJECT_VERSION 1
#define MAJOR_VERSION 1
#define MINOR_VERSION 1

typedef enum ObjectType
{
	TYPE_INFO = 2,
	TYPE_ENTRY = 5,
	TYPE_SUMMARY = 6
} ObjectType;

#define INFO_FIELDS 11
#define INFO_MIN_FIELDS 6
#define ENTRY_FIELDS 7
#define ENTRY_MIN_FIELDS 5
#define SUMMARY_FIELDS 3
/* More hash functions than any false-positive rate asks for. */
#define BLOOM_MAX_HASHES 1024

_Static_assert(M3_FILESET_DIGEST_SIZE == M3_FILESET_DIGESTED_COUNT * 4, "digest file");

static uint8_t *
put_root(uint8_t *out, ObjectType type, uint32_t fields)
{
	out = m3_msgpack_put_uint(out, OBJECT_VERSION);
	out = m3_msgpack_put_array(out, 2);
	out = m3_msgpack_put_uint(out, type);
	return m3_msgpack_put_array(out, fields);
}

/* What surrounds a body: the number of its fields, and how many elements of
 * the root array follow it. */
typedef struct RootHeader
{
	uint32_t	fields;
	uint32_t	extra;
} RootHeader;

static M3Status
get_root(M3MsgpackReader *reader, ObjectType type, uint32_t min_fields,
		 RootHeader *root, M3Error *err)
{
	int64_t		version = m3_msgpack_get_int(reader);
	uint32_t	elements;
	int64_t		found;

	if (reader->failed)
		return m3_error(err, M3_CORRUPT, "object cannot be decoded");
	if (version > OBJECT_VERSION)
		return m3_error(err, M3_UNSUPPORTED, "object has version %" PRId64, version);
	elements = m3_msgpack_get_array(reader);
	found = m3_msgpack_get_int(reader);
	root->fields = m3_msgpack_get_array(reader);
	if (reader->failed)
		return m3_error(err, M3_CORRUPT, "object cannot be decoded");
	if (version < 0 || elements < 2 || found != type || root->fields < min_fields)
		return m3_error(err, M3_CORRUPT, "object is of another type or too short");
	root->extra = elements - 2;
	return M3_OK;
}

static void
skip_values(M3MsgpackReader *reader, uint32_t count)
{
	for (uint32_t i = 0; i < count && !reader->failed; i++)
		m3_msgpack_skip(reader);
}

/*
 * The way M3 itself writes, read without the general reader's care for other
 * ways.  Each returns false, and the object is decoded by the general reader,
 * for anything else, damage included.
 */
static bool
take_int(const uint8_t **position, const uint8_t *end, int64_t *value)
{
	const uint8_t *p = *position;
	uint64_t	number;

	if (end - p < M3_MSGPACK_INT_MAX_SIZE)
		return false;			/* too near the end to be worth it */
	if (*p < 0x80)
	{
		*value = *p;
		*position = p + 1;
		return true;
	}
	switch (*p)
	{
		case 0xcc:
			number = p[1];
			break;
		case 0xcd:
			number = m3_load_be16(p + 1);
			break;
		case 0xce:
			number = m3_load_be32(p + 1);
			break;
		case 0xcf:
			number = m3_load_be64(p + 1);
			break;
		default:
			return false;
	}
	*position = p + 1 + ((size_t) 1 << (*p - 0xcc));
	*value = (int64_t) number;
	return number <= INT64_MAX;
}

static bool
take_bytes(const uint8_t **position, const uint8_t *end, M3Slice *bytes)
{
	const uint8_t *p = *position;

	if (end - p < 2 || *p != 0xc4 || end - p - 2 < p[1])
		return false;
	*bytes = m3_slice(p + 2, p[1]);
	*position = p + 2 + p[1];
	return true;
}

static bool
take_root(const uint8_t **position, const uint8_t *end, ObjectType type, uint32_t fields)
{
	const uint8_t *p = *position;

	if (end - p < 4)
		return false;
	*position = p + 4;
	return p[0] == OBJECT_VERSION && p[1] == 0x92 && p[2] == type &&
		p[3] == 0x90 + fields;
}

size_t
m3_fileset_info_encode(const M3FilesetInfo *info, uint8_t *out)
{
	uint8_t    *p = put_root(out, TYPE_INFO, INFO_FIELDS);
	M3Slice		id = {NULL, 0};

	if (info->has_snapshot_id)
		id = m3_slice(info->snapshot_id, M3_FILESET_UUID_SIZE);
	p = m3_msgpack_put_int(p, info->block_start_ns);
	p = m3_msgpack_put_int(p, info->block_size_ns);
	p = m3_msgpack_put_int(p, info->entry_count);
	p = m3_msgpack_put_int(p, MAJOR_VERSION);
	p = m3_msgpack_put_array(p, 1);
	p = m3_msgpack_put_int(p, info->summary_count);
	p = m3_msgpack_put_array(p, 2);
	p = m3_msgpack_put_uint(p, info->bloom_bits);
	p = m3_msgpack_put_uint(p, info->bloom_hashes);
	p = m3_msgpack_put_int(p, info->snapshot_time_ns);
	p = m3_msgpack_put_int(p, 0);	/* file type: M3 never sets it */
	p = m3_msgpack_put_bytes(p, id);
	p = m3_msgpack_put_int(p, info->volume);
	p = m3_msgpack_put_int(p, MINOR_VERSION);
	return (size_t) (p - out);
}

/* The fields that came with later releases. */
static M3Status
get_info_tail(M3MsgpackReader *reader, uint32_t fields, M3FilesetInfo *info, M3Error *err)
{
	if (fields >= 8)
	{
		info->snapshot_time_ns = m3_msgpack_get_int(reader);
		m3_msgpack_skip(reader);	/* file type: says nothing */
	}
	if (fields >= 9)
	{
		M3Slice		id = m3_msgpack_get_bytes(reader);

		if (id.size == M3_FILESET_UUID_SIZE)
		{
			info->has_snapshot_id = true;
			memcpy(info->snapshot_id, id.data, id.size);
		}
		else if (id.size != 0)
			return m3_error(err, M3_CORRUPT, "snapshot id of %zu bytes", id.size);
	}
	if (fields >= 10)
		info->volume = m3_msgpack_get_int(reader);
	if (fields >= 11)
		info->minor_version = m3_msgpack_get_int(reader);
	if (fields > INFO_FIELDS)
		skip_values(reader, fields - INFO_FIELDS);
	return M3_OK;
}

M3Status
m3_fileset_info_decode(M3Slice bytes, M3FilesetInfo *info, M3Error *err)
{
	M3MsgpackReader reader;
	RootHeader	root;
	uint32_t	parts;
	int64_t		bits;
	int64_t		hashes;
	int64_t		end;

	memset(info, 0, sizeof(*info));
	m3_msgpack_init(&reader, bytes.data, bytes.size);
	M3_TRY(get_root(&reader, TYPE_INFO, INFO_MIN_FIELDS, &root, err));
	info->field_count = root.fields;
	info->block_start_ns = m3_msgpack_get_int(&reader);
	info->block_size_ns = m3_msgpack_get_int(&reader);
	info->entry_count = m3_msgpack_get_int(&reader);
	info->major_version = m3_msgpack_get_int(&reader);
	parts = m3_msgpack_get_array(&reader);
	if (!reader.failed && parts < 1)
		return m3_error(err, M3_CORRUPT, "info lacks the number of summaries");
	info->summary_count = m3_msgpack_get_int(&reader);
	skip_values(&reader, parts > 1 ? parts - 1 : 0);
	parts = m3_msgpack_get_array(&reader);
	if (!reader.failed && parts < 2)
		return m3_error(err, M3_CORRUPT, "info lacks the bloom filter's parameters");
	bits = m3_msgpack_get_int(&reader);
	hashes = m3_msgpack_get_int(&reader);
	skip_values(&reader, parts > 2 ? parts - 2 : 0);
	M3_TRY(get_info_tail(&reader, root.fields, info, err));
	skip_values(&reader, root.extra);
	if (reader.failed)
		return m3_error(err, M3_CORRUPT, "info cannot be decoded");
	if (reader.position != reader.end)
		return m3_error(err, M3_CORRUPT, "info is followed by other bytes");

	if (info->block_size_ns <= 0 || info->entry_count < 0 || info->summary_count < 0 ||
		info->volume < 0 || bits <= 0 || hashes < 0 || hashes > BLOOM_MAX_HASHES ||
		__builtin_add_overflow(info->block_start_ns, info->block_size_ns, &end))
		return m3_error(err, M3_CORRUPT, "info holds an impossible number");
	info->bloom_bits = (uint64_t) bits;
	info->bloom_hashes = (uint32_t) hashes;
	return M3_OK;
}

size_t
m3_fileset_entry_encode(const M3FilesetEntry *entry, uint8_t *out, size_t *id_position)
{
	uint8_t    *p = put_root(out, TYPE_ENTRY, ENTRY_FIELDS);
	M3Slice		id = m3_slice(entry->id.size > 0 ? entry->id.data : out, entry->id.size);
	M3Slice		tags = m3_slice(entry->tags.size > 0 ? entry->tags.data : NULL,
								entry->tags.size);

	p = m3_msgpack_put_int(p, entry->ordinal);
	p = m3_msgpack_put_bytes(p, id);	/* empty, but never absent */
	*id_position = (size_t) (p - out) - id.size;
	p = m3_msgpack_put_uint(p, entry->size);
	p = m3_msgpack_put_int(p, entry->offset);
	p = m3_msgpack_put_uint(p, entry->checksum);
	p = m3_msgpack_put_bytes(p, tags);
	p = m3_msgpack_put_uint(p, m3_adler32(M3_ADLER32_INIT, out, (size_t) (p - out)));
	return (size_t) (p - out);
}

/* Tags and the checksum over everything before it, which comes last. */
static M3Status
get_entry_tail(M3MsgpackReader *reader, const uint8_t *begin, uint32_t fields,
			   bool need_checksum, M3FilesetEntry *entry, M3Error *err)
{
	uint32_t	computed;
	uint64_t	stored;

	entry->tags = m3_slice(NULL, 0);
	if (need_checksum && fields < ENTRY_FIELDS)
		return m3_error(err, M3_CORRUPT, "index entry has no checksum");
	if (fields >= 6)
		entry->tags = m3_msgpack_get_bytes(reader);
	if (fields < ENTRY_FIELDS)
		return M3_OK;
	skip_values(reader, fields - ENTRY_FIELDS);
	if (reader->failed)
		return M3_OK;			/* the caller looks */
	computed = m3_adler32(M3_ADLER32_INIT, begin, (size_t) (reader->position - begin));
	stored = m3_msgpack_get_uint(reader);
	if (!reader->failed && stored != computed)
		return m3_error(err, M3_CORRUPT, "index entry fails its checksum");
	return M3_OK;
}

static M3Status
decode_entry(M3MsgpackReader *reader, bool need_checksum, M3FilesetEntry *entry,
			 M3Error *err)
{
	const uint8_t *begin = reader->position;
	RootHeader	root;
	int64_t		size;
	int64_t		checksum;

	M3_TRY(get_root(reader, TYPE_ENTRY, ENTRY_MIN_FIELDS, &root, err));
	entry->ordinal = m3_msgpack_get_int(reader);
	entry->id = m3_msgpack_get_bytes(reader);
	size = m3_msgpack_get_int(reader);
	entry->offset = m3_msgpack_get_int(reader);
	checksum = m3_msgpack_get_int(reader);
	M3_TRY(get_entry_tail(reader, begin, root.fields, need_checksum, entry, err));
	skip_values(reader, root.extra);
	if (reader->failed)
		return m3_error(err, M3_CORRUPT, "index entry cannot be decoded");
	if (entry->ordinal < 0 || entry->offset < 0 ||
		size < 0 || size > (int64_t) M3_FILESET_PAYLOAD_MAX_SIZE ||
		checksum < 0 || checksum > (int64_t) UINT32_MAX)
		return m3_error(err, M3_CORRUPT, "index entry holds an impossible number");
	entry->size = (uint32_t) size;
	entry->checksum = (uint32_t) checksum;
	return M3_OK;
}

static bool
take_entry(M3Slice bytes, M3FilesetEntry *entry, size_t *used)
{
	const uint8_t *p = bytes.data;
	const uint8_t *end = bytes.size == 0 ? p : p + bytes.size;
	const uint8_t *summed;
	int64_t		size;
	int64_t		checksum;
	int64_t		entry_checksum;

	if (!take_root(&p, end, TYPE_ENTRY, ENTRY_FIELDS) ||
		!take_int(&p, end, &entry->ordinal) || !take_bytes(&p, end, &entry->id) ||
		!take_int(&p, end, &size) || !take_int(&p, end, &entry->offset) ||
		!take_int(&p, end, &checksum))
		return false;
	entry->tags = m3_slice(NULL, 0);
	if (p < end && *p == 0xc0)
		p++;
	else if (!take_bytes(&p, end, &entry->tags))
		return false;
	summed = p;
	if (!take_int(&p, end, &entry_checksum) ||
		size > (int64_t) M3_FILESET_PAYLOAD_MAX_SIZE || checksum > (int64_t) UINT32_MAX ||
		entry_checksum != (int64_t) m3_adler32(M3_ADLER32_INIT, bytes.data,
											   (size_t) (summed - bytes.data)))
		return false;
	entry->size = (uint32_t) size;
	entry->checksum = (uint32_t) checksum;
	*used = (size_t) (p - bytes.data);
	return true;
}

M3Status
m3_fileset_entry_decode(M3Slice bytes, bool need_checksum, M3FilesetEntry *entry,
						size_t *used, bool *truncated, M3Error *err)
{
	M3MsgpackReader reader;
	M3Status	status;

	if (truncated != NULL)
		*truncated = false;
	if (take_entry(bytes, entry, used))
		return M3_OK;
	m3_msgpack_init(&reader, bytes.data, bytes.size);
	status = decode_entry(&reader, need_checksum, entry, err);
	if (truncated != NULL)
		*truncated = reader.failed;
	*used = status == M3_OK ? (size_t) (reader.position - bytes.data) : 0;
	return status;
}

size_t
m3_fileset_summary_encode(const M3FilesetSummary *summary, uint8_t *out)
{
	uint8_t    *p = put_root(out, TYPE_SUMMARY, SUMMARY_FIELDS);

	p = m3_msgpack_put_int(p, summary->ordinal);
	p = m3_msgpack_put_bytes(p, m3_slice(summary->id.size > 0 ? summary->id.data : out,
										 summary->id.size));
	p = m3_msgpack_put_int(p, summary->index_offset);
	return (size_t) (p - out);
}

static bool
take_summary(M3Slice bytes, M3FilesetSummary *summary, size_t *used)
{
	const uint8_t *p = bytes.data;
	const uint8_t *end = bytes.size == 0 ? p : p + bytes.size;

	if (!take_root(&p, end, TYPE_SUMMARY, SUMMARY_FIELDS) ||
		!take_int(&p, end, &summary->ordinal) || !take_bytes(&p, end, &summary->id) ||
		!take_int(&p, end, &summary->index_offset))
		return false;
	*used = (size_t) (p - bytes.data);
	return true;
}

M3Status
m3_fileset_summary_decode(M3Slice bytes, M3FilesetSummary *summary, size_t *used,
						  M3Error *err)
{
	M3MsgpackReader reader;
	RootHeader	root;

	if (take_summary(bytes, summary, used))
		return M3_OK;
	m3_msgpack_init(&reader, bytes.data, bytes.size);
	M3_TRY(get_root(&reader, TYPE_SUMMARY, SUMMARY_FIELDS, &root, err));
	summary->ordinal = m3_msgpack_get_int(&reader);
	summary->id = m3_msgpack_get_bytes(&reader);
	summary->index_offset = m3_msgpack_get_int(&reader);
	skip_values(&reader, root.fields - SUMMARY_FIELDS);
	skip_values(&reader, root.extra);
	if (reader.failed)
		return m3_error(err, M3_CORRUPT, "summary cannot be decoded");
	if (summary->ordinal < 0 || summary->index_offset < 0)
		return m3_error(err, M3_CORRUPT, "summary holds an impossible number");
	*used = (size_t) (reader.position - bytes.data);
	return M3_OK;
}

void
m3_fileset_digest_encode(const uint32_t *digests, uint8_t *out)
{
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		m3_store_le32(out + 4 * i, digests[i]);
}

M3Status
m3_fileset_digest_decode(M3Slice digest, M3Slice checkpoint, M3FilesetHeader *header,
						 M3Error *err)
{
	if (checkpoint.size != M3_FILESET_CHECKPOINT_SIZE)
		return m3_error(err, M3_NOT_FOUND, "checkpoint has %zu bytes", checkpoint.size);
	if (digest.size != M3_FILESET_DIGEST_SIZE)
		return m3_error(err, M3_CORRUPT, "digest file has %zu bytes", digest.size);
	header->checkpoint = m3_load_le32(checkpoint.data);
	if (m3_adler32(M3_ADLER32_INIT, digest.data, digest.size) != header->checkpoint)
		return m3_error(err, M3_CORRUPT, "digest file fails its checksum");
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		header->digests[i] = m3_load_le32(digest.data + 4 * i);
	return M3_OK;
}
