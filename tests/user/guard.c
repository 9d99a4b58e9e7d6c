// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: MADV_GUARD_INSTALL and MADV_GUARD_REMOVE.  Kernels have them since 6.13,
 * for files since 6.15; where the kernel has them it is compared with.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define FIRST 8
#define NR 16
#define ZONE 1600

VM_FIXTURE(guard, ZONE);

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

static int install(struct vm *vm, size_t page, size_t pages)
{
	return advise(vm, page, pages, MADV_GUARD_INSTALL);
}

static int take_away(struct vm *vm, size_t page, size_t pages)
{
	return advise(vm, page, pages, MADV_GUARD_REMOVE);
}

/* Does this system have guards in memory of this kind? */
static bool has_guards(struct vm *vm, enum memory m, int fd)
{
	bool has;

	if (!vm_is_native(vm))
		return true;
	memory_map(vm, m, FIRST, 1, RW, fd);
	has = !install(vm, FIRST, 1);
	vm_munmap(vm, vm_page(vm, FIRST), PAGE);
	return has;
}

/* The file has 'f' everywhere, the memory 'p'; the file, or -1. */
static int furnish(struct vm *vm, enum memory m)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'f', PAGE);
	for (i = FIRST; i < FIRST + NR; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -1;
	if (vm_munmap(vm, vm->base, ZONE * PAGE) || !has_guards(vm, m, fd) ||
	    memory_map(vm, m, FIRST, NR, RW, fd) == MAP_FAILED)
		return -1;
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	return fd;
}

/* A letter for a page: '.' no memory, '-' no access, '0' zeroes, its mark. */
static char look_at(char *p)
{
	struct fault f;
	uint64_t value;

	if (probe_read(p, &value, &f))
		return f.sig == SIGBUS	     ? '!' :
		       f.code == SEGV_MAPERR ? '.' :
					       '-';
	return value ? (char)value : '0';
}

static const char *look(struct vm *vm)
{
	static char now[NR + 1];
	size_t i;

	for (i = 0; i < NR; i++)
		now[i] = look_at(vm_page(vm, FIRST + i));
	return now;
}

/* What is shown where memory lost what it held. */
static char lost(enum memory m)
{
	return memory_is_shared(m) ? 'p' : memory_is_file(m) ? 'f' : '0';
}

TEST_F(guard, an_access_raises_sigsegv)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST + 4);
	struct fault f;
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		EXPECT_STREQ("pppp....pppppppp", look(vm))
		{
			TH_LOG("%s", memory_name(m));
		}
		EXPECT_EQ(SIGSEGV, probe_write(p + 8, 1, &f));
		EXPECT_EQ(SEGV_MAPERR, f.code);
		EXPECT_EQ((uintptr_t)p + 8, f.addr);
		EXPECT_EQ(1, vm_areas(vm));
		/* What was there is lost. */
		EXPECT_EQ(0, take_away(vm, FIRST + 4, 2));
		EXPECT_EQ(lost(m), look_at(p));
		EXPECT_EQ('.', look_at(p + 2 * PAGE));
		memset(p, 'q', 2 * PAGE);
		EXPECT_STREQ("ppppqq..pppppppp", look(vm));
		close(fd);
	}
}

TEST_F(guard, where_nothing_was_touched)
{
	struct vm *vm = &self->vm;
	size_t i;

	if (!has_guards(vm, PRIVATE_ANON, -1))
		SKIP(return, "not this kernel");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	EXPECT_EQ(0, install(vm, 100, 1400));
	for (i = 0; i < ZONE; i += 50)
		EXPECT_EQ(i >= 100 && i < 1500 ? '.' : '0',
			  look_at(vm_page(vm, i)));
	EXPECT_EQ(0, take_away(vm, 0, ZONE));
	for (i = 0; i < ZONE; i += 50)
		EXPECT_EQ('0', look_at(vm_page(vm, i)));
}

TEST_F(guard, costs_no_memory)
{
	struct vm *vm = &self->vm;
	long before;

	if (!has_guards(vm, PRIVATE_ANON, -1))
		SKIP(return, "not this kernel");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	memset(vm->base, 'p', ZONE * PAGE);
	before = proc_number("/proc/self/status", "VmRSS:");
	EXPECT_EQ(0, install(vm, 0, ZONE));
	EXPECT_LE(ZONE * 4 - 600,
		  before - proc_number("/proc/self/status", "VmRSS:"));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 3)));
}

