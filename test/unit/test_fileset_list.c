/*
 * Listing, the choice of a volume, removal, manifests and the list of snapshot
 * metadata.
 */
#include "test/unit/fileset_fixture.h"

#include "storage/fileset/manifest.h"
#include "storage/fileset/metadata.h"

static void
write_volume(const char *directory, int64_t start_ns, int64_t volume, int count)
{
	M3FilesetWriterOptions options = fixture_options(directory);
	M3FilesetWriter *writer;

	options.block_start_ns = start_ns;
	options.volume = volume;
	CHECK_OK(m3_fileset_writer_create(env, &m3_memory_malloc, &options, &writer, &err));
	for (int i = 0; i < count; i++)
		CHECK_OK(add_series(writer, i));
	CHECK_OK(m3_fileset_writer_finish(writer, &err));
	CHECK_OK(m3_fileset_writer_publish(writer, &err));
	m3_fileset_writer_free(writer);
}

static void
path_of(char *path, const char *directory, int64_t start_ns, int64_t volume,
		M3FilesetFile file)
{
	M3FilesetName name = {start_ns, volume, false};

	CHECK_OK(m3_fileset_path(path, directory, &name, file, &err));
}

static void
check_choice(const char *directory, int64_t start_ns, M3Status status, int64_t volume,
			 size_t skipped, int64_t next)
{
	M3FilesetList list;
	M3FilesetName name;
	M3FilesetHeader header;
	size_t		actual_skipped;
	int64_t		actual_next;

	CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, directory, &list, &err));
	CHECK_STATUS(m3_fileset_choose(env, directory, &list, start_ns, &name, &header,
								   &actual_skipped, &err), status);
	if (status == M3_OK)
	{
		CHECK_INT(name.volume, volume);
		CHECK_INT(header.info.volume, volume);
	}
	CHECK_INT(actual_skipped, skipped);
	CHECK_OK(m3_fileset_next_volume(env, directory, &list, start_ns, &actual_next, &err));
	CHECK_INT(actual_next, next);
	m3_fileset_list_free(&list);
}

