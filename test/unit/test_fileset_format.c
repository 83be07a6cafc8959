/*
 * The formats against the vectors of spec/fileset.md 15 and commitlog.md 12,
 * and the variations that M3's decoder accepts.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/msgpack.h"
#include "storage/fileset/bloom.h"
#include "storage/fileset/metadata.h"

#define ID_A "{__name__=\"up\",job=\"a\"}"
#define ID_R "{__name__=\"up\",job=\"r\"}"

static const uint8_t snapshot_uuid[16] = {
	0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0,
	0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6
};

static void
add_up(M3FilesetWriter *writer, const char *job, const char *payload_hex)
{
	char		id[64];
	uint8_t		tags[64];
	uint8_t		payload[64];
	M3Tag		tag[2] = {
		{m3_slice_cstr("__name__"), m3_slice_cstr("up")},
		{m3_slice_cstr("job"), m3_slice_cstr(job)}
	};
	M3Slice		parts[2];
	size_t		size = from_hex(payload_hex, payload);

	snprintf(id, sizeof(id), "{__name__=\"up\",job=\"%s\"}", job);
	m3_tags_encode(tag, 2, tags);
	parts[0] = m3_slice(payload, 7);	/* head and tail, as M3 has them */
	parts[1] = m3_slice(payload + 7, size - 7);
	CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(id),
								   m3_slice(tags, m3_tags_encoded_size(tag, 2)), parts, 2,
								   &err));
}

