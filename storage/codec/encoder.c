/*
 * M3TSZ encoder (spec/m3tsz.md 2 to 7).
 *
 * An append first plans the time, the only thing that can fail, then writes.
 * In LOSSLESS mode the encoder replays what the decoder will compute from an
 * integer record and takes a float record if any bit would differ; so int_value is
 * always exactly the decoder's.  Where M3 loses nothing, the decisions
 * are M3's.
 */
#include "storage/codec/m3tsz.h"

#include <math.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/codec/m3tsz_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define MAX_OPTIMIZED_INT 1e13
#define SIGNIFICANT_SLACK 3u
#define SIGNIFICANT_REPEAT 5u

/* Annotation marker and length, unit change, start, dod, value, partial byte,
 * and what the last 8-byte store may write past the end. */
_Static_assert((7 + 64 + 11 + 24 + 19 + 64 + 80 + 7) / 8 + 8 <= M3_ENCODER_MAX_RECORD,
			   "M3_ENCODER_MAX_RECORD is too small");

typedef struct BitWriter
{
	uint8_t    *out;
	uint64_t	bits;			/* those not given out, from the top */
	unsigned	count;			/* 0..7 */
	uint64_t	pending;		/* not yet in bits, so as to be put at once */
	unsigned	pending_count;	/* 0..56 */
} BitWriter;

typedef struct TimePlan
{
	unsigned	unit;
	bool		unit_changed;
	int64_t		delta;
	int64_t		dod;			/* ns if unit_changed, else in unit */
} TimePlan;

/* Moves the pending bits to bits, and the whole bytes of those to out. */
M3I_INLINE void
settle(BitWriter *w)
{
	/* in two steps, since the distance is 64 for no bits */
	w->bits |= w->pending << (63 - w->count - w->pending_count) << 1;
	w->count += w->pending_count;
	m3_store_be64(w->out, w->bits);
	w->out += w->count >> 3;
	w->bits <<= w->count & ~7u;
	w->count &= 7;
	w->pending = 0;
	w->pending_count = 0;
}

/* Appends count bits (0..56): value, which has no others. */
M3I_INLINE void
put(BitWriter *w, uint64_t value, unsigned count)
{
	if (w->pending_count + count > 56)
		settle(w);
	w->pending = w->pending << count | value;
	w->pending_count += count;
}

/* The same for 0..64 bits. */
M3I_INLINE void
put_wide(BitWriter *w, uint64_t value, unsigned count)
{
	if (count > 56)
	{
		put(w, value >> 32, count - 32);
		put(w, value & 0xffffffffu, 32);
	}
	else
		put(w, value, count);
}

/*
 * Times.
 */

static inline bool
fits_32_bit(int64_t n)
{
	return n >= INT32_MIN && n <= INT32_MAX;
}

/* dod / unit, truncating; constants make it a multiplication. */
static inline int64_t
divide_by_unit(int64_t dod, unsigned unit)
{
	if (unit == M3_UNIT_SECOND)
		return dod / 1000000000;
	if (unit == M3_UNIT_MILLISECOND)
		return dod / 1000000;
	if (unit == M3_UNIT_MICROSECOND)
		return dod / 1000;
	return dod;
}

static M3Status
plan_unit_change(TimePlan *plan, unsigned unit, M3Error *err)
{
	/* A decoder looks for a marker before the raw number and would find one. */
	uint64_t	top = (uint64_t) plan->dod >> (64 - M3I_MARKER_BITS);

	if (top >> 2 == M3I_MARKER_OPCODE && (top & 3) != 3)
		return m3_error(err, M3_INVALID, "time is too far before the previous one");
	plan->unit = unit;
	plan->unit_changed = true;
	return M3_OK;
}

