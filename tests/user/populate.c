// SPDX-License-Identifier: GPL-2.0
/* madvise: MADV_POPULATE_READ and MADV_POPULATE_WRITE. */
#include <pthread.h>
#include <sys/resource.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

/* Newer than some C libraries. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define FIRST 8
#define NR 16
/* Three leaves, and a little. */
#define ZONE 1600

VM_FIXTURE(populate, ZONE);

static const int both[] = { MADV_POPULATE_READ, MADV_POPULATE_WRITE };

/* The file has 'f' everywhere. */
static int furnish(struct vm *vm, enum memory m, int prot)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'f', PAGE);
	for (i = FIRST; i < FIRST + NR; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -1;
	if (vm_munmap(vm, vm->base, ZONE * PAGE) ||
	    memory_map(vm, m, FIRST, NR, prot, fd) == MAP_FAILED)
		return -1;
	return fd;
}

static char initial(enum memory m)
{
	return memory_is_file(m) ? 'f' : 0;
}

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* How many faults it takes to read, or write, each page. */
static long faults_of(struct vm *vm, size_t page, size_t pages, bool write)
{
	volatile char *p = vm_page(vm, page);
	long before = faults();

	for (; pages; pages--, p += PAGE)
		if (write)
			*p = 'w';
		else
			(void)*p;
	return faults() - before;
}

TEST_F(populate, no_faults_afterwards)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(both); i++) {
			bool write = both[i] == MADV_POPULATE_WRITE;
			int fd = furnish(vm, m, RW);

			ASSERT_LE(0, fd);
			/* So that looking brings in no code. */
			faults_of(vm, FIRST, 1, write);
			EXPECT_EQ(0, advise(vm, FIRST, NR, both[i]));
			EXPECT_GE(1, faults_of(vm, FIRST, NR, write))
			{
				TH_LOG("%s, %d", memory_name(m), both[i]);
			}
			EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 9)));
			EXPECT_EQ(1, vm_areas(vm));
			close(fd);
		}
}

TEST_F(populate, contents_stay)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(both); i++) {
			int fd = furnish(vm, m, RW), k;

			ASSERT_LE(0, fd);
			*vm_page(vm, FIRST + 3) = 'x';
			EXPECT_EQ(0, advise(vm, FIRST, NR, both[i]));
			for (k = 0; k < NR; k++)
				EXPECT_EQ(k == 3 ? 'x' : initial(m),
					  *vm_page(vm, FIRST + k));
			close(fd);
		}
}

/* Read, a page of a private file stays the file's; written, it is a copy. */
TEST_F(populate, copies_only_to_write)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, PRIVATE_FILE, RW);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, advise(vm, FIRST, 8, MADV_POPULATE_READ));
	EXPECT_EQ(0, advise(vm, FIRST + 8, 8, MADV_POPULATE_WRITE));
	ASSERT_EQ(1, pwrite(fd, "n", 1, (FIRST + 2) * PAGE));
	ASSERT_EQ(1, pwrite(fd, "n", 1, (FIRST + 10) * PAGE));
	EXPECT_EQ('n', *vm_page(vm, FIRST + 2));
	EXPECT_EQ('f', *vm_page(vm, FIRST + 10));
	close(fd);
}

/* Unlike MAP_POPULATE it tells what an access would not be allowed. */
TEST_F(populate, rights)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int prot;

	for_each_memory(m)
		for (prot = 0; prot < 8; prot++) {
			int fd = furnish(vm, m, prot);

			ASSERT_LE(0, fd);
			EXPECT_FAIL(prot & PROT_READ ? 0 : EINVAL,
				    advise(vm, FIRST, NR, MADV_POPULATE_READ))
			{
				TH_LOG("%s, %d", memory_name(m), prot);
			}
			EXPECT_FAIL(prot & PROT_WRITE ? 0 : EINVAL,
				    advise(vm, FIRST, NR, MADV_POPULATE_WRITE))
			{
				TH_LOG("%s, %d", memory_name(m), prot);
			}
			close(fd);
		}
}

/* What is before the first error has been populated. */
TEST_F(populate, up_to_the_first_error)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		ASSERT_LE(0, furnish(vm, PRIVATE_ANON, RW));
		ASSERT_EQ(0, vm_munmap(vm, p + 6 * PAGE, 2 * PAGE));
		ASSERT_EQ(0, vm_mprotect(vm, p + 10 * PAGE, PAGE, PROT_NONE));
		EXPECT_FAIL(ENOMEM, advise(vm, FIRST, NR, both[i]));
		EXPECT_EQ(1, vm_resident(vm, p + 5 * PAGE));
		EXPECT_EQ(0, vm_resident(vm, p + 8 * PAGE));
		EXPECT_FAIL(EINVAL, advise(vm, FIRST + 8, 4, both[i]));
		EXPECT_EQ(1, vm_resident(vm, p + 9 * PAGE));
		EXPECT_EQ(0, vm_resident(vm, p + 10 * PAGE));
		EXPECT_EQ(0, vm_resident(vm, p + 11 * PAGE));
		EXPECT_FAIL(ENOMEM, advise(vm, 0, FIRST + 2, both[i]));
		EXPECT_FAIL(ENOMEM, advise(vm, FIRST + 12, 8, both[i]));
		EXPECT_EQ(1, vm_resident(vm, p + 15 * PAGE));
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm_page(vm, FIRST + 12), GiB,
					       both[i]));
	}
}

