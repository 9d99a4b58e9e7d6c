/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef _ALTVM_HANDLE_H
#define _ALTVM_HANDLE_H

#include <stddef.h>

/**
 * struct altvm - see altvm.h
 * @fd: the open /dev/altvm
 * @window: where the window starts
 * @length: the window's length in bytes, whole pages
 *
 * Constant from altvm_open() to altvm_close(): that makes every other function
 * thread-safe without a lock.
 */
struct altvm {
	int fd;
	void *window;
	size_t length;
};

#endif /* _ALTVM_HANDLE_H */
