/*
 * Inside of the index: tables of names and terms, and postings.
 */
#ifndef M3_INDEX_INDEX_PRIVATE_H
#define M3_INDEX_INDEX_PRIVATE_H

#include "storage/index/index.h"

/* --- postings.c --------------------------------------------------------- */

#define M3_POSTINGS_FEW 2u
#define M3_POSTINGS_WIDE UINT32_MAX

/*
 * A set of ordinals, in the form that suits its size:
 *
 *   few     in place
 *   flat    a sorted array
 *   wide    blocks by the upper 16 bits, each a sorted array of the lower ones, or a bitmap
 *
 * So no piece of memory is larger than a page, but for the list of blocks: 16 bytes for 65536
 * series of the namespace.
 */
typedef struct M3Postings
{
	union
	{
		uint32_t	few[M3_POSTINGS_FEW];
		M3Ref		list;		/* of uint32, or an M3PostingsWide */
	};
	uint32_t	count;
	uint32_t	capacity;		/* of the list; 0: few; M3_POSTINGS_WIDE */
} M3Postings;

/* An ordinal that is not there yet; false if the arena is full, nothing changed then. */
extern bool m3i_postings_add(M3Arena *arena, M3Env *env, M3Postings *postings,
							 uint32_t ordinal);
/* Cannot fail; an ordinal that is not there is fine. */
extern void m3i_postings_remove(M3Arena *arena, M3Env *env, M3Postings *postings,
								uint32_t ordinal);
extern void m3i_postings_free(M3Arena *arena, M3Env *env, M3Postings *postings);
extern bool m3i_postings_contain(const M3Arena *arena, const M3Postings *postings,
								 uint32_t ordinal);
extern void m3i_postings_copy(const M3Arena *arena, const M3Postings *postings,
							  uint32_t *ordinals);
extern void m3i_postings_mark(const M3Arena *arena, const M3Postings *postings, uint64_t *bits);

/* Room for half as many items again, and what the arena would waste, up to max. */
extern uint32_t m3i_postings_grown(uint32_t count, size_t item_size, uint32_t max);
/* A copy of the first used bytes in a piece of memory of another size, which takes the place of
 * the first; 0 if there is none, then that stays. */
extern M3Ref m3i_postings_moved(M3Arena *arena, M3Env *env, M3Ref ref, size_t used, size_t size);

/* --- postings_wide.c ---------------------------------------------------- */

/* The same of wide ones, which stay so, however few are left. */
extern bool m3i_wide_create(M3Arena *arena, M3Env *env, M3Postings *postings);
extern bool m3i_wide_add(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal);
extern void m3i_wide_remove(M3Arena *arena, M3Env *env, M3Postings *postings, uint32_t ordinal);
extern void m3i_wide_free(M3Arena *arena, M3Env *env, M3Postings *postings);
extern bool m3i_wide_contain(const M3Arena *arena, const M3Postings *postings,
							 uint32_t ordinal);
extern void m3i_wide_copy(const M3Arena *arena, const M3Postings *postings, uint32_t *ordinals);
extern void m3i_wide_mark(const M3Arena *arena, const M3Postings *postings, uint64_t *bits);

/* --- table.c ------------------------------------------------------------ */

/* What a table is made of; the key lies key_offset bytes behind it. */
typedef struct M3IndexNode
{
	M3Ref		next;
	uint32_t	hash;
	uint16_t	key_offset;
	uint16_t	key_size;
} M3IndexNode;

static inline M3Slice
m3i_index_key(const M3IndexNode *node)
{
	return m3_slice((const uint8_t *) node + node->key_offset, node->key_size);
}

extern uint32_t m3i_index_hash(M3Slice key);
extern M3Ref m3i_table_find(const M3Arena *arena, const M3IndexTable *table, M3Slice key,
							uint32_t hash);
/* A node that is not there yet; cannot fail: without memory chains just get longer. */
extern void m3i_table_add(M3Arena *arena, M3Env *env, M3IndexTable *table, M3Ref node);
/* The node itself stays the caller's. */
extern void m3i_table_remove(M3Arena *arena, M3Env *env, M3IndexTable *table, M3Ref node);
/* Frees what the table consists of; nodes have been dealt with. */
extern void m3i_table_free(M3Arena *arena, M3Env *env, M3IndexTable *table);
/* The chain of a bucket <= last_bucket. */
extern M3Ref m3i_table_chain(const M3Arena *arena, const M3IndexTable *table, uint32_t bucket);

/* --- index.c ------------------------------------------------------------ */

typedef struct M3IndexTerm
{
	M3IndexNode node;
	M3Postings	postings;
	uint8_t		value[];
} M3IndexTerm;

typedef struct M3IndexName
{
	M3IndexNode node;
	M3IndexTable terms;
	uint64_t	stamp;			/* of the change that last saw it: of a series with two tags
								 * of one name the first counts */
	uint32_t	series_count;
	uint8_t		name[];
} M3IndexName;

_Static_assert(sizeof(M3IndexTerm) == 32, "most terms are a value of one series");

#endif							/* M3_INDEX_INDEX_PRIVATE_H */
