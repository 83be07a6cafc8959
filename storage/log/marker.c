#include "storage/log/marker.h"

#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define ANNOTATION_MAX_SIZE 18u

/* The two fields each kind has, in their order; the second may be absent. */
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
		annotation.data[1] > M3_LOG_MARKER_RESOLVED)
		return m3_error(err, M3_UNSUPPORTED, "marker of version %u, kind %u is not known",
						(unsigned) annotation.data[0], (unsigned) annotation.data[1]);
	fields = annotation.data + 2;
	marker->kind = (M3LogMarkerKind) annotation.data[1];
	needed = marker->kind == M3_LOG_MARKER_RESOLVED ? 10 : 18;
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
	}
	return M3_OK;
}
