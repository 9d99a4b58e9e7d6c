// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the library asks of the system, and what it makes of the answer.  Linked
 * with -Wl,--wrap for each system call the library makes, so that it needs no
 * module and can fail each of them.  Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <altvm.h>

#include "tap.h"

#define FAKE_FD 1000
#define FAKE_WINDOW ((void *)0x700000000000)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

/* The system: how it answers, and what it was asked. */
static struct {
	int open_errno, mmap_errno, munmap_errno, close_errno, ioctl_errno;
	size_t room; /* the longest window that mmap makes */
	unsigned long long window_max, brk, brk_max;

	int opens, mmaps, munmaps, closes, ioctls;
	int open_flags, mmap_prot, mmap_flags;
	size_t mmap_length, munmap_length;
	unsigned long cmd;
	union {
		struct altvm_query query;
		struct altvm_mmap mmap;
		struct altvm_munmap munmap;
		struct altvm_mprotect mprotect;
		struct altvm_mincore mincore;
		struct altvm_msync msync;
		struct altvm_madvise madvise;
		struct altvm_mlock mlock;
		struct altvm_munlock munlock;
		struct altvm_mlockall mlockall;
		struct altvm_munlockall munlockall;
		struct altvm_brk brk;
		struct altvm_mremap mremap;
		struct altvm_process_vm process_vm;
		struct altvm_process_madvise process_madvise;
		struct altvm_process_mrelease process_mrelease;
		struct altvm_mbind mbind;
		struct altvm_set_mempolicy set_mempolicy;
		struct altvm_get_mempolicy get_mempolicy;
	} arg;
} sys;

static int fail(int err)
{
	errno = err;
	return -1;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	sys.opens++;
	sys.open_flags = flags;
	if (sys.open_errno)
		return fail(sys.open_errno);
	return strcmp(path, "/dev/altvm") ? fail(ENOENT) : FAKE_FD;
}

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset)
{
	sys.mmaps++;
	sys.mmap_length = length;
	sys.mmap_prot = prot;
	sys.mmap_flags = flags;
	if (addr || fd != FAKE_FD || offset)
		fail(EINVAL);
	else if (sys.mmap_errno)
		fail(sys.mmap_errno);
	else if (length > sys.room)
		fail(ENOMEM);
	else
		return FAKE_WINDOW;
	return MAP_FAILED;
}

int __wrap_munmap(void *addr, size_t length);
int __wrap_munmap(void *addr, size_t length)
{
	sys.munmaps++;
	sys.munmap_length = length;
	if (sys.munmap_errno)
		return fail(sys.munmap_errno);
	return addr == FAKE_WINDOW ? 0 : fail(EINVAL);
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	sys.closes++;
	if (sys.close_errno)
		return fail(sys.close_errno);
	return fd == FAKE_FD ? 0 : fail(EBADF);
}

static size_t size_of_arg(unsigned long cmd)
{
	switch (cmd) {
	case ALTVM_QUERY:
		return sizeof(struct altvm_query);
	case ALTVM_MMAP:
		return sizeof(struct altvm_mmap);
	case ALTVM_MUNMAP:
		return sizeof(struct altvm_munmap);
	case ALTVM_MPROTECT:
		return sizeof(struct altvm_mprotect);
	case ALTVM_MINCORE:
		return sizeof(struct altvm_mincore);
	case ALTVM_MSYNC:
		return sizeof(struct altvm_msync);
	case ALTVM_MADVISE:
		return sizeof(struct altvm_madvise);
	case ALTVM_MLOCK:
		return sizeof(struct altvm_mlock);
	case ALTVM_MUNLOCK:
		return sizeof(struct altvm_munlock);
	case ALTVM_MLOCKALL:
		return sizeof(struct altvm_mlockall);
	case ALTVM_MUNLOCKALL:
		return sizeof(struct altvm_munlockall);
	case ALTVM_BRK:
		return sizeof(struct altvm_brk);
	case ALTVM_MREMAP:
		return sizeof(struct altvm_mremap);
	case ALTVM_PROCESS_VM_READV:
	case ALTVM_PROCESS_VM_WRITEV:
		return sizeof(struct altvm_process_vm);
	case ALTVM_PROCESS_MADVISE:
		return sizeof(struct altvm_process_madvise);
	case ALTVM_PROCESS_MRELEASE:
		return sizeof(struct altvm_process_mrelease);
	case ALTVM_MBIND:
		return sizeof(struct altvm_mbind);
	case ALTVM_SET_MEMPOLICY:
		return sizeof(struct altvm_set_mempolicy);
	case ALTVM_GET_MEMPOLICY:
		return sizeof(struct altvm_get_mempolicy);
	}
	return 0;
}

