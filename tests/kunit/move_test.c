// SPDX-License-Identifier: GPL-2.0
/*
 * What mremap does to leaves: entries that move to another leaf, or within one, by
 * hand and at random against an array; and areas that grow down.
 */
#include <linux/sched/signal.h>

#include "fixture.h"
#include "grow.h"
#include "store.h"
#include "tree.h"

#define START 0x7f1200000000UL
#define LEAVES 3U
#define NR (LEAVES * PTRS_PER_PTE)
#define STEPS 1500

/* What is stored at each page should be what is in @entry. */
struct model {
	struct kunit *test;
	struct altvm_space *space;
	struct altvm_leaf *leaf[LEAVES];
	struct page *entry[NR];
	struct rnd_state rnd;
};

static unsigned long addr_of(unsigned int page)
{
	return START + page * PAGE_SIZE;
}

static struct altvm_leaf *leaf_of(const struct model *m, unsigned int page)
{
	return m->leaf[page / PTRS_PER_PTE];
}

/* All leaves are locked, until close_model(). */
static struct model *new_model(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->space = altvm_fixture_bare(test, START, addr_of(NR));
	for (i = 0; i < LEAVES; i++) {
		m->leaf[i] =
			altvm_store_get(m->space, addr_of(i * PTRS_PER_PTE));
		KUNIT_ASSERT_NOT_NULL(test, m->leaf[i]);
	}
	for (i = 0; i < LEAVES; i++)
		mutex_lock_nested(&m->leaf[i]->lock, i);
	return m;
}

static void close_model(struct model *m)
{
	for (unsigned int i = LEAVES; i-- > 0;)
		mutex_unlock(&m->leaf[i]->lock);
}

static void set(struct model *m, unsigned int page, struct page *what)
{
	struct altvm_leaf *leaf = leaf_of(m, page);

	KUNIT_EXPECT_EQ(m->test, 0, altvm_leaf_prepare(leaf));
	if (altvm_page_is_real(what))
		altvm_store_adopt(m->space, leaf, addr_of(page), what);
	altvm_leaf_set(leaf, addr_of(page), what);
	m->entry[page] = what;
}

static void set_page(struct model *m, unsigned int page)
{
	set(m, page, alloc_page(GFP_KERNEL | __GFP_NOFAIL));
}

/* Both ranges are in one leaf each; where it goes to is nothing. */
static void move(struct model *m, unsigned int to, unsigned int from,
		 unsigned int nr)
{
	altvm_leaf_move(m->space, leaf_of(m, to), addr_of(to), leaf_of(m, from),
			addr_of(from), nr * PAGE_SIZE);
	memcpy(&m->entry[to], &m->entry[from], nr * sizeof(*m->entry));
	memset(&m->entry[from], 0, nr * sizeof(*m->entry));
}

static void check(const struct model *m)
{
	unsigned int nr[LEAVES] = {}, slots[LEAVES] = {};

	for (unsigned int i = 0; i < NR; i++) {
		KUNIT_ASSERT_PTR_EQ_MSG(m->test, m->entry[i],
					altvm_leaf_page(leaf_of(m, i),
							addr_of(i)),
					"page %u", i);
		nr[i / PTRS_PER_PTE] += !!m->entry[i];
		slots[i / PTRS_PER_PTE] += altvm_page_is_slot(m->entry[i]);
	}
	for (unsigned int i = 0; i < LEAVES; i++) {
		KUNIT_EXPECT_EQ(m->test, nr[i], m->leaf[i]->nr);
		KUNIT_EXPECT_EQ(m->test, slots[i], m->leaf[i]->nr_slots);
	}
}

static void move_some(struct kunit *test)
{
	struct model *m = new_model(test);

	set_page(m, 3);
	set(m, 4, ALTVM_GUARD);
	set(m, 5, ZERO_PAGE(0));
	set(m, 6, ALTVM_POISON);
	set_page(m, 9);
	move(m, PTRS_PER_PTE + 100, 2, 6);
	check(m);
	KUNIT_EXPECT_EQ(test, 1U, m->leaf[0]->nr);
	/* Within a leaf. */
	move(m, PTRS_PER_PTE + 1, PTRS_PER_PTE + 100, 6);
	check(m);
	/* It is found by where it is. */
	KUNIT_EXPECT_EQ(test, m->leaf[1]->id * PTRS_PER_PTE + 2,
			m->entry[PTRS_PER_PTE + 2]->index);
	/* Nothing. */
	move(m, 2 * PTRS_PER_PTE, 100, 50);
	check(m);
	close_model(m);
}