static M3Status
plan_time_as_m3(const M3Encoder *encoder, int64_t time_ns, unsigned unit,
				TimePlan *plan, M3Error *err)
{
	plan->delta = m3i_wrapping_sub(time_ns, encoder->prev_time);
	plan->dod = m3i_wrapping_sub(plan->delta, encoder->prev_delta);
	if (!m3_unit_is_valid(unit))
		return m3_error(err, M3_INVALID, "invalid time unit %u", unit);
	if (unit != encoder->unit)
		return plan_unit_change(plan, unit, err);
	plan->unit = unit;
	plan->unit_changed = false;
	plan->dod = divide_by_unit(plan->dod, unit);
	if (m3i_unit_is_32_bit(unit) && !fits_32_bit(plan->dod))
		return m3_error(err, M3_INVALID, "time is too far from the previous one for unit \"%s\"",
						m3_unit_name(unit));
	return M3_OK;
}

static inline unsigned
finer(unsigned a, unsigned b)
{
	return a > b ? a : b;		/* the usable units are numbered by fineness */
}

/* The cases that need another unit, or may. */
static M3Status
plan_time_with_unit(const M3Encoder *encoder, int64_t time_ns, unsigned wish,
					TimePlan *plan, M3Error *err)
{
	unsigned	unit;
	int64_t		n;

	if (wish > M3_UNIT_NANOSECOND)
		return m3_error(err, M3_INVALID, "invalid time unit %u", wish);
	if (encoder->unit != M3_UNIT_NONE)
		unit = finer(m3_unit_of_time(plan->dod), wish);
	else						/* any unit named now stores this time exactly */
		unit = wish != M3_UNIT_NONE ? wish : m3_unit_of_time(time_ns);
	if (encoder->count != 0)
		unit = finer(unit, encoder->unit);
	if (unit != encoder->unit)
		return plan_unit_change(plan, unit, err);
	n = divide_by_unit(plan->dod, unit);
	if (m3i_unit_is_32_bit(unit) && !fits_32_bit(n))
		return plan_unit_change(plan, unit + 1, err);
	plan->unit = unit;
	plan->unit_changed = false;
	plan->dod = n;
	return M3_OK;
}

M3I_INLINE M3Status
plan_time(const M3Encoder *encoder, int64_t time_ns, unsigned wish,
		  TimePlan *plan, M3Error *err)
{
	plan->delta = m3i_wrapping_sub(time_ns, encoder->prev_time);
	plan->dod = m3i_wrapping_sub(plan->delta, encoder->prev_delta);
	if (encoder->count != 0 && wish <= encoder->unit)
	{
		int64_t		n = divide_by_unit(plan->dod, encoder->unit);

		if (n * m3_unit_ns(encoder->unit) == plan->dod &&
			(fits_32_bit(n) || !m3i_unit_is_32_bit(encoder->unit)))
		{
			plan->unit = encoder->unit;
			plan->unit_changed = false;
			plan->dod = n;
			return M3_OK;
		}
	}
	return plan_time_with_unit(encoder, time_ns, wish, plan, err);
}

static void
put_unit_change(BitWriter *w, const TimePlan *plan)
{
	put(w, M3I_MARKER_OPCODE << 2 | M3I_MARKER_UNIT, M3I_MARKER_BITS);
	put(w, plan->unit, 8);
	put_wide(w, (uint64_t) plan->dod, 64);
}

M3I_INLINE void
put_dod(BitWriter *w, int64_t n, unsigned unit)
{
	if (n == 0)
		put(w, 0, 1);
	else if (n >= -64 && n <= 63)
		put(w, 0x2u << 7 | ((uint64_t) n & 0x7f), 9);
	else if (n >= -256 && n <= 255)
		put(w, 0x6u << 9 | ((uint64_t) n & 0x1ff), 12);
	else if (n >= -2048 && n <= 2047)
		put(w, 0xeu << 12 | ((uint64_t) n & 0xfff), 16);
	else if (m3i_unit_is_32_bit(unit))
		put(w, UINT64_C(0xf) << 32 | ((uint64_t) n & 0xffffffffu), 36);
	else
	{
		put(w, 0xf, 4);
		put_wide(w, (uint64_t) n, 64);
	}
}

