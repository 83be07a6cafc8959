/*
 * Inside of candidates: what is known of each matcher while candidates are looked for.
 */
#ifndef M3_DB_CANDIDATES_PRIVATE_H
#define M3_DB_CANDIDATES_PRIVATE_H

#include "storage/db/match.h"

/* What the index knows of a node. */
typedef struct M3Clue
{
	M3Ref		name;			/* leaves; 0: not looked up, or nobody has it */
	uint64_t	bound;			/* no more series match, nor are listed */
	bool		is_listed;		/* leaves: exactly by terms; trees: by their parts */
	M3Ref	   *terms;
	size_t		term_count;
	size_t		term_capacity;
} M3Clue;

typedef struct M3Search
{
	M3Database *db;
	const M3NamespaceShared *ns;
	M3Matching *matching;
	M3Memory   *memory;
	M3Clue	   *clues;			/* by node */
	uint64_t	total;			/* series there are */
	bool		is_empty;		/* nothing can match */
	bool		must_ask;		/* filters, before it can go on */
} M3Search;

/* Series by their place in the namespace's list, ascending. */
typedef struct M3Ordinals
{
	uint32_t   *list;			/* the search's memory, the caller's to free */
	size_t		count;
	bool		is_exact;		/* those that match, else some more */
} M3Ordinals;

/* ROOT_NAMES held; of a node that is listed.  For node 0, settles parts that all of these
 * fulfil. */
extern M3Status m3i_list_candidates(M3Search *search, size_t node, M3Ordinals *ordinals,
									M3Error *err);

/* Memory is exhausted. */
static inline M3Status
m3i_search_memory(M3Error *err)
{
	return m3_error(err, M3_NO_MEMORY, "out of memory");
}

#endif							/* M3_DB_CANDIDATES_PRIVATE_H */
