/*
 * What the reader makes of damage: the class of end, and that nothing before
 * it is lost (spec/commitlog.md 10).
 */
#include "check.h"
#include "log_fixture.h"

static M3Env *env;
static char path[600];

typedef struct Outcome
{
	M3Status	open_status;
	size_t		count;
	int64_t		times[64];
	M3LogEnd	end;
} Outcome;

static Outcome
read_file(const char *name)
{
	Outcome		outcome;
	M3LogReader *reader;
	M3LogRecord record;
	M3Error		err;
	M3Status	status;

	memset(&outcome, 0, sizeof(outcome));
	outcome.open_status = m3_log_reader_open(env, &m3_memory_malloc, name, NULL, &reader, &err);
	if (outcome.open_status != M3_OK)
		return outcome;
	while ((status = m3_log_reader_next(reader, &record, &err)) == M3_OK)
		if (outcome.count < 64)
			outcome.times[outcome.count++] = record.time_ns;
	CHECK_STATUS(status, M3_NOT_FOUND);
	CHECK_STATUS(m3_log_reader_next(reader, &record, &err), M3_NOT_FOUND);
	m3_log_reader_end(reader, &outcome.end);
	CHECK(outcome.end.valid_size <= outcome.end.file_size);
	CHECK((outcome.end.kind == M3_LOG_END_CLEAN) ==
		  (outcome.end.valid_size == outcome.end.file_size));
	m3_log_reader_close(reader);
	return outcome;
}

static Outcome
read_bytes(const void *data, size_t size)
{
	fixture_write(env, path, data, size);
	return read_file(path);
}

/* A log as M3 cuts it with a small flush size: several chunks of one to three
 * entries, and one entry that straddles two chunks. */
#define SAMPLE_ENTRIES 9

typedef struct Sample
{
	FileBytes	bytes;
	size_t		chunk_count;
	size_t		chunk_start[32];
	size_t		chunk_end[32];
	size_t		entries_before[32]; /* complete when the chunk is not there */
	bool		ends_message[32];
} Sample;

static Sample
make_sample(void)
{
	static const uint8_t filler[300];
	Sample		sample;
	M3LogInfo	info = {0, 0, 3};
	M3LogWriter *writer;
	M3Error		err;
	uint64_t	left = 0;
	size_t		entries = 0;

	memset(&sample, 0, sizeof(sample));
	CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 150, &writer, &err));
	for (int i = 0; i < SAMPLE_ENTRIES; i++)
	{
		M3LogEntry	entry = fixture_entry(1 + (uint64_t) (i & 1), INT64_C(1700000000000000000),
										  INT64_C(1700000000000000000) + i, i, 4);

		if (i < 2)
			fixture_describe(&entry, i == 0 ? "a" : "b", "n", 1, m3_slice(NULL, 0));
		if (i == 5)
			entry.annotation = m3_slice(filler, 200);
		CHECK_OK(m3_log_writer_add(writer, &entry, &err));
	}
	CHECK_OK(m3_log_writer_close(writer, &err));
	sample.bytes = fixture_read(env, path);

	for (size_t offset = 0; offset < sample.bytes.size;)
	{
		size_t		n = sample.chunk_count++;
		uint32_t	size = 0;
		uint32_t	sum = 0;
		size_t		position = offset + 12;

		CHECK(m3_log_get_chunk_header(sample.bytes.data + offset, &size, &sum));
		sample.chunk_start[n] = offset;
		sample.entries_before[n] = entries;
		offset += 12 + size;
		sample.chunk_end[n] = offset;
		while (position < offset)
		{
			if (left == 0)
				position += m3_get_uvarint(sample.bytes.data + position, offset - position, &left);
			if (left > offset - position)
			{
				left -= offset - position;
				position = offset;
				break;
			}
			position += left;
			left = 0;
			entries++;
		}
		sample.ends_message[n] = left == 0;
	}
	/* the first message is the log info */
	sample.entries_before[sample.chunk_count] = entries;
	for (size_t n = 1; n <= sample.chunk_count; n++)
		sample.entries_before[n]--;
	CHECK_INT(entries, SAMPLE_ENTRIES + 1);
	CHECK(sample.chunk_count >= 5);
	return sample;
}

static size_t
chunk_of(const Sample *sample, size_t offset)
{
	for (size_t n = 0; n < sample->chunk_count; n++)
		if (offset < sample->chunk_end[n])
			return n;
	return sample->chunk_count;
}

