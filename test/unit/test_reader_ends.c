/*
 * A reader's two ends, parts of its range and answers without decoding, against a model of the
 * points: while blocks are open, sealed, flushed, written again, truncated and voided at random,
 * for snapshots new and old, with own points and without.
 */
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/locks.h"
#include "storage/db/blocks.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define BLOCK (3600 * S)
#define B0 (INT64_C(1700000000) * S / BLOCK * BLOCK)
#define NS m3_slice_cstr("ns")
#define SERIES 6
#define BLOCKS 6
#define SLOTS 240
#define STEP (BLOCK / SLOTS)
#define MODEL_SLOTS (BLOCKS * SLOTS)
#define HELD 2
#define ALL_END (B0 + BLOCKS * BLOCK)

typedef struct Slot
{
	bool		there;
	double		value;
} Slot;

typedef struct Model
{
	Slot		slots[SERIES][MODEL_SLOTS];
} Model;

/* What somebody sees. */
typedef struct View
{
	M3Snapshot *snapshot;
	M3Txn	   *own;
	Model		model;
} View;

static M3Error err;
static M3Env *env;
static char directory[128];
static TestEngine engine;
static M3Database *db;
static M3NamespaceOptions options;
static uint64_t random_state;
static Model committed;
static View held[HELD];
static View fresh;
static void (*take_lock) (M3Env *self, uint32_t lock, M3LockMode mode);
static uint32_t stripes_left;	/* to be locked before the others work on; 0: they do not */
static uint64_t summaries;		/* that were at hand */
static uint64_t last_points;
static uint64_t same_blocks;	/* of two series */
static uint64_t settled;		/* series counted with their shard */
static uint64_t merged_reads;	/* blocks read that were of more than a file */

