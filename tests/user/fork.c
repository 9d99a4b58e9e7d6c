// SPDX-License-Identifier: GPL-2.0
/* fork: the child has a copy of everything, and neither sees what the other does. */
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"

#define PAGES 64

VM_FIXTURE(forked, PAGES);
ALTVM_FIXTURE(altvm_forked, PAGES);

/*
 * Pages 8 to 15 hold @mark; 10 is read-only, 12 is hidden, 14 is untouched.
 */
static int furnish(struct vm *vm, int mark)
{
	size_t i;

	if (vm_map_at(vm, 8, 8, RW) == MAP_FAILED)
		return -1;
	for (i = 8; i < 16; i++)
		if (i != 14)
			memset(vm->base + i * PAGE, mark, PAGE);
	if (vm_mprotect(vm, vm->base + 12 * PAGE, PAGE, PROT_NONE))
		return -1;
	return vm_mprotect(vm, vm->base + 10 * PAGE, PAGE, PROT_READ);
}

static bool is_furnished(struct vm *vm, int mark)
{
	size_t i;

	for (i = 7; i < 17; i++) {
		char *p = vm->base + i * PAGE;
		bool there = i >= 8 && i < 16;
		struct fault f;
		int value = i == 14 ? 0 : mark;

		if (!probe_rewrite(p, &f) != (there && i != 10 && i != 12))
			return false;
		if (f.sig && f.code != (there ? SEGV_ACCERR : SEGV_MAPERR))
			return false;
		if (there && i == 12 && vm_mprotect(vm, p, PAGE, PROT_READ))
			return false;
		if (!probe_read(p, NULL, NULL) != there)
			return false;
		if (there && (p[0] != value || p[PAGE - 1] != value))
			return false;
		if (there && i == 12 && vm_mprotect(vm, p, PAGE, PROT_NONE))
			return false;
	}
	return true;
}

/* Nothing of it is left, and all can be mapped anew. */
static bool can_start_anew(struct vm *vm, int mark)
{
	return !vm_munmap(vm, vm->base, PAGES * PAGE) && !vm_areas(vm) &&
	       probe_read(vm->base + 8 * PAGE, NULL, NULL) &&
	       !furnish(vm, mark) && is_furnished(vm, mark);
}

/* The child has what the parent had, changes it, and starts anew. */
static void be_child(struct vm *vm, int before, int mark)
{
	size_t i;

	CHECK(is_furnished(vm, before));
	for (i = 8; i < 16; i++)
		if (i != 10 && i != 12 && i != 14)
			memset(vm->base + i * PAGE, mark, PAGE);
	CHECK(vm->base[10 * PAGE] == before);
	CHECK(!vm_mprotect(vm, vm->base + 12 * PAGE, PAGE, RW));
	CHECK(vm->base[12 * PAGE] == before);
	CHECK(can_start_anew(vm, mark));
}

TEST_F(forked, both_go_their_way)
{
	int to_child[2], to_parent[2];
	char c;
	pid_t pid;
	size_t i;

	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(to_parent));
	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* The parent writes first... */
		CHECK(read(to_child[0], &c, 1) == 1);
		CHECK(is_furnished(&self->vm, 'p'));
		memset(self->base + 8 * PAGE, 'c', 2 * PAGE);
		CHECK(write(to_parent[1], "x", 1) == 1);
		CHECK(read(to_child[0], &c, 1) == 1);
		CHECK(self->base[8 * PAGE] == 'c');
		_exit(0);
	}
	for (i = 8; i < 16; i++)
		if (i != 10 && i != 12 && i != 14)
			memset(self->base + i * PAGE, 'q', PAGE);
	ASSERT_EQ(1, write(to_child[1], "x", 1));
	/* ...and then the child. */
	ASSERT_EQ(1, read(to_parent[0], &c, 1));
	EXPECT_EQ('q', self->base[8 * PAGE]);
	EXPECT_EQ('q', self->base[9 * PAGE]);
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	ASSERT_EQ(1, write(to_child[1], "x", 1));
	EXPECT_EQ(0, end_of(pid));
}

TEST_F(forked, child_starts_anew)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		be_child(&self->vm, 'p', 'c');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
	/* Nothing is shared any more: the pages are the parent's to write. */
	memset(self->base + 8 * PAGE, 'x', PAGE);
	EXPECT_EQ('x', self->base[8 * PAGE]);
}

