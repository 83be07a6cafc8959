/*
 * All commit logs of a root: what is there, what is sound, and its replay.
 *
 *   open      lists <root>/commitlogs and reads the headers
 *   check     first pass: every byte verified, aborts collected
 *   repair    cuts torn tails (never on a mount)
 *   replay    second pass: whole groups, in order
 *
 * Order: logs of M3 <= 0.6.1 (by start, index), then the others by header index.
 * Files whose header cannot be read come last.  A set belongs to one
 * process; no locks are taken, nobody writes the logs meanwhile.
 *
 * check and replay call env->yield between groups, every few MiB, with no file
 * open; should it jump, only memory of the set's M3Memory is left behind.
 */
#ifndef M3_LOG_SCAN_H
#define M3_LOG_SCAN_H

#include "storage/log/reader.h"

#define M3_LOG_DIRECTORY "commitlogs"
#define M3_LOG_PATH_SIZE 1024

typedef struct M3LogSet M3LogSet;

typedef struct M3LogFile
{
	char		name[256];		/* within the directory */
	bool		is_legacy;		/* stamped name of M3 <= 0.6.1 */
	bool		has_info;		/* false: header unreadable, only the size is known */
	bool		is_blank;		/* no header, and no byte but zeros: normal after a crash */
	bool		name_differs;	/* from the header's index, which counts */
	bool		is_checked;		/* end is filled */
	uint64_t	size;
	M3LogInfo	info;
	M3LogEnd	end;
	char		reason[128];	/* why the header is unreadable */
} M3LogFile;

/* done never exceeds total.  Any status but M3_OK stops, and is returned. */
typedef M3Status (*M3LogProgressFn) (void *context, uint64_t done_bytes,
									 uint64_t total_bytes);

/* root_path is copied.  A missing directory is an empty set. */
extern M3Status m3_log_set_open(M3Env *env, M3Memory *memory, const char *root_path,
								M3LogSet **set, M3Error *err);
extern void m3_log_set_close(M3LogSet *set);	/* NULL allowed */

extern size_t m3_log_set_count(const M3LogSet *set);
extern const M3LogFile *m3_log_set_file(const M3LogSet *set, size_t number);

/* First pass.  progress may be NULL.  Damage is no error, it is in the files' ends. */
extern M3Status m3_log_set_check(M3LogSet *set, M3LogProgressFn progress,
								 void *context, M3Error *err);

/* Known after check: */
extern uint64_t m3_log_set_entries(const M3LogSet *set);	/* points and VOID markers */
extern bool m3_log_set_is_aborted(const M3LogSet *set, uint64_t log_index, uint64_t offset);
/* highest log index of a RESOLVED marker; false if there is none */
extern bool m3_log_set_resolved(const M3LogSet *set, uint64_t *log_index);

/* Index for a new log: above every header, not below floor, its name free
 * (spec/commitlog.md 1).  floor: log index of the newest snapshot metadata + 1, or 0. */
extern uint64_t m3_log_set_next_index(const M3LogSet *set, uint64_t floor);

/* Whether repair would cut: the end is ZEROS or TORN, or HOLE in the log
 * that was written last. */
extern bool m3_log_set_needs_repair(const M3LogSet *set, size_t number);

/* Truncates to valid_size and syncs; *cut is the number of bytes, 0 if there was nothing to do
 * (damage of other kinds is left as it is).  After check. */
extern M3Status m3_log_set_repair(M3LogSet *set, size_t number, uint64_t *cut, M3Error *err);

/* Unlinks a blank file; M3_INVALID for any other. */
extern M3Status m3_log_set_remove_blank(M3LogSet *set, size_t number, M3Error *err);

typedef struct M3LogGroupInfo
{
	uint64_t	log_index;
	uint64_t	offset;			/* of its first chunk: its name, with log_index */
	uint64_t	xid;			/* full transaction id, 0: none */
	bool		is_resolved;	/* xid need not be asked for: it committed */
} M3LogGroupInfo;

/* Any status but M3_OK ends the replay and is returned.  aborted groups are
 * not shown.  progress may be NULL. */
typedef struct M3LogReplay
{
	/* NULL: all apply */
	M3Status	(*begin) (void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err);
	M3Status	(*entry) (void *context, const M3LogGroupInfo *group,
						  const M3LogRecord *record, M3Error *err);
	/* a VOID marker of the group; NULL: passed over */
	M3Status	(*voided) (void *context, const M3LogGroupInfo *group,
						   const M3LogMarker *marker, M3Error *err);
	/* NULL allowed */
	M3Status	(*end) (void *context, const M3LogGroupInfo *group, M3Error *err);
	/* a file begins, its series are new ones; NULL allowed */
	M3Status	(*file) (void *context, const M3LogFile *file, M3Error *err);
	M3LogProgressFn progress;
	void	   *context;
	uint64_t	first_index;	/* modern logs below it are left out; 0: all */
} M3LogReplay;

/*
 * Second pass, after check: every whole group of every readable file, also
 * of those that end badly.  Entries of skipped groups still introduce their series.
 * record->series->user is the caller's cache, fresh for each file.
 */
extern M3Status m3_log_set_replay(M3LogSet *set, const M3LogReplay *replay, M3Error *err);

/* Path of a log, "<root>/commitlogs/commitlog-0-<index>.db"; M3_INVALID if it does not fit. */
extern M3Status m3_log_path(char *path, size_t size, const char *root_path,
							uint64_t index, M3Error *err);

#endif							/* M3_LOG_SCAN_H */
