/*
 * The MessagePack subset of M3's files (spec/commitlog.md 5, spec/fileset.md 3).
 *
 * Writers emit M3's canonical bytes into a caller's buffer and return the
 * position after them; the caller has made room (sizes below).  Readers accept
 * everything M3's decoder accepts, never read past the end, and keep a failed
 * cursor failed, so a caller may check once per object.
 */
#ifndef M3_BASE_MSGPACK_H
#define M3_BASE_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/slice.h"

#define M3_MSGPACK_INT_MAX_SIZE 9
#define M3_MSGPACK_BYTES_HEADER_MAX_SIZE 5

extern uint8_t *m3_msgpack_put_uint(uint8_t *out, uint64_t value);
extern uint8_t *m3_msgpack_put_int(uint8_t *out, int64_t value);
extern uint8_t *m3_msgpack_put_double(uint8_t *out, double value);
/* bin form; data NULL writes nil ("absent"), size 0 an empty byte string */
extern uint8_t *m3_msgpack_put_bytes(uint8_t *out, M3Slice bytes);
extern uint8_t *m3_msgpack_put_array(uint8_t *out, uint32_t count);

typedef struct M3MsgpackReader
{
	const uint8_t *position;
	const uint8_t *end;
	bool		failed;
} M3MsgpackReader;

extern void m3_msgpack_init(M3MsgpackReader *reader, const void *data, size_t size);
/* Each returns 0, or an empty slice with data NULL, once the reader failed. */
extern uint64_t m3_msgpack_get_uint(M3MsgpackReader *reader);
extern int64_t m3_msgpack_get_int(M3MsgpackReader *reader);
extern double m3_msgpack_get_double(M3MsgpackReader *reader);
/* points into the data; data NULL for nil */
extern M3Slice m3_msgpack_get_bytes(M3MsgpackReader *reader);
extern uint32_t m3_msgpack_get_array(M3MsgpackReader *reader);
/* skips one value of any kind above, arrays with their contents */
extern void m3_msgpack_skip(M3MsgpackReader *reader);

#endif							/* M3_BASE_MSGPACK_H */
