#include "test/unit/check.h"

#include "storage/ident/tags.h"

static M3Error err;

static M3Tag
tag(const char *name, const char *value)
{
	M3Tag		t = {m3_slice_cstr(name), m3_slice_cstr(value)};

	return t;
}

static bool
is_tag(const M3Tag *t, const char *name, const char *value)
{
	return m3_slice_equal(t->name, m3_slice_cstr(name)) &&
		m3_slice_equal(t->value, m3_slice_cstr(value));
}

static void
test_sort(void)
{
	M3Tag		tags[] = {
		tag("b", "1"), tag("a\xc3\xa9", "2"), tag("az", "3"), tag("a", "4"),
		tag("B", "5"), tag("aa", "6")
	};
	static const char *const expected[] = {"B", "a", "aa", "az", "a\xc3\xa9", "b"};
	M3Tag		many[1000];

	m3_tags_sort(tags, 6);
	for (size_t i = 0; i < 6; i++)
		CHECK(m3_slice_equal(tags[i].name, m3_slice_cstr(expected[i])));
	m3_tags_sort(NULL, 0);

	for (size_t i = 0; i < 1000; i++)
	{
		static char names[1000][8];

		snprintf(names[i], sizeof(names[i]), "%04zu", i * 619 % 1000);
		many[i] = tag(names[i], "v");
	}
	m3_tags_sort(many, 1000);
	CHECK_STATUS(m3_tags_validate(many, 1000, &err), M3_OK);
	CHECK(is_tag(&many[0], "0000", "v") && is_tag(&many[999], "0999", "v"));
}

static void
check_invalid(const M3Tag *tags, size_t count, const char *message, const char *detail)
{
	memset(&err, 0, sizeof(err));
	CHECK_STATUS(m3_tags_validate(tags, count, &err), M3_INVALID);
	CHECK_INT(err.status, M3_INVALID);
	if (!CHECK(strstr(err.message, message) != NULL && strstr(err.detail, detail) != NULL))
		fprintf(stderr, "    %s: %s\n", err.message, err.detail);
	CHECK_STATUS(m3_tags_validate(tags, count, NULL), M3_INVALID);
}

static void
test_validate(void)
{
	M3Tag		one;
	M3Tag		two[2];
	char	   *longest = malloc(M3_TAG_MAX_SIZE + 1);
	M3Tag	   *many = malloc(65536 * sizeof(*many));
	char	   *names = malloc(65536 * 6);

	CHECK_OK(m3_tags_validate(NULL, 0, &err));
	one = tag("a", "");
	CHECK_OK(m3_tags_validate(&one, 1, &err));
	one = tag("", "v");
	check_invalid(&one, 1, "\"\"", "empty");
	one = tag("_m3ninx_id", "v");
	check_invalid(&one, 1, "_m3ninx_id", "reserved");
	one = tag("_m3ninx_idx", "v");
	CHECK_OK(m3_tags_validate(&one, 1, &err));
	one = tag("bad\xff" "name\n", "v");
	check_invalid(&one, 1, "bad\\xffname\\x0a", "name must be valid UTF-8");
	one = tag("\xc3\xa9", "\xc3");
	check_invalid(&one, 1, "\"\xc3\xa9\"", "value must be valid UTF-8");
	two[0] = tag("a", "1");
	two[1] = tag("a", "2");
	check_invalid(two, 2, "\"a\"", "once");
	two[1] = tag("b", "2");
	CHECK_OK(m3_tags_validate(two, 2, &err));

	memset(longest, 'x', M3_TAG_MAX_SIZE + 1);
	one.name = m3_slice(longest, M3_TAG_MAX_SIZE);
	one.value = one.name;
	CHECK_OK(m3_tags_validate(&one, 1, &err));
	one.value.size++;
	check_invalid(&one, 1, "xxx...\"", "value has at most");
	one = tag("a", "b");
	one.name = m3_slice(longest, M3_TAG_MAX_SIZE + 1);
	check_invalid(&one, 1, "xxx...\"", "name has at most");
	CHECK(m3_utf8_is_valid(m3_slice_cstr(err.message)));

	for (unsigned i = 0; i < 65536; i++)
	{
		snprintf(names + 6 * i, 6, "%05u", i);
		many[i] = tag(names + 6 * i, "v");
	}
	CHECK_OK(m3_tags_validate(many, 65535, &err));
	check_invalid(many, 65536, "65536", "65535");
	free(longest);
	free(many);
	free(names);
}

