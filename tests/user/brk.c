// SPDX-License-Identifier: GPL-2.0
/*
 * brk: the heap at a zone's start.  Natively the process' own heap is moved there, so
 * nobody may need more of that meanwhile.
 */
#include <pthread.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

#define ZONE 2048

/* What an area that grows down keeps free below it, in pages. */
#define GAP 256

VM_FIXTURE(brk, ZONE);

static void begin(struct __test_metadata *_metadata, struct vm *vm)
{
	ASSERT_EQ(0, vm_move_heap(vm))
	{
		TH_LOG("vm_move_heap: %s", strerror(errno));
	}
	ASSERT_EQ(vm->base, vm_brk(vm, NULL));
}

#define BEGIN() begin(_metadata, &self->vm)

/* Is the break where it is said to be, for those who ask? */
#define EXPECT_BREAK(want) EXPECT_EQ((char *)(want), vm_brk(&self->vm, NULL))

/* Moving it there works, or leaves it where it was. */
#define EXPECT_MOVES(to) EXPECT_EQ((char *)(to), vm_brk(&self->vm, to))
#define EXPECT_STAYS(to)                                    \
	do {                                                \
		char *before = vm_brk(&self->vm, NULL);     \
		EXPECT_EQ(before, vm_brk(&self->vm, to));   \
		EXPECT_EQ(before, vm_brk(&self->vm, NULL)); \
	} while (0)

TEST_F(brk, begins_with_nothing)
{
	struct vm *vm = &self->vm;

	BEGIN();
	EXPECT_EQ(0, vm_areas(vm));
	EXPECT_STAYS(vm->base - 1);
	EXPECT_STAYS((void *)1);
	EXPECT_STAYS((void *)PAGE);
	EXPECT_STAYS((void *)-1);
	EXPECT_STAYS((void *)-PAGE);
	EXPECT_STAYS((void *)(1UL << 47));
	EXPECT_STAYS((void *)(1UL << 63));
	EXPECT_MOVES(vm->base);
	EXPECT_EQ(0, vm_areas(vm));
}

TEST_F(brk, grows_and_shrinks)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;
	uint64_t value;

	BEGIN();
	EXPECT_MOVES(p + 100);
	EXPECT_EQ(0, vm_resident(vm, p));
	EXPECT_EQ(0, probe_read(p + PAGE - 8, &value, NULL));
	EXPECT_EQ(0, value);
	EXPECT_EQ(0, probe_write(p, 42, NULL));
	EXPECT_EQ(SIGSEGV, probe_read(p + PAGE, NULL, NULL));
	/* No page more, or less. */
	EXPECT_MOVES(p + PAGE);
	EXPECT_EQ(-1, vm_resident(vm, p + PAGE));
	EXPECT_MOVES(p + 1);
	EXPECT_MOVES(p + PAGE + 1);
	EXPECT_EQ(0, vm_resident(vm, p + PAGE));
	EXPECT_MOVES(p + 10 * PAGE);
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_EQ(0, probe_write(p + 9 * PAGE, 42, NULL));
	EXPECT_EQ(0, probe_read(p, &value, NULL));
	EXPECT_EQ(42, value);

	EXPECT_MOVES(p + 9 * PAGE);
	EXPECT_EQ(SIGSEGV, probe_read(p + 9 * PAGE, NULL, NULL));
	EXPECT_MOVES(p + 10 * PAGE);
	EXPECT_EQ(0, probe_read(p + 9 * PAGE, &value, NULL));
	EXPECT_EQ(0, value);
	EXPECT_MOVES(p);
	EXPECT_EQ(0, vm_areas(vm));
	EXPECT_BREAK(p);
}

