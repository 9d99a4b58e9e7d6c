// SPDX-License-Identifier: GPL-2.0
/*
 * Paging out and in: MADV_PAGEOUT, MADV_COLD, MADV_FREE, and a lack of memory.
 *
 * Most of it wants swap space: tests/vm/run --swap.
 */
#include <pthread.h>
#include <sched.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memcg.h"
#include "memory.h"

#define ZONE 8192
#define NR 64

VM_FIXTURE(swap, ZONE);

static bool has_swap(void)
{
	return proc_number("/proc/meminfo", "SwapTotal:") > 0;
}

/* A word for each page. */
static void fill(char *p, size_t pages, uint64_t seed)
{
	for (size_t i = 0; i < pages; i++)
		for (size_t j = 0; j < PAGE; j += 512)
			*(volatile uint64_t *)(p + i * PAGE + j) = seed + i;
}

/* How many pages are not as fill() has left them. */
static size_t wrong(char *p, size_t pages, uint64_t seed)
{
	size_t bad = 0;

	for (size_t i = 0; i < pages; i++)
		for (size_t j = 0; j < PAGE; j += 512)
			if (*(volatile uint64_t *)(p + i * PAGE + j) !=
			    seed + i) {
				bad++;
				break;
			}
	return bad;
}

/* One of the numbers in the window's lines: "swapped ", "out ", "in ", "freed ". */
static long swap_number(struct vm *vm, const char *key)
{
	char path[64], line[512];
	bool ours = false;
	long n = -1;
	FILE *f;
	char *p;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	f = fopen(path, "re");
	while (f && n < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "altvm-window:", 13))
			ours = strstr(line, " self");
		p = ours ? strstr(line, key) : NULL;
		if (p)
			n = atol(p + strlen(key));
	}
	if (f)
		fclose(f);
	return n;
}

static int advise(struct vm *vm, void *p, size_t pages, int advice)
{
	return vm_madvise(vm, p, pages * PAGE, advice);
}

/* Reclaim looks only at what is not in another CPU's queue. */
static void stay_on_a_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The smaps line @key, in kB, of all mappings in the zone. */
static long smaps_number(struct vm *vm, const char *key)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool ours = false;
	char line[512];
	long sum = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			ours = start < (uintptr_t)vm->base + vm->len &&
			       end > (uintptr_t)vm->base;
		else if (ours && !strncmp(line, key, strlen(key)))
			sum += atol(line + strlen(key));
	}
	if (f)
		fclose(f);
	return sum;
}

/* The path of the swap device; false if there is not just one. */
static bool swap_device(char *path)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[256];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f))
		if (line[0] == '/' && sscanf(line, "%63s", path) == 1)
			nr++;
	if (f)
		fclose(f);
	return nr == 1;
}

/* Each CPU keeps some swap space for later; in kB. */
#define KEPT_SWAP 4096

/* What is in swap space, or in memory and could be there, in kB. */
static long swap_used(void)
{
	return proc_number("/proc/meminfo", "SwapTotal:") -
	       proc_number("/proc/meminfo", "SwapFree:") +
	       proc_number("/proc/meminfo", "Shmem:");
}

/*
 * Waits until no more than @before is used.  What was dropped while it was written
 * stays in swap space until the kernel looks for some, as natively.
 */
static bool swap_comes_back(long before)
{
	char path[64];

	for (int i = 0; i < 50; i++) {
		if (swap_used() < before + KEPT_SWAP)
			return true;
		usleep(20000);
	}
	if (!swap_device(path) || swapoff(path) || swapon(path, 0))
		return false;
	fprintf(stderr, "# %ld kB of swap space used, and %ld before\n",
		swap_used(), before);
	return swap_used() < before + KEPT_SWAP;
}

TEST_F(swap, pageout_keeps_contents)
{
	char *p = vm_map_at(&self->vm, 8, NR, RW);

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	if (!vm_is_native(&self->vm)) {
		EXPECT_EQ(NR * PAGE / 1024,
			  (size_t)swap_number(&self->vm, "swapped "));
		EXPECT_EQ(0, vm_resident(&self->vm, p));
	}
	EXPECT_EQ(0, wrong(p, NR, 1000));
	EXPECT_EQ(1, vm_resident(&self->vm, p));
	if (!vm_is_native(&self->vm)) {
		EXPECT_EQ(0, swap_number(&self->vm, "swapped "));
		EXPECT_EQ(NR, swap_number(&self->vm, "in "));
	}
	fill(p, NR, 2000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	fill(p, NR / 2, 3000);
	EXPECT_EQ(0, wrong(p, NR / 2, 3000));
	EXPECT_EQ(0, wrong(p + NR / 2 * PAGE, NR / 2, 2000 + NR / 2));
}

/* Pages that are untouched, of zeroes, without rights, discarded, unmapped. */
TEST_F(swap, pageout_of_anything)
{
	char *p = vm_map_at(&self->vm, 8, 6 * NR, RW);
	size_t i;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = NR; i < 2 * NR; i++)
		EXPECT_EQ(0, ((volatile char *)p)[i * PAGE]);
	fill(p + 2 * NR * PAGE, 4 * NR, 1000);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 3 * NR * PAGE, NR * PAGE,
				 PROT_NONE));
	ASSERT_EQ(0, advise(&self->vm, p, 6 * NR, MADV_PAGEOUT));
	ASSERT_EQ(0, advise(&self->vm, p + 4 * NR * PAGE, NR, MADV_DONTNEED));
	ASSERT_EQ(0, vm_munmap(&self->vm, p + 5 * NR * PAGE, NR * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 4 * NR * PAGE, PROT_READ));
	for (i = 0; i < 2 * NR; i++)
		EXPECT_EQ(0, ((volatile char *)p)[i * PAGE]);
	EXPECT_EQ(0, wrong(p + 2 * NR * PAGE, 2 * NR, 1000));
	for (i = 4 * NR; i < 5 * NR; i++)
		EXPECT_EQ(0, ((volatile char *)p)[i * PAGE]);
	EXPECT_EQ(SIGSEGV, probe_write(p + 2 * NR * PAGE, 1, NULL));
	ASSERT_EQ(0, advise(&self->vm, p, 5 * NR, MADV_PAGEOUT));
	ASSERT_EQ(0, vm_munmap(&self->vm, p, 5 * NR * PAGE));
}

