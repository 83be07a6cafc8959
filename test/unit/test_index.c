/*
 * The index of tags: alone against plain arrays, and in scans against a look at every series,
 * while series come and go.
 */
#include <pthread.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/db/db_private.h"
#include "storage/index/index_private.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

static M3Error err;
static uint64_t random_state = 1;

static uint32_t
random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((random_state >> 33) % limit);
}

/* --- the index alone ---------------------------------------------------- */

typedef struct Alone
{
	M3Env	   *env;
	void	   *base;
	M3Arena    *arena;
	M3ArenaStats empty;
} Alone;

static void
alone_open(Alone *alone, size_t size)
{
	alone->env = m3_env_posix_create(M3_LOCK_COUNT);
	alone->base = aligned_alloc(64, size);
	memset(alone->base, 0, size);
	alone->arena = m3_arena_create(alone->base, size);
	m3_arena_stats(alone->arena, alone->env, &alone->empty);
}

static void
alone_close(Alone *alone)
{
	M3ArenaStats stats;
	const char *reason = "";

	CHECK(m3_arena_check(alone->arena, alone->env, &reason));
	m3_arena_stats(alone->arena, alone->env, &stats);
	CHECK_INT(stats.bytes_used, alone->empty.bytes_used);
	free(alone->base);
	m3_env_posix_destroy(alone->env);
}

static size_t
count_of(const bool *set, size_t limit)
{
	size_t		count = 0;

	for (size_t i = 0; i < limit; i++)
		count += set[i];
	return count;
}

static void
compare_postings(const Alone *alone, const M3Postings *postings, const bool *set, uint32_t limit)
{
	uint32_t   *list = malloc((postings->count + 1) * sizeof(*list));
	uint64_t   *bits = calloc((limit + 63) / 64, sizeof(*bits));
	size_t		at = 0;
	bool		same = true;

	CHECK_INT(postings->count, count_of(set, limit));
	m3i_postings_copy(alone->arena, postings, list);
	m3i_postings_mark(alone->arena, postings, bits);
	for (uint32_t i = 0; i < limit && same; i++)
	{
		same = m3i_postings_contain(alone->arena, postings, i) == set[i] &&
			(bits[i / 64] >> i % 64 & 1) == set[i] &&
			(!set[i] || (at < postings->count && list[at++] == i));
	}
	CHECK(same);
	free(list);
	free(bits);
}

/* Sets that grow and shrink through all their forms. */
static void
test_postings(uint32_t limit, uint32_t most)
{
	Alone		alone;
	M3Postings	postings = {0};
	bool	   *set = calloc(limit, sizeof(*set));

	alone_open(&alone, 8 << 20);
	for (int wave = 0; wave < 3; wave++)
	{
		uint32_t	step = 0;

		while (postings.count < most)
		{
			uint32_t	ordinal = random_below(limit);

			if (!set[ordinal])
				CHECK(m3i_postings_add(alone.arena, alone.env, &postings, ordinal));
			set[ordinal] = true;
			if (postings.count < most / 2 && random_below(8) == 0)
			{
				ordinal = random_below(limit);
				m3i_postings_remove(alone.arena, alone.env, &postings, ordinal);
				set[ordinal] = false;
			}
			if (step++ % 5003 == 0 || postings.count < 5)
				compare_postings(&alone, &postings, set, limit);
		}
		compare_postings(&alone, &postings, set, limit);
		while (postings.count > 0)
		{
			/* whole stretches too, so that blocks go */
			uint32_t	first = random_below(limit);
			uint32_t	count = random_below(10) == 0 ? random_below(most / 8 + 1) : 1;

			for (uint32_t i = first; i < limit && i - first < count; i++)
			{
				m3i_postings_remove(alone.arena, alone.env, &postings, i);
				set[i] = false;
			}
			if (postings.count < limit / 50)
			{
				for (uint32_t i = 0; i < limit && postings.count > 0; i++)
				{
					if (set[i] && random_below(2) == 0)
					{
						m3i_postings_remove(alone.arena, alone.env, &postings, i);
						set[i] = false;
					}
				}
				compare_postings(&alone, &postings, set, limit);
			}
		}
		compare_postings(&alone, &postings, set, limit);
	}
	m3i_postings_free(alone.arena, alone.env, &postings);
	alone_close(&alone);
	free(set);
}

