// SPDX-License-Identifier: GPL-2.0
/*
 * Same-page merging: MADV_MERGEABLE and MADV_UNMERGEABLE.  The kernel's own (KSM) is
 * turned on for the oracle, and both are made to hurry.
 */
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "memcg.h"
#include "memory.h"

/* The tests merge these. */
#define FIRST 8
#define NR 64
#define ZONE 2048

/* So many passes see everything: one the contents, one that they stay. */
#define PASSES 4
#define PATIENCE 30

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

VM_FIXTURE(merge, ZONE);

/* --- how it is made to hurry */

#define KSM "/sys/kernel/mm/ksm/"
#define OURS "/sys/module/altvm/parameters/merge_"

static struct knob {
	const char *path, *fast;
	char before[32];
} knobs[] = {
	{ .path = KSM "smart_scan", .fast = "0" },
	{ .path = KSM "pages_to_scan", .fast = "4096" },
	{ .path = KSM "sleep_millisecs", .fast = "1" },
	{ .path = KSM "run", .fast = "1" },
	{ .path = OURS "pages_to_scan", .fast = "4096" },
	{ .path = OURS "sleep_millisecs", .fast = "1" },
};

static bool put_knob(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) > 0;

	close(fd);
	return ok;
}

static pid_t turner;

__attribute__((constructor)) static void turn_knobs(void)
{
	size_t i;

	turner = getpid();
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		int fd = open(knobs[i].path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (read(fd, knobs[i].before, sizeof(knobs[i].before) - 1) > 0)
			put_knob(knobs[i].path, knobs[i].fast);
		close(fd);
	}
}

__attribute__((destructor)) static void turn_knobs_back(void)
{
	size_t i;

	if (getpid() != turner)
		return;
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (knobs[i].before[0])
			put_knob(knobs[i].path, knobs[i].before);
}

/* --- what has been done */

/* What the listing says of the own window behind @key; -1 if nothing. */
static long listed(const struct vm *vm, const char *key)
{
	char path[64], line[512];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, key);

		if (!strncmp(line, "altvm-window:", 13) &&
		    strstr(line, " self") && at)
			n = strtol(at + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}

static long nr_passes(const struct vm *vm)
{
	if (vm_is_native(vm))
		return proc_number(KSM "full_scans", "");
	return listed(vm, " passes ");
}

/* Pages of this process that are merged. */
static long nr_merged(const struct vm *vm)
{
	if (vm_is_native(vm))
		return proc_number("/proc/self/ksm_merging_pages", "");
	return listed(vm, " merged ") / 4;
}

/* Wait until all there is to do has been done.  False if that is never. */
static bool settle(const struct vm *vm)
{
	long until = nr_passes(vm) + PASSES;
	int i;

	for (i = 0; i < PATIENCE * 100 && nr_passes(vm) < until; i++)
		usleep(10000);
	return until >= PASSES && nr_passes(vm) >= until;
}

/* The same; how many pages are merged, or -1. */
static long merged_soon(const struct vm *vm)
{
	return settle(vm) ? nr_merged(vm) : -1;
}

/* The same, where somebody else is not ready yet. */
static bool merges(const struct vm *vm, long want)
{
	int i;

	for (i = 0; i < 10; i++)
		if (merged_soon(vm) == want)
			return true;
	return false;
}

static bool can_merge(const struct vm *vm)
{
	return access(vm_is_native(vm) ? KSM "run" : OURS "pages_to_scan",
		      W_OK) == 0;
}

#define NO_MERGING "nothing merges here"

/* --- contents */

/* Page @page holds the contents number @n throughout. */
static void fill(struct vm *vm, size_t page, uint64_t n)
{
	uint64_t *p = (uint64_t *)vm_page(vm, page);
	size_t i;

	for (i = 0; i < PAGE / sizeof(*p); i++)
		p[i] = n * 0x9e3779b97f4a7c15 + i;
}

static bool holds(struct vm *vm, size_t page, uint64_t n)
{
	const uint64_t *p = (uint64_t *)vm_page(vm, page);
	size_t i;

	for (i = 0; i < PAGE / sizeof(*p); i++)
		if (p[i] != n * 0x9e3779b97f4a7c15 + i)
			return false;
	return true;
}

static bool all_hold(struct vm *vm, size_t page, size_t pages, uint64_t n)
{
	while (pages--)
		if (!holds(vm, page++, n))
			return false;
	return true;
}

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

