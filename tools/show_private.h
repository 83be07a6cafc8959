/*
 * What the parts of show share.
 */
#ifndef M3DUMP_SHOW_PRIVATE_H
#define M3DUMP_SHOW_PRIVATE_H

#include "storage/fileset/format.h"
#include "tools/show.h"
#include "tools/text.h"

typedef struct Show
{
	M3Env	   *env;
	M3Memory   *memory;
	const ShowOptions *options;
	const char *path;
	char		directory[M3_FILESET_PATH_SIZE];
	const char *base;			/* name within the directory */
	FILE	   *out;
	Text		line;
} Show;

/* A whole file in memory, as the system maps it. */
typedef struct ShowBytes
{
	const uint8_t *data;
	size_t		size;
	M3File	   *file;
} ShowBytes;

extern M3Status show_map(Show *show, const char *path, ShowBytes *bytes, M3Error *err);
extern void show_unmap(Show *show, ShowBytes *bytes);

static inline bool
show_has_room(const Show *show, uint64_t shown)
{
	return show->options->limit == 0 || shown < show->options->limit;
}

/* Prints "... N more NOUN" if there are. */
extern void show_rest(Show *show, uint64_t shown, uint64_t total, const char *noun);
/* Bytes for people, with quotes. */
extern void show_readable(Show *show, M3Slice bytes);
extern void show_tags(Show *show, M3Slice encoded);

extern M3Status show_log(Show *show, M3Error *err);
extern M3Status show_statistics(Show *show, const M3FilesetName *name, M3Slice bytes,
								M3Error *err);
/* name NULL: that of a file recognised by its content, without its fellows. */
extern M3Status show_fileset_file(Show *show, const M3FilesetName *name, M3FilesetFile file,
								  M3Error *err);

#endif							/* M3DUMP_SHOW_PRIVATE_H */
