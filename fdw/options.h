/*
 * Options of servers, foreign tables and columns, as their owner wrote them.
 *
 * The validator checks each object by itself when it is created or altered; what
 * needs several objects at once (columns of a table, tables of a namespace) is
 * checked by table.c at first use.
 */
#ifndef M3DB_OPTIONS_H
#define M3DB_OPTIONS_H

#include "fdw/table.h"
#include "nodes/pg_list.h"

typedef struct M3dbServerOptions
{
	M3RootOptions root;
	const char *data_directory; /* canonical; NULL: the embedded engine */
	uint64		memory_size;	/* of a mount, bytes */
} M3dbServerOptions;

/* A namespace setting that is a table option. */
typedef enum M3dbSettingKind
{
	M3DB_SETTING_RETENTION,		/* duration, or unlimited: 0 */
	M3DB_SETTING_BLOCK_SIZE,	/* duration above zero, in whole seconds */
	M3DB_SETTING_DURATION,
	M3DB_SETTING_BOOL,
	M3DB_SETTING_CACHE_POLICY
} M3dbSettingKind;

typedef struct M3dbSetting
{
	const char *name;
	M3dbSettingKind kind;
	size_t		offset;			/* in M3NamespaceOptions */
} M3dbSetting;

#define M3DB_SETTING_COUNT 10
#define M3DB_SETTING_NUMBER_BLOCK_SIZE 1

extern const M3dbSetting m3db_settings[M3DB_SETTING_COUNT];

typedef struct M3dbTableOptions
{
	const char *namespace_name; /* NULL: not given.  Server encoding */
	uint32		given;			/* bit n: m3db_settings[n] was */
	M3NamespaceOptions settings;	/* only those given mean anything */
} M3dbTableOptions;

typedef struct M3dbColumnOptions
{
	bool		has_role;		/* given, or implied by one of the others */
	M3dbRole	role;
	const char *tag;			/* NULL: not given.  Server encoding */
	const char *metric;
} M3dbColumnOptions;

/* From lists of DefElem.  Raise an error for what the validator would refuse.
 * Strings are the DefElems' own. */
extern void m3db_options_of_server(List *defs, M3dbServerOptions *options);
extern void m3db_options_of_table(List *defs, M3dbTableOptions *options);
extern void m3db_options_of_column(List *defs, M3dbColumnOptions *options);

/* Do two option sets say different things about a setting?  Both give it. */
extern bool m3db_setting_differs(const M3dbSetting *setting, const M3NamespaceOptions *a,
								 const M3NamespaceOptions *b);
extern void m3db_setting_copy(const M3dbSetting *setting, M3NamespaceOptions *to,
							  const M3NamespaceOptions *from);

/* Is a directory among the options of a server?  Never an error. */
extern bool m3db_options_name_mount(List *defs);

/* Settings with the defaults for what was not given. */
extern void m3db_settings_complete(const M3NamespaceOptions *settings, uint32 given,
								   M3NamespaceOptions *complete);

/* Names as the options have them. */
extern const char *m3db_cache_policy_name(uint8 policy);
extern const char *m3db_role_name(M3dbRole role);

#endif							/* M3DB_OPTIONS_H */
