// SPDX-License-Identifier: GPL-2.0
/*
 * The tree of areas: by hand at its edges, at random against an array with the
 * attributes of each page, and its busy ranges with somebody waiting for them.
 */
#include <linux/sched/signal.h>

#include "fixture.h"
#include "tree.h"

/* Neither at 0 nor aligned to anything larger than a page. */
#define START (0x7f1234400000UL + 3 * PAGE_SIZE)
#define NR 160

#define STEPS 2000

#define NONE 0UL
#define R VM_READ
#define RW (VM_READ | VM_WRITE)

static unsigned long addr_of(unsigned int page)
{
	return START + page * PAGE_SIZE;
}

/* In the model only: a hole; and a busy range has a number, to tell it apart. */
#define HOLE BIT(63)
#define BUSY(nr) (ALTVM_ATTR_BUSY | (nr) << 32)
#define BUSY_NR GENMASK(39, 32)

/**
 * struct tree - a space and what its tree should say
 * @test: whose
 * @space: bare
 * @attr: of each page
 * @claimed: busy ranges, in pages; empty ones are free
 * @rnd: for random tests
 */
struct tree {
	struct kunit *test;
	struct altvm_space *space;
	unsigned long attr[NR];
	struct {
		unsigned int from, to;
	} claimed[4];
	struct rnd_state rnd;
};

static struct tree *new_tree(struct kunit *test)
{
	struct tree *tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tree);
	tree->test = test;
	tree->space = altvm_fixture_bare(test, START, addr_of(NR));
	for (int i = 0; i < NR; i++)
		tree->attr[i] = HOLE;
	return tree;
}

static void set(struct tree *tree, unsigned int from, unsigned int to,
		unsigned long attr)
{
	for (; from < to; from++)
		tree->attr[from] = attr;
}

static void store(struct tree *tree, unsigned int from, unsigned int to,
		  unsigned long attr)
{
	int ret;

	mutex_lock(&tree->space->lock);
	ret = altvm_tree_store(tree->space, addr_of(from), addr_of(to), attr,
			       GFP_KERNEL);
	mutex_unlock(&tree->space->lock);
	KUNIT_ASSERT_EQ(tree->test, 0, ret);
	set(tree, from, to, attr);
}

static void erase(struct tree *tree, unsigned int from, unsigned int to)
{
	int ret;

	mutex_lock(&tree->space->lock);
	ret = altvm_tree_erase(tree->space, addr_of(from), addr_of(to),
			       GFP_KERNEL);
	mutex_unlock(&tree->space->lock);
	KUNIT_ASSERT_EQ(tree->test, 0, ret);
	set(tree, from, to, HOLE);
}

static void claim(struct tree *tree, unsigned long nr, unsigned int from,
		  unsigned int to)
{
	int ret;

	mutex_lock(&tree->space->lock);
	ret = altvm_tree_claim(tree->space, addr_of(from), addr_of(to),
			       GFP_KERNEL);
	mutex_unlock(&tree->space->lock);
	KUNIT_ASSERT_EQ(tree->test, 0, ret);
	set(tree, from, to, BUSY(nr));
	tree->claimed[nr].from = from;
	tree->claimed[nr].to = to;
}

/* After the range has got another content. */
static void release(struct tree *tree, unsigned long nr)
{
	mutex_lock(&tree->space->lock);
	altvm_tree_release(tree->space);
	mutex_unlock(&tree->space->lock);
	tree->claimed[nr].to = tree->claimed[nr].from;
}

/* Where the run of equal pages that @page is in starts and ends. */
static unsigned int run_start(const struct tree *tree, unsigned int page)
{
	while (page && tree->attr[page - 1] == tree->attr[page])
		page--;
	return page;
}

static unsigned int run_end(const struct tree *tree, unsigned int page)
{
	while (++page < NR && tree->attr[page - 1] == tree->attr[page])
		;
	return page;
}

/* The run that @page is in, if it is not a hole, is what was found. */
static void expect_area(struct tree *tree, bool found,
			const struct altvm_area *area, unsigned int page)
{
	struct kunit *test = tree->test;

	KUNIT_ASSERT_TRUE(test, found);
	KUNIT_ASSERT_EQ(test, addr_of(run_start(tree, page)), area->start);
	KUNIT_ASSERT_EQ(test, addr_of(run_end(tree, page)), area->end);
	KUNIT_ASSERT_EQ(test, tree->attr[page] & ~BUSY_NR, area->attr);
}