/* A full arena at any moment: false, and the set is as it was. */
static void
test_postings_full(void)
{
	Alone		alone;
	M3Postings	postings = {0};
	bool	   *set = calloc(400000, sizeof(*set));
	M3Ref	   *hogs = malloc(200000 * sizeof(*hogs));
	size_t		hog_count = 0;
	int			refused = 0;

	alone_open(&alone, 2 << 20);
	for (uint32_t step = 0; step < 60000; step++)
	{
		uint32_t	ordinal = random_below(400000);

		if (step % 64 == 0)
		{
			/* all but nothing left, now and then */
			size_t		sizes[] = {8192, 4096, 1024, 256, 64, 16};

			for (int i = 0; i < 6 && step % 128 == 0; i++)
			{
				M3Ref		ref;

				while ((ref = m3_arena_alloc(alone.arena, alone.env, sizes[i])) != 0)
					hogs[hog_count++] = ref;
			}
			while (step % 128 != 0 && hog_count > 0)
				m3_arena_free(alone.arena, alone.env, hogs[--hog_count]);
		}
		if (set[ordinal])
			m3i_postings_remove(alone.arena, alone.env, &postings, ordinal);
		else if (!m3i_postings_add(alone.arena, alone.env, &postings, ordinal))
		{
			refused++;
			continue;
		}
		set[ordinal] = !set[ordinal];
	}
	while (hog_count > 0)
		m3_arena_free(alone.arena, alone.env, hogs[--hog_count]);
	CHECK(refused > 100);
	compare_postings(&alone, &postings, set, 400000);
	m3i_postings_free(alone.arena, alone.env, &postings);
	alone_close(&alone);
	free(set);
	free(hogs);
}

#define LIVES 40000

static M3Slice
encode_tags(uint8_t *out, const char *const *words, size_t count)
{
	M3Tag		tags[8];

	for (size_t i = 0; i < count; i++)
		tags[i] = (M3Tag) {m3_slice_cstr(words[2 * i]), m3_slice_cstr(words[2 * i + 1])};
	m3_tags_encode(tags, count, out);
	return m3_slice(out, m3_tags_encoded_size(tags, count));
}

static M3Slice
life_tags(uint8_t *out, uint32_t ordinal, uint32_t generation)
{
	char		unique[32];
	char		odd[32];
	const char *words[] = {"host", unique, "region", ordinal % 3 == 0 ? "eu" : "us", odd, "x"};

	snprintf(unique, sizeof(unique), "h%u-%u", ordinal, generation);
	snprintf(odd, sizeof(odd), "n%u", ordinal * 7 + generation);
	return encode_tags(out, words, ordinal % 5 == 0 ? 3 : 2);
}

/* Terms and names come and go, and leave nothing. */
static void
test_terms(size_t arena_size, bool is_small)
{
	Alone		alone;
	M3Index		index = {0};
	uint32_t	generations[LIVES] = {0};	/* 0: not there */
	uint8_t		bytes[256];
	M3ArenaStats stats;
	uint64_t	most = 0;
	int			refused = 0;

	alone_open(&alone, arena_size);
	for (uint32_t step = 1; step < 60000; step++)
	{
		uint32_t	ordinal = random_below(is_small ? LIVES : LIVES / 20);

		if (generations[ordinal] != 0)
		{
			m3_index_remove(alone.arena, alone.env, &index,
							life_tags(bytes, ordinal, generations[ordinal]), ordinal);
			generations[ordinal] = 0;
		}
		else
		{
			M3Status	status = m3_index_add(alone.arena, alone.env, &index,
											  life_tags(bytes, ordinal, step), ordinal, &err);

			CHECK(status == M3_OK || (status == M3_FULL && is_small));
			refused += status == M3_FULL;
			if (status == M3_OK)
				generations[ordinal] = step;
		}
		m3_arena_stats(alone.arena, alone.env, &stats);
		if (step < 20000)
			most = stats.bytes_used > most ? stats.bytes_used : most;
		else
			CHECK(stats.bytes_used < most + most / 8);
	}
	CHECK((refused > 100) == is_small);
	for (uint32_t i = 0; i < LIVES; i++)
	{
		char		value[32];
		M3Ref		name = m3_index_name(alone.arena, &index, m3_slice_cstr("host"));
		M3Ref		term;

		snprintf(value, sizeof(value), "h%u-%u", i, generations[i]);
		term = m3_index_term(alone.arena, name, m3_slice_cstr(value));
		CHECK((term != 0) == (generations[i] != 0));
		CHECK(term == 0 || m3_index_contains(alone.arena, term, i));
		if (term != 0)
			CHECK_INT(m3_index_count(alone.arena, term), 1);
	}
	for (uint32_t i = 0; i < LIVES; i++)
	{
		if (generations[i] != 0 && !is_small)
			m3_index_remove(alone.arena, alone.env, &index, life_tags(bytes, i, generations[i]),
							i);
	}
	if (is_small)
		m3_index_free(alone.arena, alone.env, &index);
	CHECK_INT(index.names.count, 0);
	CHECK_INT(index.names.last_bucket, 0);
	alone_close(&alone);
}

