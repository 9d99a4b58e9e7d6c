// SPDX-License-Identifier: GPL-2.0
/* MAP_GROWSDOWN: areas that reach down to where they are accessed. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

#define ZONE 2048

/* What is kept free below such an area, in pages. */
#define GAP 256

/* Where most tests have one. */
#define TOP 1500
#define NR 4

VM_FIXTURE(grow, ZONE);

#define DOWN (ANON | MAP_GROWSDOWN)

/* One at page @page. */
static char *map_down(struct vm *vm, size_t page, size_t pages, int prot)
{
	return vm_mmap(vm, vm_page(vm, page), pages * PAGE, prot,
		       DOWN | MAP_FIXED);
}

static int touch(struct vm *vm, size_t page)
{
	return probe_write(vm_page(vm, page) + 16, page, NULL);
}

/* The first page that is mapped; ZONE if none is. */
static size_t lowest(struct vm *vm)
{
	static unsigned char vec[ZONE];
	size_t page = 0;

	while (page < ZONE && vm_mincore(vm, vm_page(vm, page), PAGE, vec))
		page++;
	return page;
}

TEST_F(grow, where_it_is_accessed)
{
	struct vm *vm = &self->vm;
	uint64_t value;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(0, touch(vm, TOP));
	EXPECT_EQ(TOP, lowest(vm));
	EXPECT_EQ(0, touch(vm, TOP - 1));
	EXPECT_EQ(TOP - 1, lowest(vm));
	EXPECT_EQ(0, probe_read(vm_page(vm, TOP - 2), &value, NULL));
	EXPECT_EQ(0, value);
	EXPECT_EQ(TOP - 2, lowest(vm));
	/* As far as one likes; what is between comes along, but not into memory. */
	EXPECT_EQ(0, touch(vm, TOP - 1000));
	EXPECT_EQ(TOP - 1000, lowest(vm));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, TOP - 500)));
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_EQ(0, touch(vm, TOP - 500));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP + NR));
	EXPECT_EQ(TOP - 1000, lowest(vm));
}

TEST_F(grow, others_do_not)
{
	struct vm *vm = &self->vm;
	struct fault f;

	ASSERT_EQ(vm_page(vm, TOP), vm_map_at(vm, TOP, NR, RW));
	EXPECT_EQ(SIGSEGV, probe_write(vm_page(vm, TOP - 1), 1, &f));
	EXPECT_EQ(SEGV_MAPERR, f.code);
	/* Not across another one. */
	ASSERT_EQ(vm_page(vm, TOP + NR), map_down(vm, TOP + NR, NR, RW));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP - 1));
	EXPECT_EQ(TOP, lowest(vm));
}

/* The right to what is asked comes second. */
TEST_F(grow, without_the_right)
{
	struct vm *vm = &self->vm;
	struct fault f;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, PROT_READ));
	EXPECT_EQ(SIGSEGV, probe_write(vm_page(vm, TOP - 1), 1, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	EXPECT_EQ(TOP - 1, lowest(vm));
	ASSERT_EQ(vm_page(vm, TOP - 1), map_down(vm, TOP - 1, NR, PROT_NONE));
	EXPECT_EQ(SIGSEGV, probe_read(vm_page(vm, TOP - 9), NULL, &f));
	EXPECT_EQ(SEGV_ACCERR, f.code);
	EXPECT_EQ(TOP - 9, lowest(vm));
}

TEST_F(grow, not_into_the_gap)
{
	struct vm *vm = &self->vm;
	const size_t end = 200;
	struct fault f;

	ASSERT_EQ(vm_page(vm, end - 1), vm_map_at(vm, end - 1, 1, PROT_READ));
	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(0, touch(vm, end + GAP));
	EXPECT_EQ(SIGSEGV, probe_write(vm_page(vm, end + GAP - 1), 1, &f));
	EXPECT_EQ(SEGV_MAPERR, f.code);
	EXPECT_EQ((uintptr_t)vm_page(vm, end + GAP - 1), f.addr);
	EXPECT_EQ(SIGSEGV, touch(vm, end));
	EXPECT_EQ(2, vm_areas(vm));
	/* What nobody can access needs none. */
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, end - 1), PAGE, PROT_NONE));
	EXPECT_EQ(0, touch(vm, end + 1));
	EXPECT_EQ(0, touch(vm, end));
	EXPECT_EQ(SIGSEGV, touch(vm, end - 1));
}

