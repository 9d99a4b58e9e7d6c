// SPDX-License-Identifier: GPL-2.0
/*
 * Moving pages from one memory node to another.
 *
 * A stored page is moved by making a copy and storing that in its place.  Nobody may
 * have the page but the store and PTEs: whoever else has a reference, a device, say,
 * would go on with the old one.  So, with the leaf locked, the PTEs go, and with
 * them whatever could make new references; then the references are counted, and the
 * page is copied, or not; then PTEs come back.  New pages are allocated before, with
 * no lock held.
 *
 * A leaf at a time: look which pages are to be moved, allocate, move.  One flush does
 * for all of them.  What has references is tried again some times, for most are kept
 * for a moment only.
 *
 * Pages that others have too, after a fork, are moved only on request, for this space
 * alone: it gets a copy of its own.
 *
 * The pages of files are not ours to move.
 *
 * Locks: altvm_leaf.lock; the tree is read with it.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "file.h"
#include "migrate.h"
#include "policy.h"
#include "pte.h"
#include "store.h"

/* How often a page is tried to be moved, as in mm/migrate.c. */
#define MIGRATE_TRIES 10

/**
 * struct mover - a range that is being moved
 * @how: what is asked for
 * @space: entered
 * @leaf: what of it is being done
 * @start: in the leaf, in bytes
 * @end: exclusive
 * @failed: pages that could not be moved so far
 * @stuck: those of this leaf that could not be moved this time
 * @cached: those of this leaf that are a file's
 * @wanted: those of this leaf that are to be moved, a bit each
 * @pages: new pages for them, or NULL
 */
struct mover {
	const struct altvm_migrate *how;
	struct altvm_space *space;
	struct altvm_leaf *leaf;
	unsigned long start, end, failed, stuck, cached;
	DECLARE_BITMAP(wanted, PTRS_PER_PTE);
	struct page *pages[PTRS_PER_PTE];
};

/* What is broken stays where it is, and is nobody's any more. */
static bool is_misplaced(struct page *page, const nodemask_t *nodes)
{
	return altvm_page_is_real(page) && !PageHWPoison(page) &&
	       !node_isset(page_to_nid(page), *nodes);
}

/**
 * altvm_migrate_check() - are all pages on the right nodes?
 * @space: entered
 * @area: a range
 * @nodes: the right nodes
 *
 * Return: 0 or -EIO.
 */
int altvm_migrate_check(struct altvm_space *space,
			const struct altvm_area *area, const nodemask_t *nodes)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;
	bool bad = false;

	altvm_for_each_leaf(space, leaf, area->start, area->end, lo, hi) {
		mutex_lock(&leaf->lock);
		for (unsigned long at = lo; !bad && at < hi; at += PAGE_SIZE)
			bad = is_misplaced(altvm_leaf_page(leaf, at), nodes);
		if (!bad && area->fa)
			bad = altvm_pte_count_misplaced(space, leaf, lo, hi,
							nodes, true);
		mutex_unlock(&leaf->lock);
		if (bad)
			return -EIO;
		cond_resched();
	}
	return 0;
}

/* An area of those that are to be moved, or not any more.  The leaf is locked. */
static bool is_meant(const struct mover *m, const struct altvm_area *area)
{
	return !(area->attr & ALTVM_ATTR_BUSY) &&
	       (area->attr & ALTVM_ATTR_POLICY) == m->how->attr;
}

/* Is a page to be moved?  Adds to what is stuck if it cannot.  The leaf is locked. */
static bool is_wanted(struct mover *m, unsigned long addr)
{
	if (!is_misplaced(altvm_leaf_page(m->leaf, addr), &m->how->nodes))
		return false;
	if (!m->how->all && altvm_store_is_shared(m->leaf, addr))
		return false;
	if (!altvm_store_is_held(m->leaf, addr))
		return true;
	m->stuck++;
	return false;
}

/* Pages of a file that would have to be moved.  The leaf is locked. */
static unsigned long count_cached(const struct mover *m,
				  const struct altvm_area *area)
{
	return altvm_pte_count_misplaced(m->space, m->leaf, area->start,
					 area->end, &m->how->nodes,
					 m->how->all);
}

/* What is to be moved of a leaf.  Return: is there anything? */
static bool look(struct mover *m)
{
	struct altvm_leaf *leaf = m->leaf;
	struct altvm_area area;

	bitmap_zero(m->wanted, PTRS_PER_PTE);
	m->stuck = 0;
	m->cached = 0;
	mutex_lock(&leaf->lock);
	altvm_for_each_area(m->space, &area, m->start, m->end) {
		altvm_area_clip(&area, m->start, m->end);
		if (!is_meant(m, &area))
			continue;
		for (unsigned long at = area.start; at < area.end;
		     at += PAGE_SIZE)
			if (is_wanted(m, at))
				__set_bit(pte_index(at), m->wanted);
		if (area.fa)
			m->cached += count_cached(m, &area);
	}
	mutex_unlock(&leaf->lock);
	return !bitmap_empty(m->wanted, PTRS_PER_PTE);
}

