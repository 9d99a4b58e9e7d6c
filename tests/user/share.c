// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that processes share, or not: mappings of each kind across fork, vfork
 * and exec, at different addresses, and from process to process.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

/* Sixteen pages of each kind, the first half of which have a mark. */
#define EACH 16
#define MARKED 8
#define PAGES (NR_MEMORY * EACH)
/* What lies beyond is for the tests. */
#define FREE (PAGES + 8)
#define ZONE (PAGES + 72)

VM_FIXTURE(share, ZONE);
ALTVM_FIXTURE(altvm_share, ZONE);

static size_t page_of(enum memory m)
{
	return m * EACH;
}

static char *place_of(struct vm *vm, enum memory m)
{
	return vm_page(vm, page_of(m));
}

/* Maps one kind of memory and marks it, the file by way of a shared mapping. */
static bool furnish_one(struct vm *vm, enum memory m, int fd, char mark)
{
	char page[PAGE];
	size_t i;

	memset(page, mark, PAGE);
	for (i = 0; i < MARKED; i++)
		if (pwrite(fd, page, PAGE, (page_of(m) + i) * PAGE) != PAGE)
			return false;
	if (memory_map(vm, m, page_of(m), EACH, RW, fd) == MAP_FAILED)
		return false;
	if (!memory_is_file(m))
		memset(place_of(vm, m), mark, MARKED * PAGE);
	else if (m == PRIVATE_FILE)
		/* The first pages are copies, the others still the file's. */
		memset(place_of(vm, m), mark, MARKED / 2 * PAGE);
	return true;
}

/* One of each kind; returns the file, or -1. */
static int furnish(struct vm *vm, char mark)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	enum memory m;

	for_each_memory(m)
		if (fd < 0 || !furnish_one(vm, m, fd, mark))
			return -1;
	return fd;
}

static bool holds(struct vm *vm, enum memory m, char mark)
{
	const char *p = place_of(vm, m);
	size_t i;

	for (i = 0; i < EACH; i++) {
		char want = i < MARKED ? mark : 0;

		if (p[i * PAGE] != want || p[i * PAGE + PAGE - 1] != want) {
			fprintf(stderr, "# %s, page %zu: %d, not %d\n",
				memory_name(m), i, p[i * PAGE], want);
			return false;
		}
	}
	return true;
}

static void mark_with(struct vm *vm, enum memory m, char mark)
{
	memset(place_of(vm, m), mark, MARKED * PAGE);
}

/* What the one has written, the other sees where it is shared, and only there. */
static bool holds_after(struct vm *vm, char own, char others)
{
	bool ok = true;
	enum memory m;

	for_each_memory(m)
		ok &= holds(vm, m, memory_is_shared(m) ? others : own);
	return ok;
}

static void mark_all(struct vm *vm, char mark)
{
	enum memory m;

	for_each_memory(m)
		mark_with(vm, m, mark);
}

TEST_F(share, both_see_stores)
{
	struct vm *vm = &self->vm;
	pid_t pid;
	int line;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(holds_after(vm, 'p', 'p'));
		mark_all(vm, 'c');
		CHECK(say(line));
		CHECK(hear(line));
		CHECK(holds_after(vm, 'c', 'q'));
		_exit(0);
	}
	ASSERT_TRUE(hear(line));
	EXPECT_TRUE(holds_after(vm, 'p', 'c'));
	mark_all(vm, 'q');
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'q', 'q'));
}

/* Of shared memory, a page is everybody's even if it was nobody's at the fork. */
TEST_F(share, pages_that_come_later)
{
	struct vm *vm = &self->vm;
	enum memory m;
	pid_t pid;
	int line;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	for_each_memory(m) {
		char *p = place_of(vm, m) + MARKED * PAGE;
		const char seen = memory_is_shared(m) ? 'x' : 0;

		if (!pid) {
			CHECK(hear(line));
			CHECK(p[0] == seen && !p[PAGE]);
			p[PAGE] = 'x';
			CHECK(say(line));
			continue;
		}
		p[0] = 'x';
		ASSERT_TRUE(say(line));
		ASSERT_TRUE(hear(line));
		EXPECT_EQ(seen, p[PAGE]);
	}
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, end_of(pid));
}

