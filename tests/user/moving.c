// SPDX-License-Identifier: GPL-2.0
/*
 * What goes on while memory is moved by mremap: forks, devices and pipes that have
 * its pages, futexes, other threads, and the end of the process.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "moves.h"

VM_FIXTURE(moving, ZONE);

/* Some pages, more, and all of a table: each is moved in a way of its own. */
static const struct range {
	size_t from, pages, to, other;
} ranges[] = {
	{ LEAF - 4, 8, 3 * LEAF + 7, 5 * LEAF - 3 },
	{ LEAF - 30, 60, 3 * LEAF + 7, 3 * LEAF + 67 },
	{ LEAF, LEAF, 3 * LEAF, 5 * LEAF },
	{ LEAF - 9, LEAF + 20, 3 * LEAF - 9, 5 * LEAF + 100 },
};

/* Forks. */

/* Where a process has the range, and what it has stored beside the marks. */
struct side {
	struct vm *vm;
	enum memory m;
	const struct range *r;
	size_t at;
	uint64_t stored;
};

static bool side_moves(struct side *s, size_t to)
{
	bool ok = move_pages(s->vm, s->at, s->r->pages, 0, to) ==
		  vm_page(s->vm, to);

	ok &= is_gone(vm_page(s->vm, s->at), s->r->pages);
	s->at = to;
	return ok;
}

static void side_stores(struct side *s, uint64_t value)
{
	size_t i;

	for (i = 0; i < s->r->pages; i++)
		word_at(vm_page(s->vm, s->at), i)[1] = value;
	s->stored = value;
}

static bool side_ok(const struct side *s)
{
	char *p = vm_page(s->vm, s->at);
	size_t i;

	if (!holds(p, s->r->pages, s->m, s->r->from, mark_of))
		return false;
	for (i = 0; i < s->r->pages; i++)
		if (word_at(p, i)[1] != s->stored) {
			fprintf(stderr, "# page %zu: %#lx, not %#lx\n", i,
				word_at(p, i)[1], s->stored);
			return false;
		}
	return true;
}

enum mover { PARENT = 1, CHILD = 2 };

/* Has touched nothing when its parent has moved, or moves first of all. */
static void be_moving_child(struct side *s, int who, bool late, int line)
{
	if (!late)
		CHECK(side_ok(s));
	CHECK(say(line) && hear(line));
	if (who & CHILD)
		CHECK(side_moves(s, s->r->other));
	if (memory_is_shared(s->m))
		s->stored = 'p';
	CHECK(side_ok(s));
	side_stores(s, 'c');
	CHECK(say(line) && hear(line));
	CHECK(side_ok(s));
	/* Where its parent has it, or had it, there may be something of its own. */
	CHECK(side_moves(s, s->r->to));
	CHECK(side_moves(s, s->r->from));
	CHECK(side_ok(s));
	_exit(0);
}

static void run_family(struct __test_metadata *_metadata, struct side *s,
		       int who, bool late)
{
	int line;
	pid_t pid = fork_with(&line);

	ASSERT_LE(0, pid);
	if (!pid)
		be_moving_child(s, who, late, line);
	EXPECT_TRUE(hear(line));
	if (who & PARENT)
		EXPECT_TRUE(side_moves(s, s->r->to));
	side_stores(s, 'p');
	EXPECT_TRUE(say(line) && hear(line));
	if (memory_is_shared(s->m))
		s->stored = 'c';
	EXPECT_TRUE(side_ok(s));
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_TRUE(side_ok(s));
	close(line);
}

TEST_F_TIMEOUT(moving, in_a_family, SLOW)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE), who;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			struct side s = { vm, m, &ranges[i], ranges[i].from,
					  0 };

			ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
			ASSERT_TRUE(furnish(vm, m, s.at, s.r->pages, fd));
			side_stores(&s, 's');
			/* Once is enough of what takes long. */
			who = s.r->pages > 100 ? PARENT | CHILD : PARENT;
			for (; who <= (PARENT | CHILD); who++) {
				run_family(_metadata, &s, who, false);
				/* Again, of what has been moved before. */
				if (s.at != s.r->from)
					EXPECT_TRUE(side_moves(&s, s.r->from));
				run_family(_metadata, &s, who, true);
				if (s.at != s.r->from)
					EXPECT_TRUE(side_moves(&s, s.r->from));
			}
		}
	close(fd);
}

