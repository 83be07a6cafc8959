/*
 * Matchers with parts: random trees in scans, with the index and without, against a plain
 * evaluation of them; what the index is asked for; estimates.
 */
#include <math.h>

#include "storage/db/match.h"
#include "storage/ident/tags.h"
#include "test/support/engine.h"
#include "test/support/env_fault.h"
#include "test/unit/check.h"

#define S M3_NS_PER_SECOND
#define T0 (INT64_C(1700000000) * S)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define MOST_SERIES 30000u
#define NAMES 5u

static M3Error err;
static uint64_t random_state = 7;
static M3Env *env;
static TestEngine engine;
static bool present[MOST_SERIES];

static uint32_t
random_below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((random_state >> 33) % limit);
}

/* --- series ------------------------------------------------------------- */

static const char *const names[NAMES + 1] = {"host", "rack", "rare", "side", "zone", "nowhere"};

/* The value of a series' tag, which follows from its number; false if it has none. */
static bool
tag_of(uint32_t number, uint32_t name, char value[32])
{
	uint32_t	mix = number * 2654435761u;

	value[0] = 0;
	switch (name)
	{
		case 0:
			snprintf(value, 32, "web-%u", number);
			return true;
		case 1:
			snprintf(value, 32, "r%u", mix >> 8 & 63);
			return (mix >> 21 & 3) != 0;
		case 2:
			snprintf(value, 32, "%s", (mix >> 28 & 1) != 0 ? "yes" : "");
			return (mix >> 23 & 31) == 0;
		case 3:
			snprintf(value, 32, "%s", number % 2 == 0 ? "left" : "right");
			return number % 11 != 0;
		case 4:
			snprintf(value, 32, "%s%u", (mix >> 16 & 1) != 0 ? "eu-" : "us-", mix >> 17 & 3);
			return true;
		default:
			return false;
	}
}

static M3Slice
encode(uint32_t number, uint8_t *bytes)
{
	char		values[NAMES][32];
	M3Tag		tags[NAMES];
	size_t		count = 0;

	for (uint32_t n = 0; n < NAMES; n++)
	{
		if (tag_of(number, n, values[n]))
			tags[count++] = (M3Tag) {m3_slice_cstr(names[n]), m3_slice_cstr(values[n])};
	}
	m3_tags_encode(tags, count, bytes);
	return m3_slice(bytes, m3_tags_encoded_size(tags, count));
}

static M3Slice
id_of(uint32_t number, char text[32])
{
	snprintf(text, 32, "id%u", number);
	return m3_slice_cstr(text);
}

static void
write_series(uint32_t first, uint32_t count, uint32_t step, int64_t time_ns)
{
	M3NamespaceOptions options = test_options(7200);
	M3RootOptions root_options = {.shard_count = 4};
	M3CommitOptions commit = {.synchronous = false};
	uint32_t	ns;
	M3Txn	   *txn;

	options.retention_period_ns = DAY;
	CHECK_OK(m3_txn_begin(engine.dbs[0], &m3_memory_malloc, &txn, &err));
	CHECK_OK(m3_txn_namespace(txn, m3_slice_cstr("ns"), &options, &root_options, &ns, &err));
	for (uint32_t n = first; n < first + count; n += step)
	{
		uint8_t		bytes[512];
		char		id[32];
		uint32_t	series;

		CHECK_OK(m3_txn_series(txn, ns, id_of(n, id), encode(n, bytes), &series, &err));
		CHECK_OK(m3_txn_write(txn, series, time_ns, n, M3_UNIT_NONE, m3_slice(NULL, 0), 0, &err));
		present[n] = true;
	}
	CHECK_OK(m3_txn_prepare(txn, &commit, &err));
	m3_txn_publish(txn);
	m3_txn_free(txn);
}

/* count series; with holes, most of them are gone again. */
static void
open_engine(uint32_t count, bool holes)
{
	M3TickResult ticked;

	memset(present, 0, sizeof(present));
	env = env_fault_create();
	env_fault_set_clock(env, T0);
	test_engine_open(&engine, env, "/data", 64 << 20, 2);
	CHECK_OK(test_engine_bootstrap(&engine, NULL, &err));
	write_series(0, count, 1, T0);
	if (!holes)
		return;
	memset(present, 0, sizeof(present));
	env_fault_set_clock(env, T0 + DAY + 4 * HOUR);
	write_series(0, count, 67, T0 + DAY + 4 * HOUR);
	for (int i = 0; i < 3; i++)
		CHECK_OK(m3_tick_run(engine.dbs[1], &ticked, &err));
}

