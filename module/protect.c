// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect: first the tree, under altvm_space.lock, then the PTEs, leaf by leaf,
 * without it.
 *
 * The second step gives each PTE the rights that the tree grants at that time,
 * read with the leaf locked, and not those that this call asked for: another
 * call may have been faster.  So whatever the order in which calls reach a
 * leaf, its PTEs end up as the last change of the tree wants them.
 *
 * What it costs in TLB flushes: none where only the rights to read and write are
 * added; one for the whole call where rights are taken away, where that to execute is
 * added, and where the tree says already what is asked for, since another call that
 * made it so may not have flushed yet.
 *
 * A file area that gets more rights is vetted again, see file.c, with nothing locked:
 * then the whole call is made once more, which changes nothing that it has changed.
 */
#include <linux/mman.h>
#include <linux/personality.h>

#include "file.h"
#include "limits.h"
#include "map.h"
#include "populate.h"
#include "protect.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* Up to so many pages it is cheaper to map anew than to flush everything. */
#define REMAP_MAX 16

/* After so many pieces of memory to be populated, what is between counts, too. */
#define PIECES_MAX 8

/**
 * struct piece - what is locked and to be populated
 * @start: its first address
 * @end: exclusive
 */
struct piece {
	unsigned long start, end;
};

/**
 * struct change - what the first step has done, for the second
 * @start: of the range in which something changed
 * @end: exclusive
 * @attr: what all of it is now; 0 if it is not uniform
 * @changes: of the tree, with this one
 * @none: an area was PROT_NONE and is no more: its pages have no PTEs
 * @narrow: TLBs must forget what they know
 * @files: some of it is of a file, so that PTEs are not in the store only
 * @locked: some of that is locked: PTEs are to stay, for they hold the pages
 * @populate: where what is locked is to be populated
 * @nr_populate: how many of those there are
 */
struct change {
	unsigned long start, end, attr, changes;
	bool none, narrow, files, locked;
	struct piece populate[PIECES_MAX];
	unsigned int nr_populate;
};

/**
 * struct recheck - what is to be vetted before a file area gets more rights
 * @fa: the area, referenced; NULL if there is nothing to do
 * @attr: with the rights
 */
struct recheck {
	struct altvm_file_area *fa;
	unsigned long attr;
};

/* Note what is to be done for an area that is locked. */
static void protect_note_locked(const struct altvm_area *area,
				unsigned long attr, struct change *change)
{
	struct piece *piece;

	change->locked |= !!area->fa;
	/*
	 * As natively, what becomes writable gets copies at once.  Of a file that
	 * was PROT_NONE nothing has been mapped.
	 */
	if (!(attr & ~area->attr & VM_WRITE) &&
	    !(area->fa && !(area->attr & VM_ACCESS_FLAGS)))
		return;
	piece = &change->populate[change->nr_populate];
	if (change->nr_populate && (piece[-1].end == area->start ||
				    change->nr_populate == PIECES_MAX)) {
		piece[-1].end = area->end;
		return;
	}
	piece->start = area->start;
	piece->end = area->end;
	change->nr_populate++;
}

/*
 * Note for the second step what became of an area.  @flush: rights whose change
 * the TLBs must hear of: those taken away, and that to execute, for a fetch
 * through an old TLB entry raises SIGSEGV without asking us.
 */
static void protect_note(struct altvm_space *space,
			 const struct altvm_area *area, unsigned long attr,
			 unsigned long flush, struct change *change)
{
	if (change->start == change->end) {
		change->start = area->start;
		change->attr = attr;
	} else if (change->end != area->start || change->attr != attr) {
		change->attr = 0;
	}
	change->end = area->end;
	change->changes = space->changes;
	change->none |= !(area->attr & VM_ACCESS_FLAGS);
	change->files |= !!area->fa;
	change->narrow |= flush & VM_ACCESS_FLAGS;
	if (area->attr & VM_LOCKED)
		protect_note_locked(area, attr, change);
}

/*
 * Give a part of a file area other attributes.  The space is locked.
 * Return: 0, -ENOMEM, or -EAGAIN if it has to be vetted first.
 */