static uint32_t
random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t) ((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static int64_t
time_of(uint32_t slot)
{
	return B0 + slot * STEP + S;
}

static double
random_value(void)
{
	switch (random_below(400))
	{
		case 0:
			return NAN;
		case 1:
			return random_below(2) == 0 ? INFINITY : -INFINITY;
		case 2:
			return -0.0;
		default:
			return (random_below(20000001) - 1e7) / (random_below(4) == 0 ? 7.0 : 16.0);
	}
}

/* --- doing -------------------------------------------------------------- */

static void
begin(M3Txn **txn)
{
	CHECK_OK(m3_txn_begin(db, &m3_memory_malloc, txn, &err));
}

/* Writes points of one series, mostly next to each other, into the transaction and model. */
static void
write_some(M3Txn *txn, Model *model)
{
	uint32_t	number = random_below(SERIES);
	uint32_t	count = random_below(3) == 0 ? 1 + random_below(5) : SLOTS;
	uint32_t	first = random_below(MODEL_SLOTS);
	uint32_t	series;
	char		name[8];

	/* whole blocks: statistics are kept of what is large enough */
	if (count > 5 && random_below(4) != 0)
	{
		first = first / SLOTS * SLOTS;
		count += random_below(2) * SLOTS;
	}
	snprintf(name, sizeof(name), "s%u", number);
	series = test_series(txn, "ns", &options, name);
	for (uint32_t i = first; i < first + count && i < MODEL_SLOTS; i++)
	{
		Slot	   *slot = &model->slots[number][i];

		slot->there = true;
		slot->value = random_value();
		CHECK_OK(m3_txn_write(txn, series, time_of(i), slot->value, M3_UNIT_NONE,
							  m3_slice(NULL, 0), 1, &err));
	}
}

static void
write_batch(bool aborts)
{
	const M3CommitOptions commit = {.synchronous = false};
	Model	   *ignored = malloc(sizeof(*ignored));
	M3Txn	   *txn;

	begin(&txn);
	for (uint32_t i = random_below(3) + 1; i > 0; i--)
		write_some(txn, aborts ? ignored : &committed);
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	if (aborts)
		CHECK(m3_txn_abort(txn));
	else
		m3_txn_publish(txn);
	m3_txn_free(txn);
	free(ignored);
}

static void
flush(void)
{
	const M3FlushOptions flush_options = {.reason = M3_FLUSH_ALL};
	M3FlushResult result;

	CHECK_OK(m3_flush_run(db, &flush_options, &result, &err));
}

static void
tick(void)
{
	M3TickResult result;

	CHECK_OK(m3_tick_run(db, &result, &err));
}

/* What nobody who holds a snapshot notices. */
static void
work_on(void)
{
	M3CleanupResult cleaned;

	switch (random_below(6))
	{
		case 0:
			flush();
			break;
		case 1:
			tick();
			break;
		case 2:
			CHECK_OK(m3_cleanup_run(db, &cleaned, &err));
			break;
		case 3:
			write_batch(true);
			break;
		default:
			write_batch(false);
			break;
	}
}

/* Right before a reader looks at a series' buffers, they may go to files. */
static void
lock_hooked(M3Env *self, uint32_t lock, M3LockMode mode)
{
	if (lock >= M3_LOCK_STRIPE && lock < M3_LOCK_CACHE && stripes_left > 0 &&
		--stripes_left == 0)
	{
		flush();
		if (random_below(3) == 0)
			work_on();
	}
	take_lock(self, lock, mode);
}

static void
truncate_all(void)
{
	const M3CommitOptions commit = {.synchronous = true};
	M3PurgeResult purged;
	M3Txn	   *txn;

	begin(&txn);
	CHECK_OK(m3_txn_void(txn, NS, false, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	memset(&committed, 0, sizeof(committed));
	for (int i = 0; i < HELD; i++)
		memset(&held[i].model, 0, sizeof(held[i].model));
	CHECK_OK(m3_purge_run(db, &purged, &err));
}

static void
take(View *view)
{
	CHECK_OK(m3_snapshot_take(db, &view->snapshot, &err));
	view->own = NULL;
	view->model = committed;
}

static void
release(View *view)
{
	m3_snapshot_release(view->snapshot);
	if (view->own != NULL)
		m3_txn_free(view->own);
	view->snapshot = NULL;
	view->own = NULL;
}

static void
open_engine(void)
{
	test_engine_open(&engine, env, directory, 32 * 1024 * 1024, 1);
	engine.settings.cache_size = 1024 * 1024;
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	db = engine.dbs[0];
}

/* What was in buffers is in sealed streams then, or was replayed. */
static void
restart(void)
{
	const M3SnapshotOptions snapshot_options = {.force = true};
	M3SnapshotResult taken;

	for (int i = 0; i < HELD; i++)
		release(&held[i]);
	CHECK_OK(m3_snapshot_run(db, &snapshot_options, &taken, &err));
	test_engine_crash(&engine);
	open_engine();
}

/* --- looking ------------------------------------------------------------ */

/* Points of a series in [start, end). */
static size_t
list_points(const View *view, uint32_t series, int64_t start_ns, int64_t end_ns,
			int64_t *times_ns, double *values)
{
	size_t		n = 0;

	for (uint32_t i = 0; i < MODEL_SLOTS; i++)
	{
		const Slot *slot = &view->model.slots[series][i];

		if (!slot->there || time_of(i) < start_ns || time_of(i) >= end_ns)
			continue;
		if (times_ns != NULL)
		{
			times_ns[n] = time_of(i);
			values[n] = slot->value;
		}
		n++;
	}
	return n;
}

static bool
is_empty(const View *view, uint32_t series, int64_t start_ns, int64_t end_ns)
{
	return list_points(view, series, start_ns, end_ns, NULL, NULL) == 0;
}

/* NaN is NaN, and -0 is not 0. */
static bool
is_same(double a, double b)
{
	return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof(a)) == 0;
}

static bool
is_equal(double a, double b)
{
	return isnan(a) ? isnan(b) : a == b;
}

static void
check_summary(const M3Summary *actual, const View *view, uint32_t series, int64_t start_ns,
			  int64_t end_ns)
{
	int64_t		times_ns[MODEL_SLOTS];
	double		values[MODEL_SLOTS];
	size_t		n = list_points(view, series, start_ns, end_ns, times_ns, values);
	M3Summary	expected = {0};

	CHECK_INT(actual->count, n);
	if (n == 0)
		return;
	m3_summary_add(&expected, M3_SUMMARY_ALL, times_ns, values, n);
	CHECK_INT(actual->first_ns, expected.first_ns);
	CHECK_INT(actual->last_ns, expected.last_ns);
	CHECK(is_same(actual->first, expected.first));
	CHECK(is_same(actual->last, expected.last));
	CHECK(is_equal(actual->min, expected.min));
	CHECK(is_equal(actual->max, expected.max));
	CHECK(is_equal(actual->sum, expected.sum));
	CHECK(is_equal(actual->squares, expected.squares));
}

/* A reader, and what it has not given yet: the points in [low, high). */
typedef struct Walk
{
	const View *view;
	M3Reader   *reader;
	uint32_t	series;
	int64_t		low_ns;
	int64_t		high_ns;
} Walk;

/* The part that is next, checked; false at the end. */
static bool
peek(const Walk *w, bool from_end, int64_t *start_ns, int64_t *end_ns)
{
	if (!m3_reader_peek(w->reader, from_end, start_ns, end_ns))
	{
		CHECK(is_empty(w->view, w->series, w->low_ns, w->high_ns));
		return false;
	}
	CHECK(*start_ns >= w->low_ns && *end_ns <= w->high_ns && *start_ns < *end_ns);
	CHECK_INT(m3_block_start(*start_ns, BLOCK), m3_block_start(*end_ns - 1, BLOCK));
	if (from_end)
		CHECK(is_empty(w->view, w->series, *end_ns, w->high_ns));
	else
		CHECK(is_empty(w->view, w->series, w->low_ns, *start_ns));
	return true;
}

static void
pass(Walk *w, bool from_end, int64_t start_ns, int64_t end_ns)
{
	if (from_end)
		w->high_ns = start_ns;
	else
		w->low_ns = end_ns;
}

/* False at the end. */
static bool
read_one(Walk *w, bool from_end)
{
	int64_t		times_ns[MODEL_SLOTS];
	double		values[MODEL_SLOTS];
	M3PointBatch batch;
	int64_t		start_ns;
	int64_t		end_ns;
	size_t		n;
	M3Status	status = from_end ? m3_reader_previous(w->reader, &batch, &err) :
		m3_reader_next(w->reader, &batch, &err);

	if (status == M3_NOT_FOUND)
	{
		CHECK(is_empty(w->view, w->series, w->low_ns, w->high_ns));
		return false;
	}
	CHECK_OK(status);
	if (status != M3_OK)
		return false;
	CHECK(batch.count > 0);
	start_ns = m3_block_start(batch.times_ns[0], BLOCK);
	end_ns = start_ns + BLOCK;
	if (start_ns < w->low_ns)
		start_ns = w->low_ns;
	if (end_ns > w->high_ns)
		end_ns = w->high_ns;
	CHECK(from_end ? is_empty(w->view, w->series, end_ns, w->high_ns) :
		  is_empty(w->view, w->series, w->low_ns, start_ns));
	n = list_points(w->view, w->series, start_ns, end_ns, times_ns, values);
	CHECK_INT(batch.count, n);
	for (size_t i = 0; i < n && i < batch.count; i++)
	{
		CHECK_INT(batch.times_ns[i], times_ns[i]);
		CHECK(is_same(batch.values[i], values[i]));
	}
	pass(w, from_end, start_ns, end_ns);
	return true;
}

/* The point m3_reader_previous would give last, if it is known. */
static void
check_last(const Walk *w)
{
	int64_t		times_ns[MODEL_SLOTS];
	double		values[MODEL_SLOTS];
	int64_t		time_ns;
	double		value;
	size_t		n;
	M3Status	status = m3_reader_last(w->reader, &time_ns, &value, &err);

	CHECK(status == M3_OK || status == M3_NOT_FOUND);
	if (status != M3_OK)
		return;
	last_points++;
	n = list_points(w->view, w->series, w->low_ns, w->high_ns, times_ns, values);
	CHECK(n > 0);
	if (n == 0)
		return;
	CHECK_INT(time_ns, times_ns[n - 1]);
	CHECK(is_same(value, values[n - 1]));
}

/* Readers of two series, open for the same range. */
typedef struct Pair
{
	M3Reader   *readers[2];
	uint32_t	series[2];
} Pair;

/* Reads to the end, one end or the other, decoding or not. */
static void
walk(Walk *w, bool works_on)
{
	bool		one_way = random_below(2) == 0;
	bool		from_end = random_below(2) == 0;
	M3Summary	summary;
	int64_t		start_ns;
	int64_t		end_ns;

	for (;;)
	{
		if (!one_way)
			from_end = random_below(2) == 0;
		if (works_on && random_below(8) == 0)
			work_on();
		if (!peek(w, from_end, &start_ns, &end_ns))
			break;
		stripes_left = works_on && random_below(8) == 0 ? 1 : 0;
		if (random_below(4) == 0)
			check_last(w);
		if (random_below(4) != 0)
		{
			M3Status	status = m3_reader_summary(w->reader, from_end, &summary, &err);

			CHECK(status == M3_OK || status == M3_NOT_FOUND);
			if (!peek(w, from_end, &start_ns, &end_ns))
			{
				CHECK_STATUS(status, M3_NOT_FOUND);
				break;
			}
			if (status == M3_OK)
			{
				summaries++;
				check_summary(&summary, w->view, w->series, start_ns, end_ns);
				if (random_below(4) != 0)
				{
					m3_reader_skip(w->reader, from_end);
					pass(w, from_end, start_ns, end_ns);
					continue;
				}
			}
		}
		if (!read_one(w, from_end))
			break;
	}
	stripes_left = 0;
	CHECK(!read_one(w, false));
	CHECK(!read_one(w, true));
	CHECK_STATUS(m3_reader_summary(w->reader, from_end, &summary, &err), M3_NOT_FOUND);
	CHECK(!m3_reader_peek(w->reader, from_end, &start_ns, &end_ns));
}

static int64_t
random_time(void)
{
	int64_t		time_ns = B0 + random_below(BLOCKS + 1) * BLOCK;

	switch (random_below(4))
	{
		case 0:
			return time_of(random_below(MODEL_SLOTS)) + random_below(2);
		case 1:
			return time_ns + random_below(3) - 1;
		default:
			return time_ns;
	}
}

static void
random_range(int64_t *start_ns, int64_t *end_ns)
{
	*start_ns = random_below(3) == 0 ? INT64_MIN : random_time();
	*end_ns = random_below(3) == 0 ? INT64_MAX : random_time();
}

static uint32_t
series_number(const M3Scan *scan, size_t index)
{
	M3Slice		id;
	M3Slice		tags;

	m3_scan_series(scan, index, &id, &tags);
	return (uint32_t) (id.data[1] - '0');
}

static size_t
count_points(const View *view, const M3Scan *scan, int64_t start_ns, int64_t end_ns)
{
	size_t		n = 0;

	for (uint32_t s = 0; scan == NULL && s < SERIES; s++)
		n += list_points(view, s, start_ns, end_ns, NULL, NULL);
	for (size_t i = 0; scan != NULL && i < m3_scan_series_count(scan); i++)
		n += list_points(view, series_number(scan, i), start_ns, end_ns, NULL, NULL);
	return n;
}

static void
check_settled(const View *view, M3Scan *scan, int64_t start_ns, int64_t end_ns, bool works_on)
{
	size_t		before = m3_scan_series_count(scan);
	uint64_t	count = 1000;

	stripes_left = works_on ? random_below(3) : 0;
	CHECK_OK(m3_scan_count_settled(scan, &count, &err));
	stripes_left = 0;
	CHECK_INT(count - 1000 + count_points(view, scan, start_ns, end_ns),
			  count_points(view, NULL, start_ns, end_ns));
	settled += before - m3_scan_series_count(scan);
}

/* Whether the next block is said to have the times that it has in another series. */
static void
check_same(const View *view, const Pair *pair, bool from_end, int64_t start_ns, int64_t end_ns)
{
	int64_t		times_ns[2][MODEL_SLOTS];
	double		values[MODEL_SLOTS];
	size_t		counts[2];
	bool		is_same_model;
	bool		same = true;

	CHECK_OK(m3_reader_same_times(pair->readers[0], from_end, pair->readers[1], &same, &err));
	if (!m3_reader_peek(pair->readers[0], from_end, &start_ns, &end_ns))
	{
		CHECK(!same);
		return;
	}
	for (int i = 0; i < 2; i++)
		counts[i] = list_points(view, pair->series[i], start_ns, end_ns, times_ns[i], values);
	is_same_model = counts[0] == counts[1] &&
		memcmp(times_ns[0], times_ns[1], counts[0] * sizeof(int64_t)) == 0;
	if (same)
		CHECK(is_same_model);
	same_blocks += same && counts[0] > 0;
}

/* Two series side by side. */
static void
look_at_pairs(View *view, bool works_on)
{
	M3ScanOptions scan_options = {
		.start_ns = INT64_MIN,.end_ns = INT64_MAX,.snapshot = view->snapshot,.own = view->own,
		.own_command = 10
	};
	M3PointBatch batch;
	M3Scan	   *scan;
	Pair		pair;

	CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &scan, &err));
	for (int i = 0; i < 2; i++)
		CHECK_OK(m3_reader_create(scan, &pair.readers[i], &err));
	for (size_t first = 0; first + 1 < m3_scan_series_count(scan); first++)
	{
		bool		from_end = random_below(2) == 0;
		bool		reads = random_below(2) == 0;
		int64_t		start_ns;
		int64_t		end_ns;

		random_range(&scan_options.start_ns, &scan_options.end_ns);
		for (size_t i = 0; i < 2; i++)
		{
			pair.series[i] = series_number(scan, first + i);
			CHECK_OK(m3_reader_open_range(pair.readers[i], first + i, scan_options.start_ns,
										  scan_options.end_ns, &err));
		}
		while (m3_reader_peek(pair.readers[0], from_end, &start_ns, &end_ns))
		{
			stripes_left = works_on && random_below(4) == 0 ? 1 + random_below(2) : 0;
			check_same(view, &pair, from_end, start_ns, end_ns);
			stripes_left = 0;
			/* where the other stands does not matter */
			if (reads && random_below(2) == 0)
				(void) m3_reader_next(pair.readers[1], &batch, &err);
			if (m3_reader_peek(pair.readers[0], from_end, &start_ns, &end_ns))
				m3_reader_skip(pair.readers[0], from_end);
		}
	}
	for (int i = 0; i < 2; i++)
		m3_reader_free(pair.readers[i]);
	m3_scan_close(scan);
}

static void
look(View *view, bool works_on)
{
	M3ScanOptions scan_options = {
		.snapshot = view->snapshot,.own = view->own,.own_command = 10
	};
	M3Reader   *reader;
	M3ScanStats stats;
	M3Scan	   *scan;

	random_range(&scan_options.start_ns, &scan_options.end_ns);
	scan_options.without_statistics = random_below(10) == 0;
	CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &scan, &err));
	if (random_below(2) == 0)
	{
		if (works_on && random_below(2) == 0)
			work_on();
		check_settled(view, scan, scan_options.start_ns, scan_options.end_ns, works_on);
	}
	CHECK_OK(m3_reader_create(scan, &reader, &err));
	for (size_t i = 0; i < m3_scan_series_count(scan); i++)
	{
		Walk		w = {.view = view,.reader = reader,.series = series_number(scan, i)};

		if (random_below(2) == 0)
		{
			w.low_ns = scan_options.start_ns;
			w.high_ns = scan_options.end_ns;
			stripes_left = works_on ? random_below(2) : 0;
			CHECK_OK(m3_reader_open(reader, i, &err));
		}
		else
		{
			random_range(&w.low_ns, &w.high_ns);
			CHECK_OK(m3_reader_open_range(reader, i, w.low_ns, w.high_ns, &err));
			w.low_ns = w.low_ns > scan_options.start_ns ? w.low_ns : scan_options.start_ns;
			w.high_ns = w.high_ns < scan_options.end_ns ? w.high_ns : scan_options.end_ns;
		}
		walk(&w, works_on);
	}
	m3_scan_stats(scan, &stats);
	if (scan_options.without_statistics)
		CHECK_INT(stats.blocks_summarized, 0);
	merged_reads += stats.blocks_read - stats.blocks_from_disk;
	m3_reader_free(reader);
	m3_scan_close(scan);
}

