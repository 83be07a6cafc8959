/*
 * Directories that M3DB itself wrote, loaded and exported again, are M3DB's to the byte, and are
 * bootstrapped to the same points.
 */
#include "test/unit/export_fixture.h"

typedef struct Folder
{
	const char *name;
	uint32_t	shards;
	int64_t		block_seconds;
	const char *namespaces[4];
	bool		only_files;		/* logs and snapshots add nothing */
} Folder;

static const Folder folders[] = {
	{"warm", 8, 7200, {"metrics"}, true},
	{"cold", 4, 7200, {"backfill_cleaned", "backfill_kept"}, true},
	{"mixed", 4, 7200, {"default"}, false},
	{"prom", 4, 3600, {"prom_legacy", "prom_prepend", "prom_quoted"}, true}
};

typedef struct Compared
{
	size_t		filesets;
	size_t		series;
	size_t		same_payloads;
	size_t		files;
	size_t		same_files;
	size_t		ordered;		/* filesets M3DB wrote in order of id */
	size_t		same_ordered;	/* of these, equal in all seven files but for the volume */
} Compared;

static M3FilesetReader *
open_fileset(const char *directory, const M3FilesetName *name)
{
	M3FilesetReaderOptions options = {.validate = true};
	M3FilesetReader *reader = NULL;

	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, name, &options, &reader,
									&err));
	return reader;
}

static bool
same_file(const char *golden, const M3FilesetName *name, const char *ours, M3FilesetFile file)
{
	M3FilesetName zero = {name->block_start_ns, 0, false};
	char		path[M3_FILESET_PATH_SIZE];
	uint8_t    *bytes[2];
	size_t		sizes[2];
	bool		same;

	CHECK_OK(m3_fileset_path(path, golden, name, file, &err));
	bytes[0] = slurp(path, &sizes[0]);
	CHECK_OK(m3_fileset_path(path, ours, &zero, file, &err));
	bytes[1] = slurp(path, &sizes[1]);
	same = bytes[0] != NULL && bytes[1] != NULL && sizes[0] == sizes[1] &&
		memcmp(bytes[0], bytes[1], sizes[0]) == 0;
	free(bytes[0]);
	free(bytes[1]);
	return same;
}

/* The same series with the same tags, and how many have the same bytes; whether M3DB wrote them
 * in order of id. */
static bool
compare_entries(M3FilesetReader *golden, M3FilesetReader *ours, Compared *c)
{
	M3FilesetScan *scans[2];
	M3FilesetEntry a;
	M3FilesetEntry b;
	bool		ordered = true;

	CHECK_OK(m3_fileset_scan_open(golden, M3_FILESET_BY_ID, &scans[0], &err));
	CHECK_OK(m3_fileset_scan_open(ours, M3_FILESET_BY_ID, &scans[1], &err));
	for (int64_t i = 0; m3_fileset_scan_next(scans[0], &a, &err) == M3_OK; i++)
	{
		M3Slice		payloads[2];

		if (!CHECK(m3_fileset_scan_next(scans[1], &b, &err) == M3_OK))
			break;
		CHECK(m3_slice_equal(a.id, b.id));
		CHECK(m3_slice_equal(a.tags, b.tags));
		CHECK_OK(m3_fileset_reader_data(golden, &a, &payloads[0], &err));
		CHECK_OK(m3_fileset_reader_data(ours, &b, &payloads[1], &err));
		c->series++;
		c->same_payloads += m3_slice_equal(payloads[0], payloads[1]);
		ordered = ordered && a.ordinal == i;
	}
	CHECK_STATUS(m3_fileset_scan_next(scans[1], &b, &err), M3_NOT_FOUND);
	m3_fileset_scan_close(scans[0]);
	m3_fileset_scan_close(scans[1]);
	return ordered;
}

