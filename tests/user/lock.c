// SPDX-License-Identifier: GPL-2.0
/*
 * mlock, munlock, mlockall, munlockall, MAP_LOCKED: what is locked, what is resident
 * then, what it counts, and who may lock.
 */
#include <grp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "child.h"
#include "disk.h"
#include "memcg.h"
#include "memory.h"

/* Most tests work on these. */
#define FIRST 8
#define NR 16
#define ZONE 64

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define NOBODY 65534

VM_FIXTURE(lock, ZONE);

/* A letter for a page: '.' nothing is there, '-' not resident, 'r' resident. */
static void residency(struct vm *vm, char *out)
{
	size_t i;

	for (i = 0; i < NR; i++)
		out[i] = ".-r"[vm_resident(vm, vm_page(vm, FIRST + i)) + 1];
	out[NR] = 0;
}

/* The kernel does not join what was touched while it was apart. */
static void expect_areas(struct __test_metadata *_metadata, struct vm *vm,
			 long areas)
{
	long now = vm_areas(vm);

	EXPECT_EQ(areas, vm_is_native(vm) && now > areas ? areas : now);
}

#define EXPECT_AREAS(areas) expect_areas(_metadata, &self->vm, areas)

static void expect_pages(struct __test_metadata *_metadata, struct vm *vm,
			 const char *want, long locked, long areas)
{
	char now[NR + 1];

	residency(vm, now);
	EXPECT_STREQ(want, now);
	EXPECT_EQ(locked, vm_locked(vm));
	expect_areas(_metadata, vm, areas);
}

#define EXPECT_PAGES(want, locked, areas) \
	expect_pages(_metadata, &self->vm, want, locked, areas)

#define NONE "----------------"
#define ALL "rrrrrrrrrrrrrrrr"

static int lock_pages(struct vm *vm, size_t page, size_t pages)
{
	return vm_mlock(vm, vm_page(vm, page), pages * PAGE);
}

static int unlock_pages(struct vm *vm, size_t page, size_t pages)
{
	return vm_munlock(vm, vm_page(vm, page), pages * PAGE);
}

/* A file of which nothing is cached, on a disk if there is one. */
static int cold_file(size_t pages)
{
	int fd = nameless_file(files_dir(), pages * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'f', PAGE);
	for (i = 0; i < pages; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -1;
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		return -1;
	return fd;
}

/* --- what is locked */

TEST_F(lock, brings_in_what_it_locks)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, NR, RW));
	EXPECT_PAGES(NONE, 0, 1);
	EXPECT_EQ(0, lock_pages(vm, FIRST + 2, 3));
	EXPECT_PAGES("--rrr-----------", 3, 3);
	EXPECT_EQ(0, lock_pages(vm, FIRST, NR));
	EXPECT_PAGES(ALL, NR, 1);
	EXPECT_EQ(0, unlock_pages(vm, FIRST, 4));
	EXPECT_PAGES(ALL, NR - 4, 2);
	EXPECT_EQ(0, unlock_pages(vm, FIRST, NR));
	EXPECT_PAGES(ALL, 0, 1);
	EXPECT_EQ(0, unlock_pages(vm, FIRST, NR));
}

TEST_F(lock, brings_in_every_kind_of_memory)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = cold_file(ZONE);
		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, NR, RW, fd));
		EXPECT_EQ(0, lock_pages(vm, FIRST, NR))
		{
			TH_LOG("%s: %s", memory_name(m), strerror(errno));
		}
		EXPECT_PAGES(ALL, NR, 1);
		EXPECT_EQ(memory_is_file(m) ? 'f' : 0, *vm_page(vm, FIRST + 3));
		EXPECT_EQ(0, unlock_pages(vm, FIRST + 1, NR - 1));
		EXPECT_PAGES(ALL, 1, 2);
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		EXPECT_EQ(0, vm_locked(vm));
		close(fd);
	}
}

/* A private mapping that can be written has copies from the start. */
TEST_F(lock, makes_copies_of_private_files)
{
	struct vm *vm = &self->vm;
	int fd = cold_file(ZONE);

	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, PRIVATE_FILE, FIRST, NR, RW, fd));
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, PRIVATE_FILE, 30, NR, PROT_READ, fd));
	EXPECT_EQ(0, lock_pages(vm, FIRST, NR));
	EXPECT_EQ(0, lock_pages(vm, 30, NR));
	ASSERT_EQ(1, pwrite(fd, "w", 1, FIRST * PAGE));
	ASSERT_EQ(1, pwrite(fd, "w", 1, 30 * PAGE));
	EXPECT_EQ('f', *vm_page(vm, FIRST));
	EXPECT_EQ('w', *vm_page(vm, 30));
	/* What becomes writable gets them then. */
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, 30), NR * PAGE, RW));
	ASSERT_EQ(1, pwrite(fd, "x", 1, 30 * PAGE));
	EXPECT_EQ('w', *vm_page(vm, 30));
	close(fd);
}

TEST_F(lock, locks_on_fault)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlock2(vm, p, NR * PAGE, MLOCK_ONFAULT));
	EXPECT_PAGES(NONE, NR, 1);
	p[2 * PAGE] = 1;
	EXPECT_PAGES("--r-------------", NR, 1);
	/* The other kind of lock is another area, and counts once. */
	EXPECT_EQ(0, vm_mlock(vm, p + 4 * PAGE, 2 * PAGE));
	EXPECT_PAGES("--r-rr----------", NR, 3);
	EXPECT_EQ(0, vm_mlock2(vm, p, NR * PAGE, MLOCK_ONFAULT));
	EXPECT_PAGES("--r-rr----------", NR, 1);
	EXPECT_EQ(0, vm_mlock(vm, p, NR * PAGE));
	EXPECT_PAGES(ALL, NR, 1);
	EXPECT_EQ(0, vm_munlock(vm, p, NR * PAGE));
	EXPECT_PAGES(ALL, 0, 1);
}