static void expect_next(struct tree *tree, unsigned int from, unsigned int to)
{
	struct altvm_area area;
	bool found =
		altvm_tree_next(tree->space, addr_of(from), addr_of(to), &area);

	while (from < to && tree->attr[from] == HOLE)
		from++;
	if (from < to)
		expect_area(tree, found, &area, from);
	else
		KUNIT_ASSERT_FALSE(tree->test, found);
}

/* @page is not inside an area. */
static void expect_prev(struct tree *tree, unsigned int page)
{
	struct altvm_area area;
	bool found = altvm_tree_prev(tree->space, addr_of(page), &area);

	while (page && tree->attr[page - 1] == HOLE)
		page--;
	if (page)
		expect_area(tree, found, &area, page - 1);
	else
		KUNIT_ASSERT_FALSE(tree->test, found);
}

static void expect_load(struct tree *tree, unsigned int page,
			unsigned int offset)
{
	unsigned long attr, want = tree->attr[page];
	struct altvm_file_area *fa;
	bool found = altvm_tree_load(tree->space, addr_of(page) + offset, &attr,
				     &fa);

	KUNIT_ASSERT_EQ(tree->test, want != HOLE, found);
	if (found)
		KUNIT_ASSERT_EQ(tree->test, want & ~BUSY_NR, attr);
}

static void expect_busy(struct tree *tree, unsigned int from, unsigned int to)
{
	bool want = false;

	for (unsigned int i = from; i < to; i++)
		want |= tree->attr[i] & ALTVM_ATTR_BUSY;
	KUNIT_ASSERT_EQ(tree->test, want,
			altvm_tree_is_busy(tree->space, addr_of(from),
					   addr_of(to)));
}

static bool fits(const struct tree *tree, unsigned int page, unsigned int nr)
{
	return tree->attr[page] == HOLE && run_end(tree, page) >= page + nr;
}

static void expect_gap(struct tree *tree, unsigned int nr, unsigned int low,
		       unsigned int high, bool lowest)
{
	struct kunit *test = tree->test;
	unsigned long addr = 0;
	int at, want = -1, ret;

	for (at = low; at + nr <= high; at++)
		if (fits(tree, at, nr) && (want < 0 || !lowest))
			want = at;

	mutex_lock(&tree->space->lock);
	ret = altvm_tree_gap(tree->space, nr * PAGE_SIZE, addr_of(low),
			     addr_of(high), lowest, &addr);
	mutex_unlock(&tree->space->lock);
	KUNIT_ASSERT_EQ_MSG(test, want < 0 ? -ENOMEM : 0, ret,
			    "%u pages in [%u, %u)", nr, low, high);
	if (!ret)
		KUNIT_ASSERT_EQ_MSG(test, addr_of(want), addr,
				    "%u pages in [%u, %u), lowest %d", nr, low,
				    high, lowest);
}

/* The whole tree, area by area, and what it counts. */
static void expect_tree(struct tree *tree)
{
	struct altvm_space *space = tree->space;
	unsigned int page, end, areas = 0, found = 0;
	unsigned long total = 0, data = 0;
	struct altvm_area area;

	for (page = 0; page < NR; page = end) {
		end = run_end(tree, page);
		if (tree->attr[page] == HOLE)
			continue;
		areas++;
		total += end - page;
		if (tree->attr[page] & VM_WRITE)
			data += end - page;
	}

	altvm_for_each_area(space, &area, START, addr_of(NR)) {
		page = (area.start - START) >> PAGE_SHIFT;
		KUNIT_ASSERT_LT(tree->test, page, NR);
		expect_area(tree, true, &area, page);
		found++;
	}
	KUNIT_ASSERT_EQ(tree->test, areas, found);

	mutex_lock(&space->lock);
	space->nr_total = total;
	space->nr_data = data;
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
}

static void tree_empty(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	expect_tree(tree);
	expect_next(tree, 0, NR);
	expect_next(tree, 5, 5);
	expect_prev(tree, 0);
	expect_prev(tree, NR);
	expect_load(tree, 0, 0);
	expect_busy(tree, 0, NR);
}

