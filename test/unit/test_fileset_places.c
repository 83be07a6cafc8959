/*
 * Lookups that go through the table of all entries say what those without say: of series that
 * are there and of others, also such whose hashes are the same.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/hash.h"
#include "storage/fileset/reader_private.h"

#define SERIES 3000
#define HASHED 400000

static const M3FilesetName name = {FIXTURE_START, 0, false};
static char directory[M3_FILESET_PATH_SIZE];

typedef struct Hashed
{
	uint32_t	hash;			/* what the table keeps */
	uint32_t	number;
} Hashed;

static int
compare_hashed(const void *a, const void *b)
{
	uint32_t	x = ((const Hashed *) a)->hash;
	uint32_t	y = ((const Hashed *) b)->hash;

	return (x > y) - (x < y);
}

/* "t<number>"; t is after the s of other series. */
static M3Slice
twin_id(uint32_t number, char *text)
{
	snprintf(text, 32, "t%08u", number);
	return m3_slice_cstr(text);
}

/* Pairs of ids that the table cannot tell apart, but for the place where it begins to look. */
static size_t
find_twins(uint32_t (*twins)[2], size_t capacity)
{
	Hashed	   *all = malloc(HASHED * sizeof(*all));
	size_t		count = 0;

	for (uint32_t i = 0; i < HASHED; i++)
	{
		char		text[32];
		M3Slice		id = twin_id(i, text);

		all[i].hash = (uint32_t) (m3_xxh64(id.data, id.size) >> 32);
		all[i].number = i;
	}
	qsort(all, HASHED, sizeof(*all), compare_hashed);
	for (uint32_t i = 1; i < HASHED && count < capacity; i++)
	{
		if (all[i].hash != all[i - 1].hash)
			continue;
		twins[count][0] = all[i - 1].number;
		twins[count++][1] = all[i].number;
	}
	free(all);
	return count;
}

static void
write_fileset(uint32_t (*twins)[2], size_t twin_count, int series)
{
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;

	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < series; i++)
		CHECK_OK(add_series(writer, i));
	for (size_t i = 0; i < twin_count; i++)
	{
		char		text[32];

		CHECK_OK(add_text(writer, (const char *) twin_id(twins[i][0], text).data, "twin"));
	}
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

/* The first asked, of which so many are there. */
static void
look_up_all(M3FilesetReader *reader, int series, int asked)
{
	for (int i = 0; i < asked; i++)
	{
		char		id[256];
		char		text[256];
		uint8_t		tags[256];
		size_t		tags_size;
		M3FilesetEntry entry;
		M3Slice		payload;
		M3Status	status;

		make_series(i, id, tags, &tags_size, text);
		status = m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err);
		if (i >= series)
		{
			CHECK_STATUS(status, M3_NOT_FOUND);
			continue;
		}
		CHECK_OK(status);
		CHECK(m3_slice_equal(entry.id, m3_slice_cstr(id)) && entry.ordinal == i &&
			  m3_slice_equal(entry.tags, m3_slice(tags, tags_size)));
		CHECK_OK(m3_fileset_reader_data(reader, &entry, &payload, &err));
		CHECK(m3_slice_equal(payload, m3_slice_cstr(text)));
	}
}

static void
test_lookups(M3FilesetAccess access, int series)
{
	uint32_t	twins[8][2];
	size_t		twin_count = series == 0 ? 0 : find_twins(twins, 8);
	M3FilesetReaderOptions options = {.access = access};
	M3FilesetReader *reader;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	int			scanned = 0;

	snprintf(directory, sizeof(directory), "%s/%d-%d", scratch, access, series);
	write_fileset(twins, twin_count, series);
	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, &options, &reader,
									&err));
	look_up_all(reader, series, series + 100);
	CHECK(reader->places != NULL);
	CHECK(series == 0 || twin_count >= 2);
	for (size_t i = 0; i < twin_count; i++)
	{
		char		text[32];

		CHECK_OK(m3_fileset_lookup(reader, twin_id(twins[i][0], text), false, &entry, &err));
		CHECK_STATUS(m3_fileset_lookup(reader, twin_id(twins[i][1], text), false, &entry, &err),
					 M3_NOT_FOUND);
	}
	look_up_all(reader, series, series + 100);
	/* a scan goes on beside them */
	CHECK_OK(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, &err));
	while (m3_fileset_scan_next(scan, &entry, &err) == M3_OK)
	{
		scanned++;
		if (scanned % 500 == 0)
			look_up_all(reader, series, 3);
	}
	CHECK_INT(scanned, series + (int) twin_count);
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
}

/* Where the place at which the search begins is the same as well, only ids tell. */
static void
test_same_place(void)
{
	M3FilesetReader *reader;
	M3FilesetEntry entry;

	strcpy(directory, in_scratch("place"));
	write_fileset(NULL, 0, 50);
	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, NULL, &reader,
									&err));
	look_up_all(reader, 50, 150);
	for (int i = 0; i < 1000; i++)
	{
		char		text[32];
		M3Slice		id = twin_id((uint32_t) i, text);
		uint64_t	hash = m3_xxh64(id.data, id.size);
		M3Place    *place = &reader->places[hash & (reader->place_count - 1)];

		/* as if an entry had this hash */
		if (place->offset != UINT32_MAX)
			place->hash = (uint32_t) (hash >> 32);
		CHECK_STATUS(m3_fileset_lookup(reader, id, false, &entry, &err), M3_NOT_FOUND);
	}
	m3_fileset_reader_close(reader);
}

/* Without a sound index there is no table, and damage is found where it is. */
static void
test_damaged(void)
{
	M3FilesetReader *reader;
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	uint8_t    *bytes;
	int			found = 0;
	int			errors = 0;

	strcpy(directory, in_scratch("damaged"));
	write_fileset(NULL, 0, 500);
	CHECK_OK(m3_fileset_path(path, directory, &name, M3_FILESET_INDEX, &err));
	bytes = slurp(path, &size);
	bytes[size / 2] ^= 1;
	spew(path, bytes, size);
	free(bytes);
	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, NULL, &reader,
									&err));
	for (int i = 0; i < 500; i++)
	{
		char		id[256];
		char		text[256];
		uint8_t		tags[256];
		size_t		tags_size;
		M3FilesetEntry entry;
		M3Status	status;

		make_series(i, id, tags, &tags_size, text);
		status = m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err);
		CHECK(status == M3_OK || status == M3_CORRUPT);
		found += status == M3_OK;
		errors += status == M3_CORRUPT;
	}
	CHECK(reader->places == NULL);
	CHECK(found > 400 && errors > 0);
	m3_fileset_reader_close(reader);
}

int
main(void)
{
	fixture_begin();
	test_lookups(M3_FILESET_PREAD, SERIES);
	test_lookups(M3_FILESET_MAP, SERIES);
	test_lookups(M3_FILESET_PREAD, 1);
	test_lookups(M3_FILESET_PREAD, 0);
	test_same_place();
	test_damaged();
	return fixture_end();
}