static void
test_choice(void)
{
	char		dir[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	M3FilesetName both[2] = {{1000, 5, false}, {1000, 2, false}};
	M3FilesetList list;

	strcpy(dir, in_scratch("choice"));
	check_choice(dir, 1000, M3_NOT_FOUND, 0, 0, 0);
	write_volume(dir, 1000, 2, 1);
	write_volume(dir, 1000, 5, 1);
	write_volume(dir, 1000, 10, 1);
	write_volume(dir, 999, 20, 1);
	write_volume(dir, 1001, 0, 1);
	check_choice(dir, 1000, M3_OK, 10, 0, 11);
	check_choice(dir, 1001, M3_OK, 0, 0, 1);
	check_choice(dir, 998, M3_NOT_FOUND, 0, 0, 0);

	/* names M3 would stumble over, or that are nothing */
	spew(in_scratch("choice/fileset-1000-x-data.db"), "", 0);
	spew(in_scratch("choice/fileset-1000-99-checkpoint.db.tmp"), "1234", 4);
	spew(in_scratch("choice/fileset-1000-98-checkpoint.db"), "123", 3);
	spew(in_scratch("choice/fileset-1000-97-data.db"), "123", 3);
	check_choice(dir, 1000, M3_OK, 10, 0, 11);
	spew(in_scratch("choice/fileset-1000-96-checkpoint.db"), "1234", 4);
	check_choice(dir, 1000, M3_OK, 10, 1, 97);	/* complete by M3's measure */

	path_of(path, dir, 1000, 10, M3_FILESET_INFO);
	remove(path);
	check_choice(dir, 1000, M3_OK, 5, 2, 97);
	path_of(path, dir, 1000, 10, M3_FILESET_CHECKPOINT);
	remove(path);
	check_choice(dir, 1000, M3_OK, 5, 1, 97);

	CHECK_OK(m3_fileset_remove(env, dir, both, 2, &err));
	CHECK_OK(m3_fileset_remove(env, dir, both, 2, &err));
	check_choice(dir, 1000, M3_NOT_FOUND, 0, 1, 97);
	CHECK_OK(m3_fileset_list(env, &m3_memory_malloc, dir, &list, &err));
	for (size_t i = 0; i < list.count; i++)
	{
		CHECK(list.filesets[i].name.volume != 5 && list.filesets[i].name.volume != 2);
		if (list.filesets[i].name.block_start_ns == 1001)
			CHECK_INT(list.filesets[i].files, (1 << M3_FILESET_FILE_COUNT) - 1);
	}
	CHECK_INT(list.count, 6);
	m3_fileset_list_free(&list);
}

static void
check_totals(const M3Manifest *manifest, const char *ns_name, uint64_t filesets,
			 uint64_t blocks, uint64_t series, uint64_t damaged, uint64_t incomplete)
{
	const M3ManifestNamespace *ns = m3_manifest_namespace(manifest, m3_slice_cstr(ns_name));
	M3ManifestTotals totals;

	if (!CHECK(ns != NULL))
		return;
	m3_manifest_totals(ns, &totals);
	CHECK_INT(totals.filesets, filesets);
	CHECK_INT(totals.blocks, blocks);
	CHECK_INT(totals.series_blocks, series);
	CHECK_INT(totals.superseded, filesets - blocks);
	CHECK_INT(totals.damaged, damaged);
	CHECK_INT(totals.incomplete, incomplete);
}

static void
test_manifest_refresh(void)
{
	char		root[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	char		dir[2][M3_FILESET_PATH_SIZE];
	const M3FilesetName block = {1000, 1, false};
	const M3ManifestShard *shard;
	const M3ManifestFileset *fileset;
	M3Manifest *manifest;
	uint64_t	reads;
	size_t		position = 0;

	strcpy(root, in_scratch("root"));
	for (uint32_t i = 0; i < 2; i++)
		CHECK_OK(m3_fileset_shard_directory(dir[i], root, M3_FILESET_KIND_DATA,
											m3_slice_cstr(i == 0 ? "b" : "a"), 3 + 7 * i, &err));
	CHECK_OK(m3_manifest_create(env, &m3_memory_malloc, root, M3_FILESET_KIND_DATA, &manifest,
								&err));
	CHECK_OK(m3_manifest_refresh(manifest, true, &err));
	CHECK_INT(manifest->count, 0);

	write_volume(dir[0], 1000, 0, 3);
	write_volume(dir[0], 1000, 1, 4);
	write_volume(dir[0], 1000 + FIXTURE_SIZE, 0, 5);
	write_volume(dir[1], -FIXTURE_SIZE, 0, 6);
	CHECK_OK(env->make_directory(env, in_scratch("root/data/a/notashard"), &err));
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->count, 2);
	CHECK_INT(manifest->headers_read, 4);
	check_totals(manifest, "b", 3, 2, 9, 0, 0);
	check_totals(manifest, "a", 1, 1, 6, 0, 0);
	CHECK(m3_manifest_namespace(manifest, m3_slice_cstr("c")) == NULL);
	shard = m3_manifest_shard(m3_manifest_namespace(manifest, m3_slice_cstr("b")), 3);
	CHECK(m3_manifest_shard(m3_manifest_namespace(manifest, m3_slice_cstr("b")), 4) == NULL);
	CHECK_INT(m3_manifest_block(shard, 1000)->name.volume, 1);
	CHECK(m3_manifest_block(shard, 1001) == NULL);
	/* [start, end) against blocks of 1000 .. 1000 + size .. 1000 + 2 size */
	CHECK(m3_manifest_next_block(shard, 0, 1000, &position) == NULL);
	position = 0;
	fileset = m3_manifest_next_block(shard, 0, 1001, &position);
	CHECK_INT(fileset->name.volume, 1);
	CHECK(m3_manifest_next_block(shard, 0, 1001, &position) == NULL);
	position = 0;
	fileset = m3_manifest_next_block(shard, 1000 + FIXTURE_SIZE, INT64_MAX, &position);
	CHECK_INT(fileset->name.block_start_ns, 1000 + FIXTURE_SIZE);
	CHECK(fileset->data_size > 0 && fileset->index_size > 0);
	position = 0;
	CHECK(m3_manifest_next_block(shard, 1000 + 2 * FIXTURE_SIZE, INT64_MAX, &position) == NULL);

	/* what did not change is not read again */
	CHECK_OK(m3_manifest_refresh(manifest, true, &err));
	CHECK_INT(manifest->headers_read, 4);

	/* damaged, then incomplete, then gone, then back as another */
	path_of(path, dir[0], 1000, 2, M3_FILESET_CHECKPOINT);
	spew(path, "1234", 4);
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->headers_read, 5);
	check_totals(manifest, "b", 3, 2, 9, 1, 0);
	remove(path);
	path_of(path, dir[0], 1000, 2, M3_FILESET_DATA);
	spew(path, "1234", 4);
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->headers_read, 5);
	check_totals(manifest, "b", 3, 2, 9, 0, 1);
	CHECK_OK(m3_fileset_remove(env, dir[0], &block, 1, &err));
	CHECK_OK(m3_manifest_refresh_shard(manifest, m3_slice_cstr("b"), 3, false, &err));
	check_totals(manifest, "b", 2, 2, 8, 0, 1);
	write_volume(dir[0], 1000, 1, 7);
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	check_totals(manifest, "b", 3, 2, 12, 0, 1);
	CHECK_OK(m3_fileset_remove(env, dir[0], &block, 1, &err));
	write_volume(dir[0], 1000, 1, 8);
	reads = manifest->headers_read;
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->headers_read, reads);	/* names are the same */
	CHECK_OK(m3_manifest_refresh(manifest, true, &err));
	check_totals(manifest, "b", 3, 2, 13, 0, 1);

	/* whole directories come and go */
	fixture_remove(dir[1]);
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	check_totals(manifest, "a", 0, 0, 0, 0, 0);
	fixture_remove(in_scratch("root/data/a"));
	CHECK_OK(m3_manifest_refresh(manifest, false, &err));
	CHECK_INT(manifest->count, 1);
	CHECK_OK(m3_manifest_refresh_shard(manifest, m3_slice_cstr("zz"), 9, false, &err));
	check_totals(manifest, "zz", 0, 0, 0, 0, 0);
	CHECK_STATUS(m3_manifest_refresh_shard(manifest, m3_slice_cstr("b"), 3, true, NULL), M3_OK);
	m3_manifest_free(manifest);
}