/* @pages pages from @page on, with the same contents; -1 and errno. */
static int furnish(struct vm *vm, size_t page, size_t pages, uint64_t n)
{
	size_t i;

	if (vm_map_at(vm, page, pages, RW) == MAP_FAILED)
		return -1;
	for (i = page; i < page + pages; i++)
		fill(vm, i, n);
	return advise(vm, page, pages, MADV_MERGEABLE);
}

/* --- the advice */

TEST_F(merge, is_accepted)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);
		long areas = memory_is_shared(m) ? 1 : 3;

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, 16, RW, fd));
		EXPECT_EQ(0, advise(vm, FIRST + 4, 8, MADV_UNMERGEABLE));
		EXPECT_EQ(1, vm_areas(vm));
		EXPECT_EQ(0, advise(vm, FIRST + 4, 8, MADV_MERGEABLE));
		/* What is shared pays no attention. */
		EXPECT_EQ(areas, vm_areas(vm))
		{
			TH_LOG("%s", memory_name(m));
		}
		EXPECT_EQ(0, advise(vm, FIRST + 4, 8, MADV_MERGEABLE));
		EXPECT_EQ(areas, vm_areas(vm));
		EXPECT_EQ(0, advise(vm, FIRST, 16, MADV_MERGEABLE));
		EXPECT_EQ(1, vm_areas(vm));
		EXPECT_EQ(0, advise(vm, FIRST + 4, 8, MADV_UNMERGEABLE));
		EXPECT_EQ(areas, vm_areas(vm));
		EXPECT_EQ(0, advise(vm, FIRST, 16, MADV_UNMERGEABLE));
		EXPECT_EQ(1, vm_areas(vm));
		close(fd);
	}
}

static const int both[] = { MADV_MERGEABLE, MADV_UNMERGEABLE };

TEST_F(merge, what_is_refused)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, p, PAGE, both[i]));
		EXPECT_EQ(0, vm_madvise(vm, p, 0, both[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, both[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -PAGE, both[i]));
	}
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, 16, RW));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 4), PAGE));
	/* All that is there gets it. */
	EXPECT_FAIL(ENOMEM, advise(vm, FIRST, 8, MADV_MERGEABLE));
	EXPECT_EQ(3, vm_areas(vm));
	EXPECT_FAIL(ENOMEM, advise(vm, FIRST, 16, MADV_UNMERGEABLE));
	EXPECT_EQ(2, vm_areas(vm));
}

TEST_F(merge, is_kept)
{
	struct vm *vm = &self->vm;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, 16, RW));
	EXPECT_EQ(0, advise(vm, FIRST, 8, MADV_MERGEABLE));
	EXPECT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST), 16 * PAGE, PROT_READ));
	EXPECT_EQ(2, vm_areas(vm));
	/* New memory has none. */
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, 16, PROT_READ));
	EXPECT_EQ(1, vm_areas(vm));
}

/* --- merging */

TEST_F_TIMEOUT(merge, equal_pages_become_one, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 1));
	ASSERT_EQ(0, furnish(vm, FIRST + 2 * NR, NR, 2));
	EXPECT_EQ(2 * NR, merged_soon(vm));
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 1));
	EXPECT_TRUE(all_hold(vm, FIRST + 2 * NR, NR, 2));

	/* Each of them can be written to. */
	for (i = 0; i < NR; i += 2) {
		fill(vm, FIRST + i, 100 + i);
		EXPECT_TRUE(holds(vm, FIRST + i, 100 + i));
	}
	for (i = 0; i < NR; i++)
		EXPECT_TRUE(holds(vm, FIRST + i, i % 2 ? 1 : 100 + i));
	EXPECT_EQ(NR + NR / 2, merged_soon(vm));

	/* And becomes one of them again. */
	for (i = 0; i < NR; i++)
		fill(vm, FIRST + i, 2);
	EXPECT_EQ(2 * NR, merged_soon(vm));
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 2));
}

TEST_F_TIMEOUT(merge, only_where_it_is_wanted, SLOW)
{
	struct vm *vm = &self->vm;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 3));
	EXPECT_EQ(0, advise(vm, FIRST, NR / 2, MADV_UNMERGEABLE));
	EXPECT_EQ(NR / 2, merged_soon(vm));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_UNMERGEABLE));
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 3));
	ASSERT_EQ(0, furnish(vm, FIRST + NR, 1, 4));
	EXPECT_EQ(0, merged_soon(vm));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_MERGEABLE));
	EXPECT_EQ(NR, merged_soon(vm));
}

