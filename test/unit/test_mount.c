/*
 * Mounts: what M3DB's own directories hold, sound and damaged, without a byte changed; and a
 * directory that another engine writes to, flushes and cleans up meanwhile.
 */
#include <math.h>
#include <setjmp.h>
#include <time.h>

#include "storage/base/hash.h"
#include "storage/db/fileset_cache.h"
#include "storage/db/mount_private.h"
#include "test/support/engine.h"
#include "test/unit/golden_fixture.h"

#define S M3_NS_PER_SECOND
#define SIZE (7200 * S)
#define T0 (INT64_C(1700006400) * S)	/* a block's start */
#define ARENA ((size_t) 3 << 20)

static TestEngine engine;
static M3NamespaceOptions options;
static M3Env *mount_env;	/* what mounts are opened with */
static M3Mount *mount;
static void *base;
static size_t reports;
static char last_report[1024];

/* --- fixture ------------------------------------------------------------ */

static void
on_report(void *context, const char *message)
{
	(void) context;
	snprintf(last_report, sizeof(last_report), "%s", message);
	if (getenv("M3_VERBOSE") != NULL)
		printf("    %s\n", message);
	reports++;
}

static M3Status
open_mount(const char *directory, size_t size)
{
	M3MountOptions o = {.size = size,.hooks = {.report = on_report}};

	base = o.base = aligned_alloc(64, size);
	memset(base, 0, size);
	reports = read_errors = 0;
	return m3_mount_create(mount_env, &m3_memory_malloc, directory, &o, &mount, &err);
}

static void
close_mount(void)
{
	const char *reason = "";

	if (!CHECK(m3_arena_check(m3_mount_database(mount)->arena, &mount->env, &reason)))
		fprintf(stderr, "    %s\n", reason);
	m3_mount_close(mount);
	free(base);
}

static bool
refresh(void)
{
	bool		changed;

	CHECK_OK(m3_mount_refresh(mount, &changed, &err));
	return changed;
}

static uint64_t tree_sum;

static int
sum_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	uint64_t	words[4] = {m3_xxh64(path, strlen(path)), (uint64_t) st->st_size,
		(uint64_t) st->st_mtim.tv_sec, (uint64_t) st->st_mtim.tv_nsec
	};
	size_t		size;
	uint8_t    *bytes;

	(void) ftw;
	tree_sum += m3_xxh64(words, sizeof(words));
	if (flag == FTW_F)
	{
		bytes = slurp(path, &size);
		tree_sum += m3_xxh64(bytes, size);
		free(bytes);
	}
	return 0;
}

/* Names, sizes, times and contents. */
static uint64_t
sum_tree(const char *path)
{
	tree_sum = 0;
	nftw(path, sum_entry, 16, FTW_PHYS);
	return tree_sum;
}

static void
on_namespace(void *context, const M3NamespaceInfo *info)
{
	Rows	   *rows = context;

	read_namespace(m3_mount_database(mount), info->name, rows);
}

/* All that the mount shows. */
static void
read_mount(Rows *rows)
{
	CHECK_OK(m3_namespaces(m3_mount_database(mount), on_namespace, rows, &err));
	sort_rows(rows);
}

/* --- M3's directories --------------------------------------------------- */

static void
mount_and_read(const char *golden, Rows *rows)
{
	uint64_t	before = sum_tree(golden);

	CHECK_OK(open_mount(golden, (size_t) 32 << 20));
	CHECK(refresh());
	read_mount(rows);
	/* ends of logs that nobody can read are looked at once more */
	(void) refresh();
	CHECK(!refresh());
	close_mount();
	CHECK(sum_tree(golden) == before);
}

static size_t
count_different(const Rows *rows, const Rows *expected, const Rows *newer)
{
	size_t		differ = 0;

	for (size_t i = 0; i < rows->count && i < expected->count; i++)
	{
		const Row  *row = find_row(newer, &rows->rows[i]);

		if (row == NULL)
			row = &expected->rows[i];
		differ += compare_rows(row, &rows->rows[i]) != 0 || row->bits != rows->rows[i].bits;
	}
	return differ;
}

