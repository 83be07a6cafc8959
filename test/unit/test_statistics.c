/*
 * Statistics beside filesets: whatever is believed says what decoding says, in the life of a
 * namespace as well as after damage, failures and crashes; and nothing depends on them.
 */
#include <errno.h>
#include <math.h>

#include <xxhash.h>

#include "storage/db/blocks.h"
#include "storage/db/fileset_cache.h"
#include "storage/db/statistics.h"
#include "test/unit/cleanup_fixture.h"

#define HOURS_2 (2 * HOUR)
#define SERIES 40				/* two groups */

static uint64_t random_state = 42;

static uint64_t
next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* --- the format --------------------------------------------------------- */

static double
any_value(void)
{
	static const double odd[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 5e-324, 1.7e308, 0.1, -3};

	switch (next_random() % 4)
	{
		case 0:
			return odd[next_random() % (sizeof(odd) / sizeof(odd[0]))];
		case 1:
			return (double) (int64_t) (next_random() % 2000001 - 1000000) / 1000;
		case 2:
			return (double) (int64_t) (next_random() >> (next_random() % 64));
		default:
			return m3_double_from_bits(next_random());
	}
}

static bool
same_statistics(const M3SeriesStatistics *a, const M3SeriesStatistics *b)
{
	return a->count == b->count && a->is_known == b->is_known && a->first_ns == b->first_ns &&
		a->last_ns == b->last_ns && a->times[0] == b->times[0] && a->times[1] == b->times[1] &&
		memcmp(&a->first, &b->first, 6 * sizeof(double)) == 0;
}

static M3SeriesStatistics
any_statistics(int64_t start_ns)
{
	static const int64_t units[] = {1, 1000, 1000000, S};
	int64_t		unit = units[next_random() % 4];
	M3SeriesStatistics s = {
		.count = 1 + next_random() % 100000,.is_known = true,.first = any_value(),
		.last = any_value(),.min = any_value(),.max = any_value(),.sum = any_value(),
		.squares = any_value(),.times = {next_random(), next_random()}
	};

	s.first_ns = start_ns + (int64_t) (next_random() % 3600) * unit;
	s.last_ns = s.first_ns + (int64_t) (next_random() % 3600) * unit;
	return s;
}

static void
check_entry(const M3SeriesStatistics *s, int64_t start_ns)
{
	uint8_t		bytes[M3_STATISTICS_ENTRY_MAX_SIZE + 1];
	M3SeriesStatistics back;
	size_t		size = m3_statistics_entry_encode(s, start_ns, 1 << 20, bytes);

	CHECK(size <= M3_STATISTICS_ENTRY_MAX_SIZE);
	bytes[size] = 0xff;
	CHECK_INT(m3_statistics_entry_decode(m3_slice(bytes, size + 1), start_ns, &back), size);
	CHECK(same_statistics(&back, s));
	CHECK_INT(m3_statistics_entry_decode(m3_slice(bytes, size + 1), start_ns, NULL), size);
	for (size_t cut = 0; cut < size; cut++)
		CHECK_INT(m3_statistics_entry_decode(m3_slice(bytes, cut), start_ns, &back), 0);
}

