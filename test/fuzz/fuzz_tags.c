/*
 * Encoded tags and the ids made of them: a block that is accepted is walked to its
 * end, encodes to the bytes it was read from, and its id can be made.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/ident/id.h"
#include "storage/ident/tags.h"

#define MAX_TAGS 1024

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static size_t
collect(M3Slice encoded, M3TagIterator *iterator, M3Tag *tags)
{
	size_t		count = 0;
	M3Tag		tag;
	M3Slice		value;

	while (m3_tag_next(iterator, &tag))
	{
		check(tag.name.data >= encoded.data &&
			  tag.value.data + tag.value.size <= encoded.data + encoded.size);
		check(m3_tags_find(encoded, tag.name, &value));
		if (count < MAX_TAGS)
			tags[count] = tag;
		count++;
	}
	return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3Slice		encoded = m3_slice(data, size);
	M3TagIterator iterator;
	M3Tag		tags[MAX_TAGS];
	uint8_t    *id = NULL;
	size_t		capacity = 0;
	size_t		id_size = 0;
	size_t		count;
	M3Error		err;

	if (m3_tag_iterator_init(&iterator, encoded, &err) != M3_OK)
		return 0;
	count = collect(encoded, &iterator, tags);
	if (count > MAX_TAGS)
		return 0;
	if (count > 0)
	{
		size_t		again_size = m3_tags_encoded_size(tags, count);
		uint8_t    *again = malloc(again_size);

		check(again_size <= size);
		m3_tags_encode(tags, count, again);
		check(memcmp(again, data, again_size) == 0);
		free(again);
	}
	m3_tags_sort(tags, count);
	for (size_t i = 1; i < count; i++)
		check(m3_slice_compare(tags[i - 1].name, tags[i].name) <= 0);
	(void) m3_tags_validate(tags, count, &err);
	check(m3_id_quoted(tags, count, &m3_memory_malloc, &id, &capacity, &id_size, &err) == M3_OK);
	check(id_size >= 2 && id[0] == '{' && id[id_size - 1] == '}');
	free(id);
	return 0;
}
