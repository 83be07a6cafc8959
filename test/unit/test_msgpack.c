#include "test/unit/check.h"

#include "storage/base/bytes.h"
#include "storage/base/msgpack.h"

/* A reader over an exact heap copy, so that the sanitizer sees over-reads. */
typedef struct Input
{
	uint8_t    *bytes;
	M3MsgpackReader reader;
} Input;

static Input
open_input(const void *data, size_t size)
{
	Input		input;

	input.bytes = malloc(size == 0 ? 1 : size);
	memcpy(input.bytes, data, size);
	m3_msgpack_init(&input.reader, input.bytes, size);
	return input;
}

/* Whether all was read without failure. */
static bool
close_input(Input *input)
{
	bool		whole = !input->reader.failed &&
		input->reader.position == input->reader.end;

	free(input->bytes);
	return whole;
}

static size_t
from_hex(const char *hex, uint8_t *out)
{
	size_t		n = 0;

	for (; hex[0] != '\0'; hex += 2)
	{
		unsigned	byte;

		sscanf(hex, "%2x", &byte);
		out[n++] = (uint8_t) byte;
	}
	return n;
}

static void
check_written(const uint8_t *out, const uint8_t *end, const char *hex)
{
	uint8_t		expected[64];
	size_t		size = from_hex(hex, expected);

	CHECK_BYTES(out, end - out, expected, size);
}

static void
check_int(int64_t value, const char *hex)
{
	uint8_t		out[M3_MSGPACK_INT_MAX_SIZE];
	uint8_t    *end = m3_msgpack_put_int(out, value);
	Input		input;

	check_written(out, end, hex);
	input = open_input(out, (size_t) (end - out));
	CHECK_INT(m3_msgpack_get_int(&input.reader), value);
	CHECK(close_input(&input));
	input = open_input(out, (size_t) (end - out));
	CHECK(m3_msgpack_get_uint(&input.reader) == (uint64_t) value);
	CHECK(close_input(&input));
	input = open_input(out, (size_t) (end - out));
	m3_msgpack_skip(&input.reader);
	CHECK(close_input(&input));

	/* cut off anywhere it fails, and stays failed */
	for (size_t cut = 0; cut < (size_t) (end - out); cut++)
	{
		input = open_input(out, cut);
		CHECK_INT(m3_msgpack_get_int(&input.reader), 0);
		CHECK(input.reader.failed);
		CHECK_INT(m3_msgpack_get_int(&input.reader), 0);
		CHECK(!close_input(&input));
	}
}

static void
check_uint(uint64_t value, const char *hex)
{
	uint8_t		out[M3_MSGPACK_INT_MAX_SIZE];
	uint8_t    *end = m3_msgpack_put_uint(out, value);
	Input		input = open_input(out, (size_t) (end - out));

	check_written(out, end, hex);
	CHECK(m3_msgpack_get_uint(&input.reader) == value);
	CHECK(close_input(&input));
	if (value <= INT64_MAX)
		check_int((int64_t) value, hex);
}

static void
test_integers(void)
{
	check_uint(0, "00");
	check_uint(127, "7f");
	check_uint(128, "cc80");
	check_uint(255, "ccff");
	check_uint(256, "cd0100");
	check_uint(65535, "cdffff");
	check_uint(65536, "ce00010000");
	check_uint(UINT32_MAX, "ceffffffff");
	check_uint(UINT64_C(1) << 32, "cf0000000100000000");
	check_uint(INT64_MAX, "cf7fffffffffffffff");
	check_uint(UINT64_MAX, "cfffffffffffffffff");
	check_uint(UINT64_C(1599998400000000000), "cf1634561151318000");
	check_int(-1, "ff");
	check_int(-32, "e0");
	check_int(-33, "d0df");
	check_int(-128, "d080");
	check_int(-129, "d1ff7f");
	check_int(-32768, "d18000");
	check_int(-32769, "d2ffff7fff");
	check_int(INT32_MIN, "d280000000");
	check_int((int64_t) INT32_MIN - 1, "d3ffffffff7fffffff");
	check_int(INT64_MIN, "d38000000000000000");
}

static void
check_read(const char *hex, int64_t as_int, uint64_t as_uint)
{
	uint8_t		bytes[64];
	size_t		size = from_hex(hex, bytes);
	Input		input = open_input(bytes, size);

	CHECK_INT(m3_msgpack_get_int(&input.reader), as_int);
	CHECK(close_input(&input));
	input = open_input(bytes, size);
	CHECK(m3_msgpack_get_uint(&input.reader) == as_uint);
	CHECK(close_input(&input));
}

