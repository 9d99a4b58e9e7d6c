// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: what it is asked for, and on which areas.
 *
 * Some advice is kept as attributes of areas.  Whoever acts on it looks at those: a
 * fork (space.c), the file system's readahead, by the flags of the area's own VMA,
 * and the listing (debug.c) for those who dump memory.  Other advice is acted on at
 * once, area by area: on pages with the space entered, see discard.c; on files with
 * the space left, see fileadvice.c.  To populate, and to poison, is both: see
 * populate.c and poison.c.
 *
 * Locks: altvm_space.lock, for attributes only.
 */
#include <linux/sched/signal.h>
#include <uapi/linux/mman.h>

#include "advise.h"
#include "collapse.h"
#include "compat.h"
#include "discard.h"
#include "file.h"
#include "fileadvice.h"
#include "map.h"
#include "merge.h"
#include "poison.h"
#include "populate.h"
#include "swap.h"
#include "tree.h"

/**
 * struct advice - what one MADV_* does
 * @known: is there such advice?
 * @private: for private anonymous memory only
 * @ignore: areas with one of these attributes pay no attention to it
 * @clear: attributes that it takes away
 * @set: attributes that it adds
 * @inside: acts on an area, clipped to the range, with the space entered; moves its
 *	end down to how far it came; -EAGAIN to be called again for the rest
 * @outside: acts on an area with the space left; the area's fa is referenced
 * @range: acts on the whole range
 */
struct advice {
	bool known, private;
	unsigned long ignore, clear, set;
	int (*inside)(struct altvm_space *space, struct altvm_area *area,
		      int advice);
	int (*outside)(const struct altvm_area *area, int advice);
	int (*range)(struct altvm_ctx *ctx, unsigned long start,
		     unsigned long end, int advice);
};

static const struct advice advices[] = {
	[MADV_NORMAL] = { .known = true, .clear = VM_RAND_READ | VM_SEQ_READ },
	[MADV_RANDOM] = { .known = true,
			  .clear = VM_SEQ_READ,
			  .set = VM_RAND_READ },
	[MADV_SEQUENTIAL] = { .known = true,
			      .clear = VM_RAND_READ,
			      .set = VM_SEQ_READ },
	[MADV_DONTFORK] = { .known = true, .set = VM_DONTCOPY },
	[MADV_DOFORK] = { .known = true, .clear = VM_DONTCOPY },
	[MADV_DONTDUMP] = { .known = true, .set = VM_DONTDUMP },
	[MADV_DODUMP] = { .known = true, .clear = VM_DONTDUMP },
	[MADV_HUGEPAGE] = { .known = true,
			    .clear = VM_NOHUGEPAGE,
			    .set = VM_HUGEPAGE },
	[MADV_NOHUGEPAGE] = { .known = true,
			      .clear = VM_HUGEPAGE,
			      .set = VM_NOHUGEPAGE },
	[MADV_WIPEONFORK] = { .known = true,
			      .private = true,
			      .set = VM_WIPEONFORK },
	[MADV_KEEPONFORK] = { .known = true, .clear = VM_WIPEONFORK },
	[MADV_MERGEABLE] = { .known = ALTVM_KSM,
			     .ignore = VM_SHARED | VM_MAYSHARE | VM_DROPPABLE,
			     .set = VM_MERGEABLE },
	[MADV_UNMERGEABLE] = { .known = ALTVM_KSM,
			       .clear = VM_MERGEABLE,
			       .inside = altvm_merge_break },
	[MADV_DONTNEED] = { .known = true, .inside = altvm_discard_area },
	[MADV_DONTNEED_LOCKED] = { .known = true,
				   .inside = altvm_discard_area },
	[MADV_GUARD_INSTALL] = { .known = true, .inside = altvm_discard_guard },
	[MADV_GUARD_REMOVE] = { .known = true,
				.inside = altvm_discard_unguard },
	[MADV_FREE] = { .known = true, .inside = altvm_swap_area },
	[MADV_COLD] = { .known = true, .inside = altvm_swap_area },
	[MADV_PAGEOUT] = { .known = true, .inside = altvm_swap_area },
	[MADV_WILLNEED] = { .known = true,
			    .outside = altvm_fileadvice_willneed },
	[MADV_REMOVE] = { .known = true, .outside = altvm_fileadvice_remove },
	[MADV_POPULATE_READ] = { .known = true,
				 .range = altvm_populate_advised },
	[MADV_POPULATE_WRITE] = { .known = true,
				  .range = altvm_populate_advised },
	[MADV_HWPOISON] = { .known = ALTVM_MEMORY_FAILURE,
			    .range = altvm_poison_advised },
	[MADV_SOFT_OFFLINE] = { .known = ALTVM_MEMORY_FAILURE,
				.range = altvm_poison_advised },
	[MADV_COLLAPSE] = { .known = true, .range = altvm_collapse },
};

