/*
 * With one snapshot, statistics, counts of whole shards and decoding come to the same while others
 * write, flush, merge and clean up: from either end, in any order.
 */
#include <pthread.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/locks.h"
#include "test/support/engine.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define BLOCK (3600 * S)
#define B0 (INT64_C(1700000000) * S / BLOCK * BLOCK)
#define WRITERS 2
#define READERS 2
#define HANDLES (WRITERS + READERS + 1)	/* the last one runs jobs */
#define ROUNDS 120
#define SERIES 40
#define BLOCKS 5
#define POINTS 200				/* of a batch, in one block */
#define STEP (BLOCK / POINTS)

static M3Error err;
static M3Env *env;
static TestEngine engine;
static char directory[128];
static int	writers_left = WRITERS;
static int	flushes;

typedef struct Worker
{
	pthread_t	thread;
	uint32_t	handle;
	uint64_t	random_state;
	int			failures;
	int			reads;
	uint64_t	summarized;
	uint64_t	settled;		/* points */
} Worker;

static uint32_t
random_below(Worker *w, uint32_t n)
{
	w->random_state ^= w->random_state << 13;
	w->random_state ^= w->random_state >> 7;
	w->random_state ^= w->random_state << 17;
	return (uint32_t) ((w->random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

/* A block of a series, or a few points of it anew. */
static bool
write_batch(Worker *w)
{
	M3NamespaceOptions options = test_options(BLOCK / S);
	M3CommitOptions commit = {.synchronous = false};
	int64_t		block_ns = B0 + random_below(w, BLOCKS) * BLOCK;
	uint32_t	count = random_below(w, 3) == 0 ? 1 + random_below(w, 3) : POINTS;
	char		name[8];
	M3Error		error;
	M3Txn	   *txn;
	bool		ok = m3_txn_begin(engine.dbs[w->handle], &m3_memory_malloc, &txn, &error) == M3_OK;

	snprintf(name, sizeof(name), "s%u", random_below(w, SERIES));
	for (uint32_t i = 0; ok && i < count; i++)
		ok = m3_txn_write(txn, test_series(txn, "ns", &options, name),
						  block_ns + (count == POINTS ? i : random_below(w, POINTS)) * STEP,
						  random_below(w, 1000000) * 64.0, M3_UNIT_NONE, m3_slice(NULL, 0), 0,
						  &error) == M3_OK;
	ok = ok && m3_txn_prepare(txn, &commit, &error) == M3_OK;
	if (ok && random_below(w, 8) != 0)
		m3_txn_publish(txn);
	else if (ok)
		ok = m3_txn_abort(txn);
	if (ok)
		m3_txn_free(txn);
	return ok;
}

static void *
run_writer(void *argument)
{
	Worker	   *w = argument;

	for (int round = 0; round < ROUNDS; round++)
	{
		int			seen = __atomic_load_n(&flushes, __ATOMIC_SEQ_CST);

		if (!write_batch(w))
			w->failures++;
		/* not faster than the disk, lest all that is read is in buffers */
		while (round % 8 == 7 && __atomic_load_n(&flushes, __ATOMIC_SEQ_CST) < seen + 2)
			usleep(1000);
	}
	__atomic_fetch_sub(&writers_left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* All that is left of a series, by statistics where they are at hand. */
static bool
read_series(Worker *w, M3Reader *reader, M3Summary *total)
{
	M3Status	status;
	M3Error		error;

	do
	{
		bool		from_end = random_below(w, 2) == 0;
		M3PointBatch batch;
		M3Summary	block;

		status = m3_reader_summary(reader, from_end, &block, &error);
		if (status == M3_OK)
		{
			m3_reader_skip(reader, from_end);
			m3_summary_merge(total, M3_SUMMARY_ALL, &block);
			continue;
		}
		status = from_end ? m3_reader_previous(reader, &batch, &error) :
			m3_reader_next(reader, &batch, &error);
		if (status == M3_OK)
			m3_summary_add(total, M3_SUMMARY_ALL, batch.times_ns, batch.values, batch.count);
	} while (status == M3_OK);
	return status == M3_NOT_FOUND;
}

typedef struct Totals
{
	uint64_t	count;
	M3Summary	series[SERIES];
} Totals;

static bool
read_all(Worker *w, const M3Snapshot *snapshot, bool decodes, bool counts, int64_t end_ns,
		 Totals *totals)
{
	M3ScanOptions options = {
		.start_ns = B0,.end_ns = end_ns,.snapshot = snapshot,.without_statistics = decodes
	};
	M3Error		error;
	M3ScanStats stats;
	M3Reader   *reader;
	M3Scan	   *scan;
	bool		ok;

	memset(totals, 0, sizeof(*totals));
	ok = m3_scan_open(engine.dbs[w->handle], m3_slice_cstr("ns"), &options, &m3_memory_malloc,
					  &scan, &error) == M3_OK;
	if (ok && counts)
		ok = m3_scan_count_settled(scan, &totals->count, &error) == M3_OK;
	w->settled += totals->count;
	ok = ok && m3_reader_create(scan, &reader, &error) == M3_OK;
	for (size_t i = 0; ok && i < m3_scan_series_count(scan); i++)
	{
		M3Slice		id;
		M3Slice		tags;
		M3Summary  *total;

		m3_scan_series(scan, i, &id, &tags);
		total = &totals->series[atoi((const char *) id.data + 1)];
		ok = m3_reader_open(reader, i, &error) == M3_OK && read_series(w, reader, total);
		totals->count += total->count;
	}
	if (!ok)
		return false;
	m3_scan_stats(scan, &stats);
	w->summarized += stats.blocks_summarized;
	m3_reader_free(reader);
	m3_scan_close(scan);
	return true;
}

static bool
is_consistent(Worker *w)
{
	int64_t		end_ns = random_below(w, 2) == 0 ? B0 + BLOCKS * BLOCK :
		B0 + random_below(w, BLOCKS * POINTS) * STEP;
	static __thread Totals decoded;
	static __thread Totals summarized;
	static __thread Totals counted;
	M3Snapshot *snapshot;
	M3Error		error;
	bool		ok = m3_snapshot_take(engine.dbs[w->handle], &snapshot, &error) == M3_OK &&
		read_all(w, snapshot, false, true, end_ns, &counted) &&
		read_all(w, snapshot, false, false, end_ns, &summarized) &&
		read_all(w, snapshot, true, false, end_ns, &decoded);

	m3_snapshot_release(snapshot);
	ok = ok && counted.count == decoded.count && summarized.count == decoded.count;
	for (int s = 0; ok && s < SERIES; s++)
	{
		const M3Summary *a = &summarized.series[s];
		const M3Summary *b = &decoded.series[s];

		ok = a->count == b->count;
		if (ok && a->count > 0)
			ok = a->first_ns == b->first_ns && a->last_ns == b->last_ns && a->first == b->first &&
				a->last == b->last && a->min == b->min && a->max == b->max && a->sum == b->sum;
	}
	return ok;
}

static void *
run_reader(void *argument)
{
	Worker	   *w = argument;

	while (__atomic_load_n(&writers_left, __ATOMIC_SEQ_CST) > 0)
	{
		if (!is_consistent(w))
			w->failures++;
		w->reads++;
	}
	return NULL;
}

static bool
flush(Worker *w)
{
	M3FlushOptions options = {.reason = M3_FLUSH_ALL};
	M3FlushResult flushed;
	M3Error		error;
	bool		ok = m3_flush_run(engine.dbs[w->handle], &options, &flushed, &error) == M3_OK;

	__atomic_fetch_add(&flushes, 1, __ATOMIC_SEQ_CST);
	return ok;
}

static bool
run_job(Worker *w)
{
	M3Database *db = engine.dbs[w->handle];
	M3TickResult ticked;
	M3CleanupResult cleaned;
	M3Error		error;

	if (random_below(w, 4) == 0)
		return m3_tick_run(db, &ticked, &error) == M3_OK;
	if (random_below(w, 4) == 0)
		return m3_cleanup_run(db, &cleaned, &error) == M3_OK;
	return flush(w);
}

static void *
run_jobs(void *argument)
{
	Worker	   *w = argument;

	while (__atomic_load_n(&writers_left, __ATOMIC_SEQ_CST) > 0)
	{
		if (!run_job(w))
			w->failures++;
		w->reads++;
	}
	return NULL;
}

typedef void *(*RunFn) (void *argument);

static RunFn
role_of(uint32_t handle)
{
	if (handle < WRITERS)
		return run_writer;
	return handle < WRITERS + READERS ? run_reader : run_jobs;
}

int
main(void)
{
	Worker		workers[HANDLES];
	uint64_t	summarized = 0;
	uint64_t	settled = 0;
	char		command[512];

	snprintf(directory, sizeof(directory), "/tmp/m3_test_reader_threads_%d", (int) getpid());
	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_engine_open(&engine, env, directory, 32 << 20, HANDLES);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	for (uint32_t i = 0; i < HANDLES; i++)
	{
		memset(&workers[i], 0, sizeof(workers[i]));
		workers[i].handle = i;
		workers[i].random_state = UINT64_C(0x9E3779B97F4A7C15) * (i + 1);
		if (pthread_create(&workers[i].thread, NULL, role_of(i), &workers[i]) != 0)
			abort();
	}
	for (int i = 0; i < HANDLES; i++)
	{
		pthread_join(workers[i].thread, NULL);
		CHECK_INT(workers[i].failures, 0);
		summarized += workers[i].summarized;
		settled += workers[i].settled;
	}
	CHECK(workers[WRITERS].reads + workers[WRITERS + 1].reads > 5);
	CHECK(workers[HANDLES - 1].reads > 5);
	CHECK(summarized > 100);
	CHECK(settled > 100);
	/* at rest, all of it is known without decoding */
	CHECK(flush(&workers[HANDLES - 1]));
	for (int i = 0; i < 10; i++)
		CHECK(is_consistent(&workers[0]));
	CHECK(workers[0].settled > 0);
	test_engine_crash(&engine);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		abort();
	m3_env_posix_destroy(env);
	return check_report();
}