static void
test_sound(const Folder *folder)
{
	char		golden[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE + 32];
	Rows		rows = {0};
	Rows		expected = {0};
	Rows		newer = {0};

	snprintf(golden, sizeof(golden), "%s/m3db/%s", test_data(), folder->name);
	snprintf(path, sizeof(path), "%s/expected.csv", golden);
	if (!CHECK(read_rows(path, true, &expected)))
		return;
	snprintf(path, sizeof(path), "%s/older_value_wins.csv", golden);
	(void) read_rows(path, false, &newer);
	mount_and_read(golden, &rows);
	CHECK_INT(read_errors, 0);
	CHECK_INT(rows.count, expected.count);
	CHECK_INT(count_different(&rows, &expected, &newer), 0);
	free(rows.rows);
	free(expected.rows);
	free(newer.rows);
}

static void
test_damaged(const char *name, const Rows *intact)
{
	char		golden[M3_FILESET_PATH_SIZE];
	Rows		rows = {0};

	snprintf(golden, sizeof(golden), "%s/m3db/damaged/%s", test_data(), name);
	mount_and_read(golden, &rows);
	check_damaged(name, golden, &rows, intact, reports);
	free(rows.rows);
}

static void
test_golden(void)
{
	char		path[M3_FILESET_PATH_SIZE];
	Rows		intact = {0};
	size_t		variants = 0;
	struct dirent *entry;
	DIR		   *dir;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		test_sound(&folders[i]);
	snprintf(path, sizeof(path), "%s/m3db/damaged/intact/expected.csv", test_data());
	CHECK(read_rows(path, true, &intact));
	snprintf(path, sizeof(path), "%s/m3db/damaged", test_data());
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] == '.' || strchr(entry->d_name, '.') != NULL)
			continue;
		test_damaged(entry->d_name, &intact);
		variants++;
	}
	if (dir != NULL)
		closedir(dir);
	CHECK_INT(variants, 21);
	free(intact.rows);
}

/* --- a root of ours ----------------------------------------------------- */

static void
start_engine(void)
{
	test_engine_open(&engine, env, scratch, ARENA, 1);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
}

/* An engine on an empty directory, and a mount of its root. */
static void
begin(void)
{
	fixture_remove(scratch);
	mkdir(scratch, 0700);
	options = test_options(SIZE / S);
	start_engine();
	CHECK_OK(open_mount(in_scratch("%u", TEST_ROOT_ID), ARENA));
}

static void
end(void)
{
	close_mount();
	test_engine_crash(&engine);
}

static void
put(const char *ns, const char *name, int64_t time_ns, double value)
{
	CHECK_OK(test_write(&engine, 0, ns, &options, name, time_ns, value, &err));
}

static void
flush(void)
{
	M3FlushResult result;

	CHECK_OK(m3_flush_run(engine.dbs[0], &(M3FlushOptions) {.reason = M3_FLUSH_ALL}, &result,
						  &err));
}

static void
take_snapshot(void)
{
	M3SnapshotOptions o = {.force = true};
	M3SnapshotResult result;

	CHECK_OK(m3_snapshot_run(engine.dbs[0], &o, &result, &err));
}

static void
clean_up(void)
{
	M3CleanupResult result;

	CHECK_OK(m3_cleanup_run(engine.dbs[0], &result, &err));
}

static Rows
show(void)
{
	Rows		rows = {0};

	(void) refresh();
	read_mount(&rows);
	return rows;
}

static size_t
count_shown(void)
{
	Rows		rows = show();
	size_t		count = rows.count;

	for (size_t i = 1; i < count; i++)
		CHECK(compare_rows(&rows.rows[i - 1], &rows.rows[i]) < 0);
	free(rows.rows);
	return count;
}

/* The value of a point; NAN if it is not shown. */
static double
value_of(const char *ns, const char *id, int64_t time_ns)
{
	Rows		rows = show();
	Row			wanted = {.time_ns = time_ns};
	const Row  *row;
	double		value = NAN;

	snprintf(wanted.ns, sizeof(wanted.ns), "%s", ns);
	snprintf(wanted.id, sizeof(wanted.id), "%s", id);
	row = find_row(&rows, &wanted);
	if (row != NULL)
		memcpy(&value, &row->bits, sizeof(value));
	free(rows.rows);
	return value;
}

