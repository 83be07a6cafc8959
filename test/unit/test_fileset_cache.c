/* Filesets kept open: what is found, what vanished, what makes room. */
#include "storage/db/fileset_cache.h"
#include "test/unit/fileset_fixture.h"

/* Memory that knows how much of it is in use. */
static size_t in_use;

static void *
counted_alloc(M3Memory *self, size_t size)
{
	size_t	   *block = malloc(size + 16);

	(void) self;
	*block = size;
	in_use += size;
	return (char *) block + 16;
}

static void
counted_free(M3Memory *self, void *pointer)
{
	size_t	   *block = (size_t *) (void *) ((char *) pointer - 16);

	(void) self;
	in_use -= *block;
	free(block);
}

static void *
counted_resize(M3Memory *self, void *old, size_t size)
{
	void	   *fresh = counted_alloc(self, size);

	if (old != NULL)
	{
		size_t		had = *(size_t *) (void *) ((char *) old - 16);

		memcpy(fresh, old, had < size ? had : size);
		counted_free(self, old);
	}
	return fresh;
}

static M3Memory counted = {counted_alloc, counted_resize, counted_free, NULL};
static M3Engine engine;
static M3Database db;
static M3NamespaceShared ns;
static char root[128];

static void
begin(const char *name)
{
	snprintf(root, sizeof(root), "%s", in_scratch("%s", name));
	memset(&engine, 0, sizeof(engine));
	memset(&db, 0, sizeof(db));
	memset(&ns, 0, sizeof(ns));
	engine.memory = &counted;
	engine.env = env;
	db.engine = &engine;
	db.env = env;
	db.path = root;
	ns.name_size = 3;
	memcpy(ns.name, "cpu", 3);
}

static void
end(void)
{
	m3i_fileset_cache_free(db.filesets);
	db.filesets = NULL;
	CHECK_INT(in_use, 0);
}

static M3FilesetKey
key_of(uint64_t generation, uint32_t shard, int block, int64_t volume)
{
	M3FilesetKey key = {generation, shard, FIXTURE_START + block * FIXTURE_SIZE, volume};

	return key;
}

static void
directory_of(const M3FilesetKey *key, char *directory)
{
	CHECK_OK(m3_fileset_shard_directory(directory, root, M3_FILESET_KIND_DATA,
										m3_slice_cstr("cpu"), key->shard, &err));
}

/* Series s000 .. with payloads of size bytes, of which the first is the number and the
 * second the mark. */
static void
write_fileset(const M3FilesetKey *key, int series, uint8_t mark, size_t size)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetWriterOptions options;
	M3FilesetWriter *writer;
	uint8_t    *payload = calloc(1, size);
	M3Slice		part = m3_slice(payload, size);

	directory_of(key, directory);
	options = fixture_options(directory);
	options.block_start_ns = key->start_ns;
	options.volume = key->volume;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < series; i++)
	{
		char		id[16];

		snprintf(id, sizeof(id), "s%03d", i);
		payload[0] = (uint8_t) i;
		payload[1] = mark;
		CHECK_OK(m3_fileset_writer_add(writer, m3_slice_cstr(id), m3_slice(NULL, 0), &part, 1,
									   &err));
	}
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
	free(payload);
}

static void
remove_fileset(const M3FilesetKey *key)
{
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetName name = {.block_start_ns = key->start_ns,.volume = key->volume};

	directory_of(key, directory);
	CHECK_OK(m3_fileset_remove(env, directory, &name, 1, &err));
}

static const char *
file_path(const M3FilesetKey *key, M3FilesetFile file)
{
	static char path[M3_FILESET_PATH_SIZE];
	char		directory[M3_FILESET_PATH_SIZE];
	M3FilesetName name = {.block_start_ns = key->start_ns,.volume = key->volume};

	directory_of(key, directory);
	CHECK_OK(m3_fileset_path(path, directory, &name, file, &err));
	return path;
}

/* The mark of a series' payload; -1 if it has none, -2 after a failure. */
static int
mark_of(const M3FilesetKey *key, int series, M3Status expected)
{
	char		id[16];
	M3Slice		payload;
	M3Status	status;

	snprintf(id, sizeof(id), "s%03d", series);
	memset(&err, 0, sizeof(err));
	status = m3i_fileset_read(&db, &ns, key, m3_slice_cstr(id), &payload, &err);
	CHECK_STATUS(status, expected);
	if (status != M3_OK)
		return -2;
	if (payload.size == 0)
		return -1;
	CHECK_INT(payload.data[0], (uint8_t) series);
	return payload.data[1];
}

static M3FilesetCacheStats
stats(void)
{
	M3FilesetCacheStats result;

	m3i_fileset_cache_stats(&db, &result);
	return result;
}