/* With MREMAP_DONTUNMAP, what is left is nobody else's either. */
TEST_F_TIMEOUT(moving, leaves_nothing_of_a_child, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct range *r = &ranges[i];
		struct side s = { vm, PRIVATE_ANON, r, r->from, 0 };
		int line = -1;

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, PRIVATE_ANON, r->from, r->pages, -1));
		pid = fork_with(&line);
		if (!pid) {
			CHECK(hear(line));
			CHECK(side_ok(&s));
			CHECK(move_pages(vm, r->from, r->pages,
					 MREMAP_DONTUNMAP,
					 r->other) != MAP_FAILED);
			CHECK(holds(vm_page(vm, r->from), r->pages,
				    PRIVATE_ANON, 0, mark_left));
			memset(vm_page(vm, r->from), 'c', r->pages * PAGE);
			s.at = r->other;
			CHECK(side_ok(&s));
			_exit(0);
		}
		ASSERT_NE(MAP_FAILED,
			  (void *)move_pages(vm, r->from, r->pages,
					     MREMAP_DONTUNMAP, r->to));
		EXPECT_TRUE(holds(vm_page(vm, r->from), r->pages, PRIVATE_ANON,
				  0, mark_left));
		memset(vm_page(vm, r->from), 'p', r->pages * PAGE);
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid));
		s.at = r->to;
		EXPECT_TRUE(side_ok(&s));
		EXPECT_EQ('p', *vm_page(vm, r->from));
		close(line);
	}
}

/* Devices and pipes. */

/* What a device writes arrives where the page is now. */
TEST_F_TIMEOUT(moving, while_a_device_writes, SLOW)
{
	struct vm *vm = &self->vm;
	struct held *h = held_open();
	enum memory m;
	size_t i, k;

	if (!h)
		SKIP(return, "no FUSE");
	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			const struct range *r = &ranges[i];
			int fd = nameless_file(files_dir(), ZONE * PAGE);
			char *p = vm_page(vm, r->to);
			pid_t pid;

			ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
			ASSERT_TRUE(furnish(vm, m, r->from, r->pages, fd));
			h->content = 'h' + i;
			held_begin(h, vm_page(vm, r->from), 6 * PAGE, false);
			ASSERT_EQ(p,
				  move_pages(vm, r->from, r->pages, 0, r->to));
			/* Stores to the pages meanwhile, too. */
			p[6 * PAGE + 8] = 's';
			pid = fork();
			if (!pid) {
				memset(p, 'c', r->pages * PAGE);
				_exit(0);
			}
			if (!memory_is_shared(m))
				EXPECT_EQ(0, end_of(pid));
			EXPECT_EQ(6 * PAGE, held_let_go(h));
			if (memory_is_shared(m)) {
				EXPECT_EQ(0, end_of(pid));
				close(fd);
				continue;
			}
			for (k = 0; k < 6; k++)
				EXPECT_EQ('h' + (int)i, p[k * PAGE + 100]);
			EXPECT_EQ('s', p[6 * PAGE + 8]);
			EXPECT_EQ(mark_of(m, r->from, 7), *word_at(p, 7));
			close(fd);
		}
	held_close(h);
}

/* What a device reads is what is stored at the new place. */
TEST_F_TIMEOUT(moving, while_a_device_reads, SLOW)
{
	struct vm *vm = &self->vm;
	struct held *h = held_open();
	size_t i, k;

	if (!h)
		SKIP(return, "no FUSE");
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct range *r = &ranges[i];

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		memset(vm_page(vm, r->from), 'o', r->pages * PAGE);
		held_begin(h, vm_page(vm, r->from), 6 * PAGE, true);
		ASSERT_NE(MAP_FAILED,
			  (void *)move_pages(vm, r->from, r->pages, 0, r->to));
		memset(vm_page(vm, r->to), 'n', r->pages * PAGE);
		/* Others at the old place are none of its business. */
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		memset(vm_page(vm, r->from), 'x', r->pages * PAGE);
		EXPECT_EQ(6 * PAGE, held_let_go(h));
		for (k = 0; k < 6; k++)
			EXPECT_EQ('n', h->written[k]);
	}
	held_close(h);
}

