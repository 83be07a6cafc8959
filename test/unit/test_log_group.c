/*
 * Transactions in the log: whole or not at all, taken back, resolved; and the
 * scan of a directory of logs.
 */
#include "check.h"
#include "log_fixture.h"

#include "storage/log/group.h"

#define NOW INT64_C(1700000000123456789)

static M3Env *env;
static char root[256];

/* A file under construction, in memory. */
typedef struct Image
{
	uint8_t    *data;
	size_t		size;
	size_t		capacity;
} Image;

static void
image_add(Image *image, const void *data, size_t size)
{
	if (image->size + size > image->capacity)
	{
		image->capacity = (image->size + size) * 2;
		image->data = realloc(image->data, image->capacity);
	}
	if (size > 0)
		memcpy(image->data + image->size, data, size);
	image->size += size;
}

static void
image_start(Image *image, int64_t index)
{
	uint8_t		header[12 + M3_LOG_INFO_MAX_SIZE];
	M3LogInfo	info = {NOW, 900, index};
	size_t		size = (size_t) (m3_log_put_info(header + 12, &info) - (header + 12));

	image->size = 0;
	m3_log_put_chunk_header(header, header + 12, size);
	image_add(image, header, 12 + size);
}

static void
image_save(const Image *image, size_t size, int64_t index)
{
	char		path[600];
	M3Error		err;

	CHECK_OK(m3_log_path(path, sizeof(path), root, (uint64_t) index, &err));
	fixture_write(env, path, image->data, size);
}

/* Points series 1.. of values first.., the first of each series with metadata. */
static size_t
add_points(M3LogGroup *group, uint64_t count, double first, bool with_metadata)
{
	M3Error		err;
	M3LogSeriesMetadata metadata = {
		.id = m3_slice_cstr("id"), .namespace = m3_slice_cstr("ns"), .shard = 3
	};
	bool		good = true;

	for (uint64_t i = 0; i < count; i++)
		good = good && m3_log_group_add(group, 1 + i % 3, NOW + (int64_t) i, first + (double) i,
										M3_UNIT_NANOSECOND, m3_slice(NULL, 0),
										with_metadata && i < 3 ? &metadata : NULL, &err) == M3_OK;
	CHECK(good);
	return count;
}

/* Appends a group, returns its offset. */
static uint64_t
image_group(Image *image, M3LogGroup *group, uint64_t xid, uint64_t count, double first)
{
	uint64_t	offset = image->size;
	M3Slice		bytes;
	M3Error		err;

	CHECK_OK(m3_log_group_begin(group, xid, NOW, &err));
	add_points(group, count, first, true);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	image_add(image, bytes.data, bytes.size);
	return offset;
}

static uint64_t
image_marker(Image *image, M3LogMarker marker)
{
	uint64_t	offset = image->size;
	uint8_t		chunk[M3_LOG_MARKER_MAX_SIZE];

	image_add(image, chunk, m3_log_marker_chunk(chunk, &marker, NOW));
	return offset;
}

/* What a replay delivers. */
typedef struct Seen
{
	size_t		groups;
	size_t		open;
	uint64_t	xids[64];
	uint64_t	indexes[64];
	uint64_t	offsets[64];
	uint64_t	entries[64];
	bool		resolved[64];
	double		sum[64];
	size_t		voids;
	char		void_names[64][M3_LOG_MARKER_NAME_MAX_SIZE + 1];
	bool		void_dropped[64];
	size_t		void_groups[64];	/* number of the group, as shown */
	uint64_t	refuse_xid;
	size_t		ends;
	size_t		files;
	uint64_t	progress;
	uint64_t	total;
} Seen;

static M3Status
seen_begin(void *context, const M3LogGroupInfo *group, bool *apply, M3Error *err)
{
	Seen	   *seen = context;

	(void) err;
	CHECK(*apply);
	if (group->xid != 0 && group->xid == seen->refuse_xid)
	{
		*apply = false;
		return M3_OK;
	}
	CHECK_INT(seen->groups, seen->ends);
	seen->xids[seen->groups] = group->xid;
	seen->indexes[seen->groups] = group->log_index;
	seen->offsets[seen->groups] = group->offset;
	seen->resolved[seen->groups] = group->is_resolved;
	seen->groups++;
	return M3_OK;
}