/* Whatever became of the files, the mount shows what the engine has acknowledged. */
static void
test_live(void)
{
	begin();
	CHECK_INT(count_shown(), 0);
	CHECK(!refresh());
	put("ns", "a", T0, 1);
	CHECK(refresh());
	CHECK(!refresh());
	put("ns", "b", T0 + S, 2);
	CHECK_INT(count_shown(), 2);
	flush();
	CHECK_INT(count_shown(), 2);
	put("ns", "a", T0, 3);
	CHECK(value_of("ns", "a", T0) == 3);
	take_snapshot();
	clean_up();
	CHECK(value_of("ns", "a", T0) == 3);
	CHECK_INT(count_shown(), 2);
	put("ns", "a", T0, 4);
	put("other", "a", T0, 5);
	flush();
	take_snapshot();
	clean_up();
	CHECK(value_of("ns", "a", T0) == 4);
	CHECK(value_of("other", "a", T0) == 5);
	CHECK_INT(count_shown(), 3);
	CHECK(!refresh());
	CHECK_INT(read_errors, 0);
	end();
}

/* Many rounds of everything; each looks at what a round may have left half done. */
static void
test_soak(void)
{
	size_t		written = 0;

	begin();
	for (int round = 0; round < 60; round++)
	{
		char		name[16];

		for (int i = 0; i < 7; i++, written++)
		{
			snprintf(name, sizeof(name), "s%d", i);
			put("ns", name, T0 + (int64_t) round * 600 * S + i, round);
		}
		if (round % 3 == 1)
			flush();
		if (round % 5 == 2)
			take_snapshot();
		if (round % 5 == 4)
			clean_up();
		CHECK_INT(count_shown(), written);
	}
	CHECK_INT(read_errors, 0);
	end();
}

