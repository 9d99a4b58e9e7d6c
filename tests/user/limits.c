// SPDX-License-Identifier: GPL-2.0
/*
 * RLIMIT_AS and RLIMIT_DATA count what is mapped in a zone, and not the window;
 * a memory cgroup is charged for its pages.
 */
#include <sys/resource.h>

#include "child.h"
#include "fixture.h"
#include "memcg.h"

#define PAGES 128
#define STEPS 400

/* How far the limit is from what the process has. */
#define AS_PAGES 64
#define DATA_PAGES 32

/*
 * A script under a limit, in a process of its own, for the systems share the
 * kernel's counters.  Its outcomes: 0, or errno.
 */
struct outcomes {
	int ready;
	int err[STEPS];
	unsigned char protection[STEPS];
};

static int set_limit(int resource)
{
	const char *key = resource == RLIMIT_AS ? "VmSize:" : "VmData:";
	long has = proc_number("/proc/self/status", key) * 1024;
	struct rlimit limit;

	limit.rlim_cur =
		has + PAGE * (resource == RLIMIT_AS ? AS_PAGES : DATA_PAGES);
	limit.rlim_max = limit.rlim_cur;
	return setrlimit(resource, &limit);
}

static int run_step(struct vm *vm, struct rng *rng, int resource)
{
	size_t page = rng_below(rng, PAGES);
	size_t max = PAGES - page < 40 ? PAGES - page : 40;
	size_t len = (1 + rng_below(rng, max)) * PAGE;
	int prot = rng_below(rng, 4);
	char *p = vm->base + page * PAGE;

	switch (rng_below(rng, 5)) {
	case 4:
		/* Of one page: which are one mapping is no question. */
		return ERRNO_OF(vm_mremap(vm, p, PAGE, len, 0, NULL));
	case 0:
		return ERRNO_OF(vm_munmap(vm, p, len));
	case 1:
		return ERRNO_OF(vm_mprotect(vm, p, len, prot));
	default:
		/*
		 * The kernel counts a replaced mapping as data whatever it was:
		 * altvm is more exact.
		 */
		return ERRNO_OF(vm_mmap(vm, p, len, prot,
					ANON | (resource == RLIMIT_DATA ?
							MAP_FIXED_NOREPLACE :
							MAP_FIXED)));
	}
}

static void run_script(const struct vm_ops *ops, int resource,
		       struct outcomes *out)
{
	struct rng rng = { .state = 11 };
	struct vm vm;
	int i;

	/* Nothing may be allocated from here on. */
	proc_number("/proc/self/status", "VmSize:");
	if (vm_open(&vm, ops, PAGES * PAGE) || set_limit(resource))
		_exit(1);
	for (i = 0; i < STEPS; i++) {
		char *p = vm.base + rng_below(&rng, PAGES) * PAGE;

		out->err[i] = run_step(&vm, &rng, resource);
		out->protection[i] = !probe_read(p, NULL, NULL) +
				     2 * !probe_rewrite(p, NULL);
	}
	out->ready = 1;
	_exit(0);
}