static void
publish(M3FilesetWriter *writer)
{
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

static void
check_two_series_files(const char *dir)
{
	CHECK_FILE_HEX(in_scratch("%s-0-data.db", dir),
				   "16345611513180009e301bc000 16345611513180009e301c00");
	CHECK_FILE_HEX(in_scratch("%s-0-index.db", dir),
				   "01 92 05 97 01 c4 17 7b5f5f6e616d655f5f3d227570222c6a6f623d2261227d"
				   "0c 0d ce 1164029e c4 1a 7527 0200 0800 5f5f6e616d655f5f 0200 7570"
				   "0300 6a6f62 0100 61 ce 9b1212f4"
				   "01 92 05 97 00 c4 17 7b5f5f6e616d655f5f3d227570222c6a6f623d2272227d"
				   "0d 00 ce 157f035d c4 1a 7527 0200 0800 5f5f6e616d655f5f 0200 7570"
				   "0300 6a6f62 0100 72 ce 985b12e8");
	CHECK_FILE_HEX(in_scratch("%s-0-summaries.db", dir),
				   "01 92 06 93 01 c4 17 7b5f5f6e616d655f5f3d227570222c6a6f623d2261227d 00");
	CHECK_FILE_HEX(in_scratch("%s-0-bloomfilter.db", dir), "38 cb 01 00 00 00 00 00");
	CHECK_FILE_HEX(in_scratch("%s-0-info.db", dir),
				   "01 92 02 9b cf 1634561151318000 cf 0000068c61714000 02 01 91 01 92 11 06"
				   "00 00 c0 00 01");
	CHECK_FILE_HEX(in_scratch("%s-0-digest.db", dir),
				   "25087ca1 172b1ddf cd094da3 05015b07 fa05334f");
	CHECK_FILE_HEX(in_scratch("%s-0-checkpoint.db", dir), "38 06 b3 41");
}

static void
test_two_series(void)
{
	char		dir[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(dir);
	M3FilesetWriter *writer;

	CHECK_OK(m3_fileset_shard_directory(dir, scratch, M3_FILESET_KIND_DATA,
										m3_slice_cstr("default"), 33, &err));
	options.no_sync = false;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	add_up(writer, "r", "16345611513180009e301bc000");
	add_up(writer, "a", "16345611513180009e301c00");
	publish(writer);
	check_two_series_files("data/default/33/fileset-1599998400000000000");
}

static void
test_snapshot(void)
{
	char		dir[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options = fixture_options(dir);
	M3FilesetWriter *writer;
	const char *base = "snapshots/default/33/fileset-1599998400000000000-2";

	CHECK_OK(m3_fileset_shard_directory(dir, scratch, M3_FILESET_KIND_SNAPSHOT,
										m3_slice_cstr("default"), 33, &err));
	options.volume = 2;
	options.is_snapshot = true;
	options.snapshot_time_ns = FIXTURE_START + INT64_C(1800000000000);
	memcpy(options.snapshot_id, snapshot_uuid, 16);
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	add_up(writer, "r", "16345611513180009e301bc000");
	publish(writer);
	CHECK_FILE_HEX(in_scratch("%s-info.db", base),
				   "0192029b cf1634561151318000 cf0000068c61714000 01 01 9101 920906"
				   "cf163457b4698dd000 00 c410f81d4fae7dec11d0a76500a0c91e6bf6 02 01");
	CHECK_FILE_HEX(in_scratch("%s-bloomfilter.db", base), "c301000000000000");
	CHECK_FILE_HEX(in_scratch("%s-digest.db", base),
				   "6c14e524 a31566ff dd0976a3 c5002706 5d037f15");
	CHECK_FILE_HEX(in_scratch("%s-checkpoint.db", base), "8c074659");

	options.snapshot_time_ns = FIXTURE_START;
	options.volume = 3;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
	options.snapshot_time_ns = 0;
	CHECK_STATUS(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err),
				 M3_INVALID);
}

static void
test_empty(bool sorted)
{
	const char *dir = in_scratch("empty%d", sorted);
	char		base[64];
	M3FilesetWriterOptions options = fixture_options(dir);
	M3FilesetWriter *writer;
	M3FilesetReader *reader;
	M3FilesetReaderOptions full = {.validate = true,.access = M3_FILESET_MAP};
	M3FilesetName name = {FIXTURE_START, 0, false};
	M3FilesetEntry entry;
	char		copy[M3_FILESET_PATH_SIZE];

	strcpy(copy, dir);
	options.directory = copy;
	options.sorted = sorted;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	CHECK_OK(add_text(writer, "left out", ""));
	publish(writer);
	snprintf(base, sizeof(base), "empty%d/fileset-1599998400000000000-0", sorted);
	CHECK_FILE_HEX(in_scratch("%s-info.db", base),
				   "0192029b cf1634561151318000 cf0000068c61714000 00 01 9100 920906 00 00 c0"
				   "00 01");
	CHECK_FILE_HEX(in_scratch("%s-index.db", base), "");
	CHECK_FILE_HEX(in_scratch("%s-summaries.db", base), "");
	CHECK_FILE_HEX(in_scratch("%s-data.db", base), "");
	CHECK_FILE_HEX(in_scratch("%s-bloomfilter.db", base), "0000000000000000");
	CHECK_FILE_HEX(in_scratch("%s-digest.db", base),
				   "1a0823a1 01000000 01000000 01000800 01000000");
	CHECK_FILE_HEX(in_scratch("%s-checkpoint.db", base), "f3003310");
	for (int access = M3_FILESET_PREAD; access <= M3_FILESET_MAP; access++)
	{
		full.access = (M3FilesetAccess) access;
		CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, copy, &name, &full, &reader,
										&err));
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice_cstr("x"), true, &entry, &err),
					 M3_NOT_FOUND);
		m3_fileset_reader_close(reader);
	}
}

