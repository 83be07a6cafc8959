/*
 * The writer: order of the input does not matter to the result, limits, two
 * phases, failures; lookups in filesets of every size.
 */
#include "test/unit/fileset_fixture.h"

static const M3FilesetName fixture_name = {FIXTURE_START, 0, false};

static void
write_series(const char *directory, int count, bool sorted, size_t memory, double p)
{
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;

	options.sorted = sorted;
	options.sort_memory_size = memory;
	options.bloom_false_positive = p;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < count; i++)
		CHECK_OK(add_series(writer, i));
	CHECK_INT(m3_fileset_writer_count(writer), count);
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	for (int i = 0; i < M3_FILESET_CHECKPOINT; i++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		size_t		size;

		CHECK_OK(m3_fileset_path(path, directory, &fixture_name, (M3FilesetFile) i, &err));
		free(slurp(path, &size));
		CHECK_INT(m3_fileset_writer_sizes(writer)[i], size);
	}
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

static void
check_lookups(const char *directory, int count, double p, M3FilesetAccess access)
{
	M3FilesetReaderOptions options = {.access = access,.validate = true};
	M3FilesetReader *reader;
	int			maybe_count = 0;

	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &fixture_name, &options,
									&reader, &err));
	for (int i = -1; i <= count; i++)
	{
		char		id[256];
		char		payload[256];
		uint8_t		tags[256];
		size_t		tags_size;
		M3FilesetEntry entry;
		M3Slice		data;
		bool		maybe;
		M3Status	status;

		make_series(i < 0 ? 0 : i, id, tags, &tags_size, payload);
		if (i < 0)
			id[0] = 'a';
		status = m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err);
		if (i < 0 || i == count)
		{
			CHECK_STATUS(status, M3_NOT_FOUND);
			CHECK_STATUS(m3_fileset_lookup(reader, m3_slice_cstr(id), true, &entry, &err),
						 M3_NOT_FOUND);
			continue;
		}
		CHECK_OK(status);
		CHECK(m3_slice_equal(entry.tags, m3_slice(tags, tags_size)));
		CHECK_OK(m3_fileset_reader_data(reader, &entry, &data, &err));
		CHECK(m3_slice_equal(data, m3_slice_cstr(payload)));
		id[3] = '!';
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice_cstr(id), true, &entry, &err),
					 M3_NOT_FOUND);
		CHECK_OK(m3_fileset_may_contain(reader, m3_slice_cstr(id), &maybe, &err));
		maybe_count += maybe;
	}
	CHECK(maybe_count <= 3 + count * p * 2);
	if (p > 0.1)
		CHECK(maybe_count > count * p / 2);
	m3_fileset_reader_close(reader);
}

static void
test_sizes(void)
{
	static const int counts[] = {1, 2, 32, 33, 34, 66, 67, 500, 3000};
	char		sorted[M3_FILESET_PATH_SIZE];
	char		spooled[M3_FILESET_PATH_SIZE];

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		strcpy(sorted, in_scratch("sorted"));
		strcpy(spooled, in_scratch("spooled"));
		write_series(sorted, counts[i], true, 0, 0);
		check_lookups(sorted, counts[i], 0.02, M3_FILESET_PREAD);
		check_lookups(sorted, counts[i], 0.02, M3_FILESET_MAP);
		for (size_t memory = 1; memory <= 1000000; memory *= 1000)
		{
			write_series(spooled, counts[i], false, memory, 0);
			CHECK(same_files(sorted, &fixture_name, spooled, &fixture_name));
			fixture_remove(spooled);
		}
		fixture_remove(sorted);
	}
	write_series(sorted, 200, true, 0, 0.3);
	check_lookups(sorted, 200, 0.3, M3_FILESET_MAP);	/* readers take m and k from info */
	fixture_remove(sorted);
}

