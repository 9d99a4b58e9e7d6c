// SPDX-License-Identifier: GPL-2.0
/* The three VM systems, and how the tests look at them: see vm.h. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "altvm.h"
#include "vm.h"

static int native_open(struct vm *vm, void *addr, size_t len, int prot)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			  MAP_FIXED_NOREPLACE;
	/* Where nothing else is put: what is outside must not get in. */
	char *at = addr ? addr : (char *)(16 * TiB);

	(void)prot;
	/* A huge page would make more resident than was touched. */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return -1;
	do {
		vm->base = mmap(at, len, PROT_NONE, flags, -1, 0);
		at += TiB;
	} while (vm->base == MAP_FAILED && errno == EEXIST && !addr);
	if (vm->base == MAP_FAILED)
		return -1;
	vm->len = len;
	vm->fd = -1;
	return munmap(vm->base, len);
}

static void native_close(struct vm *vm)
{
	munmap(vm->base, vm->len);
}

static void *native_mmap(struct vm *vm, void *addr, size_t len, int prot,
			 int flags, int fd, off_t off)
{
	(void)vm;
	return mmap(addr, len, prot, flags, fd, off);
}

static int native_munmap(struct vm *vm, void *addr, size_t len)
{
	(void)vm;
	return munmap(addr, len);
}

static int native_mprotect(struct vm *vm, void *addr, size_t len, int prot)
{
	(void)vm;
	return mprotect(addr, len, prot);
}

static int native_mincore(struct vm *vm, void *addr, size_t len,
			  unsigned char *vec)
{
	(void)vm;
	return mincore(addr, len, vec);
}

static int native_msync(struct vm *vm, void *addr, size_t len, int flags)
{
	(void)vm;
	return msync(addr, len, flags);
}

static int native_madvise(struct vm *vm, void *addr, size_t len, int advice)
{
	(void)vm;
	return madvise(addr, len, advice);
}

/* The C library's does not always hand the new address on. */
static void *native_mremap(struct vm *vm, void *old, size_t old_len,
			   size_t new_len, int flags, void *new_addr)
{
	(void)vm;
	return (void *)syscall(SYS_mremap, old, old_len, new_len,
			       (unsigned long)(unsigned int)flags, new_addr);
}

static int native_mbind(struct vm *vm, void *addr, size_t len, int mode,
			const unsigned long *nodes, unsigned long maxnode,
			unsigned int flags)
{
	(void)vm;
	return (int)syscall(SYS_mbind, addr, len, mode, nodes, maxnode, flags);
}

static int native_set_mempolicy(struct vm *vm, int mode,
				const unsigned long *nodes,
				unsigned long maxnode)
{
	(void)vm;
	return (int)syscall(SYS_set_mempolicy, mode, nodes, maxnode);
}

static int native_get_mempolicy(struct vm *vm, int *mode, unsigned long *nodes,
				unsigned long maxnode, void *addr,
				unsigned int flags)
{
	(void)vm;
	return (int)syscall(SYS_get_mempolicy, mode, nodes, maxnode, addr,
			    (unsigned long)flags);
}

static int native_mlock(struct vm *vm, void *addr, size_t len,
			unsigned int flags)
{
	(void)vm;
	return syscall(SYS_mlock2, addr, len, flags);
}

static int native_munlock(struct vm *vm, void *addr, size_t len)
{
	(void)vm;
	return munlock(addr, len);
}

static int native_mlockall(struct vm *vm, int flags)
{
	(void)vm;
	return mlockall(flags);
}

static int native_munlockall(struct vm *vm)
{
	(void)vm;
	return munlockall();
}

static void *native_brk(struct vm *vm, void *addr)
{
	(void)vm;
	return (void *)syscall(SYS_brk, addr);
}

/* The C library gets what it will need before; a compiler would leave that out. */
static void reserve_memory(size_t len)
{
	void *volatile p;

	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	/* Other threads take theirs from there, too. */
	mallopt(M_ARENA_MAX, 1);
	p = malloc(len);
	free(p);
}