static void
test_bloom(void)
{
	static const struct
	{
		uint64_t	n;
		double		p;
		uint64_t	m;
		uint32_t	k;
	}			cases[] = {
		{0, 0.02, 9, 6}, {1, 0.02, 9, 6}, {8, 0.02, 66, 6}, {100, 0.02, 815, 6},
		{1000, 0.02, 8143, 6}, {1000000, 0.02, 8142364, 6},
		{0, 0.01, 10, 7}, {8, 0.01, 77, 7}, {100, 0.01, 959, 7}, {1000, 0.01, 9586, 7},
		{1000000, 0.01, 9585059, 7},
		{1, 0.05, 7, 5}, {8, 0.05, 50, 5}, {100, 0.05, 624, 5}, {1000, 0.05, 6236, 5},
		{1000000, 0.05, 6235225, 5}
	};
	uint8_t		scratch_bytes[8];
	uint64_t	words[4];
	uint64_t	bits;
	uint32_t	hashes;
	uint8_t		filter[8] = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		m3_bloom_parameters(cases[i].n, cases[i].p, &bits, &hashes);
		CHECK_INT(bits, cases[i].m);
		CHECK_INT(hashes, cases[i].k);
	}
	CHECK(m3_double_bits(log(0.02)) == UINT64_C(0xc00f4bd2b7ac1baf));
	CHECK(m3_double_bits(log(2.0)) == UINT64_C(0x3fe62e42fefa39ef));
	CHECK(m3_double_bits(pow(log(2.0), 2.0)) == UINT64_C(0x3fdebfbdff82c58e));
	CHECK_INT(m3_bloom_size(63), 8);
	CHECK_INT(m3_bloom_size(64), 16);

	m3_bloom_hash(m3_slice_cstr("foo"), scratch_bytes, words);
	CHECK(words[0] == UINT64_C(0xe271865701f54561) && words[1] == UINT64_C(0x7eaf87e42bba7d87));
	CHECK(words[2] == UINT64_C(0x1e8c37c00d346a63) && words[3] == UINT64_C(0x5babc122b0c2fd6e));
	m3_bloom_add(filter, 17, 6, words);
	CHECK_INT(m3_load_le64(filter), 1 << 3 | 1 << 12 | 1 << 15 | 1 << 1 | 1 << 13 | 1 << 2);
	CHECK(m3_bloom_may_contain(m3_slice(filter, 8), 17, 6, words));
	CHECK(!m3_bloom_may_contain(m3_slice(filter, 1), 17, 6, words));
	CHECK(!m3_bloom_may_contain(m3_slice(filter, 0), 17, 6, words));
	m3_bloom_hash(m3_slice(NULL, 0), scratch_bytes, words);
	CHECK(words[0] == 0 && words[1] == 0 && words[2] == UINT64_C(0x7ace5c908374fe16));
	CHECK(!m3_bloom_may_contain(m3_slice(filter, 8), 17, 6, words));
	memset(filter, 0, 8);
	m3_bloom_add(filter, 17, 6, words);
	CHECK_INT(m3_load_le64(filter), 1 << 0 | 1 << 2 | 1 << 4 | 1 << 13 | 1 << 12 | 1 << 8);
}

static void
test_names(void)
{
	static const struct
	{
		const char *text;
		bool		ok;
		int64_t		start;
		int64_t		volume;
		bool		legacy;
		M3FilesetFile file;
	}			cases[] = {
		{"fileset-160-0-data.db", true, 160, 0, false, M3_FILESET_DATA},
		{"fileset-160-12-checkpoint.db", true, 160, 12, false, M3_FILESET_CHECKPOINT},
		{"fileset-160-info.db", true, 160, 0, true, M3_FILESET_INFO},
		{"fileset--3600-1-bloomfilter.db", true, -3600, 1, false, M3_FILESET_BLOOM},
		{"fileset-9223372036854775807-9223372036854775807-index.db", true, INT64_MAX, INT64_MAX,
		false, M3_FILESET_INDEX},
		{"fileset-9223372036854775808-0-index.db", false, 0, 0, false, 0},
		{"fileset-160-x-data.db", false, 0, 0, false, 0},
		{"fileset-x-0-data.db", false, 0, 0, false, 0},
		{"fileset-160-0-data.db.tmp", false, 0, 0, false, 0},
		{"fileset-160-0-data", false, 0, 0, false, 0},
		{"fileset-160-0-segment.db", false, 0, 0, false, 0},
		{"fileset-0160-0-data.db", false, 0, 0, false, 0},
		{"fileset-160-00-data.db", false, 0, 0, false, 0},
		{"fileset--0-0-data.db", false, 0, 0, false, 0},
		{"fileset-160--1-data.db", false, 0, 0, false, 0},
		{"fileset-", false, 0, 0, false, 0},
		{"", false, 0, 0, false, 0},
		{"snapshot-160-0-data.db", false, 0, 0, false, 0}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		M3FilesetName name;
		M3FilesetFile file;
		char		path[M3_FILESET_PATH_SIZE];

		if (!CHECK(m3_fileset_parse_name(cases[i].text, &name, &file) == cases[i].ok))
			fprintf(stderr, "    %s\n", cases[i].text);
		if (!cases[i].ok)
			continue;
		CHECK_INT(name.block_start_ns, cases[i].start);
		CHECK_INT(name.volume, cases[i].volume);
		CHECK_INT(name.legacy, cases[i].legacy);
		CHECK_INT(file, cases[i].file);
		CHECK_OK(m3_fileset_path(path, "d", &name, file, &err));
		CHECK(strcmp(path + 2, cases[i].text) == 0);
	}
}

