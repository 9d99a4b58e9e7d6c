// SPDX-License-Identifier: GPL-2.0
/* mprotect: which accesses are left, where, and what is refused. */
#include "fixture.h"

#define PAGES 64

VM_FIXTURE(protect, PAGES);

/* clang-format off */
FIXTURE_VARIANT_ADD(protect, libaltvm) {
	.ops = &vm_lib,
};

/* clang-format on */

/* A letter for what page @page allows: -, r, w (and r), x (and r), a (all). */
static char allowed(struct vm *vm, size_t page)
{
	char *p = vm->base + page * PAGE;
	bool r = !probe_read(p, NULL, NULL);
	bool w = !probe_rewrite(p, NULL);
	/* The pages begin with RET_INSN. */
	bool x = !probe_call(p, NULL);

	if (!r)
		return w || x ? '?' : '-';
	return w ? x ? 'a' : 'w' : x ? 'x' : 'r';
}

static void picture(struct vm *vm, size_t page, size_t pages, char *out)
{
	size_t i;

	for (i = 0; i < pages; i++)
		out[i] = allowed(vm, page + i);
	out[pages] = 0;
}

#define EXPECT_PICTURE(want)                   \
	do {                                   \
		char now[PAGES + 1];           \
		picture(&self->vm, 8, 8, now); \
		EXPECT_STREQ(want, now);       \
	} while (0)

/* What x86 makes of a protection. */
static char letter(const struct vm *vm, int prot)
{
	if (prot == PROT_EXEC && vm_is_execute_only(vm))
		return '?';
	if (!prot)
		return '-';
	if (prot & PROT_WRITE)
		return prot & PROT_EXEC ? 'a' : 'w';
	return prot & PROT_EXEC ? 'x' : 'r';
}

static char *map_code(struct vm *vm, size_t page, size_t pages)
{
	char *p = vm_map_at(vm, page, pages, RWX);
	size_t i;

	if (p == MAP_FAILED)
		return NULL;
	for (i = 0; i < pages; i++) {
		memset(p + i * PAGE, page + i, PAGE);
		p[i * PAGE] = (char)RET_INSN;
	}
	return p;
}

static bool code_intact(struct vm *vm, size_t page, size_t pages)
{
	size_t i, k;

	for (i = page; i < page + pages; i++) {
		const char *p = vm->base + i * PAGE;

		if (p[0] != (char)RET_INSN)
			return false;
		for (k = 1; k < PAGE; k++)
			if (p[k] != (char)i)
				return false;
	}
	return true;
}

TEST_F(protect, every_transition)
{
	int from, to;

	ASSERT_NE(NULL, map_code(&self->vm, 8, 2));
	for (from = 0; from < 8; from++) {
		for (to = 0; to < 8; to++) {
			ASSERT_EQ(0,
				  vm_mprotect(&self->vm, self->base + 8 * PAGE,
					      2 * PAGE, from));
			ASSERT_EQ(letter(&self->vm, from),
				  allowed(&self->vm, 8));
			ASSERT_EQ(0,
				  vm_mprotect(&self->vm, self->base + 8 * PAGE,
					      2 * PAGE, to));
			EXPECT_EQ(letter(&self->vm, to), allowed(&self->vm, 8))
			{
				TH_LOG("%d to %d", from, to);
			}
			EXPECT_EQ(letter(&self->vm, to), allowed(&self->vm, 9));
		}
	}
	ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + 8 * PAGE, 2 * PAGE,
				 PROT_READ));
	EXPECT_TRUE(code_intact(&self->vm, 8, 2));
}

TEST_F(protect, every_transition_before_the_first_touch)
{
	int from, to;

	for (from = 0; from < 8; from++) {
		for (to = 0; to < 8; to++) {
			char *p = vm_map_at(&self->vm, 8, 1, from);
			bool hidden;

			ASSERT_NE(MAP_FAILED, (void *)p);
			ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, to));
			EXPECT_EQ(to & PROT_WRITE ? 0 : SIGSEGV,
				  probe_write(p, RET_INSN, NULL));
			hidden = strchr("-?", letter(&self->vm, to));
			EXPECT_EQ(hidden ? SIGSEGV : 0,
				  probe_read(p, NULL, NULL));
			ASSERT_EQ(0, vm_munmap(&self->vm, p, PAGE));
		}
	}
}