/* Each process forks the next, and ends before it or after it. */
static void be_generations(struct vm *vm, bool wait_for_it)
{
	pid_t pid = 0;
	char mark;

	for (mark = 'a'; mark < 'f' && !pid; mark++) {
		CHECK(holds_after(vm, mark, mark));
		mark_all(vm, mark + 1);
		pid = fork();
		CHECK(pid >= 0);
	}
	if (pid && wait_for_it) {
		CHECK(!end_of(pid));
		CHECK(holds_after(vm, mark, 'f'));
	}
	_exit(0);
}

TEST_F(share, generations)
{
	pid_t pid;

	ASSERT_LE(0, furnish(&self->vm, 'a'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		be_generations(&self->vm, true);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(&self->vm, 'a', 'f'));
}

TEST_F(share, generations_without_parents)
{
	int ends[2];
	pid_t pid;
	char c;

	ASSERT_LE(0, furnish(&self->vm, 'a'));
	ASSERT_EQ(0, pipe(ends));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		be_generations(&self->vm, false);
	close(ends[1]);
	EXPECT_EQ(0, end_of(pid));
	/* When all have gone. */
	EXPECT_EQ(0, read(ends[0], &c, 1));
	EXPECT_TRUE(holds_after(&self->vm, 'a', 'f'));
}

TEST_F(share, one_unmaps_the_other_goes_on)
{
	struct vm *vm = &self->vm;
	pid_t pid;
	int line;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(line));
		CHECK(holds_after(vm, 'p', 'p'));
		mark_all(vm, 'c');
		CHECK(holds_after(vm, 'c', 'c'));
		CHECK(!vm_munmap(vm, vm->base, ZONE * PAGE));
		CHECK(say(line));
		CHECK(hear(line));
		_exit(0);
	}
	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	EXPECT_TRUE(say(line));
	EXPECT_TRUE(hear(line));
	/* And again, while the child has nothing any more. */
	ASSERT_LE(0, furnish(vm, 'q'));
	EXPECT_TRUE(holds_after(vm, 'q', 'q'));
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
}

static long futex(volatile int *word, int op, int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

#define TURNS 50

/* Counts to TURNS with somebody else: one after the odd, one after the even. */
static void count_futex(volatile int *word, int parity)
{
	int value;

	while ((value = *word) != TURNS) {
		if (value % 2 != parity) {
			futex(word, FUTEX_WAIT, value);
			continue;
		}
		*word = value + 1;
		futex(word, FUTEX_WAKE, 1);
	}
}

/* The same with the C library's tools. */
struct table {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int value;
};

static void table_init(struct table *t)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&t->mutex, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&t->cond, &cond);
	t->value = 0;
}

static void count_table(struct table *t, int parity)
{
	pthread_mutex_lock(&t->mutex);
	while (t->value < TURNS) {
		if (t->value % 2 != parity) {
			pthread_cond_wait(&t->cond, &t->mutex);
			continue;
		}
		t->value++;
		pthread_cond_broadcast(&t->cond);
	}
	pthread_mutex_unlock(&t->mutex);
}

static const enum memory shared_memory[] = { SHARED_ANON, SHARED_FILE };

