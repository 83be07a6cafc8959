/*
 * Memory: bounded whatever the number of series, and an error, without leak or
 * leftover, wherever it runs out.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/fileset/manifest.h"
#include "storage/fileset/metadata.h"

typedef struct Meter
{
	M3Memory	memory;
	size_t		used;
	size_t		peak;
	size_t		count;			/* allocations asked for */
	size_t		fail_at;		/* from this one on none succeeds; 0: never */
	size_t		live;
} Meter;

typedef union Header
{
	size_t		size;
	max_align_t align;
} Header;

static void *
meter_resize(M3Memory *self, void *old, size_t size)
{
	Meter	   *meter = self->context;
	Header	   *header = old == NULL ? NULL : (Header *) old - 1;
	size_t		old_size = header == NULL ? 0 : header->size;

	if (++meter->count >= meter->fail_at && meter->fail_at != 0)
		return NULL;
	/* a resize may have to hold both */
	if (meter->used + size > meter->peak)
		meter->peak = meter->used + size;
	header = realloc(header, sizeof(Header) + size);
	header->size = size;
	meter->used += size - old_size;
	meter->live += old == NULL;
	return header + 1;
}

static void *
meter_alloc(M3Memory *self, size_t size)
{
	return meter_resize(self, NULL, size);
}

static void
meter_free(M3Memory *self, void *pointer)
{
	Meter	   *meter = self->context;
	Header	   *header = (Header *) pointer - 1;

	meter->used -= header->size;
	meter->live--;
	free(header);
}

static void
meter_init(Meter *meter)
{
	memset(meter, 0, sizeof(*meter));
	meter->memory.alloc = meter_alloc;
	meter->memory.resize = meter_resize;
	meter->memory.free = meter_free;
	meter->memory.context = meter;
}

static M3Status
write_all(Meter *meter, const char *directory, int count, bool sorted, size_t sort_size)
{
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;
	M3Status	status;

	options.sorted = sorted;
	options.sort_memory_size = sort_size;
	M3_TRY(m3_fileset_writer_create(env, &meter->memory, &options, &writer, &err));
	for (int i = 0; i < count; i++)
		M3_GOTO(add_series(writer, sorted ? i : count - 1 - i));
	M3_GOTO(m3_fileset_writer_finish(writer, &err));
	M3_GOTO(m3_fileset_writer_publish(writer, &err));

done:
	m3_fileset_writer_free(writer);
	return status;
}

static M3Status
read_all(Meter *meter, const char *directory, M3FilesetAccess access, bool validate)
{
	const M3FilesetName name = {FIXTURE_START, 0, false};
	M3FilesetReaderOptions options = {.access = access,.validate = validate};
	M3FilesetReader *reader;
	M3FilesetScan *scan = NULL;
	M3FilesetEntry entry;
	M3Slice		payload;
	M3Status	status;

	M3_TRY(m3_fileset_reader_open(env, &meter->memory, directory, &name, &options, &reader,
								  &err));
	status = m3_fileset_lookup(reader, m3_slice_cstr("series.000001.a"), false, &entry, &err);
	if (status == M3_OK)
		status = m3_fileset_reader_data(reader, &entry, &payload, &err);
	if (status == M3_OK)
		status = m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, &err);
	while (status == M3_OK)
	{
		status = m3_fileset_scan_next(scan, &entry, &err);
		if (status == M3_OK)
			status = m3_fileset_reader_data(reader, &entry, &payload, &err);
	}
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

static void
test_bounds(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	size_t		peaks[2];
	Meter		meter;

	for (int sorted = 0; sorted < 2; sorted++)
	{
		for (int large = 0; large < 2; large++)
		{
			strcpy(directory, in_scratch("bounds"));
			meter_init(&meter);
			CHECK_OK(write_all(&meter, directory, large ? 40000 : 5000, sorted, 100000));
			CHECK_INT(meter.live, 0);
			peaks[large] = meter.peak;
			meter_init(&meter);
			CHECK_OK(read_all(&meter, directory, M3_FILESET_PREAD, true));
			CHECK_INT(meter.live, 0);
			fixture_remove(directory);
		}
		/* a byte per series for the bloom filter, a window per run */
		CHECK(peaks[1] < peaks[0] + 35000 * 2 + 300000);
		CHECK(peaks[1] < 1200000);
	}
}

static void
test_exhaustion(void)
{
	char		directory[M3_FILESET_PATH_SIZE];
	char		root[M3_FILESET_PATH_SIZE];
	Meter		meter;
	M3Status	status;
	size_t		steps = 0;

	strcpy(root, in_scratch("exhausted"));
	CHECK_OK(m3_fileset_shard_directory(directory, root, M3_FILESET_KIND_DATA,
										m3_slice_cstr("ns"), 0, &err));
	for (int sorted = 0; sorted < 2; sorted++)
	{
		status = M3_NO_MEMORY;
		for (size_t at = 1; status != M3_OK; at++, steps++)
		{
			M3FilesetList list;

			meter_init(&meter);
			meter.fail_at = at;
			status = write_all(&meter, directory, 100, sorted, 1000);
			CHECK(status == M3_OK || status == M3_NO_MEMORY);
			CHECK_INT(meter.live, 0);
			CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
			CHECK_INT(list.count, status == M3_OK);
			m3_fileset_list_free(&list);
		}
		if (sorted == 0)
			fixture_remove(directory);
	}
	for (int mode = 0; mode < 4; mode++)
	{
		status = M3_NO_MEMORY;
		for (size_t at = 1; status != M3_OK; at++, steps++)
		{
			meter_init(&meter);
			meter.fail_at = at;
			status = read_all(&meter, directory, (M3FilesetAccess) (mode & 1), mode & 2);
			CHECK(status == M3_OK || status == M3_NO_MEMORY);
			CHECK_INT(meter.live, 0);
		}
	}
	status = M3_NO_MEMORY;
	for (size_t at = 1; status != M3_OK; at++, steps++)
	{
		M3Manifest *manifest = NULL;

		meter_init(&meter);
		meter.fail_at = at;
		status = m3_manifest_create(env, &meter.memory, root, M3_FILESET_KIND_DATA, &manifest,
									&err);
		if (status == M3_OK)
			status = m3_manifest_refresh(manifest, false, &err);
		CHECK(status == M3_OK || status == M3_NO_MEMORY);
		m3_manifest_free(manifest);
		CHECK_INT(meter.live, 0);
	}
	CHECK(steps > 50);
}

static void
test_metadata_exhaustion(void)
{
	M3SnapshotMetadata metadata = {.index = 1};
	Meter		meter;
	M3SnapshotMetadataList list;

	CHECK_OK(m3_snapshot_metadata_write(env, scratch, &metadata, &err));
	meter_init(&meter);
	meter.fail_at = 1;
	CHECK_STATUS(m3_snapshot_metadata_list(env, &meter.memory, scratch, &list, &err),
				 M3_NO_MEMORY);
	CHECK_INT(meter.live, 0);
}

int
main(void)
{
	fixture_begin();
	test_bounds();
	test_exhaustion();
	test_metadata_exhaustion();
	return fixture_end();
}
