// SPDX-License-Identifier: GPL-2.0
/*
 * Areas that grow down (MAP_GROWSDOWN): an access below one makes it reach there.
 *
 * It may come as near to the area below as the guard gap, which keeps a stack
 * that overflows from reaching what is there.  mmap leaves the gap free where it
 * chooses the place.
 *
 * Locks: altvm_space.lock; a fault takes it when nothing is mapped where it is, and
 * the next area is one that grows.
 */
#include <linux/sched/signal.h>

#include "grow.h"
#include "limits.h"

/**
 * altvm_grow_next() - what is in the way of a new area
 * @space: locked
 * @start: of the new area
 * @end: exclusive
 * @area: out: the first area that meets it, or whose gap does
 *
 * Return: false if there is none.
 */
bool altvm_grow_next(struct altvm_space *space, unsigned long start,
		     unsigned long end, struct altvm_area *area)
{
	unsigned long limit = min(space->end, end + ALTVM_GROW_GAP);

	return altvm_tree_next(space, start, limit, area) &&
	       altvm_grow_start(area) < end;
}

/* As acct_stack_growth(). */
static int grow_charge(struct altvm_space *space, const struct altvm_area *area,
		       unsigned long addr)
{
	unsigned long pages = (area->start - addr) >> PAGE_SHIFT;
	bool locked = area->attr & VM_LOCKED;
	int ret;

	if (area->end - addr > rlimit(RLIMIT_STACK) ||
	    (locked && !altvm_limits_may_lock(space, pages)))
		return -ENOMEM;
	ret = altvm_limits_charge(space, pages, 0, false);
	if (!ret && locked)
		altvm_limits_count_locked(space, pages);
	return ret;
}

static void grow_uncharge(struct altvm_space *space,
			  const struct altvm_area *area, unsigned long addr)
{
	unsigned long pages = (area->start - addr) >> PAGE_SHIFT;

	altvm_limits_uncharge(space, pages, 0);
	if (area->attr & VM_LOCKED)
		altvm_limits_count_locked(space, -pages);
}

/* Is what is below too near?  As expand_downwards(). */
static bool is_blocked(struct altvm_space *space, unsigned long addr)
{
	struct altvm_area below;

	return altvm_tree_prev(space, addr, &below) &&
	       !(below.attr & VM_GROWSDOWN) && below.attr & VM_ACCESS_FLAGS &&
	       addr - below.end < ALTVM_GROW_GAP;
}

static int grow_locked(struct altvm_space *space, unsigned long addr)
{
	unsigned long low = space->start;
	struct altvm_area area;
	int ret;

	if (addr - low > ALTVM_GROW_GAP)
		low = addr - ALTVM_GROW_GAP;
	do {
		if (!altvm_tree_next(space, addr, space->end, &area))
			return -EFAULT;
		if (!altvm_tree_is_busy(space, low, area.end))
			break;
		ret = altvm_tree_wait_locked(space, low, area.end);
	} while (!ret);
	if (ret)
		return ret;

	/* Another thread may have been faster. */
	if (area.start <= addr)
		return 0;
	if (!(area.attr & VM_GROWSDOWN) || is_blocked(space, addr) ||
	    grow_charge(space, &area, addr))
		return -EFAULT;
	if (altvm_tree_store(space, addr, area.start, area.attr, GFP_KERNEL)) {
		grow_uncharge(space, &area, addr);
		return -EFAULT;
	}
	return 0;
}

/**
 * altvm_grow() - have the area above an address grow down to it
 * @space: attached; in a fault on its window
 * @addr: page-aligned, where nothing is mapped
 *
 * Semantics: expand_stack() in mm/.
 *
 * Context: takes altvm_space.lock.
 * Return: 0, and something is mapped there; -EFAULT if it does not grow; -EINTR,
 * killed.
 */
int altvm_grow(struct altvm_space *space, unsigned long addr)
{
	int ret;

	mutex_lock(&space->lock);
	ret = grow_locked(space, addr);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	return ret;
}