/* A transaction that only its server can vouch for is shown, until it is taken back. */
static void
test_aborted(void)
{
	M3CommitOptions commit = {.synchronous = true,.full_xid = 77};
	M3Txn	   *txn;

	begin();
	put("ns", "a", T0, 1);
	CHECK_INT(count_shown(), 1);
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_write(txn, test_series(txn, "ns", &options, "a"), T0, 2, M3_UNIT_NONE,
						  m3_slice(NULL, 0), 0, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	CHECK(value_of("ns", "a", T0) == 2);
	CHECK(strstr(last_report, "taken for committed") != NULL);
	CHECK(m3_txn_abort(txn));
	m3_txn_free(txn);
	CHECK(value_of("ns", "a", T0) == 1);
	put("ns", "b", T0, 3);
	CHECK(value_of("ns", "b", T0) == 3);
	CHECK_INT(count_shown(), 2);
	end();
}

static jmp_buf jump;
static int	yields_left;

static void
yield_and_jump(M3Env *self)
{
	(void) self;
	if (yields_left > 0 && --yields_left == 0)
		longjmp(jump, 1);
}

/* A load that is interrupted is done again. */
static void
test_interrupted(void)
{
	TestHeap	heap;
	void		(*yield) (M3Env *) = env->yield;
	volatile int left = 0;

	begin();
	put("ns", "a", T0, 1);
	put("ns", "b", T0 + SIZE, 1);
	flush();
	put("ns", "a", T0 + S, 2);
	take_snapshot();
	put("ns", "a", T0 + 2 * S, 3);
	close_mount();
	for (volatile int at = 1; left == 0; at += 1 + at / 10)
	{
		M3MountOptions o = {.size = ARENA};

		base = o.base = aligned_alloc(64, o.size);
		memset(base, 0, o.size);
		test_heap_init(&heap);
		CHECK_OK(m3_mount_create(env, &heap.memory, in_scratch("%u", TEST_ROOT_ID), &o,
								 &mount, &err));
		yields_left = at;
		env->yield = yield_and_jump;
		if (setjmp(jump) == 0)
			CHECK_OK(m3_mount_refresh(mount, NULL, &err));
		else if (at % 3 == 0)
		{
			env->yield = yield;
			m3_mount_close(mount);
			test_heap_free_all(&heap);
			free(base);
			continue;
		}
		env->yield = yield;
		left = yields_left;
		yields_left = 0;
		CHECK_INT(count_shown(), 4);
		m3_mount_close(mount);
		test_heap_free_all(&heap);
		free(base);
	}
	CHECK_OK(open_mount(in_scratch("%u", TEST_ROOT_ID), ARENA));
	end();
}

static void
truncate_namespace(const char *ns, bool drop)
{
	M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;
	M3RootOptions root = {.shard_count = 4};
	uint32_t	number;

	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr(ns), &options, &root, &number, &err));
	CHECK_OK(m3_txn_void(txn, m3_slice_cstr(ns), drop, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

/* What the server does while the mount reads: before its n-th call. */
static struct
{
	M3Env		env;
	int			left;
	void		(*act) (void);
} meddler;

static void
meddle(void)
{
	if (meddler.left > 0 && --meddler.left == 0)
		meddler.act();
}

static M3Status
meddling_open(M3Env *self, const char *path, M3OpenMode mode, M3File **file, M3Error *error)
{
	(void) self;
	meddle();
	return env->open(env, path, mode, file, error);
}

static M3Status
meddling_read(M3Env *self, M3File *file, void *buffer, size_t size, uint64_t offset, size_t *got,
			  M3Error *error)
{
	(void) self;
	meddle();
	return env->read(env, file, buffer, size, offset, got, error);
}

static M3Status
meddling_list(M3Env *self, const char *path, M3ListFn fn, void *context, M3Error *error)
{
	(void) self;
	meddle();
	return env->list(env, path, fn, context, error);
}

static int64_t
meddling_now_ns(M3Env *self)
{
	(void) self;
	return env->now_ns(env);
}

static void
move_everything(void)
{
	flush();
	take_snapshot();
	clean_up();
}

static void
snapshot_twice(void)
{
	take_snapshot();
	put("ns", "late", T0 + 7 * S, 7);
	take_snapshot();
	clean_up();
}

static void
make_anew(void)
{
	M3PurgeResult purged;

	truncate_namespace("ns", true);
	CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
	put("ns", "a", T0, 9);
	flush();
}

/* TRUNCATE under a load; the same volumes with other points after it. */
static int
truncate_once(int at, bool loaded)
{
	int			left;

	begin();
	put("ns", "a", T0, 1);
	put("ns", "b", T0 + SIZE, 2);
	flush();
	put("ns", "a", T0 + S, 3);
	if (loaded)
		CHECK(value_of("ns", "a", T0) == 1);
	put("ns", "a", T0 + 2 * S, 5);
	meddler.act = make_anew;
	meddler.left = at;
	CHECK(refresh());
	left = meddler.left;
	meddler.left = 0;
	if (left == 0)
	{
		CHECK_INT(count_shown(), 1);
		CHECK(value_of("ns", "a", T0) == 9);
	}
	CHECK_INT(read_errors, 0);
	end();
	return left;
}

/* Points on disk, in a snapshot, and in a log that goes on; all shown, nothing twice. */
static int
meddle_once(void (*act) (void), int at, bool loaded)
{
	Rows		rows = {0};
	int			left;

	begin();
	put("ns", "a", T0, 1);
	put("ns", "b", T0 + SIZE, 2);
	flush();
	put("ns", "a", T0, 3);
	put("ns", "b", T0 + SIZE + S, 4);
	take_snapshot();
	if (loaded)
		CHECK(refresh());
	put("ns", "a", T0 + 2 * S, 5);
	meddler.act = act;
	meddler.left = at;
	CHECK(refresh());
	left = meddler.left;
	meddler.left = 0;
	read_mount(&rows);
	CHECK(rows.count == 4 || (rows.count == 5 && strcmp(rows.rows[4].id, "late") == 0));
	CHECK_INT(read_errors, 0);
	for (size_t i = 0; i < rows.count && i < 4; i++)
	{
		static const double values[] = {3, 5, 2, 4};
		double		value;

		memcpy(&value, &rows.rows[i].bits, sizeof(value));
		if (!CHECK(value == values[i]))
			fprintf(stderr, "    call %d: row %zu is %g\n", at, i, value);
	}
	free(rows.rows);
	CHECK(count_shown() == 4 + (size_t) (act == snapshot_twice && left == 0));
	end();
	return left;
}

static void
test_meddling(void)
{
	int			calls = 0;

	meddler.env = *env;
	meddler.env.open = meddling_open;
	meddler.env.read = meddling_read;
	meddler.env.list = meddling_list;
	meddler.env.now_ns = meddling_now_ns;
	mount_env = &meddler.env;
	for (int at = 1; meddle_once(move_everything, at, false) == 0; at += 1 + at / 10)
		calls++;
	CHECK(calls > 15);
	for (int at = 1; meddle_once(move_everything, at, true) == 0; at += 1 + at / 10)
		calls++;
	for (int at = 1; meddle_once(snapshot_twice, at, false) == 0; at += 1 + at / 10)
		calls++;
	for (int at = 1; meddle_once(snapshot_twice, at, true) == 0; at += 1 + at / 10)
		calls++;
	for (int at = 1; truncate_once(at, false) == 0; at += 1 + at / 10)
		calls++;
	for (int at = 1; truncate_once(at, true) == 0; at += 1 + at / 10)
		calls++;
	mount_env = env;
}

/* TRUNCATE and DROP, before and after their files are gone; volumes begin anew. */
static void
test_void(void)
{
	M3PurgeResult purged;

	begin();
	put("ns", "a", T0, 1);
	flush();
	put("ns", "a", T0 + S, 2);
	CHECK_INT(count_shown(), 2);
	truncate_namespace("ns", false);
	CHECK_INT(count_shown(), 0);
	put("ns", "a", T0, 5);
	CHECK_INT(count_shown(), 1);
	CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
	CHECK_INT(count_shown(), 1);
	flush();
	CHECK_INT(count_shown(), 1);
	CHECK(value_of("ns", "a", T0) == 5);
	truncate_namespace("ns", true);
	CHECK_INT(count_shown(), 0);
	CHECK_OK(m3_purge_run(engine.dbs[0], &purged, &err));
	CHECK_INT(count_shown(), 0);
	put("ns", "a", T0, 6);
	flush();
	CHECK(value_of("ns", "a", T0) == 6);
	CHECK_INT(count_shown(), 1);
	end();
}

/* --- filesets as somebody else would write them ------------------------- */

typedef struct Made
{
	const char *ns;
	const char *id;
	uint32_t	shard;
	int64_t		start_ns;
	int64_t		volume;
	int64_t		size_ns;
	double		value;			/* of its only point, at the block's start */
	bool		untagged;
} Made;

static void
made_directory(const Made *made, char *directory)
{
	CHECK_OK(m3_fileset_shard_directory(directory, in_scratch("m3"), M3_FILESET_KIND_DATA,
										m3_slice_cstr(made->ns), made->shard, &err));
}

static M3Slice
encode_point(int64_t time_ns, int64_t start_ns, double value, uint8_t out[64])
{
	M3Point		point = {.time_ns = time_ns,.value = value,.unit = M3_UNIT_SECOND};
	M3Points	points;
	uint8_t    *bytes = NULL;
	size_t		capacity = 0;
	M3Slice		payload;

	m3_points_init(&points, &m3_memory_malloc, false);
	CHECK_OK(m3_points_add(&points, &point, &err));
	CHECK_OK(m3_points_encode(&points, start_ns, &m3_memory_malloc, &bytes, &capacity,
							  &payload.size, &err));
	memcpy(out, bytes, payload.size);
	payload.data = out;
	m3_points_free(&points);
	free(bytes);
	return payload;
}

static void
make(const Made *made)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions o = {
		.directory = directory,
		.block_start_ns = made->start_ns,
		.block_size_ns = made->size_ns,
		.volume = made->volume
	};
	M3Tag		tag = {m3_slice_cstr("host"), m3_slice_cstr(made->id)};
	uint8_t		tags[256];
	uint8_t		bytes[64];
	M3Slice		payload = encode_point(made->start_ns, made->start_ns, made->value, bytes);
	M3FilesetWriter *writer;

	made_directory(made, directory);
	m3_tags_encode(&tag, 1, tags);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &o, &writer, &err));
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(made->id),
								   m3_slice(tags, made->untagged ? 0 :
											m3_tags_encoded_size(&tag, 1)), &payload, 1, &err));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

