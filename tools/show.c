#include "tools/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/fileset/metadata.h"
#include "storage/fileset/statistics.h"
#include "storage/log/format.h"
#include "tools/registry.h"
#include "tools/show_private.h"

#define READABLE_SIZE 200

M3Status
show_map(Show *show, const char *path, ShowBytes *bytes, M3Error *err)
{
	M3Env	   *env = show->env;
	M3Status	status;

	memset(bytes, 0, sizeof(*bytes));
	M3_TRY(env->open(env, path, M3_OPEN_READ, &bytes->file, err));
	status = env->map(env, bytes->file, &bytes->data, &bytes->size, err);
	if (status != M3_OK)
		env->close(env, bytes->file);
	/* pointers are added to it */
	if (status == M3_OK && bytes->size == 0)
		bytes->data = (const uint8_t *) "";
	return status;
}

void
show_unmap(Show *show, ShowBytes *bytes)
{
	if (bytes->size > 0)
		show->env->unmap(show->env, bytes->data, bytes->size);
	show->env->close(show->env, bytes->file);
}

void
show_rest(Show *show, uint64_t shown, uint64_t total, const char *noun)
{
	if (show->options->limit != 0 && shown > show->options->limit)
		fprintf(show->out, "    ... %" PRIu64 " more %s (--limit 0 shows all)\n",
				total - show->options->limit, noun);
}

void
show_readable(Show *show, M3Slice bytes)
{
	text_clear(&show->line);
	text_add_readable(&show->line, bytes, READABLE_SIZE);
	fprintf(show->out, "\"%.*s\"", (int) show->line.size,
			show->line.size == 0 ? "" : show->line.data);
}

void
show_tags(Show *show, M3Slice encoded)
{
	bool		ok;

	text_clear(&show->line);
	ok = text_add_tags(&show->line, encoded);
	if (ok)
		fwrite(show->line.data, 1, show->line.size, show->out);
	else
		fputs("that are not well-formed", show->out);
}

static M3Status
show_metadata(Show *show, const char *checkpoint_path, M3Error *err)
{
	M3SnapshotMetadata metadata;
	char		uuid[M3_UUID_TEXT_SIZE + 1];
	ShowBytes	bytes;
	ShowBytes	checkpoint;
	M3Status	status;

	M3_TRY(show_map(show, show->path, &bytes, err));
	status = m3_snapshot_metadata_decode(m3_slice(bytes.data, bytes.size), &metadata, err);
	if (status == M3_OK)
	{
		m3_uuid_format(metadata.uuid, uuid);
		fprintf(show->out, "snapshot metadata\nindex          %" PRId64 "\nsnapshot id    %s\n"
				"first log      %" PRId64 "  (everything in earlier ones is in the snapshot)\n"
				"its path       ", metadata.index, uuid, metadata.log_index);
		show_readable(show, metadata.log_path);
		fputc('\n', show->out);
		if (checkpoint_path != NULL &&
			show_map(show, checkpoint_path, &checkpoint, NULL) == M3_OK)
		{
			bool		ok = checkpoint.size == 4 && m3_load_le32(checkpoint.data) ==
				m3_adler32(M3_ADLER32_INIT, bytes.data, bytes.size);

			fprintf(show->out, "checkpoint     %s\n", ok ? "ok" : "does not match");
			if (!ok)
				status = m3_error(err, M3_CORRUPT, "snapshot metadata fails its checkpoint");
			show_unmap(show, &checkpoint);
		}
		else if (checkpoint_path != NULL)
			fputs("checkpoint     none: not published\n", show->out);
	}
	show_unmap(show, &bytes);
	return status;
}

static M3Status
show_metadata_checkpoint(Show *show, const char *body_path, M3Error *err)
{
	ShowBytes	bytes;
	ShowBytes	body;
	M3Status	status = M3_OK;

	M3_TRY(show_map(show, show->path, &bytes, err));
	if (bytes.size != 4)
		status = m3_error(err, M3_CORRUPT, "checkpoint has %zu bytes, not 4", bytes.size);
	else
	{
		fprintf(show->out, "checkpoint of snapshot metadata\nmetadata file  %08" PRIx32,
				m3_load_le32(bytes.data));
		if (show_map(show, body_path, &body, NULL) != M3_OK)
			fputs("  (file cannot be read)\n", show->out);
		else
		{
			uint32_t	actual = m3_adler32(M3_ADLER32_INIT, body.data, body.size);
			bool		ok = actual == m3_load_le32(bytes.data);

			fprintf(show->out, ok ? "  ok\n" : "  the file has %08" PRIx32 "\n", actual);
			if (!ok)
				status = m3_error(err, M3_CORRUPT, "snapshot metadata fails its checkpoint");
			show_unmap(show, &body);
		}
	}
	show_unmap(show, &bytes);
	return status;
}

