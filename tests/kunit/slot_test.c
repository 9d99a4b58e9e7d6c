// SPDX-License-Identifier: GPL-2.0
/*
 * Slots: what they keep, who finds them, how leaves count them; and faults, calls and
 * debuggers that meet them in a window.
 *
 * No swap space is needed: what a slot keeps is in the file's page then.
 */
#include <linux/highmem.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "access.h"
#include "fixture.h"
#include "map.h"
#include "pte.h"
#include "remap.h"
#include "slot.h"
#include "store.h"
#include "swap.h"

#define START 0x7f1200000000UL
#define NR 24U

KUNIT_DEFINE_ACTION_WRAPPER(drop_page, put_page, struct page *);

/* Full of one word.  The test has a reference, and drops it in the end. */
static struct page *new_page(struct kunit *test, u64 value)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
	u64 *word = page_address(page);

	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		word[i] = value;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, drop_page, page));
	return page;
}

/* A slot with what the page has; one reference. */
static struct altvm_slot *new_slot(struct kunit *test, struct page *page)
{
	struct altvm_slot_list written = {};
	struct altvm_slot *slot = altvm_slot_store(page, &written);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	altvm_slot_write(&written);
	altvm_slot_wait(&written, true);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&slot->refs));
	return slot;
}

static void expect_slot(struct kunit *test, struct altvm_slot *slot, u64 want)
{
	struct page *page = new_page(test, ~want);
	const u64 *word = page_address(page);

	KUNIT_EXPECT_EQ(test, 0, altvm_slot_load(slot, page));
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		KUNIT_ASSERT_EQ(test, want, word[i]);
}

static void slot_keeps(struct kunit *test)
{
	struct altvm_slot *slots[NR];

	for (unsigned int i = 0; i < NR; i++) {
		struct page *page = new_page(test, 100 + i);

		slots[i] = new_slot(test, page);
		/* It is a copy. */
		*(u64 *)page_address(page) = 0;
		for (unsigned int k = 0; k < i; k++)
			KUNIT_EXPECT_FALSE(test,
					   slots[i]->place == slots[k]->place &&
						   slots[i]->index ==
							   slots[k]->index);
	}
	for (unsigned int i = 0; i < NR; i++) {
		expect_slot(test, slots[i], 100 + i);
		KUNIT_EXPECT_EQ(test, 0, altvm_slot_load(slots[i], NULL));
		KUNIT_EXPECT_FALSE(test, altvm_slot_waits(slots[i]));
		/* Some at once, others by the worker. */
		if (i % 2)
			altvm_slot_put_now(slots[i]);
		else
			altvm_slot_put(slots[i]);
	}
}

static void slot_entries(struct kunit *test)
{
	struct page *page = new_page(test, 1);
	struct altvm_slot *slot = new_slot(test, page);
	struct page *entry = altvm_slot_entry(slot);

	KUNIT_EXPECT_TRUE(test, altvm_page_is_slot(entry));
	KUNIT_EXPECT_TRUE(test, altvm_page_is_marker(entry));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_real(entry));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_zero(entry));
	KUNIT_EXPECT_PTR_EQ(test, slot, altvm_slot_of(entry));

	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(NULL));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(page));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(ZERO_PAGE(0)));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(ALTVM_ZERO_AHEAD));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(ALTVM_GUARD));
	KUNIT_EXPECT_FALSE(test, altvm_page_is_slot(ALTVM_POISON));
	altvm_slot_put_now(slot);
}

/* Who has a page that others have paged out finds their slot. */
static void slot_is_found(struct kunit *test)
{
	struct page *page = new_page(test, 7);
	struct altvm_slot *slot = new_slot(test, page);
	struct altvm_slot *other = new_slot(test, page);

	KUNIT_EXPECT_FALSE(test, altvm_page_has_slot(page));
	altvm_slot_remember(slot, page);
	KUNIT_EXPECT_TRUE(test, altvm_page_has_slot(page));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	/* The first one stays. */
	altvm_slot_remember(other, page);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&other->refs));
	KUNIT_EXPECT_PTR_EQ(test, slot, altvm_slot_find(page));
	KUNIT_EXPECT_EQ(test, 3, refcount_read(&slot->refs));
	altvm_slot_put(slot);

	altvm_slot_forget(page);
	KUNIT_EXPECT_FALSE(test, altvm_page_has_slot(page));
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&slot->refs));
	altvm_slot_put(slot);
	altvm_slot_put_now(other);
}

static struct altvm_leaf *
lock_leaf(struct kunit *test, struct altvm_space *space, unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_get(space, addr);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, leaf);
	mutex_lock(&leaf->lock);
	ret = altvm_leaf_prepare(leaf);
	if (ret)
		mutex_unlock(&leaf->lock);
	KUNIT_ASSERT_EQ(test, 0, ret);
	return leaf;
}

static long nr_swapped(const struct altvm_space *space)
{
	return atomic_long_read(&space->nr_swapped);
}

