/*
 * A foreign table as the wrapper sees it: which namespace it maps, and what each of
 * its columns is.  Read from the catalogs once per backend and kept until they change.
 */
#ifndef M3DB_TABLE_H
#define M3DB_TABLE_H

#include "access/attnum.h"
#include "fmgr.h"
#include "storage/m3.h"

typedef enum M3dbRole
{
	M3DB_ROLE_NONE,				/* dropped, or generated when read: not stored */
	M3DB_ROLE_TIME,				/* timestamptz: microseconds */
	M3DB_ROLE_TIME_NS,			/* bigint: nanoseconds since 1970 */
	M3DB_ROLE_VALUE,			/* float8: one series per row, or per column if wide */
	M3DB_ROLE_TAG,				/* one tag, as the type's canonical text */
	M3DB_ROLE_ID,				/* text: the series id, given instead of made */
	M3DB_ROLE_TAGS,				/* jsonb: all tags without a column of their own */
	M3DB_ROLE_ANNOTATION,		/* bytea */
	M3DB_ROLE_UNIT				/* text: s, ms, us, ns */
} M3dbRole;

typedef struct M3dbColumn
{
	M3dbRole	role;
	AttrNumber	attnum;
	Oid			type_id;		/* of a domain: what it is based on */
	int32		type_modifier;
	Oid			collation;
	char	   *name;			/* the column's */
	M3Slice		tag;			/* ROLE_TAG: name of the tag; ROLE_VALUE: its __name__,
								 * size 0 when the column has none */
	FmgrInfo	output;			/* ROLE_TAG: type output and input functions */
	FmgrInfo	input;
	Oid			input_param;
} M3dbColumn;

typedef struct M3dbTable
{
	Oid			relid;
	Oid			server_id;
	M3Slice		namespace_name; /* followed by a NUL */
	M3NamespaceOptions options;
	bool		block_size_given;	/* else options has the recommended one, and a
									 * namespace with data keeps what it has */
	M3RootOptions root_options;

	/* of a mount, where namespace_name is all that is set of the above */
	const char *directory;		/* NULL: the embedded engine */
	uint64		memory_size;

	int			column_count;	/* attributes, dropped ones included */
	M3dbColumn *columns;		/* by attnum - 1 */

	/* attnums by role, 0 (InvalidAttrNumber) when the table has none */
	AttrNumber	time_attnum;	/* TIME or TIME_NS */
	AttrNumber	id_attnum;
	AttrNumber	tags_attnum;
	AttrNumber	annotation_attnum;
	AttrNumber	unit_attnum;

	int			value_count;	/* at least 1 */
	AttrNumber *value_attnums;
	bool		wide;			/* values are series of their own, by __name__ */

	int			tag_count;
	AttrNumber *tag_attnums;	/* sorted by tag name bytes */
} M3dbTable;

/*
 * The definition of a foreign table of this wrapper.  Raises an error if its
 * columns or options make no sense together.  Valid until the end of the transaction even
 * if the catalogs change (superseded versions are freed at transaction end).
 */
extern const M3dbTable *m3db_table(Oid relid);

/*
 * What must be said about a column that is renamed, so that it goes on meaning what it meant
 * under its old name: an option and its value, both NULL if nothing depends on the name.  To be
 * called while the catalogs still have the old name.
 */
extern void m3db_column_pin(Oid relid, AttrNumber attnum, const char *new_name,
							const char **option, const char **value);

/* Frees superseded definitions.  Called by xact.c; cannot fail. */
extern void m3db_table_at_xact_end(void);

/* PostgreSQL microseconds (TimestampTz) to and from nanoseconds since 1970.
 * to_ns raises 22008 for infinities and times no block can hold. */
extern int64 m3db_time_to_ns(TimestampTz time);
extern TimestampTz m3db_time_from_ns(int64 time_ns);	/* rounds down to the microsecond */

#endif							/* M3DB_TABLE_H */
