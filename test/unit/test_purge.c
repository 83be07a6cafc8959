/*
 * Purge and orphans: files of truncated, dropped and unknown namespaces, and what a
 * crash or a failure at any call leaves of them.
 */
#include "test/unit/cleanup_fixture.h"

/* --- purge -------------------------------------------------------------- */

static void
set_up_purge(bool with_foreign)
{
	begin();
	write_point("ns", 1);
	write_point("stays", 1);
	for (uint32_t s = 0; s < 2; s++)
	{
		make_fileset("ns", s, BLOCK(1), 0, 0);
		make_fileset("ns", s, BLOCK(1), 1, 0);
		put_block("ns", s, BLOCK(1), 1);
		make_fileset("ns", s, BLOCK(0), 0, 1);
	}
	make_fileset("stays", 0, BLOCK(1), 0, 0);
	put_block("stays", 0, BLOCK(1), 0);
	if (with_foreign)
		make_file(ROOT "/data/ns/1/notes.txt", "x", 1);
}

static void
test_purge(void)
{
	M3PurgeResult result;
	M3NamespaceShared *ns;
	M3LogPlace	place;
	uint64_t	calls;

	set_up_purge(true);
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(result.namespaces, 0);
	CHECK_INT(db->root->jobs.stats[M3_JOB_PURGE].runs, 0);

	void_namespace("ns", false);
	ns = namespace_of("ns");
	place = ns->purge;
	CHECK(ns->purge_pending && place.log_index == active_log());
	write_point("ns", 7);
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(result.namespaces, 1);
	CHECK_INT(result.files, 6);
	CHECK(!ns->purge_pending);
	CHECK(ns->floor.log_index == place.log_index && ns->floor.offset == place.offset);
	/* a stranger's file stays, and what leads to it */
	CHECK_INT(count_entries(ROOT "/data/ns/0"), -1);
	CHECK_INT(count_entries(ROOT "/data/ns/1"), 1);
	CHECK_INT(count_entries(ROOT "/snapshots/ns"), -1);
	CHECK_INT(DATA_FILES("stays", 0, BLOCK(1), 0), 7);
	CHECK_INT(db->root->jobs.stats[M3_JOB_PURGE].runs, 1);
	calls = env_fault_calls(env);
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(env_fault_calls(env), calls);

	/* options that changed at a commit */
	db->root->registry_dirty = true;
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK(!db->root->registry_dirty && env_fault_calls(env) > calls);
	CHECK_INT(result.namespaces, 0);

	/* dropped: no trace of it */
	CHECK_OK(env->unlink(env, ROOT "/data/ns/1/notes.txt", &err));
	void_namespace("ns", true);
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(result.namespaces, 1);
	CHECK_INT(count_entries(ROOT "/data/ns"), -1);
	CHECK(namespace_of("ns") == NULL);
	end();
}

/* What was written after the void is not void. */
static void
test_purge_spares(void)
{
	M3PurgeResult result;

	set_up_purge(false);
	void_namespace("ns", false);
	CHECK_OK(m3_log_rotate(db, true, &err));
	make_fileset("ns", 3, BLOCK(1), 0, 0);
	make_fileset("ns", 3, BLOCK(1), 1, 0);
	put_block("ns", 3, BLOCK(1), 1);
	make_fileset("ns", 0, BLOCK(0), 5, 8);
	make_metadata(1, 8, active_log());
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(result.namespaces, 1);
	CHECK_INT(result.files, 7);
	CHECK_INT(DATA_FILES("ns", 3, BLOCK(1), 1), 7);
	CHECK_INT(SNAPSHOT_FILES("ns", 0, BLOCK(0), 5), 7);
	CHECK_INT(SNAPSHOT_FILES("ns", 0, BLOCK(0), 0), 0);

	/* but a snapshot from before it is */
	void_namespace("ns", false);
	CHECK_OK(m3_purge_run(db, &result, &err));
	CHECK_INT(result.files, 2);
	CHECK_INT(count_entries(ROOT "/snapshots/ns"), -1);
	CHECK_INT(count_entries(ROOT "/data/ns"), -1);
	end();
}

