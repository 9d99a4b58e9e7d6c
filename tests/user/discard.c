// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: MADV_DONTNEED and MADV_REMOVE, by which memory loses its contents; alone,
 * beside forks, devices that use the memory, and threads.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "memory.h"

/* Newer than some C libraries. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define FIRST 8
#define NR 16
/* Three leaves, and a little. */
#define ZONE 1600

VM_FIXTURE(discard, ZONE);

static const int drops[] = { MADV_DONTNEED, MADV_DONTNEED_LOCKED };

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

/* What is there when nobody has written. */
static char initial(enum memory m)
{
	return memory_is_file(m) ? 'f' : 0;
}

/* What is there after memory that held @c was dropped. */
static char dropped(enum memory m, char c)
{
	return memory_is_shared(m) ? c : initial(m);
}

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

static bool pages_are(struct vm *vm, size_t page, size_t pages, char c)
{
	const char *p = vm_page(vm, page);

	return p[0] == c && !memcmp(p, p + 1, pages * PAGE - 1);
}

TEST_F(discard, contents)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(drops); i++) {
			int fd = furnish(vm, m, RW);
			char now = dropped(m, 'p');

			ASSERT_LE(0, fd);
			memset(vm_page(vm, FIRST), 'p', NR * PAGE);
			EXPECT_EQ(0, advise(vm, FIRST + 2, 6, drops[i]));
			EXPECT_TRUE(pages_are(vm, FIRST, 2, 'p'));
			EXPECT_TRUE(pages_are(vm, FIRST + 2, 6, now))
			{
				TH_LOG("%s", memory_name(m));
			}
			EXPECT_TRUE(pages_are(vm, FIRST + 8, NR - 8, 'p'));
			/* It can be used again. */
			memset(vm_page(vm, FIRST + 2), 'q', 6 * PAGE);
			EXPECT_TRUE(pages_are(vm, FIRST + 2, 6, 'q'));
			EXPECT_EQ(1, vm_areas(vm));
			close(fd);
		}
}

/* By a system call, which takes the pages in another way. */
TEST_F(discard, seen_by_others)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m, RW);
		struct iovec to, from;
		char buf[4 * PAGE];

		ASSERT_LE(0, fd);
		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		EXPECT_EQ(0, advise(vm, FIRST, 4, MADV_DONTNEED));
		to = (struct iovec){ buf, sizeof(buf) };
		from = (struct iovec){ vm_page(vm, FIRST), sizeof(buf) };
		EXPECT_EQ(sizeof(buf),
			  process_vm_readv(getpid(), &to, 1, &from, 1, 0));
		EXPECT_EQ(dropped(m, 'p'), buf[0]);
		EXPECT_EQ(dropped(m, 'p'), buf[sizeof(buf) - 1]);
		close(fd);
	}
}

TEST_F(discard, residency)
{
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON, RW));
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	EXPECT_EQ(0, advise(vm, FIRST + 2, 6, MADV_DONTNEED));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(i < 2 || i >= 8,
			  vm_resident(vm, vm_page(vm, FIRST + i)));
	/* What was only read, too. */
	EXPECT_EQ(0, *vm_page(vm, FIRST + 2));
	EXPECT_EQ(0, *vm_page(vm, FIRST + 3));
	EXPECT_EQ(0, advise(vm, FIRST + 2, 1, MADV_DONTNEED));
	EXPECT_EQ(0, vm_resident(vm, vm_page(vm, FIRST + 2)));
	EXPECT_EQ(1, vm_resident(vm, vm_page(vm, FIRST + 3)));
}

/* It is given back, not set aside. */
TEST_F(discard, gives_memory_back)
{
	struct vm *vm = &self->vm;
	long before, full, after;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	before = proc_number("/proc/self/status", "VmRSS:");
	memset(vm->base, 'p', ZONE * PAGE);
	full = proc_number("/proc/self/status", "VmRSS:");
	EXPECT_EQ(0, advise(vm, 0, ZONE, MADV_DONTNEED));
	after = proc_number("/proc/self/status", "VmRSS:");
	EXPECT_LE(ZONE * 4 - 600, full - before);
	EXPECT_LE(ZONE * 4 - 600, full - after);
	EXPECT_TRUE(pages_are(vm, 0, ZONE, 0));
}

