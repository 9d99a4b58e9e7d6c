// SPDX-License-Identifier: GPL-2.0
/*
 * Advice by which memory loses its contents: MADV_DONTNEED, MADV_GUARD_INSTALL; and
 * MADV_GUARD_REMOVE.
 *
 * Leaf by leaf, each locked: what the store has is dropped, and the PTEs are zapped.
 * Both under one hold of the lock, although a zap of the whole range would flush the
 * TLBs once only: while a PTE maps what the store does not have any more, an munmap
 * would find nothing there and be done, and new memory at this place would show
 * what the old had.
 *
 * The order is that of munmap (map.c): what other spaces may own is zapped first,
 * everything else afterwards, so that the zap frees it by the batch.
 *
 * A guard is an entry of the store which is no page, and has no PTE: an access raises
 * SIGSEGV.  It stays until it is removed, or the range is unmapped.
 *
 * Locks: altvm_leaf.lock.  The tree is read again with it held: whoever has changed
 * it comes for the leaf later, and finds it as it would be had we come before.
 */
#include <linux/sched/signal.h>
#include <uapi/linux/mman.h>

#include "discard.h"
#include "pte.h"
#include "store.h"

/* Drop what is stored and mapped of [start, end).  The leaf is locked. */
static void drop(struct altvm_space *space, struct altvm_leaf *leaf,
		 unsigned long start, unsigned long end, bool file)
{
	/* Once dropped, another space may write to it.  A block is not cut while mapped. */
	bool first = altvm_leaf_is_shared(leaf) || leaf->block;

	if (!file && altvm_leaf_is_empty(leaf, start, end))
		return;
	if (first)
		altvm_pte_zap_leaf(space, leaf, start, end);
	altvm_leaf_discard(leaf, start, end);
	if (!first)
		altvm_pte_zap(space, start, end);
}

/* Let whoever waits for the space have it, or end. */
static bool has_to_stop(struct altvm_space *space)
{
	return altvm_space_wanted(space) || fatal_signal_pending(current);
}

/*
 * Do something to each leaf in an area.
 * Return: 0; -EAGAIN if the area has changed.
 */
static int each_leaf(struct altvm_space *space, struct altvm_area *area,
		     void (*fn)(struct altvm_space *space,
				struct altvm_leaf *leaf, unsigned long start,
				unsigned long end, bool file))
{
	unsigned long lo, hi, end = area->end;
	struct altvm_leaf *leaf;

	altvm_for_each_leaf(space, leaf, area->start, end, lo, hi) {
		bool same;

		mutex_lock(&leaf->lock);
		same = altvm_tree_is_same(space, area, lo, hi);
		if (same)
			fn(space, leaf, lo, hi, area->fa);
		mutex_unlock(&leaf->lock);
		if (!same || has_to_stop(space)) {
			area->end = same ? hi : lo;
			return same ? 0 : -EAGAIN;
		}
		cond_resched();
	}
	return 0;
}

/**
 * altvm_discard_area() - MADV_DONTNEED, MADV_DONTNEED_LOCKED
 * @space: entered
 * @area: clipped to the range; its end is moved down to how far we came
 * @advice: which of them
 *
 * As madvise_dontneed_free() in mm/.  Of files only PTEs go, and what private
 * mappings have copied.
 *
 * Return: 0; -EINVAL if it is locked memory; -EAGAIN if the area has changed.
 */
int altvm_discard_area(struct altvm_space *space, struct altvm_area *area,
		       int advice)
{
	if (area->attr & VM_LOCKED && advice != MADV_DONTNEED_LOCKED)
		return -EINVAL;
	return each_leaf(space, area, drop);
}

/* Put guards at [start, end), part of a leaf.  The leaf is locked. */
static int install(struct altvm_space *space, struct altvm_leaf *leaf,
		   const struct altvm_area *area, unsigned long start,
		   unsigned long end)
{
	if (!altvm_tree_is_same(space, area, start, end))
		return -EAGAIN;
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	drop(space, leaf, start, end, area->fa);
	for (; start < end; start += PAGE_SIZE)
		altvm_leaf_set(leaf, start, ALTVM_GUARD);
	return 0;
}

/**
 * altvm_discard_guard() - MADV_GUARD_INSTALL
 * @space: entered
 * @area: as for altvm_discard_area()
 * @advice: that
 *
 * As madvise_guard_install() in mm/ of Linux 6.15.  What is there is dropped.
 *
 * Return: as altvm_discard_area(); -ENOMEM.
 */
int altvm_discard_guard(struct altvm_space *space, struct altvm_area *area,
			int advice)
{
	unsigned long lo = area->start, hi, end = area->end;

	if (area->attr & VM_LOCKED)
		return -EINVAL;
	for (; lo < end; lo = hi) {
		struct altvm_leaf *leaf = altvm_store_get(space, lo);
		int ret;

		if (!leaf)
			return -ENOMEM;
		hi = min(end, ALIGN(lo + 1, PMD_SIZE));
		mutex_lock(&leaf->lock);
		ret = install(space, leaf, area, lo, hi);
		mutex_unlock(&leaf->lock);
		if (ret || has_to_stop(space)) {
			area->end = ret ? lo : hi;
			return ret;
		}
		cond_resched();
	}
	return 0;
}

static void unguard(struct altvm_space *space, struct altvm_leaf *leaf,
		    unsigned long start, unsigned long end, bool file)
{
	altvm_leaf_unguard(leaf, start, end);
}

/**
 * altvm_discard_unguard() - MADV_GUARD_REMOVE
 * @space: entered
 * @area: as for altvm_discard_area()
 * @advice: that
 *
 * Return: 0, -EAGAIN if the area has changed.
 */
int altvm_discard_unguard(struct altvm_space *space, struct altvm_area *area,
			  int advice)
{
	return each_leaf(space, area, unguard);
}