/* A transaction with points of its own, perhaps after its own TRUNCATE. */
static void
look_at_own(void)
{
	if (random_below(2) == 0)
		flush();
	take(&fresh);
	begin(&fresh.own);
	if (random_below(4) == 0)
	{
		CHECK_OK(m3_txn_void(fresh.own, NS, false, &err));
		memset(&fresh.model, 0, sizeof(fresh.model));
	}
	write_some(fresh.own, &fresh.model);
	look(&fresh, false);
	look(&fresh, true);
	look_at_pairs(&fresh, random_below(2) == 0);
	release(&fresh);
}

/* --- single cases ------------------------------------------------------- */

static M3Scan *
open_scan(const View *view, int64_t start_ns)
{
	M3ScanOptions scan_options = {
		.start_ns = start_ns,.end_ns = INT64_MAX,.snapshot = view->snapshot,.own = view->own,
		.own_command = 10
	};
	M3Scan	   *scan;

	CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &scan, &err));
	return scan;
}

static uint64_t
count_by_reading(M3Scan *scan)
{
	uint64_t	count = 0;
	M3PointBatch batch;
	M3Reader   *reader;

	CHECK_OK(m3_reader_create(scan, &reader, &err));
	for (size_t i = 0; i < m3_scan_series_count(scan); i++)
	{
		CHECK_OK(m3_reader_open(reader, i, &err));
		while (m3_reader_next(reader, &batch, &err) == M3_OK)
			count += batch.count;
	}
	m3_reader_free(reader);
	return count;
}