TEST_F(moving, while_a_pipe_has_the_pages)
{
	struct vm *vm = &self->vm;
	static char data[4 * PAGE];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct range *r = &ranges[i];
		struct iovec iov = { vm_page(vm, r->from), 4 * PAGE };
		int fds[2];

		ASSERT_EQ(0, pipe(fds));
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		memset(vm_page(vm, r->from), 'o', r->pages * PAGE);
		ASSERT_EQ(4 * PAGE, vmsplice(fds[1], &iov, 1, 0));
		ASSERT_NE(MAP_FAILED,
			  (void *)move_pages(vm, r->from, r->pages, 0, r->to));
		for (k = 0; k < r->pages; k++)
			EXPECT_EQ('o', vm_page(vm, r->to + k)[k]);
		/* Half of them go; the others are the pipe's as well. */
		ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, r->to), 2 * PAGE));
		memset(vm_page(vm, r->to + 2), 'n', PAGE);
		ASSERT_EQ(4 * PAGE, read(fds[0], data, sizeof(data)));
		EXPECT_EQ('o', data[0]);
		EXPECT_EQ('o', data[2 * PAGE - 1]);
		EXPECT_EQ('n', data[2 * PAGE]);
		EXPECT_EQ('o', data[3 * PAGE]);
		close(fds[0]);
		close(fds[1]);
	}
}

/* Futexes. */

static long futex(void *addr, int op, uint32_t value, struct timespec *t)
{
	return syscall(SYS_futex, addr, op, value, t, NULL, 0);
}

/**
 * struct waiter - a thread that waits until somebody wakes it
 * @word: where; it is 1
 * @flag: FUTEX_PRIVATE_FLAG or 0
 * @tid: its thread ID
 * @woken: it has been woken
 */
struct waiter {
	pthread_t thread;
	char *word;
	int flag;
	volatile pid_t tid;
	volatile bool woken;
};

static void *waits(void *arg)
{
	struct waiter *w = arg;

	w->tid = gettid();
	while (futex(w->word, FUTEX_WAIT | w->flag, 1, NULL) && errno == EINTR)
		;
	w->woken = true;
	return NULL;
}

/* When it sleeps in the kernel. */
static bool is_asleep(const struct waiter *w)
{
	char path[64], line[64] = "";
	FILE *f;

	if (!w->tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", w->tid);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return atoi(line) == SYS_futex && strchr(line, ' ');
}

static void begin_to_wait(struct __test_metadata *_metadata, struct waiter *w,
			  char *word, int flag)
{
	memset(w, 0, sizeof(*w));
	w->word = word;
	w->flag = flag;
	*(volatile uint32_t *)word = 1;
	ASSERT_EQ(0, pthread_create(&w->thread, NULL, waits, w));
	while (!is_asleep(w))
		usleep(100);
	usleep(1000);
}

static long wake(char *word, int flag)
{
	return futex(word, FUTEX_WAKE | flag, 100, NULL);
}

/* What is shared is woken by its memory, wherever that is. */
TEST_F_TIMEOUT(moving, under_a_waiter_in_shared_memory, SLOW)
{
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			const struct range *r = &ranges[i];
			int fd = nameless_file(files_dir(), ZONE * PAGE);
			char *old = vm_page(vm, r->from);
			char *new = vm_page(vm, r->to);
			struct waiter w;

			if (!memory_is_shared(m))
				continue;
			ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
			ASSERT_TRUE(furnish(vm, m, r->from, r->pages, fd));
			begin_to_wait(_metadata, &w, old, 0);
			ASSERT_EQ(new,
				  move_pages(vm, r->from, r->pages, 0, r->to));
			EXPECT_FAIL(EFAULT, wake(old, 0));
			ASSERT_NE(MAP_FAILED,
				  (void *)vm_map_at(vm, r->from, 1, RW));
			*old = 1;
			EXPECT_EQ(0, wake(old, 0));
			EXPECT_FALSE(w.woken);
			EXPECT_EQ(1, wake(new, 0));
			pthread_join(w.thread, NULL);
			/* Whoever comes later is found as well. */
			begin_to_wait(_metadata, &w, new, 0);
			EXPECT_EQ(1, wake(new, 0));
			pthread_join(w.thread, NULL);
			close(fd);
		}
}