static void
close_engine(void)
{
	test_engine_crash(&engine);
	CHECK_INT(env_fault_held_locks(env), 0);
	env_fault_destroy(env);
}

/* --- random trees ------------------------------------------------------- */

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

/* All that a tree needs lies here. */
typedef struct Forest
{
	M3Matcher	matchers[400];
	size_t		matcher_count;
	M3Slice		values[2000];
	char		texts[2000][32];
	size_t		value_count;
	LastByte	lasts[400];
} Forest;

static Forest forest;

static void
random_leaf(M3Matcher *matcher, uint32_t series_count)
{
	uint32_t	name = random_below(30) == 0 ? NAMES : random_below(NAMES);
	LastByte   *last = &forest.lasts[matcher - forest.matchers];

	memset(matcher, 0, sizeof(*matcher));
	matcher->kind = (M3MatchKind) random_below(9);
	if (matcher->kind == M3_MATCH_ID && random_below(3) != 0)
		matcher->kind = M3_MATCH_ANY_OF;
	matcher->name = m3_slice_cstr(names[name]);
	matcher->values = &forest.values[forest.value_count];
	matcher->value_count = random_below(30) == 0 ? 0 : 1 + random_below(4);
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		char	   *text = forest.texts[forest.value_count];
		uint32_t	number = random_below(series_count + series_count / 8 + 1);

		(void) tag_of(number, name, text);
		if (matcher->kind == M3_MATCH_ID)
			id_of(number, text);
		else if (matcher->kind == M3_MATCH_PREFIX || matcher->kind == M3_MATCH_NOT_PREFIX)
			text[random_below((uint32_t) strlen(text) + 1)] = 0;
		forest.values[forest.value_count++] = m3_slice_cstr(text);
	}
	*last = (LastByte) {.byte = (uint8_t) "0123456789st"[random_below(12)]};
	matcher->accepts = accepts_last;
	matcher->context = last;
}

static void
random_tree(M3Matcher *matcher, uint32_t depth, uint32_t series_count)
{
	size_t		count = random_below(20) == 0 ? 0 : 1 + random_below(3);
	M3Matcher  *parts = &forest.matchers[forest.matcher_count];

	if (depth == 0 || random_below(3) == 0)
	{
		random_leaf(matcher, series_count);
		return;
	}
	forest.matcher_count += count;
	memset(matcher, 0, sizeof(*matcher));
	matcher->kind = random_below(3) == 0 ? M3_MATCH_ALL : M3_MATCH_EITHER;
	matcher->parts = parts;
	matcher->part_count = count;
	for (size_t i = 0; i < count; i++)
		random_tree(&parts[i], depth - 1, series_count);
}

static size_t
random_query(uint32_t series_count)
{
	size_t		count = 1 + random_below(3);

	forest.value_count = 0;
	forest.matcher_count = count;
	for (size_t i = 0; i < count; i++)
		random_tree(&forest.matchers[i], 1 + random_below(4), series_count);
	return count;
}

/* --- what they should say ----------------------------------------------- */

static bool
leaf_holds(const M3Matcher *matcher, uint32_t number)
{
	char		value[32];
	char		id[32];
	uint32_t	name = 0;
	bool		has;
	bool		equal = false;
	bool		prefixed = false;
	uint8_t		byte = ((LastByte *) matcher->context)->byte;
	bool		accepted;

	while (!m3_slice_equal(matcher->name, m3_slice_cstr(names[name])))
		name++;
	has = tag_of(number, name, value);
	accepted = value[0] != 0 && (uint8_t) value[strlen(value) - 1] == byte;
	id_of(number, id);
	for (size_t i = 0; i < matcher->value_count; i++)
	{
		const char *wanted = (const char *) matcher->values[i].data;

		equal |= strcmp(matcher->kind == M3_MATCH_ID ? id : value, wanted) == 0;
		prefixed |= strncmp(value, wanted, strlen(wanted)) == 0;
	}
	switch (matcher->kind)
	{
		case M3_MATCH_ANY_OF:
			return has && equal;
		case M3_MATCH_NONE_OF:
			return has && !equal;
		case M3_MATCH_PRESENT:
			return has;
		case M3_MATCH_ABSENT:
			return !has;
		case M3_MATCH_ID:
			return equal;
		case M3_MATCH_PREFIX:
			return has && prefixed;
		case M3_MATCH_NOT_PREFIX:
			return has && !prefixed;
		case M3_MATCH_FILTER:
			return has && accepted;
		case M3_MATCH_NOT_FILTER:
			return has && !accepted;
		case M3_MATCH_ALL:
		case M3_MATCH_EITHER:
			break;
	}
	abort();
}

