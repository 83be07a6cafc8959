/*
 * Matchers of the storage engine, put together: what conditions.c and its like build.
 *
 * All is allocated in the current memory context.
 */
#ifndef M3DB_MATCHER_H
#define M3DB_MATCHER_H

#include "fdw/quals.h"

/* Text in the database's encoding as the bytes of a tag; a copy. */
extern M3Slice m3db_tag_bytes(const char *text, int size);

/* Sorts values and drops those that are repeated; how many are left. */
extern size_t m3db_sort_unique(M3Slice *values, size_t count);

/* Holds for no series, or for every one. */
extern void m3db_matcher_constant(bool always, M3Matcher *matcher);
extern bool m3db_matcher_is_constant(const M3Matcher *matcher, bool always);

/* A kind that looks at one tag, with the given values, or none. */
extern void m3db_matcher_tag(M3MatchKind kind, M3Slice name, const M3Slice *values,
							 size_t value_count, M3Matcher *matcher);

/*
 * ALL or EITHER of parts, of which there is room for count, as simply as can be said: the parts
 * may be changed.
 */
extern void m3db_matcher_tree(M3MatchKind kind, M3Matcher *parts, size_t count,
							  M3Matcher *matcher);

/* ---- in json_tags.c: the column of role TAGS ---- */

/* Whether the column can show a tag of that name: it is not some other column's affair. */
extern bool m3db_json_shows(const M3dbTable *table, M3Slice name);

/* The matcher of kind CONTAINS, HAS_KEY, HAS_ANY_KEY or HAS_ALL_KEYS, for a value on its
 * right; negated: where it is false. */
extern void m3db_json_matcher(const M3dbTable *table, M3dbQualKind kind, bool negated,
							  Datum value, M3Matcher *matcher);

/* Whether a jsonb is one string; its bytes. */
extern bool m3db_json_string(Datum value, M3Slice *bytes);

#endif							/* M3DB_MATCHER_H */
