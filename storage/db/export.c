/*
 * Export: block by block, and within a block shard by shard, series are read through one scan
 * and encoded anew, ascending by id as filesets want them, so that one writer is open at a time.
 *
 * The scan covers all that is exported; its range is narrowed to the block at work.  Which blocks
 * there are, and the first and last of each series, is found once, before the
 * first is written: a snapshot sees the same points however long it takes.
 */
#include "storage/db/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db/scan_private.h"
#include "storage/fileset/names.h"
#include "storage/fileset/writer.h"
#include "storage/ident/id.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

/* Series passed over between two looks for an interrupt. */
#define YIELD_EVERY 1024u

typedef struct ExportSeries
{
	M3Slice		id;				/* the scan's */
	size_t		index;			/* in the scan */
	int64_t		first_ns;		/* starts of blocks that may hold it; none if first > last */
	int64_t		last_ns;
	uint32_t	shard;			/* where it goes */
	bool		exported;
} ExportSeries;

struct M3Export
{
	M3Database *db;
	M3Env	   *env;			/* of what is written */
	M3Memory   *memory;
	const M3ExportOptions *options;
	M3Slice		target_name;
	int64_t		source_size_ns; /* of the namespace's blocks */
	int64_t		block_size_ns;	/* of those written */
	int64_t		start_ns;		/* what can be read of the range */
	int64_t		end_ns;
	M3Scan	   *scan;
	M3Reader   *reader;
	ExportSeries *series;		/* by shard, then id */
	size_t		series_count;
	int64_t    *blocks;			/* starts of the namespace's, ascending, distinct */
	size_t		block_count;
	size_t		block_capacity;
	M3FilesetWriter *writer;	/* of the shard and block at work, from its first series on */
	uint8_t    *bytes;			/* of one series */
	size_t		byte_capacity;
	M3ExportResult result;
};

