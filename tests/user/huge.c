// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in 2 MiB pages: MADV_HUGEPAGE and MADV_NOHUGEPAGE.
 *
 * That 512 pages came together is told by the number of faults.
 */
#include <pthread.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memcg.h"
#include "memory.h"

/* Newer than some C libraries. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

#define HUGE (2 * MiB)
#define HPAGES (HUGE / PAGE)
/* The zone in pages of 2 MiB, and of 4 KiB. */
#define ZONE 8
#define ZONE_PAGES (ZONE * HPAGES)

/*
 * The kernel's policy, which the module follows; small machines have "never".  Where it
 * cannot be set, it has to be right.
 */
#define POLICY "/sys/kernel/mm/transparent_hugepage/enabled"

static char policy_before[16];

static int set_policy(const char *policy)
{
	int fd = open(POLICY, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, policy, strlen(policy));

	if (fd >= 0)
		close(fd);
	return n > 0 ? 0 : -1;
}

__attribute__((constructor)) static void change_policy(void)
{
	char text[64] = "", *start, *end;
	int fd = open(POLICY, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return;
	close(fd);
	start = strchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (!end || end - start >= (long)sizeof(policy_before))
		return;
	memcpy(policy_before, start + 1, end - start - 1);
	set_policy("madvise");
}

__attribute__((destructor)) static void restore_policy(void)
{
	if (policy_before[0])
		set_policy(policy_before);
}

SIZED_FIXTURE(huge, ZONE_PAGES);

static char *at(struct vm *vm, size_t huge)
{
	return vm->base + huge * HUGE;
}

/* Map @nr huge pages at @first, and ask for them to be huge. */
static char *map_huge(struct vm *vm, size_t first, size_t nr, int prot)
{
	char *p = vm_mmap(vm, at(vm, first), nr * HUGE, prot, ANON | MAP_FIXED);

	/* vm_open() has forbidden them. */
	if (prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0))
		return NULL;
	if (p == MAP_FAILED || vm_madvise(vm, p, nr * HUGE, MADV_HUGEPAGE))
		return NULL;
	return p;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Write to each page; how many faults it took. */
static long fill(char *p, size_t len, unsigned long seed)
{
	long before = faults();
	size_t i;

	for (i = 0; i < len; i += PAGE)
		*(volatile unsigned long *)(p + i) = seed + i;
	return faults() - before;
}

static size_t wrong(const char *p, size_t len, unsigned long seed)
{
	size_t i, n = 0;

	for (i = 0; i < len; i += PAGE)
		n += *(volatile const unsigned long *)(p + i) != seed + i;
	return n;
}

/* The same when nothing should be huge. */
#define EXPECT_PAGES(p, len, seed) EXPECT_LE((len) / PAGE, fill(p, len, seed))
/* A page table or two may be made on the way. */
#define EXPECT_HUGE(p, len, seed) \
	EXPECT_GE((len) / HUGE + 2, fill(p, len, seed))

/* A huge page with contents at the zone's page @huge. */
static char *furnish(struct vm *vm, size_t huge, size_t nr, unsigned long seed)
{
	char *p = map_huge(vm, huge, nr, RW);

	if (!p || fill(p, nr * HUGE, seed) > (long)nr + 2)
		return NULL;
	return p;
}

static long resident_pages(void)
{
	long size, resident = -1;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = -1;
	if (f)
		fclose(f);
	return resident;
}

TEST_F(huge, one_fault_serves_all)
{
	struct vm *vm = &self->vm;
	char *p = map_huge(vm, 1, 2, RW);

	ASSERT_NE(NULL, p);
	EXPECT_HUGE(p, 2 * HUGE, 1);
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 1));
	EXPECT_EQ(1, vm_resident(vm, p + HUGE - PAGE));
	EXPECT_EQ(0, vm_munmap(vm, p, 2 * HUGE));
	EXPECT_EQ(-1, vm_resident(vm, p));
	/* Once more, at the same place. */
	ASSERT_EQ(p, map_huge(vm, 1, 2, RW));
	EXPECT_HUGE(p, 2 * HUGE, 2);
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 2));
}

TEST_F(huge, zeroed)
{
	char *p = furnish(&self->vm, 0, 1, 7);
	size_t i;

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, vm_munmap(&self->vm, p, HUGE));
	ASSERT_EQ(p, map_huge(&self->vm, 0, 1, RW));
	*(volatile char *)(p + 8) = 1;
	for (i = 0; i < HUGE; i++)
		if (p[i] != (char)(i == 8 ? 1 : 0))
			break;
	EXPECT_EQ(HUGE, i);
}

TEST_F(huge, only_where_asked_for)
{
	struct vm *vm = &self->vm;
	char *p = map_huge(vm, 1, 3, RW);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p + HUGE, HUGE, MADV_NOHUGEPAGE));
	EXPECT_HUGE(p, HUGE, 1);
	EXPECT_PAGES(p + HUGE, HUGE, 2);
	EXPECT_HUGE(p + 2 * HUGE, HUGE, 3);
	/* What is huge stays so. */
	EXPECT_EQ(0, vm_madvise(vm, p, 3 * HUGE, MADV_NOHUGEPAGE));
	EXPECT_GE(2, fill(p, HUGE, 4));

	ASSERT_EQ(0, vm_munmap(vm, p, 3 * HUGE));
	ASSERT_NE(NULL, vm_map_at(vm, HPAGES, HPAGES, RW));
	EXPECT_PAGES(p, HUGE, 5);
}

