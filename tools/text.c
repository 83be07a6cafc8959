#include "tools/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/base/time.h"
#include "storage/ident/tags.h"

void
text_init(Text *text, M3Memory *memory)
{
	memset(text, 0, sizeof(*text));
	text->memory = memory;
}

void
text_free(Text *text)
{
	m3_free(text->memory, text->data);
	text_init(text, text->memory);
}

void
text_clear(Text *text)
{
	text->size = 0;
}

M3Status
text_status(const Text *text, M3Error *err)
{
	return text->failed ? m3_error(err, M3_NO_MEMORY, "out of memory") : M3_OK;
}

static bool
reserve(Text *text, size_t more)
{
	size_t		capacity = text->capacity;
	char	   *grown;

	if (text->failed)
		return false;
	if (more <= capacity - text->size)
		return true;
	if (more > SIZE_MAX / 4 - text->size)
	{
		text->failed = true;
		return false;
	}
	capacity = (text->size + more) * 2;
	grown = m3_resize(text->memory, text->data, capacity);
	if (grown == NULL)
	{
		text->failed = true;
		return false;
	}
	text->data = grown;
	text->capacity = capacity;
	return true;
}

void
text_add(Text *text, const void *data, size_t size)
{
	if (size == 0 || !reserve(text, size))
		return;
	memcpy(text->data + text->size, data, size);
	text->size += size;
}

void
text_add_cstr(Text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

static void
add_char(Text *text, char c)
{
	text_add(text, &c, 1);
}

void
text_printf(Text *text, const char *format,...)
{
	va_list		args;
	int			length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 || !reserve(text, (size_t) length + 1))
		return;
	va_start(args, format);
	vsnprintf(text->data + text->size, (size_t) length + 1, format, args);
	va_end(args);
	text->size += (size_t) length;
}

void
text_add_csv(Text *text, M3Slice bytes)
{
	bool		quote = false;

	for (size_t i = 0; i < bytes.size && !quote; i++)
		quote = memchr(",\"\r\n", bytes.data[i], 4) != NULL;
	if (!quote)
	{
		text_add(text, bytes.data, bytes.size);
		return;
	}
	add_char(text, '"');
	for (size_t i = 0; i < bytes.size; i++)
	{
		if (bytes.data[i] == '"')
			add_char(text, '"');
		add_char(text, (char) bytes.data[i]);
	}
	add_char(text, '"');
}

/* Size of the UTF-8 sequence at the front, 0 if there is none. */
static size_t
utf8_size(M3Slice bytes)
{
	size_t		size;

	if (bytes.data[0] < 0x80)
		return 1;
	size = bytes.data[0] >= 0xf0 ? 4 : bytes.data[0] >= 0xe0 ? 3 : 2;
	if (size > bytes.size || !m3_utf8_is_valid(m3_slice(bytes.data, size)))
		return 0;
	return size;
}

void
text_add_json(Text *text, M3Slice bytes)
{
	static const char plain[] = "\b\f\n\r\t\"\\";
	static const char letters[] = "bfnrt\"\\";

	add_char(text, '"');
	for (size_t i = 0; i < bytes.size;)
	{
		uint8_t		c = bytes.data[i];
		size_t		size = utf8_size(m3_slice(bytes.data + i, bytes.size - i));
		const char *special = c == 0 ? NULL : strchr(plain, c);

		if (size == 0)
			text_printf(text, "\\udc%02x", c);
		else if (special != NULL)
		{
			add_char(text, '\\');
			add_char(text, letters[special - plain]);
		}
		else if (c < 0x20)
			text_printf(text, "\\u%04x", c);
		else
			text_add(text, bytes.data + i, size);
		i += size == 0 ? 1 : size;
	}
	add_char(text, '"');
}

bool
text_add_tags(Text *text, M3Slice encoded)
{
	M3TagIterator iterator;
	M3Tag		tag;
	bool		first = true;

	if (m3_tag_iterator_init(&iterator, encoded, NULL) != M3_OK)
	{
		text_add_cstr(text, "{}");
		return false;
	}
	add_char(text, '{');
	while (m3_tag_next(&iterator, &tag))
	{
		if (!first)
			add_char(text, ',');
		first = false;
		text_add_json(text, tag.name);
		add_char(text, ':');
		text_add_json(text, tag.value);
	}
	add_char(text, '}');
	return true;
}

void
text_add_base64(Text *text, M3Slice bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < bytes.size; i += 3)
	{
		size_t		left = bytes.size - i;
		uint32_t	bits = (uint32_t) bytes.data[i] << 16 |
			(left > 1 ? (uint32_t) bytes.data[i + 1] << 8 : 0) |
			(left > 2 ? (uint32_t) bytes.data[i + 2] : 0);
		char		out[4] = {
			digits[bits >> 18], digits[bits >> 12 & 63],
			left > 1 ? digits[bits >> 6 & 63] : '=', left > 2 ? digits[bits & 63] : '='
		};

		text_add(text, out, sizeof(out));
	}
}

void
text_add_readable(Text *text, M3Slice bytes, size_t max_size)
{
	size_t		shown = bytes.size < max_size ? bytes.size : max_size;

	for (size_t i = 0; i < shown;)
	{
		size_t		size = utf8_size(m3_slice(bytes.data + i, bytes.size - i));

		if (size == 0 || bytes.data[i] < 0x20 || bytes.data[i] == 0x7f)
		{
			text_printf(text, "\\x%02x", bytes.data[i]);
			size = 1;
		}
		else
			text_add(text, bytes.data + i, size);
		i += size;
	}
	if (shown < bytes.size)
		text_printf(text, "... (%zu bytes)", bytes.size);
}

