// SPDX-License-Identifier: GPL-2.0
/*
 * fork: in this version the child has the window, empty, and the parent notices
 * nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "fixture.h"

#define PAGES 64

ALTVM_FIXTURE(forked, PAGES);

/* Pages 8 to 15 hold @mark; page 10 is read-only. */
static int furnish(struct vm *vm, int mark)
{
	if (vm_map_at(vm, 8, 8, RW) == MAP_FAILED)
		return -1;
	memset(vm->base + 8 * PAGE, mark, 8 * PAGE);
	return vm_mprotect(vm, vm->base + 10 * PAGE, PAGE, PROT_READ);
}

static bool is_furnished(struct vm *vm, int mark)
{
	size_t i;

	for (i = 7; i < 17; i++) {
		char *p = vm->base + i * PAGE;
		bool there = i >= 8 && i < 16;

		if (there != !probe_read(p, NULL, NULL) ||
		    (there && i != 10) != !probe_rewrite(p, NULL))
			return false;
		if (there && (p[0] != mark || p[PAGE - 1] != mark))
			return false;
	}
	return true;
}

static bool is_empty(struct vm *vm)
{
	struct altvm_query q;
	struct fault f;
	size_t i;

	if (altvm_ioctl_query(vm->fd, &q) ||
	    q.window_addr != (uintptr_t)vm->base || q.window_len != vm->len)
		return false;
	for (i = 0; i < PAGES; i++) {
		if (!probe_read(vm->base + i * PAGE, NULL, &f) ||
		    f.sig != SIGSEGV || f.code != SEGV_MAPERR)
			return false;
		if (vm_resident(vm, vm->base + i * PAGE) != -1)
			return false;
	}
	return true;
}

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: child %d: %s\n", __FILE__,	\
			__LINE__, getpid(), #cond);			\
		_exit(1);						\
	}								\
} while (0)

/* Waits for the child; its status. */
static int end_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void empty_then_own(struct vm *vm, int mark)
{
	CHECK(is_empty(vm));
	CHECK(!furnish(vm, mark));
	CHECK(is_furnished(vm, mark));
}

TEST_F(forked, child_sees_an_empty_window)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		empty_then_own(&self->vm, 'c');
		CHECK(!vm_munmap(&self->vm, self->base, PAGES * PAGE));
		CHECK(is_empty(&self->vm));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

/* The first thing that a child does may be an access as well as a call. */
TEST_F(forked, childs_first_step)
{
	int first;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (first = 0; first < 6; first++) {
		struct vm *vm = &self->vm;
		pid_t pid = fork();
		unsigned char vec;
		char *p = self->base + 8 * PAGE;

		ASSERT_LE(0, pid);
		if (pid) {
			EXPECT_EQ(0, end_of(pid));
			continue;
		}
		switch (first) {
		case 0:
			CHECK(probe_read(p, NULL, NULL) == SIGSEGV);
			break;
		case 1:
			CHECK(probe_write(p, 1, NULL) == SIGSEGV);
			break;
		case 2:
			CHECK(!vm_munmap(vm, p, PAGE));
			break;
		case 3:
			CHECK(ERRNO_OF(vm_mprotect(vm, p, PAGE, RW)) == ENOMEM);
			break;
		case 4:
			CHECK(ERRNO_OF(vm_mincore(vm, p, PAGE, &vec)) == ENOMEM);
			break;
		default:
			CHECK(vm_map_at(vm, 0, PAGES, RW) == vm->base);
			CHECK(!*p);
			CHECK(!vm_munmap(vm, vm->base, PAGES * PAGE));
		}
		empty_then_own(vm, 'c');
		_exit(0);
	}
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(forked, generations)
{
	int depth;
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (depth = 0; depth < 6; depth++) {
			empty_then_own(&self->vm, 'a' + depth);
			pid = fork();
			CHECK(pid >= 0);
			if (pid)
				break;
		}
		if (depth < 6) {
			CHECK(!end_of(pid));
			CHECK(is_furnished(&self->vm, 'a' + depth));
		}
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
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

		empty_then_own(&self->vm, 'm');
		if (fork())
			_exit(0);
		while (getppid() == parent)
			usleep(100);
		empty_then_own(&self->vm, 'c');
		CHECK(write(fds[1], "y", 1) == 1);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	close(fds[1]);
	EXPECT_EQ(1, read(fds[0], &result, 1));
	EXPECT_EQ('y', result);
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(forked, many_children_at_once)
{
	pid_t pid[16];
	size_t i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			empty_then_own(&self->vm, 'a' + i);
			sched_yield();
			CHECK(is_furnished(&self->vm, 'a' + i));
			_exit(0);
		}
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		EXPECT_EQ(0, end_of(pid[i]));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(forked, child_replaces_its_window)
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
		CHECK(!munmap(self->base, PAGES * PAGE));
		CHECK(ERRNO_OF(vm_munmap(&self->vm, self->base, PAGE)) == ENXIO);
		CHECK(altvm_window_map(self->fd, self->base, PAGES * PAGE,
				       RWX) == self->base);
		empty_then_own(&self->vm, 'c');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

TEST_F(forked, parent_unmaps_while_the_child_works)
{
	pid_t pid;
	int i;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		empty_then_own(&self->vm, 'c');
		for (i = 0; i < scaled(200); i++) {
			CHECK(!furnish(&self->vm, 'c'));
			CHECK(is_furnished(&self->vm, 'c'));
		}
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
		empty_then_own(&self->vm, 'c');
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
	empty_then_own(&vm, 'x');
	_exit(0);
}

TEST_F(forked, exec_keeps_the_file_but_no_window)
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

/* The user's own advice about fork must not give the child parent's pages. */
TEST_F(forked, advice_about_fork)
{
	static const int advice[] = {
		MADV_DOFORK, 18 /* WIPEONFORK */, 19 /* KEEPONFORK */,
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
			empty_then_own(&self->vm, 'c');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_TRUE(is_furnished(&self->vm, 'p'));
	}
}

TEST_F(forked, a_window_can_be_left_out)
{
	pid_t pid;

	ASSERT_EQ(0, furnish(&self->vm, 'p'));
	if (madvise(self->base, PAGES * PAGE, MADV_DONTFORK))
		SKIP(return, "MADV_DONTFORK is refused");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(probe_read(self->base + 8 * PAGE, NULL, NULL) == SIGSEGV);
		CHECK(ERRNO_OF(vm_munmap(&self->vm, self->base, PAGE)) == ENXIO);
		CHECK(altvm_window_map(self->fd, self->base, PAGES * PAGE,
				       RWX) == self->base);
		empty_then_own(&self->vm, 'c');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(is_furnished(&self->vm, 'p'));
}

static volatile bool stop;
static volatile long errors, rounds;

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

	for (i = 0; i < 3; i++) {
		arg[i][0] = &self->vm;
		arg[i][1] = (void *)(16 + 8 * i);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, work, arg[i]));
	}
	for (i = 0; i < scaled(40); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			empty_then_own(&self->vm, 'c');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, errors);
	EXPECT_LT(0, rounds);
}

TEST_F(forked, several_windows)
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
			empty_then_own(&vm[i], 'c' + i);
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

TEST_HARNESS_MAIN