/* Forms M3 never writes, but reads. */
static void
test_liberal_integers(void)
{
	check_read("c0", 0, 0);
	check_read("cc05", 5, 5);
	check_read("cd0005", 5, 5);
	check_read("ce00000005", 5, 5);
	check_read("cf0000000000000005", 5, 5);
	check_read("d005", 5, 5);
	check_read("d10005", 5, 5);
	check_read("d200000005", 5, 5);
	check_read("d30000000000000005", 5, 5);
	check_read("d0ff", -1, UINT64_MAX);
	check_read("d1fffe", -2, UINT64_MAX - 1);
	check_read("d2fffffffd", -3, UINT64_MAX - 2);
	check_read("d3ffffffffffffffff", -1, UINT64_MAX);
	check_read("cfffffffffffffffff", -1, UINT64_MAX);
	check_read("ccff", 255, 255);
	check_read("cdffff", 65535, 65535);
	check_read("ceffffffff", UINT32_MAX, UINT32_MAX);
}

static void
check_double(uint64_t bits)
{
	uint8_t		out[9];
	uint8_t    *end = m3_msgpack_put_double(out, m3_double_from_bits(bits));
	Input		input = open_input(out, 9);

	CHECK(end == out + 9 && out[0] == 0xcb && m3_load_be64(out + 1) == bits);
	CHECK(m3_double_bits(m3_msgpack_get_double(&input.reader)) == bits);
	CHECK(close_input(&input));
	for (size_t cut = 0; cut < 9; cut++)
	{
		input = open_input(out, cut);
		CHECK(m3_msgpack_get_double(&input.reader) == 0);
		CHECK(!close_input(&input));
	}
}

static void
test_doubles(void)
{
	Input		input;

	check_double(0);
	check_double(UINT64_C(0x8000000000000000));
	check_double(UINT64_C(0x3ff0000000000000));
	check_double(UINT64_C(0x7ff8000000000001));
	check_double(UINT64_C(0xfff8dead00000001));
	check_double(UINT64_C(0x7ff0000000000000));

	input = open_input("\xca\x3f\xc0\x00\x00", 5);
	CHECK(m3_msgpack_get_double(&input.reader) == 1.5);
	CHECK(close_input(&input));

	/* an integer is not a double, nor is nil */
	input = open_input("\x01", 1);
	CHECK(m3_msgpack_get_double(&input.reader) == 0);
	CHECK(input.reader.failed);
	close_input(&input);
	input = open_input("\xc0", 1);
	CHECK(m3_msgpack_get_double(&input.reader) == 0);
	CHECK(input.reader.failed);
	close_input(&input);
}

static void
check_bytes(size_t size, const char *header_hex)
{
	uint8_t    *data = malloc(size + 1);
	uint8_t    *out = malloc(size + M3_MSGPACK_BYTES_HEADER_MAX_SIZE);
	uint8_t    *end;
	size_t		header_size = strlen(header_hex) / 2;
	Input		input;
	M3Slice		got;

	memset(data, 0xa7, size + 1);
	end = m3_msgpack_put_bytes(out, m3_slice(data, size));
	check_written(out, out + header_size, header_hex);
	CHECK((size_t) (end - out) == header_size + size);
	input = open_input(out, (size_t) (end - out));
	got = m3_msgpack_get_bytes(&input.reader);
	CHECK(got.data != NULL && m3_slice_equal(got, m3_slice(data, size)));
	CHECK(close_input(&input));

	for (size_t cut = 0; cut < header_size + size; cut += cut < 8 ? 1 : 1 + size / 4)
	{
		input = open_input(out, cut);
		got = m3_msgpack_get_bytes(&input.reader);
		CHECK(got.data == NULL && got.size == 0);
		CHECK(!close_input(&input));
		input = open_input(out, cut);
		m3_msgpack_skip(&input.reader);
		CHECK(!close_input(&input));
	}
	free(data);
	free(out);
}

static void
check_read_bytes(const void *bytes, size_t size, const char *expected)
{
	Input		input = open_input(bytes, size);
	M3Slice		got = m3_msgpack_get_bytes(&input.reader);

	if (expected == NULL)
		CHECK(got.data == NULL && got.size == 0);
	else
		CHECK(got.data != NULL && m3_slice_equal(got, m3_slice_cstr(expected)));
	CHECK(close_input(&input));
	input = open_input(bytes, size);
	m3_msgpack_skip(&input.reader);
	CHECK(close_input(&input));
}

