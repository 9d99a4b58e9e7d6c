// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that use one file through mappings of both systems and by read(2) and
 * write(2), all at once.
 *
 * The file holds records, words that tell which they are, how often they were
 * written, and whether they are whole.  Each has one writer, who publishes what
 * he has written; so whoever looks knows what he must find at least.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/uio.h>

#include "disk.h"

#define FILE_PAGES 16UL
#define FILE_LEN (FILE_PAGES * PAGE)
#define ZONE_PAGES 64UL

/* A record each so many bytes. */
#define SPAN 256UL
#define RECORDS (FILE_LEN / SPAN)
#define PAGE_RECORDS (PAGE / SPAN)

/*
 * Two writers in a process with native mappings, two in one that uses the system
 * under test, and one without a mapping, or that comes and goes.
 */
#define NR_WRITERS 5

DISK_FIXTURE(coherence, ZONE_PAGES, FILE_PAGES);

/**
 * struct board - what all processes know
 * @published: how often each record has been written, at least
 * @holes: contents may become zero at any moment
 * @gaps: mappings may be gone for a moment
 * @ready: processes that can start, which they do together
 * @stop: all shall end
 * @errors: what was found wrong
 * @steps: what was done
 */
struct board {
	uint32_t published[RECORDS];
	bool holes;
	bool gaps;
	int ready;
	bool stop;
	long errors;
	long steps;
};

/**
 * struct actor - somebody who does things to the file
 * @board: the board
 * @vm: the system he uses
 * @map: his mapping, NULL if he has none
 * @fd: of the file
 * @id: which records are his
 * @steps: how many he does
 * @rng: his random numbers
 */
struct actor {
	struct board *board;
	struct vm *vm;
	char *map;
	int fd;
	unsigned int id;
	long steps;
	struct rng rng;
};

static uint64_t record(size_t r, uint32_t seq)
{
	struct rng rng = { .state = (uint64_t)r << 32 | seq };

	return (uint64_t)seq << 32 | (uint32_t)rng_next(&rng);
}

static off_t record_off(size_t r)
{
	return r * SPAN;
}

static bool is_whole(size_t r, uint64_t value)
{
	return value == record(r, value >> 32);
}

/*
 * Written by stores only.  The kernel copies byte by byte on some machines, so who
 * looks while it writes or reads may find a part.
 */
static bool is_atomic(size_t r)
{
	return r / NR_WRITERS & 1;
}

static uint32_t published(struct board *board, size_t r)
{
	return __atomic_load_n(&board->published[r], __ATOMIC_ACQUIRE);
}

static void report(struct board *board, const char *what, size_t r,
		   uint64_t value, uint64_t want)
{
	if (__atomic_fetch_add(&board->errors, 1, __ATOMIC_RELAXED) < 10)
		fprintf(stderr, "# %s: record %zu: %#lx, %#lx expected\n", what,
			r, value, want);
}

/* May the record be @value, if it had been written @before times? */
static bool is_possible(struct board *board, size_t r, uint64_t value,
			uint32_t before)
{
	uint32_t seq = value >> 32;

	if (!value)
		return !before || board->holes;
	return is_whole(r, value) && seq >= before &&
	       seq <= published(board, r) + 1;
}

/* A signal that may be: there was a gap, or the file was shorter. */
static bool is_allowed(struct board *board, int sig)
{
	return !sig || (sig == SIGBUS && board->holes) ||
	       (sig == SIGSEGV && board->gaps);
}

/* Looks at a record by load or by read(2); false if there is nothing to see. */
static bool look(struct actor *a, size_t r, bool load, uint64_t *value)
{
	ssize_t got;
	int sig;

	if (load) {
		sig = probe_read(a->map + record_off(r), value, NULL);
		if (!is_allowed(a->board, sig))
			report(a->board, "load", r, sig, 0);
		return !sig;
	}
	got = pread(a->fd, value, sizeof(*value), record_off(r));
	if (got != sizeof(*value) && (got || !a->board->holes))
		report(a->board, "pread", r, got, sizeof(*value));
	return got == sizeof(*value);
}

static void check(struct actor *a, size_t r, bool load)
{
	uint32_t before = published(a->board, r);
	int tries = load && is_atomic(r) ? 1 : 1000;
	uint64_t value = 0;

	do {
		if (!look(a, r, load, &value) ||
		    is_possible(a->board, r, value, before))
			return;
		sched_yield();
	} while (--tries);
	report(a->board, load ? "loaded" : "read", r, value, record(r, before));
}

