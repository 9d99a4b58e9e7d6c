// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of every operation fails once.
 *
 * /proc/thread-self/fail-nth makes the n-th allocation (or copy from or to user
 * memory) that the thread makes fail.  For n = 1, 2, ... until nothing failed any
 * more, each operation is tried on a fresh zone.  When it fails it must say so
 * and have changed nothing; then, without a failure, it must work.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION.
 */
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "memory.h"
#include "remote.h"
#include "nodes.h"

/* Two tables, and the edge between them. */
#define PAGES 4096
#define FIRST 500
#define NR 24
#define MAX_NTH 3000

static int fail_nth_fd = -1;

static void fail_nth(long n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%ld", n);

	/* Reading the number is a copy too, and may be the one that fails. */
	if (pwrite(fail_nth_fd, text, len, 0) != len &&
	    pwrite(fail_nth_fd, text, len, 0) != len)
		abort();
}

/* Ends the injection.  Did anything fail before this? */
static bool failed_nth(void)
{
	char text[16] = "";
	bool failed = pread(fail_nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		      atol(text) == 0;

	fail_nth(0);
	return failed;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "# %s: %s\n", path, strerror(errno));
	close(fd);
}

#define DEBUG "/sys/kernel/debug/"

static bool injection_ready(void)
{
	if (access(DEBUG "failslab", F_OK))
		mount("debugfs", DEBUG, "debugfs", 0, NULL);
	if (access(DEBUG "failslab", F_OK))
		return false;
	/* Also those that may sleep; and without a stack trace for each. */
	put(DEBUG "failslab/ignore-gfp-wait", "N");
	put(DEBUG "failslab/cache-filter", "N");
	put(DEBUG "failslab/verbose", "0");
	put(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	put(DEBUG "fail_page_alloc/ignore-gfp-highmem", "N");
	put(DEBUG "fail_page_alloc/min-order", "0");
	put(DEBUG "fail_page_alloc/verbose", "0");
	put(DEBUG "fail_usercopy/verbose", "0");
	/*
	 * The C library registers an area that the kernel reads after each
	 * preemption; a process for which that fails is killed.
	 */
	syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
		sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fail_nth_fd >= 0;
}

#define ALL_WRITABLE "....wwwwwwwwwwwwwwwwwwwwwwww...."
#define ALL_MARKED "mmmmmmmmmmmmmmmmmmmmmmmm"

/* One character for each page from FIRST - 4 on: '.', '-', 'r' or 'w'. */
struct layout {
	char page[NR + 9];
};

static struct layout layout_of(struct vm *vm)
{
	struct layout l = {};
	size_t i;

	for (i = 0; i < NR + 8; i++) {
		char *p = vm->base + (FIRST - 4 + i) * PAGE;
		struct fault f;

		if (!probe_rewrite(p, &f))
			l.page[i] = 'w';
		else if (f.code == SEGV_MAPERR)
			l.page[i] = '.';
		else
			l.page[i] = probe_read(p, NULL, NULL) ? '-' : 'r';
	}
	return l;
}

/* Page i of NR holds the mark i + 1, or nothing. */
static bool contents_ok(struct vm *vm, const char *marked)
{
	size_t i;

	for (i = 0; i < NR; i++) {
		char *p = vm->base + (FIRST + i) * PAGE;
		uint64_t value;

		if (probe_read(p, &value, NULL))
			continue;
		/* 'x' has come from 16 pages on. */
		if (value != (marked[i] == 'm' ? i + 1 :
			      marked[i] == 'x' ? i + 17 :
						 0)) {
			fprintf(stderr, "# page %zu holds %#lx\n", i, value);
			return false;
		}
	}
	return true;
}

static int prepare(struct vm *vm)
{
	size_t i;

	if (vm_munmap(vm, vm->base, PAGES * PAGE) ||
	    vm_map_at(vm, FIRST, NR, RW) == MAP_FAILED)
		return -1;
	for (i = 0; i < NR; i++)
		*(uint64_t *)(vm->base + (FIRST + i) * PAGE) = i + 1;
	return 0;
}

static int alternate(struct vm *vm)
{
	size_t i;

	if (prepare(vm))
		return -1;
	for (i = 0; i < NR; i += 2)
		if (vm_mprotect(vm, vm->base + (FIRST + i) * PAGE, PAGE,
				PROT_READ))
			return -1;
	return 0;
}

static int do_mmap(struct vm *vm)
{
	return ERRNO_OF(vm_map_at(vm, FIRST - 4, 4, RW));
}

static int do_mmap_anywhere(struct vm *vm)
{
	char *p = vm_mmap(vm, NULL, 3 * PAGE, RW, ANON);
	int err = p == MAP_FAILED ? errno : 0;

	if (!err)
		vm_munmap(vm, p, 3 * PAGE);
	return err;
}

static int do_replace(struct vm *vm)
{
	return ERRNO_OF(vm_map_at(vm, FIRST + 8, 8, PROT_READ));
}

static int do_populate(struct vm *vm)
{
	return ERRNO_OF(vm_mmap(vm, vm->base + (FIRST + 8) * PAGE, 8 * PAGE, RW,
				ANON | MAP_FIXED | MAP_POPULATE));
}

static int do_unmap_middle(struct vm *vm)
{
	return ERRNO_OF(vm_munmap(vm, vm->base + (FIRST + 8) * PAGE, 8 * PAGE));
}

static int do_unmap_all(struct vm *vm)
{
	return ERRNO_OF(vm_munmap(vm, vm->base, PAGES * PAGE));
}

static int do_protect_middle(struct vm *vm)
{
	return ERRNO_OF(vm_mprotect(vm, vm->base + (FIRST + 8) * PAGE, 8 * PAGE,
				    PROT_READ));
}

static int do_protect_all(struct vm *vm)
{
	return ERRNO_OF(vm_mprotect(vm, vm_page(vm, FIRST), NR * PAGE, RW));
}

static int do_hide_all(struct vm *vm)
{
	char *p = vm_page(vm, FIRST);

	return ERRNO_OF(vm_mprotect(vm, p, NR * PAGE, PROT_NONE));
}

static int do_mincore(struct vm *vm)
{
	unsigned char vec[NR];

	return ERRNO_OF(vm_mincore(vm, vm_page(vm, FIRST), NR * PAGE, vec));
}

/* Pages move away from where they are, on whichever node that is. */
static int do_mbind(struct vm *vm)
{
	return ERRNO_OF(vm_mbind(vm, vm_page(vm, FIRST + 4), 16 * PAGE,
				 MPOL_INTERLEAVE, nodes_there() & 2 ? 2 : 1,
				 MPOL_MF_MOVE));
}

static int do_set_mempolicy(struct vm *vm)
{
	return ERRNO_OF(vm_set_mempolicy(vm, MPOL_PREFERRED, 1));
}

static int remap(struct vm *vm, size_t from, size_t pages, size_t new_pages,
		 int flags, size_t to)
{
	int err = ERRNO_OF(vm_mremap(vm, vm_page(vm, from), pages * PAGE,
				     new_pages * PAGE, flags, vm_page(vm, to)));

	if (err || !(flags & MREMAP_FIXED))
		return err;
	return *(uint64_t *)vm_page(vm, to) == from - FIRST + 1 ? 0 : EDOM;
}

#define MOVE (MREMAP_MAYMOVE | MREMAP_FIXED)

/* The middle, onto what is there, and where there is no table yet. */
static int do_move_over(struct vm *vm)
{
	return remap(vm, FIRST + 16, 8, 8, MOVE, FIRST);
}

static int do_move_and_leave(struct vm *vm)
{
	return remap(vm, FIRST + 16, 8, 8, MOVE | MREMAP_DONTUNMAP, 100);
}

static int do_move_away(struct vm *vm)
{
	return remap(vm, FIRST + 8, 8, 16, MOVE, 2000);
}

/* More than are moved one by one. */
static int do_move_all(struct vm *vm)
{
	return remap(vm, FIRST, NR, NR, MOVE, 2000);
}

/* A whole table. */
static int prepare_table(struct vm *vm)
{
	if (prepare(vm))
		return -1;
	return ERRNO_OF(vm_map_at(vm, FIRST + NR, 1024 - FIRST - NR, RW));
}

static int do_move_table(struct vm *vm)
{
	return remap(vm, 512, 512, 512, MOVE, 2048);
}

static int do_grow(struct vm *vm)
{
	return remap(vm, FIRST + 20, 4, 8, 0, 0);
}

static int do_shrink(struct vm *vm)
{
	return remap(vm, FIRST + 4, 20, 4, 0, 0);
}

static int do_find_place(struct vm *vm)
{
	return remap(vm, FIRST + 8, 8, 40, MREMAP_MAYMOVE, 0);
}

static const struct operation {
	const char *name;
	int (*prepare)(struct vm *vm);
	int (*run)(struct vm *vm);
	const char *after;
	const char *marked;
} operations[] = {
	{ "mmap", prepare, do_mmap, "wwwwwwwwwwwwwwwwwwwwwwwwwwww....",
	  "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mmap anywhere", prepare, do_mmap_anywhere,
	  "....wwwwwwwwwwwwwwwwwwwwwwww....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mmap over others", alternate, do_replace,
	  "....rwrwrwrwrrrrrrrrrwrwrwrw....", "mmmmmmmm........mmmmmmmm" },
	{ "populate", prepare, do_populate, "....wwwwwwwwwwwwwwwwwwwwwwww....",
	  "mmmmmmmm........mmmmmmmm" },
	{ "munmap in the middle", prepare, do_unmap_middle,
	  "....wwwwwwww........wwwwwwww....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "munmap of many", alternate, do_unmap_all,
	  "................................", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mprotect in the middle", prepare, do_protect_middle,
	  "....wwwwwwwwrrrrrrrrwwwwwwww....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mprotect of many", alternate, do_protect_all,
	  "....wwwwwwwwwwwwwwwwwwwwwwww....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mprotect to nothing", alternate, do_hide_all,
	  "....------------------------....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mbind", alternate, do_mbind, "....rwrwrwrwrwrwrwrwrwrwrwrw....",
	  "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "set_mempolicy", alternate, do_set_mempolicy,
	  "....rwrwrwrwrwrwrwrwrwrwrwrw....", "mmmmmmmmmmmmmmmmmmmmmmmm" },
	{ "mremap, over others", prepare, do_move_over,
	  "....wwwwwwwwwwwwwwww............", "xxxxxxxxmmmmmmmm........" },
	{ "mremap and leave", prepare, do_move_and_leave,
	  "....wwwwwwwwwwwwwwwwwwwwwwww....", "mmmmmmmmmmmmmmmm........" },
	{ "mremap, away", prepare, do_move_away,
	  "....wwwwwwww........wwwwwwww....", "mmmmmmmm........mmmmmmmm" },
	{ "mremap of all", prepare, do_move_all,
	  "................................", ALL_MARKED },
	{ "mremap of a table", prepare_table, do_move_table,
	  "....wwwwwwwwwwww................", "mmmmmmmmmmmm............" },
	{ "mremap in place, longer", prepare, do_grow,
	  "....wwwwwwwwwwwwwwwwwwwwwwwwwwww", ALL_MARKED },
	{ "mremap in place, shorter", prepare, do_shrink,
	  "....wwwwwwww....................", ALL_MARKED },
	{ "mremap somewhere", prepare, do_find_place,
	  "....wwwwwwww........wwwwwwww....", ALL_MARKED },
	{ "mincore", alternate, do_mincore, "....rwrwrwrwrwrwrwrwrwrwrwrw....",
	  "mmmmmmmmmmmmmmmmmmmmmmmm" },
};

ALTVM_FIXTURE(failslab, PAGES);

static bool may_say(int err)
{
	/*
	 * EFAULT: it was a copy that failed.  ENOSPC: that is what mmap() says
	 * without memory for the inode of MAP_SHARED | MAP_ANONYMOUS.
	 */
	return err == ENOMEM || err == EFAULT || err == EAGAIN || err == ENOSPC;
}

static const char all_marked[] = "mmmmmmmmmmmmmmmmmmmmmmmm";

/*
 * mprotect() changes one area after the other, as the kernel's does: those before
 * the one that failed stay changed.
 */
static void expect_undone(struct __test_metadata *_metadata,
			  const struct operation *op, const char *before,
			  const char *now)
{
	size_t i = 0;

	while (!strncmp(op->name, "mprotect", 8) && now[i] &&
	       now[i] == op->after[i])
		i++;
	EXPECT_STREQ(before + i, now + i)
	{
		TH_LOG("%s: failed, but not as before", op->name);
	}
}

/* True while there was something to fail. */
static bool try_nth(struct __test_metadata *_metadata, struct vm *vm,
		    const struct operation *op, long n)
{
	struct layout before, now;
	bool injected;
	int err;

	ASSERT_EQ(0, op->prepare(vm));
	before = layout_of(vm);
	fail_nth(n);
	err = op->run(vm);
	injected = failed_nth();
	now = layout_of(vm);
	if (err) {
		EXPECT_TRUE(injected && may_say(err))
		{
			TH_LOG("%s, %ld: %s", op->name, n, strerror(err));
		}
		/* A result that cannot be written comes too late for that. */
		if (err == EFAULT && !strcmp(op->after, now.page))
			return injected;
		expect_undone(_metadata, op, before.page, now.page);
		EXPECT_TRUE(contents_ok(vm, all_marked));
		/* Once more, in peace. */
		EXPECT_EQ(0, op->run(vm));
		now = layout_of(vm);
	}
	EXPECT_STREQ(op->after, now.page)
	{
		TH_LOG("%s, %ld", op->name, n);
	}
	EXPECT_TRUE(contents_ok(vm, op->marked));
	return injected;
}

TEST_F_TIMEOUT(failslab, operations, SLOW)
{
	size_t i;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		for (n = 1; n < MAX_NTH; n++)
			if (!try_nth(_metadata, &self->vm, &operations[i], n))
				break;
		TH_LOG("%s: %ld failures", operations[i].name, n - 1);
		EXPECT_GT(MAX_NTH, n);
	}
}