static void
test_entries(void)
{
	M3SeriesStatistics s = {.is_known = true};
	uint8_t		bytes[M3_STATISTICS_ENTRY_MAX_SIZE];
	M3SeriesStatistics back;
	size_t		size;

	check_entry(&s, NOW);
	for (int i = 0; i < 20000; i++)
	{
		s = any_statistics(NOW);
		check_entry(&s, NOW);
	}
	/* what people measure takes little */
	s = (M3SeriesStatistics) {
		.count = 720,.is_known = true,.first_ns = NOW + 3 * S,.last_ns = NOW + 7193 * S,
		.first = 41.25,.last = 40.5,.min = 39.75,.max = 44,.sum = 29876.700000000043,
		.squares = 1234.56789012345
	};
	size = m3_statistics_entry_encode(&s, NOW, 880, bytes);
	CHECK(size > 3 && size <= 52);
	/* a record is to be small beside what it stands for */
	for (size_t payload = 1; payload < 1000; payload++)
	{
		size = m3_statistics_entry_encode(&s, NOW, payload, bytes);
		CHECK_INT(m3_statistics_entry_decode(m3_slice(bytes, size), NOW, &back), size);
		CHECK_INT(back.count, 720);
		CHECK(back.is_known == (size > 2));
		CHECK(size == 2 || (size - 2) * M3_STATISTICS_SHARE <= payload);
	}
	/* times that cannot be written */
	s.first_ns = NOW - 1;
	CHECK_INT(m3_statistics_entry_encode(&s, NOW, 1 << 20, bytes), 2);
	s.first_ns = NOW + 9000 * S;
	CHECK_INT(m3_statistics_entry_encode(&s, NOW, 1 << 20, bytes), 2);
}

/* --- one file ----------------------------------------------------------- */

static const M3FilesetName file_name = {NOW, 3, false};
static M3FilesetHeader file_header;
static M3SeriesStatistics *file_entries;

static void
write_file(size_t count)
{
	M3StatisticsWriter *writer;
	uint64_t	size;

	free(file_entries);
	file_entries = calloc(count, sizeof(*file_entries));
	memset(&file_header, 0, sizeof(file_header));
	file_header.info.entry_count = (int64_t) count;
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
		file_header.digests[i] = (uint32_t) next_random();
	CHECK_OK(env->make_directory(env, "/s", &err));
	CHECK_OK(m3_statistics_writer_create(env, &m3_memory_malloc, "/s", &file_name, &writer, &err));
	for (size_t i = 0; i < count; i++)
	{
		file_entries[i] = any_statistics(NOW);
		if (i % 7 == 3)
		{
			memset(&file_entries[i], 0, sizeof(file_entries[i]));
			file_entries[i].count = i;
		}
		CHECK_OK(m3_statistics_writer_add(writer, &file_entries[i], 1 << 20, &err));
	}
	CHECK_OK(m3_statistics_writer_finish(writer, &file_header, &size, &err));
	m3_statistics_writer_free(writer);
}

static uint8_t *
file_bytes(size_t *size)
{
	M3File	   *file;
	uint64_t	length;
	uint8_t    *bytes;

	CHECK_OK(env->open(env, "/s/statistics-1704067200000000000-3.db", M3_OPEN_READ, &file, &err));
	CHECK_OK(env->size(env, file, &length, &err));
	bytes = malloc(length + 1);
	CHECK_OK(env->read(env, file, bytes, length, 0, size, &err));
	env->close(env, file);
	return bytes;
}

static void
replace_file(const uint8_t *bytes, size_t size)
{
	M3File	   *file;

	CHECK_OK(env->open(env, "/s/statistics-1704067200000000000-3.db", M3_OPEN_CREATE, &file,
					   &err));
	if (size > 0)
		CHECK_OK(env->write(env, file, bytes, size, 0, &err));
	env->close(env, file);
}

/* How many entries are told, all of them rightly; -1: none, the file is not believed. */
static int
count_told(bool *has_points)
{
	M3StatisticsReader *reader;
	uint64_t	points = 0;
	uint64_t	sum = 0;
	int			told = 0;

	for (int64_t i = 0; i < file_header.info.entry_count; i++)
		sum += file_entries[i].count;
	*has_points = m3_statistics_read_points(env, "/s", &file_name, &file_header, &points,
											&err) == M3_OK;
	CHECK(!*has_points || points == sum);
	if (m3_statistics_open(env, &m3_memory_malloc, "/s", &file_name, &file_header, &reader,
						   &err) != M3_OK)
		return -1;
	CHECK(*has_points && m3_statistics_points(reader) == sum);
	for (int64_t i = 0; i < file_header.info.entry_count; i++)
	{
		M3SeriesStatistics back;
		M3Status	status = m3_statistics_get(reader, i, &back, &err);

		if (status == M3_OK && CHECK(same_statistics(&back, &file_entries[i])))
			told++;
		else
			CHECK_STATUS(status, M3_CORRUPT);
	}
	CHECK_STATUS(m3_statistics_get(reader, -1, file_entries, &err), M3_CORRUPT);
	CHECK_STATUS(m3_statistics_get(reader, file_header.info.entry_count, file_entries, &err),
				 M3_CORRUPT);
	m3_statistics_close(reader);
	return told;
}

