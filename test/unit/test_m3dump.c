/*
 * m3dump without its main: points of every golden root are M3's to the byte, of
 * damaged ones no less than M3's and nothing else; what verify finds; show.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/bytes.h"
#include "test/support/engine.h"
#include "tools/points.h"
#include "tools/show.h"
#include "tools/verify.h"

#define S M3_NS_PER_SECOND
#define H (3600 * S)

/* Text, and where its lines begin. */
typedef struct Lines
{
	char	   *text;
	size_t		size;
	char	  **lines;
	size_t		count;
} Lines;

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Takes text over, and apart; the first line, which names columns, is left out. */
static Lines
split_lines(char *text, size_t size)
{
	Lines		lines = {.text = text,.size = size};
	char	   *line;
	char	   *rest;

	lines.lines = malloc((size + 1) * sizeof(char *));
	strtok_r(text, "\n", &rest);
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
		lines.lines[lines.count++] = line;
	return lines;
}

static void
free_lines(Lines *lines)
{
	free(lines->lines);
	free(lines->text);
}

static Lines
read_expected(const char *folder)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	char	   *text;

	snprintf(path, sizeof(path), "%s/m3db/%s/expected.csv", test_data(), folder);
	text = (char *) slurp(path, &size);
	if (text == NULL)
		abort();
	text = realloc(text, size + 1);
	text[size] = '\0';
	return split_lines(text, size);
}

static void
ignore_warning(void *context, const char *file, int64_t offset, const char *message)
{
	(void) context;
	CHECK(file != NULL && offset >= -1 && message[0] != '\0');
}

/* Output of points; to be freed. */
static char *
run_points(const PointsOptions *options, PointsReport *report, size_t *size)
{
	char	   *text = NULL;
	FILE	   *out = open_memstream(&text, size);

	memset(&err, 0, sizeof(err));
	CHECK_OK(points_write(env, &m3_memory_malloc, options, out, ignore_warning, NULL, report,
						  &err));
	fclose(out);
	return text;
}

static const PointsBlockSize block_sizes[] = {{"log_agg", H}, {NULL, 2 * H}};

static PointsOptions
golden_options(const char *root)
{
	PointsOptions options;

	points_options_default(&options);
	options.root = root;
	options.block_sizes = block_sizes;
	/* what is known from filesets needs no telling */
	options.block_size_count = strstr(root, "commitlog") != NULL ? 2 : 0;
	return options;
}

/* Golden roots */

static void
check_same(const char *folder)
{
	char		root[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE + 16];
	PointsOptions options;
	PointsReport report;
	char	   *expected;
	char	   *actual;
	size_t		expected_size;
	size_t		size;

	snprintf(root, sizeof(root), "%s/m3db/%s", test_data(), folder);
	snprintf(path, sizeof(path), "%s/expected.csv", root);
	expected = (char *) slurp(path, &expected_size);
	options = golden_options(root);
	actual = run_points(&options, &report, &size);
	CHECK_BYTES(actual, size, expected, expected_size);
	CHECK_INT(report.warnings, 0);
	CHECK_INT(report.sort.runs, 0);
	free(actual);
	/* as little memory as there may be: runs in files, merged more than once */
	options.memory_size = 1;
	actual = run_points(&options, &report, &size);
	CHECK_BYTES(actual, size, expected, expected_size);
	CHECK(report.sort.runs > 1);
	free(actual);
	free(expected);
}

/*
 * The rows of mixed where M3 lets an older value win: there the last one
 * written, and its annotation, which is none.
 */