/* An access is made again until there is memory. */
TEST_F_TIMEOUT(failslab, accesses, SLOW)
{
	bool injected = true;
	uint64_t value;
	long n;
	int write;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (write = 0; write < 2; write++) {
		for (n = 1, injected = true; injected && n < MAX_NTH; n++) {
			char *p = self->base + FIRST * PAGE;
			int sig;

			/* New tables each time: a new window. */
			munmap(self->base, PAGES * PAGE);
			ASSERT_EQ(self->base,
				  altvm_window_map(self->fd, self->base,
						   PAGES * PAGE, RWX));
			ASSERT_EQ(p, vm_map_at(&self->vm, FIRST, NR, RW));
			fail_nth(n);
			sig = write ? probe_write(p, 42, NULL) :
				      probe_read(p, &value, NULL);
			injected = failed_nth();
			EXPECT_EQ(0, sig)
			{
				TH_LOG("write %d, %ld", write, n);
			}
			EXPECT_EQ(write ? 42 : 0, *(uint64_t *)p);
			EXPECT_EQ(0, probe_write(p + PAGE, 1, NULL));
		}
		TH_LOG("%s: %ld failures", write ? "write" : "read", n - 2);
		EXPECT_GT(MAX_NTH, n);
	}
}

/* The kernel's own access cannot be made again: EFAULT, or less. */
TEST_F_TIMEOUT(failslab, kernel_accesses, SLOW)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool injected = true;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (n = 1; injected && n < MAX_NTH; n++) {
		char *p = self->base + FIRST * PAGE;
		ssize_t ret;

		munmap(self->base, PAGES * PAGE);
		ASSERT_EQ(self->base, altvm_window_map(self->fd, self->base,
						       PAGES * PAGE, RWX));
		ASSERT_EQ(p, vm_map_at(&self->vm, FIRST, NR, RW));
		fail_nth(n);
		ret = read(fd, p, NR * PAGE);
		injected = failed_nth();
		EXPECT_TRUE(ret == NR * PAGE || injected);
		EXPECT_TRUE(ret >= 0 || errno == EFAULT || errno == ENOMEM);
		EXPECT_EQ(NR * PAGE, read(fd, p, NR * PAGE));
	}
	TH_LOG("%ld failures", n - 2);
	EXPECT_GT(MAX_NTH, n);
}

