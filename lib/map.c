// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The calls: each fills in the structure of its command and hands it over.  All
 * checks are the module's, so that an error does not depend on the library.
 */
#include <errno.h>
#include <stdint.h>

#include "altvm.h"
#include "handle.h"
#include "raw.h"

static int call(struct altvm *vm, unsigned long cmd, void *arg)
{
	return altvm_result(raw_ioctl(vm->fd, cmd, arg));
}

int altvm_query(struct altvm *vm, struct altvm_query *query)
{
	return call(vm, ALTVM_QUERY, query);
}

void *altvm_mmap(struct altvm *vm, void *addr, size_t length, int prot,
		 int flags, int fd, off_t offset)
{
	struct altvm_mmap arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
		.prot = (__u32)prot,
		.flags = (__u32)flags,
		.fd = fd,
		.offset = (__u64)offset,
	};

	if (call(vm, ALTVM_MMAP, &arg) < 0)
		return MAP_FAILED;
	return (void *)(uintptr_t)arg.out_addr;
}

int altvm_munmap(struct altvm *vm, void *addr, size_t length)
{
	struct altvm_munmap arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MUNMAP, &arg);
}

int altvm_mprotect(struct altvm *vm, void *addr, size_t length, int prot)
{
	struct altvm_mprotect arg = {
		.size = sizeof(arg),
		.prot = (__u32)prot,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MPROTECT, &arg);
}

int altvm_mincore(struct altvm *vm, void *addr, size_t length,
		  unsigned char *vec)
{
	struct altvm_mincore arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
		.vec = (uintptr_t)vec,
	};

	return call(vm, ALTVM_MINCORE, &arg);
}

int altvm_msync(struct altvm *vm, void *addr, size_t length, int flags)
{
	struct altvm_msync arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MSYNC, &arg);
}

int altvm_madvise(struct altvm *vm, void *addr, size_t length, int advice)
{
	struct altvm_madvise arg = {
		.size = sizeof(arg),
		.advice = advice,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MADVISE, &arg);
}

void *altvm_mremap(struct altvm *vm, void *old_addr, size_t old_length,
		   size_t new_length, int flags, void *new_addr)
{
	struct altvm_mremap arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
		.old_addr = (uintptr_t)old_addr,
		.old_length = old_length,
		.new_length = new_length,
		.new_addr = (uintptr_t)new_addr,
	};

	if (call(vm, ALTVM_MREMAP, &arg) < 0)
		return MAP_FAILED;
	return (void *)(uintptr_t)arg.out_addr;
}

int altvm_mlock2(struct altvm *vm, const void *addr, size_t length,
		 unsigned int flags)
{
	struct altvm_mlock arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MLOCK, &arg);
}

int altvm_mlock(struct altvm *vm, const void *addr, size_t length)
{
	return altvm_mlock2(vm, addr, length, 0);
}

int altvm_munlock(struct altvm *vm, const void *addr, size_t length)
{
	struct altvm_munlock arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call(vm, ALTVM_MUNLOCK, &arg);
}

int altvm_mlockall(struct altvm *vm, int flags)
{
	struct altvm_mlockall arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
	};

	return call(vm, ALTVM_MLOCKALL, &arg);
}

int altvm_munlockall(struct altvm *vm)
{
	struct altvm_munlockall arg = { .size = sizeof(arg) };

	return call(vm, ALTVM_MUNLOCKALL, &arg);
}

/* Move the break; where it then is goes to *@brk. */
static int move_break(struct altvm *vm, uintptr_t to, uintptr_t *brk)
{
	struct altvm_brk arg = { .size = sizeof(arg), .addr = to };
	int ret = call(vm, ALTVM_BRK, &arg);

	*brk = (uintptr_t)arg.out_addr;
	return ret;
}

int altvm_brk(struct altvm *vm, void *addr)
{
	uintptr_t brk;

	if (move_break(vm, (uintptr_t)addr, &brk) < 0)
		return -1;
	return brk == (uintptr_t)addr ? 0 : altvm_result(-ENOMEM);
}

void *altvm_sbrk(struct altvm *vm, intptr_t increment)
{
	uintptr_t old, to;

	if (move_break(vm, 0, &old) < 0)
		return (void *)-1;
	to = old + (uintptr_t)increment;
	if ((increment > 0 && to < old) || (increment < 0 && to > old)) {
		altvm_result(-ENOMEM);
		return (void *)-1;
	}
	if (increment && altvm_brk(vm, (void *)to) < 0)
		return (void *)-1;
	return (void *)old;
}
