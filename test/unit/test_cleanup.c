/*
 * Cleanup: what goes, what stays, and what a crash or a failure at any call leaves.
 */
#include "test/unit/cleanup_fixture.h"

/* --- snapshots and logs ------------------------------------------------- */

static void
test_no_snapshot(void)
{
	uint64_t	first;
	M3SnapshotMetadataName broken = {.index = 7};
	char		path[M3_FILESET_PATH_SIZE];

	begin();
	db->root->jobs.snapshot_log_index = UINT64_MAX;
	first = write_log("ns", 1);
	make_fileset("ns", 0, BLOCK(0), 0, 1);
	CHECK(is_nothing(clean()));
	know_snapshot(active_log());	/* none on disk all the same */
	CHECK(is_nothing(clean()));

	/* not valid, so not even itself is removed */
	memset(broken.uuid, 9, sizeof(broken.uuid));
	CHECK_OK(m3_snapshot_metadata_path(path, ROOT, &broken, false, &err));
	make_file(path, "x", 1);
	know_snapshot(active_log());
	CHECK(is_nothing(clean()));
	CHECK_INT(count_metadata(), 1);

	/* one that a bootstrap did not find sound covers nothing */
	make_metadata(8, 2, active_log());
	db->root->jobs.snapshot_log_index = UINT64_MAX;
	CHECK(is_nothing(clean()));
	db->root->jobs.snapshot_log_index = active_log() - 1;
	CHECK(is_nothing(clean()));

	/* two of one number */
	make_metadata(8, 3, active_log());
	know_snapshot(active_log());
	CHECK(is_nothing(clean()));
	CHECK_INT(count_metadata(), 3);
	CHECK_INT(SNAPSHOT_FILES("ns", 0, BLOCK(0), 0), 7);
	CHECK(exists(log_path(first)));
	CHECK_INT(db->root->jobs.stats[M3_JOB_CLEANUP].runs, 0);
	end();
}

