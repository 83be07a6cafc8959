/*
 * A record in memory and in a run: key size, value size (uint32 each, in this
 * machine's order: nobody else reads it), key, value.
 */
#include "tools/sorter.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 8u
#define MIN_BUFFER 1024u
#define MAX_FAN_IN 128u

typedef struct Run
{
	uint64_t	offset;
	uint64_t	end;
} Run;

/* A run being read. */
typedef struct Cursor
{
	Run			run;			/* what is not in the buffer yet */
	uint8_t    *buffer;
	size_t		capacity;
	size_t		position;		/* of the current record */
	size_t		filled;
	size_t		record_size;	/* 0: the run is at its end */
} Cursor;

struct Sorter
{
	M3Env	   *env;
	M3Memory   *memory;
	size_t		memory_size;

	uint8_t    *bytes;			/* records being collected */
	size_t		used;
	size_t		capacity;
	const uint8_t **records;
	size_t		count;
	size_t		record_capacity;

	M3File	   *file;
	uint64_t	file_size;
	Run		   *runs;
	size_t		run_count;
	size_t		run_capacity;

	Cursor	   *cursors;
	size_t		cursor_count;
	Cursor	  **heap;
	size_t		heap_count;
	bool		merging;
	bool		started;		/* the first of the heap has been delivered */
	size_t		next;			/* record, if all is in memory */
	SorterStats stats;
};

static M3Status
no_memory(M3Error *err)
{
	return m3_error(err, M3_NO_MEMORY, "out of memory for sorting");
}

static M3Slice
record_key(const uint8_t *record)
{
	uint32_t	size;

	memcpy(&size, record, sizeof(size));
	return m3_slice(record + HEADER_SIZE, size);
}

static M3Slice
record_value(const uint8_t *record)
{
	uint32_t	size;
	M3Slice		key = record_key(record);

	memcpy(&size, record + sizeof(size), sizeof(size));
	return m3_slice(key.data + key.size, size);
}

static size_t
size_of_record(const uint8_t *record)
{
	return HEADER_SIZE + record_key(record).size + record_value(record).size;
}

static int
compare_records(const void *left, const void *right)
{
	const uint8_t *const *a = left;
	const uint8_t *const *b = right;

	return m3_slice_compare(record_key(*a), record_key(*b));
}

M3Status
sorter_create(M3Env *env, M3Memory *memory, uint64_t memory_size, Sorter **result,
			  M3Error *err)
{
	Sorter	   *sorter = m3_alloc(memory, sizeof(*sorter));

	*result = NULL;
	if (sorter == NULL)
		return no_memory(err);
	memset(sorter, 0, sizeof(*sorter));
	sorter->env = env;
	sorter->memory = memory;
	if (memory_size < SORTER_MIN_MEMORY)
		memory_size = SORTER_MIN_MEMORY;
	if (memory_size > SIZE_MAX / 4)
		memory_size = SIZE_MAX / 4;
	sorter->memory_size = (size_t) memory_size;
	*result = sorter;
	return M3_OK;
}

static void
free_collected(Sorter *sorter)
{
	m3_free(sorter->memory, sorter->bytes);
	m3_free(sorter->memory, sorter->records);
	sorter->bytes = NULL;
	sorter->records = NULL;
	sorter->used = sorter->capacity = 0;
	sorter->count = sorter->record_capacity = 0;
}

static void
close_cursors(Sorter *sorter)
{
	for (size_t i = 0; i < sorter->cursor_count; i++)
		m3_free(sorter->memory, sorter->cursors[i].buffer);
	m3_free(sorter->memory, sorter->cursors);
	m3_free(sorter->memory, sorter->heap);
	sorter->cursors = NULL;
	sorter->heap = NULL;
	sorter->cursor_count = sorter->heap_count = 0;
}

void
sorter_free(Sorter *sorter)
{
	if (sorter == NULL)
		return;
	close_cursors(sorter);
	free_collected(sorter);
	m3_free(sorter->memory, sorter->runs);
	sorter->env->close(sorter->env, sorter->file);
	m3_free(sorter->memory, sorter);
}

/* Runs */