/* What has left retention is not counted, though it is still in the table. */
static void
settles_what_is_retained(void)
{
	const M3CommitOptions commit = {.synchronous = true};
	int64_t		now_ns = env->now_ns(env);
	M3NamespaceOptions longer;
	M3NamespaceOptions shorter;
	uint64_t	counted = 0;
	M3Scan	   *scan;
	M3Txn	   *txn;

	open_engine();
	longer = options;
	longer.retention_period_ns = 40 * BLOCK;
	for (int i = 1; i <= 20; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &longer, i % 2 == 0 ? "s0" : "s1",
							now_ns - i * BLOCK, i, &err));
	flush();
	shorter = longer;
	shorter.retention_period_ns = 10 * BLOCK;
	begin(&txn);
	CHECK_OK(m3_txn_alter(txn, NS, &shorter, &err));
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);

	take(&fresh);
	scan = open_scan(&fresh, INT64_MIN);
	CHECK_OK(m3_scan_count_settled(scan, &counted, &err));
	CHECK_INT(m3_scan_series_count(scan), 0);
	m3_scan_close(scan);
	scan = open_scan(&fresh, INT64_MIN);
	CHECK_INT(count_by_reading(scan), counted);
	CHECK(counted >= 10 && counted <= 11);
	m3_scan_close(scan);
	/* a range of which only the first block is cut counts nothing */
	counted = 0;
	scan = open_scan(&fresh, now_ns - 2 * BLOCK + 1);
	CHECK_OK(m3_scan_count_settled(scan, &counted, &err));
	CHECK_INT(counted + count_by_reading(scan), 1);
	m3_scan_close(scan);
	release(&fresh);
	test_engine_crash(&engine);
}