static size_t
substitute(Lines *expected)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	char	   *text;
	Lines		older;
	size_t		found = 0;

	snprintf(path, sizeof(path), "%s/m3db/mixed/older_value_wins.csv", test_data());
	text = (char *) slurp(path, &size);
	text = realloc(text, size + 1);
	text[size] = '\0';
	older = split_lines(text, size);
	for (size_t i = 0; i < older.count; i++)
	{
		/* namespace,id,timestamp,value,last_written_value,writes, from the end */
		char	   *fields[5];
		char		key[4096];

		for (int f = 4; f > 0; f--)
		{
			fields[f] = strrchr(older.lines[i], ',') + 1;
			fields[f][-1] = '\0';
		}
		for (size_t j = 0; j < expected->count; j++)
		{
			char	   *line = expected->lines[j];
			char	   *at;
			double		value = strtod(fields[3], NULL);
			char		tail[128];

			snprintf(key, sizeof(key), "%s,\"{", older.lines[i]);
			snprintf(tail, sizeof(tail), "}\",%s,", fields[1]);
			at = strstr(line, tail);
			if (strncmp(line, key, strlen(key)) != 0 || at == NULL)
				continue;
			at += strlen(tail);
			/* the annotation may have been longer, the value not by that much */
			snprintf(key, sizeof(key), "%.*s%s,%016" PRIx64 ",s,", (int) (at - line), line,
					 fields[3], m3_double_bits(value));
			expected->lines[j] = strdup(key);
			found++;
		}
	}
	size = older.count;
	free_lines(&older);
	CHECK_INT(found, size);
	return found;
}

static void
check_mixed(void)
{
	char		root[M3_FILESET_PATH_SIZE];
	Lines		expected = read_expected("mixed");
	size_t		substituted = substitute(&expected);
	PointsReport report;

	CHECK_INT(substituted, 179);
	snprintf(root, sizeof(root), "%s/m3db/mixed", test_data());
	for (int pass = 0; pass < 2; pass++)
	{
		PointsOptions options = golden_options(root);
		size_t		size;
		char	   *text;
		Lines		actual;
		size_t		differing = 0;

		if (pass == 1)
			options.memory_size = 1;
		text = run_points(&options, &report, &size);
		actual = split_lines(text, size);
		CHECK_INT(actual.count, expected.count);
		for (size_t i = 0; i < actual.count && i < expected.count; i++)
		{
			if (strcmp(actual.lines[i], expected.lines[i]) != 0 && differing++ < 3)
				fprintf(stderr, "    %s\n  - %s\n", actual.lines[i], expected.lines[i]);
		}
		CHECK_INT(differing, 0);
		free_lines(&actual);
	}
	for (size_t i = 0; i < expected.count; i++)
	{
		char	   *line = expected.lines[i];

		if (line < expected.text || line > expected.text + expected.size)
			free(line);
	}
	free_lines(&expected);
}

static void
count_finding(void *context, VerifySeverity severity, const char *file, int64_t offset,
			  const char *what, const char *consequence)
{
	(void) context;
	CHECK(severity == VERIFY_NOTE || severity == VERIFY_DAMAGE);
	CHECK(file[0] != '\0' && offset >= -1 && what[0] != '\0' && consequence[0] != '\0');
	CHECK(strchr(what, '\n') == NULL);
}

static int
run_verify(const char *root, uint32_t shards, VerifyReport *report)
{
	VerifyOptions options;

	verify_options_default(&options);
	options.root = root;
	options.has_shards = shards != 0;
	options.shard_count = shards;
	memset(&err, 0, sizeof(err));
	CHECK_OK(verify_root(env, &m3_memory_malloc, &options, count_finding, NULL, report, &err));
	return verify_exit_code(report);
}

typedef struct Variant
{
	const char *name;
	size_t		points;
	int			exit_code;		/* of verify */
	bool		warns;			/* points does */
} Variant;

