// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Locked memory. */
#include <errno.h>
#include <sys/mman.h>

#include "preload.h"
#include "sys.h"

/* altvm has had locked memory, which the kernel does not know of. */
static bool noted;

/**
 * lock_noted() - altvm is going to have locked memory
 */
void lock_noted(void)
{
	__atomic_store_n(&noted, true, __ATOMIC_RELAXED);
}

static long altvm_lock(const struct window *window, uintptr_t addr,
		       size_t length, unsigned long flags)
{
	struct altvm_mlock arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
		.addr = addr,
		.length = length,
	};

	return window_ioctl(window, ALTVM_MLOCK, &arg);
}

/*
 * RLIMIT_MEMLOCK is for both worlds, and altvm looks at both.  So before the kernel
 * locks memory, altvm locks as much of nothing.
 */
static long try_limit(size_t length)
{
	const struct window *window = window_get();
	struct altvm_mmap map = {
		.size = sizeof(map),
		.length = length + PAGE_SIZE,
		.prot = PROT_NONE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		.fd = -1,
	};
	struct altvm_munmap unmap = { .size = sizeof(unmap) };
	long ret;

	if (!window || !__atomic_load_n(&noted, __ATOMIC_RELAXED) ||
	    window_ioctl(window, ALTVM_MMAP, &map) < 0)
		return 0;
	ret = altvm_lock(window, map.out_addr, length, MLOCK_ONFAULT);
	unmap.addr = map.out_addr;
	unmap.length = map.length;
	window_ioctl(window, ALTVM_MUNMAP, &unmap);
	return ret;
}

static long mlock_kernel(const struct range_call *call, uintptr_t addr,
			 size_t length)
{
	long ret = try_limit(length + addr % PAGE_SIZE);

	return ret ? ret :
		     sys3((long)call->args[0], addr, length, call->args[1]);
}

static long mlock_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	lock_noted();
	return altvm_lock(window, addr, length, call->args[1]);
}

static long munlock_altvm(const struct range_call *call,
			  const struct window *window, uintptr_t addr,
			  size_t length)
{
	struct altvm_munlock arg = {
		.size = sizeof(arg),
		.addr = addr,
		.length = length,
	};

	(void)call;
	return window_ioctl(window, ALTVM_MUNLOCK, &arg);
}

/* All of the window, as a program finds it in /proc/self/maps. */
static bool is_whole_window(uintptr_t addr, size_t length)
{
	const struct window *window = window_get();

	return window && addr == window->start &&
	       length == window->end - window->start;
}

static long altvm_lockall(const struct window *window, int flags)
{
	struct altvm_mlockall arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
	};

	lock_noted();
	return window_ioctl(window, ALTVM_MLOCKALL, &arg);
}

static long altvm_unlockall(const struct window *window)
{
	struct altvm_munlockall arg = { .size = sizeof(arg) };

	return window_ioctl(window, ALTVM_MUNLOCKALL, &arg);
}

static long lock_range(long nr, uintptr_t addr, size_t length,
		       unsigned int flags)
{
	struct range_call call = {
		.call = CALL_MLOCK,
		.kernel = mlock_kernel,
		.altvm = mlock_altvm,
		.args = { (unsigned long)nr, flags },
	};
	int all = flags ? MCL_CURRENT | MCL_ONFAULT : MCL_CURRENT;

	/* What is not mapped there is no hole to the program. */
	if (is_whole_window(addr, length) && !(flags & ~MLOCK_ONFAULT))
		return altvm_lockall(window_get(), all);
	return range_apply(&call, addr, length);
}

/**
 * do_mlock() - mlock(2)
 * @addr: see there
 * @length: see there
 *
 * Return: 0, or -errno.
 */
long do_mlock(uintptr_t addr, size_t length)
{
	return lock_range(SYS_mlock, addr, length, 0);
}

/**
 * do_mlock2() - mlock2(2)
 * @addr: see there
 * @length: see there
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_mlock2(uintptr_t addr, size_t length, unsigned int flags)
{
	return lock_range(SYS_mlock2, addr, length, flags);
}

/**
 * do_munlock() - munlock(2)
 * @addr: see there
 * @length: see there
 *
 * Return: 0, or -errno.
 */
long do_munlock(uintptr_t addr, size_t length)
{
	struct range_call call = {
		.call = CALL_MUNLOCK,
		.nr = SYS_munlock,
		.altvm = munlock_altvm,
	};

	if (is_whole_window(addr, length))
		return altvm_unlockall(window_get());
	return range_apply(&call, addr, length);
}

/**
 * do_mlockall() - mlockall(2)
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_mlockall(int flags)
{
	const struct window *window = window_get();
	long ret;

	count(CALL_MLOCKALL, window ? ALTVM : KERNEL);
	ret = sys3(SYS_mlockall, (unsigned int)flags, 0, 0);
	if (!ret && window)
		ret = altvm_lockall(window, flags);
	return ret;
}

/**
 * do_munlockall() - munlockall(2)
 *
 * Return: 0, or -errno.
 */
long do_munlockall(void)
{
	const struct window *window = window_get();
	long ret;

	count(CALL_MUNLOCKALL, window ? ALTVM : KERNEL);
	ret = sys3(SYS_munlockall, 0, 0, 0);
	if (!ret && window)
		ret = altvm_unlockall(window);
	return ret;
}