TEST_F(lock, populates_not_what_is_on_fault)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlock2(vm, p, 4 * PAGE, MLOCK_ONFAULT));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_CURRENT | MCL_ONFAULT));
	EXPECT_AREAS(1);
	EXPECT_EQ(0, vm_resident(vm, p));
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_PAGES(NONE, 0, 1);
}

TEST_F(lock, rounds_to_pages)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlock(vm, p + PAGE + 1, 1));
	EXPECT_PAGES("-r--------------", 1, 3);
	EXPECT_EQ(0, vm_mlock(vm, p + 4 * PAGE - 1, 2));
	EXPECT_PAGES("-r-rr-----------", 3, 5);
	EXPECT_EQ(0, vm_munlock(vm, p + 4 * PAGE - 1, 1));
	EXPECT_PAGES("-r-rr-----------", 2, 5);
	EXPECT_EQ(0, vm_munlock(vm, p + 100, 5 * PAGE - 100));
	EXPECT_PAGES("-r-rr-----------", 0, 1);
}

TEST_F(lock, lengths_that_do_nothing)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlock(vm, p, 0));
	EXPECT_EQ(0, vm_munlock(vm, p, 0));
	EXPECT_EQ(0, vm_mlock(vm, vm->base, 0));
	EXPECT_EQ(0, vm_mlock(vm, NULL, 0));
	/* One that wraps to nothing. */
	EXPECT_EQ(0, vm_mlock(vm, p, -1UL));
	EXPECT_EQ(0, vm_munlock(vm, p, -PAGE + 1));
	EXPECT_PAGES(NONE, 0, 1);
	/* Not quite nothing: the page that the address is in. */
	EXPECT_EQ(0, vm_mlock(vm, p + 1, 0));
	EXPECT_PAGES("r---------------", 1, 2);
}

TEST_F(lock, what_is_refused)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);
	unsigned int flag;

	for (flag = 2; flag; flag *= 2) {
		EXPECT_FAIL(EINVAL, vm_mlock2(vm, p, PAGE, flag));
		EXPECT_FAIL(EINVAL, vm_mlock2(vm, p, PAGE, flag | 1));
	}
	EXPECT_FAIL(EINVAL, vm_mlock(vm, p, -PAGE));
	EXPECT_FAIL(EINVAL, vm_munlock(vm, p, -PAGE));
	EXPECT_FAIL(EINVAL, vm_mlock(vm, p, -(size_t)p));
	EXPECT_FAIL(EINVAL, vm_mlockall(vm, 0));
	EXPECT_FAIL(EINVAL, vm_mlockall(vm, MCL_ONFAULT));
	for (flag = 8; flag; flag *= 2)
		EXPECT_FAIL(EINVAL, vm_mlockall(vm, flag | MCL_FUTURE));
	EXPECT_PAGES(NONE, 0, 1);
}

/* What comes before a hole is locked, but not brought in. */
TEST_F(lock, holes)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	ASSERT_EQ(0, vm_munmap(vm, p + 4 * PAGE, 2 * PAGE));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, p, NR * PAGE));
	EXPECT_PAGES("----..----------", 4, 2);
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, p + 5 * PAGE, 2 * PAGE));
	EXPECT_PAGES("----..----------", 4, 2);
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, p + 8 * PAGE, NR * PAGE));
	EXPECT_PAGES("----..----------", 12, 3);
	EXPECT_FAIL(ENOMEM, vm_munlock(vm, p + 2 * PAGE, 8 * PAGE));
	EXPECT_PAGES("----..----------", 10, 4);
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, vm->base, PAGE));
	EXPECT_FAIL(ENOMEM, vm_munlock(vm, vm->base, PAGE));
}

TEST_F(lock, what_cannot_be_accessed)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	ASSERT_EQ(0, vm_mprotect(vm, p + 4 * PAGE, PAGE, PROT_NONE));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, p, NR * PAGE));
	EXPECT_PAGES("rrrr------------", NR, 3);
	EXPECT_EQ(0, vm_munlock(vm, p, NR * PAGE));
	EXPECT_EQ(0, vm_mlock2(vm, p, NR * PAGE, MLOCK_ONFAULT));
	EXPECT_PAGES("rrrr------------", NR, 3);
	/* Nobody is told by this one, and what is behind is brought in. */
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_CURRENT));
	EXPECT_AREAS(3);
	EXPECT_EQ(1, vm_resident(vm, p + (NR - 1) * PAGE));
	EXPECT_EQ(0, vm_munlockall(vm));
}

TEST_F(lock, beyond_the_end_of_a_file)
{
	struct vm *vm = &self->vm;
	int fd = cold_file(FIRST + 4);

	ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, SHARED_FILE, FIRST, NR,
						 PROT_READ, fd));
	EXPECT_FAIL(ENOMEM, lock_pages(vm, FIRST, NR));
	EXPECT_EQ(NR, vm_locked(vm));
	EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 3)));
	close(fd);
}

TEST_F(lock, whatever_the_protection_is)
{
	static const int prots[] = { PROT_READ, RW, RX, RWX };
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		ASSERT_EQ(vm_page(vm, FIRST),
			  vm_map_at(vm, FIRST, NR, prots[i]));
		EXPECT_EQ(0, lock_pages(vm, FIRST, NR));
		EXPECT_PAGES(ALL, NR, 1);
	}
}