TEST_F(huge, forbidden_to_the_process)
{
	char *p = map_huge(&self->vm, 1, 2, RW);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	EXPECT_PAGES(p, HUGE, 5);
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	EXPECT_HUGE(p + HUGE, HUGE, 5);
}

TEST_F(huge, forbidden_by_the_policy)
{
	char *p = map_huge(&self->vm, 1, 2, RW);

	ASSERT_NE(NULL, p);
	if (set_policy("never"))
		SKIP(return, "cannot set " POLICY);
	EXPECT_PAGES(p, HUGE, 5);
	ASSERT_EQ(0, set_policy("madvise"));
	EXPECT_HUGE(p + HUGE, HUGE, 5);
}

TEST_F(huge, only_where_all_of_it_is_one_area)
{
	struct vm *vm = &self->vm;
	char *p = map_huge(vm, 1, 2, RW);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_munmap(vm, p, PAGE));
	EXPECT_PAGES(p + PAGE, HUGE - PAGE, 1);
	ASSERT_EQ(0, vm_mprotect(vm, p + 2 * HUGE - PAGE, PAGE, PROT_READ));
	EXPECT_PAGES(p + HUGE, HUGE - PAGE, 1);
	EXPECT_EQ(0, wrong(p + PAGE, HUGE - PAGE, 1));
	EXPECT_EQ(0, wrong(p + HUGE, HUGE - PAGE, 1));
}

TEST_F(huge, read_before_written)
{
	char *p = map_huge(&self->vm, 1, 1, RW);
	size_t i;

	ASSERT_NE(NULL, p);
	for (i = 0; i < HUGE; i += PAGE)
		EXPECT_EQ(0, *(volatile long *)(p + i));
	/* Natively not before Linux 6.13. */
	if (vm_is_native(&self->vm))
		fill(p, HUGE, 1);
	else
		EXPECT_HUGE(p, HUGE, 1);
	EXPECT_EQ(0, wrong(p, HUGE, 1));
}

TEST_F(huge, counts_as_resident)
{
	struct vm *vm = &self->vm;
	long before = resident_pages(), now;
	char *p = furnish(vm, 1, 4, 1);

	ASSERT_NE(NULL, p);
	now = resident_pages();
	EXPECT_LE(before + 4 * HPAGES - 64, now);
	EXPECT_GE(before + 4 * HPAGES + 256, now);
	EXPECT_EQ(0, vm_munmap(vm, p, 2 * HUGE + HUGE / 2));
	now = resident_pages();
	EXPECT_GE(before + 2 * HPAGES + 256, now);
	EXPECT_EQ(0, wrong(p + 3 * HUGE, HUGE, 1 + 3 * HUGE));
	EXPECT_EQ(0, vm_munmap(vm, p, 4 * HUGE));
	now = resident_pages();
	EXPECT_GE(before + 256, now);
}

TEST_F(huge, unmap_a_part)
{
	static const struct {
		size_t first, nr;
	} parts[] = { { 0, 1 }, { 511, 1 }, { 100, 300 }, { 0, 256 } };
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t start = parts[i].first * PAGE;
		size_t len = parts[i].nr * PAGE, end = start + len;
		char *p = furnish(vm, 1, 2, i);

		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, vm_munmap(vm, p + start, len));
		EXPECT_EQ(SIGSEGV, probe_read(p + start, NULL, NULL));
		EXPECT_EQ(SIGSEGV, probe_write(p + end - 8, 1, NULL));
		EXPECT_EQ(0, wrong(p, start, i));
		EXPECT_EQ(0, wrong(p + end, 2 * HUGE - end, i + end));
		/* What comes there is new. */
		ASSERT_NE(MAP_FAILED,
			  vm_mmap(vm, p + start, len, RW, ANON | MAP_FIXED));
		EXPECT_EQ(0, *(volatile long *)(p + start));
		fill(p + start, len, 99);
		EXPECT_EQ(0, wrong(p, start, i));
		EXPECT_EQ(0, wrong(p + start, len, 99));
		EXPECT_EQ(0, wrong(p + end, 2 * HUGE - end, i + end));
		ASSERT_EQ(0, vm_munmap(vm, p, 2 * HUGE));
	}
}

TEST_F(huge, map_over_a_part)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);

	ASSERT_NE(NULL, p);
	ASSERT_NE(MAP_FAILED,
		  vm_mmap(vm, p + HUGE / 2, HUGE, PROT_READ, ANON | MAP_FIXED));
	EXPECT_EQ(0, wrong(p, HUGE / 2, 5));
	EXPECT_EQ(0, *(volatile long *)(p + HUGE / 2));
	EXPECT_EQ(0, *(volatile long *)(p + HUGE));
	EXPECT_EQ(0, wrong(p + 3 * HUGE / 2, HUGE / 2, 5 + 3 * HUGE / 2));
}

TEST_F(huge, protect_all_of_it)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	struct fault f;
	long before;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, probe_write(p + HUGE + PAGE, 1, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	before = faults();
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 5));
	EXPECT_GE(4, faults() - before);
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, probe_read(p + HUGE + PAGE, NULL, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, RW));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 5));
	EXPECT_GE(4, fill(p, 2 * HUGE, 6));
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, RX));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 6));
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, RW));
	p[PAGE] = (char)RET_INSN;
	EXPECT_EQ(SIGSEGV, probe_call(p + PAGE, NULL));
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * HUGE, RX));
	EXPECT_EQ(0, probe_call(p + PAGE, NULL));
}