TEST_F(grow, down_to_one_of_its_kind)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, 300), map_down(vm, 300, NR, PROT_READ));
	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(0, touch(vm, 300 + NR));
	EXPECT_EQ(2, vm_areas(vm));
	EXPECT_EQ(0, probe_read(vm_page(vm, 10), NULL, NULL));
	EXPECT_EQ(10, lowest(vm));
}

/* Nothing at all is below: the zone's start is no area. */
TEST_F(grow, to_the_first_page)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(0, touch(vm, 0));
	EXPECT_EQ(0, lowest(vm));
}

TEST_F(grow, parts_of_it)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, 16, RW));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, TOP + 4), 4 * PAGE));
	/* Its upper part grows, but for the gap. */
	EXPECT_EQ(0, touch(vm, TOP + 7));
	EXPECT_EQ(0, touch(vm, TOP + 4));
	/* The kernel does not join what was touched while it was apart. */
	EXPECT_TRUE(vm_is_native(vm) || vm_areas(vm) == 1);
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, TOP), 4 * PAGE));
	EXPECT_EQ(0, touch(vm, TOP - 4));
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, TOP - 4), PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP - 5));
	EXPECT_EQ(0, probe_read(vm_page(vm, TOP - 5), NULL, NULL));
}

TEST_F(grow, for_the_kernel)
{
	struct vm *vm = &self->vm;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(3 * PAGE, read(fd, vm_page(vm, TOP - 8), 3 * PAGE));
	EXPECT_EQ(TOP - 8, lowest(vm));
	EXPECT_EQ(1, vm_resident(vm, vm_page(vm, TOP - 6)));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, TOP - 5)));
	close(fd);
}