TEST_F(discard, protected_memory)
{
	static const int prots[] = { PROT_NONE, PROT_READ, RX };
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(prots); i++) {
			int fd = furnish(vm, m, RW);
			char *p = vm_page(vm, FIRST);

			ASSERT_LE(0, fd);
			memset(p, 'p', NR * PAGE);
			ASSERT_EQ(0, vm_mprotect(vm, p, NR * PAGE, prots[i]));
			EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_DONTNEED));
			EXPECT_EQ(prots[i] ? 0 : SIGSEGV,
				  probe_read(p, NULL, NULL));
			EXPECT_EQ(SIGSEGV, probe_write(p, 1, NULL));
			ASSERT_EQ(0, vm_mprotect(vm, p, NR * PAGE, RW));
			EXPECT_TRUE(pages_are(vm, FIRST, NR, dropped(m, 'p')));
			close(fd);
		}
}

TEST_F(discard, holes)
{
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(drops); i++) {
		ASSERT_LE(0, furnish(vm, PRIVATE_ANON, RW));
		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 4), 2 * PAGE));
		/* All that is there is dropped. */
		EXPECT_FAIL(ENOMEM, advise(vm, FIRST, 8, drops[i]));
		EXPECT_TRUE(pages_are(vm, FIRST, 4, 0));
		EXPECT_TRUE(pages_are(vm, FIRST + 6, 2, 0));
		EXPECT_TRUE(pages_are(vm, FIRST + 8, 8, 'p'));
		EXPECT_FAIL(ENOMEM, advise(vm, FIRST + 12, 8, drops[i]));
		EXPECT_TRUE(pages_are(vm, FIRST + 12, 4, 0));
		EXPECT_FAIL(ENOMEM, advise(vm, 0, FIRST + 9, drops[i]));
		EXPECT_TRUE(pages_are(vm, FIRST + 8, 1, 0));
		EXPECT_TRUE(pages_are(vm, FIRST + 9, 3, 'p'));
		EXPECT_FAIL(ENOMEM, advise(vm, FIRST + 4, 2, drops[i]));
		EXPECT_FAIL(ENOMEM, advise(vm, 0, 1, drops[i]));
		/* To the zone's end and beyond. */
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm_page(vm, FIRST + 9), GiB,
					       drops[i]));
		EXPECT_TRUE(pages_are(vm, FIRST + 9, 3, 0));
	}
}

TEST_F(discard, what_is_refused)
{
	static const int advice[] = { MADV_DONTNEED, MADV_DONTNEED_LOCKED,
				      MADV_REMOVE };
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;

	ASSERT_LE(0, furnish(vm, PRIVATE_ANON, RW));
	memset(p, 'p', NR * PAGE);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, advice[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, 0, advice[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -1UL, advice[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -PAGE, advice[i]));
		EXPECT_EQ(0, vm_madvise(vm, p, 0, advice[i]));
		EXPECT_EQ(0, vm_madvise(vm, vm->base, 0, advice[i]));
		EXPECT_FAIL(ENOMEM, vm_madvise(vm, vm->base, PAGE, advice[i]));
	}
	EXPECT_TRUE(pages_are(vm, FIRST, NR, 'p'));
	/* Part of a page is a page. */
	EXPECT_EQ(0, vm_madvise(vm, p, PAGE + 1, MADV_DONTNEED));
	EXPECT_TRUE(pages_are(vm, FIRST, 2, 0));
	EXPECT_TRUE(pages_are(vm, FIRST + 2, NR - 2, 'p'));
}

