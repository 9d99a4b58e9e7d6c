// SPDX-License-Identifier: GPL-2.0
/* The calls on memory, one by one, and by syscall(). */
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <malloc.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "common.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

TEST(anonymous_memory)
{
	char *p = map_rw(16);
	int i;

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(under_altvm(), in_window(p));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, p[i * PAGE]);
	memset(p, 7, 16 * PAGE);
	EXPECT_EQ(16, resident(p, 16));
	EXPECT_EQ(0, madvise(p, 8 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(8, resident(p, 16));
	EXPECT_EQ(0, p[0]);
	EXPECT_EQ(7, p[8 * PAGE]);
	EXPECT_EQ(0, munmap(p, 16 * PAGE));
	EXPECT_EQ(SEGV_MAPERR, touch(p, false).code);
}

TEST(files)
{
	int fd = make_file(4);
	char *shared = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, PAGE);
	char *private = mmap64(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, PAGE);
	char c;

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, private);
	EXPECT_EQ(under_altvm(), in_window(shared));
	EXPECT_EQ(under_altvm(), in_window(private));
	EXPECT_EQ('b', shared[0]);
	EXPECT_EQ('d', private[2 * PAGE]);
	private[0] = 'X';
	EXPECT_EQ('b', shared[0]);
	shared[1] = 'Y';
	EXPECT_EQ(1, pread(fd, &c, 1, PAGE + 1));
	EXPECT_EQ('Y', c);
	EXPECT_EQ(0, msync(shared, 3 * PAGE, MS_SYNC));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ('c', shared[PAGE]);
}

TEST(a_hint_is_followed)
{
	char *low = (char *)0x12340000;
	char *p = mmap(low, PAGE, RW, ANON, -1, 0);

	EXPECT_EQ(low, p);
	EXPECT_FALSE(in_window(p));
	EXPECT_TRUE(can_store(p));
	EXPECT_EQ(0, munmap(p, PAGE));
}

TEST(a_hint_near_the_program_is_followed)
{
	char *near = (char *)(((uintptr_t)&caught_last & ~(PAGE - 1)) +
			      (256UL << 20));
	char *p = mmap(near, PAGE, RW | PROT_EXEC, ANON, -1, 0);

	EXPECT_EQ(near, p);
}

TEST(map_32bit)
{
	char *p = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_LT((uintptr_t)p, 1UL << 31);
	EXPECT_TRUE(can_store(p));
}

