// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile mode: processes with many threads that call the device with garbage and
 * with what is nearly right, touch the memory, call the kernel about the window,
 * fork, and are killed at some moment.  Nothing of it may leave a mark in the
 * kernel's log, nor may a process fail to die.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "script.h"

#define THREADS 4
#define HUNG 120

/* What a member means. */
enum meaning { NONE, ADDR, LEN, PROT, FLAGS, MAP, FD, PTR, COUNT, PID, ADVICE };

#define MEMBERS 8

/**
 * struct command - a command, and its structure
 * @number: of the ioctl
 * @size: of the structure
 * @members: those that mean something
 */
struct command {
	unsigned long number;
	size_t size;
	struct {
		size_t offset;
		size_t size;
		enum meaning meaning;
	} members[MEMBERS];
};

#define M(s, m, what)                                                   \
	{                                                               \
		offsetof(struct s, m), sizeof(((struct s *)0)->m), what \
	}
#define COMMAND(n, s, ...)                             \
	{                                              \
		.number = n, .size = sizeof(struct s), \
		.members = { __VA_ARGS__ },            \
	}
static const struct command commands[] = {
	COMMAND(ALTVM_QUERY, altvm_query),
	COMMAND(ALTVM_MMAP, altvm_mmap, M(altvm_mmap, addr, ADDR),
		M(altvm_mmap, length, LEN), M(altvm_mmap, prot, PROT),
		M(altvm_mmap, flags, MAP), M(altvm_mmap, fd, FD),
		M(altvm_mmap, offset, LEN)),
	COMMAND(ALTVM_MUNMAP, altvm_munmap, M(altvm_munmap, addr, ADDR),
		M(altvm_munmap, length, LEN)),
	COMMAND(ALTVM_MPROTECT, altvm_mprotect, M(altvm_mprotect, addr, ADDR),
		M(altvm_mprotect, length, LEN), M(altvm_mprotect, prot, PROT)),
	COMMAND(ALTVM_MINCORE, altvm_mincore, M(altvm_mincore, addr, ADDR),
		M(altvm_mincore, length, LEN), M(altvm_mincore, vec, PTR),
		M(altvm_mincore, flags, FLAGS)),
	COMMAND(ALTVM_MSYNC, altvm_msync, M(altvm_msync, addr, ADDR),
		M(altvm_msync, length, LEN), M(altvm_msync, flags, FLAGS)),
	COMMAND(ALTVM_MADVISE, altvm_madvise, M(altvm_madvise, addr, ADDR),
		M(altvm_madvise, length, LEN),
		M(altvm_madvise, advice, ADVICE)),
	COMMAND(ALTVM_MREMAP, altvm_mremap, M(altvm_mremap, old_addr, ADDR),
		M(altvm_mremap, old_length, LEN),
		M(altvm_mremap, new_length, LEN),
		M(altvm_mremap, new_addr, ADDR), M(altvm_mremap, flags, FLAGS)),
	COMMAND(ALTVM_MLOCK, altvm_mlock, M(altvm_mlock, addr, ADDR),
		M(altvm_mlock, length, LEN), M(altvm_mlock, flags, FLAGS)),
	COMMAND(ALTVM_MUNLOCK, altvm_munlock, M(altvm_munlock, addr, ADDR),
		M(altvm_munlock, length, LEN)),
	COMMAND(ALTVM_MLOCKALL, altvm_mlockall,
		M(altvm_mlockall, flags, FLAGS)),
	COMMAND(ALTVM_MUNLOCKALL, altvm_munlockall),
	COMMAND(ALTVM_BRK, altvm_brk, M(altvm_brk, addr, ADDR)),
	COMMAND(ALTVM_PROCESS_VM_READV, altvm_process_vm,
		M(altvm_process_vm, flags, FLAGS),
		M(altvm_process_vm, pid, PID), M(altvm_process_vm, local, PTR),
		M(altvm_process_vm, nr_local, COUNT),
		M(altvm_process_vm, remote, PTR),
		M(altvm_process_vm, nr_remote, COUNT)),
	COMMAND(ALTVM_PROCESS_VM_WRITEV, altvm_process_vm,
		M(altvm_process_vm, flags, FLAGS),
		M(altvm_process_vm, pid, PID), M(altvm_process_vm, local, PTR),
		M(altvm_process_vm, nr_local, COUNT),
		M(altvm_process_vm, remote, PTR),
		M(altvm_process_vm, nr_remote, COUNT)),
	COMMAND(ALTVM_PROCESS_MADVISE, altvm_process_madvise,
		M(altvm_process_madvise, pidfd, FD),
		M(altvm_process_madvise, advice, ADVICE),
		M(altvm_process_madvise, vec, PTR),
		M(altvm_process_madvise, nr_vec, COUNT)),
	COMMAND(ALTVM_PROCESS_MRELEASE, altvm_process_mrelease,
		M(altvm_process_mrelease, pidfd, FD)),
	COMMAND(ALTVM_MBIND, altvm_mbind, M(altvm_mbind, addr, ADDR),
		M(altvm_mbind, length, LEN), M(altvm_mbind, mode, FLAGS),
		M(altvm_mbind, flags, FLAGS), M(altvm_mbind, nodemask, PTR),
		M(altvm_mbind, maxnode, COUNT)),
	COMMAND(ALTVM_SET_MEMPOLICY, altvm_set_mempolicy,
		M(altvm_set_mempolicy, mode, FLAGS),
		M(altvm_set_mempolicy, nodemask, PTR),
		M(altvm_set_mempolicy, maxnode, COUNT)),
	COMMAND(ALTVM_GET_MEMPOLICY, altvm_get_mempolicy,
		M(altvm_get_mempolicy, addr, ADDR),
		M(altvm_get_mempolicy, flags, FLAGS),
		M(altvm_get_mempolicy, nodemask, PTR),
		M(altvm_get_mempolicy, maxnode, COUNT)),
};