TEST_F(discard, locked_memory)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m, RW);
		char *p = vm_page(vm, FIRST);

		ASSERT_LE(0, fd);
		memset(p, 'p', NR * PAGE);
		ASSERT_EQ(0, vm_mlock(vm, p + 4 * PAGE, 4 * PAGE));
		/* What is before it has been dropped. */
		EXPECT_FAIL(EINVAL, advise(vm, FIRST + 2, 8, MADV_DONTNEED));
		EXPECT_TRUE(pages_are(vm, FIRST + 2, 2, dropped(m, 'p')));
		EXPECT_TRUE(pages_are(vm, FIRST + 4, NR - 4, 'p'));
		EXPECT_FAIL(EINVAL, advise(vm, FIRST + 4, 1, MADV_REMOVE));
		EXPECT_TRUE(pages_are(vm, FIRST + 4, NR - 4, 'p'));
		EXPECT_EQ(0, advise(vm, FIRST + 5, 4, MADV_DONTNEED_LOCKED));
		EXPECT_TRUE(pages_are(vm, FIRST + 4, 1, 'p'));
		EXPECT_TRUE(pages_are(vm, FIRST + 5, 4, dropped(m, 'p')));
		EXPECT_TRUE(pages_are(vm, FIRST + 9, NR - 9, 'p'));
		close(fd);
	}
}

/* A range over several areas, leaves, and untouched memory. */
TEST_F(discard, a_large_range)
{
	struct vm *vm = &self->vm;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	for (i = 0; i < ZONE; i += 7)
		*vm_page(vm, i) = 'p';
	for (i = 100; i < ZONE; i += 300)
		ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, i), 20 * PAGE,
					 PROT_READ));
	EXPECT_EQ(0, advise(vm, 1, ZONE - 2, MADV_DONTNEED));
	EXPECT_EQ('p', *vm->base);
	EXPECT_TRUE(pages_are(vm, 1, ZONE - 2, 0));
}

/* --- files */

TEST_F(discard, removed_from_the_file)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m, RW);
		int err = !memory_is_shared(m) && !memory_is_file(m) ? EINVAL :
			  !memory_is_shared(m)			     ? EACCES :
								       0;
		char c = '?';

		ASSERT_LE(0, fd);
		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		EXPECT_FAIL(err, advise(vm, FIRST + 2, 4, MADV_REMOVE))
		{
			TH_LOG("%s", memory_name(m));
		}
		EXPECT_TRUE(pages_are(vm, FIRST, 2, 'p'));
		EXPECT_TRUE(pages_are(vm, FIRST + 2, 4, err ? 'p' : 0));
		EXPECT_TRUE(pages_are(vm, FIRST + 6, NR - 6, 'p'));
		if (m == SHARED_FILE) {
			EXPECT_EQ(1, pread(fd, &c, 1, (FIRST + 2) * PAGE));
			EXPECT_EQ(0, c);
			EXPECT_EQ(ZONE * PAGE, lseek(fd, 0, SEEK_END));
		}
		*vm_page(vm, FIRST + 3) = 'q';
		EXPECT_EQ('q', *vm_page(vm, FIRST + 3));
		close(fd);
	}
}

/* Whether it may be written now does not matter, but whether it ever may. */
TEST_F(discard, removed_with_what_rights)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, SHARED_FILE, RW), reader;
	char path[64];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST), NR * PAGE, PROT_READ));
	EXPECT_EQ(0, advise(vm, FIRST, 2, MADV_REMOVE));
	EXPECT_TRUE(pages_are(vm, FIRST, 2, 0));
	ASSERT_EQ(0, vm_mprotect(vm, vm_page(vm, FIRST), NR * PAGE, PROT_NONE));
	EXPECT_EQ(0, advise(vm, FIRST + 2, 2, MADV_REMOVE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, reader);
	ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, SHARED_FILE, FIRST, NR,
						 PROT_READ, reader));
	EXPECT_FAIL(EACCES, advise(vm, FIRST + 4, 2, MADV_REMOVE));
	EXPECT_TRUE(pages_are(vm, FIRST, 4, 0));
	EXPECT_TRUE(pages_are(vm, FIRST + 4, NR - 4, 'f'));
	close(reader);
	close(fd);
}

