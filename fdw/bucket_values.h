/*
 * The values of buckets, numbered as they turn up: equal values are the same bucket, and so are
 * NULLs.
 */
#ifndef M3DB_BUCKET_VALUES_H
#define M3DB_BUCKET_VALUES_H

#include "fmgr.h"
#include "nodes/primnodes.h"

struct bucket_table_hash;

typedef struct M3dbBucketValues
{
	MemoryContext context;
	int16		value_size;
	bool		value_by_value;
	FmgrInfo	hash_function;
	FmgrInfo	equal_function;
	Oid			collation;
	uint32		count;
	uint32		capacity;
	Datum	   *values;			/* by number */
	bool	   *nulls;
	struct bucket_table_hash *table;
	uint32		last;			/* asked for last */
} M3dbBucketValues;

/* For values of an expression, whose type has hashing; they are copied to the context. */
extern void m3db_bucket_values_init(M3dbBucketValues *values, const Expr *expr,
									MemoryContext context);

/* Number of the bucket of a value, a new one if need be. */
extern uint32 m3db_bucket_of_value(M3dbBucketValues *values, Datum value, bool is_null);

#endif							/* M3DB_BUCKET_VALUES_H */