static void
compare_block(const char *golden, const M3FilesetName *name, const char *ours, Compared *c)
{
	M3FilesetName zero = {name->block_start_ns, 0, false};
	M3FilesetReader *a = open_fileset(golden, name);
	int64_t		entries = a == NULL ? 0 : m3_fileset_reader_header(a)->info.entry_count;
	size_t		same = 0;

	/* M3DB writes filesets without series, we do not */
	if (entries > 0)
	{
		M3FilesetReader *b = open_fileset(ours, &zero);
		size_t		payloads_before = c->same_payloads - c->series;
		bool		ordered = compare_entries(a, b, c);

		for (int f = 0; f < M3_FILESET_FILE_COUNT; f++)
			same += same_file(golden, name, ours, (M3FilesetFile) f);
		c->filesets++;
		c->files += M3_FILESET_FILE_COUNT;
		c->same_files += same;
		CHECK(same_file(golden, name, ours, M3_FILESET_BLOOM));
		CHECK(name->volume != 0 || same_file(golden, name, ours, M3_FILESET_INFO));
		if (ordered && c->same_payloads - c->series == payloads_before)
		{
			/* the volume is in info, and so in digest and checkpoint */
			c->ordered++;
			c->same_ordered += same == (name->volume == 0 ? 7 : 4);
		}
		m3_fileset_reader_close(b);
	}
	m3_fileset_reader_close(a);
}

static void
compare_shard(const char *golden, const char *ours, Compared *c)
{
	M3FilesetList list;
	int64_t		last_ns = INT64_MIN;

	CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, golden, &list, &err));
	for (size_t i = 0; i < list.count; i++)
	{
		M3FilesetName name;
		M3FilesetHeader header;

		if (list.filesets[i].name.block_start_ns == last_ns)
			continue;
		last_ns = list.filesets[i].name.block_start_ns;
		CHECK_OK(m3_fileset_choose(env, golden, &list, last_ns, &name, &header, NULL, &err));
		compare_block(golden, &name, ours, c);
	}
	m3_fileset_list_free(&list);
}

static void
compare_namespace(const char *golden, const char *ours, const char *ns, Compared *c)
{
	uint32_t   *shards;
	size_t		count;

	CHECK_OK(m3_fileset_list_shards(env, &m3_memory_malloc, golden, M3_FILESET_KIND_DATA,
									m3_slice_cstr(ns), &shards, &count, &err));
	for (size_t i = 0; i < count; i++)
	{
		char		a[M3_FILESET_PATH_SIZE];
		char		b[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_shard_directory(a, golden, M3_FILESET_KIND_DATA, m3_slice_cstr(ns),
											shards[i], &err));
		CHECK_OK(m3_fileset_shard_directory(b, ours, M3_FILESET_KIND_DATA, m3_slice_cstr(ns),
											shards[i], &err));
		compare_shard(a, b, c);
	}
	free(shards);
}

static void
test_golden(const Folder *folder)
{
	int64_t		block_size_ns = folder->block_seconds * M3_NS_PER_SECOND;
	char		golden[M3_FILESET_PATH_SIZE];
	Rows		before[4] = {{0}};
	M3ExportResult result;
	Compared	c = {0};
	uint64_t	points = 0;

	snprintf(golden, sizeof(golden), "%s/m3db/%s", test_data(), folder->name);
	if (!CHECK(exists(golden)))
		return;
	open_copy(golden, in_scratch("roots"), folder->namespaces, folder->shards, 0, block_size_ns);
	for (int i = 0; folder->namespaces[i] != NULL; i++)
	{
		M3ExportOptions options = export_options(folder->namespaces[i], out, folder->shards, 0);

		before[i] = read_namespace(folder->namespaces[i], 0, INT64_MAX);
		CHECK_OK(run_export(&options, &result));
		CHECK_INT(result.points, before[i].count);
		points += result.points;
	}
	test_engine_crash(&engine);
	CHECK_INT(check_sound(out, folder->shards, 0).points, points);
	for (int i = 0; folder->only_files && folder->namespaces[i] != NULL; i++)
		compare_namespace(golden, out, folder->namespaces[i], &c);
	if (folder->only_files)
	{
		printf("%-5s %zu filesets: %zu of %zu payloads, %zu of %zu files, %zu of %zu ordered "
			   "filesets are M3DB's\n", folder->name, c.filesets, c.same_payloads, c.series,
			   c.same_files, c.files, c.same_ordered, c.ordered);
		CHECK(c.filesets > 0);
		CHECK_INT(c.same_ordered, c.ordered);
	}
	reports = read_errors = 0;
	open_copy(out, in_scratch("again"), folder->namespaces, folder->shards, 0, block_size_ns);
	for (int i = 0; folder->namespaces[i] != NULL; i++)
	{
		Rows		rows = read_namespace(folder->namespaces[i], 0, INT64_MAX);

		check_same_rows(&before[i], &rows);
		free(rows.rows);
		free(before[i].rows);
	}
	CHECK_INT(reports + read_errors, 0);
	close_and_clean();
}

int
main(void)
{
	export_begin();
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		test_golden(&folders[i]);
	return fixture_end();
}
