/*
 * What the files of the scan share.
 */
#ifndef M3_LOG_SCAN_PRIVATE_H
#define M3_LOG_SCAN_PRIVATE_H

#include "storage/log/scan.h"

/* A group taken back: its log and first chunk. */
typedef struct M3LogAbortedGroup
{
	uint64_t	log_index;
	uint64_t	offset;
} M3LogAbortedGroup;

typedef struct M3LogListedFile
{
	M3LogFile	file;
	uint64_t	number;			/* last number of the name */
	bool		has_number;
} M3LogListedFile;

struct M3LogSet
{
	M3Env	   *env;
	M3Memory   *memory;
	char		directory[M3_LOG_PATH_SIZE];
	M3LogListedFile *files;
	size_t		count;
	size_t		capacity;
	M3LogAbortedGroup *aborted;		/* sorted once checked */
	size_t		aborted_count;
	size_t		aborted_capacity;
	bool		has_resolved;
	uint64_t	resolved;
};

/* Path of a file of the set. */
extern M3Status m3i_log_set_path(const M3LogSet *set, const char *name, char *path,
								 size_t size, M3Error *err);

#endif							/* M3_LOG_SCAN_PRIVATE_H */
