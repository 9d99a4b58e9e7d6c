// SPDX-License-Identifier: GPL-2.0
/*
 * mlock, munlock, mlockall, munlockall: memory that is not paged out.
 *
 * That an area is locked is an attribute of it.  Whoever takes pages away looks at
 * that: of private memory the module itself (nothing of a locked area is paged
 * out), of files the kernel, which finds VM_LOCKED in the area's own VMA when it
 * comes to a page by rmap.  folio_referenced() then has reclaim keep the page, and
 * try_to_unmap() leaves the PTE.
 *
 * PG_mlocked is never set for altvm: mlock_vma_folio() passes over a VMA that is
 * VM_SPECIAL.  munlock_vma_folio() does not, so that a page which another process has
 * locked natively loses one count, or the flag, when our PTE goes.  That is allowed to
 * happen, see there: when reclaim comes to the page it finds the other's VM_LOCKED
 * VMA, and the flag is set again.  Until then it is kept all the same.
 *
 * Locks: altvm_space.lock; afterwards, without it, each leaf, and populating.
 */
#include <linux/mm.h>
#include <uapi/linux/mman.h>

#include "file.h"
#include "limits.h"
#include "lock.h"
#include "populate.h"
#include "store.h"
#include "tree.h"

/*
 * One area, or part of one.  @lock: VM_LOCKED, VM_LOCKONFAULT.  The space is locked.
 * Return: 0 or -ENOMEM.
 */
static int lock_area(struct altvm_space *space, const struct altvm_area *area,
		     unsigned long lock)
{
	unsigned long attr = (area->attr & ~VM_LOCKED_MASK) | lock;
	long pages = altvm_area_pages(area);
	bool was = area->attr & VM_LOCKED;
	int ret;

	/* As mlock_fixup(): what may be dropped is not locked. */
	if (attr == area->attr || area->attr & VM_DROPPABLE)
		return 0;
	if (area->fa)
		ret = altvm_file_change(space, area, attr);
	else
		ret = altvm_tree_store(space, area->start, area->end, attr,
				       GFP_KERNEL);
	if (!ret)
		altvm_limits_count_locked(space, pages * (!!lock - was));
	return ret;
}

/* As apply_vma_lock_flags(): stops at the first hole. */
static int lock_areas(struct altvm_space *space, unsigned long start,
		      unsigned long end, unsigned long lock)
{
	struct altvm_area area;
	int ret;

	ret = altvm_tree_wait_locked(space, start, end);
	while (!ret && start < end) {
		if (!altvm_tree_next(space, start, end, &area) ||
		    area.start > start)
			return -ENOMEM;
		altvm_area_clip(&area, start, end);
		ret = lock_area(space, &area, lock);
		start = area.end;
		cond_resched();
	}
	return ret;
}

/* The same for any range: outside of the window is a hole. */
static int lock_range(struct altvm_space *space, unsigned long start,
		      unsigned long len, unsigned long lock)
{
	unsigned long end = start + len;

	if (end < start)
		return -EINVAL;
	if (start == end)
		return 0;
	if (start < space->start || start >= space->end)
		return -ENOMEM;
	return lock_areas(space, start, min(end, space->end), lock) ?:
		       (end > space->end ? -ENOMEM : 0);
}

/* How many pages of a range are locked already. */
static unsigned long count_locked(struct altvm_space *space,
				  unsigned long start, unsigned long len)
{
	unsigned long end, pages = 0;
	struct altvm_area area;

	if (check_add_overflow(start, len, &end))
		end = ULONG_MAX;
	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		if (area.attr & VM_LOCKED)
			pages += altvm_area_pages(&area);
	}
	return pages;
}

static bool may_lock(struct altvm_space *space, unsigned long start,
		     unsigned long len)
{
	unsigned long pages = len >> PAGE_SHIFT;

	return altvm_limits_may_lock(space, pages) ||
	       altvm_limits_may_lock(space,
				     pages - count_locked(space, start, len));
}

/*
 * Nothing of a range is paged out any more.  Whoever does that reads the tree with the
 * leaf locked, and may have read it before.
 */
static void settle(struct altvm_space *space, unsigned long start,
		   unsigned long end)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	start = max(start, space->start);
	end = min(end, space->end);
	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		mutex_unlock(&leaf->lock);
		cond_resched();
	}
}

