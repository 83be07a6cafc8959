/*
 * From sorted records to rows: one block of one series at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/base/time.h"
#include "storage/codec/m3tsz.h"
#include "storage/ident/tags.h"
#include "tools/points_private.h"

typedef struct Row
{
	int64_t		time_ns;
	double		value;
	size_t		order;			/* the later of equal times counts */
	size_t		annotation;		/* position in annotations */
	uint32_t	annotation_size;
	uint8_t		unit;
	bool		is_log;			/* then: */
	uint64_t	annotation_hash;	/* as written, whatever is shown of it */
} Row;

/* One of the streams M3 makes of log entries (spec/m3tsz.md 9.2). */
typedef struct Encoder
{
	int64_t		last_ns;
	double		value;
	uint64_t	annotation_hash;
} Encoder;

typedef struct Printer
{
	PointsRun  *run;
	FILE	   *out;
	Text		prefix;			/* of the key, without its tail: the series */
	bool		has_series;
	Text		name;			/* namespace and id, decoded; */
	size_t		namespace_size; /* where the id begins */
	Text		head;			/* what all rows of the series begin with */
	bool		head_done;
	Text		tags;			/* encoded */
	bool		counted;		/* the series, since it had a row */
	int64_t		block_ns;
	Row		   *rows;
	size_t		count;
	size_t		capacity;
	Text		annotations;
	Encoder    *encoders;		/* of the block; last times never ascend */
	size_t		encoder_count;
	size_t		encoder_capacity;
	Text		line;
} Printer;

static M3Status
no_memory(M3Error *err)
{
	return m3_error(err, M3_NO_MEMORY, "out of memory for a block of points");
}

static M3Slice
namespace_of(const Printer *p)
{
	return m3_slice(p->name.data, p->namespace_size);
}

static M3Slice
id_of(const Printer *p)
{
	return m3_slice(p->name.data + p->namespace_size, p->name.size - p->namespace_size);
}

/* Rows */

static void
make_head(Printer *p)
{
	M3Slice		tags = m3_slice(p->tags.data, p->tags.size);

	text_clear(&p->head);
	if (p->run->options->format == POINTS_CSV)
	{
		Text		json;

		text_init(&json, p->run->memory);
		text_add_tags(&json, tags);
		text_add_csv(&p->head, namespace_of(p));
		text_add_cstr(&p->head, ",");
		text_add_csv(&p->head, id_of(p));
		text_add_cstr(&p->head, ",");
		text_add_csv(&p->head, m3_slice(json.data, json.size));
		text_add_cstr(&p->head, ",");
		p->head.failed = p->head.failed || json.failed;
		text_free(&json);
	}
	else
	{
		text_add_cstr(&p->head, "{\"namespace\":");
		text_add_json(&p->head, namespace_of(p));
		text_add_cstr(&p->head, ",\"id\":");
		text_add_json(&p->head, id_of(p));
		text_add_cstr(&p->head, ",\"tags\":");
		text_add_tags(&p->head, tags);
		text_add_cstr(&p->head, ",");
	}
	p->head_done = true;
}

static void
add_row_csv(Text *line, const Row *row, M3Slice annotation)
{
	text_printf(line, "%" PRId64 ",", row->time_ns);
	text_add_value(line, row->value);
	text_printf(line, ",%016" PRIx64 ",%s,", m3_double_bits(row->value), m3_unit_name(row->unit));
	text_add_base64(line, annotation);
	text_add_cstr(line, "\n");
}

/* NaN and the infinities are strings: JSON has no numbers for them. */
static void
add_row_json(Text *line, const Row *row, M3Slice annotation)
{
	bool		is_special = row->value - row->value != 0;

	text_printf(line, "\"timestamp_ns\":%" PRId64 ",\"value\":%s", row->time_ns,
				is_special ? "\"" : "");
	text_add_value(line, row->value);
	text_printf(line, "%s,\"value_bits\":\"%016" PRIx64 "\",\"unit\":\"%s\",\"annotation\":\"",
				is_special ? "\"" : "", m3_double_bits(row->value), m3_unit_name(row->unit));
	text_add_base64(line, annotation);
	text_add_cstr(line, "\"}\n");
}

