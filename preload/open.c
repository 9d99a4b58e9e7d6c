// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The C library's names that open files, for those that proc.c knows. */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"
#include "sys.h"

/* The C library's own. */
int __open64(const char *path, int flags, ...);
FILE *_IO_fopen(const char *path, const char *mode);

static int open_any(const char *path, int flags, mode_t mode)
{
	long fd = proc_open((uintptr_t)path, flags);

	return fd >= 0 ? (int)fd : __open64(path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return open_any(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
	__attribute__((alias("open")));

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	long fd = proc_open((uintptr_t)path, flags);
	va_list args;
	mode_t mode;

	if (fd >= 0)
		return (int)fd;
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	pthread_testcancel();
	return (int)finish(sys6(SYS_openat, (unsigned long)dir,
				(unsigned long)path, (unsigned long)flags, mode,
				0, 0));
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
	__attribute__((alias("openat")));

EXPORT FILE *fopen(const char *path, const char *mode)
{
	int flags = strchr(mode, 'e') ? O_RDONLY | O_CLOEXEC : O_RDONLY;
	long fd = -1;

	if (*mode == 'r' && !strchr(mode, '+'))
		fd = proc_open((uintptr_t)path, flags);
	return fd >= 0 ? fdopen((int)fd, mode) : _IO_fopen(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
	__attribute__((alias("fopen")));

EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	if (!offset && whence == SEEK_SET)
		proc_refresh(fd);
	return finish(sys3(SYS_lseek, (unsigned long)fd, (unsigned long)offset,
			   (unsigned long)whence));
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
	__attribute__((alias("lseek")));

EXPORT void rewind(FILE *file)
{
	/* What has been read ahead is not what is there now. */
	if (proc_refresh(fileno(file)))
		__fpurge(file);
	fseek(file, 0, SEEK_SET);
	clearerr(file);
}
