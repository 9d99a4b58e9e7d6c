// SPDX-License-Identifier: GPL-2.0
/*
 * usage: stress [SECONDS]
 *
 * Processes with several threads each do random things in windows, some of which
 * belong to one and the same file, and are killed at random moments.  A thread
 * has a part of its window to itself and knows what must be there.  The kernel's
 * log and the module's reference count tell the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define NR_PROCESSES 4
#define NR_THREADS 3
#define PAGES 40UL

/* Seen by all processes. */
struct shared {
	long errors;
	long steps;
	long windows;
	long forks;
};

static struct shared *shared;

static void report(const char *what, size_t where)
{
	if (__atomic_fetch_add(&shared->errors, 1, __ATOMIC_RELAXED) < 10)
		fprintf(stderr, "# wrong: %s at %#zx, pid %d: %s\n", what,
			where, getpid(), strerror(errno));
}

/**
 * struct part - what a thread knows of its part of the window
 * @vm: the window
 * @first: the part's first page; its parts are far apart, in tables of their own
 * @rng: its random numbers
 * @there: is the page mapped?
 * @writable: may it be written?
 * @mark: what is at its start
 */
struct part {
	struct vm *vm;
	size_t first;
	struct rng rng;
	bool there[PAGES];
	bool writable[PAGES];
	uint64_t mark[PAGES];
};

static void map(struct part *t, size_t page, size_t nr, char *p)
{
	int flags = ANON | MAP_FIXED;
	size_t i;

	if (rng_next(&t->rng) & 1)
		flags |= MAP_POPULATE;
	if (vm_mmap(t->vm, p, nr * PAGE, RW, flags) != p)
		report("mmap", page);
	for (i = page; i < page + nr; i++) {
		t->there[i] = t->writable[i] = true;
		t->mark[i] = 0;
	}
}

static void unmap(struct part *t, size_t page, size_t nr, char *p)
{
	size_t i;

	if (vm_munmap(t->vm, p, nr * PAGE))
		report("munmap", page);
	for (i = page; i < page + nr; i++)
		t->there[i] = t->writable[i] = false;
}

static void protect(struct part *t, size_t page, size_t nr, char *p)
{
	bool writable = rng_next(&t->rng) & 1, all = true;
	size_t i;

	for (i = page; i < page + nr; i++)
		all &= t->there[i];
	if (vm_mprotect(t->vm, p, nr * PAGE, writable ? RW : PROT_READ) !=
	    (all ? 0 : -1))
		report("mprotect", page);
	for (i = page; i < page + nr && t->there[i]; i++)
		t->writable[i] = writable;
}

static void touch(struct part *t, size_t page, char *p)
{
	uint64_t value;

	if (probe_read(p, &value, NULL) != (t->there[page] ? 0 : SIGSEGV))
		report("read", page);
	else if (t->there[page] && value != t->mark[page])
		report("contents", page);
	value = rng_next(&t->rng);
	if (probe_write(p, value, NULL) != (t->writable[page] ? 0 : SIGSEGV))
		report("write", page);
	else if (t->writable[page])
		t->mark[page] = value;
}