/* points: at least M3's; all where the damage hides nothing. */
static const Variant variants[] = {
	{"intact", 569, 0, false},
	{"log_torn_tail", 560, 1, true},
	{"log_torn_header", 560, 1, true},
	{"log_zero_tail", 560, 1, false},
	{"log_mid_flip", 539, 2, true},
	{"log_mid_size_flip", 539, 2, true},
	{"log_header_flip", 499, 2, true},
	{"flush_no_checkpoint", 419, 2, true},
	{"flush_bad_digest", 419, 2, true},
	{"flush_info_flip", 419, 2, true},
	{"flush_data_flip", 539, 2, true},
	{"flush_data_trunc", 449, 2, true},
	{"flush_index_trunc", 479, 2, true},
	{"flush_index_flip", 479, 2, true},
	{"flush_bloom_missing", 569, 2, false},
	{"flush_summaries_flip", 569, 2, false},
	{"snap_no_metadata", 569, 1, false},
	{"snap_no_checkpoint", 569, 1, true},
	{"snap_data_flip", 569, 1, true},
	{"snap_info_flip", 569, 1, true},
	{"snap_data_missing", 569, 1, true},
};

static Lines intact;

static bool
is_in(const Lines *sorted, char *line)
{
	return bsearch(&line, sorted->lines, sorted->count, sizeof(char *), compare_lines) != NULL;
}

static int	roots_verified;

static void
check_root(const char *root, const char *name, bool damaged)
{
	VerifyReport verified;
	const Variant *variant = NULL;
	PointsOptions options = golden_options(root);
	PointsReport report;
	Lines		actual;
	Lines		expected;
	char		folder[256];
	char	   *text;
	size_t		size;
	size_t		invented = 0;
	size_t		missing = 0;
	static const struct
	{
		const char *name;
		uint32_t	shards;
	}			shards[] = {{"warm", 8}, {"cold", 4}, {"commitlog", 8}, {"mixed", 4}, {"prom", 4}};

	roots_verified++;
	if (!damaged)
	{
		for (size_t i = 0; i < sizeof(shards) / sizeof(shards[0]); i++)
		{
			if (strcmp(shards[i].name, name) != 0)
				continue;
			CHECK_INT(run_verify(root, shards[i].shards, &verified), 0);
			CHECK(verified.points + verified.entries > 1000);
			CHECK_INT(run_verify(root, 0, &verified), 0);
			CHECK_INT(run_verify(root, 3, &verified), 2);	/* ids are elsewhere then */
		}
		return;
	}
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
	{
		if (strcmp(variants[i].name, name) == 0)
			variant = &variants[i];
	}
	if (!CHECK(variant != NULL))
		return;
	if (!CHECK(run_verify(root, 2, &verified) == variant->exit_code))
		fprintf(stderr, "    %s\n", name);
	text = run_points(&options, &report, &size);
	actual = split_lines(text, size);
	if (!CHECK(actual.count == variant->points && (report.warnings > 0) == variant->warns))
		fprintf(stderr, "    %s: %zu points, %" PRIu64 " warnings\n", name, actual.count,
				report.warnings);
	for (size_t i = 0; i < actual.count; i++)
		invented += !is_in(&intact, actual.lines[i]);
	CHECK_INT(invented, 0);
	snprintf(folder, sizeof(folder), "damaged/%s", name);
	expected = read_expected(folder);
	qsort(actual.lines, actual.count, sizeof(char *), compare_lines);
	for (size_t i = 0; i < expected.count; i++)
		missing += !is_in(&actual, expected.lines[i]);
	CHECK_INT(missing, 0);
	free_lines(&expected);
	free_lines(&actual);
}

/* Showing */

static int	files_shown;
static bool show_damaged;

static int
show_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	ShowOptions options = {.limit = 2};
	char	   *text = NULL;
	size_t		size;
	FILE	   *out;
	M3Status	status;
	const char *base = path + ftw->base;

	(void) st;
	if (flag != FTW_F || strstr(base, ".db") == NULL)
		return 0;
	out = open_memstream(&text, &size);
	memset(&err, 0, sizeof(err));
	status = show_file(env, &m3_memory_malloc, path, &options, out, &err);
	fclose(out);
	files_shown++;
	/* standby logs that were never written to have no header */
	if (status != M3_OK && !show_damaged)
		fprintf(stderr, "    %s: %s\n", path, err.message);
	CHECK(show_damaged ? status == M3_OK || status == M3_CORRUPT : status == M3_OK);
	CHECK(size > 0 || status != M3_OK);
	CHECK(size < 20000);
	free(text);
	return 0;
}