static M3Status
seen_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	Seen	   *seen = context;
	size_t		n = seen->groups - 1;

	(void) err;
	(void) group;
	seen->entries[n]++;
	seen->sum[n] += record->value;
	return M3_OK;
}

static M3Status
seen_voided(void *context, const M3LogGroupInfo *group, const M3LogMarker *marker, M3Error *err)
{
	Seen	   *seen = context;
	size_t		n = seen->voids++;

	(void) err;
	CHECK_INT(marker->kind, M3_LOG_MARKER_VOID);
	CHECK_INT(group->offset, seen->offsets[seen->groups - 1]);
	/* before the points, between begin and end */
	CHECK_INT(seen->groups, seen->ends + 1);
	CHECK_INT(seen->entries[seen->groups - 1], 0);
	memcpy(seen->void_names[n], marker->name.data, marker->name.size);
	seen->void_dropped[n] = marker->dropped;
	seen->void_groups[n] = seen->groups - 1;
	return M3_OK;
}

static M3Status
seen_end(void *context, const M3LogGroupInfo *group, M3Error *err)
{
	Seen	   *seen = context;

	(void) err;
	(void) group;
	seen->ends++;
	return M3_OK;
}

static M3Status
seen_file(void *context, const M3LogFile *file, M3Error *err)
{
	(void) err;
	(void) file;
	((Seen *) context)->files++;
	return M3_OK;
}

static M3Status
seen_progress(void *context, uint64_t done, uint64_t total)
{
	Seen	   *seen = context;

	CHECK(done <= total && done >= seen->progress);
	seen->progress = done;
	seen->total = total;
	return M3_OK;
}

static Seen
scan(M3LogSet **result, uint64_t refuse_xid)
{
	Seen		seen;
	M3LogSet   *set;
	M3Error		err;
	M3LogReplay replay = {
		.begin = seen_begin, .entry = seen_entry, .voided = seen_voided, .end = seen_end,
		.file = seen_file, .progress = seen_progress, .context = &seen
	};

	memset(&seen, 0, sizeof(seen));
	seen.refuse_xid = refuse_xid;
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, root, &set, &err));
	CHECK_OK(m3_log_set_check(set, NULL, NULL, &err));
	CHECK_OK(m3_log_set_replay(set, &replay, &err));
	CHECK_INT(seen.groups, seen.ends);
	CHECK_INT(seen.progress, seen.total);
	if (result != NULL)
		*result = set;
	else
		m3_log_set_close(set);
	return seen;
}

static void
clear_root(void)
{
	char		logs[600];

	snprintf(logs, sizeof(logs), "%s/commitlogs", root);
	env->list(env, logs, fixture_unlink, logs, NULL);
}

/* Every group torn at every byte: it and all after it are gone, those before are
 * whole; repair then leaves a clean file. */
