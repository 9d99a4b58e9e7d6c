// SPDX-License-Identifier: GPL-2.0
/*
 * altvm_dump(): what is in a window, in a core file.  That gdb reads it is shown
 * by lib/tests, where more of the odd cases are too.
 */
#include <pthread.h>
#include <sys/stat.h>

#include "altvm.h"
#include "fixture.h"
#include "lib/tests/core.h"

#define PAGES 128

/* clang-format off */
FIXTURE(dump)
{
	struct vm vm;
	char *base;
	int fd;
};

/* clang-format on */

FIXTURE_SETUP(dump)
{
	fixture_open(_metadata, &self->vm, &vm_lib, PAGES);
	self->base = self->vm.base;
	self->fd = memfd_create("dump", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(dump)
{
	close(self->fd);
	vm_close(&self->vm);
}

/* What the dump has of page @page: its byte, or -1. */
#define DUMPED(page) core_byte(self->fd, vm_page(&self->vm, page) + 99)

static void fill(struct vm *vm, size_t page, size_t pages, int byte)
{
	memset(vm_page(vm, page), byte, pages * PAGE);
}

/* What is there, as it is; what is not there is a hole, and stays away. */
TEST_F(dump, has_what_is_resident)
{
	struct vm *vm = &self->vm;
	struct elf64_phdr phdr;
	struct stat st;

	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 8, RW));
	ASSERT_EQ(vm_page(vm, 40), vm_map_at(vm, 40, 64, PROT_READ));
	fill(vm, 9, 3, 'a');
	fill(vm, 13, 1, 'b');
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));

	EXPECT_EQ(3, core_segments(self->fd));
	phdr = core_find(self->fd, vm_page(vm, 10));
	EXPECT_EQ((uintptr_t)vm_page(vm, 8), phdr.p_vaddr);
	EXPECT_EQ(8 * PAGE, phdr.p_memsz);
	EXPECT_EQ(8 * PAGE, phdr.p_filesz);
	EXPECT_EQ(PF_R | PF_W, phdr.p_flags);
	EXPECT_EQ(PF_R, core_find(self->fd, vm_page(vm, 40)).p_flags);

	EXPECT_EQ(0, DUMPED(8));
	EXPECT_EQ('a', DUMPED(9));
	EXPECT_EQ('a', DUMPED(11));
	EXPECT_EQ(0, DUMPED(12));
	EXPECT_EQ('b', DUMPED(13));
	EXPECT_EQ(0, DUMPED(103));
	EXPECT_EQ(-1, DUMPED(7));
	EXPECT_EQ(-1, DUMPED(16));

	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 8)));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 50)));
	/* The four pages, and what is before them. */
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_GE(6 * PAGE / 512, (size_t)st.st_blocks);
}

TEST_F(dump, follows_mprotect)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 6, RW));
	fill(vm, 8, 6, 'a');
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, 10), 2 * PAGE, PROT_NONE));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ(4, core_segments(self->fd));
	EXPECT_EQ('a', DUMPED(9));
	EXPECT_EQ(-1, DUMPED(10));
	EXPECT_EQ(-1, DUMPED(11));
	EXPECT_EQ(2 * PAGE, core_find(self->fd, vm_page(vm, 10)).p_memsz);
	EXPECT_EQ('a', DUMPED(12));
}

TEST_F(dump, follows_madvise)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 8, RW));
	fill(vm, 8, 8, 'a');
	ASSERT_EQ(0, vm_madvise(vm, vm_page(vm, 10), 4 * PAGE, MADV_DONTDUMP));
	/* Another flag of the same areas. */
	ASSERT_EQ(0, vm_madvise(vm, vm_page(vm, 8), 4 * PAGE, MADV_DONTFORK));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ('a', DUMPED(9));
	EXPECT_EQ(-1, DUMPED(10));
	EXPECT_EQ(-1, DUMPED(13));
	EXPECT_EQ('a', DUMPED(14));

	ASSERT_EQ(0, vm_madvise(vm, vm_page(vm, 8), 8 * PAGE, MADV_DODUMP));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ('a', DUMPED(10));
	EXPECT_EQ('a', DUMPED(13));
}

/* A new file of 4 pages of @byte; @path ends with "XXXXXX". */
static int new_file(char *path, int byte)
{
	int i, fd = mkostemp(path, O_CLOEXEC);
	char page[PAGE];

	memset(page, byte, PAGE);
	for (i = 0; i < 4; i++)
		if (write(fd, page, PAGE) != PAGE)
			return -1;
	return fd;
}

