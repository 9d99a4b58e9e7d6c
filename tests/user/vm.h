/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests see a VM system as a table of operations on a zone of addresses.
 * There are three instances: the kernel's own system calls (the oracle), altvm
 * through its ioctls, and altvm through libaltvm.  A behaviour test is written
 * once and runs on all of them.
 */
#ifndef TESTS_USER_VM_H
#define TESTS_USER_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/altvm.h>

#define PAGE 4096UL
#define MiB (1UL << 20)
#define GiB (1UL << 30)
#define TiB (1UL << 40)

#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define DEVICE "/dev/altvm"

struct altvm;
struct vm_ops;

/**
 * struct vm - an open VM system
 * @ops: which one
 * @base: where its zone starts
 * @len: the zone's length in bytes
 * @fd: of /dev/altvm; -1 for the native one
 * @lib: libaltvm's handle, if it goes through that
 */
struct vm {
	const struct vm_ops *ops;
	char *base;
	size_t len;
	int fd;
	struct altvm *lib;
};

/*
 * Each operation returns and sets errno as the system call of the same name.
 * open() gives a zone with nothing mapped in it, at @addr or anywhere if that
 * is NULL, whose areas may have up to the protection @prot.
 */
struct vm_ops {
	const char *name;
	int (*open)(struct vm *vm, void *addr, size_t len, int prot);
	void (*close)(struct vm *vm);
	void *(*mmap)(struct vm *vm, void *addr, size_t len, int prot,
		      int flags, int fd, off_t off);
	int (*munmap)(struct vm *vm, void *addr, size_t len);
	int (*mprotect)(struct vm *vm, void *addr, size_t len, int prot);
	int (*mincore)(struct vm *vm, void *addr, size_t len,
		       unsigned char *vec);
	int (*msync)(struct vm *vm, void *addr, size_t len, int flags);
	int (*madvise)(struct vm *vm, void *addr, size_t len, int advice);
	int (*mbind)(struct vm *vm, void *addr, size_t len, int mode,
		     const unsigned long *nodes, unsigned long maxnode,
		     unsigned int flags);
	int (*set_mempolicy)(struct vm *vm, int mode,
			     const unsigned long *nodes, unsigned long maxnode);
	int (*get_mempolicy)(struct vm *vm, int *mode, unsigned long *nodes,
			     unsigned long maxnode, void *addr,
			     unsigned int flags);
	void *(*mremap)(struct vm *vm, void *old, size_t old_len,
			size_t new_len, int flags, void *new_addr);
	/* As mlock2(2). */
	int (*mlock)(struct vm *vm, void *addr, size_t len, unsigned int flags);
	int (*munlock)(struct vm *vm, void *addr, size_t len);
	int (*mlockall)(struct vm *vm, int flags);
	int (*munlockall)(struct vm *vm);
	/* As the system call: where the break then is. */
	void *(*brk)(struct vm *vm, void *addr);
	ssize_t (*process_vm)(struct vm *vm, bool write, pid_t pid,
			      const struct iovec *local, unsigned long nr_local,
			      const struct iovec *remote,
			      unsigned long nr_remote, unsigned long flags);
	ssize_t (*process_madvise)(struct vm *vm, int pidfd,
				   const struct iovec *vec, size_t nr,
				   int advice, unsigned int flags);
	int (*process_mrelease)(struct vm *vm, int pidfd, unsigned int flags);
};

extern const struct vm_ops vm_native;
extern const struct vm_ops vm_ioctl;
extern const struct vm_ops vm_lib;

/* altvm's memory, and the kernel's own calls about other processes. */
extern const struct vm_ops vm_outside;

/* False if the device is not there and the run does not insist on it. */
bool vm_available(const struct vm_ops *ops);

static inline bool vm_is_native(const struct vm *vm)
{
	return vm->ops == &vm_native;
}

int vm_open(struct vm *vm, const struct vm_ops *ops, size_t len);
void vm_close(struct vm *vm);

/*
 * Leave the process no free address outside of @vm's zone (if that is the
 * native one), so that mmap(NULL) has to behave as in a window.
 */
void vm_enclose(struct vm *vm);

static inline void *vm_mmap(struct vm *vm, void *addr, size_t len, int prot,
			    int flags)
{
	return vm->ops->mmap(vm, addr, len, prot, flags, -1, 0);
}

static inline int vm_munmap(struct vm *vm, void *addr, size_t len)
{
	return vm->ops->munmap(vm, addr, len);
}

static inline int vm_mprotect(struct vm *vm, void *addr, size_t len, int prot)
{
	return vm->ops->mprotect(vm, addr, len, prot);
}

static inline int vm_mincore(struct vm *vm, void *addr, size_t len,
			     unsigned char *vec)
{
	return vm->ops->mincore(vm, addr, len, vec);
}

static inline int vm_msync(struct vm *vm, void *addr, size_t len, int flags)
{
	return vm->ops->msync(vm, addr, len, flags);
}

static inline int vm_madvise(struct vm *vm, void *addr, size_t len, int advice)
{
	return vm->ops->madvise(vm, addr, len, advice);
}