TEST_F(protect, splits_and_merges)
{
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, map_code(vm, 8, 8));
	EXPECT_PICTURE("aaaaaaaa");
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 10 * PAGE, 2 * PAGE, RX));
	EXPECT_PICTURE("aaxxaaaa");
	EXPECT_EQ(3, vm_areas(vm));
	EXPECT_EQ(0,
		  vm_mprotect(vm, self->base + 11 * PAGE, 2 * PAGE, PROT_NONE));
	EXPECT_PICTURE("aax--aaa");
	EXPECT_EQ(4, vm_areas(vm));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 8 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 15 * PAGE, PAGE, RW));
	EXPECT_PICTURE("rax--aaw");
	EXPECT_EQ(6, vm_areas(vm));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 9 * PAGE, 6 * PAGE, RX));
	EXPECT_PICTURE("rxxxxxxw");
	EXPECT_EQ(3, vm_areas(vm));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 8 * PAGE, 8 * PAGE, RWX));
	EXPECT_PICTURE("aaaaaaaa");
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_TRUE(code_intact(vm, 8, 8));
}

TEST_F(protect, works_across_areas)
{
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, map_code(vm, 8, 3));
	ASSERT_NE(NULL, map_code(vm, 11, 2));
	ASSERT_NE(NULL, map_code(vm, 13, 3));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 11 * PAGE, 2 * PAGE, RW));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 9 * PAGE, 6 * PAGE, RX));
	EXPECT_PICTURE("axxxxxxa");
}

TEST_F(protect, stops_at_a_hole)
{
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, map_code(vm, 8, 8));
	ASSERT_EQ(0, vm_munmap(vm, self->base + 12 * PAGE, PAGE));
	EXPECT_FAIL(ENOMEM,
		    vm_mprotect(vm, self->base + 10 * PAGE, 5 * PAGE, RX));
	EXPECT_PICTURE("aaxx-aaa");
	/* Nothing before the hole, nothing done. */
	EXPECT_FAIL(ENOMEM,
		    vm_mprotect(vm, self->base + 12 * PAGE, 3 * PAGE, RX));
	EXPECT_PICTURE("aaxx-aaa");
	/* The hole is at the end. */
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, self->base + 15 * PAGE, 2 * PAGE,
					PROT_NONE));
	EXPECT_PICTURE("aaxx-aa-");
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, self->base + 30 * PAGE, PAGE, RW));
}

TEST_F(protect, checks_its_arguments)
{
	char *p = map_code(&self->vm, 8, 8);
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, vm_mprotect(vm, p, 0, PROT_NONE));
	EXPECT_EQ(0, vm_mprotect(vm, self->base + 40 * PAGE, 0, PROT_NONE));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p + 1, PAGE, PROT_NONE));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p + 1, 0, PROT_NONE));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, p, -PAGE, PROT_NONE));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, p, -(uintptr_t)p, PROT_NONE));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, 0x10));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, RW | 0x40000000));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE,
					RW | PROT_GROWSDOWN | PROT_GROWSUP));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, RW | PROT_GROWSDOWN));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, RW | PROT_GROWSUP));
	EXPECT_EQ(0, vm_mprotect(vm, p, PAGE, RWX | 8 /* PROT_SEM */));
	EXPECT_PICTURE("aaaaaaaa");
	EXPECT_TRUE(code_intact(vm, 8, 8));
}

/*
 * The length is rounded up before it is looked at, so that one that wraps to
 * nothing is nothing to do.
 */
TEST_F(protect, a_length_that_wraps)
{
	char *p = map_code(&self->vm, 8, 8);

	ASSERT_NE(NULL, p);
	EXPECT_FAIL(ENOMEM, vm_mprotect(&self->vm, p, ~0UL, PROT_NONE));
	EXPECT_FAIL(ENOMEM, vm_mprotect(&self->vm, p, -PAGE + 1, PROT_NONE));
	EXPECT_PICTURE("aaaaaaaa");
}

