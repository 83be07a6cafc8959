/*
 * Bytes as text: what m3dump prints of ids, tags, annotations, times.
 *
 * A Text grows with the tool's memory and keeps a failure until it is asked for:
 * callers append freely and check once.
 */
#ifndef M3DUMP_TEXT_H
#define M3DUMP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "storage/base/memory.h"
#include "storage/base/slice.h"
#include "storage/base/status.h"

typedef struct Text
{
	M3Memory   *memory;
	char	   *data;			/* not terminated; NULL while empty */
	size_t		size;
	size_t		capacity;
	bool		failed;			/* out of memory; nothing is appended any more */
} Text;

extern void text_init(Text *text, M3Memory *memory);
extern void text_free(Text *text);
extern void text_clear(Text *text);
/* M3_NO_MEMORY if an append has failed since text_init. */
extern M3Status text_status(const Text *text, M3Error *err);

extern void text_add(Text *text, const void *data, size_t size);
extern void text_add_cstr(Text *text, const char *string);
extern void text_printf(Text *text, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* A field of RFC 4180, quoted if it has to be. */
extern void text_add_csv(Text *text, M3Slice bytes);
/* A JSON string with its quotes.  Bytes that are not UTF-8 become lone
 * surrogates, U+DC00 and the byte, so that nothing is lost. */
extern void text_add_json(Text *text, M3Slice bytes);
/* The tags of an encoded block as a JSON object in stored order; "{}" for none or a
 * block that is not well-formed, which returns false. */
extern bool text_add_tags(Text *text, M3Slice encoded);
extern void text_add_base64(Text *text, M3Slice bytes);
/* For people: as it is where printable, \xNN otherwise, and "..." after max_size bytes. */
extern void text_add_readable(Text *text, M3Slice bytes, size_t max_size);
/* "%.17g", and NaN, Inf, -Inf. */
extern void text_add_value(Text *text, double value);

#define TEXT_TIME_SIZE 48
/* 2024-03-05T00:00:00.5Z; only the number beyond the calendar's reach. */
extern const char *text_time(int64_t time_ns, char out[TEXT_TIME_SIZE]);
/* 2h0m0s like durations; "0s". */
extern const char *text_duration(int64_t duration_ns, char out[TEXT_TIME_SIZE]);

/* "12", "64kB", "256MB", "1GB"; false otherwise. */
extern bool text_parse_size(const char *string, uint64_t *size);
/* "90s", "2h", "1d", a sum such as "1h30m", or plain nanoseconds; false otherwise. */
extern bool text_parse_duration(const char *string, int64_t *duration_ns);
/* Nanoseconds since 1970, or 2024-03-05[T10:20[:30[.5]]][Z] UTC; false otherwise. */
extern bool text_parse_time(const char *string, int64_t *time_ns);

#endif							/* M3DUMP_TEXT_H */
