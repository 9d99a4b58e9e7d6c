// SPDX-License-Identifier: GPL-2.0
/*
 * Races and edges that were wrong once.  What must hold, holds natively too.
 *
 * Most of these need luck, and two CPUs.  A page of old contents shows on a
 * kernel that does not clear what it allocates: the debug kernel, or init_on_alloc=0.
 */
#include <sched.h>
#include <sys/ioctl.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"

#define PAGES 256

VM_FIXTURE(regress, PAGES);

/* The kernel's own system is not what is tested, and its lock makes it slow. */
static long rounds(const struct vm *vm, long n)
{
	return scaled(vm_is_native(vm) ? n / 4 : n);
}

static void spin(unsigned long n)
{
	volatile unsigned long i;

	for (i = 0; i < n; i++)
		;
}

/**
 * struct rival - a thread that does something to a page, at a random moment
 * @vm: where
 * @thread: its handle
 * @act: what it does
 * @mem: /proc/self/mem, for @act
 * @turn: counts what it is asked to do
 * @done: counts what it has done
 * @page: to which page
 * @delay: how long after being asked
 * @rng: the moments
 */
struct rival {
	struct vm *vm;
	pthread_t thread;
	void (*act)(struct rival *r, char *p);
	int mem;
	volatile long turn, done;
	volatile size_t page;
	volatile unsigned long delay;
	struct rng rng;
};

#define RIVAL_END -1

static void *rival_run(void *arg)
{
	struct rival *r = arg;

	for (;;) {
		while (r->turn == r->done)
			;
		if (r->turn == RIVAL_END)
			return NULL;
		spin(r->delay);
		r->act(r, r->vm->base + r->page * PAGE);
		__atomic_store_n(&r->done, r->turn, __ATOMIC_SEQ_CST);
	}
}

static void rival_start(struct __test_metadata *_metadata, struct rival *r,
			struct vm *vm, void (*act)(struct rival *r, char *p))
{
	memset(r, 0, sizeof(*r));
	r->vm = vm;
	r->act = act;
	r->rng.state = env_number("ALTVM_SEED", 1);
	r->mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, r->mem);
	ASSERT_EQ(0, pthread_create(&r->thread, NULL, rival_run, r));
}

/* It is to act on @page soon; returns a little earlier or later than that. */
static void rival_ask(struct rival *r, size_t page)
{
	r->page = page;
	r->delay = rng_below(&r->rng, 200);
	__atomic_store_n(&r->turn, r->done + 1, __ATOMIC_SEQ_CST);
	spin(rng_below(&r->rng, 200));
}

static void rival_wait(struct rival *r)
{
	while (r->done != r->turn)
		sched_yield();
}

static void rival_stop(struct rival *r)
{
	__atomic_store_n(&r->turn, RIVAL_END, __ATOMIC_SEQ_CST);
	pthread_join(r->thread, NULL);
	close(r->mem);
}

static void rival_stores(struct rival *r, char *p)
{
	(void)r;
	*(volatile uint64_t *)p = 5;
}

/* As a debugger does, whatever the protection; not into a hole. */
static void rival_pokes(struct rival *r, char *p)
{
	uint64_t value = 5;

	if (pwrite(r->mem, &value, sizeof(value), (off_t)(uintptr_t)p) < 0 &&
	    errno != EIO)
		abort();
}

/* What the kernel gives out next has been used. */
static void dirty_free_pages(void)
{
	char *p = mmap(NULL, 2 * PAGES * PAGE, RW, ANON, -1, 0);

	if (p == MAP_FAILED)
		return;
	memset(p, 0x77, 2 * PAGES * PAGE);
	munmap(p, 2 * PAGES * PAGE);
}

/* The page holds nothing but what a rival may have put into its first word. */
static bool is_new(const char *p)
{
	const uint64_t *word = (const uint64_t *)p;
	size_t i;

	for (i = 1; i < PAGE / sizeof(*word); i++)
		if (word[i])
			return false;
	return !word[0] || word[0] == 5;
}

/* All pages become those of @nr children too, who live until their line ends. */
static void share_with(struct __test_metadata *_metadata, struct vm *vm,
		       int *line, int nr)
{
	ASSERT_EQ(vm->base, vm_map_at(vm, 0, PAGES, RW));
	memset(vm->base, 0xaa, PAGES * PAGE);
	while (nr--) {
		pid_t pid = fork_with(&line[nr]);

		ASSERT_LE(0, pid);
		if (!pid) {
			hear(line[nr]);
			_exit(0);
		}
	}
}

