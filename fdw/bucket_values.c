#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/bucket_values.h"

/* A bucket among others, found by its value. */
typedef struct BucketEntry
{
	uint32		bucket;
	uint32		hash;
	char		status;
} BucketEntry;

static uint32 hash_of_bucket(const M3dbBucketValues *values, uint32 bucket);
static bool are_equal_buckets(const M3dbBucketValues *values, uint32 a, uint32 b);

#define SH_PREFIX bucket_table
#define SH_ELEMENT_TYPE BucketEntry
#define SH_KEY_TYPE uint32
#define SH_KEY bucket
#define SH_HASH_KEY(tb, key) hash_of_bucket((tb)->private_data, key)
#define SH_EQUAL(tb, a, b) are_equal_buckets((tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

void
m3db_bucket_values_init(M3dbBucketValues *values, const Expr *expr, MemoryContext context)
{
	Oid			type = exprType((const Node *) expr);
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_PROC | TYPECACHE_EQ_OPR);

	memset(values, 0, sizeof(*values));
	values->context = context;
	get_typlenbyval(type, &values->value_size, &values->value_by_value);
	if (!OidIsValid(entry->hash_proc) || !OidIsValid(entry->eq_opr))
		elog(ERROR, "no hashing for type %u", type);
	fmgr_info_cxt(entry->hash_proc, &values->hash_function, context);
	fmgr_info_cxt(get_opcode(entry->eq_opr), &values->equal_function, context);
	values->collation = exprCollation((const Node *) expr);
	values->capacity = 64;
	values->values = MemoryContextAlloc(context, sizeof(Datum) * values->capacity);
	values->nulls = MemoryContextAlloc(context, sizeof(bool) * values->capacity);
	values->table = bucket_table_create(context, 64, values);
}

static uint32
hash_of_bucket(const M3dbBucketValues *values, uint32 bucket)
{
	if (values->nulls[bucket])
		return 0;
	return DatumGetUInt32(FunctionCall1Coll((FmgrInfo *) &values->hash_function,
											values->collation, values->values[bucket]));
}

static bool
are_equal_buckets(const M3dbBucketValues *values, uint32 a, uint32 b)
{
	if (values->nulls[a] || values->nulls[b])
		return values->nulls[a] == values->nulls[b];
	return DatumGetBool(FunctionCall2Coll((FmgrInfo *) &values->equal_function,
										  values->collation, values->values[a],
										  values->values[b]));
}

static bool
is_same_as_last(const M3dbBucketValues *values, Datum value, bool is_null)
{
	return values->count > 0 && values->value_by_value && !is_null &&
		!values->nulls[values->last] && values->values[values->last] == value;
}

uint32
m3db_bucket_of_value(M3dbBucketValues *values, Datum value, bool is_null)
{
	BucketEntry *entry;
	bool		found;

	if (is_same_as_last(values, value, is_null))
		return values->last;
	if (values->count == values->capacity)
	{
		values->capacity *= 2;
		values->values = repalloc_huge(values->values,
									   sizeof(Datum) * (Size) values->capacity);
		values->nulls = repalloc_huge(values->nulls, sizeof(bool) * (Size) values->capacity);
	}
	/* as if it were new, to be compared with the others */
	values->values[values->count] = value;
	values->nulls[values->count] = is_null;
	entry = bucket_table_insert(values->table, values->count, &found);
	if (!found)
	{
		if (!is_null && !values->value_by_value)
		{
			MemoryContext old_context = MemoryContextSwitchTo(values->context);

			values->values[values->count] = datumCopy(value, false, values->value_size);
			MemoryContextSwitchTo(old_context);
		}
		values->count++;
	}
	values->last = entry->bucket;
	return entry->bucket;
}
