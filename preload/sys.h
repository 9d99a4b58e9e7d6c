/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * System calls as the kernel has them: the result, or -errno.  Not those of the C
 * library, which are what this library stands in for, and which set errno.
 */
#ifndef _PRELOAD_SYS_H
#define _PRELOAD_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static inline long sys6(long nr, unsigned long a, unsigned long b,
			unsigned long c, unsigned long d, unsigned long e,
			unsigned long f)
{
	register unsigned long r10 __asm__("r10") = d;
	register unsigned long r8 __asm__("r8") = e;
	register unsigned long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long sys3(long nr, unsigned long a, unsigned long b,
			unsigned long c)
{
	return sys6(nr, a, b, c, 0, 0, 0);
}

static inline long sys_mmap(uintptr_t addr, size_t length, int prot, int flags,
			    int fd, unsigned long offset)
{
	return sys6(SYS_mmap, addr, length, (unsigned long)prot,
		    (unsigned long)flags, (unsigned long)fd, offset);
}

static inline long sys_munmap(uintptr_t addr, size_t length)
{
	return sys3(SYS_munmap, addr, length, 0);
}

static inline long sys_open(const char *path, int flags)
{
	return sys6(SYS_openat, (unsigned long)AT_FDCWD, (unsigned long)path,
		    (unsigned long)flags, 0, 0, 0);
}

static inline long sys_close(int fd)
{
	return sys3(SYS_close, (unsigned long)fd, 0, 0);
}

static inline long sys_fcntl(int fd, int cmd, unsigned long arg)
{
	return sys3(SYS_fcntl, (unsigned long)fd, (unsigned long)cmd, arg);
}

static inline long sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	return sys3(SYS_ioctl, (unsigned long)fd, cmd, (unsigned long)arg);
}

static inline long sys_read(int fd, void *buffer, size_t length)
{
	return sys3(SYS_read, (unsigned long)fd, (unsigned long)buffer, length);
}

static inline long sys_write(int fd, const void *buffer, size_t length)
{
	return sys3(SYS_write, (unsigned long)fd, (unsigned long)buffer,
		    length);
}

static inline long sys_getpid(void)
{
	return sys3(SYS_getpid, 0, 0, 0);
}

static inline long sys_gettid(void)
{
	return sys3(SYS_gettid, 0, 0, 0);
}

static inline long sys_getrlimit(int resource, struct rlimit *old)
{
	return sys6(SYS_prlimit64, 0, (unsigned long)resource, 0,
		    (unsigned long)old, 0, 0);
}

static inline long sys_setrlimit(int resource, const struct rlimit *new)
{
	return sys6(SYS_prlimit64, 0, (unsigned long)resource,
		    (unsigned long)new, 0, 0, 0);
}

#endif /* _PRELOAD_SYS_H */
