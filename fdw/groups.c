/*
 * Grouping series by a hash of the tags that make the key.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/groups.h"

typedef struct GroupKey
{
	M3Slice		bytes;
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

typedef struct Grouping
{
	const M3Scan *scan;
	const M3dbGroupSpec *spec;
	M3dbGroups *groups;
	group_table_hash *table;
	M3Tag	   *sorted;			/* scratch, grown as needed */
	size_t		sorted_capacity;
} Grouping;

/* ---- keys ---- */

static bool
is_metric_name(M3Slice name)
{
	return m3_slice_equal(name, m3_slice_cstr(M3_TAG_METRIC_NAME));
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

/* All tags but __name__, sorted by name. */
static void
append_all_tags(Grouping *grouping, M3Slice encoded, uint8 **out)
{
	size_t		count = 0;
	M3TagIterator iterator;

	m3_tag_iterator_init_trusted(&iterator, encoded);
	if (iterator.left >= grouping->sorted_capacity)
	{
		grouping->sorted_capacity = iterator.left + 16;
		grouping->sorted = palloc(sizeof(M3Tag) * grouping->sorted_capacity);
	}
	while (m3_tag_next(&iterator, &grouping->sorted[count]))
	{
		if (!is_metric_name(grouping->sorted[count].name))
			count++;
	}
	m3_tags_sort(grouping->sorted, count);
	for (size_t i = 0; i < count; i++)
	{
		append_bytes(out, grouping->sorted[i].name);
		append_bytes(out, grouping->sorted[i].value);
	}
}

static void
append_given_tags(const M3dbGroupSpec *spec, M3Slice encoded, uint8 **out)
{
	for (size_t i = 0; i < spec->tag_count; i++)
	{
		M3Slice		value = {0};
		bool		found = m3_tags_find(encoded, spec->tags[i], &value);

		*(*out)++ = found;
		append_bytes(out, found ? value : m3_slice("", 0));
	}
}

/* The tags in a form that equals when they do. */
static M3Slice
make_key(Grouping *grouping, M3Slice encoded, uint8 *buffer)
{
	uint8	   *out = buffer;

	if (grouping->spec->tags == NULL)
		append_all_tags(grouping, encoded, &out);
	else
		append_given_tags(grouping->spec, encoded, &out);
	return m3_slice(buffer, (size_t) (out - buffer));
}

static size_t
key_capacity(const M3dbGroupSpec *spec, M3Slice encoded)
{
	return encoded.size + 3 * spec->tag_count + 1;
}

/* ---- members ---- */

/* The column a series belongs to, or -1. */
static int64
column_of_series(const M3dbGroupSpec *spec, M3Slice tags)
{
	M3Slice		metric;

	if (spec->columns == NULL)
		return 0;
	if (!m3_tags_find(tags, m3_slice_cstr(M3_TAG_METRIC_NAME), &metric))
		metric = m3_slice("", 0);
	for (size_t i = 0; i < spec->column_count; i++)
	{
		if (m3_slice_equal(spec->columns[i], metric))
			return (int64) i;
	}
	return -1;
}

static bool
group_has_column(const M3dbGroups *groups, uint32 group, uint32 column)
{
	for (uint32 i = groups->first[group]; i != M3DB_GROUPS_END; i = groups->members[i].next)
	{
		if (groups->members[i].column == column)
			return true;
	}
	return false;
}

static void
add_series(Grouping *grouping, uint32 series)
{
	M3dbGroups *groups = grouping->groups;
	M3dbGroupMember *member = &groups->members[groups->member_count];
	M3Slice		id;
	M3Slice		tags;
	int64		column;
	uint8	   *buffer;
	GroupKey   *key;
	bool		found;

	m3_scan_series(grouping->scan, series, &id, &tags);
	column = column_of_series(grouping->spec, tags);
	if (column < 0)
		return;
	buffer = palloc(key_capacity(grouping->spec, tags));
	key = group_table_insert(grouping->table, make_key(grouping, tags, buffer), &found);
	if (found)
		pfree(buffer);

	member->series = series;
	member->column = (uint32) column;
	if (found && (grouping->spec->columns == NULL ||
				  !group_has_column(groups, key->group, member->column)))
		member->next = groups->first[key->group];
	else
	{
		key->group = (uint32) groups->count++;
		groups->hashes[key->group] = key->hash;
		member->next = M3DB_GROUPS_END;
	}
	groups->first[key->group] = (uint32) groups->member_count++;
}

static void *
alloc_for_series(size_t width, size_t count)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, width * (count + 1));
}

M3dbGroups *
m3db_groups_create(const M3Scan *scan, const M3dbGroupSpec *spec)
{
	size_t		count = spec->series != NULL ? spec->series_count :
		m3_scan_series_count(scan);
	M3dbGroups *groups = palloc0(sizeof(M3dbGroups));
	Grouping	grouping = {.scan = scan, .spec = spec, .groups = groups};
	MemoryContext context;
	MemoryContext old_context;

	if (count >= M3DB_GROUPS_END)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many series for one scan")));
	groups->members = alloc_for_series(sizeof(M3dbGroupMember), count);
	groups->first = alloc_for_series(sizeof(uint32), count);
	groups->hashes = alloc_for_series(sizeof(uint32), count);

	context = AllocSetContextCreate(CurrentMemoryContext, "m3db groups",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);
	grouping.table = group_table_create(context, 256, NULL);
	for (size_t i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_series(&grouping, spec->series != NULL ? spec->series[i] : (uint32) i);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	return groups;
}
