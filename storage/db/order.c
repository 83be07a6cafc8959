/*
 * Points of a transaction in the order they go to the buffers and the log.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/db/txn_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

typedef struct OrderKey
{
	int64_t		time_ns;
	uint32_t	position;
} OrderKey;

static int
compare_keys(const void *a, const void *b)
{
	const OrderKey *x = a;
	const OrderKey *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->position < y->position ? -1 : x->position > y->position;
}

/* Sorts one series' stretch by time, if it is not in order already. */
static M3Status
order_by_time(const M3PendingPoint *points, uint32_t *order, uint32_t count,
			  M3Memory *memory, M3Error *err)
{
	OrderKey   *keys;
	uint32_t	i;

	for (i = 1; i < count; i++)
	{
		if (points[order[i]].time_ns < points[order[i - 1]].time_ns)
			break;
	}
	if (i >= count)
		return M3_OK;
	keys = m3_alloc(memory, count * sizeof(*keys));
	if (keys == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %u points", count);
	for (i = 0; i < count; i++)
	{
		keys[i].time_ns = points[order[i]].time_ns;
		keys[i].position = order[i];
	}
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (i = 0; i < count; i++)
		order[i] = keys[i].position;
	m3_free(memory, keys);
	return M3_OK;
}

M3Status
m3i_order_points(const M3PendingPoint *points, size_t count, uint32_t series_count,
				 uint32_t *order, uint32_t *starts, M3Memory *memory, M3Error *err)
{
	memset(starts, 0, (series_count + 1) * sizeof(*starts));
	for (size_t i = 0; i < count; i++)
		starts[points[i].series + 1]++;
	for (uint32_t s = 0; s < series_count; s++)
		starts[s + 1] += starts[s];
	/* fill from the front, which moves each start to its end ... */
	for (size_t i = 0; i < count; i++)
		order[starts[points[i].series]++] = (uint32_t) i;
	/* ... and put them back */
	memmove(starts + 1, starts, series_count * sizeof(*starts));
	starts[0] = 0;
	for (uint32_t s = 0; s < series_count; s++)
	{
		if (starts[s + 1] - starts[s] > 1)
			M3_TRY(order_by_time(points, order + starts[s], starts[s + 1] - starts[s], memory,
								 err));
	}
	return M3_OK;
}
