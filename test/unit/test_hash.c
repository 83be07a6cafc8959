#include "test/unit/check.h"

#include "storage/base/hash.h"

static uint32_t
murmur32(const char *text, uint32_t seed)
{
	return m3_murmur3_32(text, strlen(text), seed);
}

static void
check_murmur128(const void *data, size_t size, uint64_t h1, uint64_t h2)
{
	uint64_t	out[2];

	m3_murmur3_128(data, size, out);
	CHECK(out[0] == h1);
	CHECK(out[1] == h2);
}

static void
test_adler32(void)
{
	uint8_t		bytes[20000];
	uint32_t	whole;

	CHECK_INT(m3_adler32(M3_ADLER32_INIT, NULL, 0), 1);
	CHECK_INT(m3_adler32(12345, NULL, 0), 12345);
	CHECK_INT(m3_adler32(M3_ADLER32_INIT, "Wikipedia", 9), 0x11e60398);
	CHECK_INT(m3_adler32(M3_ADLER32_INIT, "\x16\x34\x56\x11\x51\x31\x80\x00\x9e\x30\x1c\x00", 12),
			  0x1164029e);

	/* largest sums before the modulus, and every way of cutting in two */
	memset(bytes, 0xff, sizeof(bytes));
	whole = m3_adler32(M3_ADLER32_INIT, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 997)
	{
		uint32_t	sum = m3_adler32(M3_ADLER32_INIT, bytes, cut);

		CHECK_INT(m3_adler32(sum, bytes + cut, sizeof(bytes) - cut), whole);
	}
	{
		uint32_t	a = 1;
		uint32_t	b = 0;

		for (size_t i = 0; i < sizeof(bytes); i++)
		{
			a = (a + bytes[i]) % 65521;
			b = (b + a) % 65521;
		}
		CHECK_INT(whole, b << 16 | a);
	}
}

static void
test_murmur32(void)
{
	CHECK_INT(murmur32("", 0), 0);
	CHECK_INT(murmur32("", 42), 0x087fcd5c);
	CHECK_INT(murmur32("foo", 0), 0xf6a5c420);
	CHECK_INT(murmur32("foo", 42), 0xb12f489e);
	CHECK_INT(murmur32("{__name__=\"up\",job=\"a\"}", 0), 0x0f78f961);
	CHECK_INT(murmur32("{__name__=\"up\",job=\"a\"}", 42), 0x74da1a4d);
	CHECK_INT(murmur32("{__name__=\"up\",job=\"b\"}", 0), 0x096d5808);
	CHECK_INT(murmur32("{__name__=\"up\",job=\"b\"}", 42), 0x58b27339);
	CHECK_INT(m3_murmur3_32(NULL, 0, 0), 0);

	/* tails of 0 to 3 bytes */
	CHECK_INT(murmur32("test", 0), 0xba6bd213);
	CHECK_INT(murmur32("Hello, world!", 0), 0xc0363e43);
	CHECK_INT(murmur32("The quick brown fox jumps over the lazy dog", 0), 0x2e4ff723);
	CHECK_INT(m3_murmur3_32("\xff\xff\xff\xff", 4, 0), 0x76293b50);
	CHECK_INT(m3_murmur3_32("\x21\x43\x65\x87", 4, 0), 0xf55b516b);
	CHECK_INT(m3_murmur3_32("\x21\x43\x65", 3, 0), 0x7e4a8634);
	CHECK_INT(m3_murmur3_32("\x21\x43", 2, 0), 0xa0f7b07a);
	CHECK_INT(m3_murmur3_32("\x21", 1, 0), 0x72661cf4);
}

/*
 * The algorithm's own verification: hashes of the keys {}, {0}, {0,1}, ... with
 * seed 256 - length, hashed together; it touches every tail length.
 */
static void
test_murmur32_verification(void)
{
	uint8_t		key[256];
	uint8_t		hashes[256 * 4];

	for (unsigned i = 0; i < 256; i++)
	{
		uint32_t	h;

		key[i] = (uint8_t) i;
		h = m3_murmur3_32(key, i, 256 - i);
		for (unsigned j = 0; j < 4; j++)
			hashes[4 * i + j] = (uint8_t) (h >> (8 * j));
	}
	CHECK_INT(m3_murmur3_32(hashes, sizeof(hashes), 0), 0xb0f57ee3);
}

static void
test_murmur128(void)
{
	const char *up = "{__name__=\"up\",job=\"a\"}";
	char		extended[32];

	check_murmur128("", 0, 0, 0);
	check_murmur128("\x01", 1, 0x7ace5c908374fe16, 0x778867e4430e6785);
	check_murmur128("foo", 3, 0xe271865701f54561, 0x7eaf87e42bba7d87);
	check_murmur128("foo\x01", 4, 0x1e8c37c00d346a63, 0x5babc122b0c2fd6e);
	check_murmur128(up, strlen(up), 0x3ba35ecd129824a2, 0xfc5be25b287c400c);
	snprintf(extended, sizeof(extended), "%s\x01", up);
	check_murmur128(extended, strlen(extended), 0xa0b2ed1e35b1aeea, 0x7f9e7b6cddb58817);
	check_murmur128("The quick brown fox jumps over the lazy dog", 43,
					0xe34bbc7bbc071b6c, 0x7a433ca9c49a9347);
}

/* Every byte of a tail of any length counts, and nothing behind it does. */
static void
test_murmur128_tails(void)
{
	uint8_t		padded[64] = {0};
	uint64_t	seen[48][2];

	for (unsigned size = 0; size < 48; size++)
	{
		padded[size] = (uint8_t) (size * 37 + 200);
		m3_murmur3_128(padded, size, seen[size]);
		for (unsigned i = 0; i < size; i++)
			CHECK(seen[i][0] != seen[size][0] && seen[i][1] != seen[size][1]);
		padded[size + 1] = 0xee;	/* bytes past the end do not matter */
		{
			uint64_t	again[2];

			m3_murmur3_128(padded, size, again);
			CHECK(again[0] == seen[size][0] && again[1] == seen[size][1]);
		}
		padded[size + 1] = 0;
	}
}

static void
test_xxh64(void)
{
	CHECK(m3_xxh64("", 0) == UINT64_C(0xef46db3751d8e999));
	CHECK(m3_xxh64("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
	CHECK(m3_xxh64("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
}

int
main(void)
{
	test_adler32();
	test_murmur32();
	test_murmur32_verification();
	test_murmur128();
	test_murmur128_tails();
	test_xxh64();
	return check_report();
}
