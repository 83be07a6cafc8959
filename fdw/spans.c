#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "fdw/spans.h"

void
m3db_spans_init(M3dbSpans *spans, MemoryContext context)
{
	memset(spans, 0, sizeof(*spans));
	spans->context = context;
}

M3dbSpan *
m3db_spans_before(const M3dbSpans *spans, M3dbSpanPlace before, M3dbSpanPlace *place)
{
	if (before.index == 0)
	{
		if (before.piece == 0)
			return NULL;
		before.index = spans->pieces[--before.piece]->count;
	}
	before.index--;
	*place = before;
	return m3db_span(spans, before);
}

/* ---- finding ---- */

/* Number of pieces that begin at or before a time. */
static uint32
pieces_up_to(const M3dbSpans *spans, int64 time_ns)
{
	uint32		low = 0;
	uint32		high = spans->piece_count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (spans->pieces[middle]->spans[0].first_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32
spans_up_to(const M3dbSpanPiece *piece, int64 time_ns)
{
	uint32		low = 0;
	uint32		high = piece->count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (piece->spans[middle].first_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
m3db_spans_search(M3dbSpans *spans, int64 time_ns, M3dbSpanPlace *place)
{
	uint32		pieces;

	pieces = pieces_up_to(spans, time_ns);
	if (pieces == 0)
		return false;
	place->piece = pieces - 1;
	place->index = spans_up_to(spans->pieces[place->piece], time_ns) - 1;
	spans->hint = *place;
	return true;
}

/* ---- inserting ---- */

/* An empty piece with the given number. */
static void
insert_piece(M3dbSpans *spans, uint32 number)
{
	M3dbSpanPiece *piece;

	if (spans->pieces == NULL)
	{
		spans->piece_capacity = 16;
		spans->pieces = MemoryContextAlloc(spans->context,
										   sizeof(M3dbSpanPiece *) * spans->piece_capacity);
	}
	else if (spans->piece_count == spans->piece_capacity)
	{
		spans->piece_capacity *= 2;
		spans->pieces = repalloc_huge(spans->pieces, sizeof(M3dbSpanPiece *) *
									  (Size) spans->piece_capacity);
	}
	piece = MemoryContextAlloc(spans->context, sizeof(M3dbSpanPiece));
	piece->count = 0;
	memmove(&spans->pieces[number + 1], &spans->pieces[number],
			sizeof(M3dbSpanPiece *) * (spans->piece_count - number));
	spans->pieces[number] = piece;
	spans->piece_count++;
}

/* Makes room in the full piece where a span is to come; where it is to come then. */
static M3dbSpanPlace
split_piece(M3dbSpans *spans, M3dbSpanPlace place)
{
	M3dbSpanPiece *piece = spans->pieces[place.piece];
	/* what grows at the end leaves full pieces behind */
	bool		is_end = place.index == piece->count && place.piece + 1 == spans->piece_count;
	uint32		kept = is_end ? piece->count : piece->count / 2;
	M3dbSpanPiece *next;

	insert_piece(spans, place.piece + 1);
	next = spans->pieces[place.piece + 1];
	next->count = piece->count - kept;
	memcpy(next->spans, &piece->spans[kept], sizeof(M3dbSpan) * next->count);
	piece->count = kept;
	if (is_end || place.index > kept)
	{
		place.piece++;
		place.index -= kept;
	}
	return place;
}

M3dbSpanPlace
m3db_spans_insert(M3dbSpans *spans, const M3dbSpanPlace *place, const M3dbSpan *span)
{
	M3dbSpanPlace at = {0, 0};
	M3dbSpanPiece *piece;

	if (spans->piece_count == 0)
		insert_piece(spans, 0);
	if (place != NULL)
	{
		at = *place;
		at.index++;
	}
	if (spans->pieces[at.piece]->count == M3DB_SPANS_PER_PIECE)
		at = split_piece(spans, at);
	piece = spans->pieces[at.piece];
	memmove(&piece->spans[at.index + 1], &piece->spans[at.index],
			sizeof(M3dbSpan) * (piece->count - at.index));
	piece->spans[at.index] = *span;
	piece->count++;
	spans->hint = at;
	return at;
}
