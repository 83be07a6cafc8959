#include "storage/ident/tags.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/base/bytes.h"
#include "storage/ident/ident_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define BLOCK_MAGIC 10101
#define BLOCK_HEADER_SIZE 4		/* magic, number of tags */
#define LENGTH_SIZE 2

static int
compare_tags(const void *a, const void *b)
{
	const M3Tag *x = a;
	const M3Tag *y = b;
	int			order = m3_slice_compare(x->name, y->name);

	return order != 0 ? order : m3_slice_compare(x->value, y->value);
}

void
m3_tags_sort(M3Tag *tags, size_t count)
{
	bool		is_sorted = true;

	for (size_t i = 1; i < count && is_sorted; i++)
		is_sorted = compare_tags(&tags[i - 1], &tags[i]) <= 0;
	if (!is_sorted)
		qsort(tags, count, sizeof(*tags), compare_tags);
}

/* For a message: the front of a name, with bytes that are not text as \xNN. */
static void
print_name(M3Slice name, char *out, size_t out_size)
{
	size_t		at = 0;
	size_t		used = 0;

	while (at < name.size && used + sizeof("\\xff...") <= out_size)
	{
		uint32_t	code_point;
		size_t		width = m3i_ident_decode_utf8(name.data + at, name.size - at,
												  &code_point);

		if (width == 0 || code_point < 0x20 || code_point == 0x7f)
		{
			snprintf(out + used, out_size - used, "\\x%02x", name.data[at]);
			used += 4;
			at++;
		}
		else
		{
			memcpy(out + used, name.data + at, width);
			used += width;
			at += width;
		}
	}
	snprintf(out + used, out_size - used, "%s", at < name.size ? "..." : "");
}

/* The rule a tag breaks on its own, or NULL. */
static const char *
broken_rule(const M3Tag *tag)
{
	if (tag->name.size == 0)
		return "A tag's name must not be empty.";
	if (tag->name.size > M3_TAG_MAX_SIZE)
		return "A tag's name has at most 65535 bytes.";
	if (tag->value.size > M3_TAG_MAX_SIZE)
		return "A tag's value has at most 65535 bytes.";
	if (m3_slice_equal(tag->name, m3_slice_cstr(M3_TAG_RESERVED_NAME)))
		return "This name is reserved for the index.";
	if (!m3_utf8_is_valid(tag->name))
		return "A tag's name must be valid UTF-8.";
	if (!m3_utf8_is_valid(tag->value))
		return "A tag's value must be valid UTF-8.";
	return NULL;
}

M3Status
m3_tags_validate(const M3Tag *tags, size_t count, M3Error *err)
{
	if (count > M3_TAG_MAX_COUNT)
	{
		m3_error(err, M3_INVALID, "too many tags: %zu", count);
		m3_error_detail(err, "A series has at most %d tags.", M3_TAG_MAX_COUNT);
		return M3_INVALID;
	}
	for (size_t i = 0; i < count; i++)
	{
		const char *rule = broken_rule(&tags[i]);
		int			order = i == 0 ? -1 : m3_slice_compare(tags[i - 1].name, tags[i].name);

		assert(order <= 0);
		if (rule == NULL && order == 0)
			rule = "Each name may occur once in a series.";
		if (rule != NULL)
		{
			char		name[96];

			print_name(tags[i].name, name, sizeof(name));
			m3_error(err, M3_INVALID, "invalid tag \"%s\"", name);
			m3_error_detail(err, "%s", rule);
			return M3_INVALID;
		}
	}
	return M3_OK;
}

/* Encoding */

size_t
m3_tags_encoded_size(const M3Tag *tags, size_t count)
{
	size_t		size = BLOCK_HEADER_SIZE;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		size += 2 * LENGTH_SIZE + tags[i].name.size + tags[i].value.size;
	return size;
}

static uint8_t *
put_literal(uint8_t *out, M3Slice literal)
{
	assert(literal.size <= M3_TAG_MAX_SIZE);
	m3_store_le16(out, (uint16_t) literal.size);
	if (literal.size > 0)
		memcpy(out + LENGTH_SIZE, literal.data, literal.size);
	return out + LENGTH_SIZE + literal.size;
}

void
m3_tags_encode(const M3Tag *tags, size_t count, uint8_t *out)
{
	if (count == 0)
		return;
	assert(count <= M3_TAG_MAX_COUNT);
	m3_store_le16(out, BLOCK_MAGIC);
	m3_store_le16(out + 2, (uint16_t) count);
	out += BLOCK_HEADER_SIZE;
	for (size_t i = 0; i < count; i++)
	{
		out = put_literal(out, tags[i].name);
		out = put_literal(out, tags[i].value);
	}
}

/* Decoding */

/* Moves over a literal; false if it does not fit. */
static bool
take_literal(const uint8_t **position, const uint8_t *end, M3Slice *literal)
{
	size_t		left = (size_t) (end - *position);
	size_t		size;

	if (left < LENGTH_SIZE)
		return false;
	size = m3_load_le16(*position);
	if (left - LENGTH_SIZE < size)
		return false;
	*literal = m3_slice(*position + LENGTH_SIZE, size);
	*position += LENGTH_SIZE + size;
	return true;
}

void
m3_tag_iterator_init_trusted(M3TagIterator *iterator, M3Slice encoded)
{
	iterator->position = encoded.data;
	iterator->end = encoded.data;
	iterator->left = 0;
	if (encoded.size == 0)
		return;
	assert(encoded.size >= BLOCK_HEADER_SIZE);
	iterator->position += BLOCK_HEADER_SIZE;
	iterator->end += encoded.size;
	iterator->left = m3_load_le16(encoded.data + 2);
}

M3Status
m3_tag_iterator_init(M3TagIterator *iterator, M3Slice encoded, M3Error *err)
{
	const uint8_t *position;

	m3_tag_iterator_init_trusted(iterator, m3_slice(NULL, 0));
	if (encoded.size == 0)
		return M3_OK;
	if (encoded.size < BLOCK_HEADER_SIZE)
		return m3_error_corrupt(err, NULL, -1, "tags end within their header");
	if (m3_load_le16(encoded.data) != BLOCK_MAGIC)
		return m3_error_corrupt(err, NULL, -1, "tags begin with a wrong magic number");
	position = encoded.data + BLOCK_HEADER_SIZE;
	for (uint32_t left = m3_load_le16(encoded.data + 2); left > 0; left--)
	{
		M3Slice		name;
		M3Slice		value;

		if (!take_literal(&position, encoded.data + encoded.size, &name) ||
			!take_literal(&position, encoded.data + encoded.size, &value))
			return m3_error_corrupt(err, NULL, -1, "tags end within a tag");
		if (name.size == 0)
			return m3_error_corrupt(err, NULL, -1, "tag has an empty name");
	}
	m3_tag_iterator_init_trusted(iterator, encoded);
	return M3_OK;
}

bool
m3_tag_next(M3TagIterator *iterator, M3Tag *tag)
{
	bool		ok;

	if (iterator->left == 0)
		return false;
	iterator->left--;
	ok = take_literal(&iterator->position, iterator->end, &tag->name) &&
		take_literal(&iterator->position, iterator->end, &tag->value);
	assert(ok);
	return ok;
}

bool
m3_tags_find(M3Slice encoded, M3Slice name, M3Slice *value)
{
	M3TagIterator iterator;
	M3Tag		tag;

	m3_tag_iterator_init_trusted(&iterator, encoded);
	while (m3_tag_next(&iterator, &tag))
	{
		if (m3_slice_equal(tag.name, name))
		{
			*value = tag.value;
			return true;
		}
	}
	return false;
}
