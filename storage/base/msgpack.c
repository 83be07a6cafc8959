#include "storage/base/msgpack.h"

#include "storage/base/bytes.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

enum
{
	CODE_FIXARRAY = 0x90,		/* to 0x9f */
	CODE_FIXSTR = 0xa0,			/* to 0xbf */
	CODE_NIL = 0xc0,
	CODE_BIN8 = 0xc4,
	CODE_BIN16 = 0xc5,
	CODE_BIN32 = 0xc6,
	CODE_FLOAT = 0xca,
	CODE_DOUBLE = 0xcb,
	CODE_UINT8 = 0xcc,
	CODE_UINT16 = 0xcd,
	CODE_UINT32 = 0xce,
	CODE_UINT64 = 0xcf,
	CODE_INT8 = 0xd0,
	CODE_INT16 = 0xd1,
	CODE_INT32 = 0xd2,
	CODE_INT64 = 0xd3,
	CODE_STR8 = 0xd9,
	CODE_STR16 = 0xda,
	CODE_STR32 = 0xdb,
	CODE_ARRAY16 = 0xdc,
	CODE_ARRAY32 = 0xdd,
	CODE_NEGATIVE_FIXNUM = 0xe0 /* to 0xff; 0x00 to 0x7f is positive */
};

/* Writing */

static uint8_t *
put8(uint8_t *out, uint8_t code, uint8_t value)
{
	out[0] = code;
	out[1] = value;
	return out + 2;
}

static uint8_t *
put16(uint8_t *out, uint8_t code, uint16_t value)
{
	out[0] = code;
	m3_store_be16(out + 1, value);
	return out + 3;
}

static uint8_t *
put32(uint8_t *out, uint8_t code, uint32_t value)
{
	out[0] = code;
	m3_store_be32(out + 1, value);
	return out + 5;
}

static uint8_t *
put64(uint8_t *out, uint8_t code, uint64_t value)
{
	out[0] = code;
	m3_store_be64(out + 1, value);
	return out + 9;
}

uint8_t *
m3_msgpack_put_uint(uint8_t *out, uint64_t value)
{
	if (value < 0x80)
	{
		*out = (uint8_t) value;
		return out + 1;
	}
	if (value <= UINT8_MAX)
		return put8(out, CODE_UINT8, (uint8_t) value);
	if (value <= UINT16_MAX)
		return put16(out, CODE_UINT16, (uint16_t) value);
	if (value <= UINT32_MAX)
		return put32(out, CODE_UINT32, (uint32_t) value);
	return put64(out, CODE_UINT64, value);
}

uint8_t *
m3_msgpack_put_int(uint8_t *out, int64_t value)
{
	if (value >= 0)
		return m3_msgpack_put_uint(out, (uint64_t) value);
	if (value >= -32)
	{
		*out = (uint8_t) value;
		return out + 1;
	}
	if (value >= INT8_MIN)
		return put8(out, CODE_INT8, (uint8_t) value);
	if (value >= INT16_MIN)
		return put16(out, CODE_INT16, (uint16_t) value);
	if (value >= INT32_MIN)
		return put32(out, CODE_INT32, (uint32_t) value);
	return put64(out, CODE_INT64, (uint64_t) value);
}

uint8_t *
m3_msgpack_put_double(uint8_t *out, double value)
{
	return put64(out, CODE_DOUBLE, m3_double_bits(value));
}

uint8_t *
m3_msgpack_put_bytes(uint8_t *out, M3Slice bytes)
{
	if (bytes.data == NULL)
	{
		*out = CODE_NIL;
		return out + 1;
	}
	if (bytes.size <= UINT8_MAX)
		out = put8(out, CODE_BIN8, (uint8_t) bytes.size);
	else if (bytes.size <= UINT16_MAX)
		out = put16(out, CODE_BIN16, (uint16_t) bytes.size);
	else
		out = put32(out, CODE_BIN32, (uint32_t) bytes.size);
	memcpy(out, bytes.data, bytes.size);
	return out + bytes.size;
}

uint8_t *
m3_msgpack_put_array(uint8_t *out, uint32_t count)
{
	if (count < 16)
	{
		*out = (uint8_t) (CODE_FIXARRAY + count);
		return out + 1;
	}
	if (count <= UINT16_MAX)
		return put16(out, CODE_ARRAY16, (uint16_t) count);
	return put32(out, CODE_ARRAY32, count);
}

/* Reading */

void
m3_msgpack_init(M3MsgpackReader *reader, const void *data, size_t size)
{
	reader->position = data;
	reader->end = size == 0 ? reader->position : reader->position + size;
	reader->failed = false;
}

static uint64_t
fail(M3MsgpackReader *reader)
{
	reader->failed = true;
	return 0;
}

/* Moves over size bytes and returns them, or NULL. */
static const uint8_t *
take(M3MsgpackReader *reader, size_t size)
{
	const uint8_t *bytes = reader->position;

	if (reader->failed || (size_t) (reader->end - reader->position) < size)
	{
		reader->failed = true;
		return NULL;
	}
	reader->position += size;
	return bytes;
}

