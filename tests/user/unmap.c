// SPDX-License-Identifier: GPL-2.0
/* munmap: what goes, what stays, and what is refused. */
#include "fixture.h"

#define PAGES 64

VM_FIXTURE(unmap, PAGES);

/* clang-format off */
FIXTURE_VARIANT_ADD(unmap, libaltvm) {
	.ops = &vm_lib,
};

/* clang-format on */

/* Page @i holds the byte @i + 1. */
static char *map_marked(struct vm *vm, size_t page, size_t pages)
{
	char *p = vm_map_at(vm, page, pages, RW);
	size_t i;

	if (p == MAP_FAILED)
		return NULL;
	for (i = 0; i < pages; i++)
		memset(p + i * PAGE, page + i + 1, PAGE);
	return p;
}

/* 'm' where the zone's page still has its mark, '.' where there is none. */
static void picture(struct vm *vm, size_t page, size_t pages, char *out)
{
	size_t i;

	for (i = page; i < page + pages; i++) {
		struct fault f;
		uint64_t value;
		char *p = vm->base + i * PAGE;

		if (!probe_read(p, &value, &f))
			*out++ = (value & 0xff) == i + 1 ? 'm' :
				 value			 ? '?' :
							   '0';
		else
			*out++ = f.code == SEGV_MAPERR &&
						 f.addr == (uintptr_t)p ?
					 '.' :
					 '!';
	}
	*out = 0;
}

#define EXPECT_PICTURE(want)                   \
	do {                                   \
		char now[PAGES + 1];           \
		picture(&self->vm, 8, 8, now); \
		EXPECT_STREQ(want, now);       \
	} while (0)

static const struct {
	const char *name;
	size_t page, pages;
	const char *left;
} cuts[] = {
	{ "all", 8, 8, "........" },
	{ "the head", 8, 3, "...mmmmm" },
	{ "the tail", 13, 3, "mmmmm..." },
	{ "the middle", 11, 2, "mmm..mmm" },
	{ "one page", 12, 1, "mmmm.mmm" },
	{ "the head and more", 4, 6, "..mmmmmm" },
	{ "the tail and more", 14, 20, "mmmmmm.." },
	{ "all and more", 0, PAGES, "........" },
	{ "what is not there", 20, 4, "mmmmmmmm" },
};

TEST_F(unmap, cuts_an_area)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		char now[PAGES + 1];

		ASSERT_NE(NULL, map_marked(&self->vm, 8, 8));
		EXPECT_EQ(0,
			  vm_munmap(&self->vm, self->base + cuts[i].page * PAGE,
				    cuts[i].pages * PAGE));
		picture(&self->vm, 8, 8, now);
		EXPECT_STREQ(cuts[i].left, now)
		{
			TH_LOG("unmapped %s", cuts[i].name);
		}
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	}
}

TEST_F(unmap, cuts_several_areas_and_holes)
{
	size_t i;

	for (i = 8; i < 16; i += 2)
		ASSERT_NE(NULL, map_marked(&self->vm, i, 1));
	ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + 12 * PAGE, PAGE,
				 PROT_READ));
	EXPECT_PICTURE("m.m.m.m.");
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base + 9 * PAGE, 4 * PAGE));
	EXPECT_PICTURE("m.....m.");
}

TEST_F(unmap, of_nothing_is_no_error)
{
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base + PAGE, PAGE));
}

TEST_F(unmap, checks_its_arguments)
{
	char *p = map_marked(&self->vm, 8, 8);
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, p);
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, 0));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p + 1, PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p + 2048, 2048));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, ~0UL));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, -PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, -(uintptr_t)p));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, 1UL << 63));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, p, 1UL << 47));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, (void *)-PAGE, PAGE));
	EXPECT_PICTURE("mmmmmmmm");
}

TEST_F(unmap, rounds_length_up)
{
	ASSERT_NE(NULL, map_marked(&self->vm, 8, 8));
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base + 8 * PAGE, 1));
	EXPECT_PICTURE(".mmmmmmm");
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base + 10 * PAGE, PAGE + 1));
	EXPECT_PICTURE(".m..mmmm");
}

TEST_F(unmap, and_map_again_gives_zeroes)
{
	char *p = map_marked(&self->vm, 8, 8);
	size_t i;

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, vm_munmap(&self->vm, p + 2 * PAGE, 3 * PAGE));
	EXPECT_EQ(p + 2 * PAGE, vm_map_at(&self->vm, 10, 3, RW));
	EXPECT_PICTURE("mm000mmm");
	for (i = 2 * PAGE; i < 5 * PAGE; i++)
		ASSERT_EQ(0, p[i]);
}