/* In several 2 MiB, with more of each than one page may stand for. */
TEST_F_TIMEOUT(merge, many, SLOW)
{
	struct vm *vm = &self->vm;
	const size_t pages = ZONE - FIRST;
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, pages, 0));
	for (i = 0; i < pages; i++)
		fill(vm, FIRST + i, 5 + i % 2);
	EXPECT_EQ((long)pages, merged_soon(vm));
	for (i = 0; i < pages; i++)
		EXPECT_TRUE(holds(vm, FIRST + i, 5 + i % 2));
	for (i = 0; i < pages; i++)
		fill(vm, FIRST + i, i);
	for (i = 0; i < pages; i++)
		EXPECT_TRUE(holds(vm, FIRST + i, i));
	/* KSM forgets late. */
	EXPECT_GE(vm_is_native(vm) ? 2 : 0, merged_soon(vm));
}

/* Pages of 2 MiB become small ones where there is something to merge. */
TEST_F_TIMEOUT(merge, huge_pages, SLOW)
{
	struct vm *vm = &self->vm;
	const size_t nr = 2 * MiB / PAGE;
	size_t first = -(uintptr_t)vm_page(vm, 0) % (2 * MiB) / PAGE, i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_NE(MAP_FAILED, vm_map_at(vm, first, 2 * nr, RW));
	EXPECT_EQ(0, advise(vm, first, 2 * nr, MADV_HUGEPAGE));
	/* Each second one of the first is the same. */
	for (i = 0; i < 2 * nr; i++)
		fill(vm, first + i, i < nr && i % 2 ? nr : 2 * nr + i);
	EXPECT_EQ(0, advise(vm, first, 2 * nr, MADV_MERGEABLE));
	EXPECT_EQ((long)nr / 2, merged_soon(vm));
	for (i = 0; i < 2 * nr; i++) {
		size_t n = i < nr && i % 2 ? nr : 2 * nr + i;

		EXPECT_TRUE(holds(vm, first + i, n));
	}
	for (i = 0; i < 2 * nr; i++)
		fill(vm, first + i, i);
	for (i = 0; i < 2 * nr; i++)
		EXPECT_TRUE(holds(vm, first + i, i));
}

TEST_F_TIMEOUT(merge, copies_of_a_file, SLOW)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, PRIVATE_FILE, FIRST, NR, RW, fd));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_MERGEABLE));
	for (i = 0; i < NR / 2; i++)
		fill(vm, FIRST + i, 7);
	EXPECT_EQ(NR / 2, merged_soon(vm));
	EXPECT_TRUE(all_hold(vm, FIRST, NR / 2, 7));
	fill(vm, FIRST, 8);
	EXPECT_TRUE(holds(vm, FIRST, 8));
	EXPECT_TRUE(all_hold(vm, FIRST + 1, NR / 2 - 1, 7));
	/* With private memory, too. */
	ASSERT_EQ(0, furnish(vm, FIRST + NR, 4, 7));
	EXPECT_EQ(NR / 2 + 3, merged_soon(vm));
	ASSERT_EQ(0, ftruncate(fd, (FIRST + 4) * PAGE));
	EXPECT_EQ(SIGBUS, probe_read(vm_page(vm, FIRST + 4), NULL, NULL));
	EXPECT_TRUE(all_hold(vm, FIRST + 1, 3, 7));
	EXPECT_TRUE(all_hold(vm, FIRST + NR, 4, 7));
}

/* Whatever the rights of an area, its pages count. */
TEST_F_TIMEOUT(merge, protected_pages, SLOW)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, 16, 9));
	EXPECT_EQ(0, vm_mprotect(vm, p, 4 * PAGE, PROT_READ));
	EXPECT_EQ(16, merged_soon(vm));
	EXPECT_EQ(0, vm_mprotect(vm, p + 4 * PAGE, 4 * PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, probe_write(p, 1, NULL));
	EXPECT_EQ(SIGSEGV, probe_read(p + 4 * PAGE, NULL, NULL));
	EXPECT_EQ(0, vm_mprotect(vm, p, 8 * PAGE, RW));
	EXPECT_TRUE(all_hold(vm, FIRST, 16, 9));
	fill(vm, FIRST + 5, 10);
	EXPECT_TRUE(holds(vm, FIRST + 5, 10));
	EXPECT_TRUE(all_hold(vm, FIRST + 6, 10, 9));
	EXPECT_TRUE(all_hold(vm, FIRST, 5, 9));
}

