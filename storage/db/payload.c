#include <string.h>

#include "storage/db/jobs_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

void
m3i_payload_init(M3Payload *payload, M3Database *db)
{
	memset(payload, 0, sizeof(*payload));
	payload->db = db;
	m3_copy_init(&payload->copy, db->engine->memory, true);
	m3_points_init(&payload->points, db->engine->memory, true);
}

void
m3i_payload_free(M3Payload *payload)
{
	m3_points_free(&payload->points);
	m3_copy_free(&payload->copy);
	m3_free(payload->db->engine->memory, payload->encoded);
	payload->encoded = NULL;
}

static M3Status
take(M3Payload *payload, const M3BucketRef *ref, bool frozen, M3SeesFn sees,
	 const void *context, M3Error *err)
{
	M3Database *db = payload->db;
	const M3Series *series = m3_arena_at(db->arena, ref->series);
	uint32_t	lock = M3_LOCK_STRIPE + m3_series_stripe(series->hash);

	m3_copy_clear(&payload->copy);
	for (;;)
	{
		const M3Bucket *bucket;
		bool		fits;

		db->env->lock(db->env, lock, M3_LOCK_SHARED);
		bucket = m3_series_bucket(db->arena, series, ref->start_ns);
		fits = m3_copy_take(&payload->copy, db->arena, bucket,
							frozen && bucket != NULL ? bucket->frozen : UINT32_MAX, sees,
							context);
		db->env->unlock(db->env, lock);
		if (fits)
			return M3_OK;
		M3_TRY(m3_copy_grow(&payload->copy, err));
	}
}

M3Status
m3i_payload_make(M3Payload *payload, const M3BucketRef *ref, bool frozen, M3SeesFn sees,
				 const void *context, M3Slice older, M3Slice *bytes, M3Error *err)
{
	size_t		size;

	payload->has_points = false;
	M3_TRY(take(payload, ref, frozen, sees, context, err));
	if (payload->copy.stream_count == 0)
	{
		*bytes = older;
		return M3_OK;
	}
	if (older.size == 0 && m3_copy_whole(&payload->copy, bytes))
		return M3_OK;
	m3_points_clear(&payload->points);
	if (older.size > 0)
		M3_TRY(m3_copy_merge_payload(&payload->copy, older, &payload->points, NULL, err));
	M3_TRY(m3_copy_merge(&payload->copy, &payload->points, NULL, err));
	M3_TRY(m3_points_encode(&payload->points, ref->start_ns, payload->db->engine->memory,
							&payload->encoded, &payload->encoded_capacity, &size, err));
	*bytes = m3_slice(payload->encoded, size);
	payload->has_points = true;
	return M3_OK;
}
