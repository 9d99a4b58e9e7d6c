// SPDX-License-Identifier: GPL-2.0
/*
 * The same random script natively and in the zone under test, each with a file of
 * its own: mappings of it, accesses, writes, truncation, holes, and forks.  After
 * each step results, signals, and what is found must be the same.
 *
 * ALTVM_SEED=N repeats the script that a failure names, ALTVM_STEPS=N ends it
 * earlier, and with ALTVM_CHECK=N everything is compared after each N steps.
 */
#include <linux/falloc.h>

#include "files.h"
#include "moves.h"

#define PAGES 48
#define FILE_MAX 24
#define STEPS 3000
#define CHILD_STEPS 40
#define HISTORY 24

FILE_FIXTURE(fileoracle, PAGES);

enum op {
	LOAD,
	STORE,
	MAP_FILE_SHARED,
	MAP_FILE_PRIVATE,
	MAP_MEMORY,
	UNMAP,
	PROTECT,
	REMAP,
	ADVISE,
	REMOVE,
	WRITE,
	TRUNCATE,
	PUNCH,
	FORK,
	OPS,
};

/* How many of 100 steps. */
static const int share[OPS] = {
	[LOAD] = 18,	       [STORE] = 23,
	[MAP_FILE_SHARED] = 6, [MAP_FILE_PRIVATE] = 8,
	[MAP_MEMORY] = 2,      [UNMAP] = 4,
	[PROTECT] = 8,	       [REMAP] = 5,
	[ADVISE] = 7,	       [REMOVE] = 1,
	[WRITE] = 8,	       [TRUNCATE] = 5,
	[PUNCH] = 4,	       [FORK] = 1,
};

static const char *const names[OPS] = {
	"load",	 "store",    "map shared", "map private", "map memory",
	"unmap", "protect",  "remap",	   "advise",	  "remove",
	"write", "truncate", "punch",	   "fork",
};

/**
 * struct step - one call or access
 * @op: which
 * @page: in the zone, or of the file
 * @pages: how many
 * @from: the page of the file that is mapped
 * @to: where mremap is to move to
 * @new_pages: how many are then mapped
 * @flags: of mremap
 * @within: bytes from the start of the page
 * @prot: for a mapping
 * @reader: the descriptor is read-only
 * @advice: MADV_*
 * @value: to store, or for a child's random numbers
 */
struct step {
	enum op op;
	size_t page, pages, from, to, new_pages, within;
	int prot, flags, advice;
	bool reader;
	uint64_t value;
};

/**
 * struct side - one of the two systems
 * @vm: its zone
 * @fd: its file, opened for writing, and for reading only
 */
struct side {
	struct vm *vm;
	int fd[2];
};

struct twins {
	struct side side[2];
	struct rng rng;
	struct step history[HISTORY];
	size_t nr;
};

static enum op random_op(struct rng *rng, bool child)
{
	int n = rng_below(rng, 100);
	enum op op = 0;

	while (n >= share[op])
		n -= share[op++];
	/* A child does nothing to the file but by its mappings. */
	return child && op >= REMOVE ? STORE : op;
}

static void random_remap(struct rng *rng, struct step *s)
{
	size_t room;

	s->flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	s->to = rng_below(rng, PAGES);
	s->new_pages = s->pages;
	switch (rng_below(rng, 6)) {
	case 0:
		s->new_pages = 1 + rng_below(rng, 12);
		break;
	case 1:
		s->flags |= MREMAP_DONTUNMAP;
		break;
	case 2:
		/* Where it is. */
		s->flags = 0;
		s->to = s->page;
		s->new_pages = 1 + rng_below(rng, 12);
		break;
	case 3:
		/* Twice, if it is shared. */
		s->pages = 0;
	}
	room = PAGES - s->to;
	if (s->new_pages > room)
		s->new_pages = room;
	if (s->flags & MREMAP_DONTUNMAP)
		s->pages = s->new_pages;
}

static struct step random_step(struct rng *rng, bool child)
{
	static const int prot[] = { PROT_NONE, PROT_READ, RW, RW, RX, RWX };
	static const size_t within[] = { 0, 8, 2048, PAGE - 8 };
	static const int advice[] = { MADV_DONTNEED,	  MADV_DONTNEED,
				      MADV_DONTNEED,	  MADV_POPULATE_READ,
				      MADV_POPULATE_READ, MADV_POPULATE_WRITE,
				      MADV_WILLNEED };
	struct step s = {
		.op = random_op(rng, child),
		.within = within[rng_below(rng, ARRAY_SIZE(within))],
		.prot = prot[rng_below(rng, ARRAY_SIZE(prot))],
		.advice = advice[rng_below(rng, ARRAY_SIZE(advice))],
		.reader = !rng_below(rng, 5),
		.value = rng_next(rng),
		.from = rng_below(rng, FILE_MAX),
	};
	bool of_file = s.op == WRITE || s.op == TRUNCATE || s.op == PUNCH;
	size_t max = of_file ? FILE_MAX : PAGES;