/* Counts nothing if it may not, or cannot. */
static void
settles_no_more(void)
{
	M3Slice		value = m3_slice_cstr("s1");
	M3Matcher	matcher = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,.value_count = 1
	};
	M3ScanOptions scan_options = {.start_ns = INT64_MIN,.end_ns = INT64_MAX};
	M3NamespaceShared *ns;
	M3BlockShared block;
	M3Scan	   *scan;

	open_engine();
	for (int i = 0; i < 5; i++)
		CHECK_OK(test_write(&engine, 0, "ns", &options, i < 3 ? "s0" : "s1", B0 + i * BLOCK, i,
							&err));
	flush();
	take(&fresh);
	scan_options.snapshot = fresh.snapshot;
	for (int i = 0; i < 4; i++)
	{
		static const uint64_t counts[] = {5, 0, 0, 2};
		static const size_t left[] = {0, 2, 1, 1};
		uint64_t	counted = 0;

		scan_options.without_statistics = i == 1;
		scan_options.matcher_count = i == 2;
		scan_options.matchers = &matcher;
		if (i == 3)
		{
			ns = m3_arena_at(db->arena, m3i_namespace_find(db, NS));
			for (uint32_t shard = 0; shard < db->root->options.shard_count; shard++)
			{
				if (!m3i_blocks_find(db, ns, shard, B0 + BLOCK, &block))
					continue;
				CHECK_INT(block.points, 1);
				block.points = M3_POINTS_UNKNOWN;
				CHECK(m3i_blocks_put(db, ns, shard, &block, m3i_generation(ns)));
			}
		}
		CHECK_OK(m3_scan_open(db, NS, &scan_options, &m3_memory_malloc, &scan, &err));
		CHECK_OK(m3_scan_count_settled(scan, &counted, &err));
		CHECK_INT(counted, counts[i]);
		CHECK_INT(m3_scan_series_count(scan), left[i]);
		m3_scan_close(scan);
	}
	release(&fresh);
	test_engine_crash(&engine);
}