static void
test_snapshots(void)
{
	static const char garbage[] = "this is no commit log";
	static const char zeros[5000];
	uint64_t	logs[4];
	M3SnapshotMetadataName half = {.index = 1};
	char		path[M3_FILESET_PATH_SIZE];
	M3CleanupResult result;
	uint64_t	calls;

	begin();
	CHECK_OK(env->make_directory(env, ROOT "/commitlogs", &err));
	make_file(log_path(0), garbage, sizeof(garbage));
	make_file(log_path(1), zeros, sizeof(zeros));
	for (int i = 0; i < 4; i++)
		logs[i] = write_log(i % 2 ? "other" : "ns", i);
	CHECK(logs[0] > 1);
	/* not ours to judge: unreadable and not covered, or perhaps just being opened */
	make_file(log_path(1000), garbage, sizeof(garbage));
	make_file(log_path(1001), zeros, sizeof(zeros));
	make_file(ROOT "/commitlogs/notes.txt", garbage, sizeof(garbage));

	make_fileset("ns", 0, BLOCK(0), 0, 1);	/* of an earlier run */
	make_fileset("ns", 0, BLOCK(0), 1, 2);	/* of the newest */
	make_fileset("ns", 1, BLOCK(1), 4, 1);
	make_fileset("ns", 1, BLOCK(1), 5, 3);	/* of a run that never ended */
	make_fileset("ns", 2, BLOCK(0), 0, 2);	/* unreadable, whosever it is */
	make_file(file_of(shard_directory(M3_FILESET_KIND_SNAPSHOT, "ns", 2), BLOCK(0), 0,
					  M3_FILESET_INFO), "?", 1);
	make_fileset("other", 3, BLOCK(0), 0, 2);	/* unfinished */
	CHECK_OK(env->unlink(env, file_of(shard_directory(M3_FILESET_KIND_SNAPSHOT, "other", 3),
									  BLOCK(0), 0, M3_FILESET_CHECKPOINT), &err));
	make_fileset("unknown", 0, BLOCK(0), 0, 1);
	make_fileset("ns", 9, BLOCK(0), 0, 1);	/* of 4 shards */
	make_fileset("ns", 0, BLOCK(0), 0, 0);	/* data, not in the table */
	make_metadata(3, 1, logs[1]);
	make_metadata(5, 2, logs[2]);
	make_metadata(4, 4, logs[3]);
	CHECK_OK(m3_snapshot_metadata_path(path, ROOT, &half, true, &err));
	make_file(path, "abcd", 4);
	know_snapshot(logs[2]);

	result = clean();
	CHECK_INT(result.snapshots, 5);
	CHECK_INT(result.metadata, 3);
	CHECK_INT(result.logs, 4);	/* two whole ones, garbage, zeros */
	CHECK_INT(result.filesets, 0);
	CHECK(result.bytes > 5000);
	CHECK_INT(SNAPSHOT_FILES("ns", 0, BLOCK(0), 0), 0);
	CHECK_INT(SNAPSHOT_FILES("ns", 0, BLOCK(0), 1), 7);
	CHECK_INT(SNAPSHOT_FILES("ns", 1, BLOCK(1), 4), 0);
	CHECK_INT(SNAPSHOT_FILES("ns", 1, BLOCK(1), 5), 0);
	CHECK_INT(SNAPSHOT_FILES("ns", 2, BLOCK(0), 0), 0);
	CHECK_INT(SNAPSHOT_FILES("other", 3, BLOCK(0), 0), 0);
	CHECK_INT(SNAPSHOT_FILES("unknown", 0, BLOCK(0), 0), 7);
	CHECK_INT(SNAPSHOT_FILES("ns", 9, BLOCK(0), 0), 7);
	CHECK_INT(DATA_FILES("ns", 0, BLOCK(0), 0), 7);
	CHECK_INT(count_metadata(), 1);
	CHECK(!exists(log_path(0)) && !exists(log_path(1)));
	CHECK(!exists(log_path(logs[0])) && !exists(log_path(logs[1])));
	CHECK(exists(log_path(logs[2])) && exists(log_path(logs[3])));
	CHECK(exists(log_path(1000)) && exists(log_path(1001)));
	CHECK(exists(ROOT "/commitlogs/notes.txt"));
	CHECK(exists(log_path(active_log())));
	CHECK_INT(db->root->first_log, logs[2]);
	CHECK_INT(db->root->jobs.stats[M3_JOB_CLEANUP].runs, 1);
	CHECK_INT(db->root->jobs.logs_removed, 4);
	CHECK_INT(db->root->jobs.filesets_removed, 5);

	/* nothing is left to do, and nothing is done */
	calls = env_fault_calls(env);
	CHECK(is_nothing(clean()));
	CHECK_INT(db->root->jobs.stats[M3_JOB_CLEANUP].runs, 1);
	know_snapshot(logs[2]);
	CHECK(is_nothing(clean()));
	CHECK_INT(env_fault_calls(env), calls);

	/* a snapshot that covers everything spares the active log */
	make_metadata(6, 5, active_log() + 5);
	know_snapshot(active_log() + 5);
	result = clean();
	CHECK_INT(result.logs, 2);
	CHECK_INT(result.snapshots, 1);
	CHECK_INT(result.metadata, 1);
	CHECK(exists(log_path(active_log())) && exists(log_path(1000)));
	end();
}

