/*
 * A reader's inside, shared by reader.c, lookup.c and places.c.
 */
#ifndef M3_FILESET_READER_PRIVATE_H
#define M3_FILESET_READER_PRIVATE_H

#include "storage/fileset/fileset_private.h"
#include "storage/fileset/reader.h"

typedef struct M3Place
{
	uint32_t	hash;
	uint32_t	offset;			/* in the index; UINT32_MAX: none */
} M3Place;

struct M3FilesetReader
{
	M3Env	   *env;
	M3Memory   *memory;
	M3FilesetName name;
	M3FilesetHeader header;
	bool		use_map;
	bool		index_checked;	/* or its entries check themselves */
	bool		index_checked_whole;	/* its digest was right */
	M3Source	sources[M3_FILESET_DIGESTED_COUNT];	/* open when file is set */
	uint64_t	data_end;		/* of the payload read last */
	size_t		data_ahead;
	/* lookups: positions of the summaries in their file */
	uint32_t   *summaries;
	size_t		summary_count;
	bool		summaries_loaded;
	bool		bloom_checked;
	/* where entries are, by hash of their ids, once it pays (places.c) */
	M3Place    *places;
	size_t		place_count;	/* a power of two */
	uint64_t	lookups;		/* without places, that did not fail */
	bool		no_places;		/* they cannot be had */
	uint8_t    *scratch;		/* an id and one byte */
	size_t		scratch_capacity;
	char		directory[M3_FILESET_PATH_SIZE];
};

/* The file, opened if it is not yet. */
extern M3Status m3i_fileset_reader_source(M3FilesetReader *reader, M3FilesetFile file,
										  M3Source **source, M3Error *err);

/* The same for the index, its digest checked if its entries have no checksums. */
extern M3Status m3i_fileset_reader_index(M3FilesetReader *reader, M3Source **source, M3Error *err);

/* Compares a file with its digest. */
extern M3Status m3i_fileset_reader_check(M3FilesetReader *reader, M3FilesetFile file, M3Error *err);

/* Opens and checks the summaries, and finds where each begins. */
extern M3Status m3i_fileset_reader_load_summaries(M3FilesetReader *reader, M3Error *err);

/* Decodes a summary found by m3i_fileset_reader_load_summaries. */
extern M3Status m3i_fileset_reader_summary(M3FilesetReader *reader, size_t at,
										   M3FilesetSummary *summary, M3Error *err);

/* Where in the index a scan by id goes on. */
extern uint64_t m3i_fileset_scan_offset(const M3FilesetScan *scan);

/* in places.c */

/* Finds out where all entries are, if that would have paid for the lookups so far. */
extern M3Status m3i_fileset_reader_make_places(M3FilesetReader *reader, M3Error *err);

/* What m3_fileset_lookup would find, with places. */
extern M3Status m3i_fileset_reader_find(M3FilesetReader *reader, M3Slice id,
										M3FilesetEntry *entry, M3Error *err);

#endif							/* M3_FILESET_READER_PRIVATE_H */
