/*
 * Sorting index entries by id.
 *
 * An entry's bytes do not depend on its place in the index, so they are
 * encoded once, when they come in.  What exceeds the memory limit goes, sorted, to
 * a temporary file as one run; the end merges the runs.  A record is
 *
 *   entry size, position of the id in it, size of the id (three le32), entry
 */
#include "storage/fileset/fileset_private.h"

#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define RECORD_HEADER_SIZE 12
#define RUN_MIN_WINDOW 4096

typedef struct Record
{
	M3Slice		entry;
	M3Slice		id;
} Record;

/* One sorted run and the window that is being merged. */
typedef struct Run
{
	uint64_t	offset;			/* of the window in the file */
	uint64_t	end;
	uint8_t    *window;
	size_t		capacity;
	size_t		size;
	size_t		position;
	Record		record;			/* the run's smallest */
} Run;

struct M3Spool
{
	M3Env	   *env;
	M3Memory   *memory;
	size_t		memory_size;
	uint8_t    *bytes;			/* records of the current run, memory_size */
	size_t		used;
	Record	   *records;
	size_t		record_count;
	size_t		record_capacity;
	size_t		next;			/* in records, when nothing was spilled */
	M3File	   *file;
	uint64_t	file_size;
	Run		   *runs;
	size_t		run_count;
	size_t		run_capacity;
	Run		  **heap;
	size_t		heap_count;
	bool		advance;		/* the heap's top was handed out */
};