/* Logs that the newest snapshot would let go, but something that came since needs. */
static void
test_needed_logs(void)
{
	M3CommitOptions commit = {.synchronous = true};
	uint64_t	log;
	uint64_t	old;
	M3Txn	   *txn;
	M3PurgeResult purged;

	begin();
	old = write_log("ns", 1);
	CHECK_OK(m3_txn_begin(engine.dbs[1], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_write(txn, test_series(txn, "ns", &options, "x"), NOW, 5, M3_UNIT_NONE,
						  m3_slice(NULL, 0), 0, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	log = active_log();
	CHECK_OK(m3_log_rotate(db, true, &err));
	make_metadata(1, 1, active_log());
	know_snapshot(active_log());
	CHECK_INT(clean().logs, 1);
	CHECK(!exists(log_path(old)) && exists(log_path(log)));
	CHECK(is_nothing(clean()));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	CHECK_INT(clean().logs, 1);
	CHECK(!exists(log_path(log)));

	/* a namespace whose files are void only because the log says so */
	write_log("other", 2);
	void_namespace("ns", false);
	log = active_log();
	CHECK_OK(m3_log_rotate(db, true, &err));
	make_metadata(2, 2, active_log());
	know_snapshot(active_log());
	CHECK_INT(clean().logs, 1);
	CHECK(exists(log_path(log)));
	CHECK_OK(m3_purge_run(db, &purged, &err));
	CHECK_INT(clean().logs, 1);
	CHECK(!exists(log_path(log)));
	CHECK_INT(db->root->first_log, active_log());
	end();
}

/* A dropped namespace is remembered until the log that says so is gone. */
static void
test_tombstone(void)
{
	M3PurgeResult purged;
	M3TickResult tick;
	const M3NamespaceShared *ns;

	begin();
	write_point("ns", 1);
	write_point("other", 1);
	ns = namespace_of("ns");
	void_namespace("ns", true);
	CHECK_OK(m3_purge_run(db, &purged, &err));
	CHECK_INT(purged.namespaces, 1);
	CHECK(namespace_of("ns") == NULL);
	/* takes its series out */
	for (int i = 0; i < 2; i++)
		CHECK_OK(m3_tick_run(db, &tick, &err));
	CHECK(is_nothing(clean()));
	CHECK(m3_arena_at(db->arena, db->root->first_namespace) == ns);
	CHECK_OK(m3_log_rotate(db, true, &err));
	make_metadata(1, 1, active_log());
	know_snapshot(active_log());
	CHECK_INT(clean().logs, 1);
	CHECK(m3_arena_at(db->arena, db->root->first_namespace) != ns);
	CHECK(m3_arena_at(db->arena, db->root->first_namespace) == namespace_of("other"));
	end();
}

/* --- data --------------------------------------------------------------- */

static void
test_data(void)
{
	M3CleanupResult result;
	M3BlockShared block;
	uint64_t	calls;
	const char *directory;

	begin();
	options.retention_period_ns = 10 * 2 * HOUR;
	write_point("ns", 1);
	options.cleanup_enabled = false;
	write_point("kept", 1);
	CHECK(namespace_of("ns")->options.cleanup_enabled);

	directory = shard_directory(M3_FILESET_KIND_DATA, "ns", 1);
	for (int v = 0; v < 6; v++)
		make_fileset("ns", 1, BLOCK(2), v, 0);
	put_block("ns", 1, BLOCK(2), 4);
	CHECK_OK(env->unlink(env, file_of(directory, BLOCK(2), 1, M3_FILESET_CHECKPOINT), &err));
	make_file(file_of(directory, BLOCK(2), 2, M3_FILESET_INFO), "?", 1);
	make_fileset("ns", 1, BLOCK(3), 0, 0);	/* not in the table */
	make_fileset("ns", 2, BLOCK(10), 0, 0); /* the last within retention */
	put_block("ns", 2, BLOCK(10), 0);
	make_fileset("ns", 2, BLOCK(11), 3, 0);
	put_block("ns", 2, BLOCK(11), 3);
	make_fileset("ns", 2, BLOCK(12), 0, 0);
	make_file(file_of(shard_directory(M3_FILESET_KIND_DATA, "ns", 2), BLOCK(12), 0,
					  M3_FILESET_INFO), "?", 1);
	make_fileset("ns", 7, BLOCK(30), 0, 0);
	make_fileset("kept", 1, BLOCK(2), 0, 0);
	make_fileset("kept", 1, BLOCK(2), 1, 0);
	make_fileset("kept", 1, BLOCK(40), 0, 0);
	put_block("kept", 1, BLOCK(2), 1);
	make_fileset("unknown", 1, BLOCK(40), 0, 0);

	result = clean();
	CHECK_INT(result.filesets, 5);
	CHECK_INT(result.snapshots + result.metadata + result.logs, 0);
	CHECK(result.bytes > 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 0), 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 1), 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 2), 7); /* damaged */
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 3), 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 4), 7);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 5), 7);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(3), 0), 7);
	CHECK_INT(DATA_FILES("ns", 2, BLOCK(10), 0), 7);
	CHECK_INT(DATA_FILES("ns", 2, BLOCK(11), 3), 0);
	CHECK_INT(DATA_FILES("ns", 2, BLOCK(12), 0), 0);
	CHECK_INT(DATA_FILES("ns", 7, BLOCK(30), 0), 7);
	CHECK(!m3i_blocks_find(db, namespace_of("ns"), 2, BLOCK(11), &block));
	CHECK(m3i_blocks_find(db, namespace_of("ns"), 2, BLOCK(10), &block));
	CHECK_INT(DATA_FILES("kept", 1, BLOCK(2), 0), 7);
	CHECK_INT(DATA_FILES("kept", 1, BLOCK(40), 0), 7);
	CHECK_INT(DATA_FILES("unknown", 1, BLOCK(40), 0), 7);

	/* as long as no block changes, nobody looks */
	make_fileset("ns", 1, BLOCK(2), 0, 0);
	calls = env_fault_calls(env);
	CHECK(is_nothing(clean()));
	CHECK_INT(env_fault_calls(env), calls);
	put_block("ns", 1, BLOCK(2), 5);
	CHECK_INT(clean().filesets, 2);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 0), 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 4), 0);
	CHECK_INT(DATA_FILES("ns", 1, BLOCK(2), 5), 7);

	/* a block later */
	env_fault_set_clock(env, NOW + 2 * HOUR);
	CHECK_INT(clean().filesets, 1);
	CHECK_INT(DATA_FILES("ns", 2, BLOCK(10), 0), 0);
	CHECK_INT(db->root->jobs.stats[M3_JOB_CLEANUP].runs, 3);
	make_fileset("ns", 3, BLOCK(9), 0, 0);	/* in no table */
	CHECK(is_nothing(clean()));
	env_fault_set_clock(env, NOW + 4 * HOUR);
	CHECK_INT(clean().filesets, 1);
	CHECK_INT(DATA_FILES("ns", 3, BLOCK(9), 0), 0);

	/* what is to be purged is left to the purge */
	make_fileset("ns", 1, BLOCK(5), 0, 0);
	make_fileset("ns", 1, BLOCK(5), 1, 0);
	put_block("ns", 1, BLOCK(5), 1);
	namespace_of("ns")->purge_pending = true;
	CHECK(is_nothing(clean()));
	namespace_of("ns")->purge_pending = false;
	CHECK_INT(clean().filesets, 1);
	end();
}