/* Of two tags of one name, which foreign files may have, the first counts. */
static void
test_repeated_names(void)
{
	static const char *const words[] = {"a", "1", "b", "2", "a", "3", "a", "1"};
	Alone		alone;
	M3Index		index = {0};
	uint8_t		bytes[256];
	M3Slice		tags = encode_tags(bytes, words, 4);
	M3Ref		name;

	alone_open(&alone, 2 << 20);
	CHECK_OK(m3_index_add(alone.arena, alone.env, &index, tags, 9, &err));
	name = m3_index_name(alone.arena, &index, m3_slice_cstr("a"));
	CHECK_INT(m3_index_series_count(alone.arena, name), 1);
	CHECK_INT(m3_index_value_count(alone.arena, name), 1);
	CHECK(m3_index_term(alone.arena, name, m3_slice_cstr("1")) != 0);
	CHECK(m3_index_term(alone.arena, name, m3_slice_cstr("3")) == 0);
	m3_index_remove(alone.arena, alone.env, &index, tags, 9);
	CHECK(m3_index_name(alone.arena, &index, m3_slice_cstr("a")) == 0);
	CHECK(m3_index_name(alone.arena, &index, m3_slice_cstr("b")) == 0);
	/* no tags, and an empty value */
	CHECK_OK(m3_index_add(alone.arena, alone.env, &index, m3_slice(NULL, 0), 1, &err));
	tags = encode_tags(bytes, (const char *const[]) {"e", ""}, 1);
	CHECK_OK(m3_index_add(alone.arena, alone.env, &index, tags, 2, &err));
	name = m3_index_name(alone.arena, &index, m3_slice_cstr("e"));
	CHECK(m3_index_term(alone.arena, name, m3_slice(NULL, 0)) != 0);
	m3_index_free(alone.arena, alone.env, &index);
	alone_close(&alone);
}

/* --- in the engine ------------------------------------------------------ */

static M3Env *env;
static TestEngine engine;
static const M3RootOptions root_options = {.shard_count = 4};

/* Tags of a series follow from its number; so does its id. */
static M3Slice
number_tags(uint8_t *out, uint32_t number)
{
	char		host[32];
	char		rack[32];
	char		zone[32];
	const char *words[10];
	size_t		count = 0;
	uint32_t	mix = number * 2654435761u;

	snprintf(host, sizeof(host), "web-%u", number);
	snprintf(rack, sizeof(rack), "r%u", mix >> 8 & 63);
	snprintf(zone, sizeof(zone), "%s%u", (mix >> 16 & 1) != 0 ? "eu-" : "us-", mix >> 17 & 3);
	words[count++] = "host";
	words[count++] = host;
	if ((mix >> 21 & 3) != 0)
	{
		words[count++] = "rack";
		words[count++] = rack;
	}
	if ((mix >> 23 & 31) == 0)
	{
		words[count++] = "rare";
		words[count++] = (mix >> 28 & 1) != 0 ? "yes" : "";
	}
	words[count++] = "zone";
	words[count++] = zone;
	return number % 97 == 0 ? m3_slice(NULL, 0) : encode_tags(out, words, count / 2);
}

static bool
add_points(M3Txn *txn, const char *name, const M3NamespaceOptions *options, uint32_t first,
		   uint32_t count, int64_t time_ns, M3Error *error)
{
	uint32_t	ns;

	if (m3_txn_namespace(txn, m3_slice_cstr(name), options, &root_options, &ns, error) != M3_OK)
		return false;
	for (uint32_t n = first; n < first + count; n++)
	{
		uint8_t		bytes[256];
		char		id[32];
		uint32_t	series;

		snprintf(id, sizeof(id), "id%u", n);
		if (m3_txn_series(txn, ns, m3_slice_cstr(id), number_tags(bytes, n), &series,
						  error) != M3_OK ||
			m3_txn_write(txn, series, time_ns, n, M3_UNIT_NONE, m3_slice(NULL, 0), 0,
						 error) != M3_OK)
			return false;
	}
	return true;
}

static M3Status
write_series(uint32_t handle, const char *name, const M3NamespaceOptions *options,
			 uint32_t first, uint32_t count, int64_t time_ns, bool publish, M3Error *error)
{
	M3CommitOptions commit = {.synchronous = false};
	M3Status	status;
	M3Txn	   *txn;

	M3_TRY(m3_txn_begin(engine.dbs[handle], &m3_memory_malloc, &txn, error));
	status = add_points(txn, name, options, first, count, time_ns, error) ? M3_OK : M3_INVALID;
	if (status == M3_OK)
		status = m3_txn_prepare(txn, &commit, error);
	if (status == M3_OK && publish)
		m3_txn_publish(txn);
	m3_txn_free(txn);
	return status;
}

static void
tick(uint32_t handle)
{
	M3TickResult ticked;

	CHECK_OK(m3_tick_run(engine.dbs[handle], &ticked, &err));
}