/* As the system call: it moves unless it may not. */
static void answer_brk(struct altvm_brk *arg)
{
	if (arg->addr >= (uintptr_t)FAKE_WINDOW && arg->addr <= sys.brk_max)
		sys.brk = arg->addr;
	arg->out_addr = sys.brk;
}

static void answer(unsigned long cmd, void *arg)
{
	if (cmd == ALTVM_QUERY)
		((struct altvm_query *)arg)->window_max = sys.window_max;
	if (cmd == ALTVM_MMAP)
		((struct altvm_mmap *)arg)->out_addr = 0x700000123000;
	if (cmd == ALTVM_BRK)
		answer_brk(arg);
	if (cmd == ALTVM_MREMAP)
		((struct altvm_mremap *)arg)->out_addr = 0x700000456000;
	if (cmd == ALTVM_PROCESS_VM_READV || cmd == ALTVM_PROCESS_VM_WRITEV)
		((struct altvm_process_vm *)arg)->out_bytes = 0x123456789a;
	if (cmd == ALTVM_PROCESS_MADVISE)
		((struct altvm_process_madvise *)arg)->out_bytes = 0x98765432;
	if (cmd == ALTVM_GET_MEMPOLICY)
		((struct altvm_get_mempolicy *)arg)->out_mode = 0x8002;
}

int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	sys.ioctls++;
	sys.cmd = cmd;
	memcpy(&sys.arg, arg, size_of_arg(cmd));
	if (fd != FAKE_FD)
		return fail(EBADF);
	if (sys.ioctl_errno)
		return fail(sys.ioctl_errno);
	answer(cmd, arg);
	return 0;
}

static void reset(void)
{
	memset(&sys, 0, sizeof(sys));
	sys.room = TIB;
	sys.window_max = TIB;
	sys.brk = (uintptr_t)FAKE_WINDOW + 100;
	sys.brk_max = sys.brk + 1000;
	errno = 0;
}

static bool failed_with(int err, const void *result, const void *failure)
{
	return result == failure && errno == err;
}

static size_t window_length(struct altvm *vm)
{
	size_t length;

	altvm_window(vm, &length);
	return length;
}

static void test_open(void)
{
	struct altvm *vm;

	reset();
	errno = 77;
	vm = altvm_open(64 << 20, 0);
	ok(vm && sys.opens == 1 && sys.mmaps == 1, "a window opens");
	ok(errno == 77, "success leaves errno alone");
	ok(sys.open_flags == (O_RDWR | O_CLOEXEC), "O_RDWR | O_CLOEXEC");
	ok(sys.mmap_flags == (MAP_SHARED | MAP_NORESERVE), "mapped shared");
	ok(sys.mmap_prot == (PROT_READ | PROT_WRITE | PROT_EXEC), "rwx");
	ok(altvm_fd(vm) == FAKE_FD, "altvm_fd");
	ok(altvm_window(vm, NULL) == FAKE_WINDOW, "altvm_window");
	ok(window_length(vm) == 64 << 20, "its length");
	ok(altvm_close(vm) == 0, "altvm_close");
	ok(sys.munmaps == 1 && sys.munmap_length == 64 << 20, "unmaps");
	ok(sys.closes == 1, "and closes");
	ok(altvm_close(NULL) == 0 && sys.closes == 1, "altvm_close(NULL)");
}