TEST_F_TIMEOUT(share, futexes, SLOW)
{
	volatile int *word;
	struct table *t;
	size_t i;
	pid_t pid;

	ASSERT_LE(0, furnish(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(shared_memory); i++) {
		/* One page that was touched, and one that was not. */
		t = (void *)place_of(&self->vm, shared_memory[i]);
		word = (void *)((char *)t + MARKED * PAGE);
		table_init(t);
		pid = fork();
		ASSERT_LE(0, pid);
		count_futex(word, !pid);
		count_table(t, !pid);
		if (!pid)
			_exit(0);
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(TURNS, *word);
		EXPECT_EQ(TURNS, t->value);
	}
}

/* The kernel itself unlocks what a dead process held. */
TEST_F(share, mutex_of_the_dead)
{
	struct table *t;
	size_t i;
	pid_t pid;

	ASSERT_LE(0, furnish(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(shared_memory); i++) {
		t = (void *)place_of(&self->vm, shared_memory[i]);
		table_init(t);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(!pthread_mutex_lock(&t->mutex));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&t->mutex));
		EXPECT_EQ(0, pthread_mutex_consistent(&t->mutex));
		EXPECT_EQ(0, pthread_mutex_unlock(&t->mutex));
	}
}

/*
 * Two processes have mapped the same file, each in its own way: one here, one
 * elsewhere by the kernel.
 */
TEST_F_TIMEOUT(share, futexes_of_two_mappings, SLOW)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	volatile int *word;
	struct table *t;
	char *p;
	pid_t pid;
	int line;

	ASSERT_LE(0, fd);
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 5 * PAGE);
		CHECK(p != MAP_FAILED && p != vm_page(&self->vm, 5));
		CHECK(hear(line));
	} else {
		p = vm_page(&self->vm, 5);
		ASSERT_EQ(p, memory_map(&self->vm, SHARED_FILE, 5, 2, RW, fd));
		table_init((void *)p);
		ASSERT_TRUE(say(line));
	}
	t = (void *)p;
	word = (void *)(p + PAGE);
	count_futex(word, !pid);
	count_table(t, !pid);
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(TURNS, t->value);
}

/* Two threads, and the same page at two addresses of one process. */
static void *counts(void *arg)
{
	count_futex(arg, 1);
	return NULL;
}

TEST_F_TIMEOUT(share, futexes_at_two_addresses, SLOW)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char *p = vm_page(&self->vm, 5), *other;
	pthread_t thread;
	int i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(p, memory_map(&self->vm, SHARED_FILE, 5, 1, RW, fd));
	for (i = 0; i < 2; i++) {
		other = i ? mmap(NULL, PAGE, RW, MAP_SHARED, fd, 5 * PAGE) :
			    vm_map_file(&self->vm, vm_page(&self->vm, 9), PAGE,
					RW, MAP_SHARED | MAP_FIXED, fd,
					5 * PAGE);
		ASSERT_NE(MAP_FAILED, (void *)other);
		*(volatile int *)p = 0;
		ASSERT_EQ(0, pthread_create(&thread, NULL, counts, other));
		count_futex((volatile int *)p, 0);
		pthread_join(thread, NULL);
		EXPECT_EQ(TURNS, *(volatile int *)other);
	}
}

static volatile bool stop;
static long errors;

/**
 * struct churn - a thread that maps, fills, protects and unmaps all the time
 * @vm: where
 * @m: what
 * @fd: the file, of which it has its pages to itself
 * @page: where its 8 pages begin
 * @rounds: how many it has done
 */
struct churn {
	struct vm *vm;
	enum memory m;
	int fd;
	size_t page;
	long rounds;
};

static void churn_once(struct churn *c, char mark)
{
	char *p = vm_page(c->vm, c->page);
	bool ok;

	ok = memory_map(c->vm, c->m, c->page, 8, RW, c->fd) == p;
	memset(p, mark, 8 * PAGE);
	ok &= !vm_mprotect(c->vm, p + 2 * PAGE, 2 * PAGE, PROT_READ);
	ok &= p[2 * PAGE] == mark && p[7 * PAGE] == mark;
	ok &= !vm_mprotect(c->vm, p + 2 * PAGE, 2 * PAGE, PROT_NONE);
	ok &= !vm_munmap(c->vm, p + 6 * PAGE, PAGE);
	p[5 * PAGE] = mark + 1;
	ok &= p[5 * PAGE] == (char)(mark + 1);
	ok &= !vm_mprotect(c->vm, p, 4 * PAGE, RW);
	ok &= p[2 * PAGE] == mark;
	if (!ok)
		__atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED);
	c->rounds++;
}