TEST_F_TIMEOUT(failslab, open_and_window, SLOW)
{
	bool injected = true;
	struct altvm_query q;
	long n, opened = 0;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (n = 1; injected && n < MAX_NTH; n++) {
		char *base = MAP_FAILED;
		int fd, err;

		fail_nth(n);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		err = errno;
		if (fd >= 0)
			base = altvm_window_map(fd, NULL, PAGES * PAGE, RW);
		if (base == MAP_FAILED && fd >= 0)
			err = errno;
		injected = failed_nth();
		opened += fd >= 0;
		if (base == MAP_FAILED) {
			EXPECT_TRUE(injected && may_say(err))
			{
				TH_LOG("%ld: %s", n, strerror(err));
			}
		}
		if (fd < 0)
			continue;
		if (base == MAP_FAILED) {
			ASSERT_EQ(0, altvm_ioctl_query(fd, &q));
			EXPECT_EQ(0, q.window_len);
			base = altvm_window_map(fd, NULL, PAGES * PAGE, RW);
			ASSERT_NE(MAP_FAILED, (void *)base);
		}
		ASSERT_EQ(0, altvm_ioctl_query(fd, &q));
		EXPECT_EQ((uintptr_t)base, q.window_addr);
		EXPECT_EQ(0, munmap(base, PAGES * PAGE));
		close(fd);
	}
	TH_LOG("%ld failures", n - 2);
	EXPECT_GT(MAX_NTH, n);
	EXPECT_LT(0, opened);
}