/* --- failures ----------------------------------------------------------- */

static uint64_t failing_logs[3];

static void
set_up_failing(void)
{
	begin();
	options.retention_period_ns = 10 * 2 * HOUR;
	for (int i = 0; i < 3; i++)
		failing_logs[i] = write_log("ns", i);
	make_fileset("ns", 0, BLOCK(0), 0, 1);
	make_fileset("ns", 1, BLOCK(0), 0, 1);
	make_fileset("ns", 1, BLOCK(0), 1, 2);
	make_metadata(1, 1, failing_logs[1]);
	make_metadata(2, 2, active_log());
	know_snapshot(active_log());
	make_fileset("ns", 3, BLOCK(20), 0, 0);
	make_fileset("ns", 3, BLOCK(1), 0, 0);
	make_fileset("ns", 3, BLOCK(1), 1, 0);
	put_block("ns", 3, BLOCK(1), 1);
}

static bool
is_clean(void)
{
	return SNAPSHOT_FILES("ns", 0, BLOCK(0), 0) == 0 &&
		SNAPSHOT_FILES("ns", 1, BLOCK(0), 0) == 0 &&
		SNAPSHOT_FILES("ns", 1, BLOCK(0), 1) == 7 && count_metadata() == 1 &&
		DATA_FILES("ns", 3, BLOCK(20), 0) == 0 && DATA_FILES("ns", 3, BLOCK(1), 0) == 0 &&
		DATA_FILES("ns", 3, BLOCK(1), 1) == 7 && !exists(log_path(failing_logs[0])) &&
		!exists(log_path(failing_logs[1])) && !exists(log_path(failing_logs[2]));
}

/* Whether no log is left while one behind it has gone, and none has gone while there is
 * a snapshot fileset that counts and is not of the newest run. */
static bool
is_in_order(void)
{
	bool		snapshots = exists(file_of(shard_directory(M3_FILESET_KIND_SNAPSHOT, "ns", 0),
										   BLOCK(0), 0, M3_FILESET_CHECKPOINT)) ||
		exists(file_of(shard_directory(M3_FILESET_KIND_SNAPSHOT, "ns", 1), BLOCK(0), 0,
					   M3_FILESET_CHECKPOINT));
	bool		first = exists(log_path(failing_logs[0]));
	bool		second = exists(log_path(failing_logs[1]));
	bool		third = exists(log_path(failing_logs[2]));

	return (!first || second) && (!second || third) && (!snapshots || first);
}