TEST_F(brk, is_private_memory_that_is_no_code)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;
	pid_t pid;

	BEGIN();
	EXPECT_MOVES(p + 2 * PAGE);
	*p = (char)RET_INSN;
	EXPECT_EQ(SIGSEGV, probe_call(p, NULL));
	EXPECT_EQ(0, vm_mprotect(vm, p, PAGE, RWX));
	EXPECT_EQ(0, probe_call(p, NULL));
	pid = fork();
	if (!pid) {
		*p = 1;
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ((char)RET_INSN, *p);
}

TEST_F(brk, is_code_where_all_is)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	BEGIN();
	pid = fork();
	if (!pid) {
		CHECK(personality(READ_IMPLIES_EXEC) >= 0);
		CHECK(vm_brk(vm, vm->base + PAGE) == vm->base + PAGE);
		*vm->base = (char)RET_INSN;
		CHECK(!probe_call(vm->base, NULL));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

/* The page above stays free. */
TEST_F(brk, keeps_away_from_what_is_above)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;

	BEGIN();
	EXPECT_MOVES(p + PAGE);
	ASSERT_EQ(p + 8 * PAGE, vm_map_at(vm, 8, 1, PROT_NONE));
	EXPECT_STAYS(p + 8 * PAGE);
	EXPECT_STAYS(p + 7 * PAGE + 1);
	EXPECT_STAYS(p + 20 * PAGE);
	EXPECT_MOVES(p + 7 * PAGE);
	EXPECT_EQ(2, vm_areas(vm));
	/* Others need not. */
	ASSERT_EQ(p + 7 * PAGE, vm_map_at(vm, 7, 1, PROT_READ));
	EXPECT_STAYS(p + 7 * PAGE + 1);
	ASSERT_EQ(0, vm_munmap(vm, p + 7 * PAGE, 2 * PAGE));
	EXPECT_MOVES(p + 20 * PAGE);
	EXPECT_EQ(1, vm_areas(vm));
}

TEST_F(brk, keeps_away_from_what_grows_down)
{
	struct vm *vm = &self->vm;
	char *p = vm->base, *q = vm_page(vm, 300 + GAP);

	BEGIN();
	ASSERT_EQ(q,
		  vm_mmap(vm, q, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN));
	EXPECT_STAYS(p + 300 * PAGE);
	EXPECT_STAYS(p + 299 * PAGE + 1);
	EXPECT_MOVES(p + 299 * PAGE);
}

/* What is mapped in the heap's place is not asked for. */
TEST_F(brk, of_which_parts_are_gone)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;

	BEGIN();
	EXPECT_MOVES(p + 10 * PAGE);
	ASSERT_EQ(0, vm_munmap(vm, p + 2 * PAGE, 6 * PAGE));
	EXPECT_BREAK(p + 10 * PAGE);
	EXPECT_MOVES(p + 5 * PAGE);
	EXPECT_EQ(1, vm_areas(vm));
	/* There is nothing to take away: natively that is an error. */
	EXPECT_STAYS(p + 3 * PAGE);
	EXPECT_MOVES(p + 4 * PAGE + 1);
	EXPECT_MOVES(p + PAGE);
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_MOVES(p + 3 * PAGE);
	ASSERT_EQ(0, vm_munmap(vm, p, ZONE * PAGE));
	EXPECT_STAYS(p);
	EXPECT_MOVES(p + 4 * PAGE);
	EXPECT_EQ(-1, vm_resident(vm, p + 2 * PAGE));
	EXPECT_EQ(0, vm_resident(vm, p + 3 * PAGE));
}

TEST_F(brk, over_which_others_are_mapped)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), 4 * PAGE);
	char *p = vm->base;

	BEGIN();
	EXPECT_MOVES(p + 10 * PAGE);
	ASSERT_EQ(p + 4 * PAGE, vm_map_file(vm, p + 4 * PAGE, 4 * PAGE, RW,
					    MAP_SHARED | MAP_FIXED, fd, 0));
	p[5 * PAGE] = 'x';
	EXPECT_EQ(3, vm_areas(vm));
	EXPECT_MOVES(p + 6 * PAGE);
	EXPECT_EQ(2, vm_areas(vm));
	EXPECT_EQ('x', p[5 * PAGE]);
	EXPECT_EQ(SIGSEGV, probe_read(p + 6 * PAGE, NULL, NULL));
	EXPECT_MOVES(p + 8 * PAGE);
	EXPECT_EQ(3, vm_areas(vm));
	EXPECT_MOVES(p);
	EXPECT_EQ(0, vm_areas(vm));
	close(fd);
}