static void *churns(void *arg)
{
	char mark = 1;

	while (!stop) {
		churn_once(arg, mark);
		mark = mark % 100 + 1;
	}
	return NULL;
}

/* Counts in two places of private memory, the first always ahead by at most one. */
static void *counts_twice(void *arg)
{
	volatile uint64_t *first = arg;
	volatile uint64_t *second = (void *)((char *)arg + 3 * PAGE);
	uint64_t i;

	for (i = 1; !stop; i++) {
		*first = i;
		*second = i;
	}
	return NULL;
}

/* The child's copy is of one moment, and stays as it is. */
static void be_frozen(char *p)
{
	volatile uint64_t *first = (void *)p;
	volatile uint64_t *second = (void *)(p + 3 * PAGE);
	uint64_t a = *first, b = *second;
	int i;

	CHECK(a == b || a == b + 1);
	for (i = 0; i < 10; i++) {
		sched_yield();
		CHECK(*first == a && *second == b);
	}
}

TEST_F_TIMEOUT(share, fork_while_threads_work, SLOW)
{
	pthread_t thread[NR_MEMORY + 1];
	struct churn c[NR_MEMORY];
	struct vm *vm = &self->vm;
	char *counter = place_of(vm, PRIVATE_FILE) + MARKED * PAGE;
	enum memory m;
	char shared = 'p';
	int fd, i;

	fd = furnish(vm, 'p');
	ASSERT_LE(0, fd);
	for_each_memory(m) {
		c[m] = (struct churn){ vm, m, fd, FREE + 16 * m, 0 };
		ASSERT_EQ(0, pthread_create(&thread[m], NULL, churns, &c[m]));
	}
	ASSERT_EQ(0, pthread_create(&thread[m], NULL, counts_twice, counter));
	for (i = 0; i < scaled(24); i++) {
		const char mark = i % 2 ? 'b' : 'a';
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			be_frozen(counter);
			*(uint64_t *)counter = 0;
			memset(counter, 0, 4 * PAGE);
			CHECK(holds_after(vm, 'p', shared));
			mark_all(vm, mark);
			CHECK(holds_after(vm, mark, mark));
			CHECK(!vm_munmap(vm, vm->base, ZONE * PAGE));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		shared = mark;
	}
	for_each_memory(m)
		await_first(c[m].rounds);
	stop = true;
	for (i = 0; i < NR_MEMORY + 1; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, errors);
	memset(counter, 0, 4 * PAGE);
	EXPECT_EQ('p', *place_of(vm, PRIVATE_FILE));
	EXPECT_EQ('p', *place_of(vm, PRIVATE_ANON));
}

/* Writes all, and maps something more. */
static int be_lodger(void *arg)
{
	struct vm *vm = arg;

	mark_all(vm, 'v');
	if (vm_map_at(vm, FREE, 1, RW) != vm_page(vm, FREE))
		_exit(1);
	*vm_page(vm, FREE) = 'w';
	_exit(0);
}

static pid_t start_lodger(struct vm *vm, int flags)
{
	static __attribute__((aligned(16))) char stack[64 * 1024];

	return clone(be_lodger, stack + sizeof(stack), flags | SIGCHLD, vm);
}

/* Without a memory of its own, a child has its parent's in all respects. */
TEST_F(share, clones_without_a_memory_of_their_own)
{
	static const int flags[] = { CLONE_VM, CLONE_VM | CLONE_VFORK };
	struct vm *vm = &self->vm;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_LE(0, furnish(vm, 'p'));
		pid = start_lodger(vm, flags[i]);
		ASSERT_LE(0, pid);
		EXPECT_EQ(0, end_of(pid));
		EXPECT_TRUE(holds_after(vm, 'v', 'v'));
		EXPECT_EQ('w', *vm_page(vm, FREE));
		EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, FREE), PAGE));
	}
}

