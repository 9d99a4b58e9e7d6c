// SPDX-License-Identifier: GPL-2.0
/*
 * mincore: which pages are resident.
 *
 * Nothing of the user's is touched while the space is entered, so the answer
 * goes through a buffer, a part at a time.  Of a file, what is cached is resident;
 * the file is asked with the space left.
 */
#include <linux/uaccess.h>

#include "pagecache.h"
#include "pte.h"
#include "residency.h"
#include "store.h"
#include "tree.h"

/* What @vec says of a page. */
#define RESIDENT BIT(0)
#define SWAPPED BIT(1)

/* Fill @vec, of zeroes, for [start, end), part of a leaf; the leaf is locked. */
static void leaf_residency(struct altvm_space *space, struct altvm_leaf *leaf,
			   unsigned long start, unsigned long end, u8 *vec,
			   u8 told)
{
	struct page **page;

	if (!leaf->nr)
		return;
	page = &leaf->pages[pte_index(start)];
	for (; start < end; start += PAGE_SIZE, page++, vec++) {
		/* Nothing, or a page. */
		if (likely(!((unsigned long)*page & 3)))
			*vec = !!*page;
		else if (altvm_page_is_slot(*page))
			*vec = told & SWAPPED;
		else if (*page == ALTVM_ZERO_AHEAD)
			*vec = altvm_pte_young(space, start);
		else
			*vec = *page != ALTVM_GUARD;
	}
}

/*
 * Fill @vec from @start on, for one area and up to @nr pages.  @told: RESIDENT, and
 * SWAPPED if that is wanted, too.  @fa: out: the area, if it is of a file; referenced.
 * Return: how many pages, or -ENOMEM for a hole, -EINTR.
 */
static long residency(struct altvm_space *space, unsigned long start,
		      unsigned long nr, u8 *vec, u8 told,
		      struct altvm_file_area **fa)
{
	unsigned long lo, hi, end = start + (nr << PAGE_SHIFT);
	struct altvm_leaf *leaf;
	struct altvm_area area;
	int ret;

	if (start < space->start || start >= space->end)
		return -ENOMEM;
	do {
		if (!altvm_tree_next(space, start, start + PAGE_SIZE, &area))
			return -ENOMEM;
		ret = area.attr & ALTVM_ATTR_BUSY ?
			      altvm_tree_wait(space, start) :
			      0;
		if (ret)
			return ret;
	} while (area.attr & ALTVM_ATTR_BUSY);

	if (area.fa)
		*fa = altvm_file_get_at(space, start);
	if (*fa)
		altvm_file_apply_cut(space, *fa);
	end = min(end, area.end);
	nr = (end - start) >> PAGE_SHIFT;
	memset(vec, 0, nr);
	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		leaf_residency(space, leaf, lo, hi,
			       vec + ((lo - start) >> PAGE_SHIFT), told);
		mutex_unlock(&leaf->lock);
	}
	return nr;
}

/* What is cached of a file is resident, too. */
static void file_residency(struct altvm_file_area *fa, unsigned long start,
			   unsigned long nr, u8 *vec, u8 told)
{
	bool may_tell = altvm_pagecache_may_tell(fa);

	for (; nr; nr--, vec++, start += PAGE_SIZE)
		if (!may_tell || altvm_pagecache_has(fa, start))
			*vec |= RESIDENT;
		else if (altvm_pagecache_is_swapped(fa, start))
			*vec |= told & SWAPPED;
	altvm_file_put(fa);
}

static long enter_residency(struct altvm_ctx *ctx, unsigned long start,
			    unsigned long nr, u8 *vec, u8 told)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	struct altvm_file_area *fa = NULL;
	long ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = residency(space, start, nr, vec, told, &fa);
	altvm_space_leave(space);
	if (fa)
		file_residency(fa, start, ret, vec, told);
	return ret;
}

/**
 * altvm_residency_mincore() - ALTVM_MINCORE
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: mincore(2).  A page is resident if the store has it; the zero page,
 * left by a read of untouched memory, counts, as it does natively.  Of a file, a page
 * is resident if it is cached; whoever may not write to it is told that all are.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EFAULT, -EAGAIN, -EINTR, -ENXIO.
 */
int altvm_residency_mincore(struct altvm_ctx *ctx, struct altvm_mincore *cmd)
{
	unsigned long start = cmd->addr, nr;
	u8 __user *vec = u64_to_user_ptr(cmd->vec);
	u8 *buf, told = RESIDENT;
	long ret = 0;

	if (offset_in_page(start))
		return -EINVAL;
	if (!access_ok((void __user *)start, cmd->length))
		return -ENOMEM;
	nr = DIV_ROUND_UP(cmd->length, PAGE_SIZE);
	if (!access_ok(vec, nr))
		return -EFAULT;
	buf = (u8 *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -EAGAIN;
	if (cmd->flags & ALTVM_MINCORE_SWAPPED)
		told |= SWAPPED;

	while (nr) {
		ret = enter_residency(ctx, start, min(nr, PAGE_SIZE), buf,
				      told);
		if (ret < 0)
			break;
		if (copy_to_user(vec, buf, ret)) {
			ret = -EFAULT;
			break;
		}
		start += ret << PAGE_SHIFT;
		vec += ret;
		nr -= ret;
		ret = 0;
		cond_resched();
	}
	free_page((unsigned long)buf);
	return ret;
}
