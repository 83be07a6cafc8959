/*
 * Bytes of the commit log: the vectors of spec/commitlog.md, and M3's own files.
 */
#include "check.h"
#include "log_fixture.h"

#include "storage/ident/tags.h"

static M3Env *env;

static const uint8_t example[] = {
	0x08, 0x00, 0x00, 0x00, 0x09, 0x00, 0x24, 0x00, 0x35, 0x01, 0x22, 0x06, 0x07, 0x01, 0x92, 0x07,
	0x93, 0x00, 0x00, 0x00, 0x9d, 0x00, 0x00, 0x00, 0x9e, 0x00, 0x78, 0x02, 0xf3, 0x37, 0x6c, 0x21,
	0x40, 0x01, 0x92, 0x08, 0x97, 0x01, 0xcf, 0x17, 0x97, 0x9c, 0xfe, 0x3d, 0x85, 0xcd, 0x15, 0xc4,
	0x1c, 0x01, 0x92, 0x09, 0x93, 0xc4, 0x03, 0x63, 0x70, 0x75, 0xc4, 0x01, 0x6d, 0x07, 0xc4, 0x0d,
	0x75, 0x27, 0x01, 0x00, 0x04, 0x00, 0x68, 0x6f, 0x73, 0x74, 0x01, 0x00, 0x61, 0xcf, 0x17, 0x97,
	0x9c, 0xfe, 0x36, 0x2a, 0x00, 0x00, 0xcb, 0x40, 0x45, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
	0xc0, 0x37, 0x01, 0x92, 0x08, 0x97, 0x02, 0xcf, 0x17, 0x97, 0x9c, 0xfe, 0x3d, 0x85, 0xcd, 0x15,
	0xc4, 0x10, 0x01, 0x92, 0x09, 0x93, 0xc4, 0x03, 0x6d, 0x65, 0x6d, 0xc4, 0x01, 0x6d, 0xcd, 0x01,
	0x2c, 0xc0, 0xcf, 0x17, 0x97, 0x9c, 0xfe, 0x53, 0xf7, 0x65, 0x00, 0xcb, 0xbf, 0xf0, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x02, 0xc4, 0x02, 0x68, 0x69, 0x23, 0x01, 0x92, 0x08, 0x97, 0x01, 0xcf,
	0x17, 0x97, 0x9c, 0xfe, 0x3d, 0x85, 0xcd, 0x15, 0xc0, 0xcf, 0x17, 0x97, 0x9d, 0x00, 0x8a, 0x35,
	0xe4, 0x00, 0xcb, 0x40, 0x45, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xc0
};

static void
check_file(const char *path, const void *expected, size_t size)
{
	FileBytes	bytes = fixture_read(env, path);

	CHECK_BYTES(bytes.data, bytes.size, expected, size);
	free(bytes.data);
}

static void
check_sha256(const char *path, const char *expected)
{
	char		command[700];
	char		line[128] = "";
	FILE	   *pipe;

	snprintf(command, sizeof(command), "sha256sum '%s'", path);
	pipe = popen(command, "r");
	if (pipe != NULL && fgets(line, sizeof(line), pipe) != NULL)
		CHECK(strncmp(line, expected, 64) == 0);
	else
		fprintf(stderr, "no sha256sum here: skipped\n");
	if (pipe != NULL)
		pclose(pipe);
}

static void
test_example(const char *root)
{
	M3LogInfo	info = {0, 0, 0};
	M3LogEntry	entries[3];
	M3LogWriter *writer;
	M3Error		err;
	char		path[600];

	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-0.db", root);
	fixture_example(entries);
	CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 0, &writer, &err));
	CHECK_OK(m3_log_writer_flush(writer, false, &err));
	for (int i = 0; i < 3; i++)
		CHECK_OK(m3_log_writer_add(writer, &entries[i], &err));
	entries[0].unit = 5;
	CHECK_STATUS(m3_log_writer_add(writer, &entries[0], &err), M3_INVALID);
	CHECK_OK(m3_log_writer_close(writer, &err));
	check_file(path, example, sizeof(example));
	check_sha256(path, "21ed00eed52b1eac9417b05cff5af9a13be7262a99e6191d57d7b16c9ba03990");
	unlink(path);
}

