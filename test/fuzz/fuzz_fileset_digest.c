/*
 * Digest and checkpoint files: the first four bytes are the checkpoint.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/base/hash.h"
#include "storage/fileset/format.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		split = size < 4 ? size : 4;
	M3FilesetHeader header;
	uint8_t		digest[M3_FILESET_DIGEST_SIZE];
	M3Error		err;

	memset(&header, 0, sizeof(header));
	if (m3_fileset_digest_decode(m3_slice(data + split, size - split), m3_slice(data, split),
								 &header, &err) != M3_OK)
		return 0;
	m3_fileset_digest_encode(header.digests, digest);
	if (size != 4 + sizeof(digest) || memcmp(digest, data + 4, sizeof(digest)) != 0 ||
		m3_adler32(M3_ADLER32_INIT, digest, sizeof(digest)) != header.checkpoint)
		abort();
	return 0;
}
