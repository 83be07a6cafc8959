#include "tools/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tools/root.h"
#include "tools/verify_private.h"

void
verify_options_default(VerifyOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->limit = 10;
}

int
verify_exit_code(const VerifyReport *report)
{
	return report->damages > 0 ? VERIFY_DAMAGE : report->notes > 0 ? VERIFY_NOTE : 0;
}

void
verify_finding(Verify *v, VerifySeverity severity, const char *file, int64_t offset,
			   const char *consequence, const char *format,...)
{
	char		what[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (severity == VERIFY_DAMAGE)
		v->report->damages++;
	else
		v->report->notes++;
	v->finding(v->context, severity, file, offset, what, consequence);
}

static M3Status
check_registry(Verify *v, M3Error *err)
{
	char		path[M3_FILESET_PATH_SIZE];
	M3Error		reason;
	M3Status	status;

	if (snprintf(path, sizeof(path), "%s/" M3_REGISTRY_FILE, v->options->root) >=
		(int) sizeof(path))
		return m3_error(err, M3_INVALID, "path of the root is too long");
	memset(&reason, 0, sizeof(reason));
	status = registry_read(v->env, v->memory, path, &v->registry, &reason);
	v->has_registry = status == M3_OK;
	if (status == M3_CORRUPT || status == M3_UNSUPPORTED)
		verify_finding(v, VERIFY_DAMAGE, path, -1, "the server cannot open this root",
					   "%s", reason.message);
	else if (status != M3_OK && status != M3_NOT_FOUND)
	{
		if (err != NULL)
			*err = reason;
		return status;
	}
	if (v->registry.has_root)
	{
		v->shard_count = v->registry.shard_count;
		v->hash_seed = v->registry.hash_seed;
	}
	if (v->options->has_shards)
	{
		if (v->registry.has_root && (v->options->shard_count != v->shard_count ||
									 v->options->hash_seed != v->hash_seed))
			verify_finding(v, VERIFY_NOTE, path, -1, "the shards asked for are checked",
						   "registry says %u shards with hash seed %u", v->shard_count,
						   v->hash_seed);
		v->shard_count = v->options->shard_count;
		v->hash_seed = v->options->hash_seed;
	}
	return M3_OK;
}

static M3Status
check_metadata(Verify *v, M3Error *err)
{
	M3SnapshotMetadataList *list = &v->metadata;
	char		path[M3_FILESET_PATH_SIZE];
	bool		has_log = false;

	M3_TRY(m3_snapshot_metadata_list(v->env, v->memory, v->options->root, list, err));
	v->newest = m3_snapshot_metadata_newest(list);
	for (size_t i = 0; i < list->count; i++)
	{
		const M3SnapshotMetadataEntry *entry = &list->entries[i];
		uint8_t		buffer[M3_SNAPSHOT_METADATA_MAX_SIZE];
		M3SnapshotMetadata metadata;
		M3Error		reason;
		M3Status	status;

		v->report->metadata++;
		M3_TRY(m3_snapshot_metadata_path(path, v->options->root, &entry->name, false, err));
		if (entry->valid)
			continue;
		memset(&reason, 0, sizeof(reason));
		status = m3_snapshot_metadata_read(v->env, v->options->root, &entry->name, buffer,
										   &metadata, &reason);
		verify_finding(v, VERIFY_NOTE, path, -1,
					   "the run counts as unpublished; recovery does not need it",
					   "snapshot metadata without a valid pair: %s",
					   status == M3_NOT_FOUND ? "no whole checkpoint" : reason.message);
	}
	if (m3_snapshot_metadata_ambiguous(list))
		verify_finding(v, VERIFY_NOTE, path, -1, "M3DB's cleanup removes nothing any more",
					   "two valid snapshot metadata files have the same index");
	if (v->newest == NULL)
		return M3_OK;
	for (size_t i = 0; i < m3_log_set_count(v->logs); i++)
	{
		const M3LogFile *file = m3_log_set_file(v->logs, i);

		has_log = has_log || (file->has_info && file->info.index == v->newest->log_index);
	}
	if (!has_log)
	{
		M3_TRY(m3_snapshot_metadata_path(path, v->options->root, &v->newest->name, false, err));
		verify_finding(v, VERIFY_NOTE, path, -1,
					   "nothing if that log was blank, else its entries are lost",
					   "no readable commit log %" PRId64 ", the first that the snapshot needs",
					   v->newest->log_index);
	}
	return M3_OK;
}

static void
report_incomplete(Verify *v)
{
	for (size_t i = 0; i < v->incomplete_count; i++)
	{
		const VerifyIncomplete *fileset = &v->incomplete[i];

		if (fileset->is_empty)
			verify_finding(v, VERIFY_NOTE, fileset->path, -1, VERIFY_NO_SERIES,
						   "fileset without a whole checkpoint");
		else if (fileset->is_covered)
			verify_finding(v, VERIFY_NOTE, fileset->path, -1,
						   "an unfinished flush: a snapshot or logs hold the block",
						   "fileset without a whole checkpoint");
		else
			verify_finding(v, VERIFY_DAMAGE, fileset->path, -1,
						   "the block's points are not seen, and no snapshot or log holds them",
						   "fileset without a whole checkpoint");
	}
}

M3Status
verify_root(M3Env *env, M3Memory *memory, const VerifyOptions *options,
			VerifyFindingFn finding, void *context, VerifyReport *report, M3Error *err)
{
	Verify		v = {
		.env = env,.memory = memory,.options = options,.finding = finding,.context = context,
		.report = report
	};
	M3Status	status;

	memset(report, 0, sizeof(*report));
	text_init(&v.entry, memory);
	M3_GOTO(root_check(env, options->root, err));
	M3_GOTO(check_registry(&v, err));
	M3_GOTO(m3_log_set_open(env, memory, options->root, &v.logs, err));
	M3_GOTO(check_metadata(&v, err));
	M3_GOTO(verify_filesets(&v, M3_FILESET_KIND_DATA, err));
	M3_GOTO(verify_filesets(&v, M3_FILESET_KIND_SNAPSHOT, err));
	M3_GOTO(verify_logs(&v, err));
	report_incomplete(&v);
done:
	for (size_t i = 0; i < v.incomplete_count; i++)
		m3_free(memory, v.incomplete[i].namespace_name);
	m3_free(memory, v.incomplete);
	m3_log_set_close(v.logs);
	m3_snapshot_metadata_list_free(&v.metadata);
	registry_free(&v.registry);
	text_free(&v.entry);
	return status;
}
