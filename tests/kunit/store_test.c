// SPDX-License-Identifier: GPL-2.0
/*
 * The store: leaves over holes and in a window that is not aligned to them; what
 * a leaf holds, how it counts, and that it drops its references; at random
 * against an array of pages.
 *
 * The tests keep a reference of each page, so that they can tell whether the
 * store has one.
 */
#include "fixture.h"
#include "store.h"

/* The window starts and ends within a leaf. */
#define BASE 0x7f1200000000UL
#define LEAVES 5
#define START (BASE + 7 * PAGE_SIZE)
#define END (BASE + LEAVES * PMD_SIZE - 9 * PAGE_SIZE)

#define NR (LEAVES * PTRS_PER_PTE)
#define STEPS 1500

static unsigned long leaf_at(unsigned int nr)
{
	return BASE + nr * PMD_SIZE;
}

static struct altvm_space *new_space(struct kunit *test)
{
	return altvm_fixture_bare(test, START, END);
}

static struct altvm_leaf *
get_leaf(struct kunit *test, struct altvm_space *space, unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_get(space, addr);

	KUNIT_ASSERT_NOT_NULL(test, leaf);
	return leaf;
}

/* As get_leaf(), locked and prepared. */
static struct altvm_leaf *
lock_leaf(struct kunit *test, struct altvm_space *space, unsigned long addr)
{
	struct altvm_leaf *leaf = get_leaf(test, space, addr);
	int ret;

	mutex_lock(&leaf->lock);
	ret = altvm_leaf_prepare(leaf);
	if (ret)
		mutex_unlock(&leaf->lock);
	KUNIT_ASSERT_EQ(test, 0, ret);
	return leaf;
}

KUNIT_DEFINE_ACTION_WRAPPER(drop_page, put_page, struct page *);

/* In one table, where it is going to be, and owned by no space. */
static struct page *alloc_stored(void)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_NOFAIL);

	set_page_private(page, 1);
	return page;
}

/* Has two references: one goes to the store, the other is the test's. */
static struct page *new_page(struct kunit *test)
{
	struct page *page = alloc_stored();

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, drop_page, page));
	get_page(page);
	return page;
}

static void store_find(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf, *last;

	KUNIT_EXPECT_NULL(test, altvm_store_find(space, START));
	KUNIT_EXPECT_NULL(test, altvm_store_find(space, END - 1));

	leaf = get_leaf(test, space, leaf_at(1) + 5 * PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, leaf, altvm_store_find(space, leaf_at(1)));
	KUNIT_EXPECT_PTR_EQ(test, leaf,
			    altvm_store_find(space, leaf_at(2) - 1));
	KUNIT_EXPECT_PTR_EQ(test, leaf, altvm_store_get(space, leaf_at(2) - 1));
	KUNIT_EXPECT_NULL(test, altvm_store_find(space, leaf_at(1) - 1));
	KUNIT_EXPECT_NULL(test, altvm_store_find(space, leaf_at(2)));

	last = get_leaf(test, space, END - PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, leaf, last);
	KUNIT_EXPECT_PTR_EQ(test, last,
			    altvm_store_find(space, leaf_at(LEAVES - 1)));
	leaf = get_leaf(test, space, START);
	KUNIT_EXPECT_PTR_EQ(test, leaf,
			    altvm_store_find(space, leaf_at(1) - 1));
	KUNIT_EXPECT_EQ(test, 0U, leaf->nr);
	KUNIT_EXPECT_NULL(test, leaf->pages);
}

static void expect_next(struct kunit *test, struct altvm_space *space,
			unsigned long start, unsigned long end,
			const struct altvm_leaf *want, unsigned long want_at)
{
	unsigned long at = start;
	struct altvm_leaf *leaf = altvm_store_next(space, &at, end);

	KUNIT_EXPECT_PTR_EQ_MSG(test, want, leaf, "[%lx, %lx)", start, end);
	if (leaf)
		KUNIT_EXPECT_EQ_MSG(test, want_at, at, "[%lx, %lx)", start,
				    end);
}