static bool
should_hold(const M3Matcher *matcher, uint32_t number)
{
	size_t		held = 0;

	if (matcher->kind != M3_MATCH_ALL && matcher->kind != M3_MATCH_EITHER)
		return leaf_holds(matcher, number);
	for (size_t i = 0; i < matcher->part_count; i++)
		held += should_hold(&matcher->parts[i], number);
	return matcher->kind == M3_MATCH_ALL ? held == matcher->part_count : held > 0;
}

typedef struct Found
{
	bool		series[MOST_SERIES];
	size_t		count;
	uint64_t	examined;
} Found;

static M3Status
find(const M3Matcher *matchers, size_t count, bool without_index, M3Memory *memory, Found *found)
{
	M3ScanOptions options = {
		.start_ns = 0,.end_ns = INT64_MAX,.matchers = matchers,.matcher_count = count,
		.without_index = without_index
	};
	M3ScanStats stats;
	M3Snapshot *snapshot;
	M3Status	status;
	M3Scan	   *scan;

	memset(found, 0, sizeof(*found));
	CHECK_OK(m3_snapshot_take(engine.dbs[1], &snapshot, &err));
	options.snapshot = snapshot;
	status = m3_scan_open(engine.dbs[1], m3_slice_cstr("ns"), &options, memory, &scan, &err);
	if (status == M3_OK)
	{
		found->count = m3_scan_series_count(scan);
		for (size_t i = 0; i < found->count; i++)
		{
			char		text[32] = {0};
			M3Slice		id;
			M3Slice		tags;
			uint32_t	number;

			m3_scan_series(scan, i, &id, &tags);
			memcpy(text, id.data, id.size);
			number = (uint32_t) strtoul(text + 2, NULL, 10);
			CHECK(!found->series[number]);
			found->series[number] = true;
		}
		m3_scan_stats(scan, &stats);
		found->examined = stats.series_examined;
		m3_scan_close(scan);
	}
	m3_snapshot_release(snapshot);
	return status;
}

static size_t
count_present(void)
{
	size_t		count = 0;

	for (uint32_t n = 0; n < MOST_SERIES; n++)
		count += present[n];
	return count;
}

/* Queries that found something, and fewer series were looked at than there are. */
static uint32_t narrowed;

static void
compare_query(size_t count)
{
	static Found with;
	static Found without;
	size_t		expected = 0;
	bool		same = true;
	M3Estimate	estimate;

	CHECK_OK(find(forest.matchers, count, false, &m3_memory_malloc, &with));
	for (size_t i = 0; i < forest.matcher_count; i++)
	{
		CHECK(forest.lasts[i].calls <= MOST_SERIES);
		CHECK_INT(forest.lasts[i].locked_calls, 0);
	}
	CHECK_OK(find(forest.matchers, count, true, &m3_memory_malloc, &without));
	for (uint32_t n = 0; n < MOST_SERIES && same; n++)
	{
		uint8_t		bytes[512];
		char		id[32];
		bool		wanted = present[n];

		for (size_t i = 0; i < count && wanted; i++)
			wanted = should_hold(&forest.matchers[i], n);
		same = with.series[n] == wanted && without.series[n] == wanted;
		if (present[n] && n % 16 == 0)
			same &= m3_matchers_hold(forest.matchers, count, id_of(n, id), encode(n, bytes)) ==
				wanted;
		expected += wanted;
	}
	CHECK(same);
	CHECK_OK(m3_scan_estimate_matching(engine.dbs[1], m3_slice_cstr("ns"), forest.matchers, count,
									   &estimate, &err));
	CHECK(estimate.series <= count_present());
	narrowed += expected > 0 && with.examined < without.examined;
	CHECK(with.examined <= without.examined);
}

static void
test_random(uint32_t series_count, bool holes, int rounds)
{
	open_engine(series_count, holes);
	narrowed = 0;
	for (int i = 0; i < rounds; i++)
		compare_query(random_query(series_count));
	CHECK(narrowed > (uint32_t) rounds / 10);
	close_engine();
}

