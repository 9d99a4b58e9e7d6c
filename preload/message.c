// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Messages, without stdio, which may not be there yet. */
#include <string.h>

#include "preload.h"
#include "sys.h"

/**
 * message_to() - write a line
 * @fd: where
 * @parts: what it consists of; NULL ends them
 */
void message_to(int fd, const char *const *parts)
{
	char line[256] = "altvm: ";
	size_t used = strlen(line);

	for (; *parts; parts++) {
		size_t length = strlen(*parts);

		if (length > sizeof(line) - 1 - used)
			length = sizeof(line) - 1 - used;
		memcpy(line + used, *parts, length);
		used += length;
	}
	line[used++] = '\n';
	sys_write(fd, line, used);
}

/**
 * message() - write a line to standard error
 * @parts: what it consists of; NULL ends them
 */
void message(const char *const *parts)
{
	message_to(2, parts);
}

/**
 * message_errno() - write a line that ends with an error
 * @what: went wrong
 * @err: -errno
 */
void message_errno(const char *what, long err)
{
	const char *why = strerrordesc_np((int)-err);
	char number[24];

	format_number(number, (unsigned long)-err, 10);
	message((const char *[]){ what, ": ", why ? why : number, NULL });
}

/**
 * format_number() - write a number
 * @text: where; it is ended with 0
 * @number: it
 * @base: 10 or 16
 *
 * Return: how many digits.
 */
size_t format_number(char *text, unsigned long number, unsigned int base)
{
	char digits[24];
	size_t n = 0, i;

	do {
		digits[n++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	for (i = 0; i < n; i++)
		text[i] = digits[n - 1 - i];
	text[n] = '\0';
	return n;
}
