/*
 * Writing a fileset, a snapshot, its metadata, and removing them, on a disk
 * that fails at every call and forgets in every way: what is there afterwards is the
 * old state or the new one, and the new one if success was reported.
 */
#include "test/unit/check.h"
#include "test/support/env_fault.h"

#include "storage/base/memory.h"
#include "storage/fileset/list.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/writer.h"

#define ROOT "/m3"
#define SERIES 40
#define START INT64_C(1599998400000000000)

static M3Error err;
static char shard[2][M3_FILESET_PATH_SIZE];

/* volume decides what the payloads say */
static M3Status
write_volume(M3Env *env, int kind, int64_t volume, bool publish)
{
	M3FilesetWriterOptions options = {
		.directory = shard[kind],.block_start_ns = START,
		.block_size_ns = INT64_C(7200000000000),.volume = volume,
		.is_snapshot = kind == 1,.snapshot_time_ns = START + 1,
		.sort_memory_size = 2000
	};
	M3FilesetWriter *writer;
	M3Status	status;

	M3_TRY(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < SERIES; i++)
	{
		char		id[32];
		char		payload[64];
		M3Slice		part;

		snprintf(id, sizeof(id), "series.%d", i);
		snprintf(payload, sizeof(payload), "volume %d of series %d", (int) volume, i);
		part = m3_slice_cstr(payload);
		M3_GOTO(m3_fileset_writer_add(writer, m3_slice_cstr(id), m3_slice(NULL, 0), &part, 1,
									  &err));
	}
	M3_GOTO(m3_fileset_writer_finish(writer, &err));
	if (publish)
		M3_GOTO(m3_fileset_writer_publish(writer, &err));

done:
	m3_fileset_writer_free(writer);
	return status;
}

static M3Status
write_metadata(M3Env *env, int64_t index)
{
	M3SnapshotMetadata metadata = {
		.index = index,.log_index = index + 100,.log_path = m3_slice_cstr("/m3/commitlogs/x")
	};

	metadata.uuid[3] = (uint8_t) index;
	return m3_snapshot_metadata_write(env, ROOT, &metadata, &err);
}

/* The volume that counts, read whole; -1 if there is none, -2 if it is damaged. */
static int64_t
current_volume(M3Env *env, int kind)
{
	M3FilesetList list;
	M3FilesetName name;
	M3FilesetHeader header;
	M3FilesetReaderOptions options = {.validate = true,.access = M3_FILESET_MAP};
	M3FilesetReader *reader;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	M3Slice		payload;
	size_t		skipped;
	int			count = 0;
	M3Status	status;

	CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, shard[kind], &list, &err));
	status = m3_fileset_choose(env, shard[kind], &list, START, &name, &header, &skipped, &err);
	m3_fileset_list_free(&list);
	CHECK_INT(skipped, 0);		/* nothing that looks complete is bad */
	if (status != M3_OK)
		return -1;
	if (m3_fileset_reader_open(env, &m3_memory_malloc, shard[kind], &name, &options, &reader,
							   &err) != M3_OK)
		return -2;
	CHECK_OK(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, &err));
	while (m3_fileset_scan_next(scan, &entry, &err) == M3_OK)
	{
		char		expected[64];

		CHECK_OK(m3_fileset_reader_data(reader, &entry, &payload, &err));
		snprintf(expected, sizeof(expected), "volume %d of series %d", (int) name.volume,
				 (int) entry.ordinal);
		CHECK(m3_slice_equal(payload, m3_slice_cstr(expected)));
		count++;
	}
	CHECK_INT(count, SERIES);
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
	return name.volume;
}

static int64_t
current_metadata(M3Env *env)
{
	M3SnapshotMetadataList list;
	const M3SnapshotMetadataEntry *newest;
	int64_t		index = -1;

	CHECK_OK(m3_snapshot_metadata_list(env, &m3_memory_malloc, ROOT, &list, &err));
	newest = m3_snapshot_metadata_newest(&list);
	if (newest != NULL)
	{
		index = newest->name.index;
		CHECK_INT(newest->log_index, index + 100);
	}
	m3_snapshot_metadata_list_free(&list);
	return index;
}

