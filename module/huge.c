// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks: 2 MiB of private memory that are allocated as one and mapped by one entry of
 * the table above the PTEs.
 *
 * A block is a large folio, and all that its leaf stores: altvm_leaf.pages has its 512
 * pages, in order, so whoever reads the store need not know.  Whoever changes a part of
 * a leaf calls altvm_pte_break() before, which makes ordinary pages of the block; where
 * all of it is concerned (munmap, mprotect, mremap of whole leaves), it stays one.
 *
 * It has to be a large folio while it is mapped so: get_user_pages() takes its
 * references of the folio that the first page belongs to.  If somebody has such a
 * reference when the block is to be broken, its pages stay parts of the folio, with a
 * PTE each, and the memory is freed when all of them are gone.
 *
 * Where blocks come from:
 *  - a write fault in an area with VM_HUGEPAGE, if it has all of the 2 MiB and
 *    nothing but zero pages is stored for them.  The core asks us (->huge_fault) only
 *    if /sys/kernel/mm/transparent_hugepage/enabled is not "never", and neither the
 *    process nor the window has been told otherwise by prctl(2) or madvise(2).
 *  - MADV_POPULATE_WRITE, MAP_POPULATE: the same.
 *  - MAP_HUGETLB: they are allocated before the mapping is made.
 *  - MADV_COLLAPSE, see collapse.c.
 * Where there is no free block, there are 512 pages as ever.
 *
 * Page tables.  Where the leaf has had PTEs, there is a table, which is empty by now:
 * it is parked (pte.c) as long as the block is mapped.
 *
 * Locks: altvm_leaf.lock.
 */
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "huge.h"
#include "policy.h"
#include "pte.h"
#include "tree.h"

/**
 * altvm_huge_alloc() - a block of zeroes
 * @space: entered, or in a fault on its window
 * @attr: of the area that it is for
 * @addr: what it is for
 *
 * Charged to the current memcg.
 *
 * Return: NULL if there is none; nobody is killed for it.
 */
struct page *altvm_huge_alloc(struct altvm_space *space, unsigned long attr,
			      unsigned long addr)
{
	const gfp_t gfp = GFP_HIGHUSER | __GFP_ACCOUNT | __GFP_COMP |
			  __GFP_ZERO | __GFP_NOMEMALLOC | __GFP_NOWARN |
			  __GFP_NORETRY;

	return altvm_policy_alloc_for(space, attr, NULL, addr & PMD_MASK, gfp,
				      HPAGE_PMD_ORDER);
}

/**
 * altvm_huge_area() - find the area that has all of the 2 MiB around an address
 * @space: entered, or in a fault on its window
 * @addr: in the window
 * @area: out
 *
 * Return: false if there is none of private memory.
 */
bool altvm_huge_area(struct altvm_space *space, unsigned long addr,
		     struct altvm_area *area)
{
	addr &= PMD_MASK;
	return altvm_tree_next(space, addr, addr + 1, area) &&
	       area->start <= addr && area->end - addr >= PMD_SIZE &&
	       !area->fa && !(area->attr & ALTVM_ATTR_BUSY);
}

static bool may_have_block(unsigned long attr)
{
	return (attr & (VM_HUGEPAGE | VM_WRITE)) == (VM_HUGEPAGE | VM_WRITE);
}

/* Make room for a block, if nothing is stored but zero pages.  The leaf is locked. */
static bool make_room(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long addr)
{
	if (leaf->nr) {
		for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
			if (leaf->pages[i] &&
			    !altvm_page_is_zero(leaf->pages[i]))
				return false;
		addr &= PMD_MASK;
		altvm_pte_zap(space, addr, addr + PMD_SIZE);
		altvm_leaf_strip(leaf, addr, addr + PMD_SIZE);
	}
	return !altvm_leaf_prepare(leaf);
}

/**
 * altvm_huge_is_forbidden() - may there be no new blocks?
 * @space: whose
 *
 * By the process, see prctl(2), or by the system, as far as it is known.
 */
bool altvm_huge_is_forbidden(const struct altvm_space *space)
{
	return READ_ONCE(space->forbidden) ||
	       test_bit(MMF_DISABLE_THP, &space->mm->flags);
}

/* As altvm_huge_fault().  The leaf is locked. */
static int fault_locked(struct altvm_fault *f, struct altvm_leaf *leaf,
			struct page **block)
{
	struct altvm_area area;