static bool
has_filesets(const char *ns)
{
	static const M3FilesetKind kinds[] = {M3_FILESET_KIND_DATA, M3_FILESET_KIND_SNAPSHOT};
	bool		any = false;

	for (int k = 0; k < 2; k++)
	{
		for (uint32_t s = 0; s < 4; s++)
		{
			M3FilesetList list;

			CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, shard_directory(kinds[k], ns, s),
									 &list, &err));
			for (size_t i = 0; i < list.count; i++)
				any = any || m3_fileset_listed_has(&list.filesets[i], M3_FILESET_CHECKPOINT);
			m3_fileset_list_free(&list);
		}
	}
	return any;
}

/* After a failure the purge is still to be done, and the next one does it. */
static void
test_purge_failures(void)
{
	bool		more = true;
	int			failures = 0;

	for (uint64_t n = 1; more && n < 300; n++)
	{
		EnvFaultPlan plan = {.at = n};
		M3PurgeResult result;
		M3Status	status;

		set_up_purge(false);
		void_namespace("ns", false);
		env_fault_fail(env, &plan);
		status = m3_purge_run(db, &result, &err);
		more = env_fault_has_failed(env);
		env_fault_fail(env, NULL);
		failures += status != M3_OK;
		CHECK(namespace_of("ns")->purge_pending == (status != M3_OK));
		CHECK((namespace_of("ns")->floor.offset != 0) == (status == M3_OK));
		CHECK_OK(m3_purge_run(db, &result, &err));
		CHECK_INT(result.namespaces, status != M3_OK);
		CHECK(!namespace_of("ns")->purge_pending);
		CHECK_INT(count_entries(ROOT "/data/ns"), -1);
		CHECK_INT(count_entries(ROOT "/snapshots/ns"), -1);
		end();
	}
	CHECK(!more);
	CHECK(failures > 30);
}

/* Whether no part of what set_up_purge made is left of the namespace. */
static bool
no_files(void)
{
	int			count = 0;

	for (uint32_t s = 0; s < 2; s++)
		count += DATA_FILES("ns", s, BLOCK(1), 0) + DATA_FILES("ns", s, BLOCK(1), 1) +
			SNAPSHOT_FILES("ns", s, BLOCK(0), 0);
	return count == 0 && count_entries(ROOT "/data/ns/0") == -1 &&
		count_entries(ROOT "/snapshots/ns") == -1;
}

/* A crash at any call: then either the files are to be purged, or they are gone. */
static void
test_purge_crashes(void)
{
	int			pending = 0;
	int			done = 0;

	for (int mode = 0; mode < ENV_FAULT_CRASH_MODES; mode++)
	{
		bool		more = true;

		for (uint64_t n = 1; more && n < 300; n++)
		{
			EnvFaultPlan plan = {.at = n,.for_ever = true};
			M3PurgeResult result;
			TestPoint	points[4];

			set_up_purge(mode % 2 == 0);
			void_namespace("ns", false);
			write_point("ns", 9);
			env_fault_fail(env, &plan);
			(void) m3_purge_run(db, &result, &err);
			more = env_fault_has_failed(env);
			kill_engine((EnvFaultCrash) mode, n);

			start_engine();
			CHECK(namespace_of("ns")->purge_pending || (!has_filesets("ns") && no_files()));
			pending += namespace_of("ns")->purge_pending;
			done += !namespace_of("ns")->purge_pending;
			CHECK_INT(namespace_of("ns")->file_count, 0);
			CHECK_INT(test_read(&engine, 0, "ns", "x", NOW, NOW + HOUR, NULL, NULL, 0, points,
								4), 1);
			CHECK(points[0].value == 9);
			CHECK_OK(m3_purge_run(db, &result, &err));
			CHECK(!has_filesets("ns") && !namespace_of("ns")->purge_pending);
			CHECK_INT(DATA_FILES("stays", 0, BLOCK(1), 0), 7);
			end();
		}
		CHECK(!more);
	}
	CHECK(pending > 30 && done > 0);
}

/* --- orphans ------------------------------------------------------------ */

typedef struct Seen
{
	int			count;
	char		text[4096];
	M3Status	answer;
} Seen;

