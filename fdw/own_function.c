/*
 * Only a superuser makes functions in C, so what a function's row says of its code is true.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "compat.h"
#include "fdw/own_function.h"

#define LIBRARY "$libdir/m3db_fdw"

static char *
text_of(HeapTuple tuple, AttrNumber attnum)
{
	bool		is_null;
	Datum		value = SysCacheGetAttr(PROCOID, tuple, attnum, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

char *
m3db_own_function(Oid function)
{
	HeapTuple	tuple;
	char	   *symbol = NULL;

	if (function < FirstNormalObjectId)
		return NULL;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		const char *library = text_of(tuple, Anum_pg_proc_probin);

		if (library != NULL && strcmp(library, LIBRARY) == 0)
			symbol = text_of(tuple, Anum_pg_proc_prosrc);
	}
	ReleaseSysCache(tuple);
	return symbol;
}

char *
m3db_own_aggregate(Oid aggregate)
{
	HeapTuple	tuple;
	Form_pg_aggregate form;
	Oid			transition;
	Oid			final;

	if (aggregate < FirstNormalObjectId)
		return NULL;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	transition = form->aggtransfn;
	final = form->aggfinalfn;
	ReleaseSysCache(tuple);
	return m3db_own_function(final) == NULL ? NULL : m3db_own_function(transition);
}