static unsigned long nth_address(const struct mover *m, unsigned int n)
{
	return ALIGN_DOWN(m->start, PMD_SIZE) + n * PAGE_SIZE;
}

/* New pages for what is wanted. */
static void provide(struct mover *m)
{
	const gfp_t gfp = __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int n;

	for_each_set_bit(n, m->wanted, PTRS_PER_PTE) {
		unsigned long addr = nth_address(m, n);

		if (!m->pages[n])
			m->pages[n] =
				altvm_policy_alloc_at(m->space, addr, gfp);
		if (m->pages[n])
			continue;
		__clear_bit(n, m->wanted);
		m->stuck++;
	}
}

/* No PTE maps it.  The leaf is locked and prepared. */
static void move_page(struct mover *m, unsigned int n)
{
	unsigned long addr = nth_address(m, n);
	struct page *old = altvm_leaf_page(m->leaf, addr), *new = m->pages[n];

	/* By the policy it can be where it is. */
	if (page_to_nid(new) == page_to_nid(old))
		return;
	copy_highpage(new, old);
	altvm_store_adopt(m->space, m->leaf, addr, new);
	altvm_leaf_set(m->leaf, addr, new);
	m->pages[n] = NULL;
}

/* Move what is wanted of a part of a leaf.  The leaf is locked. */
static void move_area(struct mover *m, const struct altvm_area *area)
{
	unsigned int first = pte_index(area->start), n;
	unsigned int end = first + altvm_area_pages(area);
	unsigned long start;

	first = find_next_bit(m->wanted, end, first);
	if (first >= end)
		return;
	if (altvm_leaf_prepare(m->leaf)) {
		m->stuck++;
		return;
	}
	end = find_last_bit(m->wanted, end) + 1;
	start = nth_address(m, first);
	altvm_pte_break(m->space, m->leaf, start);
	altvm_pte_settle(m->space, m->leaf, start, nth_address(m, end));
	altvm_pte_zap(m->space, start, nth_address(m, end));
	for (n = first; n < end; n = find_next_bit(m->wanted, end, n + 1))
		if (is_wanted(m, nth_address(m, n)))
			move_page(m, n);
	/* A file's are left to faults, which know whether it has been cut off. */
	if (area->attr & VM_ACCESS_FLAGS && !area->fa)
		altvm_pte_insert_leaf(m->space, m->leaf, start,
				      nth_address(m, end), area->attr);
}

static void move(struct mover *m)
{
	struct altvm_area area;

	mutex_lock(&m->leaf->lock);
	altvm_for_each_area(m->space, &area, m->start, m->end) {
		altvm_area_clip(&area, m->start, m->end);
		if (is_meant(m, &area))
			move_area(m, &area);
	}
	mutex_unlock(&m->leaf->lock);
}

static void move_leaf(struct mover *m)
{
	unsigned int n;

	for (int tries = 0; tries < MIGRATE_TRIES; tries++) {
		if (look(m)) {
			provide(m);
			move(m);
		}
		if (!m->stuck || fatal_signal_pending(current))
			break;
		cond_resched();
	}
	m->failed += m->stuck + m->cached;
	for (n = 0; n < PTRS_PER_PTE; n++) {
		if (m->pages[n])
			put_page(m->pages[n]);
		m->pages[n] = NULL;
	}
}

/* As altvm_migrate(), or -EAGAIN if somebody waits for the calls to leave. */
static int move_range(struct mover *m, unsigned long *start, unsigned long end)
{
	unsigned long lo, hi;

	end = min(end, m->space->end);
	altvm_for_each_leaf(m->space, m->leaf, max(*start, m->space->start),
			    end, lo, hi) {
		m->start = lo;
		m->end = hi;
		move_leaf(m);
		*start = hi;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (altvm_space_wanted(m->space))
			return -EAGAIN;
		cond_resched();
	}
	return 0;
}

/**
 * altvm_migrate() - move the pages of a range to other nodes
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 * @how: which, and where to
 *
 * Context: no space is entered.
 * Return: 0; 1 if there are pages that could not be moved; -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_migrate(struct altvm_ctx *ctx, unsigned long start, unsigned long end,
		  const struct altvm_migrate *how)
{
	struct mover *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!m)
		return -ENOMEM;
	m->how = how;
	do {
		m->space = altvm_space_enter(ctx);
		ret = PTR_ERR_OR_ZERO(m->space);
		if (ret)
			break;
		ret = move_range(m, &start, end);
		altvm_space_leave(m->space);
	} while (ret == -EAGAIN);
	if (!ret && m->failed)
		ret = 1;
	kfree(m);
	return ret;
}