TEST_F(guard, what_is_refused)
{
	static const int advice[] = { MADV_GUARD_INSTALL, MADV_GUARD_REMOVE };
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	if (furnish(vm, PRIVATE_ANON) < 0)
		SKIP(return, "not this kernel");
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, advice[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -1UL, advice[i]));
		EXPECT_EQ(0, vm_madvise(vm, p, 0, advice[i]));
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, PAGE, advice[i]));
	}
	EXPECT_STREQ("pppppppppppppppp", look(vm));
	ASSERT_EQ(0, vm_munmap(vm, p + 4 * PAGE, 2 * PAGE));
	/* All that is there gets them. */
	EXPECT_FAIL(ENOMEM, install(vm, FIRST + 2, 6));
	EXPECT_STREQ("pp......pppppppp", look(vm));
	EXPECT_FAIL(ENOMEM, take_away(vm, FIRST + 3, 4));
	EXPECT_STREQ("pp.0..0.pppppppp", look(vm));
}

/* Twice is as once, and what is no guard is left alone. */
TEST_F(guard, again)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		EXPECT_EQ(0, install(vm, FIRST + 5, 5));
		EXPECT_STREQ("pppp......pppppp", look(vm));
		EXPECT_EQ(0, take_away(vm, FIRST, 4));
		EXPECT_EQ(0, take_away(vm, FIRST + 10, 4));
		EXPECT_STREQ("pppp......pppppp", look(vm));
		close(fd);
	}
}

/* None comes to locked memory, but one that is there may go. */
TEST_F(guard, locked_memory)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);

	if (furnish(vm, PRIVATE_ANON) < 0)
		SKIP(return, "not this kernel");
	EXPECT_EQ(0, install(vm, FIRST, 2));
	/* It is locked, although its pages cannot come. */
	EXPECT_FAIL(ENOMEM, vm_mlock(vm, p, 8 * PAGE));
	EXPECT_FAIL(EINVAL, install(vm, FIRST + 4, 2));
	EXPECT_STREQ("..pppppppppppppp", look(vm));
	EXPECT_EQ(0, take_away(vm, FIRST, 2));
	EXPECT_STREQ("00pppppppppppppp", look(vm));
}

TEST_F(guard, stays)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		EXPECT_EQ(0, vm_mprotect(vm, p, NR * PAGE, PROT_READ));
		EXPECT_STREQ("pppp....pppppppp", look(vm));
		EXPECT_EQ(0, vm_mprotect(vm, p, NR * PAGE, PROT_NONE));
		EXPECT_STREQ("----------------", look(vm));
		EXPECT_EQ(0, vm_mprotect(vm, p, NR * PAGE, RW));
		EXPECT_STREQ("pppp....pppppppp", look(vm));
		EXPECT_EQ(0, advise(vm, FIRST + 5, 6, MADV_DONTNEED));
		EXPECT_EQ('.', look_at(p + 5 * PAGE));
		EXPECT_EQ('.', look_at(p + 7 * PAGE));
		EXPECT_EQ(lost(m), look_at(p + 8 * PAGE));
		close(fd);
	}
}

TEST_F(guard, goes_with_its_mapping)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST, NR));
		ASSERT_EQ(0, vm_munmap(vm, p, 4 * PAGE));
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, 4, RW));
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST + 8, 4, RW));
		EXPECT_STREQ("0000....0000....", look(vm));
		close(fd);
	}
}

TEST_F(guard, moves_with_its_mapping)
{
	struct vm *vm = &self->vm;
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	char *to = vm_page(vm, 520);
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		ASSERT_EQ(to, vm_mremap(vm, vm_page(vm, FIRST), NR * PAGE,
					NR * PAGE, flags, to));
		EXPECT_EQ('p', look_at(to + 3 * PAGE));
		EXPECT_EQ('.', look_at(to + 4 * PAGE));
		EXPECT_EQ('.', look_at(to + 7 * PAGE));
		EXPECT_EQ('p', look_at(to + 8 * PAGE));
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
		EXPECT_STREQ("0000000000000000", look(vm));
		ASSERT_EQ(0, vm_munmap(vm, to, NR * PAGE));
		close(fd);
	}
}

/* Also where the file is cut off. */
TEST_F(guard, beyond_the_end_of_a_file)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		if (!memory_is_file(m))
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		ASSERT_EQ(0, ftruncate(fd, (FIRST + 6) * PAGE));
		EXPECT_STREQ("pppp....!!!!!!!!", look(vm));
		ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
		EXPECT_STREQ("pppp....00000000", look(vm));
		EXPECT_EQ(0, take_away(vm, FIRST, NR));
		EXPECT_EQ('0', look_at(vm_page(vm, FIRST + 7)));
		close(fd);
	}
}

TEST_F(guard, in_a_child)
{
	struct vm *vm = &self->vm;
	enum memory m;
	pid_t pid;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(!strcmp("pppp....pppppppp", look(vm)));
			CHECK(!take_away(vm, FIRST + 4, 2));
			CHECK(look_at(vm_page(vm, FIRST + 5)) == lost(m));
			CHECK(!install(vm, FIRST, 2));
			CHECK(look_at(vm_page(vm, FIRST + 1)) == '.');
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_STREQ("pppp....pppppppp", look(vm))
		{
			TH_LOG("%s", memory_name(m));
		}
		close(fd);
	}
}

