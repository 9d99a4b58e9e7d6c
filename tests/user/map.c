// SPDX-License-Identifier: GPL-2.0
/* mmap: where an area goes, what is in it, and what is refused. */
#include "fixture.h"

#define PAGES 64

VM_FIXTURE(map, PAGES);

/* clang-format off */
FIXTURE_VARIANT_ADD(map, libaltvm) {
	.ops = &vm_lib,
};

/* clang-format on */

TEST_F(map, is_zero_filled_and_writable)
{
	char *p = vm_mmap(&self->vm, NULL, 4 * PAGE, RW, ANON);
	uint64_t value;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 4 * PAGE; i += sizeof(value)) {
		ASSERT_EQ(0, probe_read(p + i, &value, NULL));
		ASSERT_EQ(0, value);
		ASSERT_EQ(0, probe_write(p + i, i, NULL));
	}
	for (i = 0; i < 4 * PAGE; i += sizeof(value)) {
		ASSERT_EQ(0, probe_read(p + i, &value, NULL));
		ASSERT_EQ(i, value);
	}
}

TEST_F(map, refuses_no_length)
{
	EXPECT_FAIL(EINVAL, vm_mmap(&self->vm, NULL, 0, RW, ANON));
	EXPECT_FAIL(EINVAL,
		    vm_mmap(&self->vm, self->base, 0, RW, ANON | MAP_FIXED));
}

TEST_F(map, rounds_length_up)
{
	char *p =
		vm_mmap(&self->vm, self->base, PAGE + 1, RW, ANON | MAP_FIXED);

	ASSERT_EQ(self->base, p);
	EXPECT_EQ(0, probe_write(p + 2 * PAGE - 8, 1, NULL));
	EXPECT_EQ(SIGSEGV, probe_write(p + 2 * PAGE, 1, NULL));
}

TEST_F(map, refuses_more_than_there_is)
{
	static const size_t huge[] = {
		(PAGES + 1) * PAGE, 1UL << 46, 1UL << 47, 1UL << 63, -PAGE,
		-PAGE + 1,	    ~0UL,
	};
	size_t i;

	vm_enclose(&self->vm);
	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, NULL, huge[i], RW,
					    ANON | MAP_NORESERVE))
		{
			TH_LOG("length %#lx", huge[i]);
		}
	}
}

TEST_F(map, fills_the_whole_zone)
{
	vm_enclose(&self->vm);
	ASSERT_EQ((void *)self->base,
		  vm_mmap(&self->vm, NULL, PAGES * PAGE, RW, ANON));
	EXPECT_EQ(0, probe_write(self->base, 1, NULL));
	EXPECT_EQ(0, probe_write(self->base + PAGES * PAGE - 8, 1, NULL));
	EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, NULL, 1, RW, ANON));
	EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, self->base, 1, RW, ANON));
}

TEST_F(map, goes_top_down)
{
	char *end = self->base + PAGES * PAGE;

	vm_enclose(&self->vm);
	EXPECT_EQ((void *)(end - PAGE), vm_mmap(&self->vm, NULL, 1, RW, ANON));
	EXPECT_EQ((void *)(end - 4 * PAGE),
		  vm_mmap(&self->vm, NULL, 3 * PAGE, PROT_NONE, ANON));
	EXPECT_EQ((void *)(end - 6 * PAGE),
		  vm_mmap(&self->vm, NULL, 2 * PAGE, RW, ANON));
}

TEST_F(map, takes_the_highest_gap_that_fits)
{
	size_t i;

	vm_enclose(&self->vm);
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
	/* Gaps of 1, 2, 3, 2 pages, upwards. */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0,
			  vm_munmap(&self->vm, self->base + (8 + 8 * i) * PAGE,
				    (i < 3 ? i + 1 : 2) * PAGE));

	EXPECT_EQ((void *)(self->base + 24 * PAGE),
		  vm_mmap(&self->vm, NULL, 3 * PAGE, RW, ANON));
	EXPECT_EQ((void *)(self->base + 33 * PAGE),
		  vm_mmap(&self->vm, NULL, PAGE, RW, ANON));
	EXPECT_EQ((void *)(self->base + 16 * PAGE),
		  vm_mmap(&self->vm, NULL, 2 * PAGE, RW, ANON));
	EXPECT_EQ((void *)(self->base + 32 * PAGE),
		  vm_mmap(&self->vm, NULL, PAGE, RW, ANON));
	EXPECT_EQ((void *)(self->base + 8 * PAGE),
		  vm_mmap(&self->vm, NULL, PAGE, RW, ANON));
	EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, NULL, PAGE, RW, ANON));
}