static void
open_engine(size_t arena_size)
{
	env = env_fault_create();
	env_fault_set_clock(env, T0);
	test_engine_open(&engine, env, "/data", arena_size, 3);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
}

static void
close_engine(void)
{
	const char *reason = "";

	CHECK(m3_arena_check(engine.dbs[0]->arena, env, &reason));
	test_engine_crash(&engine);
	CHECK_INT(env_fault_held_locks(env), 0);
	env_fault_destroy(env);
}

/* Accepts values with a certain last byte, and counts how often it is asked. */
typedef struct LastByte
{
	uint8_t		byte;
	uint32_t	calls;
	uint32_t	locked_calls;
} LastByte;

static bool
accepts_last(void *context, M3Slice value)
{
	LastByte   *last = context;

	last->calls++;
	last->locked_calls += env_fault_held_locks(env) > 0;
	return value.size > 0 && value.data[value.size - 1] == last->byte;
}

typedef struct Query
{
	M3Matcher	matchers[3];
	M3Slice		values[3][8];
	char		texts[3][8][32];
	LastByte	last[3];
	size_t		count;
} Query;

static void
random_value(const char *name, char text[32])
{
	if (strcmp(name, "host") == 0)
		snprintf(text, 32, "web-%u", random_below(2000));
	else if (strcmp(name, "rack") == 0)
		snprintf(text, 32, "r%u", random_below(66));
	else if (strcmp(name, "rare") == 0)
		snprintf(text, 32, "%s", random_below(2) == 0 ? "yes" : "");
	else
		snprintf(text, 32, "%s%u", random_below(2) == 0 ? "eu-" : "us-", random_below(5));
}

static void
random_query(Query *query)
{
	static const char *const names[] = {"host", "rack", "rare", "zone", "nowhere"};

	memset(query, 0, sizeof(*query));
	query->count = 1 + random_below(3);
	for (size_t i = 0; i < query->count; i++)
	{
		M3Matcher  *matcher = &query->matchers[i];
		uint32_t	kind = random_below(20);
		const char *name = names[random_below(20) == 0 ? 4 : random_below(4)];

		matcher->kind = kind == 0 ? M3_MATCH_ID : (M3MatchKind) (kind % 9);
		if (matcher->kind == M3_MATCH_ID && kind != 0)
			matcher->kind = M3_MATCH_ANY_OF;
		matcher->name = m3_slice_cstr(name);
		matcher->values = query->values[i];
		matcher->value_count = random_below(30) == 0 ? 0 : 1 + random_below(8);
		for (size_t v = 0; v < matcher->value_count; v++)
		{
			char	   *text = query->texts[i][v];

			random_value(name, text);
			if (matcher->kind == M3_MATCH_ID)
				snprintf(text, 32, "id%u", random_below(2000));
			else if (matcher->kind == M3_MATCH_PREFIX || matcher->kind == M3_MATCH_NOT_PREFIX)
				text[random_below((uint32_t) strlen(text) + 1)] = 0;
			query->values[i][v] = m3_slice_cstr(text);
		}
		query->last[i].byte = (uint8_t) ('0' + random_below(10));
		matcher->accepts = accepts_last;
		matcher->context = &query->last[i];
	}
}

static int
compare_numbers(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* Numbers of the series a scan finds, sorted. */
static size_t
find_series(uint32_t handle, const char *name, const M3Matcher *matchers, size_t matcher_count,
			M3Txn *txn, bool without_index, uint32_t *numbers, uint64_t *examined)
{
	M3ScanOptions options = {
		.start_ns = 0,.end_ns = INT64_MAX,.matchers = matchers,.matcher_count = matcher_count,
		.own = txn,.own_command = 1,.without_index = without_index
	};
	M3ScanStats stats;
	M3Snapshot *snapshot;
	M3Error		error;
	M3Scan	   *scan;
	size_t		count;

	if (m3_snapshot_take(engine.dbs[handle], &snapshot, &error) != M3_OK)
		return SIZE_MAX;
	options.snapshot = snapshot;
	if (m3_scan_open(engine.dbs[handle], m3_slice_cstr(name), &options, &m3_memory_malloc,
					 &scan, &error) != M3_OK)
		return SIZE_MAX;
	count = m3_scan_series_count(scan);
	for (size_t i = 0; i < count; i++)
	{
		char		text[32] = {0};
		M3Slice		id;
		M3Slice		tags;

		m3_scan_series(scan, i, &id, &tags);
		memcpy(text, id.data, id.size);
		numbers[i] = (uint32_t) strtoul(text + 2, NULL, 10);
	}
	m3_scan_stats(scan, &stats);
	if (examined != NULL)
		*examined = stats.series_examined;
	m3_scan_close(scan);
	m3_snapshot_release(snapshot);
	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	return count;
}

/* What a matcher says of a series, told anew. */
static bool
should_match(const M3Matcher *matcher, uint32_t number)
{
	uint8_t		bytes[256];
	char		id[32];
	M3Slice		value;
	bool		present = m3_tags_find(number_tags(bytes, number), matcher->name, &value);
	bool		equal = false;
	bool		prefixed = false;
	LastByte	last = *(LastByte *) matcher->context;

	snprintf(id, sizeof(id), "id%u", number);
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		M3Slice		wanted = matcher->values[i];

		if (matcher->kind == M3_MATCH_ID)
			equal |= m3_slice_equal(m3_slice_cstr(id), wanted);
		else if (present)
		{
			equal |= m3_slice_equal(value, wanted);
			prefixed |= value.size >= wanted.size && memcmp(value.data, wanted.data,
															wanted.size) == 0;
		}
	}
	switch (matcher->kind)
	{
		case M3_MATCH_ANY_OF:
			return present && equal;
		case M3_MATCH_NONE_OF:
			return present && !equal;
		case M3_MATCH_PRESENT:
			return present;
		case M3_MATCH_ABSENT:
			return !present;
		case M3_MATCH_ID:
			return equal;
		case M3_MATCH_PREFIX:
			return present && prefixed;
		case M3_MATCH_NOT_PREFIX:
			return present && !prefixed;
		case M3_MATCH_FILTER:
			return present && accepts_last(&last, value);
		case M3_MATCH_NOT_FILTER:
			return present && !accepts_last(&last, value);
		case M3_MATCH_ALL:
		case M3_MATCH_EITHER:
			break;
	}
	return false;
}