/* End of the last chunk before number n that ends with a message. */
static size_t
valid_end(const Sample *sample, size_t n)
{
	while (n > 0 && !sample->ends_message[n - 1])
		n--;
	return n == 0 ? 0 : sample->chunk_end[n - 1];
}

static void
check_times(const Outcome *outcome, size_t count)
{
	CHECK_INT(outcome->count, count);
	for (size_t i = 0; i < outcome->count; i++)
		CHECK_INT(outcome->times[i], INT64_C(1700000000000000000) + (int64_t) i);
}

static void
test_truncations(const Sample *sample)
{
	for (size_t size = 0; size < sample->bytes.size; size++)
	{
		size_t		n = chunk_of(sample, size);
		Outcome		outcome = read_bytes(sample->bytes.data, size);

		if (n == 0)
		{
			CHECK_STATUS(outcome.open_status, M3_CORRUPT);
			continue;
		}
		CHECK_STATUS(outcome.open_status, M3_OK);
		check_times(&outcome, sample->entries_before[n]);
		CHECK_INT(outcome.end.valid_size, valid_end(sample, n));
		CHECK_INT(outcome.end.kind, size == valid_end(sample, n) ? M3_LOG_END_CLEAN :
				  M3_LOG_END_TORN);
	}
}

/* The same cuts, in a file that was filled with zeros. */
static void
test_zero_tails(const Sample *sample)
{
	size_t		total = sample->bytes.size + 2000;
	uint8_t    *copy = malloc(total);

	for (size_t size = sample->chunk_end[0]; size <= sample->bytes.size; size++)
	{
		size_t		n = chunk_of(sample, size);
		Outcome		outcome;
		bool		at_border = size == valid_end(sample, n);

		memset(copy, 0, total);
		memcpy(copy, sample->bytes.data, size);
		/* zero bytes of the chunk itself may lie behind the cut */
		while (size < sample->bytes.size && sample->bytes.data[size] == 0)
			size++;
		n = chunk_of(sample, size);
		at_border = at_border && size == valid_end(sample, n);
		outcome = read_bytes(copy, total);
		check_times(&outcome, sample->entries_before[n]);
		CHECK_INT(outcome.end.valid_size, valid_end(sample, n));
		CHECK_INT(outcome.end.kind, at_border ? M3_LOG_END_ZEROS : M3_LOG_END_TORN);
	}
	free(copy);
}

static void
test_flips(const Sample *sample)
{
	uint8_t    *copy = malloc(sample->bytes.size);

	for (size_t bit = 0; bit < sample->bytes.size * 8; bit++)
	{
		size_t		n = chunk_of(sample, bit / 8);
		Outcome		outcome;

		memcpy(copy, sample->bytes.data, sample->bytes.size);
		copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
		outcome = read_bytes(copy, sample->bytes.size);
		if (n == 0)
		{
			CHECK_STATUS(outcome.open_status, M3_CORRUPT);
			continue;
		}
		check_times(&outcome, sample->entries_before[n]);
		CHECK_INT(outcome.end.valid_size, valid_end(sample, n));
		CHECK_INT(outcome.end.kind, n == sample->chunk_count - 1 ? M3_LOG_END_TORN :
				  M3_LOG_END_CORRUPT);
		CHECK(outcome.end.reason[0] != '\0');
	}
	free(copy);
}

/* A sector that was not written, with later ones that were. */
static void
test_hole(void)
{
	M3LogInfo	info = {0, 0, 3};
	M3LogWriter *writer;
	M3Error		err;
	FileBytes	bytes;
	Outcome		outcome;

	CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 150, &writer, &err));
	for (int i = 0; i < 64; i++)
	{
		M3LogEntry	entry = fixture_entry(1, INT64_C(1700000000000000000),
										  INT64_C(1700000000000000000) + i, i, 4);

		if (i == 0)
			fixture_describe(&entry, "a", "n", 1, m3_slice(NULL, 0));
		CHECK_OK(m3_log_writer_add(writer, &entry, &err));
	}
	CHECK_OK(m3_log_writer_close(writer, &err));
	bytes = fixture_read(env, path);
	CHECK(bytes.size > 2048);
	memset(bytes.data + 1024, 0, 512);
	outcome = read_bytes(bytes.data, bytes.size);
	CHECK_INT(outcome.end.kind, M3_LOG_END_HOLE);
	CHECK(outcome.end.valid_size <= 1024 && outcome.end.valid_size > 1024 - 200);
	free(bytes.data);
}

