// SPDX-License-Identifier: GPL-2.0
/*
 * Paging out, and in.
 *
 *   a page in the store          what reclaim and MADV_PAGEOUT do
 *   ---------------------------  -------------------------------------------------
 *   the zero page                stays
 *   in another space's table too MADV_PAGEOUT: stays, as natively; reclaim: goes, and
 *                                where the others page it out, they get the same slot
 *   somebody has a reference     stays: he may be reading or writing it
 *   in a VM_LOCKED area          stays
 *   MADV_FREE, not written since dropped: reads as zero
 *   in a VM_DROPPABLE area       dropped: reads as zero
 *   any other                    goes to a slot (slot.c), which is then in the store
 *
 * Out: the PTEs go first, with one flush for a run of pages.  With the leaf locked
 * nobody can map them again, so whose only reference then is the store's is not going
 * to change, and is copied.
 *
 * In: an access finds the slot with the leaf locked, and reads it, which may mean to
 * wait for a disk, with nothing locked, into a page of its own.  If the slot is still
 * there, the page takes its place.  Others that have the same slot keep it.
 *
 * Locks: the leaf's, only tried in reclaim.  Slots are written with nothing locked.
 */
#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <uapi/linux/mman.h>

#include "file.h"
#include "pte.h"
#include "swap.h"

/* For what may have to be made in reclaim. */
#define OUT_GFP (GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

/* So much memory may it take to page out what is shared, before it gives any. */
#define SHARED_MAX 64

/**
 * struct out - paging out from a leaf
 * @space: entered
 * @leaf: locked, its table is its own
 * @young: PTRS_PER_PTE bits: pages that stay; NULL if none
 * @shared: how many pages that others have too may go
 * @written: slots that are to be written when the leaf is unlocked
 * @gone: pages that are out
 * @freed: pages that were dropped
 * @full: there is no room
 * @drop: the area is droppable
 */
struct out {
	struct altvm_space *space;
	struct altvm_leaf *leaf;
	unsigned long *young;
	unsigned int shared;
	struct altvm_slot_list written;
	unsigned long gone, freed;
	bool full, drop;
};

/* Is all that refers to the page the store and PTEs? */
static bool is_unused(struct page *page)
{
	return page_count(page) == 1 + folio_mapcount(page_folio(page));
}

/* May what is stored for an address be paged out? */
static bool may_go(const struct out *o, unsigned long addr)
{
	struct page *page = altvm_leaf_page(o->leaf, addr);

	if (!altvm_page_is_real(page) || !is_unused(page) ||
	    PageHWPoison(page) || PageCompound(page) ||
	    (o->young && test_bit(pte_index(addr), o->young)))
		return false;
	if (o->drop || altvm_page_is_lazy(page))
		return altvm_store_is_alone(page);
	return !o->full && (o->shared || altvm_store_is_alone(page));
}

/* A page that others have too: if they page it out, they find the slot. */
static struct altvm_slot *out_shared(struct out *o, struct page *page)
{
	struct altvm_slot *slot;

	if (altvm_page_has_slot(page))
		return altvm_slot_find(page);
	if (!o->shared)
		return NULL;
	o->shared--;
	slot = altvm_slot_store(page, &o->written);
	if (slot)
		altvm_slot_remember(slot, page);
	return slot;
}

/* One page that no PTE of this space maps any more. */
static void out_page(struct out *o, unsigned long addr)
{
	struct page *page = altvm_leaf_page(o->leaf, addr);
	bool alone = altvm_store_is_alone(page);
	struct altvm_slot *slot;

	/* Pairs with those who take a reference and look at the PTE again. */
	if (!is_unused(page))
		return;
	if (alone &&
	    (o->drop || (altvm_page_is_lazy(page) && !PageDirty(page)))) {
		altvm_leaf_strip(o->leaf, addr, addr + PAGE_SIZE);
		o->freed++;
		return;
	}
	if (o->full)
		return;
	if (alone && !altvm_page_has_slot(page))
		slot = altvm_slot_store(page, &o->written);
	else
		slot = out_shared(o, page);
	o->full = !slot && (alone || o->shared);
	if (!slot)
		return;
	altvm_leaf_set(o->leaf, addr, altvm_slot_entry(slot));
	o->gone++;
}

/* What may go of [start, end), which is in one area. */
static void out_range(struct out *o, unsigned long start, unsigned long end)
{
	unsigned long run;

	if (o->leaf->block) {
		/* It stays as a whole, or goes by pages. */
		if ((o->full && !o->drop) ||
		    (o->young && test_bit(pte_index(start), o->young)))
			return;
		altvm_pte_break(o->space, o->leaf, start);
	}
	/* The page after a run stays. */
	for (; start < end; start = run + PAGE_SIZE) {
		for (run = start; run < end && may_go(o, run);)
			run += PAGE_SIZE;
		if (run > start)
			altvm_pte_zap(o->space, start, run);
		for (; start < run; start += PAGE_SIZE)
			out_page(o, start);
	}
}