static void test_open_flags(void)
{
	struct altvm *vm;

	reset();
	vm = altvm_open(4096, ALTVM_OPEN_NOEXEC);
	ok(vm && sys.mmap_prot == (PROT_READ | PROT_WRITE), "NOEXEC");
	altvm_close(vm);
	reset();
	vm = altvm_open(4096, 0x80000000);
	ok(failed_with(EINVAL, vm, NULL) && !sys.opens, "unknown flag: EINVAL");
}

static void test_open_sizes(void)
{
	struct altvm *vm;

	reset();
	vm = altvm_open(4097, 0);
	ok(vm && window_length(vm) == 8192, "the size is rounded up to pages");
	altvm_close(vm);
	reset();
	vm = altvm_open(SIZE_MAX, 0);
	ok(failed_with(ENOMEM, vm, NULL) && sys.closes == 1,
	   "a size that cannot be rounded: ENOMEM");
	reset();
	sys.room = GIB;
	vm = altvm_open(2 * GIB, 0);
	ok(failed_with(ENOMEM, vm, NULL) && sys.mmaps == 1,
	   "a size asked for is not made smaller");
}

static void test_default_size(void)
{
	struct altvm *vm;

	reset();
	vm = altvm_open(0, 0);
	ok(vm && window_length(vm) == TIB, "size 0: a terabyte");
	altvm_close(vm);
	reset();
	errno = 77;
	sys.room = 100 * GIB;
	vm = altvm_open(0, 0);
	ok(vm && window_length(vm) == 64 * GIB, "or what fits");
	altvm_close(vm);
	reset();
	sys.window_max = 3 * GIB;
	vm = altvm_open(0, 0);
	ok(vm && window_length(vm) == 2 * GIB && sys.mmaps == 1,
	   "or what the module takes");
	altvm_close(vm);
	reset();
	sys.room = GIB - 1;
	vm = altvm_open(0, 0);
	ok(failed_with(ENOMEM, vm, NULL) && sys.closes == 1,
	   "less than 1 GiB: ENOMEM");
}

static void test_open_fails(void)
{
	struct altvm *vm;

	reset();
	sys.open_errno = EACCES;
	vm = altvm_open(0, 0);
	ok(failed_with(EACCES, vm, NULL) && !sys.closes, "open fails");
	reset();
	sys.mmap_errno = EPERM;
	sys.close_errno = EIO;
	vm = altvm_open(0, 0);
	ok(failed_with(EPERM, vm, NULL) && sys.mmaps == 1 && sys.closes == 1,
	   "mmap fails: closed, errno is that of mmap");
	reset();
	sys.ioctl_errno = ENOTTY;
	vm = altvm_open(0, 0);
	ok(failed_with(ENOTTY, vm, NULL) && !sys.mmaps && sys.closes == 1,
	   "not an altvm device: closed, ENOTTY");
}

static void test_close_fails(void)
{
	reset();
	sys.munmap_errno = EINVAL;
	sys.close_errno = EIO;
	ok(altvm_close(altvm_open(4096, 0)) == -1 && errno == EINVAL,
	   "munmap fails: its errno is told");
	ok(sys.closes == 1, "the file is closed all the same");
	reset();
	sys.close_errno = EIO;
	ok(altvm_close(altvm_open(4096, 0)) == -1 && errno == EIO,
	   "close fails: its errno is told");
}

static void test_mmap(struct altvm *vm)
{
	const struct altvm_mmap want = {
		.size = sizeof(want),
		.addr = 0x700000001000,
		.length = 0x123456789abc,
		.prot = PROT_READ,
		.flags = MAP_PRIVATE | MAP_FIXED,
		.fd = -3,
		.offset = 0xfffffffffffff000,
	};
	void *p;

	reset();
	errno = 77;
	p = altvm_mmap(vm, (void *)0x700000001000, 0x123456789abc, PROT_READ,
		       MAP_PRIVATE | MAP_FIXED, -3, -4096);
	ok(p == (void *)0x700000123000 && errno == 77, "altvm_mmap");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MMAP, "is one ioctl");
	ok(!memcmp(&sys.arg.mmap, &want, sizeof(want)), "with its arguments");
	reset();
	sys.ioctl_errno = EEXIST;
	p = altvm_mmap(vm, NULL, 4096, 0, 0, -1, 0);
	ok(failed_with(EEXIST, p, MAP_FAILED), "MAP_FAILED and errno");
}

