/*
 * A row finds its series through a cache, whose key is the raw bytes of the columns
 * that make the series: first what followed the previous row's series last time, which
 * is itself in data sorted by series and the next one in rounds over all series;
 * then a hash table.  Only a key not seen before is turned into tags, an id and a series number.
 * The key is exact but not canonical: one value in two forms costs a second entry.
 *
 * A wide row has one key and one group of series, one for each value column;
 * they are named when a row first has a value for them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/fdw.h"
#include "fdw/row.h"
#include "fdw/row_tags.h"
#include "server/server.h"

#define NO_SERIES PG_UINT32_MAX
#define FIRST_TABLE_SIZE 64
/* Bytes of cache after which it begins anew: the transaction knows the series. */
#define CACHE_MAX_SIZE ((Size) 64 * 1024 * 1024)

typedef struct SeriesGroup
{
	const char *key;
	uint32		key_size;
	uint32		hash;
	struct SeriesGroup *next;	/* what followed it last time; at first itself */
	uint32		series[FLEXIBLE_ARRAY_MEMBER];	/* by value column */
} SeriesGroup;

/* A column that is part of the key. */
typedef struct KeyColumn
{
	AttrNumber	attnum;
	int16		length;
	bool		by_value;
} KeyColumn;

struct M3dbRowWriter
{
	const M3dbTable *table;
	MemoryContext context;		/* all of it */
	MemoryContext scratch;		/* for one row that needs work */
	M3Txn	   *txn;
	uint32		namespace_number;
	CommandId	command;
	int			attnum_max;		/* last column to look at */
	int64		min_ns;			/* times allowed: [min, end) */
	int64		end_ns;

	int			key_count;
	KeyColumn  *keys;
	char	   *key;			/* of the current row */
	Size		key_capacity;

	SeriesGroup *last;			/* of the previous row, or NULL */
	MemoryContext cache_context;
	Size		cache_size;
	SeriesGroup **groups;		/* open addressing */
	uint32		group_count;
	uint32		group_capacity; /* power of two; 0: none yet */
};

/* ---- creation ---- */

static void
add_key(M3dbRowWriter *writer, AttrNumber attnum)
{
	KeyColumn  *key;

	if (attnum == InvalidAttrNumber)
		return;
	key = &writer->keys[writer->key_count++];
	key->attnum = attnum;
	get_typlenbyval(writer->table->columns[attnum - 1].type_id, &key->length,
					&key->by_value);
}

/* A namespace keeps its block size when no table asks for one. */
static M3Status
open_namespace(M3dbRowWriter *writer, int64 *block_size_ns, M3Error *err)
{
	const M3dbTable *table = writer->table;
	M3NamespaceOptions options = table->options;
	int64_t		has_size_ns;

	if (!table->block_size_given &&
		m3_txn_block_size(writer->txn, table->namespace_name, &has_size_ns) &&
		has_size_ns != options.block_size_ns)
	{
		options.block_size_ns = has_size_ns;
		options.buffer_past_ns = Min(options.buffer_past_ns, has_size_ns / 2);
		options.buffer_future_ns = Min(options.buffer_future_ns, has_size_ns / 2);
	}
	*block_size_ns = options.block_size_ns;
	return m3_txn_namespace(writer->txn, table->namespace_name, &options,
							&table->root_options, &writer->namespace_number, err);
}

M3dbRowWriter *
m3db_row_writer_create(const M3dbTable *table)
{
	M3Txn	   *txn = m3db_xact_txn();
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "m3db row writer",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	M3dbRowWriter *writer = palloc0(sizeof(M3dbRowWriter));
	int64		block_size_ns;
	M3Error		err = {0};

	writer->table = table;
	writer->context = context;
	writer->txn = txn;
	writer->scratch = AllocSetContextCreate(context, "m3db row", ALLOCSET_SMALL_SIZES);
	writer->cache_context = AllocSetContextCreate(context, "m3db series cache",
												  ALLOCSET_SMALL_MINSIZE,
												  ALLOCSET_SMALL_INITSIZE,
												  ALLOCSET_DEFAULT_MAXSIZE);
	/* the points are not seen by the command that writes them */
	writer->command = GetCurrentCommandId(true);
	m3db_check(open_namespace(writer, &block_size_ns, &err), &err);
	m3_time_range(block_size_ns, &writer->min_ns, &writer->end_ns);

	writer->keys = palloc((table->tag_count + 2) * sizeof(KeyColumn));
	add_key(writer, table->id_attnum);
	add_key(writer, table->tags_attnum);
	for (int i = 0; i < table->tag_count; i++)
		add_key(writer, table->tag_attnums[i]);
	writer->attnum_max = table->column_count;
	writer->key_capacity = 256;
	writer->key = palloc(writer->key_capacity);
	MemoryContextSwitchTo(old_context);
	return writer;
}

