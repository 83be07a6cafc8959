/*
 * Aligning the series of wide rows.
 *
 * All series of the scan are grouped once, by a hash of their tags without
 * __name__.  Then group after group is merged by time: a cursor per series, the
 * smallest next time makes the row.  Groups have few members, so the
 * smallest is found by looking at all of them.
 *
 * The unit of a row is that of its first value column, in the table's order;
 * its annotation is the first there is in that order.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "compat.h"
#include "fdw/wide.h"
#include "server/server.h"

#define NO_INDEX PG_UINT32_MAX

typedef struct GroupKey
{
	M3Slice		bytes;			/* tags without __name__ */
	uint32		hash;
	uint32		group;			/* the last of that key */
	char		status;
} GroupKey;

#define SH_PREFIX group_table
#define SH_ELEMENT_TYPE GroupKey
#define SH_KEY_TYPE M3Slice
#define SH_KEY bytes
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, (int) (key).size)
#define SH_EQUAL(tb, a, b) m3_slice_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Member
{
	uint32		series;			/* number in the scan */
	uint32		column;			/* index of read column */
	uint32		next;			/* of the group, or NO_INDEX */
} Member;

typedef struct Cursor
{
	M3Reader   *reader;
	M3PointBatch batch;
	size_t		position;
	uint32		column;
} Cursor;

struct M3dbWide
{
	const M3dbTable *table;
	M3Scan	   *scan;
	M3dbDamage *damage;

	int			column_count;	/* columns read */
	AttrNumber *attnums;

	Member	   *members;
	uint32		member_count;
	uint32	   *groups;			/* first member of each */
	uint32		group_count;

	/* the group being read */
	uint32		next_group;
	int			cursor_count;	/* not at their end, by column */
	Cursor	   *cursors;
	int64	   *next_times;		/* of the cursors */
	M3Reader  **readers;		/* one per column, made when needed */
	Member	  **sorted;			/* scratch: members by column */
};

/* ---- grouping ---- */

static bool
is_metric_name(M3Slice name)
{
	return m3_slice_equal(name, m3_slice_cstr(M3_TAG_METRIC_NAME));
}

/* The column a series belongs to, or -1. */
static int
column_of_series(const M3dbWide *wide, M3Slice tags)
{
	M3Slice		metric;

	if (!m3_tags_find(tags, m3_slice_cstr(M3_TAG_METRIC_NAME), &metric))
		metric = m3_slice("", 0);
	for (int i = 0; i < wide->column_count; i++)
	{
		if (m3_slice_equal(wide->table->columns[wide->attnums[i] - 1].tag, metric))
			return i;
	}
	return -1;
}

static void
append_bytes(uint8 **out, M3Slice bytes)
{
	uint16		size = (uint16) bytes.size;

	memcpy(*out, &size, sizeof(size));
	if (bytes.size > 0)
		memcpy(*out + sizeof(size), bytes.data, bytes.size);
	*out += sizeof(size) + bytes.size;
}

/* The tags but for __name__, sorted, in a form that equals when they do. */
static M3Slice
group_key(M3Slice encoded, uint8 *buffer)
{
	M3Tag	   *tags;
	size_t		count = 0;
	M3TagIterator iterator;
	uint8	   *out = buffer;

	m3_tag_iterator_init_trusted(&iterator, encoded);
	tags = palloc(sizeof(M3Tag) * (iterator.left + 1));
	while (m3_tag_next(&iterator, &tags[count]))
	{
		if (!is_metric_name(tags[count].name))
			count++;
	}
	m3_tags_sort(tags, count);
	for (size_t i = 0; i < count; i++)
	{
		append_bytes(&out, tags[i].name);
		append_bytes(&out, tags[i].value);
	}
	pfree(tags);
	return m3_slice(buffer, (size_t) (out - buffer));
}

