/*
 * The bytes of a commit log (spec/commitlog.md 3 to 8).
 *
 *   file     chunk*             the payloads of all chunks are one stream
 *   chunk    size  size_sum  data_sum  payload[size]     uint32 LE each
 *   stream   message*           a message may straddle chunks
 *   message  uvarint(length)  body[length]
 *   body     LogInfo for the first message, then LogEntry each
 *
 * Writers emit M3's canonical bytes into a caller's buffer and return the
 * position behind them; readers accept what M3's decoders accept, and slices
 * they return point into the bytes given.
 */
#ifndef M3_LOG_FORMAT_H
#define M3_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/bytes.h"
#include "storage/base/msgpack.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"

#define M3_LOG_CHUNK_HEADER_SIZE 12u
#define M3_LOG_INFO_MAX_SIZE 32u	/* message: prefix 1, envelope 4, integers 27 */

/* First message of a file. */
typedef struct M3LogInfo
{
	int64_t		start_ns;		/* of the window the file was opened for; M3 writes 0 */
	int64_t		duration_ns;	/* of the window; M3 writes 0 */
	int64_t		index;			/* the file's number, never negative in ours */
} M3LogInfo;

/* What a series is, written with its first entry in each file. */
typedef struct M3LogSeriesMetadata
{
	M3Slice		id;
	M3Slice		namespace;
	M3Slice		tags;			/* encoded block; data NULL or empty: untagged */
	uint32_t	shard;
} M3LogSeriesMetadata;

typedef struct M3LogEntry
{
	uint64_t	unique_index;	/* number of the series within the file */
	int64_t		create_ns;		/* clock at encoding; nobody relies on it */
	bool		has_metadata;
	M3LogSeriesMetadata metadata;	/* if has_metadata */
	int64_t		time_ns;		/* nanoseconds whatever the unit */
	double		value;
	uint32_t	unit;			/* as stored; may be anything when read */
	M3Slice		annotation;		/* data NULL: absent */
} M3LogEntry;

/* Messages, length prefix included. */

/* Room of M3_LOG_INFO_MAX_SIZE. */
extern uint8_t *m3_log_put_info(uint8_t *out, const M3LogInfo *info);

/* Exact; SIZE_MAX for a field of 1 GiB or more, which cannot be written. */
extern size_t m3_log_entry_size(const M3LogEntry *entry);

/* Room of m3_log_entry_size(). */
extern uint8_t *m3_log_put_entry(uint8_t *out, const M3LogEntry *entry);

/*
 * Bodies, without prefix.  M3_CORRUPT with a message, without file or offset
 * (which the caller knows).  Bytes behind the last field are ignored.
 */
extern M3Status m3_log_decode_info(M3Slice body, M3LogInfo *info, M3Error *err);
extern M3Status m3_log_decode_entry(M3Slice body, M3LogEntry *entry, M3Error *err);

/* Fills the 12 bytes before a payload of up to UINT32_MAX bytes. */
extern void m3_log_put_chunk_header(uint8_t *header, const uint8_t *payload, size_t size);

/* False if the size checksum is wrong. */
extern bool m3_log_get_chunk_header(const uint8_t *header, uint32_t *size, uint32_t *data_sum);

/*
 * The fast way for an entry without metadata and annotation: the part that all
 * entries of one moment share is encoded once.
 */
typedef struct M3LogStamp
{
	uint8_t		bytes[16];		/* create, then nil for the metadata */
	size_t		size;
} M3LogStamp;

#define M3_LOG_POINT_MAX_SIZE 45u	/* what a point takes */
#define M3_LOG_POINT_ROOM 64u	/* what m3_log_put_point may scribble on */

extern void m3_log_stamp_init(M3LogStamp *stamp, int64_t create_ns);

/* Room of M3_LOG_POINT_ROOM; the same bytes as m3_log_put_entry. */
static inline uint8_t *
m3_log_put_point(uint8_t *out, const M3LogStamp *stamp, uint64_t unique_index,
				 int64_t time_ns, double value, uint32_t unit)
{
	uint8_t    *p = out + 5;

	memcpy(out, "\0\x01\x92\x08\x97", 5);
	if (unique_index < 0x80)
		*p++ = (uint8_t) unique_index;
	else if (unique_index > UINT8_MAX && unique_index <= UINT16_MAX)
	{
		*p = 0xcd;
		m3_store_be16(p + 1, (uint16_t) unique_index);
		p += 3;
	}
	else if (unique_index > UINT16_MAX && unique_index <= UINT32_MAX)
	{
		*p = 0xce;
		m3_store_be32(p + 1, (uint32_t) unique_index);
		p += 5;
	}
	else
		p = m3_msgpack_put_uint(p, unique_index);
	memcpy(p, stamp->bytes, sizeof(stamp->bytes));
	p += stamp->size;
	if (time_ns > (int64_t) UINT32_MAX)
	{
		*p = 0xcf;
		m3_store_be64(p + 1, (uint64_t) time_ns);
		p += 9;
	}
	else
		p = m3_msgpack_put_int(p, time_ns);
	*p = 0xcb;
	m3_store_be64(p + 1, m3_double_bits(value));
	p += 9;
	if (unit < 0x80)
		*p++ = (uint8_t) unit;
	else
		p = m3_msgpack_put_uint(p, unit);
	*p++ = 0xc0;
	out[0] = (uint8_t) (p - out - 1);
	return p;
}

#endif							/* M3_LOG_FORMAT_H */