static void slot_is_counted(struct kunit *test)
{
	struct altvm_space *space =
		altvm_fixture_bare(test, START, START + 4 * PMD_SIZE);
	struct page *page = new_page(test, 1);
	struct altvm_slot *slot = new_slot(test, page);
	struct altvm_leaf *leaf = lock_leaf(test, space, START);

	altvm_slot_get(slot);
	altvm_leaf_set(leaf, START, altvm_slot_entry(slot));
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr_slots);
	KUNIT_EXPECT_EQ(test, 1L, nr_swapped(space));
	/* A page takes its place. */
	get_page(page);
	altvm_store_adopt(space, leaf, START, page);
	altvm_leaf_set(leaf, START, page);
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr);
	KUNIT_EXPECT_EQ(test, 0U, leaf->nr_slots);
	KUNIT_EXPECT_EQ(test, 0L, nr_swapped(space));
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&slot->refs));

	/* And who stores over it forgets what was remembered. */
	altvm_slot_remember(slot, page);
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	altvm_leaf_set(leaf, START, altvm_slot_entry(slot));
	altvm_slot_get(slot);
	KUNIT_EXPECT_FALSE(test, altvm_page_has_slot(page));
	KUNIT_EXPECT_EQ(test, 1, page_count(page));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	altvm_leaf_strip(leaf, START, START + PMD_SIZE);
	KUNIT_EXPECT_EQ(test, 0U, leaf->nr_slots);
	KUNIT_EXPECT_EQ(test, 0L, nr_swapped(space));
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&slot->refs));
	mutex_unlock(&leaf->lock);
	altvm_slot_put_now(slot);
}

/* Tables that are shared have one reference of it, and each that is not another. */
static void slot_is_inherited(struct kunit *test)
{
	struct altvm_space *space =
		altvm_fixture_bare(test, START, START + PMD_SIZE);
	struct altvm_space *child =
		altvm_fixture_bare(test, START, START + PMD_SIZE);
	struct altvm_slot *slot = new_slot(test, new_page(test, 3));
	struct altvm_leaf *leaf = lock_leaf(test, space, START);

	altvm_slot_get(slot);
	altvm_leaf_set(leaf, START, altvm_slot_entry(slot));
	mutex_unlock(&leaf->lock);
	KUNIT_ASSERT_EQ(test, 0, altvm_store_clone(child, space));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	KUNIT_EXPECT_EQ(test, 1L, nr_swapped(child));

	leaf = lock_leaf(test, child, START);
	KUNIT_EXPECT_EQ(test, 3, refcount_read(&slot->refs));
	KUNIT_EXPECT_EQ(test, 1U, leaf->nr_slots);
	altvm_leaf_strip(leaf, START, START + PAGE_SIZE);
	mutex_unlock(&leaf->lock);
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&slot->refs));
	KUNIT_EXPECT_EQ(test, 0L, nr_swapped(child));
	KUNIT_EXPECT_EQ(test, 1L, nr_swapped(space));

	/* The space goes with what it has. */
	altvm_store_destroy(space);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&slot->refs));
	KUNIT_EXPECT_EQ(test, 0L, nr_swapped(space));
	KUNIT_ASSERT_EQ(test, 0, altvm_store_init(space, NULL));
	altvm_slot_put_now(slot);
}

/* --- in a window */

static unsigned long addr_of(const struct altvm_fixture_window *win,
			     unsigned int page)
{
	return win->start + page * PAGE_SIZE;
}

static u64 __user *word_at(const struct altvm_fixture_window *win,
			   unsigned int page)
{
	return (u64 __user *)addr_of(win, page);
}

/* Page it out, swap space or not. */
static void page_out(struct altvm_fixture_window *win, unsigned int page)
{
	struct altvm_space *space = altvm_space_enter(win->ctx);
	struct altvm_slot_list written = {};
	unsigned long addr = addr_of(win, page);
	struct altvm_slot *slot;
	struct altvm_leaf *leaf;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(win->test, space);
	leaf = lock_leaf(win->test, space, addr);
	altvm_pte_zap(space, addr, addr + PAGE_SIZE);
	slot = altvm_slot_store(altvm_leaf_page(leaf, addr), &written);
	if (slot)
		altvm_leaf_set(leaf, addr, altvm_slot_entry(slot));
	mutex_unlock(&leaf->lock);
	altvm_slot_write(&written);
	altvm_space_leave(space);
	altvm_slot_wait(&written, false);
	KUNIT_EXPECT_NOT_NULL(win->test, slot);
}

/* A window with pages that have their numbers, all of them paged out. */
static void open_paged_out(struct kunit *test, struct altvm_fixture_window *win)
{
	struct altvm_mmap cmd = {
		.length = NR * PAGE_SIZE,
		.prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	};

	altvm_fixture_open(test, win, SZ_64M);
	cmd.addr = win->start;
	KUNIT_ASSERT_EQ(test, 0, altvm_map_mmap(win->ctx, &cmd));
	for (u64 i = 0; i < NR; i++)
		KUNIT_ASSERT_EQ(test, 0UL,
				copy_to_user(word_at(win, i), &i, sizeof(i)));
	for (unsigned int i = 0; i < NR; i++)
		page_out(win, i);
	KUNIT_EXPECT_EQ(test, (long)NR, nr_swapped(win->space));
}