/* Maps 4 pages at @page, reads two of them, and writes the others if it may. */
static bool map_four(struct vm *vm, size_t page, int prot, int flags, int fd)
{
	char *p = vm_map_file(vm, vm_page(vm, page), 4 * PAGE, prot,
			      flags | MAP_FIXED, fd, 0);

	if (p == MAP_FAILED || probe_read(p, NULL, NULL) ||
	    probe_read(p + PAGE, NULL, NULL))
		return false;
	if (prot & PROT_WRITE)
		fill(vm, page + 2, 2, 'w');
	return true;
}

TEST_F(dump, has_files_as_the_kernel_does)
{
	char path[] = "/tmp/altvm-dump.XXXXXX";
	char path2[] = "/tmp/altvm-dump.XXXXXX";
	int fd = new_file(path, 'f'), unlinked = new_file(path2, 'u');
	struct vm *vm = &self->vm;
	int memfd;

	unlink(path2);
	memfd = memfd_create("dumped", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, unlinked);
	ASSERT_EQ(0, ftruncate(memfd, 4 * PAGE));
	ASSERT_TRUE(map_four(vm, 10, RW, MAP_SHARED, fd));
	ASSERT_TRUE(map_four(vm, 20, RW, MAP_SHARED, unlinked));
	ASSERT_TRUE(map_four(vm, 30, RW, MAP_SHARED, memfd));
	ASSERT_TRUE(map_four(vm, 40, RW, MAP_SHARED | MAP_ANONYMOUS, -1));
	ASSERT_TRUE(map_four(vm, 50, PROT_READ, MAP_PRIVATE, fd));
	ASSERT_TRUE(map_four(vm, 60, RW, MAP_PRIVATE, fd));

	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ(-1, DUMPED(10));
	EXPECT_EQ('u', DUMPED(20));
	EXPECT_EQ('w', DUMPED(22));
	EXPECT_EQ('w', DUMPED(32));
	EXPECT_EQ('w', DUMPED(42));
	EXPECT_EQ(-1, DUMPED(50));
	EXPECT_EQ('f', DUMPED(60));
	EXPECT_EQ('w', DUMPED(62));

	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, ALTVM_DUMP_SHARED));
	EXPECT_EQ('f', DUMPED(10));
	EXPECT_EQ('w', DUMPED(12));
	EXPECT_EQ(-1, DUMPED(50));
	unlink(path);
	close(fd);
	close(unlinked);
	close(memfd);
}

/* Pages behind the end of a file raise SIGBUS: a dump leaves them out. */
TEST_F(dump, of_a_file_that_shrank)
{
	int memfd = memfd_create("dumped", MFD_CLOEXEC);
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, ftruncate(memfd, 4 * PAGE));
	ASSERT_TRUE(map_four(vm, 10, RW, MAP_SHARED, memfd));
	ASSERT_EQ(0, ftruncate(memfd, 3 * PAGE));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ('w', DUMPED(12));
	EXPECT_EQ(0, DUMPED(13));
	close(memfd);
}

static struct {
	struct altvm *lib;
	int fd;
} crash;

static void on_crash(int sig)
{
	(void)sig;
	_exit(altvm_dump(crash.lib, crash.fd, 0) ? 2 : 0);
}

static void crash_and_dump(struct vm *vm, int fd)
{
	static char stack[16 << 10];
	const stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_crash,
				.sa_flags = SA_ONSTACK | SA_RESETHAND };

	crash.lib = vm->lib;
	crash.fd = fd;
	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	*(volatile char *)vm_page(vm, 100) = 1;
	_exit(1);
}

TEST_F(dump, from_the_handler_of_a_crash)
{
	struct vm *vm = &self->vm;
	int status;
	pid_t pid;

	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 8, RW));
	fill(vm, 8, 4, 'a');
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		crash_and_dump(vm, self->fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ('a', DUMPED(8));
	EXPECT_EQ(0, DUMPED(12));
}

/*
 * Parent and child have windows at the same place with the same file: each dumps
 * its own, and the child's is of the moment of the fork.
 */
TEST_F(dump, of_parent_and_child)
{
	struct vm *vm = &self->vm;
	int status, go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 8, RW));
	fill(vm, 8, 8, 'p');
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(altvm_dump(vm->lib, self->fd, 0) ? 2 : 0);
	}
	fill(vm, 8, 4, 'q');
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, 14), PAGE));
	ASSERT_EQ(vm_page(vm, 20), vm_map_at(vm, 20, 1, RW));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ('q', DUMPED(8));
	EXPECT_EQ('p', DUMPED(12));
	EXPECT_EQ(-1, DUMPED(14));
	EXPECT_EQ(0, DUMPED(20));

	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ('p', DUMPED(8));
	EXPECT_EQ('p', DUMPED(14));
	EXPECT_EQ(-1, DUMPED(20));
	close(go[0]);
	close(go[1]);
}

