// SPDX-License-Identifier: GPL-2.0
/*
 * mremap: what is refused, resizing where it is, and moves of every kind of memory.
 * What else goes on during a move is in moving.c.
 */
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "child.h"
#include "fixture.h"
#include "moves.h"

/* Where the smaller tests have their pages: around a border of 2 MiB. */
#define FIRST (LEAF - 4)

VM_FIXTURE(remap, ROOM);

#define MAYMOVE MREMAP_MAYMOVE
#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)
#define LEAVE MREMAP_DONTUNMAP

/* errno of an mremap of @pages pages at page @from. */
static int try_remap(struct vm *vm, size_t from, size_t pages, size_t new_pages,
		     int flags, size_t to)
{
	char *new_addr = flags & MREMAP_FIXED ? vm_page(vm, to) : NULL;

	return ERRNO_OF(vm_mremap(vm, vm_page(vm, from), pages * PAGE,
				  new_pages * PAGE, flags, new_addr));
}

/* Pages with a letter each, from 'a' on. */
static bool letters(struct vm *vm, size_t from, size_t pages, int prot)
{
	size_t i;

	if (vm_map_at(vm, from, pages, RW) == MAP_FAILED)
		return false;
	for (i = 0; i < pages; i++)
		memset(vm_page(vm, from + i), 'a' + i, PAGE);
	return prot == RW ||
	       !vm_mprotect(vm, vm_page(vm, from), pages * PAGE, prot);
}

/* '.' for a hole, '-' no access, '0' zeroes, '!' SIGBUS, or the page's letter. */
static const char *look(struct vm *vm, size_t from, size_t pages)
{
	static char seen[64];
	struct fault f;
	uint64_t value;
	size_t i;

	for (i = 0; i < pages; i++) {
		if (!probe_read(vm_page(vm, from + i), &value, &f))
			seen[i] = value ? (char)value : '0';
		else if (f.sig == SIGBUS)
			seen[i] = '!';
		else
			seen[i] = f.code == SEGV_MAPERR ? '.' : '-';
	}
	seen[pages] = 0;
	return seen;
}

#define EXPECT_LOOK(want, from) \
	EXPECT_STREQ(want, look(&self->vm, from, strlen(want)))

/* What read(2) finds at the start of a page; -1 behind the end. */
static int byte_of(int fd, size_t page)
{
	unsigned char c;

	return pread(fd, &c, 1, page * PAGE) == 1 ? c : -1;
}

/* What is refused. */

TEST_F(remap, flags_that_are_none)
{
	static const int wrong[] = {
		8,
		16,
		1 << 20,
		1 << 30,
		INT_MIN,
		MREMAP_FIXED,
		LEAVE,
		LEAVE | MREMAP_FIXED,
		FIXED | LEAVE | 8,
	};
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_TRUE(letters(vm, FIRST, 4, RW));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 4, 4, wrong[i], 8));
		EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 4, 8, wrong[i], 8));
		/* Before anything else. */
		EXPECT_EQ(EINVAL, try_remap(vm, 0, 4, 4, wrong[i], 8));
	}
	/* It does not resize. */
	EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 4, 3, MAYMOVE | LEAVE, 0));
	EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 3, 4, FIXED | LEAVE, 8));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, vm_page(vm, FIRST), PAGE, PAGE - 1,
				      FIXED | LEAVE, vm->base));
	EXPECT_LOOK(".abcd.", FIRST - 1);
	EXPECT_EQ(1, vm_areas(vm));
}

TEST_F(remap, addresses_that_are_none)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), *to = vm_page(vm, 8);

	ASSERT_TRUE(letters(vm, FIRST, 4, RW));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p + 1, PAGE, PAGE, 0, NULL));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p + 8, PAGE, PAGE, FIXED, to));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, PAGE, FIXED, to + 1));
	EXPECT_FAIL(EINVAL,
		    vm_mremap(vm, p, PAGE, PAGE, FIXED | LEAVE, to + 2048));
	/* Even a hint. */
	EXPECT_FAIL(EINVAL,
		    vm_mremap(vm, p, PAGE, PAGE, MAYMOVE | LEAVE, to + 8));
	/* Nobody looks at it. */
	EXPECT_EQ(p, vm_mremap(vm, p, PAGE, PAGE, 0, to + 1));
	EXPECT_EQ(p, vm_mremap(vm, p, PAGE, PAGE, MAYMOVE, (char *)1));
	EXPECT_EQ(p, vm_mremap(vm, p, PAGE, PAGE, MAYMOVE, (char *)-1));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, PAGE, FIXED,
				      (char *)0x7ffffffff000));
	EXPECT_FAIL(EINVAL,
		    vm_mremap(vm, p, PAGE, PAGE, FIXED, (char *)(1UL << 63)));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, PAGE, FIXED, (char *)-PAGE));
	EXPECT_LOOK(".abcd.", FIRST - 1);
	EXPECT_EQ(1, vm_areas(vm));
}

TEST_F(remap, lengths_that_are_none)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), *to = vm_page(vm, 8);
	size_t i;
	static const int flags[] = { 0, MAYMOVE, FIXED };

	ASSERT_TRUE(letters(vm, FIRST, 4, RW));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		const int f = flags[i];

		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, 0, f, to));
		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, 0, 0, f, to));
		/* Rounded up it is 0. */
		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, -1UL, f, to));
		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, -PAGE + 1, f, to));
		/* Private memory is not mapped twice. */
		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, 0, PAGE, f, to));
		EXPECT_FAIL(EINVAL, vm_mremap(vm, p, -1UL, PAGE, f, to));
	}
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, 0, 0, MAYMOVE | LEAVE, to));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, PAGE, -PAGE, 0, NULL));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, 4 * PAGE, -PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, PAGE, 1UL << 47, MAYMOVE, NULL));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, -PAGE, FIXED, to));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, PAGE, 1UL << 47, FIXED, to));
	EXPECT_LOOK(".abcd.", FIRST - 1);
	EXPECT_EQ(1, vm_areas(vm));
}

TEST_F(remap, ranges_that_overlap)
{
	static const struct {
		size_t from, pages, to, new_pages;
	} wrong[] = {
		{ 8, 4, 8, 4 },	 { 8, 4, 9, 1 },  { 8, 4, 11, 4 },
		{ 8, 4, 5, 4 },	 { 8, 4, 4, 12 }, { 9, 2, 8, 4 },
		{ 8, 4, 11, 1 }, { 8, 4, 7, 2 },
	};
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, 8);
	size_t i;

	ASSERT_TRUE(letters(vm, 8, 4, RW));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(EINVAL,
			  try_remap(vm, wrong[i].from, wrong[i].pages,
				    wrong[i].new_pages, FIXED, wrong[i].to));
	EXPECT_EQ(EINVAL, try_remap(vm, 8, 4, 4, FIXED | LEAVE, 10));
	/* A hint, too. */
	EXPECT_FAIL(EINVAL,
		    vm_mremap(vm, p, 2 * PAGE, 2 * PAGE, MAYMOVE | LEAVE, p));
	EXPECT_LOOK(".abcd.", 7);
	/* What becomes shorter does so only later. */
	EXPECT_EQ(EINVAL, try_remap(vm, 8, 4, 1, FIXED, 11));
	/* Side by side is not overlapping. */
	EXPECT_EQ(0, try_remap(vm, 8, 4, 4, FIXED, 12));
	EXPECT_LOOK(".....abcd.", 7);
	EXPECT_EQ(0, try_remap(vm, 12, 4, 4, FIXED, 8));
	EXPECT_LOOK(".abcd.....", 7);
}