/**
 * struct counts - what has been done, in memory that all share
 * @calls: of the device
 * @good: how many succeeded
 * @accesses: to the memory
 * @forks: of these processes
 */
struct counts {
	atomic_ulong calls;
	atomic_ulong good;
	atomic_ulong accesses;
	atomic_ulong forks;
};

static struct counts *counts;

/* Of a process: the window, and files of several kinds. */
static struct vm vm;
static int files[6];

/* Pages to point to: vectors, plain memory, and one that cannot be written. */
static char *scratch;

#define SCRATCH 4

static uint64_t pick(struct rng *rng, const uint64_t *from, size_t nr)
{
	return from[rng_below(rng, nr)];
}

#define PICK(rng, ...)                                     \
	({                                                 \
		const uint64_t __from[] = { __VA_ARGS__ }; \
		pick(rng, __from, ARRAY_SIZE(__from));     \
	})

/* Mostly in the window, and mostly where others are, too. */
static uint64_t random_addr(struct rng *rng)
{
	const uint64_t base = (uintptr_t)vm.base;

	switch (rng_below(rng, 12)) {
	case 0:
		return base + rng_below(rng, vm.len);
	case 1:
		return base + vm.len - PAGE * rng_below(rng, 4);
	case 2:
		return base - PAGE * rng_below(rng, 3);
	case 3:
		return PICK(rng, 0, 1, PAGE, -PAGE, -1UL, 1UL << 47,
			    (1UL << 47) - PAGE, 1UL << 63, 0xffff888000000000);
	case 4:
		return base +
		       rng_below(rng, vm.len / HUGE_PAGE + 1) * HUGE_PAGE;
	default:
		return base + rng_below(rng, 48) * PAGE;
	}
}

static uint64_t random_len(struct rng *rng)
{
	switch (rng_below(rng, 10)) {
	case 0:
		return PICK(rng, 0, 1, PAGE - 1, PAGE + 1, vm.len, vm.len + 1,
			    -PAGE, -1UL, 1UL << 63, 1UL << 47, 1UL << 32);
	case 1:
		return rng_below(rng, vm.len);
	case 2:
		return HUGE_PAGE;
	default:
		return (1 + rng_below(rng, 16)) * PAGE;
	}
}

static uint64_t random_ptr(struct rng *rng)
{
	switch (rng_below(rng, 8)) {
	case 0:
		return random_addr(rng);
	case 1:
		return PICK(rng, 0, 1, -1UL, 0xffff888000000000, 1UL << 47);
	case 2:
		/* Where it ends soon. */
		return (uintptr_t)scratch + SCRATCH * PAGE - rng_below(rng, 64);
	default:
		return (uintptr_t)scratch + rng_below(rng, SCRATCH) * PAGE;
	}
}

static uint64_t random_flags(struct rng *rng)
{
	switch (rng_below(rng, 10)) {
	case 0:
		return 1U << rng_below(rng, 32);
	case 1:
		return rng_next(rng);
	default:
		return PICK(rng, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8);
	}
}

static uint64_t random_map_flags(struct rng *rng)
{
	uint64_t flags = PICK(rng, ANON, ANON, ANON | MAP_FIXED,
			      ANON | MAP_FIXED, MAP_SHARED | MAP_ANONYMOUS,
			      MAP_SHARED, MAP_PRIVATE, MAP_PRIVATE | MAP_FIXED,
			      MAP_SHARED | MAP_FIXED,
			      MAP_DROPPABLE | MAP_ANONYMOUS);

	flags |= PICK(rng, 0, 0, 0, MAP_POPULATE, MAP_LOCKED, MAP_GROWSDOWN,
		      MAP_NORESERVE);
	return rng_below(rng, 10) ? flags : flags ^ random_flags(rng);
}