/*
 * Annotations.
 */

static void
put_annotation(BitWriter *w, M3Slice annotation)
{
	uint8_t		length[M3_UVARINT_MAX_SIZE];
	size_t		length_size;

	/* zigzag of a number that is never negative */
	length_size = m3_put_uvarint(length, 2 * (uint64_t) (annotation.size - 1));
	put(w, M3I_MARKER_OPCODE << 2 | M3I_MARKER_ANNOTATION, M3I_MARKER_BITS);
	for (size_t i = 0; i < length_size; i++)
		put(w, length[i], 8);
	settle(w);
	for (size_t i = 0; i < annotation.size; i++)
	{
		/* byte by byte: a wider store could pass the end of out */
		w->bits |= (uint64_t) annotation.data[i] << (56 - w->count);
		*w->out++ = (uint8_t) (w->bits >> 56);
		w->bits <<= 8;
	}
}

/* M3 leaves out what it wrote last. */
static bool
wants_annotation(M3Encoder *encoder, M3Slice annotation)
{
	uint64_t	hash;

	if (annotation.size == 0)
		return false;
	if (encoder->mode == M3_ENCODER_LOSSLESS)
		return true;
	hash = m3_xxh64(annotation.data, annotation.size);
	if (hash == encoder->annotation_hash)
		return false;
	encoder->annotation_hash = hash;
	return true;
}

/*
 * Float values.
 */

M3I_INLINE void
put_full_float(M3Encoder *encoder, BitWriter *w, uint64_t bits)
{
	put_wide(w, bits, 64);
	encoder->prev_bits = bits;
	encoder->prev_xor = bits;
}

/* prefix holds prefix_count bits that go before the record. */
M3I_INLINE void
put_xor(M3Encoder *encoder, BitWriter *w, uint64_t bits, unsigned prefix, unsigned prefix_count)
{
	uint64_t	xor = encoder->prev_bits ^ bits;
	unsigned	leading;
	unsigned	trailing;
	unsigned	width;

	if (xor == 0)
		put(w, prefix << 1, prefix_count + 1);
	else
	{
		leading = m3i_clz(encoder->prev_xor);
		trailing = m3i_ctz(encoder->prev_xor);
		if (m3i_clz(xor) >= leading && m3i_ctz(xor) >= trailing)
			put(w, prefix << 2 | 0x2u, prefix_count + 2);
		else
		{
			leading = m3i_clz(xor);
			trailing = m3i_ctz(xor);
			width = 64 - leading - trailing;
			put(w, (prefix << 2 | 0x3u) << 12 | leading << 6 | (width - 1), prefix_count + 14);
		}
		put_wide(w, xor >> trailing, 64 - leading - trailing);
	}
	encoder->prev_xor = xor;
	encoder->prev_bits = bits;
}

/* A later value, after which max_multiplier is multiplier if the mode changes. */
M3I_INLINE void
put_float(M3Encoder *encoder, BitWriter *w, uint64_t bits, unsigned multiplier)
{
	if (!encoder->is_float)
	{
		put(w, 0x1, 3);
		put_full_float(encoder, w, bits);
		encoder->is_float = true;
		encoder->max_multiplier = (uint8_t) multiplier;
	}
	else if (bits == encoder->prev_bits)
		put(w, 0x1, 2);
	else
		put_xor(encoder, w, bits, 0x1, 1);
}

/*
 * Integer values.
 */

/*
 * True if value times ten to any power up to 6 is further from an integer
 * than rounding can explain, so that classify would find nothing either.
 */
static inline bool
is_no_decimal(double magnitude)
{
	double		scaled = magnitude * 1e6;

	/* beyond, the fraction has too few bits to judge by */
	if (!(scaled < 1125899906842624.0))
		return false;
	/* the smallest double is one step from zero, which M3 calls an integer */
	return fabs(scaled - (double) (int64_t) (scaled + 0.5)) > scaled * 0x1p-49 &&
		m3_double_bits(magnitude) != 1;
}