/* A part of what is mapped is replaced, unmapped, protected, locked twice. */
TEST_F(lock, counts_what_is_locked)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlock(vm, p, NR * PAGE));
	EXPECT_EQ(0, vm_mlock(vm, p, NR * PAGE));
	EXPECT_EQ(NR, vm_locked(vm));
	ASSERT_EQ(0, vm_munmap(vm, p + PAGE, 2 * PAGE));
	EXPECT_PAGES("r..rrrrrrrrrrrrr", NR - 2, 2);
	/* Over it, and beside it: not locked. */
	ASSERT_EQ(p + 2 * PAGE, vm_map_at(vm, FIRST + 2, 2, RW));
	EXPECT_PAGES("r.--rrrrrrrrrrrr", NR - 3, 3);
	ASSERT_EQ(0, vm_mprotect(vm, p + 8 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_PAGES("r.--rrrrrrrrrrrr", NR - 3, 5);
	ASSERT_EQ(0, vm_mprotect(vm, p + 8 * PAGE, 2 * PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(vm, p + 8 * PAGE, 2 * PAGE, RW));
	EXPECT_PAGES("r.--rrrrrrrrrrrr", NR - 3, 3);
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, PAGE, MADV_DONTNEED));
	EXPECT_EQ(1, vm_resident(vm, p));
	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	EXPECT_EQ(0, vm_locked(vm));
}

TEST_F(lock, msync_does_not_invalidate)
{
	struct vm *vm = &self->vm;
	int fd = cold_file(ZONE);

	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, SHARED_FILE, FIRST, NR, RW, fd));
	EXPECT_EQ(0, vm_msync(vm, vm_page(vm, FIRST), NR * PAGE,
			      MS_ASYNC | MS_INVALIDATE));
	EXPECT_EQ(0, lock_pages(vm, FIRST + 4, 1));
	EXPECT_FAIL(EBUSY, vm_msync(vm, vm_page(vm, FIRST), NR * PAGE,
				    MS_ASYNC | MS_INVALIDATE));
	EXPECT_FAIL(EBUSY, vm_msync(vm, vm_page(vm, FIRST), NR * PAGE,
				    MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(0, vm_msync(vm, vm_page(vm, FIRST), 4 * PAGE,
			      MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(0, vm_msync(vm, vm_page(vm, FIRST), NR * PAGE, MS_SYNC));
	close(fd);
}

/* --- what is moved */

static void *remap(struct vm *vm, size_t page, size_t old, size_t new,
		   int flags, size_t to)
{
	return vm_mremap(vm, vm_page(vm, page), old * PAGE, (new) * PAGE, flags,
			 vm_page(vm, to));
}

#define MOVE (MREMAP_MAYMOVE | MREMAP_FIXED)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

TEST_F(lock, mremap_keeps_it)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd = cold_file(ZONE);

	for_each_memory(m) {
		ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, m, 24, 4, RW, fd));
		EXPECT_EQ(0, lock_pages(vm, 24, 4));
		/* Longer at its place: what is new is brought in. */
		EXPECT_EQ(vm_page(vm, 24), remap(vm, 24, 4, 6, 0, 0));
		EXPECT_EQ(6, vm_locked(vm));
		if (memory_is_file(m) || !memory_is_shared(m))
			EXPECT_EQ(1, vm_resident(vm, vm_page(vm, 29)));
		EXPECT_EQ(vm_page(vm, 24), remap(vm, 24, 6, 3, 0, 0));
		EXPECT_EQ(3, vm_locked(vm));
		/* To another one, over what is locked itself. */
		ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 4, RW));
		EXPECT_EQ(0, lock_pages(vm, FIRST, 4));
		EXPECT_EQ(vm_page(vm, FIRST + 2),
			  remap(vm, 24, 3, 5, MOVE, FIRST + 2));
		EXPECT_EQ(7, vm_locked(vm));
		EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 4)));
		EXPECT_EQ(-1, vm_resident(vm, vm_page(vm, 24)));
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		EXPECT_EQ(0, vm_locked(vm));
	}
	close(fd);
}

TEST_F(lock, mremap_leaves_none_behind)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd = cold_file(ZONE);

	for_each_memory(m) {
		ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, m, 24, 4, RW, fd));
		EXPECT_EQ(0, lock_pages(vm, 24, 4));
		EXPECT_EQ(vm_page(vm, FIRST),
			  remap(vm, 24, 4, 4, MOVE | MREMAP_DONTUNMAP, FIRST))
		{
			TH_LOG("%s: %s", memory_name(m), strerror(errno));
		}
		EXPECT_EQ(4, vm_locked(vm));
		EXPECT_EQ(0, vm_munlock(vm, vm_page(vm, FIRST), 4 * PAGE));
		EXPECT_EQ(0, vm_locked(vm));
		/* A second mapping of the same. */
		if (memory_is_shared(m)) {
			EXPECT_EQ(0, lock_pages(vm, FIRST, 4));
			EXPECT_EQ(vm_page(vm, 24),
				  remap(vm, FIRST, 0, 3, MOVE, 24));
			EXPECT_EQ(7, vm_locked(vm));
		}
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		EXPECT_EQ(0, vm_locked(vm));
	}
	close(fd);
}

/* --- all, and what will be */

TEST_F(lock, all_that_there_is)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, vm_mlockall(vm, MCL_CURRENT));
	EXPECT_AREAS(1);
	EXPECT_EQ(1, vm_resident(vm, p + 7 * PAGE));
	/* Not what comes. */
	ASSERT_EQ(p + 8 * PAGE, vm_map_at(vm, FIRST + 8, 1, RW));
	EXPECT_AREAS(3);
	EXPECT_EQ(0, vm_resident(vm, p + 8 * PAGE));
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_AREAS(1);
	EXPECT_EQ(0, vm_locked(vm));
}

