/*
 * Filesets written by M3: every one is read, checked, looked up and written
 * again to the same bytes; their points are M3's answers.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/bytes.h"
#include "storage/codec/m3tsz.h"
#include "storage/fileset/manifest.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/bloom.h"

static int	filesets_seen;
static int	filesets_rejected;
static int	entries_seen;
static bool may_be_damaged;

static void
copy_fileset(M3FilesetReader *reader, const char *directory, const char *target,
			 const M3FilesetName *name, size_t sort_memory_size)
{
	const M3FilesetInfo *info = &m3_fileset_reader_header(reader)->info;
	M3FilesetWriterOptions options = {
		.directory = target,
		.block_start_ns = info->block_start_ns,
		.block_size_ns = info->block_size_ns,
		.volume = info->volume,
		.is_snapshot = info->has_snapshot_id,
		.snapshot_time_ns = info->snapshot_time_ns,
		.sort_memory_size = sort_memory_size,
		.no_sync = true
	};
	M3FilesetWriter *writer;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Status	status;

	memcpy(options.snapshot_id, info->snapshot_id, sizeof(options.snapshot_id));
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, &err));
	while ((status = m3_fileset_scan_next(scan, &entry, &err)) == M3_OK)
	{
		M3Slice		payload;

		CHECK_OK(m3_fileset_reader_data(reader, &entry, &payload, &err));
		CHECK_OK(m3_fileset_writer_add(writer, entry.id, entry.tags, &payload, 1, &err));
	}
	CHECK_STATUS(status, M3_NOT_FOUND);
	m3_fileset_scan_close(scan);
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	CHECK(memcmp(m3_fileset_writer_header(writer), m3_fileset_reader_header(reader),
				 sizeof(M3FilesetHeader)) == 0);
	m3_fileset_writer_free(writer);
	CHECK(same_files(directory, name, target, name));
}

/* Each series is found, and ids next to it are not. */
static void
look_up(M3FilesetReader *reader)
{
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3FilesetEntry found;
	M3Slice		payload;
	char		id[4096];
	int			false_positives = 0;
	int64_t		count = 0;

	CHECK_OK(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, &err));
	while (m3_fileset_scan_next(scan, &entry, &err) == M3_OK)
	{
		int64_t		ordinal = entry.ordinal;
		size_t		size = entry.id.size;
		bool		maybe;

		memcpy(id, entry.id.data, size);
		CHECK_OK(m3_fileset_lookup(reader, m3_slice(id, size), false, &found, &err));
		CHECK_INT(found.ordinal, ordinal);
		CHECK(m3_slice_equal(found.id, m3_slice(id, size)));
		CHECK_OK(m3_fileset_reader_data(reader, &found, &payload, &err));
		id[size] = 'x';
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice(id, size + 1), true, &found, &err),
					 M3_NOT_FOUND);
		CHECK_OK(m3_fileset_may_contain(reader, m3_slice(id, size + 1), &maybe, &err));
		false_positives += maybe;
		id[0]--;
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice(id, size), true, &found, &err),
					 M3_NOT_FOUND);
		count++;
	}
	m3_fileset_scan_close(scan);
	CHECK_INT(count, m3_fileset_reader_header(reader)->info.entry_count);
	CHECK(false_positives <= 2 + count / 10);
	CHECK_STATUS(m3_fileset_lookup(reader, m3_slice("", 0), true, &found, &err), M3_NOT_FOUND);
	entries_seen += (int) count;
}

static void
check_fileset(const char *directory, const M3FilesetListed *listed, bool snapshot)
{
	M3FilesetReaderOptions options = {
		.validate = true,
		.access = filesets_seen % 2 == 0 ? M3_FILESET_PREAD : M3_FILESET_MAP
	};
	M3FilesetReader *reader;
	M3Status	status;
	const M3FilesetInfo *info;
	char		target[M3_FILESET_PATH_SIZE];

	filesets_seen++;
	status = m3_fileset_reader_open(env, &m3_memory_malloc, directory, &listed->name,
									&options, &reader, &err);
	if (may_be_damaged && status != M3_OK)
	{
		CHECK(status == M3_NOT_FOUND || status == M3_CORRUPT);
		filesets_rejected++;
		return;
	}
	CHECK_OK(status);
	if (status != M3_OK)
		return;
	info = &m3_fileset_reader_header(reader)->info;
	CHECK_INT(info->has_snapshot_id, snapshot);
	CHECK_INT(info->field_count, 11);
	snprintf(target, sizeof(target), "%s/copy", scratch);
	copy_fileset(reader, directory, target, &listed->name, 0);
	fixture_remove(target);
	copy_fileset(reader, directory, target, &listed->name, 1000);	/* every few entries a run */
	fixture_remove(target);
	look_up(reader);
	m3_fileset_reader_close(reader);
}

