/*
 * A transaction as bytes of the log: one or more whole chunks of its own.
 *
 * One chunk of points without a transaction id needs no more than that: a chunk is
 * there or not.  Any other group begins with a GROUP marker (marker.h) that says how
 * many entries follow, so that a reader knows a torn one.  Payloads are at most
 * 64 KiB, except that of a single larger message.
 *
 * A builder is used again and again; it keeps its buffer.  It knows nothing
 * of files: the bytes go to m3_commitlog_append, or chunk by chunk to a sink.
 */
#ifndef M3_LOG_GROUP_H
#define M3_LOG_GROUP_H

#include "storage/base/memory.h"
#include "storage/base/time.h"
#include "storage/log/format.h"
#include "storage/log/marker.h"

#define M3_LOG_GROUP_PAYLOAD_SIZE 65536u

/* Takes the next whole chunks of a group; an error ends the building. */
typedef M3Status (*M3LogSinkFn) (void *context, M3Slice chunks, M3Error *err);

typedef struct M3LogGroup
{
	M3Memory   *memory;
	uint8_t    *buffer;
	size_t		capacity;
	size_t		used;			/* bytes written at buffer */
	size_t		payload_start;	/* of the open chunk, in buffer */
	size_t		marker_size;	/* reserved behind the first chunk's header */
	size_t		first_size;		/* payload of the first chunk, once it is closed */
	M3LogStamp	stamp;
	int64_t		create_ns;
	uint64_t	xid;
	uint64_t	count;			/* entries added */
	uint64_t	announced;		/* entries promised, when streaming */
	uint64_t	voids;			/* of them, VOID markers */
	bool		first_chunk;	/* the open chunk is the group's first */
	M3LogSinkFn sink;			/* NULL: all in the buffer */
	void	   *sink_context;
} M3LogGroup;

/* Takes no memory yet.  memory outlives the builder. */
extern void m3_log_group_init(M3LogGroup *group, M3Memory *memory);
extern void m3_log_group_free(M3LogGroup *group);

/* Starts an empty group, forgetting any other.  xid: full transaction id or 0. */
extern M3Status m3_log_group_begin(M3LogGroup *group, uint64_t xid, int64_t create_ns,
								   M3Error *err);

/*
 * The same for a group too big to keep: chunks go to sink as they fill.
 * exactly count entries must be added.
 */
extern M3Status m3_log_group_begin_stream(M3LogGroup *group, uint64_t xid,
										  int64_t create_ns, uint64_t count,
										  M3LogSinkFn sink, void *context, M3Error *err);

/*
 * Adds a point.  metadata: not NULL for the first entry of the series in the
 * log the group will go to (see m3_commitlog_active_index).  M3_INVALID for a unit
 * outside 1..4, unique index 0, or a field of 1 GiB or more; M3_NO_MEMORY; what the sink returns.
 * After an error the group can only be begun anew or freed.
 */
extern M3Status m3_log_group_add(M3LogGroup *group, uint64_t unique_index,
								 int64_t time_ns, double value, M3TimeUnit unit,
								 M3Slice annotation,
								 const M3LogSeriesMetadata *metadata, M3Error *err);

/*
 * Adds a VOID marker (marker.h), which counts as an entry; before all points.  M3_INVALID
 * behind a point, and for a name that is empty or too long; else as m3_log_group_add.
 */
extern M3Status m3_log_group_add_void(M3LogGroup *group, M3Slice namespace_name,
									  bool dropped, M3Error *err);

/*
 * Completes the group.  *bytes are its chunks, valid until the builder is used
 * again; none when streaming.  M3_INVALID if the count differs from the one announced.
 * A group without entries and xid is no bytes at all.
 */
extern M3Status m3_log_group_finish(M3LogGroup *group, M3Slice *bytes, M3Error *err);

#endif							/* M3_LOG_GROUP_H */
