/*
 * M3TSZ decoder (spec/m3tsz.md 2 to 7; 8.2 for what is corrupt).
 *
 * A record without markers has at most RECORD_BYTES, so the loop reads with
 * unchecked 8-byte loads from a window in which a record may start: the data
 * but their last WINDOW_BYTES, then a zero-padded copy of those.  One comparison after
 * each record moves from the first window to the second, and there finds a
 * record that ran past the end.  Markers, whose number and length are unbounded, and
 * the first time are read with a check for every field.
 */
#include "storage/codec/m3tsz.h"

#include "storage/base/bytes.h"
#include "storage/base/memory.h"
#include "storage/codec/m3tsz_private.h"

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

#define WINDOW_BYTES 32u
#define RECORD_BITS (68u + 3u + 12u + 1u + 64u)
#define PADDED_BYTES 64u

/* A record's last load ends inside the window it starts in, or its padding. */
_Static_assert((7 + RECORD_BITS) / 8 + 8 <= WINDOW_BYTES, "window is too small");
_Static_assert(WINDOW_BYTES + (7 + RECORD_BITS) / 8 + 8 <= PADDED_BYTES, "padding is too small");

/* Where the bits come from.  Positions in it count from origin. */
typedef struct Window
{
	const uint8_t *base;
	uint64_t	origin;
	uint64_t	limit;			/* last position to go on from */
	bool		is_tail;
	uint8_t		tail[PADDED_BYTES];
} Window;

/* The decoder's state while it is in registers. */
typedef struct Values
{
	uint64_t	prev_bits;
	uint64_t	prev_xor;
	double		int_value;
	double		value;			/* of the last record */
	unsigned	significant;
	unsigned	multiplier;
	bool		is_float;
} Values;

typedef struct Times
{
	int64_t		prev_time;
	int64_t		prev_delta;
	int64_t		unit_ns;
	unsigned	unit;
} Times;

typedef struct AnnotationPlace
{
	uint64_t	position;		/* in bits */
	uint64_t	size;			/* 0: none */
} AnnotationPlace;

typedef enum RecordStart
{
	RECORD_TIME,
	RECORD_END,
	RECORD_CORRUPT
} RecordStart;

/*
 * Checked reading, for the rare parts.
 */

typedef struct Reader
{
	const uint8_t *data;
	uint64_t	bit_size;
	uint64_t	position;
	const char *reason;			/* why it failed */
} Reader;

/* Reads 0 to 64 bits; false if there are not that many. */
static bool
read_bits(Reader *r, unsigned count, uint64_t *value)
{
	uint64_t	bits = 0;

	if (count > r->bit_size - r->position)
	{
		r->reason = "stream ends inside a record";
		return false;
	}
	while (count > 0)
	{
		unsigned	left = 8 - (unsigned) (r->position & 7);
		unsigned	take = count < left ? count : left;
		unsigned	byte = r->data[r->position >> 3];

		bits = bits << take | (byte >> (left - take) & ((1u << take) - 1));
		r->position += take;
		count -= take;
	}
	*value = bits;
	return true;
}