static void tree_merge(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	store(tree, 10, 20, RW);
	/* After it, before it, and between two. */
	store(tree, 20, 30, RW);
	expect_tree(tree);
	store(tree, 5, 10, RW);
	expect_tree(tree);
	store(tree, 40, 50, RW);
	store(tree, 30, 40, RW);
	expect_tree(tree);
	/* Others: not. */
	store(tree, 50, 60, R);
	store(tree, 60, 70, RW);
	expect_tree(tree);
	/* Until they become equal. */
	store(tree, 50, 60, RW);
	expect_tree(tree);
	/* Over several, and equal to what is around. */
	store(tree, 30, 35, R);
	store(tree, 32, 33, NONE);
	store(tree, 30, 35, RW);
	expect_tree(tree);
	/* PROT_NONE is an area like any other. */
	store(tree, 0, 3, NONE);
	store(tree, 3, 5, NONE);
	expect_tree(tree);
	/* To both edges of the space. */
	store(tree, 80, NR, R);
	store(tree, 70, 80, R);
	expect_tree(tree);
	store(tree, 0, NR, RW);
	expect_tree(tree);
}

static void tree_split(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	store(tree, 0, NR, RW);
	/* In the middle, at the start, at the end, one page, across an edge. */
	store(tree, 50, 60, R);
	expect_tree(tree);
	store(tree, 0, 10, R);
	expect_tree(tree);
	store(tree, NR - 10, NR, R);
	expect_tree(tree);
	store(tree, 30, 31, NONE);
	expect_tree(tree);
	store(tree, 55, 70, NONE);
	expect_tree(tree);

	erase(tree, 100, 101);
	expect_tree(tree);
	erase(tree, 52, 80);
	expect_tree(tree);
	erase(tree, 60, 70);
	expect_tree(tree);
	erase(tree, 0, 1);
	expect_tree(tree);
	erase(tree, 0, NR);
	expect_tree(tree);
}

static void tree_next_prev(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	store(tree, 10, 20, RW);
	store(tree, 20, 30, R);
	store(tree, 40, 50, RW);
	/* Ends are exclusive; an area is found whole, wherever it is met. */
	expect_next(tree, 0, 10);
	expect_next(tree, 0, 11);
	expect_next(tree, 15, 16);
	expect_next(tree, 19, 21);
	expect_next(tree, 20, 21);
	expect_next(tree, 30, 40);
	expect_next(tree, 30, 41);
	expect_next(tree, 49, NR);
	expect_next(tree, 50, NR);

	expect_prev(tree, 0);
	expect_prev(tree, 10);
	expect_prev(tree, 20);
	expect_prev(tree, 30);
	expect_prev(tree, 40);
	expect_prev(tree, 50);
	expect_prev(tree, NR);

	expect_load(tree, 10, 0);
	expect_load(tree, 9, PAGE_SIZE - 1);
	expect_load(tree, 29, PAGE_SIZE - 1);
	expect_load(tree, 30, 0);
}

static void tree_gap(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	for (int lowest = 0; lowest <= 1; lowest++) {
		expect_gap(tree, 1, 0, NR, lowest);
		expect_gap(tree, NR, 0, NR, lowest);
		expect_gap(tree, 10, 20, 30, lowest);
		expect_gap(tree, 11, 20, 30, lowest);
		expect_gap(tree, 1, 20, 20, lowest);
	}
	store(tree, 10, 20, RW);
	store(tree, 25, 40, R);
	claim(tree, 0, 60, 62);
	store(tree, 100, NR, NONE);
	for (int lowest = 0; lowest <= 1; lowest++) {
		expect_gap(tree, 1, 0, NR, lowest);
		/* As large as a hole, and one page more. */
		expect_gap(tree, 5, 0, NR, lowest);
		expect_gap(tree, 5, 0, 40, lowest);
		expect_gap(tree, 6, 15, 40, lowest);
		expect_gap(tree, 38, 0, NR, lowest);
		expect_gap(tree, 39, 0, NR, lowest);
		/* Bounds inside holes and inside areas. */
		expect_gap(tree, 5, 3, 8, lowest);
		expect_gap(tree, 5, 4, 8, lowest);
		expect_gap(tree, 3, 22, 30, lowest);
		expect_gap(tree, 4, 22, 30, lowest);
		expect_gap(tree, 1, 30, 40, lowest);
		expect_gap(tree, 1, 60, 62, lowest);
		expect_gap(tree, 3, 15, 23, lowest);
	}
	store(tree, 0, NR, R);
	expect_gap(tree, 1, 0, NR, false);
	expect_gap(tree, 1, 0, NR, true);
}

