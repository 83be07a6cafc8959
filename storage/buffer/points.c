#include "storage/buffer/points.h"

#include <string.h>

#ifdef POSTGRES_H
#error "storage/ must not include PostgreSQL headers"
#endif

typedef struct M3PointsPiece
{
	struct M3PointsPiece *next;
	uint8_t		data[];
} M3PointsPiece;

void
m3_points_init(M3Points *points, M3Memory *memory, bool with_annotations)
{
	memset(points, 0, sizeof(*points));
	points->memory = memory;
	points->with_annotations = with_annotations;
}

static void
free_pieces(M3Points *points)
{
	while (points->pieces != NULL)
	{
		M3PointsPiece *next = points->pieces->next;

		m3_free(points->memory, points->pieces);
		points->pieces = next;
	}
}

void
m3_points_free(M3Points *points)
{
	free_pieces(points);
	m3_free(points->memory, points->times_ns);
	m3_free(points->memory, points->values);
	m3_free(points->memory, points->units);
	m3_free(points->memory, points->annotations);
	m3_points_init(points, points->memory, points->with_annotations);
}

void
m3_points_clear(M3Points *points)
{
	free_pieces(points);
	points->count = 0;
}

void
m3_points_move_pieces(M3Points *to, M3Points *from)
{
	while (from->pieces != NULL)
	{
		M3PointsPiece *piece = from->pieces;

		from->pieces = piece->next;
		piece->next = to->pieces;
		to->pieces = piece;
	}
}

static bool
grow(M3Memory *memory, void **array, size_t capacity, size_t width)
{
	void	   *grown = m3_resize(memory, *array, capacity * width);

	if (grown == NULL)
		return false;
	*array = grown;
	return true;
}

M3Status
m3_points_reserve(M3Points *points, size_t capacity, M3Error *err)
{
	M3Memory   *memory = points->memory;

	if (capacity <= points->capacity)
		return M3_OK;
	if (capacity < points->capacity * 2)
		capacity = points->capacity * 2;
	if (capacity < 64)
		capacity = 64;
	if (!grow(memory, (void **) &points->times_ns, capacity, sizeof(int64_t)) ||
		!grow(memory, (void **) &points->values, capacity, sizeof(double)) ||
		!grow(memory, (void **) &points->units, capacity, sizeof(uint8_t)) ||
		(points->with_annotations &&
		 !grow(memory, (void **) &points->annotations, capacity, sizeof(M3Slice))))
		return m3_error(err, M3_NO_MEMORY, "out of memory for %zu points", capacity);
	points->capacity = capacity;
	return M3_OK;
}