static void
unmake(const Made *made)
{
	M3FilesetName name = {made->start_ns, made->volume, false};
	char		directory[M3_FILESET_PATH_SIZE];

	made_directory(made, directory);
	CHECK_OK(m3_fileset_remove(env, directory, &name, 1, &err));
}

static void
begin_made(void)
{
	fixture_remove(scratch);
	mkdir(scratch, 0700);
	CHECK_OK(open_mount(in_scratch("m3"), ARENA));
}

/* Volumes that come and go, also under a number that was there before. */
static void
test_volumes(void)
{
	Made		made = {"ns", "a", 700, T0, 0, SIZE, 1, false};

	begin_made();
	CHECK_INT(count_shown(), 0);
	make(&made);
	/* not the shard of the id's hash */
	CHECK(value_of("ns", "a", T0) == 1);
	CHECK(!refresh());
	made.volume = 1;
	made.value = 2;
	make(&made);
	CHECK(value_of("ns", "a", T0) == 2);
	unmake(&made);
	CHECK(value_of("ns", "a", T0) == 1);
	made.value = 3;
	make(&made);
	CHECK(value_of("ns", "a", T0) == 3);
	made.shard = 701;
	made.id = "b";
	made.start_ns = T0 + SIZE;
	make(&made);
	CHECK_INT(count_shown(), 2);
	unmake(&made);
	CHECK_INT(count_shown(), 1);
	made.value = 9;
	make(&made);
	CHECK(value_of("ns", "b", T0 + SIZE) == 9);
	CHECK_INT(read_errors, 0);
	close_mount();
}