TEST_F(lock, all_that_will_be)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, 2, RW);

	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE));
	EXPECT_PAGES("--..............", 0, 1);
	ASSERT_EQ(p + 2 * PAGE, vm_map_at(vm, FIRST + 2, 2, RW));
	EXPECT_PAGES("--rr............", 2, 2);
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, SHARED_ANON, FIRST + 4, 2, RW, -1));
	EXPECT_PAGES("--rrrr..........", 4, 3);
	/* PROT_NONE cannot be brought in, and is locked. */
	ASSERT_EQ(p + 6 * PAGE, vm_map_at(vm, FIRST + 6, 2, PROT_NONE));
	EXPECT_PAGES("--rrrr--........", 6, 4);
	/* The last call is what counts. */
	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE | MCL_ONFAULT));
	ASSERT_EQ(p + 8 * PAGE, vm_map_at(vm, FIRST + 8, 2, RW));
	EXPECT_PAGES("--rrrr----......", 8, 5);
	EXPECT_EQ(0, vm_munlockall(vm));
	ASSERT_EQ(p + 10 * PAGE, vm_map_at(vm, FIRST + 10, 2, RW));
	EXPECT_EQ(0, vm_locked(vm));
	EXPECT_EQ(0, vm_resident(vm, p + 10 * PAGE));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_CURRENT | MCL_ONFAULT));
	ASSERT_EQ(p + 12 * PAGE, vm_map_at(vm, FIRST + 12, 2, RW));
	EXPECT_EQ(0, vm_resident(vm, p + 12 * PAGE));
	EXPECT_EQ(0, vm_munlockall(vm));
}

TEST_F(lock, mmap_locks)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	int fd = cold_file(ZONE);

	ASSERT_EQ(p,
		  vm_mmap(vm, p, 2 * PAGE, RW, ANON | MAP_FIXED | MAP_LOCKED));
	EXPECT_PAGES("rr..............", 2, 1);
	/* MAP_NONBLOCK keeps MAP_POPULATE from it, and not this. */
	ASSERT_EQ(p + 2 * PAGE,
		  vm_mmap(vm, p + 2 * PAGE, 2 * PAGE, RW,
			  ANON | MAP_FIXED | MAP_LOCKED | MAP_NONBLOCK));
	EXPECT_PAGES("rrrr............", 4, 1);
	ASSERT_EQ(p + 4 * PAGE,
		  vm_map_file(vm, p + 4 * PAGE, 2 * PAGE, RW,
			      MAP_SHARED | MAP_FIXED | MAP_LOCKED, fd, 0));
	EXPECT_PAGES("rrrrrr..........", 6, 2);
	EXPECT_EQ('f', p[4 * PAGE]);
	/* Not all of the file is there: mmap does not tell. */
	ASSERT_EQ(p + 8 * PAGE,
		  vm_map_file(vm, p + 8 * PAGE, 2 * PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_FIXED | MAP_LOCKED, fd,
			      ZONE * PAGE));
	EXPECT_EQ(8, vm_locked(vm));
	EXPECT_EQ(0, vm_munlock(vm, p, 2 * PAGE));
	EXPECT_EQ(6, vm_locked(vm));
	close(fd);
}

/* --- fork */

TEST_F(lock, a_child_inherits_none)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);
	int fd = cold_file(ZONE);
	pid_t pid;

	EXPECT_EQ(0, vm_mlock(vm, p, 4 * PAGE));
	EXPECT_EQ(0, vm_mlock2(vm, p + 8 * PAGE, 4 * PAGE, MLOCK_ONFAULT));
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, PRIVATE_FILE, 30, 4, RW, fd));
	EXPECT_EQ(0, lock_pages(vm, 30, 2));
	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE));
	pid = fork();
	if (!pid) {
		CHECK(vm_locked(vm) == 0);
		CHECK(vm_map_at(vm, FIRST + 5, 1, RW) != MAP_FAILED);
		CHECK(vm_resident(vm, p + 5 * PAGE) == 0);
		CHECK(vm_resident(vm, p) == 1);
		CHECK(!vm_munmap(vm, p, 2 * PAGE));
		CHECK(vm_locked(vm) == 0);
		CHECK(!vm_mlock(vm, p + 2 * PAGE, 3 * PAGE));
		CHECK(vm_locked(vm) == 3);
		CHECK(!lock_pages(vm, 30, 4));
		CHECK(vm_locked(vm) == 7);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(10, vm_locked(vm));
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_EQ(0, vm_locked(vm));
	close(fd);
}

/* --- limits */

static void limit_to(long pages)
{
	struct rlimit limit = { pages * PAGE, pages * PAGE };

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
}