void
text_add_value(Text *text, double value)
{
	char		out[40];

	if (isnan(value))
		text_add_cstr(text, "NaN");
	else if (isinf(value))
		text_add_cstr(text, value > 0 ? "Inf" : "-Inf");
	else
		text_add(text, out, (size_t) snprintf(out, sizeof(out), "%.17g", value));
}

const char *
text_time(int64_t time_ns, char out[TEXT_TIME_SIZE])
{
	int64_t		second = time_ns / M3_NS_PER_SECOND;
	int64_t		rest = time_ns % M3_NS_PER_SECOND;
	time_t		clock;
	struct tm	tm;
	size_t		n;

	if (rest < 0)
	{
		rest += M3_NS_PER_SECOND;
		second--;
	}
	clock = (time_t) second;
	if (gmtime_r(&clock, &tm) == NULL)
	{
		snprintf(out, TEXT_TIME_SIZE, "%" PRId64, time_ns);
		return out;
	}
	n = strftime(out, TEXT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest != 0)
	{
		n += (size_t) snprintf(out + n, TEXT_TIME_SIZE - n, ".%09" PRId64, rest);
		while (out[n - 1] == '0')
			n--;
	}
	out[n] = 'Z';
	out[n + 1] = '\0';
	return out;
}

const char *
text_duration(int64_t duration_ns, char out[TEXT_TIME_SIZE])
{
	static const struct
	{
		const char *name;
		int64_t		ns;
	}			units[] = {
		{"d", INT64_C(86400000000000)}, {"h", INT64_C(3600000000000)},
		{"m", INT64_C(60000000000)}, {"s", INT64_C(1000000000)}, {"ns", 1}
	};
	size_t		n = 0;

	if (duration_ns <= 0)
	{
		snprintf(out, TEXT_TIME_SIZE, duration_ns == 0 ? "0s" : "%" PRId64 "ns", duration_ns);
		return out;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (duration_ns >= units[i].ns)
			n += (size_t) snprintf(out + n, TEXT_TIME_SIZE - n, "%" PRId64 "%s",
								   duration_ns / units[i].ns, units[i].name);
		duration_ns %= units[i].ns;
	}
	return out;
}

bool
text_parse_size(const char *string, uint64_t *size)
{
	static const char *const names[] = {"", "kB", "MB", "GB", "TB"};
	char	   *end;
	unsigned long long number = strtoull(string, &end, 10);

	if (*string < '0' || *string > '9')
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(end, names[i]) == 0)
		{
			*size = (uint64_t) number << (10 * i);
			return *size >> (10 * i) == number;
		}
	}
	return false;
}

bool
text_parse_duration(const char *string, int64_t *duration_ns)
{
	static const struct
	{
		const char *name;
		int64_t		ns;
	}			units[] = {
		{"ms", 1000000}, {"us", 1000}, {"ns", 1}, {"d", INT64_C(86400000000000)},
		{"h", INT64_C(3600000000000)}, {"m", INT64_C(60000000000)}, {"s", 1000000000}
	};
	int64_t		total = 0;

	if (*string == '\0')
		return false;
	while (*string != '\0')
	{
		char	   *end;
		long long	number = strtoll(string, &end, 10);
		int64_t		unit_ns = 0;

		if (*string < '0' || *string > '9')
			return false;
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && unit_ns == 0; i++)
		{
			if (strncmp(end, units[i].name, strlen(units[i].name)) == 0)
			{
				unit_ns = units[i].ns;
				end += strlen(units[i].name);
			}
		}
		if (*end == '\0' && unit_ns == 0 && total == 0)
			unit_ns = 1;
		if (unit_ns == 0 || number > (INT64_MAX - total) / unit_ns)
			return false;
		total += number * unit_ns;
		string = end;
	}
	*duration_ns = total;
	return true;
}

/* Between 1677 and 2262, so that nanoseconds fit. */
static bool
parse_calendar(const char *string, int64_t *time_ns)
{
	struct tm	tm = {.tm_mday = 1};
	const char *p = strptime(string, "%Y-%m-%d", &tm);
	int64_t		fraction = 0;
	int64_t		second;

	if (p != NULL && (*p == 'T' || *p == ' '))
	{
		const char *minute = strptime(p + 1, "%H:%M", &tm);

		p = minute;
		if (p != NULL && *p == ':')
			p = strptime(p, ":%S", &tm);
		if (p != NULL && *p == '.')
		{
			int64_t		digit = 100000000;

			for (p++; *p >= '0' && *p <= '9'; p++, digit /= 10)
				fraction += (*p - '0') * digit;
		}
	}
	if (p == NULL)
		return false;
	if (*p == 'Z')
		p++;
	if (*p != '\0')
		return false;
	second = (int64_t) timegm(&tm);
	if (second < INT64_MIN / M3_NS_PER_SECOND + 1 || second > INT64_MAX / M3_NS_PER_SECOND - 1)
		return false;
	*time_ns = second * M3_NS_PER_SECOND + fraction;
	return true;
}

bool
text_parse_time(const char *string, int64_t *time_ns)
{
	char	   *end;
	long long	number = strtoll(string, &end, 10);

	if (*string != '\0' && *end == '\0')
	{
		*time_ns = number;
		return true;
	}
	return parse_calendar(string, time_ns);
}
