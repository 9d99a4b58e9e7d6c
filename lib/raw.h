/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The system calls that libaltvm makes.  Each returns its result, or -errno, so
 * that a function can undo what it did without the undoing changing the error.
 * altvm_result() turns -errno into errno, and nothing else does: a public
 * function ends with it.
 */
#ifndef _ALTVM_RAW_H
#define _ALTVM_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int raw_open(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

static inline int raw_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static inline int raw_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static inline int raw_mmap_fd(size_t length, int prot, int flags, int fd,
			      void **addr)
{
	*addr = mmap(NULL, length, prot, flags, fd, 0);
	return *addr == MAP_FAILED ? -errno : 0;
}

static inline int raw_munmap(void *addr, size_t length)
{
	return munmap(addr, length) < 0 ? -errno : 0;
}

static inline ssize_t raw_read(int fd, void *buffer, size_t length)
{
	ssize_t n = read(fd, buffer, length);

	return n < 0 ? -errno : n;
}

static inline ssize_t raw_pwrite(int fd, const void *buffer, size_t length,
				 off_t offset)
{
	ssize_t n = pwrite(fd, buffer, length, offset);

	return n < 0 ? -errno : n;
}

static inline int raw_ftruncate(int fd, off_t length)
{
	return ftruncate(fd, length) < 0 ? -errno : 0;
}

/* The flags that a file was opened with. */
static inline int raw_getfl(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno : flags;
}

/* 0 for success, or -1 with errno set. */
static inline int altvm_result(int ret)
{
	if (ret >= 0)
		return 0;
	errno = -ret;
	return -1;
}

#endif /* _ALTVM_RAW_H */