static void
test_bytes(void)
{
	uint8_t		out[1];
	Input		input;

	CHECK(m3_msgpack_put_bytes(out, m3_slice(NULL, 0)) == out + 1 && out[0] == 0xc0);
	check_bytes(0, "c400");
	check_bytes(1, "c401");
	check_bytes(255, "c4ff");
	check_bytes(256, "c50100");
	check_bytes(65535, "c5ffff");
	check_bytes(65536, "c600010000");

	check_read_bytes("\xc0", 1, NULL);
	check_read_bytes("\xa0", 1, "");
	check_read_bytes("\xa3" "abc", 4, "abc");
	check_read_bytes("\xbf" "0123456789012345678901234567890", 32,
					 "0123456789012345678901234567890");
	check_read_bytes("\xd9\x03" "abc", 5, "abc");
	check_read_bytes("\xda\x00\x03" "abc", 6, "abc");
	check_read_bytes("\xdb\x00\x00\x00\x03" "abc", 8, "abc");
	check_read_bytes("\xc5\x00\x01" "a", 4, "a");
	check_read_bytes("\xc6\x00\x00\x00\x01" "a", 6, "a");
	check_read_bytes("\xc6\xff\xff\xff\xff", 5, NULL);
	check_read_bytes("\xdb\xff\xff\xff\xff", 5, NULL);

	/* other negative lengths, other kinds, lengths past the end */
	for (const char *const *bad = (const char *const[]) {
		 "\xc6\xff\xff\xff\xfe", "\xc6\x80\x00\x00\x00", "\xdb\x80\x00\x00\x00",
		 "\xc6\x7f\xff\xff\xff", "\x01....", "\x91....", "\xcb....", "\x81....",
		 "\xc1....", "\xc2....", NULL}; *bad != NULL; bad++)
	{
		input = open_input(*bad, 5);
		CHECK(m3_msgpack_get_bytes(&input.reader).data == NULL);
		CHECK(input.reader.failed);
		close_input(&input);
	}
}

static void
test_arrays(void)
{
	uint8_t		out[5];
	Input		input;
	static const struct
	{
		uint32_t	count;
		const char *hex;
	}			cases[] = {
		{0, "90"}, {3, "93"}, {15, "9f"}, {16, "dc0010"}, {65535, "dcffff"},
		{65536, "dd00010000"}, {UINT32_MAX, "ddffffffff"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		uint8_t    *end = m3_msgpack_put_array(out, cases[i].count);

		check_written(out, end, cases[i].hex);
		input = open_input(out, (size_t) (end - out));
		CHECK_INT(m3_msgpack_get_array(&input.reader), cases[i].count);
		CHECK(close_input(&input));
		input = open_input(out, (size_t) (end - out) - 1);
		CHECK_INT(m3_msgpack_get_array(&input.reader), 0);
		CHECK(!close_input(&input));
	}
	input = open_input("\xdd\x00\x00\x00\x02", 5);
	CHECK_INT(m3_msgpack_get_array(&input.reader), 2);
	CHECK(close_input(&input));
	for (const char *bad = "\xc0\x05\xc4\x80\xa1\xca\xff"; *bad != '\0'; bad++)
	{
		input = open_input(bad, 1);
		CHECK_INT(m3_msgpack_get_array(&input.reader), 0);
		CHECK(input.reader.failed);
		close_input(&input);
	}
}

static void
test_skip(void)
{
	size_t		depth = 1000000;
	uint8_t    *deep = malloc(depth + 1);
	Input		input;

	/* one value of each kind in an array, then one more value */
	static const uint8_t mixed[] = {
		0x97, 0x01, 0xcd, 1, 2, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xa1, 'x',
		0x92, 0x90, 0xdc, 0, 1, 0xe0, 0xca, 0, 0, 0, 0, 0x2a
	};

	input = open_input(mixed, sizeof(mixed));
	m3_msgpack_skip(&input.reader);
	CHECK_INT(m3_msgpack_get_int(&input.reader), 42);
	CHECK(close_input(&input));
	for (size_t cut = 0; cut < sizeof(mixed) - 1; cut++)
	{
		input = open_input(mixed, cut);
		m3_msgpack_skip(&input.reader);
		CHECK(!close_input(&input));
	}

	memset(deep, 0x91, depth);
	deep[depth] = 0x07;
	input = open_input(deep, depth + 1);
	m3_msgpack_skip(&input.reader);
	CHECK(close_input(&input));
	memset(deep, 0xdd, depth);
	input = open_input(deep, depth);
	m3_msgpack_skip(&input.reader);
	CHECK(!close_input(&input));
	free(deep);

	for (unsigned code = 0; code < 256; code++)
	{
		bool		known = code < 0x80 || code >= 0xe0 || (code & 0xf0) == 0x90 ||
			(code & 0xe0) == 0xa0 || code == 0xc0 || (code >= 0xc4 && code <= 0xc6) ||
			(code >= 0xca && code <= 0xd3) || (code >= 0xd9 && code <= 0xdd);
		uint8_t		bytes[40] = {(uint8_t) code};

		input = open_input(bytes, sizeof(bytes));
		m3_msgpack_skip(&input.reader);
		CHECK(input.reader.failed == !known);
		close_input(&input);
	}
}

int
main(void)
{
	M3MsgpackReader empty;

	m3_msgpack_init(&empty, NULL, 0);
	CHECK_INT(m3_msgpack_get_int(&empty), 0);
	CHECK(empty.failed);
	test_integers();
	test_liberal_integers();
	test_doubles();
	test_bytes();
	test_arrays();
	test_skip();
	return check_report();
}