/*
 * Decides whether value is, nearly, integer / 10^multiplier with the smallest
 * multiplier from the current one on (spec 7.2).
 */
M3I_INLINE bool
classify(double value, unsigned multiplier, double *integer, unsigned *found)
{
	if (multiplier == 0)
	{
		double		magnitude = fabs(value);

		if (magnitude < 9007199254740992.0)
		{
			if ((double) (int64_t) value == value)
			{
				*integer = value;
				*found = 0;
				return true;
			}
			if (is_no_decimal(magnitude))
				return false;
		}
		else if (value < M3I_TWO_63 && value >= -__DBL_MAX__)
		{
			*integer = value;	/* that large it has no fraction */
			*found = 0;
			return true;
		}
	}
	for (; multiplier <= M3I_MAX_MULTIPLIER; multiplier++)
	{
		double		scaled = fabs(value * m3i_power_of_10[multiplier]);
		double		whole;

		if (!(scaled < MAX_OPTIMIZED_INT))
			return false;		/* NaN as well */
		/*
		 * An integer, or the next double on either side of one: patterns of
		 * neighbours differ by one.  Which of them is unpredictable, so it is
		 * one branch.
		 */
		whole = (double) (int64_t) (scaled + 0.5);
		if (m3_double_bits(scaled) - m3_double_bits(whole) + 1 > 2)
			continue;
		*integer = copysign(whole, value);
		*found = multiplier;
		return true;
	}
	return false;
}

/* Bits to use for a magnitude that needs count (spec 7.3). */
static inline unsigned
track_significant(M3Encoder *encoder, unsigned count)
{
	unsigned	current = encoder->significant;

	if (count > current)
		return count;
	if (current - count < SIGNIFICANT_SLACK)
	{
		encoder->low_count = 0;
		return current;
	}
	if (encoder->low_count == 0 || count > encoder->low_max)
		encoder->low_max = (uint8_t) count;
	encoder->low_count++;
	if (encoder->low_count < SIGNIFICANT_REPEAT)
		return current;
	encoder->low_count = 0;
	return encoder->low_max;
}

static __attribute__((noinline)) void
put_widths(M3Encoder *encoder, BitWriter *w, unsigned significant,
		   unsigned multiplier, bool mode_changed)
{
	if (significant == encoder->significant)
		put(w, 0, 1);
	else if (significant == 0)
		put(w, 0x2, 2);
	else
		put(w, 0x3u << 6 | (significant - 1), 8);
	encoder->significant = (uint8_t) significant;
	if (multiplier > encoder->max_multiplier)
		encoder->max_multiplier = (uint8_t) multiplier;
	else if (!mode_changed)
	{
		put(w, 0, 1);
		return;
	}
	put(w, 0x1u << 3 | encoder->max_multiplier, 4);
}

/* What M3's arithmetic makes of a double as a count of up to 64 bits. */
static inline uint64_t
magnitude_of(double integer)
{
	double		magnitude = fabs(integer);

	return magnitude >= M3I_TWO_63 ? UINT64_C(1) << 63 : (uint64_t) (int64_t) magnitude;
}

/* True if the decoder's integer gives back exactly value. */
static inline bool
gives_back(double decoded, unsigned multiplier, double value)
{
	if (multiplier != 0)
		decoded /= m3i_power_of_10[multiplier];
	return m3_double_bits(decoded) == m3_double_bits(value);
}