/* What is unmapped, discarded, replaced, read again: no swap space stays behind. */
TEST_F_TIMEOUT(swap, swap_space_comes_back, SLOW)
{
	long before = swap_used();
	const size_t pages = scaled(1024);
	char *p;
	int i;

	if (!has_swap())
		SKIP(return, "no swap");
	for (i = 0; i < 8; i++) {
		p = vm_map_at(&self->vm, 8, pages, RW);
		ASSERT_NE(MAP_FAILED, (void *)p);
		fill(p, pages, 1000);
		ASSERT_EQ(0, advise(&self->vm, p, pages, MADV_PAGEOUT));
		if (i % 4 == 0)
			ASSERT_EQ(0, vm_munmap(&self->vm, p, pages * PAGE));
		if (i % 4 == 1)
			ASSERT_EQ(0,
				  advise(&self->vm, p, pages, MADV_DONTNEED));
		if (i % 4 == 2)
			fill(p, pages, 2000);
	}
	ASSERT_EQ(0, vm_munmap(&self->vm, p, pages * PAGE));
	EXPECT_TRUE(swap_comes_back(before));
}

TEST_F(swap, what_is_refused)
{
	const int advice[] = { MADV_FREE, MADV_COLD, MADV_PAGEOUT };
	char *p = vm_map_at(&self->vm, 8, NR, RW), *q;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	enum memory m;
	size_t i;

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 3; i++) {
		EXPECT_FAIL(EINVAL, advise(&self->vm, p + 1, 1, advice[i]));
		EXPECT_EQ(0, advise(&self->vm, p, 0, advice[i]));
		EXPECT_FAIL(ENOMEM, advise(&self->vm, p - PAGE, NR, advice[i]));
		EXPECT_FAIL(ENOMEM, advise(&self->vm, p, NR + 1, advice[i]));
	}
	for_each_memory(m) {
		q = memory_map(&self->vm, m, 8, NR, RW, fd);
		ASSERT_NE(MAP_FAILED, (void *)q);
		EXPECT_EQ(0, advise(&self->vm, q, NR, MADV_COLD));
		EXPECT_EQ(0, advise(&self->vm, q, NR, MADV_PAGEOUT));
		EXPECT_EQ(m == PRIVATE_ANON ? 0 : EINVAL,
			  ERRNO_OF(advise(&self->vm, q, NR, MADV_FREE)));
	}
	close(fd);
}

/* What is before a hole, and after it, is paged out, and the hole is told. */
TEST_F(swap, holes_are_passed_over)
{
	char *p = vm_map_at(&self->vm, 8, 3 * NR, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	stay_on_a_cpu();
	fill(p, 3 * NR, 1000);
	ASSERT_EQ(0, vm_munmap(&self->vm, p + NR * PAGE, NR * PAGE));
	EXPECT_FAIL(ENOMEM, advise(&self->vm, p, 3 * NR, MADV_COLD));
	EXPECT_FAIL(ENOMEM, advise(&self->vm, p, 3 * NR, MADV_FREE));
	EXPECT_FAIL(ENOMEM, advise(&self->vm, p, 3 * NR, MADV_PAGEOUT));
	EXPECT_EQ(0, *(volatile char *)p);
	EXPECT_EQ(0, *(volatile char *)(p + 2 * NR * PAGE));
}

TEST_F(swap, cold_is_not_young)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	enum memory m;
	char *p;

	ASSERT_LE(0, fd);
	for_each_memory(m) {
		p = memory_map(&self->vm, m, 8, NR, RW, fd);
		ASSERT_NE(MAP_FAILED, (void *)p);
		fill(p, NR, 1000);
		EXPECT_LE(NR * PAGE / 1024,
			  (size_t)smaps_number(&self->vm, "Referenced:"));
		ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_COLD));
		/* Of files, the page itself is remembered to be used. */
		if (m == PRIVATE_ANON || m == PRIVATE_FILE)
			EXPECT_EQ(0, smaps_number(&self->vm, "Referenced:"))
			{
				TH_LOG("%s", memory_name(m));
			}
		EXPECT_EQ(0, wrong(p, NR, 1000));
	}
	close(fd);
}

/* Who has a reference of the page sees what is written to it. */
TEST_F(swap, what_others_use_stays)
{
	char *p = vm_map_at(&self->vm, 8, 2, RW), buf[PAGE];
	struct iovec v = { p, PAGE };
	int line[2];

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, pipe(line));
	memset(p, 'a', 2 * PAGE);
	ASSERT_EQ(PAGE, (size_t)vmsplice(line[1], &v, 1, 0));
	ASSERT_EQ(0, advise(&self->vm, p, 2, MADV_PAGEOUT));
	if (!vm_is_native(&self->vm)) {
		EXPECT_EQ(1, vm_resident(&self->vm, p));
		EXPECT_EQ(0, vm_resident(&self->vm, p + PAGE));
	}
	memset(p, 'b', PAGE);
	ASSERT_EQ(PAGE, (size_t)read(line[0], buf, PAGE));
	EXPECT_EQ('b', buf[0]);
	EXPECT_EQ('b', buf[PAGE - 1]);
	/* And then it goes. */
	ASSERT_EQ(0, advise(&self->vm, p, 2, MADV_PAGEOUT));
	if (!vm_is_native(&self->vm))
		EXPECT_EQ(0, vm_resident(&self->vm, p));
	EXPECT_EQ('b', *(volatile char *)p);
	close(line[0]);
	close(line[1]);
}