static void
test_directory_names(void)
{
	char		path[M3_FILESET_PATH_SIZE];
	char		longer[M3_FILESET_PATH_SIZE + 8];
	uint32_t	shard;

	memset(longer, 'x', sizeof(longer));
	CHECK_OK(m3_fileset_shard_directory(path, "/p", M3_FILESET_KIND_SNAPSHOT,
										m3_slice_cstr("ns"), UINT32_MAX, &err));
	CHECK(strcmp(path, "/p/snapshots/ns/4294967295") == 0);
	CHECK_STATUS(m3_fileset_namespace_directory(path, "/p", M3_FILESET_KIND_DATA,
												m3_slice_cstr("../x"), &err), M3_INVALID);
	CHECK_STATUS(m3_fileset_namespace_directory(path, "/p", M3_FILESET_KIND_DATA,
												m3_slice_cstr(".."), &err), M3_INVALID);
	CHECK_STATUS(m3_fileset_namespace_directory(path, "/p", M3_FILESET_KIND_DATA,
												m3_slice("a\0b", 3), &err), M3_INVALID);
	for (size_t size = M3_FILESET_PATH_SIZE - 30; size < sizeof(longer); size++)
		CHECK_STATUS(m3_fileset_shard_directory(path, "/p", M3_FILESET_KIND_DATA,
												m3_slice(longer, size), 7, &err),
					 size + strlen("/p/data//7") < M3_FILESET_PATH_SIZE ? M3_OK : M3_INVALID);
	CHECK(m3_fileset_parse_shard("0", &shard) && shard == 0);
	CHECK(m3_fileset_parse_shard("4294967295", &shard) && shard == UINT32_MAX);
	CHECK(!m3_fileset_parse_shard("4294967296", &shard));
	CHECK(!m3_fileset_parse_shard("01", &shard));
	CHECK(!m3_fileset_parse_shard("1x", &shard));
	CHECK(!m3_fileset_parse_shard("", &shard));
}

/* An info object of some number of fields, all integers eight bytes wide if asked. */
static size_t
put_info(uint8_t *out, uint32_t fields, bool wide, bool text_id)
{
	const int64_t values[] = {FIXTURE_START, FIXTURE_SIZE, 5, 1};
	uint8_t    *p = out;

	*p++ = 0x01;
	*p++ = 0x92;
	*p++ = 0x02;
	p = m3_msgpack_put_array(p, fields);
	for (int i = 0; i < 4; i++)
	{
		if (wide)
		{
			*p++ = 0xd3;
			m3_store_be64(p, (uint64_t) values[i]);
			p += 8;
		}
		else
			p = m3_msgpack_put_int(p, values[i]);
	}
	p += from_hex("91 01 92 29 06", p);
	if (fields >= 8)
		p += from_hex("cd1234 01", p);
	if (fields >= 9)
	{
		p += from_hex(text_id ? "db00000010" : "c410", p);
		memcpy(p, snapshot_uuid, 16);
		p += 16;
	}
	if (fields >= 10)
		*p++ = 0x07;
	if (fields >= 11)
		*p++ = 0x01;
	for (uint32_t i = 11; i < fields; i++)
		p += from_hex("92 c0 c401ff", p);
	return (size_t) (p - out);
}

