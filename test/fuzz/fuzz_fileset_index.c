/*
 * Index entries back to back, with and without the need for checksums:
 * slices stay within the input, and an entry encodes and decodes to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/fileset/format.h"

static void
check_slice(M3Slice slice, const uint8_t *data, size_t size)
{
	volatile uint8_t sink = 0;

	if (slice.size == 0)
		return;
	if (slice.data < data || slice.size > size || slice.data + slice.size > data + size)
		abort();
	sink = slice.data[0];
	sink = slice.data[slice.size - 1];
	(void) sink;
}

static void
check_again(const M3FilesetEntry *entry)
{
	uint8_t    *bytes = malloc(entry->id.size + entry->tags.size + M3_FILESET_ENTRY_OVERHEAD);
	size_t		id_position;
	size_t		size = m3_fileset_entry_encode(entry, bytes, &id_position);
	M3FilesetEntry again;
	size_t		used;

	if (m3_fileset_entry_decode(m3_slice(bytes, size), true, &again, &used, NULL, NULL) != M3_OK ||
		used != size || !m3_slice_equal(entry->id, again.id) ||
		!m3_slice_equal(entry->tags, again.tags) || entry->ordinal != again.ordinal ||
		entry->offset != again.offset || entry->size != again.size ||
		entry->checksum != again.checksum)
		abort();
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int need_checksum = 0; need_checksum < 2; need_checksum++)
	{
		size_t		offset = 0;

		while (offset < size)
		{
			M3FilesetEntry entry;
			size_t		used;
			bool		truncated;
			M3Error		err;

			if (m3_fileset_entry_decode(m3_slice(data + offset, size - offset), need_checksum,
										&entry, &used, &truncated, &err) != M3_OK)
				break;
			if (used == 0 || used > size - offset)
				abort();
			check_slice(entry.id, data, size);
			check_slice(entry.tags, data, size);
			check_again(&entry);
			offset += used;
		}
	}
	return 0;
}