/* The first area that cannot be removed ends it; a hole before does not. */
TEST_F(discard, removed_up_to_an_error)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, SHARED_FILE, RW);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST + 8, 2, RW));
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 2), PAGE));
	EXPECT_FAIL(EINVAL, advise(vm, FIRST, NR, MADV_REMOVE));
	EXPECT_TRUE(pages_are(vm, FIRST, 2, 0));
	EXPECT_TRUE(pages_are(vm, FIRST + 3, 5, 0));
	EXPECT_TRUE(pages_are(vm, FIRST + 10, 6, 'f'));
	EXPECT_FAIL(ENOMEM, advise(vm, FIRST + 1, 3, MADV_REMOVE));
	close(fd);
}

/* What others have mapped of the file goes, but not what they have copied. */
TEST_F(discard, removed_for_everybody)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, SHARED_FILE, RW);
	char *outside, *copy;

	ASSERT_LE(0, fd);
	outside = mmap(NULL, PAGE, RW, MAP_SHARED, fd, FIRST * PAGE);
	copy = vm_map_file(vm, vm_page(vm, FIRST + NR), PAGE, RW,
			   MAP_PRIVATE | MAP_FIXED, fd, FIRST * PAGE);
	ASSERT_NE(MAP_FAILED, (void *)outside);
	ASSERT_NE(MAP_FAILED, (void *)copy);
	copy[0] = 'c';
	EXPECT_EQ('f', outside[0]);
	EXPECT_EQ(0, advise(vm, FIRST, 2, MADV_REMOVE));
	EXPECT_EQ(0, outside[0]);
	EXPECT_EQ('c', copy[0]);
	outside[0] = 'o';
	EXPECT_EQ('o', *vm_page(vm, FIRST));
	EXPECT_EQ(0, advise(vm, FIRST + NR, 1, MADV_DONTNEED));
	EXPECT_EQ('o', copy[0]);
	munmap(outside, PAGE);
	close(fd);
}

/* A private mapping shows what the file has by now. */
TEST_F(discard, shows_the_file_again)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, PRIVATE_FILE, RW);
	char page[PAGE];

	ASSERT_LE(0, fd);
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	memset(page, 'n', PAGE);
	ASSERT_EQ(PAGE, pwrite(fd, page, PAGE, FIRST * PAGE));
	EXPECT_TRUE(pages_are(vm, FIRST, 1, 'p'));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_DONTNEED));
	EXPECT_TRUE(pages_are(vm, FIRST, 1, 'n'));
	EXPECT_TRUE(pages_are(vm, FIRST + 1, NR - 1, 'f'));
	ASSERT_EQ(0, ftruncate(fd, (FIRST + 4) * PAGE));
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_DONTNEED));
	EXPECT_EQ(SIGBUS, probe_read(vm_page(vm, FIRST + 4), NULL, NULL));
	EXPECT_EQ('f', *vm_page(vm, FIRST + 3));
	close(fd);
}

/* What was stored through a shared mapping is not lost. */
TEST_F(discard, keeps_what_was_stored)
{
	struct vm *vm = &self->vm;
	int fd = furnish(vm, SHARED_FILE, RW);
	char c;

	ASSERT_LE(0, fd);
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	EXPECT_EQ(0, advise(vm, FIRST, NR, MADV_DONTNEED));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(1, pread(fd, &c, 1, (FIRST + 5) * PAGE));
	EXPECT_EQ('p', c);
	close(fd);
}

/* --- forks */

TEST_F(discard, each_its_own)
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
			CHECK(!advise(vm, FIRST, 4, MADV_DONTNEED));
			CHECK(pages_are(vm, FIRST, 4, dropped(m, 'p')));
			CHECK(say(line) && hear(line));
			CHECK(pages_are(vm, FIRST + 4, 8, 'p'));
			memset(vm_page(vm, FIRST + 8), 'c', 4 * PAGE);
			CHECK(say(line) && hear(line));
			CHECK(pages_are(vm, FIRST + 8, 4,
					memory_is_shared(m) ? 'q' : 'c'));
			_exit(0);
		}
		EXPECT_TRUE(hear(line));
		EXPECT_TRUE(pages_are(vm, FIRST, NR, 'p'));
		EXPECT_EQ(0, advise(vm, FIRST + 4, 12, MADV_DONTNEED));
		EXPECT_TRUE(pages_are(vm, FIRST + 4, 12, dropped(m, 'p')));
		EXPECT_TRUE(say(line) && hear(line));
		EXPECT_TRUE(pages_are(vm, FIRST + 8, 4,
				      memory_is_shared(m) ? 'c' : initial(m)));
		memset(vm_page(vm, FIRST + 8), 'q', 4 * PAGE);
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid));
		close(line);
		close(fd);
	}
}

