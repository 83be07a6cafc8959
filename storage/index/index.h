/*
 * The inverted index of a namespace: which series have a tag with a value.
 *
 *   M3Index -> names -> terms (values of a name) -> postings
 *
 * It lies in the arena and knows series by ordinal, their place in the namespace's list, which
 * another series takes once one has gone.  It is exact: a term's postings are the series
 * whose first tag of that name has that value, as m3_tags_find sees them.  Terms and names
 * without series are freed at once, so memory follows the series there are.
 *
 * A term has a copy of its value: the series it came with goes before those that share it,
 * and a shared value costs its bytes once.
 *
 * No locks are taken but the arena's: callers exclude each other, m3_index_add, _remove and
 * _free from everything else.  Refs of names and terms are valid as long as nothing
 * is removed.
 */
#ifndef M3_INDEX_INDEX_H
#define M3_INDEX_INDEX_H

#include <stdbool.h>

#include "storage/base/arena.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"

/* A hash table that grows and shrinks by one bucket at a time, in segments.  Empty: all zero. */
typedef struct M3IndexTable
{
	M3Ref		first;			/* chain of bucket 0 */
	M3Ref		segments;		/* array of refs of arrays of chains: the further buckets */
	uint32_t	last_bucket;
	uint32_t	count;			/* of nodes */
	uint32_t	segment_count;
	uint32_t	segment_capacity;
} M3IndexTable;

/* Empty: all zero. */
typedef struct M3Index
{
	M3IndexTable names;
	uint64_t	stamp;			/* counts changes */
} M3Index;

/* Adds a series that is not in the index, with its well-formed tags.  M3_FULL leaves the
 * index as it was. */
extern M3Status m3_index_add(M3Arena *arena, M3Env *env, M3Index *index, M3Slice tags,
							 uint32_t ordinal, M3Error *err);
/* Removes one that is, with the tags it was added with.  Cannot fail. */
extern void m3_index_remove(M3Arena *arena, M3Env *env, M3Index *index, M3Slice tags,
							uint32_t ordinal);
/* Frees everything; the index is empty then. */
extern void m3_index_free(M3Arena *arena, M3Env *env, M3Index *index);

/* A name, or 0 if no series has it. */
extern M3Ref m3_index_name(const M3Arena *arena, const M3Index *index, M3Slice name);
/* Series that have it, and its distinct values. */
extern uint32_t m3_index_series_count(const M3Arena *arena, M3Ref name);
extern uint32_t m3_index_value_count(const M3Arena *arena, M3Ref name);

/* A value of a name, or 0 if no series has it. */
extern M3Ref m3_index_term(const M3Arena *arena, M3Ref name, M3Slice value);
/* Points into the index. */
extern M3Slice m3_index_value(const M3Arena *arena, M3Ref term);

/* All terms of a name, in an order that has nothing to do with values. */
typedef struct M3TermCursor
{
	const M3Arena *arena;
	const M3IndexTable *terms;
	uint32_t	bucket;			/* the next one */
	M3Ref		next;
} M3TermCursor;

extern void m3_index_terms(const M3Arena *arena, M3Ref name, M3TermCursor *cursor);
/* 0 at the end. */
extern M3Ref m3_index_next_term(M3TermCursor *cursor);

/* Series of a term: how many; into an array of that size, ascending; whether an ordinal is one
 * of them; as bits of an array that has room for all ordinals there are. */
extern uint32_t m3_index_count(const M3Arena *arena, M3Ref term);
extern void m3_index_copy(const M3Arena *arena, M3Ref term, uint32_t *ordinals);
extern bool m3_index_contains(const M3Arena *arena, M3Ref term, uint32_t ordinal);
extern void m3_index_mark(const M3Arena *arena, M3Ref term, uint64_t *bits);

#endif							/* M3_INDEX_INDEX_H */
