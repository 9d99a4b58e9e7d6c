// SPDX-License-Identifier: GPL-2.0
/*
 * process_madvise and process_mrelease: advice about the memory of another process,
 * and taking it away from one that has been killed.  Who may is in rights.c.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>

#include "fixture.h"
#include "memcg.h"
#include "memory.h"
#include "remote.h"

#define FIRST 8
#define NR 2048
#define ZONE (2 * NR)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

VM_FIXTURE(advice, ZONE);
VM_FIXTURE(release, ZONE);

static struct iovec pages(struct vm *vm, size_t page, size_t nr)
{
	return (struct iovec){ vm_page(vm, page), nr * PAGE };
}

/* Of those that there are for another process, which does this module know? */
static bool is_known(struct vm *vm, int advice)
{
	return vm_is_native(vm) ||
	       ERRNO_OF(vm_madvise(vm, vm_page(vm, 0), 0, advice)) != EINVAL;
}

TEST_F(advice, what_is_refused)
{
	static const int never[] = { MADV_NORMAL,
				     MADV_RANDOM,
				     MADV_SEQUENTIAL,
				     MADV_DONTNEED,
				     MADV_FREE,
				     MADV_REMOVE,
				     MADV_DONTFORK,
				     MADV_WIPEONFORK,
				     MADV_DONTDUMP,
				     MADV_POPULATE_READ,
				     MADV_HWPOISON,
				     -1,
				     99,
				     INT_MAX };
	static struct iovec many[1025];
	struct vm *vm = &self->vm;
	struct iovec vec = pages(vm, FIRST, 4);
	struct iovec bad = { vec.iov_base, -1UL };
	struct iovec kernel = { (void *)(1UL << 63), PAGE };
	struct peer peer = {};
	size_t i;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 4, RW));
	if (peer_fork(&peer))
		peer_idle(&peer);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		EXPECT_FAIL(EINVAL, vm_process_madvise(vm, peer.pidfd, &vec, 1,
						       never[i]));
	EXPECT_FAIL(EINVAL, vm->ops->process_madvise(vm, peer.pidfd, &vec, 1,
						     MADV_COLD, 1));
	EXPECT_FAIL(EINVAL, vm->ops->process_madvise(vm, -1, NULL, 1, MADV_COLD,
						     1U << 31));
	EXPECT_FAIL(EINVAL,
		    vm_process_madvise(vm, peer.pidfd, many, 1025, MADV_COLD));
	EXPECT_FAIL(EINVAL, vm_process_madvise(vm, -1, &bad, 1, MADV_COLD));
	EXPECT_FAIL(EFAULT,
		    vm_process_madvise(vm, peer.pidfd, NULL, 1, MADV_COLD));
	EXPECT_FAIL(EFAULT,
		    vm_process_madvise(vm, peer.pidfd, &kernel, 1, MADV_COLD));
	EXPECT_FAIL(EBADF, vm_process_madvise(vm, -1, &vec, 1, MADV_COLD));
	EXPECT_FAIL(EBADF, vm_process_madvise(vm, 0, &vec, 1, -1));
	EXPECT_FAIL(EBADF, vm_process_madvise(vm, 12345, NULL, 0, MADV_COLD));
	EXPECT_EQ(0, vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD));
	kill(peer.pid, SIGKILL);
	while (!vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD))
		;
	EXPECT_EQ(ESRCH, errno);
	end_of(peer.pid);
	EXPECT_FAIL(ESRCH, vm_process_madvise(vm, peer.pidfd, &vec, 1, -1));
	peer_end(&peer);
}

static const int useful[] = { MADV_COLD, MADV_PAGEOUT };

/* A child that has marked its copy. */
static bool marked_peer(struct vm *vm, struct peer *peer, size_t nr)
{
	if (peer_fork(peer)) {
		memset(vm_page(vm, FIRST), 'c', nr * PAGE);
		say(peer->line);
		peer_idle(peer);
	}
	return peer->pid > 0 && hear(peer->line);
}