/* Each call that changes or reads something fails once; the next round does what is left. */
static void
test_failures(void)
{
	int			failures = 0;

	for (int reads = 0; reads < 2; reads++)
	{
		bool		more = true;

		for (uint64_t n = 1; more && n < 400; n++)
		{
			EnvFaultPlan plan = {.at = reads ? 0 : n,.read_at = reads ? n : 0};
			M3CleanupResult result;
			M3Status	status;

			set_up_failing();
			env_fault_fail(env, &plan);
			memset(&err, 0, sizeof(err));
			status = m3_cleanup_run(db, &result, &err);
			more = env_fault_has_failed(env);
			env_fault_fail(env, NULL);
			if (status != M3_OK)
			{
				failures++;
				CHECK(err.message[0] != '\0');
				CHECK_INT(db->root->jobs.stats[M3_JOB_CLEANUP].failures, 1);
				CHECK(strncmp(db->root->jobs.stats[M3_JOB_CLEANUP].last_error, err.message,
							  strlen(err.message)) == 0);
			}
			CHECK(is_in_order());
			CHECK_INT(db->root->jobs.progress.job, M3_JOB_NONE);
			CHECK(status != M3_OK || is_clean());
			(void) clean();
			CHECK(is_clean());
			CHECK_INT(db->root->first_log, active_log());
			end();
		}
		CHECK(!more);
	}
	CHECK(failures > 30);
}

/* --- a life ------------------------------------------------------------- */

/* Flush, snapshot and cleanup of one round. */
static M3Status
run_round(void)
{
	M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
	M3SnapshotOptions snapshot = {.force = true};
	M3FlushResult flushed;
	M3SnapshotResult taken;
	M3CleanupResult cleaned;

	M3_TRY(m3_flush_run(db, &flush, &flushed, &err));
	M3_TRY(m3_snapshot_run(db, &snapshot, &taken, &err));
	return m3_cleanup_run(db, &cleaned, &err);
}

static void
check_points(void)
{
	TestPoint	points[16];
	size_t		count = test_read(&engine, 0, "ns", "x", NOW, NOW + HOUR, NULL, NULL, 0, points,
								  16);

	CHECK_INT(count, 10);
	for (size_t i = 0; i < count && i < 16; i++)
		CHECK(points[i].value == (double) (points[i].time_ns / S % 100) + (i < 5 ? 100 : 0));
}

/* The same points again and again, replaced while they move from logs to snapshots to files;
 * a crash during cleanup brings nothing back. */
static void
test_cleanup_crashes(void)
{
	for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
	{
		bool		more = true;

		for (uint64_t n = 1; more && n < 300; n += 3)
		{
			EnvFaultPlan plan = {.at = n,.for_ever = true};
			M3SnapshotOptions snapshot = {.force = true};
			M3SnapshotResult taken;
			M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
			M3FlushResult flushed;
			M3CleanupResult cleaned;

			begin();
			for (int i = 0; i < 10; i++)
				write_point("ns", i);
			CHECK_OK(m3_snapshot_run(db, &snapshot, &taken, &err));
			for (int i = 0; i < 5; i++)
				CHECK_OK(test_write(&engine, 0, "ns", &options, "x", NOW + i * S, 100 + i, &err));
			CHECK_OK(m3_flush_run(db, &flush, &flushed, &err));
			CHECK_OK(m3_snapshot_run(db, &snapshot, &taken, &err));
			env_fault_fail(env, &plan);
			(void) m3_cleanup_run(db, &cleaned, &err);
			more = env_fault_has_failed(env);
			kill_engine((EnvFaultCrash) mode, n);

			start_engine();
			check_points();
			CHECK_OK(run_round());
			check_points();
			kill_engine(ENV_FAULT_DROP, n);
			start_engine();
			check_points();
			end();
		}
		CHECK(!more);
	}
}

int
main(void)
{
	test_no_snapshot();
	test_snapshots();
	test_needed_logs();
	test_tombstone();
	test_data();
	test_failures();
	test_cleanup_crashes();
	return check_report();
}