typedef enum Work
{
	WORK_FIRST,					/* the first fileset of a new root */
	WORK_NEXT,					/* volume 1 beside volume 0 */
	WORK_SNAPSHOT,				/* a snapshot, then its metadata, beside older ones */
	WORK_REMOVE,				/* volume 0, superseded by 1 */
	WORK_UNPUBLISHED,			/* written and given up */
	WORK_COUNT
} Work;

static void
prepare(M3Env *env, Work work)
{
	if (work == WORK_FIRST)
		return;
	CHECK_OK(write_volume(env, 0, 0, true));
	if (work == WORK_REMOVE)
		CHECK_OK(write_volume(env, 0, 1, true));
	if (work == WORK_SNAPSHOT)
	{
		CHECK_OK(write_volume(env, 1, 0, true));
		CHECK_OK(write_metadata(env, 0));
	}
}

static M3Status
run(M3Env *env, Work work)
{
	M3FilesetName old = {START, 0, false};

	switch (work)
	{
		case WORK_FIRST:
			return write_volume(env, 0, 0, true);
		case WORK_NEXT:
			return write_volume(env, 0, 1, true);
		case WORK_SNAPSHOT:
			M3_TRY(write_volume(env, 1, 1, true));
			return write_metadata(env, 1);
		case WORK_REMOVE:
			return m3_fileset_remove(env, shard[0], &old, 1, &err);
		case WORK_UNPUBLISHED:
		case WORK_COUNT:
			break;
	}
	return write_volume(env, 0, 1, false);
}

static void
check_state(M3Env *env, Work work, bool done)
{
	int64_t		volume = current_volume(env, 0);
	int64_t		snapshot = current_volume(env, 1);
	int64_t		metadata = current_metadata(env);

	switch (work)
	{
		case WORK_FIRST:
			CHECK(volume == 0 || (volume == -1 && !done));
			break;
		case WORK_NEXT:
			CHECK(volume == 1 || (volume == 0 && !done));
			break;
		case WORK_SNAPSHOT:
			CHECK(snapshot == 1 || (snapshot == 0 && !done));
			CHECK(metadata == 1 || (metadata == 0 && !done));
			CHECK(metadata < 1 || snapshot == 1);	/* order of publication */
			CHECK_INT(volume, 0);
			break;
		case WORK_REMOVE:
			CHECK_INT(volume, 1);
			break;
		case WORK_UNPUBLISHED:
		case WORK_COUNT:
			CHECK_INT(volume, 0);
	}
}

/* What is left must not be in the way of the next attempt. */
static void
check_retry(M3Env *env, Work work)
{
	M3Status	status = run(env, work);

	if (status == M3_CONFLICT)
	{
		/* it had become durable after all; a snapshot then lacks its metadata at most */
		CHECK(work != WORK_REMOVE && work != WORK_UNPUBLISHED);
		if (work == WORK_SNAPSHOT && current_metadata(env) == 0)
			CHECK_OK(write_metadata(env, 1));
	}
	else
		CHECK_STATUS(status, M3_OK);
	check_state(env, work, true);
}

/* A disk with a root that is there to stay; its filesets' directories are not. */
static M3Env *
new_disk(void)
{
	M3Env	   *env = env_fault_create();

	CHECK_OK(env->make_directory(env, ROOT, &err));
	CHECK_OK(env->sync_directory(env, "/", &err));
	return env;
}

static uint64_t
count_calls(Work work)
{
	M3Env	   *env = new_disk();
	uint64_t	before;
	uint64_t	calls;

	prepare(env, work);
	before = env_fault_calls(env);
	CHECK_OK(run(env, work));
	calls = env_fault_calls(env) - before;
	check_state(env, work, true);
	for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
	{
		env_fault_crash(env, (EnvFaultCrash) mode, 1);
		check_state(env, work, true);
	}
	env_fault_destroy(env);
	return calls;
}