static void
check_encoding(const M3Tag *tags, size_t count, const void *expected, size_t size)
{
	uint8_t    *bytes = malloc(size + 1);
	M3TagIterator iterator;
	M3Tag		got;
	size_t		i = 0;

	CHECK_INT(m3_tags_encoded_size(tags, count), size);
	m3_tags_encode(tags, count, bytes);
	CHECK_BYTES(bytes, size, expected, size);
	CHECK_OK(m3_tag_iterator_init(&iterator, m3_slice(bytes, size), &err));
	while (m3_tag_next(&iterator, &got))
	{
		CHECK(i < count && m3_slice_equal(got.name, tags[i].name) &&
			  m3_slice_equal(got.value, tags[i].value));
		i++;
	}
	CHECK_INT(i, count);
	CHECK(!m3_tag_next(&iterator, &got));
	free(bytes);
}

static void
test_encoding(void)
{
	M3Tag		host[] = {tag("host", "a"), tag("dc", "eu")};
	M3Tag		up[] = {tag("__name__", "up"), tag("job", "a")};
	M3Tag		empty_value[] = {tag("a", "")};
	static const uint8_t host_bytes[] = {
		0x75, 0x27, 2, 0, 4, 0, 'h', 'o', 's', 't', 1, 0, 'a', 2, 0, 'd', 'c', 2, 0, 'e', 'u'
	};
	static const uint8_t up_bytes[] = {
		0x75, 0x27, 2, 0, 8, 0, '_', '_', 'n', 'a', 'm', 'e', '_', '_', 2, 0, 'u', 'p',
		3, 0, 'j', 'o', 'b', 1, 0, 'a'
	};
	static const uint8_t empty_bytes[] = {0x75, 0x27, 1, 0, 1, 0, 'a', 0, 0};

	check_encoding(NULL, 0, "", 0);
	check_encoding(host, 2, host_bytes, sizeof(host_bytes));
	check_encoding(up, 2, up_bytes, sizeof(up_bytes));
	check_encoding(empty_value, 1, empty_bytes, sizeof(empty_bytes));
}

static void
test_malformed(void)
{
	static const uint8_t good[] = {
		0x75, 0x27, 2, 0, 1, 0, 'a', 2, 0, 'b', 'c', 1, 0, 'd', 0, 0
	};
	M3TagIterator iterator;
	M3Tag		got;

	for (size_t size = 0; size <= sizeof(good); size++)
	{
		uint8_t    *copy = malloc(size + 1);

		memcpy(copy, good, size);
		copy = realloc(copy, size == 0 ? 1 : size);
		CHECK_STATUS(m3_tag_iterator_init(&iterator, m3_slice(copy, size), &err),
					 size == 0 || size == sizeof(good) ? M3_OK : M3_CORRUPT);
		if (size < sizeof(good))
			CHECK(!m3_tag_next(&iterator, &got));	/* also after a refusal */
		free(copy);
	}
	for (size_t i = 0; i < sizeof(good); i++)
	{
		uint8_t		bad[sizeof(good)];
		bool		is_text = i == 6 || i == 9 || i == 10 || i == 13;

		memcpy(bad, good, sizeof(good));
		bad[i] ^= 0x80;
		CHECK_STATUS(m3_tag_iterator_init(&iterator, m3_slice(bad, sizeof(bad)), &err),
					 is_text ? M3_OK : M3_CORRUPT);
	}
	CHECK_STATUS(m3_tag_iterator_init(&iterator, m3_slice("\x75\x27\1\0\0\0\1\0v", 9), &err),
				 M3_CORRUPT);	/* empty name */
	CHECK_OK(m3_tag_iterator_init(&iterator, m3_slice("\x75\x27\0\0", 4), &err));
	CHECK(!m3_tag_next(&iterator, &got));

	/* bytes behind the last tag are ignored, as M3 does */
	CHECK_OK(m3_tag_iterator_init(&iterator, m3_slice("\x75\x27\1\0\1\0a\1\0bxyz", 13), &err));
	CHECK(m3_tag_next(&iterator, &got) && is_tag(&got, "a", "b"));
	CHECK(!m3_tag_next(&iterator, &got));
}