int vm_move_heap(struct vm *vm)
{
	const unsigned long base = (unsigned long)vm->base;

	if (!vm_is_native(vm))
		return 0;
	reserve_memory(64 << 10);
	if (prctl(PR_SET_MM, PR_SET_MM_BRK, base, 0, 0))
		return -1;
	return prctl(PR_SET_MM, PR_SET_MM_START_BRK, base, 0, 0);
}

static ssize_t native_process_vm(struct vm *vm, bool write, pid_t pid,
				 const struct iovec *local,
				 unsigned long nr_local,
				 const struct iovec *remote,
				 unsigned long nr_remote, unsigned long flags)
{
	(void)vm;
	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv,
		       pid, local, nr_local, remote, nr_remote, flags);
}

static ssize_t native_process_madvise(struct vm *vm, int pidfd,
				      const struct iovec *vec, size_t nr,
				      int advice, unsigned int flags)
{
	(void)vm;
	return syscall(SYS_process_madvise, pidfd, vec, nr, advice, flags);
}

static int native_process_mrelease(struct vm *vm, int pidfd, unsigned int flags)
{
	(void)vm;
	return syscall(SYS_process_mrelease, pidfd, flags);
}

const struct vm_ops vm_native = {
	.name = "native",
	.open = native_open,
	.close = native_close,
	.mmap = native_mmap,
	.munmap = native_munmap,
	.mprotect = native_mprotect,
	.mincore = native_mincore,
	.msync = native_msync,
	.madvise = native_madvise,
	.mlock = native_mlock,
	.munlock = native_munlock,
	.mlockall = native_mlockall,
	.munlockall = native_munlockall,
	.brk = native_brk,
	.mbind = native_mbind,
	.set_mempolicy = native_set_mempolicy,
	.get_mempolicy = native_get_mempolicy,
	.mremap = native_mremap,
	.process_vm = native_process_vm,
	.process_madvise = native_process_madvise,
	.process_mrelease = native_process_mrelease,
};

static int lib_open(struct vm *vm, void *addr, size_t len, int prot)
{
	if (addr || prot != RWX) {
		errno = EINVAL;
		return -1;
	}
	vm->lib = altvm_open(len, 0);
	if (!vm->lib)
		return -1;
	vm->fd = altvm_fd(vm->lib);
	vm->base = altvm_window(vm->lib, &vm->len);
	return 0;
}

static void lib_close(struct vm *vm)
{
	altvm_close(vm->lib);
}

static void *lib_mmap(struct vm *vm, void *addr, size_t len, int prot,
		      int flags, int fd, off_t off)
{
	return altvm_mmap(vm->lib, addr, len, prot, flags, fd, off);
}

static int lib_munmap(struct vm *vm, void *addr, size_t len)
{
	return altvm_munmap(vm->lib, addr, len);
}

static int lib_mprotect(struct vm *vm, void *addr, size_t len, int prot)
{
	return altvm_mprotect(vm->lib, addr, len, prot);
}

static int lib_mincore(struct vm *vm, void *addr, size_t len,
		       unsigned char *vec)
{
	return altvm_mincore(vm->lib, addr, len, vec);
}

static int lib_msync(struct vm *vm, void *addr, size_t len, int flags)
{
	return altvm_msync(vm->lib, addr, len, flags);
}

static int lib_madvise(struct vm *vm, void *addr, size_t len, int advice)
{
	return altvm_madvise(vm->lib, addr, len, advice);
}

static void *lib_mremap(struct vm *vm, void *old, size_t old_len,
			size_t new_len, int flags, void *new_addr)
{
	return altvm_mremap(vm->lib, old, old_len, new_len, flags, new_addr);
}

static int lib_mbind(struct vm *vm, void *addr, size_t len, int mode,
		     const unsigned long *nodes, unsigned long maxnode,
		     unsigned int flags)
{
	return altvm_mbind(vm->lib, addr, len, mode, nodes, maxnode, flags);
}