TEST_F(huge, protect_a_part)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 1, 5);
	struct fault f;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_mprotect(vm, p + 7 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, probe_write(p + 7 * PAGE, 1, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	EXPECT_EQ(0, wrong(p, HUGE, 5));
	fill(p, 7 * PAGE, 6);
	EXPECT_EQ(0, wrong(p, 7 * PAGE, 6));
	EXPECT_EQ(0, wrong(p + 7 * PAGE, HUGE - 7 * PAGE, 5 + 7 * PAGE));
	ASSERT_EQ(0, vm_mprotect(vm, p + 100 * PAGE, 300 * PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, probe_read(p + 100 * PAGE, NULL, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	ASSERT_EQ(0, vm_mprotect(vm, p, HUGE, RW));
	EXPECT_EQ(0, wrong(p, 7 * PAGE, 6));
	EXPECT_EQ(0, wrong(p + 7 * PAGE, HUGE - 7 * PAGE, 5 + 7 * PAGE));
	fill(p, HUGE, 8);
	EXPECT_EQ(0, wrong(p, HUGE, 8));
}

TEST_F(huge, move_all_of_it)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	char *to = at(vm, 5);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(to, vm_mremap(vm, p, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(SIGSEGV, probe_read(p, NULL, NULL));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 5));
	EXPECT_GE(4, fill(to, 2 * HUGE, 6));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 6));
	/* Over another, and what is left behind is new. */
	p = furnish(vm, 1, 2, 7);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(to, vm_mremap(vm, p, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 7));
	p = furnish(vm, 1, 2, 8);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 7));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 8));
}

TEST_F(huge, move_to_another_alignment)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	char *to = at(vm, 4) + 3 * PAGE;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(to, vm_mremap(vm, p, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 5));
	fill(to, 2 * HUGE, 6);
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 6));
	p = furnish(vm, 1, 1, 7);
	ASSERT_NE(NULL, p);
	/* A part, over a part of another. */
	ASSERT_NE(NULL, furnish(vm, 2, 1, 8));
	ASSERT_EQ(p + HUGE + 9 * PAGE,
		  vm_mremap(vm, p + 5 * PAGE, 100 * PAGE, 100 * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED,
			    p + HUGE + 9 * PAGE));
	EXPECT_EQ(0, wrong(p, 5 * PAGE, 7));
	EXPECT_EQ(0, wrong(p + HUGE, 9 * PAGE, 8));
	EXPECT_EQ(0, wrong(p + HUGE + 9 * PAGE, 100 * PAGE, 7 + 5 * PAGE));
	EXPECT_EQ(0, wrong(p + HUGE + 109 * PAGE, HUGE - 109 * PAGE,
			   8 + 109 * PAGE));
	EXPECT_EQ(SIGSEGV, probe_read(p + 5 * PAGE, NULL, NULL));
}

static void be_writing_child(char *p, unsigned long seed)
{
	CHECK(!wrong(p, 2 * HUGE, seed));
	fill(p + HUGE / 2, HUGE, 77);
	CHECK(!wrong(p, HUGE / 2, seed));
	CHECK(!wrong(p + HUGE / 2, HUGE, 77));
	_exit(0);
}

TEST_F(huge, fork_copies)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	int line, i;
	pid_t pid;

	ASSERT_NE(NULL, p);
	for (i = 0; i < 3; i++) {
		pid = fork_with(&line);
		if (!pid) {
			CHECK(hear(line));
			be_writing_child(p, 5 + i);
		}
		fill(p, 2 * HUGE, 6 + i);
		EXPECT_EQ(0, wrong(p, 2 * HUGE, 6 + i));
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(0, wrong(p, 2 * HUGE, 6 + i));
		close(line);
	}
	/* Only the child writes. */
	pid = fork();
	if (!pid)
		be_writing_child(p, 5 + i);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 5 + i));
}

TEST_F(huge, a_child_has_its_own)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	ASSERT_NE(NULL, map_huge(vm, 1, 3, RW));
	pid = fork();
	if (!pid) {
		CHECK(fill(at(vm, 1), 2 * HUGE, 5) <= 6);
		CHECK(!wrong(at(vm, 1), 2 * HUGE, 5));
		CHECK(!vm_munmap(vm, at(vm, 1), HUGE));
		/* Leaves with what is mapped. */
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, *(volatile long *)at(vm, 1));
}

/* A reference of a page that lasts: in a pipe. */
static int splice_page(int pipe[2], char *p)
{
	struct iovec iov = { p, PAGE };

	return vmsplice(pipe[1], &iov, 1, 0) == PAGE ? 0 : -1;
}

static unsigned long from_pipe(int fd)
{
	static unsigned long buf[PAGE / sizeof(unsigned long)];

	return read(fd, buf, PAGE) == PAGE ? buf[0] : 0;
}

/* Whatever is done to what somebody else has a reference of. */
/*
 * A child that makes no call: the page table that a read has left it has to be there in
 * the end, for the kernel counts them.  Its log tells.
 */
