/*
 * Every file of a small fileset cut at every byte, with every bit flipped, and missing:
 * what is damaged is either reported or does not matter; nothing read is
 * ever anything but what was written.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/fileset/metadata.h"

#define SERIES 70				/* three summaries */

static const M3FilesetName name = {FIXTURE_START, 0, false};
static char directory[M3_FILESET_PATH_SIZE];

typedef struct Outcome
{
	bool		opened;
	int			found;			/* series read back whole */
	int			missing;		/* said not to exist */
	int			errors;
	int			scanned;
	bool		scan_error;
} Outcome;

static bool
is_written(const M3FilesetEntry *entry, M3Slice payload, int i)
{
	char		id[256];
	char		text[256];
	uint8_t		tags[256];
	size_t		tags_size;

	make_series(i, id, tags, &tags_size, text);
	return m3_slice_equal(entry->id, m3_slice_cstr(id)) &&
		m3_slice_equal(entry->tags, m3_slice(tags, tags_size)) &&
		m3_slice_equal(payload, m3_slice_cstr(text));
}

static void
use(M3FilesetReader *reader, Outcome *outcome)
{
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Slice		payload;
	M3Status	status;

	for (int i = 0; i < SERIES; i++)
	{
		char		id[256];
		char		text[256];
		uint8_t		tags[256];
		size_t		tags_size;

		make_series(i, id, tags, &tags_size, text);
		status = m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err);
		if (status == M3_OK)
			status = m3_fileset_reader_data(reader, &entry, &payload, &err);
		if (status == M3_OK && CHECK(is_written(&entry, payload, i)))
			outcome->found++;
		else if (status == M3_NOT_FOUND)
			outcome->missing++;
		else
			outcome->errors++;
	}
	status = m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, &err);
	outcome->scan_error = status != M3_OK;
	if (status != M3_OK)
		return;
	while ((status = m3_fileset_scan_next(scan, &entry, &err)) == M3_OK)
	{
		status = m3_fileset_reader_data(reader, &entry, &payload, &err);
		if (status != M3_OK)
			outcome->scan_error = true;
		else if (CHECK(is_written(&entry, payload, (int) entry.ordinal)))
			outcome->scanned++;
	}
	outcome->scan_error = outcome->scan_error || status != M3_NOT_FOUND;
	m3_fileset_scan_close(scan);
}

static Outcome
try_fileset(M3FilesetAccess access, bool validate)
{
	M3FilesetReaderOptions options = {.access = access,.validate = validate};
	M3FilesetReader *reader;
	Outcome		outcome = {0};

	if (m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, &options, &reader,
							   &err) == M3_OK)
	{
		outcome.opened = true;
		use(reader, &outcome);
		m3_fileset_reader_close(reader);
	}
	return outcome;
}

/* Damage of any kind in one file; what a reader may then say. */
static void
check_damaged(M3FilesetFile file, const char *what, size_t at, M3FilesetAccess access)
{
	Outcome		lazy = try_fileset(access, false);
	bool		in_header = file == M3_FILESET_INFO || file >= M3_FILESET_DIGEST;
	bool		ok = !try_fileset(access, true).opened;

	/* nothing is silently lost; M3's lookups do not report what the bloom filter hides,
	 * ours check the filter first */
	ok = ok && lazy.opened == !in_header && lazy.missing == 0;
	if (file == M3_FILESET_BLOOM || file == M3_FILESET_SUMMARIES)
		ok = ok && lazy.errors == SERIES && lazy.scanned == SERIES && !lazy.scan_error;
	/* bytes that no entry speaks of are found by full validation only */
	if (file == M3_FILESET_INDEX ||
		(file == M3_FILESET_DATA && strcmp(what, "longer") != 0))
		ok = ok && lazy.scan_error;
	if (file == M3_FILESET_DATA && strcmp(what, "flip") == 0)
		ok = ok && lazy.found == SERIES - 1 && lazy.scanned == SERIES - 1;
	if (!CHECK(ok))
		fprintf(stderr, "    %s %s at %zu: opened %d found %d missing %d errors %d scanned %d "
				"scan error %d\n", m3_fileset_suffix(file), what, at, lazy.opened, lazy.found,
				lazy.missing, lazy.errors, lazy.scanned, lazy.scan_error);
}