/* step: of the bits flipped and the cuts tried. */
static void
damage_file(size_t count, size_t step)
{
	size_t		size;
	uint8_t    *bytes;
	bool		has_points;

	write_file(count);
	CHECK_INT(count_told(&has_points), count);
	bytes = file_bytes(&size);
	CHECK((size > M3_STATISTICS_SMALL) == (step > 1));
	for (size_t cut = 0; cut < size; cut += step)
	{
		replace_file(bytes, cut);
		CHECK_INT(count_told(&has_points), -1);
		CHECK(has_points == (cut >= M3_STATISTICS_HEADER_SIZE));
	}
	for (size_t bit = 0; bit < size * 8; bit += step)
	{
		int			told;

		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		replace_file(bytes, size);
		told = count_told(&has_points);
		if (step == 1)
			CHECK_INT(told, -1);
		else
			CHECK(told == -1 || told == (int) count - (int) M3_STATISTICS_GROUP ||
				  told == (int) (count - count % M3_STATISTICS_GROUP));
		CHECK(has_points == (bit / 8 >= M3_STATISTICS_HEADER_SIZE));
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	/* zeros instead of a part, as after a crash without fsync */
	for (size_t from = 0; from < size; from += 512 * step)
	{
		uint8_t    *copy = malloc(size);

		memcpy(copy, bytes, size);
		memset(copy + from, 0, size - from < 512 ? size - from : 512);
		replace_file(copy, size);
		CHECK(count_told(&has_points) < (int) count);
		free(copy);
	}
	replace_file(bytes, size);
	CHECK_INT(count_told(&has_points), count);
	free(bytes);
}

static void
test_strangers(void)
{
	const M3FilesetName names[] = {{NOW, 4, false}, {NOW + HOURS_2, 3, false}, {NOW, 3, true}};
	M3StatisticsReader *reader;
	bool		has_points;
	uint64_t	points;

	write_file(50);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		M3Status	status = names[i].legacy ? M3_NOT_FOUND : M3_CORRUPT;

		CHECK_OK(m3_fileset_path(path, "/s", &names[i], M3_FILESET_STATISTICS, &err));
		if (!names[i].legacy)
			CHECK_OK(env->rename(env, "/s/statistics-1704067200000000000-3.db", path, &err));
		CHECK_STATUS(m3_statistics_open(env, &m3_memory_malloc, "/s", &names[i], &file_header,
										&reader, &err), status);
		CHECK_STATUS(m3_statistics_read_points(env, "/s", &names[i], &file_header, &points, &err),
					 status);
		if (!names[i].legacy)
			CHECK_OK(env->rename(env, path, "/s/statistics-1704067200000000000-3.db", &err));
	}
	/* any of the digests, or the number of series */
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
	{
		file_header.digests[i] ^= 1;
		CHECK_INT(count_told(&has_points), -1);
		CHECK(!has_points);
		file_header.digests[i] ^= 1;
	}
	file_header.info.entry_count--;
	CHECK_INT(count_told(&has_points), -1);
	file_header.info.entry_count++;
	CHECK_INT(count_told(&has_points), 50);
}

/* --- names -------------------------------------------------------------- */