/* --- devices */

/* A read that is on its way goes where the memory was; nobody sees it. */
TEST_F_TIMEOUT(discard, pinned_by_a_device, SLOW)
{
	struct vm *vm = &self->vm;
	struct held *held = held_open();
	enum memory m;

	if (!held)
		SKIP(return, "no FUSE");
	for_each_memory(m) {
		int fd = furnish(vm, m, RW);
		char *p = vm_page(vm, FIRST);

		ASSERT_LE(0, fd);
		memset(p, 'p', NR * PAGE);
		held->content = 'd';
		held_begin(held, p, 4 * PAGE, false);
		EXPECT_EQ(0, advise(vm, FIRST, 8, MADV_DONTNEED));
		EXPECT_TRUE(pages_are(vm, FIRST, 8, dropped(m, 'p')));
		if (!memory_is_shared(m))
			memset(p, 'q', 2 * PAGE);
		EXPECT_EQ(4 * PAGE, held_let_go(held));
		if (memory_is_shared(m)) {
			EXPECT_TRUE(pages_are(vm, FIRST, 4, 'd'));
		} else {
			EXPECT_TRUE(pages_are(vm, FIRST, 2, 'q'));
			EXPECT_TRUE(pages_are(vm, FIRST + 2, 6, initial(m)));
		}
		/* A write gets what was there. */
		memset(p, 'w', 4 * PAGE);
		held_begin(held, p, 4 * PAGE, true);
		EXPECT_EQ(0, advise(vm, FIRST, 4, MADV_DONTNEED));
		memset(p, 'x', 4 * PAGE);
		EXPECT_EQ(4 * PAGE, held_let_go(held));
		EXPECT_EQ(memory_is_shared(m) ? 'x' : 'w', held->written[0]);
		EXPECT_EQ(memory_is_shared(m) ? 'x' : 'w', held->written[3]);
		close(fd);
	}
	held_close(held);
}

/* --- threads */

static volatile bool stop;
static volatile long wrong;

/**
 * struct racer - a thread that uses what another one drops
 * @vm: where
 * @nr: its number
 * @rounds: how many it has done
 */
struct racer {
	struct vm *vm;
	int nr;
	long rounds;
};

/* Pages of its own, among those that are dropped: zero, or what it wrote. */
static void *writes_and_reads(void *arg)
{
	struct racer *r = arg;
	size_t page;

	for (; !stop; r->rounds++)
		for (page = r->nr; page < 512; page += 16) {
			volatile uint64_t *p = (void *)vm_page(r->vm, page);
			uint64_t mark = page << 32 | (r->rounds + 1), now;

			p[r->nr] = mark;
			now = p[r->nr];
			if (now && now != mark)
				wrong++;
		}
	return NULL;
}

/* All rounds are over 512 pages: in parts of several sizes, at several places. */
static void drop_all(struct vm *vm, size_t size, int advice)
{
	size_t page;

	for (page = 0; page < 512; page += size)
		if (advise(vm, page, size, advice))
			wrong++;
}

TEST_F_TIMEOUT(discard, threads_that_use_it, SLOW)
{
	static const size_t sizes[] = { 1, 7 + 1, 64, 512 };
	struct racer racers[3];
	pthread_t threads[3];
	long i;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 0, 512, RW));
	for (i = 0; i < 3; i++) {
		racers[i] = (struct racer){ .vm = &self->vm, .nr = i };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, writes_and_reads,
					    &racers[i]));
	}
	for (i = 0; i < scaled(40); i++)
		drop_all(&self->vm, sizes[i % ARRAY_SIZE(sizes)],
			 MADV_DONTNEED);
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, wrong);
}

