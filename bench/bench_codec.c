/*
 * ns a point to encode and decode, for the shapes of data that decide it.
 * The first line copies the same points' 16 bytes, so that figures of different
 * machines can be compared as ratios.
 */
#include "storage/codec/m3tsz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/base/bytes.h"

#define BLOCK_POINTS 720
#define BLOCKS 200
#define REPEATS 15
#define START INT64_C(1427162400000000000)

typedef enum Shape
{
	SHAPE_CONSTANT,
	SHAPE_COUNTER,
	SHAPE_INT_WALK,
	SHAPE_TWO_DECIMALS,
	SHAPE_ONE_DECIMAL_REPEATS,
	SHAPE_FULL_PRECISION,
	SHAPE_RANDOM_BITS,
	SHAPE_COUNTER_MS_JITTER,
	SHAPE_TWO_DECIMALS_MS_JITTER,
	SHAPE_THREE_DECIMAL_NOISE,
	SHAPE_COUNT
} Shape;

static const char *const shape_names[SHAPE_COUNT] = {
	"constant", "integer counter", "integer gauge walk", "2-decimal walk",
	"1-decimal, 70 % repeats", "full-precision floats", "random doubles",
	"counter, ms jitter", "2 decimals, ms jitter", "3-decimal noise"
};

typedef struct Block
{
	int64_t		times[BLOCK_POINTS];
	double		values[BLOCK_POINTS];
	uint8_t		stream[BLOCK_POINTS * 24 + M3_ENCODER_MAX_RECORD];
	size_t		size;
} Block;

static uint64_t random_state = 1;

static uint64_t
random_bits(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int64_t
random_between(int64_t low, int64_t high)
{
	return low + (int64_t) (random_bits() % (uint64_t) (high - low + 1));
}

static double
next_value(Shape shape, int64_t *walk)
{
	switch (shape)
	{
		case SHAPE_CONSTANT:
			return 42;
		case SHAPE_COUNTER:
		case SHAPE_COUNTER_MS_JITTER:
			*walk += random_between(0, 200);
			return (double) *walk;
		case SHAPE_INT_WALK:
			*walk += random_between(-3, 3);
			return (double) *walk;
		case SHAPE_TWO_DECIMALS:
		case SHAPE_TWO_DECIMALS_MS_JITTER:
			*walk += random_between(-100, 100);
			return (double) *walk / 100;
		case SHAPE_ONE_DECIMAL_REPEATS:
			if (random_between(1, 10) > 7)
				*walk += random_between(-20, 20);
			return (double) *walk / 10;
		case SHAPE_FULL_PRECISION:
			return 50 + 10 * sin((double) (*walk += 1) / 50) + (double) random_bits() * 0x1p-64;
		case SHAPE_RANDOM_BITS:
			return m3_double_from_bits(random_bits());
		case SHAPE_THREE_DECIMAL_NOISE:
			return (double) random_between(0, 100000) / 1000;
		case SHAPE_COUNT:
			break;
	}
	return 0;
}

static void
fill(Block *blocks, Shape shape)
{
	bool		jitter = shape == SHAPE_COUNTER_MS_JITTER || shape == SHAPE_TWO_DECIMALS_MS_JITTER;

	for (int b = 0; b < BLOCKS; b++)
	{
		int64_t		walk = random_between(1000, 9000);

		for (int i = 0; i < BLOCK_POINTS; i++)
		{
			blocks[b].times[i] = START + i * INT64_C(10000000000);
			if (jitter)
				blocks[b].times[i] += random_between(0, 50) * 1000000;
			blocks[b].values[i] = next_value(shape, &walk);
		}
	}
}

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}

static void
encode(Block *block)
{
	M3Encoder	encoder;
	size_t		size = 0;
	size_t		written;

	m3_encoder_init(&encoder, START, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	for (int i = 0; i < BLOCK_POINTS; i++)
	{
		if (m3_encoder_append_value(&encoder, block->times[i], block->values[i],
									block->stream + size, &written, NULL) != M3_OK)
			abort();
		size += written;
	}
	block->size = size + m3_encoder_tail(&encoder, block->stream + size);
}

static int64_t decoded_times[BLOCK_POINTS + 1];
static double decoded_values[BLOCK_POINTS + 1];

static void
decode(const Block *block)
{
	M3Decoder	decoder;
	size_t		count;

	m3_decoder_init(&decoder, block->stream, block->size, true, M3_UNIT_SECOND);
	if (m3_decoder_next_values(&decoder, decoded_times, decoded_values, NULL,
							   BLOCK_POINTS + 1, &count, NULL) != M3_OK || count != BLOCK_POINTS)
		abort();
}

static volatile double sink;

static void
decode_and_sum(const Block *block)
{
	double		sum = 0;

	decode(block);
	for (int i = 0; i < BLOCK_POINTS; i++)
		sum += decoded_values[i];
	sink = sum;
}

static void
copy(const Block *block)
{
	memcpy(decoded_times, block->times, sizeof(block->times));
	memcpy(decoded_values, block->values, sizeof(block->values));
	__asm__ volatile("" ::: "memory");
}

/* Best ns a point of several passes over all blocks. */
#define MEASURE(best, statement) \
	do { \
		(best) = 1e300; \
		for (int repeat_ = 0; repeat_ < REPEATS; repeat_++) \
		{ \
			double		begin_ = now_ns(); \
			for (int b = 0; b < BLOCKS; b++) \
				statement; \
			(best) = fmin((best), (now_ns() - begin_) / (BLOCKS * BLOCK_POINTS)); \
		} \
	} while (0)

int
main(void)
{
	Block	   *blocks = calloc(BLOCKS, sizeof(Block));
	double		copy_ns;

	if (blocks == NULL)
		return 1;
	fill(blocks, SHAPE_CONSTANT);
	MEASURE(copy_ns, copy(&blocks[b]));
	printf("%-26s %9s %9s %9s %11s\n", "ns/point", "bits/pt", "encode", "decode", "decode+sum");
	printf("%-26s %9.0f %9.2f %9.2f\n", "memcpy of 16 bytes", 128.0, copy_ns, copy_ns);
	for (int shape = 0; shape < SHAPE_COUNT; shape++)
	{
		double		encode_ns;
		double		decode_ns;
		double		sum_ns;
		size_t		bytes = 0;

		fill(blocks, (Shape) shape);
		MEASURE(encode_ns, encode(&blocks[b]));
		for (int b = 0; b < BLOCKS; b++)
		{
			bytes += blocks[b].size;
			decode(&blocks[b]);
			if (memcmp(decoded_values, blocks[b].values, sizeof(blocks[b].values)) != 0 ||
				memcmp(decoded_times, blocks[b].times, sizeof(blocks[b].times)) != 0)
				abort();
		}
		MEASURE(decode_ns, decode(&blocks[b]));
		MEASURE(sum_ns, decode_and_sum(&blocks[b]));
		printf("%-26s %9.1f %9.2f %9.2f %11.2f\n", shape_names[shape],
			   (double) bytes * 8 / (BLOCKS * BLOCK_POINTS), encode_ns, decode_ns, sum_ns);
	}
	free(blocks);
	return 0;
}