TEST_F_TIMEOUT(failslab, unmapping_the_window, SLOW)
{
	bool injected = true;
	long n;
	int err;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (n = 1; injected && n < MAX_NTH; n++) {
		ASSERT_EQ(0, alternate(&self->vm));
		fail_nth(n);
		err = ERRNO_OF(munmap(self->base, PAGES * PAGE));
		injected = failed_nth();
		if (err) {
			/* It was the kernel's own part that failed. */
			EXPECT_EQ(ENOMEM, err);
			EXPECT_TRUE(contents_ok(&self->vm, all_marked));
			EXPECT_EQ(0, prepare(&self->vm));
			ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
		}
		ASSERT_EQ(self->base, altvm_window_map(self->fd, self->base,
						       PAGES * PAGE, RWX));
	}
	TH_LOG("%ld failures", n - 2);
	EXPECT_GT(MAX_NTH, n);
}

/*
 * A child for which there was no memory has a window that is not one, and says so;
 * else it has all that the parent had.
 */
static int be_child(struct vm *vm)
{
	struct altvm_query q;
	struct fault f;
	uint64_t value;
	char *p = vm->base + FIRST * PAGE;
	int err;

	if (!probe_read(p, &value, &f)) {
		if (!contents_ok(vm, all_marked))
			return 1;
		return prepare(vm) || !contents_ok(vm, all_marked) ? 2 : 0;
	}
	if (f.sig != SIGBUS)
		return 3;
	err = ERRNO_OF(vm_map_at(vm, FIRST, NR, RW));
	if (err != ENXIO && err != ENOMEM)
		return 4;
	/* It can have another. */
	if (munmap(vm->base, PAGES * PAGE) ||
	    altvm_window_map(vm->fd, vm->base, PAGES * PAGE, RWX) != vm->base)
		return 5;
	if (prepare(vm) || !contents_ok(vm, all_marked))
		return 6;
	return altvm_ioctl_query(vm->fd, &q) ||
			       q.window_addr != (uintptr_t)vm->base ?
		       7 :
		       0;
}

