/*
 * Snapshot metadata bodies, and names of directory entries.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/fileset/metadata.h"

static void
try_names(const uint8_t *data, size_t size)
{
	char		text[256];
	char		path[M3_FILESET_PATH_SIZE];
	M3SnapshotMetadataName metadata;
	M3FilesetName name;
	M3FilesetFile file;
	bool		checkpoint;

	if (size >= sizeof(text))
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (m3_fileset_parse_name(text, &name, &file) &&
		(m3_fileset_path(path, "", &name, file, NULL) != M3_OK || strcmp(path + 1, text) != 0))
		abort();
	if (m3_snapshot_metadata_parse_name(text, &metadata, &checkpoint) &&
		m3_snapshot_metadata_path(path, "", &metadata, checkpoint, NULL) != M3_OK)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	M3SnapshotMetadata metadata;
	M3SnapshotMetadata again;
	uint8_t		bytes[M3_SNAPSHOT_METADATA_MAX_SIZE];
	M3Error		err;

	try_names(data, size);
	if (m3_snapshot_metadata_decode(m3_slice(data, size), &metadata, &err) != M3_OK ||
		m3_snapshot_metadata_encode(&metadata, bytes, &size, &err) != M3_OK)
		return 0;
	if (m3_snapshot_metadata_decode(m3_slice(bytes, size), &again, &err) != M3_OK ||
		metadata.index != again.index || metadata.log_index != again.log_index ||
		memcmp(metadata.uuid, again.uuid, sizeof(again.uuid)) != 0 ||
		!m3_slice_equal(metadata.log_path, again.log_path))
		abort();
	return 0;
}