static bool still_has(struct vm *vm, struct peer *peer, char want)
{
	char c = 0;

	return vm_fetch(vm, peer->pid, &c, vm_page(vm, FIRST), 1) == 1 &&
	       c == want;
}

TEST_F(advice, is_given)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST);
	struct iovec vecs[3] = { pages(vm, FIRST, 4), pages(vm, FIRST, 0),
				 pages(vm, FIRST + 8, 8) };
	struct peer peer = {};
	size_t i;

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 16, RW));
	memset(zone, 'p', 16 * PAGE);
	ASSERT_TRUE(marked_peer(vm, &peer, 16));
	for (i = 0; i < ARRAY_SIZE(useful); i++) {
		if (!is_known(vm, useful[i])) {
			EXPECT_FAIL(EINVAL,
				    vm_process_madvise(vm, peer.pidfd, vecs, 3,
						       useful[i]));
			continue;
		}
		EXPECT_EQ((ssize_t)(12 * PAGE),
			  vm_process_madvise(vm, peer.pidfd, vecs, 3,
					     useful[i]));
		EXPECT_TRUE(still_has(vm, &peer, 'c'));
		EXPECT_EQ('p', *zone);
		/* Of oneself, too. */
		EXPECT_EQ((ssize_t)(12 * PAGE),
			  vm_process_madvise(vm, open_pidfd(getpid()), vecs, 3,
					     useful[i]));
		EXPECT_EQ('p', *zone);
	}
	peer_end(&peer);
}

TEST_F(advice, is_given_in_part)
{
	struct vm *vm = &self->vm;
	struct iovec vecs[3] = { pages(vm, FIRST, 4), pages(vm, FIRST + 2, 4),
				 pages(vm, FIRST, 1) };
	struct iovec odd = { vm_page(vm, FIRST) + 1, PAGE };
	struct peer peer = {};

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 4, RW));
	ASSERT_TRUE(marked_peer(vm, &peer, 4));
	if (!is_known(vm, MADV_COLD))
		SKIP(return, "the module does not know MADV_COLD");
	EXPECT_EQ((ssize_t)(4 * PAGE),
		  vm_process_madvise(vm, peer.pidfd, vecs, 3, MADV_COLD));
	EXPECT_FAIL(ENOMEM,
		    vm_process_madvise(vm, peer.pidfd, vecs + 1, 2, MADV_COLD));
	EXPECT_FAIL(EINVAL,
		    vm_process_madvise(vm, peer.pidfd, &odd, 1, MADV_COLD));
	vecs[1] = odd;
	EXPECT_EQ((ssize_t)(4 * PAGE),
		  vm_process_madvise(vm, peer.pidfd, vecs, 3, MADV_COLD));
	peer_end(&peer);
}

/* A child that has not touched anything since it was forked. */
TEST_F(advice, to_an_idle_child)
{
	struct vm *vm = &self->vm;
	struct iovec vec = pages(vm, FIRST, 4);
	struct peer peer = {};
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, 4, RW, fd));
		memset(vm_page(vm, FIRST), 'p', 4 * PAGE);
		if (peer_fork(&peer))
			peer_idle(&peer);
		EXPECT_EQ(is_known(vm, MADV_COLD) ? 4 * (ssize_t)PAGE : -1,
			  vm_process_madvise(vm, peer.pidfd, &vec, 1,
					     MADV_COLD));
		EXPECT_TRUE(still_has(vm, &peer, 'p'));
		EXPECT_EQ('p', *vm_page(vm, FIRST));
		peer_end(&peer);
		close(fd);
	}
}

/* Windows: with which file they were made makes no difference. */
ALTVM_FIXTURE(windows, 64);

/* Another window in the child, with one page; where it is. */
static char *other_window(struct vm *other, void *at)
{
	CHECK(!vm_ioctl.open(other, at, 64 * PAGE, RWX));
	other->ops = &vm_ioctl;
	CHECK(vm_map_at(other, 0, 64, RW) == other->base);
	memset(other->base, 'c', 64 * PAGE);
	return other->base;
}