/* What is private, by its address. */
TEST_F_TIMEOUT(moving, under_a_waiter_at_an_address, SLOW)
{
	struct vm *vm = &self->vm;
	const int flag = FUTEX_PRIVATE_FLAG;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct range *r = &ranges[i];
		char *old = vm_page(vm, r->from), *new = vm_page(vm, r->to);
		struct waiter w;

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		begin_to_wait(_metadata, &w, old, flag);
		ASSERT_EQ(new, move_pages(vm, r->from, r->pages, 0, r->to));
		EXPECT_EQ(0, wake(new, flag));
		EXPECT_FALSE(w.woken);
		EXPECT_EQ(1, wake(old, flag));
		pthread_join(w.thread, NULL);
		begin_to_wait(_metadata, &w, new, flag);
		EXPECT_EQ(1, wake(new, flag));
		pthread_join(w.thread, NULL);
	}
}

/*
 * Private memory and a futex that need not be: who waits after a move is woken at
 * the new place, and not by whom has a page at the old one.
 */
TEST_F_TIMEOUT(moving, before_a_waiter, SLOW)
{
	struct vm *vm = &self->vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const struct range *r = &ranges[i];
		char *old = vm_page(vm, r->from), *new = vm_page(vm, r->to);
		struct waiter w, other;

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		memset(old, 1, r->pages * PAGE);
		ASSERT_EQ(new, move_pages(vm, r->from, r->pages, 0, r->to));
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, r->from, r->pages, RW));
		begin_to_wait(_metadata, &w, new, 0);
		begin_to_wait(_metadata, &other, old, 0);
		EXPECT_EQ(1, wake(old, 0));
		pthread_join(other.thread, NULL);
		EXPECT_FALSE(w.woken);
		EXPECT_EQ(1, wake(new, 0));
		pthread_join(w.thread, NULL);
	}
}

/* Threads. */

#define MAX_REPORTS 5

static volatile bool stop;
static long errors;

static long rounds(const struct vm *vm, long n)
{
	return scaled(vm_is_native(vm) ? n / 4 : n);
}

static void report(const char *what, size_t where)
{
	if (__atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED) < MAX_REPORTS)
		fprintf(stderr, "# wrong: %s (%#zx)\n", what, where);
}

/**
 * struct worker - a thread and what it needs
 * @vm: where it works
 * @r: what is moved
 * @nr: its number, from 0
 * @rounds: how many it has done
 */
struct worker {
	struct vm *vm;
	const struct range *r;
	size_t nr;
	pthread_t thread;
	long rounds;
};

static void start(struct __test_metadata *_metadata, struct worker *w,
		  struct vm *vm, const struct range *r, size_t nr,
		  void *(*run)(void *))
{
	stop = false;
	*w = (struct worker){ .vm = vm, .r = r, .nr = nr };
	ASSERT_EQ(0, pthread_create(&w->thread, NULL, run, w));
}