static bool
group_has_column(const M3dbWide *wide, uint32 group, uint32 column)
{
	for (uint32 i = wide->groups[group]; i != NO_INDEX; i = wide->members[i].next)
	{
		if (wide->members[i].column == column)
			return true;
	}
	return false;
}

static void
add_series(M3dbWide *wide, group_table_hash *table, uint32 series,
		   uint32 column, M3Slice tags)
{
	uint8	   *buffer = palloc(tags.size + 8);
	M3Slice		bytes = group_key(tags, buffer);
	Member	   *member = &wide->members[wide->member_count];
	bool		found;
	GroupKey   *key = group_table_insert(table, bytes, &found);

	member->series = series;
	member->column = column;
	if (found)
		pfree(buffer);
	if (found && !group_has_column(wide, key->group, column))
		member->next = wide->groups[key->group];
	else
	{
		key->group = wide->group_count++;
		member->next = NO_INDEX;
	}
	wide->groups[key->group] = wide->member_count++;
}

static void
group_series(M3dbWide *wide)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "m3db wide groups",
												  ALLOCSET_DEFAULT_SIZES);
	size_t		count = m3_scan_series_count(wide->scan);
	group_table_hash *table = group_table_create(context, 256, NULL);
	MemoryContext old_context = MemoryContextSwitchTo(context);

	for (size_t i = 0; i < count; i++)
	{
		M3Slice		id;
		M3Slice		tags;
		int			column;

		CHECK_FOR_INTERRUPTS();
		m3_scan_series(wide->scan, i, &id, &tags);
		column = column_of_series(wide, tags);
		if (column >= 0)
			add_series(wide, table, (uint32) i, (uint32) column, tags);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

M3dbWide *
m3db_wide_create(const M3dbTable *table, List *read_attnums, M3Scan *scan,
				 M3dbDamage *damage)
{
	M3dbWide   *wide = palloc0(sizeof(M3dbWide));
	int			column_count = list_length(read_attnums);
	size_t		series_count = m3_scan_series_count(scan);
	ListCell   *lc;

	wide->table = table;
	wide->scan = scan;
	wide->damage = damage;
	wide->attnums = palloc(sizeof(AttrNumber) * (column_count + 1));
	foreach(lc, read_attnums)
		wide->attnums[wide->column_count++] = (AttrNumber) lfirst_int(lc);

	wide->cursors = palloc0(sizeof(Cursor) * (column_count + 1));
	wide->next_times = palloc(sizeof(int64) * (column_count + 1));
	wide->readers = palloc0(sizeof(M3Reader *) * (column_count + 1));
	wide->sorted = palloc(sizeof(Member *) * (column_count + 1));
	if (series_count >= NO_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many series for one scan")));
	wide->members = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Member) * (series_count + 1));
	wide->groups = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(uint32) * (series_count + 1));
	group_series(wide);
	return wide;
}

/* ---- merging ---- */

/* Moves to the cursor's next batch; false at the end of the series. */
static bool
next_batch(M3dbWide *wide, Cursor *cursor)
{
	if (m3db_read_next(wide->damage, cursor->reader, &cursor->batch) == M3_NOT_FOUND)
		return false;
	cursor->position = 0;
	return true;
}

static void
open_cursor(M3dbWide *wide, const Member *member)
{
	Cursor	   *cursor = &wide->cursors[wide->cursor_count];
	M3Reader  **reader = &wide->readers[member->column];
	M3Error		err;

	if (*reader == NULL)
		m3db_check(m3_reader_create(wide->scan, reader, &err), &err);
	m3db_check(m3_reader_open(*reader, member->series, &err), &err);
	cursor->reader = *reader;
	cursor->column = member->column;
	if (next_batch(wide, cursor))
		wide->next_times[wide->cursor_count++] = cursor->batch.times_ns[0];
}