/* Is there swap space for what the leaf has? */
static bool leaf_has_room(const struct altvm_leaf *leaf)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		if (altvm_page_is_real(leaf->pages[i]))
			return altvm_slot_has_room(leaf->pages[i]);
	return false;
}

/* The leaf is unlocked.  altvm_slot_wait() must follow. */
static void out_finish(struct out *o)
{
	altvm_slot_write(&o->written);
	atomic_long_add(o->gone, &o->space->paged_out);
	atomic_long_add(o->freed, &o->space->lazily_freed);
}

/* Is there still a page that MADV_FREE has been told of? */
static bool leaf_is_lazy(const struct altvm_leaf *leaf)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		if (altvm_page_is_real(leaf->pages[i]) &&
		    altvm_page_is_lazy(leaf->pages[i]))
			return true;
	return false;
}

/* Has anything stored not been accessed? */
static bool any_old(const struct out *o)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		if (altvm_page_is_real(o->leaf->pages[i]) &&
		    !test_bit(i, o->young))
			return true;
	return false;
}

/* All areas of a leaf: what has not been accessed.  It has something. */
static void out_old(struct out *o)
{
	unsigned long start = max(o->leaf->start, o->space->start);
	unsigned long end = min(o->leaf->start + PMD_SIZE, o->space->end);
	struct altvm_area area;
	bool lazy = false;

	altvm_pte_age(o->space, o->leaf, start, end, o->young);
	if (!any_old(o) || altvm_leaf_unshare(o->leaf, OUT_GFP))
		return;
	altvm_for_each_area(o->space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		if (area.attr & (ALTVM_ATTR_BUSY | VM_LOCKED))
			continue;
		o->drop = area.attr & VM_DROPPABLE;
		lazy |= o->drop;
		out_range(o, area.start, area.end);
	}
	if (o->leaf->lazy && o->leaf->nr)
		o->leaf->lazy = lazy || leaf_is_lazy(o->leaf);
}

/**
 * altvm_swap_reclaim() - page out what has not been accessed since the last time
 * @leaf: in a space that is entered
 * @write: may it be written to a disk at once?
 * @written: out: what is being written; altvm_slot_wait() must follow
 *
 * Context: reclaim: any locks may be held.
 * Return: how many pages have gone.
 */
unsigned long altvm_swap_reclaim(struct altvm_leaf *leaf, bool write,
				 struct altvm_slot_list *written)
{
	DECLARE_BITMAP(young, PTRS_PER_PTE) = {};
	struct out o = {
		.space = leaf->space,
		.leaf = leaf,
		.young = young,
		.shared = SHARED_MAX,
	};

	if (!READ_ONCE(leaf->lazy) && (!write || !altvm_slot_has_room(NULL)))
		return 0;
	if (!mutex_trylock(&leaf->lock))
		return 0;
	o.full = !leaf->nr || !write || !leaf_has_room(leaf);
	if (leaf->nr && (!o.full || leaf->lazy))
		out_old(&o);
	mutex_unlock(&leaf->lock);
	out_finish(&o);
	*written = o.written;
	mm_account_reclaimed_pages(o.freed);
	return o.gone + o.freed;
}

/* MADV_PAGEOUT in part of a leaf, which is locked. */
static void leaf_pageout(struct out *o, const struct altvm_area *area)
{
	if (!o->leaf->nr || !altvm_leaf_is_alone(o->leaf))
		return;
	o->full = !leaf_has_room(o->leaf);
	out_range(o, area->start, area->end);
}

/* MADV_FREE in a run of pages that are ours alone.  The leaf is locked. */
static void free_run(struct out *o, unsigned long start, unsigned long end,
		     unsigned long attr)
{
	struct altvm_leaf *leaf = o->leaf;

	/* The zap notes in the pages what is dirty up to now. */
	altvm_pte_zap(o->space, start, end);
	leaf->lazy = true;
	for (unsigned long addr = start; addr < end; addr += PAGE_SIZE) {
		struct page *page = altvm_leaf_page(leaf, addr);

		ClearPageDirty(page);
		SetPageChecked(page);
	}
	if (attr & VM_ACCESS_FLAGS)
		altvm_pte_insert_leaf(o->space, leaf, start, end, attr);
}

static bool is_alone(const struct altvm_leaf *leaf, unsigned long addr)
{
	struct page *page = altvm_leaf_page(leaf, addr);

	return altvm_page_is_real(page) && !PageCompound(page) &&
	       altvm_store_is_alone(page);
}