static void
write_metadata(const char *root, int64_t index, uint8_t uuid, int64_t log_index)
{
	M3SnapshotMetadata metadata = {.index = index,.log_index = log_index};

	memset(metadata.uuid, uuid, sizeof(metadata.uuid));
	CHECK_OK(m3_snapshot_metadata_write(env, root, &metadata, &err));
}

static void
check_list(const char *root, size_t count, int64_t newest, int64_t log_index, int64_t next,
		   bool ambiguous)
{
	M3SnapshotMetadataList list;
	int64_t		index;
	const M3SnapshotMetadataEntry *entry;

	CHECK_OK(m3_snapshot_metadata_list(env, &m3_memory_malloc, root, &list, &err));
	CHECK_INT(list.count, count);
	entry = m3_snapshot_metadata_newest(&list);
	if (newest < 0)
		CHECK(entry == NULL);
	else if (CHECK(entry != NULL))
	{
		CHECK_INT(entry->name.index, newest);
		CHECK_INT(entry->log_index, log_index);
	}
	CHECK_OK(m3_snapshot_metadata_next_index(&list, &index, &err));
	CHECK_INT(index, next);
	CHECK_INT(m3_snapshot_metadata_ambiguous(&list), ambiguous);
	m3_snapshot_metadata_list_free(&list);
}

static void
test_metadata_list(void)
{
	char		root[M3_FILESET_PATH_SIZE];
	char		path[M3_FILESET_PATH_SIZE];
	M3SnapshotMetadataName name = {.index = 9};
	M3SnapshotMetadataName all[3] = {{.index = 9}, {.index = 0}, {.index = 12}};
	M3SnapshotMetadata last = {.index = INT64_MAX};
	M3SnapshotMetadataList list;
	int64_t		index;

	strcpy(root, in_scratch("meta"));
	memset(name.uuid, 4, 16);
	memset(all[0].uuid, 4, 16);
	memset(all[1].uuid, 2, 16);
	memset(all[2].uuid, 3, 16);
	check_list(root, 0, -1, 0, 0, false);
	write_metadata(root, 0, 2, 0);
	check_list(root, 1, 0, 0, 1, false);
	write_metadata(root, 12, 3, 40);
	write_metadata(root, 9, 4, 30);
	check_list(root, 3, 12, 40, 13, false);
	write_metadata(root, 9, 5, 31);
	check_list(root, 4, 12, 40, 13, true);

	/* half a pair is there, but not valid */
	CHECK_OK(m3_snapshot_metadata_path(path, root, &all[2], true, &err));
	remove(path);
	CHECK_OK(m3_snapshot_metadata_path(path, root, &name, false, &err));
	remove(path);
	check_list(root, 4, 9, 31, 10, false);
	/* and may be written again */
	write_metadata(root, 9, 4, 29);
	check_list(root, 4, 9, 31, 10, true);
	CHECK_OK(m3_snapshot_metadata_remove(env, root, all, 3, &err));
	CHECK_OK(m3_snapshot_metadata_remove(env, root, all, 3, &err));
	check_list(root, 1, 9, 31, 10, false);

	CHECK_OK(m3_snapshot_metadata_write(env, root, &last, &err));
	CHECK_OK(m3_snapshot_metadata_list(env, &m3_memory_malloc, root, &list, &err));
	CHECK_STATUS(m3_snapshot_metadata_next_index(&list, &index, &err), M3_FULL);
	m3_snapshot_metadata_list_free(&list);
	last.index = -1;
	CHECK_STATUS(m3_snapshot_metadata_write(env, root, &last, &err), M3_INVALID);
}

int
main(void)
{
	fixture_begin();
	test_choice();
	test_manifest_refresh();
	test_metadata_list();
	return fixture_end();
}
