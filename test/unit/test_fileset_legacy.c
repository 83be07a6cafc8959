/*
 * Filesets as releases before v0.15.6 wrote them: names without volume, fewer
 * fields, entries without checksums; and what other writers may have done that M3
 * accepts.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/msgpack.h"
#include "storage/fileset/bloom.h"
#include "storage/fileset/manifest.h"

#define SERIES 100

typedef struct Variant
{
	uint32_t	info_fields;
	uint32_t	entry_fields;
	bool		legacy_name;
	int			summary_step;	/* 0: none */
	bool		wide;			/* all integers in eight bytes */
} Variant;

static char directory[M3_FILESET_PATH_SIZE];

static uint8_t *
put_number(uint8_t *p, int64_t value, bool wide)
{
	if (!wide)
		return m3_msgpack_put_int(p, value);
	*p++ = 0xd3;
	m3_store_be64(p, (uint64_t) value);
	return p + 8;
}

static uint8_t *
put_root(uint8_t *p, int type, uint32_t fields)
{
	*p++ = 0x01;
	*p++ = 0x92;
	*p++ = (uint8_t) type;
	return m3_msgpack_put_array(p, fields);
}

static void
put_file(const M3FilesetName *name, M3FilesetFile file, const uint8_t *bytes,
		 const uint8_t *end, uint32_t *digests)
{
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size = (size_t) (end - bytes);

	CHECK_OK(m3_fileset_path(path, directory, name, file, &err));
	spew(path, bytes, size);
	if (file < M3_FILESET_DIGESTED_COUNT)
		digests[file] = m3_adler32(M3_ADLER32_INIT, bytes, size);
}

static void
write_variant(const Variant *v, const M3FilesetName *name)
{
	static uint8_t index[100000], data[100000], summaries[100000], info[200], bloom[1000];
	uint8_t    *i = index, *d = data, *s = summaries, *n = info;
	uint8_t		digest[M3_FILESET_DIGEST_SIZE], checkpoint[4];
	uint32_t	digests[M3_FILESET_DIGESTED_COUNT];
	int			summary_count = 0;

	memset(bloom, 0, sizeof(bloom));
	for (int series = 0; series < SERIES; series++)
	{
		char		id[256], payload[256];
		uint8_t		tags[256], scratch_bytes[256];
		size_t		tags_size;
		uint8_t    *begin = i;
		uint64_t	words[4];

		make_series(series, id, tags, &tags_size, payload);
		if (v->summary_step > 0 && series % v->summary_step == 0)
		{
			s = put_root(s, 6, 3);
			s = put_number(s, series, v->wide);
			s = m3_msgpack_put_bytes(s, m3_slice_cstr(id));
			s = put_number(s, i - index, v->wide);
			summary_count++;
		}
		i = put_root(i, 5, v->entry_fields);
		i = put_number(i, series, v->wide);
		i = m3_msgpack_put_bytes(i, m3_slice_cstr(id));
		i = put_number(i, (int64_t) strlen(payload), v->wide);
		i = put_number(i, d - data, v->wide);
		i = put_number(i, m3_adler32(M3_ADLER32_INIT, payload, strlen(payload)), v->wide);
		if (v->entry_fields >= 6)	/* no tags as an empty string */
			i = m3_msgpack_put_bytes(i, m3_slice(tags, tags_size));
		if (v->entry_fields >= 7)
			i = put_number(i, m3_adler32(M3_ADLER32_INIT, begin, (size_t) (i - begin)), v->wide);
		memcpy(d, payload, strlen(payload));
		d += strlen(payload);
		m3_bloom_hash(m3_slice_cstr(id), scratch_bytes, words);
		m3_bloom_add(bloom, 1777, 3, words);	/* as a writer with other plans */
	}
	n = put_root(n, 2, v->info_fields);
	n = put_number(n, FIXTURE_START, v->wide);
	n = put_number(n, FIXTURE_SIZE, v->wide);
	n = put_number(n, SERIES, v->wide);
	n = put_number(n, 1, v->wide);
	n = put_number(m3_msgpack_put_array(n, 1), summary_count, v->wide);
	n = put_number(put_number(m3_msgpack_put_array(n, 2), 1777, v->wide), 3, v->wide);
	if (v->info_fields >= 8)
		n = put_number(put_number(n, 0, v->wide), 0, v->wide);
	if (v->info_fields >= 9)
		*n++ = 0xc0;
	if (v->info_fields >= 10)
		n = put_number(n, name->volume, v->wide);
	if (v->info_fields >= 11)
		n = put_number(n, 1, v->wide);

	put_file(name, M3_FILESET_INFO, info, n, digests);
	put_file(name, M3_FILESET_INDEX, index, i, digests);
	put_file(name, M3_FILESET_SUMMARIES, summaries, s, digests);
	put_file(name, M3_FILESET_BLOOM, bloom, bloom + m3_bloom_size(1777), digests);
	put_file(name, M3_FILESET_DATA, data, d, digests);
	m3_fileset_digest_encode(digests, digest);
	put_file(name, M3_FILESET_DIGEST, digest, digest + sizeof(digest), NULL);
	m3_store_le32(checkpoint, m3_adler32(M3_ADLER32_INIT, digest, sizeof(digest)));
	put_file(name, M3_FILESET_CHECKPOINT, checkpoint, checkpoint + 4, NULL);
}