static __attribute__((noinline)) void
put_first_value(M3Encoder *encoder, BitWriter *w, double value)
{
	bool		lossless = encoder->mode == M3_ENCODER_LOSSLESS;
	double		integer;
	double		decoded;
	uint64_t	magnitude;
	unsigned	multiplier;

	if (encoder->mode == M3_ENCODER_AS_M3_FLOAT)
	{
		put_full_float(encoder, w, m3_double_bits(value));
		return;
	}
	if (classify(value, 0, &integer, &multiplier))
	{
		magnitude = magnitude_of(integer);
		decoded = integer < 0 ? 0.0 - (double) magnitude : 0.0 + (double) magnitude;
		if (!lossless || (decoded == integer && gives_back(decoded, multiplier, value)))
		{
			put(w, 0, 1);
			put_widths(encoder, w, 64 - m3i_clz(magnitude), multiplier, false);
			put(w, integer < 0 ? 0 : 1, 1);
			put_wide(w, magnitude, encoder->significant);
			encoder->int_value = integer;
			return;
		}
	}
	put(w, 1, 1);
	put_full_float(encoder, w, m3_double_bits(value));
	encoder->is_float = true;
	encoder->max_multiplier = 0;
}

/* A later integer; difference is int_value - integer. */
M3I_INLINE void
put_int(M3Encoder *encoder, BitWriter *w, double integer, unsigned multiplier, double difference)
{
	uint64_t	magnitude;
	uint64_t	sign = difference < 0;
	unsigned	significant;

	if (difference == 0 && !encoder->is_float && multiplier == encoder->max_multiplier)
	{
		put(w, 0x1, 2);
		return;
	}
	magnitude = (uint64_t) (int64_t) fabs(difference);
	significant = track_significant(encoder, 64 - m3i_clz(magnitude));
	if (multiplier > encoder->max_multiplier || significant != encoder->significant ||
		encoder->is_float)
	{
		BitWriter	copy;

		put(w, 0, 3);
		copy = *w;				/* keeps the original in registers */
		put_widths(encoder, &copy, significant, multiplier, encoder->is_float);
		*w = copy;
		put(w, sign, 1);
		put_wide(w, magnitude, significant);
		encoder->is_float = false;
	}
	else if (significant <= 54)
		put(w, (UINT64_C(2) | sign) << significant | magnitude, significant + 2);
	else
	{
		put(w, UINT64_C(2) | sign, 2);
		put_wide(w, magnitude, significant);
	}
	encoder->int_value = integer;
}

M3I_INLINE void
put_later_value(M3Encoder *encoder, BitWriter *w, double value, bool lossless)
{
	uint64_t	bits = m3_double_bits(value);
	double		integer;
	double		difference;
	unsigned	multiplier;

	if (!lossless && encoder->mode == M3_ENCODER_AS_M3_FLOAT)
	{
		put_xor(encoder, w, bits, 0, 0);
		return;
	}
	if (bits == encoder->last_value_bits && !encoder->is_float)
	{
		put(w, 0x1, 2);			/* classified as before, so the difference is 0 */
		return;
	}
	if (!classify(value, encoder->max_multiplier, &integer, &multiplier))
	{
		put_float(encoder, w, bits, 0);
		return;
	}
	difference = encoder->int_value - integer;
	if (difference >= M3I_TWO_63 || difference <= -M3I_TWO_63)
	{
		/* M3 writes the scaled integer here: right only if it is not scaled */
		if (lossless)
			put_float(encoder, w, bits, 0);
		else
			put_float(encoder, w, m3_double_bits(integer), multiplier);
		return;
	}
	if (lossless)
	{
		double		decoded = encoder->int_value - difference;

		if (decoded != integer || !gives_back(decoded, multiplier, value))
		{
			put_float(encoder, w, bits, 0);
			return;
		}
		integer = decoded;		/* of the same sign, if it is zero */
	}
	put_int(encoder, w, integer, multiplier, difference);
}

/*
 * Streams.
 */

void
m3_encoder_init(M3Encoder *encoder, int64_t start_ns, M3EncoderMode mode, M3TimeUnit default_unit)
{
	memset(encoder, 0, sizeof(*encoder));
	encoder->start_ns = start_ns;
	encoder->prev_time = start_ns;
	encoder->annotation_hash = UINT64_C(0xEF46DB3751D8E999);	/* of none */
	encoder->mode = (uint8_t) mode;
	encoder->default_unit = (uint8_t) default_unit;
	encoder->unit = m3i_initial_unit(start_ns, default_unit);
}