/* Where there could be huge pages. */
TEST_F(map, aligns_whole_huge_pages)
{
	struct vm *vm = &self->vm;
	const size_t len = 2 * MiB;
	struct vm large;
	int i;

	if (vm_is_native(vm))
		large = *vm;
	else
		ASSERT_EQ(0, vm_open(&large, vm->ops, 9 * len + PAGE));
	for (i = 0; i < 3; i++) {
		char *p = vm_mmap(&large, NULL, len, RW, ANON);

		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(0, (uintptr_t)p % len);
		EXPECT_NE(MAP_FAILED,
			  vm_mmap(&large, NULL, PAGE, PROT_READ, ANON));
	}
	if (vm_is_native(vm))
		return;
	/* And takes any other place when there is no such left. */
	for (i = 0; vm_mmap(&large, NULL, len, RW, ANON) != MAP_FAILED; i++)
		;
	EXPECT_LE(4, i);
	EXPECT_FAIL(ENOMEM, vm_mmap(&large, NULL, len, RW, ANON));
	EXPECT_NE(MAP_FAILED, vm_mmap(&large, NULL, PAGE, RW, ANON));
	vm_close(&large);
}

TEST_F(map, follows_a_free_hint)
{
	char *hint = self->base + 10 * PAGE;

	EXPECT_EQ((void *)hint, vm_mmap(&self->vm, hint, 2 * PAGE, RW, ANON));
	/* Rounded down, as by the kernel. */
	hint = self->base + 20 * PAGE;
	EXPECT_EQ((void *)hint, vm_mmap(&self->vm, hint + 123, PAGE, RW, ANON));
}

TEST_F(map, ignores_a_taken_hint)
{
	char *end = self->base + PAGES * PAGE;
	char *hint = self->base + 10 * PAGE;

	vm_enclose(&self->vm);
	ASSERT_EQ(hint, vm_map_at(&self->vm, 10, 2, RW));
	ASSERT_EQ(0, probe_write(hint, 42, NULL));
	EXPECT_EQ((void *)(end - PAGE),
		  vm_mmap(&self->vm, hint, PAGE, RW, ANON));
	EXPECT_EQ((void *)(end - 4 * PAGE),
		  vm_mmap(&self->vm, hint - 2 * PAGE, 3 * PAGE, RW, ANON));
	EXPECT_EQ(42, *(uint64_t *)hint);
}

TEST_F(map, ignores_a_hint_outside)
{
	char *end = self->base + PAGES * PAGE;

	vm_enclose(&self->vm);
	EXPECT_EQ((void *)(end - PAGE),
		  vm_mmap(&self->vm, end, PAGE, RW, ANON));
	EXPECT_EQ((void *)(end - 3 * PAGE),
		  vm_mmap(&self->vm, end - PAGE, 2 * PAGE, RW, ANON));
	EXPECT_EQ((void *)(end - 4 * PAGE),
		  vm_mmap(&self->vm, self->base - PAGE, PAGE, RW, ANON));
	EXPECT_EQ((void *)(end - 5 * PAGE),
		  vm_mmap(&self->vm, (void *)1, PAGE, RW, ANON));
	EXPECT_EQ((void *)(end - 6 * PAGE),
		  vm_mmap(&self->vm, (void *)-PAGE, PAGE, RW, ANON));
}

TEST_F(map, fixed_replaces_and_keeps_the_neighbours)
{
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	size_t i;

	ASSERT_EQ(self->base + 8 * PAGE, p);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, probe_write(p + i * PAGE, i + 1, NULL));
	ASSERT_EQ(p + 2 * PAGE, vm_map_at(&self->vm, 10, 3, PROT_READ));
	for (i = 0; i < 8; i++) {
		bool replaced = i >= 2 && i < 5;

		EXPECT_EQ(replaced ? 0 : i + 1, *(uint64_t *)(p + i * PAGE));
		EXPECT_EQ(replaced ? SIGSEGV : 0,
			  probe_rewrite(p + i * PAGE, NULL));
	}
}

