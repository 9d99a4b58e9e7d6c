// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* NUMA policy: as map.c, for the calls that take sets of nodes. */
#include <stdint.h>

#include "altvm.h"
#include "handle.h"
#include "raw.h"

int altvm_mbind(struct altvm *vm, void *addr, size_t length, int mode,
		const unsigned long *nodemask, unsigned long maxnode,
		unsigned int flags)
{
	struct altvm_mbind arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
		.nodemask = (uintptr_t)nodemask,
		.maxnode = maxnode,
		.mode = (__u32)mode,
	};

	return altvm_result(raw_ioctl(vm->fd, ALTVM_MBIND, &arg));
}

int altvm_set_mempolicy(struct altvm *vm, int mode,
			const unsigned long *nodemask, unsigned long maxnode)
{
	struct altvm_set_mempolicy arg = {
		.size = sizeof(arg),
		.mode = (__u32)mode,
		.nodemask = (uintptr_t)nodemask,
		.maxnode = maxnode,
	};

	return altvm_result(raw_ioctl(vm->fd, ALTVM_SET_MEMPOLICY, &arg));
}

int altvm_get_mempolicy(struct altvm *vm, int *mode, unsigned long *nodemask,
			unsigned long maxnode, void *addr, unsigned int flags)
{
	struct altvm_get_mempolicy arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.nodemask = (uintptr_t)nodemask,
		.maxnode = maxnode,
	};
	int ret = raw_ioctl(vm->fd, ALTVM_GET_MEMPOLICY, &arg);

	if (!ret && mode)
		*mode = (int)arg.out_mode;
	return altvm_result(ret);
}