/* What files have, and what private mappings have of them. */
TEST_F(swap, pageout_of_files)
{
	char *p, *dir = getenv("ALTVM_DIR"), byte;
	int fd = nameless_file(dir ? dir : files_dir(), 3 * NR * PAGE);
	size_t i;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_LE(0, fd);
	p = memory_map(&self->vm, SHARED_FILE, 0, NR, RW, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, fsync(fd));
	EXPECT_EQ(1, vm_resident(&self->vm, p));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	/* They were clean. */
	EXPECT_EQ(0, vm_resident(&self->vm, p));
	EXPECT_EQ(0, vm_resident(&self->vm, p + (NR - 1) * PAGE));
	EXPECT_EQ(0, wrong(p, NR, 1000));

	fill(p, NR, 2000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	EXPECT_EQ(0, wrong(p, NR, 2000));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(1, pread(fd, &byte, 1, i * PAGE));
		EXPECT_EQ((char)(2000 + i), byte);
	}

	p = memory_map(&self->vm, PRIVATE_FILE, 0, 2 * NR, RW, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR / 2, 3000);
	ASSERT_EQ(0, advise(&self->vm, p, 2 * NR, MADV_PAGEOUT));
	EXPECT_EQ(0, wrong(p, NR / 2, 3000));
	EXPECT_EQ(0, wrong(p + NR / 2 * PAGE, NR / 2, 2000 + NR / 2));
	/* Beyond a cut nothing is left. */
	ASSERT_EQ(0, advise(&self->vm, p, 2 * NR, MADV_PAGEOUT));
	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	EXPECT_EQ(SIGBUS, probe_read(p + 4 * PAGE, NULL, NULL));
	ASSERT_EQ(0, ftruncate(fd, NR * PAGE));
	EXPECT_EQ(0, *(volatile char *)(p + 4 * PAGE));
	EXPECT_EQ(0, wrong(p, 4, 3000));
	close(fd);
}

/* Whose file it is not, and who may not write to it, does not learn what is cached. */
TEST_F(swap, pageout_of_others_files)
{
	char name[64];
	pid_t pid;
	int fd;

	if (getuid())
		SKIP(return, "not root");
	snprintf(name, sizeof(name), "%s/altvm-swap.%d", files_dir(), getpid());
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, NR * PAGE));
	ASSERT_EQ(0, fsync(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int ro = open(name, O_RDONLY | O_CLOEXEC);
		char *p;

		CHECK(!setuid(1000));
		p = memory_map(&self->vm, PRIVATE_FILE, 0, NR, PROT_READ, ro);
		CHECK(p != MAP_FAILED);
		for (size_t i = 0; i < NR; i++)
			CHECK(!((volatile char *)p)[i * PAGE]);
		CHECK(!advise(&self->vm, p, NR, MADV_PAGEOUT));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	{
		char *p = memory_map(&self->vm, SHARED_FILE, 0, NR, RW, fd);

		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(1, vm_resident(&self->vm, p));
	}
	unlink(name);
	close(fd);
}

TEST_F(swap, pageout_of_shared_memory)
{
	char *p = memory_map(&self->vm, SHARED_ANON, 0, NR, RW, -1);
	int line;
	pid_t pid;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	EXPECT_EQ(0, wrong(p, NR, 1000));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(line));
		CHECK(!wrong(p, NR, 1000));
		fill(p, NR, 2000);
		CHECK(!advise(&self->vm, p, NR, MADV_PAGEOUT));
		CHECK(say(line));
		_exit(0);
	}
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_TRUE(say(line));
	ASSERT_TRUE(hear(line));
	EXPECT_EQ(0, wrong(p, NR, 2000));
	EXPECT_EQ(0, end_of(pid));
	close(line);
}

/* Parent and child have the same contents until one of them writes. */
TEST_F(swap, forks_share_what_is_out)
{
	char *p = vm_map_at(&self->vm, 8, 4 * NR, RW);
	int line;
	pid_t pid;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, 4 * NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, 2 * NR, MADV_PAGEOUT));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!wrong(p, NR / 2, 1000));
		fill(p, NR, 2000);
		CHECK(!advise(&self->vm, p, 4 * NR, MADV_PAGEOUT));
		CHECK(say(line));
		CHECK(hear(line));
		CHECK(!wrong(p, NR, 2000));
		CHECK(!wrong(p + NR * PAGE, 3 * NR, 1000 + NR));
		_exit(0);
	}
	ASSERT_TRUE(hear(line));
	EXPECT_EQ(0, wrong(p, 3 * NR, 1000));
	fill(p + NR * PAGE, NR, 3000);
	ASSERT_EQ(0, advise(&self->vm, p, 4 * NR, MADV_PAGEOUT));
	ASSERT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, wrong(p, NR, 1000));
	EXPECT_EQ(0, wrong(p + NR * PAGE, NR, 3000));
	EXPECT_EQ(0, wrong(p + 2 * NR * PAGE, 2 * NR, 1000 + 2 * NR));
	close(line);
}

