/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests print. */
#ifndef LIB_TESTS_TAP_H
#define LIB_TESTS_TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_tests, tap_failures;

#define ok(cond, name) tap_report(cond, #cond, __LINE__, name)

static inline void tap_report(bool good, const char *cond, int line,
			      const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_tests, name);
	if (!good)
		printf("# line %d: %s (errno %d)\n", line, cond, errno);
	tap_failures += !good;
}

/* The exit status. */
static inline int tap_end(void)
{
	printf("1..%d\n", tap_tests);
	return tap_failures > 0;
}

#endif /* LIB_TESTS_TAP_H */
