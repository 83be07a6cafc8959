/*
 * Reads files of one JSON object a line, and base64, for tests: golden data
 * are trusted, so what is malformed ends the test with a message.
 */
#ifndef M3_TEST_JSONL_H
#define M3_TEST_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum JsonType
{
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
} JsonType;

typedef struct Json Json;
struct Json
{
	JsonType	type;
	char	   *key;			/* of a member, else NULL */
	char	   *text;			/* string's bytes, or a scalar as written */
	size_t		count;			/* elements or members */
	Json	   *first;
	Json	   *next;
};

/* The next line that is not empty, or NULL at the end; free with json_free. */
extern Json *json_next_line(FILE *file);
extern void json_free(Json *json);

/* NULL if there is none. */
extern const Json *json_get(const Json *object, const char *key);
extern const Json *json_at(const Json *array, size_t index);

/* These end the test if the member is missing or of another type. */
extern const char *json_text(const Json *object, const char *key);
extern int64_t json_int(const Json *json);
extern bool json_bool(const Json *object, const char *key);

/* Bytes of malloc (never NULL); *size of them. */
extern uint8_t *base64_decode(const char *text, size_t *size);

#endif							/* M3_TEST_JSONL_H */