#define NUMBERS 2200

/* present says which series there are, for the transaction or everybody. */
static void
compare_query(const Query *query, M3Txn *txn, const bool *present)
{
	uint32_t	with[NUMBERS];
	uint32_t	without[NUMBERS];
	Query		copy = *query;
	size_t		count;
	size_t		expected = 0;
	bool		same;
	bool		repeats = false;
	M3Estimate	estimate;

	for (size_t i = 0; i < copy.count; i++)
		copy.matchers[i].context = &copy.last[i];
	count = find_series(1, "ns", copy.matchers, copy.count, txn, false, with, NULL);
	for (size_t i = 0; i < copy.count; i++)
	{
		CHECK(copy.last[i].calls <= NUMBERS);
		CHECK_INT(copy.last[i].locked_calls, 0);
	}
	CHECK_INT(find_series(1, "ns", copy.matchers, copy.count, txn, true, without, NULL), count);
	CHECK(count > NUMBERS || memcmp(with, without, count * sizeof(*with)) == 0);
	same = count <= NUMBERS;
	for (uint32_t n = 0; n < NUMBERS && same; n++)
	{
		bool		matches = present[n];

		for (size_t i = 0; i < query->count && matches; i++)
			matches = should_match(&copy.matchers[i], n);
		if (!matches)
			continue;
		same = expected < count && with[expected] == n;
		expected++;
	}
	CHECK(same && expected == count);
	if (!same || expected != count)
		fprintf(stderr, "    kinds %d %d %d of %zu\n", (int) query->matchers[0].kind,
				(int) query->matchers[1].kind, (int) query->matchers[2].kind, query->count);
	CHECK_OK(m3_scan_estimate_matching(engine.dbs[1], m3_slice_cstr("ns"), copy.matchers,
									   copy.count, &estimate, &err));
	if (txn == NULL && query->count == 1 && query->matchers[0].kind == M3_MATCH_PRESENT)
		CHECK_INT(estimate.series, count);
	for (size_t i = 0; i < query->count; i++)
		repeats |= query->matchers[i].kind == M3_MATCH_NONE_OF;
	CHECK(estimate.series > 0 || expected == 0 || txn != NULL || repeats);
}