/* The first thing that a child does may be any access and any call. */
TEST_F(forked, childs_first_step)
{
	int first;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (first = 0; first < 9; first++) {
		struct vm *vm = &self->vm;
		unsigned char vec = 9;
		char *p = self->base + 8 * PAGE;
		uint64_t value;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (pid) {
			EXPECT_EQ(0, end_of(pid));
			continue;
		}
		switch (first) {
		case 0:
			CHECK(!probe_read(p, &value, NULL));
			CHECK((value & 0xff) == 'p');
			break;
		case 1:
			CHECK(!probe_write(p, 0x7070707070707070, NULL));
			break;
		case 2:
			CHECK(!vm_munmap(vm, vm->base + 20 * PAGE, PAGE));
			break;
		case 3:
			CHECK(!vm_mprotect(vm, p, PAGE, RX));
			CHECK(!vm_mprotect(vm, p, PAGE, RW));
			break;
		case 4:
			CHECK(!vm_mincore(vm, p, PAGE, &vec));
			CHECK(vec == 1);
			break;
		case 5:
			CHECK(vm_map_at(vm, 30, 2, RW) == vm->base + 30 * PAGE);
			CHECK(!*(vm->base + 30 * PAGE));
			CHECK(!vm_munmap(vm, vm->base + 30 * PAGE, 2 * PAGE));
			break;
		case 6:
			CHECK(probe_read(p + 4 * PAGE, NULL, NULL) == SIGSEGV);
			CHECK(probe_write(p + 2 * PAGE, 1, NULL) == SIGSEGV);
			break;
		case 7:
			CHECK(probe_read(vm->base, NULL, NULL) == SIGSEGV);
			break;
		default:
			/* The kernel writes first. */
			CHECK(!pipe((int *)(p + 64)));
			memset(p, 'p', 128);
		}
		be_child(vm, 'p', 'c');
		_exit(0);
	}
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(forked, generations)
{
	int depth;
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'a'));
	/* Each is the child of the one before, and changes all that it has. */
	for (depth = 0; depth < 6; depth++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (pid)
			break;
		be_child(&self->vm, 'a' + depth, 'a' + depth + 1);
	}
	if (depth < 6)
		CHECK(!end_of(pid));
	CHECK(is_furnished(&self->vm, 'a' + depth));
	if (depth)
		_exit(0);
}

/* Pages that several generations share, each with one of its own. */
TEST_F(forked, a_page_each)
{
	size_t depth, i;
	pid_t pid = 0;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 16, RW));
	memset(self->base, 1, 16 * PAGE);
	for (depth = 0; depth < 6; depth++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid)
			break;
		self->base[depth * PAGE] = 2;
	}
	if (pid)
		CHECK(!end_of(pid));
	for (i = 0; i < 16; i++)
		CHECK(self->base[i * PAGE] == (i < depth ? 2 : 1));
	if (depth)
		_exit(0);
}

TEST_F(forked, parent_exits_first)
{
	int fds[2];
	char result = 0;
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pid_t parent = getpid();

		memset(self->base + 8 * PAGE, 'm', PAGE);
		if (fork())
			_exit(0);
		while (getppid() == parent)
			usleep(100);
		CHECK(self->base[8 * PAGE] == 'm');
		memset(self->base + 8 * PAGE, 'p', PAGE);
		be_child(&self->vm, 'p', 'c');
		CHECK(write(fds[1], "y", 1) == 1);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	close(fds[1]);
	EXPECT_EQ(1, read(fds[0], &result, 1));
	EXPECT_EQ('y', result);
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F_TIMEOUT(forked, many_children_at_once, SLOW)
{
	pid_t pid[16];
	size_t i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			sched_yield();
			be_child(&self->vm, 'p', 'a' + i);
			sched_yield();
			CHECK(is_furnished(&self->vm, 'a' + i));
			_exit(0);
		}
	}
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		EXPECT_EQ(0, end_of(pid[i]));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

