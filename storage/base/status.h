/*
 * Results of storage functions: a status, and where it failed.
 *
 * Storage code never prints, aborts or jumps.  A function that can fail
 * returns M3Status and, on failure, describes it in the M3Error its caller
 * passed (NULL is allowed: the caller wants the status only).
 */
#ifndef M3_BASE_STATUS_H
#define M3_BASE_STATUS_H

#include <stdint.h>

typedef enum M3Status
{
	M3_OK = 0,
	M3_NOT_FOUND,				/* what was asked for does not exist */
	M3_CORRUPT,					/* bytes read back contradict their format */
	M3_IO,						/* the operating system refused; see sys_errno */
	M3_NO_MEMORY,				/* private memory is exhausted */
	M3_FULL,					/* the arena, or a configured limit, is exhausted */
	M3_INVALID,					/* the caller's data is outside what can be stored */
	M3_CONFLICT,				/* contradicts what is stored already */
	M3_UNSUPPORTED,				/* well-formed, but of a kind we do not handle */
	M3_NOT_READY				/* the database is still bootstrapping */
} M3Status;

typedef struct M3Error
{
	M3Status	status;
	int			sys_errno;		/* for M3_IO, else 0 */
	int64_t		offset;			/* byte position in file, or -1 */
	char		file[512];		/* path, or empty */
	char		message[256];	/* lower case, no full stop */
	char		detail[256];	/* a sentence, or empty */
} M3Error;

/* Fills *err (if not NULL) and returns status. */
extern M3Status m3_error(M3Error *err, M3Status status, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* The same for a failed system call on path: status M3_IO, errno kept. */
extern M3Status m3_error_io(M3Error *err, int sys_errno, const char *path,
							const char *format,...)
			__attribute__((format(printf, 4, 5)));

/* The same for bad bytes at an offset of path: status M3_CORRUPT. */
extern M3Status m3_error_corrupt(M3Error *err, const char *path,
								 int64_t offset, const char *format,...)
			__attribute__((format(printf, 4, 5)));

/* Adds the detail sentence to an error already filled; NULL is allowed. */
extern void m3_error_detail(M3Error *err, const char *format,...)
			__attribute__((format(printf, 2, 3)));

extern const char *m3_status_name(M3Status status);

#define M3_TRY(expr) \
	do { \
		M3Status	m3_try_status_ = (expr); \
		if (m3_try_status_ != M3_OK) \
			return m3_try_status_; \
	} while (0)

/* For functions with a local "M3Status status" and a label "done". */
#define M3_GOTO(expr) \
	do { \
		status = (expr); \
		if (status != M3_OK) \
			goto done; \
	} while (0)

#endif							/* M3_BASE_STATUS_H */