static void
test_names(void)
{
	M3FilesetName name;
	M3FilesetFile file;

	CHECK(m3_fileset_parse_name("statistics-1704067200000000000-12.db", &name, &file));
	CHECK(name.block_start_ns == NOW && name.volume == 12 && !name.legacy &&
		  file == M3_FILESET_STATISTICS);
	CHECK(m3_fileset_parse_name("statistics--5-0.db", &name, &file) && name.block_start_ns == -5);
	CHECK(!m3_fileset_parse_name("statistics-5.db", &name, &file));
	CHECK(!m3_fileset_parse_name("statistics-5-.db", &name, &file));
	CHECK(!m3_fileset_parse_name("statistics-5-1", &name, &file));
	CHECK(!m3_fileset_parse_name("statistics-5-01.db", &name, &file));
	CHECK(!m3_fileset_parse_name("statistics-5-1.db.tmp", &name, &file));
	CHECK(!m3_fileset_parse_name("fileset-5-1-statistics.db", &name, &file));
}

/* --- the life of a namespace -------------------------------------------- */

/* What a payload comes to, point by point. */
static void
naive_summary(M3Slice payload, M3SeriesStatistics *s)
{
	M3Decoder	decoder;
	static uint8_t times[100000 * 8];
	XXH128_hash_t hash;
	M3Point		point;
	uint8_t    *buffer = NULL;
	size_t		capacity = 0;
	double		mean;

	memset(s, 0, sizeof(*s));
	for (int pass = 0; pass < 2; pass++)
	{
		mean = s->count == 0 ? 0 : s->sum / (double) s->count;
		m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
		while (m3_decoder_next(&decoder, &point, &m3_memory_malloc, &buffer, &capacity,
							   &err) == M3_OK)
		{
			if (pass == 1)
			{
				s->squares += (point.value - mean) * (point.value - mean);
				continue;
			}
			CHECK(s->count < sizeof(times) / 8);
			m3_store_le64(times + s->count * 8, (uint64_t) point.time_ns);
			if (s->count++ == 0)
			{
				s->first_ns = point.time_ns;
				s->first = s->min = s->max = point.value;
			}
			s->last_ns = point.time_ns;
			s->last = point.value;
			s->min = point.value < s->min ? point.value : s->min;
			s->max = point.value > s->max ? point.value : s->max;
			s->sum += point.value;
		}
	}
	free(buffer);
	hash = XXH3_128bits(times, s->count * 8);
	s->times[0] = hash.low64;
	s->times[1] = hash.high64;
}

static bool
is_near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

typedef struct Compared
{
	int			blocks;			/* in the table */
	int			counted;		/* with points */
	int			known;			/* (series, block) pairs with a summary */
	int			unknown;
	uint64_t	points;			/* decoded */
} Compared;

static void
compare_series(const M3NamespaceShared *ns, const M3FilesetKey *key, M3Slice id, Compared *c)
{
	M3SeriesStatistics said;
	M3SeriesStatistics found;
	M3Slice		payload;
	M3Status	status = m3i_fileset_statistics(db, ns, key, id, &said, &err);

	CHECK_OK(m3i_fileset_read(db, ns, key, id, &payload, &err));
	naive_summary(payload, &found);
	c->points += found.count;
	c->known += status == M3_OK;
	c->unknown += status != M3_OK;
	if (status != M3_OK)
	{
		CHECK_STATUS(status, M3_NOT_FOUND);
		return;
	}
	CHECK_INT(said.count, found.count);
	if (found.count == 0)
		return;
	CHECK(said.first_ns == found.first_ns && said.last_ns == found.last_ns &&
		  said.first == found.first && said.last == found.last && said.min == found.min &&
		  said.times[0] == found.times[0] && said.times[1] == found.times[1] &&
		  said.max == found.max && is_near(said.sum, found.sum) &&
		  is_near(said.squares, found.squares));
}

