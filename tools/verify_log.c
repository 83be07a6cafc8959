/*
 * Commit logs: how each ends, and what its entries say.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/ident/id.h"
#include "storage/ident/tags.h"
#include "tools/verify_private.h"

/* Faults of one log, told once each. */
typedef struct LogFaults
{
	uint64_t	bad_units;
	uint64_t	bad_tags;
	uint64_t	wrong_shards;
	uint64_t	unregistered;	/* series */
} LogFaults;

typedef struct LogContext
{
	Verify	   *v;
	const M3LogFile *file;
	LogFaults	faults;
} LogContext;

#define SERIES_PLAIN 1			/* M3LogSeries.user; 0: not seen yet */
#define SERIES_COVERS 2			/* is of a namespace and shard with an unfinished flush */

static void
log_path(const Verify *v, const M3LogFile *file, char path[M3_LOG_PATH_SIZE])
{
	snprintf(path, M3_LOG_PATH_SIZE, "%s/" M3_LOG_DIRECTORY "/%s", v->options->root, file->name);
}

/* The index of a log without header is that of its name. */
static bool
is_superseded(const Verify *v, const M3LogFile *file)
{
	int64_t		index = file->info.index;
	const char *dash = strrchr(file->name, '-');
	const char *end;

	if (v->newest == NULL || file->is_legacy)
		return false;
	if (!file->has_info &&
		(dash == NULL || !m3_fileset_parse_decimal(dash + 1, &end, &index)))
		return false;
	return index < v->newest->log_index;
}

static bool
has_entries_after(const Verify *v, size_t number)
{
	for (size_t i = number + 1; i < m3_log_set_count(v->logs); i++)
	{
		if (m3_log_set_file(v->logs, i)->end.entries > 0)
			return true;
	}
	return false;
}

static void
check_header(Verify *v, const M3LogFile *file)
{
	char		path[M3_LOG_PATH_SIZE];

	log_path(v, file, path);
	if (!file->has_info && file->is_blank)
		verify_finding(v, VERIFY_NOTE, path, -1, "nothing: it was opened and never written",
					   file->size == 0 ? "log is empty" : "log is %" PRIu64 " zero bytes",
					   file->size);
	else if (!file->has_info)
	{
		bool		superseded = is_superseded(v, file);

		verify_finding(v, superseded ? VERIFY_NOTE : VERIFY_DAMAGE, path, 0, superseded ?
					   "nothing: a published snapshot holds what it held" :
					   "all its entries are lost", "%s", file->reason);
	}
	else if (file->name_differs)
		verify_finding(v, VERIFY_NOTE, path, 0, "the header's number counts",
					   "header says log %" PRId64, file->info.index);
}

static void
check_end(Verify *v, size_t number)
{
	const M3LogFile *file = m3_log_set_file(v->logs, number);
	const M3LogEnd *end = &file->end;
	bool		superseded = is_superseded(v, file);
	bool		followed = has_entries_after(v, number);
	VerifySeverity severity = VERIFY_NOTE;
	const char *consequence = "nothing: a published snapshot holds what it held";
	char		path[M3_LOG_PATH_SIZE];

	switch (end->kind)
	{
		case M3_LOG_END_CLEAN:
			return;
		case M3_LOG_END_ZEROS:
			if (!superseded)
				consequence = "nothing: room kept for entries, or a write that was not synced";
			break;
		case M3_LOG_END_TORN:
			if (!superseded && followed)
				consequence = "an unfinished write is left out; M3DB reads no later log";
			else if (!superseded)
				consequence = "nothing that was acknowledged as durable: an unfinished write "
					"is left out";
			break;
		case M3_LOG_END_HOLE:
			if (!superseded && followed)
			{
				severity = VERIFY_DAMAGE;
				consequence = "the log's entries from there on are lost";
			}
			else if (!superseded)
				consequence = "nothing that was acknowledged as durable: the last sync was not "
					"finished";
			break;
		case M3_LOG_END_CORRUPT:
			if (!superseded)
			{
				severity = VERIFY_DAMAGE;
				consequence = followed ?
					"the log's entries from there on are lost; M3DB reads no later log" :
					"the log's entries from there on are lost";
			}
			break;
	}
	log_path(v, file, path);
	verify_finding(v, severity, path, (int64_t) end->offset, consequence,
				   "log is %s (%s); %" PRIu64 " entries are sound, up to byte %" PRIu64
				   " of %" PRIu64, m3_log_end_name(end->kind), end->reason, end->entries,
				   end->valid_size, end->file_size);
}

/* Entries */