/* One area, clipped to the range.  The space is locked. */
static int advise_area(struct altvm_space *space, struct altvm_area *area,
		       const struct advice *advice)
{
	unsigned long attr = (area->attr & ~advice->clear) | advice->set;

	if (advice->private && area->fa)
		return -EINVAL;
	/* Droppable memory is not inherited, nor dumped. */
	if (area->attr & VM_DROPPABLE &&
	    advice->clear & (VM_WIPEONFORK | VM_DONTDUMP))
		return -EINVAL;
	if (attr == area->attr || area->attr & advice->ignore)
		return 0;
	if (attr & VM_MERGEABLE)
		altvm_merge_learn(space);
	if (attr & (VM_DONTCOPY | VM_WIPEONFORK))
		WRITE_ONCE(space->special, true);
	if (attr & VM_HUGEPAGE)
		WRITE_ONCE(space->huge, true);
	if (!area->fa)
		return altvm_tree_store(space, area->start, area->end, attr,
					GFP_KERNEL);
	return altvm_file_change(space, area, attr);
}

/* As madvise_walk_vmas(): holes are passed over, and told in the end. */
static int advise_locked(struct altvm_space *space, unsigned long start,
			 unsigned long end, const struct advice *advice)
{
	unsigned long at = start;
	struct altvm_area area;
	int ret, holes = 0;

	ret = altvm_tree_wait_locked(space, start, end);
	while (!ret && at < end) {
		if (!altvm_tree_next(space, at, end, &area))
			return -ENOMEM;
		if (area.start > at)
			holes = -ENOMEM;
		altvm_area_clip(&area, at, end);
		at = area.end;
		ret = advise_area(space, &area, advice);
		/* madvise(2): resources are temporarily unavailable. */
		if (ret == -ENOMEM)
			ret = -EAGAIN;
		cond_resched();
	}
	return ret ?: holes;
}

/* Attributes: all of them at once. */
static int advise_attr(struct altvm_space *space, unsigned long start,
		       unsigned long end, const struct advice *advice)
{
	bool hole = start < space->start || end > space->end;
	int ret;

	if (start >= space->end || end <= space->start)
		return -ENOMEM;
	/* Outside of the window is a hole. */
	mutex_lock(&space->lock);
	ret = advise_locked(space, max(start, space->start),
			    min(end, space->end), advice);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	return ret ?: (hole ? -ENOMEM : 0);
}

/**
 * struct walk - area by area over a range, as madvise_walk_vmas() in mm/
 * @ctx: the file's
 * @mm: whose window
 * @at: how far it has come
 * @end: of the range, exclusive
 * @hole: something was not mapped
 * @number: MADV_*
 * @advice: what to do
 */
struct walk {
	struct altvm_ctx *ctx;
	struct mm_struct *mm;
	unsigned long at, end;
	bool hole;
	int number;
	const struct advice *advice;
};

/*
 * The next area, clipped.
 * Return: 1; 0 if there is none any more; -EINTR.
 */
static int walk_next(struct altvm_space *space, struct walk *w,
		     struct altvm_area *area)
{
	int ret;

	if (w->at >= w->end)
		return 0;
	for (;;) {
		if (!altvm_tree_next(space, w->at, min(w->end, space->end),
				     area)) {
			w->hole = true;
			return 0;
		}
		altvm_area_clip(area, w->at, w->end);
		if (!(area->attr & ALTVM_ATTR_BUSY))
			break;
		ret = altvm_tree_wait(space, area->start);
		if (ret)
			return ret;
	}
	w->hole |= area->start > w->at;
	return 1;
}

/* Return: 0 at the end, -EAGAIN to leave the space and come again, an error. */
static int walk_inside(struct altvm_space *space, struct walk *w)
{
	struct altvm_area area;
	int ret;

	while ((ret = walk_next(space, w, &area)) > 0) {
		ret = w->advice->inside(space, &area, w->number);
		if (ret && ret != -EAGAIN)
			return ret;
		w->at = area.end;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (altvm_space_wanted(space))
			return -EAGAIN;
	}
	return ret;
}

static int advise_inside(struct walk *w)
{
	struct altvm_space *space;
	int ret;

	do {
		space = altvm_space_enter_mm(w->ctx, w->mm);
		if (IS_ERR(space))
			return PTR_ERR(space);
		ret = walk_inside(space, w);
		altvm_space_leave(space);
	} while (ret == -EAGAIN);
	return ret;
}