static int lib_set_mempolicy(struct vm *vm, int mode,
			     const unsigned long *nodes, unsigned long maxnode)
{
	return altvm_set_mempolicy(vm->lib, mode, nodes, maxnode);
}

static int lib_get_mempolicy(struct vm *vm, int *mode, unsigned long *nodes,
			     unsigned long maxnode, void *addr,
			     unsigned int flags)
{
	return altvm_get_mempolicy(vm->lib, mode, nodes, maxnode, addr, flags);
}

static int lib_mlock(struct vm *vm, void *addr, size_t len, unsigned int flags)
{
	return flags ? altvm_mlock2(vm->lib, addr, len, flags) :
		       altvm_mlock(vm->lib, addr, len);
}

static int lib_munlock(struct vm *vm, void *addr, size_t len)
{
	return altvm_munlock(vm->lib, addr, len);
}

static int lib_mlockall(struct vm *vm, int flags)
{
	return altvm_mlockall(vm->lib, flags);
}

static int lib_munlockall(struct vm *vm)
{
	return altvm_munlockall(vm->lib);
}

static void *lib_brk(struct vm *vm, void *addr)
{
	return altvm_brk(vm->lib, addr) ? altvm_sbrk(vm->lib, 0) : addr;
}

static ssize_t lib_process_vm(struct vm *vm, bool write, pid_t pid,
			      const struct iovec *local, unsigned long nr_local,
			      const struct iovec *remote,
			      unsigned long nr_remote, unsigned long flags)
{
	if (write)
		return altvm_process_vm_writev(vm->lib, pid, local, nr_local,
					       remote, nr_remote, flags);
	return altvm_process_vm_readv(vm->lib, pid, local, nr_local, remote,
				      nr_remote, flags);
}

static ssize_t lib_process_madvise(struct vm *vm, int pidfd,
				   const struct iovec *vec, size_t nr,
				   int advice, unsigned int flags)
{
	return altvm_process_madvise(vm->lib, pidfd, vec, nr, advice, flags);
}

static int lib_process_mrelease(struct vm *vm, int pidfd, unsigned int flags)
{
	return altvm_process_mrelease(vm->lib, pidfd, flags);
}

const struct vm_ops vm_lib = {
	.name = "libaltvm",
	.open = lib_open,
	.close = lib_close,
	.mmap = lib_mmap,
	.munmap = lib_munmap,
	.mprotect = lib_mprotect,
	.mincore = lib_mincore,
	.msync = lib_msync,
	.madvise = lib_madvise,
	.mlock = lib_mlock,
	.munlock = lib_munlock,
	.mlockall = lib_mlockall,
	.munlockall = lib_munlockall,
	.brk = lib_brk,
	.mbind = lib_mbind,
	.set_mempolicy = lib_set_mempolicy,
	.get_mempolicy = lib_get_mempolicy,
	.mremap = lib_mremap,
	.process_vm = lib_process_vm,
	.process_madvise = lib_process_madvise,
	.process_mrelease = lib_process_mrelease,
};

void *altvm_window_map(int fd, void *addr, size_t len, int prot)
{
	int flags = MAP_SHARED | MAP_NORESERVE;

	if (addr)
		flags |= MAP_FIXED_NOREPLACE;
	return mmap(addr, len, prot, flags, fd, 0);
}

static int ioctl_open(struct vm *vm, void *addr, size_t len, int prot)
{
	int saved;

	vm->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (vm->fd < 0)
		return -1;
	vm->base = altvm_window_map(vm->fd, addr, len, prot);
	if (vm->base == MAP_FAILED) {
		saved = errno;
		close(vm->fd);
		errno = saved;
		return -1;
	}
	vm->len = len;
	return 0;
}

static void ioctl_close(struct vm *vm)
{
	munmap(vm->base, vm->len);
	close(vm->fd);
}

