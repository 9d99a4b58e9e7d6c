// SPDX-License-Identifier: GPL-2.0
/* mincore: which pages are there. */
#include "fixture.h"

#define PAGES 64

VM_FIXTURE(mincore, PAGES);

/* clang-format off */
FIXTURE_VARIANT_ADD(mincore, libaltvm) {
	.ops = &vm_lib,
};

/* clang-format on */

static void picture(const unsigned char *vec, size_t pages, char *out)
{
	size_t i;

	for (i = 0; i < pages; i++)
		out[i] = vec[i] <= 1 ? '0' + vec[i] : '?';
	out[pages] = 0;
}

/* The pages from @page on are as @want says. */
static void expect_resident(struct __test_metadata *_metadata, struct vm *vm,
			    const char *want, size_t page)
{
	const size_t nr = strlen(want);
	unsigned char vec[PAGES];
	char now[PAGES + 1];

	memset(vec, 0xee, sizeof(vec));
	EXPECT_EQ(0, vm_mincore(vm, vm_page(vm, page), nr * PAGE, vec));
	picture(vec, nr, now);
	EXPECT_STREQ(want, now);
}

#define EXPECT_RESIDENT(want, page) \
	expect_resident(_metadata, &self->vm, want, page)

TEST_F(mincore, tells_what_was_touched)
{
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	uint64_t value;

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_RESIDENT("00000000", 8);
	ASSERT_EQ(0, probe_write(p + 2 * PAGE, 1, NULL));
	ASSERT_EQ(0, probe_write(p + 6 * PAGE, 1, NULL));
	EXPECT_RESIDENT("00100010", 8);
	/* A read brings the page of zeroes. */
	ASSERT_EQ(0, probe_read(p + 7 * PAGE, &value, NULL));
	EXPECT_RESIDENT("00100011", 8);
	EXPECT_RESIDENT("100", 10);
}

TEST_F(mincore, spans_areas)
{
	char *p = vm_map_at(&self->vm, 8, 8, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 1, 8 * PAGE);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + PAGE, PAGE, PROT_READ));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 3 * PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(p + 5 * PAGE, vm_map_at(&self->vm, 13, 2, RX));
	EXPECT_RESIDENT("11111001", 8);
}

TEST_F(mincore, a_hole_is_an_error)
{
	unsigned char vec[PAGES];
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	struct vm *vm = &self->vm;

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p - PAGE, PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p - PAGE, 3 * PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p, 9 * PAGE, vec));
	ASSERT_EQ(0, vm_munmap(vm, p + 4 * PAGE, PAGE));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p, 8 * PAGE, vec));
}

TEST_F(mincore, checks_its_arguments)
{
	unsigned char vec[PAGES];
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	struct vm *vm = &self->vm;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(vec, 0xee, sizeof(vec));
	EXPECT_EQ(0, vm_mincore(vm, p, 0, vec));
	EXPECT_EQ(0, vm_mincore(vm, p, 0, NULL));
	EXPECT_FAIL(EINVAL, vm_mincore(vm, p + 1, PAGE, vec));
	EXPECT_FAIL(EINVAL, vm_mincore(vm, p + 1, 0, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p, ~0UL, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p, -PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, p, -(uintptr_t)p, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, (void *)-PAGE, PAGE, vec));
	EXPECT_EQ(0xee, vec[0]);
	EXPECT_EQ(0, vm_mincore(vm, p, PAGE + 1, vec));
	EXPECT_EQ(0, vec[1]);
	EXPECT_EQ(0xee, vec[2]);
}

TEST_F(mincore, refuses_a_bad_vector)
{
	unsigned char *page, *vec;
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	struct vm *vm = &self->vm;

	ASSERT_NE(MAP_FAILED, (void *)p);
	page = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));

	EXPECT_FAIL(EFAULT, vm_mincore(vm, p, PAGE, NULL));
	EXPECT_FAIL(EFAULT, vm_mincore(vm, p, PAGE, (void *)-PAGE));
	EXPECT_FAIL(EFAULT,
		    vm_mincore(vm, p, PAGE, (void *)0xffff888000000000));
	EXPECT_FAIL(EFAULT, vm_mincore(vm, p, PAGE, page + PAGE));
	vec = page + PAGE - 4;
	EXPECT_FAIL(EFAULT, vm_mincore(vm, p, 8 * PAGE, vec));
	EXPECT_EQ(0, vm_mincore(vm, p, 4 * PAGE, vec));
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, vm_mincore(vm, p, PAGE, page));
	munmap(page, PAGE);
}

/* The copy out faults in the very memory that is looked at. */
TEST_F(mincore, the_vector_is_in_the_zone)
{
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	unsigned char *vec = (unsigned char *)p + 3 * PAGE - 2;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, vm_mincore(&self->vm, p, 8 * PAGE, vec));
	for (i = 0; i < 8; i++)
		EXPECT_GE(1, vec[i]);
	EXPECT_RESIDENT("00110000", 8);
	ASSERT_EQ(0, vm_mincore(&self->vm, p, 8 * PAGE, vec));
	EXPECT_EQ(0, memcmp(vec, "\0\0\1\1\0\0\0\0", 8));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, vm_mincore(&self->vm, p, 8 * PAGE, vec));
	EXPECT_FAIL(EFAULT, vm_mincore(&self->vm, p, 8 * PAGE,
				       (unsigned char *)self->base));
}

TEST_F(mincore, protection_does_not_matter)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);
	int prot;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, probe_write(p + PAGE, 1, NULL));
	for (prot = 0; prot < 8; prot++) {
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, 4 * PAGE, prot));
		EXPECT_RESIDENT("0100", 8);
	}
}

TEST_F(mincore, forgets_what_was_unmapped)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 1, 4 * PAGE);
	ASSERT_EQ(p, vm_map_at(&self->vm, 8, 2, RW));
	EXPECT_RESIDENT("0011", 8);
}

/* More than what one page of the vector, or one chunk of the kernel's, holds. */
#define BIG_PAGES 20000

VM_FIXTURE(mincore_big, BIG_PAGES);

TEST_F(mincore_big, a_long_vector)
{
	static unsigned char vec[BIG_PAGES + 1];
	size_t i;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, BIG_PAGES, RW));
	for (i = 0; i < BIG_PAGES; i += 511)
		self->base[i * PAGE] = 1;
	memset(vec, 0xee, sizeof(vec));
	ASSERT_EQ(0, vm_mincore(&self->vm, self->base, BIG_PAGES * PAGE, vec));
	for (i = 0; i < BIG_PAGES; i++)
		ASSERT_EQ(i % 511 == 0, vec[i])
		{
			TH_LOG("page %zu", i);
		}
	EXPECT_EQ(0xee, vec[BIG_PAGES]);
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base + 19990 * PAGE, PAGE));
	EXPECT_FAIL(ENOMEM,
		    vm_mincore(&self->vm, self->base, BIG_PAGES * PAGE, vec));
}

ALTVM_FIXTURE(altvm_mincore, PAGES);

TEST_F(altvm_mincore, outside_the_window)
{
	char *end = self->base + PAGES * PAGE;
	unsigned char vec[PAGES + 2];
	struct vm *vm = &self->vm;

	ASSERT_EQ(self->base, vm_map_at(vm, 0, PAGES, RW));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, end, PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, self->base - PAGE, PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, self->base - PAGE, 2 * PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, end - PAGE, 2 * PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, NULL, PAGE, vec));
	EXPECT_FAIL(ENOMEM, vm_mincore(vm, stack_page(), PAGE, vec));
}

TEST_HARNESS_MAIN