/* The next 1, 2, 4 or 8 bytes as a big-endian number. */
static uint64_t
take_number(M3MsgpackReader *reader, size_t size)
{
	const uint8_t *bytes = take(reader, size);

	if (bytes == NULL)
		return 0;
	switch (size)
	{
		case 1:
			return bytes[0];
		case 2:
			return m3_load_be16(bytes);
		case 4:
			return m3_load_be32(bytes);
		default:
			return m3_load_be64(bytes);
	}
}

/* The next code; nil, which all kinds but arrays accept, when there is none. */
static uint8_t
take_code(M3MsgpackReader *reader)
{
	const uint8_t *bytes = take(reader, 1);

	return bytes == NULL ? CODE_NIL : *bytes;
}

/*
 * An integer of any form as its 64-bit pattern: narrow signed forms are
 * extended by their sign whatever the caller wants to make of them.
 */
static uint64_t
integer_of_code(M3MsgpackReader *reader, uint8_t code)
{
	if (code < 0x80)
		return code;
	if (code >= CODE_NEGATIVE_FIXNUM)
		return (uint64_t) (int64_t) (int8_t) code;
	switch (code)
	{
		case CODE_NIL:
			return 0;
		case CODE_UINT8:
			return take_number(reader, 1);
		case CODE_UINT16:
			return take_number(reader, 2);
		case CODE_UINT32:
			return take_number(reader, 4);
		case CODE_UINT64:
		case CODE_INT64:
			return take_number(reader, 8);
		case CODE_INT8:
			return (uint64_t) (int64_t) (int8_t) take_number(reader, 1);
		case CODE_INT16:
			return (uint64_t) (int64_t) (int16_t) take_number(reader, 2);
		case CODE_INT32:
			return (uint64_t) (int64_t) (int32_t) take_number(reader, 4);
		default:
			return fail(reader);
	}
}

uint64_t
m3_msgpack_get_uint(M3MsgpackReader *reader)
{
	return integer_of_code(reader, take_code(reader));
}

int64_t
m3_msgpack_get_int(M3MsgpackReader *reader)
{
	return (int64_t) m3_msgpack_get_uint(reader);
}

static double
double_of_code(M3MsgpackReader *reader, uint8_t code)
{
	uint32_t	bits;
	float		single;

	if (code == CODE_DOUBLE)
		return m3_double_from_bits(take_number(reader, 8));
	if (code != CODE_FLOAT)
		return (double) fail(reader);
	bits = (uint32_t) take_number(reader, 4);
	memcpy(&single, &bits, sizeof(single));
	return (double) single;
}

double
m3_msgpack_get_double(M3MsgpackReader *reader)
{
	return double_of_code(reader, take_code(reader));
}

static M3Slice
bytes_of_code(M3MsgpackReader *reader, uint8_t code)
{
	size_t		size;
	const uint8_t *bytes;

	if ((code & 0xe0) == CODE_FIXSTR)
		size = code & 0x1f;
	else
	{
		switch (code)
		{
			case CODE_NIL:
				return m3_slice(NULL, 0);
			case CODE_BIN8:
			case CODE_STR8:
				size = take_number(reader, 1);
				break;
			case CODE_BIN16:
			case CODE_STR16:
				size = take_number(reader, 2);
				break;
			case CODE_BIN32:
			case CODE_STR32:
				/* a signed length to M3, -1 meaning nil */
				size = take_number(reader, 4);
				if (size == UINT32_MAX)
					return m3_slice(NULL, 0);
				if (size > INT32_MAX)
					fail(reader);
				break;
			default:
				fail(reader);
				return m3_slice(NULL, 0);
		}
	}
	bytes = take(reader, size);
	return m3_slice(bytes, bytes == NULL ? 0 : size);
}

M3Slice
m3_msgpack_get_bytes(M3MsgpackReader *reader)
{
	return bytes_of_code(reader, take_code(reader));
}

static uint32_t
array_of_code(M3MsgpackReader *reader, uint8_t code)
{
	if ((code & 0xf0) == CODE_FIXARRAY)
		return code & 0x0f;
	if (code == CODE_ARRAY16)
		return (uint32_t) take_number(reader, 2);
	if (code == CODE_ARRAY32)
		return (uint32_t) take_number(reader, 4);
	return (uint32_t) fail(reader);
}

uint32_t
m3_msgpack_get_array(M3MsgpackReader *reader)
{
	return array_of_code(reader, take_code(reader));
}

void
m3_msgpack_skip(M3MsgpackReader *reader)
{
	/*
	 * Counting what is still to come instead of recursing: every value takes
	 * a byte, so this ends, and 2^32 more per five bytes cannot overflow.
	 */
	uint64_t	pending = 1;

	while (pending > 0 && !reader->failed)
	{
		uint8_t		code = take_code(reader);

		pending--;
		if ((code & 0xf0) == CODE_FIXARRAY || code == CODE_ARRAY16 ||
			code == CODE_ARRAY32)
		{
			pending += array_of_code(reader, code);
			if (pending > (uint64_t) (reader->end - reader->position))
				fail(reader);
		}
		else if (code == CODE_DOUBLE || code == CODE_FLOAT)
			(void) double_of_code(reader, code);
		else if ((code & 0xe0) == CODE_FIXSTR ||
				 (code >= CODE_BIN8 && code <= CODE_BIN32) ||
				 (code >= CODE_STR8 && code <= CODE_STR32))
			(void) bytes_of_code(reader, code);
		else
			(void) integer_of_code(reader, code);
	}
}