/* a + b for b > 0, or the greatest time there is. */
static int64_t
add_time(int64_t a, int64_t b)
{
	int64_t		sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* --- before the first block --------------------------------------------- */

static M3Status
validate(const M3ExportOptions *options, M3Slice target_name, M3Error *err)
{
	if (options->shard_count == 0)
		return m3_error(err, M3_INVALID, "number of shards must be at least 1");
	if (options->block_size_ns < 0 || options->block_size_ns % M3_NS_PER_SECOND != 0)
		return m3_error(err, M3_INVALID, "block size must be a positive number of whole seconds");
	if (options->directory[0] == '\0')
		return m3_error(err, M3_INVALID, "directory must not be empty");
	return m3_namespace_name_validate(target_name, err);
}

static M3Status
stop_at_first(void *context, const char *name, bool is_directory)
{
	(void) context;
	(void) name;
	(void) is_directory;
	return M3_CONFLICT;
}

/* M3DB trusts an index that covers a block, and finds no series that it does not have. */
static M3Status
refuse_index(M3Export *x, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Status	status;

	if (snprintf(path, sizeof(path), "%s/index/data/%.*s", x->options->directory,
				 (int) x->target_name.size, (const char *) x->target_name.data) >=
		(int) sizeof(path))
		return m3_error(err, M3_INVALID, "path of the directory is too long");
	status = x->env->list(x->env, path, stop_at_first, NULL, err);
	if (status == M3_NOT_FOUND)
		return M3_OK;
	if (status != M3_CONFLICT)
		return status;
	status = m3_error(err, M3_CONFLICT, "there is an index of the namespace already, \"%s\"", path);
	m3_error_detail(err, "M3DB would not find series that it does not list. It makes an index "
					"anew from the data when there is none.");
	return status;
}

/* Cuts the last part off a path; the root, and of a relative path the process's directory, are
 * what is left in the end. */
static void
cut_to_parent(char *path)
{
	char	   *slash = strrchr(path, '/');

	if (slash == NULL)
		memcpy(path, ".", 2);
	else if (slash == path)
		path[1] = '\0';
	else
		*slash = '\0';
}

static bool
is_missing(M3Export *x, const char *path)
{
	return x->env->list(x->env, path, stop_at_first, NULL, NULL) == M3_NOT_FOUND;
}

/* The directory with its parents, and the names of those that are new durable; what is below it
 * is the fileset writer's affair. */
static M3Status
make_directory(M3Export *x, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	int			size = snprintf(path, sizeof(path), "%s", x->options->directory);
	int			missing = 0;

	if (size < 0 || (size_t) size >= sizeof(path))
		return m3_error(err, M3_INVALID, "path of the directory is too long");
	while (strcmp(path, "/") != 0 && strcmp(path, ".") != 0 && is_missing(x, path))
	{
		missing++;
		cut_to_parent(path);
	}
	M3_TRY(x->env->make_directory(x->env, x->options->directory, err));
	memcpy(path, x->options->directory, (size_t) size + 1);
	for (; missing > 0; missing--)
	{
		cut_to_parent(path);
		M3_TRY(x->env->sync_directory(x->env, path, err));
	}
	return M3_OK;
}

static int
compare_series(const void *left, const void *right)
{
	const ExportSeries *a = left;
	const ExportSeries *b = right;

	if (a->shard != b->shard)
		return a->shard < b->shard ? -1 : 1;
	return m3_slice_compare(a->id, b->id);
}

/* Adds a block start unless it is there; mostly one is a neighbour of the one before it. */
static M3Status
add_block(M3Export *x, int64_t start_ns, M3Error *err)
{
	size_t		low = 0;
	size_t		high = x->block_count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (x->blocks[middle] < start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < x->block_count && x->blocks[low] == start_ns)
		return M3_OK;
	if (x->block_count == x->block_capacity)
	{
		size_t		capacity = x->block_capacity * 2 + 64;
		int64_t    *grown = m3_resize(x->memory, x->blocks, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for a list of %zu blocks", capacity);
		x->blocks = grown;
		x->block_capacity = capacity;
	}
	memmove(&x->blocks[low + 1], &x->blocks[low], (x->block_count - low) * sizeof(int64_t));
	x->blocks[low] = start_ns;
	x->block_count++;
	return M3_OK;
}

static M3Status
survey_series(M3Export *x, size_t index, M3Error *err)
{
	ExportSeries *series = &x->series[index];
	const int64_t *starts;
	size_t		count;
	M3Slice		tags;

	series->index = index;
	series->first_ns = INT64_MAX;
	series->last_ns = INT64_MIN;
	series->exported = false;
	m3_scan_series(x->scan, index, &series->id, &tags);
	series->shard = m3_shard_of_id(series->id, x->options->hash_seed, x->options->shard_count);
	M3_TRY(m3_reader_open(x->reader, index, err));
	m3i_reader_blocks(x->reader, &starts, &count);
	for (size_t i = 0; i < count; i++)
		M3_TRY(add_block(x, starts[i], err));
	if (count > 0)
	{
		series->first_ns = starts[0];
		series->last_ns = starts[count - 1];
	}
	return M3_OK;
}

/* Finds the series, where they go, and the blocks there are. */
static M3Status
survey(M3Export *x, M3Error *err)
{
	x->series_count = m3_scan_series_count(x->scan);
	if (x->series_count == 0)
		return M3_OK;
	x->series = m3_alloc(x->memory, x->series_count * sizeof(*x->series));
	if (x->series == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu series", x->series_count);
	for (size_t i = 0; i < x->series_count; i++)
	{
		if (i % YIELD_EVERY == YIELD_EVERY - 1)
			x->db->env->yield(x->db->env);
		M3_TRY(survey_series(x, i, err));
	}
	qsort(x->series, x->series_count, sizeof(*x->series), compare_series);
	return M3_OK;
}

static M3Status
open_scan(M3Export *x, M3Error *err)
{
	M3ScanOptions options = {
		.start_ns = x->options->start_ns,
		.end_ns = x->options->end_ns,
		.snapshot = x->options->snapshot,
		.with_units = true,
		.with_annotations = true
	};

	M3_TRY(m3_scan_open(x->db, x->options->namespace_name, &options, x->memory, &x->scan, err));
	M3_TRY(m3_reader_create(x->scan, &x->reader, err));
	x->start_ns = x->scan->start_ns;
	x->end_ns = x->scan->end_ns;
	x->source_size_ns = x->scan->block_size_ns;
	x->block_size_ns = x->options->block_size_ns != 0 ? x->options->block_size_ns :
		x->source_size_ns;
	return M3_OK;
}

/* --- a block ------------------------------------------------------------ */

static M3Status
reserve_bytes(M3Export *x, size_t need, M3Error *err)
{
	uint8_t    *grown;

	if (need <= x->byte_capacity)
		return M3_OK;
	need += need / 2 + 4096;
	grown = m3_resize(x->memory, x->bytes, need);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu bytes of points", need);
	x->bytes = grown;
	x->byte_capacity = need;
	return M3_OK;
}

static M3Status
encode_batch(M3Export *x, M3Encoder *encoder, const M3PointBatch *batch, size_t *size,
			 M3Error *err)
{
	for (size_t i = 0; i < batch->count; i++)
	{
		M3Point		point = {
			.time_ns = batch->times_ns[i],
			.value = batch->values[i],
			.unit = (M3TimeUnit) batch->units[i],
			.annotation = batch->annotations[i]
		};
		size_t		written;

		M3_TRY(reserve_bytes(x, *size + point.annotation.size + M3_ENCODER_MAX_RECORD +
							 M3_ENCODER_MAX_TAIL, err));
		M3_TRY(m3_encoder_append(encoder, &point, x->bytes + *size, &written, err));
		*size += written;
	}
	return M3_OK;
}

/* The series' points in the block as one ended stream; *size is 0 if there are none. */
static M3Status
encode_series(M3Export *x, const ExportSeries *series, int64_t block_ns, uint32_t *points,
			  size_t *size, M3Error *err)
{
	M3Encoder	encoder;
	M3PointBatch batch;
	M3Status	status;

	*size = 0;
	m3_encoder_init(&encoder, block_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	M3_TRY(m3_reader_open(x->reader, series->index, err));
	while ((status = m3_reader_next(x->reader, &batch, err)) == M3_OK)
		M3_TRY(encode_batch(x, &encoder, &batch, size, err));
	if (status != M3_NOT_FOUND)
		return status;
	*points = encoder.count;
	if (encoder.count > 0)
		*size += m3_encoder_tail(&encoder, x->bytes + *size);
	return M3_OK;
}

static M3Status
open_writer(M3Export *x, uint32_t shard, int64_t block_ns, M3Error *err)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = {
		.directory = directory,
		.block_start_ns = block_ns,
		.block_size_ns = x->block_size_ns,
		.volume = 0,
		.sorted = true
	};
	M3Status	status;

	M3_TRY(m3_fileset_shard_directory(directory, x->options->directory, M3_FILESET_KIND_DATA,
									  x->target_name, shard, err));
	status = m3_fileset_writer_create(x->env, x->memory, &options, &x->writer, err);
	if (status == M3_CONFLICT)
		m3_error_detail(err, "It is in directory \"%s\".", directory);
	return status;
}

static M3Status
export_series(M3Export *x, ExportSeries *series, int64_t block_ns, M3Error *err)
{
	M3Slice		id;
	M3Slice		tags;
	M3Slice		payload;
	uint32_t	points;
	size_t		size;

	M3_TRY(encode_series(x, series, block_ns, &points, &size, err));
	if (size == 0)
		return M3_OK;
	if (x->writer == NULL)
		M3_TRY(open_writer(x, series->shard, block_ns, err));
	payload = m3_slice(x->bytes, size);
	m3_scan_series(x->scan, series->index, &id, &tags);
	M3_TRY(m3_fileset_writer_add(x->writer, id, tags, &payload, 1, err));
	x->result.points += points;
	x->result.series += !series->exported;
	series->exported = true;
	return M3_OK;
}

static void
close_writer(M3Export *x)
{
	m3_fileset_writer_free(x->writer);
	x->writer = NULL;
}

static M3Status
publish(M3Export *x, int64_t block_ns, M3Error *err)
{
	const uint64_t *sizes;

	M3_TRY(m3_fileset_writer_finish(x->writer, err));
	M3_TRY(m3_fileset_writer_publish(x->writer, err));
	sizes = m3_fileset_writer_sizes(x->writer);
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
		x->result.bytes += sizes[i];
	x->result.filesets++;
	x->result.end_ns = add_time(block_ns, x->block_size_ns);
	close_writer(x);
	return M3_OK;
}

/* May the series have points in the block at work, to which the scan is narrowed? */
static bool
may_have(const M3Export *x, const ExportSeries *series)
{
	return series->first_ns <= series->last_ns && series->first_ns < x->scan->end_ns &&
		add_time(series->last_ns, x->source_size_ns) > x->scan->start_ns;
}

static M3Status
export_block(M3Export *x, int64_t block_ns, M3Error *err)
{
	int64_t		block_end_ns = add_time(block_ns, x->block_size_ns);

	if (block_ns < 0)
		return m3_error(err, M3_INVALID, "a block of this size would begin before 1970");
	x->scan->start_ns = block_ns > x->start_ns ? block_ns : x->start_ns;
	x->scan->end_ns = block_end_ns < x->end_ns ? block_end_ns : x->end_ns;
	for (size_t i = 0; i < x->series_count; i++)
	{
		if (i % YIELD_EVERY == 0)
			x->db->env->yield(x->db->env);
		if (x->writer != NULL && x->series[i].shard != x->series[i - 1].shard)
			M3_TRY(publish(x, block_ns, err));
		if (may_have(x, &x->series[i]))
			M3_TRY(export_series(x, &x->series[i], block_ns, err));
	}
	return x->writer == NULL ? M3_OK : publish(x, block_ns, err);
}

/* All blocks of the size written that have something in common with a block there is. */
static M3Status
export_blocks(M3Export *x, M3Error *err)
{
	int64_t		next_ns = INT64_MIN;

	for (size_t i = 0; i < x->block_count; i++)
	{
		int64_t		from_ns = x->blocks[i] > x->start_ns ? x->blocks[i] : x->start_ns;
		int64_t		to_ns = add_time(x->blocks[i], x->source_size_ns);
		int64_t		block_ns = m3_block_start(from_ns, x->block_size_ns);

		if (block_ns < next_ns)
			block_ns = next_ns;
		if (to_ns > x->end_ns)
			to_ns = x->end_ns;
		for (; block_ns < to_ns; block_ns = next_ns)
		{
			M3_TRY(export_block(x, block_ns, err));
			next_ns = add_time(block_ns, x->block_size_ns);
		}
	}
	return M3_OK;
}

/* --- the whole ---------------------------------------------------------- */

M3Status
m3_export_create(M3Database *db, const M3ExportOptions *options, M3Memory *memory,
				 M3Export **result, M3Error *err)
{
	M3Export   *x;
	M3Slice		target_name = options->target_name.size > 0 ? options->target_name :
		options->namespace_name;

	M3_TRY(validate(options, target_name, err));
	x = m3_alloc(memory, sizeof(*x));
	if (x == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(x, 0, sizeof(*x));
	x->db = db;
	x->env = options->env != NULL ? options->env : db->env;
	x->memory = memory;
	x->options = options;
	x->target_name = target_name;
	x->result.end_ns = INT64_MIN;
	*result = x;
	return M3_OK;
}

M3Status
m3_export_run(M3Export *x, M3ExportResult *result, M3Error *err)
{
	M3_TRY(refuse_index(x, err));
	M3_TRY(open_scan(x, err));
	M3_TRY(survey(x, err));
	if (x->block_count > 0)
	{
		M3_TRY(make_directory(x, err));
		M3_TRY(export_blocks(x, err));
	}
	*result = x->result;
	return M3_OK;
}

void
m3_export_free(M3Export *x)
{
	if (x == NULL)
		return;
	close_writer(x);
	m3_reader_free(x->reader);
	m3_scan_close(x->scan);
	m3_free(x->memory, x->series);
	m3_free(x->memory, x->blocks);
	m3_free(x->memory, x->bytes);
	m3_free(x->memory, x);
}

M3Status
m3_export(M3Database *db, const M3ExportOptions *options, M3Memory *memory,
		  M3ExportResult *result, M3Error *err)
{
	M3Export   *x;
	M3Status	status;

	M3_TRY(m3_export_create(db, options, memory, &x, err));
	status = m3_export_run(x, result, err);
	m3_export_free(x);
	return status;
}
