/*
 * Spans of time, each with the number of a bucket, in ascending order and disjoint.
 *
 * Kept in pieces of bounded size, so that inserting costs little wherever it is.
 */
#ifndef M3DB_SPANS_H
#define M3DB_SPANS_H

#include "utils/palloc.h"

typedef struct M3dbSpan
{
	int64		first_ns;		/* both included */
	int64		last_ns;
	uint32		bucket;
	bool		has_gap;		/* between it and the next one lie other buckets */
} M3dbSpan;

/* Enough for finding to be quick, few enough to be moved for an insertion. */
#define M3DB_SPANS_PER_PIECE 126

typedef struct M3dbSpanPiece
{
	uint32		count;			/* at least 1 */
	M3dbSpan	spans[M3DB_SPANS_PER_PIECE];
} M3dbSpanPiece;

/* Where a span is, until one is inserted. */
typedef struct M3dbSpanPlace
{
	uint32		piece;
	uint32		index;
} M3dbSpanPlace;

typedef struct M3dbSpans
{
	MemoryContext context;
	uint32		piece_count;
	uint32		piece_capacity;
	M3dbSpanPiece **pieces;
	M3dbSpanPlace hint;			/* where the next one asked for may be */
} M3dbSpans;

extern void m3db_spans_init(M3dbSpans *spans, MemoryContext context);

static inline M3dbSpan *
m3db_span(const M3dbSpans *spans, M3dbSpanPlace place)
{
	return &spans->pieces[place.piece]->spans[place.index];
}

/* The span after (before) one, or NULL.  place is set to where that is. */
static inline M3dbSpan *
m3db_spans_after(const M3dbSpans *spans, M3dbSpanPlace after, M3dbSpanPlace *place)
{
	if (++after.index >= spans->pieces[after.piece]->count)
	{
		after.index = 0;
		if (++after.piece >= spans->piece_count)
			return NULL;
	}
	*place = after;
	return m3db_span(spans, after);
}

extern M3dbSpan *m3db_spans_before(const M3dbSpans *spans, M3dbSpanPlace before,
								   M3dbSpanPlace *place);

/* The last span that begins at or before a time; false if there is none. */
extern bool m3db_spans_search(M3dbSpans *spans, int64 time_ns, M3dbSpanPlace *place);

static inline bool
m3db_spans_find(M3dbSpans *spans, int64 time_ns, M3dbSpanPlace *place)
{
	if (spans->piece_count > 0)
	{
		const M3dbSpan *span = m3db_span(spans, spans->hint);

		*place = spans->hint;
		if (span->first_ns <= time_ns && time_ns <= span->last_ns)
			return true;
	}
	return m3db_spans_search(spans, time_ns, place);
}

/* Inserts a span behind the one at *place, or before all if place is NULL; where it is then. */
extern M3dbSpanPlace m3db_spans_insert(M3dbSpans *spans, const M3dbSpanPlace *place,
									   const M3dbSpan *span);

#endif							/* M3DB_SPANS_H */