/* The other calls on pages that are merged. */
TEST_F_TIMEOUT(merge, other_calls, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 11));
	EXPECT_EQ(NR, merged_soon(vm));
	EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST), 8 * PAGE));
	EXPECT_EQ(0, advise(vm, FIRST + 8, 8, MADV_DONTNEED));
	EXPECT_EQ(vm_page(vm, FIRST),
		  vm_mremap(vm, vm_page(vm, FIRST + 16), 8 * PAGE, 8 * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, vm_page(vm, FIRST)));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(0, *vm_page(vm, FIRST + 8 + i));
		EXPECT_TRUE(holds(vm, FIRST + i, 11));
		EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 24 + i)));
		EXPECT_EQ(-1, vm_resident(vm, vm_page(vm, FIRST + 16 + i)));
	}
	EXPECT_TRUE(all_hold(vm, FIRST + 24, NR - 24, 11));
	fill(vm, FIRST + 1, 12);
	EXPECT_TRUE(holds(vm, FIRST, 11));
	EXPECT_TRUE(holds(vm, FIRST + 1, 12));
	EXPECT_TRUE(all_hold(vm, FIRST + 2, 6, 11));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, ZONE - FIRST, RW));
	EXPECT_EQ(0, *vm_page(vm, FIRST + 30));
	ASSERT_EQ(0, furnish(vm, FIRST, 1, 11));
	EXPECT_EQ(0, merged_soon(vm));
}

/* --- forks and other processes */

/* A call, by which a child makes itself known. */
static void appear(struct vm *vm)
{
	CHECK(vm_munmap(vm, vm->base, PAGE) == 0);
}

TEST_F_TIMEOUT(merge, forked, SLOW)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 13));
	EXPECT_EQ(NR, merged_soon(vm));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(all_hold(vm, FIRST, NR, 13));
		fill(vm, FIRST, 14);
		CHECK(holds(vm, FIRST, 14));
		CHECK(all_hold(vm, FIRST + 1, NR - 1, 13));
		/* The child's memory is mergeable, too. */
		appear(vm);
		fill(vm, FIRST + 1, 14);
		CHECK(merged_soon(vm) == NR);
		CHECK(!advise(vm, FIRST, NR, MADV_UNMERGEABLE));
		CHECK(all_hold(vm, FIRST, 2, 14));
		CHECK(all_hold(vm, FIRST + 2, NR - 2, 13));
		CHECK(!furnish(vm, FIRST + NR, 1, 1));
		CHECK(merged_soon(vm) == 0);
		_exit(0);
	}
	fill(vm, FIRST + 3, 15);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(all_hold(vm, FIRST, 3, 13));
	EXPECT_TRUE(holds(vm, FIRST + 3, 15));
	EXPECT_TRUE(all_hold(vm, FIRST + 4, NR - 4, 13));
	EXPECT_EQ(NR - 1, merged_soon(vm));
}

/* What both have from before the fork, and neither has touched since. */
TEST_F_TIMEOUT(merge, after_a_fork, SLOW)
{
	struct vm *vm = &self->vm;
	int line;
	pid_t pid;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	for (size_t i = 0; i < NR; i++)
		fill(vm, FIRST + i, 16);
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		appear(vm);
		CHECK(!advise(vm, FIRST, NR, MADV_MERGEABLE));
		CHECK(hear(line));
		CHECK(merged_soon(vm) == NR);
		CHECK(all_hold(vm, FIRST, NR, 16));
		fill(vm, FIRST + 1, 17);
		CHECK(say(line) && hear(line));
		CHECK(holds(vm, FIRST, 16));
		CHECK(holds(vm, FIRST + 1, 17));
		CHECK(all_hold(vm, FIRST + 2, NR - 2, 16));
		_exit(0);
	}
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_MERGEABLE));
	EXPECT_EQ(NR, merged_soon(vm));
	EXPECT_TRUE(say(line) && hear(line));
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 16));
	fill(vm, FIRST, 18);
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(holds(vm, FIRST, 18));
	EXPECT_TRUE(all_hold(vm, FIRST + 1, NR - 1, 16));
}

