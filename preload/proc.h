/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What makes files that stand in for those of /proc. */
#ifndef _PRELOAD_PROC_H
#define _PRELOAD_PROC_H

#include <stdbool.h>
#include <stddef.h>

#include "preload.h"

/* A line with a path. */
#define LINE_SIZE 4352

/**
 * struct reader - a file that is read line by line
 * @fd: the file
 * @pos: what comes next in @buffer
 * @length: how much is in @buffer
 * @buffer: a part of the file
 * @line: the last line, without its end
 */
struct reader {
	int fd;
	size_t pos, length;
	char buffer[1024];
	char line[LINE_SIZE];
};

/**
 * struct writer - a file that is being made
 * @fd: the file
 * @length: how much is in @buffer
 * @buffer: what is to be written next
 */
struct writer {
	int fd;
	size_t length;
	char buffer[4096];
};

/**
 * struct sizes - of what is in the window, in kB
 * @mapped: by areas
 * @locked: of that
 * @swapped: paged out
 */
struct sizes {
	unsigned long mapped, locked, swapped;
};

/* Makes a file, of which @in is the kernel's. */
typedef void proc_put_fn(struct writer *out, const struct window *window,
			 struct reader *in);

/* Writes something of an area, of which @line is altvm's. */
typedef void proc_put_area_fn(struct writer *out, const char *line, void *arg);

bool proc_next_line(struct reader *in);
void proc_write(struct writer *out, const char *text, size_t length);
void proc_put(struct writer *out, const char *text);
void proc_put_line(struct writer *out, const char *line);
void proc_put_kib(struct writer *out, unsigned long kib);
unsigned long proc_number(const char *text, unsigned int base);
bool proc_is_area(const char *line);
proc_put_area_fn proc_put_area;
void proc_put_areas(struct writer *out, const struct window *window,
		    proc_put_area_fn *put_area, void *arg);
struct sizes proc_sizes(const struct window *window);

/* smaps.c */
proc_put_fn smaps_put;

#endif /* _PRELOAD_PROC_H */