static void finish(struct __test_metadata *_metadata, struct worker *w,
		   size_t nr)
{
	stop = true;
	while (nr--)
		pthread_join(w[nr].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* On a busy machine a thread may not have begun when all moves are made. */
static bool have_worked(const struct worker *w)
{
	return __atomic_load_n(&w[0].rounds, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&w[1].rounds, __ATOMIC_RELAXED);
}

/*
 * A store or a load at whichever of the two places the range is.  SIGSEGV at both
 * is right if it was moved in between; SEGV_ACCERR never is.
 */
static bool access_either(struct worker *w, size_t page, uint64_t *value,
			  bool is_store)
{
	const size_t at[2] = { w->r->from, w->r->to };
	struct fault f;
	size_t i;

	for (i = 0; !stop; i++) {
		char *p = vm_page(w->vm, at[i & 1] + page) + 8 * (w->nr + 1);

		if (!(is_store ? probe_write(p, *value, &f) :
				 probe_read(p, value, &f)))
			return true;
		if (f.sig != SIGSEGV || f.code != SEGV_MAPERR)
			report("another signal", f.sig << 8 | f.code);
		if (i % 64 == 63)
			sched_yield();
	}
	return false;
}

/* Counts in a word of its own in each page: nothing that it stored is lost. */
static void *counts_in_pages(void *arg)
{
	struct worker *w = arg;
	uint64_t count[2 * LEAF] = {}, value;
	struct rng rng = { .state = w->nr };

	while (!stop) {
		size_t page = rng_below(&rng, w->r->pages);

		if (!access_either(w, page, &value, false))
			break;
		if (value != count[page])
			report("a store is lost", value);
		count[page]++;
		if (!access_either(w, page, &count[page], true))
			break;
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(moving, under_threads_that_store, SLOW)
{
	struct vm *vm = &self->vm;
	struct worker w[2];
	long i;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(ranges); k++) {
		const struct range *r = &ranges[k];

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, PRIVATE_ANON, r->from, r->pages, -1));
		start(_metadata, &w[0], vm, r, 0, counts_in_pages);
		start(_metadata, &w[1], vm, r, 1, counts_in_pages);
		for (i = 0; i < rounds(vm, 200) || !have_worked(w); i++) {
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->from, r->pages, 0,
						     r->to));
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->to, r->pages, 0,
						     r->from));
			if (i % 8 == 7)
				sched_yield();
		}
		finish(_metadata, w, 2);
		EXPECT_TRUE(holds(vm_page(vm, r->from), r->pages, PRIVATE_ANON,
				  0, mark_of));
	}
}

/* The same with a file: also what read(2) finds is what was stored. */
TEST_F_TIMEOUT(moving, a_file_under_threads_that_store, SLOW)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	const struct range *r = &ranges[1];
	struct worker w[2];
	enum memory m;
	long i;

	for (m = SHARED_ANON; m < NR_MEMORY; m++) {
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_EQ(0, ftruncate(fd, 0));
		ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, m, r->from, r->pages, fd));
		start(_metadata, &w[0], vm, r, 0, counts_in_pages);
		start(_metadata, &w[1], vm, r, 1, counts_in_pages);
		for (i = 0; i < rounds(vm, 100) || !have_worked(w); i++) {
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->from, r->pages, 0,
						     r->to));
			if (i % 8 == 0)
				fsync(fd);
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->to, r->pages, 0,
						     r->from));
			sched_yield();
		}
		finish(_metadata, w, 2);
		EXPECT_TRUE(holds(vm_page(vm, r->from), r->pages, m, r->from,
				  mark_of));
	}
	close(fd);
}

/* Two threads move through the same tables, in opposite directions. */
static void *to_and_fro(void *arg)
{
	struct worker *w = arg;
	const struct range *r = w->r;
	long n;

	for (n = 0; n < rounds(w->vm, 80); n++) {
		if (move_pages(w->vm, r->from, r->pages, 0, r->to) ==
			    MAP_FAILED ||
		    !holds(vm_page(w->vm, r->to), r->pages, PRIVATE_ANON, 0,
			   mark_of) ||
		    move_pages(w->vm, r->to, r->pages, 0, r->from) ==
			    MAP_FAILED)
			report("to and fro", n);
		if (n % 16 == 0 && !holds(vm_page(w->vm, r->from), r->pages,
					  PRIVATE_ANON, 0, mark_of))
			report("to and fro", n);
	}
	return NULL;
}