static void
open_group(M3dbWide *wide, M3dbProjection *projection)
{
	uint32		first = wide->groups[wide->next_group++];
	M3Slice		id;
	M3Slice		tags;

	memset(wide->sorted, 0, sizeof(Member *) * (size_t) wide->column_count);
	for (uint32 i = first; i != NO_INDEX; i = wide->members[i].next)
		wide->sorted[wide->members[i].column] = &wide->members[i];

	for (int i = 0; i < wide->column_count; i++)
	{
		projection->nulls[wide->attnums[i] - 1] = true;
		if (wide->sorted[i] != NULL)
			open_cursor(wide, wide->sorted[i]);
	}
	/* groups without points in the range cost no conversion */
	if (wide->cursor_count > 0)
	{
		m3_scan_series(wide->scan, wide->members[first].series, &id, &tags);
		m3db_projection_set_series(projection, id, tags);
	}
}

static int64
smallest_time(const M3dbWide *wide)
{
	int64		smallest = wide->next_times[0];

	for (int i = 1; i < wide->cursor_count; i++)
		smallest = Min(smallest, wide->next_times[i]);
	return smallest;
}

static void
remove_cursor(M3dbWide *wide, int index)
{
	int			after = wide->cursor_count - index - 1;

	memmove(&wide->cursors[index], &wide->cursors[index + 1],
			sizeof(Cursor) * (size_t) after);
	memmove(&wide->next_times[index], &wide->next_times[index + 1],
			sizeof(int64) * (size_t) after);
	wide->cursor_count--;
}

/* Puts the cursor's point into the row. */
static void
set_point(const M3dbWide *wide, const Cursor *cursor, bool *has_unit,
		  bool *has_annotation, M3dbProjection *projection)
{
	const M3PointBatch *batch = &cursor->batch;
	int			attribute = wide->attnums[cursor->column] - 1;

	projection->values[attribute] = Float8GetDatum(batch->values[cursor->position]);
	projection->nulls[attribute] = !projection->is_used[attribute];
	if (batch->units != NULL && !*has_unit)
	{
		m3db_projection_set_unit(projection, batch->units[cursor->position]);
		*has_unit = true;
	}
	if (batch->annotations != NULL && !*has_annotation &&
		batch->annotations[cursor->position].size > 0)
	{
		m3db_projection_set_annotation(projection,
									   batch->annotations[cursor->position]);
		*has_annotation = true;
	}
}

/* The row at time; moves on the cursors that have a point there. */
static void
make_row(M3dbWide *wide, int64 time_ns, M3dbProjection *projection)
{
	bool		has_unit = false;
	bool		has_annotation = false;
	int			index = 0;

	m3db_projection_set_time(projection, time_ns);
	m3db_projection_set_annotation(projection, m3_slice(NULL, 0));
	for (int i = 0; i < wide->column_count; i++)
		projection->nulls[wide->attnums[i] - 1] = true;
	while (index < wide->cursor_count)
	{
		Cursor	   *cursor = &wide->cursors[index];

		if (wide->next_times[index] != time_ns)
		{
			index++;
			continue;
		}
		set_point(wide, cursor, &has_unit, &has_annotation, projection);
		if (++cursor->position < cursor->batch.count || next_batch(wide, cursor))
			wide->next_times[index++] = cursor->batch.times_ns[cursor->position];
		else
			remove_cursor(wide, index);
	}
}

bool
m3db_wide_next(M3dbWide *wide, M3dbProjection *projection)
{
	while (wide->cursor_count == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (wide->next_group >= wide->group_count)
			return false;
		open_group(wide, projection);
	}
	make_row(wide, smallest_time(wide), projection);
	return true;
}

void
m3db_wide_rewind(M3dbWide *wide)
{
	wide->next_group = 0;
	wide->cursor_count = 0;
}

void
m3db_wide_close(M3dbWide *wide)
{
	for (int i = 0; i < wide->column_count; i++)
	{
		if (wide->readers[i] != NULL)
			m3_reader_free(wide->readers[i]);
		wide->readers[i] = NULL;
	}
}
