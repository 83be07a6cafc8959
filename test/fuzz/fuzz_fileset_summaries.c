/*
 * Summary objects back to back.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/fileset/format.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		offset = 0;

	while (offset < size)
	{
		M3FilesetSummary summary;
		M3FilesetSummary again;
		size_t		used;
		size_t		again_used;
		uint8_t    *bytes;
		M3Error		err;

		if (m3_fileset_summary_decode(m3_slice(data + offset, size - offset), &summary, &used,
									  &err) != M3_OK)
			break;
		if (used == 0 || used > size - offset)
			abort();
		bytes = malloc(summary.id.size + M3_FILESET_ENTRY_OVERHEAD);
		if (m3_fileset_summary_decode(m3_slice(bytes, m3_fileset_summary_encode(&summary, bytes)),
									  &again, &again_used, &err) != M3_OK ||
			!m3_slice_equal(summary.id, again.id) || summary.ordinal != again.ordinal ||
			summary.index_offset != again.index_offset)
			abort();
		free(bytes);
		offset += used;
	}
	return 0;
}
