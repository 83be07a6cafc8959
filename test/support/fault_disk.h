/*
 * A disk in memory that knows what would be left of it after a crash.
 *
 * Every file and directory exists twice: as the system sees it now, and as
 * stable storage has it.  Between the two lie, in order, the changes nobody has
 * synchronized: writes and truncations of each file, and changes of names.
 *
 * Only test/support/env_fault.c uses this.  Functions return 0 or an errno.
 */
#ifndef M3_TEST_FAULT_DISK_H
#define M3_TEST_FAULT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test/support/env_fault.h"

typedef struct Disk Disk;
typedef struct Node Node;		/* a file or directory, whatever its names */
typedef struct Change Change;

typedef struct Bytes
{
	uint8_t    *data;
	size_t		size;
	size_t		capacity;
} Bytes;

typedef struct Entry
{
	char	   *name;
	Node	   *now;			/* NULL: no such name */
	Node	   *stable;
} Entry;

struct Node
{
	Node	   *next;			/* of all nodes of the disk */
	bool		is_directory;
	bool		is_marked;		/* by the collection of garbage */
	unsigned	handles;		/* open ones */

	Bytes		now;			/* files */
	Bytes		stable;
	Change	   *first_change;
	Change	  **last_change;

	Entry	   *entries;		/* directories */
	size_t		entry_count;
};

extern Disk *disk_create(void);
extern void disk_destroy(Disk *disk);

extern int	disk_find(Disk *disk, const char *path, Node **node);
extern int	disk_make(Disk *disk, const char *path, bool is_directory, Node **node);
extern Node *disk_make_unnamed(Disk *disk);
extern int	disk_rename(Disk *disk, const char *from, const char *to);
extern int	disk_remove(Disk *disk, const char *path, bool is_directory);

/* Makes the changes of names in that directory stable. */
extern void disk_sync_names(Disk *disk, Node *directory);

extern void disk_write(Node *file, const void *data, size_t size, uint64_t offset);
extern void disk_truncate(Node *file, uint64_t size);
extern void disk_sync(Node *file);

/* A sync failed: what it should have written is still seen, but no later sync
 * will write it either. */
extern void disk_lose(Node *file);

extern void disk_crash(Disk *disk, EnvFaultCrash mode, uint64_t seed);

/* Bytes in all files that have a name or a handle now. */
extern uint64_t disk_used(Disk *disk);

#endif							/* M3_TEST_FAULT_DISK_H */