/* Also a guard where nothing else has been touched is inherited. */
TEST_F(guard, forks_and_wipes)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	if (!has_guards(vm, PRIVATE_ANON, -1))
		SKIP(return, "not this kernel");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	EXPECT_EQ(0, install(vm, FIRST, 8));
	EXPECT_EQ(0, advise(vm, FIRST + 4, 8, MADV_WIPEONFORK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!strcmp("....000000000000", look(vm)));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_STREQ("........00000000", look(vm));
}

TEST_F(guard, populating)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int fd;

	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		ASSERT_EQ(0, advise(vm, FIRST, NR, MADV_DONTNEED));
		EXPECT_EQ(0, install(vm, FIRST + 4, 2));
		EXPECT_FAIL(EFAULT, advise(vm, FIRST, NR, MADV_POPULATE_READ))
		{
			TH_LOG("%s", memory_name(m));
		}
		EXPECT_FAIL(EFAULT, advise(vm, FIRST, NR, MADV_POPULATE_WRITE));
		EXPECT_FAIL(EFAULT,
			    advise(vm, FIRST + 5, 1, MADV_POPULATE_WRITE));
		EXPECT_EQ(0, advise(vm, FIRST, 4, MADV_POPULATE_WRITE));
		EXPECT_EQ(0, advise(vm, FIRST + 6, 4, MADV_POPULATE_WRITE));
		EXPECT_EQ('.', look_at(vm_page(vm, FIRST + 5)));
		close(fd);
	}
}

TEST_F(guard, residency)
{
	struct vm *vm = &self->vm;

	if (furnish(vm, PRIVATE_ANON) < 0)
		SKIP(return, "not this kernel");
	EXPECT_EQ(0, install(vm, FIRST + 4, 4));
	EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 3)));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, FIRST + 4)));
}

/* System calls, other processes, and debuggers. */
TEST_F(guard, by_the_kernel)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST + 4), buf[8] = "";
	struct iovec to = { buf, sizeof(buf) }, from = { p, 8 };
	int fd, mem, zero, pipes[2];
	enum memory m;

	ASSERT_EQ(0, pipe(pipes));
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	for_each_memory(m) {
		fd = furnish(vm, m);
		if (fd < 0)
			continue;
		EXPECT_EQ(0, install(vm, FIRST + 4, 4));
		EXPECT_FAIL(EFAULT, read(zero, p, 8));
		EXPECT_FAIL(EFAULT, write(pipes[1], p, 8));
		EXPECT_FAIL(EFAULT,
			    process_vm_readv(getpid(), &to, 1, &from, 1, 0));
		EXPECT_FAIL(EFAULT,
			    process_vm_writev(getpid(), &to, 1, &from, 1, 0));
		EXPECT_FAIL(EIO, pread(mem, buf, 8, (off_t)p));
		EXPECT_FAIL(EIO, pwrite(mem, buf, 8, (off_t)p));
		EXPECT_EQ(8, pread(mem, buf, 8, (off_t)p - 8));
		close(fd);
	}
	close(mem);
	close(zero);
	close(pipes[0]);
	close(pipes[1]);
}

static volatile bool stop;
static long wrong;

/* Guards come and go on pages 0 to 3 all the time. */
static void *changes(void *arg)
{
	struct vm *vm = arg;

	while (!stop)
		if (install(vm, FIRST, 4) || take_away(vm, FIRST, 4))
			wrong++;
	return NULL;
}

/* Beside writers, forks and other calls: a page has what it is to have, or none. */
TEST_F_TIMEOUT(guard, threads, SLOW)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	pthread_t thread;
	long i;
	pid_t pid;

	if (furnish(vm, PRIVATE_ANON) < 0)
		SKIP(return, "not this kernel");
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, changes, vm));
	for (i = 0; i < scaled(300); i++) {
		uint64_t value = 0;

		if (!probe_write(p, i + 1, NULL) &&
		    !probe_read(p, &value, NULL) && value &&
		    value != (uint64_t)i + 1)
			wrong++;
		EXPECT_EQ('p', p[4 * PAGE]);
		vm_mprotect(vm, p, 2 * PAGE, i & 1 ? RW : PROT_READ);
		if (i % 8)
			continue;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(look_at(p + 4 * PAGE) == 'p');
			CHECK(!take_away(vm, FIRST, 4));
			CHECK(!vm_mprotect(vm, p, 2 * PAGE, RW));
			memset(p, 'c', 4 * PAGE);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
}

TEST_HARNESS_MAIN