TEST_F(share, clones_with_a_memory_of_their_own)
{
	static const int flags[] = { 0, CLONE_VFORK, CLONE_FILES | CLONE_FS };
	struct vm *vm = &self->vm;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_LE(0, furnish(vm, 'p'));
		pid = start_lodger(vm, flags[i]);
		ASSERT_LE(0, pid);
		EXPECT_EQ(0, end_of(pid));
		EXPECT_TRUE(holds_after(vm, 'p', 'v'));
		EXPECT_EQ(SIGSEGV, probe_read(vm_page(vm, FREE), NULL, NULL));
	}
}

TEST_F(share, vfork)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = vfork();
	if (!pid)
		be_lodger(vm);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'v', 'v'));
}

/* What a file loses between a fork and the child's first access to it. */
TEST_F(share, truncated_before_the_childs_first_access)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for (m = PRIVATE_FILE; m <= SHARED_FILE; m++) {
		int fd = furnish(vm, 'p'), line;
		char *p = place_of(vm, m);
		pid_t pid;

		ASSERT_LE(0, fd);
		pid = fork_with(&line);
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(hear(line));
			/* Copies go too, but in a window: conformance.rst. */
			CHECK(!p[0] || (p[0] == 'p' && m == PRIVATE_FILE &&
					!vm_is_native(vm)));
			CHECK(!p[(MARKED - 1) * PAGE]);
			CHECK(say(line) && hear(line));
			CHECK(probe_read(p, NULL, NULL) == SIGBUS);
			_exit(0);
		}
		ASSERT_EQ(0, ftruncate(fd, 0));
		ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
		EXPECT_EQ(0, p[0]);
		EXPECT_EQ(0, p[(MARKED - 1) * PAGE]);
		EXPECT_TRUE(say(line));
		EXPECT_TRUE(hear(line));
		ASSERT_EQ(0, ftruncate(fd, 0));
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid))
		{
			TH_LOG("%s", memory_name(m));
		}
		close(line);
		close(fd);
	}
}

/* A file cannot be sealed as long as anybody could write to it by a mapping. */
TEST_F(share, seals)
{
	const size_t len = EACH * PAGE;
	struct vm *vm = &self->vm;
	int fd, line, first;
	pid_t pid;

	for (first = 0; first < 3; first++) {
		fd = memfd_create("altvm-test",
				  MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ASSERT_EQ(0, ftruncate(fd, len));
		ASSERT_EQ(vm->base,
			  memory_map(vm, SHARED_FILE, 0, EACH, RW, fd));
		/* Once the child does not get it. */
		if (first == 2)
			ASSERT_EQ(0,
				  vm_madvise(vm, vm->base, len, MADV_DONTFORK));
		pid = fork_with(&line);
		ASSERT_LE(0, pid);
		if (!pid) {
			if (first == 1)
				vm->base[PAGE] = 1;
			CHECK(say(line) && hear(line));
			_exit(0);
		}
		ASSERT_TRUE(hear(line));
		EXPECT_FAIL(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
		ASSERT_EQ(0, vm_munmap(vm, vm->base, len));
		EXPECT_FAIL(first == 2 ? 0 : EBUSY,
			    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
		close(line);
		close(fd);
	}
}

static char *const to_true[] = { "true", NULL };

/* What a child has written before it execs is in the file, and only there. */
TEST_F(share, exec)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, 'p');
	pid_t pid;
	char c;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0,
		  posix_spawn(&pid, "/bin/true", NULL, NULL, to_true, environ));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'p', 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		mark_all(vm, 'c');
		execv("/bin/true", to_true);
		_exit(1);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'p', 'c'));
	EXPECT_EQ(1, pread(fd, &c, 1, page_of(SHARED_FILE) * PAGE));
	EXPECT_EQ('c', c);
	EXPECT_EQ(1, pread(fd, &c, 1, page_of(PRIVATE_FILE) * PAGE));
	EXPECT_EQ('p', c);
}

