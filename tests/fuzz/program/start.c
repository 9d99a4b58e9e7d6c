// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the same calls natively and in a window of altvm, and shows what differs.
 *
 *	cc -O2 -D_GNU_SOURCE -I lib -I . this.c build/lib/libaltvm.a
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "altvm.h"

#define PAGE 4096UL

/* NULL: natively. */
static struct altvm *vm;
static char *base;
static size_t zone;
static int out;

static void say(const char *call, long ret)
{
	if (ret == -1)
		dprintf(out, "%s: %s\n", call, strerrorname_np(errno));
	else
		dprintf(out, "%s: %#lx\n", call, ret);
}

static long place(void *p)
{
	return p == MAP_FAILED ? -1 : (char *)p - base;
}

#define DO(call, natively, altvm) say(call, vm ? (altvm) : (natively))

#define do_mmap(...) \
	DO("mmap", place(mmap(__VA_ARGS__)), place(altvm_mmap(vm, __VA_ARGS__)))
#define do_munmap(...) \
	DO("munmap", munmap(__VA_ARGS__), altvm_munmap(vm, __VA_ARGS__))
#define do_mprotect(...) \
	DO("mprotect", mprotect(__VA_ARGS__), altvm_mprotect(vm, __VA_ARGS__))
#define do_mremap(...)                                                \
	DO("mremap", place((void *)syscall(SYS_mremap, __VA_ARGS__)), \
	   place(altvm_mremap(vm, __VA_ARGS__)))
#define do_madvise(...) \
	DO("madvise", madvise(__VA_ARGS__), altvm_madvise(vm, __VA_ARGS__))
#define do_msync(...) \
	DO("msync", msync(__VA_ARGS__), altvm_msync(vm, __VA_ARGS__))
#define do_mlock(...)                                 \
	DO("mlock", syscall(SYS_mlock2, __VA_ARGS__), \
	   altvm_mlock2(vm, __VA_ARGS__))
#define do_munlock(...) \
	DO("munlock", munlock(__VA_ARGS__), altvm_munlock(vm, __VA_ARGS__))
#define do_mlockall(flags) \
	DO("mlockall", mlockall(flags), altvm_mlockall(vm, flags))
#define do_munlockall() DO("munlockall", munlockall(), altvm_munlockall(vm))
#define do_ftruncate(...) say("ftruncate", ftruncate(__VA_ARGS__))
#define do_fallocate(...) say("fallocate", fallocate(__VA_ARGS__))
#define do_pread(...) say("pread", pread(__VA_ARGS__))
#define do_pwrite(...) say("pwrite", pwrite(__VA_ARGS__))

static inline void do_brk(char *addr)
{
	char *now = vm ? (altvm_brk(vm, addr), altvm_sbrk(vm, 0)) :
			 (char *)syscall(SYS_brk, addr);

	say("brk", now - base);
}

static inline void do_mincore(char *addr, size_t len)
{
	size_t i, pages = (len + PAGE - 1) / PAGE;
	unsigned char vec[4096] = {};
	int ret = vm ? altvm_mincore(vm, addr, len, vec) :
		       mincore(addr, len, vec);

	say("mincore", ret);
	for (i = 0; !ret && i < pages; i++)
		dprintf(out, "%d%s", vec[i] & 1, i + 1 == pages ? "\n" : "");
}

static inline void do_mbind(char *addr, size_t len, int mode,
			    unsigned long nodes, unsigned long max, int flags)
{
	DO("mbind", syscall(SYS_mbind, addr, len, mode, &nodes, max, flags),
	   altvm_mbind(vm, addr, len, mode, &nodes, max, flags));
}

static inline void do_get_mempolicy(char *addr, unsigned long flags)
{
	unsigned long nodes = 0;
	int mode = -1;

	DO("get_mempolicy",
	   syscall(SYS_get_mempolicy, &mode, &nodes, 64UL, addr, flags),
	   altvm_get_mempolicy(vm, &mode, &nodes, 64, addr, flags));
	dprintf(out, "mode %d nodes %#lx\n", mode, nodes);
}

static inline void do_set_mempolicy(int mode, unsigned long nodes,
				    unsigned long max)
{
	DO("set_mempolicy", syscall(SYS_set_mempolicy, mode, &nodes, max),
	   altvm_set_mempolicy(vm, mode, &nodes, max));
}

