/*
 * m3dump and statistics: sound ones are no finding, those that nobody believes a note, those that
 * are believed and wrong are damage.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/buffer/points.h"
#include "storage/buffer/summary.h"
#include "storage/fileset/statistics.h"
#include "tools/show.h"
#include "tools/verify.h"

#define SERIES 70
#define POINTS 400
#define S M3_NS_PER_SECOND

static const M3FilesetName name = {FIXTURE_START, 0, false};
static char directory[M3_FILESET_PATH_SIZE];
static char statistics_path[M3_FILESET_PATH_SIZE];
static M3SeriesStatistics series[SERIES];
static size_t sizes[SERIES];
static M3FilesetHeader header;

static void
write_series(M3FilesetWriter *writer, int i)
{
	M3Points	points;
	M3Summary	summary = {.count = 0};
	uint8_t    *bytes = NULL;
	size_t		capacity = 0;
	M3Slice		payload;
	char		id[32];

	m3_points_init(&points, &m3_memory_malloc, false);
	for (int p = 0; p < POINTS; p++)
	{
		M3Point		point = {
			.time_ns = FIXTURE_START + p * 10 * S,.value = i + (double) (p * 7919 % 1013) / 8,
			.unit = M3_UNIT_SECOND
		};

		CHECK_OK(m3_points_add(&points, &point, &err));
	}
	CHECK_OK(m3_points_encode(&points, FIXTURE_START, &m3_memory_malloc, &bytes, &capacity,
							  &payload.size, &err));
	payload.data = bytes;
	snprintf(id, sizeof(id), "s%03d", i);
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(id), m3_slice(NULL, 0), &payload, 1,
								   &err));
	m3_summary_add(&summary, M3_SUMMARY_ALL, points.times_ns, points.values, points.count);
	series[i] = (M3SeriesStatistics) {
		.count = summary.count,.is_known = true,.first_ns = summary.first_ns,
		.last_ns = summary.last_ns,.first = summary.first,.last = summary.last,
		.min = summary.min,.max = summary.max,.sum = summary.sum,.squares = summary.squares
	};
	m3_xxh3_128_le64(points.times_ns, points.count, series[i].times);
	sizes[i] = payload.size;
	free(bytes);
	m3_points_free(&points);
}

static void
write_statistics(void)
{
	M3StatisticsWriter *writer;
	uint64_t	size;

	CHECK_OK(m3_statistics_writer_create(env, &m3_memory_malloc, directory, &name, &writer, &err));
	for (int i = 0; i < SERIES; i++)
		CHECK_OK(m3_statistics_writer_add(writer, &series[i], sizes[i], &err));
	CHECK_OK(m3_statistics_writer_finish(writer, &header, &size, &err));
	m3_statistics_writer_free(writer);
}

static void
ignore_finding(void *context, VerifySeverity severity, const char *file, int64_t offset,
			   const char *what, const char *consequence)
{
	(void) severity;
	(void) offset;
	CHECK(file[0] != '\0' && what[0] != '\0' && consequence[0] != '\0');
	if (strstr(file, "statistics-") != NULL)
		(*(int *) context)++;
}

/* The exit code; *findings: about statistics. */
static int
verify(int *findings)
{
	VerifyOptions options;
	VerifyReport report;

	verify_options_default(&options);
	options.root = scratch;
	*findings = 0;
	CHECK_OK(verify_root(env, &m3_memory_malloc, &options, ignore_finding, findings, &report,
						 &err));
	CHECK_INT(report.points, SERIES * POINTS);
	CHECK_INT(report.filesets, 1);
	return verify_exit_code(&report);
}

static void
expect(int code)
{
	int			findings;

	CHECK_INT(verify(&findings), code);
	CHECK_INT(findings, code != 0);
}

/* A statistic that says something else. */
static void
expect_wrong(double *value, double wrong)
{
	double		right = *value;

	*value = wrong;
	write_statistics();
	*value = right;
	expect(2);
}