	s.page = rng_below(rng, max);
	s.pages = 1 + rng_below(rng, max - s.page < 12 ? max - s.page : 12);
	if (s.op == REMAP)
		random_remap(rng, &s);
	return s;
}

static long map(const struct side *side, const struct step *s, int flags)
{
	return ERRNO_OF(map_at(side->vm, s->page, s->pages, s->prot, flags,
			       side->fd[s->reader], s->from));
}

static long load(struct vm *vm, size_t page, size_t within)
{
	uint64_t value = 0;
	struct fault f;

	probe_read(vm_page(vm, page) + within, &value, &f);
	return f.sig ? -(f.sig << 8 | f.code) : (long)(value >> 1);
}

static long store(struct vm *vm, const struct step *s)
{
	char *p = vm_page(vm, s->page) + s->within;
	struct fault f;

	probe_write(p, s->value, &f);
	return f.sig << 8 | f.code;
}

static long punch(int fd, const struct step *s)
{
	const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return ERRNO_OF(fallocate(fd, how, s->page * PAGE + s->within,
				  s->pages * PAGE));
}

static long advise(struct vm *vm, const struct step *s, int advice)
{
	char *p = vm_page(vm, s->page);

	return ERRNO_OF(vm_madvise(vm, p, s->pages * PAGE, advice));
}

static long do_step(const struct side *side, const struct step *s)
{
	struct vm *vm = side->vm;
	char *p = vm_page(vm, s->page);

	switch (s->op) {
	case LOAD:
		return load(vm, s->page, s->within);
	case STORE:
		return store(vm, s);
	case MAP_FILE_SHARED:
		return map(side, s, MAP_SHARED);
	case MAP_FILE_PRIVATE:
		return map(side, s, MAP_PRIVATE);
	case MAP_MEMORY:
		return ERRNO_OF(vm_map_at(vm, s->page, s->pages, s->prot));
	case UNMAP:
		return ERRNO_OF(vm_munmap(vm, p, s->pages * PAGE));
	case REMAP:
		return ERRNO_OF(vm_mremap(vm, p, s->pages * PAGE,
					  s->new_pages * PAGE, s->flags,
					  vm_page(vm, s->to)));
	case PROTECT:
		return ERRNO_OF(vm_mprotect(vm, p, s->pages * PAGE, s->prot));
	case ADVISE:
		return advise(vm, s, s->advice);
	case REMOVE:
		return advise(vm, s, MADV_REMOVE);
	case WRITE:
		return pwrite(side->fd[0], &s->value, sizeof(s->value),
			      s->page * PAGE + s->within);
	case TRUNCATE:
		/* Whole pages: what is stored behind the end is undefined. */
		return ERRNO_OF(ftruncate(side->fd[0], s->page * PAGE));
	case PUNCH:
		return punch(side->fd[0], s);
	default:
		return 0;
	}
}

static void print_step(const struct step *s)
{
	fprintf(stderr,
		"# %s page %zu, %zu pages, from %zu, byte %zu, prot %d, advice %d%s\n",
		names[s->op], s->page, s->pages, s->from, s->within, s->prot,
		s->advice, s->reader ? ", reader" : "");
	if (s->op == REMAP)
		fprintf(stderr, "#   to page %zu, %zu pages, flags %d\n", s->to,
			s->new_pages, s->flags);
}

static void print_history(const struct twins *t)
{
	size_t i = t->nr > HISTORY ? t->nr - HISTORY : 0;

	for (; i < t->nr; i++)
		print_step(&t->history[i % HISTORY]);
}

/* Only within what both systems take for one mapping. */
static void avoid_seam(struct vm *native, struct step *s)
{
	unsigned long seam = native_seam(vm_page(native, s->page));
	size_t pages = (seam - (uintptr_t)native->base) / PAGE - s->page;

	if (!seam || s->pages <= pages)
		return;
	if (s->flags & MREMAP_DONTUNMAP)
		s->new_pages = pages;
	s->pages = pages;
}

