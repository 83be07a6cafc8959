/*
 * The functions that expressions of buckets are made of: none falls when its argument rises,
 * under the condition that its rule makes.
 */
#ifndef M3DB_BUCKET_FUNCTIONS_H
#define M3DB_BUCKET_FUNCTIONS_H

#include "postgres_ext.h"

typedef enum M3dbBucketRule
{
	M3DB_RULE_SAME,				/* another type, the value as near as it can be */
	M3DB_RULE_SHIFT,			/* plus or minus something */
	M3DB_RULE_SHIFT_TIME,		/* ... an interval */
	M3DB_RULE_MULTIPLY,
	M3DB_RULE_DIVIDE,
	M3DB_RULE_DIVIDE_INTEGER,
	M3DB_RULE_ROUND,			/* to integers */
	M3DB_RULE_ROUND_SCALE,		/* (value, digits) */
	M3DB_RULE_EPOCH,			/* (field, time) */
	M3DB_RULE_TIME,				/* (seconds) */
	M3DB_RULE_TRUNC,			/* (unit, time [, zone]) */
	M3DB_RULE_CLOCKS,			/* (zone, time): what its clocks show */
	M3DB_RULE_SESSION_CLOCKS,
	M3DB_RULE_MOMENT,			/* (zone, timestamp): when its clocks show that */
	M3DB_RULE_DATE,
	M3DB_RULE_DATE_IN_ZONE,		/* of the session's time zone */
	M3DB_RULE_BUCKET,			/* (width, time or number, ...) */
	M3DB_RULE_BUCKET_IN_ZONE	/* (width, time, zone, ...) */
} M3dbBucketRule;

typedef struct M3dbBucketFunction
{
	Oid			function;
	M3dbBucketRule rule;
	int			time_arg;		/* which of the arguments it is, or -1: any */
} M3dbBucketFunction;

/* False for others, which may fall. */
extern bool m3db_bucket_function(Oid function, M3dbBucketFunction *known);

#endif							/* M3DB_BUCKET_FUNCTIONS_H */