static void
test_verify(void)
{
	uint8_t    *bytes;
	size_t		size;
	char		alone[M3_FILESET_PATH_SIZE];
	M3FilesetName next = {FIXTURE_START + FIXTURE_SIZE, 0, false};

	write_statistics();
	expect(0);
	expect_wrong(&series[40].first, 1e6);
	expect_wrong(&series[40].last, 1e6);
	expect_wrong(&series[40].min, -1);
	expect_wrong(&series[40].max, 1e6);
	expect_wrong(&series[40].sum, series[40].sum + 0.01);
	expect_wrong(&series[40].squares, series[40].squares * 1.0001);
	series[3].last_ns++;
	write_statistics();
	expect(2);
	series[3].last_ns--;
	for (int i = 0; i < 2; i++)
	{
		series[5].times[i] ^= 1;
		write_statistics();
		expect(2);
		series[5].times[i] ^= 1;
	}
	/* the order in which a sum is made is nobody's business */
	series[3].sum = nextafter(series[3].sum, 0);
	write_statistics();
	expect(0);

	/* the total alone */
	bytes = slurp(statistics_path, &size);
	m3_store_le64(bytes + 48, m3_load_le64(bytes + 48) + 1);
	m3_store_le64(bytes + 72, m3_xxh64(bytes, 72));
	spew(statistics_path, bytes, size);
	expect(2);
	free(bytes);

	write_statistics();
	bytes = slurp(statistics_path, &size);
	for (size_t at = 0; at < size; at += 11)
	{
		bytes[at] ^= 4;
		spew(statistics_path, bytes, size);
		expect(1);
		bytes[at] ^= 4;
		spew(statistics_path, bytes, at);
		expect(1);
	}
	spew(statistics_path, bytes, size);
	expect(0);
	CHECK_OK(m3_fileset_path(alone, directory, &next, M3_FILESET_STATISTICS, &err));
	spew(alone, bytes, size);
	expect(1);
	remove(alone);
	remove(statistics_path);
	expect(0);
	free(bytes);
}

static M3Status
show(const char *path, char **text)
{
	ShowOptions options = {.limit = 5};
	size_t		size;
	FILE	   *out = open_memstream(text, &size);
	M3Status	status = show_file(env, &m3_memory_malloc, path, &options, out, &err);

	fclose(out);
	return status;
}

static void
test_show(void)
{
	const char *other = in_scratch("nameless");
	uint8_t    *bytes;
	size_t		size;
	char	   *text;

	write_statistics();
	CHECK_OK(show(statistics_path, &text));
	CHECK(strstr(text, "points         28000\n") != NULL && strstr(text, "  ok\n") != NULL &&
		  strstr(text, "... 65 more series") != NULL && strstr(text, "400 points, ") != NULL);
	free(text);
	bytes = slurp(statistics_path, &size);
	spew(other, bytes, size);
	CHECK_OK(show(other, &text));
	free(text);
	for (size_t at = 0; at < size; at++)
	{
		bytes[at] ^= 16;
		spew(statistics_path, bytes, size);
		CHECK_STATUS(show(statistics_path, &text), M3_CORRUPT);
		free(text);
		bytes[at] ^= 16;
		spew(statistics_path, bytes, at);
		CHECK_STATUS(show(statistics_path, &text), M3_CORRUPT);
		free(text);
	}
	free(bytes);
}

int
main(void)
{
	M3FilesetWriterOptions options;
	M3FilesetWriter *writer;

	fixture_begin();
	strcpy(directory, in_scratch("data/ns/0"));
	options = fixture_options(directory);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < SERIES; i++)
		write_series(writer, i);
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	header = *m3_fileset_writer_header(writer);
	m3_fileset_writer_free(writer);
	CHECK_OK(m3_fileset_path(statistics_path, directory, &name, M3_FILESET_STATISTICS, &err));
	test_verify();
	test_show();
	return fixture_end();
}
