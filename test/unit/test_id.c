#include "test/unit/check.h"

#include "storage/base/env_posix.h"
#include "storage/base/hash.h"
#include "storage/base/msgpack.h"
#include "storage/ident/id.h"
#include "storage/ident/ident_private.h"

static M3Error err;
static uint8_t *id;				/* reused by all, grown as needed */
static size_t id_capacity;

static M3Slice
make_id(const M3Tag *tags, size_t count)
{
	size_t		size = 0;

	CHECK_OK(m3_id_quoted(tags, count, &m3_memory_malloc, &id, &id_capacity, &size, &err));
	return m3_slice(id, size);
}

static void
check_id(const M3Tag *tags, size_t count, const char *expected)
{
	M3Slice		got = make_id(tags, count);

	if (!CHECK(m3_slice_equal(got, m3_slice_cstr(expected))))
		fprintf(stderr, "    %.*s, not %s\n", (int) got.size, got.data, expected);
}

static void
check_value(const char *value, size_t size, const char *expected)
{
	M3Tag		tag = {m3_slice_cstr("a"), m3_slice(value, size)};

	check_id(&tag, 1, expected);
}

#define CHECK_VALUE(value, expected) \
	check_value((value), sizeof(value) - 1, (expected))

static void
check_pair(const char *name, const char *value, const char *expected)
{
	M3Tag		tag = {m3_slice_cstr(name), m3_slice_cstr(value)};

	check_id(&tag, 1, expected);
}

static void
test_quoted(void)
{
	M3Tag		up[3] = {
		{m3_slice_cstr("__name__"), m3_slice_cstr("up")},
		{m3_slice_cstr("instance"), m3_slice_cstr("h:9")},
		{m3_slice_cstr("job"), m3_slice_cstr("a")}
	};

	check_id(NULL, 0, "{}");
	check_id(up, 3, "{__name__=\"up\",instance=\"h:9\",job=\"a\"}");
	check_pair("a", "b", "{a=\"b\"}");
	check_pair("t1", "v1,t2:v2", "{t1=\"v1,t2:v2\"}");
	check_pair("\"t1\"", "\"v1\"", "{\\\"t1\\\"=\"\\\"v1\\\"\"}");
	check_pair("a", "{x=y, z}", "{a=\"{x=y, z}\"}");
	check_pair("back\\slash", "b", "{back\\slash=\"b\"}");
	CHECK_VALUE("", "{a=\"\"}");
	CHECK_VALUE("back\\slash", "{a=\"back\\slash\"}");
	CHECK_VALUE("back\\sl\"ash", "{a=\"back\\\\sl\\\"ash\"}");
	CHECK_VALUE("\x00\x01\x7f\x80\xff", "{a=\"\\x00\\x01\\u007f\\x80\\xff\"}");
	CHECK_VALUE("\xc3\xa9\xe2\x80\x8b\xf0\x9f\x98\x80", "{a=\"\xc3\xa9\\u200b\xf0\x9f\x98\x80\"}");
	CHECK_VALUE("\xf3\xa0\x80\x81", "{a=\"\\U000e0001\"}");

	CHECK_VALUE("\a\b\f\n\r\t\v", "{a=\"\\a\\b\\f\\n\\r\\t\\v\"}");
	CHECK_VALUE("\x06\x0e\x1f ~", "{a=\"\\x06\\x0e\\x1f ~\"}");
	CHECK_VALUE("~!'`", "{a=\"~!'`\"}");

	/* no space but U+0020, no control, no private use, no format character */
	CHECK_VALUE("\xc2\xa0", "{a=\"\\u00a0\"}");
	CHECK_VALUE("\xe3\x80\x80", "{a=\"\\u3000\"}");
	CHECK_VALUE("\xc2\x85", "{a=\"\\u0085\"}");
	CHECK_VALUE("\xc2\xad", "{a=\"\\u00ad\"}");
	CHECK_VALUE("\xee\x80\x80", "{a=\"\\ue000\"}");
	CHECK_VALUE("\xf4\x8f\xbf\xbf", "{a=\"\\U0010ffff\"}");

	/* a bad byte costs one byte, what follows is looked at again */
	CHECK_VALUE("\xe2\x82", "{a=\"\\xe2\\x82\"}");
	CHECK_VALUE("\xc3(", "{a=\"\\xc3(\"}");
	CHECK_VALUE("\xed\xa0\x80", "{a=\"\\xed\\xa0\\x80\"}");
	CHECK_VALUE("\xc0\x80", "{a=\"\\xc0\\x80\"}");
	CHECK_VALUE("\xf0\x9f\x98\xc3\xa9", "{a=\"\\xf0\\x9f\\x98\xc3\xa9\"}");
	CHECK_VALUE("\xef\xbf\xbd", "{a=\"\xef\xbf\xbd\"}");
}