static void
show_root(const char *root, const char *name, bool damaged)
{
	show_damaged = damaged && strcmp(name, "intact") != 0;
	nftw(root, show_one, 16, FTW_PHYS);
}

/* Shown text of a file, to be freed. */
static char *
shown(const char *path, uint64_t limit, M3Status expected)
{
	ShowOptions options = {.limit = limit};
	char	   *text = NULL;
	size_t		size;
	FILE	   *out = open_memstream(&text, &size);

	memset(&err, 0, sizeof(err));
	CHECK_STATUS(show_file(env, &m3_memory_malloc, path, &options, out, &err), expected);
	fclose(out);
	return text;
}

static void
check_shown(const char *folder, const char *file, M3Status expected, const char *piece)
{
	char		path[M3_FILESET_PATH_SIZE];
	char	   *text;

	snprintf(path, sizeof(path), "%s/m3db/damaged/%s/%s", test_data(), folder, file);
	text = shown(path, 0, expected);
	if (!CHECK(strstr(text, piece) != NULL))
		fprintf(stderr, "    no \"%s\" in: %s\n", piece, text);
	free(text);
}

static void
test_show(void)
{
#define BLOCK "data/dmg/1/fileset-1709942400000000000-0-"
	CHECK_INT(each_golden_root(show_root), 26);
	CHECK(files_shown > 2000);
	check_shown("intact", BLOCK "info.db", M3_OK, "2024-03-09T00:00:00Z");
	check_shown("intact", BLOCK "info.db", M3_OK, "block size     2h");
	check_shown("intact", BLOCK "index.db", M3_OK, "end: 5 entries");
	check_shown("intact", BLOCK "data.db", M3_OK, "\"random.05\"");
	check_shown("intact", BLOCK "digest.db", M3_OK, "bloomfilter    ");
	check_shown("intact", BLOCK "bloomfilter.db", M3_OK, "for 5 ids");
	check_shown("intact", "commitlogs/commitlog-0-4.db", M3_OK, "end: clean");
	check_shown("flush_index_flip", BLOCK "index.db", M3_CORRUPT, "\"counter.01\"");
	check_shown("flush_data_flip", BLOCK "data.db", M3_CORRUPT, "fails its checksum");
	check_shown("flush_data_flip", BLOCK "digest.db", M3_CORRUPT, "the file has");
	check_shown("log_torn_tail", "commitlogs/commitlog-0-5.db", M3_CORRUPT, "end: torn");
	check_shown("log_mid_flip", "commitlogs/commitlog-0-4.db", M3_CORRUPT, "end: corrupt");
	free(shown("/etc/hostname", 0, M3_UNSUPPORTED));
	free(shown("/nonexistent/file", 0, M3_NOT_FOUND));
}

/* Our own engine's root */