static void
finds_series(void)
{
	M3FilesetKey key = key_of(1, 2, 0, 0);

	begin("finds");
	CHECK_INT(stats().readers, 0);
	write_fileset(&key, 200, 7, 20);
	for (int i = 0; i < 200; i++)
		CHECK_INT(mark_of(&key, i, M3_OK), 7);
	for (int i = 199; i >= 0; i -= 7)
		CHECK_INT(mark_of(&key, i, M3_OK), 7);
	for (int i = 200; i < 999; i++)
		CHECK_INT(mark_of(&key, i, M3_OK), -1);
	CHECK_INT(stats().opened, 1);
	CHECK_INT(stats().readers, 1);
	end();
}

static void
tells_what_is_gone(void)
{
	M3FilesetKey key = key_of(1, 0, 0, 3);
	M3FilesetKey other = key_of(1, 0, 1, 0);

	begin("gone");
	CHECK_INT(mark_of(&key, 0, M3_NOT_FOUND), -2);
	write_fileset(&key, 10, 1, 20);
	write_fileset(&other, 10, 2, 20);
	/* though the bloom filter alone answers this, all files are opened: none is missed later */
	CHECK_INT(mark_of(&key, 999, M3_OK), -1);
	remove_fileset(&key);
	CHECK_INT(mark_of(&key, 9, M3_OK), 1);
	CHECK_INT(mark_of(&key, 11, M3_OK), -1);
	CHECK_OK(m3i_fileset_cache_limit(&db, 1, SIZE_MAX, &err));
	CHECK_INT(mark_of(&other, 3, M3_OK), 2);
	CHECK_INT(stats().readers, 1);
	CHECK_INT(mark_of(&key, 9, M3_NOT_FOUND), -2);
	/* a file missing from a complete fileset is not "gone" */
	CHECK_OK(m3i_fileset_cache_limit(&db, 2, SIZE_MAX, &err));
	write_fileset(&key, 10, 1, 20);
	remove(file_path(&key, M3_FILESET_SUMMARIES));
	CHECK_INT(mark_of(&key, 9, M3_CORRUPT), -2);
	CHECK(strstr(err.file, "summaries") != NULL);
	CHECK_INT(stats().readers, 1);
	end();
}

static void
keeps_one_volume_of_a_block(void)
{
	M3FilesetKey older = key_of(1, 5, 0, 0);
	M3FilesetKey newer = key_of(1, 5, 0, 1);

	begin("volumes");
	write_fileset(&older, 10, 1, 20);
	write_fileset(&newer, 11, 2, 20);
	CHECK_INT(mark_of(&older, 4, M3_OK), 1);
	CHECK_INT(mark_of(&newer, 4, M3_OK), 2);
	CHECK_INT(mark_of(&newer, 10, M3_OK), 2);
	CHECK_INT(stats().readers, 1);
	CHECK_INT(stats().opened, 2);
	/* a reader that looked a little earlier */
	CHECK_INT(mark_of(&older, 10, M3_OK), -1);
	CHECK_INT(stats().readers, 1);
	end();
}

static void
knows_generations_apart(void)
{
	M3FilesetKey before = key_of(1, 0, 0, 0);
	M3FilesetKey after = key_of(2, 0, 0, 0);

	begin("generations");
	write_fileset(&before, 10, 1, 20);
	CHECK_INT(mark_of(&before, 0, M3_OK), 1);
	remove_fileset(&before);
	write_fileset(&after, 10, 2, 20);
	CHECK_INT(mark_of(&after, 0, M3_OK), 2);
	CHECK_INT(mark_of(&before, 0, M3_OK), 1);
	CHECK_INT(stats().readers, 2);
	end();
}

static void
closes_what_was_used_longest_ago(void)
{
	M3FilesetKey keys[40];

	begin("oldest");
	for (int i = 0; i < 40; i++)
	{
		keys[i] = key_of(1, (uint32_t) i % 4, i / 4, 0);
		write_fileset(&keys[i], 3, (uint8_t) i, 20);
	}
	CHECK_OK(m3i_fileset_cache_limit(&db, 2, SIZE_MAX, &err));
	mark_of(&keys[0], 0, M3_OK);
	mark_of(&keys[1], 0, M3_OK);
	mark_of(&keys[0], 1, M3_OK);
	mark_of(&keys[2], 0, M3_OK);
	CHECK_INT(stats().opened, 3);
	mark_of(&keys[0], 2, M3_OK);
	CHECK_INT(stats().opened, 3);
	mark_of(&keys[1], 2, M3_OK);
	CHECK_INT(stats().opened, 4);
	CHECK_INT(stats().readers, 2);

	CHECK_OK(m3i_fileset_cache_limit(&db, 10, SIZE_MAX, &err));
	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < 40; i++)
		{
			CHECK_INT(mark_of(&keys[(i * 7) % 40], i % 3, M3_OK), (i * 7) % 40);
			CHECK(stats().readers <= 10);
		}
	}
	CHECK_OK(m3i_fileset_cache_limit(&db, 0, SIZE_MAX, &err));
	CHECK_INT(stats().readers, 1);
	CHECK_INT(stats().opened - stats().closed, 1);
	end();
}