/* Writes one of the actor's own records. */
static void put(struct actor *a, size_t r, bool store)
{
	uint32_t seq = published(a->board, r) + 1;
	uint64_t value = record(r, seq);
	int sig;

	if (store) {
		sig = probe_write(a->map + record_off(r), value, NULL);
		if (!is_allowed(a->board, sig))
			report(a->board, "store", r, sig, 0);
		if (sig)
			return;
	} else if (pwrite(a->fd, &value, sizeof(value), record_off(r)) !=
		   sizeof(value)) {
		report(a->board, "pwrite", r, errno, 0);
		return;
	}
	__atomic_store_n(&a->board->published[r], seq, __ATOMIC_RELEASE);
}

/* Writes the file out, and takes what is clean away. */
static void flush(struct actor *a)
{
	size_t page = rng_below(&a->rng, FILE_PAGES);
	size_t len = (1 + rng_below(&a->rng, FILE_PAGES - page)) * PAGE;
	off_t off = page * PAGE;

	switch (rng_below(&a->rng, 5)) {
	case 0:
		if (a->map && vm_msync(a->vm, a->map + off, len, MS_SYNC) &&
		    !a->board->gaps)
			report(a->board, "msync", 0, errno, 0);
		break;
	case 1:
		if (fdatasync(a->fd))
			report(a->board, "fdatasync", 0, errno, 0);
		break;
	case 2:
		sync_file_range(a->fd, off, len, SYNC_FILE_RANGE_WRITE);
		break;
	default:
		posix_fadvise(a->fd, off, len, POSIX_FADV_DONTNEED);
	}
}

static size_t own_record(struct actor *a)
{
	size_t nr = (RECORDS - a->id + NR_WRITERS - 1) / NR_WRITERS;

	return a->id + rng_below(&a->rng, nr) * NR_WRITERS;
}

static void step(struct actor *a)
{
	bool mapped = a->map && rng_below(&a->rng, 4);
	size_t r;

	switch (rng_below(&a->rng, 64)) {
	case 0:
		flush(a);
		break;
	case 1 ... 31:
		r = own_record(a);
		if (mapped || !is_atomic(r))
			put(a, r, mapped);
		break;
	default:
		check(a, rng_below(&a->rng, RECORDS), mapped);
	}
	__atomic_fetch_add(&a->board->steps, 1, __ATOMIC_RELAXED);
}

static bool is_stopped(struct board *board)
{
	return __atomic_load_n(&board->stop, __ATOMIC_RELAXED);
}

static void *act(void *arg)
{
	struct actor *a = arg;
	long i;

	for (i = 0; i < a->steps && !is_stopped(a->board); i++)
		step(a);
	return NULL;
}

static char *map_all(struct vm *vm, int fd, int flags)
{
	return vm_map_file(vm, vm_page(vm, 8), FILE_LEN, RW, flags | MAP_FIXED,
			   fd, 0);
}

/**
 * struct cast - who takes part
 * @board: the board
 * @ops: the system of the second process
 * @fd: of the file
 * @steps: of each actor
 * @also: what one more thread of the second process does, or NULL
 */
struct cast {
	struct board *board;
	const struct vm_ops *ops;
	int fd;
	long steps;
	void *(*also)(void *actor);
};

static void actor_init(struct actor *a, const struct cast *cast, struct vm *vm,
		       unsigned int id)
{
	*a = (struct actor){
		.board = cast->board,
		.vm = vm,
		.map = vm ? vm_page(vm, 8) : NULL,
		.fd = cast->fd,
		.id = id,
		.steps = cast->steps,
		.rng.state = env_number("ALTVM_SEED", 1) + id,
	};
}

static void start_together(struct board *board)
{
	__atomic_fetch_add(&board->ready, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&board->ready, __ATOMIC_RELAXED) < 2)
		sched_yield();
}

