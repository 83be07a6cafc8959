/*
 * Whether statistics that readers believe say what the payloads say.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/buffer/copy.h"
#include "storage/buffer/summary.h"
#include "tools/verify_private.h"

/* Sums may have been added up in another order. */
#define TOLERANCE 1e-12

static bool
same_value(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static bool
same_bits(double a, double b)
{
	return m3_double_bits(a) == m3_double_bits(b) || (isnan(a) && isnan(b));
}

/* scale: what the terms are of at most. */
static bool
same_sum(double a, double b, double scale, uint64_t count)
{
	return same_value(a, b) || fabs(a - b) <= TOLERANCE * scale * (double) count;
}

static bool
same_summary(const M3SeriesStatistics *stored, const M3Summary *found, const uint64_t *times)
{
	double		greatest = fmax(fabs(found->min), fabs(found->max));

	if (stored->count != found->count)
		return false;
	if (!stored->is_known || found->count == 0)
		return true;
	return stored->first_ns == found->first_ns && stored->last_ns == found->last_ns &&
		stored->times[0] == times[0] && stored->times[1] == times[1] &&
		same_bits(stored->first, found->first) && same_bits(stored->last, found->last) &&
		same_value(stored->min, found->min) && same_value(stored->max, found->max) &&
		same_sum(stored->sum, found->sum, greatest, found->count) &&
		same_sum(stored->squares, found->squares, 4 * greatest * greatest, found->count);
}

/* As readers decode it; a payload that they refuse has no points. */
static M3Status
summarize(M3Memory *memory, M3Slice payload, M3Summary *summary, uint64_t *times, M3Error *err)
{
	M3Copy		copy;
	M3Points	points;
	M3Status	status;

	memset(summary, 0, sizeof(*summary));
	m3_copy_init(&copy, memory, false);
	m3_points_init(&points, memory, false);
	status = m3_copy_merge_payload(&copy, payload, &points, NULL, err);
	if (status == M3_OK && points.count > 0)
	{
		m3_summary_add(summary, M3_SUMMARY_ALL, points.times_ns, points.values, points.count);
		m3_xxh3_128_le64(points.times_ns, points.count, times);
	}
	m3_points_free(&points);
	m3_copy_free(&copy);
	return verify_is_damage(status) ? M3_OK : status;
}

M3Status
verify_statistics_open(Verify *v, const char *directory, const M3FilesetName *name,
					   const M3FilesetHeader *header, M3StatisticsReader **reader, M3Error *err)
{
	M3Error		reason;
	M3Status	status;

	*reader = NULL;
	memset(&reason, 0, sizeof(reason));
	status = m3_statistics_open(v->env, v->memory, directory, name, header, reader, &reason);
	if (status == M3_OK || status == M3_NOT_FOUND)
		return M3_OK;
	if (verify_is_damage(status))
	{
		verify_finding(v, VERIFY_NOTE, reason.file, reason.offset,
					   VERIFY_NOT_BELIEVED, "%s",
					   reason.message);
		return M3_OK;
	}
	if (err != NULL)
		*err = reason;
	return status;
}

M3Status
verify_statistics_entry(Verify *v, M3StatisticsReader *reader, const M3FilesetEntry *entry,
						M3Slice payload, uint64_t *points, const char **what, M3Error *err)
{
	M3SeriesStatistics stored;
	M3Summary	found;
	uint64_t	times[2] = {0, 0};
	M3Status	status;

	*what = NULL;
	M3_TRY(summarize(v->memory, payload, &found, times, err));
	*points += found.count;
	status = m3_statistics_get(reader, entry->ordinal, &stored, err);
	if (status == M3_OK && !same_summary(&stored, &found, times))
		*what = "statistics do not agree with the points";
	return status;
}