/*
 * What was told to be free: half of it is written to again, by @how.  Then it is
 * paged out: the others are lost, and these are not.
 */
enum rewrite {
	BY_STORES,
	BEFORE_FORK,
	BEFORE_MPROTECT,
	BY_READ,
	BY_DEBUGGER,
	NR_HOW
};

static int rewrite(struct vm *vm, char *p, enum rewrite how)
{
	char path[32], page[PAGE];
	int fd[2], status = 0;
	pid_t pid;

	if (how == BY_STORES || how == BEFORE_FORK || how == BEFORE_MPROTECT)
		fill(p, NR / 2, 2000);
	if (how == BEFORE_FORK) {
		pid = fork();
		if (!pid) {
			fill(p, NR, 7000);
			_exit(0);
		}
		return end_of(pid);
	}
	if (how == BEFORE_MPROTECT)
		return vm_mprotect(vm, p, NR * PAGE, PROT_READ) ?:
			       vm_mprotect(vm, p, NR * PAGE, RW);
	if (how == BY_READ) {
		if (pipe(fd))
			return -1;
		for (size_t i = 0; !status && i < NR / 2; i++) {
			fill(page, 1, 2000 + i);
			status = write(fd[1], page, PAGE) != PAGE ||
				 read(fd[0], p + i * PAGE, PAGE) != PAGE;
		}
		close(fd[0]);
		close(fd[1]);
	}
	if (how == BY_DEBUGGER) {
		snprintf(path, sizeof(path), "/proc/self/mem");
		fd[0] = open(path, O_RDWR | O_CLOEXEC);
		status = vm_mprotect(vm, p, NR * PAGE, PROT_READ);
		for (size_t i = 0; !status && i < NR / 2; i++) {
			fill(page, 1, 2000 + i);
			status = pwrite(fd[0], page, PAGE,
					(uintptr_t)p + i * PAGE) != PAGE;
		}
		close(fd[0]);
	}
	return status;
}

TEST_F(swap, free_keeps_what_is_written_again)
{
	enum rewrite how;
	size_t i;
	char *p;

	if (!has_swap())
		SKIP(return, "no swap");
	stay_on_a_cpu();
	for (how = 0; how < NR_HOW; how++) {
		p = vm_map_at(&self->vm, 8, NR, RW);
		ASSERT_NE(MAP_FAILED, (void *)p);
		fill(p, NR, 1000);
		ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_FREE));
		EXPECT_EQ(0, wrong(p, NR, 1000));
		EXPECT_EQ(1, vm_resident(&self->vm, p));
		ASSERT_EQ(0, rewrite(&self->vm, p, how));
		EXPECT_EQ(0, wrong(p + NR / 2 * PAGE, NR / 2, 1000 + NR / 2));
		ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
		EXPECT_EQ(0, wrong(p, NR / 2, 2000))
		{
			TH_LOG("how %d", how);
		}
		for (i = NR / 2; i < NR; i++)
			EXPECT_EQ(0, ((volatile char *)p)[i * PAGE])
			{
				TH_LOG("how %d", how);
			}
	}
}

/* What is paged out is simply dropped. */
TEST_F(swap, free_of_what_is_out)
{
	char *p = vm_map_at(&self->vm, 8, NR, RW);
	size_t i;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	stay_on_a_cpu();
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_FREE));
	if (!vm_is_native(&self->vm))
		EXPECT_EQ(0, swap_number(&self->vm, "swapped "));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(0, ((volatile char *)p)[i * PAGE]);
}

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif

/* It is lost although it has been written, and needs no swap space. */
TEST_F(swap, droppable_memory_goes)
{
	char *p = vm_mmap(&self->vm, vm_page(&self->vm, 8), NR * PAGE, RW,
			  MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED);
	size_t i;

	if (p == MAP_FAILED)
		SKIP(return, "no MAP_DROPPABLE");
	stay_on_a_cpu();
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(0, ((volatile char *)p)[i * PAGE]);
}

/* Locked memory stays, and is not advised on. */
TEST_F(swap, locked_memory_stays)
{
	const int advice[] = { MADV_FREE, MADV_COLD, MADV_PAGEOUT };
	char *p = vm_map_at(&self->vm, 8, NR, RW);
	size_t i;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	/* It comes back. */
	ASSERT_EQ(0, vm_mlock(&self->vm, p, NR / 2 * PAGE));
	for (i = 0; i < NR / 2; i++)
		EXPECT_EQ(1, vm_resident(&self->vm, p + i * PAGE));
	for (i = 0; i < 3; i++)
		EXPECT_FAIL(EINVAL, advise(&self->vm, p, NR, advice[i]));
	EXPECT_EQ(0, wrong(p, NR, 1000));
	for (i = 0; i < NR / 2; i++)
		EXPECT_EQ(1, vm_resident(&self->vm, p + i * PAGE));
	ASSERT_EQ(0, vm_munlock(&self->vm, p, NR / 2 * PAGE));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	EXPECT_EQ(0, wrong(p, NR, 1000));
}