static void move_all(struct kunit *test)
{
	struct model *m = new_model(test);
	u64 id = m->leaf[0]->id;

	for (unsigned int i = 0; i < PTRS_PER_PTE; i += 3)
		set_page(m, i);
	m->leaf[0]->writable = true;
	m->leaf[0]->lazy = true;
	move(m, 2 * PTRS_PER_PTE, 0, PTRS_PER_PTE);
	check(m);
	KUNIT_EXPECT_EQ(test, id, m->leaf[2]->id);
	KUNIT_EXPECT_NE(test, id, m->leaf[0]->id);
	KUNIT_EXPECT_TRUE(test, m->leaf[2]->writable && m->leaf[2]->lazy);
	KUNIT_EXPECT_FALSE(test, m->leaf[0]->writable || m->leaf[0]->lazy);
	close_model(m);
}

/*
 * What is not owned where it was is not where it goes to; what was there before
 * still is.
 */
static void move_shared(struct kunit *test)
{
	struct altvm_space *child =
		altvm_fixture_bare(test, START, addr_of(NR));
	struct model *m = new_model(test);
	const unsigned int to = PTRS_PER_PTE;

	set_page(m, 7);
	close_model(m);
	KUNIT_ASSERT_EQ(test, 0, altvm_store_clone(child, m->space));
	for (unsigned int i = 0; i < LEAVES; i++)
		mutex_lock_nested(&m->leaf[i]->lock, i);
	set_page(m, to);
	KUNIT_EXPECT_FALSE(test, m->leaf[1]->cow);
	move(m, to + 7, 7, 1);
	check(m);
	KUNIT_EXPECT_TRUE(test, m->leaf[1]->cow);
	KUNIT_EXPECT_FALSE(test, altvm_store_own(m->space, m->leaf[1],
						 addr_of(to + 7), 0));
	KUNIT_EXPECT_TRUE(test, altvm_store_own(m->space, m->leaf[1],
						addr_of(to), 0));
	/* A whole leaf takes along that it is not. */
	move(m, 2 * PTRS_PER_PTE, to, PTRS_PER_PTE);
	check(m);
	KUNIT_EXPECT_FALSE(test, altvm_store_own(m->space, m->leaf[2],
						 addr_of(2 * to + 7), 0));
	close_model(m);
	altvm_store_destroy(child);
	KUNIT_ASSERT_EQ(test, 0, altvm_store_init(child, NULL));
	/* The last one who has it can own it. */
	mutex_lock(&m->leaf[2]->lock);
	KUNIT_EXPECT_TRUE(test, altvm_store_own(m->space, m->leaf[2],
						addr_of(2 * to + 7), 0));
	mutex_unlock(&m->leaf[2]->lock);
}

static bool is_empty(const struct model *m, unsigned int from, unsigned int nr)
{
	return !memchr_inv(&m->entry[from], 0, nr * sizeof(*m->entry));
}

static void random_step(struct model *m)
{
	struct rnd_state *rnd = &m->rnd;
	unsigned int from = altvm_fixture_below(rnd, NR), nr, to;

	switch (altvm_fixture_below(rnd, 8)) {
	case 0:
		set(m, from, ALTVM_GUARD);
		return;
	case 1:
		set(m, from, ZERO_PAGE(0));
		return;
	case 2:
		nr = 1 + altvm_fixture_below(rnd, 40);
		nr = min_t(unsigned int, nr,
			   PTRS_PER_PTE - from % PTRS_PER_PTE);
		altvm_leaf_strip(leaf_of(m, from), addr_of(from),
				 addr_of(from + nr));
		memset(&m->entry[from], 0, nr * sizeof(*m->entry));
		return;
	case 3:
	case 4:
		set_page(m, from);
		return;
	}
	to = altvm_fixture_below(rnd, NR);
	nr = 1 + altvm_fixture_below(rnd, 60);
	if (!altvm_fixture_below(rnd, 6)) {
		from = ALIGN_DOWN(from, PTRS_PER_PTE);
		to = ALIGN_DOWN(to, PTRS_PER_PTE);
		nr = PTRS_PER_PTE;
		altvm_leaf_strip(leaf_of(m, to), addr_of(to), addr_of(to + nr));
		memset(&m->entry[to], 0, nr * sizeof(*m->entry));
	}
	nr = min_t(unsigned int, nr, PTRS_PER_PTE - from % PTRS_PER_PTE);
	nr = min_t(unsigned int, nr, PTRS_PER_PTE - to % PTRS_PER_PTE);
	if ((from < to + nr && to < from + nr) || !is_empty(m, to, nr))
		return;
	move(m, to, from, nr);
}