TEST_F(remap, needs_one_mapping)
{
	struct vm *vm = &self->vm;

	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 1, 1, 0, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 2, 1, 0, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 0, 1, MAYMOVE, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 1, 1, FIXED, 8));
	ASSERT_TRUE(letters(vm, FIRST, 8, RW));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST - 1, 2, 2, FIXED, 8));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST - 1, 2, 3, MAYMOVE, 0));
	/* Into the hole behind it. */
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 9, 10, 0, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST + 6, 3, 10, MAYMOVE, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST + 6, 3, 3, FIXED, 8));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST + 6, 3, 3, FIXED | LEAVE, 8));
	/* Into another mapping. */
	ASSERT_EQ(0,
		  vm_mprotect(vm, vm_page(vm, FIRST + 4), 4 * PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST + 3, 2, 3, MAYMOVE, 0));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST + 3, 2, 2, FIXED, 8));
	EXPECT_EQ(EFAULT, try_remap(vm, FIRST, 8, 8, FIXED | LEAVE, 8));
	EXPECT_LOOK(".abcdefgh.", FIRST - 1);
	EXPECT_EQ(2, vm_areas(vm));
	/* But this asks for nothing. */
	EXPECT_EQ(0, try_remap(vm, FIRST, 8, 8, 0, 0));
	EXPECT_EQ(0, try_remap(vm, FIRST + 6, 20, 20, MAYMOVE, 0));
}

/* Which of two mistakes is told. */
TEST_F(remap, two_mistakes_at_once)
{
	struct vm *vm = &self->vm;
	char *hole = vm_page(vm, 8), *p = vm_page(vm, FIRST);

	ASSERT_TRUE(letters(vm, FIRST, 4, RW));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, hole, PAGE, 0, 0, NULL));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, hole + 1, PAGE, PAGE, 0, NULL));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, hole, PAGE, PAGE, FIXED, p + 1));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, hole, PAGE, PAGE, FIXED, hole));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, hole, 0, PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, 8 * PAGE, PAGE, FIXED, p + PAGE));
	EXPECT_FAIL(EINVAL, vm_mremap(vm, p, 8 * PAGE, 8 * PAGE, FIXED, p + 1));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, p, 8 * PAGE, -PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, p, 8 * PAGE, 9 * PAGE, 0, NULL));
	EXPECT_LOOK(".abcd.", FIRST - 1);
}

ALTVM_FIXTURE(outside, ZONE);

TEST_F(outside, of_the_window)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, ZONE - 2), *end = vm->base + vm->len;

	ASSERT_TRUE(letters(vm, ZONE - 2, 2, RW));
	/* There is memory: this program's. */
	EXPECT_FAIL(EFAULT, vm_mremap(vm, stack_page(), PAGE, PAGE, 0, NULL));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, stack_page(), PAGE, PAGE, FIXED, p));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, NULL, PAGE, PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, end, PAGE, 2 * PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(EFAULT,
		    vm_mremap(vm, (char *)-PAGE, PAGE, PAGE, MAYMOVE, NULL));
	EXPECT_FAIL(EFAULT, vm_mremap(vm, p, 3 * PAGE, 4 * PAGE, 0, NULL));
	EXPECT_FAIL(EFAULT,
		    vm_mremap(vm, p, 3 * PAGE, 3 * PAGE, FIXED, vm->base));

	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, PAGE, PAGE, FIXED, end));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, PAGE, PAGE, FIXED, NULL));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, PAGE, PAGE, FIXED | LEAVE,
				      vm->base - PAGE));
	EXPECT_FAIL(ENOMEM,
		    vm_mremap(vm, p, PAGE, 2 * PAGE, FIXED, vm->base - PAGE));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, p, 2 * PAGE, 3 * PAGE, 0, NULL));
	ASSERT_TRUE(letters(vm, 8, 2, RW));
	EXPECT_FAIL(ENOMEM, vm_mremap(vm, vm_page(vm, 8), PAGE, 2 * PAGE, FIXED,
				      end - PAGE));
	EXPECT_LOOK(".ab", ZONE - 3);
	EXPECT_EQ(2, vm_areas(vm));
}

/* What fails has changed nothing, at the target neither. */
TEST_F(outside, failing_leaves_the_target)
{
	struct vm *vm = &self->vm;

	ASSERT_TRUE(letters(vm, 8, 4, RW));
	ASSERT_TRUE(letters(vm, 32, 4, PROT_READ));
	EXPECT_EQ(EFAULT, try_remap(vm, 8, 6, 6, FIXED, 32));
	EXPECT_EQ(EFAULT, try_remap(vm, 8, 6, 12, FIXED, 32));
	EXPECT_EQ(EFAULT, try_remap(vm, 8, 6, 6, FIXED | LEAVE, 32));
	EXPECT_EQ(EINVAL, try_remap(vm, 8, 0, 6, FIXED, 32));
	EXPECT_LOOK("abcd..", 8);
	EXPECT_LOOK("abcd..", 32);
	EXPECT_EQ(2, vm_areas(vm));
}

/* Equal neighbours are one area, wherever they came from. */
TEST_F(outside, neighbours_are_one)
{
	struct vm *vm = &self->vm;

	ASSERT_TRUE(letters(vm, 8, 4, RW));
	ASSERT_TRUE(letters(vm, 32, 4, RW));
	ASSERT_TRUE(letters(vm, 64, 4, RW));
	EXPECT_EQ(0, try_remap(vm, 32, 4, 4, FIXED, 12));
	EXPECT_EQ(0, try_remap(vm, 64, 4, 4, FIXED, 4));
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_LOOK("abcdabcdabcd", 4);
	EXPECT_EQ(0, try_remap(vm, 5, 10, 10, FIXED, LEAF - 5));
	EXPECT_LOOK("bcdabcdabc", LEAF - 5);
	EXPECT_LOOK("a..........d", 4);
	EXPECT_EQ(3, vm_areas(vm));
}

/* In seconds. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* How long it takes depends on what is there, not on how large the range is. */
TEST_F(outside, moves_much_of_which_little_is_there)
{
	const size_t half = 20 * TiB, at[] = { 0, half / 2, half - PAGE };
	char *p, *to;
	double start;
	struct vm vm;
	size_t i;

	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, 2 * half + GiB));
	p = vm.base;
	to = p + half + 3 * PAGE;
	ASSERT_EQ(p, vm_mmap(&vm, p, half, RW, ANON | MAP_FIXED));
	for (i = 0; i < 3; i++)
		p[at[i]] = i + 1;
	start = now();
	EXPECT_EQ(to, vm_mremap(&vm, p, half, half, FIXED, to));
	EXPECT_LT(now() - start, 1);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i + 1, to[at[i]]);
	EXPECT_EQ(1, vm_areas(&vm));
	vm_close(&vm);
}