TEST_F(windows, of_another_file)
{
	struct vm *vm = &self->vm, other = {};
	struct peer peer = {};
	struct iovec vec = {};
	char *at;

	if (!is_known(vm, MADV_COLD))
		SKIP(return, "the module does not know MADV_COLD");
	if (peer_fork(&peer)) {
		at = other_window(&other, NULL);
		send(peer.line, &at, sizeof(at), 0);
		peer_idle(&peer);
	}
	ASSERT_EQ(sizeof(at), read(peer.line, &at, sizeof(at)));
	vec = (struct iovec){ at, 64 * PAGE };
	EXPECT_EQ((ssize_t)(64 * PAGE),
		  vm_process_madvise(vm, peer.pidfd, &vec, 1, MADV_COLD));
	peer_end(&peer);
}

TEST_F(windows, two_in_one_piece)
{
	struct vm *vm = &self->vm, two[2] = {};
	struct iovec vec = { NULL, 128 * PAGE };
	struct peer peer = {};
	char *at;

	if (!is_known(vm, MADV_COLD))
		SKIP(return, "the module does not know MADV_COLD");
	at = mmap(NULL, 130 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)at);
	ASSERT_EQ(0, munmap(at, 130 * PAGE));
	if (peer_fork(&peer)) {
		other_window(&two[0], at);
		other_window(&two[1], at + 64 * PAGE);
		say(peer.line);
		if (!hear(peer.line))
			_exit(0);
		CHECK(!vm_munmap(&two[1], two[1].base, PAGE));
		say(peer.line);
		peer_idle(&peer);
	}
	ASSERT_TRUE(hear(peer.line));
	vec.iov_base = at;
	EXPECT_EQ((ssize_t)(128 * PAGE),
		  vm_process_madvise(vm, peer.pidfd, &vec, 1, MADV_COLD));
	vec.iov_len = 129 * PAGE;
	EXPECT_FAIL(ENOMEM,
		    vm_process_madvise(vm, peer.pidfd, &vec, 1, MADV_COLD));
	say(peer.line);
	ASSERT_TRUE(hear(peer.line));
	vec.iov_len = 128 * PAGE;
	EXPECT_FAIL(ENOMEM,
		    vm_process_madvise(vm, peer.pidfd, &vec, 1, MADV_COLD));
	peer_end(&peer);
}

TEST_F(windows, there_is_none)
{
	struct vm *vm = &self->vm;
	struct iovec vec = { self->base, PAGE };
	struct peer peer = {};

	if (peer_fork(&peer)) {
		munmap(vm->base, vm->len);
		say(peer.line);
		peer_idle(&peer);
	}
	ASSERT_TRUE(hear(peer.line));
	EXPECT_FAIL(ENXIO,
		    vm_process_madvise(vm, peer.pidfd, &vec, 1, MADV_COLD));
	EXPECT_EQ(0, vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD));
	peer_end(&peer);
}

/* What the kernel's own calls do to windows. */
TEST_F(windows, the_kernels_advice)
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
				      MADV_COLLAPSE };
	struct vm *vm = &self->vm;
	struct iovec vec = { self->base, 64 * PAGE };
	struct peer peer = {};
	size_t i;

	ASSERT_EQ(self->base, vm_map_at(vm, 0, 64, RW));
	ASSERT_TRUE(marked_peer(vm, &peer, 16));
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		vm_native.process_madvise(vm, peer.pidfd, &vec, 1, advice[i],
					  0);
		EXPECT_TRUE(still_has(vm, &peer, 'c'));
	}
	peer_end(&peer);
}

/* A process that begins to end, and does so when it is let. */
static void end_under_trace(struct vm *vm)
{
	CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	/* In its last moments the kernel looks at memory in the zone. */
	syscall(SYS_set_robust_list, vm_page(vm, FIRST), 24);
	raise(SIGSTOP);
	_exit(0);
}

/* Has a traced child come to its end? */
static bool comes_to_its_end(pid_t pid)
{
	const int end = SIGTRAP | PTRACE_EVENT_EXIT << 8;
	int status;

	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) &&
	       !ptrace(PTRACE_SETOPTIONS, pid, NULL,
		       PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) &&
	       !ptrace(PTRACE_CONT, pid, NULL, NULL) &&
	       waitpid(pid, &status, __WALL) == pid && status >> 8 == end;
}

