// SPDX-License-Identifier: GPL-2.0
/*
 * Threads in one zone: what may be seen while others change it, and what must
 * not.  Each test runs natively too, for it must hold there as well.
 */
#include <pthread.h>
#include <sched.h>

#include "child.h"
#include "fixture.h"
#include "memory.h"

#define PAGES 512
#define NR_THREADS 4
#define NR_WRITERS 2
#define ROUNDS 400

VM_FIXTURE(threads, PAGES);

static volatile bool stop;
static long errors;

/* The kernel's own system is not what is tested, and its lock makes it slow. */
static long rounds(const struct vm *vm, long n)
{
	return scaled(vm_is_native(vm) ? n / 8 : n);
}

static void report(const char *what, size_t where)
{
	if (__atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED) < 5)
		fprintf(stderr, "# wrong: %s (%#zx)\n", what, where);
}

/**
 * struct worker - a thread and what it needs
 * @vm: where it works
 * @nr: its number, from 0
 * @thread: its handle
 * @rounds: how many it has done
 */
struct worker {
	struct vm *vm;
	size_t nr;
	pthread_t thread;
	long rounds;
};

static void start(struct __test_metadata *_metadata, struct worker *w,
		  size_t nr, struct vm *vm, void *(*run)(void *))
{
	size_t i;

	stop = false;
	for (i = 0; i < nr; i++) {
		w[i].vm = vm;
		w[i].nr = i;
		w[i].rounds = 0;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, run, &w[i]));
	}
}