static void unshare_from(int *line, int nr)
{
	while (nr--) {
		say(line[nr]);
		wait(NULL);
		close(line[nr]);
	}
}

/*
 * A store to a shared page is about to copy it when the page is replaced: the new
 * one is all zeroes.
 */
TEST_F_TIMEOUT(regress, a_copy_that_is_called_off, SLOW)
{
	struct rival r;
	int line[2];
	long round;
	size_t i;

	rival_start(_metadata, &r, &self->vm, rival_stores);
	for (round = 0; round < rounds(&self->vm, 24); round++) {
		share_with(_metadata, &self->vm, line, 1 + round % 2);
		dirty_free_pages();
		for (i = 0; i < PAGES; i++) {
			rival_ask(&r, i);
			ASSERT_EQ(vm_page(&self->vm, i),
				  vm_map_at(&self->vm, i, 1, RW));
			rival_wait(&r);
			ASSERT_TRUE(is_new(vm_page(&self->vm, i)))
			{
				TH_LOG("round %ld, page %zu", round, i);
			}
		}
		unshare_from(line, 1 + round % 2);
	}
	rival_stop(&r);
}

/* A debugger writes to a page that is going: it is gone afterwards. */
TEST_F_TIMEOUT(regress, a_poke_into_what_is_unmapped, SLOW)
{
	struct rival r;
	int line[2];
	long round;
	size_t i;

	rival_start(_metadata, &r, &self->vm, rival_pokes);
	for (round = 0; round < rounds(&self->vm, 24); round++) {
		share_with(_metadata, &self->vm, line, 1);
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, PAGES * PAGE,
					 round & 1 ? PROT_READ : PROT_NONE));
		for (i = 0; i < PAGES; i++) {
			char *p = vm_page(&self->vm, i);

			rival_ask(&r, i);
			ASSERT_EQ(0, vm_munmap(&self->vm, p, PAGE));
			rival_wait(&r);
			ASSERT_EQ(p, vm_map_at(&self->vm, i, 1, RW));
			ASSERT_EQ(0, *(uint64_t *)p);
			ASSERT_TRUE(is_new(p));
		}
		unshare_from(line, 1);
	}
	rival_stop(&r);
}

/* A debugger and the process write to a page at once, which is the child's too. */
TEST_F_TIMEOUT(regress, a_poke_beside_a_copy, SLOW)
{
	struct rival r;
	int line[1];
	long round;
	size_t i;

	rival_start(_metadata, &r, &self->vm, rival_pokes);
	for (round = 0; round < rounds(&self->vm, 24); round++) {
		share_with(_metadata, &self->vm, line, 1);
		for (i = 0; i < PAGES; i++) {
			volatile uint64_t *word =
				(void *)(self->base + i * PAGE);

			rival_ask(&r, i);
			word[1] = 6;
			rival_wait(&r);
			ASSERT_EQ(5, word[0]);
			ASSERT_EQ(6, word[1]);
			ASSERT_EQ(0xaaaaaaaaaaaaaaaa, word[2]);
		}
		unshare_from(line, 1);
	}
	rival_stop(&r);
}

/* Beyond the zone there is nothing: up to there it is done. */
TEST_F(regress, mprotect_beyond_the_end)
{
	size_t more, len = PAGES * PAGE;

	for (more = PAGE; more <= 4 * GiB; more *= 32) {
		ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
		memset(self->base, 1, len);
		EXPECT_FAIL(ENOMEM, vm_mprotect(&self->vm, self->base,
						len + more, PROT_READ));
		EXPECT_EQ(SIGSEGV, probe_write(self->base, 1, NULL));
		EXPECT_EQ(0, probe_read(self->base, NULL, NULL));
		EXPECT_FAIL(ENOMEM, vm_mprotect(&self->vm, self->base,
						len + more, PROT_NONE));
		EXPECT_EQ(SIGSEGV, probe_read(self->base, NULL, NULL));
		EXPECT_EQ(SIGSEGV,
			  probe_read(self->base + len - PAGE, NULL, NULL));
		EXPECT_EQ(1, vm_areas(&self->vm));
		EXPECT_FAIL(ENOMEM,
			    vm_mprotect(&self->vm, self->base, len + more, RW));
		EXPECT_EQ(1, self->base[len - 1]);
		self->base[len - 1] = 2;
	}
}

static volatile bool stop;

static void *replaces(void *arg)
{
	struct vm *vm = arg;

	while (!stop) {
		vm_map_at(vm, 0, 32, RW);
		*vm->base = 1;
	}
	return NULL;
}