/* Write order decides ordinals and data; ids decide the index. */
static void
test_reverse_order(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;
	M3FilesetReader *reader;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Status	status;
	int			next = 999;

	strcpy(directory, in_scratch("reverse"));
	options.sort_memory_size = 3000;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 999; i >= 0; i--)
		CHECK_OK(add_series(writer, i));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);

	check_lookups(directory, 1000, 0.02, M3_FILESET_PREAD);
	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &fixture_name, NULL,
									&reader, &err));
	CHECK_OK(m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, &err));
	while ((status = m3_fileset_scan_next(scan, &entry, &err)) == M3_OK)
	{
		char		id[256];
		char		payload[256];
		uint8_t		tags[256];
		size_t		tags_size;

		make_series(next--, id, tags, &tags_size, payload);
		CHECK_INT(entry.ordinal, 998 - next);
		CHECK(m3_slice_equal(entry.id, m3_slice_cstr(id)));
	}
	CHECK_STATUS(status, M3_NOT_FOUND);
	CHECK_INT(next, -1);
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
	fixture_remove(directory);
}

/* A failed writer leaves nothing, and refuses to go on. */
static void
test_bad_series(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(directory);
	static const struct
	{
		bool		sorted;
		const char *second;
		M3Status	at_add;
		M3Status	at_finish;
	}			cases[] = {
		{true, "b", M3_CONFLICT, M3_INVALID}, {true, "a", M3_INVALID, M3_INVALID},
		{false, "b", M3_OK, M3_CONFLICT}, {false, "a", M3_OK, M3_OK}
	};

	strcpy(directory, in_scratch("bad"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		for (size_t memory = 1; memory <= 100000; memory *= 100000)
		{
			M3FilesetWriter *writer;
			M3FilesetList list;

			options.sorted = cases[i].sorted;
			options.sort_memory_size = memory;
			CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
			CHECK_OK(add_text(writer, "b", "one"));
			CHECK_STATUS(add_text(writer, cases[i].second, "two"), cases[i].at_add);
			CHECK_STATUS(m3_fileset_writer_finish(writer, &err), cases[i].at_finish);
			CHECK_STATUS(add_text(writer, "z", "late"), M3_INVALID);
			if (cases[i].at_finish != M3_OK)
				CHECK_STATUS(m3_fileset_writer_publish(writer, &err), M3_INVALID);
			m3_fileset_writer_free(writer);
			CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
			CHECK_INT(list.count, 0);
			m3_fileset_list_free(&list);
		}
	}
}

static void
test_limits(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;
	M3FilesetReader *reader;
	M3FilesetReaderOptions full = {.validate = true};
	M3FilesetEntry entry;
	size_t		size = 5 * 1024 * 1024;
	uint8_t    *big = malloc(size);
	M3Slice		payload = m3_slice(big, size);
	M3Slice		huge[2] = {m3_slice(big, UINT32_MAX), m3_slice(big, 1)};

	strcpy(directory, in_scratch("limits"));
	memset(big, 'i', size);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice(big, size), m3_slice(NULL, 0), &payload, 1,
								   &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice(NULL, 0), m3_slice(NULL, 0), &payload, 1,
								   &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice(big, size - 1), m3_slice(NULL, 0), &payload,
								   1, &err));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &fixture_name, &full,
									&reader, &err));
	CHECK_OK(m3_fileset_lookup(reader, m3_slice(big, size), false, &entry, &err));
	CHECK_INT(entry.ordinal, 0);
	CHECK_OK(m3_fileset_lookup(reader, m3_slice(NULL, 0), false, &entry, &err));
	CHECK_INT(entry.ordinal, 1);
	CHECK_OK(m3_fileset_lookup(reader, m3_slice(big, size - 1), false, &entry, &err));
	CHECK_INT(entry.ordinal, 2);
	CHECK_STATUS(m3_fileset_lookup(reader, m3_slice(big, size - 2), true, &entry, &err),
				 M3_NOT_FOUND);
	m3_fileset_reader_close(reader);

	options.volume = 1;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_STATUS(m3_fileset_writer_add(writer, m3_slice_cstr("x"), m3_slice(NULL, 0), huge, 2,
									   &err), M3_INVALID);
	m3_fileset_writer_free(writer);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_STATUS(m3_fileset_writer_add(writer, m3_slice_cstr("x"), m3_slice("u'\1\0", 4),
									   &payload, 1, &err), M3_INVALID);
	m3_fileset_writer_free(writer);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_STATUS(m3_fileset_writer_add(writer, m3_slice(big, 40 << 20), m3_slice(NULL, 0),
									   &payload, 1, &err), M3_INVALID);
	m3_fileset_writer_free(writer);
	free(big);

	options.block_size_ns = 0;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
	options.block_size_ns = INT64_MAX;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
	options.block_size_ns = FIXTURE_SIZE;
	options.volume = -1;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
	options.volume = 1;
	options.bloom_false_positive = 1;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
	fixture_remove(directory);
}