TEST_F(unmap, leaves_the_rest_usable)
{
	char *p = map_marked(&self->vm, 8, 8);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_munmap(&self->vm, p + 3 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 3 * PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, probe_rewrite(p + PAGE, NULL));
	EXPECT_EQ(0, probe_rewrite(p + 5 * PAGE, NULL));
	ASSERT_EQ(0, vm_munmap(&self->vm, p + PAGE, PAGE));
	EXPECT_PICTURE("m.m..mmm");
}

TEST_F(unmap, page_by_page_in_any_order)
{
	struct rng rng = { .state = 7 };
	bool gone[PAGES] = {};
	size_t i, k;

	for (k = 0; k < 2; k++) {
		memset(gone, 0, sizeof(gone));
		ASSERT_NE(NULL, map_marked(&self->vm, 0, PAGES));
		for (i = 0; i < 3 * PAGES; i++) {
			size_t page = rng_below(&rng, PAGES);

			ASSERT_EQ(0, vm_munmap(&self->vm,
					       self->base + page * PAGE, PAGE));
			gone[page] = true;
		}
		for (i = 0; i < PAGES; i++) {
			ASSERT_EQ(gone[i] ? SIGSEGV : 0,
				  probe_read(self->base + i * PAGE, NULL,
					     NULL));
			if (!gone[i])
				ASSERT_EQ((char)(i + 1),
					  self->base[i * PAGE + 77]);
		}
	}
}

TEST_F(unmap, merges_nothing_into_the_hole)
{
	long areas;

	ASSERT_NE(NULL, map_marked(&self->vm, 8, 8));
	areas = vm_areas(&self->vm);
	ASSERT_EQ(1, areas);
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base + 10 * PAGE, PAGE));
	EXPECT_EQ(2, vm_areas(&self->vm));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base + 12 * PAGE, PAGE));
	EXPECT_EQ(3, vm_areas(&self->vm));
	/* Filled again with the same attributes, it is one area as before. */
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 10, 1, RW));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 12, 1, RW));
	EXPECT_EQ(1, vm_areas(&self->vm));
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	EXPECT_EQ(0, vm_areas(&self->vm));
}

#define BIG_PAGES 2048

VM_FIXTURE(unmap_big, BIG_PAGES);

static long rss_pages(void)
{
	long size, rss = -1;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = -1;
	if (f)
		fclose(f);
	return rss;
}

TEST_F(unmap_big, gives_the_pages_back)
{
	/* The kernel's counters are exact to some dozen pages for each CPU. */
	const long slack = 512;
	long before, full, after;
	size_t i;

	before = rss_pages();
	ASSERT_LT(0, before);
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, BIG_PAGES, RW));
	for (i = 0; i < BIG_PAGES; i++)
		self->base[i * PAGE] = 1;
	full = rss_pages();
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, BIG_PAGES * PAGE));
	after = rss_pages();
	EXPECT_GT(full, before + BIG_PAGES - slack);
	EXPECT_LT(after, before + slack);
}

TEST_F_TIMEOUT(unmap_big, many_rounds_do_not_pile_up, SLOW)
{
	size_t round, i;

	/* 32 x 8 MiB, with a stride that is odd to any table's size. */
	for (round = 0; round < (size_t)scaled(32); round++) {
		ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, BIG_PAGES, RW));
		for (i = round; i < BIG_PAGES; i += 7) {
			ASSERT_EQ(0, self->base[i * PAGE + 8]);
			self->base[i * PAGE + 8] = 1;
		}
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base + 3 * PAGE,
				       (BIG_PAGES - 6) * PAGE));
		ASSERT_EQ(0,
			  vm_munmap(&self->vm, self->base, BIG_PAGES * PAGE));
	}
}

ALTVM_FIXTURE(altvm_unmap, PAGES);

TEST_F(altvm_unmap, refuses_what_is_outside_the_window)
{
	char *end = self->base + PAGES * PAGE;
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, map_marked(vm, 0, PAGES));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, end, PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, end - PAGE, 2 * PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, self->base - PAGE, PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, self->base - PAGE, 2 * PAGE));
	EXPECT_FAIL(EINVAL,
		    vm_munmap(vm, self->base - PAGE, (PAGES + 2) * PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, NULL, PAGE));
	EXPECT_FAIL(EINVAL, vm_munmap(vm, stack_page(), PAGE));
	EXPECT_PICTURE("mmmmmmmm");
	EXPECT_EQ(1, self->base[0]);
	EXPECT_EQ(PAGES, end[-1]);
}

TEST_HARNESS_MAIN
