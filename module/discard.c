// SPDX-License-Identifier: GPL-2.0
/*
 * Advice by which memory loses its contents: MADV_DONTNEED.
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
 * Locks: altvm_leaf.lock.  The tree is read again with it held: whoever has changed
 * it comes for the leaf later, and finds it as it would be had we come before.
 */
#include <linux/sched/signal.h>
#include <uapi/linux/mman.h>

#include "discard.h"
#include "pte.h"
#include "store.h"

/* Is [start, end) still in an area like this one?  The leaf is locked. */
static bool is_current(struct altvm_space *space, const struct altvm_area *area,
		       unsigned long start, unsigned long end)
{
	struct altvm_area now;

	return altvm_tree_next(space, start, end, &now) && now.start <= start &&
	       now.end >= end && now.attr == area->attr && now.fa == area->fa;
}

/* Drop what is stored and mapped of [start, end).  The leaf is locked. */
static void drop(struct altvm_space *space, struct altvm_leaf *leaf,
		 unsigned long start, unsigned long end, bool file)
{
	/* Once dropped, another space may write to it. */
	bool first = altvm_leaf_is_shared(leaf);

	if (!file && altvm_leaf_is_empty(leaf, start, end))
		return;
	if (first)
		altvm_pte_zap(space, start, end);
	altvm_leaf_discard(leaf, start, end);
	if (!first)
		altvm_pte_zap(space, start, end);
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
	unsigned long lo, hi, end = area->end;
	struct altvm_leaf *leaf;

	if (area->attr & VM_LOCKED && advice != MADV_DONTNEED_LOCKED)
		return -EINVAL;
	altvm_for_each_leaf(space, leaf, area->start, end, lo, hi) {
		bool current_area;

		mutex_lock(&leaf->lock);
		current_area = is_current(space, area, lo, hi);
		if (current_area)
			drop(space, leaf, lo, hi, area->fa);
		mutex_unlock(&leaf->lock);
		if (!current_area) {
			area->end = lo;
			return -EAGAIN;
		}
		if (altvm_space_wanted(space) || fatal_signal_pending(current)) {
			area->end = hi;
			return 0;
		}
		cond_resched();
	}
	return 0;
}