static void
write_annotated(TestEngine *engine, const M3NamespaceOptions *options, int64_t time_ns,
				double value, const char *annotation, uint64_t xid, bool abort_it)
{
	M3CommitOptions commit = {.synchronous = true,.full_xid = xid};
	M3Txn	   *txn;

	CHECK_OK(m3_txn_begin(engine->dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_write(txn, test_series(txn, "own.noted", options, "a"), time_ns, value,
						  M3_UNIT_NONE, m3_slice_cstr(annotation), 0, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	if (abort_it)
		CHECK(m3_txn_abort(txn));
	else
		m3_txn_publish(txn);
	m3_txn_free(txn);
}

static void
test_own_root(void)
{
	static const char rows[] =
		"namespace,id,tags,timestamp_ns,value,value_bits,unit,annotation\n"
		"own.noted,a,\"{\"\"host\"\":\"\"a\"\"}\","
		"1700000000000000000,1,3ff0000000000000,s,bm90ZQ==\n"
		"own.noted,a,\"{\"\"host\"\":\"\"a\"\"}\","
		"1700000001000000000,2,4000000000000000,s,bm90ZQ==\n"
		"own.plain,x,\"{\"\"host\"\":\"\"x\"\"}\","
		"1699000000000000000,-0,8000000000000000,s,\n"
		"own.plain,x,\"{\"\"host\"\":\"\"x\"\"}\","
		"1700000000000000001,4,4010000000000000,ns,\n";
	M3NamespaceOptions namespace_options = test_options(7200);
	int64_t		noted_ns = INT64_C(1700000000) * S;
	const char *directory = in_scratch("own");
	const char *root = in_scratch("own/%u", TEST_ROOT_ID);
	const char *registry = in_scratch("own/%u/namespaces", TEST_ROOT_ID);
	TestEngine	engine;
	PointsOptions options;
	PointsReport report;
	VerifyReport verified;
	char	   *text;
	size_t		size;

	test_engine_open(&engine, env, directory, (size_t) 16 << 20, 1);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	/* the last write of a time counts, and aborted ones do not */
	CHECK_OK(test_write(&engine, 0, "own.plain", &namespace_options, "x",
						INT64_C(1700000000000000001), 3, &err));
	CHECK_OK(test_write(&engine, 0, "own.plain", &namespace_options, "x",
						INT64_C(1700000000000000001), 4, &err));
	CHECK_OK(test_write(&engine, 0, "own.plain", &namespace_options, "x",
						INT64_C(1699000000000000000), -0.0, &err));
	write_annotated(&engine, &namespace_options, noted_ns, 1, "note", 0, false);
	write_annotated(&engine, &namespace_options, noted_ns + S, 2, "note", 4711, false);
	write_annotated(&engine, &namespace_options, noted_ns + S, 7, "gone", 0, true);
	test_engine_crash(&engine);

	points_options_default(&options);
	options.root = root;
	text = run_points(&options, &report, &size);
	CHECK_BYTES(text, size, rows, sizeof(rows) - 1);
	CHECK_INT(report.warnings, 1);	/* of the transaction that had an id */
	CHECK_INT(report.points, 4);
	CHECK_INT(report.series, 2);
	free(text);
	/* M3 would not repeat the annotation */
	options.annotations = POINTS_ANNOTATIONS_M3;
	options.namespace_name = "own.noted";
	options.from_ns = INT64_C(1700000001000000000);
	text = run_points(&options, &report, &size);
	CHECK(strstr(text, ",s,\n") != NULL && strstr(text, "own.plain") == NULL);
	CHECK_INT(report.points, 1);
	free(text);
	/* the log's room is a note; shard count and seed come from the registry */
	CHECK(run_verify(root, 0, &verified) <= 1);
	CHECK_INT(verified.entries, 5);
	text = shown(registry, 0, M3_OK);
	CHECK(strstr(text, "\"own.plain\", blocks of 2h") != NULL);
	free(text);

	/* a registry that fails its checksum hides nothing from points */
	text = (char *) slurp(registry, &size);
	text[size / 2] ^= 1;
	{
		FILE	   *file = fopen(registry, "w");

		fwrite(text, 1, size, file);
		fclose(file);
	}
	free(text);
	points_options_default(&options);
	options.root = root;
	options.annotations = POINTS_ANNOTATIONS_ALL;
	text = run_points(&options, &report, &size);
	CHECK_BYTES(text, size, rows, sizeof(rows) - 1);
	CHECK_INT(report.warnings, 2);
	free(text);
	CHECK_INT(run_verify(root, 0, &verified), 2);
}

/* A block of another size than the namespace's others, and an id with every byte. */
static void
test_odd_blocks(void)
{
	static const uint8_t id[] = {0, 0, 1, 0xff, 'a', '"', ',', '\n'};
	char		root[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions first = fixture_options(in_scratch("odd/data/ns/0"));
	M3FilesetWriterOptions second = first;
	VerifyReport verified;
	PointsOptions options;
	PointsReport report;
	char	   *text;
	size_t		size;

	snprintf(root, sizeof(root), "%s", in_scratch("odd"));
	second.block_start_ns = first.block_start_ns - 24 * H;
	second.block_size_ns = 4 * H;
	for (int i = 0; i < 2; i++)
	{
		M3FilesetWriterOptions *w = i == 0 ? &first : &second;
		M3FilesetWriter *writer;
		M3Encoder	encoder;
		uint8_t		bytes[3 * M3_ENCODER_MAX_RECORD];
		M3Slice		payload;
		size_t		used = 0;
		size_t		written;

		m3_encoder_init(&encoder, w->block_start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
		for (int64_t hour = 0; hour < w->block_size_ns / H; hour += 2)
		{
			CHECK_OK(m3_encoder_append_value(&encoder, w->block_start_ns + hour * H,
											 (double) hour, bytes + used, &written, &err));
			used += written;
		}
		used += m3_encoder_tail(&encoder, bytes + used);
		payload = m3_slice(bytes, used);
		CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, w, &writer, &err));
		CHECK_OK(m3_fileset_writer_add(writer, m3_slice(id, sizeof(id)), m3_slice(NULL, 0),
									   &payload, 1, &err));
		CHECK_OK(m3_fileset_writer_finish(writer, &err));
		CHECK_OK(m3_fileset_writer_publish(writer, &err));
		m3_fileset_writer_free(writer);
	}
	CHECK_INT(run_verify(root, 0, &verified), 0);
	CHECK_INT(verified.points, 3);
	/* an empty log, and a name that M3DB's listing stumbles over */
	CHECK_OK(env->make_directory(env, in_scratch("odd/commitlogs"), &err));
	fclose(fopen(in_scratch("odd/commitlogs/commitlog-0-1.db"), "w"));
	fclose(fopen(in_scratch("odd/data/ns/0/fileset-160-x-data.db"), "w"));
	CHECK_INT(run_verify(root, 0, &verified), 1);
	CHECK_INT(verified.notes, 2);
	text = shown(in_scratch("odd/commitlogs/commitlog-0-1.db"), 0, M3_OK);
	CHECK(strstr(text, "empty") != NULL);
	free(text);
	points_options_default(&options);
	options.root = root;
	options.format = POINTS_JSONL;
	text = run_points(&options, &report, &size);
	CHECK_INT(report.points, 3);
	CHECK(strstr(text, "\"id\":\"\\u0000\\u0000\\u0001\\udcffa\\\",\\n\",\"tags\":{}") != NULL);
	free(text);
	options.from_ns = FIXTURE_START - 22 * H;
	options.to_ns = FIXTURE_START;
	text = run_points(&options, &report, &size);
	CHECK_INT(report.points, 1);
	CHECK(strstr(text, "\"value\":2,") != NULL);
	free(text);
}

static void
test_not_a_root(void)
{
	VerifyOptions options;
	VerifyReport report;
	PointsOptions points;
	PointsReport written;

	verify_options_default(&options);
	options.root = in_scratch("nothing");
	CHECK_STATUS(verify_root(env, &m3_memory_malloc, &options, count_finding, NULL, &report,
							 &err), M3_NOT_FOUND);
	options.root = scratch;
	CHECK_STATUS(verify_root(env, &m3_memory_malloc, &options, count_finding, NULL, &report,
							 &err), M3_NOT_FOUND);
	points_options_default(&points);
	points.root = scratch;
	CHECK_STATUS(points_write(env, &m3_memory_malloc, &points, stdout, ignore_warning, NULL,
							  &written, &err), M3_NOT_FOUND);
}

int
main(void)
{
	fixture_begin();
	check_same("warm");
	check_same("cold");
	check_same("commitlog");
	check_same("prom");
	check_mixed();
	intact = read_expected("damaged/intact");
	qsort(intact.lines, intact.count, sizeof(char *), compare_lines);
	CHECK_INT(each_golden_root(check_root), 26);
	CHECK_INT(roots_verified, 26);
	free_lines(&intact);
	test_show();
	test_own_root();
	test_odd_blocks();
	test_not_a_root();
	return fixture_end();
}