/* Where it is. */

TEST_F(remap, becomes_shorter_where_it_is)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
		EXPECT_EQ(vm_page(vm, FIRST),
			  vm_mremap(vm, vm_page(vm, FIRST), 12 * PAGE, 7 * PAGE,
				    0, NULL));
		EXPECT_TRUE(holds(vm_page(vm, FIRST), 7, m, FIRST, mark_of));
		EXPECT_TRUE(is_gone(vm_page(vm, FIRST + 7), 5));
		EXPECT_EQ(1, vm_areas(vm));
		/* Parts of pages are pages. */
		EXPECT_EQ(vm_page(vm, FIRST),
			  vm_mremap(vm, vm_page(vm, FIRST), 6 * PAGE + 1,
				    4 * PAGE + 1, MAYMOVE, NULL));
		EXPECT_TRUE(holds(vm_page(vm, FIRST), 5, m, FIRST, mark_of));
		EXPECT_TRUE(is_gone(vm_page(vm, FIRST + 5), 7));
		/* In the middle: a hole. */
		EXPECT_EQ(0, try_remap(vm, FIRST + 1, 2, 1, 0, 0));
		EXPECT_TRUE(is_gone(vm_page(vm, FIRST + 2), 1));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_TRUE(holds(vm_page(vm, FIRST), 2, m, FIRST, mark_of));
		close(fd);
	}
}

/* What is cut off need not be the same mapping, nor one at all. */
TEST_F(remap, becomes_shorter_across_mappings)
{
	struct vm *vm = &self->vm;

	ASSERT_TRUE(letters(vm, FIRST, 12, RW));
	ASSERT_EQ(0,
		  vm_mprotect(vm, vm_page(vm, FIRST + 4), 2 * PAGE, PROT_READ));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 7), PAGE));
	EXPECT_EQ(0, try_remap(vm, FIRST, 10, 1, 0, 0));
	EXPECT_LOOK(".a.........kl.", FIRST - 1);
	/* Behind a hole. */
	EXPECT_EQ(0, try_remap(vm, FIRST, 11, 4, MAYMOVE, 0));
	EXPECT_LOOK(".a..........l.", FIRST - 1);
	EXPECT_EQ(2, vm_areas(vm));
}

/*
 * Page @i of a range that has become longer, and began with page @from of a file:
 * shared anonymous memory has only as much as was mapped at first.
 */
static bool goes_on(char *p, size_t i, enum memory m, size_t from)
{
	uint64_t value;
	int sig = probe_read(p + i * PAGE, &value, NULL);

	if (m == SHARED_ANON)
		return sig == SIGBUS;
	return !sig && value == (memory_is_file(m) ? file_mark(from + i) : 0) &&
	       !probe_rewrite(p + i * PAGE, NULL);
}

TEST_F(remap, grows_where_it_is)
{
	static const int flags[] = { 0, MAYMOVE };
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			int fd = nameless_file(files_dir(), ZONE * PAGE);
			char *p = vm_page(vm, FIRST);

			ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
			ASSERT_TRUE(furnish(vm, m, FIRST, 6, fd));
			ASSERT_TRUE(mark_file(fd, FIRST + 6, 1194));
			EXPECT_EQ(p, vm_mremap(vm, p, 6 * PAGE, 12 * PAGE,
					       flags[i], NULL));
			EXPECT_EQ(1, vm_areas(vm));
			EXPECT_TRUE(holds(p, 6, m, FIRST, mark_of));
			EXPECT_TRUE(goes_on(p, 6, m, FIRST));
			/* Its last part, over many tables. */
			EXPECT_EQ(p + 8 * PAGE,
				  vm_mremap(vm, p + 8 * PAGE, 4 * PAGE,
					    1192 * PAGE, flags[i], NULL));
			EXPECT_EQ(1, vm_areas(vm));
			EXPECT_TRUE(goes_on(p, 1199, m, FIRST));
			EXPECT_TRUE(is_gone(p + 1200 * PAGE, 1));
			EXPECT_TRUE(holds(p, 6, m, FIRST, mark_of));
			close(fd);
		}
}

/* It becomes one with what follows, if that is the same. */
TEST_F(remap, grows_up_to_a_neighbour)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		/* Each shared anonymous mapping is of its own memory. */
		if (m == SHARED_ANON)
			continue;
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST + 8, 4, RW, fd));
		ASSERT_TRUE(furnish(vm, m, FIRST, 6, fd));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 6, 9, 0, 0));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_EQ(0, try_remap(vm, FIRST, 6, 8, 0, 0));
		/* Natively its history counts, if it is private. */
		if (!vm_is_native(vm) || memory_is_shared(m))
			EXPECT_EQ(1, vm_areas(vm));
		EXPECT_TRUE(holds(vm_page(vm, FIRST), 6, m, FIRST, mark_of));
		close(fd);
	}
}

TEST_F(remap, does_not_grow_into_others)
{
	struct vm *vm = &self->vm;

	ASSERT_TRUE(letters(vm, FIRST, 8, RW));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 4, 5, 0, 0));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 1, 100, 0, 0));
	ASSERT_TRUE(letters(vm, FIRST + 10, 2, PROT_READ));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 8, 11, 0, 0));
	EXPECT_EQ(0, try_remap(vm, FIRST, 8, 10, 0, 0));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 10, 11, 0, 0));
	EXPECT_LOOK(".abcdefgh00ab.", FIRST - 1);
	EXPECT_EQ(2, vm_areas(vm));
}

/* Moves. */

static const struct shape {
	size_t from, pages, to;
} shapes[] = {
	/* A page: in its table, to the next, at its end and to its start. */
	{ 8, 1, 100 },
	{ 8, 1, LEAF + 8 },
	{ LEAF - 1, 1, LEAF },
	{ 3 * LEAF, 1, LEAF - 1 },
	/* Side by side in one table, up and down. */
	{ 10, 20, 30 },
	{ 40, 20, 20 },
	/* Over a border, equally and otherwise. */
	{ LEAF - 12, 24, 3 * LEAF - 12 },
	{ LEAF - 12, 24, 3 * LEAF - 5 },
	{ LEAF - 12, 24, 3 * LEAF + 100 },
	{ 100, 24, 3 * LEAF - 12 },
	/* Far away. */
	{ LEAF - 12, 24, ROOM - LEAF - 12 },
	{ LEAF - 12, 2 * LEAF + 24, ROOM / 2 - LEAF - 12 },
	/* Whole tables. */
	{ LEAF, LEAF, ROOM - LEAF },
	{ LEAF, LEAF, 5 * LEAF },
	{ LEAF, 2 * LEAF, 3 * LEAF },
	{ 3 * LEAF, 2 * LEAF, LEAF },
	/* As large, but not on a border; on one side; on both alike. */
	{ LEAF + 3, LEAF, 5 * LEAF },
	{ LEAF, LEAF, 5 * LEAF + 7 },
	{ LEAF + 3, 2 * LEAF + 5, 5 * LEAF + 3 },
	{ LEAF + 3, 2 * LEAF + 5, 5 * LEAF + 500 },
	/* Old and new in one table, with more on both sides. */
	{ LEAF + 300, 600, LEAF + 900 },
	{ LEAF + 900, 600, LEAF + 300 },
};