static void tree_busy(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	store(tree, 0, 100, RW);
	claim(tree, 0, 20, 30);
	expect_tree(tree);
	expect_busy(tree, 0, 20);
	expect_busy(tree, 0, 21);
	expect_busy(tree, 25, 26);
	expect_busy(tree, 29, 40);
	expect_busy(tree, 30, 40);
	expect_busy(tree, 0, NR);
	/* Side by side, each keeps its own. */
	claim(tree, 1, 30, 40);
	store(tree, 20, 30, RW);
	release(tree, 0);
	expect_tree(tree);
	expect_busy(tree, 20, 30);
	expect_busy(tree, 30, 40);
	erase(tree, 30, 40);
	release(tree, 1);
	expect_tree(tree);
	expect_busy(tree, 0, NR);
}

/* One claimed range becomes something else, as a whole. */
static void random_release(struct tree *tree)
{
	unsigned int nr =
		altvm_fixture_below(&tree->rnd, ARRAY_SIZE(tree->claimed));
	unsigned int from = tree->claimed[nr].from, to = tree->claimed[nr].to;

	if (from == to)
		return;
	if (altvm_fixture_below(&tree->rnd, 2))
		erase(tree, from, to);
	else
		store(tree, from, to, RW);
	release(tree, nr);
}

static bool is_busy(const struct tree *tree, unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (tree->attr[from] & ALTVM_ATTR_BUSY)
			return true;
	return false;
}

/* As all callers do: no edge of what is stored lies inside an equal area. */
static void random_store(struct tree *tree, unsigned int from, unsigned int to,
			 unsigned long attr)
{
	if (tree->attr[from] == attr)
		from = run_start(tree, from);
	if (tree->attr[to - 1] == attr)
		to = run_end(tree, to - 1);
	store(tree, from, to, attr);
}

static void random_change(struct tree *tree)
{
	static const unsigned long attrs[] = {
		RW, RW, R, NONE, RW | VM_NORESERVE,
	};
	unsigned int from, to, nr;

	/* Mostly small, so that there are many areas; now and then a sweep. */
	altvm_fixture_range(&tree->rnd, NR,
			    altvm_fixture_below(&tree->rnd, 50) ? 12 : NR,
			    &from, &to);
	if (is_busy(tree, from, to)) {
		random_release(tree);
		return;
	}
	switch (altvm_fixture_below(&tree->rnd, 8)) {
	case 0 ... 3:
		nr = altvm_fixture_below(&tree->rnd, ARRAY_SIZE(attrs));
		random_store(tree, from, to, attrs[nr]);
		break;
	case 4 ... 6:
		erase(tree, from, to);
		break;
	default:
		for (nr = 0; nr < ARRAY_SIZE(tree->claimed); nr++) {
			if (tree->claimed[nr].from == tree->claimed[nr].to) {
				claim(tree, nr, from, to);
				break;
			}
		}
	}
}

static void random_lookups(struct tree *tree)
{
	struct rnd_state *rnd = &tree->rnd;
	unsigned int from, to;

	altvm_fixture_range(rnd, NR, NR, &from, &to);
	expect_next(tree, from, to);
	expect_load(tree, from, altvm_fixture_below(rnd, PAGE_SIZE));
	expect_prev(tree, run_start(tree, from));
	expect_busy(tree, from, to);
	expect_gap(tree, 1 + altvm_fixture_below(rnd, 8), from, to, true);
	expect_gap(tree, 1 + altvm_fixture_below(rnd, 8), from, to, false);
	expect_gap(tree, 1 + altvm_fixture_below(rnd, 30), 0, NR, true);
	expect_gap(tree, 1 + altvm_fixture_below(rnd, 30), 0, NR, false);
}

static void tree_random(struct kunit *test)
{
	struct tree *tree = new_tree(test);

	altvm_fixture_seed(test, &tree->rnd);
	for (int step = 0; step < STEPS; step++) {
		random_change(tree);
		random_lookups(tree);
		expect_tree(tree);
		cond_resched();
	}
}

/**
 * struct wait - somebody who waits for a range
 * @thread: he
 * @space: where
 * @start: what for
 * @end: exclusive
 * @locked: did he hold the lock afterwards?
 * @busy: was the range busy afterwards?
 */
struct wait {
	struct altvm_fixture_thread thread;
	struct altvm_space *space;
	unsigned long start, end;
	bool locked, busy;
};