static M3Status
add_run(Sorter *sorter, uint64_t offset, uint64_t end, M3Error *err)
{
	if (sorter->run_count == sorter->run_capacity)
	{
		size_t		capacity = sorter->run_capacity == 0 ? 16 : sorter->run_capacity * 2;
		Run		   *grown = m3_resize(sorter->memory, sorter->runs, capacity * sizeof(Run));

		if (grown == NULL)
			return no_memory(err);
		sorter->runs = grown;
		sorter->run_capacity = capacity;
	}
	sorter->runs[sorter->run_count++] = (Run) {offset, end};
	return M3_OK;
}

/* Collects small writes. */
typedef struct Writer
{
	Sorter	   *sorter;
	M3File	   *file;
	uint64_t	offset;
	uint8_t    *buffer;
	size_t		used;
	size_t		capacity;
} Writer;

static M3Status
writer_flush(Writer *writer, M3Error *err)
{
	M3Env	   *env = writer->sorter->env;

	if (writer->used > 0)
		M3_TRY(env->write(env, writer->file, writer->buffer, writer->used, writer->offset, err));
	writer->offset += writer->used;
	writer->sorter->stats.spilled_bytes += writer->used;
	writer->used = 0;
	return M3_OK;
}

static M3Status
writer_put(Writer *writer, const uint8_t *record, M3Error *err)
{
	M3Env	   *env = writer->sorter->env;
	size_t		size = size_of_record(record);

	if (size > writer->capacity - writer->used)
		M3_TRY(writer_flush(writer, err));
	if (size > writer->capacity)
	{
		M3_TRY(env->write(env, writer->file, record, size, writer->offset, err));
		writer->offset += size;
		writer->sorter->stats.spilled_bytes += size;
		return M3_OK;
	}
	memcpy(writer->buffer + writer->used, record, size);
	writer->used += size;
	return M3_OK;
}

static M3Status
writer_init(Writer *writer, Sorter *sorter, M3File *file, uint64_t offset, M3Error *err)
{
	memset(writer, 0, sizeof(*writer));
	writer->sorter = sorter;
	writer->file = file;
	writer->offset = offset;
	writer->capacity = sorter->memory_size / 16;
	writer->buffer = m3_alloc(sorter->memory, writer->capacity);
	return writer->buffer == NULL ? no_memory(err) : M3_OK;
}

static M3Status
spill(Sorter *sorter, M3Error *err)
{
	uint64_t	start = sorter->file_size;
	Writer		writer;
	M3Status	status;

	if (sorter->file == NULL)
		M3_TRY(sorter->env->open_temporary(sorter->env, &sorter->file, err));
	M3_TRY(writer_init(&writer, sorter, sorter->file, start, err));
	qsort(sorter->records, sorter->count, sizeof(*sorter->records), compare_records);
	for (size_t i = 0; i < sorter->count; i++)
		M3_GOTO(writer_put(&writer, sorter->records[i], err));
	M3_GOTO(writer_flush(&writer, err));
	M3_GOTO(add_run(sorter, start, writer.offset, err));
	sorter->file_size = writer.offset;
	sorter->count = 0;
	sorter->used = 0;
	sorter->stats.runs++;
done:
	m3_free(sorter->memory, writer.buffer);
	return status;
}

/*
 * Room for one more record.  The bytes are one piece that never moves, since
 * records point into it; one record may be larger than the memory asked for.
 */
static M3Status
make_room(Sorter *sorter, size_t size, M3Error *err)
{
	size_t		bytes_size = sorter->memory_size - sorter->memory_size / 8;

	if (sorter->count > 0 && (size > sorter->capacity - sorter->used ||
							  sorter->count == sorter->record_capacity))
		M3_TRY(spill(sorter, err));
	if (sorter->record_capacity == 0)
	{
		size_t		capacity = sorter->memory_size / 8 / sizeof(*sorter->records);

		sorter->records = m3_alloc(sorter->memory, capacity * sizeof(*sorter->records));
		if (sorter->records == NULL)
			return no_memory(err);
		sorter->record_capacity = capacity;
	}
	if (size <= sorter->capacity - sorter->used)
		return M3_OK;
	m3_free(sorter->memory, sorter->bytes);
	sorter->capacity = size > bytes_size ? size : bytes_size;
	sorter->bytes = m3_alloc(sorter->memory, sorter->capacity);
	if (sorter->bytes == NULL)
	{
		sorter->capacity = 0;
		return no_memory(err);
	}
	return M3_OK;
}

