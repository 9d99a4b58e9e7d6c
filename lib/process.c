// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Calls about other processes, as those in map.c. */
#include <stdint.h>

#include "altvm.h"
#include "handle.h"
#include "raw.h"

/* What does not fit is not cut off but refused. */
static __u32 fit_flags(unsigned long flags)
{
	return flags > UINT32_MAX ? UINT32_MAX : (__u32)flags;
}

static ssize_t process_vm(struct altvm *vm, unsigned long cmd, pid_t pid,
			  const struct iovec *local, unsigned long nr_local,
			  const struct iovec *remote, unsigned long nr_remote,
			  unsigned long flags)
{
	struct altvm_process_vm arg = {
		.size = sizeof(arg),
		.flags = fit_flags(flags),
		.pid = pid,
		.local = (uintptr_t)local,
		.nr_local = nr_local,
		.remote = (uintptr_t)remote,
		.nr_remote = nr_remote,
	};
	int ret;

	ret = altvm_result(raw_ioctl(vm->fd, cmd, &arg));
	return ret ? ret : (ssize_t)arg.out_bytes;
}

ssize_t altvm_process_vm_readv(struct altvm *vm, pid_t pid,
			       const struct iovec *local,
			       unsigned long nr_local,
			       const struct iovec *remote,
			       unsigned long nr_remote, unsigned long flags)
{
	return process_vm(vm, ALTVM_PROCESS_VM_READV, pid, local, nr_local,
			  remote, nr_remote, flags);
}

ssize_t altvm_process_vm_writev(struct altvm *vm, pid_t pid,
				const struct iovec *local,
				unsigned long nr_local,
				const struct iovec *remote,
				unsigned long nr_remote, unsigned long flags)
{
	return process_vm(vm, ALTVM_PROCESS_VM_WRITEV, pid, local, nr_local,
			  remote, nr_remote, flags);
}

ssize_t altvm_process_madvise(struct altvm *vm, int pidfd,
			      const struct iovec *vec, size_t nr_vec,
			      int advice, unsigned int flags)
{
	struct altvm_process_madvise arg = {
		.size = sizeof(arg),
		.flags = flags,
		.pidfd = pidfd,
		.advice = advice,
		.vec = (uintptr_t)vec,
		.nr_vec = nr_vec,
	};
	int ret;

	ret = altvm_result(raw_ioctl(vm->fd, ALTVM_PROCESS_MADVISE, &arg));
	return ret ? ret : (ssize_t)arg.out_bytes;
}

int altvm_process_mrelease(struct altvm *vm, int pidfd, unsigned int flags)
{
	struct altvm_process_mrelease arg = {
		.size = sizeof(arg),
		.flags = flags,
		.pidfd = pidfd,
	};

	return altvm_result(raw_ioctl(vm->fd, ALTVM_PROCESS_MRELEASE, &arg));
}