static M3Status
keep_annotation(M3Points *points, M3Slice annotation, M3Slice *kept, M3Error *err)
{
	M3PointsPiece *piece;

	*kept = m3_slice(NULL, 0);
	if (annotation.size == 0)
		return M3_OK;
	piece = m3_alloc(points->memory, sizeof(*piece) + annotation.size);
	if (piece == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory");
	memcpy(piece->data, annotation.data, annotation.size);
	piece->next = points->pieces;
	points->pieces = piece;
	*kept = m3_slice(piece->data, annotation.size);
	return M3_OK;
}

M3Status
m3_points_add(M3Points *points, const M3Point *point, M3Error *err)
{
	size_t		n = points->count;

	M3_TRY(m3_points_reserve(points, n + 1, err));
	if (points->with_annotations)
		M3_TRY(keep_annotation(points, point->annotation, &points->annotations[n], err));
	points->times_ns[n] = point->time_ns;
	points->values[n] = point->value;
	points->units[n] = (uint8_t) point->unit;
	points->count = n + 1;
	return M3_OK;
}

/* Up to limit points; fewer if the stream ends. */
static M3Status
decode_annotated(M3Points *points, M3Decoder *decoder, uint32_t limit, M3Error *err)
{
	M3Status	status = M3_OK;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;

	for (uint32_t i = 0; i < limit; i++)
	{
		M3Point		point;

		status = m3_decoder_next(decoder, &point, points->memory, &scratch, &scratch_size, err);
		if (status == M3_OK)
			status = m3_points_add(points, &point, err);
		if (status != M3_OK)
			break;
	}
	m3_free(points->memory, scratch);
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* The same without annotations.  Room is made for all that limit says, or step by step if it
 * says nothing. */
static M3Status
decode_plain(M3Points *points, M3Decoder *decoder, uint32_t limit, M3Error *err)
{
	size_t		end = points->count + limit;
	size_t		n;
	size_t		count;

	do
	{
		if (limit == UINT32_MAX)
			M3_TRY(m3_points_reserve(points, points->count + 1, err));
		n = (points->capacity < end ? points->capacity : end) - points->count;
		M3_TRY(m3_decoder_next_values(decoder, points->times_ns + points->count,
									  points->values + points->count,
									  points->units + points->count, n, &count, err));
		points->count += count;
	} while (count == n && points->count < end);
	return M3_OK;
}

static void
move_points(M3Points *points, size_t to, size_t from, size_t n)
{
	memmove(points->times_ns + to, points->times_ns + from, n * sizeof(int64_t));
	memmove(points->values + to, points->values + from, n * sizeof(double));
	memmove(points->units + to, points->units + from, n);
	if (points->with_annotations)
		memmove(points->annotations + to, points->annotations + from, n * sizeof(M3Slice));
}

/* Keeps of the points from first on those in visible stretches. */
static void
keep_visible(M3Points *points, size_t first, uint32_t limit, const uint32_t *flips,
			 size_t flip_count)
{
	bool		visible = true;
	uint32_t	from = 0;
	size_t		out = first;

	for (size_t i = 0; i <= flip_count; i++)
	{
		uint32_t	to = i < flip_count ? flips[i] : limit;
		size_t		n;

		if (to > limit)
			to = limit;
		n = to > from ? to - from : 0;
		if (visible && n > 0)
		{
			if (out != first + from)
				move_points(points, out, first + from, n);
			out += n;
		}
		if (to > from)
			from = to;
		visible = !visible;
	}
	points->count = out;
}

/* About as many points as a stream of this size has. */
static size_t
guess_count(size_t size)
{
	return size < UINT32_MAX / 2 ? size * 2 / 3 + 1 : UINT32_MAX;
}

M3Status
m3_points_decode(M3Points *points, const uint8_t *data, size_t size, uint32_t limit,
				 const uint32_t *flips, size_t flip_count, M3Error *err)
{
	size_t		first = points->count;
	size_t		count;
	M3Decoder	decoder;
	M3Status	status;

	M3_TRY(m3_points_reserve(points, first + (limit == UINT32_MAX ? guess_count(size) : limit),
							 err));
	m3_decoder_init(&decoder, data, size, true, M3_UNIT_SECOND);
	if (points->with_annotations)
		status = decode_annotated(points, &decoder, limit, err);
	else
		status = decode_plain(points, &decoder, limit, err);
	count = points->count - first;
	if (status == M3_OK && count < limit && limit != UINT32_MAX)
		status = m3_error(err, M3_CORRUPT, "a stream ends after %zu of %u points", count, limit);
	if (status != M3_OK)
	{
		points->count = first;
		return status;
	}
	if (flip_count > 0)
		keep_visible(points, first, (uint32_t) count, flips, flip_count);
	return M3_OK;
}

static M3Status
reserve_bytes(M3Memory *memory, uint8_t **out, size_t *capacity, size_t need, M3Error *err)
{
	uint8_t    *grown;

	if (need <= *capacity)
		return M3_OK;
	need += need / 2 + 256;
	grown = m3_resize(memory, *out, need);
	if (grown == NULL)
		return m3_error(err, M3_NO_MEMORY, "out of memory for a stream of %zu bytes", need);
	*out = grown;
	*capacity = need;
	return M3_OK;
}

M3Status
m3_points_encode(const M3Points *points, int64_t block_start_ns, M3Memory *memory, uint8_t **out,
				 size_t *capacity, size_t *size, M3Error *err)
{
	M3Encoder	encoder;

	*size = 0;
	m3_encoder_init(&encoder, block_start_ns, M3_ENCODER_LOSSLESS, M3_UNIT_SECOND);
	for (size_t i = 0; i < points->count; i++)
	{
		M3Point		point = {
			.time_ns = points->times_ns[i],
			.value = points->values[i],
			.unit = (M3TimeUnit) points->units[i],
			.annotation = points->with_annotations ? points->annotations[i] : m3_slice(NULL, 0)
		};
		size_t		written;

		M3_TRY(reserve_bytes(memory, out, capacity, *size + point.annotation.size +
							 M3_ENCODER_MAX_RECORD + M3_ENCODER_MAX_TAIL, err));
		M3_TRY(m3_encoder_append(&encoder, &point, *out + *size, &written, err));
		*size += written;
	}
	if (points->count > 0)
		*size += m3_encoder_tail(&encoder, *out + *size);
	return M3_OK;
}

static void
copy_point(M3Points *out, const M3Points *from, size_t i)
{
	size_t		n = out->count++;

	out->times_ns[n] = from->times_ns[i];
	out->values[n] = from->values[i];
	out->units[n] = from->units[i];
	if (out->with_annotations)
		out->annotations[n] = from->with_annotations ? from->annotations[i] : m3_slice(NULL, 0);
}

M3Status
m3_points_merge(M3Points *out, const M3Points *older, const M3Points *newer, M3Error *err)
{
	size_t		i = 0;
	size_t		j = 0;

	m3_points_clear(out);
	M3_TRY(m3_points_reserve(out, older->count + newer->count, err));
	while (i < older->count && j < newer->count)
	{
		if (older->times_ns[i] < newer->times_ns[j])
			copy_point(out, older, i++);
		else
		{
			if (older->times_ns[i] == newer->times_ns[j])
				i++;
			copy_point(out, newer, j++);
		}
	}
	while (i < older->count)
		copy_point(out, older, i++);
	while (j < newer->count)
		copy_point(out, newer, j++);
	return M3_OK;
}

/* The first index whose time is not below time_ns. */
static size_t
lower_bound(const M3Points *points, int64_t time_ns)
{
	size_t		low = 0;
	size_t		high = points->count;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (points->times_ns[middle] < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
m3_points_range(const M3Points *points, int64_t start_ns, int64_t end_ns,
				size_t *first, size_t *end)
{
	*first = lower_bound(points, start_ns);
	*end = lower_bound(points, end_ns);
}