static struct outcomes *outcomes_of(const struct vm_ops *ops, int resource)
{
	struct outcomes *out =
		mmap(NULL, sizeof(*out), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (!pid)
		run_script(ops, resource, out);
	waitpid(pid, NULL, 0);
	return out;
}

FIXTURE(limit)
{
	int unused;
};

FIXTURE_VARIANT(limit)
{
	int resource;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(limit, rlimit_as) {
	.resource = RLIMIT_AS,
};

FIXTURE_VARIANT_ADD(limit, rlimit_data) {
	.resource = RLIMIT_DATA,
};

/* clang-format on */

FIXTURE_SETUP(limit)
{
	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
}

FIXTURE_TEARDOWN(limit)
{
}

TEST_F(limit, count_as_natively)
{
	struct outcomes *want = outcomes_of(&vm_native, variant->resource);
	struct outcomes *got = outcomes_of(&vm_ioctl, variant->resource);
	int i, refused = 0;

	ASSERT_TRUE(want->ready);
	ASSERT_TRUE(got->ready);
	for (i = 0; i < STEPS; i++) {
		ASSERT_EQ(want->err[i], got->err[i])
		{
			TH_LOG("step %d", i);
		}
		ASSERT_EQ(want->protection[i], got->protection[i])
		{
			TH_LOG("page after step %d", i);
		}
		refused += want->err[i] == ENOMEM;
	}
	/* It was a test. */
	EXPECT_LT(10, refused);
	EXPECT_GT(STEPS - 10, refused);
}

/* A limit of 0 that could be raised is none: there were programs that set it. */
TEST(no_data_at_all)
{
	static const struct vm_ops *const ops[] = { &vm_native, &vm_ioctl };
	struct rlimit limit = { 0, RLIM_INFINITY };
	struct vm vm;
	size_t i;
	pid_t pid;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		pid = fork();
		if (!pid) {
			CHECK(!vm_open(&vm, ops[i], PAGES * PAGE));
			CHECK(!setrlimit(RLIMIT_DATA, &limit));
			CHECK(vm_map_at(&vm, 0, 8, RW) == vm.base);
			limit.rlim_max = PAGE;
			CHECK(!setrlimit(RLIMIT_DATA, &limit));
			CHECK(ERRNO_OF(vm_map_at(&vm, 8, 8, RW)) == ENOMEM);
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
}

/* Several windows of a process share its limit. */
TEST(windows_share_the_limit)
{
	struct vm vm[3];
	size_t i, total = 0;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vm_open(&vm[i], &vm_ioctl, PAGES * PAGE));
	ASSERT_EQ(0, set_limit(RLIMIT_AS));
	for (i = 0; i < 3 * AS_PAGES; i++)
		total += vm_mmap(&vm[i % 3], NULL, PAGE, RW, ANON) !=
			 MAP_FAILED;
	EXPECT_EQ(AS_PAGES, total);
	EXPECT_FAIL(ENOMEM, vm_mmap(&vm[2], NULL, PAGE, RW, ANON));
	/* What a window held is free when it is gone. */
	ASSERT_EQ(0, munmap(vm[1].base, PAGES * PAGE));
	EXPECT_NE(MAP_FAILED, vm_mmap(&vm[2], NULL, PAGE, RW, ANON));
}

static long size_in_child(bool unmap, struct vm *vm)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		long before = proc_number("/proc/self/status", "VmSize:");

		if (unmap)
			munmap(vm->base, vm->len);
		_exit(before != proc_number("/proc/self/status", "VmSize:"));
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Nor does the window count for the kernel's own calls. */
TEST(a_window_leaves_room)
{
	const size_t large = 64 * MiB;
	struct rlimit limit;
	long before, after;
	struct vm vm;
	char *p;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	proc_number("/proc/self/status", "VmSize:");
	before = proc_number("/proc/self/status", "VmSize:");
	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, 1024 * MiB));
	after = proc_number("/proc/self/status", "VmSize:");
	EXPECT_LE(before, after);
	EXPECT_GT(1024, after - before);
	EXPECT_EQ(0, size_in_child(false, &vm));
	EXPECT_EQ(0, size_in_child(true, &vm));
	limit.rlim_cur = after * 1024 + large;
	limit.rlim_max = limit.rlim_cur;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	p = mmap(NULL, large, RW, ANON, -1, 0);
	EXPECT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(0, munmap(p, large));
	EXPECT_EQ(0, munmap(vm.base, vm.len));
	EXPECT_EQ(after, proc_number("/proc/self/status", "VmSize:"));
	p = mmap(NULL, large, RW, ANON, -1, 0);
	EXPECT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, ANON, -1, 0));
}