TEST_F_TIMEOUT(moving, by_two_threads, SLOW)
{
	static const struct range pairs[][2] = {
		{ { LEAF + 1, 8, 2 * LEAF + 1, 0 },
		  { 2 * LEAF + 100, 8, LEAF + 100, 0 } },
		{ { LEAF + 1, 60, 2 * LEAF + 30, 0 },
		  { 2 * LEAF + 200, 60, LEAF + 200, 0 } },
		{ { 2 * LEAF - 40, 80, 3 * LEAF - 40, 0 },
		  { 3 * LEAF + 100, 200, 2 * LEAF + 100, 0 } },
		/* One has whole tables, next to the other's. */
		{ { 2 * LEAF, LEAF, 3 * LEAF, 0 },
		  { 4 * LEAF, 60, 2 * LEAF - 60, 0 } },
	};
	struct vm *vm = &self->vm;
	struct worker w[2];
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		for (k = 0; k < 2; k++)
			ASSERT_TRUE(furnish(vm, PRIVATE_ANON, pairs[i][k].from,
					    pairs[i][k].pages, -1));
		for (k = 0; k < 2; k++)
			start(_metadata, &w[k], vm, &pairs[i][k], k,
			      to_and_fro);
		finish(_metadata, w, 2);
	}
}

static void *forks(void *arg)
{
	struct worker *w = arg;
	const struct range *r = w->r;

	while (!stop) {
		pid_t pid = fork();

		if (!pid) {
			/* All of it is in one of the places. */
			bool old = !probe_read(vm_page(w->vm, r->from), NULL,
					       NULL);
			size_t at = old ? r->from : r->to;

			CHECK(holds(vm_page(w->vm, at), r->pages, PRIVATE_ANON,
				    0, mark_of));
			CHECK(is_gone(vm_page(w->vm, old ? r->to : r->from),
				      r->pages));
			CHECK(move_pages(w->vm, at, r->pages, 0, r->other) !=
			      MAP_FAILED);
			CHECK(holds(vm_page(w->vm, r->other), r->pages,
				    PRIVATE_ANON, 0, mark_of));
			_exit(0);
		}
		if (pid < 0 || end_of(pid))
			report("a child", w->rounds);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(moving, while_another_forks, SLOW)
{
	struct vm *vm = &self->vm;
	struct worker w;
	long i;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(ranges); k++) {
		const struct range *r = &ranges[k];

		ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
		ASSERT_TRUE(furnish(vm, PRIVATE_ANON, r->from, r->pages, -1));
		start(_metadata, &w, vm, r, 0, forks);
		for (i = 0; i < rounds(vm, 200) || w.rounds < 5; i++) {
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->from, r->pages, 0,
						     r->to));
			/* Copied, for a child may have it. */
			vm_page(vm, r->to)[8 + i % 64] = i;
			ASSERT_NE(MAP_FAILED,
				  (void *)move_pages(vm, r->to, r->pages, 0,
						     r->from));
		}
		finish(_metadata, &w, 1);
		EXPECT_TRUE(holds(vm_page(vm, r->from), r->pages, PRIVATE_ANON,
				  0, mark_of));
	}
}