TEST_F_TIMEOUT(failslab, forks, SLOW)
{
	bool injected = true;
	long n, children = 0;
	int status;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_EQ(0, prepare(&self->vm));
	for (n = 1; injected && n < MAX_NTH; n++) {
		pid_t pid;

		fail_nth(n);
		pid = syscall(SYS_fork);
		if (!pid)
			_exit(be_child(&self->vm));
		injected = failed_nth();
		if (pid > 0) {
			children++;
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(0, status)
			{
				TH_LOG("child of fork %ld", n);
			}
		}
		ASSERT_TRUE(contents_ok(&self->vm, all_marked));
	}
	TH_LOG("%ld failures, %ld children", n - 2, children);
	EXPECT_GT(MAX_NTH, n);
	EXPECT_LT(0, children);
}

/* What a call about another process can be. */
enum other { OTHER_FETCH, OTHER_PUT, OTHER_PIDFD, OTHER_ADVISE, NR_OTHER };

static int do_other(struct vm *vm, struct peer *peer, enum other other)
{
	char buffer[3 * PAGE], *p = vm->base + FIRST * PAGE;
	struct iovec l = { buffer, sizeof(buffer) }, r = { p, sizeof(buffer) };
	ssize_t n;

	memset(buffer, 1, sizeof(buffer));
	if (other == OTHER_ADVISE)
		return ERRNO_OF(vm_process_madvise(vm, peer->pidfd, NULL, 0,
						   MADV_COLD));
	n = vm->ops->process_vm(vm, other == OTHER_PUT,
				other == OTHER_PIDFD ? peer->pidfd : peer->pid,
				&l, 1, &r, 1,
				other == OTHER_PIDFD ? ALTVM_PROCESS_PIDFD : 0);
	if (n < 0)
		return errno;
	return n > 0 && n <= (ssize_t)sizeof(buffer) ? 0 : EIO;
}

/* Each time one that has not done anything yet. */
TEST_F_TIMEOUT(failslab, other_processes, SLOW)
{
	struct peer peer = {};
	enum other other;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	for (other = 0; other < NR_OTHER; other++) {
		bool injected = true;

		for (n = 1; injected && n < MAX_NTH; n++) {
			int err;

			ASSERT_EQ(0, prepare(&self->vm));
			if (peer_fork(&peer))
				peer_idle(&peer);
			fail_nth(n);
			err = do_other(&self->vm, &peer, other);
			injected = failed_nth();
			EXPECT_TRUE(!err || (injected &&
					     (err == ENOMEM || err == EFAULT)))
			{
				TH_LOG("%d, %ld: %s", other, n, strerror(err));
			}
			EXPECT_EQ(0, do_other(&self->vm, &peer, other));
			ASSERT_TRUE(contents_ok(&self->vm, all_marked));
			peer_end(&peer);
		}
		TH_LOG("%d: %ld failures", other, n - 2);
		EXPECT_GT(MAX_NTH, n);
	}
}

enum first_step {
	FIRST_CALL,
	FIRST_READ,
	FIRST_WRITE,
	FIRST_PROTECT,
	NR_FIRST
};

/* Never returns: 1 if an allocation failed, 0 if none did, more if it went wrong. */
static void be_failing_child(struct vm *vm, enum first_step first, long n)
{
	char *p = vm->base + FIRST * PAGE;
	bool injected;
	int err = 0;

	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	fail_nth(n);
	if (first == FIRST_CALL)
		err = do_mmap(vm);
	else if (first == FIRST_READ)
		probe_read(p, NULL, NULL);
	else if (first == FIRST_WRITE)
		probe_write(p, 1, NULL);
	else
		err = do_protect_middle(vm);
	injected = failed_nth();
	if (err && (!injected || !may_say(err)))
		_exit(100);
	if (first != FIRST_WRITE && !contents_ok(vm, all_marked))
		_exit(101);
	if (prepare(vm) || !contents_ok(vm, all_marked))
		_exit(102);
	_exit(injected);
}

TEST_F_TIMEOUT(failslab, a_childs_first_steps, SLOW)
{
	int status, first = 0;
	long n = 1;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_EQ(0, prepare(&self->vm));
	while (first < NR_FIRST && n < MAX_NTH) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			be_failing_child(&self->vm, first, n);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(status == 0 || status == 1 << 8)
		{
			TH_LOG("step %d, %ld: status %#x", first, n, status);
		}
		ASSERT_TRUE(contents_ok(&self->vm, all_marked));
		n++;
		if (status)
			continue;
		TH_LOG("step %d: %ld failures", first, n - 2);
		first++;
		n = 1;
	}
	EXPECT_EQ(NR_FIRST, first);
}