/* Moved, by whole tables and page by page. */
TEST_F(swap, what_is_out_can_be_moved)
{
	char *p = vm_map_at(&self->vm, 1024, 1024, RW), *q;
	const size_t pages = 512 + NR;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, pages, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, pages, MADV_PAGEOUT));
	q = vm_page(&self->vm, 4096);
	ASSERT_EQ(q, vm_mremap(&self->vm, p, pages * PAGE, pages * PAGE,
			       MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_EQ(0, wrong(q, NR, 1000));
	p = vm_page(&self->vm, 2049);
	ASSERT_EQ(p, vm_mremap(&self->vm, q, pages * PAGE, pages * PAGE,
			       MREMAP_MAYMOVE | MREMAP_FIXED, p));
	EXPECT_EQ(0, wrong(p, pages, 1000));
	if (!vm_is_native(&self->vm))
		EXPECT_EQ(0, swap_number(&self->vm, "swapped "));
}

struct waiter {
	uint32_t *word;
	long ret;
	int started;
};

static void *wait_for_word(void *arg)
{
	struct waiter *w = arg;
	struct timespec t = { .tv_sec = 60 };

	__atomic_store_n(&w->started, 1, __ATOMIC_RELEASE);
	w->ret = syscall(SYS_futex, w->word, FUTEX_WAIT, 1, &t, NULL, 0);
	return NULL;
}

/* Not only a private futex: it is found by the page. */
TEST_F_TIMEOUT(swap, a_futex_stays_the_same, SLOW)
{
	uint32_t *p = (void *)vm_map_at(&self->vm, 8, 1, RW);
	struct waiter w = { .word = p };
	pthread_t thread;
	int i, woken = 0;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	*p = 1;
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_word, &w));
	while (!__atomic_load_n(&w.started, __ATOMIC_ACQUIRE))
		sched_yield();
	usleep(50000);
	ASSERT_EQ(0, advise(&self->vm, p, 1, MADV_PAGEOUT));
	if (!vm_is_native(&self->vm))
		EXPECT_EQ(0, vm_resident(&self->vm, p));
	for (i = 0; i < 1000 && !woken; i++) {
		woken = syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0);
		if (!woken)
			usleep(1000);
	}
	EXPECT_EQ(1, woken);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, w.ret);
}

/* Other processes that look at it page it in. */
TEST_F(swap, others_see_what_is_out)
{
	char *p = vm_map_at(&self->vm, 8, NR, RW), path[32], buf[PAGE];
	struct iovec here = { buf, PAGE }, there = { p + PAGE, PAGE };
	pid_t parent = getpid(), pid;
	int fd;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 2 * PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(process_vm_readv(parent, &here, 1, &there, 1, 0) == PAGE);
		CHECK(!wrong(buf, 1, 1001));
		snprintf(path, sizeof(path), "/proc/%d/mem", parent);
		fd = open(path, O_RDWR | O_CLOEXEC);
		CHECK(pread(fd, buf, PAGE, (uintptr_t)p + 2 * PAGE) == PAGE);
		CHECK(!wrong(buf, 1, 1002));
		fill(buf, 1, 5000);
		CHECK(pwrite(fd, buf, PAGE, (uintptr_t)p + 3 * PAGE) == PAGE);
		CHECK(!wrong(p, 2, 1000));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 2 * PAGE, PAGE, RW));
	EXPECT_EQ(0, wrong(p, 3, 1000));
	EXPECT_EQ(0, wrong(p + 3 * PAGE, 1, 5000));
	EXPECT_EQ(0, wrong(p + 4 * PAGE, NR - 4, 1004));
}

/* Input, in every way, goes to where it was paged out from. */
TEST_F(swap, input_pages_in)
{
	char *p = vm_map_at(&self->vm, 8, NR, RW);
	int fd = nameless_file(files_dir(), NR * PAGE);

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_EQ(NR * PAGE, (size_t)pwrite(fd, p, NR * PAGE, 0));
	fill(p, NR, 2000);
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_EQ(PAGE, (size_t)pread(fd, p + PAGE, PAGE, PAGE));
	EXPECT_EQ(0, wrong(p + PAGE, 1, 1001));
	EXPECT_EQ(0, wrong(p, 1, 2000));
	EXPECT_EQ(0, wrong(p + 2 * PAGE, NR - 2, 2002));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_POPULATE_READ));
	EXPECT_EQ(1, vm_resident(&self->vm, p + 5 * PAGE));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
	ASSERT_EQ(0, advise(&self->vm, p, NR, MADV_POPULATE_WRITE));
	EXPECT_EQ(1, vm_resident(&self->vm, p + 5 * PAGE));
	EXPECT_EQ(0, wrong(p, 1, 2000));
	EXPECT_EQ(0, wrong(p + 2 * PAGE, NR - 2, 2002));
	close(fd);
}

/* ---- Races ---- */

#define WRITERS 2

struct race {
	struct vm *vm;
	char *p;
	size_t pages;
	bool stop;
	long lost, rounds;
};

static bool is_over(const struct race *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
}

static void count(long *what, long n)
{
	__atomic_add_fetch(what, n, __ATOMIC_RELAXED);
}

struct writer {
	struct race *race;
	size_t first;
	pthread_t thread;
};

/* Each page has a count that its writer alone increases, in two places. */
static void *count_up(void *arg)
{
	struct writer *w = arg;
	struct race *r = w->race;
	uint64_t n = 0;

	while (!is_over(r)) {
		for (size_t i = w->first; i < r->pages; i += WRITERS) {
			volatile uint64_t *q = (void *)(r->p + i * PAGE);

			if (q[0] != n || q[511] != ~n)
				count(&r->lost, 1);
			q[0] = n + 1;
			q[511] = ~(n + 1);
		}
		n++;
		count(&r->rounds, 1);
	}
	return NULL;
}

static void *page_out(void *arg)
{
	struct race *r = arg;

	while (!is_over(r)) {
		if (advise(r->vm, r->p, r->pages, MADV_PAGEOUT))
			count(&r->lost, 1);
		sched_yield();
	}
	return NULL;
}

