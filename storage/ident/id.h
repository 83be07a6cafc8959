/*
 * Series ids made from tags, and the shard of an id
 * (spec/fileset.md 11 and 12).  Ids read from files are kept, never remade.
 */
#ifndef M3_IDENT_ID_H
#define M3_IDENT_ID_H

#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"
#include "storage/ident/tags.h"

/*
 * The id of tags (sorted by name) by M3's "quoted" scheme.  Written to *out, which
 * is grown to *capacity as needed with memory; *size is its length.
 */
extern M3Status m3_id_quoted(const M3Tag *tags, size_t count, M3Memory *memory,
							 uint8_t **out, size_t *capacity, size_t *size,
							 M3Error *err);

extern uint32_t m3_shard_of_id(M3Slice id, uint32_t seed, uint32_t shard_count);

#endif							/* M3_IDENT_ID_H */
