/*
 * The series of a scan grouped by their tags: those whose points make rows of a wide table
 * together, or those an aggregate sums up together.
 *
 * All series of the scan are looked at once, when the groups are made.
 */
#ifndef M3DB_GROUPS_H
#define M3DB_GROUPS_H

#include "storage/m3.h"

#define M3DB_GROUPS_END PG_UINT32_MAX

typedef struct M3dbGroupMember
{
	uint32		series;			/* number in the scan */
	uint32		column;			/* 0 without columns */
	uint32		next;			/* of the group, or M3DB_GROUPS_END */
} M3dbGroupMember;

typedef struct M3dbGroups
{
	size_t		count;
	uint32	   *first;			/* a member of each */
	uint32	   *hashes;			/* ... and the hash of its key, the same in all processes */
	size_t		member_count;
	M3dbGroupMember *members;	/* in the order of the series they are of */
} M3dbGroups;

/* Which series are grouped, and by what. */
typedef struct M3dbGroupSpec
{
	/* the key: these tags, each named once; NULL: all tags but __name__ */
	const M3Slice *tags;
	size_t		tag_count;

	/*
	 * Columns by their __name__, size 0 that of a series without: other series are left out, and
	 * no two members of a group are of the same column; those there would be are in groups of
	 * their own.  NULL: all series are members.
	 */
	const M3Slice *columns;
	size_t		column_count;

	/* series to group, for instance one of each of the groups made before; NULL: all */
	const uint32 *series;
	size_t		series_count;
} M3dbGroupSpec;

/* Allocated in the current memory context.  Raises 54000 if there are too many series. */
extern M3dbGroups *m3db_groups_create(const M3Scan *scan, const M3dbGroupSpec *spec);

#endif							/* M3DB_GROUPS_H */