static void race_init(struct race *r, struct vm *vm, size_t pages)
{
	r->vm = vm;
	r->pages = pages;
	r->p = vm_map_at(vm, 8, pages, RW);
	for (size_t i = 0; i < pages; i++)
		((uint64_t *)(r->p + i * PAGE))[511] = ~0UL;
}

TEST_F_TIMEOUT(swap, no_store_is_lost, SLOW)
{
	struct writer w[WRITERS];
	struct race r = {};
	pthread_t out[2];
	pid_t pid;
	long i;

	if (!has_swap())
		SKIP(return, "no swap");
	race_init(&r, &self->vm, NR);
	for (i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ .race = &r, .first = i };
		ASSERT_EQ(0,
			  pthread_create(&w[i].thread, NULL, count_up, &w[i]));
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&out[i], NULL, page_out, &r));
	for (i = 0; i < scaled(40); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* At each page it was one moment. */
			for (size_t j = 0; j < NR; j++) {
				volatile uint64_t *q = (void *)(r.p + j * PAGE);

				CHECK(q[0] == ~q[511] || q[0] == ~q[511] + 1);
			}
			CHECK(!advise(&self->vm, r.p, NR, MADV_PAGEOUT));
			for (size_t j = 0; j < NR; j++)
				((volatile char *)r.p)[j * PAGE] = 1;
			_exit(0);
		}
		usleep(10000);
		EXPECT_EQ(0, end_of(pid));
	}
	await_first(r.rounds);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < WRITERS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < 2; i++)
		pthread_join(out[i], NULL);
	EXPECT_EQ(0, r.lost);
}

static void *read_all(void *arg)
{
	struct race *r = arg;

	while (!is_over(r)) {
		count(&r->lost, wrong(r->p, r->pages, 1000));
		count(&r->rounds, 1);
	}
	return NULL;
}

/* Several threads want the same page at once. */
TEST_F_TIMEOUT(swap, readers_at_once, SLOW)
{
	struct race r = { .vm = &self->vm, .pages = NR };
	pthread_t t[4];
	long i;

	if (!has_swap())
		SKIP(return, "no swap");
	r.p = vm_map_at(&self->vm, 8, NR, RW);
	ASSERT_NE(MAP_FAILED, (void *)r.p);
	fill(r.p, NR, 1000);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, read_all, &r));
	for (i = 0; i < scaled(100); i++)
		EXPECT_EQ(0, advise(&self->vm, r.p, NR, MADV_PAGEOUT));
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, r.lost);
}

static void *probe_all(void *arg)
{
	struct race *r = arg;
	uint64_t value;

	while (!is_over(r))
		for (size_t i = 0; i < r->pages; i++)
			if (!probe_read(r->p + i * PAGE, &value, NULL) &&
			    value && value != 1000 + i)
				count(&r->lost, 1);
	return NULL;
}

/* It is unmapped, or gets other rights, while somebody pages it in. */
TEST_F_TIMEOUT(swap, unmapped_meanwhile, SLOW)
{
	struct race r = { .vm = &self->vm, .pages = NR };
	long i, before = swap_used();
	pthread_t t[2];

	if (!has_swap())
		SKIP(return, "no swap");
	r.p = vm_page(&self->vm, 8);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, probe_all, &r));
	for (i = 0; i < scaled(20); i++) {
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 8, NR, RW));
		fill(r.p, NR, 1000);
		EXPECT_EQ(0, advise(&self->vm, r.p, NR, MADV_PAGEOUT));
		EXPECT_EQ(0, vm_mprotect(&self->vm, r.p, NR * PAGE,
					 i & 1 ? PROT_NONE : PROT_READ));
		if (i % 3 == 0)
			vm_munmap(&self->vm, r.p, NR * PAGE);
		else if (i % 3 == 1)
			advise(&self->vm, r.p, NR, MADV_FREE);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, r.lost);
	EXPECT_EQ(0, vm_munmap(&self->vm, r.p, NR * PAGE));
	EXPECT_TRUE(swap_comes_back(before));
}

/* A process that is killed gives its swap space back. */
TEST_F_TIMEOUT(swap, killed_meanwhile, SLOW)
{
	long i, before = swap_used();
	struct rng rng = { 1 };
	pid_t pid;

	if (!has_swap())
		SKIP(return, "no swap");
	for (i = 0; i < scaled(20); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			pid_t pid_of_child = getpid();
			struct writer w = {};
			struct race r = {};

			race_init(&r, &self->vm, 8 * NR);
			w = (struct writer){ .race = &r };
			pthread_create(&w.thread, NULL, count_up, &w);
			if (!fork()) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				/* Unless it has been killed before. */
				if (getppid() == pid_of_child)
					count_up(&w);
				_exit(0);
			}
			page_out(&r);
		}
		usleep(rng_below(&rng, 40000));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
	EXPECT_TRUE(swap_comes_back(before));
}

/* What was swapped out comes back, and can be swapped out again. */
TEST_F_TIMEOUT(swap, swapoff_meanwhile, SLOW)
{
	struct writer w[WRITERS];
	struct race r = {};
	pthread_t out;
	char path[64];
	char *p;
	long i;

	if (!has_swap())
		SKIP(return, "no swap");
	if (getuid() || !swap_device(path))
		SKIP(return, "no swap device to take away");
	p = vm_map_at(&self->vm, 2048, 16 * NR, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, 16 * NR, 1000);
	ASSERT_EQ(0, advise(&self->vm, p, 16 * NR, MADV_PAGEOUT));
	race_init(&r, &self->vm, NR);
	for (i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ .race = &r, .first = i };
		ASSERT_EQ(0,
			  pthread_create(&w[i].thread, NULL, count_up, &w[i]));
	}
	ASSERT_EQ(0, pthread_create(&out, NULL, page_out, &r));
	for (i = 0; i < 3; i++) {
		usleep(20000);
		EXPECT_EQ(0, swapoff(path));
		EXPECT_EQ(0, advise(&self->vm, p, NR, MADV_PAGEOUT));
		EXPECT_EQ(0, swapon(path, 0));
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < WRITERS; i++)
		pthread_join(w[i].thread, NULL);
	pthread_join(out, NULL);
	EXPECT_EQ(0, r.lost);
	EXPECT_EQ(0, wrong(p, 16 * NR, 1000));
}