static void
test_torn_groups(M3LogGroup *group)
{
	static const uint64_t counts[] = {1, 5, 4, 2000, 3};
	static const uint64_t xids[] = {0, 0, 77, 0, UINT64_C(1) << 40};
	Image		image = {NULL, 0, 0};
	size_t		starts[6];
	M3LogSet   *set;

	clear_root();
	image_start(&image, 5);
	for (int i = 0; i < 5; i++)
		starts[i] = image_group(&image, group, xids[i], counts[i], 1000 * i);
	starts[5] = image.size;
	CHECK(starts[4] - starts[3] > M3_LOG_GROUP_PAYLOAD_SIZE);	/* two chunks at least */

	for (size_t size = starts[0]; size <= image.size;)
	{
		size_t		whole = 0;
		Seen		seen;

		while (whole < 5 && starts[whole + 1] <= size)
			whole++;
		image_save(&image, size, 5);
		seen = scan(&set, 0);
		CHECK_INT(seen.groups, whole);
		for (size_t i = 0; i < seen.groups; i++)
		{
			CHECK_INT(seen.offsets[i], starts[i]);
			CHECK_INT(seen.entries[i], counts[i]);
			CHECK_INT(seen.xids[i], xids[i]);
			CHECK_INT(seen.indexes[i], 5);
		}
		CHECK_INT(m3_log_set_file(set, 0)->end.valid_size, starts[whole]);
		CHECK_INT(m3_log_set_needs_repair(set, 0), size != starts[whole]);
		if (size % 7 == 0)
		{
			uint64_t	cut;
			M3Error		err;

			CHECK_OK(m3_log_set_repair(set, 0, &cut, &err));
			CHECK_INT(cut, size - starts[whole]);
			m3_log_set_close(set);
			CHECK_INT(scan(&set, 0).groups, whole);
			CHECK_INT(m3_log_set_file(set, 0)->end.kind, M3_LOG_END_CLEAN);
		}
		m3_log_set_close(set);
		/* inside the big group only some cuts: borders and a few others */
		size += size > starts[3] + 200 && size + 400 < starts[4] &&
			(size < starts[3] + 65400 || size > starts[3] + 65700) ? 97 : 1;
	}
	free(image.data);
}

static void
test_markers(M3LogGroup *group)
{
	Image		image = {NULL, 0, 0};
	uint64_t	offsets[6];
	uint64_t	resolved;
	M3LogSet   *set;
	Seen		seen;

	clear_root();
	image_start(&image, 1);
	offsets[0] = image_group(&image, group, 0, 2, 0);
	offsets[1] = image_group(&image, group, 0, 2, 100);
	offsets[2] = image_group(&image, group, 9, 2, 200);
	image_marker(&image, (M3LogMarker) {.kind = M3_LOG_MARKER_ABORT, .log_index = 1,
										.offset = offsets[1]});
	image_save(&image, image.size, 1);
	image_start(&image, 2);
	image_marker(&image, (M3LogMarker) {.kind = M3_LOG_MARKER_RESOLVED, .log_index = 1});
	offsets[3] = image_group(&image, group, 10, 70, 300);
	offsets[4] = image_group(&image, group, 0, 1, 400);
	image_marker(&image, (M3LogMarker) {.kind = M3_LOG_MARKER_ABORT, .log_index = 2,
										.offset = offsets[4]});
	offsets[5] = image_group(&image, group, 0, 1, 500);
	image_save(&image, image.size, 2);

	seen = scan(&set, 10);
	CHECK_INT(seen.files, 2);
	CHECK_INT(seen.groups, 3);
	CHECK_INT(seen.offsets[0], offsets[0]);
	CHECK_INT(seen.offsets[1], offsets[2]);
	CHECK_INT(seen.xids[1], 9);
	CHECK(seen.resolved[1]);
	CHECK(!seen.resolved[0]);
	CHECK_INT(seen.offsets[2], offsets[5]);
	CHECK_INT(seen.indexes[2], 2);
	CHECK(m3_log_set_resolved(set, &resolved));
	CHECK_INT(resolved, 1);
	CHECK(m3_log_set_is_aborted(set, 1, offsets[1]));
	CHECK(!m3_log_set_is_aborted(set, 1, offsets[2]));
	CHECK(!m3_log_set_is_aborted(set, 2, offsets[1]));
	CHECK_INT(m3_log_set_entries(set), 6 + 72);
	m3_log_set_close(set);
	seen = scan(NULL, 0);
	CHECK_INT(seen.groups, 4);
	CHECK_INT(seen.xids[2], 10);
	CHECK(!seen.resolved[2]);
	CHECK_INT(seen.entries[2], 70);
	free(image.data);
}