static void finish(struct __test_metadata *_metadata, struct worker *w,
		   size_t nr)
{
	size_t i;

	stop = true;
	for (i = 0; i < nr; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* Its own quarter of the zone, where nobody else may be noticed. */
static void *in_its_own_part(void *arg)
{
	struct worker *w = arg;
	struct vm *vm = w->vm;
	struct rng rng = { .state = w->nr };
	const size_t pages = PAGES / NR_THREADS, first = w->nr * pages;
	uint64_t mark[PAGES / NR_THREADS] = {};
	bool there[PAGES / NR_THREADS] = {};
	bool writable[PAGES / NR_THREADS] = {};
	size_t i;

	while (w->rounds < rounds(w->vm, ROUNDS * 10)) {
		size_t page = rng_below(&rng, pages - 8);
		size_t nr = 1 + rng_below(&rng, 8);
		char *p = vm->base + (first + page) * PAGE;
		bool all = true;
		uint64_t value;

		for (i = page; i < page + nr; i++)
			all &= there[i];
		switch (rng_below(&rng, 5)) {
		case 0:
			if (vm_map_at(vm, first + page, nr, RW) != p)
				report("mmap", errno);
			for (i = page; i < page + nr; i++) {
				there[i] = writable[i] = true;
				mark[i] = 0;
			}
			break;
		case 1:
			if (vm_munmap(vm, p, nr * PAGE))
				report("munmap", errno);
			for (i = page; i < page + nr; i++)
				there[i] = writable[i] = false;
			break;
		case 2:
			if (vm_mprotect(vm, p, PAGE, PROT_READ) !=
			    (there[page] ? 0 : -1))
				report("mprotect", errno);
			writable[page] = false;
			break;
		case 3:
			if (vm_mprotect(vm, p, nr * PAGE, RW) != (all ? 0 : -1))
				report("mprotect", errno);
			for (i = page; i < page + nr && there[i]; i++)
				writable[i] = true;
			break;
		default:
			value = rng_next(&rng);
			if (probe_write(p, value, NULL) !=
			    (writable[page] ? 0 : SIGSEGV))
				report("write", (size_t)p);
			else if (writable[page])
				mark[page] = value;
		}
		page = rng_below(&rng, pages);
		p = vm->base + (first + page) * PAGE;
		if (probe_read(p, &value, NULL) != (there[page] ? 0 : SIGSEGV))
			report("read", (size_t)p);
		else if (there[page] && value != mark[page])
			report("contents", (size_t)p);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, disjoint_parts, SLOW)
{
	struct worker w[NR_THREADS];
	size_t i;

	start(_metadata, w, NR_THREADS, &self->vm, in_its_own_part);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* Where the kernel chooses, it must not choose the same for two. */
static void *where_it_is_put(void *arg)
{
	struct worker *w = arg;
	struct vm *vm = w->vm;
	struct rng rng = { .state = w->nr };
	char *own[16] = {};
	size_t len[16] = {};
	size_t k;

	while (w->rounds < rounds(w->vm, ROUNDS * 5)) {
		size_t i = rng_below(&rng, ARRAY_SIZE(own));
		size_t at;

		if (own[i]) {
			for (at = 0; at < len[i]; at += PAGE)
				if (own[i][at] != (char)(w->nr + 1))
					report("two in one place", at);
			if (vm_munmap(vm, own[i], len[i]))
				report("munmap", errno);
			own[i] = NULL;
		} else {
			len[i] = (1 + rng_below(&rng, 4)) * PAGE;
			own[i] = vm_mmap(vm, NULL, len[i], RW, ANON);
			if (own[i] == MAP_FAILED) {
				report("mmap", errno);
				own[i] = NULL;
				continue;
			}
			for (at = 0; at < len[i]; at += PAGE) {
				if (own[i][at])
					report("not zero", at);
				own[i][at] = w->nr + 1;
			}
		}
		w->rounds++;
	}
	for (k = 0; k < ARRAY_SIZE(own); k++)
		if (own[k])
			vm_munmap(vm, own[k], len[k]);
	return NULL;
}

TEST_F_TIMEOUT(threads, no_address_for_two, SLOW)
{
	struct worker w[NR_THREADS];
	size_t i;

	start(_metadata, w, NR_THREADS, &self->vm, where_it_is_put);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* Two such threads, and often there is nothing in the zone for a moment. */
static void *comes_and_goes(void *arg)
{
	struct worker *w = arg;
	const size_t page = w->nr * (PAGES / 2);

	while (w->rounds < rounds(w->vm, ROUNDS * 5)) {
		char *p = vm_map_at(w->vm, page, 1, RW);

		if (p == MAP_FAILED) {
			report("mmap", errno);
			break;
		}
		*p = 1;
		if (vm_munmap(w->vm, p, PAGE))
			report("munmap", errno);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, nothing_left_for_a_moment, SLOW)
{
	struct worker w[2];
	size_t i;

	start(_metadata, w, 2, &self->vm, comes_and_goes);
	for (i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
}

/* Reads what is being replaced: there is always something, old or new. */
static void *reads_for_ever(void *arg)
{
	struct worker *w = arg;
	struct rng rng = { .state = w->nr };
	struct fault f;
	uint64_t value;

	while (!stop) {
		char *p = w->vm->base + rng_below(&rng, 16) * PAGE;

		if (probe_read(p, &value, &f))
			report("signal while replaced", f.code);
		else if (value && value != 0x600d)
			report("neither old nor new", value);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, replaced_without_a_hole, SLOW)
{
	struct worker w[2];
	size_t i, k;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 16, RW));
	start(_metadata, w, 2, &self->vm, reads_for_ever);
	for (i = 0; i < (size_t)rounds(&self->vm, ROUNDS); i++) {
		size_t first = i % 8, pages = 1 + i % 8;

		ASSERT_EQ(self->base + first * PAGE,
			  vm_map_at(&self->vm, first, pages, RW));
		for (k = first; k < first + pages; k++)
			*(volatile uint64_t *)(self->base + k * PAGE) = 0x600d;
		ASSERT_EQ(0,
			  vm_mprotect(&self->vm, self->base + PAGE * (i % 16),
				      PAGE, i & 1 ? PROT_READ : RW));
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, 16 * PAGE, RW));
	}
	await_first(w[0].rounds);
	await_first(w[1].rounds);
	finish(_metadata, w, 2);
}

static uint64_t sequence[NR_THREADS];

static void *writes_for_ever(void *arg)
{
	struct worker *w = arg;
	uint64_t *word = (uint64_t *)(w->vm->base + 8 * PAGE) + w->nr;

	while (!stop) {
		probe_write(word, ++sequence[w->nr], NULL);
		w->rounds++;
	}
	return NULL;
}

/* When mprotect has returned, no CPU writes any more. */
TEST_F_TIMEOUT(threads, no_write_after_mprotect, SLOW)
{
	uint64_t *word = (uint64_t *)(self->base + 8 * PAGE);
	struct worker w[NR_WRITERS];
	size_t i, k, n;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 8, 1, RW));
	start(_metadata, w, NR_WRITERS, &self->vm, writes_for_ever);
	for (i = 0; i < (size_t)rounds(&self->vm, ROUNDS / 2); i++) {
		uint64_t seen[NR_WRITERS];

		ASSERT_EQ(0, vm_mprotect(&self->vm, word, PAGE, PROT_READ));
		for (k = 0; k < NR_WRITERS; k++)
			seen[k] = __atomic_load_n(&word[k], __ATOMIC_SEQ_CST);
		for (n = 0; n < 20; n++) {
			if (n % 10 == 9)
				sched_yield();
			for (k = 0; k < NR_WRITERS; k++)
				if (__atomic_load_n(&word[k],
						    __ATOMIC_SEQ_CST) !=
				    seen[k])
					report("written after mprotect", k);
		}
		ASSERT_EQ(0, vm_mprotect(&self->vm, word, PAGE, RW));
		sched_yield();
	}
	finish(_metadata, w, NR_WRITERS);
}

/*
 * When munmap has returned, no CPU reaches the page any more: it is given out
 * again at once, elsewhere, and must not change there.
 */
TEST_F_TIMEOUT(threads, no_write_after_munmap, SLOW)
{
	struct worker w[NR_WRITERS];
	size_t i, k, n;

	start(_metadata, w, NR_WRITERS, &self->vm, writes_for_ever);
	for (i = 0; i < (size_t)rounds(&self->vm, ROUNDS / 2); i++) {
		const size_t pages = 16;
		char *p;

		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 8, 1, RW));
		sched_yield();
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base + 8 * PAGE, PAGE));
		p = vm_map_at(&self->vm, 64, pages, RW);
		ASSERT_NE(MAP_FAILED, (void *)p);
		for (k = 0; k < pages; k++)
			*(volatile uint64_t *)(p + k * PAGE + PAGE - 8) = 1;
		sched_yield();
		for (k = 0; k < pages; k++)
			for (n = 0; n < NR_WRITERS; n++)
				if (*(volatile uint64_t *)(p + k * PAGE +
							   8 * n))
					report("a page of ours was written", k);
		ASSERT_EQ(0, vm_munmap(&self->vm, p, pages * PAGE));
	}
	finish(_metadata, w, NR_WRITERS);
}