/* Series come by number, and go by retention; a transaction has some of its own. */
static void
test_queries(void)
{
	M3NamespaceOptions options = test_options(7200);
	bool		present[NUMBERS] = {false};
	bool		own_present[NUMBERS];
	int64_t		now_ns = T0;
	Query		query;
	M3Txn	   *txn;

	options.retention_period_ns = DAY;
	open_engine(32 << 20);
	for (int round = 0; round < 30; round++)
	{
		uint32_t	first = random_below(NUMBERS - 400);
		uint32_t	own = random_below(NUMBERS - 100);

		for (int part = 0; part < 3; part++)
		{
			uint32_t	count = 1 + random_below(150);

			CHECK_OK(write_series(0, "ns", &options, first, count, now_ns, true, &err));
			for (uint32_t n = first; n < first + count; n++)
				present[n] = true;
			first = random_below(NUMBERS - 400);
		}
		memcpy(own_present, present, sizeof(present));
		CHECK_OK(m3_txn_begin(engine.dbs[1], &m3_memory_malloc, &txn, &err));
		CHECK(add_points(txn, "ns", &options, own, 60, now_ns, &err));
		for (uint32_t n = own; n < own + 60; n++)
			own_present[n] = true;
		for (int i = 0; i < 60; i++)
		{
			random_query(&query);
			compare_query(&query, NULL, present);
			compare_query(&query, txn, own_present);
		}
		m3_txn_free(txn);
		if (round % 4 == 3)
		{
			M3FlushOptions flush = {.reason = M3_FLUSH_ALL};
			M3FlushResult flushed;
			M3CleanupResult cleaned;

			CHECK_OK(m3_flush_run(engine.dbs[2], &flush, &flushed, &err));
			CHECK_OK(m3_cleanup_run(engine.dbs[2], &cleaned, &err));
			tick(2);
		}
		/* all of them go now and then, or most live on */
		if (round % 5 == 4)
		{
			now_ns += DAY + 4 * HOUR;
			env_fault_set_clock(env, now_ns);
			memset(present, 0, sizeof(present));
			CHECK_OK(write_series(0, "ns", &options, 7, 30, now_ns, true, &err));
			for (uint32_t n = 7; n < 37; n++)
				present[n] = true;
			tick(2);
			tick(2);
		}
		if (round == 15)
		{
			test_engine_kill(&engine);
			test_engine_open(&engine, env, "/data", 32 << 20, 3);
			CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
			memset(present, 0, sizeof(present));
			for (uint32_t n = 0, at = 0; n < NUMBERS; n++)
			{
				uint32_t	found[NUMBERS];
				size_t		count = n > 0 ? 0 : find_series(1, "ns", NULL, 0, NULL, true, found,
															NULL);

				for (; at < count; at++)
					present[found[at]] = true;
			}
		}
	}
	close_engine();
}

/* TRUNCATE and DROP, and a namespace made anew: nothing is left of the index. */
static void
test_voids(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3CommitOptions commit = {.synchronous = true};
	uint64_t	before[2];
	M3ArenaStats after;
	uint32_t	found[NUMBERS];
	M3Slice		value = m3_slice_cstr("web-5");
	M3Matcher	matcher = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,.value_count = 1
	};

	open_engine(16 << 20);
	CHECK_OK(write_series(0, "other", &options, 0, 1, T0, true, &err));
	for (int round = 0; round < 8; round++)
	{
		M3PurgeResult purged;
		M3SnapshotOptions snapshot = {.force = true};
		M3SnapshotResult taken;
		M3CleanupResult cleaned;
		M3Txn	   *txn;

		CHECK_OK(write_series(0, "ns", &options, 0, 500, T0, true, &err));
		CHECK_INT(find_series(1, "ns", &matcher, 1, NULL, false, found, NULL), 1);
		CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
		CHECK_OK(m3_txn_void(txn, m3_slice_cstr("ns"), round % 2 == 0, &err));
		CHECK_OK(m3_txn_prepare(txn, &commit, &err));
		CHECK_INT(find_series(1, "ns", &matcher, 1, NULL, false, found, NULL), 1);
		m3_txn_publish(txn);
		m3_txn_free(txn);
		for (int i = 0; i < 3; i++)
		{
			CHECK_OK(m3_purge_run(engine.dbs[2], &purged, &err));
			tick(2);
			CHECK_OK(m3_snapshot_run(engine.dbs[2], &snapshot, &taken, &err));
			CHECK_OK(m3_cleanup_run(engine.dbs[2], &cleaned, &err));
		}
		CHECK_INT(find_series(1, "ns", &matcher, 1, NULL, false, found, NULL), 0);
		m3_engine_arena_stats(engine.engines[0], &after);
		if (round < 4)
			before[round % 2] = after.bytes_used;
		CHECK(after.bytes_used <= before[round % 2]);
	}
	close_engine();
}

/* Hosts that live for a day each, by the hundred: memory follows those that are alive. */
static void
test_churn(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3ArenaStats stats;
	uint64_t	used[40];
	int64_t		now_ns = T0;

	options.retention_period_ns = DAY;
	open_engine(16 << 20);
	/* one that stays, so that the list never gets empty */
	for (uint32_t day = 0; day < 40; day++)
	{
		CHECK_OK(write_series(0, "ns", &options, 1, 1, now_ns, true, &err));
		CHECK_OK(write_series(0, "ns", &options, 1000 + day * 700, 700, now_ns, true, &err));
		now_ns += DAY + 4 * HOUR;
		env_fault_set_clock(env, now_ns);
		CHECK_OK(write_series(0, "ns", &options, 1, 1, now_ns, true, &err));
		tick(2);
		tick(2);
		m3_engine_arena_stats(engine.engines[0], &stats);
		used[day] = stats.bytes_used;
	}
	CHECK(used[39] <= used[5] + 4096);
	close_engine();
}

