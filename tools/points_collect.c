/*
 * From files to records of the sort.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/codec/m3tsz.h"
#include "storage/fileset/reader.h"
#include "storage/ident/tags.h"
#include "storage/log/scan.h"
#include "tools/points_private.h"

static void
add_escaped(Text *key, M3Slice bytes)
{
	const uint8_t *p = bytes.data;
	const uint8_t *end = bytes.data + bytes.size;

	while (p < end)
	{
		const uint8_t *zero = memchr(p, 0, (size_t) (end - p));

		if (zero == NULL)
		{
			text_add(key, p, (size_t) (end - p));
			break;
		}
		text_add(key, p, (size_t) (zero - p));
		text_add(key, "\0\377", 2);
		p = zero + 1;
	}
	text_add(key, "\0\0", 2);
}

static M3Status
add_record(PointsRun *run, M3Slice namespace_name, M3Slice id, int64_t block_ns,
		   RecordKind kind, uint64_t number, M3Slice value, M3Error *err)
{
	uint8_t		tail[RECORD_KEY_TAIL];

	text_clear(&run->key);
	add_escaped(&run->key, namespace_name);
	add_escaped(&run->key, id);
	m3_store_be64(tail, (uint64_t) block_ns ^ UINT64_C(1) << 63);
	tail[8] = (uint8_t) kind;
	m3_store_be64(tail + 9, number);
	text_add(&run->key, tail, sizeof(tail));
	M3_TRY(text_status(&run->key, err));
	return sorter_add(run->sorter, m3_slice(run->key.data, run->key.size), value, err);
}

/* Tags of filesets before those of snapshots before those of logs. */
static M3Status
add_tags(PointsRun *run, M3Slice namespace_name, M3Slice id, RecordKind source,
		 M3Slice tags, M3Error *err)
{
	uint64_t	number = (uint64_t) source << 56 | run->number++;

	return add_record(run, namespace_name, id, INT64_MIN, RECORD_TAGS, number, tags, err);
}

/* The grid of a namespace; times at the ends of what int64 holds stand for themselves. */
static int64_t
block_of(int64_t time_ns, int64_t block_size_ns)
{
	if (time_ns <= INT64_MIN + block_size_ns + M3_NS_PER_SECOND)
		return INT64_MIN + 1;
	return m3_block_start(time_ns, block_size_ns);
}

/* Whether [start, start + size) has times that are asked for. */
static bool
overlaps_range(const PointsRun *run, int64_t start_ns, int64_t size_ns)
{
	int64_t		end_ns;

	if (start_ns >= run->options->to_ns)
		return false;
	return __builtin_add_overflow(start_ns, size_ns, &end_ns) || end_ns > run->options->from_ns;
}

static M3Status
add_point(PointsRun *run, M3Slice namespace_name, M3Slice id, int64_t block_size_ns,
		  RecordKind kind, uint64_t number, const M3Point *point, M3Error *err)
{
	int64_t		block_ns = block_of(point->time_ns, block_size_ns);
	uint8_t		fixed[RECORD_POINT_SIZE];

	if (!overlaps_range(run, block_ns, block_size_ns))
		return M3_OK;
	m3_store_be64(fixed, (uint64_t) point->time_ns);
	m3_store_be64(fixed + 8, m3_double_bits(point->value));
	fixed[16] = (uint8_t) point->unit;
	text_clear(&run->value);
	text_add(&run->value, fixed, sizeof(fixed));
	text_add(&run->value, point->annotation.data, point->annotation.size);
	M3_TRY(text_status(&run->value, err));
	return add_record(run, namespace_name, id, block_ns, kind, number,
					  m3_slice(run->value.data, run->value.size), err);
}

/* Filesets */

typedef struct FilesetSource
{
	PointsRun  *run;
	M3FilesetKind kind;
	M3Slice		namespace_name;
	char		directory[M3_FILESET_PATH_SIZE];
	int64_t		block_size_ns;	/* of the namespace */
	M3FilesetName name;
	const M3FilesetInfo *info;
} FilesetSource;

/* Whether an error speaks of the files and not of us. */
static bool
is_damage(M3Status status)
{
	return status == M3_CORRUPT || status == M3_UNSUPPORTED || status == M3_NOT_FOUND;
}

static void
warn_fileset(FilesetSource *source, const M3Error *reason, const char *consequence)
{
	char		path[M3_FILESET_PATH_SIZE];

	if (m3_fileset_path(path, source->directory, &source->name, M3_FILESET_INFO, NULL) != M3_OK)
		path[0] = '\0';
	points_warn(source->run, reason->file[0] == '\0' ? path : reason->file, reason->offset,
				"%s; %s", reason->message, consequence);
}