TEST_F(populate, beyond_the_end_of_a_file)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(both); i++) {
			int fd;

			if (!memory_is_file(m))
				continue;
			fd = furnish(vm, m, RW);
			ASSERT_LE(0, fd);
			ASSERT_EQ(0, ftruncate(fd, (FIRST + 4) * PAGE));
			EXPECT_FAIL(EFAULT, advise(vm, FIRST, NR, both[i]));
			EXPECT_EQ(0, advise(vm, FIRST, 4, both[i]));
			EXPECT_FAIL(EFAULT, advise(vm, FIRST + 4, 1, both[i]));
			EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 3)));
			close(fd);
		}
}

TEST_F(populate, what_is_refused)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON, RW));
	for (i = 0; i < ARRAY_SIZE(both); i++) {
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, both[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -1UL, both[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -PAGE, both[i]));
		EXPECT_EQ(0, vm_madvise(vm, p, 0, both[i]));
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, PAGE, both[i]));
	}
	EXPECT_EQ(0, vm_resident(vm, p));
	EXPECT_EQ(0, vm_madvise(vm, p, 1, MADV_POPULATE_READ));
	EXPECT_EQ(1, vm_resident(vm, p));
	EXPECT_EQ(0, vm_resident(vm, p + PAGE));
}

/* Several areas, leaves, and more than a batch. */
TEST_F(populate, a_large_range)
{
	struct vm *vm = &self->vm;
	size_t i, page;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
		for (page = 0; page < ZONE; page += 9)
			*vm_page(vm, page) = 'x';
		for (page = 100; page < ZONE; page += 300)
			ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, page),
						 20 * PAGE, RWX));
		EXPECT_EQ(0, advise(vm, 1, ZONE - 2, both[i]));
		EXPECT_EQ(0, vm_resident(vm, vm_page(vm, ZONE - 1)));
		for (page = 1; page < ZONE - 1; page++) {
			EXPECT_EQ(1, vm_resident(vm, vm_page(vm, page)));
			EXPECT_EQ(page % 9 ? 0 : 'x', *vm_page(vm, page));
		}
	}
}

/* Populated for writing, a child's pages are its own. */
TEST_F(populate, after_a_fork)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m, RW), line;
		pid_t pid;

		ASSERT_LE(0, fd);
		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		pid = fork_with(&line);
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(!advise(vm, FIRST, 4, MADV_POPULATE_READ));
			CHECK(!advise(vm, FIRST + 4, 4, MADV_POPULATE_WRITE));
			CHECK(memory_is_shared(m) ||
			      faults_of(vm, FIRST + 4, 4, true) <= 1);
			CHECK(say(line) && hear(line));
			CHECK(*vm_page(vm, FIRST + 1) ==
			      (memory_is_shared(m) ? 'q' : 'p'));
			CHECK(*vm_page(vm, FIRST + 5) ==
			      (memory_is_shared(m) ? 'q' : 'w'));
			_exit(0);
		}
		EXPECT_TRUE(hear(line));
		EXPECT_EQ('p', *vm_page(vm, FIRST + 5));
		memset(vm_page(vm, FIRST), 'q', NR * PAGE);
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid))
		{
			TH_LOG("%s", memory_name(m));
		}
		EXPECT_EQ('q', *vm_page(vm, FIRST + 5));
		/* It is alone with its pages again. */
		if (!memory_is_shared(m)) {
			EXPECT_EQ(0,
				  advise(vm, FIRST, NR, MADV_POPULATE_WRITE));
			EXPECT_GE(1, faults_of(vm, FIRST, NR, true));
		}
		close(line);
		close(fd);
	}
}

static volatile bool stop;

/* Maps, unmaps and protects what is being populated. */
static void *changes(void *arg)
{
	struct vm *vm = arg;
	long i;

	for (i = 0; !stop; i++) {
		size_t page = FIRST + i % NR;

		vm_map_at(vm, page, 3, i & 1 ? RW : PROT_READ);
		vm_mprotect(vm, vm_page(vm, page), PAGE, i & 2 ? RW : 0);
		vm_munmap(vm, vm_page(vm, page + 1), PAGE);
		advise(vm, page, 2, MADV_DONTNEED);
	}
	return NULL;
}

/* Whatever it says, it comes back, and what is there is usable. */
TEST_F_TIMEOUT(populate, beside_other_calls, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread;
	long i;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, 600, RW));
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, changes, vm));
	for (i = 0; i < scaled(300); i++) {
		int err = ERRNO_OF(advise(vm, 0, 600, both[i & 1]));

		EXPECT_TRUE(!err || err == ENOMEM || err == EINVAL ||
			    err == EFAULT)
		{
			TH_LOG("errno %d", err);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR + 4, RW));
	EXPECT_EQ(0, advise(vm, 0, 600, MADV_POPULATE_WRITE));
	memset(vm->base, 'x', 600 * PAGE);
}

/* It ends at once when the process is killed, however much is left. */
TEST_F_TIMEOUT(populate, killed, SLOW)
{
	struct vm *vm = &self->vm;
	int i;

	for (i = 0; i < 4; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			vm_map_at(vm, 0, ZONE, RW);
			for (;;) {
				advise(vm, 0, ZONE, both[i & 1]);
				advise(vm, 0, ZONE, MADV_DONTNEED);
			}
		}
		usleep(10000 * (i + 1));
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
}

TEST_HARNESS_MAIN