/* Wraps messages into chunks of the given payload size; 0: one chunk. */
static size_t
put_chunks(uint8_t *out, const uint8_t *stream, size_t size, size_t payload)
{
	size_t		used = 0;

	for (size_t done = 0; done < size;)
	{
		size_t		part = payload == 0 || size - done < payload ? size - done : payload;

		memcpy(out + used + 12, stream + done, part);
		m3_log_put_chunk_header(out + used, out + used + 12, part);
		used += 12 + part;
		done += part;
	}
	return used;
}

/* Messages straddle chunks of every size, even one byte. */
static void
test_chunk_sizes(void)
{
	static const uint8_t empty_chunk[12] = {0, 0, 0, 0, 1, 0, 4, 0, 1, 0, 0, 0};
	uint8_t		stream[1024];
	uint8_t		file[20480];
	M3LogInfo	info = {0, 0, 300};
	M3LogEntry	entries[3];
	size_t		size;
	uint8_t    *end = m3_log_put_info(stream, &info);

	fixture_example(entries);
	for (int i = 0; i < 3; i++)
		end = m3_log_put_entry(end, &entries[i]);
	size = (size_t) (end - stream);
	for (size_t payload = 0; payload <= size; payload++)
	{
		size_t		used = put_chunks(file, stream, size, payload);
		Outcome		outcome = read_bytes(file, used);

		CHECK_INT(outcome.count, 3);
		CHECK_INT(outcome.end.kind, M3_LOG_END_CLEAN);
		CHECK_INT(outcome.end.entries, 3);
		memcpy(file + used, empty_chunk, 12);
		outcome = read_bytes(file, used + 12);
		CHECK_INT(outcome.count, 3);
		CHECK_INT(outcome.end.kind, M3_LOG_END_CLEAN);
	}
	/* lengths beyond the file, and beyond 64 bits */
	memcpy(end, "\xff\xff\xff\xff\x0f\x01", 6);
	CHECK_INT(read_bytes(file, put_chunks(file, stream, size + 6, 0)).end.kind, M3_LOG_END_TORN);
	memset(end, 0xff, 12);
	CHECK_INT(read_bytes(file, put_chunks(file, stream, size + 12, 0)).end.kind,
			  M3_LOG_END_CORRUPT);
	memset(end, 0, 1);
	CHECK_INT(read_bytes(file, put_chunks(file, stream, size + 1, 0)).end.kind,
			  M3_LOG_END_CORRUPT);
}

static void
test_metadata_rules(void)
{
	uint8_t		stream[1024];
	uint8_t		file[2048];
	M3LogInfo	info = {INT64_C(1500000000000000000), INT64_C(900000000000), 2};
	M3LogEntry	entries[3];
	uint8_t    *end = m3_log_put_info(stream, &info);
	Outcome		outcome;
	M3LogReader *reader;
	M3LogRecord record;
	M3Error		err;

	/* missing: the file ends there */
	fixture_example(entries);
	end = m3_log_put_entry(end, &entries[0]);
	entries[1].has_metadata = false;
	end = m3_log_put_entry(end, &entries[1]);
	end = m3_log_put_entry(end, &entries[2]);
	outcome = read_bytes(file, put_chunks(file, stream, (size_t) (end - stream), 0));
	CHECK_INT(outcome.count, 1);
	CHECK_INT(outcome.end.kind, M3_LOG_END_CORRUPT);

	/* repeated: the first counts; huge indexes are as good as small ones */
	end = m3_log_put_info(stream, &info);
	entries[0].unique_index = UINT64_MAX;
	end = m3_log_put_entry(end, &entries[0]);
	entries[0].metadata.shard = 8;
	end = m3_log_put_entry(end, &entries[0]);
	fixture_write(env, path, file, put_chunks(file, stream, (size_t) (end - stream), 0));
	CHECK_OK(m3_log_reader_open(env, &m3_memory_malloc, path, NULL, &reader, &err));
	CHECK_INT(m3_log_reader_info(reader)->duration_ns, INT64_C(900000000000));
	CHECK_OK(m3_log_reader_next(reader, &record, &err));
	CHECK_INT(record.series->user, 0);
	record.series->user = 99;
	m3_log_reader_release_file(reader);
	CHECK_OK(m3_log_reader_next(reader, &record, &err));
	CHECK_INT(record.series->user, 99);
	CHECK_INT(record.series->metadata.shard, 7);
	CHECK_STATUS(m3_log_reader_next(reader, &record, &err), M3_NOT_FOUND);
	m3_log_reader_close(reader);
}