/* A child that touches nothing at all. */
TEST_F(share, exit_and_exec_at_once)
{
	pid_t pid;
	int i;

	ASSERT_LE(0, furnish(&self->vm, 'p'));
	for (i = 0; i < 8; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid && i & 1)
			execv("/bin/true", to_true);
		if (!pid)
			_exit(0);
		EXPECT_EQ(0, end_of(pid));
		EXPECT_TRUE(holds_after(&self->vm, 'p', 'p'));
	}
}

enum first { READ, WRITE, EXECUTE, UNMAP, PROTECT, SYNC, RESIDENT, REMAP, NR };

static bool take_first_step(struct vm *vm, enum memory m, enum first first,
			    int fd)
{
	char *p = place_of(vm, m);
	unsigned char vec = 9;
	uint64_t value;

	switch (first) {
	case READ:
		return !probe_read(p, &value, NULL) && (char)value == 'p';
	case WRITE:
		return !probe_write(p, 0x7070707070707070, NULL);
	case EXECUTE:
		return probe_call(p, NULL) == SIGSEGV;
	case UNMAP:
		return !vm_munmap(vm, p + MARKED * PAGE, PAGE) &&
		       memory_map(vm, m, page_of(m) + MARKED, 1, RW, fd) !=
			       MAP_FAILED;
	case PROTECT:
		return !vm_mprotect(vm, p, PAGE, PROT_READ) &&
		       !vm_mprotect(vm, p, PAGE, RW);
	case SYNC:
		return !vm_msync(vm, p, EACH * PAGE, MS_SYNC);
	case RESIDENT:
		return !vm_mincore(vm, p, PAGE, &vec) && vec == 1;
	default:
		return memory_map(vm, m, FREE, 2, RW, fd) != MAP_FAILED &&
		       !vm_munmap(vm, vm_page(vm, FREE), 2 * PAGE);
	}
}

/* The first thing that a child does, with each kind of memory. */
TEST_F_TIMEOUT(share, childs_first_step, SLOW)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd, first;

	for_each_memory(m)
		for (first = 0; first < NR; first++) {
			pid_t pid;

			fd = furnish(vm, 'p');
			ASSERT_LE(0, fd);
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid) {
				CHECK(take_first_step(vm, m, first, fd));
				CHECK(holds_after(vm, 'p', 'p'));
				mark_all(vm, 'c');
				CHECK(holds_after(vm, 'c', 'c'));
				_exit(0);
			}
			EXPECT_EQ(0, end_of(pid))
			{
				TH_LOG("%s, step %d", memory_name(m), first);
			}
			EXPECT_TRUE(holds_after(vm, 'p', 'c'));
			close(fd);
		}
}

/* The kernel is the first to access a child's memory, for the child. */
TEST_F(share, the_kernel_comes_first)
{
	struct vm *vm = &self->vm;
	char page[PAGE];
	enum memory m;
	pid_t pid;
	int fds[2];

	memset(page, 'k', PAGE);
	ASSERT_EQ(0, pipe(fds));
	for_each_memory(m) {
		char *p = place_of(vm, m);

		ASSERT_LE(0, furnish(vm, 'p'));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(write(fds[1], p + PAGE, 64) == 64);
			CHECK(write(fds[1], page, 64) == 64);
			CHECK(read(fds[0], p + 2 * PAGE, 128) == 128);
			CHECK(p[2 * PAGE] == 'p' && p[2 * PAGE + 64] == 'k');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(memory_is_shared(m) ? 'k' : 'p', p[2 * PAGE + 64]);
	}
}

/* Each writes @value at @p, and reads it back, in another process. */