/* A process with two actors, @first and the next; and perhaps with one more. */
static pid_t start(const struct cast *cast, const struct vm_ops *ops,
		   unsigned int first, void *(*also)(void *))
{
	pthread_t thread[3];
	struct actor actor[3];
	struct vm vm;
	pid_t pid = fork();
	int i, nr = also ? 3 : 2;

	if (pid)
		return pid;
	if (vm_open(&vm, ops, ZONE_PAGES * PAGE) ||
	    map_all(&vm, cast->fd, MAP_SHARED) == MAP_FAILED) {
		perror("# mmap");
		_exit(1);
	}
	start_together(cast->board);
	for (i = 0; i < nr; i++) {
		actor_init(&actor[i], cast, &vm, i < 2 ? first + i : 4);
		pthread_create(&thread[i], NULL, i < 2 ? act : also, &actor[i]);
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&cast->board->stop, true, __ATOMIC_RELAXED);
	if (also)
		pthread_join(thread[2], NULL);
	vm_close(&vm);
	_exit(0);
}

static bool has_ended_well(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static struct board *new_board(void)
{
	return mmap(NULL, sizeof(struct board), RW, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
}

/* Nobody writes any more: what is where everybody should see it. */
static void check_all(struct board *board, int fd)
{
	static uint64_t cached[FILE_LEN / 8], stored[FILE_LEN / 8];
	size_t i;

	if (ftruncate(fd, FILE_LEN) || fsync(fd))
		report(board, "fsync", 0, errno, 0);
	if (pread(fd, cached, FILE_LEN, 0) != FILE_LEN ||
	    disk_read(fd, stored, FILE_LEN, 0))
		report(board, "reading", 0, errno, 0);
	for (i = 0; i < FILE_LEN / 8; i++) {
		size_t r = i / (SPAN / 8);

		if (stored[i] != cached[i])
			report(board, "on disk", r, stored[i], cached[i]);
		if (i % (SPAN / 8) ? cached[i] != 0 :
				     !is_possible(board, r, cached[i],
						  published(board, r)))
			report(board, "at the end", r, cached[i],
			       published(board, r));
	}
}

/* Runs them all; this process' own actor has no mapping, or is @extra. */
static void perform(struct __test_metadata *_metadata, struct cast *cast,
		    void (*extra)(struct actor *))
{
	struct actor self;
	pid_t pid[2];

	pid[0] = start(cast, &vm_native, 0, NULL);
	pid[1] = start(cast, cast->ops, 2, cast->also);
	actor_init(&self, cast, NULL, 4);
	if (extra)
		extra(&self);
	else if (!cast->also)
		act(&self);
	EXPECT_TRUE(has_ended_well(pid[0]));
	EXPECT_TRUE(has_ended_well(pid[1]));
	check_all(cast->board, cast->fd);
	EXPECT_EQ(0, cast->board->errors);
	EXPECT_LT(0, cast->board->steps);
}

/* clang-format off */
#define CAST                                            \
	{                                               \
		.board = new_board(),                   \
		.ops = variant->ops,                    \
		.fd = self->fd,                         \
		.steps = scaled(10000),                 \
	}

/* clang-format on */

TEST_F_TIMEOUT(coherence, of_loads_stores_reads_and_writes, SLOW)
{
	struct cast cast = CAST;

	perform(_metadata, &cast, NULL);
}

/* Contents vanish: the file becomes shorter and longer again, and has holes. */
static void make_holes(struct actor *a)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	while (!is_stopped(a->board)) {
		size_t page = rng_below(&a->rng, FILE_PAGES);
		size_t nr = 1 + rng_below(&a->rng, FILE_PAGES - page);

		if (rng_next(&a->rng) & 1) {
			if (fallocate(a->fd, punch, page * PAGE, nr * PAGE))
				report(a->board, "punch", 0, errno, 0);
		} else if (ftruncate(a->fd, page * PAGE) ||
			   ftruncate(a->fd, FILE_LEN)) {
			report(a->board, "ftruncate", 0, errno, 0);
		}
		usleep(rng_below(&a->rng, 2000));
	}
}

TEST_F_TIMEOUT(coherence, of_files_that_lose_parts, SLOW)
{
	struct cast cast = CAST;

	cast.board->holes = true;
	perform(_metadata, &cast, make_holes);
}

/* Parts of the mapping go and come back, or cannot be written for a moment. */
static void *remap(void *arg)
{
	struct actor *a = arg;

	while (!is_stopped(a->board)) {
		size_t page = rng_below(&a->rng, FILE_PAGES);
		size_t len = (1 + rng_below(&a->rng, FILE_PAGES - page)) * PAGE;
		char *p = a->map + page * PAGE;
		int ret = 0;

		switch (rng_below(&a->rng, 3)) {
		case 0:
			ret = vm_munmap(a->vm, p, len);
			break;
		case 1:
			ret = vm_mprotect(a->vm, p, len, PROT_READ) ||
			      vm_mprotect(a->vm, p, len, RW);
		}
		if (ret ||
		    vm_map_file(a->vm, p, len, RW, MAP_SHARED | MAP_FIXED,
				a->fd, page * PAGE) != p)
			report(a->board, "remap", page, errno, 0);
	}
	return NULL;
}

TEST_F_TIMEOUT(coherence, of_mappings_that_come_and_go, SLOW)
{
	struct cast cast = CAST;

	cast.also = remap;
	cast.board->gaps = true;
	perform(_metadata, &cast, NULL);
}

TEST_F_TIMEOUT(coherence, of_all_that_at_once, SLOW)
{
	struct cast cast = CAST;

	cast.also = remap;
	cast.board->gaps = true;
	cast.board->holes = true;
	perform(_metadata, &cast, make_holes);
}

/* The pages move from one memory node to the other, wherever they are mapped. */
static void migrate(struct actor *a)
{
	char *map = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, a->fd, 0);
	uint64_t value;
	long moved = 0;

	while (!is_stopped(a->board)) {
		size_t page = rng_below(&a->rng, FILE_PAGES);
		int node = rng_below(&a->rng, 2), status = -1;
		void *at = map + page * PAGE;

		probe_read(at, &value, NULL);
		/* 4: MPOL_MF_MOVE_ALL */
		syscall(SYS_move_pages, 0, 1UL, &at, &node, &status, 4);
		moved += status == node;
	}
	if (!moved)
		report(a->board, "nothing moved", 0, 0, 0);
	munmap(map, FILE_LEN);
}

