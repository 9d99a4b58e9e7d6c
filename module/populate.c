// SPDX-License-Identifier: GPL-2.0
/*
 * Populating: MAP_POPULATE, MADV_POPULATE_READ and MADV_POPULATE_WRITE.  Private memory
 * gets pages by the batch, where faults would bring them one by one.  Of files the
 * core gets pages, by faults, with the space left.
 */
#include <linux/sched/signal.h>
#include <uapi/linux/mman.h>

#include "fault.h"
#include "huge.h"
#include "policy.h"
#include "populate.h"
#include "pte.h"
#include "store.h"
#include "swap.h"
#include "tree.h"

/* How many pages populate allocates before it takes the leaf's lock. */
#define POPULATE_BATCH BITS_PER_TYPE(u64)

/**
 * struct populate - what is wanted of a range
 * @end: of the range, exclusive
 * @need: one right of these an area must have
 * @write: get pages if the area has this right, otherwise the zero page will do
 */
struct populate {
	unsigned long end, need, write;
};

/* See to one page that is stored.  The leaf is locked. */
static int populate_page(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long addr, unsigned long attr, bool write,
			 struct page **page)
{
	struct altvm_fault f = {
		.space = space,
		.addr = addr,
		.attr = attr,
		.write = write,
		.page = *page,
		.policy = attr & ALTVM_ATTR_POLICY,
	};
	int ret = altvm_fault_is_reaped(&f) ? -EFAULT :
					      altvm_fault_store(&f, leaf);

	*page = f.page;
	/* From now on it is resident, read or not. */
	if (!ret && altvm_leaf_page(leaf, addr) == ALTVM_ZERO_AHEAD)
		altvm_leaf_set(leaf, addr, ZERO_PAGE(0));
	return ret;
}

/* Map what is stored.  The leaf is locked. */
static int populate_map(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long start, unsigned long end,
			unsigned long attr, bool write)
{
	int ret = altvm_pte_insert_leaf(space, leaf, start, end, attr);

	/* What is owned again since a fork can be mapped read-only still. */
	if (!ret && write && altvm_leaf_is_shared(leaf))
		altvm_pte_protect(space, leaf, start, end, attr);
	return ret == -EFAULT ? -EAGAIN : ret;
}

/*
 * Populate [start, *end), part of one leaf and no more than a batch.  With @write it
 * gets @pages, in which those that are there already need no other; what is not used
 * stays in the array.  @end: out: the first page that must be paged in first, if there
 * is one.
 * Return: 0, -EAGAIN if the area has changed, -ENOMEM, as altvm_fault_store().
 */
static int populate_batch(struct altvm_space *space, unsigned long start,
			  unsigned long *end, unsigned long attr, bool write,
			  struct page **pages)
{
	struct altvm_leaf *leaf = altvm_store_get(space, start);
	struct altvm_area area;
	int ret = 0;

	if (!leaf)
		return -ENOMEM;
	mutex_lock(&leaf->lock);
	if (!altvm_tree_next(space, start, *end, &area) || area.start > start ||
	    area.end < *end || area.attr != attr)
		ret = -EAGAIN;
	else if (altvm_leaf_prepare(leaf))
		ret = -ENOMEM;

	for (unsigned long addr = start; !ret && addr < *end;
	     addr += PAGE_SIZE) {
		if (altvm_page_is_slot(altvm_leaf_page(leaf, addr)))
			*end = addr;
		else
			ret = populate_page(space, leaf, addr, attr, write,
					    pages++);
	}
	if (!ret && *end > start)
		ret = populate_map(space, leaf, start, *end, attr, write);
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * Which pages of a batch are there, and this space's alone: a bit for each.
 * @nr: how many; out: fewer if one is paged out, up to that.
 */
static u64 populate_peek(struct altvm_space *space, unsigned long addr,
			 unsigned long *nr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);
	u64 there = 0;