/* Natively something may have been unmapped then. */
static void forget_failed(struct twins *t, const struct step *s)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct vm *vm = t->side[i].vm;

		vm_munmap(vm, vm_page(vm, s->page), s->pages * PAGE);
		vm_munmap(vm, vm_page(vm, s->to), s->new_pages * PAGE);
	}
}

static bool same_step(struct twins *t, struct step *s)
{
	long want, got;

	if (s->op == REMAP)
		avoid_seam(t->side[0].vm, s);
	want = do_step(&t->side[0], s);
	got = do_step(&t->side[1], s);
	if (s->op == REMAP && want && got)
		forget_failed(t, s);

	t->history[t->nr++ % HISTORY] = *s;
	if (want == got)
		return true;
	fprintf(stderr, "# %#lx, natively %#lx\n", got, want);
	return false;
}

static bool same_memory(struct twins *t)
{
	size_t page, within;

	for (page = 0; page < PAGES; page++)
		for (within = 0; within < PAGE; within += 8) {
			long want = load(t->side[0].vm, page, within);
			long got = load(t->side[1].vm, page, within);

			if (want != got) {
				fprintf(stderr,
					"# page %zu byte %zu: %#lx, natively %#lx\n",
					page, within, got, want);
				return false;
			}
			/* The first word has told about a signal. */
			if (want < 0)
				break;
		}
	return true;
}

static bool same_file(struct twins *t)
{
	static char data[2][(FILE_MAX + 1) * PAGE];
	ssize_t len[2];
	int i;

	for (i = 0; i < 2; i++)
		len[i] = pread(t->side[i].fd[0], data[i], sizeof(data[i]), 0);
	if (len[0] == len[1] && !memcmp(data[0], data[1], len[0]))
		return true;
	fprintf(stderr, "# the files differ\n");
	return false;
}

/* The child starts with the same, and stays the same. */
static bool same_child(struct twins *t, const struct step *s)
{
	struct rng rng = { .state = s->value };
	bool first = rng_next(&rng) & 1;
	bool ok = true;
	int n;
	pid_t pid = fork();

	if (pid)
		return pid > 0 && child_done(pid);
	if (first)
		ok = same_memory(t);
	for (n = 0; n < CHILD_STEPS && ok; n++) {
		struct step step = random_step(&rng, true);

		ok = same_step(t, &step);
	}
	if (!ok || !same_memory(t)) {
		fprintf(stderr, "# in a child, whose last steps were:\n");
		print_history(t);
		_exit(1);
	}
	_exit(0);
}

static bool run_script(struct twins *t, long steps)
{
	long check = env_number("ALTVM_CHECK", 64);
	bool ok = true;
	long n;

	for (n = 0; n < steps && ok; n++) {
		struct step s = random_step(&t->rng, false);

		ok = same_step(t, &s);
		if (ok && s.op == FORK)
			ok = same_child(t, &s);
		if (ok && (s.op == FORK || n % check == 0))
			ok = same_memory(t) && same_file(t);
	}
	return ok && same_memory(t) && same_file(t);
}

static bool side_open(struct side *side, struct vm *vm, int fd)
{
	side->vm = vm;
	side->fd[0] = fd;
	side->fd[1] = file_reopen(fd, O_RDONLY);
	return side->fd[0] >= 0 && side->fd[1] >= 0;
}

static void run(struct __test_metadata *_metadata, struct vm *vm, int fd,
		const struct place *place, long seed)
{
	int other = file_make(place, "other", FILE_PAGES);
	struct twins t = { .rng.state = seed };
	struct vm native;

	/* The zone must not look free, or the native one would be the same. */
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, PAGES, RW));
	ASSERT_EQ(0, vm_open(&native, &vm_native, PAGES * PAGE));
	ASSERT_EQ(0, vm_munmap(vm, vm->base, PAGES * PAGE));
	ASSERT_TRUE(side_open(&t.side[0], &native, other));
	ASSERT_TRUE(side_open(&t.side[1], vm, fd));
	EXPECT_TRUE(run_script(&t, env_number("ALTVM_STEPS", scaled(STEPS))))
	{
		TH_LOG("ALTVM_SEED=%ld, step %zu; the last ones:", seed, t.nr);
		print_history(&t);
	}
	vm_close(&native);
	close(t.side[0].fd[1]);
	close(t.side[1].fd[1]);
	close(other);
}

TEST_F_TIMEOUT(fileoracle, random_scripts, SLOW)
{
	run(_metadata, &self->vm, self->fd, &self->place,
	    env_number("ALTVM_SEED", 1));
}

TEST_HARNESS_MAIN