static void
test_info_lengths(void)
{
	uint8_t		bytes[512];
	M3FilesetInfo info;

	for (uint32_t fields = 6; fields <= 17; fields++)
	{
		for (int variant = 0; variant < 4; variant++)
		{
			size_t		size = put_info(bytes, fields, variant & 1, variant & 2);

			if (fields == 7)
				continue;		/* never existed */
			CHECK_OK(m3_fileset_info_decode(m3_slice(bytes, size), &info, &err));
			CHECK_INT(info.field_count, fields);
			CHECK_INT(info.block_start_ns, FIXTURE_START);
			CHECK_INT(info.block_size_ns, FIXTURE_SIZE);
			CHECK_INT(info.entry_count, 5);
			CHECK_INT(info.bloom_bits, 41);
			CHECK_INT(info.bloom_hashes, 6);
			CHECK_INT(info.snapshot_time_ns, fields >= 8 ? 0x1234 : 0);
			CHECK_INT(info.has_snapshot_id, fields >= 9);
			CHECK_INT(info.volume, fields >= 10 ? 7 : 0);
			CHECK_INT(m3_fileset_has_entry_checksums(&info), fields >= 11);
			for (size_t cut = 0; cut < size; cut++)
				CHECK(m3_fileset_info_decode(m3_slice(bytes, cut), &info, &err) != M3_OK);
		}
	}
	/* too few fields, another type, a later version, trailing bytes */
	CHECK_STATUS(m3_fileset_info_decode(m3_slice(bytes, put_info(bytes, 5, false, false)),
										&info, &err), M3_CORRUPT);
	put_info(bytes, 11, false, false);
	bytes[2] = 0x05;
	CHECK_STATUS(m3_fileset_info_decode(m3_slice(bytes, 100), &info, &err), M3_CORRUPT);
	bytes[2] = 0x02;
	bytes[0] = 0x02;
	CHECK_STATUS(m3_fileset_info_decode(m3_slice(bytes, 100), &info, &err), M3_UNSUPPORTED);
	bytes[0] = 0x01;
	CHECK_STATUS(m3_fileset_info_decode(m3_slice(bytes, 100), &info, &err), M3_CORRUPT);
}

static void
test_info_numbers(void)
{
	static const char *const bad[] = {
		"0192029b cf1634561151318000 00 02 01 9101 921106 00 00 c0 00 01",	/* block size */
		"0192029b cf1634561151318000 ff 02 01 9101 921106 00 00 c0 00 01",
		"0192029b cf7fffffffffffffff 01 02 01 9101 921106 00 00 c0 00 01",	/* end overflows */
		"0192029b cf1634561151318000 01 ff 01 9101 921106 00 00 c0 00 01",	/* entries */
		"0192029b cf1634561151318000 01 02 01 91ff 921106 00 00 c0 00 01",	/* summaries */
		"0192029b cf1634561151318000 01 02 01 90 921106 00 00 c0 00 01",
		"0192029b cf1634561151318000 01 02 01 9101 920006 00 00 c0 00 01",	/* no bloom bits */
		"0192029b cf1634561151318000 01 02 01 9101 92ff06 00 00 c0 00 01",
		"0192029b cf1634561151318000 01 02 01 9101 9211cd0401 00 00 c0 00 01",
		"0192029b cf1634561151318000 01 02 01 9101 9111 00 00 c0 00 01",
		"0192029b cf1634561151318000 01 02 01 9101 921106 00 00 c401aa 00 01",	/* id */
		"0192029b cf1634561151318000 01 02 01 9101 921106 00 00 c0 ff 01",	/* volume */
		"0191029b cf1634561151318000 01 02 01 9101 921106 00 00 c0 00 01"	/* root */
	};
	uint8_t		bytes[128];
	M3FilesetInfo info;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		size_t		size = from_hex(bad[i], bytes);

		if (!CHECK(m3_fileset_info_decode(m3_slice(bytes, size), &info, &err) == M3_CORRUPT))
			fprintf(stderr, "    case %zu\n", i);
	}
}