static pthread_barrier_t barrier;

/* All touch the same new pages at once, and add up. */
static void *adds(void *arg)
{
	struct worker *w = arg;
	size_t k;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (stop)
			return NULL;
		for (k = 0; k < 16; k++) {
			uint64_t *word = (uint64_t *)(w->vm->base + k * PAGE);

			/* Some look first, and so get the page of zeroes. */
			if ((w->nr + k) & 1)
				probe_read(word, NULL, NULL);
			__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		}
		w->rounds++;
		pthread_barrier_wait(&barrier);
	}
}

TEST_F_TIMEOUT(threads, one_page_for_all, SLOW)
{
	struct worker w[NR_THREADS];
	size_t i, k;

	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	start(_metadata, w, NR_THREADS, &self->vm, adds);
	for (i = 0; i < (size_t)rounds(&self->vm, ROUNDS); i++) {
		ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 16, RW));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (k = 0; k < 16; k++)
			ASSERT_EQ(NR_THREADS,
				  *(uint64_t *)(self->base + k * PAGE));
	}
	stop = true;
	pthread_barrier_wait(&barrier);
	finish(_metadata, w, NR_THREADS);
}

/*
 * A page of zeroes that others read becomes writable: @flag says which store is
 * done, the i-th to page i % PAGES, and then all must see it.
 */
static volatile uint64_t flag;