/* From here on without capabilities. */
static void become_nobody(void)
{
	CHECK(!setgroups(0, NULL));
	CHECK(!setresgid(NOBODY, NOBODY, NOBODY));
	CHECK(!setresuid(NOBODY, NOBODY, NOBODY));
	/* For /proc/self. */
	CHECK(!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

#define EXPECT_CHILD(fn)                   \
	do {                               \
		pid_t pid = fork();        \
		if (!pid) {                \
			fn(&self->vm);     \
			_exit(0);          \
		}                          \
		EXPECT_EQ(0, end_of(pid)); \
	} while (0)

static void use_no_limit(struct vm *vm)
{
	char *p = vm_map_at(vm, FIRST, NR, RW);

	limit_to(0);
	become_nobody();
	CHECK(ERRNO_OF(vm_mlock(vm, p, PAGE)) == EPERM);
	CHECK(ERRNO_OF(vm_mlock(vm, p, 0)) == EPERM);
	CHECK(ERRNO_OF(vm_mlock(vm, p, -PAGE)) == EPERM);
	CHECK(ERRNO_OF(vm_mlock2(vm, p, PAGE, 8)) == EINVAL);
	CHECK(ERRNO_OF(vm_mlockall(vm, MCL_FUTURE)) == EPERM);
	CHECK(ERRNO_OF(vm_mlockall(vm, 8)) == EINVAL);
	CHECK(ERRNO_OF(vm_mmap(vm, p, PAGE, RW,
			       ANON | MAP_FIXED | MAP_LOCKED)) == EPERM);
	/* To unlock is free. */
	CHECK(!vm_munlock(vm, p, NR * PAGE));
	CHECK(!vm_munlockall(vm));
	CHECK(vm_locked(vm) == 0);
	CHECK(vm_areas(vm) == 1);
}

TEST_F(lock, nothing_is_allowed)
{
	EXPECT_CHILD(use_no_limit);
}

static void use_a_limit(struct vm *vm)
{
	char *p = vm_map_at(vm, FIRST, NR, RW);
	const int flags = ANON | MAP_FIXED | MAP_LOCKED;

	limit_to(8);
	become_nobody();
	CHECK(ERRNO_OF(vm_mlock(vm, p, 9 * PAGE)) == ENOMEM);
	CHECK(vm_locked(vm) == 0 && vm_areas(vm) == 1);
	CHECK(!vm_mlock(vm, p, 5 * PAGE));
	CHECK(ERRNO_OF(vm_mlock(vm, p + 8 * PAGE, 4 * PAGE)) == ENOMEM);
	/* What is locked already does not count twice. */
	CHECK(!vm_mlock(vm, p, 8 * PAGE));
	CHECK(!vm_mlock(vm, p + 2 * PAGE, 6 * PAGE));
	CHECK(!vm_mlock2(vm, p, 8 * PAGE, MLOCK_ONFAULT));
	CHECK(ERRNO_OF(vm_mlock(vm, p + 1, 8 * PAGE)) == ENOMEM);
	CHECK(vm_locked(vm) == 8);
	CHECK(!vm_munmap(vm, p + 8 * PAGE, PAGE));
	CHECK(ERRNO_OF(vm_mremap(vm, p, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE,
				 NULL)) == EAGAIN);
	CHECK(ERRNO_OF(vm_mlock(vm, p, -PAGE)) == ENOMEM);
	/* mmap has another errno, and forgives nothing. */
	CHECK(ERRNO_OF(vm_mmap(vm, p, PAGE, RW, flags)) == EAGAIN);
	CHECK(ERRNO_OF(vm_mmap(vm, vm->base, PAGE, RW, flags)) == EAGAIN);
	CHECK(vm_locked(vm) == 8 && vm_resident(vm, vm->base) == -1);
	CHECK(!vm_munlock(vm, p, PAGE));
	CHECK(vm_mmap(vm, vm->base, PAGE, RW, flags) == vm->base);
	CHECK(vm_locked(vm) == 8);
	CHECK(!vm_munmap(vm, p, NR * PAGE));
	CHECK(vm_locked(vm) == 1);
	CHECK(vm_mmap(vm, p, 7 * PAGE, RW, flags) == p);
	CHECK(ERRNO_OF(vm_mmap(vm, NULL, PAGE, RW, ANON | MAP_LOCKED)) ==
	      EAGAIN);
}

TEST_F(lock, some_is_allowed)
{
	EXPECT_CHILD(use_a_limit);
}

static void use_the_future(struct vm *vm)
{
	char *p = vm_page(vm, FIRST);

	limit_to(8);
	become_nobody();
	CHECK(!vm_mlockall(vm, MCL_FUTURE));
	CHECK(vm_map_at(vm, FIRST, 6, RW) == p);
	CHECK(vm_locked(vm) == 6);
	CHECK(ERRNO_OF(vm_map_at(vm, FIRST + 8, 3, RW)) == EAGAIN);
	CHECK(ERRNO_OF(vm_map_at(vm, FIRST, 3, PROT_NONE)) == EAGAIN);
	CHECK(vm_map_at(vm, FIRST, 2, PROT_READ) == p);
	CHECK(vm_locked(vm) == 6);
	CHECK(!vm_munlockall(vm));
	CHECK(vm_map_at(vm, FIRST + 8, 3, RW) == p + 8 * PAGE);
	CHECK(vm_locked(vm) == 0);
}

TEST_F(lock, some_is_allowed_in_future)
{
	EXPECT_CHILD(use_the_future);
}

/* Natively all that is mapped has to fit, here what is mapped in the window. */
static void use_all(struct vm *vm)
{
	CHECK(vm_map_at(vm, FIRST, 32, RW) != MAP_FAILED);
	limit_to(31);
	become_nobody();
	CHECK(ERRNO_OF(vm_mlockall(vm, MCL_CURRENT)) == ENOMEM);
	CHECK(ERRNO_OF(vm_mlockall(vm, MCL_CURRENT | MCL_FUTURE)) == ENOMEM);
	CHECK(vm_locked(vm) == 0);
	/* The future has not begun. */
	CHECK(vm_map_at(vm, FIRST, 2, RW) != MAP_FAILED);
	CHECK(vm_locked(vm) == 0);
	CHECK(!vm_munmap(vm, vm_page(vm, FIRST), PAGE));
	CHECK(ERRNO_OF(vm_mlockall(vm, MCL_CURRENT)) ==
	      (vm_is_native(vm) ? ENOMEM : 0));
}

TEST_F(lock, all_must_be_allowed)
{
	EXPECT_CHILD(use_all);
}

static void use_capability(struct vm *vm)
{
	char *p = vm_map_at(vm, FIRST, NR, RW);

	limit_to(2);
	CHECK(!vm_mlock(vm, p, NR * PAGE));
	CHECK(vm_locked(vm) == NR);
	CHECK(vm_mmap(vm, p, NR * PAGE, RW, ANON | MAP_FIXED | MAP_LOCKED) ==
	      p);
	CHECK(!vm_mlockall(vm, MCL_CURRENT | MCL_FUTURE));
	CHECK(vm_map_at(vm, FIRST + NR, 4, RW) != MAP_FAILED);
	limit_to(0);
	CHECK(!vm_mlock(vm, p, NR * PAGE));
	/* What has been locked stays, when it is no longer allowed. */
	become_nobody();
	CHECK(ERRNO_OF(vm_mlock(vm, p, PAGE)) == EPERM);
	CHECK(vm_resident(vm, p) == 1);
	CHECK(!vm_munlock(vm, p, NR * PAGE));
}

TEST_F(lock, the_capable_have_no_limit)
{
	EXPECT_CHILD(use_capability);
}

/* --- memory that is not there to be swapped */

#define LIMIT (6 * MiB)
#define FILE_PAGES (14 * MiB / PAGE)
#define LOCKED_PAGES (1 * MiB / PAGE)

FIXTURE(pressure)
{
	struct memcg group;
	int fd;
};

FIXTURE_VARIANT(pressure)
{
	const struct vm_ops *ops;
	const struct disk *disk;
};

DISK_VARIANTS(pressure, native, &vm_native);
DISK_VARIANTS(pressure, altvm, &vm_ioctl);

FIXTURE_SETUP(pressure)
{
	static char buf[1 << 20];
	size_t i;

	if (!disk_is_there(variant->disk))
		SKIP(return, "no file system at %s", variant->disk->dir);
	if (!disk_is_real(variant->disk))
		SKIP(return, "its pages are swapped, not dropped");
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	if (!memcg_open(&self->group, LIMIT, false))
		SKIP(return, "no cgroup2 with memory");
	self->fd = disk_file(variant->disk, 0);
	ASSERT_LE(0, self->fd);
	memset(buf, 'f', sizeof(buf));
	for (i = 0; i < FILE_PAGES * PAGE / MiB; i++)
		ASSERT_EQ(MiB, write(self->fd, buf, MiB));
	ASSERT_EQ(0, fsync(self->fd));
	disk_forget(self->fd);
}

FIXTURE_TEARDOWN(pressure)
{
	close(self->fd);
	EXPECT_EQ(0, memcg_close(&self->group));
}

static size_t count_resident(struct vm *vm, char *p, size_t pages)
{
	static unsigned char vec[FILE_PAGES];
	size_t i, nr = 0;

	CHECK(!vm_mincore(vm, p, pages * PAGE, vec));
	for (i = 0; i < pages; i++)
		nr += vec[i] & 1;
	return nr;
}

/* Reads all of the file: there is no room for it. */
static void press(char *p)
{
	size_t i;

	for (i = 0; i < FILE_PAGES; i++)
		CHECK(*(volatile char *)(p + i * PAGE) == 'f');
}

/* Until some of @pages go: those that were used more than once stay for a while. */
static bool press_out(struct vm *vm, char *p, char *first, size_t pages)
{
	int i;

	for (i = 0; i < 5; i++) {
		press(p);
		if (count_resident(vm, first, pages) < pages)
			return true;
	}
	return false;
}

static void check_pressure(struct vm *vm, int fd, int prot, int flags)
{
	char *p, *locked;

	CHECK(!vm_open(vm, vm->ops, 2 * FILE_PAGES * PAGE));
	p = vm_map_file(vm, NULL, FILE_PAGES * PAGE, prot, flags, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!vm_madvise(vm, p, FILE_PAGES * PAGE, MADV_RANDOM));
	locked = p + 4 * MiB;
	CHECK(!vm_mlock(vm, locked, LOCKED_PAGES * PAGE));
	press(p);
	CHECK(count_resident(vm, locked, LOCKED_PAGES) == LOCKED_PAGES);
	CHECK(count_resident(vm, p, FILE_PAGES) < FILE_PAGES / 2);
	/* Rights come and go; the pages do not. */
	CHECK(!vm_mprotect(vm, locked, 4 * PAGE, PROT_READ));
	CHECK(!vm_mprotect(vm, locked, 4 * PAGE, prot));
	CHECK(!vm_mprotect(vm, locked, LOCKED_PAGES * PAGE, PROT_READ));
	press(p);
	CHECK(count_resident(vm, locked, LOCKED_PAGES) == LOCKED_PAGES);
	/* Once they are unlocked, they go as well. */
	CHECK(!vm_munlock(vm, locked, LOCKED_PAGES * PAGE));
	CHECK(press_out(vm, p, locked, LOCKED_PAGES));
	_exit(0);
}

static void expect_pressure(struct __test_metadata *_metadata,
			    struct memcg *group, const struct vm_ops *ops,
			    int fd, int prot, int flags)
{
	struct vm vm = { .ops = ops };
	pid_t pid = fork();

	if (!pid) {
		CHECK(!memcg_enter(group));
		check_pressure(&vm, fd, prot, flags);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(group));
	EXPECT_LT(0, memcg_get(group, "memory.events", "max "));
}

TEST_F_TIMEOUT(pressure, spares_locked_pages_that_are_shared, SLOW)
{
	expect_pressure(_metadata, &self->group, variant->ops, self->fd, RW,
			MAP_SHARED);
}

TEST_F_TIMEOUT(pressure, spares_locked_pages_that_are_private, SLOW)
{
	expect_pressure(_metadata, &self->group, variant->ops, self->fd,
			PROT_READ, MAP_PRIVATE);
}

/* Locked natively and in a window: whoever unlocks first, the other's stay. */
TEST_F_TIMEOUT(pressure, spares_what_both_have_locked, SLOW)
{
	const size_t len = FILE_PAGES * PAGE;
	char *p, *q;
	struct vm vm;
	pid_t pid = fork();

	if (!pid) {
		CHECK(!memcg_enter(&self->group));
		CHECK(!vm_open(&vm, variant->ops, 2 * len));
		p = vm_map_file(&vm, NULL, len, RW, MAP_SHARED, self->fd, 0);
		q = mmap(NULL, len, PROT_READ, MAP_SHARED, self->fd, 0);
		CHECK(p != MAP_FAILED && q != MAP_FAILED);
		CHECK(!vm_madvise(&vm, p, len, MADV_RANDOM));
		CHECK(!mlock(q, LOCKED_PAGES * PAGE));
		CHECK(!vm_mlock(&vm, p, LOCKED_PAGES * PAGE));
		press(p);
		/* Its PTEs go, and with each of them a count. */
		CHECK(!vm_munmap(&vm, p, LOCKED_PAGES * PAGE));
		CHECK(vm_map_file(&vm, p, LOCKED_PAGES * PAGE, PROT_READ,
				  MAP_SHARED | MAP_FIXED, self->fd, 0) == p);
		press(p);
		CHECK(count_resident(&vm, p, LOCKED_PAGES) == LOCKED_PAGES);
		CHECK(!vm_mlock(&vm, p, LOCKED_PAGES * PAGE));
		CHECK(!munlock(q, LOCKED_PAGES * PAGE));
		press(p);
		CHECK(count_resident(&vm, p, LOCKED_PAGES) == LOCKED_PAGES);
		CHECK(!vm_munlock(&vm, p, LOCKED_PAGES * PAGE));
		/* The kernel has forgotten by now how often they were locked. */
		CHECK(vm_is_native(&vm) || press_out(&vm, p, p, LOCKED_PAGES));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->group));
}

/* --- against the oracle */

#define STEPS 1500

/* One step, on anonymous memory if @fd is -1; the errno. */
static int random_step(struct vm *vm, struct rng *rng, int fd)
{
	size_t page = rng_below(rng, ZONE - 1);
	size_t max = ZONE - page < 20 ? ZONE - page : 20;
	size_t len = (1 + rng_below(rng, max)) * PAGE - rng_below(rng, 3);
	int prot = (int)rng_below(rng, 4);
	char *p = vm_page(vm, page);
	size_t in = rng_below(rng, 3);
	enum memory m;

	switch (rng_below(rng, 11)) {
	case 0:
	case 1:
		return ERRNO_OF(vm_mlock(vm, p + in, len));
	case 2:
		return ERRNO_OF(vm_mlock2(vm, p + in, len, MLOCK_ONFAULT));
	case 3:
	case 4:
		return ERRNO_OF(vm_munlock(vm, p + in, len));
	case 5:
		return ERRNO_OF(vm_munmap(vm, p, len));
	case 6:
		return ERRNO_OF(vm_mprotect(vm, p, len, prot));
	case 7:
		return ERRNO_OF(vm_mmap(vm, p, len, prot,
					ANON | MAP_FIXED | MAP_LOCKED));
	case 8:
		if (rng_below(rng, 8))
			return 0;
		return ERRNO_OF(vm_munlockall(vm));
	default:
		m = rng_below(rng, fd < 0 ? 1 : NR_MEMORY);
		return ERRNO_OF(memory_map(vm, m, page, (len + PAGE - 1) / PAGE,
					   prot, fd));
	}
}

/*
 * When a range gets rights and all of it is locked, altvm brings in all of it, and the
 * kernel only what has become writable.  So more may be resident, but not less.
 */
static bool same_residency(struct vm *a, struct vm *b)
{
	size_t i;

	for (i = 0; i < ZONE; i++) {
		int want = vm_resident(a, vm_page(a, i));
		int is = vm_resident(b, vm_page(b, i));

		if (want == is || (want == 0 && is == 1))
			continue;
		fprintf(stderr, "# page %zu: %d, not %d\n", i, is, want);
		return false;
	}
	return true;
}

static void compare(struct __test_metadata *_metadata, struct vm *vm, int fd)
{
	struct rng a = { .state = env_number("ALTVM_SEED", 5) }, b = a;
	struct vm native;
	long i;

	ASSERT_EQ(0, vm_open(&native, &vm_native, ZONE * PAGE));
	for (i = 0; i < scaled(STEPS); i++) {
		int want = random_step(&native, &a, fd);

		EXPECT_EQ(want, random_step(vm, &b, fd));
		if (!vm_is_native(vm))
			EXPECT_EQ(vm_locked(&native), vm_locked(vm));
		if (i % 8 == 0)
			EXPECT_TRUE(same_residency(&native, vm));
		ASSERT_TRUE(__test_passed(_metadata))
		{
			TH_LOG("step %ld", i);
		}
	}
}

TEST_F_TIMEOUT(lock, as_natively, SLOW)
{
	compare(_metadata, &self->vm, -1);
}

TEST_F_TIMEOUT(lock, files_as_natively, SLOW)
{
	int fd = cold_file(ZONE);

	compare(_metadata, &self->vm, fd);
	close(fd);
}

/* --- many at once */

static volatile bool stop;

struct worker {
	struct vm *vm;
	struct rng rng;
	int fd;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!stop)
		random_step(w->vm, &w->rng, w->fd);
	return NULL;
}