static bool is_beside(const struct shape *s)
{
	return s->from + s->pages == s->to || s->to + s->pages == s->from;
}

/* After a move: what is here, what is there, and what both can do. */
static void check_move(struct __test_metadata *_metadata, struct vm *vm,
		       enum memory m, const struct shape *s, int flags, int fd)
{
	char *old = vm_page(vm, s->from), *new = vm_page(vm, s->to);
	uint64_t (*left)(enum memory, size_t, size_t) =
		flags & LEAVE ? mark_left : NULL;
	size_t i;

	if (!(flags & LEAVE) || !is_beside(s))
		EXPECT_EQ(flags & LEAVE ? 2 : 1, vm_areas(vm));
	EXPECT_TRUE(left ? holds(old, s->pages, m, s->from, left) :
			   is_gone(old, s->pages));
	EXPECT_TRUE(holds(new, s->pages, m, s->from, mark_of));
	for (i = 0; i < s->pages; i++)
		word_at(new, i)[1] = i + 1;
	for (i = 0; i < s->pages; i++) {
		if (word_at(new, i)[1] != i + 1)
			break;
		if (left &&
		    word_at(old, i)[1] != (memory_is_shared(m) ? i + 1 : 0))
			break;
	}
	EXPECT_EQ(s->pages, i);
	EXPECT_TRUE(holds(new, s->pages, m, s->from, mark_of));
	if (m == SHARED_FILE)
		for (i = 0; i < s->pages; i += 61) {
			uint64_t data[2] = {};

			EXPECT_EQ(16, pread(fd, data, sizeof(data),
					    (s->from + i) * PAGE));
			EXPECT_EQ(mark_of(m, s->from, i), data[0]);
			EXPECT_EQ(i + 1, data[1]);
		}
}

static void run_move(struct __test_metadata *_metadata, struct vm *vm,
		     enum memory m, const struct shape *s, int flags, int fd)
{
	static unsigned char before[ZONE], after[ZONE];
	char *old = vm_page(vm, s->from), *new = vm_page(vm, s->to);
	const size_t len = s->pages * PAGE;

	ASSERT_EQ(0, vm_munmap(vm, vm->base, ROOM * PAGE));
	ASSERT_TRUE(furnish(vm, m, s->from, s->pages, fd));
	ASSERT_EQ(0, vm_mincore(vm, old, len, before));
	ASSERT_EQ(new, move_pages(vm, s->from, s->pages, flags, s->to));
	ASSERT_EQ(0, vm_mincore(vm, new, len, after));
	EXPECT_EQ(0, memcmp(before, after, s->pages));
	if (flags & LEAVE && !memory_is_file(m) && !memory_is_shared(m)) {
		ASSERT_EQ(0, vm_mincore(vm, old, len, after));
		EXPECT_EQ(NULL, memchr(after, 1, s->pages));
	}
	check_move(_metadata, vm, m, s, flags, fd);
	if (flags & LEAVE)
		return;
	/* And back. */
	ASSERT_EQ(old, move_pages(vm, s->to, s->pages, 0, s->from));
	EXPECT_TRUE(is_gone(new, s->pages));
	EXPECT_TRUE(holds(old, s->pages, m, s->from, mark_of));
	EXPECT_EQ(s->pages, word_at(old, s->pages - 1)[1]);
}

static void run_moves(struct __test_metadata *_metadata, struct vm *vm,
		      int flags)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	enum memory m;
	size_t i;

	ASSERT_LE(0, fd);
	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(shapes); i++) {
			bool passed = _metadata->exit_code == KSFT_PASS;

			run_move(_metadata, vm, m, &shapes[i], flags, fd);
			if (passed && _metadata->exit_code != KSFT_PASS)
				TH_LOG("%s, shape %zu", memory_name(m), i);
		}
	close(fd);
}

TEST_F_TIMEOUT(remap, moves_every_page, SLOW)
{
	run_moves(_metadata, &self->vm, 0);
}

TEST_F_TIMEOUT(remap, moves_and_leaves_it_mapped, SLOW)
{
	run_moves(_metadata, &self->vm, LEAVE);
}

/* In the middle, or at an end, and the rest stays. */
TEST_F(remap, moves_a_part)
{
	static const struct {
		size_t from, pages;
		long areas;
		const char *rest, *part;
	} parts[] = {
		{ 0, 3, 2, "...defghijkl", "abc" },
		{ 4, 4, 3, "abcd....ijkl", "efgh" },
		{ 9, 3, 2, "abcdefghi...", "jkl" },
	};
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(letters(vm, FIRST, 12, RW));
		EXPECT_EQ(0,
			  try_remap(vm, FIRST + parts[i].from, parts[i].pages,
				    parts[i].pages, FIXED, 4 * LEAF - 2));
		EXPECT_LOOK(parts[i].rest, FIRST);
		EXPECT_LOOK(parts[i].part, 4 * LEAF - 2);
		EXPECT_EQ(parts[i].areas, vm_areas(vm));
		/* And back where it was. */
		EXPECT_EQ(0, try_remap(vm, 4 * LEAF - 2, parts[i].pages,
				       parts[i].pages, FIXED,
				       FIRST + parts[i].from));
		EXPECT_LOOK(".abcdefghijkl.", FIRST - 1);
		EXPECT_EQ(1, vm_areas(vm));
	}
}

TEST_F(remap, moves_and_becomes_longer)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);
		char *new = vm_page(vm, 3 * LEAF - 3);

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
		ASSERT_TRUE(mark_file(fd, FIRST + 12, 28));
		/* Of the middle, so that the file's next pages are known. */
		EXPECT_EQ(new, vm_mremap(vm, vm_page(vm, FIRST), 10 * PAGE,
					 40 * PAGE, FIXED, new));
		EXPECT_TRUE(holds(new, 10, m, FIRST, mark_of));
		/* What was private of the next pages is not there. */
		EXPECT_EQ(mark_left(m, FIRST, 11), *word_at(new, 11));
		EXPECT_TRUE(goes_on(new, 39, m, FIRST));
		EXPECT_TRUE(is_gone(vm_page(vm, FIRST), 10));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_EQ(mark_of(m, FIRST, 10),
			  *word_at(vm_page(vm, FIRST), 10));
		close(fd);
	}
}

