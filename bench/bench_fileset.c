/*
 * Filesets: writing, scanning, finding single series; pread against mmap.
 *
 *     bench_fileset [series [points per series [directory]]]
 *
 * "cold" drops the files from the page cache before each measurement, which
 * the file system may ignore (tmpfs does).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/base/env_posix.h"
#include "storage/base/memory.h"
#include "storage/codec/m3tsz.h"
#include "storage/fileset/list.h"
#include "storage/fileset/lookup.h"
#include "storage/fileset/reader.h"
#include "storage/fileset/writer.h"
#include "storage/ident/tags.h"

#define START INT64_C(1599998400000000000)
#define SIZE INT64_C(7200000000000)
#define PAYLOADS 64				/* different payloads, shared by the series */

static M3Env *env;
static M3Error err;
static char directory[512];
static const M3FilesetName name = {START, 0, false};
static int	series_count = 100000;
static int	point_count = 720;
static uint8_t *payloads[PAYLOADS];
static size_t payload_sizes[PAYLOADS];

#define MUST(expression) \
	do { \
		if ((expression) != M3_OK) \
		{ \
			fprintf(stderr, "%s: %s (%s)\n", #expression, err.message, err.file); \
			exit(1); \
		} \
	} while (0)

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void
make_payloads(void)
{
	uint64_t	state = 1;
	int64_t		step_ns = SIZE / point_count / 1000000000 * 1000000000;

	for (int i = 0; i < PAYLOADS; i++)
	{
		M3Encoder	encoder;
		double		value = (double) i;
		size_t		used = 0;
		size_t		written;

		payloads[i] = malloc((size_t) point_count * M3_ENCODER_MAX_RECORD + 64);
		m3_encoder_init(&encoder, START, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
		for (int j = 0; j < point_count; j++)
		{
			value += (double) (next_random(&state) % 21) - 10;
			MUST(m3_encoder_append_value(&encoder, START + j * step_ns, value,
										 payloads[i] + used, &written, &err));
			used += written;
		}
		used += m3_encoder_tail(&encoder, payloads[i] + used);
		payload_sizes[i] = used;
	}
}

static void
write_fileset(bool sorted, bool sync)
{
	M3FilesetWriterOptions options = {
		.directory = directory,.block_start_ns = START,.block_size_ns = SIZE,
		.sorted = sorted,.no_sync = !sync
	};
	M3FilesetWriter *writer;
	double		begin = now();
	double		took;
	uint64_t	bytes = 0;

	MUST(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < series_count; i++)
	{
		char		id[128];
		char		host[32];
		uint8_t		tags[256];
		M3Tag		tag[4] = {
			{m3_slice_cstr("__name__"), m3_slice_cstr("cpu_usage")},
			{m3_slice_cstr("cpu"), m3_slice_cstr("0")},
			{m3_slice_cstr("host"), {NULL, 0}},
			{m3_slice_cstr("job"), m3_slice_cstr("node")}
		};
		int			n = sorted ? i : (int) ((uint64_t) i * 7919 % (uint64_t) series_count);
		size_t		id_size = (size_t) sprintf(id, "{__name__=\"cpu_usage\",cpu=\"0\","
											   "host=\"web-%06d\",job=\"node\"}", n);
		M3Slice		payload = m3_slice(payloads[n % PAYLOADS], payload_sizes[n % PAYLOADS]);

		sprintf(host, "web-%06d", n);
		tag[2].value = m3_slice_cstr(host);
		m3_tags_encode(tag, 4, tags);
		MUST(m3_fileset_writer_add(writer, m3_slice(id, id_size),
								   m3_slice(tags, m3_tags_encoded_size(tag, 4)), &payload, 1,
								   &err));
	}
	MUST(m3_fileset_writer_finish(writer, &err));
	MUST(m3_fileset_writer_publish(writer, &err));
	took = now() - begin;
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
		bytes += m3_fileset_writer_sizes(writer)[i];
	m3_fileset_writer_free(writer);
	printf("write %-8s %-8s %8.1f MB/s %8.1f M points/s %8.0f ns/series (%.1f MB, %.3f B/point)\n",
		   sorted ? "sorted" : "any", sync ? "synced" : "unsynced", (double) bytes / took / 1e6,
		   (double) series_count * point_count / took / 1e6, took / series_count * 1e9,
		   (double) bytes / 1e6, (double) bytes / series_count / point_count);
}

static void
drop_cache(void)
{
	for (int i = 0; i < M3_FILESET_FILE_COUNT; i++)
	{
		char		path[M3_FILESET_PATH_SIZE];
		int			fd;

		MUST(m3_fileset_path(path, directory, &name, (M3FilesetFile) i, &err));
		fd = open(path, O_RDONLY);
		if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			perror(path);
		close(fd);
	}
}

static M3FilesetReader *
open_reader(M3FilesetAccess access, const M3FilesetHeader *header)
{
	M3FilesetReaderOptions options = {.access = access,.header = header};
	M3FilesetReader *reader;

	MUST(m3_fileset_reader_open(env, &m3_memory_malloc, directory, &name, &options, &reader,
								&err));
	return reader;
}

static const char *const access_names[] = {"pread", "mmap"};

static void
scan_fileset(M3FilesetAccess access, bool decode, bool cold)
{
	static int64_t times[1024];
	static double values[1024];
	M3FilesetReader *reader;
	M3FilesetScan *scan;
	M3FilesetEntry entry;
	uint64_t	bytes = 0;
	uint64_t	points = 0;
	double		begin;
	double		took;

	if (cold)
		drop_cache();
	begin = now();
	reader = open_reader(access, NULL);
	MUST(m3_fileset_scan_open(reader, M3_FILESET_BY_ID, &scan, &err));
	while (m3_fileset_scan_next(scan, &entry, &err) == M3_OK)
	{
		M3Slice		payload;
		M3Decoder	decoder;
		size_t		count = 1;

		MUST(m3_fileset_reader_data(reader, &entry, &payload, &err));
		bytes += payload.size + entry.id.size + entry.tags.size + 20;
		if (!decode)
			continue;
		m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
		for (; count > 0; points += count)
			MUST(m3_decoder_next_values(&decoder, times, values, NULL, 1024, &count, &err));
	}
	took = now() - begin;
	m3_fileset_scan_close(scan);
	m3_fileset_reader_close(reader);
	if (!decode)
		points = (uint64_t) series_count * (uint64_t) point_count;
	printf("scan %s %s %-10s %8.1f MB/s %8.1f M points/s %8.0f ns/series\n",
		   cold ? "cold" : "warm", access_names[access], decode ? "decoded" : "undecoded",
		   (double) bytes / took / 1e6, (double) points / took / 1e6,
		   took / series_count * 1e9);
}

static void
look_up(M3FilesetReader *reader, uint64_t *state, bool hit)
{
	char		id[128];
	int			n = (int) (next_random(state) % (uint64_t) series_count);
	size_t		size = (size_t) sprintf(id, "{__name__=\"cpu_usage\",cpu=\"%d\","
										"host=\"web-%06d\",job=\"node\"}", hit ? 0 : 1, n);
	M3FilesetEntry entry;
	M3Slice		payload;
	M3Status	status = m3_fileset_lookup(reader, m3_slice(id, size), false, &entry, &err);

	if (status != (hit ? M3_OK : M3_NOT_FOUND))
		exit(1);
	if (hit)
		MUST(m3_fileset_reader_data(reader, &entry, &payload, &err));
}

static void
bench_lookups(M3FilesetAccess access)
{
	const int	rounds = 100000;
	const int	opens = 20;
	uint64_t	state = 7;
	M3FilesetReader *reader = open_reader(access, NULL);
	M3FilesetHeader header = *m3_fileset_reader_header(reader);
	double		begin;
	double		took = 0;

	look_up(reader, &state, true);
	for (int hit = 1; hit >= 0; hit--)
	{
		begin = now();
		for (int i = 0; i < rounds; i++)
			look_up(reader, &state, hit);
		printf("lookup %s warm, open reader, %s: %.2f us\n", access_names[access],
			   hit ? "found " : "absent", (now() - begin) / rounds * 1e6);
	}
	m3_fileset_reader_close(reader);

	for (int cold = 0; cold < 2; cold++)
	{
		for (int known = 0; known < 2; known++)
		{
			took = 0;
			for (int i = 0; i < opens; i++)
			{
				if (cold)
					drop_cache();
				begin = now();
				reader = open_reader(access, known ? &header : NULL);
				look_up(reader, &state, true);
				took += now() - begin;
				m3_fileset_reader_close(reader);
			}
			printf("lookup %s %s, opened for it, header %s: %.0f us\n", access_names[access],
				   cold ? "cold" : "warm", known ? "known" : "read ", took / opens * 1e6);
		}
	}
}

int
main(int argc, char **argv)
{
	char		root[400];

	if (argc > 1)
		series_count = atoi(argv[1]);
	if (argc > 2)
		point_count = atoi(argv[2]);
	snprintf(root, sizeof(root), "%s/bench_fileset.%d", argc > 3 ? argv[3] : "/tmp",
			 (int) getpid());
	snprintf(directory, sizeof(directory), "%s/data/bench/0", root);
	env = m3_env_posix_create(0);
	make_payloads();
	for (int round = 0; round < 4; round++)
	{
		write_fileset(round >= 2, round % 2);
		if (round < 3)
			MUST(m3_fileset_remove(env, directory, &name, 1, &err));
	}
	for (int access = M3_FILESET_PREAD; access <= M3_FILESET_MAP; access++)
	{
		scan_fileset((M3FilesetAccess) access, false, true);
		scan_fileset((M3FilesetAccess) access, false, false);
		scan_fileset((M3FilesetAccess) access, true, false);
		bench_lookups((M3FilesetAccess) access);
	}
	MUST(m3_fileset_remove(env, directory, &name, 1, &err));
	for (char *p = directory + strlen(directory); p > directory + strlen(root) - 1; p--)
	{
		if (*p == '/' || *p == '\0')
		{
			*p = '\0';
			(void) env->remove_directory(env, directory, NULL);
		}
	}
	m3_env_posix_destroy(env);
	return 0;
}