/* All that is told of a namespace's blocks with what is in them. */
static Compared
compare(const char *name)
{
	M3NamespaceShared *ns = namespace_of(name);
	M3BlockList list = {0};
	Compared	c = {0};

	for (uint32_t shard = 0; ns != NULL && shard < db->root->options.shard_count; shard++)
	{
		list.version = 0;
		CHECK_OK(m3i_blocks_list(db, ns, shard, &m3_memory_malloc, &list, &err));
		for (size_t i = 0; i < list.count; i++)
		{
			M3FilesetKey key = {
				m3i_generation(ns), shard, list.blocks[i].start_ns, list.blocks[i].volume
			};
			M3Ref		refs[M3_SERIES_CHUNK];
			uint64_t	before = c.points;
			uint32_t	count;

			for (uint32_t first = 0; (count = m3i_series_chunk(db, ns, first, refs)) > 0;
				 first += count)
			{
				for (uint32_t n = 0; n < count; n++)
				{
					const M3Series *series = refs[n] == 0 ? NULL : m3_arena_at(db->arena, refs[n]);

					if (series != NULL && series->shard == shard)
						compare_series(ns, &key, m3_series_id(series), &c);
				}
			}
			c.blocks++;
			c.counted += list.blocks[i].points != M3_POINTS_UNKNOWN;
			CHECK(list.blocks[i].points == M3_POINTS_UNKNOWN ||
				  list.blocks[i].points == c.points - before);
		}
	}
	free(list.blocks);
	return c;
}

/* Points of a batch: count for each series, some of which are short in every block. */
static void
put_points(const char *ns, int64_t start_ns, int series, int count, double base)
{
	M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(db, &engine.heaps[0].memory, &txn, &err));
	for (int i = 0; i < series; i++)
	{
		char		name[16];
		uint32_t	number;
		int			n = i % 5 == 4 ? 3 : count;

		snprintf(name, sizeof(name), "s%d", i);
		number = test_series(txn, ns, &options, name);
		for (int p = 0; p < n; p++)
			CHECK_OK(m3_txn_write(txn, number, start_ns + p * (HOURS_2 / count),
								  base + i + (double) (p * 7919 % 101) / 10, M3_UNIT_NONE,
								  m3_slice(NULL, 0), 0, &err));
	}
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

static M3FlushResult
flush(void)
{
	M3FlushOptions flush_options = {.reason = M3_FLUSH_ALL};
	M3FlushResult result = {0};

	CHECK_OK(m3_flush_run(db, &flush_options, &result, &err));
	return result;
}

static M3Status
see_statistics(void *context, const char *name, bool is_directory)
{
	(void) is_directory;
	*(int *) context += strncmp(name, "statistics-", 11) == 0;
	return M3_OK;
}

static int
statistics_files(const char *ns)
{
	int			count = 0;

	for (uint32_t shard = 0; shard < db->root->options.shard_count; shard++)
	{
		char		path[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_shard_directory(path, ROOT, M3_FILESET_KIND_DATA, m3_slice_cstr(ns),
											shard, &err));
		(void) env->list(env, path, see_statistics, &count, NULL);
	}
	return count;
}

static void
restart(void)
{
	test_engine_crash(&engine);
	start_engine();
}