static void
test_infos(const char *root)
{
	static const struct
	{
		int64_t		index;
		size_t		size;
		uint8_t		bytes[24];
	}			vectors[] = {
		{0, 20, {8, 0, 0, 0, 9, 0, 0x24, 0, 0x35, 1, 0x22, 6, 7, 1, 0x92, 7, 0x93, 0, 0, 0}},
		{1, 20, {8, 0, 0, 0, 9, 0, 0x24, 0, 0x36, 1, 0x23, 6, 7, 1, 0x92, 7, 0x93, 0, 0, 1}},
		{127, 20, {8, 0, 0, 0, 9, 0, 0x24, 0, 0xb4, 1, 0xa1, 6, 7, 1, 0x92, 7, 0x93, 0, 0, 0x7f}},
		{128, 21, {9, 0, 0, 0, 0x0a, 0, 0x28, 0, 0x82, 2, 0x78, 9, 8, 1, 0x92, 7, 0x93, 0, 0,
			0xcc, 0x80}},
		{300, 22, {10, 0, 0, 0, 0x0b, 0, 0x2c, 0, 0x31, 2, 0x35, 0x0b, 9, 1, 0x92, 7, 0x93, 0, 0,
			0xcd, 1, 0x2c}},
	};
	char		path[600];
	M3Error		err;

	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-0.db", root);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		M3LogInfo	info = {0, 0, vectors[i].index};
		M3LogInfo	back;
		M3LogWriter *writer;

		CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 0, &writer, &err));
		CHECK_OK(m3_log_writer_close(writer, &err));
		check_file(path, vectors[i].bytes, vectors[i].size);
		CHECK_OK(m3_log_decode_info(m3_slice(vectors[i].bytes + 13, vectors[i].size - 13),
									&back, &err));
		CHECK_INT(back.index, vectors[i].index);
	}
	unlink(path);
}

/* Chunk sizes of a flush size of 64 (spec 3.1): entries of 143, 230, 39 bytes. */
static void
test_cuts(const char *root)
{
	static const uint32_t expected[] = {8, 64, 79, 64, 166, 39};
	static const size_t totals[] = {143, 230, 39};
	static const uint8_t filler[256];
	M3LogInfo	info = {0, 0, 0};
	M3LogWriter *writer;
	M3Error		err;
	char		path[600];
	FileBytes	bytes;
	size_t		offset = 0;

	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-0.db", root);
	CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 64, &writer, &err));
	CHECK_OK(m3_log_writer_flush(writer, false, &err));
	for (int i = 0; i < 3; i++)
	{
		M3LogEntry	entry = fixture_entry(1, INT64_C(1700000000123456789),
										  INT64_C(1700000000000000000), 1, 1);

		/* grown by an annotation to the wanted size */
		entry.annotation = m3_slice(filler, 0);
		while (m3_log_entry_size(&entry) < totals[i])
			entry.annotation.size++;
		CHECK_INT(m3_log_entry_size(&entry), totals[i]);
		CHECK_OK(m3_log_writer_add(writer, &entry, &err));
	}
	CHECK_OK(m3_log_writer_close(writer, &err));
	bytes = fixture_read(env, path);
	for (size_t i = 0; i < 6; i++)
	{
		uint32_t	size = 0;
		uint32_t	sum = 0;

		CHECK(offset + 12 <= bytes.size &&
			  m3_log_get_chunk_header(bytes.data + offset, &size, &sum));
		CHECK_INT(size, expected[i]);
		offset += 12 + size;
	}
	CHECK_INT(offset, bytes.size);
	free(bytes.data);
	unlink(path);
}

/* The fast way gives the bytes of the general one, and both are read back. */
static void
test_points(void)
{
	static const uint64_t indexes[] = {1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX,
		(uint64_t) UINT32_MAX + 1, UINT64_MAX};
	static const int64_t times[] = {INT64_MIN, -1, 0, 127, 70000, UINT32_MAX,
		(int64_t) UINT32_MAX + 1, INT64_C(1700000000123456789), INT64_MAX};
	M3Error		err;

	for (size_t i = 0; i < 10; i++)
		for (size_t t = 0; t < 9; t++)
			for (size_t c = 0; c < 9; c++)
			{
				M3LogEntry	entry = fixture_entry(indexes[i], times[c], times[t], -0.0, 1 + t % 4);
				M3LogEntry	back;
				M3LogStamp	stamp;
				uint8_t		fast[M3_LOG_POINT_ROOM];
				uint8_t		general[M3_LOG_POINT_ROOM];
				size_t		fast_size;
				size_t		size;

				m3_log_stamp_init(&stamp, times[c]);
				fast_size = (size_t) (m3_log_put_point(fast, &stamp, indexes[i], times[t],
													   -0.0, entry.unit) - fast);
				size = (size_t) (m3_log_put_entry(general, &entry) - general);
				CHECK_BYTES(fast, fast_size, general, size);
				CHECK_INT(m3_log_entry_size(&entry), size);
				CHECK(size <= M3_LOG_POINT_MAX_SIZE);
				CHECK_OK(m3_log_decode_entry(m3_slice(fast + 1, fast_size - 1), &back, &err));
				CHECK(back.unique_index == indexes[i] && back.time_ns == times[t] &&
					  back.create_ns == times[c] && signbit(back.value) &&
					  back.unit == entry.unit && !back.has_metadata &&
					  back.annotation.data == NULL);
			}
}