TEST_F(brk, whose_protection_changes)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;

	BEGIN();
	EXPECT_MOVES(p + 4 * PAGE);
	ASSERT_EQ(0, vm_mprotect(vm, p, 4 * PAGE, PROT_READ));
	EXPECT_MOVES(p + 8 * PAGE);
	EXPECT_EQ(SIGSEGV, probe_write(p, 1, NULL));
	EXPECT_EQ(0, probe_write(p + 4 * PAGE, 1, NULL));
	EXPECT_EQ(2, vm_areas(vm));
}

TEST_F(brk, is_inherited)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;
	pid_t pid;

	BEGIN();
	EXPECT_MOVES(p + 4 * PAGE + 5);
	*p = 'p';
	pid = fork();
	if (!pid) {
		CHECK(vm_brk(vm, NULL) == p + 4 * PAGE + 5);
		CHECK(*p == 'p');
		CHECK(vm_brk(vm, p + 100) == p + 100);
		CHECK(vm_brk(vm, p + 20 * PAGE) == p + 20 * PAGE);
		CHECK(p[4 * PAGE] == 0 && *p == 'p');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_BREAK(p + 4 * PAGE + 5);
	EXPECT_EQ(0, vm_resident(vm, p + 4 * PAGE));
}

/* --- limits */

static void limit_to(int resource, long bytes)
{
	struct rlimit limit;

	CHECK(!getrlimit(resource, &limit));
	limit.rlim_cur = bytes;
	CHECK(!setrlimit(resource, &limit));
}

/* Of both worlds: what counts besides the heap. */
static long counted(const char *key)
{
	long kb = proc_number("/proc/self/status", key);

	CHECK(kb >= 0);
	return kb * 1024;
}

/* How far a heap gets in steps of a page, as the limit was set. */
static long reach(struct vm *vm, int resource, const char *key, long room)
{
	long pages = 0;

	CHECK(!vm_move_heap(vm));
	limit_to(resource, counted(key) + room * PAGE);
	while (vm_brk(vm, vm->base + (pages + 1) * PAGE) ==
	       vm->base + (pages + 1) * PAGE)
		pages++;
	CHECK(vm_brk(vm, NULL) == vm->base + pages * PAGE);
	CHECK(vm_brk(vm, vm->base + (pages + 2) * PAGE) ==
	      vm->base + pages * PAGE);
	/* Shrinking is allowed, and gives room. */
	CHECK(vm_brk(vm, vm->base + PAGE) == vm->base + PAGE);
	CHECK(vm_mmap(vm, vm_page(vm, 1000), (pages - 1) * PAGE, RW,
		      ANON | MAP_FIXED) != MAP_FAILED);
	CHECK(vm_brk(vm, vm->base + 2 * PAGE) == vm->base + PAGE);
	return pages;
}

TEST_F(brk, is_limited)
{
	static const struct {
		int resource;
		const char *key;
	} limits[] = {
		{ RLIMIT_AS, "VmSize:" },
		{ RLIMIT_DATA, "VmData:" },
	};
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		pid_t pid = fork();

		if (!pid) {
			CHECK(reach(vm, limits[i].resource, limits[i].key,
				    50) == 50);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid))
		{
			TH_LOG("%s", limits[i].key);
		}
	}
}