/* What the parent forks, the next child inherits: over and over again. */
TEST_F_TIMEOUT(forked, over_and_over, SLOW)
{
	size_t i;
	pid_t pid;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
	for (i = 0; i < (size_t)scaled(150); i++) {
		uint64_t *word = (uint64_t *)(self->base + i % PAGES * PAGE);

		word[1] = i + 1;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(word[1] == i + 1);
			word[1] = 0;
			vm_munmap(&self->vm, self->base, 8 * PAGE);
			_exit(0);
		}
		if (i & 1)
			word[2] = i;
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(i + 1, word[1]);
		EXPECT_EQ(i & 1 ? i : 0, word[2]);
		word[2] = 0;
	}
}

/*
 * A child that keeps a page in a pipe must not see what the parent writes to it
 * later, when it looks as if the parent were alone with it.
 */
TEST_F(forked, a_spliced_page_is_a_copy_too)
{
	struct iovec iov = { .iov_base = self->base + 8 * PAGE,
			     .iov_len = PAGE };
	int to_child[2], to_parent[2];
	char c, buf[PAGE];
	pid_t pid;

	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(to_parent));
	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fds[2];

		CHECK(!pipe(fds));
		CHECK(vmsplice(fds[1], &iov, 1, 0) == PAGE);
		CHECK(!vm_munmap(&self->vm, self->base, PAGES * PAGE));
		CHECK(write(to_parent[1], "x", 1) == 1);
		CHECK(read(to_child[0], &c, 1) == 1);
		CHECK(read(fds[0], buf, PAGE) == PAGE);
		CHECK(buf[0] == 'p' && buf[PAGE - 1] == 'p');
		_exit(0);
	}
	ASSERT_EQ(1, read(to_parent[0], &c, 1));
	memset(self->base + 8 * PAGE, 's', PAGE);
	ASSERT_EQ(1, write(to_child[1], "x", 1));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ('s', self->base[8 * PAGE]);
}

/* The kernel's own test device for pins; debug kernels have it. */
struct pin_test {
	__u64 addr, size;
	__u32 flags;
};

#define PIN_START _IOW('g', 7, struct pin_test)
#define PIN_STOP _IO('g', 8)
#define PIN_READ _IOW('g', 9, __u64)
#define PIN_WRITE_FAST 3

/* What a device may be writing to stays the parent's, and the child has a copy. */
TEST_F(forked, pinned_pages_stay_the_parents)
{
	struct pin_test pin = {
		.addr = (unsigned long)self->base,
		.size = PAGES * PAGE,
		.flags = PIN_WRITE_FAST,
	};
	int dev = open("/sys/kernel/debug/gup_test", O_RDWR);
	static char buf[PAGES * PAGE];
	__u64 to = (unsigned long)buf;
	int to_child[2];
	pid_t pid;
	char c;

	if (dev < 0)
		SKIP(return, "no gup_test");
	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
	memset(self->base, 'p', PAGES * PAGE);
	ASSERT_EQ(0, ioctl(dev, PIN_START, &pin));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(read(to_child[0], &c, 1) == 1);
		CHECK(self->base[0] == 'p');
		CHECK(self->base[PAGES * PAGE - 1] == 'p');
		memset(self->base, 'c', PAGES * PAGE);
		_exit(0);
	}
	memset(self->base, 'n', PAGES * PAGE);
	EXPECT_EQ(0, ioctl(dev, PIN_READ, &to));
	EXPECT_EQ('n', buf[0]);
	EXPECT_EQ('n', buf[PAGES * PAGE - 1]);
	ASSERT_EQ(1, write(to_child[1], "x", 1));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, ioctl(dev, PIN_READ, &to));
	EXPECT_EQ('n', buf[0]);
	EXPECT_EQ(0, ioctl(dev, PIN_STOP));
	close(dev);
}

