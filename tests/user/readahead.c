// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: how much of a file is read from the disk, by MADV_WILLNEED and by faults
 * after MADV_NORMAL, MADV_RANDOM and MADV_SEQUENTIAL.
 */
#include "disk.h"
#include "fixture.h"
#include "memory.h"

#define PAGES 512
/* Where nothing else is to have brought anything in. */
#define MIDDLE 256

DISK_FIXTURE(readahead, PAGES, PAGES);

static bool fill(int fd)
{
	char page[PAGE];
	size_t i;

	for (i = 0; i < PAGES; i++) {
		memset(page, 'a' + i % 26, PAGE);
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return false;
	}
	return !fsync(fd);
}

/* How many pages of the range are cached; -1 if nobody says. */
static long cached(int fd, size_t page, size_t pages)
{
	struct cached c;

	return disk_cached(fd, page * PAGE, pages * PAGE, &c) ? -1 :
								(long)c.pages;
}

/* Nothing is cached any more. */
static bool forget(int fd)
{
	int i;

	for (i = 0; i < 50 && cached(fd, 0, PAGES); i++) {
		disk_forget(fd);
		usleep(1000 * i);
	}
	return !cached(fd, 0, PAGES);
}

/* Reading goes on when the call has returned. */
static bool comes_to(int fd, size_t page, size_t pages, long want)
{
	int i;

	for (i = 0; i < 200 && cached(fd, page, pages) < want; i++)
		usleep(10000);
	return cached(fd, page, pages) >= want;
}

/* What is cached need not have been read yet. */
static bool becomes_resident(struct vm *vm, size_t page)
{
	int i;

	for (i = 0; i < 200 && !vm_resident(vm, vm_page(vm, page)); i++)
		usleep(10000);
	return vm_resident(vm, vm_page(vm, page)) == 1;
}

static bool is_possible(const struct disk *disk, int fd)
{
	return disk_is_real(disk) && cached(fd, 0, 1) >= 0;
}

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

TEST_F_TIMEOUT(readahead, willneed, SLOW)
{
	struct vm *vm = &self->vm;
	enum memory m;

	if (!is_possible(variant->disk, self->fd))
		SKIP(return, "no disk");
	ASSERT_TRUE(fill(self->fd));
	for_each_memory(m) {
		if (!memory_is_file(m))
			continue;
		ASSERT_EQ(vm->base,
			  memory_map(vm, m, 0, PAGES, PROT_READ, self->fd));
		ASSERT_TRUE(forget(self->fd));
		EXPECT_EQ(0, vm_resident(vm, vm_page(vm, MIDDLE)));
		EXPECT_EQ(0, advise(vm, MIDDLE, 64, MADV_WILLNEED));
		EXPECT_TRUE(comes_to(self->fd, MIDDLE, 64, 64))
		{
			TH_LOG("%s: %ld", memory_name(m),
			       cached(self->fd, MIDDLE, 64));
		}
		EXPECT_TRUE(becomes_resident(vm, MIDDLE));
		EXPECT_TRUE(becomes_resident(vm, MIDDLE + 63));
		EXPECT_EQ(0, cached(self->fd, 0, MIDDLE - 64));
		EXPECT_EQ('a' + MIDDLE % 26, *vm_page(vm, MIDDLE));
		ASSERT_EQ(0, vm_munmap(vm, vm->base, PAGES * PAGE));
	}
}

/* Whatever may be read there, and a hole is told in the end. */
TEST_F_TIMEOUT(readahead, willneed_of_parts, SLOW)
{
	struct vm *vm = &self->vm;

	if (!is_possible(variant->disk, self->fd))
		SKIP(return, "no disk");
	ASSERT_TRUE(fill(self->fd));
	ASSERT_EQ(vm->base,
		  memory_map(vm, SHARED_FILE, 0, PAGES, PROT_NONE, self->fd));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, 120), 10 * PAGE));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 130, 10, RW));
	ASSERT_TRUE(forget(self->fd));
	EXPECT_FAIL(ENOMEM, advise(vm, 100, 60, MADV_WILLNEED));
	EXPECT_TRUE(comes_to(self->fd, 100, 20, 20));
	EXPECT_TRUE(comes_to(self->fd, 140, 20, 20));
}