static inline void *vm_mremap(struct vm *vm, void *old, size_t old_len,
			      size_t new_len, int flags, void *new_addr)
{
	return vm->ops->mremap(vm, old, old_len, new_len, flags, new_addr);
}

static inline int vm_mlock(struct vm *vm, void *addr, size_t len)
{
	return vm->ops->mlock(vm, addr, len, 0);
}

static inline int vm_mlock2(struct vm *vm, void *addr, size_t len,
			    unsigned int flags)
{
	return vm->ops->mlock(vm, addr, len, flags);
}

static inline int vm_munlock(struct vm *vm, void *addr, size_t len)
{
	return vm->ops->munlock(vm, addr, len);
}

static inline int vm_mlockall(struct vm *vm, int flags)
{
	return vm->ops->mlockall(vm, flags);
}

static inline int vm_munlockall(struct vm *vm)
{
	return vm->ops->munlockall(vm);
}

static inline char *vm_brk(struct vm *vm, void *addr)
{
	return vm->ops->brk(vm, addr);
}

/*
 * Let the heap begin at the zone's start; what it had, nobody can move the end of
 * any more.  0, or -1 and errno.
 */
int vm_move_heap(struct vm *vm);

/* A mapping of a file; @flags without MAP_FIXED go anywhere in the zone. */
static inline char *vm_map_file(struct vm *vm, void *addr, size_t len, int prot,
				int flags, int fd, off_t off)
{
	return vm->ops->mmap(vm, addr, len, prot, flags, fd, off);
}

/* Where page @page of the zone is. */
static inline char *vm_page(struct vm *vm, size_t page)
{
	return vm->base + page * PAGE;
}

/* MAP_FIXED at page @page of the zone. */
static inline char *vm_map_at(struct vm *vm, size_t page, size_t pages,
			      int prot)
{
	return vm_mmap(vm, vm->base + page * PAGE, pages * PAGE, prot,
		       ANON | MAP_FIXED);
}

/* The zone's residency: 0, 1, or -1 for a hole. */
int vm_resident(struct vm *vm, void *addr);

/* How many areas are in the zone, as /proc shows them; -1 if it does not. */
long vm_areas(struct vm *vm);

/*
 * How many pages /proc shows as locked: in the zone, or natively in the process.
 * -1 if it does not.
 */
long vm_locked(struct vm *vm);

/* Raw ioctls on any file; 0, or -1 and errno. */
int altvm_ioctl_mmap(int fd, void **addr, size_t len, int prot, int flags);
int altvm_ioctl_query(int fd, struct altvm_query *q);

/* Maps a window; MAP_FAILED and errno. */
void *altvm_window_map(int fd, void *addr, size_t len, int prot);

/* The number after @key in one of /proc's "key: number" files; -1 if none. */
long proc_number(const char *path, const char *key);

/**
 * struct fault - how an access went
 * @sig: the signal, 0 if the access succeeded
 * @code: si_code
 * @addr: si_addr
 * @err: the page-fault error code of the signal frame
 * @cr2: the fault address of the signal frame
 * @trapno: the trap number of the signal frame
 */
struct fault {
	int sig;
	int code;
	uintptr_t addr;
	unsigned long err;
	unsigned long cr2;
	unsigned long trapno;
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

#define RET_INSN 0xc3

/*
 * Each returns the signal that the access raised, or 0, and if @f is not NULL
 * says more there.  The call goes to an address that holds RET_INSN.
 */
int probe_read(const void *addr, uint64_t *value, struct fault *f);
int probe_write(void *addr, uint64_t value, struct fault *f);
int probe_call(const void *addr, struct fault *f);

/*
 * As probe_call(), unless it would run away: what is readable has to be RET_INSN.
 * False if nothing was done.
 */
bool probe_call_return(const void *addr, struct fault *f);

/* Rewrites the byte at @addr with itself, atomically. */
int probe_rewrite(void *addr, struct fault *f);

/* Copies a byte to the one before it, with an instruction that reads and writes. */
int probe_copy(void *addr, struct fault *f);

int probe(void *addr, enum access access, struct fault *f);

/* A small deterministic random generator. */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *r);

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (rng_next(r) >> 16) % n;
}

/* The value of an environment variable, or @def. */
long env_number(const char *name, long def);

/*
 * How many rounds to do of what may be done @n times.  On a debug kernel, where
 * the module checks itself after each change, ALTVM_DIVIDE makes it fewer.
 */
static inline long scaled(long n)
{
	long divide = env_number("ALTVM_DIVIDE", 1);

	return n > divide ? n / divide : 1;
}

/*
 * Does PROT_EXEC alone forbid reading?  The kernel's own system does that with a
 * protection key where the CPU has them, altvm does not.
 */
bool has_execute_only(void);

static inline bool vm_is_execute_only(const struct vm *vm)
{
	return vm_is_native(vm) && has_execute_only();
}

/* A mapped page that is in no zone. */
static inline void *stack_page(void)
{
	return (void *)((uintptr_t)__builtin_frame_address(0) & -PAGE);
}

#endif /* TESTS_USER_VM_H */