static void
test_printable(void)
{
	unsigned	count = 0;

	for (uint32_t c = 0; c < 0x110000; c++)
		count += m3i_ident_is_printable(c);
	/* Unicode 15.0 has 149014 graphic characters, 17 of them spaces; one counts */
	CHECK_INT(count, 149014 - 17 + 1);
	CHECK(m3i_ident_is_printable(0x20));
	CHECK(!m3i_ident_is_printable(0x1f));
	CHECK(m3i_ident_is_printable(0x7e));
	CHECK(!m3i_ident_is_printable(0x7f));
	CHECK(m3i_ident_is_printable(0x323af));	/* last ideograph of 15.0 */
	CHECK(!m3i_ident_is_printable(0x323b0));
	CHECK(m3i_ident_is_printable(0x1fae8));	/* shaking face, new in 15.0 */
	CHECK(!m3i_ident_is_printable(0x1fae9));	/* new in 16.0 */
	CHECK(!m3i_ident_is_printable(0x2ffc));	/* new in 15.1 */
	CHECK(m3i_ident_is_printable(0xe01ef));
	CHECK(!m3i_ident_is_printable(0xe01f0));
	CHECK(!m3i_ident_is_printable(0xd800));
	CHECK(!m3i_ident_is_printable(UINT32_MAX));
}

static void *
refuse(M3Memory *self, void *old, size_t size)
{
	(void) self;
	(void) old;
	(void) size;
	return NULL;
}

static void
test_memory(void)
{
	M3Memory	none = m3_memory_malloc;
	M3Tag		tag = {m3_slice_cstr("a"), m3_slice_cstr("b")};
	uint8_t    *out = NULL;
	size_t		capacity = 0;
	size_t		size;
	char	   *longest = malloc(65535);

	none.resize = refuse;
	CHECK_STATUS(m3_id_quoted(&tag, 1, &none, &out, &capacity, &size, &err), M3_NO_MEMORY);
	CHECK(out == NULL && capacity == 0);

	/* an exact buffer is enough, one byte less is not */
	out = malloc(7);
	capacity = 7;
	CHECK_OK(m3_id_quoted(&tag, 1, &none, &out, &capacity, &size, &err));
	CHECK_BYTES(out, size, "{a=\"b\"}", 7);
	capacity = 6;
	CHECK_STATUS(m3_id_quoted(&tag, 1, &none, &out, &capacity, &size, &err), M3_NO_MEMORY);
	free(out);

	/* the greatest growth: six bytes for one */
	memset(longest, 0x7f, 65535);
	tag.value = m3_slice(longest, 65535);
	CHECK_INT(make_id(&tag, 1).size, 6 + 6 * 65535);
	free(longest);
}

static void
test_shards(void)
{
	M3Slice		a = m3_slice_cstr("{__name__=\"up\",job=\"a\"}");
	M3Slice		b = m3_slice_cstr("{__name__=\"up\",job=\"b\"}");

	CHECK_INT(m3_shard_of_id(m3_slice_cstr("foo"), 0, 64), 32);
	CHECK_INT(m3_shard_of_id(m3_slice_cstr("foo"), 0, 4096), 1056);
	CHECK_INT(m3_shard_of_id(a, 0, 64), 33);
	CHECK_INT(m3_shard_of_id(a, 0, 1024), 353);
	CHECK_INT(m3_shard_of_id(a, 0, 4096), 2401);
	CHECK_INT(m3_shard_of_id(b, 0, 64), 8);
	CHECK_INT(m3_shard_of_id(b, 0, 4096), 2056);
	CHECK_INT(m3_shard_of_id(b, 42, 1), 0);
	CHECK_INT(m3_shard_of_id(b, 42, 1000), 0x58b27339 % 1000);
	CHECK_INT(m3_shard_of_id(m3_slice(NULL, 0), 0, 64), 0);
}

