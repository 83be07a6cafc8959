/*
 * One volume, file by file and series by series.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/codec/m3tsz.h"
#include "storage/fileset/lookup.h"
#include "storage/fileset/reader.h"
#include "storage/ident/id.h"
#include "storage/ident/tags.h"
#include "tools/verify_private.h"

#define READ_SIZE 65536

typedef struct Volume
{
	Verify	   *v;
	const M3FilesetHeader *header;
	const char *directory;
	const M3FilesetName *name;
	uint32_t	shard;
	VerifySeverity severity;
	bool		is_sound[M3_FILESET_DIGESTED_COUNT];
	size_t		shown;			/* findings about series */
	size_t		hidden;			/* beyond the limit */
	M3FilesetReader *reader;
	M3StatisticsReader *statistics; /* NULL: there are none to check */
	uint64_t	counted;		/* points, by readers' rules */
	bool		is_counted;		/* all of them could be */
} Volume;

#define WRONG_STATISTICS \
	"counts and aggregates are wrong until the file is removed; points are whole"

static const char *const consequences[M3_FILESET_DIGESTED_COUNT] = {
	"the fileset counts as absent",
	"series from the damage on are lost",
	"M3DB refuses the volume; its points are whole, m3dump points reads them",
	"M3DB refuses the volume; its points are whole, m3dump points reads them",
	"series whose payload fails are lost"
};

/* What follows from damage, unless something else makes up for the whole volume. */
static const char *
consequence_of(const Volume *volume, const char *consequence)
{
	if (volume->severity == VERIFY_DAMAGE)
		return consequence;
	return volume->header->info.entry_count == 0 ? VERIFY_NO_SERIES :
		"nothing: other volumes, or logs, hold the same points";
}

/* Adler-32 of one file. */
static M3Status
checksum_file(M3Env *env, const char *path, uint32_t *checksum, M3Error *err)
{
	uint8_t		bytes[READ_SIZE];
	M3File	   *file;
	uint64_t	offset = 0;
	size_t		got;
	M3Status	status;

	*checksum = M3_ADLER32_INIT;
	M3_TRY(env->open(env, path, M3_OPEN_READ, &file, err));
	do
	{
		status = env->read(env, file, bytes, sizeof(bytes), offset, &got, err);
		if (status != M3_OK)
			break;
		*checksum = m3_adler32(*checksum, bytes, got);
		offset += got;
	} while (got == sizeof(bytes));
	env->close(env, file);
	return status;
}

static M3Status
check_files(Volume *volume, M3Error *err)
{
	Verify	   *v = volume->v;

	volume->is_sound[M3_FILESET_INFO] = true;
	for (int i = M3_FILESET_INDEX; i < M3_FILESET_DIGESTED_COUNT; i++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		uint32_t	checksum;
		M3Status	status;

		M3_TRY(m3_fileset_path(path, volume->directory, volume->name, (M3FilesetFile) i, err));
		status = checksum_file(v->env, path, &checksum, err);
		if (status == M3_NOT_FOUND)
			verify_finding(v, volume->severity, path, -1,
						   consequence_of(volume, consequences[i]),
						   "file of a complete fileset is missing");
		else if (status != M3_OK)
			return status;
		else if (checksum != volume->header->digests[i])
			verify_finding(v, volume->severity, path, -1,
						   consequence_of(volume, consequences[i]),
						   "%s file has checksum %08x, not %08x as its digest says",
						   m3_fileset_suffix((M3FilesetFile) i), checksum,
						   volume->header->digests[i]);
		else
			volume->is_sound[i] = true;
	}
	return M3_OK;
}

/* A finding about a series, unless there were too many. */
static void
report_series(Volume *volume, VerifySeverity severity, M3FilesetFile file, int64_t offset,
			  M3Slice id, const char *what, const char *consequence)
{
	Verify	   *v = volume->v;
	char		path[M3_FILESET_PATH_SIZE];
	Text		readable;

	if (v->options->limit != 0 && volume->shown >= v->options->limit)
	{
		volume->hidden++;
		/* the exit code does not depend on what is shown */
		if (severity == VERIFY_DAMAGE)
			v->report->damages++;
		else
			v->report->notes++;
		return;
	}
	volume->shown++;
	if (m3_fileset_path(path, volume->directory, volume->name, file, NULL) != M3_OK)
		path[0] = '\0';
	text_init(&readable, v->memory);
	text_add_readable(&readable, id, 120);
	verify_finding(v, severity, path, offset, consequence, "series \"%.*s\": %s",
				   (int) readable.size, readable.data == NULL ? "" : readable.data, what);
	text_free(&readable);
}