/* The same with memory that is not private anonymous: of which kind, of what. */
static enum memory kind;
static int file = -1;

static bool file_ready(void)
{
	/* In memory: on a disk it would be the file system that fails. */
	file = memfd_create("altvm-failslab", MFD_CLOEXEC);
	return file >= 0 && !ftruncate(file, PAGES * PAGE);
}

static int map_kind(struct vm *vm, size_t page, size_t pages, int prot)
{
	return ERRNO_OF(memory_map(vm, kind, page, pages, prot, file));
}

static int prepare_kind(struct vm *vm)
{
	size_t i;

	if (vm_munmap(vm, vm->base, PAGES * PAGE) ||
	    map_kind(vm, FIRST, NR, RW))
		return -1;
	for (i = 0; i < NR; i++)
		*(uint64_t *)vm_page(vm, FIRST + i) = i + 1;
	return 0;
}

static int alternate_kind(struct vm *vm)
{
	size_t i;

	if (prepare_kind(vm))
		return -1;
	for (i = 0; i < NR; i += 2)
		if (vm_mprotect(vm, vm_page(vm, FIRST + i), PAGE, PROT_READ))
			return -1;
	return 0;
}

static int do_map_kind(struct vm *vm)
{
	return map_kind(vm, FIRST - 4, 4, RW);
}

static int do_replace_kind(struct vm *vm)
{
	return map_kind(vm, FIRST + 8, 8, PROT_READ);
}

static int do_populate_kind(struct vm *vm)
{
	char *p = vm_page(vm, FIRST - 4);
	int flags = MAP_FIXED | MAP_POPULATE |
		    (memory_is_shared(kind) ? MAP_SHARED : MAP_PRIVATE) |
		    (memory_is_file(kind) ? 0 : MAP_ANONYMOUS);

	return ERRNO_OF(vm_map_file(vm, p, 4 * PAGE, RW, flags, file,
				    (FIRST - 4) * PAGE));
}

static int do_advise(struct vm *vm)
{
	char *p = vm_page(vm, FIRST + 8);

	return ERRNO_OF(vm_madvise(vm, p, 8 * PAGE, MADV_DONTFORK));
}

static int do_msync(struct vm *vm)
{
	return ERRNO_OF(vm_msync(vm, vm_page(vm, FIRST), NR * PAGE, MS_SYNC));
}

static const struct operation file_operations[] = {
	{ "mmap", prepare_kind, do_map_kind, "wwwwwwwwwwwwwwwwwwwwwwwwwwww....",
	  ALL_MARKED },
	{ "mmap over others", alternate_kind, do_replace_kind,
	  "....rwrwrwrwrrrrrrrrrwrwrwrw....", "mmmmmmmm????????mmmmmmmm" },
	{ "anonymous over others", alternate_kind, do_replace,
	  "....rwrwrwrwrrrrrrrrrwrwrwrw....", "mmmmmmmm........mmmmmmmm" },
	{ "populate", prepare_kind, do_populate_kind,
	  "wwwwwwwwwwwwwwwwwwwwwwwwwwww....", ALL_MARKED },
	{ "munmap in the middle", prepare_kind, do_unmap_middle,
	  "....wwwwwwww........wwwwwwww....", ALL_MARKED },
	{ "munmap of many", alternate_kind, do_unmap_all,
	  "................................", ALL_MARKED },
	{ "mprotect in the middle", prepare_kind, do_protect_middle,
	  "....wwwwwwwwrrrrrrrrwwwwwwww....", ALL_MARKED },
	{ "mprotect of many", alternate_kind, do_protect_all, ALL_WRITABLE,
	  ALL_MARKED },
	{ "madvise", prepare_kind, do_advise, ALL_WRITABLE, ALL_MARKED },
	{ "mremap, over others", prepare_kind, do_move_over,
	  "....wwwwwwwwwwwwwwww............", "xxxxxxxxmmmmmmmm........" },
	{ "mremap, away", prepare_kind, do_move_away,
	  "....wwwwwwww........wwwwwwww....", "mmmmmmmm........mmmmmmmm" },
	{ "mremap of all", prepare_kind, do_move_all,
	  "................................", ALL_MARKED },
	{ "mremap in place, longer", prepare_kind, do_grow,
	  "....wwwwwwwwwwwwwwwwwwwwwwww++++", ALL_MARKED },
	{ "mremap in place, shorter", prepare_kind, do_shrink,
	  "....wwwwwwww....................", ALL_MARKED },
	{ "mremap and leave", prepare_kind, do_move_and_leave, ALL_WRITABLE,
	  "mmmmmmmmmmmmmmmm$$$$$$$$" },
	{ "msync", prepare_kind, do_msync, ALL_WRITABLE, ALL_MARKED },
};

