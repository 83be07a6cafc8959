#include "storage/db/own_points.h"

#include <stdlib.h>
#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

static bool
is_written_before(const M3PendingPoint *point, uint32_t command)
{
	/* a command number that did not fit counts as the largest that does */
	return point->command < command ||
		(point->command == M3I_PENDING_MAX_COMMAND && command > M3I_PENDING_MAX_COMMAND);
}

static M3Status
keep(M3OwnPoints *own, const M3PendingPoint *point, M3Memory *memory, M3Error *err)
{
	if (own->count == own->capacity)
	{
		size_t		capacity = own->capacity == 0 ? 256 : own->capacity * 2;
		M3PendingPoint *points = m3_resize(memory, own->points, capacity * sizeof(*points));

		if (points == NULL)
			return m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", capacity);
		own->points = points;
		own->capacity = capacity;
	}
	own->points[own->count++] = *point;
	return M3_OK;
}

static M3Status
filter(M3OwnPoints *own, uint32_t namespace_number, int64_t start_ns, int64_t end_ns,
	   uint32_t command, M3Memory *memory, M3Error *err)
{
	M3Txn	   *txn = own->txn;
	uint64_t	position = 0;

	for (;;)
	{
		const M3PendingPoint *points;
		uint64_t	first = position;
		size_t		count;

		txn->db->env->yield(txn->db->env);
		M3_TRY(m3i_pending_read(txn->pending, &position, &points, &count, err));
		if (count == 0)
			return M3_OK;
		for (size_t i = 0; i < count; i++)
		{
			if (txn->series[points[i].series].namespace_number == namespace_number &&
				points[i].time_ns >= start_ns && points[i].time_ns < end_ns &&
				is_written_before(&points[i], command) &&
				!m3i_txn_point_is_void(txn, &points[i], first + i))
				M3_TRY(keep(own, &points[i], memory, err));
		}
	}
}

/* Reorders the points by series and time, the last of equal times only. */
static M3Status
arrange(M3OwnPoints *own, M3Memory *memory, M3Error *err)
{
	uint32_t	series_count = own->txn->series_count;
	uint32_t   *order = m3_alloc(memory, own->count * sizeof(*order));
	uint32_t   *starts = m3_alloc(memory, (series_count + (size_t) 1) * sizeof(*starts));
	M3PendingPoint *sorted = m3_alloc(memory, own->count * sizeof(*sorted));
	M3Status	status = M3_OK;
	size_t		n = 0;

	if (order == NULL || starts == NULL || sorted == NULL || own->count > UINT32_MAX)
	{
		status = m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", own->count);
		goto done;
	}
	M3_GOTO(m3i_order_points(own->points, own->count, series_count, order, starts, memory, err));
	for (size_t i = 0; i < own->count; i++)
	{
		const M3PendingPoint *point = &own->points[order[i]];

		if (n > 0 && sorted[n - 1].series == point->series &&
			sorted[n - 1].time_ns == point->time_ns)
			n--;
		sorted[n++] = *point;
	}
	m3_free(memory, own->points);
	own->points = sorted;
	own->capacity = own->count;
	own->count = n;
	sorted = NULL;
done:
	m3_free(memory, order);
	m3_free(memory, starts);
	m3_free(memory, sorted);
	return status;
}

static M3Ref
shared_ref(const M3Txn *txn, const M3TxnSeries *series, M3Ref namespace_ref)
{
	M3Database *db = txn->db;
	uint32_t	hash;
	M3Ref		ref;

	if (series->ref != 0 || namespace_ref == 0)
		return series->ref;
	hash = m3_series_hash(namespace_ref, m3i_txn_series_id(series));
	db->env->lock(db->env, M3_LOCK_STRIPE + m3_series_stripe(hash), M3_LOCK_SHARED);
	ref = m3_series_find(db->arena, m3i_stripe(db, hash), namespace_ref,
						 m3i_txn_series_id(series), hash);
	db->env->unlock(db->env, M3_LOCK_STRIPE + m3_series_stripe(hash));
	return ref;
}

static int
compare_refs(const void *a, const void *b)
{
	const M3OwnSeries *x = a;
	const M3OwnSeries *y = b;

	if (x->ref != y->ref)
		return x->ref < y->ref ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static M3Status
list_series(M3OwnPoints *own, M3Ref namespace_ref, M3Memory *memory, M3Error *err)
{
	size_t		capacity = 0;

	for (size_t i = 0; i < own->count; i++)
		capacity += i == 0 || own->points[i].series != own->points[i - 1].series;
	own->series = m3_alloc(memory, capacity * sizeof(*own->series));
	if (own->series == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu series", capacity);
	for (size_t i = 0; i < own->count; i++)
	{
		uint32_t	number = own->points[i].series;

		if (i == 0 || number != own->points[i - 1].series)
		{
			M3OwnSeries *series = &own->series[own->series_count++];

			memset(series, 0, sizeof(*series));
			series->number = number;
			series->ref = shared_ref(own->txn, &own->txn->series[number], namespace_ref);
			series->first = i;
		}
		own->series[own->series_count - 1].end = i + 1;
	}
	qsort(own->series, own->series_count, sizeof(*own->series), compare_refs);
	return M3_OK;
}

M3Status
m3i_own_collect(M3OwnPoints *own, M3Txn *txn, M3Slice namespace_name, M3Ref namespace_ref,
				int64_t start_ns, int64_t end_ns, uint32_t command, M3Memory *memory,
				M3Error *err)
{
	uint32_t	number = m3i_txn_find_namespace(txn, namespace_name);

	memset(own, 0, sizeof(*own));
	own->txn = txn;
	if (number == UINT32_MAX)
		return M3_OK;
	M3_TRY(filter(own, number, start_ns, end_ns, command, memory, err));
	if (own->count == 0)
		return M3_OK;
	M3_TRY(arrange(own, memory, err));
	return list_series(own, namespace_ref, memory, err);
}

void
m3i_own_free(M3OwnPoints *own, M3Memory *memory)
{
	m3_free(memory, own->points);
	m3_free(memory, own->series);
	memset(own, 0, sizeof(*own));
}

M3OwnSeries *
m3i_own_of_ref(const M3OwnPoints *own, M3Ref ref)
{
	size_t		low = 0;
	size_t		high = own->series_count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (own->series[middle].ref < ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low < own->series_count && own->series[low].ref == ref ? &own->series[low] : NULL;
}

M3Status
m3i_own_read(const M3OwnPoints *own, const M3OwnSeries *series, int64_t start_ns,
			 int64_t end_ns, M3Points *points, M3Error *err)
{
	for (size_t i = series->first; i < series->end; i++)
	{
		const M3PendingPoint *from = &own->points[i];
		M3Point		point = {
			.time_ns = from->time_ns,
			.value = from->value,
			.unit = from->unit != M3_UNIT_NONE ? (M3TimeUnit) from->unit :
			m3_unit_of_time(from->time_ns),
			.annotation = m3i_pending_annotation(own->txn->pending, from)
		};

		if (from->time_ns >= start_ns && from->time_ns < end_ns)
			M3_TRY(m3_points_add(points, &point, err));
	}
	return M3_OK;
}