static int protect_file(struct altvm_space *space, struct altvm_area *area,
			unsigned long attr, struct recheck *recheck)
{
	if (attr & VM_ACCESS_FLAGS & ~area->fa->vetted) {
		refcount_inc(&area->fa->refs);
		recheck->fa = area->fa;
		recheck->attr = attr;
		return -EAGAIN;
	}
	return altvm_file_change(space, area, attr);
}

/* One area, clipped to the range.  The space is locked. */
static int protect_area(struct altvm_space *space, struct altvm_area *area,
			unsigned long prot, struct change *change,
			struct recheck *recheck)
{
	unsigned long attr = (area->attr & ~VM_ACCESS_FLAGS) | prot;
	long data = altvm_area_pages(area) *
		    (altvm_attr_is_data(attr) - altvm_attr_is_data(area->attr));
	int ret;

	if (prot & ~space->prot || map_deny_write_exec(area->attr, attr))
		return -EACCES;
	/* As do_mprotect_pkey(), before limits: VM_MAY* says what may be. */
	if (area->fa && attr & ~(attr >> 4) & VM_ACCESS_FLAGS)
		return -EACCES;
	/* Another call may have changed the tree, and not the PTEs yet. */
	if (attr == area->attr) {
		protect_note(space, area, attr, VM_ACCESS_FLAGS, change);
		return 0;
	}
	ret = altvm_limits_charge_data(space, data);
	if (ret)
		return ret;
	if (area->fa)
		ret = protect_file(space, area, attr, recheck);
	else
		ret = altvm_tree_store(space, area->start, area->end, attr,
				       GFP_KERNEL);
	if (ret) {
		altvm_limits_uncharge(space, 0, data);
		return ret;
	}

	protect_note(space, area, attr,
		     (area->attr & ~attr) | (attr & ~area->attr & VM_EXEC),
		     change);
	return 0;
}

/* As do_mprotect_pkey(): stops at the first hole or error. */
static int protect_locked(struct altvm_space *space, unsigned long start,
			  unsigned long end, unsigned int prot,
			  struct change *change, struct recheck *recheck)
{
	unsigned long rights = prot & VM_ACCESS_FLAGS;
	struct altvm_area area;
	int ret;

	if (rights & VM_READ && current->personality & READ_IMPLIES_EXEC)
		rights |= VM_EXEC;
	ret = altvm_tree_wait_locked(space, start, end);
	if (ret)
		return ret;
	if (!altvm_tree_next(space, start, end, &area))
		return -ENOMEM;
	if (prot & PROT_GROWSDOWN) {
		if (!(area.attr & VM_GROWSDOWN))
			return -EINVAL;
		start = area.start;
	}
	if (area.start > start)
		return -ENOMEM;
	if (prot & PROT_GROWSUP)
		return -EINVAL;

	for (;;) {
		altvm_area_clip(&area, start, end);
		ret = protect_area(space, &area, rights, change, recheck);
		start = area.end;
		if (ret || start == end)
			return ret;
		if (!altvm_tree_next(space, start, end, &area) ||
		    area.start > start)
			return -ENOMEM;
	}
}

/* Make the PTEs of an area, or part of one, agree with it.  The leaf is locked. */
static void sync_area(struct altvm_space *space, struct altvm_leaf *leaf,
		      const struct altvm_area *area,
		      const struct change *change, bool flush)
{
	bool accessible = area->attr & VM_ACCESS_FLAGS;
	bool remap = change->narrow && !flush;

	if (area->attr & ALTVM_ATTR_BUSY)
		return;
	if (remap || !accessible) {
		altvm_pte_settle(space, leaf, area->start, area->end);
		altvm_pte_zap_leaf(space, leaf, area->start, area->end);
	} else {
		altvm_pte_protect(space, leaf, area->start, area->end,
				  area->attr);
	}
	/* A file's are left to faults, which know whether it has been cut off. */
	if (accessible && (remap || change->none) && !change->files)
		altvm_pte_insert_leaf(space, leaf, area->start, area->end,
				      area->attr);
}

/*
 * Make the PTEs of [start, end), part of a leaf, agree with the tree.  The leaf
 * is locked.
 */