static void
test_find(void)
{
	M3Tag		tags[] = {tag("a", "1"), tag("b", ""), tag("c", "3"), tag("c", "4")};
	uint8_t		bytes[64];
	M3Slice		encoded = m3_slice(bytes, m3_tags_encoded_size(tags, 4));
	M3Slice		value;

	m3_tags_encode(tags, 4, bytes);
	CHECK(m3_tags_find(encoded, m3_slice_cstr("a"), &value) && value.size == 1 &&
		  *value.data == '1');
	CHECK(m3_tags_find(encoded, m3_slice_cstr("b"), &value) && value.size == 0);
	CHECK(m3_tags_find(encoded, m3_slice_cstr("c"), &value) && *value.data == '3');
	CHECK(!m3_tags_find(encoded, m3_slice_cstr("d"), &value));
	CHECK(!m3_tags_find(encoded, m3_slice_cstr(""), &value));
	CHECK(!m3_tags_find(m3_slice(NULL, 0), m3_slice_cstr("a"), &value));
}

static void
check_utf8(const char *text, bool is_valid)
{
	char		shifted[64];

	CHECK(m3_utf8_is_valid(m3_slice_cstr(text)) == is_valid);

	/* at every distance from the words that are looked at at once */
	for (int lead = 1; lead < 17; lead++)
	{
		snprintf(shifted, sizeof(shifted), "%.*s%s%.*s", lead, "abcdefghijklmnopq", text,
				 lead, "abcdefghijklmnopq");
		CHECK(m3_utf8_is_valid(m3_slice_cstr(shifted)) == is_valid);
	}
}

static void
test_utf8(void)
{
	CHECK(m3_utf8_is_valid(m3_slice(NULL, 0)));
	CHECK(m3_utf8_is_valid(m3_slice("\0\x7f", 2)));
	check_utf8("\xc2\x80", true);
	check_utf8("\xdf\xbf", true);
	check_utf8("\xe0\xa0\x80", true);
	check_utf8("\xed\x9f\xbf", true);
	check_utf8("\xee\x80\x80", true);
	check_utf8("\xef\xbf\xbd", true);	/* U+FFFD itself */
	check_utf8("\xef\xbf\xbf", true);
	check_utf8("\xf0\x90\x80\x80", true);
	check_utf8("\xf4\x8f\xbf\xbf", true);
	check_utf8("\x80", false);
	check_utf8("\xbf", false);
	check_utf8("\xc0\x80", false);
	check_utf8("\xc1\xbf", false);
	check_utf8("\xc3", false);
	check_utf8("\xc3\x28", false);
	check_utf8("\xe0\x9f\xbf", false);	/* overlong */
	check_utf8("\xed\xa0\x80", false);	/* surrogates */
	check_utf8("\xed\xbf\xbf", false);
	check_utf8("\xe2\x82", false);
	check_utf8("\xe2\x28\xa1", false);
	check_utf8("\xf0\x8f\xbf\xbf", false);
	check_utf8("\xf0\x9f\x98", false);
	check_utf8("\xf4\x90\x80\x80", false);
	check_utf8("\xf5\x80\x80\x80", false);
	check_utf8("\xff", false);
	check_utf8("\xfe", false);
}

int
main(void)
{
	test_sort();
	test_validate();
	test_encoding();
	test_malformed();
	test_find();
	test_utf8();
	return check_report();
}
