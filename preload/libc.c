// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The names that this library takes over from the C library.  Those that are
 * cancellation points there still are.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload.h"
#include "sys.h"

/* From the C library: its own idea of where the heap ends, and more names. */
extern void *__curbrk;
void *__sbrk(intptr_t increment);
int __close(int fd);
int __fcntl(int fd, int cmd, ...);

/* In libnuma, if at all. */
long mbind(void *addr, unsigned long length, int mode,
	   const unsigned long *nodemask, unsigned long maxnode,
	   unsigned int flags);
long get_mempolicy(int *mode, unsigned long *nodemask, unsigned long maxnode,
		   void *addr, unsigned long flags);

/**
 * finish() - end a function as the C library's do
 * @ret: a result, or -errno
 *
 * Return: @ret, or -1 and errno.
 */
long finish(long ret)
{
	if ((unsigned long)ret < -4095UL)
		return ret;
	errno = (int)-ret;
	return -1;
}

EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset)
{
	return (void *)finish(do_mmap((uintptr_t)addr, length, prot, flags, fd,
				      (unsigned long)offset));
}

EXPORT void *mmap64(void *addr, size_t length, int prot, int flags, int fd,
		    off64_t offset) __attribute__((alias("mmap")));

EXPORT int munmap(void *addr, size_t length)
{
	return (int)finish(do_munmap((uintptr_t)addr, length));
}

EXPORT int mprotect(void *addr, size_t length, int prot)
{
	return (int)finish(do_mprotect((uintptr_t)addr, length, prot));
}

EXPORT int pkey_mprotect(void *addr, size_t length, int prot, int pkey)
{
	long ret = do_pkey_mprotect((uintptr_t)addr, length, prot, pkey);

	return (int)finish(ret);
}

EXPORT int pkey_alloc(unsigned int flags, unsigned int rights)
{
	return (int)finish(do_pkey_alloc(flags, rights));
}

EXPORT void *mremap(void *old, size_t old_length, size_t new_length, int flags,
		    ...)
{
	uintptr_t new = 0;
	va_list args;
	long ret;

	va_start(args, flags);
	if (flags & MREMAP_FIXED)
		new = (uintptr_t)va_arg(args, void *);
	va_end(args);
	ret = do_mremap((uintptr_t)old, old_length, new_length, flags, new);
	return (void *)finish(ret);
}

EXPORT int msync(void *addr, size_t length, int flags)
{
	pthread_testcancel();
	return (int)finish(do_msync((uintptr_t)addr, length, flags));
}

EXPORT int mincore(void *addr, size_t length, unsigned char *vec)
{
	return (int)finish(do_mincore((uintptr_t)addr, length, (uintptr_t)vec));
}

EXPORT int madvise(void *addr, size_t length, int advice)
{
	return (int)finish(do_madvise((uintptr_t)addr, length, advice));
}

EXPORT int posix_madvise(void *addr, size_t length, int advice)
{
	/* As the C library: it does not throw away what is stored. */
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return (int)-do_madvise((uintptr_t)addr, length, advice);
}

EXPORT int mlock(const void *addr, size_t length)
{
	return (int)finish(do_mlock((uintptr_t)addr, length));
}

EXPORT int mlock2(const void *addr, size_t length, unsigned int flags)
{
	/* As the C library. */
	if (!flags)
		return mlock(addr, length);
	return (int)finish(do_mlock2((uintptr_t)addr, length, flags));
}

EXPORT int munlock(const void *addr, size_t length)
{
	return (int)finish(do_munlock((uintptr_t)addr, length));
}

EXPORT int mlockall(int flags)
{
	return (int)finish(do_mlockall(flags));
}

EXPORT int munlockall(void)
{
	return (int)finish(do_munlockall());
}

EXPORT int brk(void *addr)
{
	uintptr_t end = (uintptr_t)do_brk((uintptr_t)addr);
	const struct window *window = window_get();

	if (!window_has(window, end))
		__curbrk = (void *)end;
	return (int)finish(end < (uintptr_t)addr ? -ENOMEM : 0);
}

EXPORT void *sbrk(intptr_t increment)
{
	const struct window *window = window_get();
	uintptr_t old, new;

	if (!window || !window->config.anon)
		return __sbrk(increment);
	old = (uintptr_t)do_brk(0);
	new = old + (uintptr_t)increment;
	if ((increment > 0 && new < old) || (increment < 0 && new > old) ||
	    (increment && (uintptr_t)do_brk(new) != new))
		return (void *)finish(-ENOMEM);
	return (void *)old;
}

EXPORT long mbind(void *addr, unsigned long length, int mode,
		  const unsigned long *nodemask, unsigned long maxnode,
		  unsigned int flags)
{
	return finish(do_mbind((uintptr_t)addr, length, (unsigned long)mode,
			       (uintptr_t)nodemask, maxnode, flags));
}

EXPORT long get_mempolicy(int *mode, unsigned long *nodemask,
			  unsigned long maxnode, void *addr,
			  unsigned long flags)
{
	return finish(do_get_mempolicy((uintptr_t)mode, (uintptr_t)nodemask,
				       maxnode, (uintptr_t)addr, flags));
}

EXPORT ssize_t process_madvise(int pidfd, const struct iovec *vec,
			       size_t nr_vec, int advice, unsigned int flags)
{
	return finish(do_process_madvise(pidfd, (uintptr_t)vec, nr_vec, advice,
					 flags));
}

EXPORT int process_mrelease(int pidfd, unsigned int flags)
{
	return (int)finish(do_process_mrelease(pidfd, flags));
}

EXPORT int close(int fd)
{
	return fd_is_ours(fd) ? (int)finish(-EBADF) : __close(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)finish(fd_close_range(first, last, (unsigned int)flags));
}

EXPORT void closefrom(int first)
{
	fd_close_range(first < 0 ? 0 : (unsigned int)first, ~0U, 0);
}

EXPORT int dup(int fd)
{
	return (int)finish(fd_dup(fd));
}

EXPORT int dup2(int old, int new)
{
	return (int)finish(fd_dup2(old, new));
}

EXPORT int dup3(int old, int new, int flags)
{
	return (int)finish(fd_dup3(old, new, flags));
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	unsigned long arg;
	va_list args;

	va_start(args, cmd);
	arg = va_arg(args, unsigned long);
	va_end(args);
	return fd_is_ours(fd) ? (int)finish(-EBADF) : __fcntl(fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));