TEST_F(map, fixed_replaces_several_and_holes)
{
	char *p = self->base + 4 * PAGE;
	size_t i;

	/* Areas at 4-5, 8-9, 12-13; the new one covers 5 to 12. */
	for (i = 4; i <= 12; i += 4) {
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(&self->vm, i, 2,
					    i == 8 ? PROT_READ : RW));
		if (i != 8)
			memset(self->base + i * PAGE, 0x55, 2 * PAGE);
	}
	ASSERT_EQ(p + PAGE, vm_map_at(&self->vm, 5, 8, RW));
	EXPECT_EQ(0x55, p[0]);
	EXPECT_EQ(0x55, p[9 * PAGE]);
	for (i = 1; i < 9; i++) {
		EXPECT_EQ(0, p[i * PAGE]);
		EXPECT_EQ(0, probe_rewrite(p + i * PAGE, NULL));
	}
	EXPECT_EQ(SIGSEGV, probe_read(p + 10 * PAGE, NULL, NULL));
}

TEST_F(map, fixed_must_be_aligned)
{
	EXPECT_FAIL(EINVAL, vm_mmap(&self->vm, self->base + 1, PAGE, RW,
				    ANON | MAP_FIXED));
	EXPECT_FAIL(EINVAL, vm_mmap(&self->vm, self->base + 2048, PAGE, RW,
				    ANON | MAP_FIXED_NOREPLACE));
}

TEST_F(map, a_failed_fixed_changes_nothing)
{
	char *p = vm_map_at(&self->vm, PAGES - 2, 2, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 0x77, 2 * PAGE);
	EXPECT_FAIL(ENOMEM,
		    vm_mmap(&self->vm, p, 1UL << 47, RW, ANON | MAP_FIXED));
	EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, p, -PAGE, RW, ANON | MAP_FIXED));
	EXPECT_FAIL(EINVAL,
		    vm_mmap(&self->vm, p, PAGE, RW, MAP_ANONYMOUS | MAP_FIXED));
	EXPECT_EQ(0x77, p[0]);
	EXPECT_EQ(0x77, p[2 * PAGE - 1]);
}

TEST_F(map, noreplace)
{
	char *p = self->base + 8 * PAGE;
	const int flags = ANON | MAP_FIXED_NOREPLACE;

	ASSERT_EQ((void *)p, vm_mmap(&self->vm, p, 2 * PAGE, RW, flags));
	memset(p, 0x33, 2 * PAGE);
	EXPECT_FAIL(EEXIST, vm_mmap(&self->vm, p, PAGE, RW, flags));
	EXPECT_FAIL(EEXIST, vm_mmap(&self->vm, p + PAGE, 2 * PAGE, RW, flags));
	EXPECT_FAIL(EEXIST, vm_mmap(&self->vm, p - PAGE, 2 * PAGE, RW, flags));
	EXPECT_FAIL(EEXIST, vm_mmap(&self->vm, p - PAGE, 4 * PAGE, RW, flags));
	/* MAP_FIXED_NOREPLACE wins over MAP_FIXED. */
	EXPECT_FAIL(EEXIST, vm_mmap(&self->vm, p, PAGE, RW, flags | MAP_FIXED));
	EXPECT_EQ((void *)(p - PAGE),
		  vm_mmap(&self->vm, p - PAGE, PAGE, RW, flags));
	EXPECT_EQ((void *)(p + 2 * PAGE),
		  vm_mmap(&self->vm, p + 2 * PAGE, PAGE, RW, flags));
	EXPECT_EQ(0x33, p[0]);
	EXPECT_EQ(0x33, p[2 * PAGE - 1]);
}

TEST_F(map, populate_makes_resident)
{
	static const int prot[] = { PROT_READ, RW, RX, RWX };
	unsigned char vec[4];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(prot); i++) {
		char *p = vm_mmap(&self->vm, NULL, 4 * PAGE, prot[i],
				  ANON | MAP_POPULATE);

		ASSERT_NE(MAP_FAILED, (void *)p);
		ASSERT_EQ(0, vm_mincore(&self->vm, p, 4 * PAGE, vec));
		for (k = 0; k < 4; k++) {
			EXPECT_EQ(1, vec[k]);
			EXPECT_EQ(0, p[k * PAGE]);
		}
	}
}

TEST_F(map, populate_is_not_done)
{
	static const struct {
		int prot, flags;
	} t[] = {
		{ PROT_NONE, ANON | MAP_POPULATE },
		{ RW, ANON | MAP_POPULATE | MAP_NONBLOCK },
		{ RW, ANON | MAP_NONBLOCK },
		{ RW, ANON },
	};
	unsigned char vec[4];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		char *p = vm_mmap(&self->vm, NULL, 4 * PAGE, t[i].prot,
				  t[i].flags);

		ASSERT_NE(MAP_FAILED, (void *)p);
		ASSERT_EQ(0, vm_mincore(&self->vm, p, 4 * PAGE, vec));
		for (k = 0; k < 4; k++)
			EXPECT_EQ(0, vec[k]);
	}
}