static void move_random(struct kunit *test)
{
	struct model *m = new_model(test);

	altvm_fixture_seed(test, &m->rnd);
	for (unsigned int i = 0; i < STEPS; i++) {
		random_step(m);
		if (i % 16 == 0)
			check(m);
	}
	check(m);
	close_model(m);
}

/* --- areas that grow down */

#define GAP (ALTVM_GROW_GAP / PAGE_SIZE)

static void add_area(struct kunit *test, struct altvm_space *space,
		     unsigned int from, unsigned int nr, unsigned long attr)
{
	mutex_lock(&space->lock);
	KUNIT_EXPECT_EQ(test, 0,
			altvm_tree_store(space, addr_of(from),
					 addr_of(from + nr), attr, GFP_KERNEL));
	mutex_unlock(&space->lock);
}

static bool is_in_the_way(struct altvm_space *space, unsigned int from,
			  unsigned int to)
{
	struct altvm_area area;

	return altvm_grow_next(space, addr_of(from), addr_of(to), &area);
}

static void grow_next(struct kunit *test)
{
	struct altvm_space *space =
		altvm_fixture_bare(test, START, addr_of(NR));

	KUNIT_ASSERT_EQ(test, 0, altvm_tree_guard(space));
	add_area(test, space, 1000, 4, VM_READ | VM_WRITE | VM_GROWSDOWN);
	add_area(test, space, 100, 4, VM_READ);
	KUNIT_EXPECT_FALSE(test, is_in_the_way(space, 500, 1000 - GAP));
	KUNIT_EXPECT_TRUE(test, is_in_the_way(space, 500, 1000 - GAP + 1));
	KUNIT_EXPECT_FALSE(test, is_in_the_way(space, 10, 100));
	KUNIT_EXPECT_TRUE(test, is_in_the_way(space, 10, 101));
	KUNIT_EXPECT_TRUE(test, is_in_the_way(space, 1003, 1004));
	/* What is beyond the window is in nobody's. */
	KUNIT_EXPECT_FALSE(test, is_in_the_way(space, 1004, NR));
}

static void expect_grows(struct kunit *test, struct altvm_space *space,
			 unsigned int page, int want)
{
	struct altvm_area area;

	KUNIT_EXPECT_EQ_MSG(test, want, altvm_grow(space, addr_of(page)),
			    "to page %u", page);
	if (want)
		return;
	KUNIT_EXPECT_TRUE(test, altvm_tree_next(space, addr_of(page),
						addr_of(page + 1), &area));
	KUNIT_EXPECT_EQ(test, addr_of(page), area.start);
}

static void grow_down(struct kunit *test)
{
	struct altvm_space *space =
		altvm_fixture_bare(test, START, addr_of(NR));

	KUNIT_ASSERT_EQ(test, 0, altvm_tree_guard(space));
	space->nr_total = 12;
	space->nr_data = 4;
	add_area(test, space, 1000, 4, VM_READ | VM_WRITE | VM_GROWSDOWN);
	add_area(test, space, 100, 4, VM_READ);
	add_area(test, space, 1200, 4, VM_READ | VM_WRITE);
	/* Not those that do not, nor where there is none above. */
	expect_grows(test, space, 1199, -EFAULT);
	expect_grows(test, space, 1300, -EFAULT);
	expect_grows(test, space, 99, -EFAULT);
	expect_grows(test, space, 900, 0);
	KUNIT_EXPECT_EQ(test, 112UL, space->nr_total);
	KUNIT_EXPECT_EQ(test, 4UL, space->nr_data);
	/* Near to what is below, but not too near. */
	expect_grows(test, space, 104 + GAP - 1, -EFAULT);
	expect_grows(test, space, 104 + GAP, 0);
	KUNIT_EXPECT_EQ(test, 12 + 1000 - 104 - GAP, space->nr_total);
	mutex_lock(&space->lock);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
}

static struct kunit_case move_cases[] = {
	KUNIT_CASE(move_some),
	KUNIT_CASE(move_all),
	KUNIT_CASE(move_shared),
	KUNIT_CASE(move_random),
	KUNIT_CASE(grow_next),
	KUNIT_CASE(grow_down),
	{},
};

static struct kunit_suite move_suite = {
	.name = "altvm_move",
	.test_cases = move_cases,
};

kunit_test_suite(move_suite);