/* No room for more: each refusal leaves all as it was, and what is there is found. */
static void
test_full(void)
{
	M3NamespaceOptions options = test_options(7200);
	uint32_t	found[100];
	uint32_t	made = 0;
	int			refused = 0;
	M3NamespaceInfo info;

	open_engine(3 << 20);
	for (uint32_t n = 1; n < 40000 && refused < 200; n++)
	{
		M3Status	status = write_series(0, "ns", &options, n, 1, T0, true, &err);

		CHECK(status == M3_OK || status == M3_FULL);
		refused += status == M3_FULL;
		made += status == M3_OK;
	}
	CHECK_INT(refused, 200);
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK(info.series_count >= made);
	for (uint32_t n = 1; n < 1000; n += 37)
	{
		char		text[32];
		M3Slice		value = m3_slice_cstr(text);
		M3Matcher	matcher = {
			.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,
			.value_count = 1
		};
		uint64_t	examined;

		snprintf(text, sizeof(text), "web-%u", n);
		value = m3_slice_cstr(text);
		CHECK_INT(find_series(1, "ns", &matcher, 1, NULL, false, found, &examined),
				  n % 97 == 0 ? 0 : 1);
		CHECK(examined <= 1);
	}
	close_engine();
}

/* The index is used, and no more than needed; filters are asked once a value. */
static void
test_plans(void)
{
	M3NamespaceOptions options = test_options(7200);
	M3Slice		host = m3_slice_cstr("web-42");
	M3Slice		prefix = m3_slice_cstr("eu-1");
	LastByte	last = {.byte = '1'};
	uint32_t	found[NUMBERS];
	uint64_t	examined;
	M3Matcher	matchers[3] = {
		{.kind = M3_MATCH_FILTER,.name = m3_slice_cstr("zone"),.accepts = accepts_last,
		.context = &last},
		{.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &host,.value_count = 1},
		{.kind = M3_MATCH_PREFIX,.name = m3_slice_cstr("zone"),.values = &prefix,.value_count = 1}
	};
	size_t		count;
	M3Estimate	estimate;

	open_engine(16 << 20);
	CHECK_OK(write_series(0, "ns", &options, 1, 2000, T0, true, &err));
	/* one host: its zone alone is asked about */
	(void) find_series(1, "ns", matchers, 2, NULL, false, found, &examined);
	CHECK_INT(examined, 1);
	CHECK_INT(last.calls, 1);
	/* all zones, each once */
	last.calls = 0;
	CHECK(find_series(1, "ns", matchers, 1, NULL, false, found, &examined) > 100);
	CHECK_INT(last.calls, 8);
	CHECK(examined < 1000);
	/* the same without the index */
	last.calls = 0;
	(void) find_series(1, "ns", matchers, 1, NULL, true, found, &examined);
	CHECK_INT(last.calls, 8);
	CHECK_INT(examined, 2000);
	count = find_series(1, "ns", &matchers[2], 1, NULL, false, found, &examined);
	CHECK(count > 100 && count < 500);
	CHECK_INT(examined, count);
	/* a host, again, for it is the fewest */
	(void) find_series(1, "ns", &matchers[1], 2, NULL, false, found, &examined);
	CHECK(examined <= 1);
	/* nobody has it */
	matchers[2].name = m3_slice_cstr("nowhere");
	last.calls = 0;
	CHECK_INT(find_series(1, "ns", matchers, 3, NULL, false, found, &examined), 0);
	CHECK_INT(examined, 0);
	CHECK_INT(last.calls, 0);
	CHECK_OK(m3_scan_estimate_matching(engine.dbs[1], m3_slice_cstr("ns"), &matchers[1], 1,
									   &estimate, &err));
	CHECK_INT(estimate.series, 1);
	CHECK_INT(estimate.points, 1);
	CHECK_OK(m3_scan_estimate_matching(engine.dbs[1], m3_slice_cstr("ns"), &matchers[2], 1,
									   &estimate, &err));
	CHECK_INT(estimate.series, 0);
	CHECK_OK(m3_scan_estimate(engine.dbs[1], m3_slice_cstr("ns"), &estimate, &err));
	CHECK_INT(estimate.series, 2000);
	close_engine();
}

/* --- all at once -------------------------------------------------------- */

#define CREATORS 2
#define SCANNERS 2
#define ROUNDS 60
#define BATCH 40

static int	creators_left = CREATORS;

typedef struct Worker
{
	pthread_t	thread;
	uint32_t	handle;
	int			failures;
	int			runs;
} Worker;

