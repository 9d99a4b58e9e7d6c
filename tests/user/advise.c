// SPDX-License-Identifier: GPL-2.0
/* madvise: what is refused, and advice about forks, dumps and reading ahead. */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

/* The tests advise on these. */
#define FIRST 8
#define NR 16
#define ZONE 256

/* Newer than some C libraries. */
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif

VM_FIXTURE(advise, ZONE);

static int advise_pages(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

/* Pages that hold a mark, which the file has too; the file, or -1. */
static int furnish(struct vm *vm, enum memory m)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'p', PAGE);
	for (i = FIRST; i < FIRST + NR; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -1;
	if (vm_munmap(vm, vm->base, ZONE * PAGE) ||
	    memory_map(vm, m, FIRST, NR, RW, fd) == MAP_FAILED)
		return -1;
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	return fd;
}

/* A letter for a page: '.' nothing is there, '-' no access, '0' zeroes, its mark. */
static char look_at(char *p)
{
	struct fault f;
	uint64_t value;

	if (probe_read(p, &value, &f))
		return f.code == SEGV_MAPERR ? '.' : '-';
	return value ? (char)value : '0';
}

static void look(struct vm *vm, char *out)
{
	size_t i;

	for (i = 0; i < NR; i++)
		out[i] = look_at(vm_page(vm, FIRST + i));
	out[NR] = 0;
}

static void check_look(struct vm *vm, const char *want, long areas)
{
	char now[NR + 1];

	look(vm, now);
	if (strcmp(want, now))
		fprintf(stderr, "# %s, not %s\n", now, want);
	CHECK(!strcmp(want, now));
	CHECK(areas < 0 || vm_areas(vm) == areas);
}

/*
 * What a child sees, and how many areas it has if that is not -1; then its own
 * child, and so on.
 */
static void be_child(struct vm *vm, const char *want, long areas,
		     int generations)
{
	pid_t pid = 0;
	size_t i;

	while (!pid && generations--) {
		check_look(vm, want, areas);
		/* What was wiped, is wiped once more. */
		for (i = 0; i < NR; i++)
			if (want[i] == '0')
				*vm_page(vm, FIRST + i) = 'c';
		pid = fork();
		CHECK(pid >= 0);
	}
	CHECK(!pid || !end_of(pid));
	_exit(0);
}

static int status_of_child(struct vm *vm, const char *want, long areas)
{
	pid_t pid = fork();

	if (!pid)
		be_child(vm, want, areas, 3);
	return pid < 0 ? -1 : end_of(pid);
}

#define EXPECT_CHILD(want, areas) \
	EXPECT_EQ(0, status_of_child(&self->vm, want, areas))

#define ALL "pppppppppppppppp"

TEST_F(advise, what_is_refused)
{
	static const int unknown[] = { -1, 5, 6, 7, 27, 99, 1 << 20 };
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, PAGE, unknown[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, 0, unknown[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, vm->base, PAGE, unknown[i]));
	}
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, MADV_DONTFORK));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, 0, MADV_DONTFORK));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -1UL, MADV_DONTFORK));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -PAGE, MADV_DONTFORK));
	EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -(size_t)p, MADV_DONTFORK));
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_CHILD(ALL, 1);
}

TEST_F(advise, nothing_to_do)
{
	struct vm *vm = &self->vm;

	EXPECT_EQ(0, vm_madvise(vm, vm->base, 0, MADV_DONTFORK));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, PAGE, MADV_DONTFORK));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, 1, MADV_NORMAL));
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, vm_madvise(vm, vm_page(vm, FIRST), 0, MADV_DONTFORK));
	EXPECT_CHILD(ALL, 1);
	/* Part of a page is a page. */
	EXPECT_EQ(0,
		  vm_madvise(vm, vm_page(vm, FIRST), PAGE + 1, MADV_DONTFORK));
	EXPECT_CHILD("..pppppppppppppp", 1);
}