/* Annotations of markers no reader of ours has written. */
static void
test_marker_bytes(void)
{
	static const uint8_t known[] = {1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 99};
	static const uint8_t newer[] = {2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t truncate[] = {1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 'n', 's'};
	static const uint8_t drop[] = {1, 4, 1, 0, 0, 0, 0, 0, 0, 0, 'n'};
	static const uint8_t other[] = {1, 5, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
	uint8_t		longest[10 + M3_LOG_MARKER_NAME_MAX_SIZE + 1];
	M3LogMarker marker;
	M3Error		err;

	CHECK_OK(m3_log_decode_marker(m3_slice(known, sizeof(known)), &marker, &err));
	CHECK_INT(marker.log_index, 1);
	CHECK_INT(marker.offset, 2);
	for (size_t size = 0; size < 18; size++)
		CHECK_STATUS(m3_log_decode_marker(m3_slice(known, size), &marker, &err), M3_CORRUPT);
	CHECK_STATUS(m3_log_decode_marker(m3_slice(newer, 18), &marker, &err), M3_UNSUPPORTED);
	CHECK_STATUS(m3_log_decode_marker(m3_slice(other, 18), &marker, &err), M3_UNSUPPORTED);
	CHECK_STATUS(m3_log_decode_marker(m3_slice(NULL, 0), &marker, &err), M3_CORRUPT);

	CHECK_OK(m3_log_decode_marker(m3_slice(truncate, sizeof(truncate)), &marker, &err));
	CHECK(!marker.dropped);
	CHECK(m3_slice_equal(marker.name, m3_slice_cstr("ns")));
	CHECK_OK(m3_log_decode_marker(m3_slice(drop, sizeof(drop)), &marker, &err));
	CHECK(marker.dropped);
	CHECK(m3_slice_equal(marker.name, m3_slice_cstr("n")));
	for (size_t size = 0; size < sizeof(drop); size++)
		CHECK_STATUS(m3_log_decode_marker(m3_slice(drop, size), &marker, &err), M3_CORRUPT);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, drop, 10);
	CHECK_STATUS(m3_log_decode_marker(m3_slice(longest, sizeof(longest)), &marker, &err),
				 M3_CORRUPT);
	CHECK_OK(m3_log_decode_marker(m3_slice(longest, sizeof(longest) - 1), &marker, &err));
	CHECK_INT(marker.name.size, M3_LOG_MARKER_NAME_MAX_SIZE);
}

static uint64_t
image_voids(Image *image, M3LogGroup *group, uint64_t xid, const char *first, const char *second,
			uint64_t count)
{
	uint64_t	offset = image->size;
	M3Slice		bytes;
	M3Error		err;

	CHECK_OK(m3_log_group_begin(group, xid, NOW, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr(first), false, &err));
	if (second != NULL)
		CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr(second), true, &err));
	add_points(group, count, 0, true);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	image_add(image, bytes.data, bytes.size);
	return offset;
}

static void
check_voids(const Image *image, const size_t *starts)
{
	M3LogSet   *set;
	Seen		seen = scan(&set, 0);

	CHECK_INT(seen.groups, 4);
	CHECK_INT(seen.voids, 4);
	CHECK_INT(seen.void_groups[0], 1);
	CHECK_INT(seen.void_groups[1], 2);
	CHECK_INT(seen.void_groups[2], 2);
	CHECK_INT(seen.void_groups[3], 3);
	CHECK(strcmp(seen.void_names[0], "one") == 0 && !seen.void_dropped[0]);
	CHECK(strcmp(seen.void_names[1], "two") == 0 && !seen.void_dropped[1]);
	CHECK(strcmp(seen.void_names[2], "three") == 0 && seen.void_dropped[2]);
	CHECK(strcmp(seen.void_names[3], "five") == 0);
	CHECK_INT(seen.entries[1], 0);
	CHECK_INT(seen.entries[2], 3);
	CHECK_INT(seen.entries[3], 5000);
	for (size_t i = 0; i < 3; i++)
		CHECK_INT(seen.offsets[i], starts[i]);
	CHECK_INT(seen.offsets[3], starts[4]);
	CHECK_INT(m3_log_set_entries(set), 2 + 1 + 5 + 2 + 5001);
	CHECK_INT(m3_log_set_file(set, 0)->end.groups, 5);
	CHECK_INT(m3_log_set_file(set, 0)->end.kind, M3_LOG_END_CLEAN);
	m3_log_set_close(set);
	/* not shown if the transaction did not commit */
	seen = scan(NULL, 9);
	CHECK_INT(seen.voids, 2);
	CHECK(strcmp(seen.void_names[1], "five") == 0);
	(void) image;
}