static void
check_root(const char *root, const char *name, bool damaged)
{
	static const struct
	{
		const char *variant;
		int			rejected;
	}			expected[] = {
		{"flush_no_checkpoint", 1}, {"flush_bad_digest", 1}, {"flush_info_flip", 1},
		{"flush_data_flip", 1}, {"flush_data_trunc", 1}, {"flush_index_trunc", 1},
		{"flush_index_flip", 1}, {"flush_bloom_missing", 1}, {"flush_summaries_flip", 1},
		{"snap_no_checkpoint", 1}, {"snap_data_flip", 1}, {"snap_info_flip", 1},
		{"snap_data_missing", 1}
	};
	int			rejected = 0;
	M3SnapshotMetadataList list;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
	{
		if (strcmp(name, expected[i].variant) == 0)
			rejected = expected[i].rejected;
	}
	may_be_damaged = damaged;
	filesets_rejected = 0;
	each_fileset(root, check_fileset);
	if (filesets_rejected != rejected)
		fprintf(stderr, "    %s\n", name);
	CHECK_INT(filesets_rejected, rejected);

	CHECK_OK(m3_snapshot_metadata_list(env, &m3_memory_malloc, root, &list, &err));
	for (size_t i = 0; i < list.count; i++)
		CHECK(list.entries[i].valid);
	CHECK(!m3_snapshot_metadata_ambiguous(&list));
	if (strcmp(name, "snap_no_metadata") == 0)
		CHECK_INT(list.count, 0);
	if (strcmp(name, "intact") == 0)
	{
		int64_t		next;

		CHECK_INT(list.count, 2);
		CHECK_INT(m3_snapshot_metadata_newest(&list)->name.index, 3);
		CHECK_INT(m3_snapshot_metadata_newest(&list)->log_index, 4);
		CHECK_OK(m3_snapshot_metadata_next_index(&list, &next, &err));
		CHECK_INT(next, 4);
	}
	m3_snapshot_metadata_list_free(&list);
}

/* Points against expected.csv */

typedef struct Row
{
	char	   *key;			/* namespace \1 id */
	int64_t		time_ns;
	uint64_t	bits;
	unsigned	unit;
} Row;

typedef struct Rows
{
	Row		   *rows;
	size_t		count;
	size_t		capacity;
} Rows;

static Row *
new_row(Rows *rows)
{
	if (rows->count == rows->capacity)
	{
		rows->capacity = rows->capacity * 2 + 1000;
		rows->rows = realloc(rows->rows, rows->capacity * sizeof(Row));
	}
	return &rows->rows[rows->count++];
}

static int
compare_rows(const void *a, const void *b)
{
	const Row  *x = a;
	const Row  *y = b;
	int			order = strcmp(x->key, y->key);

	if (order != 0)
		return order;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static void
free_rows(Rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->rows[i].key);
	free(rows->rows);
	memset(rows, 0, sizeof(*rows));
}

/* One CSV field into out; returns what follows its comma. */
static const char *
csv_field(const char *p, char *out)
{
	bool		quoted = *p == '"';

	if (quoted)
		p++;
	while (*p != '\0' && *p != '\n' && *p != '\r' && (quoted || *p != ','))
	{
		if (quoted && *p == '"')
		{
			if (p[1] != '"')
			{
				p++;
				break;
			}
			p++;
		}
		*out++ = *p++;
	}
	*out = '\0';
	return *p == ',' ? p + 1 : p;
}

static void
read_csv(const char *path, Rows *rows)
{
	size_t		size;
	char	   *text = (char *) slurp(path, &size);
	const char *p = text;
	char	   *fields[8];

	if (!CHECK(text != NULL))
		return;
	for (int i = 0; i < 8; i++)
		fields[i] = malloc(size + 1);
	p = strchr(p, '\n') + 1;
	while (*p != '\0')
	{
		Row		   *row;

		for (int i = 0; i < 8; i++)
			p = csv_field(p, fields[i]);
		while (*p == '\n' || *p == '\r')
			p++;
		row = new_row(rows);
		row->key = malloc(strlen(fields[0]) + strlen(fields[1]) + 2);
		sprintf(row->key, "%s\1%s", fields[0], fields[1]);
		row->time_ns = strtoll(fields[3], NULL, 10);
		row->bits = strtoull(fields[5], NULL, 16);
		row->unit = (unsigned) m3_unit_from_name(fields[6]);
	}
	for (int i = 0; i < 8; i++)
		free(fields[i]);
	free(text);
}

