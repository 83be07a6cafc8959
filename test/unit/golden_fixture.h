/*
 * What the tests on directories that M3DB wrote share: which there are, the points they are said to
 * hold, and those that a database returns.
 */
#ifndef M3_TEST_GOLDEN_FIXTURE_H
#define M3_TEST_GOLDEN_FIXTURE_H

#include "storage/m3.h"
#include "test/unit/fileset_fixture.h"

typedef struct Row
{
	char		ns[32];
	char		id[224];
	int64_t		time_ns;
	uint64_t	bits;
} Row;

typedef struct Rows
{
	Row		   *rows;
	size_t		count;
	size_t		capacity;
} Rows;

typedef struct Folder
{
	const char *name;
	uint32_t	shards;
	int64_t		block_seconds;
	const char *namespaces[4];
} Folder;

static const Folder folders[] = {
	{"warm", 8, 7200, {"metrics"}},
	{"cold", 4, 7200, {"backfill_cleaned", "backfill_kept"}},
	{"commitlog", 8, 0, {"log_agg", "log_raw"}},
	{"mixed", 4, 7200, {"default"}},
	{"prom", 4, 3600, {"prom_legacy", "prom_prepend", "prom_quoted"}}
};

static size_t read_errors;

/* --- rows --------------------------------------------------------------- */

static inline Row *
add_row(Rows *rows)
{
	if (rows->count == rows->capacity)
	{
		rows->capacity = rows->capacity * 2 + 1024;
		rows->rows = realloc(rows->rows, rows->capacity * sizeof(Row));
		if (rows->rows == NULL)
			abort();
	}
	memset(&rows->rows[rows->count], 0, sizeof(Row));
	return &rows->rows[rows->count++];
}

static inline int
compare_rows(const void *left, const void *right)
{
	const Row  *a = left;
	const Row  *b = right;
	int			order = strcmp(a->ns, b->ns);

	if (order == 0)
		order = memcmp(a->id, b->id, sizeof(a->id));
	if (order == 0)
		order = (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
	return order;
}

static inline void
sort_rows(Rows *rows)
{
	if (rows->count > 0)
		qsort(rows->rows, rows->count, sizeof(Row), compare_rows);
}

static inline Row *
find_row(const Rows *rows, const Row *wanted)
{
	return rows->count == 0 ? NULL :
		bsearch(wanted, rows->rows, rows->count, sizeof(Row), compare_rows);
}

/* The next field of a line as RFC 4180 has it, without its quotes; false after the last. */
static inline bool
next_field(char **p, char *out, size_t size)
{
	bool		quoted = **p == '"';
	size_t		n = 0;

	if (**p == '\0' || **p == '\n')
		return false;
	*p += quoted;
	while (**p != '\0' && **p != '\n')
	{
		if (quoted && (*p)[0] == '"' && (*p)[1] != '"')
		{
			(*p)++;
			break;
		}
		if (!quoted && **p == ',')
			break;
		*p += quoted && (*p)[0] == '"';
		if (n + 1 < size)
			out[n++] = **p;
		(*p)++;
	}
	out[n] = '\0';
	*p += **p == ',';
	return true;
}

/* Columns: namespace, id, [tags,] time, value, value_bits or last_written_value. */
static inline bool
read_rows(const char *path, bool with_tags, Rows *rows)
{
	FILE	   *f = fopen(path, "r");
	char		line[4096];
	char		field[2048];

	if (f == NULL)
		return false;
	if (fgets(line, sizeof(line), f) == NULL)
		abort();
	while (fgets(line, sizeof(line), f) != NULL)
	{
		Row		   *row = add_row(rows);
		char	   *p = line;
		double		value;

		next_field(&p, row->ns, sizeof(row->ns));
		next_field(&p, row->id, sizeof(row->id));
		if (with_tags)
			next_field(&p, field, sizeof(field));
		next_field(&p, field, sizeof(field));
		row->time_ns = strtoll(field, NULL, 10);
		next_field(&p, field, sizeof(field));
		next_field(&p, field, sizeof(field));
		if (with_tags)
			row->bits = strtoull(field, NULL, 16);
		else
		{
			value = strtod(field, NULL);
			memcpy(&row->bits, &value, sizeof(value));
		}
	}
	fclose(f);
	sort_rows(rows);
	return true;
}

/* --- what a database returns -------------------------------------------- */

static inline void
read_series(M3Scan *scan, M3Reader *reader, size_t number, const char *ns, Rows *rows)
{
	M3PointBatch batch;
	M3Status	status;
	M3Slice		id;
	M3Slice		tags;

	m3_scan_series(scan, number, &id, &tags);
	status = m3_reader_open(reader, number, &err);
	while (status == M3_OK && (status = m3_reader_next(reader, &batch, &err)) == M3_OK)
	{
		for (size_t i = 0; i < batch.count; i++)
		{
			Row		   *row = add_row(rows);

			snprintf(row->ns, sizeof(row->ns), "%.31s", ns);
			memcpy(row->id, id.data, id.size < sizeof(row->id) ? id.size : sizeof(row->id) - 1);
			row->time_ns = batch.times_ns[i];
			memcpy(&row->bits, &batch.values[i], sizeof(row->bits));
		}
	}
	read_errors += status != M3_NOT_FOUND;
}

static inline void
read_namespace(M3Database *db, const char *ns, Rows *rows)
{
	M3ScanOptions options = {.start_ns = 0,.end_ns = INT64_MAX};
	M3Snapshot *snapshot = NULL;
	M3Scan	   *scan = NULL;
	M3Reader   *reader = NULL;

	CHECK_OK(m3_snapshot_take(db, &snapshot, &err));
	options.snapshot = snapshot;
	CHECK_OK(m3_scan_open(db, m3_slice_cstr(ns), &options, &m3_memory_malloc, &scan, &err));
	CHECK_OK(m3_reader_create(scan, &reader, &err));
	for (size_t s = 0; s < m3_scan_series_count(scan); s++)
		read_series(scan, reader, s, ns, rows);
	m3_reader_free(reader);
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
}

/* What was read of a damaged directory: never a point that was not there before the damage, and no
 * fewer than M3 returns. */
static inline void
check_damaged(const char *name, const char *golden, const Rows *rows, const Rows *intact,
			  size_t reports)
{
	char		path[M3_FILESET_PATH_SIZE + 32];
	Rows		of_m3 = {0};
	size_t		invented = 0;

	snprintf(path, sizeof(path), "%s/expected.csv", golden);
	(void) read_rows(path, true, &of_m3);
	for (size_t i = 0; i < rows->count; i++)
	{
		const Row  *row = find_row(intact, &rows->rows[i]);

		invented += row == NULL || row->bits != rows->rows[i].bits;
	}
	CHECK_INT(invented, 0);
	/* a series is read to its first error, M3 block by block */
	if (!CHECK(rows->count >= of_m3.count || read_errors > 0))
		fprintf(stderr, "    %s: %zu points, M3 has %zu\n", name, rows->count, of_m3.count);
	CHECK(reports + read_errors > 0 || rows->count == intact->count ||
		  strstr(name, "_checkpoint") != NULL || strstr(name, "_zero_") != NULL);
	if (getenv("M3_VERBOSE") != NULL)
		printf("%-22s %4zu points, M3 %4zu, of %zu; %zu reports, %zu read errors\n", name,
			   rows->count, of_m3.count, intact->count, reports, read_errors);
	free(of_m3.rows);
}

#endif							/* M3_TEST_GOLDEN_FIXTURE_H */
