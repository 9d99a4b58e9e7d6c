// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The device's descriptor.  It has a high number, so that the program gets the
 * numbers it is used to, and the program cannot close or replace it: to a program
 * that asks for it by its number it is not open.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>

#include "preload.h"
#include "sys.h"

/*
 * Each fork copies a table with a place for each number up to the highest, and
 * each lower number the program may come to use.
 */
#define FD_HIGHEST 4096UL
#define FD_TRIES 64

/* No descriptor is as high. */
#define FD_IMPOSSIBLE 0x7fffffffU

/* A limit that leaves room above @old; who has the right goes beyond the hard one. */
static bool raise_limit(struct rlimit old)
{
	struct rlimit raised = old;

	raised.rlim_cur += FD_TRIES;
	if (old.rlim_cur < old.rlim_max && raised.rlim_cur > old.rlim_max)
		raised.rlim_cur = old.rlim_max;
	if (raised.rlim_cur > raised.rlim_max)
		raised.rlim_max = raised.rlim_cur;
	return !sys_setrlimit(RLIMIT_NOFILE, &raised);
}

/* Above what the program can get, if the table does not become large thereby. */
static long dup_above(int fd, struct rlimit limit)
{
	long ret;

	if (limit.rlim_cur > FD_HIGHEST || !raise_limit(limit))
		return -EINVAL;
	ret = sys_fcntl(fd, F_DUPFD_CLOEXEC, limit.rlim_cur);
	sys_setrlimit(RLIMIT_NOFILE, &limit);
	return ret;
}

static long dup_below(int fd, struct rlimit limit)
{
	unsigned long number = limit.rlim_cur;
	long ret;
	int i;

	if (number > FD_HIGHEST)
		number = FD_HIGHEST;
	for (i = 0; i < FD_TRIES && number > (unsigned long)fd + 1; i++) {
		ret = sys_fcntl(fd, F_DUPFD_CLOEXEC, --number);
		if (ret >= 0)
			return ret;
	}
	return -EMFILE;
}

/* A higher number for @fd, which stays open. */
static long dup_high(int fd)
{
	struct rlimit limit;
	long ret;

	ret = sys_getrlimit(RLIMIT_NOFILE, &limit);
	if (ret)
		return ret;
	ret = dup_above(fd, limit);
	return ret < 0 ? dup_below(fd, limit) : ret;
}

/* When the program has as many files open as it may. */
static long open_beyond_the_limit(void)
{
	struct rlimit limit;
	long ret;

	ret = sys_getrlimit(RLIMIT_NOFILE, &limit);
	if (ret)
		return ret;
	if (!raise_limit(limit))
		return -EMFILE;
	ret = sys_open("/dev/altvm", O_RDWR | O_CLOEXEC);
	sys_setrlimit(RLIMIT_NOFILE, &limit);
	return ret;
}

/**
 * fd_open_device() - open /dev/altvm, out of the way
 *
 * Return: the descriptor, or -errno.
 */
long fd_open_device(void)
{
	long low = sys_open("/dev/altvm", O_RDWR | O_CLOEXEC);
	long high;

	if (low == -EMFILE)
		low = open_beyond_the_limit();
	if (low < 0)
		return low;
	high = dup_high((int)low);
	if (high < 0)
		return low;
	sys_close((int)low);
	return high;
}

/**
 * fd_is_ours() - is it the device's descriptor?
 * @fd: what the program thinks is its own
 *
 * Return: true if it is.
 */
bool fd_is_ours(int fd)
{
	const struct window *window = window_get();

	return window && fd == __atomic_load_n(&window->fd, __ATOMIC_RELAXED);
}

/* The program wants the number @new for itself. */
static long make_way(int new)
{
	long fd;

	/*
	 * A child of vfork() has its own descriptors, and no use for the device:
	 * its parent's is not to be forgotten.
	 */
	if (!fd_is_ours(new) || own_is_borrowed())
		return 0;
	fd = dup_high(new);
	if (fd < 0)
		fd = sys_fcntl(new, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	window_fd_changed((int)fd);
	return 0;
}

/**
 * fd_close() - close(2)
 * @fd: what to close
 *
 * Return: 0, or -errno.
 */
long fd_close(int fd)
{
	return fd_is_ours(fd) ? -EBADF : sys_close(fd);
}

/**
 * fd_dup() - dup(2)
 * @fd: what to duplicate
 *
 * Return: a descriptor, or -errno.
 */
long fd_dup(int fd)
{
	return fd_is_ours(fd) ? -EBADF : sys3(SYS_dup, (unsigned long)fd, 0, 0);
}

static bool can_be_target(int fd)
{
	struct rlimit limit;

	return fd >= 0 && !sys_getrlimit(RLIMIT_NOFILE, &limit) &&
	       (unsigned long)fd < limit.rlim_cur;
}

/**
 * fd_dup3() - dup3(2)
 * @old: what to duplicate
 * @new: the number of the duplicate
 * @flags: O_CLOEXEC or 0
 *
 * Return: @new, or -errno.
 */
long fd_dup3(int old, int new, int flags)
{
	long ret;

	if (fd_is_ours(old))
		return -EBADF;
	if (fd_is_ours(new) && can_be_target(new) &&
	    sys_fcntl(old, F_GETFD, 0) >= 0) {
		ret = make_way(new);
		if (ret)
			return ret;
	}
	return sys3(SYS_dup3, (unsigned long)old, (unsigned long)new,
		    (unsigned long)flags);
}

/**
 * fd_dup2() - dup2(2)
 * @old: what to duplicate
 * @new: the number of the duplicate
 *
 * Return: @new, or -errno.
 */
long fd_dup2(int old, int new)
{
	if (old != new)
		return fd_dup3(old, new, 0);
	if (fd_is_ours(old))
		return -EBADF;
	return sys3(SYS_dup2, (unsigned long)old, (unsigned long)new, 0);
}

static long close_range_part(unsigned int first, unsigned int last,
			     unsigned int flags)
{
	return sys3(SYS_close_range, first, last, flags);
}

/**
 * fd_close_range() - close_range(2)
 * @first: the first descriptor
 * @last: the last one
 * @flags: CLOSE_RANGE_*
 *
 * Return: 0, or -errno.
 */
long fd_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	const struct window *window = window_get();
	unsigned int ours;
	long ret = 0;

	if (!window || flags & CLOSE_RANGE_CLOEXEC)
		return close_range_part(first, last, flags);
	ours = (unsigned int)__atomic_load_n(&window->fd, __ATOMIC_RELAXED);
	if (ours < first || ours > last)
		return close_range_part(first, last, flags);
	/* Nothing to close, but there may be errors, or CLOSE_RANGE_UNSHARE. */
	if (first == last)
		return close_range_part(FD_IMPOSSIBLE, ~0U, flags);
	if (ours < last)
		ret = close_range_part(ours + 1, last, flags);
	if (!ret && ours > first)
		ret = close_range_part(first, ours - 1, flags);
	return ret;
}