	if (!leaf || !READ_ONCE(leaf->nr))
		return 0;
	guard(mutex)(&leaf->lock);
	for (unsigned long i = 0; i < *nr; i++, addr += PAGE_SIZE) {
		struct page *page = altvm_leaf_page(leaf, addr);

		if (altvm_page_is_slot(page))
			*nr = i;
		else if (altvm_page_is_real(page))
			there |= BIT_ULL(i);
	}
	return altvm_leaf_is_shared(leaf) ? 0 : there;
}

/*
 * Pages for a batch, as far as it is going to need them.  Nobody is killed for the
 * sake of more than one at a time.
 * @nr: how many pages the batch has; out: how many have what they need, none if the
 * first is paged out.
 */
static int populate_alloc(struct altvm_space *space, unsigned long addr,
			  unsigned long *nr, unsigned long attr,
			  struct page **pages)
{
	u64 there = populate_peek(space, addr, nr);
	gfp_t gfp = __GFP_ZERO;

	for (unsigned long i = 0; i < *nr; i++, addr += PAGE_SIZE) {
		if (!(there & BIT_ULL(i))) {
			pages[i] = altvm_policy_alloc(space, attr, NULL, addr,
						      gfp);
			if (!pages[i] && !i)
				return -ENOMEM;
			if (!pages[i])
				*nr = i;
		}
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
	}
	return 0;
}

/*
 * Populate from *addr on as far as one batch goes, or up to what is paged out: where
 * there is little memory, a whole batch might never be in at the same time.
 * Return: 0, also if nothing was done since the area has changed; -EACCES for an area
 * without the rights and for files; -ENOMEM, -EINTR, as altvm_fault_store().
 */
static int populate_some(struct altvm_space *space, unsigned long *addr,
			 const struct populate *p)
{
	struct page *pages[POPULATE_BATCH] = {};
	unsigned long nr, end, done;
	struct altvm_area area;
	bool write;
	int ret;

	if (!altvm_tree_next(space, *addr, *addr + PAGE_SIZE, &area))
		return -ENOMEM;
	if (area.attr & ALTVM_ATTR_BUSY)
		return altvm_tree_wait(space, *addr);
	if (!(area.attr & p->need) || area.fa)
		return -EACCES;

	write = area.attr & p->write;
	end = min3(p->end, area.end, ALIGN(*addr + 1, PMD_SIZE));
	if (write && altvm_huge_populate(space, *addr, end, area.attr)) {
		*addr = end;
		return 0;
	}
	nr = min_t(unsigned long, (end - *addr) >> PAGE_SHIFT, POPULATE_BATCH);
	ret = write ? populate_alloc(space, *addr, &nr, area.attr, pages) : 0;
	end = *addr + (nr << PAGE_SHIFT);
	done = end;
	if (!ret && nr)
		ret = populate_batch(space, *addr, &done, area.attr, write,
				     pages);
	for (unsigned long i = 0; i < nr; i++)
		if (pages[i])
			put_page(pages[i]);
	if (!ret)
		*addr = done;
	if (!ret && (!nr || done < end))
		ret = altvm_swap_bring(space, done);
	if (ret == -EIO)
		return -EFAULT;
	return ret == -EAGAIN ? 0 : ret;
}

