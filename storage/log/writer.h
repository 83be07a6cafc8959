/*
 * Writes one commit log as M3 does: one buffer of the flush size, cut into
 * chunks where M3 cuts them (spec/commitlog.md 3.1).
 *
 * For export, tools and tests; the live log is commitlog.h.  Single-threaded.
 */
#ifndef M3_LOG_WRITER_H
#define M3_LOG_WRITER_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/log/format.h"

#define M3_LOG_DEFAULT_FLUSH_SIZE 65536u

typedef struct M3LogWriter M3LogWriter;

/*
 * Creates (or truncates) path and buffers the LogInfo; nothing is flushed.
 * flush_size 0 means the default.  On failure there is no writer to close.
 */
extern M3Status m3_log_writer_open(M3Env *env, M3Memory *memory, const char *path,
								   const M3LogInfo *info, size_t flush_size,
								   M3LogWriter **writer, M3Error *err);

/*
 * Writes the entry as given: whether it carries metadata is the caller's to
 * know.  M3_INVALID for a unit outside 1..4 or a field of 1 GiB or more.
 * After M3_IO only close is allowed.
 */
extern M3Status m3_log_writer_add(M3LogWriter *writer, const M3LogEntry *entry, M3Error *err);

/* Any message, prefix included, under the same cutting rule. */
extern M3Status m3_log_writer_add_message(M3LogWriter *writer, M3Slice message, M3Error *err);

/* Ends the chunk; nothing if it is empty.  With sync, the file is durable. */
extern M3Status m3_log_writer_flush(M3LogWriter *writer, bool sync, M3Error *err);

/* Flushes, syncs and closes; the writer is freed whatever the result. */
extern M3Status m3_log_writer_close(M3LogWriter *writer, M3Error *err);

/* Closes without flushing, after an error.  NULL allowed. */
extern void m3_log_writer_abandon(M3LogWriter *writer);

#endif							/* M3_LOG_WRITER_H */