/* A block that is not one of the namespace's grid goes in point by point. */
static M3Status
add_decoded(FilesetSource *source, M3Slice id, M3Slice payload, M3Error *err)
{
	PointsRun  *run = source->run;
	RecordKind	kind = source->kind == M3_FILESET_KIND_DATA ? RECORD_DATA_POINT :
		RECORD_SNAPSHOT_POINT;
	int64_t		last_ns = INT64_MIN;
	M3Decoder	decoder;
	M3Point		point;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	M3Error		reason;
	M3Status	status;

	memset(&reason, 0, sizeof(reason));
	m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
	while ((status = m3_decoder_next(&decoder, &point, run->memory, &scratch, &scratch_size,
									 &reason)) == M3_OK)
	{
		if (point.time_ns > last_ns)
			status = add_point(run, source->namespace_name, id, source->block_size_ns, kind,
							   (uint64_t) source->name.volume, &point, err);
		if (status != M3_OK)
			break;
		last_ns = point.time_ns;
	}
	m3_free(run->memory, scratch);
	if (status == M3_CORRUPT)
	{
		warn_fileset(source, &reason, "the rest of a series' stream is left out");
		return M3_OK;
	}
	return status == M3_NOT_FOUND ? M3_OK : status;
}

static M3Status
add_series(FilesetSource *source, M3FilesetReader *reader, const M3FilesetEntry *entry,
		   M3Error *err)
{
	PointsRun  *run = source->run;
	const M3FilesetInfo *info = source->info;
	RecordKind	kind = source->kind == M3_FILESET_KIND_DATA ? RECORD_DATA : RECORD_SNAPSHOT;
	M3TagIterator iterator;
	M3Slice		payload;
	M3Error		reason;
	M3Status	status;
	char		consequence[256];

	memset(&reason, 0, sizeof(reason));
	status = m3_fileset_reader_data(reader, entry, &payload, &reason);
	if (is_damage(status))
	{
		snprintf(consequence, sizeof(consequence), "series \"%.*s\" of this fileset is left out",
				 entry->id.size > 150 ? 150 : (int) entry->id.size, (const char *) entry->id.data);
		warn_fileset(source, &reason, consequence);
		return M3_OK;
	}
	if (status != M3_OK)
	{
		if (err != NULL)
			*err = reason;
		return status;
	}
	if (entry->tags.size > 0 && m3_tag_iterator_init(&iterator, entry->tags, &reason) == M3_OK)
		M3_TRY(add_tags(run, source->namespace_name, entry->id, kind, entry->tags, err));
	else if (entry->tags.size > 0)
		warn_fileset(source, &reason, "a series is shown without tags");
	if (info->block_size_ns != source->block_size_ns ||
		block_of(info->block_start_ns, info->block_size_ns) != info->block_start_ns)
		return add_decoded(source, entry->id, payload, err);
	return add_record(run, source->namespace_name, entry->id, info->block_start_ns, kind,
					  (uint64_t) source->name.volume, payload, err);
}

/* Everything of one fileset that its own checksums vouch for. */
static M3Status
add_fileset(FilesetSource *source, M3FilesetReader *reader, M3Error *err)
{
	Text	   *copy = &source->run->entry;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Error		reason;
	M3Status	status;

	memset(&reason, 0, sizeof(reason));
	M3_TRY(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, err));
	while ((status = m3_fileset_scan_next(scan, &entry, &reason)) == M3_OK)
	{
		/* its slices end with the next call on the reader */
		text_clear(copy);
		text_add(copy, entry.id.data, entry.id.size);
		text_add(copy, entry.tags.data, entry.tags.size);
		status = text_status(copy, err);
		entry.id = m3_slice(copy->data, entry.id.size);
		entry.tags = m3_slice(copy->data + entry.id.size, entry.tags.size);
		if (status == M3_OK)
			status = add_series(source, reader, &entry, err);
		if (status != M3_OK)
		{
			m3_fileset_scan_close(scan);
			return status;
		}
	}
	m3_fileset_scan_close(scan);
	/* what is said after the last entry: M3_NOT_FOUND without a message */
	if (status == M3_NOT_FOUND && reason.message[0] == '\0')
		return M3_OK;
	if (is_damage(status))
	{
		warn_fileset(source, &reason, "the rest of this fileset is left out");
		return M3_OK;
	}
	if (err != NULL)
		*err = reason;
	return status;
}