static M3Status
print_row(Printer *p, const Row *row, M3Error *err)
{
	M3Slice		annotation = m3_slice(p->annotations.data == NULL ? NULL :
									  p->annotations.data + row->annotation, row->annotation_size);

	if (row->time_ns < p->run->options->from_ns || row->time_ns >= p->run->options->to_ns)
		return M3_OK;
	if (!p->head_done)
		make_head(p);
	text_clear(&p->line);
	text_add(&p->line, p->head.data, p->head.size);
	if (p->run->options->format == POINTS_CSV)
		add_row_csv(&p->line, row, annotation);
	else
		add_row_json(&p->line, row, annotation);
	M3_TRY(text_status(&p->head, err));
	M3_TRY(text_status(&p->line, err));
	if (fwrite(p->line.data, 1, p->line.size, p->out) != p->line.size)
		return m3_error_io(err, errno, "output", "write");
	p->run->report->points++;
	p->run->report->series += !p->counted;
	p->counted = true;
	return M3_OK;
}

static int
compare_rows(const void *left, const void *right)
{
	const Row  *a = left;
	const Row  *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

/*
 * Whether a log entry writes what the one before had written already: it changes
 * nothing, not even whether an annotation is shown.
 */
static bool
is_repetition(const Row *row, const Row *later)
{
	return row->is_log && later->is_log && row->annotation_hash == later->annotation_hash &&
		m3_double_bits(row->value) == m3_double_bits(later->value);
}

static M3Status
print_block(Printer *p, M3Error *err)
{
	bool		ascending = true;

	for (size_t i = 1; i < p->count && ascending; i++)
		ascending = p->rows[i - 1].time_ns < p->rows[i].time_ns;
	if (!ascending)
		qsort(p->rows, p->count, sizeof(Row), compare_rows);
	for (size_t i = 0; i < p->count; i++)
	{
		const Row  *row = &p->rows[i];

		while (i + 1 < p->count && p->rows[i + 1].time_ns == row->time_ns)
		{
			i++;
			if (!is_repetition(row, &p->rows[i]))
				row = &p->rows[i];
		}
		M3_TRY(print_row(p, row, err));
	}
	p->count = 0;
	p->encoder_count = 0;
	text_clear(&p->annotations);
	return M3_OK;
}

static M3Status
add_row(Printer *p, const M3Point *point, M3Error *err)
{
	Row		   *row;

	if (p->count == p->capacity)
	{
		size_t		capacity = p->capacity == 0 ? 1024 : p->capacity * 2;
		Row		   *grown = m3_resize(p->run->memory, p->rows, capacity * sizeof(Row));

		if (grown == NULL)
			return no_memory(err);
		p->rows = grown;
		p->capacity = capacity;
	}
	row = &p->rows[p->count];
	row->time_ns = point->time_ns;
	row->value = point->value;
	row->unit = (uint8_t) point->unit;
	row->is_log = false;
	row->order = p->count++;
	row->annotation = p->annotations.size;
	row->annotation_size = (uint32_t) point->annotation.size;
	text_add(&p->annotations, point->annotation.data, point->annotation.size);
	return text_status(&p->annotations, err);
}

/* Records */

/*
 * Gives a log entry to the first of the block's encoders that can take it, as M3
 * does: takes the annotation away that this encoder wrote last.  *dropped: M3 thinks
 * the write a repetition.  hash: of the annotation.
 */
static M3Status
encode_as_m3(Printer *p, M3Point *point, uint64_t hash, bool *dropped, M3Error *err)
{
	size_t		low = 0;
	size_t		high = p->encoder_count;
	Encoder    *encoder;

	*dropped = false;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (p->encoders[middle].last_ns > point->time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < p->encoder_count && p->encoders[low].last_ns == point->time_ns; low++)
	{
		if (p->encoders[low].value == point->value && p->encoders[low].annotation_hash == hash)
		{
			*dropped = true;
			return M3_OK;
		}
	}
	if (low == p->encoder_capacity)
	{
		size_t		capacity = low == 0 ? 16 : low * 2;
		Encoder    *grown = m3_resize(p->run->memory, p->encoders, capacity * sizeof(Encoder));

		if (grown == NULL)
			return no_memory(err);
		p->encoders = grown;
		p->encoder_capacity = capacity;
	}
	encoder = &p->encoders[low];
	if (low == p->encoder_count)
	{
		p->encoder_count++;
		encoder->annotation_hash = m3_xxh64("", 0);
	}
	encoder->last_ns = point->time_ns;
	encoder->value = point->value;
	if (point->annotation.size > 0 && hash == encoder->annotation_hash)
		point->annotation = m3_slice(NULL, 0);
	else if (point->annotation.size > 0)
		encoder->annotation_hash = hash;
	return M3_OK;
}

static M3Status
take_point(Printer *p, RecordKind kind, M3Slice value, M3Error *err)
{
	bool		dropped = false;
	uint64_t	hash;
	M3Point		point = {
		.time_ns = (int64_t) m3_load_be64(value.data),
		.value = m3_double_from_bits(m3_load_be64(value.data + 8)),
		.unit = (M3TimeUnit) value.data[16],
		.annotation = m3_slice(value.data + RECORD_POINT_SIZE, value.size - RECORD_POINT_SIZE)
	};

	if (kind != RECORD_LOG || !p->run->as_m3)
		return add_row(p, &point, err);
	hash = m3_xxh64(point.annotation.data, point.annotation.size);
	M3_TRY(encode_as_m3(p, &point, hash, &dropped, err));
	if (dropped)
		return M3_OK;
	M3_TRY(add_row(p, &point, err));
	p->rows[p->count - 1].is_log = true;
	p->rows[p->count - 1].annotation_hash = hash;
	return M3_OK;
}

static void
warn_stream(Printer *p, RecordKind kind, uint64_t volume, const char *message)
{
	char		time[TEXT_TIME_SIZE];
	M3Slice		ns = namespace_of(p);
	M3Slice		id = id_of(p);

	points_warn(p->run, "", -1, "%s volume %" PRIu64 " of namespace \"%.*s\", block %s, "
				"series \"%.*s\": %s",
				kind == RECORD_DATA ? "data fileset" : "snapshot", volume, (int) ns.size,
				(const char *) ns.data, text_time(p->block_ns, time),
				id.size > 200 ? 200 : (int) id.size, (const char *) id.data, message);
}

/* Of several points of one time in one stream the first counts, as in M3. */
static M3Status
take_stream(Printer *p, RecordKind kind, uint64_t volume, M3Slice payload, M3Error *err)
{
	PointsNamespace *ns = points_namespace(p->run, namespace_of(p));
	int64_t		last_ns = INT64_MIN;
	bool		outside = false;
	M3Decoder	decoder;
	M3Point		point;
	uint8_t    *scratch = NULL;
	size_t		scratch_size = 0;
	M3Error		reason;
	M3Status	status;

	if (ns == NULL)
		return no_memory(err);
	memset(&reason, 0, sizeof(reason));
	m3_decoder_init(&decoder, payload.data, payload.size, true, M3_UNIT_SECOND);
	while ((status = m3_decoder_next(&decoder, &point, p->run->memory, &scratch, &scratch_size,
									 &reason)) == M3_OK)
	{
		if (point.time_ns < p->block_ns ||
			(uint64_t) point.time_ns - (uint64_t) p->block_ns >= (uint64_t) ns->block_size_ns)
		{
			outside = true;
			continue;
		}
		if (point.time_ns > last_ns)
			status = add_row(p, &point, &reason);
		if (status != M3_OK)
			break;
		last_ns = point.time_ns;
	}
	m3_free(p->run->memory, scratch);
	if (outside)
		warn_stream(p, kind, volume, "points outside their block are left out");
	if (status == M3_CORRUPT)
	{
		warn_stream(p, kind, volume, reason.message);
		return M3_OK;
	}
	if (status != M3_NOT_FOUND && err != NULL)
		*err = reason;
	return status == M3_NOT_FOUND ? M3_OK : status;
}

/* Undoes the escapes of one part of a key; returns what follows it. */
static size_t
decode_part(Text *out, M3Slice key, size_t at)
{
	while (at + 1 < key.size && (key.data[at] != 0 || key.data[at + 1] != 0))
	{
		text_add(out, key.data + at, 1);
		at += key.data[at] == 0 ? 2 : 1;
	}
	return at + 2;
}

static M3Status
begin_series(Printer *p, M3Slice prefix, M3Error *err)
{
	size_t		at;

	p->has_series = true;
	p->head_done = false;
	p->counted = false;
	text_clear(&p->prefix);
	text_add(&p->prefix, prefix.data, prefix.size);
	text_clear(&p->name);
	text_clear(&p->tags);
	at = decode_part(&p->name, prefix, 0);
	p->namespace_size = p->name.size;
	decode_part(&p->name, prefix, at);
	text_add(&p->name, "", 1);	/* so that data is never NULL */
	p->name.size--;
	M3_TRY(text_status(&p->prefix, err));
	return text_status(&p->name, err);
}

static M3Status
take_record(Printer *p, M3Slice key, M3Slice value, M3Error *err)
{
	const uint8_t *tail = key.data + key.size - RECORD_KEY_TAIL;
	M3Slice		prefix = m3_slice(key.data, key.size - RECORD_KEY_TAIL);
	int64_t		block_ns = (int64_t) (m3_load_be64(tail) ^ UINT64_C(1) << 63);
	RecordKind	kind = (RecordKind) tail[8];
	uint64_t	number = m3_load_be64(tail + 9);
	bool		same = p->has_series &&
		m3_slice_equal(prefix, m3_slice(p->prefix.data, p->prefix.size));

	if (!same || block_ns != p->block_ns)
		M3_TRY(print_block(p, err));
	if (!same)
		M3_TRY(begin_series(p, prefix, err));
	p->block_ns = block_ns;
	switch (kind)
	{
		case RECORD_TAGS:
			if (p->tags.size == 0)
				text_add(&p->tags, value.data, value.size);
			return text_status(&p->tags, err);
		case RECORD_DATA:
		case RECORD_SNAPSHOT:
			return take_stream(p, kind, number, value, err);
		case RECORD_DATA_POINT:
		case RECORD_SNAPSHOT_POINT:
		case RECORD_LOG:
			break;
	}
	return take_point(p, kind, value, err);
}

M3Status
points_print(PointsRun *run, FILE *out, M3Error *err)
{
	static const char header[] =
		"namespace,id,tags,timestamp_ns,value,value_bits,unit,annotation\n";
	Printer		p = {.run = run,.out = out};
	Text	   *texts[] = {&p.prefix, &p.name, &p.head, &p.tags, &p.annotations, &p.line};
	M3Slice		key;
	M3Slice		value;
	M3Status	status;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text_init(texts[i], run->memory);
	if (run->options->format == POINTS_CSV && fputs(header, out) == EOF)
		M3_GOTO(m3_error_io(err, errno, "output", "write"));
	while ((status = sorter_next(run->sorter, &key, &value, err)) == M3_OK)
		M3_GOTO(take_record(&p, key, value, err));
	if (status == M3_NOT_FOUND)
		status = print_block(&p, err);
done:
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text_free(texts[i]);
	m3_free(run->memory, p.rows);
	m3_free(run->memory, p.encoders);
	return status;
}