TEST_F(advise, holes)
{
	struct vm *vm = &self->vm;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 4), 2 * PAGE));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 10), PAGE));
	/* All that is there gets it. */
	EXPECT_FAIL(ENOMEM, advise_pages(vm, FIRST, 8, MADV_DONTFORK));
	EXPECT_CHILD("........pp.ppppp", 2);
	EXPECT_FAIL(ENOMEM, advise_pages(vm, FIRST, NR, MADV_DOFORK));
	EXPECT_CHILD("pppp..pppp.ppppp", 3);
	EXPECT_FAIL(ENOMEM, advise_pages(vm, FIRST + 4, 4, MADV_WIPEONFORK));
	EXPECT_CHILD("pppp..00pp.ppppp", 4);
	EXPECT_FAIL(ENOMEM, advise_pages(vm, FIRST + 14, 8, MADV_WIPEONFORK));
	EXPECT_CHILD("pppp..00pp.ppp00", 5);
	/* To the zone's end and beyond. */
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm_page(vm, FIRST + 12), GiB,
				       MADV_DONTFORK));
	EXPECT_CHILD("pppp..00pp.p....", 4);
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, GiB, MADV_DOFORK));
	EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, GiB, MADV_KEEPONFORK));
	EXPECT_CHILD("pppp..pppp.ppppp", 3);
}

/* What is wrong with an area is told, and ends it; a hole before does not. */
TEST_F(advise, the_first_error)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, PRIVATE_ANON);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, SHARED_FILE, FIRST + 4, 4, RW, fd));
	EXPECT_FAIL(EINVAL, advise_pages(vm, FIRST, NR, MADV_WIPEONFORK));
	EXPECT_CHILD("0000pppppppppppp", 3);
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 2), PAGE));
	EXPECT_FAIL(EINVAL, advise_pages(vm, FIRST + 1, 6, MADV_WIPEONFORK));
	EXPECT_FAIL(EINVAL, advise_pages(vm, FIRST + 4, 8, MADV_WIPEONFORK));
	EXPECT_CHILD("00.0pppppppppppp", 4);
	EXPECT_FAIL(ENOMEM, advise_pages(vm, FIRST, NR, MADV_KEEPONFORK));
	EXPECT_CHILD("pp.ppppppppppppp", 4);
}

TEST_F(advise, left_out_of_a_fork)
{
	struct vm *vm = &self->vm;
	enum memory m;
	pid_t pid;

	for_each_memory(m) {
		int fd = furnish(vm, m);

		ASSERT_LE(0, fd);
		EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_DONTFORK));
		EXPECT_CHILD("................", 0);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* There is room for something else. */
			char *p = vm_mmap(vm, vm_page(vm, FIRST), NR * PAGE, RW,
					  ANON | MAP_FIXED_NOREPLACE);

			CHECK(p == vm_page(vm, FIRST));
			CHECK(look_at(p) == '0');
			memset(p, 'c', NR * PAGE);
			be_child(vm, "cccccccccccccccc", 1, 2);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ('p', *vm_page(vm, FIRST));
		EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_DOFORK));
		EXPECT_CHILD(ALL, 1);
		close(fd);
	}
}

TEST_F(advise, wiped_by_a_fork)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m);
		int err = m == PRIVATE_ANON ? 0 : EINVAL;

		ASSERT_LE(0, fd);
		EXPECT_FAIL(err, advise_pages(vm, FIRST, NR, MADV_WIPEONFORK));
		EXPECT_CHILD(err ? ALL : "0000000000000000", 1);
		EXPECT_EQ('p', *vm_page(vm, FIRST));
		EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_KEEPONFORK));
		EXPECT_CHILD(ALL, 1);
		close(fd);
	}
}

/* A child keeps nothing of what was wiped, and can use it. */
TEST_F(advise, wiped_memory_is_new)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	pid_t pid;
	int i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	ASSERT_EQ(0, advise_pages(vm, FIRST, 8, MADV_WIPEONFORK));
	ASSERT_EQ(0, vm_mprotect(vm, p + 4 * PAGE, PAGE, PROT_READ));
	ASSERT_EQ(0, vm_mprotect(vm, p + 5 * PAGE, PAGE, PROT_NONE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 8; i++)
			CHECK(vm_resident(vm, p + i * PAGE) == 0);
		CHECK(vm_resident(vm, p + 8 * PAGE) == 1);
		CHECK(!probe_write(p, 1, NULL));
		CHECK(probe_write(p + 4 * PAGE, 1, NULL) == SIGSEGV);
		CHECK(probe_read(p + 5 * PAGE, NULL, NULL) == SIGSEGV);
		CHECK(!vm_mprotect(vm, p, 8 * PAGE, RW));
		for (i = 1; i < 8; i++)
			CHECK(look_at(p + i * PAGE) == '0');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, vm_mprotect(vm, p, 8 * PAGE, RW));
	EXPECT_CHILD("00000000pppppppp", 2);
	for (i = 0; i < NR; i++)
		EXPECT_EQ('p', p[i * PAGE]);
}

