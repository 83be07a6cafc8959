/*
 * The bytes of a fileset's files (spec/fileset.md 3 and 4).
 *
 *   data         payloads back to back, in the order they were written
 *   index        one entry per series, ascending by id
 *   summaries    id and index position of the entries 0, 33, 66, ...
 *   bloomfilter  see bloom.h
 *   info         one info object
 *   digest       five Adler-32, little-endian: info index summaries bloom data
 *   checkpoint   Adler-32 of the digest file, little-endian
 *
 * Decoders take untrusted bytes, accept what M3's decoder accepts (other
 * integer widths, fewer or more fields) and check every number's range.
 */
#ifndef M3_FILESET_FORMAT_H
#define M3_FILESET_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/slice.h"
#include "storage/base/status.h"
#include "storage/fileset/names.h"

#define M3_FILESET_UUID_SIZE 16
#define M3_FILESET_DIGEST_SIZE 20
#define M3_FILESET_CHECKPOINT_SIZE 4
/* One summary per so many entries. */
#define M3_FILESET_SUMMARY_STEP 33
/* Upper bounds of what is written; readers refuse larger entries as well. */
#define M3_FILESET_INFO_MAX_SIZE 128
#define M3_FILESET_ENTRY_MAX_SIZE (64 * 1024 * 1024)
/* An entry or summary without its id and tags. */
#define M3_FILESET_ENTRY_OVERHEAD 64
#define M3_FILESET_PAYLOAD_MAX_SIZE UINT32_MAX

typedef struct M3FilesetInfo
{
	int64_t		block_start_ns;
	int64_t		block_size_ns;
	int64_t		entry_count;
	int64_t		summary_count;
	uint64_t	bloom_bits;
	uint32_t	bloom_hashes;
	int64_t		snapshot_time_ns;	/* 0 in data filesets */
	int64_t		volume;
	int64_t		major_version;
	int64_t		minor_version;
	bool		has_snapshot_id;
	uint8_t		snapshot_id[M3_FILESET_UUID_SIZE];
	uint32_t	field_count;	/* as read; ignored by the encoder */
} M3FilesetInfo;

typedef struct M3FilesetEntry
{
	M3Slice		id;
	M3Slice		tags;			/* encoded; size 0: none */
	int64_t		ordinal;		/* position in write order */
	int64_t		offset;			/* of the payload in the data file */
	uint32_t	size;
	uint32_t	checksum;		/* Adler-32 of the payload */
} M3FilesetEntry;

typedef struct M3FilesetSummary
{
	M3Slice		id;
	int64_t		ordinal;
	int64_t		index_offset;
} M3FilesetSummary;

/* What is known of a fileset without reading its series. */
typedef struct M3FilesetHeader
{
	M3FilesetInfo info;
	uint32_t	digests[M3_FILESET_DIGESTED_COUNT]; /* by M3FilesetFile */
	uint32_t	checkpoint;
} M3FilesetHeader;

/* Whether index entries must carry a checksum. */
static inline bool
m3_fileset_has_entry_checksums(const M3FilesetInfo *info)
{
	return info->major_version >= 2 ||
		(info->major_version == 1 && info->minor_version >= 1);
}

/* Returns the size written, at most M3_FILESET_INFO_MAX_SIZE. */
extern size_t m3_fileset_info_encode(const M3FilesetInfo *info, uint8_t *out);
/* M3_CORRUPT, M3_UNSUPPORTED (written by a later release) or M3_OK. */
extern M3Status m3_fileset_info_decode(M3Slice bytes, M3FilesetInfo *info, M3Error *err);

/*
 * An index entry.  out has room for id, tags and M3_FILESET_ENTRY_OVERHEAD;
 * returns the size written and where in it the id begins.
 */
extern size_t m3_fileset_entry_encode(const M3FilesetEntry *entry, uint8_t *out,
									  size_t *id_position);
/*
 * The entry at the beginning of bytes; slices point into them, *used is its
 * size.  *truncated (may be NULL) tells that more bytes might make it whole.
 * need_checksum: an entry without one is corrupt.  One that is there is
 * always checked.
 */
extern M3Status m3_fileset_entry_decode(M3Slice bytes, bool need_checksum,
										M3FilesetEntry *entry, size_t *used,
										bool *truncated, M3Error *err);

extern size_t m3_fileset_summary_encode(const M3FilesetSummary *summary, uint8_t *out);
extern M3Status m3_fileset_summary_decode(M3Slice bytes, M3FilesetSummary *summary,
										  size_t *used, M3Error *err);

extern void m3_fileset_digest_encode(const uint32_t *digests, uint8_t *out);
/* Fills digests and checkpoint of a header from the two files, which must agree. */
extern M3Status m3_fileset_digest_decode(M3Slice digest, M3Slice checkpoint,
										 M3FilesetHeader *header, M3Error *err);

#endif							/* M3_FILESET_FORMAT_H */