/* A heap alone may be as large as RLIMIT_DATA, and its last byte counts. */
TEST_F(brk, is_limited_to_the_byte)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;
	pid_t pid;

	BEGIN();
	pid = fork();
	if (!pid) {
		char *max;

		/* No room for a page, but for what the last one has left. */
		CHECK(vm_brk(vm, p + 9 * PAGE + 1) == p + 9 * PAGE + 1);
		limit_to(RLIMIT_DATA, 8 * PAGE);
		CHECK(vm_brk(vm, p + 9 * PAGE + 2) == p + 9 * PAGE + 1);
		CHECK(vm_brk(vm, p + 9 * PAGE + 1) == p + 9 * PAGE + 1);
		for (max = p; vm_brk(vm, max + 1) == max + 1; max++)
			;
		fprintf(stderr, "# the program itself: %ld bytes\n",
			p + 8 * PAGE - max);
		CHECK(max <= p + 8 * PAGE);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

TEST_F(brk, is_locked)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;

	BEGIN();
	EXPECT_EQ(0, vm_mlockall(vm, MCL_FUTURE));
	EXPECT_MOVES(p + 4 * PAGE);
	EXPECT_EQ(1, vm_resident(vm, p + 3 * PAGE));
	EXPECT_EQ(4, vm_locked(vm));
	EXPECT_MOVES(p + PAGE + 1);
	EXPECT_EQ(2, vm_locked(vm));
	EXPECT_EQ(0, vm_munlockall(vm));
	EXPECT_MOVES(p + 3 * PAGE);
	EXPECT_EQ(0, vm_resident(vm, p + 2 * PAGE));
	EXPECT_EQ(0, vm_locked(vm));
}

TEST_F(brk, is_locked_within_the_limit)
{
	struct vm *vm = &self->vm;
	char *p = vm->base;
	pid_t pid;

	BEGIN();
	pid = fork();
	if (!pid) {
		struct rlimit limit = { 4 * PAGE, 4 * PAGE };

		CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
		CHECK(!setresuid(65534, 65534, 65534));
		CHECK(!vm_mlockall(vm, MCL_FUTURE));
		CHECK(vm_brk(vm, p + 5 * PAGE) == p);
		CHECK(vm_brk(vm, p + 4 * PAGE) == p + 4 * PAGE);
		CHECK(vm_resident(vm, p + 3 * PAGE) == 1);
		CHECK(vm_brk(vm, p + 4 * PAGE + 1) == p + 4 * PAGE);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

/* --- against the oracle */

static long random_step(struct vm *vm, struct rng *rng)
{
	size_t page = rng_below(rng, 40), len = (1 + rng_below(rng, 8)) * PAGE;
	char *p = vm_page(vm, page);

	switch (rng_below(rng, 8)) {
	case 0:
		return ERRNO_OF(vm_munmap(vm, p, len));
	case 1:
		return ERRNO_OF(vm_mprotect(vm, p, len, rng_below(rng, 4)));
	case 2:
		if (rng_below(rng, 4))
			return 0;
		return ERRNO_OF(vm_map_at(vm, page, len / PAGE, RW));
	default:
		return vm_brk(vm, p + rng_below(rng, 3)) - vm->base;
	}
}

TEST_F_TIMEOUT(brk, as_natively, SLOW)
{
	struct rng a = { .state = env_number("ALTVM_SEED", 9) }, b = a;
	struct vm native, *vm = &self->vm;
	long i, k;

	if (vm_is_native(vm))
		SKIP(return, "that is the oracle");
	ASSERT_EQ(0, vm_open(&native, &vm_native, ZONE * PAGE));
	begin(_metadata, &native);
	for (i = 0; i < scaled(3000); i++) {
		long want = random_step(&native, &a);

		ASSERT_EQ(want, random_step(vm, &b))
		{
			TH_LOG("step %ld", i);
		}
		for (k = 0; i % 16 == 0 && k < 50; k++)
			ASSERT_EQ(vm_resident(&native, vm_page(&native, k)),
				  vm_resident(vm, vm_page(vm, k)))
			{
				TH_LOG("page %ld after step %ld", k, i);
			}
	}
}

/* --- several at once */

static volatile bool stop;

static void *move_it(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = (uintptr_t)&rng };

	while (!stop) {
		char *to = vm->base + rng_below(&rng, 64 * PAGE);

		vm_brk(vm, to);
	}
	return NULL;
}

static void *touch_it(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = (uintptr_t)&rng };

	while (!stop)
		probe_write(vm->base + rng_below(&rng, 64) * PAGE, 1, NULL);
	return NULL;
}