void
m3db_row_writer_free(M3dbRowWriter *writer)
{
	MemoryContextDelete(writer->context);
}

/* ---- keys ---- */

static inline char *
reserve_key(M3dbRowWriter *writer, Size used, Size more)
{
	if (unlikely(used + more > writer->key_capacity))
	{
		writer->key_capacity = Max(writer->key_capacity * 2, used + more);
		writer->key = repalloc_huge(writer->key, writer->key_capacity);
	}
	return writer->key + used;
}

static Size
put_varlena(M3dbRowWriter *writer, Size used, Datum value)
{
	struct varlena *bytes = (struct varlena *) DatumGetPointer(value);
	struct varlena *plain = bytes;
	uint32		size;
	char	   *out;

	if (VARATT_IS_EXTERNAL(bytes) || VARATT_IS_COMPRESSED(bytes))
	{
		MemoryContext old_context = MemoryContextSwitchTo(writer->scratch);

		plain = pg_detoast_datum_packed(bytes);
		MemoryContextSwitchTo(old_context);
	}
	size = (uint32) VARSIZE_ANY_EXHDR(plain);
	out = reserve_key(writer, used, sizeof(size) + size);
	memcpy(out, &size, sizeof(size));
	memcpy(out + sizeof(size), VARDATA_ANY(plain), size);
	if (plain != bytes)
		MemoryContextReset(writer->scratch);
	return used + sizeof(size) + size;
}

/* Puts the key of the row together; returns its size. */
static inline Size
make_key(M3dbRowWriter *writer, const TupleTableSlot *slot)
{
	Size		used = 0;

	for (int i = 0; i < writer->key_count; i++)
	{
		const KeyColumn *key = &writer->keys[i];
		Datum		value = slot->tts_values[key->attnum - 1];
		bool		isnull = slot->tts_isnull[key->attnum - 1];

		*reserve_key(writer, used, 1) = isnull;
		used++;
		if (isnull)
			continue;
		if (key->by_value)
		{
			memcpy(reserve_key(writer, used, sizeof(Datum)), &value, sizeof(Datum));
			used += sizeof(Datum);
		}
		else if (key->length > 0)
		{
			memcpy(reserve_key(writer, used, key->length), DatumGetPointer(value), key->length);
			used += key->length;
		}
		else
			used = put_varlena(writer, used, value);
	}
	return used;
}

/* ---- series ---- */

