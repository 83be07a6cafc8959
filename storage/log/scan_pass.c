/*
 * The two passes over the files of a set.
 */
#include "storage/log/scan_private.h"

#include <stdlib.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define PROGRESS_STEP ((uint64_t) 4 * 1024 * 1024)

/* How far a pass over all files is, and whom to tell. */
typedef struct Progress
{
	M3LogProgressFn fn;
	void	   *context;
	uint64_t	before;			/* bytes of the files done */
	uint64_t	total;
	uint64_t	next;			/* to tell again at */
} Progress;

/* Passes */

static Progress
progress_start(const M3LogSet *set, M3LogProgressFn fn, void *context)
{
	Progress	progress = {.fn = fn, .context = context, .next = PROGRESS_STEP};

	for (size_t i = 0; i < set->count; i++)
		progress.total += set->files[i].file.has_info ? set->files[i].file.size : 0;
	return progress;
}

static M3Status
progress_tell(Progress *progress, uint64_t done, M3Error *err)
{
	M3Status	status = M3_OK;

	progress->next = done + PROGRESS_STEP;
	if (progress->fn != NULL)
		status = progress->fn(progress->context, done < progress->total ? done : progress->total,
							  progress->total);
	if (status != M3_OK)
		m3_error(err, status, "reading of the commit log was stopped");
	return status;
}

/* Between two entries, or groups when replaying. */
static M3Status
progress_step(M3LogSet *set, Progress *progress, M3LogReader *reader, M3Error *err)
{
	uint64_t	done = progress->before + m3_log_reader_offset(reader);

	if (done < progress->next)
		return M3_OK;
	M3_TRY(progress_tell(progress, done, err));
	m3_log_reader_release_file(reader);
	set->env->yield(set->env);
	return M3_OK;
}