static void expect_word(struct altvm_fixture_window *win, unsigned int page,
			u64 want)
{
	u64 value = ~want;

	KUNIT_EXPECT_EQ(win->test, 0UL,
			copy_from_user(&value, word_at(win, page),
				       sizeof(value)));
	KUNIT_EXPECT_EQ_MSG(win->test, want, value, "page %u", page);
}

static void swap_in(struct kunit *test)
{
	struct altvm_fixture_window win;
	u64 value = 1000;

	open_paged_out(test, &win);
	for (unsigned int i = 0; i < NR; i += 2)
		expect_word(&win, i, i);
	KUNIT_EXPECT_EQ(test, (long)NR / 2, nr_swapped(win.space));
	for (unsigned int i = 1; i < NR; i += 2) {
		u64 __user *second = word_at(&win, i) + 1;

		KUNIT_EXPECT_EQ(test, 0UL,
				copy_to_user(second, &value, sizeof(value)));
		expect_word(&win, i, i);
	}
	KUNIT_EXPECT_EQ(test, 0L, nr_swapped(win.space));
	KUNIT_EXPECT_EQ(test, (long)NR, atomic_long_read(&win.space->paged_in));
	altvm_fixture_close(&win);
}

static void swap_bring(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct altvm_space *space;

	open_paged_out(test, &win);
	space = altvm_space_enter(win.ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, space);
	KUNIT_EXPECT_EQ(test, 0, altvm_swap_bring(space, addr_of(&win, 3)));
	KUNIT_EXPECT_EQ(test, (long)NR - 1, nr_swapped(space));
	/* It is there, and where nothing is, nothing comes. */
	KUNIT_EXPECT_EQ(test, 0, altvm_swap_bring(space, addr_of(&win, 3)));
	KUNIT_EXPECT_EQ(test, 0, altvm_swap_bring(space, addr_of(&win, NR)));
	KUNIT_EXPECT_EQ(test, 0, altvm_swap_bring(space, win.end - PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, (long)NR - 1, nr_swapped(space));
	altvm_space_leave(space);
	expect_word(&win, 3, 3);
	altvm_fixture_close(&win);
}

/* Some to the next leaf, some within one; then the rest goes. */
static void swap_moves(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct altvm_mremap cmd = {
		.old_length = 8 * PAGE_SIZE,
		.new_length = 8 * PAGE_SIZE,
		.flags = MREMAP_MAYMOVE | MREMAP_FIXED,
	};

	open_paged_out(test, &win);
	cmd.old_addr = addr_of(&win, 0);
	cmd.new_addr = addr_of(&win, PTRS_PER_PTE - 4);
	KUNIT_EXPECT_EQ(test, 0, altvm_remap_mremap(win.ctx, &cmd));
	cmd.old_addr = addr_of(&win, 8);
	cmd.new_addr = addr_of(&win, 100);
	KUNIT_EXPECT_EQ(test, 0, altvm_remap_mremap(win.ctx, &cmd));
	KUNIT_EXPECT_EQ(test, (long)NR, nr_swapped(win.space));
	for (unsigned int i = 0; i < 8; i++) {
		expect_word(&win, PTRS_PER_PTE - 4 + i, i);
		expect_word(&win, 100 + i, 8 + i);
	}
	KUNIT_EXPECT_EQ(test, (long)NR - 16, nr_swapped(win.space));
	altvm_fixture_close(&win);
}

static void swap_access(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct vm_area_struct *vma;
	u64 value = 0;

	open_paged_out(test, &win);
	mmap_read_lock(win.mm);
	vma = vma_lookup(win.mm, win.start);
	KUNIT_EXPECT_EQ(test, 8,
			altvm_access(vma, addr_of(&win, 5), &value, 8, false));
	KUNIT_EXPECT_EQ(test, 5ULL, value);
	value = 77;
	KUNIT_EXPECT_EQ(test, 8,
			altvm_access(vma, addr_of(&win, 6) + 8, &value, 8,
				     true));
	mmap_read_unlock(win.mm);
	expect_word(&win, 6, 6);
	KUNIT_EXPECT_EQ(test, (long)NR - 2, nr_swapped(win.space));
	altvm_fixture_close(&win);
}

static struct kunit_case slot_cases[] = {
	KUNIT_CASE(slot_keeps),	       KUNIT_CASE(slot_entries),
	KUNIT_CASE(slot_is_found),     KUNIT_CASE(slot_is_counted),
	KUNIT_CASE(slot_is_inherited), KUNIT_CASE(swap_in),
	KUNIT_CASE(swap_bring),	       KUNIT_CASE(swap_moves),
	KUNIT_CASE(swap_access),       {},
};

static struct kunit_suite slot_suite = {
	.name = "altvm_slot",
	.test_cases = slot_cases,
};

kunit_test_suite(slot_suite);
