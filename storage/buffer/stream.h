/*
 * One in-order M3TSZ stream of a bucket, in the arena: an encoder, the bytes
 * it gave out in a chain of chunks, and who may see which of its points.
 *
 * A stream only grows at its end.  Its points are settled (everybody sees
 * them) up to a count; after that come runs: stretches written by one batch
 * each, in the order of their sequence numbers.  A run is
 *   unsettled  seen by those whose snapshot sees its sequence
 *   settled    sequence 0, waiting behind a dead run
 *   dead       its batch was aborted; nobody sees it, the next merge drops it
 *
 * Locks: the stripe of the series, exclusive to change, shared to copy.
 */
#ifndef M3_BUFFER_STREAM_H
#define M3_BUFFER_STREAM_H

#include "storage/base/arena.h"
#include "storage/base/memory.h"
#include "storage/codec/m3tsz.h"

typedef struct M3Run
{
	uint64_t	sequence;		/* of its batch; 0 once settled */
	uint32_t	end;			/* points of the stream up to and with this run */
	uint32_t	dead;
} M3Run;

#define M3_STREAM_INLINE_RUNS 2

typedef struct M3Stream
{
	M3Encoder	encoder;
	int64_t		last_ns;		/* time of the last point */
	M3Ref		first_chunk;
	M3Ref		last_chunk;
	M3Ref		next;			/* the bucket's next stream, in order of creation */
	M3Ref		more_runs;		/* array in place of inline_runs, or 0 */
	uint32_t	settled;
	uint32_t	run_count;
	uint32_t	run_capacity;	/* of more_runs */
	uint32_t	voided;			/* so many of the settled are gone for everybody */
	bool		last_annotated; /* the last point came with an annotation */
	bool		sealed;			/* loaded whole from a file: complete bytes, all settled, not
								 * appended to; how many points there are is not known */
	bool		closed;			/* not appended to: streams behind it may hold later points */
	M3Run		inline_runs[M3_STREAM_INLINE_RUNS];
} M3Stream;

/* An empty stream of a block, or 0 when the arena is full. */
extern M3Ref m3_stream_create(M3Arena *arena, M3Env *env, int64_t block_start_ns);
extern void m3_stream_free(M3Arena *arena, M3Env *env, M3Ref stream);

/* A sealed, closed stream of these bytes; its last_ns is INT64_MAX.  0 when the arena is full. */
extern M3Ref m3_stream_load(M3Arena *arena, M3Env *env, int64_t block_start_ns, M3Slice bytes);

/* Points, dead and voided ones too; of a sealed one a guess from its size. */
extern uint32_t m3_stream_points(const M3Stream *stream);

/* Those that somebody sees or will see: neither dead nor voided. */
extern uint32_t m3_stream_live_points(const M3Arena *arena, const M3Stream *stream);

/* Compressed bytes, without the tail that a copy of an open one gets. */
extern uint64_t m3_stream_size(const M3Stream *stream);

/*
 * Appends a point later than last_ns, as part of batch sequence (0: settled at
 * once).  Runs below horizon are settled on the way.  M3_FULL leaves the stream as it was.
 */
extern M3Status m3_stream_append(M3Arena *arena, M3Env *env, M3Stream *stream,
								 const M3Point *point, uint64_t sequence,
								 uint64_t horizon, M3Error *err);

/* Points encoded here, dead and voided ones too; 0 of a sealed stream. */
static inline uint32_t
m3_stream_count(const M3Stream *stream)
{
	return stream->encoder.count;
}

extern M3Run *m3_stream_runs(const M3Arena *arena, const M3Stream *stream);

/*
 * Which points are to be seen: the point numbers at which that flips, beginning with
 * seen (as m3_points_decode takes them), and *limit, one past the last seen.  sees
 * decides about unsettled runs by their sequence; NULL: all are seen.  Dead ones never are.
 * flips has room for run_count + 2; returns their number.  *limit of a sealed
 * stream is UINT32_MAX: to its end.
 */
typedef bool (*M3SeesFn) (const void *context, uint64_t sequence);
extern size_t m3_stream_flips(const M3Arena *arena, const M3Stream *stream, M3SeesFn sees,
							  const void *context, uint32_t *flips, uint32_t *limit);

/* Settles what is below horizon; true if all that is left is settled or dead. */
extern bool m3_stream_settle(const M3Arena *arena, M3Stream *stream, uint64_t horizon);

/* Marks the runs of a batch dead; returns how many points were not yet.  Cannot fail. */
extern uint32_t m3_stream_kill(const M3Arena *arena, M3Stream *stream, uint64_t sequence);

/*
 * Voids what is settled and marks the runs of batches below sequence dead; returns how many
 * live points went.  m3_stream_live_points are 0 if that was all.  Cannot fail.
 */
extern uint32_t m3_stream_void(const M3Arena *arena, M3Stream *stream, uint64_t sequence);

/*
 * Takes the points of a batch off the end of the stream, if they are the last ones
 * there.  For a batch that could not be staged whole, before anybody else
 * writes.  Needs private memory; M3_NO_MEMORY leaves the run, marked dead.
 */
extern M3Status m3_stream_take_back(M3Arena *arena, M3Env *env, M3Stream *stream,
									uint64_t sequence, M3Memory *memory, M3Error *err);

/* Bytes m3_stream_copy needs. */
extern size_t m3_stream_copy_size(const M3Stream *stream);

/* The stream as it stands, ended (a sealed one is already); returns its size. */
extern size_t m3_stream_copy(const M3Arena *arena, const M3Stream *stream, uint8_t *out);

#endif							/* M3_BUFFER_STREAM_H */