/* A child's copy counts as the original does. */
TEST(a_fork_counts_as_well)
{
	struct vm vm;
	int status;
	pid_t pid;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, PAGES * PAGE));
	ASSERT_EQ(0, set_limit(RLIMIT_AS));
	ASSERT_NE(MAP_FAILED, vm_mmap(&vm, NULL, AS_PAGES * PAGE, RW, ANON));
	EXPECT_FAIL(ENOMEM, vm_mmap(&vm, NULL, PAGE, RW, ANON));
	pid = fork();
	if (!pid) {
		if (ERRNO_OF(vm_mmap(&vm, NULL, PAGE, RW, ANON)) != ENOMEM)
			_exit(1);
		if (vm_munmap(&vm, vm.base + (PAGES - 8) * PAGE, 8 * PAGE))
			_exit(2);
		if (vm_mmap(&vm, NULL, 8 * PAGE, RW, ANON) == MAP_FAILED)
			_exit(3);
		_exit(ERRNO_OF(vm_mmap(&vm, NULL, PAGE, RW, ANON)) != ENOMEM);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FAIL(ENOMEM, vm_mmap(&vm, NULL, PAGE, RW, ANON));
}

/* Memory cgroups. */

#define BIG_PAGES (64 * MiB / PAGE)

FIXTURE(memcg)
{
	struct memcg g;
};

FIXTURE_VARIANT(memcg)
{
	const struct vm_ops *ops;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(memcg, native) {
	.ops = &vm_native,
};

FIXTURE_VARIANT_ADD(memcg, altvm) {
	.ops = &vm_ioctl,
};

/* clang-format on */

FIXTURE_SETUP(memcg)
{
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	if (memcg_open(&self->g, 16 * MiB, false))
		return;
	ASSERT_NE(0, access(CGROUPS "/memory.stat", F_OK));
	SKIP(return, "no cgroup2 with memory");
}

FIXTURE_TEARDOWN(memcg)
{
	/* A cgroup that is charged for what is gone cannot go itself. */
	EXPECT_EQ(0, memcg_close(&self->g));
}

/* A child in the cgroup, with an open zone; in it, 0. */
static pid_t fork_into(const struct memcg *g, const struct vm_ops *ops,
		       struct vm *vm)
{
	pid_t pid = fork();

	if (!pid) {
		CHECK(!memcg_enter(g));
		CHECK(!vm_open(vm, ops, BIG_PAGES * PAGE));
	}
	return pid;
}

TEST_F_TIMEOUT(memcg, is_charged_and_uncharged, SLOW)
{
	const size_t pages = 8 * MiB / PAGE;
	const long slack = 2 * MiB;
	long before, full, after;
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->g, variant->ops, &vm);

	if (!pid) {
		before = memcg_get(&self->g, "memory.current", "");
		CHECK(vm_map_at(&vm, 0, pages, RW) == vm.base);
		for (i = 0; i < pages; i++)
			vm.base[i * PAGE] = 1;
		full = memcg_get(&self->g, "memory.current", "");
		CHECK(!vm_munmap(&vm, vm.base, pages * PAGE));
		after = memcg_get(&self->g, "memory.current", "");
		fprintf(stderr, "# %ld, touched %ld, unmapped %ld\n", before,
			full, after);
		CHECK(full - before > (long)(pages * PAGE) - slack);
		CHECK(after - before < slack);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->g));
}

TEST_F_TIMEOUT(memcg, is_not_exhausted_by_what_is_gone, SLOW)
{
	const size_t pages = 4 * MiB / PAGE;
	struct vm vm;
	size_t i, k;
	pid_t pid = fork_into(&self->g, variant->ops, &vm);

	if (!pid) {
		for (k = 0; k < 12; k++) {
			CHECK(vm_map_at(&vm, k * pages, pages, RW) !=
			      MAP_FAILED);
			for (i = 0; i < pages; i++)
				vm.base[(k * pages + i) * PAGE] = 1;
			CHECK(!vm_munmap(&vm, vm.base, BIG_PAGES * PAGE));
		}
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->g));
}