/* Everything after the plan, which cannot fail. */
M3I_INLINE size_t
write_record(M3Encoder *encoder, int64_t time_ns, double value, M3Slice annotation,
			 const TimePlan *plan, bool lossless, uint8_t *out)
{
	BitWriter	w;
	BitWriter	rare;
	size_t		written;

	w.out = out;
	w.bits = (uint64_t) encoder->partial << 56;
	w.count = encoder->bit_count;
	w.pending = 0;
	w.pending_count = 0;
	if (encoder->count == 0)
		put_wide(&w, (uint64_t) encoder->start_ns, 64);
	rare = w;					/* its address is taken, and that of w never is */
	if (annotation.size != 0 && wants_annotation(encoder, annotation))
	{
		put_annotation(&rare, annotation);
		w = rare;
	}
	if (plan->unit_changed)
	{
		put_unit_change(&rare, plan);
		w = rare;
	}
	else
		put_dod(&w, plan->dod, plan->unit);
	if (encoder->count == 0)
	{
		rare = w;
		put_first_value(encoder, &rare, value);
		w = rare;
	}
	else
		put_later_value(encoder, &w, value, lossless);
	settle(&w);

	written = (size_t) (w.out - out);
	encoder->prev_time = time_ns;
	encoder->prev_delta = plan->unit_changed ? 0 : plan->delta;
	encoder->unit = (uint8_t) plan->unit;
	encoder->last_value_bits = m3_double_bits(value);
	encoder->emitted += written;
	encoder->count++;
	encoder->partial = (uint8_t) (w.bits >> 56);
	encoder->bit_count = (uint8_t) w.count;
	return written;
}

M3Status
m3_encoder_append(M3Encoder *encoder, const M3Point *point,
				  uint8_t *out, size_t *written, M3Error *err)
{
	bool		lossless = encoder->mode == M3_ENCODER_LOSSLESS;
	TimePlan	plan;

	if (point->annotation.size > M3_ANNOTATION_MAX_SIZE)
		return m3_error(err, M3_INVALID, "annotation of %zu bytes is too long",
						point->annotation.size);
	if (encoder->count == UINT32_MAX)
		return m3_error(err, M3_INVALID, "stream has too many points");
	if (lossless)
		M3_TRY(plan_time(encoder, point->time_ns, point->unit, &plan, err));
	else
		M3_TRY(plan_time_as_m3(encoder, point->time_ns, point->unit, &plan, err));
	*written = write_record(encoder, point->time_ns, point->value, point->annotation, &plan,
							lossless, out);
	return M3_OK;
}

M3Status
m3_encoder_append_value(M3Encoder *encoder, int64_t time_ns, double value,
						uint8_t *out, size_t *written, M3Error *err)
{
	TimePlan	plan;

	if (encoder->mode != M3_ENCODER_LOSSLESS || encoder->count == UINT32_MAX)
	{
		M3Point		point = {time_ns, value, M3_UNIT_NONE, {NULL, 0}};

		return m3_encoder_append(encoder, &point, out, written, err);
	}
	M3_TRY(plan_time(encoder, time_ns, M3_UNIT_NONE, &plan, err));
	*written = write_record(encoder, time_ns, value, m3_slice(NULL, 0), &plan, true, out);
	return M3_OK;
}

size_t
m3_encoder_tail(const M3Encoder *encoder, uint8_t out[M3_ENCODER_MAX_TAIL])
{
	uint32_t	bits;

	if (encoder->count == 0)
		return 0;
	bits = (uint32_t) encoder->partial << 16 |
		(M3I_MARKER_OPCODE << 2 | M3I_MARKER_END) << (24 - M3I_MARKER_BITS - encoder->bit_count);
	out[0] = (uint8_t) (bits >> 16);
	out[1] = (uint8_t) (bits >> 8);
	out[2] = (uint8_t) bits;
	return encoder->bit_count + M3I_MARKER_BITS > 16 ? 3 : 2;
}
