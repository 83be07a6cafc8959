/*
 * An info object: whatever decodes, encodes and decodes to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/fileset/format.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3FilesetInfo info;
	M3FilesetInfo again;
	uint8_t		bytes[M3_FILESET_INFO_MAX_SIZE];
	M3Error		err;

	if (m3_fileset_info_decode(m3_slice(data, size), &info, &err) != M3_OK)
		return 0;
	size = m3_fileset_info_encode(&info, bytes);
	if (size > sizeof(bytes) ||
		m3_fileset_info_decode(m3_slice(bytes, size), &again, &err) != M3_OK)
		abort();
	/* what the encoder does not take from it */
	info.field_count = again.field_count;
	info.major_version = again.major_version;
	info.minor_version = again.minor_version;
	if (memcmp(&info, &again, sizeof(info)) != 0)
		abort();
	return 0;
}
