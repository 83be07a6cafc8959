/*
 * Checks for the unit tests: each counts, a failed one says where and the
 * test goes on.  A test's main ends with "return check_report();".
 */
#ifndef M3_TEST_CHECK_H
#define M3_TEST_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/base/status.h"

static int	checks_passed;
static int	checks_failed;

static inline bool
check_at(bool ok, const char *file, int line, const char *text)
{
	if (ok)
		checks_passed++;
	else
	{
		checks_failed++;
		fprintf(stderr, "%s:%d: check failed: %s\n", file, line, text);
	}
	return ok;
}

#define CHECK(condition) check_at((condition), __FILE__, __LINE__, #condition)

#define CHECK_INT(actual, expected) \
	do { \
		int64_t		actual_ = (int64_t) (actual); \
		int64_t		expected_ = (int64_t) (expected); \
		if (!check_at(actual_ == expected_, __FILE__, __LINE__, #actual " == " #expected)) \
			fprintf(stderr, "    is %" PRId64 ", not %" PRId64 "\n", actual_, expected_); \
	} while (0)

#define CHECK_STATUS(expression, expected) \
	do { \
		M3Status	actual_ = (expression); \
		if (!check_at(actual_ == (expected), __FILE__, __LINE__, #expression " is " #expected)) \
			fprintf(stderr, "    is %s\n", m3_status_name(actual_)); \
	} while (0)

/* The same for M3_OK, showing the message of a local "M3Error err". */
#define CHECK_OK(expression) \
	do { \
		if (!check_at((expression) == M3_OK, __FILE__, __LINE__, #expression)) \
			fprintf(stderr, "    %s %s @%" PRId64 "\n", err.message, err.file, err.offset); \
	} while (0)

#define CHECK_BYTES(actual, actual_size, expected, expected_size) \
	CHECK((size_t) (actual_size) == (size_t) (expected_size) && \
		  memcmp((actual), (expected), (size_t) (expected_size)) == 0)

static inline int
check_report(void)
{
	printf("%d checks passed, %d failed\n", checks_passed, checks_failed);
	return checks_failed == 0 ? 0 : 1;
}

#endif							/* M3_TEST_CHECK_H */