/* ---- Disks that do not answer; debug kernels can do that ---- */

#define FAILING "/sys/kernel/debug/fail_make_request/"

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Whatever is read from the swap device, fails, or does so no more. */
static bool swap_fails(bool fails)
{
	char device[64], path[128];

	if (!swap_device(device))
		return false;
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	snprintf(path, sizeof(path), "/sys/block/%s/make-it-fail",
		 device + strlen("/dev/"));
	return write_to(FAILING "verbose", "0") &&
	       write_to(FAILING "times", "-1") &&
	       write_to(FAILING "interval", "1") &&
	       write_to(FAILING "probability", fails ? "100" : "0") &&
	       write_to(path, fails ? "1" : "0");
}

static void lose_pages(struct vm *vm, const struct memcg *g, char *p)
{
	size_t i, lost = 0;
	pid_t pid;

	CHECK(!memcg_enter(g));
	fill(p, NR, 1000);
	CHECK(!advise(vm, p, NR, MADV_PAGEOUT));
	/* And out of the swap cache. */
	for (i = 0; i < 10; i++)
		memcg_put(g, "memory.reclaim", "16M");
	CHECK(swap_fails(true));
	for (i = 0; i < NR; i += 2) {
		struct fault f;
		uint64_t value;

		if (!probe_read(p + i * PAGE, &value, &f)) {
			CHECK(value == 1000 + i);
			continue;
		}
		CHECK(f.sig == SIGBUS && f.code == BUS_ADRERR);
		CHECK(f.addr == (uintptr_t)p + i * PAGE);
		CHECK(probe_write(p + i * PAGE, 1, NULL) == SIGBUS);
		CHECK(getrandom(p + i * PAGE, 8, 0) < 0 && errno == EFAULT);
		CHECK(advise(vm, p + i * PAGE, 1, MADV_POPULATE_READ) &&
		      errno == EFAULT);
		CHECK(advise(vm, p + i * PAGE, 1, MADV_POPULATE_WRITE) &&
		      errno == EFAULT);
		lost++;
	}
	CHECK(lost);
	/* They can be inherited, moved and given up. */
	pid = fork();
	if (!pid)
		_exit(vm_munmap(vm, p, NR * PAGE));
	CHECK(!end_of(pid));
	CHECK(vm_mremap(vm, p, NR * PAGE, NR * PAGE,
			MREMAP_MAYMOVE | MREMAP_FIXED,
			vm_page(vm, 1024)) == vm_page(vm, 1024));
	p = vm_page(vm, 1024);
	CHECK(!advise(vm, p, NR, MADV_DONTNEED));
	for (i = 0; i < NR; i++)
		CHECK(!*(volatile uint64_t *)(p + i * PAGE));
	CHECK(swap_fails(false));
}

TEST_F_TIMEOUT(swap, errors_of_the_disk, SLOW)
{
	long before = swap_used();
	struct memcg g;
	pid_t pid;
	char *p;

	if (!has_swap() || !swap_fails(false))
		SKIP(return, "no swap that can fail");
	ASSERT_TRUE(memcg_open(&g, 64 * MiB, true));
	p = vm_map_at(&self->vm, 8, NR, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		lose_pages(&self->vm, &g, p);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	ASSERT_TRUE(swap_fails(false));
	EXPECT_EQ(0, memcg_close(&g));
	EXPECT_TRUE(swap_comes_back(before));
}

/* --- what only altvm has */

ALTVM_FIXTURE(altvm_swap, ZONE);

/* Which pages have contents, though they are not in memory. */
TEST_F(altvm_swap, what_is_out_is_told)
{
	struct vm *vm = &self->vm;
	unsigned char vec[6] = {};
	struct altvm_mincore arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)vm_page(vm, 8),
		.length = 6 * PAGE,
		.vec = (uintptr_t)vec,
	};
	char *p = vm_map_at(vm, 8, 6, RW);
	size_t i;

	arg.flags = 2;
	EXPECT_EQ(-1, ioctl(vm->fd, ALTVM_MINCORE, &arg));
	EXPECT_EQ(EINVAL, errno);
	arg.flags = 0;
	if (!has_swap())
		SKIP(return, "no swap");
	fill(p, 4, 1000);
	ASSERT_EQ(0, advise(vm, p, 2, MADV_PAGEOUT));
	ASSERT_EQ(0, vm_madvise(vm, p + 5 * PAGE, PAGE,
				102 /* MADV_GUARD_INSTALL */));
	ASSERT_EQ(0, ioctl(vm->fd, ALTVM_MINCORE, &arg));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i == 2 || i == 3, vec[i]);
	arg.flags = ALTVM_MINCORE_SWAPPED;
	ASSERT_EQ(0, ioctl(vm->fd, ALTVM_MINCORE, &arg));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(i < 2 ? 2 : i < 4, vec[i]);
	EXPECT_EQ(0, wrong(p, 4, 1000));
}

/* ---- Without enough memory; the kernel's own kills at times, when disks are slow ---- */

ALTVM_FIXTURE(pressure, 65536);