static void store_next(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *first, *third;

	expect_next(test, space, START, END, NULL, 0);
	third = get_leaf(test, space, leaf_at(2));
	expect_next(test, space, START, END, third, leaf_at(2));
	expect_next(test, space, START, leaf_at(2), NULL, 0);
	expect_next(test, space, START, leaf_at(2) + 1, third, leaf_at(2));
	expect_next(test, space, leaf_at(2) + PAGE_SIZE, END, third,
		    leaf_at(2) + PAGE_SIZE);
	expect_next(test, space, leaf_at(3) - 1, leaf_at(3), third,
		    leaf_at(3) - 1);
	expect_next(test, space, leaf_at(3), END, NULL, 0);
	expect_next(test, space, leaf_at(2), leaf_at(2), NULL, 0);

	first = get_leaf(test, space, START);
	expect_next(test, space, START, END, first, START);
	expect_next(test, space, START, START + PAGE_SIZE, first, START);
	expect_next(test, space, leaf_at(1), END, third, leaf_at(2));
}

static void store_for_each(struct kunit *test)
{
	/* 0 and 3 are holes. */
	static const unsigned int nrs[] = { 1, 2, 4 };
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf;
	unsigned long lo, hi;
	unsigned int i = 0;

	for (i = 0; i < ARRAY_SIZE(nrs); i++)
		get_leaf(test, space, leaf_at(nrs[i]));

	i = 0;
	altvm_for_each_leaf(space, leaf, START, END, lo, hi) {
		KUNIT_ASSERT_LT(test, i, ARRAY_SIZE(nrs));
		KUNIT_EXPECT_PTR_EQ(test, leaf,
				    altvm_store_find(space, leaf_at(nrs[i])));
		KUNIT_EXPECT_EQ(test, leaf_at(nrs[i]), lo);
		KUNIT_EXPECT_EQ(test, min(END, leaf_at(nrs[i] + 1)), hi);
		i++;
	}
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(nrs), i);

	/* Cut at both ends. */
	i = 0;
	altvm_for_each_leaf(space, leaf, leaf_at(1) + PAGE_SIZE,
			    leaf_at(2) + PAGE_SIZE, lo, hi) {
		KUNIT_EXPECT_EQ(test, i ? leaf_at(2) : leaf_at(1) + PAGE_SIZE,
				lo);
		KUNIT_EXPECT_EQ(test, i ? leaf_at(2) + PAGE_SIZE : leaf_at(2),
				hi);
		i++;
	}
	KUNIT_EXPECT_EQ(test, 2U, i);
}

