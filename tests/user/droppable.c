// SPDX-License-Identifier: GPL-2.0
/* MAP_DROPPABLE: memory that may be lost at any time, and that nobody inherits. */
#include "child.h"
#include "fixture.h"
#include "memcg.h"
#include "memory.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif

#define ZONE 64
#define NR 4

VM_FIXTURE(droppable, ZONE);

#define DROPPABLE (MAP_DROPPABLE | MAP_ANONYMOUS)

static char *map_it(struct vm *vm, int flags)
{
	return vm_mmap(vm, vm->base, NR * PAGE, RW,
		       DROPPABLE | MAP_FIXED | flags);
}

TEST_F(droppable, is_memory)
{
	struct vm *vm = &self->vm;
	char *p = map_it(vm, 0);
	uint64_t value;

	ASSERT_EQ(vm->base, p);
	EXPECT_EQ(0, probe_read(p, &value, NULL));
	EXPECT_EQ(0, value);
	EXPECT_EQ(0, probe_write(p, 42, NULL));
	EXPECT_EQ(0, vm_mprotect(vm, p, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, probe_write(p, 1, NULL));
	ASSERT_EQ(vm->base + NR * PAGE, vm_map_at(vm, NR, NR, RW));
	EXPECT_EQ(3, vm_areas(vm));
	ASSERT_EQ(p, map_it(vm, MAP_POPULATE));
	EXPECT_EQ(1, vm_resident(vm, p + PAGE));
}

TEST_F(droppable, is_not_inherited)
{
	struct vm *vm = &self->vm;
	char *p = map_it(vm, 0);
	pid_t pid;

	memset(p, 'x', NR * PAGE);
	pid = fork();
	if (!pid) {
		CHECK(*p == 0 && p[NR * PAGE - 1] == 0);
		CHECK(vm_areas(vm) == 1);
		*p = 'y';
		pid = fork();
		CHECK(pid || *p == 0);
		_exit(pid && end_of(pid));
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ('x', *p);
}

TEST_F(droppable, cannot_be_locked)
{
	struct vm *vm = &self->vm;
	char *p = map_it(vm, 0);

	ASSERT_EQ(p + NR * PAGE, vm_map_at(vm, NR, NR, RW));
	/* It is brought in, and that is all. */
	EXPECT_EQ(0, vm_mlock(vm, p, 2 * NR * PAGE));
	EXPECT_EQ(1, vm_resident(vm, p));
	EXPECT_EQ(NR, vm_locked(vm));
	EXPECT_EQ(0, vm_munlock(vm, p, 2 * NR * PAGE));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE));
	ASSERT_EQ(p, map_it(vm, 0));
	EXPECT_EQ(0, vm_locked(vm));
	EXPECT_EQ(0, vm_munlockall(vm));
}

TEST_F(droppable, takes_no_other_flags)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), PAGE);

	EXPECT_FAIL(EINVAL, map_it(vm, MAP_LOCKED));
	EXPECT_FAIL(EINVAL, map_it(vm, MAP_HUGETLB));
	EXPECT_FAIL(EINVAL, map_it(vm, MAP_GROWSDOWN));
	EXPECT_FAIL(EINVAL, map_it(vm, MAP_SHARED));
	EXPECT_FAIL(EINVAL, map_it(vm, MAP_PRIVATE));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, vm->base, PAGE, RW,
					MAP_DROPPABLE | MAP_FIXED, fd, 0));
	EXPECT_EQ(0, vm_areas(vm));
	close(fd);
}

TEST_F(droppable, stays_droppable)
{
	struct vm *vm = &self->vm;
	char *p = map_it(vm, 0);

	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, PAGE, MADV_KEEPONFORK));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, PAGE, MADV_DODUMP));
	EXPECT_EQ(0, vm_madvise(vm, p, PAGE, MADV_DONTDUMP));
	EXPECT_EQ(0, vm_madvise(vm, p, PAGE, MADV_WIPEONFORK));
	EXPECT_EQ(1, vm_areas(vm));
}

/* More than there is memory for, and no swap: some of it is lost, and nobody is killed. */
TEST_F_TIMEOUT(droppable, is_lost, SLOW)
{
	const size_t limit = 8 * MiB, len = 16 * MiB;
	struct memcg group;
	size_t i, lost = 0;
	struct vm vm;
	pid_t pid;

	if (!memcg_open(&group, limit, false))
		SKIP(return, "no cgroup2 with memory");
	pid = fork();
	if (!pid) {
		CHECK(!memcg_enter(&group));
		CHECK(!vm_open(&vm, self->vm.ops, len));
		CHECK(vm_mmap(&vm, vm.base, len, RW, DROPPABLE | MAP_FIXED) ==
		      vm.base);
		for (i = 0; i < len; i += PAGE)
			vm.base[i] = 'x';
		for (i = 0; i < len; i += PAGE) {
			CHECK(vm.base[i] == 'x' || vm.base[i] == 0);
			lost += vm.base[i] == 0;
		}
		CHECK(lost >= (len - limit) / PAGE);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&group));
	EXPECT_EQ(0, memcg_close(&group));
}

TEST_HARNESS_MAIN