M3Status
m3i_fileset_spool_create(M3Env *env, M3Memory *memory, size_t memory_size, M3Spool **spool,
						 M3Error *err)
{
	M3Spool    *s = m3_alloc(memory, sizeof(*s));

	if (s == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memset(s, 0, sizeof(*s));
	s->env = env;
	s->memory = memory;
	s->memory_size = memory_size;
	*spool = s;
	return M3_OK;
}

void
m3i_fileset_spool_free(M3Spool *spool)
{
	if (spool == NULL)
		return;
	for (size_t i = 0; i < spool->run_count; i++)
		m3_free(spool->memory, spool->runs[i].window);
	m3_free(spool->memory, spool->runs);
	m3_free(spool->memory, spool->heap);
	m3_free(spool->memory, spool->records);
	m3_free(spool->memory, spool->bytes);
	if (spool->file != NULL)
		spool->env->close(spool->env, spool->file);
	m3_free(spool->memory, spool);
}

static void
parse_record(const uint8_t *bytes, Record *record)
{
	const uint8_t *entry = bytes + RECORD_HEADER_SIZE;

	record->entry = m3_slice(entry, m3_load_le32(bytes));
	record->id = m3_slice(entry + m3_load_le32(bytes + 4), m3_load_le32(bytes + 8));
}

static int
compare_records(const void *a, const void *b)
{
	return m3_slice_compare(((const Record *) a)->id, ((const Record *) b)->id);
}

/* Sorts what is in memory.  Record headers precede the entries they describe,
 * so the slices are enough to find everything. */
static void
sort_records(M3Spool *spool)
{
	if (spool->record_count > 1)
		qsort(spool->records, spool->record_count, sizeof(Record), compare_records);
}

/* Writes the sorted records as one run and empties the memory. */
static M3Status
spill(M3Spool *spool, M3Error *err)
{
	M3Output	output = {0};
	Run		   *run;
	M3Status	status = M3_OK;

	if (spool->record_count == 0)
		return M3_OK;
	sort_records(spool);
	if (spool->file == NULL)
		M3_TRY(spool->env->open_temporary(spool->env, &spool->file, err));
	M3_TRY(m3i_fileset_reserve(spool->memory, (void **) &spool->runs, &spool->run_capacity,
							   spool->run_count + 1, sizeof(Run), err));
	run = &spool->runs[spool->run_count];
	memset(run, 0, sizeof(*run));
	run->offset = spool->file_size;

	output.env = spool->env;
	output.file = spool->file;
	output.offset = spool->file_size;
	output.capacity = 64 * 1024;
	output.buffer = m3_alloc(spool->memory, output.capacity);
	if (output.buffer == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < spool->record_count && status == M3_OK; i++)
	{
		M3Slice		entry = spool->records[i].entry;

		status = m3i_fileset_output_put(&output, m3_slice(entry.data - RECORD_HEADER_SIZE,
														  entry.size + RECORD_HEADER_SIZE), err);
	}
	if (status == M3_OK)
		status = m3i_fileset_output_flush(&output, err);
	output.file = NULL;			/* stays open */
	m3i_fileset_output_close(&output, spool->memory);
	M3_TRY(status);

	spool->file_size = output.offset;
	run->end = spool->file_size;
	spool->run_count++;
	spool->record_count = 0;
	spool->used = 0;
	return M3_OK;
}

M3Status
m3i_fileset_spool_add(M3Spool *spool, const M3FilesetEntry *entry, M3Error *err)
{
	size_t		room = entry->id.size + entry->tags.size + M3_FILESET_ENTRY_OVERHEAD +
		RECORD_HEADER_SIZE;
	uint8_t    *record;
	size_t		size;
	size_t		id_position;

	if (spool->used + room + (spool->record_count + 1) * sizeof(Record) >
		spool->memory_size)
		M3_TRY(spill(spool, err));
	if (spool->bytes == NULL || room > spool->memory_size)
	{
		/* a limit below the size of one entry gives way to it */
		if (room > spool->memory_size)
			spool->memory_size = room + sizeof(Record);
		m3_free(spool->memory, spool->bytes);
		spool->bytes = m3_alloc(spool->memory, spool->memory_size);
		if (spool->bytes == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
	}
	M3_TRY(m3i_fileset_reserve(spool->memory, (void **) &spool->records, &spool->record_capacity,
							   spool->record_count + 1, sizeof(Record), err));
	record = spool->bytes + spool->used;
	size = m3_fileset_entry_encode(entry, record + RECORD_HEADER_SIZE, &id_position);
	m3_store_le32(record, (uint32_t) size);
	m3_store_le32(record + 4, (uint32_t) id_position);
	m3_store_le32(record + 8, (uint32_t) entry->id.size);
	parse_record(record, &spool->records[spool->record_count++]);
	spool->used += RECORD_HEADER_SIZE + size;
	return M3_OK;
}

/* Makes size bytes from the run's position on available in its window. */
static M3Status
fill_run(M3Spool *spool, Run *run, size_t size, M3Error *err)
{
	size_t		kept = run->size - run->position;
	size_t		wanted;
	size_t		got = 0;

	if (kept >= size)
		return M3_OK;
	if (kept > 0)
		memmove(run->window, run->window + run->position, kept);
	run->offset += run->position;
	run->position = 0;
	run->size = kept;
	M3_TRY(m3i_fileset_reserve(spool->memory, (void **) &run->window, &run->capacity,
							   size, 1, err));
	wanted = run->capacity - kept;
	if (wanted > run->end - run->offset - kept)
		wanted = (size_t) (run->end - run->offset - kept);
	M3_TRY(spool->env->read(spool->env, spool->file, run->window + kept, wanted,
							run->offset + kept, &got, err));
	run->size += got;
	if (run->size < size)
		return m3_error(err, M3_CORRUPT, "temporary file became shorter");
	return M3_OK;
}

/* Reads the run's next record; M3_NOT_FOUND at its end. */
static M3Status
next_of_run(M3Spool *spool, Run *run, M3Error *err)
{
	size_t		size;

	if (run->offset + run->position == run->end)
		return M3_NOT_FOUND;
	M3_TRY(fill_run(spool, run, RECORD_HEADER_SIZE, err));
	size = RECORD_HEADER_SIZE + (size_t) m3_load_le32(run->window + run->position);
	M3_TRY(fill_run(spool, run, size, err));
	parse_record(run->window + run->position, &run->record);
	run->position += size;
	return M3_OK;
}

static void
sift_down(M3Spool *spool, size_t at)
{
	for (;;)
	{
		size_t		least = at;
		size_t		child = 2 * at + 1;
		Run		   *swap;

		for (size_t i = child; i < child + 2 && i < spool->heap_count; i++)
		{
			if (compare_records(&spool->heap[i]->record, &spool->heap[least]->record) < 0)
				least = i;
		}
		if (least == at)
			return;
		swap = spool->heap[at];
		spool->heap[at] = spool->heap[least];
		spool->heap[least] = swap;
		at = least;
	}
}

M3Status
m3i_fileset_spool_sort(M3Spool *spool, M3Error *err)
{
	size_t		window;

	if (spool->run_count == 0)
	{
		sort_records(spool);
		return M3_OK;
	}
	M3_TRY(spill(spool, err));
	m3_free(spool->memory, spool->bytes);
	m3_free(spool->memory, spool->records);
	spool->bytes = NULL;
	spool->records = NULL;
	spool->record_capacity = 0;
	spool->heap = m3_alloc(spool->memory, spool->run_count * sizeof(Run *));
	if (spool->heap == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	window = spool->memory_size / spool->run_count;
	if (window < RUN_MIN_WINDOW)
		window = RUN_MIN_WINDOW;
	for (size_t i = 0; i < spool->run_count; i++)
	{
		Run		   *run = &spool->runs[i];

		run->window = m3_alloc(spool->memory, window);
		if (run->window == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		run->capacity = window;
		M3_TRY(next_of_run(spool, run, err));
		spool->heap[spool->heap_count++] = run;
	}
	for (size_t i = spool->heap_count / 2; i-- > 0;)
		sift_down(spool, i);
	return M3_OK;
}

/* Moves past the record handed out last. */
static M3Status
advance_heap(M3Spool *spool, M3Error *err)
{
	M3Status	status = next_of_run(spool, spool->heap[0], err);

	spool->advance = false;
	if (status == M3_NOT_FOUND)
		spool->heap[0] = spool->heap[--spool->heap_count];
	else if (status != M3_OK)
		return status;
	sift_down(spool, 0);
	return M3_OK;
}

M3Status
m3i_fileset_spool_next(M3Spool *spool, M3Slice *entry, M3Slice *id, M3Error *err)
{
	const Record *record;

	if (spool->run_count == 0)
	{
		if (spool->next == spool->record_count)
			return M3_NOT_FOUND;
		record = &spool->records[spool->next++];
	}
	else
	{
		if (spool->advance)
			M3_TRY(advance_heap(spool, err));
		if (spool->heap_count == 0)
			return M3_NOT_FOUND;
		record = &spool->heap[0]->record;
		spool->advance = true;
	}
	*entry = record->entry;
	*id = record->id;
	return M3_OK;
}