static M3Status
note_aborted(M3LogSet *set, const M3LogMarker *marker, M3Error *err)
{
	if (set->aborted_count == set->aborted_capacity)
	{
		size_t		capacity = set->aborted_capacity == 0 ? 64 : set->aborted_capacity * 2;
		M3LogAbortedGroup *grown = m3_resize(set->memory, set->aborted, capacity * sizeof(*grown));

		if (grown == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		set->aborted = grown;
		set->aborted_capacity = capacity;
	}
	set->aborted[set->aborted_count].log_index = marker->log_index;
	set->aborted[set->aborted_count].offset = marker->offset;
	set->aborted_count++;
	return M3_OK;
}

static M3Status
check_entries(M3LogSet *set, M3LogReader *reader, Progress *progress, M3Error *err)
{
	M3LogRecord record;
	M3Status	status;

	while ((status = m3_log_reader_next(reader, &record, err)) == M3_OK)
	{
		/* such a marker is a group by itself: it is whole */
		if (record.is_marker && record.marker.kind == M3_LOG_MARKER_ABORT)
			M3_TRY(note_aborted(set, &record.marker, err));
		else if (record.is_marker && record.marker.kind == M3_LOG_MARKER_RESOLVED &&
				 (!set->has_resolved || record.marker.log_index > set->resolved))
		{
			set->has_resolved = true;
			set->resolved = record.marker.log_index;
		}
		M3_TRY(progress_step(set, progress, reader, err));
	}
	return status == M3_NOT_FOUND ? M3_OK : status;
}

static M3Status
open_file(M3LogSet *set, const M3LogFile *file, const M3LogReaderOptions *options,
		  M3LogReader **reader, M3Error *err)
{
	char		path[M3_LOG_PATH_SIZE];

	M3_TRY(m3i_log_set_path(set, file->name, path, sizeof(path), err));
	return m3_log_reader_open(set->env, set->memory, path, options, reader, err);
}

static int
compare_aborted(const void *left, const void *right)
{
	const M3LogAbortedGroup *a = left;
	const M3LogAbortedGroup *b = right;

	if (a->log_index != b->log_index)
		return a->log_index < b->log_index ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

M3Status
m3_log_set_check(M3LogSet *set, M3LogProgressFn fn, void *context, M3Error *err)
{
	Progress	progress = progress_start(set, fn, context);

	set->aborted_count = 0;
	set->has_resolved = false;
	set->resolved = 0;
	for (size_t i = 0; i < set->count; i++)
	{
		M3LogFile  *file = &set->files[i].file;
		M3LogReader *reader;
		M3Status	status;

		if (!file->has_info)
			continue;
		M3_TRY(open_file(set, file, NULL, &reader, err));
		status = check_entries(set, reader, &progress, err);
		m3_log_reader_end(reader, &file->end);
		m3_log_reader_close(reader);
		M3_TRY(status);
		file->is_checked = true;
		file->size = file->end.file_size;
		progress.before += file->size;
	}
	if (set->aborted_count > 1)
		qsort(set->aborted, set->aborted_count, sizeof(*set->aborted), compare_aborted);
	return progress_tell(&progress, progress.total, err);
}

uint64_t
m3_log_set_entries(const M3LogSet *set)
{
	uint64_t	entries = 0;

	for (size_t i = 0; i < set->count; i++)
		entries += set->files[i].file.end.entries;
	return entries;
}

bool
m3_log_set_is_aborted(const M3LogSet *set, uint64_t log_index, uint64_t offset)
{
	M3LogAbortedGroup key = {log_index, offset};

	return set->aborted_count > 0 &&
		bsearch(&key, set->aborted, set->aborted_count, sizeof(key), compare_aborted) != NULL;
}

bool
m3_log_set_resolved(const M3LogSet *set, uint64_t *log_index)
{
	*log_index = set->resolved;
	return set->has_resolved;
}

/* Replay */

/* The group that entries are delivered for. */
typedef struct Delivery
{
	M3LogGroupInfo group;
	bool		open;
	bool		apply;
} Delivery;

static M3Status
begin_group(const M3LogSet *set, const M3LogReplay *replay, const M3LogFile *file,
			const M3LogRecord *record, Delivery *delivery, M3Error *err)
{
	M3LogGroupInfo *group = &delivery->group;

	group->log_index = (uint64_t) file->info.index;
	group->offset = record->group_offset;
	group->xid = record->group_xid;
	group->is_resolved = group->xid != 0 && set->has_resolved &&
		group->log_index <= set->resolved;
	delivery->open = true;
	delivery->apply = file->is_legacy ||
		!m3_log_set_is_aborted(set, group->log_index, group->offset);
	if (delivery->apply && replay->begin != NULL)
		return replay->begin(replay->context, group, &delivery->apply, err);
	return M3_OK;
}

static M3Status
end_group(const M3LogReplay *replay, Delivery *delivery, M3Error *err)
{
	bool		tell = delivery->open && delivery->apply && replay->end != NULL;

	delivery->open = false;
	return tell ? replay->end(replay->context, &delivery->group, err) : M3_OK;
}

static M3Status
deliver(const M3LogReplay *replay, const M3LogGroupInfo *group, const M3LogRecord *record,
		M3Error *err)
{
	if (!record->is_marker)
		return replay->entry(replay->context, group, record, err);
	if (replay->voided == NULL)
		return M3_OK;
	return replay->voided(replay->context, group, &record->marker, err);
}

static M3Status
replay_entries(M3LogSet *set, const M3LogReplay *replay, const M3LogFile *file,
			   M3LogReader *reader, Progress *progress, M3Error *err)
{
	Delivery	delivery;
	M3LogRecord record;
	M3LogEnd	end;
	M3Status	status;

	memset(&delivery, 0, sizeof(delivery));
	while ((status = m3_log_reader_next(reader, &record, err)) == M3_OK)
	{
		if (!delivery.open || record.group_offset != delivery.group.offset)
		{
			M3_TRY(end_group(replay, &delivery, err));
			/* the record stays valid: only the file is closed, not the window */
			M3_TRY(progress_step(set, progress, reader, err));
			if (m3_log_is_entry(&record))
				M3_TRY(begin_group(set, replay, file, &record, &delivery, err));
		}
		if (m3_log_is_entry(&record) && delivery.apply)
			M3_TRY(deliver(replay, &delivery.group, &record, err));
	}
	if (status != M3_NOT_FOUND)
		return status;
	M3_TRY(end_group(replay, &delivery, err));
	m3_log_reader_end(reader, &end);
	if (end.kind != M3_LOG_END_CLEAN)
		return m3_error_corrupt(err, file->name, (int64_t) end.offset,
								"commit log has changed since it was checked");
	return M3_OK;
}

M3Status
m3_log_set_replay(M3LogSet *set, const M3LogReplay *replay, M3Error *err)
{
	Progress	progress = progress_start(set, replay->progress, replay->context);

	for (size_t i = 0; i < set->count; i++)
	{
		const M3LogFile *file = &set->files[i].file;
		M3LogReaderOptions options = {.limit = file->end.valid_size, .trusted = true};
		M3LogReader *reader;
		M3Status	status = M3_OK;

		/* valid_size 0: the first group is torn, and the log info in it */
		if (file->is_checked && file->end.valid_size > 0 &&
			(file->is_legacy || (uint64_t) file->info.index >= replay->first_index))
		{
			M3_TRY(open_file(set, file, &options, &reader, err));
			if (replay->file != NULL)
				status = replay->file(replay->context, file, err);
			if (status == M3_OK)
				status = replay_entries(set, replay, file, reader, &progress, err);
			m3_log_reader_close(reader);
			M3_TRY(status);
		}
		progress.before += file->has_info ? file->size : 0;
	}
	return progress_tell(&progress, progress.total, err);
}
