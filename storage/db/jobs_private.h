/*
 * What the jobs share: saying how far they are, and the groups of buckets that
 * go to one fileset.  For storage/db only.
 */
#ifndef M3_DB_JOBS_PRIVATE_H
#define M3_DB_JOBS_PRIVATE_H

#include "storage/buffer/copy.h"
#include "storage/db/blocks.h"
#include "storage/db/db_private.h"
#include "storage/fileset/names.h"

/* in jobs.c */

/* Around each job that has something to do; err is what it failed with, for M3JobStats. */
extern void m3i_job_begin(M3Database *db, M3Job job);
extern void m3i_job_step(M3Database *db, const char *subject, uint64_t done, uint64_t total,
						 uint64_t bytes);
extern void m3i_job_end(M3Database *db, M3Job job, M3Status status, const M3Error *err);
/* Instead of the end: there was nothing to do, so it does not count. */
extern void m3i_job_drop(M3Database *db);

/* References to the namespaces there are, dropped ones left out unless asked for.  *refs is
 * the caller's to free.  They stay valid while the caller maintains the root. */
extern M3Status m3i_namespace_refs(M3Database *db, bool with_dropped, M3Ref **refs,
								   size_t *count, M3Error *err);
extern M3NamespaceOptions m3i_namespace_options(M3Database *db, M3Ref ref);
/* Dropped, or truncated with the files still there: not to be written to files. */
extern bool m3i_namespace_is_void(M3Database *db, M3Ref ref);

/* The start of the first block within retention at now; INT64_MIN: all are. */
extern int64_t m3i_first_retained_ns(const M3NamespaceOptions *options, int64_t now_ns);

/* A bucket that holds something. */
typedef struct M3BucketRef
{
	M3Ref		series;
	uint32_t	shard;
	uint32_t	bytes;			/* compressed, capped */
	uint32_t	points;			/* as counted, capped */
	int64_t		start_ns;
} M3BucketRef;

typedef struct M3BucketRefs
{
	M3BucketRef *refs;			/* by shard, block start, then id of the series */
	size_t		count;
	size_t		capacity;
} M3BucketRefs;

/* in flush.c */
/* Flushes whatever can be of all namespaces; for a bootstrap that is short of memory. */
extern M3Status m3i_flush_loaded(M3Database *db, M3Error *err);

/* in buckets.c */

/* All non-empty buckets of a namespace that start in [first_ns, end_ns).  Calls env->yield.
 * The caller holds a snapshot or maintains the root, so that series stay. */
extern M3Status m3i_buckets_collect(M3Database *db, M3Ref namespace_ref, int64_t first_ns,
									int64_t end_ns, M3BucketRefs *refs, M3Error *err);
extern void m3i_buckets_free(M3Database *db, M3BucketRefs *refs);

/* One past the last ref of the group (same shard and block) that begins at first. */
extern size_t m3i_buckets_group_end(const M3BucketRefs *refs, size_t first);

/* Makes what a file holds of a bucket; used for one bucket after the other. */
typedef struct M3Payload
{
	M3Database *db;
	M3Copy		copy;
	M3Points	points;
	bool		has_points;		/* points are those of the last payload */
	uint8_t    *encoded;
	size_t		encoded_capacity;
} M3Payload;

/* in payload.c */
extern void m3i_payload_init(M3Payload *payload, M3Database *db);
extern void m3i_payload_free(M3Payload *payload);

/*
 * What is to be seen of a bucket as one stream, over what a file has already (older, size 0:
 * nothing); *bytes is valid until the next call, size 0 if there is nothing.
 * frozen: only of its frozen streams, all points that are not dead.
 */
extern M3Status m3i_payload_make(M3Payload *payload, const M3BucketRef *ref, bool frozen,
								 M3SeesFn sees, const void *context, M3Slice older,
								 M3Slice *bytes, M3Error *err);

#endif							/* M3_DB_JOBS_PRIVATE_H */