/* The nodes of the pages that there are. */
static inline void do_nodes(char *addr, size_t len)
{
	const int flags = 3; /* MPOL_F_NODE | MPOL_F_ADDR */
	unsigned char vec;
	size_t i;
	long ret;
	int node;

	for (i = 0; i < len; i += PAGE) {
		if (vm ? altvm_mincore(vm, addr + i, PAGE, &vec) :
			 mincore(addr + i, PAGE, &vec))
			continue;
		if (!(vec & 1))
			continue;
		ret = vm ? altvm_get_mempolicy(vm, &node, NULL, 0, addr + i,
					       flags) :
			   syscall(SYS_get_mempolicy, &node, NULL, 0UL,
				   addr + i, flags);
		dprintf(out, "%#lx: node %d\n", place(addr + i),
			ret ? -1 : node);
	}
}

static inline void do_process_vm(bool write, pid_t pid, char *addr, size_t len)
{
	static char buffer[8 * PAGE];
	struct iovec here = { buffer,
			      len < sizeof(buffer) ? len : sizeof(buffer) };
	struct iovec there = { addr, here.iov_len };
	long ret;

	if (write)
		ret = vm ? altvm_process_vm_writev(vm, pid, &here, 1, &there, 1,
						   0) :
			   process_vm_writev(pid, &here, 1, &there, 1, 0);
	else
		ret = vm ? altvm_process_vm_readv(vm, pid, &here, 1, &there, 1,
						  0) :
			   process_vm_readv(pid, &here, 1, &there, 1, 0);
	say("process_vm", ret);
}

static inline void do_process_madvise(pid_t pid, char *addr, size_t len,
				      int advice)
{
	struct iovec vec = { addr, len };
	int fd = syscall(SYS_pidfd_open, pid, 0);

	DO("process_madvise",
	   syscall(SYS_process_madvise, fd, &vec, 1UL, advice, 0U),
	   altvm_process_madvise(vm, fd, &vec, 1, advice, 0));
	close(fd);
}

/* What counted for a limit in the beginning, in bytes. */
static unsigned long address_space, data;

static inline unsigned long number_of_status(const char *key)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoul(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return kib * 1024;
}

static inline void do_setrlimit(int resource, unsigned long pages)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = pages * PAGE;
	if (resource == RLIMIT_AS)
		limit.rlim_cur += address_space;
	if (resource == RLIMIT_DATA)
		limit.rlim_cur += data;
	if (pages == -1UL)
		limit.rlim_cur = limit.rlim_max;
	say("setrlimit", setrlimit(resource, &limit));
}

/* Where the shell is in a memory cgroup of its own. */
static inline void do_reclaim(const char *bytes)
{
	int fd = open("/sys/fs/cgroup/fuzz/memory.reclaim", O_WRONLY);

	if (write(fd, bytes, strlen(bytes)) < 0)
		say("reclaim", -1);
	close(fd);
}

static sigjmp_buf env;
static siginfo_t info;

static void handler(int sig, siginfo_t *i, void *context)
{
	(void)sig;
	(void)context;
	info = *i;
	siglongjmp(env, 1);
}

enum access { LOAD, STORE, CALL };

static void do_access(enum access access, char *addr, uint64_t value)
{
	if (sigsetjmp(env, 1)) {
		dprintf(out, "signal %d code %d at %#lx\n", info.si_signo,
			info.si_code, (long)((char *)info.si_addr - base));
		return;
	}
	if (access == STORE)
		*(volatile uint64_t *)addr = value;
	else
		value = *(volatile uint64_t *)addr;
	dprintf(out, "%s %#lx\n", access == STORE ? "stored" : "loaded", value);
	if (access == CALL && (value & 0xff) == 0xc3)
		((void (*)(void))addr)();
}

static inline void do_look(char *addr, size_t len)
{
	static const size_t within[] = { 0, 8, 2048, 4088 };
	size_t i, j;

	for (i = 0; i < len; i += PAGE)
		for (j = 0; j < 4; j++)
			do_access(LOAD, addr + i + within[j], 0);
}

/* The lines of /proc/self/maps, or fdinfo, that are about the zone. */
static inline void do_areas(void)
{
	unsigned long start, end;
	char path[64], prot[5], line[512];
	FILE *f;

	snprintf(path, sizeof(path),
		 vm ? "/proc/self/fdinfo/%d" : "/proc/self/maps",
		 vm ? altvm_fd(vm) : 0);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) == 3 &&
		    start >= (unsigned long)base &&
		    end <= (unsigned long)base + zone)
			dprintf(out, "area %#lx-%#lx %s\n",
				start - (unsigned long)base,
				end - (unsigned long)base, prot);
	if (f)
		fclose(f);
}

