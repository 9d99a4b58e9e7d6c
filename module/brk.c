// SPDX-License-Identifier: GPL-2.0
/*
 * brk: the heap of a window, which grows from its start.
 *
 * The break is a number and no more: between the window's start and the break there
 * may be anything, for whoever unmaps parts of the heap, or maps over them, may do
 * so.  Moving it up maps what is between, moving it down unmaps all that is there.
 *
 * Locks: altvm_space.lock.  It is dropped while memory is taken away; the break has
 * been moved by then, and whoever moves it next waits for the range.
 */
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/sched/signal.h>

#include "brk.h"
#include "file.h"
#include "grow.h"
#include "limits.h"
#include "map.h"
#include "merge.h"
#include "populate.h"
#include "tree.h"

/**
 * struct brk_move - moving the break
 * @to: where to, in bytes
 * @old: the old one, page-aligned
 * @new: the new one, page-aligned
 * @populate: is what has come to be populated?
 * @taken: what has gone
 */
struct brk_move {
	unsigned long to, old, new;
	bool populate;
	struct altvm_taken taken;
};

/* Is the place one where a break may be? */
static bool may_be(struct altvm_space *space, unsigned long to)
{
	struct mm_struct *mm = space->mm;

	return to >= space->start && to <= space->end &&
	       !check_data_rlimit(rlimit(RLIMIT_DATA), to, space->start,
				  READ_ONCE(mm->end_data),
				  READ_ONCE(mm->start_data));
}

/* Return: 0; or -ENOMEM, and nothing has changed. */
static int brk_shrink(struct altvm_space *space, struct brk_move *move)
{
	unsigned long before = space->brk;
	struct altvm_area area;
	int ret;

	if (!altvm_tree_next(space, move->new, move->old, &area))
		return -ENOMEM;
	space->brk = move->to;
	ret = altvm_map_unmap_locked(space, move->new, move->old, &move->taken);
	if (ret)
		space->brk = before;
	return ret;
}

/* As do_brk_flags(). */
static int brk_store(struct altvm_space *space, const struct brk_move *move,
		     unsigned long attr)
{
	unsigned long pages = (move->new - move->old) >> PAGE_SHIFT;
	int ret;

	ret = altvm_limits_charge(space, pages, pages, true);
	if (ret)
		return ret;
	if (attr & VM_MERGEABLE)
		altvm_merge_learn(space);
	ret = altvm_tree_store(space, move->old, move->new, attr, GFP_KERNEL);
	if (ret)
		altvm_limits_uncharge(space, pages, pages);
	else if (attr & VM_LOCKED)
		altvm_limits_count_locked(space, pages);
	return ret;
}

/* Return: 0; or -ENOMEM, and nothing has changed. */
static int brk_grow(struct altvm_space *space, struct brk_move *move)
{
	unsigned long attr = VM_READ | VM_WRITE | space->def_lock |
			     altvm_merge_attr();
	unsigned long pages = (move->new - move->old) >> PAGE_SHIFT;
	struct altvm_area area;
	int ret;

	if (current->personality & READ_IMPLIES_EXEC)
		attr |= VM_EXEC;
	if (attr & VM_ACCESS_FLAGS & ~space->prot ||
	    (attr & VM_LOCKED && !altvm_limits_may_lock(space, pages)) ||
	    altvm_grow_next(space, move->old, move->new + PAGE_SIZE, &area))
		return -ENOMEM;
	ret = brk_store(space, move, attr);
	if (ret)
		return ret;
	space->brk = move->to;
	move->populate = attr & VM_LOCKED;
	return 0;
}

/*
 * The space is locked, but not all the time.
 * Return: 0 if the break is where it is to be, -ENOMEM if it is where it was, -EINTR.
 */
static int brk_locked(struct altvm_space *space, struct brk_move *move)
{
	int ret;

	if (!may_be(space, move->to))
		return -ENOMEM;
	move->new = PAGE_ALIGN(move->to);
	do {
		unsigned long end;

		move->old = PAGE_ALIGN(space->brk);
		/* Beyond the window is what is busy for ever. */
		end = min(max(move->old, move->new) + PAGE_SIZE, space->end);
		ret = altvm_tree_wait_locked(space, min(move->old, move->new),
					     end);
		if (ret)
			return ret;
	} while (move->old != PAGE_ALIGN(space->brk));

	if (move->old == move->new)
		space->brk = move->to;
	else if (move->new < move->old)
		ret = brk_shrink(space, move);
	else
		ret = brk_grow(space, move);
	return ret;
}

/* @brk: out: the break. */
static int brk_enter(struct altvm_ctx *ctx, struct brk_move *move, u64 *brk)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	ret = brk_locked(space, move);
	*brk = ret ? space->brk : move->to;
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	if (move->taken.trim)
		altvm_map_trim(space, move->new, move->old);
	altvm_space_leave(space);
	altvm_file_drop_list(&move->taken.files);
	return ret;
}

/**
 * altvm_brk() - ALTVM_BRK
 * @ctx: the file's
 * @cmd: the arguments; @out_addr is set on success
 *
 * Semantics: the system call brk in mm/.  Unlike brk(2), which the C library makes of
 * it, it does not fail where the break cannot be moved, but tells where it is.
 *
 * Return: 0, -EINTR, -ENXIO.
 */
int altvm_brk(struct altvm_ctx *ctx, struct altvm_brk *cmd)
{
	struct brk_move move = {
		.to = cmd->addr,
		.taken.files = LIST_HEAD_INIT(move.taken.files),
	};
	int ret = brk_enter(ctx, &move, &cmd->out_addr);

	if (move.populate)
		altvm_populate_range(ctx, move.old, move.new, true);
	return ret == -ENOMEM ? 0 : ret;
}