/* A volume that vanishes between refresh and read is looked for again. */
static void
test_vanished(void)
{
	Made		made = {"ns", "a", 3, T0, 0, SIZE, 1, false};
	Made		next = {"ns", "a", 3, T0, 1, SIZE, 2, false};
	Rows		rows = {0};

	begin_made();
	make(&made);
	CHECK(refresh());
	make(&next);
	unmake(&made);
	read_mount(&rows);
	CHECK_INT(rows.count, 1);
	CHECK_INT(read_errors, 0);
	unmake(&next);
	m3i_fileset_cache_free(mount->db->filesets);
	mount->db->filesets = NULL;
	rows.count = 0;
	read_mount(&rows);
	CHECK_INT(rows.count, 0);
	CHECK_INT(read_errors, 0);
	free(rows.rows);
	close_mount();
}

/* A namespace made anew with other blocks: the newest ones count, the others are reported. */
static void
test_block_sizes(void)
{
	Made		old = {"ns", "a", 0, T0, 0, SIZE, 1, false};
	Made		new = {"ns", "a", 0, T0 + 2 * SIZE, 0, SIZE / 2, 2, false};
	M3NamespaceInfo info;

	begin_made();
	make(&old);
	CHECK_INT(count_shown(), 1);
	CHECK_OK(m3_namespace_info(m3_mount_database(mount), m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.options.block_size_ns, SIZE);
	make(&new);
	CHECK(value_of("ns", "a", T0 + 2 * SIZE) == 2);
	CHECK_INT(count_shown(), 1);
	CHECK(strstr(last_report, "blocks of") != NULL);
	CHECK_OK(m3_namespace_info(m3_mount_database(mount), m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.options.block_size_ns, SIZE / 2);
	CHECK_INT(info.options.retention_period_ns, 0);
	close_mount();
}

/* The tags that the mount has for an id. */
static bool
is_tagged(const char *id)
{
	M3Slice		value = m3_slice_cstr(id);
	M3Matcher	matcher = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,.value_count = 1
	};
	M3ScanOptions o = {.start_ns = 0,.end_ns = INT64_MAX,.matchers = &matcher,.matcher_count = 1};
	M3Snapshot *snapshot = NULL;
	M3Scan	   *scan = NULL;
	bool		found;

	CHECK_OK(m3_snapshot_take(m3_mount_database(mount), &snapshot, &err));
	o.snapshot = snapshot;
	CHECK_OK(m3_scan_open(m3_mount_database(mount), m3_slice_cstr("ns"), &o, &m3_memory_malloc,
						  &scan, &err));
	found = m3_scan_series_count(scan) == 1;
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
	return found;
}

/* A series that is without tags in one file and has some in another has them. */
static void
test_tags(void)
{
	Made		without = {"ns", "a", 5, T0, 0, SIZE, 1, true};
	Made		with = {"ns", "a", 5, T0 + SIZE, 0, SIZE, 2, false};

	begin_made();
	make(&without);
	CHECK(refresh());
	CHECK(!is_tagged("a"));
	make(&with);
	CHECK_INT(count_shown(), 2);
	CHECK(is_tagged("a"));
	close_mount();
	CHECK_OK(open_mount(in_scratch("m3"), ARENA));
	CHECK_INT(count_shown(), 2);
	CHECK(is_tagged("a"));
	close_mount();
	unmake(&without);
	without.start_ns = T0 + 2 * SIZE;
	make(&without);
	CHECK_OK(open_mount(in_scratch("m3"), ARENA));
	CHECK_INT(count_shown(), 2);
	CHECK(is_tagged("a"));
	close_mount();
}

/* Files of old releases: the first volume's name has no number. */
static void
test_legacy_names(void)
{
	Made		made = {"ns", "a", 5, T0, 0, SIZE, 1, false};
	M3FilesetName old = {T0, 0, true};
	M3FilesetName new = {T0, 0, false};
	char		directory[M3_FILESET_PATH_SIZE];

	begin_made();
	make(&made);
	made_directory(&made, directory);
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		char		from[M3_FILESET_PATH_SIZE];
		char		to[M3_FILESET_PATH_SIZE];

		CHECK_OK(m3_fileset_path(from, directory, &new, (M3FilesetFile) i, &err));
		CHECK_OK(m3_fileset_path(to, directory, &old, (M3FilesetFile) i, &err));
		CHECK(rename(from, to) == 0);
	}
	CHECK(value_of("ns", "a", T0) == 1);
	made.volume = 1;
	made.value = 2;
	make(&made);
	CHECK(value_of("ns", "a", T0) == 2);
	CHECK_INT(read_errors, 0);
	close_mount();
}