/* Entries of five to nine fields, with a right checksum where there is one. */
static void
test_entry_lengths(void)
{
	for (uint32_t fields = 5; fields <= 9; fields++)
	{
		uint8_t		bytes[128];
		uint8_t    *p = bytes;
		M3FilesetEntry entry;
		size_t		used;
		bool		truncated;
		size_t		size;

		p += from_hex("01 93 05", p);	/* a root element more than usual */
		p = m3_msgpack_put_array(p, fields);
		p += from_hex("d30000000000000003 d9026964 cd0102 00 ce89abcdef", p);
		if (fields >= 6)
			p += from_hex("c400", p);
		if (fields >= 8)
			p += from_hex("c0", p);
		if (fields >= 9)
			p += from_hex("9101", p);
		if (fields >= 7)
			p = m3_msgpack_put_uint(p, m3_adler32(M3_ADLER32_INIT, bytes, (size_t) (p - bytes)));
		*p++ = 0x2a;			/* the extra root element */
		size = (size_t) (p - bytes);
		*p++ = 0x77;			/* what follows is not touched */
		CHECK_OK(m3_fileset_entry_decode(m3_slice(bytes, size + 1), false, &entry, &used,
										 &truncated, &err));
		CHECK_INT(used, size);
		CHECK_INT(entry.ordinal, 3);
		CHECK(m3_slice_equal(entry.id, m3_slice_cstr("id")));
		CHECK_INT(entry.size, 0x102);
		CHECK_INT(entry.checksum, 0x89abcdef);
		CHECK_INT(entry.tags.size, 0);
		CHECK_STATUS(m3_fileset_entry_decode(m3_slice(bytes, size), true, &entry, &used, NULL,
											 &err), fields >= 7 ? M3_OK : M3_CORRUPT);
		for (size_t cut = 0; cut < size; cut++)
		{
			CHECK_STATUS(m3_fileset_entry_decode(m3_slice(bytes, cut), false, &entry, &used,
												 &truncated, &err), M3_CORRUPT);
			CHECK(truncated);
		}
		if (fields >= 7)
		{
			bytes[15] ^= 1;		/* in the id */
			CHECK_STATUS(m3_fileset_entry_decode(m3_slice(bytes, size), false, &entry, &used,
												 &truncated, &err), M3_CORRUPT);
			CHECK(!truncated);
		}
	}
}

static void
test_entry_numbers(void)
{
	static const char *const bad[] = {
		"01920595 ff c0 00 00 00", "01920595 00 c0 ff 00 00", "01920595 00 c0 00 ff 00",
		"01920595 00 c0 00 00 ff", "01920595 00 c0 cf0000000100000000 00 00",
		"01920595 00 c0 00 00 cf0000000100000000", "01920594 00 c0 00 00",
		"01920695 00 c0 00 00 00"
	};
	uint8_t		bytes[128];
	M3FilesetEntry entry = {.ordinal = INT64_MAX,.offset = INT64_MAX,.size = UINT32_MAX};
	M3FilesetEntry back;
	size_t		used;
	size_t		id_position;
	size_t		size;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		size = from_hex(bad[i], bytes);
		if (!CHECK(m3_fileset_entry_decode(m3_slice(bytes, size), false, &back, &used, NULL,
										   &err) == M3_CORRUPT))
			fprintf(stderr, "    case %zu\n", i);
	}
	/* an empty id is not an absent one, no tags are */
	entry.checksum = UINT32_MAX;
	size = m3_fileset_entry_encode(&entry, bytes, &id_position);
	CHECK(size <= M3_FILESET_ENTRY_OVERHEAD);
	CHECK_BYTES(bytes + id_position - 2, 2, "\xc4\0", 2);
	CHECK_OK(m3_fileset_entry_decode(m3_slice(bytes, size), true, &back, &used, NULL, &err));
	CHECK(back.ordinal == INT64_MAX && back.offset == INT64_MAX && back.size == UINT32_MAX &&
		  back.checksum == UINT32_MAX && back.tags.data == NULL);
}