static void
read_variant(const Variant *v, const M3FilesetName *name, M3FilesetAccess access, bool validate)
{
	M3FilesetReaderOptions options = {.access = access,.validate = validate};
	M3FilesetReader *reader;
	M3FilesetEntry entry;
	M3Slice		data;
	char		id[256], payload[256];
	uint8_t		tags[256];
	size_t		tags_size;

	CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, name, &options, &reader,
									&err));
	for (int series = SERIES - 1; series >= 0; series--)
	{
		make_series(series, id, tags, &tags_size, payload);
		if (v->entry_fields < 6)
			tags_size = 0;
		CHECK_OK(m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err));
		CHECK_INT(entry.ordinal, series);
		CHECK(m3_slice_equal(entry.tags, m3_slice(tags, tags_size)));
		CHECK_OK(m3_fileset_reader_data(reader, &entry, &data, &err));
		CHECK(m3_slice_equal(data, m3_slice_cstr(payload)));
		id[strlen(id) - 1]++;
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice_cstr(id), true, &entry, &err),
					 M3_NOT_FOUND);
	}
	m3_fileset_reader_close(reader);
}

static void
test_variants(void)
{
	static const Variant variants[] = {
		{6, 5, true, 33, false}, {8, 6, true, 33, false}, {9, 6, true, 33, true},
		{10, 6, false, 33, false}, {10, 7, false, 33, false},	/* v0.15.6's minor version 0 */
		{11, 7, false, 33, true}, {11, 7, false, 0, false}, {11, 7, false, 1, false},
		{11, 7, false, 1000, true}
	};

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
	{
		M3FilesetName name = {FIXTURE_START, variants[i].legacy_name ? 0 : (int64_t) i,
			variants[i].legacy_name
		};

		strcpy(directory, in_scratch("variant%zu", i));
		CHECK_OK(env->make_directory(env, directory, &err));
		write_variant(&variants[i], &name);
		for (int mode = 0; mode < 4; mode++)
			read_variant(&variants[i], &name, (M3FilesetAccess) (mode & 1), mode & 2);
	}
}

/* Without entry checksums the index as a whole is checked, before its use. */
static void
test_damaged_index(void)
{
	const Variant v = {9, 6, true, 33, false};
	M3FilesetName name = {FIXTURE_START, 0, true};
	M3FilesetReader *reader;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	char		path[M3_FILESET_PATH_SIZE];
	size_t		size;
	uint8_t    *bytes;

	strcpy(directory, in_scratch("damaged"));
	CHECK_OK(env->make_directory(env, directory, &err));
	write_variant(&v, &name);
	CHECK_OK(m3_fileset_path(path, directory, &name, M3_FILESET_INDEX, &err));
	bytes = slurp(path, &size);
	for (size_t at = 0; at < size; at += 3)
	{
		char		id[256], payload[256];
		uint8_t		tags[256];
		size_t		tags_size;

		make_series(50, id, tags, &tags_size, payload);
		bytes[at] ^= 0x01;
		spew(path, bytes, size);
		bytes[at] ^= 0x01;
		CHECK_OK(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, NULL, &reader,
										&err));
		CHECK_STATUS(m3_fileset_lookup(reader, m3_slice_cstr(id), false, &entry, &err),
					 M3_CORRUPT);
		CHECK_STATUS(m3_fileset_scan_open(reader, M3_FILESET_BY_DATA, &scan, &err), M3_CORRUPT);
		m3_fileset_reader_close(reader);
	}
	free(bytes);
}

/* With both names for volume 0 the one with the number is read. */
static void
test_both_names(void)
{
	const Variant v = {11, 7, false, 33, false};
	M3FilesetName names[2] = {{FIXTURE_START, 0, true}, {FIXTURE_START, 0, false}};
	M3FilesetName chosen;
	M3FilesetHeader header;
	M3FilesetList list;
	M3Manifest *manifest;
	const M3ManifestShard *shard;

	CHECK_OK(m3_fileset_shard_directory(directory, scratch, M3_FILESET_KIND_DATA,
										m3_slice_cstr("both"), 1, &err));
	CHECK_OK(env->make_directory(env, directory, &err));
	CHECK_OK(m3_manifest_create(env, &m3_memory_malloc, scratch, M3_FILESET_KIND_DATA, &manifest,
								&err));
	for (int i = 0; i < 2; i++)
	{
		write_variant(&v, &names[i]);
		CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
		CHECK_INT(list.count, i + 1);
		CHECK_OK(m3_fileset_choose(env, directory, &list, FIXTURE_START, &chosen, &header, NULL,
								   &err));
		CHECK_INT(chosen.legacy, i == 0);
		m3_fileset_list_free(&list);
		CHECK_OK(m3_manifest_refresh(manifest, false, &err));
		shard = m3_manifest_shard(m3_manifest_namespace(manifest, m3_slice_cstr("both")), 1);
		CHECK_INT(m3_manifest_block(shard, FIXTURE_START)->name.legacy, i == 0);
	}
	CHECK_OK(m3_fileset_remove(env, directory, names, 2, &err));
	CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
	CHECK_INT(list.count, 0);
	m3_fileset_list_free(&list);
	m3_manifest_free(manifest);
}

int
main(void)
{
	fixture_begin();
	test_variants();
	test_damaged_index();
	test_both_names();
	return fixture_end();
}
