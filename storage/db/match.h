/*
 * Whether a series matches, and which series might: what scan.c asks of matchers and of the
 * index.  For storage/db only.
 *
 *   match.c            matchers against a series' own tags
 *   verdicts.c         what filters said of values
 *   candidates.c       how the index can name series for matchers, and what is cheapest
 *   candidates_list.c  the series it names
 */
#ifndef M3_DB_MATCH_H
#define M3_DB_MATCH_H

#include "storage/db/db_private.h"
#include "storage/db/scan.h"

typedef struct M3Verdict
{
	M3Slice		value;
	uint32_t	hash;
	bool		is_known;
	bool		is_accepted;
} M3Verdict;

struct M3VerdictText;

/* Values of a tag, and what a filter said of them. */
typedef struct M3Verdicts
{
	M3Verdict  *list;
	uint32_t	count;
	uint32_t	capacity;
	uint32_t   *slots;			/* 1 + number in the list, by hash */
	uint32_t	slot_count;		/* power of two, or 0 */
	struct M3VerdictText *texts;	/* where values lie */
	bool		is_complete;	/* all values that the index had were asked about */
} M3Verdicts;

/* A matcher, or a part of one. */
typedef struct M3MatchNode
{
	const M3Matcher *matcher;
	size_t		first_part;		/* its parts are nodes one after the other, behind it */
	unsigned	depth;
	bool		asks;			/* is a filter, or has one among its parts */
	bool		settled;		/* holds for all candidates; of node 0's parts only */
	M3Verdicts	verdicts;		/* of filters */
} M3MatchNode;

/* Zero it first. */
typedef struct M3Matching
{
	M3Memory   *memory;
	M3Matcher	all;			/* node 0, whose parts are the caller's matchers */
	M3MatchNode *nodes;
	size_t		node_count;
} M3Matching;

/* The matchers, and what they point to, stay the caller's.  M3_INVALID if they are nested too
 * deeply. */
extern M3Status m3i_matching_init(M3Matching *matching, const M3Matcher *matchers, size_t count,
								  M3Memory *memory, M3Error *err);
extern void m3i_matching_free(M3Matching *matching);

static inline bool
m3i_is_tree(const M3Matcher *matcher)
{
	return matcher->kind == M3_MATCH_ALL || matcher->kind == M3_MATCH_EITHER;
}

/* Whether a series matches; the second, of a candidate, leaves out what is settled.  They may
 * call filters. */
extern bool m3i_matches(M3Matching *matching, M3Slice id, M3Slice tags);
extern bool m3i_matches_rest(M3Matching *matching, M3Slice id, M3Slice tags);
/* Whether there is no rest. */
extern bool m3i_is_settled(const M3Matching *matching);
/* Of one that is no filter, no ID and has no parts: whether a tag of that value matches. */
extern bool m3i_matches_value(const M3Matcher *matcher, M3Slice value);

/* Notes a value (copied) to be asked about, unless it is there; NULL if memory is exhausted. */
extern M3Verdict *m3i_verdict(M3Matching *matching, size_t node, M3Slice value);
extern void m3i_verdicts_free(M3Verdicts *verdicts, M3Memory *memory);
/* What the filter says of a value, now or before. */
extern bool m3i_is_accepted(M3Matching *matching, size_t node, M3Slice value);
/* Asks about all values noted.  Calls env->yield and the filter. */
extern void m3i_verdicts_ask(M3Matching *matching, size_t node, M3Env *env);

/* Series among which all that match are. */
typedef struct M3Candidates
{
	bool		all;			/* any series may match; the rest is not set */
	M3Ref	   *list;			/* the matching's memory, the caller's to free */
	size_t		count;
} M3Candidates;

/* No lock held.  Settles what needs no further look at the candidates.  Calls env->yield
 * and filters. */
extern M3Status m3i_candidates_find(M3Database *db, const M3NamespaceShared *ns,
									M3Matching *matching, M3Candidates *candidates,
									M3Error *err);

#endif							/* M3_DB_MATCH_H */