/* MADV_FREE in part of a leaf, which is locked. */
static void leaf_free(struct out *o, const struct altvm_area *area)
{
	struct altvm_leaf *leaf = o->leaf;
	bool alone = leaf->nr && altvm_leaf_is_alone(leaf);
	unsigned long addr, run;

	altvm_pte_break(o->space, leaf, area->start);
	for (addr = area->start; addr < area->end; addr = run + PAGE_SIZE) {
		for (run = addr;
		     alone && run < area->end && is_alone(leaf, run);)
			run += PAGE_SIZE;
		if (run > addr)
			free_run(o, addr, run, area->attr);
		if (run < area->end &&
		    altvm_page_is_slot(altvm_leaf_page(leaf, run)))
			altvm_leaf_strip(leaf, run, run + PAGE_SIZE);
	}
}

/* MADV_COLD in part of a leaf, which is locked. */
static void leaf_cold(struct out *o, const struct altvm_area *area)
{
	altvm_pte_age(o->space, o->leaf, area->start, area->end, NULL);
}

/* As can_do_file_pageout() in mm/. */
static bool may_page_out(struct altvm_file_area *fa)
{
	struct file *file = fa->vma.vm_file;

	return inode_owner_or_capable(file_mnt_idmap(file), file_inode(file)) ||
	       !file_permission(file, MAY_WRITE);
}

/*
 * What is in the page cache of a range whose PTEs are gone.  Nothing is locked.
 *
 * No kernel exports its reclaim of given pages.  Those of shmem go as slots do; of
 * others those that are clean, and the dirty ones stay, as they do natively.
 */
static void pageout_file(struct altvm_file_area *fa, unsigned long start,
			 unsigned long end)
{
	pgoff_t first = altvm_file_pgoff(fa, start);
	pgoff_t last = altvm_file_pgoff(fa, end - PAGE_SIZE);

	if (!shmem_mapping(fa->mapping)) {
		invalidate_mapping_pages(fa->mapping, first, last);
		return;
	}
	for (; first <= last && altvm_slot_has_room(NULL); first++) {
		struct folio *folio = filemap_get_folio(fa->mapping, first);

		if (IS_ERR(folio))
			continue;
		altvm_slot_write_folio(folio);
		folio_put(folio);
	}
}

/* Unmap what is not stored of a file area.  The leaf is locked. */
static void unmap_file(struct out *o, const struct altvm_area *area)
{
	unsigned long start = area->start, end;

	for (; start < area->end; start = end + PAGE_SIZE) {
		for (end = start;
		     end < area->end && !altvm_leaf_page(o->leaf, end);)
			end += PAGE_SIZE;
		if (end > start)
			altvm_pte_zap(o->space, start, end);
	}
}

/* What to do with a part of a leaf. */
static void leaf_advise(struct out *o, const struct altvm_area *area,
			int advice)
{
	if (advice == MADV_FREE)
		leaf_free(o, area);
	else if (advice == MADV_COLD)
		leaf_cold(o, area);
	else
		leaf_pageout(o, area);
}

/*
 * [lo, hi) of a leaf, as long as it is the same area.  @fa: referenced, if the page
 * cache is to be paged out.
 */
static void advise_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long lo, unsigned long hi,
			struct altvm_file_area *fa, int advice)
{
	struct out o = { .space = space, .leaf = leaf };
	struct altvm_area area;

	mutex_lock(&leaf->lock);
	altvm_for_each_area(space, &area, lo, hi) {
		altvm_area_clip(&area, lo, hi);
		if (area.attr & (ALTVM_ATTR_BUSY | VM_LOCKED) ||
		    (area.fa && advice == MADV_FREE))
			continue;
		o.drop = area.attr & VM_DROPPABLE;
		leaf_advise(&o, &area, advice);
		if (fa && area.fa == fa)
			unmap_file(&o, &area);
	}
	mutex_unlock(&leaf->lock);
	out_finish(&o);
	altvm_slot_wait(&o.written, false);
	if (fa)
		pageout_file(fa, lo, hi);
}

/* That whose page cache is to be paged out, or NULL. */
static struct altvm_file_area *get_backing(struct altvm_space *space,
					   const struct altvm_area *area,
					   int advice)
{
	struct altvm_file_area *fa = NULL;

	if (advice == MADV_PAGEOUT && area->fa)
		fa = altvm_file_get_at(space, area->start);
	if (!fa || may_page_out(fa))
		return fa;
	altvm_file_put(fa);
	return NULL;
}