static bool
complete(const char *directory, const M3FilesetName *name)
{
	bool		is_complete;

	CHECK_OK(m3_fileset_is_complete(env, directory, name, &is_complete, &err));
	return is_complete;
}

static void
test_two_phases(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;
	M3FilesetWriter *second;
	M3FilesetHeader header;
	const M3FilesetName legacy = {FIXTURE_START, 0, true};
	char		path[M3_FILESET_PATH_SIZE];

	strcpy(directory, in_scratch("root/data/ns/0"));
	options.no_sync = false;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(add_text(writer, "a", "1"));
	CHECK_STATUS(m3_fileset_writer_publish(writer, &err), M3_INVALID);
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK(!complete(directory, &fixture_name));
	CHECK_STATUS(m3_fileset_read_header(env, directory, &fixture_name, &header, &err),
				 M3_NOT_FOUND);

	/* given up: gone without a trace */
	m3_fileset_writer_free(writer);
	CHECK_OK(m3_fileset_path(path, directory, &fixture_name, M3_FILESET_DATA, &err));
	CHECK(!exists(path));

	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(add_text(writer, "a", "1"));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	CHECK_STATUS(m3_fileset_writer_publish(writer, &err), M3_INVALID);
	m3_fileset_writer_free(writer);
	CHECK(complete(directory, &fixture_name));
	CHECK_OK(m3_fileset_read_header(env, directory, &fixture_name, &header, &err));
	CHECK_INT(header.info.entry_count, 1);

	/* a complete volume is not touched, nor a legacy one replaced */
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &second, &err),
				 M3_CONFLICT);
	CHECK(exists(path));
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		char		old_path[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_path(old_path, directory, &fixture_name, (M3FilesetFile) i, &err));
		CHECK_OK(m3_fileset_path(path, directory, &legacy, (M3FilesetFile) i, &err));
		CHECK_INT(rename(old_path, path), 0);
	}
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &second, &err),
				 M3_CONFLICT);
	CHECK_OK(m3_fileset_read_header(env, directory, &legacy, &header, &err));

	/* leftovers without a whole checkpoint are replaced */
	CHECK_OK(m3_fileset_path(path, directory, &legacy, M3_FILESET_CHECKPOINT, &err));
	spew(path, "123", 3);
	CHECK_OK(m3_fileset_path(path, directory, &fixture_name, M3_FILESET_CHECKPOINT, &err));
	spew(path, "", 0);
	CHECK_OK(m3_fileset_path(path, directory, &fixture_name, M3_FILESET_INDEX, &err));
	spew(path, "rubbish that is longer than what replaces it will be, by some bytes or more", 70);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(m3_fileset_path(path, directory, &fixture_name, M3_FILESET_CHECKPOINT, &err));
	CHECK(!exists(path));
	CHECK_OK(add_text(writer, "a", "1"));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
	check_lookups(directory, 0, 0.02, M3_FILESET_PREAD);
}

int
main(void)
{
	fixture_begin();
	test_sizes();
	test_reverse_order();
	test_bad_series();
	test_limits();
	test_two_phases();
	return fixture_end();
}