/* Namespaces that come and go; names that we would not take for our own. */
static void
test_namespaces(void)
{
	Made		one = {"with checkpoint", "a", 0, T0, 0, SIZE, 1, false};
	Made		two = {"two", "a", 0, T0, 0, SIZE, 1, false};
	M3NamespaceInfo info;

	begin_made();
	make(&one);
	make(&two);
	CHECK_INT(count_shown(), 2);
	fixture_remove(in_scratch("m3/data/two"));
	CHECK_INT(count_shown(), 1);
	CHECK(m3_namespace_info(m3_mount_database(mount), m3_slice_cstr("two"), &info, &err) ==
		  M3_NOT_FOUND);
	mkdir(in_scratch("m3/data/\xff"), 0700);
	CHECK_INT(count_shown(), 1);
	CHECK(strstr(last_report, "cannot be used") != NULL);
	CHECK(!refresh());
	close_mount();
}

/* Nothing can be written through a mount. */
static void
test_read_only(void)
{
	Made		made = {"ns", "a", 0, T0, 0, SIZE, 1, false};
	M3Env	   *ro;
	M3File	   *file;
	const char *path;

	begin_made();
	make(&made);
	CHECK(refresh());
	ro = m3_mount_database(mount)->env;
	path = in_scratch("m3/x");
	CHECK(ro->open(ro, path, M3_OPEN_CREATE, &file, &err) == M3_UNSUPPORTED);
	CHECK(ro->open(ro, path, M3_OPEN_CREATE_NEW, &file, &err) == M3_UNSUPPORTED);
	CHECK(ro->open(ro, path, M3_OPEN_WRITE, &file, &err) == M3_UNSUPPORTED);
	CHECK(ro->open_temporary(ro, &file, &err) == M3_UNSUPPORTED);
	CHECK(ro->rename(ro, path, path, &err) == M3_UNSUPPORTED);
	CHECK(ro->unlink(ro, path, &err) == M3_UNSUPPORTED);
	CHECK(ro->make_directory(ro, path, &err) == M3_UNSUPPORTED);
	CHECK(ro->remove_directory(ro, path, &err) == M3_UNSUPPORTED);
	CHECK(ro->sync_directory(ro, path, &err) == M3_UNSUPPORTED);
	CHECK(ro->write(ro, NULL, "", 1, 0, &err) == M3_UNSUPPORTED);
	CHECK(ro->sync(ro, NULL, &err) == M3_UNSUPPORTED);
	CHECK(ro->truncate(ro, NULL, 0, &err) == M3_UNSUPPORTED);
	close_mount();
}

