#include "storage/fileset/statistics.h"

#include <math.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/time.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define VERSION 1u

#define VALUES 6
#define HEAD_SIZE 3
#define HASH_SIZE 16
#define KIND_RAW 7u
#define MAX_DIGITS 6u			/* after a decimal's point */

/* Longer ones take no less than the eight bytes of a float8. */
#define MAX_DECIMAL (INT64_C(1) << 48)

static const double powers[MAX_DIGITS + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

static const int64_t units_ns[4] = {
	1, M3_NS_PER_SECOND / 1000000, M3_NS_PER_SECOND / 1000, M3_NS_PER_SECOND
};

/* --- header ------------------------------------------------------------- */

void
m3_statistics_header_encode(const M3StatisticsHeader *header, uint8_t *out)
{
	memcpy(out, M3_STATISTICS_MAGIC, 8);
	m3_store_le64(out + 8, VERSION);
	m3_store_le64(out + 16, (uint64_t) header->block_start_ns);
	m3_store_le64(out + 24, (uint64_t) header->volume);
	m3_store_le64(out + 32, header->fileset);
	m3_store_le64(out + 40, header->entries);
	m3_store_le64(out + 48, header->points);
	m3_store_le64(out + 56, header->groups_size);
	m3_store_le64(out + 64, header->directory);
	m3_store_le64(out + 72, m3_xxh64(out, 72));
}

M3Status
m3_statistics_header_decode(M3Slice bytes, M3StatisticsHeader *header, M3Error *err)
{
	const uint8_t *p = bytes.data;

	if (bytes.size < M3_STATISTICS_HEADER_SIZE || memcmp(p, M3_STATISTICS_MAGIC, 8) != 0)
		return m3_error(err, M3_CORRUPT, "file does not begin like statistics");
	if (m3_load_le64(p + 72) != m3_xxh64(p, 72))
		return m3_error(err, M3_CORRUPT, "header of statistics fails its checksum");
	if (m3_load_le64(p + 8) != VERSION)
		return m3_error(err, M3_UNSUPPORTED, "statistics are of another version");
	header->block_start_ns = (int64_t) m3_load_le64(p + 16);
	header->volume = (int64_t) m3_load_le64(p + 24);
	header->fileset = m3_load_le64(p + 32);
	header->entries = m3_load_le64(p + 40);
	header->points = m3_load_le64(p + 48);
	header->groups_size = m3_load_le64(p + 56);
	header->directory = m3_load_le64(p + 64);
	return M3_OK;
}

uint64_t
m3_statistics_fileset(const M3FilesetHeader *header)
{
	uint8_t		digest[M3_FILESET_DIGEST_SIZE];

	m3_fileset_digest_encode(header->digests, digest);
	return m3_xxh64(digest, sizeof(digest));
}

/* --- values ------------------------------------------------------------- */

/* How many digits after the point, and the number without it, that give the same 64 bits. */
static unsigned
find_decimal(double value, int64_t *decimal)
{
	for (unsigned digits = 0; digits <= MAX_DIGITS; digits++)
	{
		double		scaled = value * powers[digits];

		if (!(fabs(scaled) < (double) MAX_DECIMAL))
			break;
		*decimal = (int64_t) nearbyint(scaled);
		if (m3_double_bits((double) *decimal / powers[digits]) == m3_double_bits(value))
			return digits;
	}
	return KIND_RAW;
}

static size_t
put_value(uint8_t *out, double value, unsigned *kind)
{
	int64_t		decimal;

	*kind = find_decimal(value, &decimal);
	if (*kind != KIND_RAW)
		return m3_put_uvarint(out, (uint64_t) decimal << 1 ^ (uint64_t) (decimal >> 63));
	m3_store_le64(out, m3_double_bits(value));
	return 8;
}

static size_t
get_value(const uint8_t *data, size_t size, unsigned kind, double *value)
{
	uint64_t	zigzag;
	size_t		used;

	if (kind == KIND_RAW)
	{
		if (size < 8)
			return 0;
		*value = m3_double_from_bits(m3_load_le64(data));
		return 8;
	}
	used = m3_get_uvarint(data, size, &zigzag);
	if (used == 0 || used == SIZE_MAX)
		return 0;
	*value = (double) (int64_t) (zigzag >> 1 ^ (0 - (zigzag & 1))) / powers[kind];
	return used;
}

/* --- times -------------------------------------------------------------- */

/* The coarsest unit that holds both. */
static unsigned
choose_unit(uint64_t a, uint64_t b)
{
	unsigned	unit = 3;

	while (a % (uint64_t) units_ns[unit] != 0 || b % (uint64_t) units_ns[unit] != 0)
		unit--;
	return unit;
}

static size_t
get_time(const uint8_t *data, size_t size, unsigned unit, int64_t base_ns, int64_t *time_ns)
{
	uint64_t	count;
	int64_t		delta_ns;
	size_t		used = m3_get_uvarint(data, size, &count);

	if (used == 0 || used == SIZE_MAX ||
		__builtin_mul_overflow(count, units_ns[unit], &delta_ns) ||
		__builtin_add_overflow(base_ns, delta_ns, time_ns))
		return 0;
	return used;
}

/* --- entries ------------------------------------------------------------ */

/* Returns the size; 0: it cannot be written. */
static size_t
put_record(const M3SeriesStatistics *s, int64_t block_start_ns, uint8_t *out)
{
	const double values[VALUES] = {s->first, s->last, s->min, s->max, s->sum, s->squares};
	int64_t		since_ns;
	int64_t		length_ns;
	uint32_t	head;
	unsigned	unit;
	size_t		size = HEAD_SIZE + HASH_SIZE;

	if (s->first_ns < block_start_ns || s->last_ns < s->first_ns ||
		__builtin_sub_overflow(s->first_ns, block_start_ns, &since_ns) ||
		__builtin_sub_overflow(s->last_ns, s->first_ns, &length_ns))
		return 0;
	unit = choose_unit((uint64_t) since_ns, (uint64_t) length_ns);
	head = unit;
	m3_store_le64(out + HEAD_SIZE, s->times[0]);
	m3_store_le64(out + HEAD_SIZE + 8, s->times[1]);
	size += m3_put_uvarint(out + size, (uint64_t) (since_ns / units_ns[unit]));
	size += m3_put_uvarint(out + size, (uint64_t) (length_ns / units_ns[unit]));
	for (unsigned i = 0; i < VALUES; i++)
	{
		unsigned	kind;

		size += put_value(out + size, values[i], &kind);
		head |= kind << (2 + 3 * i);
	}
	out[0] = (uint8_t) head;
	out[1] = (uint8_t) (head >> 8);
	out[2] = (uint8_t) (head >> 16);
	return size;
}

static bool
get_record(const uint8_t *data, size_t size, int64_t block_start_ns, M3SeriesStatistics *s)
{
	double	   *const values[VALUES] = {
		&s->first, &s->last, &s->min, &s->max, &s->sum, &s->squares
	};
	size_t		at = HEAD_SIZE + HASH_SIZE;
	size_t		used;
	uint32_t	head;

	if (size < HEAD_SIZE + HASH_SIZE)
		return false;
	head = (uint32_t) data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16;
	s->times[0] = m3_load_le64(data + HEAD_SIZE);
	s->times[1] = m3_load_le64(data + HEAD_SIZE + 8);
	used = get_time(data + at, size - at, head & 3, block_start_ns, &s->first_ns);
	if (used == 0)
		return false;
	at += used;
	used = get_time(data + at, size - at, head & 3, s->first_ns, &s->last_ns);
	if (used == 0)
		return false;
	at += used;
	head >>= 2;
	for (unsigned i = 0; i < VALUES; i++, head >>= 3)
	{
		used = get_value(data + at, size - at, head & 7, values[i]);
		if (used == 0)
			return false;
		at += used;
	}
	return head == 0 && at == size;
}

size_t
m3_statistics_entry_encode(const M3SeriesStatistics *statistics, int64_t block_start_ns,
						   size_t payload_size, uint8_t *out)
{
	uint8_t		record[M3_STATISTICS_ENTRY_MAX_SIZE];
	size_t		record_size = 0;
	size_t		size;

	if (statistics->is_known && statistics->count > 0)
		record_size = put_record(statistics, block_start_ns, record);
	if ((record_size + 1) * M3_STATISTICS_SHARE > payload_size)
		record_size = 0;
	size = m3_put_uvarint(out, statistics->count << 1 | (record_size > 0));
	if (record_size > 0)
	{
		out[size++] = (uint8_t) record_size;
		memcpy(out + size, record, record_size);
	}
	return size + record_size;
}

size_t
m3_statistics_entry_decode(M3Slice bytes, int64_t block_start_ns, M3SeriesStatistics *statistics)
{
	uint64_t	head;
	size_t		record_size;
	size_t		used = m3_get_uvarint(bytes.data, bytes.size, &head);

	if (used == 0 || used == SIZE_MAX)
		return 0;
	if (statistics != NULL)
	{
		memset(statistics, 0, sizeof(*statistics));
		statistics->count = head >> 1;
		statistics->is_known = head <= 1;
	}
	if ((head & 1) == 0)
		return used;
	if (head == 1 || used == bytes.size)
		return 0;
	record_size = bytes.data[used++];
	if (record_size > bytes.size - used)
		return 0;
	if (statistics != NULL)
	{
		statistics->is_known = true;
		if (!get_record(bytes.data + used, record_size, block_start_ns, statistics))
			return 0;
	}
	return used + record_size;
}