TEST_F(altvm_forked, child_replaces_its_window)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(ERRNO_OF(altvm_window_map(self->fd, NULL, PAGE, RW)) ==
		      EBUSY);
		CHECK(munmap(self->base, PAGE));
		CHECK(mprotect(self->base, PAGE, PROT_READ));
		CHECK(is_furnished(&self->vm, 'p'));
		CHECK(!munmap(self->base, PAGES * PAGE));
		CHECK(ERRNO_OF(vm_munmap(&self->vm, self->base, PAGE)) ==
		      ENXIO);
		CHECK(altvm_window_map(self->fd, self->base, PAGES * PAGE,
				       RWX) == self->base);
		CHECK(!vm_areas(&self->vm));
		CHECK(!furnish(&self->vm, 'c'));
		CHECK(is_furnished(&self->vm, 'c'));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F_TIMEOUT(altvm_forked, parent_unmaps_while_the_child_works, SLOW)
{
	pid_t pid;
	int i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < scaled(100); i++)
			be_child(&self->vm, 'p', 'p');
		_exit(0);
	}
	for (i = 0; i < scaled(50); i++) {
		ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
		ASSERT_EQ(self->base, altvm_window_map(self->fd, self->base,
						       PAGES * PAGE, RWX));
		ASSERT_EQ(0, furnish(&self->vm, 'p'));
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

/* vfork shares the memory, and so the window. */
TEST_F(forked, vfork_shares_the_window)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = vfork();
	if (!pid) {
		self->base[8 * PAGE] = 'v';
		vm_map_at(&self->vm, 20, 1, RW);
		self->base[20 * PAGE] = 'w';
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ('v', self->base[8 * PAGE]);
	EXPECT_EQ('w', self->base[20 * PAGE]);
}

TEST_F(forked, exec_leaves_it_behind)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		be_child(&self->vm, 'p', 'c');
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

#define EXEC_FD "ALTVM_TEST_EXEC_FD"

/* The other side of the next test: what an exec leaves of a file. */
static __attribute__((constructor)) void after_exec(void)
{
	struct vm vm = { .ops = &vm_ioctl, .len = PAGES * PAGE };
	struct altvm_query q;

	if (!getenv(EXEC_FD))
		return;
	vm.fd = env_number(EXEC_FD, -1);
	CHECK(!altvm_ioctl_query(vm.fd, &q));
	CHECK(!q.window_len);
	CHECK(ERRNO_OF(vm_munmap(&vm, NULL, PAGE)) == ENXIO);
	vm.base = altvm_window_map(vm.fd, NULL, vm.len, RWX);
	CHECK(vm.base != MAP_FAILED);
	CHECK(!vm_areas(&vm));
	CHECK(!furnish(&vm, 'x'));
	CHECK(is_furnished(&vm, 'x'));
	_exit(0);
}

TEST_F(altvm_forked, exec_keeps_the_file_but_no_window)
{
	char number[16];
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		snprintf(number, sizeof(number), "%d", self->fd);
		setenv(EXEC_FD, number, 1);
		fcntl(self->fd, F_SETFD, 0);
		CHECK(!furnish(&self->vm, 'c'));
		execl("/proc/self/exe", "fork", NULL);
		_exit(1);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

/* The user's own advice about fork is not to confuse the window's. */
TEST_F(altvm_forked, advice_about_fork)
{
	static const int advice[] = {
		MADV_DOFORK,
		18 /* WIPEONFORK */,
		19 /* KEEPONFORK */,
		MADV_DODUMP,
	};
	size_t i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		pid_t pid;

		madvise(self->base, PAGES * PAGE, advice[i]);
		madvise(self->base + 8 * PAGE, PAGE, advice[i]);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			be_child(&self->vm, 'p', 'c');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_TRUE(is_furnished(&self->vm, 'p'));
	}
}

TEST_F(altvm_forked, a_window_can_be_left_out)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	if (madvise(self->base, PAGES * PAGE, MADV_DONTFORK))
		SKIP(return, "MADV_DONTFORK is refused");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(probe_read(self->base + 8 * PAGE, NULL, NULL) == SIGSEGV);
		CHECK(ERRNO_OF(vm_munmap(&self->vm, self->base, PAGE)) ==
		      ENXIO);
		CHECK(altvm_window_map(self->fd, self->base, PAGES * PAGE,
				       RWX) == self->base);
		CHECK(!vm_areas(&self->vm));
		CHECK(!furnish(&self->vm, 'c'));
		CHECK(is_furnished(&self->vm, 'c'));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

/* Counts in two pages, always the first one first. */
static volatile bool stop;

static void *count(void *arg)
{
	struct vm *vm = arg;
	volatile uint64_t *first = (uint64_t *)(vm->base + 8 * PAGE);
	volatile uint64_t *second = (uint64_t *)(vm->base + 40 * PAGE);
	uint64_t i;

	for (i = 1; !stop; i++) {
		*first = i;
		*second = i;
	}
	return NULL;
}

/* What a child gets is the memory of one moment, and it stands still. */
TEST_F_TIMEOUT(forked, a_copy_of_one_moment, SLOW)
{
	volatile uint64_t *first = (uint64_t *)(self->base + 8 * PAGE);
	volatile uint64_t *second = (uint64_t *)(self->base + 40 * PAGE);
	pthread_t thread;
	uint64_t a, b;
	pid_t pid;
	int i, k;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
	ASSERT_EQ(0, pthread_create(&thread, NULL, count, &self->vm));
	for (i = 0; i < scaled(60); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			a = *first;
			b = *second;
			CHECK(a == b || a == b + 1);
			for (k = 0; k < 20; k++) {
				sched_yield();
				CHECK(*first == a && *second == b);
			}
			*first = *second = 0;
			CHECK(!*first && !*second);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	await_first(*first);
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(*first, *second);
}

static long errors, rounds;

/* Works in its own 8 pages, and sees to it that they are its own. */
static void *work(void *arg)
{
	struct vm *vm = ((void **)arg)[0];
	size_t page = (size_t)((void **)arg)[1];
	char *p = vm->base + page * PAGE;
	int mark = 1;

	while (!stop) {
		if (vm_map_at(vm, page, 8, RW) != p || p[0] || p[8 * PAGE - 1])
			errors++;
		memset(p, mark, 8 * PAGE);
		if (vm_mprotect(vm, p + 2 * PAGE, 2 * PAGE, PROT_READ) ||
		    p[2 * PAGE] != mark || p[7 * PAGE] != mark)
			errors++;
		p[5 * PAGE] = mark + 1;
		if (p[5 * PAGE] != (char)(mark + 1) ||
		    vm_munmap(vm, p + 6 * PAGE, PAGE))
			errors++;
		mark = mark % 100 + 1;
		rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(forked, while_threads_work, SLOW)
{
	pthread_t thread[3];
	void *arg[3][2];
	long i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (i = 0; i < 3; i++) {
		arg[i][0] = &self->vm;
		arg[i][1] = (void *)(24 + 8 * i);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, work, arg[i]));
	}
	for (i = 0; i < scaled(40); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			be_child(&self->vm, 'p', 'c');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	await_first(rounds);
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, errors);
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(altvm_forked, several_windows)
{
	struct vm vm[4];
	size_t i;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vm_open(&vm[i], &vm_ioctl, PAGES * PAGE));
		ASSERT_EQ(0, furnish(&vm[i], 'p' + i));
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 4; i++)
			be_child(&vm[i], 'p' + i, 'c' + i);
		munmap(vm[1].base, PAGES * PAGE);
		CHECK(is_furnished(&vm[0], 'c'));
		CHECK(is_furnished(&vm[2], 'c' + 2));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(is_furnished(&vm[i], 'p' + i));
		vm_close(&vm[i]);
	}
}