/* How many mappings the process has: none is to be left over. */
static int nr_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int c, nr = 0;

	while (f && (c = getc(f)) != EOF)
		nr += c == '\n';
	if (f)
		fclose(f);
	return nr;
}

/* As @op, with what a file has kept of the marks. */
static struct operation of_kind(const struct operation *op, char *marked,
				char *after)
{
	struct operation copy = *op;
	char *c;

	strcpy(marked, op->marked);
	while ((c = strchr(marked, '?')))
		*c = kind == SHARED_FILE ? 'm' : '.';
	while ((c = strchr(marked, '$')))
		*c = memory_is_shared(kind) ? 'm' : '.';
	strcpy(after, op->after);
	/* Behind the end of the kernel's file. */
	while ((c = strchr(after, '+')))
		*c = kind == SHARED_ANON ? '-' : 'w';
	copy.marked = marked;
	copy.after = after;
	return copy;
}

TEST_F_TIMEOUT(failslab, operations_on_files, SLOW)
{
	struct operation op;
	char marked[NR + 1], after[NR + 9];
	size_t i;
	int nr;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_TRUE(file_ready());
	for (kind = SHARED_ANON; kind < NR_MEMORY; kind++)
		for (i = 0; i < ARRAY_SIZE(file_operations); i++) {
			op = of_kind(&file_operations[i], marked, after);
			nr = nr_mappings();
			for (n = 1; n < MAX_NTH; n++)
				if (!try_nth(_metadata, &self->vm, &op, n))
					break;
			TH_LOG("%s: %s: %ld failures", memory_name(kind),
			       op.name, n - 1);
			EXPECT_GT(MAX_NTH, n);
			EXPECT_EQ(nr, nr_mappings());
		}
}

enum access_way { AW_READ, AW_WRITE, AW_READ_THEN_WRITE, AW_KERNEL, NR_AW };

/* One access in a new window, with the n-th allocation failing.  Did any? */
static bool access_nth(struct __test_metadata *_metadata, struct vm *vm,
		       enum access_way way, long n)
{
	char *p = vm_page(vm, FIRST);
	ssize_t ret = 0;
	int sig = 0;
	bool injected;

	munmap(vm->base, PAGES * PAGE);
	ASSERT_EQ(vm->base,
		  altvm_window_map(vm->fd, vm->base, PAGES * PAGE, RWX));
	ASSERT_EQ(0, ftruncate(file, 0));
	ASSERT_EQ(0, ftruncate(file, PAGES * PAGE));
	ASSERT_EQ(0, map_kind(vm, FIRST, NR, RW));
	if (way == AW_READ_THEN_WRITE)
		probe_read(p, NULL, NULL);
	fail_nth(n);
	if (way == AW_READ)
		sig = probe_read(p, NULL, NULL);
	else if (way == AW_KERNEL)
		ret = getrandom(p, 2 * PAGE, GRND_INSECURE);
	else
		sig = probe_write(p, 42, NULL);
	injected = failed_nth();
	EXPECT_EQ(0, sig)
	{
		TH_LOG("%s, way %d, %ld", memory_name(kind), way, n);
	}
	EXPECT_TRUE(ret >= 0 || (injected && errno == EFAULT));
	if (way != AW_KERNEL)
		EXPECT_EQ(way == AW_READ ? 0 : 42, *(uint64_t *)p);
	EXPECT_EQ(0, probe_write(p, 43, NULL));
	EXPECT_EQ(0, probe_write(p + PAGE, 43, NULL));
	return injected;
}

TEST_F_TIMEOUT(failslab, accesses_to_files, SLOW)
{
	int way;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_TRUE(file_ready());
	for (kind = SHARED_ANON; kind < NR_MEMORY; kind++)
		for (way = 0; way < NR_AW; way++) {
			for (n = 1; n < MAX_NTH; n++)
				if (!access_nth(_metadata, &self->vm, way, n))
					break;
			TH_LOG("%s: way %d: %ld failures", memory_name(kind),
			       way, n - 1);
			EXPECT_GT(MAX_NTH, n);
		}
}

/* Beside prepare()'s: 8 pages of each kind from here on; and some with advice. */
#define OTHERS (FIRST + 2 * NR)
#define LEFT_OUT (OTHERS + 8 * NR_MEMORY)
#define WIPED (LEFT_OUT + 8)

static bool map_others(struct vm *vm)
{
	size_t i;

	for_each_memory(kind) {
		if (map_kind(vm, OTHERS + 8 * kind, 8, RW))
			return false;
		for (i = 0; i < 4; i++)
			*vm_page(vm, OTHERS + 8 * kind + i) = 'a' + kind;
	}
	if (vm_map_at(vm, LEFT_OUT, 16, RW) == MAP_FAILED)
		return false;
	memset(vm_page(vm, LEFT_OUT), 'x', 16 * PAGE);
	return !vm_madvise(vm, vm_page(vm, LEFT_OUT), 8 * PAGE,
			   MADV_DONTFORK) &&
	       !vm_madvise(vm, vm_page(vm, WIPED), 8 * PAGE, MADV_WIPEONFORK);
}