static void *watches(void *arg)
{
	struct worker *w = arg;
	struct rng rng = { .state = w->nr };

	while (!stop) {
		uint64_t first, last, value;
		size_t page;

		/* The next one or so: before, or in, its first store. */
		page = (flag + rng_below(&rng, 3)) % PAGES;
		probe_read(w->vm->base + page * PAGE, NULL, NULL);

		first = __atomic_load_n(&flag, __ATOMIC_SEQ_CST);
		page = (first - 1) % PAGES;
		if (!first ||
		    probe_read(w->vm->base + page * PAGE, &value, NULL))
			continue;
		last = __atomic_load_n(&flag, __ATOMIC_SEQ_CST);
		/* Not replaced meanwhile. */
		if (last && (last - 1) / PAGES == (first - 1) / PAGES &&
		    value != first)
			report("not the last store", value);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, a_store_is_seen, SLOW)
{
	struct worker w[NR_THREADS - 1];
	uint64_t i;

	flag = 0;
	start(_metadata, w, NR_THREADS - 1, &self->vm, watches);
	for (i = 0; i < (uint64_t)scaled(ROUNDS) * 10; i++) {
		size_t page = i % PAGES;

		if (!page) {
			__atomic_store_n(&flag, 0, __ATOMIC_SEQ_CST);
			ASSERT_EQ(self->base,
				  vm_map_at(&self->vm, 0, PAGES, RW));
		}
		*(volatile uint64_t *)(self->base + page * PAGE) = i + 1;
		__atomic_store_n(&flag, i + 1, __ATOMIC_SEQ_CST);
	}
	finish(_metadata, w, NR_THREADS - 1);
}

/* Anything at once, anywhere: only the state must stay sane. */
static void *anything(void *arg)
{
	struct worker *w = arg;
	struct vm *vm = w->vm;
	struct rng rng = { .state = w->nr };
	unsigned char vec[64];

	while (w->rounds < rounds(w->vm, ROUNDS * 10)) {
		size_t page = rng_below(&rng, 64);
		size_t nr = 1 + rng_below(&rng, 64 - page);
		char *p = vm->base + page * PAGE;
		int ret = 0;

		switch (rng_below(&rng, 8)) {
		case 0:
			ret = vm_mmap(vm, p, nr * PAGE, rng_below(&rng, 4),
				      ANON | MAP_FIXED) == MAP_FAILED ?
				      -1 :
				      0;
			break;
		case 1:
			ret = vm_mmap(vm, p, nr * PAGE, RW,
				      ANON | MAP_FIXED | MAP_POPULATE) ==
					      MAP_FAILED ?
				      -1 :
				      0;
			break;
		case 2:
			ret = vm_mmap(vm, p, nr * PAGE, RW,
				      ANON | MAP_FIXED_NOREPLACE) ==
					      MAP_FAILED ?
				      -1 :
				      0;
			if (ret && errno == EEXIST)
				ret = 0;
			break;
		case 3:
			ret = vm_munmap(vm, p, nr * PAGE);
			break;
		case 4:
			ret = vm_mprotect(vm, p, nr * PAGE, rng_below(&rng, 8));
			if (ret && errno == ENOMEM)
				ret = 0;
			break;
		case 5:
			ret = vm_mincore(vm, p, nr * PAGE, vec);
			if (ret && errno == ENOMEM)
				ret = 0;
			break;
		case 6:
			probe_read(p, NULL, NULL);
			break;
		default:
			probe_write(p, 1, NULL);
		}
		if (ret)
			report(strerror(errno), page);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, anything_at_once, SLOW)
{
	struct worker w[NR_THREADS];
	size_t i;

	start(_metadata, w, NR_THREADS, &self->vm, anything);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
	/* Everything works as if nothing had been. */
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	EXPECT_EQ(0, vm_areas(&self->vm));
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 64, RW));
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, self->base[i * PAGE]);
		self->base[i * PAGE] = 1;
	}
	EXPECT_EQ(1, vm_areas(&self->vm));
}

/* The kernel writes to memory that is taken away meanwhile: all, or EFAULT. */
static void *reads_into(void *arg)
{
	struct worker *w = arg;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	while (!stop) {
		ssize_t ret = read(fd, w->vm->base, 16 * PAGE);

		if (ret < 0 && errno != EFAULT)
			report("read", errno);
		w->rounds++;
	}
	close(fd);
	return NULL;
}

TEST_F_TIMEOUT(threads, system_calls_meanwhile, SLOW)
{
	struct worker w[2];
	size_t i;

	start(_metadata, w, 2, &self->vm, reads_into);
	for (i = 0; i < (size_t)rounds(&self->vm, ROUNDS); i++) {
		ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 16, RW));
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + 4 * PAGE,
					 4 * PAGE, PROT_NONE));
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base + (i % 8) * PAGE,
				       8 * PAGE));
	}
	finish(_metadata, w, 2);
}

