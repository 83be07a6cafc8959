/*
 * Tag sets and their encoding (spec/fileset.md 10).
 */
#ifndef M3_IDENT_TAGS_H
#define M3_IDENT_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"

#define M3_TAG_MAX_COUNT 65535
#define M3_TAG_MAX_SIZE 65535	/* of a name or a value */
#define M3_TAG_METRIC_NAME "__name__"
#define M3_TAG_RESERVED_NAME "_m3ninx_id"

typedef struct M3Tag
{
	M3Slice		name;
	M3Slice		value;
} M3Tag;

/* Sorts by name bytes, in place. */
extern void m3_tags_sort(M3Tag *tags, size_t count);

/*
 * Whether sorted tags may be stored: names not empty, unique and not reserved, lengths
 * and count within the limits, names and values valid UTF-8.
 * M3_INVALID with a message that names the tag, the rule in the detail.
 */
extern M3Status m3_tags_validate(const M3Tag *tags, size_t count, M3Error *err);

/* Encoded size and bytes; no tags are no bytes.  Order as given. */
extern size_t m3_tags_encoded_size(const M3Tag *tags, size_t count);
extern void m3_tags_encode(const M3Tag *tags, size_t count, uint8_t *out);

/* Walks an encoded block (possibly empty) without allocating. */
typedef struct M3TagIterator
{
	const uint8_t *position;
	const uint8_t *end;
	uint32_t	left;
} M3TagIterator;

/* M3_CORRUPT if the block is not well-formed from front to end: checked whole here,
 * so that m3_tag_next cannot fail. */
extern M3Status m3_tag_iterator_init(M3TagIterator *iterator, M3Slice encoded,
									 M3Error *err);
/* For blocks known to be well-formed (checked when they came in). */
extern void m3_tag_iterator_init_trusted(M3TagIterator *iterator, M3Slice encoded);
/* False at the end.  Slices point into the block. */
extern bool m3_tag_next(M3TagIterator *iterator, M3Tag *tag);

/* Value of the first tag of that name in a well-formed block; false if absent. */
extern bool m3_tags_find(M3Slice encoded, M3Slice name, M3Slice *value);

extern bool m3_utf8_is_valid(M3Slice text);

#endif							/* M3_IDENT_TAGS_H */