/* --- single ones -------------------------------------------------------- */

static M3Matcher
tag_is(const char *name, const M3Slice *value)
{
	return (M3Matcher) {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr(name),.values = value,.value_count = 1
	};
}

static M3Matcher
tree(M3MatchKind kind, const M3Matcher *parts, size_t count)
{
	return (M3Matcher) {.kind = kind,.parts = parts,.part_count = count};
}

/* The index gives just the series that match, where it can. */
static void
test_plans(void)
{
	static Found found;
	M3Slice		hosts[2] = {m3_slice_cstr("web-42"), m3_slice_cstr("web-300")};
	M3Slice		zone = m3_slice_cstr("eu-1");
	M3Slice		prefix = m3_slice_cstr("us");
	LastByte	last = {.byte = '1'};
	M3Matcher	two[2] = {tag_is("host", &hosts[0]), tag_is("host", &hosts[1])};
	M3Matcher	mixed[2] = {tag_is("host", &hosts[0]), tag_is("zone", &zone)};
	M3Matcher	inner[2] = {tag_is("host", &hosts[1]), tag_is("zone", &zone)};
	M3Matcher	outer[2];
	M3Matcher	absent = {.kind = M3_MATCH_ABSENT,.name = m3_slice_cstr("side")};
	M3Matcher	filter = {
		.kind = M3_MATCH_FILTER,.name = m3_slice_cstr("zone"),.accepts = accepts_last,
		.context = &last
	};
	M3Matcher	query[2];
	size_t		zones = 0;

	open_engine(4000, false);
	for (uint32_t n = 0; n < 4000; n++)
	{
		char		value[32];

		zones += tag_of(n, 4, value) && strcmp(value, "eu-1") == 0;
	}

	query[0] = tree(M3_MATCH_EITHER, two, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.count, 2);
	CHECK_INT(found.examined, 2);
	two[1] = two[0];
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.count, 1);

	query[0] = tree(M3_MATCH_EITHER, mixed, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, found.count);
	CHECK(found.count == zones || found.count == zones + 1);

	/* what one part of the inner ALL names is enough */
	outer[0] = tree(M3_MATCH_ALL, inner, 2);
	outer[1] = tag_is("host", &hosts[0]);
	query[0] = tree(M3_MATCH_EITHER, outer, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK(found.examined <= 2);
	inner[1] = absent;
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, 2);

	/* one part that cannot be listed, and all series are looked at */
	mixed[1] = absent;
	query[0] = tree(M3_MATCH_EITHER, mixed, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, 4000);
	/* unless another condition has fewer */
	query[1] = tag_is("zone", &zone);
	CHECK_OK(find(query, 2, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, zones);

	/* filters and prefixes in parts, each value asked about once */
	mixed[1] = filter;
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(last.calls, 8);
	CHECK_INT(found.examined, found.count);
	CHECK(found.count > 800 && found.count < 1200);
	/* a filter is left alone where the other part of ALL will do */
	last.calls = 0;
	query[0] = tree(M3_MATCH_ALL, mixed, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, 1);
	CHECK_INT(last.calls, 1);
	mixed[1] = (M3Matcher) {
		.kind = M3_MATCH_PREFIX,.name = m3_slice_cstr("zone"),.values = &prefix,.value_count = 1
	};
	query[0] = tree(M3_MATCH_EITHER, mixed, 2);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.examined, found.count);
	CHECK(found.count > 1800 && found.count < 2200);

	/* never, and always */
	query[0] = tree(M3_MATCH_EITHER, NULL, 0);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.count, 0);
	CHECK_INT(found.examined, 0);
	query[0] = tree(M3_MATCH_ALL, NULL, 0);
	CHECK_OK(find(query, 1, false, &m3_memory_malloc, &found));
	CHECK_INT(found.count, 4000);
	close_engine();
}

static uint64_t
estimate_of(const M3Matcher *matchers, size_t count)
{
	M3Estimate	estimate;

	CHECK_OK(m3_scan_estimate_matching(engine.dbs[1], m3_slice_cstr("ns"), matchers, count,
									   &estimate, &err));
	return estimate.series;
}