static void leaf_counts(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf = lock_leaf(test, space, leaf_at(1));
	struct page *a = new_page(test), *b = new_page(test);
	struct page **pages = leaf->pages;

	KUNIT_EXPECT_TRUE(test,
			  altvm_leaf_is_empty(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_NULL(test, altvm_leaf_page(leaf, leaf_at(1)));
	altvm_leaf_set(leaf, leaf_at(1), a);
	altvm_leaf_set(leaf, leaf_at(2) - PAGE_SIZE, b);
	KUNIT_EXPECT_EQ(test, 2U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 0, altvm_leaf_prepare(leaf));
	KUNIT_EXPECT_PTR_EQ(test, pages, leaf->pages);
	KUNIT_EXPECT_PTR_EQ(test, a, altvm_leaf_page(leaf, leaf_at(1)));
	KUNIT_EXPECT_PTR_EQ(test, b, altvm_leaf_page(leaf, leaf_at(2) - 1));
	KUNIT_EXPECT_FALSE(test,
			   altvm_leaf_is_empty(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_TRUE(test,
			  altvm_leaf_is_empty(leaf, leaf_at(1) + PAGE_SIZE,
					      leaf_at(2) - PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, altvm_leaf_is_empty(leaf, leaf_at(1),
						     leaf_at(1) + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test,
			   altvm_leaf_is_empty(leaf, leaf_at(2) - PAGE_SIZE,
					       leaf_at(2)));
	KUNIT_EXPECT_EQ(test, 2, page_count(a));

	/* Not empty, so that nothing is trimmed. */
	KUNIT_EXPECT_EQ(test, 1U,
			altvm_leaf_strip(leaf, leaf_at(1),
					 leaf_at(2) - PAGE_SIZE));
	altvm_leaf_trim(leaf);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_PTR_EQ(test, b, altvm_leaf_page(leaf, leaf_at(2) - 1));
	KUNIT_EXPECT_EQ(test, 1, page_count(a));
	KUNIT_EXPECT_EQ(test, 2, page_count(b));

	KUNIT_EXPECT_EQ(test, 1U,
			altvm_leaf_strip(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_EQ(test, 0U,
			altvm_leaf_strip(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_EQ(test, 0U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 1, page_count(b));
	altvm_leaf_trim(leaf);
	KUNIT_EXPECT_NULL(test, leaf->pages);
	KUNIT_EXPECT_NULL(test, altvm_leaf_page(leaf, leaf_at(1)));
	KUNIT_EXPECT_TRUE(test,
			  altvm_leaf_is_empty(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_EQ(test, 0U,
			altvm_leaf_strip(leaf, leaf_at(1), leaf_at(2)));
	mutex_unlock(&leaf->lock);
}

/* It counts as an entry, gives way to a page, and has no references. */
static void leaf_zero_page(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf = lock_leaf(test, space, START);
	struct page *zero = ZERO_PAGE(0), *page = new_page(test);
	int refs = page_count(zero);

	KUNIT_EXPECT_TRUE(test, altvm_page_is_zero(zero));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_zero(page));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_zero(NULL));
	altvm_leaf_set(leaf, START, zero);
	altvm_leaf_set(leaf, START + PAGE_SIZE, zero);
	KUNIT_EXPECT_EQ(test, 2U, leaf->nr);
	KUNIT_EXPECT_PTR_EQ(test, zero, altvm_leaf_page(leaf, START));
	altvm_leaf_set(leaf, START, page);
	KUNIT_EXPECT_EQ(test, 2U, leaf->nr);
	KUNIT_EXPECT_PTR_EQ(test, page, altvm_leaf_page(leaf, START));
	KUNIT_EXPECT_EQ(test, 2U, altvm_leaf_strip(leaf, START, leaf_at(1)));
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	KUNIT_EXPECT_EQ(test, refs, page_count(zero));
	mutex_unlock(&leaf->lock);
}

/* The other kind of zero page becomes one, or nothing, or gives way. */
static void leaf_zero_ahead(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf = lock_leaf(test, space, leaf_at(1));
	struct page *page = new_page(test);

	KUNIT_EXPECT_TRUE(test, altvm_page_is_zero(ALTVM_ZERO_AHEAD));
	KUNIT_EXPECT_FALSE(test, leaf->ahead);
	for (unsigned int i = 0; i < 4; i++)
		altvm_leaf_set(leaf, leaf_at(1) + i * PAGE_SIZE,
			       ALTVM_ZERO_AHEAD);
	KUNIT_EXPECT_TRUE(test, leaf->ahead);
	KUNIT_EXPECT_EQ(test, 4U, leaf->nr);

	altvm_leaf_settle(leaf, leaf_at(1), true);
	KUNIT_EXPECT_PTR_EQ(test, ZERO_PAGE(0),
			    altvm_leaf_page(leaf, leaf_at(1)));
	KUNIT_EXPECT_EQ(test, 4U, leaf->nr);
	altvm_leaf_settle(leaf, leaf_at(1) + PAGE_SIZE, false);
	KUNIT_EXPECT_NULL(test, altvm_leaf_page(leaf, leaf_at(1) + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 3U, leaf->nr);
	altvm_leaf_set(leaf, leaf_at(1) + 2 * PAGE_SIZE, page);
	KUNIT_EXPECT_EQ(test, 3U, leaf->nr);

	KUNIT_EXPECT_EQ(test, 3U,
			altvm_leaf_strip(leaf, leaf_at(1), leaf_at(2)));
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	altvm_leaf_trim(leaf);
	KUNIT_EXPECT_FALSE(test, leaf->ahead);
	mutex_unlock(&leaf->lock);
}

/* Guards stay when pages are discarded, and nobody takes a marker for a page. */
static void leaf_markers(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf = lock_leaf(test, space, leaf_at(1));
	unsigned long guard = leaf_at(1), page = guard + PAGE_SIZE;
	unsigned long poison = page + PAGE_SIZE, end = poison + PAGE_SIZE;
	struct page *a = new_page(test);

	KUNIT_EXPECT_FALSE(test, altvm_page_is_real(ALTVM_GUARD));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_real(ALTVM_POISON));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_marker(a));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_marker(ALTVM_ZERO_AHEAD));
	altvm_leaf_set(leaf, guard, ALTVM_GUARD);
	altvm_leaf_set(leaf, page, a);
	altvm_leaf_set(leaf, poison, ALTVM_POISON);
	KUNIT_EXPECT_EQ(test, 3U, leaf->nr);

	altvm_leaf_unguard(leaf, page, end);
	KUNIT_EXPECT_EQ(test, 3U, leaf->nr);
	altvm_leaf_discard(leaf, guard, end);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 1, page_count(a));
	KUNIT_EXPECT_PTR_EQ(test, ALTVM_GUARD, altvm_leaf_page(leaf, guard));
	KUNIT_EXPECT_NULL(test, altvm_leaf_page(leaf, poison));
	altvm_leaf_unguard(leaf, guard, end);
	KUNIT_EXPECT_EQ(test, 0U, leaf->nr);

	altvm_leaf_set(leaf, guard, ALTVM_GUARD);
	KUNIT_EXPECT_EQ(test, 1U, altvm_leaf_strip(leaf, guard, end));
	KUNIT_EXPECT_NULL(test, altvm_leaf_page(leaf, guard));
	mutex_unlock(&leaf->lock);
}

static void leaf_replace(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_leaf *leaf = lock_leaf(test, space, START);
	struct page *old = new_page(test), *new = new_page(test);

	altvm_leaf_set(leaf, START, old);
	altvm_leaf_set(leaf, START, new);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_PTR_EQ(test, new, altvm_leaf_page(leaf, START));
	KUNIT_EXPECT_EQ(test, 1, page_count(old));
	KUNIT_EXPECT_EQ(test, 2, page_count(new));
	mutex_unlock(&leaf->lock);
}

/* Clones share a table until one of them changes it; and the pages after that. */
static void store_clone(struct kunit *test)
{
	struct altvm_space *from = new_space(test), *to = new_space(test);
	struct page *a = new_page(test), *b = new_page(test);
	struct altvm_leaf *leaf, *copy;

	leaf = lock_leaf(test, from, leaf_at(1));
	altvm_leaf_set(leaf, leaf_at(1), a);
	altvm_leaf_set(leaf, leaf_at(1) + PAGE_SIZE, b);
	mutex_unlock(&leaf->lock);
	/* Has no pages. */
	get_leaf(test, from, leaf_at(2));
	KUNIT_ASSERT_EQ(test, 0, altvm_store_clone(to, from));

	KUNIT_EXPECT_NULL(test, altvm_store_find(to, leaf_at(2)));
	copy = altvm_store_find(to, leaf_at(1));
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_PTR_NE(test, leaf, copy);
	KUNIT_EXPECT_PTR_EQ(test, leaf->pages, copy->pages);
	KUNIT_EXPECT_EQ(test, 2U, copy->nr);
	KUNIT_EXPECT_EQ(test, 2, page_count(a));

	mutex_lock(&leaf->lock);
	KUNIT_EXPECT_EQ(test, 1U,
			altvm_leaf_strip(leaf, leaf_at(1),
					 leaf_at(1) + PAGE_SIZE));
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_PTR_NE(test, leaf->pages, copy->pages);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 2U, copy->nr);
	mutex_lock(&copy->lock);
	KUNIT_EXPECT_PTR_EQ(test, a, altvm_leaf_page(copy, leaf_at(1)));
	KUNIT_EXPECT_EQ(test, 2, page_count(a));
	KUNIT_EXPECT_EQ(test, 2U,
			altvm_leaf_strip(copy, leaf_at(1), leaf_at(2)));
	mutex_unlock(&copy->lock);
	KUNIT_EXPECT_EQ(test, 1, page_count(a));
	KUNIT_EXPECT_EQ(test, 2, page_count(b));
	KUNIT_EXPECT_PTR_EQ(test, b,
			    altvm_leaf_page(leaf, leaf_at(1) + PAGE_SIZE));
}

static bool owns(struct altvm_space *space)
{
	struct altvm_leaf *leaf = altvm_store_find(space, leaf_at(1));
	bool ret;

	mutex_lock(&leaf->lock);
	ret = altvm_store_own(space, leaf, leaf_at(1), 0);
	mutex_unlock(&leaf->lock);
	return ret;
}

/* A page is a space's alone while no other space, and nobody else, has it. */
static void store_own(struct kunit *test)
{
	struct altvm_space *from = new_space(test), *to = new_space(test);
	struct page *page = alloc_stored();
	struct altvm_leaf *leaf = lock_leaf(test, from, leaf_at(1));

	altvm_store_adopt(from, leaf, leaf_at(1), page);
	altvm_leaf_set(leaf, leaf_at(1), page);
	altvm_leaf_set(leaf, leaf_at(1) + PAGE_SIZE, alloc_stored());
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_PTR_EQ(test, from->shmem->f_mapping, page->mapping);
	KUNIT_EXPECT_TRUE(test, owns(from));

	/* In one table of both, then in one table of each. */
	KUNIT_ASSERT_EQ(test, 0, altvm_store_clone(to, from));
	KUNIT_EXPECT_FALSE(test, owns(from));
	KUNIT_EXPECT_FALSE(test, owns(to));
	leaf = altvm_store_find(to, leaf_at(1));
	mutex_lock(&leaf->lock);
	altvm_leaf_strip(leaf, leaf_at(1) + PAGE_SIZE, leaf_at(2));
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_FALSE(test, owns(from));
	KUNIT_EXPECT_FALSE(test, owns(to));

	/* In one table again, but somebody has got hold of it meanwhile. */
	get_page(page);
	mutex_lock(&leaf->lock);
	altvm_leaf_strip(leaf, leaf_at(1), leaf_at(2));
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_FALSE(test, owns(from));
	put_page(page);
	KUNIT_EXPECT_TRUE(test, owns(from));
	/* From now on that does not matter. */
	get_page(page);
	KUNIT_EXPECT_TRUE(test, owns(from));
	put_page(page);
}

static void store_destroy(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct page *page[LEAVES];
	struct altvm_leaf *leaf;

	for (int i = 0; i < LEAVES; i++) {
		page[i] = new_page(test);
		leaf = lock_leaf(test, space, leaf_at(i));
		altvm_leaf_set(leaf, leaf_at(i) + i * PAGE_SIZE, page[i]);
		mutex_unlock(&leaf->lock);
	}
	altvm_store_destroy(space);
	for (int i = 0; i < LEAVES; i++)
		KUNIT_EXPECT_EQ(test, 1, page_count(page[i]));
	/* The fixture destroys it once more. */
	KUNIT_ASSERT_EQ(test, 0, altvm_store_init(space, NULL));
}

/* Store a new page at a place whose leaf is locked, and that is in no other table. */
static struct page *put_page_at(struct kunit *test,
				const struct altvm_entry *place)
{
	struct page *page = new_page(test);

	altvm_store_adopt(place->space, place->leaf, place->addr, page);
	altvm_leaf_set(place->leaf, place->addr, page);
	return page;
}

/* Merges the pages of two places, and lets go of both, one after the other. */
static void join_and_drop(struct kunit *test, const struct altvm_entry *to,
			  const struct altvm_entry *from)
{
	struct page *page = put_page_at(test, to);
	struct page *gone = put_page_at(test, from);

	altvm_store_join(to, from);
	KUNIT_EXPECT_PTR_EQ(test, page,
			    altvm_leaf_page(from->leaf, from->addr));
	KUNIT_EXPECT_PTR_EQ(test, page, altvm_leaf_page(to->leaf, to->addr));
	KUNIT_EXPECT_EQ(test, 1, page_count(gone));
	KUNIT_EXPECT_NULL(test, gone->mapping);
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	KUNIT_EXPECT_EQ(test, 2UL, altvm_page_tables(page));
	KUNIT_EXPECT_TRUE(test, altvm_page_is_merged(page));

	/* Nobody's.  The test's own reference is known. */
	KUNIT_EXPECT_FALSE(test, altvm_store_is_owned(to->leaf, to->addr));
	KUNIT_EXPECT_FALSE(test,
			   altvm_store_own(to->space, to->leaf, to->addr, 1));
	KUNIT_EXPECT_FALSE(test, altvm_store_own(from->space, from->leaf,
						 from->addr, 1));

	altvm_leaf_strip(to->leaf, to->addr, to->addr + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	KUNIT_EXPECT_FALSE(test, altvm_store_own(from->space, from->leaf,
						 from->addr, 0));
	KUNIT_EXPECT_TRUE(test, altvm_store_own(from->space, from->leaf,
						from->addr, 1));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_merged(page));
	KUNIT_EXPECT_TRUE(test, altvm_store_is_owned(from->leaf, from->addr));
	altvm_leaf_strip(from->leaf, from->addr, from->addr + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	KUNIT_EXPECT_NULL(test, page->mapping);
}

static void store_join(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_entry a = { .space = space, .addr = leaf_at(1) };
	struct altvm_entry b = { .space = space, .addr = leaf_at(2) };
	struct altvm_entry c = { .space = space,
				 .addr = leaf_at(1) + PAGE_SIZE };

	b.leaf = lock_leaf(test, space, b.addr);
	mutex_unlock(&b.leaf->lock);
	a.leaf = lock_leaf(test, space, a.addr);
	mutex_lock_nested(&b.leaf->lock, SINGLE_DEPTH_NESTING);
	c.leaf = a.leaf;

	join_and_drop(test, &a, &b);
	join_and_drop(test, &b, &a);
	/* Twice in one table. */
	join_and_drop(test, &a, &c);
	mutex_unlock(&b.leaf->lock);
	mutex_unlock(&a.leaf->lock);
}

/* A page that has been in too many tables is never freed. */
static void store_saturates(struct kunit *test)
{
	struct altvm_space *space = new_space(test);
	struct altvm_entry a = { .space = space, .addr = leaf_at(1) };
	struct altvm_space *clone = new_space(test);
	struct altvm_leaf *leaf;
	struct page *page;

	a.leaf = lock_leaf(test, space, a.addr);
	page = put_page_at(test, &a);
	set_page_private(page, BIT(23) - 1);
	mutex_unlock(&a.leaf->lock);
	KUNIT_ASSERT_EQ(test, 0, altvm_store_clone(clone, space));
	leaf = lock_leaf(test, clone, a.addr);
	KUNIT_EXPECT_LT(test, BIT(23), altvm_page_tables(page));
	altvm_leaf_strip(leaf, a.addr, a.addr + PAGE_SIZE);
	mutex_unlock(&leaf->lock);
	mutex_lock(&a.leaf->lock);
	altvm_leaf_strip(a.leaf, a.addr, a.addr + PAGE_SIZE);
	mutex_unlock(&a.leaf->lock);
	KUNIT_EXPECT_LT(test, BIT(23), altvm_page_tables(page));
	KUNIT_EXPECT_EQ(test, 2, page_count(page));
	put_page(page);
	WRITE_ONCE(page->mapping, NULL);
}

/**
 * struct model - what a store should have
 * @test: whose
 * @space: bare
 * @twin: of the space that this one was cloned from, or that was cloned from it
 * @page: for each page of its leaves; with a reference of the test's
 * @nr: of pages in each leaf
 * @made: the leaves that should exist
 * @rnd: what to do next
 */
struct model {
	struct kunit *test;
	struct altvm_space *space;
	struct model *twin;
	struct page *page[NR];
	unsigned int nr[LEAVES];
	bool made[LEAVES];
	struct rnd_state rnd;
};

static struct model *new_model(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, model);
	model->test = test;
	model->space = new_space(test);
	altvm_fixture_seed(test, &model->rnd);
	return model;
}

static unsigned long addr_of(unsigned int page)
{
	return BASE + page * PAGE_SIZE;
}

static unsigned int leaf_of(unsigned int page)
{
	return page / PTRS_PER_PTE;
}

static bool is_real(const struct page *page)
{
	return page && page != ZERO_PAGE(0);
}

/* A model's reference of each real page, and one of all stores together. */
static bool refs_right(const struct model *model, unsigned int i)
{
	const struct page *page = model->page[i];
	bool shared = model->twin && model->twin->page[i] == page;

	return !is_real(page) || page_count(page) == 2 + shared;
}

/*
 * A model has no page there any more.
 * Return: has the store let go of it, if no twin has it?
 */
static bool forget(struct model *model, unsigned int i)
{
	struct page *page = model->page[i];
	bool right;

	model->page[i] = NULL;
	if (!is_real(page))
		return true;
	if (model->twin && model->twin->page[i] == page) {
		put_page(page);
		return refs_right(model->twin, i);
	}
	right = page_count(page) == 1;
	put_page(page);
	return right;
}

/* Fill what is empty, or the zero page, and replace some pages. */
static void random_set(struct model *model, unsigned int from, unsigned int to)
{
	unsigned int leaf_nr = leaf_of(from), wrong = 0;
	struct altvm_leaf *leaf;

	leaf = lock_leaf(model->test, model->space, addr_of(from));
	model->made[leaf_nr] = true;
	for (unsigned int i = from; i < to; i++) {
		struct page *page = ZERO_PAGE(0);

		if (is_real(model->page[i]) &&
		    altvm_fixture_below(&model->rnd, 4))
			continue;
		if (altvm_fixture_below(&model->rnd, 4)) {
			page = alloc_stored();
			get_page(page);
		}
		model->nr[leaf_nr] += !model->page[i];
		altvm_leaf_set(leaf, addr_of(i), page);
		wrong += !forget(model, i);
		model->page[i] = page;
	}
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_EQ(model->test, 0U, wrong);
}

static void random_strip(struct model *model, unsigned int from,
			 unsigned int to)
{
	unsigned int leaf_nr = leaf_of(from), had = 0, stripped, wrong = 0;
	struct altvm_leaf *leaf;

	leaf = get_leaf(model->test, model->space, addr_of(from));
	model->made[leaf_nr] = true;
	mutex_lock(&leaf->lock);
	stripped = altvm_leaf_strip(leaf, addr_of(from), addr_of(to));
	if (altvm_fixture_below(&model->rnd, 2))
		altvm_leaf_trim(leaf);
	mutex_unlock(&leaf->lock);

	for (unsigned int i = from; i < to; i++) {
		had += !!model->page[i];
		wrong += !forget(model, i);
	}
	model->nr[leaf_nr] -= had;
	KUNIT_EXPECT_EQ(model->test, had, stripped);
	KUNIT_EXPECT_EQ(model->test, 0U, wrong);
}

static bool naive_empty(const struct model *model, unsigned int from,
			unsigned int to)
{
	for (; from < to; from++)
		if (model->page[from])
			return false;
	return true;
}

static void expect_leaf(struct model *model, unsigned int nr)
{
	unsigned int from, to, wrong = 0, first = nr * PTRS_PER_PTE;
	struct altvm_leaf *leaf = altvm_store_find(model->space, leaf_at(nr));
	struct kunit *test = model->test;
	unsigned int count;
	bool empty;

	KUNIT_ASSERT_EQ(test, model->made[nr], !!leaf);
	if (!leaf)
		return;
	altvm_fixture_range(&model->rnd, PTRS_PER_PTE, PTRS_PER_PTE, &from,
			    &to);
	from += first;
	to += first;
	mutex_lock(&leaf->lock);
	count = leaf->nr;
	empty = altvm_leaf_is_empty(leaf, addr_of(from), addr_of(to));
	for (unsigned int i = first; i < first + PTRS_PER_PTE; i++) {
		wrong += altvm_leaf_page(leaf, addr_of(i)) != model->page[i];
		wrong += !refs_right(model, i);
	}
	mutex_unlock(&leaf->lock);
	KUNIT_ASSERT_EQ(test, 0U, wrong);
	KUNIT_ASSERT_EQ(test, model->nr[nr], count);
	KUNIT_ASSERT_EQ(test, naive_empty(model, from, to), empty);
}

/* All leaves that should be in a range are found, in their order. */
static void expect_leaves(struct model *model)
{
	unsigned int from, to, nr;
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_fixture_range(&model->rnd, NR, NR, &from, &to);
	nr = leaf_of(from);
	altvm_for_each_leaf(model->space, leaf, addr_of(from), addr_of(to), lo,
			    hi) {
		while (nr < LEAVES && !model->made[nr])
			nr++;
		KUNIT_ASSERT_LT(model->test, nr, LEAVES);
		KUNIT_ASSERT_PTR_EQ(model->test, leaf,
				    altvm_store_find(model->space,
						     leaf_at(nr)));
		KUNIT_ASSERT_EQ(model->test, max(addr_of(from), leaf_at(nr)),
				lo);
		KUNIT_ASSERT_EQ(model->test, min(addr_of(to), leaf_at(nr + 1)),
				hi);
		nr++;
	}
	for (; nr <= leaf_of(to - 1); nr++)
		KUNIT_ASSERT_FALSE(model->test, model->made[nr]);
}

static void random_step(struct model *model, int step)
{
	unsigned int nr = altvm_fixture_below(&model->rnd, LEAVES), from, to;

	altvm_fixture_range(&model->rnd, PTRS_PER_PTE,
			    step & 15 ? 40 : PTRS_PER_PTE, &from, &to);
	/* Now and then a whole leaf. */
	if (step % 64 == 0) {
		from = 0;
		to = PTRS_PER_PTE;
	}
	from += nr * PTRS_PER_PTE;
	to += nr * PTRS_PER_PTE;
	if (altvm_fixture_below(&model->rnd, 2))
		random_set(model, from, to);
	else
		random_strip(model, from, to);
	expect_leaf(model, nr);
	if (model->twin)
		expect_leaf(model->twin, nr);
	expect_leaves(model);
	cond_resched();
}

/* Destroy a model's store, which must let go of everything. */
static void destroy_model(struct model *model)
{
	unsigned int wrong = 0;

	for (unsigned int nr = 0; nr < LEAVES; nr++)
		expect_leaf(model, nr);
	altvm_store_destroy(model->space);
	for (unsigned int i = 0; i < NR; i++)
		wrong += !forget(model, i);
	KUNIT_EXPECT_EQ(model->test, 0U, wrong);
	/* The fixture destroys it once more. */
	KUNIT_ASSERT_EQ(model->test, 0, altvm_store_init(model->space, NULL));
}

static void store_random(struct kunit *test)
{
	struct model *model = new_model(test);

	for (int step = 0; step < STEPS; step++)
		random_step(model, step);
	destroy_model(model);
}

static void clone_model(struct model *to, struct model *from)
{
	KUNIT_ASSERT_EQ(to->test, 0, altvm_store_clone(to->space, from->space));
	for (unsigned int i = 0; i < NR; i++) {
		to->page[i] = from->page[i];
		if (is_real(to->page[i]))
			get_page(to->page[i]);
	}
	for (unsigned int nr = 0; nr < LEAVES; nr++) {
		to->nr[nr] = from->nr[nr];
		to->made[nr] = from->nr[nr];
	}
	to->twin = from;
	from->twin = to;
}

/* Changes of one clone are not seen in the other, and no page is lost. */
static void store_random_clones(struct kunit *test)
{
	struct model *model = new_model(test), *twin;

	for (int round = 0; round < 8; round++) {
		for (int step = 0; step < STEPS / 40; step++)
			random_step(model, step);
		twin = new_model(test);
		clone_model(twin, model);
		for (int step = 0; step < STEPS / 10; step++)
			random_step(step % 2 ? model : twin, step);
		/* One goes first, the other is cloned again. */
		if (round % 2)
			swap(model, twin);
		destroy_model(twin);
		model->twin = NULL;
	}
	destroy_model(model);
}

static struct kunit_case store_cases[] = {
	KUNIT_CASE(store_find),		 KUNIT_CASE(store_next),
	KUNIT_CASE(store_for_each),	 KUNIT_CASE(leaf_counts),
	KUNIT_CASE(leaf_zero_page),	 KUNIT_CASE(leaf_zero_ahead),
	KUNIT_CASE(leaf_markers),	 KUNIT_CASE(leaf_replace),
	KUNIT_CASE(store_clone),	 KUNIT_CASE(store_own),
	KUNIT_CASE(store_join),		 KUNIT_CASE(store_saturates),
	KUNIT_CASE(store_destroy),	 KUNIT_CASE(store_random),
	KUNIT_CASE(store_random_clones), {},
};

static struct kunit_suite store_suite = {
	.name = "altvm_store",
	.test_cases = store_cases,
};

kunit_test_suite(store_suite);