static long resident_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return proc_number(path, "VmRSS:") * 1024;
}

/* It goes on, and has ended. */
static int end_of_traced(struct peer *peer)
{
	int status = -1;

	if (!ptrace(PTRACE_CONT, peer->pid, NULL, NULL))
		status = end_of(peer->pid);
	close(peer->line);
	close(peer->pidfd);
	return status;
}

/* With private and shared memory, of files too; then it ends. */
static void be_large(struct vm *vm, int fd)
{
	CHECK(vm_map_at(vm, FIRST, NR, RW) == vm_page(vm, FIRST));
	memset(vm_page(vm, FIRST), 0, NR * PAGE);
	CHECK(memory_map(vm, SHARED_FILE, FIRST + NR, 1, RW, fd) != MAP_FAILED);
	CHECK(memory_map(vm, PRIVATE_FILE, FIRST + NR + 1, 1, RW, fd) !=
	      MAP_FAILED);
	*vm_page(vm, FIRST + NR + 1) = 'c';
	CHECK(vm_page(vm, FIRST + NR)[0] == 't');
	end_under_trace(vm);
}

TEST_F(release, frees_what_is_private)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	char buffer[8] = {};
	int fd = nameless_file(files_dir(), ZONE * PAGE);

	ASSERT_LE(0, fd);
	ASSERT_EQ(8, pwrite(fd, "the file", 8, (FIRST + NR) * PAGE));
	if (peer_fork(&peer))
		be_large(vm, fd);
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	ASSERT_LT((long)(NR * PAGE), resident_of(peer.pid));
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	EXPECT_GT((long)(NR * PAGE / 2), resident_of(peer.pid));
	/* There is nothing in its place, not even zeros. */
	EXPECT_EQ(-EFAULT,
		  vm_fetch(vm, peer.pid, buffer, vm_page(vm, FIRST), 8));
	EXPECT_EQ(-EFAULT, vm_put(vm, peer.pid, vm_page(vm, FIRST), buffer, 8));
	/* Natively one may read what is cached of the file. */
	if (!vm_is_native(vm))
		EXPECT_EQ(-EFAULT, vm_fetch(vm, peer.pid, buffer,
					    vm_page(vm, FIRST + NR + 1), 8));
	EXPECT_EQ(-EFAULT,
		  vm_put(vm, peer.pid, vm_page(vm, FIRST + NR + 1), buffer, 8));
	EXPECT_EQ(8,
		  vm_fetch(vm, peer.pid, buffer, vm_page(vm, FIRST + NR), 8));
	EXPECT_EQ(0, memcmp(buffer, "the file", 8));
	/* Once more does no harm. */
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	EXPECT_EQ(0, end_of_traced(&peer));
	close(fd);
}

/* Not only its page tables are empty. */
TEST_F(release, gives_the_memory_back)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	struct peer peer = {};
	struct memcg group;
	long before, i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(8, pwrite(fd, "the file", 8, (FIRST + NR) * PAGE));
	if (geteuid() || !memcg_open(&group, 64 * MiB, false))
		SKIP(return, "no memory control groups");
	if (peer_fork(&peer)) {
		CHECK(!memcg_enter(&group));
		be_large(vm, fd);
	}
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	before = memcg_get(&group, "memory.current", "");
	EXPECT_LT((long)(NR * PAGE), before);
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	/* What is charged is counted by the batch. */
	for (i = 0; i < 100 && memcg_get(&group, "memory.current", "") >
				       before - (long)(NR * PAGE / 2);
	     i++)
		usleep(20000);
	EXPECT_GT(100, i);
	EXPECT_EQ(0, end_of_traced(&peer));
	close(fd);
	for (i = 0; i < 100 && memcg_close(&group); i++)
		usleep(20000);
	EXPECT_GT(100, i);
}