/* Names the series the row has values for and the group does not know. */
static void
resolve_group(M3dbRowWriter *writer, const TupleTableSlot *slot, SeriesGroup *group)
{
	const M3dbTable *table = writer->table;
	MemoryContext old_context = MemoryContextSwitchTo(writer->scratch);
	size_t		count;
	M3Tag	   *tags = m3db_row_tags(table, slot, &count);

	for (int i = 0; i < table->value_count; i++)
	{
		AttrNumber	attnum = table->value_attnums[i];

		if (group->series[i] == NO_SERIES && !slot->tts_isnull[attnum - 1])
			group->series[i] = m3db_row_series(writer->txn, writer->namespace_number, table,
											   slot, &table->columns[attnum - 1], tags,
											   count);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(writer->scratch);
}

/* ---- cache ---- */

static void
forget_groups(M3dbRowWriter *writer)
{
	MemoryContextReset(writer->cache_context);
	writer->groups = NULL;
	writer->group_count = 0;
	writer->group_capacity = 0;
	writer->cache_size = 0;
	writer->last = NULL;
}

static void
put_group(SeriesGroup **groups, uint32 capacity, SeriesGroup *group)
{
	uint32		i = group->hash & (capacity - 1);

	while (groups[i] != NULL)
		i = (i + 1) & (capacity - 1);
	groups[i] = group;
}

static void
grow_groups(M3dbRowWriter *writer)
{
	uint32		capacity = Max(writer->group_capacity * 2, FIRST_TABLE_SIZE);
	SeriesGroup **groups = MemoryContextAllocZero(writer->cache_context,
												  capacity * sizeof(SeriesGroup *));

	for (uint32 i = 0; i < writer->group_capacity; i++)
	{
		if (writer->groups[i] != NULL)
			put_group(groups, capacity, writer->groups[i]);
	}
	if (writer->groups != NULL)
		pfree(writer->groups);
	writer->groups = groups;
	writer->group_capacity = capacity;
}

static SeriesGroup *
add_group(M3dbRowWriter *writer, uint32 hash, Size key_size)
{
	int			value_count = writer->table->value_count;
	Size		size = offsetof(SeriesGroup, series) + value_count * sizeof(uint32);
	SeriesGroup *group;
	char	   *key;

	if (writer->cache_size > CACHE_MAX_SIZE)
		forget_groups(writer);
	if ((writer->group_count + 1) * 2 > writer->group_capacity)
		grow_groups(writer);
	group = MemoryContextAllocExtended(writer->cache_context, size + key_size,
									   MCXT_ALLOC_HUGE);
	key = (char *) group + size;
	memcpy(key, writer->key, key_size);
	group->hash = hash;
	group->key = key;
	group->key_size = (uint32) key_size;
	group->next = group;
	for (int i = 0; i < value_count; i++)
		group->series[i] = NO_SERIES;
	put_group(writer->groups, writer->group_capacity, group);
	writer->group_count++;
	writer->cache_size += size + key_size + 2 * sizeof(SeriesGroup *);
	return group;
}

static inline bool
has_key(const SeriesGroup *group, const M3dbRowWriter *writer, Size key_size)
{
	return group->key_size == key_size && memcmp(group->key, writer->key, key_size) == 0;
}

/* The group of a key that is not the previous row's. */
static SeriesGroup *
find_group(M3dbRowWriter *writer, Size key_size)
{
	uint32		hash = hash_bytes((const unsigned char *) writer->key, (int) key_size);
	uint32		mask = writer->group_capacity - 1;

	if (writer->group_capacity == 0)
		return add_group(writer, hash, key_size);
	for (uint32 i = hash & mask; writer->groups[i] != NULL; i = (i + 1) & mask)
	{
		SeriesGroup *group = writer->groups[i];

		if (group->hash == hash && has_key(group, writer, key_size))
			return group;
	}
	return add_group(writer, hash, key_size);
}

/* ---- points ---- */

static _Noreturn void
refuse_null(const M3dbTable *table, AttrNumber attnum, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null %s in column \"%s\" of foreign table \"%s\"", what,
					table->columns[attnum - 1].name, get_rel_name(table->relid)),
			 errdetail("A datapoint needs a series, a time and a value.")));
	pg_unreachable();
}

static _Noreturn void
refuse_no_value(const M3dbTable *table)
{
	if (!table->wide)
		refuse_null(table, table->value_attnums[0], "value");
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("row for foreign table \"%s\" has no value at all",
					get_rel_name(table->relid)),
			 errdetail("All of its value columns are null; a datapoint needs a series, a time "
					   "and a value.")));
	pg_unreachable();
}

static _Noreturn void
refuse_time(const M3dbRowWriter *writer, int64 time_ns)
{
	char	   *min = pstrdup(timestamptz_to_str(m3db_time_from_ns(writer->min_ns)));
	char	   *end = pstrdup(timestamptz_to_str(m3db_time_from_ns(writer->end_ns)));

	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("time out of range for foreign table \"%s\": \"%s\"",
					get_rel_name(writer->table->relid),
					timestamptz_to_str(m3db_time_from_ns(time_ns))),
			 errdetail("With its block size it can hold times from %s up to, not including, %s.",
					   min, end)));
	pg_unreachable();
}

static inline int64
row_time(const M3dbRowWriter *writer, const TupleTableSlot *slot)
{
	const M3dbTable *table = writer->table;
	int			i = table->time_attnum - 1;
	int64		time_ns;

	if (unlikely(slot->tts_isnull[i]))
		refuse_null(table, table->time_attnum, "time");
	time_ns = DatumGetInt64(slot->tts_values[i]);
	if (table->columns[i].role == M3DB_ROLE_TIME)
		time_ns = m3db_time_to_ns(time_ns);
	if (unlikely(time_ns < writer->min_ns || time_ns >= writer->end_ns))
		refuse_time(writer, time_ns);
	return time_ns;
}

