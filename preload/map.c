// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* mmap and what changes mappings. */
#include <errno.h>
#include <sys/mman.h>

#include "preload.h"
#include "sys.h"

#define FIXED_FLAGS (MAP_FIXED | MAP_FIXED_NOREPLACE)

static long altvm_mmap(const struct window *window, uintptr_t addr,
		       size_t length, int prot, int flags, int fd,
		       unsigned long offset)
{
	struct altvm_mmap arg = {
		.size = sizeof(arg),
		.addr = addr,
		.length = length,
		.prot = (__u32)prot,
		.flags = (__u32)flags,
		.fd = fd,
		.offset = offset,
	};
	long ret = window_ioctl(window, ALTVM_MMAP, &arg);

	return ret < 0 ? ret : (long)arg.out_addr;
}

static long kernel_mmap(uintptr_t addr, size_t length, int prot, int flags,
			int fd, unsigned long offset)
{
	count(CALL_MMAP, KERNEL);
	return sys_mmap(addr, length, prot, flags, fd, offset);
}

/* A userfaultfd(2) acts on the kernel's mappings only; so who has one gets those. */
static bool kernel_only;

/**
 * map_by_kernel() - new mappings are to be the kernel's from now on
 */
void map_by_kernel(void)
{
	__atomic_store_n(&kernel_only, true, __ATOMIC_RELAXED);
}

/*
 * Is a mapping to be altvm's that may be anywhere?  A hint outside of the window
 * is the kernel's to follow: programs look for places near their code, and for
 * low ones.
 */
static bool wanted(const struct window *window, uintptr_t addr, size_t length,
		   int flags)
{
	const struct config *config = &window->config;

	if (flags & (MAP_32BIT | MAP_HUGETLB) || length < config->min_size ||
	    __atomic_load_n(&kernel_only, __ATOMIC_RELAXED))
		return false;
	if (!(flags & MAP_ANONYMOUS ? config->anon : config->file))
		return false;
	return addr < PAGE_SIZE || window_has(window, addr);
}

static bool is_limited(int resource)
{
	struct rlimit limit;

	return !sys_getrlimit(resource, &limit) &&
	       limit.rlim_cur != RLIM_INFINITY;
}

/*
 * Is an error altvm's alone?  Limits are not: altvm knows of the memory in both
 * worlds, and the kernel of its own.
 */
static bool may_be_retried(long err)
{
	if (err == -EAGAIN)
		return false;
	return err != -ENOMEM ||
	       !(is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA));
}

/*
 * RLIMIT_AS and RLIMIT_DATA are for both worlds, and altvm looks at both.  So before
 * the kernel maps memory, altvm maps as much.
 */
static bool is_over_limit(const struct window *window, size_t length, int prot,
			  int flags)
{
	bool data = prot & PROT_WRITE && (flags & MAP_TYPE) == MAP_PRIVATE;
	struct altvm_munmap unmap = { .size = sizeof(unmap), .length = length };
	long ret;

	if (length > window->end - window->start ||
	    !(is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA)))
		return false;
	ret = altvm_mmap(window, 0, length,
			 data ? PROT_READ | PROT_WRITE : PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret < 0)
		return ret == -ENOMEM;
	unmap.addr = (__u64)ret;
	window_ioctl(window, ALTVM_MUNMAP, &unmap);
	return false;
}

static long mmap_anywhere(const struct window *window, uintptr_t addr,
			  size_t length, int prot, int flags, int fd,
			  unsigned long offset)
{
	long ret;

	if (!wanted(window, addr, length, flags)) {
		if (is_over_limit(window, length, prot, flags))
			return -ENOMEM;
		return kernel_mmap(addr, length, prot, flags, fd, offset);
	}
	ret = altvm_mmap(window, addr, length, prot, flags, fd, offset);
	if (ret < 0 && may_be_retried(ret)) {
		/* Whatever altvm cannot do; and the errors are the kernel's. */
		count(CALL_MMAP, REFUSED);
		return sys_mmap(addr, length, prot, flags, fd, offset);
	}
	count(CALL_MMAP, ALTVM);
	if (flags & MAP_LOCKED)
		lock_noted();
	return ret;
}

/**
 * struct fixed - a mapping at an address that was asked for
 * @prot: PROT_*
 * @flags: MAP_*
 * @fd: the file
 * @offset: where the mapping's first byte is in it
 * @done: where what has been mapped ends
 */
struct fixed {
	int prot, flags, fd;
	unsigned long offset;
	uintptr_t done;
};

static long fixed_kernel(const struct range_call *call, uintptr_t addr,
			 size_t length)
{
	struct fixed *fixed = (struct fixed *)call->args[0];
	long ret = sys_mmap(addr, length, fixed->prot, fixed->flags, fixed->fd,
			    fixed->offset + (addr - call->start));

	if (ret < 0)
		return ret;
	fixed->done = addr + length;
	return 0;
}

static long fixed_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	struct fixed *fixed = (struct fixed *)call->args[0];
	long ret = altvm_mmap(window, addr, length, fixed->prot, fixed->flags,
			      fixed->fd, fixed->offset + (addr - call->start));

	if (ret < 0)
		return ret;
	fixed->done = addr + length;
	return 0;
}

static long mmap_fixed(uintptr_t addr, size_t length, struct fixed *fixed)
{
	struct range_call call = {
		.call = CALL_MMAP,
		.kernel = fixed_kernel,
		.altvm = fixed_altvm,
		.args = { (unsigned long)fixed },
	};
	long ret = range_apply(&call, addr, length);

	if (!ret)
		return (long)addr;
	/* Of two parts, the first was put where there had been nothing. */
	if (fixed->done && fixed->flags & MAP_FIXED_NOREPLACE)
		do_munmap(addr, fixed->done - addr);
	return ret;
}