/* A debugger is not told of zeros either. */
TEST_F(release, debuggers)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	char path[64], c;
	int fd;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 16, RW));
	memset(vm_page(vm, FIRST), 'p', 16 * PAGE);
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST + 8), PAGE, PROT_NONE));
	if (peer_fork(&peer))
		end_under_trace(vm);
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	snprintf(path, sizeof(path), "/proc/%d/mem", peer.pid);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, pread(fd, &c, 1, (off_t)vm_page(vm, FIRST)));
	EXPECT_EQ(1, pread(fd, &c, 1, (off_t)vm_page(vm, FIRST + 8)));
	EXPECT_EQ('p', c);
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	EXPECT_FAIL(EIO, pread(fd, &c, 1, (off_t)vm_page(vm, FIRST)));
	EXPECT_FAIL(EIO, pread(fd, &c, 1, (off_t)vm_page(vm, FIRST + 8)));
	EXPECT_FAIL(EIO, pwrite(fd, &c, 1, (off_t)vm_page(vm, FIRST)));
	EXPECT_FAIL(EIO, pwrite(fd, &c, 1, (off_t)vm_page(vm, FIRST + 8)));
	close(fd);
	end_of_traced(&peer);
	EXPECT_EQ('p', *vm_page(vm, FIRST));
}

/* What others have too, they keep. */
TEST_F(release, others_keep_theirs)
{
	struct vm *vm = &self->vm;
	struct peer peer = {}, idle = {};
	size_t i, bad = 0;
	enum memory m;
	char c;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, 600, RW, fd));
		memset(vm_page(vm, FIRST), 'p', 600 * PAGE);
		if (peer_fork(&idle))
			peer_idle(&idle);
		if (peer_fork(&peer)) {
			for (i = 0; i < 600; i += 2)
				*vm_page(vm, FIRST + i) = 'p';
			*vm_page(vm, FIRST) = 'p';
			end_under_trace(vm);
		}
		ASSERT_TRUE(comes_to_its_end(peer.pid));
		EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
		end_of_traced(&peer);
		for (i = 0; i < 600; i++) {
			bad += *vm_page(vm, FIRST + i) != 'p';
			*vm_page(vm, FIRST + i) = 'q';
		}
		EXPECT_EQ(0, bad);
		EXPECT_EQ(1, vm_fetch(vm, idle.pid, &c, vm_page(vm, FIRST), 1));
		EXPECT_EQ(memory_is_shared(m) ? 'q' : 'p', c);
		peer_end(&idle);
		close(fd);
	}
}

/* One that has not touched anything since it was forked. */
TEST_F(release, an_idle_child)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	size_t i;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 600, RW));
	memset(vm_page(vm, FIRST), 'p', 600 * PAGE);
	if (peer_fork(&peer)) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	for (i = 0; i < 600; i++)
		ASSERT_EQ('p', *vm_page(vm, FIRST + i));
	end_of_traced(&peer);
}

TEST_F(release, what_is_refused)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	int fd;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 4, RW));
	memset(vm_page(vm, FIRST), 'p', 4 * PAGE);
	EXPECT_FAIL(EBADF, vm_mrelease(vm, -1));
	EXPECT_FAIL(EBADF, vm_mrelease(vm, 0));
	EXPECT_FAIL(EBADF, vm_mrelease(vm, INT_MAX));
	EXPECT_FAIL(EINVAL, vm->ops->process_mrelease(vm, -1, 1));
	if (peer_fork(&peer))
		peer_idle(&peer);
	/* It lives. */
	EXPECT_FAIL(EINVAL, vm_mrelease(vm, peer.pidfd));
	EXPECT_FAIL(EINVAL, vm->ops->process_mrelease(vm, peer.pidfd, 1));
	EXPECT_TRUE(still_has(vm, &peer, 'p'));
	fd = open_pidfd(getpid());
	EXPECT_FAIL(EINVAL, vm_mrelease(vm, fd));
	EXPECT_EQ('p', *vm_page(vm, FIRST));
	close(fd);
	/* It has no memory any more. */
	kill(peer.pid, SIGKILL);
	while (!vm_mrelease(vm, peer.pidfd))
		;
	EXPECT_EQ(ESRCH, errno);
	end_of(peer.pid);
	EXPECT_FAIL(ESRCH, vm_mrelease(vm, peer.pidfd));
	peer_end(&peer);
	/* Nor has a kernel thread. */
	fd = open_pidfd(2);
	if (fd >= 0)
		EXPECT_FAIL(ESRCH, vm_mrelease(vm, fd));
	close(fd);
}