M3Status
sorter_add(Sorter *sorter, M3Slice key, M3Slice value, M3Error *err)
{
	uint32_t	sizes[2] = {(uint32_t) key.size, (uint32_t) value.size};
	uint8_t    *record;

	if (key.size > UINT32_MAX || value.size > UINT32_MAX)
		return m3_error(err, M3_INVALID, "record is too large to be sorted");
	M3_TRY(make_room(sorter, HEADER_SIZE + key.size + value.size, err));
	record = sorter->bytes + sorter->used;
	memcpy(record, sizes, HEADER_SIZE);
	if (key.size > 0)
		memcpy(record + HEADER_SIZE, key.data, key.size);
	if (value.size > 0)
		memcpy(record + HEADER_SIZE + key.size, value.data, value.size);
	sorter->used += HEADER_SIZE + key.size + value.size;
	sorter->records[sorter->count++] = record;
	sorter->stats.records++;
	return M3_OK;
}

/* Merging */

/* Makes size bytes of the run available at position. */
static M3Status
cursor_fill(Sorter *sorter, Cursor *cursor, size_t size, M3Error *err)
{
	M3Env	   *env = sorter->env;
	size_t		left = cursor->filled - cursor->position;
	uint64_t	unread = cursor->run.end - cursor->run.offset;
	size_t		wanted;
	size_t		got;

	if (size <= left)
		return M3_OK;
	if (size > cursor->capacity)
	{
		uint8_t    *grown = m3_resize(sorter->memory, cursor->buffer, size);

		if (grown == NULL)
			return no_memory(err);
		cursor->buffer = grown;
		cursor->capacity = size;
	}
	memmove(cursor->buffer, cursor->buffer + cursor->position, left);
	cursor->position = 0;
	cursor->filled = left;
	wanted = cursor->capacity - left;
	if (wanted > unread)
		wanted = (size_t) unread;
	M3_TRY(env->read(env, sorter->file, cursor->buffer + left, wanted, cursor->run.offset, &got,
					 err));
	cursor->run.offset += got;
	cursor->filled += got;
	if (cursor->filled < size)
		return m3_error(err, M3_IO, "temporary file has become shorter");
	return M3_OK;
}

/* Goes to the next record of the run. */
static M3Status
cursor_advance(Sorter *sorter, Cursor *cursor, M3Error *err)
{
	cursor->position += cursor->record_size;
	cursor->record_size = 0;
	if (cursor->position == cursor->filled && cursor->run.offset == cursor->run.end)
		return M3_OK;
	M3_TRY(cursor_fill(sorter, cursor, HEADER_SIZE, err));
	{
		uint32_t	sizes[2];

		memcpy(sizes, cursor->buffer + cursor->position, sizeof(sizes));
		M3_TRY(cursor_fill(sorter, cursor, HEADER_SIZE + (size_t) sizes[0] + sizes[1], err));
	}
	cursor->record_size = size_of_record(cursor->buffer + cursor->position);
	return M3_OK;
}

static const uint8_t *
cursor_record(const Cursor *cursor)
{
	return cursor->buffer + cursor->position;
}

static bool
cursor_before(const Cursor *a, const Cursor *b)
{
	return m3_slice_compare(record_key(cursor_record(a)), record_key(cursor_record(b))) < 0;
}

static void
sift_down(Sorter *sorter, size_t i)
{
	Cursor	  **heap = sorter->heap;

	for (;;)
	{
		size_t		child = 2 * i + 1;
		Cursor	   *moved;

		if (child >= sorter->heap_count)
			return;
		if (child + 1 < sorter->heap_count && cursor_before(heap[child + 1], heap[child]))
			child++;
		if (!cursor_before(heap[child], heap[i]))
			return;
		moved = heap[i];
		heap[i] = heap[child];
		heap[child] = moved;
		i = child;
	}
}