/**
 * altvm_swap_area() - MADV_FREE, MADV_COLD, MADV_PAGEOUT in an area
 * @space: entered
 * @area: clipped to the range; its end is moved down if there is more to do
 * @advice: MADV_*
 *
 * As madvise_free_single_vma(), madvise_cold(), madvise_pageout() in mm/.
 *
 * Context: may do I/O; nothing is locked.
 * Return: 0 or -EINVAL.
 */
int altvm_swap_area(struct altvm_space *space, struct altvm_area *area,
		    int advice)
{
	struct altvm_file_area *fa;
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	if (area->attr & VM_LOCKED || (area->fa && advice == MADV_FREE))
		return -EINVAL;
	fa = get_backing(space, area, advice);
	altvm_for_each_leaf(space, leaf, area->start, area->end, lo, hi) {
		advise_leaf(space, leaf, lo, hi, fa, advice);
		cond_resched();
		if (altvm_space_wanted(space) ||
		    fatal_signal_pending(current)) {
			area->end = hi;
			break;
		}
	}
	if (fa)
		altvm_file_put(fa);
	return 0;
}

/**
 * altvm_swap_forget() - let go of a slot
 * @f: the fault
 *
 * Context: nothing is locked.
 */
void altvm_swap_forget(struct altvm_fault *f)
{
	if (f->slot)
		altvm_slot_put_now(f->slot);
	f->slot = NULL;
	f->loaded = false;
}

/**
 * altvm_swap_in() - replace a slot by a page that has been read
 * @f: the fault
 * @leaf: locked; it has a slot at the address
 *
 * Return: 0; -EAGAIN if it has to be read first; -ENOMEM.
 */
int altvm_swap_in(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	struct altvm_slot *slot = altvm_slot_of(altvm_leaf_page(leaf, f->addr));

	if (f->slot != slot) {
		/* The one before may have to be freed, which takes time. */
		if (f->slot)
			altvm_slot_put(f->slot);
		altvm_slot_get(slot);
		f->slot = slot;
		f->loaded = false;
	}
	if (!f->loaded || !altvm_fault_has_page(f))
		return -EAGAIN;
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	altvm_store_adopt(f->space, leaf, f->addr, f->page);
	altvm_leaf_set(leaf, f->addr, f->page);
	atomic_long_inc(&f->space->paged_in);
	f->page = NULL;
	f->present = false;
	f->loaded = false;
	return 0;
}

/**
 * altvm_swap_is_wanted() - has altvm_swap_in() asked for a slot to be read?
 * @f: the fault
 */
bool altvm_swap_is_wanted(const struct altvm_fault *f)
{
	return f->slot && !f->loaded;
}

/**
 * altvm_swap_load() - read the slot
 * @f: the fault, which wants it
 *
 * Context: may do I/O; nothing of ours is locked.
 * Return: -EAGAIN when it is done; -ENOMEM; -EIO, and @result says what.
 */
int altvm_swap_load(struct altvm_fault *f)
{
	int ret;

	/* Whatever becomes of the page, it is not zero any more. */
	f->copy = true;
	if (!f->page && !altvm_fault_alloc(f))
		return -ENOMEM;
	if (altvm_slot_waits(f->slot))
		f->result |= VM_FAULT_MAJOR;
	ret = altvm_slot_load(f->slot, f->page);
	if (ret == -EIO)
		f->result |= VM_FAULT_SIGBUS;
	f->loaded = !ret;
	return ret ?: -EAGAIN;
}

/**
 * altvm_swap_prefetch() - have the slot in memory
 * @f: the fault, which wants it
 *
 * Context: as altvm_swap_load().
 */
void altvm_swap_prefetch(struct altvm_fault *f)
{
	/* An error comes again. */
	altvm_slot_load(f->slot, NULL);
	f->result |= VM_FAULT_MAJOR;
}

/**
 * altvm_swap_bring() - have a page in memory that is paged out
 * @space: entered
 * @addr: page-aligned
 *
 * Context: may do I/O; nothing is locked.
 * Return: 0, also if it was not paged out; -ENOMEM, -EIO.
 */
int altvm_swap_bring(struct altvm_space *space, unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);
	struct altvm_fault f = { .space = space, .addr = addr };
	int ret = 0;

	while (leaf) {
		mutex_lock(&leaf->lock);
		/* For the policy. */
		altvm_fault_load(&f);
		ret = altvm_page_is_slot(altvm_leaf_page(leaf, addr)) ?
			      altvm_swap_in(&f, leaf) :
			      0;
		mutex_unlock(&leaf->lock);
		if (ret != -EAGAIN)
			break;
		ret = altvm_swap_load(&f);
		if (ret != -EAGAIN)
			break;
	}
	altvm_fault_finish(&f);
	return ret;
}