/**
 * do_mmap() - mmap(2)
 * @addr: see there
 * @length: see there
 * @prot: see there
 * @flags: see there
 * @fd: see there
 * @offset: see there, in bytes
 *
 * Return: the address, or -errno.
 */
long do_mmap(uintptr_t addr, size_t length, int prot, int flags, int fd,
	     unsigned long offset)
{
	struct fixed fixed = {
		.prot = prot, .flags = flags, .fd = fd, .offset = offset
	};
	const struct window *window = window_get();

	if (!window)
		return sys_mmap(addr, length, prot, flags, fd, offset);
	/* Let no such descriptor be known to the program. */
	if (!(flags & MAP_ANONYMOUS) && fd_is_ours(fd))
		fixed.fd = fd = -1;
	if (flags & FIXED_FLAGS)
		return mmap_fixed(addr, length, &fixed);
	return mmap_anywhere(window, addr, length, prot, flags, fd, offset);
}

static long munmap_altvm(const struct range_call *call,
			 const struct window *window, uintptr_t addr,
			 size_t length)
{
	struct altvm_munmap arg = {
		.size = sizeof(arg),
		.addr = addr,
		.length = length,
	};

	(void)call;
	return window_ioctl(window, ALTVM_MUNMAP, &arg);
}

/**
 * do_munmap() - munmap(2)
 * @addr: see there
 * @length: see there
 *
 * Return: 0, or -errno.
 */
long do_munmap(uintptr_t addr, size_t length)
{
	struct range_call call = {
		.call = CALL_MUNMAP,
		.nr = SYS_munmap,
		.altvm = munmap_altvm,
	};

	return range_apply(&call, addr, length);
}

static long mprotect_altvm(const struct range_call *call,
			   const struct window *window, uintptr_t addr,
			   size_t length)
{
	struct altvm_mprotect arg = {
		.size = sizeof(arg),
		.prot = (__u32)call->args[0],
		.addr = addr,
		.length = length,
	};

	/* altvm has no protection keys, but for the one that all have. */
	if ((int)call->args[1] > 0)
		return -EINVAL;
	return window_ioctl(window, ALTVM_MPROTECT, &arg);
}

/**
 * do_pkey_mprotect() - pkey_mprotect(2)
 * @addr: see there
 * @length: see there
 * @prot: see there
 * @pkey: see there; -1 for mprotect(2)
 *
 * Return: 0, or -errno.
 */
long do_pkey_mprotect(uintptr_t addr, size_t length, int prot, int pkey)
{
	struct range_call call = {
		.call = CALL_MPROTECT,
		.nr = SYS_pkey_mprotect,
		.altvm = mprotect_altvm,
		.args = { (unsigned int)prot, (unsigned long)pkey },
	};

	return range_apply(&call, addr, length);
}

/**
 * do_pkey_alloc() - pkey_alloc(2)
 * @flags: see there
 * @rights: see there
 *
 * With altvm there are none, as on a CPU without them: who gets one would use it
 * for memory in the window.
 *
 * Return: a key, or -errno.
 */
long do_pkey_alloc(unsigned long flags, unsigned long rights)
{
	if (!window_get())
		return sys3(SYS_pkey_alloc, flags, rights, 0);
	return flags || rights & ~3UL ? -EINVAL : -ENOSPC;
}

/**
 * do_mprotect() - mprotect(2)
 * @addr: see there
 * @length: see there
 * @prot: see there
 *
 * Return: 0, or -errno.
 */
long do_mprotect(uintptr_t addr, size_t length, int prot)
{
	return do_pkey_mprotect(addr, length, prot, -1);
}

/**
 * do_mremap() - mremap(2)
 * @old: see there
 * @old_length: see there
 * @new_length: see there
 * @flags: see there
 * @new: see there
 *
 * Memory stays in its world.
 *
 * Return: the address, or -errno.
 */
long do_mremap(uintptr_t old, size_t old_length, size_t new_length, int flags,
	       uintptr_t new)
{
	const struct window *window = window_get();
	struct altvm_mremap arg = {
		.size = sizeof(arg),
		.flags = (__u32)flags,
		.old_addr = old,
		.old_length = old_length,
		.new_length = new_length,
		.new_addr = new,
	};
	long ret;

	if (!window_has(window, old)) {
		count(CALL_MREMAP, KERNEL);
		return sys6(SYS_mremap, old, old_length, new_length,
			    (unsigned long)flags, new, 0);
	}
	count(CALL_MREMAP, ALTVM);
	ret = window_ioctl(window, ALTVM_MREMAP, &arg);
	return ret < 0 ? ret : (long)arg.out_addr;
}

/**
 * do_brk() - brk, the system call
 * @addr: where the heap is to end
 *
 * The heap is altvm's.  An address outside of the window is meant for the
 * kernel's, which malloc() has.
 *
 * Return: where it ends, which is @addr if it could be moved.
 */
long do_brk(uintptr_t addr)
{
	const struct window *window = window_get();
	struct altvm_brk arg = { .size = sizeof(arg), .addr = addr };

	if (!window || !window->config.anon ||
	    (addr && !window_has(window, addr))) {
		count(CALL_BRK, KERNEL);
		return sys3(SYS_brk, addr, 0, 0);
	}
	count(CALL_BRK, ALTVM);
	if (window_ioctl(window, ALTVM_BRK, &arg) < 0)
		return sys3(SYS_brk, addr, 0, 0);
	return (long)arg.out_addr;
}