static void
decode_series(const char *namespace_name, M3Slice id, M3Slice payload, Rows *rows)
{
	M3Decoder	decoder;
	int64_t		times[64];
	double		values[64];
	uint8_t		units[64];
	size_t		count;

	m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
	do
	{
		CHECK_OK(m3_decoder_next_values(&decoder, times, values, units, 64, &count, &err));
		for (size_t i = 0; i < count; i++)
		{
			Row		   *row = new_row(rows);

			row->key = malloc(strlen(namespace_name) + id.size + 2);
			sprintf(row->key, "%s\1%.*s", namespace_name, (int) id.size,
					(const char *) id.data);
			row->time_ns = times[i];
			row->bits = m3_double_bits(values[i]);
			row->unit = units[i];
		}
	} while (count == 64);
}

/* All points of the winning volumes, found through a manifest. */
static void
read_root(const char *root, M3FilesetKind kind, M3FilesetAccess access, bool validate,
		  Rows *rows)
{
	M3Manifest *manifest;

	CHECK_OK(m3_manifest_create(env, &m3_memory_malloc, root, kind, &manifest, &err));
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	for (size_t n = 0; n < manifest->count; n++)
	{
		const M3ManifestNamespace *ns = &manifest->namespaces[n];

		for (size_t s = 0; s < ns->count; s++)
		{
			const M3ManifestFileset *fileset;
			size_t		position = 0;
			char		directory[M3_FILESET_PATH_SIZE];

			CHECK_OK(m3_fileset_shard_directory(directory, root, kind,
												m3_slice_cstr(ns->name), ns->shards[s].shard,
												&err));
			while ((fileset = m3_manifest_next_block(&ns->shards[s], INT64_MIN, INT64_MAX,
													 &position)) != NULL)
			{
				M3FilesetReaderOptions options = {
					.header = &fileset->header,.access = access,.validate = validate
				};
				M3FilesetReader *reader;
				M3FilesetScan *scan;
				M3FilesetEntry entry;
				M3Slice		payload;

				if (m3_fileset_reader_open(env, &m3_memory_malloc, directory, &fileset->name,
										   &options, &reader, &err) != M3_OK)
					continue;
				if (m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, &err) == M3_OK)
				{
					while (m3_fileset_scan_next(scan, &entry, &err) == M3_OK)
					{
						if (m3_fileset_reader_data(reader, &entry, &payload, &err) == M3_OK)
							decode_series(ns->name, entry.id, payload, rows);
					}
					m3_fileset_scan_close(scan);
				}
				m3_fileset_reader_close(reader);
			}
		}
	}
	m3_manifest_free(manifest);
	qsort(rows->rows, rows->count, sizeof(Row), compare_rows);
}

static void
check_points(const char *folder, size_t count)
{
	char		path[M3_FILESET_PATH_SIZE];
	Rows		expected = {0};
	Rows		actual = {0};
	size_t		differing = 0;

	snprintf(path, sizeof(path), "%s/m3db/%s/expected.csv", test_data(), folder);
	read_csv(path, &expected);
	qsort(expected.rows, expected.count, sizeof(Row), compare_rows);
	snprintf(path, sizeof(path), "%s/m3db/%s", test_data(), folder);
	read_root(path, M3_FILESET_KIND_DATA, M3_FILESET_PREAD, false, &actual);
	CHECK_INT(expected.count, count);
	CHECK_INT(actual.count, count);
	for (size_t i = 0; i < count && i < actual.count && i < expected.count; i++)
	{
		const Row  *a = &actual.rows[i];
		const Row  *e = &expected.rows[i];

		if (strcmp(a->key, e->key) != 0 || a->time_ns != e->time_ns || a->bits != e->bits ||
			a->unit != e->unit)
		{
			if (differing++ < 5)
				fprintf(stderr, "    %s: row %zu: %s %" PRId64 " %" PRIx64 " %u, not %s %" PRId64
						" %" PRIx64 " %u\n", folder, i, a->key, a->time_ns, a->bits, a->unit,
						e->key, e->time_ns, e->bits, e->unit);
		}
	}
	CHECK_INT(differing, 0);
	free_rows(&expected);
	free_rows(&actual);
}

