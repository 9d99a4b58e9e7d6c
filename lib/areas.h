/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef _ALTVM_AREAS_H
#define _ALTVM_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct altvm;

/**
 * struct area - what is mapped in a part of a window
 * @start: its first byte
 * @end: behind its last byte
 * @prot: PROT_*
 * @shared: MAP_SHARED
 * @file: it has a file; that of shared anonymous memory counts
 * @deleted: the file has no name any more, or never had one
 * @dontdump: MADV_DONTDUMP
 */
struct area {
	uintptr_t start, end;
	int prot;
	bool shared, file, deleted, dontdump;
};

/**
 * struct area_list - an open /proc/self/fdinfo/N, of which lines are being read
 * @fd: of the file
 * @window: where the window starts whose areas are wanted
 * @ours: the lines that follow are of that window
 * @found: there was a line of it
 * @pos: what comes next in @buffer
 * @len: how much is in @buffer
 * @buffer: a part of the file
 */
struct area_list {
	int fd;
	uintptr_t window;
	bool ours, found;
	size_t pos, len;
	char buffer[512];
};

/* 0, or -errno. */
int area_list_open(struct area_list *list, const struct altvm *vm);

/* 1 and the next area, in the order of addresses; 0 at the end; or -errno. */
int area_list_next(struct area_list *list, struct area *area);

void area_list_close(struct area_list *list);

#endif /* _ALTVM_AREAS_H */