static int make_file(void)
{
	int fd = memfd_create("data", 0);
	uint64_t i;

	for (i = 0; i < 24; i++) {
		uint64_t words[PAGE / 8] = { 0xf11e0000 + i, i };

		words[PAGE / 16] = ~i;
		if (write(fd, words, PAGE) != (ssize_t)PAGE)
			abort();
	}
	return fd;
}

/* 0: of data; 1: the same for reading; 2: another; 3: /dev/zero; else none */
static inline int file(int which)
{
	static int fds[4] = { -1, -1, -1, -1 };
	char path[40];

	if (which < 0 || which > 3)
		return 9999;
	if (fds[which] >= 0)
		return fds[which];
	if (which == 1) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file(0));
		fds[1] = open(path, O_RDONLY);
	} else {
		fds[which] = which == 3 ? open("/dev/zero", O_RDWR) :
					  make_file();
	}
	return fds[which];
}

/* Children that wait to be joined. */
static struct {
	pid_t pid;
	int go;
} late[16];

static int nr_late;

/* The youngest child that waits, if there is one. */
static inline pid_t youngest(void)
{
	return nr_late ? late[nr_late - 1].pid : getpid();
}

static inline void join(void)
{
	int status = -1;

	if (!nr_late)
		return;
	nr_late--;
	if (write(late[nr_late].go, "", 1) != 1)
		abort();
	waitpid(late[nr_late].pid, &status, 0);
	say("child", status);
}

/* True in the child; the parent waits for its end, or goes on if that is late. */
static inline bool child(bool is_late)
{
	int go[2], ready[2], status;
	unsigned char byte;
	pid_t pid;

	if (pipe(go) || pipe(ready))
		abort();
	pid = fork();
	if (!pid) {
		nr_late = 0;
		do_mincore(base, PAGE);
		if (write(ready[1], "", 1) != 1 ||
		    (is_late && read(go[0], &byte, 1) != 1))
			abort();
		return true;
	}
	if (read(ready[0], &byte, 1) != 1)
		abort();
	if (is_late) {
		late[nr_late].go = go[1];
		late[nr_late++].pid = pid;
	} else {
		waitpid(pid, &status, 0);
		say("child", status);
	}
	return false;
}

static inline void end(bool killed)
{
	while (nr_late)
		join();
	if (killed)
		kill(getpid(), SIGKILL);
	_exit(0);
}

/* Leave no free address outside of the zone, as in a window. */
static void enclose(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	volatile char stack[256 << 10];
	void *volatile heap;
	size_t size;

	for (size = 0; size < sizeof(stack); size += PAGE)
		stack[size] = 0;
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_ARENA_MAX, 1);
	heap = malloc(4 << 20);
	free(heap);
	mmap(base, zone, PROT_NONE, flags | MAP_FIXED, -1, 0);
	for (size = 1UL << 46; size >= PAGE; size /= 2)
		while (mmap(NULL, size, PROT_NONE, flags, -1, 0) != MAP_FAILED)
			;
	munmap(base, zone);
	if (prctl(PR_SET_MM, PR_SET_MM_BRK, base, 0, 0) ||
	    prctl(PR_SET_MM, PR_SET_MM_START_BRK, base, 0, 0))
		perror("PR_SET_MM");
}

static void steps(void);

static void run_side(FILE *f, bool native, size_t before)
{
	const struct sigaction action = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	if (fork()) {
		wait(NULL);
		return;
	}
	out = fileno(f);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (native) {
		base = (char *)(16UL << 40) + (2UL << 20) - before * PAGE;
		enclose();
	} else {
		vm = altvm_open(zone, 0);
		if (!vm) {
			perror("altvm_open");
			_exit(1);
		}
		base = altvm_window(vm, NULL);
	}
	address_space = number_of_status("VmSize:");
	data = number_of_status("VmData:");
	steps();
	while (nr_late)
		join();
	_exit(0);
}

/* Runs steps() natively and on altvm; 1 if something differs. */
static inline int compare(size_t pages, size_t before)
{
	FILE *f[2] = { tmpfile(), tmpfile() };
	char line[2][512];
	int i, bad = 0, nr = 0;
	bool more[2];

	zone = pages * PAGE;
	run_side(f[0], true, before);
	run_side(f[1], false, before);
	rewind(f[0]);
	rewind(f[1]);
	do {
		for (i = 0; i < 2; i++) {
			more[i] = fgets(line[i], sizeof(line[i]), f[i]);
			if (!more[i])
				strcpy(line[i], "(nothing)\n");
		}
		nr++;
		if (!strcmp(line[0], line[1]))
			continue;
		printf("line %d: natively %s         altvm %s", nr, line[0],
		       line[1]);
		bad = 1;
	} while (more[0] || more[1]);
	return bad;
}