static int wait_locked(void *data)
{
	struct wait *wait = data;
	struct altvm_space *space = wait->space;
	int ret;

	mutex_lock(&space->lock);
	ret = altvm_tree_wait_locked(space, wait->start, wait->end);
	wait->locked = mutex_is_locked(&space->lock);
	wait->busy = altvm_tree_is_busy(space, wait->start, wait->end);
	mutex_unlock(&space->lock);
	return ret;
}

static int wait_unlocked(void *data)
{
	struct wait *wait = data;
	int ret;

	ret = altvm_tree_wait(wait->space, wait->start);
	wait->busy = altvm_tree_is_busy(wait->space, wait->start, wait->end);
	return ret;
}

static void start_wait(struct tree *tree, struct wait *wait,
		       int (*run)(void *data), unsigned int from,
		       unsigned int to)
{
	wait->space = tree->space;
	wait->start = addr_of(from);
	wait->end = addr_of(to);
	altvm_fixture_start(tree->test, &wait->thread, run, wait);
}

/* Ends with the range that he waits for, and not with another. */
static void tree_wait(struct kunit *test)
{
	struct tree *tree = new_tree(test);
	struct wait locked, unlocked;

	store(tree, 0, NR, RW);
	claim(tree, 0, 10, 20);
	claim(tree, 1, 50, 60);
	start_wait(tree, &locked, wait_locked, 15, 30);
	start_wait(tree, &unlocked, wait_unlocked, 19, 20);
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&locked.thread));
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&unlocked.thread));

	/* The lock is free meanwhile. */
	store(tree, 25, 28, R);
	erase(tree, 50, 60);
	release(tree, 1);
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&locked.thread));
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&unlocked.thread));

	erase(tree, 10, 20);
	release(tree, 0);
	KUNIT_EXPECT_EQ(test, 0, altvm_fixture_join(&locked.thread));
	KUNIT_EXPECT_TRUE(test, locked.locked);
	KUNIT_EXPECT_FALSE(test, locked.busy);
	KUNIT_EXPECT_EQ(test, 0, altvm_fixture_join(&unlocked.thread));
	KUNIT_EXPECT_FALSE(test, unlocked.busy);
}

static void tree_wait_not(struct kunit *test)
{
	struct tree *tree = new_tree(test);
	struct wait locked, unlocked;

	store(tree, 0, NR, RW);
	claim(tree, 0, 10, 20);
	start_wait(tree, &locked, wait_locked, 20, 30);
	start_wait(tree, &unlocked, wait_unlocked, 9, 10);
	KUNIT_EXPECT_EQ(test, 0, altvm_fixture_join(&locked.thread));
	KUNIT_EXPECT_TRUE(test, locked.locked);
	KUNIT_EXPECT_EQ(test, 0, altvm_fixture_join(&unlocked.thread));
	erase(tree, 10, 20);
	release(tree, 0);
}

static void tree_wait_killed(struct kunit *test)
{
	struct tree *tree = new_tree(test);
	struct wait locked, unlocked;

	claim(tree, 0, 10, 20);
	start_wait(tree, &locked, wait_locked, 0, 11);
	start_wait(tree, &unlocked, wait_unlocked, 10, 11);
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&locked.thread));
	KUNIT_EXPECT_TRUE(test, altvm_fixture_sleeps(&unlocked.thread));
	send_sig(SIGKILL, locked.thread.task, 1);
	send_sig(SIGKILL, unlocked.thread.task, 1);
	KUNIT_EXPECT_EQ(test, -EINTR, altvm_fixture_join(&locked.thread));
	KUNIT_EXPECT_TRUE(test, locked.locked);
	KUNIT_EXPECT_TRUE(test, locked.busy);
	KUNIT_EXPECT_EQ(test, -EINTR, altvm_fixture_join(&unlocked.thread));
	erase(tree, 10, 20);
	release(tree, 0);
}

static struct kunit_case tree_cases[] = {
	KUNIT_CASE(tree_empty),
	KUNIT_CASE(tree_merge),
	KUNIT_CASE(tree_split),
	KUNIT_CASE(tree_next_prev),
	KUNIT_CASE(tree_gap),
	KUNIT_CASE(tree_busy),
	KUNIT_CASE(tree_random),
	KUNIT_CASE(tree_wait),
	KUNIT_CASE(tree_wait_not),
	KUNIT_CASE(tree_wait_killed),
	{},
};

static struct kunit_suite tree_suite = {
	.name = "altvm_tree",
	.test_cases = tree_cases,
};

kunit_test_suite(tree_suite);
