/*
 * What the files of this module share: reading and writing whole files,
 * windows over large ones, sorting more entries than memory holds.
 */
#ifndef M3_FILESET_PRIVATE_H
#define M3_FILESET_PRIVATE_H

#include "storage/base/env.h"
#include "storage/base/memory.h"
#include "storage/fileset/format.h"
#include "storage/fileset/names.h"

/*
 * Makes room for need elements of a growing array; M3_NO_MEMORY leaves it as
 * it is.
 */
extern M3Status m3i_fileset_reserve(M3Memory *memory, void **array, size_t *capacity,
									size_t need, size_t element_size, M3Error *err);

/* Adds path and offset to an error that was made without. */
extern M3Status m3i_fileset_locate_error(M3Status status, M3Error *err, const char *path,
										 int64_t offset);

/* Cuts the last element off a path; false if there is none to cut. */
extern bool m3i_fileset_parent_directory(char *path);

/* Opens an existing file and tells its size. */
extern M3Status m3i_fileset_open_sized(M3Env *env, const char *path, M3File **file,
									   uint64_t *size, M3Error *err);

/* Reads up to capacity bytes of a file that is small; *size is the file's
 * real size, which may be larger than what was read. */
extern M3Status m3i_fileset_read_small(M3Env *env, const char *path, uint8_t *buffer,
									   size_t capacity, uint64_t *size, M3Error *err);

/* source.c: a file read through a map or a window that moves */

typedef struct M3Source
{
	M3Env	   *env;
	M3Memory   *memory;
	M3File	   *file;			/* NULL: not open */
	const uint8_t *map;			/* NULL: read with pread */
	uint64_t	size;
	uint8_t    *window;
	size_t		window_capacity;
	uint64_t	window_offset;
	size_t		window_size;
	char	   *path;
} M3Source;

/* Read-ahead of scans from front to end. */
#define M3I_SCAN_AHEAD (256 * 1024)

extern M3Status m3i_fileset_source_open(M3Source *source, M3Env *env, M3Memory *memory,
										const char *path, bool use_map, M3Error *err);
extern void m3i_fileset_source_close(M3Source *source);
/* Frees the window, which is read again when needed. */
extern void m3i_fileset_source_shrink(M3Source *source);

/*
 * Bytes from offset on: at least need of them, or all up to the file's end.
 * ahead is how much to read when reading.  Valid until the next call.
 * M3_CORRUPT if offset is beyond the end.
 */
extern M3Status m3i_fileset_source_peek(M3Source *source, uint64_t offset, size_t need,
										size_t ahead, M3Slice *bytes, M3Error *err);

/* Adler-32 of the whole file. */
extern M3Status m3i_fileset_source_checksum(M3Source *source, uint32_t *checksum, M3Error *err);

/* The index entry at offset and its size; slices valid until the next call. */
extern M3Status m3i_fileset_source_entry(M3Source *source, uint64_t offset, size_t ahead,
										 bool need_checksum, M3FilesetEntry *entry,
										 size_t *entry_size, M3Error *err);

/* output.c: a file written from front to end, with its checksum */

typedef struct M3Output
{
	M3Env	   *env;
	M3File	   *file;			/* NULL: not open */
	uint8_t    *buffer;
	size_t		capacity;
	size_t		used;
	uint64_t	offset;			/* of the buffer in the file */
	uint32_t	checksum;		/* of everything put so far */
} M3Output;

extern M3Status m3i_fileset_output_open(M3Output *output, M3Env *env, M3Memory *memory,
										const char *path, size_t buffer_size, M3Error *err);
extern M3Status m3i_fileset_output_put(M3Output *output, M3Slice bytes, M3Error *err);
extern M3Status m3i_fileset_output_flush(M3Output *output, M3Error *err);
/* Frees and closes; what was not flushed is lost. */
extern void m3i_fileset_output_close(M3Output *output, M3Memory *memory);

static inline uint64_t
m3i_fileset_output_size(const M3Output *output)
{
	return output->offset + output->used;
}

/* Creates or replaces a small file, and syncs it. */
extern M3Status m3i_fileset_write_small(M3Env *env, const char *path, M3Slice bytes, M3Error *err);

/* spool.c: encoded index entries, sorted by id in bounded memory */

typedef struct M3Spool M3Spool;

extern M3Status m3i_fileset_spool_create(M3Env *env, M3Memory *memory, size_t memory_size,
										 M3Spool **spool, M3Error *err);
extern void m3i_fileset_spool_free(M3Spool *spool);	/* NULL allowed */
extern M3Status m3i_fileset_spool_add(M3Spool *spool, const M3FilesetEntry *entry, M3Error *err);
extern M3Status m3i_fileset_spool_sort(M3Spool *spool, M3Error *err);
/* The next entry's bytes and its id, valid until the next call; M3_NOT_FOUND at
 * the end.  Equal ids come one after the other. */
extern M3Status m3i_fileset_spool_next(M3Spool *spool, M3Slice *entry, M3Slice *id,
									   M3Error *err);

#endif							/* M3_FILESET_PRIVATE_H */