/* No page is broken: the log would tell. */
static uint64_t random_advice(struct rng *rng)
{
	uint64_t advice = rng_below(rng, 8) ? rng_below(rng, 28) :
					      rng_next(rng);

	if (!rng_below(rng, 10))
		advice = PICK(rng, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE);
	return (uint32_t)advice == MADV_HWPOISON ||
			       (uint32_t)advice == MADV_SOFT_OFFLINE ?
		       MADV_DONTNEED :
		       advice;
}

static uint64_t random_value(struct rng *rng, enum meaning meaning)
{
	if (meaning != PID && meaning != ADVICE && !rng_below(rng, 50))
		return rng_next(rng);
	switch (meaning) {
	case ADDR:
		return random_addr(rng);
	case LEN:
		return random_len(rng);
	case PROT:
		return rng_below(rng, 10) ? rng_below(rng, 8) : rng_next(rng);
	case FLAGS:
		return random_flags(rng);
	case MAP:
		return random_map_flags(rng);
	case FD:
		return rng_below(rng, 10) ? files[rng_below(rng, 6)] : 9999;
	case PTR:
		return random_ptr(rng);
	case COUNT:
		return PICK(rng, 0, 1, 1, 1, 2, 3, 64, 64, 1024, 1025, 4096,
			    -1UL);
	case PID:
		/* Of nobody who would mind. */
		return PICK(rng, getpid(), getpid(), getpid(), 0, -1, 1 << 30);
	case ADVICE:
		return random_advice(rng);
	default:
		return 0;
	}
}

static void fill_scratch(struct rng *rng)
{
	struct iovec *vec = (struct iovec *)scratch;
	size_t i = rng_below(rng, PAGE / sizeof(*vec));

	vec[i].iov_base = (void *)(rng_below(rng, 2) ? random_addr(rng) :
						       random_ptr(rng));
	vec[i].iov_len = random_len(rng) % (64 * PAGE);
}

static void fill(struct rng *rng, const struct command *c, char *to)
{
	uint32_t size = c->size;
	uint64_t value;
	size_t i;

	memset(to, 0, c->size);
	if (!rng_below(rng, 40))
		size = PICK(rng, 0, 4, c->size - 1, c->size + 8, PAGE, -1U);
	memcpy(to, &size, sizeof(size));
	for (i = 0; i < MEMBERS && c->members[i].meaning; i++) {
		value = random_value(rng, c->members[i].meaning);
		memcpy(to + c->members[i].offset, &value, c->members[i].size);
	}
	/* A word that should be 0, or another. */
	if (!rng_below(rng, 40))
		to[rng_below(rng, c->size)] ^= 1 << rng_below(rng, 8);
}

static void call_device(struct rng *rng)
{
	const struct command *c =
		&commands[rng_below(rng, ARRAY_SIZE(commands))];
	char structure[256] __attribute__((aligned(8)));
	unsigned long number = c->number;
	void *arg = structure;

	fill(rng, c, structure);
	/* The number is one nobody knows, or the structure is elsewhere. */
	if (!rng_below(rng, 50))
		number ^= 1UL << rng_below(rng, 32);
	if (!rng_below(rng, 30)) {
		arg = (void *)random_ptr(rng);
	} else if (!rng_below(rng, 20)) {
		arg = scratch + SCRATCH * PAGE - c->size;
		memcpy(arg, structure, c->size);
	}
	if (!ioctl(vm.fd, number, arg))
		counts->good++;
	counts->calls++;
}

static void touch(struct rng *rng)
{
	char *p = vm.base + (rng_below(rng, 20) ? rng_below(rng, 48) * PAGE :
						  rng_below(rng, vm.len - 8));
	uint64_t value;

	if (rng_below(rng, 2))
		probe_write(p, rng_next(rng), NULL);
	else
		probe_read(p, &value, NULL);
	counts->accesses++;
}

