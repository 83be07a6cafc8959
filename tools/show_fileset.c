/*
 * The files of a fileset.  Each is shown with as little of the others as possible, so
 * that a damaged one can be looked at.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/codec/m3tsz.h"
#include "storage/fileset/bloom.h"
#include "storage/fileset/metadata.h"
#include "tools/show_private.h"

static M3Status
map_fellow(Show *show, const M3FilesetName *name, M3FilesetFile file, ShowBytes *bytes,
		   M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];

	memset(bytes, 0, sizeof(*bytes));
	if (name == NULL)
		return m3_error(err, M3_NOT_FOUND, "the files beside it are not known");
	M3_TRY(m3_fileset_path(path, show->directory, name, file, err));
	return show_map(show, path, bytes, err);
}

static M3Status
show_info(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	M3FilesetInfo info;
	char		time[TEXT_TIME_SIZE];
	char		uuid[M3_UUID_TEXT_SIZE + 1];

	M3_TRY(m3_fileset_info_decode(bytes, &info, err));
	fprintf(show->out, "info of a fileset, format %" PRId64 ".%" PRId64 ", %u fields\n",
			info.major_version, info.minor_version, info.field_count);
	fprintf(show->out, "block start    %" PRId64 "  %s\n", info.block_start_ns,
			text_time(info.block_start_ns, time));
	fprintf(show->out, "block size     %s\n", text_duration(info.block_size_ns, time));
	fprintf(show->out, "volume         %" PRId64 "\n", info.volume);
	fprintf(show->out, "entries        %" PRId64 "\n", info.entry_count);
	fprintf(show->out, "summaries      %" PRId64 "\n", info.summary_count);
	fprintf(show->out, "bloom filter   %" PRIu64 " bits, %u hashes\n", info.bloom_bits,
			info.bloom_hashes);
	if (info.snapshot_time_ns != 0)
		fprintf(show->out, "snapshot time  %" PRId64 "  %s\n", info.snapshot_time_ns,
				text_time(info.snapshot_time_ns, time));
	if (info.has_snapshot_id)
	{
		m3_uuid_format(info.snapshot_id, uuid);
		fprintf(show->out, "snapshot id    %s\n", uuid);
	}
	if (name != NULL && (name->block_start_ns != info.block_start_ns ||
						 name->volume != info.volume))
		return m3_error(err, M3_CORRUPT, "info is of another block or volume than its name says");
	return M3_OK;
}

static void
show_entry(Show *show, uint64_t at, const M3FilesetEntry *entry)
{
	fprintf(show->out, "%8" PRIu64 "  ordinal %" PRId64 ", payload %" PRIu32 " bytes at %" PRId64
			", checksum %08" PRIx32 "  id ", at, entry->ordinal, entry->size, entry->offset,
			entry->checksum);
	show_readable(show, entry->id);
	fputs(", tags ", show->out);
	show_tags(show, entry->tags);
	fputc('\n', show->out);
}

static M3Status
show_index(Show *show, M3Slice bytes, M3Error *err)
{
	uint64_t	count = 0;
	size_t		at = 0;

	fprintf(show->out, "index of a fileset, %zu bytes; each entry at its position\n", bytes.size);
	while (at < bytes.size)
	{
		M3FilesetEntry entry;
		M3Error		reason;
		size_t		used;

		if (m3_fileset_entry_decode(m3_slice(bytes.data + at, bytes.size - at), false, &entry,
									&used, NULL, &reason) != M3_OK)
		{
			show_rest(show, count, count, "entries");
			return m3_error_corrupt(err, show->path, (int64_t) at, "%s", reason.message);
		}
		if (show_has_room(show, count))
			show_entry(show, at, &entry);
		count++;
		at += used;
	}
	show_rest(show, count, count, "entries");
	fprintf(show->out, "end: %" PRIu64 " entries\n", count);
	return M3_OK;
}

static M3Status
show_summaries(Show *show, M3Slice bytes, M3Error *err)
{
	uint64_t	count = 0;
	size_t		at = 0;

	fputs("summaries of a fileset; each at its position\n", show->out);
	while (at < bytes.size)
	{
		M3FilesetSummary summary;
		M3Error		reason;
		size_t		used;

		if (m3_fileset_summary_decode(m3_slice(bytes.data + at, bytes.size - at), &summary, &used,
									  &reason) != M3_OK)
			return m3_error_corrupt(err, show->path, (int64_t) at, "%s", reason.message);
		if (show_has_room(show, count))
		{
			fprintf(show->out, "%8zu  ordinal %" PRId64 ", index position %" PRId64 "  id ", at,
					summary.ordinal, summary.index_offset);
			show_readable(show, summary.id);
			fputc('\n', show->out);
		}
		count++;
		at += used;
	}
	show_rest(show, count, count, "summaries");
	fprintf(show->out, "end: %" PRIu64 " summaries\n", count);
	return M3_OK;
}

static M3Status
show_bloom(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	ShowBytes	info_bytes;
	M3FilesetInfo info;
	uint64_t	set = 0;
	M3Status	status;

	for (size_t i = 0; i < bytes.size; i++)
		set += (uint64_t) __builtin_popcount(bytes.data[i]);
	fprintf(show->out, "bloom filter of a fileset, %zu bytes, %" PRIu64 " bits set\n", bytes.size,
			set);
	status = map_fellow(show, name, M3_FILESET_INFO, &info_bytes, NULL);
	if (status == M3_OK)
	{
		status = m3_fileset_info_decode(m3_slice(info_bytes.data, info_bytes.size), &info, NULL);
		show_unmap(show, &info_bytes);
	}
	if (status != M3_OK)
	{
		fputs("its parameters are in the info file, which cannot be read\n", show->out);
		return M3_OK;
	}
	fprintf(show->out, "parameters     %" PRIu64 " bits, %u hashes, for %" PRId64 " ids\n",
			info.bloom_bits, info.bloom_hashes, info.entry_count);
	if (info.bloom_bits > 0)
		fprintf(show->out, "filled         %.1f %%\n",
				100.0 * (double) set / (double) info.bloom_bits);
	if (bytes.size != m3_bloom_size(info.bloom_bits))
		return m3_error(err, M3_CORRUPT, "bloom filter has %zu bytes, not %" PRIu64, bytes.size,
						m3_bloom_size(info.bloom_bits));
	return M3_OK;
}

static M3Status
show_digest(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	M3Status	status = M3_OK;

	fprintf(show->out, "digests of a fileset, %zu bytes\n", bytes.size);
	if (bytes.size != M3_FILESET_DIGEST_SIZE)
		return m3_error(err, M3_CORRUPT, "digest file has %zu bytes, not 20", bytes.size);
	for (int i = 0; i < M3_FILESET_DIGESTED_COUNT; i++)
	{
		uint32_t	digest = m3_load_le32(bytes.data + 4 * i);
		ShowBytes	file;

		fprintf(show->out, "%-14s %08" PRIx32, m3_fileset_suffix((M3FilesetFile) i), digest);
		if (map_fellow(show, name, (M3FilesetFile) i, &file, NULL) != M3_OK)
			fputs("  (file cannot be read)\n", show->out);
		else
		{
			uint32_t	actual = m3_adler32(M3_ADLER32_INIT, file.data, file.size);

			fprintf(show->out, actual == digest ? "  ok\n" : "  the file has %08" PRIx32 "\n",
					actual);
			if (actual != digest)
				status = m3_error(err, M3_CORRUPT, "%s file fails its checksum",
								  m3_fileset_suffix((M3FilesetFile) i));
			show_unmap(show, &file);
		}
	}
	fprintf(show->out, "of this file   %08" PRIx32 "\n",
			m3_adler32(M3_ADLER32_INIT, bytes.data, bytes.size));
	return status;
}

static M3Status
show_checkpoint(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	ShowBytes	digest;
	uint32_t	actual;

	if (bytes.size != M3_FILESET_CHECKPOINT_SIZE)
		return m3_error(err, M3_CORRUPT, "checkpoint has %zu bytes, not 4: the fileset is not "
						"complete", bytes.size);
	fprintf(show->out, "checkpoint of a fileset\ndigest file    %08" PRIx32,
			m3_load_le32(bytes.data));
	if (map_fellow(show, name, M3_FILESET_DIGEST, &digest, NULL) != M3_OK)
	{
		fputs("  (file cannot be read)\n", show->out);
		return M3_OK;
	}
	actual = m3_adler32(M3_ADLER32_INIT, digest.data, digest.size);
	show_unmap(show, &digest);
	fprintf(show->out, actual == m3_load_le32(bytes.data) ? "  ok\n" :
			"  the file has %08" PRIx32 "\n", actual);
	if (actual != m3_load_le32(bytes.data))
		return m3_error(err, M3_CORRUPT, "digest file fails its checksum");
	return M3_OK;
}

static M3Status
show_stream(Show *show, M3Slice payload, M3Error *err)
{
	M3Decoder	decoder;
	M3Point		point;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	uint64_t	count = 0;
	char		time[TEXT_TIME_SIZE];
	M3Status	status;

	m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
	while ((status = m3_decoder_next(&decoder, &point, show->memory, &scratch, &scratch_size,
									 err)) == M3_OK)
	{
		if (show_has_room(show, count))
		{
			text_clear(&show->line);
			text_add_value(&show->line, point.value);
			fprintf(show->out, "    %s  %.*s  %s", text_time(point.time_ns, time),
					(int) show->line.size, show->line.data, m3_unit_name(point.unit));
			if (point.annotation.size > 0)
			{
				fputs("  annotation ", show->out);
				show_readable(show, point.annotation);
			}
			fputc('\n', show->out);
		}
		count++;
	}
	m3_free(show->memory, scratch);
	show_rest(show, count, count, "points");
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* One series of the data file; damage of it is told and does not end the listing. */
static M3Status
show_payload(Show *show, const M3FilesetEntry *entry, M3Slice data, M3Error *err)
{
	M3Slice		payload;
	M3Error		reason;

	if (entry->offset < 0 || (uint64_t) entry->offset > data.size ||
		entry->size > data.size - (uint64_t) entry->offset)
	{
		fputs("    payload lies beyond the end of the file\n", show->out);
		return m3_error_corrupt(err, show->path, entry->offset, "a payload is cut off");
	}
	payload = m3_slice(data.data + entry->offset, entry->size);
	if (m3_adler32(M3_ADLER32_INIT, payload.data, payload.size) != entry->checksum)
	{
		fputs("    payload fails its checksum; what it decodes to:\n", show->out);
		(void) show_stream(show, payload, NULL);
		return m3_error_corrupt(err, show->path, entry->offset, "a payload fails its checksum");
	}
	if (show_stream(show, payload, &reason) != M3_OK)
	{
		fprintf(show->out, "    stream ends in damage: %s\n", reason.message);
		return m3_error_corrupt(err, show->path, entry->offset, "a stream cannot be decoded");
	}
	return M3_OK;
}

