/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of libaltvm-preload share.  All functions but those that have a
 * name of the C library's return a result or -errno, as system calls do, and
 * may be called in signal handlers: no allocation, no locks, no C library.
 */
#ifndef _PRELOAD_H
#define _PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/altvm.h>

#define PAGE_SIZE 4096UL

/* What programs see; all else is hidden, see libaltvm-preload.map. */
#define EXPORT __attribute__((visibility("default")))

/**
 * struct config - what the environment asks for
 * @anon: mappings without a file go to altvm (ALTVM_ONLY)
 * @file: mappings of files do (ALTVM_ONLY)
 * @native: without altvm, go on with the kernel alone (ALTVM_FALLBACK)
 * @stats: tell at exit what was called (ALTVM_STATS): a file name, "1" for standard
 *	error, or NULL
 * @proc: show areas in files of /proc/self (ALTVM_PROC)
 * @min_size: mappings of fewer bytes stay the kernel's (ALTVM_MIN_SIZE)
 * @window_size: in bytes, or 0 for the usual size (ALTVM_WINDOW_SIZE)
 */
struct config {
	bool anon, file, native, proc;
	size_t min_size, window_size;
	const char *stats;
};

/**
 * struct window - the window of this process
 * @start: its first byte
 * @end: behind its last byte
 * @fd: the open /dev/altvm; changes when the program wants that number
 * @config: what the environment says
 *
 * Inherited by fork, together with the file and the window itself.  All but @fd is
 * constant once window_get() returns it.
 */
struct window {
	uintptr_t start, end;
	int fd;
	struct config config;
};

/* config.c: false, with a message told, if it makes no sense. */
bool config_read(struct config *config, char *const *env);

/* message.c: @parts up to NULL, on standard error or elsewhere. */
void message_to(int fd, const char *const *parts);
void message(const char *const *parts);
void message_errno(const char *what, long err);
size_t format_number(char *text, unsigned long number, unsigned int base);

/* init.c: the window, or NULL if this process has none; makes it if need be. */
const struct window *window_get(void);
long window_ioctl(const struct window *window, unsigned long cmd, void *arg);
void window_fd_changed(int fd);

static inline bool window_has(const struct window *window, uintptr_t addr)
{
	return window && addr >= window->start && addr < window->end;
}

/* own.c: what a forked child does not inherit. */
enum call {
	CALL_MMAP,
	CALL_MUNMAP,
	CALL_MPROTECT,
	CALL_MREMAP,
	CALL_MSYNC,
	CALL_MINCORE,
	CALL_MADVISE,
	CALL_MLOCK,
	CALL_MUNLOCK,
	CALL_MLOCKALL,
	CALL_MUNLOCKALL,
	CALL_BRK,
	CALL_MBIND,
	CALL_GET_MEMPOLICY,
	CALL_PROCESS_MADVISE,
	CALL_MRELEASE,
	CALLS,
};

enum world { KERNEL, ALTVM, REFUSED, WORLDS };

void own_init(const char *stats);
bool own_is_borrowed(void);
void count(enum call call, enum world world);
void stats_print(void);

/* proc.c */
long proc_open(uintptr_t path, int flags);
bool proc_refresh(int fd);

/* fds.c: keeping the device's descriptor out of the program's way. */
long fd_open_device(void);
long fd_close(int fd);
long fd_dup(int fd);
long fd_dup2(int old, int new);
long fd_dup3(int old, int new, int flags);
long fd_close_range(unsigned int first, unsigned int last, unsigned int flags);
bool fd_is_ours(int fd);

/* map.c */
void map_by_kernel(void);

/*
 * The calls, with the arguments of the system calls.
 */
long do_mmap(uintptr_t addr, size_t length, int prot, int flags, int fd,
	     unsigned long offset);
long do_munmap(uintptr_t addr, size_t length);
long do_mprotect(uintptr_t addr, size_t length, int prot);
long do_pkey_mprotect(uintptr_t addr, size_t length, int prot, int pkey);
long do_pkey_alloc(unsigned long flags, unsigned long rights);
long do_mremap(uintptr_t old, size_t old_length, size_t new_length, int flags,
	       uintptr_t new);
long do_msync(uintptr_t addr, size_t length, int flags);
long do_mincore(uintptr_t addr, size_t length, uintptr_t vec);
long do_madvise(uintptr_t addr, size_t length, int advice);
void lock_noted(void);
long do_mlock(uintptr_t addr, size_t length);
long do_mlock2(uintptr_t addr, size_t length, unsigned int flags);
long do_munlock(uintptr_t addr, size_t length);
long do_mlockall(int flags);
long do_munlockall(void);
long do_brk(uintptr_t addr);
long do_mbind(uintptr_t addr, size_t length, unsigned long mode,
	      uintptr_t nodemask, unsigned long maxnode, unsigned int flags);
long do_get_mempolicy(uintptr_t mode, uintptr_t nodemask, unsigned long maxnode,
		      uintptr_t addr, unsigned long flags);
long do_process_madvise(int pidfd, uintptr_t vec, size_t nr_vec, int advice,
			unsigned int flags);
long do_process_mrelease(int pidfd, unsigned int flags);

/**
 * struct range_call - a call on a range, which may be in both worlds
 * @call: for the statistics
 * @nr: of the system call, which gets a part and @args
 * @kernel: instead of that, if it is not so simple
 * @altvm: altvm's on a part
 * @goes_on: an errno after which the rest is done nevertheless; or 0
 * @start: where the whole range starts
 * @args: what else the call has
 */
struct range_call {
	enum call call;
	long nr;
	long (*kernel)(const struct range_call *call, uintptr_t addr,
		       size_t length);
	long (*altvm)(const struct range_call *call,
		      const struct window *window, uintptr_t addr,
		      size_t length);
	int goes_on;
	uintptr_t start;
	unsigned long args[4];
};

long range_apply(struct range_call *call, uintptr_t addr, size_t length);

/* errno.c: for functions of the C library: -1 and errno. */
long finish(long ret);

#endif /* _PRELOAD_H */