/* The kernel's own calls about the window. */
static void call_kernel(struct rng *rng)
{
	char *p = vm.base + rng_below(rng, 48) * PAGE;
	size_t len = (1 + rng_below(rng, 8)) * PAGE;
	unsigned char vec[8];

	switch (rng_below(rng, 10)) {
	case 0:
		mprotect(p, len, rng_below(rng, 8));
		break;
	case 1:
		madvise(p, len, random_advice(rng) & 31);
		break;
	case 2:
		mremap(p, len, len + PAGE, MREMAP_MAYMOVE);
		break;
	case 3:
		munmap(p, len);
		break;
	case 4:
		mincore(p, 8 * PAGE, vec);
		break;
	case 5:
		msync(p, len, MS_SYNC);
		break;
	case 6:
		ftruncate(files[0], rng_below(rng, 24) * PAGE);
		break;
	case 7:
		if (pwrite(files[0], p, len, rng_below(rng, 16) * PAGE) < 0)
			break;
		break;
	case 8:
		if (pread(files[0], p, len, rng_below(rng, 16) * PAGE) < 0)
			break;
		break;
	default:
		/* All of it goes, seldom. */
		if (!rng_below(rng, 40))
			munmap(vm.base, vm.len);
	}
}

static void child_main(struct rng *rng)
{
	long n = rng_below(rng, 60);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (n--) {
		if (rng_below(rng, 2))
			call_device(rng);
		else
			touch(rng);
	}
	if (rng_below(rng, 2))
		_exit(0);
	kill(getpid(), SIGKILL);
}

static void fork_one(struct rng *rng)
{
	struct rng own = { .state = rng_next(rng) };
	bool wait = rng_below(rng, 2);
	pid_t pid = fork();

	if (!pid)
		child_main(&own);
	counts->forks++;
	if (pid > 0 && wait)
		kill(pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void *thread_main(void *arg)
{
	struct rng rng = { .state = (uintptr_t)arg };

	for (;;) {
		uint64_t what = rng_below(&rng, 1000);

		if (what < 550)
			call_device(&rng);
		else if (what < 900)
			touch(&rng);
		else if (what < 960)
			call_kernel(&rng);
		else if (what < 990)
			fill_scratch(&rng);
		else
			fork_one(&rng);
	}
	return NULL;
}

static bool open_files(void)
{
	int pipes[2];

	files[0] = memfd_create("data", MFD_CLOEXEC);
	files[1] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	files[2] = vm.fd;
	files[3] = syscall(SYS_pidfd_open, getpid(), 0);
	files[4] = pipe(pipes) ? -1 : pipes[0];
	files[5] = open("/", O_RDONLY | O_CLOEXEC);
	return files[0] >= 0 && !ftruncate(files[0], 16 * PAGE);
}

/* So that what is locked or populated by accident is not all there is. */
static void limit_memory(void)
{
	struct rlimit limit = { .rlim_cur = vm.len + 192 * MiB };

	limit.rlim_max = limit.rlim_cur;
	setrlimit(RLIMIT_AS, &limit);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

/* A process that goes on until it is killed. */
static void process_main(uint64_t seed)
{
	struct rng rng = { .state = seed };
	pthread_t thread;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	scratch = mmap(NULL, (SCRATCH + 1) * PAGE, RW, ANON, -1, 0);
	mprotect(scratch + SCRATCH * PAGE, PAGE, PROT_NONE);
	if (vm_open(&vm, &vm_ioctl,
		    PICK(&rng, 64 * PAGE, 64 * PAGE, 8 * MiB, 64 * MiB)) ||
	    !open_files())
		_exit(2);
	limit_memory();
	for (i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, thread_main,
				   (void *)rng_next(&rng)))
			_exit(2);
	thread_main((void *)rng_next(&rng));
}

/* Does it die? */
static bool end_process(pid_t pid)
{
	int i, status;

	kill(pid, SIGKILL);
	for (i = 0; i < HUNG * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				return true;
			printf("# a process ended with status %#x\n", status);
			return false;
		}
		usleep(10000);
	}
	printf("# process %d does not die\n", pid);
	return false;
}

static bool run_master(struct rng *rng, time_t end)
{
	bool ok = true;

	while (ok && time(NULL) < end) {
		pid_t pid = fork();

		if (!pid)
			process_main(rng_next(rng));
		usleep(rng_below(rng, 8) ? rng_below(rng, 1000000) :
					   rng_below(rng, 5000));
		rng_next(rng);
		ok = end_process(pid);
	}
	return ok;
}

int hostile(uint64_t seed, long seconds, int jobs)
{
	time_t end = time(NULL) + seconds;
	int i, status, bad = 0;

	counts = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < jobs; i++) {
		struct rng rng = { .state = seed + i };

		fflush(stdout);
		if (!fork())
			exit(!run_master(&rng, end));
	}
	while (wait(&status) > 0)
		bad |= status;
	printf("# %ld calls, %ld of them successful, %ld accesses, %ld forks, %ld s\n",
	       counts->calls, counts->good, counts->accesses, counts->forks,
	       seconds);
	return !!bad;
}
