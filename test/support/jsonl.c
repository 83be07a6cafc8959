#include "test/support/jsonl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void
die(const char *what, const char *where)
{
	fprintf(stderr, "json: %s at \"%.40s\"\n", what, where);
	abort();
}

static void *
must_alloc(size_t size)
{
	void	   *p = calloc(1, size == 0 ? 1 : size);

	if (p == NULL)
		abort();
	return p;
}

static void
skip_space(const char **p)
{
	while (isspace((unsigned char) **p))
		(*p)++;
}

static void
expect(const char **p, char c)
{
	skip_space(p);
	if (**p != c)
		die("unexpected character", *p);
	(*p)++;
}

static char
parse_escape(const char **p)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned	code;

	if (**p == 'u')
	{
		if (sscanf(*p + 1, "%4x", &code) != 1 || code == 0 || code > 0x7f)
			die("only escapes of ASCII are read", *p);
		*p += 5;
		return (char) code;
	}
	found = **p == '\0' ? NULL : strchr(from, **p);
	if (found == NULL)
		die("bad escape", *p);
	(*p)++;
	return to[found - from];
}

static char *
parse_string(const char **p)
{
	char	   *text = must_alloc(strlen(*p));
	size_t		n = 0;

	expect(p, '"');
	while (**p != '"')
	{
		if (**p == '\0')
			die("string without end", *p);
		if (**p == '\\')
		{
			(*p)++;
			text[n++] = parse_escape(p);
		}
		else
			text[n++] = *(*p)++;
	}
	(*p)++;
	text = realloc(text, n + 1);
	if (text == NULL)
		abort();
	text[n] = '\0';
	return text;
}

static Json *parse_value(const char **p, unsigned depth);

static void
parse_members(const char **p, Json *json, unsigned depth)
{
	char		close = json->type == JSON_OBJECT ? '}' : ']';
	Json	  **link = &json->first;

	(*p)++;
	skip_space(p);
	if (**p == close)
	{
		(*p)++;
		return;
	}
	for (;;)
	{
		char	   *key = NULL;

		if (json->type == JSON_OBJECT)
		{
			skip_space(p);
			key = parse_string(p);
			expect(p, ':');
		}
		*link = parse_value(p, depth + 1);
		(*link)->key = key;
		link = &(*link)->next;
		json->count++;
		skip_space(p);
		if (**p != ',')
			break;
		(*p)++;
	}
	expect(p, close);
}

static Json *
parse_value(const char **p, unsigned depth)
{
	Json	   *json = must_alloc(sizeof(Json));
	size_t		n;

	if (depth > 16)
		die("nested too deeply", *p);
	skip_space(p);
	if (**p == '{' || **p == '[')
	{
		json->type = **p == '{' ? JSON_OBJECT : JSON_ARRAY;
		parse_members(p, json, depth);
		return json;
	}
	if (**p == '"')
	{
		json->type = JSON_STRING;
		json->text = parse_string(p);
		return json;
	}
	n = strspn(*p, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
	json->text = must_alloc(n + 1);
	memcpy(json->text, *p, n);
	*p += n;
	if (strcmp(json->text, "null") == 0)
		json->type = JSON_NULL;
	else if (strcmp(json->text, "true") == 0 || strcmp(json->text, "false") == 0)
		json->type = JSON_BOOL;
	else if (n > 0 && (isdigit((unsigned char) json->text[0]) || json->text[0] == '-'))
		json->type = JSON_NUMBER;
	else
		die("not a value", *p - n);
	return json;
}

Json *
json_next_line(FILE *file)
{
	char	   *line = NULL;
	size_t		size = 0;
	Json	   *json = NULL;

	while (json == NULL && getline(&line, &size, file) > 0)
	{
		const char *p = line;

		skip_space(&p);
		if (*p == '\0')
			continue;
		json = parse_value(&p, 0);
		skip_space(&p);
		if (*p != '\0')
			die("more than one value on a line", p);
	}
	free(line);
	return json;
}

void
json_free(Json *json)
{
	while (json != NULL)
	{
		Json	   *next = json->next;

		json_free(json->first);
		free(json->key);
		free(json->text);
		free(json);
		json = next;
	}
}

const Json *
json_get(const Json *object, const char *key)
{
	for (const Json *member = object->first; member != NULL; member = member->next)
	{
		if (member->key != NULL && strcmp(member->key, key) == 0)
			return member;
	}
	return NULL;
}

const Json *
json_at(const Json *array, size_t index)
{
	const Json *element = array->first;

	while (element != NULL && index-- > 0)
		element = element->next;
	return element;
}

const char *
json_text(const Json *object, const char *key)
{
	const Json *member = json_get(object, key);

	if (member == NULL || member->type != JSON_STRING)
		die("no string of that name", key);
	return member->text;
}

int64_t
json_int(const Json *json)
{
	char	   *end;
	long long	value;

	if (json == NULL || json->type != JSON_NUMBER)
		die("not a number", "");
	value = strtoll(json->text, &end, 10);
	if (*end != '\0')
		die("not an integer", json->text);
	return value;
}

bool
json_bool(const Json *object, const char *key)
{
	const Json *member = json_get(object, key);

	if (member == NULL || member->type != JSON_BOOL)
		die("no boolean of that name", key);
	return member->text[0] == 't';
}

static unsigned
base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = strchr(digits, c);

	if (found == NULL)
		die("not base64", "a character");
	return (unsigned) (found - digits);
}

uint8_t *
base64_decode(const char *text, size_t *size)
{
	size_t		length = strcspn(text, "=");
	uint8_t    *bytes = must_alloc(length);
	uint32_t	bits = 0;
	unsigned	count = 0;

	*size = 0;
	for (size_t i = 0; i < length; i++)
	{
		bits = bits << 6 | base64_digit(text[i]);
		count += 6;
		if (count >= 8)
		{
			count -= 8;
			bytes[(*size)++] = (uint8_t) (bits >> count);
		}
	}
	return bytes;
}
