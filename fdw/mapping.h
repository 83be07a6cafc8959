/*
 * Which foreign tables map which namespace, and what they say about it together.
 */
#ifndef M3DB_MAPPING_H
#define M3DB_MAPPING_H

#include "fdw/options.h"

typedef struct M3dbMapping
{
	Oid			relid;
	Oid			server_id;
	M3Slice		namespace_name; /* UTF-8, followed by a NUL */
	M3dbTableOptions options;
} M3dbMapping;

/*
 * The mapping of a table of the embedded engine, with the settings all tables
 * of its namespace agree on in options.  Valid until the next call.
 *
 * A table that contradicts one created before it (a lower OID) gets an error
 * naming both and the option; the older one is not disturbed.
 */
extern const M3dbMapping *m3db_mapping(Oid relid);

/* Forgets what is known; the next call reads the catalogs.  Cannot fail. */
extern void m3db_mapping_invalidate(void);

/* Is anything known about the table? */
extern bool m3db_mapping_has(Oid relid);

/* The namespace of any table with these options: the one given, or schema.table.  UTF-8, followed
 * by a NUL; empty if the table is gone. */
extern M3Slice m3db_mapping_namespace(Oid relid, const M3dbTableOptions *options);

#endif							/* M3DB_MAPPING_H */
