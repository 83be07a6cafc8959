/*
 * Shared by flush.c (which blocks, and when) and flush_group.c (one of them).
 */
#ifndef M3_DB_FLUSH_PRIVATE_H
#define M3_DB_FLUSH_PRIVATE_H

#include "storage/db/jobs_private.h"
#include "storage/db/statistics.h"

typedef struct M3FlushWork
{
	M3Database *db;
	M3FlushResult *result;		/* added to */
	M3Payload	payload;
	M3Decoding	decoding;
} M3FlushWork;

/*
 * Flushes what is settled of the buckets of one (shard, block start), given in order of ids.  After
 * a failure the buffers are as they were, and no fileset is left that counts.  Calls
 * env->yield; what a jump leaves is an unfinished fileset, and streams frozen for nothing.
 */
extern M3Status m3i_flush_group(M3FlushWork *work, M3Ref namespace_ref, const M3BucketRef *refs,
								size_t count, int64_t block_size_ns, M3Error *err);

#endif							/* M3_DB_FLUSH_PRIVATE_H */