static M3Status
open_cursors(Sorter *sorter, const Run *runs, size_t count, M3Error *err)
{
	size_t		capacity = sorter->memory_size / (count + 1);

	if (capacity < MIN_BUFFER)
		capacity = MIN_BUFFER;
	sorter->cursors = m3_alloc(sorter->memory, count * sizeof(Cursor));
	sorter->heap = m3_alloc(sorter->memory, count * sizeof(Cursor *));
	if (sorter->cursors == NULL || sorter->heap == NULL)
		return no_memory(err);
	for (size_t i = 0; i < count; i++)
	{
		Cursor	   *cursor = &sorter->cursors[i];

		memset(cursor, 0, sizeof(*cursor));
		sorter->cursor_count = i + 1;
		cursor->run = runs[i];
		cursor->buffer = m3_alloc(sorter->memory, capacity);
		if (cursor->buffer == NULL)
			return no_memory(err);
		cursor->capacity = capacity;
		M3_TRY(cursor_advance(sorter, cursor, err));
		if (cursor->record_size > 0)
			sorter->heap[sorter->heap_count++] = cursor;
	}
	for (size_t i = sorter->heap_count / 2; i-- > 0;)
		sift_down(sorter, i);
	return M3_OK;
}

/* Moves the smallest cursor on. */
static M3Status
pop(Sorter *sorter, M3Error *err)
{
	M3_TRY(cursor_advance(sorter, sorter->heap[0], err));
	if (sorter->heap[0]->record_size == 0)
		sorter->heap[0] = sorter->heap[--sorter->heap_count];
	sift_down(sorter, 0);
	return M3_OK;
}

/* Merges the runs in groups into a new file of fewer runs. */
static M3Status
merge_pass(Sorter *sorter, size_t fan_in, M3Error *err)
{
	Run		   *runs = sorter->runs;
	size_t		count = sorter->run_count;
	M3File	   *file = NULL;
	Writer		writer = {0};
	M3Status	status;

	sorter->runs = NULL;
	sorter->run_count = sorter->run_capacity = 0;
	M3_GOTO(sorter->env->open_temporary(sorter->env, &file, err));
	M3_GOTO(writer_init(&writer, sorter, file, 0, err));
	for (size_t first = 0; first < count; first += fan_in)
	{
		size_t		n = count - first < fan_in ? count - first : fan_in;
		uint64_t	start = writer.offset;

		M3_GOTO(open_cursors(sorter, runs + first, n, err));
		while (sorter->heap_count > 0)
		{
			M3_GOTO(writer_put(&writer, cursor_record(sorter->heap[0]), err));
			M3_GOTO(pop(sorter, err));
		}
		M3_GOTO(writer_flush(&writer, err));
		close_cursors(sorter);
		M3_GOTO(add_run(sorter, start, writer.offset, err));
	}
	sorter->env->close(sorter->env, sorter->file);
	sorter->file = file;
	file = NULL;
	sorter->stats.passes++;
	status = M3_OK;
done:
	sorter->env->close(sorter->env, file);
	m3_free(sorter->memory, writer.buffer);
	m3_free(sorter->memory, runs);
	return status;
}

M3Status
sorter_finish(Sorter *sorter, M3Error *err)
{
	size_t		fan_in = sorter->memory_size / (4 * MIN_BUFFER);

	if (sorter->run_count == 0)
	{
		if (sorter->count > 1)
			qsort(sorter->records, sorter->count, sizeof(*sorter->records), compare_records);
		return M3_OK;
	}
	if (sorter->count > 0)
		M3_TRY(spill(sorter, err));
	free_collected(sorter);
	if (fan_in > MAX_FAN_IN)
		fan_in = MAX_FAN_IN;
	while (sorter->run_count > fan_in)
		M3_TRY(merge_pass(sorter, fan_in, err));
	sorter->merging = true;
	return open_cursors(sorter, sorter->runs, sorter->run_count, err);
}

M3Status
sorter_next(Sorter *sorter, M3Slice *key, M3Slice *value, M3Error *err)
{
	const uint8_t *record;

	if (sorter->merging)
	{
		if (sorter->started && sorter->heap_count > 0)
			M3_TRY(pop(sorter, err));
		sorter->started = true;
		if (sorter->heap_count == 0)
			return M3_NOT_FOUND;
		record = cursor_record(sorter->heap[0]);
	}
	else
	{
		if (sorter->next == sorter->count)
			return M3_NOT_FOUND;
		record = sorter->records[sorter->next++];
	}
	*key = record_key(record);
	*value = record_value(record);
	return M3_OK;
}

void
sorter_stats(const Sorter *sorter, SorterStats *stats)
{
	*stats = sorter->stats;
}