static void
report_faults(LogContext *context)
{
	Verify	   *v = context->v;
	LogFaults  *faults = &context->faults;
	char		path[M3_LOG_PATH_SIZE];

	if (context->file == NULL)
		return;
	log_path(v, context->file, path);
	if (faults->bad_units > 0)
		verify_finding(v, VERIFY_NOTE, path, -1, "M3DB's bootstrap fails on them",
					   "%" PRIu64 " entries have an invalid time unit", faults->bad_units);
	if (faults->bad_tags > 0)
		verify_finding(v, VERIFY_NOTE, path, -1, "M3DB's bootstrap fails on them",
					   "%" PRIu64 " series have malformed tags", faults->bad_tags);
	if (faults->wrong_shards > 0)
		verify_finding(v, VERIFY_DAMAGE, path, -1, "M3DB puts them where queries do not look",
					   "%" PRIu64 " series name another shard than their ids'",
					   faults->wrong_shards);
	if (faults->unregistered > 0)
		verify_finding(v, VERIFY_NOTE, path, -1, "recovery leaves them out",
					   "%" PRIu64 " series are of namespaces not in the registry",
					   faults->unregistered);
	memset(faults, 0, sizeof(*faults));
}

static M3Status
begin_file(void *context, const M3LogFile *file, M3Error *err)
{
	LogContext *c = context;

	(void) err;
	report_faults(c);
	c->file = file;
	return M3_OK;
}

static void
meet_series(LogContext *c, M3LogSeries *series)
{
	Verify	   *v = c->v;
	const M3LogSeriesMetadata *metadata = &series->metadata;
	M3TagIterator iterator;

	series->user = SERIES_PLAIN;
	if (m3_tag_iterator_init(&iterator, metadata->tags, NULL) != M3_OK)
		c->faults.bad_tags++;
	if (v->shard_count != 0 &&
		m3_shard_of_id(metadata->id, v->hash_seed, v->shard_count) != metadata->shard)
		c->faults.wrong_shards++;
	if (v->has_registry && registry_find(&v->registry, metadata->namespace) == NULL)
		c->faults.unregistered++;
	for (size_t i = 0; i < v->incomplete_count; i++)
	{
		if (v->incomplete[i].shard == metadata->shard &&
			m3_slice_equal(m3_slice_cstr(v->incomplete[i].namespace_name), metadata->namespace))
			series->user = SERIES_COVERS;
	}
}

static M3Status
check_entry(void *context, const M3LogGroupInfo *group, const M3LogRecord *record, M3Error *err)
{
	LogContext *c = context;
	Verify	   *v = c->v;

	(void) group;
	(void) err;
	if (record->series->user == 0)
		meet_series(c, record->series);
	v->report->entries++;
	if (!m3_unit_is_valid(record->unit))
		c->faults.bad_units++;
	if (record->series->user != SERIES_COVERS)
		return M3_OK;
	for (size_t i = 0; i < v->incomplete_count; i++)
	{
		VerifyIncomplete *fileset = &v->incomplete[i];

		if (fileset->shard == record->series->metadata.shard &&
			m3_slice_equal(m3_slice_cstr(fileset->namespace_name),
						   record->series->metadata.namespace) &&
			record->time_ns >= fileset->start_ns &&
			(uint64_t) record->time_ns - (uint64_t) fileset->start_ns < (uint64_t) fileset->size_ns)
			fileset->is_covered = true;
	}
	return M3_OK;
}

M3Status
verify_logs(Verify *v, M3Error *err)
{
	LogContext	context = {.v = v};
	M3LogReplay replay = {
		.entry = check_entry,.file = begin_file,.context = &context
	};
	int64_t		expected = -1;

	M3_TRY(m3_log_set_check(v->logs, NULL, NULL, err));
	for (size_t i = 0; i < m3_log_set_count(v->logs); i++)
	{
		const M3LogFile *file = m3_log_set_file(v->logs, i);
		char		path[M3_LOG_PATH_SIZE];

		v->report->logs++;
		check_header(v, file);
		if (!file->has_info)
			continue;
		check_end(v, i);
		if (!file->is_legacy && file->info.index == expected - 1)
		{
			log_path(v, file, path);
			verify_finding(v, VERIFY_NOTE, path, 0, "which of them is later is not known",
						   "two logs have the number %" PRId64, file->info.index);
		}
		else if (expected >= 0 && file->info.index > expected &&
				 (v->newest == NULL || file->info.index > v->newest->log_index))
		{
			log_path(v, file, path);
			verify_finding(v, VERIFY_NOTE, path, 0,
						   "nothing if they were blank, else their entries are lost",
						   "no readable logs between %" PRId64 " and this one, %" PRId64,
						   expected - 1, file->info.index);
		}
		expected = file->is_legacy ? -1 : file->info.index + 1;
	}
	M3_TRY(m3_log_set_replay(v->logs, &replay, err));
	report_faults(&context);
	return M3_OK;
}
