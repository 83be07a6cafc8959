/*
 * Entries by which a log speaks about its own transactions.
 *
 * A marker is an entry of a reserved namespace, which M3 does not know and
 * therefore skips.  It stands first in a chunk; what it says is its annotation:
 *
 *   offset 0  version, 1
 *          1  kind
 *          2  fields, uint64 LE each
 *
 *   GROUP     full transaction id or 0; entries that follow
 *   ABORT     log index, offset of the first chunk of the group taken back
 *   RESOLVED  log index L: transaction ids of groups in logs up to L need not be
 *             asked for again; who is not aborted has committed
 *   VOID      1 if the namespace was dropped, 0 if truncated; then its name, 1 to 200
 *             bytes, to the end.
 *             An entry of its group like a point, before all points: what came
 *             before the group is gone from the namespace
 *
 * Markers always carry their metadata, so a file needs no state for them.
 * Bytes behind the known fields are ignored; an unknown version or kind makes
 * the file end there as corrupt, since what follows could be part of it.
 */
#ifndef M3_LOG_MARKER_H
#define M3_LOG_MARKER_H

#include "storage/log/format.h"

#define M3_LOG_MARKER_NAMESPACE "_m3db_fdw"
#define M3_LOG_MARKER_ID "txn"
#define M3_LOG_MARKER_UNIQUE_INDEX 0	/* no series may have it */
#define M3_LOG_MARKER_VERSION 1
#define M3_LOG_MARKER_MAX_SIZE 384u /* message, and with its chunk header */
#define M3_LOG_MARKER_NAME_MAX_SIZE 200u

typedef enum M3LogMarkerKind
{
	M3_LOG_MARKER_GROUP = 1,
	M3_LOG_MARKER_ABORT = 2,
	M3_LOG_MARKER_RESOLVED = 3,
	M3_LOG_MARKER_VOID = 4
} M3LogMarkerKind;

typedef struct M3LogMarker
{
	M3LogMarkerKind kind;
	uint64_t	xid;			/* GROUP */
	uint64_t	count;			/* GROUP */
	uint64_t	log_index;		/* ABORT, RESOLVED */
	uint64_t	offset;			/* ABORT */
	bool		dropped;		/* VOID */
	M3Slice		name;			/* VOID: the namespace; decoded, it points into the annotation */
} M3LogMarker;

/* The message, prefix included, into M3_LOG_MARKER_MAX_SIZE; its size depends
 * on the kind, create_ns and the name only, which has at most
 * M3_LOG_MARKER_NAME_MAX_SIZE bytes. */
extern uint8_t *m3_log_put_marker(uint8_t *out, const M3LogMarker *marker, int64_t create_ns);

/* A marker as a chunk of its own (ABORT, RESOLVED), ready for m3_commitlog_append
 * with an entry count of 0.  Returns the size written. */
extern size_t m3_log_marker_chunk(uint8_t out[M3_LOG_MARKER_MAX_SIZE],
								  const M3LogMarker *marker, int64_t create_ns);

/* Whether entries of this namespace are markers. */
extern bool m3_log_is_marker_namespace(M3Slice namespace);

/* M3_CORRUPT if too short or not a namespace's name, M3_UNSUPPORTED for another version or kind. */
extern M3Status m3_log_decode_marker(M3Slice annotation, M3LogMarker *marker, M3Error *err);

#endif							/* M3_LOG_MARKER_H */