/* All that two others can do to the ranges: nobody may see what is not his. */
static void *does_anything(void *arg)
{
	struct worker *w = arg;
	struct rng rng = { .state = env_number("ALTVM_SEED", 0) + w->nr };
	static const int flags[] = {
		0,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED,
		MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
	};

	while (w->rounds < rounds(w->vm, 600)) {
		size_t page = rng_below(&rng, 4 * LEAF), to, nr;
		uint64_t value;
		char *p;

		nr = 1 + rng_below(&rng, rng_below(&rng, 4) ? 32 : LEAF + 40);
		if (!rng_below(&rng, 4))
			page -= page % LEAF;
		p = vm_page(w->vm, page);
		to = rng_below(&rng, 4 * LEAF);
		if (rng_below(&rng, 2))
			to = to - to % LEAF + page % LEAF;
		switch (rng_below(&rng, 8)) {
		case 0:
			if (vm_map_at(w->vm, page, nr, RW) != p)
				report("mmap", errno);
			break;
		case 1:
			if (vm_munmap(w->vm, p, nr * PAGE))
				report("munmap", errno);
			break;
		case 2:
			if (vm_mprotect(w->vm, p, nr * PAGE,
					rng_below(&rng, 2) ? RW : PROT_READ) &&
			    errno != ENOMEM)
				report("mprotect", errno);
			break;
		case 3 ... 5:
			if (vm_mremap(w->vm, p, nr * PAGE, nr * PAGE,
				      flags[rng_below(&rng, 5)],
				      vm_page(w->vm, to)) == MAP_FAILED &&
			    errno != EFAULT && errno != EINVAL)
				report("mremap", errno);
			break;
		default:
			/* What is there is zero, or is its own address' low bits. */
			for (; nr; nr--, p += PAGE) {
				value = 0xfeed0000;
				probe_read(p, &value, NULL);
				if (value && value != 0xfeed0000 &&
				    value != 0xbeef)
					report("whose is it", value);
				probe_write(p, 0xbeef, NULL);
			}
		}
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(moving, while_others_do_anything, SLOW)
{
	struct vm *vm = &self->vm;
	struct worker w[3];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(w); i++)
		start(_metadata, &w[i], vm, NULL, i, does_anything);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
	/* Everything works as if nothing had been. */
	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
	EXPECT_EQ(0, vm_areas(vm));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, 6 * LEAF, RW));
	for (i = 0; i < 6 * LEAF; i++) {
		ASSERT_EQ(0, *vm_page(vm, i));
		*vm_page(vm, i) = 1;
	}
}

/* Killed at any moment; the module's counters and the kernel's log tell the rest. */
TEST_F_TIMEOUT(moving, until_it_is_killed, SLOW)
{
	struct vm *vm = &self->vm;
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	long i;

	ASSERT_TRUE(furnish(vm, SHARED_FILE, 6 * LEAF, 40, fd));
	ASSERT_TRUE(furnish(vm, PRIVATE_ANON, LEAF - 9, LEAF + 20, -1));
	for (i = 0; i < rounds(vm, 60); i++) {
		pid_t pid = fork();

		if (!pid) {
			struct worker w[3];
			int k;

			/* They find what was stored above. */
			errors = MAX_REPORTS;
			for (k = 0; k < 3; k++) {
				w[k] = (struct worker){ .vm = vm, .nr = k };
				pthread_create(&w[k].thread, NULL,
					       does_anything, &w[k]);
			}
			for (;;) {
				move_pages(vm, 6 * LEAF, 40, 0, 7 * LEAF - 3);
				move_pages(vm, 7 * LEAF - 3, 40, 0, 6 * LEAF);
			}
		}
		ASSERT_LE(0, pid);
		usleep(1000 + i % 20 * 1500);
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
	EXPECT_TRUE(holds(vm_page(vm, LEAF - 9), LEAF + 20, PRIVATE_ANON, 0,
			  mark_of));
	close(fd);
}

/* A long script, of which a table of marks says how it must end. */
static uint64_t expected[ZONE];
static bool there[ZONE];

static void model_move(size_t from, size_t pages, int flags, size_t to)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		expected[to + i] = expected[from + i];
		there[to + i] = true;
		expected[from + i] = 0;
		there[from + i] = flags & MREMAP_DONTUNMAP;
	}
}

static void step(struct __test_metadata *_metadata, struct vm *vm,
		 struct rng *rng)
{
	size_t from = rng_below(rng, ZONE), pages = 1 + rng_below(rng, 40);
	int flags = rng_below(rng, 4) ? 0 : MREMAP_DONTUNMAP;
	size_t to = rng_below(rng, ZONE), i;
	char *p;

