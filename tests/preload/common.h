/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of programs that know nothing of altvm.  Each is run natively, which says
 * what Linux does, and under the library; only whose memory it is may differ.
 */
#ifndef _PRELOAD_COMMON_H
#define _PRELOAD_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define BAD_POINTER ((void *)8)

/* What libearly maps before anything else is. */
#define EARLY_PAGES 8

/* More than mmap() ever returns. */
#define NOWHERE ((char *)-1)

/* Does this process have the library? */
static inline bool under_altvm(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "libaltvm-preload");
}

/* The window; natively, or where it failed, an empty one at 0. */
static inline void find_window(uintptr_t *start, uintptr_t *end)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], *at;

	*start = 0;
	*end = 0;
	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, " /dev/altvm\n")) {
			*start = strtoul(line, &at, 16);
			*end = strtoul(at + 1, NULL, 16);
			break;
		}
	}
	if (maps)
		fclose(maps);
}

static inline bool in_window(const void *addr)
{
	uintptr_t start, end;

	find_window(&start, &end);
	return (uintptr_t)addr >= start && (uintptr_t)addr < end;
}

/* How often something is done: fewer times where ALTVM_DIVIDE says so. */
static inline int rounds(int n)
{
	const char *divide = getenv("ALTVM_DIVIDE");

	return divide && atoi(divide) > 0 ? n / atoi(divide) + 1 : n;
}

static inline char *map_rw(size_t pages)
{
	return mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
}

/* A file of that many pages, page n full of 'a' + n. */
static inline int make_file(size_t pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char buffer[PAGE];
	size_t i;

	for (i = 0; i < pages; i++) {
		memset(buffer, 'a' + (int)i, PAGE);
		if (write(fd, buffer, PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return fd;
}

/* How many pages of a mapped range are in memory. */
static inline int resident(void *addr, size_t pages)
{
	unsigned char vec[256];
	int n = 0;
	size_t i;

	if (pages > sizeof(vec) || mincore(addr, pages * PAGE, vec))
		return -1;
	for (i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

/**
 * struct caught - a signal that an access raised
 * @signal: which; 0 if none
 * @code: its si_code
 * @addr: its si_addr
 */
struct caught {
	int signal, code;
	void *addr;
};

static sigjmp_buf caught_jump;
static volatile struct caught caught_last;

static inline void caught_handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught_last.signal = signal;
	caught_last.code = info->si_code;
	caught_last.addr = info->si_addr;
	siglongjmp(caught_jump, 1);
}

/* What does a load or a store there raise? */
static inline struct caught touch(volatile char *addr, bool store)
{
	struct sigaction action = {
		.sa_sigaction = caught_handler,
		.sa_flags = SA_SIGINFO,
	};

	caught_last.signal = 0;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(caught_jump, 1)) {
		if (store)
			*addr = 1;
		else
			(void)*addr;
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return caught_last;
}

static inline bool can_store(void *addr)
{
	return !touch(addr, true).signal;
}

/* Where a child's exit status is 0. */
static inline bool child_ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

#endif /* _PRELOAD_COMMON_H */