static void *ioctl_mmap(struct vm *vm, void *addr, size_t len, int prot,
			int flags, int fd, off_t off)
{
	struct altvm_mmap m = {
		.size = sizeof(m),
		.addr = (uintptr_t)addr,
		.length = len,
		.prot = prot,
		.flags = flags,
		.fd = fd,
		.offset = off,
	};

	if (ioctl(vm->fd, ALTVM_MMAP, &m))
		return MAP_FAILED;
	return (void *)(uintptr_t)m.out_addr;
}

static int ioctl_munmap(struct vm *vm, void *addr, size_t len)
{
	struct altvm_munmap m = {
		.size = sizeof(m),
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MUNMAP, &m);
}

static int ioctl_mprotect(struct vm *vm, void *addr, size_t len, int prot)
{
	struct altvm_mprotect m = {
		.size = sizeof(m),
		.prot = prot,
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MPROTECT, &m);
}

static int ioctl_mincore(struct vm *vm, void *addr, size_t len,
			 unsigned char *vec)
{
	struct altvm_mincore m = {
		.size = sizeof(m),
		.addr = (uintptr_t)addr,
		.length = len,
		.vec = (uintptr_t)vec,
	};

	return ioctl(vm->fd, ALTVM_MINCORE, &m);
}

static int ioctl_msync(struct vm *vm, void *addr, size_t len, int flags)
{
	struct altvm_msync m = {
		.size = sizeof(m),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MSYNC, &m);
}

static int ioctl_madvise(struct vm *vm, void *addr, size_t len, int advice)
{
	struct altvm_madvise m = {
		.size = sizeof(m),
		.advice = advice,
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MADVISE, &m);
}

static void *ioctl_mremap(struct vm *vm, void *old, size_t old_len,
			  size_t new_len, int flags, void *new_addr)
{
	struct altvm_mremap m = {
		.size = sizeof(m),
		.flags = flags,
		.old_addr = (uintptr_t)old,
		.old_length = old_len,
		.new_length = new_len,
		.new_addr = (uintptr_t)new_addr,
	};

	if (ioctl(vm->fd, ALTVM_MREMAP, &m))
		return MAP_FAILED;
	return (void *)(uintptr_t)m.out_addr;
}

static int ioctl_mbind(struct vm *vm, void *addr, size_t len, int mode,
		       const unsigned long *nodes, unsigned long maxnode,
		       unsigned int flags)
{
	struct altvm_mbind m = {
		.size = sizeof(m),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = len,
		.nodemask = (uintptr_t)nodes,
		.maxnode = maxnode,
		.mode = mode,
	};

	return ioctl(vm->fd, ALTVM_MBIND, &m);
}

static int ioctl_set_mempolicy(struct vm *vm, int mode,
			       const unsigned long *nodes,
			       unsigned long maxnode)
{
	struct altvm_set_mempolicy m = {
		.size = sizeof(m),
		.mode = mode,
		.nodemask = (uintptr_t)nodes,
		.maxnode = maxnode,
	};

	return ioctl(vm->fd, ALTVM_SET_MEMPOLICY, &m);
}

static int ioctl_get_mempolicy(struct vm *vm, int *mode, unsigned long *nodes,
			       unsigned long maxnode, void *addr,
			       unsigned int flags)
{
	struct altvm_get_mempolicy m = {
		.size = sizeof(m),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.nodemask = (uintptr_t)nodes,
		.maxnode = maxnode,
	};
	int ret = ioctl(vm->fd, ALTVM_GET_MEMPOLICY, &m);

	if (!ret && mode)
		*mode = m.out_mode;
	return ret;
}

static int ioctl_mlock(struct vm *vm, void *addr, size_t len,
		       unsigned int flags)
{
	struct altvm_mlock m = {
		.size = sizeof(m),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MLOCK, &m);
}

static int ioctl_munlock(struct vm *vm, void *addr, size_t len)
{
	struct altvm_munlock m = {
		.size = sizeof(m),
		.addr = (uintptr_t)addr,
		.length = len,
	};

	return ioctl(vm->fd, ALTVM_MUNLOCK, &m);
}