static int waits_for_its_line(void *arg)
{
	hear(*(int *)arg);
	_exit(0);
}

/* Another process has the same memory, and lives. */
TEST_F(release, shared_with_one_that_lives)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	struct vm *vm = &self->vm;
	struct peer peer = {};
	pid_t other;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 4, RW));
	if (peer_fork(&peer)) {
		other = clone(waits_for_its_line, stack + sizeof(stack),
			      CLONE_VM | SIGCHLD, &peer.line);
		memset(vm_page(vm, FIRST), 'c', 4 * PAGE);
		send(peer.line, &other, sizeof(other), 0);
		end_under_trace(vm);
	}
	ASSERT_EQ(sizeof(other), read(peer.line, &other, sizeof(other)));
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	EXPECT_FAIL(EINVAL, vm_mrelease(vm, peer.pidfd));
	EXPECT_TRUE(still_has(vm, &peer, 'c'));
	kill(other, SIGKILL);
	while (vm_mrelease(vm, peer.pidfd))
		ASSERT_EQ(EINVAL, errno);
	end_of_traced(&peer);
}

static void *uses_memory(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { getpid() };

	for (;;) {
		size_t page = FIRST + rng_below(&rng, 600);

		switch (rng_below(&rng, 10)) {
		case 8:
			vm->ops->mremap(vm, vm_page(vm, page), 3 * PAGE,
					3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					vm_page(vm, page ^ 512));
			break;
		case 9:
			vm_madvise(vm, vm_page(vm, page), 3 * PAGE,
				   MADV_DONTNEED);
			break;
		case 0:
			vm_munmap(vm, vm_page(vm, page), 3 * PAGE);
			break;
		case 1:
			vm_map_at(vm, page, 3, RW);
			break;
		case 2:
			vm_mprotect(vm, vm_page(vm, page), 3 * PAGE, PROT_READ);
			break;
		case 3:
			vm_mprotect(vm, vm_page(vm, page), 3 * PAGE, RW);
			break;
		case 4:
			vm_mmap(vm, vm_page(vm, page), 3 * PAGE, RW,
				ANON | MAP_FIXED | MAP_POPULATE);
			break;
		default:
			probe_rewrite(vm_page(vm, page), NULL);
		}
	}
	return NULL;
}

static void be_busy(struct vm *vm, struct peer *peer, bool forks)
{
	pthread_t threads[2];
	pid_t pid;

	CHECK(vm_map_at(vm, FIRST, 610, RW) == vm_page(vm, FIRST));
	memset(vm_page(vm, FIRST), 'c', 610 * PAGE);
	CHECK(!pthread_create(&threads[0], NULL, uses_memory, vm));
	CHECK(!pthread_create(&threads[1], NULL, uses_memory, vm));
	say(peer->line);
	while (forks) {
		pid = fork();
		if (!pid)
			_exit(0);
		end_of(pid);
	}
	uses_memory(vm);
}

/* Killed in the middle of everything, and released at once, by two at a time. */
TEST_F_TIMEOUT(release, while_it_is_busy, SLOW)
{
	struct vm *vm = &self->vm;
	struct peer peer = {}, helper = {};
	struct rng rng = { 11 };
	int i, err;

	for (i = 0; i < scaled(40); i++) {
		if (peer_fork(&peer))
			be_busy(vm, &peer, i % 2);
		ASSERT_TRUE(hear(peer.line));
		if (peer_fork(&helper)) {
			while (vm_mrelease(vm, peer.pidfd) == 0 ||
			       errno != ESRCH)
				;
			_exit(0);
		}
		usleep(rng_below(&rng, 20000));
		kill(peer.pid, SIGKILL);
		do
			err = ERRNO_OF(vm_mrelease(vm, peer.pidfd));
		while (!err);
		EXPECT_EQ(ESRCH, err);
		EXPECT_EQ(0, end_of(helper.pid));
		close(helper.line);
		close(helper.pidfd);
		peer_end(&peer);
	}
}

