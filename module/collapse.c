// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_COLLAPSE: make blocks (huge.c) of pages that are stored already.
 *
 * With the leaf locked, so that nobody faults or looks at the pages: their PTEs are
 * zapped, what they hold is copied to a block, and that is stored and mapped in their
 * place.  If somebody has a reference of one of them, nothing is done: what he writes
 * to it, or reads from it, would not be what the memory holds.
 *
 * Locks: altvm_leaf.lock.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/vmstat.h>

#include "collapse.h"
#include "huge.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/*
 * What is stored: as hpage_collapse_scan_pmd() in mm/, something has to be there, and
 * not all of it may be shared with other processes.  The leaf is locked.
 */
static int check_stored(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long addr)
{
	bool owned = false;

	for (unsigned int i = 0; leaf->nr && i < PTRS_PER_PTE;
	     i++, addr += PAGE_SIZE) {
		struct page *page = leaf->pages[i];

		if (altvm_page_is_real(page))
			owned = owned || altvm_store_own(space, leaf, addr, 0);
		else if (page && !altvm_page_is_zero(page))
			return -EINVAL;
	}
	return owned ? 0 : -EINVAL;
}

/* Has nobody but the store, and the PTEs of other processes, a reference? */
static bool is_unreferenced(struct altvm_leaf *leaf)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		if (altvm_page_is_real(leaf->pages[i]) &&
		    altvm_store_is_held(leaf, i << PAGE_SHIFT))
			return false;
	return true;
}

static void copy_to_block(struct page *block, const struct altvm_leaf *leaf)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++) {
		if (altvm_page_is_real(leaf->pages[i]))
			copy_highpage(block + i, leaf->pages[i]);
		cond_resched();
	}
}

/* Replace what is stored by the block, which is zeroed.  The leaf is locked. */
static int replace_stored(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long addr, struct page **block)
{
	int ret = check_stored(space, leaf, addr);

	if (ret)
		return ret;
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	altvm_pte_settle(space, leaf, addr, addr + PMD_SIZE);
	altvm_pte_zap(space, addr, addr + PMD_SIZE);
	if (!is_unreferenced(leaf)) {
		leaf->broken = true;
		return -EAGAIN;
	}
	copy_to_block(*block, leaf);
	altvm_leaf_strip(leaf, addr, addr + PMD_SIZE);
	altvm_store_put_block(space, leaf, *block);
	*block = NULL;
	return 0;
}

/* One leaf, which is locked. */
static int collapse_locked(struct altvm_space *space, struct altvm_leaf *leaf,
			   unsigned long addr, struct page **block)
{
	struct altvm_area area;
	int ret = 0;

	if (!altvm_huge_area(space, addr, &area) || area.attr & VM_NOHUGEPAGE ||
	    !(area.attr & VM_WRITE))
		return -EINVAL;
	if (!leaf->block)
		ret = *block ? replace_stored(space, leaf, addr, block) :
			       -EAGAIN;
	if (!ret && !altvm_pte_insert_huge(space, leaf, addr, area.attr))
		ret = -EAGAIN;
	return ret;
}

/* The 2 MiB at an address.  Return: 0, -EINVAL, -ENOMEM, -EAGAIN. */
static int collapse_leaf(struct altvm_space *space, unsigned long addr,
			 unsigned long attr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);
	struct page *block = NULL;
	int ret;

	if (!leaf || !READ_ONCE(leaf->nr))
		return -EINVAL;
	if (!READ_ONCE(leaf->block)) {
		block = altvm_huge_alloc(space, attr, addr);
		count_vm_event(block ? THP_COLLAPSE_ALLOC :
				       THP_COLLAPSE_ALLOC_FAILED);
		if (!block)
			return -ENOMEM;
	}
	mutex_lock(&leaf->lock);
	ret = collapse_locked(space, leaf, addr, &block);
	mutex_unlock(&leaf->lock);
	if (block)
		put_page(block);
	return ret;
}

/**
 * struct collapse - how far it has come
 * @at: here
 * @end: exclusive
 * @hole: something was not mapped
 */
struct collapse {
	unsigned long at, end;
	bool hole;
};

/* Is there anything to do in an area, which is not clipped? */
static bool area_is_good(struct altvm_space *space,
			 const struct altvm_area *area)
{
	return !area->fa && !(area->attr & VM_NOHUGEPAGE) &&
	       !test_bit(MMF_DISABLE_THP, &space->mm->flags) &&
	       ALIGN(area->start, PMD_SIZE) + PMD_SIZE <= area->end;
}

/*
 * An area, from c->at on, or what begins there.
 * Return: 0; -EAGAIN to come again; another error is the last, and *fail is set to
 * what it is to be.
 */
static int collapse_area(struct altvm_space *space, struct collapse *c,
			 unsigned long end, unsigned long attr, int *fail)
{
	int ret;

	while (c->at < end) {
		ret = collapse_leaf(space, c->at, attr);
		if (ret)
			*fail = ret;
		if (ret == -ENOMEM)
			return ret;
		c->at += PMD_SIZE;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (altvm_space_wanted(space))
			return -EBUSY;
		cond_resched();
	}
	return 0;
}

/* The next area.  Return: 1; 0 at the end; an error.  As collapse_area(). */
static int collapse_next(struct altvm_space *space, struct collapse *c,
			 int *fail)
{
	struct altvm_area area;
	unsigned long start, end;
	int ret;

	if (c->at >= c->end)
		return 0;
	if (!altvm_tree_next(space, c->at, min(c->end, space->end), &area)) {
		c->hole = true;
		return 0;
	}
	if (area.attr & ALTVM_ATTR_BUSY)
		return altvm_tree_wait(space, area.start) ?: 1;
	c->hole |= area.start > c->at;
	if (!area_is_good(space, &area))
		return -EINVAL;
	altvm_area_clip(&area, c->at, c->end);
	start = ALIGN(area.start, PMD_SIZE);
	end = ALIGN_DOWN(area.end, PMD_SIZE);
	if (start > end)
		return -EINVAL;
	c->at = start;
	ret = collapse_area(space, c, end, area.attr, fail);
	if (ret)
		return ret;
	if (*fail)
		return *fail;
	c->at = area.end;
	return 1;
}

/* Return: as collapse_next(), but never 1; -EBUSY to leave the space for a while. */
static int collapse_range(struct altvm_space *space, struct collapse *c,
			  int *fail)
{
	int ret;

	do
		ret = collapse_next(space, c, fail);
	while (ret > 0);
	return ret;
}

/**
 * altvm_collapse() - MADV_COLLAPSE
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 * @advice: that
 *
 * Semantics: madvise_collapse() in mm/.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EAGAIN, -EINTR, -ENXIO.
 */
int altvm_collapse(struct altvm_ctx *ctx, unsigned long start,
		   unsigned long end, int advice)
{
	struct collapse c = { .at = start, .end = end };
	struct altvm_space *space;
	int ret, fail = 0;

	do {
		space = altvm_space_enter(ctx);
		if (IS_ERR(space))
			return PTR_ERR(space);
		if (c.at < space->start) {
			c.at = min(space->start, end);
			c.hole = true;
		}
		WRITE_ONCE(space->huge, true);
		ret = collapse_range(space, &c, &fail);
		altvm_space_leave(space);
	} while (ret == -EBUSY);
	return ret ?: (c.hole ? -ENOMEM : 0);
}