static bool
skip_annotation(Reader *r, AnnotationPlace *annotation)
{
	uint64_t	length = 0;
	uint64_t	byte;

	for (unsigned shift = 0;; shift += 7)
	{
		if (!read_bits(r, 8, &byte))
			return false;
		if (shift == 63 && byte > 1)
		{
			r->reason = "length of annotation has too many bits";
			return false;
		}
		length |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	/* zigzag: odd numbers are negative */
	if ((length & 1) != 0 || length / 2 + 1 > (r->bit_size - r->position) / 8)
	{
		r->reason = "length of annotation is out of range";
		return false;
	}
	annotation->position = r->position;
	annotation->size = length / 2 + 1;
	r->position += annotation->size * 8;
	return true;
}

static bool
read_unit(Reader *r, Times *times, bool *changed)
{
	uint64_t	unit;

	if (!read_bits(r, 8, &unit))
		return false;
	if (unit > M3_UNIT_NANOSECOND || !m3_unit_is_valid((unsigned) unit))
	{
		r->reason = "invalid time unit";
		return false;
	}
	if (unit != times->unit)
		*changed = true;
	times->unit = (unsigned) unit;
	times->unit_ns = m3_unit_ns(times->unit);
	return true;
}

static bool
read_dod(Reader *r, const Times *times, int64_t *dod)
{
	static const unsigned widths[] = {0, 7, 9, 12};
	unsigned	ones = 0;
	unsigned	width;
	uint64_t	bit;
	uint64_t	bits;

	if (times->unit == M3_UNIT_NONE)
	{
		r->reason = "stream has no time unit";
		return false;
	}
	do
	{
		if (!read_bits(r, 1, &bit))
			return false;
	} while (bit != 0 && ++ones < 4);
	if (ones < 4)
		width = widths[ones];
	else
		width = m3i_unit_is_32_bit(times->unit) ? 32 : 64;
	*dod = 0;
	if (width == 0)
		return true;
	if (!read_bits(r, width, &bits))
		return false;
	*dod = (int64_t) ((uint64_t) ((int64_t) (bits << (64 - width)) >> (64 - width)) *
					  (uint64_t) times->unit_ns);
	return true;
}

/* Reads the markers of a record and its time. */
static RecordStart
read_record_start(Reader *r, Times *times, AnnotationPlace *annotation)
{
	bool		changed = false;
	uint64_t	marker = 0;
	int64_t		dod;

	while (r->bit_size - r->position >= M3I_MARKER_BITS)
	{
		(void) read_bits(r, M3I_MARKER_BITS, &marker);
		if (marker >> 2 != M3I_MARKER_OPCODE || (marker & 3) == 3)
		{
			r->position -= M3I_MARKER_BITS;
			break;
		}
		if ((marker & 3) == M3I_MARKER_END)
			return RECORD_END;
		if ((marker & 3) == M3I_MARKER_ANNOTATION)
		{
			if (!skip_annotation(r, annotation))
				return RECORD_CORRUPT;
		}
		else if (!read_unit(r, times, &changed))
			return RECORD_CORRUPT;
	}
	if (changed)
	{
		uint64_t	raw;

		if (!read_bits(r, 64, &raw))
			return RECORD_CORRUPT;
		dod = (int64_t) raw;
	}
	else if (!read_dod(r, times, &dod))
		return RECORD_CORRUPT;
	times->prev_delta = m3i_wrapping_add(times->prev_delta, dod);
	times->prev_time = m3i_wrapping_add(times->prev_time, times->prev_delta);
	if (changed)
		times->prev_delta = 0;
	return RECORD_TIME;
}

/*
 * The fast window.
 */

static void
enter_tail(Window *window, const M3Decoder *decoder)
{
	uint64_t	size = decoder->bit_size / 8;
	uint64_t	start = size > WINDOW_BYTES ? size - WINDOW_BYTES : 0;

	memset(window->tail, 0, sizeof(window->tail));
	if (size != 0)
		memcpy(window->tail, decoder->data + start, (size_t) (size - start));
	window->base = window->tail;
	window->origin = start * 8;
	window->limit = (size - start) * 8;
	window->is_tail = true;
}

/* Returns position as one of the window that it selects. */
M3I_INLINE uint64_t
select_window(Window *window, const M3Decoder *decoder, uint64_t position)
{
	uint64_t	size = decoder->bit_size / 8;

	if (position / 8 + WINDOW_BYTES > size)
	{
		enter_tail(window, decoder);
		return position - window->origin;
	}
	window->base = decoder->data;
	window->origin = 0;
	window->limit = (size - WINDOW_BYTES) * 8 + 7;
	window->is_tail = false;
	return position;
}

/* The next bits, from the top; at least 57 are valid. */
M3I_INLINE uint64_t
peek(const uint8_t *base, uint64_t position)
{
	return m3_load_be64(base + (position >> 3)) << (position & 7);
}

/* The top count bits (0..63) of bits. */
M3I_INLINE uint64_t
top(uint64_t bits, unsigned count)
{
	return bits >> 1 >> (63 - count);
}

/* Takes 0 to 64 bits. */
M3I_INLINE uint64_t
take(const uint8_t *base, uint64_t *position, unsigned count)
{
	uint64_t	high = 0;

	if (count > 57)
	{
		high = peek(base, *position) >> 32;
		*position += 32;
		count -= 32;
		high <<= count;
	}
	high |= top(peek(base, *position), count);
	*position += count;
	return high;
}

M3I_INLINE double
integer_as_value(const Values *v)
{
	return v->multiplier == 0 ? v->int_value : v->int_value / m3i_power_of_10[v->multiplier];
}

M3I_INLINE void
take_full_float(Values *v, const uint8_t *base, uint64_t *position)
{
	v->prev_bits = take(base, position, 64);
	v->prev_xor = v->prev_bits;
	v->value = m3_double_from_bits(v->prev_bits);
}

/* Returns NULL, or what is wrong. */
M3I_INLINE const char *
take_xor(Values *v, const uint8_t *base, uint64_t *position)
{
	uint64_t	bits = peek(base, *position);
	unsigned	leading;
	unsigned	width;

	if (bits >> 63 == 0)
	{
		*position += 1;
		v->prev_xor = 0;
	}
	else if (bits >> 62 == 2)
	{
		*position += 2;
		if (v->prev_xor != 0)
		{
			unsigned	trailing = m3i_ctz(v->prev_xor);

			width = 64 - m3i_clz(v->prev_xor) - trailing;
			v->prev_xor = take(base, position, width) << trailing;
		}
	}
	else
	{
		leading = (unsigned) (bits >> 56) & 0x3f;
		width = ((unsigned) (bits >> 50) & 0x3f) + 1;
		if (leading + width > 64)
			return "float record is too wide";
		*position += 14;
		v->prev_xor = take(base, position, width) << (64 - leading - width);
	}
	v->prev_bits ^= v->prev_xor;
	v->value = m3_double_from_bits(v->prev_bits);
	return NULL;
}

M3I_INLINE void
take_int(Values *v, const uint8_t *base, uint64_t *position)
{
	uint64_t	sign = take(base, position, 1);
	double		magnitude = (double) take(base, position, v->significant);

	v->int_value += sign != 0 ? magnitude : -magnitude;
	v->value = integer_as_value(v);
}

/* An integer with its widths before it; NULL, or what is wrong. */
M3I_INLINE const char *
take_int_update(Values *v, const uint8_t *base, uint64_t *position)
{
	if (take(base, position, 1) != 0)
	{
		if (take(base, position, 1) != 0)
			v->significant = (unsigned) take(base, position, 6) + 1;
		else
			v->significant = 0;
	}
	if (take(base, position, 1) != 0)
	{
		v->multiplier = (unsigned) take(base, position, 3);
		if (v->multiplier > M3I_MAX_MULTIPLIER)
		{
			v->multiplier = 0;
			return "invalid decimal multiplier";
		}
	}
	v->is_float = false;
	take_int(v, base, position);
	return NULL;
}

static const char *
take_first_value(Values *v, bool int_optimized, const uint8_t *base, uint64_t *position)
{
	if (int_optimized && take(base, position, 1) == 0)
		return take_int_update(v, base, position);
	take_full_float(v, base, position);
	v->is_float = true;
	return NULL;
}

/* bits: those at position, at least 56 of them.  NULL, or what is wrong. */
M3I_INLINE const char *
take_later_value(Values *v, uint64_t bits, const uint8_t *base, uint64_t *position)
{
	if (bits >> 63 != 0)
	{
		if (v->is_float)
		{
			*position += 1;
			return take_xor(v, base, position);
		}
		if (v->significant <= 54)
		{
			int64_t		magnitude = (int64_t) top(bits << 2, v->significant);
			int64_t		minus = (int64_t) (bits >> 62 & 1) - 1;

			/* signs are as good as random: no branch */
			v->int_value += (double) ((magnitude ^ minus) - minus);
			v->value = integer_as_value(v);
			*position += 2 + v->significant;
			return NULL;
		}
		*position += 1;
		take_int(v, base, position);
		return NULL;
	}
	if (bits >> 62 != 0)
	{
		*position += 2;			/* the same again */
		return NULL;
	}
	*position += 3;
	if ((bits >> 61 & 1) == 0)
		return take_int_update(v, base, position);
	take_full_float(v, base, position);
	v->is_float = true;
	return NULL;
}

/*
 * Reads a time that begins neither with 0 nor a marker: opcode, then a number.
 */
M3I_INLINE int64_t
take_dod(uint64_t bits, const Times *times, const uint8_t *base, uint64_t *position)
{
	int64_t		n;

	if (bits >> 62 == 2)
	{
		n = (int64_t) (bits << 2) >> 57;
		*position += 9;
	}
	else if (bits >> 61 == 6)
	{
		n = (int64_t) (bits << 3) >> 55;
		*position += 12;
	}
	else if (bits >> 60 == 14)
	{
		n = (int64_t) (bits << 4) >> 52;
		*position += 16;
	}
	else if (m3i_unit_is_32_bit(times->unit))
	{
		n = (int64_t) (bits << 4) >> 32;
		*position += 36;
	}
	else
	{
		*position += 4;
		n = (int64_t) take(base, position, 64);
	}
	return (int64_t) ((uint64_t) n * (uint64_t) times->unit_ns);
}

/*
 * Streams.
 */

void
m3_decoder_init(M3Decoder *decoder, const void *data, size_t size,
				bool int_optimized, M3TimeUnit default_unit)
{
	memset(decoder, 0, sizeof(*decoder));
	decoder->data = data;
	decoder->bit_size = (uint64_t) size * 8;
	decoder->int_optimized = int_optimized;
	decoder->default_unit = (uint8_t) default_unit;
}

static void
load_state(const M3Decoder *decoder, Values *values, Times *times)
{
	values->prev_bits = decoder->prev_bits;
	values->prev_xor = decoder->prev_xor;
	values->int_value = decoder->int_value;
	values->significant = decoder->significant;
	values->multiplier = decoder->multiplier;
	values->is_float = decoder->is_float;
	values->value = decoder->is_float ? m3_double_from_bits(decoder->prev_bits) :
		integer_as_value(values);
	times->prev_time = decoder->prev_time;
	times->prev_delta = decoder->prev_delta;
	times->unit = decoder->unit;
	times->unit_ns = m3_unit_ns(decoder->unit);
}

static void
store_state(M3Decoder *decoder, const Values *values, const Times *times)
{
	decoder->prev_bits = values->prev_bits;
	decoder->prev_xor = values->prev_xor;
	decoder->int_value = values->int_value;
	decoder->significant = (uint8_t) values->significant;
	decoder->multiplier = (uint8_t) values->multiplier;
	decoder->is_float = values->is_float;
	decoder->prev_time = times->prev_time;
	decoder->prev_delta = times->prev_delta;
	decoder->unit = (uint8_t) times->unit;
}

static M3Status
corrupt(M3Decoder *decoder, uint64_t position, const char *reason, M3Error *err)
{
	decoder->failed = true;
	return m3_error_corrupt(err, NULL, (int64_t) (position / 8), "%s", reason);
}

static Reader
checked_reader(const M3Decoder *decoder, uint64_t position)
{
	Reader		reader = {decoder->data, decoder->bit_size, position, NULL};

	return reader;
}

/* The start, and the first point. */
static M3Status
decode_first(M3Decoder *decoder, int64_t *time_ns, double *value,
			 AnnotationPlace *annotation, M3Error *err)
{
	Reader		r = checked_reader(decoder, 0);
	Window		window;
	Values		values;
	Times		times;
	uint64_t	start;
	uint64_t	position;
	const char *reason;

	if (!read_bits(&r, 64, &start))
		return corrupt(decoder, r.position, r.reason, err);
	load_state(decoder, &values, &times);
	times.prev_time = (int64_t) start;
	times.unit = m3i_initial_unit((int64_t) start, decoder->default_unit);
	times.unit_ns = m3_unit_ns(times.unit);
	switch (read_record_start(&r, &times, annotation))
	{
		case RECORD_TIME:
			break;
		case RECORD_END:
			decoder->done = true;
			return M3_OK;
		case RECORD_CORRUPT:
			return corrupt(decoder, r.position, r.reason, err);
	}
	position = select_window(&window, decoder, r.position);
	reason = take_first_value(&values, decoder->int_optimized, window.base, &position);
	if (reason == NULL && window.is_tail && position > window.limit)
		reason = "stream ends inside a record";
	if (reason != NULL)
		return corrupt(decoder, r.position, reason, err);
	store_state(decoder, &values, &times);
	decoder->bit_position = window.origin + position;
	decoder->started = true;
	*time_ns = times.prev_time;
	*value = values.value;
	return M3_OK;
}

/* The points after the first. */
M3I_INLINE M3Status
decode_later(M3Decoder *decoder, bool int_optimized, int64_t *times_ns, double *out,
			 uint8_t *units, size_t capacity, size_t *count,
			 AnnotationPlace *annotation, M3Error *err)
{
	Window		window;
	Values		values;
	Times		times;
	uint64_t	position = select_window(&window, decoder, decoder->bit_position);
	const uint8_t *base = window.base;
	uint64_t	limit = window.limit;
	const char *reason = NULL;
	size_t		n = 0;

	load_state(decoder, &values, &times);
	while (n < capacity)
	{
		uint64_t	bits = peek(base, position);

		if (bits >> 63 == 0)
		{
			bits <<= 1;
			position += 1;
			times.prev_time = m3i_wrapping_add(times.prev_time, times.prev_delta);
		}
		else if (bits >> 55 != M3I_MARKER_OPCODE)
		{
			times.prev_delta = m3i_wrapping_add(times.prev_delta,
												take_dod(bits, &times, base, &position));
			times.prev_time = m3i_wrapping_add(times.prev_time, times.prev_delta);
			bits = peek(base, position);
		}
		else
		{
			Reader		r = checked_reader(decoder, window.origin + position);
			Times		copy = times;	/* keeps the original in registers */
			RecordStart start = read_record_start(&r, &copy, annotation);

			times = copy;
			if (start != RECORD_TIME)
			{
				position = r.position - window.origin;
				decoder->done = start == RECORD_END;
				reason = r.reason;
				break;
			}
			position = select_window(&window, decoder, r.position);
			base = window.base;
			limit = window.limit;
			bits = peek(base, position);
		}
		if (int_optimized)
			reason = take_later_value(&values, bits, base, &position);
		else
			reason = take_xor(&values, base, &position);
		if (reason != NULL)
			break;
		if (position > limit)
		{
			if (window.is_tail)
			{
				reason = "stream ends inside a record";
				break;
			}
			position = select_window(&window, decoder, position);
			base = window.base;
			limit = window.limit;
		}
		times_ns[n] = times.prev_time;
		out[n] = values.value;
		if (units != NULL)
			units[n] = (uint8_t) times.unit;
		n++;
	}
	store_state(decoder, &values, &times);
	decoder->bit_position = window.origin + position;
	*count = n;
	if (reason != NULL)
		return corrupt(decoder, decoder->bit_position, reason, err);
	return M3_OK;
}

static M3Status
decode(M3Decoder *decoder, int64_t *times_ns, double *values, uint8_t *units,
	   size_t capacity, size_t *count, AnnotationPlace *annotation, M3Error *err)
{
	size_t		first = 0;
	M3Status	status;

	*count = 0;
	if (decoder->failed)
		return m3_error_corrupt(err, NULL, (int64_t) (decoder->bit_position / 8),
								"stream was found corrupt before");
	if (decoder->done || capacity == 0 || decoder->bit_size == 0)
		return M3_OK;
	if (!decoder->started)
	{
		M3_TRY(decode_first(decoder, times_ns, values, annotation, err));
		if (decoder->done)
			return M3_OK;
		if (units != NULL)
			units[0] = decoder->unit;
		first = 1;
		*count = 1;
		if (capacity == 1)
			return M3_OK;
	}
	/* units of NULL must not be moved */
	units = units == NULL ? NULL : units + first;
	if (decoder->int_optimized)
		status = decode_later(decoder, true, times_ns + first, values + first, units,
							  capacity - first, count, annotation, err);
	else
		status = decode_later(decoder, false, times_ns + first, values + first, units,
							  capacity - first, count, annotation, err);
	*count += first;
	return status;
}

M3Status
m3_decoder_next_values(M3Decoder *decoder, int64_t *times_ns, double *values,
					   uint8_t *units, size_t capacity, size_t *count, M3Error *err)
{
	AnnotationPlace annotation;

	return decode(decoder, times_ns, values, units, capacity, count, &annotation, err);
}

M3Status
m3_decoder_next(M3Decoder *decoder, M3Point *point, struct M3Memory *memory,
				uint8_t **scratch, size_t *scratch_size, M3Error *err)
{
	M3Decoder	before = *decoder;
	AnnotationPlace annotation = {0, 0};
	Reader		r;
	uint64_t	byte;
	size_t		count;

	M3_TRY(decode(decoder, &point->time_ns, &point->value, NULL, 1, &count, &annotation, err));
	if (count == 0)
		return M3_NOT_FOUND;
	point->unit = (M3TimeUnit) decoder->unit;
	if (annotation.size > *scratch_size)
	{
		uint8_t    *grown = m3_resize(memory, *scratch, (size_t) annotation.size);

		if (grown == NULL)
		{
			*decoder = before;
			return m3_error(err, M3_NO_MEMORY, "out of memory");
		}
		*scratch = grown;
		*scratch_size = (size_t) annotation.size;
	}
	r = checked_reader(decoder, annotation.position);
	for (uint64_t i = 0; i < annotation.size; i++)
	{
		(void) read_bits(&r, 8, &byte);
		(*scratch)[i] = (uint8_t) byte;
	}
	decoder->annotation = m3_slice(annotation.size == 0 ? NULL : *scratch,
								   (size_t) annotation.size);
	point->annotation = decoder->annotation;
	return M3_OK;
}
