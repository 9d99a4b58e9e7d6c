// SPDX-License-Identifier: GPL-2.0
/*
 * Populating private memory: pages by the batch, where faults would bring them one
 * by one.
 */
#include "fault.h"
#include "populate.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* How many pages populate allocates before it takes the leaf's lock. */
#define POPULATE_BATCH 64

/*
 * Populate [start, end), part of one leaf and no more than a batch.  A writable
 * area gets @pages; what is not used stays in the array.
 * Return: 0, -EAGAIN if the area has changed, -ENOMEM.
 */
static int populate_batch(struct altvm_space *space, unsigned long start,
			  unsigned long end, unsigned long attr,
			  struct page **pages)
{
	struct altvm_leaf *leaf = altvm_store_get(space, start);
	struct altvm_area area;
	int ret = 0;

	if (!leaf)
		return -ENOMEM;
	mutex_lock(&leaf->lock);
	if (!altvm_tree_next(space, start, end, &area) || area.start > start ||
	    area.end < end || area.attr != attr)
		ret = -EAGAIN;
	else if (altvm_leaf_prepare(leaf))
		ret = -ENOMEM;

	for (unsigned long addr = start; !ret && addr < end;
	     addr += PAGE_SIZE) {
		struct altvm_fault f = {
			.space = space,
			.addr = addr,
			.attr = attr,
			.write = attr & VM_WRITE,
			.page = *pages,
		};

		ret = altvm_fault_store(&f, leaf);
		*pages++ = f.page;
	}
	if (!ret)
		ret = altvm_pte_insert_leaf(space, leaf, start, end, attr);
	mutex_unlock(&leaf->lock);
	return ret == -EFAULT ? -EAGAIN : ret;
}

static int populate_alloc(struct page **pages, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		pages[i] = altvm_fault_new_page(__GFP_ZERO);
		if (!pages[i])
			return -ENOMEM;
	}
	return 0;
}

/* Populate from *addr on as far as one batch goes. */
static int populate_some(struct altvm_space *space, unsigned long *addr,
			 unsigned long end)
{
	struct page *pages[POPULATE_BATCH] = {};
	struct altvm_area area;
	unsigned long nr;
	int ret;

	if (!altvm_tree_next(space, *addr, *addr + PAGE_SIZE, &area))
		return -ENOMEM;
	if (area.attr & ALTVM_ATTR_BUSY)
		return altvm_tree_wait(space, *addr);
	/* Files are populated through the core, see map.c. */
	if (!(area.attr & VM_ACCESS_FLAGS) || area.fa)
		return -EFAULT;

	end = min3(end, area.end, ALIGN(*addr + 1, PMD_SIZE));
	nr = min_t(unsigned long, (end - *addr) >> PAGE_SHIFT, POPULATE_BATCH);
	end = *addr + (nr << PAGE_SHIFT);
	ret = area.attr & VM_WRITE ? populate_alloc(pages, nr) : 0;
	if (!ret)
		ret = populate_batch(space, *addr, end, area.attr, pages);
	for (unsigned long i = 0; i < nr; i++)
		if (pages[i])
			put_page(pages[i]);
	if (!ret)
		*addr = end;
	return ret == -EAGAIN ? 0 : ret;
}

/**
 * altvm_populate() - fault a range in, as mm_populate() does
 * @space: entered
 * @start: page-aligned; moved to where the populating ended
 * @end: exclusive
 *
 * Writable areas get pages, others the zero page where they have none.
 *
 * Context: no lock held.
 * Return: 0; -EAGAIN if somebody waits for the calls in this space to leave it;
 * -ENOMEM for a hole or without memory; -EFAULT for PROT_NONE and for files; -EINTR
 * if killed.
 */
int altvm_populate(struct altvm_space *space, unsigned long *start,
		   unsigned long end)
{
	while (*start < end) {
		int ret = populate_some(space, start, end);

		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (altvm_space_wanted(space))
			return -EAGAIN;
		cond_resched();
	}
	return 0;
}