static void step(struct part *t)
{
	size_t page = rng_below(&t->rng, PAGES);
	size_t nr = 1 + rng_below(&t->rng, PAGES - page);
	char *p = t->vm->base + (t->first + page) * PAGE;
	unsigned char vec[PAGES];

	switch (rng_below(&t->rng, 10)) {
	case 0:
		map(t, page, nr, p);
		break;
	case 1:
		unmap(t, page, nr, p);
		break;
	case 2:
	case 3:
		protect(t, page, nr, p);
		break;
	case 4:
		vm_mincore(t->vm, p, nr * PAGE, vec);
		break;
	default:
		touch(t, page, p);
	}
	__atomic_fetch_add(&shared->steps, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct part *t = arg;

	for (;;)
		step(t);
	return NULL;
}

/* The child of a fork knows what it has, and dies in the middle of something. */
static void fork_one(struct part *t)
{
	pid_t pid = fork();
	int i;

	if (pid) {
		/* Both change what they share. */
		for (i = rng_below(&t->rng, 50); i; i--)
			step(t);
		while (pid > 0 && waitpid(pid, NULL, 0) != pid)
			;
		return;
	}
	rng_next(&t->rng);
	for (i = rng_below(&t->rng, 50); i; i--)
		step(t);
	__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
	if (rng_next(&t->rng) & 1)
		kill(getpid(), SIGKILL);
	_exit(0);
}

static int open_window(struct vm *vm, int common, struct rng *rng)
{
	static const size_t sizes[] = { 64 * MiB, GiB, TiB };

	memset(vm, 0, sizeof(*vm));
	vm->ops = &vm_ioctl;
	vm->len = sizes[rng_below(rng, 3)];
	if (common < 0)
		return vm_ioctl.open(vm, NULL, vm->len, RWX);
	vm->fd = common;
	vm->base = altvm_window_map(common, NULL, vm->len, RWX);
	return vm->base == MAP_FAILED ? -1 : 0;
}

/* Never returns. */
static void be_victim(int common, uint64_t seed)
{
	static struct part part[NR_THREADS];
	struct rng rng = { .state = seed };
	static struct vm vm, other;
	pthread_t thread;
	int i;

	if (open_window(&vm, common, &rng)) {
		report("window", 0);
		_exit(1);
	}
	for (i = 0; i < NR_THREADS; i++) {
		part[i].vm = &vm;
		part[i].first = 4096 * i + 500;
		part[i].rng.state = seed + i;
		pthread_create(&thread, NULL, work, &part[i]);
	}
	for (;;) {
		static struct part t;

		/* A second window comes and goes beside it. */
		if (open_window(&other, -1, &rng)) {
			report("window", 1);
			_exit(1);
		}
		memset(&t, 0, sizeof(t));
		t.vm = &other;
		t.rng = rng;
		for (i = rng_below(&rng, 300); i; i--)
			step(&t);
		fork_one(&t);
		vm_close(&other);
		__atomic_fetch_add(&shared->windows, 1, __ATOMIC_RELAXED);
		if (!rng_below(&rng, 20))
			_exit(0);
	}
}

static long refcount(void)
{
	return proc_number("/sys/module/altvm/refcnt", "");
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 20;
	struct rng rng = { .state = env_number("ALTVM_SEED", 1) };
	pid_t pid[NR_PROCESSES] = {};
	struct timespec t = {};
	long kills = 0, before;
	int common, i, status;
	time_t end;

	printf("TAP version 13\n1..1\n");
	fflush(stdout);
	if (!vm_available(&vm_ioctl)) {
		printf("ok 1 stress # SKIP no " DEVICE "\n");
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared), RW, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	before = refcount();
	common = open(DEVICE, O_RDWR | O_CLOEXEC);
	end = time(NULL) + seconds;
	while (time(NULL) < end) {
		i = rng_below(&rng, NR_PROCESSES);
		if (pid[i]) {
			kill(pid[i], SIGKILL);
			while (waitpid(pid[i], &status, 0) != pid[i])
				;
			kills += WIFSIGNALED(status);
			if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
				report("died of a signal", WTERMSIG(status));
		}
		pid[i] = fork();
		if (!pid[i])
			be_victim(i & 1 ? common : -1, rng_next(&rng));
		t.tv_nsec = rng_below(&rng, 120) * 1000000;
		nanosleep(&t, NULL);
	}
	for (i = 0; i < NR_PROCESSES; i++) {
		if (!pid[i])
			continue;
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
	}
	close(common);
	/* Children of those killed may take a moment more. */
	for (i = 0; i < 100 && refcount() != before; i++)
		usleep(100000);
	if (refcount() != before)
		report("reference count of the module", refcount());
	printf("# %ld kills, %ld steps, %ld windows, %ld forks\n", kills,
	       shared->steps, shared->windows, shared->forks);
	if (!kills || !shared->steps)
		report("nothing was done", 0);
	printf("%sok 1 stress\n", shared->errors ? "not " : "");
	return shared->errors != 0;
}