/* Touch one page: @before of the one before it are cached, @behind of that behind. */
#define EXPECT_READ(before, behind)                                        \
	do {                                                               \
		ASSERT_TRUE(forget(self->fd));                             \
		EXPECT_EQ('a' + MIDDLE % 26, *vm_page(&self->vm, MIDDLE)); \
		usleep(20000);                                             \
		EXPECT_EQ(before, !!cached(self->fd, MIDDLE - 1, 1));      \
		EXPECT_EQ(behind, !!cached(self->fd, MIDDLE + 1, 1));      \
		EXPECT_EQ(0, advise(&self->vm, 0, PAGES, MADV_DONTNEED));  \
	} while (0)

TEST_F_TIMEOUT(readahead, by_faults, SLOW)
{
	struct vm *vm = &self->vm;
	enum memory m;

	if (!is_possible(variant->disk, self->fd))
		SKIP(return, "no disk");
	ASSERT_TRUE(fill(self->fd));
	for_each_memory(m) {
		if (!memory_is_file(m))
			continue;
		ASSERT_EQ(vm->base,
			  memory_map(vm, m, 0, PAGES, PROT_READ, self->fd));
		EXPECT_READ(1, 1);
		ASSERT_EQ(0, advise(vm, 0, PAGES, MADV_RANDOM));
		EXPECT_READ(0, 0);
		EXPECT_EQ(0, cached(self->fd, 0, MIDDLE));
		ASSERT_EQ(0, advise(vm, 0, PAGES, MADV_SEQUENTIAL));
		EXPECT_READ(0, 1);
		ASSERT_EQ(0, advise(vm, 0, PAGES, MADV_NORMAL));
		EXPECT_READ(1, 1);
		/* Where it was asked for only. */
		ASSERT_EQ(0, advise(vm, 0, MIDDLE, MADV_RANDOM));
		EXPECT_READ(1, 1);
		ASSERT_EQ(0, advise(vm, MIDDLE, PAGES - MIDDLE, MADV_RANDOM));
		EXPECT_READ(0, 0);
		ASSERT_EQ(0, vm_munmap(vm, vm->base, PAGES * PAGE));
	}
}

VM_FIXTURE(willneed, 64);

TEST_F(willneed, memory_without_a_file)
{
	struct vm *vm = &self->vm;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 8, 8, RW));
	*vm_page(vm, 8) = 'p';
	EXPECT_EQ(0, vm_madvise(vm, vm_page(vm, 8), 8 * PAGE, MADV_WILLNEED));
	EXPECT_EQ('p', *vm_page(vm, 8));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 9)));
	EXPECT_FAIL(ENOMEM,
		    vm_madvise(vm, vm_page(vm, 8), 9 * PAGE, MADV_WILLNEED));
	EXPECT_FAIL(EINVAL,
		    vm_madvise(vm, vm_page(vm, 8) + 1, PAGE, MADV_WILLNEED));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, PAGE, MADV_WILLNEED));
}

/* How much of the mapping at @p is in swap space, in KiB. */
static long swapped(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool ours = false;
	char line[512];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			ours = start == (uintptr_t)p;
		else if (ours)
			sscanf(line, "Swap: %ld kB", &kib);
	}
	if (f)
		fclose(f);
	return kib;
}

/*
 * What is in swap of shared memory comes back.  Natively it is only read, and stays
 * in swap space until somebody touches it.
 */
TEST_F_TIMEOUT(willneed, shared_memory_in_swap, SLOW)
{
	struct vm *vm = &self->vm;
	int fd = memfd_create("swapped", MFD_CLOEXEC), i;
	char *p = vm_page(vm, 8), *other;

	if (proc_number("/proc/meminfo", "SwapFree:") < 1024)
		SKIP(return, "no swap space");
	ASSERT_EQ(0, ftruncate(fd, 8 * PAGE));
	other = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)other);
	memset(other, 's', 8 * PAGE);
	/* Until it has reached the list that it is taken from. */
	for (i = 0; i < 100 && swapped(other) < 32; i++) {
		EXPECT_EQ(0, madvise(other, 8 * PAGE, MADV_PAGEOUT));
		usleep(10000);
	}
	ASSERT_EQ(32, swapped(other));
	ASSERT_EQ(p, vm_map_file(vm, p, 8 * PAGE, RW, MAP_SHARED | MAP_FIXED,
				 fd, 0));
	EXPECT_EQ(0, vm_madvise(vm, p, 4 * PAGE, MADV_WILLNEED));
	EXPECT_EQ(vm_is_native(vm) ? 32 : 16, swapped(other));
	for (i = 0; i < 8; i++)
		EXPECT_EQ('s', p[i * PAGE]);
	munmap(other, 8 * PAGE);
	close(fd);
}

TEST_HARNESS_MAIN