static M3Status
show_data(Show *show, const M3FilesetName *name, M3Slice bytes, M3Error *err)
{
	ShowBytes	index;
	uint64_t	count = 0;
	size_t		at = 0;
	M3Status	result = M3_OK;

	fprintf(show->out, "data of a fileset, %zu bytes; series in the order of their ids\n",
			bytes.size);
	if (map_fellow(show, name, M3_FILESET_INDEX, &index, NULL) != M3_OK)
	{
		fputs("its index cannot be read, so series cannot be told apart\n", show->out);
		return M3_OK;
	}
	while (at < index.size)
	{
		M3FilesetEntry entry;
		size_t		used;
		M3Status	status;

		status = m3_fileset_entry_decode(m3_slice(index.data + at, index.size - at), false,
										 &entry, &used, NULL, err);
		if (status != M3_OK)
		{
			result = status;
			break;
		}
		if (show_has_room(show, count))
		{
			show_entry(show, at, &entry);
			if (show_payload(show, &entry, bytes, err) != M3_OK)
				result = M3_CORRUPT;
		}
		count++;
		at += used;
	}
	show_unmap(show, &index);
	show_rest(show, count, count, "series");
	return result;
}

M3Status
show_fileset_file(Show *show, const M3FilesetName *name, M3FilesetFile file, M3Error *err)
{
	ShowBytes	bytes;
	M3Slice		slice;
	M3Status	status = M3_OK;

	M3_TRY(show_map(show, show->path, &bytes, err));
	slice = m3_slice(bytes.data, bytes.size);
	switch (file)
	{
		case M3_FILESET_INFO:
			status = show_info(show, name, slice, err);
			break;
		case M3_FILESET_INDEX:
			status = show_index(show, slice, err);
			break;
		case M3_FILESET_SUMMARIES:
			status = show_summaries(show, slice, err);
			break;
		case M3_FILESET_BLOOM:
			status = show_bloom(show, name, slice, err);
			break;
		case M3_FILESET_DATA:
			status = show_data(show, name, slice, err);
			break;
		case M3_FILESET_DIGEST:
			status = show_digest(show, name, slice, err);
			break;
		case M3_FILESET_CHECKPOINT:
			status = show_checkpoint(show, name, slice, err);
			break;
		case M3_FILESET_STATISTICS:
			status = show_statistics(show, name, slice, err);
			break;
	}
	show_unmap(show, &bytes);
	return status;
}
