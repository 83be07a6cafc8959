#include "storage/log/reader_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define FIRST_SLOT_COUNT 256u
#define BLOCK_SIZE 32768u

/* Memory handed out in pieces and freed at once. */
typedef struct M3LogBlock
{
	struct M3LogBlock *next;
	size_t		capacity;
	_Alignas(16) uint8_t bytes[];
} M3LogBlock;

/* Indexes are mostly dense and small, which the high bits of a product
 * spread; slot_count is a power of two. */
static size_t
first_slot(const M3LogSeriesTable *table, uint64_t unique_index)
{
	uint64_t	product = unique_index * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t) (product >> 32) & (table->slot_count - 1);
}

M3LogSeries *
m3i_log_series_find(const M3LogSeriesTable *table, uint64_t unique_index)
{
	if (table->slot_count == 0)
		return NULL;
	for (size_t i = first_slot(table, unique_index);; i = (i + 1) & (table->slot_count - 1))
	{
		M3LogSeries *series = table->slots[i];

		if (series == NULL || series->unique_index == unique_index)
			return series;
	}
}

static void
insert(M3LogSeriesTable *table, M3LogSeries *series)
{
	size_t		i = first_slot(table, series->unique_index);

	while (table->slots[i] != NULL)
		i = (i + 1) & (table->slot_count - 1);
	table->slots[i] = series;
}

static bool
grow(M3LogSeriesTable *table)
{
	M3LogSeries **old = table->slots;
	size_t		old_count = table->slot_count;
	size_t		count = old_count == 0 ? FIRST_SLOT_COUNT : old_count * 2;
	M3LogSeries **slots = m3_alloc(table->memory, count * sizeof(*slots));

	if (slots == NULL)
		return false;
	memset(slots, 0, count * sizeof(*slots));
	table->slots = slots;
	table->slot_count = count;
	for (size_t i = 0; i < old_count; i++)
	{
		if (old[i] != NULL)
			insert(table, old[i]);
	}
	m3_free(table->memory, old);
	return true;
}

static void *
take(M3LogSeriesTable *table, size_t size)
{
	M3LogBlock *block = table->blocks;

	size = (size + 15) & ~(size_t) 15;
	if (block == NULL || table->block_left < size)
	{
		size_t		capacity = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = m3_alloc(table->memory, sizeof(*block) + capacity);
		if (block == NULL)
			return NULL;
		block->next = table->blocks;
		block->capacity = capacity;
		table->blocks = block;
		table->block_left = capacity;
	}
	table->block_left -= size;
	return block->bytes + (block->capacity - table->block_left - size);
}

static M3Slice
copy(uint8_t **to, M3Slice bytes)
{
	M3Slice		result = m3_slice(*to, bytes.size);

	if (bytes.size == 0)
		return m3_slice(NULL, 0);
	memcpy(*to, bytes.data, bytes.size);
	*to += bytes.size;
	return result;
}

M3LogSeries *
m3i_log_series_add(M3LogSeriesTable *table, uint64_t unique_index,
				   const M3LogSeriesMetadata *metadata)
{
	/* neighbours are mostly of one namespace and share its name */
	bool		same_namespace = table->newest != NULL &&
		m3_slice_equal(table->newest->metadata.namespace, metadata->namespace);
	size_t		size = metadata->id.size + metadata->tags.size +
		(same_namespace ? 0 : metadata->namespace.size);
	M3LogSeries *series;
	uint8_t    *bytes;

	if (table->count >= table->slot_count / 2 && !grow(table))
		return NULL;
	series = take(table, sizeof(*series) + size);
	if (series == NULL)
		return NULL;
	bytes = (uint8_t *) (series + 1);
	series->unique_index = unique_index;
	series->metadata.id = copy(&bytes, metadata->id);
	series->metadata.tags = copy(&bytes, metadata->tags);
	series->metadata.namespace = same_namespace ?
		table->newest->metadata.namespace : copy(&bytes, metadata->namespace);
	series->metadata.shard = metadata->shard;
	series->is_marker = m3_log_is_marker_namespace(metadata->namespace);
	series->user = 0;
	insert(table, series);
	table->count++;
	table->newest = series;
	return series;
}

void
m3i_log_series_free(M3LogSeriesTable *table)
{
	while (table->blocks != NULL)
	{
		M3LogBlock *block = table->blocks;

		table->blocks = block->next;
		m3_free(table->memory, block);
	}
	m3_free(table->memory, table->slots);
}