static M3Status
show_registry(Show *show, M3Error *err)
{
	Registry	registry;
	char		size[TEXT_TIME_SIZE];
	char		retention[TEXT_TIME_SIZE];
	char		fields[M3_REGISTRY_OPTIONS_SIZE];

	M3_TRY(registry_read(show->env, show->memory, show->path, &registry, err));
	fputs("registry of namespaces, checksum ok\n", show->out);
	if (registry.has_root)
		fprintf(show->out, "%u shards, hash seed %u\n", registry.shard_count, registry.hash_seed);
	for (size_t i = 0; i < registry.count; i++)
	{
		const RegistryNamespace *ns = &registry.namespaces[i];

		if (!show_has_room(show, i))
			continue;
		fputs("namespace ", show->out);
		show_readable(show, ns->name);
		m3_registry_put_options(fields, sizeof(fields), &ns->options);
		fprintf(show->out, ", blocks of %s, retention %s\n   %s\n",
				text_duration(ns->options.block_size_ns, size),
				ns->options.retention_period_ns == 0 ? "unlimited" :
				text_duration(ns->options.retention_period_ns, retention), fields);
	}
	show_rest(show, registry.count, registry.count, "namespaces");
	registry_free(&registry);
	return M3_OK;
}

/* Recognising */

static bool
has_prefix(M3Slice bytes, const char *prefix, size_t size)
{
	return bytes.size >= size && memcmp(bytes.data, prefix, size) == 0;
}

static M3Status
show_by_content(Show *show, M3Error *err)
{
	uint8_t		bytes[64];
	M3File	   *file;
	size_t		got;
	uint32_t	size;
	uint32_t	checksum;
	M3Slice		head;
	M3SnapshotMetadata metadata;
	M3Status	status;

	M3_TRY(show->env->open(show->env, show->path, M3_OPEN_READ, &file, err));
	status = show->env->read(show->env, file, bytes, sizeof(bytes), 0, &got, err);
	show->env->close(show->env, file);
	M3_TRY(status);
	head = m3_slice(bytes, got);
	if (has_prefix(head, "\x01\x92\x02", 3))
		return show_fileset_file(show, NULL, M3_FILESET_INFO, err);
	if (has_prefix(head, "\x01\x92\x05", 3))
		return show_fileset_file(show, NULL, M3_FILESET_INDEX, err);
	if (has_prefix(head, "\x01\x92\x06", 3))
		return show_fileset_file(show, NULL, M3_FILESET_SUMMARIES, err);
	if (has_prefix(head, M3_STATISTICS_MAGIC, strlen(M3_STATISTICS_MAGIC)))
		return show_fileset_file(show, NULL, M3_FILESET_STATISTICS, err);
	if (has_prefix(head, M3_REGISTRY_TITLE, strlen(M3_REGISTRY_TITLE)))
		return show_registry(show, err);
	if (got >= M3_LOG_CHUNK_HEADER_SIZE && m3_log_get_chunk_header(bytes, &size, &checksum))
		return show_log(show, err);
	if (has_prefix(head, "\x08", 1) || has_prefix(head, "\x12\x24", 2))
	{
		ShowBytes	whole;

		M3_TRY(show_map(show, show->path, &whole, err));
		status = m3_snapshot_metadata_decode(m3_slice(whole.data, whole.size), &metadata, NULL);
		show_unmap(show, &whole);
		if (status == M3_OK)
			return show_metadata(show, NULL, err);
	}
	return m3_error(err, M3_UNSUPPORTED, "neither name nor content is that of an engine's file");
}

static M3Status
show_snapshot_file(Show *show, bool is_checkpoint, M3Error *err)
{
	static const char body_end[] = "-metadata.db";
	static const char checkpoint_end[] = "-metadata-checkpoint.db";
	const char *own = is_checkpoint ? checkpoint_end : body_end;
	char		path[M3_FILESET_PATH_SIZE + 32];

	snprintf(path, sizeof(path), "%.*s%s", (int) (strlen(show->path) - strlen(own)), show->path,
			 is_checkpoint ? body_end : checkpoint_end);
	return is_checkpoint ? show_metadata_checkpoint(show, path, err) :
		show_metadata(show, path, err);
}

M3Status
show_file(M3Env *env, M3Memory *memory, const char *path, const ShowOptions *options,
		  FILE *out, M3Error *err)
{
	Show		show = {.env = env,.memory = memory,.options = options,.path = path,.out = out};
	const char *slash = strrchr(path, '/');
	M3FilesetName name;
	M3FilesetFile file;
	M3SnapshotMetadataName metadata;
	bool		is_checkpoint;
	M3Status	status;

	if (strlen(path) >= sizeof(show.directory))
		return m3_error(err, M3_INVALID, "path is too long");
	show.base = slash == NULL ? path : slash + 1;
	snprintf(show.directory, sizeof(show.directory), "%.*s",
			 slash == NULL ? 1 : slash == path ? 1 : (int) (slash - path),
			 slash == NULL ? "." : path);
	text_init(&show.line, memory);
	if (m3_fileset_parse_name(show.base, &name, &file))
		status = show_fileset_file(&show, &name, file, err);
	else if (m3_snapshot_metadata_parse_name(show.base, &metadata, &is_checkpoint))
		status = show_snapshot_file(&show, is_checkpoint, err);
	else if (strncmp(show.base, "commitlog-", 10) == 0)
		status = show_log(&show, err);
	else if (strcmp(show.base, M3_REGISTRY_FILE) == 0)
		status = show_registry(&show, err);
	else
		status = show_by_content(&show, err);
	if (status == M3_OK)
		status = text_status(&show.line, err);
	text_free(&show.line);
	if (fflush(out) != 0 && status == M3_OK)
		status = m3_error_io(err, errno, "output", "write");
	return status;
}