/* Who has the same as somebody else, and is in no way related. */
static void be_another(const struct vm_ops *ops, int line)
{
	struct vm vm;

	CHECK(!vm_open(&vm, ops, ZONE * PAGE));
	CHECK(!furnish(&vm, FIRST, 4, 20));
	/* Pages that nobody else of its own has. */
	for (int i = 0; i < 4; i++)
		fill(&vm, FIRST + i, 20 + i);
	CHECK(merges(&vm, 4));
	CHECK(say(line) && hear(line));
	for (int i = 0; i < 4; i++)
		CHECK(holds(&vm, FIRST + i, 20 + i));
	fill(&vm, FIRST, 30);
	CHECK(say(line) && hear(line));
	CHECK(holds(&vm, FIRST, 30));
	CHECK(holds(&vm, FIRST + 1, 21));
	CHECK(say(line));
	CHECK(!hear(line));
	_exit(0);
}

TEST_F_TIMEOUT(merge, between_strangers, SLOW)
{
	struct vm *vm = &self->vm;
	int line[2], i, j;
	pid_t pid[2];

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	for (i = 0; i < 2; i++) {
		pid[i] = fork_with(&line[i]);
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			be_another(vm->ops, line[i]);
	}
	for (j = 0; j < 3; j++) {
		for (i = 0; i < 2; i++)
			EXPECT_TRUE(hear(line[i]));
		for (i = 0; i < 2 && j < 2; i++)
			EXPECT_TRUE(say(line[i]));
	}
	/* One of them goes, and its pages stay the other's. */
	kill(pid[0], SIGKILL);
	end_of(pid[0]);
	close(line[1]);
	EXPECT_EQ(0, end_of(pid[1]));
}

/* --- pages that somebody else has */

/* KSM may not get beyond a page that is held. */
static long merged_beside(const struct vm *vm, long want)
{
	long n = merged_soon(vm);

	return vm_is_native(vm) && n >= 0 && n < want ? want : n;
}

TEST_F_TIMEOUT(merge, pages_in_a_pipe, SLOW)
{
	struct vm *vm = &self->vm;
	struct iovec iov = { .iov_base = vm_page(vm, FIRST), .iov_len = PAGE };
	uint64_t got[PAGE / 8];
	int fds[2];

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, 4, 31));
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ((ssize_t)PAGE, vmsplice(fds[1], &iov, 1, 0));
	EXPECT_EQ(3, merged_beside(vm, 3));
	/* The pipe has the page itself. */
	fill(vm, FIRST, 32);
	ASSERT_EQ((ssize_t)PAGE, read(fds[0], got, PAGE));
	EXPECT_EQ(0, memcmp(got, vm_page(vm, FIRST), PAGE));
	EXPECT_TRUE(all_hold(vm, FIRST + 1, 3, 31));
	fill(vm, FIRST, 31);
	EXPECT_EQ(4, merged_soon(vm));
}

TEST_F_TIMEOUT(merge, pages_a_device_writes_to, SLOW)
{
	struct vm *vm = &self->vm;
	struct held *h = held_open();
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	if (!h)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, furnish(vm, FIRST, 8, 33));
	h->content = 'h';
	held_begin(h, vm_page(vm, FIRST), 4 * PAGE, false);
	EXPECT_EQ(4, merged_beside(vm, 4));
	EXPECT_EQ(0, advise(vm, FIRST, 4, MADV_MERGEABLE));
	EXPECT_EQ((ssize_t)(4 * PAGE), held_let_go(h));
	EXPECT_FALSE(h->gave_up);
	for (i = 0; i < 4 * PAGE; i++)
		if (vm_page(vm, FIRST)[i] != 'h')
			break;
	EXPECT_EQ(4 * PAGE, i);
	EXPECT_TRUE(all_hold(vm, FIRST + 4, 4, 33));
	/* Into pages that are merged. */
	EXPECT_EQ(8, merged_soon(vm));
	h->content = 'i';
	held_begin(h, vm_page(vm, FIRST + 4), 2 * PAGE, false);
	EXPECT_EQ(6, merged_beside(vm, 6));
	EXPECT_EQ((ssize_t)(2 * PAGE), held_let_go(h));
	EXPECT_EQ('i', *vm_page(vm, FIRST + 4));
	EXPECT_EQ('i', *vm_page(vm, FIRST + 5));
	EXPECT_EQ('h', *vm_page(vm, FIRST + 3));
	EXPECT_TRUE(all_hold(vm, FIRST + 6, 2, 33));
	/* From them: what is written meanwhile, the device need not see. */
	held_begin(h, vm_page(vm, FIRST + 6), PAGE, true);
	fill(vm, FIRST + 7, 34);
	EXPECT_EQ((ssize_t)PAGE, held_let_go(h));
	EXPECT_TRUE(holds(vm, FIRST + 6, 33));
	held_close(h);
}