TEST_F_TIMEOUT(coherence, of_pages_that_migrate, SLOW)
{
	struct cast cast = CAST;

	if (geteuid() || access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "not root, or no second memory node");
	perform(_metadata, &cast, migrate);
}

/* Children take part with the mapping that they inherit, one after the other. */
static void *fork_again(void *arg)
{
	struct actor *a = arg;

	while (!is_stopped(a->board)) {
		pid_t pid = fork();

		if (!pid) {
			a->steps = 200;
			act(a);
			_exit(0);
		}
		if (!has_ended_well(pid))
			report(a->board, "child", 0, pid, 0);
		rng_next(&a->rng);
	}
	return NULL;
}

TEST_F_TIMEOUT(coherence, of_forked_children, SLOW)
{
	struct cast cast = CAST;

	cast.also = fork_again;
	perform(_metadata, &cast, NULL);
}

/* Private mappings. */

/* A word of each page that no record is in. */
#define MARK_OFF 8

/**
 * struct copies - which pages of a private mapping are copies
 * @map: the mapping
 * @ours: has it been written?
 * @frozen: what it was copied with
 */
struct copies {
	char *map;
	bool ours[FILE_PAGES];
	uint64_t frozen[RECORDS];
};

static uint64_t private_word(struct copies *c, size_t r)
{
	return *(volatile uint64_t *)(c->map + record_off(r));
}

/* The first write to a page freezes what is around it. */
static void freeze(struct actor *a, struct copies *c, size_t page)
{
	size_t first = page * PAGE_RECORDS, i;
	uint32_t before[PAGE_RECORDS];

	for (i = 0; i < PAGE_RECORDS; i++)
		before[i] = published(a->board, first + i);
	*(volatile uint64_t *)(c->map + page * PAGE + MARK_OFF) = page + 1;
	for (i = 0; i < PAGE_RECORDS && !c->ours[page]; i++) {
		uint64_t value = private_word(c, first + i);

		c->frozen[first + i] = value;
		if (is_atomic(first + i) &&
		    !is_possible(a->board, first + i, value, before[i]))
			report(a->board, "copied", first + i, value, before[i]);
	}
	c->ours[page] = true;
}

/* A page that was not written follows the file, another one stays as it was. */
static void check_private(struct actor *a, struct copies *c, size_t page)
{
	const char *mark = c->map + page * PAGE + MARK_OFF;
	size_t r;

	if (*(volatile uint64_t *)mark != (c->ours[page] ? page + 1 : 0))
		report(a->board, "mark", page, *(uint64_t *)mark, 0);
	for (r = page * PAGE_RECORDS; r < (page + 1) * PAGE_RECORDS; r++) {
		if (!c->ours[page])
			check(a, r, true);
		else if (private_word(c, r) != c->frozen[r])
			report(a->board, "frozen", r, private_word(c, r),
			       c->frozen[r]);
	}
}

