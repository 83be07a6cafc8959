/*
 * Finding single series in a fileset: bloom filter, then binary search of the
 * summaries, then at most one step of the index (spec/fileset.md 6).  When a good part of
 * its series was looked up, a table of all entries takes their place.
 */
#ifndef M3_FILESET_LOOKUP_H
#define M3_FILESET_LOOKUP_H

#include "storage/fileset/reader.h"

/* False: the series is not there.  True: it probably is. */
extern M3Status m3_fileset_may_contain(M3FilesetReader *reader, M3Slice id,
									   bool *maybe, M3Error *err);

/*
 * The series' entry; M3_NOT_FOUND if it has none.  Does not ask the bloom
 * filter first if skip_bloom (a caller who knows that it is there).
 */
extern M3Status m3_fileset_lookup(M3FilesetReader *reader, M3Slice id, bool skip_bloom,
								  M3FilesetEntry *entry, M3Error *err);

#endif							/* M3_FILESET_LOOKUP_H */