TEST_F(huge, a_child_that_makes_no_call)
{
	char *p = map_huge(&self->vm, 1, 4, RW);
	size_t i;
	pid_t pid;

	ASSERT_NE(NULL, p);
	for (i = 0; i < 2; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			volatile char *q = p + HUGE;

			CHECK(!q[PAGE]);
			q[2 * PAGE] = 1;
			CHECK(!q[PAGE] && q[2 * PAGE] == 1);
			q[HUGE] = 2;
			CHECK(!q[HUGE + PAGE] && q[HUGE] == 2);
			if (i)
				munmap(self->vm.base, self->vm.len);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
}

TEST_F(huge, referenced_by_others)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	int fds[2], i;
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, splice_page(fds, p + 10 * PAGE));
	ASSERT_EQ(0, splice_page(fds, p + 20 * PAGE));
	ASSERT_EQ(0, splice_page(fds, p + HUGE));
	pid = fork();
	if (!pid)
		be_writing_child(p, 5);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 5));
	ASSERT_EQ(0, vm_munmap(vm, p, 15 * PAGE));
	ASSERT_EQ(0, vm_mprotect(vm, p + 30 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(0, wrong(p + 15 * PAGE, HUGE - 15 * PAGE, 5 + 15 * PAGE));
	EXPECT_EQ(at(vm, 4),
		  vm_mremap(vm, p + 18 * PAGE, 10 * PAGE, 10 * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, at(vm, 4)));
	pid = fork();
	if (!pid)
		_exit(!!wrong(at(vm, 4), 10 * PAGE, 5 + 18 * PAGE));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, wrong(at(vm, 4), 10 * PAGE, 5 + 18 * PAGE));
	fill(at(vm, 4), 10 * PAGE, 6);
	EXPECT_EQ(0, wrong(at(vm, 4), 10 * PAGE, 6));
	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * HUGE));
	for (i = 0; i < 3; i++)
		EXPECT_NE(0, from_pipe(fds[0]));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(huge, others_read_and_write_it)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5), *buf = malloc(2 * HUGE);
	struct iovec local = { buf, 2 * HUGE }, remote = { p, 2 * HUGE };
	int fd = nameless_file(files_dir(), 2 * HUGE), direct;
	char name[32];

	ASSERT_NE(NULL, p);
	ASSERT_EQ((ssize_t)(2 * HUGE),
		  process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, wrong(buf, 2 * HUGE, 5));
	fill(buf, 2 * HUGE, 6);
	ASSERT_EQ((ssize_t)(2 * HUGE),
		  process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 6));
	EXPECT_GE(2, fill(p, 2 * HUGE, 6));

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	direct = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct >= 0) {
		EXPECT_EQ((ssize_t)HUGE, pwrite(direct, p + HUGE / 2, HUGE, 0));
		fill(p, 2 * HUGE, 7);
		EXPECT_EQ((ssize_t)HUGE, pread(direct, p + PAGE, HUGE, 0));
		EXPECT_EQ(0, wrong(p + PAGE, HUGE, 6 + HUGE / 2));
		EXPECT_EQ(0, wrong(p, PAGE, 7));
		close(direct);
	}
	close(fd);
	free(buf);
}

static long futex(void *addr, int op, uint32_t val)
{
	static const struct timespec patience = { .tv_sec = 20 };

	return syscall(SYS_futex, addr, op, val, &patience, NULL, 0);
}

static void *wait_on(void *word)
{
	while (!*(volatile uint32_t *)word)
		if (futex(word, FUTEX_WAIT, 0) && errno == ETIMEDOUT)
			return word;
	return NULL;
}

/* A futex stays the same when its page becomes an ordinary one. */
TEST_F(huge, futex)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 1, 0);
	void *word = p + 9 * PAGE + 64, *late;
	pthread_t waiter;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, pthread_create(&waiter, NULL, wait_on, word));
	usleep(100000);
	ASSERT_EQ(0, vm_munmap(vm, p, PAGE));
	*(volatile uint32_t *)word = 1;
	EXPECT_EQ(1, futex(word, FUTEX_WAKE, 1));
	pthread_join(waiter, &late);
	EXPECT_EQ(NULL, late);
}

TEST_F(huge, dontneed)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 3, 5);

	ASSERT_NE(NULL, p);
	if (vm_madvise(vm, p + 10 * PAGE, PAGE, MADV_DONTNEED))
		SKIP(return, "no MADV_DONTNEED");
	EXPECT_EQ(0, *(volatile long *)(p + 10 * PAGE));
	EXPECT_EQ(0, wrong(p, 10 * PAGE, 5));
	EXPECT_EQ(0, wrong(p + 11 * PAGE, 3 * HUGE - 11 * PAGE, 5 + 11 * PAGE));
	ASSERT_EQ(0, vm_madvise(vm, p + HUGE, 2 * HUGE, MADV_DONTNEED));
	EXPECT_HUGE(p + HUGE, 2 * HUGE, 6);
	EXPECT_EQ(0, wrong(p + HUGE, 2 * HUGE, 6));
}

TEST_F(huge, populate)
{
	struct vm *vm = &self->vm;
	char *p = map_huge(vm, 1, 3, RW);

	ASSERT_NE(NULL, p);
	if (vm_madvise(vm, p, 3 * HUGE, MADV_POPULATE_WRITE))
		SKIP(return, "no MADV_POPULATE_WRITE");
	EXPECT_EQ(1, vm_resident(vm, p + 3 * HUGE - PAGE));
	EXPECT_GE(2, fill(p, 3 * HUGE, 6));
	EXPECT_EQ(0, wrong(p, 3 * HUGE, 6));
}