/* Ids of a real directory: what M3 stored is what we make of its tags. */

typedef struct Golden
{
	M3Env	   *env;
	char		directory[1024];
	uint32_t	shard;
	unsigned	ids;
} Golden;

static void
check_index_entries(Golden *golden, const uint8_t *data, size_t size)
{
	M3MsgpackReader reader;

	m3_msgpack_init(&reader, data, size);
	while (reader.position < reader.end && !reader.failed)
	{
		const uint8_t *start = reader.position;
		M3Slice		stored;
		M3Slice		encoded;
		uint32_t	checksum;
		M3TagIterator iterator;
		M3Tag		tags[64];
		size_t		count = 0;

		CHECK_INT(m3_msgpack_get_int(&reader), 1);
		CHECK_INT(m3_msgpack_get_array(&reader), 2);
		CHECK_INT(m3_msgpack_get_int(&reader), 5);
		CHECK_INT(m3_msgpack_get_array(&reader), 7);
		m3_msgpack_skip(&reader);
		stored = m3_msgpack_get_bytes(&reader);
		m3_msgpack_skip(&reader);
		m3_msgpack_skip(&reader);
		m3_msgpack_skip(&reader);
		encoded = m3_msgpack_get_bytes(&reader);
		checksum = m3_adler32(M3_ADLER32_INIT, start, (size_t) (reader.position - start));
		CHECK_INT(m3_msgpack_get_uint(&reader), checksum);
		if (!CHECK(!reader.failed))
			return;
		CHECK_OK(m3_tag_iterator_init(&iterator, encoded, &err));
		while (count < 64 && m3_tag_next(&iterator, &tags[count]))
			count++;
		CHECK_OK(m3_tags_validate(tags, count, &err));
		CHECK(m3_slice_equal(make_id(tags, count), stored));
		CHECK_INT(m3_shard_of_id(stored, 0, 4), golden->shard);
		golden->ids++;
	}
}

static M3Status
check_index_file(void *context, const char *name, bool is_directory)
{
	Golden	   *golden = context;
	char		path[2048];
	M3File	   *file;
	const uint8_t *base;
	size_t		size;

	if (is_directory || strstr(name, "-index.db") == NULL)
		return M3_OK;
	snprintf(path, sizeof(path), "%s/%s", golden->directory, name);
	M3_TRY(golden->env->open(golden->env, path, M3_OPEN_READ, &file, &err));
	CHECK_OK(golden->env->map(golden->env, file, &base, &size, &err));
	check_index_entries(golden, base, size);
	golden->env->unmap(golden->env, base, size);
	golden->env->close(golden->env, file);
	return M3_OK;
}

static void
test_golden(void)
{
	const char *shared = getenv("M3_SHARED");
	Golden		golden = {.env = m3_env_posix_create(0)};
	static const char *const kinds[] = {"data", "snapshots"};

	for (unsigned i = 0; i < 8; i++)
	{
		M3Status	status;

		golden.shard = i % 4;
		snprintf(golden.directory, sizeof(golden.directory),
				 "%s/golden/m3db/prom/%s/prom_quoted/%u", shared != NULL ? shared : "",
				 kinds[i / 4], golden.shard);
		status = golden.env->list(golden.env, golden.directory, check_index_file, &golden, &err);
		if (status != M3_OK && status != M3_NOT_FOUND)
			CHECK_OK(status);
	}
	if (golden.ids == 0)
		printf("SKIPPED golden ids: no data under M3_SHARED; ");
	else
		CHECK(golden.ids > 20);
	m3_env_posix_destroy(golden.env);
}

int
main(void)
{
	test_quoted();
	test_printable();
	test_memory();
	test_shards();
	test_golden();
	free(id);
	return check_report();
}