TEST_F(map, populate_over_resident_memory)
{
	char *p = vm_map_at(&self->vm, 4, 8, RW);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 0x11, 8 * PAGE);
	ASSERT_EQ((void *)(p + 2 * PAGE),
		  vm_mmap(&self->vm, p + 2 * PAGE, 4 * PAGE, RW,
			  ANON | MAP_FIXED | MAP_POPULATE));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(i >= 2 && i < 6 ? 0 : 0x11, p[i * PAGE]);
}

TEST_F(map, ignores_what_linux_ignores)
{
	static const int flags[] = {
		MAP_DENYWRITE,
		MAP_EXECUTABLE,
		MAP_STACK,
		MAP_NORESERVE,
		MAP_NONBLOCK,
		MAP_FILE,
		0x80000 /* MAP_SYNC */,
		0x4000000 /* MAP_UNINITIALIZED */,
		0x200000,
		0x1000000,
		0x10000000,
		0x80,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		char *p = vm_mmap(&self->vm, NULL, PAGE, RW, ANON | flags[i]);

		EXPECT_NE(MAP_FAILED, (void *)p)
		{
			TH_LOG("flag %#x: %s", flags[i], strerror(errno));
			continue;
		}
		EXPECT_EQ(0, *(uint64_t *)p);
	}
}

TEST_F(map, ignores_fd_and_offset)
{
	struct vm *vm = &self->vm;

	EXPECT_NE(MAP_FAILED,
		  vm->ops->mmap(vm, NULL, PAGE, RW, ANON, 12345, 0));
	EXPECT_NE(MAP_FAILED,
		  vm->ops->mmap(vm, NULL, PAGE, RW, ANON, -77, 1L << 40));
	EXPECT_FAIL(EINVAL, vm->ops->mmap(vm, NULL, PAGE, RW, ANON, -1, 1));
	EXPECT_FAIL(EINVAL, vm->ops->mmap(vm, NULL, PAGE, RW, ANON, -1, 2048));
	EXPECT_FAIL(EBADF,
		    vm->ops->mmap(vm, NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
	EXPECT_FAIL(EBADF,
		    vm->ops->mmap(vm, NULL, PAGE, RW, MAP_SHARED, 12345, 0));
}

TEST_F(map, needs_one_type)
{
	struct vm *vm = &self->vm;

	EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, PAGE, RW, MAP_ANONYMOUS));
	EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, PAGE, RW,
				    MAP_ANONYMOUS | MAP_SHARED_VALIDATE));
	EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, PAGE, RW, MAP_ANONYMOUS | 4));
	EXPECT_FAIL(EINVAL, vm_mmap(vm, NULL, PAGE, RW, MAP_ANONYMOUS | 0xf));
}

TEST_F(map, every_protection)
{
	int prot;

	for (prot = 0; prot < 8; prot++) {
		char *p = vm_mmap(&self->vm, NULL, PAGE, prot, ANON);
		bool hidden =
			prot == PROT_NONE ||
			(prot == PROT_EXEC && vm_is_execute_only(&self->vm));

		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(hidden ? SIGSEGV : 0, probe_read(p, NULL, NULL));
		EXPECT_EQ(prot & PROT_WRITE ? 0 : SIGSEGV,
			  probe_write(p, RET_INSN, NULL));
		if (prot & PROT_WRITE)
			EXPECT_EQ(prot & PROT_EXEC ? 0 : SIGSEGV,
				  probe_call(p, NULL));
	}
	/* Bits that mmap(2) does not know, it does not see. */
	EXPECT_NE(MAP_FAILED, vm_mmap(&self->vm, NULL, PAGE, RW | 0x70, ANON));
	EXPECT_NE(MAP_FAILED,
		  vm_mmap(&self->vm, NULL, PAGE, RW | PROT_GROWSDOWN, ANON));
}

/* MAP_32BIT asks for the second GiB of the address space. */
#define LOW_BASE ((char *)0x50000000)

FIXTURE(map_low)
{
	struct vm vm;
};