/* Take a reference of the file.  Return: false if it is another area by now. */
static bool area_get_file(struct altvm_space *space, struct altvm_area *area)
{
	struct altvm_area now;

	guard(rcu)();
	if (!altvm_tree_next(space, area->start, area->end, &now) || !now.fa ||
	    now.start > area->start || !refcount_inc_not_zero(&now.fa->refs))
		return false;
	altvm_area_clip(&now, area->start, area->end);
	*area = now;
	return true;
}

/* The next area, with a reference of its file.  As walk_next(). */
static int walk_get(struct altvm_space *space, struct walk *w,
		    struct altvm_area *area)
{
	int ret;

	do
		ret = walk_next(space, w, area);
	while (ret > 0 && area->fa && !area_get_file(space, area));
	return ret;
}

static int advise_outside(struct walk *w)
{
	struct altvm_space *space;
	struct altvm_area area;
	int ret;

	for (;;) {
		space = altvm_space_enter_mm(w->ctx, w->mm);
		if (IS_ERR(space))
			return PTR_ERR(space);
		ret = walk_get(space, w, &area);
		altvm_space_leave(space);
		if (ret <= 0)
			return ret;
		ret = w->advice->outside(&area, w->number);
		if (area.fa)
			altvm_file_put(area.fa);
		if (ret)
			return ret;
		w->at = area.end;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* Attributes, with the space left. */
static int enter_advise_attr(const struct walk *w)
{
	struct altvm_space *space = altvm_space_enter_mm(w->ctx, w->mm);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = advise_attr(space, w->at, w->end, w->advice);
	altvm_space_leave(space);
	return ret;
}

/* The arguments are right, and the range is not empty. */
static int advise(struct walk *w)
{
	const struct advice *advice = w->advice;
	int ret = 0;

	if (advice->range)
		return w->mm == current->mm ?
			       advice->range(w->ctx, w->at, w->end, w->number) :
			       -EINVAL;
	if (advice->set || advice->clear)
		ret = enter_advise_attr(w);
	/* Holes do not keep it from what is mapped. */
	if ((ret && ret != -ENOMEM) || !(advice->inside || advice->outside))
		return ret;
	ret = advice->inside ? advise_inside(w) : advise_outside(w);
	/* madvise(2): resources are temporarily unavailable. */
	if (ret == -ENOMEM && advice->clear)
		return -EAGAIN;
	return ret ?: (w->hole ? -ENOMEM : 0);
}

/* Nothing is to be done, if there is a window. */
static int advise_nothing(const struct walk *w)
{
	struct altvm_space *space = altvm_space_enter_mm(w->ctx, w->mm);

	if (IS_ERR(space))
		return PTR_ERR(space);
	altvm_space_leave(space);
	return 0;
}

/* Return: NULL if there is no such advice. */
static const struct advice *find_advice(s32 nr)
{
	const struct advice *advice;

	if (nr < 0 || nr >= ARRAY_SIZE(advices))
		return NULL;
	advice = &advices[array_index_nospec(nr, ARRAY_SIZE(advices))];
	return advice->known ? advice : NULL;
}

/**
 * altvm_advise_check() - check what can be told of the arguments alone
 * @cmd: the arguments
 *
 * Return: 0 or -EINVAL.
 */
int altvm_advise_check(const struct altvm_madvise *cmd)
{
	unsigned long start = cmd->addr, len = PAGE_ALIGN(cmd->length);

	if (!find_advice(cmd->advice) || offset_in_page(start) ||
	    (cmd->length && !len) || start + len < start)
		return -EINVAL;
	return 0;
}

/**
 * altvm_advise_mm() - advise on the window of a process
 * @ctx: the file's
 * @mm: the process's; the caller has a reference as a user
 * @cmd: the arguments
 *
 * Semantics: madvise(2), do_madvise() in mm/.
 *
 * Context: may do I/O.
 * Return: 0, the errno of madvise(2); -EINTR, -ENXIO.
 */
int altvm_advise_mm(struct altvm_ctx *ctx, struct mm_struct *mm,
		    const struct altvm_madvise *cmd)
{
	struct walk w = {
		.ctx = ctx,
		.mm = mm,
		.at = cmd->addr,
		.end = cmd->addr + PAGE_ALIGN(cmd->length),
		.number = cmd->advice,
		.advice = find_advice(cmd->advice),
	};
	int ret = altvm_advise_check(cmd);

	if (ret)
		return ret;
	return w.at == w.end ? advise_nothing(&w) : advise(&w);
}

/**
 * altvm_advise_madvise() - ALTVM_MADVISE
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Return: as altvm_advise_mm().
 */
int altvm_advise_madvise(struct altvm_ctx *ctx, struct altvm_madvise *cmd)
{
	return altvm_advise_mm(ctx, current->mm, cmd);
}
