/*
 * Writing one fileset, data or snapshot, byte for byte as M3's batch writer
 * does for the same series in the same order (spec/fileset.md 4, 5, 8).
 *
 * Order of events: payloads go to the data file as they come; finish writes the
 * other files, syncs all six, the directory and its parents; publish
 * makes the checkpoint appear, whole or not at all, and syncs the directory
 * again.  A fileset exists from then on, and only then.  A writer freed before
 * it has published removes what it wrote.
 *
 * Memory is bounded whatever the number of series, but for the bloom filter: about one
 * byte per series.
 *
 * A writer belongs to one thread.  It holds files and memory: env->yield may be
 * called between calls only if a jump from there frees the writer.
 */
#ifndef M3_FILESET_WRITER_H
#define M3_FILESET_WRITER_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"

typedef struct M3FilesetWriterOptions
{
	const char *directory;		/* of the shard; made if missing.  Copied. */
	int64_t		block_start_ns;
	int64_t		block_size_ns;
	int64_t		volume;
	/* series come by strictly ascending id, which saves the sort */
	bool		sorted;
	/* a snapshot's time, neither 0 nor the block's start, and id */
	bool		is_snapshot;
	int64_t		snapshot_time_ns;
	uint8_t		snapshot_id[M3_FILESET_UUID_SIZE];
	/* 0: M3's default */
	double		bloom_false_positive;
	/* bytes for sorting entries in memory before a temporary file is used, twice that at
	 * most being taken; 0: a default */
	size_t		sort_memory_size;
	/* for filesets that nobody will miss after a crash: no fsync at all */
	bool		no_sync;
} M3FilesetWriterOptions;

typedef struct M3FilesetWriter M3FilesetWriter;

/*
 * M3_CONFLICT if that volume exists already, complete; leftovers of an
 * unfinished one are replaced.  M3_INVALID for options that cannot be stored.
 */
extern M3Status m3_fileset_writer_create(M3Env *env, M3Memory *memory,
										 const M3FilesetWriterOptions *options,
										 M3FilesetWriter **writer, M3Error *err);

/*
 * Adds one series: its payload is the concatenation of the parts, and left out
 * altogether when empty.  tags is the encoded form, size 0 for none.  Nothing
 * given is kept after the call.
 *
 * M3_CONFLICT for a duplicate id (if not sorted, finish reports it);
 * M3_INVALID for an id out of order, malformed tags or too many bytes.  After any error
 * the writer is good for m3_fileset_writer_free only.
 */
extern M3Status m3_fileset_writer_add(M3FilesetWriter *writer, M3Slice id, M3Slice tags,
									  const M3Slice *parts, size_t part_count,
									  M3Error *err);

/* Makes everything but the checkpoint durable, and gives back most memory. */
extern M3Status m3_fileset_writer_finish(M3FilesetWriter *writer, M3Error *err);

/* After finish.  On failure there is no fileset, and its files are removed. */
extern M3Status m3_fileset_writer_publish(M3FilesetWriter *writer, M3Error *err);

/* What was written, after finish; sizes by M3FilesetFile. */
extern const M3FilesetHeader *m3_fileset_writer_header(const M3FilesetWriter *writer);
extern const uint64_t *m3_fileset_writer_sizes(const M3FilesetWriter *writer);

/* Series added so far, without the empty ones. */
extern uint64_t m3_fileset_writer_count(const M3FilesetWriter *writer);

/* NULL allowed.  Removes the files unless they were published. */
extern void m3_fileset_writer_free(M3FilesetWriter *writer);

#endif							/* M3_FILESET_WRITER_H */
