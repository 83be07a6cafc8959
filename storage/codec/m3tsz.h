/*
 * M3TSZ: the compressed stream of one series in one block (spec/m3tsz.md).
 *
 * Encoder and decoder are plain values without pointers to memory of their
 * own, so an encoder can live in shared memory and be copied to take a snapshot of it.
 * Bits go out as whole bytes through a caller's buffer; the bits of
 * the last, unfinished byte stay in the encoder.  A stream is therefore
 * (bytes emitted so far) + m3_encoder_tail(), at any moment, without touching
 * the encoder; a decoder that is told how many points to read may be given a
 * stream of which only a prefix was committed.
 */
#ifndef M3_CODEC_M3TSZ_H
#define M3_CODEC_M3TSZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/base/slice.h"
#include "storage/base/status.h"
#include "storage/base/time.h"

typedef struct M3Point
{
	int64_t		time_ns;
	double		value;
	M3TimeUnit	unit;			/* see m3_encoder_append */
	M3Slice		annotation;		/* size 0: none */
} M3Point;

typedef enum M3EncoderMode
{
	/* every value, every time and every annotation comes back as it was
	 * given; bytes equal M3's wherever M3 is lossless (design.md 8) */
	M3_ENCODER_LOSSLESS,
	/* M3's bytes for the same calls, with M3's losses */
	M3_ENCODER_AS_M3,
	/* the same with int_optimized off */
	M3_ENCODER_AS_M3_FLOAT
} M3EncoderMode;

/* Emitted by one append, without the annotation's own bytes. */
#define M3_ENCODER_MAX_RECORD 48
#define M3_ENCODER_MAX_TAIL 3
/* Longest annotation; also bounded by what a log entry and a tag may hold. */
#define M3_ANNOTATION_MAX_SIZE 65535

typedef struct M3Encoder
{
	int64_t		start_ns;
	int64_t		prev_time;
	int64_t		prev_delta;
	uint64_t	annotation_hash;
	uint64_t	prev_bits;		/* last float pattern */
	uint64_t	prev_xor;
	double		int_value;		/* scaled */
	uint64_t	last_value_bits;	/* pattern of the last point's value */
	uint64_t	emitted;		/* whole bytes given out so far */
	uint32_t	count;			/* points */
	uint8_t		mode;			/* M3EncoderMode */
	uint8_t		unit;
	uint8_t		bit_count;		/* bits in partial: 0..7 */
	uint8_t		partial;		/* unfinished byte, from its top bit */
	uint8_t		significant;
	uint8_t		low_max;
	uint8_t		low_count;
	uint8_t		max_multiplier;
	bool		is_float;
	uint8_t		default_unit;
} M3Encoder;

/* default_unit is M3_UNIT_SECOND in production. */
extern void m3_encoder_init(M3Encoder *encoder, int64_t start_ns,
							M3EncoderMode mode, M3TimeUnit default_unit);

/*
 * Appends a point.  *written bytes are put to out, which has room for
 * M3_ENCODER_MAX_RECORD plus the annotation's size.  Bytes of one stream are the outs
 * of its appends, one after the other.
 *
 * The order of times is the caller's affair.  In the AS_M3 modes point->unit
 * is written as given.  In LOSSLESS mode the unit used is the finest of the stream's current
 * unit (once a point was written), point->unit (M3_UNIT_NONE: no wish) and the coarsest
 * that holds the time exactly relative to what was stored; an annotation is
 * written with each point that has one.
 *
 * Nothing is changed on failure: M3_INVALID for a bad unit, a delta that
 * cannot be written in the given unit, or an annotation that is too long.
 */
extern M3Status m3_encoder_append(M3Encoder *encoder, const M3Point *point,
								  uint8_t *out, size_t *written, M3Error *err);

/* The same without annotation and wish, for the hot path. */
extern M3Status m3_encoder_append_value(M3Encoder *encoder, int64_t time_ns,
										double value, uint8_t *out,
										size_t *written, M3Error *err);

/* What ends the stream now: unfinished bits, marker, padding.  Returns the
 * size, at most M3_ENCODER_MAX_TAIL; 0 if no point was written. */
extern size_t m3_encoder_tail(const M3Encoder *encoder, uint8_t out[M3_ENCODER_MAX_TAIL]);

typedef struct M3Decoder
{
	const uint8_t *data;
	uint64_t	bit_size;
	uint64_t	bit_position;
	int64_t		prev_time;
	int64_t		prev_delta;
	uint64_t	prev_bits;
	uint64_t	prev_xor;
	double		int_value;
	M3Slice		annotation;		/* of the last record, scratch of the caller */
	uint8_t		unit;
	uint8_t		default_unit;
	uint8_t		significant;
	uint8_t		multiplier;
	bool		int_optimized;
	bool		is_float;
	bool		started;
	bool		done;
	bool		failed;			/* was found corrupt, and stays so */
} M3Decoder;

/* data is borrowed until the last call; it is never read beyond size. */
extern void m3_decoder_init(M3Decoder *decoder, const void *data, size_t size,
							bool int_optimized, M3TimeUnit default_unit);

/*
 * Decodes up to capacity points into the arrays; *count of them were.
 * Less than capacity means the end of the stream.  units may be NULL.
 * Annotations are passed over.  M3_CORRUPT keeps the points before the damage.
 */
extern M3Status m3_decoder_next_values(M3Decoder *decoder, int64_t *times_ns,
									   double *values, uint8_t *units,
									   size_t capacity, size_t *count,
									   M3Error *err);

/*
 * Decodes one point with everything.  M3_NOT_FOUND at the end of the stream.
 * An annotation is copied to scratch, grown through *scratch and
 * *scratch_size by realloc semantics of memory (NULL/0 at first; the caller
 * frees it), and valid until the next call.
 */
struct M3Memory;
extern M3Status m3_decoder_next(M3Decoder *decoder, M3Point *point,
								struct M3Memory *memory, uint8_t **scratch,
								size_t *scratch_size, M3Error *err);

#endif							/* M3_CODEC_M3TSZ_H */
