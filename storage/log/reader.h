/*
 * Reads one commit log from front to back (spec/commitlog.md 10, OURS).
 *
 * Entries come in order, each with its series: metadata is kept per file under the
 * unique index.  Bytes come from disk and are believed only as far as they are
 * checked; memory is bounded by the file's size.  Whatever stops the reading short
 * of the end is not an error of m3_log_reader_next but a finding, in M3LogEnd.
 *
 * Groups.  A group is a run of chunks that starts where the one before it ended.
 * It ends with the chunk in which its last message ends: the message that
 * holds the last entry its GROUP marker announces, or without that marker the
 * first message that ends with a chunk.  VOID markers are among the entries, before the
 * points; any other marker is a group by itself.  valid_size is the end of the last whole group.
 */
#ifndef M3_LOG_READER_H
#define M3_LOG_READER_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/log/format.h"
#include "storage/log/marker.h"

typedef struct M3LogReader M3LogReader;

/* A series of the file.  Owned by the reader, at a fixed address until close. */
typedef struct M3LogSeries
{
	uint64_t	unique_index;
	M3LogSeriesMetadata metadata;	/* of its first appearance */
	bool		is_marker;
	uint64_t	user;			/* 0 at first; the caller's */
} M3LogSeries;

typedef struct M3LogRecord
{
	M3LogSeries *series;
	int64_t		create_ns;
	int64_t		time_ns;
	double		value;
	uint32_t	unit;			/* as stored: 1..4 in any sound log */
	M3Slice		annotation;		/* valid until the next call */
	bool		is_marker;		/* then marker is what it says */
	M3LogMarker marker;
	uint64_t	chunk_offset;	/* of the chunk the message starts in */
	uint64_t	group_offset;	/* of the group's first chunk */
	uint64_t	group_xid;		/* 0: none */
} M3LogRecord;

/* Whether it is an entry of its group: a point, or a VOID marker. */
static inline bool
m3_log_is_entry(const M3LogRecord *record)
{
	return !record->is_marker || record->marker.kind == M3_LOG_MARKER_VOID;
}

typedef enum M3LogEndKind
{
	M3_LOG_END_CLEAN,			/* valid_size is the file's size */
	M3_LOG_END_ZEROS,			/* then zeros: preallocated, or lost in a crash */
	M3_LOG_END_TORN,			/* then part of a group, and nothing sound after it */
	M3_LOG_END_HOLE,			/* sectors of zeros, then sound chunks: the disk wrote the
								 * last sync out of order, or lost something later */
	M3_LOG_END_CORRUPT			/* damage, and it does not come from a torn write */
} M3LogEndKind;

typedef struct M3LogEnd
{
	M3LogEndKind kind;
	uint64_t	file_size;
	uint64_t	valid_size;		/* end of the last whole group; >= the LogInfo's chunk */
	uint64_t	offset;			/* of the chunk in which reading stopped */
	uint64_t	entries;		/* before valid_size: points and VOID markers */
	uint64_t	groups;			/* before valid_size that hold entries */
	uint64_t	max_unique_index;	/* of the entries read */
	char		reason[128];	/* lower case, empty if clean */
} M3LogEnd;

typedef struct M3LogReaderOptions
{
	uint64_t	limit;			/* read only so many bytes; 0: all.  A limit is a
								 * valid_size: the end there is clean */
	bool		trusted;		/* checksums up to limit have been checked before */
} M3LogReaderOptions;

/*
 * Opens path and reads its LogInfo.  options NULL: defaults.  M3_NOT_FOUND: no such
 * file.  M3_CORRUPT: no LogInfo can be read (also: an empty file).  Otherwise
 * M3_IO, M3_NO_MEMORY.  On failure there is nothing to close.
 */
extern M3Status m3_log_reader_open(M3Env *env, M3Memory *memory, const char *path,
								   const M3LogReaderOptions *options,
								   M3LogReader **reader, M3Error *err);
extern void m3_log_reader_close(M3LogReader *reader);	/* NULL allowed */

extern const M3LogInfo *m3_log_reader_info(const M3LogReader *reader);

/*
 * The next entry (markers too).  M3_NOT_FOUND at the end, without touching err;
 * m3_log_reader_end tells which.  M3_IO and M3_NO_MEMORY are errors of ours and say nothing
 * about the file.  Entries of a group that turns out to be torn are
 * delivered: who wants whole groups compares with valid_size, or uses scan.h.
 */
extern M3Status m3_log_reader_next(M3LogReader *reader, M3LogRecord *record, M3Error *err);

/* After m3_log_reader_next has returned M3_NOT_FOUND. */
extern void m3_log_reader_end(const M3LogReader *reader, M3LogEnd *end);

/* Bytes consumed: progress. */
extern uint64_t m3_log_reader_offset(const M3LogReader *reader);

/* Closes the file until the next call of next needs it: what remains is
 * memory, so a jump out of env->yield leaks no descriptor. */
extern void m3_log_reader_release_file(M3LogReader *reader);

extern const char *m3_log_end_name(M3LogEndKind kind);	/* "clean", "torn", ... */

#endif							/* M3_LOG_READER_H */
