/*
 * Who may see which points of a stream.
 */
#include "storage/buffer/stream.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

M3Run *
m3_stream_runs(const M3Arena *arena, const M3Stream *stream)
{
	if (stream->more_runs != 0)
		return m3_arena_at(arena, stream->more_runs);
	return (M3Run *) (uintptr_t) stream->inline_runs;
}

/* Points of run i, which is not the stream's settled part. */
static uint32_t
run_points(const M3Stream *stream, const M3Run *runs, uint32_t i)
{
	return runs[i].end - (i == 0 ? stream->settled : runs[i - 1].end);
}

uint32_t
m3_stream_live_points(const M3Arena *arena, const M3Stream *stream)
{
	const M3Run *runs = m3_stream_runs(arena, stream);
	uint32_t	live = stream->settled - stream->voided;

	if (stream->sealed)
		return m3_stream_points(stream);
	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		if (!runs[i].dead)
			live += run_points(stream, runs, i);
	}
	return live;
}

size_t
m3_stream_flips(const M3Arena *arena, const M3Stream *stream, M3SeesFn sees,
				const void *context, uint32_t *flips, uint32_t *limit)
{
	const M3Run *runs = m3_stream_runs(arena, stream);
	bool		visible = true;
	uint32_t	from = stream->settled;
	size_t		count = 0;

	if (stream->sealed)
	{
		*limit = UINT32_MAX;
		return 0;
	}
	*limit = 0;
	if (stream->voided > 0)
	{
		flips[count++] = 0;
		visible = false;
	}
	if (stream->settled > stream->voided)
	{
		if (!visible)
			flips[count++] = stream->voided;
		visible = true;
		*limit = stream->settled;
	}
	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		bool		seen = !runs[i].dead &&
			(runs[i].sequence == 0 || sees == NULL || sees(context, runs[i].sequence));

		if (seen != visible)
			flips[count++] = from;
		visible = seen;
		from = runs[i].end;
		if (seen)
			*limit = runs[i].end;
	}
	return count;
}

bool
m3_stream_settle(const M3Arena *arena, M3Stream *stream, uint64_t horizon)
{
	M3Run	   *runs = m3_stream_runs(arena, stream);
	uint32_t	kept = 0;
	bool		all = true;

	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		M3Run		run = runs[i];

		if (!run.dead && run.sequence < horizon)
			run.sequence = 0;
		if (!run.dead && run.sequence == 0)
		{
			if (kept == 0)
			{
				stream->settled = run.end;
				continue;
			}
			if (!runs[kept - 1].dead && runs[kept - 1].sequence == 0)
			{
				runs[kept - 1].end = run.end;
				continue;
			}
		}
		else if (!run.dead)
			all = false;
		runs[kept++] = run;
	}
	stream->run_count = kept;
	return all;
}

uint32_t
m3_stream_kill(const M3Arena *arena, M3Stream *stream, uint64_t sequence)
{
	M3Run	   *runs = m3_stream_runs(arena, stream);
	uint32_t	killed = 0;

	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		if (runs[i].sequence == sequence && !runs[i].dead)
		{
			runs[i].dead = 1;
			killed += run_points(stream, runs, i);
		}
	}
	return killed;
}

uint32_t
m3_stream_void(const M3Arena *arena, M3Stream *stream, uint64_t sequence)
{
	M3Run	   *runs = m3_stream_runs(arena, stream);
	uint32_t	gone = stream->settled - stream->voided;

	stream->voided = stream->settled;
	for (uint32_t i = 0; i < stream->run_count; i++)
	{
		if (runs[i].sequence < sequence && !runs[i].dead)
		{
			runs[i].dead = 1;
			gone += run_points(stream, runs, i);
		}
	}
	return gone;
}