static void
test_many_series(void)
{
	M3LogInfo	info = {0, 0, 0};
	M3LogWriter *writer;
	M3LogReader *reader;
	M3LogRecord record;
	M3LogEnd	end;
	M3Error		err;
	char		id[32];
	bool		good = true;

	CHECK_OK(m3_log_writer_open(env, &m3_memory_malloc, path, &info, 0, &writer, &err));
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 1; i <= 20000; i++)
		{
			M3LogEntry	entry = fixture_entry(i << (i % 3) * 20, 1, (int64_t) i, 1, 4);

			snprintf(id, sizeof(id), "series-%llu", (unsigned long long) i);
			if (round == 0)
				fixture_describe(&entry, id, i % 7 ? "x" : "y", (uint32_t) i, m3_slice(NULL, 0));
			CHECK(m3_log_writer_add(writer, &entry, &err) == M3_OK);
		}
	CHECK_OK(m3_log_writer_close(writer, &err));
	CHECK_OK(m3_log_reader_open(env, &m3_memory_malloc, path, NULL, &reader, &err));
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 1; i <= 20000; i++)
		{
			good = good && m3_log_reader_next(reader, &record, &err) == M3_OK;
			snprintf(id, sizeof(id), "series-%llu", (unsigned long long) i);
			good = good && m3_slice_equal(record.series->metadata.id, m3_slice_cstr(id)) &&
				m3_slice_equal(record.series->metadata.namespace,
							   m3_slice_cstr(i % 7 ? "x" : "y"));
		}
	CHECK(good);
	CHECK_STATUS(m3_log_reader_next(reader, &record, &err), M3_NOT_FOUND);
	m3_log_reader_end(reader, &end);
	CHECK_INT(end.entries, 40000);
	m3_log_reader_close(reader);
}

static void
test_golden_damage(void)
{
	static const struct
	{
		const char *variant;
		int			log;
		M3LogEndKind kind;
		int64_t		offset;		/* of the damage, -1: header */
	}			cases[] = {
		{"log_torn_tail", 5, M3_LOG_END_TORN, 0},
		{"log_torn_header", 5, M3_LOG_END_TORN, 0},
		{"log_zero_tail", 5, M3_LOG_END_ZEROS, 0},
		{"log_mid_flip", 4, M3_LOG_END_CORRUPT, 0},
		{"log_mid_size_flip", 4, M3_LOG_END_CORRUPT, 0},
		{"log_header_flip", 4, M3_LOG_END_CORRUPT, -1},
	};
	const char *data = getenv("M3_TEST_DATA");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		name[600];
		Outcome		outcome;

		snprintf(name, sizeof(name), "%s/m3db/damaged/%s/commitlogs/commitlog-0-%d.db",
				 data ? data : "test/data", cases[i].variant, cases[i].log);
		outcome = read_file(name);
		CHECK_STATUS(outcome.open_status, cases[i].offset < 0 ? M3_CORRUPT : M3_OK);
		if (cases[i].offset == 0)
		{
			CHECK_INT(outcome.end.kind, cases[i].kind);
			CHECK(outcome.count > 0);
		}
	}
}

int
main(void)
{
	char		root[256];
	Sample		sample;
	Outcome		outcome;

	env = m3_env_posix_create(0);
	fixture_root(env, root, sizeof(root));
	snprintf(path, sizeof(path), "%s/commitlogs/commitlog-0-3.db", root);
	sample = make_sample();
	outcome = read_file(path);
	check_times(&outcome, SAMPLE_ENTRIES);
	CHECK_INT(outcome.end.kind, M3_LOG_END_CLEAN);
	test_truncations(&sample);
	test_zero_tails(&sample);
	test_flips(&sample);
	free(sample.bytes.data);
	test_hole();
	test_chunk_sizes();
	test_metadata_rules();
	test_many_series();
	test_golden_damage();
	CHECK_STATUS(read_file("/nonexistent/x.db").open_status, M3_NOT_FOUND);
	fixture_remove_root(env, root);
	m3_env_posix_destroy(env);
	return check_report();
}