/* The caller is killed; the process ends all the same. */
TEST_F_TIMEOUT(release, the_caller_is_killed, SLOW)
{
	struct vm *vm = &self->vm;
	struct peer peer = {}, caller = {};
	struct rng rng = { 12 };
	int i;

	for (i = 0; i < scaled(20); i++) {
		if (peer_fork(&peer)) {
			vm_map_at(vm, FIRST, 600, RW);
			memset(vm_page(vm, FIRST), 'c', 600 * PAGE);
			end_under_trace(vm);
		}
		ASSERT_TRUE(comes_to_its_end(peer.pid));
		if (peer_fork(&caller)) {
			say(caller.line);
			while (!vm_mrelease(vm, peer.pidfd))
				;
			_exit(0);
		}
		ASSERT_TRUE(hear(caller.line));
		usleep(rng_below(&rng, 3000));
		peer_end(&caller);
		EXPECT_EQ(0, end_of_traced(&peer));
	}
}

/* Who has a pidfd may, as the kernel sees it. */
TEST_F(release, by_nobody)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	pid_t pid;

	if (geteuid())
		SKIP(return, "not root");
	if (peer_fork(&peer))
		end_under_trace(vm);
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!setresuid(65534, 65534, 65534));
		CHECK(!vm_mrelease(vm, peer.pidfd));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	end_of_traced(&peer);
}

/* The kernel's own leaves the window alone; nobody is told of zeros then. */
TEST_F(windows, the_kernels_release)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	char c;

	ASSERT_EQ(self->base, vm_map_at(vm, 0, 64, RW));
	if (peer_fork(&peer)) {
		memset(vm_page(vm, FIRST), 'c', 16 * PAGE);
		end_under_trace(vm);
	}
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	EXPECT_EQ(0, vm_native.process_mrelease(vm, peer.pidfd, 0));
	EXPECT_EQ(1, vm_fetch(vm, peer.pid, &c, vm_page(vm, FIRST), 1));
	EXPECT_EQ('c', c);
	EXPECT_EQ(0, vm_mrelease(vm, peer.pidfd));
	EXPECT_EQ(-EFAULT, vm_fetch(vm, peer.pid, &c, vm_page(vm, FIRST), 1));
	EXPECT_EQ(0, vm_native.process_mrelease(vm, peer.pidfd, 0));
	end_of_traced(&peer);
}

/* Through the library. */
TEST(library)
{
	struct peer peer = {};
	struct iovec vec;
	struct vm vm;

	if (!vm_available(&vm_lib))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&vm, &vm_lib, 64 * PAGE));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&vm, FIRST, 8, RW));
	if (peer_fork(&peer))
		end_under_trace(&vm);
	vec = pages(&vm, FIRST, 8);
	EXPECT_EQ(0, vm_process_madvise(&vm, peer.pidfd, &vec, 0, MADV_COLD));
	EXPECT_FAIL(EINVAL, vm_process_madvise(&vm, peer.pidfd, &vec, 1, -1));
	EXPECT_EQ(is_known(&vm, MADV_COLD) ? 8 * (ssize_t)PAGE : -1,
		  vm_process_madvise(&vm, peer.pidfd, &vec, 1, MADV_COLD));
	EXPECT_FAIL(EINVAL, vm_mrelease(&vm, peer.pidfd));
	ASSERT_TRUE(comes_to_its_end(peer.pid));
	EXPECT_EQ(0, vm_mrelease(&vm, peer.pidfd));
	EXPECT_FAIL(EINVAL, vm.ops->process_mrelease(&vm, peer.pidfd, 2));
	end_of_traced(&peer);
	vm_close(&vm);
}

TEST_HARNESS_MAIN