/* VOID markers are entries of their group: one with them is never without a GROUP marker,
 * and torn or taken back with the rest. */
static void
test_voids(M3LogGroup *group)
{
	Image		image = {NULL, 0, 0};
	char		name[M3_LOG_MARKER_NAME_MAX_SIZE + 2];
	size_t		starts[6];
	M3Slice		bytes;
	M3Error		err;

	clear_root();
	image_start(&image, 1);
	starts[0] = image_group(&image, group, 0, 2, 0);
	starts[1] = image_voids(&image, group, 0, "one", NULL, 0);
	starts[2] = image_voids(&image, group, 9, "two", "three", 3);
	starts[3] = image_voids(&image, group, 0, "four", "four", 0);
	starts[4] = image_voids(&image, group, 0, "five", NULL, 5000);
	starts[5] = image.size;
	image_marker(&image, (M3LogMarker) {.kind = M3_LOG_MARKER_ABORT, .log_index = 1,
										.offset = starts[3]});
	image_save(&image, image.size, 1);
	check_voids(&image, starts);

	for (size_t size = starts[1]; size < starts[4] + 600; size++)
	{
		size_t		whole = 1;
		Seen		seen;

		while (whole < 5 && starts[whole + 1] <= size)
			whole++;
		image_save(&image, size, 1);
		seen = scan(NULL, 0);
		CHECK_INT(seen.groups, whole == 1 && size < starts[1] ? 0 : whole);
		CHECK_INT(seen.voids, whole < 2 ? 0 : whole < 3 ? 1 : whole < 4 ? 3 : 5);
	}

	memset(name, 'n', sizeof(name));
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice(name, sizeof(name) - 2), true, &err));
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	CHECK(bytes.size < 2 * M3_LOG_MARKER_MAX_SIZE);
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	CHECK_STATUS(m3_log_group_add_void(group, m3_slice(name, sizeof(name) - 1), true, &err),
				 M3_INVALID);
	CHECK_STATUS(m3_log_group_add_void(group, m3_slice(name, 0), true, &err), M3_INVALID);
	add_points(group, 1, 0, true);
	CHECK_STATUS(m3_log_group_add_void(group, m3_slice_cstr("ns"), true, &err), M3_INVALID);
	free(image.data);
}

/* Groups that contradict their markers end the file as corrupt. */
static void
test_contradictions(void)
{
	M3LogMarker marker = {.kind = M3_LOG_MARKER_GROUP, .count = 1};
	M3LogMarker voided = {.kind = M3_LOG_MARKER_VOID, .name = m3_slice_cstr("ns")};
	Image		image = {NULL, 0, 0};
	M3LogSet   *set;

	for (int variant = 0; variant < 5; variant++)
	{
		uint8_t		chunk[2048];
		M3LogEntry	entries[3];
		uint8_t    *end;

		clear_root();
		fixture_example(entries);
		image_start(&image, 1);
		end = chunk + 12;
		marker.count = variant == 2 ? 2 : 1;
		if (variant != 3)
			end = m3_log_put_marker(end, &marker, NOW);
		end = variant == 4 ? m3_log_put_marker(end, &voided, NOW) :
			m3_log_put_entry(end, &entries[0]);
		if (variant == 0)
			end = m3_log_put_entry(end, &entries[1]);
		else
			end = m3_log_put_marker(end, variant == 1 ? &marker : &voided, NOW);
		m3_log_put_chunk_header(chunk, chunk + 12, (size_t) (end - chunk - 12));
		image_add(&image, chunk, (size_t) (end - chunk));
		image_save(&image, image.size, 1);
		CHECK_INT(scan(&set, 0).groups, 0);
		CHECK_INT(m3_log_set_file(set, 0)->end.kind, M3_LOG_END_CORRUPT);
		CHECK(!m3_log_set_needs_repair(set, 0));
		m3_log_set_close(set);
	}
	free(image.data);
}