#define GROUP_PAGES (scaled(8192) < 2048 ? 2048 : scaled(8192))

/* Maps @pages and lets a child @use them where there is room for @limit only. */
static void in_group(struct __test_metadata *_metadata, struct vm *vm,
		     size_t limit, size_t pages,
		     void (*use)(struct vm *vm, char *p, size_t pages))
{
	struct memcg g;
	pid_t pid;
	char *p;

	ASSERT_TRUE(memcg_open(&g, limit * PAGE, true));
	p = vm_map_at(vm, 0, pages, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!memcg_enter(&g));
		use(vm, p, pages);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

static void fill_twice(struct vm *vm, char *p, size_t pages)
{
	(void)vm;
	fill(p, pages, 5000);
	CHECK(!wrong(p, pages, 5000));
	fill(p, pages, 15000);
	CHECK(!wrong(p, pages, 15000));
}

/* In a group that may have half of it. */
TEST_F_TIMEOUT(pressure, twice_the_memory_of_a_group, SLOW)
{
	if (!has_swap())
		SKIP(return, "no swap");
	in_group(_metadata, &self->vm, GROUP_PAGES / 2, GROUP_PAGES,
		 fill_twice);
}

static void fill_and_populate(struct vm *vm, char *p, size_t pages)
{
	fill(p, pages, 5000);
	CHECK(!advise(vm, p, pages, MADV_POPULATE_READ));
	CHECK(!wrong(p, pages, 5000));
	CHECK(!advise(vm, p, pages, MADV_POPULATE_WRITE));
	CHECK(!wrong(p, pages, 5000));
}

/* Neither all of it nor a part that is brought in at a time has room. */
TEST_F_TIMEOUT(pressure, populate_in_a_small_group, SLOW)
{
	if (!has_swap())
		SKIP(return, "no swap");
	in_group(_metadata, &self->vm, 64, 512, fill_and_populate);
}

static void fill_with_a_child(struct vm *vm, char *p, size_t pages)
{
	pid_t pid;

	(void)vm;
	fill(p, pages, 5000);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!wrong(p, pages, 5000));
		fill(p, pages, 15000);
		CHECK(!wrong(p, pages, 15000));
		_exit(0);
	}
	CHECK(!wrong(p, pages, 5000));
	CHECK(!end_of(pid));
	CHECK(!wrong(p, pages, 5000));
}

/* And a child of a process that has it already. */
TEST_F_TIMEOUT(pressure, family_in_a_group, SLOW)
{
	if (!has_swap())
		SKIP(return, "no swap");
	in_group(_metadata, &self->vm, GROUP_PAGES / 2, GROUP_PAGES / 2,
		 fill_with_a_child);
}

/* Neither memory nor swap space is enough. */
TEST_F_TIMEOUT(pressure, full_swap_space, SLOW)
{
	size_t pages = GROUP_PAGES;
	char limit[32];
	struct memcg g;
	pid_t pid;
	char *p;

	if (!has_swap())
		SKIP(return, "no swap");
	ASSERT_TRUE(memcg_open(&g, pages / 4 * PAGE, true));
	snprintf(limit, sizeof(limit), "%lu", pages / 4 * PAGE);
	ASSERT_EQ(0, memcg_put(&g, "memory.swap.max", limit));
	p = vm_map_at(&self->vm, 0, pages, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!memcg_enter(&g));
		fill(p, pages, 5000);
		CHECK(false);
	}
	EXPECT_EQ(SIGKILL, end_of(pid));
	EXPECT_LE(1, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

/* What the window's owner told to be free goes first, and needs no swap space. */
TEST_F_TIMEOUT(pressure, free_memory_goes, SLOW)
{
	size_t pages = GROUP_PAGES;
	struct memcg g;
	pid_t pid;
	char *p;

	ASSERT_TRUE(memcg_open(&g, pages / 2 * PAGE, false));
	p = vm_map_at(&self->vm, 0, pages, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!memcg_enter(&g));
		/* Makes it known to its mm, without swap space. */
		CHECK(!advise(&self->vm, p, pages, MADV_FREE));
		for (size_t i = 0; i < pages; i += NR) {
			fill(p + i * PAGE, NR, 1000);
			CHECK(!advise(&self->vm, p + i * PAGE, NR, MADV_FREE));
		}
		for (size_t i = 0; i < pages; i++) {
			uint64_t v = *(volatile uint64_t *)(p + i * PAGE);

			CHECK(!v || v == 1000 + i % NR);
		}
		CHECK(swap_number(&self->vm, "freed ") > 0);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

/* The whole machine: for a VM that has little memory and much swap space. */
TEST_F_TIMEOUT(pressure, twice_the_memory_of_the_machine, SLOW)
{
	long total = proc_number("/proc/meminfo", "MemTotal:");
	size_t pages = 2 * total / 4, chunk = 1024;
	struct vm vm;
	char *p;

	if (!has_swap())
		SKIP(return, "no swap");
	if (total > 700 * 1024 ||
	    proc_number("/proc/meminfo", "SwapFree:") < 2 * total)
		SKIP(return, "not a machine with little memory");
	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, pages * PAGE));
	p = vm_map_at(&vm, 0, pages, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (size_t i = 0; i + chunk <= pages; i += chunk)
		fill(p + i * PAGE, chunk, i);
	EXPECT_LT(total / 4, swap_number(&vm, "swapped "));
	for (size_t i = 0; i + chunk <= pages; i += chunk)
		EXPECT_EQ(0, wrong(p + i * PAGE, chunk, i));
	vm_close(&vm);
}

TEST_HARNESS_MAIN