static int ioctl_mlockall(struct vm *vm, int flags)
{
	struct altvm_mlockall m = { .size = sizeof(m), .flags = flags };

	return ioctl(vm->fd, ALTVM_MLOCKALL, &m);
}

static int ioctl_munlockall(struct vm *vm)
{
	struct altvm_munlockall m = { .size = sizeof(m) };

	return ioctl(vm->fd, ALTVM_MUNLOCKALL, &m);
}

static void *ioctl_brk(struct vm *vm, void *addr)
{
	struct altvm_brk b = { .size = sizeof(b), .addr = (uintptr_t)addr };

	if (ioctl(vm->fd, ALTVM_BRK, &b))
		return NULL;
	return (void *)(uintptr_t)b.out_addr;
}

static ssize_t ioctl_process_vm(struct vm *vm, bool write, pid_t pid,
				const struct iovec *local,
				unsigned long nr_local,
				const struct iovec *remote,
				unsigned long nr_remote, unsigned long flags)
{
	struct altvm_process_vm p = {
		.size = sizeof(p),
		.flags = flags,
		.pid = pid,
		.local = (uintptr_t)local,
		.nr_local = nr_local,
		.remote = (uintptr_t)remote,
		.nr_remote = nr_remote,
	};

	if (ioctl(vm->fd,
		  write ? ALTVM_PROCESS_VM_WRITEV : ALTVM_PROCESS_VM_READV, &p))
		return -1;
	return p.out_bytes;
}

static ssize_t ioctl_process_madvise(struct vm *vm, int pidfd,
				     const struct iovec *vec, size_t nr,
				     int advice, unsigned int flags)
{
	struct altvm_process_madvise p = {
		.size = sizeof(p),
		.flags = flags,
		.pidfd = pidfd,
		.advice = advice,
		.vec = (uintptr_t)vec,
		.nr_vec = nr,
	};

	if (ioctl(vm->fd, ALTVM_PROCESS_MADVISE, &p))
		return -1;
	return p.out_bytes;
}

static int ioctl_process_mrelease(struct vm *vm, int pidfd, unsigned int flags)
{
	struct altvm_process_mrelease p = {
		.size = sizeof(p),
		.flags = flags,
		.pidfd = pidfd,
	};

	return ioctl(vm->fd, ALTVM_PROCESS_MRELEASE, &p);
}

const struct vm_ops vm_ioctl = {
	.name = "altvm",
	.open = ioctl_open,
	.close = ioctl_close,
	.mmap = ioctl_mmap,
	.munmap = ioctl_munmap,
	.mprotect = ioctl_mprotect,
	.mincore = ioctl_mincore,
	.msync = ioctl_msync,
	.madvise = ioctl_madvise,
	.mlock = ioctl_mlock,
	.munlock = ioctl_munlock,
	.mlockall = ioctl_mlockall,
	.munlockall = ioctl_munlockall,
	.brk = ioctl_brk,
	.mbind = ioctl_mbind,
	.set_mempolicy = ioctl_set_mempolicy,
	.get_mempolicy = ioctl_get_mempolicy,
	.mremap = ioctl_mremap,
	.process_vm = ioctl_process_vm,
	.process_madvise = ioctl_process_madvise,
	.process_mrelease = ioctl_process_mrelease,
};

const struct vm_ops vm_outside = {
	.name = "the kernel's calls on altvm's memory",
	.open = ioctl_open,
	.close = ioctl_close,
	.mmap = ioctl_mmap,
	.munmap = ioctl_munmap,
	.mprotect = ioctl_mprotect,
	.mincore = ioctl_mincore,
	.msync = ioctl_msync,
	.madvise = ioctl_madvise,
	.mbind = ioctl_mbind,
	.set_mempolicy = ioctl_set_mempolicy,
	.get_mempolicy = ioctl_get_mempolicy,
	.mremap = ioctl_mremap,
	.process_vm = native_process_vm,
	.process_madvise = native_process_madvise,
	.process_mrelease = native_process_mrelease,
};