static void
check_tags(Volume *volume, M3Slice id, M3Slice tags)
{
	M3TagIterator iterator;
	M3Tag		tag;

	if (m3_tag_iterator_init(&iterator, tags, NULL) != M3_OK)
	{
		report_series(volume, volume->severity, M3_FILESET_INDEX, -1, id,
					  "tags are not well-formed",
					  consequence_of(volume, "M3DB cannot index the block"));
		return;
	}
	if (tags.size == 0)
		return;
	if (!m3_utf8_is_valid(id))
		report_series(volume, VERIFY_NOTE, M3_FILESET_INDEX, -1, id, "id is not UTF-8",
					  "M3DB cannot index the block");
	while (m3_tag_next(&iterator, &tag))
	{
		if (tag.name.size == 0 || !m3_utf8_is_valid(tag.name) || !m3_utf8_is_valid(tag.value) ||
			m3_slice_equal(tag.name, m3_slice_cstr(M3_TAG_RESERVED_NAME)))
		{
			report_series(volume, VERIFY_NOTE, M3_FILESET_INDEX, -1, id,
						  "a tag is empty, reserved or not UTF-8", "M3DB cannot index the block");
			return;
		}
	}
}

/* Decodes a stream; NULL, or what is wrong with it. */
static const char *
check_stream(Volume *volume, M3Slice payload, M3Error *reason)
{
	const M3FilesetInfo *info = &volume->header->info;
	int64_t		times[256];
	double		values[256];
	int64_t		last_ns = INT64_MIN;
	const char *what = NULL;
	M3Decoder	decoder;
	size_t		count;
	uint64_t	points = 0;

	m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
	do
	{
		if (m3_decoder_next_values(&decoder, times, values, NULL, 256, &count, reason) != M3_OK)
			return reason->message;
		for (size_t i = 0; i < count; i++)
		{
			if (times[i] < info->block_start_ns ||
				(uint64_t) times[i] - (uint64_t) info->block_start_ns >=
				(uint64_t) info->block_size_ns)
				what = "stream has a point outside the block";
			else if ((i > 0 || points > 0) && times[i] <= last_ns)
				what = "stream is not in order of time";
			last_ns = times[i];
		}
		points += count;
	} while (count == 256);
	volume->v->report->points += points;
	return points == 0 ? "stream has no points" : what;
}

static M3Status
check_statistics(Volume *volume, const M3FilesetEntry *entry, M3Slice payload, M3Error *err)
{
	const char *what;
	M3Status	status;

	if (volume->statistics == NULL)
		return M3_OK;
	status = verify_statistics_entry(volume->v, volume->statistics, entry, payload,
									 &volume->counted, &what, err);
	if (status == M3_CORRUPT)
	{
		report_series(volume, VERIFY_NOTE, M3_FILESET_STATISTICS, -1, entry->id,
					  "its statistics are damaged", VERIFY_NOT_BELIEVED);
		return M3_OK;
	}
	M3_TRY(status);
	if (what != NULL)
		report_series(volume, volume->severity, M3_FILESET_STATISTICS, -1, entry->id, what,
					  consequence_of(volume, WRONG_STATISTICS));
	return M3_OK;
}

/* The total, which counts by itself. */
static void
check_total(Volume *volume)
{
	char		path[M3_FILESET_PATH_SIZE];

	if (volume->statistics == NULL || !volume->is_counted ||
		m3_statistics_points(volume->statistics) == volume->counted ||
		m3_fileset_path(path, volume->directory, volume->name, M3_FILESET_STATISTICS,
						NULL) != M3_OK)
		return;
	verify_finding(volume->v, volume->severity, path, -1, consequence_of(volume, WRONG_STATISTICS),
				   "statistics speak of %" PRIu64 " points, there are %" PRIu64,
				   m3_statistics_points(volume->statistics), volume->counted);
}