static M3TimeUnit
row_unit(const M3dbRowWriter *writer, const TupleTableSlot *slot, int64 time_ns)
{
	const M3dbTable *table = writer->table;
	int			i = table->unit_attnum - 1;
	MemoryContext old_context;
	M3TimeUnit	unit;
	char	   *name;

	if (slot->tts_isnull[i])
		return M3_UNIT_NONE;
	old_context = MemoryContextSwitchTo(writer->scratch);
	name = TextDatumGetCString(slot->tts_values[i]);
	unit = m3_unit_from_name(name);
	if (unit == M3_UNIT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid time unit in column \"%s\" of foreign table \"%s\": \"%s\"",
						table->columns[i].name, get_rel_name(table->relid), name),
				 errdetail("It must be s, ms, us, ns or null."),
				 errhint("If the column is not the unit of the time, give it option role 'tag'.")));
	if (time_ns % m3_unit_ns(unit) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time unit \"%s\" in column \"%s\" of foreign table \"%s\" is too "
						"coarse for the row's time",
						name, table->columns[i].name, get_rel_name(table->relid)),
				 errdetail("The time would not be stored exactly."),
				 errhint("Use a finer unit, or null to have one chosen.")));
	pfree(name);
	MemoryContextSwitchTo(old_context);
	return unit;
}

/* May point into scratch memory: valid until the next row. */
static M3Slice
row_annotation(const M3dbRowWriter *writer, const TupleTableSlot *slot)
{
	const M3dbTable *table = writer->table;
	int			i = table->annotation_attnum - 1;
	MemoryContext old_context;
	struct varlena *bytes;
	Size		size;

	if (slot->tts_isnull[i])
		return m3_slice(NULL, 0);
	old_context = MemoryContextSwitchTo(writer->scratch);
	bytes = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(slot->tts_values[i]));
	MemoryContextSwitchTo(old_context);
	size = VARSIZE_ANY_EXHDR(bytes);
	if (size > M3_ANNOTATION_MAX_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("annotation in column \"%s\" of foreign table \"%s\" is too long",
						table->columns[i].name, get_rel_name(table->relid)),
				 errdetail("It has %zu bytes; the limit is %d.", size, M3_ANNOTATION_MAX_SIZE)));
	return m3_slice(VARDATA_ANY(bytes), size);
}

static inline SeriesGroup *
row_group(M3dbRowWriter *writer, const TupleTableSlot *slot)
{
	Size		key_size = make_key(writer, slot);
	SeriesGroup *last = writer->last;
	SeriesGroup *group;

	if (likely(last != NULL && has_key(last->next, writer, key_size)))
		return writer->last = last->next;
	group = last != NULL && has_key(last, writer, key_size) ? last :
		find_group(writer, key_size);
	/* finding may have begun the cache anew */
	if (writer->last != NULL)
		writer->last->next = group;
	return writer->last = group;
}

/* Are the series named that the row has values for?  Refuses a row without any. */
static inline bool
is_resolved(const M3dbRowWriter *writer, const TupleTableSlot *slot, const SeriesGroup *group)
{
	const M3dbTable *table = writer->table;
	bool		has_value = false;
	bool		resolved = true;

	for (int i = 0; i < table->value_count; i++)
	{
		if (slot->tts_isnull[table->value_attnums[i] - 1])
			continue;
		has_value = true;
		resolved &= group->series[i] != NO_SERIES;
	}
	if (unlikely(!has_value))
		refuse_no_value(table);
	return resolved;
}

void
m3db_row_write(M3dbRowWriter *writer, TupleTableSlot *slot)
{
	const M3dbTable *table = writer->table;
	M3Slice		annotation = {NULL, 0};
	M3TimeUnit	unit = M3_UNIT_NONE;
	SeriesGroup *group;
	int64		time_ns;
	M3Status	status;
	M3Error		err;

	slot_getsomeattrs(slot, writer->attnum_max);
	time_ns = row_time(writer, slot);
	if (table->id_attnum != InvalidAttrNumber && slot->tts_isnull[table->id_attnum - 1])
		refuse_null(table, table->id_attnum, "series id");
	group = row_group(writer, slot);
	if (unlikely(!is_resolved(writer, slot, group)))
		resolve_group(writer, slot, group);
	if (table->unit_attnum != InvalidAttrNumber)
		unit = row_unit(writer, slot, time_ns);
	if (table->annotation_attnum != InvalidAttrNumber)
		annotation = row_annotation(writer, slot);
	for (int i = 0; i < table->value_count; i++)
	{
		int			column = table->value_attnums[i] - 1;

		if (slot->tts_isnull[column])
			continue;
		status = m3_txn_write(writer->txn, group->series[i], time_ns,
							  DatumGetFloat8(slot->tts_values[column]), unit, annotation,
							  writer->command, &err);
		if (unlikely(status != M3_OK))
			m3db_check(status, &err);
	}
	if (annotation.size > 0)
		MemoryContextReset(writer->scratch);
}
