#include "test/support/engine.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- memory ------------------------------------------------------------- */

typedef struct TestHeapBlock
{
	struct TestHeapBlock *next;
	struct TestHeapBlock *previous;
	_Alignas(16) char data[];
} TestHeapBlock;

static void
link_block(TestHeap *heap, TestHeapBlock *block)
{
	block->previous = NULL;
	block->next = heap->blocks;
	if (heap->blocks != NULL)
		heap->blocks->previous = block;
	heap->blocks = block;
}

static void
unlink_block(TestHeap *heap, TestHeapBlock *block)
{
	if (block->previous != NULL)
		block->previous->next = block->next;
	else
		heap->blocks = block->next;
	if (block->next != NULL)
		block->next->previous = block->previous;
}

static TestHeapBlock *
block_of(void *pointer)
{
	return (TestHeapBlock *) ((char *) pointer - offsetof(TestHeapBlock, data));
}

static void *
heap_alloc(M3Memory *self, size_t size)
{
	TestHeapBlock *block = malloc(sizeof(*block) + size);

	if (block == NULL)
		return NULL;
	link_block(self->context, block);
	return block->data;
}

static void *
heap_resize(M3Memory *self, void *old, size_t size)
{
	TestHeapBlock *block;

	if (old == NULL)
		return heap_alloc(self, size);
	unlink_block(self->context, block_of(old));
	block = realloc(block_of(old), sizeof(*block) + size);
	if (block == NULL)
		abort();
	link_block(self->context, block);
	return block->data;
}

static void
heap_free(M3Memory *self, void *pointer)
{
	unlink_block(self->context, block_of(pointer));
	free(block_of(pointer));
}

void
test_heap_init(TestHeap *heap)
{
	heap->memory = (M3Memory) {heap_alloc, heap_resize, heap_free, heap};
	heap->blocks = NULL;
}

void
test_heap_free_all(TestHeap *heap)
{
	while (heap->blocks != NULL)
		heap_free(&heap->memory, heap->blocks->data);
}

/* --- engine ------------------------------------------------------------- */

void
test_engine_open(TestEngine *engine, M3Env *env, const char *directory, size_t arena_size,
				 uint32_t handle_count)
{
	M3EngineConfig config = {.process_count = 8, .log_ring_size = 65536};
	size_t		size = m3_engine_base_size(&config) + arena_size;
	M3Error		err;

	memset(engine, 0, sizeof(*engine));
	engine->env = env;
	engine->handle_count = handle_count;
	snprintf(engine->directory, sizeof(engine->directory), "%s", directory);
	engine->settings.log_window_ns = 900 * M3_NS_PER_SECOND;
	engine->settings.log_max_size = 1 << 20;
	engine->settings.log_preallocate_size = 65536;
	engine->settings.txn_memory_size = 65536;
	engine->base = aligned_alloc(64, (size + 63) / 64 * 64);
	memset(engine->base, 0, size);
	if (m3_engine_format(engine->base, size, env, &config, &err) != M3_OK)
		abort();
	for (uint32_t i = 0; i < handle_count; i++)
	{
		test_heap_init(&engine->heaps[i]);
		if (m3_engine_attach(engine->base, env, &engine->heaps[i].memory, i, directory,
							 &engine->settings, &engine->engines[i], &err) != M3_OK ||
			m3_database_open(engine->engines[i], TEST_ROOT_ID, &engine->dbs[i], &err) != M3_OK)
			abort();
	}
}

M3Status
test_engine_bootstrap(TestEngine *engine, const M3BootstrapHooks *hooks, M3Error *err)
{
	return m3_bootstrap_run(engine->dbs[0], hooks, err);
}

void
test_engine_crash(TestEngine *engine)
{
	for (uint32_t i = 0; i < engine->handle_count; i++)
	{
		m3_engine_detach(engine->engines[i]);
		if (engine->heaps[i].blocks != NULL)
		{
			fprintf(stderr, "test_engine_crash: handle %u left memory behind\n", i);
			abort();
		}
	}
	test_engine_kill(engine);
}

void
test_engine_kill(TestEngine *engine)
{
	for (uint32_t i = 0; i < engine->handle_count; i++)
		test_heap_free_all(&engine->heaps[i]);
	free(engine->base);
	engine->base = NULL;
	engine->handle_count = 0;
}