/* Nor by children that are gone: 8 MiB, of which each child changes a part. */
TEST_F_TIMEOUT(memcg, is_not_exhausted_by_forks, SLOW)
{
	const size_t pages = 8 * MiB / PAGE;
	struct vm vm;
	size_t i, k;
	pid_t pid = fork_into(&self->g, variant->ops, &vm);

	if (!pid) {
		CHECK(vm_map_at(&vm, 0, pages, RW) == vm.base);
		for (i = 0; i < pages; i++)
			vm.base[i * PAGE] = 1;
		for (k = 0; k < 12; k++) {
			pid = fork();
			CHECK(pid >= 0);
			if (!pid) {
				for (i = 0; i < pages / 4; i++)
					vm.base[i * PAGE] = 2;
				_exit(0);
			}
			for (i = 0; i < pages / 4; i++)
				vm.base[(pages / 2 + i) * PAGE] = 3 + k;
			CHECK(!end_of(pid));
		}
		CHECK(vm.base[0] == 1);
		CHECK(vm.base[pages / 2 * PAGE] == 14);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->g));
}

/* Each takes four times the limit. */
static void touch(struct vm *vm)
{
	size_t i;

	CHECK(vm_map_at(vm, 0, BIG_PAGES, RW) == vm->base);
	for (i = 0; i < BIG_PAGES; i++)
		vm->base[i * PAGE] = 1;
}

static void populate(struct vm *vm)
{
	vm_mmap(vm, vm->base, BIG_PAGES * PAGE, RW,
		ANON | MAP_FIXED | MAP_POPULATE);
	/* If it gave up, the next access goes on. */
	touch(vm);
}

static void read_into(struct vm *vm)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	CHECK(vm_map_at(vm, 0, BIG_PAGES, RW) == vm->base);
	CHECK(read(fd, vm->base, BIG_PAGES * PAGE) >= 0);
	touch(vm);
}

TEST_F_TIMEOUT(memcg, kills_who_takes_too_much, SLOW)
{
	static void (*const take[])(struct vm *) = {
		touch,
		populate,
		read_into,
	};
	struct vm vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(take); i++) {
		pid_t pid = fork_into(&self->g, variant->ops, &vm);

		if (!pid) {
			take[i](&vm);
			_exit(0);
		}
		EXPECT_EQ(SIGKILL, end_of(pid))
		{
			TH_LOG("way %zu", i);
		}
		EXPECT_EQ(i + 1, memcg_kills(&self->g));
	}
}

/* What the module remembers of areas is charged as well. */
TEST_F_TIMEOUT(memcg, is_charged_for_areas, SLOW)
{
	const size_t pages = 16000;
	long before, after;
	struct vm vm;
	size_t i;
	pid_t pid;

	if (scaled(pages) != (long)pages)
		SKIP(return, "takes too long");
	pid = fork_into(&self->g, variant->ops, &vm);
	if (!pid) {
		CHECK(vm_map_at(&vm, 0, pages, RW) == vm.base);
		before = memcg_get(&self->g, "memory.current", "");
		for (i = 0; i < pages; i += 2)
			CHECK(!vm_mprotect(&vm, vm.base + i * PAGE, PAGE,
					   PROT_READ));
		after = memcg_get(&self->g, "memory.current", "");
		fprintf(stderr, "# %zu areas: %ld bytes\n", pages,
			after - before);
		CHECK(after - before > (long)pages * 8);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

/*
 * One page of zeroes each 2 MiB: nothing of it is the user's, but the tables are
 * there for him.
 */
TEST_F_TIMEOUT(memcg, is_charged_for_tables, SLOW)
{
	const size_t tables = 500, stride = 512;
	long before, after;
	struct vm small, vm;
	pid_t pid = fork_into(&self->g, variant->ops, &small);
	size_t i;

	if (!pid) {
		CHECK(!vm_open(&vm, variant->ops, tables * stride * PAGE));
		CHECK(vm_map_at(&vm, 0, tables * stride, RW) == vm.base);
		before = memcg_get(&self->g, "memory.current", "");
		for (i = 0; i < tables; i++)
			CHECK(!probe_read(vm.base + i * stride * PAGE, NULL,
					  NULL));
		after = memcg_get(&self->g, "memory.current", "");
		fprintf(stderr, "# %zu tables: %ld bytes\n", tables,
			after - before);
		CHECK(after - before > (long)(tables * PAGE * 7 / 8) *
					       (vm_is_native(&vm) ? 1 : 2));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->g));
}

TEST_HARNESS_MAIN