/* Nothing is lost, and nothing counts twice. */
TEST_F_TIMEOUT(lock, threads_and_forks, SLOW)
{
	struct vm *vm = &self->vm;
	struct worker w[3];
	pthread_t thread[3];
	long i, n = vm_is_native(vm) ? 5 : scaled(40);
	pid_t pid;

	stop = false;
	for (i = 0; i < 3; i++) {
		w[i] = (struct worker){ vm,
					{ .state = i + 1 },
					cold_file(ZONE) };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, work, &w[i]));
	}
	for (i = 0; i < n; i++) {
		pid = fork();
		if (!pid) {
			CHECK(vm_locked(vm) == 0);
			vm_mlockall(vm, MCL_CURRENT);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		vm_mlockall(vm, i % 4 ? MCL_CURRENT : MCL_CURRENT | MCL_FUTURE);
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_EQ(0, vm_locked(vm));
	ASSERT_EQ(vm->base, vm_map_at(vm, 0, ZONE, RW));
	EXPECT_EQ(0, vm_mlock(vm, vm->base, ZONE * PAGE));
	EXPECT_EQ(ZONE, vm_locked(vm));
	EXPECT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	EXPECT_EQ(0, vm_locked(vm));
}

/* Killed while it brings in a lot. */
TEST_F_TIMEOUT(lock, is_killed, SLOW)
{
	const size_t len = 64 * MiB;
	struct vm vm;
	long i;

	for (i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (!pid) {
			CHECK(!vm_open(&vm, self->vm.ops, len));
			CHECK(vm_mmap(&vm, vm.base, len, RW,
				      ANON | MAP_FIXED) == vm.base);
			for (;;) {
				vm_mlock(&vm, vm.base, len);
				vm_munlock(&vm, vm.base, len);
			}
		}
		ASSERT_LE(0, pid);
		usleep(5000 + 7000 * i);
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
}

/* --- what only altvm has */

ALTVM_FIXTURE(altvm_lock, ZONE);

TEST_F(altvm_lock, outside_the_window)
{
	struct vm *vm = &self->vm;
	char *end = vm->base + vm->len;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, ZONE - 4, 4, RW));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, end, PAGE));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, vm->base - PAGE, 2 * PAGE));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, NULL, PAGE));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, stack_page(), PAGE));
	EXPECT_EQ(0, vm_locked(vm));
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, end - 2 * PAGE, 4 * PAGE));
	EXPECT_EQ(2, vm_locked(vm));
	EXPECT_FAIL(ENOMEM, vm_munlock(vm, end - PAGE, GiB));
	EXPECT_EQ(1, vm_locked(vm));
}