static void test_munmap(struct altvm *vm)
{
	const struct altvm_munmap want = {
		.size = sizeof(want),
		.addr = 0x1000,
		.length = 5,
	};

	reset();
	ok(altvm_munmap(vm, (void *)0x1000, 5) == 0, "altvm_munmap");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MUNMAP, "is one ioctl");
	ok(!memcmp(&sys.arg.munmap, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EINVAL;
	ok(altvm_munmap(vm, NULL, 0) == -1 && errno == EINVAL, "its errno");
}

static void test_mprotect(struct altvm *vm)
{
	const struct altvm_mprotect want = {
		.size = sizeof(want),
		.prot = PROT_READ | PROT_EXEC,
		.addr = 0x1000,
		.length = 5,
	};

	reset();
	ok(altvm_mprotect(vm, (void *)0x1000, 5, PROT_READ | PROT_EXEC) == 0,
	   "altvm_mprotect");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MPROTECT, "is one ioctl");
	ok(!memcmp(&sys.arg.mprotect, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EACCES;
	ok(altvm_mprotect(vm, NULL, 0, 0) == -1 && errno == EACCES,
	   "its errno");
}

static void test_mincore(struct altvm *vm)
{
	unsigned char vec[2];
	const struct altvm_mincore want = {
		.size = sizeof(want),
		.addr = 0x1000,
		.length = 8192,
		.vec = (uintptr_t)vec,
	};

	reset();
	ok(altvm_mincore(vm, (void *)0x1000, 8192, vec) == 0, "altvm_mincore");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MINCORE, "is one ioctl");
	ok(!memcmp(&sys.arg.mincore, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = ENOMEM;
	ok(altvm_mincore(vm, NULL, 1, vec) == -1 && errno == ENOMEM,
	   "its errno");
}

static void test_msync(struct altvm *vm)
{
	const struct altvm_msync want = {
		.size = sizeof(want),
		.flags = MS_SYNC | MS_INVALIDATE,
		.addr = 0x1000,
		.length = 5,
	};

	reset();
	errno = 77;
	ok(altvm_msync(vm, (void *)0x1000, 5, MS_SYNC | MS_INVALIDATE) == 0,
	   "altvm_msync");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MSYNC, "is one ioctl");
	ok(!memcmp(&sys.arg.msync, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EIO;
	ok(altvm_msync(vm, NULL, 0, 0) == -1 && errno == EIO, "its errno");
}

static void test_madvise(struct altvm *vm)
{
	const struct altvm_madvise want = {
		.size = sizeof(want),
		.advice = MADV_DONTFORK,
		.addr = 0x1000,
		.length = 5,
	};

	reset();
	errno = 77;
	ok(altvm_madvise(vm, (void *)0x1000, 5, MADV_DONTFORK) == 0,
	   "altvm_madvise");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MADVISE, "is one ioctl");
	ok(!memcmp(&sys.arg.madvise, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EINVAL;
	ok(altvm_madvise(vm, NULL, 0, -1) == -1 && errno == EINVAL,
	   "its errno");
	ok(sys.arg.madvise.advice == -1, "a negative advice is handed on");
}

static void test_mlock(struct altvm *vm)
{
	struct altvm_mlock want = {
		.size = sizeof(want),
		.addr = 0x1001,
		.length = 5,
	};

	reset();
	errno = 77;
	ok(altvm_mlock(vm, (void *)0x1001, 5) == 0, "altvm_mlock");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MLOCK, "is one ioctl");
	ok(!memcmp(&sys.arg.mlock, &want, sizeof(want)), "its arguments");
	ok(altvm_mlock2(vm, (void *)0x1001, 5, 9) == 0, "altvm_mlock2");
	want.flags = 9;
	ok(!memcmp(&sys.arg.mlock, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EPERM;
	ok(altvm_mlock(vm, NULL, 0) == -1 && errno == EPERM, "its errno");
}

static void test_munlock(struct altvm *vm)
{
	const struct altvm_munlock want = {
		.size = sizeof(want),
		.addr = 0x1001,
		.length = 5,
	};

	reset();
	ok(altvm_munlock(vm, (void *)0x1001, 5) == 0, "altvm_munlock");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MUNLOCK, "is one ioctl");
	ok(!memcmp(&sys.arg.munlock, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = ENOMEM;
	ok(altvm_munlock(vm, NULL, 0) == -1 && errno == ENOMEM, "its errno");
}

static void test_mlockall(struct altvm *vm)
{
	reset();
	ok(altvm_mlockall(vm, MCL_FUTURE) == 0, "altvm_mlockall");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MLOCKALL, "is one ioctl");
	ok(sys.arg.mlockall.size == 8 && sys.arg.mlockall.flags == MCL_FUTURE,
	   "its arguments");
	ok(altvm_munlockall(vm) == 0, "altvm_munlockall");
	ok(sys.ioctls == 2 && sys.cmd == ALTVM_MUNLOCKALL, "is one ioctl");
	ok(sys.arg.munlockall.size == 8 && !sys.arg.munlockall.__reserved,
	   "its arguments");
	sys.ioctl_errno = EPERM;
	ok(altvm_mlockall(vm, 0) == -1 && errno == EPERM, "its errno");
	errno = 0;
	ok(altvm_munlockall(vm) == -1 && errno == EPERM, "its errno");
}

static void test_brk(struct altvm *vm)
{
	char *start = FAKE_WINDOW;

	reset();
	errno = 77;
	ok(altvm_brk(vm, start + 200) == 0 && errno == 77, "altvm_brk");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_BRK, "is one ioctl");
	ok(sys.brk == (uintptr_t)start + 200, "its argument");
	ok(altvm_brk(vm, start + TIB) == -1 && errno == ENOMEM,
	   "ENOMEM where the break does not move");
	ok(altvm_brk(vm, NULL) == -1, "below the window too");
	errno = 77;
	ok(altvm_sbrk(vm, 0) == start + 200 && sys.ioctls == 4,
	   "altvm_sbrk asks");
	ok(altvm_sbrk(vm, 10) == start + 200, "tells the old break");
	ok(sys.brk == (uintptr_t)start + 210, "and moves it up");
	ok(altvm_sbrk(vm, -20) == start + 210, "and down");
	ok(sys.brk == (uintptr_t)start + 190 && errno == 77, "by as much");
	ok(altvm_sbrk(vm, 2000) == (void *)-1 && errno == ENOMEM,
	   "ENOMEM where it does not move");
	errno = 0;
	ok(altvm_sbrk(vm, INTPTR_MIN) == (void *)-1 && errno == ENOMEM,
	   "ENOMEM where it wraps");
	sys.ioctl_errno = ENXIO;
	ok(altvm_brk(vm, start) == -1 && errno == ENXIO, "its errno");
	errno = 0;
	ok(altvm_sbrk(vm, 1) == (void *)-1 && errno == ENXIO, "its errno");
}

static void test_mremap(struct altvm *vm)
{
	const struct altvm_mremap want = {
		.size = sizeof(want),
		.flags = 3,
		.old_addr = 0x1000,
		.old_length = 5,
		.new_length = 0x123456789abc,
		.new_addr = 0x700000001000,
	};
	void *p;

	reset();
	errno = 77;
	p = altvm_mremap(vm, (void *)0x1000, 5, 0x123456789abc, 3,
			 (void *)0x700000001000);
	ok(p == (void *)0x700000456000 && errno == 77, "altvm_mremap");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MREMAP, "is one ioctl");
	ok(!memcmp(&sys.arg.mremap, &want, sizeof(want)), "its arguments");
	reset();
	sys.ioctl_errno = EFAULT;
	p = altvm_mremap(vm, NULL, 0, 0, 0, NULL);
	ok(failed_with(EFAULT, p, MAP_FAILED), "MAP_FAILED and errno");
}

static void test_mbind(struct altvm *vm)
{
	const unsigned long nodes = 1;
	const struct altvm_mbind want = {
		.size = sizeof(want),
		.flags = 2,
		.addr = 0x1000,
		.length = 5,
		.nodemask = (uintptr_t)&nodes,
		.maxnode = 0x123456789a,
		.mode = 0x8002,
	};

	reset();
	errno = 77;
	ok(altvm_mbind(vm, (void *)0x1000, 5, 0x8002, &nodes, 0x123456789a,
		       2) == 0,
	   "altvm_mbind");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_MBIND, "is one ioctl");
	ok(!memcmp(&sys.arg.mbind, &want, sizeof(want)), "its arguments");
	sys.ioctl_errno = EIO;
	ok(altvm_mbind(vm, NULL, 0, -1, NULL, 0, 0) == -1 && errno == EIO,
	   "its errno");
}

static void test_set_mempolicy(struct altvm *vm)
{
	const unsigned long nodes = 1;
	const struct altvm_set_mempolicy want = {
		.size = sizeof(want),
		.mode = 0x8002,
		.nodemask = (uintptr_t)&nodes,
		.maxnode = 0x123456789a,
	};

	reset();
	errno = 77;
	ok(altvm_set_mempolicy(vm, 0x8002, &nodes, 0x123456789a) == 0,
	   "altvm_set_mempolicy");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_SET_MEMPOLICY, "is one ioctl");
	ok(!memcmp(&sys.arg.set_mempolicy, &want, sizeof(want)),
	   "its arguments");
	sys.ioctl_errno = EINVAL;
	ok(altvm_set_mempolicy(vm, -1, NULL, 0) == -1 && errno == EINVAL,
	   "its errno");
}

static void test_get_mempolicy(struct altvm *vm)
{
	unsigned long nodes;
	struct altvm_get_mempolicy want = {
		.size = sizeof(want),
		.flags = 3,
		.addr = 0x1001,
		.nodemask = (uintptr_t)&nodes,
		.maxnode = 0x123456789a,
	};
	int mode = 5;

	reset();
	errno = 77;
	ok(altvm_get_mempolicy(vm, &mode, &nodes, 0x123456789a, (void *)0x1001,
			       3) == 0,
	   "altvm_get_mempolicy");
	ok(mode == 0x8002, "the mode");
	ok(errno == 77, "leaves errno alone");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_GET_MEMPOLICY, "is one ioctl");
	sys.arg.get_mempolicy.out_mode = 0;
	ok(!memcmp(&sys.arg.get_mempolicy, &want, sizeof(want)),
	   "its arguments");
	ok(altvm_get_mempolicy(vm, NULL, NULL, 0, NULL, 0) == 0,
	   "may have nowhere to answer");
	mode = 5;
	sys.ioctl_errno = EFAULT;
	ok(altvm_get_mempolicy(vm, &mode, NULL, 0, NULL, 0) == -1, "fails");
	ok(errno == EFAULT && mode == 5, "its errno");
}

static void test_process_vm(struct altvm *vm)
{
	const struct iovec vec[2] = {};
	const struct altvm_process_vm want = {
		.size = sizeof(want),
		.flags = ALTVM_PROCESS_PIDFD,
		.pid = -5,
		.local = (uintptr_t)vec,
		.nr_local = 0x100000001,
		.remote = (uintptr_t)(vec + 1),
		.nr_remote = 0x200000002,
	};
	ssize_t n;

	reset();
	errno = 77;
	n = altvm_process_vm_readv(vm, -5, vec, 0x100000001, vec + 1,
				   0x200000002, 1);
	ok(n == 0x123456789a && errno == 77, "altvm_process_vm_readv");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_PROCESS_VM_READV,
	   "is one ioctl");
	ok(!memcmp(&sys.arg.process_vm, &want, sizeof(want)), "its arguments");
	n = altvm_process_vm_writev(vm, -5, vec, 0x100000001, vec + 1,
				    0x200000002, 1);
	ok(n == 0x123456789a && errno == 77, "altvm_process_vm_writev");
	ok(sys.ioctls == 2 && sys.cmd == ALTVM_PROCESS_VM_WRITEV,
	   "is one ioctl");
	ok(!memcmp(&sys.arg.process_vm, &want, sizeof(want)), "its arguments");
	altvm_process_vm_readv(vm, 1, vec, 1, vec, 1, 1UL << 32);
	ok(sys.arg.process_vm.flags, "a flag too high is not lost");
	sys.ioctl_errno = EPERM;
	n = altvm_process_vm_readv(vm, 1, NULL, 0, NULL, 0, 0);
	ok(n == -1 && errno == EPERM, "its errno");
	sys.ioctl_errno = ESRCH;
	n = altvm_process_vm_writev(vm, 1, NULL, 0, NULL, 0, 0);
	ok(n == -1 && errno == ESRCH, "its errno");
}