static void
fail_at(Work work, EnvFaultPlan plan, int mode, uint64_t seed)
{
	M3Env	   *env = new_disk();
	M3Status	status;
	bool		failed;

	prepare(env, work);
	env_fault_fail(env, &plan);
	status = run(env, work);
	failed = env_fault_has_failed(env);
	env_fault_fail(env, NULL);
	CHECK_INT(env_fault_open_files(env), 0);
	CHECK_INT(env_fault_open_maps(env), 0);
	if (!failed)
		CHECK_STATUS(status, M3_OK);
	if (mode >= 0)
		env_fault_crash(env, (EnvFaultCrash) mode, seed);
	else if (status != M3_OK && !plan.for_ever && work == WORK_NEXT)
		CHECK_INT(current_volume(env, 0), 0);	/* a reported failure leaves nothing */
	check_state(env, work, status == M3_OK);
	check_retry(env, work);
	env_fault_destroy(env);
}

static void
test_work(Work work)
{
	uint64_t	calls = count_calls(work);

	for (uint64_t at = 1; at <= calls + 1; at++)
	{
		for (int variant = 0; variant < 4; variant++)
		{
			EnvFaultPlan plan = {
				.at = at,.for_ever = variant & 1,.tear = variant & 2,
				.sys_errno = variant & 2 ? 28 : 5
			};

			fail_at(work, plan, -1, 0);
			for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
			{
				for (uint64_t seed = 1; seed <= (mode == ENV_FAULT_SUBSET ? 4 : 2); seed++)
					fail_at(work, plan, mode, seed * 7919 + at);
			}
		}
	}
	for (uint64_t at = 1; at <= 80; at++)
	{
		fail_at(work, (EnvFaultPlan) {.read_at = at}, -1, 0);
		fail_at(work, (EnvFaultPlan) {.read_at = at,.for_ever = true}, ENV_FAULT_DROP, at);
	}
}

/* Every read of an open, a scan and a listing failing: an error, and no leak. */
static void
test_failing_reads(void)
{
	M3Env	   *env = new_disk();
	bool		failed = true;

	prepare(env, WORK_SNAPSHOT);
	for (uint64_t at = 1; failed; at++)
	{
		M3FilesetName name = {START, 0, false};
		M3FilesetReaderOptions options = {.validate = true,.access = at % 2};
		M3FilesetReader *reader;
		M3SnapshotMetadataList list;
		M3Status	status;

		env_fault_fail(env, &(EnvFaultPlan) {.read_at = at});
		status = m3_fileset_reader_open(env, &m3_memory_malloc, shard[0], &name, &options,
										&reader, &err);
		if (status == M3_OK)
			m3_fileset_reader_close(reader);
		else
			CHECK_STATUS(status, M3_IO);
		if (status == M3_OK)
		{
			status = m3_snapshot_metadata_list(env, &m3_memory_malloc, ROOT, &list, &err);
			if (status == M3_OK)
				m3_snapshot_metadata_list_free(&list);
			else
				CHECK_STATUS(status, M3_IO);
		}
		failed = env_fault_has_failed(env);
		CHECK(failed == (status != M3_OK));
		CHECK_INT(env_fault_open_files(env), 0);
		CHECK_INT(env_fault_open_maps(env), 0);
	}
	env_fault_destroy(env);
}

static void
test_full_disk(void)
{
	for (uint64_t limit = 0; limit < 6000; limit += 97)
	{
		M3Env	   *env = new_disk();
		M3Status	status;

		env_fault_limit(env, limit);
		status = run(env, WORK_FIRST);
		check_state(env, WORK_FIRST, status == M3_OK);
		if (status != M3_OK)
			CHECK_INT(env_fault_used(env), 0);
		env_fault_limit(env, UINT64_MAX);
		check_retry(env, WORK_FIRST);
		env_fault_destroy(env);
	}
}

int
main(void)
{
	CHECK_OK(m3_fileset_shard_directory(shard[0], ROOT, M3_FILESET_KIND_DATA,
										m3_slice_cstr("ns"), 3, &err));
	CHECK_OK(m3_fileset_shard_directory(shard[1], ROOT, M3_FILESET_KIND_SNAPSHOT,
										m3_slice_cstr("ns"), 3, &err));
	for (int work = 0; work < WORK_COUNT; work++)
		test_work((Work) work);
	test_failing_reads();
	test_full_disk();
	return check_report();
}