static void
hashes(void)
{
	const M3CommitOptions commit = {.synchronous = true};
	uint32_t	own = 0;
	M3Scan	   *scan;

	open_engine();
	take(&fresh);
	begin(&fresh.own);
	CHECK_OK(m3_txn_write(fresh.own, test_series(fresh.own, "ns", &options, "s0"), B0, 1,
						  M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
	for (int i = 0; i < 2; i++)
	{
		scan = open_scan(&fresh, INT64_MIN);
		CHECK_INT(m3_scan_series_count(scan), 1);
		CHECK(i == 0 || own == m3_scan_series_hash(scan, 0));
		own = m3_scan_series_hash(scan, 0);
		m3_scan_close(scan);
	}
	CHECK_OK(m3_txn_prepare(fresh.own, &commit, &err));
	m3_txn_publish(fresh.own);
	release(&fresh);
	for (int round = 0; round < 2; round++)
	{
		take(&fresh);
		scan = open_scan(&fresh, INT64_MIN);
		own = m3_scan_series_hash(scan, 0);
		m3_scan_close(scan);
		scan = open_scan(&fresh, INT64_MIN);
		CHECK_INT(m3_scan_series_hash(scan, 0), own);
		for (size_t i = 1; i < m3_scan_series_count(scan); i++)
			CHECK(m3_scan_series_hash(scan, i) != own);
		m3_scan_close(scan);
		release(&fresh);
		for (int i = 1; i < 9; i++)
		{
			char		name[16];

			snprintf(name, sizeof(name), "s%d", i);
			CHECK_OK(test_write(&engine, 0, "ns", &options, name, B0, i, &err));
		}
	}
	test_engine_crash(&engine);
}

/* What is asked about two series' only block. */
static bool
has_same_times(M3Scan *scan, uint32_t a, uint32_t b, int64_t start_ns, int64_t end_ns)
{
	M3Reader   *readers[2];
	bool		same = false;

	for (int i = 0; i < 2; i++)
	{
		CHECK_OK(m3_reader_create(scan, &readers[i], &err));
		for (size_t s = 0; s < m3_scan_series_count(scan); s++)
		{
			if (series_number(scan, s) == (i == 0 ? a : b))
				CHECK_OK(m3_reader_open_range(readers[i], s, start_ns, end_ns, &err));
		}
	}
	CHECK_OK(m3_reader_same_times(readers[0], random_below(2) == 0, readers[1], &same, &err));
	m3_reader_free(readers[0]);
	m3_reader_free(readers[1]);
	return same;
}

/* Series that differ in nothing but a time amid the block, or but one point. */
static void
times_told_apart(void)
{
	const M3CommitOptions commit = {.synchronous = true};
	M3Scan	   *scan;
	M3Txn	   *txn;

	open_engine();
	begin(&txn);
	for (uint32_t s = 0; s < 4; s++)
	{
		char		name[8];
		uint32_t	series;

		snprintf(name, sizeof(name), "s%u", s);
		series = test_series(txn, "ns", &options, name);
		for (uint32_t i = 0; i < SLOTS; i++)
		{
			if (s != 3 || i != 100)
				CHECK_OK(m3_txn_write(txn, series, time_of(i) + (s == 2 && i == 100), i / 7.0,
									  M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
		}
	}
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
	take(&fresh);
	scan = open_scan(&fresh, INT64_MIN);
	CHECK(!has_same_times(scan, 0, 1, INT64_MIN, INT64_MAX));
	flush();
	CHECK(has_same_times(scan, 0, 1, INT64_MIN, INT64_MAX));
	CHECK(has_same_times(scan, 1, 0, time_of(7), time_of(30)));
	CHECK(!has_same_times(scan, 0, 1, ALL_END, INT64_MAX));
	for (uint32_t s = 2; s < 4; s++)
	{
		CHECK(!has_same_times(scan, 0, s, INT64_MIN, INT64_MAX));
		CHECK(!has_same_times(scan, s, 1, INT64_MIN, INT64_MAX));
	}
	m3_scan_close(scan);
	/* own points in the range, of either */
	begin(&fresh.own);
	CHECK_OK(m3_txn_write(fresh.own, test_series(fresh.own, "ns", &options, "s1"), time_of(50), 1,
						  M3_UNIT_NONE, m3_slice(NULL, 0), 1, &err));
	scan = open_scan(&fresh, INT64_MIN);
	CHECK(!has_same_times(scan, 0, 1, INT64_MIN, INT64_MAX));
	CHECK(!has_same_times(scan, 1, 0, INT64_MIN, INT64_MAX));
	CHECK(has_same_times(scan, 0, 1, time_of(51), INT64_MAX));
	m3_scan_close(scan);
	release(&fresh);
	test_engine_crash(&engine);
}

/* --- rounds ------------------------------------------------------------- */

static void
at_random(uint64_t seed, int rounds)
{
	random_state = seed;
	memset(&committed, 0, sizeof(committed));
	open_engine();
	for (int i = 0; i < rounds; i++)
	{
		View	   *view = &held[random_below(HELD)];

		switch (random_below(16))
		{
			case 0:
				if (random_below(3) == 0)
					truncate_all();
				break;
			case 1:
				if (random_below(3) == 0)
					restart();
				break;
			case 2:
				release(view);
				break;
			case 3:
				if (view->snapshot == NULL)
					take(view);
				break;
			case 4:
				look_at_own();
				break;
			case 5:
			case 6:
				flush();
				break;
			default:
				work_on();
				break;
		}
		if (view->snapshot != NULL)
			look(view, random_below(2) == 0);
		if (view->snapshot != NULL)
			look_at_pairs(view, random_below(2) == 0);
		take(&fresh);
		look(&fresh, random_below(4) == 0);
		look_at_pairs(&fresh, random_below(4) == 0);
		release(&fresh);
	}
	for (int i = 0; i < HELD; i++)
		release(&held[i]);
	test_engine_crash(&engine);
}

static void
clean(void)
{
	char		command[512];

	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
}

int
main(int argc, char **argv)
{
	uint64_t	first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t	runs = argc > 2 ? strtoull(argv[2], NULL, 10) : 8;

	snprintf(directory, sizeof(directory), "/tmp/m3ends-%d", (int) getpid());
	env = m3_env_posix_create(0);
	take_lock = env->lock;
	env->lock = lock_hooked;
	options = test_options(BLOCK / S);
	for (uint64_t seed = first; seed < first + runs; seed++)
	{
		clean();
		at_random(seed * UINT64_C(0x9E3779B97F4A7C15), 60);
		if (checks_failed > 0)
		{
			fprintf(stderr, "seed %" PRIu64 "\n", seed);
			break;
		}
	}
	clean();
	settles_what_is_retained();
	clean();
	settles_no_more();
	clean();
	hashes();
	clean();
	times_told_apart();
	CHECK(summaries > 100);
	CHECK(last_points > 100);
	CHECK(settled > 100);
	CHECK(merged_reads > 100);
	CHECK(same_blocks > 100);
	clean();
	rmdir(directory);
	m3_env_posix_destroy(env);
	return check_report();
}