TEST_F(remap, moves_and_becomes_shorter)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);
		char *new = vm_page(vm, 3 * LEAF - 3);

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
		EXPECT_EQ(new, vm_mremap(vm, vm_page(vm, FIRST), 10 * PAGE,
					 5 * PAGE, FIXED, new));
		EXPECT_TRUE(holds(new, 5, m, FIRST, mark_of));
		EXPECT_TRUE(is_gone(new + 5 * PAGE, 5));
		EXPECT_TRUE(is_gone(vm_page(vm, FIRST), 10));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_EQ(mark_of(m, FIRST, 10),
			  *word_at(vm_page(vm, FIRST), 10));
		close(fd);
	}
}

/* Where there is room, if it cannot stay. */
TEST_F(remap, finds_a_place)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), *q;

	ASSERT_TRUE(letters(vm, FIRST, 6, RW));
	q = vm_mremap(vm, p, 4 * PAGE, 8 * PAGE, MAYMOVE, NULL);
	ASSERT_NE(MAP_FAILED, (void *)q);
	EXPECT_LOOK("....ef", FIRST);
	EXPECT_EQ(0, memcmp("a", q, 1));
	EXPECT_EQ(0, memcmp("d", q + 3 * PAGE, 1));
	EXPECT_EQ(0, q[7 * PAGE]);
	EXPECT_EQ(0, vm_munmap(vm, q, 8 * PAGE));
	/* With MREMAP_DONTUNMAP it never stays. */
	q = vm_mremap(vm, p + 4 * PAGE, 2 * PAGE, 2 * PAGE, MAYMOVE | LEAVE,
		      NULL);
	ASSERT_NE(MAP_FAILED, (void *)q);
	EXPECT_LOOK("....00", FIRST);
	EXPECT_EQ('e', q[0]);
	EXPECT_EQ('f', q[PAGE]);
	EXPECT_EQ(0, vm_munmap(vm, q, 2 * PAGE));
}

/* And that is where mmap() would find it. */
TEST_F(remap, finds_the_same_place_as_mmap)
{
	struct vm *vm = &self->vm;
	const size_t last = vm->len / PAGE;
	char *q;

	vm_enclose(vm);
	ASSERT_TRUE(letters(vm, FIRST, 6, RW));
	ASSERT_TRUE(letters(vm, last - 2, 2, PROT_READ));
	q = vm_mremap(vm, vm_page(vm, FIRST), 4 * PAGE, 8 * PAGE, MAYMOVE,
		      NULL);
	EXPECT_EQ(vm_page(vm, last - 10), q);
	EXPECT_LOOK("abcd0000ab", last - 10);
	/* What is moved is still in the way. */
	ASSERT_TRUE(letters(vm, last - 11, 1, PROT_READ));
	q = vm_mremap(vm, vm_page(vm, last - 10), 8 * PAGE, 9 * PAGE, MAYMOVE,
		      NULL);
	EXPECT_EQ(vm_page(vm, last - 20), q);
	EXPECT_LOOK("abcd00000a........ab", last - 20);
	/* A hint is followed where there is room. */
	q = vm_mremap(vm, q, 4 * PAGE, 4 * PAGE, MAYMOVE | LEAVE,
		      vm_page(vm, 2 * LEAF));
	EXPECT_EQ(vm_page(vm, 2 * LEAF), q);
	EXPECT_LOOK("abcd.", 2 * LEAF);
	q = vm_mremap(vm, q, 4 * PAGE, 4 * PAGE, MAYMOVE | LEAVE,
		      vm_page(vm, last - 1));
	EXPECT_EQ(vm_page(vm, last - 6), q);
	EXPECT_LOOK("abcd", last - 6);
}

TEST_F(remap, finds_no_place)
{
	struct vm *vm = &self->vm;

	vm_enclose(vm);
	ASSERT_TRUE(letters(vm, FIRST, 6, RW));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 4, vm->len / PAGE, MAYMOVE, 0));
	EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 4, 1UL << 34, MAYMOVE, 0));
	EXPECT_LOOK(".abcdef.", FIRST - 1);
	EXPECT_EQ(1, vm_areas(vm));
}

/* What was at the target is gone; what was beside it is not. */
TEST_F(remap, onto_others)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	enum memory m;

	for_each_memory(m) {
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(letters(vm, FIRST, 12, PROT_READ));
		ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 6), PAGE));
		ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, SHARED_FILE,
							 FIRST + 7, 2, RW, fd));
		*vm_page(vm, FIRST + 7) = 'x';
		ASSERT_TRUE(furnish(vm, m, 8, 6, fd));
		EXPECT_EQ(0, try_remap(vm, 8, 6, 6, FIXED, FIRST + 2));
		EXPECT_TRUE(holds(vm_page(vm, FIRST + 2), 6, m, 8, mark_of));
		EXPECT_TRUE(is_gone(vm_page(vm, 8), 6));
		EXPECT_LOOK("ab", FIRST);
		EXPECT_LOOK("0jkl.", FIRST + 8);
		EXPECT_EQ(4, vm_areas(vm));
		/* The file has what was stored. */
		EXPECT_EQ('x', byte_of(fd, FIRST + 7));
		/* A longer target: all of it, with the tail. */
		EXPECT_EQ(0, try_remap(vm, FIRST + 9, 3, 3, FIXED, 20));
		EXPECT_LOOK("jkl", 20);
		EXPECT_EQ(0, try_remap(vm, 20, 2, 12, FIXED, FIRST - 1));
		EXPECT_EQ('j', *vm_page(vm, FIRST - 1));
		EXPECT_EQ('k', *vm_page(vm, FIRST));
		EXPECT_LOOK("0000000000.", FIRST + 1);
		EXPECT_EQ(2, vm_areas(vm));
	}
	close(fd);
}

/* Protections. */

static const int prots[] = { PROT_NONE, PROT_READ, RW, RX, RWX };

TEST_F(remap, keeps_the_protection)
{
	struct vm *vm = &self->vm;
	int flags;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(prots); i++) {
		const int prot = prots[i / 2];
		char *new = vm_page(vm, 2 * LEAF + 100);
		struct fault f;

		flags = i & 1 ? LEAVE : 0;
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(letters(vm, FIRST, 8, RW));
		memset(vm_page(vm, FIRST + 1), RET_INSN, PAGE);
		ASSERT_EQ(0,
			  vm_mprotect(vm, vm_page(vm, FIRST), 8 * PAGE, prot));
		ASSERT_EQ(new, move_pages(vm, FIRST, 8, flags, 2 * LEAF + 100));
		EXPECT_EQ(prot ? 0 : SIGSEGV, probe_read(new, NULL, &f));
		if (f.sig)
			EXPECT_EQ(SEGV_ACCERR, f.code);
		EXPECT_EQ(prot & PROT_WRITE ? 0 : SIGSEGV,
			  probe_rewrite(new + PAGE, &f));
		if (f.sig)
			EXPECT_EQ(SEGV_ACCERR, f.code);
		EXPECT_EQ(prot & PROT_EXEC ? 0 : SIGSEGV,
			  probe_call(new + PAGE, &f));
		if (f.sig)
			EXPECT_EQ(SEGV_ACCERR, f.code);
		if (flags) {
			EXPECT_EQ(prot & PROT_WRITE ? 0 : SIGSEGV,
				  probe_rewrite(vm_page(vm, FIRST), &f));
			EXPECT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST),
						 8 * PAGE, RW));
			EXPECT_LOOK("00000000", FIRST);
		}
		/* What was hidden is still there. */
		EXPECT_EQ(0, vm_mprotect(vm, new, 8 * PAGE, RW));
		memset(new + PAGE, 'b', PAGE);
		EXPECT_LOOK(".abcdefgh.", 2 * LEAF + 99);
		memset(new, 'x', 8 * PAGE);
		EXPECT_LOOK("xxxxxxxx", 2 * LEAF + 100);
	}
}