/* Series that are published are found at once; those taken back leave empty ones to purge. */
static void *
run_creator(void *argument)
{
	Worker	   *worker = argument;
	M3NamespaceOptions options = test_options(7200);

	for (uint32_t round = 0; round < ROUNDS; round++)
	{
		uint32_t	first = (worker->handle * ROUNDS + round) * BATCH + 1;
		bool		publish = round % 3 != 2;
		char		text[32];
		M3Slice		value;
		M3Matcher	matcher = {
			.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,
			.value_count = 1
		};
		uint32_t	found[4];
		uint32_t	number = first + (first % 97 == 0);
		M3Error		error;

		if (write_series(worker->handle, "ns", &options, first, BATCH, T0, publish,
						 &error) != M3_OK)
			worker->failures++;
		snprintf(text, sizeof(text), "web-%u", number);
		value = m3_slice_cstr(text);
		if (publish && (find_series(worker->handle, "ns", &matcher, 1, NULL, false, found,
									NULL) != 1 || found[0] != number))
			worker->failures++;
	}
	__atomic_fetch_sub(&creators_left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool
accepts_even(void *context, M3Slice value)
{
	(void) context;
	return value.size > 0 && value.data[value.size - 1] % 2 == 0;
}

static void *
run_scanner(void *argument)
{
	Worker	   *worker = argument;
	uint32_t   *found = malloc(CREATORS * ROUNDS * BATCH * 2 * sizeof(*found));
	M3Slice		prefix = m3_slice_cstr("web-1");
	M3Matcher	matchers[2] = {
		{.kind = M3_MATCH_FILTER,.name = m3_slice_cstr("zone"),.accepts = accepts_even},
		{.kind = M3_MATCH_PREFIX,.name = m3_slice_cstr("host"),.values = &prefix,.value_count = 1}
	};

	while (__atomic_load_n(&creators_left, __ATOMIC_SEQ_CST) > 0)
	{
		size_t		count = find_series(worker->handle, "ns", matchers, 1 + worker->runs++ % 2,
										NULL, false, found, NULL);

		if (count == SIZE_MAX)
			worker->failures++;
		for (size_t i = 1; i < count && count != SIZE_MAX; i++)
		{
			uint8_t		bytes[256];
			M3Slice		zone;

			if (found[i] == found[i - 1] ||
				!m3_tags_find(number_tags(bytes, found[i]), m3_slice_cstr("zone"), &zone) ||
				!accepts_even(NULL, zone))
				worker->failures++;
		}
	}
	free(found);
	return NULL;
}

static void *
run_purger(void *argument)
{
	Worker	   *worker = argument;
	M3TickResult ticked;
	M3Error		error;

	while (__atomic_load_n(&creators_left, __ATOMIC_SEQ_CST) > 0)
	{
		if (m3_tick_run(engine.dbs[worker->handle], &ticked, &error) != M3_OK)
			worker->failures++;
		worker->runs++;
	}
	return NULL;
}

static void
test_threads(void)
{
	Worker		workers[CREATORS + SCANNERS + 1] = {0};
	char		directory[128];
	char		command[512];
	M3TickResult ticked;
	M3NamespaceInfo info;
	const char *reason = "";

	snprintf(directory, sizeof(directory), "/tmp/m3_test_index_%d", (int) getpid());
	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s'", directory, directory);
	if (system(command) != 0)
		abort();
	env = m3_env_posix_create(M3_LOCK_COUNT);
	test_engine_open(&engine, env, directory, 16 << 20, CREATORS + SCANNERS + 1);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	for (uint32_t i = 0; i < CREATORS + SCANNERS + 1; i++)
	{
		workers[i].handle = i;
		if (pthread_create(&workers[i].thread, NULL, i < CREATORS ? run_creator :
						   i < CREATORS + SCANNERS ? run_scanner : run_purger, &workers[i]) != 0)
			abort();
	}
	for (int i = 0; i < CREATORS + SCANNERS + 1; i++)
	{
		pthread_join(workers[i].thread, NULL);
		CHECK_INT(workers[i].failures, 0);
	}
	CHECK(workers[CREATORS].runs > 0 && workers[CREATORS + SCANNERS].runs > 0);
	for (int i = 0; i < 3; i++)
		CHECK_OK(m3_tick_run(engine.dbs[0], &ticked, &err));
	CHECK_OK(m3_namespace_info(engine.dbs[0], m3_slice_cstr("ns"), &info, &err));
	CHECK_INT(info.series_count, CREATORS * ROUNDS * BATCH * 2 / 3);
	CHECK(m3_arena_check(engine.dbs[0]->arena, env, &reason));
	test_engine_crash(&engine);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		abort();
	m3_env_posix_destroy(env);
}

int
main(void)
{
	test_threads();
	test_postings(300, 300);
	test_postings(4000, 3900);
	test_postings(140000, 100000);
	test_postings(1000000, 4000);
	test_postings_full();
	test_terms(8 << 20, false);
	test_terms(M3_ARENA_MIN_SIZE, true);
	test_repeated_names();
	test_plans();
	test_queries();
	test_voids();
	test_churn();
	test_full();
	return check_report();
}