typedef struct Collected
{
	Image		image;
	size_t		calls;
	size_t		fail_at;
} Collected;

static M3Status
collect(void *context, M3Slice chunks, M3Error *err)
{
	Collected  *collected = context;

	if (++collected->calls == collected->fail_at)
		return m3_error(err, M3_IO, "no");
	image_add(&collected->image, chunks.data, chunks.size);
	return M3_OK;
}

/* Streaming gives the bytes that keeping gives, if there is a marker. */
static void
test_builder(M3LogGroup *group)
{
	static const uint64_t counts[] = {0, 1, 7, 1861, 1862, 1863, 3000, 10000};
	static uint8_t big[200000];
	Collected	collected;
	M3Slice		bytes;
	M3Error		err;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		uint32_t	size = 0;
		uint32_t	sum;

		memset(&collected, 0, sizeof(collected));
		CHECK_OK(m3_log_group_begin_stream(group, 5, NOW, counts[i], collect, &collected, &err));
		add_points(group, counts[i], 0, true);
		CHECK_OK(m3_log_group_finish(group, &bytes, &err));
		CHECK_INT(bytes.size, 0);
		CHECK_OK(m3_log_group_begin(group, 5, NOW, &err));
		add_points(group, counts[i], 0, true);
		CHECK_OK(m3_log_group_finish(group, &bytes, &err));
		CHECK_BYTES(collected.image.data, collected.image.size, bytes.data, bytes.size);
		for (size_t offset = 0; offset < bytes.size; offset += 12 + size)
		{
			CHECK(m3_log_get_chunk_header(bytes.data + offset, &size, &sum));
			CHECK(size <= M3_LOG_GROUP_PAYLOAD_SIZE && size > 0);
		}
		free(collected.image.data);
	}

	/* voids too */
	memset(&collected, 0, sizeof(collected));
	CHECK_OK(m3_log_group_begin_stream(group, 0, NOW, 3002, collect, &collected, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr("a"), false, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr("b"), true, &err));
	add_points(group, 3000, 0, true);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr("a"), false, &err));
	CHECK_OK(m3_log_group_add_void(group, m3_slice_cstr("b"), true, &err));
	add_points(group, 3000, 0, true);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	CHECK_BYTES(collected.image.data, collected.image.size, bytes.data, bytes.size);
	free(collected.image.data);

	/* nothing is nothing; a single small group is one plain chunk */
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	CHECK_INT(bytes.size, 0);
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	add_points(group, 1, 0, false);
	CHECK_OK(m3_log_group_finish(group, &bytes, &err));
	CHECK_INT(bytes.size, 12 + 36);

	/* what must be refused */
	CHECK_OK(m3_log_group_begin(group, 0, NOW, &err));
	CHECK_STATUS(m3_log_group_add(group, 0, 1, 1, M3_UNIT_SECOND, m3_slice(NULL, 0), NULL, &err),
				 M3_INVALID);
	CHECK_STATUS(m3_log_group_add(group, 1, 1, 1, M3_UNIT_NONE, m3_slice(NULL, 0), NULL, &err),
				 M3_INVALID);
	memset(&collected, 0, sizeof(collected));
	CHECK_OK(m3_log_group_begin_stream(group, 0, NOW, 2, collect, &collected, &err));
	add_points(group, 1, 0, true);
	CHECK_STATUS(m3_log_group_finish(group, &bytes, &err), M3_INVALID);
	collected.fail_at = 1;
	CHECK_OK(m3_log_group_begin_stream(group, 0, NOW, 3, collect, &collected, &err));
	add_points(group, 3, 0, true);
	CHECK_STATUS(m3_log_group_finish(group, &bytes, &err), M3_IO);
	free(collected.image.data);

	/* a message larger than a chunk, first, in the middle, last, and alone */
	for (int at = 0; at < 8; at++)
	{
		Image		image = {NULL, 0, 0};
		M3LogSeriesMetadata metadata = {.id = m3_slice_cstr("x"), .namespace = m3_slice_cstr("n")};
		uint64_t	xid = at % 2 == 0 ? 0 : 3;
		int			count = at < 6 ? 3 : 1;
		Seen		seen;

		clear_root();
		image_start(&image, 1);
		CHECK_OK(m3_log_group_begin(group, xid, NOW, &err));
		for (int i = 0; i < count; i++)
			CHECK_OK(m3_log_group_add(group, 1, NOW + i, 1, M3_UNIT_SECOND,
									  i == at / 2 % count ? m3_slice(big, sizeof(big)) :
									  m3_slice(NULL, 0), &metadata, &err));
		CHECK_OK(m3_log_group_finish(group, &bytes, &err));
		image_add(&image, bytes.data, bytes.size);
		image_save(&image, image.size, 1);
		seen = scan(NULL, 0);
		CHECK_INT(seen.groups, 1);
		CHECK_INT(seen.entries[0], count);
		CHECK_INT(seen.xids[0], xid);
		free(image.data);
	}
}