static const struct pair {
	int advice, undo;
} pairs[] = {
	{ MADV_DONTFORK, MADV_DOFORK },	  { MADV_WIPEONFORK, MADV_KEEPONFORK },
	{ MADV_DONTDUMP, MADV_DODUMP },	  { MADV_RANDOM, MADV_NORMAL },
	{ MADV_SEQUENTIAL, MADV_NORMAL },
};

/* An area is cut where advice begins and ends, and whole again without it. */
TEST_F(advise, parts_of_areas)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(pairs); i++) {
			const int advice = pairs[i].advice;
			int fd = furnish(vm, m);

			ASSERT_LE(0, fd);
			if (m != PRIVATE_ANON && advice == MADV_WIPEONFORK)
				continue;
			EXPECT_EQ(0, advise_pages(vm, FIRST + 4, 4, advice));
			EXPECT_EQ(3, vm_areas(vm))
			{
				TH_LOG("%s, %d", memory_name(m), advice);
			}
			/* What has it, has it. */
			EXPECT_EQ(0, advise_pages(vm, FIRST + 5, 2, advice));
			EXPECT_EQ(3, vm_areas(vm));
			EXPECT_EQ(0, advise_pages(vm, FIRST, 4, advice));
			EXPECT_EQ(2, vm_areas(vm));
			EXPECT_EQ(0, advise_pages(vm, FIRST + 1, 1,
						  pairs[i].undo));
			EXPECT_EQ(4, vm_areas(vm));
			EXPECT_EQ(0,
				  advise_pages(vm, FIRST, NR, pairs[i].undo));
			EXPECT_EQ(1, vm_areas(vm));
			EXPECT_CHILD(ALL, 1);
			close(fd);
		}
}

/* Advice of several kinds is kept apart. */
TEST_F(advise, all_at_once)
{
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		EXPECT_EQ(0,
			  advise_pages(vm, FIRST + 2 * i, 8, pairs[i].advice));
	EXPECT_CHILD("........00pppppp", 3);
	EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_DOFORK));
	EXPECT_CHILD("pp00000000pppppp", 7);
	EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_NORMAL));
	EXPECT_CHILD("pp00000000pppppp", 5);
	EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_DODUMP));
	EXPECT_CHILD("pp00000000pppppp", 3);
	EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_KEEPONFORK));
	EXPECT_CHILD(ALL, 1);
}

/* A new protection leaves the advice as it is, a new mapping has none. */
TEST_F(advise, later_calls)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m);

		ASSERT_LE(0, fd);
		EXPECT_EQ(0, advise_pages(vm, FIRST, 8, MADV_DONTFORK));
		EXPECT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST + 4), 8 * PAGE,
					 PROT_READ));
		EXPECT_EQ(4, vm_areas(vm));
		EXPECT_CHILD("........pppppppp", 2);
		EXPECT_EQ(0,
			  vm_mprotect(vm, vm_page(vm, FIRST), NR * PAGE, RW));
		EXPECT_EQ(2, vm_areas(vm));
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, 2, RW, fd));
		if (!memory_is_file(m))
			memset(vm_page(vm, FIRST), 'p', 2 * PAGE);
		EXPECT_EQ(3, vm_areas(vm));
		EXPECT_CHILD("pp......pppppppp", 2);
		EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 4), PAGE));
		EXPECT_EQ(0, advise_pages(vm, FIRST, 3, MADV_DOFORK));
		/* What is joined is the kernel's to choose. */
		EXPECT_CHILD("ppp.....pppppppp", -1);
		close(fd);
	}
}

