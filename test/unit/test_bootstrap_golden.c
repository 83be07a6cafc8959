/*
 * Directories that M3DB itself wrote, sound and damaged, are bootstrapped and every point is
 * read back (spec/lifecycle.md 11, 13).
 */
#include "storage/db/db_private.h"
#include "test/support/engine.h"
#include "test/unit/golden_fixture.h"

static TestEngine engine;
static size_t reports;

/* --- the engine's ------------------------------------------------------- */

static void
on_report(void *context, const char *message)
{
	(void) context;
	(void) message;
	reports++;
}

/* Copies a golden directory to be a root, and says what namespaces it has. */
static void
make_root(const char *golden, const Folder *folder)
{
	M3RootOptions root = {.shard_count = folder->shards};
	char		command[M3_FILESET_PATH_SIZE * 2];
	M3Ref		ref;

	fixture_remove(scratch);
	mkdir(scratch, 0700);
	snprintf(command, sizeof(command), "cp -r '%s' '%s/%u'", golden, scratch, TEST_ROOT_ID);
	if (system(command) != 0)
		abort();
	test_engine_open(&engine, env, scratch, (size_t) 32 << 20, 1);
	for (int i = 0; folder->namespaces[i] != NULL; i++)
	{
		int64_t		seconds = folder->block_seconds != 0 ? folder->block_seconds :
			strcmp(folder->namespaces[i], "log_agg") == 0 ? 3600 : 7200;
		M3NamespaceOptions options = test_options(seconds);

		CHECK_OK(m3i_namespace_ensure(engine.dbs[0], m3_slice_cstr(folder->namespaces[i]),
									  &options, &root, &ref, &err));
	}
	test_engine_kill(&engine);
}

static void
bootstrap_and_read(const char *golden, const Folder *folder, Rows *rows)
{
	M3BootstrapHooks hooks = {.report = on_report};

	reports = read_errors = 0;
	make_root(golden, folder);
	test_engine_open(&engine, env, scratch, (size_t) 32 << 20, 1);
	CHECK_OK(test_engine_bootstrap(&engine, &hooks, &err));
	for (int i = 0; folder->namespaces[i] != NULL; i++)
		read_namespace(engine.dbs[0], folder->namespaces[i], rows);
	test_engine_crash(&engine);
	sort_rows(rows);
}

/* --- tests -------------------------------------------------------------- */

/* Every point of a sound directory, and no other. */
static void
test_sound(const Folder *folder)
{
	char		golden[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE + 32];
	Rows		rows = {0};
	Rows		expected = {0};
	Rows		newer = {0};
	size_t		differ = 0;

	snprintf(golden, sizeof(golden), "%s/m3db/%s", test_data(), folder->name);
	snprintf(path, sizeof(path), "%s/expected.csv", golden);
	if (!CHECK(read_rows(path, true, &expected)))
		return;
	/* where M3 itself does not return what was written last */
	snprintf(path, sizeof(path), "%s/older_value_wins.csv", golden);
	(void) read_rows(path, false, &newer);
	bootstrap_and_read(golden, folder, &rows);
	CHECK_INT(read_errors, 0);
	CHECK_INT(rows.count, expected.count);
	for (size_t i = 0; i < rows.count && i < expected.count; i++)
	{
		const Row  *row = find_row(&newer, &rows.rows[i]);

		if (row == NULL)
			row = &expected.rows[i];
		if (compare_rows(row, &rows.rows[i]) != 0 || row->bits != rows.rows[i].bits)
		{
			if (differ++ < 3)
				fprintf(stderr, "    %s: %s at %" PRId64 " is %" PRIx64 ", not %" PRIx64 "\n",
						folder->name, rows.rows[i].id, rows.rows[i].time_ns, rows.rows[i].bits,
						row->bits);
		}
	}
	CHECK_INT(differ, 0);
	free(rows.rows);
	free(expected.rows);
	free(newer.rows);
}

static void
test_damaged(const char *name, const Rows *intact)
{
	static const Folder folder = {"damaged", 2, 7200, {"dmg"}};
	char		golden[M3_FILESET_PATH_SIZE];
	Rows		rows = {0};

	snprintf(golden, sizeof(golden), "%s/m3db/damaged/%s", test_data(), name);
	bootstrap_and_read(golden, &folder, &rows);
	check_damaged(name, golden, &rows, intact, reports);
	free(rows.rows);
}

int
main(void)
{
	char		path[M3_FILESET_PATH_SIZE];
	Rows		intact = {0};
	struct dirent *entry;
	DIR		   *dir;

	fixture_begin();
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		test_sound(&folders[i]);
	snprintf(path, sizeof(path), "%s/m3db/damaged/intact/expected.csv", test_data());
	CHECK(read_rows(path, true, &intact));
	snprintf(path, sizeof(path), "%s/m3db/damaged", test_data());
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] != '.' && strchr(entry->d_name, '.') == NULL)
			test_damaged(entry->d_name, &intact);
	}
	if (dir != NULL)
		closedir(dir);
	free(intact.rows);
	return fixture_end();
}