static bool others_ok(struct vm *vm)
{
	size_t i;

	for_each_memory(kind)
		for (i = 0; i < 8; i++)
			if (*vm_page(vm, OTHERS + 8 * kind + i) !=
			    (i < 4 ? 'a' + (char)kind : 0))
				return false;
	return true;
}

/* What be_child() is, with the others. */
static int be_child_with_files(struct vm *vm)
{
	struct fault f;

	if (!probe_read(vm_page(vm, FIRST), NULL, &f)) {
		if (!others_ok(vm) || *vm_page(vm, WIPED) ||
		    probe_read(vm_page(vm, LEFT_OUT), NULL, &f) != SIGSEGV)
			return 10;
		*vm_page(vm, WIPED) = 1;
	} else if (!probe_read(vm_page(vm, OTHERS + 8 * SHARED_FILE), NULL,
			       &f)) {
		return 11;
	}
	return be_child(vm);
}

TEST_F_TIMEOUT(failslab, forks_with_files, SLOW)
{
	bool injected = true;
	long n, children = 0;
	struct held *h = held_open();

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_TRUE(file_ready());
	ASSERT_EQ(0, prepare(&self->vm));
	ASSERT_TRUE(map_others(&self->vm));
	/* A page that a device is about to write to is copied in the fork. */
	if (h)
		held_begin(h, vm_page(&self->vm, FIRST), PAGE, false);
	for (n = 1; injected && n < MAX_NTH; n++) {
		pid_t pid;

		fail_nth(n);
		pid = syscall(SYS_fork);
		if (!pid)
			_exit(be_child_with_files(&self->vm));
		injected = failed_nth();
		if (pid > 0) {
			children++;
			EXPECT_EQ(0, end_of(pid))
			{
				TH_LOG("child of fork %ld", n);
			}
		}
		ASSERT_TRUE(contents_ok(&self->vm, all_marked));
		ASSERT_TRUE(others_ok(&self->vm));
		EXPECT_EQ('x', *vm_page(&self->vm, WIPED));
	}
	TH_LOG("%ld failures, %ld children, pinned %d", n - 2, children, !!h);
	EXPECT_GT(MAX_NTH, n);
	EXPECT_LT(0, children);
	if (!h)
		return;
	h->content = 'h';
	EXPECT_EQ(PAGE, held_let_go(h));
	EXPECT_EQ('h', *vm_page(&self->vm, FIRST));
	held_close(h);
}

/* A child's first step is an access to a file, or a call on one. */
static void be_child_at_files(struct vm *vm, int step, long n)
{
	char *p = vm_page(vm, OTHERS + 8 * kind);
	bool injected;
	int err = 0;

	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	fail_nth(n);
	if (step == FIRST_READ)
		probe_read(p, NULL, NULL);
	else if (step == FIRST_WRITE)
		probe_rewrite(p, NULL);
	else if (step == FIRST_PROTECT)
		err = ERRNO_OF(vm_mprotect(vm, p + PAGE, PAGE, PROT_READ));
	else
		err = ERRNO_OF(vm_munmap(vm, p + 6 * PAGE, PAGE));
	injected = failed_nth();
	CHECK(!err || (injected && may_say(err)));
	if (step == FIRST_CALL && !err)
		CHECK(!map_kind(vm, OTHERS + 8 * kind + 6, 1, RW));
	CHECK(others_ok(vm));
	CHECK(contents_ok(vm, all_marked));
	CHECK(!prepare(vm) && contents_ok(vm, all_marked));
	_exit(injected);
}

TEST_F_TIMEOUT(failslab, a_childs_first_steps_at_files, SLOW)
{
	int step, status = 0;
	enum memory m;
	long n;

	if (!injection_ready())
		SKIP(return, "no fault injection");
	ASSERT_TRUE(file_ready());
	ASSERT_EQ(0, prepare(&self->vm));
	ASSERT_TRUE(map_others(&self->vm));
	for (m = SHARED_ANON; m < NR_MEMORY; m++)
		for (step = 0; step < NR_FIRST; step++) {
			for (n = 1; n < MAX_NTH; n++) {
				pid_t pid = fork();

				ASSERT_LE(0, pid);
				kind = m;
				if (!pid)
					be_child_at_files(&self->vm, step, n);
				status = end_of(pid);
				if (status != 1 << 8)
					break;
			}
			EXPECT_EQ(0, status)
			{
				TH_LOG("%s: step %d, %ld", memory_name(m), step,
				       n);
			}
			EXPECT_TRUE(others_ok(&self->vm));
		}
}

TEST_HARNESS_MAIN