static void
damage_file(M3FilesetFile file, bool dense)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	uint8_t    *bytes;
	uint8_t    *copy;
	size_t		step = dense ? 1 : 7;

	CHECK_OK(m3_fileset_path(path, directory, &name, file, &err));
	bytes = slurp(path, &size);
	copy = malloc(size + 1);
	memcpy(copy, bytes, size);
	for (size_t cut = 0; cut < size; cut++)
	{
		spew(path, bytes, cut);
		check_damaged(file, "cut", cut, cut % 2 ? M3_FILESET_MAP : M3_FILESET_PREAD);
	}
	copy[size] = 0;
	spew(path, copy, size + 1);
	check_damaged(file, "longer", size, M3_FILESET_PREAD);
	for (size_t bit = 0; bit < size * 8; bit += step)
	{
		copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
		spew(path, copy, size);
		check_damaged(file, "flip", bit, bit % 3 ? M3_FILESET_MAP : M3_FILESET_PREAD);
		copy[bit / 8] = bytes[bit / 8];
	}
	remove(path);
	check_damaged(file, "missing", 0, M3_FILESET_PREAD);
	spew(path, bytes, size);
	free(copy);
	free(bytes);
}

static void
test_damage(void)
{
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;
	Outcome		sound;

	strcpy(directory, in_scratch("damage"));
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < SERIES; i++)
		CHECK_OK(add_series(writer, i));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
	sound = try_fileset(M3_FILESET_PREAD, true);
	CHECK_INT(sound.found, SERIES);
	CHECK_INT(sound.scanned, SERIES);
	CHECK(!sound.scan_error);

	for (int file = 0; file < M3_FILESET_FILE_COUNT; file++)
		damage_file((M3FilesetFile) file,
					file != M3_FILESET_INDEX && file != M3_FILESET_DATA);
}

/* The same name, another block: what info says must agree. */
static void
test_renamed(void)
{
	M3FilesetName other = {FIXTURE_START, 5, false};
	M3FilesetHeader header;

	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		char		from[M3_FILESET_PATH_SIZE];
		char		to[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_path(from, directory, &name, (M3FilesetFile) i, &err));
		CHECK_OK(m3_fileset_path(to, directory, &other, (M3FilesetFile) i, &err));
		CHECK_INT(rename(from, to), 0);
	}
	CHECK_STATUS(m3_fileset_read_header(env, directory, &other, &header, &err), M3_CORRUPT);
	CHECK_STATUS(m3_fileset_read_header(env, directory, &name, &header, &err), M3_NOT_FOUND);
}

static void
test_metadata_damage(void)
{
	M3SnapshotMetadata metadata = {
		.index = 7,.log_index = 9,.log_path = m3_slice_cstr("/x/commitlogs/commitlog-0-9.db")
	};
	M3SnapshotMetadata back;
	M3SnapshotMetadataName pair = {.index = 7};
	uint8_t		buffer[M3_SNAPSHOT_METADATA_MAX_SIZE];

	CHECK_OK(m3_snapshot_metadata_write(env, scratch, &metadata, &err));
	for (int checkpoint = 0; checkpoint < 2; checkpoint++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		size_t		size;
		uint8_t    *bytes;

		CHECK_OK(m3_snapshot_metadata_path(path, scratch, &pair, checkpoint, &err));
		bytes = slurp(path, &size);
		for (size_t cut = 0; cut < size; cut++)
		{
			spew(path, bytes, cut);
			CHECK_STATUS(m3_snapshot_metadata_read(env, scratch, &pair, buffer, &back, &err),
						 checkpoint ? M3_NOT_FOUND : M3_CORRUPT);
		}
		for (size_t bit = 0; bit < size * 8; bit++)
		{
			bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
			spew(path, bytes, size);
			CHECK_STATUS(m3_snapshot_metadata_read(env, scratch, &pair, buffer, &back, &err),
						 M3_CORRUPT);
			/* the body alone must not upset the decoder either */
			if (!checkpoint)
				(void) m3_snapshot_metadata_decode(m3_slice(bytes, size), &back, &err);
			bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		remove(path);
		CHECK_STATUS(m3_snapshot_metadata_read(env, scratch, &pair, buffer, &back, &err),
					 checkpoint ? M3_NOT_FOUND : M3_CORRUPT);
		spew(path, bytes, size);
		free(bytes);
	}
	CHECK_OK(m3_snapshot_metadata_read(env, scratch, &pair, buffer, &back, &err));
	CHECK(m3_slice_equal(back.log_path, metadata.log_path));
}

int
main(void)
{
	fixture_begin();
	test_damage();
	test_renamed();
	test_metadata_damage();
	return fixture_end();
}