static void use_windows(struct vm *vm)
{
	char *q = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
	struct vm other;

	CHECK(!vm_open(&other, &vm_ioctl, ZONE * PAGE));
	CHECK(vm_map_at(vm, 0, NR, RW) == vm->base);
	CHECK(vm_map_at(&other, 0, NR, RW) == other.base);
	limit_to(8);
	become_nobody();
	CHECK(!vm_mlock(vm, vm->base, 3 * PAGE));
	CHECK(!vm_mlock(&other, other.base, 3 * PAGE));
	CHECK(ERRNO_OF(vm_mlock(vm, vm->base, 6 * PAGE)) == ENOMEM);
	/* What the kernel has locked counts, too. */
	CHECK(!mlock(q, 2 * PAGE));
	CHECK(ERRNO_OF(vm_mlock(vm, vm->base, 4 * PAGE)) == ENOMEM);
	CHECK(!munlock(q, PAGE));
	CHECK(!vm_mlock(vm, vm->base, 4 * PAGE));
	/* A window's end gives back what it had. */
	vm_close(&other);
	CHECK(!vm_mlock(vm, vm->base, 7 * PAGE));
	CHECK(ERRNO_OF(vm_mlock(vm, vm->base, 8 * PAGE)) == ENOMEM);
}

TEST_F(altvm_lock, windows_share_the_limit)
{
	EXPECT_CHILD(use_windows);
}