static void
stays_within_memory(void)
{
	const size_t limit = 1024 * 1024;
	const size_t payload = 200 * 1024;
	M3FilesetKey keys[16];
	size_t		most = 0;
	size_t		most_readers = 0;

	begin("memory");
	for (int i = 0; i < 16; i++)
	{
		keys[i] = key_of(1, 0, i, 0);
		write_fileset(&keys[i], 2, (uint8_t) i, payload);
	}
	CHECK_OK(m3i_fileset_cache_limit(&db, 1000, limit, &err));
	for (int i = 0; i < 64; i++)
	{
		CHECK_INT(mark_of(&keys[i % 16], i % 2, M3_OK), i % 16);
		CHECK(stats().memory <= in_use);
		if (in_use > most)
			most = in_use;
		if (stats().readers > most_readers)
			most_readers = stats().readers;
	}
	/* the rest is paths and the table itself */
	CHECK(most <= limit + 64 * 1024);
	CHECK(most > limit / 2);
	/* windows go, readers stay */
	CHECK_INT(most_readers, 16);
	CHECK_INT(stats().closed, 0);
	/* one that is larger than the limit is read nevertheless */
	CHECK_OK(m3i_fileset_cache_limit(&db, 1000, payload / 2, &err));
	for (int i = 0; i < 16; i++)
		CHECK_INT(mark_of(&keys[i], 1, M3_OK), i);
	CHECK_INT(stats().readers, 1);
	end();
}

static void
reads_again_after_damage(void)
{
	M3FilesetKey key = key_of(1, 0, 0, 0);
	uint8_t    *bytes;
	size_t		size;

	begin("damage");
	write_fileset(&key, 10, 1, 20);
	bytes = slurp(file_path(&key, M3_FILESET_DATA), &size);
	bytes[5 * 20 + 3] ^= 1;
	spew(file_path(&key, M3_FILESET_DATA), bytes, size);
	CHECK_INT(mark_of(&key, 4, M3_OK), 1);
	CHECK_INT(mark_of(&key, 5, M3_CORRUPT), -2);
	CHECK(strstr(err.file, "data.db") != NULL);
	CHECK_INT(stats().readers, 0);
	bytes[5 * 20 + 3] ^= 1;
	spew(file_path(&key, M3_FILESET_DATA), bytes, size);
	CHECK_INT(mark_of(&key, 5, M3_OK), 1);
	free(bytes);
	end();
}

static int	reads_left;

static M3Status
read_some(M3Env *self, M3File *file, void *buffer, size_t size, uint64_t offset, size_t *got,
		  M3Error *error)
{
	(void) self;
	if (reads_left-- > 0)
		return env->read(env, file, buffer, size, offset, got, error);
	*got = 0;
	return m3_error_io(error, ENOENT, "somewhere", "could not read file");
}

/* Files that are closed and opened again behind an env can be gone at any read. */
static void
takes_a_late_enoent_for_gone(void)
{
	M3FilesetKey key = key_of(1, 0, 0, 0);
	M3Env		fickle;
	int			failed = 0;

	begin("fickle");
	write_fileset(&key, 100, 1, 20);
	fickle = *env;
	fickle.read = read_some;
	db.env = &fickle;
	for (int reads = 0;; reads++)
	{
		M3Slice		payload;
		M3Status	status;

		reads_left = reads;
		status = m3i_fileset_read(&db, &ns, &key, m3_slice_cstr("s050"), &payload, &err);
		if (status == M3_OK)
		{
			CHECK_INT(payload.size, 20);
			break;
		}
		CHECK_STATUS(status, M3_NOT_FOUND);
		CHECK_INT(payload.size, 0);
		CHECK_INT(stats().readers, 0);
		failed++;
	}
	CHECK(failed >= 7);
	end();
}

int
main(void)
{
	fixture_begin();
	finds_series();
	tells_what_is_gone();
	keeps_one_volume_of_a_block();
	knows_generations_apart();
	closes_what_was_used_longest_ago();
	stays_within_memory();
	reads_again_after_damage();
	takes_a_late_enoent_for_gone();
	return fixture_end();
}