static void sync_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end,
		      const struct change *change, bool flush)
{
	struct altvm_area area = {
		.start = start,
		.end = end,
		.attr = change->attr,
	};

	if (!leaf->nr && !change->files)
		return;
	if (area.attr && READ_ONCE(space->changes) == change->changes) {
		sync_area(space, leaf, &area, change, flush);
		return;
	}
	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		sync_area(space, leaf, &area, change, flush);
	}
}

static void sync_range(struct altvm_space *space, const struct change *change)
{
	unsigned long pages = (change->end - change->start) >> PAGE_SHIFT;
	bool flush = change->narrow && (pages > REMAP_MAX || change->locked);
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	/* A fault makes the leaf, locks it, then reads the tree. */
	smp_mb();
	altvm_for_each_leaf(space, leaf, change->start, change->end, lo, hi) {
		mutex_lock(&leaf->lock);
		sync_leaf(space, leaf, lo, hi, change, flush);
		mutex_unlock(&leaf->lock);
		cond_resched();
	}
	if (flush)
		altvm_pte_flush(space);
}

/* Taking all rights away: nobody can add PTEs, so one zap does it. */
static void sync_none(struct altvm_space *space, const struct change *change)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;
	bool zap = change->files;

	/* A fault makes the leaf, locks it, then reads the tree. */
	smp_mb();
	altvm_for_each_leaf(space, leaf, change->start, change->end, lo, hi) {
		/* Wait for faults that read the tree before. */
		mutex_lock(&leaf->lock);
		if (leaf->ahead) {
			altvm_pte_settle(space, leaf, lo, hi);
			altvm_pte_zap(space, lo, hi);
		}
		if (leaf->block)
			altvm_pte_zap_leaf(space, leaf, lo, hi);
		zap |= leaf->nr;
		mutex_unlock(&leaf->lock);
	}
	if (zap)
		altvm_pte_zap(space, change->start, change->end);
}

/* In one window; as altvm_protect_mprotect(), or -EAGAIN and there is a recheck. */
static int protect_space(struct altvm_space *space, unsigned long start,
			 unsigned long end, unsigned int prot,
			 struct change *change, struct recheck *recheck)
{
	int ret;

	if (start < space->start || start >= space->end)
		return -ENOMEM;
	/* Beyond the window is a hole. */
	mutex_lock(&space->lock);
	ret = protect_locked(space, start, min(end, space->end), prot, change,
			     recheck);
	if (!ret && end > space->end)
		ret = -ENOMEM;
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);

	if (!(prot & VM_ACCESS_FLAGS))
		sync_none(space, change);
	else
		sync_range(space, change);
	return ret;
}

static void populate(struct altvm_ctx *ctx, const struct change *change)
{
	const struct piece *piece = change->populate;

	for (; piece < change->populate + change->nr_populate; piece++)
		altvm_populate_locked(ctx, piece->start, piece->end);
}

/**
 * altvm_protect_mprotect() - ALTVM_MPROTECT
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: mprotect(2), do_mprotect_pkey() in mm/.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EACCES, -EINTR, -ENXIO.
 */
int altvm_protect_mprotect(struct altvm_ctx *ctx, struct altvm_mprotect *cmd)
{
	const unsigned int grows = PROT_GROWSDOWN | PROT_GROWSUP;
	unsigned long start = cmd->addr, end = start + PAGE_ALIGN(cmd->length);
	struct altvm_space *space;
	int ret;

	if ((cmd->prot & grows) == grows || offset_in_page(start))
		return -EINVAL;
	if (!cmd->length)
		return 0;
	if (end <= start)
		return -ENOMEM;
	if (cmd->prot &
	    ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | grows))
		return -EINVAL;

	do {
		struct recheck recheck = {};
		struct change change = {};

		space = altvm_space_enter(ctx);
		if (IS_ERR(space))
			return PTR_ERR(space);
		ret = protect_space(space, start, end, cmd->prot, &change,
				    &recheck);
		altvm_space_leave(space);
		populate(ctx, &change);
		if (ret == -EAGAIN)
			ret = altvm_file_revet(recheck.fa, recheck.attr) ?:
				      -EAGAIN;
		if (ret == -EAGAIN && fatal_signal_pending(current))
			ret = -EINTR;
	} while (ret == -EAGAIN);
	return ret;
}