/* Pages whose entries have been written, read, hidden and shown before. */
TEST_F(remap, after_changes_of_protection)
{
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_TRUE(letters(vm, FIRST, 12, RW));
	for (i = 0; i < 12; i += 2)
		ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST + i), PAGE,
					 i % 4 ? PROT_READ : PROT_NONE));
	EXPECT_EQ(12, vm_areas(vm));
	for (i = 0; i < 12; i++)
		ASSERT_EQ(0, try_remap(vm, FIRST + i, 1, 1, FIXED,
				       3 * LEAF + 300 - i));
	EXPECT_TRUE(is_gone(vm_page(vm, FIRST), 12));
	EXPECT_LOOK("lkj-hgf-dcb-", 3 * LEAF + 289);
	EXPECT_EQ(12, vm_areas(vm));
	for (i = 0; i < 12; i++)
		EXPECT_EQ(i % 2 ? 0 : SIGSEGV,
			  probe_rewrite(vm_page(vm, 3 * LEAF + 300 - i), NULL));
	ASSERT_EQ(0,
		  vm_mprotect(vm, vm_page(vm, 3 * LEAF + 289), 12 * PAGE, RW));
	EXPECT_LOOK("lkjihgfedcba", 3 * LEAF + 289);
}

/* Shared twice. */

TEST_F(remap, maps_what_is_shared_a_second_time)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);
		char *p = vm_page(vm, FIRST), *q = vm_page(vm, 3 * LEAF - 2);
		size_t i;
		pid_t pid;

		if (!memory_is_shared(m))
			continue;
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
		/* It would have to be in two places. */
		EXPECT_EQ(ENOMEM, try_remap(vm, FIRST, 0, 4, 0, 0));
		EXPECT_EQ(EINVAL,
			  try_remap(vm, FIRST, 0, 4, MAYMOVE | LEAVE, 0));
		/* From its third page, and beyond its end. */
		ASSERT_EQ(q,
			  vm_mremap(vm, p + 2 * PAGE, 0, 14 * PAGE, FIXED, q));
		EXPECT_EQ(2, vm_areas(vm));
		for (i = 0; i < 10; i++)
			EXPECT_EQ(mark_of(m, FIRST, 2 + i), *word_at(q, i));
		EXPECT_TRUE(holds(p, 12, m, FIRST, mark_of));
		for (i = 0; i < 10; i++) {
			word_at(q, i)[1] = i;
			EXPECT_EQ(i, word_at(p, i + 2)[1]);
			word_at(p, i + 2)[1] = 100 + i;
			EXPECT_EQ(100 + i, word_at(q, i)[1]);
		}
		pid = fork();
		if (!pid) {
			for (i = 0; i < 10; i++) {
				CHECK(word_at(q, i)[1] == 100 + i);
				word_at(q, i)[1] = 200 + i;
			}
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		for (i = 0; i < 10; i++)
			EXPECT_EQ(200 + i, word_at(p, i + 2)[1]);
		/* Each without the other. */
		ASSERT_EQ(0, vm_munmap(vm, p, 12 * PAGE));
		for (i = 0; i < 10; i++)
			EXPECT_EQ(200 + i, word_at(q, i)[1]);
		EXPECT_EQ(m == SHARED_FILE ? 0 : SIGBUS,
			  probe_write(q + 13 * PAGE, 1, NULL));
		/* A third one, anywhere. */
		p = vm_mremap(vm, q, 0, 2 * PAGE, MAYMOVE, NULL);
		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(200, word_at(p, 0)[1]);
		word_at(p, 1)[1] = 1;
		EXPECT_EQ(1, word_at(q, 1)[1]);
		ASSERT_EQ(0, vm_munmap(vm, p, 2 * PAGE));
		close(fd);
	}
}

/* A private mapping of a file cannot be had twice. */
TEST_F(remap, maps_nothing_private_a_second_time)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);

	ASSERT_TRUE(furnish(vm, PRIVATE_FILE, FIRST, 8, fd));
	EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 0, 8, MAYMOVE, 0));
	EXPECT_EQ(EINVAL, try_remap(vm, FIRST, 0, 8, FIXED, 8));
	EXPECT_EQ(1, vm_areas(vm));
	close(fd);
}

/* Files. */

TEST_F(remap, a_moved_file_is_the_file)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char *p = vm_page(vm, FIRST), *q = vm_page(vm, 3 * LEAF + 7);
	size_t i;

	ASSERT_TRUE(letters(vm, 0, 1, RW));
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, SHARED_FILE, FIRST, 12, RW, fd));
	for (i = 0; i < 12; i += 2)
		p[i * PAGE] = 'a' + i;
	ASSERT_EQ(q, move_pages(vm, FIRST, 12, 0, 3 * LEAF + 7));
	for (i = 0; i < 12; i++) {
		EXPECT_EQ(i % 2 ? 0 : 'a' + (int)i, byte_of(fd, FIRST + i));
		q[i * PAGE] = 'A' + i;
		EXPECT_EQ('A' + (int)i, byte_of(fd, FIRST + i));
		EXPECT_EQ(1, pwrite(fd, "w", 1, (FIRST + i) * PAGE));
		EXPECT_EQ('w', q[i * PAGE]);
	}
	EXPECT_EQ(0, vm_msync(vm, q, 12 * PAGE, MS_SYNC));
	EXPECT_FAIL(ENOMEM, vm_msync(vm, p, 12 * PAGE, MS_SYNC));
	/* Written, and clean: the next store must be seen again. */
	q[0] = 'n';
	EXPECT_EQ('n', byte_of(fd, FIRST));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(p, move_pages(vm, 3 * LEAF + 7, 12, 0, FIRST));
	p[0] = 'm';
	EXPECT_EQ('m', byte_of(fd, FIRST));
	ASSERT_EQ(0, vm_munmap(vm, p, 12 * PAGE));
	EXPECT_EQ('m', byte_of(fd, FIRST));
	close(fd);
}