	if (rng_below(rng, 2))
		pages = 1 + rng_below(rng, 3 * LEAF);
	if (rng_below(rng, 2))
		from -= from % LEAF;
	if (rng_below(rng, 2))
		to = to - to % LEAF + from % LEAF;
	if (from + pages > ZONE)
		pages = ZONE - from;
	if (to + pages > ZONE)
		pages = ZONE - to;
	p = vm_page(vm, from);
	for (i = from; i < from + pages && there[i]; i++)
		;
	/* What is there, is written; what is not, is mapped. */
	if (i < from + pages || !rng_below(rng, 6)) {
		if (pages > 300)
			pages = 300;
		ASSERT_EQ(p, vm_map_at(vm, from, pages, RW));
		for (i = from; i < from + pages; i++) {
			there[i] = true;
			expected[i] = rng_below(rng, 3) ? rng_next(rng) : 0;
			if (expected[i])
				*(uint64_t *)vm_page(vm, i) = expected[i];
		}
		return;
	}
	if (from < to + pages && to < from + pages)
		return;
	if (move_pages(vm, from, pages, flags, to) != MAP_FAILED)
		return model_move(from, pages, flags, to);
	/* Natively it matters which were one mapping, and the target is gone. */
	ASSERT_TRUE(vm_is_native(vm) && errno == EFAULT);
	memset(there + to, 0, pages * sizeof(*there));
}

TEST_F_TIMEOUT(moving, by_a_long_script, SLOW)
{
	struct rng rng = { .state = env_number("ALTVM_SEED", 1) };
	struct vm *vm = &self->vm;
	long i, n = rounds(vm, 800);
	size_t page;
	uint64_t value;

	for (i = 0; i < n; i++) {
		step(_metadata, vm, &rng);
		if (i % 50 && i != n - 1)
			continue;
		for (page = 0; page < ZONE; page++) {
			int sig = probe_read(vm_page(vm, page), &value, NULL);

			ASSERT_EQ(there[page] ? 0 : SIGSEGV, sig)
			{
				TH_LOG("page %zu, step %ld", page, i);
			}
			if (!sig)
				ASSERT_EQ(expected[page], value)
				{
					TH_LOG("page %zu, step %ld", page, i);
				}
		}
	}
}

/* --- what only altvm has */

ALTVM_FIXTURE(altvm_moving, ZONE);

/* Has the kernel zap what is mapped, once in each round, while it is moved. */
struct zapper {
	char *p;
	long round;
	bool stop;
};

static void *zaps(void *arg)
{
	struct zapper *z = arg;
	long done = 0, round;

	while (!__atomic_load_n(&z->stop, __ATOMIC_ACQUIRE)) {
		round = __atomic_load_n(&z->round, __ATOMIC_ACQUIRE);
		if (round != done)
			madvise(z->p, LEAF * PAGE, MADV_DONTNEED);
		done = round;
	}
	return NULL;
}

/*
 * The system call takes PTEs away while mremap exchanges their tables.  A page whose
 * PTE is gone must be in no TLB at the new place.
 */
TEST_F_TIMEOUT(altvm_moving, while_the_kernel_zaps, SLOW)
{
	struct vm *vm = &self->vm;
	char *from = vm_page(vm, LEAF), *to = vm_page(vm, 3 * LEAF);
	struct zapper z = { .p = from };
	struct rng rng = { 1 };
	size_t i, stale = 0;
	pthread_t thread;
	long n;

	ASSERT_EQ(0, pthread_create(&thread, NULL, zaps, &z));
	for (n = 1; n <= scaled(40); n++) {
		volatile uint64_t delay = rng_below(&rng, 3000);

		ASSERT_EQ(from, vm_mmap(vm, from, LEAF * PAGE, RW,
					ANON | MAP_FIXED | MAP_POPULATE));
		for (i = LEAF - 1; i > LEAF / 2; i -= 5)
			*word_at(from, i) = n;
		__atomic_store_n(&z.round, n, __ATOMIC_RELEASE);
		while (delay)
			delay--;
		ASSERT_NE(MAP_FAILED,
			  (void *)move_pages(vm, LEAF, LEAF, 0, 3 * LEAF));
		for (i = LEAF - 1; i > LEAF / 2; i -= 5)
			ASSERT_EQ(n, *word_at(to, i));
		for (i = LEAF - 1; i > LEAF / 2; i -= 5) {
			ASSERT_EQ(0, vm_madvise(vm, to + i * PAGE, PAGE,
						MADV_DONTNEED));
			stale += *word_at(to, i) != 0;
		}
	}
	__atomic_store_n(&z.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, stale);
}

TEST_HARNESS_MAIN