static void
test_liberal_decoding(void)
{
	/* era C1: metadata that ends behind the shard; str forms; single floats */
	static const uint8_t body[] = {
		0xff, 0xff, 8, 0xff, 0xd1, 0x00, 0x05, 0xc0,
		0xc4, 11, 1, 0x92, 9, 0x93, 0xa1, 'i', 0xd9, 2, 'n', 's', 3,
		0xd3, 0, 0, 0, 0, 0, 0, 0, 9, 0xca, 0x3f, 0x80, 0, 0, 0xce, 0, 1, 0, 2, 0xc4, 0, 0x77
	};
	uint8_t		broken[sizeof(body)];
	M3LogEntry	entry;
	M3LogInfo	info;
	M3Error		err;
	static const uint8_t legacy[] = {1, 0x94, 7, 0x95, 0xcf, 0x17, 0x97, 0x9c, 0xfe, 0x36, 0x2a,
		0, 0, 0xcd, 3, 0x84, 2, 0xc0, 0x91, 1};

	CHECK_OK(m3_log_decode_entry(m3_slice(body, sizeof(body)), &entry, &err));
	CHECK_INT(entry.unique_index, 5);
	CHECK_INT(entry.create_ns, 0);
	CHECK(entry.has_metadata);
	CHECK(m3_slice_equal(entry.metadata.id, m3_slice_cstr("i")));
	CHECK(m3_slice_equal(entry.metadata.namespace, m3_slice_cstr("ns")));
	CHECK_INT(entry.metadata.shard, 3);
	CHECK_INT(entry.metadata.tags.size, 0);
	CHECK_INT(entry.time_ns, 9);
	CHECK(entry.value == 1.0);
	CHECK_INT(entry.unit, 2);	/* kept in 16 bits */
	CHECK(entry.annotation.data != NULL && entry.annotation.size == 0);
	for (size_t size = 0; size < sizeof(body) - 1; size++)
		CHECK_STATUS(m3_log_decode_entry(m3_slice(body, size), &entry, &err), M3_CORRUPT);
	memcpy(broken, body, sizeof(body));
	broken[2] = 9;
	CHECK_STATUS(m3_log_decode_entry(m3_slice(broken, sizeof(body)), &entry, &err), M3_CORRUPT);
	memcpy(broken, body, sizeof(body));
	broken[12] = 8;
	CHECK_STATUS(m3_log_decode_entry(m3_slice(broken, sizeof(body)), &entry, &err), M3_CORRUPT);

	CHECK_OK(m3_log_decode_info(m3_slice(legacy, sizeof(legacy)), &info, &err));
	CHECK_INT(info.start_ns, INT64_C(1700000000000000000));
	CHECK_INT(info.duration_ns, 900);
	CHECK_INT(info.index, 2);
	CHECK_STATUS(m3_log_decode_info(m3_slice(legacy, 16), &info, &err), M3_CORRUPT);
}

/* M3's files */

/* The next field of a csv line, unquoted, into out. */
static const char *
csv_field(const char *line, char *out)
{
	bool		quoted = *line == '"';

	line += quoted;
	while (*line != '\0' && *line != '\n' && *line != '\r' && (quoted || *line != ','))
	{
		if (quoted && *line == '"')
		{
			if (line[1] != '"')
			{
				line++;
				break;
			}
			line++;
		}
		*out++ = *line++;
	}
	*out = '\0';
	return *line == ',' ? line + 1 : line;
}

static void
tags_as_json(M3Slice tags, char *out)
{
	M3TagIterator iterator;
	M3Tag		tag;
	M3Error		err;
	const char *separator = "";

	out += sprintf(out, "{");
	CHECK_OK(m3_tag_iterator_init(&iterator, tags, &err));
	while (m3_tag_next(&iterator, &tag))
	{
		out += sprintf(out, "%s\"%.*s\":\"%.*s\"", separator, (int) tag.name.size,
					   (const char *) tag.name.data, (int) tag.value.size,
					   (const char *) tag.value.data);
		separator = ",";
	}
	sprintf(out, "}");
}

static void
base64(M3Slice bytes, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < bytes.size; i += 3)
	{
		size_t		left = bytes.size - i;
		uint32_t	group = (uint32_t) bytes.data[i] << 16 |
			(left > 1 ? (uint32_t) bytes.data[i + 1] << 8 : 0) |
			(left > 2 ? bytes.data[i + 2] : 0);

		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = left > 1 ? digits[group >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[group & 63] : '=';
	}
	*out = '\0';
}

