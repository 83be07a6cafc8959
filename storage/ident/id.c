#include "storage/ident/id.h"

#include <assert.h>

#include "storage/base/hash.h"
#include "storage/ident/ident_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define ESCAPED_MAX_SIZE 10		/* \U and eight digits */

static bool
needs_escape(M3Slice text)
{
	for (size_t i = 0; i < text.size; i++)
	{
		uint8_t		byte = text.data[i];

		if (byte < 0x20 || byte == '"' || byte > 0x7e)
			return true;
	}
	return false;
}

/* A backslash, a letter, and the lowest digits of value in hexadecimal. */
static size_t
put_hex(uint8_t *out, char letter, uint32_t value, unsigned digits)
{
	out[0] = '\\';
	out[1] = (uint8_t) letter;
	for (unsigned i = 0; i < digits; i++)
		out[2 + i] = (uint8_t) "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 0xf];
	return 2 + digits;
}

/* How one code point, of width bytes at text, is written; returns the size. */
static size_t
put_code_point(uint8_t *out, const uint8_t *text, size_t width, uint32_t code_point)
{
	if (code_point == '"' || code_point == '\\')
	{
		out[0] = '\\';
		out[1] = (uint8_t) code_point;
		return 2;
	}
	if (m3i_ident_is_printable(code_point))
	{
		memcpy(out, text, width);
		return width;
	}
	if (code_point >= 0x07 && code_point <= 0x0d)
	{
		out[0] = '\\';
		out[1] = (uint8_t) "abtnvfr"[code_point - 0x07];
		return 2;
	}
	if (code_point < 0x20)
		return put_hex(out, 'x', code_point, 2);
	if (code_point < 0x10000)
		return put_hex(out, 'u', code_point, 4);
	return put_hex(out, 'U', code_point, 8);
}

/* Writes text escaped, or with out NULL only measures it; returns the size. */
static size_t
escape(M3Slice text, uint8_t *out)
{
	size_t		size = 0;
	size_t		at = 0;

	while (at < text.size)
	{
		uint8_t		piece[ESCAPED_MAX_SIZE];
		uint32_t	code_point;
		size_t		width = m3i_ident_decode_utf8(text.data + at, text.size - at,
												  &code_point);
		size_t		piece_size;

		if (width == 0)
		{
			width = 1;
			piece_size = put_hex(piece, 'x', text.data[at], 2);
		}
		else
			piece_size = put_code_point(piece, text.data + at, width, code_point);
		if (out != NULL)
			memcpy(out + size, piece, piece_size);
		size += piece_size;
		at += width;
	}
	return size;
}

static size_t
measure(M3Slice text)
{
	return needs_escape(text) ? escape(text, NULL) : text.size;
}

static uint8_t *
put_text(uint8_t *out, M3Slice text)
{
	if (needs_escape(text))
		return out + escape(text, out);
	if (text.size > 0)
		memcpy(out, text.data, text.size);
	return out + text.size;
}

M3Status
m3_id_quoted(const M3Tag *tags, size_t count, M3Memory *memory,
			 uint8_t **out, size_t *capacity, size_t *size, M3Error *err)
{
	size_t		needed = 2 + (count > 0 ? count - 1 : 0);	/* braces, commas */
	uint8_t    *at;

	for (size_t i = 0; i < count; i++)
		needed += measure(tags[i].name) + 3 + measure(tags[i].value);	/* ="" */
	if (needed > *capacity)
	{
		size_t		wanted = needed < 128 ? 128 : needed + needed / 2;
		uint8_t    *grown = m3_resize(memory, *out, wanted);

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory making a series id");
		*out = grown;
		*capacity = wanted;
	}
	at = *out;
	*at++ = '{';
	for (size_t i = 0; i < count; i++)
	{
		if (i > 0)
			*at++ = ',';
		at = put_text(at, tags[i].name);
		*at++ = '=';
		*at++ = '"';
		at = put_text(at, tags[i].value);
		*at++ = '"';
	}
	*at++ = '}';
	*size = (size_t) (at - *out);
	assert(*size == needed);
	return M3_OK;
}

uint32_t
m3_shard_of_id(M3Slice id, uint32_t seed, uint32_t shard_count)
{
	assert(shard_count > 0);
	return m3_murmur3_32(id.data, id.size, seed) % shard_count;
}