TEST_F(protect, rounds_length_up)
{
	ASSERT_NE(NULL, map_code(&self->vm, 8, 8));
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base + 8 * PAGE, 1, RX));
	EXPECT_EQ(0,
		  vm_mprotect(&self->vm, self->base + 12 * PAGE, PAGE + 1, RX));
	EXPECT_PICTURE("xaaaxxaa");
}

TEST_F(protect, none_hides_and_keeps_contents)
{
	char *p = map_code(&self->vm, 8, 8);
	size_t i;

	ASSERT_NE(NULL, p);
	for (i = 0; i < 8; i += 3)
		ASSERT_EQ(0, vm_mprotect(&self->vm, p + i * PAGE, PAGE,
					 PROT_NONE));
	EXPECT_PICTURE("-aa-aa-a");
	for (i = 0; i < 8; i += 3)
		EXPECT_EQ(1, vm_resident(&self->vm, p + i * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_READ));
	EXPECT_TRUE(code_intact(&self->vm, 8, 8));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, RWX));
	EXPECT_TRUE(code_intact(&self->vm, 8, 8));
	EXPECT_PICTURE("aaaaaaaa");
}

/* A store after the upgrade must not be lost in a second, stale page. */
TEST_F(protect, a_page_that_was_only_read_becomes_writable)
{
	char *p = vm_map_at(&self->vm, 8, 8, PROT_READ);
	uint64_t value;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, probe_read(p + i * PAGE, &value, NULL));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, RW));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, probe_write(p + i * PAGE, i + 1, NULL));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_READ));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, probe_read(p + i * PAGE, &value, NULL));
		EXPECT_EQ(i + 1, value);
	}
}

TEST_F(protect, the_same_again_is_no_change)
{
	ASSERT_NE(NULL, map_code(&self->vm, 8, 8));
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base + 10 * PAGE, PAGE, RWX));
	EXPECT_EQ(1, vm_areas(&self->vm));
	EXPECT_PICTURE("aaaaaaaa");
}

#define BIG_PAGES 4096

VM_FIXTURE(protect_big, BIG_PAGES);

/* Alternating protections: the largest number of areas, over several tables. */
TEST_F_TIMEOUT(protect_big, alternates_and_merges_back, SLOW)
{
	const size_t pages = scaled(BIG_PAGES);
	size_t i;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, pages, RW));
	for (i = 0; i < pages; i++)
		*(uint64_t *)(self->base + i * PAGE) = i + 1;
	for (i = 0; i < pages; i += 2)
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + i * PAGE, PAGE,
					 PROT_READ));
	EXPECT_EQ(pages, vm_areas(&self->vm));
	for (i = 0; i < pages; i += 101) {
		EXPECT_EQ(i & 1 ? 0 : SIGSEGV,
			  probe_rewrite(self->base + i * PAGE, NULL));
	}
	ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, pages * PAGE, RW));
	EXPECT_EQ(1, vm_areas(&self->vm));
	for (i = 0; i < pages; i++)
		ASSERT_EQ(i + 1, *(uint64_t *)(self->base + i * PAGE));
	for (i = 0; i < pages; i += 101)
		EXPECT_EQ(0, probe_rewrite(self->base + i * PAGE, NULL));
}

ALTVM_FIXTURE(altvm_protect, PAGES);

TEST_F(altvm_protect, outside_the_window)
{
	char *end = self->base + PAGES * PAGE;
	struct vm *vm = &self->vm;

	ASSERT_NE(NULL, map_code(vm, 0, PAGES));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, end, PAGE, RW));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, self->base - PAGE, PAGE, RW));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, self->base - PAGE, 2 * PAGE, RW));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, NULL, PAGE, RW));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, stack_page(), PAGE, RW));
	EXPECT_PICTURE("aaaaaaaa");
	EXPECT_EQ('a', allowed(vm, 0));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, end - PAGE, 2 * PAGE, RX));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, end - PAGE, 1UL << 47, RX));
	EXPECT_EQ('a', allowed(vm, PAGES - 2));
}

TEST_HARNESS_MAIN
