/*
 * Conditions that compare a tag with a pattern: LIKE, regular expressions, starts_with.
 */
#ifndef M3DB_PATTERN_H
#define M3DB_PATTERN_H

#include "storage/m3.h"

/* Whether function(text, text) is one of these operators'. */
extern bool m3db_pattern_is_function(Oid function);
/* ... and the operator says where there is no match. */
extern bool m3db_pattern_is_negative(Oid function);

/*
 * Sets kind, values and filter of a matcher that holds where function(tag, pattern) does, or,
 * if negated, where it says no; a tag that is absent never matches.  The pattern is a
 * text.  All is allocated in the current memory context, and is not to be used after it.
 * A filter raises the errors of the function, and may be interrupted.
 */
extern void m3db_pattern_matcher(Oid function, Oid collation, bool negated, Datum pattern,
								 M3Matcher *matcher);

#endif							/* M3DB_PATTERN_H */