	if (!altvm_huge_area(f->space, f->addr, &area) ||
	    !(area.attr & VM_ACCESS_FLAGS))
		return -EAGAIN;
	if (f->write && !(area.attr & VM_WRITE))
		return leaf->block ? -EACCES : -EAGAIN;
	if (!leaf->block) {
		if (!*block || !may_have_block(area.attr))
			return -EAGAIN;
		if (!make_room(f->space, leaf, f->addr)) {
			leaf->tried = true;
			return -EAGAIN;
		}
		altvm_store_put_block(f->space, leaf, *block);
		*block = NULL;
	}
	return altvm_pte_insert_huge(f->space, leaf, f->addr, area.attr) ?
		       0 :
		       -EAGAIN;
}

/**
 * altvm_huge_fault() - handle a fault by a block, if that is possible
 * @f: the fault, of which @space, @addr and @write are looked at
 *
 * Return: 0 when it is mapped; -EACCES if the area is not writable, and there is a
 * block; -EAGAIN if it has to be handled by pages.
 */
int altvm_huge_fault(struct altvm_fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);
	struct page *block = NULL;
	struct altvm_area area;
	int ret;

	if (leaf && READ_ONCE(leaf->tried))
		return -EAGAIN;
	if (!leaf || !READ_ONCE(leaf->block)) {
		if (!f->write || !altvm_huge_area(f->space, f->addr, &area) ||
		    !may_have_block(area.attr))
			return -EAGAIN;
		leaf = altvm_store_get(f->space, f->addr);
		if (!leaf)
			return -EAGAIN;
		block = altvm_huge_alloc(f->space, area.attr, f->addr);
		count_vm_event(block ? THP_FAULT_ALLOC : THP_FAULT_FALLBACK);
		if (!block) {
			/* Not again for each page. */
			WRITE_ONCE(leaf->tried, true);
			return -EAGAIN;
		}
	}
	mutex_lock(&leaf->lock);
	ret = fault_locked(f, leaf, &block);
	mutex_unlock(&leaf->lock);
	if (block)
		put_page(block);
	return ret;
}

/**
 * altvm_huge_populate() - populate a leaf by a block, if that is possible
 * @space: entered
 * @start: page-aligned
 * @end: of what is to be populated
 * @attr: of the area
 *
 * Return: true if all of the 2 MiB that start there are mapped now.
 */
bool altvm_huge_populate(struct altvm_space *space, unsigned long start,
			 unsigned long end, unsigned long attr)
{
	struct altvm_fault f = {
		.space = space,
		.addr = start,
		.write = attr & VM_WRITE,
	};

	return attr & VM_HUGEPAGE && !(start & ~PMD_MASK) &&
	       end - start >= PMD_SIZE && !altvm_huge_is_forbidden(space) &&
	       !altvm_huge_fault(&f);
}

/**
 * altvm_huge_restore() - map a block whatever the access was
 * @f: the fault, which is denied
 * @leaf: locked
 *
 * Return: true if there is a block, which is mapped now.
 */
bool altvm_huge_restore(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	struct altvm_area area;

	return leaf->block && altvm_huge_area(f->space, f->addr, &area) &&
	       area.attr & VM_ACCESS_FLAGS &&
	       altvm_pte_insert_huge(f->space, leaf, f->addr, area.attr);
}

/**
 * altvm_huge_refill() - map what is left of a block that was broken
 * @f: a fault in its leaf
 * @leaf: locked
 */
void altvm_huge_refill(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	unsigned long start = f->addr & PMD_MASK, end = start + PMD_SIZE;
	struct altvm_area area;

	leaf->broken = false;
	if (!altvm_tree_next(f->space, f->addr, f->addr + 1, &area) ||
	    area.fa || !(area.attr & VM_ACCESS_FLAGS))
		return;
	altvm_area_clip(&area, start, end);
	altvm_pte_insert_leaf(f->space, leaf, area.start, area.end, area.attr);
}

/**
 * altvm_huge_take() - prepare for a leaf, or part of it, to be stripped before it is
 * zapped
 * @space: entered
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive; the range is busy
 * @blocks: what is to be given to altvm_huge_free() after the zap
 */
void altvm_huge_take(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long start, unsigned long end,
		     struct list_head *blocks)
{
	struct page *block = leaf->block;

	if (likely(!block))
		return;
	if (end - start < PMD_SIZE) {
		altvm_pte_break(space, leaf, start);
	} else if (pmd_val(leaf->parked)) {
		altvm_pte_drop_huge(space, leaf, start);
	} else {
		/* The entry has no reference: one flush for all of them. */
		get_page(block);
		list_add(&block->lru, blocks);
		altvm_pte_count_huge(space, leaf, false);
	}
}