/* New memory beside old is one area with it only if the advice is the same. */
TEST_F(advise, new_neighbours)
{
	struct vm *vm = &self->vm;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, advise_pages(vm, FIRST, NR, MADV_DONTDUMP));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST + NR, 4, RW));
	EXPECT_EQ(2, vm_areas(vm));
	EXPECT_EQ(0, advise_pages(vm, FIRST + NR, 4, MADV_DONTDUMP));
	EXPECT_EQ(1, vm_areas(vm));
}

/* Advice without a fork changes nothing that can be seen. */
TEST_F(advise, contents_stay)
{
	static const int advice[] = { MADV_NORMAL,   MADV_RANDOM,
				      MADV_DONTDUMP, MADV_SEQUENTIAL,
				      MADV_DONTFORK, MADV_DOFORK,
				      MADV_DODUMP,   MADV_KEEPONFORK };
	struct vm *vm = &self->vm;
	char now[NR + 1];
	enum memory m;
	size_t i;

	for_each_memory(m) {
		int fd = furnish(vm, m);

		ASSERT_LE(0, fd);
		for (i = 0; i < ARRAY_SIZE(advice); i++) {
			EXPECT_EQ(0, advise_pages(vm, FIRST + i, 4, advice[i]));
			look(vm, now);
			EXPECT_STREQ(ALL, now);
			memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		}
		close(fd);
	}
}

/* How many pages can be mapped one by one behind the others. */
static int room(struct vm *vm, const struct rlimit *limit)
{
	int i;

	CHECK(!setrlimit(RLIMIT_AS, limit));
	for (i = 0; FIRST + NR + 8 + 2 * i < ZONE; i++)
		if (vm_map_at(vm, FIRST + NR + 8 + 2 * i, 1, RW) == MAP_FAILED)
			break;
	return i;
}

static int room_in_child(struct vm *vm, const struct rlimit *limit)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(room(vm, limit));
	status = pid < 0 ? -1 : end_of(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What a child does not have, it need not account for. */
TEST_F(advise, limit_of_a_child)
{
	struct vm *vm = &self->vm;
	struct rlimit limit;
	enum memory m;
	int with, without;

	getrlimit(RLIMIT_AS, &limit);
	for_each_memory(m) {
		int fd = furnish(vm, m);

		ASSERT_LE(0, fd);
		/* The window itself does not count. */
		proc_number("/proc/self/status", "VmSize:");
		limit.rlim_cur =
			proc_number("/proc/self/status", "VmSize:") * 1024;
		limit.rlim_cur += 20 * PAGE;
		if (!vm_is_native(vm))
			limit.rlim_cur += NR * PAGE;
		with = room_in_child(vm, &limit);
		EXPECT_EQ(20, with);
		EXPECT_EQ(0,
			  advise_pages(vm, FIRST + 2, NR - 4, MADV_DONTFORK));
		without = room_in_child(vm, &limit);
		EXPECT_EQ(NR - 4, without - with);
		close(fd);
	}
}

static volatile bool stop;

/* Both parts of the zone change their minds all the time. */
static void *changes_its_mind(void *arg)
{
	struct vm *vm = arg;

	while (!stop) {
		advise_pages(vm, FIRST, 8, MADV_DONTFORK);
		advise_pages(vm, FIRST + 8, 8, MADV_WIPEONFORK);
		advise_pages(vm, FIRST, 8, MADV_DOFORK);
		advise_pages(vm, FIRST + 8, 8, MADV_KEEPONFORK);
	}
	return NULL;
}

/* Whatever the moment of the fork, it has been all of a part or nothing. */
TEST_F_TIMEOUT(advise, forks_meanwhile, SLOW)
{
	char now[NR + 1];
	pthread_t thread;
	int i;

	ASSERT_LE(0, furnish(&self->vm, PRIVATE_ANON));
	ASSERT_EQ(0,
		  pthread_create(&thread, NULL, changes_its_mind, &self->vm));
	for (i = 0; i < scaled(60); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			look(&self->vm, now);
			CHECK(!strncmp(now, "........", 8) ||
			      !strncmp(now, "pppppppp", 8));
			CHECK(!strcmp(now + 8, "00000000") ||
			      !strcmp(now + 8, "pppppppp"));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	pthread_join(thread, NULL);
	look(&self->vm, now);
	EXPECT_STREQ(ALL, now);
}

TEST_HARNESS_MAIN