static void test_process_madvise(struct altvm *vm)
{
	const struct iovec vec[2] = {};
	const struct altvm_process_madvise want = {
		.size = sizeof(want),
		.flags = 7,
		.pidfd = -5,
		.advice = -6,
		.vec = (uintptr_t)vec,
		.nr_vec = 0x100000001,
	};
	ssize_t n;

	reset();
	errno = 77;
	n = altvm_process_madvise(vm, -5, vec, 0x100000001, -6, 7);
	ok(n == 0x98765432 && errno == 77, "altvm_process_madvise");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_PROCESS_MADVISE, "is one ioctl");
	ok(!memcmp(&sys.arg.process_madvise, &want, sizeof(want)),
	   "its arguments");
	sys.ioctl_errno = ENXIO;
	ok(altvm_process_madvise(vm, 1, NULL, 0, 0, 0) == -1 && errno == ENXIO,
	   "its errno");
}

static void test_process_mrelease(struct altvm *vm)
{
	const struct altvm_process_mrelease want = {
		.size = sizeof(want),
		.flags = 7,
		.pidfd = -5,
	};

	reset();
	errno = 77;
	ok(altvm_process_mrelease(vm, -5, 7) == 0 && errno == 77,
	   "altvm_process_mrelease");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_PROCESS_MRELEASE,
	   "is one ioctl");
	ok(!memcmp(&sys.arg.process_mrelease, &want, sizeof(want)),
	   "its arguments");
	sys.ioctl_errno = EINVAL;
	ok(altvm_process_mrelease(vm, 1, 0) == -1 && errno == EINVAL,
	   "its errno");
}