static void
test_estimates(void)
{
	static Found found;
	M3Slice		zone = m3_slice_cstr("eu-1");
	M3Slice		side = m3_slice_cstr("left");
	M3Matcher	both[2] = {tag_is("zone", &zone), tag_is("side", &side)};
	M3Matcher	query;

	open_engine(4000, false);
	for (int kind = M3_MATCH_ALL; kind <= M3_MATCH_EITHER; kind++)
	{
		query = tree((M3MatchKind) kind, both, 2);
		CHECK_OK(find(&query, 1, false, &m3_memory_malloc, &found));
		CHECK(fabs((double) estimate_of(&query, 1) - (double) found.count) <
			  (double) found.count / 5);
	}
	query = tree(M3_MATCH_EITHER, NULL, 0);
	CHECK_INT(estimate_of(&query, 1), 0);
	query = tree(M3_MATCH_ALL, NULL, 0);
	CHECK_INT(estimate_of(&query, 1), 4000);

	/* values not known: as many series as others have */
	query = tag_is("zone", NULL);
	CHECK_INT(estimate_of(&query, 1), 500);
	query.value_count = 3;
	CHECK_INT(estimate_of(&query, 1), 1500);
	query.kind = M3_MATCH_NONE_OF;
	CHECK_INT(estimate_of(&query, 1), 2500);
	query = tag_is("host", NULL);
	CHECK_INT(estimate_of(&query, 1), 1);
	query = tag_is("nowhere", NULL);
	CHECK_INT(estimate_of(&query, 1), 0);
	query = (M3Matcher) {.kind = M3_MATCH_FILTER};
	CHECK_INT(estimate_of(&query, 1), 400);
	query.kind = M3_MATCH_NOT_FILTER;
	CHECK_INT(estimate_of(&query, 1), 3600);
	query = (M3Matcher) {.kind = M3_MATCH_PREFIX,.name = m3_slice_cstr("zone"),.value_count = 1};
	CHECK_INT(estimate_of(&query, 1), 400);
	close_engine();
}

static void
test_depth(void)
{
	static Found found;
	M3Slice		zone = m3_slice_cstr("eu-1");
	M3Matcher	levels[M3_MATCH_MAX_DEPTH + 1];

	open_engine(100, false);
	levels[0] = tag_is("zone", &zone);
	for (int i = 1; i <= M3_MATCH_MAX_DEPTH; i++)
		levels[i] = tree(i % 2 == 0 ? M3_MATCH_ALL : M3_MATCH_EITHER, &levels[i - 1], 1);
	CHECK_OK(find(&levels[M3_MATCH_MAX_DEPTH - 1], 1, false, &m3_memory_malloc, &found));
	CHECK(found.count > 0 && found.count < 50);
	CHECK_STATUS(find(&levels[M3_MATCH_MAX_DEPTH], 1, false, &m3_memory_malloc, &found),
				 M3_INVALID);
	close_engine();
}

/* --- memory that ends --------------------------------------------------- */

static long allocations_left;
static long allocations_alive;

static void *
short_alloc(M3Memory *self, size_t size)
{
	(void) self;
	if (allocations_left-- <= 0)
		return NULL;
	allocations_alive++;
	return malloc(size + 1);
}

static void *
short_resize(M3Memory *self, void *old, size_t size)
{
	if (old == NULL)
		return short_alloc(self, size);
	return allocations_left-- <= 0 ? NULL : realloc(old, size + 1);
}

static void
short_free(M3Memory *self, void *pointer)
{
	(void) self;
	allocations_alive -= pointer != NULL;
	free(pointer);
}

static void
test_short_memory(void)
{
	static Found found;
	M3Memory	memory = {short_alloc, short_resize, short_free, NULL};

	open_engine(3000, false);
	for (int i = 0; i < 40; i++)
	{
		size_t		count = random_query(3000);
		M3Status	status = M3_NO_MEMORY;

		for (long n = 0; status == M3_NO_MEMORY; n++)
		{
			allocations_left = n;
			allocations_alive = 0;
			status = find(forest.matchers, count, false, &memory, &found);
			CHECK_INT(allocations_alive, 0);
			CHECK_INT(env_fault_held_locks(env), 0);
		}
		CHECK_OK(status);
	}
	close_engine();
}

int
main(void)
{
	test_plans();
	test_estimates();
	test_depth();
	test_short_memory();
	test_random(40, false, 300);
	test_random(3000, false, 300);
	test_random(3000, true, 300);
	test_random(MOST_SERIES, false, 60);
	return check_report();
}
