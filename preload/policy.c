// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * NUMA policy.  set_mempolicy() is not here: the kernel's is good for both
 * worlds, for a window without a policy of its own follows that of the thread.
 */
#include <errno.h>
#include <linux/mempolicy.h>

#include "preload.h"
#include "sys.h"

static long mbind_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	struct altvm_mbind arg = {
		.size = sizeof(arg),
		.flags = (__u32)call->args[3],
		.addr = addr,
		.length = length,
		.nodemask = call->args[1],
		.maxnode = call->args[2],
		.mode = (__u32)call->args[0],
	};

	return window_ioctl(window, ALTVM_MBIND, &arg);
}

/**
 * do_mbind() - mbind(2)
 * @addr: see there
 * @length: see there
 * @mode: see there
 * @nodemask: see there
 * @maxnode: see there
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_mbind(uintptr_t addr, size_t length, unsigned long mode,
	      uintptr_t nodemask, unsigned long maxnode, unsigned int flags)
{
	struct range_call call = {
		.call = CALL_MBIND,
		.nr = SYS_mbind,
		.altvm = mbind_altvm,
		.args = { mode, nodemask, maxnode, flags },
	};

	return range_apply(&call, addr, length);
}

static long kernel_get(uintptr_t mode, uintptr_t nodemask,
		       unsigned long maxnode, uintptr_t addr,
		       unsigned long flags)
{
	return sys6(SYS_get_mempolicy, mode, nodemask, maxnode, addr, flags, 0);
}

/**
 * do_get_mempolicy() - get_mempolicy(2)
 * @mode: see there
 * @nodemask: see there
 * @maxnode: see there
 * @addr: see there
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_get_mempolicy(uintptr_t mode, uintptr_t nodemask, unsigned long maxnode,
		      uintptr_t addr, unsigned long flags)
{
	const struct window *window = window_get();
	struct altvm_get_mempolicy arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
		.addr = addr,
		.nodemask = nodemask,
		.maxnode = maxnode,
	};
	long ret;

	if (!window_has(window, addr) || !(flags & MPOL_F_ADDR) ||
	    flags != (__u32)flags) {
		count(CALL_GET_MEMPOLICY, KERNEL);
		return kernel_get(mode, nodemask, maxnode, addr, flags);
	}
	count(CALL_GET_MEMPOLICY, ALTVM);
	ret = window_ioctl(window, ALTVM_GET_MEMPOLICY, &arg);
	if (ret || !mode)
		return ret;
	/* The kernel writes there, so that it is EFAULT if it cannot be. */
	ret = kernel_get(mode, 0, 0, 0, 0);
	if (!ret)
		*(int *)mode = (int)arg.out_mode;
	return ret;
}