static void
test_metadata(void)
{
	static const char vector[] =
		"08 ac02 12 24 66383164346661652d376465632d313164302d613736352d303061306339316536626636"
		"1a 30 0a 2b 2f7661722f6c69622f6d3364622f636f6d6d69746c6f67732f636f6d6d69746c6f672d302d"
		"3330352e6462 10 b102";
	uint8_t		expected[128];
	uint8_t		bytes[M3_SNAPSHOT_METADATA_MAX_SIZE];
	size_t		expected_size = from_hex(vector, expected);
	size_t		size;
	M3SnapshotMetadata metadata = {
		.index = 300,.log_index = 305,
		.log_path = m3_slice_cstr("/var/lib/m3db/commitlogs/commitlog-0-305.db")
	};
	M3SnapshotMetadata back;
	M3SnapshotMetadataName name;
	bool		checkpoint;

	memcpy(metadata.uuid, snapshot_uuid, 16);
	CHECK_OK(m3_snapshot_metadata_encode(&metadata, bytes, &size, &err));
	CHECK_BYTES(bytes, size, expected, expected_size);
	CHECK_INT(size, 91);
	CHECK_OK(m3_snapshot_metadata_decode(m3_slice(bytes, size), &back, &err));
	CHECK(back.index == 300 && back.log_index == 305 &&
		  m3_slice_equal(back.log_path, metadata.log_path) &&
		  memcmp(back.uuid, snapshot_uuid, 16) == 0);
	for (size_t cut = 0; cut < size; cut++)
		CHECK(m3_snapshot_metadata_decode(m3_slice(bytes, cut), &back, &err) == M3_CORRUPT);

	CHECK_OK(m3_snapshot_metadata_write(env, scratch, &metadata, &err));
	CHECK_STATUS(m3_snapshot_metadata_write(env, scratch, &metadata, &err), M3_CONFLICT);
	CHECK_FILE_HEX(in_scratch("snapshots/snapshot-f81d4fae7dec11d0a76500a0c91e6bf6-300-"
							  "metadata.db"),
				   vector);
	CHECK_FILE_HEX(in_scratch("snapshots/snapshot-f81d4fae7dec11d0a76500a0c91e6bf6-300-"
							  "metadata-checkpoint.db"), "191b459c");

	metadata.index = 1;
	metadata.log_index = 300;
	metadata.log_path = m3_slice_cstr("/var/lib/m3db/commitlogs/commitlog-0-300.db");
	CHECK(m3_uuid_parse(m3_slice_cstr("bed2156f-182a-47ea-83ff-0a55d34c8a82"), metadata.uuid));
	CHECK_OK(m3_snapshot_metadata_encode(&metadata, bytes, &size, &err));
	CHECK_INT(size, 90);
	CHECK_INT(m3_adler32(1, bytes, size), m3_load_le32((const uint8_t *) "\x0b\x1a\xc1\x45"));

	/* zeros are left out, the log is not */
	metadata.index = metadata.log_index = 0;
	metadata.log_path = m3_slice(NULL, 0);
	CHECK_OK(m3_snapshot_metadata_encode(&metadata, bytes, &size, &err));
	CHECK_INT(size, 2 + 36 + 2);
	CHECK_BYTES(bytes + size - 2, 2, "\x1a\0", 2);
	CHECK_OK(m3_snapshot_metadata_decode(m3_slice(bytes, size), &back, &err));
	CHECK_STATUS(m3_snapshot_metadata_decode(m3_slice(bytes, size - 2), &back, &err),
				 M3_CORRUPT);
	/* unknown fields of each wire type are passed over */
	size += from_hex("20 ff01 29 0102030405060708 32 01 aa 3d 01020304", bytes + size);
	CHECK_OK(m3_snapshot_metadata_decode(m3_slice(bytes, size), &back, &err));
	bytes[size] = 0x33;			/* a group */
	CHECK_STATUS(m3_snapshot_metadata_decode(m3_slice(bytes, size + 1), &back, &err),
				 M3_CORRUPT);

	CHECK(m3_snapshot_metadata_parse_name("snapshot-f81d4fae7dec11d0a76500a0c91e6bf6-7-metadata.db",
										  &name, &checkpoint) && !checkpoint && name.index == 7);
	CHECK(m3_snapshot_metadata_parse_name("snapshot-f81d4fae7dec11d0a76500a0c91e6bf6-0-metadata-"
										  "checkpoint.db", &name, &checkpoint) && checkpoint);
	CHECK(!m3_snapshot_metadata_parse_name("snapshot-f81d4fae7dec11d0a76500a0c91e6bf6-x-"
										   "metadata.db",
										   &name, &checkpoint));
	CHECK(!m3_snapshot_metadata_parse_name("snapshot-f81d4fae", &name, &checkpoint));
	CHECK(!m3_snapshot_metadata_parse_name("snapshot-g81d4fae7dec11d0a76500a0c91e6bf6-7-"
										   "metadata.db",
										   &name, &checkpoint));
}

int
main(void)
{
	fixture_begin();
	test_two_series();
	test_snapshot();
	test_empty(true);
	test_empty(false);
	test_bloom();
	test_names();
	test_directory_names();
	test_info_lengths();
	test_info_numbers();
	test_entry_lengths();
	test_entry_numbers();
	test_metadata();
	return fixture_end();
}