M3NamespaceOptions
test_options(int64_t block_seconds)
{
	M3NamespaceOptions options;

	m3_namespace_options_default(&options);
	options.block_size_ns = block_seconds * M3_NS_PER_SECOND;
	if (options.buffer_past_ns >= options.block_size_ns)
		options.buffer_past_ns = options.block_size_ns / 2;
	if (options.buffer_future_ns >= options.block_size_ns)
		options.buffer_future_ns = options.block_size_ns / 2;
	return options;
}

static const M3RootOptions root_options = {.shard_count = 4, .hash_seed = 0};

uint32_t
test_series(M3Txn *txn, const char *namespace_name, const M3NamespaceOptions *options,
			const char *name)
{
	M3Tag		tag = {m3_slice_cstr("host"), m3_slice_cstr(name)};
	uint8_t		tags[256];
	uint32_t	ns;
	uint32_t	series;
	M3Error		err;

	m3_tags_encode(&tag, 1, tags);
	if (m3_txn_namespace(txn, m3_slice_cstr(namespace_name), options, &root_options, &ns,
						 &err) != M3_OK ||
		m3_txn_series(txn, ns, m3_slice_cstr(name),
					  m3_slice(tags, m3_tags_encoded_size(&tag, 1)), &series, &err) != M3_OK)
	{
		fprintf(stderr, "test_series: %s\n", err.message);
		abort();
	}
	return series;
}

M3Status
test_write(TestEngine *engine, uint32_t handle, const char *namespace_name,
		   const M3NamespaceOptions *options, const char *name, int64_t time_ns,
		   double value, M3Error *err)
{
	M3CommitOptions commit = {.synchronous = true};
	M3Txn	   *txn;
	M3Status	status;

	M3_TRY(m3_txn_begin(engine->dbs[handle], &m3_memory_malloc, &txn, err));
	status = m3_txn_write(txn, test_series(txn, namespace_name, options, name), time_ns, value,
						  M3_UNIT_NONE, m3_slice(NULL, 0), 0, err);
	if (status == M3_OK)
		status = m3_txn_prepare(txn, &commit, err);
	if (status == M3_OK)
		m3_txn_publish(txn);
	m3_txn_free(txn);
	return status;
}

static size_t
read_all(M3Scan *scan, TestPoint *points, size_t capacity)
{
	M3Reader   *reader;
	M3PointBatch batch;
	M3Error		err;
	M3Status	status = M3_NOT_FOUND;
	size_t		count = 0;

	if (m3_reader_create(scan, &reader, &err) != M3_OK)
		return SIZE_MAX;
	for (size_t s = 0; s < m3_scan_series_count(scan); s++)
	{
		if (m3_reader_open(reader, s, &err) != M3_OK)
			return SIZE_MAX;
		while ((status = m3_reader_next(reader, &batch, &err)) == M3_OK)
		{
			for (size_t i = 0; i < batch.count; i++, count++)
			{
				if (count < capacity)
				{
					points[count].time_ns = batch.times_ns[i];
					points[count].value = batch.values[i];
				}
			}
		}
		if (status != M3_NOT_FOUND)
		{
			fprintf(stderr, "read: %s\n", err.message);
			count = SIZE_MAX;
			break;
		}
	}
	m3_reader_free(reader);
	return count;
}

size_t
test_read(TestEngine *engine, uint32_t handle, const char *namespace_name, const char *name,
		  int64_t start_ns, int64_t end_ns, const M3Snapshot *snapshot, M3Txn *txn,
		  uint32_t command, TestPoint *points, size_t capacity)
{
	M3Slice		value = m3_slice_cstr(name);
	M3Matcher	matcher = {
		.kind = M3_MATCH_ANY_OF,.name = m3_slice_cstr("host"),.values = &value,.value_count = 1
	};
	M3Snapshot *own_snapshot = NULL;
	M3ScanOptions options = {
		.start_ns = start_ns,.end_ns = end_ns,.matchers = &matcher,.matcher_count = 1,
		.own = txn,.own_command = command
	};
	M3Scan	   *scan;
	M3Error		err;
	size_t		count;

	if (snapshot == NULL)
	{
		if (m3_snapshot_take(engine->dbs[handle], &own_snapshot, &err) != M3_OK)
			return SIZE_MAX;
		snapshot = own_snapshot;
	}
	options.snapshot = snapshot;
	if (m3_scan_open(engine->dbs[handle], m3_slice_cstr(namespace_name), &options,
					 &m3_memory_malloc, &scan, &err) != M3_OK)
	{
		fprintf(stderr, "scan: %s\n", err.message);
		return SIZE_MAX;
	}
	count = read_all(scan, points, capacity);
	m3_scan_close(scan);
	m3_snapshot_release(own_snapshot);
	return count;
}