TEST_F(grow, not_for_others)
{
	struct vm *vm = &self->vm;
	struct iovec local = { "x", 1 }, remote;
	int line;
	pid_t pid;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	pid = fork_with(&line);
	if (!pid) {
		CHECK(hear(line));
		CHECK(lowest(vm) == TOP);
		_exit(0);
	}
	remote.iov_base = vm_page(vm, TOP - 1);
	remote.iov_len = 1;
	EXPECT_FAIL(EFAULT, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	close(line);
}

TEST_F(grow, in_a_child)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	EXPECT_EQ(0, touch(vm, TOP - 1));
	pid = fork();
	if (!pid) {
		CHECK(!touch(vm, TOP - 20));
		CHECK(!touch(vm, TOP - 10));
		CHECK(lowest(vm) == TOP - 20);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(TOP - 1, lowest(vm));
}

/* --- limits */

static void limit_to(int resource, long bytes)
{
	struct rlimit limit;

	CHECK(!getrlimit(resource, &limit));
	limit.rlim_cur = bytes;
	CHECK(!setrlimit(resource, &limit));
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

static void use_stack(struct vm *vm)
{
	CHECK(map_down(vm, TOP, NR, RW) == vm_page(vm, TOP));
	limit_to(RLIMIT_STACK, 100 * PAGE);
	CHECK(!touch(vm, TOP - 10));
	CHECK(touch(vm, TOP + NR - 101) == SIGSEGV);
	CHECK(!touch(vm, TOP + NR - 100));
	CHECK(touch(vm, TOP + NR - 101) == SIGSEGV);
	CHECK(lowest(vm) == TOP + NR - 100);
	/* Mapping more is allowed. */
	CHECK(map_down(vm, 300, 200, RW) == vm_page(vm, 300));
	CHECK(touch(vm, 299) == SIGSEGV);
}

TEST_F(grow, as_far_as_a_stack)
{
	EXPECT_CHILD(use_stack);
}

static void use_space(struct vm *vm)
{
	long has;

	CHECK(map_down(vm, TOP, NR, RW) == vm_page(vm, TOP));
	CHECK(!touch(vm, TOP));
	has = proc_number("/proc/self/status", "VmSize:") * 1024;
	/* Natively it counts already. */
	if (!vm_is_native(vm))
		has += NR * PAGE;
	limit_to(RLIMIT_AS, has + 10 * PAGE);
	CHECK(touch(vm, TOP - 11) == SIGSEGV);
	CHECK(!touch(vm, TOP - 10));
	CHECK(touch(vm, TOP - 11) == SIGSEGV);
	CHECK(!vm_munmap(vm, vm_page(vm, TOP + 1), 2 * PAGE));
	CHECK(!touch(vm, TOP - 12));
	CHECK(touch(vm, TOP - 13) == SIGSEGV);
}

TEST_F(grow, as_far_as_the_address_space)
{
	EXPECT_CHILD(use_space);
}

/* A stack is no data. */
static void use_data(struct vm *vm)
{
	CHECK(vm_map_at(vm, 0, NR, RW) == vm->base);
	limit_to(RLIMIT_DATA, PAGE);
	CHECK(map_down(vm, TOP, NR, RW) == vm_page(vm, TOP));
	CHECK(!touch(vm, TOP - 10));
	CHECK(!vm_mprotect(vm, vm_page(vm, TOP), PAGE, PROT_READ));
	CHECK(!vm_mprotect(vm, vm_page(vm, TOP), PAGE, RW));
	CHECK(ERRNO_OF(vm_map_at(vm, TOP + NR, 1, RW)) == ENOMEM);
}

TEST_F(grow, is_not_data)
{
	EXPECT_CHILD(use_data);
}

static void use_lock(struct vm *vm)
{
	struct rlimit limit = { 10 * PAGE, 10 * PAGE };

	CHECK(map_down(vm, TOP, NR, RW) == vm_page(vm, TOP));
	CHECK(!vm_mlock(vm, vm_page(vm, TOP), NR * PAGE));
	CHECK(!touch(vm, TOP - 2));
	CHECK(vm_locked(vm) == NR + 2);
	CHECK(vm_areas(vm) == 1);
	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!setresuid(65534, 65534, 65534));
	CHECK(touch(vm, TOP + NR - 11) == SIGSEGV);
	CHECK(!touch(vm, TOP + NR - 10));
	CHECK(touch(vm, TOP + NR - 11) == SIGSEGV);
	CHECK(!vm_munlockall(vm));
	CHECK(!touch(vm, TOP + NR - 11));
}

TEST_F(grow, as_far_as_may_be_locked)
{
	EXPECT_CHILD(use_lock);
}

/* --- mmap */

TEST_F(grow, mmap_keeps_the_gap)
{
	struct vm *vm = &self->vm;
	char *p;

	vm_enclose(vm);
	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, ZONE - TOP, RW));
	p = vm_mmap(vm, NULL, 8 * PAGE, PROT_READ, ANON);
	EXPECT_EQ(vm_page(vm, TOP - GAP - 8), p);
	/* A hint has to keep it, too. */
	EXPECT_EQ(vm_page(vm, TOP - GAP - 12),
		  vm_mmap(vm, vm_page(vm, TOP - 4), 4 * PAGE, RW, ANON));
	EXPECT_EQ(vm_page(vm, TOP - GAP - 16),
		  vm_mmap(vm, vm_page(vm, TOP - GAP - 3), 4 * PAGE, PROT_READ,
			  ANON));
	EXPECT_EQ(vm_page(vm, 1000),
		  vm_mmap(vm, vm_page(vm, 1000), 4 * PAGE, PROT_READ, ANON));
	/* Who says where need not; then there is nowhere to grow to. */
	EXPECT_EQ(vm_page(vm, TOP - 20), vm_map_at(vm, TOP - 20, 1, RW));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP - 1));
	EXPECT_EQ(vm_page(vm, TOP - 10),
		  vm_mmap(vm, vm_page(vm, TOP - 10), PAGE, RW,
			  ANON | MAP_FIXED_NOREPLACE));
}

/* Below several, and where only gaps are left. */
TEST_F(grow, mmap_looks_further)
{
	struct vm *vm = &self->vm;

	vm_enclose(vm);
	ASSERT_EQ(vm_page(vm, 1700), map_down(vm, 1700, ZONE - 1700, RW));
	ASSERT_EQ(vm_page(vm, 1400), map_down(vm, 1400, 44, RW));
	ASSERT_EQ(vm_page(vm, 200), map_down(vm, 200, 400, RW));
	EXPECT_EQ(vm_page(vm, 1144 - 400),
		  vm_mmap(vm, NULL, 400 * PAGE, PROT_READ, ANON));
	EXPECT_EQ(vm_page(vm, 600),
		  vm_mmap(vm, NULL, 144 * PAGE, PROT_READ, ANON));
	EXPECT_FAIL(ENOMEM, vm_mmap(vm, NULL, PAGE, PROT_READ, ANON));
	EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, 200), 2 * PAGE));
	EXPECT_FAIL(ENOMEM, vm_mmap(vm, NULL, PAGE, PROT_READ, ANON));
	EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, 200), 60 * PAGE));
	EXPECT_EQ(vm->base, vm_mmap(vm, NULL, 4 * PAGE, PROT_READ, ANON));
}