/* ...and it does not wait for what nobody will ever end. */
TEST_F_TIMEOUT(regress, mprotect_beyond_the_end_meanwhile, SLOW)
{
	char *p = vm_page(&self->vm, PAGES / 2);
	pthread_t thread;
	long i;

	ASSERT_EQ(p, vm_map_at(&self->vm, PAGES / 2, PAGES / 2, RW));
	ASSERT_EQ(0, pthread_create(&thread, NULL, replaces, &self->vm));
	for (i = 0; i < rounds(&self->vm, 4000); i++)
		ASSERT_FAIL(ENOMEM, vm_mprotect(&self->vm, p, PAGES * PAGE,
						i & 1 ? RW : PROT_READ));
	stop = true;
	pthread_join(thread, NULL);
}

#define BIG_PAGES 2048

VM_FIXTURE(regress_big, BIG_PAGES);

static pthread_barrier_t barrier;

/* Takes the right to write away from everything, now and then. */
static void *protects(void *arg)
{
	struct vm *vm = arg;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (stop)
			return NULL;
		vm_mprotect(vm, vm->base, BIG_PAGES * PAGE, PROT_READ);
		pthread_barrier_wait(&barrier);
	}
}

/*
 * Two threads take the same right away.  Whoever finds it gone already still has
 * to wait until no CPU uses it.
 */
TEST_F_TIMEOUT(regress_big, both_take_the_same_right_away, SLOW)
{
	char *last = vm_page(&self->vm, BIG_PAGES - 1);
	const size_t len = BIG_PAGES * PAGE;
	struct rng rng = { .state = 1 };
	long i, written = 0;
	pthread_t thread;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, BIG_PAGES, RW));
	memset(self->base, 1, len);
	pthread_barrier_init(&barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, protects, &self->vm));
	for (i = 0; i < rounds(&self->vm, 1000); i++) {
		*last = 1;
		pthread_barrier_wait(&barrier);
		spin(rng_below(&rng, 3000));
		vm_mprotect(&self->vm, self->base, len, PROT_READ);
		written += !probe_write(last, 2, NULL);
		pthread_barrier_wait(&barrier);
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, len, RW));
	}
	stop = true;
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, written);
}

static void *keeps_reading(void *arg)
{
	while (!stop)
		probe_read(arg, NULL, NULL);
	return NULL;
}

/*
 * What becomes executable is so at once, also on a CPU that has been reading it.
 * (An emulated CPU asks the page tables again; this can fail on a real one.)
 */
TEST_F_TIMEOUT(regress, executable_at_once, SLOW)
{
	pthread_t thread;
	long i;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 1, RW));
	*self->base = (char)RET_INSN;
	ASSERT_EQ(0, pthread_create(&thread, NULL, keeps_reading, self->base));
	for (i = 0; i < rounds(&self->vm, 1000); i++) {
		ASSERT_EQ(0,
			  vm_mprotect(&self->vm, self->base, PAGE, PROT_READ));
		ASSERT_EQ(0, probe_read(self->base, NULL, NULL));
		ASSERT_EQ(SIGSEGV, probe_call(self->base, NULL));
		ASSERT_EQ(0, probe_read(self->base, NULL, NULL));
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, RX));
		ASSERT_EQ(0, probe_call(self->base, NULL));
	}
	stop = true;
	pthread_join(thread, NULL);
}

/*
 * A device reads a page that the parent has in common with a child, when the
 * parent forks once more.  The page is not the parent's to write to.
 */
TEST_F_TIMEOUT(regress, pinned_and_an_earlier_child, SLOW)
{
	int first, second;
	struct held *h = held_open();
	pid_t pid;

	if (!h)
		SKIP(return, "no FUSE");
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 16, RW));
	memset(self->base, 1, 16 * PAGE);
	pid = fork_with(&first);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(first));
		CHECK(self->base[0] == 1);
		CHECK(self->base[5 * PAGE] == 1);
		_exit(0);
	}
	held_begin(h, self->base, PAGE, true);
	pid = fork_with(&second);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(second));
		CHECK(self->base[0] == 1);
		_exit(0);
	}
	/* The first makes the parent's table of pages its own. */
	self->base[5 * PAGE] = 9;
	self->base[0] = 42;
	EXPECT_TRUE(say(first));
	EXPECT_TRUE(say(second));
	EXPECT_EQ(0, end_of(-1));
	EXPECT_EQ(0, end_of(-1));
	EXPECT_EQ(PAGE, held_let_go(h));
	EXPECT_EQ(42, self->base[0]);
	held_close(h);
}

TEST_HARNESS_MAIN