TEST_F_TIMEOUT(brk, is_moved_by_several_threads, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread[3];
	char *p = vm->base;
	int i;

	BEGIN();
	stop = false;
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL,
					    i < 2 ? move_it : touch_it, vm));
	for (i = 0; i < scaled(60); i++) {
		pid_t pid = fork();

		if (!pid) {
			char *at = vm_brk(vm, NULL);

			CHECK(at >= p && at <= p + 64 * PAGE);
			/* The kernel's fork does not stop a brk. */
			if (vm_is_native(vm))
				_exit(0);
			CHECK(vm_brk(vm, p + 70 * PAGE) == p + 70 * PAGE);
			CHECK(vm_areas(vm) == 1);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT_MOVES(p + 70 * PAGE);
	EXPECT_TRUE(vm_is_native(vm) || vm_areas(vm) == 1);
	EXPECT_MOVES(p);
	EXPECT_EQ(0, vm_areas(vm));
}

/* --- what only altvm has */

ALTVM_FIXTURE(altvm_brk, ZONE);

TEST_F(altvm_brk, ends_with_the_window)
{
	struct vm *vm = &self->vm;
	char *end = vm->base + vm->len;

	EXPECT_STAYS(end + 1);
	EXPECT_STAYS(end + PAGE);
	EXPECT_MOVES(end);
	EXPECT_EQ(0, vm_resident(vm, end - PAGE));
	EXPECT_MOVES(vm->base);
}

static void *map_over_it(void *arg)
{
	struct vm *vm = arg;

	while (!stop)
		vm_mmap(vm, vm->base, 64 * PAGE, RW,
			ANON | MAP_FIXED | MAP_POPULATE);
	return NULL;
}

/* What waits for others to be done waits for nothing beyond the window. */
TEST_F_TIMEOUT(altvm_brk, ends_with_the_window_under_threads, SLOW)
{
	struct vm *vm = &self->vm;
	char *end = vm->base + vm->len;
	pthread_t thread;
	long i;

	EXPECT_MOVES(vm->base + 64 * PAGE);
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_over_it, vm));
	for (i = 0; i < scaled(2000); i++) {
		EXPECT_EQ(end - i % 2, vm_brk(vm, end - i % 2));
		EXPECT_EQ(vm->base + 64 * PAGE,
			  vm_brk(vm, vm->base + 64 * PAGE));
	}
	stop = true;
	pthread_join(thread, NULL);
}

TEST_F(altvm_brk, needs_a_window_that_can_be_written)
{
	struct vm vm = { .ops = &vm_ioctl };

	ASSERT_EQ(0, vm_ioctl.open(&vm, NULL, ZONE * PAGE, PROT_READ));
	EXPECT_EQ(vm.base, vm_brk(&vm, vm.base + PAGE));
	EXPECT_EQ(0, vm_areas(&vm));
	vm_close(&vm);
}

/* The process' own heap is another one. */
TEST_F(altvm_brk, is_not_the_kernels)
{
	struct vm *vm = &self->vm;
	void *own = sbrk(0);

	EXPECT_MOVES(vm->base + 5 * PAGE);
	EXPECT_EQ(own, sbrk(0));
	EXPECT_NE((void *)-1, sbrk(PAGE));
	EXPECT_BREAK(vm->base + 5 * PAGE);
}

TEST_HARNESS_MAIN