/* --- everything at once */

#define THREADS 3
#define EACH 32

static volatile bool stop;
static long errors;

struct writer {
	struct vm *vm;
	size_t first;
	pthread_t thread;
	long rounds;
};

/*
 * Each page holds a count that only its writer increases, often that of others, and
 * is seen through by nobody.
 */
static void *counts(void *arg)
{
	struct writer *w = arg;
	uint64_t n = 0, last[EACH] = {};

	while (!stop) {
		n++;
		for (size_t i = 0; i < EACH; i++) {
			size_t page = w->first + i;

			if (!holds(w->vm, page, last[i]))
				__atomic_add_fetch(&errors, 1,
						   __ATOMIC_RELAXED);
			if (n % 8 > i % 8)
				continue;
			last[i] = n / 8;
			fill(w->vm, page, last[i]);
		}
		w->rounds++;
		if (n % 16 == 0)
			usleep(3000);
	}
	return NULL;
}

/* What else is done to the memory meanwhile. */
static void disturb(struct vm *vm, size_t pages, struct rng *rng)
{
	size_t page = FIRST + rng_below(rng, pages);
	size_t nr = 1 + rng_below(rng, 8);
	char *p = vm_page(vm, page);
	pid_t pid;

	switch (rng_below(rng, 5)) {
	case 0:
		vm_madvise(vm, p, nr * PAGE, MADV_UNMERGEABLE);
		vm_madvise(vm, p, nr * PAGE, MADV_MERGEABLE);
		break;
	case 1:
		/* Faults come in between, but the rights are there. */
		vm_mprotect(vm, p, nr * PAGE, RWX);
		vm_mprotect(vm, p, nr * PAGE, RW);
		break;
	case 2:
		/* Next to it. */
		vm_map_at(vm, FIRST + pages + 16, 8, RW);
		advise(vm, FIRST + pages + 16, 8, MADV_MERGEABLE);
		for (size_t i = 0; i < 8; i++)
			fill(vm, FIRST + pages + 16 + i, i % 2);
		usleep(5000);
		vm_munmap(vm, vm_page(vm, FIRST + pages + 16), 8 * PAGE);
		break;
	case 3:
		pid = fork();
		if (!pid) {
			appear(vm);
			for (size_t i = 0; i < pages; i++)
				fill(vm, FIRST + i, i % 3);
			for (size_t i = 0; i < pages; i++)
				CHECK(holds(vm, FIRST + i, i % 3));
			_exit(0);
		}
		if (pid > 0 && end_of(pid))
			__atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
		break;
	default:
		usleep(1000);
	}
}

TEST_F_TIMEOUT(merge, threads_that_write, SLOW)
{
	struct vm *vm = &self->vm;
	struct rng rng = { .state = 1 };
	const size_t pages = THREADS * EACH;
	struct writer w[THREADS];
	long i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, pages, 0));
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct writer){ .vm = vm, .first = FIRST + i * EACH };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, counts, &w[i]));
	}
	for (i = 0; i < scaled(32); i++)
		disturb(vm, pages, &rng);
	for (i = 0; i < THREADS; i++)
		await_first(w[i].rounds);
	stop = true;
	for (i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* Killed at any moment; nothing is left of it. */
TEST_F_TIMEOUT(merge, killed, SLOW)
{
	struct vm *vm = &self->vm;
	long i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 40));
	for (i = 0; i < scaled(16); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			appear(vm);
			for (;;) {
				furnish(vm, FIRST + NR, NR, 40);
				usleep(2000);
				advise(vm, FIRST, NR, MADV_UNMERGEABLE);
				advise(vm, FIRST, NR, MADV_MERGEABLE);
			}
		}
		usleep(1000 * (i % 20));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, WTERMSIG(end_of(pid)));
	}
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 40));
	EXPECT_EQ(NR, merged_soon(vm));
}

/* --- what it is for */

