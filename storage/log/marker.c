#include "storage/log/marker.h"

#include <assert.h>
#include <string.h>

#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define VOID_NAME_OFFSET 10u
#define ANNOTATION_MAX_SIZE (VOID_NAME_OFFSET + M3_LOG_MARKER_NAME_MAX_SIZE)

/* What each kind says, in its order. */
static size_t
encode_annotation(uint8_t *out, const M3LogMarker *marker)
{
	out[0] = M3_LOG_MARKER_VERSION;
	out[1] = (uint8_t) marker->kind;
	switch (marker->kind)
	{
		case M3_LOG_MARKER_GROUP:
			m3_store_le64(out + 2, marker->xid);
			m3_store_le64(out + 10, marker->count);
			return 18;
		case M3_LOG_MARKER_ABORT:
			m3_store_le64(out + 2, marker->log_index);
			m3_store_le64(out + 10, marker->offset);
			return 18;
		case M3_LOG_MARKER_RESOLVED:
			m3_store_le64(out + 2, marker->log_index);
			return 10;
		case M3_LOG_MARKER_VOID:
			assert(marker->name.size <= M3_LOG_MARKER_NAME_MAX_SIZE);
			m3_store_le64(out + 2, marker->dropped);
			memcpy(out + VOID_NAME_OFFSET, marker->name.data, marker->name.size);
			return VOID_NAME_OFFSET + marker->name.size;
	}
	return 2;
}

uint8_t *
m3_log_put_marker(uint8_t *out, const M3LogMarker *marker, int64_t create_ns)
{
	uint8_t		annotation[ANNOTATION_MAX_SIZE];
	M3LogEntry	entry = {
		.unique_index = M3_LOG_MARKER_UNIQUE_INDEX,
		.create_ns = create_ns,
		.has_metadata = true,
		.metadata = {
			.id = m3_slice_cstr(M3_LOG_MARKER_ID),
			.namespace = m3_slice_cstr(M3_LOG_MARKER_NAMESPACE),
		},
		.time_ns = create_ns - create_ns % M3_NS_PER_SECOND,
		.unit = M3_UNIT_SECOND,
	};

	entry.annotation = m3_slice(annotation, encode_annotation(annotation, marker));
	return m3_log_put_entry(out, &entry);
}

size_t
m3_log_marker_chunk(uint8_t out[M3_LOG_MARKER_MAX_SIZE], const M3LogMarker *marker,
					int64_t create_ns)
{
	uint8_t    *payload = out + M3_LOG_CHUNK_HEADER_SIZE;
	const uint8_t *end = m3_log_put_marker(payload, marker, create_ns);

	m3_log_put_chunk_header(out, payload, (size_t) (end - payload));
	return (size_t) (end - out);
}

bool
m3_log_is_marker_namespace(M3Slice namespace)
{
	return m3_slice_equal(namespace, m3_slice_cstr(M3_LOG_MARKER_NAMESPACE));
}

/* The least an annotation of the kind has. */
static size_t
fields_size(M3LogMarkerKind kind)
{
	switch (kind)
	{
		case M3_LOG_MARKER_GROUP:
		case M3_LOG_MARKER_ABORT:
			return 18;
		case M3_LOG_MARKER_RESOLVED:
			return 10;
		case M3_LOG_MARKER_VOID:
			return VOID_NAME_OFFSET + 1;
	}
	return SIZE_MAX;
}

M3Status
m3_log_decode_marker(M3Slice annotation, M3LogMarker *marker, M3Error *err)
{
	const uint8_t *fields;
	size_t		needed;

	memset(marker, 0, sizeof(*marker));
	if (annotation.size < 2)
		return m3_error(err, M3_CORRUPT, "marker is cut short");
	if (annotation.data[0] != M3_LOG_MARKER_VERSION ||
		annotation.data[1] < M3_LOG_MARKER_GROUP ||
		annotation.data[1] > M3_LOG_MARKER_VOID)
		return m3_error(err, M3_UNSUPPORTED, "marker of version %u, kind %u is not known",
						(unsigned) annotation.data[0], (unsigned) annotation.data[1]);
	fields = annotation.data + 2;
	marker->kind = (M3LogMarkerKind) annotation.data[1];
	needed = fields_size(marker->kind);
	if (annotation.size < needed)
		return m3_error(err, M3_CORRUPT, "marker is cut short");
	switch (marker->kind)
	{
		case M3_LOG_MARKER_GROUP:
			marker->xid = m3_load_le64(fields);
			marker->count = m3_load_le64(fields + 8);
			break;
		case M3_LOG_MARKER_ABORT:
			marker->log_index = m3_load_le64(fields);
			marker->offset = m3_load_le64(fields + 8);
			break;
		case M3_LOG_MARKER_RESOLVED:
			marker->log_index = m3_load_le64(fields);
			break;
		case M3_LOG_MARKER_VOID:
			marker->dropped = m3_load_le64(fields) != 0;
			marker->name = m3_slice(annotation.data + VOID_NAME_OFFSET,
									annotation.size - VOID_NAME_OFFSET);
			if (marker->name.size > M3_LOG_MARKER_NAME_MAX_SIZE)
				return m3_error(err, M3_CORRUPT, "marker names a namespace of %zu bytes",
								marker->name.size);
			break;
	}
	return M3_OK;
}