/* @lock: 0 to unlock. */
static int lock_enter(struct altvm_ctx *ctx, unsigned long start,
		      unsigned long len, unsigned long lock)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret = -ENOMEM;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	if (!lock || may_lock(space, start, len))
		ret = lock_range(space, start, len, lock);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	if (!ret && lock)
		settle(space, start, start + len);
	altvm_space_leave(space);
	return ret;
}

/**
 * altvm_lock_mlock() - ALTVM_MLOCK
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: mlock2(2), do_mlock() in mm/.
 *
 * Return: 0, -EINVAL, -EPERM, -ENOMEM, -EAGAIN, -EINTR, -ENXIO.
 */
int altvm_lock_mlock(struct altvm_ctx *ctx, const struct altvm_mlock *cmd)
{
	unsigned long start = cmd->addr & PAGE_MASK;
	unsigned long len = PAGE_ALIGN(cmd->length + offset_in_page(cmd->addr));
	unsigned long lock = VM_LOCKED;
	int ret;

	if (cmd->flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	if (cmd->flags & MLOCK_ONFAULT)
		lock |= VM_LOCKONFAULT;
	if (!can_do_mlock())
		return -EPERM;
	ret = lock_enter(ctx, start, len, lock);
	if (ret)
		return ret;

	/* As __mlock_posix_error_return(). */
	ret = altvm_populate_range(ctx, start, start + len, false);
	switch (ret) {
	case -EFAULT:
		return -ENOMEM;
	case -ENOMEM:
		return -EAGAIN;
	default:
		return ret;
	}
}

/**
 * altvm_lock_munlock() - ALTVM_MUNLOCK
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: munlock(2).
 *
 * Return: 0, -EINVAL, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_lock_munlock(struct altvm_ctx *ctx, const struct altvm_munlock *cmd)
{
	unsigned long len = PAGE_ALIGN(cmd->length + offset_in_page(cmd->addr));

	return lock_enter(ctx, cmd->addr & PAGE_MASK, len, 0);
}

/* All areas get @lock; as natively, nobody hears of those that do not. */
static int lock_all(struct altvm_space *space, unsigned long lock)
{
	struct altvm_area area;
	int ret;

	ret = altvm_tree_wait_locked(space, space->start, space->end);
	if (ret)
		return ret;
	altvm_for_each_area(space, &area, space->start, space->end) {
		lock_area(space, &area, lock);
		cond_resched();
	}
	return 0;
}

/* As apply_mlockall_flags(); 0 is munlockall.  The space is locked. */
static int lock_all_flags(struct altvm_space *space, unsigned int flags)
{
	unsigned long lock = VM_LOCKED;
	int ret = 0;

	if (flags & MCL_ONFAULT)
		lock |= VM_LOCKONFAULT;
	if (flags & MCL_CURRENT)
		ret = lock_all(space, lock);
	else if (!(flags & MCL_FUTURE))
		ret = lock_all(space, 0);
	if (!ret)
		space->def_lock = flags & MCL_FUTURE ? lock : 0;
	return ret;
}

static int lock_all_enter(struct altvm_ctx *ctx, unsigned int flags)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret = -ENOMEM;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	if (!(flags & MCL_CURRENT) ||
	    altvm_limits_may_lock(space, space->nr_total - space->nr_locked))
		ret = lock_all_flags(space, flags);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	if (!ret && flags & MCL_CURRENT)
		settle(space, space->start, space->end);
	altvm_space_leave(space);
	return ret;
}

/**
 * altvm_lock_mlockall() - ALTVM_MLOCKALL
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: mlockall(2), of what is in the window.
 *
 * Return: 0, -EINVAL, -EPERM, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_lock_mlockall(struct altvm_ctx *ctx, const struct altvm_mlockall *cmd)
{
	unsigned int flags = cmd->flags;
	int ret;

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    flags == MCL_ONFAULT)
		return -EINVAL;
	if (!can_do_mlock())
		return -EPERM;
	ret = lock_all_enter(ctx, flags);
	if (!ret && flags & MCL_CURRENT)
		altvm_populate_range(ctx, 0, TASK_SIZE, true);
	return ret;
}

/**
 * altvm_lock_munlockall() - ALTVM_MUNLOCKALL
 * @ctx: the file's
 *
 * Semantics: munlockall(2), of what is in the window.
 *
 * Return: 0, -EINTR, -ENXIO.
 */
int altvm_lock_munlockall(struct altvm_ctx *ctx)
{
	return lock_all_enter(ctx, 0);
}