static void *use_privately(void *arg)
{
	struct actor *a = arg;
	struct copies c = { .map = vm_page(a->vm, 8 + 2 * FILE_PAGES) };

	if (vm_map_file(a->vm, c.map, FILE_LEN, RW, MAP_PRIVATE | MAP_FIXED,
			a->fd, 0) != c.map)
		report(a->board, "private", 0, errno, 0);
	a->map = c.map;
	while (!is_stopped(a->board)) {
		size_t page = rng_below(&a->rng, FILE_PAGES);

		switch (rng_below(&a->rng, 8)) {
		case 0:
			freeze(a, &c, page);
			break;
		case 1:
			vm_map_file(a->vm, c.map + page * PAGE, PAGE, RW,
				    MAP_PRIVATE | MAP_FIXED, a->fd,
				    page * PAGE);
			c.ours[page] = false;
			break;
		default:
			check_private(a, &c, page);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(coherence, of_private_mappings, SLOW)
{
	struct cast cast = CAST;

	cast.also = use_privately;
	perform(_metadata, &cast, NULL);
}

/* The same, in children that inherit the mapping with its copies. */
static void *fork_privately(void *arg)
{
	struct actor *a = arg;
	struct copies c = { .map = vm_page(a->vm, 8 + 2 * FILE_PAGES) };
	size_t page;

	if (vm_map_file(a->vm, c.map, FILE_LEN, RW, MAP_PRIVATE | MAP_FIXED,
			a->fd, 0) != c.map)
		report(a->board, "private", 0, errno, 0);
	a->map = c.map;
	while (!is_stopped(a->board)) {
		pid_t pid;

		freeze(a, &c, rng_below(&a->rng, FILE_PAGES));
		pid = fork();
		for (page = 0; page < FILE_PAGES; page++)
			check_private(a, &c, page);
		if (!pid) {
			for (page = 0; page < FILE_PAGES; page += 2)
				freeze(a, &c, page);
			for (page = 0; page < FILE_PAGES; page++)
				check_private(a, &c, page);
			_exit(0);
		}
		if (!has_ended_well(pid))
			report(a->board, "child", 0, pid, 0);
		page = rng_below(&a->rng, FILE_PAGES);
		vm_map_file(a->vm, c.map + page * PAGE, PAGE, RW,
			    MAP_PRIVATE | MAP_FIXED, a->fd, page * PAGE);
		c.ours[page] = false;
	}
	return NULL;
}

TEST_F_TIMEOUT(coherence, of_private_mappings_in_children, SLOW)
{
	struct cast cast = CAST;

	cast.also = fork_privately;
	perform(_metadata, &cast, NULL);
}

/* How often the writers of the second process have written. */
static uint64_t victims_work(struct board *board)
{
	uint64_t nr = 0;
	size_t r;

	for (r = 0; r < RECORDS; r++)
		if (r % NR_WRITERS == 2 || r % NR_WRITERS == 3)
			nr += published(board, r);
	return nr;
}

/*
 * Processes are killed wherever they are: what they had stored is in the file.  The
 * first one lives until it has done something.
 */
TEST_F_TIMEOUT(coherence, survives_kills, SLOW)
{
	struct cast cast = CAST;
	struct rng rng = { .state = env_number("ALTVM_SEED", 1) };
	long rounds = scaled(60), round;
	struct actor a;
	pid_t native, pid;
	int status;
	size_t r;

	cast.steps = LONG_MAX;
	native = start(&cast, &vm_native, 0, NULL);
	actor_init(&a, &cast, NULL, 4);
	for (round = 0; round < rounds; round++) {
		pid = start(&cast, variant->ops, 2, NULL);
		while (!round && !victims_work(cast.board))
			usleep(1000);
		usleep(rng_below(&rng, 40000));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, status);
		for (r = 0; r < RECORDS; r++)
			check(&a, r, false);
	}
	__atomic_store_n(&cast.board->stop, true, __ATOMIC_RELAXED);
	EXPECT_TRUE(has_ended_well(native));
	check_all(cast.board, self->fd);
	EXPECT_EQ(0, cast.board->errors);
}

TEST_HARNESS_MAIN
