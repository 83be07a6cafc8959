#include <inttypes.h>

#include "storage/base/time.h"
#include "storage/log/reader.h"
#include "tools/show_private.h"

static void
show_marker(Show *show, const M3LogMarker *marker)
{
	switch (marker->kind)
	{
		case M3_LOG_MARKER_GROUP:
			fprintf(show->out, "marker: group of %" PRIu64 " entries, transaction %" PRIu64 "\n",
					marker->count, marker->xid);
			break;
		case M3_LOG_MARKER_ABORT:
			fprintf(show->out, "marker: the group at byte %" PRIu64 " of log %" PRIu64
					" is taken back\n", marker->offset, marker->log_index);
			break;
		case M3_LOG_MARKER_RESOLVED:
			fprintf(show->out, "marker: transactions up to log %" PRIu64 " are resolved\n",
					marker->log_index);
			break;
		case M3_LOG_MARKER_VOID:
			fprintf(show->out, "marker: %s of namespace ", marker->dropped ? "drop" : "truncate");
			show_readable(show, marker->name);
			fputc('\n', show->out);
			break;
	}
}

static void
show_series(Show *show, const M3LogSeries *series)
{
	const M3LogSeriesMetadata *metadata = &series->metadata;

	fprintf(show->out, "  series %" PRIu64 ": namespace ", series->unique_index);
	show_readable(show, metadata->namespace);
	fprintf(show->out, ", shard %" PRIu32 ", id ", metadata->shard);
	show_readable(show, metadata->id);
	fputs(", tags ", show->out);
	show_tags(show, metadata->tags);
	fputc('\n', show->out);
}

static void
show_record(Show *show, uint64_t number, M3LogRecord *record)
{
	char		time[TEXT_TIME_SIZE];
	char		created[TEXT_TIME_SIZE];
	const char *unit = m3_unit_name(record->unit);

	fprintf(show->out, "%8" PRIu64 "  chunk %" PRIu64 ", group %" PRIu64, number,
			record->chunk_offset, record->group_offset);
	if (record->group_xid != 0)
		fprintf(show->out, " of transaction %" PRIu64, record->group_xid);
	fputs("  ", show->out);
	if (record->is_marker)
	{
		show_marker(show, &record->marker);
		return;
	}
	text_clear(&show->line);
	text_add_value(&show->line, record->value);
	fprintf(show->out, "series %" PRIu64 "  %s  %.*s  %s", record->series->unique_index,
			text_time(record->time_ns, time), (int) show->line.size, show->line.data,
			unit[0] == '\0' ? "invalid unit" : unit);
	fprintf(show->out, "  written %s", text_time(record->create_ns, created));
	if (record->annotation.size > 0)
	{
		fputs("  annotation ", show->out);
		show_readable(show, record->annotation);
	}
	fputc('\n', show->out);
	if (record->series->user == 0)
		show_series(show, record->series);
	record->series->user = 1;
}

static bool
is_empty(Show *show)
{
	M3File	   *file;
	uint64_t	size;
	bool		empty;

	if (show->env->open(show->env, show->path, M3_OPEN_READ, &file, NULL) != M3_OK)
		return false;
	empty = show->env->size(show->env, file, &size, NULL) == M3_OK && size == 0;
	show->env->close(show->env, file);
	return empty;
}

M3Status
show_log(Show *show, M3Error *err)
{
	M3LogReader *reader;
	const M3LogInfo *info;
	M3LogRecord record;
	M3LogEnd	end;
	uint64_t	count = 0;
	M3Status	status;
	char		time[TEXT_TIME_SIZE];

	if (is_empty(show))
	{
		fputs("commit log, empty: opened, and never written\n", show->out);
		return M3_OK;
	}
	M3_TRY(m3_log_reader_open(show->env, show->memory, show->path, NULL, &reader, err));
	info = m3_log_reader_info(reader);
	fprintf(show->out, "commit log, number %" PRId64 "\n", info->index);
	if (info->duration_ns != 0)
		fprintf(show->out, "window from %s", text_time(info->start_ns, time));
	if (info->duration_ns != 0)
		fprintf(show->out, ", %s long\n", text_duration(info->duration_ns, time));
	while ((status = m3_log_reader_next(reader, &record, err)) == M3_OK)
	{
		if (show_has_room(show, count))
			show_record(show, count, &record);
		count++;
	}
	m3_log_reader_end(reader, &end);
	m3_log_reader_close(reader);
	if (status != M3_NOT_FOUND)
		return status;
	show_rest(show, count, count, "entries");
	fprintf(show->out, "end: %s, %" PRIu64 " of %" PRIu64 " bytes are whole groups, with %" PRIu64
			" entries in %" PRIu64 " groups\n", m3_log_end_name(end.kind), end.valid_size,
			end.file_size, end.entries, end.groups);
	if (end.kind == M3_LOG_END_CLEAN || end.kind == M3_LOG_END_ZEROS)
		return M3_OK;
	return m3_error_corrupt(err, show->path, (int64_t) end.offset, "%s", end.reason);
}