FIXTURE_VARIANT(map_low)
{
	const struct vm_ops *ops;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(map_low, native) {
	.ops = &vm_native,
};

FIXTURE_VARIANT_ADD(map_low, altvm) {
	.ops = &vm_ioctl,
};

/* clang-format on */

FIXTURE_SETUP(map_low)
{
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	self->vm.ops = variant->ops;
	ASSERT_EQ(0,
		  variant->ops->open(&self->vm, LOW_BASE, PAGES * PAGE, RWX));
	vm_enclose(&self->vm);
}

FIXTURE_TEARDOWN(map_low)
{
	vm_close(&self->vm);
}

TEST_F(map_low, map_32bit)
{
	struct vm *vm = &self->vm;
	char *p[3];
	size_t i;

	for (i = 0; i < 3; i++) {
		p[i] = vm_mmap(vm, NULL, (i + 1) * PAGE, RW, ANON | MAP_32BIT);
		ASSERT_NE(MAP_FAILED, (void *)p[i]);
		ASSERT_GE(p[i], LOW_BASE);
		ASSERT_LE(p[i], LOW_BASE + (PAGES - 1 - i) * PAGE);
		ASSERT_EQ(0, probe_write(p[i], 1, NULL));
	}
	EXPECT_FAIL(ENOMEM,
		    vm_mmap(vm, NULL, PAGES * PAGE, RW, ANON | MAP_32BIT));
	/* A hint and MAP_FIXED count for more. */
	EXPECT_EQ((void *)(LOW_BASE + 20 * PAGE),
		  vm_mmap(vm, LOW_BASE + 20 * PAGE, PAGE, RW,
			  ANON | MAP_32BIT));
	EXPECT_EQ((void *)(LOW_BASE + 24 * PAGE),
		  vm_mmap(vm, LOW_BASE + 24 * PAGE, PAGE, RW,
			  ANON | MAP_32BIT | MAP_FIXED));
}

TEST_F(map, map_32bit_in_a_high_zone)
{
	char *p = self->base + 4 * PAGE;

	vm_enclose(&self->vm);
	EXPECT_FAIL(ENOMEM,
		    vm_mmap(&self->vm, NULL, PAGE, RW, ANON | MAP_32BIT));
	EXPECT_EQ((void *)p, vm_mmap(&self->vm, p, PAGE, RW,
				     ANON | MAP_32BIT | MAP_FIXED));
}

ALTVM_FIXTURE(altvm_map, PAGES);

TEST_F(altvm_map, fixed_outside_the_window)
{
	char *end = self->base + PAGES * PAGE;
	static const int flags[] = { MAP_FIXED, MAP_FIXED_NOREPLACE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		const int f = ANON | flags[i];

		EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, end, PAGE, RW, f));
		EXPECT_FAIL(ENOMEM,
			    vm_mmap(&self->vm, end - PAGE, 2 * PAGE, RW, f));
		EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, self->base - PAGE,
					    2 * PAGE, RW, f));
		EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, self->base - PAGE,
					    (PAGES + 2) * PAGE, RW, f));
		EXPECT_FAIL(ENOMEM, vm_mmap(&self->vm, NULL, PAGE, RW, f));
		EXPECT_FAIL(ENOMEM,
			    vm_mmap(&self->vm, (void *)-PAGE, PAGE, RW, f));
		EXPECT_FAIL(ENOMEM,
			    vm_mmap(&self->vm, (void *)-PAGE, 2 * PAGE, RW, f));
	}
}

/* vm.max_map_count does not count areas. */
TEST(more_areas_than_max_map_count)
{
	const size_t nr = 70000;
	struct vm vm;
	size_t i;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	if (scaled(nr) != nr)
		SKIP(return, "takes too long");
	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, nr * PAGE));
	ASSERT_EQ((void *)vm.base,
		  vm_mmap(&vm, vm.base, nr * PAGE, RW, ANON | MAP_FIXED));
	for (i = 0; i < nr; i += 2)
		ASSERT_EQ(0, vm_mprotect(&vm, vm.base + i * PAGE, PAGE,
					 PROT_READ));
	EXPECT_EQ(nr, vm_areas(&vm));
	for (i = 0; i < nr; i += 4999) {
		EXPECT_EQ(i & 1 ? 0 : SIGSEGV,
			  probe_write(vm.base + i * PAGE, i, NULL));
	}
	EXPECT_EQ(0, vm_mprotect(&vm, vm.base, nr * PAGE, RW));
	EXPECT_EQ(1, vm_areas(&vm));
	vm_close(&vm);
}

TEST_HARNESS_MAIN
