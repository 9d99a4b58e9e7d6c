// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Locked memory. */
#include <errno.h>
#include <sys/mman.h>

#include "preload.h"
#include "sys.h"

static long mlock_kernel(const struct range_call *call, uintptr_t addr,
			 size_t length)
{
	return sys3((long)call->args[0], addr, length, call->args[1]);
}

static long mlock_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	struct altvm_mlock arg = {
		.size = sizeof(arg),
		.flags = (__u32)call->args[1],
		.addr = addr,
		.length = length,
	};

	return window_ioctl(window, ALTVM_MLOCK, &arg);
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
		.kernel = mlock_kernel,
		.altvm = munlock_altvm,
		.args = { SYS_munlock },
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