/* The process' own calls leave the window alone, and the other way round. */
TEST_F(altvm_lock, is_not_the_kernels)
{
	struct vm *vm = &self->vm;
	char *p = vm_map_at(vm, FIRST, NR, RW);

	EXPECT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	EXPECT_EQ(0, vm_locked(vm));
	EXPECT_EQ(0, vm_resident(vm, p));
	ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, SHARED_FILE, 30, 2, RW,
						 cold_file(ZONE)));
	EXPECT_EQ(0, vm_locked(vm));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, vm_mlockall(vm, MCL_CURRENT | MCL_FUTURE));
	EXPECT_EQ(0, proc_number("/proc/self/status", "VmLck:"));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(NR + 2, vm_locked(vm));
}

/* Locks in a window, as the listing shows them. */
TEST_F(altvm_lock, is_listed)
{
	struct vm *vm = &self->vm;
	char path[64], line[256], flags[4][16] = {};
	int nr = 0, sums = 0;
	FILE *f;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, 3, RW));
	EXPECT_EQ(0, lock_pages(vm, FIRST, 1));
	EXPECT_EQ(0,
		  vm_mlock2(vm, vm_page(vm, FIRST + 1), PAGE, MLOCK_ONFAULT));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f) && nr < 4) {
		sums += !!strstr(line, " mapped 12 kB locked 8 kB ");
		if (strstr(line, " rw-p "))
			sscanf(strchr(line, '[') ?: "", "%15[^\n]",
			       flags[nr++]);
	}
	fclose(f);
	EXPECT_EQ(1, sums);
	EXPECT_EQ(3, nr);
	EXPECT_STREQ("[lo]", flags[0]);
	EXPECT_STREQ("[lo lf]", flags[1]);
	EXPECT_STREQ("", flags[2]);
}

TEST_HARNESS_MAIN
