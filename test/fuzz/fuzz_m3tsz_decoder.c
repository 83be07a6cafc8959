/*
 * Any bytes as a stream: both decode functions agree on points and status,
 * and what was decoded survives a lossless round trip.  The first byte
 * chooses the parameters.
 */
#include "storage/codec/m3tsz.h"

#include <stdlib.h>

#include "storage/base/bytes.h"
#include "storage/base/memory.h"

#define MAX_POINTS 2000

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t times[MAX_POINTS];
static double values[MAX_POINTS];
static uint8_t units[MAX_POINTS];

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static M3Status
decode_arrays(const uint8_t *data, size_t size, bool int_optimized, M3TimeUnit unit,
			  size_t step, size_t *total)
{
	M3Decoder	decoder;
	M3Status	status;
	size_t		room;
	size_t		count;

	*total = 0;
	m3_decoder_init(&decoder, data, size, int_optimized, unit);
	do
	{
		room = MAX_POINTS - *total < step ? MAX_POINTS - *total : step;
		status = m3_decoder_next_values(&decoder, times + *total, values + *total,
										units + *total, room, &count, NULL);
		require(count <= room);
		*total += count;
	} while (status == M3_OK && count == room && *total < MAX_POINTS);
	return status;
}

static void
compare_each(const uint8_t *data, size_t size, bool int_optimized, M3TimeUnit unit,
			 size_t total, M3Status expected)
{
	M3Decoder	decoder;
	M3Point		point;
	M3Status	status = M3_OK;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	size_t		count = 0;

	m3_decoder_init(&decoder, data, size, int_optimized, unit);
	while (count < MAX_POINTS)
	{
		status = m3_decoder_next(&decoder, &point, &m3_memory_malloc, &scratch,
								 &scratch_size, NULL);
		if (status != M3_OK)
			break;
		require(count < total && point.time_ns == times[count] &&
				m3_double_bits(point.value) == m3_double_bits(values[count]) &&
				point.unit == units[count]);
		require(point.annotation.size <= size);
		count++;
	}
	free(scratch);
	require(count == total);
	require(status == expected || (status == M3_NOT_FOUND && expected == M3_OK));
}

static void
check_round_trip(size_t total)
{
	static uint8_t out[MAX_POINTS * M3_ENCODER_MAX_RECORD];
	static int64_t given_times[MAX_POINTS];
	static uint64_t given_bits[MAX_POINTS];
	M3Encoder	encoder;
	size_t		size = 0;
	size_t		written;
	size_t		given = 0;
	size_t		back;

	m3_encoder_init(&encoder, 0, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	for (size_t i = 0; i < total; i++)
	{
		if (m3_encoder_append_value(&encoder, times[i], values[i], out + size,
									&written, NULL) != M3_OK)
			continue;
		require(written < M3_ENCODER_MAX_RECORD);
		size += written;
		given_times[given] = times[i];
		given_bits[given++] = m3_double_bits(values[i]);
	}
	size += m3_encoder_tail(&encoder, out + size);
	require(decode_arrays(out, size, true, M3_UNIT_SECOND, MAX_POINTS, &back) == M3_OK);
	require(back == given);
	for (size_t i = 0; i < given; i++)
		require(times[i] == given_times[i] && m3_double_bits(values[i]) == given_bits[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool		int_optimized;
	M3TimeUnit	unit;
	size_t		step;
	size_t		total;
	M3Status	status;

	if (size == 0)
		return 0;
	int_optimized = (data[0] & 1) != 0;
	unit = (M3TimeUnit) (data[0] >> 1 & 3) + 1;
	step = (size_t) (data[0] >> 3) + 1;
	data++;
	size--;
	status = decode_arrays(data, size, int_optimized, unit, step, &total);
	compare_each(data, size, int_optimized, unit, total, status);
	check_round_trip(total);
	return 0;
}