static M3Status
check_series(Volume *volume, const M3FilesetEntry *entry, M3Error *err)
{
	Verify	   *v = volume->v;
	M3Slice		id = entry->id;
	M3Slice		payload;
	M3Error		reason;
	M3Status	status;
	const char *what;

	v->report->series++;
	if (v->shard_count != 0 &&
		m3_shard_of_id(id, v->hash_seed, v->shard_count) != volume->shard)
		report_series(volume, volume->severity, M3_FILESET_INDEX, -1, id,
					  "id belongs to another shard",
					  consequence_of(volume, "queries by id do not find it"));
	check_tags(volume, id, entry->tags);
	if (volume->is_sound[M3_FILESET_BLOOM])
	{
		bool		maybe;

		status = m3_fileset_may_contain(volume->reader, id, &maybe, err);
		if (status != M3_OK && !verify_is_damage(status))
			return status;
		if (status == M3_OK && !maybe)
			report_series(volume, volume->severity, M3_FILESET_BLOOM, -1, id,
						  "bloom filter denies the series",
						  consequence_of(volume, "queries do not find it"));
	}
	memset(&reason, 0, sizeof(reason));
	status = m3_fileset_reader_data(volume->reader, entry, &payload, &reason);
	if (verify_is_damage(status))
	{
		volume->is_counted = false;
		report_series(volume, volume->severity, M3_FILESET_DATA, entry->offset, id,
					  reason.message,
					  consequence_of(volume, "its points of this block are lost"));
		return M3_OK;
	}
	if (status != M3_OK)
	{
		if (err != NULL)
			*err = reason;
		return status;
	}
	what = check_stream(volume, payload, &reason);
	if (what != NULL)
		report_series(volume, volume->severity, M3_FILESET_DATA, entry->offset, id, what,
					  consequence_of(volume, "points are lost or misplaced"));
	return check_statistics(volume, entry, payload, err);
}

static M3Status
check_entries(Volume *volume, M3Error *err)
{
	Verify	   *v = volume->v;
	Text	   *copy = &v->entry;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Error		reason;
	M3Status	status;
	char		path[M3_FILESET_PATH_SIZE];

	M3_TRY(m3_fileset_path(path, volume->directory, volume->name, M3_FILESET_INDEX, err));
	M3_TRY(m3_fileset_scan_open(volume->reader, M3_FILESET_BY_ID, &scan, err));
	memset(&reason, 0, sizeof(reason));
	while ((status = m3_fileset_scan_next(scan, &entry, &reason)) == M3_OK)
	{
		text_clear(copy);
		text_add(copy, entry.id.data, entry.id.size);
		text_add(copy, entry.tags.data, entry.tags.size);
		M3_GOTO(text_status(copy, &reason));
		entry.id = m3_slice(copy->data, entry.id.size);
		entry.tags = m3_slice(copy->data + entry.id.size, entry.tags.size);
		M3_GOTO(check_series(volume, &entry, &reason));
	}
	/* an index that is damaged or missing was reported with its checksum */
	if (status == M3_CORRUPT && (volume->is_sound[M3_FILESET_INDEX] || reason.offset >= 0))
		verify_finding(v, volume->severity, reason.file[0] == '\0' ? path : reason.file,
					   reason.offset, consequence_of(volume, consequences[M3_FILESET_INDEX]),
					   "%s", reason.message);
	if (status == M3_NOT_FOUND)
		check_total(volume);
	if (verify_is_damage(status))
		status = M3_OK;
done:
	m3_fileset_scan_close(scan);
	if (status != M3_OK && err != NULL)
		*err = reason;
	return status;
}

M3Status
verify_volume(Verify *v, uint32_t shard, const char *directory, const M3FilesetName *name,
			  const M3FilesetHeader *header, VerifySeverity severity, M3Error *err)
{
	M3FilesetReaderOptions options = {.header = header};
	Volume		volume = {
		.v = v,.header = header,.directory = directory,.name = name,.shard = shard,
		.severity = severity,.is_counted = true
	};
	char		path[M3_FILESET_PATH_SIZE];
	bool		all_sound = true;
	M3Error		reason;
	M3Status	status;

	M3_TRY(check_files(&volume, err));
	M3_TRY(m3_fileset_path(path, directory, name, M3_FILESET_INDEX, err));
	M3_TRY(m3_fileset_reader_open(v->env, v->memory, directory, name, &options,
								  &volume.reader, err));
	M3_GOTO(verify_statistics_open(v, directory, name, header, &volume.statistics, err));
	M3_GOTO(check_entries(&volume, err));
	if (volume.hidden > 0)
		v->finding(v->context, severity, path, -1, "more findings about series are not shown",
				   "--limit 0 shows all");
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		all_sound = all_sound && volume.is_sound[i];
	if (all_sound)
	{
		memset(&reason, 0, sizeof(reason));
		status = m3_fileset_reader_validate(volume.reader, &reason);
		if (verify_is_damage(status))
		{
			verify_finding(v, severity, reason.file[0] == '\0' ? path : reason.file,
						   reason.offset,
						   consequence_of(&volume, "M3DB may refuse the volume or miss series"),
						   "%s", reason.message);
			status = M3_OK;
		}
		else if (status != M3_OK && err != NULL)
			*err = reason;
	}
done:
	m3_statistics_close(volume.statistics);
	m3_fileset_reader_close(volume.reader);
	return status;
}