/* Order, numbering, blank and unreadable files. */
static void
test_set(M3LogGroup *group)
{
	static const char *const names[] = {
		"commitlog-1500000900000000000-0.db", "commitlog-1500000000000000000-1.db",
		"commitlog-0-10.db", "commitlog-0-9.db", "commitlog-0-11.db", "commitlog-0-12.db",
		"commitlog-0-13.db", "other.db", "commitlog-0-14.db.new"
	};
	Image		image = {NULL, 0, 0};
	char		path[600];
	M3LogSet   *set;
	M3Error		err;
	Seen		seen;
	uint64_t	cut;

	clear_root();
	for (int i = 0; i < 9; i++)
	{
		static const int64_t starts[] = {1500000900000000000, 1500000000000000000};
		uint8_t		header[12 + M3_LOG_INFO_MAX_SIZE];
		M3LogInfo	info = {i < 2 ? starts[i] : 0, i < 2 ? 900 : 0, i < 2 ? 1 - i : 12 - i};
		size_t		size = (size_t) (m3_log_put_info(header + 12, &info) - (header + 12));

		image.size = 0;
		m3_log_put_chunk_header(header, header + 12, size);
		image_add(&image, header, 12 + size);
		image_group(&image, group, 0, 1, i);
		if (i == 4)
			memset(image.data, 0, image.size);
		if (i == 5)
			image.size = 0;
		if (i == 6)
			image.data[5] ^= 1;
		snprintf(path, sizeof(path), "%s/commitlogs/%s", root, names[i]);
		fixture_write(env, path, image.data, image.size);
	}
	seen = scan(&set, 0);
	CHECK_INT(m3_log_set_count(set), 7);
	CHECK_INT(seen.groups, 4);
	CHECK(seen.sum[0] == 1 && seen.sum[1] == 0 && seen.sum[2] == 3 && seen.sum[3] == 2);
	CHECK_INT(m3_log_set_file(set, 0)->is_legacy, true);
	CHECK_INT(m3_log_set_file(set, 2)->info.index, 9);
	CHECK(!m3_log_set_file(set, 2)->name_differs);
	/* 11 and 12 are blank, 13 is not and has no header: all three block their names */
	CHECK_INT(m3_log_set_next_index(set, 0), 14);
	CHECK_INT(m3_log_set_next_index(set, 12), 14);
	CHECK_INT(m3_log_set_next_index(set, 50), 50);
	CHECK(!m3_log_set_file(set, 4)->has_info && m3_log_set_file(set, 4)->is_blank);
	CHECK(!m3_log_set_file(set, 5)->has_info && m3_log_set_file(set, 5)->is_blank);
	CHECK(!m3_log_set_file(set, 6)->has_info && !m3_log_set_file(set, 6)->is_blank);
	CHECK(m3_log_set_file(set, 6)->reason[0] != '\0');
	CHECK_STATUS(m3_log_set_remove_blank(set, 6, &err), M3_INVALID);
	CHECK_STATUS(m3_log_set_remove_blank(set, 0, &err), M3_INVALID);
	CHECK_OK(m3_log_set_remove_blank(set, 4, &err));
	CHECK_OK(m3_log_set_repair(set, 6, &cut, &err));
	CHECK_INT(cut, 0);
	m3_log_set_close(set);
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, root, &set, &err));
	CHECK_INT(m3_log_set_count(set), 6);
	CHECK_INT(m3_log_set_next_index(set, 0), 11);
	m3_log_set_close(set);

	/* a header that contradicts the name counts */
	clear_root();
	image_start(&image, 3);
	image_save(&image, image.size, 9);
	scan(&set, 0);
	CHECK(m3_log_set_file(set, 0)->name_differs);
	CHECK_INT(m3_log_set_next_index(set, 0), 4);
	m3_log_set_close(set);
	CHECK_OK(m3_log_set_open(env, &m3_memory_malloc, "/nonexistent", &set, &err));
	CHECK_INT(m3_log_set_count(set), 0);
	CHECK_INT(m3_log_set_next_index(set, 0), 0);
	m3_log_set_close(set);
	free(image.data);
}