static void check_truncated(struct __test_metadata *_metadata, struct vm *vm,
			    enum memory m, int flags, int fd)
{
	char *q = vm_page(vm, 3 * LEAF + 7);

	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
	ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
	ASSERT_EQ(q, move_pages(vm, FIRST, 12, flags, 3 * LEAF + 7));
	memset(q, 'q', 12 * PAGE);
	ASSERT_EQ(0, ftruncate(fd, (FIRST + 5) * PAGE));
	EXPECT_STREQ(".qqqqq!!!!!!!.", look(vm, 3 * LEAF + 6, 14));
	if (flags)
		EXPECT_STREQ("!!!!!!!", look(vm, FIRST + 5, 7));
	ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
	/* Of what was private too. */
	EXPECT_STREQ(".qqqqq0000000.", look(vm, 3 * LEAF + 6, 14));
	memset(q, 'r', 12 * PAGE);
	EXPECT_STREQ(".rrrrrrrrrrrr.", look(vm, 3 * LEAF + 6, 14));
	EXPECT_EQ(m == SHARED_FILE ? 'r' : 0, byte_of(fd, FIRST + 8));
	/* A mapping that reaches behind the file's end. */
	ASSERT_EQ(0, ftruncate(fd, (FIRST + 14) * PAGE));
	ASSERT_EQ(q, vm_mremap(vm, q, 12 * PAGE, 16 * PAGE, 0, NULL));
	EXPECT_STREQ("rrrrrrrrrrrr00!!.", look(vm, 3 * LEAF + 7, 17));
}

TEST_F(remap, a_moved_file_is_truncated)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);

	check_truncated(_metadata, vm, SHARED_FILE, 0, fd);
	check_truncated(_metadata, vm, PRIVATE_FILE, 0, fd);
	check_truncated(_metadata, vm, SHARED_FILE, LEAVE, fd);
	check_truncated(_metadata, vm, PRIVATE_FILE, LEAVE, fd);
	close(fd);
}

/* A page that was not copied yet follows the file. */
TEST_F(remap, a_private_mapping_follows_its_file)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char *q = vm_page(vm, 3 * LEAF + 7);
	size_t i;

	ASSERT_TRUE(furnish(vm, PRIVATE_FILE, FIRST, 12, fd));
	ASSERT_EQ(q, move_pages(vm, FIRST, 12, 0, 3 * LEAF + 7));
	for (i = 0; i < 12; i++) {
		uint64_t mark = 5555 + i;

		ASSERT_EQ(8, pwrite(fd, &mark, 8, (FIRST + i) * PAGE));
		EXPECT_EQ(state_of(i) == WRITTEN ? 0x10000000 + i : mark,
			  *word_at(q, i));
		*word_at(q, i) = 1;
		ASSERT_EQ(8, pread(fd, &mark, 8, (FIRST + i) * PAGE));
		EXPECT_EQ(5555 + i, mark);
	}
	close(fd);
}

TEST_F(remap, keeps_what_a_descriptor_allows)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE), reader;
	char path[64], *q = vm_page(vm, 3 * LEAF + 7);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, reader);
	ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, SHARED_FILE, FIRST, 8,
						 PROT_READ, reader));
	close(reader);
	ASSERT_EQ(q, move_pages(vm, FIRST, 8, 0, 3 * LEAF + 7));
	EXPECT_FAIL(EACCES, vm_mprotect(vm, q, 8 * PAGE, RW));
	ASSERT_NE(MAP_FAILED,
		  vm_mremap(vm, q, 0, 8 * PAGE, FIXED, vm_page(vm, FIRST)));
	EXPECT_FAIL(EACCES, vm_mprotect(vm, vm_page(vm, FIRST), 8 * PAGE, RW));
	EXPECT_EQ(0, probe_read(vm_page(vm, FIRST), NULL, NULL));
	close(fd);
}

/* Neighbours of a file become one, as when they were mapped so. */
TEST_F(remap, parts_of_a_file_come_together)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);

	ASSERT_TRUE(furnish(vm, SHARED_FILE, FIRST, 12, fd));
	ASSERT_EQ(0, try_remap(vm, FIRST, 4, 4, FIXED, 8));
	ASSERT_EQ(0, try_remap(vm, FIRST + 8, 4, 4, FIXED, 16));
	EXPECT_EQ(3, vm_areas(vm));
	ASSERT_EQ(0, try_remap(vm, FIRST + 4, 4, 4, FIXED, 12));
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_TRUE(holds(vm_page(vm, 8), 12, SHARED_FILE, FIRST, mark_of));
	/* In another order they are not. */
	ASSERT_EQ(0, try_remap(vm, 8, 4, 4, FIXED, 20));
	EXPECT_EQ(2, vm_areas(vm));
	EXPECT_EQ(EFAULT, try_remap(vm, 18, 4, 4, FIXED, FIRST));
	close(fd);
}

/* Attributes. */

/* Whether the area that starts at @addr has the flag @name of smaps. */
static bool has_flag(struct vm *vm, const void *addr, const char *name)
{
	char path[64] = "/proc/self/smaps", line[512], padded[8];
	unsigned long start, end;
	bool here = false, has = false;
	char *flags;
	FILE *f;

	if (!vm_is_native(vm))
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)addr &&
			       end > (uintptr_t)addr;
		flags = strpbrk(line, vm_is_native(vm) ? ":" : "[");
		if (!here || !flags ||
		    (vm_is_native(vm) && strncmp(line, "VmFlags:", 8)))
			continue;
		/* In brackets there is none around the first and last. */
		flags[0] = ' ';
		flags[strcspn(flags, "]\n")] = ' ';
		snprintf(padded, sizeof(padded), " %s ", name);
		has |= !!strstr(flags, padded);
	}
	if (f)
		fclose(f);
	return has;
}

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static const struct {
	int advice;
	const char *name;
} advices[] = {
	{ MADV_DONTFORK, "dc" },   { MADV_WIPEONFORK, "wf" },
	{ MADV_DONTDUMP, "dd" },   { MADV_RANDOM, "rr" },
	{ MADV_SEQUENTIAL, "sr" },
};

static void check_advice(struct __test_metadata *_metadata, struct vm *vm,
			 enum memory m, size_t i, int flags)
{
	char *q = vm_page(vm, 3 * LEAF + 7), *p = vm_page(vm, FIRST);
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	size_t k;

	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	ASSERT_TRUE(furnish(vm, m, FIRST, 12, fd));
	ASSERT_EQ(0, vm_madvise(vm, p, 12 * PAGE, advices[i].advice));
	ASSERT_EQ(q, vm_mremap(vm, p, 6 * PAGE, (flags ? 6 : 9) * PAGE,
			       FIXED | flags, q));
	for (k = 0; k < ARRAY_SIZE(advices); k++) {
		EXPECT_EQ(i == k, has_flag(vm, q, advices[k].name))
		{
			TH_LOG("%s: %s", memory_name(m), advices[k].name);
		}
		EXPECT_EQ(i == k, has_flag(vm, p + 6 * PAGE, advices[k].name));
		if (flags)
			EXPECT_EQ(i == k, has_flag(vm, p, advices[k].name));
	}
	EXPECT_TRUE(holds(q, 6, m, FIRST, mark_of));
	/* All of it, with the part that is new. */
	EXPECT_EQ(2, vm_areas(vm));
	close(fd);
}