TEST_F(grow, is_refused_for_what_is_shared_or_a_file)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), 4 * PAGE);
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_FAIL(EINVAL,
		    vm_mmap(vm, NULL, PAGE, RW,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, NULL, PAGE, RW,
					MAP_SHARED | MAP_GROWSDOWN, fd, 0));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, NULL, PAGE, RW,
					MAP_PRIVATE | MAP_GROWSDOWN, fd, 0));
	EXPECT_FAIL(EINVAL,
		    vm_map_file(vm, NULL, PAGE, RW,
				MAP_SHARED_VALIDATE | MAP_GROWSDOWN, fd, 0));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, NULL, PAGE, RW,
					MAP_PRIVATE | MAP_GROWSDOWN, zero, 0));
	/* The first mistake is told. */
	EXPECT_FAIL(EACCES, vm_map_file(vm, NULL, PAGE, RW,
					MAP_SHARED | MAP_GROWSDOWN, ro, 0));
	EXPECT_EQ(0, vm_areas(vm));
	close(ro);
	close(fd);
	close(zero);
}

/* --- mprotect */

TEST_F(grow, mprotect_from_its_start)
{
	const int down = PROT_GROWSDOWN;
	struct vm *vm = &self->vm;
	char *p = map_down(vm, TOP, 8, RW);

	EXPECT_EQ(0, touch(vm, TOP - 4));
	EXPECT_EQ(0, vm_mprotect(vm, p + 2 * PAGE, PAGE, PROT_READ | down));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP - 4));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP + 2));
	EXPECT_EQ(0, touch(vm, TOP + 3));
	EXPECT_EQ(2, vm_areas(vm));
	/* The first area that is met: here the upper one. */
	EXPECT_EQ(0, vm_mprotect(vm, p + 5 * PAGE, PAGE, PROT_READ | down));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP + 3));
	EXPECT_EQ(0, touch(vm, TOP + 6));
	/* A hole before it does not matter. */
	EXPECT_EQ(0, vm_mprotect(vm, p - 20 * PAGE, 17 * PAGE, RW | down));
	EXPECT_EQ(0, touch(vm, TOP - 4));
	EXPECT_EQ(SIGSEGV, touch(vm, TOP));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, p - 20 * PAGE, PAGE, RW | down));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, p + 6 * PAGE, 4 * PAGE, RW | down));
}

TEST_F(grow, mprotect_is_refused)
{
	const int down = PROT_GROWSDOWN;
	struct vm *vm = &self->vm;
	char *p = map_down(vm, TOP, 8, RW);

	ASSERT_EQ(vm->base, vm_map_at(vm, 0, 8, RW));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, vm->base, PAGE, RW | down));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, RW | PROT_GROWSUP));
	EXPECT_FAIL(EINVAL, vm_mprotect(vm, p, PAGE, RW | down | PROT_GROWSUP));
	EXPECT_FAIL(ENOMEM, vm_mprotect(vm, p - 9 * PAGE, PAGE, RW | down));
}

/* --- many at once */

static volatile bool stop;

static void *grow_it(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = (uintptr_t)&rng };

	while (!stop) {
		touch(vm, rng_below(&rng, TOP));
		if (!rng_below(&rng, 8))
			vm_munmap(vm, vm->base, rng_below(&rng, TOP) * PAGE);
	}
	return NULL;
}

TEST_F_TIMEOUT(grow, in_several_threads, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread[3];
	size_t low;
	int i;

	ASSERT_EQ(vm_page(vm, TOP), map_down(vm, TOP, NR, RW));
	stop = false;
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, grow_it, vm));
	for (i = 0; i < scaled(60); i++) {
		pid_t pid = fork();

		if (!pid) {
			CHECK(!touch(vm, TOP));
			CHECK(!touch(vm, 5));
			CHECK(vm_areas(vm) == 1);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	low = lowest(vm);
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, low), (TOP - low) * PAGE));
	EXPECT_EQ(TOP, lowest(vm));
}

/* --- what only altvm has */

ALTVM_FIXTURE(altvm_grow, ZONE);

/* A window ends where it starts. */
TEST_F(altvm_grow, not_below_the_window)
{
	struct vm *vm = &self->vm;
	struct fault f;

	ASSERT_EQ(vm->base, map_down(vm, 0, 1, RW));
	EXPECT_EQ(SIGSEGV, probe_write(vm->base - 8, 1, &f));
	EXPECT_EQ(0, lowest(vm));
}

TEST_HARNESS_MAIN