/* Where there is no huge page, there are small ones. */
TEST_F(huge, memory_limit)
{
	struct vm *vm = &self->vm;
	struct memcg g;
	pid_t pid;

	if (!memcg_open(&g, 6 * MiB, false))
		SKIP(return, "no memory cgroups");
	ASSERT_NE(NULL, map_huge(vm, 1, 4, RW));
	pid = fork();
	if (!pid) {
		CHECK(!memcg_enter(&g));
		fill(at(vm, 1), HUGE + HUGE / 2, 5);
		CHECK(!wrong(at(vm, 1), HUGE + HUGE / 2, 5));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

TEST_F(huge, dropped_lazily)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	size_t i;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p, HUGE, MADV_FREE));
	for (i = 0; i < HUGE; i += PAGE) {
		unsigned long now = *(volatile unsigned long *)(p + i);

		EXPECT_TRUE(now == 5 + i || now == 0);
	}
	fill(p, HUGE, 6);
	EXPECT_EQ(0, vm_madvise(vm, p, 2 * HUGE, MADV_COLD));
	EXPECT_EQ(0, wrong(p, HUGE, 6));
	EXPECT_EQ(0, wrong(p + HUGE, HUGE, 5 + HUGE));
}

TEST_F(huge, paged_out)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, vm_madvise(vm, p, HUGE + HUGE / 2, MADV_PAGEOUT));
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 5));
	fill(p, 2 * HUGE, 6);
	EXPECT_EQ(0, wrong(p, 2 * HUGE, 6));
}

/* --- MADV_COLLAPSE */

/* Small pages with contents. */
static char *furnish_small(struct vm *vm, size_t huge, size_t nr,
			   unsigned long seed)
{
	char *p = vm_map_at(vm, huge * HPAGES, nr * HPAGES, RW);

	if (p == MAP_FAILED || prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0))
		return NULL;
	fill(p, nr * HUGE, seed);
	return p;
}

TEST_F(huge, collapse)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 3, 5);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p, 3 * HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, 3 * HUGE, 5));
	EXPECT_GE(3, fill(p, 3 * HUGE, 6));
	/* Once more, it is nothing. */
	EXPECT_EQ(0, vm_madvise(vm, p, 3 * HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, 3 * HUGE, 6));
	EXPECT_EQ(0, vm_munmap(vm, p + PAGE, PAGE));
	EXPECT_EQ(0, wrong(p + 2 * PAGE, HUGE - 2 * PAGE, 6 + 2 * PAGE));
	EXPECT_EQ(p + 5 * HUGE / 2,
		  vm_mremap(vm, p + HUGE, HUGE, HUGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, p + 5 * HUGE / 2));
	EXPECT_EQ(0, wrong(p + 5 * HUGE / 2, HUGE, 6 + HUGE));
	EXPECT_EQ(at(vm, 6),
		  vm_mremap(vm, p + 2 * HUGE, HUGE / 2, HUGE / 2,
			    MREMAP_MAYMOVE | MREMAP_FIXED, at(vm, 6)));
	EXPECT_EQ(0, wrong(at(vm, 6), HUGE / 2, 6 + 2 * HUGE));
}

TEST_F(huge, collapse_and_move)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 2, 5), *to = at(vm, 4);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p, 2 * HUGE, MADV_COLLAPSE));
	ASSERT_EQ(to, vm_mremap(vm, p, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 5));
	ASSERT_NE(NULL, furnish_small(vm, 1, 2, 6));
	ASSERT_EQ(0, vm_madvise(vm, p, 2 * HUGE, MADV_COLLAPSE));
	ASSERT_EQ(to, vm_mremap(vm, p, 2 * HUGE, 2 * HUGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 6));
	ASSERT_EQ(0, vm_mprotect(vm, to, HUGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(vm, to, HUGE, RW));
	EXPECT_EQ(0, wrong(to, 2 * HUGE, 6));
	ASSERT_EQ(0, vm_munmap(vm, to, HUGE));
	EXPECT_EQ(0, wrong(to + HUGE, HUGE, 6 + HUGE));
}

TEST_F(huge, collapse_of_little)
{
	struct vm *vm = &self->vm;
	char *p = map_huge(vm, 1, 2, RW);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p, 2 * HUGE, MADV_NOHUGEPAGE));
	p[3 * PAGE] = 'x';
	ASSERT_EQ(0, vm_madvise(vm, p, 2 * HUGE, MADV_HUGEPAGE));
	/* The policy does not matter. */
	set_policy("never");
	EXPECT_EQ(0, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	set_policy("madvise");
	EXPECT_EQ('x', p[3 * PAGE]);
	p[3 * PAGE] = 0;
	EXPECT_GE(2, fill(p, HUGE, 5));
	EXPECT_EQ(0, wrong(p, HUGE, 5));
}

TEST_F(huge, collapse_refused)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 2, 5);

	ASSERT_NE(NULL, p);
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, HUGE, MADV_COLLAPSE));
	/* No 2 MiB are in there. */
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p + PAGE, PAGE, MADV_COLLAPSE));
	EXPECT_EQ(0, vm_madvise(vm, p, PAGE, MADV_COLLAPSE));
	EXPECT_EQ(0, vm_madvise(vm, p + PAGE, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, vm_madvise(vm, p, 0, MADV_COLLAPSE));
	/* Nothing is stored. */
	ASSERT_NE(NULL, vm_map_at(vm, 4 * HPAGES, HPAGES, RW));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, at(vm, 4), HUGE, MADV_COLLAPSE));
	/* Or zeroes only. */
	EXPECT_EQ(0, *(volatile char *)at(vm, 4));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, at(vm, 4), HUGE, MADV_COLLAPSE));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, at(vm, 5), HUGE, MADV_COLLAPSE));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, p, 3 * HUGE, MADV_COLLAPSE));
	ASSERT_EQ(0, vm_madvise(vm, p, HUGE, MADV_NOHUGEPAGE));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	ASSERT_EQ(0, vm_mprotect(vm, p + HUGE, HUGE, PROT_READ));
	ASSERT_EQ(0, vm_munmap(vm, p + 2 * HUGE - PAGE, PAGE));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p + HUGE, PAGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, 2 * HUGE - PAGE, 5));
}

