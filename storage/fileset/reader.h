/*
 * Reading one fileset (spec/fileset.md 4, 6): all of it in order of ids or of
 * the data file, or single series (lookup.h).
 *
 * Opening checks checkpoint, digest and info.  What else is read is
 * checked when it is read: summaries and bloom filter whole, index entries
 * and payloads one by one by their own checksums (the index as a whole if its entries
 * have none).  With full validation everything is checked at once, when opening.
 *
 * A reader belongs to one thread.  Slices it hands out are valid until the
 * next call on it; payloads until the next payload.  Files are opened when they are
 * needed and stay open, so a reader that has read survives their removal.
 * M3_NOT_FOUND from anything but a lookup means that the fileset was removed.
 */
#ifndef M3_FILESET_READER_H
#define M3_FILESET_READER_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"

typedef struct M3FilesetReader M3FilesetReader;

typedef enum M3FilesetAccess
{
	M3_FILESET_PREAD,			/* windows in private memory */
	M3_FILESET_MAP				/* a file cut short meanwhile is a SIGBUS */
} M3FilesetAccess;

typedef struct M3FilesetReaderOptions
{
	M3FilesetAccess access;
	bool		validate;		/* everything, when opening */
	/* of the same fileset, from m3_fileset_read_header or a manifest: saves
	 * reading three files; NULL otherwise.  Copied. */
	const M3FilesetHeader *header;
	/* bytes read when payloads are asked for one after the other; 0: a default */
	size_t		data_ahead;
} M3FilesetReaderOptions;

/* options NULL: pread, no validation.  Errors as m3_fileset_read_header. */
extern M3Status m3_fileset_reader_open(M3Env *env, M3Memory *memory,
									   const char *directory, const M3FilesetName *name,
									   const M3FilesetReaderOptions *options,
									   M3FilesetReader **reader, M3Error *err);
extern void m3_fileset_reader_close(M3FilesetReader *reader);	/* NULL allowed */

extern const M3FilesetHeader *m3_fileset_reader_header(const M3FilesetReader *reader);

/*
 * Opens all files that lookups need.  From then on M3_NOT_FOUND from a lookup means that the
 * series is not there, and nothing else.
 */
extern M3Status m3_fileset_reader_open_files(M3FilesetReader *reader, M3Error *err);

/* Bytes it keeps, maps not counted. */
extern size_t m3_fileset_reader_memory(const M3FilesetReader *reader);

/* Gives back what only the next lookup nearby would use; slices handed out are void. */
extern void m3_fileset_reader_shrink(M3FilesetReader *reader);

/* Checks every digest, the order and bounds of all entries, and the summaries. */
extern M3Status m3_fileset_reader_validate(M3FilesetReader *reader, M3Error *err);

/* The payload of an entry of this reader, checked against the entry's checksum. */
extern M3Status m3_fileset_reader_data(M3FilesetReader *reader, const M3FilesetEntry *entry,
									   M3Slice *payload, M3Error *err);

typedef enum M3FilesetOrder
{
	M3_FILESET_BY_ID,
	M3_FILESET_BY_DATA			/* as written; costs 16 bytes per series if they differ */
} M3FilesetOrder;

typedef struct M3FilesetScan M3FilesetScan;

/* Several scans and lookups may go on at once, at the price of reading again. */
extern M3Status m3_fileset_scan_open(M3FilesetReader *reader, M3FilesetOrder order,
									 M3FilesetScan **scan, M3Error *err);
/* M3_NOT_FOUND after the last entry. */
extern M3Status m3_fileset_scan_next(M3FilesetScan *scan, M3FilesetEntry *entry,
									 M3Error *err);
extern void m3_fileset_scan_close(M3FilesetScan *scan);	/* NULL allowed */

#endif							/* M3_FILESET_READER_H */