static long by_process_vm(pid_t pid, char *p, long value)
{
	struct iovec own = { .iov_base = &value, .iov_len = sizeof(value) };
	struct iovec other = { .iov_base = p, .iov_len = sizeof(value) };

	if (process_vm_writev(pid, &own, 1, &other, 1, 0) != sizeof(value))
		return -errno;
	value = 0;
	if (process_vm_readv(pid, &own, 1, &other, 1, 0) != sizeof(value))
		return -errno;
	return value;
}

static long by_ptrace(pid_t pid, char *p, long value)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, &status, __WALL) != pid)
		return -ECHILD;
	if (ptrace(PTRACE_POKEDATA, pid, p, (void *)value))
		value = -errno;
	else
		value = ptrace(PTRACE_PEEKDATA, pid, p, NULL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return value;
}

static long by_proc_mem(pid_t pid, char *p, long value)
{
	off_t at = (off_t)(uintptr_t)p;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &value, sizeof(value), at) != sizeof(value))
		value = -errno;
	else if (pread(fd, &value, sizeof(value), at) != sizeof(value))
		value = -errno;
	close(fd);
	return value;
}

static long (*const remotely[])(pid_t pid, char *p, long value) = {
	by_process_vm,
	by_ptrace,
	by_proc_mem,
};

/* The parent writes to its child's memory, a page with a mark and one without. */
static void write_remotely(struct __test_metadata *_metadata, struct vm *vm,
			   enum memory m, size_t way, bool first)
{
	volatile long *a = (void *)place_of(vm, m);
	volatile long *b = a + MARKED * PAGE / sizeof(*b);
	const long value = 0x123456789abcdef, mark = 0x7070707070707070;
	pid_t pid;
	int line;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(first || !probe_write(vm_page(vm, 0), mark, NULL));
		CHECK(say(line));
		CHECK(hear(line));
		CHECK(*a == value && *b == value);
		*a = *b = 0;
		_exit(0);
	}
	ASSERT_TRUE(hear(line));
	EXPECT_EQ(value, remotely[way](pid, (char *)a, value))
	{
		TH_LOG("%s, way %zu, first %d", memory_name(m), way, first);
	}
	EXPECT_EQ(value, remotely[way](pid, (char *)b, value));
	EXPECT_EQ(memory_is_shared(m) ? value : mark, *a);
	EXPECT_EQ(memory_is_shared(m) ? value : 0, *b);
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
}

TEST_F_TIMEOUT(share, the_parent_comes_first, SLOW)
{
	enum memory m;
	size_t way;

	for_each_memory(m)
		for (way = 0; way < ARRAY_SIZE(remotely); way++)
			write_remotely(_metadata, &self->vm, m, way, true);
}

TEST_F_TIMEOUT(share, the_parent_comes_later, SLOW)
{
	enum memory m;
	size_t way;

	for_each_memory(m)
		for (way = 0; way < ARRAY_SIZE(remotely); way++)
			write_remotely(_metadata, &self->vm, m, way, false);
}