static long charged(const struct memcg *g)
{
	return memcg_get(g, "memory.current", "") / (long)PAGE;
}

/* In a group of its own: what 1024 equal pages take. */
static void measure(const struct vm_ops *ops, const struct memcg *g)
{
	const size_t pages = 1024;
	struct vm vm;
	long before, full;

	CHECK(!memcg_enter(g));
	CHECK(!vm_open(&vm, ops, ZONE * PAGE));
	before = charged(g);
	CHECK(!furnish(&vm, FIRST, pages, 41));
	full = charged(g);
	CHECK(full - before >= (long)pages - 64);
	CHECK(merged_soon(&vm) == (long)pages);
	CHECK(charged(g) < full - (long)pages * 3 / 4);
	CHECK(!vm_madvise(&vm, vm_page(&vm, FIRST), pages * PAGE,
			  MADV_UNMERGEABLE));
	CHECK(charged(g) >= full - 64);
	CHECK(all_hold(&vm, FIRST, pages, 41));
	vm_close(&vm);
	_exit(0);
}

TEST_F_TIMEOUT(merge, memory_is_freed, SLOW)
{
	struct vm *vm = &self->vm;
	struct memcg g;
	pid_t pid;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	if (!memcg_open(&g, GiB, false))
		SKIP(return, "no memory control group");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		measure(vm->ops, &g);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_close(&g));
}

/* All memory of a process. */
TEST_F_TIMEOUT(merge, by_prctl, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		SKIP(return, "no PR_SET_MEMORY_MERGE");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	for (i = 0; i < NR; i++)
		fill(vm, FIRST + i, 42);
	/* Natively there is more memory of this process. */
	EXPECT_LE(NR, merged_soon(vm));
	EXPECT_TRUE(all_hold(vm, FIRST, NR, 42));
	EXPECT_EQ(0, prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0));
}

/* --- what only altvm has */

ALTVM_FIXTURE(ours, ZONE);

TEST_F_TIMEOUT(ours, zeroes, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 50));
	memset(vm_page(vm, FIRST), 0, NR / 2 * PAGE);
	EXPECT_EQ(NR / 2, merged_soon(vm));
	EXPECT_EQ(NR / 2 * 4, listed(vm, " zeroed "));
	for (i = 0; i < NR / 2; i++) {
		char *p = vm_page(vm, FIRST + i);

		EXPECT_EQ(1, vm_resident(vm, p));
		EXPECT_TRUE(!p[0] && !memcmp(p, p + 1, PAGE - 1));
		p[i] = 'z';
	}
	for (i = 0; i < NR / 2; i++) {
		char *p = vm_page(vm, FIRST + i);

		EXPECT_EQ('z', p[i]);
		EXPECT_EQ(0, p[i + 1]);
	}
	EXPECT_TRUE(all_hold(vm, FIRST + NR / 2, NR / 2, 50));
}

/* The thread has nothing to do when nothing is mergeable any more. */
TEST_F_TIMEOUT(ours, rests, SLOW)
{
	struct vm *vm = &self->vm;
	long n;

	if (!can_merge(vm))
		SKIP(return, NO_MERGING);
	EXPECT_EQ(-1, nr_passes(vm));
	ASSERT_EQ(0, furnish(vm, FIRST, NR, 51));
	EXPECT_EQ(NR, merged_soon(vm));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_UNMERGEABLE));
	for (n = -1; n != nr_passes(vm); usleep(300000))
		n = nr_passes(vm);
	EXPECT_EQ(0, nr_merged(vm));
	usleep(500000);
	EXPECT_EQ(n, nr_passes(vm));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_MERGEABLE));
	EXPECT_EQ(NR, merged_soon(vm));
	/* Nor when it is told so. */
	EXPECT_TRUE(put_knob(OURS "pages_to_scan", "0"));
	usleep(100000);
	n = nr_passes(vm);
	usleep(500000);
	EXPECT_EQ(n, nr_passes(vm));
	EXPECT_TRUE(put_knob(OURS "pages_to_scan", "1"));
	EXPECT_TRUE(put_knob(OURS "sleep_millisecs", "0"));
	EXPECT_TRUE(settle(vm));
	EXPECT_TRUE(put_knob(OURS "pages_to_scan", "4096"));
	EXPECT_TRUE(put_knob(OURS "sleep_millisecs", "1"));
}

TEST_HARNESS_MAIN