static M3Status
see_orphan(void *context, const M3OrphanInfo *orphan)
{
	Seen	   *seen = context;
	size_t		used = strlen(seen->text);

	seen->count++;
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s %" PRIu64 " %d %s\n", orphan->path,
			 orphan->files, orphan->bytes > 100, orphan->reason);
	return seen->answer;
}

static void
test_orphans(void)
{
	Seen		seen = {.answer = M3_OK};
	char		expected[1024];
	M3PurgeResult purged;
	uint64_t	files;

	begin();
	CHECK_OK(m3_orphans(db, see_orphan, &seen, &err));
	CHECK_INT(seen.count, 0);
	write_point("ns", 1);
	write_point("gone", 1);
	make_fileset("ns", 0, BLOCK(0), 0, 0);
	make_fileset("ns", 1, BLOCK(0), 0, 0);
	make_fileset("ns", 8, BLOCK(0), 0, 0);
	make_fileset("ns", 2, BLOCK(0), 3, 1);
	make_file(file_of(shard_directory(M3_FILESET_KIND_SNAPSHOT, "ns", 2), BLOCK(0), 3,
					  M3_FILESET_DIGEST), "?", 1);
	make_fileset("ns", 3, BLOCK(0), 0, 0);	/* unfinished: nobody takes it for anything */
	CHECK_OK(env->unlink(env, file_of(shard_directory(M3_FILESET_KIND_DATA, "ns", 3), BLOCK(0),
									  0, M3_FILESET_CHECKPOINT), &err));
	make_fileset("lost", 0, BLOCK(0), 0, 0);
	make_fileset("lost", 1, BLOCK(0), 0, 0);
	make_fileset("lost", 1, BLOCK(0), 0, 1);
	make_file(ROOT "/data/lost/1/notes.txt", "x", 1);
	make_file(ROOT "/data/lost/index", "x", 1);
	make_fileset("gone", 0, BLOCK(0), 0, 0);
	void_namespace("gone", true);	/* its files will go by themselves */

	CHECK_OK(m3_orphans(db, see_orphan, &seen, &err));
	CHECK_INT(seen.count, 4);
	CHECK(strstr(seen.text, "data/lost 16 1 no namespace") != NULL);
	CHECK(strstr(seen.text, "snapshots/lost 7 1 no namespace") != NULL);
	CHECK(strstr(seen.text, "data/ns/8 7 1 the database has no such shard") != NULL);
	snprintf(expected, sizeof(expected), "snapshots/ns/2/fileset-%" PRId64 "-3-checkpoint.db 7 1 ",
			 BLOCK(0));
	CHECK(strstr(seen.text, expected) != NULL);
	seen.answer = M3_CONFLICT;
	seen.count = 0;
	CHECK_STATUS(m3_orphans(db, see_orphan, &seen, &err), M3_CONFLICT);
	CHECK_INT(seen.count, 1);

	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr("ns"), &files, &err), M3_CONFLICT);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr("gone"), &files, &err), M3_CONFLICT);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr("never"), &files, &err), M3_NOT_FOUND);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr(".."), &files, &err), M3_INVALID);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr("ns/8"), &files, &err), M3_INVALID);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr(""), &files, &err), M3_INVALID);
	CHECK_OK(m3_orphan_remove(db, m3_slice_cstr("lost"), &files, &err));
	CHECK_INT(files, 23);
	CHECK_INT(count_entries(ROOT "/data/lost"), -1);
	CHECK_INT(count_entries(ROOT "/snapshots/lost"), -1);
	CHECK_INT(DATA_FILES("ns", 8, BLOCK(0), 0), 7);
	CHECK_STATUS(m3_orphan_remove(db, m3_slice_cstr("lost"), &files, &err), M3_NOT_FOUND);

	/* a dropped one that has been purged is not known any more */
	CHECK_OK(m3_purge_run(db, &purged, &err));
	make_fileset("gone", 0, BLOCK(0), 0, 0);
	CHECK_OK(m3_orphan_remove(db, m3_slice_cstr("gone"), &files, &err));
	end();
}

int
main(void)
{
	test_purge();
	test_purge_spares();
	test_purge_failures();
	test_purge_crashes();
	test_orphans();
	return check_report();
}