static void
test_life(void)
{
	M3PurgeResult purged;
	Compared	c;
	M3Estimate	estimate;
	uint64_t	points;
	int			files;

	begin();
	put_points("ns", BLOCK(3), SERIES, 1500, 100);
	put_points("ns", BLOCK(2), SERIES, 1500, 200);
	CHECK(flush().filesets > 0);
	c = compare("ns");
	CHECK(c.counted == c.blocks && c.blocks > 2);
	CHECK_INT(c.known, SERIES / 5 * 4 * 2);
	CHECK_INT(c.unknown, SERIES / 5 * 2);
	CHECK_INT(c.points, 2 * (SERIES / 5 * 4 * 1500 + SERIES / 5 * 3));
	CHECK_INT(statistics_files("ns"), c.blocks);
	CHECK_OK(m3_scan_estimate(db, m3_slice_cstr("ns"), &estimate, &err));
	CHECK_INT(estimate.points, c.points);

	/* late points: some series are merged, others carried over, others new */
	put_points("ns", BLOCK(3) + 3 * S, SERIES / 2, 700, 300);
	put_points("ns", BLOCK(3), SERIES + 9, 300, 400);
	put_points("ns", BLOCK(2) + S, 3, 1, 500);
	flush();
	files = statistics_files("ns");
	points = c.points;
	c = compare("ns");
	CHECK(c.counted == c.blocks && c.known > SERIES && c.points > points);
	CHECK(files > c.blocks);
	(void) clean();
	CHECK_INT(statistics_files("ns"), c.blocks);
	(void) compare("ns");

	restart();
	points = c.points;
	files = c.known;
	c = compare("ns");
	CHECK(c.counted == c.blocks && c.known == files && c.points == points);

	put_points("other", BLOCK(2), 4, 600, 1);
	CHECK_OK(test_write(&engine, 0, "ns", &options, "x", NOW, 1, &err));
	void_namespace("ns", false);
	CHECK_OK(m3_purge_run(db, &purged, &err));
	CHECK_INT(statistics_files("ns"), 0);
	CHECK_INT(compare("ns").blocks, 0);
	CHECK_OK(m3_scan_estimate(db, m3_slice_cstr("ns"), &estimate, &err));
	CHECK_INT(estimate.points, 0);
	put_points("ns", BLOCK(3), SERIES, 900, 7);
	flush();
	c = compare("ns");
	CHECK(c.known > 0 && c.counted == c.blocks);
	end();
}

/* A block out of retention takes its statistics along; a leftover alone does, too. */
static void
test_retention(void)
{
	M3File	   *file;

	begin();
	options.retention_period_ns = 12 * HOUR;
	put_points("ns", BLOCK(3), 4, 600, 1);
	flush();
	CHECK(statistics_files("ns") > 0);
	CHECK_OK(env->open(env, ROOT "/data/ns/0/statistics-1704038400000000000-0.db", M3_OPEN_CREATE,
					   &file, &err));
	env->close(env, file);
	env_fault_set_clock(env, NOW + 24 * HOUR);
	(void) clean();
	CHECK_INT(statistics_files("ns"), 0);
	end();
}

/* --- doing without ------------------------------------------------------ */

typedef M3Status (*OpenFn) (M3Env *self, const char *path, M3OpenMode mode, M3File **file,
							M3Error *err);

static OpenFn plain_open;
static M3Status refusal;

static M3Status
refuse_statistics(M3Env *self, const char *path, M3OpenMode mode, M3File **file, M3Error *error)
{
	if (strstr(path, "/statistics-") != NULL)
		return m3_error(error, refusal, "refused");
	return plain_open(self, path, mode, file, error);
}

/* Neither writing nor reading them is needed. */
static void
test_refused(M3Status status)
{
	Compared	c;

	begin();
	refusal = status;
	plain_open = env->open;
	env->open = refuse_statistics;
	put_points("ns", BLOCK(3), SERIES, 600, 1);
	flush();
	c = compare("ns");
	CHECK(c.blocks > 0 && c.counted == c.blocks && c.known == 0);
	CHECK_INT(statistics_files("ns"), 0);
	/* carried over series are decoded for want of statistics of the volume before */
	put_points("ns", BLOCK(3) + 3 * S, 2, 1, 5);
	env->open = plain_open;
	flush();
	c = compare("ns");
	CHECK(c.known > 0 && c.counted == c.blocks);
	restart();
	env->open = refuse_statistics;
	restart();
	c = compare("ns");
	CHECK(c.blocks > 0 && c.counted == 0 && c.known == 0);
	env->open = plain_open;
	end();
}

