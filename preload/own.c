// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A page that a forked child finds empty: whose it is, and the statistics.  A child
 * of vfork(), which has its parent's memory but descriptors of its own, finds
 * its parent's.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "preload.h"
#include "sys.h"

/**
 * struct own - what is in the page
 * @pid: the process; 0 in a child that has not looked yet
 * @counts: how often each call was made in each world
 */
struct own {
	long pid;
	unsigned long counts[CALLS][WORLDS];
};

static struct own *own;
static const char *stats;

static const char *const names[CALLS] = {
	[CALL_MMAP] = "mmap",
	[CALL_MUNMAP] = "munmap",
	[CALL_MPROTECT] = "mprotect",
	[CALL_MREMAP] = "mremap",
	[CALL_MSYNC] = "msync",
	[CALL_MINCORE] = "mincore",
	[CALL_MADVISE] = "madvise",
	[CALL_MLOCK] = "mlock",
	[CALL_MUNLOCK] = "munlock",
	[CALL_MLOCKALL] = "mlockall",
	[CALL_MUNLOCKALL] = "munlockall",
	[CALL_BRK] = "brk",
	[CALL_MBIND] = "mbind",
	[CALL_GET_MEMPOLICY] = "get_mempolicy",
	[CALL_PROCESS_MADVISE] = "process_madvise",
	[CALL_MRELEASE] = "process_mrelease",
};

/**
 * own_init() - make the page
 * @to: count calls, and tell there at exit; or NULL
 */
void own_init(const char *to)
{
	long addr = sys_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr < 0)
		return;
	if (sys3(SYS_madvise, (unsigned long)addr, PAGE_SIZE,
		 MADV_WIPEONFORK)) {
		sys_munmap((uintptr_t)addr, PAGE_SIZE);
		return;
	}
	own = (struct own *)addr;
	own->pid = sys_getpid();
	stats = to;
}

/*
 * Does the C library take this thread for another?  fork() tells it of the new
 * one, vfork() does not.  What it takes it for is in a mutex that it locks.
 */
static bool is_mistaken(void)
{
	pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	int owner;

	pthread_mutex_lock(&mutex);
	owner = mutex.__data.__owner;
	pthread_mutex_unlock(&mutex);
	return owner != sys_gettid();
}

/**
 * own_is_borrowed() - is this a child of vfork() or the like?
 *
 * Return: true if the memory is another process', and descriptors may not be.
 */
bool own_is_borrowed(void)
{
	if (!own)
		return false;
	if (!own->pid && !is_mistaken())
		own->pid = sys_getpid();
	return own->pid != sys_getpid();
}

/**
 * count() - count a call
 * @call: which
 * @world: who did it
 */
void count(enum call call, enum world world)
{
	if (stats)
		__atomic_fetch_add(&own->counts[call][world], 1,
				   __ATOMIC_RELAXED);
}

static bool called(enum call call)
{
	const unsigned long *counts = own->counts[call];

	return counts[KERNEL] || counts[ALTVM] || counts[REFUSED];
}

static void print_call(int fd, enum call call)
{
	char number[WORLDS][24];
	const char *const parts[] = {
		names[call],	 ": altvm ",	 number[ALTVM],
		", kernel ",	 number[KERNEL], ", refused by altvm ",
		number[REFUSED], NULL,
	};
	int i;

	for (i = 0; i < WORLDS; i++)
		format_number(number[i], own->counts[call][i], 10);
	message_to(fd, parts);
}

static bool any_called(void)
{
	int i;

	for (i = 0; i < CALLS; i++) {
		if (called((enum call)i))
			return true;
	}
	return false;
}

/**
 * stats_print() - write what was counted, if that is wanted
 */
void stats_print(void)
{
	char pid[24];
	int i, fd = 2;

	if (!stats || own_is_borrowed() || !any_called())
		return;
	if (strcmp(stats, "1"))
		fd = (int)sys6(SYS_openat, (unsigned long)AT_FDCWD,
			       (unsigned long)stats,
			       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666,
			       0, 0);
	format_number(pid, (unsigned long)sys_getpid(), 10);
	message_to(fd, (const char *[]){ "calls of process ", pid, ":", NULL });
	for (i = 0; i < CALLS; i++) {
		if (called((enum call)i))
			print_call(fd, (enum call)i);
	}
	if (fd > 2)
		sys_close(fd);
}