static volatile uint64_t asked, answered;
static volatile uint64_t seen;

/* Looks when asked. */
static void *looks(void *arg)
{
	struct vm *vm = arg;
	volatile uint64_t *p = (void *)vm_page(vm, 5);

	while (!stop) {
		/* So that the page is in this CPU's TLB. */
		(void)*p;
		if (asked == answered)
			continue;
		seen = *p;
		__atomic_store_n(&answered, asked, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* When the call has returned, nobody sees the old contents any more. */
TEST_F_TIMEOUT(discard, gone_for_other_threads, SLOW)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(vm, m, RW);
		pthread_t thread;
		long i;

		ASSERT_LE(0, fd);
		if (memory_is_shared(m))
			continue;
		stop = false;
		asked = answered = 0;
		ASSERT_NE(MAP_FAILED, (void *)memory_map(vm, m, 0, NR, RW, fd));
		ASSERT_EQ(0, pthread_create(&thread, NULL, looks, vm));
		for (i = 1; i <= scaled(600); i++) {
			*(volatile uint64_t *)vm_page(vm, 5) = i;
			advise(vm, i & 4 ? 0 : 5, i & 4 ? NR : 1,
			       MADV_DONTNEED);
			__atomic_store_n(&asked, i, __ATOMIC_RELEASE);
			while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) !=
			       asked)
				sched_yield();
			if (seen)
				break;
		}
		stop = true;
		pthread_join(thread, NULL);
		EXPECT_EQ(0, seen)
		{
			TH_LOG("%s", memory_name(m));
		}
		close(fd);
	}
}

static void *drops_for_ever(void *arg)
{
	struct vm *vm = arg;

	while (!stop)
		advise(vm, FIRST, NR, MADV_DONTNEED);
	return NULL;
}

/* A new mapping of the same place shows nothing of the old one. */
TEST_F_TIMEOUT(discard, beside_new_mappings, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread;
	long i, page;

	stop = false;
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	ASSERT_EQ(0, pthread_create(&thread, NULL, drops_for_ever, vm));
	for (i = 0; i < scaled(500) && !wrong; i++) {
		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		if (i & 1)
			ASSERT_EQ(0,
				  vm_munmap(vm, vm_page(vm, FIRST), NR * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, FIRST, NR, PROT_READ));
		for (page = 0; page < NR; page++)
			wrong += !!*vm_page(vm, FIRST + page);
		wrong += !probe_write(vm_page(vm, FIRST), 1, NULL);
		ASSERT_EQ(0,
			  vm_mprotect(vm, vm_page(vm, FIRST), NR * PAGE, RW));
	}
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
}

/* A child has all of a page or nothing, and what it has stays. */
TEST_F_TIMEOUT(discard, beside_forks, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread;
	long i;

	stop = false;
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	ASSERT_EQ(0, pthread_create(&thread, NULL, drops_for_ever, vm));
	for (i = 0; i < scaled(40); i++) {
		pid_t pid;
		size_t page;

		memset(vm_page(vm, FIRST), 'p', NR * PAGE);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			for (page = FIRST; page < FIRST + NR; page++) {
				char c = *vm_page(vm, page);

				CHECK(!c || c == 'p');
				*vm_page(vm, page) = 'c';
				CHECK(pages_are(vm, page, 1, 0) ||
				      *vm_page(vm, page) == 'c');
			}
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	stop = true;
	pthread_join(thread, NULL);
}

TEST_F_TIMEOUT(discard, killed, SLOW)
{
	struct vm *vm = &self->vm;
	long i;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	for (i = 0; i < scaled(8); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			pthread_t thread;

			stop = false;
			pthread_create(&thread, NULL, drops_for_ever, vm);
			for (;;) {
				memset(vm->base, 'p', ZONE * PAGE);
				advise(vm, 0, ZONE, MADV_DONTNEED);
			}
		}
		usleep(2000 + 3000 * i);
		EXPECT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
	EXPECT_TRUE(pages_are(vm, 0, ZONE, 0));
}

TEST_HARNESS_MAIN