TEST_F(huge, collapse_of_what_may_not_be_written)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 1, 5);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_mprotect(vm, p, HUGE, PROT_READ));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, HUGE, 5));
}

TEST_F(huge, collapse_of_what_others_refer_to)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 1, 5);
	int fds[2];

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, splice_page(fds, p + 10 * PAGE));
	EXPECT_FAIL(EAGAIN, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, HUGE, 5));
	EXPECT_EQ(5 + 10 * PAGE, from_pipe(fds[0]));
	EXPECT_EQ(0, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	EXPECT_EQ(0, wrong(p, HUGE, 5));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(huge, collapse_after_fork)
{
	struct vm *vm = &self->vm;
	char *p = furnish_small(vm, 1, 1, 5);
	int line;
	pid_t pid;

	ASSERT_NE(NULL, p);
	pid = fork_with(&line);
	if (!pid) {
		/* Nothing here is the child's alone. */
		CHECK(vm_madvise(vm, p, HUGE, MADV_COLLAPSE) &&
		      errno == EINVAL);
		p[8] = 'c';
		CHECK(!vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
		CHECK(!wrong(p, HUGE, 5));
		CHECK(say(line) && hear(line));
		CHECK(!wrong(p, HUGE, 5));
		CHECK(p[8] == 'c');
		_exit(0);
	}
	EXPECT_TRUE(hear(line));
	EXPECT_EQ(0, p[8]);
	fill(p, HUGE, 6);
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, wrong(p, HUGE, 6));
	close(line);
}

/* --- MAP_HUGETLB */

#define HUGETLB (ANON | MAP_HUGETLB)
#define POOL "/proc/sys/vm/nr_hugepages"

/* The kernel's own pages are from a pool, altvm's are not. */
static bool set_pool(const struct vm *vm, long pages)
{
	FILE *f;

	if (!vm_is_native(vm))
		return true;
	f = fopen(POOL, "we");
	if (f) {
		fprintf(f, "%ld\n", pages);
		fclose(f);
	}
	return proc_number(POOL, "") == pages;
}

TEST_F(huge, hugetlb_refused)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), HUGE), i;

	if (proc_number(POOL, "") > 0)
		SKIP(return, "there is a pool");
	/* 1 GiB, and more than there is. */
	EXPECT_FAIL(ENOMEM, vm_mmap(vm, NULL, HUGE, RW,
				    HUGETLB | 30 << MAP_HUGE_SHIFT));
	EXPECT_FAIL(ENOMEM, vm_mmap(vm, NULL, 1UL << 45, RW, HUGETLB));
	EXPECT_FAIL(ENOMEM, vm_mmap(vm, NULL, HUGE, RW,
				    (HUGETLB & ~MAP_PRIVATE) | MAP_SHARED));
	for (i = 1; i < 64; i++)
		if (i != 21 && i != 30)
			EXPECT_FAIL(EINVAL,
				    vm_mmap(vm, NULL, HUGE, RW,
					    HUGETLB |
						    (unsigned int)i
							    << MAP_HUGE_SHIFT));
	EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, 0, RW, HUGETLB));
	EXPECT_FAIL(EINVAL, vm_mmap(vm, at(vm, 1) + PAGE, HUGE, RW,
				    HUGETLB | MAP_FIXED));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, NULL, HUGE, RW,
					MAP_PRIVATE | MAP_HUGETLB, fd, 0));
	EXPECT_FAIL(EBADF, vm_map_file(vm, NULL, HUGE, RW,
				       MAP_PRIVATE | MAP_HUGETLB, -1, 0));
	if (set_pool(vm, 4))
		EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, HUGE, RW,
					    HUGETLB | MAP_GROWSDOWN));
	set_pool(vm, 0);
	EXPECT_EQ(0, vm_areas(vm));
	close(fd);
}

static void use_hugetlb(struct vm *vm, int more)
{
	char *p = vm_mmap(vm, NULL, HUGE + PAGE, RW, HUGETLB | more);
	pid_t pid;

	CHECK(p != MAP_FAILED);
	CHECK(!((uintptr_t)p % HUGE));
	CHECK(!p[0] && !memcmp(p, p + 1, 2 * HUGE - 1));
	CHECK(fill(p, 2 * HUGE, 3) <= 4);
	CHECK(!wrong(p, 2 * HUGE, 3));
	CHECK(!vm_mprotect(vm, p, HUGE, PROT_READ));
	CHECK(!wrong(p, 2 * HUGE, 3));
	CHECK(!vm_mprotect(vm, p, HUGE, RW));
	pid = fork();
	if (!pid) {
		CHECK(!wrong(p, 2 * HUGE, 3));
		fill(p, 2 * HUGE, 4);
		_exit(0);
	}
	CHECK(!end_of(pid));
	CHECK(!wrong(p, 2 * HUGE, 3));
	CHECK(!vm_munmap(vm, p, 2 * HUGE));
}