/* A missing directory is an empty one; memory that is too small says so, and can be tried again. */
static void
test_limits(void)
{
	M3MountOptions o = {.size = 1024};
	/* whose table of shards alone is almost a megabyte */
	Made		made = {"ns", "a", 65000, T0, 0, SIZE, 1, false};

	begin_made();
	CHECK(refresh());
	CHECK(!refresh());
	CHECK_INT(count_shown(), 0);
	close_mount();

	base = o.base = aligned_alloc(64, o.size);
	CHECK(m3_mount_create(env, &m3_memory_malloc, scratch, &o, &mount, &err) == M3_FULL);
	free(base);

	make(&made);
	CHECK_OK(open_mount(in_scratch("m3"),
						m3_engine_base_size(&(M3EngineConfig) {.process_count = 1}) +
						M3_ARENA_MIN_SIZE));
	CHECK(m3_mount_refresh(mount, NULL, &err) == M3_FULL);
	CHECK(strstr(err.detail, "needs more") != NULL);
	CHECK(m3_database_state(m3_mount_database(mount)) == M3_ROOT_FAILED);
	CHECK(m3_mount_refresh(mount, NULL, &err) == M3_FULL);
	close_mount();
	CHECK_OK(open_mount(in_scratch("m3"), ARENA));
	CHECK_INT(count_shown(), 1);
	made.shard = M3_MOUNT_MAX_SHARDS;
	make(&made);
	CHECK_INT(count_shown(), 1);
	CHECK(strstr(last_report, "there cannot be so many") != NULL);
	close_mount();
}

/* --- speed -------------------------------------------------------------- */

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}

static void
measure(void)
{
	Made		made = {"ns", "a", 0, T0, 0, SIZE, 1, false};
	double		began;

	begin_made();
	for (int i = 0; i < 1000; i++)
	{
		made.shard = (uint32_t) i % 20;
		made.start_ns = T0 + i / 20 * SIZE;
		make(&made);
	}
	began = now_ms();
	CHECK(refresh());
	printf("first refresh, 1000 filesets: %.2f ms\n", now_ms() - began);
	began = now_ms();
	for (int i = 0; i < 20; i++)
		CHECK(!refresh());
	printf("nothing changed: %.3f ms\n", (now_ms() - began) / 20);
	made.volume = 1;
	make(&made);
	began = now_ms();
	CHECK(refresh());
	printf("one new volume: %.2f ms\n", now_ms() - began);
	close_mount();

	begin();
	for (int size = 1000; size <= 100000; size *= 10)
	{
		M3CommitOptions commit = {.synchronous = true};
		M3Txn	   *txn;

		CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
		for (int i = 0; i < size; i++)
			CHECK_OK(m3_txn_write(txn, test_series(txn, "ns", &options, "a"),
								  T0 + (int64_t) i * S / 100, i, M3_UNIT_NONE, m3_slice(NULL, 0),
								  0, &err));
		CHECK_OK(m3_txn_prepare(txn, &commit, &err));
		m3_txn_publish(txn);
		m3_txn_free(txn);
		began = now_ms();
		CHECK(refresh());
		printf("%d points more in the log: %.2f ms", size, now_ms() - began);
		put("ns", "a", T0, 1);
		began = now_ms();
		CHECK(refresh());
		printf(", one more: %.2f ms", now_ms() - began);
		began = now_ms();
		CHECK(!refresh());
		printf(", none: %.3f ms\n", now_ms() - began);
	}
	end();
}

static M3Status
sync_nothing(M3Env *self, M3File *file, M3Error *error)
{
	(void) self;
	(void) file;
	(void) error;
	return M3_OK;
}

static M3Status
sync_no_directory(M3Env *self, const char *path, M3Error *error)
{
	(void) self;
	(void) path;
	(void) error;
	return M3_OK;
}

int
main(void)
{
	fixture_begin();
	mount_env = env;
	/* nothing here survives a crash */
	env->sync = sync_nothing;
	env->sync_directory = sync_no_directory;
	test_golden();
	test_live();
	test_soak();
	test_aborted();
	test_interrupted();
	test_meddling();
	test_void();
	test_volumes();
	test_vanished();
	test_block_sizes();
	test_tags();
	test_legacy_names();
	test_namespaces();
	test_read_only();
	test_limits();
	if (getenv("M3_MEASURE") != NULL)
		measure();
	return fixture_end();
}