static M3Status
see_block_size(FilesetSource *source, const M3FilesetInfo *info, M3Error *err)
{
	PointsNamespace *ns = points_namespace(source->run, source->namespace_name);

	if (ns == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	/* a size that nobody can align to is not taken over */
	if (ns->block_size_ns == 0)
		ns->block_size_ns = info->block_size_ns % M3_NS_PER_SECOND == 0 ? info->block_size_ns :
			POINTS_DEFAULT_BLOCK_SIZE_NS;
	source->block_size_ns = ns->block_size_ns;
	return M3_OK;
}

/*
 * One volume of a block; *sound tells whether lower ones are not needed.
 */
static M3Status
add_volume(FilesetSource *source, bool *sound, M3Error *err)
{
	PointsRun  *run = source->run;
	M3FilesetReader *reader;
	bool		in_range;
	M3Error		reason;
	M3Status	status;

	*sound = false;
	memset(&reason, 0, sizeof(reason));
	status = m3_fileset_reader_open(run->env, run->memory, source->directory, &source->name,
									NULL, &reader, &reason);
	if (status == M3_OK)
	{
		source->info = &m3_fileset_reader_header(reader)->info;
		in_range = overlaps_range(run, source->info->block_start_ns, source->info->block_size_ns);
		*sound = source->kind == M3_FILESET_KIND_DATA;
		if (source->kind == M3_FILESET_KIND_SNAPSHOT && in_range)
		{
			status = m3_fileset_reader_validate(reader, &reason);
			*sound = status == M3_OK;
			if (is_damage(status))
			{
				warn_fileset(source, &reason, "only what is sound of this snapshot is used, "
							 "over a lower volume if there is one");
				status = M3_OK;
			}
		}
		if (status == M3_OK)
			status = see_block_size(source, source->info, &reason);
		if (status == M3_OK && in_range)
			status = add_fileset(source, reader, &reason);
		m3_fileset_reader_close(reader);
	}
	else if (is_damage(status))
	{
		if (status == M3_NOT_FOUND)
			snprintf(reason.message, sizeof(reason.message), "fileset has no whole checkpoint");
		warn_fileset(source, &reason, "the whole fileset is left out");
		return M3_OK;
	}
	if (status != M3_OK && err != NULL)
		*err = reason;
	return status;
}

static M3Status
collect_shard(FilesetSource *source, M3Error *err)
{
	PointsRun  *run = source->run;
	M3FilesetList list;
	M3Status	status;
	size_t		i;

	M3_TRY(m3_fileset_list(run->env, run->memory, source->directory, &list, err));
	status = M3_OK;
	/* from the last: blocks descending, the highest volume of each first */
	for (i = list.count; i-- > 0 && status == M3_OK;)
	{
		int64_t		start_ns = list.filesets[i].name.block_start_ns;
		bool		sound;

		if (list.filesets[i].files == 1u << M3_FILESET_STATISTICS)
			continue;
		source->name = list.filesets[i].name;
		status = add_volume(source, &sound, err);
		while (sound && i > 0 && list.filesets[i - 1].name.block_start_ns == start_ns)
			i--;
	}
	m3_fileset_list_free(&list);
	return status;
}

static M3Status
collect_namespace(PointsRun *run, M3FilesetKind kind, M3Slice name, M3Error *err)
{
	FilesetSource source = {.run = run,.kind = kind,.namespace_name = name};
	PointsNamespace *ns = points_namespace(run, name);
	uint32_t   *shards;
	size_t		count;
	M3Status	status = M3_OK;

	if (ns == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	if (!ns->is_wanted)
		return M3_OK;
	M3_TRY(m3_fileset_list_shards(run->env, run->memory, run->options->root, kind, name,
								  &shards, &count, err));
	for (size_t i = 0; i < count && status == M3_OK; i++)
	{
		status = m3_fileset_shard_directory(source.directory, run->options->root, kind, name,
											shards[i], err);
		if (status == M3_OK)
			status = collect_shard(&source, err);
	}
	m3_free(run->memory, shards);
	return status;
}

M3Status
points_collect_filesets(PointsRun *run, M3FilesetKind kind, M3Error *err)
{
	M3FilesetNames names;
	M3Status	status = M3_OK;

	M3_TRY(m3_fileset_list_namespaces(run->env, run->memory, run->options->root, kind, &names,
									  err));
	for (size_t i = 0; i < names.count && status == M3_OK; i++)
		status = collect_namespace(run, kind, m3_slice_cstr(names.names[i]), err);
	m3_fileset_names_free(&names);
	return status;
}

/* Logs */

#define SERIES_SKIPPED 1		/* M3LogSeries.user; 0: not seen yet */
#define SERIES_WANTED 2			/* plus the number of its namespace */

typedef struct LogSource
{
	PointsRun  *run;
	const M3LogFile *file;
	uint64_t	unresolved;		/* groups of transactions nobody can ask about */
	uint64_t	bad_units;
	uint64_t	bad_tags;
} LogSource;

static M3Status
begin_group(void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err)
{
	LogSource  *source = context;

	(void) err;
	*apply = true;
	if (group->xid != 0 && !group->is_resolved)
		source->unresolved++;
	return M3_OK;
}

static M3Status
meet_series(LogSource *source, M3LogSeries *series, M3Error *err)
{
	PointsRun  *run = source->run;
	const M3LogSeriesMetadata *metadata = &series->metadata;
	PointsNamespace *ns = points_namespace(run, metadata->namespace);
	M3TagIterator iterator;

	if (ns == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	series->user = SERIES_SKIPPED;
	if (!ns->is_wanted)
		return M3_OK;
	if (ns->block_size_ns == 0)
		ns->block_size_ns = POINTS_DEFAULT_BLOCK_SIZE_NS;
	series->user = SERIES_WANTED + (uint64_t) (ns - run->namespaces);
	if (metadata->tags.size == 0)
		return M3_OK;
	if (m3_tag_iterator_init(&iterator, metadata->tags, NULL) != M3_OK)
	{
		source->bad_tags++;
		return M3_OK;
	}
	return add_tags(run, metadata->namespace, metadata->id, RECORD_LOG, metadata->tags, err);
}

static M3Status
add_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	LogSource  *source = context;
	PointsRun  *run = source->run;
	M3LogSeries *series = record->series;
	M3Point		point = {
		.time_ns = record->time_ns,.value = record->value,.unit = (M3TimeUnit) record->unit,
		.annotation = record->annotation
	};

	(void) group;
	if (series->user == 0)
		M3_TRY(meet_series(source, series, err));
	if (series->user == SERIES_SKIPPED)
		return M3_OK;
	if (!m3_unit_is_valid(record->unit))
	{
		source->bad_units++;
		point.unit = m3_unit_of_time(record->time_ns);
	}
	return add_point(run, series->metadata.namespace, series->metadata.id,
					 run->namespaces[series->user - SERIES_WANTED].block_size_ns, RECORD_LOG,
					 run->number++, &point, err);
}

/* What a TRUNCATE left in files for the server to remove is shown, as M3DB would: say so. */
static M3Status
warn_voided(void *context, const M3LogGroupInfo *group, const M3LogMarker *marker, M3Error *err)
{
	LogSource  *source = context;

	(void) err;
	points_warn(source->run, "", -1, "namespace \"%.*s\" was %s at byte %" PRIu64 " of commit log %"
				PRIu64 "; what it held before is shown as far as it is still in files",
				(int) marker->name.size, (const char *) marker->name.data,
				marker->dropped ? "dropped" : "truncated", group->offset, group->log_index);
	return M3_OK;
}

static void
warn_log(PointsRun *run, const M3LogFile *file)
{
	char		path[M3_FILESET_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/" M3_LOG_DIRECTORY "/%s", run->options->root, file->name);
	if (!file->has_info && !file->is_blank)
		points_warn(run, path, 0, "%s; the whole log is left out", file->reason);
	else if (file->has_info && (file->end.kind == M3_LOG_END_TORN ||
								file->end.kind == M3_LOG_END_HOLE ||
								file->end.kind == M3_LOG_END_CORRUPT))
		points_warn(run, path, (int64_t) file->end.offset,
					"log is %s (%s); its %" PRIu64 " entries before byte %" PRIu64
					" are used, what follows is left out, later logs are read",
					m3_log_end_name(file->end.kind), file->end.reason, file->end.entries,
					file->end.valid_size);
}

M3Status
points_collect_logs(PointsRun *run, M3Error *err)
{
	LogSource	source = {.run = run};
	M3LogReplay replay = {
		.begin = begin_group,.entry = add_entry,.voided = warn_voided,.context = &source
	};
	M3LogSet   *set;
	M3Status	status;

	M3_TRY(m3_log_set_open(run->env, run->memory, run->options->root, &set, err));
	M3_GOTO(m3_log_set_check(set, NULL, NULL, err));
	for (size_t i = 0; i < m3_log_set_count(set); i++)
		warn_log(run, m3_log_set_file(set, i));
	M3_GOTO(m3_log_set_replay(set, &replay, err));
	if (source.unresolved > 0)
		points_warn(run, "", -1, "%" PRIu64 " groups of commit-log entries belong to transactions "
					"whose outcome only the server knows; they are taken as committed",
					source.unresolved);
	if (source.bad_units > 0)
		points_warn(run, "", -1, "%" PRIu64 " log entries have an invalid unit; the coarsest that "
					"holds the time is shown", source.bad_units);
	if (source.bad_tags > 0)
		points_warn(run, "", -1, "%" PRIu64 " series of logs have malformed tags; they are shown "
					"without", source.bad_tags);
done:
	m3_log_set_close(set);
	return status;
}