/*
 * Anything at once with memory of each kind, all of it of one file that becomes
 * shorter and longer, and with forks.
 */
static int file = -1;

/* One random call on 1 to 16 of 64 pages; errno, if it is not one of those that may be. */
static int some_call(struct worker *w, struct rng *rng)
{
	static const int advice[] = { MADV_DONTFORK,   MADV_DOFORK,
				      MADV_WIPEONFORK, MADV_KEEPONFORK,
				      MADV_SEQUENTIAL, MADV_NORMAL };
	size_t page = rng_below(rng, 48), nr = 1 + rng_below(rng, 16);
	char *p = vm_page(w->vm, page);
	int prot = rng_below(rng, 4);
	unsigned char vec[16];
	int err;

	switch (rng_below(rng, 8)) {
	case 0 ... 2:
		return ERRNO_OF(memory_map(w->vm, rng_below(rng, NR_MEMORY),
					   page, nr, prot, file));
	case 3:
		return ERRNO_OF(vm_munmap(w->vm, p, nr * PAGE));
	case 4:
		err = ERRNO_OF(vm_mprotect(w->vm, p, nr * PAGE, prot));
		break;
	case 5:
		err = ERRNO_OF(vm_madvise(w->vm, p, nr * PAGE,
					  advice[rng_below(rng, 6)]));
		/* Only private anonymous memory can be wiped. */
		if (err == EINVAL)
			err = 0;
		break;
	case 6:
		err = ERRNO_OF(vm_msync(w->vm, p, nr * PAGE, MS_SYNC));
		break;
	default:
		err = ERRNO_OF(vm_mincore(w->vm, p, nr * PAGE, vec));
	}
	return err == ENOMEM ? 0 : err;
}

static void some_accesses(struct worker *w, struct rng *rng)
{
	int i;

	for (i = 0; i < 8; i++) {
		char *p = vm_page(w->vm, rng_below(rng, 64)) + 8 * w->nr;

		if (i & 1)
			probe_write(p, w->nr, NULL);
		else
			probe_read(p, NULL, NULL);
	}
}

static void some_fork(struct worker *w, struct rng *rng)
{
	pid_t pid = fork();

	if (!pid) {
		some_accesses(w, rng);
		CHECK(!some_call(w, rng));
		some_accesses(w, rng);
		_exit(0);
	}
	if (pid < 0 || end_of(pid))
		report("fork", pid);
}

static void *anything_with_files(void *arg)
{
	struct worker *w = arg;
	struct rng rng = { .state = env_number("ALTVM_SEED", 0) + w->nr };

	while (w->rounds < rounds(w->vm, ROUNDS / 2)) {
		int err = some_call(w, &rng);

		if (err)
			report(strerror(err), w->rounds);
		some_accesses(w, &rng);
		if (w->nr == 0 && w->rounds % 16 == 0)
			some_fork(w, &rng);
		if (w->nr == 1 && w->rounds % 4 == 0 &&
		    ftruncate(file, rng_below(&rng, 64 * PAGE)))
			report("ftruncate", errno);
		if (w->nr == 2 && w->rounds % 4 == 0 &&
		    ftruncate(file, 64 * PAGE))
			report("ftruncate", errno);
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(threads, anything_at_once_with_files, SLOW)
{
	struct worker w[NR_THREADS];
	enum memory m;
	size_t i;

	file = nameless_file(files_dir(), 64 * PAGE);
	ASSERT_LE(0, file);
	start(_metadata, w, NR_THREADS, &self->vm, anything_with_files);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT_EQ(0, errors);
	/* Everything works as if nothing had been. */
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	EXPECT_EQ(0, vm_areas(&self->vm));
	ASSERT_EQ(0, ftruncate(file, 0));
	ASSERT_EQ(0, ftruncate(file, 64 * PAGE));
	for_each_memory(m) {
		ASSERT_EQ(self->base,
			  memory_map(&self->vm, m, 0, 64, RW, file));
		for (i = 0; i < 64; i++) {
			ASSERT_EQ(0, self->base[i * PAGE]);
			if (m != SHARED_FILE)
				self->base[i * PAGE] = 1;
		}
		EXPECT_EQ(1, vm_areas(&self->vm));
	}
}

TEST_HARNESS_MAIN