static void test_query(struct altvm *vm)
{
	struct altvm_query query = { .size = 64 };

	reset();
	ok(altvm_query(vm, &query) == 0 && query.window_max == TIB,
	   "altvm_query");
	ok(sys.ioctls == 1 && sys.cmd == ALTVM_QUERY, "is one ioctl");
	ok(sys.arg.query.size == 64, "and hands the caller's size on");
	sys.ioctl_errno = E2BIG;
	ok(altvm_query(vm, &query) == -1 && errno == E2BIG, "its errno");
}

int main(void)
{
	struct altvm *vm;

	test_open();
	test_open_flags();
	test_open_sizes();
	test_default_size();
	test_open_fails();
	test_close_fails();

	reset();
	vm = altvm_open(4096, 0);
	test_mmap(vm);
	test_munmap(vm);
	test_mprotect(vm);
	test_mincore(vm);
	test_msync(vm);
	test_madvise(vm);
	test_mlock(vm);
	test_munlock(vm);
	test_mlockall(vm);
	test_brk(vm);
	test_mremap(vm);
	test_mbind(vm);
	test_set_mempolicy(vm);
	test_get_mempolicy(vm);
	test_process_vm(vm);
	test_process_madvise(vm);
	test_process_mrelease(vm);
	test_query(vm);
	altvm_close(vm);
	return tap_end();
}