TEST_F(huge, hugetlb)
{
	struct vm *vm = &self->vm;
	char *p;

	if (!set_pool(vm, 8))
		SKIP(return, "no pool");
	use_hugetlb(vm, 0);
	use_hugetlb(vm, 21 << MAP_HUGE_SHIFT);
	use_hugetlb(vm, MAP_POPULATE | MAP_STACK);
	use_hugetlb(vm, MAP_NORESERVE);

	/* Where it is wanted, and over something. */
	p = vm_mmap(vm, at(vm, 2) + PAGE, PAGE, RW, HUGETLB);
	EXPECT_EQ(at(vm, 2), p);
	EXPECT_EQ(0, vm_munmap(vm, p, HUGE));
	ASSERT_NE(MAP_FAILED, (void *)vm_mmap(vm, at(vm, 1), 3 * HUGE, RW,
					      ANON | MAP_FIXED));
	fill(at(vm, 1), 3 * HUGE, 5);
	EXPECT_EQ(at(vm, 2),
		  vm_mmap(vm, at(vm, 2), HUGE, RW, HUGETLB | MAP_FIXED));
	EXPECT_EQ(0, *at(vm, 2));
	EXPECT_EQ(0, wrong(at(vm, 1), HUGE, 5));
	EXPECT_EQ(0, wrong(at(vm, 3), HUGE, 5 + 2 * HUGE));
	EXPECT_FAIL(EEXIST, vm_mmap(vm, at(vm, 2), HUGE, RW,
				    HUGETLB | MAP_FIXED_NOREPLACE));

	/* Not to be accessed at first. */
	p = vm_mmap(vm, at(vm, 2), HUGE, PROT_NONE, HUGETLB | MAP_FIXED);
	EXPECT_EQ(at(vm, 2), p);
	EXPECT_EQ(SIGSEGV, probe_read(p, NULL, NULL));
	EXPECT_EQ(0, vm_mprotect(vm, p, HUGE, RW));
	EXPECT_GE(1, fill(p, HUGE, 7));
	EXPECT_EQ(0, wrong(p, HUGE, 7));
	EXPECT_EQ(0, vm_munmap(vm, at(vm, 1), 3 * HUGE));
	set_pool(vm, 0);
}

/* The memory is there when the call returns, or the call fails. */
TEST_F(huge, hugetlb_is_reserved)
{
	struct vm *vm = &self->vm;
	struct memcg g;
	pid_t pid;

	if (vm_is_native(vm))
		SKIP(return, "altvm's own");
	if (!memcg_open(&g, 7 * MiB, false))
		SKIP(return, "no memory cgroups");
	pid = fork();
	if (!pid) {
		char *p;

		CHECK(!memcg_enter(&g));
		CHECK(vm_mmap(vm, NULL, 4 * HUGE, RW, HUGETLB) == MAP_FAILED);
		CHECK(errno == ENOMEM && !vm_areas(vm));
		p = vm_mmap(vm, NULL, HUGE, RW, HUGETLB);
		CHECK(p != MAP_FAILED);
		CHECK(vm_resident(vm, p) == 1);
		CHECK(!fill(p, HUGE, 1));
		/* It can be cut, too. */
		CHECK(!vm_munmap(vm, p + PAGE, PAGE));
		CHECK(probe_read(p + PAGE, NULL, NULL) == SIGSEGV);
		CHECK(!wrong(p + 2 * PAGE, HUGE - 2 * PAGE, 1 + 2 * PAGE));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

/* --- races */

struct race;
typedef void (*race_fn)(struct race *r);

struct race {
	struct vm *vm;
	char *p;
	volatile bool stop;
	volatile unsigned long rounds, bad;
};

/* A word in each page of the first, counted up: none may ever be lost. */
static void *count_up(void *arg)
{
	struct race *r = arg;
	unsigned long n;

	for (n = 1; !r->stop; n++) {
		for (size_t i = 0; i < HUGE; i += 37 * PAGE) {
			volatile unsigned long *word = (void *)(r->p + i + 128);

			if (*word != n - 1)
				r->bad++;
			*word = n;
		}
		r->rounds++;
	}
	return NULL;
}

static void run_race(struct race *r, struct vm *vm, void (*fn)(struct race *r),
		     int rounds)
{
	pthread_t thread;
	int i;

	r->vm = vm;
	pthread_create(&thread, NULL, count_up, r);
	for (i = 0; i < rounds || r->rounds < 3; i++)
		fn(r);
	r->stop = true;
	pthread_join(thread, NULL);
}

static void race_protect(struct race *r)
{
	vm_mprotect(r->vm, r->p, HUGE, RWX);
	vm_mprotect(r->vm, r->p, HUGE, RW);
	vm_mprotect(r->vm, r->p + 5 * PAGE, PAGE, PROT_READ);
	vm_mprotect(r->vm, r->p + 5 * PAGE, PAGE, RW);
}

static void race_fork(struct race *r)
{
	pid_t pid = fork();

	if (!pid) {
		fill(r->p, HUGE, 1);
		_exit(0);
	}
	if (end_of(pid))
		r->bad++;
}

static void race_read(struct race *r)
{
	static char buf[HUGE];
	struct iovec local = { buf, HUGE }, remote = { r->p, HUGE };

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) !=
	    (ssize_t)HUGE)
		r->bad++;
	race_protect(r);
}