TEST(fixed_where_the_kernel_has_memory)
{
	char *low = mmap((void *)0x12340000, 4 * PAGE, RW, ANON, -1, 0);
	char *p;

	low[0] = 1;
	low[PAGE] = 1;
	p = mmap(low, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	EXPECT_EQ(low, p);
	EXPECT_EQ(0, p[0]);
	EXPECT_EQ(1, p[PAGE]);
	p = mmap(low, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EEXIST, errno);
}

TEST(fixed_in_a_reservation)
{
	char *base =
		mmap(NULL, 64 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	int fd = make_file(2);

	ASSERT_NE(MAP_FAILED, base);
	EXPECT_EQ(base + PAGE,
		  mmap(base + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_TRUE(can_store(base + PAGE));
	EXPECT_EQ(SEGV_ACCERR, touch(base, true).code);
	EXPECT_EQ(base + 4 * PAGE, mmap(base + 4 * PAGE, 2 * PAGE, PROT_READ,
					MAP_SHARED | MAP_FIXED, fd, 0));
	EXPECT_EQ('b', base[5 * PAGE]);
	EXPECT_EQ(MAP_FAILED,
		  mmap(base, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(0, munmap(base, 64 * PAGE));
}

TEST(protection)
{
	char *p = map_rw(4);

	p[0] = 1;
	EXPECT_EQ(0, mprotect(p, 2 * PAGE, PROT_READ));
	EXPECT_EQ(SEGV_ACCERR, touch(p, true).code);
	EXPECT_EQ(0, touch(p, false).signal);
	EXPECT_TRUE(can_store(p + 2 * PAGE));
	EXPECT_EQ(0, pkey_mprotect(p, 4 * PAGE, RW, -1));
	EXPECT_TRUE(can_store(p));
	EXPECT_EQ(-1, mprotect(p + 1, PAGE, RW));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(-1, mprotect(p, 4 * PAGE, PROT_READ));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_FALSE(can_store(p));
	EXPECT_TRUE(can_store(p + 2 * PAGE));
}

TEST(protection_keys)
{
	int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	char *p = map_rw(1);

	EXPECT_EQ(-1, pkey_alloc(1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, pkey_mprotect(p, PAGE, PROT_READ, -1));
	EXPECT_FALSE(can_store(p));
	/* altvm has none; nor have all CPUs. */
	if (key < 0)
		return;
	EXPECT_FALSE(under_altvm());
	EXPECT_EQ(0, pkey_mprotect(p, PAGE, RW, key));
	EXPECT_EQ(SEGV_PKUERR, touch(p, true).code);
	EXPECT_EQ(0, pkey_free(key));
}

TEST(code_is_made)
{
	/* mov $42, %eax; ret */
	static const char code[] = "\xb8\x2a\x00\x00\x00\xc3";
	char *p = map_rw(1);

	memcpy(p, code, sizeof(code));
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(42, ((int (*)(void))p)());
}

TEST(moved_memory)
{
	char *p = map_rw(4), *q, *r;

	strcpy(p + PAGE, "moved");
	q = mremap(p, 4 * PAGE, 512 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_STREQ("moved", q + PAGE);
	EXPECT_TRUE(can_store(q + 511 * PAGE));
	r = map_rw(4);
	EXPECT_EQ(r, mremap(q, 4 * PAGE, 4 * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, r));
	EXPECT_STREQ("moved", r + PAGE);
	EXPECT_EQ(SEGV_MAPERR, touch(q, false).code);
	EXPECT_EQ(MAP_FAILED, mremap(r, 4 * PAGE, 2 * PAGE, ~0));
	EXPECT_EQ(EINVAL, errno);
}

TEST(advice)
{
	char *p = map_rw(4);

	EXPECT_EQ(0, madvise(p, 4 * PAGE, MADV_POPULATE_WRITE));
	EXPECT_EQ(4, resident(p, 4));
	p[0] = 1;
	EXPECT_EQ(0, posix_madvise(p, 4 * PAGE, POSIX_MADV_DONTNEED));
	EXPECT_EQ(1, p[0]);
	EXPECT_EQ(0, posix_madvise(p, 4 * PAGE, POSIX_MADV_WILLNEED));
	EXPECT_EQ(EINVAL, posix_madvise(p + 1, PAGE, POSIX_MADV_WILLNEED));
	EXPECT_EQ(-1, madvise(p, 4 * PAGE, 12345));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(-1, madvise(p, 4 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, p[0]);
	EXPECT_EQ(ENOMEM, posix_madvise(p, 4 * PAGE, POSIX_MADV_WILLNEED));
}

TEST(locked_memory)
{
	char *p = map_rw(4), *q;

	EXPECT_EQ(0, mlock(p + 1, PAGE));
	EXPECT_EQ(2, resident(p, 4));
	EXPECT_EQ(-1, madvise(p, PAGE, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, munlock(p, 4 * PAGE));
	EXPECT_EQ(0, mlock2(p, 4 * PAGE, MLOCK_ONFAULT));
	EXPECT_EQ(2, resident(p, 4));
	EXPECT_EQ(-1, mlock2(p, PAGE, ~0U));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	EXPECT_EQ(4, resident(p, 4));
	q = map_rw(4);
	EXPECT_EQ(4, resident(q, 4));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, madvise(q, PAGE, MADV_DONTNEED));
	q = map_rw(4);
	EXPECT_EQ(0, resident(q, 4));
	EXPECT_EQ(-1, mlockall(0));
	EXPECT_EQ(EINVAL, errno);
}

/* As programs do that want to be in memory as a whole. */
TEST(each_line_of_maps_is_locked)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char line[512], *at;
	int n = 0;

	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps)) {
		start = strtoul(line, &at, 16);
		end = strtoul(at + 1, NULL, 16);
		if (strstr(line, "[v") || strstr(line, "---"))
			continue;
		if (mlock((void *)start, end - start))
			TH_LOG("%d %s", errno, line);
		else
			n++;
	}
	fclose(maps);
	EXPECT_LT(4, n);
	EXPECT_EQ(0, munlockall());
}

TEST(heap)
{
	char *old = sbrk(0), *p = sbrk(3 * PAGE), *m;

	ASSERT_EQ(old, p);
	EXPECT_EQ(under_altvm(), in_window(p));
	EXPECT_EQ(old + 3 * PAGE, sbrk(0));
	memset(p, 1, 3 * PAGE);
	m = malloc(100000);
	ASSERT_NE(NULL, m);
	memset(m, 2, 100000);
	EXPECT_EQ(1, p[3 * PAGE - 1]);
	free(m);
	/* Only where malloc() has not taken what comes behind. */
	if (sbrk(0) == old + 3 * PAGE) {
		EXPECT_EQ(0, brk(old + PAGE));
		EXPECT_EQ(SEGV_MAPERR, touch(old + 2 * PAGE, false).code);
	}
	EXPECT_EQ(NOWHERE, sbrk(1L << 62));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, brk(NOWHERE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ((unsigned long)sbrk(0), (unsigned long)syscall(SYS_brk, 0));
}

TEST(memory_of_the_c_library)
{
	size_t size = 1 << 20;
	char *p = malloc(size), *page;

	ASSERT_NE(NULL, p);
	memset(p, 1, size);
	page = (char *)(((uintptr_t)p + PAGE) & ~(PAGE - 1));
	EXPECT_EQ(0, mprotect(page, PAGE, PROT_READ));
	EXPECT_EQ(SEGV_ACCERR, touch(page, true).code);
	EXPECT_EQ(0, mprotect(page, PAGE, RW));
	EXPECT_EQ(1, resident(page, 1));
	EXPECT_EQ(0, mlock(page, PAGE));
	EXPECT_EQ(0, munlock(page, PAGE));
	EXPECT_EQ(0, madvise(page, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, page[0]);
	EXPECT_EQ(0, msync(page, PAGE, MS_SYNC));
	p = realloc(p, 4 * size);
	ASSERT_NE(NULL, p);
	free(p);
}

TEST(by_syscall)
{
	int fd = make_file(4);
	char *p = (char *)syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_SHARED,
				  fd, 2 * PAGE);
	unsigned char vec = 0;

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(under_altvm(), in_window(p));
	EXPECT_EQ('c', *p);
	EXPECT_EQ(0, syscall(SYS_mincore, p, PAGE, &vec));
	EXPECT_EQ(1, vec & 1);
	EXPECT_EQ(0, syscall(SYS_madvise, p, PAGE, MADV_RANDOM));
	EXPECT_EQ(0, syscall(SYS_mlock, p, PAGE));
	EXPECT_EQ(0, syscall(SYS_mlock2, p, PAGE, MLOCK_ONFAULT));
	EXPECT_EQ(0, syscall(SYS_munlock, p, PAGE));
	EXPECT_EQ(0, syscall(SYS_msync, p, PAGE, MS_ASYNC));
	EXPECT_EQ(0, syscall(SYS_mprotect, p, PAGE, PROT_NONE));
	EXPECT_EQ(SEGV_ACCERR, touch(p, false).code);
	EXPECT_EQ(0, syscall(SYS_munmap, p, PAGE));
	EXPECT_EQ(-1, syscall(SYS_munmap, p, 0));
	EXPECT_EQ(EINVAL, errno);
	p = (char *)syscall(SYS_mmap, NULL, 2 * PAGE, RW, ANON, -1, 0);
	*p = 'x';
	p = (char *)syscall(SYS_mremap, p, 2 * PAGE, 99 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('x', *p);
}

TEST(other_system_calls_are_left_alone)
{
	static const long numbers[] = { 400, 511, 512, 1000, 0x7fffffff, -1 };
	int word = 0, pipes[2];
	size_t i;
	char c;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		errno = 0;
		EXPECT_EQ(-1, syscall(numbers[i], 1, 2, 3, 4, 5, 6));
		EXPECT_EQ(ENOSYS, errno);
	}
	/* Six arguments: the last is a bitset that must not be empty. */
	EXPECT_EQ(-1, syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, 1, NULL,
			      NULL, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, 1, NULL, NULL,
			     1));
	EXPECT_EQ(getpid(), syscall(SYS_getpid));
	ASSERT_EQ(0, syscall(SYS_pipe2, pipes, 0));
	EXPECT_EQ(3, syscall(SYS_write, pipes[1], "abc", 3));
	EXPECT_EQ(1, syscall(SYS_read, pipes[0], &c, 1));
	EXPECT_EQ('a', c);
}

TEST(bad_pointers)
{
	char *p = map_rw(1);
	struct iovec one = { p, 1 };

	EXPECT_EQ(-1, mincore(p, PAGE, BAD_POINTER));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, syscall(SYS_get_mempolicy, BAD_POINTER, NULL, 0, p,
			      MPOL_F_ADDR));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1,
		  syscall(SYS_mbind, p, PAGE, MPOL_BIND, BAD_POINTER, 8, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_readv(getpid(), BAD_POINTER, 1, &one, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &one, 1, BAD_POINTER, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, syscall(SYS_process_madvise,
			      (int)syscall(SYS_pidfd_open, getpid(), 0),
			      BAD_POINTER, 1, MADV_COLD, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST(policy)
{
	unsigned long nodes = 1;
	int mode = -1;
	char *p = map_rw(4);

	if (syscall(SYS_mbind, p, 2 * PAGE, MPOL_BIND, &nodes, 8, 0) &&
	    errno == ENOSYS)
		SKIP(return, "no NUMA");
	p[0] = 1;
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, &nodes,
			     8 * sizeof(nodes), p, MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, mode);
	EXPECT_EQ(1, nodes);
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, p + 2 * PAGE,
			     MPOL_F_ADDR));
	EXPECT_EQ(MPOL_DEFAULT, mode);
	EXPECT_EQ(0, syscall(SYS_set_mempolicy, MPOL_PREFERRED, &nodes, 8));
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
	EXPECT_EQ(MPOL_PREFERRED, mode);
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, p + 2 * PAGE,
			     MPOL_F_ADDR));
	EXPECT_EQ(MPOL_DEFAULT, mode);
	EXPECT_EQ(-1, syscall(SYS_mbind, p, PAGE, 99, NULL, 0, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST(copies_between_processes)
{
	char *p = map_rw(2), buffer[8] = "";
	struct iovec local = { buffer, 5 }, remote = { p + PAGE - 2, 5 };
	pid_t child;

	memcpy(p + PAGE - 2, "hello", 5);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(5, process_vm_readv(child, &local, 1, &remote, 1, 0));
	EXPECT_STREQ("hello", buffer);
	memcpy(buffer, "there", 5);
	EXPECT_EQ(5, process_vm_writev(child, &local, 1, &remote, 1, 0));
	EXPECT_EQ('h', p[PAGE - 2]);
	memset(buffer, 0, sizeof(buffer));
	EXPECT_EQ(5, syscall(SYS_process_vm_readv, child, &local, 1, &remote, 1,
			     0));
	EXPECT_STREQ("there", buffer);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

TEST(advice_by_pidfd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	char *p = map_rw(2), *low;
	struct iovec vec[2];

	low = mmap((void *)0x12340000, 2 * PAGE, RW, ANON, -1, 0);
	memset(p, 1, 2 * PAGE);
	memset(low, 1, 2 * PAGE);
	vec[0] = (struct iovec){ p, 2 * PAGE };
	vec[1] = (struct iovec){ low, PAGE };
	EXPECT_EQ(3 * PAGE,
		  syscall(SYS_process_madvise, pidfd, vec, 2, MADV_COLD, 0));
	munmap(low, 2 * PAGE);
	EXPECT_EQ(2 * PAGE,
		  syscall(SYS_process_madvise, pidfd, vec, 2, MADV_COLD, 0));
	EXPECT_EQ(-1, syscall(SYS_process_madvise, pidfd, vec + 1, 1, MADV_COLD,
			      0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, syscall(SYS_process_madvise, pidfd, vec, 1, 12345, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(SYS_process_madvise, -1, vec, 1, MADV_COLD, 0));
	EXPECT_EQ(EBADF, errno);
}

/* In the window, too, what is not mapped or is locked is not advised. */
TEST(refused_advice_by_pidfd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	char *p = map_rw(4);
	struct iovec vec = { p, PAGE };

	EXPECT_EQ(0, munmap(p, PAGE));
	EXPECT_EQ(-1,
		  syscall(SYS_process_madvise, pidfd, &vec, 1, MADV_COLD, 0));
	EXPECT_EQ(ENOMEM, errno);
	vec.iov_base = p + PAGE;
	EXPECT_EQ(0, mlock(p + PAGE, PAGE));
	EXPECT_EQ(-1, syscall(SYS_process_madvise, pidfd, &vec, 1, MADV_PAGEOUT,
			      0));
	EXPECT_EQ(EINVAL, errno);
}

TEST(what_altvm_does_not_map)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	char *p = mmap(NULL, 2 << 20, RW, ANON | MAP_HUGETLB, -1, 0);

	/* There are no pages for it, or it works; never EOPNOTSUPP. */
	if (p == MAP_FAILED)
		EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, -1, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 0, PROT_READ, ANON, -1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 1UL << 60, PROT_READ, ANON, -1, 0));
	EXPECT_EQ(ENOMEM, errno);
}

TEST(errno_is_left_alone)
{
	char *p;

	errno = 4321;
	p = map_rw(1);
	mprotect(p, PAGE, PROT_READ);
	syscall(SYS_munmap, p, PAGE);
	sbrk(0);
	EXPECT_EQ(4321, errno);
}

extern void *early_memory;

/* A border between two worlds, and one inside of one. */
FIXTURE(border)
{
	char *at;
};

FIXTURE_VARIANT(border)
{
	bool start, end;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(border, none) {
	.start = false,
};

FIXTURE_VARIANT_ADD(border, start) {
	.start = true,
};

FIXTURE_VARIANT_ADD(border, end) {
	.end = true,
};

/* clang-format on */

FIXTURE_SETUP(border)
{
	uintptr_t start, end;

	find_window(&start, &end);
	if (!start || (!variant->start && !variant->end)) {
		self->at = map_rw(16);
		munmap(self->at, 16 * PAGE);
		self->at += 8 * PAGE;
	} else {
		/* The highest is where the first mapping was made. */
		self->at = (char *)(variant->start ? start : end);
		munmap(early_memory, EARLY_PAGES * PAGE);
	}
	ASSERT_EQ(self->at - 4 * PAGE, mmap(self->at - 4 * PAGE, 8 * PAGE, RW,
					    ANON | MAP_FIXED_NOREPLACE, -1, 0));
	memset(self->at - 4 * PAGE, 1, 8 * PAGE);
}

FIXTURE_TEARDOWN(border)
{
	EXPECT_EQ(0, munmap(self->at - 4 * PAGE, 8 * PAGE));
	EXPECT_EQ(SEGV_MAPERR, touch(self->at - PAGE, false).code);
	EXPECT_EQ(SEGV_MAPERR, touch(self->at, false).code);
}

TEST_F(border, protection)
{
	EXPECT_EQ(0, mprotect(self->at - 2 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_TRUE(can_store(self->at - 3 * PAGE));
	EXPECT_EQ(SEGV_ACCERR, touch(self->at - 2 * PAGE, true).code);
	EXPECT_EQ(SEGV_ACCERR, touch(self->at + PAGE, true).code);
	EXPECT_TRUE(can_store(self->at + 2 * PAGE));
}

TEST_F(border, protection_stops_at_a_hole)
{
	EXPECT_EQ(0, munmap(self->at - PAGE, PAGE));
	EXPECT_EQ(-1, mprotect(self->at - 2 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_FALSE(can_store(self->at - 2 * PAGE));
	EXPECT_TRUE(can_store(self->at));
}

TEST_F(border, residency)
{
	unsigned char vec[8];
	int i;

	EXPECT_EQ(0, madvise(self->at - PAGE, 2 * PAGE, MADV_DONTNEED));
	memset(vec, 0x55, sizeof(vec));
	EXPECT_EQ(0, mincore(self->at - 3 * PAGE, 6 * PAGE, vec));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i != 2 && i != 3, vec[i]);
	EXPECT_EQ(0x55, vec[6]);
	EXPECT_EQ(0, self->at[-1]);
	EXPECT_EQ(0, self->at[0]);
	EXPECT_EQ(1, self->at[PAGE]);
}

TEST_F(border, advice_goes_on_after_a_hole)
{
	EXPECT_EQ(0, munmap(self->at - PAGE, PAGE));
	EXPECT_EQ(-1, madvise(self->at - 4 * PAGE, 8 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, self->at[-4 * (long)PAGE]);
	EXPECT_EQ(0, self->at[3 * PAGE]);
	EXPECT_EQ(-1, msync(self->at - 4 * PAGE, 8 * PAGE, MS_SYNC));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1,
		  madvise(self->at - 4 * PAGE, 8 * PAGE, MADV_POPULATE_WRITE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, resident(self->at + PAGE, 2));
	EXPECT_EQ(3, resident(self->at - 4 * PAGE, 3));
}

TEST_F(border, locks)
{
	EXPECT_EQ(0, mlock(self->at - PAGE - 1, 2 * PAGE));
	EXPECT_EQ(0, madvise(self->at - 3 * PAGE, PAGE, MADV_DONTNEED));
	EXPECT_EQ(-1, madvise(self->at - 2 * PAGE, PAGE, MADV_DONTNEED));
	EXPECT_EQ(-1, madvise(self->at, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, madvise(self->at + PAGE, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, munlock(self->at - 4 * PAGE, 8 * PAGE));
	EXPECT_EQ(0, madvise(self->at - PAGE, 2 * PAGE, MADV_DONTNEED));
}

TEST_F(border, a_file)
{
	int fd = make_file(6);

	EXPECT_EQ(self->at - 2 * PAGE,
		  mmap(self->at - 2 * PAGE, 4 * PAGE, PROT_READ,
		       MAP_SHARED | MAP_FIXED, fd, PAGE));
	EXPECT_EQ('b', self->at[-2 * (long)PAGE]);
	EXPECT_EQ('c', self->at[-1]);
	EXPECT_EQ('d', self->at[0]);
	EXPECT_EQ('e', self->at[PAGE]);
	EXPECT_EQ(1, self->at[2 * PAGE]);
	close(fd);
}

TEST_F(border, nothing_is_replaced)
{
	EXPECT_EQ(0, munmap(self->at - 2 * PAGE, 2 * PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(self->at - 2 * PAGE, 4 * PAGE, RW,
				   ANON | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(SEGV_MAPERR, touch(self->at - 2 * PAGE, false).code);
	EXPECT_EQ(1, self->at[0]);
}

TEST_F(border, policy)
{
	unsigned long nodes = 1;
	int mode = -1;

	if (syscall(SYS_mbind, self->at - PAGE, 2 * PAGE, MPOL_BIND, &nodes, 8,
		    0) &&
	    errno == ENOSYS)
		SKIP(return, "no NUMA");
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, self->at,
			     MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, mode);
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, self->at - PAGE,
			     MPOL_F_ADDR));
	EXPECT_EQ(MPOL_BIND, mode);
}

TEST_HARNESS_MAIN