static Rows intact;

/* What a damaged directory still gives is part of what the intact one has. */
static void
check_no_invention(const char *root, const char *name, bool damaged)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		invented = 0;

	if (!damaged || strncmp(name, "log_", 4) == 0)
		return;
	if (intact.count == 0)
	{
		snprintf(path, sizeof(path), "%s/m3db/damaged/intact/expected.csv", test_data());
		read_csv(path, &intact);
		qsort(intact.rows, intact.count, sizeof(Row), compare_rows);
	}
	for (int pass = 0; pass < 8; pass++)
	{
		M3FilesetKind kind = pass & 4 ? M3_FILESET_KIND_SNAPSHOT : M3_FILESET_KIND_DATA;
		Rows		rows = {0};

		read_root(root, kind, pass & 1 ? M3_FILESET_MAP : M3_FILESET_PREAD, pass & 2, &rows);
		for (size_t i = 0; i < rows.count; i++)
		{
			const Row  *same = bsearch(&rows.rows[i], intact.rows, intact.count, sizeof(Row),
									   compare_rows);

			if (same == NULL || same->unit != rows.rows[i].unit ||
				same->bits != rows.rows[i].bits)
				invented++;
		}
		if (strcmp(name, "intact") == 0)
			CHECK(rows.count > (kind == M3_FILESET_KIND_DATA ? 250 : 100));
		else
			CHECK(rows.count >= (kind == M3_FILESET_KIND_DATA ? 100 : 50));	/* another shard's */
		free_rows(&rows);
	}
	CHECK_INT(invented, 0);
}

static void
test_manifest(void)
{
	char		root[M3_FILESET_PATH_SIZE];
	M3Manifest *manifest;
	M3ManifestTotals totals;
	const M3ManifestNamespace *ns;
	uint64_t	reads;

	snprintf(root, sizeof(root), "%s/m3db/cold", test_data());
	CHECK_OK(m3_manifest_create(env, &m3_memory_malloc, root, M3_FILESET_KIND_DATA, &manifest,
								&err));
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->count, 2);
	ns = m3_manifest_namespace(manifest, m3_slice_cstr("backfill_kept"));
	CHECK_INT(ns->count, 4);
	m3_manifest_totals(ns, &totals);
	CHECK(totals.superseded > 0);
	CHECK_INT(totals.damaged, 0);
	CHECK_INT(totals.incomplete, 0);
	CHECK_INT(totals.first_ns, INT64_C(1709683200000000000) - 2 * INT64_C(7200000000000));
	for (size_t s = 0; s < ns->count; s++)
	{
		const M3ManifestNamespace *cleaned =
			m3_manifest_namespace(manifest, m3_slice_cstr("backfill_cleaned"));
		const M3ManifestShard *a = m3_manifest_shard(ns, ns->shards[s].shard);
		const M3ManifestShard *b = m3_manifest_shard(cleaned, ns->shards[s].shard);
		size_t		position = 0;
		const M3ManifestFileset *fileset;

		while ((fileset = m3_manifest_next_block(b, INT64_MIN, INT64_MAX, &position)) != NULL)
		{
			const M3ManifestFileset *other =
				m3_manifest_block(a, fileset->name.block_start_ns);

			/* same points either way, whatever the volume's number */
			if (CHECK(other != NULL))
				CHECK_INT(other->header.info.entry_count, fileset->header.info.entry_count);
		}
	}
	reads = manifest->headers_read;
	CHECK_OK(m3_manifest_refresh(manifest, true, &err));
	CHECK_INT(manifest->headers_read, reads);
	m3_manifest_free(manifest);
}

int
main(void)
{
	int			roots;

	fixture_begin();
	roots = each_golden_root(check_root);
	CHECK_INT(roots, 26);
	CHECK(filesets_seen > 500);
	CHECK(entries_seen > 1400);
	check_points("warm", 16877);
	check_points("cold", 5142);
	each_golden_root(check_no_invention);
	free_rows(&intact);
	test_manifest();
	fprintf(stderr, "%d filesets, %d entries\n", filesets_seen, entries_seen);
	return fixture_end();
}