/* Sectors lost in the last sync are cut; in an older log they are damage. */
static void
test_hole(M3LogGroup *group)
{
	Image		image = {NULL, 0, 0};
	M3LogSet   *set;
	M3Error		err;
	uint64_t	cut;

	for (int later = 0; later < 3; later++)
	{
		clear_root();
		image_start(&image, 1);
		for (int i = 0; i < 100; i++)
			image_group(&image, group, 0, 1, i);
		memset(image.data + 1024, 0, 512);
		image_save(&image, image.size, 1);
		image_start(&image, 2);
		if (later == 2)
			image_group(&image, group, 0, 1, 1);
		if (later > 0)
			image_save(&image, image.size, 2);
		scan(&set, 0);
		CHECK_INT(m3_log_set_file(set, 0)->end.kind, M3_LOG_END_HOLE);
		CHECK_INT(m3_log_set_needs_repair(set, 0), later < 2);
		CHECK_OK(m3_log_set_repair(set, 0, &cut, &err));
		CHECK_INT(cut > 0, later < 2);
		m3_log_set_close(set);
	}
	free(image.data);
}

/* A group whose first chunk holds the log info, torn: nothing to replay. */
static void
test_torn_first_chunk(void)
{
	M3LogMarker marker = {.kind = M3_LOG_MARKER_GROUP, .count = 5};
	M3LogInfo	info = {0, 0, 1};
	uint8_t		chunk[512];
	uint8_t    *end = m3_log_put_info(chunk + 12, &info);
	Image		image = {NULL, 0, 0};
	Seen		seen;

	clear_root();
	end = m3_log_put_marker(end, &marker, NOW);
	m3_log_put_chunk_header(chunk, chunk + 12, (size_t) (end - chunk - 12));
	image_add(&image, chunk, (size_t) (end - chunk));
	image_save(&image, image.size, 1);
	seen = scan(NULL, 0);
	CHECK_INT(seen.groups, 0);
	CHECK_INT(seen.files, 0);
	free(image.data);
}

int
main(void)
{
	M3LogGroup	group;

	env = m3_env_posix_create(0);
	fixture_root(env, root, sizeof(root));
	m3_log_group_init(&group, &m3_memory_malloc);
	test_builder(&group);
	test_torn_groups(&group);
	test_markers(&group);
	test_marker_bytes();
	test_voids(&group);
	test_contradictions();
	test_set(&group);
	test_hole(&group);
	test_torn_first_chunk();
	m3_log_group_free(&group);
	fixture_remove_root(env, root);
	m3_env_posix_destroy(env);
	return check_report();
}