static volatile bool stop;

/* Maps, writes and unmaps page by page. */
static void *change(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = env_number("ALTVM_SEED", 1) };

	while (!stop) {
		size_t page = 20 + rng_below(&rng, 80);

		if (rng_below(&rng, 2))
			vm_map_at(vm, page, 1, rng_below(&rng, 2) ? RW : 0);
		else
			vm_munmap(vm, vm_page(vm, page), PAGE);
	}
	return NULL;
}

TEST_F_TIMEOUT(dump, while_others_map_and_unmap, SLOW)
{
	struct vm *vm = &self->vm;
	long i, done = 0, rounds = scaled(100);
	pthread_t thread;

	ASSERT_EQ(vm_page(vm, 8), vm_map_at(vm, 8, 8, RW));
	fill(vm, 8, 8, 'a');
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change, vm));
	for (i = 0; i < rounds; i++) {
		if (!altvm_dump(vm->lib, self->fd, 0))
			done++;
		else if (errno != EAGAIN)
			break;
		if (DUMPED(8) != 'a' || DUMPED(15) != 'a')
			break;
	}
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(rounds, i)
	{
		TH_LOG("dump %ld: %s", i, strerror(errno));
	}
	EXPECT_LT(0, done);
}

/* More areas than an ELF header can count, or the kernel map. */
TEST_F_TIMEOUT(dump, has_any_number_of_areas, SLOW)
{
	const size_t pages = 70000;
	struct vm vm;
	size_t i;

	if (scaled(pages) != (long)pages)
		SKIP(return, "takes too long");
	ASSERT_EQ(0, vm_open(&vm, &vm_lib, (pages + 8) * PAGE));
	ASSERT_EQ(vm.base, vm_map_at(&vm, 0, pages, RW));
	for (i = 0; i < pages; i += 2)
		ASSERT_EQ(0,
			  vm_mprotect(&vm, vm_page(&vm, i), PAGE, PROT_READ));
	fill(&vm, pages - 1, 1, 'z');
	ASSERT_EQ(0, altvm_dump(vm.lib, self->fd, 0));
	EXPECT_EQ(1 + pages, core_segments(self->fd));
	EXPECT_EQ('z', core_byte(self->fd, vm_page(&vm, pages - 1)));
	EXPECT_EQ(0, core_byte(self->fd, vm_page(&vm, 0)));
	vm_close(&vm);
}

/* What has left memory for swap space is part of it; tests/vm/run --swap. */
TEST_F(dump, has_what_is_paged_out)
{
	struct vm *vm = &self->vm;
	char *shared = vm_page(vm, 40);

	if (proc_number("/proc/meminfo", "SwapTotal:") <= 0)
		SKIP(return, "no swap");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 8, 16, RW));
	ASSERT_EQ(shared, vm_mmap(vm, shared, 8 * PAGE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED));
	fill(vm, 8, 8, 'a');
	fill(vm, 40, 4, 'b');
	ASSERT_EQ(0, vm_madvise(vm, vm_page(vm, 8), 16 * PAGE, MADV_PAGEOUT));
	ASSERT_EQ(0, vm_madvise(vm, shared, 8 * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 8)));
	ASSERT_EQ(0, altvm_dump(vm->lib, self->fd, 0));
	EXPECT_EQ('a', DUMPED(8));
	EXPECT_EQ('a', DUMPED(15));
	EXPECT_EQ(0, DUMPED(16));
	EXPECT_EQ('b', DUMPED(40));
	EXPECT_EQ('b', DUMPED(43));
	EXPECT_EQ(0, DUMPED(44));
	/* What is not there is not brought in. */
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, 16)));
}

TEST_F(dump, refuses)
{
	int fd, pipes[2];

	EXPECT_FAIL(EINVAL, altvm_dump(self->vm.lib, self->fd, 2));
	EXPECT_FAIL(EBADF, altvm_dump(self->vm.lib, -1, 0));
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_FAIL(EINVAL, altvm_dump(self->vm.lib, pipes[1], 0));
	close(pipes[0]);
	close(pipes[1]);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT_FAIL(EINVAL, altvm_dump(self->vm.lib, fd, 0));
	close(fd);
	/* A window that has gone. */
	ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
	EXPECT_FAIL(ENXIO, altvm_dump(self->vm.lib, self->fd, 0));
}

TEST_HARNESS_MAIN