static void race_unmap_neighbour(struct race *r)
{
	fill(r->p + HUGE, HUGE, 3);
	vm_munmap(r->vm, r->p + HUGE, HUGE);
	map_huge(r->vm, 2, 1, RW);
	vm_munmap(r->vm, r->p + HUGE - PAGE, PAGE);
	vm_mmap(r->vm, r->p + HUGE - PAGE, PAGE, RW, ANON | MAP_FIXED);
}

static void race_collapse(struct race *r)
{
	/* At first there may be nothing. */
	if (vm_madvise(r->vm, r->p, HUGE, MADV_COLLAPSE) && errno != EAGAIN &&
	    errno != EINVAL)
		r->bad++;
	vm_mprotect(r->vm, r->p + 5 * PAGE, PAGE, PROT_READ);
	vm_mprotect(r->vm, r->p + 5 * PAGE, PAGE, RW);
}

TEST_F_TIMEOUT(huge, races, SLOW)
{
	static const race_fn fns[] = {
		race_protect,	      race_fork,     race_read,
		race_unmap_neighbour, race_collapse,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fns); i++) {
		struct race r = {};

		r.p = map_huge(&self->vm, 1, 2, RW);
		ASSERT_NE(NULL, r.p);
		run_race(&r, &self->vm, fns[i], scaled(8));
		EXPECT_EQ(0, r.bad)
		{
			TH_LOG("race %zu", i);
		}
		EXPECT_NE(0, r.rounds);
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base, ZONE * HUGE));
	}
}

TEST_F(huge, killed)
{
	struct vm *vm = &self->vm;
	int i;

	for (i = 0; i < scaled(20); i++) {
		pid_t pid = fork();

		if (!pid)
			for (;;) {
				char *p = furnish(vm, 1, 2, 5);

				if (!p)
					_exit(1);
				vm_mprotect(vm, p + PAGE, HUGE, PROT_READ);
				vm_madvise(vm, p, HUGE, MADV_COLLAPSE);
				vm_munmap(vm, p, HUGE + PAGE);
			}
		usleep(3000 * (i % 7) + 500);
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
}

/* --- what only a window can be asked for */

ALTVM_FIXTURE(huge_window, ZONE_PAGES);

/* The kernel drops what is mapped in the window, but not what is in it. */
TEST_F(huge_window, madvise_on_the_window)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	int i;

	ASSERT_NE(NULL, p);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, madvise(vm->base, vm->len, MADV_DONTNEED));
		EXPECT_EQ(0, wrong(p, 2 * HUGE, 5));
		ASSERT_EQ(0, madvise(p + PAGE, PAGE, MADV_DONTNEED));
	}
	ASSERT_EQ(0, vm_munmap(vm, p + PAGE, PAGE));
	EXPECT_EQ(0, wrong(p + 2 * PAGE, HUGE, 5 + 2 * PAGE));
	ASSERT_EQ(0, madvise(p, HUGE, MADV_PAGEOUT));
	ASSERT_EQ(0, madvise(p + HUGE, PAGE, MADV_PAGEOUT));
	ASSERT_EQ(0, madvise(p + HUGE, PAGE, MADV_COLD));
	EXPECT_EQ(0, wrong(p + 2 * PAGE, 2 * HUGE - 2 * PAGE, 5 + 2 * PAGE));

	ASSERT_EQ(0, madvise(vm->base, vm->len, MADV_NOHUGEPAGE));
	ASSERT_NE(NULL, map_huge(vm, 4, 1, RW));
	EXPECT_PAGES(at(vm, 4), HUGE, 1);
}

/* Advice that the kernel of the native variant may not know. */
TEST_F(huge_window, guards_and_broken_pages)
{
	struct vm *vm = &self->vm;
	char *p = furnish(vm, 1, 2, 5);
	int ret;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_madvise(vm, p + 5 * PAGE, PAGE, 102));
	EXPECT_EQ(SIGSEGV, probe_read(p + 5 * PAGE, NULL, NULL));
	EXPECT_EQ(0, wrong(p, 5 * PAGE, 5));
	EXPECT_EQ(0, wrong(p + 6 * PAGE, 2 * HUGE - 6 * PAGE, 5 + 6 * PAGE));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, HUGE, MADV_COLLAPSE));
	ASSERT_EQ(0, vm_madvise(vm, p + HUGE, HUGE, 102));
	EXPECT_EQ(SIGSEGV, probe_write(p + HUGE, 1, NULL));
	ASSERT_EQ(0, vm_madvise(vm, p, 2 * HUGE, 103));
	EXPECT_EQ(0, *(volatile long *)(p + HUGE));

	p = furnish(vm, 5, 1, 5);
	ASSERT_NE(NULL, p);
	ret = vm_madvise(vm, p + 7 * PAGE, PAGE, MADV_SOFT_OFFLINE);
	if (ret && (errno == EINVAL || errno == EPERM))
		return;
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, wrong(p, HUGE, 5));
}

TEST_F(huge_window, goes_with_the_window)
{
	char *p = furnish(&self->vm, 1, 2, 5);
	pid_t pid;

	ASSERT_NE(NULL, p);
	/* A table is parked below this one. */
	ASSERT_NE(NULL, map_huge(&self->vm, 4, 2, RW));
	(void)*(volatile char *)at(&self->vm, 4);
	EXPECT_HUGE(at(&self->vm, 4), HUGE, 1);
	pid = fork();
	if (!pid)
		_exit(0);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_HUGE(at(&self->vm, 5), HUGE, 1);
	EXPECT_EQ(0, munmap(self->vm.base, self->vm.len));
}

TEST_HARNESS_MAIN
