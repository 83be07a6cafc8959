#include "storage/db/jobs.h"

#include <stdio.h>
#include <string.h>

#include "storage/base/time.h"
#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

const char *
m3_job_name(M3Job job)
{
	static const char *const names[M3_JOB_COUNT] = {
		"", "purge", "tick", "flush", "snapshot", "cleanup"
	};

	return names[job];
}

void
m3_root_jobs(M3Database *db, M3RootJobs *jobs)
{
	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_SHARED);
	*jobs = db->root->jobs;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

/* --- saying how far it is ----------------------------------------------- */

void
m3i_job_begin(M3Database *db, M3Job job)
{
	M3RootJobs *jobs = &db->root->jobs;
	int64_t		now_ns = db->env->now_ns(db->env);

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	memset(&jobs->progress, 0, sizeof(jobs->progress));
	jobs->progress.job = job;
	jobs->progress.started_ns = now_ns;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3i_job_step(M3Database *db, const char *subject, uint64_t done, uint64_t total, uint64_t bytes)
{
	M3JobProgress *progress = &db->root->jobs.progress;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	snprintf(progress->subject, sizeof(progress->subject), "%s", subject);
	progress->done = done;
	progress->total = total;
	progress->bytes = bytes;
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3i_job_end(M3Database *db, M3Job job, M3Status status, const M3Error *err)
{
	M3RootJobs *jobs = &db->root->jobs;
	M3JobStats *stats = &jobs->stats[job];
	int64_t		now_ns = db->env->now_ns(db->env);

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	stats->runs++;
	stats->last_start_ns = jobs->progress.started_ns;
	stats->last_duration_ns = now_ns - jobs->progress.started_ns;
	if (status != M3_OK)
	{
		stats->failures++;
		stats->last_failure_ns = now_ns;
		snprintf(stats->last_error, sizeof(stats->last_error), "%s%s%s",
				 err == NULL ? "" : err->message,
				 err == NULL || err->file[0] == '\0' ? "" : ": ", err == NULL ? "" : err->file);
	}
	memset(&jobs->progress, 0, sizeof(jobs->progress));
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

void
m3i_job_drop(M3Database *db)
{
	M3RootJobs *jobs = &db->root->jobs;

	db->env->lock(db->env, M3_LOCK_ENGINE, M3_LOCK_EXCLUSIVE);
	memset(&jobs->progress, 0, sizeof(jobs->progress));
	db->env->unlock(db->env, M3_LOCK_ENGINE);
}

/* --- namespaces --------------------------------------------------------- */

static bool
is_wanted(const M3NamespaceShared *ns, bool with_dropped)
{
	return with_dropped || !ns->dropped;
}

M3Status
m3i_namespace_refs(M3Database *db, bool with_dropped, M3Ref **refs, size_t *count, M3Error *err)
{
	M3Env	   *env = db->env;
	size_t		capacity = 0;

	*refs = NULL;
	for (;;)
	{
		*count = 0;
		env->lock(env, m3i_lock_names(db), M3_LOCK_SHARED);
		for (M3Ref ref = db->root->first_namespace; ref != 0;)
		{
			const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);

			if (is_wanted(ns, with_dropped))
			{
				if (*count < capacity)
					(*refs)[*count] = ref;
				(*count)++;
			}
			ref = ns->next;
		}
		env->unlock(env, m3i_lock_names(db));
		if (*count <= capacity)
			return M3_OK;
		capacity = *count + 16;
		m3_free(db->engine->memory, *refs);
		*refs = m3_alloc(db->engine->memory, capacity * sizeof(M3Ref));
		if (*refs == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
}

M3NamespaceOptions
m3i_namespace_options(M3Database *db, M3Ref ref)
{
	M3NamespaceOptions options;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	options = ((const M3NamespaceShared *) m3_arena_at(db->arena, ref))->options;
	db->env->unlock(db->env, m3i_lock_names(db));
	return options;
}

bool
m3i_namespace_is_void(M3Database *db, M3Ref ref)
{
	const M3NamespaceShared *ns = m3_arena_at(db->arena, ref);
	bool		is_void;

	db->env->lock(db->env, m3i_lock_names(db), M3_LOCK_SHARED);
	is_void = ns->dropped || ns->purge_pending;
	db->env->unlock(db->env, m3i_lock_names(db));
	return is_void;
}

int64_t
m3i_first_retained_ns(const M3NamespaceOptions *options, int64_t now_ns)
{
	return options->retention_period_ns == 0 ? INT64_MIN :
		m3_block_start(now_ns - options->retention_period_ns, options->block_size_ns);
}
