// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* msync, mincore, madvise, and what is said of other processes' memory. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "preload.h"
#include "sys.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static long msync_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	struct altvm_msync arg = {
		.size = sizeof(arg),
		.flags = (__u32)call->args[0],
		.addr = addr,
		.length = length,
	};

	return window_ioctl(window, ALTVM_MSYNC, &arg);
}

/**
 * do_msync() - msync(2)
 * @addr: see there
 * @length: see there
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_msync(uintptr_t addr, size_t length, int flags)
{
	struct range_call call = {
		.call = CALL_MSYNC,
		.nr = SYS_msync,
		.altvm = msync_altvm,
		.goes_on = ENOMEM,
		.args = { (unsigned int)flags },
	};

	return range_apply(&call, addr, length);
}

/* Where in the vector the part that starts at @addr begins. */
static unsigned long vec_at(const struct range_call *call, uintptr_t addr)
{
	return call->args[0] + (addr - call->start) / PAGE_SIZE;
}

static long mincore_kernel(const struct range_call *call, uintptr_t addr,
			   size_t length)
{
	return sys3(SYS_mincore, addr, length, vec_at(call, addr));
}

static long mincore_altvm(const struct range_call *call,
			  const struct window *window, uintptr_t addr,
			  size_t length)
{
	struct altvm_mincore arg = {
		.size = sizeof(arg),
		.addr = addr,
		.length = length,
		.vec = vec_at(call, addr),
	};

	return window_ioctl(window, ALTVM_MINCORE, &arg);
}

/**
 * do_mincore() - mincore(2)
 * @addr: see there
 * @length: see there
 * @vec: see there
 *
 * Return: 0, or -errno.
 */
long do_mincore(uintptr_t addr, size_t length, uintptr_t vec)
{
	struct range_call call = {
		.call = CALL_MINCORE,
		.kernel = mincore_kernel,
		.altvm = mincore_altvm,
		.args = { vec },
	};

	return range_apply(&call, addr, length);
}

static long madvise_altvm(const struct range_call *call,
			  const struct window *window, uintptr_t addr,
			  size_t length)
{
	struct altvm_madvise arg = {
		.size = sizeof(arg),
		.advice = (__s32)call->args[0],
		.addr = addr,
		.length = length,
	};

	return window_ioctl(window, ALTVM_MADVISE, &arg);
}

/**
 * do_madvise() - madvise(2)
 * @addr: see there
 * @length: see there
 * @advice: see there
 *
 * Return: 0, or -errno.
 */
long do_madvise(uintptr_t addr, size_t length, int advice)
{
	bool stops = advice == MADV_POPULATE_READ ||
		     advice == MADV_POPULATE_WRITE;
	struct range_call call = {
		.call = CALL_MADVISE,
		.nr = SYS_madvise,
		.altvm = madvise_altvm,
		.goes_on = stops ? 0 : ENOMEM,
		.args = { (unsigned int)advice },
	};

	return range_apply(&call, addr, length);
}

static long process_madvise_altvm(const struct window *window, int pidfd,
				  const struct iovec *part, int advice)
{
	struct altvm_process_madvise arg = {
		.size = sizeof(arg),
		.pidfd = pidfd,
		.advice = advice,
		.vec = (uintptr_t)part,
		.nr_vec = 1,
	};
	long ret = window_ioctl(window, ALTVM_PROCESS_MADVISE, &arg);

	return ret < 0 ? ret : (long)arg.out_bytes;
}

/*
 * Only who has the pidfd can tell in which of the two worlds a part is.  But most have
 * their windows where this process has its own: there errors are altvm's, for the
 * kernel has none for what is not mapped in a window.
 */
static long process_madvise_part(const struct window *window, int pidfd,
				 const struct iovec *part, int advice)
{
	long ret = process_madvise_altvm(window, pidfd, part, advice);

	if (ret >= 0 ||
	    (ret != -ENXIO && window_has(window, (uintptr_t)part->iov_base))) {
		count(CALL_PROCESS_MADVISE, ALTVM);
		return ret;
	}
	count(CALL_PROCESS_MADVISE, KERNEL);
	return sys6(SYS_process_madvise, (unsigned long)pidfd,
		    (unsigned long)part, 1, (unsigned int)advice, 0, 0);
}

/* Read what the program points to as the kernel would: EFAULT, not SIGSEGV. */
static bool read_iovec(struct iovec *part, uintptr_t from)
{
	struct iovec local = { part, sizeof(*part) };
	struct iovec remote = { (void *)from, sizeof(*part) };

	return sys6(SYS_process_vm_readv, (unsigned long)sys_getpid(),
		    (unsigned long)&local, 1, (unsigned long)&remote, 1,
		    0) == sizeof(*part);
}

/**
 * do_process_madvise() - process_madvise(2)
 * @pidfd: see there
 * @vec: see there
 * @nr_vec: see there
 * @advice: see there
 * @flags: see there
 *
 * Return: how many bytes were advised, or -errno.
 */
long do_process_madvise(int pidfd, uintptr_t vec, size_t nr_vec, int advice,
			unsigned int flags)
{
	const struct window *window = window_get();
	struct iovec part;
	long ret, done = 0;
	size_t i;

	if (!window || flags || nr_vec > 1024 || !nr_vec)
		goto kernel;
	for (i = 0; i < nr_vec; i++) {
		if (!read_iovec(&part, vec + i * sizeof(part)))
			goto kernel;
	}
	for (i = 0; i < nr_vec; i++) {
		if (!read_iovec(&part, vec + i * sizeof(part)))
			return done ? done : -EFAULT;
		ret = process_madvise_part(window, pidfd, &part, advice);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		if ((size_t)ret < part.iov_len)
			return done;
	}
	return done;
kernel:
	count(CALL_PROCESS_MADVISE, KERNEL);
	return sys6(SYS_process_madvise, (unsigned long)pidfd, vec, nr_vec,
		    (unsigned int)advice, flags, 0);
}

/**
 * do_process_mrelease() - process_mrelease(2)
 * @pidfd: see there
 * @flags: see there
 *
 * Return: 0, or -errno.
 */
long do_process_mrelease(int pidfd, unsigned int flags)
{
	const struct window *window = window_get();
	struct altvm_process_mrelease arg = {
		.size = sizeof(arg),
		.flags = flags,
		.pidfd = pidfd,
	};
	long ret, ours = -ENXIO;

	count(CALL_MRELEASE, window ? ALTVM : KERNEL);
	/* The kernel's own leaves windows alone.  Its answer is what counts... */
	if (window)
		ours = window_ioctl(window, ALTVM_PROCESS_MRELEASE, &arg);
	ret = sys3(SYS_process_mrelease, (unsigned long)pidfd, flags, 0);
	/* ... unless the process has ended meanwhile, since that took so little. */
	return ret == -ESRCH && !ours ? 0 : ret;
}