/* Many tables, most of them untouched by parent and child. */
#define BIG_PAGES (16 * 512)

VM_FIXTURE(forked_big, BIG_PAGES);

TEST_F_TIMEOUT(forked_big, many_tables, SLOW)
{
	size_t i, k;
	pid_t pid[3];

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, BIG_PAGES, RW));
	for (i = 0; i < BIG_PAGES; i += 13)
		*(uint64_t *)(self->base + i * PAGE) = i + 1;
	for (k = 0; k < 3; k++) {
		pid[k] = fork();
		ASSERT_LE(0, pid[k]);
		if (pid[k])
			continue;
		for (i = k; i < BIG_PAGES; i += 1000)
			*(uint64_t *)(self->base + i * PAGE + 8) = k + 1;
		for (i = 0; i < BIG_PAGES; i += 13)
			CHECK(*(uint64_t *)(self->base + i * PAGE) == i + 1);
		for (i = 0; i < BIG_PAGES; i++)
			CHECK(*(uint64_t *)(self->base + i * PAGE + 8) ==
			      (i % 1000 == k ? k + 1 : 0));
		_exit(0);
	}
	for (i = 500; i < BIG_PAGES; i += 1000)
		*(uint64_t *)(self->base + i * PAGE + 8) = 99;
	for (k = 0; k < 3; k++)
		EXPECT_EQ(0, end_of(pid[k]));
	for (i = 0; i < BIG_PAGES; i++)
		ASSERT_EQ(i % 1000 == 500 ? 99 : 0,
			  *(uint64_t *)(self->base + i * PAGE + 8));
}

TEST_HARNESS_MAIN
