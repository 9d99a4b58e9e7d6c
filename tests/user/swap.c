// SPDX-License-Identifier: GPL-2.0
/*
 * Paging out and in: MADV_PAGEOUT, MADV_COLD, MADV_FREE, and a lack of memory.
 *
 * Most of it wants swap space: tests/vm/run --swap.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/swap.h>
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

#define NEED_SWAP()                            \
	do {                                   \
		if (!has_swap())               \
			SKIP(return, "no swap"); \
	} while (0)

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

TEST_F(swap, pageout_keeps_contents)
{
	char *p = vm_map_at(&self->vm, 8, NR, RW);

	NEED_SWAP();
	ASSERT_NE(MAP_FAILED, (void *)p);
	fill(p, NR, 1000);
	ASSERT_EQ(0, vm_madvise(&self->vm, p, NR * PAGE, MADV_PAGEOUT));
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
	ASSERT_EQ(0, vm_madvise(&self->vm, p, NR * PAGE, MADV_PAGEOUT));
	fill(p, NR / 2, 3000);
	EXPECT_EQ(0, wrong(p, NR / 2, 3000));
	EXPECT_EQ(0, wrong(p + NR / 2 * PAGE, NR / 2, 2000 + NR / 2));
}

/* In a group that may have half of it. */
TEST_F_TIMEOUT(swap, twice_the_memory_of_a_group, SLOW)
{
	struct memcg g;
	char *p;
	pid_t pid;

	NEED_SWAP();
	ASSERT_TRUE(memcg_open(&g, ZONE / 2 * PAGE, true));
	p = vm_map_at(&self->vm, 0, ZONE, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!memcg_enter(&g));
		fill(p, ZONE, 5000);
		CHECK(!wrong(p, ZONE, 5000));
		fill(p, ZONE, 15000);
		CHECK(!wrong(p, ZONE, 15000));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&g));
	EXPECT_EQ(0, memcg_close(&g));
}

TEST_HARNESS_MAIN