/* Rubbish in place of statistics, of ours as well as of another fileset. */
static void
test_rubbish(void)
{
	const char *from = NULL;
	char		paths[2][M3_FILESET_PATH_SIZE];
	M3FilesetName names[2] = {{BLOCK(3), 0, false}, {BLOCK(2), 0, false}};
	Compared	c;
	uint32_t	shard = 0;

	begin();
	put_points("ns", BLOCK(3), SERIES, 600, 1);
	put_points("ns", BLOCK(2), SERIES, 600, 2);
	flush();
	for (; from == NULL; shard++)
	{
		char		directory[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_shard_directory(directory, ROOT, M3_FILESET_KIND_DATA,
											m3_slice_cstr("ns"), shard, &err));
		for (int i = 0; i < 2; i++)
			CHECK_OK(m3_fileset_path(paths[i], directory, &names[i], M3_FILESET_STATISTICS,
									 &err));
		if (exists(paths[0]))
			from = paths[0];
	}
	test_engine_crash(&engine);
	CHECK_OK(env->rename(env, from, paths[1], &err));
	start_engine();
	c = compare("ns");
	CHECK_INT(c.counted, c.blocks - 2);
	CHECK(c.known > 0);
	end();
}

/* --- failures and crashes ----------------------------------------------- */

typedef struct Lives
{
	int			known;
	int			counted;
	int			without;		/* blocks without statistics */
} Lives;

static void
live_once(uint64_t at, int sys_errno, EnvFaultCrash mode, uint64_t *calls, Lives *lives)
{
	EnvFaultPlan plan = {.at = at,.sys_errno = sys_errno,.tear = at % 2 == 1};
	M3FlushOptions flush_options = {.reason = M3_FLUSH_ALL};
	M3FlushResult result;
	M3CleanupResult cleaned;
	uint64_t	before;
	Compared	c;

	begin();
	put_points("ns", BLOCK(3), 6, 600, 1);
	flush();
	put_points("ns", BLOCK(3) + 3 * S, 3, 50, 2);
	before = env_fault_calls(env);
	env_fault_fail(env, &plan);
	if (m3_flush_run(db, &flush_options, &result, &err) == M3_OK)
		(void) m3_cleanup_run(db, &cleaned, &err);
	*calls = env_fault_calls(env) - before;
	env_fault_fail(env, NULL);
	(void) compare("ns");
	kill_engine(mode, at);
	start_engine();
	c = compare("ns");
	lives->known += c.known;
	lives->counted += c.counted;
	lives->without += c.blocks - c.counted;
	CHECK(c.blocks > 0);
	put_points("ns", BLOCK(3) + 5 * S, 6, 40, 3);
	flush();
	(void) clean();
	c = compare("ns");
	CHECK(c.known > 0 && c.counted == c.blocks);
	CHECK_INT(statistics_files("ns"), c.blocks);
	end();
}

static void
test_crashes(void)
{
	Lives		lives = {0};
	uint64_t	calls = 0;
	uint64_t	ignored;

	live_once(0, 0, ENV_FAULT_DROP, &calls, &lives);
	CHECK(calls > 20);
	for (uint64_t at = 1; at <= calls && checks_failed < 5; at++)
	{
		for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
			live_once(at, mode % 2 == 0 ? ENOSPC : EIO, (EnvFaultCrash) mode, &ignored, &lives);
	}
	/* both happen */
	CHECK(lives.known > 0 && lives.counted > 0 && lives.without > 0);
}

int
main(void)
{
	env = env_fault_create();
	test_names();
	test_entries();
	damage_file(70, 1);
	damage_file(3000, 997);
	test_strangers();
	free(file_entries);
	CHECK_INT(env_fault_open_files(env), 0);
	env_fault_destroy(env);
	test_life();
	test_retention();
	test_refused(M3_NOT_FOUND);
	test_refused(M3_IO);
	test_refused(M3_NO_MEMORY);
	test_rubbish();
	test_crashes();
	return check_report();
}