static void
check_golden_entry(FILE *csv, int log, int position, const M3LogRecord *record)
{
	static char line[8192];
	static char fields[12][4096];
	char		text[4096];
	const char *p = line;

	if (!CHECK(fgets(line, sizeof(line), csv) != NULL))
		return;
	for (int i = 0; i < 12; i++)
		p = csv_field(p, fields[i]);
	CHECK_INT(atoi(fields[0]), log);
	CHECK_INT(atoi(fields[1]), position);
	CHECK_INT(strtoull(fields[2], NULL, 10), record->series->unique_index);
	CHECK_INT(atoi(fields[3]), record->series->metadata.shard);
	CHECK(m3_slice_equal(m3_slice_cstr(fields[4]), record->series->metadata.namespace));
	CHECK(m3_slice_equal(m3_slice_cstr(fields[5]), record->series->metadata.id));
	tags_as_json(record->series->metadata.tags, text);
	CHECK(strcmp(fields[6], text) == 0 || (fields[6][0] == '\0' && strcmp(text, "{}") == 0));
	CHECK_INT(strtoll(fields[7], NULL, 10), record->time_ns);
	CHECK_INT(strtoull(fields[9], NULL, 16), m3_double_bits(record->value));
	CHECK(strcmp(fields[10], m3_unit_name(record->unit)) == 0);
	base64(record->annotation, text);
	CHECK(strcmp(fields[11], text) == 0);
}

/* Decodes and encodes each message of a file again, and flushes where M3 did:
 * the file must be the same, byte by byte. */
static void
check_rewriting(const char *path, const char *copy_path)
{
	FileBytes	bytes = fixture_read(env, path);
	M3LogInfo	info;
	M3LogWriter *writer = NULL;
	M3Error		err;

	for (size_t chunk = 0; chunk < bytes.size;)
	{
		uint32_t	size;
		uint32_t	sum;
		size_t		position = chunk + 12;

		CHECK(m3_log_get_chunk_header(bytes.data + chunk, &size, &sum));
		chunk += 12 + size;
		while (position < chunk)
		{
			uint64_t	length = 0;
			M3LogEntry	entry;
			M3Slice		body;

			position += m3_get_uvarint(bytes.data + position, chunk - position, &length);
			body = m3_slice(bytes.data + position, length);
			position += length;
			if (writer == NULL)
			{
				CHECK_OK(m3_log_decode_info(body, &info, &err));
				CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, copy_path, &info, 65536,
											&writer, &err));
				continue;
			}
			CHECK_OK(m3_log_decode_entry(body, &entry, &err));
			CHECK_OK(m3_log_writer_add(writer, &entry, &err));
		}
		CHECK_INT(position, chunk);
		CHECK_OK(m3_log_writer_flush(writer, false, &err));
	}
	CHECK_OK(m3_log_writer_close(writer, &err));
	check_file(copy_path, bytes.data, bytes.size);
	unlink(copy_path);
	free(bytes.data);
}

static void
test_golden(const char *root)
{
	const char *data = getenv("M3_TEST_DATA");
	char		path[600];
	char		copy_path[600];
	char		line[8192];
	FILE	   *csv;
	M3Error		err;

	snprintf(path, sizeof(path), "%s/m3db/commitlog/entries.csv", data ? data : "test/data");
	csv = fopen(path, "r");
	if (!CHECK(csv != NULL) || !CHECK(fgets(line, sizeof(line), csv) != NULL))
		return;
	snprintf(copy_path, sizeof(copy_path), "%s/commitlogs/copy.db", root);
	for (int log = 0; log <= 7; log++)
	{
		M3LogReader *reader;
		M3LogRecord record;
		M3LogEnd	end;
		M3Status	status;
		int			position = 0;

		snprintf(path, sizeof(path), "%s/m3db/commitlog/commitlogs/commitlog-0-%d.db",
				 data ? data : "test/data", log);
		CHECK_OK(m3_log_reader_open(env, &m3_memory_malloc, path, NULL, &reader, &err));
		CHECK_INT(m3_log_reader_info(reader)->index, log);
		while ((status = m3_log_reader_next(reader, &record, &err)) == M3_OK)
			check_golden_entry(csv, log, position++, &record);
		CHECK_STATUS(status, M3_NOT_FOUND);
		m3_log_reader_end(reader, &end);
		CHECK_INT(end.kind, M3_LOG_END_CLEAN);
		CHECK_INT(end.valid_size, end.file_size);
		CHECK_INT(end.entries, position);
		m3_log_reader_close(reader);
		check_rewriting(path, copy_path);
	}
	CHECK(fgets(line, sizeof(line), csv) == NULL);
	fclose(csv);
}

int
main(void)
{
	char		root[256];

	env = m3_env_posix_create(0);
	fixture_root(env, root, sizeof(root));
	test_example(root);
	test_infos(root);
	test_cuts(root);
	test_points();
	test_liberal_decoding();
	test_golden(root);
	fixture_remove_root(env, root);
	m3_env_posix_destroy(env);
	return check_report();
}