int altvm_ioctl_mmap(int fd, void **addr, size_t len, int prot, int flags)
{
	struct vm vm = { .fd = fd };
	void *p = ioctl_mmap(&vm, *addr, len, prot, flags, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	*addr = p;
	return 0;
}

int altvm_ioctl_query(int fd, struct altvm_query *q)
{
	memset(q, 0, sizeof(*q));
	q->size = sizeof(*q);
	return ioctl(fd, ALTVM_QUERY, q);
}

bool vm_available(const struct vm_ops *ops)
{
	return ops == &vm_native || env_number("ALTVM_REQUIRED", 0) ||
	       access(DEVICE, F_OK) == 0;
}

int vm_open(struct vm *vm, const struct vm_ops *ops, size_t len)
{
	memset(vm, 0, sizeof(*vm));
	vm->ops = ops;
	vm->fd = -1;
	return ops->open(vm, NULL, len, RWX);
}

void vm_close(struct vm *vm)
{
	vm->ops->close(vm);
}

void vm_enclose(struct vm *vm)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	volatile char stack[256 << 10];
	size_t size;

	if (!vm_is_native(vm))
		return;
	/* The stack and the heap will not be able to grow any more. */
	for (size = 0; size < sizeof(stack); size += PAGE)
		stack[size] = 0;
	reserve_memory(4 << 20);

	/* The search is the kernel's own, so what it finds is what there is. */
	mmap(vm->base, vm->len, PROT_NONE, flags | MAP_FIXED, -1, 0);
	for (size = 1UL << 46; size >= PAGE; size /= 2)
		while (mmap(NULL, size, PROT_NONE, flags, -1, 0) != MAP_FAILED)
			;
	munmap(vm->base, vm->len);
}

int vm_resident(struct vm *vm, void *addr)
{
	unsigned char vec;

	if (vm_mincore(vm, addr, PAGE, &vec))
		return -1;
	return vec & 1;
}

/*
 * Both files have lines as in /proc/PID/maps.  In fdinfo they follow that of
 * their window, and windows of other processes may be listed too.
 */
long vm_areas(struct vm *vm)
{
	unsigned long start, end;
	char path[64], line[512];
	bool ours = vm_is_native(vm);
	long nr = 0;
	FILE *f;

	if (vm_is_native(vm))
		snprintf(path, sizeof(path), "/proc/self/maps");
	else
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "altvm-window:", 13))
			ours = strstr(line, " self");
		else if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && ours &&
			 start >= (uintptr_t)vm->base &&
			 end <= (uintptr_t)vm->base + vm->len)
			nr++;
	}
	fclose(f);
	return nr;
}

long vm_locked(struct vm *vm)
{
	char path[64], line[512];
	const char *kb;
	long nr = -1;
	FILE *f;

	if (vm_is_native(vm)) {
		nr = proc_number("/proc/self/status", "VmLck:");
		return nr < 0 ? nr : nr / (long)(PAGE / 1024);
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		kb = strstr(line, " locked ");
		if (!strncmp(line, "altvm-window:", 13) &&
		    strstr(line, " self") && kb)
			nr = atol(kb + 8) / (long)(PAGE / 1024);
	}
	fclose(f);
	return nr;
}

long proc_number(const char *path, const char *key)
{
	char line[256];
	long n = -1;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key))) {
			n = strtol(line + strlen(key), NULL, 0);
			break;
		}
	fclose(f);
	return n;
}

uint64_t rng_next(struct rng *r)
{
	/* splitmix64: any seed is as good as any other. */
	uint64_t z = (r->state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

long env_number(const char *name, long def)
{
	const char *s = getenv(name);

	return s ? strtol(s, NULL, 0) : def;
}

bool has_execute_only(void)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		return false;
	pkey_free(key);
	return true;
}