/* As altvm_populate(), but as populate_some(). */
static int populate(struct altvm_space *space, unsigned long *start,
		    const struct populate *p)
{
	while (*start < p->end) {
		int ret = populate_some(space, start, p);

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
 * -ENOMEM for a hole or without memory; -EFAULT for PROT_NONE, files, and where an
 * access would fail; -EINTR if killed.
 */
int altvm_populate(struct altvm_space *space, unsigned long *start,
		   unsigned long end)
{
	const struct populate p = {
		.end = end,
		.need = VM_ACCESS_FLAGS,
		.write = VM_WRITE,
	};
	int ret = populate(space, start, &p);

	return ret == -EACCES ? -EFAULT : ret;
}

/*
 * What is at @addr for MADV_POPULATE_*?
 * Return: 0, and @area says; -EINVAL without the right @need; -ENOMEM, -EINTR.
 */
static int advised_area(struct altvm_space *space, unsigned long addr,
			unsigned long need, struct altvm_area *area)
{
	int ret;

	while (addr >= space->start && addr < space->end &&
	       altvm_tree_next(space, addr, addr + PAGE_SIZE, area)) {
		if (!(area->attr & ALTVM_ATTR_BUSY))
			return area->attr & need ? 0 : -EINVAL;
		ret = altvm_tree_wait(space, addr);
		if (ret)
			return ret;
	}
	return -ENOMEM;
}

/* Have the core populate a file area.  As populate_advised(). */
static int advised_file(unsigned long *start, unsigned long end, bool write)
{
	unsigned int flags = FOLL_HWPOISON | (write ? FOLL_WRITE : 0);
	long nr = get_user_pages_unlocked(*start, (end - *start) >> PAGE_SHIFT,
					  NULL, flags);

	if (nr > 0)
		*start += nr << PAGE_SHIFT;
	if (fatal_signal_pending(current))
		return -EINTR;
	return nr > 0 ? -EAGAIN : nr ?: -EFAULT;
}

/*
 * Move *start over what could be populated of an area.
 * Return: 0 at the end, -EAGAIN to go on, an errno of madvise(2).
 */
static int advised_part(struct altvm_ctx *ctx, unsigned long *start,
			unsigned long end, bool write)
{
	struct populate p = {
		.need = write ? VM_WRITE : VM_READ,
		.write = write ? VM_WRITE : 0,
	};
	struct altvm_space *space = altvm_space_enter(ctx);
	struct altvm_area area;
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = advised_area(space, *start, p.need, &area);
	p.end = min(end, area.end);
	if (!ret && !area.fa)
		ret = populate(space, start, &p);
	altvm_space_leave(space);
	if (ret == -EACCES)
		return -EAGAIN;
	if (ret || !area.fa)
		return ret ?: -EAGAIN;
	return advised_file(start, p.end, write);
}

/* An access would fail at @addr, or so it seemed: is the area what it is to be? */
static int advised_failed(struct altvm_ctx *ctx, unsigned long addr, bool write)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	struct altvm_area area;
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = advised_area(space, addr, write ? VM_WRITE : VM_READ, &area);
	altvm_space_leave(space);
	return ret ?: -EFAULT;
}

/**
 * altvm_populate_advised() - MADV_POPULATE_READ and MADV_POPULATE_WRITE
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 * @advice: which of them
 *
 * As madvise_populate() in mm/: what is before the first error has been populated.
 *
 * Context: no space entered; may do I/O.
 * Return: 0; -ENOMEM for a hole or without memory; -EINVAL for an area without the
 * right; -EFAULT where an access would raise a signal; -EHWPOISON; -EINTR, -ENXIO.
 */
int altvm_populate_advised(struct altvm_ctx *ctx, unsigned long start,
			   unsigned long end, int advice)
{
	bool write = advice == MADV_POPULATE_WRITE;
	int ret = 0;

	while (start < end && (!ret || ret == -EAGAIN)) {
		ret = advised_part(ctx, &start, end, write);
		cond_resched();
	}
	if (ret == -EFAULT)
		return advised_failed(ctx, start, write);
	return ret == -EAGAIN ? 0 : ret;
}

/*
 * Have the core fault in a file area, or part of one.  The space is left.  @copy: what
 * is private and can be written is copied.
 * Return: 0 or -errno; *start is moved to where it ended.
 */
static int populate_file(unsigned long *start, unsigned long end,
			 unsigned long attr, bool copy)
{
	/* As populate_vma_page_range(): what is shared is not dirtied for nothing. */
	bool write = copy && (attr & (VM_WRITE | VM_SHARED)) == VM_WRITE;
	long ret;

	if (!(attr & VM_ACCESS_FLAGS))
		return -EFAULT;
	ret = get_user_pages_unlocked(*start, (end - *start) >> PAGE_SHIFT,
				      NULL, write ? FOLL_WRITE : FOLL_FORCE);
	if (ret < 0)
		return ret;
	*start += ret << PAGE_SHIFT;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * The first area of a range, clipped; it is not busy.
 * Return: 1; 0 if there is none; -EINTR.
 */
static int populate_find(struct altvm_space *space, unsigned long start,
			 unsigned long end, struct altvm_area *area)
{
	int ret;

	while (altvm_tree_next(space, start, min(end, space->end), area)) {
		altvm_area_clip(area, start, end);
		if (!(area->attr & ALTVM_ATTR_BUSY))
			return 1;
		ret = altvm_tree_wait(space, area->start);
		if (ret)
			return ret;
	}
	return 0;
}

/* Is the area to be populated?  @need: what it has to be. */
static bool is_wanted(const struct altvm_area *area, unsigned long need)
{
	return (area->attr & need) == need && !(area->attr & VM_LOCKONFAULT);
}

/*
 * Populate the first area of a range, or some of it.  *start is moved to where it
 * ended, and *area_end is the end of the area.
 * Return: 0; -EAGAIN if the area is not done; an error of the area.
 */
static int populate_area(struct altvm_ctx *ctx, unsigned long *start,
			 unsigned long end, unsigned long need, bool copy,
			 unsigned long *area_end)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	struct altvm_area area;
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	*area_end = end;
	ret = populate_find(space, *start, end, &area);
	if (ret > 0) {
		*start = area.start;
		*area_end = area.end;
		if (!is_wanted(&area, need))
			*start = area.end;
		else if (!area.fa)
			ret = altvm_populate(space, start, area.end);
	} else if (!ret) {
		*start = end;
	}
	altvm_space_leave(space);
	if (ret > 0 && *start < area.end)
		ret = populate_file(start, area.end, area.attr, copy);
	return min(ret, 0);
}

static int populate_areas(struct altvm_ctx *ctx, unsigned long start,
			  unsigned long end, unsigned long need, bool copy,
			  bool ignore_errors)
{
	unsigned long area_end;
	int ret;

	while (start < end) {
		ret = populate_area(ctx, &start, end, need, copy, &area_end);
		if (!ret || ret == -EAGAIN)
			continue;
		if (!ignore_errors || ret == -EINTR || ret == -ENXIO)
			return ret;
		start = area_end;
	}
	return 0;
}

/**
 * altvm_populate_range() - fault in all areas of a range
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 * @ignore_errors: go on with the next area
 *
 * Semantics: __mm_populate() in mm/.  Holes are passed over, and so is what is to be
 * locked on fault.
 *
 * Context: takes mmap_lock; no lock held, no space entered.
 * Return: 0; -EFAULT for what cannot be accessed; -ENOMEM, -EHWPOISON, -EINTR, -ENXIO.
 */
int altvm_populate_range(struct altvm_ctx *ctx, unsigned long start,
			 unsigned long end, bool ignore_errors)
{
	return populate_areas(ctx, start, end, 0, true, ignore_errors);
}

/**
 * altvm_populate_locked() - fault in what is locked of a range, as far as that works
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 *
 * Context: as altvm_populate_range().
 */
void altvm_populate_locked(struct altvm_ctx *ctx, unsigned long start,
			   unsigned long end)
{
	populate_areas(ctx, start, end, VM_LOCKED, true, true);
}

/**
 * altvm_populate_moved() - map what is locked of a file again, after it has moved
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 *
 * Of what is private and has not been copied no copy is made: it follows the file.
 *
 * Context: as altvm_populate_range().
 */
void altvm_populate_moved(struct altvm_ctx *ctx, unsigned long start,
			  unsigned long end)
{
	populate_areas(ctx, start, end, VM_LOCKED, false, true);
}