/**
 * altvm_huge_free() - let go of what altvm_huge_take() has kept
 * @blocks: the list; nothing maps them any more
 */
void altvm_huge_free(struct list_head *blocks)
{
	struct page *block, *next;

	list_for_each_entry_safe(block, next, blocks, lru) {
		list_del(&block->lru);
		put_page(block);
	}
}

/**
 * altvm_huge_reserve() - blocks for a mapping that is going to be made
 * @ctx: the file's
 * @len: of the mapping, in bytes, a multiple of 2 MiB
 * @blocks: out: for altvm_huge_fill() or altvm_huge_free(); empty if it fails
 *
 * In place of the pool that MAP_HUGETLB natively takes from.
 *
 * Return: 0, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_huge_reserve(struct altvm_ctx *ctx, unsigned long len,
		       struct list_head *blocks)
{
	int ret = 0;

	/* Do not take all there is only to find that it is not enough. */
	if (len >> PAGE_SHIFT > si_mem_available())
		return -ENOMEM;
	for (unsigned long at = 0; !ret && at < len; at += PMD_SIZE) {
		struct altvm_space *space = altvm_space_enter(ctx);
		struct page *block;

		if (IS_ERR(space)) {
			ret = PTR_ERR(space);
			break;
		}
		block = altvm_huge_alloc(space, VM_HUGEPAGE, at);
		altvm_space_leave(space);
		if (block)
			list_add_tail(&block->lru, blocks);
		else
			ret = -ENOMEM;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	if (ret)
		altvm_huge_free(blocks);
	return ret;
}

/* Store and map a block, unless something has happened.  The leaf is locked. */
static void fill_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long addr, struct page **block)
{
	struct altvm_fault f = { .space = space, .addr = addr };
	struct altvm_area area;

	if (!altvm_huge_area(space, addr, &area) ||
	    !(area.attr & VM_HUGEPAGE) || altvm_fault_is_reaped(&f) ||
	    leaf->block || !make_room(space, leaf, addr))
		return;
	altvm_store_put_block(space, leaf, *block);
	*block = NULL;
	if (area.attr & VM_ACCESS_FLAGS)
		altvm_pte_insert_huge(space, leaf, addr, area.attr);
}

/**
 * altvm_huge_fill() - give a new mapping its blocks
 * @ctx: the file's
 * @addr: where it starts, a multiple of 2 MiB
 * @blocks: of altvm_huge_reserve(); empty afterwards
 */
void altvm_huge_fill(struct altvm_ctx *ctx, unsigned long addr,
		     struct list_head *blocks)
{
	struct page *block, *next;

	list_for_each_entry_safe(block, next, blocks, lru) {
		struct altvm_space *space = altvm_space_enter(ctx);
		struct altvm_leaf *leaf;

		/* Without a window, or killed: what is left is freed below. */
		if (IS_ERR(space))
			break;
		list_del(&block->lru);
		leaf = altvm_store_get(space, addr);
		if (leaf) {
			mutex_lock(&leaf->lock);
			fill_leaf(space, leaf, addr, &block);
			mutex_unlock(&leaf->lock);
		}
		altvm_space_leave(space);
		if (block)
			put_page(block);
		addr += PMD_SIZE;
		cond_resched();
	}
	altvm_huge_free(blocks);
}

/**
 * altvm_huge_divide() - make ordinary pages of a block before a fork
 * @space: frozen, no fault on its window
 * @leaf: locked
 * @addr: in its 2 MiB
 *
 * As altvm_pte_break(), but the TLBs are flushed by the fork.  So until then other
 * threads may write to the pages: the child sees that, as it does with PTEs that
 * are write-protected.
 */
void altvm_huge_divide(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long addr)
{
	if (likely(!leaf->block))
		return;
	altvm_pte_clear_huge(space, leaf, addr);
	altvm_pte_break(space, leaf, addr);
}

/**
 * altvm_huge_unpark() - put all page tables back, before the kernel frees them
 * @space: the window is going, and nobody is in it
 */
void altvm_huge_unpark(struct altvm_space *space)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, space->start, space->end, lo, hi)
		altvm_pte_unpark(space, leaf, lo);
}

/**
 * altvm_huge_uncount() - the window has gone
 * @space: nobody has it
 *
 * The kernel has removed the entries.
 */
void altvm_huge_uncount(struct altvm_space *space)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, space->start, space->end, lo, hi)
		altvm_pte_count_huge(space, leaf, false);
}