/* The window works on without its file; calls do not, and there are others. */
TEST_F(altvm_share, without_the_file)
{
	struct vm *vm = &self->vm;
	pid_t pid;
	int line;

	ASSERT_LE(0, furnish(vm, 'p'));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->fd);
		CHECK(ERRNO_OF(vm_munmap(vm, vm->base, PAGE)) == EBADF);
		CHECK(holds_after(vm, 'p', 'p'));
		mark_all(vm, 'c');
		CHECK(say(line));
		CHECK(hear(line));
		CHECK(holds_after(vm, 'c', 'q'));
		_exit(0);
	}
	ASSERT_TRUE(hear(line));
	EXPECT_TRUE(holds_after(vm, 'p', 'c'));
	/* The child's has gone, not this one. */
	EXPECT_EQ(vm_page(vm, FREE), vm_map_at(vm, FREE, 1, RW));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_FAIL(EBADF, vm_munmap(vm, vm_page(vm, FREE), PAGE));
	mark_all(vm, 'q');
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'q', 'q'));
	/* Its window without calls can still be forked. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		mark_all(vm, 'd');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds_after(vm, 'q', 'd'));
}

static bool send_fds(int line, const int *fds, size_t nr)
{
	char buf[CMSG_SPACE(2 * sizeof(int))] = {};
	struct iovec iov = { .iov_base = "f", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = buf,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(c), fds, nr * sizeof(int));
	return sendmsg(line, &msg, 0) == 1;
}

static bool receive_fds(int line, int *fds, size_t nr)
{
	char buf[CMSG_SPACE(2 * sizeof(int))], c;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = buf,
		.msg_controllen = sizeof(buf),
	};

	if (recvmsg(line, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return false;
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), nr * sizeof(int));
	return true;
}

/* Has been given the file of somebody's window, and of a mapping in it. */
static void be_stranger(int line, char *addr)
{
	struct vm vm = { .ops = &vm_ioctl, .len = ZONE * PAGE };
	struct altvm_query q;
	int fds[2];
	char *p;

	CHECK(receive_fds(line, fds, 2));
	vm.fd = fds[0];
	CHECK(!altvm_ioctl_query(vm.fd, &q) && !q.window_addr && !q.window_len);
	CHECK(ERRNO_OF(vm_munmap(&vm, addr, PAGE)) == ENXIO);
	CHECK(ERRNO_OF(vm_map_at(&vm, 0, 1, RW)) == ENXIO);
	CHECK(ERRNO_OF(vm_mprotect(&vm, addr, PAGE, RW)) == ENXIO);
	CHECK(probe_read(addr, NULL, NULL) == SIGSEGV);
	/* At the same address, to be sure. */
	vm.base = altvm_window_map(vm.fd, addr, vm.len, RWX);
	CHECK(vm.base == addr);
	CHECK(!vm_areas(&vm));
	CHECK(probe_read(addr, NULL, NULL) == SIGSEGV);
	CHECK(vm_map_at(&vm, 0, EACH, RW) == addr);
	CHECK(!addr[0] && !addr[PAGE]);
	memset(addr, 's', EACH * PAGE);
	CHECK(vm_areas(&vm) == 1);
	CHECK(!vm_munmap(&vm, vm_page(&vm, EACH), (ZONE - EACH) * PAGE));
	/* The other file is common, however it is mapped. */
	p = memory_map(&vm, SHARED_FILE, page_of(SHARED_FILE), EACH, RW,
		       fds[1]);
	CHECK(p != MAP_FAILED);
	CHECK(holds(&vm, SHARED_FILE, 'p'));
	mark_with(&vm, SHARED_FILE, 's');
	CHECK(say(line));
	CHECK(hear(line));
	CHECK(holds(&vm, SHARED_FILE, 'q'));
	CHECK(addr[0] == 's');
	_exit(0);
}

TEST_F(altvm_share, a_stranger_with_the_file)
{
	struct vm *vm = &self->vm;
	int line, fds[2];
	pid_t pid;

	/* It is not to inherit anything. */
	ASSERT_EQ(0, munmap(vm->base, vm->len));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->fd);
		be_stranger(line, vm->base);
	}
	ASSERT_EQ(vm->base, altvm_window_map(self->fd, vm->base, vm->len, RWX));
	fds[0] = self->fd;
	fds[1] = furnish(vm, 'p');
	ASSERT_LE(0, fds[1]);
	ASSERT_TRUE(send_fds(line, fds, 2));
	ASSERT_TRUE(hear(line));
	EXPECT_TRUE(holds(vm, PRIVATE_ANON, 'p'));
	EXPECT_TRUE(holds(vm, SHARED_ANON, 'p'));
	EXPECT_TRUE(holds(vm, SHARED_FILE, 's'));
	EXPECT_EQ(NR_MEMORY, vm_areas(vm));
	mark_with(vm, SHARED_FILE, 'q');
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds(vm, PRIVATE_ANON, 'p'));
	EXPECT_EQ(NR_MEMORY, vm_areas(vm));
}

TEST_HARNESS_MAIN