TEST_F(remap, keeps_advice)
{
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(advices); i++) {
			if (m != PRIVATE_ANON &&
			    advices[i].advice == MADV_WIPEONFORK)
				continue;
			check_advice(_metadata, &self->vm, m, i, 0);
			check_advice(_metadata, &self->vm, m, i, LEAVE);
		}
}

TEST_F(remap, a_child_gets_what_was_advised)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	ASSERT_TRUE(letters(vm, FIRST, 12, RW));
	ASSERT_EQ(0,
		  vm_madvise(vm, vm_page(vm, FIRST), 4 * PAGE, MADV_DONTFORK));
	ASSERT_EQ(0, vm_madvise(vm, vm_page(vm, FIRST + 4), 4 * PAGE,
				MADV_WIPEONFORK));
	ASSERT_EQ(0, try_remap(vm, FIRST, 4, 6, FIXED, 8));
	ASSERT_EQ(0, try_remap(vm, FIRST + 4, 4, 4, FIXED | LEAVE, 20));
	memset(vm_page(vm, FIRST + 4), 'x', PAGE);
	pid = fork();
	if (!pid) {
		CHECK(!strcmp("......", look(vm, 8, 6)));
		CHECK(!strcmp("0000.", look(vm, 20, 5)));
		CHECK(!strcmp("....0000ijkl", look(vm, FIRST, 12)));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_LOOK("abcd00.", 8);
	EXPECT_LOOK("efgh.", 20);
	EXPECT_LOOK("....x000ijkl", FIRST);
}

TEST_F(remap, keeps_noreserve)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), *q = vm_page(vm, 3 * LEAF + 7);

	ASSERT_EQ(p, vm_mmap(vm, p, 4 * PAGE, RW,
			     ANON | MAP_FIXED | MAP_NORESERVE));
	ASSERT_EQ(q, move_pages(vm, FIRST, 4, 0, 3 * LEAF + 7));
	EXPECT_TRUE(has_flag(vm, q, "nr"));
	ASSERT_EQ(q, vm_mremap(vm, q, 4 * PAGE, 6 * PAGE, 0, NULL));
	EXPECT_TRUE(has_flag(vm, q, "nr"));
	EXPECT_EQ(1, vm_areas(vm));
}

/* Limits. */

static int set_room(struct vm *vm, int resource, size_t pages)
{
	const char *key = resource == RLIMIT_AS ? "VmSize:" : "VmData:";
	struct rlimit limit;
	size_t has;

	/* Its own buffers are to be there already. */
	proc_number("/proc/self/status", key);
	has = proc_number("/proc/self/status", key) * 1024;
	/* The window does not count, its areas do. */
	if (!vm_is_native(vm))
		has += 12 * PAGE;
	limit.rlim_cur = has + pages * PAGE;
	limit.rlim_max = limit.rlim_cur;
	return setrlimit(resource, &limit);
}

static void be_limited(struct vm *vm, int resource)
{
	int i;

	CHECK(!set_room(vm, resource, 10));
	CHECK(try_remap(vm, FIRST, 12, 23, 0, 0) == ENOMEM);
	CHECK(try_remap(vm, FIRST, 12, 23, FIXED, 8) == ENOMEM);
	CHECK(try_remap(vm, FIRST, 11, 22, MAYMOVE, 0) == ENOMEM);
	CHECK(try_remap(vm, FIRST, 12, 12, FIXED | LEAVE, 8) == ENOMEM);
	CHECK(try_remap(vm, FIRST, 11, 11, FIXED | LEAVE, 8) == ENOMEM);
	CHECK(!strcmp(".abcdefghijkl.", look(vm, FIRST - 1, 14)));
	/* A move needs no room, however often. */
	for (i = 0; i < 20; i++) {
		CHECK(!try_remap(vm, FIRST, 12, 12, FIXED, 3 * LEAF + 7));
		CHECK(!try_remap(vm, 3 * LEAF + 7, 12, 12, FIXED, FIRST));
	}
	/* What becomes shorter gives some. */
	CHECK(!try_remap(vm, FIRST, 12, 22, 0, 0));
	CHECK(try_remap(vm, FIRST, 22, 23, 0, 0) == ENOMEM);
	CHECK(!try_remap(vm, FIRST, 22, 4, FIXED, 8));
	CHECK(!try_remap(vm, 8, 4, 22, 0, 0));
	CHECK(try_remap(vm, 8, 22, 23, 0, 0) == ENOMEM);
	_exit(0);
}

TEST_F(remap, counts_what_is_mapped)
{
	static const int resources[] = { RLIMIT_AS, RLIMIT_DATA };
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_TRUE(letters(vm, FIRST, 12, RW));
	for (i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (!pid)
			be_limited(vm, resources[i]);
		EXPECT_EQ(0, end_of(pid))
		{
			TH_LOG("resource %d", resources[i]);
		}
	}
	EXPECT_LOOK(".abcdefghijkl.", FIRST - 1);
}

/* Only what is private and can be written is data. */
static void be_limited_in_data(struct vm *vm)
{
	CHECK(!vm_mprotect(vm, vm_page(vm, FIRST), 12 * PAGE, PROT_READ));
	CHECK(!set_room(vm, RLIMIT_DATA, vm_is_native(vm) ? 0 : -12));
	CHECK(!try_remap(vm, FIRST, 12, 24, 0, 0));
	CHECK(!try_remap(vm, FIRST, 24, 24, FIXED | LEAVE, 8));
	CHECK(vm_mprotect(vm, vm_page(vm, 8), PAGE, RW) == -1);
	CHECK(vm_map_file(vm, vm_page(vm, 100), 4 * PAGE, RW,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
			  0) != MAP_FAILED);
	CHECK(!try_remap(vm, 100, 4, 20, 0, 0));
	CHECK(!try_remap(vm, 100, 0, 20, FIXED, 200));
	_exit(0);
}

TEST_F(remap, counts_what_is_data)
{
	pid_t pid;

	ASSERT_TRUE(letters(&self->vm, FIRST, 12, RW));
	pid = fork();
	if (!pid)
		be_limited_in_data(&self->vm);
	EXPECT_EQ(0, end_of(pid));
}

TEST(the_library_moves_too)
{
	struct vm vm;

	if (!vm_available(&vm_lib))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&vm, &vm_lib, ZONE * PAGE));
	ASSERT_TRUE(letters(&vm, FIRST, 4, RW));
	ASSERT_EQ(vm_page(&vm, 8), vm_mremap(&vm, vm_page(&vm, FIRST), 4 * PAGE,
					     4 * PAGE, FIXED, vm_page(&vm, 8)));
	EXPECT_STREQ("abcd", look(&vm, 8, 4));
	EXPECT_STREQ("....", look(&vm, FIRST, 4));
	EXPECT_EQ(EFAULT, try_remap(&vm, FIRST, 4, 4, FIXED, 8));
	vm_close(&vm);
}

TEST_HARNESS_MAIN
